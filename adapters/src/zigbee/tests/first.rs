//! What a device that sleeps says right after its set-up, while it is awake, for whoever listens to it then or in a moment.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::{Instant, advance, timeout};
use usp_mapping::mapping::{Device, Mapping};
use usp_mapping::zigbee::zcl::Frame;

use super::stick::{self, SENSOR, Stick, StickBox};
use super::{SECOND, both, points};
use crate::bus::mailbox::Mailbox;
use crate::zigbee::board::Board;
use crate::zigbee::care::first_words;
use crate::zigbee::members::{Known, Member, Members};
use crate::zigbee::ncp::{Ieee, NcpEvent, NcpPort, Way};
use crate::zigbee::word::Word;
use crate::zigbee::zdo::{Node, Role};

fn sensor() -> Device {
    both().devices.into_iter().find(|device| &*device.id.0 == "sensor").unwrap()
}

/// A sensor that is in the network.
fn board() -> Arc<Board> {
    let node = Node { role: Role::EndDevice, manufacturer: 0, listens: false, mains: false };
    let (manufacturer, model) = ("ACME".to_owned(), "T1".to_owned());
    let (endpoints, held, lacks) = (Vec::new(), Default::default(), Default::default());
    let known = Known { node, endpoints, manufacturer, model, power_source: None, held, lacks };
    let member = Member { nwk: Some(0x1002), known: Some(known), ..Member::default() };
    Board::new("mesh", Arc::default(), Members::kept([(SENSOR, member)]), false)
}

/// The same behind a coordinator, whose messages are taken in.
async fn network(stick: &Arc<StickBox>) -> Arc<Board> {
    let (events, mut told) = mpsc::channel(64);
    let host = usp_mapping::mapping::BusAddress::Host("x".to_owned(), 1);
    let opened = stick::opener(stick)(NcpPort { way: Way::Tcp(host), kind: None }, events).await;
    let board = board();
    board.up(opened.unwrap(), Ieee(0xff));
    stick.is_at(SENSOR, 0x1002);
    let hears = Arc::clone(&board);
    tokio::spawn(async move {
        while let Some(event) = told.recv().await {
            if let NcpEvent::Message(message) = event {
                hears.hear(&message);
            }
        }
    });
    board
}

/// A report of an attribute.
fn word(attribute: u8) -> Word {
    Word::frame(1, 0x0402, Frame::parse(&[0x18, 1, 0x0a, attribute, 0, 0x29, 1, 0]).unwrap())
}

/// The attributes of the words that wait, each with whether it is old.
async fn heard(letters: &Mailbox<Word>) -> Vec<(u8, bool)> {
    let mut heard = Vec::new();
    while let Ok(Word::Frame { frame, is_old, .. }) = timeout(SECOND / 10, letters.take()).await {
        heard.push((frame.payload[0], is_old));
    }
    heard
}

#[tokio::test(start_paused = true)]
async fn what_is_said_before_anybody_listens_is_heard_by_the_first_who_does() {
    let (board, device) = (board(), sensor());
    board.tell_first(SENSOR, word(1));
    board.tell_first(SENSOR, word(2));
    advance(9 * SECOND).await;
    let (letters, _) = board.listen(&device);
    assert_eq!(heard(&letters).await, [(1, true), (2, true)], "in its order, and it confirms nothing");
    board.tell_first(SENSOR, word(3));
    assert_eq!(heard(&letters).await, [(3, false)], "somebody listens now");
    board.leave(&device.id, &letters);
    let (letters, _) = board.listen(&device);
    assert_eq!(heard(&letters).await, [], "it is heard once");
}

#[tokio::test(start_paused = true)]
async fn what_was_said_first_is_kept_for_a_moment_and_bounded() {
    let (board, device) = (board(), sensor());
    board.tell_first(SENSOR, word(1));
    advance(10 * SECOND).await;
    (10..50).for_each(|attribute| board.tell_first(SENSOR, word(attribute)));
    let (letters, _) = board.listen(&device);
    let expected: Vec<(u8, bool)> = (10..42).map(|attribute| (attribute, true)).collect();
    assert_eq!(heard(&letters).await, expected);
}

#[tokio::test(start_paused = true)]
async fn what_was_said_first_is_forgotten_with_the_device() {
    let (board, device) = (board(), sensor());
    board.tell_first(SENSOR, word(1));
    board.forget(SENSOR, "it has left the network");
    board.shared().members.found(SENSOR, 0x1002);
    let (letters, _) = board.listen(&device);
    assert_eq!(heard(&letters).await, []);
}

#[tokio::test(start_paused = true)]
async fn one_that_sleeps_is_read_after_its_set_up() {
    let stick = StickBox::with(Stick::blank());
    let (board, device) = (network(&stick).await, sensor());
    first_words(&board, SENSOR, &device.mapping).await;
    let (letters, _) = board.listen(&device);
    let Word::Frame { endpoint, cluster, frame, is_old, .. } = letters.take().await else { panic!() };
    assert_eq!((endpoint, cluster, is_old), (1, 0x0402, true));
    // Read Attributes Response: attribute 0x0010, which is 0.
    assert_eq!((frame.command, frame.payload.as_slice()), (0x01, &[0x10, 0, 0, 0x29, 0, 0][..]));
}

/// It sleeps again already: it is not waited for once for each of its clusters.
#[tokio::test(start_paused = true)]
async fn one_that_sleeps_again_is_asked_nothing_more() {
    const TWO: &str = "uspmap: 1\nprofile: acme.climate\nversion: 1.0.0\ndevice: {type: Sensor}\n\
        zigbee: {manufacturer: ACME, model: C1, sleepy: true}\ncapabilities:\n\
        \x20 t: {class: LevelSensor, type: Temperature, unit: degC, read: {cluster: temperature, attribute: measured_value}}\n\
        \x20 h: {class: LevelSensor, type: Humidity, unit: \"%\", read: {cluster: humidity, attribute: measured_value}}\n";
    let stick = StickBox::with(Stick::blank());
    stick.stick().is_asleep = true;
    let (board, mapping): (_, Arc<Mapping>) =
        (network(&stick).await, points::site(TWO).devices.remove(0).mapping);
    let began = Instant::now();
    first_words(&board, SENSOR, &mapping).await;
    // So long its parent keeps a message.
    assert_eq!(began.elapsed(), 8 * SECOND);
    let (letters, _) = board.listen(&sensor());
    assert_eq!(heard(&letters).await, []);
}
