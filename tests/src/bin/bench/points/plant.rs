//! Very many simple Modbus TCP devices in a process of their own, which note when they are asked.
//!
//! Deliberately less than the bundled simulator: what they cost is taken from the same two cores.

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use usp_tests::process::Process;

use crate::table::percentile;
use crate::world::program;

/// Set for the process that plays: devices, and microseconds that each takes for an answer.
const ROLE: &str = "USP_BENCH_PLANT";

/// How far an interval may be from a second.
const TOLERANCE: f64 = 50.0;

/// The running devices.
pub(super) struct Plant {
    process: Process,
    /// One a device.
    pub(super) ports: Vec<u16>,
}

/// When blocks were read.
pub(super) struct Told {
    /// From one read of a block to the next.
    pub(super) intervals: u64,
    /// Percent of those within [`TOLERANCE`] of a second.
    pub(super) within: f64,
    /// Milliseconds that 99 % are from a second at most.
    pub(super) p99: f64,
    /// Blocks that were read at all, and when the last of them was read first.
    pub(super) blocks: u64,
    pub(super) complete: Option<SystemTime>,
    /// Connections that were made since the start.
    pub(super) connections: u64,
}

impl Plant {
    pub(super) fn start(devices: usize, delay: Duration) -> Self {
        let role = format!("{devices} {}", delay.as_micros());
        let process = Process::start(Command::new(program()).env(ROLE, role).stdin(Stdio::piped()));
        let ports = process.line().split(' ').map(|port| port.parse().unwrap()).collect();
        Self { process, ports }
    }

    /// Forgets what was read so far.
    pub(super) fn forget(&mut self) {
        self.process.stdin().write_all(b"forget\n").unwrap();
        self.process.line();
    }

    /// What was read since then.
    pub(super) fn tell(&mut self) -> Told {
        self.process.stdin().write_all(b"tell\n").unwrap();
        let told: Value = serde_json::from_str(&self.process.line()).unwrap();
        let complete = told["complete_us"].as_u64();
        Told {
            intervals: told["intervals"].as_u64().unwrap(),
            within: told["within"].as_f64().unwrap(),
            p99: told["p99"].as_f64().unwrap(),
            blocks: told["blocks"].as_u64().unwrap(),
            complete: complete.map(|us| UNIX_EPOCH + Duration::from_micros(us)),
            connections: told["connections"].as_u64().unwrap(),
        }
    }
}

/// Plays, if this process is to.
pub(super) fn play() -> Option<ExitCode> {
    let role = std::env::var(ROLE).ok()?;
    let (devices, delay) = role.split_once(' ').unwrap();
    let delay = Duration::from_micros(delay.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(serve(devices.parse().unwrap(), delay));
    Some(ExitCode::SUCCESS)
}

#[derive(Default)]
struct Book {
    /// By device and address.
    last: HashMap<(usize, u16), Instant>,
    off: Vec<f64>,
    complete: Option<SystemTime>,
    connections: u64,
}

impl Book {
    fn note(&mut self, device: usize, address: u16) {
        let now = Instant::now();
        match self.last.insert((device, address), now) {
            Some(then) => self.off.push((now.duration_since(then).as_secs_f64() - 1.0).abs() * 1e3),
            None => self.complete = Some(SystemTime::now()),
        }
    }

    fn tell(&self) -> Value {
        let within = self.off.iter().filter(|off| **off <= TOLERANCE).count();
        let all = self.off.len().max(1);
        json!({
            "intervals": self.off.len(),
            "within": within as f64 * 100.0 / all as f64,
            "p99": if self.off.is_empty() { 0.0 } else { percentile(self.off.iter().copied(), 99) },
            "blocks": self.last.len(),
            "connections": self.connections,
            "complete_us": self.complete.map(|at| at.duration_since(UNIX_EPOCH).unwrap().as_micros() as u64),
        })
    }
}

async fn serve(devices: usize, delay: Duration) {
    let book = Arc::new(Mutex::new(Book::default()));
    let mut ports = Vec::new();
    for device in 0..devices {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        ports.push(listener.local_addr().unwrap().port().to_string());
        let book = Arc::clone(&book);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                book.lock().unwrap().connections += 1;
                tokio::spawn(answer(stream, device, Arc::clone(&book), delay));
            }
        });
    }
    say(&ports.join(" "));
    let (orders, mut heard) = tokio::sync::mpsc::channel(1);
    std::thread::spawn(move || {
        std::io::stdin().lock().lines().map_while(Result::ok).all(|line| orders.blocking_send(line).is_ok())
    });
    while let Some(order) = heard.recv().await {
        let mut book = book.lock().unwrap();
        match order.as_str() {
            "forget" => {
                *book = Book { connections: book.connections, ..Book::default() };
                say("forgotten");
            }
            _ => say(&book.tell().to_string()),
        }
    }
}

fn say(line: &str) {
    std::io::stdout().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Functions 3, 6 and 16 of the Modbus Application Protocol V1.1b3, framed as its messaging guide for TCP has it.
async fn answer(mut stream: TcpStream, device: usize, book: Arc<Mutex<Book>>, delay: Duration) {
    stream.set_nodelay(true).unwrap();
    let (mut written, mut reads) = (HashMap::new(), 0u16);
    let mut head = [0; 7];
    while stream.read_exact(&mut head).await.is_ok() {
        let length = usize::from(u16::from_be_bytes([head[4], head[5]])).saturating_sub(1);
        let mut asked = vec![0; length];
        if stream.read_exact(&mut asked).await.is_err() || length < 5 {
            return;
        }
        let word = |at: usize| u16::from_be_bytes([asked[at], asked[at + 1]]);
        let (address, second) = (word(1), word(3));
        let reply = match asked[0] {
            3 => {
                book.lock().unwrap().note(device, address);
                reads = reads.wrapping_add(1);
                let value = |at: u16| written.get(&at).copied().unwrap_or_else(|| at.wrapping_add(reads));
                let words = (0..second).flat_map(|at| value(address.wrapping_add(at)).to_be_bytes());
                [3, (second * 2) as u8].into_iter().chain(words).collect()
            }
            6 => {
                written.insert(address, second);
                asked.clone()
            }
            16 => {
                written.insert(address, word(6));
                asked[..5].to_vec()
            }
            other => vec![other | 0x80, 1],
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        head[4..6].copy_from_slice(&(reply.len() as u16 + 1).to_be_bytes());
        if stream.write_all(&[&head[..], &reply].concat()).await.is_err() {
            return;
        }
    }
}
