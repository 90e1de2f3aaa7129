//! After a storm: everybody is back, everything is settled, and the whole state is compared.

use std::collections::BTreeMap;
use std::time::Duration;

use usp_core::input::ConnId;

use super::apply::TABLES;
use super::history::{End, Owner};
use super::look::row_of;
use super::town::{CONTROLLERS, DEVICES, SERVICES, Town, town_site};
use crate::bench::device::Behaviour;
use crate::bench::disk::Mood;
use crate::bench::service::Manner;

/// Longer than any deadline, retry or pause of the core.
const LONG: Duration = Duration::from_secs(900);

impl Town {
    pub(crate) fn calm_down(&mut self) {
        self.calm = false;
        self.w.disk.mood = Mood::Good;
        while self.stored(true) {}
        for index in 0..SERVICES.len() {
            if let Some(service) = self.service(index) {
                service.manner = Manner::Good;
            }
            self.service_returns(index);
        }
        for device in DEVICES {
            self.w.device(device, Behaviour::Good);
        }
        (0..CONTROLLERS.len()).for_each(|index| self.controller_returns(index));
        self.listen();
        self.pass(LONG);
        self.finish_commands();
        // The same site in another order is the same.
        self.w.load(town_site(self.tick.is_multiple_of(2)));
        for device in 0..DEVICES.len() {
            let value = self.new_level();
            self.report(device, &value);
        }
        self.listen();
        self.tick += 1;
        self.check();
        (self.expected, self.got) = Default::default();
        (self.calm, self.forgetful) = (true, false);
    }

    fn finish_commands(&mut self) {
        for (index, name) in SERVICES.iter().enumerate() {
            while !self.services[index].running.is_empty() {
                if !self.complete(index) {
                    return self.fault(format!("{name}: no Subscription for OperationComplete"));
                }
            }
        }
        self.listen();
    }

    fn check(&mut self) {
        if !self.open.is_empty() {
            self.fault(format!("never answered: {:?}", self.open));
        }
        let pending = self.w.broker.pending();
        if pending > 0 {
            self.fault(format!("{pending} requests are under way for ever"));
        }
        let Some(conn) = self.controllers[0] else { return };
        let requests = self.w.get(conn, "Device.LocalAgent.Request.");
        if !requests.is_empty() {
            self.fault(format!("commands for ever: {requests}"));
        }
        self.check_subs(conn);
        self.check_told();
        self.check_cells(conn);
        self.check_rows(conn);
        self.commands.clear();
        let now = self.tick;
        self.subs.iter_mut().for_each(|sub| sub.settle(now));
    }

    fn check_cells(&mut self, conn: ConnId) {
        let now = self.tick;
        for path in self.cells.keys().cloned().collect::<Vec<_>>() {
            let answer = self.w.get(conn, &path);
            let Some((_, value)) = answer.split_once('=') else {
                self.fault(format!("Get of {path} in a calm time: {answer}"));
                continue;
            };
            let actual = match self.cells[&path].owner {
                Owner::Broker => None,
                Owner::Service(index) => self.service(index).and_then(|s| s.values.get(&path).cloned()),
                Owner::Device(index) => {
                    let point = if path.ends_with("LevelSensor.Value") { 0 } else { 3 };
                    self.shown(index, point).map(|v| v.to_usp())
                }
            };
            if actual.as_ref().is_some_and(|actual| actual != value) {
                self.fault(format!("{path} is {actual:?}, and reads {value}"));
            }
            let cell = self.cells.get_mut(&path).unwrap();
            if !cell.torn && !cell.history.can_be(value, now, now) {
                let fault = format!("{path} is {value}, after {:?}", cell.history);
                self.faults.push(fault);
            }
            cell.torn = false;
            cell.history.settle(value, now);
        }
    }

    fn check_rows(&mut self, conn: ConnId) {
        let mut found: BTreeMap<String, u32> = BTreeMap::new();
        for (table, key, _) in TABLES {
            let answer = self.w.get(conn, &format!("{table}*.{key}"));
            for (path, name) in answer.lines().filter_map(|line| line.split_once('=')) {
                if let Some((table, number)) = row_of(path)
                    && name.starts_with("Device.R")
                {
                    self.give(table, number, name);
                    if found.insert(name.to_owned(), number).is_some() {
                        self.fault(format!("{name} is there twice"));
                    }
                }
            }
        }
        for (name, fate) in std::mem::take(&mut self.rows) {
            let (may, must) = fate.may_and_must();
            let number = found.remove(&name);
            if (number.is_some() && !may) || (number.is_none() && must) {
                self.fault(format!("{name} is at {number:?}, after {fate:?}"));
            }
            if fate.number.is_some() && number.is_some() && fate.number != number {
                self.fault(format!("{name} was at {:?} and is at {number:?}", fate.number));
            }
            if number.is_some() {
                let fate = super::history::RowFate { number, added: End::Done, deleted: None, ..fate };
                self.rows.insert(name, fate);
            }
        }
        if !found.is_empty() {
            self.fault(format!("rows that nobody made: {found:?}"));
        }
    }

    fn check_subs(&mut self, conn: ConnId) {
        let answer = self.w.get(conn, "Device.LocalAgent.Subscription.*.ID");
        let mut found: BTreeMap<&str, String> = BTreeMap::new();
        for (path, id) in answer.lines().filter_map(|line| line.split_once('=')) {
            found.insert(id, path.trim_end_matches("ID").to_owned());
        }
        let (clock, mut faults) = (self.w.now(), Vec::new());
        for sub in &mut self.subs {
            if sub.ends.is_some_and(|at| at <= clock) {
                sub.deleted = Some(End::Done);
            }
            let path = found.remove(&*sub.id);
            let gone = sub.deleted == Some(End::Done) || sub.added == End::Failed;
            let must = sub.added == End::Done && sub.deleted.is_none();
            if (path.is_some() && gone) || (path.is_none() && must) {
                faults.push(format!(
                    "Subscription {} is {path:?}, after {:?} and {:?}",
                    sub.id, sub.added, sub.deleted
                ));
            }
            sub.added = if path.is_some() { End::Done } else { End::Failed };
            sub.deleted = path.is_none().then_some(End::Done);
            sub.path = path;
        }
        self.faults.extend(faults);
        if !found.is_empty() {
            self.fault(format!("Subscriptions that nobody made: {found:?}"));
        }
    }

    /// Whoever was there all the time, or is waited for, has heard the newest value and the end of each command.
    fn check_told(&mut self) {
        let (clock, mut faults) = (self.w.now(), Vec::new());
        for sub in self.subs.iter().filter(|s| s.is_live(clock)) {
            for (path, cell) in self.cells.iter().filter(|(_, c)| c.owner == Owner::Broker) {
                let due = sub.sure.is_some_and(|since| cell.history.changed_since(since));
                if due && sub.wants("ValueChange", path) && !cell.history.ends_with(sub.told.get(path)) {
                    let told = sub.told.get(path);
                    faults
                        .push(format!("{} last heard {told:?} of {path}, after {:?}", sub.id, cell.history));
                }
            }
            for (key, command) in &self.commands {
                let kept = sub.persistent && sub.retry && sub.since < command.from;
                let sure = kept || sub.sure.is_some_and(|since| since < command.from);
                if sure
                    && command.accepted
                    && sub.wants("OperationComplete", &command.path)
                    && !sub.completions.contains_key(key)
                {
                    faults.push(format!("{} never heard of the end of {key} ({})", sub.id, command.path));
                }
            }
        }
        self.faults.extend(faults);
    }
}
