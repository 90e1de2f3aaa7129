//! What of a mapping file has mistakes, so that nothing is told that only follows from them.

use std::collections::BTreeMap;

use crate::read::mapping::is_name;

/// What a mistake means for the thing that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Flaw {
    /// All of it was read.
    Told,
    /// Something of it may not have been read.
    Unread,
}

/// Mistakes by what they are in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flawed {
    /// Whether something has one that everything depends on.
    pub(crate) whole: bool,
    /// Whether `poll` may have groups that could not be read.
    pub(crate) poll: bool,
    /// Capabilities, commands and events, by their keys with their nodes.
    members: BTreeMap<String, Flaw>,
}

impl Flawed {
    /// Keeps what the mistakes of a thing mean, if it has any.
    pub(crate) fn note(&mut self, id: &str, flaw: Option<Flaw>) {
        let Some(flaw) = flaw else { return };
        let known = self.members.entry(id.to_owned()).or_insert(flaw);
        *known = flaw.max(*known);
    }

    /// Whether there is no mistake in anything that others could follow from.
    pub(crate) fn is_empty(&self) -> bool {
        !self.whole && !self.poll && self.members.is_empty()
    }

    /// Whether something of this capability, command or event may seem to be missing.
    pub(crate) fn is_unread(&self, id: &str) -> bool {
        self.members.get(id) == Some(&Flaw::Unread)
    }

    /// Whether this has a mistake, be it a capability, a window that one holds (`motion.hold`), a command or an event.
    pub(crate) fn has(&self, id: &str) -> bool {
        let of = id.rsplit_once('.').map_or(id, |(of, _)| of);
        self.members.contains_key(id) || self.members.contains_key(of)
    }

    /// Those whose mistake is their key, which has to be changed wherever it stands.
    pub(crate) fn misnamed(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str).filter(|id| !is_name(id))
    }

    /// Whether any capability, command or event has one.
    pub(crate) fn has_members(&self) -> bool {
        !self.members.is_empty()
    }

    /// These mistakes and those of another look.
    pub(crate) fn and(mut self, other: &Self) -> Self {
        self.whole |= other.whole;
        self.poll |= other.poll;
        other.members.iter().for_each(|(id, flaw)| self.note(id, Some(*flaw)));
        self
    }
}
