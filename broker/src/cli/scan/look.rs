//! Asking unit by unit.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use usp_adapters::scan::{Question, Reply, Scanner, Way};
use usp_mapping::mapping::ModbusTable;

use super::models::Models;
use super::progress::Progress;
use super::range::Registers;
use super::{Modbus, report};

/// Hosts that are looked at at the same time; a serial line is one.
const AT_ONCE: usize = 32;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(1);

/// So many registers are read at once before a refusal is narrowed down.
const BLOCK: u16 = 32;

/// A device that answers for at least so many units, and for all that were asked, does not look at the number.
const ANY_UNIT: usize = 8;

/// What was found so far; kept when the scan is interrupted.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) places: Mutex<Vec<Place>>,
}

/// A line or a host with somebody on it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) way: Way,
    pub(super) units: Vec<Unit>,
    /// It answers for whatever unit is asked.
    pub(super) any_unit: bool,
    /// Bytes came that are no Modbus.
    pub(super) noise: bool,
}

/// A unit that answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Unit {
    pub(super) unit: u8,
    /// What it says of itself, by number of the object.
    pub(super) identity: Vec<(u8, String)>,
    /// Profiles that fit.
    pub(super) profiles: Vec<String>,
    /// Spans that can be read: table, first address, values where they are registers.
    pub(super) spans: Vec<Span>,
}

/// Addresses in a row that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) table: ModbusTable,
    pub(super) first: u16,
    pub(super) count: u16,
    pub(super) registers: Vec<u16>,
}

/// Looks everywhere. With `--try-bauds` it ends with the first setting at which somebody answers.
pub(super) async fn look(
    args: &Modbus,
    ways: &[Way],
    models: &Models,
    progress: &Progress,
    found: &mut Found,
) {
    let found = &*found;
    let free = Arc::new(Semaphore::new(if args.serial.is_some() { 1 } else { AT_ONCE }));
    let mut looking = FuturesUnordered::new();
    for way in ways {
        let free = Arc::clone(&free);
        looking.push(async move {
            let _place = free.acquire().await.ok()?;
            if args.try_bauds && !places(found).is_empty() {
                return None;
            }
            let place = Looker { args, models, progress }.place(way, found).await;
            Some(place)
        });
    }
    while looking.next().await.is_some() {}
}

/// Where it was told.
pub(super) fn places(found: &Found) -> Vec<Place> {
    found.places.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
}

struct Looker<'a> {
    args: &'a Modbus,
    models: &'a Models,
    progress: &'a Progress,
}

impl Looker<'_> {
    async fn place(&self, way: &Way, found: &Found) {
        let name = report::name(way);
        let units = &self.args.units.0;
        let mut scanner = match Scanner::open(way, CONNECT).await {
            Ok(scanner) => scanner,
            Err(error) => {
                // Of one address the reason is wanted; of a range most have nobody.
                if self.args.serial.is_some() || self.is_single() {
                    self.progress.found(&error.to_string());
                }
                return self.progress.step(units.len(), &name);
            }
        };
        let (mut there, mut noise) = (Vec::new(), false);
        for (asked, unit) in units.iter().enumerate() {
            let question = Question::Read { table: ModbusTable::Holding, address: 0, count: 1 };
            match scanner.ask(*unit, question, self.args.timeout).await {
                Ok(reply) => {
                    noise |= reply == Reply::Noise;
                    there.extend(Some(*unit).filter(|_| reply.is_somebody()));
                    there.extend(scanner.late());
                }
                Err(error) => {
                    self.progress.found(&format!("{name}: {error}"));
                    self.progress.step(units.len() - asked, &name);
                    break;
                }
            }
            self.progress.step(1, &format!("{name} unit {unit}"));
        }
        there.sort_unstable();
        there.dedup();
        let any_unit = there.len() >= ANY_UNIT && there.len() == units.len();
        there.truncate(if any_unit { 1 } else { there.len() });
        if there.is_empty() && !noise {
            return;
        }
        let mut place = Place { way: way.clone(), units: Vec::new(), any_unit, noise };
        for unit in there {
            let unit = self.unit(&mut scanner, unit).await;
            self.progress.found(&format!("{name}: {}", report::unit_line(&unit)));
            place.units.push(unit);
            keep(found, &place);
        }
        keep(found, &place);
    }

    fn is_single(&self) -> bool {
        let host = self.args.tcp.as_ref().or(self.args.rtu_over_tcp.as_ref());
        host.is_some_and(|host| !host.contains('/'))
    }

    /// What there is to know of a unit.
    async fn unit(&self, scanner: &mut Scanner, unit: u8) -> Unit {
        let within = self.args.timeout;
        let identity = match scanner.ask(unit, Question::Identify, within).await {
            Ok(reply) => reply.identification(),
            Err(_) => Vec::new(),
        };
        let mut profiles = self.models.fitting(scanner, unit, within).await;
        if profiles.is_empty() {
            profiles.extend(self.models.named(&identity));
        }
        let mut spans = Vec::new();
        for wanted in self.args.registers.iter().flat_map(|wanted| &wanted.0) {
            self.probe(scanner, unit, wanted, &mut spans).await;
        }
        Unit { unit, identity, profiles, spans }
    }

    /// Reads a range, in ever smaller parts where it is refused.
    async fn probe(&self, scanner: &mut Scanner, unit: u8, wanted: &Registers, spans: &mut Vec<Span>) {
        let mut parts: Vec<(u16, u16)> = Vec::new();
        let mut first = wanted.first;
        loop {
            let last = first.saturating_add(BLOCK - 1).min(wanted.last);
            parts.push((first, last));
            match last.checked_add(1).filter(|next| *next <= wanted.last) {
                Some(next) => first = next,
                None => break,
            }
        }
        parts.reverse();
        while let Some((first, last)) = parts.pop() {
            let count = last - first + 1;
            let question = Question::Read { table: wanted.table, address: first, count };
            match scanner.ask(unit, question, self.args.timeout).await {
                Ok(reply) if reply.reads(wanted.table, count) => {
                    let registers = reply.registers().unwrap_or_default();
                    join(spans, Span { table: wanted.table, first, count, registers });
                }
                // A refusal of one address is that of a hole.
                Ok(Reply::Exception(_)) if count > 1 => {
                    let middle = first + (count / 2 - 1);
                    parts.push((middle + 1, last));
                    parts.push((first, middle));
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }
}

/// Puts a span behind the one that it continues.
fn join(spans: &mut Vec<Span>, next: Span) {
    match spans.last_mut() {
        Some(last) if last.table == next.table && last.first.checked_add(last.count) == Some(next.first) => {
            last.count = last.count.saturating_add(next.count);
            last.registers.extend(next.registers);
        }
        _ => spans.push(next),
    }
}

fn keep(found: &Found, place: &Place) {
    let mut places = found.places.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    places.retain(|other| other.way != place.way);
    places.push(place.clone());
}
