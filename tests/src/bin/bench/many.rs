//! 200 Services and 200 Controllers at once: one Service of twenty behind a Get stops, and very many requests to Services
//! that are slow, killed and started again.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use usp_broker::client::Client;
use usp_proto::usp::Get;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_tests::wait::eventually_async;

use crate::load::Load;
use crate::service::Plan;
use crate::stall::{p99, steady};
use crate::table::{median, print};
use crate::world::World;

/// Services, and Controllers.
const MANY: u32 = 200;

/// Services behind one Get.
const WIDE: u32 = 20;

/// Requests of one Controller under way.
const UNDER_WAY: usize = 16;

/// Controllers that ask in the long run.
const ASKING: u32 = 32;

/// Longest delay of a Service's answer in the long run.
const DELAY: Duration = Duration::from_millis(20);

/// No answer for so long is none.
const PATIENCE: Duration = Duration::from_secs(60);

const STOPPED: &str = "Device.X_BENCH_Stopped.";

fn root(number: u32) -> String {
    format!("Device.X_BENCH_Many{number}.")
}

fn plan(world: &World, endpoint: &str, root: &str) -> Plan {
    Plan::new(&world.place.path("controller"), endpoint, root)
}

/// One of twenty Services behind a Get stops.
pub(crate) async fn measure(rounds: u32, seconds: u64) {
    let world = World::start(&[]).await;
    let rest = Plan { count: MANY - 2, ..plan(&world, "proto::many", "Device.X_BENCH_Many#.") };
    let (_rest, stopped) = (rest.start(), plan(&world, "proto::stopped", STOPPED).start());
    let mut controllers = Vec::new();
    for number in 0..MANY - 2 {
        controllers.push(Load::uds(&world.place.path("agent"), &format!("self::many-{number}")).await);
    }
    let (client, a) = world.place.client("self::steady").await;
    let (nuisance, b) = world.place.client("self::nuisance").await;
    drop((a, b));
    let mut wide: Vec<String> = (0..WIDE - 1).map(|number| format!("{}Label", root(number))).collect();
    wide.push(format!("{STOPPED}Label"));
    eventually_async("all models", async || (parts(&nuisance, &wide).await.0 == WIDE as usize).then_some(()))
        .await;
    let others = vec!["Device.DeviceInfo.Manufacturer".to_owned(), format!("{}Label", root(100))];
    let time = Duration::from_secs(seconds);
    let (mut calm, mut disturbed, mut refused) = (Vec::new(), Vec::new(), 0);
    let mut seen = Vec::new();
    for _ in 0..rounds {
        calm.push(p99(steady(&client, &nuisance, &others, &[], time).await, &mut refused));
        stopped.signal("STOP");
        let asking = nuisance.clone();
        let paths = wide.clone();
        let begun = Instant::now();
        let asked = tokio::spawn(async move { (parts(&asking, &paths).await, begun.elapsed()) });
        disturbed.push(p99(steady(&client, &nuisance, &others, &wide[..], time).await, &mut refused));
        let ((good, failed), took) = asked.await.unwrap();
        seen.push((good, failed, took));
        stopped.signal("CONT");
        eventually_async("it again", async || (parts(&nuisance, &wide).await.1 == 0).then_some(())).await;
    }
    let (calm, disturbed) = (median(calm), median(disturbed));
    let (good, failed, took) = seen.remove(0);
    print(
        &format!(
            "{MANY} Services and {MANY} Controllers, one of {WIDE} Services behind a Get stopped; medians of {rounds} rounds"
        ),
        &[
            vec!["undisturbed p99 of others".to_owned(), format!("{calm:.2} ms")],
            vec![
                "stopped p99 of others".to_owned(),
                format!("{disturbed:.2} ms (≤ {:.2} ms)", (1.5 * calm).max(calm + 5.0)),
            ],
            vec![
                "parts of the Get".to_owned(),
                format!("{good} values, {failed} errors ({} and 1)", WIDE - 1),
            ],
            vec!["its time".to_owned(), format!("{:.1} s (5 s)", took.as_secs_f64())],
            vec!["others not answered".to_owned(), refused.to_string()],
        ],
    );
}

/// Values and errors of a Get.
async fn parts(client: &Client, paths: &[String]) -> (usize, usize) {
    let get = Get { param_paths: paths.to_vec(), max_depth: 0 };
    let Ok(RespType::GetResp(answer)) = client.request(ReqType::Get(get)).await else { return (0, 0) };
    let good = answer.req_path_results.iter().filter(|r| !r.resolved_path_results.is_empty()).count();
    (good, answer.req_path_results.iter().filter(|r| r.err_code != 0).count())
}

/// Very many requests while Services are slow, killed and started again.
pub(crate) async fn long_run(requests: u64) {
    let world = World::start(&[]).await;
    let group = |number: u32| Plan {
        count: MANY / 4,
        delay: DELAY,
        ..plan(&world, &format!("proto::group{number}"), &format!("Device.X_BENCH_G{number}N#."))
    };
    let mut groups: Vec<_> = (0..4).map(|number| group(number).start()).collect();
    let mut asking = JoinSet::new();
    let share = requests / u64::from(ASKING);
    for number in 0..ASKING {
        let mut load = Load::uds(&world.place.path("agent"), &format!("self::long-{number}")).await;
        let paths: Vec<String> = (0..40)
            .map(|n| format!("Device.X_BENCH_G{}N{}.Label", n % 4, (n * 7 + number) % (MANY / 4)))
            .collect();
        asking.spawn(async move {
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            let (mut done, mut left) = (0, share);
            while left > 0 {
                // In portions, each of which ends with all of it answered.
                let part = left.min(2000);
                let asked = load.keep_under_way(&paths, UNDER_WAY, |n| n + UNDER_WAY as u64 > part);
                let Ok(answers) = timeout(PATIENCE, asked).await else { return (done, false) };
                done += answers;
                left = left.saturating_sub(answers);
            }
            (done, true)
        });
    }
    let begun = Instant::now();
    let (mut answered, mut complete, mut killed) = (0, true, 0);
    let mut next = 0;
    loop {
        match timeout(Duration::from_secs(1), asking.join_next()).await {
            Ok(Some(outcome)) => {
                let (done, all) = outcome.unwrap();
                answered += done;
                complete &= all;
            }
            Ok(None) => break,
            Err(_) => {
                groups[next].kill();
                groups[next] = group(next as u32).start();
                killed += MANY / 4;
                next = (next + 1) % groups.len();
            }
        }
    }
    let verdict = if complete { "0 (0)" } else { "some: no answer for a minute (0)" };
    print(
        "Requests to Services with random delays, killed and started again",
        &[
            vec!["answered".to_owned(), answered.to_string()],
            vec!["without an answer".to_owned(), verdict.to_owned()],
            vec!["Services killed".to_owned(), killed.to_string()],
            vec!["time".to_owned(), format!("{:.0} s", begun.elapsed().as_secs_f64())],
        ],
    );
}
