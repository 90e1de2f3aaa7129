//! UNIX domain sockets.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

use usp_proto::uds_frame::{self, FrameDecoder, Tlv};

use super::{Event, Events, Link};

/// A connection to a Broker's or Agent's socket.
pub struct Uds(UnixStream);

impl Uds {
    /// Connects and exchanges Handshakes.
    pub fn connect(path: &Path, own: &str) -> io::Result<(Self, Events)> {
        let mut stream = UnixStream::connect(path)?;
        let own = own.parse().map_err(|_| io::Error::other("an Endpoint ID"))?;
        stream.write_all(&uds_frame::handshake(&own))?;
        let (sender, events) = channel();
        let reader = stream.try_clone()?;
        let (ready, shaken) = channel();
        std::thread::spawn(move || {
            read(reader, &sender, &ready).ok();
            sender.send((Instant::now(), Event::Ended)).ok();
        });
        shaken.recv().map_err(|_| io::Error::other("no Handshake came"))?;
        Ok((Self(stream), events))
    }
}

fn read(mut stream: UnixStream, sender: &Sender<(Instant, Event)>, ready: &Sender<()>) -> io::Result<()> {
    let mut ready = Some(ready.clone());
    let mut decoder = FrameDecoder::new(64 << 20);
    let mut chunk = vec![0; 1 << 16];
    loop {
        while let Some(frame) = decoder.next().map_err(io::Error::other)? {
            for part in frame.tlvs {
                match part {
                    Tlv::Handshake(_) => drop(ready.take().map(|ready| ready.send(()))),
                    Tlv::Record(bytes) => {
                        sender.send((Instant::now(), Event::Record(bytes))).map_err(io::Error::other)?;
                    }
                    _ => {}
                }
            }
        }
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            count => decoder.push(&chunk[..count]),
        }
    }
}

impl Link for Uds {
    fn send(&mut self, record: &[u8]) -> io::Result<()> {
        self.0.write_all(&uds_frame::record(record))
    }
}

impl Drop for Uds {
    fn drop(&mut self) {
        self.0.shutdown(Shutdown::Both).ok();
    }
}
