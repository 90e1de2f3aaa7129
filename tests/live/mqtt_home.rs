//! A home on a real mosquitto, adopted by the whole broker: what people do with it, and what goes wrong in it.

use serde_json::Value;
use usp_simulators::mischief::{MqttFault, Order};
use usp_simulators::mqtt::{Connect, Packet, Peer, Publish};
use usp_simulators::mqtt_devices::{HomeAssistantDevice, run};
use usp_tests::cli::Cli;
use usp_tests::household::{Household, SHELLY};
use usp_tests::mosquitto::Mosquitto;
use usp_tests::place::Place;
use usp_tests::process::Process;
use usp_tests::wait::{eventually, eventually_ok};

use crate::ACTOR;

/// A broker that has adopted everything at a server.
struct Home {
    server: Mosquitto,
    things: Household,
    place: Place,
    _broker: Process,
}

impl Home {
    fn start() -> Self {
        Self::at(Mosquitto::start(), "")
    }

    /// At a server, with more keys of its bus.
    fn at(server: Mosquitto, keys: &str) -> Self {
        let things = Household::start(server.address());
        let mut place = Place::new(ACTOR, "");
        if keys.contains("password") {
            // What the client tells of itself is looked through too.
            place.env("USP_BROKER_LOG", "info,usp_adapters=trace,rumqttc=trace");
        }
        place.write("site.yaml", &site(&server, keys));
        let broker = place.start();
        let home = Self { server, things, place, _broker: broker };
        home.all_are("true");
        home
    }

    /// Waits until all seven are there, or none is.
    fn all_are(&self, online: &str) {
        let look = || {
            let (names, seen) = ("Device.ProxiedDevice.*.Name", "Device.ProxiedDevice.*.Online");
            let (names, seen) = (self.cli().values(names), self.cli().values(seen));
            let done = seen.len() == 7 && seen.values().all(|is| is == online);
            if done { Ok(()) } else { Err((names, seen)) }
        };
        eventually_ok(look, |seen| {
            format!("seven devices with Online {online}: {seen:#?}\n{}", self.place.log())
        });
    }

    fn cli(&self) -> Cli {
        self.place.cli()
    }

    /// The path of a device by its name.
    fn device(&self, name: &str) -> String {
        let found = self.cli().values("Device.ProxiedDevice.*.Name");
        let path = found.into_iter().find(|(_, value)| value == name).map(|(path, _)| path);
        path.unwrap_or_else(|| panic!("no device {name}")).trim_end_matches("Name").to_owned()
    }

    /// The path of a value by the names of its device and capability.
    fn value_path(&self, device: &str, capability: &str, class: &str) -> String {
        let parent = self.device(device);
        let names = self.cli().values(&format!("{parent}IoTCapability.*.Name"));
        let row = names.into_iter().find(|(_, name)| name == capability).map(|(path, _)| path);
        let row = row.unwrap_or_else(|| panic!("{device} has no {capability}"));
        format!("{}{class}.Value", row.trim_end_matches("Name"))
    }

    fn becomes(&self, path: &str, expected: &str) {
        eventually(&format!("{path}={expected}"), || {
            (self.cli().values(path).get(path).map(String::as_str) == Some(expected)).then_some(())
        });
    }

    fn online(&self, device: &str, expected: &str) {
        self.becomes(&format!("{}Online", self.device(device)), expected);
    }

    async fn say(&self, topic: &str, body: &str) {
        let mut peer = Peer::connect(self.server.address(), &Connect::client(5, "somebody")).await.unwrap();
        let (topic, payload) = (topic.to_owned(), body.into());
        peer.say(&Packet::Publish(Publish { topic, payload, ..Publish::default() })).await.unwrap();
        peer.say(&Packet::Disconnect { code: 0 }).await.unwrap();
    }
}

fn site(server: &Mosquitto, keys: &str) -> String {
    let adopt = "adopt: [zigbee2mqtt, tasmota, shelly, homeassistant]";
    let bus = format!("home: {{mqtt: \"{}\", {adopt}{keys}}}", server.address());
    format!("site: 1\nbuses:\n  {bus}\ndevices: {{}}\n")
}

fn told(watch: &Process) -> Value {
    serde_json::from_str(&watch.line()).unwrap()
}

/// Get, set with confirmation, nodes, what is told, of all four kinds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_set_is_done_and_what_changes_is_told() {
    let home = Home::start();
    let cli = home.cli();
    let switches = [
        ("plug", "State", &home.things.zigbee, "plug.state", "ON"),
        ("Boiler", "Power", &home.things.tasmota, "power", "ON"),
        ("Desk", "Output", &home.things.shelly, "output", "true"),
        ("Breeze", "Fan", &home.things.breeze, "fan", "ON"),
    ];
    for (device, capability, thing, inside, on) in switches {
        let path = home.value_path(device, capability, "BinaryControl");
        home.becomes(&path, "false");
        cli.ok(&["set", &format!("{path}=true")]);
        assert_eq!(thing.value(inside).as_deref(), Some(on), "{device}");
        assert_eq!(cli.value(&path), "true", "{device}");
    }
    let strip = home.device("strip");
    let sockets = cli.values(&format!("{strip}Node.*.IoTCapability.1.BinaryControl.Value"));
    assert_eq!(sockets.len(), 2, "{sockets:?}");
    let second = sockets.into_keys().next_back().unwrap();
    cli.ok(&["set", &format!("{second}=true")]);
    assert_eq!(home.things.zigbee.value("strip.state_l2").as_deref(), Some("ON"));

    let motion = home.value_path("hall motion", "Occupancy", "BinarySensor");
    // It sleeps: what it has said before somebody listened is not known.
    home.things.zigbee.set("hall motion.occupancy", "false").unwrap();
    home.becomes(&motion, "false");
    let watch = cli.watch(&[&motion]);
    home.things.zigbee.set("hall motion.occupancy", "true").unwrap();
    assert_eq!(told(&watch)["value"], "true");
    let speed = home.value_path("Breeze", "Speed", "LevelControl");
    assert!(cli.fails(1, &["set", &format!("{speed}=101")]).contains("7012"));
}

/// Permit join, a device that joins, is renamed, cannot be reached, comes back, and leaves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_come_and_go_with_their_bridge() {
    let home = Home::start();
    let cli = home.cli();
    let watch = cli.watch(&["Device.ProxiedDevice.", "--type", "ObjectCreation,ObjectDeletion"]);
    let bridge = home.device("Zigbee2MQTT Coordinator");
    cli.ok(&["operate", &format!("{bridge}X_ZIGBEE2MQTT_PermitJoin()"), "Time=60"]);
    assert_eq!(told(&watch)["type"], "ObjectCreation");
    home.online("lamp", "true");
    let lamp = home.device("lamp");
    let switch = home.value_path("lamp", "State", "BinaryControl");
    cli.ok(&["set", &format!("{switch}=true")]);

    home.things.zigbee.set("lamp.availability", "offline").unwrap();
    home.online("lamp", "false");
    home.things.zigbee.set("lamp.availability", "online").unwrap();
    home.online("lamp", "true");

    home.say("zigbee2mqtt/bridge/request/device/rename", r#"{"from": "lamp", "to": "desk lamp"}"#).await;
    home.becomes(&format!("{lamp}Name"), "desk lamp");
    home.online("desk lamp", "true");
    cli.ok(&["set", &format!("{switch}=false")]);
    assert_eq!(home.things.zigbee.value("desk lamp.state").as_deref(), Some("OFF"));

    // What a Controller calls it counts from then on.
    cli.ok(&["set", &format!("{lamp}Name=Reading lamp")]);
    home.say("zigbee2mqtt/bridge/request/device/rename", r#"{"from": "desk lamp", "to": "lamp 7"}"#).await;
    eventually("the lamp by its third name", || home.things.zigbee.value("lamp 7.state"));
    eventually("a lamp that is switched where it is now", || {
        (cli.run(&["set", &format!("{switch}=true")]).code == 0).then_some(())
    });
    assert_eq!(home.things.zigbee.value("lamp 7.state").as_deref(), Some("ON"));
    assert_eq!(cli.value(&format!("{lamp}Name")), "Reading lamp");

    let watch = cli.watch(&["Device.ProxiedDevice.", "--type", "ObjectDeletion"]);
    home.things.zigbee.set("lamp 7.leaves", "now").unwrap();
    assert_eq!(told(&watch)["type"], "ObjectDeletion");
    eventually("the lamp to be gone", || cli.values(&format!("{lamp}Name")).is_empty().then_some(()));
}

/// Whatever goes wrong: no wrong value, no false success, and it recovers by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_bring_no_wrong_value_and_no_false_success() {
    let home = Home::start();
    let cli = home.cli();
    let plug = home.value_path("plug", "State", "BinaryControl");
    let fan = home.value_path("Breeze", "Fan", "BinaryControl");
    home.becomes(&plug, "false");
    home.becomes(&fan, "false");
    for fault in [MqttFault::Unconfirmed, MqttFault::Silent, MqttFault::Garbled] {
        home.things.zigbee.fault(fault.clone());
        let failed = cli.run(&["set", &format!("{plug}=true")]);
        assert_eq!(failed.code, 1, "{fault}: {failed:#?}");
        // Others do not wait for it.
        cli.ok(&["set", &format!("{fan}=true")]);
        cli.ok(&["set", &format!("{fan}=false")]);
        home.things.zigbee.clear();
        for state in ["false", "true", "false"] {
            cli.ok(&["set", &format!("{plug}={state}")]);
            assert_eq!(cli.value(&plug), state, "{fault}");
        }
    }
    for fault in [MqttFault::Duplicate, MqttFault::Slow(std::time::Duration::from_millis(300))] {
        home.things.zigbee.fault(Order::from(fault.clone()));
        for state in ["true", "false"] {
            cli.ok(&["set", &format!("{plug}={state}")]);
            assert_eq!(cli.value(&plug), state, "{fault}");
        }
        home.things.zigbee.clear();
    }
    // Of what comes in the wrong order nobody can tell; whoever asks is told what is.
    home.things.zigbee.fault(MqttFault::Reordered);
    for state in ["true", "false", "true"] {
        let told = cli.run(&["set", &format!("{plug}={state}")]);
        let is = home.things.zigbee.value("plug.state");
        assert!(
            told.code == 1 || is.as_deref() == Some(if state == "true" { "ON" } else { "OFF" }),
            "{told:#?}"
        );
    }
    home.things.zigbee.clear();
    for state in ["false", "true"] {
        cli.ok(&["set", &format!("{plug}={state}")]);
        home.becomes(&plug, state);
    }
    home.things.zigbee.fault(MqttFault::RetainedGarbage);
    home.things.zigbee.fault(MqttFault::Reboot);
    home.becomes(&plug, "false");
    home.online("plug", "true");
    assert_eq!(cli.values("Device.ProxiedDevice.*.Online").len(), 7);
    assert_eq!(cli.value(&home.value_path("Desk", "Output", "BinaryControl")), "false");
    assert!(home.things.shelly.value("output").is_some(), "{SHELLY}");
}

/// The server dies and comes back without anything that it had kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_restarted_loses_nothing() {
    let mut home = Home::start();
    let cli = home.place.cli();
    let rows = cli.values("Device.ProxiedDevice.*.Name");
    home.server.kill();
    home.all_are("false");
    home.server.again();
    home.all_are("true");
    assert_eq!(cli.values("Device.ProxiedDevice.*.Name"), rows);
    let plug = home.value_path("plug", "State", "BinaryControl");
    cli.ok(&["set", &format!("{plug}=true")]);
    assert_eq!(home.things.zigbee.value("plug.state").as_deref(), Some("ON"));
}

/// What is taken out of the discovery while nobody listens is gone afterwards, and nobody else is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_left_while_nobody_listened_is_gone() {
    let mut home = Home::start();
    let cli = home.place.cli();
    let (breeze, plug) = (home.device("Breeze"), home.device("plug"));
    home.server.kill();
    home.all_are("false");
    let watch = cli.watch(&["Device.ProxiedDevice.", "--type", "ObjectDeletion"]);
    let draught = HomeAssistantDevice::new("breeze2", "Draught");
    home.things.breeze = run(draught, home.server.address(), true);
    home.server.again();
    assert_eq!(told(&watch)["path"], *breeze);
    home.all_are("true");
    home.online("Draught", "true");
    assert!(!cli.values("Device.ProxiedDevice.*.Name").values().any(|name| name == "Breeze"));
    home.things.zigbee.set("plug.leaves", "now").unwrap();
    while let Some(path) = told(&watch)["path"].as_str().filter(|path| **path != plug) {
        assert!(path.starts_with(&breeze), "{path} has left");
    }
}

const PASSWORD: &str = "pl4nted-s3cret";

/// A password that is right, one that is wrong, and one that is not there: nothing that anybody reads has them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_are_in_nothing_that_is_told() {
    let mut server = Mosquitto::start();
    let file = server.passwords("hub", PASSWORD);
    // The things have none.
    server.configure(&format!("allow_anonymous true\npassword_file {}\n", file.display()));
    server.kill();
    server.again();
    let secret = server.path("secret");
    std::fs::write(&secret, PASSWORD).unwrap();
    let keys = format!(", user: hub, password: \"file:{}\"", secret.display());
    let home = Home::at(server, &keys);
    let cli = home.cli();
    let mut told = String::new();
    let mut ask = |arguments: &[&str]| {
        let ended = cli.run(arguments);
        told += &(ended.out + &ended.told);
    };
    ask(&["get", "Device."]);
    ask(&["supported", "Device."]);
    ask(&["mapping", "check", "site.yaml"]);
    ask(&["mapping", "explain", "site.yaml"]);
    ask(&["config", "check", "broker.toml"]);

    let wrong = format!("{PASSWORD}-but-wrong");
    std::fs::write(&secret, &wrong).unwrap();
    home.place.write("site.yaml", &site(&home.server, &format!("{keys}, client_id: another")));
    ask(&["operate", "Device.X_USPBROKER_Site.Reload()"]);
    let refused = || home.place.log().contains("refuses us").then_some(());
    eventually("a server that refuses us", refused);
    let plug = home.value_path("plug", "State", "BinaryControl");
    ask(&["set", &format!("{plug}=true")]);
    ask(&["get", &plug]);
    ask(&["get", "Device."]);
    std::fs::remove_file(&secret).unwrap();
    eventually("a file that is missing", || home.place.log().contains("cannot be read").then_some(()));
    ask(&["get", "Device."]);
    assert!(told.contains("refuses us") && told.contains("plug"), "{told}");
    let everything = told + &home.place.log();
    assert!(!everything.contains(PASSWORD), "{everything}");
    let open = home.place.open_files_with(&[PASSWORD]);
    assert!(open.is_empty(), "others may read it in {open:?}");
}
