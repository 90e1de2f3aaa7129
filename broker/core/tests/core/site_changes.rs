//! A changed site, by difference: what is as it was notices nothing, and what is known by name keeps its number.

use std::time::Duration;

use usp_core::input::Input;
use usp_core::output::{Output, StoreOp};
use usp_mapping::mapping::{BusAddress, BusKind, Mapping};
use usp_mapping::port::{Action, DeviceFault, PointId, Reading};
use usp_mapping::value::Value;

use crate::bench::World;
use crate::bench::device::{Behaviour, number};
use crate::bench::disk::Mood;
use crate::bench::peer::get;
use crate::bench::site::{edited, site};
use crate::bench::text;

const LEVEL: &str = "Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.Value";

fn numbers(w: &mut World, c: usp_core::input::ConnId) -> String {
    w.get(c, "Device.ProxiedDevice.*.IoTCapability.*.Alias")
        + &w.get(c, "Device.ProxiedDevice.*.IoTCapability.*.Name")
}

#[test]
fn a_reordered_site_or_mapping_changes_no_number() {
    let mut w = World::new();
    w.site("a: box, b: plain, c: box");
    let c = w.controller("self::c");
    let before = numbers(&mut w, c);
    let written = w.disk.batches;
    w.site("c: box, b: plain, a: box");
    assert_eq!(numbers(&mut w, c), before);
    assert_eq!(w.disk.batches, written, "nothing to keep");
    w.load(edited("a: box, c: box", |mapping| mapping.capabilities.reverse()));
    w.site("b: plain, a: box, c: box");
    assert_eq!(numbers(&mut w, c), before);
}

#[test]
fn only_what_is_touched_notices() {
    let mut w = World::new();
    w.site("a: box, b: box");
    w.report("a", &[(0, number("20"))]);
    w.report("b", &[(0, number("20"))]);
    let c = w.controller("self::c");
    w.wait(10);
    w.device("a", Behaviour::Silent);
    w.device("b", Behaviour::Silent);
    let first = w.begin(c, get(&[LEVEL], 0));
    let second = w.begin(c, get(&[&LEVEL.replace("Device.1.", "Device.2.")], 0));
    let mut changed = w.site.as_ref().clone();
    let mut mapping = Mapping::clone(&changed.devices[1].mapping);
    mapping.description.push_str(", mended");
    changed.devices[1].mapping = mapping.into();
    w.load(changed.into());
    assert!(w.answer(c, &first).is_none(), "its device is as it was");
    let answer = text::loud(&w.answer(c, &second).unwrap());
    assert!(answer.ends_with("7003 device b: unreachable: its configuration has just changed"), "{answer}");
}

#[test]
fn a_capability_by_the_same_words_keeps_its_reading() {
    let mut w = World::new();
    w.site("a: box");
    w.report("a", &[(0, number("20")), (1, Value::Bool(true))]);
    let c = w.controller("self::c");
    w.subscribe(c, "v", "ValueChange", "Device.ProxiedDevice.");
    w.load(edited("a: box", |mapping| {
        mapping.capabilities[1].description = "The big one".to_owned();
        mapping.capabilities.rotate_left(1);
    }));
    assert_eq!(w.get(c, LEVEL), format!("{LEVEL}=20"), "whatever its place");
    let relay = "Device.ProxiedDevice.1.IoTCapability.2.";
    assert_eq!(w.notes(c), [format!("v: ValueChange {relay}BinaryControl.Description=The big one")]);
    assert_eq!(w.get(c, &format!("{relay}X_USPBROKER_Quality")), format!("{relay}X_USPBROKER_Quality=Good"));
    w.report("a", &[(6, number("20")), (0, Value::Bool(true))]);
    assert_eq!(w.notes(c), [""; 0], "nothing is another");
    w.operate(c, &format!("{relay}BinaryControl.Toggle()"), "", &[]);
    let written = w.calls.iter().rfind(|call| matches!(call.action, Action::Write(_))).unwrap();
    assert_eq!(written.action, Action::Write(vec![(PointId(0), Value::Bool(false))]));
}

/// What was read under another meaning is not shown, and compared with what is read next.
#[test]
fn a_capability_that_is_read_elsewhere_begins_anew() {
    let mut w = World::new();
    w.site("a: box");
    w.report("a", &[(0, number("80"))]);
    let c = w.controller("self::c");
    w.subscribe(c, "v", "ValueChange", "Device.ProxiedDevice.");
    let row = "Device.ProxiedDevice.1.IoTCapability.1.";
    let elsewhere = |mapping: &mut Mapping| {
        mapping.capabilities[0].read.as_mut().unwrap().parts[0].transform.offset = Some(1.into());
    };
    w.load(edited("a: box", elsewhere));
    assert_eq!(w.notes(c), [format!("v: ValueChange {row}X_USPBROKER_Quality=Bad")]);
    w.report("a", &[(0, number("80"))]);
    assert_eq!(
        w.notes(c),
        [format!("v: ValueChange {row}X_USPBROKER_Quality=Good")],
        "the value is the same"
    );
    w.site("a: box");
    w.notes(c);
    w.report("a", &[(0, number("20"))]);
    let told = ["LevelSensor.Value=20", "LevelSensor.LastChange=2026-01-01T00:00:00Z"];
    let told = told.iter().chain(&["LevelSensor.HighLevel=false", "X_USPBROKER_Quality=Good"]);
    let told: Vec<String> = told.map(|change| format!("v: ValueChange {row}{change}")).collect();
    let mut notes = w.notes(c);
    notes.sort();
    let mut told = told;
    told.sort();
    assert_eq!(notes, told);
}

/// LowLevel and HighLevel are compared with what they were by the old thresholds of the old reading.
#[test]
fn a_level_that_is_another_by_a_new_threshold_of_a_new_reading_is_told() {
    let told = |high: i64, next: &str| {
        let mut w = World::new();
        w.site("a: box");
        w.report("a", &[(0, number("80"))]);
        let c = w.controller("self::c");
        let level = "Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.HighLevel";
        assert_eq!(w.get(c, level), format!("{level}=true"));
        w.subscribe(c, "v", "ValueChange", level);
        let elsewhere = |offset: i64| {
            move |mapping: &mut Mapping| {
                let sensor = &mut mapping.capabilities[0];
                sensor.read.as_mut().unwrap().parts[0].transform.offset = Some(offset.into());
                sensor.high_threshold = Some(high.into());
            }
        };
        w.load(edited("a: box", elsewhere(1)));
        assert_eq!(w.notes(c), [""; 0], "nothing is known of it yet");
        w.load(edited("a: box", elsewhere(2)));
        w.report("a", &[(0, number(next))]);
        w.notes(c)
    };
    let told_false = ["v: ValueChange Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.HighLevel=false"];
    assert_eq!(told(90, "80"), told_false, "the same value below the new threshold");
    assert_eq!(told(90, "85"), told_false, "another value below it");
    assert_eq!(told(90, "95"), [""; 0], "above the one and then above the other");
    assert_eq!(told(70, "80"), [""; 0]);
    assert_eq!(told(70, "60"), told_false);
}

/// A Get shows other words after a reload, so they are told; what a Controller has set stays, and is no change.
#[test]
fn other_words_are_told() {
    let mut w = World::new();
    w.site("a: box");
    w.report("a", &[(0, number("60")), (2, Value::Text("Low".to_owned())), (3, number("40"))]);
    let c = w.controller("self::c");
    let row = |n: u32| format!("Device.ProxiedDevice.1.IoTCapability.{n}.");
    w.set(c, &format!("{}LevelControl.", row(4)), &["StepValue=7"]);
    w.subscribe(c, "v", "ValueChange", "Device.ProxiedDevice.");
    w.load(edited("a: box", |mapping| {
        mapping.device_type = "Heater".to_owned();
        mapping.description = "A hot box".to_owned();
        mapping.version = "1.0.1".to_owned();
        let [level, _, mode, dimmer, ..] = &mut mapping.capabilities[..] else { unreachable!() };
        level.kind = "Humidity".to_owned();
        level.unit = Some("%".to_owned());
        (level.low_threshold, level.high_threshold) = (Some(5.into()), Some(50.into()));
        mode.valid_values.push("Night".to_owned());
        (dimmer.range, dimmer.step) = (Some((10.into(), 90.into())), Some(20.into()));
    }));
    let (device, level) = ("Device.ProxiedDevice.1.", format!("{}LevelSensor.", row(1)));
    let mut told = vec![
        format!("{device}Type=Heater"),
        format!("{device}Description=A hot box"),
        format!("{device}X_USPBROKER_Mapping=test.box@1.0.1"),
        format!("{level}Type=Humidity"),
        format!("{level}Unit=%"),
        format!("{level}LowLevelThreshold=5"),
        format!("{level}HighLevelThreshold=50"),
        format!("{level}LowLevel=false"),
        format!("{level}HighLevel=true"),
        format!("{}EnumControl.ValidValues=Off,Low,High,Night", row(3)),
        format!("{}LevelControl.MinValue=10", row(4)),
        format!("{}LevelControl.MaxValue=90", row(4)),
    ];
    let mut notes = w.notes(c);
    told.iter_mut().for_each(|told| told.insert_str(0, "v: ValueChange "));
    told.sort();
    notes.sort();
    assert_eq!(notes, told);
    assert_eq!(w.get(c, LEVEL), format!("{LEVEL}=60"), "it is read as before");
}

#[test]
fn a_bus_that_is_elsewhere_is_told() {
    let mut w = World::new();
    w.site("a: box");
    let c = w.controller("self::c");
    w.subscribe(c, "v", "ValueChange", "Device.");
    let mut moved = w.site.as_ref().clone();
    moved.buses[0].kind =
        BusKind::ModbusTcp { address: BusAddress::Socket("127.0.0.2:502".parse().unwrap()) };
    w.load(moved.into());
    let mut notes = w.notes(c);
    notes.retain(|note| note.contains("Address"));
    let told = ["X_USPBROKER_Bus.1.Address=127.0.0.2:502"];
    let told = told.iter().chain(&["ProxiedDevice.1.X_USPBROKER_Address=modbus-tcp://127.0.0.2:502/1"]);
    let mut told: Vec<String> = told.map(|change| format!("v: ValueChange Device.{change}")).collect();
    notes.sort();
    told.sort();
    assert_eq!(notes, told);
}

/// What may be old sooner is looked at sooner.
#[test]
fn a_reading_is_judged_by_the_new_words() {
    let mut w = World::new();
    w.load(edited("a: box", |mapping| mapping.capabilities[0].max_age = Duration::from_secs(600)));
    w.report("a", &[(0, number("20"))]);
    let c = w.controller("self::c");
    w.subscribe(c, "v", "ValueChange", "Device.ProxiedDevice.");
    w.wait(5);
    w.load(edited("a: box", |mapping| mapping.capabilities[0].max_age = Duration::from_secs(10)));
    assert_eq!(w.notes(c), [""; 0]);
    w.wait(6);
    let quality = "Device.ProxiedDevice.1.IoTCapability.1.X_USPBROKER_Quality";
    assert_eq!(w.notes(c), [format!("v: ValueChange {quality}=Stale")]);
    w.load(edited("a: box", |mapping| mapping.capabilities[0].max_age = Duration::from_secs(600)));
    assert_eq!(w.notes(c), [format!("v: ValueChange {quality}=Good")]);
    w.load(edited("a: box", |mapping| mapping.capabilities[0].max_age = Duration::from_secs(1)));
    assert_eq!(w.notes(c), [format!("v: ValueChange {quality}=Stale")]);
    w.wait(700);
    assert_eq!(w.notes(c), [""; 0], "it was told already");
}

#[test]
fn a_capability_that_leaves_and_returns_is_the_same() {
    let mut w = World::new();
    w.site("a: box");
    let c = w.controller("self::c");
    let row = "Device.ProxiedDevice.1.IoTCapability.4.";
    w.set(c, row, &["Name=Lamp"]);
    w.set(c, &format!("{row}LevelControl."), &["StepValue=7"]);
    w.subscribe(c, "c", "ObjectCreation", "Device.ProxiedDevice.*.IoTCapability.");
    w.subscribe(c, "d", "ObjectDeletion", "Device.ProxiedDevice.*.IoTCapability.");
    w.load(edited("a: box", |mapping| drop(mapping.capabilities.remove(3))));
    assert_eq!(w.notes(c), [format!("d: ObjectDeletion {row}")]);
    assert_eq!(w.get(c, &format!("{row}Name")), format!("{row}Name: 7026"));
    let mut w = w.restart();
    w.load(edited("a: box", |mapping| drop(mapping.capabilities.remove(3))));
    let c = w.controller("self::c");
    w.site("a: box");
    assert_eq!(w.get(c, &format!("{row}Name")), format!("{row}Name=Lamp"));
    assert_eq!(w.get(c, &format!("{row}LevelControl.StepValue")), format!("{row}LevelControl.StepValue=7"));
}

#[test]
fn a_device_goes_by_its_new_name_until_a_controller_gives_it_one() {
    const NAME: &str = "Device.ProxiedDevice.1.Name";
    let called = |name: &str| {
        let mut site = site("a: box").as_ref().clone();
        name.clone_into(&mut site.devices[0].name);
        site.into()
    };
    let mut w = World::new();
    w.site("a: box");
    let c = w.controller("self::c");
    w.subscribe(c, "v", "ValueChange", NAME);
    w.load(called("Kitchen"));
    assert_eq!(w.notes(c), [format!("v: ValueChange {NAME}=Kitchen")]);
    // It may get its name while nobody is here, and may not be here at once: a bridge tells of it.
    let mut w = w.restart();
    w.load(called("Bath"));
    let c = w.controller("self::c");
    assert_eq!(w.get(c, NAME), format!("{NAME}=Bath"));
    let mut w = w.restart();
    w.site("");
    w.load(called("Cellar"));
    let c = w.controller("self::c");
    assert_eq!(w.get(c, NAME), format!("{NAME}=Cellar"));
    w.subscribe(c, "v", "ValueChange", NAME);
    w.set(c, "Device.ProxiedDevice.1.", &["Name=Mine"]);
    w.notes(c);
    w.load(called("Hall"));
    assert_eq!(w.notes(c), [""; 0]);
    assert_eq!(w.get(c, NAME), format!("{NAME}=Mine"));
    let mut w = w.restart();
    w.site("");
    w.load(called("Attic"));
    let c = w.controller("self::c");
    assert_eq!(w.get(c, NAME), format!("{NAME}=Mine"));
}

#[test]
fn a_name_that_is_taken_gets_a_number() {
    let mut w = World::new();
    w.load(edited("a: box", |mapping| mapping.capabilities.truncate(2)));
    let c = w.controller("self::c");
    w.set(c, "Device.ProxiedDevice.1.IoTCapability.2.", &["Name=Mode"]);
    w.site("a: box");
    let name = "Device.ProxiedDevice.1.IoTCapability.3.Name";
    assert_eq!(w.get(c, name), format!("{name}=Mode (3)"));
}

#[test]
fn rows_come_and_go_with_notifications() {
    let mut w = World::new();
    w.site("a: plain");
    let c = w.controller("self::c");
    w.subscribe(c, "c", "ObjectCreation", "Device.ProxiedDevice.");
    w.subscribe(c, "d", "ObjectDeletion", "Device.ProxiedDevice.");
    w.site("a: plain, b: plain");
    assert_eq!(w.notes(c), ["c: ObjectCreation Device.ProxiedDevice.2. Alias=cpe-2"]);
    w.site("b: plain");
    assert_eq!(w.notes(c), ["d: ObjectDeletion Device.ProxiedDevice.1."]);
    w.site("b: plain");
    assert!(w.notes(c).is_empty());
}

#[test]
fn reports_of_a_device_that_is_gone_are_nobodys() {
    let mut w = World::new();
    w.site("a: box, b: box");
    let gone = w.mapping("b");
    w.site("a: box");
    w.report_under(gone, "b", vec![Reading::now(PointId(0), Ok(number("1")))]);
    w.report_online("b", Err(DeviceFault::Unknown));
    let c = w.controller("self::c");
    assert_eq!(w.get(c, "Device.ProxiedDeviceNumberOfEntries"), "Device.ProxiedDeviceNumberOfEntries=1");
    assert_eq!(site("a: box").devices.len(), 1);
}

/// 1,000 devices of ten capabilities each, by hand: `cargo test --release -p usp-core --test core -- --ignored --nocapture thousand`.
#[test]
#[ignore = "measures, by hand"]
#[expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "it measures the core and shows what it saw"
)]
fn a_thousand_devices() {
    let ten = |mapping: &mut Mapping| {
        let more = ["x", "y", "z"].map(|id| {
            let (mut capability, name) = (mapping.capabilities[0].clone(), format!("More {id}"));
            (capability.id, capability.name) = (id.to_owned(), name);
            capability
        });
        mapping.capabilities.extend(more);
    };
    let names: Vec<String> = (0..1000).map(|n| format!("d{n}: box")).collect();
    // A bus has at most 255 addresses.
    let mut all = edited(&names[..200].join(", "), ten).as_ref().clone();
    let some = all.devices.clone();
    for n in 1..5 {
        all.devices.extend(some.iter().cloned().map(|mut device| {
            device.id = usp_mapping::port::DeviceId(format!("{}-{n}", device.id).into());
            device
        }));
    }
    let afresh = |edit: &dyn Fn(&mut Mapping)| {
        let mut mapping = Mapping::clone(&all.devices[0].mapping);
        edit(&mut mapping);
        let mapping = std::sync::Arc::new(mapping);
        let mut site = all.clone();
        site.devices.iter_mut().for_each(|device| device.mapping = mapping.clone());
        std::sync::Arc::new(site)
    };
    let mut w = World::new();
    let c = w.controller("self::c");
    w.subscribe(c, "c", "ObjectCreation", "Device.ProxiedDevice.");
    w.subscribe(c, "v", "ValueChange", "Device.ProxiedDevice.");
    // The disk of the bench is slow: what the broker itself does counts.
    let mut measure = |what: &str, site| {
        let (mut spent, mut inputs) = (std::time::Duration::ZERO, vec![Input::Site(site)]);
        while let Some(input) = inputs.pop() {
            let start = std::time::Instant::now();
            w.broker.handle(w.clock(), input);
            spent += start.elapsed();
            while let Some(output) = w.broker.poll_output() {
                if let Output::Store { batch, .. } = output {
                    inputs.push(Input::Stored { batch, result: Ok(()) });
                }
            }
        }
        eprintln!("{what}: {spent:?}");
    };
    measure("1,000 new devices", afresh(&|_| {}));
    measure("nothing changed", afresh(&|_| {}));
    measure("another description", afresh(&|mapping| mapping.description.push('!')));
    measure("one capability less", afresh(&|mapping| drop(mapping.capabilities.pop())));
    measure("no devices", site(""));
    measure("all of them back", afresh(&|_| {}));
}

/// Each of its devices has so many capabilities of its own that a few of them fill a batch.
fn town() -> std::sync::Arc<usp_mapping::mapping::Site> {
    edited("a: box, b: box, c: box, d: box", |mapping| {
        let model = mapping.capabilities[0].clone();
        mapping.capabilities = (0..1_024)
            .map(|n| {
                let (id, name) = (format!("c{n}"), format!("Level {n}"));
                usp_mapping::mapping::Capability { id, name, ..model.clone() }
            })
            .collect();
    })
}

/// What of a batch is whose: rows, and numbers by name.
fn of_device(ops: &[StoreOp], number: u32) -> [usize; 2] {
    let below = format!("Device.ProxiedDevice.{number}.");
    let is_row = |op: &&StoreOp| matches!(op, StoreOp::PutRow { path, .. } if path.starts_with(&below));
    let is_number =
        |op: &&StoreOp| matches!(op, StoreOp::PutIdentity { table, .. } if table.starts_with(&below));
    [ops.iter().filter(is_row).count(), ops.iter().filter(is_number).count()]
}

#[test]
fn a_large_site_is_kept_in_parts_and_each_device_whole() {
    let mut w = World::new();
    w.disk.mood = Mood::Slow;
    w.load(town());
    let mut batches = Vec::new();
    while let Some((batch, ops)) = w.disk.open.pop() {
        batches.push([1, 2, 3, 4].map(|number| of_device(&ops, number)));
        w.disk.apply(ops);
        w.input(Input::Stored { batch, result: Ok(()) });
    }
    let (all, none) = ([1_025, 1_024], [0, 0]);
    assert!(batches.len() >= 2, "{batches:?}");
    let count = |number: usize| batches.iter().filter(|batch| batch[number] == all).count();
    assert_eq!([0, 1, 2, 3].map(count), [1; 4], "{batches:?}");
    assert!(batches.iter().flatten().all(|part| [all, none].contains(part)), "{batches:?}");
}

#[test]
fn a_site_of_which_a_part_was_kept_has_the_same_numbers_after_a_restart() {
    let mut w = World::new();
    w.disk.mood = Mood::Slow;
    w.load(town());
    let (_, ops) = w.disk.open.pop().unwrap();
    w.disk.apply(ops);
    // The power goes before the rest is kept.
    let mut w = w.restart();
    w.load(town());
    let c = w.controller("self::c");
    for device in 1..=4 {
        let path = format!("Device.ProxiedDevice.{device}.IoTCapability.1024.Name");
        assert_eq!(w.get(c, &path), format!("{path}=Level 1023"));
    }
}

#[test]
fn a_disk_that_refuses_a_part_of_a_site_gets_all_of_it_later() {
    let mut w = World::new();
    w.disk.mood = Mood::Slow;
    w.load(town());
    let (batch, _) = w.disk.open.pop().unwrap();
    w.disk.mood = Mood::Good;
    w.input(Input::Stored { batch, result: Err("no space left".to_owned()) });
    w.wait(30);
    assert_eq!(w.disk.rows("Device.ProxiedDevice.").len(), 4 * 1_025);
}
