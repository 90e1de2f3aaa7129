//! A position in a text that is being read.

use super::error::{PathError, PathErrorKind};
use super::{InstanceNumber, MAX_LENGTH, Name};

pub(super) struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    /// Errors: the text is empty or too long.
    pub(super) fn new(text: &'a str) -> Result<Self, PathError> {
        let scan = Self { text, at: 0 };
        match text.len() {
            0 => Err(scan.error(PathErrorKind::Empty)),
            1..=MAX_LENGTH => Ok(scan),
            _ => Err(PathError { offset: MAX_LENGTH, kind: PathErrorKind::TooLong }),
        }
    }

    pub(super) fn error(&self, kind: PathErrorKind) -> PathError {
        PathError { offset: self.at, kind }
    }

    /// The error for when `what` had to come.
    pub(super) fn expected(&self, what: &'static str) -> PathError {
        let kind = if self.is_end() { PathErrorKind::EndsEarly(what) } else { PathErrorKind::Expected(what) };
        self.error(kind)
    }

    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn is_end(&self) -> bool {
        self.at >= self.text.len()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Steps over `token` if it comes next.
    pub(super) fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    pub(super) fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// Errors: `token` does not come next; `what` says so in words.
    pub(super) fn need(&mut self, token: &str, what: &'static str) -> Result<(), PathError> {
        if self.take(token) { Ok(()) } else { Err(self.expected(what)) }
    }

    pub(super) fn skip_spaces(&mut self) {
        self.take_while(|c| c == ' ' || c == '\t');
    }

    /// Errors: no name comes next.
    pub(super) fn name(&mut self) -> Result<Name, PathError> {
        let start = self.at;
        let text = self.take_while(|c| c.is_alphanumeric() || c == '_' || c == '-');
        if text.is_empty() && self.is_end() {
            return Err(self.error(PathErrorKind::EndsEarly("a name")));
        }
        Name::new(text).map_err(|e| PathError { offset: start + e.offset, kind: e.kind })
    }

    /// Errors: the digits that come next are no positive number.
    pub(super) fn number(&mut self) -> Result<InstanceNumber, PathError> {
        let start = self.at;
        let digits = self.take_while(|c| c.is_ascii_digit());
        let number = if digits.starts_with('0') { None } else { digits.parse().ok() };
        number.ok_or(PathError { offset: start, kind: PathErrorKind::Number })
    }

    /// Errors: something is left; `what` names what was complete.
    pub(super) fn end(&self, what: &'static str) -> Result<(), PathError> {
        if self.is_end() { Ok(()) } else { Err(self.error(PathErrorKind::Trailing(what))) }
    }
}
