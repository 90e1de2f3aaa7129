//! Random Roles and Permissions with Order and overlaps, for several Controllers, over a table of the broker's own and
//! tables of two Services: each answer, each change and each notification against a naive reference.

mod ops;
mod reference;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use usp_core::config::{ControllerSeed, PermissionSeed, RoleSeed};
use usp_core::input::ConnId;
use usp_proto::endpoint_id::EndpointId;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::{self, Delete, Notify};

use super::search;
use super::services::{about, changes};
use super::subs::covers;
use crate::bench::World;
use crate::bench::peer::{add, get, set};
use crate::bench::service::Manner;
use crate::bench::text;
use ops::Op;
use reference::{Kind, Permission, State, may, split};

const NAMES: [&str; 3] = ["self::r0", "self::r1", "self::r2"];
const ROLES: [&str; 2] = ["R0", "R1"];
const SERVICES: [(&str, &str); 2] = [("self::a", "Device.X_A."), ("self::b", "Device.X_B.")];
/// Path, what expressions compare, what is set.
const TABLES: [(&str, &str, &str); 3] = [
    ("Device.LocalAgent.Controller.1.BootParameter.", "ParameterName", "Enable"),
    ("Device.X_A.Zone.", "Name", "Level"),
    ("Device.X_B.Zone.", "Name", "Level"),
];
const KINDS: [(&str, Kind); 3] =
    [("ValueChange", Kind::Param), ("ObjectCreation", Kind::Obj), ("ObjectDeletion", Kind::InstantiatedObj)];
/// Longer than a Service takes for the question and the answer.
const SETTLED: Duration = Duration::from_secs(15);
/// A row that is not made yet.
const NEW: &str = "999999.";

struct Court {
    w: World,
    admin: ConnId,
    controllers: [ConnId; 3],
    services: [ConnId; 2],
    permissions: Vec<Permission>,
    /// By Controller.
    assigned: [Vec<usize>; 3],
    serial: u32,
    faults: Vec<String>,
}

fn name(n: usize) -> String {
    format!("Device.N{n}")
}

fn pool() -> Vec<String> {
    let mut pool = vec!["Device.".to_owned()];
    for (table, key, value) in TABLES {
        let mut more = |rest: &str| pool.push(format!("{table}{rest}"));
        ["", "*.", "1.", "2."].iter().for_each(|rest| more(rest));
        [format!("*.{value}"), format!("*.{key}"), format!("1.{value}")].iter().for_each(|rest| more(rest));
        for n in 0..3 {
            more(&format!("[{key}==\"{}\"].", name(n)));
            more(&format!("[{key}==\"{}\"].{value}", name(n)));
        }
    }
    pool
}

fn text_of(bits: u8) -> String {
    "rwxn".chars().enumerate().map(|(i, letter)| if bits & (8 >> i) == 0 { '-' } else { letter }).collect()
}

fn config() -> usp_core::config::CoreConfig {
    let mut config = crate::bench::config();
    let own = PermissionSeed {
        order: 1,
        targets: vec!["Device.LocalAgent.Subscription.".to_owned()],
        param: "rwxn".to_owned(),
        obj: "rwxn".to_owned(),
        instantiated_obj: "rwxn".to_owned(),
        command_event: "----".to_owned(),
    };
    config.seed.roles.push(RoleSeed { name: "Base".to_owned(), permissions: vec![own] });
    let empty = |name: &&str| RoleSeed { name: (*name).to_owned(), permissions: Vec::new() };
    config.seed.roles.extend(ROLES.iter().map(empty));
    config.seed.controllers.extend(NAMES.iter().map(|name| ControllerSeed {
        endpoint_id: EndpointId::parse(name).unwrap(),
        role: "Base".to_owned(),
        params: Vec::new(),
        mqtt: None,
    }));
    config
}

impl Court {
    fn new() -> Self {
        let mut w = World::with(config());
        let admin = w.controller("self::admin");
        let controllers = NAMES.map(|name| w.controller(name));
        let services = SERVICES.map(|(service, top)| {
            let conn = w.lamp(service, top);
            let values = &mut w.services.get_mut(&conn).unwrap().values;
            for n in 0..2 {
                values.insert(format!("{top}Zone.{}.Name", n + 1), name(n));
            }
            conn
        });
        for n in 0..2 {
            w.add(admin, TABLES[0].0, &[&format!("ParameterName={}", name(n))]);
        }
        let references = TABLES.map(|(table, ..)| table).join(",");
        for conn in controllers {
            for (kind, _) in KINDS {
                w.subscribe(conn, kind, kind, &references);
            }
            w.notes(conn);
        }
        let assigned = Default::default();
        Self {
            w,
            admin,
            controllers,
            services,
            permissions: Vec::new(),
            assigned,
            serial: 0,
            faults: Vec::new(),
        }
    }

    fn play(mut self, script: &[Op]) -> Result<(), String> {
        for (index, op) in script.iter().enumerate() {
            let before = self.state();
            self.controllers.map(|conn| self.w.notes(conn));
            let told = self.services.map(|conn| self.w.services[&conn].values.clone());
            self.step(op, &before);
            self.services_tell(&told);
            self.w.advance(SETTLED);
            let after = self.state();
            self.compare_notes(&before, &after);
            if self.w.broker.pending() != 0 {
                self.faults.push("something is pending".to_owned());
            }
            if let Some(fault) = self.faults.first() {
                return Err(format!("step {index}, {op:?}: {fault}\n{:#?}\n{before:#?}", self.permissions));
            }
        }
        Ok(())
    }

    /// Whoever may see everything looks at everything.
    fn state(&mut self) -> State {
        let mut state = State::new();
        for (table, ..) in TABLES {
            let all = self.ask(self.admin, get(&[&format!("{table}*.")], 0));
            let values = all.lines().filter_map(|line| line.split_once('='));
            state.extend(values.map(|(path, value)| (path.to_owned(), value.to_owned())));
        }
        state.retain(|path, _| !path.ends_with("Alias"));
        state
    }

    /// A request, with the time that it takes.
    fn ask(&mut self, conn: ConnId, request: ReqType) -> String {
        let id = self.w.begin(conn, request);
        if let Some(answer) = self.w.answer(conn, &id) {
            return text::answer(&answer);
        }
        self.w.advance(SETTLED);
        text::answer(&self.w.answer(conn, &id).expect("an answer"))
    }

    fn may(&self, who: usize, kind: Kind, letter: char, path: &str, state: &State) -> bool {
        may(&self.permissions, &self.assigned[who], kind, letter, path, state)
    }

    fn check(&mut self, is_right: bool, text: impl FnOnce() -> String) {
        if !is_right {
            self.faults.push(text());
        }
    }

    fn step(&mut self, op: &Op, state: &State) {
        let cells: Vec<&String> = state.keys().collect();
        let cell = |nth: usize| cells[nth % cells.len()].clone();
        let rows: BTreeSet<&str> = state.keys().map(|path| split(path).0).collect();
        let rows: Vec<&str> = rows.into_iter().collect();
        let row = |nth: usize| rows[nth % rows.len()].to_owned();
        match op {
            Op::Get { by, cell: nth } => self.get(by % 3, &cell(*nth), state),
            Op::Look { by, table, key } => self.look(by % 3, TABLES[table % 3], *key, state),
            Op::Set { by, cell: nth } => self.set(by % 3, &cell(*nth), state),
            Op::SetAll { by, table } => self.set_all(by % 3, TABLES[table % 3], state),
            Op::Add { by, table, name } => self.add(by % 3, TABLES[table % 3], *name, state),
            Op::Delete { by, row: nth } if rows.len() > 4 => self.delete(by % 3, &row(*nth), state),
            Op::Rename { row: nth, name: n } => {
                let row = row(*nth);
                let (_, key, _) = TABLES.into_iter().find(|(table, ..)| row.starts_with(table)).unwrap();
                self.put(&format!("{row}{key}"), &name(*n));
            }
            Op::Change { row: nth } => {
                let row = row(*nth);
                let (_, _, value) = TABLES.into_iter().find(|(table, ..)| row.starts_with(table)).unwrap();
                let path = format!("{row}{value}");
                let new = self.new_value(&path, state);
                self.put(&path, &new);
            }
            Op::Slow { service, ms } => {
                let manner = Manner::Slow(Duration::from_millis(*ms));
                self.w.manner(self.services[service % 2], manner);
            }
            Op::Delete { .. } => {}
            rights => self.change_rights(rights),
        }
    }

    fn change_rights(&mut self, op: &Op) {
        let role = |n: usize| format!("Device.LocalAgent.ControllerTrust.Role.{}.", n % 2 + 4);
        let nth = |n: usize, court: &Self| n % court.permissions.len().max(1);
        match op {
            Op::Permit { role: n, order, targets, letters } => {
                let pool = pool();
                let targets: Vec<String> = targets.iter().map(|n| pool[n % pool.len()].clone()).collect();
                let letters = letters.map(text_of);
                let settings = [
                    "Enable=true".to_owned(),
                    format!("Order={order}"),
                    format!("Targets={}", targets.join(",")),
                    format!("Param={}", letters[0]),
                    format!("Obj={}", letters[1]),
                    format!("InstantiatedObj={}", letters[2]),
                ];
                let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
                let table = format!("{}Permission.", role(*n));
                let made = self.ask(self.admin, add(false, &[(&table, &settings)]));
                // Order is a unique key.
                if let Some(path) = made.split(' ').next().filter(|path| path.starts_with(&table)) {
                    let path = path.to_owned();
                    let permission =
                        Permission { role: n % 2, path, order: *order, targets, letters, enabled: true };
                    self.permissions.push(permission);
                }
            }
            Op::Revoke(n) if !self.permissions.is_empty() => {
                let gone = self.permissions.remove(nth(*n, self));
                self.w.delete(self.admin, &[&gone.path]);
            }
            Op::Enable(n, on) if !self.permissions.is_empty() => {
                let index = nth(*n, self);
                self.permissions[index].enabled = *on;
                let path = self.permissions[index].path.clone();
                self.w.set(self.admin, &path, &[&format!("Enable={on}")]);
            }
            Op::Order(n, order) if !self.permissions.is_empty() => {
                let index = nth(*n, self);
                let path = self.permissions[index].path.clone();
                if !self.w.set(self.admin, &path, &[&format!("Order={order}")]).starts_with("Error") {
                    self.permissions[index].order = *order;
                }
            }
            Op::Assign { who, roles } => {
                let who = who % 3;
                self.assigned[who] = (0..2).filter(|n| roles & (1 << n) != 0).collect();
                let base = "Device.LocalAgent.ControllerTrust.Role.3".to_owned();
                let more = self.assigned[who].iter().map(|n| role(*n).trim_end_matches('.').to_owned());
                let list = std::iter::once(base).chain(more).collect::<Vec<_>>().join(",");
                let row = format!("Device.LocalAgent.Controller.{}.", who + 1);
                self.w.set(self.admin, &row, &[&format!("AssignedRole={list}")]);
            }
            _ => {}
        }
    }

    fn get(&mut self, by: usize, path: &str, state: &State) {
        let answer = self.ask(self.controllers[by], get(&[path], 0));
        let expected = match self.may(by, Kind::Param, 'r', path, state) {
            true => format!("{path}={}", state[path]),
            false => format!("{path}: 7026"),
        };
        self.check(answer == expected, || format!("{answer} is not {expected}"));
    }

    fn look(&mut self, by: usize, (table, key, value): (&str, &str, &str), of_key: bool, state: &State) {
        let param = if of_key { key } else { value };
        let answer = self.ask(self.controllers[by], get(&[&format!("{table}*.{param}")], 0));
        let own = state.iter().filter(|(path, _)| path.starts_with(table) && split(path).1 == param);
        let own: Vec<(&String, &String)> = own.collect();
        let seen = own.iter().filter(|(path, _)| self.may(by, Kind::Param, 'r', path, state));
        let seen = seen.map(|(path, value)| format!("{path}={value}")).collect::<Vec<_>>().join("\n");
        self.check(answer == seen, || format!("{answer} is not {seen}"));
        let request = usp::GetInstances { obj_paths: vec![table.to_owned()], first_level_only: true };
        let answer = self.ask(self.controllers[by], ReqType::GetInstances(request));
        let listed: Vec<&str> = answer.lines().map(|line| line.split(' ').next().unwrap()).collect();
        let rows = own.iter().map(|(path, _)| split(path).0);
        let rows: Vec<&str> = rows.filter(|r| self.may(by, Kind::InstantiatedObj, 'r', r, state)).collect();
        self.check(listed == rows, || format!("{answer} is not {rows:?}"));
    }

    fn new_value(&mut self, path: &str, state: &State) -> String {
        self.serial += 1;
        match path {
            _ if path.ends_with("Enable") => (state[path] != "true").to_string(),
            _ if path.ends_with("Level") => self.serial.to_string(),
            _ => name(self.serial as usize % 3),
        }
    }

    fn set(&mut self, by: usize, path: &str, state: &State) {
        // A key of ours may be in use.
        if path.ends_with("ParameterName") {
            return;
        }
        let (row, param) = split(path);
        let value = self.new_value(path, state);
        let answer = self.ask(self.controllers[by], set(false, &[(row, &[&format!("{param}={value}")])]));
        let allowed = self.may(by, Kind::Param, 'w', path, state);
        let now = self.state()[path].clone();
        let expected = if allowed { &value } else { &state[path] };
        self.check(now == *expected, || format!("{path} is {now}: {answer}"));
        self.check(answer.starts_with(row) == allowed, || format!("{path}: {answer}"));
    }

    /// All rows that may be known of or changed, or none (R-SET.2a).
    fn set_all(&mut self, by: usize, (table, _, param): (&str, &str, &str), state: &State) {
        let own = state.keys().filter(|path| path.starts_with(table) && split(path).1 == param);
        let own: Vec<&String> = own.collect();
        let Some(first) = own.first() else { return };
        let value = self.new_value(first, state);
        let (may, no) = own.iter().partition::<Vec<_>, _>(|p| self.may(by, Kind::Param, 'w', p, state));
        let known = |path: &&&String| {
            let row = split(path).0;
            let of_row = [Kind::Obj, Kind::InstantiatedObj].map(|kind| self.may(by, kind, 'r', row, state));
            of_row.contains(&true) || self.may(by, Kind::Param, 'r', path, state)
        };
        let fails = no.iter().any(|path| known(&path));
        let done: BTreeSet<String> = may.iter().filter(|_| !fails).map(|path| (**path).clone()).collect();
        let request = set(false, &[(&format!("{table}*."), &[&format!("{param}={value}")])]);
        let answer = self.ask(self.controllers[by], request);
        let after = self.state();
        for path in own.iter().map(|path| (*path).clone()).collect::<Vec<_>>() {
            let expected = if done.contains(&path) { &value } else { &state[&path] };
            self.check(after[&path] == *expected, || format!("{path} is {}: {answer}", after[&path]));
        }
    }

    fn add(&mut self, by: usize, (table, key, _): (&str, &str, &str), n: usize, state: &State) {
        let own = table.contains("LocalAgent");
        let value = if own { format!("Device.X{}", self.serial) } else { name(n) };
        self.serial += 1;
        let answer = self.ask(self.controllers[by], add(false, &[(table, &[&format!("{key}={value}")])]));
        let new = format!("{table}{NEW}");
        let allowed = self.may(by, Kind::Obj, 'w', &new, state)
            && self.may(by, Kind::Param, 'w', &format!("{new}{key}"), state);
        self.check(answer.starts_with(table) == allowed, || format!("{allowed}: {answer}"));
    }

    fn delete(&mut self, by: usize, row: &str, state: &State) {
        let request = Delete { allow_partial: false, obj_paths: vec![row.to_owned()] };
        let answer = self.ask(self.controllers[by], ReqType::Delete(request));
        let allowed = self.may(by, Kind::InstantiatedObj, 'w', row, state);
        let gone = !self.state().keys().any(|path| split(path).0 == row);
        self.check(gone == allowed, || format!("{row}: {answer}"));
    }

    /// A value changes: one of ours by the administrator, one of a Service by itself.
    fn put(&mut self, path: &str, value: &str) {
        match SERVICES.iter().position(|(_, top)| path.starts_with(top)) {
            Some(index) => {
                let service = self.w.services.get_mut(&self.services[index]).unwrap();
                service.values.insert(path.to_owned(), value.to_owned());
            }
            None => {
                let (row, param) = split(path);
                self.w.set(self.admin, row, &[&format!("{param}={value}")]);
            }
        }
    }

    /// One notification for each of the broker's rows that it fits.
    fn services_tell(&mut self, before: &[BTreeMap<String, String>; 2]) {
        for (conn, before) in self.services.into_iter().zip(before) {
            let service = &self.w.services[&conn];
            let (now, rows) = (service.values.clone(), service.subscriptions());
            for what in changes(before, &now) {
                let (kind, path) = about(&what);
                for ((_, _), id) in rows.iter().filter(|((k, r), _)| k == kind && covers(r, &path)) {
                    let notification = Some(what.clone());
                    let notify = Notify { subscription_id: id.clone(), send_resp: false, notification };
                    self.w.begin(conn, ReqType::Notify(notify));
                }
            }
        }
    }

    /// What has changed was told to whom it may be told, and nothing else.
    fn compare_notes(&mut self, before: &State, after: &State) {
        let rows = |state: &State| -> BTreeSet<String> {
            state.keys().map(|path| split(path).0.to_owned()).collect()
        };
        let (old, new) = (rows(before), rows(after));
        let changed = after.iter().filter(|(path, value)| before.get(*path).is_some_and(|v| v != *value));
        let changed = changed.map(|(path, value)| (0, path.clone(), format!("{path}={value}")));
        let created = new.difference(&old).map(|row| (1, row.clone(), row.clone()));
        let deleted = old.difference(&new).map(|row| (2, row.clone(), row.clone()));
        let happened: Vec<(usize, String, String)> = changed.chain(created).chain(deleted).collect();
        for who in 0..3 {
            let notes = self.w.notes(self.controllers[who]);
            let mut told: Vec<String> = notes
                .iter()
                .map(|note| note.split(' ').skip(1).take(2).collect::<Vec<_>>().join(" "))
                .collect();
            for (kind, path, text) in &happened {
                let (name, right) = KINDS[*kind];
                let was = self.may(who, right, 'n', path, before);
                let is = self.may(who, right, 'n', path, after);
                let text = format!("{name} {text}");
                let count = told.iter().filter(|note| **note == text).count();
                told.retain(|note| *note != text);
                let fits = match kind {
                    2 => count == usize::from(was),
                    _ if was || !is => count == usize::from(is),
                    // What a Target meant just before, and does not mean now, may be kept back.
                    _ => count < 2,
                };
                self.check(fits, || format!("{} was told {count} times of {text}: {was}, {is}", NAMES[who]));
            }
            self.check(told.is_empty(), || format!("{} was told {told:?}", NAMES[who]));
        }
    }
}

#[test]
fn rights_are_what_the_reference_says() {
    search(12, 40, ops::script, |script| Court::new().play(script));
}
