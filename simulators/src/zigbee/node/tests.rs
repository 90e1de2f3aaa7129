use std::time::Duration;

use super::super::bytes::Out;
use super::super::ieee::Ieee;
use super::super::zcl::{Frame, general, kind, status};
use super::*;

const HUB: Ieee = Ieee(9);

fn device(kind: Kind) -> Node {
    let mut node = Node::new(kind, Ieee(1)).still();
    (node.address, node.coordinator) = (0x1234, Some(HUB));
    node
}

fn heard(cluster: u16, frame: &Frame) -> Heard {
    let payload = frame.write();
    Heard { profile: HOME, cluster, from_endpoint: 1, endpoint: 1, broadcast: false, payload }
}

fn frame(of_cluster: bool, command: u8, payload: Vec<u8>) -> Frame {
    Frame { of_cluster, manufacturer: None, from_server: false, quiet: false, sequence: 5, command, payload }
}

/// What a device answers, at this time.
fn ask_at(node: &mut Node, at: u64, cluster: u16, frame: &Frame) -> (u8, Vec<u8>) {
    let said = node.hear(Duration::from_millis(at), &heard(cluster, frame)).said;
    let answer = Frame::read(&said.first().unwrap().payload).unwrap();
    assert!(answer.from_server && answer.sequence == 5);
    (answer.command, answer.payload)
}

fn ask(node: &mut Node, cluster: u16, frame: &Frame) -> (u8, Vec<u8>) {
    ask_at(node, 0, cluster, frame)
}

#[test]
fn reads_and_writes_get_the_status_that_they_deserve() {
    let mut plug = device(Kind::Plug);
    let read = frame(false, general::READ, Out::new().u16(0).u16(0x4000).done());
    let answer = Out::new().u16(0).u8(0).u8(kind::BOOL).u8(1).u16(0x4000).u8(status::UNSUPPORTED_ATTRIBUTE);
    assert_eq!(ask(&mut plug, 0x0006, &read), (general::READ_RESPONSE, answer.done()));
    let write = |id: u16, kind: u8, value: u8| {
        frame(false, general::WRITE, Out::new().u16(id).u8(kind).u8(value).done())
    };
    let failed = |code: u8, id: u16| (general::WRITE_RESPONSE, Out::new().u8(code).u16(id).done());
    assert_eq!(ask(&mut plug, 0x0006, &write(0x4003, kind::ENUM8, 1)), (general::WRITE_RESPONSE, vec![0]));
    assert_eq!(ask(&mut plug, 0x0006, &write(0x4003, kind::U8, 1)), failed(status::INVALID_TYPE, 0x4003));
    assert_eq!(ask(&mut plug, 0x0006, &write(0, kind::BOOL, 0)), failed(status::READ_ONLY, 0));
    assert_eq!(
        ask(&mut plug, 0x0006, &write(0x77, kind::BOOL, 0)),
        failed(status::UNSUPPORTED_ATTRIBUTE, 0x77)
    );
    let unknown = ask(&mut plug, 0x0101, &read);
    assert_eq!(unknown, (general::DEFAULT_RESPONSE, vec![general::READ, status::UNSUPPORTED_CLUSTER]));
    let short = frame(false, general::READ, vec![0]);
    assert_eq!(ask(&mut plug, 0x0006, &short), (general::DEFAULT_RESPONSE, vec![0, status::MALFORMED]));
}

#[test]
fn commands_do_what_they_say_and_faults_do_not() {
    let mut plug = device(Kind::Plug);
    let off = frame(true, 0x00, Vec::new());
    assert_eq!(ask(&mut plug, 0x0006, &off), (general::DEFAULT_RESPONSE, vec![0, 0]));
    assert_eq!(plug.get("on").unwrap(), "false");
    plug.faults.start(ZigbeeFault::Frozen.into());
    let on = frame(true, 0x01, Vec::new());
    assert_eq!(ask(&mut plug, 0x0006, &on), (general::DEFAULT_RESPONSE, vec![1, 0]));
    assert_eq!(plug.get("on").unwrap(), "false");
    plug.faults.start(ZigbeeFault::Refuse.into());
    assert_eq!(ask(&mut plug, 0x0006, &on), (general::DEFAULT_RESPONSE, vec![1, status::FAILURE]));
    plug.faults.clear();
    let dance = frame(true, 0x33, Vec::new());
    let unknown = (general::DEFAULT_RESPONSE, vec![0x33, status::UNSUPPORTED_COMMAND]);
    assert_eq!(ask(&mut plug, 0x0006, &dance), unknown);
    // Who wants no default response gets none, unless something is wrong.
    let quiet = Frame { quiet: true, ..on };
    assert!(plug.hear(Duration::ZERO, &heard(0x0006, &quiet)).said.is_empty());
    assert_eq!(plug.get("on").unwrap(), "true");
}

/// What follows from a command is not done either.
#[test]
fn a_frozen_plug_goes_on_taking_power() {
    let mut plug = device(Kind::Plug);
    plug.still = false;
    let power = |plug: &mut Node| {
        (0..600).for_each(|_| plug.measure(Duration::from_secs(1)));
        plug.get("power").unwrap().parse::<f64>().unwrap()
    };
    ask(&mut plug, 0x0006, &frame(true, 0x01, Vec::new()));
    let on = power(&mut plug);
    plug.faults.start(ZigbeeFault::Frozen.into());
    ask(&mut plug, 0x0006, &frame(true, 0x00, Vec::new()));
    let frozen = power(&mut plug);
    assert!(frozen > on / 2.0, "{on} W, and {frozen} W of one that is on still");
    plug.faults.clear();
    ask(&mut plug, 0x0006, &frame(true, 0x00, Vec::new()));
    let off = power(&mut plug);
    assert!(off < on / 2.0, "{on} W, and {off} W of one that is off");
}

#[test]
fn groups_and_scenes_say_what_became_of_them() {
    let mut light = device(Kind::Light);
    let mut to = |cluster: u16, command: u8, fields: &[u8]| {
        ask(&mut light, cluster, &frame(true, command, fields.to_vec()))
    };
    let default = |command: u8, code: u8| (general::DEFAULT_RESPONSE, vec![command, code]);
    assert_eq!(to(0x0004, 0x03, &[7, 0]), (0x03, vec![status::NOT_FOUND, 7, 0]));
    assert_eq!(to(0x0005, 0x04, &[7, 0, 1]), (0x04, vec![status::INVALID_FIELD, 7, 0, 1]));
    for group in 1..=16 {
        assert_eq!(to(0x0004, 0x00, &[group, 0, 0]), (0x00, vec![status::SUCCESS, group, 0]));
    }
    assert_eq!(to(0x0004, 0x00, &[17, 0, 0]), (0x00, vec![status::NO_SPACE, 17, 0]));
    assert_eq!(to(0x0004, 0x00, &[16, 0, 0]), (0x00, vec![status::SUCCESS, 16, 0]), "it is there");
    assert_eq!(to(0x0006, 0x01, &[]), default(0x01, status::SUCCESS));
    assert_eq!(to(0x0005, 0x04, &[7, 0, 1]), (0x04, vec![status::SUCCESS, 7, 0, 1]));
    assert_eq!(to(0x0006, 0x00, &[]), default(0x00, status::SUCCESS));
    assert_eq!(to(0x0005, 0x05, &[7, 0, 2]), default(0x05, status::NOT_FOUND));
    assert_eq!(to(0x0005, 0x05, &[7, 0, 1]), default(0x05, status::SUCCESS));
    assert_eq!(to(0x0005, 0x02, &[7, 0, 2]), (0x02, vec![status::NOT_FOUND, 7, 0, 2]));
    assert_eq!(to(0x0005, 0x03, &[7, 0]), (0x03, vec![status::SUCCESS, 7, 0]));
    assert_eq!(to(0x0004, 0x04, &[]), default(0x04, status::SUCCESS));
    assert_eq!(to(0x0004, 0x02, &[0]), (0x02, vec![16, 0]));
    // Only who identifies itself says for how long.
    assert_eq!(to(0x0003, 0x01, &[]), default(0x01, status::SUCCESS));
    assert_eq!(light.get("on").unwrap(), "true", "the scene was recalled");
    light.faults.start(ZigbeeFault::Refuse.into());
    let mut to = |cluster: u16, command: u8, fields: &[u8]| {
        ask(&mut light, cluster, &frame(true, command, fields.to_vec()))
    };
    assert_eq!(to(0x0004, 0x00, &[1, 0, 0]), (0x00, vec![status::FAILURE, 1, 0]));
    assert_eq!(to(0x0005, 0x04, &[1, 0, 2]), (0x04, vec![status::FAILURE, 1, 0, 2]));
    assert_eq!(to(0x0005, 0x05, &[1, 0, 2]), default(0x05, status::FAILURE));
}

#[test]
fn a_level_takes_its_time_and_a_bolt_too() {
    let mut light = device(Kind::Light);
    let dim = frame(true, 0x04, Out::new().u8(100).u16(10).done());
    ask(&mut light, 0x0008, &dim);
    assert_eq!(light.get("on").unwrap(), "true");
    light.run(Duration::from_millis(500));
    assert_eq!(light.get("level").unwrap(), "177");
    light.run(Duration::from_millis(1000));
    assert_eq!(light.get("level").unwrap(), "100");
    let off = frame(true, 0x04, Out::new().u8(0).u16(0).done());
    ask_at(&mut light, 1000, 0x0008, &off);
    assert_eq!(light.get("on").unwrap(), "false");

    let mut lock = device(Kind::Lock);
    assert_eq!(ask(&mut lock, 0x0101, &frame(true, 0x01, Vec::new())), (0x01, vec![0]));
    assert_eq!(lock.get("state").unwrap(), "0");
    lock.run(Duration::from_secs(1));
    assert_eq!(lock.get("state").unwrap(), "2");
}

/// Reports a value of 16 bits after 2 seconds at the earliest and 10 at the latest, if it changes by 50.
fn configured() -> Node {
    let mut climate = device(Kind::Climate);
    let fields = Out::new().u8(0).u16(0).u8(kind::S16).u16(2).u16(10).u16(50).done();
    let (command, payload) = ask(&mut climate, 0x0402, &frame(false, general::CONFIGURE_REPORTING, fields));
    assert_eq!((command, payload), (general::CONFIGURE_REPORTING_RESPONSE, vec![0]));
    climate
}

fn bind(node: &mut Node, cluster: u16) {
    let payload = Out::new().u8(7).u64(1).u8(1).u16(cluster).u8(3).u64(HUB.0).u8(1).done();
    let asked =
        Heard { profile: 0, cluster: 0x0021, from_endpoint: 0, endpoint: 0, broadcast: false, payload };
    assert_eq!(node.hear(Duration::ZERO, &asked).said[0].payload, [7, 0]);
}

#[test]
fn reports_come_as_they_were_configured_and_to_who_is_bound() {
    let mut climate = configured();
    climate.set("temperature", "21").unwrap();
    climate.run(Duration::from_secs(1));
    climate.set("temperature", "30").unwrap();
    assert!(climate.run(Duration::from_secs(5)).is_empty(), "nobody is bound");
    bind(&mut climate, 0x0402);
    let mut at = |seconds: u64, temperature: &str| {
        climate.set("temperature", temperature).unwrap();
        climate.run(Duration::from_secs(seconds)).len()
    };
    assert_eq!(at(6, "30.6"), 0, "too early");
    assert_eq!(at(7, "30.6"), 1);
    assert_eq!(at(16, "30.7"), 0, "too small");
    assert_eq!(at(17, "30.7"), 1, "too long ago");
    let said = climate.run(Duration::from_secs(27));
    let report = Frame::read(&said[0].payload).unwrap();
    assert_eq!((report.command, report.payload), (general::REPORT, vec![0, 0, kind::S16, 0xfe, 0x0b]));
}

#[test]
fn what_cannot_be_reported_is_refused_and_what_is_set_can_be_read_back() {
    let mut climate = configured();
    let ask_for = |climate: &mut Node, id: u16, kind: u8| {
        let fields = Out::new().u8(0).u16(id).u8(kind).u16(1).u16(10).u16(1).done();
        ask(climate, 0x0402, &frame(false, general::CONFIGURE_REPORTING, fields)).1
    };
    assert_eq!(ask_for(&mut climate, 9, kind::S16), [status::UNSUPPORTED_ATTRIBUTE, 0, 9, 0]);
    assert_eq!(ask_for(&mut climate, 1, kind::S16), [status::UNREPORTABLE, 0, 1, 0]);
    assert_eq!(ask_for(&mut climate, 0, kind::U16), [status::INVALID_TYPE, 0, 0, 0]);
    let (_, told) = ask(&mut climate, 0x0402, &frame(false, general::READ_REPORTING, vec![0, 0, 0]));
    assert_eq!(told, [0, 0, 0, 0, kind::S16, 2, 0, 10, 0, 50, 0]);
}

#[test]
fn an_alarm_is_told_once_its_zone_is_enrolled() {
    let mut contact = device(Kind::Contact);
    contact.run(Duration::from_secs(1));
    contact.set("open", "true").unwrap();
    assert!(contact.run(Duration::from_secs(2)).is_empty());
    let cie = Out::new().u16(0x0010).u8(kind::IEEE).u64(HUB.0).done();
    ask(&mut contact, 0x0500, &frame(false, general::WRITE, cie));
    let asked = contact.run(Duration::from_secs(3));
    let request = Frame::read(&asked[0].payload).unwrap();
    assert_eq!((request.command, request.payload), (0x01, vec![0x15, 0x00, 0x34, 0x12]));
    ask(&mut contact, 0x0500, &frame(true, 0x00, vec![0, 7]));
    contact.set("open", "false").unwrap();
    let told = contact.run(Duration::from_secs(4));
    let alarm = Frame::read(&told[0].payload).unwrap();
    assert_eq!((alarm.command, alarm.payload), (0x00, vec![0, 0, 0, 7, 0, 0]));
}

#[test]
fn it_describes_itself() {
    let mut plug = device(Kind::Plug);
    let mut ask = |cluster: u16, fields: Vec<u8>| {
        let payload = Out::new().u8(3).bytes(&fields).done();
        let asked = Heard { profile: 0, cluster, from_endpoint: 0, endpoint: 0, broadcast: false, payload };
        plug.hear(Duration::ZERO, &asked).said.first().map(|said| said.payload.clone())
    };
    assert_eq!(ask(0x0005, vec![0x34, 0x12]).unwrap(), [3, 0, 0x34, 0x12, 1, 1]);
    let node = ask(0x0002, vec![0x34, 0x12]).unwrap();
    assert_eq!((node.len(), &node[..6]), (17, [3, 0, 0x34, 0x12, 0x01, 0x40].as_slice()));
    let simple = ask(0x0004, vec![0x34, 0x12, 1]).unwrap();
    assert_eq!(simple[..12], [3, 0, 0x34, 0x12, 22, 1, 0x04, 0x01, 0x51, 0x00, 1, 6]);
    assert_eq!(ask(0x0004, vec![0x34, 0x12, 9]).unwrap()[1], 0x83);
    assert_eq!(ask(0x0001, vec![0x34, 0x12, 0, 0]).unwrap(), [3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x34, 0x12]);
    assert_eq!(ask(0x0000, Out::new().u64(2).u16(0).done()), None);
    assert_eq!(ask(0x0017, vec![0]).unwrap(), [3, 0x84]);
}

#[test]
fn every_kind_has_values_that_can_be_set() {
    for (kind, name) in Kind::ALL {
        let mut node = device(kind);
        assert_eq!(name.parse(), Ok(kind));
        for value in node.names() {
            let before = node.get(&value).unwrap();
            node.set(&value, &before).unwrap();
            assert_eq!(node.get(&value).unwrap(), before, "{name}.{value}");
        }
        assert!(node.set("nonsense", "1").unwrap_err().contains("has no value"));
    }
}

/// One value in two spellings, or the same text.
fn is_same(found: &str, expected: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    match (number(found), number(expected)) {
        (Some(found), Some(expected)) => (found - expected).abs() < 1e-3,
        _ => found == expected,
    }
}

#[test]
fn devices_of_the_library_are_made_and_can_be_what_their_tests_expect() {
    use usp_mapping::diagnostic::SourceFile;
    use usp_mapping::draft::MappingDraft;
    let files = usp_mapping::library::builtin().iter().filter(|(name, _)| name.starts_with("zigbee/"));
    let mut made = 0;
    for (name, text) in files {
        let draft = MappingDraft::parse(&SourceFile::new(name, text)).0.unwrap();
        let mut node =
            Node::from_draft(&draft, "it", Ieee(1), 1).unwrap_or_else(|why| panic!("{name}: {why}"));
        let known = node.names();
        for (id, value) in draft.tests.iter().flat_map(|test| &test.expect) {
            let (id, value) = (&id.value, &value.value);
            // What is only heard, or within a string, is no value of its own.
            if !known.contains(id) {
                continue;
            }
            node.set(id, value).unwrap_or_else(|why| panic!("{name} {id}: {why}"));
            let found = node.get(id).unwrap();
            assert!(is_same(&found, value), "{name} {id}: {found} instead of {value}");
        }
        made += usize::from(!known.is_empty());
    }
    assert!(made >= 18, "{made}");
}

/// A siren that is only told to sound, and a command of a cluster that nobody knows: the device has both clusters.
#[test]
fn clusters_that_only_commands_name_are_there() {
    use usp_mapping::diagnostic::SourceFile;
    use usp_mapping::draft::MappingDraft;
    let text = "uspmap: 1\nprofile: acme.siren\nversion: 1.0.0\ndevice: {type: Alarm}\nzigbee: {model: S1}\n\
        capabilities:\n  battery: {class: LevelSensor, type: Battery, unit: '%', read: {cluster: power_configuration, attribute: battery_percentage_remaining}}\n\
        commands:\n  X_ACME_Sound: {send: [{cluster: ias_wd, command: start_warning, fields: {u8: 0x17, u16: 10, u8: 0, u8: 0}}]}\n\
        \x20 X_ACME_Own: {send: [{cluster: 0xfc00, endpoint: 2, command: 0x07}]}\n";
    let draft = MappingDraft::parse(&SourceFile::new("siren.yaml", text)).0.unwrap();
    let mut node = Node::from_draft(&draft, "it", Ieee(1), 1).unwrap();
    let has = |node: &Node, id: u8, cluster| {
        node.endpoints.iter().any(|one| one.id == id && one.inputs.contains(&cluster))
    };
    assert!(has(&node, 1, 0x0502) && has(&node, 2, 0xfc00) && !has(&node, 1, 0xfc00));
    let mut tell = |endpoint, cluster, command| {
        let frame = frame(true, command, Vec::new());
        let heard = Heard { endpoint, ..heard(cluster, &frame) };
        let said = node.hear(Duration::ZERO, &heard).said;
        Frame::read(&said.first().unwrap().payload).unwrap().payload
    };
    assert_eq!(tell(2, 0xfc00, 0x07), [0x07, status::SUCCESS]);
    assert_eq!(tell(2, 0xfc00, 0x08), [0x08, status::UNSUPPORTED_COMMAND]);
}
