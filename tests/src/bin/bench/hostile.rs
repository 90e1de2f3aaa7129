//! Minutes of hostile input on every transport, while a good Controller is to be answered.

use std::path::Path;
use std::time::Duration;

use usp_tests::hostile::Target;
use usp_tests::mosquitto::Mosquitto;
use usp_tests::wait::eventually;

use crate::service::Plan;
use crate::table::{percentile, print};
use crate::world::{SERVICE, SERVICE_ID, place};

/// Milliseconds that each answer to the good Controller may take.
const BOUND: f64 = 1000.0;

/// KiB that the broker may need at any time: its own, and 8 MiB (`max_outbox_bytes`) for each of the eight slow readers.
const MOST: u64 = (64 + 8 * 8) * 1024;

/// From the end of the siege to the last look at the memory: what is worth it is given back a second after a peer is gone.
const SETTLED: Duration = Duration::from_secs(3);

/// Measures and prints.
pub(crate) async fn measure(minutes: f64) {
    let server = Path::new("/usr/sbin/mosquitto").exists().then(Mosquitto::start);
    let topic = "usp/agent/self::hub";
    let client = server.as_ref().map_or(String::new(), |server| {
        format!(
            "[[mqtt]]\nname = \"main\"\nbroker = \"{}\"\nresponse_topic = \"{topic}\"\n",
            server.address()
        )
    });
    let place = place(&client);
    let broker = place.start();
    let service = Plan::new(&place.path("controller"), SERVICE_ID, SERVICE).start();
    let label = format!("{SERVICE}Label");
    eventually("the Service's model", || place.cli().values(&label).into_keys().next());
    let before = broker.resident_kib();
    let (good, notifications) = place.client("self::good").await;
    drop(notifications);
    let target = Target::of(&place, server.as_ref().map(|server| (server.address(), topic.to_owned())));
    let paths = ["Device.DeviceInfo.Manufacturer".to_owned(), label];
    let seen = target.besiege(Duration::from_secs_f64(minutes * 60.0), &good, &paths).await;
    let most = broker.peak_kib();
    tokio::time::sleep(SETTLED).await;
    let after = broker.resident_kib();
    let panics = place.log().matches("panicked").count();
    drop((service, server));
    let times = &seen.times;
    let rows = [
        ("bad peers and publications", seen.rounds.to_string()),
        ("Gets of the good Controller", times.len().to_string()),
        ("their p50", format!("{:.1} ms", percentile(times.iter().copied(), 50))),
        ("their p99", format!("{:.1} ms", percentile(times.iter().copied(), 99))),
        ("the longest", format!("{:.0} ms (≤ {BOUND})", percentile(times.iter().copied(), 100))),
        ("without the right answer", format!("{} (0) {:?}", seen.wrong.len(), seen.wrong.first())),
        ("resident before", format!("{before} KiB")),
        ("resident at most", format!("{most} KiB (≤ {MOST})")),
        ("resident after", format!("{after} KiB")),
        ("panics in the log", format!("{panics} (0)")),
    ];
    let rows = rows.map(|(name, value)| vec![name.to_owned(), value]);
    print(&format!("{minutes} minutes of hostile input on every transport"), &rows);
}
