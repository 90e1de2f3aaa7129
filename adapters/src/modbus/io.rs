//! The connection to a Modbus TCP server or gateway.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use usp_mapping::mapping::BusAddress;
use usp_mapping::port::DeviceFault;

use crate::bus::ear::Deaf;
use crate::bus::{Medium, Outcome};
use crate::modbus::codec::{Answer, Ask, Query};
use crate::modbus::mbap::{self, Head};
use crate::modbus::{CLOSED, io_words, pdu};

/// How long the connection may take to be made.
const CONNECT: Duration = Duration::from_secs(3);

/// One Modbus TCP connection, made again after every error.
pub(crate) struct ModbusTcp {
    address: BusAddress,
    connection: Option<Connection>,
}

struct Connection {
    stream: TcpStream,
    /// The last request's.
    transaction: u16,
    /// Has room for more than a frame, so that a read which brings one has always brought all that is there.
    received: Vec<u8>,
    /// More came than was asked for.
    surplus: bool,
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
    Ok(Connection { stream, transaction: 0, received: vec![0; mbap::LONGEST + 1], surplus: false })
}

impl Connection {
    /// Sends a request and waits for its answer: what that comes to, and whether the next can be trusted after it.
    async fn exchange(&mut self, ask: &Ask) -> Result<(Outcome<Answer>, bool), DeviceFault> {
        self.transaction = self.transaction.wrapping_add(1);
        let head = Head { transaction: self.transaction, unit: ask.unit };
        self.stream.write_all(&mbap::request(head, &ask.query)).await.map_err(lost)?;
        let mut filled = 0;
        loop {
            let room = self.received.get_mut(filled..).unwrap_or_default();
            match self.stream.read(room).await.map_err(lost)? {
                0 => return Err(DeviceFault::Unreachable(CLOSED.to_owned())),
                count => filled += count,
            }
            let received = self.received.get(..filled).unwrap_or_default();
            if let Some((pdu, surplus)) = mbap::response(head, received)? {
                self.surplus = surplus;
                return Ok(understood(&ask.query, pdu));
            }
        }
    }

    /// Whether nothing has come since the last answer. An end of the stream means that the peer has gone; bytes are a
    /// late or duplicate reply, after which no other can be trusted.
    fn is_quiet(&self) -> bool {
        let nothing = self.stream.try_read(&mut [0; 1]);
        !self.surplus && nothing.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

fn lost(error: io::Error) -> DeviceFault {
    DeviceFault::Unreachable(io_words(&error))
}

/// What an answer comes to, and whether the next can be trusted after it.
fn understood(query: &Query, pdu: &[u8]) -> (Outcome<Answer>, bool) {
    if let Some(code) = pdu::exception(query, pdu) {
        return (pdu::word_of(code).map_or_else(Outcome::Silent, Outcome::Answered), true);
    }
    match pdu::answer(query, pdu) {
        Ok(answer) => (Outcome::Answered(answer), true),
        Err(fault) => (Outcome::Silent(fault), false),
    }
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
            return Outcome::Silent(DeviceFault::Unreachable("not connected".to_owned()));
        };
        match timeout(ask.timeout, connection.exchange(&ask)).await {
            Err(_) => Outcome::Silent(DeviceFault::Timeout(ask.timeout)),
            Ok(Err(fault)) => Outcome::Silent(fault),
            Ok(Ok((outcome, clean))) => {
                self.connection = Some(connection).filter(|_| clean);
                outcome
            }
        }
    }

    fn is_up(&mut self) -> bool {
        self.connection.take_if(|connection| !connection.is_quiet());
        self.connection.is_some()
    }
}
