//! How often the devices of a radio speak, and for how long all of them may be silent. Pure.
//!
//! A mapping says how often a device speaks at least, which is seldom: for a minute it may be four before that device is missed.
//! Most speak far more often, and all of them are not silent at once by chance. So how they speak here is learned.

use std::time::{Duration, Instant};

/// So many words show how a device speaks.
const WORDS: u32 = 20;

/// Of pauses that were longer ago than twice this nothing is known any more.
const WINDOW: Duration = Duration::from_secs(300);

/// A silence of so many of its longest pauses is none of its pauses.
const PAUSES: u32 = 4;

/// Shorter ones say nothing, whatever was learned: BlueZ itself rests between two scans.
const LEAST: Duration = Duration::from_secs(10);

/// How a device speaks.
#[derive(Clone, Debug, Default)]
pub(super) struct Rhythm {
    /// The first word and the last one.
    heard: Option<(Instant, Instant)>,
    words: u32,
    /// Its longest pauses: in this window and in the one before.
    longest: (Duration, Duration),
    window: Option<Instant>,
    /// What there was of a pause says nothing: the scan began meanwhile.
    broken: bool,
}

impl Rhythm {
    /// It says something.
    pub(super) fn word(&mut self, now: Instant) {
        if self.window.is_none_or(|began| now.saturating_duration_since(began) >= WINDOW) {
            self.longest = (Duration::ZERO, self.longest.0);
            self.window = Some(now);
        }
        if let Some((_, last)) = self.heard.filter(|_| !self.broken) {
            self.longest.0 = self.longest.0.max(now.saturating_duration_since(last));
        }
        self.heard = Some((self.heard.map_or(now, |(first, _)| first), now));
        self.words = self.words.saturating_add(1);
        self.broken = false;
    }

    /// The scan begins.
    pub(super) fn broken(&mut self) {
        self.broken = true;
    }

    /// How long it may be silent; `told`: by its mapping. That many times has to be heard first, because devices say each thing
    /// several times in a row.
    fn patience(&self, told: Duration) -> Duration {
        let known = |(first, last): (Instant, Instant)| {
            self.words >= WORDS && last.saturating_duration_since(first) >= told
        };
        match self.heard {
            Some(heard) if known(heard) => {
                (self.longest.0.max(self.longest.1) * PAUSES).clamp(LEAST.min(told), told)
            }
            _ => told,
        }
    }
}

/// How long nothing may be heard of any device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Silence {
    /// The most talkative one is missed: perhaps the scan has ended, and nobody says so.
    pub(super) odd: Duration,
    /// So are two, if there are so many: that has another reason than theirs.
    pub(super) common: Duration,
}

impl Silence {
    /// What all of these say together; `last`: when any of them was heard the last time. Who was missed before that is away, and
    /// is waited for by nobody, unless that is so of all. `None`: of nobody it is known how often it speaks.
    pub(super) fn of<'r>(
        last: Instant,
        devices: impl Iterator<Item = (&'r Rhythm, Duration)>,
    ) -> Option<Self> {
        let (mut there, mut away) = (Vec::new(), Vec::new());
        for (rhythm, told) in devices {
            let patience = rhythm.patience(told);
            let is_there = rhythm.heard.is_some_and(|(_, own)| own + patience >= last);
            if is_there { there.push(patience) } else { away.push(patience) }
        }
        let mut all = if there.is_empty() { away } else { there };
        all.sort_unstable();
        let odd = *all.first()?;
        Some(Self { odd, common: all.get(1).copied().unwrap_or(odd) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const TOLD: Duration = Duration::from_secs(240);

    /// One that is heard so often, for so long.
    fn speaking(began: Instant, every: Duration, until: Duration) -> Rhythm {
        let mut rhythm = Rhythm::default();
        let mut at = Duration::ZERO;
        while at <= until {
            rhythm.word(began + at);
            at += every;
        }
        rhythm
    }

    #[test]
    fn who_speaks_often_is_missed_soon() {
        let now = Instant::now();
        assert_eq!(speaking(now, 2 * SECOND, 2 * TOLD).patience(TOLD), LEAST);
        assert_eq!(speaking(now, 7 * SECOND, 2 * TOLD).patience(TOLD), 28 * SECOND);
        assert_eq!(speaking(now, 61 * SECOND, 20 * TOLD).patience(TOLD), TOLD, "never later than it is told");
        assert_eq!(Rhythm::default().patience(TOLD), TOLD);
    }

    /// Each thing is said several times in a row, and then nothing for a minute.
    #[test]
    fn a_burst_is_no_rhythm() {
        let now = Instant::now();
        let mut rhythm = speaking(now, SECOND / 100, SECOND);
        assert_eq!(rhythm.patience(TOLD), TOLD);
        for burst in 1..10 {
            for word in 0..10 {
                rhythm.word(now + burst * 45 * SECOND + word * SECOND / 100);
            }
        }
        assert!(rhythm.patience(TOLD) > 3 * 45 * SECOND, "{:?}", rhythm.patience(TOLD));
    }

    #[test]
    fn a_pause_with_a_scan_that_ended_is_not_learned_and_one_of_long_ago_is_forgotten() {
        let now = Instant::now();
        let mut rhythm = speaking(now, SECOND, TOLD);
        rhythm.broken();
        rhythm.word(now + TOLD + 50 * SECOND);
        assert_eq!(rhythm.patience(TOLD), LEAST);
        rhythm.word(now + TOLD + 70 * SECOND);
        assert_eq!(rhythm.patience(TOLD), 80 * SECOND);
        for second in 71..700 {
            rhythm.word(now + TOLD + second * SECOND);
        }
        assert_eq!(rhythm.patience(TOLD), LEAST);
    }

    #[test]
    fn two_that_are_silent_say_more_than_one_and_who_is_away_says_nothing() {
        let began = Instant::now();
        let last = began + 2 * TOLD;
        let often = speaking(began, SECOND, 2 * TOLD);
        let seldom = speaking(began, 7 * SECOND, 2 * TOLD);
        let away = speaking(began, SECOND, 2 * TOLD - 30 * SECOND);
        let of = |all: &[&Rhythm]| Silence::of(last, all.iter().map(|rhythm| (*rhythm, TOLD)));
        assert_eq!(of(&[&seldom, &often]), Some(Silence { odd: LEAST, common: 28 * SECOND }));
        assert_eq!(of(&[&often, &often]), Some(Silence { odd: LEAST, common: LEAST }));
        assert_eq!(of(&[&seldom, &away]), Some(Silence { odd: 28 * SECOND, common: 28 * SECOND }));
        assert_eq!(of(&[&Rhythm::default(), &away]).map(|it| it.odd), Some(LEAST), "all of them are");
        assert_eq!(of(&[]), None);
    }
}
