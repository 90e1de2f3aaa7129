//! A change of a file that mends a problem without a question, and carrying several of them out.

use serde::Serialize;

use crate::code::Code;
use crate::diagnostic::{Diagnostic, SourceFile, Span};

/// Nobody has that many layers of mistakes.
const ROUNDS: usize = 16;

/// What to write in the place of what stands there. An empty place is where something is added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What is replaced.
    pub span: Span,
    /// What to write instead.
    pub text: String,
}

/// A [`Fix`] as plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FixFields {
    /// First line of what is replaced, from 1.
    pub line: usize,
    /// Its first column in characters, from 1.
    pub column: usize,
    /// Line where it ends.
    pub end_line: usize,
    /// The column after its last character.
    pub end_column: usize,
    /// What to write instead.
    pub text: String,
}

impl Fix {
    pub(crate) fn fields(&self, file: &SourceFile) -> FixFields {
        let Span { start, end, line, column, file: _ } = self.span;
        let replaced = file.text().get(start..end).unwrap_or_default();
        let (end_line, end_column) = match replaced.rsplit_once('\n') {
            Some((before, last)) => (line + before.matches('\n').count() + 1, last.chars().count() + 1),
            None => (line, column + replaced.chars().count()),
        };
        FixFields { line, column, end_line, end_column, text: self.text.clone() }
    }
}

/// The text of a file after every fix for it that these diagnostics bring, and how many there were. Of fixes that
/// touch each other only the first is carried out; checking the result shows what is left.
pub fn mend(file: &SourceFile, diagnostics: &[Diagnostic]) -> (String, usize) {
    let mine = diagnostics.iter().filter(|diagnostic| diagnostic.file.name() == file.name());
    let mut fixes: Vec<&Fix> = mine.filter_map(|diagnostic| diagnostic.fix.as_ref()).collect();
    fixes.sort_by_key(|fix| (fix.span.start, fix.span.end));
    let (mut text, mut done, mut count) = (String::new(), 0, 0);
    for fix in fixes {
        // The place of a fix is that of a diagnostic of this text; another text is left as it is.
        let Some(before) = file.text().get(done..fix.span.start) else { continue };
        text.push_str(before);
        text.push_str(&fix.text);
        done = fix.span.end.max(fix.span.start);
        count += 1;
    }
    text.push_str(file.text().get(done..).unwrap_or_default());
    (text, count)
}

/// A file after its fixes.
#[derive(Clone, Debug)]
pub struct Mended {
    /// The file.
    pub file: SourceFile,
    /// What is left.
    pub found: Vec<Diagnostic>,
    /// How many fixes were carried out.
    pub count: usize,
}

/// Mends a file again and again, since a fix can bring to light what it hid. A round that would leave more errors than
/// there were is not made.
pub fn mend_all(file: SourceFile, check: impl Fn(&SourceFile) -> Vec<Diagnostic>) -> Mended {
    let found = check(&file);
    let mut done = Mended { file, found, count: 0 };
    for _ in 0..ROUNDS {
        let (text, count) = mend(&done.file, &done.found);
        if count == 0 {
            break;
        }
        let file = SourceFile::new(done.file.name(), &text);
        let found = check(&file);
        if errors(&found) > errors(&done.found) && !hides(&done.found) {
            break;
        }
        done = Mended { file, found, count: done.count + count };
    }
    done
}

/// A test that could not be run before may fail now; what it shows was wrong before.
fn errors(found: &[Diagnostic]) -> usize {
    found.iter().filter(|problem| problem.is_error() && problem.code != Code::TestFailed).count()
}

/// Whether this kept the file from being read, and hides whatever else is wrong with it.
fn hides(found: &[Diagnostic]) -> bool {
    let unread =
        |problem: &Diagnostic| matches!(problem.code, Code::Syntax | Code::TooLarge | Code::YamlTrap);
    !found.is_empty() && found.iter().all(unread)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Nature, Severity};

    fn problem(file: &SourceFile, start: usize, end: usize, text: &str) -> Diagnostic {
        let span = Span { start, end, line: 1, column: start + 1, file: 0 };
        let fix = Some(Fix { span, text: text.to_owned() });
        let (code, severity) = (Code::Unit, Severity::Error);
        let nature = Nature::Own;
        Diagnostic {
            code,
            severity,
            nature,
            message: String::new(),
            file: file.clone(),
            span,
            help: None,
            fix,
        }
    }

    #[test]
    fn fixes_do_not_disturb_each_other() {
        let file = SourceFile::new("x", "unit: KWh, map: {}");
        let found = [
            problem(&file, 11, 14, "scale"),
            problem(&file, 6, 9, "kWh"),
            problem(&file, 7, 9, "overlapping"),
            problem(&file, 18, 18, "\n"),
        ];
        assert_eq!(mend(&file, &found), ("unit: kWh, scale: {}\n".to_owned(), 3));
        assert_eq!(mend(&SourceFile::new("y", "other"), &found), ("other".to_owned(), 0));
    }

    #[test]
    fn a_round_that_would_make_it_worse_is_not_made() {
        let file = SourceFile::new("x", "aa");
        let worse = |file: &SourceFile| {
            let places = if file.text() == "aa" { 1 } else { 2 };
            (0..places).map(|at| problem(file, at, at + 1, "b")).collect::<Vec<_>>()
        };
        let left = mend_all(file.clone(), worse);
        assert_eq!((left.file.text(), left.count, left.found.len()), ("aa", 0, 1));
        let better = |file: &SourceFile| {
            let found = file.text().find('a').map(|at| problem(file, at, at + 1, "b"));
            found.into_iter().collect::<Vec<_>>()
        };
        let left = mend_all(file, better);
        assert_eq!((left.file.text(), left.count, left.found.len()), ("bb", 2, 0));
    }

    #[test]
    fn the_end_of_a_fix_counts_lines_and_characters() {
        let file = SourceFile::new("x", "a: °\nbc: 1\n");
        let span = Span { start: 3, end: 9, line: 1, column: 4, file: 0 };
        let fields = Fix { span, text: String::new() }.fields(&file);
        assert_eq!((fields.end_line, fields.end_column), (2, 4));
        let span = Span { start: 3, end: 5, line: 1, column: 4, file: 0 };
        assert_eq!(Fix { span, text: String::new() }.fields(&file).end_column, 5);
    }
}
