//! RTU frames as a slave sees them (MODBUS over Serial Line V1.02, section 2.5.1).

use super::frame::Frame;

/// The bytes of an answer.
pub fn bytes(frame: &Frame) -> Vec<u8> {
    let mut bytes = vec![frame.unit];
    bytes.extend(&frame.pdu);
    bytes.extend(checksum(&bytes));
    bytes
}

/// So many bytes tell how long any known request is.
pub const LONGEST_HEAD: usize = 11;

/// How long a request is, as far as its first bytes tell; `None`: they do not, or no such function is known.
pub fn request_length(bytes: &[u8]) -> Option<usize> {
    match bytes.get(1)? {
        1..=6 => Some(8),
        15 | 16 => bytes.get(6).map(|count| 9 + usize::from(*count)),
        22 => Some(10),
        43 => Some(7),
        23 => bytes.get(10).map(|count| 13 + usize::from(*count)),
        _ => None,
    }
}

/// The request in a whole frame; `None`: its checksum is wrong, and a slave says nothing.
pub fn request(bytes: &[u8]) -> Option<Frame> {
    let (body, sum) = bytes.split_last_chunk::<2>()?;
    let (unit, pdu) = body.split_first()?;
    (checksum(body) == *sum && !pdu.is_empty()).then(|| Frame {
        transaction: 0,
        unit: *unit,
        pdu: pdu.to_vec(),
    })
}

/// CRC-16/MODBUS, low byte first, by polynomial division bit by bit.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let mut remainder = u16::MAX;
    for byte in bytes {
        remainder ^= u16::from(*byte);
        for _ in 0..u8::BITS {
            let carry = remainder & 1 != 0;
            remainder /= 2;
            if carry {
                remainder ^= 0b1010_0000_0000_0001;
            }
        }
    }
    remainder.to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The checksum of the standard's own example (section 6.2.2), and a request known from any Modbus primer.
    #[test]
    fn checksums_are_those_of_the_standard() {
        assert_eq!(checksum(&[0x02, 0x07]), [0x41, 0x12]);
        assert_eq!(checksum(&[0x01, 0x03, 0x00, 0x00, 0x00, 0x0a]), [0xc5, 0xcd]);
    }

    #[test]
    fn requests_are_taken_whole_and_checked() {
        let read = [0x01, 0x03, 0x00, 0x00, 0x00, 0x0a, 0xc5, 0xcd];
        assert_eq!(request_length(&read[..2]), Some(8));
        assert_eq!(request_length(&read[..1]), None);
        assert_eq!(request(&read), Some(Frame { transaction: 0, unit: 1, pdu: vec![3, 0, 0, 0, 10] }));
        assert_eq!(request(&[0x01, 0x03, 0x00, 0x00, 0x00, 0x0b, 0xc5, 0xcd]), None);
        assert_eq!(request_length(&[1, 16, 0, 0, 0, 2, 4]), Some(13));
        assert_eq!(request_length(&[1, 43, 14, 1, 0]), Some(7));
        assert_eq!(request_length(&[1, 7]), None);
    }
}
