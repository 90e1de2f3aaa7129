//! The same of a device that speaks by itself: a value on an MQTT server, with another client there as the control.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};
use usp_broker::client::Notifications;
use usp_proto::usp::notify::Notification;
use usp_simulators::mqtt::{Connect, Peer, Relay};
use usp_tests::wait::eventually;

use super::{BEAT, RATE, Times, show, subscribe};
use crate::table::percentile;
use crate::world::place;

const TOPIC: &str = "changing/state";

const MAPPING: &str = r#"uspmap: 1
profile: bench.changes
version: 1.0.0
device: {type: Meter}
mqtt: {}
capabilities:
  power: {class: LevelSensor, type: Power, unit: W, name: Power, read: {topic: ~/state, json: /power}}
tests:
  - messages: {~/state: {power: 1}}
    expect: {power: 1}
"#;

const SITE: &str = "buses:\n  home: {mqtt: \"ADDRESS\"}\ndevices:\n  changing: {file: changes.yaml, bus: home, topic: changing}\n";

/// When each value was said; the value is its place.
type Said = Arc<Mutex<Vec<Instant>>>;

/// Measures and prints.
pub(super) async fn measure(rounds: u32, seconds: u64) {
    let relay = Relay::start().await.unwrap();
    let place = place("");
    place.write("changes.yaml", MAPPING);
    place.write("site.yaml", &format!("site: 1\n{}", SITE.replace("ADDRESS", &relay.address().to_string())));
    let _broker = place.start();
    let (said, direct, through) = (Said::default(), Times::default(), Times::default());
    let mut control = Peer::connect(relay.address(), &Connect::client(5, "control")).await.unwrap();
    control.subscribe(&[(TOPIC, 0)]).await.unwrap();
    tokio::spawn(say(relay, said.clone()));
    tokio::spawn(hear_directly(control, said.clone(), direct.clone()));
    let path = "Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.Value";
    eventually("a reading", || place.cli().values(path).into_keys().next());
    let (client, notifications) = place.client("self::changes").await;
    tokio::spawn(hear(notifications, said.clone(), through.clone()));
    subscribe(&client, path).await;
    let (mut beside, mut broker, mut replaced) = (Vec::new(), Vec::new(), 0);
    for _ in 0..rounds {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let taken = |times: &Times| std::mem::take(&mut *times.lock().unwrap());
        drop((taken(&direct), taken(&through)));
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let (told, heard) = (taken(&direct), taken(&through));
        replaced += told.len().saturating_sub(heard.len());
        beside.push(percentile(told, 99));
        broker.push(percentile(heard, 99));
    }
    show("a device on MQTT", beside, broker, replaced);
}

async fn say(relay: Relay, said: Said) {
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        beat.tick().await;
        for _ in 0..RATE.div_ceil(1000) {
            let number = {
                let mut said = said.lock().unwrap();
                said.push(Instant::now());
                said.len() - 1
            };
            relay.publish(TOPIC, format!("{{\"power\":{number}}}").as_bytes(), false);
        }
    }
}

fn take(said: &Said, times: &Times, number: usize) {
    let then = said.lock().unwrap().get(number).copied();
    times.lock().unwrap().extend(then.map(|then| then.elapsed().as_secs_f64() * 1e3));
}

async fn hear_directly(mut control: Peer, said: Said, times: Times) {
    while let Ok(publication) = control.publication().await {
        let value: serde_json::Value = serde_json::from_slice(&publication.payload).unwrap();
        take(&said, &times, usize::try_from(value["power"].as_u64().unwrap()).unwrap());
    }
}

async fn hear(mut notifications: Notifications, said: Said, times: Times) {
    while let Ok(notify) = notifications.next().await {
        if let Some(Notification::ValueChange(change)) = &notify.notification
            && let Ok(number) = change.param_value.parse()
        {
            take(&said, &times, number);
        }
    }
}
