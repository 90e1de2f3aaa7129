//! The two ways that RTU frames go: a serial port, and TCP to a transparent device server. Blocking, for the line's own
//! thread.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use serial2::FlowControl;
use usp_mapping::mapping::{BusAddress, SerialLine};

use crate::serial::io_words;
use crate::serial::port::{self, Port};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(3);

/// How long a request may take to be handed over.
const WRITE: Duration = Duration::from_secs(2);

/// Where the frames go.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// A serial port.
    Serial(SerialLine),
    /// A device server.
    Tcp(BusAddress),
}

/// An open way.
#[derive(Debug)]
pub(crate) enum Wire {
    /// A serial port.
    Serial(Port),
    /// A device server.
    Tcp(TcpStream),
}

impl Way {
    /// Opens it.
    pub(crate) fn open(&self) -> Result<Wire, String> {
        match self {
            Self::Serial(line) => port::open(line, FlowControl::None).map(Wire::Serial),
            Self::Tcp(address) => connect(address)
                .map(Wire::Tcp)
                .map_err(|error| format!("cannot connect to {address}: {}", io_words(&error))),
        }
    }
}

fn connect(address: &BusAddress) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for socket in address.to_string().to_socket_addrs()? {
        match TcpStream::connect_timeout(&socket, CONNECT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_write_timeout(Some(WRITE))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Wire {
    /// Waits for bytes, at most for this long; `None`: none came.
    pub(crate) fn read(&mut self, buffer: &mut [u8], within: Duration) -> io::Result<Option<usize>> {
        let read = match self {
            Self::Serial(port) => {
                port.serial.set_read_timeout(within)?;
                port.serial.read(buffer)
            }
            Self::Tcp(stream) if within < Duration::from_millis(1) => {
                // A time-out of zero would mean for ever, and a short one be rounded up.
                stream.set_nonblocking(true)?;
                let read = stream.read(buffer);
                stream.set_nonblocking(false)?;
                read
            }
            Self::Tcp(stream) => {
                stream.set_read_timeout(Some(within))?;
                stream.read(buffer)
            }
        };
        match read {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => Ok(Some(count)),
            Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => {
                Ok(None)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Hands some of these bytes over; how many.
    pub(crate) fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Serial(port) => port.serial.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }

    /// Hands bytes over.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Serial(port) => port.serial.write_all(bytes),
            Self::Tcp(stream) => stream.write_all(bytes),
        }
    }
}
