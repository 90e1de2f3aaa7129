//! What a demo tells at its start: where everything is, and what to try.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{Get, GetResp};
use usp_simulators::zigbee::Ieee;

use super::air::{LOCK, THERMOMETER};
use super::files::WEBSOCKET_PORT;
use super::place::Place;
use super::things::{PLUG, STRIP, Things, ZIGBEE};
use crate::app::App;
use crate::client::{Client, Options, Via, random_text};

/// How long the Service and the devices may take to show up; the guide is printed without them then.
const PATIENCE: Duration = Duration::from_secs(15);

/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(20);

const SERVICES: &str = "Device.USPServices.USPService.*.DataModelPaths";
const DEVICES: &str = "Device.ProxiedDevice.*.Online";
const SWITCHES: &str = "Device.ProxiedDevice.*.IoTCapability.*.BinaryControl.Value";

/// The light on the Zigbee coordinator, and its address.
const LAMP: &str = "Reading lamp";
const LAMP_AT: Ieee = ZIGBEE[1].4;

/// The name that a Zigbee2MQTT has as a device.
const BRIDGE: &str = "Zigbee2MQTT Coordinator";

/// What there is to see.
pub(super) struct Guide {
    dir: PathBuf,
    kept: bool,
    agent: Via,
    websocket: Option<Via>,
    services: PathBuf,
    /// There are Bluetooth devices.
    air: bool,
    seen: Seen,
}

/// What the broker itself tells.
#[derive(Default)]
struct Seen {
    /// Paths that the sample Service has registered.
    service_paths: Vec<String>,
    /// Devices that answer.
    online: usize,
    /// A switch's Value.
    switch: Option<String>,
}

/// Prints to the terminal; standard output is for the `ready` line.
pub(super) fn say(text: &str) {
    // Nobody is left to tell when standard error itself is closed.
    io::stderr().lock().write_all(text.as_bytes()).ok();
}

impl Guide {
    /// Waits until Service and devices are there, so that the first command that is tried finds them.
    pub(super) async fn look_around(place: &Place, app: &App, things: &Things) -> Self {
        let agent = Via::Uds(place.agent_path());
        let websocket =
            app.websocket_address().and_then(|address| format!("ws://{address}/usp").parse().ok());
        Self {
            seen: Seen::look(&agent, things.expected()).await,
            air: things.has_air(),
            dir: place.dir().to_owned(),
            kept: !place.is_temporary(),
            agent,
            websocket,
            services: place.controller_path(),
        }
    }

    pub(super) fn text(&self) -> String {
        let program = Program::of_this_process();
        self.places() + &program.alias + "\n" + &self.things_to_try(program.name)
    }

    fn places(&self) -> String {
        let fate = if self.kept { "kept" } else { "removed at the end" };
        let mut text = format!(
            "A broker with simulated devices is running.\n\n  folder       {} ({fate})\n",
            self.dir.display()
        );
        let mut line = |what: &str, value: &dyn std::fmt::Display| {
            // Writing to a String cannot fail.
            writeln!(text, "  {what:<12} {value}").ok();
        };
        line("Controllers", &self.agent);
        if let Some(websocket) = &self.websocket {
            line("", &format!("{websocket}{}", other_port(websocket)));
        }
        line("Services", &format!("uds:{}{}", self.services.display(), self.seen.service()));
        line(
            "devices",
            &format!(
                "{} simulated, on Modbus, CoAP, MQTT (a Zigbee2MQTT and a Tasmota switch){}, see site.yaml",
                self.seen.online,
                if self.air {
                    ", a serial line, a Zigbee coordinator and Bluetooth"
                } else {
                    ", a serial line and a Zigbee coordinator"
                }
            ),
        );
        line("log", &self.dir.join("demo.log").display());
        text
    }

    fn things_to_try(&self, program: &str) -> String {
        let mut commands = vec![format!("export USP_BROKER_VIA={}", self.agent)];
        if let Some(websocket) = &self.websocket {
            commands.push(format!("export USP_BROKER_VIA={websocket}    # the same over WebSocket"));
        }
        commands.extend([
            format!("{program} get 'Device.ProxiedDevice.*.IoTCapability.*.LevelSensor.'"),
            format!("{program} watch Device.ProxiedDevice."),
        ]);
        if let Some(value) = &self.seen.switch {
            commands.push(format!("{program} set {value}=true"));
            let object = value.strip_suffix("Value").unwrap_or(value);
            commands.push(format!("{program} operate '{object}Toggle()'"));
        }
        commands.extend([
            format!("{program} set 'Device.ProxiedDevice.[Name==\"{PLUG}\"].IoTCapability.[Name==\"State\"].BinaryControl.Value=true'"),
            format!("{program} get 'Device.ProxiedDevice.[Name==\"{STRIP}\"].Node.*.IoTCapability.*.BinaryControl.'"),
            format!("{program} operate 'Device.ProxiedDevice.[Name==\"{BRIDGE}\"].X_ZIGBEE2MQTT_PermitJoin()' Time=60    # a lamp joins"),
            format!("{program} set 'Device.ProxiedDevice.[Name==\"{LAMP}\"].IoTCapability.[Name==\"Brightness\"].LevelControl.Value=100'"),
            format!("{program} operate 'Device.X_USPBROKER_Bus.[Name==\"mesh\"].PermitJoin()' Duration=30    # a door contact joins"),
            format!("{program} operate 'Device.X_USPBROKER_Bus.[Name==\"mesh\"].RemoveDevice()' IEEEAddress={LAMP_AT}    # the lamp leaves; PermitJoin() lets it in again"),
        ]);
        if self.air {
            commands.push(format!(
                "{program} get 'Device.ProxiedDevice.[Name==\"{THERMOMETER}\"].IoTCapability.*.LevelSensor.'"
            ));
            commands.push(format!("{program} set 'Device.ProxiedDevice.[Name==\"{LOCK}\"].IoTCapability.[Name==\"Locked\"].BinaryControl.Value=false'"));
        }
        if let Some(path) = self.seen.service_paths.first() {
            commands.push(format!("{program} get {path}"));
            commands.push(format!("{program} operate '{path}Calibrate()' Reference=20.5"));
        }
        commands.push(format!("{program} supported Device."));
        if let Some(websocket) = &self.websocket {
            commands.push(format!("{program} get Device.LocalAgent. --via {websocket}"));
        }
        commands.push(format!("{program} operate 'Device.Reboot()'"));
        let lines: String = commands.iter().map(|command| format!("  {command}\n")).collect();
        format!(
            "Try in a second terminal:\n\n{lines}\nHere, the devices can be changed and go wrong:\n\n  fault meter1 silent\n  set \
             plug.power 1500\n  clear\n  help\n\nCtrl-C or quit ends it.\n\n"
        )
    }
}

/// Says so when it is not the port that README names.
fn other_port(websocket: &Via) -> String {
    match websocket {
        Via::WebSocket(url) if url.port != WEBSOCKET_PORT => {
            format!(" (port {WEBSOCKET_PORT} is in use by another program)")
        }
        Via::WebSocket(_) | Via::Uds(_) | Via::Mqtt(_) => String::new(),
    }
}

impl Seen {
    async fn look(agent: &Via, expected: usize) -> Self {
        let until = Instant::now() + PATIENCE;
        let mut seen = Self::default();
        let look = async {
            let Ok(endpoint_id) = format!("self::demo-{}", random_text()).parse() else { return };
            let Ok((client, _)) = Client::connect(&Options::new(agent.clone(), endpoint_id)).await else {
                return;
            };
            while !seen.update(&client, expected).await {
                sleep(PAUSE).await;
            }
            client.close().await;
        };
        if timeout_at(until, look).await.is_err() {
            tracing::warn!("not everything of the demo has shown up in time");
        }
        seen
    }

    /// Whether nothing is missing any more.
    async fn update(&mut self, client: &Client, expected: usize) -> bool {
        let param_paths = [SERVICES, DEVICES, SWITCHES].map(str::to_owned).to_vec();
        let request = ReqType::Get(Get { param_paths, max_depth: 0 });
        let Ok(RespType::GetResp(response)) = client.request(request).await else { return false };
        let paths = values(&response, SERVICES).into_iter();
        self.service_paths =
            paths.flat_map(|(_, list)| list.split(',').map(str::to_owned).collect::<Vec<_>>()).collect();
        self.online = values(&response, DEVICES).iter().filter(|(_, online)| online == "true").count();
        self.switch = values(&response, SWITCHES).into_iter().next().map(|(path, _)| path);
        !self.service_paths.is_empty() && self.online >= expected && self.switch.is_some()
    }

    fn service(&self) -> String {
        match self.service_paths.as_slice() {
            [] => String::new(),
            paths => format!(" (a sample Service has registered {})", paths.join(", ")),
        }
    }
}

/// Full paths and values of one requested path.
fn values(response: &GetResp, requested: &str) -> Vec<(String, String)> {
    let results = response.req_path_results.iter().filter(|result| result.requested_path == requested);
    let objects = results.flat_map(|result| &result.resolved_path_results);
    let pairs = objects.flat_map(|object| {
        object
            .result_params
            .iter()
            .map(|(name, value)| (format!("{}{name}", object.resolved_path), value.to_owned()))
    });
    pairs.collect()
}

/// How this program is called in the commands to try.
struct Program {
    /// A line that makes the name work; empty where it works by itself.
    alias: String,
    name: &'static str,
}

impl Program {
    fn of_this_process() -> Self {
        let name = "usp-broker";
        let alias = match std::env::current_exe() {
            Ok(program) if !is_found(name, &program) => {
                format!(
                    "\nThis program is not in the PATH; make it known first:\n\n  alias {name}={}\n",
                    program.display()
                )
            }
            _ => String::new(),
        };
        Self { alias, name }
    }
}

/// Whether a shell that looks for `name` finds `program`.
fn is_found(name: &str, program: &Path) -> bool {
    let Some(path) = std::env::var_os("PATH") else { return false };
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
    found.and_then(|file| file.canonicalize().ok()) == program.canonicalize().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_port_than_the_usual_is_explained() {
        let told = |port: u16| other_port(&format!("ws://127.0.0.1:{port}/usp").parse().unwrap());
        assert_eq!(told(WEBSOCKET_PORT), "");
        assert!(told(40_000).contains("port 5683 is in use"));
    }

    #[test]
    fn every_command_can_be_copied() {
        let value = "Device.ProxiedDevice.1.IoTCapability.4.BinaryControl.Value";
        let guide = Guide {
            dir: "/tmp/d".into(),
            kept: true,
            agent: Via::Uds("/tmp/d/broker_agent_path".into()),
            websocket: "ws://127.0.0.1:5683/usp".parse().ok(),
            services: "/tmp/d/broker_controller_path".into(),
            air: true,
            seen: Seen { service_paths: vec!["Device.X.".into()], online: 9, switch: Some(value.into()) },
        };
        let text = guide.text();
        for line in [
            "  folder       /tmp/d (kept)\n",
            "  Controllers  uds:/tmp/d/broker_agent_path\n",
            "  devices      9 simulated, on Modbus, CoAP, MQTT (a Zigbee2MQTT and a Tasmota switch), a serial line, a Zigbee coordinator and Bluetooth, see site.yaml\n",
            "  export USP_BROKER_VIA=uds:/tmp/d/broker_agent_path\n",
            "  usp-broker set Device.ProxiedDevice.1.IoTCapability.4.BinaryControl.Value=true\n",
            "  usp-broker operate 'Device.ProxiedDevice.1.IoTCapability.4.BinaryControl.Toggle()'\n",
            "  usp-broker get Device.X.\n",
            "  usp-broker get Device.LocalAgent. --via ws://127.0.0.1:5683/usp\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
