//! Every Modbus device of the library as its users meet it: explained, simulated from its own mapping, read and set through the
//! whole broker.
//!
//! The values are those of the vectors in the files, which stem from the makers' documents; the simulator turns them into
//! registers by a codec of its own, and what the broker says of them has to be the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use usp_adapters::explain::{self, Way};
use usp_mapping::compile::compile_file;
use usp_mapping::diagnostic::{SourceFile, render};
use usp_mapping::draft::{At, MappingDraft, TestDraft};
use usp_mapping::library::builtin;
use usp_mapping::mapping::{
    BusAddress, BusKind, Capability, Device, DeviceAddress, Mapping, ModbusTable, Point as MappedPoint,
};
use usp_mapping::port::{DeviceId, PointId};
use usp_mapping::transform::MapTarget;
use usp_mapping::value::Value;
use usp_simulators::modbus::{ModbusDevice, ModbusHandle, ModbusServer};
use usp_simulators::value::SimValue;
use usp_tests::cli::Cli;
use usp_tests::place::Place;

use crate::ACTOR;

/// Each model is there so many times, with other values each time.
const ROUNDS: usize = 2;

const TABLES: [ModbusTable; 4] =
    [ModbusTable::Coil, ModbusTable::Discrete, ModbusTable::Holding, ModbusTable::Input];

/// One file of the library.
struct Model {
    /// `eastron-sdm630`.
    file: &'static str,
    mapping: Mapping,
    draft: MappingDraft,
}

/// What was done with one file.
#[derive(Default)]
struct Tally {
    capabilities: usize,
    vectors: usize,
    frames: usize,
    gets: usize,
    sets: usize,
}

#[expect(clippy::print_stdout, reason = "the table is what the run is for")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_device_is_read_and_set_through_the_broker() {
    let modbus = builtin().iter().filter(|(name, _)| name.starts_with("modbus/"));
    let models: Vec<Model> = modbus.map(|(name, text)| model(name, text)).collect();
    let mut servers = Vec::new();
    for model in &models {
        servers.push(simulate(model).await);
    }
    let place = Place::new(ACTOR, "");
    place.write("site.yaml", &site(&models, &servers));
    let _broker = place.start();
    let cli = place.cli();
    let devices = rows(&cli, "Device.ProxiedDevice.*.Name");
    let mut table = format!("{:<34} capabilities  vectors  frames   gets   sets\n", "file");
    let mut sum = Tally::default();
    for (model, server) in models.iter().zip(&servers) {
        let tally = Tally { frames: explain(model), ..sweep(&cli, &devices, model, server) };
        line(&mut table, model.file, &tally);
        sum.capabilities += tally.capabilities;
        sum.vectors += tally.vectors;
        sum.frames += tally.frames;
        sum.gets += tally.gets;
        sum.sets += tally.sets;
    }
    line(&mut table, &format!("{} files", models.len()), &sum);
    println!("{table}");
    assert!(models.len() > 33, "devices that are sold, and the meter of the demo");
}

/// A file that has no problem, and whose vectors hold: both are part of compiling it.
fn model(name: &'static str, text: &str) -> Model {
    let file = SourceFile::new(name, text);
    let (mapping, problems) = compile_file(&file);
    assert!(problems.is_empty(), "\n{}", render(&problems, false));
    let draft = MappingDraft::parse(&file).0.unwrap();
    let file = name.trim_start_matches("modbus/").trim_end_matches(".yaml");
    Model { file, mapping: mapping.unwrap(), draft }
}

/// What goes over the wire when everything is read and every value of the vectors is written: how many requests. None
/// asks for more than the device can take, and each capability is in one.
fn explain(model: &Model) -> usize {
    let options = model.mapping.protocol.modbus().expect("a Modbus device");
    let address = BusAddress::Host("device".to_owned(), 502);
    let way = Way { bus: BusKind::ModbusTcp { address }, delay: Duration::ZERO };
    let device = Device {
        id: DeviceId(model.file.into()),
        name: model.file.to_owned(),
        mapping: Arc::new(model.mapping.clone()),
        bus: "bus".to_owned(),
        address: DeviceAddress::ModbusUnit(1),
    };
    let wanted: Vec<PointId> =
        model.mapping.points().filter(|point| point.read.is_some()).map(|point| point.id).collect();
    let reads = explain::reads(&device, &way, &wanted);
    for read in &reads {
        let table = TABLES.into_iter().find(|table| read.what.contains(table.name())).unwrap();
        let most = usize::from(options.max_read.of(table));
        assert!(read.cells <= most, "{}: {} of {most}", model.file, read.what);
    }
    let read: BTreeSet<PointId> = reads.iter().flat_map(|read| read.points.iter().copied()).collect();
    assert!(read.iter().eq(&wanted), "{}: {read:?} instead of {wanted:?}", model.file);
    reads.len() + model.mapping.points().map(|point| writes(model, &device, &way, &point)).sum::<usize>()
}

/// How many requests write every value that the vectors write to a capability.
fn writes(model: &Model, device: &Device, way: &Way, point: &MappedPoint<'_>) -> usize {
    let values = texts(&model.draft, point.name, |test| &test.write);
    let requests = |text: &String| {
        let value = Value::parse(point.class, text).unwrap();
        explain::write(device, way, point.id, &value)
            .unwrap_or_else(|error| panic!("{} {}={text}: {error}", model.file, point.name))
            .len()
    };
    values.iter().map(requests).sum()
}

/// Devices in which time stands still, one for each round.
async fn simulate(model: &Model) -> ModbusServer {
    let device = |round: usize| {
        let device = ModbusDevice::from_draft(&model.draft, round as u64);
        (unit(round), device.unwrap_or_else(|error| panic!("{}: {error}", model.file)))
    };
    let server = ModbusServer::bind_still(([127, 0, 0, 1], 0).into(), (0..ROUNDS).map(device)).await.unwrap();
    for round in 0..ROUNDS {
        let handle = server.unit(unit(round)).unwrap();
        for cap in model.mapping.capabilities.iter().filter(|cap| cap.read.is_some()) {
            let told = SimValue::typed(&told(model, cap, round));
            handle.set(&cap.id, told).unwrap_or_else(|error| panic!("{}: {error}", model.file));
        }
    }
    server
}

fn unit(round: usize) -> u8 {
    u8::try_from(round + 1).unwrap()
}

/// What a capability is in a round: one of the values that the vectors of its file expect, and no state that stands for
/// all others.
fn told(model: &Model, cap: &Capability, round: usize) -> String {
    let mut values = texts(&model.draft, &cap.id, |test| &test.expect);
    let draft = model.draft.capabilities.iter().find(|draft| draft.id.value == cap.id).unwrap();
    let map = draft.read.as_ref().and_then(|read| read.point.map.as_ref());
    if let Some(MapTarget::Text(rest)) = map.and_then(|map| map.default.as_ref()).map(|at| &at.value) {
        values.retain(|value| value != rest);
    }
    assert!(!values.is_empty(), "{}: no vector reads {}", model.file, cap.id);
    values[round % values.len()].clone()
}

/// Every value of a capability in one part of the vectors.
fn texts(
    draft: &MappingDraft,
    id: &str,
    part: impl Fn(&TestDraft) -> &Vec<(At<String>, At<String>)>,
) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for (key, value) in draft.tests.iter().flat_map(part) {
        if key.value == id && !texts.contains(&value.value) {
            texts.push(value.value.clone());
        }
    }
    texts
}

/// A bus for each device, which has its file and round as its name.
fn site(models: &[Model], servers: &[ModbusServer]) -> String {
    let (mut buses, mut devices) = (String::new(), String::new());
    for (model, server) in models.iter().zip(servers) {
        let (file, address, profile) = (model.file, server.local_addr(), &model.mapping.profile);
        for round in 0..ROUNDS {
            writeln!(buses, "  {file}-{round}: {{modbus_tcp: \"{address}\"}}").unwrap();
            writeln!(
                devices,
                "  {file}-{round}: {{use: {profile}, bus: {file}-{round}, unit: {}}}",
                unit(round)
            )
            .unwrap();
        }
    }
    format!("site: 1\nbuses:\n{buses}devices:\n{devices}")
}

/// From the value of a Parameter to the path of its object.
fn rows(cli: &Cli, path: &str) -> BTreeMap<String, String> {
    let object = |path: &str| path.rsplit_once('.').unwrap().0.to_owned();
    cli.values(path).into_iter().map(|(path, value)| (value, object(&path))).collect()
}

fn sweep(cli: &Cli, devices: &BTreeMap<String, String>, model: &Model, server: &ModbusServer) -> Tally {
    let caps = &model.mapping.capabilities;
    let mut tally = Tally { capabilities: caps.len(), vectors: model.draft.tests.len(), ..Tally::default() };
    for round in 0..ROUNDS {
        let device = &devices[&format!("{}-{round}", model.file)];
        let handle = server.unit(unit(round)).unwrap();
        let paths = paths(cli, device, &model.mapping);
        tally.gets += read_all(cli, model, &paths, |cap| told(model, cap, round));
        for (cap, path) in caps.iter().zip(&paths).filter(|(cap, _)| cap.write.is_some()) {
            tally.sets += set_all(cli, model, cap, path, round, &handle);
        }
    }
    tally
}

/// The path of each capability's value.
fn paths(cli: &Cli, device: &str, mapping: &Mapping) -> Vec<String> {
    let names = |parent: &str| rows(cli, &format!("{parent}.IoTCapability.*.Name"));
    let own = names(device);
    let nodes: Vec<BTreeMap<String, String>> =
        (1..=mapping.nodes.len()).map(|node| names(&format!("{device}.Node.{node}"))).collect();
    let path = |cap: &Capability| {
        let names = cap.node.map_or(&own, |node| &nodes[usize::from(node.0)]);
        let row =
            names.get(&cap.name).unwrap_or_else(|| panic!("{}: no row {:?}", mapping.profile, cap.name));
        format!("{row}.{}.Value", cap.class.name())
    };
    mapping.capabilities.iter().map(path).collect()
}

/// Gets everything that can be read, in one request; how many values were as they had to be.
fn read_all(cli: &Cli, model: &Model, paths: &[String], expected: impl Fn(&Capability) -> String) -> usize {
    let readable = model.mapping.capabilities.iter().zip(paths).filter(|(cap, _)| cap.read.is_some());
    let wanted: Vec<(&Capability, &String)> = readable.collect();
    let mut arguments = vec!["get"];
    arguments.extend(wanted.iter().map(|(_, path)| path.as_str()));
    let answer = cli.json(&arguments);
    let mut got = BTreeMap::new();
    for result in answer["results"].as_array().unwrap() {
        let pairs = result["values"].as_object().into_iter().flatten();
        got.extend(pairs.map(|(path, value)| (path.clone(), value.as_str().unwrap().to_owned())));
    }
    for (cap, path) in &wanted {
        let value = got.get(*path).unwrap_or_else(|| panic!("{} {}: {answer}", model.file, cap.id));
        assert_same(model, cap, value, &expected(cap));
    }
    wanted.len()
}

/// Sets every value that the vectors write, and looks for each in the device and through the broker.
fn set_all(
    cli: &Cli,
    model: &Model,
    cap: &Capability,
    path: &str,
    round: usize,
    handle: &ModbusHandle,
) -> usize {
    let mut values = texts(&model.draft, &cap.id, |test| &test.write);
    assert!(!values.is_empty(), "{}: no vector writes {}", model.file, cap.id);
    if cap.write.as_ref().is_some_and(|write| !write.rate.is_zero()) {
        values = vec![values[round % values.len()].clone()];
    }
    for value in &values {
        cli.ok(&["set", &format!("{path}={value}")]);
        let inside = handle.get(&cap.id).unwrap_or_else(|| panic!("{}: {} is nothing", model.file, cap.id));
        assert_same(model, cap, &inside.to_string(), value);
        if cap.read.is_some() {
            assert_same(model, cap, &cli.value(path), value);
        }
    }
    values.len()
}

/// One value in two spellings, or the same text.
fn assert_same(model: &Model, cap: &Capability, found: &str, expected: &str) {
    let number = |text: &str| text.parse::<f64>().ok();
    let same = match (number(found), number(expected)) {
        (Some(found), Some(expected)) => (found - expected).abs() <= expected.abs() * 1e-9,
        _ => found == expected,
    };
    assert!(same, "{} {}: {found} instead of {expected}", model.file, cap.id);
}

fn line(table: &mut String, name: &str, tally: &Tally) {
    let Tally { capabilities, vectors, frames, gets, sets } = tally;
    writeln!(table, "{name:<34} {capabilities:>12} {vectors:>8} {frames:>7} {gets:>6} {sets:>6}").unwrap();
}
