//! Simulated Bluetooth Low Energy devices around a fake BlueZ, on a D-Bus of their own.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use usp_simulators::ble::household::BIND_KEY;
use usp_simulators::ble::{Radio, RadioHandle, household};
use usp_simulators::console::{Typed, log_to_stderr, say, stop_signal};
use usp_simulators::mischief::{BleFault, Order};

/// Simulates a home full of Bluetooth Low Energy devices, with a BlueZ and a D-Bus of its own.
///
/// The line before `ready` has the key of attic and the passkey of lock. `ready` says where the bus is: put that into DBUS_SYSTEM_BUS_ADDRESS of whoever is to hear the devices. The devices: kitchen,
/// attic, cellar, garden and sauna are thermometers (BTHome, BTHome encrypted, ATC, pvvx, Ruuvi RAWv2), beacon passes by, lock
/// has to be paired with, lamp is dimmed, fever is a health thermometer. While it runs, lines on standard input are obeyed;
/// `help` lists them.
#[derive(Parser)]
#[command(name = "usp-sim-ble", after_help = faults())]
struct Args {
    /// Folder for the socket of the bus; a temporary one without it
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// How often each device advertises, in milliseconds
    #[arg(long, default_value_t = 1000, value_name = "MS")]
    every: u64,
    /// Time stands still: only what is set changes
    #[arg(long)]
    still: bool,
    /// Fault from the start, of all devices or of one, such as advert_flood=200 or "lock frozen"
    #[arg(long, value_name = "[DEVICE ]FAULT")]
    fault: Vec<String>,
    /// Value from the start
    #[arg(long, value_name = "DEVICE.NAME=VALUE")]
    set: Vec<String>,
    /// Log more
    #[arg(long, short)]
    verbose: bool,
}

fn faults() -> String {
    let all: Vec<String> = BleFault::ALL.iter().map(|(name, what)| format!("  {name:<22} {what}")).collect();
    format!("Faults, each also with *TIMES behind it:\n{}", all.join("\n"))
}

const HELP: &str = "set DEVICE.NAME VALUE   holds a value, which is told at once\n\
                    release DEVICE.NAME   lets it move by itself again\n\
                    fault [DEVICE] NAME[=VALUE][*TIMES]   goes wrong\n\
                    clear   ends all faults\n\
                    show [DEVICE]   values, links, faults\n\
                    quit   the end";

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
    let devices = household(Duration::from_millis(args.every.max(20)), args.still);
    let radio = Radio::start(args.dir.as_deref(), devices).await?;
    let handle = radio.handle();
    let sets = args.set.iter().map(|pair| format!("set {}", pair.replacen('=', " ", 1)));
    for line in sets.chain(args.fault.iter().map(|fault| format!("fault {fault}"))) {
        obey(&handle, &line).map_err(anyhow::Error::msg)?;
    }
    let macs = handle.devices().into_iter().filter_map(|key| Some(format!("{key}={}", handle.mac(&key)?)));
    say(&secrets(&handle))?;
    say(&format!("ready address={} devices={}", radio.address(), macs.collect::<Vec<_>>().join(",")))?;
    let mut typed = Typed::default();
    let mut stop = std::pin::pin!(stop_signal());
    loop {
        let line = tokio::select! {
            stopped = &mut stop => {
                stopped?;
                break;
            }
            line = typed.next() => line,
        };
        match obey(&handle, line.trim()) {
            Ok(Some(said)) if said.is_empty() => {}
            Ok(Some(said)) => say(&said)?,
            Ok(None) => break,
            Err(why) => say(&format!("error: {why}"))?,
        }
    }
    radio.stop().await;
    Ok(())
}

/// What a site file needs to know of the devices: `key attic=… passkey lock=…`, each to be put into a file of its own.
fn secrets(radio: &RadioHandle) -> String {
    let passkeys = radio.devices().into_iter().filter_map(|key| {
        let passkey = radio.passkey(&key)?;
        Some(format!(" passkey {key}={passkey:06}"))
    });
    format!("key attic={BIND_KEY}{}", passkeys.collect::<String>())
}

/// What is said to a line; `None`: it is the end.
fn obey(radio: &RadioHandle, line: &str) -> Result<Option<String>, String> {
    let (word, rest) = line.split_once(' ').map_or((line, ""), |(word, rest)| (word, rest.trim()));
    let named = |text: &str| {
        let (device, name) = text.split_once('.').ok_or("a value is written DEVICE.NAME")?;
        Ok::<_, String>((device.to_owned(), name.to_owned()))
    };
    Ok(Some(match word {
        "" => String::new(),
        "quit" | "exit" => return Ok(None),
        "help" | "?" => HELP.to_owned(),
        "set" => {
            let (name, value) = rest.split_once(' ').ok_or("this is written set DEVICE.NAME VALUE")?;
            let (device, name) = named(name)?;
            radio.set(&device, &name, value.trim()).map_err(|error| error.to_string())?;
            format!("{device}.{name} {value}")
        }
        "release" => {
            let (device, name) = named(rest)?;
            radio.release(&device, &name).map_err(|error| error.to_string())?;
            format!("{rest} moves")
        }
        "fault" => fault(radio, rest)?,
        "clear" => {
            radio.clear_all();
            "no faults".to_owned()
        }
        "show" => {
            let devices = radio.devices();
            let chosen: Vec<_> = devices.iter().filter(|key| rest.is_empty() || *key == rest).collect();
            chosen.into_iter().map(|key| shown(radio, key)).collect::<Vec<_>>().join("\n")
        }
        other => {
            return Err(format!(
                "unknown command {other:?}; known are: set, release, fault, clear, show, help, quit"
            ));
        }
    }))
}

fn fault(radio: &RadioHandle, text: &str) -> Result<String, String> {
    let of_one = text.split_once(' ').filter(|(device, _)| radio.devices().iter().any(|key| key == device));
    let fault = of_one.map_or(text, |(_, fault)| fault);
    let order: Order<BleFault> = fault.parse().map_err(|error| format!("{error}"))?;
    let said = format!("fault {order}");
    match of_one {
        Some((device, _)) => radio.fault(device, order).map_err(|error| error.to_string())?,
        None => radio.fault_all(order),
    }
    Ok(said)
}

fn shown(radio: &RadioHandle, key: &str) -> String {
    let (links, linked) = radio.links(key);
    let faults = radio.faults(key);
    let faults = if faults.is_empty() { String::new() } else { format!(", faults: {}", faults.join(", ")) };
    let linked = if linked { ", connected" } else { "" };
    let paired = if radio.is_paired(key) { ", paired" } else { "" };
    let values: String =
        radio.values(key).into_iter().map(|(name, value)| format!("\n  {name:<16} {value}")).collect();
    format!("{key}: links {links}{linked}{paired}{faults}{values}")
}
