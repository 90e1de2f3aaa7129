//! Nodes, commands, events and fingerprints as they were written.

use std::time::Duration;

use super::{At, ParamKind, PointDraft, PollDraft, ReadDraft};
use crate::diagnostic::Span;
use crate::mapping::NodeId;

/// One entry of `nodes`. Its capabilities, commands and events are among those of the mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeDraft {
    /// Its key.
    pub id: At<String>,
    /// `type`.
    pub kind: Option<At<String>>,
    /// `description`.
    pub description: Option<At<String>>,
}

/// One entry of `commands`.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandDraft {
    /// Its key, with its node: `left.X_ACME_Reset`.
    pub id: At<String>,
    /// The node that it belongs to.
    pub node: Option<NodeId>,
    /// `description`.
    pub description: Option<At<String>>,
    /// `args`.
    pub args: Vec<ArgDraft>,
    /// `send`.
    pub send: Vec<StepDraft>,
    /// `ttl`.
    pub ttl: Option<At<Duration>>,
}

/// One entry of `args` of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgDraft {
    /// Its name.
    pub name: At<String>,
    /// What it may be.
    pub kind: ParamKind,
    /// `default`; without one it must be given.
    pub default: Option<At<String>>,
}

/// One entry of `send` of a command.
#[derive(Clone, Debug, PartialEq)]
pub struct StepDraft {
    /// Place of the whole map.
    pub span: Span,
    /// Where it goes, and what the value means there.
    pub point: PointDraft,
    /// `fc`.
    pub function: Option<At<u8>>,
    /// `rmw`.
    pub read_modify_write: Option<At<bool>>,
    /// `value`: a constant, or `${arg.Name}`.
    pub value: Option<At<String>>,
}

/// One entry of `events`.
#[derive(Clone, Debug, PartialEq)]
pub struct EventDraft {
    /// Its key, with its node: `left.X_ACME_Overload`.
    pub id: At<String>,
    /// The node that it belongs to.
    pub node: Option<NodeId>,
    /// `description`.
    pub description: Option<At<String>>,
    /// `read`.
    pub read: Option<ReadDraft>,
    /// `on`.
    pub on: Option<At<OnDraft>>,
    /// `repeat`: each message is an occurrence, the same again too.
    pub repeat: Option<At<bool>>,
    /// `poll`.
    pub poll: Option<At<PollDraft>>,
    /// `args`: name, and the capability that is shown there, or `${value}`.
    pub args: Vec<(At<String>, At<String>)>,
}

/// `on` of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnDraft {
    /// When it becomes true or false.
    Becomes(bool),
    /// Whenever it is another one.
    Change,
    /// When it becomes one of these raw values or states.
    OneOf(Vec<At<String>>),
}

/// One entry of `fingerprint`.
#[derive(Clone, Debug, PartialEq)]
pub struct FingerprintDraft {
    /// Place of the whole map.
    pub span: Span,
    /// Where.
    pub point: PointDraft,
    /// `equals`: any of these.
    pub equals: Vec<At<String>>,
}
