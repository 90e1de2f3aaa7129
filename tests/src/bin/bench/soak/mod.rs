//! Hundreds of devices of all protocols, each of which says something new every few seconds: what comes of each word, how
//! long it takes to the Controller, and what the broker needs meanwhile.

mod air;
mod ledger;
mod plant;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval, sleep};
use usp_broker::client::{Client, Notifications};
use usp_proto::usp::Add;
use usp_proto::usp::add::{CreateObject, CreateParamSetting};
use usp_proto::usp::notify::Notification;
use usp_proto::usp::request::ReqType;
use usp_tests::cli::Cli;
use usp_tests::place::Place;
use usp_tests::process::Process;
use usp_tests::wait::eventually_ok;

use crate::table::{percentile, print};
use crate::world::place;
use ledger::{Account, Ledger};
use plant::{KINDS, Kind, Plant};

/// All devices say something new once in this time, one after the other.
const ROUND: Duration = Duration::from_secs(3);

/// What is under way at the end has so long: more than any poll.
const REST: Duration = Duration::from_secs(5);

/// Measures and prints.
pub(crate) async fn measure(minutes: f64) {
    let plant = Plant::start().await;
    let mut place = place("");
    plant.site(&mut place);
    let broker = place.start();
    let cli = place.cli();
    let devices = plant.sources.len();
    // The bridge is a device too.
    await_online(&cli, devices + 1);
    let ledger = Arc::new(Mutex::new(Ledger::new(devices)));
    let (client, notifications) = place.client("self::soak").await;
    let names = cli.values("Device.ProxiedDevice.*.Name");
    let row = |name: &String| names.iter().find(|(_, value)| *value == name).map(|(path, _)| path.clone());
    for (index, source) in plant.sources.iter().enumerate() {
        let row = row(&source.name).unwrap_or_else(|| panic!("{} has no row", source.name));
        ledger.lock().unwrap().place(row.trim_end_matches("Name"), index);
    }
    subscribe(&client).await;
    tokio::spawn(hear(notifications, Arc::clone(&ledger)));
    // Caches, buffers and the first readings are there after one round.
    say(&plant, &ledger, ROUND).await;
    sleep(REST).await;
    ledger.lock().unwrap().forget();
    let (begun, before, busy) = (Instant::now(), broker.resident_kib(), broker.processor_ms());
    say(&plant, &ledger, Duration::from_secs_f64(minutes * 60.0)).await;
    let busy = (broker.processor_ms() - busy) / begun.elapsed().as_secs_f64();
    let after = broker.resident_kib();
    sleep(REST).await;
    let ledger = ledger.lock().unwrap();
    let title =
        format!("{minutes} minutes with {devices} devices, each of which says something every {ROUND:?}");
    print(&title, &accounts(&plant, &ledger));
    print("The broker meanwhile", &health(&place, &broker, devices + 1, [before, after], busy));
}

fn await_online(cli: &Cli, wanted: usize) {
    let look = || {
        let online = cli.values("Device.ProxiedDevice.*.Online");
        let there = online.values().filter(|is| *is == "true").count();
        if there == wanted { Ok(()) } else { Err((there, online.len())) }
    };
    eventually_ok(look, |(there, all)| format!("{there} of {all} devices are there instead of {wanted}"));
}

/// Lets each device say something new in its turn.
async fn say(plant: &Plant, ledger: &Mutex<Ledger>, time: Duration) {
    let devices = u32::try_from(plant.sources.len()).unwrap();
    let mut turn = interval(ROUND / devices);
    turn.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let until = Instant::now() + time;
    for (index, source) in plant.sources.iter().enumerate().cycle() {
        turn.tick().await;
        if Instant::now() >= until {
            break;
        }
        // What is told may be heard before `say` returns.
        let value = ledger.lock().unwrap().next(index, source.kind);
        source.say(&value);
    }
}

async fn hear(mut notifications: Notifications, ledger: Arc<Mutex<Ledger>>) {
    while let Ok(notify) = notifications.next().await {
        if let Some(Notification::ValueChange(change)) = &notify.notification {
            ledger.lock().unwrap().heard(&change.param_path, &change.param_value);
        }
    }
}

async fn subscribe(client: &Client) {
    let set = |param: &str, value: &str| CreateParamSetting {
        param: param.to_owned(),
        value: value.to_owned(),
        required: true,
    };
    let path = |kind: &Kind| {
        format!("Device.ProxiedDevice.*.IoTCapability.[Name==\"{}\"].LevelSensor.Value", kind.capability())
    };
    let mut paths: Vec<String> = KINDS.iter().map(path).collect();
    paths.sort();
    paths.dedup();
    let param_settings = vec![
        set("ID", "soak"),
        set("NotifType", "ValueChange"),
        set("ReferenceList", &paths.join(",")),
        set("Enable", "true"),
    ];
    let obj_path = "Device.LocalAgent.Subscription.".to_owned();
    let create_objs = vec![CreateObject { obj_path, param_settings }];
    client.request(ReqType::Add(Add { allow_partial: false, create_objs })).await.unwrap();
}

fn accounts(plant: &Plant, ledger: &Ledger) -> Vec<Vec<String>> {
    let head = ["", "devices", "said", "told", "newer told instead", "lost", "p50", "p99", "longest"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for kind in KINDS {
        let of_kind = |(index, _): &(usize, &plant::Source)| plant.sources[*index].kind == kind;
        let ours: Vec<usize> =
            plant.sources.iter().enumerate().filter(of_kind).map(|(index, _)| index).collect();
        let Account { said, told, merged, lost, times } = ledger.account(&ours);
        let at = |percent| match times.as_slice() {
            [] => String::new(),
            times => format!("{:.1} ms", percentile(times.iter().copied(), percent)),
        };
        let counts = [ours.len(), said, told, merged, lost].map(|count| count.to_string());
        let name = [kind.title().to_owned()];
        rows.push([name.as_slice(), &counts, &[at(50), at(99), at(100)]].concat());
    }
    rows
}

fn health(
    place: &Place,
    broker: &Process,
    devices: usize,
    [before, after]: [u64; 2],
    busy: f64,
) -> Vec<Vec<String>> {
    let cli = place.cli();
    let online = cli.values("Device.ProxiedDevice.*.Online");
    let there = online.values().filter(|is| *is == "true").count();
    let restarts: u64 = cli
        .values("Device.X_USPBROKER_Bus.*.Restarts")
        .values()
        .map(|count| count.parse::<u64>().unwrap())
        .sum();
    let log = place.log();
    let grown = i128::from(after) - i128::from(before);
    let rows = [
        ("devices that are there at the end", format!("{there} of {} ({devices})", online.len())),
        ("tasks that ended badly", format!("{restarts} (0)")),
        ("panics in the log", format!("{} (0)", log.matches("panicked").count())),
        (
            "warnings and errors in the log",
            (log.matches(" WARN").count() + log.matches("ERROR").count()).to_string(),
        ),
        ("resident at the start", format!("{before} KiB")),
        ("resident at the end", format!("{after} KiB ({grown:+})")),
        ("resident at most", format!("{} KiB", broker.peak_kib())),
        ("processor", format!("{busy:.1} ms a second")),
    ];
    rows.map(|(name, value)| vec![name.to_owned(), value]).to_vec()
}
