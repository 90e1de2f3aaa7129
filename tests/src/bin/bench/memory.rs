//! Resident memory of the broker after very many Gets.

use crate::load::Load;
use crate::table::print;
use crate::world::World;

/// After these everything has been used once: caches, buffers, the allocator's own.
const WARM: u64 = 20_000;

/// Requests under way.
const MANY: usize = 32;

/// Measures and prints.
pub(crate) async fn measure(gets: u64) {
    let world = World::start(&[]).await;
    let mut uds = Load::uds(&world.place.path("agent"), "self::memory-uds").await;
    let mut web = Load::websocket(&world.place.websocket(), "self::memory-web").await;
    let paths: Vec<&str> = world.paths.iter().map(|(_, path)| path.as_str()).collect();
    let mut rows = vec![["Gets", "resident"].map(str::to_owned).to_vec()];
    let mut seen = Vec::new();
    let mut done = 0;
    for goal in [WARM, gets.max(WARM + 1)] {
        // Half over each transport.
        for load in [&mut uds, &mut web] {
            let part = (goal - done) / 2;
            load.keep_under_way(&paths, MANY, |answers| answers + MANY as u64 > part).await;
        }
        done = goal;
        let resident = world.broker.resident_kib();
        seen.push(resident);
        rows.push(vec![done.to_string(), format!("{resident} KiB")]);
    }
    let grown = i128::from(seen[1]) - i128::from(seen[0]);
    rows.push(vec!["difference".to_owned(), format!("{grown:+} KiB (flat is +2048 at most)")]);
    print("Memory of the broker, Gets of the broker's, a Service's and a device's Parameter in turn", &rows);
}
