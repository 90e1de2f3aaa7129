//! Little-endian values in frames, as both kinds of coordinators have them.

use super::{Ieee, Key};

/// Reads what is in a frame, from front to back. `None` anywhere: it is too short.
#[derive(Clone, Copy)]
pub(super) struct Read<'a>(pub(super) &'a [u8]);

impl<'a> Read<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn ieee(&mut self) -> Option<Ieee> {
        self.array().map(u64::from_le_bytes).map(Ieee)
    }

    pub(super) fn key(&mut self) -> Option<Key> {
        self.array().map(Key)
    }

    /// What is preceded by its length in one byte.
    pub(super) fn counted(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    /// All that is left.
    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// Writes what goes into a frame. Shows nothing, because there may be a key in it.
#[derive(Clone, Default)]
pub(super) struct Write(Vec<u8>);

impl Write {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn u8(self, value: u8) -> Self {
        self.bytes(&[value])
    }

    pub(super) fn u16(self, value: u16) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(super) fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(super) fn ieee(self, value: Ieee) -> Self {
        self.bytes(&value.0.to_le_bytes())
    }

    pub(super) fn key(self, value: &Key) -> Self {
        self.bytes(&value.0)
    }

    pub(super) fn u16s(self, values: &[u16]) -> Self {
        values.iter().fold(self, |write, value| write.u16(*value))
    }

    /// Preceded by the length in one byte; nothing of what is longer.
    pub(super) fn counted(self, bytes: &[u8]) -> Self {
        match u8::try_from(bytes.len()) {
            Ok(length) => self.u8(length).bytes(bytes),
            Err(_) => self.u8(0),
        }
    }

    pub(super) fn done(self) -> Vec<u8> {
        self.0
    }
}
