//! A broker to be tested, and how to reach it.

use std::io;
use std::time::{Duration, Instant};

use usp_tests::place::Place;
use usp_tests::process::Process;
use usp_tests::wait::PATIENCE;

use crate::link::{Events, Link, uds::Uds, websocket};
use crate::pattern::Vars;
use crate::player::Player;

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
}

impl Via {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Uds, Self::WebSocket];

    /// As it is called in cases and in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uds => "uds",
            Self::WebSocket => "ws",
        }
    }
}

/// One running broker.
pub struct Bench {
    place: Place,
    process: Option<Process>,
    via: Via,
    websocket: String,
    /// Names that every case knows.
    pub names: Vars,
}

impl Bench {
    /// Starts a broker with its own folder.
    pub fn start(via: Via) -> Self {
        let place = Place::new(crate::ACTOR, CONFIG);
        let mut bench = Self { place, process: None, via, websocket: String::new(), names: Vars::new() };
        bench.run();
        bench.learn_names();
        bench
    }

    fn run(&mut self) {
        self.process = Some(self.place.start());
        let mut janitor = self.janitor();
        let port = janitor.value("Device.LocalAgent.MTP.*.WebSocket.Port");
        self.websocket = format!("127.0.0.1:{port}/usp");
    }

    /// Rows that cases need to know: `$me` is the tester's Controller row, `$meref` its path as a reference.
    fn learn_names(&mut self) {
        let mut janitor = self.janitor();
        let mut put = |name: &str, value: &str| self.names.insert(name.to_owned(), value.to_owned());
        put("agent", AGENT);
        put("tester", TESTER);
        put("Sub", "Device.LocalAgent.Subscription.");
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
    pub fn connect(&self, who: &str) -> io::Result<(Box<dyn Link>, Events)> {
        match self.via {
            Via::Uds => self.connect_uds(who),
            Via::WebSocket => {
                let (link, events) = websocket::WebSocket::connect(&self.websocket, who, websocket::PROPER)?;
                Ok((Box::new(link), events))
            }
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
