//! The fields that everything in Zigbee is made of: the least significant byte first.

/// What is still to be read of something that came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of up to eight bytes.
    pub(super) fn number(&mut self, width: usize) -> Option<u64> {
        let bytes = self.take(width)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.number(2).map(|number| number as u16)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.number(4).map(|number| number as u32)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.number(8)
    }

    pub(super) fn key(&mut self) -> Option<[u8; 16]> {
        self.take(16)?.try_into().ok()
    }

    /// Bytes with their number before them.
    pub(super) fn counted(&mut self) -> Option<&'a [u8]> {
        let count = self.u8()?;
        self.take(usize::from(count))
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Something that is written, field after field.
#[derive(Clone, Debug, Default)]
pub(super) struct Out(Vec<u8>);

impl Out {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn number(mut self, number: u64, width: usize) -> Self {
        self.0.extend(number.to_le_bytes().iter().take(width));
        self
    }

    pub(super) fn u8(self, number: u8) -> Self {
        self.number(number.into(), 1)
    }

    pub(super) fn u16(self, number: u16) -> Self {
        self.number(number.into(), 2)
    }

    pub(super) fn u32(self, number: u32) -> Self {
        self.number(number.into(), 4)
    }

    pub(super) fn u64(self, number: u64) -> Self {
        self.number(number, 8)
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Bytes with their number before them: at most 255.
    pub(super) fn counted(self, bytes: &[u8]) -> Self {
        let bytes = bytes.get(..bytes.len().min(255)).unwrap_or_default();
        self.u8(bytes.len() as u8).bytes(bytes)
    }

    /// Numbers of two bytes with their count before them.
    pub(super) fn list(self, numbers: &[u16]) -> Self {
        numbers.iter().fold(self.u8(numbers.len() as u8), |out, number| out.u16(*number))
    }

    pub(super) fn done(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let bytes = Out::new().u8(1).u16(0x0203).u32(4).number(5, 6).counted(b"ab").list(&[7]).u64(8).done();
        assert_eq!(bytes.get(1..3), Some([3, 2].as_slice()));
        let mut reader = Reader::new(&bytes);
        assert_eq!((reader.u8(), reader.u16(), reader.u32()), (Some(1), Some(0x0203), Some(4)));
        assert_eq!((reader.number(6), reader.counted()), (Some(5), Some(b"ab".as_slice())));
        assert_eq!((reader.u8(), reader.u16(), reader.u64()), (Some(1), Some(7), Some(8)));
        assert!(reader.is_empty() && reader.u8().is_none() && reader.counted().is_none());
    }
}
