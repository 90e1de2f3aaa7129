//! Which kind of work goes first, and how the kinds below it get their turn all the same.

/// Kinds of work, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// A Controller sets something.
    Write,
    /// A Controller asks for something.
    Read,
    /// The regular reading of what is known.
    Poll,
    /// The search for a device that is offline.
    Probe,
}

impl Class {
    /// All, the most urgent first.
    pub(crate) const ALL: [Self; 4] = [Self::Write, Self::Read, Self::Poll, Self::Probe];
}

/// So many turns may work wait behind more urgent work.
const PATIENCE: u8 = 8;

/// Chooses the next class of work. Urgent work goes first, but each class below gets a turn after [`PATIENCE`] others:
/// an endless stream of writes slows polls, it does not stop them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Precedence {
    /// Turns in which a class waited while a more urgent one was served.
    passed_over: [u8; 4],
}

impl Precedence {
    /// The class whose turn it is, of those that wait; `None`: nothing waits.
    pub(crate) fn choose(&self, waiting: [bool; 4]) -> Option<Class> {
        let waits = |&class: &Class| waiting[class as usize];
        let patience = |class: &Class| self.passed_over[*class as usize];
        // The last of equals wins `max_by_key`, so the order is turned round for the urgent one to win.
        let overdue = Class::ALL.into_iter().rev().filter(waits).max_by_key(patience);
        overdue.filter(|class| patience(class) >= PATIENCE).or_else(|| Class::ALL.into_iter().find(waits))
    }

    /// Takes note that `class` was served while `waiting` (the classes that had work before).
    pub(crate) fn served(&mut self, class: Class, waiting: [bool; 4]) {
        for (other, count) in Class::ALL.into_iter().zip(&mut self.passed_over) {
            if other == class || !waiting[other as usize] {
                *count = 0;
            } else if other > class {
                *count = count.saturating_add(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(waiting: [bool; 4], turns: usize) -> Vec<Class> {
        let mut precedence = Precedence::default();
        let mut served = Vec::new();
        for _ in 0..turns {
            let class = precedence.choose(waiting).unwrap();
            precedence.served(class, waiting);
            served.push(class);
        }
        served
    }

    #[test]
    fn the_most_urgent_goes_first() {
        let precedence = Precedence::default();
        assert_eq!(precedence.choose([true; 4]), Some(Class::Write));
        assert_eq!(precedence.choose([false, true, true, false]), Some(Class::Read));
        assert_eq!(precedence.choose([false, false, false, true]), Some(Class::Probe));
        assert_eq!(precedence.choose([false; 4]), None);
    }

    #[test]
    fn nothing_starves_below_an_endless_stream() {
        let served = run([true; 4], 100);
        for class in Class::ALL {
            assert!(served.iter().filter(|served| **served == class).count() >= 8, "{class:?}: {served:?}");
        }
        assert_eq!(served[..8], [Class::Write; 8]);
        let served = run([true, false, true, false], 18);
        assert_eq!(served.iter().filter(|served| **served == Class::Poll).count(), 2);
    }

    #[test]
    fn urgent_work_alone_is_never_held_up() {
        assert_eq!(run([true, false, false, false], 30), [Class::Write; 30]);
    }
}
