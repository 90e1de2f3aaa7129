//! Resident memory of the broker after very many Gets.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;
use usp_broker::client::{Client, Options};
use usp_proto::usp::Get;
use usp_proto::usp::request::ReqType;
use usp_tests::mosquitto::Mosquitto;

use crate::load::Load;
use crate::table::{median, print};
use crate::world::{World, place};

/// After these everything has been used once: caches, buffers, the allocator's own.
const WARM: u64 = 20_000;

/// KiB of a broker that has nothing to do.
const IDLE: u64 = 12 * 1024;

/// Until what only a start needs has been given back.
const SETTLED: Duration = Duration::from_secs(3);

/// Milliseconds from the start of the process to `ready`.
const READY: f64 = 50.0;

/// Requests under way.
const MANY: usize = 32;

/// Measures and prints.
pub(crate) async fn measure(gets: u64) {
    let server = Path::new("/usr/sbin/mosquitto").exists().then(Mosquitto::start);
    let topic = "usp/agent/self::hub";
    let more = server.as_ref().map_or(String::new(), |server| {
        let address = server.address();
        format!(
            "[[mqtt]]\nname = \"main\"\nbroker = \"{address}\"\nresponse_topic = \"{topic}\"\n[[controller]]\nendpoint_id = \
             \"self::memory-mqtt\"\nrole = \"Full Access\"\nmqtt = {{ client = \"main\", topic = \"memory\" }}\n"
        )
    });
    let world = World::start_with(&[], &more).await;
    let mqtt = match &server {
        Some(server) => Some(mqtt(&format!("mqtt://{}/{topic}", server.address())).await),
        None => None,
    };
    let mut uds = Load::uds(&world.place.path("agent"), "self::memory-uds").await;
    let mut web = Load::websocket(&world.place.websocket(), "self::memory-web").await;
    let paths: Vec<&str> = world.paths.iter().map(|(_, path)| path.as_str()).collect();
    let mut rows = vec![["Gets", "resident"].map(str::to_owned).to_vec()];
    sleep(SETTLED).await;
    rows.push(vec!["0".to_owned(), format!("{} KiB (idle: ≤ {IDLE})", idle(&world))]);
    let mut seen = Vec::new();
    let mut done = 0;
    for goal in [WARM, gets.max(WARM + 1)] {
        // As many over each transport.
        for load in [&mut uds, &mut web] {
            let part = goal - done;
            load.keep_under_way(&paths, MANY, |answers| answers + MANY as u64 > part).await;
        }
        if let Some(client) = &mqtt {
            ask(client, &paths, goal - done).await;
        }
        done = goal;
        let resident = world.broker.resident_kib();
        seen.push(resident);
        rows.push(vec![format!("{done} a transport"), format!("{resident} KiB")]);
    }
    let grown = i128::from(seen[1]) - i128::from(seen[0]);
    rows.push(vec!["difference".to_owned(), format!("{grown:+} KiB (flat is +2048 at most)")]);
    print("Memory of the broker, Gets of the broker's, a Service's and a device's Parameter in turn", &rows);
}

async fn mqtt(via: &str) -> Client {
    let options = Options::new(via.parse().unwrap(), "self::memory-mqtt".parse().unwrap());
    let (client, notifications) = Client::connect(&options).await.unwrap();
    drop(notifications);
    client
}

/// So many Gets of all paths in turn, [`MANY`] under way.
async fn ask(client: &Client, paths: &[&str], count: u64) {
    let mut asking = JoinSet::new();
    for number in 0..MANY as u64 {
        let share = count / MANY as u64 + u64::from(number < count % MANY as u64);
        let (client, paths) =
            (client.clone(), paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>());
        asking.spawn(async move {
            for path in paths.iter().cycle().take(usize::try_from(share).unwrap()) {
                let get = Get { param_paths: vec![path.clone()], max_depth: 0 };
                client.request(ReqType::Get(get)).await.unwrap();
            }
        });
    }
    asking.join_all().await;
}

/// Resident, and how much of it is memory of its own; the rest is the program's file.
fn idle(world: &World) -> String {
    let own = world.broker.anonymous_kib();
    format!("{}, {own} of its own", world.broker.resident_kib())
}

/// How long a broker with a kept store needs until it is ready.
pub(crate) fn start(rounds: u32) {
    let place = place("local_role = \"Full Access\"");
    let mut times = Vec::new();
    // The first makes the store, and is not counted.
    for _ in 0..=rounds {
        let begun = Instant::now();
        let broker = place.start();
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        broker.signal("TERM");
        assert!(broker.ended().success());
    }
    let took = median(times.into_iter().skip(1));
    let row = vec!["with a kept store".to_owned(), format!("{took:.1} ms (≤ {READY} ms)")];
    print(&format!("Start of the process to ready; median of {rounds} rounds"), &[row]);
}
