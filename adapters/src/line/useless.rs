//! What is said on a line and is of no use to a device.

use std::time::{SystemTime, UNIX_EPOCH};

use usp_mapping::line::{Broken, readable};

/// Longest part of something strange that is told.
const SHOWN: usize = 48;

/// What was said since a device was understood last, by kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Useless {
    checksum: u64,
    endless: u64,
    half: u64,
    strange: u64,
    /// The beginning of the strange one that came last.
    shown: String,
    /// When the last one came: a reason stands for long, so that it says a time and no age.
    last: Option<SystemTime>,
}

impl Useless {
    /// Something came that cannot be used.
    pub(crate) fn broken(&mut self, now: SystemTime, why: Broken) {
        let count = match why {
            Broken::Checksum => &mut self.checksum,
            Broken::TooLong => &mut self.endless,
            Broken::Half => &mut self.half,
        };
        *count = count.saturating_add(1);
        self.last = Some(now);
    }

    /// A whole frame came that the mapping does not know.
    pub(crate) fn strange(&mut self, now: SystemTime, frame: &[u8]) {
        self.strange = self.strange.saturating_add(1);
        self.shown = excerpt(frame);
        self.last = Some(now);
    }

    /// Whether there was nothing of the kind.
    pub(crate) fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// In words, how many of each kind and when the last one came; `None`: there was nothing.
    pub(crate) fn told(&self) -> Option<String> {
        let last = utc(self.last?);
        let strange = format!("like \"{}\", which is not what the mapping expects", self.shown);
        let kinds = [
            (self.checksum, "with a wrong checksum"),
            (self.half, "that broke off"),
            (self.endless, "without an end"),
            (self.strange, &strange),
        ];
        let kinds = kinds.into_iter().filter(|(count, _)| *count > 0);
        let kinds: Vec<_> = kinds.map(|(count, kind)| format!("{count} {kind}")).collect();
        Some(format!("frames came, {}, the last one at {last}", kinds.join(", ")))
    }
}

/// A moment as people read it: `2026-11-30 14:50:10 UTC`.
fn utc(at: SystemTime) -> String {
    const DAY: u64 = 86_400;
    let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (year, month, day) = date(seconds / DAY);
    let (hour, minute, second) = (seconds % DAY / 3600, seconds % 3600 / 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// The date so many days after 1970-01-01, of which none is before. Years begin in March here, so that the day that only some
/// years have comes last: 146,097 days are 400 years.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let is_next = month >= 10;
    let month = if is_next { month - 9 } else { month + 3 };
    (era * 400 + year + u64::from(is_next), month, day)
}

/// The beginning of something strange.
pub(super) fn excerpt(frame: &[u8]) -> String {
    readable(frame.get(..SHOWN).unwrap_or(frame).trim_ascii())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn all_kinds_are_told_with_how_many_and_when() {
        let mut useless = Useless::default();
        let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(1_709_164_798 + seconds);
        assert!(useless.is_empty() && useless.told().is_none());
        for second in 0..3 {
            useless.broken(at(second), Broken::Checksum);
        }
        let told = |useless: &Useless| useless.told().unwrap();
        let all = "frames came, 3 with a wrong checksum, the last one at 2024-02-29 00:00:00 UTC";
        assert_eq!(told(&useless), all);
        useless.broken(at(8), Broken::Half);
        useless.strange(at(9), b"HELLO\r\n");
        let all = "frames came, 3 with a wrong checksum, 1 that broke off, 1 like \"HELLO\", which is not what the \
                   mapping expects, the last one at 2024-02-29 00:00:07 UTC";
        assert_eq!(told(&useless), all);
    }

    #[test]
    fn moments_are_told_by_the_calendar() {
        for (seconds, told) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_767_225_599, "2025-12-31 23:59:59 UTC"),
            (1_767_225_600, "2026-01-01 00:00:00 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(seconds)), told);
        }
    }
}
