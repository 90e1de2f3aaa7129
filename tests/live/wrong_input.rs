//! Whatever is wrong: a clear error that names the thing, and the broker goes on.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use usp_proto::uds_frame;
use usp_tests::cli::Cli;
use usp_tests::hostile::Target;
use usp_tests::place::Place;
use usp_tests::process::Process;
use usp_tests::things::meters;
use usp_tests::uds::Raw;
use usp_tests::wait::eventually;

use crate::ACTOR;
use crate::things::THERMOSTAT;

/// A broker that must be the same process, and answer, at the end.
struct Steady {
    place: Place,
    broker: Process,
}

impl Steady {
    fn start(more: &str) -> Self {
        let place = Place::new(ACTOR, more);
        let broker = place.start();
        Self { place, broker }
    }

    fn still_answers(&self) {
        let path = "Device.LocalAgent.EndpointID";
        assert_eq!(self.place.cli().value(path), "self::hub");
        let log = self.place.log();
        assert!(!log.contains("panicked"), "{log}");
        // A process that was started anew has another number, and `kill -0` says whether this one lives.
        self.broker.signal("0");
    }
}

/// Each word is in what is told.
fn names(told: &str, words: &[&str]) {
    for word in words {
        assert!(told.contains(word), "{word:?} is missing in {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_cannot_be_done_name_the_thing() {
    let device = meters(&[1]).await;
    let steady = Steady::start("");
    steady.place.meters(&[("meter", device.local_addr(), 1)]);
    steady.broker.signal("HUP");
    let _service = steady.place.service("proto::svc", THERMOSTAT);
    let cli = steady.place.cli();
    let of = |name: &str, class: &str| {
        let path = format!("Device.ProxiedDevice.*.IoTCapability.[Name==\"{name}\"].{class}.Value");
        eventually(name, || cli.values(&path).into_keys().next())
    };
    let (relay, setpoint, tariff) =
        (of("Relay", "BinaryControl"), of("Heater set point", "LevelControl"), of("Tariff", "EnumControl"));
    let voltage = of("Voltage L1", "LevelSensor");

    let refused = |arguments: &[&str], words: &[&str]| names(&cli.fails(1, arguments), words);
    let set = |path: &str, value: &str, code: &str| {
        refused(&["set", &format!("{path}={value}")], &[code, path.rsplit('.').next().unwrap()]);
    };
    // Unknown paths.
    refused(&["get", "Device.NoSuch."], &["error 7026 Invalid path", "Device.NoSuch."]);
    refused(&["get", &format!("{THERMOSTAT}NoSuch")], &["7026", "NoSuch"]);
    refused(&["get", "Device.ProxiedDevice.1.NoSuch"], &["7026", "NoSuch"]);
    refused(&["get", "Device..Bad["], &["7008", "Device..Bad["]);
    refused(&["operate", "Device.NoSuch()"], &["7026", "NoSuch()"]);
    refused(&["delete", "Device.NoSuch.1."], &["7026", "Device.NoSuch.1."]);
    let row = "Device.LocalAgent.Subscription.77.";
    refused(&["set", &format!("{row}Enable=true")], &["7016", row]);
    // Wrong types, of the broker's, the Service's and the device's Parameters.
    set("Device.LocalAgent.ControllerTrust.Role.2.Enable", "maybe", "7011");
    set(&format!("{THERMOSTAT}Setpoint"), "warm", "7011");
    set(&relay, "maybe", "7011");
    set(&setpoint, "warm", "7011");
    // Out of range.
    set(&format!("{THERMOSTAT}Setpoint"), "99", "7012");
    set(&setpoint, "99", "7012");
    set(&tariff, "Night", "7012");
    // Read-only.
    set("Device.LocalAgent.EndpointID", "self::x", "7013");
    set(&format!("{THERMOSTAT}Temperature"), "1", "7013");
    set(&voltage, "1", "7013");
    // Nothing of this has changed anything.
    assert!(!device.log().iter().any(usp_simulators::modbus::Seen::is_write));
    assert_eq!(cli.value(&format!("{THERMOSTAT}Setpoint")), "21.0");
    refused(&["add", "Device.LocalAgent.Subscription.", "NoSuch=1"], &["7010", "NoSuch"]);
    refused(&["add", "Device.DeviceInfo."], &["70", "Device.DeviceInfo."]);
    assert_eq!(cli.value("Device.LocalAgent.SubscriptionNumberOfEntries"), "0");
    steady.still_answers();
}

/// Everything at once on all sockets: who behaves is answered, and the process stays what and as small as it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_peers_cost_themselves_only() {
    let steady = Steady::start("");
    let _service = steady.place.service("proto::svc", THERMOSTAT);
    let path = format!("{THERMOSTAT}Setpoint");
    eventually("its model", || steady.place.cli().values(&path).into_keys().next());
    let (client, notifications) = steady.place.client("self::good").await;
    drop(notifications);
    let target = Target::of(&steady.place, None);
    let paths = ["Device.DeviceInfo.Manufacturer".to_owned(), path];
    let seen = target.besiege(Duration::from_secs(10), &client, &paths).await;
    assert_eq!(seen.wrong, [""; 0]);
    assert!(seen.times.len() > 10 && seen.rounds > 500, "{} Gets, {} peers", seen.times.len(), seen.rounds);
    let most = steady.broker.peak_kib();
    assert!(most < 128 * 1024, "{most} KiB");
    steady.still_answers();
}

#[test]
fn what_is_not_usp_ends_that_connection_alone() {
    let steady = Steady::start("[limits]\nmax_record_bytes = 100_000");
    let socket = steady.place.path("agent");
    let mut bystander = Raw::as_controller(&socket, "self::bystander");

    let mut malformed = Raw::as_controller(&socket, "self::malformed");
    malformed.send(&uds_frame::record(b"\xff\xff\xff\xff no Record"));
    names(&malformed.last_words(), &["Record"]);

    let mut oversized = Raw::as_controller(&socket, "self::oversized");
    oversized.send(b"_USP\x7f\xff\xff\xff\x03\x7f\xff\xff\xfa");
    names(&oversized.last_words(), &["100000"]);

    let mut stranger = Raw::connect(&socket);
    stranger.send(b"GET / HTTP/1.1\r\n\r\n");
    names(&stranger.last_words(), &["_USP"]);

    let mut nameless = Raw::connect(&socket);
    nameless.send(b"_USP\x00\x00\x00\x0d\x01\x00\x00\x00\x08no id !!");
    names(&nameless.last_words(), &["handshake"]);

    let request = get_record("self::bystander", "Device.LocalAgent.EndpointID");
    bystander.send(&uds_frame::record(&request));
    assert!(bystander.record().unwrap().msg().is_some(), "others are not disturbed");
    steady.still_answers();
}

/// A Get of one path for `self::hub`.
fn get_record(from: &str, path: &str) -> Vec<u8> {
    use usp_proto::record::Record;
    use usp_proto::usp::{Get, request::ReqType};
    let get = ReqType::Get(Get { param_paths: vec![path.into()], max_depth: 0 });
    let msg = usp_proto::message::request("1", get);
    Record::message(from.parse().unwrap(), "self::hub".parse().unwrap(), msg).encode()
}

/// The close frame that answers a message.
async fn closed_by(url: &str, message: Message) -> CloseFrame {
    let mut request = format!("{url}?eid=self::bad").into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", "v1.usp".parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    socket.send(message).await.unwrap();
    loop {
        match socket.next().await {
            Some(Ok(Message::Close(Some(frame)))) => return frame,
            Some(Ok(_)) => {}
            other => panic!("no close frame: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_not_usp_on_websocket_has_its_close_code() {
    let steady = Steady::start("[limits]\nmax_record_bytes = 100_000");
    let url = steady.place.websocket();
    let malformed = closed_by(&url, Message::Binary(Bytes::from_static(b"\xff no Record"))).await;
    assert_eq!(u16::from(malformed.code), 1003, "{malformed}");
    let text = closed_by(&url, Message::text("hello")).await;
    assert_eq!(u16::from(text.code), 1003, "{text}");
    let oversized = closed_by(&url, Message::Binary(vec![0; 100_001].into())).await;
    assert_eq!(u16::from(oversized.code), 1009, "{oversized}");
    names(&oversized.reason, &["100000"]);

    let refused = |request: &str| {
        let request = request.into_client_request().unwrap();
        async { tokio_tungstenite::connect_async(request).await.map(|_| ()) }
    };
    let Err(Error::Http(answer)) = refused(&format!("{url}?eid=self::bad")).await else { panic!() };
    assert_eq!(answer.status(), 400, "there was no subprotocol");
    let Err(Error::Http(answer)) = refused(&url.replace("/usp", "/other?eid=self::bad")).await else {
        panic!()
    };
    assert_eq!(answer.status(), 404);
    steady.still_answers();
}

#[test]
fn an_unknown_controller_is_untrusted() {
    // Without `local_role` whoever is not known has the role "Untrusted".
    let steady = Steady::start("[[controller]]\nendpoint_id = \"self::known\"\nrole = \"Full Access\"");
    let stranger = steady.place.websocket_cli();
    let path = "Device.LocalAgent.EndpointID";
    let row =
        ["add", "Device.LocalAgent.Subscription.", "ID=x", "NotifType=Event", "ReferenceList=Device.Boot!"];
    let requests: [&[&str]; 4] = [
        &["get", path],
        &["set", "Device.LocalAgent.MTP.1.Enable=false"],
        &row,
        &["operate", "Device.Reboot()"],
    ];
    for request in requests {
        let told = stranger.fails(1, &[request, &["--as", "self::stranger"]].concat());
        names(&told, &["error 7006 Permission denied", "self::stranger is not known here"]);
    }
    let known = stranger.ok(&["get", path, "--as", "self::known"]);
    assert_eq!(known, format!("{path} = self::hub\n"));
    steady.still_answers();
}

/// Runs `run` to its end: exit code and what it told. It must not have been ready.
fn refused_start(place: &Place, code: i32) -> String {
    let ended = place.cli().run(&["run", "--config", "broker.toml"]);
    assert_eq!((ended.code, ended.out.as_str()), (code, ""), "{ended:#?}");
    ended.told
}

const BROKEN: &str = "uspmap: 1\nprofile: test.broken\nversion: 1.0.0\ndevice: {type: Meter}\ncapabilities:\n  \
    a: {class: LevelSensr, type: Meter, unit: V, read: {input: 40001, as: f99}}\n";

#[test]
fn broken_files_are_shown_with_place_and_fix() {
    let place = Place::new(ACTOR, "");
    let device = "site: 1\nbuses:\n  b: {modbus_tcp: \"127.0.0.1:1\"}\ndevices:\n  m: {use: test.broken, bus: b, unit: 1}\n";
    place.write("site.yaml", device);
    place.write("broken.yaml", BROKEN);
    let told = refused_start(&place, 2);
    names(&told, &["broken.yaml:6:", "LevelSensr", "LevelSensor", "f99"]);
    let cli = place.cli();
    assert_eq!(cli.fails(2, &["config", "check", "broker.toml"]), told, "the check says what the start says");
    names(&cli.fails(2, &["mapping", "check", "broken.yaml"]), &["broken.yaml:6:", "LevelSensr", "f99"]);

    place.write("site.yaml", &device.replace("test.broken", "test.none"));
    names(&refused_start(&place, 2), &["site.yaml:5:", "test.none"]);
    fs::remove_file(place.path("site.yaml")).unwrap();
    names(&refused_start(&place, 2), &["site.yaml", "No such file"]);
    place.configure("[limits]\nmax_servces = 3");
    names(&refused_start(&place, 2), &["broker.toml:", "`max_servces`", "did you mean `max_services`?"]);
    names(&cli.fails(2, &["run", "--config", "none.toml"]), &["none.toml", "No such file"]);
}

#[test]
fn a_port_or_a_folder_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let place = Place::new(ACTOR, "");
    let config = fs::read_to_string(place.path("broker.toml")).unwrap();
    place.write("broker.toml", &config.replace("127.0.0.1:0", &address));
    names(&refused_start(&place, 1), &[&address, "the port is in use"]);

    let steady = Steady::start("");
    names(&refused_start(&steady.place, 1), &["state"]);
    steady.still_answers();
}

#[test]
fn a_broken_mapping_after_a_change_leaves_the_devices_as_they_are() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let device = runtime.block_on(meters(&[1]));
    let steady = Steady::start("");
    let Steady { place, broker } = &steady;
    place.meters(&[("meter", device.local_addr(), 1)]);
    broker.signal("HUP");
    let cli: Cli = place.cli();
    let name = "Device.ProxiedDevice.1.Name";
    eventually("the device", || cli.values(name).into_values().next());
    place.write("broken.yaml", BROKEN);
    let site = fs::read_to_string(place.path("site.yaml")).unwrap();
    place.write("site.yaml", &format!("{site}  x: {{use: test.broken, bus: bus-meter, unit: 2}}\n"));
    broker.signal("HUP");
    eventually("the error", || place.log().contains("broken.yaml:6:").then_some(()));
    assert_eq!(cli.value(name), "meter");
    assert_eq!(cli.value("Device.ProxiedDeviceNumberOfEntries"), "1");
    steady.still_answers();
}
