//! What is told and what merely follows: one mistake, one message.

use std::collections::BTreeSet;

use crate::code::Code;
use crate::diagnostic::{Diagnostic, has_errors};
use crate::draft::MappingDraft;

/// What can be missing only because what was there could not be read.
const ABSENCES: [Code; 6] =
    [Code::MissingKey, Code::UnitPresence, Code::Access, Code::NoBinding, Code::Table, Code::MapPresence];

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
    let broken: BTreeSet<usize> = read.iter().filter(|known| known.is_error()).map(entry).collect();
    found.retain(|diagnostic| {
        let at = entry(diagnostic);
        !(at > 0 && ABSENCES.contains(&diagnostic.code) && broken.contains(&at))
    });
    if has_errors(read) {
        found.retain(|diagnostic| diagnostic.is_error() || !seems_unused(diagnostic));
    }
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
