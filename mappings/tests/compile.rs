//! What mapping and site files become: defaults, inheritance, parameters.

use std::sync::Arc;
use std::time::Duration;

use usp_mapping::compile::compile_file;
use usp_mapping::diagnostic::{SourceFile, render};
use usp_mapping::draft::MappingDraft;
use usp_mapping::draft::site::{Requirement, Use};
use usp_mapping::library::{Catalog, builtin};
use usp_mapping::mapping::{
    BusAddress, BusKind, ByteOrder, Capability, Class, DeviceAddress, Mapping, ModbusPoint, ModbusTable,
    ModbusWriteFunction, PerTable, Poll, RegisterEncoding, Site, Verify,
};
use usp_mapping::port::PointId;
use usp_mapping::site::compile_site;
use usp_mapping::transform::{Raw, RawKind, Transform};
use usp_mapping::value::Value;

const HEAD: &str = "uspmap: 1\nprofile: acme.x\nversion: 1.2.3\ndevice: {type: Sensor}\n";

fn mapping(body: &str) -> Mapping {
    let (mapping, found) = compile_file(&SourceFile::new("x.yaml", &format!("{HEAD}{body}")));
    assert!(found.is_empty(), "\n{}", render(&found, false));
    mapping.expect("no diagnostics")
}

fn capability(line: &str) -> Capability {
    mapping(&format!("capabilities:\n  a: {line}\n")).capabilities.remove(0)
}

fn written_to(cap: &Capability) -> (ModbusPoint, ModbusWriteFunction, bool) {
    let (point, function, read_modify_write) =
        cap.write.as_ref().expect("a write").point.modbus().expect("Modbus");
    (*point, function, read_modify_write)
}

fn read_from(cap: &Capability) -> ModbusPoint {
    *cap.read.as_ref().expect("a read").parts[0].point.modbus().expect("Modbus")
}

fn demo() -> Mapping {
    let (name, text) =
        builtin().iter().find(|(name, _)| name.contains("demo-meter")).expect("the demo meter");
    compile_file(&SourceFile::new(name, text)).0.expect("it compiles")
}

#[test]
fn everything_left_out_has_a_default() {
    let mapping =
        mapping("capabilities:\n  a: {class: BinaryControl, type: Switch, read: {coil: 7}, write: {}}\n");
    let options = mapping.protocol.modbus().expect("Modbus");
    assert_eq!((options.max_read, options.max_gap), (PerTable::of_kinds(125, 2000), PerTable::default()));
    assert_eq!((options.guard, options.timeout), (Duration::ZERO, Duration::from_secs(1)));
    assert_eq!(mapping.online.fails, 3);
    assert_eq!(
        (mapping.online.backoff_min, mapping.online.backoff_max),
        (Duration::from_secs(1), Duration::from_secs(60))
    );
    assert_eq!(mapping.poll_groups.len(), 1);
    assert_eq!(
        (mapping.poll_groups[0].name.as_str(), mapping.poll_groups[0].every),
        ("default", Duration::from_secs(10))
    );
    assert_eq!(mapping.poll_groups[0].points, [PointId(0)]);

    let cap = &mapping.capabilities[0];
    assert_eq!((cap.name.as_str(), cap.max_age, cap.serve_stale), ("a", Duration::from_secs(20), false));
    assert_eq!(cap.read_within, Duration::from_secs(3));
    let write = cap.write.as_ref().expect("a write");
    assert_eq!(
        (write.ttl, write.verify),
        (Duration::from_secs(5), Some(Verify { by: None, within: Duration::from_secs(1) }))
    );
    assert_eq!((write.coalesce, write.undo), (false, false));
    let (point, function, keeps_bits) = written_to(cap);
    assert_eq!(
        (point.table, point.address, function, keeps_bits),
        (ModbusTable::Coil, 7, ModbusWriteFunction::SingleCoil, false)
    );
}

#[test]
fn on_demand_points_are_never_fresh_and_belong_to_no_group() {
    let mapping = mapping(
        "poll: {fast: 2s}\ncapabilities:\n  a: {class: LevelSensor, type: Power, unit: W, read: {input: 0}, poll: on_demand}\n  \
         b: {class: LevelSensor, type: Power, unit: W, read: {input: 1}}\n",
    );
    assert_eq!(mapping.capabilities[0].max_age, Duration::ZERO);
    assert_eq!(mapping.capabilities[0].read.as_ref().map(|read| read.poll), Some(Poll::OnDemand));
    assert_eq!(mapping.poll_groups[0].points, [PointId(1)], "the first group is the default");
    assert_eq!(mapping.capabilities[1].max_age, Duration::from_secs(4));
}

#[test]
fn a_write_takes_from_its_read_what_it_leaves_out() {
    let same = capability(
        "{class: LevelControl, type: Power, unit: W, min: 0, max: 1, write: {}, \
         read: {holding: 8, as: s32, order: CDAB, scale: 0.1}}",
    );
    assert_eq!(written_to(&same).0, read_from(&same));
    assert_eq!(written_to(&same).1, ModbusWriteFunction::MultipleRegisters);
    let transform = &same.write.as_ref().expect("a write").transform;
    assert_eq!(transform.scale, same.read.as_ref().expect("a read").parts[0].transform.scale);
    assert!(
        transform.encode(&Value::parse(Class::LevelControl, "1.1").expect("a number"), RawKind::F32).is_err()
    );

    let elsewhere = capability(
        "{class: LevelControl, type: Power, unit: W, min: 0, max: 1, write: {holding: 9, scale: 0.5}, \
         read: {input: 8, as: u32, order: CDAB, bits: 4..6}}",
    );
    let point = written_to(&elsewhere).0;
    assert_eq!((point.encoding, point.order, point.bits), (RegisterEncoding::U32, ByteOrder::Cdab, None));

    let own_bits = capability(
        "{class: BinaryControl, type: Switch, read: {discrete: 3}, write: {holding: 9, bits: 2, verify: false, fc: 16}}",
    );
    let (point, function, keeps_bits) = written_to(&own_bits);
    assert_eq!((point.encoding, point.bits, keeps_bits), (RegisterEncoding::U16, Some((2, 2)), true));
    assert_eq!(function, ModbusWriteFunction::MultipleRegisters);
    assert_eq!(own_bits.write.as_ref().and_then(|write| write.verify), None);
}

#[test]
fn the_order_of_a_map_is_the_order_of_its_states() {
    let cap = capability(
        "{class: EnumControl, type: FanMode, read: {holding: 0, map: {3: High, 1: Low, 9: Fault, default: Unknown}}, \
         write: {map: {1: Low, 3: High}}}",
    );
    assert_eq!(cap.valid_values, ["Low", "High", "Fault", "Unknown"], "first what can be written");
    let write = cap.write.as_ref().expect("a write");
    assert!(write.transform.encode(&Value::Text("Fault".into()), written_to(&cap).0.raw_kind()).is_err());
}

#[test]
fn sentinels_of_signed_registers_may_be_written_in_hexadecimal() {
    let cap = capability(
        "{class: LevelSensor, type: Power, unit: W, read: {input: 0, as: s16, invalid: [0x8000, -1]}}",
    );
    assert_eq!(cap.read.expect("a read").parts[0].transform.invalid, [-32768, -1]);
}

/// As a vendor prints it, and as a number.
#[test]
fn a_sentinel_of_a_float_in_hexadecimal_is_a_pattern_of_bits() {
    let transform = |encoding: &str, invalid: &str| {
        let read = format!("{{input: 0, as: {encoding}, invalid: {invalid}}}");
        let cap = capability(&format!("{{class: LevelSensor, type: Power, unit: W, read: {read}}}"));
        cap.read.expect("a read").parts[0].transform.clone()
    };
    let is_none = |transform: &Transform, raw: Raw| transform.decode(raw, Class::LevelSensor).is_err();
    let single = transform("f32", "[0xc61c3c00, 0xc479ffae, -1]");
    for float in [-9999.0, f32::from_bits(0xc479_ffae), -1.0] {
        assert!(is_none(&single, Raw::F32(float)), "{float}");
    }
    assert!(!is_none(&single, Raw::F32(-9998.0)));
    assert!(is_none(&transform("f16", "0xf0e2"), Raw::F16(0xf0e2)));
    assert!(is_none(&transform("f64", "0xc0c3878000000000"), Raw::F64(-9999.0)));
}

#[test]
fn the_range_of_a_control_bounds_what_is_written_and_not_what_is_read() {
    let demo = demo();
    let setpoint = demo.capabilities.iter().find(|cap| cap.id == "setpoint").expect("a set point");
    let (read, write) = (setpoint.read.as_ref().expect("a read"), setpoint.write.as_ref().expect("a write"));
    assert_eq!(
        read.parts[0].transform.decode(Raw::Int(400), setpoint.class).map(|value| value.to_usp()),
        Ok("40".into())
    );
    let forty = Value::parse(setpoint.class, "40").expect("a number");
    assert!(write.transform.encode(&forty, read_from(setpoint).raw_kind()).is_err());
    let odd = Value::parse(setpoint.class, "21.34").expect("a number");
    let settled = write.transform.settled(&odd, read_from(setpoint).raw_kind(), setpoint.class);
    assert_eq!(settled.map(|value| value.to_usp()), Ok("21.3".into()), "within half of the step of 0.5");
}

#[test]
fn the_draft_says_where_everything_is_without_compiling() {
    let (name, text) =
        builtin().iter().find(|(name, _)| name.contains("demo-meter")).expect("the demo meter");
    let (draft, found) = MappingDraft::parse(&SourceFile::new(name, text));
    assert_eq!(found, []);
    let draft = draft.expect("a draft");
    let compiled = demo();
    for (cap, compiled) in draft.capabilities.iter().zip(&compiled.capabilities) {
        assert_eq!(cap.read_point(&draft), compiled.read.as_ref().map(|_| read_from(compiled)));
        assert_eq!(cap.write_point(&draft), compiled.write.as_ref().map(|_| written_to(compiled).0));
    }
}

fn site(text: &str) -> Site {
    let catalog = Catalog::builtin();
    let (site, found) =
        compile_site(&SourceFile::new("site.yaml", text), &|wanted: &Use| catalog.find(wanted));
    assert!(found.is_empty(), "\n{}", render(&found, false));
    site.expect("no diagnostics")
}

#[test]
fn a_site_has_its_buses_and_devices() {
    let site = site(
        "site: 1\nbuses:\n  plant: {modbus_tcp: \"127.0.0.1:1502\"}\n  roof: {modbus_tcp: \"gateway.lan:502\"}\ndevices:\n  \
         m1: {use: usp.demo-meter@^1, bus: plant, unit: 1, name: Main meter, params: {place: attic}}\n  \
         m2: {use: usp.demo-meter, bus: roof, unit: 2}\n  m3: {use: usp.demo-meter, bus: roof, unit: 3}\n",
    );
    let addresses: Vec<&BusKind> = site.buses.iter().map(|bus| &bus.kind).collect();
    let socket = BusAddress::Socket("127.0.0.1:1502".parse().expect("an address"));
    let host = BusAddress::Host("gateway.lan".into(), 502);
    assert_eq!(addresses, [&BusKind::ModbusTcp { address: socket }, &BusKind::ModbusTcp { address: host }]);
    let names: Vec<&str> = site.devices.iter().map(|device| device.name.as_str()).collect();
    assert_eq!(names, ["Main meter", "m2", "m3"]);
    assert_eq!(site.devices[0].address, DeviceAddress::ModbusUnit(1));
    assert_eq!(
        site.devices[0].mapping.description,
        "Three-phase energy meter with relay and heater at attic"
    );
    assert!(site.devices[1].mapping.description.ends_with("at home"));
    assert!(
        Arc::ptr_eq(&site.devices[1].mapping, &site.devices[2].mapping),
        "equal mappings are compiled once"
    );
}

#[test]
fn an_empty_site_has_no_devices() {
    assert_eq!(site("site: 1\n"), Site::default());
}

fn sdm630() -> &'static str {
    builtin().iter().find(|(name, _)| name.ends_with("sdm630.yaml")).expect("it is there").1
}

#[test]
fn own_mapping_files_come_before_those_inside() {
    let own = SourceFile::new("own.yaml", &sdm630().replace("version: 1.0.0", "version: 1.4.0"));
    let older = SourceFile::new("older.yaml", &sdm630().replace("version: 1.0.0", "version: 0.1.0"));
    let catalog = Catalog::new([older, own]);
    let find = |requirement: &str| {
        let text = format!(
            "site: 1\nbuses: {{b: {{modbus_tcp: \"h:1\"}}}}\ndevices:\n  d: {{use: eastron.sdm630{requirement}, bus: b, unit: 1}}\n"
        );
        let file = SourceFile::new("site.yaml", &text);
        compile_site(&file, &|wanted| catalog.find(wanted))
            .0
            .map(|site| site.devices[0].mapping.version.clone())
    };
    assert_eq!(find("").as_deref(), Some("1.4.0"), "the newest");
    assert_eq!(find("@=0.1.0").as_deref(), Some("0.1.0"));
    assert_eq!(find("@=1.0.0").as_deref(), Some("1.0.0"), "the one inside");
    assert_eq!(find("@^2"), None);
    let catalog =
        Catalog::new([SourceFile::new("old.yaml", &sdm630().replace("version: 1.0.0", "version: 0.1.0"))]);
    let wanted = Use::Profile { name: "eastron.sdm630".into(), requirement: Requirement::Any };
    assert_eq!(
        catalog.find(&wanted).map(|file| file.name().to_owned()),
        Ok("old.yaml".to_owned()),
        "one's own, though older"
    );
}
