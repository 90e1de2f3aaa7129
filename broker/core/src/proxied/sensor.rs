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
}

/// What is known of a sensor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sensor {
    /// What the device last said.
    stimulus: bool,
    /// The stimulus is there and not ignored.
    counts: bool,
    /// When Value last became true.
    triggered: Option<Mono>,
    value: bool,
}

impl Sensor {
    /// The device says whether the stimulus is there. Gives Value.
    pub fn hear(&mut self, stimulus: bool, windows: Windows, now: Mono) -> bool {
        self.look(windows, now);
        if stimulus && !self.stimulus {
            self.counts = windows.sensitive && !self.rests(windows, now);
        }
        self.stimulus = stimulus;
        self.counts &= stimulus;
        self.look(windows, now)
    }

    /// Time has passed, or the settings have changed. Gives Value.
    pub fn look(&mut self, windows: Windows, now: Mono) -> bool {
        if !windows.sensitive {
            self.counts = false;
        } else if self.stimulus && !self.rests(windows, now) {
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
        let rises = (self.stimulus && !self.counts && windows.sensitive).then_some(windows.rest);
        let next = [falls, rises].into_iter().flatten().min()?;
        Some(self.triggered? + next)
    }

    fn rests(&self, windows: Windows, now: Mono) -> bool {
        self.triggered.is_some_and(|at| now < at + windows.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(hold: u64, rest: u64) -> Windows {
        Windows { sensitive: true, hold: Duration::from_secs(hold), rest: Duration::from_secs(rest) }
    }

    /// Plays stimuli (from, to) in seconds, looking when it is due, and gives the times at which Value was true.
    fn play(windows: Windows, stimuli: &[(u64, u64)]) -> Vec<(u64, u64)> {
        let (mut sensor, mut seen, mut since) = (Sensor::default(), Vec::new(), None);
        for second in 0..60 {
            let now = Mono(Duration::from_secs(second));
            let is_there = stimuli.iter().any(|(from, to)| (*from..*to).contains(&second));
            let due = sensor.due(windows).is_some_and(|at| at <= now);
            let mut value = sensor.value;
            if is_there != sensor.stimulus {
                value = sensor.hear(is_there, windows, now);
            } else if due {
                value = sensor.look(windows, now);
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
        assert!(!sensor.hear(true, off, Mono::default()));
        assert!(sensor.look(windows(0, 0), Mono(Duration::from_secs(1))), "it is still there");
    }
}
