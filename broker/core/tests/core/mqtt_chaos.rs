//! MQTT events in any order, from anybody: the core stays sane and bounded.

use std::time::Duration;

use proptest::prelude::*;
use usp_core::mqtt::port::{MqttEvent, MqttFailure, MqttOrder, MqttVersion};
use usp_proto::err_code::ErrCode;
use usp_proto::message;
use usp_proto::record::{Connect, Record};
use usp_proto::usp::request::ReqType;
use usp_proto::usp::{self, response::RespType};
use usp_proto::usp_record::mqtt_connect_record::MqttVersion as WireVersion;

use crate::bench::mqtt::{BOSS, client, connack, endpoint, seeds};
use crate::bench::peer::get;
use crate::bench::{BROKER, World};

/// Who speaks, over which client, and what.
#[derive(Clone, Debug)]
enum Step {
    Up(u32),
    Subscribed(u32, bool),
    Down(u32),
    Say { client: u32, peer: usize, what: usize, reply_to: usize },
    Set(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (1..4u32).prop_map(Step::Up),
        3 => (1..4u32, prop::bool::weighted(0.2)).prop_map(|(c, r)| Step::Subscribed(c, r)),
        1 => (1..4u32).prop_map(Step::Down),
        9 => (1..4u32, 0..5usize, 0..9usize, 0..4usize)
            .prop_map(|(client, peer, what, reply_to)| Step::Say { client, peer, what, reply_to }),
        3 => (0..SETTINGS.len()).prop_map(Step::Set),
        1 => (1..30u64).prop_map(Step::Wait),
    ]
}

const SETTINGS: [(&str, &str); 10] = [
    ("Device.MQTT.Client.1.", "Enable=false"),
    ("Device.MQTT.Client.1.", "Enable=true"),
    ("Device.MQTT.Client.1.", "KeepAliveTime=7"),
    ("Device.MQTT.Client.2.", "X_USPBROKER_Insecure=true"),
    ("Device.MQTT.Client.2.", "X_USPBROKER_Insecure=false"),
    ("Device.LocalAgent.MTP.3.", "Enable=false"),
    ("Device.LocalAgent.MTP.3.", "Enable=true"),
    ("Device.LocalAgent.MTP.3.MQTT.", "ResponseTopicConfigured=usp/b"),
    ("Device.LocalAgent.Controller.1.MTP.1.MQTT.", "Topic=usp/ctrl/x"),
    ("Device.LocalAgent.Controller.1.MTP.1.", "Enable=false"),
];

const PEERS: [&str; 5] = [BOSS, "self::cloud", "self::x", BROKER, "self::lamp"];
const REPLIES: [Option<&str>; 4] = [None, Some("reply/a"), Some("reply/#"), Some("usp/agent/hub")];

fn record(from: &str, what: usize) -> Record {
    let (from, own) = (endpoint(from), endpoint(BROKER));
    let register = || usp::register::RegistrationPath { path: "Device.X_Cloud.".to_owned() };
    let request = match what {
        0 => get(&["Device.DeviceInfo."], 0),
        1 => get(&["Device.X_Lamp.Colour", "Device.X_Cloud."], 0),
        2 => ReqType::Register(usp::Register { allow_partial: false, reg_paths: vec![register()] }),
        3 => ReqType::Deregister(usp::Deregister { paths: vec![String::new()] }),
        4 => ReqType::Notify(usp::Notify { send_resp: true, ..usp::Notify::default() }),
        5 => return Record::disconnect(from, own, ErrCode(0), "bye"),
        6 => {
            let connect = Connect::Mqtt { version: WireVersion::V5, subscribed_topic: "t".to_owned() };
            return Record::connect(from, own, connect);
        }
        7 => {
            let resp = RespType::NotifyResp(usp::NotifyResp::default());
            return Record::message(from, own, message::response("none", resp));
        }
        _ => return Record::message(from, own, message::error("none", ErrCode(7000), "", Vec::new())),
    };
    Record::message(from, own, message::request("m", request))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn events_in_any_order_break_nothing(steps in prop::collection::vec(step(), 1..60)) {
        let mut config = seeds();
        config.seed.mqtt.push(client("cloud", "mqtt.example.com", MqttVersion::V311));
        let mut w = World::with(config);
        let lamp = w.lamp("self::lamp", "Device.X_Lamp.");
        w.manner(lamp, crate::bench::service::Manner::Slow(Duration::from_secs(2)));
        let c = w.controller("self::c");
        w.add(c, "Device.USPServices.Trust.", &["EndpointID=self::cloud", "TargetPaths=Device.X_Cloud."]);
        // What the core may believe of each client.
        let mut subscribed = [false; 4];
        for step in steps {
            w.mqtt.clear();
            match step {
                Step::Up(client) => {
                    subscribed[client as usize] = false;
                    w.mqtt_up(client, connack());
                }
                Step::Subscribed(client, refused) => {
                    let refused = if refused { vec![("usp/agent/hub".to_owned(), "no".to_owned())] } else { Vec::new() };
                    subscribed[client as usize] = true;
                    w.mqtt_event(client, MqttEvent::Subscribed { refused });
                }
                Step::Down(client) => {
                    subscribed[client as usize] = false;
                    w.mqtt_down(client, MqttFailure::Lost);
                }
                Step::Say { client, peer, what, reply_to } => {
                    w.mqtt_record(client, record(PEERS[peer], what), REPLIES[reply_to]);
                }
                Step::Set(which) => {
                    let (object, setting) = SETTINGS[which];
                    w.set(c, object, &[setting]);
                }
                Step::Wait(seconds) => w.wait(seconds),
            }
            for order in &w.mqtt {
                let MqttOrder::Publish { client, publish } = order else { continue };
                prop_assert!(subscribed[*client as usize], "R-MQTT.17: {publish:?}");
                prop_assert!(publish.reply_to.as_deref().is_some_and(|t| t.starts_with("usp/")), "R-MQTT.22");
                prop_assert!(!publish.topic.is_empty() && !publish.topic.contains(['#', '+']), "{publish:?}");
            }
        }
        // A cloud Service that says nothing is asked for its model again and again while it can be reached.
        for client in 0..4 {
            w.mqtt_down(client, MqttFailure::Lost);
        }
        w.wait(120);
        prop_assert_eq!(w.broker.pending(), 0);
        let at_home = w.get(c, "Device.DeviceInfo.ModelName");
        prop_assert_eq!(at_home, "Device.DeviceInfo.ModelName=Hub");
        let lamp = w.begin(c, get(&["Device.X_Lamp.Colour"], 0));
        w.wait(5);
        prop_assert!(w.answer(c, &lamp).is_some());
        prop_assert!(w.closed.is_empty(), "nobody over MQTT ends another's connection: {:?}", w.closed);
    }
}
