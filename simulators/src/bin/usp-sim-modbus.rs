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
use usp_simulators::modbus::plant::{BusPlan, Medium};
use usp_simulators::modbus::{Command, LineSettings, ModbusDevice, Plant, PlantBus};

/// Simulates the Modbus device that a mapping file describes, over TCP or, with --serial, on a pseudo-terminal.
///
/// While it runs, lines on standard input are obeyed; `help` lists them.
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
    let mut devices = Vec::new();
    for (number, file) in (args.unit..=u8::MAX).zip(&args.mapping) {
        let device = device(file, args.seed.wrapping_add(u64::from(number)))?;
        let device = args.no_function.iter().fold(device, |device, code| device.without_function(*code));
        devices.push((format!("unit{number}"), number, device));
    }
    if devices.len() < args.mapping.len() {
        bail!("there are no unit identifiers beyond 255");
    }
    let plan = BusPlan { name: "bus".to_owned(), medium: medium(&args), devices };
    let plant = Plant::start(vec![plan], args.still).await?;
    for pair in &args.set {
        plant.obey(&format!("set {pair}").parse()?)?;
    }
    args.fault.iter().for_each(|fault| plant.fault(fault));
    let numbers: Vec<String> = plant.devices().iter().map(|device| device.unit.unit().to_string()).collect();
    let address: Vec<String> = plant.buses().iter().map(PlantBus::address).collect();
    say(&format!("ready address={} units={}", address.join(","), numbers.join(",")))?;
    obey(&plant).await?;
    plant.stop().await;
    Ok(())
}

fn medium(args: &Args) -> Medium {
    if !args.serial {
        return Medium::Tcp(args.listen);
    }
    Medium::Line(LineSettings {
        baud: args.baud,
        bits_per_character: if args.parity == Parity::None { 10 } else { 11 },
        delay: Duration::from_millis(args.delay),
        strict: args.strict,
    })
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

/// Obeys what is typed until a signal comes, or `quit`.
async fn obey(plant: &Plant) -> anyhow::Result<()> {
    let mut typed = Typed::default();
    let mut stop = std::pin::pin!(stop_signal());
    loop {
        tokio::select! {
            stopped = &mut stop => return Ok(stopped?),
            line = typed.next() => match line.parse() {
                Ok(Command::Quit) => return Ok(()),
                Ok(Command::Nothing) => {}
                Ok(command) => say(&plant.obey(&command).unwrap_or_else(|error| format!("error: {error}")))?,
                Err(error) => say(&format!("error: {error}"))?,
            },
        }
    }
}
