//! What devices say and are sent, as their documents give it.

mod kept;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use usp_mapping::mapping::{
    Capability, Class, Device, DeviceAddress, Event, EventArg, Mapping, MqttAvailability, MqttOptions,
    MqttRead, MqttSend, MqttWrite, Poll, Protocol, ReadBinding, ReadPoint, Trigger, WriteBinding, WritePoint,
};
use usp_mapping::payload::{Pick, Pointer, Put, PutForm};
use usp_mapping::port::{DeviceFault, DeviceId, Freshness, PointId, Reading};
use usp_mapping::transform::Transform;
use usp_mapping::value::Value;

use super::board::{Board, Reply, Said};
use super::model::{Answer, MqttModel, filters};
use crate::bus::fake::{self, number};
use crate::bus::mailbox::Mailbox;
use crate::bus::queue::Target;
use crate::bus::{Heard, Model, WriteStart};

fn json(pointer: &str) -> Pick {
    Pick::Json(Pointer::parse(pointer).unwrap())
}

fn read(topic: &str, pick: Pick, get: Option<MqttSend>) -> ReadBinding {
    let read = MqttRead { topic: topic.to_owned(), pick, get };
    ReadBinding::single(ReadPoint::Mqtt(read), Transform::default(), Poll::OnDemand)
}

/// Brightness of a Zigbee2MQTT lamp: a number.
fn brightness() -> Capability {
    let put = Put::new(PutForm::Json(Pointer::parse("/brightness").unwrap()));
    let write = MqttWrite { topic: "~/set".to_owned(), put, qos: 1, retain: false };
    let write = WriteBinding { point: WritePoint::Mqtt(write), ..fake::verified(1000).write.unwrap() };
    let get = MqttSend {
        topic: "~/get".to_owned(),
        put: Put::new(PutForm::Words("{\"brightness\":\"\"}".to_owned())),
    };
    Capability {
        read: Some(read("~", json("/brightness"), Some(get))),
        write: Some(write),
        ..fake::on_demand()
    }
}

/// What a button did.
fn action() -> Event {
    Event {
        id: "X_ACME_Action".to_owned(),
        name: "X_ACME_Action".to_owned(),
        node: None,
        description: String::new(),
        class: Class::EnumSensor,
        read: read("~", json("/action"), None),
        trigger: Trigger::Change,
        args: vec![("Value".to_owned(), EventArg::Own)],
    }
}

fn availability(topic: &str) -> MqttAvailability {
    MqttAvailability {
        topic: topic.to_owned(),
        pick: json("/state"),
        online: vec!["online".to_owned()],
        offline: vec!["offline".to_owned()],
    }
}

fn device(availability: Vec<MqttAvailability>) -> Device {
    let power = Capability { read: Some(read("~", json("/power"), None)), ..fake::on_demand() };
    let options = MqttOptions { availability, qos: 1, timeout: Duration::from_secs(2) };
    let mapping = Mapping {
        protocol: Protocol::Mqtt(options),
        events: vec![action()],
        ..fake::mapping(&[brightness(), power])
    };
    Device {
        id: DeviceId("lamp".into()),
        name: "Lamp".to_owned(),
        mapping: Arc::new(mapping),
        bus: "bus".to_owned(),
        address: DeviceAddress::MqttTopic("zigbee2mqtt/lamp".to_owned()),
    }
}

fn said(topic: &str, body: &str) -> Said {
    Said { topic: topic.into(), body: Bytes::copy_from_slice(body.as_bytes()), kept: false }
}

fn kept(topic: &str, body: &str) -> Said {
    Said { kept: true, ..said(topic, body) }
}

fn hear(model: &mut MqttModel, said: Said) -> Heard {
    model.hear(Instant::now(), said)
}

const LAMP: &str = "zigbee2mqtt/lamp";

#[test]
fn a_message_brings_what_it_has_and_nothing_else() {
    let mut model = MqttModel::new(&device(Vec::new()));
    let heard = hear(&mut model, said(LAMP, r#"{"brightness":254,"linkquality":90}"#));
    assert_eq!(heard.readings, [Reading::now(PointId(0), Ok(number(254)))]);
    assert!(heard.live && heard.presence.is_none());
    let heard = hear(&mut model, said(LAMP, r#"{"power":7.5}"#));
    assert_eq!(heard.readings, [Reading::now(PointId(1), Ok(Value::Number("7.5".parse().unwrap())))]);
    let other = hear(&mut model, said("zigbee2mqtt/other", r#"{"power":1}"#));
    assert!(other.readings.is_empty() && !other.live);
    assert_eq!(model.known(Instant::now(), PointId(0)).unwrap().result, Ok(number(254)));
}

#[test]
fn garbage_is_no_value() {
    let mut model = MqttModel::new(&device(Vec::new()));
    for body in
        ["", "{", "\u{fffd}", r#"{"brightness":"much"}"#, r#"{"brightness":{}}"#, r#"{"brightness":null}"#]
    {
        for said in [said(LAMP, body), kept(LAMP, body)] {
            let heard = hear(&mut model, said);
            assert!(heard.readings.iter().all(|reading| reading.result.is_err()), "{body}: {heard:?}");
        }
    }
}

#[test]
fn events_happen_when_they_are_said_and_not_when_they_were_kept() {
    let mut model = MqttModel::new(&device(Vec::new()));
    let body = r#"{"action":"single","power":1}"#;
    let event = Reading::now(PointId(2), Ok(Value::Text("single".to_owned())));
    assert!(hear(&mut model, said(LAMP, body)).readings.contains(&event));
    assert!(hear(&mut model, said(LAMP, body)).readings.contains(&event), "twice");
    let heard = hear(&mut MqttModel::new(&device(Vec::new())), kept(LAMP, body));
    assert_eq!(heard.readings, [Reading::kept(PointId(1), Ok(number(1)))]);
    assert!(!heard.live);
}

#[test]
fn whoever_keeps_count_says_whether_it_is_there() {
    let topics = ["~/availability", "zigbee2mqtt/bridge/state"].map(availability);
    let mut model = MqttModel::new(&device(topics.to_vec()));
    let (own, bridge) = ("zigbee2mqtt/lamp/availability", "zigbee2mqtt/bridge/state");
    let (online, offline) = (r#"{"state":"online"}"#, r#"{"state":"offline"}"#);
    assert_eq!(hear(&mut model, kept(own, online)).presence, None, "the bridge has said nothing yet");
    assert_eq!(hear(&mut model, kept(bridge, online)).presence, Some(Ok(())));
    assert_eq!(hear(&mut model, said(bridge, "nonsense")).presence, None);
    assert_eq!(
        hear(&mut model, said(bridge, offline)).presence,
        Some(Err("it is said to be away on zigbee2mqtt/bridge/state".to_owned()))
    );
    assert!(hear(&mut model, said(own, online)).presence.is_some_and(|there| there.is_err()));
    assert_eq!(hear(&mut model, said(bridge, online)).presence, Some(Ok(())));
    assert!(!model.is_taciturn());
}

#[test]
fn a_write_is_what_the_device_wants_and_shows_as_what_it_says() {
    let model = MqttModel::new(&device(Vec::new()));
    let target = Target::Point(PointId(0));
    let Ok(WriteStart::Send(ask)) = model.write(target, &number(127)) else { panic!("no write") };
    assert_eq!((ask.publication.topic.as_str(), ask.publication.qos), ("zigbee2mqtt/lamp/set", 1));
    assert_eq!(&ask.publication.body[..], br#"{"brightness":127}"#);
    assert!(model.shows(PointId(0), PointId(0), &number(127), &number(127)));
    assert!(!model.shows(PointId(0), PointId(0), &number(127), &number(128)));
    assert_eq!(model.acknowledge(&ask, Answer::Taken), Ok(()));
    let refused = model.acknowledge(&ask, Answer::Refused("not authorized".to_owned()));
    assert_eq!(refused, Err(DeviceFault::Refused("not authorized".to_owned())));
    assert!(model.write(Target::Point(PointId(1)), &number(1)).is_err());
}

#[test]
fn what_can_be_asked_for_is_and_the_rest_is_what_was_said_last() {
    let mut model = MqttModel::new(&device(Vec::new()));
    let asks = model.plan(Instant::now(), &[PointId(0), PointId(1)]);
    let [ask] = &asks[..] else { panic!("{asks:?}") };
    assert_eq!(ask.publication.topic, "zigbee2mqtt/lamp/get");
    assert_eq!(model.points(ask), [PointId(0)]);
    let understood = model.understand(Instant::now(), ask, Answer::Said(said(LAMP, r#"{"brightness":3}"#)));
    assert_eq!(understood.readings, [Reading::now(PointId(0), Ok(number(3)))]);
    let understood = model.understand(Instant::now(), ask, Answer::Said(said(LAMP, "{}")));
    assert!(understood.readings[0].result.is_err());
    let nothing = model.known(Instant::now(), PointId(1)).unwrap();
    assert!(matches!(nothing.result, Err(DeviceFault::Unreachable(_))) && !nothing.freshness.contact);
    let start = Instant::now();
    model.hear(start, said(LAMP, r#"{"power":5}"#));
    let known = model.known(start + Duration::from_secs(9), PointId(1));
    let freshness = Freshness { contact: false, age: Some(Duration::from_secs(9)) };
    assert_eq!(known, Some(Reading { point: PointId(1), result: Ok(number(5)), freshness }));
}

#[tokio::test]
async fn everybody_hears_what_they_listen_to_and_all_of_it_is_subscribed_to() {
    let (board, _orders) = Board::new(Arc::default());
    let device = device(vec![availability("~/availability")]);
    let letters = Arc::new(Mailbox::new(Arc::default()));
    board.listen(&device.id, filters(&device), &letters);
    let wanted = board.wanted();
    let names: Vec<String> = wanted.borrow().filters.keys().cloned().collect();
    assert_eq!(names, ["zigbee2mqtt/lamp", "zigbee2mqtt/lamp/availability"]);
    board.hand_out(&said("zigbee2mqtt/other", "1"));
    board.hand_out(&said(LAMP, "2"));
    assert_eq!(letters.take().await, said(LAMP, "2"));
    let asking = Arc::new(Mailbox::new(Arc::default()));
    board.ask([(LAMP.to_owned(), 0)].into(), &asking, &letters);
    board.hand_out(&said(LAMP, "3"));
    let Reply { said: reply, at } = asking.take().await;
    board.hand_out(&said(LAMP, "4"));
    assert_eq!((letters.take_before(at), reply), (Some(said(LAMP, "3")), said(LAMP, "3")));
    assert_eq!(letters.take_before(at), None, "it came after the answer");
    assert_eq!(letters.take().await, said(LAMP, "4"));
    assert!(!wanted.has_changed().unwrap(), "it is listened to anyway");
    board.has_asked(&asking);
    board.leave(&device.id, &letters);
    assert!(wanted.borrow().filters.is_empty());
}
