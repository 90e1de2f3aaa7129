//! Every Zigbee device of the library as its users meet it: made from its own mapping, behind a simulated coordinator, joined,
//! read and set through the whole broker.
//!
//! The values are those of the vectors in the files; the simulator turns them into frames by code of its own, and what the
//! broker says of them has to be the same.

use std::fmt::Write as _;
use std::time::Duration;

use usp_mapping::diagnostic::SourceFile;
use usp_mapping::draft::{MappingDraft, MessagePlace, PointDraft, ZigbeePlaceDraft};
use usp_mapping::library::builtin;
use usp_simulators::zigbee::{self, Coordinator, Ieee, Model, Node, Plan, Presence};
use usp_tests::cli::Cli;
use usp_tests::place::Place;
use usp_tests::wait::{eventually, eventually_ok};

use crate::ACTOR;
use crate::serial_lines::{is_same, online, rows, shown, texts, value_paths};

/// How often a device that sleeps looks for what waits for it.
const POLLS: Duration = Duration::from_millis(300);

struct Device {
    /// `danfoss-ally`.
    file: &'static str,
    draft: MappingDraft,
    ieee: Ieee,
}

#[expect(clippy::print_stdout, reason = "the table is what the run is for")]
#[test]
fn every_zigbee_device_of_the_library_joins_and_is_read_and_set() {
    let devices = devices();
    assert!(devices.len() > 20, "devices that are sold, and those of the demo");
    let mut plan = Plan::new(Model::Ezsp(13), zigbee::Place::Terminal(None));
    for (seed, Device { file, draft, ieee }) in (1..).zip(&devices) {
        let node = Node::from_draft(draft, file, *ieee, seed).unwrap_or_else(|why| panic!("{file}: {why}"));
        plan = plan.with(node.still().polling(POLLS), Presence::Member);
    }
    let coordinator = Coordinator::start(plan).unwrap();
    // What is asked for is so from the start: how soon a change of it is reported differs. What is only told is told below.
    for Device { file, draft, .. } in &devices {
        for (id, values) in told(draft).filter(|(id, _)| is_asked(draft, id)) {
            // What is told by commands alone is no value.
            coordinator.set(file, id, &values[0]).ok();
        }
    }
    let place = Place::new(ACTOR, "");
    place.write("site.yaml", &site(&devices, &coordinator));
    let _broker = place.start();
    let cli = place.cli();
    let names = rows(&cli, "Device.ProxiedDevice.*.Name");
    let mut table = format!("{:<28} {:>6} {:>6}\n", "file", "gets", "sets");
    let mut sum = (0, 0);
    for device in &devices {
        let (gets, sets) = sweep(&cli, &names[device.file], device, &coordinator);
        writeln!(table, "{:<28} {gets:>6} {sets:>6}", device.file).unwrap();
        sum = (sum.0 + gets, sum.1 + sets);
    }
    println!("{table}{:<28} {:>6} {:>6}", format!("{} files", devices.len()), sum.0, sum.1);
    assert!(sum.0 > 40 && sum.1 > 10, "{sum:?}");
}

fn devices() -> Vec<Device> {
    let files =
        builtin().iter().filter_map(|(name, text)| Some((*name, name.strip_prefix("zigbee/")?, *text)));
    let device = |(number, (name, file, text)): (u64, (&str, &'static str, &str))| {
        let draft = MappingDraft::parse(&SourceFile::new(name, text)).0.unwrap();
        let ieee = Ieee(0x00e0_5400_0005_0000 + number);
        Device { file: file.trim_end_matches(".yaml"), draft, ieee }
    };
    (1..).zip(files).map(device).collect()
}

fn site(devices: &[Device], coordinator: &Coordinator) -> String {
    let port = coordinator.path().display();
    let mut site = format!("site: 1\nbuses:\n  mesh: {{zigbee: {port}, ncp: ezsp}}\ndevices:\n");
    for Device { file, draft, ieee } in devices {
        let profile = &draft.profile.as_ref().unwrap().value;
        writeln!(site, "  {file}: {{use: {profile}, bus: mesh, ieee: \"{ieee}\"}}").unwrap();
    }
    site
}

fn is_asked(draft: &MappingDraft, id: &str) -> bool {
    let read = draft.capabilities.iter().find(|cap| cap.id.value == id).and_then(|cap| cap.read.as_ref());
    let place = read.and_then(|read| place(&read.point));
    place.is_some_and(|place| place.answers.is_none_or(|asked| asked.value))
}

fn place(point: &PointDraft) -> Option<&ZigbeePlaceDraft> {
    match &point.message.as_deref()?.place {
        MessagePlace::Zigbee(place) => Some(place),
        _ => None,
    }
}

/// What the vectors say of each capability that is read, at least once.
fn told(draft: &MappingDraft) -> impl Iterator<Item = (&str, Vec<String>)> {
    // What is inside a structure is not simulated.
    let inside = |read: &PointDraft| place(read).is_some_and(|at| at.tag.is_some() || at.element.is_some());
    let read = draft.capabilities.iter();
    let read = read.filter(move |cap| cap.read.as_ref().is_some_and(|read| !inside(&read.point)));
    let told = read.map(|cap| {
        let id = cap.id.value.as_str();
        (id, texts(draft, id, |test| &test.expect))
    });
    told.filter(|(_, values)| !values.is_empty())
}

/// Lets a device have a value, or do what it tells with a command of its own, once it is bound to somebody.
fn say(coordinator: &Coordinator, file: &str, id: &str, value: &str) {
    let say = || coordinator.set(file, id, value).or_else(|_| coordinator.act(file, id));
    eventually_ok(say, |why| format!("{file} {id}: {why}"));
}

/// How many values were read, and how many set.
fn sweep(cli: &Cli, row: &str, device: &Device, coordinator: &Coordinator) -> (usize, usize) {
    let (file, draft) = (device.file, &device.draft);
    eventually(&format!("{file} is online"), || online(cli, file).then_some(()));
    let paths = value_paths(cli, row, draft, file);
    let mut gets = 0;
    for (id, values) in told(draft) {
        let value = &values[0];
        say(coordinator, file, id, value);
        eventually_ok(
            || {
                let found = shown(cli, &paths[id]);
                if is_same(&found, value) { Ok(()) } else { Err(found) }
            },
            |found| format!("{file} {id}: {found:?} instead of {value}"),
        );
        gets += 1;
    }
    let mut sets = 0;
    for cap in draft.capabilities.iter().filter(|cap| cap.write.is_some()) {
        let id = cap.id.value.as_str();
        for value in texts(draft, id, |test| &test.write) {
            cli.ok(&["set", &format!("{}={value}", paths[id])]);
            if cap.read.is_some() {
                // What moves is there after a while.
                eventually_ok(
                    || {
                        let held = coordinator.get(file, id).unwrap_or_default();
                        if is_same(&held, &value) { Ok(()) } else { Err(held) }
                    },
                    |held| format!("{file} {id}: the device has {held}, not {value}"),
                );
            }
            sets += 1;
        }
    }
    (gets, sets)
}
