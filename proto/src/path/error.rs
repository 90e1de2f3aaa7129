//! What is wrong with a path, and where.

use super::{MAX_DEPTH, MAX_LENGTH};

/// Why a text is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} (at byte {offset})")]
pub struct PathError {
    /// Where, in bytes from the start of the text.
    pub offset: usize,
    /// What.
    pub kind: PathErrorKind,
}

/// What is wrong with a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathErrorKind {
    /// Nothing there.
    #[error("the path is empty")]
    Empty,
    /// More than [`MAX_LENGTH`] bytes.
    #[error("the path is longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// More than [`MAX_DEPTH`] segments.
    #[error("the path has more than {MAX_DEPTH} segments")]
    TooDeep,
    /// No name where one has to be.
    #[error("expected a name (a letter or `_`, then letters, digits, `_`)")]
    ExpectedName,
    /// `-` outside of a vendor name.
    #[error("`-` is allowed in vendor names (`X_…`) alone")]
    Hyphen,
    /// A character that belongs to no name.
    #[error("{0:?} cannot be part of a name")]
    NameCharacter(char),
    /// Something other than what had to follow.
    #[error("expected {0}")]
    Expected(&'static str),
    /// A number, key, expression or wildcard that does not stand behind the name of a table.
    #[error("a number, `*` or `[…]` must stand behind the name of a table")]
    MisplacedInstance,
    /// `+` that does not stand behind a name.
    #[error("a reference is followed (`+`) behind the name of a Parameter alone")]
    MisplacedFollow,
    /// Zero, a leading zero, or too large for an Instance Number.
    #[error("a number must be from 1 to 4294967295, without leading zeros")]
    Number,
    /// The text ends in the middle of something.
    #[error("the path ends too early, expected {0}")]
    EndsEarly(&'static str),
    /// A constant that is neither in quotes nor of a form that may go without them.
    #[error("the constant is no number, boolean, dateTime or hexBinary; text must stand in double quotes")]
    Constant,
    /// Something behind the end of the path.
    #[error("nothing may follow {0}")]
    Trailing(&'static str),
}
