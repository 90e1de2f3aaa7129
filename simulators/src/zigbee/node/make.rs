//! The kinds of devices.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::mischief::Mischief;
use crate::near::hint;
use crate::world::{Behaviour, World};

use super::super::ieee::Ieee;
use super::super::zcl::{Value, kind};
use super::act::Action;
use super::point::{Coding, Link, Point};
use super::{Attribute, Endpoint, HOME, Key, Logical, Node};

/// A kind of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A plug that switches and meters.
    Plug,
    /// A light with brightness, colour and colour temperature.
    Light,
    /// A sleepy sensor of temperature and humidity.
    Climate,
    /// A sleepy sensor of movement, with brightness.
    Occupancy,
    /// A sleepy contact of a door or a window, that has to be enrolled.
    Contact,
    /// A sleepy thermostat of a radiator.
    Thermostat,
    /// A sleepy lock.
    Lock,
    /// A blind.
    Cover,
    /// A sleepy button.
    Button,
    /// A siren.
    Siren,
}

impl Kind {
    /// All of them, by the names that they have in texts.
    pub const ALL: [(Self, &'static str); 10] = [
        (Self::Plug, "plug"),
        (Self::Light, "light"),
        (Self::Climate, "climate"),
        (Self::Occupancy, "occupancy"),
        (Self::Contact, "contact"),
        (Self::Thermostat, "thermostat"),
        (Self::Lock, "lock"),
        (Self::Cover, "cover"),
        (Self::Button, "button"),
        (Self::Siren, "siren"),
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL.iter().find(|(kind, _)| kind == self).map_or("", |(_, name)| name))
    }
}

/// There is no such kind of device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind {0:?}; known are: {1}{meant}", meant = hint(.0, .1))]
pub struct NoKind(String, String);

impl FromStr for Kind {
    type Err = NoKind;

    fn from_str(text: &str) -> Result<Self, NoKind> {
        let known = || Self::ALL.map(|(_, name)| name).join(", ");
        let found = Self::ALL.iter().find(|(_, name)| *name == text);
        found.map(|(kind, _)| *kind).ok_or_else(|| NoKind(text.to_owned(), known()))
    }
}

impl Node {
    /// A device of this kind, with its kind as its name.
    pub fn new(kind: Kind, ieee: Ieee) -> Self {
        let made = Maker::new(&kind.to_string(), ieee);
        match kind {
            Kind::Plug => plug(made),
            Kind::Light => light(made),
            Kind::Climate => climate(made),
            Kind::Occupancy => occupancy(made),
            Kind::Contact => contact(made),
            Kind::Thermostat => thermostat(made),
            Kind::Lock => lock(made),
            Kind::Cover => cover(made),
            Kind::Button => button(made),
            Kind::Siren => siren(made),
        }
        .done()
    }
}

/// How often a battery device asks its parent for what has come.
const POLLS: Duration = Duration::from_secs(5);

/// What only grows, or has no end.
const ANY: (f64, f64) = (0.0, 1e12);

fn plug(made: Maker) -> Maker {
    made.basic("USP Simulators", "SIM-PLUG", 1)
        .endpoint(1, 0x0051, &[0x0000, 0x0003, 0x0004, 0x0006, 0x0702, 0x0b04], &[0x000a])
        .quantity("on", 1.0, (0.0, 1.0), Behaviour::Held)
        .quantity("voltage", 230.0, (0.0, 300.0), around(230.0, 1.0, 20.0))
        .quantity(
            "power",
            60.0,
            ANY,
            Behaviour::Load { middle: 60.0, idle: 0.0, spread: 2.0, switches: vec!["on".to_owned()] },
        )
        .quantity(
            "current",
            0.26,
            ANY,
            Behaviour::Ratio { share: 1.0, over: "power".to_owned(), by: "voltage".to_owned() },
        )
        .quantity(
            "energy",
            12.5,
            ANY,
            Behaviour::Integral { of: "power".to_owned(), gain: 1.0 / 3_600_000.0 },
        )
        .point("on", 0x0006, 0x0000, kind::BOOL, 1.0, Link::Drives)
        .writable(0x0006, 0x4003, kind::ENUM8, 255)
        .held(0x0006, 0x4001, kind::U16, 0)
        .point("energy", 0x0702, 0x0000, kind::U48, 1000.0, Link::Shows)
        .held(0x0702, 0x0200, kind::MAP8, 0)
        .held(0x0702, 0x0300, kind::ENUM8, 0)
        .held(0x0702, 0x0301, kind::U24, 1)
        .held(0x0702, 0x0302, kind::U24, 1000)
        .held(0x0702, 0x0303, kind::MAP8, 0x33)
        .held(0x0702, 0x0306, kind::MAP8, 0)
        .held(0x0b04, 0x0000, kind::U32, 1)
        .point("voltage", 0x0b04, 0x0505, kind::U16, 10.0, Link::Shows)
        .point("current", 0x0b04, 0x0508, kind::U16, 1000.0, Link::Shows)
        .point("power", 0x0b04, 0x050b, kind::S16, 10.0, Link::Shows)
        .held(0x0b04, 0x0600, kind::U16, 1)
        .held(0x0b04, 0x0601, kind::U16, 10)
        .held(0x0b04, 0x0602, kind::U16, 1)
        .held(0x0b04, 0x0603, kind::U16, 1000)
        .held(0x0b04, 0x0604, kind::U16, 1)
        .held(0x0b04, 0x0605, kind::U16, 10)
}

fn light(made: Maker) -> Maker {
    made.basic("USP Simulators", "SIM-LIGHT", 1)
        .endpoint(1, 0x010d, &[0x0000, 0x0003, 0x0004, 0x0005, 0x0006, 0x0008, 0x0300], &[0x0019])
        .point("on", 0x0006, 0x0000, kind::BOOL, 1.0, Link::None)
        .held(0x0006, 0x4001, kind::U16, 0)
        .point("level", 0x0008, 0x0000, kind::U8, 1.0, Link::None)
        .initially("level", 254.0)
        .held(0x0008, 0x0001, kind::U16, 0)
        .writable(0x0008, 0x0010, kind::U16, 0)
        .point("hue", 0x0300, 0x0000, kind::U8, 1.0, Link::None)
        .point("saturation", 0x0300, 0x0001, kind::U8, 1.0, Link::None)
        .point("x", 0x0300, 0x0003, kind::U16, 65536.0, Link::None)
        .point("y", 0x0300, 0x0004, kind::U16, 65536.0, Link::None)
        .point("mireds", 0x0300, 0x0007, kind::U16, 1.0, Link::None)
        .initially("mireds", 370.0)
        .point("mode", 0x0300, 0x0008, kind::ENUM8, 1.0, Link::None)
        .initially("mode", 2.0)
        .writable(0x0300, 0x000f, kind::MAP8, 0)
        .held(0x0300, 0x400a, kind::MAP16, 0x0019)
        .held(0x0300, 0x400b, kind::U16, 153)
        .held(0x0300, 0x400c, kind::U16, 500)
}

fn climate(made: Maker) -> Maker {
    made.basic("USP Simulators", "SIM-CLIMATE", 3)
        .sleepy(POLLS)
        .endpoint(1, 0x0302, &[0x0000, 0x0001, 0x0003, 0x0020, 0x0402, 0x0405], &[0x0019])
        .battery()
        .check_in(3600 * 4)
        .quantity("temperature", 21.0, (-40.0, 80.0), around(21.0, 1.0, 600.0))
        .quantity("humidity", 45.0, (0.0, 100.0), around(45.0, 4.0, 600.0))
        .point("temperature", 0x0402, 0x0000, kind::S16, 100.0, Link::Shows)
        .held(0x0402, 0x0001, kind::S16, -4000)
        .held(0x0402, 0x0002, kind::S16, 8000)
        .point("humidity", 0x0405, 0x0000, kind::U16, 100.0, Link::Shows)
        .held(0x0405, 0x0001, kind::U16, 0)
        .held(0x0405, 0x0002, kind::U16, 10000)
}

fn occupancy(made: Maker) -> Maker {
    made.basic("USP Simulators", "SIM-OCCUPANCY", 3)
        .sleepy(POLLS)
        .endpoint(1, 0x0107, &[0x0000, 0x0001, 0x0003, 0x0400, 0x0406], &[0x0019])
        .battery()
        .quantity("illuminance", 100.0, (0.0, 50_000.0), around(100.0, 40.0, 600.0))
        .point("occupied", 0x0406, 0x0000, kind::MAP8, 1.0, Link::None)
        .bit("occupied", 0)
        .held(0x0406, 0x0001, kind::ENUM8, 0)
        .writable(0x0406, 0x0010, kind::U16, 60)
        .point("illuminance", 0x0400, 0x0000, kind::U16, 1.0, Link::Shows)
        .in_lux("illuminance")
}

fn contact(made: Maker) -> Maker {
    made.basic("USP Simulators", "SIM-CONTACT", 3)
        .sleepy(POLLS)
        .endpoint(1, 0x0402, &[0x0000, 0x0001, 0x0003, 0x0020, 0x0500], &[0x0019])
        .battery()
        .check_in(3600 * 4)
        .held(0x0500, 0x0000, kind::ENUM8, 0)
        .held(0x0500, 0x0001, kind::ENUM16, 0x0015)
        .point("status", 0x0500, 0x0002, kind::MAP16, 1.0, Link::None)
        .point("open", 0x0500, 0x0002, kind::MAP16, 1.0, Link::None)
        .bit("open", 0)
        .point("tamper", 0x0500, 0x0002, kind::MAP16, 1.0, Link::None)
        .bit("tamper", 2)
        .point("low_battery", 0x0500, 0x0002, kind::MAP16, 1.0, Link::None)
        .bit("low_battery", 3)
        .writable(0x0500, 0x0010, kind::IEEE, 0)
        .held(0x0500, 0x0011, kind::U8, 0xff)
}

fn thermostat(made: Maker) -> Maker {
    let aim = Behaviour::Approaches { target: "heat_to".to_owned(), memory: 300.0, noise: 0.01 };
    made.basic("USP Simulators", "SIM-THERMOSTAT", 3)
        .sleepy(Duration::from_secs(2))
        .endpoint(1, 0x0301, &[0x0000, 0x0001, 0x0003, 0x0201], &[0x0019])
        .battery()
        .quantity("heat_to", 21.0, (5.0, 30.0), Behaviour::Held)
        .quantity("temperature", 19.5, (-40.0, 60.0), aim)
        .point("temperature", 0x0201, 0x0000, kind::S16, 100.0, Link::Shows)
        .held(0x0201, 0x0003, kind::S16, 500)
        .held(0x0201, 0x0004, kind::S16, 3000)
        .point("heat_to", 0x0201, 0x0012, kind::S16, 100.0, Link::Drives)
        .initially("heat_to", 21.0)
        .may_write("heat_to")
        .held(0x0201, 0x001b, kind::ENUM8, 2)
        .point("system_mode", 0x0201, 0x001c, kind::ENUM8, 1.0, Link::None)
        .initially("system_mode", 4.0)
        .may_write("system_mode")
        .held(0x0201, 0x0029, kind::MAP16, 1)
}

fn lock(made: Maker) -> Maker {
    made.basic("USP Simulators", "SIM-LOCK", 3)
        .sleepy(Duration::from_millis(500))
        .endpoint(1, 0x000a, &[0x0000, 0x0001, 0x0003, 0x0101], &[0x0019])
        .battery()
        .point("state", 0x0101, 0x0000, kind::ENUM8, 1.0, Link::None)
        .initially("state", 1.0)
        .held(0x0101, 0x0001, kind::ENUM8, 0)
        .held(0x0101, 0x0002, kind::BOOL, 1)
}

fn cover(made: Maker) -> Maker {
    made.basic("USP Simulators", "SIM-COVER", 1)
        .endpoint(1, 0x0202, &[0x0000, 0x0003, 0x0004, 0x0102], &[0x0019])
        .held(0x0102, 0x0000, kind::ENUM8, 8)
        .held(0x0102, 0x0007, kind::MAP8, 0x0b)
        .point("lift", 0x0102, 0x0008, kind::U8, 1.0, Link::None)
        .point("tilt", 0x0102, 0x0009, kind::U8, 1.0, Link::None)
        .writable(0x0102, 0x0017, kind::MAP8, 0)
}

fn button(made: Maker) -> Maker {
    let act = |name: &str, cluster, command, payload: &[u8]| Action {
        name: name.to_owned(),
        endpoint: 1,
        cluster,
        command,
        payload: payload.to_vec(),
    };
    made.basic("USP Simulators", "SIM-BUTTON", 3)
        .sleepy(POLLS)
        .endpoint(1, 0x0006, &[0x0000, 0x0001, 0x0003], &[0x0006, 0x0008, 0x0005])
        .battery()
        .action(act("press", 0x0006, 0x02, &[]))
        .action(act("on", 0x0006, 0x01, &[]))
        .action(act("off", 0x0006, 0x00, &[]))
        .action(act("up", 0x0008, 0x06, &[0, 43, 5, 0]))
        .action(act("down", 0x0008, 0x06, &[1, 43, 5, 0]))
        .action(act("scene", 0x0005, 0x05, &[0, 0, 1]))
}

fn siren(made: Maker) -> Maker {
    made.basic("USP Simulators", "SIM-SIREN", 1)
        .endpoint(1, 0x0403, &[0x0000, 0x0003, 0x0500, 0x0502], &[0x0019])
        .held(0x0500, 0x0000, kind::ENUM8, 0)
        .held(0x0500, 0x0001, kind::ENUM16, 0x0225)
        .held(0x0500, 0x0002, kind::MAP16, 0)
        .writable(0x0500, 0x0010, kind::IEEE, 0)
        .held(0x0500, 0x0011, kind::U8, 0xff)
        .writable(0x0502, 0x0000, kind::U16, 240)
        .point("sounds", 0x0502, 0xfff0, kind::U8, 1.0, Link::None)
}

fn around(middle: f64, spread: f64, memory: f64) -> Behaviour {
    Behaviour::Around { middle, spread, memory }
}

/// A device that is being made.
pub(super) struct Maker(pub(super) Node);

impl Maker {
    pub(super) fn new(name: &str, ieee: Ieee) -> Self {
        Self(Node {
            name: name.to_owned(),
            ieee,
            logical: Logical::Router,
            manufacturer: 0x1234,
            endpoints: Vec::new(),
            attributes: BTreeMap::new(),
            points: Vec::new(),
            bindings: Vec::new(),
            groups: BTreeSet::new(),
            scenes: BTreeMap::new(),
            world: World::new(ieee.0),
            still: false,
            motions: Vec::new(),
            actions: Vec::new(),
            takes: BTreeSet::new(),
            address: 0xfffe,
            coordinator: None,
            enrol: false,
            faults: Mischief::default(),
            alarm_told: BTreeMap::new(),
            check_in_at: None,
            flood_at: Duration::ZERO,
            sequence: 0,
            at: Duration::ZERO,
            obeyed: Vec::new(),
        })
    }

    pub(super) fn done(self) -> Node {
        self.0
    }

    /// Basic of endpoint 1, and Identify: power 1 is the mains, 3 a battery.
    fn basic(mut self, manufacturer: &str, model: &str, power: i128) -> Self {
        self = self.held(0x0000, 0x0000, kind::U8, 8);
        self = self.held(0x0000, 0x0001, kind::U8, 1);
        for (attribute, text) in [(0x0004, manufacturer), (0x0005, model), (0x4000, "1.0")] {
            self.add(Key::new(1, 0x0000, attribute), Value::text(text), false, false);
        }
        self.held(0x0000, 0x0007, kind::ENUM8, power).writable(0x0003, 0x0000, kind::U16, 0)
    }

    fn endpoint(mut self, id: u8, device: u16, inputs: &[u16], outputs: &[u16]) -> Self {
        let (inputs, outputs) = (inputs.to_vec(), outputs.to_vec());
        self.0.endpoints.push(Endpoint { id, profile: HOME, device, inputs, outputs });
        self
    }

    fn sleepy(mut self, polls: Duration) -> Self {
        self.0.logical = Logical::Sleepy(polls);
        self
    }

    /// Power Configuration, with a battery that gets empty.
    fn battery(self) -> Self {
        self.quantity("battery", 87.0, (0.0, 100.0), Behaviour::Drains { per_hour: 0.01 })
            .quantity("battery_voltage", 2.9, (0.0, 3.3), Behaviour::Held)
            .point("battery", 0x0001, 0x0021, kind::U8, 2.0, Link::Shows)
            .point("battery_voltage", 0x0001, 0x0020, kind::U8, 10.0, Link::Shows)
    }

    /// Poll Control: it says that it is awake, so often.
    fn check_in(self, quarters: i128) -> Self {
        self.writable(0x0020, 0x0000, kind::U32, quarters)
            .held(0x0020, 0x0001, kind::U32, 20)
            .held(0x0020, 0x0002, kind::U16, 2)
            .writable(0x0020, 0x0003, kind::U16, 40)
    }

    pub(super) fn add(&mut self, key: Key, value: Value, writable: bool, reportable: bool) {
        self.0.attributes.insert(key, Attribute { value, writable, reportable, reporting: None });
    }

    /// An attribute that stays as it is.
    fn held(mut self, cluster: u16, attribute: u16, kind: u8, number: i128) -> Self {
        self.add(Key::new(1, cluster, attribute), Value::whole(kind, number), false, false);
        self
    }

    /// An attribute that can be written.
    fn writable(mut self, cluster: u16, attribute: u16, kind: u8, number: i128) -> Self {
        self.add(Key::new(1, cluster, attribute), Value::whole(kind, number), true, false);
        self
    }

    fn quantity(mut self, name: &str, initial: f64, range: (f64, f64), behaviour: Behaviour) -> Self {
        self.0.world.add(name, initial, range, behaviour);
        self
    }

    /// An attribute that can be reported, with a name.
    fn point(mut self, name: &str, cluster: u16, attribute: u16, kind: u8, factor: f64, link: Link) -> Self {
        let key = Key::new(1, cluster, attribute);
        let number = self.0.world.get(name).unwrap_or(0.0) * factor;
        if !self.0.attributes.contains_key(&key) {
            self.add(key, Value::of_number(kind, number), false, true);
        }
        let coding = match kind {
            kind::BOOL => Coding::Flag { off: 0, on: 1, all: None },
            _ => Coding::Number { scale: 1.0 / factor, offset: 0.0 },
        };
        self.0.points.push(Point { name: name.to_owned(), key, bits: None, coding, link });
        self
    }

    /// It is one bit of its attribute.
    fn bit(mut self, name: &str, bit: u8) -> Self {
        for point in self.0.points.iter_mut().filter(|point| point.name == name) {
            point.bits = Some((bit, bit));
            point.coding = Coding::Flag { off: 0, on: 1, all: None };
        }
        self
    }

    /// It is shown as the logarithm of lux.
    fn in_lux(mut self, name: &str) -> Self {
        for point in self.0.points.iter_mut().filter(|point| point.name == name) {
            point.coding = Coding::Lux;
        }
        let now = self.0.world.get(name).unwrap_or(0.0);
        self.initially(name, now)
    }

    fn initially(mut self, name: &str, value: f64) -> Self {
        let point = self.0.points.iter().find(|point| point.name == name).cloned();
        if let Some(point) = point
            && let Some(attribute) = self.0.attributes.get_mut(&point.key)
            && let Some(made) = point.shown(value, &attribute.value)
        {
            attribute.value = made;
        }
        self
    }

    fn may_write(mut self, name: &str) -> Self {
        let key = self.0.points.iter().find(|point| point.name == name).map(|point| point.key);
        if let Some(attribute) = key.and_then(|key| self.0.attributes.get_mut(&key)) {
            attribute.writable = true;
        }
        self
    }

    fn action(mut self, action: Action) -> Self {
        self.0.actions.push(action);
        self
    }
}
