//! What holds whatever happens: orders of replies, silence, garbage, crashes.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use usp_core::input::ConnId;
use usp_mapping::port::DeviceFault;
use usp_mapping::value::Value;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::{Delete, GetInstances};

use crate::bench::World;
use crate::bench::device::{Behaviour, number};
use crate::bench::disk::Mood;
use crate::bench::peer::{add, get, operate, set, supported};
use crate::bench::service::{Manner, lamp};
use crate::bench::text;

/// Few by default, for a quick run; the environment variable `PROPTEST_CASES` asks for more.
pub(crate) fn cases(few: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { few };
    ProptestConfig { cases, failure_persistence: None, ..default }
}

const TOPS: [&str; 3] = ["Device.X_A.", "Device.X_B.", "Device.X_C."];
const SERVICES: [&str; 3] = ["self::a", "self::b", "self::c"];
const DEVICES: [&str; 2] = ["a", "b"];

/// Three Services and three boxes, of which the last is left in peace.
struct Town {
    w: World,
    c: ConnId,
    services: Vec<ConnId>,
}

impl Town {
    fn new() -> Self {
        let mut w = World::new();
        w.site("a: box, b: box, good: box");
        for device in ["a", "b", "good"] {
            let off = Value::Bool(false);
            w.report(
                device,
                &[(0, number("20")), (1, off.clone()), (3, number("50")), (4, number("1")), (6, off)],
            );
        }
        let c = w.controller("self::boss");
        let services = SERVICES.iter().zip(TOPS).map(|(name, top)| w.lamp(name, top)).collect();
        Self { w, c, services }
    }
}

/// Requests that touch everybody.
fn wide_requests() -> Vec<ReqType> {
    let probes: Vec<String> =
        (1..=3).map(|n| format!("Device.ProxiedDevice.{n}.IoTCapability.5.LevelSensor.Value")).collect();
    let mut paths = vec!["Device.", "Device.X_A.Colour", "Device.X_B.Zone.*.Name", "Device.X_C."];
    paths.extend(probes.iter().map(String::as_str));
    let relay = |n: u32| format!("Device.ProxiedDevice.{n}.IoTCapability.2.BinaryControl.");
    let (one, two) = (relay(1), relay(2));
    let sets: &[(&str, &[&str])] = &[
        ("Device.X_A.", &["Colour=blue"]),
        (&one, &["Value=true"]),
        ("Device.X_B.Zone.*.", &["Level=3"]),
        (&two, &["Value=true"]),
        ("Device.DeviceInfo.", &["FriendlyName=x"]),
    ];
    vec![
        get(&paths, 0),
        set(true, sets),
        set(false, sets),
        ReqType::GetInstances(GetInstances {
            obj_paths: vec!["Device.".to_owned()],
            first_level_only: false,
        }),
    ]
}

proptest! {
    #![proptest_config(cases(12))]

    #[test]
    fn the_order_of_replies_changes_no_answer(
        delays in prop::collection::vec(0_u64..3000, TOPS.len() + DEVICES.len() + 1),
    ) {
        for request in wide_requests() {
            let mut quick = Town::new();
            let expected = text::loud(&quick.w.ask(quick.c, request.clone()));
            let mut slow = Town::new();
            let pauses: Vec<Duration> = delays.iter().map(|ms| Duration::from_millis(*ms)).collect();
            for (service, pause) in slow.services.clone().iter().zip(&pauses) {
                slow.w.manner(*service, Manner::Slow(*pause));
            }
            for (device, pause) in ["a", "b", "good"].iter().zip(&pauses[TOPS.len()..]) {
                // A box reads within a few seconds; a tenth keeps every delay within that.
                slow.w.device(device, Behaviour::Slow(*pause / 10));
            }
            let id = slow.w.begin(slow.c, request);
            slow.w.wait(15);
            prop_assert_eq!(text::loud(&slow.w.answer(slow.c, &id).unwrap()), expected);
            prop_assert_eq!(slow.w.broker.pending(), 0);
        }
    }
}

/// Something that happens to the town.
#[derive(Clone, Debug)]
enum Event {
    Manner(usize, Manner),
    Behaviour(usize, Behaviour),
    Ask(ReqType),
    Leave(usize),
    Return(usize),
    Report(usize, i32),
    Fault(usize),
    Site(&'static str),
    Deregister(usize),
    Subscribe(String),
    Disk(Mood),
    Stored(bool),
    Visit(bool),
    Wait(u64),
}

fn manners() -> impl Strategy<Value = Manner> {
    prop_oneof![
        Just(Manner::Good),
        (0_u64..8000).prop_map(|ms| Manner::Slow(Duration::from_millis(ms))),
        Just(Manner::Silent),
        Just(Manner::Refuses(7002)),
        Just(Manner::Garbage),
        Just(Manner::Empty),
        Just(Manner::Twice),
    ]
}

fn behaviours() -> impl Strategy<Value = Behaviour> {
    prop_oneof![
        Just(Behaviour::Good),
        (0_u64..20_000).prop_map(|ms| Behaviour::Slow(Duration::from_millis(ms))),
        Just(Behaviour::Silent),
        Just(Behaviour::Garbage),
        Just(Behaviour::Fails(DeviceFault::Timeout(Duration::from_secs(1)))),
        (0_usize..3).prop_map(|n| Behaviour::FailsAfter(n, DeviceFault::Refused("no".to_owned()))),
    ]
}

fn requests() -> impl Strategy<Value = ReqType> {
    let toggle = "Device.ProxiedDevice.*.IoTCapability.*.BinaryControl.Toggle()";
    let fixed = vec![
        operate(toggle, "k", &[]),
        operate("Device.ProxiedDevice.1.X_USPBROKER_Refresh()", "k", &[]),
        operate("Device.X_A.Blink()", "k", &[]),
        operate("Device.X_B.Zone.*.Dim()", "k", &[]),
        add(
            false,
            &[("Device.X_C.Zone.", &["Name=x"]), ("Device.LocalAgent.ControllerTrust.Role.", &["Name=r"])],
        ),
        add(
            true,
            &[("Device.X_C.Zone.", &["Name=x"]), ("Device.LocalAgent.ControllerTrust.Role.", &["Name=r"])],
        ),
        ReqType::Delete(Delete {
            allow_partial: true,
            obj_paths: vec![
                "Device.X_A.Zone.*.".to_owned(),
                "Device.LocalAgent.ControllerTrust.Role.*.".to_owned(),
            ],
        }),
        supported(&["Device."], false),
    ];
    let all: Vec<ReqType> = wide_requests().into_iter().chain(fixed).collect();
    prop::sample::select(all)
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0..TOPS.len(), manners()).prop_map(|(i, m)| Event::Manner(i, m)),
        3 => (0..DEVICES.len(), behaviours()).prop_map(|(i, b)| Event::Behaviour(i, b)),
        8 => requests().prop_map(Event::Ask),
        1 => (0..TOPS.len()).prop_map(Event::Leave),
        2 => (0..TOPS.len()).prop_map(Event::Return),
        1 => (0..DEVICES.len(), -100..100).prop_map(|(i, n)| Event::Report(i, n)),
        1 => (0..DEVICES.len()).prop_map(Event::Fault),
        1 => prop::sample::select(vec!["good: box, b: box", "a: plain, good: box", "a: box, b: box, good: box"]).prop_map(Event::Site),
        1 => (0..TOPS.len()).prop_map(Event::Deregister),
        1 => prop::sample::select(vec!["Device.", "Device.X_A.", "Device.X_B.Zone.*."]).prop_map(|p| Event::Subscribe(p.to_owned())),
        1 => prop_oneof![3 => Just(Mood::Good), 1 => Just(Mood::Full("full".to_owned())), 1 => Just(Mood::Slow)].prop_map(Event::Disk),
        2 => prop::bool::weighted(0.8).prop_map(Event::Stored),
        1 => any::<bool>().prop_map(Event::Visit),
        4 => (0_u64..12_000).prop_map(Event::Wait),
    ]
}

impl Town {
    fn happen(&mut self, event: Event, open: &mut Vec<String>) {
        let w = &mut self.w;
        match event {
            Event::Manner(index, manner) => {
                if let Some(service) = w.services.get_mut(&self.services[index]) {
                    service.manner = manner;
                }
            }
            Event::Behaviour(index, behaviour) => w.device(DEVICES[index], behaviour),
            Event::Ask(request) => open.push(w.begin(self.c, request)),
            Event::Leave(index) => w.disconnect(self.services[index]),
            Event::Return(index) => {
                if !w.services.contains_key(&self.services[index]) {
                    let conn = w.service_link(SERVICES[index], lamp(TOPS[index]));
                    self.services[index] = conn;
                    w.register(conn, true, &[TOPS[index]]);
                }
            }
            Event::Report(index, value) => w.report(DEVICES[index], &[(0, number(&value.to_string()))]),
            Event::Fault(index) => {
                w.report_online(DEVICES[index], Err(DeviceFault::Unreachable("gone".to_owned())));
            }
            Event::Site(site) => w.site(site),
            Event::Deregister(index) => {
                if w.services.contains_key(&self.services[index]) {
                    w.deregister(self.services[index], &[""]);
                }
            }
            Event::Subscribe(path) => {
                let more: &[&str] = &["Enable=true", "NotifType=ValueChange"];
                let reference = format!("ReferenceList={path}");
                let params: Vec<&str> = more.iter().copied().chain([&*reference]).collect();
                open.push(w.begin(self.c, add(true, &[("Device.LocalAgent.Subscription.", &params)])));
            }
            Event::Disk(mood) => w.disk.mood = mood,
            Event::Stored(ok) => stored(w, ok),
            Event::Visit(persistent) => {
                let guest = w.controller("self::guest");
                let persistent = format!("Persistent={persistent}");
                let params = ["Enable=true", "NotifRetry=true", "ReferenceList=Device.", &*persistent];
                w.begin(guest, add(true, &[("Device.LocalAgent.Subscription.", &params)]));
                w.disconnect(guest);
            }
            Event::Wait(ms) => w.advance(Duration::from_millis(ms)),
        }
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn every_request_is_answered_once_and_nobody_waits_for_another(
        steps in prop::collection::vec(events(), 1..40),
    ) {
        let mut town = Town::new();
        let good = "Device.ProxiedDevice.3.IoTCapability.5.LevelSensor.Value";
        let mut open = Vec::new();
        for step in steps {
            town.happen(step, &mut open);
            // Whatever is stalled, its neighbour answers at once, from memory and from the wire.
            prop_assert_eq!(town.w.get(town.c, good), format!("{good}=1"));
            let name = "Device.DeviceInfo.ModelName";
            prop_assert_eq!(town.w.get(town.c, name), format!("{name}=Hub"));
        }
        town.w.disk.mood = Mood::Good;
        stored(&mut town.w, true);
        town.w.wait(900);
        for service in town.services.clone() {
            if let Some(service) = town.w.services.get_mut(&service) {
                service.manner = Manner::Good;
            }
        }
        town.w.wait(900);
        for id in open {
            prop_assert_eq!(town.w.answers(town.c, &id).len(), 1);
        }
        prop_assert_eq!(town.w.broker.pending(), 0);
        prop_assert_eq!(town.w.get(town.c, "Device.LocalAgent.Request."), "");
    }
}

/// One step with the table of roles.
#[derive(Clone, Debug)]
enum Change {
    Add(u8),
    Rename(u8, u8),
    Delete(u8),
    Full(bool),
    Restart,
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (0_u8..6).prop_map(Change::Add),
        3 => (0_u8..8, 0_u8..6).prop_map(|(row, name)| Change::Rename(row, name)),
        2 => (0_u8..8).prop_map(Change::Delete),
        1 => any::<bool>().prop_map(Change::Full),
        1 => Just(Change::Restart),
    ]
}

const ROLE: &str = "Device.LocalAgent.ControllerTrust.Role.";

/// The table as it should be.
struct Reference {
    names: BTreeMap<u32, String>,
    highest: u32,
    full: bool,
}

impl Reference {
    fn is_taken(&self, name: &str, but: Option<u32>) -> bool {
        self.names.iter().any(|(number, n)| n == name && Some(*number) != but)
    }

    fn shown(&self) -> String {
        let lines: Vec<String> =
            self.names.iter().map(|(number, name)| format!("{ROLE}{number}.Name={name}")).collect();
        lines.join("\n")
    }

    fn add(&mut self, name: &str, answer: &str) {
        let ok = !self.full && !self.is_taken(name, None);
        assert_eq!(answer.starts_with(ROLE), ok, "{answer}");
        if ok {
            let number = answer.trim_start_matches(ROLE).split('.').next().unwrap().parse().unwrap();
            assert!(number > self.highest, "{number} was given before");
            self.highest = number;
            self.names.insert(number, name.to_owned());
        }
    }

    fn rename(&mut self, number: u32, name: &str, answer: &str) {
        let same = self.names.get(&number).is_some_and(|n| n == name);
        let ok =
            self.names.contains_key(&number) && !self.is_taken(name, Some(number)) && (!self.full || same);
        assert_eq!(answer.starts_with(ROLE), ok, "{answer}");
        if ok {
            self.names.insert(number, name.to_owned());
        }
    }

    fn delete(&mut self, number: u32, answer: &str) {
        let there = self.names.contains_key(&number);
        assert_eq!(answer.starts_with("Error"), there && (self.full || number < 3), "{answer}");
        if there && !self.full && number > 2 {
            self.names.remove(&number);
        }
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn a_table_is_what_a_map_says_over_crashes_and_a_full_disk(
        steps in prop::collection::vec(changes(), 1..40),
    ) {
        let names = BTreeMap::from([(1, "Full Access".to_owned()), (2, "Untrusted".to_owned())]);
        let mut reference = Reference { names, highest: 2, full: false };
        let mut w = World::new();
        let mut c = w.controller("self::c");
        for step in steps {
            match step {
                Change::Add(name) => {
                    let name = format!("n{name}");
                    let answer = w.add(c, ROLE, &[&format!("Name={name}")]);
                    reference.add(&name, &answer);
                }
                Change::Rename(row, name) => {
                    let (number, name) = (u32::from(row) + 3, format!("n{name}"));
                    let answer = w.set(c, &format!("{ROLE}{number}."), &[&format!("Name={name}")]);
                    reference.rename(number, &name, &answer);
                }
                Change::Delete(row) => {
                    let number = u32::from(row) + 1;
                    let answer = w.delete(c, &[&format!("{ROLE}{number}.")]);
                    reference.delete(number, &answer);
                }
                Change::Full(full) => {
                    reference.full = full;
                    w.disk.mood = if full { Mood::Full("full".to_owned()) } else { Mood::Good };
                }
                Change::Restart => {
                    w = w.restart();
                    w.site("");
                    c = w.controller("self::c");
                    reference.full = false;
                }
            }
            prop_assert_eq!(w.get(c, &format!("{ROLE}*.Name")), reference.shown());
        }
    }
}

/// One step with a disk that takes its time.
#[derive(Clone, Debug)]
enum Slow {
    Name(u8),
    Add(u8),
    Delete(u8),
    Stored(bool),
}

fn slow_steps() -> impl Strategy<Value = Slow> {
    prop_oneof![
        3 => any::<u8>().prop_map(Slow::Name),
        3 => (0_u8..6).prop_map(Slow::Add),
        2 => (3_u8..9).prop_map(Slow::Delete),
        3 => prop::bool::weighted(0.7).prop_map(Slow::Stored),
    ]
}

/// The disk says something of the batch that it has, if it has one.
fn stored(w: &mut World, ok: bool) {
    if let Some((batch, ops)) = w.disk.open.pop() {
        if ok {
            w.disk.apply(ops);
        }
        let result = if ok { Ok(()) } else { Err("lost".to_owned()) };
        w.input(usp_core::input::Input::Stored { batch, result });
    }
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn memory_disk_and_answers_agree_whatever_batches_are_lost(
        steps in prop::collection::vec(slow_steps(), 1..40),
    ) {
        let mut w = World::new();
        let c = w.controller("self::c");
        w.disk.mood = Mood::Slow;
        let mut asked: Vec<(String, Slow)> = Vec::new();
        for step in steps {
            let request = match &step {
                Slow::Stored(ok) => {
                    stored(&mut w, *ok);
                    continue;
                }
                Slow::Name(name) => set(false, &[("Device.DeviceInfo.", &[&format!("FriendlyName={name}")])]),
                Slow::Add(name) => add(false, &[(ROLE, &[&format!("Name=n{name}")])]),
                Slow::Delete(number) => {
                    ReqType::Delete(Delete { allow_partial: false, obj_paths: vec![format!("{ROLE}{number}.")] })
                }
            };
            asked.push((w.begin(c, request), step));
        }
        while !w.disk.open.is_empty() {
            stored(&mut w, true);
        }
        let mut name = String::new();
        let mut rows = BTreeMap::from([(1, "Full Access".to_owned()), (2, "Untrusted".to_owned())]);
        for (id, step) in asked {
            let answer = text::answer(&w.answer(c, &id).unwrap());
            if answer.starts_with("Error") {
                continue;
            }
            match step {
                Slow::Name(value) => name = value.to_string(),
                Slow::Add(value) => {
                    let number: u32 = answer.trim_start_matches(ROLE).split('.').next().unwrap().parse().unwrap();
                    rows.insert(number, format!("n{value}"));
                }
                Slow::Delete(number) => {
                    rows.remove(&u32::from(number));
                }
                Slow::Stored(_) => {}
            }
        }
        let expected = Reference { names: rows, highest: 0, full: false }.shown();
        for _ in 0..2 {
            let c = w.controller("self::d");
            prop_assert_eq!(w.get(c, &format!("{ROLE}*.Name")), expected.clone());
            let path = "Device.DeviceInfo.FriendlyName";
            prop_assert_eq!(w.get(c, path), format!("{path}={name}"));
            w = w.restart();
            w.site("");
        }
    }
}

/// What paths are made of, and what they are not.
const PIECES: [&str; 34] = [
    "Device.",
    "LocalAgent.",
    "Controller.",
    "Subscription.",
    "BootParameter.",
    "MTP.",
    "UDS.",
    "ControllerTrust.",
    "Role.",
    "Permission.",
    "1.",
    "7.",
    "*.",
    "[Alias==\"cpe-1\"].",
    "[Enable==true&&ID!=\"x\"].",
    "[Value>1].",
    "[LevelSensor.Value>=20].",
    "[Recipient+.Alias==\"x\"].",
    "Recipient+.",
    "AssignedRole#*+.",
    "ReferenceList#2+.",
    "X_A.",
    "Zone.",
    "Colour",
    "ProxiedDevice.",
    "IoTCapability.",
    "BinaryControl.",
    "Value",
    "Toggle()",
    "Boot!",
    "{i}.",
    "é",
    "..",
    "99999999999999999999.",
];

fn paths() -> impl Strategy<Value = String> {
    let pieces = prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..7);
    (any::<bool>(), pieces).prop_map(|(rooted, pieces)| {
        let root = if rooted { "Device." } else { "" };
        format!("{root}{}", pieces.concat())
    })
}

/// Each request with the same path and text.
fn all_requests(path: &str, text: &str, partial: bool) -> Vec<ReqType> {
    use usp_proto::usp;
    let setting = format!("{}={text}", path.rsplit('.').next().unwrap_or_default());
    let one = |p: &str| vec![p.to_owned()];
    vec![
        get(&[path], 2),
        set(partial, &[(path, &["Value=1", &*setting])]),
        add(partial, &[(path, &["Alias=a", &*setting])]),
        ReqType::Delete(Delete { allow_partial: partial, obj_paths: one(path) }),
        operate(path, text, &[&setting]),
        ReqType::GetInstances(GetInstances { obj_paths: one(path), first_level_only: partial }),
        supported(&[path], partial),
        ReqType::Deregister(usp::Deregister { paths: one(path) }),
        add(true, &[("Device.LocalAgent.Subscription.", &["Enable=1", &*format!("ReferenceList={path}")])]),
        add(
            true,
            &[(
                "Device.LocalAgent.ControllerTrust.Role.2.Permission.",
                &["Order=9", "Enable=1", &*format!("Targets={path}")],
            )],
        ),
    ]
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn no_path_and_no_text_stops_the_core(
        asked in prop::collection::vec((paths(), "\\PC{0,8}", any::<bool>()), 1..12),
    ) {
        let mut town = Town::new();
        for (path, text, partial) in asked {
            for request in all_requests(&path, &text, partial) {
                // Others go on when this one has deleted or disabled itself.
                let c = town.w.controller("self::fresh");
                let id = town.w.begin(c, request);
                town.w.wait(30);
                prop_assert_eq!(town.w.answers(c, &id).len(), 1, "{}", path);
                let s = town.w.service_link("self::other", lamp("Device.X_Other."));
                let id = town.w.begin(s, ReqType::Register(usp_proto::usp::Register {
                    allow_partial: partial,
                    reg_paths: vec![usp_proto::usp::register::RegistrationPath { path: path.clone() }],
                }));
                prop_assert_eq!(town.w.answers(s, &id).len(), 1, "{}", path);
                town.w.disconnect(s);
                town.w.disconnect(c);
            }
        }
        prop_assert_eq!(town.w.broker.pending(), 0);
    }
}
