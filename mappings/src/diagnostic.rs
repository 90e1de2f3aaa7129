//! What is wrong with a file, where, and what to do about it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

pub use crate::code::Code;
pub use crate::fix::{Fix, FixFields, Mended, mend, mend_all};

/// Most bytes of a mapping or site file.
pub const MAX_BYTES: usize = 1 << 20;

/// A file that was read: its name as the user gave it, and its whole text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    name: Arc<str>,
    text: Arc<str>,
}

impl SourceFile {
    /// Keeps a name and a text together.
    pub fn new(name: &str, text: &str) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// The name as the user gave it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The span of the character at this line and column, both from 1.
    pub(crate) fn span_at(&self, line: usize, column: usize) -> Span {
        let mut start = 0;
        for text in self.text.split_inclusive('\n').take(line.saturating_sub(1)) {
            start += text.len();
        }
        let rest = self.text.get(start..).unwrap_or_default().lines().next().unwrap_or_default();
        let within = rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
        let end = start
            + within
            + rest.get(within..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        Span { start: start + within, end, line, column, file: 0 }
    }

    /// The start of the character that this byte belongs to.
    pub(crate) fn floor(&self, at: usize) -> usize {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

/// Where something stands in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Which file: 0 the one that was asked about, others those that it extends, the nearest first.
    pub file: u16,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file works, but probably not as meant.
    Warning,
    /// The file cannot be used.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// What else a problem depends on: what follows from another one is not told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nature {
    /// On nothing: it is wrong by itself.
    #[default]
    Own,
    /// Something is not there. It may be there and could not be read.
    Absence,
    /// Something does not fit what else is there, or nothing uses it. What else is there may be what is wrong.
    Relation,
}

/// One problem of one file. Displays as `file:line:col: error[M004]: …; help: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of problem; the reference explains each.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What else it depends on.
    pub nature: Nature,
    /// Lower-case, in the words of the file.
    pub message: String,
    /// The file it is in.
    pub file: SourceFile,
    /// Where in the file.
    pub span: Span,
    /// What to do about it.
    pub help: Option<String>,
    /// A change that mends it, where there can be no doubt which.
    pub fix: Option<Fix>,
}

impl Diagnostic {
    /// Whether it makes the file unusable.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Its plain fields, for JSON and other machine-readable forms.
    pub fn fields(&self) -> DiagnosticFields {
        DiagnosticFields {
            code: self.code.name(),
            severity: self.severity.to_string(),
            message: self.message.clone(),
            file: self.file.name().to_owned(),
            line: self.span.line,
            column: self.span.column,
            help: self.help.clone(),
            fix: self.fix.as_ref().map(|fix| fix.fields(&self.file)),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, severity, message, file, span, help, .. } = self;
        write!(f, "{}:{}:{}: {severity}[{code}]: {message}", file.name(), span.line, span.column)?;
        match help {
            Some(help) => write!(f, "; help: {help}"),
            None => Ok(()),
        }
    }
}

/// A [`Diagnostic`] as plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiagnosticFields {
    /// `M001` …
    pub code: String,
    /// `error` or `warning`.
    pub severity: String,
    /// What is wrong.
    pub message: String,
    /// Name of the file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What to do about it.
    pub help: Option<String>,
    /// A change that mends it, where there can be no doubt which.
    pub fix: Option<FixFields>,
}

/// Whether any of these makes its file unusable.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(Diagnostic::is_error)
}

/// All of these with the lines that they are about, as a compiler shows them.
pub fn render(diagnostics: &[Diagnostic], colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut out = String::new();
    for diagnostic in diagnostics {
        let source = unsecret(diagnostic, diagnostics);
        out.push_str(&renderer.render(&[group(diagnostic, &source)]));
        out.push_str("\n\n");
    }
    out
}

/// The text of a file, with asterisks for every secret that stands in it where none belongs.
fn unsecret<'d>(diagnostic: &'d Diagnostic, all: &[Diagnostic]) -> Cow<'d, str> {
    let text = diagnostic.file.text();
    let secrets = all.iter().filter(|known| known.code == Code::Secret && known.file == diagnostic.file);
    secrets.fold(Cow::Borrowed(text), |text, known| {
        let (before, after) = (text.get(..known.span.start), text.get(known.span.end..));
        match before.zip(after) {
            Some((before, after)) => {
                let hidden = "*".repeat(known.span.end - known.span.start);
                Cow::Owned([before, &hidden, after].concat())
            }
            None => text,
        }
    })
}

fn group<'d>(diagnostic: &'d Diagnostic, source: &'d str) -> Group<'d> {
    let Diagnostic { code, severity, message, file, span, help, .. } = diagnostic;
    let level = if *severity == Severity::Error { Level::ERROR } else { Level::WARNING };
    let end = span.end.max(span.start);
    let annotation = AnnotationKind::Primary.span(span.start..end);
    let snippet = Snippet::source(source).path(file.name()).annotation(annotation);
    let group = level.primary_title(message.as_str()).id(code.name()).element(snippet);
    match help {
        Some(help) => group.element(Level::HELP.message(help.as_str())),
        None => group,
    }
}
