//! One observed resource (RFC 7641): whether the device still tells of it, and which of its messages is the newest.

use std::time::{Duration, Instant};

use super::request::{Manner, Resource, max_age};
use crate::coap::message::{Message, Token, option};

/// After its time a representation may be on its way for so long (RFC 7641, 3.3.1: 5 to 15 s, by chance).
const GRACE: Duration = Duration::from_secs(5);

/// Pauses between attempts to register that the device leaves unanswered or refuses: they double.
const PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// A representation that was said so long ago cannot be newer by its number alone (RFC 7641, 3.4).
const NEWER_BY_TIME: Duration = Duration::from_secs(128);

/// A registration that was heard of so lately need not be renewed by a poll.
const RENEW_AFTER: Duration = Duration::from_secs(10);

/// Numbers have 24 bits.
const HALF: u32 = 1 << 23;

/// A resource that is to be observed.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) resource: Resource,
    pub(crate) token: Token,
    state: State,
    /// Number and time of the newest representation.
    newest: Option<(u32, Instant)>,
    /// The first block of a notification whose rest is still to be fetched.
    pub(crate) first: Option<Message>,
    /// How the device is asked for it.
    pub(crate) manner: Manner,
    failures: u32,
}

#[derive(Debug, PartialEq)]
enum State {
    /// To be registered, from this instant on.
    Wanted(Instant),
    /// Registered: lost unless something is heard until `until`.
    Observed { heard: Instant, until: Instant },
    /// The device does not tell of changes of this resource; only a poll asks it again.
    Unable,
}

impl Watch {
    /// Not registered yet.
    pub(crate) fn new(resource: Resource, token: Token, now: Instant, manner: Manner) -> Self {
        Self { resource, token, state: State::Wanted(now), newest: None, first: None, manner, failures: 0 }
    }

    /// Whether the device tells of it, as far as is known.
    pub(crate) fn is_observed(&self) -> bool {
        matches!(self.state, State::Observed { .. })
    }

    /// Whether a poll should ask to be told, too.
    pub(crate) fn needs_renewal(&self, now: Instant) -> bool {
        match self.state {
            State::Observed { heard, .. } => now.saturating_duration_since(heard) >= RENEW_AFTER,
            State::Wanted(_) | State::Unable => true,
        }
    }

    /// When it is to be registered unasked.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        match self.state {
            State::Wanted(at) => Some(at),
            State::Observed { until, .. } => Some(until),
            State::Unable => None,
        }
    }

    /// Whether a message with its token is newer than all before (RFC 7641, 3.4). One without a number is: it ends the
    /// observation.
    pub(crate) fn is_newer(&self, now: Instant, message: &Message) -> bool {
        let (Some(number), Some((last, at))) = (message.number(option::OBSERVE), self.newest) else {
            return true;
        };
        let ahead = number.wrapping_sub(last) & (2 * HALF - 1);
        (ahead != 0 && ahead < HALF) || now.saturating_duration_since(at) > NEWER_BY_TIME
    }

    /// Number of the newest representation.
    pub(crate) fn number(&self) -> Option<u32> {
        self.newest.map(|(number, _)| number)
    }

    /// Takes a message in that is newer, or the answer to a registration; whether it is still told of changes.
    pub(crate) fn hear(&mut self, now: Instant, message: &Message) -> bool {
        let number = message.number(option::OBSERVE).filter(|_| message.code.is_success());
        let Some(number) = number else { return false };
        self.newest = Some((number & (2 * HALF - 1), now));
        let until = now.checked_add(max_age(message) + GRACE).unwrap_or(now + Duration::from_secs(86_400));
        self.state = State::Observed { heard: now, until };
        self.failures = 0;
        true
    }

    /// The device answers, but does not tell of changes.
    pub(crate) fn is_unable(&mut self) {
        self.state = State::Unable;
        self.newest = None;
    }

    /// The registration was not answered, refused or ended: it is tried again after a pause.
    pub(crate) fn fail(&mut self, now: Instant) {
        let pause =
            PAUSES.0.saturating_mul(1u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(PAUSES.1);
        self.failures = (self.failures + 1).min(31);
        self.state = State::Wanted(now + pause);
        self.newest = None;
    }

    /// Registers anew at once: the device may have forgotten it. One that does not tell of changes is not asked again.
    pub(crate) fn renew(&mut self, now: Instant) {
        if self.state != State::Unable {
            self.state = State::Wanted(now);
            self.newest = None;
            self.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coap::message::{Code, Kind};

    const S: Duration = Duration::from_secs(1);

    fn said(number: u32) -> Message {
        let content = Message { code: Code(0x45), ..Message::empty(Kind::NonConfirmable, 1) };
        content.with_number(option::OBSERVE, number)
    }

    fn heard(start: Instant, number: u32) -> Watch {
        let mut watch = Watch::new(Resource::default(), Token::new(1), start, Manner::new(S));
        assert!(watch.hear(start, &said(number)));
        watch
    }

    #[test]
    fn newer_is_ahead_by_less_than_half_of_all_numbers_or_much_later() {
        let start = Instant::now();
        for (last, next, newer) in [
            (5, 6, true),
            (5, 5, false),
            (6, 5, false),
            (0xff_ffff, 0, true),
            (0, 0xff_ffff, false),
            (0, HALF - 1, true),
            (0, HALF, false),
        ] {
            assert_eq!(heard(start, last).is_newer(start + S, &said(next)), newer, "{last} then {next}");
        }
        assert!(!heard(start, 6).is_newer(start + 128 * S, &said(5)));
        assert!(heard(start, 6).is_newer(start + 129 * S, &said(5)), "after 128 s the number says nothing");
    }

    #[test]
    fn it_is_lost_when_its_time_is_over() {
        let start = Instant::now();
        let mut watch = heard(start, 1);
        assert_eq!(watch.due_at(), Some(start + 60 * S + GRACE), "60 s unless the device says otherwise");
        assert!(watch.hear(start, &said(2).with_number(option::MAX_AGE, 10)));
        assert_eq!(watch.due_at(), Some(start + 10 * S + GRACE));
        assert!(watch.hear(start, &said(3).with_number(option::MAX_AGE, u32::MAX)), "a hundred years");
    }

    #[test]
    fn attempts_become_rarer_and_success_forgets_them() {
        let start = Instant::now();
        let mut watch = Watch::new(Resource::default(), Token::new(1), start, Manner::new(S));
        let pause = |watch: &mut Watch| {
            watch.fail(start);
            watch.due_at().unwrap() - start
        };
        assert_eq!([pause(&mut watch), pause(&mut watch), pause(&mut watch)], [5 * S, 10 * S, 20 * S]);
        (0..40).map(|_| pause(&mut watch)).for_each(|pause| assert!(pause <= 300 * S));
        assert_eq!(pause(&mut watch), 300 * S);
        watch.hear(start, &said(1));
        assert_eq!(pause(&mut watch), 5 * S);
    }

    #[test]
    fn an_error_and_a_message_without_number_end_it() {
        let start = Instant::now();
        let mut watch = heard(start, 1);
        let gone = Message { code: Code(0x84), ..said(2) };
        assert!(!watch.hear(start, &gone));
        assert!(!watch.hear(start, &Message { options: Vec::new(), ..said(0) }));
    }
}
