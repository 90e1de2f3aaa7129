//! Get of a table of 20,000 Parameters of one Service.

use std::path::Path;

use tokio::time::Instant;
use usp_tests::wait::eventually_async;

use crate::load::Load;
use crate::model::COLUMNS;
use crate::peer::Peer;
use crate::service::Plan;
use crate::table::{median, print};
use crate::world::World;

/// Parameters in all.
const PARAMETERS: u32 = 20_000;

/// Milliseconds: half of what the reference implementation needs.
const TARGET: f64 = 62.0;

const ROOT: &str = "Device.X_BENCH_Large.";

/// Measures and prints.
pub(crate) async fn measure(rounds: u32, peer: Option<&Peer>) {
    let world = World::start(&[]).await;
    let mut rows = vec![["", "median", "target"].map(str::to_owned).to_vec()];
    let own = time(&world.place.path("controller"), &world.place.path("agent"), rounds).await;
    rows.push(vec!["broker".to_owned(), format!("{own:.1} ms"), format!("≤ {TARGET} ms")]);
    if let Some(peer) = peer {
        let theirs = time(&peer.services, &peer.agent, rounds).await;
        let target = format!("broker ≤ {:.1} ms", theirs / 2.0);
        rows.push(vec!["peer".to_owned(), format!("{theirs:.1} ms"), target]);
    }
    print(&format!("Get of {PARAMETERS} Parameters of a Service; medians of {rounds} rounds"), &rows);
}

async fn time(services: &Path, agent: &Path, rounds: u32) -> f64 {
    let plan = Plan { rows: PARAMETERS / COLUMNS, ..Plan::new(services, "proto::large", ROOT) };
    let _service = plan.start();
    let mut load = Load::uds(agent, "self::large").await;
    let label = format!("{ROOT}Label");
    eventually_async("the Service's model", async || load.has(&label).await.then_some(())).await;
    let mut times = Vec::new();
    // The first is not counted.
    for _ in 0..=rounds {
        let begun = Instant::now();
        let answer = load.ask(&format!("{ROOT}Item.")).await;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        // What the Controller makes of it takes time of its own.
        assert_eq!(answer.count(), PARAMETERS as usize);
    }
    median(times.into_iter().skip(1))
}
