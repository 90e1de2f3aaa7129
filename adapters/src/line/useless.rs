//! What is said on a line and is of no use to a device.

use std::time::Instant;

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
    /// When the last one came.
    last: Option<Instant>,
}

impl Useless {
    /// Something came that cannot be used.
    pub(crate) fn broken(&mut self, now: Instant, why: Broken) {
        let count = match why {
            Broken::Checksum => &mut self.checksum,
            Broken::TooLong => &mut self.endless,
            Broken::Half => &mut self.half,
        };
        *count = count.saturating_add(1);
        self.last = Some(now);
    }

    /// A whole frame came that the mapping does not know.
    pub(crate) fn strange(&mut self, now: Instant, frame: &[u8]) {
        self.strange = self.strange.saturating_add(1);
        self.shown = excerpt(frame);
        self.last = Some(now);
    }

    /// Whether there was nothing of the kind.
    pub(crate) fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// In words, how many of each kind and when the last one came; `None`: there was nothing.
    pub(crate) fn told(&self, now: Instant) -> Option<String> {
        let ago = now.saturating_duration_since(self.last?).as_secs();
        let strange = format!("like \"{}\", which is not what the mapping expects", self.shown);
        let kinds = [
            (self.checksum, "with a wrong checksum"),
            (self.half, "that broke off"),
            (self.endless, "without an end"),
            (self.strange, &strange),
        ];
        let kinds = kinds.into_iter().filter(|(count, _)| *count > 0);
        let kinds: Vec<_> = kinds.map(|(count, kind)| format!("{count} {kind}")).collect();
        Some(format!("frames came, {}, the last one {ago} s ago", kinds.join(", ")))
    }
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
        let (mut useless, start) = (Useless::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(useless.is_empty() && useless.told(start).is_none());
        for second in 0..3 {
            useless.broken(at(second), Broken::Checksum);
        }
        let told = |useless: &Useless, now| useless.told(now).unwrap();
        assert_eq!(told(&useless, at(7)), "frames came, 3 with a wrong checksum, the last one 5 s ago");
        useless.broken(at(8), Broken::Half);
        useless.strange(at(9), b"HELLO\r\n");
        let all = "frames came, 3 with a wrong checksum, 1 that broke off, 1 like \"HELLO\", which is not what the \
                   mapping expects, the last one 1 s ago";
        assert_eq!(told(&useless, at(10)), all);
    }
}
