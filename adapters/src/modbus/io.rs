//! The connection to a Modbus TCP server or gateway.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_modbus::client::{Client, Context, tcp};
use tokio_modbus::slave::{Slave, SlaveContext};
use tokio_modbus::{Error, ProtocolError};
use usp_mapping::mapping::BusAddress;
use usp_mapping::port::DeviceFault;

use crate::bus::ear::Deaf;
use crate::bus::{Medium, Outcome};
use crate::modbus::codec::{self, Answer, Ask};
use crate::modbus::stream::SharedStream;
use crate::modbus::{CLOSED, io_words};

/// How long the connection may take to be made.
const CONNECT: Duration = Duration::from_secs(3);

/// One Modbus TCP connection, made again after every error.
pub(crate) struct ModbusTcp {
    address: BusAddress,
    connection: Option<Connection>,
}

struct Connection {
    context: Context,
    stream: SharedStream,
}

impl ModbusTcp {
    /// Not connected yet.
    pub(crate) fn new(address: BusAddress) -> Self {
        Self { address, connection: None }
    }
}

async fn open(address: &BusAddress) -> io::Result<Connection> {
    let stream = match address {
        BusAddress::Socket(address) => TcpStream::connect(address).await?,
        BusAddress::Host(host, port) => TcpStream::connect((host.as_str(), *port)).await?,
    };
    // A request is one small segment that is waited for: nothing is gained by holding it back.
    stream.set_nodelay(true)?;
    let stream = SharedStream::new(stream);
    Ok(Connection { context: tcp::attach(stream.clone()), stream })
}

impl Medium for ModbusTcp {
    type Ask = Ask;
    type Answer = Answer;
    type Ear = Deaf;

    fn ear(&mut self) -> Deaf {
        Deaf
    }

    async fn connect(&mut self) -> Result<(), String> {
        self.connection = None;
        let words = match timeout(CONNECT, open(&self.address)).await {
            Ok(Ok(connection)) => {
                self.connection = Some(connection);
                return Ok(());
            }
            Ok(Err(error)) => io_words(&error),
            Err(_) => format!("no answer within {} s", CONNECT.as_secs()),
        };
        Err(format!("cannot connect to {}: {words}", self.address))
    }

    async fn exchange(&mut self, ask: Ask) -> Outcome<Answer> {
        // Taken out: unless a clean answer puts it back, the connection is gone, also when this future is dropped.
        let Some(mut connection) = self.connection.take() else {
            return Outcome::Unsent(DeviceFault::Unreachable("not connected".to_owned()));
        };
        connection.context.set_slave(Slave(ask.unit));
        connection.stream.begin();
        let call = connection.context.call(codec::request(&ask.query));
        match timeout(ask.timeout, call).await {
            Err(_) => Outcome::Silent(DeviceFault::Timeout(ask.timeout)),
            // tokio-modbus reports the end of the stream as whatever the system's last error was.
            Ok(Err(_)) if connection.stream.is_closed() => {
                broken_off(&connection.stream, DeviceFault::Unreachable(CLOSED.to_owned()))
            }
            Ok(Err(error)) => broken_off(&connection.stream, error_fault(&error)),
            Ok(Ok(Ok(response))) => match codec::answer(&ask.query, response) {
                Ok(answer) => {
                    self.connection = Some(connection);
                    Outcome::Answered(answer)
                }
                Err(fault) => Outcome::Silent(fault),
            },
            Ok(Ok(Err(code))) => {
                self.connection = Some(connection);
                codec::exception(code)
            }
        }
    }

    fn is_up(&mut self) -> bool {
        self.connection.take_if(|connection| !connection.stream.is_quiet());
        self.connection.is_some()
    }
}

/// The connection ended before the answer came. What was not handed over was not sent.
fn broken_off(stream: &SharedStream, fault: DeviceFault) -> Outcome<Answer> {
    if stream.has_sent() { Outcome::Silent(fault) } else { Outcome::Unsent(fault) }
}

fn error_fault(error: &Error) -> DeviceFault {
    match error {
        Error::Protocol(ProtocolError::HeaderMismatch { .. }) => {
            DeviceFault::Garbled("it belongs to another request".to_owned())
        }
        Error::Protocol(ProtocolError::FunctionCodeMismatch { .. }) => {
            DeviceFault::Garbled("it belongs to another function".to_owned())
        }
        Error::Transport(error) if error.kind() == io::ErrorKind::InvalidData => {
            DeviceFault::Garbled("it is no Modbus response".to_owned())
        }
        Error::Transport(error) => DeviceFault::Unreachable(io_words(error)),
    }
}
