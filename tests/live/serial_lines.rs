//! Devices with a way of their own to speak, on pseudo-terminals and over TCP, through the whole broker.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use usp_mapping::diagnostic::SourceFile;
use usp_mapping::draft::{At, CapabilityDraft, MappingDraft, TestDraft};
use usp_mapping::library::builtin;
use usp_mapping::mapping::Class;
use usp_simulators::line::{LinePlace, LineServer, MappedLine, Meter, Projector, Station};
use usp_simulators::mischief::LineFault;
use usp_tests::cli::Cli;
use usp_tests::place::Place;
use usp_tests::wait::{eventually, eventually_ok};

use crate::ACTOR;

fn loopback() -> LinePlace {
    LinePlace::Tcp(([127, 0, 0, 1], 0).into())
}

/// From the value of a Parameter to the path of its object.
pub(crate) fn rows(cli: &Cli, path: &str) -> BTreeMap<String, String> {
    let object = |path: &str| path.rsplit_once('.').unwrap().0.to_owned();
    cli.values(path).into_iter().map(|(path, value)| (value, object(&path))).collect()
}

/// The path of the value of a device's capability.
pub(crate) fn path(cli: &Cli, device: &str, capability: &str, class: &str) -> String {
    let device = &rows(cli, "Device.ProxiedDevice.*.Name")[device];
    let row = &rows(cli, &format!("{device}.IoTCapability.*.Name"))[capability];
    format!("{row}.{class}.Value")
}

/// What is shown at a path; empty: nothing is.
pub(crate) fn shown(cli: &Cli, path: &str) -> String {
    cli.values(path).remove(path).unwrap_or_default()
}

pub(crate) fn online(cli: &Cli, device: &str) -> bool {
    cli.values(&format!("Device.ProxiedDevice.[Name==\"{device}\"].Online")).values().all(|is| is == "true")
}

/// A meter that pushes, a projector that is asked and a polled station, each with its faults.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_meter_a_projector_and_a_station_are_honest() {
    let place = Place::new(ACTOR, "");
    let name = place.path("usb-P1-if00-port0");
    let meter = Meter::new(Duration::from_millis(300), 7).still();
    let meter = LineServer::start(meter, &LinePlace::Terminal(Some(name.clone()))).unwrap();
    let projector = LineServer::start(Projector::default(), &loopback()).unwrap();
    let station = LineServer::start(Station::new('0', 3).still(), &LinePlace::Terminal(None)).unwrap();
    // Its own time-out is for lamps that warm up.
    place.write(
        "beamer.yaml",
        "uspmap: 1\nprofile: test.beamer\nversion: 1.0.0\nextends: epson.escvp21\nline: {timeout: 500ms}\n",
    );
    place.write(
        "site.yaml",
        &format!(
            "site: 1\nbuses:\n  p1: {{serial_line: {}}}\n  cinema: {{serial_line_tcp: \"{}\"}}\n  roof: {{serial_line: {}}}\n\
             devices:\n  smart: {{use: dsmr.p1-v5, bus: p1}}\n  beamer: {{file: beamer.yaml, bus: cinema}}\n  \
             weather: {{use: vaisala.wxt520, bus: roof}}\n",
            name.display(),
            projector.address().unwrap(),
            station.path().display(),
        ),
    );
    let _broker = place.start();
    let cli = place.cli();
    eventually("all three", || {
        ["smart", "beamer", "weather"].iter().all(|it| online(&cli, it)).then_some(())
    });

    // The meter: what it says is shown; what is broken is not.
    let power = path(&cli, "smart", "Power taken", "LevelSensor");
    meter.set("power", "2.345").unwrap();
    eventually("the power", || (shown(&cli, &power) == "2345").then_some(()));
    meter.fault(LineFault::Checksum);
    meter.set("power", "9.999").unwrap();
    eventually("it to be offline", || (!online(&cli, "smart")).then_some(()));
    let all = cli.values("Device.ProxiedDevice.[Name==\"smart\"].IoTCapability.*.LevelSensor.Value");
    assert!(all.values().all(|value| value != "9999"), "{all:?}");
    meter.clear();
    eventually("it to be back", || (online(&cli, "smart") && shown(&cli, &power) == "9999").then_some(()));
    for fault in [LineFault::Half, LineFault::Garbled, LineFault::Silent, LineFault::Unplugged] {
        meter.fault(fault.clone());
        eventually(&format!("offline by {fault}"), || (!online(&cli, "smart")).then_some(()));
        meter.clear();
        eventually(&format!("back after {fault}"), || online(&cli, "smart").then_some(()));
    }
    meter.fault(LineFault::Noise);
    meter.set("power", "1.5").unwrap();
    eventually("the power in noise", || (shown(&cli, &power) == "1500").then_some(()));
    meter.clear();

    // The projector: a Set succeeds when it was done, and only then.
    let switch = path(&cli, "beamer", "Power", "BinaryControl");
    cli.ok(&["set", &format!("{switch}=true")]);
    assert_eq!(projector.get("PWR").as_deref(), Some("01"));
    for fault in
        [LineFault::Frozen, LineFault::Refuse, LineFault::Silent, LineFault::Garbled, LineFault::Half]
    {
        projector.fault(fault.clone());
        let volume = path(&cli, "beamer", "Volume", "LevelControl");
        let ended = cli.run(&["set", &format!("{volume}=99")]);
        assert_eq!(ended.code, 1, "{fault}: {ended:?}");
        projector.clear();
        eventually(&format!("back after {fault}"), || online(&cli, "beamer").then_some(()));
        assert!(online(&cli, "weather"), "{fault}: another line");
    }
    eventually("it obeys again", || (cli.run(&["set", &format!("{switch}=false")]).code == 0).then_some(()));
    assert_eq!(projector.get("PWR").as_deref(), Some("00"));

    // The station: read when somebody asks.
    let wind = path(&cli, "weather", "Wind speed", "LevelSensor");
    station.set("Sm", "12.5").unwrap();
    eventually("the wind", || (shown(&cli, &wind) == "12.5").then_some(()));
}

/// One file of the library, and a device of it.
struct Model {
    file: &'static str,
    draft: MappingDraft,
    server: LineServer,
}

/// Every line device of the library as its users meet it: made from its own mapping, read and set through the whole broker.
#[expect(clippy::print_stdout, reason = "the table is what the run is for")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_line_device_of_the_library_is_read_and_set() {
    let models: Vec<Model> = builtin()
        .iter()
        .filter_map(|(name, text)| Some((*name, name.strip_prefix("line/")?, *text)))
        .map(|(name, file, text)| {
            let draft = MappingDraft::parse(&SourceFile::new(name, text)).0.unwrap();
            let device = MappedLine::from_draft(&draft).unwrap();
            let server = LineServer::start(device, &LinePlace::Terminal(None)).unwrap();
            Model { file: file.trim_end_matches(".yaml"), draft, server }
        })
        .collect();
    assert!(models.len() >= 6, "devices that are sold");
    let place = Place::new(ACTOR, "");
    let mut site = "site: 1\nbuses:\n".to_owned();
    for Model { file, server, .. } in &models {
        writeln!(site, "  {file}: {{serial_line: {}}}", server.path().display()).unwrap();
    }
    site += "devices:\n";
    for Model { file, draft, .. } in &models {
        let profile = &draft.profile.as_ref().unwrap().value;
        writeln!(site, "  {file}: {{use: {profile}, bus: {file}}}").unwrap();
    }
    place.write("site.yaml", &site);
    let _broker = place.start();
    let cli = place.cli();
    let devices = rows(&cli, "Device.ProxiedDevice.*.Name");
    let mut table = format!("{:<24} {:>6} {:>6}\n", "file", "gets", "sets");
    for model in &models {
        let (gets, sets) = sweep(&cli, &devices[model.file], model);
        writeln!(table, "{:<24} {gets:>6} {sets:>6}", model.file).unwrap();
    }
    println!("{table}");
}

fn sweep(cli: &Cli, device: &str, model: &Model) -> (usize, usize) {
    let told: Vec<(&str, String)> = model
        .draft
        .capabilities
        .iter()
        .filter(|cap| cap.read.is_some())
        .filter_map(|cap| {
            let id = cap.id.value.as_str();
            Some((id, texts(&model.draft, id, |test| &test.expect).into_iter().next()?))
        })
        .collect();
    let paths = value_paths(cli, device, &model.draft, model.file);
    for (id, value) in &told {
        model.server.set(id, value).unwrap_or_else(|why| panic!("{} {id}: {why}", model.file));
    }
    for (id, value) in &told {
        eventually_ok(
            || {
                let found = shown(cli, &paths[*id]);
                if is_same(&found, value) { Ok(()) } else { Err(found) }
            },
            |found| format!("{} {id}: {found:?} instead of {value}", model.file),
        );
    }
    let mut sets = 0;
    for cap in model.draft.capabilities.iter().filter(|cap| cap.write.is_some()) {
        let id = cap.id.value.as_str();
        for value in texts(&model.draft, id, |test| &test.write) {
            cli.ok(&["set", &format!("{}={value}", paths[id])]);
            if cap.read.is_some() {
                let held = model.server.get(id).unwrap_or_default();
                assert!(is_same(&held, &value), "{} {id}: the device has {held}, not {value}", model.file);
            }
            sets += 1;
        }
    }
    (told.len(), sets)
}

/// The path of each capability's value, by its key.
pub(crate) fn value_paths(
    cli: &Cli,
    device: &str,
    draft: &MappingDraft,
    file: &str,
) -> BTreeMap<String, String> {
    let names = rows(cli, &format!("{device}.IoTCapability.*.Name"));
    let path = |cap: &CapabilityDraft| {
        let name = cap.name.as_ref().map_or(cap.id.value.as_str(), |name| name.value.as_str());
        let class = cap.class.as_ref().map_or(Class::BlobSensor, |class| class.value);
        let row = names.get(name).unwrap_or_else(|| panic!("{file}: no row {name:?}"));
        (cap.id.value.clone(), format!("{row}.{}.Value", class.name()))
    };
    draft.capabilities.iter().map(path).collect()
}

pub(crate) fn texts(
    draft: &MappingDraft,
    id: &str,
    part: impl Fn(&TestDraft) -> &Vec<(At<String>, At<String>)>,
) -> Vec<String> {
    let tests = draft.tests.iter().filter(|test| test.params.is_empty());
    let all = tests.flat_map(part).filter(|(key, _)| key.value == id);
    all.map(|(_, value)| value.value.clone()).collect()
}

/// One value in two spellings, or the same text.
pub(crate) fn is_same(found: &str, expected: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    match (number(found), number(expected)) {
        (Some(found), Some(expected)) => (found - expected).abs() <= expected.abs() * 1e-9,
        _ => found == expected,
    }
}
