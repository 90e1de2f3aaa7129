//! What each step does, and what its answer may be.

use std::time::Duration;

use usp_core::input::{ConnId, Input};
use usp_proto::message;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::{self, Delete};

use super::history::{End, Owner, RowFate};
use super::look::looks;
use super::ops::Op;
use super::subs::Sub;
use super::town::{Asked, Command, DEVICES, SERVICES, TOPS, Town, What};
use crate::bench::disk::Mood;
use crate::bench::peer::{add, get, operate, set};
use crate::bench::text;

/// Tables that scripts add to: path, unique Parameter, owner.
pub(crate) const TABLES: [(&str, &str, Owner); 5] = [
    ("Device.LocalAgent.ControllerTrust.Role.", "Name", Owner::Broker),
    ("Device.LocalAgent.Controller.1.BootParameter.", "ParameterName", Owner::Broker),
    ("Device.X_A.Zone.", "Name", Owner::Service(0)),
    ("Device.X_B.Zone.", "Name", Owner::Service(1)),
    ("Device.X_C.Zone.", "Name", Owner::Service(2)),
];

const BRIEF: Duration = Duration::from_secs(30);

impl Town {
    /// One step with all that follows from it at once.
    pub(crate) fn step(&mut self, op: &Op) {
        self.tick += 1;
        self.apply(op);
        self.w.advance(self.pause);
        self.listen();
        self.tick += 1;
        if self.calm && !self.open.is_empty() && self.faults.is_empty() {
            self.fault(format!("not answered: {:?}", self.open));
        }
        if let Some((_, why)) = self.w.closed.pop() {
            self.fault(format!("a connection was closed: {why:?}"));
        }
        self.compare_notes();
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Set { by, cells, partial } => self.set(*by, cells, *partial),
            Op::Get { by, what } => {
                let looks = looks();
                let path = looks[what % looks.len()].clone();
                if let Some((_, conn)) = self.someone(*by) {
                    self.ask(conn, get(&[&path], 0), What::Get { path });
                }
            }
            Op::Add { by, table } => self.add(*by, *table),
            Op::Delete { by, row } => self.delete(*by, *row),
            Op::Subscribe { by, wish, persistent, retry, brief } => {
                let mut sub = Sub::wish(*wish, *by, self.serial());
                (sub.persistent, sub.retry) = (*persistent, *retry);
                self.subscribe(sub, *brief && !*persistent);
            }
            Op::Unsubscribe { nth } => self.unsubscribe(*nth),
            Op::Operate { by, service } => self.operate(*by, *service),
            Op::Complete { service } => drop(self.complete(service % SERVICES.len())),
            Op::Report { device } => {
                let value = self.new_level();
                self.report(device % DEVICES.len(), &value);
            }
            Op::Change { service } => self.change(service % SERVICES.len()),
            Op::Stubborn { service, on } => self.stubborn(service % SERVICES.len(), *on),
            Op::ControllerLeaves(index) => self.controller_leaves(index % 3),
            Op::ControllerReturns(index) => self.controller_returns(index % 3),
            Op::Wait(ms) => self.pass(Duration::from_millis(*ms)),
            Op::Calm => self.calm_down(),
            trouble => {
                self.calm = false;
                self.trouble(trouble);
            }
        }
    }

    fn trouble(&mut self, op: &Op) {
        match op {
            Op::Manner { service, manner } => {
                if let Some(service) = self.service(service % SERVICES.len()) {
                    service.manner = manner.clone();
                }
            }
            Op::Device { device, behaviour } => {
                self.w.device(DEVICES[device % DEVICES.len()], behaviour.clone());
            }
            Op::Disk(mood) => {
                self.forgetful |= matches!(mood, Mood::Full(_));
                self.w.disk.mood = mood.clone();
            }
            Op::Stored(ok) => {
                self.forgetful |= !ok;
                self.stored(*ok);
            }
            Op::ServiceLeaves(index) => self.service_leaves(index % SERVICES.len()),
            Op::ServiceReturns(index) => self.service_returns(index % SERVICES.len()),
            Op::Crash => self.restart(),
            Op::Restart => {
                // Whoever ends in an orderly way waits for the disk.
                while self.stored(true) {}
                self.w.input(Input::Shutdown);
                self.w.closed.clear();
                self.listen();
                self.restart();
            }
            _ => {}
        }
    }

    fn set(&mut self, by: usize, cells: &[usize], partial: bool) {
        let Some((_, conn)) = self.someone(by) else { return };
        let now = self.tick;
        let settable: Vec<String> =
            self.cells.keys().filter(|p| !p.ends_with("LevelSensor.Value")).cloned().collect();
        let mut values: Vec<(String, String)> = Vec::new();
        for cell in cells {
            let path = settable[cell % settable.len()].clone();
            let serial = self.serial();
            let value = match self.cells[&path].owner {
                // Further apart than its deadband.
                Owner::Device(_) => (serial % 20 * 5).to_string(),
                Owner::Broker | Owner::Service(_) => format!("v{serial}"),
            };
            if !values.iter().any(|(p, _)| *p == path) {
                values.push((path, value));
            }
        }
        let torn = !self.calm && !partial && values.len() > 1;
        let apart = partial && values.len() > 1;
        for (path, value) in &values {
            let cell = self.cells.get_mut(path).unwrap();
            cell.history.begin(value, now, apart);
            cell.torn |= torn;
        }
        let parts: Vec<(String, String)> = values
            .iter()
            .map(|(path, value)| {
                let (object, name) = path.split_at(path.rfind('.').unwrap() + 1);
                (object.to_owned(), format!("{name}={value}"))
            })
            .collect();
        let settings: Vec<[&str; 1]> = parts.iter().map(|(_, setting)| [&**setting]).collect();
        let objects: Vec<(&str, &[&str])> =
            parts.iter().zip(&settings).map(|((object, _), setting)| (&**object, &setting[..])).collect();
        self.ask(conn, set(partial, &objects), What::Set { values, partial });
    }

    fn add(&mut self, by: usize, table: usize) {
        let Some((_, conn)) = self.someone(by) else { return };
        let (table, key, owner) = TABLES[table % TABLES.len()];
        let name = format!("Device.R{}", self.serial());
        let fate = RowFate { table, owner, number: None, added: End::Open, deleted: None };
        self.rows.insert(name.clone(), fate);
        let setting = format!("{key}={name}");
        self.ask(conn, add(false, &[(table, &[&setting])]), What::Add { name });
    }

    fn delete(&mut self, by: usize, row: usize) {
        let Some((_, conn)) = self.someone(by) else { return };
        let there =
            self.rows.iter().filter(|(_, fate)| fate.number.is_some() && fate.deleted != Some(End::Done));
        let names: Vec<String> = there.map(|(name, _)| name.clone()).collect();
        let Some(name) = names.get(row % names.len().max(1)).cloned() else { return };
        let fate = self.rows.get_mut(&name).unwrap();
        fate.deleted = fate.deleted.max_by_doubt(End::Open);
        let path = format!("{}{}.", fate.table, fate.number.unwrap());
        let request = ReqType::Delete(Delete { allow_partial: false, obj_paths: vec![path] });
        self.ask(conn, request, What::Delete { name });
    }

    fn subscribe(&mut self, mut sub: Sub, brief: bool) {
        let Some((by, conn)) = self.someone(sub.by) else { return };
        sub.by = by;
        sub.ends = brief.then(|| self.w.now() + BRIEF);
        let mut settings = vec![
            format!("ID={}", sub.id),
            format!("NotifType={}", sub.kind),
            format!("ReferenceList={}", sub.references.join(",")),
            format!("Persistent={}", sub.persistent),
            format!("NotifRetry={}", sub.retry),
            "Enable=true".to_owned(),
        ];
        settings.extend(brief.then(|| format!("TimeToLive={}", BRIEF.as_secs())));
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let request = add(false, &[("Device.LocalAgent.Subscription.", &settings)]);
        self.subs.push(sub);
        self.ask(conn, request, What::Subscribe { sub: self.subs.len() - 1 });
    }

    fn unsubscribe(&mut self, nth: usize) {
        let now = self.w.now();
        let live: Vec<usize> = (0..self.subs.len()).filter(|i| self.subs[*i].is_live(now)).collect();
        let (Some(index), Some((_, conn))) = (live.get(nth % live.len().max(1)), self.someone(nth)) else {
            return;
        };
        let sub = &mut self.subs[*index];
        sub.deleted = Some(End::Open);
        let obj_paths = vec![sub.path.clone().unwrap()];
        let request = ReqType::Delete(Delete { allow_partial: false, obj_paths });
        self.ask(conn, request, What::Unsubscribe { sub: *index });
    }

    fn operate(&mut self, by: usize, service: usize) {
        let Some((_, conn)) = self.someone(by) else { return };
        let key = format!("k{}", self.serial());
        let path = Self::fade(service);
        self.commands.insert(key.clone(), Command { path: path.clone(), from: self.tick, accepted: false });
        self.ask(conn, operate(&path, &key, &[]), What::Operate { key });
    }

    fn stubborn(&mut self, index: usize, on: bool) {
        let path = format!("{}Colour", TOPS[index]);
        let Some(service) = self.service(index) else { return };
        match on {
            true => drop(service.stubborn.insert(path, 7012)),
            false => drop(service.stubborn.remove(&path)),
        }
    }

    fn is_stubborn(&mut self, path: &str) -> bool {
        let Owner::Service(index) = self.cells[path].owner else { return false };
        self.service(index).is_some_and(|s| s.stubborn.contains_key(path))
    }

    /// A request is answered.
    pub(crate) fn answered(&mut self, conn: ConnId, msg: &usp::Msg) {
        let msg_id = message::msg_id(msg).to_owned();
        let answer = text::answer(msg);
        self.transcript.push(text::loud(msg));
        let Some(asked) = self.open.remove(&(conn, msg_id)) else {
            return self.fault(format!("an answer that nobody waits for: {answer}"));
        };
        let fine = !answer.starts_with("Error");
        let expected = match &asked.what {
            What::Set { .. } | What::Get { .. } | What::Register => true,
            _ => fine || !self.calm,
        };
        if !expected {
            self.fault(format!("{:?} was answered with {answer}", asked.what));
        }
        self.take_answer(&asked, &answer, fine);
    }

    fn take_answer(&mut self, asked: &Asked, answer: &str, fine: bool) {
        match &asked.what {
            What::Set { values, partial } => self.take_set(asked.from, values, *partial, answer),
            What::Get { path } => self.take_get(path, asked.from, answer),
            What::Add { name } => self.take_add(name, answer, fine),
            What::Delete { name } => self.take_delete(name, fine),
            What::Subscribe { sub } => {
                let (now, sub) = (self.tick, &mut self.subs[*sub]);
                sub.path = answer.split(' ').next().filter(|_| fine).map(str::to_owned);
                // A restart that came first has taken it along.
                sub.added = if fine { End::Done } else { End::Failed };
                sub.since = now;
                sub.sure = (sub.retry || self.controllers[sub.by].is_some()).then_some(now);
            }
            What::Unsubscribe { sub } => {
                let (now, sub) = (self.tick, &mut self.subs[*sub]);
                sub.deleted = fine.then_some(End::Done);
                sub.gone = if fine { now } else { u64::MAX };
            }
            What::Operate { key } => {
                let accepted = answer.contains("-> Device.LocalAgent.Request.");
                if self.calm && !accepted {
                    self.fault(format!("Operate was answered with {answer}"));
                }
                if let Some(command) = self.commands.get_mut(key) {
                    command.accepted = accepted;
                }
            }
            What::Register => {}
        }
    }

    fn take_set(&mut self, from: u64, values: &[(String, String)], partial: bool, answer: &str) {
        let stubborn: Vec<bool> = values.iter().map(|(path, _)| self.is_stubborn(path)).collect();
        let any = stubborn.contains(&true);
        for ((path, value), stubborn) in values.iter().zip(stubborn) {
            let (object, name) = path.split_at(path.rfind('.').unwrap() + 1);
            let setting = format!("{name}={value}");
            let done = answer.lines().any(|line| {
                line.strip_prefix(object).is_some_and(|rest| rest.split(' ').any(|s| s == setting))
            });
            let should = if partial { !stubborn } else { !any };
            if self.calm && done != should {
                self.fault(format!("{path} to {value}: {answer}"));
            }
            let (now, calm) = (self.tick, self.calm);
            let cell = self.cells.get_mut(path).unwrap();
            let end = match cell.owner {
                _ if done => End::Done,
                Owner::Broker => End::Failed,
                Owner::Service(_) if calm => End::Failed,
                Owner::Service(_) | Owner::Device(_) => End::Unknown,
            };
            cell.history.end(value, from, now, end);
            if done && cell.owner == Owner::Broker {
                self.changed(path, value);
            }
        }
    }

    fn take_add(&mut self, name: &str, answer: &str, fine: bool) {
        let calm = self.calm;
        let fate = self.rows.get_mut(name).unwrap();
        let table = fate.table;
        fate.added = match fate.owner {
            _ if fine => End::Done,
            Owner::Broker => End::Failed,
            _ => End::Unknown,
        };
        if !fine {
            return;
        }
        let number = answer.strip_prefix(table).and_then(|rest| rest.split('.').next()?.parse().ok());
        let Some(number) = number else { return self.fault(format!("Add was answered with {answer}")) };
        fate.number = Some(number);
        let own = fate.owner == Owner::Broker;
        self.give(table, number, name);
        if own && calm {
            self.happens("ObjectCreation", &format!("{table}{number}."), "");
        }
    }

    fn take_delete(&mut self, name: &str, fine: bool) {
        let fate = self.rows.get_mut(name).unwrap();
        let own = fate.owner == Owner::Broker;
        let end = match fine {
            true => End::Done,
            false if own => End::Failed,
            false => End::Unknown,
        };
        let first = fate.deleted != Some(End::Done);
        fate.deleted = fate.deleted.filter(|d| *d != End::Open).max_by_doubt(end);
        let path = format!("{}{}.", fate.table, fate.number.unwrap_or_default());
        if own && fine && first {
            self.happens("ObjectDeletion", &path, "");
        }
    }

    /// Nobody will hear how this ends.
    pub(crate) fn lose(&mut self, asked: &Asked) {
        let now = self.tick;
        match &asked.what {
            What::Set { values, .. } => {
                for (path, _) in values {
                    self.cells.get_mut(path).unwrap().history.lose(asked.from, now);
                }
            }
            What::Add { name } => self.rows.get_mut(name).unwrap().added = End::Unknown,
            What::Delete { name } => {
                let fate = self.rows.get_mut(name).unwrap();
                fate.deleted = fate.deleted.filter(|d| *d != End::Open).max_by_doubt(End::Unknown);
            }
            What::Subscribe { sub } => self.subs[*sub].added = End::Unknown,
            What::Unsubscribe { sub } => self.subs[*sub].deleted = Some(End::Unknown),
            What::Get { .. } | What::Operate { .. } | What::Register => {}
        }
    }
}

/// The greater certainty that a row is gone.
trait Doubt {
    fn max_by_doubt(self, other: End) -> Option<End>;
}

impl Doubt for Option<End> {
    fn max_by_doubt(self, other: End) -> Self {
        let weight = |end: &End| match end {
            End::Failed => 0,
            End::Open => 1,
            End::Unknown => 2,
            End::Done => 3,
        };
        self.into_iter().chain([other]).max_by_key(weight)
    }
}
