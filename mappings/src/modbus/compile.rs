//! From the places of a draft to those of a mapping.

use std::time::Duration;

use super::{ModbusOptions, ModbusWriteFunction};
use crate::code::Code;
use crate::compile::Compiler;
use crate::diagnostic::Span;
use crate::draft::{PointDraft, WriteDraft};
use crate::mapping::{Class, ReadPoint, WritePoint};

impl Compiler<'_> {
    /// Where a value of this class is read.
    pub(crate) fn modbus_read(&mut self, class: Class, draft: &PointDraft, span: Span) -> Option<ReadPoint> {
        let point = draft.at.resolve(None, self.draft.order())?;
        self.check_point(class, &draft.at, point, span);
        Some(ReadPoint::Modbus(point))
    }

    /// Where any value is read or written: a single bit or registers. `what` has no class of its own.
    pub(crate) fn modbus_any(&mut self, draft: &PointDraft, span: Span, what: &str) -> Option<ReadPoint> {
        let Some(point) = draft.at.resolve(None, self.draft.order()) else {
            if draft.at.place.is_none() {
                let error = self.report.absent(Code::Table, span, format!("{what} has no address"));
                error.help("add `holding` or `coil` with the address from 0");
            }
            return None;
        };
        let class = if point.table.is_bits() { Class::BinaryControl } else { Class::LevelControl };
        self.check_point(class, &draft.at, point, span);
        Some(ReadPoint::Modbus(point))
    }

    /// Where the power of ten of a value is.
    pub(crate) fn exponent_place(&self, draft: &PointDraft) -> Option<ReadPoint> {
        draft.at.exponent_point(self.draft.order()).map(ReadPoint::Modbus)
    }

    /// Where a value of this class is written; what is left out is taken from where it is read.
    pub(crate) fn modbus_write(
        &mut self,
        class: Class,
        write: &WriteDraft,
        read: Option<&PointDraft>,
    ) -> Option<WritePoint> {
        let inherited = read.and_then(|read| read.at.resolve(None, self.draft.order()));
        let Some(point) = write.point.at.resolve(inherited, self.draft.order()) else {
            if read.is_none() && write.point.at.place.is_none() {
                let error = self.report.absent(Code::Table, write.span, "`write` has no address");
                error.help(
                    "add `holding` or `coil` with the address from 0, or a `read` to write to the same place",
                );
            }
            return None;
        };
        self.check_point(class, &write.point.at, point, write.span);
        self.written_to(write, ReadPoint::Modbus(point))
    }

    /// How a place is written.
    pub(crate) fn written_to(&mut self, write: &WriteDraft, place: ReadPoint) -> Option<WritePoint> {
        let point = *place.modbus()?;
        let function = self.write_function(write, point)?;
        let read_modify_write = self.read_modify_write(write, point, function);
        Some(WritePoint::Modbus { point, function, read_modify_write })
    }

    /// What devices of this model can take.
    pub(crate) fn modbus_options(&self) -> ModbusOptions {
        let modbus = &self.draft.modbus;
        ModbusOptions {
            max_read: self.draft.max_read(),
            max_gap: self.draft.max_gap(),
            guard: modbus.guard.map_or(Duration::ZERO, |guard| guard.value),
            turnaround: modbus.turnaround.map_or(Duration::ZERO, |turnaround| turnaround.value),
            write_rate: modbus.write_rate.map_or(Duration::ZERO, |rate| rate.value),
            timeout: modbus.timeout.map_or(Duration::from_secs(1), |timeout| timeout.value),
            max_connections: modbus.max_connections.map(|most| most.value),
        }
    }
}

impl WritePoint {
    /// What must be known before it can be written.
    pub(crate) fn kept(&self) -> Option<ReadPoint> {
        let (point, function, read_modify_write) = self.modbus()?;
        let keeps = read_modify_write || function == ModbusWriteFunction::MaskWrite;
        keeps.then_some(ReadPoint::Modbus(*point))
    }
}
