//! Bluetooth Low Energy devices made from their mappings, around a fake BlueZ on a D-Bus of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};
use usp_simulators::ble::device::BleDevice;
use usp_simulators::ble::{Mac, MappedBle, Radio, RadioHandle, mapped};
use usp_simulators::mischief::{BleFault, Order};

use super::things::{Faults, Planned, Thing, Things, params};
use super::{Simulate, guide, write_site};
use crate::cli::interrupt::Interrupt;
use crate::cli::{Failure, print_line};

/// The variable that a site file of ours takes the passkey from.
const PASSKEY: &str = "USP_BROKER_PASSKEY";

/// A device in the air.
#[derive(Clone)]
pub(in crate::cli) struct InTheAir {
    pub(in crate::cli) radio: RadioHandle,
    /// Its name there.
    pub(in crate::cli) key: String,
}

/// Runs them until `quit`, Ctrl-C or SIGTERM.
pub(super) async fn simulate(args: &Simulate, devices: Vec<Planned>) -> Result<(), Failure> {
    let interrupt = Interrupt::new().map_err(Failure::failed)?;
    let mut made: Vec<(String, Box<dyn BleDevice>)> = Vec::new();
    for (number, Planned { key, draft, .. }) in (1_u8..=u8::MAX).zip(&devices) {
        let mac = Mac([0xa4, 0xc1, 0x38, 0x5e, 0x00, number]);
        let device = MappedBle::from_draft(draft, mac, args.seed.wrapping_add(number.into()));
        let device = device.map_err(|error| Failure::invalid(format!("{}: {error}", draft.file.name())))?;
        made.push((key.clone(), Box::new(if args.still { device.still() } else { device })));
    }
    let radio = Radio::start(args.dbus.as_deref(), made).await;
    let radio = radio.map_err(|error| Failure::failed(format!("no D-Bus for the fake BlueZ: {error}")))?;
    let handle = radio.handle();
    let site = site_file(args, &devices, &handle);
    write_site(args, &site)?;
    let in_the_air = |key: String| (key.clone(), InTheAir { radio: handle.clone(), key });
    let things = Things(handle.devices().into_iter().map(in_the_air).collect::<BTreeMap<_, _>>());
    let script = things.prepare(args)?;
    greet(args, radio.address(), &things, &site)?;
    things.live(args, script.as_ref(), interrupt).await?;
    radio.stop().await;
    Ok(())
}

fn site_file(args: &Simulate, devices: &[Planned], radio: &RadioHandle) -> String {
    let mut text = "site: 1\nbuses:\n  simulated: {ble: hci0}\ndevices:\n".to_owned();
    for Planned { key, model, .. } in devices {
        let mac = radio.mac(key).unwrap_or_default();
        let passkey = radio.passkey(key).map_or(String::new(), |_| format!(", passkey: \"env:{PASSKEY}\""));
        // Writing to a String cannot fail.
        writeln!(text, "  {key}: {{{model}, bus: simulated, mac: \"{mac}\"{passkey}{}}}", params(args)).ok();
    }
    text
}

fn greet(args: &Simulate, address: &str, things: &Things<InTheAir>, site: &str) -> Result<(), Failure> {
    if args.json {
        let device = |(key, thing): (&String, &InTheAir)| {
            let names: Vec<String> = thing.values().into_iter().map(|(name, _)| name).collect();
            let mac = thing.radio.mac(key);
            json!({"device": key, "bus": "simulated", "mac": mac, "capabilities": names})
        };
        let devices: Vec<Value> = things.0.iter().map(device).collect();
        let bus = json!({"name": "simulated", "kind": "ble", "address": address});
        return print_line(json!({"ready": true, "buses": [bus], "devices": devices}));
    }
    print_line("simulated: Bluetooth Low Energy, around a fake BlueZ on a D-Bus of its own")?;
    for (key, thing) in &things.0 {
        print_line(format!("  {}  {key}", thing.radio.mac(key).unwrap_or_default()))?;
    }
    print_line(format!("A broker hears them with DBUS_SYSTEM_BUS_ADDRESS={address}"))?;
    if things.0.iter().any(|(key, thing)| thing.radio.passkey(key).is_some()) {
        print_line(format!("and pairs with {PASSKEY}={}", mapped::PASSKEY))?;
    }
    guide::site(args, site)?;
    print_line("Type help for what can be changed here; Ctrl-C or quit ends it.")?;
    print_line("ready")
}

impl Thing for InTheAir {
    fn all_faults(&self) -> Faults {
        &BleFault::ALL
    }

    fn set(&self, capability: &str, value: &str) -> Result<(), String> {
        self.radio.set(&self.key, capability, value).map_err(|error| error.to_string())
    }

    fn release(&self, capability: &str) -> Result<(), String> {
        self.radio.release(&self.key, capability).map_err(|error| error.to_string())
    }

    fn fault(&self, text: &str) -> Result<String, String> {
        let order: Order<BleFault> = text.parse().map_err(|error| format!("{error}"))?;
        self.radio.fault(&self.key, order.clone()).map_err(|error| error.to_string())?;
        Ok(order.to_string())
    }

    fn knows_fault(&self, text: &str) -> Result<(), String> {
        text.parse::<Order<BleFault>>().map(drop).map_err(|error| error.to_string())
    }

    fn clear(&self) {
        // The device was there when its key was read, and none ever goes.
        self.radio.clear(&self.key).ok();
    }

    fn state(&self) -> String {
        let (links, linked) = self.radio.links(&self.key);
        let linked = if linked { ", connected" } else { "" };
        let paired = if self.radio.is_paired(&self.key) { ", paired" } else { "" };
        let faults = self.radio.faults(&self.key);
        let faults =
            if faults.is_empty() { String::new() } else { format!(", faults: {}", faults.join(", ")) };
        format!("{}, links {links}{linked}{paired}{faults}", self.radio.mac(&self.key).unwrap_or_default())
    }

    fn values(&self) -> Vec<(String, String)> {
        self.radio.values(&self.key)
    }
}
