//! What is told and what merely follows: one mistake, one message.

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Nature, has_errors};

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
pub(crate) fn follow(read: &[Diagnostic], found: &mut Vec<Diagnostic>) {
    if has_errors(read) {
        found.retain(|diagnostic| diagnostic.nature != Nature::Relation);
    }
}

/// Takes out what may be otherwise with the file that is extended, and cannot be had.
pub(crate) fn drop_inherited(found: &mut Vec<Diagnostic>) {
    found.retain(|diagnostic| diagnostic.nature != Nature::Absence && !ELSEWHERE.contains(&diagnostic.code));
}

/// Takes out what seems unused, where its use may be what is wrong.
pub(crate) fn drop_unused(found: &mut Vec<Diagnostic>) {
    let wrong = found.iter().filter(|known| known.is_error()).map(|known| known.code);
    let wrong: Vec<Code> = wrong.collect();
    let explained = |code| UNUSED.iter().any(|(unused, use_of)| *unused == code && wrong.contains(use_of));
    found.retain(|diagnostic| diagnostic.nature != Nature::Relation || !explained(diagnostic.code));
}
