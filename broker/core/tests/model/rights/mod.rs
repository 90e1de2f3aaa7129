//! Random Roles and Permissions with Order and overlaps, for several Controllers, over a table of the broker's own and
//! tables of two Services: each answer, each change and each notification against a naive reference.

mod changes;
mod ops;
mod reference;
mod requests;

use std::collections::BTreeSet;
use std::time::Duration;

use usp_core::config::{ControllerSeed, PermissionSeed, RoleSeed};
use usp_core::input::ConnId;
use usp_proto::endpoint_id::EndpointId;
use usp_proto::usp::request::ReqType;

use super::search;
use crate::bench::World;
use crate::bench::peer::get;
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
            self.controllers.iter().for_each(|conn| drop(self.w.notes(*conn)));
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
}

#[test]
fn rights_are_what_the_reference_says() {
    search(12, 40, ops::script, |script| Court::new().play(script));
}
