//! Zigbee devices made from their mappings, behind a simulated coordinator.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};
use usp_simulators::mischief::{Order, ZigbeeFault};
use usp_simulators::zigbee::{Coordinator, Ieee, Model, Node, Place, Plan, Presence};

use super::things::{Faults, Planned, Thing, Things, params};
use super::{Simulate, guide, write_site};
use crate::cli::interrupt::Interrupt;
use crate::cli::{Failure, print_line};

/// What a simulated coordinator speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Ncp {
    /// Silicon Labs: EZSP over ASH
    Ezsp,
    /// Texas Instruments: ZNP
    Znp,
}

impl Ncp {
    fn name(self) -> &'static str {
        match self {
            Self::Ezsp => "ezsp",
            Self::Znp => "znp",
        }
    }

    fn model(self) -> Model {
        match self {
            Self::Ezsp => Model::Ezsp(13),
            Self::Znp => Model::Znp,
        }
    }
}

/// A device behind the coordinator.
pub(in crate::cli) struct Behind {
    pub(in crate::cli) coordinator: Arc<Coordinator>,
    /// Its name there.
    pub(in crate::cli) key: String,
}

/// Runs them until `quit`, Ctrl-C or SIGTERM: the coordinator on a pseudo-terminal with `--serial`, otherwise over TCP.
pub(super) async fn simulate(args: &Simulate, devices: Vec<Planned>) -> Result<(), Failure> {
    let interrupt = Interrupt::new().map_err(Failure::failed)?;
    let place = if args.serial { Place::Terminal(None) } else { Place::Tcp(args.tcp) };
    let mut plan = Plan::new(args.ncp.model(), place);
    for (number, Planned { key, draft, .. }) in (1_u64..).zip(&devices) {
        let ieee = Ieee(0x00e0_5400_0002_0000 + number);
        let node = Node::from_draft(draft, key, ieee, args.seed.wrapping_add(number));
        let node = node.map_err(|error| Failure::invalid(format!("{}: {error}", draft.file.name())))?;
        plan = plan.with(if args.still { node.still() } else { node }, Presence::Member);
    }
    let coordinator = Coordinator::start(plan);
    let coordinator = coordinator.map_err(|error| Failure::failed(format!("the coordinator: {error}")))?;
    let coordinator = Arc::new(coordinator);
    let site = site_file(args, &devices, &coordinator);
    write_site(args, &site)?;
    let behind = |planned: &Planned| {
        let key = planned.key.clone();
        (key.clone(), Behind { coordinator: Arc::clone(&coordinator), key })
    };
    let things = Things(devices.iter().map(behind).collect::<BTreeMap<_, _>>());
    let script = things.prepare(args)?;
    greet(args, &coordinator, &things, &site)?;
    things.live(args, script.as_ref(), interrupt).await
}

fn bus(args: &Simulate, coordinator: &Coordinator) -> String {
    let ncp = args.ncp.name();
    match coordinator.address() {
        Some(address) => format!("{{zigbee_tcp: \"{address}\", ncp: {ncp}}}"),
        None => format!("{{zigbee: {}, ncp: {ncp}}}", coordinator.path().display()),
    }
}

fn ieee(coordinator: &Coordinator, key: &str) -> String {
    let shown = coordinator.show().into_iter().find(|device| device.name == key);
    shown.map_or_else(String::new, |device| device.ieee.to_string())
}

fn site_file(args: &Simulate, devices: &[Planned], coordinator: &Coordinator) -> String {
    let mut text = format!("site: 1\nbuses:\n  simulated: {}\ndevices:\n", bus(args, coordinator));
    for Planned { key, model, .. } in devices {
        let ieee = ieee(coordinator, key);
        // Writing to a String cannot fail.
        writeln!(text, "  {key}: {{{model}, bus: simulated, ieee: \"{ieee}\"{}}}", params(args)).ok();
    }
    text
}

fn greet(
    args: &Simulate,
    coordinator: &Coordinator,
    things: &Things<Behind>,
    site: &str,
) -> Result<(), Failure> {
    if args.json {
        let device = |(key, thing): (&String, &Behind)| {
            let names: Vec<String> = thing.values().into_iter().map(|(name, _)| name).collect();
            json!({"device": key, "bus": "simulated", "ieee": ieee(coordinator, key), "capabilities": names})
        };
        let devices: Vec<Value> = things.0.iter().map(device).collect();
        let bus = json!({"name": "simulated", "kind": "zigbee", "address": coordinator.place()});
        return print_line(json!({"ready": true, "buses": [bus], "devices": devices}));
    }
    print_line(format!("simulated: a Zigbee coordinator ({}), {}", args.ncp.name(), coordinator.place()))?;
    for key in things.0.keys() {
        print_line(format!("  {}  {key}", ieee(coordinator, key)))?;
    }
    guide::site(args, site)?;
    print_line("Type help for what can be changed here; Ctrl-C or quit ends it.")?;
    print_line("ready")
}

impl Thing for Behind {
    fn all_faults(&self) -> Faults {
        &ZigbeeFault::ALL
    }

    fn set(&self, capability: &str, value: &str) -> Result<(), String> {
        self.coordinator.set(&self.key, capability, value)
    }

    fn release(&self, capability: &str) -> Result<(), String> {
        self.coordinator.release(&self.key, capability)
    }

    /// What only a coordinator can have happens there.
    fn fault(&self, text: &str) -> Result<String, String> {
        let order: Order<ZigbeeFault> = text.parse().map_err(|error| format!("{error}"))?;
        if order.fault.of_device() {
            self.coordinator.device_fault(&self.key, order.clone())?;
        } else {
            self.coordinator.fault(order.clone())?;
        }
        Ok(order.to_string())
    }

    fn knows_fault(&self, text: &str) -> Result<(), String> {
        text.parse::<Order<ZigbeeFault>>().map(drop).map_err(|error| error.to_string())
    }

    fn clear(&self) {
        // The device was there when its key was read, and none ever goes.
        self.coordinator.clear(Some(&self.key)).ok();
        self.coordinator.clear_coordinator();
    }

    fn act(&self, action: &str) -> Result<(), String> {
        self.coordinator.act(&self.key, action)
    }

    fn state(&self) -> String {
        let shown = self.coordinator.show().into_iter().find(|device| device.name == self.key);
        let Some(device) = shown else { return String::new() };
        let joined =
            device.address.map_or_else(|| "not joined".to_owned(), |at| format!("joined as {at:#06x}"));
        let all: Vec<String> = device.faults.into_iter().chain(self.coordinator.faults()).collect();
        let faults = if all.is_empty() { String::new() } else { format!(", faults: {}", all.join(", ")) };
        format!("{}, {joined}, {} messages{faults}", device.ieee, device.said)
    }

    fn values(&self) -> Vec<(String, String)> {
        let shown = self.coordinator.show().into_iter().find(|device| device.name == self.key);
        shown.map_or_else(Vec::new, |device| device.values)
    }
}
