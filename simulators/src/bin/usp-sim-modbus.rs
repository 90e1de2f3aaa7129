//! A simulated Modbus device, made from a mapping file: over TCP, or on a serial line of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use usp_mapping::diagnostic::{Severity, SourceFile};
use usp_mapping::draft::MappingDraft;
use usp_simulators::console::{Typed, log_to_stderr, say, stop_signal};
use usp_simulators::mischief::{Fault, Order};
use usp_simulators::modbus::{LineSettings, ModbusDevice, ModbusHandle, ModbusLine, ModbusServer, Seen};
use usp_simulators::value::SimValue;

/// Simulates the Modbus device that a mapping file describes, over TCP or, with --serial, on a pseudo-terminal.
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
    /// Be slaves on a serial line, with its timing, instead of listening; `ready` names its device file
    #[arg(long, conflicts_with = "listen")]
    serial: bool,
    /// Bits a second of the serial line
    #[arg(long, default_value_t = 9600, requires = "serial")]
    baud: u32,
    /// Parity of its characters, as in the site file: it counts for their length alone
    #[arg(long, value_enum, default_value_t = Parity::None, requires = "serial")]
    parity: Parity,
    /// How long a slave thinks, in milliseconds
    #[arg(long, default_value_t = 10, value_name = "MS", requires = "serial")]
    delay: u64,
    /// A request that comes before t3.5 of silence is not heard
    #[arg(long, requires = "serial")]
    strict: bool,
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

/// `parity` of a serial line.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Parity {
    None,
    Even,
    Odd,
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
    let server = Served::start(&args, units).await?;
    for pair in &args.set {
        set(&server, pair)?;
    }
    args.fault.iter().for_each(|fault| server.fault(fault.clone()));
    let numbers: Vec<String> = server.units().iter().map(|unit| unit.unit().to_string()).collect();
    say(&format!("ready address={} units={}", server.address(), numbers.join(",")))?;
    obey(&server).await?;
    if let Served::Tcp(server) = server {
        server.stop().await;
    }
    Ok(())
}

/// Where the units are.
enum Served {
    Tcp(ModbusServer),
    Line(ModbusLine),
}

impl Served {
    async fn start(args: &Args, units: Vec<(u8, ModbusDevice)>) -> anyhow::Result<Self> {
        if args.serial {
            let settings = LineSettings {
                baud: args.baud,
                bits_per_character: if args.parity == Parity::None { 10 } else { 11 },
                delay: Duration::from_millis(args.delay),
                strict: args.strict,
            };
            let line = ModbusLine::open(settings, units, args.still);
            return Ok(Self::Line(line.context("no pseudo-terminal can be had")?));
        }
        let bound = if args.still {
            ModbusServer::bind_still(args.listen, units).await
        } else {
            ModbusServer::bind(args.listen, units).await
        };
        Ok(Self::Tcp(bound.with_context(|| format!("cannot listen on {}", args.listen))?))
    }

    fn address(&self) -> String {
        match self {
            Self::Tcp(server) => server.local_addr().to_string(),
            Self::Line(line) => line.path().display().to_string(),
        }
    }

    fn units(&self) -> Vec<ModbusHandle> {
        match self {
            Self::Tcp(server) => server.units(),
            Self::Line(line) => line.units(),
        }
    }

    fn log(&self) -> Vec<Seen> {
        match self {
            Self::Tcp(server) => server.log(),
            Self::Line(line) => line.log(),
        }
    }

    fn fault(&self, order: Order<Fault>) {
        match self {
            Self::Tcp(server) => server.fault(order),
            Self::Line(line) => line.fault(&order),
        }
    }

    fn clear_faults(&self) {
        match self {
            Self::Tcp(server) => server.clear_faults(),
            Self::Line(line) => line.clear_faults(),
        }
    }
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
async fn obey(server: &Served) -> anyhow::Result<()> {
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

fn command(server: &Served, line: &str) -> anyhow::Result<String> {
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

fn set(server: &Served, pair: &str) -> anyhow::Result<()> {
    let (capability, value) =
        pair.split_once('=').with_context(|| format!("{pair:?} is not CAPABILITY=VALUE"))?;
    let capability = capability.trim();
    Ok(unit_with(server, capability)?.set(capability, SimValue::typed(value.trim()))?)
}

/// The first unit that has a capability; without any, the first unit, whose refusal then tells what there is.
fn unit_with(server: &Served, capability: &str) -> anyhow::Result<ModbusHandle> {
    let units = server.units();
    let found = units.iter().find(|unit| unit.get(capability).is_some());
    found.or(units.first()).cloned().context("there is no unit")
}

fn shown(server: &Served) -> String {
    let mut lines = Vec::new();
    for unit in server.units() {
        lines
            .extend(unit.values().into_iter().map(|(name, value)| format!("{} {name}={value}", unit.unit())));
    }
    lines.join("\n")
}
