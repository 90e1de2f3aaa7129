//! Questions in RTU frames, on a serial line or over TCP. Blocking.

use std::thread;
use std::time::{Duration, Instant};

use super::{Lost, Reply, Way};
use crate::modbus::io_words;
use crate::modbus::rtu::frame::{CRC_START, crc, crc_with};
use crate::modbus::rtu::wire;

/// Most bytes that one question may bring.
const NOISE: usize = 1024;

/// An open line.
#[derive(Debug)]
pub(super) struct LineLink {
    wire: wire::Wire,
    character: Duration,
    silence: Duration,
    last_byte: Instant,
}

impl LineLink {
    pub(super) fn open(way: &Way) -> Result<Self, Lost> {
        let (way, character, silence) = match way {
            Way::Serial(line) => {
                let baud = line.baud.max(1);
                let character = Duration::from_secs(line.bits_per_character().into()) / baud;
                // Above 19200 bits a second it is fixed (Modbus over Serial Line V1.02, 2.5.1.1).
                let silence = if baud > 19_200 { Duration::from_micros(1750) } else { character * 7 / 2 };
                (wire::Way::Serial(line.clone()), character, silence)
            }
            Way::RtuOverTcp(address) | Way::Tcp(address) => {
                (wire::Way::Tcp(address.clone()), Duration::ZERO, Duration::ZERO)
            }
        };
        let wire = way.open().map_err(Lost)?;
        Ok(Self { wire, character, silence, last_byte: Instant::now() })
    }

    /// The reply, and other units that were heard meanwhile.
    pub(super) fn ask(&mut self, unit: u8, pdu: &[u8], within: Duration) -> Result<(Reply, Vec<u8>), Lost> {
        let lost = |error: std::io::Error| Lost(io_words(&error));
        let mut others = Vec::new();
        let asked = pdu.first().copied().unwrap_or_default();
        let mut rest = self.settle().map_err(lost)?;
        // What came between two questions may be what a slow unit still had to say.
        while let Some((from, said)) = whole_frame(&mut rest, |_, function| function & 0x7f == asked) {
            others.extend(Some(from).filter(|_| said.len() > 1));
        }
        let mut frame = vec![unit];
        frame.extend(pdu);
        frame.extend(crc(&frame).to_le_bytes());
        self.wire.write(&frame).map_err(lost)?;
        let sent = Instant::now() + self.character * u32::try_from(frame.len()).unwrap_or(u32::MAX);
        self.last_byte = sent;
        let mut until = sent + within;
        let (mut bytes, mut buffer) = (Vec::new(), [0; 256]);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.wire.read(&mut buffer, left).map_err(lost)? {
                None if left.is_zero() => break,
                None => continue,
                Some(count) => bytes.extend(buffer.iter().take(count)),
            }
            self.last_byte = Instant::now();
            // A reply that has begun is let finish.
            until = until.max(self.last_byte + self.silence + self.character * 32);
            if let Some((from, said)) = whole_frame(&mut bytes, |_, function| function & 0x7f == asked) {
                if from == unit {
                    return Ok((Reply::of(asked, &said), others));
                }
                others.push(from);
            }
            if bytes.len() > NOISE {
                break;
            }
        }
        Ok((if bytes.is_empty() { Reply::Silence } else { Reply::Noise }, others))
    }

    /// Waits until the line has been silent for t3.5; what was heard.
    #[expect(
        clippy::disallowed_methods,
        reason = "the silence of a line is waited for on a thread of its own"
    )]
    fn settle(&mut self) -> std::io::Result<Vec<u8>> {
        let (mut heard, mut buffer) = (Vec::new(), [0; 256]);
        loop {
            thread::sleep((self.last_byte + self.silence).saturating_duration_since(Instant::now()));
            match self.wire.read(&mut buffer, Duration::ZERO)? {
                None => return Ok(heard),
                Some(_) if heard.len() > NOISE => return Ok(heard),
                Some(count) => heard.extend(buffer.iter().take(count)),
            }
            self.last_byte = Instant::now();
        }
    }
}

/// Bytes of the shortest answer, an exception, and of the longest frame (Modbus over Serial Line V1.02, 2.5.1).
const SHORTEST: usize = 5;
const LONGEST: usize = 256;

/// Takes a frame with a right checksum out of the bytes, and all before it: unit and PDU.
fn whole_frame(bytes: &mut Vec<u8>, is_wanted: impl Fn(u8, u8) -> bool) -> Option<(u8, Vec<u8>)> {
    for start in 0..bytes.len() {
        let Some([unit, function, ..]) = bytes.get(start..) else { continue };
        if !is_wanted(*unit, *function) {
            continue;
        }
        // One pass for each start: what noise costs must not grow with the cube of its length.
        let mut crc = CRC_START;
        for (length, byte) in (1..=LONGEST).zip(bytes.iter().skip(start)) {
            crc = crc_with(crc, *byte);
            if crc == 0 && length >= SHORTEST {
                let body = bytes.get(start + 1..start + length - 2).unwrap_or_default();
                let frame = (*unit, body.to_vec());
                bytes.drain(..start + length);
                return Some(frame);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_among_noise() {
        // Unit 2 says exception 2 to function 3.
        let mut frame = vec![2, 0x83, 2];
        frame.extend(crc(&frame).to_le_bytes());
        let mut bytes = [&[0xff, 0x00][..], &frame, &[7]].concat();
        let found = whole_frame(&mut bytes, |_, function| function & 0x7f == 3);
        assert_eq!(found, Some((2, vec![0x83, 2])));
        assert_eq!(bytes, [7]);
        assert_eq!(whole_frame(&mut frame[..4].to_vec(), |_, _| true), None);
    }
}
