//! Runs the tests of a mapping file.

use std::collections::{BTreeMap, BTreeSet};

use super::{Params, cells};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Span, has_errors};
use crate::draft::{At, MappingDraft, RunDraft, TestDraft};
use crate::mapping::{
    Capability, Class, Mapping, ModbusPoint, ModbusTable, ModbusWriteFunction, ReadBinding, ReadPoint,
    WriteBinding, WritePoint,
};
use crate::port::DeviceFault;
use crate::read::Report;
use crate::transform::{Raw, Transform};
use crate::value::Value;

/// What a device holds, or was sent.
pub(super) type Cells = BTreeMap<(ModbusTable, u16), u16>;

/// Runs every test with its parameters, those left out at their defaults; what fails is reported where the file expects
/// it. `mapping` is the one with the defaults.
pub(super) fn run(draft: &MappingDraft, mapping: &Mapping) -> Vec<Diagnostic> {
    let mut report = Report::of(draft.source.files());
    let mut sets: BTreeSet<Params> = BTreeSet::new();
    for test in &draft.tests {
        sets.extend(draft.source.of_test(&mut report, &test.params));
    }
    let mut found = report.found;
    for params in sets.into_iter().take(MAX_SETS) {
        if params == draft.given {
            found.extend(run_with(draft, mapping));
            continue;
        }
        let (varied, mut problems) = draft.with_params(&params);
        if let Some(varied) = varied {
            let (mapping, more) = super::untested(&varied);
            problems.extend(more);
            if !has_errors(&problems) {
                found.extend(run_with(&varied, &mapping));
            }
        }
        for mut problem in problems.into_iter().filter(Diagnostic::is_error) {
            problem.message += &params.difference(&draft.given);
            found.push(problem);
        }
    }
    found
}

/// Most sets of parameters that the tests of one file have.
const MAX_SETS: usize = 64;

/// Runs the tests that have the parameters of this draft.
fn run_with(draft: &MappingDraft, mapping: &Mapping) -> Vec<Diagnostic> {
    let files = draft.source.files();
    let mut runner = Runner { mapping, report: Report::of(files) };
    let (used, mut unused) = (cells::used(mapping), Vec::new());
    for test in &draft.tests {
        let params = draft.source.of_test(&mut Report::of(files), &test.params);
        if params.as_ref() == Some(&draft.given) {
            runner.test(test);
            unused.extend(cells::unused(draft, test, &used));
        }
    }
    runner.report.found.extend(unused);
    runner.report.found
}

pub(super) struct Runner<'m> {
    pub(super) mapping: &'m Mapping,
    report: Report<'m>,
}

impl<'m> Runner<'m> {
    fn test(&mut self, test: &TestDraft) {
        let holds = cells(&test.holds);
        if test.expect.is_empty()
            && test.invalid.is_empty()
            && test.write.is_empty()
            && test.refuses.is_empty()
            && test.fires.is_none()
            && test.command.is_empty()
        {
            let error = self.report.error(Code::TestShape, test.span, "the test checks nothing");
            error.help("add `expect`, `invalid`, `fires`, `write` or `command` with `sends`, or `refuses`");
        }
        for (id, text) in &test.expect {
            self.expect(id, text, &holds);
        }
        for id in &test.invalid {
            self.invalid(id, &holds);
        }
        self.fires(test, &holds);
        self.writes(test, holds);
        for (id, text) in &test.refuses {
            self.refuses(id, text);
        }
    }

    fn expect(&mut self, id: &At<String>, text: &At<String>, holds: &Cells) {
        let Some((cap, reading)) = self.reading(id, holds) else { return };
        let wanted = match Value::parse(cap.class, &text.value) {
            Ok(wanted) => wanted,
            Err(why) => {
                return self.report.error(Code::TestShape, text.span, why).help("write it as USP does");
            }
        };
        match reading {
            Ok(value) if value == wanted => {}
            Ok(value) => {
                self.failed(text.span, format!("`{}` reads {}, not {}", id.value, value.to_usp(), text.value))
            }
            Err(fault) => self.failed(text.span, format!("`{}` reads nothing: {fault}", id.value)),
        }
    }

    fn invalid(&mut self, id: &At<String>, holds: &Cells) {
        if let Some((_, Ok(value))) = self.reading(id, holds) {
            self.failed(id.span, format!("`{}` reads {}, and that is valid", id.value, value.to_usp()));
        }
    }

    fn writes(&mut self, test: &TestDraft, mut holds: Cells) {
        if test.write.is_empty() && test.command.is_empty() && test.sends.is_empty() {
            return;
        }
        let mut sent = Cells::new();
        if !self.commands(test, &mut holds, &mut sent) {
            return;
        }
        for (id, text) in &test.write {
            match self.sent(id, text, &holds) {
                Some(Ok(cells)) => {
                    holds.extend(cells.clone());
                    sent.extend(cells);
                }
                Some(Err(fault)) => return self.failed(text.span, format!("`{}`: {fault}", id.value)),
                None => return,
            }
        }
        self.compare(test, &sent);
    }

    pub(super) fn compare(&mut self, test: &TestDraft, sent: &Cells) {
        let wanted = cells(&test.sends);
        let span = test.sends.first().map_or(test.span, |run| run.address.span);
        for (cell, value) in &wanted {
            if sent.get(cell) != Some(value) {
                let shown = sent.get(cell).map_or("nothing".to_owned(), |sent| format!("{sent:#06x}"));
                self.failed(span, format!("{} {} is sent {shown}, not {value:#06x}", cell.0.name(), cell.1));
            }
        }
        if let Some(((table, address), value)) = sent.iter().find(|(cell, _)| !wanted.contains_key(cell)) {
            self.failed(span, format!("{} {address} is sent {value:#06x} too", table.name()));
        }
    }

    fn refuses(&mut self, id: &At<String>, text: &At<String>) {
        let Some(cap) = self.capability(id) else { return };
        let Some(write) = self.write_binding(cap, id) else { return };
        let WritePoint::Modbus { point, .. } = &write.point;
        let encoded = Value::parse(cap.class, &text.value)
            .map_err(DeviceFault::Unwritable)
            .and_then(|value| write.transform.encode(&value, point.raw_kind()));
        if encoded.is_ok() {
            self.failed(text.span, format!("`{}` takes {}", id.value, text.value));
        }
    }

    /// What a capability reads from a device that holds this.
    fn reading(
        &mut self,
        id: &At<String>,
        holds: &Cells,
    ) -> Option<(&'m Capability, Result<Value, DeviceFault>)> {
        let cap = self.capability(id)?;
        let Some(read) = &cap.read else {
            self.shape(id.span, format!("`{}` cannot be read", id.value), "test what is written");
            return None;
        };
        for ReadPoint::Modbus(point) in read.places() {
            self.registers(id, *point, holds)?;
        }
        Some((cap, decoded(read, cap.class, holds)))
    }

    fn sent(
        &mut self,
        id: &At<String>,
        text: &At<String>,
        holds: &Cells,
    ) -> Option<Result<Cells, DeviceFault>> {
        let cap = self.capability(id)?;
        let write = self.write_binding(cap, id)?;
        let value = match Value::parse(cap.class, &text.value) {
            Ok(value) => value,
            Err(why) => return Some(Err(DeviceFault::Unwritable(why))),
        };
        self.written(id, &write.point, &write.transform, &value, holds)
    }

    /// What a device holds where a value was written.
    pub(super) fn written(
        &mut self,
        id: &At<String>,
        point: &WritePoint,
        transform: &Transform,
        value: &Value,
        holds: &Cells,
    ) -> Option<Result<Cells, DeviceFault>> {
        let WritePoint::Modbus { point, function, read_modify_write } = *point;
        let keeps = read_modify_write || function == ModbusWriteFunction::MaskWrite;
        let before = if keeps { Some(self.registers(id, point, holds)?) } else { None };
        Some(transform.encode(value, point.raw_kind()).map(|raw| {
            let registers = match raw {
                Raw::Bool(bit) => vec![u16::from(bit)],
                raw => point.encode_registers(&raw, before.as_deref()).unwrap_or_default(),
            };
            let places = point.address..=u16::MAX;
            places.zip(registers).map(|(address, value)| ((point.table, address), value)).collect()
        }))
    }

    fn write_binding<'c>(&mut self, cap: &'c Capability, id: &At<String>) -> Option<&'c WriteBinding> {
        if cap.write.is_none() {
            let message = format!("`{}` cannot be written", id.value);
            self.shape(id.span, message, "test what it reads, with `expect`");
        }
        cap.write.as_ref()
    }

    pub(super) fn registers(
        &mut self,
        id: &At<String>,
        point: ModbusPoint,
        holds: &Cells,
    ) -> Option<Vec<u16>> {
        match held(point, holds) {
            Ok(registers) => Some(registers),
            Err(address) => {
                let table = point.table.name();
                let message = format!(
                    "`{}` needs {table} {address}, and the test does not say what it holds",
                    id.value
                );
                self.shape(id.span, message, &format!("add it: `{table}: {{{address}: 0}}`"));
                None
            }
        }
    }

    fn capability(&mut self, id: &At<String>) -> Option<&'m Capability> {
        let mapping = self.mapping;
        let found = mapping.capabilities.iter().find(|cap| cap.id == id.value);
        if found.is_none() {
            let ids: Vec<&str> = mapping.capabilities.iter().map(|cap| cap.id.as_str()).collect();
            let message = format!("there is no capability `{}`", id.value);
            self.report.error(Code::TestShape, id.span, message).suggest(&id.value, &ids);
        }
        found
    }

    pub(super) fn failed(&mut self, span: Span, message: String) {
        self.report.error(Code::TestFailed, span, message).help("correct the test or what it tests");
    }

    pub(super) fn shape(&mut self, span: Span, message: String, help: &str) {
        self.report.error(Code::TestShape, span, message).help(help);
    }
}

/// What a device that holds this shows at a place of which everything is held.
pub(super) fn decoded(read: &ReadBinding, class: Class, holds: &Cells) -> Result<Value, DeviceFault> {
    read.decode(class, |ReadPoint::Modbus(point)| {
        let registers = held(*point, holds).map_err(|_| DeviceFault::Unknown)?;
        let raw = if point.table.is_bits() {
            registers.first().map(|bit| Raw::Bool(*bit != 0))
        } else {
            point.decode_registers(&registers)
        };
        raw.ok_or_else(|| DeviceFault::Garbled("it is no such value".to_owned()))
    })
}

/// What is held at a place. Errors: the first address of which that is not known.
pub(super) fn held(point: ModbusPoint, holds: &Cells) -> Result<Vec<u16>, u32> {
    let wanted = u32::from(point.address)..u32::from(point.address) + u32::from(point.count);
    let of = |address: u32| {
        let known = u16::try_from(address).ok().and_then(|at| holds.get(&(point.table, at)));
        known.copied().ok_or(address)
    };
    wanted.map(of).collect()
}

pub(super) fn cells(runs: &[RunDraft]) -> Cells {
    let cells = runs.iter().flat_map(|run| {
        let values = run.values.iter().map(|value| value.value);
        (run.address.value..=u16::MAX).zip(values).map(|(address, value)| ((run.table, address), value))
    });
    cells.collect()
}
