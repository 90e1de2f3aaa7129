//! Whether a mapping is right with other parameters than its defaults.

use super::{sort, untested};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Severity, has_errors};
use crate::draft::MappingDraft;

/// Adds what is wrong with other parameters, and takes out what seems unused with the defaults alone.
pub(super) fn check(draft: &MappingDraft, found: &mut Vec<Diagnostic>) {
    if has_errors(found) {
        return;
    }
    for params in draft.source.variations() {
        let (varied, mut more) = draft.with_params(&params);
        let Some(varied) = varied else { continue };
        more.extend(untested(&varied).found);
        // What is used with any parameters is used.
        found
            .retain(|known| known.code != Code::UnusedPoll || more.iter().any(|other| is_same(known, other)));
        sort(&mut more);
        for mut problem in more.into_iter().filter(|problem| problem.severity == Severity::Error) {
            if !found.iter().any(|known| is_same(known, &problem)) {
                problem.message += &params.difference(&draft.given);
                found.push(problem);
            }
        }
    }
}

fn is_same(one: &Diagnostic, other: &Diagnostic) -> bool {
    one.code == other.code && one.span == other.span
}
