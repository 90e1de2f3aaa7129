//! A Modbus device as the bus sees it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use usp_mapping::mapping::{
    Device, DeviceAddress, Mapping, ModbusOptions, ModbusPoint, Protocol, ReadBinding, ReadPoint,
    WriteBinding, WritePoint,
};
use usp_mapping::port::{DeviceFault, PointId};
use usp_mapping::value::Value;

use crate::bus::{Model, Understood, WriteStart};
use crate::modbus::codec::{self, Answer, Ask, Query};
use crate::modbus::poll::{self, Block, Cuts};

/// Options, unit and what was learnt about one device.
#[derive(Debug)]
pub(crate) struct ModbusModel {
    mapping: Arc<Mapping>,
    unit: u8,
    cuts: Cuts,
}

impl ModbusModel {
    fn options(&self) -> &ModbusOptions {
        let Protocol::Modbus(options) = &self.mapping.protocol;
        options
    }

    pub(super) fn ask(&self, query: Query) -> Ask {
        Ask { unit: self.unit, timeout: self.options().timeout, query }
    }

    fn write_binding(&self, point: PointId) -> Result<&WriteBinding, DeviceFault> {
        let capability = self.mapping.capabilities.get(usize::from(point.0)).ok_or(DeviceFault::Unknown)?;
        let unwritable = || DeviceFault::Unwritable("the mapping has no way to write it".to_owned());
        capability.write.as_ref().ok_or_else(unwritable)
    }

    /// The points of a read with their places.
    pub(super) fn placed(&self, points: &[PointId]) -> Vec<(PointId, ModbusPoint)> {
        let places = |id: PointId| {
            let read = self.mapping.point(id).and_then(|point| point.read);
            let places = read.into_iter().flat_map(ReadBinding::places);
            places.map(move |ReadPoint::Modbus(place)| (id, *place))
        };
        points.iter().flat_map(|id| places(*id)).collect()
    }

    fn reading(&self, point: PointId, block: &Block, answer: &Answer) -> Result<Value, DeviceFault> {
        let point = self.mapping.point(point).ok_or(DeviceFault::Unknown)?;
        let raw = |ReadPoint::Modbus(place): &ReadPoint| codec::extract(place, block, answer);
        point.read.ok_or(DeviceFault::Unknown)?.decode(point.class, raw)
    }

    fn encode(&self, point: PointId, value: &Value, before: Option<&[u16]>) -> Result<Ask, DeviceFault> {
        let binding = self.write_binding(point)?;
        let WritePoint::Modbus { point: place, function, .. } = &binding.point;
        let raw = binding.transform.encode(value, place.raw_kind())?;
        codec::write(place, *function, &raw, before).map(|query| self.ask(query))
    }
}

impl Model for ModbusModel {
    type Ask = Ask;
    type Answer = Answer;

    fn new(device: &Device) -> Self {
        let DeviceAddress::ModbusUnit(unit) = device.address;
        Self { mapping: Arc::clone(&device.mapping), unit, cuts: Cuts::default() }
    }

    fn plan(&mut self, now: Instant, points: &[PointId]) -> Vec<Ask> {
        let placed = self.placed(points);
        let Protocol::Modbus(options) = &self.mapping.protocol;
        let blocks = poll::coalesce(&placed, options, &mut self.cuts, now);
        blocks.into_iter().map(|block| self.ask(Query::Read(block))).collect()
    }

    fn points(&self, ask: &Ask) -> Vec<PointId> {
        match &ask.query {
            Query::Read(block) => block.points.clone(),
            Query::WriteCoil(..)
            | Query::WriteCoils(..)
            | Query::WriteRegister(..)
            | Query::WriteRegisters(..) => Vec::new(),
        }
    }

    fn understand(&mut self, now: Instant, ask: &Ask, answer: Answer) -> Understood<Ask> {
        let Query::Read(block) = &ask.query else {
            return Understood { readings: Vec::new(), again: Vec::new() };
        };
        if let Answer::Exception(code) = answer {
            let parts = if codec::may_be_a_part(code) {
                poll::split(&self.placed(&block.points), &mut self.cuts, now)
            } else {
                Vec::new()
            };
            let again: Vec<_> = parts.into_iter().map(|part| self.ask(Query::Read(part))).collect();
            let refused = if again.is_empty() { block.points.as_slice() } else { &[] };
            let readings = refused.iter().map(|point| (*point, Err(codec::refusal(code)))).collect();
            return Understood { readings, again };
        }
        let readings = block.points.iter().map(|point| (*point, self.reading(*point, block, &answer)));
        Understood { readings: readings.collect(), again: Vec::new() }
    }

    fn write(&self, point: PointId, value: &Value) -> Result<WriteStart<Ask>, DeviceFault> {
        let WritePoint::Modbus { point: place, read_modify_write, .. } = &self.write_binding(point)?.point;
        let ask = self.encode(point, value, None)?;
        if !read_modify_write || place.table.is_bits() {
            return Ok(WriteStart::Send(ask));
        }
        let (table, address, count) = (place.table, place.address, place.count);
        Ok(WriteStart::Fetch(self.ask(Query::Read(Block { table, address, count, points: Vec::new() }))))
    }

    fn modify(&self, point: PointId, value: &Value, fetched: Answer) -> Result<Ask, DeviceFault> {
        match fetched {
            Answer::Registers(words) => self.encode(point, value, Some(&words)),
            Answer::Exception(code) => Err(codec::refusal(code)),
            Answer::Bits(_) | Answer::Written => {
                Err(DeviceFault::Garbled("it holds no registers".to_owned()))
            }
        }
    }

    fn acknowledge(&self, _ask: &Ask, answer: Answer) -> Result<(), DeviceFault> {
        match answer {
            Answer::Written => Ok(()),
            Answer::Exception(code) => Err(codec::refusal(code)),
            Answer::Bits(_) | Answer::Registers(_) => {
                Err(DeviceFault::Garbled("it acknowledges nothing".to_owned()))
            }
        }
    }

    fn refuses(&self, answer: &Answer) -> bool {
        matches!(answer, Answer::Exception(_))
    }

    /// What is written may be rounded to what a register holds, and what is read may be coarser than that.
    fn shows(&self, point: PointId, wanted: &Value, shown: &Value) -> bool {
        let capability = self.mapping.capabilities.get(usize::from(point.0));
        let settled = |transform: &usp_mapping::transform::Transform, place: &ModbusPoint| {
            capability.and_then(|it| transform.settled(wanted, place.raw_kind(), it.class).ok())
        };
        let written = self.write_binding(point).ok().and_then(|binding| {
            let WritePoint::Modbus { point: place, .. } = &binding.point;
            settled(&binding.transform, place)
        });
        let read = self.mapping.point(point).and_then(|it| it.read?.parts.first()).and_then(|part| {
            let ReadPoint::Modbus(place) = &part.point;
            settled(&part.transform, place)
        });
        wanted == shown || written.as_ref() == Some(shown) || read.as_ref() == Some(shown)
    }

    fn guard(&self) -> Duration {
        self.options().guard
    }
}
