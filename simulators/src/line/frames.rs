//! Frames as a mapping draft describes them, made and taken apart.

use usp_mapping::draft::{ChecksumDraft, FramingDraft, LengthDraft};

use super::checksum;

/// What goes around the bytes of a frame.
#[derive(Clone, Debug, Default)]
pub(super) struct Frames {
    start: Vec<u8>,
    end: Vec<u8>,
    ends: Vec<Vec<u8>>,
    length: Option<usize>,
    said: Option<(usize, bool, bool, usize)>,
    sum: Option<(String, ChecksumDraft)>,
}

impl Frames {
    pub(super) fn of(draft: &FramingDraft) -> Self {
        let ends: Vec<Vec<u8>> = draft.ends.iter().map(|end| end.value.clone()).collect();
        let (length, said) = match draft.length.map(|length| length.value) {
            Some(LengthDraft::Fixed(length)) => (Some(usize::from(length)), None),
            Some(LengthDraft::Said { at, wide, little_endian, plus }) => {
                (None, Some((usize::from(at), wide, little_endian, usize::from(plus))))
            }
            None => (None, None),
        };
        Self {
            start: draft.start.as_ref().map(|start| start.value.clone()).unwrap_or_default(),
            end: ends.first().cloned().unwrap_or_default(),
            ends,
            length,
            said,
            sum: draft.checksum.map(|at| (at.value.kind.name().to_owned(), at.value)),
        }
    }

    fn sum(&self, bytes: &[u8]) -> Vec<u8> {
        let Some((name, draft)) = &self.sum else { return Vec::new() };
        let end = bytes.len() - usize::from(draft.cut).min(bytes.len());
        let covered = bytes.get(usize::from(draft.skip).min(end)..end).unwrap_or_default();
        let mut sum = checksum::of(name, covered).unwrap_or_default();
        if draft.little_endian {
            sum.reverse();
        }
        if draft.hex { checksum::digits(&sum).into_bytes() } else { sum }
    }

    /// A frame with this body, which has its start already and, before a checksum, what that cuts.
    pub(super) fn whole(&self, body: &[u8]) -> Vec<u8> {
        let mut frame = body.to_vec();
        if self.sum.as_ref().is_some_and(|(_, draft)| draft.after_end) {
            frame.extend(&self.end);
            let sum = self.sum(&frame);
            frame.extend(sum);
        } else {
            let sum = self.sum(&frame);
            frame.extend(sum);
            frame.extend(&self.end);
        }
        frame
    }

    /// A request with this body, without its start.
    pub(super) fn request(&self, body: &[u8]) -> Vec<u8> {
        self.whole(&[self.start.as_slice(), body].concat())
    }

    fn sum_length(&self) -> usize {
        self.sum.as_ref().map_or(0, |(..)| self.sum(&[0; 8]).len())
    }

    /// The body of what a test says byte for byte, as [`Frames::whole`] takes it; `None`: it is not whole.
    pub(super) fn body(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let from = if self.start.is_empty() { 0 } else { find(bytes, &self.start)? };
        let bytes = bytes.get(from..)?;
        let sum = self.sum_length();
        let after_end = self.sum.as_ref().is_some_and(|(_, draft)| draft.after_end);
        let (body, covered) = if self.ends.is_empty() {
            let body = self.size(bytes).unwrap_or(bytes.len()).checked_sub(sum)?;
            (body, body)
        } else {
            let behind = bytes.get(self.start.len()..)?;
            let at = self.ends.iter().filter_map(|end| find(behind, end)).min()? + self.start.len();
            if after_end { (at, at + self.end.len()) } else { (at.checked_sub(sum)?, at.checked_sub(sum)?) }
        };
        let wanted = self.sum(bytes.get(..covered)?);
        let given = bytes.get(covered..covered + sum)?;
        // Digits may be small.
        given.eq_ignore_ascii_case(&wanted).then(|| bytes.get(..body).map(<[u8]>::to_vec)).flatten()
    }

    /// How long a frame is that begins like this, where it has a length.
    fn size(&self, bytes: &[u8]) -> Option<usize> {
        if let Some(length) = self.length {
            return Some(length);
        }
        let (at, wide, little_endian, plus) = self.said?;
        let first = usize::from(*bytes.get(at)?);
        if !wide {
            return Some(first + plus);
        }
        let second = usize::from(*bytes.get(at + 1)?);
        let said = if little_endian { first + 256 * second } else { 256 * first + second };
        Some(said + plus)
    }

    /// Takes the next whole request out of what has come, its body without its start.
    pub(super) fn next(&self, heard: &mut Vec<u8>, known: &[Vec<u8>]) -> Option<Vec<u8>> {
        if let Some(at) = find(heard, &self.start).filter(|_| !self.start.is_empty()) {
            heard.drain(..at);
        }
        let length = if let Some(end) = self.ends.first() {
            find(heard, end)? + end.len()
        } else if self.length.is_some() || self.said.is_some() {
            self.size(heard)?
        } else {
            // Nothing tells where it ends but that it is known.
            known.iter().find(|body| heard.starts_with(body)).map(Vec::len)?
        };
        if heard.len() < length {
            return None;
        }
        let request: Vec<u8> = heard.drain(..length).collect();
        let body = request.len().checked_sub(self.end.len() + self.sum_length())?;
        request.get(self.start.len()..body).map(<[u8]>::to_vec)
    }
}

pub(super) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    if wanted.is_empty() {
        return None;
    }
    (0..bytes.len()).find(|at| bytes.get(*at..).is_some_and(|rest| rest.starts_with(wanted)))
}
