//! WebSocket by hand (RFC 6455), so that a case can send what no library would.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

use super::{Event, Events, Link};

/// Opcodes.
pub const CONTINUATION: u8 = 0;
/// See above.
pub const TEXT: u8 = 1;
/// See above.
pub const BINARY: u8 = 2;
/// See above.
pub const CLOSE: u8 = 8;
/// See above.
pub const PING: u8 = 9;
/// See above.
pub const PONG: u8 = 10;

/// How the connection is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    /// Whether the subprotocol `v1.usp` is offered.
    pub subprotocol: bool,
    /// Whether the extension `bbf-usp-protocol` is offered.
    pub extension: bool,
}

/// What a proper Controller offers since USP 1.3.
pub const PROPER: Offer = Offer { subprotocol: true, extension: false };

/// An open connection.
pub struct WebSocket {
    stream: TcpStream,
    /// The head of the server's answer, line by line.
    pub head: Vec<String>,
}

impl WebSocket {
    /// Opens a connection to `address` (`host:port/path`).
    pub fn connect(address: &str, own: &str, offer: Offer) -> io::Result<(Self, Events)> {
        let (host, path) = address.split_once('/').ok_or_else(|| io::Error::other("host:port/path"))?;
        let mut stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        let mut request = format!(
            "GET /{path}?eid={} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            own.replace('%', "%25")
        );
        if offer.subprotocol {
            request += "Sec-WebSocket-Protocol: v1.usp\r\n";
        }
        if offer.extension {
            request += &format!("Sec-WebSocket-Extensions: bbf-usp-protocol; eid=\"{own}\"\r\n");
        }
        stream.write_all((request + "\r\n").as_bytes())?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let head =
            reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        let link = Self { stream, head };
        if !link.head.first().is_some_and(|line| line.contains(" 101 ")) {
            return Err(io::Error::other(format!("{:?}", link.head.first())));
        }
        let events = listen(reader, link.stream.try_clone()?);
        Ok((link, events))
    }

    /// Sends one frame, masked as clients must.
    pub fn frame(&mut self, fin: bool, opcode: u8, payload: &[u8]) -> io::Result<()> {
        write_frame(&mut self.stream, fin, opcode, payload)
    }
}

fn listen(mut reader: BufReader<TcpStream>, mut writer: TcpStream) -> Events {
    let (sender, events) = channel();
    std::thread::spawn(move || {
        while let Ok((first, payload)) = read_frame(&mut reader) {
            if handle(first, payload, &sender, &mut writer).is_none() {
                break;
            }
        }
        sender.send((Instant::now(), Event::Ended)).ok();
    });
    events
}

fn handle(
    first: u8,
    payload: Vec<u8>,
    sender: &Sender<(Instant, Event)>,
    writer: &mut TcpStream,
) -> Option<()> {
    let event = match first & 15 {
        BINARY => Event::Record(payload),
        PONG => Event::Pong(payload),
        PING => return write_frame(writer, true, PONG, &payload).ok(),
        CLOSE => {
            // The peer waits for it; it fails if the peer has answered ours.
            write_frame(writer, true, CLOSE, &payload).ok();
            Event::Close(payload.first_chunk().map(|code| u16::from_be_bytes(*code)))
        }
        _ => return Some(()),
    };
    sender.send((Instant::now(), event)).ok()
}

fn read_frame(reader: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    reader.read_exact(&mut head)?;
    let length = match head[1] & 127 {
        126 => {
            let mut more = [0; 2];
            reader.read_exact(&mut more)?;
            usize::from(u16::from_be_bytes(more))
        }
        127 => {
            let mut more = [0; 8];
            reader.read_exact(&mut more)?;
            usize::try_from(u64::from_be_bytes(more)).map_err(io::Error::other)?
        }
        short => usize::from(short),
    };
    let mut payload = vec![0; length];
    reader.read_exact(&mut payload)?;
    Ok((head[0], payload))
}

fn write_frame(stream: &mut TcpStream, fin: bool, opcode: u8, payload: &[u8]) -> io::Result<()> {
    let mut frame = vec![u8::from(fin) << 7 | opcode];
    match payload.len() {
        short @ 0..=125 => frame.push(0x80 | short as u8),
        middle @ 126..=65535 => {
            frame.push(0x80 | 126);
            frame.extend((middle as u16).to_be_bytes());
        }
        long => {
            frame.push(0x80 | 127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    let mask = [7, 77, 0, 177];
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    stream.write_all(&frame)
}

impl Link for WebSocket {
    fn send(&mut self, record: &[u8]) -> io::Result<()> {
        self.frame(true, BINARY, record)
    }
}

impl Drop for WebSocket {
    fn drop(&mut self) {
        self.stream.shutdown(Shutdown::Both).ok();
    }
}
