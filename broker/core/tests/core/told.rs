//! Who is subscribed knows what a Get would answer, whatever happens to a device.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use usp_core::input::ConnId;
use usp_mapping::mapping::FOR_EVER;
use usp_mapping::port::DeviceFault;
use usp_mapping::value::Value;

use crate::bench::World;
use crate::bench::device::{Behaviour, number, state};
use crate::bench::peer::get;
use crate::bench::site::edited;
use crate::bench::text;
use crate::properties::cases;

const ROWS: &str = "Device.ProxiedDevice.1.IoTCapability.*.";
const LEVEL: &str = "Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.Value";
const VALVE: &str = "Device.ProxiedDevice.1.IoTCapability.7.BinaryControl.";

/// Something that happens to the box.
#[derive(Clone, Debug)]
enum Event {
    /// It says these points, each with one of two values.
    Said(Vec<(u16, bool)>),
    /// A server has kept them.
    Kept(Vec<(u16, bool)>),
    Failed(u16, bool),
    Online,
    Offline(&'static str),
    Wait(u64),
    Read(Behaviour),
    Set(bool, Behaviour),
    /// The site is loaded again, with this unit of its level, or one that is read as something else.
    Reload(&'static str, bool),
}

fn points() -> impl Strategy<Value = Vec<(u16, bool)>> {
    prop::collection::vec((0_u16..6, any::<bool>()), 1..5)
}

fn behaviour() -> impl Strategy<Value = Behaviour> {
    prop_oneof![
        Just(Behaviour::Good),
        Just(Behaviour::Fails(DeviceFault::Timeout(Duration::from_secs(1)))),
        Just(Behaviour::Fails(DeviceFault::Refused("no".to_owned()))),
        Just(Behaviour::Tells(None)),
        Just(Behaviour::Tells(Some(Duration::from_secs(2)))),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => points().prop_map(Event::Said),
        1 => points().prop_map(Event::Kept),
        1 => (0_u16..6, any::<bool>()).prop_map(|(point, there)| Event::Failed(point, there)),
        2 => Just(Event::Online),
        2 => prop::sample::select(vec!["cable cut", "port gone"]).prop_map(Event::Offline),
        2 => prop::sample::select(vec![1, 500, 3001, 700_000]).prop_map(Event::Wait),
        1 => behaviour().prop_map(Event::Read),
        1 => (any::<bool>(), behaviour()).prop_map(|(on, behaviour)| Event::Set(on, behaviour)),
        1 => (prop::sample::select(vec!["degC", "K"]), any::<bool>()).prop_map(|(unit, moved)| Event::Reload(unit, moved)),
    ]
}

fn value(point: u16, high: bool) -> Value {
    match point {
        1 => Value::Bool(high),
        2 => state(if high { "High" } else { "Low" }),
        _ => number(if high { "20" } else { "10" }),
    }
}

/// A box whose level is good for ten minutes, whose mode never becomes old, and whose valve cannot be read.
fn load(w: &mut World, unit: &str, elsewhere: bool) {
    let site = edited("a: box", |mapping| {
        mapping.capabilities[0].unit = Some(unit.to_owned());
        if elsewhere {
            mapping.capabilities[0].read.as_mut().unwrap().parts[0].transform.offset = Some(1.into());
        }
        mapping.capabilities[0].max_age = Duration::from_secs(600);
        mapping.capabilities[2].max_age = FOR_EVER;
        mapping.capabilities[6].read = None;
    });
    w.load(site);
}

fn happen(w: &mut World, c: ConnId, event: &Event) {
    let readings =
        |points: &[(u16, bool)]| points.iter().map(|(p, high)| (*p, value(*p, *high))).collect::<Vec<_>>();
    match event {
        Event::Said(points) => w.report("a", &readings(points)),
        Event::Kept(points) => w.report_kept("a", &readings(points)),
        Event::Failed(point, true) => w.report_fault("a", *point, DeviceFault::Invalid("broken".to_owned())),
        Event::Failed(point, false) => {
            w.report_fault("a", *point, DeviceFault::Timeout(Duration::from_secs(1)));
        }
        Event::Online => w.report_online("a", Ok(())),
        Event::Offline(why) => w.report_online("a", Err(DeviceFault::Unreachable((*why).to_owned()))),
        Event::Wait(ms) => w.advance(Duration::from_millis(*ms)),
        Event::Read(behaviour) => {
            w.device("a", behaviour.clone());
            w.ask(c, get(&[LEVEL], 0));
        }
        Event::Set(on, behaviour) => {
            w.device("a", behaviour.clone());
            w.set(c, VALVE, &[&format!("Value={on}")]);
        }
        Event::Reload(unit, elsewhere) => load(w, unit, *elsewhere),
    }
}

/// What a Get answers now, by path: whether the box is online, and of each capability quality, error and value. The quality
/// of what is read on demand is not told each time.
fn shown(w: &mut World, c: ConnId) -> BTreeMap<String, String> {
    let own = ["X_USPBROKER_Quality", "X_USPBROKER_LastError"];
    let values = [
        "LevelSensor.Value",
        "LevelSensor.Unit",
        "BinaryControl.Value",
        "EnumControl.Value",
        "LevelControl.Value",
    ];
    let paths: Vec<String> = own.iter().chain(&values).map(|name| format!("{ROWS}{name}")).collect();
    let mut paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    paths.push("Device.ProxiedDevice.1.Online");
    let answer = text::answer(&w.ask(c, get(&paths, 0)));
    let lines = answer.lines().filter_map(|line| line.split_once('='));
    let lines = lines.filter(|(path, _)| !path.ends_with(".5.X_USPBROKER_Quality"));
    lines.map(|(path, value)| (path.to_owned(), value.to_owned())).collect()
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn what_a_get_answers_was_told(events in prop::collection::vec(event(), 1..25)) {
        let mut w = World::new();
        load(&mut w, "degC", false);
        let c = w.controller("self::c");
        w.subscribe(c, "all", "ValueChange", "Device.ProxiedDevice.");
        let mut known = shown(&mut w, c);
        for (step, event) in events.iter().enumerate() {
            happen(&mut w, c, event);
            for note in w.notes(c) {
                let change = note.strip_prefix("all: ValueChange ").and_then(|note| note.split_once('='));
                let (path, value) = change.unwrap();
                known.insert(path.to_owned(), value.to_owned());
            }
            for (path, value) in shown(&mut w, c) {
                // A first value is no change.
                let told = known.entry(path.clone()).or_insert_with(|| value.clone());
                prop_assert_eq!(&*told, &value, "{} after step {} of {:?}", path, step, &events);
            }
        }
    }
}
