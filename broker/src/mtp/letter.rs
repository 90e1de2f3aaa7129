//! A Record on its way to a peer.

use usp_proto::record::Record;

/// As long as a peer keeps up, its Records are encoded by the task of its connection. What has to wait behind others is
/// bytes: half to a quarter of the memory that a Message takes, and what is counted.
#[derive(Debug)]
pub(crate) enum Letter {
    /// As it came from the core.
    Record(Record),
    /// Encoded.
    Bytes(Vec<u8>),
}

impl From<Record> for Letter {
    fn from(record: Record) -> Self {
        Self::Record(record)
    }
}

impl Letter {
    /// The bytes.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Record(record) => record.encode(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// Adds the bytes to others; `head` is called before, with their number.
    pub(crate) fn encode_to(self, out: &mut Vec<u8>, head: impl FnOnce(&mut Vec<u8>, usize)) {
        match self {
            Self::Record(record) => record.encode_to(out, head),
            Self::Bytes(bytes) => {
                head(out, bytes.len());
                out.extend(bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use usp_proto::endpoint_id::EndpointId;
    use usp_proto::uds_frame;
    use usp_proto::usp::{Header, Msg};

    use super::*;

    #[test]
    fn bytes_are_framed_like_the_record() {
        let peer = EndpointId::parse("proto::peer").unwrap();
        let header = Header { msg_id: "a".to_owned(), ..Header::default() };
        let record = Record::message(peer.clone(), peer, Msg { header: Some(header), body: None });
        let bytes = record.encode();
        let frame = |letter: Letter| {
            let mut out = b"before".to_vec();
            letter.encode_to(&mut out, uds_frame::record_head);
            out
        };
        assert_eq!(frame(Letter::Bytes(bytes.clone())), frame(record.clone().into()));
        assert_eq!(Letter::from(record).into_bytes(), bytes);
        assert_eq!(Letter::Bytes(bytes.clone()).into_bytes(), bytes);
    }
}
