//! What a person, or a script, tells running devices: one line each.

use std::fmt::Write;
use std::str::FromStr;

use crate::mischief::{Fault, FaultError, Order};
use crate::near::hint;
use crate::value::SimValue;

use super::device::{SetError, Shown};
use super::log::Seen;
use super::plant::{Plant, PlantDevice};

/// One line, understood.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// An empty line, or a comment.
    Nothing,
    /// `set [DEVICE.]CAPABILITY VALUE`: hold this value.
    Set(String, SimValue),
    /// `release [DEVICE.]CAPABILITY`: let it move by itself again.
    Release(String),
    /// `fault [DEVICE] NAME[=VALUE][*TIMES]`: go wrong.
    Fault(Option<String>, Order<Fault>),
    /// `clear [DEVICE]`: end all faults.
    Clear(Option<String>),
    /// `faults`: which there are.
    Faults,
    /// `show [DEVICE]`: values, faults, requests.
    Show(Option<String>),
    /// `log`: the requests that came.
    Log,
    /// `help`
    Help,
    /// `quit`
    Quit,
}

/// What there is to be said.
const COMMANDS: &str = "set, release, fault, faults, clear, show, log, help, quit";

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
    /// No such device.
    #[error("no device {name:?}; there are: {known}{meant}", meant = hint(.name, .known))]
    Device {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// No such capability, or a wrong value.
    #[error(transparent)]
    Set(#[from] SetError),
}

/// What `help` answers.
pub const HELP: &str = "\
set [DEVICE.]CAPABILITY VALUE        hold this value
release [DEVICE.]CAPABILITY          let it move by itself again
fault [DEVICE] NAME[=VALUE][*TIMES]  go wrong, such as fault slow=200 or fault exception=4*2
faults                               the names of all faults
clear [DEVICE]                       end all faults
show [DEVICE]                        values, faults and number of requests
log                                  the newest requests
help                                 this list
quit                                 the end";

const SET: &str = "set [DEVICE.]CAPABILITY VALUE";
const RELEASE: &str = "release [DEVICE.]CAPABILITY";
const FAULT: &str = "fault [DEVICE] NAME[=VALUE][*TIMES]";

impl FromStr for Command {
    type Err = CommandError;

    fn from_str(line: &str) -> Result<Self, CommandError> {
        let line = line.trim();
        let (verb, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let device = (!rest.is_empty()).then(|| rest.to_owned());
        match verb {
            "" => Ok(Self::Nothing),
            comment if comment.starts_with('#') => Ok(Self::Nothing),
            "set" => setting(rest),
            "release" if rest.is_empty() => Err(CommandError::Usage(RELEASE)),
            "release" => Ok(Self::Release(rest.to_owned())),
            "fault" => fault(rest),
            "clear" => Ok(Self::Clear(device)),
            "faults" => Ok(Self::Faults),
            "show" => Ok(Self::Show(device)),
            "log" => Ok(Self::Log),
            "help" | "?" => Ok(Self::Help),
            "quit" | "exit" => Ok(Self::Quit),
            other => Err(CommandError::Unknown(other.to_owned())),
        }
    }
}

/// `CAPABILITY VALUE` or `CAPABILITY=VALUE`.
fn setting(text: &str) -> Result<Command, CommandError> {
    let (target, value) = text.split_once(['=', ' ']).ok_or(CommandError::Usage(SET))?;
    let (target, value) = (target.trim(), value.trim().trim_start_matches('=').trim());
    if target.is_empty() || value.is_empty() {
        return Err(CommandError::Usage(SET));
    }
    Ok(Command::Set(target.to_owned(), SimValue::typed(value)))
}

fn fault(text: &str) -> Result<Command, CommandError> {
    if text.is_empty() {
        return Err(CommandError::Usage(FAULT));
    }
    let alone = text.parse::<Order<Fault>>();
    let (device, order) = match (alone, text.split_once(' ')) {
        (Ok(order), _) => (None, order),
        (Err(_), Some((device, order))) if order.parse::<Order<Fault>>().is_ok() => {
            (Some(device.to_owned()), order.parse()?)
        }
        (Err(error), _) => return Err(error.into()),
    };
    Ok(Command::Fault(device, order))
}

impl Plant {
    /// Does what was told and says what is to be shown. [`Command::Quit`] is left to the caller.
    ///
    /// Errors: there is no such device or capability, or the value is of the wrong kind.
    pub fn obey(&self, command: &Command) -> Result<String, CommandError> {
        match command {
            Command::Nothing | Command::Quit => return Ok(String::new()),
            Command::Set(target, value) => {
                let (device, capability) = self.target(target)?;
                device.unit.set(capability, value.clone())?;
            }
            Command::Release(target) => {
                let (device, capability) = self.target(target)?;
                device.unit.release(capability)?;
            }
            Command::Fault(device, order) => {
                self.can(device.as_deref(), order)?;
                self.chosen(device.as_deref())?.for_each(|device| device.unit.fault(order.clone()));
            }
            Command::Clear(device) => {
                self.chosen(device.as_deref())?.for_each(|device| device.unit.clear_faults())
            }
            Command::Faults => return Ok(faults()),
            Command::Show(device) => {
                return Ok(self.chosen(device.as_deref())?.map(shown).collect::<Vec<_>>().join("\n"));
            }
            Command::Log => {
                return Ok(self
                    .log()
                    .iter()
                    .map(|(bus, seen)| logged(bus, seen))
                    .collect::<Vec<_>>()
                    .join("\n"));
            }
            Command::Help => return Ok(HELP.to_owned()),
        }
        Ok("ok".to_owned())
    }

    /// Whether some device can have a fault.
    fn can(&self, device: Option<&str>, order: &Order<Fault>) -> Result<(), CommandError> {
        let mut outcomes = self.chosen(device)?.map(|device| device.unit.can(&order.fault));
        match outcomes.next() {
            Some(Err(why)) if !outcomes.any(|outcome| outcome.is_ok()) => Err(why.into()),
            _ => Ok(()),
        }
    }

    /// Whether a command could be obeyed, without doing it.
    ///
    /// Errors: as with [`obey`](Self::obey), but for the kind of a value.
    pub fn knows(&self, command: &Command) -> Result<(), CommandError> {
        match command {
            Command::Set(target, _) | Command::Release(target) => self.target(target).map(drop),
            Command::Fault(device, order) => self.can(device.as_deref(), order),
            Command::Clear(device) | Command::Show(device) => self.chosen(device.as_deref()).map(drop),
            _ => Ok(()),
        }
    }

    /// `DEVICE.CAPABILITY`; without a device the first that has the capability.
    fn target<'t>(&self, target: &'t str) -> Result<(&PlantDevice, &'t str), CommandError> {
        let named = self.devices().iter().find_map(|device| {
            let capability = target.strip_prefix(device.name.as_str())?.strip_prefix('.')?;
            Some((device, capability))
        });
        let has = |device: &&PlantDevice| device.unit.get(target).is_some();
        match self.devices().iter().find(has).map(|device| (device, target)).or(named) {
            Some((device, capability)) if device.unit.get(capability).is_some() => Ok((device, capability)),
            _ => Err(self.unknown(target)),
        }
    }

    fn unknown(&self, target: &str) -> CommandError {
        let several = self.devices().len() > 1;
        let of = |device: &PlantDevice| {
            let names = device.unit.values().into_iter().map(|(name, _)| name);
            names
                .map(|name| if several { format!("{}.{name}", device.name) } else { name })
                .collect::<Vec<_>>()
        };
        let known: Vec<String> = self.devices().iter().flat_map(of).collect();
        SetError::Unknown { name: target.to_owned(), known: known.join(", ") }.into()
    }

    /// One device, or all of them.
    fn chosen(&self, name: Option<&str>) -> Result<impl Iterator<Item = &PlantDevice>, CommandError> {
        let is_chosen = move |device: &&PlantDevice| name.is_none_or(|name| device.name == name);
        if let Some(name) = name
            && !self.devices().iter().any(|device| is_chosen(&device))
        {
            let known: Vec<&str> = self.devices().iter().map(|device| device.name.as_str()).collect();
            return Err(CommandError::Device { name: name.to_owned(), known: known.join(", ") });
        }
        Ok(self.devices().iter().filter(is_chosen))
    }
}

/// One line a fault.
pub fn faults() -> String {
    Fault::ALL.map(|(name, meaning)| format!("{name:22}{meaning}")).join("\n")
}

fn shown(device: &PlantDevice) -> String {
    let mut text = format!(
        "{} ({}, {} unit {}): {} requests",
        device.name,
        device.unit.profile(),
        device.bus,
        device.unit.unit(),
        device.unit.requests()
    );
    let faults = device.unit.faults();
    if !faults.is_empty() {
        text.push_str(&format!(", faults: {}", faults.join(", ")));
    }
    let rows = device.unit.show();
    let widest = |of: &dyn Fn(&Shown) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let name = widest(&|row| row.capability.chars().count());
    let value = widest(&|row| worded(row).chars().count());
    for row in &rows {
        let held = if row.held { "  held" } else { "" };
        // Writing to a String cannot fail.
        write!(text, "\n  {:name$}  {:value$}  {}{held}", row.capability, worded(row), row.places).ok();
    }
    text
}

fn worded(row: &Shown) -> String {
    let value = match &row.value {
        // As many digits as matter to the eye.
        SimValue::Number(number) => format!("{}", (number * 1000.0).round() / 1000.0),
        other => other.to_string(),
    };
    if row.unit.is_empty() { value } else { format!("{value} {}", row.unit) }
}

fn logged(bus: &str, seen: &Seen) -> String {
    let mut text = format!("{bus} unit {} function {}", seen.unit, seen.function);
    if let Some((table, start, count)) = seen.read {
        write!(text, " reads {} {start} count {count}", table.name()).ok();
    }
    if let Some((table, start, cells)) = &seen.written {
        write!(text, " writes {} {start} {cells:?}", table.name()).ok();
    }
    if let Some(exception) = seen.refused {
        write!(text, ", {exception}").ok();
    }
    text
}
