//! The header of Modbus TCP (MODBUS Messaging on TCP/IP Implementation Guide V1.0b, section 3.1.3).

/// Bytes of the header, unit identifier included.
pub const HEADER: usize = 7;

/// Longest Protocol Data Unit (MODBUS Application Protocol V1.1b3, section 4.1).
pub const MAX_PDU: usize = 253;

/// One request or answer without its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Chosen by the client, repeated by the server.
    pub transaction: u16,
    /// Whom it is for, or from.
    pub unit: u8,
    /// Function code and data.
    pub pdu: Vec<u8>,
}

/// The bytes are no Modbus TCP: the connection has to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The protocol identifier is not 0.
    #[error("protocol identifier {0}, not 0")]
    Protocol(u16),
    /// The length cannot be right.
    #[error("length {0}, not 2 to 254")]
    Length(u16),
}

/// Takes the first whole frame out of `bytes`; `None`: more has to come.
pub fn take(bytes: &mut Vec<u8>) -> Result<Option<Frame>, FrameError> {
    let [t1, t2, p1, p2, l1, l2, unit, ..] = *bytes.as_slice() else { return Ok(None) };
    let protocol = u16::from_be_bytes([p1, p2]);
    if protocol != 0 {
        return Err(FrameError::Protocol(protocol));
    }
    let length = u16::from_be_bytes([l1, l2]);
    let pdu_length = usize::from(length).saturating_sub(1);
    if !(1..=MAX_PDU).contains(&pdu_length) {
        return Err(FrameError::Length(length));
    }
    let Some(pdu) = bytes.get(HEADER..HEADER + pdu_length).map(<[u8]>::to_vec) else { return Ok(None) };
    bytes.drain(..HEADER + pdu_length);
    Ok(Some(Frame { transaction: u16::from_be_bytes([t1, t2]), unit, pdu }))
}

/// The bytes of a frame.
pub fn bytes(frame: &Frame) -> Vec<u8> {
    let length = frame.pdu.len() as u16 + 1;
    let mut bytes = Vec::with_capacity(HEADER + frame.pdu.len());
    bytes.extend(frame.transaction.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(length.to_be_bytes());
    bytes.push(frame.unit);
    bytes.extend(&frame.pdu);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Implementation Guide: read one register at 4 of unit FF, answered with 5.
    #[test]
    fn the_guides_example() {
        let request = [0x15, 0x01, 0, 0, 0, 6, 0xff, 3, 0, 4, 0, 1];
        let frame = Frame { transaction: 0x1501, unit: 0xff, pdu: vec![3, 0, 4, 0, 1] };
        assert_eq!(bytes(&frame), request);
        assert_eq!(take(&mut request.to_vec()), Ok(Some(frame)));
        let answer = Frame { transaction: 0x1501, unit: 0xff, pdu: vec![3, 2, 0, 5] };
        assert_eq!(bytes(&answer), [0x15, 0x01, 0, 0, 0, 5, 0xff, 3, 2, 0, 5]);
    }

    #[test]
    fn any_split_gives_the_same_frames() {
        let one = Frame { transaction: 1, unit: 1, pdu: vec![3, 0, 0, 0, 1] };
        let two = Frame { transaction: 2, unit: 9, pdu: vec![0x2b; 253] };
        let whole = [bytes(&one), bytes(&two)].concat();
        for split in 0..=whole.len() {
            let (head, tail) = whole.split_at(split);
            let mut buffer = head.to_vec();
            let mut seen = Vec::new();
            while let Some(frame) = take(&mut buffer).unwrap() {
                seen.push(frame);
            }
            buffer.extend(tail);
            while let Some(frame) = take(&mut buffer).unwrap() {
                seen.push(frame);
            }
            assert_eq!(seen, [one.clone(), two.clone()], "split at {split}");
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn other_protocols_and_lengths_are_refused() {
        assert_eq!(take(&mut vec![0, 1, 0, 1, 0, 6, 1, 3]), Err(FrameError::Protocol(1)));
        assert_eq!(take(&mut vec![0, 1, 0, 0, 0, 1, 1]), Err(FrameError::Length(1)));
        assert_eq!(take(&mut vec![0, 1, 0, 0, 0, 255, 1]), Err(FrameError::Length(255)));
        assert_eq!(take(&mut b"GET / HTTP/1.1\r\n".to_vec()), Err(FrameError::Protocol(0x5420)));
    }
}
