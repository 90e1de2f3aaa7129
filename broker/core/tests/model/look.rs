//! What Get may show.

use super::apply::TABLES;
use super::history::{End, Owner};
use super::subs::covers;
use super::town::{DEVICES, Town, dimmer, level};

fn key_of(table: &str) -> &'static str {
    TABLES.iter().find(|(t, ..)| *t == table).map_or("", |(_, key, _)| key)
}

/// What Controllers look at.
pub(crate) fn looks() -> Vec<String> {
    let mut looks: Vec<String> = [
        "Device.",
        "Device.DeviceInfo.",
        "Device.DeviceInfo.FriendlyName",
        "Device.X_A.",
        "Device.X_B.Colour",
        "Device.X_C.Zone.*.Name",
        "Device.X_B.Zone.",
        "Device.X_A.Zone.*.",
        "Device.LocalAgent.ControllerTrust.Role.*.Name",
        "Device.LocalAgent.Controller.1.BootParameter.",
        "Device.ProxiedDevice.*.IoTCapability.*.LevelControl.Value",
        "Device.ProxiedDevice.*.Node.*.IoTCapability.*.LevelControl.Value",
    ]
    .map(str::to_owned)
    .to_vec();
    looks.extend((0..DEVICES.len()).flat_map(|d| [dimmer(d), level(d)]));
    looks
}

impl Town {
    pub(crate) fn take_get(&mut self, path: &str, from: u64, answer: &str) {
        if answer.starts_with("Error") {
            return self.fault(format!("Get {path} was answered with {answer}"));
        }
        for (shown, value) in answer.lines().filter_map(|line| line.split_once('=')) {
            if let Some(cell) = self.cells.get(shown)
                && !cell.torn
                && !cell.history.can_be(value, from, self.tick)
            {
                let history = cell.history.clone();
                self.fault(format!("Get {path}: {shown}={value} cannot be: {history:?}"));
            }
            if let Some((table, number)) = row_of(shown) {
                self.see_row(table, number, value);
            }
        }
        for (cell, owner) in self.cells.iter().map(|(p, c)| (p.clone(), c.owner)).collect::<Vec<_>>() {
            let must = match owner {
                Owner::Broker => true,
                Owner::Service(_) => self.calm,
                Owner::Device(_) => self.calm && cell == path,
            };
            let found = || answer.lines().any(|l| l.strip_prefix(&*cell).is_some_and(|v| v.starts_with('=')));
            if must && covers(path, &cell) && !found() {
                self.fault(format!("Get {path}: {cell} is missing in {answer}"));
            }
        }
    }

    fn see_row(&mut self, table: &'static str, number: u32, name: &str) {
        if !name.starts_with("Device.R") {
            return;
        }
        // What is on its way to disk is shown, and not promised: nor is its number.
        if self.rows.get(name).is_none_or(|fate| fate.added == End::Done) {
            self.give(table, number, name);
        }
        match self.rows.get_mut(name) {
            Some(fate) if fate.number.is_none_or(|n| n == number) => fate.number = Some(number),
            _ => self.fault(format!("{table}{number}. is {name}, which nobody made")),
        }
    }
}

/// The row whose unique Parameter this is.
pub(crate) fn row_of(path: &str) -> Option<(&'static str, u32)> {
    let (table, ..) = TABLES.iter().find(|(table, ..)| path.starts_with(table))?;
    let (number, name) = path.strip_prefix(table)?.split_once('.')?;
    (name == key_of(table)).then_some((*table, number.parse().ok()?))
}
