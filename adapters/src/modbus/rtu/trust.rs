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
//! - Where the mark of a request is open, a read goes first (`First`), whose answer is given to nobody. It is one that the
//!   mapping does, never a guess: many units are silent to what they do not have, and that would cost them their Online.
//!   - Best is one with another mark, of what the unit has answered before: its answer is told, and settles all before it.
//!     It is sent again until it is answered, and then another such read is tried. Between its repetitions nothing else
//!     that looks alike is sent, so whichever of them is answered settles what was open before the first.
//!   - Where there is none, as of a meter with one register, it is the wanted read itself. More of its mark are open then
//!     than were answered (`times`), and any of them may be answered next. In order a late reply is the first to come, and
//!     the right one follows it at once; so after each a second one is waited for ([`Trust::doubts`]). When none comes,
//!     the others are ghosts ([`Trust::calm`]), and the wanted read is sent once more: what answered before it may be old.
//! - That units answer in order is so of units, and not of all that may stand before them. So what was settled by order alone
//!   is a ghost for a while: a reply that looks like its own counts only if no second one follows.
//! - A unit that has answered no read is brought into step by none. Of what it is written, the very same is sent again if
//!   nothing else was written since: whichever of the two it acknowledges, it was told so last.
//! - Nothing that has been open for [`LATEST`] will come any more. Only where no read can help is this waited for.

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
    /// In the order in which they were first sent.
    open: Vec<Open>,
    /// How many requests were sent.
    count: u64,
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
    /// Which of all requests it was, the first time and the last.
    first: u64,
    last: u64,
    /// How often it was sent, less how often it was answered.
    times: u32,
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
        match unit.first(ask) {
            Some(query) => Next::First(Ask { query, round: 0, ..ask.clone() }),
            None if unit.known.is_empty() && unit.wrote_last(&mark) => Next::Send,
            None => Next::Wait(at + LATEST),
        }
    }

    /// A read of the unit that does no harm: one that its mapping does, or else of what is to be written.
    pub(crate) fn harmless(&self, ask: &Ask) -> Ask {
        let nobody = Unit::default();
        let unit = self.units.get(&ask.unit).unwrap_or(&nobody);
        let reads = unit.reads(ask);
        let query = reads.iter().find(|query| !unit.is_open(query)).or(reads.first());
        let query = query.cloned().unwrap_or_else(|| place(&ask.query));
        Ask { query, round: 0, ..ask.clone() }
    }

    /// It is sent.
    pub(crate) fn sent(&mut self, ask: &Ask, now: Instant) {
        let unit = self.units.entry(ask.unit).or_default();
        let mark = frame::mark(&ask.query);
        unit.count += 1;
        let count = unit.count;
        match unit.open.iter_mut().find(|open| open.mark == mark) {
            Some(open) => (open.at, open.last, open.times) = (now, count, open.times.saturating_add(1)),
            None => unit.open.push(Open { mark, at: now, first: count, last: count, times: 1 }),
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

    /// How long a second reply to a read is to be waited for, because the first may have been a ghost's, or that to the same
    /// read when it was sent before.
    pub(crate) fn doubts(&mut self, ask: &Ask, refused: bool, now: Instant) -> Option<Duration> {
        let unit = self.units.get_mut(&ask.unit)?;
        unit.ghosts.retain(|ghost| now < ghost.at + GHOST);
        let (mark, function) = (frame::mark(&ask.query), frame::function(&ask.query));
        let alike = |ghost: &Open| ghost.mark == mark || (refused && ghost.function() == function);
        let haunted = unit.is_open(&ask.query) || unit.ghosts.iter().any(alike);
        (haunted && matches!(ask.query, Query::Read(_))).then_some(unit.latency * 3)
    }

    /// No second reply came.
    pub(crate) fn calm(&mut self, ask: &Ask) {
        let Some(unit) = self.units.get_mut(&ask.unit) else { return };
        let mark = frame::mark(&ask.query);
        let rest: Vec<_> = unit.open.extract_if(.., |open| open.mark == mark).collect();
        unit.haunt(rest);
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
        let Some(open) = self.open.get_mut(at) else { return };
        open.times = open.times.saturating_sub(1);
        let (first, is_done) = (open.first, open.times == 0);
        if is_done {
            self.open.remove(at);
        }
        let settled: Vec<_> = self.open.extract_if(.., |open| open.last < first).collect();
        self.haunt(settled);
        self.step = None;
    }

    fn haunt(&mut self, settled: Vec<Open>) {
        self.ghosts.extend(settled);
        let spare = self.ghosts.len().saturating_sub(OPEN);
        self.ghosts.drain(..spare);
    }

    fn remember(&mut self, query: &Query, mark: &[u8]) {
        let is_new = self.known.iter().all(|known| frame::mark(known) != mark);
        if matches!(query, Query::Read(_)) && is_new {
            self.known.truncate(KNOWN - 1);
            self.known.push_front(query.clone());
        }
    }

    /// Whether no other write was sent after this one.
    fn wrote_last(&self, mark: &[u8]) -> bool {
        let last = self.open.iter().rfind(|open| !matches!(open.function(), 1..=4));
        last.is_some_and(|open| open.mark == mark)
    }

    /// The read that goes before a request that could not be told from an earlier one.
    fn first(&mut self, ask: &Ask) -> Option<Query> {
        let last = self.open.last().map(|open| open.mark.clone());
        if let Some((step, tries)) = &mut self.step
            && *tries < TRIES
            && last == Some(frame::mark(step))
        {
            *tries += 1;
            return Some(step.clone());
        }
        let room = self.open.len() < OPEN + KNOWN;
        let mut reads = self.reads(ask);
        let told = reads.iter().find(|read| room && !self.is_open(read)).cloned();
        let again = || reads.pop().filter(|read| self.is_open(read));
        let step = told.or_else(again)?;
        self.step = Some((step.clone(), 1));
        Some(step)
    }

    /// What the mapping reads of the unit: what it is known to answer first, and of that what even an exception would answer.
    fn reads(&self, ask: &Ask) -> Vec<Query> {
        let functions: Vec<_> = self.open.iter().map(Open::function).collect();
        let (told, untold): (Vec<_>, Vec<_>) =
            self.known.iter().cloned().partition(|known| !functions.contains(&frame::function(known)));
        let mapped = ask.mapped.clone().map(Query::Read);
        let wanted = Some(&ask.query).filter(|query| matches!(query, Query::Read(_))).cloned();
        told.into_iter().chain(untold).chain(mapped).chain(wanted).collect()
    }
}

/// A read of where a request leads.
fn place(query: &Query) -> Query {
    let (table, address, count) = match query {
        Query::Read(block) => (block.table, block.address, block.count),
        Query::WriteCoil(address, _) => (ModbusTable::Coil, *address, 1),
        Query::WriteCoils(address, bits) => (ModbusTable::Coil, *address, bits.len() as u16),
        Query::WriteRegister(address, _) | Query::MaskWrite { address, .. } => {
            (ModbusTable::Holding, *address, 1)
        }
        Query::WriteRegisters(address, words) | Query::ReadWrite(address, words) => {
            (ModbusTable::Holding, *address, words.len() as u16)
        }
    };
    Query::Read(Block::new(table, address, count).into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const TOOK: Duration = Duration::from_millis(30);

    fn read(address: u16, count: u16) -> Ask {
        let query = Query::Read(Block::new(ModbusTable::Input, address, count).into());
        Ask {
            unit: 1,
            timeout: Duration::from_secs(1),
            pause: Duration::ZERO,
            round: 0,
            query,
            mapped: None,
            until: None,
        }
    }

    fn first(trust: &mut Trust, ask: &Ask, now: Instant) -> Ask {
        match trust.next(ask, now) {
            Next::First(first) => first,
            other => panic!("{other:?}"),
        }
    }

    /// The unit answers this.
    fn knows(trust: &mut Trust, ask: &Ask, now: Instant) {
        trust.sent(ask, now);
        trust.answered(ask, false, TOOK);
    }

    #[test]
    fn what_looks_alike_is_not_sent_before_the_unit_is_in_step() {
        let (mut trust, now) = (Trust::default(), Instant::now());
        let (one, other, longer) = (read(0, 1), read(100, 1), read(0, 2));
        let known = [read(7, 5), read(7, 6)];
        known.iter().for_each(|known| knows(&mut trust, known, now));
        trust.sent(&one, now);
        assert_eq!(trust.next(&longer, now), Next::Send, "its answer has another length");
        // Unanswered: the same again, then another.
        for step in [&known[1], &known[1], &known[0], &known[0]] {
            assert_eq!(first(&mut trust, &other, now), *step);
            trust.sent(step, now);
        }
        assert_eq!(first(&mut trust, &other, now), other, "then what is wanted itself");
        trust.sent(&other, now);
        trust.answered(&known[0], false, TOOK);
        assert_eq!(first(&mut trust, &other, now), known[1], "the other itself was sent after that");
    }

    #[test]
    fn the_only_read_of_a_unit_settles_itself() {
        let (mut trust, now) = (Trust::default(), Instant::now());
        let only = read(30, 1);
        knows(&mut trust, &only, now);
        trust.sent(&only, now);
        assert_eq!(first(&mut trust, &only, now), only);
        trust.sent(&only, now);
        trust.answered(&only, false, TOOK);
        // That may have been the late reply to the first.
        assert_eq!(trust.doubts(&only, false, now), Some(3 * TOOK));
        assert_eq!(first(&mut trust, &only, now), only);
        trust.calm(&only);
        assert_eq!(trust.next(&only, now), Next::Send);
        assert_eq!(trust.doubts(&only, false, now), Some(3 * TOOK), "it is a ghost");
        assert_eq!(trust.doubts(&only, false, now + GHOST), None);
        // Or both are answered.
        for _ in 0..2 {
            trust.sent(&only, now + GHOST);
        }
        for _ in 0..2 {
            assert!(trust.hear(&[1, 4, 2, 0, 7]));
        }
        assert_eq!(trust.next(&only, now + GHOST), Next::Send);
        assert_eq!(trust.doubts(&only, false, now + GHOST), None);
    }

    #[test]
    fn before_a_write_goes_what_the_mapping_reads() {
        let (mut trust, now) = (Trust::default(), Instant::now());
        let mapped = Arc::new(Block::new(ModbusTable::Holding, 7, 2));
        let write = Ask { query: Query::WriteRegister(7, 1), mapped: Some(mapped.clone()), ..read(0, 1) };
        assert_eq!(trust.harmless(&write).query, Query::Read(mapped.clone()));
        trust.sent(&write, now);
        assert_eq!(first(&mut trust, &write, now).query, Query::Read(mapped));
        let unread = Ask { mapped: None, ..write };
        assert_eq!(trust.harmless(&unread).query, Query::Read(Block::new(ModbusTable::Holding, 7, 1).into()));
    }

    #[test]
    fn a_repeated_read_settles_only_what_was_open_before_its_first() {
        let (mut trust, now) = (Trust::default(), Instant::now());
        let (one, longer) = (read(0, 1), read(0, 2));
        knows(&mut trust, &read(7, 5), now);
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
        knows(&mut trust, &read(7, 5), now);
        assert_eq!(trust.doubts(&read(0, 1), false, now), None);
        trust.sent(&read(0, 1), now);
        let step = first(&mut trust, &read(0, 1), now);
        trust.sent(&step, now);
        trust.answered(&step, false, TOOK);
        assert_eq!(trust.doubts(&read(9, 1), false, now), Some(3 * TOOK));
        assert_eq!(trust.doubts(&step, false, now), None, "it is of another length");
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

    /// A unit that has answered no read.
    #[test]
    fn nothing_is_waited_for_for_ever() {
        let (mut trust, now) = (Trust::default(), Instant::now());
        let write = |word| Ask { query: Query::WriteRegister(0, word), ..read(0, 1) };
        trust.sent(&write(1), now);
        assert_eq!(trust.next(&write(1), now), Next::Send, "nothing else was written since");
        trust.sent(&write(2), now);
        assert_eq!(trust.next(&write(1), now), Next::Wait(now + LATEST));
        assert_eq!(trust.next(&write(1), now + LATEST), Next::Send);
    }
}
