//! What a device holds in a test, and what writes put there.

use std::collections::BTreeMap;

use super::{ModbusPoint, ModbusTable, RunDraft};
use crate::mapping::WritePoint;
use crate::port::DeviceFault;
use crate::transform::Raw;

/// What a device holds, or was sent: registers, and bits as 0 and 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cells(BTreeMap<(ModbusTable, u16), u16>);

impl Cells {
    pub(crate) fn new(runs: &[RunDraft]) -> Self {
        let cells = runs.iter().flat_map(|run| {
            let values = run.values.iter().map(|value| value.value);
            (run.address.value..=u16::MAX).zip(values).map(|(address, value)| ((run.table, address), value))
        });
        Self(cells.collect())
    }

    /// This with what was written later.
    pub(crate) fn extend(&mut self, later: &Self) {
        self.0.extend(&later.0);
    }

    /// What is not known at a place, and how to say it: `holding 41`, `holding: {41: 0}`.
    pub(crate) fn lacks(&self, point: &ModbusPoint) -> Option<(String, String)> {
        let address = self.registers(*point).err()?;
        let table = point.table.name();
        Some((format!("{table} {address}"), format!("{table}: {{{address}: 0}}")))
    }

    /// The raw value at a place of which everything is known.
    pub(crate) fn raw(&self, point: &ModbusPoint) -> Result<Raw, DeviceFault> {
        let registers = self.registers(*point).map_err(|_| DeviceFault::Unknown)?;
        let raw = if point.table.is_bits() {
            registers.first().map(|bit| Raw::Bool(*bit != 0))
        } else {
            point.decode_registers(&registers)
        };
        raw.ok_or_else(|| DeviceFault::Garbled("it is no such value".to_owned()))
    }

    /// What a device that held this holds where a raw value was written.
    pub(crate) fn written(&self, point: &WritePoint, raw: &Raw) -> Self {
        let before = point.kept().and_then(|kept| self.registers(*kept.modbus()?).ok());
        let Some((point, ..)) = point.modbus() else { return Self::default() };
        let registers = match raw {
            Raw::Bool(bit) => vec![u16::from(*bit)],
            raw => point.encode_registers(raw, before.as_deref()).unwrap_or_default(),
        };
        let places = point.address..=u16::MAX;
        Self(places.zip(registers).map(|(address, value)| ((point.table, address), value)).collect())
    }

    /// In which this, that was sent, is not what was wanted.
    pub(crate) fn differences(&self, wanted: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        for ((table, address), value) in &wanted.0 {
            let sent = self.0.get(&(*table, *address));
            if sent != Some(value) {
                let shown = sent.map_or("nothing".to_owned(), |sent| format!("{sent:#06x}"));
                differences.push(format!("{} {address} is sent {shown}, not {value:#06x}", table.name()));
            }
        }
        let too = self.0.iter().find(|(cell, _)| !wanted.0.contains_key(cell));
        differences.extend(
            too.map(|((table, address), value)| {
                format!("{} {address} is sent {value:#06x} too", table.name())
            }),
        );
        differences
    }

    /// The registers of a place. Errors: the first address of which nothing is known.
    fn registers(&self, point: ModbusPoint) -> Result<Vec<u16>, u32> {
        let wanted = u32::from(point.address)..u32::from(point.address) + u32::from(point.count);
        let of = |address: u32| {
            let known = u16::try_from(address).ok().and_then(|at| self.0.get(&(point.table, at)));
            known.copied().ok_or(address)
        };
        wanted.map(of).collect()
    }
}
