//! Paths of the instantiated and of the supported data model (TR-369 "Path Names", TR-106, R-ARC.7).
//!
//! [`Path`] is what a Controller writes: numbers, keys, search expressions, wildcards, reference following.
//! [`SupportedPath`] is a path of the schema, with `{i}` where a table has its rows.
//! Displaying a path is the exact inverse of reading it.

mod display;
mod error;
mod expr;
mod name;
mod parse;
mod scan;
mod supported;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use error::{PathError, PathErrorKind};

/// The longest text that is read as a path, in bytes.
pub const MAX_LENGTH: usize = 8192;

/// The most segments a path may have, and the most objects a relative path inside an expression.
pub const MAX_DEPTH: usize = 64;

/// A row's number: positive, never changed while the row lives (R-ARC.8).
pub type InstanceNumber = u32;

/// One name between two dots: a letter or `_`, then letters, digits, `_` and (in vendor names) `-`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

/// A path of the instantiated data model, as a Controller may write it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path {
    /// From `Device` down to the addressed object; never empty, and the first is a [`Segment::Name`].
    pub segments: Vec<Segment>,
    /// What of that object is meant.
    pub leaf: Leaf,
}

/// One step down a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Segment {
    /// An object's name.
    Name(Name),
    /// One row by its number.
    Instance(InstanceNumber),
    /// `*`: every row (R-ARC.10).
    Wildcard,
    /// `[…]`: every row that meets the expression (R-ARC.9).
    Search(Expression),
    /// `+`: the preceding name is a reference Parameter; the path goes on at the object that it names.
    Follow(ListItem),
}

/// Which item of a list of references is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ListItem {
    /// `+`: the first item.
    First,
    /// `#n+`: the n-th item, from 1.
    Nth(u32),
    /// `#*+`: every item.
    All,
}

/// What of an object a path addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Leaf {
    /// The object itself and all below it; the text ends in `.`.
    Object,
    /// One Parameter.
    Parameter(Name),
    /// One Command; the text ends in `()`.
    Command(Name),
    /// One Event; the text ends in `!`.
    Event(Name),
}

/// The content of `[…]`: components, all of which must hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Expression(pub Vec<Component>);

/// `relpath operator value`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Component {
    /// Object names (and reference Parameters to follow) below the row; without the Parameter itself.
    pub objects: Vec<(Name, Option<ListItem>)>,
    /// The Parameter that is compared.
    pub parameter: Name,
    /// How.
    pub operator: Operator,
    /// With what.
    pub value: Literal,
}

/// Comparison in a search expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operator {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `~=`: the list has an item equal to the constant.
    Contains,
    /// `<`
    Less,
    /// `>`
    Greater,
    /// `<=`
    LessOrEqual,
    /// `>=`
    GreaterOrEqual,
}

/// A constant in a search expression.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Literal {
    /// The text, with `%22` and `%25` of a quoted constant already undone.
    pub text: String,
    /// Whether it stood in double quotes.
    pub quoted: bool,
}

/// A path of the supported data model.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SupportedPath {
    /// From `Device` down.
    pub segments: Vec<SupportedSegment>,
    /// What of that object is meant.
    pub leaf: Leaf,
}

/// One step down a [`SupportedPath`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SupportedSegment {
    /// An object's name.
    Name(Name),
    /// `{i}`: any row.
    AnyInstance,
    /// One row, where rows differ in what they support (divergent paths).
    Instance(InstanceNumber),
}

/// The Parameter of a setting in Set and Add, relative to the Object that is set.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelativeParam {
    /// Single-instance children to go down through; usually none.
    pub objects: Vec<Name>,
    /// The Parameter.
    pub parameter: Name,
}
