//! A whole world around one broker. [`World`] carries out what the broker orders, at once unless told otherwise, and
//! moves time only in [`World::advance`].

pub(crate) mod device;
pub(crate) mod disk;
pub(crate) mod letters;
pub(crate) mod mqtt;
pub(crate) mod peer;
pub(crate) mod service;
pub(crate) mod site;
pub(crate) mod text;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use usp_core::Broker;
use usp_core::config::{CoreConfig, Identity, Limits, Seed, UdsSettings, UdsTrust, WebSocketSettings};
use usp_core::input::{ConnId, Input, Link, MtpKind, Side};
use usp_core::mqtt::port::MqttOrder;
use usp_core::output::{CloseReason, Output, RestartCause};
use usp_core::time::{Mono, Now, Wall};
use usp_mapping::mapping::Site;
use usp_mapping::port::{AdapterCall, AdapterReply, BusCall};
use usp_proto::endpoint_id::EndpointId;
use usp_proto::message;
use usp_proto::record::{Record, RecordBody};
use usp_proto::usp;

use device::Devices;
use disk::Disk;
use service::FakeService;

/// The broker's Endpoint ID.
pub(crate) const BROKER: &str = "os::012345-hub";
/// 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600_000;

/// One broker and all around it.
pub(crate) struct World {
    pub(crate) broker: Broker,
    pub(crate) config: CoreConfig,
    pub(crate) disk: Disk,
    pub(crate) devices: Devices,
    /// The devices as the broker knows them.
    pub(crate) site: Arc<Site>,
    pub(crate) services: BTreeMap<ConnId, FakeService>,
    /// What each connection was sent and nobody has looked at yet.
    pub(crate) inbox: BTreeMap<ConnId, Vec<Record>>,
    /// Every order to the adapters.
    pub(crate) calls: Vec<AdapterCall>,
    /// What buses were asked.
    pub(crate) bus_calls: Vec<BusCall>,
    pub(crate) closed: Vec<(ConnId, CloseReason)>,
    pub(crate) restarts: Vec<RestartCause>,
    /// Wishes to read the site again.
    pub(crate) reloads: Vec<u64>,
    /// Orders to MQTT clients, oldest first.
    pub(crate) mqtt: Vec<MqttOrder>,
    /// Sends with equal keys of which an outbox would keep the last.
    pub(crate) merges: Vec<(ConnId, u64)>,
    /// Whether the wall clock can be believed.
    pub(crate) wall_is_true: bool,
    /// The wall clock, when time began.
    wall: i64,
    peers: BTreeMap<ConnId, EndpointId>,
    later: BTreeMap<(Mono, u64), Input>,
    now: Mono,
    counter: u64,
}

/// The settings of most tests: both transports, everybody local may do everything.
pub(crate) fn config() -> CoreConfig {
    let own = |text: &str| text.to_owned();
    CoreConfig {
        endpoint_id: EndpointId::parse(BROKER).unwrap(),
        identity: Identity {
            manufacturer: own("ACME"),
            oui: own("012345"),
            model: own("Hub"),
            product_class: own("hub"),
            serial: own("0001"),
            software_version: own("1.0"),
            hardware_version: own("A"),
        },
        entropy: 7,
        limits: Limits::default(),
        uds: Some(UdsSettings {
            agent_path: own("/run/agent"),
            controller_path: own("/run/controller"),
            trust: UdsTrust::Socket,
            local_role: own("Full Access"),
        }),
        websocket: Some(WebSocketSettings {
            port: 5683,
            path: own("/usp"),
            keep_alive: 30,
            local_role: None,
        }),
        seed: Seed::default(),
    }
}

impl World {
    /// A broker on an empty disk, without devices.
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    /// The same with other settings.
    pub(crate) fn with(config: CoreConfig) -> Self {
        let mut world = Self::before_site(config, Disk::default());
        world.site("");
        world
    }

    /// A broker that has not heard of its site yet.
    pub(crate) fn before_site(config: CoreConfig, disk: Disk) -> Self {
        Self::at(config, disk, START, true)
    }

    fn at(config: CoreConfig, disk: Disk, wall: i64, wall_is_true: bool) -> Self {
        let now = Now { monotonic: Mono(Duration::from_secs(1)), wall: Wall(wall), wall_is_true };
        let broker = Broker::new(config.clone(), disk.snapshot.clone(), now).unwrap();
        let mut world = Self {
            broker,
            config,
            disk,
            devices: Devices::default(),
            site: Arc::default(),
            services: BTreeMap::new(),
            inbox: BTreeMap::new(),
            calls: Vec::new(),
            bus_calls: Vec::new(),
            closed: Vec::new(),
            restarts: Vec::new(),
            reloads: Vec::new(),
            mqtt: Vec::new(),
            merges: Vec::new(),
            wall_is_true,
            wall,
            peers: BTreeMap::new(),
            later: BTreeMap::new(),
            now: now.monotonic,
            counter: 0,
        };
        world.settle();
        world
    }

    /// The process ends without a word, and another one starts from what is on disk, 10 s later.
    pub(crate) fn restart(self) -> Self {
        let config = CoreConfig { entropy: self.config.entropy + 1, ..self.config };
        let mut disk = self.disk;
        disk.forget_open();
        let mut world = Self::before_site(config, disk);
        world.devices.behaviour = self.devices.behaviour;
        world
    }

    /// The same, so many seconds later on the wall, which may not be known at first.
    pub(crate) fn restart_after(self, seconds: i64, wall_is_true: bool) -> Self {
        let config = CoreConfig { entropy: self.config.entropy + 1, ..self.config.clone() };
        let wall = self.clock().wall.0 + seconds * 1000;
        let mut disk = self.disk;
        disk.forget_open();
        let mut world = Self::at(config, disk, wall, wall_is_true);
        world.site("");
        world
    }

    /// What the clocks say.
    pub(crate) fn clock(&self) -> Now {
        let ms = i64::try_from(self.now.0.as_millis()).unwrap();
        Now { monotonic: self.now, wall: Wall(self.wall + ms - 1000), wall_is_true: self.wall_is_true }
    }

    /// Sets the wall clock forward or back, as a time server would.
    pub(crate) fn set_wall(&mut self, seconds: i64) {
        self.wall += seconds * 1000;
    }

    /// Gives the broker one input and carries out everything that follows at once.
    pub(crate) fn input(&mut self, input: Input) {
        self.broker.handle(self.clock(), input);
        self.settle();
    }

    /// Carries out orders until there are none.
    pub(crate) fn settle(&mut self) {
        while let Some(output) = self.broker.poll_output() {
            self.carry_out(output);
        }
        let due: Vec<(Mono, u64)> =
            self.later.keys().take_while(|(at, _)| *at <= self.now).copied().collect();
        if let Some(first) = due.first()
            && let Some(input) = self.later.remove(first)
        {
            self.input(input);
        }
    }

    /// Lets time pass, event by event.
    pub(crate) fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        loop {
            let next = [self.broker.poll_timeout(), self.later.keys().next().map(|(at, _)| *at)];
            let Some(at) = next.into_iter().flatten().min().filter(|at| *at <= end) else { break };
            self.now = self.now.max(at);
            self.broker.handle_timeout(self.clock());
            self.settle();
        }
        self.now = end;
    }

    /// Seconds.
    pub(crate) fn wait(&mut self, seconds: u64) {
        self.advance(Duration::from_secs(seconds));
    }

    /// Time since the world began.
    pub(crate) fn now(&self) -> Duration {
        self.now.0
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send { conn, record, merge } => {
                self.merges.extend(merge.map(|m| (conn, m)));
                self.deliver(conn, *record);
            }
            Output::Close { conn, why } => {
                self.closed.push((conn, why));
                self.later(Duration::ZERO, Input::Disconnected { conn, reason: "closed".to_owned() });
            }
            Output::Call(call) => {
                self.calls.push(call.clone());
                for (after, outcome) in self.devices.answers(&call) {
                    self.later(after, Input::Reply(AdapterReply { id: call.id, outcome }));
                }
            }
            Output::Store { batch, ops } => {
                if let Some(result) = self.disk.write(batch, ops) {
                    self.later(Duration::ZERO, Input::Stored { batch, result });
                }
            }
            Output::Bus(call) => self.bus_calls.push(call),
            Output::Mqtt(order) => self.mqtt.push(order),
            Output::Reload(asked) => self.reloads.push(asked),
            Output::Restart(cause) => self.restarts.push(cause),
        }
    }

    fn deliver(&mut self, conn: ConnId, record: Record) {
        if let (Some(service), Some(msg)) = (self.services.get_mut(&conn), record.msg()) {
            for (after, answer) in service.answers(msg) {
                let record = self.record_from(conn, answer);
                self.later(after, Input::Record { conn, record: Box::new(record) });
            }
        }
        self.inbox.entry(conn).or_default().push(record);
    }

    /// Something that happens after a while; at once, but after all orders were carried out, for zero.
    pub(crate) fn later(&mut self, after: Duration, input: Input) {
        self.counter += 1;
        self.later.insert((self.now + after, self.counter), input);
    }

    fn record_from(&self, conn: ConnId, msg: usp::Msg) -> Record {
        let from = self.peers.get(&conn).cloned().unwrap();
        Record::message(from, EndpointId::parse(BROKER).unwrap(), msg)
    }

    /// A peer connects.
    pub(crate) fn connect(&mut self, mtp: MtpKind, side: Side, peer: &str, trusted: bool) -> ConnId {
        self.counter += 1;
        let conn = ConnId(self.counter);
        let peer = EndpointId::parse(peer).unwrap();
        self.peers.insert(conn, peer.clone());
        self.input(Input::Connected { conn, link: Link { mtp, side, peer, trusted } });
        conn
    }

    /// A Controller on the local socket.
    pub(crate) fn controller(&mut self, peer: &str) -> ConnId {
        self.connect(MtpKind::Uds, Side::Agent, peer, true)
    }

    /// The connection ends.
    pub(crate) fn disconnect(&mut self, conn: ConnId) {
        self.services.remove(&conn);
        self.input(Input::Disconnected { conn, reason: "the socket closed".to_owned() });
    }

    /// Sends a Message of a peer.
    pub(crate) fn send(&mut self, conn: ConnId, msg: usp::Msg) {
        let record = Box::new(self.record_from(conn, msg));
        self.input(Input::Record { conn, record });
    }

    /// Sends a request and gives its msg_id.
    pub(crate) fn begin(&mut self, conn: ConnId, request: usp::request::ReqType) -> String {
        self.counter += 1;
        let msg_id = format!("m{}", self.counter);
        self.send(conn, message::request(&msg_id, request));
        msg_id
    }

    /// Takes the answers to a request out of the inbox.
    pub(crate) fn answers(&mut self, conn: ConnId, msg_id: &str) -> Vec<usp::Msg> {
        let is_answer =
            |r: &mut Record| r.msg().is_some_and(|m| message::msg_id(m) == msg_id && !message::is_request(m));
        let found = self.inbox.entry(conn).or_default().extract_if(.., is_answer);
        found.filter_map(|r| r.msg().cloned()).collect()
    }

    /// The one answer to a request, if it has come.
    pub(crate) fn answer(&mut self, conn: ConnId, msg_id: &str) -> Option<usp::Msg> {
        let mut answers = self.answers(conn, msg_id);
        assert!(answers.len() < 2, "{} answers to one request", answers.len());
        answers.pop()
    }

    /// Sends a request that is answered without any time passing.
    pub(crate) fn ask(&mut self, conn: ConnId, request: usp::request::ReqType) -> usp::Msg {
        let msg_id = self.begin(conn, request);
        self.answer(conn, &msg_id).unwrap_or_else(|| panic!("no answer at once"))
    }

    /// Records other than Messages that a connection got, taken.
    pub(crate) fn records(&mut self, conn: ConnId) -> Vec<RecordBody> {
        let other = |r: &mut Record| r.msg().is_none();
        self.inbox.entry(conn).or_default().extract_if(.., other).map(|r| r.body).collect()
    }
}
