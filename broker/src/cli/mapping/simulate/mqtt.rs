//! Devices on an MQTT server, made from their mappings.

use std::fmt::Write as _;
use std::net::SocketAddr;

use serde_json::{Value, json};
use usp_simulators::mischief::{MqttFault, Order};
use usp_simulators::mqtt::Relay;
use usp_simulators::mqtt_devices::{MappedThing, ThingHandle, run};

use super::things::{Faults, Planned, Thing, Things, params};
use super::{Simulate, guide, write_site};
use crate::cli::interrupt::Interrupt;
use crate::cli::{Failure, print_line};

/// Runs them until `quit`, Ctrl-C or SIGTERM.
pub(super) async fn simulate(args: &Simulate, devices: Vec<Planned>) -> Result<(), Failure> {
    let interrupt = Interrupt::new().map_err(Failure::failed)?;
    let made: Vec<(String, MappedThing)> = devices.iter().map(made).collect::<Result<_, _>>()?;
    let own = match args.mqtt {
        Some(_) => None,
        None => Some(
            Relay::bind(args.tcp).await.map_err(|error| Failure::failed(format!("{}: {error}", args.tcp)))?,
        ),
    };
    let server = own.as_ref().map(Relay::address).or(args.mqtt).unwrap_or(args.tcp);
    let site = site_file(args, server, &devices);
    write_site(args, &site)?;
    let things = Things(made.into_iter().map(|(key, thing)| (key, run(thing, server, true))).collect());
    let script = things.prepare(args)?;
    greet(args, server, &things, &site)?;
    things.live(args, script.as_ref(), interrupt).await?;
    for thing in things.0.into_values() {
        thing.stop().await;
    }
    Ok(())
}

fn made(device: &Planned) -> Result<(String, MappedThing), Failure> {
    let thing = MappedThing::from_draft(&device.draft, &device.key);
    let wrong = |error| Failure::invalid(format!("{}: {error}", device.draft.file.name()));
    Ok((device.key.clone(), thing.map_err(wrong)?))
}

fn site_file(args: &Simulate, server: SocketAddr, devices: &[Planned]) -> String {
    let mut text = format!("site: 1\nbuses:\n  simulated: {{mqtt: \"{server}\"}}\ndevices:\n");
    for Planned { key, model, .. } in devices {
        // Writing to a String cannot fail.
        writeln!(text, "  {key}: {{{model}, bus: simulated, topic: {key}{}}}", params(args)).ok();
    }
    text
}

fn greet(
    args: &Simulate,
    server: SocketAddr,
    things: &Things<ThingHandle>,
    site: &str,
) -> Result<(), Failure> {
    if args.json {
        let device = |(key, thing): (&String, &ThingHandle)| {
            let names: Vec<String> = thing.show().into_iter().map(|(name, _)| name).collect();
            json!({"device": key, "bus": "simulated", "topic": key, "capabilities": names})
        };
        let devices: Vec<Value> = things.0.iter().map(device).collect();
        let bus = json!({"name": "simulated", "kind": "mqtt", "address": server.to_string()});
        return print_line(json!({"ready": true, "buses": [bus], "devices": devices}));
    }
    print_line(format!("simulated: MQTT server {server}"))?;
    for key in things.0.keys() {
        print_line(format!("  {key}"))?;
    }
    guide::site(args, site)?;
    print_line("Type help for what can be changed here; Ctrl-C or quit ends it.")?;
    print_line("ready")
}

impl Thing for ThingHandle {
    fn all_faults(&self) -> Faults {
        &MqttFault::ALL
    }

    fn set(&self, capability: &str, value: &str) -> Result<(), String> {
        self.set(capability, value).map_err(|error| error.to_string())
    }

    fn release(&self, _: &str) -> Result<(), String> {
        Err("values of devices on MQTT stand still: nothing moves by itself".to_owned())
    }

    fn fault(&self, text: &str) -> Result<String, String> {
        let order: Order<MqttFault> = text.parse().map_err(|error| format!("{error}"))?;
        self.fault(order.clone());
        Ok(order.to_string())
    }

    fn knows_fault(&self, text: &str) -> Result<(), String> {
        text.parse::<Order<MqttFault>>().map(drop).map_err(|error| error.to_string())
    }

    fn clear(&self) {
        self.clear();
    }

    fn state(&self) -> String {
        let (said, heard) = self.counts();
        let faults = self.faults();
        let faults =
            if faults.is_empty() { String::new() } else { format!(", faults: {}", faults.join(", ")) };
        let there = if self.is_connected() { "" } else { ", not connected" };
        format!("said {said}, heard {heard}{faults}{there}")
    }

    fn values(&self) -> Vec<(String, String)> {
        self.show()
    }
}
