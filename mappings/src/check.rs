//! Checking a file of either kind.

use crate::code::Code;
use crate::compile::compile_file_with;
use crate::diagnostic::{Diagnostic, SourceFile, Span};
use crate::read::Report;
use crate::site::{Resolve, compile_site};
use crate::words::nearest;
use crate::yaml::{self, Kind};

/// What a file says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// It has the key `uspmap`, or others of a mapping.
    Mapping,
    /// It has the key `site`, or others of a site.
    Site,
}

/// Everything that is wrong with a mapping or site file, in the order of the file.
///
/// `resolve` finds the mapping files that a site names or a mapping extends.
pub fn check_file(file: &SourceFile, resolve: &Resolve<'_>) -> Vec<Diagnostic> {
    match file_kind(file) {
        Ok(FileKind::Mapping) => compile_file_with(file, resolve).1,
        Ok(FileKind::Site) => compile_site(file, resolve).1,
        Err(problem) => vec![*problem],
    }
}

/// What kind of file this is.
///
/// Errors: it is not YAML, or neither kind.
pub fn file_kind(file: &SourceFile) -> Result<FileKind, Box<Diagnostic>> {
    let root = yaml::parse(file)?;
    let keys: Vec<&str> = match &root.kind {
        Kind::Map(entries) => entries.iter().filter_map(|(key, _)| word(&key.kind)).collect(),
        Kind::Scalar { .. } | Kind::List(_) => Vec::new(),
    };
    let has = |marks: &[&str]| marks.iter().any(|mark| keys.contains(mark));
    let resembles = |mark| nearest(mark, keys.iter().copied()).is_some();
    if has(&["uspmap"]) || !has(&["site"]) && has(&["profile", "capabilities"]) || resembles("uspmap") {
        return Ok(FileKind::Mapping);
    }
    if has(&["site", "buses", "devices"]) || resembles("site") {
        return Ok(FileKind::Site);
    }
    let mut report = Report::new(file);
    let at = Span { end: root.span.start, ..root.span };
    report
        .error(Code::NeitherKind, at, "this is neither a mapping nor a site file")
        .help("a mapping begins with `uspmap: 1`, a site with `site: 1`");
    Err(Box::new(report.found.remove(0)))
}

fn word(kind: &Kind) -> Option<&str> {
    match kind {
        Kind::Scalar { text, .. } => Some(text),
        Kind::List(_) | Kind::Map(_) => None,
    }
}
