//! What a demo simulates: Modbus meters, made from their mapping, CoAP things, an MQTT server with a Zigbee2MQTT and a Tasmota
//! switch, a smart meter on a serial line, a Zigbee network behind a coordinator, Bluetooth devices, and a USP Service.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use usp_mapping::diagnostic::{SourceFile, render};
use usp_mapping::draft::MappingDraft;
use usp_mapping::library;
use usp_simulators::coap::{CoapDevice, CoapHandle, CoapServer, oma};
use usp_simulators::line::{LinePlace, LineServer, Meter};
use usp_simulators::modbus::{ModbusDevice, ModbusHandle, ModbusServer};
use usp_simulators::mqtt::Relay;
use usp_simulators::mqtt_devices::{TasmotaSwitch, ThingHandle, Zigbee2Mqtt, ZigbeeDevice, ZigbeeModel, run};
use usp_simulators::service::{Service, ServiceConfig, ServiceHandle};
use usp_simulators::zigbee::{self, Coordinator, Ieee, Kind, Model, Node, Plan, Presence};

use super::air::{self, Air};
use super::place::Place;
use crate::cli::Failure;
use crate::cli::mapping::simulate::ble::InTheAir;
use crate::cli::mapping::simulate::things::{self, Thing};
use crate::cli::mapping::simulate::zigbee::Behind;

/// The mapping of the meters, in the library inside the program.
const MAPPING: &str = "modbus/usp-demo-meter.yaml";

/// Units on the simulated bus; each has a world of its own.
const UNITS: [u8; 2] = [1, 2];

/// Devices that show up by themselves: two meters, two CoAP things, a smart meter, the Zigbee bridge with three devices, a Tasmota
/// switch, three devices on a Zigbee coordinator. With Bluetooth there are more.
const DEVICES: usize = 13;

/// A plug that measures, behind the Zigbee bridge.
pub(super) const PLUG: &str = "Coffee machine";

/// Two sockets, behind the Zigbee bridge.
pub(super) const STRIP: &str = "Desk strip";

/// The devices on the Zigbee coordinator: their mapping, key, name and address.
pub(super) const ZIGBEE: [(Kind, &str, &str, &str, Ieee); 3] = [
    (Kind::Plug, "usp.demo-plug", "plug", "Washing machine", Ieee(0x00e0_5400_0000_0101)),
    (Kind::Light, "usp.demo-lamp", "lamp", "Reading lamp", Ieee(0x00e0_5400_0000_0102)),
    (Kind::Climate, "usp.demo-room", "room", "Bedroom", Ieee(0x00e0_5400_0000_0103)),
];

/// A contact that joins when somebody lets it.
const CONTACT: Ieee = Ieee(0x00e0_5400_0000_0104);

/// What it is called by who types.
const CONTACT_KEY: &str = "contact";

/// The keys of the meters, of the things on CoAP and on MQTT, and of the smart meter, for who types.
const METERS: [&str; UNITS.len()] = ["meter1", "meter2"];
const ON_COAP: [&str; 2] = ["light", "climate"];
const ON_MQTT: [&str; 2] = ["zigbee2mqtt", "boiler"];
const SMART_METER: &str = "smart-meter";

/// How often the sensor that sleeps asks for what has come.
const POLLS: Duration = Duration::from_secs(1);

/// How often the smart meter says its telegram.
const TELEGRAMS: Duration = Duration::from_secs(1);

/// Endpoint ID of the sample Service.
const SERVICE: &str = "proto::demo-thermostat";

/// Where the simulators are.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// The meters' Modbus server.
    pub(super) meters: SocketAddr,
    /// The CoAP light.
    pub(super) light: SocketAddr,
    /// The CoAP climate sensor.
    pub(super) climate: SocketAddr,
    /// The MQTT server.
    pub(super) mqtt: SocketAddr,
    /// The serial line of the smart meter.
    pub(super) p1: PathBuf,
    /// The port of the Zigbee coordinator.
    pub(super) mesh: PathBuf,
    /// Whether there are Bluetooth devices.
    pub(super) air: bool,
}

/// The running simulators.
pub(super) struct Things {
    meters: ModbusServer,
    light: CoapServer,
    climate: CoapServer,
    relay: Relay,
    on_mqtt: [ThingHandle; 2],
    p1: LineServer,
    mesh: Arc<Coordinator>,
    air: Option<Air>,
    service: Option<ServiceHandle>,
    told: Told,
}

/// Those of the devices that can be told something by handles of their own.
struct Told {
    units: Vec<ModbusHandle>,
    coap: [CoapHandle; 2],
    mesh: Vec<Behind>,
    air: Vec<InTheAir>,
}

impl Things {
    /// Starts the meters, the CoAP things and the MQTT server, each on a free port; with a folder for a bus, Bluetooth devices too. What hangs on
    /// a line has a name in the demo's folder that stays while it is unplugged and plugged in again.
    pub(super) async fn start(place: &Place, bus: Option<PathBuf>) -> Result<Self, Failure> {
        let draft = meter()?;
        let device = |unit| match ModbusDevice::from_draft(&draft, u64::from(unit)) {
            Ok(device) => Ok((unit, device)),
            Err(error) => Err(Failure::failed(format!("{MAPPING}: {error}"))),
        };
        let units = UNITS.into_iter().map(device).collect::<Result<Vec<_>, _>>()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let meters = ModbusServer::bind(address, units).await;
        let meters = meters.map_err(|error| Failure::failed(format!("the simulated meters: {error}")))?;
        let light = coap(oma::light(3, "Ceiling"), "light").await?;
        let climate = coap(oma::temperature(4), "climate sensor").await?;
        let relay = Relay::start().await;
        let relay = relay.map_err(|error| Failure::failed(format!("the simulated MQTT server: {error}")))?;
        let boiler = TasmotaSwitch::new("boiler", "A4CF12345678", "Boiler");
        let on_mqtt = [run(zigbee(), relay.address(), false), run(boiler, relay.address(), false)];
        let p1 = LineServer::start(Meter::new(TELEGRAMS, 5), &LinePlace::Terminal(place.line("p1")));
        let p1 = p1.map_err(|error| Failure::failed(format!("the simulated smart meter: {error}")))?;
        let mesh = Coordinator::start(mesh(place.line("mesh")));
        let mesh = mesh.map_err(|error| Failure::failed(format!("the simulated coordinator: {error}")))?;
        let air = match bus {
            Some(dir) => Some(Air::start(dir).await?),
            None => None,
        };
        let mesh = Arc::new(mesh);
        let behind = |key: &str| Behind { coordinator: Arc::clone(&mesh), key: key.to_owned() };
        let told = Told {
            units: meters.units(),
            coap: [light.handle(), climate.handle()],
            mesh: ZIGBEE.iter().map(|device| device.2).chain([CONTACT_KEY]).map(behind).collect(),
            air: air.iter().flat_map(Air::devices).collect(),
        };
        Ok(Self { meters, light, climate, relay, on_mqtt, p1, mesh, air, service: None, told })
    }

    /// The devices as whoever types knows them, by their keys in the site file.
    pub(super) fn stage(&self) -> things::Things<&dyn Thing> {
        let Told { units, coap, mesh, air } = &self.told;
        let meters = METERS.iter().zip(units).map(|(key, unit)| named(key, unit));
        let coap = ON_COAP.iter().zip(coap).map(|(key, thing)| named(key, thing));
        let mqtt = ON_MQTT.iter().zip(&self.on_mqtt).map(|(key, thing)| named(key, thing));
        let mesh = mesh.iter().map(|device| named(&device.key, device));
        let air = air.iter().map(|device| named(&device.key, device));
        let all = meters.chain(coap).chain(mqtt).chain(mesh).chain(air);
        things::Things(all.chain([named(SMART_METER, &self.p1)]).collect())
    }

    /// How many devices show up by themselves.
    pub(super) fn expected(&self) -> usize {
        DEVICES + if self.has_air() { air::DEVICES } else { 0 }
    }

    /// Whether there are Bluetooth devices.
    pub(super) fn has_air(&self) -> bool {
        self.air.is_some()
    }

    /// Where they are.
    pub(super) fn places(&self) -> Places {
        Places {
            meters: self.meters.local_addr(),
            light: self.light.local_addr(),
            climate: self.climate.local_addr(),
            mqtt: self.relay.address(),
            p1: self.p1.path().to_path_buf(),
            mesh: self.mesh.path().to_path_buf(),
            air: self.has_air(),
        }
    }

    /// Starts the Service, anew if it runs: a hub that is rebooted starts its Services too.
    pub(super) async fn start_service(&mut self, place: &Place) {
        self.stop_service().await;
        self.service = Some(Service::spawn(ServiceConfig::new(SERVICE, &place.controller_path())));
    }

    async fn stop_service(&mut self) {
        if let Some(service) = self.service.take() {
            service.stop().await;
        }
    }

    pub(super) async fn stop(mut self) {
        self.stop_service().await;
        self.meters.stop().await;
        self.light.stop().await;
        self.climate.stop().await;
        for thing in self.on_mqtt {
            thing.stop().await;
        }
        if let Some(air) = self.air {
            air.stop().await;
        }
    }
}

fn named<'t>(key: &str, thing: &'t dyn Thing) -> (String, &'t dyn Thing) {
    (key.to_owned(), thing)
}

/// A bridge with a plug, a motion sensor and a strip, and a lamp that joins when somebody lets it.
fn zigbee() -> Zigbee2Mqtt {
    let device = |model, address, name| ZigbeeDevice::new(model, address, name);
    let devices = vec![
        device(ZigbeeModel::Plug, "0x00158d0000000001", PLUG),
        device(ZigbeeModel::Motion, "0x00158d0000000002", "Hall motion"),
        device(ZigbeeModel::Strip, "0x00158d0000000003", STRIP),
    ];
    let lamp = device(ZigbeeModel::Light, "0x00158d0000000004", "Bedside lamp");
    Zigbee2Mqtt::new("zigbee2mqtt", devices).with_waiting(lamp)
}

/// A coordinator with a plug, a light and a sensor that sleeps, and a contact that joins when somebody lets it.
fn mesh(line: Option<PathBuf>) -> Plan {
    let plan = Plan::new(Model::Znp, zigbee::Place::Terminal(line));
    let device = |(kind, _, key, _, ieee): (Kind, &str, &str, &str, Ieee)| {
        (Node::new(kind, ieee).named(key).polling(POLLS), Presence::Member)
    };
    let contact = Node::new(Kind::Contact, CONTACT).named(CONTACT_KEY).polling(POLLS);
    let plan = ZIGBEE.into_iter().map(device).fold(plan, |plan, (node, there)| plan.with(node, there));
    plan.with(contact, Presence::Waiting)
}

async fn coap(device: CoapDevice, what: &str) -> Result<CoapServer, Failure> {
    let bound = CoapServer::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), device, None).await;
    bound.map_err(|error| Failure::failed(format!("the simulated {what}: {error}")))
}

fn meter() -> Result<MappingDraft, Failure> {
    let text = library::builtin().iter().find(|(name, _)| *name == MAPPING).map(|(_, text)| *text);
    let text = text.ok_or_else(|| Failure::failed(format!("{MAPPING} is not in this program")))?;
    let (draft, problems) = MappingDraft::parse(&SourceFile::new(MAPPING, text));
    draft.ok_or_else(|| Failure::failed(render(&problems, false)))
}
