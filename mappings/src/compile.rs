//! From a draft to a mapping: everything is checked against everything else and against TR-181, defaults are filled
//! in, parameters put in their places. All problems are found in one go.

pub(crate) mod capability;
mod command;
mod extras;
pub(crate) mod fixture;
pub(crate) mod follow;
mod happenings;
mod held;
mod listed;
mod made;
mod meaning;
pub(crate) mod params;
mod place;
mod variations;
mod vectors;

use std::collections::BTreeMap;
use std::time::Duration;

use rust_decimal::Decimal;

pub use self::params::Params;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Nature, SourceFile, has_errors};
use crate::draft::{At, Flawed, MappingDraft, PollDraft, ReadDraft};
use crate::library::Catalog;
use crate::mapping::{Mapping, OnlineRule, Poll, PollGroup};
use crate::port::PointId;
use crate::read::Report;
use crate::site::Resolve;
use crate::tr181;

/// The poll group of a file that names none.
const DEFAULT_POLL: (&str, Duration) = ("default", Duration::from_secs(10));

/// Compiles a draft that was read without errors, for a device with these parameters. With the defaults of the
/// parameters its tests are run, each with the parameters that it names.
///
/// The mapping is there if and only if no diagnostic is an error.
pub fn compile(draft: &MappingDraft, params: &Params) -> (Option<Mapping>, Vec<Diagnostic>) {
    if draft.given == *params {
        return compile_given(draft);
    }
    let (draft, mut found) = draft.with_params(params);
    let Some(draft) = draft else { return (None, found) };
    let (mapping, mut more) = compile_given(&draft);
    follow::follow(&found, &mut more);
    found.extend(more);
    sort(&mut found);
    (mapping.filter(|_| !has_errors(&found)), found)
}

/// Compiles a draft with the parameters that it was read with.
fn compile_given(draft: &MappingDraft) -> (Option<Mapping>, Vec<Diagnostic>) {
    let Untested { mapping, mut found, flawed } = untested(draft);
    let is_whole = draft.source.missing().is_empty();
    if is_whole && !flawed.whole && draft.given == draft.source.examples() {
        found.extend(vectors::run(draft, &mapping, &flawed));
        follow::drop_unused(&mut found);
    }
    sort(&mut found);
    ((is_whole && !has_errors(&found)).then_some(mapping), found)
}

/// A mapping whose tests were not run; what is flawed in it is of no use.
struct Untested {
    mapping: Mapping,
    found: Vec<Diagnostic>,
    flawed: Flawed,
}

fn untested(draft: &MappingDraft) -> Untested {
    let mut report = Report::of(draft.source.files());
    report.check_params(draft);
    let mut flawed = draft.flawed.clone();
    flawed.whole |= report.errors(0) > 0;
    let mut compiler = Compiler { draft, report, used_polls: BTreeMap::new(), flawed };
    let mapping = compiler.mapping();
    if !has_errors(&compiler.report.found) {
        compiler.check_overlaps();
    }
    let mut found = compiler.report.found;
    follow::drop_unused(&mut found);
    if !draft.source.missing().is_empty() {
        follow::drop_inherited(&mut found);
    }
    Untested { mapping, found, flawed: compiler.flawed }
}

/// As [`compile_file_with`]; what the file extends must be in the library inside the program.
pub fn compile_file(file: &SourceFile) -> (Option<Mapping>, Vec<Diagnostic>) {
    compile_file_with(file, &|wanted| Catalog::builtin().find(wanted))
}

/// Reads and compiles a mapping file with the defaults of its parameters, and sees whether it compiles with each other
/// value of its `enum` and `bool` parameters too: all that can be said about it by itself.
///
/// The mapping is there if and only if no diagnostic is an error.
pub fn compile_file_with(file: &SourceFile, resolve: &Resolve<'_>) -> (Option<Mapping>, Vec<Diagnostic>) {
    let (draft, mut found) = MappingDraft::parse_with(file, resolve);
    let Some(draft) = draft else { return (None, found) };
    let (mapping, mut more) = compile(&draft, &draft.given);
    follow::follow(&found, &mut more);
    found.extend(more);
    variations::check(&draft, &mut found);
    // Whoever extends a file cannot better it.
    found.retain(|diagnostic| diagnostic.is_error() || diagnostic.span.file == 0);
    sort(&mut found);
    (mapping.filter(|_| !has_errors(&found)), found)
}

/// In the order of the file, then of those that it extends.
pub(crate) fn sort(diagnostics: &mut [Diagnostic]) {
    diagnostics.sort_by_key(|diagnostic| (diagnostic.span.file, diagnostic.span.start, diagnostic.code));
}

/// What the parts of the compiler share.
pub(crate) struct Compiler<'d> {
    pub(crate) draft: &'d MappingDraft,
    pub(crate) report: Report<'d>,
    /// Group and its points.
    used_polls: BTreeMap<String, Vec<PointId>>,
    /// What cannot be relied on.
    flawed: Flawed,
}

impl Compiler<'_> {
    fn mapping(&mut self) -> Mapping {
        let draft = self.draft;
        let capabilities = self.capabilities();
        let settings = self.settings();
        Mapping {
            protocol: self.relied_on(Self::options),
            profile: draft.profile.as_ref().map(|at| at.value.clone()).unwrap_or_default(),
            version: draft.version.as_ref().map(|at| at.value.clone()).unwrap_or_default(),
            device_type: self.device_type(),
            description: self.text(draft.description.as_ref(), 256).unwrap_or_default(),
            nodes: self.nodes(),
            commands: self.commands(),
            events: self.events(capabilities.len() + settings.len()),
            capabilities,
            settings,
            poll_groups: self.poll_groups(),
            online: self.online(),
            fingerprint: self.fingerprint(),
        }
    }

    /// What everything else depends on.
    fn relied_on<T>(&mut self, compile: impl FnOnce(&mut Self) -> T) -> T {
        let since = self.report.found.len();
        let compiled = compile(self);
        self.flawed.whole |= self.report.errors(since) > 0;
        compiled
    }

    /// A capability, command or event. What is missing in one that could not be read wholly is not told.
    fn member<T>(&mut self, id: &str, compile: impl FnOnce(&mut Self) -> T) -> T {
        let since = self.report.found.len();
        let compiled = compile(self);
        if self.flawed.is_unread(id) {
            let mut place = 0..;
            let is_new = |place: Option<usize>| place.is_some_and(|place| place >= since);
            self.report.found.retain(|found| !is_new(place.next()) || found.nature != Nature::Absence);
        }
        self.flawed.note(id, self.report.flaw(since));
        compiled
    }

    fn device_type(&mut self) -> String {
        let Some(kind) = &self.draft.device_type else { return String::new() };
        self.listed(kind, Code::Type, "Type of a device", tr181::DEVICE_TYPES);
        kind.value.clone()
    }

    fn poll_groups(&mut self) -> Vec<PollGroup> {
        let used = std::mem::take(&mut self.used_polls);
        let mut groups = Vec::new();
        for (name, every) in &self.draft.poll {
            match used.get(&name.value) {
                Some(points) => groups.push(PollGroup {
                    name: name.value.clone(),
                    every: every.value,
                    points: points.clone(),
                }),
                // It may be what could not be read that is in it.
                None if self.flawed.has_members() => {}
                None => self
                    .report
                    .unfit(
                        Code::UnusedPoll,
                        name.span,
                        format!("no capability is in the poll group `{}`", name.value),
                    )
                    .help("remove it, or say `poll:` in a capability"),
            }
        }
        if self.draft.poll.is_empty()
            && let Some(points) = used.get(DEFAULT_POLL.0)
        {
            let (name, every) = DEFAULT_POLL;
            groups.push(PollGroup { name: name.to_owned(), every, points: points.clone() });
        }
        groups
    }

    /// When a capability that can be read is polled.
    fn poll(&mut self, id: PointId, poll: Option<&At<PollDraft>>, read: Option<&ReadDraft>) -> Poll {
        let said = read.and_then(|read| read.point.message.as_deref());
        if let Some(known) = said.and_then(|message| self.said_poll(message, poll)) {
            return known;
        }
        let first = self.draft.poll.first().map(|(name, every)| (name.value.clone(), every.value));
        let (name, every) = match poll.map(|at| (&at.value, at.span)) {
            None => first.unwrap_or((DEFAULT_POLL.0.to_owned(), DEFAULT_POLL.1)),
            Some((PollDraft::OnDemand, _)) => return Poll::OnDemand,
            Some((PollDraft::Once, _)) => return Poll::Once,
            Some((PollDraft::Group(group), span)) => {
                match self.draft.poll.iter().find(|(name, _)| name.value == *group) {
                    Some((name, every)) => (name.value.clone(), every.value),
                    None if self.flawed.poll => return Poll::OnDemand,
                    None => {
                        let names = self.draft.poll.iter().map(|(name, _)| name.value.as_str());
                        let names: Vec<&str> = names.chain(["on_demand", "once"]).collect();
                        let message = format!("there is no poll group `{group}`");
                        let error = self.report.error(Code::UnknownPoll, span, message);
                        if group.starts_with(|c: char| c.is_ascii_digit()) {
                            let how =
                                format!("write `poll: {{own: {group}}}` at the top, and `poll: own` here");
                            error.help(format!("a group has a name: {how}"));
                        } else {
                            error.suggest(group, &names);
                        }
                        return Poll::OnDemand;
                    }
                }
            }
        };
        self.used_polls.entry(name).or_default().push(id);
        Poll::Every(every)
    }

    fn online(&self) -> OnlineRule {
        let online = &self.draft.online;
        let second = Duration::from_secs(1);
        let (backoff_min, backoff_max) =
            online.backoff.map_or((second, 60 * second), |backoff| backoff.value);
        OnlineRule { fails: online.fails.map_or(3, |fails| fails.value), backoff_min, backoff_max }
    }

    /// A text of at most so many characters.
    fn text(&mut self, text: Option<&At<String>>, most: usize) -> Option<String> {
        let text = text?;
        let length = text.value.chars().count();
        if length > most {
            self.report
                .error(Code::TextLength, text.span, format!("{length} characters are too many"))
                .help(format!("TR-181 allows {most} here: shorten it"));
        }
        Some(text.value.clone())
    }

    fn positive(&mut self, number: Option<At<Decimal>>, what: &str) -> Option<Decimal> {
        let number = number?;
        if number.value <= Decimal::ZERO {
            let error =
                self.report.error(Code::StepSize, number.span, format!("{what} must be greater than 0"));
            error.help(format!("write a number above 0, or remove {what}"));
        }
        Some(number.value)
    }
}
