//! A simulated Zigbee coordinator with devices behind it: on a pseudo-terminal, or over TCP.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use usp_simulators::console::{Typed, log_to_stderr, say, stop_signal};
use usp_simulators::mischief::{Order, ZigbeeFault};
use usp_simulators::zigbee::command::Command;
use usp_simulators::zigbee::{Coordinator, Ieee, Kind, Model, Node, Place, Plan, Presence};

/// Simulates a Zigbee coordinator with devices behind it, on a pseudo-terminal or, with --listen, over TCP.
///
/// Kinds of devices: plug, light, climate, occupancy, contact, thermostat, lock, cover, button, siren.
/// While it runs, lines on standard input are obeyed; `help` lists them.
#[derive(Parser)]
#[command(name = "usp-sim-zigbee")]
struct Args {
    /// What the coordinator speaks
    #[arg(long, value_enum, default_value_t = Speaks::Ezsp)]
    kind: Speaks,
    /// Version of EZSP
    #[arg(long, default_value_t = 13, value_parser = clap::value_parser!(u8).range(8..=13))]
    ezsp_version: u8,
    /// Name that leads to the pseudo-terminal, as /dev/serial/by-id has them
    #[arg(long, value_name = "PATH")]
    link: Option<PathBuf>,
    /// Listen instead of being on a pseudo-terminal; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "link")]
    listen: Option<SocketAddr>,
    /// Address of the coordinator
    #[arg(long, default_value = "0x00e0540000000001")]
    ieee: Ieee,
    /// Device that joins when it is let in; NAME= may stand before its kind
    #[arg(long, value_name = "[NAME=]KIND")]
    waiting: Vec<String>,
    /// Device that is in the network from the start
    #[arg(long, value_name = "[NAME=]KIND")]
    member: Vec<String>,
    /// How often sleepy devices poll, in milliseconds
    #[arg(long, value_name = "MS")]
    poll: Option<u64>,
    /// Time stands still: only what is set changes
    #[arg(long)]
    still: bool,
    /// Fault of the coordinator from the start, such as lossy=10
    #[arg(long, value_name = "FAULT")]
    fault: Vec<Order<ZigbeeFault>>,
    /// Log more
    #[arg(long, short)]
    verbose: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Speaks {
    /// Silicon Labs: EZSP over ASH
    Ezsp,
    /// Texas Instruments: ZNP
    Znp,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    log_to_stderr(args.verbose);
    match run(&args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run(args: &Args) -> anyhow::Result<()> {
    let model = match args.kind {
        Speaks::Ezsp => Model::Ezsp(args.ezsp_version),
        Speaks::Znp => Model::Znp,
    };
    let place = args.listen.map_or_else(|| Place::Terminal(args.link.clone()), Place::Tcp);
    let mut plan = Plan { ieee: args.ieee, ..Plan::new(model, place) };
    let of = |list: &[String], presence| list.iter().map(move |text| (text.clone(), presence)).collect();
    let all: [Vec<(String, Presence)>; 2] =
        [of(&args.member, Presence::Member), of(&args.waiting, Presence::Waiting)];
    for (number, (text, presence)) in (1..).zip(all.into_iter().flatten()) {
        plan = plan.with(device(args, &text, number)?, presence);
    }
    let coordinator = Coordinator::start(plan).context("the coordinator cannot start")?;
    for fault in &args.fault {
        coordinator.fault(fault.clone()).map_err(anyhow::Error::msg)?;
    }
    say(&format!("ready address={}", coordinator.place()))?;
    obey(&coordinator).await
}

fn device(args: &Args, text: &str, number: u64) -> anyhow::Result<Node> {
    let (name, kind) = text.split_once('=').unwrap_or((text, text));
    let mut node = Node::new(kind.parse::<Kind>()?, Ieee(0x00e0_5400_0001_0000 + number)).named(name);
    if args.still {
        node = node.still();
    }
    if let Some(poll) = args.poll {
        node = node.polling(Duration::from_millis(poll));
    }
    Ok(node)
}

/// Obeys what is typed until a signal comes, or `quit`.
async fn obey(coordinator: &Coordinator) -> anyhow::Result<()> {
    let mut typed = Typed::default();
    let mut stop = std::pin::pin!(stop_signal());
    loop {
        tokio::select! {
            stopped = &mut stop => return Ok(stopped?),
            line = typed.next() => match line.parse() {
                Ok(Command::Quit) => return Ok(()),
                Ok(Command::Nothing) => {}
                Ok(command) => {
                    say(&coordinator.obey(&command).unwrap_or_else(|error| format!("error: {error}")))?;
                }
                Err(error) => say(&format!("error: {error}"))?,
            },
        }
    }
}
