//! What is wrong with a configuration file, where, and what to do about it.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeTable;

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{path}: {source}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It has problems; one a line.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Problem>),
}

/// One problem. Displays as `file:line:col: error: …; help: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file as the user named it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Lower-case, in the words of the file.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, message, help } = self;
        write!(f, "{file}:{line}:{column}: error: {message}")?;
        match help {
            Some(help) => write!(f, "; help: {help}"),
            None => Ok(()),
        }
    }
}

/// Gathers problems while the file is walked.
pub(super) struct Problems<'t> {
    text: &'t str,
    found: Vec<(Range<usize>, String, Option<String>)>,
    secrets: Vec<Range<usize>>,
}

impl<'t> Problems<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, found: Vec::new(), secrets: Vec::new() }
    }

    /// Notes that a secret itself stands in the file: no problem by itself.
    pub(super) fn note_secret(&mut self, at: Range<usize>) {
        self.secrets.push(at);
    }

    /// The lines with secrets, from 1.
    pub(super) fn secret_lines(&self) -> Vec<usize> {
        self.secrets.iter().map(|at| position(self.text, at.start).0).collect()
    }

    /// Parses the text as far as possible.
    pub(super) fn document(&mut self) -> Spanned<DeTable<'t>> {
        let (document, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            self.add(error.span().unwrap_or_default(), error.message().replace('\n', ", "));
        }
        document
    }

    pub(super) fn add(&mut self, at: Range<usize>, message: impl Into<String>) {
        self.found.push((at, message.into(), None));
    }

    pub(super) fn add_with_help(
        &mut self,
        at: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.found.push((at, message.into(), Some(help.into())));
    }

    /// All problems in the order of the file, if there is any.
    pub(super) fn finish(mut self, name: &str) -> Result<(), ConfigError> {
        if self.found.is_empty() {
            return Ok(());
        }
        self.found.sort_by_key(|(at, ..)| at.start);
        let text = self.text;
        let place = |(at, message, help): (Range<usize>, String, Option<String>)| {
            let (line, column) = position(text, at.start);
            Problem { file: name.to_owned(), line, column, message, help }
        };
        Err(ConfigError::Invalid(self.found.into_iter().map(place).collect()))
    }
}

/// Line and column (in characters) of a byte, both from 1.
fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// The one of `known` that was probably meant by `word`.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len().min(word.len()) / 3).max(1))
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many letters are wrong, missing, too many or exchanged with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let cell = |up: usize, left: usize| at(&rows, i + 1 - up, j + 1 - left);
            let left = row.last().copied().unwrap_or_default();
            let mut best = (cell(1, 1) + usize::from(x != y)).min(cell(1, 0) + 1).min(left + 1);
            if i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x) {
                best = best.min(cell(2, 2) + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    at(&rows, a.len(), b.len())
}

fn at(rows: &[Vec<usize>], row: usize, column: usize) -> usize {
    rows.get(row).and_then(|row| row.get(column)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_single_edits() {
        let check = |a, b, expected| assert_eq!(distance(a, b), expected, "{a} {b}");
        check("", "", 0);
        check("listen", "listen", 0);
        check("listne", "listen", 1);
        check("nelist", "listen", 4);
        check("", "abc", 3);
        check("kitten", "sitting", 3);
        check("é", "e", 1);
    }

    #[test]
    fn nearest_wants_a_likely_word() {
        assert_eq!(nearest("lissten", ["path", "listen"]), Some("listen"));
        assert_eq!(nearest("whatever", ["path", "listen"]), None);
    }

    #[test]
    fn position_counts_characters() {
        assert_eq!(position("ä = 1\nbé = 2", 10), (2, 3));
        assert_eq!(position("", 0), (1, 1));
    }
}
