//! Figures of the broker, measured against something of the same make; printed, never asserted.
//!
//! `cargo run --release -p usp-tests --bin bench -- all`

#![expect(clippy::unwrap_used, clippy::panic, reason = "a figure that cannot be measured is a failure")]

mod changes;
mod echo;
mod get;
mod hostile;
mod large;
mod load;
mod many;
mod memory;
mod model;
mod peer;
mod points;
mod relay;
mod serial;
mod service;
mod soak;
mod stall;
mod table;
mod world;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use usp_tests::role;

/// Measures the broker. Everything runs on loopback, in temporary folders.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Args {
    /// What to measure
    #[arg(value_enum, default_value = "all")]
    what: What,
    /// Interleaved rounds, of which the median is shown
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Gets over each transport after which memory is looked at last, and requests of the long run
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    gets: u64,
    /// Minutes of `hostile` and `soak`
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// Seconds of each part of a round of `stall`
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Of `get`, only the cases with this in their transport or Parameter: `UDS`, `a Service's`
    #[arg(long, default_value = "")]
    only: String,
    /// The broker to measure, as an executable: a build as it is shipped; without it, the broker inside this program
    #[arg(long)]
    broker: Option<std::path::PathBuf>,
    /// Of `get`, also what a relay reaches that passes on the bytes between the Controller and the Service unread
    #[arg(long)]
    relay: bool,
    /// Another Agent to measure beside the broker, as uds:AGENT_PATH,CONTROLLER_PATH
    #[arg(long, value_parser = peer::Peer::parse)]
    peer: Option<peer::Peer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Get of one Parameter against an echo server of the same make
    Get,
    /// Get of 20,000 Parameters of a Service
    Large,
    /// Changes at a Service, 1,000 a second, until a Controller hears of them
    Changes,
    /// 200 Services and 200 Controllers, one Service of 20 behind a Get stopped
    Many,
    /// Very many requests while Services are slow, killed and started again
    Million,
    /// Start of the process, and memory after very many Gets
    Memory,
    /// Gets on other paths while a Service is stopped and a device silent
    Stall,
    /// Bad peers on every transport, and a good Controller among them
    Hostile,
    /// Reads on a simulated serial line against an ideal master and the forecast; a silent slave; writes between polls
    Serial,
    /// 10,000 and 100,000 points of field devices each second, writes meanwhile, and the first read after a start
    Points,
    /// 300 devices on MQTT, CoAP and Modbus that say something every three seconds: what comes of each word
    Soak,
    /// All of it
    All,
}

fn main() -> ExitCode {
    if let Some(place) = echo::wanted() {
        return echo::serve(&place);
    }
    if let Some(code) = service::play() {
        return code;
    }
    if let Some(code) = relay::play() {
        return code;
    }
    if let Some(code) = points::play() {
        return code;
    }
    if let Some(code) = role::play() {
        return code;
    }
    let args = Args::parse();
    if let Some(broker) = &args.broker {
        // It runs in folders of its own.
        world::measure_program(&broker.canonicalize().unwrap());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let wants = |what| args.what == what || args.what == What::All;
        if cfg!(debug_assertions) {
            table::line("This is a debug build: the figures say little. Build with --release.");
        }
        if wants(What::Get) {
            get::measure(&args).await;
        }
        if wants(What::Large) {
            large::measure(args.rounds, args.peer.as_ref()).await;
        }
        if wants(What::Changes) {
            changes::measure(args.rounds, args.seconds).await;
        }
        if wants(What::Many) {
            many::measure(args.rounds, args.seconds).await;
        }
        if wants(What::Million) {
            many::long_run(args.gets).await;
        }
        if wants(What::Memory) {
            memory::start(args.rounds);
            memory::measure(args.gets).await;
        }
        if wants(What::Hostile) {
            hostile::measure(args.minutes).await;
        }
        if wants(What::Serial) {
            serial::measure().await;
        }
        if wants(What::Points) {
            points::measure(args.rounds, args.seconds).await;
        }
        if wants(What::Soak) {
            soak::measure(args.minutes).await;
        }
        if wants(What::Stall) {
            stall::measure(args.rounds, args.seconds).await;
        }
    });
    ExitCode::SUCCESS
}
