//! What a server has kept, and values of several topics.

use usp_mapping::mapping::ReadPart;

use super::*;

const S: Duration = Duration::from_secs(1);

/// A thermometer whose two places are said on topics of their own.
fn pair() -> Device {
    let part = |topic: &str| {
        let read = MqttRead { topic: topic.to_owned(), pick: Pick::Text, get: None };
        ReadPart { point: ReadPoint::Mqtt(read), transform: Transform::default(), exponent: None }
    };
    let read = ReadBinding { parts: vec![part("~/in"), part("~/out")], poll: Poll::Once };
    let both = Capability { class: Class::MultiLevelSensor, read: Some(read), ..fake::on_demand() };
    let mut device = device(Vec::new());
    let protocol = device.mapping.protocol.clone();
    device.mapping = Arc::new(Mapping { protocol, ..fake::mapping(&[both]) });
    device
}

const IN: &str = "zigbee2mqtt/lamp/in";
const OUT: &str = "zigbee2mqtt/lamp/out";

/// Both values, of which the older was said so long ago.
fn both(values: [i64; 2], contact: bool, age: Option<Duration>) -> Reading {
    let result = Ok(Value::Numbers(values.map(Into::into).to_vec()));
    Reading { point: PointId(0), result, freshness: Freshness { contact, age } }
}

#[test]
fn a_value_of_several_topics_is_as_old_as_the_oldest() {
    let (mut model, start) = (MqttModel::new(&pair()), Instant::now());
    assert!(model.hear(start, said(IN, "20")).readings.is_empty(), "half of it");
    let heard = model.hear(start + 5 * S, said(OUT, "3"));
    assert_eq!(heard.readings, [both([20, 3], true, Some(5 * S))]);
    let heard = model.hear(start + 60 * S, said(OUT, "4"));
    assert_eq!(heard.readings, [both([20, 4], true, Some(60 * S))]);
    assert_eq!(model.known(start + 70 * S, PointId(0)), Some(both([20, 4], false, Some(70 * S))));
}

#[test]
fn a_value_with_a_kept_part_may_be_of_any_age() {
    let (mut model, start) = (MqttModel::new(&pair()), Instant::now());
    model.hear(start, kept(IN, "20"));
    let heard = model.hear(start, said(OUT, "3"));
    assert!(heard.live, "the device was heard");
    assert_eq!(heard.readings, [both([20, 3], true, None)]);
    let heard = model.hear(start, said(IN, "21"));
    assert_eq!(heard.readings, [both([21, 3], true, Some(Duration::ZERO))]);
}

#[test]
fn what_was_said_over_a_former_connection_is_of_any_age() {
    let (mut model, start) = (MqttModel::new(&pair()), Instant::now());
    model.hear(start, said(IN, "20"));
    model.hear(start, said(OUT, "3"));
    model.reconnected();
    assert_eq!(model.known(start, PointId(0)), Some(both([20, 3], false, None)));
    assert_eq!(model.hear(start, said(OUT, "4")).readings, [both([20, 4], true, None)]);
    // It may have been said meanwhile.
    assert_eq!(model.hear(start, kept(IN, "22")).readings, [both([22, 4], false, None)]);
}

#[test]
fn what_was_kept_never_follows_what_was_heard() {
    let mut model = MqttModel::new(&device(Vec::new()));
    hear(&mut model, said(LAMP, r#"{"brightness":8}"#));
    // Somebody else begins to listen, and the server gives what it has to all.
    let heard = hear(&mut model, kept(LAMP, r#"{"brightness":3,"power":1}"#));
    assert_eq!(heard.readings, [Reading::kept(PointId(1), Ok(number(1)))]);
    assert_eq!(model.known(Instant::now(), PointId(0)).unwrap().result, Ok(number(8)));
    let mut pair = MqttModel::new(&pair());
    hear(&mut pair, said(IN, "20"));
    hear(&mut pair, said(OUT, "3"));
    assert!(hear(&mut pair, kept(IN, "1")).readings.is_empty());
}

#[test]
fn a_kept_word_about_presence_does_not_follow_a_live_one() {
    let topic = "zigbee2mqtt/lamp/availability";
    let mut model = MqttModel::new(&device(vec![availability("~/availability")]));
    hear(&mut model, kept(topic, r#"{"state":"online"}"#));
    assert!(hear(&mut model, said(topic, r#"{"state":"offline"}"#)).presence.unwrap().is_err());
    assert_eq!(hear(&mut model, kept(topic, r#"{"state":"online"}"#)).presence, None);
    model.reconnected();
    assert_eq!(hear(&mut model, kept(topic, r#"{"state":"online"}"#)).presence, Some(Ok(())));
}

#[test]
fn a_refusal_of_the_server_is_no_contact_with_the_device() {
    let mut model = MqttModel::new(&device(Vec::new()));
    let [ask] = &model.plan(Instant::now(), &[PointId(0)])[..] else { panic!("nothing is asked") };
    let refused = Answer::Refused("not authorized".to_owned());
    let understood = model.understand(Instant::now(), ask, refused);
    assert!(understood.readings.iter().all(|reading| !reading.freshness.contact), "{understood:?}");
}

#[test]
fn a_counter_is_compared_with_what_was_said_live() {
    let read = read("~/total", Pick::Text, None);
    let meter =
        Capability { class: Class::LevelSensor, monotonic: true, read: Some(read), ..fake::on_demand() };
    let mut device = device(Vec::new());
    let protocol = device.mapping.protocol.clone();
    device.mapping = Arc::new(Mapping { protocol, ..fake::mapping(&[meter]) });
    let (mut model, start) = (MqttModel::new(&device), Instant::now());
    let mut total = |said: fn(&str, &str) -> Said, total: &str| {
        let heard = model.hear(start, said("zigbee2mqtt/lamp/total", total));
        heard.readings.into_iter().next().and_then(|reading| reading.result.ok())
    };
    assert_eq!(total(kept, "5000"), Some(number(5000)), "of a meter that was exchanged since");
    assert_eq!(total(said, "1000"), Some(number(1000)));
    assert_eq!(total(said, "900"), None);
    assert_eq!(total(said, "1001"), Some(number(1001)));
}
