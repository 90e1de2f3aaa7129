//! What can be said of rights whatever Targets with expressions or references mean.

use usp_proto::path::Path;

use super::cover::{covers_written, may_cover};
use super::{Act, Kind, Rights, Role};
use crate::dm::resolve::follows;

/// What one entry says of a path.
struct Word<'a> {
    /// Those that may be about it.
    targets: Vec<&'a Path>,
    given: bool,
}

impl Rights {
    /// Whether an act is allowed, or may be: what is not known gives, and forbids nothing.
    pub(crate) fn could_allow_path(&self, kind: Kind, act: Act, path: &Path) -> bool {
        self.decide_by(kind, act, |target, given| self.covers(target, path).unwrap_or(given))
    }

    /// Whether an act on a concrete path, if it was allowed by the rights before, is allowed by these too: they only give more
    /// of it, or differ in what is about others.
    pub(crate) fn still_allow(&self, before: &Self, kind: Kind, act: Act, path: &Path) -> bool {
        let gives = |words: &Vec<Word<'_>>| words.iter().any(|word| word.given);
        let words_before = before.roles.iter().map(|role| role.words(kind, act, path)).filter(gives);
        let words: Vec<_> = self.roles.iter().map(|role| role.words(kind, act, path)).collect();
        self.all || words_before.into_iter().all(|before| words.iter().any(|words| hold_all(words, &before)))
    }
}

impl Role {
    /// The first that covers it decides.
    fn words(&self, kind: Kind, act: Act, path: &Path) -> Vec<Word<'_>> {
        let about =
            |target: &&Path| covers_written(target, path) || may_cover(target, path) || follows(target);
        let words = self.entries.iter().map(|entry| Word {
            targets: entry.targets.iter().filter(about).collect(),
            given: entry.bits(kind).0 & act as u8 != 0,
        });
        words.filter(|word| !word.targets.is_empty()).collect()
    }
}

impl Word<'_> {
    /// Whether it gives all that another gave, or forbids no more than that did.
    fn stands_for(&self, other: &Self) -> bool {
        let holds = |all: &[&Path], some: &[&Path]| some.iter().all(|target| all.contains(target));
        self.given == other.given
            && match self.given {
                true => holds(&self.targets, &other.targets),
                false => holds(&other.targets, &self.targets),
            }
    }
}

/// Whether each word that gave has one that stands for it, and each that forbids stands for one, all in order. Then before the
/// word that covers what was given none forbids it that did not forbid it before.
fn hold_all(words: &[Word<'_>], before: &[Word<'_>]) -> bool {
    // By how many of the words are used up: whether the words before can be, so far.
    let start = std::iter::once(true).chain(words.iter().map(|_| false)).collect();
    let end = before.iter().fold(passing(start, words), |reached, old| {
        let met = reached.iter().zip(words).map(|(reached, word)| *reached && word.stands_for(old));
        let met = std::iter::once(false).chain(met);
        let next = reached.iter().zip(met).map(|(stays, met)| met || (*stays && !old.given)).collect();
        passing(next, words)
    });
    end.last() == Some(&true)
}

/// The same, with words that give passed over: what is given besides takes nothing.
fn passing(reached: Vec<bool>, words: &[Word<'_>]) -> Vec<bool> {
    let gives = std::iter::once(false).chain(words.iter().map(|word| word.given));
    let mut last = false;
    let pass = |(reached, gives): (bool, bool)| {
        last = reached || (last && gives);
        last
    };
    reached.into_iter().zip(gives).map(pass).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Bits, Entry};

    /// Targets, and whether they are given; the first decides.
    fn rights(entries: &[(&str, bool)]) -> Rights {
        let entries = entries.iter().enumerate().map(|(index, (targets, given))| {
            let bits = Bits(if *given { Act::Notify as u8 } else { 0 });
            Entry {
                order: u32::try_from(entries.len() - index).unwrap(),
                targets: targets.split(' ').map(|target| Path::parse(target).unwrap()).collect(),
                param: bits,
                obj: bits,
                instantiated_obj: bits,
                command_event: bits,
            }
        });
        Rights::of(vec![Role { entries: entries.collect() }], false)
    }

    const NORTH: &str = "Device.A.Zone.[Name==\"north\"].";
    const SOUTH: &str = "Device.A.Zone.[Name==\"south\"].";

    #[test]
    fn what_was_allowed_stays_allowed_where_nothing_is_taken() {
        let path = Path::parse("Device.A.Zone.1.Level").unwrap();
        let keeps = |before: &[(&str, bool)], after: &[(&str, bool)]| {
            rights(after).still_allow(&rights(before), Kind::Param, Act::Notify, &path)
        };
        let north = [(NORTH, true)];
        for (before, after, kept) in [
            (&north[..], &north[..], true),
            (&north, &[(SOUTH, true)], false),
            (&north, &[], false),
            (&[], &[], true),
            // Others.
            (&north, &[("Device.B.", false), (NORTH, true), ("Device.A.Zone.2.", false)], true),
            (&north, &[("Device.B. Device.A.Zone.[Name==\"north\"].", true)], true),
            // More.
            (&north, &[(SOUTH, true), (NORTH, true)], true),
            (&north, &[("Device.A.", false), (NORTH, true)], false),
            (&north, &[(NORTH, true), ("Device.A.", false)], false),
            (&[(SOUTH, false), (NORTH, true)], &north, true),
            (&[(SOUTH, false), (NORTH, true)], &[(NORTH, true), (SOUTH, false), (NORTH, true)], true),
            (&[(SOUTH, false), (NORTH, true)], &[(SOUTH, false), (NORTH, true)], true),
            (&[(SOUTH, false), (NORTH, true)], &[("Device.A.Zone.*.", false), (NORTH, true)], false),
            (
                &[("Device.A.Zone.*. Device.B.", false), (NORTH, true)],
                &[("Device.A.Zone.*.", false), (NORTH, true)],
                true,
            ),
            // What follows a reference may be about anything.
            (&north, &[("Device.B.Buddy+.", false), (NORTH, true)], false),
        ] {
            assert_eq!(keeps(before, after), kept, "{before:?} {after:?}");
        }
    }

    #[test]
    fn what_is_not_known_may_be_allowed_where_an_entry_gives_it() {
        let could = |entries: &[(&str, bool)]| {
            let path = Path::parse("Device.A.Zone.1.Level").unwrap();
            rights(entries).could_allow_path(Kind::Param, Act::Notify, &path)
        };
        assert!(could(&[(NORTH, true)]) && could(&[(SOUTH, false), (NORTH, true)]));
        assert!(!could(&[(NORTH, false)]) && !could(&[("Device.A.", false), (NORTH, true)]));
    }
}
