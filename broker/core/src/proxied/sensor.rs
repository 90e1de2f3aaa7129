//! BinarySensor with Sensitivity, HoldTime and RestTime (TR-181): from what the device says to what Value shows.
//!
//! HoldTime keeps Value true for at least so long from the trigger on. RestTime ignores what begins within so long of the
//! trigger. With both, what ends inside either of them changes nothing. Where TR-181 says nothing: a stimulus that begins
//! while HoldTime alone keeps Value true, and outlasts it, prolongs it and is no new trigger; what began within RestTime and
//! is still there when it ends is a trigger at that moment, because a sensor that is wet says so. A Sensitivity of 0 ignores
//! everything; a device that says yes or no has no other grades.

use std::time::Duration;

use crate::time::Mono;

/// The settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Sensitivity is not 0.
    pub sensitive: bool,
    /// HoldTime; zero: off.
    pub hold: Duration,
    /// RestTime; zero: off.
    pub rest: Duration,
    /// The device is asked: a word of it is true of its own moment, and a later one is sure to come.
    pub asked: bool,
}

/// What is known of a sensor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sensor {
    /// What the device last said.
    stimulus: bool,
    /// When it said so.
    said: Mono,
    /// The stimulus is there and not ignored.
    counts: bool,
    /// When Value last became true.
    triggered: Option<Mono>,
    value: bool,
}

impl Sensor {
    /// The device says whether the stimulus is there, or said so at an instant; `good`: what it had said before could be
    /// believed until now. Gives Value.
    pub fn hear(&mut self, stimulus: bool, said: Mono, windows: Windows, good: bool, now: Mono) -> bool {
        self.look(windows, good, now);
        (self.stimulus, self.said) = (stimulus, said);
        self.counts &= stimulus;
        self.look(windows, true, now)
    }

    /// Time has passed, or the settings have changed; `good`: what the device said last can be believed. Gives Value.
    pub fn look(&mut self, windows: Windows, good: bool, now: Mono) -> bool {
        if !windows.sensitive {
            self.counts = false;
        } else if good && self.stimulus && !self.rests(windows, now) {
            self.counts = true;
        }
        if self.value && !self.counts && self.triggered.is_none_or(|at| at + windows.hold <= now) {
            self.value = false;
        }
        if !self.value && self.counts {
            self.value = true;
            self.triggered = Some(now);
        }
        self.value
    }

    /// When [`look`](Self::look) can bring something new without the device.
    pub fn due(&self, windows: Windows) -> Option<Mono> {
        let falls = (self.value && !self.counts).then_some(windows.hold);
        let stands = self.stimulus && !windows.asked;
        let rises = (stands && !self.counts && windows.sensitive).then_some(windows.rest);
        let next = [falls, rises].into_iter().flatten().min()?;
        Some(self.triggered? + next)
    }

    /// Whether the stimulus is not known to have outlasted RestTime.
    fn rests(&self, windows: Windows, now: Mono) -> bool {
        let known = if windows.asked { self.said } else { now };
        self.triggered.is_some_and(|at| known < at + windows.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(hold: u64, rest: u64) -> Windows {
        let [hold, rest] = [hold, rest].map(Duration::from_secs);
        Windows { sensitive: true, hold, rest, asked: false }
    }

    fn at(second: u64) -> Mono {
        Mono(Duration::from_secs(second))
    }

    /// Plays stimuli (from, to) in seconds, looking when it is due, and gives the times at which Value was true.
    fn play(windows: Windows, stimuli: &[(u64, u64)]) -> Vec<(u64, u64)> {
        let (mut sensor, mut seen, mut since) = (Sensor::default(), Vec::new(), None);
        for second in 0..60 {
            let now = at(second);
            let is_there = stimuli.iter().any(|(from, to)| (*from..*to).contains(&second));
            let due = sensor.due(windows).is_some_and(|at| at <= now);
            let mut value = sensor.value;
            if is_there != sensor.stimulus {
                value = sensor.hear(is_there, now, windows, true, now);
            } else if due {
                value = sensor.look(windows, true, now);
            }
            match (since, value) {
                (None, true) => since = Some(second),
                (Some(from), false) => {
                    seen.push((from, second));
                    since = None;
                }
                _ => {}
            }
        }
        seen
    }

    #[test]
    fn without_windows_it_follows_the_device() {
        assert_eq!(play(windows(0, 0), &[(3, 7), (9, 10)]), [(3, 7), (9, 10)]);
    }

    /// TR-181: triggered at 3 s and gone at 7 s, Value falls at 8 s; triggered at 12 s and gone at 18 s, at 18 s.
    #[test]
    fn hold_time_is_the_least_duration() {
        assert_eq!(play(windows(5, 0), &[(3, 7), (12, 18)]), [(3, 8), (12, 18)]);
    }

    /// TR-181: triggered at 1 s and gone at 2 s; 3 s and 7 s are ignored, 12 s counts.
    #[test]
    fn rest_time_ignores_what_begins_within_it() {
        assert_eq!(play(windows(0, 10), &[(1, 2), (3, 4), (7, 8), (12, 13)]), [(1, 2), (12, 13)]);
    }

    /// TR-181: hold 5 s, rest 10 s: a pulse of 5 s, the next 10 s after the first.
    #[test]
    fn both_windows_begin_at_the_trigger() {
        assert_eq!(play(windows(5, 10), &[(1, 2), (3, 8), (9, 10), (11, 12)]), [(1, 6), (11, 16)]);
    }

    #[test]
    fn what_is_still_there_when_the_rest_is_over_counts_from_then_on() {
        assert_eq!(play(windows(0, 10), &[(1, 2), (5, 20)]), [(1, 2), (11, 20)]);
        assert_eq!(play(windows(3, 10), &[(1, 2), (5, 12)]), [(1, 4), (11, 14)]);
    }

    #[test]
    fn a_stimulus_while_value_is_held_prolongs_it_and_triggers_nothing() {
        assert_eq!(play(windows(5, 0), &[(1, 2), (4, 10)]), [(1, 10)]);
        assert_eq!(play(windows(5, 0), &[(1, 2), (4, 5)]), [(1, 6)]);
        assert_eq!(play(windows(10, 3), &[(1, 2), (5, 15)]), [(1, 15)]);
    }

    /// TR-181: what lies inside either of the two changes nothing, whichever of them is longer.
    #[test]
    fn with_both_windows_what_ends_inside_one_changes_nothing() {
        for (hold, rest) in [(10, 3), (3, 10), (10, 10)] {
            let alone = play(windows(hold, rest), &[(1, 2)]);
            assert_eq!(play(windows(hold, rest), &[(1, 2), (2, 4), (5, 8)]), alone, "{hold} {rest}");
        }
        // It is the trigger from which both count: what came meanwhile does not put the next one off.
        assert_eq!(play(windows(10, 3), &[(1, 2), (5, 8), (12, 13)]), [(1, 11), (12, 22)]);
    }

    #[test]
    fn no_sensitivity_sees_nothing() {
        let off = Windows { sensitive: false, ..windows(5, 0) };
        assert_eq!(play(off, &[(1, 20)]), []);
        let mut sensor = Sensor::default();
        assert!(!sensor.hear(true, at(0), off, true, at(0)));
        assert!(sensor.look(windows(0, 0), true, at(1)), "it is still there");
    }

    #[test]
    fn of_a_device_that_is_asked_only_a_word_after_the_rest_counts() {
        let asked = Windows { asked: true, ..windows(0, 12) };
        let polls = |words: &[(u64, bool)]| {
            let mut sensor = Sensor::default();
            words.iter().map(|(s, word)| sensor.hear(*word, at(*s), asked, true, at(*s))).collect::<Vec<_>>()
        };
        let mut sensor = Sensor::default();
        for (second, word, value) in [(0, true, true), (5, false, false), (10, true, false)] {
            assert_eq!(sensor.hear(word, at(second), asked, true, at(second)), value, "{second}");
        }
        assert_eq!(sensor.due(asked), None, "time alone tells nothing");
        assert!(!sensor.look(asked, true, at(12)));
        assert_eq!(polls(&[(0, true), (5, false), (10, true), (15, false)]), [true, false, false, false]);
        assert_eq!(polls(&[(0, true), (5, false), (10, true), (15, true)]), [true, false, false, true]);
        assert_eq!(polls(&[(0, true), (6, false), (12, true)]), [true, false, true], "at the very end");
        let late = Windows { rest: Duration::ZERO, ..asked };
        assert!(sensor.look(late, true, at(14)), "RestTime was taken away: what was seen after it counts");
        let mut old = Sensor::default();
        old.hear(true, at(0), asked, true, at(0));
        old.hear(false, at(5), asked, true, at(5));
        assert!(!old.hear(true, at(10), asked, true, at(14)), "what was so at 10 s says nothing of 12 s");
    }

    #[test]
    fn what_cannot_be_believed_any_more_triggers_nothing() {
        let rest = windows(0, 10);
        let mut sensor = Sensor::default();
        sensor.hear(true, at(1), rest, true, at(1));
        sensor.hear(false, at(2), rest, true, at(2));
        sensor.hear(true, at(5), rest, true, at(5));
        assert_eq!(sensor.due(rest), Some(at(11)));
        assert!(!sensor.look(rest, false, at(11)));
        assert!(!sensor.clone().hear(false, at(20), rest, false, at(20)));
        assert!(sensor.hear(true, at(20), rest, false, at(20)), "it is there again, and wet");
    }
}
