//! UDS frames (TR-369 "UNIX Domain Socket Binding", R-UDS.6 to R-UDS.15), written here once more so that the broker's
//! codec has something to be tested against.

/// `_USP`.
const SYNC: [u8; 4] = [0x5f, 0x55, 0x53, 0x50];

/// Longest frame that is taken in.
const MAX_FRAME: usize = 5 << 20;

/// What one TLV carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Type 1: the sender's Endpoint ID.
    Handshake(String),
    /// Type 2: why the sender closes.
    Error(String),
    /// Type 3: a Record.
    Record(Vec<u8>),
}

/// The bytes are no frame: the connection has to be closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// The frame does not start with the synchronisation bytes.
    #[error("a frame without its synchronisation bytes")]
    Sync,
    /// The frame is longer than is taken in.
    #[error("a frame of {0} bytes")]
    TooLong(usize),
    /// A TLV does not end with its frame, or its text is no UTF-8.
    #[error("a damaged TLV")]
    Tlv,
}

/// One part as a frame of its own.
pub(crate) fn encode(part: &Part) -> Vec<u8> {
    let (kind, value): (u8, &[u8]) = match part {
        Part::Handshake(id) => (1, id.as_bytes()),
        Part::Error(text) => (2, text.as_bytes()),
        Part::Record(record) => (3, record),
    };
    let length = |bytes: usize| (bytes as u32).to_be_bytes();
    [&SYNC[..], &length(value.len() + 5), &[kind], &length(value.len()), value].concat()
}

/// Takes the parts of the first whole frame out of `bytes`; `None`: more has to come. Unknown TLVs are skipped.
pub(crate) fn take(bytes: &mut Vec<u8>) -> Result<Option<Vec<Part>>, FrameError> {
    let known = bytes.len().min(SYNC.len());
    if bytes.get(..known) != SYNC.get(..known) {
        return Err(FrameError::Sync);
    }
    let Some(length) = word(bytes, 4) else { return Ok(None) };
    if length > MAX_FRAME {
        return Err(FrameError::TooLong(length));
    }
    let Some(body) = bytes.get(8..8 + length) else { return Ok(None) };
    let parts = parts(body)?;
    bytes.drain(..8 + length);
    Ok(Some(parts))
}

fn parts(mut body: &[u8]) -> Result<Vec<Part>, FrameError> {
    let mut parts = Vec::new();
    while let Some(kind) = body.first() {
        let length = word(body, 1).ok_or(FrameError::Tlv)?;
        let value = length.checked_add(5).and_then(|end| body.get(5..end)).ok_or(FrameError::Tlv)?;
        let text = || String::from_utf8(value.to_vec()).map_err(|_| FrameError::Tlv);
        match kind {
            1 => parts.push(Part::Handshake(text()?)),
            2 => parts.push(Part::Error(text()?)),
            3 => parts.push(Part::Record(value.to_vec())),
            _ => {}
        }
        body = body.get(length + 5..).ok_or(FrameError::Tlv)?;
    }
    Ok(parts)
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Handshake of `proto::svc1`: eleven octets.
    #[test]
    fn a_handshake_byte_by_byte() {
        let part = Part::Handshake("proto::svc1".into());
        let mut bytes = vec![0x5f, 0x55, 0x53, 0x50, 0, 0, 0, 16, 1, 0, 0, 0, 11];
        bytes.extend(b"proto::svc1");
        assert_eq!(encode(&part), bytes);
        assert_eq!(take(&mut bytes), Ok(Some(vec![part])));
        assert!(bytes.is_empty());
    }

    #[test]
    fn any_split_gives_the_same_frames() {
        let sent = [Part::Handshake("self::a".into()), Part::Record(vec![9; 300]), Part::Error("bye".into())];
        let whole: Vec<u8> = sent.iter().flat_map(encode).collect();
        for split in 0..=whole.len() {
            let mut buffer = Vec::new();
            let mut seen = Vec::new();
            for piece in [&whole[..split], &whole[split..]] {
                buffer.extend(piece);
                while let Some(parts) = take(&mut buffer).unwrap() {
                    seen.extend(parts);
                }
            }
            assert_eq!(seen, sent, "split at {split}");
        }
    }

    #[test]
    fn unknown_tlvs_are_skipped_and_damage_is_found() {
        let mut bytes =
            vec![0x5f, 0x55, 0x53, 0x50, 0, 0, 0, 13, 9, 0, 0, 0, 1, 7, 2, 0, 0, 0, 2, b'n', b'o'];
        assert_eq!(take(&mut bytes), Ok(Some(vec![Part::Error("no".into())])));
        assert_eq!(take(&mut b"HTTP".to_vec()), Err(FrameError::Sync));
        assert_eq!(take(&mut b"_USP\xff\0\0\0".to_vec()), Err(FrameError::TooLong(0xff00_0000)));
        assert_eq!(take(&mut b"_USP\0\0\0\x05\x01\0\0\0\x09".to_vec()), Err(FrameError::Tlv));
        assert_eq!(take(&mut b"_USP\0\0\0\x06\x01\0\0\0\x01\xff".to_vec()), Err(FrameError::Tlv));
    }
}
