//! Bluetooth devices around a fake BlueZ, through the whole broker.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use usp_mapping::diagnostic::SourceFile;
use usp_mapping::draft::MappingDraft;
use usp_mapping::library::builtin;
use usp_simulators::ble::device::BleDevice;
use usp_simulators::ble::household::{BIND_KEY, PASSKEY};
use usp_simulators::ble::{Mac, MappedBle, PrivateBus, Radio, RadioHandle, household, mapped};
use usp_simulators::mischief::BleFault;
use usp_tests::cli::Cli;
use usp_tests::leaks::Secret;
use usp_tests::place::Place;
use usp_tests::process::Process;
use usp_tests::wait::{eventually, eventually_ok};

use crate::ACTOR;
use crate::python::here;
use crate::serial_lines::{is_same, online, path, rows, shown, texts, value_paths};

/// How often a device is heard.
const EVERY: Duration = Duration::from_millis(300);

/// The lamp of the simulated home.
const LAMP: &str = r#"uspmap: 1
profile: test.lamp
version: 1.0.0
device: {type: Light}
ble: {timeout: 2s, every: 1s, idle: 5s, match: {service: 75535042-0001-4c41-4d50-000000000001}}
poll: {fast: 2s}
capabilities:
  switch: {class: BinaryControl, type: Switch, read: {char: 75535042-0001-4c41-4d50-000000000002, as: u8}, write: {}}
  level: {class: LevelControl, type: Brightness, unit: "%", min: 1, max: 100, read: {char: 75535042-0001-4c41-4d50-000000000003, as: u8}, write: {response: false}}
  power: {class: LevelSensor, type: Power, unit: W, read: {char: 75535042-0001-4c41-4d50-000000000004, as: u16, scale: 0.1}}
"#;

/// A broker, and the devices that it hears.
struct Home {
    place: Place,
    radio: Radio,
    broker: Process,
}

impl Home {
    /// The simulated household, heard often.
    async fn start() -> Self {
        Self::prepared(|_| ()).await
    }

    /// The same, with something else in its place before the broker starts.
    async fn prepared(prepare: impl FnOnce(&mut Place)) -> Self {
        let mut place = Place::new(ACTOR, "");
        let radio = bus(&mut place, household(EVERY, true)).await;
        for (file, of) in [
            ("thermometer.yaml", "bthome.thermometer"),
            ("atc.yaml", "xiaomi.lywsd03mmc-atc"),
            ("pvvx.yaml", "xiaomi.lywsd03mmc-pvvx"),
            ("ruuvi.yaml", "ruuvi.ruuvitag"),
        ] {
            let profile = file.trim_end_matches(".yaml");
            place.write(
                file,
                &format!(
                    "uspmap: 1\nprofile: test.{profile}\nversion: 1.0.0\nextends: {of}\nble: {{every: 1s}}\n"
                ),
            );
        }
        place.write("lamp.yaml", LAMP);
        // What is not told is found out all the same.
        place.write(
            "lock.yaml",
            "uspmap: 1\nprofile: test.lock\nversion: 1.0.0\nextends: usp.demo-lock\npoll: {check: 5s}\n\
             capabilities: {door: {poll: check}}\n",
        );
        secret(&place.path("attic.key"), BIND_KEY);
        secret(&place.path("lock.passkey"), &PASSKEY.to_string());
        let handle = radio.handle();
        let mac = |key: &str| handle.mac(key).unwrap();
        place.write(
            "site.yaml",
            &format!(
                "site: 1\nbuses: {{radio: {{ble: hci0}}}}\ndevices:\n  \
                 kitchen: {{file: thermometer.yaml, bus: radio, mac: \"{}\"}}\n  \
                 attic: {{file: thermometer.yaml, bus: radio, mac: \"{}\", key: \"file:attic.key\"}}\n  \
                 cellar: {{file: atc.yaml, bus: radio, mac: \"{}\"}}\n  \
                 garden: {{file: pvvx.yaml, bus: radio, mac: \"{}\"}}\n  \
                 sauna: {{file: ruuvi.yaml, bus: radio, mac: \"{}\"}}\n  \
                 fever: {{use: bluetooth.health-thermometer, bus: radio, mac: \"{}\"}}\n  \
                 lamp: {{file: lamp.yaml, bus: radio, mac: \"{}\"}}\n  \
                 lock: {{file: lock.yaml, bus: radio, mac: \"{}\", passkey: \"file:lock.passkey\"}}\n",
                mac("kitchen"),
                mac("attic"),
                mac("cellar"),
                mac("garden"),
                mac("sauna"),
                mac("fever"),
                mac("lamp"),
                mac("lock"),
            ),
        );
        prepare(&mut place);
        let broker = place.start();
        Self { place, radio, broker }
    }

    fn air(&self) -> RadioHandle {
        self.radio.handle()
    }

    /// Sets a temperature at a thermometer and waits until the broker shows it.
    fn is_heard(&self, cli: &Cli, device: &str, value: &str, what: &str) {
        let at = path(cli, device, "Temperature", "LevelSensor");
        self.air().set(device, "temperature", value).unwrap();
        let look = || {
            let found = shown(cli, &at);
            if is_same(&found, value) { Ok(()) } else { Err(found) }
        };
        eventually_ok(look, |found| {
            format!("{what}: {device} is {found:?} instead of {value}\n{}", self.place.log())
        });
    }
}

/// A fake BlueZ that the broker of a place will find.
async fn bus(place: &mut Place, devices: Vec<(String, Box<dyn BleDevice>)>) -> Radio {
    dbus_daemon();
    let radio = Radio::start(Some(&place.path("dbus")), devices).await.unwrap();
    place.env("DBUS_SYSTEM_BUS_ADDRESS", radio.address());
    radio
}

/// Installs the program that a bus needs, where it is missing.
pub(crate) fn dbus_daemon() {
    let setup = Command::new(here("setup.sh")).arg("--programs").output().unwrap();
    assert!(setup.status.success(), "{}", String::from_utf8_lossy(&setup.stderr));
}

fn secret(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// What they measure is shown, what is set is done, and a watch tells of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_in_the_air_are_heard_switched_and_watched() {
    let home = Home::start().await;
    let (cli, air) = (home.place.cli(), home.air());
    for (device, value) in [
        ("kitchen", "25.06"),
        ("attic", "-7.25"),
        ("cellar", "16.2"),
        ("garden", "17.05"),
        ("sauna", "84.3"),
        ("fever", "36.4"),
    ] {
        home.is_heard(&cli, device, value, "at first");
        assert!(online(&cli, device), "{device}");
    }

    // The lock pairs with its passkey; a Set has turned the bolt.
    let locked = path(&cli, "lock", "Locked", "BinaryControl");
    let bolt = path(&cli, "lock", "Bolt", "EnumSensor");
    eventually("the bolt", || (shown(&cli, &bolt) == "Locked").then_some(()));
    eventually("where it rests", || (shown(&cli, &locked) == "true").then_some(()));
    assert!(air.is_paired("lock"));
    let capability = locked.trim_end_matches("BinaryControl.Value");
    let watch = cli.watch(&[capability, "--count", "2"]);
    cli.ok(&["set", &format!("{locked}=false")]);
    assert_eq!(air.get("lock", "locked").as_deref(), Some("false"));
    cli.ok(&["operate", &format!("{}Toggle()", locked.trim_end_matches("Value"))]);
    assert_eq!(air.get("lock", "locked").as_deref(), Some("true"));
    assert_eq!(shown(&cli, &locked), "true");
    // A bolt on its way is no failure: nothing is told but where it came to rest.
    for value in ["false", "true"] {
        let line = watch.line();
        assert!(line.contains("BinaryControl.Value") && line.contains(value), "{line}");
    }

    // What the thermometer indicates cannot be read: who wants all of it anew gets what it told last, and nothing fails.
    let fever = &rows(&cli, "Device.ProxiedDevice.*.Name")["fever"];
    cli.ok(&["operate", &format!("{fever}.X_USPBROKER_Refresh()")]);
    assert!(is_same(&shown(&cli, &path(&cli, "fever", "Temperature", "LevelSensor")), "36.4"));
    for figure in ["Failures", "Refusals", "Timeouts"] {
        assert_eq!(shown(&cli, &format!("{fever}.X_USPBROKER_Stats.{figure}")), "0", "{figure}");
    }
    assert!(!home.place.log().contains("not permitted"), "{}", home.place.log());

    // The lamp: acknowledged writes and commands, both read back.
    let (on, level) =
        (path(&cli, "lamp", "switch", "BinaryControl"), path(&cli, "lamp", "level", "LevelControl"));
    cli.ok(&["set", &format!("{on}=true")]);
    cli.ok(&["set", &format!("{level}=35")]);
    assert_eq!(
        (air.get("lamp", "on").as_deref(), air.get("lamp", "level").as_deref()),
        (Some("true"), Some("35"))
    );

    // Whoever watches is told: of what is advertised, and of what is notified.
    let door = path(&cli, "lock", "Door", "BinarySensor");
    let temperature = path(&cli, "kitchen", "Temperature", "LevelSensor");
    for (at, device, name, value) in
        [(&door, "lock", "open", "true"), (&temperature, "kitchen", "temperature", "19.75")]
    {
        let watch = cli.watch(&[at, "--count", "1"]);
        air.set(device, name, value).unwrap();
        let line = watch.line();
        assert!(line.contains(at.as_str()) && line.contains(value), "{line}");
    }
    nothing_secret_is_told(&home, &cli);
}

/// Neither the key nor the passkey is anywhere but in their files.
fn nothing_secret_is_told(home: &Home, cli: &Cli) {
    let secrets = [BIND_KEY.to_owned(), PASSKEY.to_string()];
    let explained = cli.run(&["mapping", "explain", "site.yaml", "--json"]);
    let told = [
        ("the log", home.place.log()),
        ("the data model", cli.run(&["get", "Device."]).out),
        ("explain", explained.out + &explained.told),
        ("check", cli.run(&["mapping", "check", "site.yaml"]).out),
    ];
    for secret in &secrets {
        for (what, text) in &told {
            assert!(!text.contains(secret.as_str()), "{what} tells {secret}");
        }
    }
    let open = home.place.open_files_with(&secrets.each_ref().map(String::as_str));
    assert!(open.is_empty(), "others may read a secret in {open:?}");
}

/// With everything logged, of the libraries below too: keys and passkeys, right and wrong, of who pairs and who does not, over replays
/// and ends of all daemons. Whoever plants a leak on the way sees this fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_logged_whatever_happens() {
    const WRONG_KEY: &str = "8f0a5be6c47d21930e96d8ba73f1245c";
    const WRONG_PASSKEY: u32 = 908_152;
    let home = Home::prepared(|place| {
        let all = "trace,btleplug=trace,bluez_async=trace,dbus=trace,dbus_tokio=trace";
        place.env("USP_BROKER_LOG", all);
        secret(&place.path("attic.key"), WRONG_KEY);
        secret(&place.path("lock.passkey"), &WRONG_PASSKEY.to_string());
    })
    .await;
    let (cli, air) = (home.place.cli(), home.air());
    home.is_heard(&cli, "kitchen", "21.5", "at first");
    let (locked, temperature) =
        (path(&cli, "lock", "Locked", "BinaryControl"), path(&cli, "attic", "Temperature", "LevelSensor"));
    let is_told = |at: &str, words: &str| {
        let told = || cli.run(&["get", at]).told;
        eventually_ok(
            || if told().contains(words) { Ok(()) } else { Err(told()) },
            |told| format!("{at}: {told}, not {words}"),
        );
    };
    is_told(&locked, "the passkey is wrong");
    is_told(&temperature, "cannot be decrypted");

    secret(&home.place.path("attic.key"), BIND_KEY);
    secret(&home.place.path("lock.passkey"), &PASSKEY.to_string());
    home.is_heard(&cli, "attic", "20.5", "with its key");
    eventually("the lock pairs and obeys", || {
        (cli.run(&["set", &format!("{locked}=false")]).code == 0).then_some(())
    });
    assert!(air.is_paired("lock"));
    for (fault, value) in [(BleFault::Replay, "22.25"), (BleFault::WrongKey, "22.5")] {
        air.fault("attic", fault.clone()).unwrap();
        home.is_heard(&cli, "kitchen", value, &fault.to_string());
        air.clear("attic").unwrap();
        home.is_heard(&cli, "attic", value, &fault.to_string());
    }
    for (fault, value) in [(BleFault::BluetoothdKilled, "23.25"), (BleFault::DbusKilled, "23.5")] {
        air.fault_all(fault.clone());
        eventually(&fault.to_string(), || (!online(&cli, "attic")).then_some(()));
        air.clear_all();
        home.is_heard(&cli, "attic", value, &fault.to_string());
        eventually(&format!("the lock obeys after {fault}"), || {
            (cli.run(&["set", &format!("{locked}=true")]).code == 0).then_some(())
        });
    }

    let log = home.place.log();
    assert!(!log.contains("of this log are lost"), "it has to be whole");
    for seen in ["TRACE bluez_async", " DEBUG usp_", "passkey is wrong", "the radio scans"] {
        assert!(log.contains(seen), "nothing of {seen:?} is logged in {} bytes", log.len());
    }
    let secrets = [
        Secret::key(BIND_KEY),
        Secret::key(WRONG_KEY),
        Secret::passkey(PASSKEY),
        Secret::passkey(WRONG_PASSKEY),
    ];
    let found: Vec<Option<String>> = secrets.iter().map(|secret| secret.found_in(&log)).collect();
    assert_eq!(found, [None, None, None, None], "{} bytes of log", log.len());
}

/// What a device does wrong costs no wrong value, no false success, and nobody else's time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_devices_are_told_and_pass() {
    let home = Home::start().await;
    let (cli, air) = (home.place.cli(), home.air());
    home.is_heard(&cli, "kitchen", "21.5", "at first");
    home.is_heard(&cli, "attic", "20.5", "at first");
    let on = path(&cli, "lamp", "switch", "BinaryControl");
    eventually("the lamp", || online(&cli, "lamp").then_some(()));
    cli.ok(&["set", &format!("{on}=false")]);

    for (number, fault) in
        [BleFault::Frozen, BleFault::Refuse, BleFault::Unanswered, BleFault::DisconnectMidWrite]
            .into_iter()
            .enumerate()
    {
        let wanted = if air.get("lamp", "on").as_deref() == Some("true") { "false" } else { "true" };
        air.fault("lamp", fault.clone()).unwrap();
        let ended = cli.run(&["set", &format!("{on}={wanted}")]);
        // What was done though nobody said so may be found out; what was not is no success.
        let done = air.get("lamp", "on").as_deref() == Some(wanted);
        assert!(
            ended.code == 1 || (ended.code == 0 && done && fault == BleFault::Unanswered),
            "{fault}: {ended:?}"
        );
        // Another device is heard meanwhile.
        home.is_heard(&cli, "kitchen", &format!("22.{number}"), &fault.to_string());
        air.clear("lamp").unwrap();
        eventually(&format!("the lamp obeys after {fault}"), || {
            (cli.run(&["set", &format!("{on}={wanted}")]).code == 0).then_some(())
        });
        assert_eq!(air.get("lamp", "on").as_deref(), Some(wanted), "{fault}");
    }

    // No link is to be had: an explicit Get and a Set say so, and each has an end.
    for fault in [BleFault::RefuseConnections, BleFault::SlowConnect(Duration::from_secs(3600))] {
        air.fault("lamp", fault.clone()).unwrap();
        air.fault("lamp", BleFault::Disconnect).unwrap();
        let ended = cli.run(&["set", &format!("{on}=true")]);
        assert_eq!(ended.code, 1, "{fault}: {ended:?}");
        home.is_heard(&cli, "kitchen", "23.25", &fault.to_string());
        home.is_heard(&cli, "kitchen", "23.5", &fault.to_string());
        air.clear("lamp").unwrap();
        eventually(&format!("the lamp obeys after {fault}"), || {
            (cli.run(&["set", &format!("{on}=true")]).code == 0).then_some(())
        });
    }

    // Another key, and what was said before: neither is a value.
    let attic = path(&cli, "attic", "Temperature", "LevelSensor");
    for (fault, value) in
        [(BleFault::WrongKey, "30.25"), (BleFault::Replay, "31.25"), (BleFault::Garbled, "32.25")]
    {
        let before = shown(&cli, &attic);
        air.fault("attic", fault.clone()).unwrap();
        air.set("attic", "temperature", value).unwrap();
        home.is_heard(&cli, "kitchen", &value.replace('3', "2"), &fault.to_string());
        let now = shown(&cli, &attic);
        assert!(now.is_empty() || now == before, "{fault}: {now} was not said");
        air.clear("attic").unwrap();
        home.is_heard(&cli, "attic", value, &format!("after {fault}"));
    }

    // Out of reach, and back.
    air.fault("cellar", BleFault::Silent).unwrap();
    eventually("the cellar is offline", || (!online(&cli, "cellar")).then_some(()));
    assert!(online(&cli, "kitchen") && online(&cli, "garden"));
    air.clear("cellar").unwrap();
    home.is_heard(&cli, "cellar", "15.5", "back in reach");

    // Changes that are not told are found when somebody asks.
    air.fault("lock", BleFault::NotifyLost).unwrap();
    air.set("lock", "open", "true").unwrap();
    let door = path(&cli, "lock", "Door", "BinarySensor");
    eventually("the door, which was not told", || (shown(&cli, &door) == "true").then_some(()));
}

/// Who is refused pairs when the lock lets it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_does_not_pair_is_not_turned() {
    let mut place = Place::new(ACTOR, "");
    let radio = bus(&mut place, household(EVERY, true)).await;
    let air = radio.handle();
    air.fault("lock", BleFault::RefusePairing).unwrap();
    secret(&place.path("lock.passkey"), &PASSKEY.to_string());
    place.write(
        "site.yaml",
        &format!(
            "site: 1\nbuses: {{radio: {{ble: hci0}}}}\ndevices: {{lock: {{use: usp.demo-lock, bus: radio, mac: \"{}\", passkey: \
             \"file:lock.passkey\"}}}}\n",
            air.mac("lock").unwrap()
        ),
    );
    let _broker = place.start();
    let cli = place.cli();
    let locked = path(&cli, "lock", "Locked", "BinaryControl");
    let ended = cli.run(&["set", &format!("{locked}=false")]);
    assert_eq!((ended.code, air.is_paired("lock")), (1, false), "{ended:?}");
    assert!(!ended.told.contains(&PASSKEY.to_string()), "{ended:?}");
    assert_eq!(air.get("lock", "locked").as_deref(), Some("true"));
    air.clear("lock").unwrap();
    eventually("it pairs and obeys", || {
        (cli.run(&["set", &format!("{locked}=false")]).code == 0).then_some(())
    });
    assert!(air.is_paired("lock"));
}

/// The radio, BlueZ and D-Bus fail, each in its way: devices go offline, and come back by themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_radio_and_its_daemons_fail_and_come_back() {
    let mut home = Home::start().await;
    let (cli, air) = (home.place.cli(), home.air());
    home.is_heard(&cli, "kitchen", "21.5", "at first");
    let locked = path(&cli, "lock", "Locked", "BinaryControl");
    eventually("the lock", || (shown(&cli, &locked) == "true").then_some(()));

    air.fault_all(BleFault::AdvertFlood(300));
    for value in ["20.25", "20.5", "20.75"] {
        home.is_heard(&cli, "kitchen", value, "in a flood");
    }
    eventually("the lock obeys in a flood", || {
        (cli.run(&["set", &format!("{locked}=false")]).code == 0).then_some(())
    });
    air.clear_all();

    let faults = [
        BleFault::ScanSilent,
        BleFault::BluetoothdKilled,
        BleFault::DbusKilled,
        BleFault::AdapterOff,
        BleFault::AdapterGone,
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        air.fault_all(fault.clone());
        eventually_ok(
            || if online(&cli, "kitchen") { Err(()) } else { Ok(()) },
            |()| format!("kitchen is still online: {fault}\n{}", home.place.log()),
        );
        let why = || shown(&cli, "Device.X_USPBROKER_Bus.1.LastError");
        eventually(&format!("the bus says why: {fault}"), || (!why().is_empty()).then_some(()));
        assert!(fault != BleFault::ScanSilent || why().contains("heard nobody"), "{}", why());
        assert_eq!(shown(&cli, "Device.X_USPBROKER_Bus.1.Online"), "false", "{fault}");
        let ended = cli.run(&["set", &format!("{locked}=true")]);
        // A connection that is kept outlives a scan that is silent; nothing else does.
        let turned = air.get("lock", "locked").as_deref() == Some("true");
        assert!(ended.code != 0 || (turned && fault == BleFault::ScanSilent), "{fault}: {ended:?}");
        air.clear_all();
        home.is_heard(&cli, "kitchen", &format!("24.{number}"), &format!("after {fault}"));
        assert!(online(&cli, "kitchen"), "{fault}");
        eventually(&format!("the bus is well after {fault}"), || why().is_empty().then_some(()));
        eventually(&format!("the lock obeys after {fault}"), || {
            (cli.run(&["set", &format!("{locked}=false")]).code == 0).then_some(())
        });
        assert_eq!(air.get("lock", "locked").as_deref(), Some("false"), "{fault}");
    }
    assert!(home.broker.end().is_none(), "the broker has ended");
    nothing_secret_is_told(&home, &cli);
}

/// While nobody hears it, a thermometer gets a new battery, and counts from the beginning: that is its reason, not what was before,
/// the log says so once, and it is believed when it has gone on so for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thermometer_that_counts_from_the_beginning_is_told_and_believed() {
    let home = Home::start().await;
    let (cli, air) = (home.place.cli(), home.air());
    home.is_heard(&cli, "attic", "20.5", "at first");
    let temperature = path(&cli, "attic", "Temperature", "LevelSensor");
    let why = temperature.replace("LevelSensor.Value", "X_USPBROKER_LastError");
    let told = |words: &str| {
        eventually_ok(
            || {
                let told = shown(&cli, &why);
                if told.contains(words) { Ok(()) } else { Err(told) }
            },
            |told| format!("{words}: {told}\n{}", home.place.log()),
        );
    };
    air.fault_all(BleFault::DbusKilled);
    told("D-Bus");
    air.fault("attic", BleFault::Reboot).unwrap();
    air.clear_all();
    told("its counter went back");
    assert!(cli.fails(1, &["get", &temperature]).contains("its counter went back"));
    home.is_heard(&cli, "attic", "19.25", "after it has gone on");
    assert_eq!(shown(&cli, &why), "");
    let log = home.place.log();
    assert_eq!(log.matches("what it says is not believed").count(), 1, "{log}");
}

/// What `scan ble` proposes for the simulated home is a site file that holds, with a place for each secret.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_file_is_proposed_for_whoever_is_heard() {
    let mut place = Place::new(ACTOR, "");
    let radio = bus(&mut place, household(EVERY, true)).await;
    let scan = ["scan", "ble", "--for", "3s", "--known", "-o", "found.yaml"];
    let mut scan = place.cli().command(&scan);
    let ended = scan.env("DBUS_SYSTEM_BUS_ADDRESS", radio.address()).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let found = fs::read_to_string(place.path("found.yaml")).unwrap();
    let mac = radio.handle().mac("lock").unwrap();
    let lock = format!(
        "door-lock: {{use: usp.demo-lock, bus: air, mac: \"{mac}\", passkey: \"file:door-lock.passkey\"}}"
    );
    assert!(found.contains(&lock), "{found}");
    assert!(found.contains("use: bluetooth.health-thermometer") && found.contains(".key\""), "{found}");
    place.cli().ok(&["mapping", "check", "found.yaml"]);
}

/// What hangs answers nothing and breaks nothing off: the devices go offline because nothing is heard of them, a Set ends with an
/// error that names it, as the bus does from then on, and all is well again when it goes on. That a bus where nobody waits says so,
/// after two looks in vain, takes half a minute: the tests of the vigil have that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn daemons_that_hang_keep_nobody_online_and_nobody_waiting() {
    let mut home = Home::start().await;
    let (cli, air) = (home.place.cli(), home.air());
    let locked = path(&cli, "lock", "Locked", "BinaryControl");
    let hangs = "BlueZ does not answer: bluetoothd or D-Bus hangs";
    home.is_heard(&cli, "kitchen", "21.5", "at first");
    eventually("the lock", || (shown(&cli, &locked) == "true").then_some(()));
    for (number, fault) in [BleFault::BluetoothdHung, BleFault::DbusHung].into_iter().enumerate() {
        air.fault_all(fault.clone());
        let ended = cli.run(&["set", &format!("{locked}=false")]);
        assert_ne!(ended.code, 0, "{fault}: {ended:?}");
        // Before the command line waits no longer.
        assert!(ended.told.contains(hangs), "{fault}: {ended:?}");
        eventually(&format!("the bus names {fault}"), || {
            let log = home.place.log();
            let is_told = |line: &&str| line.contains("the radio does not scan") && line.contains(hangs);
            (log.lines().filter(is_told).count() > number).then_some(())
        });
        assert_eq!(air.get("lock", "locked").as_deref(), Some("true"), "{fault}");
        eventually_ok(
            || if online(&cli, "kitchen") { Err(()) } else { Ok(()) },
            |()| format!("kitchen is still online: {fault}\n{}", home.place.log()),
        );
        air.clear_all();
        home.is_heard(&cli, "kitchen", &format!("24.{number}"), &format!("after {fault}"));
        eventually(&format!("the lock obeys after {fault}"), || {
            (cli.run(&["set", &format!("{locked}=false")]).code == 0).then_some(())
        });
        eventually(&format!("the lock obeys again after {fault}"), || {
            (cli.run(&["set", &format!("{locked}=true")]).code == 0).then_some(())
        });
        assert_eq!(air.get("lock", "locked").as_deref(), Some("true"), "{fault}");
    }
    assert!(home.broker.end().is_none(), "the broker has ended");
}

/// A lamp that is connected all the time, and what it is to say by itself is not asked.
const GATT_LAMP: &str = r#"uspmap: 1
profile: test.gatt-lamp
version: 1.0.0
device: {type: Light}
ble: {timeout: 5s, connect: keep}
poll: {slow: 1h}
capabilities:
  switch: {class: BinaryControl, type: Switch, read: {char: fff1, as: u8, notify: true}, write: {}, poll: slow}
  level: {class: LevelControl, type: Brightness, unit: "%", min: 1, max: 100, read: {char: fff2, as: u8}, write: {response: false}, poll: slow}
"#;

/// A BlueZ of python-dbusmock, and what it is told to do.
struct Mock {
    bluez: Process,
    _bus: PrivateBus,
}

impl Mock {
    async fn start(place: &mut Place) -> Self {
        dbus_daemon();
        let bus = PrivateBus::start(Some(&place.path("dbus"))).await.unwrap();
        let mut command = Command::new("/usr/bin/python3");
        command.arg(here("python/bluez_mock.py")).env("DBUS_SYSTEM_BUS_ADDRESS", bus.address());
        let bluez = Process::start(command.env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::piped()));
        assert_eq!(bluez.line(), "ready");
        place.env("DBUS_SYSTEM_BUS_ADDRESS", &bus.address());
        Self { bluez, _bus: bus }
    }

    /// Its answer to an order.
    fn obeys(&mut self, order: &str) -> String {
        self.bluez.stdin().write_all(format!("{order}\n").as_bytes()).unwrap();
        self.bluez.line()
    }

    /// Has the thermometer say something until the broker shows it.
    fn is_heard(&mut self, cli: &Cli, temperature: &str, data: &str, value: &str) {
        eventually("the advertisement", || {
            assert_eq!(self.obeys(&format!("advertise {data}")), "advertised");
            (shown(cli, temperature) == value).then_some(())
        });
    }
}

/// python-dbusmock's BlueZ shares no code with ours: its adapter scans, what it advertises is heard, its devices are connected, read,
/// written and notify, and its adapter is pulled out and comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bluez_that_shares_no_code_is_understood() {
    let mut place = Place::new(ACTOR, "");
    let mut mock = Mock::start(&mut place).await;
    place.write("lamp.yaml", GATT_LAMP);
    place.write(
        "site.yaml",
        "site: 1\nbuses: {radio: {ble: hci0}}\ndevices:\n  \
         thermometer: {use: bthome.thermometer, bus: radio, mac: \"A4:C1:38:00:02:01\"}\n  \
         lamp: {file: lamp.yaml, bus: radio, mac: \"A4:C1:38:00:02:02\"}\n",
    );
    let _broker = place.start();
    let cli = place.cli();
    let temperature = path(&cli, "thermometer", "Temperature", "LevelSensor");
    mock.is_heard(&cli, &temperature, "40016102ca09", "25.06");
    mock.is_heard(&cli, &temperature, "4001610218fc", "-10");
    assert_eq!(mock.obeys("scans"), "scans True");

    let (on, level) =
        (path(&cli, "lamp", "switch", "BinaryControl"), path(&cli, "lamp", "level", "LevelControl"));
    eventually("the lamp is connected", || online(&cli, "lamp").then_some(()));
    cli.ok(&["set", &format!("{on}=true")]);
    assert_eq!(mock.obeys("value fff1"), "value 01");
    cli.ok(&["set", &format!("{level}=35")]);
    assert_eq!(mock.obeys("value fff2"), "value 23");
    assert_eq!((shown(&cli, &on), shown(&cli, &level)), ("true".to_owned(), "35".to_owned()));
    let watch = cli.watch(&[&on, "--count", "1"]);
    assert_eq!(mock.obeys("notify fff1 00"), "notified");
    let line = watch.line();
    assert!(line.contains("BinaryControl.Value") && line.contains("false"), "{line}");

    // The connection breaks off, and is made again.
    assert_eq!((mock.obeys("connects"), mock.obeys("drop")), ("connects 1".to_owned(), "dropped".to_owned()));
    eventually("another connection", || (mock.obeys("connects") == "connects 2").then_some(()));
    eventually("the lamp obeys again", || (cli.run(&["set", &format!("{on}=true")]).code == 0).then_some(()));
    assert_eq!(mock.obeys("value fff1"), "value 01");

    // So does the radio.
    assert_eq!(mock.obeys("pull"), "pulled");
    let why = || shown(&cli, "Device.X_USPBROKER_Bus.1.LastError");
    eventually("the bus says why", || (why() == "the radio was pulled out").then_some(()));
    assert!(!online(&cli, "thermometer") && !online(&cli, "lamp"));
    assert_eq!(mock.obeys("plug"), "plugged");
    eventually("the radio is back", || why().is_empty().then_some(()));
    mock.is_heard(&cli, &temperature, "40016202ca09", "25.06");
    assert_eq!(mock.obeys("scans"), "scans True");
    assert!(!online(&cli, "lamp"), "nobody has said of it that it is not connected any more, and it is not");
}

/// Of one device BlueZ says too little, over another the library panics: both are told why, and nobody else is concerned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_the_library_cannot_read_is_told_and_costs_nobody_else() {
    let mut place = Place::new(ACTOR, "");
    let mut mock = Mock::start(&mut place).await;
    place.write("lamp.yaml", GATT_LAMP);
    let mut site = "site: 1\nbuses: {radio: {ble: hci0}}\ndevices:\n".to_owned();
    for (name, number) in [("lamp", 2), ("bare", 3), ("nameless", 4)] {
        writeln!(site, "  {name}: {{file: lamp.yaml, bus: radio, mac: \"A4:C1:38:00:02:0{number}\"}}")
            .unwrap();
    }
    place.write("site.yaml", &site);
    let mut broker = place.start();
    let cli = place.cli();
    eventually("the lamp is connected", || {
        assert_eq!(mock.obeys("advertise 40016102ca09"), "advertised");
        online(&cli, "lamp").then_some(())
    });
    for (device, why) in [
        ("bare", "BlueZ does not say of it what is needed to connect it"),
        ("nameless", "the Bluetooth library failed over what BlueZ says of it"),
    ] {
        let on = path(&cli, device, "switch", "BinaryControl");
        eventually_ok(
            || {
                let told = cli.fails(1, &["set", &format!("{on}=true")]);
                if told.contains(why) { Ok(()) } else { Err(told) }
            },
            |told| format!("{device}: {told}\n{}", place.log()),
        );
        assert!(!online(&cli, device), "{device}");
    }
    assert!(place.log().contains("the Bluetooth library failed"), "{}", place.log());
    cli.ok(&["set", &format!("{}=true", path(&cli, "lamp", "switch", "BinaryControl"))]);
    assert_eq!(mock.obeys("value fff1"), "value 01");
    assert!(broker.end().is_none(), "the broker has ended");
}

/// A device that acknowledges everything, and says afterwards whether it has done it, is believed what it says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_that_refuses_is_not_taken_by_its_acknowledgement() {
    let mut place = Place::new(ACTOR, "");
    let (name, text) = builtin().iter().find(|(name, _)| name.ends_with("switchbot-bot.yaml")).unwrap();
    let draft = MappingDraft::parse(&SourceFile::new(name, text)).0.unwrap();
    let mac = Mac([0xa4, 0xc1, 0x38, 0, 3, 1]);
    let bot = MappedBle::from_draft(&draft, mac, 1).unwrap().still().advertising(EVERY);
    let radio = bus(&mut place, vec![("bot".to_owned(), Box::new(bot))]).await;
    place.write(
        "site.yaml",
        &format!(
            "site: 1\nbuses: {{radio: {{ble: hci0}}}}\ndevices:\n  bot: {{use: switchbot.bot, bus: radio, mac: \"{mac}\"}}\n"
        ),
    );
    let _broker = place.start();
    let (cli, air) = (place.cli(), radio.handle());
    let switch = path(&cli, "bot", "Switch", "BinaryControl");
    let press = format!("{}.X_USPBROKER_Press()", rows(&cli, "Device.ProxiedDevice.*.Name")["bot"]);
    eventually("the bot is heard", || (!shown(&cli, &switch).is_empty()).then_some(()));
    for value in ["true", "false"] {
        cli.ok(&["set", &format!("{switch}={value}")]);
        assert_eq!(air.get("bot", "switch").as_deref(), Some(value));
    }
    cli.ok(&["operate", &press]);
    air.fault("bot", BleFault::Frozen).unwrap();
    for (code, told) in [
        ("error 7002", cli.fails(1, &["set", &format!("{switch}=true")])),
        ("error 7022", cli.fails(1, &["operate", &press])),
    ] {
        assert!(told.contains(code) && told.contains("the device refused: an error (it says 02)"), "{told}");
    }
    assert_eq!(air.get("bot", "switch").as_deref(), Some("false"));
}

/// One file of the library, and a device of it.
struct Model {
    file: &'static str,
    draft: MappingDraft,
}

/// Every Bluetooth device of the library as its users meet it: made from its own mapping, heard, read and set through the whole
/// broker.
#[expect(clippy::print_stdout, reason = "the table is what the run is for")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bluetooth_device_of_the_library_is_heard_and_set() {
    let models: Vec<Model> = builtin()
        .iter()
        .filter_map(|(name, text)| Some((*name, name.strip_prefix("ble/")?, *text)))
        .map(|(name, file, text)| {
            let draft = MappingDraft::parse(&SourceFile::new(name, text)).0.unwrap();
            Model { file: file.trim_end_matches(".yaml"), draft }
        })
        .collect();
    assert!(models.len() > 20, "devices that are sold");
    let mut place = Place::new(ACTOR, "");
    let mut site = "site: 1\nbuses: {radio: {ble: hci0, slots: 12}}\ndevices:\n".to_owned();
    let mut devices: Vec<(String, Box<dyn BleDevice>)> = Vec::new();
    secret(&place.path("passkey"), &mapped::PASSKEY.to_string());
    for (number, Model { file, draft }) in (1_u8..).zip(&models) {
        let mac = Mac([0xa4, 0xc1, 0x38, 0, 1, number]);
        let device = MappedBle::from_draft(draft, mac, number.into()).unwrap().still().advertising(EVERY);
        let passkey = if device.pairing() == usp_simulators::ble::device::Pairing::None {
            ""
        } else {
            ", passkey: \"file:passkey\""
        };
        devices.push(((*file).to_owned(), Box::new(device)));
        let profile = &draft.profile.as_ref().unwrap().value;
        writeln!(site, "  {file}: {{use: {profile}, bus: radio, mac: \"{mac}\"{passkey}}}").unwrap();
    }
    let radio = bus(&mut place, devices).await;
    place.write("site.yaml", &site);
    let _broker = place.start();
    let cli = place.cli();
    let devices = rows(&cli, "Device.ProxiedDevice.*.Name");
    let mut table = format!("{:<28} {:>6} {:>6}\n", "file", "gets", "sets");
    let mut sum = (0, 0);
    for model in &models {
        let (gets, sets) = sweep(&cli, &devices[model.file], model, &radio.handle());
        writeln!(table, "{:<28} {gets:>6} {sets:>6}", model.file).unwrap();
        sum = (sum.0 + gets, sum.1 + sets);
    }
    println!("{table}{:<28} {:>6} {:>6}", format!("{} files", models.len()), sum.0, sum.1);
    assert!(sum.0 > 70 && sum.1 >= 6, "{sum:?}");
}

fn sweep(cli: &Cli, device: &str, model: &Model, air: &RadioHandle) -> (usize, usize) {
    let paths = value_paths(cli, device, &model.draft, model.file);
    let mut gets = 0;
    for cap in model.draft.capabilities.iter().filter(|cap| cap.read.is_some()) {
        let id = cap.id.value.as_str();
        // How strongly it is heard is nobody's to set.
        let Some(value) =
            texts(&model.draft, id, |test| &test.expect).into_iter().next().filter(|_| id != "strength")
        else {
            continue;
        };
        air.set(model.file, id, &value).unwrap_or_else(|why| panic!("{} {id}: {why}", model.file));
        eventually_ok(
            || {
                let found = shown(cli, &paths[id]);
                if is_same(&found, &value) { Ok(()) } else { Err(found) }
            },
            |found| format!("{} {id}: {found:?} instead of {value}", model.file),
        );
        gets += 1;
    }
    let mut sets = 0;
    for cap in model.draft.capabilities.iter().filter(|cap| cap.write.is_some()) {
        let id = cap.id.value.as_str();
        for value in texts(&model.draft, id, |test| &test.write) {
            cli.ok(&["set", &format!("{}={value}", paths[id])]);
            let held = air.get(model.file, id).unwrap_or_default();
            assert!(is_same(&held, &value), "{} {id}: the device has {held}, not {value}", model.file);
            sets += 1;
        }
    }
    (gets, sets)
}
