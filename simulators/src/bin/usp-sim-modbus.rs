//! A simulated Modbus TCP device, made from a mapping file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Parser;
use usp_mapping::diagnostic::{Severity, SourceFile};
use usp_mapping::draft::MappingDraft;
use usp_simulators::console::{Typed, log_to_stderr, say, stop_signal};
use usp_simulators::mischief::{Fault, Order};
use usp_simulators::modbus::{ModbusDevice, ModbusHandle, ModbusServer};
use usp_simulators::value::SimValue;

/// Simulates the Modbus TCP device that a mapping file describes.
///
/// While it runs, lines on standard input are obeyed: `set CAPABILITY=VALUE`, `release CAPABILITY`, `fault NAME[=VALUE][*TIMES]`, `clear`, `show`, `log`, `help`.
#[derive(Parser)]
#[command(name = "usp-sim-modbus")]
struct Args {
    /// Mapping file; more than one are several units, numbered from --unit on
    #[arg(long, required = true, value_name = "FILE")]
    mapping: Vec<PathBuf>,
    /// Where to listen; port 0 takes any free one
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Unit identifier of the first device
    #[arg(long, default_value_t = 1)]
    unit: u8,
    /// Seed of the simulated world: the same seed, the same values
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Time stands still: only what is set changes
    #[arg(long)]
    still: bool,
    /// Functions that the device does not know
    #[arg(long, value_name = "CODE")]
    no_function: Vec<u8>,
    /// Fault from the start, such as slow=200 or exception=4*2
    #[arg(long, value_name = "FAULT")]
    fault: Vec<Order<Fault>>,
    /// Value from the start
    #[arg(long, value_name = "CAPABILITY=VALUE")]
    set: Vec<String>,
    /// Log more
    #[arg(long, short)]
    verbose: bool,
}

/// What `help` answers.
const HELP: &str = "\
set CAPABILITY=VALUE        hold this value
release CAPABILITY          let it move by itself again
fault NAME[=VALUE][*TIMES]  go wrong, such as fault slow=200 or fault exception=4*2
clear                       end all faults
show                        every unit's values
log                         the requests that came
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
    let mut units = Vec::new();
    for (number, file) in (args.unit..=u8::MAX).zip(&args.mapping) {
        let device = device(file, args.seed.wrapping_add(u64::from(number)))?;
        units.push((
            number,
            args.no_function.iter().fold(device, |device, code| device.without_function(*code)),
        ));
    }
    if units.len() < args.mapping.len() {
        bail!("there are no unit identifiers beyond 255");
    }
    let bound = if args.still {
        ModbusServer::bind_still(args.listen, units).await
    } else {
        ModbusServer::bind(args.listen, units).await
    };
    let server = bound.with_context(|| format!("cannot listen on {}", args.listen))?;
    for pair in &args.set {
        set(&server, pair)?;
    }
    args.fault.iter().for_each(|fault| server.fault(fault.clone()));
    let numbers: Vec<String> = server.units().iter().map(|unit| unit.unit().to_string()).collect();
    say(&format!("ready address={} units={}", server.local_addr(), numbers.join(",")))?;
    obey(&server).await?;
    server.stop().await;
    Ok(())
}

fn device(file: &PathBuf, seed: u64) -> anyhow::Result<ModbusDevice> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
    let (draft, diagnostics) = MappingDraft::parse(&SourceFile::new(&name, &text));
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    if errors > 0 {
        bail!("{name} has {errors} errors; `usp-broker mapping check {name}` shows them");
    }
    let draft = draft.with_context(|| format!("{name} is no mapping file"))?;
    ModbusDevice::from_draft(&draft, seed).with_context(|| name)
}

/// Obeys what is typed until a signal comes.
async fn obey(server: &ModbusServer) -> anyhow::Result<()> {
    let mut typed = Typed::default();
    let mut stop = std::pin::pin!(stop_signal());
    loop {
        tokio::select! {
            stopped = &mut stop => return Ok(stopped?),
            line = typed.next() => match command(server, &line) {
                Ok(answer) => say(&answer)?,
                Err(error) => say(&format!("error: {error:#}"))?,
            },
        }
    }
}

fn command(server: &ModbusServer, line: &str) -> anyhow::Result<String> {
    let (verb, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    match verb {
        "" => {}
        "set" => set(server, rest)?,
        "release" => unit_with(server, rest)?.release(rest)?,
        "fault" => server.fault(rest.parse::<Order<Fault>>()?),
        "clear" => server.clear_faults(),
        "show" => return Ok(shown(server)),
        "log" => {
            let lines: Vec<String> = server.log().iter().map(|seen| format!("{seen:?}")).collect();
            return Ok(lines.join("\n"));
        }
        "help" => return Ok(HELP.to_owned()),
        other => bail!("unknown command {other:?}; known are: set, release, fault, clear, show, log, help"),
    }
    Ok("ok".to_owned())
}

fn set(server: &ModbusServer, pair: &str) -> anyhow::Result<()> {
    let (capability, value) =
        pair.split_once('=').with_context(|| format!("{pair:?} is not CAPABILITY=VALUE"))?;
    let capability = capability.trim();
    Ok(unit_with(server, capability)?.set(capability, SimValue::typed(value.trim()))?)
}

/// The first unit that has a capability; without any, the first unit, whose refusal then tells what there is.
fn unit_with(server: &ModbusServer, capability: &str) -> anyhow::Result<ModbusHandle> {
    let units = server.units();
    let found = units.iter().find(|unit| unit.get(capability).is_some());
    found.or(units.first()).cloned().context("there is no unit")
}

fn shown(server: &ModbusServer) -> String {
    let mut lines = Vec::new();
    for unit in server.units() {
        lines
            .extend(unit.values().into_iter().map(|(name, value)| format!("{} {name}={value}", unit.unit())));
    }
    lines.join("\n")
}
