//! Every MQTT device of the library as its users meet it: made from its own mapping, on a server, read and set through the
//! whole broker.
//!
//! The values are those of the vectors in the files, which stem from public documents; the simulator turns them into
//! messages by code of its own, and what the broker says of them has to be the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use usp_mapping::diagnostic::SourceFile;
use usp_mapping::draft::{At, MappingDraft, TestDraft};
use usp_mapping::library::builtin;
use usp_mapping::mapping::Class;
use usp_simulators::mqtt::Relay;
use usp_simulators::mqtt_devices::{MappedThing, ThingHandle, run};
use usp_tests::cli::Cli;
use usp_tests::place::Place;
use usp_tests::wait::{eventually, eventually_ok};

use crate::ACTOR;

/// One file of the library, and a device of it.
struct Model {
    /// `tasmota-pow`.
    file: &'static str,
    draft: MappingDraft,
    thing: ThingHandle,
}

/// What was compared, for the table.
#[derive(Default)]
struct Tally {
    gets: usize,
    sets: usize,
}

#[expect(clippy::print_stdout, reason = "the table is what the run is for")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mqtt_device_is_read_and_set_through_the_broker() {
    let relay = Relay::start().await.unwrap();
    let models: Vec<Model> = drafts()
        .map(|(file, draft)| {
            let thing =
                MappedThing::from_draft(&draft, file).unwrap_or_else(|error| panic!("{file}: {error}"));
            Model { file, thing: run(thing, relay.address(), true), draft }
        })
        .collect();
    assert!(models.len() >= 18, "devices that are sold");
    let place = Place::new(ACTOR, "");
    place.write("site.yaml", &site(&models, &relay));
    let _broker = place.start();
    let cli = place.cli();
    let devices = rows(&cli, "Device.ProxiedDevice.*.Name");
    let mut table = format!("{:<34} {:>6} {:>6}\n", "file", "gets", "sets");
    for model in &models {
        let tally = sweep(&cli, &devices[model.file], model);
        writeln!(table, "{:<34} {:>6} {:>6}", model.file, tally.gets, tally.sets).unwrap();
    }
    println!("{table}");
}

fn drafts() -> impl Iterator<Item = (&'static str, MappingDraft)> {
    let files = builtin().iter().filter_map(|(name, text)| Some((*name, name.strip_prefix("mqtt/")?, *text)));
    files.map(|(name, file, text)| {
        let draft = MappingDraft::parse(&SourceFile::new(name, text)).0.unwrap();
        (file.trim_end_matches(".yaml"), draft)
    })
}

fn site(models: &[Model], relay: &Relay) -> String {
    let mut site = format!("site: 1\nbuses:\n  home: {{mqtt: \"{}\"}}\ndevices:\n", relay.address());
    for Model { file, draft, .. } in models {
        let profile = &draft.profile.as_ref().unwrap().value;
        writeln!(site, "  {file}: {{use: {profile}, bus: home, topic: {file}}}").unwrap();
    }
    site
}

/// From the value of a Parameter to the path of its object.
fn rows(cli: &Cli, path: &str) -> BTreeMap<String, String> {
    let object = |path: &str| path.rsplit_once('.').unwrap().0.to_owned();
    cli.values(path).into_iter().map(|(path, value)| (value, object(&path))).collect()
}

fn sweep(cli: &Cli, device: &str, model: &Model) -> Tally {
    // Whoever publishes before somebody listens is not heard, as on any server.
    eventually(model.file, || model.thing.is_connected().then_some(()));
    let told: Vec<(&str, String)> = model
        .draft
        .capabilities
        .iter()
        .filter_map(|cap| Some((cap.id.value.as_str(), told(model, &cap.id.value)?)))
        .collect();
    let paths = paths(cli, device, model);
    eventually_ok(
        || {
            for (id, value) in &told {
                model.thing.set(id, value).unwrap();
            }
            let found = cli.values(&format!("{device}."));
            let other = told
                .iter()
                .find(|(id, value)| found.get(&paths[*id]).is_none_or(|found| !is_same(found, value)));
            other.map_or(Ok(()), |(id, value)| Err((*id, value.clone(), found.get(&paths[*id]).cloned())))
        },
        |(id, value, found)| format!("{} {id}: {found:?} instead of {value}", model.file),
    );
    let mut tally = Tally { gets: told.len(), sets: 0 };
    for cap in model.draft.capabilities.iter().filter(|cap| cap.write.is_some()) {
        let id = cap.id.value.as_str();
        for value in texts(&model.draft, id, |test| &test.write) {
            cli.ok(&["set", &format!("{}={value}", paths[id])]);
            let held = model.thing.value(id).unwrap();
            assert!(is_same(&held, &value), "{} {id}: the device has {held} instead of {value}", model.file);
            let shown = || cli.values(&paths[id]).into_values().next().filter(|shown| is_same(shown, &value));
            eventually("what was set", shown);
            tally.sets += 1;
        }
    }
    tally
}

/// What a capability is: the first value that the vectors expect.
fn told(model: &Model, id: &str) -> Option<String> {
    texts(&model.draft, id, |test| &test.expect).into_iter().next()
}

fn texts(
    draft: &MappingDraft,
    id: &str,
    part: impl Fn(&TestDraft) -> &Vec<(At<String>, At<String>)>,
) -> Vec<String> {
    let all = draft.tests.iter().flat_map(part).filter(|(key, _)| key.value == id);
    all.map(|(_, value)| value.value.clone()).collect()
}

/// The path of each capability's value, by its key.
fn paths(cli: &Cli, device: &str, model: &Model) -> BTreeMap<String, String> {
    let names = |parent: &str| rows(cli, &format!("{parent}.IoTCapability.*.Name"));
    let own = names(device);
    let nodes: Vec<BTreeMap<String, String>> =
        (1..=model.draft.nodes.len()).map(|node| names(&format!("{device}.Node.{node}"))).collect();
    let path = |cap: &usp_mapping::draft::CapabilityDraft| {
        let names = cap.node.map_or(&own, |node| &nodes[usize::from(node.0)]);
        let key = cap.id.value.rsplit('.').next().unwrap();
        let name = cap.name.as_ref().map_or(key, |name| name.value.as_str());
        let class = cap.class.as_ref().map_or(Class::BlobSensor, |class| class.value);
        let row = names.get(name).unwrap_or_else(|| panic!("{}: no row {name:?}", model.file));
        (cap.id.value.clone(), format!("{row}.{}.Value", class.name()))
    };
    model.draft.capabilities.iter().map(path).collect()
}

/// One value in two spellings, or the same text.
fn is_same(found: &str, expected: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    match (number(found), number(expected)) {
        (Some(found), Some(expected)) => (found - expected).abs() <= expected.abs() * 1e-9,
        _ => found == expected,
    }
}
