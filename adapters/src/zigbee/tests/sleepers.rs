//! What is asked of a device that sleeps, and what is believed of it.

use super::*;

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
