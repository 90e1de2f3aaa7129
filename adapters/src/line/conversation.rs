//! What is said over a line, and which of it answers what. Pure: whoever drives it brings the time and the bytes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use usp_mapping::line::{Broken, Deframer, Framed, readable};
use usp_mapping::mapping::{LineAsk, LineManner, LinePick, LineRead, LineText};
use usp_mapping::port::{DeviceFault, DeviceId, PointId};

use crate::bus::Outcome;

use super::debts::{Debts, Whose};
use super::useless::excerpt;

/// A frame that has begun is given up when nothing more has come of it for so long.
const STALL: Duration = Duration::from_secs(1);

/// One request, and what is waited for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ask {
    pub(crate) device: DeviceId,
    pub(crate) request: LineAsk,
    pub(crate) expect: Expect,
    /// How long the answer may take.
    pub(crate) timeout: Duration,
    /// Pause between it and the next request.
    pub(crate) pause: Duration,
    /// What a read is for.
    pub(crate) points: Vec<PointId>,
}

/// What answers a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expect {
    /// A frame that this can be read from.
    Reading(Box<LineRead>),
    /// A frame like this, with this for the value.
    Ack(LineText, Vec<u8>),
    /// Nothing does.
    Nothing,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// The device said this.
    Said(Vec<u8>),
    /// It does not do it, in its own words.
    Refused(String),
    /// It was sent, and nothing is said to it.
    Sent,
}

/// How a frame fits what is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Yes,
    /// But for the value.
    Other,
    No,
}

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Happened {
    /// Something was said that answers nothing.
    Heard(Vec<u8>),
    /// Something was said that cannot be used.
    Broken(Broken),
    /// The request is done with.
    Done(Outcome<Answer>),
}

#[derive(Debug)]
struct Pending {
    ask: Ask,
    deadline: Instant,
    echo: bool,
    broken: Option<Broken>,
    /// What was said that nobody understands.
    strange: Option<Vec<u8>>,
    /// An acknowledgement of another value.
    shown: Option<Vec<u8>>,
    /// What would have answered it, had not an earlier one been owed that.
    taken: Option<Vec<u8>>,
}

/// One line while it is open.
#[derive(Debug)]
pub(crate) struct Conversation {
    manner: Arc<LineManner>,
    deframer: Deframer,
    /// How long one character takes.
    character: Duration,
    pending: Option<Pending>,
    /// Whose answers may still come.
    debts: Debts,
    /// No request before, unless all of those have come.
    quiet_until: Option<Instant>,
    /// No request before.
    free_at: Option<Instant>,
    /// When what has come so far is at its end, if nothing follows.
    ends_at: Option<Instant>,
}

impl Conversation {
    /// A line that was just opened; `debts`: of when it was open before.
    pub(crate) fn new(manner: Arc<LineManner>, character: Duration, debts: Debts) -> Self {
        let deframer = Deframer::new(manner.frames.clone());
        let (pending, free_at, ends_at, quiet_until) = (None, None, None, None);
        Self { manner, deframer, character, pending, debts, quiet_until, free_at, ends_at }
    }

    /// The line is gone; what is owed on it.
    pub(crate) fn close(&mut self, now: Instant) -> Debts {
        if let Some(pending) = self.pending.take() {
            self.debts.owe(now, pending.ask);
        }
        std::mem::take(&mut self.debts)
    }

    /// Whether a request may be sent.
    pub(crate) fn is_free(&self, now: Instant) -> bool {
        let rests = self.free_at.is_some_and(|at| now < at);
        let quiet = self.quiet_until.is_some_and(|until| now < until);
        self.pending.is_none() && !rests && !quiet
    }

    /// Begins a request; gives what is to be sent.
    pub(crate) fn ask(&mut self, now: Instant, ask: Ask) -> Vec<u8> {
        let wire = ask.request.wire.clone();
        self.quiet_until = None;
        self.debts.asked(now, &ask);
        let length = u32::try_from(wire.len()).unwrap_or(u32::MAX);
        let deadline = now + self.character * length + ask.timeout;
        let echo = self.manner.echo;
        let (broken, strange, shown, taken) = (None, None, None, None);
        self.pending = Some(Pending { ask, deadline, echo, broken, strange, shown, taken });
        wire
    }

    /// What was to be sent is on its way: a request that nothing answers is done.
    pub(crate) fn sent(&mut self, now: Instant) -> Option<Happened> {
        let pending = self.pending.take_if(|pending| pending.ask.expect == Expect::Nothing)?;
        self.free_at = Some(now + pending.ask.pause);
        Some(Happened::Done(Outcome::Taken(Answer::Sent)))
    }

    /// Something has come.
    pub(crate) fn hear(&mut self, now: Instant, bytes: &[u8]) -> Vec<Happened> {
        let mut happened = Vec::new();
        self.deframer.push(bytes);
        while let Some(framed) = self.deframer.next() {
            self.framed(now, framed, &mut happened);
        }
        let silence = self.deframer.gap().unwrap_or(STALL);
        self.ends_at = self.deframer.is_within().then(|| now + silence);
        happened
    }

    /// Time has gone on.
    pub(crate) fn tick(&mut self, now: Instant) -> Vec<Happened> {
        let mut happened = Vec::new();
        if self.ends_at.is_some_and(|at| at <= now) {
            self.ends_at = None;
            if let Some(framed) = self.deframer.end() {
                self.framed(now, framed, &mut happened);
            }
        }
        if let Some(pending) = self.pending.take_if(|pending| pending.deadline <= now) {
            happened.push(self.unanswered(now, pending));
        }
        happened
    }

    /// When [`Conversation::tick`] has something to do, or a request may be sent.
    pub(crate) fn wake(&self, now: Instant) -> Option<Instant> {
        let pending = self.pending.as_ref().map(|pending| pending.deadline);
        let rests = [self.free_at, self.quiet_until]
            .into_iter()
            .flatten()
            .filter(|at| *at > now && pending.is_none());
        [pending, self.ends_at].into_iter().flatten().chain(rests).min()
    }

    /// Nobody has understood what was heard last.
    pub(crate) fn was_strange(&mut self, frame: &[u8]) {
        if let Some(pending) = self.pending.as_mut().filter(|_| !frame.trim_ascii().is_empty()) {
            pending.strange = Some(frame.to_vec());
        }
    }

    fn framed(&mut self, now: Instant, framed: Framed, happened: &mut Vec<Happened>) {
        match framed {
            Framed::Broken(why) => {
                if let Some(pending) = &mut self.pending {
                    pending.broken = Some(why);
                }
                happened.push(Happened::Broken(why));
            }
            Framed::Frame(frame) if self.is_echo(&frame) => {}
            Framed::Frame(frame) => {
                let done = self.answers(now, &frame);
                happened.push(done.unwrap_or(Happened::Heard(frame)));
            }
        }
    }

    /// Whether a line that brings back what is sent has just done so: nobody has said that.
    fn is_echo(&mut self, frame: &[u8]) -> bool {
        let Some(pending) = self.pending.as_mut().filter(|pending| pending.echo) else { return false };
        let is_request = frame.trim_ascii() == pending.ask.request.body.trim_ascii();
        pending.echo = !is_request;
        is_request
    }

    /// What a frame answers, if it does.
    fn answers(&mut self, now: Instant, frame: &[u8]) -> Option<Happened> {
        let waiting = self.pending.as_ref().map(|pending| &pending.ask);
        match self.debts.settle(now, &self.manner, waiting, frame) {
            Whose::Own => {
                let pending = self.pending.take()?;
                self.free_at = Some(now + pending.ask.pause);
                let answer = match fit(&pending.ask.expect, frame) {
                    Fit::Yes => Answer::Said(frame.to_vec()),
                    Fit::Other | Fit::No => Answer::Refused(readable(frame.trim_ascii())),
                };
                Some(Happened::Done(Outcome::Answered(answer)))
            }
            Whose::Earlier { alike } => {
                self.quiet_until = self.quiet_until.filter(|_| !self.debts.is_empty());
                let pending = self.pending.as_mut().filter(|_| alike)?;
                pending.taken = Some(frame.to_vec());
                None
            }
            Whose::Nobodys => {
                let pending = self.pending.as_mut()?;
                if fit(&pending.ask.expect, frame) == Fit::Other {
                    pending.shown = Some(frame.to_vec());
                }
                None
            }
        }
    }

    fn unanswered(&mut self, now: Instant, pending: Pending) -> Happened {
        let Pending { ask, broken, strange, shown, taken, .. } = pending;
        let garbled = |why: String| Outcome::Silent(DeviceFault::Garbled(why));
        let is_unclear = taken.is_some();
        let outcome = match (shown, taken, broken, strange) {
            (Some(shown), ..) => Outcome::Answered(Answer::Said(shown)),
            (None, Some(taken), ..) => {
                let taken = excerpt(&taken);
                garbled(format!(
                    "\"{taken}\" may be the late answer to an earlier request, and nothing else came"
                ))
            }
            (None, None, Some(broken), _) => garbled(broken.to_string()),
            (None, None, None, _) if self.deframer.is_within() => garbled(Broken::Half.to_string()),
            (None, None, None, Some(strange)) => {
                garbled(format!("\"{}\" is not what the mapping expects", excerpt(&strange)))
            }
            (None, None, None, None) => Outcome::Silent(DeviceFault::Timeout(ask.timeout)),
        };
        let (soon, pause) = (now + ask.timeout, ask.pause);
        self.debts.owe(now, ask);
        let silent = self.debts.until().filter(|_| is_unclear || self.debts.are_many());
        self.quiet_until = silent.or(Some(soon));
        self.free_at = Some(now + pause);
        Happened::Done(outcome)
    }
}

/// Whether anything answers.
pub(super) fn is_open(expect: &Expect) -> bool {
    matches!(expect, Expect::Reading(read) if read.says.is_none() && matches!(read.pick, LinePick::Whole(_)))
}

/// How a frame fits what is waited for.
pub(super) fn fit(expect: &Expect, frame: &[u8]) -> Fit {
    match expect {
        Expect::Nothing => Fit::No,
        Expect::Reading(read) if read.means(frame) => Fit::Yes,
        Expect::Reading(_) => Fit::No,
        Expect::Ack(text, value) => match text.matched(frame) {
            None => Fit::No,
            Some(Some(shown)) if !shown.trim_ascii().eq_ignore_ascii_case(value.trim_ascii()) => Fit::Other,
            Some(_) => Fit::Yes,
        },
    }
}
