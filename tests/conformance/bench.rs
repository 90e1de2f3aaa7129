//! A broker to be tested, and how to reach it.

use std::io;
use std::time::{Duration, Instant};

use usp_tests::place::Place;
use usp_tests::process::Process;
use usp_tests::wait::{PATIENCE, eventually_ok};

use usp_tests::mosquitto::Mosquitto;

use crate::link::mqtt::{self, Mqtt};
use crate::link::{Events, Link, uds::Uds, websocket};
use crate::pattern::Vars;
use crate::player::Player;
use crate::script::Case;
use crate::server::Scripted;

/// Our own Endpoint ID, as all live tests configure it.
pub const AGENT: &str = "self::hub";
/// The Controller that tests; its role can be changed by cases.
pub const TESTER: &str = "self::tester";
/// Another one.
pub const SECOND: &str = "self::second";
/// Cleans up behind them, over the UNIX domain socket, and may do anything.
pub const JANITOR: &str = "self::janitor";

/// The first line belongs to the WebSocket server: whoever is unknown there is not trusted. Two Controllers with a role that cases write to.
const CONFIG: &str = r#"
local_role = "Untrusted"
[[role]]
name = "Tester"
[[role.permission]]
order = 1
targets = ["Device."]
param = "rwxn"
obj = "rwxn"
instantiated_obj = "rwxn"
command_event = "rwxn"
[[role]]
name = "Second"
[[role.permission]]
order = 1
targets = ["Device."]
param = "rwxn"
obj = "rwxn"
instantiated_obj = "rwxn"
command_event = "rwxn"
[[controller]]
endpoint_id = "self::tester"
role = "Tester"
[[controller]]
endpoint_id = "self::second"
role = "Second"
"#;

/// A transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Via {
    /// UNIX domain socket.
    Uds,
    /// The Agent's WebSocket server.
    WebSocket,
    /// An MQTT server, in version 5.0.
    Mqtt5,
    /// In version 3.1.1.
    Mqtt3,
}

impl Via {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Uds, Self::WebSocket, Self::Mqtt5, Self::Mqtt3];

    /// As it is called in cases and in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uds => "uds",
            Self::WebSocket => "ws",
            Self::Mqtt5 => "mqtt5",
            Self::Mqtt3 => "mqtt3",
        }
    }

    /// Whether cases mean it by this name; `mqtt` is both versions.
    pub fn is(self, name: &str) -> bool {
        self.name() == name || (name == "mqtt" && self.mqtt().is_some())
    }

    /// The version as CONNECT has it, and as rows have it.
    fn mqtt(self) -> Option<(u8, &'static str)> {
        match self {
            Self::Mqtt5 => Some((5, "5.0")),
            Self::Mqtt3 => Some((4, "3.1.1")),
            Self::Uds | Self::WebSocket => None,
        }
    }
}

/// What the Agent is a client of.
enum Server {
    /// A server as everybody has it.
    Real(Mosquitto),
    /// One that a case has a hand in.
    Scripted(Scripted),
}

/// `broker.toml` with a client whose server is a real one, and Controllers that are reached through it.
fn real_client(server: &Mosquitto, via: Via) -> String {
    let version = via.mqtt().map_or("5.0", |(_, version)| version);
    let client = format!(
        "[[mqtt]]\nname = \"main\"\nbroker = \"{}\"\nversion = \"{version}\"\nresponse_topic = \"{}\"\n",
        server.address(),
        mqtt::AGENT_TOPIC
    );
    let route = |who: &str| {
        let row = format!("endpoint_id = \"{who}\"\n");
        let topic = mqtt::topic(who);
        (format!("{row}mqtt = {{ client = \"main\", topic = \"{topic}\" }}\n"), row)
    };
    [TESTER, SECOND]
        .into_iter()
        .map(route)
        .fold(CONFIG.to_owned(), |config, (new, old)| config.replace(&old, &new))
        + &client
}

/// A client for a server that a case has a hand in; `bare` has no topic of its own.
fn scripted_client(server: &Scripted, version: &str, rules: &str) -> String {
    let topic = format!("response_topic = \"{}\"\n", mqtt::AGENT_TOPIC);
    let topic = if rules == "bare" { "" } else { topic.as_str() };
    format!(
        "mqtt = {{ client = \"main\", topic = \"{}\" }}\n[[mqtt]]\nname = \"main\"\nbroker = \"{}\"\nversion = \"{version}\"\n\
         username = \"hub\"\npassword = \"file:password\"\n{topic}\
         params = {{ ConnectRetryTime = 1, ConnectRetryIntervalMultiplier = 2000 }}\n",
        mqtt::topic(SECOND),
        server.address()
    )
}

/// One running broker.
pub struct Bench {
    place: Place,
    process: Option<Process>,
    via: Via,
    server: Option<Server>,
    websocket: String,
    /// Names that every case knows.
    pub names: Vars,
}

impl Bench {
    /// Starts a broker with its own folder.
    pub fn start(via: Via) -> Self {
        let server = via.mqtt().map(|_| Server::Real(Mosquitto::start()));
        Self::with(via, server, CONFIG)
    }

    /// The one that a case wants for itself.
    pub fn of(via: Via, case: &Case) -> Self {
        match (&case.server, via.mqtt()) {
            (Some(rules), Some((number, version))) => {
                let server = Scripted::start(number);
                let config = scripted_client(&server, version, rules);
                Self::with(via, Some(Server::Scripted(server)), &(CONFIG.to_owned() + &config))
            }
            _ => Self::start(via),
        }
    }

    fn with(via: Via, server: Option<Server>, config: &str) -> Self {
        let config = match &server {
            Some(Server::Real(server)) => real_client(server, via),
            _ => config.to_owned(),
        };
        let place = Place::new(crate::ACTOR, &config);
        place.write("password", "secret\n");
        let mut bench =
            Self { place, process: None, via, server, websocket: String::new(), names: Vars::new() };
        bench.run();
        bench.learn_names();
        bench
    }

    fn run(&mut self) {
        self.process = Some(self.place.start());
        let mut janitor = self.janitor();
        let port = janitor.value("Device.LocalAgent.MTP.*.WebSocket.Port");
        self.websocket = format!("127.0.0.1:{port}/usp");
        if let Some(Server::Real(server)) = &self.server {
            self.connected(server, &mut janitor);
        }
    }

    /// Waits for the Agent's client.
    fn connected(&self, server: &Mosquitto, janitor: &mut Player) {
        let look = || {
            let status = janitor.value("Device.MQTT.Client.1.Status");
            if status == "Connected" { Ok(()) } else { Err(status) }
        };
        eventually_ok(look, |status| {
            let (broker, server) = (self.place.log(), server.log());
            format!("a connected client, which is {status}\nbroker:\n{broker}\nmosquitto:\n{server}")
        });
    }

    /// The transport.
    pub fn via(&self) -> Via {
        self.via
    }

    /// The MQTT server that does what a case says.
    pub fn scripted(&self) -> Result<&Scripted, String> {
        match &self.server {
            Some(Server::Scripted(server)) => Ok(server),
            _ => Err("no server that a case has a hand in".to_owned()),
        }
    }

    /// Whether the Agent can end without its Controllers' connections.
    pub fn is_behind_server(&self) -> bool {
        self.server.is_some()
    }

    /// Rows that cases need to know: `$me` is the tester's Controller row, `$meref` its path as a reference.
    fn learn_names(&mut self) {
        let mut janitor = self.janitor();
        let mut put = |name: &str, value: &str| self.names.insert(name.to_owned(), value.to_owned());
        put("agent", AGENT);
        put("tester", TESTER);
        put("Sub", "Device.LocalAgent.Subscription.");
        if self.server.is_some() {
            let row = janitor.row("Device.LocalAgent.MTP.[Protocol==\"MQTT\"].");
            put("mqttref", row.trim_end_matches('.'));
        }
        for (name, id) in [("me", TESTER), ("second", SECOND)] {
            let row = janitor.row(&format!("Device.LocalAgent.Controller.[EndpointID==\"{id}\"]."));
            put(name, &row);
            put(&format!("{name}ref"), row.trim_end_matches('.'));
            put(&format!("{name}alias"), &janitor.value(&format!("{row}Alias")));
            let role = janitor.value(&format!("{row}AssignedRole"));
            put(&format!("{name}role"), &format!("{role}."));
            put(&format!("{name}roleref"), &role);
        }
    }

    /// Connects as a Controller, over the transport of this bench.
    ///
    /// Beside a server that a case has a hand in, that is a UNIX domain socket.
    pub fn connect(&self, who: &str) -> io::Result<(Box<dyn Link>, Events)> {
        match (&self.server, self.via) {
            (Some(Server::Real(server)), via) => {
                let version = via.mqtt().map_or(5, |(number, _)| number);
                let (link, events) = Mqtt::connect(server.address(), version, who)?;
                Ok((Box::new(link), events))
            }
            (None, Via::WebSocket) => {
                let (link, events) = websocket::WebSocket::connect(&self.websocket, who, websocket::PROPER)?;
                Ok((Box::new(link), events))
            }
            _ => self.connect_uds(who),
        }
    }

    fn connect_uds(&self, who: &str) -> io::Result<(Box<dyn Link>, Events)> {
        let (link, events) = Uds::connect(&self.place.path("agent"), who)?;
        Ok((Box::new(link), events))
    }

    /// The Controller that cleans up.
    pub fn janitor(&self) -> Player {
        again(|| Player::ready(JANITOR, self.connect_uds(JANITOR)?))
    }

    /// One that tests.
    pub fn player(&self, who: &str) -> Player {
        again(|| Player::ready(who, self.connect(who)?))
    }

    /// `host:port/path` of the WebSocket server.
    pub fn websocket(&self) -> &str {
        &self.websocket
    }

    /// Waits until the broker has ended by itself, and starts it again, as its supervisor would.
    pub fn reboot(&mut self) {
        if let Some(process) = self.process.take() {
            process.ended();
        }
        self.run();
    }
}

/// The broker may not yet have noticed that the former connection has ended.
fn again<T>(mut open: impl FnMut() -> io::Result<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        match open() {
            Ok(opened) => return opened,
            Err(error) => assert!(Instant::now() < until, "connecting: {error}"),
        }
        let (_sender, never) = std::sync::mpsc::channel::<()>();
        never.recv_timeout(Duration::from_millis(5)).ok();
    }
}
