//! Every CoAP device of the library as its users meet it: made from its own mapping, read, observed and set through the whole
//! broker.
//!
//! The values are those of the vectors in the files, which stem from public documents; the simulator turns them into bodies by
//! code of its own, and what the broker says of them has to be the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use usp_mapping::diagnostic::SourceFile;
use usp_mapping::draft::{At, CapabilityDraft, MappingDraft, TestDraft};
use usp_mapping::library::builtin;
use usp_simulators::coap::{CoapDevice, CoapHandle, CoapServer};
use usp_simulators::value::SimValue;
use usp_tests::cli::Cli;
use usp_tests::place::Place;
use usp_tests::wait::eventually_ok;

use super::site;
use crate::ACTOR;

/// One file of the library, and a device of it.
struct Model {
    /// `ipso-light`.
    file: &'static str,
    draft: MappingDraft,
    server: CoapServer,
}

impl Model {
    async fn start(file: &'static str, draft: MappingDraft) -> Self {
        let device = CoapDevice::from_draft(&draft, 1).unwrap_or_else(|error| panic!("{file}: {error}"));
        let server = CoapServer::bind_still(([127, 0, 0, 1], 0).into(), device, None).await.unwrap();
        Self { file, draft, server }
    }

    fn handle(&self) -> CoapHandle {
        self.server.handle()
    }

    /// Every readable capability with one of the values that the vectors expect of it.
    fn told(&self, round: usize) -> Vec<(&CapabilityDraft, String)> {
        let readable = self.draft.capabilities.iter().filter(|cap| cap.read.is_some());
        let told = readable.map(|cap| {
            let values = self.texts(cap, |test| &test.expect);
            assert!(!values.is_empty(), "{}: no vector reads {}", self.file, cap.id.value);
            (cap, values[round % values.len()].clone())
        });
        told.collect()
    }

    /// Every value of a capability in one part of the vectors.
    fn texts(
        &self,
        cap: &CapabilityDraft,
        part: impl Fn(&TestDraft) -> &Vec<(At<String>, At<String>)>,
    ) -> Vec<String> {
        let all = self.draft.tests.iter().flat_map(part).filter(|(key, _)| key.value == cap.id.value);
        all.map(|(_, value)| value.value.clone()).collect()
    }

    /// The device takes these values on.
    fn tell(&self, told: &[(&CapabilityDraft, String)]) {
        for (cap, value) in told {
            let set = self.handle().set(&cap.id.value, SimValue::typed(value));
            set.unwrap_or_else(|error| panic!("{}: {error}", self.file));
        }
    }
}

/// What was compared, for the table.
#[derive(Default)]
struct Tally {
    gets: usize,
    sets: usize,
}

#[expect(clippy::print_stdout, reason = "the table is what the run is for")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_coap_device_is_read_observed_and_set_through_the_broker() {
    let mut models = Vec::new();
    for (name, text) in builtin() {
        let Some(file) = name.strip_prefix("coap/") else { continue };
        let draft = MappingDraft::parse(&SourceFile::new(name, text)).0.unwrap();
        models.push(Model::start(file.trim_end_matches(".yaml"), draft).await);
    }
    assert!(models.len() >= 13, "devices that are sold, and those of the demo");
    models.iter().for_each(|model| model.tell(&model.told(0)));
    let place = Place::new(ACTOR, "");
    let uses: Vec<String> =
        models.iter().map(|it| format!("use: {}", it.draft.profile.as_ref().unwrap().value)).collect();
    let devices = models.iter().zip(&uses);
    let devices: Vec<_> =
        devices.map(|(model, used)| (model.file, used.as_str(), model.server.local_addr(), "")).collect();
    site(&place, &devices);
    let _broker = place.start();
    let cli = place.cli();
    let rows = rows(&cli, "Device.ProxiedDevice.*.Name");
    let mut table = format!("{:<34} {:>6} {:>6}\n", "file", "gets", "sets");
    for model in &models {
        let tally = sweep(&cli, &rows[model.file], model);
        writeln!(table, "{:<34} {:>6} {:>6}", model.file, tally.gets, tally.sets).unwrap();
    }
    println!("{table}");
}

fn sweep(cli: &Cli, device: &str, model: &Model) -> Tally {
    let paths = paths(cli, device, model);
    let mut tally = Tally::default();
    for round in 0..2 {
        let told = model.told(round);
        model.tell(&told);
        eventually_ok(|| as_told(cli, device, &paths, &told), |other| format!("{}: {other}", model.file));
        tally.gets += told.len();
    }
    for cap in model.draft.capabilities.iter().filter(|cap| cap.write.is_some()) {
        let (id, values) = (&cap.id.value, model.texts(cap, |test| &test.write));
        assert!(!values.is_empty(), "{}: no vector writes {id}", model.file);
        for value in &values {
            cli.ok(&["set", &format!("{}={value}", paths[id])]);
            let inside = model.handle().get(id).unwrap().to_string();
            assert!(is_same(&inside, value), "{} {id}: the device has {inside}, not {value}", model.file);
            if cap.read.is_some() {
                let shown = cli.value(&paths[id]);
                assert!(is_same(&shown, value), "{} {id}: {shown} instead of {value}", model.file);
            }
            tally.sets += 1;
        }
    }
    tally
}

/// Errors: the first value that is not what the device has.
fn as_told(
    cli: &Cli,
    device: &str,
    paths: &BTreeMap<String, String>,
    told: &[(&CapabilityDraft, String)],
) -> Result<(), String> {
    let found = cli.values(&format!("{device}."));
    for (cap, value) in told {
        let shown = found.get(&paths[&cap.id.value]);
        if !shown.is_some_and(|shown| is_same(shown, value)) {
            return Err(format!("{}: {shown:?} instead of {value}", cap.id.value));
        }
    }
    Ok(())
}

/// From the value of a Parameter to the path of its object.
fn rows(cli: &Cli, path: &str) -> BTreeMap<String, String> {
    let object = |path: &str| path.rsplit_once('.').unwrap().0.to_owned();
    cli.values(path).into_iter().map(|(path, value)| (value, object(&path))).collect()
}

/// The path of each capability's value, by its key.
fn paths(cli: &Cli, device: &str, model: &Model) -> BTreeMap<String, String> {
    let names = rows(cli, &format!("{device}.IoTCapability.*.Name"));
    let path = |cap: &CapabilityDraft| {
        let name = cap.name.as_ref().unwrap_or(&cap.id);
        let row = names.get(&name.value).unwrap_or_else(|| panic!("{}: no row {:?}", model.file, name.value));
        (cap.id.value.clone(), format!("{row}.{}.Value", cap.class.unwrap().value.name()))
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
