//! What is asked of a device that sleeps, and what is believed of it.

use super::*;
use crate::zigbee::ncp::Undelivered;

const ASLEEP: Duration = Duration::from_secs(60);

async fn asleep() -> World {
    let mut world = started(&both());
    world.join_all().await;
    world.stick.stick().is_asleep = true;
    tokio::time::sleep(ASLEEP).await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_refresh_waits_until_a_sleeping_device_is_heard() {
    let mut world = asleep().await;
    let id = world.call("sensor", Action::Refresh, 1200 * SECOND);
    tokio::time::sleep(300 * SECOND).await;
    world.heard.extend(std::iter::from_fn(|| world.from.try_recv().ok()));
    assert!(!world.heard.iter().any(|it| matches!(it, FromAdapter::Reply(_))), "it waits");
    world.stick.wakes(SENSOR);
    let reading = world.reply(id).await.unwrap().remove(0);
    assert_eq!((reading.result, reading.freshness.is_now()), (Ok(Value::Number(0.into())), true));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_of_one_that_is_not_heard_fails_and_says_why() {
    let mut world = asleep().await;
    let began = tokio::time::Instant::now();
    let id = world.call("sensor", Action::Refresh, 1200 * SECOND);
    let reading = world.reply(id).await.unwrap().remove(0);
    assert_eq!(began.elapsed(), 1200 * SECOND);
    assert!(!reading.freshness.contact, "nothing was heard");
    let why = reading.result.unwrap_err().to_string();
    assert!(why.contains("it sleeps, and was not heard within 1200 s"), "{why}");
}

/// It wakes up between the question and the answer.
#[tokio::test(start_paused = true)]
async fn what_was_said_last_answers_though_the_device_wakes_up_meanwhile() {
    let mut world = asleep().await;
    let read = world.call("sensor", Action::Read(vec![PointId(0), PointId(1)]), 20 * SECOND);
    world.stick.wakes(SENSOR);
    let all = world.reply(read).await.unwrap();
    assert_eq!(all[0].result, Ok(Value::Number(0.into())), "{all:?}");
}

/// What it does not report by itself is asked for, and was said before.
#[tokio::test(start_paused = true)]
async fn what_a_sleeping_device_does_not_answer_is_what_it_said_last() {
    let mut world = started(&both());
    world.stick.stick().refuses_reports = true;
    world.join_all().await;
    world.stick.stick().is_asleep = true;
    tokio::time::sleep(ASLEEP).await;
    for within in [3, 30] {
        let id = world.call("sensor", Action::Read(vec![PointId(0)]), within * SECOND);
        let reading = world.reply(id).await.unwrap().remove(0);
        assert_eq!(reading.result, Ok(Value::Number(0.into())), "within {within} s");
        assert!(
            !reading.freshness.contact && reading.freshness.age > Some(SECOND),
            "{:?}",
            reading.freshness
        );
    }
}

/// Each reset of the coordinator gives it time to say again what was lost, and no more.
#[tokio::test(start_paused = true)]
async fn resets_of_the_coordinator_do_not_keep_who_is_gone() {
    let mut world = asleep().await;
    world.heard.clear();
    for _ in 0..2 {
        tokio::time::sleep(800 * SECOND).await;
        world.stick.says(NcpEvent::Down("reset".to_owned()));
        assert!(world.online("sensor").await.is_err());
        world.believed("sensor").await;
    }
    let why = world.online("sensor").await.unwrap_err().to_string();
    assert!(why.contains("nothing was heard"), "{why}");
    assert!(world.heard.iter().all(|it| !matches!(it, FromAdapter::Report(AdapterReport::Online { device, online: Ok(()) }) if &*device.0 == "sensor")));
}

/// While the coordinator was away it may have said something once. It listens now and then, and says nothing by itself.
#[tokio::test(start_paused = true)]
async fn after_an_outage_a_sleeping_device_is_read_once_it_listens() {
    let mut world = asleep().await;
    world.stick.says(NcpEvent::Down("reset".to_owned()));
    world.believed("sensor").await;
    world.stick.stick().offset = 3;
    tokio::time::sleep(300 * SECOND).await;
    world.heard.clear();
    world.stick.stick().is_asleep = false;
    let heard = timeout(310 * SECOND, world.reading("sensor")).await;
    assert_eq!(heard, Ok(Value::Number(3.into())), "no pause is longer");
    let asked = world.stick.stick().read_sleepers;
    tokio::time::sleep(1500 * SECOND).await;
    assert_eq!(world.stick.stick().read_sleepers, asked, "once");
}

/// It sleeps on: that is given up like a write.
#[tokio::test(start_paused = true)]
async fn nobody_is_knocked_at_for_ever_for_what_nobody_waits_for() {
    let mut world = asleep().await;
    world.stick.says(NcpEvent::Down("reset".to_owned()));
    world.believed("sensor").await;
    tokio::time::sleep(1220 * SECOND).await;
    let missed = world.stick.stick().missed.len();
    assert!((3..15).contains(&missed), "{missed}");
    tokio::time::sleep(500 * SECOND).await;
    assert_eq!(world.stick.stick().missed.len(), missed);
}

/// It woke up, and slept again before it was asked.
#[tokio::test(start_paused = true)]
async fn what_a_sleeping_device_missed_is_read_another_time() {
    let mut world = asleep().await;
    world.stick.says(NcpEvent::Down("reset".to_owned()));
    world.believed("sensor").await;
    world.stick.stick().offset = 3;
    world.stick.stick().is_asleep = true;
    tokio::time::sleep(60 * SECOND).await;
    // It says something else.
    let nwk = 0x1002;
    world.stick.message(nwk, (0x0104, 0x0001, 1), vec![0x18, 1, 0x0a, 0x21, 0, 0x20, 100]);
    tokio::time::sleep(60 * SECOND).await;
    world.stick.stick().is_asleep = false;
    let heard = async { while world.reading("sensor").await != Value::Number(3.into()) {} };
    assert_eq!(timeout(310 * SECOND, heard).await, Ok(()));
}

/// All of a home: they do not take the places of whoever waits for something.
#[tokio::test(start_paused = true)]
async fn many_sleeping_devices_are_knocked_at_in_turn() {
    let all: Vec<Ieee> = (0x10..0x20).map(|n| Ieee(0x0015_8d00_0000_0000 + n)).collect();
    let line =
        |(n, ieee): (usize, &Ieee)| format!("s{n}: {{file: sensor.yaml, bus: mesh, ieee: \"{ieee}\"}}");
    let devices: Vec<_> = all.iter().enumerate().map(line).collect();
    let mut world = started(&site("", &devices.join(", ")));
    world.stick.wait_up().await;
    for ieee in &all {
        world.stick.joins(*ieee);
        world.stage(*ieee, JoinStage::Ready).await;
    }
    tokio::time::sleep(60 * SECOND).await;
    world.stick.stick().is_asleep = true;
    tokio::time::sleep(ASLEEP).await;
    world.stick.stick().most_waiting = 0;
    world.stick.stick().missed.clear();
    world.stick.says(NcpEvent::Down("reset".to_owned()));
    world.believed("s0").await;
    tokio::time::sleep(10 * 60 * SECOND).await;
    let most = world.stick.stick().most_waiting;
    let missed = std::mem::take(&mut world.stick.stick().missed);
    assert!(most <= 2 && all.iter().all(|ieee| missed.contains(ieee)), "{most} at a time: {missed:?}");
    // Whoever waits is first.
    let last = all[all.len() - 1];
    let id = world.call("s15", Action::Refresh, 600 * SECOND);
    tokio::time::sleep(SECOND / 10).await;
    assert!(world.stick.stick().missed.contains(&last));
    world.stick.stick().is_asleep = false;
    assert!(timeout(20 * SECOND, world.reply(id)).await.is_ok());
}

/// It was heard just now, and is gone: a write to it meets with this. What comes of it once it is heard again.
async fn vanishes(fate: Undelivered, is_received: bool) -> (Result<Value, DeviceFault>, u32) {
    let mut world = started(&both());
    world.join_all().await;
    world.stick.wakes(SENSOR);
    tokio::time::sleep(SECOND / 10).await;
    world.stick.stick().fate = Some((fate, is_received));
    let write = Action::Write(vec![(PointId(0), Value::Number(2.into()))]);
    let id = world.call("sensor", write, 1200 * SECOND);
    tokio::time::sleep(120 * SECOND).await;
    world.heard.extend(std::iter::from_fn(|| world.from.try_recv().ok()));
    assert!(!world.heard.iter().any(|it| matches!(it, FromAdapter::Reply(_))), "it waits: {:?}", world.heard);
    world.stick.stick().fate = None;
    world.stick.wakes(SENSOR);
    let became = world.reply(id).await.unwrap().remove(0).result;
    let writes = world.stick.stick().offset_writes;
    (became, writes)
}

#[tokio::test(start_paused = true)]
async fn what_was_not_sent_to_one_that_vanished_waits() {
    for fate in [Undelivered::Busy, Undelivered::Expired] {
        assert_eq!(vanishes(fate, false).await, (Ok(Value::Number(2.into())), 1));
    }
}

/// What it shows once it is heard says whether it was: done is not done twice, not done is.
#[tokio::test(start_paused = true)]
async fn what_was_not_acknowledged_by_one_that_vanished_is_looked_at_first() {
    for is_received in [true, false] {
        for fate in [Undelivered::NotAcknowledged, Undelivered::NoRoute, Undelivered::Unknown] {
            assert_eq!(vanishes(fate, is_received).await, (Ok(Value::Number(2.into())), 1), "{is_received}");
        }
    }
}

/// It is not heard any more: nobody knows whether it was done.
#[tokio::test(start_paused = true)]
async fn what_was_not_acknowledged_and_is_never_seen_is_told_so() {
    let mut world = started(&both());
    world.join_all().await;
    world.stick.wakes(SENSOR);
    tokio::time::sleep(SECOND / 10).await;
    world.stick.stick().fate = Some((Undelivered::NotAcknowledged, true));
    let became = world.write("sensor", Value::Number(2.into()), 600 * SECOND).await;
    assert!(matches!(&became, Err(DeviceFault::Unsettled(why)) if why.contains("acknowledge")), "{became:?}");
}

#[tokio::test(start_paused = true)]
async fn what_can_never_be_sent_waits_for_nobody() {
    let mut world = started(&both());
    world.join_all().await;
    world.stick.wakes(SENSOR);
    tokio::time::sleep(SECOND / 10).await;
    world.stick.stick().fate = Some((Undelivered::TooLong, false));
    let became = timeout(10 * SECOND, world.write("sensor", Value::Number(2.into()), 600 * SECOND)).await;
    assert!(matches!(became, Ok(Err(DeviceFault::Unwritable(_)))), "{became:?}");
}

/// It says that it did it, shows that it did not, and sleeps: what it shows later is not waited for.
#[tokio::test(start_paused = true)]
async fn whoever_sets_a_frozen_sleeping_device_is_told_so_in_time() {
    let mut world = started(&both());
    world.join_all().await;
    world.stick.wakes(SENSOR);
    tokio::time::sleep(SECOND / 10).await;
    world.stick.stick().is_frozen = true;
    let began = tokio::time::Instant::now();
    let became = world.write("sensor", Value::Number(2.into()), 600 * SECOND).await;
    assert!(matches!(became, Err(DeviceFault::NotConfirmed { .. })), "{became:?}");
    assert!(began.elapsed() < 6 * SECOND, "{:?}", began.elapsed());
}

impl World {
    /// One that sleeps, that is given the usual time for its answers, was heard just now and was told to be 2: what came of it.
    async fn writes_to_a_slow_one(read_delay: Duration) -> (Self, Result<Value, DeviceFault>) {
        let mut world =
            started(&site("", &format!("sensor: {{file: slow.yaml, bus: mesh, ieee: \"{SENSOR}\"}}")));
        world.stick.wait_up().await;
        world.stick.joins(SENSOR);
        world.stage(SENSOR, JoinStage::Ready).await;
        world.comes("sensor").await;
        world.stick.wakes(SENSOR);
        tokio::time::sleep(SECOND / 10).await;
        world.stick.stick().read_delay = read_delay;
        let became = world.write("sensor", Value::Number(2.into()), 600 * SECOND).await;
        world.heard.clear();
        (world, became)
    }
}

/// It has done it, and shows that after the time for that: whoever set it is told in time, and what it shows is shown.
#[tokio::test(start_paused = true)]
async fn what_is_shown_too_late_for_a_write_is_shown_all_the_same() {
    let (mut world, became) = World::writes_to_a_slow_one(7 * SECOND).await;
    assert!(matches!(became, Err(DeviceFault::NotConfirmed { .. })), "{became:?}");
    let shown = timeout(3 * SECOND, world.reading("sensor")).await;
    assert_eq!(shown, Ok(Value::Number(2.into())));
}

/// It took it, and slept before it showed anything.
#[tokio::test(start_paused = true)]
async fn what_a_write_has_made_is_read_once_the_device_is_heard() {
    let (mut world, became) = World::writes_to_a_slow_one(1000 * SECOND).await;
    assert!(matches!(became, Err(DeviceFault::NotConfirmed { .. })), "{became:?}");
    world.stick.stick().is_asleep = true;
    world.stick.stick().read_delay = Duration::ZERO;
    tokio::time::sleep(300 * SECOND).await;
    world.stick.stick().is_asleep = false;
    let shown = timeout(310 * SECOND, world.reading("sensor")).await;
    assert_eq!(shown, Ok(Value::Number(2.into())));
    let asked = world.stick.stick().read_sleepers;
    tokio::time::sleep(1000 * SECOND).await;
    assert_eq!(world.stick.stick().read_sleepers, asked, "and no more");
}

/// Nobody knows whether it was done, the device sleeps, and nobody waits any more.
#[tokio::test(start_paused = true)]
async fn what_was_told_as_not_known_is_read_once_the_device_is_heard() {
    let mut world = started(&both());
    world.join_all().await;
    world.stick.wakes(SENSOR);
    tokio::time::sleep(SECOND / 10).await;
    world.stick.stick().fate = Some((Undelivered::NotAcknowledged, true));
    let became = world.write("sensor", Value::Number(2.into()), 600 * SECOND).await;
    assert!(matches!(became, Err(DeviceFault::Unsettled(_))), "{became:?}");
    world.heard.clear();
    tokio::time::sleep(60 * SECOND).await;
    world.stick.stick().fate = None;
    let shown = timeout(400 * SECOND, world.reading("sensor")).await;
    assert_eq!(shown, Ok(Value::Number(2.into())));
}

/// It was not acknowledged, and the device has no value to show for as long as the write may begin.
#[tokio::test(start_paused = true)]
async fn who_shows_no_value_is_not_asked_for_it_again_and_again() {
    let mut world = started(&both());
    world.join_all().await;
    world.stick.wakes(SENSOR);
    tokio::time::sleep(SECOND / 10).await;
    world.stick.stick().fate = Some((Undelivered::NotAcknowledged, true));
    let write = Action::Write(vec![(PointId(0), Value::Number(2.into()))]);
    let id = world.call("sensor", write, 1200 * SECOND);
    tokio::time::sleep(120 * SECOND).await;
    world.stick.stick().fate = None;
    // What a temperature is that is not known.
    world.stick.stick().offset = i16::MIN;
    let asked = world.stick.stick().read_sleepers;
    world.stick.wakes(SENSOR);
    let became = timeout(10 * SECOND, world.reply(id)).await.expect("it is told soon").unwrap().remove(0);
    assert!(matches!(became.result, Err(DeviceFault::Unsettled(_))), "{became:?}");
    tokio::time::sleep(1000 * SECOND).await;
    let asked = world.stick.stick().read_sleepers - asked;
    assert!((1..40).contains(&asked), "{asked} reads");
}

/// Nobody knocks at it any more, and then it says something.
#[tokio::test(start_paused = true)]
async fn what_may_be_said_in_vain_is_read_however_late_the_device_is_heard() {
    let mut world = asleep().await;
    world.stick.says(NcpEvent::Down("reset".to_owned()));
    world.believed("sensor").await;
    world.stick.stick().offset = 3;
    tokio::time::sleep(1400 * SECOND).await;
    world.stick.stick().is_asleep = false;
    let asked = world.stick.stick().read_sleepers;
    tokio::time::sleep(100 * SECOND).await;
    assert_eq!(world.stick.stick().read_sleepers, asked, "it was not heard");
    world.heard.clear();
    while world.from.try_recv().is_ok() {}
    world.stick.message(0x1002, (0x0104, 0x0001, 1), vec![0x18, 1, 0x0a, 0x21, 0, 0x20, 100]);
    let heard = timeout(SECOND, world.reading("sensor")).await;
    assert_eq!(heard, Ok(Value::Number(3.into())));
}
