//! Commands and events that are no Value, and what devices are known by.

use std::borrow::Cow;
use std::time::Duration;

use rust_decimal::Decimal;

use super::{Class, LONGEST_BUSY, Mapping, NodeId, Parts, ReadBinding, ReadPoint, WritePoint};
use crate::payload::Tree;
use crate::port::PointId;
use crate::transform::{Raw, Transform};
use crate::value::Value;

/// A command is given so long at least, however short its steps are.
const SHORTEST: Duration = Duration::from_secs(4);

/// A command of the vendor: `ProxiedDevice.{i}.X_ACME_Name()`, or the like below a node. It is async.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Its name without parentheses.
    pub name: String,
    /// The node that it belongs to; `None`: the device.
    pub node: Option<NodeId>,
    /// What it does, for people.
    pub description: String,
    /// Its input arguments, in the order of the file.
    pub args: Vec<CommandArg>,
    /// What is written, in this order, as one unit; when one fails the rest is not sent.
    pub steps: Vec<CommandStep>,
    /// A command that could not be begun within this time is dropped.
    pub ttl: Duration,
    /// How long all of its steps may take once it has begun, apart from pauses between them.
    pub takes: Duration,
}

impl Mapping {
    /// How long one of its commands may take once it has begun: all of its steps and the pauses between them, but 4 s at least and
    /// [`LONGEST_BUSY`] at most.
    pub fn command_takes(&self, command: &Command) -> Duration {
        let steps = u32::try_from(command.steps.len()).unwrap_or(u32::MAX);
        let pauses = self.write_pause().saturating_mul(steps);
        command.takes.saturating_add(pauses).clamp(SHORTEST, LONGEST_BUSY)
    }
}

/// An input argument of a command.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandArg {
    /// Its name.
    pub name: String,
    /// What it may be.
    pub kind: ArgKind,
    /// What it is when it is not given; `None`: it is mandatory.
    pub default: Option<Value>,
}

/// What an argument may be.
#[derive(Clone, Debug, PartialEq)]
pub enum ArgKind {
    /// A whole number, both ends included.
    Int(Decimal, Decimal),
    /// A number, both ends included.
    Number(Decimal, Decimal),
    /// True or false.
    Bool,
    /// One of these words.
    Enum(Vec<String>),
    /// A text of at most so many characters.
    Text(usize),
}

impl ArgKind {
    /// The value that the text of an argument means.
    ///
    /// Errors: a sentence that says what it should have been.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        match self {
            Self::Int(min, max) | Self::Number(min, max) => {
                let Value::Number(number) = Value::parse(Class::LevelControl, text)? else {
                    return Err(format!("`{text}` is not a number"));
                };
                if matches!(self, Self::Int(..)) && !number.is_integer() {
                    return Err(format!("`{text}` is not a whole number"));
                }
                if number < *min || number > *max {
                    return Err(format!("`{text}` is outside {min} to {max}"));
                }
                Ok(Value::Number(number))
            }
            Self::Bool => Value::parse(Class::BinaryControl, text),
            Self::Enum(words) if words.iter().any(|word| word == text) => Ok(Value::Text(text.to_owned())),
            Self::Enum(words) => Err(format!("`{text}` is none of {}", words.join(", "))),
            Self::Text(most) if text.chars().count() <= *most => Ok(Value::Text(text.to_owned())),
            Self::Text(most) => Err(format!("it has more than {most} characters")),
        }
    }
}

/// One write of a command.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandStep {
    /// Where it goes.
    pub point: WritePoint,
    /// From the value to the raw one.
    pub transform: Transform,
    /// What is written.
    pub value: StepValue,
}

/// What a step of a command writes.
#[derive(Clone, Debug, PartialEq)]
pub enum StepValue {
    /// Always this.
    Fixed(Value),
    /// The argument at this place in [`Command::args`].
    Arg(usize),
    /// A body with several of them in it.
    Made(Made),
}

/// A body that is made of arguments, whole before it is handed to where it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// A document, or a text if `plain`, with `${arg.Name}` where arguments go.
    pub tree: Tree,
    /// Whether it is a text, and no JSON document.
    pub plain: bool,
    /// The arguments by their names, and their places in [`Command::args`].
    pub args: Vec<(String, usize)>,
}

impl Made {
    /// The body as text. `None`: an argument is missing, or cannot stand there.
    pub fn body(&self, args: &[Value]) -> Option<String> {
        let of = |name: &str| {
            let (_, place) = self.args.iter().find(|(known, _)| known == name)?;
            args.get(*place)
        };
        self.tree.made(self.plain, &of)
    }
}

impl CommandStep {
    /// What is written, given the arguments of the command in their order.
    pub fn value<'v>(&'v self, args: &'v [Value]) -> Option<Cow<'v, Value>> {
        match &self.value {
            StepValue::Fixed(value) => Some(Cow::Borrowed(value)),
            StepValue::Arg(place) => args.get(*place).map(Cow::Borrowed),
            StepValue::Made(made) => made.body(args).map(|body| Cow::Owned(Value::Text(body))),
        }
    }
}

/// An event of the vendor: `ProxiedDevice.{i}.X_ACME_Name!`, or the like below a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its name with its node and without the exclamation mark: `left.X_ACME_Overload`. Unique in the mapping.
    pub id: String,
    /// Its name without the exclamation mark.
    pub name: String,
    /// The node that it belongs to; `None`: the device.
    pub node: Option<NodeId>,
    /// What it tells, for people.
    pub description: String,
    /// What its readings are like.
    pub class: Class,
    /// What it is seen by.
    pub read: ReadBinding,
    /// When it happens.
    pub trigger: Trigger,
    /// What it carries: name of the argument, and what is shown there.
    pub args: Vec<(String, EventArg)>,
}

/// When an event happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Trigger {
    /// Whenever the reading is another one.
    Change,
    /// When the reading becomes one of these.
    Becomes(Vec<Value>),
    /// Each time that the device says one of these, be it the same again.
    Says(Vec<Value>),
}

impl Trigger {
    /// Whether the event happens between one good reading and the next. There is none before the first one, but for
    /// what is an occurrence by being said.
    pub fn fires(&self, before: Option<&Value>, now: &Value) -> bool {
        let is_new = before.is_some_and(|before| before != now);
        match self {
            Self::Change => is_new,
            Self::Becomes(wanted) => is_new && wanted.contains(now),
            Self::Says(wanted) => wanted.contains(now),
        }
    }
}

/// What an argument of an event shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventArg {
    /// The reading that the event was seen by.
    Own,
    /// The last good reading of a capability.
    Capability(PointId),
}

impl Event {
    pub(super) fn parts(&self) -> Parts<'_> {
        (&self.id, self.class, Some(&self.read), None)
    }
}

/// Something that a device of a model shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Fingerprint {
    /// Where.
    pub point: ReadPoint,
    /// Any of these.
    pub equals: Vec<Raw>,
}
