//! What is told and what merely follows: one mistake, one message.

use std::collections::BTreeSet;

use crate::code::Code;
use crate::diagnostic::{Diagnostic, has_errors};
use crate::draft::MappingDraft;

/// What can be missing only because what was there could not be read.
const ABSENCES: [Code; 6] =
    [Code::MissingKey, Code::UnitPresence, Code::Access, Code::NoBinding, Code::Table, Code::MapPresence];

/// What is read all the same, so that nothing seems to be missing for it.
const READ: [Code; 2] = [Code::Notation, Code::Reversed];

/// What may be in a file that is extended and cannot be had, or depends on it.
const ELSEWHERE: [Code; 14] = [
    Code::MissingKey,
    Code::UnknownPoll,
    Code::UnusedPoll,
    Code::Placeholder,
    Code::ParamGives,
    Code::Condition,
    Code::TestShape,
    Code::TestFailed,
    Code::UnusedCell,
    Code::Verify,
    Code::Command,
    Code::Event,
    Code::Protocol,
    Code::Fingerprint,
];

/// What can seem unused only because its use is wrong.
const UNUSED: [(Code, Code); 6] = [
    (Code::Command, Code::Command),
    (Code::UnusedCell, Code::TestShape),
    (Code::UnusedPoll, Code::UnknownPoll),
    (Code::Placeholder, Code::Placeholder),
    (Code::UnusedBus, Code::UnknownBus),
    // Of a bridge whose devices would be taken over.
    (Code::UnusedBus, Code::UnknownWord),
];

/// Takes out of what compiling `found` whatever only follows from what reading found.
pub(crate) fn follow(draft: &MappingDraft, read: &[Diagnostic], found: &mut Vec<Diagnostic>) {
    let mut entries: Vec<usize> = draft.capabilities.iter().map(|cap| cap.id.span.start).collect();
    entries.sort_unstable();
    let entry = |diagnostic: &Diagnostic| entries.partition_point(|start| *start <= diagnostic.span.start);
    let swallowing = read.iter().filter(|known| known.is_error() && !READ.contains(&known.code));
    let broken: BTreeSet<usize> = swallowing.map(entry).collect();
    found.retain(|diagnostic| {
        let at = entry(diagnostic);
        !(at > 0 && is_absence(diagnostic) && broken.contains(&at))
    });
    if has_errors(read) {
        found.retain(|diagnostic| diagnostic.is_error() || !seems_unused(diagnostic));
    }
}

/// Whether something is missing, and not there although it should not be.
fn is_absence(diagnostic: &Diagnostic) -> bool {
    let too_much = [" has no `", " has no Unit", " cannot be written"]
        .iter()
        .any(|words| diagnostic.message.contains(words));
    ABSENCES.contains(&diagnostic.code) && !too_much
}

/// Takes out what may be otherwise with the file that is extended, and cannot be had.
pub(crate) fn drop_inherited(found: &mut Vec<Diagnostic>) {
    found.retain(|diagnostic| !is_absence(diagnostic) && !ELSEWHERE.contains(&diagnostic.code));
}

fn seems_unused(diagnostic: &Diagnostic) -> bool {
    matches!(diagnostic.code, Code::Clobber | Code::Overlap)
        || UNUSED.iter().any(|(unused, _)| *unused == diagnostic.code)
}

/// Takes out what seems unused, where its use may be what is wrong.
pub(crate) fn drop_unused(found: &mut Vec<Diagnostic>) {
    let wrong = found.iter().filter(|known| known.is_error()).map(|known| known.code);
    let wrong: Vec<Code> = wrong.collect();
    let explained = |code| UNUSED.iter().any(|(unused, use_of)| *unused == code && wrong.contains(use_of));
    found.retain(|diagnostic| diagnostic.is_error() || !explained(diagnostic.code));
}
