//! Zigbee devices behind coordinators of both kinds, through the whole broker: joining, values, writes, sleep, and faults.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use usp_simulators::mischief::{Order, ZigbeeFault};
use usp_simulators::zigbee::{self, Coordinator, Ieee, Kind, Model, Node, Plan, Presence};
use usp_tests::cli::Cli;
use usp_tests::place::Place;
use usp_tests::process::Process;
use usp_tests::wait::eventually;

use crate::ACTOR;

const LOCK: &str = "uspmap: 1\nprofile: test.lock\nversion: 1.0.0\ndevice: {type: Lock}\n\
    zigbee: {model: SIM-LOCK, sleepy: true, ttl: 20s}\n\
    capabilities:\n  locked: {class: BinaryControl, type: Locked, name: Locked, read: {cluster: door_lock, attribute: lock_state, map: {1: true, 2: false}}, write: {verify: 15s}}\n\
    commands:\n  X_TEST_Unlock: {send: [{cluster: door_lock, command: unlock_door}]}\n";

const THERMOSTAT: &str = "uspmap: 1\nprofile: test.thermostat\nversion: 1.0.0\ndevice: {type: Thermostat}\n\
    zigbee: {model: SIM-THERMOSTAT, sleepy: true, ttl: 8s}\n\
    capabilities:\n  target: {class: LevelControl, type: Temperature, unit: degC, name: Target, min: 5, max: 30, step: 0.5, read: {cluster: thermostat, attribute: occupied_heating_setpoint, scale: 0.01}, write: {}}\n";

/// A broker with a coordinator, and devices that wait to be let in.
struct Mesh {
    place: Place,
    coordinator: Coordinator,
    /// Its lines may be read by one thread alone.
    _broker: Mutex<Process>,
    cli: Cli,
}

fn ieee(number: u64) -> Ieee {
    Ieee(0x00e0_5400_0003_0000 + number)
}

/// Name, kind and mapping of a device.
type Device = (&'static str, Kind, &'static str);

const PLUG: Device = ("plug", Kind::Plug, "use: usp.demo-plug");
const LAMP: Device = ("lamp", Kind::Light, "use: usp.demo-lamp");
const ROOM: Device = ("room", Kind::Climate, "use: usp.demo-room");
const BOLT: Device = ("lock", Kind::Lock, "file: lock.yaml");
const VALVE: Device = ("valve", Kind::Thermostat, "file: thermostat.yaml");

impl Mesh {
    fn start(model: Model, devices: &[Device], more: Option<Kind>) -> Self {
        let place = Place::new(ACTOR, "");
        place.write("lock.yaml", LOCK);
        place.write("thermostat.yaml", THERMOSTAT);
        let name = place.path("usb-Coordinator-if00-port0");
        let mut plan = Plan::new(model, zigbee::Place::Terminal(Some(name.clone())));
        let ncp = if model == Model::Znp { "znp" } else { "ezsp" };
        let mut site = format!(
            "site: 1\nbuses:\n  mesh: {{zigbee: {}, ncp: {ncp}, channel: 20, adopt: true}}\ndevices:\n",
            name.display()
        );
        for (number, (name, kind, mapping)) in (1..).zip(devices) {
            let node = Node::new(*kind, ieee(number)).named(name).still();
            plan = plan.with(node.polling(Duration::from_millis(300)), Presence::Waiting);
            site += &format!("  {name}: {{{mapping}, bus: mesh, ieee: \"{}\"}}\n", ieee(number));
        }
        if let Some(kind) = more {
            let node = Node::new(kind, ieee(99)).still().polling(Duration::from_millis(300));
            plan = plan.with(node, Presence::Waiting);
        }
        let coordinator = Coordinator::start(plan).unwrap();
        place.write("site.yaml", &site);
        let broker = Mutex::new(place.start());
        let cli = place.cli();
        Self { place, coordinator, _broker: broker, cli }
    }

    /// Lets devices in until all that are named are online.
    fn join(&self, names: &[&str]) {
        eventually("a network", || self.coordinator.network());
        let _open = Operating::of(
            &self.cli,
            &["Device.X_USPBROKER_Bus.[Name==\"mesh\"].PermitJoin()", "Duration=60"],
        );
        for name in names {
            eventually(&format!("{name} is online"), || self.online(name).then_some(()));
        }
    }

    fn online(&self, name: &str) -> bool {
        let online = self.cli.values(&format!("Device.ProxiedDevice.[Name==\"{name}\"].Online"));
        !online.is_empty() && online.values().all(|is| is == "true")
    }

    /// The path of the value of a device's capability.
    fn path(&self, device: &str, capability: &str, class: &str) -> String {
        let rows = |path: &str| -> BTreeMap<String, String> {
            let object = |path: &str| path.rsplit_once('.').unwrap().0.to_owned();
            self.cli.values(path).into_iter().map(|(path, value)| (value, object(&path))).collect()
        };
        let device = &rows("Device.ProxiedDevice.*.Name")[device];
        format!("{}.{class}.Value", rows(&format!("{device}.IoTCapability.*.Name"))[capability])
    }

    fn shows(&self, path: &str, value: &str) {
        eventually(&format!("{path} is {value}"), || {
            (self.cli.values(path).remove(path).as_deref() == Some(value)).then_some(())
        });
    }

    fn set(&self, path: &str, value: &str) -> i32 {
        self.cli.run(&["set", &format!("{path}={value}")]).code
    }

    fn device(&self, name: &str, value: &str) -> String {
        self.coordinator.get(name, value).unwrap()
    }
}

/// A command that runs beside; killed when this goes out of scope.
struct Operating(Child);

impl Operating {
    fn of(cli: &Cli, arguments: &[&str]) -> Self {
        let mut command = cli.command(&[&["operate"], arguments].concat());
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Operating {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Everything in a folder that others than its owner may read.
fn readable(dir: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    use std::os::unix::fs::PermissionsExt;
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let Ok(meta) = fs::metadata(&path) else { continue };
        if meta.is_dir() {
            readable(&path, found);
        } else if meta.is_file() && meta.permissions().mode() & 0o044 != 0 {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

/// The key, in no log, answer or file that others may read, in any of the ways in which it may be written.
fn the_key_is_nowhere(mesh: &Mesh) {
    let key = mesh.coordinator.network().expect("a network").key;
    let hex = |between: &str, upper: bool| {
        let byte = |byte: &u8| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
        key.iter().map(byte).collect::<Vec<_>>().join(between).into_bytes()
    };
    let numbers = key.iter().map(u8::to_string).collect::<Vec<_>>().join(", ").into_bytes();
    let forms = [key.to_vec(), hex("", false), hex("", true), hex(":", false), hex(" ", false), numbers];
    let mut all = vec![("the log".to_owned(), mesh.place.log().into_bytes())];
    all.push(("Device.".to_owned(), mesh.cli.run(&["get", "Device."]).out.into_bytes()));
    all.push(("--json".to_owned(), mesh.cli.run(&["get", "Device.", "--json"]).out.into_bytes()));
    let explained = mesh.cli.run(&["mapping", "explain", "site.yaml"]);
    all.push(("explain".to_owned(), [explained.out, explained.told].concat().into_bytes()));
    readable(mesh.place.dir(), &mut all);
    assert!(all.len() > 5, "files were looked at");
    for (what, bytes) in all {
        for form in &forms {
            let found = bytes.windows(form.len()).any(|part| part == form.as_slice());
            assert!(!found, "the network key is in {what}");
        }
    }
}

/// A house whose devices join, are read and set, are told apart when they come back, and leave.
fn lives(model: Model) {
    let mesh = Mesh::start(model, &[PLUG, LAMP, ROOM, BOLT], Some(Kind::Contact));
    mesh.join(&["plug", "lamp", "room", "lock"]);
    let network = mesh.coordinator.network().unwrap();
    assert_eq!(network.channel, 20);

    let power = mesh.path("plug", "Power", "LevelSensor");
    mesh.coordinator.set("plug", "power", "1500.5").unwrap();
    mesh.shows(&power, "1500.5");
    let outlet = mesh.path("plug", "Outlet", "BinaryControl");
    for value in ["false", "true", "false"] {
        assert_eq!(mesh.set(&outlet, value), 0);
        assert_eq!(mesh.device("plug", "on"), value);
        mesh.shows(&outlet, value);
    }
    let brightness = mesh.path("lamp", "Brightness", "LevelControl");
    assert_eq!(mesh.set(&brightness, "100"), 0);
    assert_eq!(mesh.device("lamp", "level"), "100");
    let colour = mesh.path("lamp", "Colour temperature", "LevelControl");
    assert_eq!(mesh.set(&colour, "250"), 0);
    assert_eq!(mesh.device("lamp", "mireds"), "250");

    let temperature = mesh.path("room", "Temperature", "LevelSensor");
    mesh.coordinator.set("room", "temperature", "-3.25").unwrap();
    mesh.shows(&temperature, "-3.25");

    let locked = mesh.path("lock", "Locked", "BinaryControl");
    assert_eq!(mesh.set(&locked, "false"), 0);
    assert_eq!(mesh.device("lock", "state"), "2");
    assert_eq!(mesh.set(&locked, "true"), 0);
    let lock = locked.split(".IoTCapability").next().unwrap();
    mesh.cli.ok(&["operate", &format!("{lock}.X_TEST_Unlock()")]);
    mesh.shows(&locked, "false");

    // What is in no site file has a mapping from its clusters; an alarm is heard once its zone is enrolled.
    let alarm = "Device.ProxiedDevice.*.IoTCapability.*.BinarySensor.Value";
    let alarms = || mesh.cli.values(alarm).into_values().filter(|value| value == "true").count();
    let known = || mesh.cli.values("Device.ProxiedDevice.*.X_USPBROKER_Address").into_values();
    eventually("the contact is adopted", || {
        known().any(|at| at.contains("0x00e0540000030063")).then_some(())
    });
    assert_eq!(alarms(), 0);
    mesh.coordinator.set("contact", "open", "true").unwrap();
    eventually("the alarm", || (alarms() == 1).then_some(()));

    // Another address in the network is no other device.
    mesh.coordinator.rejoin("plug").unwrap();
    eventually("the plug obeys again", || (mesh.set(&outlet, "true") == 0).then_some(()));
    assert_eq!(mesh.device("plug", "on"), "true");
    the_key_is_nowhere(&mesh);

    // Whoever wants to look at the network beside the broker is told who has it.
    let port = mesh.place.path("usb-Coordinator-if00-port0").display().to_string();
    let told = mesh.cli.fails(1, &["scan", "zigbee", "--port", &port]);
    assert!(told.contains("as its bus `mesh`; stop it first"), "{told}");
    let told = mesh.cli.fails(1, &["scan", "zigbee", "--port", &port, "--via", "uds:/nowhere/agent"]);
    assert!(told.contains("another program uses it"), "{told}");
    assert!(mesh.online("plug") && mesh.set(&outlet, "false") == 0);

    // Who leaves is offline.
    mesh.coordinator.leave("lamp").unwrap();
    eventually("the lamp is offline", || (!mesh.online("lamp")).then_some(()));
    assert_ne!(mesh.set(&brightness, "50"), 0);
    assert!(mesh.online("plug") && mesh.set(&outlet, "false") == 0);
}

#[test]
fn a_house_behind_a_coordinator_of_silicon_labs() {
    lives(Model::Ezsp(13));
}

#[test]
fn a_house_behind_an_older_coordinator_of_silicon_labs() {
    lives(Model::Ezsp(8));
}

#[test]
fn a_house_behind_a_coordinator_of_texas_instruments() {
    lives(Model::Znp);
}

/// What waits for a sleepy device is done when it wakes up, and never after its time.
fn sleeps(model: Model) {
    let mesh = Mesh::start(model, &[VALVE, PLUG], None);
    mesh.join(&["valve", "plug"]);
    let target = mesh.path("valve", "Target", "LevelControl");
    let outlet = mesh.path("plug", "Outlet", "BinaryControl");
    assert_eq!(mesh.set(&target, "22.5"), 0);
    assert_eq!(mesh.device("valve", "heat_to"), "22.5");
    mesh.coordinator.device_fault("valve", ZigbeeFault::Gone).unwrap();
    let ended = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| mesh.cli.run(&["set", &format!("{target}=12")]));
        // Others do not wait for it.
        assert_eq!(mesh.set(&outlet, "false"), 0);
        waiting.join().unwrap()
    });
    assert_eq!(ended.code, 1, "{ended:?}");
    mesh.coordinator.clear(Some("valve")).unwrap();
    // Somebody turns its knob, and it is heard again.
    mesh.coordinator.set("valve", "heat_to", "18").unwrap();
    mesh.shows(&target, "18");
    eventually("it obeys again", || (mesh.set(&target, "23") == 0).then_some(()));
    assert_eq!(mesh.device("valve", "heat_to"), "23");
    let written = mesh.coordinator.obeyed("valve");
    assert!(!written.iter().any(|what| what.ends_with(" 1200")), "an expired write was sent: {written:?}");
}

#[test]
fn a_sleepy_device_of_silicon_labs_gets_what_waits_in_time_or_never() {
    sleeps(Model::Ezsp(13));
}

#[test]
fn a_sleepy_device_of_texas_instruments_gets_what_waits_in_time_or_never() {
    sleeps(Model::Znp);
}

/// A Set that succeeds was done; after the fault everything is as before, by itself.
fn is_honest(mesh: &Mesh, outlet: &str, fault: &str) -> i32 {
    let value = if mesh.device("plug", "on") == "true" { "false" } else { "true" };
    let ended = mesh.set(outlet, value);
    if ended == 0 {
        assert_eq!(mesh.device("plug", "on"), value, "{fault}: a false success");
    }
    ended
}

fn faults(model: Model, of_coordinator: &[&str]) {
    let mesh = Mesh::start(model, &[PLUG, LAMP], None);
    mesh.join(&["plug", "lamp"]);
    let outlet = mesh.path("plug", "Outlet", "BinaryControl");
    let brightness = mesh.path("lamp", "Brightness", "LevelControl");
    // Of a device: another one does not wait for it.
    let of_device = [
        ("undelivered", true),
        ("gone", true),
        ("silent", true),
        ("refuse", true),
        ("frozen", true),
        ("unacknowledged*1", false),
        ("late=1500", false),
        ("duplicate", false),
        ("flood=40", false),
    ];
    for (level, (fault, fails)) in (11..).zip(of_device) {
        mesh.coordinator.device_fault("plug", fault.parse::<Order<ZigbeeFault>>().unwrap()).unwrap();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| mesh.set(&brightness, &level.to_string()));
            let ended = is_honest(&mesh, &outlet, fault);
            assert!(!fails || ended != 0, "{fault}: a Set succeeded");
            assert_eq!(other.join().unwrap(), 0, "{fault}: the lamp waited");
        });
        mesh.coordinator.clear(Some("plug")).unwrap();
        eventually(&format!("the plug is back after {fault}"), || {
            (is_honest(&mesh, &outlet, fault) == 0).then_some(())
        });
    }
    for fault in of_coordinator {
        mesh.coordinator.fault(fault.parse::<Order<ZigbeeFault>>().unwrap()).unwrap();
        is_honest(&mesh, &outlet, fault);
        mesh.coordinator.clear(None).unwrap();
        eventually(&format!("the plug is back after {fault}"), || {
            (is_honest(&mesh, &outlet, fault) == 0).then_some(())
        });
        let shown = mesh.cli.values(&outlet).remove(&outlet);
        assert!(shown.is_none_or(|shown| shown == mesh.device("plug", "on")), "{fault}: a wrong value");
    }
    // Another key: nobody is believed to obey.
    mesh.coordinator.fault(ZigbeeFault::WrongKey).unwrap();
    eventually("nobody is there", || (!mesh.online("plug") && !mesh.online("lamp")).then_some(()));
    assert_ne!(is_honest(&mesh, &outlet, "wrong_key"), 0);
    mesh.coordinator.clear(None).unwrap();
    eventually("the plug is back with its own key", || {
        (is_honest(&mesh, &outlet, "wrong_key") == 0).then_some(())
    });
    the_key_is_nowhere(&mesh);
}

#[test]
fn no_fault_of_ezsp_makes_a_wrong_value_or_a_false_success() {
    faults(
        Model::Ezsp(13),
        &[
            "lost*2",
            "unheard*2",
            "checksum*3",
            "duplicate*5",
            "noise*3",
            "lossy=10",
            "late=400",
            "busy*1",
            "reset",
            "unplugged",
            "unplugged_mid_frame",
            "silent",
        ],
    );
}

#[test]
fn no_fault_of_znp_makes_a_wrong_value_or_a_false_success() {
    faults(
        Model::Znp,
        &[
            "lost*1",
            "checksum*1",
            "noise*3",
            "late=400",
            "busy*1",
            "reset",
            "unplugged",
            "unplugged_mid_frame",
            "silent",
        ],
    );
}
