//! What becomes of devices that are interviewed.

use super::{Endpoint, Interview, adopt, wanted};
use crate::compile::compile_file;
use crate::diagnostic::SourceFile;
use crate::library::Catalog;
use crate::mapping::{Class, Mapping, ReadPoint};
use crate::transform::Raw;
use crate::zigbee::Ieee;
use crate::zigbee::zcl::Frame;

fn endpoint(id: u8, device: u16, inputs: &[u16], outputs: &[u16]) -> Endpoint {
    Endpoint { id, profile: 0x0104, device, inputs: inputs.to_vec(), outputs: outputs.to_vec() }
}

fn interview(endpoints: Vec<Endpoint>) -> Interview {
    Interview {
        ieee: Ieee(0x0015_8d00_01a2_b3c4),
        is_router: true,
        rx_on_when_idle: true,
        endpoints,
        manufacturer: "ACME".to_owned(),
        model: "Thing-1".to_owned(),
        ..Interview::default()
    }
}

fn held(interview: &mut Interview, all: &[(u8, u16, u16, i128)]) {
    interview.held.extend(all.iter().map(|(ep, cluster, id, raw)| ((*ep, *cluster, *id), Raw::Int(*raw))));
}

fn told(mapping: &Mapping) -> Vec<String> {
    let capabilities = mapping.capabilities.iter().map(|cap| {
        let unit = cap.unit.as_deref().map_or(String::new(), |unit| format!(" {unit}"));
        format!("{}: {} {}{unit}", cap.id, cap.class.name(), cap.kind)
    });
    let commands = mapping.commands.iter().map(|command| format!("{}()", command.name));
    let events = mapping.events.iter().map(|event| format!("{}!", event.id));
    capabilities.chain(commands).chain(events).collect()
}

#[test]
fn a_plug_that_measures() {
    let mut plug = interview(vec![endpoint(1, 0x0051, &[0, 3, 4, 5, 6, 0x0702, 0x0b04], &[0x19])]);
    assert_eq!(
        wanted(&plug).iter().map(|(ep, cluster, _)| (*ep, *cluster)).collect::<Vec<_>>(),
        [(1, 0x0702), (1, 0x0b04)]
    );
    held(
        &mut plug,
        &[
            (1, 0x0702, 0x0000, 1234),
            (1, 0x0702, 0x0300, 0),
            (1, 0x0702, 0x0301, 1),
            (1, 0x0702, 0x0302, 1000),
            (1, 0x0702, 0x0400, 0),
            (1, 0x0b04, 0x050b, 17),
            (1, 0x0b04, 0x0505, 2301),
            (1, 0x0b04, 0x0508, 80),
            (1, 0x0b04, 0x0600, 1),
            (1, 0x0b04, 0x0601, 10),
            (1, 0x0b04, 0x0602, 1),
            (1, 0x0b04, 0x0603, 1000),
        ],
    );
    plug.lacks.extend([(1, 0x0b04, 0x0604), (1, 0x0b04, 0x0605), (1, 0x0b04, 0x0300), (1, 0x0b04, 0x0304)]);
    let adopted = adopt(&plug, &Catalog::builtin()).unwrap();
    assert!(!adopted.is_known && adopted.left_out.is_empty(), "{:?}", adopted.left_out);
    assert_eq!((adopted.name.as_str(), adopted.profile.as_str()), ("Thing-1 b3c4", "acme.thing-1"));
    assert_eq!(adopted.mapping.device_type, "PowerStrip");
    assert_eq!(
        told(&adopted.mapping),
        [
            "switch: BinaryControl Switch",
            "energy: LevelSensor Energy kWh",
            "power: LevelSensor Power W",
            "voltage: LevelSensor Meter V",
            "current: LevelSensor Meter A",
            "X_USPBROKER_Identify()",
        ]
    );
    let value = |id: &str, cluster: u16, frame: &[u8]| {
        let cap = adopted.mapping.capabilities.iter().find(|cap| cap.id == id).unwrap();
        let frame = Frame::parse(frame).unwrap();
        let read = cap.read.as_ref().unwrap();
        let raw = |place: &ReadPoint| match place {
            ReadPoint::Zigbee(read) => read.take(1, cluster, &frame).unwrap(),
            _ => unreachable!(),
        };
        read.decode(cap.class, raw).unwrap().to_usp()
    };
    assert_eq!(value("energy", 0x0702, &[0x18, 1, 0x0a, 0, 0, 0x25, 0x39, 0x30, 0, 0, 0, 0]), "12.345");
    assert_eq!(value("voltage", 0x0b04, &[0x18, 1, 0x0a, 5, 5, 0x21, 0xfd, 0x08]), "230.1");
    assert_eq!(value("power", 0x0b04, &[0x18, 1, 0x0a, 0x0b, 5, 0x29, 0xfb, 0xff]), "-5");
}

/// A factor that was not answered is not 1: the value would be wrong by it for ever.
#[test]
fn what_a_meter_does_not_answer_is_left_out() {
    let meter = |held_too: &[(u8, u16, u16, i128)], lacks: &[(u8, u16, u16)]| {
        let mut plug = interview(vec![endpoint(1, 0x0051, &[0, 6, 0x0702, 0x0b04], &[])]);
        held(&mut plug, &[(1, 0x0702, 0x0000, 12345), (1, 0x0b04, 0x0505, 2301), (1, 0x0b04, 0x0508, 435)]);
        held(&mut plug, held_too);
        plug.lacks.extend(lacks);
        let adopted = adopt(&plug, &Catalog::builtin()).unwrap();
        let left: Vec<String> = adopted.left_out.iter().map(|left| left.what.clone()).collect();
        (told(&adopted.mapping)[1..].to_vec(), left)
    };
    let both = ["some of what it measures, endpoint 1".to_owned(), "the meter, endpoint 1".to_owned()];
    assert_eq!(meter(&[], &[]), (vec![], both.to_vec()), "nothing is known of factors");
    let unit = (1, 0x0702, 0x0300, 0);
    assert_eq!(meter(&[unit, (1, 0x0702, 0x0301, 1)], &[]).1, both, "the divisor is missing");
    let (one, thousand) = ((1, 0x0702, 0x0301, 1), (1, 0x0702, 0x0302, 1000));
    assert_eq!(meter(&[one, thousand], &[]).1, both, "the unit is missing");
    assert_eq!(meter(&[unit, one, thousand], &[]).0, ["energy: LevelSensor Energy kWh"]);
    assert_eq!(meter(&[unit, one, (1, 0x0702, 0x0302, 512)], &[]).1, both, "no meter counts so");
    assert_eq!(
        meter(&[unit, one, (1, 0x0702, 0x0302, 3_600_000)], &[]).0,
        ["energy: LevelSensor Energy kWh"]
    );
    // Said not to be there: as the standard has it, 1; what a bare meter counts in nobody knows.
    let lacks = [(1, 0x0702, 0x0301), (1, 0x0702, 0x0302), (1, 0x0b04, 0x0600), (1, 0x0b04, 0x0601)];
    let (told, left) = meter(&[unit], &lacks);
    assert_eq!(told, ["sum: LevelSensor Counter X_USPBROKER_MeterUnit", "voltage: LevelSensor Meter V"]);
    assert_eq!(left, both[..1], "of the current nothing is known");
}

/// 12345 in BCD is 0x12345: as a binary number it would be 74565.
#[test]
fn a_meter_that_counts_in_bcd_is_left_out_and_said_so() {
    for unit in [0x80, 0x81, 0x87, 0x8c] {
        let mut plug = interview(vec![endpoint(1, 0x0051, &[0, 6, 0x0702], &[])]);
        let (one, thousand) = ((1, 0x0702, 0x0301, 1), (1, 0x0702, 0x0302, 1000));
        let sums = [(1, 0x0702, 0x0000, 0x0001_2345), (1, 0x0702, 0x0001, 5), (1, 0x0702, 0x0400, 0x42)];
        held(&mut plug, &[(1, 0x0702, 0x0300, unit), one, thousand]);
        held(&mut plug, &sums);
        let adopted = adopt(&plug, &Catalog::builtin()).unwrap();
        assert_eq!(told(&adopted.mapping), ["switch: BinaryControl Switch"], "{unit:02x}");
        assert_eq!(adopted.left_out[0].what, "the meter, endpoint 1");
        let comment = adopted.text.lines().find(|line| line.starts_with("# Left out: the meter")).unwrap();
        assert!(comment.contains("BCD") && comment.contains(&format!("0x{unit:02x}")), "{comment}");
        let (again, found) = compile_file(&SourceFile::new("draft.yaml", &adopted.text));
        assert_eq!(again.as_ref(), Some(&*adopted.mapping), "{found:?}");
    }
}

#[test]
fn a_zone_of_an_unknown_kind_is_left_out() {
    let mut sensor = interview(vec![endpoint(1, 0x0402, &[0, 1, 0x0500], &[])]);
    held(&mut sensor, &[(1, 0x0001, 0x0021, 200)]);
    let adopted = adopt(&sensor, &Catalog::builtin()).unwrap();
    assert_eq!(told(&adopted.mapping), ["battery: LevelSensor Battery %"]);
    assert_eq!(adopted.left_out[0].what, "the alarm zone, endpoint 1");
}

#[test]
fn a_light_with_all_colours() {
    let mut lamp = interview(vec![endpoint(11, 0x0210, &[0, 3, 4, 5, 6, 8, 0x0300, 0x1000], &[])]);
    lamp.endpoints[0].profile = 0xc05e;
    held(&mut lamp, &[(11, 0x0300, 0x400a, 0x1f), (11, 0x0300, 0x400b, 153), (11, 0x0300, 0x400c, 454)]);
    let adopted = adopt(&lamp, &Catalog::builtin()).unwrap();
    assert_eq!(adopted.mapping.device_type, "Light");
    assert_eq!(
        told(&adopted.mapping),
        [
            "switch: BinaryControl Switch",
            "brightness: LevelControl Brightness -",
            "color-temperature: LevelControl X_USPBROKER_ColorTemp X_USPBROKER_Mired",
            "color: MultiLevelSensor X_USPBROKER_Color -",
            "X_USPBROKER_Fade()",
            "X_USPBROKER_Color()",
            "X_USPBROKER_Identify()",
        ]
    );
    let mired = &adopted.mapping.capabilities[2];
    assert_eq!(mired.range, Some((153.into(), 454.into())));
    assert_eq!(adopted.mapping.zigbee_setup().bindings, [(11, 0x0006), (11, 0x0008), (11, 0x0300)]);
}

#[test]
fn a_sensor_that_sleeps_and_answers_nothing() {
    let mut sensor = interview(vec![endpoint(1, 0x0302, &[0, 1, 3, 0x0402, 0x0405, 0xef00], &[])]);
    (sensor.is_router, sensor.rx_on_when_idle) = (false, false);
    let adopted = adopt(&sensor, &Catalog::builtin()).unwrap();
    assert!(adopted.text.contains("sleepy: true"), "{}", adopted.text);
    assert_eq!(
        told(&adopted.mapping),
        [
            "temperature: LevelSensor Temperature degC",
            "humidity: LevelSensor Humidity %",
            "battery: LevelSensor Battery %",
            "X_USPBROKER_Identify()",
        ]
    );
    assert_eq!(adopted.left_out[0].what, "cluster 0xef00, endpoint 1");
}

#[test]
fn zones_are_what_they_say() {
    for (zone, kind) in
        [(0x15, "DoorOpen"), (0x0d, "MotionDetected"), (0x28, "SmokeDetected"), (0, "X_USPBROKER_Alarm")]
    {
        let mut sensor = interview(vec![endpoint(1, 0x0402, &[0, 1, 0x0500], &[])]);
        held(&mut sensor, &[(1, 0x0500, 0x0001, zone), (1, 0x0001, 0x0020, 30)]);
        sensor.lacks.insert((1, 0x0001, 0x0021));
        let adopted = adopt(&sensor, &Catalog::builtin()).unwrap();
        assert_eq!(adopted.mapping.capabilities[0].kind, kind, "{zone:04x}");
        assert!(adopted.mapping.capabilities.iter().any(|cap| cap.id == "battery-voltage"));
        assert!(!adopted.mapping.capabilities.iter().any(|cap| cap.id == "battery"), "it has no percentage");
        assert_eq!(adopted.mapping.zigbee_setup().zones, [1]);
    }
}

#[test]
fn locks_coverings_heating_and_fans() {
    let mut all = interview(vec![
        endpoint(1, 0x000a, &[0, 0x0101], &[]),
        endpoint(2, 0x0202, &[0x0102, 8, 6], &[]),
        endpoint(3, 0x0301, &[0x0201, 0x0202, 0x0204], &[]),
    ]);
    held(
        &mut all,
        &[
            (2, 0x0102, 0x0000, 0),
            (2, 0x0102, 0x0008, 50),
            (3, 0x0201, 0x0003, 500),
            (3, 0x0201, 0x0004, 3500),
            (3, 0x0201, 0x001b, 2),
            (3, 0x0201, 0x001c, 4),
            (3, 0x0201, 0x0008, 10),
            (3, 0x0202, 0x0001, 1),
        ],
    );
    let adopted = adopt(&all, &Catalog::builtin()).unwrap();
    assert_eq!(
        told(&adopted.mapping),
        [
            "endpoint-1.locked: BinaryControl Locked",
            "endpoint-2.switch: BinaryControl Switch",
            "endpoint-2.position: LevelControl Position %",
            "endpoint-3.temperature: LevelSensor Temperature degC",
            "endpoint-3.heating-setpoint: LevelControl Temperature degC",
            "endpoint-3.mode: EnumControl ThermostatMode",
            "endpoint-3.heating-demand: LevelSensor X_USPBROKER_HeatingDemand %",
            "endpoint-3.fan: EnumControl FanMode",
            "endpoint-3.keypad-locked: BinaryControl Locked",
            "X_USPBROKER_Open()",
            "X_USPBROKER_Close()",
            "X_USPBROKER_Stop()",
        ]
    );
    let setpoint = &adopted.mapping.capabilities[4];
    assert_eq!(setpoint.range, Some((5.into(), 35.into())));
    assert_eq!(adopted.mapping.capabilities[5].valid_values, ["Off", "Heat"]);
    assert_eq!(adopted.mapping.capabilities[7].valid_values, ["Off", "Low", "High"]);
    assert!(adopted.mapping.capabilities.iter().all(|cap| cap.class != Class::BlobSensor));
}

#[test]
fn buttons_have_events() {
    let mut remote =
        interview(vec![endpoint(1, 0x0820, &[0, 1, 3], &[3, 4, 5, 6, 8]), endpoint(2, 0x0820, &[0], &[6])]);
    (remote.is_router, remote.rx_on_when_idle) = (false, false);
    held(&mut remote, &[(1, 0x0001, 0x0021, 200)]);
    let adopted = adopt(&remote, &Catalog::builtin()).unwrap();
    assert_eq!(
        told(&adopted.mapping)[2..],
        ["X_USPBROKER_OnOff!", "X_USPBROKER_Level!", "X_USPBROKER_Scene!", "X_USPBROKER_OnOff2!"]
    );
}

#[test]
fn nothing_becomes_nothing() {
    let repeater = interview(vec![endpoint(1, 0x0008, &[0, 3, 0x0b05], &[0x19])]);
    let left = adopt(&repeater, &Catalog::builtin()).unwrap_err();
    assert_eq!(left[0].what, "the device");
}

#[test]
fn a_mapping_of_ones_own_wins() {
    let text = |profile: &str, model: &str, key: &str| {
        format!(
            "uspmap: 1\nprofile: {profile}\nversion: 1.0.0\ndevice: {{type: Light}}\nzigbee: {{manufacturer: ACME, model: \"{model}\"}}\n\
             capabilities:\n  {key}: {{class: BinaryControl, type: Switch, read: {{cluster: on_off, attribute: on_off}}, write: {{}}}}\n"
        )
    };
    let files = [
        text("own.any", "Thing*", "any"),
        text("own.one", "Thing-1", "one"),
        text("own.other", "Thing-2", "two"),
    ];
    let catalog = Catalog::new(files.iter().map(|text| SourceFile::new("own.yaml", text)));
    let plug = interview(vec![endpoint(1, 0x0051, &[0, 6], &[])]);
    let adopted = adopt(&plug, &catalog).unwrap();
    assert!(adopted.is_known);
    assert_eq!((adopted.profile.as_str(), adopted.mapping.capabilities[0].id.as_str()), ("own.one", "one"));
    let other = Interview { model: "Thing-3".to_owned(), ..plug.clone() };
    assert_eq!(adopt(&other, &catalog).unwrap().profile, "own.any");
    let stranger = Interview { manufacturer: "Else".to_owned(), ..plug };
    assert_eq!(adopt(&stranger, &catalog).unwrap().profile, "else.thing-1");
}

/// What devices say of themselves may be anything.
#[test]
fn hostile_names_and_numbers_are_borne() {
    for name in ["", "\0\0", "a\"b\\c\n*", "${x} $value", &"ß".repeat(300), "true", "[x]", "*", "- {a: b}"] {
        let mut device = interview(vec![endpoint(
            240,
            0xffff,
            &[6, 8, 0x0300, 0x0201, 0x0702, 0x0b04, 0x0102],
            &[5, 6, 8],
        )]);
        (device.manufacturer, device.model) = (name.to_owned(), name.to_owned());
        let clusters: Vec<(u8, u16, &[u16])> = wanted(&device);
        for number in [i128::MIN, 0, 0xffff] {
            for (endpoint, cluster, attributes) in &clusters {
                for attribute in *attributes {
                    device.held.insert((*endpoint, *cluster, *attribute), Raw::Int(number));
                }
            }
            let adopted = adopt(&device, &Catalog::builtin())
                .unwrap_or_else(|left| panic!("{name:?} {number}: {left:?}"));
            assert!(adopted.name.chars().count() <= 64);
        }
    }
}

/// What is written out to go on with has a test for each reading, and says what to do.
#[test]
fn a_draft_is_commented_and_tested() {
    let inputs = [0, 1, 3, 6, 0x0400, 0x0402, 0x0406, 0x0500, 0x0b04];
    let mut thing = interview(vec![endpoint(1, 0x0051, &inputs, &[0x19])]);
    held(&mut thing, &[(1, 0x0b04, 0x050b, 17), (1, 0x0b04, 0x0604, 1), (1, 0x0b04, 0x0605, 10)]);
    thing.model = "Thing\n1 ${x}".to_owned();
    let adopted = adopt(&thing, &Catalog::new(Vec::new())).unwrap();
    let text = super::draft(&thing, &adopted);
    assert!(text.starts_with("# ") && text.contains("mapping test FILE"), "{text}");
    let (mapping, found) = crate::compile::compile_file(&SourceFile::new("draft.yaml", &text));
    assert!(found.is_empty(), "{}", crate::diagnostic::render(&found, false));
    let mapping = mapping.unwrap();
    for capability in &mapping.capabilities {
        assert!(text.contains(&format!("expect: {{{}: ", capability.id)), "{}: {text}", capability.id);
    }
    let writes = mapping.capabilities.iter().filter(|capability| capability.write.is_some());
    for capability in writes {
        assert!(text.contains(&format!("write: {{{}: ", capability.id)), "{}: {text}", capability.id);
    }
    assert!(text.contains("sends: {1/on_off: \"01 00 01\"}"), "{text}");
    assert!(text.contains("1/electrical_measurement/active_power: 17}, expect: {power: 1.7}"), "{text}");
}
