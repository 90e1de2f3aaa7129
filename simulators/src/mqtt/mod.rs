//! One end of an MQTT connection, 3.1.1 or 5.0, packet by packet: whoever holds it decides what is said and when.
//!
//! It plays servers that say what a real one never would, and raw clients that look at what others publish. It checks
//! nothing of what it sends, keeps no session and answers no ping by itself. [`Relay`] is a server that does what one
//! should.

mod packet;
mod property;
mod relay;
mod writer;

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub use packet::{Connack, Connect, Packet, Publish};
pub use property::Property;
pub use relay::Relay;

use packet::Reader;

/// A server that does only what it is told.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
}

impl Server {
    /// Listens on a free port of the loopback address.
    pub async fn start() -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(("127.0.0.1", 0)).await? })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next connection, before its CONNECT.
    pub async fn accept(&self) -> io::Result<Peer> {
        let (stream, _) = self.listener.accept().await?;
        Ok(Peer::new(stream))
    }

    /// The next connection with its CONNECT.
    pub async fn connected(&self) -> io::Result<(Peer, Connect)> {
        let mut peer = self.accept().await?;
        match peer.packet().await? {
            Some(Packet::Connect(connect)) => Ok((peer, connect)),
            other => Err(broken(format!("{other:?} instead of CONNECT"))),
        }
    }
}

/// One end of a connection.
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// 4 for 3.1.1, 5 for 5.0; a CONNECT sets it.
    pub version: u8,
}

impl Peer {
    fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new(), version: 5 }
    }

    /// Connects to a server as a client, and waits for its CONNACK.
    ///
    /// Errors: the server does not accept it.
    pub async fn connect(server: SocketAddr, connect: &Connect) -> io::Result<Self> {
        let mut peer = Self::new(TcpStream::connect(server).await?);
        peer.version = connect.version;
        peer.send(&connect.encode()).await?;
        match peer.packet().await? {
            Some(Packet::Connack(Connack { code: 0, .. })) => Ok(peer),
            other => Err(broken(format!("{other:?} instead of a good CONNACK"))),
        }
    }

    /// The next packet; `None`: the other side closed the connection.
    pub async fn packet(&mut self) -> io::Result<Option<Packet>> {
        loop {
            if let Some((packet, length)) = Reader::packet(&self.buffer, self.version).map_err(broken)? {
                self.buffer.drain(..length);
                if let Packet::Connect(connect) = &packet {
                    self.version = connect.version;
                }
                return Ok(Some(packet));
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// The next packet that is no ping; pings are answered.
    pub async fn next(&mut self) -> io::Result<Option<Packet>> {
        loop {
            match self.packet().await? {
                Some(Packet::Pingreq) => self.send(&Packet::Pingresp.encode(self.version)).await?,
                packet => return Ok(packet),
            }
        }
    }

    /// The next publication; what has QoS 1 is acknowledged.
    pub async fn publication(&mut self) -> io::Result<Publish> {
        loop {
            match self.next().await? {
                Some(Packet::Publish(publish)) => {
                    if publish.qos == 1 {
                        self.say(&Packet::Puback { id: publish.id, code: 0 }).await?;
                    }
                    return Ok(publish);
                }
                Some(_) => {}
                None => return Err(broken("the connection was closed".to_owned())),
            }
        }
    }

    /// Sends a packet.
    pub async fn say(&mut self, packet: &Packet) -> io::Result<()> {
        self.send(&packet.encode(self.version)).await
    }

    /// Sends any bytes.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Subscribes as a client, and waits for the answer: one code for each filter.
    pub async fn subscribe(&mut self, filters: &[(&str, u8)]) -> io::Result<Vec<u8>> {
        let filters = filters.iter().map(|(topic, qos)| ((*topic).to_owned(), *qos)).collect();
        self.say(&Packet::Subscribe { id: 1, filters }).await?;
        loop {
            match self.next().await? {
                Some(Packet::Suback { codes, .. }) => return Ok(codes),
                Some(_) => {}
                None => return Err(broken("the connection was closed".to_owned())),
            }
        }
    }
}

fn broken(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}
