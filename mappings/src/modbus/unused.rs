//! Registers that a test gives and nothing uses: hardly ever what was meant.

use std::collections::BTreeSet;

use super::{ModbusPoint, ModbusTable};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::draft::{MappingDraft, TestDraft};
use crate::mapping::{Mapping, ReadPoint, WritePoint};
use crate::read::Report;

/// A table and an address.
pub(crate) type Cell = (ModbusTable, u16);

/// Warns of each run of a test of which the mapping uses nothing.
pub(crate) fn unused(draft: &MappingDraft, test: &TestDraft, used: &BTreeSet<Cell>) -> Vec<Diagnostic> {
    let mut report = Report::of(draft.source.files());
    for run in test.holds.runs.iter().chain(&test.before.runs) {
        let addresses = (run.address.value..=u16::MAX).take(run.values.len());
        let wanted = addresses.map(|address| (run.table, address)).any(|cell| used.contains(&cell));
        if !wanted {
            let message = format!("no capability uses {} {}", run.table.name(), run.address.value);
            let warning = report.unfit(Code::UnusedCell, run.address.span, message);
            warning.help("correct the address here or in the capability, or remove it from the test");
        }
    }
    report.found
}

/// Every register and bit that a mapping uses.
pub(crate) fn used(mapping: &Mapping) -> BTreeSet<Cell> {
    let read = mapping.points().filter_map(|point| point.read).flat_map(|read| read.places());
    let read = read.filter_map(ReadPoint::modbus);
    let written = mapping.points().filter_map(|point| point.write).map(|write| &write.point);
    let steps = mapping.commands.iter().flat_map(|command| &command.steps).map(|step| &step.point);
    let written = written.chain(steps).filter_map(WritePoint::modbus).map(|(point, ..)| point);
    let known = mapping.fingerprint.iter().filter_map(|print| print.point.modbus());
    read.chain(written).chain(known).flat_map(cells).collect()
}

fn cells(point: &ModbusPoint) -> impl Iterator<Item = Cell> + use<> {
    let table = point.table;
    (point.address..=u16::MAX).take(usize::from(point.count)).map(move |address| (table, address))
}
