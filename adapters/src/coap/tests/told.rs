//! What is observed: in what order it is taken in, how old it is, and what happens when nothing more is said.

use std::time::Instant;

use usp_mapping::mapping::{Class, ReadPart};
use usp_mapping::port::{Freshness, Reading};

use super::*;
use crate::bus::Model;
use crate::coap::codec;
use crate::coap::endpoint::request::Response;
use crate::coap::link::Told;
use crate::coap::model::CoapModel;

const S: Duration = Duration::from_secs(1);

/// Two numbers, each a resource of its own, of which the first is observed.
fn pair() -> CoapModel {
    let part = |path, observe| ReadPart {
        point: place(path, observe),
        transform: Transform::default(),
        exponent: None,
    };
    let read = ReadBinding { parts: vec![part("/in", true), part("/out", false)], poll: Poll::Every(MINUTE) };
    let both = Capability { class: Class::MultiLevelSensor, read: Some(read), ..fake::on_demand() };
    CoapModel::new(&device("one", ([127, 0, 0, 1], 1).into(), mapping(&[both], MINUTE)))
}

fn response(text: &str) -> Response {
    Response { code: Code(0x45), format: None, body: text.into() }
}

fn told(model: &mut CoapModel, now: Instant, text: &str) -> Vec<Reading> {
    model.hear(now, Told::new(codec::resource("/in"), response(text))).readings
}

#[test]
fn a_value_of_several_resources_is_as_old_as_the_oldest() {
    let (mut model, start) = (pair(), Instant::now());
    assert_eq!(told(&mut model, start, "1"), [], "half of it");
    let asks = model.plan(start, &[PointId(0)]);
    let mut read = Vec::new();
    for (ask, text) in asks.iter().zip(["20", "3"]) {
        let answer = crate::coap::model::Answer::Response(response(text));
        read.extend(model.understand(start, ask, answer).readings);
    }
    let both = |values: [i64; 2]| Ok(Value::Numbers(values.map(Into::into).to_vec()));
    assert_eq!(read, [Reading::now(PointId(0), both([20, 3]))], "read together");
    let freshness = Freshness { contact: true, age: Some(40 * S) };
    let partly = Reading { point: PointId(0), result: both([21, 3]), freshness };
    assert_eq!(told(&mut model, start + 40 * S, "21"), [partly], "the other was read 40 s ago");
    model.reconnected();
    assert_eq!(told(&mut model, start + 41 * S, "22"), [], "it may be another device");
}

/// The device changes without saying so: it has forgotten who observes it.
#[tokio::test(start_paused = true)]
async fn a_poll_finds_out_what_was_lost_on_the_way() {
    let mut thing = Thing::start(&[("t", "1")]).await;
    let mapping = mapping(&[reads("/t", true, Poll::Every(30 * S))], Duration::from_secs(5));
    let mut bench = Bench::start(vec![device("one", thing.address(), mapping)]);
    assert_eq!(bench.reported("one").await, Ok(number(1)));
    thing.things.lock().unwrap().observers.clear();
    thing.say("t", "2").await;
    let began = tokio::time::Instant::now();
    assert_eq!(bench.reported("one").await, Ok(number(2)));
    assert!(began.elapsed() <= 31 * S, "{:?}", began.elapsed());
    bench.adapters.stop().await;
}

/// It is only observed and says nothing any more: that it is gone is known long before its next poll.
#[tokio::test(start_paused = true)]
async fn a_device_that_is_only_observed_is_missed_in_time() {
    let thing = Thing::start(&[("t", "1")]).await;
    let mut mapping = mapping(&[reads("/t", true, Poll::Every(3600 * S))], Duration::from_secs(5));
    mapping.online.fails = 1;
    let mut bench = Bench::start(vec![device("one", thing.address(), mapping)]);
    assert_eq!(bench.reported("one").await, Ok(number(1)));
    thing.things.lock().unwrap().silent = true;
    let began = tokio::time::Instant::now();
    let why = timeout(3600 * S, bench.offline()).await.expect("before its next poll");
    assert!(why.contains("no answer"), "{why}");
    assert!(began.elapsed() <= 120 * S, "{:?}", began.elapsed());
    bench.adapters.stop().await;
}
