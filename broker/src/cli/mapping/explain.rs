//! `usp-broker mapping explain`: what a mapping becomes: paths, frames, times, load.

use std::time::Duration;

use clap::Args;

use self::subject::{Report, Subject};
use super::model::Folders;
use crate::cli::table::Screen;
use crate::cli::{Failure, in_json, print_line};

mod bluetooth;
mod bus;
mod device;
mod messages;
mod paths;
mod set;
mod subject;
#[cfg(test)]
mod tests;
mod text;
mod zigbee;

pub(in crate::cli::mapping) use self::device::{GroupTold, Told, tell};
pub(in crate::cli::mapping) use self::subject::of_mapping;
pub(in crate::cli::mapping) use self::text::{age, milliseconds, period};

/// Show what a mapping or a site becomes: USP paths, frames on the wire, time of a cycle, load of the bus
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub(in crate::cli) struct Explain {
    /// Mapping file, profile of the library, or site file
    #[arg(value_name = "FILE|PROFILE", required_unless_present = "site")]
    what: Option<String>,
    #[command(flatten)]
    folders: Folders,
    /// Value of a parameter of the mapping
    #[arg(long = "param", value_name = "NAME=VALUE", conflicts_with = "site")]
    params: Vec<String>,
    #[command(flatten)]
    line: Line,
    /// From the end of a request to the beginning of the reply
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = duration)]
    slave_delay: Duration,
    /// The device's address on its bus
    #[arg(long, default_value_t = 1, conflicts_with = "site")]
    unit: u8,
    /// The site whose buses and devices are meant; with FILE|PROFILE those that use it
    #[arg(long, value_name = "SITE", conflicts_with_all = ["baud", "parity", "stop_bits", "tcp"])]
    site: Option<String>,
    /// Of a site, this device in full
    #[arg(long, value_name = "KEY")]
    device: Option<String>,
    /// The frames for this value rather than an example
    #[arg(long = "set", value_name = "CAPABILITY=VALUE")]
    values: Vec<String>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// The bus that a mapping is explained for; a serial line of 9600 baud, even parity, 1 stop bit without any of these.
#[derive(Clone, Debug, Args)]
pub(in crate::cli::mapping) struct Line {
    /// Serial line of so many bits a second
    #[arg(long, value_name = "BITS", conflicts_with = "tcp")]
    baud: Option<u32>,
    /// Parity of the serial line: none, even or odd
    #[arg(long, value_parser = ["none", "even", "odd"], conflicts_with = "tcp")]
    parity: Option<String>,
    /// Stop bits of the serial line
    #[arg(long, default_value_t = 1, conflicts_with = "tcp")]
    stop_bits: u8,
    /// Modbus TCP rather than a serial line
    #[arg(long)]
    tcp: bool,
}

/// Shown after the options in the long help.
const HELP: &str = r#"Instance numbers are those on a hub that has seen no other device. Times on a serial line are worked out from its
characters, the silences of Modbus RTU (t3.5), the delay of the device and the mapping's `guard`.

  usp-broker mapping explain eastron.sdm630 --baud 19200 --parity none
  usp-broker mapping explain heater.yaml --tcp --set setpoint=21.5
  usp-broker mapping explain site.yaml --device meter1

With --json, one object, {"error":"…"} if there is nothing to explain; times in milliseconds, `load` as a share of 1, frames in hexadecimal:
  {"devices":[{"device":"meter1","path":"Device.ProxiedDevice.1.","bus":"line","unit":1,
     "profile":"acme.meter","version":"1.0.0","type":"Meter","description":"…",
     "capabilities":[{"capability":"voltage","path":"Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.","name":"…",
        "class":"LevelSensor","type":"Meter","unit":"V","range":["0","300"],"values":[],
        "parameters":[{"name":"Value","type":"decimal","writable":false}],"commands":[],
        "poll":"fast","max_age_ms":2000}],
     "commands":[{"path":"…","args":[…],"exchanges":[EXCHANGE],"ttl_ms":5000,"takes_ms":4000}],"events":[{"path":"…","poll":"fast","args":[…]}],
     "groups":[{"group":"fast","every_ms":1000,"time_ms":58.1,"exchanges":[EXCHANGE]}],
     "rounds":[{"groups":["fast"],"per_second":0.9,"requests":1,"time_ms":58.1,"load":0.052}],"load":0.06,
     "writes":[{"capability":"relay","value":"true","exchanges":[EXCHANGE],"verify":{"by":"relay","within_ms":1000},
        "ttl_ms":3000,"takes_ms":3000,"rate_ms":0,"coalesce":false,"undo":false}],
     "together":{"values":2,"needs_ms":74.4,"takes_ms":5000}}],
   "buses":[{"bus":"line","kind":"serial line, 9600 baud, 8E1","devices":1,"delay_ms":10,"load":0.06,"all_ms":120.5,
     "warnings":[]}]}, and of a Modbus bus with several devices, or a mapping alone, "lost_every_ms":21000, see `online` in
the language. `together`: several values in one Set, those of --set or all
Of a mapping for MQTT, CoAP or a serial line there are no frames and no times, but messages (topics with `~` for that of the device):
  in a device   "address":"zigbee2mqtt/plug","hears":[{"from":"~","what":"json /state","how":"published","for":["relay"]}]
  in a write or command   "messages":[{"to":"~/set","how":"QoS 0","body":"{\"state\":\"ON\"}"}]
EXCHANGE: {"what":"read input 0..13","request":"01 04 …","reply_bytes":33,"time_ms":58.1,"for":["voltage"],
   "cells":14,"unwanted":0}"#;

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().map_err(|_| "write a number and a unit, such as 10ms".to_owned())?;
    let unit = match text.trim_start_matches(digits) {
        "ms" => 0.001,
        "s" => 1.0,
        _ => return Err("the unit is ms or s, as in 10ms".to_owned()),
    };
    let seconds = Some(number * unit).filter(|seconds| (0.0..=60.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "between 0ms and 60s".to_owned())
}

pub(super) fn run(args: &Explain) -> Result<(), Failure> {
    let subject = in_json(args.json, Subject::of(args))?;
    let report = in_json(args.json, subject.explain())?;
    if args.json {
        print_line(serde_json::to_string(&report).map_err(Failure::failed)?)?;
        return refused(&report, &subject);
    }
    print_line(text::text(&report, &subject, Screen::stdout()).trim_end())?;
    refused(&report, &subject)
}

/// A value that somebody asked about and that cannot be set.
fn refused(report: &Report, subject: &Subject) -> Result<(), Failure> {
    let writes = report.devices.iter().flat_map(|device| &device.writes);
    let mut asked = writes.filter(|write| subject.asks_for(&write.capability));
    match asked.find_map(|write| Some((write, write.refused.as_ref()?))) {
        Some((write, why)) => {
            Err(Failure::invalid(format!("--set {}={}: {why}", write.capability, write.value)))
        }
        None => Ok(()),
    }
}
