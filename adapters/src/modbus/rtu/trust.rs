//! Which reply can be believed. Pure.
//!
//! A reply names its unit and function but neither an address nor a transaction, so a late one may look like the answer to
//! a later request. What is known of each unit is what it was asked and has not answered (`open`, in the order of
//! sending) and how the reply to each begins ([`mark`](frame::mark)). A unit answers in the order in which it was asked,
//! or not at all. It follows:
//!
//! - A request is sent only while no open one has its mark. So a reply with its mark is its own, whatever comes late.
//! - A reply that can be told settles all that was asked before: nothing of that will come any more.
//! - An exception names the function alone: it counts as an answer only while no other open request has that function.
//! - Where the mark of a request is open, a read with another mark goes first (`First`): of what the unit has answered
//!   before, of less, by another function. It is sent again until it is answered, and then another such read is tried.
//!   Between its repetitions nothing else that looks alike is sent, so whichever of them is answered settles what was
//!   open before the first.
//! - That units answer in order is so of units, and not of all that may stand before them. So what was settled by order alone
//!   is a ghost for a while: a reply that looks like its own counts only if no second one follows.
//! - Nothing that has been open for [`LATEST`] will come any more. Only where no read is left that could be told apart
//!   is this waited for.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use usp_mapping::mapping::ModbusTable;

use super::frame;
use crate::modbus::codec::{Ask, Query};
use crate::modbus::poll::Block;

/// No reply is later than this.
pub(crate) const LATEST: Duration = Duration::from_secs(60);

/// For so long after it was sent, a request that was settled by order alone is a ghost.
const GHOST: Duration = Duration::from_secs(20);

/// So often the same read is tried to bring a unit back into step.
const TRIES: u32 = 2;

/// So many reads are remembered that a unit has answered.
const KNOWN: usize = 4;

/// So many different requests of a unit may be open.
const OPEN: usize = 16;

/// What is known of all units of a line. It outlives a connection: what is between a device server and its units may
/// say a late reply to whoever is connected then.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    units: BTreeMap<u8, Unit>,
}

#[derive(Debug, Default)]
struct Unit {
    open: Vec<Open>,
    /// Reads that it has answered, each with another mark.
    known: VecDeque<Query>,
    /// The read that is to bring it back into step, and how often it was tried.
    step: Option<(Query, u32)>,
    ghosts: Vec<Open>,
    /// The longest that it has recently taken to answer.
    latency: Duration,
}

/// A request that is not answered.
#[derive(Debug)]
struct Open {
    mark: Vec<u8>,
    /// When it was sent last.
    at: Instant,
    /// It was sent more than once.
    repeated: bool,
}

/// What can be done about a request.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// It can be sent: its answer will be told.
    Send,
    /// This goes first.
    First(Ask),
    /// Nothing helps but time.
    Wait(Instant),
}

impl Trust {
    /// What to do about a request.
    pub(crate) fn next(&mut self, ask: &Ask, now: Instant) -> Next {
        let unit = self.units.entry(ask.unit).or_default();
        unit.open.retain(|open| now < open.at + LATEST);
        let mark = frame::mark(&ask.query);
        let alike = unit.open.iter().find(|open| open.mark == mark).map(|open| open.at);
        let full = (unit.open.len() >= OPEN).then(|| unit.open.first().map(|open| open.at)).flatten();
        let Some(at) = alike.or(full) else { return Next::Send };
        match unit.first(&ask.query) {
            Some(query) => Next::First(Ask { query, round: 0, ..ask.clone() }),
            None => Next::Wait(at + LATEST),
        }
    }

    /// A read of the unit that does no harm and whose answer will be told.
    pub(crate) fn harmless(&self, ask: &Ask) -> Option<Ask> {
        let nobody = Unit::default();
        let unit = self.units.get(&ask.unit).unwrap_or(&nobody);
        let query = unit.candidates(&ask.query).into_iter().find(|query| !unit.is_open(query))?;
        Some(Ask { query, round: 0, ..ask.clone() })
    }

    /// It is sent.
    pub(crate) fn sent(&mut self, ask: &Ask, now: Instant) {
        let unit = self.units.entry(ask.unit).or_default();
        let mark = frame::mark(&ask.query);
        match unit.open.iter_mut().find(|open| open.mark == mark) {
            Some(open) => (open.at, open.repeated) = (now, true),
            None => unit.open.push(Open { mark, at: now, repeated: false }),
        }
    }

    /// Whether an exception to it may be that to an earlier request.
    pub(crate) fn is_doubtful(&self, ask: &Ask) -> bool {
        let (mark, function) = (frame::mark(&ask.query), frame::function(&ask.query));
        let open = self.units.get(&ask.unit).into_iter().flat_map(|unit| &unit.open);
        open.filter(|open| open.mark != mark).any(|open| open.function() == function)
    }

    /// It is answered after so long, by an exception (`refused`) or as it should be.
    pub(crate) fn answered(&mut self, ask: &Ask, refused: bool, took: Duration) {
        let Some(unit) = self.units.get_mut(&ask.unit) else { return };
        let mark = frame::mark(&ask.query);
        if let Some(at) = unit.open.iter().position(|open| open.mark == mark) {
            unit.settle(at);
        }
        unit.latency = took.max(unit.latency * 7 / 8);
        if !refused {
            unit.remember(&ask.query, &mark);
        }
    }

    /// How long a second reply to a read is to be waited for, because the first may have been a ghost's.
    pub(crate) fn doubts(&mut self, ask: &Ask, refused: bool, now: Instant) -> Option<Duration> {
        let unit = self.units.get_mut(&ask.unit)?;
        unit.ghosts.retain(|ghost| now < ghost.at + GHOST);
        let (mark, function) = (frame::mark(&ask.query), frame::function(&ask.query));
        let alike = |ghost: &Open| ghost.mark == mark || (refused && ghost.function() == function);
        let haunted = matches!(ask.query, Query::Read(_)) && unit.ghosts.iter().any(alike);
        haunted.then_some(unit.latency * 3)
    }

    /// A unit says something that answers nothing that is waited for; whether it was open.
    pub(crate) fn hear(&mut self, frame: &[u8]) -> bool {
        let [unit, pdu @ ..] = frame else { return false };
        let Some(unit) = self.units.get_mut(unit) else { return false };
        let answers = |open: &Open| match pdu.first() {
            Some(code @ 0x80..) => open.function() == code & 0x7f,
            _ => pdu.starts_with(&open.mark),
        };
        if let Some(at) = unit.open.iter().position(answers) {
            unit.settle(at);
            return true;
        }
        let ghost = unit.ghosts.iter().position(answers);
        ghost.map(|at| unit.ghosts.remove(at)).is_some()
    }
}

impl Open {
    fn function(&self) -> u8 {
        self.mark.first().copied().unwrap_or_default()
    }
}

impl Unit {
    fn is_open(&self, query: &Query) -> bool {
        let mark = frame::mark(query);
        self.open.iter().any(|open| open.mark == mark)
    }

    /// What was asked before this has its answer or gets none.
    fn settle(&mut self, at: usize) {
        let keeps = self.open.get(at).is_some_and(|open| open.repeated);
        let mut settled: Vec<_> = self.open.drain(..at + usize::from(!keeps)).collect();
        settled.truncate(at);
        self.ghosts.extend(settled);
        let spare = self.ghosts.len().saturating_sub(OPEN);
        self.ghosts.drain(..spare);
        self.step = None;
    }

    fn remember(&mut self, query: &Query, mark: &[u8]) {
        let is_new = self.known.iter().all(|known| frame::mark(known) != mark);
        if matches!(query, Query::Read(_)) && is_new {
            self.known.truncate(KNOWN - 1);
            self.known.push_front(query.clone());
        }
    }

    /// The read that goes before a request that could not be told from an earlier one.
    fn first(&mut self, query: &Query) -> Option<Query> {
        let last = self.open.last().map(|open| open.mark.clone());
        if let Some((step, tries)) = &mut self.step
            && *tries < TRIES
            && last == Some(frame::mark(step))
        {
            *tries += 1;
            return Some(step.clone());
        }
        let room = self.open.len() < OPEN + KNOWN;
        let step = self.candidates(query).into_iter().find(|other| room && !self.is_open(other))?;
        self.step = Some((step.clone(), 1));
        Some(step)
    }

    /// Reads of the unit: what it is known to answer first, and of that what even an exception would answer.
    fn candidates(&self, query: &Query) -> Vec<Query> {
        let (table, address, count) = place(query);
        let read = |table, count| Query::Read(Block::new(table, address, count).into());
        let functions: Vec<_> = self.open.iter().map(Open::function).collect();
        let (told, untold): (Vec<_>, Vec<_>) =
            self.known.iter().cloned().partition(|known| !functions.contains(&frame::function(known)));
        let step = if table.is_bits() { 8 } else { 1 };
        let less = (count > step).then(|| read(table, count - step));
        let all = match table {
            ModbusTable::Holding => [ModbusTable::Input, ModbusTable::Coil, ModbusTable::Discrete],
            ModbusTable::Input => [ModbusTable::Holding, ModbusTable::Coil, ModbusTable::Discrete],
            ModbusTable::Coil => [ModbusTable::Discrete, ModbusTable::Holding, ModbusTable::Input],
            ModbusTable::Discrete => [ModbusTable::Coil, ModbusTable::Holding, ModbusTable::Input],
        };
        let others = all.map(|table| read(table, 1));
        let more = (address.checked_add(count).is_some() && count < 120).then(|| read(table, count + step));
        told.into_iter().chain(untold).chain(less).chain(others).chain(more).collect()
    }
}

/// Where a request leads.
fn place(query: &Query) -> (ModbusTable, u16, u16) {
    match query {
        Query::Read(block) => (block.table, block.address, block.count),
        Query::WriteCoil(address, _) => (ModbusTable::Coil, *address, 1),
        Query::WriteCoils(address, bits) => (ModbusTable::Coil, *address, bits.len() as u16),
        Query::WriteRegister(address, _) | Query::MaskWrite { address, .. } => {
            (ModbusTable::Holding, *address, 1)
        }
        Query::WriteRegisters(address, words) | Query::ReadWrite(address, words) => {
            (ModbusTable::Holding, *address, words.len() as u16)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOK: Duration = Duration::from_millis(30);

    fn read(address: u16, count: u16) -> Ask {
        let query = Query::Read(Block::new(ModbusTable::Input, address, count).into());
        Ask { unit: 1, timeout: Duration::from_secs(1), pause: Duration::ZERO, round: 0, query }
    }

    fn first(trust: &mut Trust, ask: &Ask, now: Instant) -> Ask {
        match trust.next(ask, now) {
            Next::First(first) => first,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_looks_alike_is_not_sent_before_the_unit_is_in_step() {
        let (mut trust, now) = (Trust::default(), Instant::now());
        let (one, other, longer) = (read(0, 1), read(100, 1), read(0, 2));
        trust.sent(&one, now);
        assert_eq!(trust.next(&longer, now), Next::Send, "its answer has another length");
        let step = first(&mut trust, &other, now);
        assert_ne!(frame::mark(&step.query), frame::mark(&other.query));
        trust.sent(&step, now);
        // Unanswered: the same again, then another.
        assert_eq!(first(&mut trust, &other, now), step);
        trust.sent(&step, now);
        let next = first(&mut trust, &other, now);
        assert_ne!(next, step);
        trust.sent(&next, now);
        trust.answered(&next, false, TOOK);
        assert_eq!(trust.next(&other, now), Next::Send);
    }

    #[test]
    fn a_repeated_read_settles_only_what_was_open_before_its_first() {
        let (mut trust, now) = (Trust::default(), Instant::now());
        let (one, longer) = (read(0, 1), read(0, 2));
        trust.sent(&one, now);
        let step = first(&mut trust, &one, now);
        trust.sent(&step, now);
        trust.sent(&step, now);
        trust.answered(&step, false, TOOK);
        assert_eq!(trust.next(&one, now), Next::Send);
        assert!(matches!(trust.next(&step, now), Next::First(_)), "the other of them may still be answered");
        // What is sent between is open when either is answered.
        trust.sent(&longer, now);
        trust.answered(&step, false, TOOK);
        assert!(matches!(trust.next(&longer, now), Next::First(_)));
        trust.sent(&one, now);
        trust.answered(&one, false, TOOK);
        assert_eq!(trust.next(&longer, now), Next::Send);
        assert_eq!(trust.next(&step, now), Next::Send);
    }

    #[test]
    fn what_was_settled_by_order_alone_is_a_ghost_for_a_while() {
        let (mut trust, now) = (Trust::default(), Instant::now());
        trust.sent(&read(0, 1), now);
        assert_eq!(trust.doubts(&read(0, 1), false, now), None);
        let step = first(&mut trust, &read(0, 1), now);
        trust.sent(&step, now);
        trust.answered(&step, false, TOOK);
        assert_eq!(trust.doubts(&read(9, 1), false, now), Some(3 * TOOK));
        assert_eq!(trust.doubts(&step, false, now), None, "it is of another function");
        assert_eq!(trust.doubts(&read(0, 1), false, now + GHOST), None);
        trust.sent(&read(0, 1), now);
        trust.answered(&read(0, 1), false, TOOK);
        assert!(!trust.hear(&[1, 4, 2, 0xde, 0xad]));
    }

    #[test]
    fn what_was_answered_before_is_asked_first() {
        let (mut trust, now) = (Trust::default(), Instant::now());
        let known = read(7, 5);
        trust.sent(&known, now);
        trust.answered(&known, false, TOOK);
        trust.sent(&read(0, 1), now);
        assert_eq!(first(&mut trust, &read(0, 1), now), known);
    }

    #[test]
    fn a_late_reply_is_crossed_out() {
        let (mut trust, now) = (Trust::default(), Instant::now());
        trust.sent(&read(0, 1), now);
        assert!(!trust.hear(&[2, 4, 2, 0, 0]) && !trust.hear(&[1, 4, 4, 0, 0, 0, 0]));
        assert!(trust.hear(&[1, 4, 2, 0xde, 0xad]));
        assert_eq!(trust.next(&read(100, 1), now), Next::Send);
        trust.sent(&read(0, 1), now);
        assert!(trust.hear(&[1, 0x84, 2]));
        assert_eq!(trust.next(&read(100, 1), now), Next::Send);
    }

    #[test]
    fn an_exception_is_told_by_its_function_alone() {
        let (mut trust, now) = (Trust::default(), Instant::now());
        trust.sent(&read(0, 1), now);
        assert!(!trust.is_doubtful(&read(0, 1)));
        assert!(trust.is_doubtful(&read(0, 2)));
        let write = Ask { query: Query::WriteRegister(0, 1), ..read(0, 1) };
        assert!(!trust.is_doubtful(&write));
    }

    #[test]
    fn nothing_is_waited_for_for_ever() {
        let (mut trust, now) = (Trust::default(), Instant::now());
        trust.sent(&read(0, 1), now);
        let mut at = now;
        for _ in 0..100 {
            at += Duration::from_millis(10);
            match trust.next(&read(0, 1), at) {
                Next::First(step) => trust.sent(&step, at),
                Next::Wait(until) => {
                    assert_eq!(until, now + LATEST);
                    assert_eq!(trust.next(&read(0, 1), until), Next::Send);
                    return;
                }
                Next::Send => panic!("a reply to the first could answer it"),
            }
        }
        panic!("there is always another");
    }
}
