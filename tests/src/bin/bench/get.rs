//! Get of one Parameter: the broker against the echo server.

use std::time::Duration;

use usp_proto::usp::GetResp;

use crate::echo::Echo;
use crate::load::Load;
use crate::table::{median, percentile, print};
use crate::world::World;

/// How long each single measurement takes.
const TIME: Duration = Duration::from_millis(500);

/// Requests under way in the second figure.
const MANY: usize = 32;

/// One transport and owner: connections to both, and what was measured.
struct Case {
    title: String,
    path: String,
    echo: Load,
    broker: Load,
    rounds: Vec<Round>,
}

/// Microseconds at one in flight (the median of all), answers a second at many.
struct Round {
    echo: (f64, f64),
    broker: (f64, f64),
}

/// Measures and prints.
pub(crate) async fn measure(rounds: u32) {
    let world = World::start(&[]).await;
    let mut cases = cases(&world).await;
    for _ in 0..rounds {
        for case in &mut cases.0 {
            case.round().await;
        }
    }
    let head = ["transport", "Parameter", "echo p50", "broker p50", "ratio", "echo /s", "broker /s", "ratio"];
    let head = head.map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(cases.0.iter().map(Case::row)).collect();
    print(
        &format!(
            "Get of one Parameter: p50 at 1 in flight, answers a second at {MANY}; medians of {rounds} rounds"
        ),
        &rows,
    );
}

/// The echo server lives as long as its connections.
async fn cases(world: &World) -> (Vec<Case>, Echo) {
    let socket = world.place.path("agent");
    let url = world.place.websocket();
    let mut asking = Load::uds(&socket, "self::asking").await;
    let mut answers = GetResp::default();
    for (_, path) in &world.paths {
        answers.req_path_results.extend(asking.answer(path).await.req_path_results);
    }
    let echo = Echo::start(world.place.dir(), &answers);
    let mut cases = Vec::new();
    for transport in ["UDS", "WebSocket"] {
        for (index, (owner, path)) in world.paths.iter().enumerate() {
            let own = format!("self::load-{transport}-{index}");
            let (echo, broker) = match transport {
                "UDS" => (Load::uds(&echo.socket, &own).await, Load::uds(&socket, &own).await),
                _ => (Load::websocket(&echo.url, &own).await, Load::websocket(&url, &own).await),
            };
            let title = format!("{transport}\t{owner}");
            cases.push(Case { title, path: path.clone(), echo, broker, rounds: Vec::new() });
        }
    }
    (cases, echo)
}

impl Case {
    async fn round(&mut self) {
        // A first look at each, which is not counted, also says that the answer is one.
        self.echo.answer(&self.path).await;
        self.broker.answer(&self.path).await;
        let echo = median(self.echo.one_by_one(&self.path, TIME).await);
        let broker = median(self.broker.one_by_one(&self.path, TIME).await);
        let echo = (echo, self.echo.under_way(&self.path, MANY, TIME).await);
        let broker = (broker, self.broker.under_way(&self.path, MANY, TIME).await);
        self.rounds.push(Round { echo, broker });
    }

    fn row(&self) -> Vec<String> {
        let of = |value: fn(&Round) -> f64| percentile(self.rounds.iter().map(value), 50);
        let mut row: Vec<String> = self.title.split('\t').map(str::to_owned).collect();
        row.extend([
            format!("{:.0} µs", of(|round| round.echo.0)),
            format!("{:.0} µs", of(|round| round.broker.0)),
            format!("{:.2} ×", of(|round| round.broker.0 / round.echo.0)),
            format!("{:.0}", of(|round| round.echo.1)),
            format!("{:.0}", of(|round| round.broker.1)),
            format!("{:.2} ×", of(|round| round.broker.1 / round.echo.1)),
        ]);
        row
    }
}
