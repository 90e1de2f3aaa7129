//! The devices: some are adopted from a Zigbee2MQTT, some described by a mapping for MQTT, some speak CoAP, some Modbus, some are
//! behind Zigbee coordinators of both kinds, some on serial lines, and some advertise or are connected to by Bluetooth.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use usp_mapping::diagnostic::SourceFile;
use usp_mapping::draft::MappingDraft;
use usp_simulators::ble::{Radio, RadioHandle};
use usp_simulators::coap::{CoapHandle, CoapServer, oma};
use usp_simulators::line::{LinePlace, LineServer, Meter};
use usp_simulators::modbus::{ModbusHandle, ModbusServer};
use usp_simulators::mqtt::Relay;
use usp_simulators::mqtt_devices::{MappedThing, ThingHandle, Zigbee2Mqtt, ZigbeeDevice, ZigbeeModel, run};
use usp_simulators::zigbee::{self, Coordinator, Ieee, Model, Node, Plan, Presence};
use usp_tests::place::Place;
use usp_tests::things::meters;

use super::air;

/// The kinds in their order.
pub(super) const KINDS: [Kind; 8] = [
    Kind::Adopted,
    Kind::Mapped,
    Kind::Coap,
    Kind::Modbus,
    Kind::Zigbee,
    Kind::Line,
    Kind::Advert,
    Kind::Gatt,
];

/// How many of each kind.
const ADOPTED: u32 = 100;
const MAPPED: u32 = 100;
const COAP: u32 = 50;
/// Units of each of two servers.
const UNITS: [std::ops::RangeInclusive<u8>; 2] = [1..=25, 26..=50];

/// The coordinators: what they speak, how site files call it, and how many plugs are behind each.
const MESHES: [(Model, &str); 2] = [(Model::Ezsp(13), "ezsp"), (Model::Znp, "znp")];
const PLUGS: u64 = 20;
/// Smart meters, each on a line of its own.
const LINES: u64 = 10;

/// A device that says its power by itself.
const MAPPING: &str = r#"uspmap: 1
profile: bench.soak
version: 1.0.0
device: {type: Meter}
mqtt: {availability: {topic: ~/status, online: online, offline: offline}}
capabilities:
  power: {class: LevelSensor, type: Power, unit: W, name: Power, read: {topic: ~/state, json: /power}}
tests:
  - messages: {~/state: {power: 1}}
    expect: {power: 1}
"#;

/// How a device came to be one of the broker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Adopted,
    Mapped,
    Coap,
    Modbus,
    Zigbee,
    Line,
    Advert,
    Gatt,
}

impl Kind {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Adopted => "MQTT, adopted",
            Self::Mapped => "MQTT, mapped",
            Self::Coap => "CoAP, observed",
            Self::Modbus => "Modbus, polled each second",
            Self::Zigbee => "Zigbee, reported",
            Self::Line => "smart meters, each second",
            Self::Advert => "BLE, advertised",
            Self::Gatt => "BLE, notified",
        }
    }

    /// The capability that changes.
    pub(super) fn capability(self) -> &'static str {
        match self {
            Self::Adopted | Self::Mapped | Self::Zigbee => "Power",
            Self::Line => "Power taken",
            Self::Coap | Self::Advert | Self::Gatt => "Temperature",
            Self::Modbus => "Voltage L1",
        }
    }

    /// What is said at the `number`th time: another value than at the many times before.
    pub(super) fn value(self, number: u32) -> String {
        match self {
            Self::Adopted | Self::Mapped | Self::Zigbee | Self::Line => (1 + number % 2000).to_string(),
            Self::Coap | Self::Advert => (number % 60).to_string(),
            // In tenths: it is a body's.
            Self::Gatt => format!("{:.1}", 35.0 + f64::from(number % 60) / 10.0),
            Self::Modbus => (180 + number % 80).to_string(),
        }
    }
}

/// A device.
pub(super) struct Source {
    pub(super) kind: Kind,
    /// As the broker calls it.
    pub(super) name: String,
    wire: Wire,
}

enum Wire {
    Zigbee(Arc<ThingHandle>),
    Mapped(ThingHandle),
    Coap(CoapHandle),
    Modbus(ModbusHandle),
    Plug(Arc<Coordinator>),
    Line(Arc<LineServer>),
    Air(RadioHandle),
}

impl Source {
    /// Lets it say a value.
    pub(super) fn say(&self, value: &str) {
        match &self.wire {
            Wire::Zigbee(bridge) => bridge.set(&format!("{}.power", self.name), value).unwrap(),
            Wire::Mapped(thing) => thing.set("power", value).unwrap(),
            Wire::Coap(device) => device.set("temperature", number(value)).unwrap(),
            Wire::Modbus(device) => device.set("voltage-l1", number(value)).unwrap(),
            Wire::Plug(coordinator) => coordinator.set(&self.name, "power", value).unwrap(),
            Wire::Air(air) => air.set(&self.name, "temperature", value).unwrap(),
            // It says kilowatts.
            Wire::Line(meter) => meter.set("power", &format!("{:.3}", number(value) / 1000.0)).unwrap(),
        }
    }
}

/// The address of a plug.
fn plug(mesh: u64, number: u64) -> Ieee {
    Ieee(0x00e0_5400_0004_0000 + (mesh << 8) + number)
}

fn number(value: &str) -> f64 {
    value.parse().unwrap()
}

/// All that run.
pub(super) struct Plant {
    pub(super) sources: Vec<Source>,
    relay: Relay,
    coap: Vec<CoapServer>,
    modbus: Vec<ModbusServer>,
    meshes: Vec<Arc<Coordinator>>,
    lines: Vec<Arc<LineServer>>,
    radio: Radio,
}

impl Plant {
    pub(super) async fn start() -> Self {
        let relay = Relay::start().await.unwrap();
        let (coap, modbus, meshes, lines) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let radio = air::start().await;
        let mut plant = Self { sources: Vec::new(), relay, coap, modbus, meshes, lines, radio };
        plant.start_adopted();
        plant.start_mapped();
        for seed in 1..=COAP {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let server =
                CoapServer::bind_still(address, oma::temperature(u64::from(seed)), None).await.unwrap();
            plant.add(Kind::Coap, format!("climate-{seed}"), Wire::Coap(server.handle()));
            plant.coap.push(server);
        }
        for units in UNITS {
            let units: Vec<u8> = units.collect();
            let server = meters(&units).await;
            for unit in units {
                plant.add(Kind::Modbus, format!("meter-{unit}"), Wire::Modbus(server.unit(unit).unwrap()));
            }
            plant.modbus.push(server);
        }
        plant.start_meshes();
        plant.start_lines();
        for (kind, name) in air::advertising()
            .map(|name| (Kind::Advert, name))
            .chain(air::connected().map(|name| (Kind::Gatt, name)))
        {
            let air = plant.radio.handle();
            plant.add(kind, name, Wire::Air(air));
        }
        plant
    }

    fn start_meshes(&mut self) {
        for (mesh, (model, ncp)) in (0..).zip(MESHES) {
            let plugs = (1..=PLUGS).map(|number| {
                let node = Node::new(zigbee::Kind::Plug, plug(mesh, number));
                (node.named(&format!("{ncp}-{number}")).still(), Presence::Member)
            });
            let plan = Plan::new(model, zigbee::Place::Terminal(None));
            let plan = plugs.fold(plan, |plan, (node, there)| plan.with(node, there));
            let coordinator = Arc::new(Coordinator::start(plan).unwrap());
            for number in 1..=PLUGS {
                let wire = Wire::Plug(Arc::clone(&coordinator));
                self.add(Kind::Zigbee, format!("{ncp}-{number}"), wire);
            }
            self.meshes.push(coordinator);
        }
    }

    fn start_lines(&mut self) {
        for number in 1..=LINES {
            let meter = Meter::new(Duration::from_secs(1), number).still();
            let meter = Arc::new(LineServer::start(meter, &LinePlace::Terminal(None)).unwrap());
            self.add(Kind::Line, format!("p1-{number}"), Wire::Line(Arc::clone(&meter)));
            self.lines.push(meter);
        }
    }

    fn add(&mut self, kind: Kind, name: String, wire: Wire) {
        self.sources.push(Source { kind, name, wire });
    }

    fn start_adopted(&mut self) {
        let name = |number: u32| format!("plug-{number}");
        let plug =
            |number: u32| ZigbeeDevice::new(ZigbeeModel::Plug, &format!("0x{number:016x}"), &name(number));
        let bridge = Zigbee2Mqtt::new("zigbee2mqtt", (1..=ADOPTED).map(plug).collect());
        let bridge = Arc::new(run(bridge, self.relay.address(), true));
        for number in 1..=ADOPTED {
            // What is off draws nothing.
            bridge.set(&format!("{}.state", name(number)), "ON").unwrap();
            self.add(Kind::Adopted, name(number), Wire::Zigbee(Arc::clone(&bridge)));
        }
    }

    fn start_mapped(&mut self) {
        let (draft, problems) = MappingDraft::parse(&SourceFile::new("soak.yaml", MAPPING));
        let draft = draft.unwrap_or_else(|| panic!("{problems:?}"));
        for number in 1..=MAPPED {
            let name = format!("mapped-{number}");
            let thing = MappedThing::from_draft(&draft, &name).unwrap();
            let thing = run(thing, self.relay.address(), true);
            self.add(Kind::Mapped, name, Wire::Mapped(thing));
        }
    }

    /// Writes the files of a site with all of them.
    pub(super) fn site(&self, place: &mut Place) {
        place.env("DBUS_SYSTEM_BUS_ADDRESS", self.radio.address());
        place.write("soak.yaml", MAPPING);
        let mut site = format!(
            "site: 1\nbuses:\n  home: {{mqtt: \"{}\", adopt: [zigbee2mqtt]}}\n  lan: {{coap: any}}\n  \
             radio: {{ble: hci0}}\n",
            self.relay.address()
        );
        for (number, server) in self.modbus.iter().enumerate() {
            writeln!(site, "  line{number}: {{modbus_tcp: \"{}\"}}", server.local_addr()).unwrap();
        }
        for (coordinator, (_, ncp)) in self.meshes.iter().zip(MESHES) {
            let port = coordinator.path().display();
            writeln!(site, "  {ncp}: {{zigbee: {port}, ncp: {ncp}}}").unwrap();
        }
        for (number, meter) in (1..).zip(&self.lines) {
            writeln!(site, "  p1-{number}: {{serial_line: {}}}", meter.path().display()).unwrap();
        }
        site += "devices:\n";
        site += &air::site(&self.radio, place);
        for (mesh, (_, ncp)) in (0..).zip(MESHES) {
            for number in 1..=PLUGS {
                let ieee = plug(mesh, number);
                writeln!(site, "  {ncp}-{number}: {{use: usp.demo-plug, bus: {ncp}, ieee: \"{ieee}\"}}")
                    .unwrap();
            }
        }
        for number in 1..=LINES {
            writeln!(site, "  p1-{number}: {{use: dsmr.p1-v5, bus: p1-{number}}}").unwrap();
        }
        for number in 1..=MAPPED {
            writeln!(site, "  mapped-{number}: {{file: soak.yaml, bus: home, topic: mapped-{number}}}")
                .unwrap();
        }
        for (number, server) in (1..).zip(&self.coap) {
            let host = server.local_addr();
            writeln!(site, "  climate-{number}: {{use: usp.demo-climate, bus: lan, host: \"{host}\"}}")
                .unwrap();
        }
        for (number, units) in UNITS.into_iter().enumerate() {
            for unit in units {
                let device = format!("{{use: usp.demo-meter, bus: line{number}, unit: {unit}}}");
                writeln!(site, "  meter-{unit}: {device}").unwrap();
            }
        }
        place.write("site.yaml", &site);
    }
}
