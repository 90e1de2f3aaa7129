//! `usp-broker scan`: which devices are there, before anybody has described them.

#[cfg(feature = "ble")]
mod ble;
#[cfg(feature = "coap")]
mod coap;
#[cfg(feature = "zigbee")]
mod in_use;
mod look;
mod models;
#[cfg(feature = "mqtt-devices")]
mod mqtt;
mod progress;
mod range;
mod report;
mod source;
mod target;
#[cfg(feature = "zigbee")]
mod zigbee;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use usp_adapters::scan::Way;
use usp_mapping::mapping::{Parity, SerialLine};

use self::progress::Progress;
use self::range::{Registers, hosts, registers, time, units};
use super::interrupt::Interrupt;
use super::{Failure, print_line};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Modbus(Modbus),
    #[cfg(feature = "mqtt-devices")]
    Mqtt(mqtt::Mqtt),
    #[cfg(feature = "coap")]
    Coap(coap::Coap),
    #[cfg(feature = "zigbee")]
    Zigbee(zigbee::Zigbee),
    #[cfg(feature = "ble")]
    Ble(ble::Ble),
}

/// Look for Modbus units on a serial line or at network addresses; nothing is ever written to a device
///
/// Any answer counts, a refusal too. Units are asked for their identification (function 43/14) and compared with the
/// fingerprints of the mappings; the site file that follows is printed or, with -o, written.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("where").required(true).args(["tcp", "rtu_over_tcp", "serial"]))]
pub(crate) struct Modbus {
    /// Host, or hosts at most 1024: 192.168.1.20, plc.lan:1502, 192.168.1.10-40, 192.168.1.0/24; the port is 502 unless it is given
    #[arg(long, value_name = "HOST[:PORT][/RANGE]")]
    tcp: Option<String>,
    /// The same for devices behind transparent serial device servers: RTU frames over TCP
    #[arg(long, value_name = "HOST:PORT")]
    rtu_over_tcp: Option<String>,
    /// Serial port, such as /dev/serial/by-id/…
    #[arg(long, value_name = "PORT")]
    serial: Option<String>,
    /// Bits a second of the serial line
    #[arg(long, default_value_t = 9600, requires = "serial")]
    baud: u32,
    /// Parity of the serial line
    #[arg(long, value_enum, default_value_t = ParityArg::Even, requires = "serial")]
    parity: ParityArg,
    /// Stop bits of the serial line
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2), requires = "serial")]
    stop_bits: u8,
    /// Try the usual speeds and parities until somebody answers
    #[arg(long, requires = "serial", conflicts_with_all = ["baud", "parity"])]
    try_bauds: bool,
    /// Units to ask: 1-247, or a list such as 1,3,10-20
    #[arg(long, default_value = "1-247", value_name = "UNITS", value_parser = |text: &str| units(text).map(Units))]
    units: Units,
    /// How long a unit may take to answer
    #[arg(long, default_value = "300ms", value_name = "TIME", value_parser = time)]
    timeout: Duration,
    /// Read these of every unit found and tell what answers: holding:0-99, or several with commas
    #[arg(long, value_name = "TABLE:FROM-TO", value_parser = |text: &str| registers(text).map(Wanted))]
    registers: Option<Wanted>,
    /// Folders with mapping files, searched before the library inside the program
    #[arg(long = "mappings", value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// Write the site file here
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write over files that are there
    #[arg(long)]
    force: bool,
    /// Write everything that was found here, as JSON
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// What was found, as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Debug)]
struct Units(Vec<u8>);

#[derive(Clone, Debug)]
struct Wanted(Vec<Registers>);

/// `parity` of a serial line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ParityArg {
    None,
    Even,
    Odd,
}

impl From<ParityArg> for Parity {
    fn from(parity: ParityArg) -> Self {
        match parity {
            ParityArg::None => Self::None,
            ParityArg::Even => Self::Even,
            ParityArg::Odd => Self::Odd,
        }
    }
}

/// The port of Modbus TCP.
const PORT: u16 = 502;

/// The usual speeds, the most usual first.
const BAUDS: [u32; 7] = [9600, 19_200, 115_200, 38_400, 4800, 57_600, 2400];

pub(crate) fn run(command: &Command) -> Result<(), Failure> {
    let runtime =
        tokio::runtime::Runtime::new().map_err(|error| Failure::failed(format!("cannot start: {error}")))?;
    match command {
        Command::Modbus(args) => runtime.block_on(scan(args, &ways(args)?)),
        #[cfg(feature = "mqtt-devices")]
        Command::Mqtt(args) => runtime.block_on(mqtt::scan(args)),
        #[cfg(feature = "coap")]
        Command::Coap(args) => runtime.block_on(coap::scan(args)),
        #[cfg(feature = "zigbee")]
        Command::Zigbee(args) => runtime.block_on(zigbee::scan(args)),
        #[cfg(feature = "ble")]
        Command::Ble(args) => runtime.block_on(ble::scan(args)),
    }
}

/// Everywhere that is to be looked.
fn ways(args: &Modbus) -> Result<Vec<Way>, Failure> {
    if let Some(port) = &args.serial {
        let line = |baud, parity| {
            let (port, stop_bits) = (port.clone(), args.stop_bits);
            Way::Serial(SerialLine { port, baud, parity, data_bits: 8, stop_bits })
        };
        if !args.try_bauds {
            return Ok(vec![line(args.baud, args.parity.into())]);
        }
        let parities = [Parity::None, Parity::Even, Parity::Odd];
        return Ok(BAUDS.into_iter().flat_map(|baud| parities.map(|parity| line(baud, parity))).collect());
    }
    let (text, way): (&str, fn(_) -> Way) = match (&args.tcp, &args.rtu_over_tcp) {
        (Some(text), _) => (text, Way::Tcp),
        (None, Some(text)) => (text, Way::RtuOverTcp),
        (None, None) => return Ok(Vec::new()),
    };
    Ok(hosts(text, PORT).map_err(Failure::invalid)?.into_iter().map(way).collect())
}

async fn scan(args: &Modbus, ways: &[Way]) -> Result<(), Failure> {
    args.output.iter().chain(&args.save).try_for_each(|path| target::check(path, args.force))?;
    let mut interrupt = Interrupt::new().map_err(Failure::failed)?;
    let models = models::Models::new(&args.folders)?;
    let progress = Progress::new(ways.len() * args.units.0.len(), args.json);
    let mut found = look::Found::default();
    let whole = {
        let looking = look::look(args, ways, &models, &progress, &mut found);
        tokio::select! {
            () = looking => true,
            () = interrupt.wait() => false,
        }
    };
    progress.end();
    report::report(args, &found, whole)
}
