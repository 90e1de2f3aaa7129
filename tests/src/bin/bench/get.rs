//! Get of one Parameter: the broker against the echo server, and against any other Agent that is at hand.

use std::time::Duration;

use usp_proto::usp::GetResp;
use usp_tests::process::{Process, processor_time};
use usp_tests::wait::eventually_async;

use crate::Args;
use crate::echo::Echo;
use crate::load::Load;
use crate::peer::Peer;
use crate::relay::Relay;
use crate::service::Plan;
use crate::table::{median, percentile, print};
use crate::world::{SERVICE, SERVICE_ID, World};

/// How long each single measurement takes.
const TIME: Duration = Duration::from_millis(500);

/// Requests under way in the second figure.
const MANY: usize = 32;

/// Of the echo's, at many under way: the broker's own Parameter, a Service's.
const OF_ECHO: [f64; 2] = [0.6, 0.3];

/// Of another Agent's, at many under way: likewise.
const OF_PEER: [f64; 2] = [1.5, 2.5];

/// Of another Agent's time, at one under way.
const OF_PEER_TIME: f64 = 0.5;

/// One transport and owner: connections to all who are measured, and what was measured of each in each round.
struct Case {
    transport: &'static str,
    owner: &'static str,
    path: String,
    /// Echo, broker, and by name the peer and the relay, if they are there and speak this.
    loads: Vec<(&'static str, Load)>,
    rounds: Vec<Vec<Figures>>,
    /// Microseconds of processor time for each answer of the broker: its own, the Service's, the Controller's.
    shares: Vec<[f64; 3]>,
}

/// Microseconds at one in flight (the median of all), answers a second at many.
#[derive(Clone, Copy)]
struct Figures {
    p50: f64,
    rate: f64,
}

/// Measures and prints the cases whose transport and Parameter have this word in them.
pub(crate) async fn measure(args: &Args) {
    let world = World::start(&[]).await;
    let (rounds, wanted) = (args.rounds, Wanted::of(args));
    // A Controller of its own, on one thread: what wakes what between threads is not what is measured.
    let controller = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(rounds_of(world, rounds, &wanted))
    });
    let cases = tokio::task::block_in_place(|| controller.join().unwrap());
    show(&cases, rounds);
}

/// What is measured.
struct Wanted {
    only: String,
    peer: Option<Peer>,
    relay: bool,
}

impl Wanted {
    fn of(args: &Args) -> Self {
        Self { only: args.only.clone(), peer: args.peer.clone(), relay: args.relay }
    }
}

/// What has to run as long as it is measured.
struct Running {
    _echo: Echo,
    _others: Vec<Process>,
}

async fn rounds_of(world: World, rounds: u32, wanted: &Wanted) -> Vec<Case> {
    let (mut cases, _running) = cases(&world, wanted).await;
    for _ in 0..rounds {
        for case in &mut cases {
            case.round(&world).await;
        }
    }
    cases
}

fn show(cases: &[Case], rounds: u32) {
    let head =
        ["transport", "Parameter", "", "p50", "/s", "p50 to echo", "/s to echo", "p50 to peer", "/s to peer"];
    let head = head.map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(cases.iter().flat_map(Case::rows)).collect();
    print(
        &format!(
            "Get of one Parameter: p50 at 1 in flight, answers a second at {MANY}; medians of {rounds} rounds (targets \
             in brackets)"
        ),
        &rows,
    );
    shares(cases);
}

/// Who needs how much of the processors: all run on the same ones.
fn shares(cases: &[Case]) {
    let head = ["transport", "Parameter", "broker", "Service", "Controller"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for case in cases {
        let mut row = vec![case.transport.to_owned(), case.owner.to_owned()];
        let median = |who: usize| percentile(case.shares.iter().map(|share| share[who]), 50);
        row.extend((0..3).map(|who| format!("{:.1} µs", median(who))));
        rows.push(row);
    }
    print(&format!("Processor time of one such Get through the broker at {MANY} in flight"), &rows);
}

async fn cases(world: &World, wanted: &Wanted) -> (Vec<Case>, Running) {
    let socket = world.place.path("agent");
    let url = world.place.websocket();
    let mut asking = Load::uds(&socket, "self::asking").await;
    let mut answers = GetResp::default();
    for (_, path) in &world.paths {
        answers.req_path_results.extend(asking.answer(path).await.req_path_results);
    }
    let echo = Echo::start(world.place.dir(), &answers);
    let service = wanted.peer.as_ref().map(|peer| Plan::new(&peer.services, SERVICE_ID, SERVICE).start());
    let mut others = Vec::from_iter(service);
    let mut cases = Vec::new();
    for transport in ["UDS", "WebSocket"] {
        for (index, (owner, path)) in world.paths.iter().enumerate() {
            if !format!("{transport} {owner}").contains(&wanted.only) {
                continue;
            }
            let own = format!("self::load-{transport}-{index}");
            let mut loads = match transport {
                "UDS" => vec![
                    ("echo", Load::uds(&echo.socket, &own).await),
                    ("broker", Load::uds(&socket, &own).await),
                ],
                _ => vec![
                    ("echo", Load::websocket(&echo.url, &own).await),
                    ("broker", Load::websocket(&url, &own).await),
                ],
            };
            if let (Some(peer), "UDS", 0 | 1) = (&wanted.peer, transport, index) {
                let mut load = Load::uds(&peer.agent, &format!("self::load-{index}")).await;
                eventually_async("the peer's answer", async || load.has(path).await.then_some(())).await;
                loads.push(("peer", load));
            }
            if wanted.relay && index == 1 {
                let relay = Relay::start(world.place.dir(), transport, &own).await;
                loads.push(("relay", relay.load));
                others.extend(relay.processes);
            }
            cases.push(Case {
                transport,
                owner,
                path: path.clone(),
                loads,
                rounds: Vec::new(),
                shares: Vec::new(),
            });
        }
    }
    (cases, Running { _echo: echo, _others: others })
}

/// Microseconds of processor time so far: the broker's, the Service's, our own.
fn used(world: &World) -> [f64; 3] {
    let times =
        [world.broker.processor_time(), world.service.processor_time(), processor_time(std::process::id())];
    times.map(|time| time.as_secs_f64() * 1e6)
}

impl Case {
    async fn round(&mut self, world: &World) {
        let mut round = Vec::new();
        for (_, load) in &mut self.loads {
            // A first look, which is not counted, also says that the answer is one.
            load.answer(&self.path).await;
            let p50 = median(load.one_by_one(&self.path, TIME).await);
            round.push(Figures { p50, rate: 0.0 });
        }
        for (who, ((_, load), figures)) in self.loads.iter_mut().zip(&mut round).enumerate() {
            let before = used(world);
            figures.rate = load.under_way(&self.path, MANY, TIME).await;
            if who == 1 {
                let answers = figures.rate * TIME.as_secs_f64();
                let each = |(after, before): (f64, f64)| (after - before) / answers;
                let after = used(world);
                self.shares.push([0, 1, 2].map(|who| each((after[who], before[who]))));
            }
        }
        self.rounds.push(round);
    }

    /// The median of what is computed in each round.
    fn of(&self, figure: impl Fn(&[Figures]) -> f64) -> f64 {
        percentile(self.rounds.iter().map(|round| figure(round)), 50)
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let of_one = |who: usize| {
            let name = self.loads[who].0;
            let mut row = vec![self.transport.to_owned(), self.owner.to_owned(), name.to_owned()];
            row.push(format!("{:.0} µs", self.of(|round| round[who].p50)));
            row.push(format!("{:.0}", self.of(|round| round[who].rate)));
            match name {
                "broker" => row.extend(self.ratios()),
                "relay" => row.extend(self.to_echo(who).map(|ratio| format!("{ratio:.2}"))),
                _ => {}
            }
            row
        };
        (0..self.loads.len()).map(of_one).collect()
    }

    /// The broker's figures over the others'.
    fn ratios(&self) -> Vec<String> {
        let targets = match self.owner {
            "the broker's own" => Some(0),
            "a Service's" => Some(1),
            _ => None,
        };
        let text = |value: f64, target: Option<String>| match target {
            Some(target) => format!("{value:.2} ({target})"),
            None => format!("{value:.2}"),
        };
        let least = |all: [f64; 2]| targets.map(|index| format!("≥ {}", all[index]));
        let mut ratios = self.to_echo(1).map(|ratio| text(ratio, least(OF_ECHO))).to_vec();
        if let Some(peer) = self.loads.iter().position(|(name, _)| *name == "peer") {
            let time = self.of(|round| round[1].p50 / round[peer].p50);
            ratios.push(text(time, targets.map(|_| format!("≤ {OF_PEER_TIME}"))));
            ratios.push(text(self.of(|round| round[1].rate / round[peer].rate), least(OF_PEER)));
        }
        ratios
    }

    /// What somebody reaches of the echo, at one in flight and at many. The echo answers at once: at one in flight its
    /// time is compared, as what it has of the other's.
    fn to_echo(&self, who: usize) -> [f64; 2] {
        [self.of(|round| round[0].p50 / round[who].p50), self.of(|round| round[who].rate / round[0].rate)]
    }
}
