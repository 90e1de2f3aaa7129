//! Commands of the buses themselves: `Device.X_USPBROKER_Bus.{i}.PermitJoin()` and `RemoveDevice()`, and who joins a network.
//!
//! A command is handed to the adapter once its Request row is on disk, and ends with the adapter's word. `Cancel()` closes the
//! network: who has joined until then stays. Every step of a newcomer is a `DeviceJoining!` of the bus' row, whether a command
//! waits for it or not.

use std::collections::BTreeMap;
use std::time::Duration;

use usp_mapping::port::{BusAction, BusCall, BusCallId, BusReport, Newcomer, RadioAddress};
use usp_proto::err_code::ErrCode;
use usp_proto::path::{Name, Path};
use usp_proto::usp::notify::operation_complete::{OperationResp as Completed, OutputArgs};
use usp_proto::usp::notify::{Event, Notification};

use super::figures::{BUSES, is_network};
use crate::Broker;
use crate::agent::commands::canceled;
use crate::dm::rows::ObjRef;
use crate::fault::Fault;
use crate::output::Output;
use crate::services::commands::command_failed;
use crate::subscriptions::{Happening, NotifKind};

/// How long a network is open when nobody says how long.
const OPEN: u16 = 180;

/// Longest time that a network can be open, in seconds.
const LONGEST: u16 = 254;

/// Commands of buses that run.
#[derive(Debug, Default)]
pub(crate) struct BusCommands {
    next: u64,
    /// Their Request rows.
    rows: BTreeMap<BusCallId, u32>,
}

impl BusCommands {
    fn number(&mut self) -> BusCallId {
        self.next += 1;
        BusCallId(self.next)
    }
}

/// `Duration`: how long the network is to be open.
fn duration(args: &BTreeMap<String, String>) -> Result<Duration, Fault> {
    let Some(text) = args.get("Duration") else { return Ok(Duration::from_secs(OPEN.into())) };
    let seconds = text.parse::<u16>().ok().filter(|seconds| (1..=LONGEST).contains(seconds));
    seconds.map(|seconds| Duration::from_secs(seconds.into())).ok_or_else(|| {
        let text = format!("Duration: '{text}' is not a number of seconds from 1 to {LONGEST}");
        Fault::new(ErrCode::INVALID_COMMAND_ARGUMENTS, text)
    })
}

/// `IEEEAddress`: who is to leave.
fn address(args: &BTreeMap<String, String>) -> Result<RadioAddress, Fault> {
    let text = args.get("IEEEAddress").map_or("", String::as_str);
    RadioAddress::parse(text).ok_or_else(|| {
        let text = format!("IEEEAddress: '{text}' is not 0x and 16 hexadecimal digits");
        Fault::new(ErrCode::INVALID_COMMAND_ARGUMENTS, text)
    })
}

fn action(name: &str, args: &BTreeMap<String, String>) -> Result<BusAction, Fault> {
    match name {
        "PermitJoin" => duration(args).map(BusAction::PermitJoin),
        "RemoveDevice" => address(args).map(BusAction::Remove),
        _ => Err(Fault::unsupported(name)),
    }
}

/// Whether the arguments of a bus' command have the values that they may have (7027).
pub(crate) fn check_arguments(name: &str, args: &BTreeMap<String, String>) -> Result<(), Fault> {
    action(name, args).map(|_| ())
}

impl Broker {
    /// Whether a command is that of a bus.
    pub(crate) fn is_of_bus(&self, at: &ObjRef) -> bool {
        self.model.table(BUSES) == Some(at.object)
    }

    /// Whether a bus can do that: only radio networks have members.
    pub(crate) fn check_bus(&self, at: &ObjRef, name: &Name) -> Result<(), Fault> {
        match self.model.figures.described(at.number()).filter(|_| self.is_of_bus(at)) {
            Some((bus, protocol)) if !is_network(protocol) => {
                let text =
                    format!("{name}(): the bus {bus} ({protocol}) is no network that devices join and leave");
                Err(Fault::new(ErrCode::COMMAND_FAILURE, text))
            }
            _ => Ok(()),
        }
    }

    /// Starts a bus' command whose Request row is on disk.
    pub(crate) fn run_bus_command(
        &mut self,
        at: &ObjRef,
        name: &Name,
        args: &BTreeMap<String, String>,
        row: u32,
    ) {
        let bus = self.model.figures.described(at.number()).map(|(bus, _)| bus.into());
        let gone = || Fault::new(ErrCode::COMMAND_FAILURE, "the bus is not in the site any more");
        match bus.ok_or_else(gone).and_then(|bus| Ok((bus, action(name.as_str(), args)?))) {
            Ok((bus, action)) => {
                let id = self.bus_commands.number();
                self.bus_commands.rows.insert(id, row);
                self.note_status(row, "Active");
                self.outputs.push_back(Output::Bus(BusCall { id, bus, action }));
            }
            Err(fault) => self.complete_request(row, command_failed(&fault)),
        }
    }

    /// Somebody wants the command of a Request row to end, if it is one of a bus.
    pub(crate) fn cancel_bus_command(&mut self, row: u32) {
        let running = self.bus_commands.rows.iter().find(|(_, of)| **of == row);
        let Some(id) = running.map(|(id, _)| *id) else { return };
        let command = self.request_row(row).and_then(|row| self.model.text(&row, "Command"));
        let at = command.and_then(|command| self.bus_of_command(&command));
        let bus = at.and_then(|at| self.model.figures.described(at)).map(|(bus, _)| bus.into());
        if let Some(bus) = bus {
            let own = self.bus_commands.number();
            self.outputs.push_back(Output::Bus(BusCall { id: own, bus, action: BusAction::Cancel(id) }));
        }
    }

    /// The row of the bus that a Command Path is about.
    fn bus_of_command(&self, command: &str) -> Option<u32> {
        command.strip_prefix(BUSES)?.split_once('.')?.0.parse().ok()
    }

    /// A bus says something of itself.
    pub(crate) fn handle_bus_report(&mut self, report: BusReport) {
        match report {
            BusReport::Newcomer { bus, newcomer } => self.tell_newcomer(&bus, &newcomer),
            BusReport::Done { id, outcome } => {
                let Some(row) = self.bus_commands.rows.remove(&id) else { return };
                let outcome = match outcome {
                    _ if self.is_canceling(row) => command_failed(&canceled()),
                    Ok(joined) => Completed::ReqOutputArgs(OutputArgs { output_args: listed(&joined) }),
                    Err(why) => command_failed(&Fault::new(ErrCode::COMMAND_FAILURE, why)),
                };
                self.complete_request(row, outcome);
            }
        }
    }

    fn tell_newcomer(&mut self, bus: &str, newcomer: &Newcomer) {
        let (Some(table), Some(number)) = (self.model.table(BUSES), self.model.figures.number_of(bus)) else {
            return;
        };
        let at = ObjRef::new(table, &[number]);
        let (obj_path, event_name) = (self.model.path(&at), "DeviceJoining!".to_owned());
        let Ok(path) = Path::parse(&format!("{obj_path}{event_name}")) else { return };
        let params = described(newcomer).map(|(name, value)| (name.to_owned(), value)).into();
        let notification = Notification::Event(Event { obj_path, event_name, params });
        self.emit(&Happening { kind: NotifKind::Event, path: &path, at: Some(&at), notification });
    }
}

/// What is told of a newcomer.
fn described(newcomer: &Newcomer) -> [(&'static str, String); 5] {
    [
        ("IEEEAddress", newcomer.address.to_string()),
        ("Stage", newcomer.stage.name().to_owned()),
        ("Manufacturer", newcomer.manufacturer.clone()),
        ("Model", newcomer.model.clone()),
        ("Detail", newcomer.detail.clone()),
    ]
}

/// The output arguments: `Joined.1.IEEEAddress` and so on.
fn listed(joined: &[Newcomer]) -> BTreeMap<String, String> {
    let all = joined.iter().zip(1..).flat_map(|(newcomer, n): (_, u32)| {
        described(newcomer).map(|(name, value)| (format!("Joined.{n}.{name}"), value))
    });
    all.collect()
}
