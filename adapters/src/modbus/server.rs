//! A tiny Modbus TCP server for tests, which speaks the protocol by itself and misbehaves on demand.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) connection: usize,
    pub(crate) unit: u8,
    pub(crate) function: u8,
    pub(crate) address: u16,
    /// Number or value.
    pub(crate) second: u16,
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No answer.
    Silent,
    /// The connection is closed instead.
    HangUp,
    /// An exception.
    Exception(u8),
    /// The answer belongs to another transaction.
    WrongId,
    /// The answer comes twice.
    Twice,
    /// Something else comes.
    Garbage,
    /// One register too few.
    Short,
    /// Acknowledged, not done.
    Forgotten,
    /// Done, not acknowledged.
    Unacknowledged,
}

/// Registers and coils, the same for all units but for an offset of 1000 × unit in what registers hold.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) registers: BTreeMap<(u8, u16), u16>,
    pub(crate) coils: BTreeMap<(u8, u16), bool>,
    /// Addresses that do not exist.
    pub(crate) holes: BTreeSet<u16>,
    pub(crate) silent: BTreeSet<u8>,
    /// The longest read that is answered, and whether a longer one is met with silence.
    pub(crate) longest: Option<(u16, bool)>,
    /// Functions that do not exist.
    pub(crate) lacks: BTreeSet<u8>,
    /// Units that a gateway cannot reach, and the exception that says so.
    pub(crate) unreachable: BTreeMap<u8, u8>,
    /// For the next requests, one each.
    pub(crate) faults: VecDeque<Fault>,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) seen: mpsc::UnboundedReceiver<Seen>,
    world: Arc<Mutex<World>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into())
    }

    pub(crate) fn start_at(address: SocketAddr) -> Self {
        // A port that was just given up can be taken again at once.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address).unwrap();
        let listener = socket.listen(16).unwrap();
        let address = listener.local_addr().unwrap();
        let (see, seen) = mpsc::unbounded_channel();
        let world = Arc::<Mutex<World>>::default();
        let task = tokio::spawn(accept(listener, Arc::clone(&world), see));
        Self { address, seen, world, task }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// The next request.
    pub(crate) async fn next(&mut self) -> Seen {
        self.seen.recv().await.unwrap()
    }

    /// The requests up to now.
    pub(crate) fn requests(&mut self) -> Vec<Seen> {
        std::iter::from_fn(|| self.seen.try_recv().ok()).collect()
    }
}

async fn accept(listener: TcpListener, world: Arc<Mutex<World>>, see: mpsc::UnboundedSender<Seen>) {
    // Connections end with the server.
    let mut connections = tokio::task::JoinSet::new();
    for connection in 0.. {
        let Ok((stream, _)) = listener.accept().await else { return };
        let (world, see) = (Arc::clone(&world), see.clone());
        connections.spawn(async move { serve(stream, connection, &world, &see).await });
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    world: &Mutex<World>,
    see: &mpsc::UnboundedSender<Seen>,
) -> std::io::Result<()> {
    loop {
        let mut header = [0; 7];
        stream.read_exact(&mut header).await?;
        let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        let mut pdu = vec![0; length - 1];
        stream.read_exact(&mut pdu).await?;
        let (unit, word) = (header[6], |at: usize| u16::from_be_bytes([pdu[at], pdu[at + 1]]));
        let seen = Seen { connection, unit, function: pdu[0], address: word(1), second: word(3) };
        let (fault, answer) = world.lock().unwrap().answer(unit, &pdu);
        see.send(seen).ok();
        let mut id = [header[0], header[1]];
        match fault {
            Some(Fault::Silent | Fault::Unacknowledged) => continue,
            Some(Fault::HangUp) => return Ok(()),
            Some(Fault::WrongId) => id[0] ^= 0x40,
            _ => {}
        }
        let mut frame = [id[0], id[1], 0, 0, 0, answer.len() as u8 + 1, unit].to_vec();
        frame.extend(&answer);
        if fault == Some(Fault::Garbage) {
            frame = b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec();
        }
        if fault == Some(Fault::Twice) {
            frame = frame.repeat(2);
        }
        stream.write_all(&frame).await?;
    }
}

impl World {
    fn answer(&mut self, unit: u8, pdu: &[u8]) -> (Option<Fault>, Vec<u8>) {
        let fault = if self.silent.contains(&unit) { Some(Fault::Silent) } else { self.faults.pop_front() };
        let function = pdu[0];
        let words: Vec<_> = pdu[1..5].chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        let (address, second) = (words[0], words[1]);
        let count = if matches!(function, 5 | 6 | 22) { 1 } else { second };
        if let Some(code) = self.unreachable.get(&unit) {
            return (fault, vec![function | 0x80, *code]);
        }
        if self.lacks.contains(&function) {
            return (fault, vec![function | 0x80, 1]);
        }
        if let Some((_, silent)) = self.longest.filter(|(longest, _)| count > *longest) {
            return if silent {
                (Some(Fault::Silent), Vec::new())
            } else {
                (fault, vec![function | 0x80, 3])
            };
        }
        if let Some(Fault::Exception(code)) = fault {
            return (fault, vec![function | 0x80, code]);
        }
        if (address..address + count).any(|at| self.holes.contains(&at)) {
            return (fault, vec![function | 0x80, 2]);
        }
        let count = if fault == Some(Fault::Short) { count - 1 } else { count };
        let answer = match function {
            1 | 2 => self.bits(unit, address, count, function),
            3 | 4 => self.words(unit, address, count, function),
            22 => {
                self.write(unit, pdu, address, second);
                pdu[..7].to_vec()
            }
            23 => {
                if !matches!(fault, Some(Fault::Forgotten)) {
                    self.write(unit, pdu, u16::from_be_bytes([pdu[5], pdu[6]]), second);
                }
                self.words(unit, address, count, function)
            }
            _ => {
                if !matches!(fault, Some(Fault::Forgotten)) {
                    self.write(unit, pdu, address, second);
                }
                pdu[..5].to_vec()
            }
        };
        (fault, answer)
    }

    fn bits(&self, unit: u8, address: u16, count: u16, function: u8) -> Vec<u8> {
        let mut bytes = vec![0u8; usize::from(count.div_ceil(8))];
        for at in 0..count {
            let on = self.coils.get(&(unit, address + at)).copied().unwrap_or(false);
            bytes[usize::from(at / 8)] |= u8::from(on) << (at % 8);
        }
        [&[function, bytes.len() as u8], bytes.as_slice()].concat()
    }

    fn words(&self, unit: u8, address: u16, count: u16, function: u8) -> Vec<u8> {
        let word = |at| self.registers.get(&(unit, at)).copied().unwrap_or(1000 * u16::from(unit) + at);
        let bytes = (address..address + count).flat_map(|at| word(at).to_be_bytes());
        [function, count as u8 * 2].into_iter().chain(bytes).collect()
    }

    fn write(&mut self, unit: u8, pdu: &[u8], address: u16, second: u16) {
        match pdu[0] {
            5 => drop(self.coils.insert((unit, address), second == 0xff00)),
            6 => drop(self.registers.insert((unit, address), second)),
            22 => {
                let old = self.registers.get(&(unit, address)).copied().unwrap_or(0);
                let or = u16::from_be_bytes([pdu[5], pdu[6]]);
                self.registers.insert((unit, address), (old & second) | (or & !second));
            }
            23 => {
                for (at, pair) in (address..).zip(pdu[10..].chunks(2)) {
                    self.registers.insert((unit, at), u16::from_be_bytes([pair[0], pair[1]]));
                }
            }
            15 => drop(self.coils.insert((unit, address), pdu[6] & 1 == 1)),
            _ => {
                for (at, pair) in (address..).zip(pdu[6..].chunks(2)) {
                    self.registers.insert((unit, at), u16::from_be_bytes([pair[0], pair[1]]));
                }
            }
        }
    }
}
