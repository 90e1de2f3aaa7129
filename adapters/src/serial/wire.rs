//! The two ways to a serial line: a port, and TCP to a serial device server that passes bytes on as they are.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use serial2::FlowControl;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use usp_mapping::mapping::{BusAddress, SerialLine};

use super::io_words;
use super::port::{self, Port};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(3);

/// How long a request may take to be handed over.
const WRITE: Duration = Duration::from_secs(2);

/// An open way.
#[derive(Debug)]
pub(crate) enum Wire {
    /// A serial port: whoever waits for one of its two directions waits as for a pipe, since its file does not block.
    Serial {
        /// What comes in.
        from: Receiver,
        /// What goes out.
        to: Sender,
        /// It belongs to us for as long.
        port: Port,
    },
    /// A device server.
    Tcp(TcpStream),
    /// A test's, on virtual time.
    #[cfg(test)]
    Memory(tokio::io::DuplexStream),
}

impl Wire {
    /// Opens a port. Errors: a sentence that names it and says what to do.
    pub(crate) async fn serial(line: SerialLine, flow: FlowControl) -> Result<Self, String> {
        let name = line.port.clone();
        // Whoever had the port before may need a moment to close it.
        let port = spawn_blocking(move || port::open(&line, flow)).await;
        let port = port.map_err(|error| format!("cannot open {name}: {error}"))??;
        both_ways(port).map_err(|error| format!("cannot use {name}: {error}"))
    }

    /// Connects to a device server. Errors: a sentence that names it.
    pub(crate) async fn tcp(address: &BusAddress) -> Result<Self, String> {
        let words = |words: String| format!("cannot connect to {address}: {words}");
        match timeout(CONNECT, connect(address)).await {
            Ok(Ok(stream)) => Ok(Self::Tcp(stream)),
            Ok(Err(error)) => Err(words(io_words(&error))),
            Err(_) => Err(words(format!("no answer within {} s", CONNECT.as_secs()))),
        }
    }

    /// Sets the two lines of a port that some adapters have at their reset and bootloader. Errors do not matter: whatever has no
    /// such lines has nothing there either.
    #[cfg(feature = "zigbee")]
    pub(crate) fn pins(&self, dtr: bool, rts: bool) {
        if let Self::Serial { port, .. } = self {
            let set = port.serial.set_dtr(dtr).and_then(|()| port.serial.set_rts(rts));
            tracing::trace!(?set, "lines of a port set");
        }
    }

    /// What comes next. Whoever stops waiting misses nothing. Errors: the way is gone.
    pub(crate) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match self {
            Self::Serial { from, .. } => from.read(buffer).await?,
            Self::Tcp(stream) => stream.read(buffer).await?,
            #[cfg(test)]
            Self::Memory(stream) => stream.read(buffer).await?,
        };
        if count == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(count) }
    }

    /// Hands bytes over. Errors: the way is gone, or takes nothing any more.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hand_over(bytes, &mut false).await
    }

    /// The same, and tells whether any of them were handed over, at whatever comes of the rest.
    pub(crate) async fn hand_over(&mut self, bytes: &[u8], any: &mut bool) -> io::Result<()> {
        let write = async {
            let mut left = bytes;
            while !left.is_empty() {
                let count = self.write_some(left).await?;
                *any |= count > 0;
                left = left.get(count..).filter(|_| count > 0).ok_or(io::ErrorKind::WriteZero)?;
            }
            Ok(())
        };
        timeout(WRITE, write).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Serial { to, .. } => to.write(bytes).await,
            Self::Tcp(stream) => stream.write(bytes).await,
            #[cfg(test)]
            Self::Memory(stream) => stream.write(bytes).await,
        }
    }
}

fn both_ways(port: Port) -> io::Result<Wire> {
    let file = || port.serial.as_fd().try_clone_to_owned().map(File::from);
    let (from, to) = (Receiver::from_file_unchecked(file()?)?, Sender::from_file_unchecked(file()?)?);
    Ok(Wire::Serial { from, to, port })
}

async fn connect(address: &BusAddress) -> io::Result<TcpStream> {
    let stream = match address {
        BusAddress::Socket(address) => TcpStream::connect(address).await?,
        BusAddress::Host(host, port) => TcpStream::connect((host.as_str(), *port)).await?,
    };
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Why a serial port is gone.
pub(crate) fn lost_port(path: &str) -> String {
    format!("{path} is gone; is the adapter plugged in?")
}
