//! Which answer is for which question: pure.
//!
//! A question is known by the device, the number of its transaction, the cluster and the endpoint, and by what can answer it.
//! Always:
//!
//! - No two open questions to a device have the same number, and a number whose question was not answered is not given again
//!   for [`LATE`]: what comes late answers nothing.
//! - A question is answered once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use usp_mapping::port::DeviceFault;
use usp_mapping::zigbee::clusters::answers::{self, Answer};
use usp_mapping::zigbee::zcl::{Direction, Frame, General};

use super::ncp::Ieee;
use super::zdo;

/// How long a number rests after a question that was not answered.
pub(super) const LATE: Duration = Duration::from_secs(60);

/// What can answer a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// An answer of the device object.
    Zdo { cluster: u16 },
    /// An answer to a general command, or to one of the cluster, which begins with this octet; which of its own the cluster has for it.
    Zcl {
        endpoint: u8,
        cluster: u16,
        of_cluster: bool,
        command: u8,
        begins: Option<u8>,
        answer: Option<Answer>,
    },
}

/// Something that was said, and may be an answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reply<'a> {
    Zdo { cluster: u16, payload: &'a [u8] },
    Zcl { endpoint: u8, cluster: u16, frame: &'a Frame },
}

impl Reply<'_> {
    fn sequence(&self) -> Option<u8> {
        match self {
            Self::Zdo { payload, .. } => payload.first().copied(),
            Self::Zcl { frame, .. } => Some(frame.sequence),
        }
    }
}

impl Expect {
    /// What can answer this frame.
    pub(super) fn zcl(endpoint: u8, cluster: u16, frame: &Frame) -> Self {
        let (of_cluster, command) = (frame.is_specific, frame.command);
        let is_standard = of_cluster && frame.manufacturer.is_none();
        let answer = if is_standard { answers::answer(cluster, command) } else { None };
        let begins = frame.payload.first().copied();
        Self::Zcl { endpoint, cluster, of_cluster, command, begins, answer }
    }

    /// What became of a command of a cluster, of which this is the answer that the cluster itself has for it.
    ///
    /// Errors: it is refused, or the answer is cut off.
    pub(super) fn became(self, frame: &Frame) -> Result<(), DeviceFault> {
        match self {
            Self::Zcl { answer: Some(answer), begins, .. } if frame.is_specific => {
                answer.became(begins, &frame.payload)
            }
            _ => Ok(()),
        }
    }

    fn is_answered(self, reply: &Reply<'_>) -> bool {
        match (self, reply) {
            (Self::Zdo { cluster }, Reply::Zdo { cluster: said, .. }) => cluster | zdo::RESPONSE == *said,
            (
                Self::Zcl { endpoint, cluster, of_cluster, command, answer, .. },
                Reply::Zcl { endpoint: from, cluster: said, frame },
            ) => endpoint == *from && cluster == *said && fits(frame, (of_cluster, command), answer),
            _ => false,
        }
    }
}

/// Whether a frame can answer a command.
fn fits(frame: &Frame, (of_cluster, command): (bool, u8), answer: Option<Answer>) -> bool {
    if frame.direction != Direction::ToClient {
        return false;
    }
    if frame.is_specific {
        return frame.manufacturer.is_none() && answer.is_some_and(|answer| answer.command == frame.command);
    }
    match frame.general() {
        // That a command was understood is not yet what became of it, where the cluster's own answer says that.
        Some(Ok(General::DefaultResponse { command: to, status })) => {
            to == command && !(status.is_success() && answer.is_some_and(Answer::tells))
        }
        // Read, write and configure reporting, whose answers have the numbers behind them.
        _ => !of_cluster && matches!((command, frame.command), (0x00, 0x01) | (0x02, 0x04) | (0x06, 0x07)),
    }
}

/// The questions to all devices. `A` is whatever waits for an answer.
#[derive(Debug)]
pub(super) struct Talks<A> {
    devices: BTreeMap<Ieee, Talk<A>>,
}

#[derive(Debug)]
struct Talk<A> {
    next: u8,
    open: BTreeMap<u8, (Expect, A)>,
    /// Numbers whose answers may still come, and until when.
    late: BTreeMap<u8, Instant>,
}

impl<A> Default for Talks<A> {
    fn default() -> Self {
        Self { devices: BTreeMap::new() }
    }
}

impl<A> Talks<A> {
    /// Opens a question; its number. `None`: too many are open.
    pub(super) fn open(&mut self, now: Instant, to: Ieee, expect: Expect, waits: A) -> Option<u8> {
        let new = || Talk { next: 0, open: BTreeMap::new(), late: BTreeMap::new() };
        let talk = self.devices.entry(to).or_insert_with(new);
        talk.late.retain(|_, until| *until > now);
        let first = talk.next;
        let mut numbers = (0..=u8::MAX).map(|n| first.wrapping_add(n));
        let free = numbers.find(|n| !talk.open.contains_key(n) && !talk.late.contains_key(n))?;
        talk.next = free.wrapping_add(1);
        talk.open.insert(free, (expect, waits));
        Some(free)
    }

    /// Who waits for this, if it answers something.
    pub(super) fn answered(&mut self, from: Ieee, reply: &Reply<'_>) -> Option<A> {
        let talk = self.devices.get_mut(&from)?;
        let number = reply.sequence()?;
        let (expect, _) = talk.open.get(&number)?;
        if !expect.is_answered(reply) {
            return None;
        }
        talk.open.remove(&number).map(|(_, waits)| waits)
    }

    /// Nobody waits for this answer any more.
    pub(super) fn give_up(&mut self, now: Instant, to: Ieee, number: u8) {
        let Some(talk) = self.devices.get_mut(&to) else { return };
        if talk.open.remove(&number).is_some() {
            talk.late.insert(number, now + LATE);
        }
    }

    /// Nobody waits for any answer any more.
    pub(super) fn give_up_all(&mut self, now: Instant) {
        for talk in self.devices.values_mut() {
            let open = std::mem::take(&mut talk.open);
            talk.late.extend(open.into_keys().map(|number| (number, now + LATE)));
        }
    }

    /// A device is gone: nobody waits for its answers, and what still comes of it answers nothing when it is back.
    pub(super) fn forget(&mut self, now: Instant, device: Ieee) {
        if let Some(talk) = self.devices.get_mut(&device) {
            let open = std::mem::take(&mut talk.open);
            talk.late.extend(open.into_keys().map(|number| (number, now + LATE)));
        }
    }
}

#[cfg(test)]
mod tests {
    use usp_mapping::zigbee::{clusters, zcl};

    use super::*;

    const A: Ieee = Ieee(1);
    const READ: Expect =
        Expect::Zcl { endpoint: 1, cluster: 6, of_cluster: false, command: 0, begins: None, answer: None };
    const ON: Expect =
        Expect::Zcl { endpoint: 1, cluster: 6, of_cluster: true, command: 1, begins: None, answer: None };

    fn frame(bytes: &[u8]) -> Frame {
        Frame::parse(bytes).unwrap()
    }

    fn reply(frame: &Frame) -> Reply<'_> {
        Reply::Zcl { endpoint: 1, cluster: 6, frame }
    }

    #[test]
    fn an_answer_is_for_its_question_alone() {
        let (mut talks, now) = (Talks::default(), Instant::now());
        assert_eq!(talks.open(now, A, READ, "read"), Some(0));
        assert_eq!(talks.open(now, A, ON, "on"), Some(1));
        let read = frame(&[0x18, 0, 0x01, 0, 0, 0, 0x10, 1]);
        let other = frame(&[0x18, 1, 0x01, 0, 0, 0, 0x10, 1]);
        assert_eq!(talks.answered(A, &reply(&other)), None, "no answer to a command");
        assert_eq!(talks.answered(Ieee(2), &reply(&read)), None, "another device");
        let elsewhere = Reply::Zcl { endpoint: 2, cluster: 6, frame: &read };
        assert_eq!(talks.answered(A, &elsewhere), None, "another endpoint");
        let report = frame(&[0x18, 0, 0x0a, 0, 0, 0x10, 1]);
        assert_eq!(talks.answered(A, &reply(&report)), None, "a report with the same number");
        assert_eq!(talks.answered(A, &reply(&read)), Some("read"));
        assert_eq!(talks.answered(A, &reply(&read)), None, "once");
        let off = frame(&[0x18, 1, 0x0b, 0, 0]);
        assert_eq!(talks.answered(A, &reply(&off)), None, "said to another command");
        let said = zcl::default_response(&frame(&[0x01, 1, 0x01]), zcl::Status::SUCCESS);
        assert_eq!(talks.answered(A, &reply(&said)), Some("on"));
    }

    #[test]
    fn what_comes_late_answers_nothing() {
        let (mut talks, now) = (Talks::default(), Instant::now());
        let number = talks.open(now, A, READ, "first").unwrap();
        talks.give_up(now, A, number);
        for n in 1..=u8::MAX {
            let next = talks.open(now, A, READ, "next").unwrap();
            assert_eq!(next, n);
            talks.give_up(now, A, next);
        }
        assert_eq!(talks.open(now, A, READ, "more"), None, "all numbers rest");
        let late = frame(&[0x18, 0, 0x01, 0, 0, 0, 0x10, 1]);
        assert_eq!(talks.answered(A, &reply(&late)), None);
        assert_eq!(talks.open(now + LATE, A, READ, "more"), Some(0));
    }

    #[test]
    fn the_device_object_answers_with_the_highest_bit() {
        let (mut talks, now) = (Talks::default(), Instant::now());
        talks.open(now, A, Expect::Zdo { cluster: 5 }, "endpoints");
        let wrong = Reply::Zdo { cluster: 0x8004, payload: &[0, 0] };
        assert_eq!(talks.answered(A, &wrong), None);
        let right = Reply::Zdo { cluster: 0x8005, payload: &[0, 0] };
        assert_eq!(talks.answered(A, &right), Some("endpoints"));
    }

    /// A lock's answer to Lock Door is a command of the same number; what a sensor says by itself with that number is none.
    #[test]
    fn answers_of_clusters() {
        let (mut talks, now) = (Talks::default(), Instant::now());
        let lock = Expect::zcl(1, 0x0101, &frame(&[0x01, 0, 0x00]));
        talks.open(now, A, lock, "lock");
        let understood = frame(&[0x18, 0, 0x0b, 0x00, 0x00]);
        let reply = Reply::Zcl { endpoint: 1, cluster: 0x0101, frame: &understood };
        assert_eq!(talks.answered(A, &reply), None, "it was understood, and nothing more");
        let said = frame(&[0x19, 0, 0x00, 0x00]);
        assert_eq!(
            talks.answered(A, &Reply::Zcl { endpoint: 1, cluster: 0x0101, frame: &said }),
            Some("lock")
        );
        let zone = Expect::zcl(1, 0x0500, &frame(&[0x01, 0, 0x00, 0, 1]));
        talks.open(now, A, zone, "zone");
        let alarm = frame(&[0x19, 1, 0x00, 1, 0, 0, 0, 0, 0]);
        assert_eq!(talks.answered(A, &Reply::Zcl { endpoint: 1, cluster: 0x0500, frame: &alarm }), None);
    }

    /// The commands that have answers of their own, which have these numbers (07-5123-08).
    const OWN: [(u16, u8, u8); 9] = [
        (0x0003, 0x01, 0x00),
        (0x0004, 0x00, 0x00),
        (0x0004, 0x03, 0x03),
        (0x0005, 0x04, 0x04),
        (0x0101, 0x00, 0x00),
        (0x0101, 0x01, 0x01),
        (0x0101, 0x02, 0x02),
        (0x0101, 0x03, 0x03),
        (0x0501, 0x00, 0x00),
    ];

    /// What became of a command of a cluster that gets these answers; `None`: none of them answers it.
    fn became(asked: &Frame, cluster: u16, said: &[&[u8]]) -> Option<Result<(), DeviceFault>> {
        let (mut talks, now) = (Talks::default(), Instant::now());
        let expect = Expect::zcl(1, cluster, asked);
        talks.open(now, A, expect, ());
        said.iter().find_map(|bytes| {
            let frame = frame(bytes);
            talks.answered(A, &Reply::Zcl { endpoint: 1, cluster, frame: &frame })?;
            Some(match frame.general() {
                Some(Ok(General::DefaultResponse { status, .. })) if !status.is_success() => {
                    Err(status.refusal())
                }
                _ => expect.became(&frame),
            })
        })
    }

    #[test]
    fn every_command_of_the_language_is_done_or_refused_by_its_answer() {
        let mut swept = 0;
        for cluster in clusters::names().filter_map(clusters::named) {
            for command in cluster.received {
                let (of, number) = (cluster.id, command.id);
                let what = format!("{} {}", cluster.name, command.name);
                let asked = frame(&[0x01, 0, number]);
                let understood: &[u8] = &[0x18, 0, 0x0b, number, 0x00];
                let unknown: &[u8] = &[0x18, 0, 0x0b, number, 0x81];
                let refused =
                    |said: &[&[u8]]| matches!(became(&asked, of, said), Some(Err(DeviceFault::Refused(_))));
                assert!(refused(&[unknown]), "{what} is refused");
                match OWN.iter().find(|(cluster, command, _)| (*cluster, *command) == (of, number)) {
                    // It identifies itself for so many seconds, or does not.
                    Some((0x0003, _, answer)) => {
                        assert_eq!(
                            became(&asked, of, &[&[0x19, 0, *answer, 0x3c, 0]]),
                            Some(Ok(())),
                            "{what}"
                        );
                        assert_eq!(became(&asked, of, &[understood]), Some(Ok(())), "{what}");
                    }
                    Some((_, _, answer)) => {
                        let done: &[u8] = &[0x19, 0, *answer, 0x00, 7, 0, 1];
                        let not: &[u8] = &[0x19, 0, *answer, 0x04, 7, 0, 1];
                        assert_eq!(became(&asked, of, &[understood]), None, "{what} is understood, no more");
                        assert_eq!(became(&asked, of, &[understood, done]), Some(Ok(())), "{what}");
                        assert!(refused(&[understood, not]), "{what} is not done");
                        let others: &[u8] = &[0x1d, 0x7c, 0x11, 0, *answer, 0x00];
                        assert_eq!(became(&asked, of, &[others]), None, "{what}: the manufacturer's");
                        let own = frame(&[0x05, 0x7c, 0x11, 0, number]);
                        assert_eq!(became(&own, of, &[understood]), Some(Ok(())), "{what}: its namesake");
                    }
                    None => {
                        let event: &[u8] = &[0x19, 0, number, 0x01, 7, 0, 1];
                        assert_eq!(became(&asked, of, &[event]), None, "{what} has no answer of its own");
                        assert_eq!(became(&asked, of, &[event, understood]), Some(Ok(())), "{what}");
                    }
                }
                swept += 1;
            }
        }
        assert!(swept > 50, "{swept}");
    }
}
