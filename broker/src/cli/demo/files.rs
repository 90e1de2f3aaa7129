//! The files that a demo generates: what an integrator would write for such a hub.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use super::air;
use super::place::Place;
use super::things::{Places, ZIGBEE};
use crate::cli::Failure;

/// The broker's usual port for WebSocket.
pub(super) const WEBSOCKET_PORT: u16 = 5683;

/// Writes `broker.toml` and `site.yaml`, anew at each start: the ports may be others.
pub(super) fn write_files(place: &Place, websocket: u16, things: &Places) -> Result<(), Failure> {
    write(&place.config(), &broker_toml(websocket))?;
    if things.air {
        air::write_secrets(place)?;
    }
    write(&place.site(), &site_yaml(things))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text)
        .map_err(|error| Failure::failed(format!("cannot write {}: {error}", path.display())))
}

/// The usual port if it is free, else any other.
pub(super) fn websocket_port() -> Result<u16, Failure> {
    free(WEBSOCKET_PORT).or_else(|_| any_port())
}

/// Any free port.
pub(super) fn any_port() -> Result<u16, Failure> {
    free(0).map_err(|error| Failure::failed(format!("no free port on 127.0.0.1: {error}")))
}

fn free(port: u16) -> io::Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))?.local_addr().map(|address| address.port())
}

fn broker_toml(port: u16) -> String {
    format!(
        r#"# Written by `usp-broker demo` at each start: copy it before you change it.
# `usp-broker run --config FILE` runs a broker with such a file.

[agent]
state_dir = "state"
site = "site.yaml"

[uds]
agent_path = "broker_agent_path"
controller_path = "broker_controller_path"

[websocket]
listen = "127.0.0.1:{port}"
path = "/usp"
local_role = "Full Access"
"#
    )
}

fn site_yaml(Places { meters, light, climate, mqtt, p1, mesh, air }: &Places) -> String {
    // A text of JSON is one of YAML, whatever a folder is called.
    let quoted = |path: &Path| serde_json::Value::from(path.to_string_lossy()).to_string();
    let (p1, mesh) = (quoted(p1), quoted(mesh));
    let zigbee: String = ZIGBEE
        .iter()
        .map(|(_, profile, key, name, ieee)| {
            format!("  {key}: {{use: {profile}, bus: mesh, ieee: \"{ieee}\", name: \"{name}\"}}\n")
        })
        .collect();
    let (radio, in_the_air) = if *air { (air::site_bus(), air::site_devices()) } else { ("", String::new()) };
    format!(
        r#"# Written by `usp-broker demo` at each start: copy it before you change it.
site: 1
buses:
  simulated: {{modbus_tcp: "{meters}"}}
  lan: {{coap: any}}
  p1: {{serial_line: {p1}}}
  mesh: {{zigbee: {mesh}, ncp: znp, adopt: true}} # who joins appears by itself
  home: {{mqtt: "{mqtt}", adopt: [zigbee2mqtt, tasmota]}} # their devices appear by themselves
{radio}devices:
  meter1: {{use: usp.demo-meter, bus: simulated, unit: 1, name: "Main meter"}}
  meter2: {{use: usp.demo-meter, bus: simulated, unit: 2, name: "Heat pump"}}
  light: {{use: usp.demo-light, bus: lan, host: "{light}", name: "Ceiling light"}}
  climate: {{use: usp.demo-climate, bus: lan, host: "{climate}", name: "Climate sensor"}}
  smart-meter: {{use: dsmr.p1-v5, bus: p1, name: "Smart meter"}}
{zigbee}{in_the_air}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_generated_configuration_is_valid() {
        let config = Config::parse(&broker_toml(5683), "broker.toml", Path::new("/demo")).unwrap();
        assert_eq!(config.uds.unwrap().agent_path, Path::new("/demo/broker_agent_path"));
        assert_eq!(config.websocket.unwrap().listen.port(), 5683);
    }

    #[test]
    fn a_port_in_use_is_avoided() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, WEBSOCKET_PORT));
        let port = websocket_port().unwrap();
        assert!(taken.is_err() || port != WEBSOCKET_PORT);
    }
}
