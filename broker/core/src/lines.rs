//! What each Service is asked at a time, and who waits for its turn there.
//!
//! A Service that answers nothing must not be filled up by one Controller for all others. So nobody may have more
//! Messages there than are free for the rest (a dynamic threshold): alone half of all, the next a quarter, and so on. Who
//! comes last still finds room. Turns go round among those who wait.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use usp_proto::usp::request::ReqType;

use crate::gather::LegId;
use crate::input::ConnId;

/// How many times as much as a Service may be asked at a time may wait for its turn.
const WAITING_TURNS: usize = 4;

/// On whose behalf: a Controller's connection, or the broker itself.
pub(crate) type Asker = Option<ConnId>;

/// What is to be sent when its turn comes.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) leg: LegId,
    pub(crate) request: ReqType,
    /// How long its answer may take, counted from when it is sent.
    pub(crate) within: Duration,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is sent at once.
    Now,
    /// It waits.
    Later,
    /// There is no room for it.
    Never,
}

/// One asker's part.
#[derive(Debug, Default)]
struct Part {
    open: usize,
    waiting: VecDeque<Waiting>,
}

/// One Service's.
#[derive(Debug, Default)]
pub(crate) struct Line {
    parts: BTreeMap<Asker, Part>,
    open: usize,
    waiting: usize,
    /// Whose turn it was last.
    last: Asker,
}

impl Line {
    /// Whether one more request may be sent, with so many unanswered in all.
    pub(crate) fn turn(&self, asker: Asker, most: usize) -> Turn {
        let (open, waiting) = self.parts.get(&asker).map_or((0, 0), |p| (p.open, p.waiting.len()));
        let room = most.saturating_mul(WAITING_TURNS);
        match () {
            () if waiting == 0 && open < most.saturating_sub(self.open) => Turn::Now,
            () if waiting < room.saturating_sub(self.waiting) => Turn::Later,
            () => Turn::Never,
        }
    }

    /// It was sent.
    pub(crate) fn sent(&mut self, asker: Asker) {
        self.parts.entry(asker).or_default().open += 1;
        self.open += 1;
    }

    /// It was answered, or is not waited for any more.
    pub(crate) fn done(&mut self, asker: Asker) {
        if let Some(part) = self.parts.get_mut(&asker) {
            part.open = part.open.saturating_sub(1);
            self.open = self.open.saturating_sub(1);
        }
        self.forget_idle(asker);
    }

    /// It waits.
    pub(crate) fn push(&mut self, asker: Asker, waiting: Waiting) {
        self.parts.entry(asker).or_default().waiting.push_back(waiting);
        self.waiting += 1;
    }

    /// It has waited too long.
    pub(crate) fn give_up(&mut self, asker: Asker, leg: LegId) {
        if let Some(part) = self.parts.get_mut(&asker) {
            let before = part.waiting.len();
            part.waiting.retain(|w| w.leg != leg);
            self.waiting = self.waiting.saturating_sub(before - part.waiting.len());
        }
        self.forget_idle(asker);
    }

    /// The next that may be sent.
    pub(crate) fn next(&mut self, most: usize) -> Option<Waiting> {
        let free = most.saturating_sub(self.open);
        let may = |(_, part): &(&Asker, &Part)| !part.waiting.is_empty() && part.open < free;
        let behind = self.parts.range((std::ops::Bound::Excluded(self.last), std::ops::Bound::Unbounded));
        let asker = behind.chain(self.parts.range(..=self.last)).find(may).map(|(asker, _)| *asker)?;
        self.last = asker;
        let next = self.parts.get_mut(&asker)?.waiting.pop_front()?;
        self.waiting = self.waiting.saturating_sub(1);
        Some(next)
    }

    /// Nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.parts.is_empty()
    }

    fn forget_idle(&mut self, asker: Asker) {
        if self.parts.get(&asker).is_some_and(|p| p.open == 0 && p.waiting.is_empty()) {
            self.parts.remove(&asker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(leg: u64) -> Waiting {
        let request = ReqType::Get(usp_proto::usp::Get::default());
        Waiting { leg: LegId(leg), request, within: Duration::ZERO }
    }

    fn fill(line: &mut Line, asker: Asker, most: usize) -> usize {
        let mut sent = 0;
        while line.turn(asker, most) == Turn::Now {
            line.sent(asker);
            sent += 1;
        }
        sent
    }

    #[test]
    fn everybody_finds_room() {
        let mut line = Line::default();
        let sent: Vec<usize> = (0..6).map(|n| fill(&mut line, Some(ConnId(n)), 256)).collect();
        assert_eq!(sent, [128, 64, 32, 16, 8, 4]);
        assert_eq!(line.turn(Some(ConnId(1)), 256), Turn::Later);
    }

    #[test]
    fn turns_go_round_and_each_keeps_its_order() {
        let mut line = Line::default();
        let (a, b) = (Some(ConnId(1)), Some(ConnId(2)));
        fill(&mut line, a, 4);
        fill(&mut line, b, 4);
        for leg in 0..3 {
            line.push(a, waiting(leg));
            line.push(b, waiting(10 + leg));
        }
        let mut order = Vec::new();
        for asker in [a, b, a, a, b, a, b] {
            line.done(asker);
            while let Some(next) = line.next(4) {
                let asker = if next.leg.0 < 10 { a } else { b };
                line.sent(asker);
                order.push(next.leg.0);
            }
        }
        assert_eq!(order.len(), 6, "{order:?}");
        assert!(
            order.iter().filter(|n| **n < 10).is_sorted() && order.iter().filter(|n| **n >= 10).is_sorted()
        );
        assert!(order.iter().take(3).any(|n| *n < 10) && order.iter().take(3).any(|n| *n >= 10), "{order:?}");
    }

    #[test]
    fn what_waits_has_limits_and_can_be_given_up() {
        let mut line = Line::default();
        let a = Some(ConnId(1));
        fill(&mut line, a, 2);
        let mut leg = 0;
        while line.turn(a, 2) == Turn::Later {
            line.push(a, waiting(leg));
            leg += 1;
        }
        assert_eq!(leg, 4, "half of what may wait in all");
        (0..leg).for_each(|leg| line.give_up(a, LegId(leg)));
        line.done(a);
        assert!(line.is_idle());
    }
}
