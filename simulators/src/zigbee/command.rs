//! What a person, or a script, tells a running coordinator and its devices: one line each.

use std::fmt::Write;
use std::str::FromStr;

use crate::mischief::{FaultError, Order, ZigbeeFault};
use crate::near::hint;

use super::Coordinator;

/// One line, understood.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// An empty line, or a comment.
    Nothing,
    /// `set DEVICE.VALUE X`: hold this value.
    Set(String, String, String),
    /// `release DEVICE.VALUE`: let it move by itself again.
    Release(String, String),
    /// `do DEVICE ACTION`: press its button.
    Do(String, String),
    /// `pair DEVICE`: reset it, so that it looks for a network.
    Pair(String),
    /// `leave DEVICE`: it leaves the network.
    Leave(String),
    /// `rejoin DEVICE`: it comes back with another address.
    Rejoin(String),
    /// `fault [DEVICE] NAME[=VALUE][*TIMES]`: go wrong.
    Fault(Option<String>, Order<ZigbeeFault>),
    /// `clear [DEVICE]`: end all faults.
    Clear(Option<String>),
    /// `faults`: which there are.
    Faults,
    /// `show`: everything.
    Show,
    /// `log`: what the host asked.
    Log,
    /// `help`
    Help,
    /// `quit`
    Quit,
}

/// What there is to be said.
const COMMANDS: &str = "set, release, do, pair, leave, rejoin, fault, faults, clear, show, log, help, quit";

/// Why a line is not obeyed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No such command.
    #[error("unknown command {0:?}; known are: {known}{meant}", known = COMMANDS, meant = hint(.0, COMMANDS))]
    Unknown(String),
    /// Something is missing.
    #[error("this is written {0}")]
    Usage(&'static str),
    /// No such fault.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// It cannot be done.
    #[error("{0}")]
    Refused(String),
}

/// What `help` answers.
pub const HELP: &str = "\
set DEVICE.VALUE X                   hold this value, such as set plug.power 1500
release DEVICE.VALUE                 let it move by itself again
do DEVICE ACTION                     press a button, such as do button press
pair DEVICE                          reset a device: it looks for a network that lets it in
leave DEVICE                         it leaves the network
rejoin DEVICE                        it comes back with another network address
fault [DEVICE] NAME[=VALUE][*TIMES]  go wrong, such as fault lost*3 or fault plug undelivered
faults                               the names of all faults
clear [DEVICE]                       end all faults, or those of a device
show                                 network, devices, values and faults
log                                  the newest commands of the host
help                                 this list
quit                                 the end";

const SET: &str = "set DEVICE.VALUE X";
const RELEASE: &str = "release DEVICE.VALUE";
const DO: &str = "do DEVICE ACTION";
const FAULT: &str = "fault [DEVICE] NAME[=VALUE][*TIMES]";

impl FromStr for Command {
    type Err = CommandError;

    fn from_str(line: &str) -> Result<Self, CommandError> {
        let line = line.trim();
        let (verb, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let device = |usage| {
            let named = Some(rest.to_owned()).filter(|rest| !rest.is_empty());
            named.ok_or(CommandError::Usage(usage))
        };
        Ok(match verb {
            "" => Self::Nothing,
            comment if comment.starts_with('#') => Self::Nothing,
            "set" => {
                let (target, value) = rest.split_once(['=', ' ']).ok_or(CommandError::Usage(SET))?;
                let (device, name) = target.trim().rsplit_once('.').ok_or(CommandError::Usage(SET))?;
                Self::Set(device.to_owned(), name.to_owned(), value.trim().to_owned())
            }
            "release" => {
                let (device, name) = rest.rsplit_once('.').ok_or(CommandError::Usage(RELEASE))?;
                Self::Release(device.to_owned(), name.to_owned())
            }
            "do" => {
                let (device, action) = rest.rsplit_once(' ').ok_or(CommandError::Usage(DO))?;
                Self::Do(device.trim().to_owned(), action.to_owned())
            }
            "pair" => Self::Pair(device("pair DEVICE")?),
            "leave" => Self::Leave(device("leave DEVICE")?),
            "rejoin" => Self::Rejoin(device("rejoin DEVICE")?),
            "fault" => fault(rest)?,
            "clear" => Self::Clear(device("clear").ok()),
            "faults" => Self::Faults,
            "show" => Self::Show,
            "log" => Self::Log,
            "help" | "?" => Self::Help,
            "quit" | "exit" => Self::Quit,
            other => return Err(CommandError::Unknown(other.to_owned())),
        })
    }
}

fn fault(text: &str) -> Result<Command, CommandError> {
    if text.is_empty() {
        return Err(CommandError::Usage(FAULT));
    }
    match (text.parse::<Order<ZigbeeFault>>(), text.split_once(' ')) {
        (Ok(order), _) => Ok(Command::Fault(None, order)),
        (Err(_), Some((device, order))) => Ok(Command::Fault(Some(device.to_owned()), order.parse()?)),
        (Err(error), None) => Err(error.into()),
    }
}

impl Coordinator {
    /// Does what was told and says what is to be shown. [`Command::Quit`] is left to the caller.
    ///
    /// Errors: there is no such device, value or action, or the fault is not one of it.
    pub fn obey(&self, command: &Command) -> Result<String, CommandError> {
        let done = match command {
            Command::Nothing | Command::Quit => return Ok(String::new()),
            Command::Set(device, name, value) => self.set(device, name, value),
            Command::Release(device, name) => self.release(device, name),
            Command::Do(device, action) => self.act(device, action),
            Command::Pair(device) => self.pair(device),
            Command::Leave(device) => self.leave(device),
            Command::Rejoin(device) => self.rejoin(device),
            Command::Fault(None, order) => self.fault(order.clone()),
            Command::Fault(Some(device), order) => self.device_fault(device, order.clone()),
            Command::Clear(device) => self.clear(device.as_deref()),
            Command::Faults => return Ok(faults()),
            Command::Show => return Ok(self.shown()),
            Command::Log => return Ok(self.asked().join("\n")),
            Command::Help => return Ok(HELP.to_owned()),
        };
        done.map(|()| "ok".to_owned()).map_err(CommandError::Refused)
    }

    fn shown(&self) -> String {
        let network =
            self.network().map_or_else(|| "no network".to_owned(), |network| format!("{network:?}"));
        let open = if self.is_open() { ", open" } else { "" };
        let mut text = format!("{network}{open}");
        let faults = self.faults();
        if !faults.is_empty() {
            write!(text, "\n  faults: {}", faults.join(", ")).ok();
        }
        for device in self.show() {
            let at = device.address.map_or_else(|| "not joined".to_owned(), |at| format!("{at:#06x}"));
            write!(text, "\n{} {} {at}, {} messages", device.name, device.ieee, device.said).ok();
            for (name, value) in &device.values {
                write!(text, "\n  {name} = {value}").ok();
            }
            if !device.faults.is_empty() {
                write!(text, "\n  faults: {}", device.faults.join(", ")).ok();
            }
        }
        text
    }
}

fn faults() -> String {
    let whose = |text: &str| {
        let plain = text.replace("MS", "1").replace("PERCENT", "1").replace("RATE", "1");
        match plain.parse::<ZigbeeFault>() {
            Ok(fault) if fault.of_coordinator() && fault.of_device() => "either",
            Ok(fault) if fault.of_coordinator() => "coordinator",
            _ => "device",
        }
    };
    let line = |(name, what): (&str, &str)| format!("{name:20} {:12} {what}", whose(name));
    ZigbeeFault::ALL.map(line).join("\n")
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;
    use crate::zigbee::{Ieee, Kind, Model, Node, Place, Plan, Presence, Shown};

    #[test]
    fn lines_are_understood_or_refused_in_words() {
        let words = |text: &str| text.parse::<Command>();
        let set = Command::Set("plug".into(), "power".into(), "1500".into());
        assert_eq!(words("set plug.power 1500").unwrap(), set);
        assert_eq!(words(" set plug.power=1500").unwrap(), set);
        assert_eq!(words("fault lost*3").unwrap(), Command::Fault(None, Order::times(ZigbeeFault::Lost, 3)));
        let gone = Command::Fault(Some("plug".into()), ZigbeeFault::Gone.into());
        assert_eq!(words("fault plug gone").unwrap(), gone);
        assert_eq!(words("do button press").unwrap(), Command::Do("button".into(), "press".into()));
        for (text, part) in [
            ("set plug", "set DEVICE.VALUE X"),
            ("pair", "pair DEVICE"),
            ("dance", "unknown command"),
            ("fault lazy", "unknown fault"),
        ] {
            assert!(words(text).unwrap_err().to_string().contains(part), "{text}");
        }
        assert!(faults().contains("silent               either"));
        assert!(
            HELP.lines()
                .all(|line| words(line.split_once("  ").unwrap().0.split('[').next().unwrap()).is_ok()
                    || line.contains("DEVICE"))
        );
    }

    /// What went wrong is over everywhere, or at the one device that is named.
    #[test]
    fn faults_end_where_it_is_said() {
        let place = Place::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let plan = ["plug", "lamp"].into_iter().fold(Plan::new(Model::Ezsp(13), place), |plan, name| {
            let ieee = Ieee(0x00e0_5400_0000_0000 + name.len() as u64 + u64::from(name.as_bytes()[0]));
            plan.with(Node::new(Kind::Plug, ieee).named(name), Presence::Member)
        });
        let coordinator = Coordinator::start(plan).unwrap();
        let told = |line: &str| coordinator.obey(&line.parse().unwrap()).unwrap();
        let faults = || {
            let of = |device: Shown| {
                device.faults.into_iter().map(move |fault| format!("{} {fault}", device.name))
            };
            let devices = coordinator.show().into_iter().flat_map(of);
            coordinator.faults().into_iter().chain(devices).collect::<Vec<_>>()
        };
        for line in ["fault busy", "fault plug gone", "fault lamp silent"] {
            assert_eq!(told(line), "ok");
        }
        assert_eq!(faults(), ["busy", "plug gone", "lamp silent"]);
        told("clear plug");
        assert_eq!(faults(), ["busy", "lamp silent"]);
        told("clear");
        assert_eq!(faults(), [""; 0]);
    }
}
