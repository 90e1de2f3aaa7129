//! The adapter for MQTT devices at a real mosquitto, with the payloads of real devices. The other side is a raw client.

use std::convert::Infallible;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use usp_adapters::{Adapters, FromAdapter};
use usp_mapping::diagnostic::SourceFile;
use usp_mapping::library::Catalog;
use usp_mapping::mapping::{
    AdoptedFrom, Adoption, Bus, BusAddress, BusKind, Device, MqttServer, MqttTls, MqttVersion, SecretRef,
    Site,
};
use usp_mapping::port::{
    Action, AdapterCall, AdapterReport, CallId, DeviceFault, DeviceId, Freshness, PointId, Reading, Readings,
};
use usp_mapping::site::compile_site;
use usp_mapping::value::Value;
use usp_simulators::mqtt::{Connect, Packet, Peer, Publish};
use usp_tests::mosquitto::Mosquitto;
use usp_tests::wait::PATIENCE;

/// A lamp as Zigbee2MQTT shows it: brightness that is set, power that is told.
const LAMP: &str = r#"
uspmap: 1
profile: test.lamp
version: 1.0.0
device: {type: X_TEST_Lamp}
mqtt: {qos: 1, availability: {topic: ~/availability, json: /state}}
capabilities:
  brightness:
    {class: LevelControl, type: X_TEST_Level, unit: "-", min: 0, max: 254, step: 1,
     read: {topic: "~", json: /brightness, get: {topic: ~/get, send: {brightness: ""}}},
     write: {topic: ~/set, json: /brightness, verify: 2s}}
  power: {class: LevelSensor, type: Power, unit: W, read: {topic: "~", json: /power}}
"#;

fn lamp(id: &str, topic: &str) -> Device {
    let site = format!(
        "site: 1\nbuses:\n  home: {{mqtt: \"127.0.0.1:1\"}}\ndevices:\n  {id}: {{use: test.lamp, bus: home, topic: \"{topic}\"}}\n"
    );
    let catalog = Catalog::new(vec![SourceFile::new("lamp.yaml", LAMP)]);
    let (site, found) = compile_site(&SourceFile::new("site.yaml", &site), &|wanted| catalog.find(wanted));
    site.unwrap_or_else(|| panic!("{found:#?}")).devices.remove(0)
}

fn server(at: &Mosquitto, version: MqttVersion) -> MqttServer {
    MqttServer {
        address: BusAddress::Socket(at.address()),
        user: None,
        password: None,
        tls: None,
        client_id: None,
        version,
        adopt: Vec::new(),
    }
}

fn site(server: MqttServer, devices: Vec<Device>) -> Arc<Site> {
    let bus = Bus { name: "home".to_owned(), kind: BusKind::Mqtt(server) };
    Arc::new(Site { buses: vec![bus], devices })
}

/// The adapters, and what they say.
struct Bench {
    adapters: Adapters,
    core: mpsc::Receiver<FromAdapter>,
    calls: u64,
}

impl Bench {
    fn start(site: Arc<Site>) -> Self {
        let (to_core, core) = mpsc::channel(64);
        Self { adapters: Adapters::start(site, to_core), core, calls: 0 }
    }

    async fn next(&mut self) -> FromAdapter {
        tokio::time::timeout(PATIENCE, self.core.recv()).await.expect("something").unwrap()
    }

    /// Waits until a device is there, or is not; why.
    async fn until_online(&mut self, id: &str, wanted: bool) -> Option<DeviceFault> {
        loop {
            let next = self.next().await;
            if let FromAdapter::Report(AdapterReport::Online { device, online }) = next
                && &*device.0 == id
                && online.is_ok() == wanted
            {
                return online.err();
            }
        }
    }

    /// The devices that the bus has of its own, as soon as they are told.
    async fn adopted(&mut self) -> Vec<Device> {
        loop {
            if let FromAdapter::Adopted(adopted) = self.next().await {
                return adopted.devices;
            }
        }
    }

    /// The next readings.
    async fn readings(&mut self) -> Readings {
        loop {
            if let FromAdapter::Report(AdapterReport::Readings { readings, .. }) = self.next().await {
                return readings;
            }
        }
    }

    fn call(&mut self, device: &str, action: Action) -> CallId {
        self.calls += 1;
        let (id, device) = (CallId(self.calls), DeviceId(device.into()));
        let (within, behind) = (Duration::from_secs(20), Duration::ZERO);
        self.adapters.call(AdapterCall { id, device, within, behind, action });
        id
    }

    async fn reply(&mut self, id: CallId) -> Result<Readings, DeviceFault> {
        loop {
            if let FromAdapter::Reply(reply) = self.next().await
                && reply.id == id
            {
                return reply.outcome;
            }
        }
    }
}

/// The other side: what it publishes and hears.
async fn bridge(at: &Mosquitto) -> Peer {
    let mut peer = Peer::connect(at.address(), &Connect::client(4, "bridge")).await.unwrap();
    peer.subscribe(&[("zigbee2mqtt/+/set", 0), ("zigbee2mqtt/+/get", 0)]).await.unwrap();
    peer
}

async fn says(peer: &mut Peer, topic: &str, body: &str, retain: bool) {
    let (topic, payload) = (topic.to_owned(), body.as_bytes().to_vec());
    peer.say(&Packet::Publish(Publish { topic, payload, retain, ..Publish::default() })).await.unwrap();
}

async fn hears(peer: &mut Peer) -> (String, String) {
    let heard = tokio::time::timeout(PATIENCE, peer.publication()).await.expect("a publication").unwrap();
    (heard.topic, String::from_utf8(heard.payload).unwrap())
}

/// The next thing that is set; whoever asks for the state meanwhile is told it.
async fn is_set(peer: &mut Peer, state: &str) -> (String, String) {
    loop {
        let (topic, body) = hears(peer).await;
        match topic.strip_suffix("/get") {
            Some(device) => says(peer, device, state, false).await,
            None => return (topic, body),
        }
    }
}

/// Tells this state as often as it is asked for: what the first Set interrupted is asked once more.
async fn says_when_asked(peer: &mut Peer, state: &str) -> Infallible {
    loop {
        assert_eq!(hears(peer).await, (format!("{TOPIC}/get"), r#"{"brightness":""}"#.to_owned()));
        says(peer, TOPIC, state, false).await;
    }
}

fn level(value: i64) -> Value {
    Value::Number(value.into())
}

const TOPIC: &str = "zigbee2mqtt/lamp";
const THERE: &str = "zigbee2mqtt/lamp/availability";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lamp_is_read_set_confirmed_and_lost_with_either_version() {
    for version in [MqttVersion::V311, MqttVersion::V5] {
        let mosquitto = Mosquitto::start();
        let mut bridge = bridge(&mosquitto).await;
        says(&mut bridge, TOPIC, r#"{"brightness":10,"linkquality":120,"update":{"state":"idle"}}"#, true)
            .await;
        says(&mut bridge, THERE, r#"{"state":"online"}"#, true).await;
        let mut bench = Bench::start(site(server(&mosquitto, version), vec![lamp("lamp", TOPIC)]));
        let (mut online, mut shown) = (false, false);
        while !(online && shown) {
            match bench.next().await {
                FromAdapter::Report(AdapterReport::Online { online: Ok(()), .. }) => online = true,
                FromAdapter::Report(AdapterReport::Readings { readings, .. }) => {
                    assert_eq!(readings, [Reading::kept(PointId(0), Ok(level(10)))]);
                    shown = true;
                }
                other => panic!("{other:?}"),
            }
        }
        let set = bench.call("lamp", Action::Write(vec![(PointId(0), level(127))]));
        let heard = is_set(&mut bridge, r#"{"brightness":10}"#).await;
        assert_eq!(heard, (format!("{TOPIC}/set"), r#"{"brightness":127}"#.to_owned()));
        says(&mut bridge, TOPIC, r#"{"brightness":60}"#, false).await;
        says(&mut bridge, TOPIC, r#"{"brightness":127,"power":4.5}"#, false).await;
        assert_eq!(bench.reply(set).await, Ok(vec![Reading::now(PointId(0), Ok(level(127)))]));

        let get = bench.call("lamp", Action::Read(vec![PointId(0), PointId(1)]));
        let power = Value::Number("4.5".parse().unwrap());
        let answer = says_when_asked(&mut bridge, r#"{"brightness":126}"#);
        let got = tokio::select! {
            got = bench.reply(get) => got.unwrap(),
            never = answer => match never {},
        };
        assert_eq!(got[0], Reading::now(PointId(0), Ok(level(126))));
        let Reading { result, freshness, .. } = &got[1];
        assert_eq!((result, freshness.contact), (&Ok(power), false), "it cannot be asked for");
        assert!(freshness.age.is_some_and(|age| !age.is_zero()), "{freshness:?}");

        let never = bench.call("lamp", Action::Write(vec![(PointId(0), level(1))]));
        let results = bench.reply(never).await.unwrap();
        assert!(matches!(results[0].result, Err(DeviceFault::NotConfirmed { .. })), "{results:?}");

        says(&mut bridge, THERE, r#"{"state":"offline"}"#, true).await;
        bench.until_online("lamp", false).await;
        let refused = bench.call("lamp", Action::Write(vec![(PointId(0), level(1))]));
        assert!(matches!(bench.reply(refused).await, Err(DeviceFault::Unreachable(_))));
        bench.adapters.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_restarted_loses_no_device() {
    let mut mosquitto = Mosquitto::start();
    let mut peer = bridge(&mosquitto).await;
    says(&mut peer, THERE, r#"{"state":"online"}"#, true).await;
    let mut bench = Bench::start(site(server(&mosquitto, MqttVersion::V5), vec![lamp("lamp", TOPIC)]));
    bench.until_online("lamp", true).await;
    mosquitto.kill();
    let why = bench.until_online("lamp", false).await.unwrap().to_string();
    assert!(why.contains(&format!("MQTT server {}", mosquitto.address())), "{why}");
    let bus = bench.adapters.statistics().remove(0);
    assert!(!bus.connected && !bus.last_error.is_empty(), "{bus:?}");
    mosquitto.again();
    let mut peer = bridge(&mosquitto).await;
    says(&mut peer, THERE, r#"{"state":"online"}"#, true).await;
    bench.until_online("lamp", true).await;
    says(&mut peer, TOPIC, r#"{"brightness":99}"#, true).await;
    assert_eq!(bench.readings().await, [Reading::now(PointId(0), Ok(level(99)))]);

    // Devices that come later hear what was kept for them, and others go on.
    says(&mut peer, "zigbee2mqtt/late", r#"{"brightness":5}"#, true).await;
    let both = vec![lamp("lamp", TOPIC), lamp("late", "zigbee2mqtt/late")];
    bench.adapters.apply(site(server(&mosquitto, MqttVersion::V5), both)).await;
    assert_eq!(bench.readings().await, [Reading::kept(PointId(0), Ok(level(5)))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retained_garbage_is_no_value() {
    let mosquitto = Mosquitto::start();
    let mut bridge = bridge(&mosquitto).await;
    says(&mut bridge, TOPIC, "\u{0}{not json", true).await;
    says(&mut bridge, THERE, "rubbish", true).await;
    let mut bench = Bench::start(site(server(&mosquitto, MqttVersion::V5), vec![lamp("lamp", TOPIC)]));
    let readings = bench.readings().await;
    let is_kept_fault = |it: &Reading| it.result.is_err() && it.freshness == Freshness::KEPT;
    assert!(readings.iter().all(is_kept_fault), "{readings:?}");
    says(&mut bridge, TOPIC, r#"{"brightness":7}"#, false).await;
    assert_eq!(bench.until_online("lamp", true).await, None);
}

/// What Zigbee2MQTT lists, cut down to what matters (zigbee2mqtt.io, "MQTT topics and messages").
fn listed(plugs: &[(&str, &str)]) -> String {
    let plug = |(address, name): &(&str, &str)| {
        format!(
            r#"{{"ieee_address":"{address}","type":"Router","supported":true,"disabled":false,"interview_completed":true,
            "friendly_name":"{name}","definition":{{"model":"TS011F","vendor":"TuYa","description":"Smart plug","exposes":[
            {{"type":"switch","features":[{{"type":"binary","name":"state","property":"state","access":7,
            "value_on":"ON","value_off":"OFF","value_toggle":"TOGGLE"}}]}},
            {{"type":"numeric","name":"power","property":"power","access":1,"unit":"W"}}]}}}}"#
        )
    };
    format!("[{}]", plugs.iter().map(plug).collect::<Vec<_>>().join(","))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_of_a_bridge_come_are_renamed_and_go() {
    let mut mosquitto = Mosquitto::start();
    let mut peer = bridge(&mosquitto).await;
    let (list, state) = ("zigbee2mqtt/bridge/devices", "zigbee2mqtt/bridge/state");
    says(&mut peer, list, &listed(&[("0x01", "plug"), ("0x02", "other")]), true).await;
    says(&mut peer, state, r#"{"state":"online"}"#, true).await;
    let adopt = vec![Adoption { from: AdoptedFrom::Zigbee2Mqtt, topic: "zigbee2mqtt".to_owned() }];
    let server = MqttServer { adopt, ..server(&mosquitto, MqttVersion::V5) };
    let mut bench = Bench::start(site(server.clone(), Vec::new()));
    let found = bench.adopted().await;
    let known = |devices: &[Device]| -> Vec<(String, String)> {
        devices.iter().map(|device| (device.id.to_string(), device.name.clone())).collect()
    };
    let pair = |id: &str, name: &str| (id.to_owned(), name.to_owned());
    assert_eq!(known(&found), [pair("home/0x01", "plug"), pair("home/0x02", "other")]);
    bench.adapters.apply(site(server.clone(), found)).await;
    bench.until_online("home/0x01", true).await;
    let set = bench.call("home/0x01", Action::Write(vec![(PointId(0), Value::Bool(true))]));
    let heard = is_set(&mut peer, r#"{"state":"OFF"}"#).await;
    assert_eq!(heard, ("zigbee2mqtt/plug/set".to_owned(), r#"{"state":"ON"}"#.to_owned()));
    says(&mut peer, "zigbee2mqtt/plug", r#"{"state":"ON","power":12.5}"#, false).await;
    assert_eq!(bench.reply(set).await, Ok(vec![Reading::now(PointId(0), Ok(Value::Bool(true)))]));

    says(&mut peer, list, &listed(&[("0x01", "kitchen"), ("0x02", "other")]), true).await;
    let renamed = bench.adopted().await;
    assert_eq!(known(&renamed), [pair("home/0x01", "kitchen"), pair("home/0x02", "other")]);
    bench.adapters.apply(site(server.clone(), renamed)).await;
    says(&mut peer, list, &listed(&[("0x01", "kitchen")]), true).await;
    assert_eq!(known(&bench.adopted().await), [pair("home/0x01", "kitchen")]);

    // A bridge that says nothing takes nothing away.
    mosquitto.kill();
    bench.until_online("home/0x01", false).await;
    mosquitto.again();
    let mut peer = bridge(&mosquitto).await;
    says(&mut peer, state, r#"{"state":"online"}"#, true).await;
    loop {
        match bench.next().await {
            FromAdapter::Adopted(adopted) => panic!("{adopted:?}"),
            FromAdapter::Report(AdapterReport::Online { device, online: Ok(()) })
                if &*device.0 == "home/0x01" =>
            {
                break;
            }
            _ => {}
        }
    }
}

const PASSWORD: &str = "pl4nted-s3cret";

/// Everything that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "current_thread")]
async fn passwords_let_in_and_are_shown_nowhere() {
    let log = Log::default();
    let (writer, level) = (log.clone(), tracing::Level::TRACE);
    let subscriber =
        tracing_subscriber::fmt().with_max_level(level).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let mosquitto = Mosquitto::start();
    let file = mosquitto.passwords("hub", PASSWORD);
    mosquitto.configure(&format!("allow_anonymous false\npassword_file {}\n", file.display()));
    let mut mosquitto = mosquitto;
    mosquitto.kill();
    mosquitto.again();
    let secret = mosquitto.path("secret");
    std::fs::write(&secret, format!("{PASSWORD}\n")).unwrap();
    let reference = |path: &Path| Some(SecretRef::File(path.display().to_string()));
    for version in [MqttVersion::V311, MqttVersion::V5] {
        let server = MqttServer {
            user: Some("hub".to_owned()),
            password: reference(&secret),
            ..server(&mosquitto, version)
        };
        let good = site(server.clone(), vec![lamp("lamp", TOPIC)]);
        let wrong = mosquitto.path("wrong");
        std::fs::write(&wrong, format!("{PASSWORD}-not\n")).unwrap();
        let bad =
            site(MqttServer { password: reference(&wrong), ..server.clone() }, vec![lamp("lamp", TOPIC)]);
        let missing = mosquitto.path("missing");
        let none = site(MqttServer { password: reference(&missing), ..server }, vec![lamp("lamp", TOPIC)]);
        for (refused, words) in [(&bad, "refuses us"), (&none, "cannot be read")] {
            let mut bench = Bench::start(Arc::clone(refused));
            let why = bench.until_online("lamp", false).await.unwrap().to_string();
            assert!(why.contains(words) && !why.contains(PASSWORD), "{why}");
            let shown = format!("{:?} {:?}", bench.adapters, bench.adapters.statistics());
            assert!(!shown.contains(PASSWORD), "{shown}");
        }
        let bench = Bench::start(good);
        usp_tests::wait::eventually_async("a connection", async || {
            bench.adapters.statistics()[0].connected.then_some(())
        })
        .await;
    }
    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(log.contains("no connection to the MQTT server"), "it is logged at all: {log}");
    assert!(!log.contains(PASSWORD), "{log}");
}

/// A certificate authority and a certificate for the loopback address, with their files.
pub(crate) fn certificates(dir: &Path) {
    let run = |arguments: &str| {
        let mut command = Command::new("openssl");
        command.current_dir(dir).args(arguments.split(' ')).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().expect("openssl").success(), "{arguments}");
    };
    let names = "subjectAltName=IP:127.0.0.1,DNS:localhost";
    std::fs::write(dir.join("names"), names).unwrap();
    run("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem");
    run("req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr");
    run(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_spoken_with_whom_it_trusts_and_nobody_else() {
    let mut mosquitto = Mosquitto::start();
    let dir = mosquitto.path("");
    certificates(&dir);
    let path = |name: &str| dir.join(name).display().to_string();
    mosquitto.configure(&format!(
        "allow_anonymous true\ncafile {}\ncertfile {}\nkeyfile {}\n",
        path("ca.pem"),
        path("server.pem"),
        path("server.key")
    ));
    mosquitto.kill();
    mosquitto.again();
    std::fs::create_dir(dir.join("other")).unwrap();
    certificates(&dir.join("other"));
    for version in [MqttVersion::V311, MqttVersion::V5] {
        let trusting = |ca: &str| {
            let tls = Some(MqttTls { ca: Some(path(ca)), identity: None });
            site(MqttServer { tls, ..server(&mosquitto, version) }, vec![lamp("lamp", TOPIC)])
        };
        let bench = Bench::start(trusting("ca.pem"));
        usp_tests::wait::eventually_async("a connection", async || {
            bench.adapters.statistics()[0].connected.then_some(())
        })
        .await;
        let mut bench = Bench::start(trusting("other/ca.pem"));
        let why = bench.until_online("lamp", false).await.unwrap().to_string();
        assert!(why.contains("certificate"), "{why}");
    }
}
