//! What stands before the parameters of an EZSP frame: three bytes up to version 7, five from 8 on (UG100, 3.1).

use super::super::bytes::{Out, Reader};
use super::callback;

/// Bit 7 of the first byte of frame control: a response. Bit 4: it comes unasked.
const RESPONSE: u8 = 0x80;
const UNASKED: u8 = 0x10;

/// Bits 0 and 1 of the second byte: the form of the frame.
const FORM: u8 = 0x01;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) sequence: u8,
    pub(super) id: u16,
    old: bool,
    unasked: bool,
}

impl Header {
    /// Takes a command apart.
    pub(super) fn read(data: &[u8]) -> Option<(Self, &[u8])> {
        let mut reader = Reader::new(data);
        let (sequence, _low, high) = (reader.u8()?, reader.u8()?, reader.u8()?);
        // In the old form this is the frame's ID; the version command has 0.
        if data.len() >= 5 && high & 0x03 == FORM {
            let id = reader.u16()?;
            return Some((Self { sequence, id, old: false, unasked: false }, reader.rest()));
        }
        Some((Self { sequence, id: high.into(), old: true, unasked: false }, reader.rest()))
    }

    pub(super) fn callback(sequence: u8, id: u16) -> Self {
        Self { sequence, id, old: false, unasked: true }
    }

    pub(super) fn is_version(self) -> bool {
        self.id == 0
    }

    pub(super) fn is_old(self) -> bool {
        self.old
    }

    /// The same, as what says that a command is not obeyed.
    pub(super) fn refused(self) -> Self {
        Self { id: callback::INVALID_COMMAND, ..self }
    }

    pub(super) fn response(self, parameters: &[u8]) -> Vec<u8> {
        let control = RESPONSE | if self.unasked { UNASKED } else { 0 };
        let out = Out::new().u8(self.sequence).u8(control);
        let out = if self.old { out.u8(self.id as u8) } else { out.u8(FORM).u16(self.id) };
        out.bytes(parameters).done()
    }
}
