//! CoAP devices made from their mappings, each on a port of its own.

use std::fmt::Write as _;
use std::net::SocketAddr;

use serde_json::{Value, json};
use usp_simulators::coap::{CoapDevice, CoapHandle, CoapServer};
use usp_simulators::mischief::{CoapFault, Order};
use usp_simulators::value::SimValue;

use super::things::{Faults, Planned, Thing, Things, params};
use super::{Simulate, guide, write_site};
use crate::cli::interrupt::Interrupt;
use crate::cli::{Failure, print_line};

/// A device that runs, and where.
type Place = (String, SocketAddr);

/// Runs them until `quit`, Ctrl-C or SIGTERM.
pub(super) async fn simulate(args: &Simulate, devices: Vec<Planned>) -> Result<(), Failure> {
    let interrupt = Interrupt::new().map_err(Failure::failed)?;
    let (mut servers, mut address) = (Vec::new(), args.tcp);
    for (number, device) in (0_u64..).zip(&devices) {
        servers.push((device.key.clone(), serve(args, device, number, address).await?));
        if address.port() != 0 {
            address.set_port(address.port().saturating_add(1));
        }
    }
    let places: Vec<Place> = servers.iter().map(|(key, server)| (key.clone(), server.local_addr())).collect();
    let site = site_file(args, &devices, &places);
    write_site(args, &site)?;
    let things = Things(servers.iter().map(|(key, server)| (key.clone(), server.handle())).collect());
    let script = things.prepare(args)?;
    greet(args, &places, &things, &site)?;
    things.live(args, script.as_ref(), interrupt).await?;
    for (_, server) in servers {
        server.stop().await;
    }
    Ok(())
}

async fn serve(
    args: &Simulate,
    device: &Planned,
    number: u64,
    address: SocketAddr,
) -> Result<CoapServer, Failure> {
    let made = CoapDevice::from_draft(&device.draft, args.seed.wrapping_add(number));
    let made = made.map_err(|error| Failure::invalid(format!("{}: {error}", device.draft.file.name())))?;
    let server = if args.still {
        CoapServer::bind_still(address, made, None).await
    } else {
        CoapServer::bind(address, made, None).await
    };
    server.map_err(|error| Failure::failed(format!("{address}: {error}")))
}

fn site_file(args: &Simulate, devices: &[Planned], places: &[Place]) -> String {
    let mut text = "site: 1\nbuses:\n  simulated: {coap: any}\ndevices:\n".to_owned();
    for (Planned { key, model, .. }, (_, address)) in devices.iter().zip(places) {
        // Writing to a String cannot fail.
        writeln!(text, "  {key}: {{{model}, bus: simulated, host: \"{address}\"{}}}", params(args)).ok();
    }
    text
}

fn greet(args: &Simulate, places: &[Place], things: &Things<CoapHandle>, site: &str) -> Result<(), Failure> {
    if args.json {
        let device = |(key, address): &Place| {
            let names: Vec<String> = things.0.get(key).map_or_else(Vec::new, names);
            json!({"device": key, "bus": "simulated", "host": address.to_string(), "capabilities": names})
        };
        let devices: Vec<Value> = places.iter().map(device).collect();
        let bus = json!({"name": "simulated", "kind": "coap", "address": "any"});
        return print_line(json!({"ready": true, "buses": [bus], "devices": devices}));
    }
    print_line("simulated: CoAP")?;
    for (key, address) in places {
        print_line(format!("  coap://{address}  {key}"))?;
    }
    guide::site(args, site)?;
    print_line("Type help for what can be changed here; Ctrl-C or quit ends it.")?;
    print_line("ready")
}

fn names(thing: &CoapHandle) -> Vec<String> {
    thing.values().into_iter().map(|(name, _)| name).collect()
}

impl Thing for CoapHandle {
    fn all_faults(&self) -> Faults {
        &CoapFault::ALL
    }

    fn set(&self, capability: &str, value: &str) -> Result<(), String> {
        self.set(capability, SimValue::typed(value)).map_err(|error| error.to_string())
    }

    fn release(&self, capability: &str) -> Result<(), String> {
        self.release(capability).map_err(|error| error.to_string())
    }

    fn fault(&self, text: &str) -> Result<String, String> {
        let order: Order<CoapFault> = text.parse().map_err(|error| format!("{error}"))?;
        self.fault(order.clone());
        Ok(order.to_string())
    }

    fn knows_fault(&self, text: &str) -> Result<(), String> {
        text.parse::<Order<CoapFault>>().map(drop).map_err(|error| error.to_string())
    }

    fn clear(&self) {
        self.clear_faults();
    }

    fn state(&self) -> String {
        let faults = self.faults();
        let faults =
            if faults.is_empty() { String::new() } else { format!(", faults: {}", faults.join(", ")) };
        format!("requests {}, observers {}{faults}", self.requests(), self.observers())
    }

    fn values(&self) -> Vec<(String, String)> {
        self.values().into_iter().map(|(name, value)| (name, value.to_string())).collect()
    }
}
