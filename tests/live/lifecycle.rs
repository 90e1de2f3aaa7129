//! Stopping, reloading, and moving a hub.

use std::time::Duration;

use futures_util::StreamExt;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use usp_proto::record::{Record, RecordBody};
use usp_tests::place::Place;
use usp_tests::things::meters;
use usp_tests::uds::Raw;
use usp_tests::wait::eventually;

use crate::ACTOR;
use crate::things::THERMOSTAT;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_says_goodbye_on_every_connection() {
    let place = Place::new(ACTOR, "local_role = \"Full Access\"");
    let broker = place.start();
    let url = format!("{}?eid=self::web", place.websocket());
    let mut controller = Raw::as_controller(&place.path("agent"), "self::unix");
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", "v1.usp".parse().unwrap());
    let (mut web, _) = tokio_tungstenite::connect_async(request).await.unwrap();

    broker.signal("TERM");
    let goodbye = controller.record().expect("a Disconnect Record");
    assert!(matches!(goodbye.body, RecordBody::Disconnect { .. }), "{goodbye:?}");
    assert!(controller.record().is_none(), "then the connection ends");
    let mut bodies = Vec::new();
    let code = loop {
        match web.next().await {
            Some(Ok(Message::Binary(bytes))) => bodies.push(Record::decode(&bytes).unwrap().body),
            Some(Ok(Message::Close(frame))) => break frame.unwrap().code,
            other => panic!("{other:?}"),
        }
    };
    assert!(
        matches!(bodies.as_slice(), [RecordBody::Connect(_), RecordBody::Disconnect { .. }]),
        "{bodies:?}"
    );
    assert_eq!(u16::from(code), 1001, "going away");
    assert!(broker.ended().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_adds_a_device_and_disturbs_nobody() {
    let (first, second) = (meters(&[1]).await, meters(&[1]).await);
    let place = Place::new(ACTOR, "");
    place.meters(&[("first", first.local_addr(), 1)]);
    let broker = place.start();
    let service = place.service("proto::svc", THERMOSTAT);
    let cli = place.cli();
    let online = |row: u32| cli.values(&format!("Device.ProxiedDevice.{row}.Online")).into_values().next();
    eventually("the first device", || (online(1)? == "true").then_some(()));
    let watch = cli.watch(&["Device.ProxiedDevice."]);
    let row = cli.ok(&["add", &format!("{THERMOSTAT}Zone."), "Name=Hall"]);

    place.meters(&[("another", second.local_addr(), 1), ("first", first.local_addr(), 1)]);
    broker.signal("HUP");
    eventually("the second device", || (online(2)? == "true").then_some(()));
    let name = |row: u32| cli.value(&format!("Device.ProxiedDevice.{row}.Name"));
    assert_eq!((name(1), name(2)), ("first".into(), "another".into()), "numbers belong to the devices");
    assert_eq!(cli.value(&format!("{}Name", row.trim())), "Hall", "the Service was not asked to start anew");

    // The watch that was there before goes on, over its first connection.
    first.unit(1).unwrap().set("relay", usp_simulators::value::SimValue::Bool(true)).unwrap();
    let told = |words: [&str; 2]| {
        eventually("a notification", || {
            let line = watch.line();
            words.iter().all(|word| line.contains(word)).then_some(())
        });
    };
    told(["Device.ProxiedDevice.1.", "BinaryControl.Value"]);
    second.unit(1).unwrap().set("relay", usp_simulators::value::SimValue::Bool(true)).unwrap();
    told(["Device.ProxiedDevice.2.", "BinaryControl.Value"]);

    place.meters(&[("another", second.local_addr(), 1)]);
    broker.signal("HUP");
    eventually("the first device is gone", || online(1).is_none().then_some(()));
    assert_eq!(name(2), "another");
    drop(service);
    tokio::time::timeout(Duration::from_secs(5), first.stop()).await.unwrap();
}

#[test]
fn a_hub_moves_with_backup_and_restore() {
    let here = Place::new(ACTOR, "");
    let broker = here.start();
    let add = |place: &Place, id: &str| {
        let (id, table) = (format!("ID={id}"), "Device.LocalAgent.Subscription.");
        let row = ["add", table, &id, "NotifType=Event", "ReferenceList=Device.Boot!", "Persistent=true"];
        place.cli().ok(&row).trim().to_owned()
    };
    let kept = add(&here, "kept");
    let deleted = add(&here, "deleted");
    here.cli().ok(&["delete", &deleted]);
    let changed = format!("{kept}NotifExpiration");
    here.cli().ok(&["set", &format!("{changed}=77")]);

    let there = Place::new(ACTOR, "");
    let file = there.path("hub.backup");
    let backup = ["backup", file.to_str().unwrap(), "--config", "broker.toml"];
    here.cli().ok(&backup);
    let restore = ["restore", file.to_str().unwrap(), "--config", "broker.toml"];
    let told = here.cli().fails(1, &restore);
    assert!(told.contains("running") || told.contains("in use"), "a running hub keeps its state: {told}");
    broker.signal("TERM");
    assert!(broker.ended().success());

    there.cli().ok(&restore);
    let _broker = there.start();
    let cli = there.cli();
    assert_eq!(cli.value(&format!("{kept}ID")), "kept");
    assert_eq!(cli.value(&changed), "77");
    let next = add(&there, "next");
    assert!(next != kept && next != deleted, "{next}: numbers are not used twice, on another hub either");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_site_changes_nothing_and_is_shown() {
    let device = meters(&[1]).await;
    let place = Place::new(ACTOR, "");
    place.meters(&[("meter", device.local_addr(), 1)]);
    let _broker = place.start();
    let cli = place.cli();
    let site = |name: &str| cli.value(&format!("Device.X_USPBROKER_Site.{name}"));
    let name = || cli.value("Device.ProxiedDevice.1.Name");
    let becomes = |status: &str| eventually(status, || (site("Status") == status).then_some(()));
    let good = std::fs::read_to_string(place.path("site.yaml")).unwrap();
    assert_eq!(site("Status"), "Loaded");
    let began = site("LoadedAt");

    // No signal: the change of the file is enough.
    place.write("site.yaml", &good.replace("unit: 1", "unti: 1"));
    becomes("Refused");
    assert_eq!((name().as_str(), site("LoadedAt")), ("meter", began), "the former devices stay");
    let why = site("LastError");
    assert!(why.contains("site.yaml:5") && why.contains("unti"), "{why}");
    assert!(place.log().contains("the changed site is not used"));
    let told = cli.fails(1, &["operate", "Device.X_USPBROKER_Site.Reload()"]);
    assert!(told.contains("unti"), "{told}");

    place.write("site.yaml", &good);
    becomes("Loaded");
    assert_eq!((name().as_str(), site("LastError").as_str()), ("meter", ""));
    cli.ok(&["operate", "Device.X_USPBROKER_Site.Reload()"]);

    // An error of the configuration itself is shown in the same place.
    let config = std::fs::read_to_string(place.path("broker.toml")).unwrap();
    place.write("broker.toml", &config.replace("[uds]", "[udss]"));
    becomes("Refused");
    assert!(site("LastError").contains("udss"), "{}", site("LastError"));
    place.write("broker.toml", &config);
    becomes("Loaded");
}
