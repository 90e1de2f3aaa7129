//! A raw connection to a UNIX domain socket: for what no proper Controller sends.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use usp_proto::record::Record;
use usp_proto::uds_frame::{self, FrameDecoder, Tlv};

use crate::wait::PATIENCE;

/// The connection, and what came and was not yet taken.
pub struct Raw {
    stream: UnixStream,
    decoder: FrameDecoder,
    parts: std::vec::IntoIter<Tlv>,
}

impl Raw {
    /// Connects, and does nothing else.
    pub fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream, decoder: FrameDecoder::new(64 << 20), parts: Vec::new().into_iter() }
    }

    /// Connects, exchanges Handshakes, and takes the Connect Record.
    pub fn as_controller(path: &Path, endpoint_id: &str) -> Self {
        let mut raw = Self::connect(path);
        raw.send(&uds_frame::handshake(&endpoint_id.parse().unwrap()));
        assert!(matches!(raw.part(), Some(Tlv::Handshake(_))));
        assert!(raw.record().unwrap().msg().is_none(), "first comes the Connect Record");
        raw
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next part of a frame; `None`: the connection has ended.
    pub fn part(&mut self) -> Option<Tlv> {
        loop {
            if let Some(part) = self.parts.next() {
                return Some(part);
            }
            if let Some(frame) = self.decoder.next().unwrap() {
                self.parts = frame.tlvs.into_iter();
                continue;
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(count) => self.decoder.push(&chunk[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing came: {error}"),
            }
        }
    }

    /// The next Record; `None`: the connection has ended.
    pub fn record(&mut self) -> Option<Record> {
        loop {
            if let Tlv::Record(bytes) = self.part()? {
                return Some(Record::decode(&bytes).unwrap());
            }
        }
    }

    /// The text of the Error frame with which the connection ends.
    pub fn last_words(&mut self) -> String {
        let mut words = None;
        while let Some(part) = self.part() {
            if let Tlv::Error(text) = part {
                words = Some(text);
            }
        }
        words.expect("an Error frame before the end")
    }
}
