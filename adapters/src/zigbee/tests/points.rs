//! The model alone: questions, answers, what is heard.

use std::time::{Duration, Instant};

use usp_mapping::diagnostic::SourceFile;
use usp_mapping::mapping::{Device, DeviceAddress, Ieee, Site};
use usp_mapping::port::{DeviceFault, PointId};
use usp_mapping::site::compile_site;
use usp_mapping::value::Value;
use usp_mapping::zigbee::zcl::Frame;

use crate::bus::queue::Target;
use crate::bus::{Heard, Model, WriteStart};
use crate::zigbee::model::{Answer, Ask, ZigbeeModel, clears, turn};
use crate::zigbee::ncp::Loss;
use crate::zigbee::word::Word;

const METER: &str = "uspmap: 1\nprofile: acme.meter\nversion: 1.0.0\ndevice: {type: PowerStrip}\n\
    zigbee: {manufacturer: ACME, model: M1}\ncapabilities:\n\
    \x20 power: {class: LevelSensor, type: Power, unit: W, read: {cluster: electrical_measurement, attribute: active_power}}\n\
    \x20 voltage: {class: LevelSensor, type: X_ACME_Voltage, unit: V, read: {cluster: electrical_measurement, attribute: rms_voltage}}\n";

pub(in crate::zigbee) const SENSOR: &str = "uspmap: 1\nprofile: acme.motion\nversion: 1.0.0\ndevice: {type: Sensor}\n\
    zigbee: {manufacturer: ACME, model: S1, sleepy: true}\ncapabilities:\n\
    \x20 motion: {class: BinarySensor, type: MotionDetected, read: {cluster: occupancy, attribute: occupancy, bits: 0, clears: 90s}}\n";

const LOCK: &str = "uspmap: 1\nprofile: acme.lock\nversion: 1.0.0\ndevice: {type: Lock}\n\
    zigbee: {manufacturer: ACME, model: L1}\ncapabilities:\n\
    \x20 lock: {class: BinaryControl, type: Locked, read: {cluster: door_lock, attribute: lock_state, map: {1: true, 2: false, 0: false}}, write: {map: {1: true, 2: false}}}\n";

pub(in crate::zigbee) fn site(mapping: &str) -> Site {
    let site = "site: 1\nbuses: {mesh: {zigbee_tcp: \"127.0.0.1:1\", ncp: znp}}\ndevices: {d: {file: m.yaml, bus: mesh, ieee: \"0x00158d0000000001\"}}\n";
    let (site, found) =
        compile_site(&SourceFile::new("site.yaml", site), &|_| Ok(SourceFile::new("m.yaml", mapping)));
    site.unwrap_or_else(|| panic!("{found:?}"))
}

fn device(mapping: &str) -> Device {
    site(mapping).devices.remove(0)
}

fn said(bytes: &[u8]) -> Answer {
    Answer::Said(Frame::parse(bytes).unwrap())
}

fn word(cluster: u16, bytes: &[u8]) -> Word {
    Word::frame(1, cluster, Frame::parse(bytes).unwrap())
}

/// One question for both, of which one is refused: the other is read, and the one rests for a while.
#[test]
fn what_a_device_does_not_have_costs_nothing_else() {
    let (mut model, now) = (ZigbeeModel::new(&device(METER)), Instant::now());
    let (power, voltage) = (PointId(0), PointId(1));
    let asks = model.plan(now, &[power, voltage]);
    assert_eq!(asks.len(), 1);
    // ActivePower 0x050b is unsupported, RMSVoltage 0x0505 is 230.
    let answer = said(&[0x18, 0, 0x01, 0x0b, 0x05, 0x86, 0x05, 0x05, 0x00, 0x21, 230, 0]);
    let understood = model.understand(now, &asks[0], answer);
    assert!(understood.again.is_empty());
    let result = |point| understood.readings.iter().find(|it| it.point == point).unwrap().result.clone();
    assert!(matches!(result(power), Err(DeviceFault::Refused(_))));
    assert_eq!(result(voltage), Ok(Value::Number(230.into())));
    assert!(model.rests(now, power) && !model.rests(now, voltage));
    assert!(!model.rests(now + Duration::from_secs(601), power));
}

/// What did not fit into the answer is asked for by itself, once.
#[test]
fn what_an_answer_leaves_out_is_asked_for_alone() {
    let (mut model, now) = (ZigbeeModel::new(&device(METER)), Instant::now());
    let asks: Vec<Ask> = model.plan(now, &[PointId(0), PointId(1)]);
    let answer = said(&[0x18, 0, 0x01, 0x0b, 0x05, 0x00, 0x29, 60, 0]);
    let understood = model.understand(now, &asks[0], answer);
    assert_eq!((understood.readings.len(), understood.again.len()), (1, 1));
    let nothing = said(&[0x18, 0, 0x01]);
    let understood = model.understand(now, &understood.again[0], nothing);
    assert!(understood.again.is_empty(), "and not for ever");
    assert!(matches!(understood.readings[0].result, Err(DeviceFault::Garbled(_))));
}

#[test]
fn motion_that_is_not_said_again_is_over() {
    let (device, now) = (device(SENSOR), Instant::now());
    let mut model = ZigbeeModel::new(&device);
    let report = [0x18, 1, 0x0a, 0, 0, 0x18, 1];
    let Heard { readings, live, .. } = model.hear(now, word(0x0406, &report));
    assert_eq!((live, readings[0].result.clone()), (true, Ok(Value::Bool(true))));
    let frame = Frame::parse(&report).unwrap();
    let ninety = Some(Duration::from_secs(90));
    assert_eq!(clears(&device.mapping, 1, 0x0406, &frame), [(PointId(0), ninety)]);
    let clear = Frame::parse(&[0x18, 2, 0x0a, 0, 0, 0x18, 0]).unwrap();
    assert_eq!(clears(&device.mapping, 1, 0x0406, &clear), [(PointId(0), None)]);
    let Heard { readings, live, presence, .. } = model.hear(now, Word::Over(PointId(0)));
    assert_eq!((live, presence, readings[0].result.clone()), (false, None, Ok(Value::Bool(false))));
}

#[test]
fn one_that_sleeps_is_not_asked_for_what_it_tells() {
    let (mut model, now) = (ZigbeeModel::new(&device(SENSOR)), Instant::now());
    assert!(model.plan(now, &[PointId(0)]).is_empty());
    let unknown = model.known(now, PointId(0)).unwrap();
    assert!(matches!(unknown.result, Err(DeviceFault::Unreachable(_))));
    model.hear(now, word(0x0406, &[0x18, 1, 0x0a, 0, 0, 0x18, 1]));
    assert_eq!(model.plan(now, &[PointId(0)]).len(), 1, "it is awake");
    let later = now + Duration::from_secs(60);
    assert!(model.plan(later, &[PointId(0)]).is_empty());
    let known = model.known(later, PointId(0)).unwrap();
    assert_eq!((known.result, known.freshness.age), (Ok(Value::Bool(true)), Some(Duration::from_secs(60))));
}

/// A lock answers with a command of its own, whose first octet says what became of it.
#[test]
fn a_lock_says_whether_it_did_it() {
    let model = ZigbeeModel::new(&device(LOCK));
    let WriteStart::Send(ask) = model.write(Target::Point(PointId(0)), &Value::Bool(true)).unwrap() else {
        panic!();
    };
    assert_eq!(ask.question.bytes, [0x01, 0, 0x00]);
    let said = |bytes| Answer::of(&ask.question, Frame::parse(bytes).unwrap());
    assert_eq!(model.acknowledge(&ask, said(&[0x19, 0, 0x00, 0x00])), Ok(()));
    let refused = model.acknowledge(&ask, said(&[0x19, 0, 0x00, 0x01]));
    assert!(matches!(refused, Err(DeviceFault::Refused(_))), "{refused:?}");
    assert!(model.refuses(&said(&[0x19, 0, 0x00, 0x01])) && !model.refuses(&said(&[0x19, 0, 0x00, 0x00])));
    let unknown = model.acknowledge(&ask, said(&[0x18, 0, 0x0b, 0x00, 0x81]));
    assert!(matches!(unknown, Err(DeviceFault::Refused(_))), "{unknown:?}");
    assert_eq!(model.acknowledge(&ask, Answer::Expired), Err(DeviceFault::Expired));
}

/// Forty plugs of one maker after a power cut: no second has many of them. One that sleeps is read at once.
#[test]
fn whoever_comes_back_at_the_same_time_is_read_at_another() {
    let plug = device(METER);
    let at =
        |n: u64| Device { address: DeviceAddress::Zigbee(Ieee(0x0015_8d00_01a2_0000 + n)), ..plug.clone() };
    let mut turns: Vec<_> = (0..40).map(|n| turn(&at(n))).collect();
    turns.sort_unstable();
    assert!(turns.iter().all(|turn| *turn <= Duration::from_secs(10)));
    let second = Duration::from_secs(1);
    let in_a_second =
        |from: Duration| turns.iter().filter(|turn| (from..from + second).contains(*turn)).count();
    assert!(turns.iter().all(|from| in_a_second(*from) <= 8), "{turns:?}");
    assert_eq!(turn(&device(SENSOR)), Duration::ZERO);
}

/// The answer to a write that waited comes while the device is awake, or not: the command line gives up after ten seconds.
#[test]
fn what_a_sleeping_device_has_received_it_answers_at_once() {
    let timeouts = |told: &str| {
        let model =
            ZigbeeModel::new(&device(&LOCK.replace("model: L1", &format!("model: L1, sleepy: true{told}"))));
        let locked = Value::Bool(true);
        let WriteStart::Send(mut ask) = model.write(Target::Point(PointId(0)), &locked).unwrap() else {
            panic!()
        };
        let before = ask.timeout.as_secs();
        model.hold(&mut ask, Instant::now());
        (before, ask.timeout.as_secs())
    };
    assert_eq!((timeouts(""), timeouts(", timeout: 8s")), ((10, 3), (8, 8)));
}

/// One attribute of a plug that is awake is only ever reported: nobody can ask it for that after a loss.
#[test]
fn what_cannot_be_asked_is_in_doubt_though_the_device_is_awake() {
    let told = "\x20 cell: {class: LevelSensor, type: X_ACME_Cell, unit: V, read: {cluster: basic, attribute: 0xff01, manufacturer_code: 0x115f, tag: 1, as: uint16, answers: false, scale: 0.001}}\n";
    let lost = |mapping: &str| {
        let heard = ZigbeeModel::new(&device(mapping)).hear(Instant::now(), Word::Lost(Loss::Dropped));
        assert_eq!((heard.polls_in, heard.live), (None, false));
        heard.lost.unwrap()
    };
    let (why, points) = lost(&format!("{METER}{told}"));
    assert_eq!((points, why.contains("no room")), (vec![PointId(2)], true), "{why}");
    assert_eq!((lost(METER).1, lost(SENSOR).1), (vec![], vec![PointId(0)]));
}
