//! Runs the tests of a mapping file.

use std::collections::BTreeSet;

use super::fixture::{self, Fixture};
use super::{Params, Untested};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Span, has_errors};
use crate::draft::{At, Flawed, MappingDraft, TestDraft};
use crate::mapping::{Capability, Class, Mapping, ReadBinding, ReadPoint, WriteBinding, WritePoint};
use crate::modbus::unused;
use crate::port::DeviceFault;
use crate::read::Report;
use crate::read::mapping::is_name;
use crate::transform::Transform;
use crate::value::Value;
use crate::words::nearest;

/// Runs every test with its parameters, those left out at their defaults; what fails is reported where the file expects
/// it. `mapping` is the one with the defaults. Tests of what is flawed, which has been told, say nothing more.
pub(super) fn run(draft: &MappingDraft, mapping: &Mapping, flawed: &Flawed) -> Vec<Diagnostic> {
    let mut report = Report::of(draft.source.files());
    let mut sets: BTreeSet<Params> = BTreeSet::new();
    for test in &draft.tests {
        sets.extend(draft.source.of_test(&mut report, &test.params));
    }
    let mut found = report.found;
    for params in sets.into_iter().take(MAX_SETS) {
        if params == draft.given {
            found.extend(run_with(draft, mapping, flawed));
            continue;
        }
        if !flawed.is_empty() {
            continue;
        }
        let (varied, mut problems) = draft.with_params(&params);
        if let Some(varied) = varied {
            let Untested { mapping, found: more, flawed } = super::untested(&varied);
            problems.extend(more);
            if !has_errors(&problems) {
                found.extend(run_with(&varied, &mapping, &flawed));
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
fn run_with(draft: &MappingDraft, mapping: &Mapping, flawed: &Flawed) -> Vec<Diagnostic> {
    let files = draft.source.files();
    let mut runner = Runner { mapping, flawed, report: Report::of(files) };
    let (used, mut told) = (unused::used(mapping), Vec::new());
    for test in &draft.tests {
        let params = draft.source.of_test(&mut Report::of(files), &test.params);
        if params.as_ref() == Some(&draft.given) && !depends(test, flawed) {
            runner.test(test);
        }
        if params.as_ref() == Some(&draft.given) && flawed.is_empty() && !test.flawed {
            told.extend(unused::unused(draft, test, &used));
            told.extend(unheard(draft, mapping, test));
        }
    }
    runner.report.found.extend(told);
    runner.report.found
}

/// Whether a test has mistakes of its own, or is about something that has.
fn depends(test: &TestDraft, flawed: &Flawed) -> bool {
    let values = test.expect.iter().chain(&test.write).chain(&test.refuses).map(|(id, _)| id);
    let mut named = values.chain(&test.invalid).chain(test.command.iter().map(|(id, _)| id));
    // Every event may happen, or not.
    let happening = test.fires.is_some() && flawed.has_members();
    test.flawed || happening || named.any(|id| flawed.has(&id.value))
}

pub(super) struct Runner<'m> {
    pub(super) mapping: &'m Mapping,
    flawed: &'m Flawed,
    report: Report<'m>,
}

impl<'m> Runner<'m> {
    fn test(&mut self, test: &TestDraft) {
        let holds = Fixture::new(&test.holds);
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

    fn expect(&mut self, id: &At<String>, text: &At<String>, holds: &Fixture) {
        let Some((cap, reading)) = self.reading(id, holds) else { return };
        let wanted = match Value::parse(cap.class, &text.value) {
            Ok(wanted) => wanted,
            Err(why) => {
                let number = text.value.split_once(' ').map(|(number, _)| number);
                let number = number.filter(|number| Value::parse(cap.class, number).is_ok());
                let help = match number {
                    Some(number) => format!("write {number}: it is in the unit of the capability"),
                    None => "write it as USP does".to_owned(),
                };
                return self.report.error(Code::TestShape, text.span, why).help(help);
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

    fn invalid(&mut self, id: &At<String>, holds: &Fixture) {
        if let Some((_, Ok(value))) = self.reading(id, holds) {
            self.failed(id.span, format!("`{}` reads {}, and that is valid", id.value, value.to_usp()));
        }
    }

    fn writes(&mut self, test: &TestDraft, mut holds: Fixture) {
        if test.write.is_empty() && test.command.is_empty() && test.sends.is_empty() {
            return;
        }
        let mut sent = Fixture::default();
        if !self.commands(test, &mut holds, &mut sent) {
            return;
        }
        for (id, text) in &test.write {
            match self.sent(id, text, &holds) {
                Some(Ok(cells)) => {
                    holds.extend(&cells);
                    sent.extend(&cells);
                }
                Some(Err(fault)) => return self.failed(text.span, format!("`{}`: {fault}", id.value)),
                None => return,
            }
        }
        self.compare(test, &sent);
    }

    pub(super) fn compare(&mut self, test: &TestDraft, sent: &Fixture) {
        let span = test.sends.first_span().unwrap_or(test.span);
        for difference in sent.differences(&Fixture::new(&test.sends)) {
            self.failed(span, difference);
        }
    }

    fn refuses(&mut self, id: &At<String>, text: &At<String>) {
        let Some(cap) = self.capability(id) else { return };
        let Some(write) = self.write_binding(cap, id) else { return };
        let encoded = Value::parse(cap.class, &text.value)
            .map_err(DeviceFault::Unwritable)
            .and_then(|value| write.transform.encode(&value, write.point.raw_kind()))
            .and_then(|raw| Fixture::default().written(&write.point, &raw));
        if encoded.is_ok() {
            self.failed(text.span, format!("`{}` takes {}", id.value, text.value));
        }
    }

    /// What a capability reads from a device that holds this.
    fn reading(
        &mut self,
        id: &At<String>,
        holds: &Fixture,
    ) -> Option<(&'m Capability, Result<Value, DeviceFault>)> {
        let cap = self.capability(id)?;
        let Some(read) = &cap.read else {
            self.shape(id.span, format!("`{}` cannot be read", id.value), "test what is written");
            return None;
        };
        for point in read.places() {
            self.knows(id, point, holds)?;
        }
        Some((cap, decoded(read, cap.class, holds)))
    }

    fn sent(
        &mut self,
        id: &At<String>,
        text: &At<String>,
        holds: &Fixture,
    ) -> Option<Result<Fixture, DeviceFault>> {
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
        holds: &Fixture,
    ) -> Option<Result<Fixture, DeviceFault>> {
        if let Some(kept) = point.kept() {
            self.knows(id, &kept, holds)?;
        }
        let raw = transform.encode(value, point.raw_kind());
        Some(raw.and_then(|raw| holds.written(point, &raw)))
    }

    fn write_binding<'c>(&mut self, cap: &'c Capability, id: &At<String>) -> Option<&'c WriteBinding> {
        if cap.write.is_none() {
            let message = format!("`{}` cannot be written", id.value);
            self.shape(id.span, message, "test what it reads, with `expect`");
        }
        cap.write.as_ref()
    }

    /// Whether a test says all that has to be known at a place.
    pub(super) fn knows(&mut self, id: &At<String>, point: &ReadPoint, holds: &Fixture) -> Option<()> {
        let Some((what, add)) = holds.lacks(point) else { return Some(()) };
        let message = format!("`{}` needs {what}, and the test does not say what it holds", id.value);
        self.shape(id.span, message, &format!("add it: `{add}`"));
        None
    }

    fn capability(&mut self, id: &At<String>) -> Option<&'m Capability> {
        let mapping = self.mapping;
        let all = || mapping.capabilities.iter().chain(mapping.settings.iter().map(|setting| &setting.like));
        let found = all().find(|cap| cap.id == id.value);
        // What was meant may have a mistake in its key, which the test cannot have too.
        if found.is_none() && nearest(&id.value, self.flawed.misnamed()).is_none() {
            let ids = all().map(|cap| cap.id.as_str()).filter(|id| is_name(id));
            let ids: Vec<&str> = ids.collect();
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

/// What a device that holds this shows, where everything is known.
pub(super) fn decoded(read: &ReadBinding, class: Class, holds: &Fixture) -> Result<Value, DeviceFault> {
    read.decode(class, |point| holds.raw(point))
}

/// Warns of each message of a test that the mapping takes nothing out of.
fn unheard(draft: &MappingDraft, mapping: &Mapping, test: &TestDraft) -> Vec<Diagnostic> {
    let mut report = Report::of(draft.source.files());
    let reads = mapping.points().filter_map(|point| point.read).flat_map(|read| read.places());
    let reads: Vec<&ReadPoint> = reads.collect();
    for held in [&test.holds, &test.before] {
        for said in fixture::unused(&held.said, &reads) {
            let message = format!("no capability reads `{}`", said.place.value);
            let warning = report.unfit(Code::UnusedCell, said.place.span, message);
            warning.help("correct it here or in the capability, or remove it from the test");
        }
    }
    report.found
}
