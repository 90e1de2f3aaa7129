//! Questions over Modbus TCP (MODBUS Messaging on TCP/IP Implementation Guide V1.0b, section 3.1.3).

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use usp_mapping::mapping::BusAddress;

use super::{Lost, Reply};
use crate::modbus::io_words;

/// Longest frame.
const MAX_FRAME: usize = 260;

/// Transaction, unit and PDU.
type Frame = (u16, u8, Vec<u8>);

/// A connection, made anew when the other side closes it.
#[derive(Debug)]
pub(super) struct TcpLink {
    address: BusAddress,
    stream: Option<TcpStream>,
    within: Duration,
    transaction: u16,
    buffer: Vec<u8>,
}

impl TcpLink {
    pub(super) async fn open(address: BusAddress, within: Duration) -> Result<Self, Lost> {
        let stream = connect(&address, within).await?;
        Ok(Self { address, stream: Some(stream), within, transaction: 0, buffer: Vec::new() })
    }

    pub(super) async fn ask(
        &mut self,
        unit: u8,
        pdu: &[u8],
        within: Duration,
        late: &mut Vec<u8>,
    ) -> Result<Reply, Lost> {
        self.transaction = self.transaction.wrapping_add(1);
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                self.buffer.clear();
                connect(&self.address, self.within).await?
            }
        };
        let length = u16::try_from(pdu.len() + 1).unwrap_or(u16::MAX);
        let mut frame = Vec::with_capacity(pdu.len() + 7);
        for word in [self.transaction, 0, length] {
            frame.extend(word.to_be_bytes());
        }
        frame.push(unit);
        frame.extend(pdu);
        let asked = pdu.first().copied().unwrap_or_default();
        let reply = match stream.write_all(&frame).await {
            Ok(()) => self.receive(&mut stream, (unit, asked), Instant::now() + within, late).await,
            Err(_) => None,
        };
        // One that was closed is made anew for the next question: some devices close after what they do not know.
        match reply {
            Some(Reply::Noise) | None => Ok(reply.unwrap_or(Reply::Silence)),
            Some(reply) => {
                self.stream = Some(stream);
                Ok(reply)
            }
        }
    }

    /// `None`: the connection is closed.
    async fn receive(
        &mut self,
        stream: &mut TcpStream,
        (unit, asked): (u8, u8),
        until: Instant,
        late: &mut Vec<u8>,
    ) -> Option<Reply> {
        loop {
            while let Some(taken) = self.take() {
                match taken {
                    Ok((transaction, from, pdu)) => {
                        if transaction == self.transaction && from == unit {
                            return Some(Reply::of(asked, &pdu));
                        }
                        late.extend(
                            Some(from)
                                .filter(|_| pdu.first().is_some_and(|function| function & 0x7f == asked)),
                        );
                    }
                    Err(()) => return Some(Reply::Noise),
                }
            }
            let mut chunk = [0; MAX_FRAME];
            match timeout_at(until, stream.read(&mut chunk)).await {
                Err(_) => return Some(Reply::Silence),
                Ok(Ok(0) | Err(_)) => return None,
                Ok(Ok(count)) => self.buffer.extend(chunk.iter().take(count)),
            }
        }
    }

    /// The next whole frame: transaction, unit, PDU. `Err`: this is no Modbus TCP.
    fn take(&mut self) -> Option<Result<Frame, ()>> {
        let [t1, t2, p1, p2, l1, l2, unit, ..] = *self.buffer.as_slice() else { return None };
        let length = usize::from(u16::from_be_bytes([l1, l2]));
        if [p1, p2] != [0, 0] || !(2..=254).contains(&length) {
            self.buffer.clear();
            return Some(Err(()));
        }
        let pdu = self.buffer.get(7..6 + length)?.to_vec();
        self.buffer.drain(..6 + length);
        Some(Ok((u16::from_be_bytes([t1, t2]), unit, pdu)))
    }
}

async fn connect(address: &BusAddress, within: Duration) -> Result<TcpStream, Lost> {
    let connected = async {
        match address {
            BusAddress::Socket(address) => TcpStream::connect(address).await,
            BusAddress::Host(host, port) => TcpStream::connect((host.as_str(), *port)).await,
        }
    };
    let words = match timeout(within, connected).await {
        Ok(Ok(stream)) => {
            stream.set_nodelay(true).ok();
            return Ok(stream);
        }
        Ok(Err(error)) => io_words(&error),
        Err(_) => "no answer".to_owned(),
    };
    Err(Lost(format!("cannot connect to {address}: {words}")))
}
