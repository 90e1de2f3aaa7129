//! Very many points of field devices: how punctual polling is, what it costs, and how long writes take meanwhile.

mod bare;
mod plant;
mod reload;

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use tokio::time::sleep;
use tokio_modbus::prelude::Writer;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{Set, set};
use usp_tests::place::Place;
use usp_tests::process::Process;
use usp_tests::wait::eventually;

use crate::table::{median, percentile, print};
use plant::{Plant, Told};

/// Registers of one read.
const BLOCK: u16 = 100;

/// Devices, each with a connection of its own.
const DEVICES: usize = 100;

/// What everybody does at the start does not count.
const WARM: Duration = Duration::from_secs(3);

/// How long a device thinks while writes are timed.
const THINKS: Duration = Duration::from_millis(5);

/// From one write to the next.
const WRITES: Duration = Duration::from_millis(20);

/// Plays a part of the plant, if this process is to.
pub(crate) fn play() -> Option<ExitCode> {
    plant::play().or_else(bare::play)
}

/// Measures and prints.
pub(crate) async fn measure(rounds: u32, seconds: u64) {
    let time = Duration::from_secs(seconds);
    load(1, 25, rounds, time).await;
    load(10, 60, rounds.min(2), time).await;
    writes(time).await;
    first(rounds);
    reload::measure(rounds);
}

/// One side of the comparison.
struct Seen {
    told: Told,
    /// Milliseconds of processor time a second.
    busy: f64,
    pss_kib: u64,
}

async fn load(blocks: u16, most_mb: u64, rounds: u32, time: Duration) {
    let mut plant = Plant::start(DEVICES, Duration::ZERO);
    let place = place(&plant.ports, blocks);
    let (mut loops, mut brokers) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let bare = bare::start(&plant.ports, blocks);
        loops.push(watch(&mut plant, bare, time).await);
        brokers.push(watch(&mut plant, place.start(), time).await);
    }
    let points = DEVICES * usize::from(blocks) * usize::from(BLOCK);
    let middle = |side: &[Seen], of: fn(&Seen) -> f64| median(side.iter().map(of));
    let ratio = median(loops.iter().zip(&brokers).map(|(bare, broker)| broker.busy / bare.busy));
    let row = |name: &str, of: fn(&Seen) -> f64, digits: usize, want: String| {
        let (bare, broker) = (middle(&loops, of), middle(&brokers, of));
        vec![name.to_owned(), format!("{bare:.digits$}"), format!("{broker:.digits$}"), want]
    };
    let head = ["", "bare loop", "broker", "wanted"].map(str::to_owned).to_vec();
    let rows = vec![
        head,
        row("intervals seen", |seen| seen.told.intervals as f64, 0, String::new()),
        row("within 50 ms of 1 s, %", |seen| seen.told.within, 2, "99".to_owned()),
        row("99 % are off by at most, ms", |seen| seen.told.p99, 1, "50 beyond the loop".to_owned()),
        row("processor, ms a second", |seen| seen.busy, 1, format!("2 × the loop; seen {ratio:.2} ×")),
        row("memory (PSS), MB", |seen| seen.pss_kib as f64 / 1024.0, 1, format!("≤ {most_mb}")),
    ];
    print(&format!("{points} points each second from {DEVICES} devices; medians of {rounds} rounds"), &rows);
}

async fn watch(plant: &mut Plant, process: Process, time: Duration) -> Seen {
    sleep(WARM).await;
    plant.forget();
    let (begun, busy) = (Instant::now(), process.processor_ms());
    sleep(time).await;
    let busy = (process.processor_ms() - busy) / begun.elapsed().as_secs_f64();
    Seen { told: plant.tell(), busy, pss_kib: process.pss_kib() }
}

/// A site of these devices.
fn place(ports: &[u16], blocks: u16) -> Place {
    let place = crate::world::place("");
    place.write("points.yaml", &mapping(blocks));
    let (mut buses, mut devices) = (String::new(), String::new());
    for (number, port) in ports.iter().enumerate() {
        buses += &format!("  b{number}: {{modbus_tcp: \"127.0.0.1:{port}\"}}\n");
        devices += &format!("  d{number}: {{file: points.yaml, bus: b{number}, unit: 1}}\n");
    }
    place.write("site.yaml", &format!("site: 1\nbuses:\n{buses}devices:\n{devices}"));
    place
}

/// Level sensors side by side, and a control that only writes look at.
fn mapping(blocks: u16) -> String {
    let mut text = format!(
        "uspmap: 1\nprofile: bench.points\nversion: 1.0.0\ndevice: {{type: Meter}}\n\
         modbus: {{max_registers: {BLOCK}}}\npoll: {{all: 1s}}\ncapabilities:\n\
         \x20 target: {{class: LevelControl, type: Power, unit: W, min: 0, max: 60000, read: {{holding: 60000}}, \
         write: {{verify: false}}, poll: on_demand}}\n"
    );
    for at in 0..blocks * BLOCK {
        text += &format!(
            "  r{at}: {{class: LevelSensor, type: Power, unit: W, read: {{holding: {at}}}, poll: all}}\n"
        );
    }
    text
}

/// Sets while 10,000 points are polled each second, and as many writes of a bare client to a device that the broker does not
/// know: what it sees of the device's delay is the device's, and the machine's timers'.
async fn writes(time: Duration) {
    let plant = Plant::start(DEVICES + 1, THINKS);
    let (spare, known) = plant.ports.split_last().unwrap();
    let place = place(known, 1);
    let _broker = place.start();
    let (client, notifications) = place.client("self::writer").await;
    drop(notifications);
    let mut bare = bare::connect(*spare).await;
    sleep(WARM).await;
    let until = Instant::now() + time;
    let (mut times, mut alone, mut refused) = (Vec::new(), Vec::new(), 0);
    for number in (0..).take_while(|_| Instant::now() < until) {
        let begun = Instant::now();
        match client.request(target(number % DEVICES + 1, number)).await {
            Ok(RespType::SetResp(_)) => times.push(begun.elapsed().as_secs_f64() * 1e3),
            _ => refused += 1,
        }
        sleep(WRITES).await;
        let begun = Instant::now();
        bare.write_single_register(60_000, (number % 60_000) as u16).await.unwrap().unwrap();
        alone.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let own = median(alone.iter().copied());
    let row = |name: &str, text: String| vec![name.to_owned(), text];
    let beyond = |percent| percentile(times.iter().copied(), percent) - own;
    let rows = vec![
        row("Sets", times.len().to_string()),
        row("not done", refused.to_string()),
        row(
            "a bare client, p50",
            format!("{own:.2} ms, of which the device thinks {} ms", THINKS.as_millis()),
        ),
        row(
            "a bare client, p99",
            format!("{:.2} ms beyond that", percentile(alone.iter().copied(), 99) - own),
        ),
        row("p50", format!("{:.2} ms beyond it", beyond(50))),
        row("p99", format!("{:.2} ms beyond it (≤ 5 ms)", beyond(99))),
    ];
    print("Sets one after another while 10,000 points are polled each second", &rows);
}

fn target(row: usize, number: usize) -> ReqType {
    let setting = set::UpdateParamSetting {
        param: "Value".to_owned(),
        value: (number % 60_000).to_string(),
        required: true,
    };
    let obj_path = format!("Device.ProxiedDevice.{row}.IoTCapability.1.LevelControl.");
    let update_objs = vec![set::UpdateObject { obj_path, param_settings: vec![setting] }];
    ReqType::Set(Set { allow_partial: false, update_objs })
}

/// From the start of the process until 1,000 points were asked for.
fn first(rounds: u32) {
    let mut plant = Plant::start(10, Duration::ZERO);
    let place = place(&plant.ports, 1);
    let mut times = Vec::new();
    // The first makes the store, and is not counted.
    for _ in 0..=rounds {
        plant.forget();
        let begun = SystemTime::now();
        let broker = place.start();
        let complete = eventually("a read of every block", || {
            let told = plant.tell();
            told.complete.filter(|_| told.blocks >= 10)
        });
        times.push(complete.duration_since(begun).unwrap().as_secs_f64() * 1e3);
        broker.signal("TERM");
        assert!(broker.ended().success());
    }
    let took = median(times.into_iter().skip(1));
    let row = vec!["10 devices of 100 points".to_owned(), format!("{took:.1} ms (≤ 50 ms)")];
    print(
        &format!("Start of the process to the first read of 1,000 points; median of {rounds} rounds"),
        &[row],
    );
}
