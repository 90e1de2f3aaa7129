//! Gets on other paths, one each 10 ms, while a Service is stopped and a device silent.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use usp_broker::client::Client;
use usp_proto::usp::Get;
use usp_proto::usp::request::ReqType;
use usp_simulators::mischief::Fault;
use usp_tests::things::meters;
use usp_tests::wait::eventually;

use crate::table::{median, percentile, print};
use crate::world::{SERVICE, World, reading};

/// From one Get to the next.
const PERIOD: Duration = Duration::from_millis(10);

/// Each so many Gets, the stalled owners are asked too.
const NUISANCE: usize = 20;

/// Root of the Service that is not stopped.
const LIVELY: &str = "Device.X_USPBROKER-DEMO_Boiler.";

/// Measures and prints.
pub(crate) async fn measure(rounds: u32, seconds: u64) {
    let other = meters(&[1]).await;
    let world = World::start(&[("other", other.local_addr(), 1)]).await;
    let _lively = world.place.service("proto::lively", LIVELY);
    let others = vec![
        "Device.DeviceInfo.Manufacturer".to_owned(),
        format!("{LIVELY}Label"),
        reading(&world.place, "other"),
    ];
    let stalled = vec![format!("{SERVICE}Label"), reading(&world.place, "meter"), "Device.".to_owned()];
    let (client, notifications) = world.place.client("self::steady").await;
    let (nuisance, unread) = world.place.client("self::nuisance").await;
    drop((notifications, unread));
    let time = Duration::from_secs(seconds);
    let (mut calm, mut disturbed) = (Vec::new(), Vec::new());
    let mut refused = 0;
    for _ in 0..rounds {
        calm.push(p99(steady(&client, &nuisance, &others, &[], time).await, &mut refused));
        world.service.signal("STOP");
        world.meter.fault(Fault::Silent);
        disturbed.push(p99(steady(&client, &nuisance, &others, &stalled, time).await, &mut refused));
        world.service.signal("CONT");
        world.meter.clear_faults();
        let cli = world.place.cli();
        eventually("both owners again", || {
            stalled[..2].iter().all(|path| !cli.values(path).is_empty()).then_some(())
        });
    }
    show(calm, disturbed, refused);
}

/// Time each Get took from its due moment, in milliseconds; `None`: it was not answered.
pub(crate) async fn steady(
    client: &Client,
    nuisance: &Client,
    others: &[String],
    stalled: &[String],
    time: Duration,
) -> Vec<Option<f64>> {
    let mut tasks = JoinSet::new();
    let mut asked = JoinSet::new();
    let mut due = interval(PERIOD);
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let until = Instant::now() + time;
    for (number, path) in others.iter().cycle().enumerate() {
        let due = due.tick().await;
        if due >= until {
            break;
        }
        if number % NUISANCE == 0 {
            stalled.iter().for_each(|path| drop(asked.spawn(get(nuisance.clone(), path.clone()))));
        }
        let answer = get(client.clone(), path.clone());
        tasks.spawn(async move { answer.await.then(|| due.elapsed().as_secs_f64() * 1e3) });
    }
    let times = tasks.join_all().await;
    asked.join_all().await;
    times
}

async fn get(client: Client, path: String) -> bool {
    let get = Get { param_paths: vec![path], max_depth: 0 };
    client.request(ReqType::Get(get)).await.is_ok()
}

/// Of those that were answered.
pub(crate) fn p99(times: Vec<Option<f64>>, refused: &mut usize) -> f64 {
    *refused += times.iter().filter(|time| time.is_none()).count();
    percentile(times.into_iter().flatten(), 99)
}

fn show(calm: Vec<f64>, disturbed: Vec<f64>, refused: usize) {
    let (rounds, calm, disturbed) = (calm.len(), median(calm), median(disturbed));
    let limit = (1.5 * calm).max(calm + 5.0);
    let verdict = if disturbed <= limit { "within" } else { "above" };
    let rows = vec![
        vec!["undisturbed p99".to_owned(), format!("{calm:.2} ms")],
        vec!["stalled p99".to_owned(), format!("{disturbed:.2} ms")],
        vec!["limit".to_owned(), format!("{limit:.2} ms (1.5 × or + 5 ms): {verdict}")],
        vec!["not answered".to_owned(), refused.to_string()],
    ];
    print(
        &format!(
            "100 Gets a second on other paths, a Service stopped and a device silent; medians of {rounds} rounds"
        ),
        &rows,
    );
}
