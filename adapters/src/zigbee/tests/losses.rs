//! Words of devices that get lost between the coordinator and the hub.

use super::*;
use crate::zigbee::ncp::{Damage, Loss};

const GARBLED: NcpEvent = NcpEvent::Damaged(Damage { garbled: 1, dropped: 0, lost: Some(Loss::Damaged) });

impl World {
    /// The values of a device that came within a time, and whether it was said of it that they are in doubt.
    async fn shows(&mut self, device: &str, within: Duration) -> (Vec<Value>, bool) {
        tokio::time::sleep(within).await;
        self.heard.extend(std::iter::from_fn(|| self.from.try_recv().ok()));
        let (mut values, mut is_doubtful) = (Vec::new(), false);
        for said in self.heard.drain(..) {
            match said {
                FromAdapter::Report(AdapterReport::Readings { device: of, readings, .. })
                    if &*of.0 == device =>
                {
                    let live = readings.into_iter().filter(|reading| reading.freshness.contact);
                    values.extend(live.filter_map(|reading| reading.result.ok()));
                }
                FromAdapter::Report(AdapterReport::Doubtful { device: of, .. }) => {
                    is_doubtful |= &*of.0 == device;
                }
                _ => {}
            }
        }
        (values, is_doubtful)
    }
}

/// Its report did not come through, and was acknowledged to it: it does not say it again.
#[tokio::test(start_paused = true)]
async fn a_plug_whose_report_was_damaged_is_read_soon() {
    let mut world = started(&both());
    world.join_all().await;
    tokio::time::sleep(60 * SECOND).await;
    world.stick.stick().is_on = true;
    let asked = world.stick.stick().asked;
    world.shows("sensor", Duration::ZERO).await;
    for _ in 0..5 {
        world.stick.says(GARBLED);
    }
    let shown = world.shows("plug", 13 * SECOND).await;
    assert_eq!(shown, (vec![Value::Bool(true)], false));
    assert_eq!(world.stick.stick().asked - asked, 1, "of one bad moment");
    let bus = world.handle().statistics(std::time::Instant::now()).remove(0);
    assert_eq!((bus.exchanges.garbled, bus.lost), (5, 0));
}

/// Nobody can ask it now: what it said is in doubt until it is heard.
#[tokio::test(start_paused = true)]
async fn what_a_sleeping_device_said_is_in_doubt_until_it_is_heard() {
    let mut world = started(&both());
    world.join_all().await;
    world.stick.stick().is_asleep = true;
    tokio::time::sleep(60 * SECOND).await;
    world.stick.stick().offset = 3;
    world.shows("sensor", Duration::ZERO).await;
    world.stick.says(GARBLED);
    assert_eq!(world.shows("sensor", 10 * SECOND).await, (vec![], true));
    world.stick.stick().is_asleep = false;
    let shown = world.shows("sensor", 30 * SECOND).await;
    assert_eq!(shown, (vec![Value::Number(3.into())], false));
}

/// The line is bad: what was said after the round is in doubt at once too, and not only when the next one begins. What is said after the loss is not.
#[tokio::test(start_paused = true)]
async fn doubt_does_not_wait_for_the_next_round() {
    let mut world = started(&both());
    world.join_all().await;
    tokio::time::sleep(60 * SECOND).await;
    world.stick.says(GARBLED);
    tokio::time::sleep(10 * SECOND).await;
    world.stick.stick().is_asleep = true;
    tokio::time::sleep(5 * SECOND).await;
    world.shows("sensor", Duration::ZERO).await;
    for _ in 0..5 {
        world.stick.says(GARBLED);
        assert_eq!(world.shows("sensor", SECOND).await, (vec![], true));
    }
    world.stick.says(GARBLED);
    let (word, battery) = (vec![0x18, 1, 0x0a, 0x21, 0, 0x20, 100], (0x0104, 0x0001, 1));
    world.stick.message(0x1002, battery, word);
    assert_eq!(world.shows("sensor", SECOND / 10).await, (vec![], true), "before the word");
    assert_eq!(world.shows("sensor", 5 * SECOND).await, (vec![], false));
}

/// What is sent again until it has come is counted, and that is all.
#[tokio::test(start_paused = true)]
async fn what_was_repaired_costs_nothing() {
    let mut world = started(&both());
    world.join_all().await;
    tokio::time::sleep(60 * SECOND).await;
    let before = world.stick.counts();
    world.shows("sensor", Duration::ZERO).await;
    world.stick.says(NcpEvent::Damaged(Damage { garbled: 7, dropped: 0, lost: None }));
    assert_eq!(world.shows("sensor", 60 * SECOND).await, (vec![], false));
    assert_eq!(world.stick.counts(), before);
    let bus = world.handle().statistics(std::time::Instant::now()).remove(0);
    assert_eq!(bus.exchanges.garbled, 7);
}

/// A cable that is bad for an hour.
#[tokio::test(start_paused = true)]
async fn a_line_that_stays_bad_makes_no_storm() {
    let mut world = started(&both());
    world.join_all().await;
    tokio::time::sleep(60 * SECOND).await;
    let asked = world.stick.stick().asked;
    for _ in 0..360 {
        world.stick.says(GARBLED);
        tokio::time::sleep(10 * SECOND).await;
    }
    let asked = world.stick.stick().asked - asked;
    assert!((55..=61).contains(&asked), "{asked} reads in an hour");
}
