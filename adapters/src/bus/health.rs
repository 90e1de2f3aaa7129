//! Whether a device is there, and what the core was told about it.

use std::time::Instant;

use usp_mapping::mapping::OnlineRule;
use usp_mapping::port::DeviceFault;

use crate::bus::backoff::{Backoff, Jitter};

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// It answers, or nothing is known yet: calls are taken.
    Usable,
    /// Calls are refused; a probe looks for it at this instant.
    Offline { cause: String, probe_at: Instant },
    /// Whoever keeps count of it says that it is not there: nothing is sent before it is heard again.
    Away { cause: String },
    /// The connection is down: nothing is sent before it is back.
    Cut { cause: String },
}

/// What may be sent to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// Anything.
    All,
    /// A probe, at this instant.
    Probe(Instant),
    /// Nothing.
    Nothing,
}

/// Counts silences, decides when a device is offline and when to look for it.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    state: State,
    silences: u32,
    fails: u32,
    backoff: Backoff,
    told: Option<Result<(), DeviceFault>>,
    /// Whether the core knew it to be there when the connection went.
    was_online: bool,
}

impl Health {
    /// A device of which nothing is known yet.
    pub(crate) fn new(rule: &OnlineRule) -> Self {
        let backoff = Backoff::new(rule.backoff_min, rule.backoff_max);
        Self {
            state: State::Usable,
            silences: 0,
            fails: rule.fails.max(1),
            backoff,
            told: None,
            was_online: false,
        }
    }

    /// What may be sent.
    pub(crate) fn allows(&self) -> Allowed {
        match self.state {
            State::Usable => Allowed::All,
            State::Offline { probe_at, .. } => Allowed::Probe(probe_at),
            State::Away { .. } | State::Cut { .. } => Allowed::Nothing,
        }
    }

    /// Why calls are refused, if they are.
    pub(crate) fn refusal(&self) -> Option<DeviceFault> {
        match &self.state {
            State::Usable => None,
            State::Offline { cause, .. } | State::Away { cause } | State::Cut { cause } => {
                Some(DeviceFault::Unreachable(cause.clone()))
            }
        }
    }

    /// Exchanges without a usable answer in a row.
    pub(crate) fn silences(&self) -> u32 {
        self.silences
    }

    /// Whether the core knows it to be there.
    pub(crate) fn is_known_online(&self) -> bool {
        self.told == Some(Ok(()))
    }

    /// It answered; whether that brings it back.
    pub(crate) fn answered(&mut self) -> bool {
        self.silences = 0;
        self.backoff.reset();
        self.allow()
    }

    /// It did not answer.
    pub(crate) fn silent(&mut self) {
        self.silences = self.silences.saturating_add(1);
    }

    /// Whether the last silence was one too many, as is any of a device that is offline. Where something else says that it
    /// is not there, its silence says nothing.
    pub(crate) fn is_lost(&self) -> bool {
        match self.state {
            State::Usable => self.silences >= self.fails,
            State::Offline { .. } => true,
            State::Away { .. } | State::Cut { .. } => false,
        }
    }

    /// Refuses calls until a probe at some later time is answered.
    pub(crate) fn lose(&mut self, now: Instant, fault: &DeviceFault, jitter: &mut Jitter) -> DeviceFault {
        let cause = match fault {
            DeviceFault::Unreachable(cause) => cause.clone(),
            other => other.to_string(),
        };
        let probe_at = now + self.backoff.next(jitter);
        self.state = State::Offline { cause: cause.clone(), probe_at };
        DeviceFault::Unreachable(cause)
    }

    /// It is said not to be there.
    pub(crate) fn away(&mut self, cause: &str) -> DeviceFault {
        if !self.is_cut() {
            self.state = State::Away { cause: cause.to_owned() };
        }
        DeviceFault::Unreachable(cause.to_owned())
    }

    /// It is not there for another reason than was thought.
    pub(crate) fn explain(&mut self, why: &str) -> DeviceFault {
        if let State::Away { cause } = &mut self.state {
            why.clone_into(cause);
        }
        DeviceFault::Unreachable(why.to_owned())
    }

    /// Whether the connection is down.
    pub(crate) fn is_cut(&self) -> bool {
        matches!(self.state, State::Cut { .. })
    }

    /// Whether the core knew it to be there when the connection went.
    pub(crate) fn was_online(&self) -> bool {
        self.was_online
    }

    /// Whether it is known to be there, and may leave more unanswered before it is lost.
    pub(crate) fn has_chances(&self) -> bool {
        self.is_known_online() && self.silences < self.fails
    }

    /// The connection cannot be made.
    pub(crate) fn cut(&mut self, cause: &str) -> DeviceFault {
        if !self.is_cut() {
            self.was_online = self.is_known_online();
        }
        self.state = State::Cut { cause: cause.to_owned() };
        DeviceFault::Unreachable(cause.to_owned())
    }

    /// The connection is back, if it was down: a device that was lost with it has its chances again.
    pub(crate) fn reconnected(&mut self) -> bool {
        let cut = self.is_cut();
        if cut {
            if !self.is_known_online() {
                self.silences = 0;
            }
            self.state = State::Usable;
        }
        cut
    }

    /// Takes calls; whether it did not before.
    pub(crate) fn allow(&mut self) -> bool {
        std::mem::replace(&mut self.state, State::Usable) != State::Usable
    }

    /// Whether this is news for the core.
    pub(crate) fn tell(&mut self, online: &Result<(), DeviceFault>) -> bool {
        let news = self.told.as_ref() != Some(online);
        self.told = Some(online.clone());
        news
    }
}
