//! Runs the tests of one file and keeps what came of each.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use usp_mapping::compile::{Params, compile};
use usp_mapping::diagnostic::{Code, Diagnostic, SourceFile};
use usp_mapping::draft::{At, CapabilityDraft, HeldDraft, MappingDraft, RunDraft, SaidDraft, TestDraft};
use usp_mapping::mapping::ProtocolKind;
use usp_mapping::payload::shown;
use usp_mapping::site::Resolve;

/// What came of a file.
pub(in crate::cli::mapping) enum Outcome {
    /// Something other than a test is wrong with it.
    Unusable(Vec<Diagnostic>),
    /// Its tests ran.
    Ran(Box<Ran>),
}

/// A file whose tests ran. Its JSON form is a contract; `--help` shows it.
#[derive(Debug, Serialize)]
pub(in crate::cli::mapping) struct Ran {
    pub(in crate::cli::mapping) file: String,
    pub(in crate::cli::mapping) profile: String,
    pub(in crate::cli::mapping) version: String,
    ok: bool,
    passed: usize,
    failed: usize,
    pub(in crate::cli::mapping) tests: Vec<Tested>,
    pub(in crate::cli::mapping) untested: Untested,
    #[serde(skip)]
    pub(in crate::cli::mapping) readable: usize,
    #[serde(skip)]
    pub(in crate::cli::mapping) writable: usize,
}

/// One test. Registers by table and address.
#[derive(Debug, Serialize)]
pub(in crate::cli::mapping) struct Tested {
    pub(in crate::cli::mapping) line: usize,
    pub(in crate::cli::mapping) ok: bool,
    pub(in crate::cli::mapping) holds: Held,
    pub(in crate::cli::mapping) expect: Texts,
    pub(in crate::cli::mapping) invalid: Vec<String>,
    pub(in crate::cli::mapping) write: Texts,
    pub(in crate::cli::mapping) sends: Held,
    pub(in crate::cli::mapping) refuses: Texts,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub(in crate::cli::mapping) params: Texts,
    #[serde(skip_serializing_if = "Held::is_empty")]
    pub(in crate::cli::mapping) before: Held,
    /// `None`: it is not about events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli::mapping) fires: Option<Vec<String>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::cli::mapping) command: BTreeMap<String, Texts>,
    pub(in crate::cli::mapping) failures: Vec<Missed>,
}

/// Registers and bits by table and address, and messages in their order.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(in crate::cli::mapping) struct Held {
    #[serde(flatten)]
    pub(in crate::cli::mapping) cells: Cells,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::cli::mapping) messages: Vec<Message>,
}

impl Held {
    pub(in crate::cli::mapping) fn is_empty(&self) -> bool {
        self.cells.is_empty() && self.messages.is_empty()
    }
}

/// A message: topic or path, and its body; in hexadecimal, after `hex `, if it is no text.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(in crate::cli::mapping) struct Message {
    pub(in crate::cli::mapping) to: String,
    pub(in crate::cli::mapping) body: String,
}

pub(in crate::cli::mapping) type Cells = BTreeMap<&'static str, BTreeMap<u16, u16>>;
pub(in crate::cli::mapping) type Texts = BTreeMap<String, String>;

/// What a test did not find.
#[derive(Debug, Serialize)]
pub(in crate::cli::mapping) struct Missed {
    pub(in crate::cli::mapping) line: usize,
    pub(in crate::cli::mapping) column: usize,
    pub(in crate::cli::mapping) message: String,
}

/// Capabilities that no test is about.
#[derive(Debug, Serialize)]
pub(in crate::cli::mapping) struct Untested {
    pub(in crate::cli::mapping) read: Vec<String>,
    pub(in crate::cli::mapping) write: Vec<String>,
    pub(in crate::cli::mapping) commands: Vec<String>,
    pub(in crate::cli::mapping) events: Vec<String>,
}

impl Untested {
    /// Whether every capability, command and event has a test.
    #[cfg(test)]
    pub(in crate::cli::mapping) fn is_empty(&self) -> bool {
        [&self.read, &self.write, &self.commands, &self.events].iter().all(|all| all.is_empty())
    }
}

impl Ran {
    pub(in crate::cli::mapping) fn passed(&self) -> usize {
        self.passed
    }

    pub(in crate::cli::mapping) fn failed(&self) -> usize {
        self.failed
    }
}

/// Runs the tests of a mapping file, with the defaults of its parameters.
pub(in crate::cli::mapping) fn run_file(file: &SourceFile, resolve: &Resolve<'_>) -> Outcome {
    let (draft, mut found) = MappingDraft::parse_with(file, resolve);
    let Some(draft) = draft else { return Outcome::Unusable(found) };
    found.extend(compile(&draft, &Params::examples(&draft)).1);
    let (missed, others): (Vec<_>, Vec<_>) =
        found.into_iter().filter(Diagnostic::is_error).partition(|error| error.code == Code::TestFailed);
    if others.is_empty() { Outcome::Ran(Box::new(ran(&draft, &missed))) } else { Outcome::Unusable(others) }
}

fn ran(draft: &MappingDraft, missed: &[Diagnostic]) -> Ran {
    let ends = draft.tests.iter().skip(1).map(|test| test.span.start).chain([usize::MAX]);
    let tests: Vec<Tested> =
        draft.tests.iter().zip(ends).map(|(test, end)| tested(test, (end, draft.protocol), missed)).collect();
    let failed = tests.iter().filter(|test| !test.ok).count();
    let (readable, writable) = (
        with(draft, |cap| cap.read.is_some() || !cap.values.is_empty()),
        with(draft, |cap| cap.write.is_some()),
    );
    Ran {
        file: draft.file.name().to_owned(),
        profile: draft.profile.as_ref().map(|at| at.value.clone()).unwrap_or_default(),
        version: draft.version.as_ref().map(|at| at.value.clone()).unwrap_or_default(),
        ok: failed == 0,
        passed: tests.len() - failed,
        failed,
        readable: readable.len(),
        writable: writable.len(),
        untested: untested(draft, readable, writable),
        tests,
    }
}

/// `end`: where the next test begins.
fn tested(test: &TestDraft, (end, protocol): (usize, ProtocolKind), missed: &[Diagnostic]) -> Tested {
    let within =
        |it: &&Diagnostic| it.span.file == test.span.file && (test.span.start..end).contains(&it.span.start);
    let failures: Vec<Missed> = missed
        .iter()
        .filter(within)
        .map(|it| Missed { line: it.span.line, column: it.span.column, message: it.message.clone() })
        .collect();
    Tested {
        line: test.span.line,
        ok: failures.is_empty(),
        holds: held(&test.holds, protocol),
        expect: texts(&test.expect),
        invalid: test.invalid.iter().map(|at| at.value.clone()).collect(),
        write: texts(&test.write),
        sends: held(&test.sends, protocol),
        refuses: texts(&test.refuses),
        params: texts(&test.params),
        before: held(&test.before, protocol),
        fires: test.fires.as_ref().map(|fires| fires.iter().map(|at| at.value.clone()).collect()),
        command: test.command.iter().map(|(id, args)| (id.value.clone(), texts(args))).collect(),
        failures,
    }
}

fn held(draft: &HeldDraft, protocol: ProtocolKind) -> Held {
    let body = |said: &SaidDraft| match protocol {
        // What comes over the air is bytes, be they letters or not; how strongly it is heard is a number.
        ProtocolKind::Ble => match (said.place.value.as_str(), said.body.value.as_slice()) {
            ("rssi", [low, high]) => i16::from_le_bytes([*low, *high]).to_string(),
            (_, body) => hex(body),
        },
        _ => shown(&said.body.value),
    };
    let message = |said: &SaidDraft| Message { to: said.place.value.clone(), body: body(said) };
    Held { cells: cells(&draft.runs), messages: draft.said.iter().map(message).collect() }
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    if digits.is_empty() { "nothing".to_owned() } else { format!("hex {}", digits.join(" ")) }
}

fn cells(runs: &[RunDraft]) -> Cells {
    let mut cells = Cells::new();
    for run in runs {
        let values = run.values.iter().map(|at| at.value);
        cells.entry(run.table.name()).or_default().extend((run.address.value..=u16::MAX).zip(values));
    }
    cells
}

fn texts(pairs: &[(At<String>, At<String>)]) -> Texts {
    pairs.iter().map(|(id, text)| (id.value.clone(), text.value.clone())).collect()
}

fn with(draft: &MappingDraft, can: impl Fn(&CapabilityDraft) -> bool) -> Vec<&str> {
    draft.bound().filter(|cap| can(cap)).map(|cap| cap.id.value.as_str()).collect()
}

fn untested(draft: &MappingDraft, readable: Vec<&str>, writable: Vec<&str>) -> Untested {
    let (mut read, mut written) = (BTreeSet::new(), BTreeSet::new());
    let (mut run, mut fired) = (BTreeSet::new(), BTreeSet::new());
    for test in &draft.tests {
        read.extend(test.expect.iter().map(|(id, _)| id.value.as_str()));
        read.extend(test.invalid.iter().map(|id| id.value.as_str()));
        written.extend(test.write.iter().map(|(id, _)| id.value.as_str()));
        run.extend(test.command.iter().map(|(id, _)| id.value.as_str()));
        fired.extend(test.fires.iter().flatten().map(|id| id.value.as_str()));
    }
    let without = |all: Vec<&str>, tested: &BTreeSet<&str>| {
        all.into_iter().filter(|id| !tested.contains(id)).map(str::to_owned).collect()
    };
    let commands = draft.commands.iter().map(|command| command.id.value.as_str()).collect();
    let events = draft.events.iter().map(|event| event.id.value.as_str()).collect();
    Untested {
        read: without(readable, &read),
        write: without(writable, &written),
        commands: without(commands, &run),
        events: without(events, &fired),
    }
}
