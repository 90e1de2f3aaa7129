//! How clients come, stay and go.

use usp_proto::record::{Connect as ConnectRecord, RecordBody};
use usp_proto::usp::request::ReqType;
use usp_proto::usp_record::mqtt_connect_record::MqttVersion;
use usp_simulators::mqtt::Peer;
use usp_tests::mosquitto::Mosquitto;
use usp_tests::wait::eventually;

use super::*;

async fn connect_record(peer: &mut Peer) -> (MqttVersion, String) {
    match record(peer).await.body {
        RecordBody::Connect(ConnectRecord::Mqtt { version, subscribed_topic }) => (version, subscribed_topic),
        other => panic!("{other:?}"),
    }
}

/// TP-469 11.17 and R-MTP.6; at the end R-MTP.7 and R-MQTT.35.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connect_record_comes_first_and_a_disconnect_record_last() {
    for (number, settings, version) in
        [(5, "", MqttVersion::V5), (4, "version = \"3.1.1\"", MqttVersion::V311)]
    {
        let server = Mosquitto::start();
        let mut listener = listener(&server, number).await;
        let place = hub(&server, settings);
        let broker = place.start();
        let told = connect_record(&mut listener).await;
        assert_eq!(told, (version, HUB_TOPIC.to_owned()));
        broker.signal("TERM");
        let goodbye = record(&mut listener).await;
        assert!(matches!(goodbye.body, RecordBody::Disconnect { .. }), "{goodbye:?}");
        assert!(broker.ended().success());
        let id = if number == 5 { "auto-" } else { "self::hub" };
        let gone = format!("Received DISCONNECT from {id}");
        eventually("DISCONNECT", || server.log().contains(&gone).then_some(()));
    }
}

/// TP-469 11.5, R-MQTT.9, R-MQTT.11: the identifier that the server chose stays, over its restarts and ours.
#[test]
fn the_assigned_identifier_is_kept() {
    let mut server = Mosquitto::start();
    let place = hub(&server, EAGER);
    let mut broker = place.start();
    status(&place, "Connected");
    let id = place.cli().value("Device.MQTT.Client.1.ClientID");
    assert!(id.starts_with("auto-"), "{id}");
    server.kill();
    eventually("the loss", || {
        (place.cli().value("Device.MQTT.Client.1.Status") != "Connected").then_some(())
    });
    server.again();
    status(&place, "Connected");
    assert_eq!(place.cli().value("Device.MQTT.Client.1.ClientID"), id);
    broker.kill();
    let _broker = place.start();
    status(&place, "Connected");
    assert_eq!(place.cli().value("Device.MQTT.Client.1.ClientID"), id);
    let known = format!(" as {id} (");
    assert_eq!(server.log().matches(&known).count(), 3, "{}", server.log());
}

/// What a Controller must be told waits while the server is dead, and comes when it is back (R-MQTT.10).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifications_survive_the_death_of_the_server() {
    let mut server = Mosquitto::start();
    let place = hub(&server, EAGER);
    let _broker = place.start();
    status(&place, "Connected");
    let through = operator(&server, &place, "");
    through.ok(&[
        "add",
        "Device.LocalAgent.Subscription.",
        "ID=keep",
        "Enable=true",
        "NotifType=ValueChange",
        "ReferenceList=Device.LocalAgent.Controller.1.ProvisioningCode",
        "NotifRetry=true",
        "Persistent=true",
    ]);
    server.kill();
    eventually("the loss", || {
        (place.cli().value("Device.MQTT.Client.1.Status") != "Connected").then_some(())
    });
    place.cli().ok(&["set", "Device.LocalAgent.Controller.1.ProvisioningCode=meanwhile"]);
    server.again();
    let mut listener = listener(&server, 5).await;
    let notify = loop {
        match record(&mut listener).await.body {
            // Whoever is too late for the Connect Record has missed it.
            RecordBody::Connect(_) => {}
            RecordBody::Message(msg) => match message::body(&msg) {
                Some(MsgBody::Request(request)) => match &request.req_type {
                    Some(ReqType::Notify(notify)) => break notify.clone(),
                    other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(notify.subscription_id, "keep");
    assert!(format!("{notify:?}").contains("meanwhile"));
    eventually("the same over again", || {
        (through.value("Device.LocalAgent.Controller.1.ProvisioningCode") == "meanwhile").then_some(())
    });
}

/// TP-469 11.2: who has a wrong password is told so, and no log has it.
#[test]
fn a_wrong_password_is_a_matter_of_the_settings() {
    let server = Mosquitto::start();
    let passwords = server.passwords("hub", "right one");
    server.configure(&format!("allow_anonymous false\npassword_file {}\n", passwords.display()));
    let mut server = server;
    server.kill();
    server.again();
    let place = hub(&server, &format!("username = \"hub\"\npassword = \"file:pw\"\n{EAGER}"));
    place.write("pw", "wrong one\n");
    let _broker = place.start();
    status(&place, "Error_Misconfigured");
    place.cli().ok(&["set", "Device.MQTT.Client.1.Password=right one"]);
    status(&place, "Connected");
    assert_eq!(place.cli().value("Device.MQTT.Client.1.Password"), "");
    let log = place.log();
    assert!(log.contains("the server refuses us") && !log.contains(" one"), "{log}");

    // The command line with a password from the environment.
    let via = format!("mqtt://hub@{}/{HUB_TOPIC}?password=env:PW", server.address());
    let cli = usp_tests::cli::Cli::new(ACTOR, &via, place.dir()).acting_as(OPERATOR);
    let run = |password: &str| {
        cli.command(&["get", "Device.DeviceInfo.Manufacturer"]).env("PW", password).output().unwrap()
    };
    assert!(run("right one").status.success());
    let wrong = String::from_utf8(run("wrong one").stderr).unwrap();
    assert!(wrong.contains("the server refuses us: ") && !wrong.contains("wrong one"), "{wrong}");
}

/// TP-469 11.11, R-MQTT.17: without its subscription the broker publishes nothing and disconnects.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_subscription_ends_the_connection() {
    let mut server = Mosquitto::start();
    server.allow_subscriptions("usp/controller/#");
    server.kill();
    server.again();
    for (number, settings) in [(5, ""), (4, "version = \"3.1.1\"")] {
        let mut listener = listener(&server, number).await;
        let place = hub(&server, settings);
        let _broker = place.start();
        status(&place, "Error_Misconfigured");
        let id = if number == 5 { "auto-" } else { "self::hub" };
        let gone = format!("Received DISCONNECT from {id}");
        eventually("DISCONNECT", || server.log().contains(&gone).then_some(()));
        nothing_comes(&mut listener).await;
        assert!(place.log().contains("the server refuses our subscription to"), "{}", place.log());
    }
}

/// TP-469 11.9, with rows that come, change and go while the client is connected.
#[test]
fn subscription_rows_are_followed() {
    let server = Mosquitto::start();
    let place = hub(&server, "");
    let _broker = place.start();
    status(&place, "Connected");
    let cli = place.cli();
    let row = cli.ok(&["add", "Device.MQTT.Client.1.Subscription.", "Topic=more/#", "QoS=1", "Enable=true"]);
    let row = row.trim();
    eventually("SUBSCRIBE", || server.log().contains("more/# (QoS 1)").then_some(()));
    eventually("its status", || (cli.value(&format!("{row}Status")) == "Subscribed").then_some(()));
    cli.ok(&["set", &format!("{row}Enable=false")]);
    eventually("UNSUBSCRIBE", || server.log().contains("Received UNSUBSCRIBE").then_some(()));
    cli.ok(&["operate", "Device.MQTT.Client.1.ForceReconnect()"]);
    eventually("DISCONNECT", || server.log().contains("Received DISCONNECT from auto-").then_some(()));
    status(&place, "Connected");
}
