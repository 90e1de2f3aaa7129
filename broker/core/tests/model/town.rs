//! Three Controllers, three Services, two devices and a disk around one broker, and what is known of all of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use usp_core::config::ControllerSeed;
use usp_core::input::{ConnId, Input};
use usp_mapping::mapping::{NodeId, Site};
use usp_mapping::value::Value;
use usp_proto::endpoint_id::EndpointId;
use usp_proto::message;
use usp_proto::usp::request::ReqType;

use super::history::{Cell, History, Numbers, Owner, RowFate};
use super::ops::Op;
use super::subs::Sub;
use crate::bench::World;
use crate::bench::device::number;
use crate::bench::service::{FakeService, lamp};
use crate::bench::site;

pub(crate) const CONTROLLERS: [&str; 3] = ["self::c0", "self::c1", "self::c2"];
pub(crate) const SERVICES: [&str; 3] = ["self::a", "self::b", "self::c"];
pub(crate) const TOPS: [&str; 3] = ["Device.X_A.", "Device.X_B.", "Device.X_C."];
pub(crate) const DEVICES: [&str; 2] = ["a", "b"];

/// A Service, here or away.
pub(crate) struct House {
    pub(crate) conn: Option<ConnId>,
    pub(crate) away: Option<FakeService>,
    /// What it held when it last told its changes.
    pub(crate) told: BTreeMap<String, String>,
    /// command_key of each of its commands that run.
    pub(crate) running: Vec<String>,
}

/// What a request was for.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Set { values: Vec<(String, String)>, partial: bool },
    Get { path: String },
    Add { name: String },
    Delete { name: String },
    Subscribe { sub: usize },
    Unsubscribe { sub: usize },
    Operate { key: String },
    Register,
}

/// A request that is not answered yet.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) from: u64,
    pub(crate) what: What,
}

/// A command that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    pub(crate) path: String,
    pub(crate) from: u64,
    /// It was answered with a Request row.
    pub(crate) accepted: bool,
}

/// All of it.
pub(crate) struct Town {
    pub(crate) w: World,
    /// Counts everything that happens.
    pub(crate) tick: u64,
    pub(crate) calm: bool,
    /// The disk has refused something since the last calm time.
    pub(crate) forgetful: bool,
    serial: u32,
    pub(crate) controllers: [Option<ConnId>; 3],
    pub(crate) services: [House; 3],
    pub(crate) open: BTreeMap<(ConnId, String), Asked>,
    pub(crate) cells: BTreeMap<String, Cell>,
    pub(crate) rows: BTreeMap<String, RowFate>,
    pub(crate) numbers: Numbers,
    pub(crate) subs: Vec<Sub>,
    pub(crate) commands: BTreeMap<String, Command>,
    /// Notifications that are due by the end of this step, by Controller.
    pub(crate) expected: [Vec<String>; 3],
    pub(crate) got: [Vec<String>; 3],
    pub(crate) faults: Vec<String>,
    /// Every answer.
    pub(crate) transcript: Vec<String>,
    /// Time that passes after each step before anybody looks.
    pub(crate) pause: Duration,
}

pub(crate) fn level(device: usize) -> String {
    format!("Device.ProxiedDevice.{}.IoTCapability.1.LevelSensor.Value", device + 1)
}

/// The second device has its dimmer in a node.
pub(crate) fn dimmer(device: usize) -> String {
    let place = ["IoTCapability.4", "Node.1.IoTCapability.1"][device];
    format!("Device.ProxiedDevice.{}.{place}.LevelControl.Value", device + 1)
}

/// The site, in either order: that must not matter.
pub(crate) fn town_site(turned: bool) -> Arc<Site> {
    let mut site = site::site("a: box, b: box").as_ref().clone();
    let mut mapping = site.devices[1].mapping.as_ref().clone();
    site::twin(&mut mapping);
    let dimmer = &mut mapping.capabilities[3];
    (dimmer.node, dimmer.id) = (Some(NodeId(0)), "left.dimmer".to_owned());
    // The dimmer comes first in its node.
    mapping.capabilities[1].node = Some(NodeId(1));
    site.devices[1].mapping = Arc::new(mapping);
    if turned {
        site.devices.reverse();
    }
    Arc::new(site)
}

fn cells() -> BTreeMap<String, Cell> {
    let mut cells = BTreeMap::new();
    let mut cell = |path: String, owner, value: &str| {
        cells.insert(path, Cell { owner, history: History::new(value, 0), torn: false });
    };
    cell("Device.DeviceInfo.FriendlyName".to_owned(), Owner::Broker, "");
    cell("Device.DeviceInfo.ProvisioningCode".to_owned(), Owner::Broker, "");
    for (index, top) in TOPS.iter().enumerate() {
        cell(format!("{top}Colour"), Owner::Service(index), "red");
        cell(format!("{top}Zone.1.Level"), Owner::Service(index), "10");
    }
    for index in 0..DEVICES.len() {
        cell(dimmer(index), Owner::Device(index), "50");
        cell(level(index), Owner::Device(index), "20");
    }
    cells
}

impl Town {
    /// Everybody is there.
    pub(crate) fn new() -> Self {
        let mut config = crate::bench::config();
        config.seed.controllers.extend(CONTROLLERS.iter().map(|name| ControllerSeed {
            endpoint_id: EndpointId::parse(name).unwrap(),
            role: "Full Access".to_owned(),
            params: Vec::new(),
            mqtt: None,
        }));
        let house = |top| {
            let service = lamp(top);
            House { conn: None, told: service.values.clone(), away: Some(service), running: Vec::new() }
        };
        let mut town = Self {
            w: World::with(config),
            tick: 0,
            calm: false,
            forgetful: false,
            serial: 0,
            controllers: [None; 3],
            services: TOPS.map(house),
            open: BTreeMap::new(),
            cells: cells(),
            rows: BTreeMap::new(),
            numbers: Numbers::default(),
            subs: Vec::new(),
            commands: BTreeMap::new(),
            expected: Default::default(),
            got: Default::default(),
            faults: Vec::new(),
            transcript: Vec::new(),
            pause: Duration::ZERO,
        };
        for (index, device) in DEVICES.iter().enumerate() {
            town.w.devices.values.insert(((*device).to_owned(), 3), number("50"));
            town.w.devices.values.insert(((*device).to_owned(), 0), number(&(20 + index).to_string()));
        }
        town.w.load(town_site(false));
        town.step(&Op::Calm);
        town
    }

    /// Runs a whole script. Errors: what was seen and must not be.
    pub(crate) fn play(mut self, script: &[Op]) -> Result<(), String> {
        for (index, op) in script.iter().enumerate() {
            self.step(op);
            if let Some(fault) = self.faults.first() {
                return Err(format!("step {index}, {op:?}: {fault}"));
            }
        }
        Ok(())
    }

    /// A number that no other step has.
    pub(crate) fn serial(&mut self) -> u32 {
        self.serial += 1;
        self.serial
    }

    pub(crate) fn fault(&mut self, text: impl Into<String>) {
        self.faults.push(text.into());
    }

    /// The n-th Controller that is connected.
    pub(crate) fn someone(&self, by: usize) -> Option<(usize, ConnId)> {
        let here = || self.controllers.iter().enumerate().filter_map(|(i, c)| Some((i, (*c)?)));
        here().nth(by % here().count().max(1))
    }

    /// Sends a request that is to be answered once.
    pub(crate) fn ask(&mut self, conn: ConnId, request: ReqType, what: What) {
        let from = self.tick;
        let id = self.w.begin(conn, request);
        self.open.insert((conn, id), Asked { from, what });
    }

    pub(crate) fn controller_returns(&mut self, index: usize) {
        if self.controllers[index].is_none() {
            self.controllers[index] = Some(self.w.controller(CONTROLLERS[index]));
            self.presence_changes(index);
        }
    }

    pub(crate) fn controller_leaves(&mut self, index: usize) {
        if let Some(conn) = self.controllers[index].take() {
            self.w.disconnect(conn);
            self.presence_changes(index);
            self.forget_connection(conn);
        }
    }

    /// The process ends, and another begins with what is on disk.
    pub(crate) fn restart(&mut self) {
        // Who confirms what, and that it was told, may be on its way to disk.
        self.forgetful |= !self.w.disk.open.is_empty();
        for index in 0..SERVICES.len() {
            let house = &mut self.services[index];
            if let Some(conn) = house.conn.take() {
                house.away = self.w.services.remove(&conn);
            }
        }
        self.controllers = [None; 3];
        for ((_, _), asked) in std::mem::take(&mut self.open) {
            self.lose(&asked);
        }
        let world = std::mem::replace(&mut self.w, World::new());
        let values = world.devices.values.clone();
        self.w = world.restart();
        self.w.devices.values = values;
        self.w.load(town_site(true));
        self.subs_over_restart();
    }

    pub(crate) fn forget_connection(&mut self, conn: ConnId) {
        let open = std::mem::take(&mut self.open);
        let (gone, open) = open.into_iter().partition(|((of, _), _)| *of == conn);
        self.open = open;
        let gone: BTreeMap<_, Asked> = gone;
        gone.values().for_each(|asked| self.lose(asked));
    }

    /// A device's poll brings this level.
    pub(crate) fn report(&mut self, device: usize, value: &str) {
        let (now, path) = (self.tick, level(device));
        self.w.report(DEVICES[device], &[(0, number(value))]);
        let history = &mut self.cells.get_mut(&path).unwrap().history;
        history.begin(value, now, false);
        history.end(value, now, now, super::history::End::Done);
        self.changed(&path, value);
    }

    /// The slow disk says something of the batch that it has, if it has one.
    pub(crate) fn stored(&mut self, ok: bool) -> bool {
        let Some((batch, ops)) = self.w.disk.open.pop() else { return false };
        if ok {
            self.w.disk.apply(ops);
        }
        let result = if ok { Ok(()) } else { Err("lost".to_owned()) };
        self.w.input(Input::Stored { batch, result });
        true
    }

    /// Lets time pass, with everybody speaking and reading meanwhile.
    pub(crate) fn pass(&mut self, time: Duration) {
        let slice = Duration::from_millis(2500);
        let mut left = time;
        while !left.is_zero() {
            let now = left.min(slice);
            self.w.advance(now);
            self.listen();
            left -= now;
        }
    }

    /// Everybody reads what has come, until nothing comes any more.
    pub(crate) fn listen(&mut self) {
        self.services_speak();
        let mut notes = Vec::new();
        for index in 0..CONTROLLERS.len() {
            let Some(conn) = self.controllers[index] else { continue };
            for record in self.w.inbox.remove(&conn).unwrap_or_default() {
                let Some(msg) = record.msg().cloned() else { continue };
                if message::is_request(&msg) {
                    notes.push((index, conn, msg));
                } else {
                    self.answered(conn, &msg);
                }
            }
        }
        for conn in self.services.iter().filter_map(|s| s.conn).collect::<Vec<_>>() {
            for record in self.w.inbox.remove(&conn).unwrap_or_default() {
                if let Some(msg) = record.msg().filter(|m| !message::is_request(m)) {
                    self.answered(conn, &msg.clone());
                }
            }
        }
        let more = !notes.is_empty();
        for (index, conn, msg) in notes {
            self.notified(index, conn, msg);
        }
        if more {
            self.listen();
        }
    }

    /// Numbers of rows that were seen somewhere: nobody else may have had them.
    pub(crate) fn give(&mut self, table: &str, number: u32, name: &str) {
        if let Err(fault) = self.numbers.give(table, number, name) {
            self.fault(fault);
        }
    }

    /// A level that no other report has.
    pub(crate) fn new_level(&mut self) -> String {
        (100 + self.serial()).to_string()
    }

    /// A device shows this when it is read.
    pub(crate) fn shown(&self, device: usize, point: u16) -> Option<Value> {
        self.w.devices.values.get(&(DEVICES[device].to_owned(), point)).cloned()
    }
}
