//! Requests whose answers may still come. Pure.
//!
//! A request whose time is over is *owed* an answer, until one comes that is like it, until the same device has answered a
//! later one as only that can be answered (a device answers in the order in which it is asked), or until [`forgotten`] after
//! it failed. An answer to the same question is as good as one's own, unless something was told to a device in between.
//! What is like the answer to one that is owed and to the one that is waited for is taken for the former.

use std::time::{Duration, Instant};

use usp_mapping::mapping::LineManner;

use super::conversation::{Ask, Expect, Fit, fit, is_open};

/// How many times its time-out, and how long at least, an answer may come late.
const LATE: (u32, Duration) = (10, Duration::from_secs(5));

/// Most requests that are owed an answer: the line is silent then until none is.
const MOST: usize = 32;

/// How long after its time-out no answer to a request comes any more.
pub(super) fn forgotten(timeout: Duration) -> Duration {
    (timeout * LATE.0).max(LATE.1)
}

/// All that is owed on a line, in the order in which it was asked.
#[derive(Debug, Default)]
pub(crate) struct Debts(Vec<Debt>);

#[derive(Debug)]
struct Debt {
    ask: Ask,
    since: Instant,
    until: Instant,
    /// Something was told to a device since: an answer may say how it was before.
    outdated: bool,
}

/// Whose a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// The answer to the request that is waited for.
    Own,
    /// The answer to an earlier one; `alike`: it would do for the one that is waited for, too.
    Earlier { alike: bool },
    /// No answer.
    Nobodys,
}

impl Debts {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether no more can be kept in mind.
    pub(super) fn are_many(&self) -> bool {
        self.0.len() >= MOST
    }

    /// When nothing is owed any more.
    pub(super) fn until(&self) -> Option<Instant> {
        self.0.iter().map(|debt| debt.until).max()
    }

    /// Another request goes out.
    pub(super) fn asked(&mut self, now: Instant, ask: &Ask) {
        self.0.retain(|debt| debt.until > now);
        if !matches!(ask.expect, Expect::Reading(_)) {
            self.0.iter_mut().for_each(|debt| debt.outdated = true);
        }
    }

    /// A request was not answered in time.
    pub(super) fn owe(&mut self, now: Instant, ask: Ask) {
        let late = forgotten(ask.timeout);
        self.add(now, ask, late);
    }

    fn add(&mut self, now: Instant, ask: Ask, late: Duration) {
        if ask.expect != Expect::Nothing {
            self.0.push(Debt { ask, since: now, until: now + late, outdated: false });
        }
    }

    /// Whose a frame is, while this request is waited for.
    pub(super) fn settle(
        &mut self,
        now: Instant,
        manner: &LineManner,
        waiting: Option<&Ask>,
        frame: &[u8],
    ) -> Whose {
        let own = waiting.filter(|ask| is_answer(manner, ask, frame));
        let earlier = self.0.iter().position(|debt| is_answer(manner, &debt.ask, frame));
        match (earlier, own) {
            (None, None) => Whose::Nobodys,
            (None, Some(ask)) => {
                if shows_where_it_is(ask) {
                    self.0.retain(|debt| debt.ask.device != ask.device);
                }
                Whose::Own
            }
            (Some(at), Some(ask)) if self.0.get(at).is_some_and(|debt| debt.is_the_same(ask)) => {
                // Two were asked for this, and one came: if it is the earlier one's, this one's comes as late as that.
                let since = self.paid(at).map_or(now, |debt| debt.since);
                let as_late = (now - since) * 2 + ask.timeout;
                self.add(now, ask.clone(), as_late.min(forgotten(ask.timeout)));
                Whose::Own
            }
            (Some(at), own) => {
                self.paid(at);
                Whose::Earlier { alike: own.is_some() }
            }
        }
    }

    /// Its answer came: those to what its device was asked before do not come any more.
    fn paid(&mut self, at: usize) -> Option<Debt> {
        let paid = (at < self.0.len()).then(|| self.0.remove(at))?;
        if shows_where_it_is(&paid.ask) {
            let mut index = 0;
            self.0.retain(|debt| {
                index += 1;
                index > at || debt.ask.device != paid.ask.device
            });
        }
        Some(paid)
    }
}

impl Debt {
    /// Whether the answer to it says as much as that to another request.
    fn is_the_same(&self, ask: &Ask) -> bool {
        let is_read = matches!(ask.expect, Expect::Reading(_));
        is_read && !self.outdated && self.ask.device == ask.device && self.ask.request == ask.request
    }
}

/// Whether its device has got so far in what it was asked when this is answered: what it says by itself too does not show that.
fn shows_where_it_is(ask: &Ask) -> bool {
    !matches!(&ask.expect, Expect::Reading(read) if read.unasked)
}

/// Whether a frame may be the answer to a request, or its refusal.
fn is_answer(manner: &LineManner, ask: &Ask, frame: &[u8]) -> bool {
    // Where anything is an answer, what was just asked is none.
    if is_open(&ask.expect) && frame.trim_ascii() == ask.request.body.trim_ascii() {
        return false;
    }
    fit(&ask.expect, frame) == Fit::Yes || ask.expect != Expect::Nothing && is_refusal(manner, frame)
}

pub(super) fn is_refusal(manner: &LineManner, frame: &[u8]) -> bool {
    manner.refusals.iter().any(|refusal| refusal.matched(frame).is_some())
}
