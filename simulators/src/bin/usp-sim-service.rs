//! A simulated USP Service on UNIX domain sockets.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use usp_simulators::console::{Typed, log_to_stderr, say, stop_signal};
use usp_simulators::mischief::{Order, ServiceFault};
use usp_simulators::service::{Link, Service, ServiceConfig, ServiceHandle};

/// Simulates a USP Service: connects to a Broker, registers a small data model and answers for it.
///
/// While it runs, lines on standard input are obeyed: `set PATH=VALUE`, `event PATH [NAME=VALUE …]`, `fault NAME[=VALUE][*TIMES]`, `clear`, `disconnect`, `show [PATH]`, `help`.
#[derive(Parser)]
#[command(name = "usp-sim-service")]
struct Args {
    /// The Broker's broker_controller_path
    #[arg(long, default_value = "/var/run/usp/broker_controller_path", value_name = "PATH")]
    socket: PathBuf,
    /// The Broker's broker_agent_path, for a Service that has a Controller too
    #[arg(long, value_name = "PATH")]
    agent_socket: Option<PathBuf>,
    /// Endpoint ID of the Service
    #[arg(long, default_value = "proto::simulated-service", value_name = "ID")]
    endpoint_id: String,
    /// Where its data model stands
    #[arg(long, value_name = "PATH")]
    root: Option<String>,
    /// What it registers, instead of its root
    #[arg(long, value_name = "PATH")]
    register: Vec<String>,
    /// Seed of what moves by itself
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Nothing moves by itself: only what is set changes
    #[arg(long)]
    still: bool,
    /// Milliseconds that one step of a Command that takes time takes
    #[arg(long, default_value_t = 250, value_name = "MS")]
    step: u64,
    /// Longest pause before it connects again, in milliseconds
    #[arg(long, default_value_t = 5000, value_name = "MS")]
    reconnect: u64,
    /// Fault from the start, such as slow=200 or drop*2
    #[arg(long, value_name = "FAULT")]
    fault: Vec<Order<ServiceFault>>,
    /// Value from the start
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Log more
    #[arg(long, short)]
    verbose: bool,
}

/// What `help` answers.
const HELP: &str = "\
set PATH=VALUE              the Parameter's value from now on
event PATH [NAME=VALUE …]   send an Event
fault NAME[=VALUE][*TIMES]  go wrong, such as fault slow=200 or fault drop*2
clear                       end all faults
disconnect                  leave the Broker and connect again
show [PATH]                 the values below PATH
help                        this list";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    log_to_stderr(args.verbose);
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let service = Service::spawn(config(&args)?);
    for pair in &args.set {
        set(&service, pair)?;
    }
    args.fault.iter().for_each(|fault| service.fault(fault.clone()));
    let config = service.config();
    say(&format!("ready endpoint_id={} socket={}", config.endpoint_id, config.controller_socket.display()))?;
    obey(&service).await?;
    service.stop().await;
    Ok(())
}

fn config(args: &Args) -> anyhow::Result<ServiceConfig> {
    let mut config = ServiceConfig::new(&args.endpoint_id, &args.socket);
    if let Some(root) = &args.root {
        let good = root.starts_with("Device.") && root.ends_with('.') && !root.contains("..");
        if !good || root.contains(['{', '[', '*']) {
            bail!("root {root:?} is no object path; it starts with `Device.` and ends in a dot");
        }
        config.root.clone_from(root);
    }
    config.agent_socket.clone_from(&args.agent_socket);
    config.register.clone_from(&args.register);
    config.seed = args.seed;
    config.moves = !args.still;
    config.step = Duration::from_millis(args.step);
    let longest = Duration::from_millis(args.reconnect);
    config.reconnect = (longest.min(Duration::from_secs(1)), longest);
    Ok(config)
}

/// Obeys what is typed, and tells how the Service stands with its Broker, until a signal comes.
async fn obey(service: &ServiceHandle) -> anyhow::Result<()> {
    let mut typed = Typed::default();
    let mut stop = std::pin::pin!(stop_signal());
    let mut link = service.link();
    loop {
        tokio::select! {
            stopped = &mut stop => return Ok(stopped?),
            () = service.until(|now| *now != link) => {
                link = service.link();
                match &link {
                    Link::Down => say("disconnected")?,
                    Link::Connected => say("connected")?,
                    Link::Registered(paths) => say(&format!("registered {}", paths.join(" ")))?,
                    Link::Refused(reason) => say(&format!("refused {reason}"))?,
                }
            }
            line = typed.next() => match command(service, &line) {
                Ok(answer) => say(&answer)?,
                Err(error) => say(&format!("error: {error:#}"))?,
            },
        }
    }
}

fn command(service: &ServiceHandle, line: &str) -> anyhow::Result<String> {
    let (verb, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    match verb {
        "" => {}
        "set" => set(service, rest)?,
        "event" => event(service, rest)?,
        "fault" => service.fault(rest.parse::<Order<ServiceFault>>()?),
        "clear" => service.clear_faults(),
        "disconnect" => service.disconnect(),
        "show" => {
            let values = service.values();
            let wanted = values.iter().filter(|(path, _)| path.starts_with(rest));
            let lines: Vec<String> = wanted.map(|(path, value)| format!("{path}={value}")).collect();
            return Ok(lines.join("\n"));
        }
        "help" => return Ok(HELP.to_owned()),
        other => {
            bail!("unknown command {other:?}; known are: set, event, fault, clear, disconnect, show, help")
        }
    }
    Ok("ok".to_owned())
}

fn set(service: &ServiceHandle, pair: &str) -> anyhow::Result<()> {
    let (path, value) = pair.split_once('=').with_context(|| format!("{pair:?} is not PATH=VALUE"))?;
    Ok(service.set(path.trim(), value.trim())?)
}

fn event(service: &ServiceHandle, text: &str) -> anyhow::Result<()> {
    let mut words = text.split_whitespace();
    let path = words.next().context("event needs the path of an Event")?;
    let args = words.map(|word| word.split_once('=').with_context(|| format!("{word:?} is not NAME=VALUE")));
    let args: Vec<(&str, &str)> = args.collect::<anyhow::Result<_>>()?;
    Ok(service.emit(path, &args)?)
}
