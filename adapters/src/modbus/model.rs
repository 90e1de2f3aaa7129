//! A Modbus device as the bus sees it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use usp_mapping::mapping::{
    Class, Device, Mapping, ModbusOptions, ModbusPoint, ModbusWriteFunction, Point, ReadBinding, ReadPart,
    ReadPoint, WriteBinding, WritePoint,
};
use usp_mapping::port::{DeviceFault, PointId, Reading, Readings};
use usp_mapping::transform::{RawKind, Transform};
use usp_mapping::value::Value;

use crate::bus::counters::Counters;
use crate::bus::queue::Target;
use crate::bus::{Heard, Model, Understood, WriteStart};
use crate::modbus::assembly::Assembly;
use crate::modbus::codec::{self, Answer, Ask, Query};
use crate::modbus::plain::Plain;
use crate::modbus::poll::learnt::{Cause, Split};
use crate::modbus::poll::{self, Block, Learnt, Placed};

/// Options, unit and what was learnt about one device.
#[derive(Debug)]
pub(crate) struct ModbusModel {
    mapping: Arc<Mapping>,
    plain: Plain,
    unit: u8,
    options: ModbusOptions,
    learnt: Learnt,
    assembly: Assembly,
    lacks: Lacks,
    /// The numbers that only grow, as far as they were read.
    counters: Counters,
    /// The reads of the newest large sets of points. Only while no read has failed: what was learnt changes with time.
    planned: Vec<Planned>,
}

/// Points, and the reads that serve them.
type Planned = (Vec<PointId>, Vec<Arc<Block>>);

/// As many sets are remembered; a mapping has seldom more poll groups.
const PLANS: usize = 4;

/// Sets of fewer points are planned anew each time.
const LARGE: usize = 4;

/// Functions that the device is known not to have, until the connection is made anew.
#[derive(Debug, Default)]
struct Lacks {
    mask_write: bool,
    read_write: bool,
}

impl ModbusModel {
    fn options(&self) -> &ModbusOptions {
        &self.options
    }

    pub(super) fn ask(&self, query: Query) -> Ask {
        let ModbusOptions { timeout, guard, turnaround, .. } = *self.options();
        let mapped = if matches!(query, Query::Read(_)) { None } else { self.mapped() };
        Ask { unit: self.unit, timeout, pause: guard.max(turnaround), round: 0, query, mapped, until: None }
    }

    /// A read that the mapping does.
    fn mapped(&self) -> Option<Arc<Block>> {
        let mut places = self.mapping.points().filter_map(|point| point.read).flat_map(ReadBinding::places);
        let place = places.find_map(ReadPoint::modbus)?;
        let count = if place.table.is_bits() { 1 } else { place.count };
        Some(Block::new(place.table, place.address, count).into())
    }

    fn write_binding(&self, point: PointId) -> Result<&WriteBinding, DeviceFault> {
        let capability = self.mapping.model(point).ok_or(DeviceFault::Unknown)?;
        let unwritable = || DeviceFault::Unwritable("the mapping has no way to write it".to_owned());
        capability.write.as_ref().ok_or_else(unwritable)
    }

    /// Where something is written, and how.
    fn place(&self, target: Target) -> Result<(&WritePoint, &Transform), DeviceFault> {
        match target {
            Target::Point(point) => {
                self.write_binding(point).map(|binding| (&binding.point, &binding.transform))
            }
            Target::Step(command, step) => {
                let command = self.mapping.commands.get(usize::from(command.0));
                let step = command.and_then(|command| command.steps.get(step)).ok_or(DeviceFault::Unknown)?;
                Ok((&step.point, &step.transform))
            }
        }
    }

    /// The function that writes a point, as far as the device is known to have it.
    fn function(&self, point: &ModbusPoint, function: ModbusWriteFunction) -> ModbusWriteFunction {
        let plain = if point.count == 1 {
            ModbusWriteFunction::SingleRegister
        } else {
            ModbusWriteFunction::MultipleRegisters
        };
        match function {
            ModbusWriteFunction::MaskWrite if self.lacks.mask_write => plain,
            ModbusWriteFunction::ReadWriteRegisters if self.lacks.read_write => {
                ModbusWriteFunction::MultipleRegisters
            }
            known => known,
        }
    }

    /// The points of a read with all their places.
    fn placed(&self, points: &[PointId]) -> Vec<Placed> {
        let places = |id: PointId| {
            let read = self.mapping.point(id).and_then(|point| point.read);
            let places = read.into_iter().flat_map(ReadBinding::places);
            places.filter_map(ReadPoint::modbus).map(move |place| (id, *place))
        };
        points.iter().flat_map(|id| places(*id)).collect()
    }

    fn read(&self, round: u32, block: impl Into<Arc<Block>>) -> Ask {
        Ask { round, ..self.ask(Query::Read(block.into())) }
    }

    fn failed(
        &mut self,
        now: Instant,
        (round, block): (u32, &Block),
        cause: Cause,
        fault: &DeviceFault,
    ) -> Understood<Ask> {
        let Split { again, given_up } = self.learnt.failed(block, cause, &self.options, now);
        let again = again.into_iter().map(|block| self.read(round, block));
        Understood { readings: faults(&given_up, fault), again: again.collect() }
    }

    fn readings(&mut self, now: Instant, round: u32, block: &Block, answer: &Answer) -> Readings {
        let Self { mapping, plain, assembly, counters, .. } = self;
        let mut readings = Readings::with_capacity(block.points.len());
        for (id, place) in &block.points {
            let register = codec::register(place, block, answer);
            if let Some(value) = register.and_then(|register| plain.value(*id, register)) {
                readings.push(Reading::now(*id, Ok(value)));
                continue;
            }
            let Some(point) = mapping.point(*id) else { continue };
            let raw = codec::extract(place, block, answer);
            let value = match sole_part(&point) {
                Some(part) => Some(raw.and_then(|raw| part.transform.decode(raw, point.class))),
                None => assembly.add(round, point, *place, raw),
            };
            let Some(value) = value else { continue };
            readings.push(Reading::now(*id, counters.grown(mapping, now, *id, value)));
        }
        readings
    }

    fn encode(&self, target: Target, value: &Value, before: Option<&[u16]>) -> Result<Ask, DeviceFault> {
        let (place, transform) = self.place(target)?;
        let (point, function, _) = place.modbus().ok_or(DeviceFault::Unknown)?;
        let raw = transform.encode(value, point.raw_kind())?;
        codec::write(point, self.function(point, function), &raw, before).map(|query| self.ask(query))
    }
}

/// The one part of a point that is read in one place alone, as most are.
pub(super) fn sole_part<'m>(point: &Point<'m>) -> Option<&'m ReadPart> {
    match point.read?.parts.as_slice() {
        [part] if part.exponent.is_none() && point.class != Class::MultiLevelSensor => Some(part),
        _ => None,
    }
}

fn not_taken(wanted: &[u16], shown: &[u16]) -> DeviceFault {
    let text = |words: &[u16]| words.iter().map(|word| format!("{word:#06x}")).collect::<Vec<_>>().join(" ");
    DeviceFault::NotConfirmed { wanted: text(wanted), shown: text(shown) }
}

fn faults(points: &[Placed], fault: &DeviceFault) -> Readings {
    points.iter().map(|(point, _)| Reading::now(*point, Err(fault.clone()))).collect()
}

impl Model for ModbusModel {
    type Ask = Ask;
    type Answer = Answer;
    type Word = Infallible;

    fn new(device: &Device) -> Self {
        // A site puts no other device on a Modbus bus.
        let (protocol, unit) = (&device.mapping.protocol, device.address.unit());
        Self {
            mapping: Arc::clone(&device.mapping),
            plain: Plain::new(&device.mapping),
            unit: unit.unwrap_or_default(),
            options: protocol.modbus().cloned().unwrap_or_default(),
            learnt: Learnt::default(),
            assembly: Assembly::default(),
            lacks: Lacks::default(),
            counters: Counters::default(),
            planned: Vec::new(),
        }
    }

    fn plan(&mut self, now: Instant, points: &[PointId]) -> Vec<Ask> {
        let round = self.assembly.begin();
        let read = |block: &Arc<Block>| self.read(round, Arc::clone(block));
        let calm = points.len() >= LARGE && self.learnt.is_untroubled();
        if let Some((_, blocks)) = self.planned.iter().find(|(known, _)| calm && known == points) {
            return blocks.iter().map(read).collect();
        }
        let placed = self.placed(points);
        let blocks = poll::coalesce(&placed, &self.options, &self.learnt, now);
        let blocks: Vec<_> = blocks.into_iter().map(Arc::new).collect();
        let asks = blocks.iter().map(read).collect();
        if calm {
            self.planned.truncate(PLANS - 1);
            self.planned.insert(0, (points.to_vec(), blocks));
        }
        asks
    }

    fn points(&self, ask: &Ask) -> Vec<PointId> {
        match &ask.query {
            Query::Read(block) => block.points.iter().map(|(point, _)| *point).collect(),
            _ => Vec::new(),
        }
    }

    fn understand(&mut self, now: Instant, ask: &Ask, answer: Answer) -> Understood<Ask> {
        let Query::Read(block) = &ask.query else { return Understood::default() };
        if let Answer::Exception(code) = answer {
            let fault = codec::unread(code);
            return match codec::lesson(code) {
                Some(cause) => self.failed(now, (ask.round, block), cause, &fault),
                None => Understood { readings: faults(&block.points, &fault), again: Vec::new() },
            };
        }
        let again = self.learnt.answered(block, now).map(|block| self.read(ask.round, block));
        let readings = self.readings(now, ask.round, block, &answer);
        Understood { readings, again: again.into_iter().collect() }
    }

    fn unanswered(&mut self, now: Instant, ask: &Ask, fault: &DeviceFault) -> Understood<Ask> {
        match &ask.query {
            Query::Read(block) => self.failed(now, (ask.round, block), Cause::Silent, fault),
            _ => Understood::default(),
        }
    }

    fn sign_of_life(&self, ask: &Ask) -> Option<Ask> {
        let Query::Read(block) = &ask.query else { return None };
        block.first_point().map(|block| self.read(ask.round, block))
    }

    fn patience(&self, ask: &Ask) -> u32 {
        match &ask.query {
            Query::Read(block) if self.learnt.has_answered(block) => 4,
            _ => 2,
        }
    }

    fn may_rest(&self) -> bool {
        !self.learnt.is_untroubled()
    }

    fn rests(&self, now: Instant, point: PointId) -> bool {
        self.may_rest() && self.placed(&[point]).iter().any(|(_, place)| self.learnt.rests(place, now))
    }

    fn is_back(&mut self, now: Instant) {
        self.learnt.is_back(now);
    }

    fn write(&self, target: Target, value: &Value) -> Result<WriteStart<Ask>, DeviceFault> {
        let place = self.place(target)?.0;
        let (point, function, read_modify_write) = place.modbus().ok_or(DeviceFault::Unknown)?;
        let ask = self.encode(target, value, None)?;
        let keeps = match self.function(point, function) {
            ModbusWriteFunction::MaskWrite => false,
            now => read_modify_write || (now != function && point.is_part()),
        };
        if !keeps || point.table.is_bits() {
            return Ok(WriteStart::Send(ask));
        }
        let block = Block::new(point.table, point.address, point.count);
        Ok(WriteStart::Fetch(self.ask(Query::Read(block.into()))))
    }

    fn hold(&self, ask: &mut Ask, until: Instant) {
        ask.until = Some(until);
    }

    fn modify(&self, target: Target, value: &Value, fetched: Answer) -> Result<Ask, DeviceFault> {
        match fetched {
            Answer::Registers(words) => self.encode(target, value, Some(&words)),
            Answer::Exception(code) => Err(codec::refusal(code)),
            Answer::Bits(_) | Answer::Written => {
                Err(DeviceFault::Garbled("it holds no registers".to_owned()))
            }
        }
    }

    /// An exception 1 to function 22 or 23: nothing was written, and there are older functions.
    fn knows_better(&mut self, ask: &Ask, answer: &Answer) -> bool {
        let lacks = match ask.query {
            Query::MaskWrite { .. } => &mut self.lacks.mask_write,
            Query::ReadWrite(..) => &mut self.lacks.read_write,
            _ => return false,
        };
        let unknown = *answer == Answer::Exception(codec::ILLEGAL_FUNCTION) && !*lacks;
        *lacks |= unknown;
        unknown
    }

    fn busy(&self, ask: &Ask, answer: &Answer) -> Option<DeviceFault> {
        match (&ask.query, answer) {
            (_, Answer::Exception(codec::BUSY)) | (Query::Read(_), Answer::Exception(codec::ACKNOWLEDGE)) => {
                let Answer::Exception(code) = answer else { return None };
                Some(codec::refusal(*code))
            }
            _ => None,
        }
    }

    fn reconnected(&mut self) {
        self.lacks = Lacks::default();
    }

    fn acknowledge(&self, ask: &Ask, answer: Answer) -> Result<(), DeviceFault> {
        match (&ask.query, answer) {
            (_, Answer::Written) => Ok(()),
            // It will be done, so that reading back can show it.
            (_, Answer::Exception(codec::ACKNOWLEDGE)) => {
                let why = "the device took it and needs more time for it (exception 5)";
                Err(DeviceFault::Unsettled(why.to_owned()))
            }
            (_, Answer::Exception(code)) => Err(codec::refusal(code)),
            // The device writes before it reads (Modbus Application Protocol V1.1b3, 6.17).
            (Query::ReadWrite(_, wanted), Answer::Registers(shown)) if shown == *wanted => Ok(()),
            (Query::ReadWrite(_, wanted), Answer::Registers(shown)) => Err(not_taken(wanted, &shown)),
            (_, Answer::Bits(_) | Answer::Registers(_)) => {
                Err(DeviceFault::Garbled("it acknowledges nothing".to_owned()))
            }
        }
    }

    fn refuses(&self, answer: &Answer) -> bool {
        matches!(answer, Answer::Exception(_))
    }

    /// What is written may be rounded to what a register holds, and what is read may be coarser than that.
    fn shows(&self, written: PointId, by: PointId, wanted: &Value, shown: &Value) -> bool {
        let class = self.mapping.point(by).map(|point| point.class);
        let settled = |transform: &Transform, kind: RawKind| {
            class.and_then(|class| transform.settled(wanted, kind, class).ok())
        };
        let sent = self.write_binding(written).ok();
        let sent = sent.and_then(|binding| settled(&binding.transform, binding.point.raw_kind()));
        let read = self.mapping.point(by).and_then(|it| it.read?.parts.first());
        let read = read.and_then(|part| settled(&part.transform, part.point.raw_kind()));
        wanted == shown || sent.as_ref() == Some(shown) || read.as_ref() == Some(shown)
    }

    fn write_rate(&self) -> Duration {
        self.options().write_rate
    }

    fn turnaround(&self) -> Duration {
        self.options().turnaround
    }

    fn hear(&mut self, _: Instant, word: Infallible) -> Heard {
        match word {}
    }

    fn tells(&self, _: PointId) -> bool {
        false
    }

    fn is_taciturn(&self) -> bool {
        false
    }

    fn guard(&self) -> Duration {
        self.options().guard
    }
}
