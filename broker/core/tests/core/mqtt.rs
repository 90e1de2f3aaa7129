//! MQTT clients follow their rows, and rows tell how clients fare (TP-469 section 11, R-MQTT.*).

use usp_core::mqtt::port::{MqttEvent, MqttFailure, MqttOrder, MqttUp, MqttVersion};

use crate::bench::World;
use crate::bench::mqtt::{client, connack, seeds};

const CLIENT: &str = "Device.MQTT.Client.1.";
const MTP: &str = "Device.LocalAgent.MTP.3.";

fn refused(topics: &[&str]) -> MqttEvent {
    MqttEvent::Subscribed { refused: topics.iter().map(|t| ((*t).to_owned(), "0x87".to_owned())).collect() }
}

#[test]
fn seeded_clients_run_from_the_start_and_after_a_restart() {
    let mut w = World::with(seeds());
    assert_eq!(w.mqtt_orders(), ["Run 1 127.0.0.1:1883 5.0 as ''"]);
    let mut w = w.restart();
    assert_eq!(w.mqtt_orders(), ["Run 1 127.0.0.1:1883 5.0 as ''"]);
    let c = w.controller("self::c");
    assert_eq!(w.get(c, "Device.MQTT.Client.*.Status"), "Device.MQTT.Client.1.Status=Connecting");
    assert_eq!(
        w.get(c, "Device.LocalAgent.Controller.1.MTP.1.MQTT."),
        "Device.LocalAgent.Controller.1.MTP.1.MQTT.AgentMTPReference=Device.LocalAgent.MTP.3
Device.LocalAgent.Controller.1.MTP.1.MQTT.Topic=usp/ctrl/boss
Device.LocalAgent.Controller.1.MTP.1.MQTT.USPServiceRef="
    );
}

#[test]
fn settings_reach_the_client_and_the_password_nobody_else() {
    let mut w = World::with(seeds());
    let Some(MqttOrder::Run { settings, .. }) = w.mqtt.first().cloned() else { panic!() };
    // R-MQTT.7, R-MQTT.12, R-MQTT.13, R-MQTT.14
    assert_eq!((&*settings.username, &*settings.password), ("hub", "very secret"));
    assert!(settings.request_response_information && settings.clean);
    assert_eq!((settings.keep_alive, settings.endpoint_id.as_str()), (60, "os::012345-hub"));
    assert_eq!((settings.retry_time, settings.retry_multiplier, settings.retry_most), (5, 2000, 30720));
    assert!(!format!("{:?} {:?}", w.mqtt, w.config).contains("secret"));
    let c = w.controller("self::c");
    assert_eq!(w.get(c, &format!("{CLIENT}Password")), format!("{CLIENT}Password="));
    w.subscribe(c, "s", "ValueChange", CLIENT);
    assert_eq!(w.set(c, CLIENT, &["Password=new secret"]), format!("{CLIENT} Password="));
    assert!(!w.notes(c).concat().contains("secret"));
    assert_eq!(w.get(c, "Device.MQTT.Client.[Password==\"new secret\"].Name"), "");
    assert!(!w.get(c, "Device.MQTT.").contains("secret"));
    let Some(MqttOrder::Run { settings, .. }) = w.mqtt.last().cloned() else { panic!() };
    assert_eq!(settings.password, "new secret");
}

#[test]
fn an_assigned_identifier_is_kept() {
    // R-MQTT.8, R-MQTT.9, R-MQTT.11; TP-469 11.4, 11.5
    let mut w = World::with(seeds());
    let c = w.controller("self::c");
    w.mqtt_orders();
    w.mqtt_ready(1);
    assert_eq!(w.get(c, &format!("{CLIENT}ClientID")), format!("{CLIENT}ClientID=given"));
    assert_eq!(w.mqtt_orders(), ["Topics 1 usp/agent/hub q1!"], "no new Run because of its own change");
    let mut w = w.restart();
    assert_eq!(w.mqtt_orders(), ["Run 1 127.0.0.1:1883 5.0 as 'given'"]);
}

#[test]
fn a_client_of_3_1_1_goes_by_the_endpoint_id_and_listens_with_a_wildcard() {
    let mut config = seeds();
    config.seed.mqtt[0].version = MqttVersion::V311;
    let mut w = World::with(config);
    assert_eq!(w.mqtt_orders(), ["Run 1 127.0.0.1:1883 3.1.1 as 'os::012345-hub'"]);
    w.mqtt_ready(1);
    // R-MQTT.15, R-MQTT.24
    assert_eq!(w.mqtt_orders(), ["Topics 1 usp/agent/hub/# q1!"]);
    assert_eq!(w.mqtt_records(), ["1 usp/ctrl/boss (q1 reply usp/agent/hub) Connect V311 usp/agent/hub"]);
}

#[test]
fn topics_come_from_the_server_and_from_rows() {
    // R-MQTT.12, R-MQTT.15, R-MQTT.21; TP-469 11.8
    let mut w = World::with(seeds());
    let c = w.controller("self::c");
    w.add(c, &format!("{CLIENT}Subscription."), &["Topic=more/+", "QoS=2", "Enable=true"]);
    w.add(c, &format!("{CLIENT}Subscription."), &["Topic=off", "Enable=false"]);
    w.mqtt_orders();
    let told = ["told/a", "more/b", "bad#"];
    w.mqtt_up(
        1,
        MqttUp {
            response_information: Some("told/reply".to_owned()),
            subscribe_topics: told.map(str::to_owned).to_vec(),
            ..connack()
        },
    );
    assert_eq!(w.mqtt_orders(), ["Topics 1 more/+ q2, told/a q1, told/reply q1!"]);
    w.mqtt_event(1, refused(&["told/a"]));
    assert_eq!(
        w.mqtt_records(),
        ["1 usp/ctrl/boss (q1 reply told/reply) Connect V5 told/reply"],
        "one refused topic of several does not matter (R-MQTT.17)"
    );
    let discovered = format!("{MTP}MQTT.ResponseTopicDiscovered");
    assert_eq!(w.get(c, &discovered), format!("{discovered}=told/reply"));
    assert_eq!(
        w.get(c, &format!("{CLIENT}ResponseInformation")),
        format!("{CLIENT}ResponseInformation=told/reply")
    );
    let status = "Device.MQTT.Client.1.Subscription.*.Status";
    assert_eq!(
        w.get(c, status),
        format!("{CLIENT}Subscription.1.Status=Subscribed\n{CLIENT}Subscription.2.Status=Unsubscribed")
    );
}

#[test]
fn without_any_topic_the_client_disconnects_until_there_is_one() {
    // R-MQTT.16; TP-469 11.10
    let mut config = seeds();
    config.seed.mqtt[0].response_topic = String::new();
    let mut w = World::with(config);
    let c = w.controller("self::c");
    w.mqtt_orders();
    w.mqtt_up(1, connack());
    assert_eq!(w.mqtt_orders(), ["Stop 1"]);
    assert_eq!(w.get(c, &format!("{CLIENT}Status")), format!("{CLIENT}Status=Error_Misconfigured"));
    assert_eq!(w.get(c, &format!("{MTP}Status")), format!("{MTP}Status=Error"));
    w.mqtt_ready(1);
    assert!(w.mqtt_orders().is_empty() && w.mqtt_records().is_empty(), "what still comes does not count");
    w.set(c, MTP, &["MQTT.ResponseTopicConfigured=usp/x"]);
    assert_eq!(w.mqtt_orders(), ["Run 1 127.0.0.1:1883 5.0 as 'given'"]);
    w.mqtt_ready(1);
    assert_eq!(w.mqtt_orders(), ["Topics 1 usp/x q1!"]);
}

#[test]
fn nothing_is_published_while_the_topic_is_refused() {
    // R-MQTT.17; TP-469 11.11
    let mut w = World::with(seeds());
    w.mqtt_up(1, connack());
    w.mqtt_event(1, refused(&["usp/agent/hub"]));
    w.mqtt_down(1, MqttFailure::Misconfigured);
    let c = w.controller("self::c");
    assert!(w.mqtt_records().is_empty());
    assert_eq!(w.get(c, &format!("{CLIENT}Status")), format!("{CLIENT}Status=Error_Misconfigured"));
    w.mqtt_ready(1);
    assert_eq!(w.mqtt_records().len(), 1, "it tries again by itself");
}

#[test]
fn new_subscription_rows_are_subscribed_to_at_once() {
    // R-MQTT.34; TP-469 11.9
    let mut w = World::with(seeds());
    w.mqtt_ready(1);
    let c = w.controller("self::c");
    w.subscribe(c, "s", "ValueChange", "Device.MQTT.Client.1.Subscription.");
    w.mqtt_orders();
    w.mqtt_records();
    w.add(c, &format!("{CLIENT}Subscription."), &["Topic=news/#", "Enable=true"]);
    assert_eq!(w.mqtt_orders(), ["Topics 1 news/# q0, usp/agent/hub q1!"]);
    let row = format!("{CLIENT}Subscription.1.");
    assert_eq!(w.get(c, &format!("{row}Status")), format!("{row}Status=Subscribing"));
    w.mqtt_event(1, refused(&[]));
    assert_eq!(w.notes(c), [format!("s: ValueChange {row}Status=Subscribed")]);
    w.set(c, &row, &["Enable=false"]);
    assert_eq!(w.mqtt_orders(), ["Topics 1 usp/agent/hub q1!"]);
    assert!(w.mqtt_records().is_empty(), "nobody is bothered with it");
    let bad = w.add(c, &format!("{CLIENT}Subscription."), &["Topic=a#b", "Enable=true"]);
    assert!(bad.contains("7012"), "{bad}");
}

#[test]
fn status_tells_how_the_client_fares() {
    let mut w = World::with(seeds());
    let c = w.controller("self::c");
    w.subscribe(c, "c", "ValueChange", "Device.MQTT.Client.1.Status");
    w.subscribe(c, "m", "ValueChange", "Device.LocalAgent.MTP.*.Status");
    let told = |w: &mut World| {
        let mut notes = w.notes(c);
        notes.sort();
        notes.join(" | ")
    };
    w.mqtt_ready(1);
    assert_eq!(
        told(&mut w),
        format!("c: ValueChange {CLIENT}Status=Connected | m: ValueChange {MTP}Status=Up")
    );
    w.mqtt_down(1, MqttFailure::Lost);
    assert_eq!(
        told(&mut w),
        format!("c: ValueChange {CLIENT}Status=Connecting | m: ValueChange {MTP}Status=Down")
    );
    w.mqtt_down(1, MqttFailure::Unreachable);
    assert_eq!(told(&mut w), format!("c: ValueChange {CLIENT}Status=Error_BrokerUnreachable"));
    w.set(c, CLIENT, &["Enable=false"]);
    assert_eq!(told(&mut w), format!("c: ValueChange {CLIENT}Status=Disabled"));
    assert_eq!(w.mqtt_orders().last().unwrap(), "Stop 1");
    w.set(c, CLIENT, &["Enable=true", "BrokerAddress="]);
    assert_eq!(
        told(&mut w),
        format!("c: ValueChange {CLIENT}Status=Error_Misconfigured | m: ValueChange {MTP}Status=Error")
    );
    assert_eq!(
        w.get(c, &format!("{CLIENT}Stats.ConnectionErrors")),
        format!("{CLIENT}Stats.ConnectionErrors=0")
    );
}

#[test]
fn new_settings_make_the_client_connect_anew() {
    let mut w = World::with(seeds());
    let c = w.controller("self::c");
    w.mqtt_ready(1);
    w.mqtt_orders();
    w.mqtt_records();
    w.set(c, CLIENT, &["BrokerPort=1884", "KeepAliveTime=30"]);
    assert_eq!(w.mqtt_orders(), ["Run 1 127.0.0.1:1884 5.0 as 'given'"]);
    // R-MTP.7
    assert_eq!(
        w.mqtt_records(),
        [
            "1 usp/ctrl/boss (q1 reply usp/agent/hub) Disconnect 7105 the settings of the MQTT client have changed"
        ]
    );
    w.set(c, CLIENT, &["ConnectRetryTime=5"]);
    assert!(w.mqtt_orders().is_empty(), "nothing has changed");
    assert_eq!(w.delete(c, &[CLIENT]), CLIENT);
    assert_eq!(w.mqtt_orders(), ["Stop 1"]);
    assert_eq!(w.get(c, &format!("{MTP}MQTT.Reference")), format!("{MTP}MQTT.Reference="));
}

#[test]
fn a_client_that_is_away_does_not_come_back_to_old_topics() {
    let mut w = World::with(seeds());
    w.mqtt_up(1, connack());
    w.mqtt_event(1, refused(&["usp/agent/hub"]));
    w.mqtt_down(1, MqttFailure::Misconfigured);
    w.mqtt_orders();
    let c = w.controller("self::c");
    w.set(c, MTP, &["MQTT.ResponseTopicConfigured=usp/allowed"]);
    assert_eq!(w.mqtt_orders(), ["Topics 1 usp/allowed q1!"]);
    w.mqtt_ready(1);
    assert_eq!(w.mqtt_orders(), ["Topics 1 usp/allowed q1!"]);
    w.set(c, CLIENT, &["ProtocolVersion=3.1.1"]);
    assert_eq!(w.mqtt_orders(), ["Run 1 127.0.0.1:1883 3.1.1 as 'given'", "Topics 1 usp/allowed/# q1!"]);
}

#[test]
fn several_clients_run_side_by_side() {
    let mut config = seeds();
    config.seed.mqtt.push(client("cloud", "mqtt.example.com", MqttVersion::V311));
    let mut w = World::with(config);
    assert_eq!(w.mqtt_orders().len(), 2);
    w.mqtt_ready(2);
    assert_eq!(w.mqtt_orders(), ["Topics 2 usp/agent/hub/# q1!"]);
    let c = w.controller("self::c");
    assert_eq!(
        w.get(c, "Device.LocalAgent.MTP.*.Status"),
        "Device.LocalAgent.MTP.1.Status=Up\nDevice.LocalAgent.MTP.2.Status=Up\nDevice.LocalAgent.MTP.3.Status=Down\nDevice.LocalAgent.MTP.4.Status=Up"
    );
    w.mqtt_event(9, MqttEvent::Up(connack()));
    assert!(w.mqtt_orders().is_empty(), "there is no such client");
}

#[test]
fn an_mtp_can_be_made_moved_and_deleted() {
    let mut w = World::with(seeds());
    w.mqtt_ready(1);
    let c = w.controller("self::c");
    w.mqtt_orders();
    w.mqtt_records();
    w.set(c, MTP, &["MQTT.ResponseTopicConfigured=usp/new"]);
    assert_eq!(w.mqtt_orders(), ["Topics 1 usp/new q1!"]);
    assert!(w.mqtt_records().is_empty(), "not before it is subscribed to");
    w.mqtt_event(1, refused(&[]));
    assert_eq!(w.mqtt_records(), ["1 usp/ctrl/boss (q1 reply usp/new) Connect V5 usp/new"]);
    assert_eq!(w.delete(c, &[MTP]), MTP);
    assert!(w.mqtt_records()[0].contains("Disconnect 7105"));
    assert_eq!(w.mqtt_orders(), ["Stop 1"], "nothing is left to listen on");
    let made = w.add(
        c,
        "Device.LocalAgent.MTP.",
        &[
            "Enable=true",
            "Protocol=MQTT",
            "MQTT.Reference=Device.MQTT.Client.1",
            "MQTT.ResponseTopicConfigured=usp/again",
            "MQTT.PublishQoS=0",
        ],
    );
    assert!(made.starts_with("Device.LocalAgent.MTP.4."), "{made}");
    assert_eq!(w.mqtt_orders(), ["Run 1 127.0.0.1:1883 5.0 as 'given'", "Topics 1 usp/again q0!"]);
    w.mqtt_ready(1);
    assert_eq!(w.mqtt_orders(), ["Topics 1 usp/again q0!"]);
    for (path, params) in [
        ("Device.LocalAgent.MTP.", &["Protocol=UDS"][..]),
        ("Device.LocalAgent.Controller.1.MTP.", &["Protocol=STOMP"]),
    ] {
        let made = w.add(c, path, params);
        assert!(made.contains("7012"), "{made}");
    }
    for mtp in ["Device.LocalAgent.MTP.1.", "Device.LocalAgent.MTP.2."] {
        let kept = w.set(c, mtp, &["Enable=false"]) + &w.delete(c, &[mtp]);
        assert!(kept.contains("7013") && kept.contains("7024"), "it is the configuration's: {kept}");
    }
}

#[test]
fn force_reconnect_reconnects() {
    let mut w = World::with(seeds());
    let c = w.controller("self::c");
    w.mqtt_ready(1);
    w.mqtt_orders();
    w.mqtt_records();
    w.operate(c, &format!("{CLIENT}ForceReconnect()"), "", &[]);
    // R-MTP.7
    let goodbye = "1 usp/ctrl/boss (q1 reply usp/agent/hub) Disconnect 7105 the MQTT client connects again";
    assert_eq!(w.mqtt_records(), [goodbye]);
    assert_eq!(w.mqtt_orders(), ["Reconnect 1"]);
    w.set(c, CLIENT, &["Enable=false"]);
    let failed = w.operate(c, &format!("{CLIENT}ForceReconnect()"), "", &[]);
    assert!(failed.contains("7022"), "{failed}");
}

#[test]
fn the_end_stops_every_client() {
    // R-MQTT.35, R-MTP.7
    let mut w = World::with(seeds());
    w.mqtt_ready(1);
    w.mqtt_orders();
    w.mqtt_records();
    w.input(usp_core::input::Input::Shutdown);
    let goodbye = "1 usp/ctrl/boss (q1 reply usp/agent/hub) Disconnect 7105 the broker is shutting down";
    assert_eq!(w.mqtt_records(), [goodbye]);
    assert_eq!(w.mqtt_orders(), ["Stop 1"]);
    w.mqtt_ready(1);
    assert!(w.mqtt.is_empty());
}
