//! Devices that speak in messages, on MQTT or CoAP, in texts over a serial line, or over the air: what is typed, what a script says, and
//! what is answered.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use serde_json::json;
use usp_mapping::check::{FileKind, file_kind};
use usp_mapping::diagnostic::SourceFile;
use usp_mapping::draft::MappingDraft;
use usp_mapping::mapping::ProtocolKind;
use usp_simulators::console::Typed;
use usp_simulators::near::hint;
use usp_simulators::timetable::{Step, Timetable};

use super::plan::{absolute, key, mapping, quoted};
use super::{Simulate, read_text, wrong_script};
use crate::cli::interrupt::Interrupt;
use crate::cli::{Failure, print_line};

/// A device that is to run.
pub(super) struct Planned {
    pub(super) key: String,
    /// `use: …` or `file: …`
    pub(super) model: String,
    pub(super) draft: MappingDraft,
}

/// The devices, if the files are for devices that speak in messages; `None`: they are for something else.
///
/// Errors: a file cannot be read or has errors, or they are for several protocols.
pub(super) fn planned(args: &Simulate) -> Result<Option<(ProtocolKind, Vec<Planned>)>, Failure> {
    let files: Vec<SourceFile> =
        args.models.iter().map(|model| args.folders.open(model)).collect::<Result<_, _>>()?;
    let kinds: Vec<Option<ProtocolKind>> = files.iter().map(messages).collect();
    let Some(kind) = kinds.iter().flatten().next().copied() else { return Ok(None) };
    if kinds.iter().any(|other| *other != Some(kind)) {
        let kind = kind.name();
        return Err(Failure::invalid(format!(
            "devices on {kind} and others are simulated apart: one command for each"
        )));
    }
    let finder = args.folders.finder(Path::new(""))?;
    let mut all: Vec<Planned> = Vec::new();
    for (number, (file, written)) in (1_u8..=u8::MAX).zip(files.iter().zip(&args.models)) {
        let draft = mapping(file, &finder, &args.params)?;
        let mut name = key(&draft, number);
        if all.iter().any(|other| other.key == name) {
            name = format!("{name}-{number}");
        }
        let model = if Path::new(written).is_file() {
            format!("file: {}", quoted(&absolute(Path::new(written))))
        } else {
            format!("use: {}", quoted(written))
        };
        all.push(Planned { key: name, model, draft });
    }
    if all.len() < files.len() {
        return Err(Failure::invalid("at most 255 devices are simulated at once"));
    }
    Ok(Some((kind, all)))
}

/// The protocol of a mapping, if its devices speak in messages.
fn messages(file: &SourceFile) -> Option<ProtocolKind> {
    let is_mapping = file_kind(file).is_ok_and(|kind| kind != FileKind::Site);
    let kind = MappingDraft::parse(file).0.filter(|_| is_mapping)?.protocol;
    (kind != ProtocolKind::Modbus).then_some(kind)
}

/// What the site file says of the parameters that were given.
pub(super) fn params(args: &Simulate) -> String {
    if args.params.is_empty() {
        return String::new();
    }
    let all: Vec<String> =
        args.params.iter().map(|(name, value)| format!("{name}: {}", quoted(value))).collect();
    format!(", params: {{{}}}", all.join(", "))
}

/// Faults as they are written, each with what it does.
pub(in crate::cli) type Faults = &'static [(&'static str, &'static str)];

/// A simulated device.
pub(in crate::cli) trait Thing {
    /// Every fault that it may have.
    fn all_faults(&self) -> Faults;
    /// Holds a value.
    fn set(&self, capability: &str, value: &str) -> Result<(), String>;
    /// Lets it move by itself again.
    fn release(&self, capability: &str) -> Result<(), String>;
    /// Goes wrong, if there is such a fault; how it is written.
    fn fault(&self, text: &str) -> Result<String, String>;
    /// Whether there is such a fault.
    fn knows_fault(&self, text: &str) -> Result<(), String>;
    /// Ends all faults.
    fn clear(&self);
    /// Somebody does something at it.
    fn act(&self, action: &str) -> Result<(), String> {
        Err(format!("there is nothing to be done at it, such as {action}"))
    }
    /// The newest requests.
    fn log(&self) -> Result<Vec<String>, String> {
        Err("its requests are not kept".to_owned())
    }
    /// How much was said and heard, and what is wrong with it.
    fn state(&self) -> String;
    /// Each capability and its value.
    fn values(&self) -> Vec<(String, String)>;
}

impl<T: Thing + ?Sized> Thing for &T {
    fn all_faults(&self) -> Faults {
        (**self).all_faults()
    }

    fn knows_fault(&self, text: &str) -> Result<(), String> {
        (**self).knows_fault(text)
    }

    fn set(&self, capability: &str, value: &str) -> Result<(), String> {
        (**self).set(capability, value)
    }

    fn release(&self, capability: &str) -> Result<(), String> {
        (**self).release(capability)
    }

    fn fault(&self, text: &str) -> Result<String, String> {
        (**self).fault(text)
    }

    fn clear(&self) {
        (**self).clear();
    }

    fn act(&self, action: &str) -> Result<(), String> {
        (**self).act(action)
    }

    fn log(&self) -> Result<Vec<String>, String> {
        (**self).log()
    }

    fn state(&self) -> String {
        (**self).state()
    }

    fn values(&self) -> Vec<(String, String)> {
        (**self).values()
    }
}

/// One line, understood.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cli) enum Command {
    Nothing,
    Set(String, String),
    Release(String),
    Fault(String),
    Faults,
    Clear(Option<String>),
    Do(String, String),
    Show(Option<String>),
    Log(Option<String>),
    Help,
    Quit,
}

const SET: &str = "this is written set [DEVICE.]CAPABILITY VALUE";

impl FromStr for Command {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let line = line.trim();
        let (word, rest) = line.split_once(' ').map_or((line, ""), |(word, rest)| (word, rest.trim()));
        let device = Some(rest).filter(|rest| !rest.is_empty()).map(str::to_owned);
        Ok(match word {
            "" => Self::Nothing,
            comment if comment.starts_with('#') => Self::Nothing,
            "set" => {
                let (name, value) = setting(rest).ok_or(SET)?;
                Self::Set(name.trim().to_owned(), value.trim().trim_start_matches('=').trim().to_owned())
            }
            "release" => Self::Release(device.ok_or("this is written release [DEVICE.]CAPABILITY")?),
            "fault" => Self::Fault(device.ok_or("this is written fault [DEVICE] NAME[=VALUE][*TIMES]")?),
            "faults" => Self::Faults,
            "clear" => Self::Clear(device),
            "do" => {
                let (name, action) = rest.rsplit_once(' ').ok_or("this is written do DEVICE ACTION")?;
                Self::Do(name.trim().to_owned(), action.to_owned())
            }
            "show" => Self::Show(device),
            "log" => Self::Log(device),
            "help" | "?" => Self::Help,
            "quit" | "exit" => Self::Quit,
            other => {
                return Err(format!(
                    "unknown command {other:?}; known are: set, release, do, fault, faults, clear, show, log, help, quit"
                ));
            }
        })
    }
}

/// The name and the value. A name with spaces, as those of Zigbee2MQTT may be, has `=` behind it.
fn setting(text: &str) -> Option<(&str, &str)> {
    let with_spaces = text
        .split_once('=')
        .filter(|(name, _)| name.trim().rsplit_once(' ').is_some_and(|(_, last)| last.contains('.')));
    with_spaces.or_else(|| text.split_once(['=', ' ']))
}

const HELP: &str = "set [DEVICE.]CAPABILITY VALUE   holds this value and tells it\n\
                    release [DEVICE.]CAPABILITY   lets it move by itself again\n\
                    do DEVICE ACTION   presses a button (Zigbee)\n\
                    fault [DEVICE] NAME[=VALUE][*TIMES]   goes wrong; faults lists them\n\
                    clear [DEVICE]   ends all faults\n\
                    show [DEVICE]   values, faults, how much was said and heard\n\
                    log [DEVICE]   the newest requests (serial lines)\n\
                    quit   the end";

/// Devices by their keys in the site file.
pub(in crate::cli) struct Things<T>(pub(in crate::cli) BTreeMap<String, T>);

impl<T: Thing> Things<T> {
    /// What is said to a command.
    pub(in crate::cli) fn obey(&self, command: &Command) -> Result<String, String> {
        Ok(match command {
            Command::Nothing | Command::Quit => String::new(),
            Command::Help => HELP.to_owned(),
            Command::Faults => self.faults(),
            Command::Set(name, value) => {
                let (thing, capability) = self.found(name)?;
                thing.set(capability, value)?;
                format!("{name} {value}")
            }
            Command::Release(name) => {
                let (thing, capability) = self.found(name)?;
                thing.release(capability)?;
                format!("{name} moves")
            }
            Command::Fault(text) => {
                let (device, fault) = self.faulty(text);
                // All of them, or none.
                self.chosen(device)?.try_for_each(|(_, thing)| thing.knows_fault(fault)).map_err(|why| {
                    if device.is_none() && self.is_mixed() { self.of_which(fault) } else { why }
                })?;
                let told: Result<Vec<String>, String> =
                    self.chosen(device)?.map(|(_, thing)| thing.fault(fault)).collect();
                format!("fault {}", told?.pop().unwrap_or_default())
            }
            Command::Do(device, action) => {
                self.chosen(Some(device))?.try_for_each(|(_, thing)| thing.act(action))?;
                format!("{device} {action}")
            }
            Command::Clear(device) => {
                self.chosen(device.as_deref())?.for_each(|(_, thing)| thing.clear());
                "no faults".to_owned()
            }
            Command::Show(device) => {
                let chosen = self.chosen(device.as_deref())?;
                chosen.map(|(key, thing)| shown(key, thing)).collect::<Vec<_>>().join("\n")
            }
            Command::Log(device) => {
                let logged = |(key, thing): (&String, &T)| {
                    let lines = thing.log()?.into_iter().map(|line| format!("{key}: {line}"));
                    Ok(lines.collect::<Vec<_>>().join("\n"))
                };
                let logs: Result<Vec<String>, String> = self.chosen(device.as_deref())?.map(logged).collect();
                logs?.join("\n")
            }
        })
    }

    /// Whether a command can be obeyed, as far as that is known before.
    fn knows(&self, command: &Command) -> Result<(), String> {
        match command {
            Command::Set(name, _) | Command::Release(name) => {
                let (thing, capability) = self.found(name)?;
                let known: Vec<String> = thing.values().into_iter().map(|(name, _)| name).collect();
                let has = known.iter().any(|name| name == capability);
                let known = known.join(", ");
                has.then_some(()).ok_or_else(|| {
                    format!("no capability {capability:?}; there are: {known}{}", hint(capability, &known))
                })
            }
            Command::Fault(text) => {
                let (device, fault) = self.faulty(text);
                self.chosen(device)?.try_for_each(|(_, thing)| thing.knows_fault(fault))
            }
            Command::Clear(device) | Command::Show(device) | Command::Log(device) => {
                self.chosen(device.as_deref()).map(drop)
            }
            Command::Do(device, _) => self.chosen(Some(device)).map(drop),
            _ => Ok(()),
        }
    }

    /// All faults; where the devices differ, those of each kind.
    fn faults(&self) -> String {
        let mut kinds: Vec<(Faults, Vec<&str>)> = Vec::new();
        for (key, thing) in &self.0 {
            let own = thing.all_faults();
            match kinds.iter_mut().find(|(known, _)| *known == own) {
                Some((_, keys)) => keys.push(key),
                None => kinds.push((own, vec![key])),
            }
        }
        if let [(all, _)] = kinds.as_slice() {
            return faults(all);
        }
        let told = kinds.into_iter().map(|(all, keys)| format!("{}:\n{}", keys.join(", "), faults(all)));
        told.collect::<Vec<_>>().join("\n\n")
    }

    /// Whether there are devices of several kinds.
    fn is_mixed(&self) -> bool {
        let mut kinds = self.0.values().map(Thing::all_faults);
        kinds.next().is_some_and(|first| kinds.any(|other| other != first))
    }

    fn of_which(&self, fault: &str) -> String {
        let names = self.names();
        format!(
            "not all devices may have {fault:?}: write fault DEVICE NAME, of {names}; faults lists what each may have"
        )
    }

    /// The device, if one is named, and the fault.
    fn faulty<'t>(&self, text: &'t str) -> (Option<&'t str>, &'t str) {
        match text.split_once(' ') {
            Some((device, fault)) if self.0.contains_key(device) => (Some(device), fault.trim()),
            _ => (None, text),
        }
    }

    /// The thing and the capability that are meant.
    fn found<'n>(&self, name: &'n str) -> Result<(&T, &'n str), String> {
        let of_device = |(device, rest): (&str, &'n str)| Some((self.0.get(device)?, rest));
        if let Some(found) = name.split_once('.').and_then(of_device) {
            return Ok(found);
        }
        match self.0.len() {
            1 => self.0.values().next().map(|thing| (thing, name)).ok_or_else(String::new),
            _ => Err(format!("of which device? {}", self.names())),
        }
    }

    fn chosen<'t>(
        &'t self,
        device: Option<&'t str>,
    ) -> Result<impl Iterator<Item = (&'t String, &'t T)>, String> {
        if let Some(name) = device.filter(|name| !self.0.contains_key(*name)) {
            let known = self.names();
            return Err(format!("no device {name:?}; there are: {known}{}", hint(name, &known)));
        }
        Ok(self.0.iter().filter(move |(key, _)| device.is_none_or(|name| name == key.as_str())))
    }

    fn names(&self) -> String {
        self.0.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    /// Does what the command line says of the start, and reads the script.
    pub(super) fn prepare(&self, args: &Simulate) -> Result<Option<Timetable<Command>>, Failure> {
        let sets = args.set.iter().map(|text| format!("set {text}"));
        for line in sets.chain(args.fault.iter().map(|text| format!("fault {text}"))) {
            let done = line.parse().and_then(|command| self.obey(&command));
            done.map_err(Failure::invalid)?;
        }
        let Some(path) = &args.script else { return Ok(None) };
        let wrong = |error| wrong_script(Some(path), error);
        let table = Timetable::parse(&read_text(path)?).map_err(wrong)?;
        table.check(|command| self.knows(command)).map_err(wrong)?;
        Ok(Some(table))
    }

    /// Obeys until `quit`, the end of the script's `quit`, Ctrl-C or SIGTERM.
    pub(super) async fn live(
        &self,
        args: &Simulate,
        script: Option<&Timetable<Command>>,
        mut interrupt: Interrupt,
    ) -> Result<(), Failure> {
        let scripted = async {
            let quits = match script {
                Some(script) => script.run(|step| self.step(args, step)).await,
                None => false,
            };
            // What is typed goes on after the last step.
            if !quits {
                std::future::pending::<()>().await;
            }
        };
        tokio::pin!(scripted);
        let mut typed = Typed::default();
        loop {
            let line = tokio::select! {
                () = interrupt.wait() => return Ok(()),
                () = &mut scripted => return Ok(()),
                line = typed.next() => line,
            };
            let said = match line.parse() {
                Ok(Command::Quit) => return Ok(()),
                Ok(Command::Nothing) => continue,
                Ok(command) => self.obey(&command),
                Err(why) => Err(why),
            };
            match (said, args.json) {
                (Ok(said), true) => print_line(json!({"ok": true, "said": said}))?,
                (Err(why), true) => print_line(json!({"ok": false, "said": why}))?,
                (Ok(said), false) => print_line(said)?,
                (Err(why), false) => print_line(format!("error: {why}"))?,
            }
        }
    }

    /// Every step is told: without it nobody knows why a value jumps.
    fn step(&self, args: &Simulate, step: &Step<Command>) -> bool {
        if step.command == Command::Quit {
            return false;
        }
        let (line, seconds) = (step.line, step.at.as_secs_f64());
        let (ok, said) = match self.obey(&step.command) {
            Ok(said) => (true, said),
            Err(why) => (false, why),
        };
        let told = if args.json {
            print_line(json!({"script_line": line, "seconds": seconds, "ok": ok, "said": said}))
        } else {
            let error = if ok { "" } else { "error: " };
            print_line(format!("script line {line} at {seconds} s: {error}{said}"))
        };
        // Standard output that is gone ends the program at what is typed next, not the script.
        drop(told);
        true
    }
}

/// Faults as a list.
pub(super) fn faults(all: &[(&str, &str)]) -> String {
    all.iter().map(|(name, what)| format!("{name:<18} {what}")).collect::<Vec<_>>().join("\n")
}

fn shown(key: &str, thing: &impl Thing) -> String {
    let values: String =
        thing.values().iter().map(|(name, value)| format!("\n  {name:<24} {value}")).collect();
    format!("{key}: {}{values}", thing.state())
}
