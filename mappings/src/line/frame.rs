//! Frames: where what is said over a line begins and ends, and whether it arrived as it was sent. Pure and bounded.

use std::fmt;
use std::time::Duration;

use super::checksum::Checksum;

/// What a frame is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Framing {
    /// What it begins with; empty: with anything.
    pub start: Vec<u8>,
    /// Where it ends.
    pub limit: Limit,
    /// What shows that it is whole.
    pub checksum: Option<Checksum>,
    /// Most bytes that it can have.
    pub max: usize,
}

/// Where a frame ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Limit {
    /// With the first of these.
    Ends(Vec<Vec<u8>>),
    /// After so many bytes.
    Length(u16),
    /// After as many bytes as it says itself.
    Said {
        /// Place of the length in it, from 0.
        at: u16,
        /// Two bytes; otherwise one.
        wide: bool,
        /// The less significant one comes first.
        little_endian: bool,
        /// How many bytes there are beside those that it counts.
        plus: u16,
    },
    /// With so much silence.
    Gap(Duration),
}

/// Something that was cut out of what came over a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framed {
    /// A frame that is whole, without its end and its checksum where those are text; with its start.
    Frame(Vec<u8>),
    /// One that is not.
    Broken(Broken),
}

/// What is wrong with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Its checksum is another.
    Checksum,
    /// It has no end.
    TooLong,
    /// The rest did not come.
    Half,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Checksum => "its checksum is wrong",
            Self::TooLong => "it does not end",
            Self::Half => "it broke off",
        })
    }
}

impl Framing {
    /// A frame around these bytes.
    pub fn wrap(&self, body: &[u8]) -> Vec<u8> {
        let mut frame = [self.start.as_slice(), body].concat();
        let end = match &self.limit {
            Limit::Ends(ends) => ends.first().map(Vec::as_slice).unwrap_or_default(),
            _ => &[],
        };
        match &self.checksum {
            Some(checksum) if checksum.after_end => {
                frame.extend(end);
                let sum = checksum.behind(&frame);
                frame.extend(sum);
            }
            checksum => {
                let sum = checksum.as_ref().map(|checksum| checksum.behind(&frame));
                frame.extend(sum.into_iter().flatten());
                frame.extend(end);
            }
        }
        frame
    }

    /// Every frame that these bytes have, when nothing follows.
    pub fn split(&self, bytes: &[u8]) -> Vec<Framed> {
        let mut deframer = Deframer::new(self.clone());
        let mut found = Vec::new();
        for some in bytes.chunks(self.max.max(1)) {
            deframer.push(some);
            found.extend(std::iter::from_fn(|| deframer.next()));
        }
        found.extend(deframer.end());
        found
    }

    /// How much of the buffer is a frame, and which of it is its body; `None`: more has to come.
    fn cut(&self, buffer: &[u8]) -> Option<Cut> {
        let sum = self.checksum.as_ref().map_or(0, Checksum::length);
        let whole = match &self.limit {
            Limit::Ends(ends) => return self.cut_at_end(buffer, ends, sum),
            Limit::Length(length) => usize::from(*length),
            Limit::Said { at, wide, little_endian, plus } => {
                let at = usize::from(*at);
                let said = match buffer.get(at..at + if *wide { 2 } else { 1 })? {
                    [one] => usize::from(*one),
                    [low, high] if *little_endian => usize::from(*low) | usize::from(*high) << 8,
                    [high, low] => usize::from(*low) | usize::from(*high) << 8,
                    _ => return None,
                };
                said + usize::from(*plus)
            }
            Limit::Gap(_) => return None,
        };
        Some(self.sized(buffer, whole, sum)).filter(|cut| buffer.len() >= cut.taken)
    }

    /// A frame of so many bytes, with its checksum at its end.
    fn sized(&self, buffer: &[u8], whole: usize, sum: usize) -> Cut {
        let whole = whole.max(self.start.len() + sum).max(1);
        let covered = whole - sum;
        Cut {
            taken: whole,
            body: whole,
            covered,
            sum: covered,
            fits: whole <= self.max && buffer.len() >= sum,
        }
    }

    fn cut_at_end(&self, buffer: &[u8], ends: &[Vec<u8>], sum: usize) -> Option<Cut> {
        let after = buffer.get(self.start.len()..)?;
        let ends = ends.iter().filter_map(|end| Some((position(after, end)? + self.start.len(), end.len())));
        // Of ends that begin at the same place the longest counts.
        let (at, length) = ends.min_by_key(|(at, length)| (*at, usize::MAX - length))?;
        let cut = self.checksum.as_ref().map_or(0, |checksum| usize::from(checksum.cut));
        if self.checksum.as_ref().is_some_and(|checksum| checksum.after_end) {
            let end = at + length;
            let whole = Cut { taken: end + sum, body: at, covered: end, sum: end, fits: true };
            return (buffer.len() >= whole.taken).then_some(whole);
        }
        let covered = at.saturating_sub(sum);
        let body = covered.saturating_sub(if sum == 0 { 0 } else { cut });
        Some(Cut { taken: at + length, body, covered, sum: covered, fits: at >= sum + self.start.len() })
    }

    fn is_whole(&self, buffer: &[u8], cut: &Cut) -> bool {
        let Some(checksum) = &self.checksum else { return cut.fits };
        let covered = buffer.get(..cut.covered).unwrap_or_default();
        let given = buffer.get(cut.sum..cut.sum + checksum.length()).unwrap_or_default();
        cut.fits && checksum.is_right(covered, given)
    }
}

/// The parts of a frame: bytes that it takes, bytes of its body, bytes that its checksum is made of, and where that is.
struct Cut {
    taken: usize,
    body: usize,
    covered: usize,
    sum: usize,
    fits: bool,
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len().max(1)).position(|window| window == wanted)
}

/// Cuts what comes over a line into frames.
#[derive(Clone, Debug)]
pub struct Deframer {
    framing: Framing,
    buffer: Vec<u8>,
}

impl Deframer {
    /// Nothing has come yet.
    pub fn new(framing: Framing) -> Self {
        Self { framing, buffer: Vec::new() }
    }

    /// More has come. Then [`Self::next`] is called until there is nothing more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend(bytes);
    }

    /// The next frame.
    #[expect(clippy::should_implement_trait, reason = "what has not come yet may come later")]
    pub fn next(&mut self) -> Option<Framed> {
        self.skip_noise();
        if self.buffer.is_empty() {
            return None;
        }
        let Some(cut) = self.framing.cut(&self.buffer) else {
            return (self.buffer.len() > self.framing.max)
                .then(|| self.broken(Broken::TooLong, self.buffer.len()));
        };
        if !cut.fits && self.framing.checksum.is_none() || cut.taken > self.framing.max + 64 {
            return Some(self.broken(Broken::TooLong, cut.taken));
        }
        if !self.framing.is_whole(&self.buffer, &cut) {
            return Some(self.broken(Broken::Checksum, cut.taken));
        }
        let mut frame: Vec<u8> = self.buffer.drain(..cut.taken).collect();
        frame.truncate(cut.body);
        Some(Framed::Frame(frame))
    }

    /// Nothing has come for as long as is needed to know that nothing follows: the end of a frame that ends so, or of
    /// one that broke off.
    pub fn end(&mut self) -> Option<Framed> {
        self.skip_noise();
        if self.buffer.is_empty() {
            return None;
        }
        if matches!(self.framing.limit, Limit::Gap(_)) {
            let sum = self.framing.checksum.as_ref().map_or(0, Checksum::length);
            let cut = self.framing.sized(&self.buffer, self.buffer.len(), sum);
            if cut.taken > self.buffer.len() || !self.framing.is_whole(&self.buffer, &cut) {
                self.buffer.clear();
                return Some(Framed::Broken(Broken::Checksum));
            }
            return Some(Framed::Frame(std::mem::take(&mut self.buffer)));
        }
        let blank = self.buffer.trim_ascii().is_empty();
        self.buffer.clear();
        (!blank).then_some(Framed::Broken(Broken::Half))
    }

    /// Whether something has come of which the rest is still to come.
    pub fn is_within(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// How much has come of what is not whole.
    #[cfg(test)]
    pub(super) fn buffer_len(&self) -> usize {
        self.buffer.len()
    }

    /// How long silence has to be to end a frame; `None`: it ends none.
    pub fn gap(&self) -> Option<Duration> {
        match self.framing.limit {
            Limit::Gap(gap) => Some(gap),
            _ => None,
        }
    }

    /// Everything is forgotten: the line was opened anew.
    pub fn clear(&mut self) {
        self.buffer.clear();
    }

    /// Drops what comes before the start of a frame.
    fn skip_noise(&mut self) {
        let start = &self.framing.start;
        if start.is_empty() {
            return;
        }
        // A part of the start may be at the end of what has come.
        let keeps =
            (1..start.len()).rev().find(|some| self.buffer.ends_with(start.get(..*some).unwrap_or_default()));
        let end = self.buffer.len() - keeps.unwrap_or(0);
        let noise = position(&self.buffer, start).unwrap_or(end);
        self.buffer.drain(..noise);
    }

    /// A frame that is none. Where frames have a start, the next one may begin within it.
    fn broken(&mut self, why: Broken, taken: usize) -> Framed {
        let next = if self.framing.start.is_empty() { taken } else { 1 };
        self.buffer.drain(..next.min(self.buffer.len()));
        if !self.framing.start.is_empty() {
            self.skip_noise();
        }
        Framed::Broken(why)
    }
}
