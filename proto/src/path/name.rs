//! Names of Objects, Parameters, Commands and Events.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use super::error::{PathError, PathErrorKind};
use super::{MAX_LENGTH, Name};

impl Name {
    /// Reads a name.
    ///
    /// Errors: it is empty, too long, or has a character that names have not.
    pub fn new(text: &str) -> Result<Self, PathError> {
        match check(text) {
            Ok(()) => Ok(Self(text.into())),
            Err((offset, kind)) => Err(PathError { offset, kind }),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a vendor made it: `X_…`.
    pub fn is_vendor(&self) -> bool {
        is_vendor(&self.0)
    }
}

fn check(text: &str) -> Result<(), (usize, PathErrorKind)> {
    if text.len() > MAX_LENGTH {
        return Err((MAX_LENGTH, PathErrorKind::TooLong));
    }
    if !text.starts_with(is_name_start) {
        return Err((0, PathErrorKind::ExpectedName));
    }
    let vendor = is_vendor(text);
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || (vendor && c == '-');
    match text.char_indices().find(|(_, c)| !fits(*c)) {
        None => Ok(()),
        Some((at, '-')) => Err((at, PathErrorKind::Hyphen)),
        Some((at, c)) => Err((at, PathErrorKind::NameCharacter(c))),
    }
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn is_vendor(text: &str) -> bool {
    text.starts_with("X_")
}

impl FromStr for Name {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::new(text)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["Device", "_x", "X_USPBROKER_Quality", "X_ACME-COM_Thing", "WiFi6", "A"] {
            assert_eq!(Name::new(good).unwrap(), good);
        }
        let error = |text| Name::new(text).unwrap_err();
        assert_eq!(error("").kind, PathErrorKind::ExpectedName);
        assert_eq!(error("6x").kind, PathErrorKind::ExpectedName);
        assert_eq!(error("a-b"), PathError { offset: 1, kind: PathErrorKind::Hyphen });
        assert_eq!(error("a b"), PathError { offset: 1, kind: PathErrorKind::NameCharacter(' ') });
        assert_eq!(error("aä"), PathError { offset: 1, kind: PathErrorKind::NameCharacter('ä') });
    }
}
