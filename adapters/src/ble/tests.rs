//! What is heard and asked, without a radio.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use usp_mapping::diagnostic::SourceFile;
use usp_mapping::draft::site::Use;
use usp_mapping::mapping::{BleChar, BleSource, BleUuid, Device, Mac, Site};
use usp_mapping::port::{
    Action, AdapterCall, AdapterReport, CallId, DeviceFault, DeviceId, Freshness, PointId, Reading,
};
use usp_mapping::site::{NotFound, compile_site};
use usp_mapping::value::Value;

use super::bluez::Advert;
use super::board::Board;
use super::chat::{Chat, Order, is_for};
use super::hearing::{BleEar, PAUSE};
use super::model::{Answer, Ask, BleModel, What, Word};
use super::slots::Idle;
use crate::FromAdapter;
use crate::bus::backoff::Jitter;
use crate::bus::ear::{Ear, LinkState, Said};
use crate::bus::queue::Target;
use crate::bus::schedule::{Command, Scheduler};
use crate::bus::{BusPlan, Model, Outcome, WriteStart};
use crate::test_log::Log;

/// The key of the example of BTHome's page, in a file that a test makes.
const KEY: &str = "231d39c1d7cc1ab1aee224cd096db932";
const MAC: Mac = Mac([0x54, 0x48, 0xe6, 0x8f, 0x80, 0xa5]);
const BTHOME: BleSource = BleSource::ServiceData(BleUuid::short(0xfcd2));

const THERMOMETER: &str = r#"
uspmap: 1
profile: acme.thermometer
version: 1.0.0
device: {type: Sensor}
ble: {connect: never, every: 30s}
capabilities:
  temperature: {class: LevelSensor, type: Temperature, unit: degC, read: {bthome: temperature}}
  strength: {class: LevelSensor, type: X_ACME_Strength, unit: dBm, read: {rssi: true}}
events:
  X_ACME_Pushed: {read: {bthome: button}, on: [press, double_press], repeat: true}
"#;

const LAMP: &str = r#"
uspmap: 1
profile: acme.lamp
version: 1.0.0
device: {type: Light}
ble: {connect: keep}
poll: {slow: 1h}
capabilities:
  lamp: {class: BinaryControl, type: Switch, read: {char: fff1, notify: true}, write: {ttl: 7s}}
  level:
    class: LevelControl
    type: Brightness
    unit: "%"
    min: 0
    max: 100
    read: {char: fff4, starts: "57 02", bytes: 2, ask: {char: fff3, send: "57 02"}}
    write: {char: fff3, send: "57 01 $value", response: false}
    poll: slow
"#;

fn site(mapping: &str, more: &str) -> Site {
    let text = format!(
        "site: 1\nbuses: {{air: {{ble: hci0}}}}\ndevices: {{d: {{file: x.yaml, bus: air, mac: \"{MAC}\"{more}}}}}\n"
    );
    let (site, found) = compile_site(&SourceFile::new("site.yaml", &text), &|wanted| match wanted {
        Use::File(_) => Ok(SourceFile::new("x.yaml", mapping)),
        Use::Profile { .. } => Err(NotFound::Profile { known: Vec::new() }),
    });
    site.unwrap_or_else(|| panic!("{found:?}"))
}

fn device(mapping: &str) -> Device {
    site(mapping, "").devices.remove(0)
}

#[test]
fn a_connection_outlives_a_reload_that_does_not_concern_it() {
    let made = device(LAMP);
    assert!(is_for(&made, &device(LAMP)), "each reload compiles all mappings anew");
    assert!(is_for(&made, &Device { name: "renamed".to_owned(), ..device(LAMP) }));
    assert!(!is_for(&made, &device(THERMOMETER)));
}

fn advert(hex: &[u8]) -> Word {
    Word::Advert { source: BTHOME, data: hex.to_vec(), repeated: false }
}

fn number(text: &str) -> Value {
    Value::Number(text.parse().expect("a number"))
}

fn asked(model: &mut BleModel, point: u16) -> Ask {
    model.plan(Instant::now(), &[PointId(point)]).remove(0)
}

fn written(model: &BleModel, point: u16, value: Value) -> Ask {
    match model.write(Target::Point(PointId(point)), &value).unwrap() {
        WriteStart::Send(ask) => ask,
        WriteStart::Fetch(_) => panic!("nothing is fetched"),
    }
}

fn char(uuid: u32) -> BleChar {
    BleChar { service: None, uuid: BleUuid::short(uuid) }
}

#[test]
fn what_is_advertised_is_read_and_what_is_only_strong_is_there() {
    let (mut model, now) = (BleModel::new(&device(THERMOMETER)), Instant::now());
    let heard = model.hear(now, advert(&[0x40, 2, 0xca, 9, 0x3a, 1]));
    let expected = [
        Reading::now(PointId(0), Ok(number("25.06"))),
        Reading::now(PointId(2), Ok(Value::Text("press".to_owned()))),
    ];
    assert_eq!((heard.readings.as_slice(), heard.live), (&expected[..], true));
    let heard = model.hear(now, Word::Rssi(-63));
    assert_eq!((heard.readings, heard.live), (vec![Reading::now(PointId(1), Ok(number("-63")))], true));
    let later = now + Duration::from_secs(7);
    let known = model.known(later, PointId(0)).unwrap();
    assert_eq!(known.freshness, Freshness { contact: false, age: Some(Duration::from_secs(7)) });
    let silent = model.hear(later, Word::Silent(Duration::from_secs(120), None));
    assert_eq!(silent.presence, Some(Err("nothing was heard of it for 120 s".to_owned())));
}

/// It makes readings fresh, and is not pushed twice.
#[test]
fn a_repetition_is_no_second_occurrence() {
    let (mut model, now) = (BleModel::new(&device(THERMOMETER)), Instant::now());
    let data = vec![0x40, 0, 7, 2, 0xca, 9, 0x3a, 1];
    let heard = model.hear(now, Word::Advert { source: BTHOME, data, repeated: true });
    let points: Vec<PointId> = heard.readings.iter().map(|reading| reading.point).collect();
    assert_eq!((points, heard.live), (vec![PointId(0)], true));
}

/// Whoever said it, it need not have been the device: it neither counts as heard nor is it pushed.
#[test]
fn what_cannot_be_believed_is_a_fault_and_no_sign_of_life() {
    let mut model = BleModel::new(&device(THERMOMETER));
    let fault = DeviceFault::Garbled("it cannot be decrypted".to_owned());
    let heard = model.hear(Instant::now(), Word::Unusable(BTHOME, fault.clone()));
    assert!(!heard.live && heard.presence.is_none());
    assert_eq!(heard.readings.len(), 1);
    assert_eq!((heard.readings[0].point, &heard.readings[0].result), (PointId(0), &Err(fault.clone())));
    // Who asks is told why there is nothing, until there is something.
    let known = |model: &BleModel| model.known(Instant::now(), PointId(0)).map(|reading| reading.result);
    assert_eq!(known(&model), Some(Err(fault.clone())));
    let data = vec![0x40, 2, 0xca, 9];
    model.hear(Instant::now(), Word::Advert { source: BTHOME, data, repeated: false });
    model.hear(Instant::now(), Word::Unusable(BTHOME, fault));
    assert_eq!(known(&model), Some(Ok(number("25.06"))));
}

#[test]
fn characteristics_are_read_asked_and_written() {
    let (mut model, now) = (BleModel::new(&device(LAMP)), Instant::now());
    let ask = asked(&mut model, 0);
    assert_eq!(ask.what, What::Read(char(0xfff1)));
    let understood = model.understand(now, &ask, Answer::Value(vec![1]));
    assert_eq!(understood.readings, [Reading::now(PointId(0), Ok(Value::Bool(true)))]);
    let ask = asked(&mut model, 1);
    assert!(matches!(&ask.what, What::Query { char, .. } if char.uuid == BleUuid::short(0xfff4)));
    let understood = model.understand(now, &ask, Answer::Value(vec![0x57, 2, 40]));
    assert_eq!(understood.readings, [Reading::now(PointId(1), Ok(number("40")))]);
    let understood = model.understand(now, &ask, Answer::Value(vec![0x57]));
    assert!(matches!(understood.readings[0].result, Err(DeviceFault::Garbled(_))));
    let write = written(&model, 0, Value::Bool(false)).what;
    assert_eq!(
        write,
        What::Write { char: char(0xfff1), body: vec![0], response: true, answer: None, until: None }
    );
    let write = written(&model, 1, number("99")).what;
    assert!(matches!(write, What::Write { body, response: false, .. } if body == [0x57, 1, 99]));
}

#[test]
fn nothing_but_an_acknowledgement_is_one() {
    let model = BleModel::new(&device(LAMP));
    let ask = written(&model, 0, Value::Bool(true));
    assert_eq!(model.acknowledge(&ask, Answer::Written), Ok(()));
    let refused = Answer::Refused("Write not permitted".to_owned());
    assert!(matches!(model.acknowledge(&ask, refused), Err(DeviceFault::Refused(_))));
    let not_asked = Answer::NotAsked(DeviceFault::Expired);
    assert_eq!(model.acknowledge(&ask, not_asked), Err(DeviceFault::Expired));
}

/// Its notifications come over a connection: that it advertises shows that there is none.
#[test]
fn a_device_that_is_to_be_connected_is_there_while_it_is() {
    let (mut model, now) = (BleModel::new(&device(LAMP)), Instant::now());
    let apart = model.hear(now, Word::Apart("the connection broke off".to_owned()));
    assert_eq!(apart.presence, Some(Err("the connection broke off".to_owned())));
    assert!(!model.hear(now, Word::Rssi(-50)).live);
    assert_eq!(model.hear(now, Word::Connected).presence, Some(Ok(())));
    let heard = model.hear(now, Word::Notified(char(0xfff1), vec![0]));
    assert_eq!(heard.readings, [Reading::now(PointId(0), Ok(Value::Bool(false)))]);
    assert!(heard.live && model.tells(PointId(0)));
}

/// A board, and an ear at the device of a site.
fn listening(site: &Site) -> (Arc<Board>, BleEar) {
    let board = Board::new(Arc::default(), 1);
    let device = Arc::new(site.devices[0].clone());
    let listener = board.listen(&device);
    let plan = BusPlan { bus: site.buses[0].clone(), names: vec!["air".to_owned()], devices: vec![device] };
    let (plan, plans) = watch::channel(Arc::new(plan));
    // It is not changed any more.
    std::mem::forget(plan);
    let ear = BleEar::new(board.state.subscribe(), Some(listener), plans);
    (board, ear)
}

fn said(data: &[u8]) -> Advert {
    Advert { data: vec![(BTHOME, data.to_vec())], ..Advert::default() }
}

async fn word(ear: &mut BleEar) -> Word {
    loop {
        match ear.hear().await {
            Said::Word(word) => return word,
            Said::LinkUp | Said::LinkDown(_) | Said::LinkRefused(_) | Said::Doubt => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_data_are_told_once_a_second_and_as_a_repetition() {
    let (board, mut ear) = listening(&site(THERMOMETER, ""));
    assert_eq!(board.wanted(), Some(BTreeSet::from([MAC])));
    for _ in 0..100 {
        board.hear(MAC, said(&[0x40, 0, 7, 2, 0xca, 9]));
    }
    board.hear(Mac([0; 6]), said(&[0x40, 0, 8, 2, 0xca, 9]));
    assert!(matches!(word(&mut ear).await, Word::Advert { repeated: false, .. }));
    tokio::time::advance(2 * PAUSE).await;
    board.hear(MAC, said(&[0x40, 0, 7, 2, 0xca, 9]));
    assert!(matches!(word(&mut ear).await, Word::Advert { repeated: true, .. }), "its packet is the same");
    board.hear(MAC, said(&[0x40, 0, 8, 2, 0xca, 9]));
    assert!(matches!(word(&mut ear).await, Word::Advert { repeated: false, .. }));
}

/// Where nothing counts the advertisements, a pause tells one occurrence from the next.
#[tokio::test(start_paused = true)]
async fn data_without_a_number_are_repeated_until_there_is_a_pause() {
    let (board, mut ear) = listening(&site(THERMOMETER, ""));
    let mut hear = async |after: Duration| {
        tokio::time::advance(after).await;
        board.hear(MAC, said(&[0x40, 0x3a, 1]));
        matches!(word(&mut ear).await, Word::Advert { repeated: true, .. })
    };
    assert!(!hear(Duration::ZERO).await);
    assert!(hear(PAUSE / 2).await && hear(PAUSE / 2).await && hear(PAUSE / 2).await);
    assert!(!hear(PAUSE).await);
}

#[tokio::test(start_paused = true)]
async fn who_is_silent_for_too_long_is_not_there_unless_it_is_connected() {
    let (board, mut ear) = listening(&site(THERMOMETER, ""));
    board.state.send_replace(LinkState::Up);
    assert!(matches!(ear.hear().await, Said::LinkUp));
    let began = tokio::time::Instant::now();
    assert_eq!(word(&mut ear).await, Word::Silent(Duration::from_secs(120), None));
    assert_eq!(began.elapsed().as_secs(), 120);
    board.hear(MAC, Advert { rssi: Some(-60), ..Advert::default() });
    assert_eq!(word(&mut ear).await, Word::Rssi(-60));
    board.is_connected(MAC, true);
    let hearing = tokio::time::timeout(Duration::from_secs(3600), word(&mut ear)).await;
    assert!(hearing.is_err(), "who is connected does not advertise");
    board.is_connected(MAC, false);
    assert_eq!(word(&mut ear).await, Word::Silent(Duration::from_secs(120), None));
}

/// A key in a file, which nobody else reads.
struct KeyFile(std::path::PathBuf);

impl KeyFile {
    fn new(name: &str, key: &str) -> Self {
        let path = std::env::temp_dir().join(format!("usp-ble-{name}-{}", std::process::id()));
        std::fs::write(&path, key).unwrap();
        Self(path)
    }

    fn site(&self) -> Site {
        site(
            THERMOMETER,
            &format!(", key: \"file:{}\", passkey: \"file:{}\"", self.0.display(), self.0.display()),
        )
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

/// The example of BTHome's page.
const SEALED: [u8; 15] =
    [0x41, 0xa4, 0x72, 0x66, 0xc9, 0x5f, 0x73, 0, 0x11, 0x22, 0x33, 0x78, 0x23, 0x72, 0x14];

#[tokio::test]
async fn what_is_encrypted_is_opened_and_nothing_else_is_believed() {
    let key = KeyFile::new("opened", &format!("{KEY}\n"));
    let (board, mut ear) = listening(&key.site());
    board.hear(MAC, said(&SEALED));
    let opened = [0x40, 2, 0xca, 9, 3, 0xbf, 0x13].to_vec();
    assert_eq!(word(&mut ear).await, Word::Advert { source: BTHOME, data: opened, repeated: false });
    board.hear(MAC, said(&[0x40, 2, 0xca, 9]));
    let Word::Unusable(_, DeviceFault::Garbled(why)) = word(&mut ear).await else { panic!("it is believed") };
    assert!(why.contains("not encrypted"), "{why}");
}

/// A key that was mended where it is kept is found there, and who has sent what before cannot send it again because of that.
#[tokio::test(start_paused = true)]
async fn a_wrong_key_is_looked_for_again() {
    let key = KeyFile::new("mended", "0123456789abcdef0123456789abcdef");
    let (board, mut ear) = listening(&key.site());
    let says = |counter| super::seal::sealed(KEY.as_bytes(), MAC, &[2, 0xca, 9], counter);
    let mut hear = async |data: Vec<u8>, after: u64| {
        tokio::time::advance(Duration::from_secs(after)).await;
        board.hear(MAC, said(&data));
        matches!(word(&mut ear).await, Word::Advert { .. })
    };
    assert!(!hear(says(300), 0).await, "the key is another one");
    std::fs::write(&key.0, KEY).unwrap();
    assert!(!hear(says(301), 1).await, "it was read just now");
    assert!(hear(says(302), 10).await);
    // What was not made with the key makes it be read again; it is the same, and what was said stays said.
    let mut forged = says(303);
    forged[2] ^= 1;
    for content in [KEY, ""] {
        std::fs::write(&key.0, content).unwrap();
        assert!(hear(says(302), 10).await, "the last one again");
        assert!(!hear(forged.clone(), 0).await);
        assert!(!hear(says(299), 0).await, "that was said before: {content:?}");
    }
    assert!(hear(says(304), 0).await, "one that cannot be read any more is kept");
}

/// A key is in no text that anybody may see, whatever goes wrong.
#[tokio::test]
async fn a_key_is_shown_nowhere() {
    let wrong = "0123456789abcdef0123456789abcdef";
    for (name, content, expected) in [
        ("wrong", wrong, "cannot be decrypted"),
        ("short", "0123456789abcdef", "32 hexadecimal digits"),
        ("empty", "", "is empty"),
    ] {
        let key = KeyFile::new(name, content);
        let site = key.site();
        let (board, mut ear) = listening(&site);
        board.hear(MAC, said(&SEALED));
        let word = word(&mut ear).await;
        let Word::Unusable(_, fault) = &word else { panic!("{word:?}") };
        let shown = format!("{fault} {word:?} {board:?} {site:?}");
        assert!(fault.to_string().contains(expected), "{fault}");
        assert!(!shown.contains("0123456789"), "{shown}");
    }
}

/// Anybody can send with the address of a device.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_opened_keeps_nobody_online() {
    let (board, mut ear) = listening(&site(THERMOMETER, ", key: \"env:USP_NOT_SET_ANYWHERE\""));
    board.state.send_replace(LinkState::Up);
    let strangers = async {
        loop {
            let rssi = Some(-60);
            board.hear(MAC, Advert { rssi, ..said(&[0x40, 2, 0xca, 9]) });
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
    };
    let silence = async {
        loop {
            match word(&mut ear).await {
                Word::Silent(_, why) => return assert!(why.is_some_and(|why| why.contains("USP_NOT_SET"))),
                Word::Unusable(..) | Word::Rssi(_) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    let began = tokio::time::Instant::now();
    tokio::select! {
        () = silence => {}
        () = strangers => {}
    }
    assert_eq!(began.elapsed().as_secs(), 120);
    let mut model = BleModel::new(&site(THERMOMETER, ", key: \"env:X\"").devices[0]);
    let heard = model.hear(Instant::now(), Word::Rssi(-60));
    assert!(!heard.live && !heard.readings[0].freshness.contact);
    // That of a word which the key has opened is the device's own.
    let now = Instant::now();
    model.hear(now, advert(&[0x40, 2, 0xca, 9]));
    let heard = model.hear(now, Word::Rssi(-61));
    assert!(!heard.live && heard.readings[0].freshness.contact);
    let later = now + Duration::from_secs(2);
    assert!(!model.hear(later, Word::Rssi(-61)).readings[0].freshness.contact);
}

/// A device as its worker has it.
struct Whole(Scheduler<BleModel>);

impl Whole {
    fn new(device: Device) -> Self {
        let mut scheduler = Scheduler::new(Arc::default(), Jitter::seeded(1), Duration::ZERO);
        scheduler.configure(Instant::now(), &[Arc::new(device)]);
        Self(scheduler)
    }

    /// Whether it is there, or why not, as far as that is told to something being said.
    fn says(&mut self, said: Said<Word>) -> Option<Result<(), String>> {
        self.0.handle_said(Instant::now(), said);
        let mut told = None;
        while let Some(message) = self.0.poll_output() {
            if let FromAdapter::Report(AdapterReport::Online { online, .. }) = message {
                told = Some(online.map_err(|fault| fault.to_string()));
            }
        }
        told
    }
}

/// What a device notifies and does not let be read is asked for once at most, and never shown as a failure; who asks gets what was
/// told last.
#[test]
fn what_is_only_notified_is_what_was_told_last() {
    let mut lamp = Whole::new(device(LAMP));
    lamp.says(Said::LinkUp);
    lamp.says(Said::Word(Word::Connected));
    let mut asked = Vec::new();
    while let Some(command) = lamp.0.poll_command(Instant::now()) {
        let Command::Exchange(ask) = command else { panic!("{command:?}") };
        let answer = match &ask.what {
            What::Read(_) => Answer::Unreadable,
            _ => Answer::Value(vec![0x57, 2, 40]),
        };
        asked.push(ask.what);
        lamp.0.handle_exchange(Instant::now(), Outcome::Taken(answer), true);
    }
    assert_eq!(asked.iter().filter(|what| matches!(what, What::Read(_))).count(), 1, "{asked:?}");
    while let Some(message) = lamp.0.poll_output() {
        let FromAdapter::Report(AdapterReport::Readings { readings, .. }) = message else { continue };
        assert!(readings.iter().all(|reading| reading.result.is_ok()), "{readings:?}");
    }
    let read = |lamp: &mut Whole, words: Option<Word>| {
        words.into_iter().for_each(|word| drop(lamp.says(Said::Word(word))));
        let action = Action::Read(vec![PointId(0)]);
        let call = AdapterCall {
            id: CallId(7),
            device: DeviceId("d".into()),
            action,
            within: Duration::from_secs(5),
            behind: Duration::ZERO,
        };
        lamp.0.handle_call(Instant::now(), Instant::now(), call);
        assert_eq!(lamp.0.poll_command(Instant::now()), None, "nothing is asked");
        match lamp.0.poll_output() {
            Some(FromAdapter::Reply(reply)) => reply.outcome.unwrap().remove(0).result,
            other => panic!("{other:?}"),
        }
    };
    let Err(DeviceFault::Unreachable(why)) = read(&mut lamp, None) else { panic!("it has a value") };
    assert!(why.contains("not told this yet"), "{why}");
    assert_eq!(read(&mut lamp, Some(Word::Notified(char(0xfff1), vec![1]))), Ok(Value::Bool(true)));
}

/// The reason of a device that is not there is the one that holds now: first that of its bus, then that nothing is heard, then why
/// what is heard is not believed.
#[test]
fn the_reason_of_an_absence_is_never_an_older_one() {
    let mut thermometer = Whole::new(device(THERMOMETER));
    let unusable = |why: &str| Said::Word(Word::Unusable(BTHOME, DeviceFault::Garbled(why.to_owned())));
    let has = |told: Option<Result<(), String>>, word: &str| {
        assert!(
            told.as_ref().is_some_and(|told| told.as_ref().is_err_and(|why| why.contains(word))),
            "{told:?}"
        );
    };
    has(thermometer.says(unusable("no key")), "no key");
    assert_eq!(thermometer.says(Said::Word(advert(&[0x40, 2, 0xca, 9]))), Some(Ok(())));
    assert_eq!(thermometer.says(unusable("replayed")), None, "who is there stays there");
    has(thermometer.says(Said::LinkDown("there is no D-Bus".to_owned())), "D-Bus");
    assert_eq!(thermometer.says(unusable("replayed")), None, "it was on its way");
    has(thermometer.says(Said::LinkUp), "nothing was heard of it since");
    has(thermometer.says(unusable("went back")), "went back");
    has(thermometer.says(Said::Word(Word::Silent(Duration::from_secs(9), None))), "9 s");
    has(thermometer.says(unusable("went back again")), "went back again");
    assert_eq!(thermometer.says(Said::Word(advert(&[0x40, 2, 0xca, 9]))), Some(Ok(())));
}

/// It advertises, as who is not connected does: that does not make it there until it turns out that it cannot be connected.
#[test]
fn a_device_that_cannot_be_connected_is_not_there_before_that_is_found_out() {
    let mut lamp = Whole::new(device(LAMP));
    let why = "it cannot be paired: the passkey is wrong";
    let apart = || Said::Word(Word::Apart(why.to_owned()));
    let strong = || Said::Word(Word::Rssi(-50));
    assert_eq!(lamp.says(Said::LinkUp), None);
    assert_eq!(lamp.says(strong()), None);
    let told = lamp.says(apart());
    assert!(matches!(&told, Some(Err(told)) if told.contains(why)), "{told:?}");
    assert_eq!((lamp.says(strong()), lamp.says(apart())), (None, None), "that is known");
    assert_eq!(lamp.says(Said::Word(Word::Connected)), Some(Ok(())));
    assert!(matches!(lamp.says(Said::LinkDown("bluetoothd has ended".to_owned())), Some(Err(_))));
    let told = lamp.says(Said::LinkUp);
    assert!(matches!(&told, Some(Err(told)) if told.contains("its bus is back")), "{told:?}");
    assert_eq!(lamp.says(strong()), None, "it was connected before, and is not yet");
    assert_eq!(lamp.says(Said::Word(Word::Connected)), Some(Ok(())));
}

/// Which says nothing for days.
const BUTTON: &str = r#"
uspmap: 1
profile: acme.button
version: 1.0.0
device: {type: Sensor}
ble: {connect: never}
capabilities:
  battery: {class: LevelSensor, type: Battery, unit: "%", read: {bthome: battery}}
"#;

/// Who is only heard is not there while its radio hears nothing; then it has to be heard, or was there before.
#[test]
fn a_radio_that_hears_nothing_takes_away_who_is_only_heard() {
    let unheard = || Said::Word(Word::Unheard("it hangs".to_owned()));
    let audible = || Said::Word(Word::Audible);
    let word = || Said::Word(advert(&[0x40, 2, 0xca, 9, 1, 90]));
    let has = |told: &Option<Result<(), String>>, words: &str| {
        assert!(matches!(told, Some(Err(why)) if why.contains(words)), "{told:?}");
    };
    let mut thermometer = Whole::new(device(THERMOMETER));
    thermometer.says(Said::LinkUp);
    assert_eq!(thermometer.says(word()), Some(Ok(())));
    has(&thermometer.says(unheard()), "it hangs");
    has(&thermometer.says(audible()), "its radio hears again");
    assert_eq!(thermometer.says(word()), Some(Ok(())));
    assert_eq!(thermometer.says(audible()), None);
    let mut button = Whole::new(device(BUTTON));
    button.says(Said::LinkUp);
    has(&button.says(unheard()), "it hangs");
    has(&button.says(audible()), "its radio hears again");
    assert_eq!(button.says(word()), Some(Ok(())));
    has(&button.says(unheard()), "it hangs");
    assert_eq!(button.says(audible()), Some(Ok(())), "it was there");
    let mut lamp = Whole::new(device(LAMP));
    lamp.says(Said::LinkUp);
    assert_eq!(lamp.says(Said::Word(Word::Connected)), Some(Ok(())));
    assert_eq!((lamp.says(unheard()), lamp.says(audible())), (None, None), "it is connected");
}

/// Nobody is asked to say again that the radio hears nothing, and nobody is missed who does not advertise.
#[tokio::test(start_paused = true)]
async fn who_is_connected_does_not_make_a_scan_silent() {
    let (board, mut ear) = listening(&site(THERMOMETER, ""));
    board.state.send_replace(LinkState::Up);
    assert!(matches!(ear.hear().await, Said::LinkUp));
    assert_eq!(board.silence().map(|silence| silence.odd.as_secs()), Some(120));
    board.hears_nothing(Some("it hangs"));
    assert_eq!(word(&mut ear).await, Word::Unheard("it hangs".to_owned()));
    let hearing = tokio::time::timeout(Duration::from_secs(3600), word(&mut ear)).await;
    assert!(hearing.is_err(), "that is the reason: {hearing:?}");
    board.hears_nothing(None);
    assert_eq!(word(&mut ear).await, Word::Audible);
    assert_eq!(word(&mut ear).await, Word::Silent(Duration::from_secs(120), None));
    board.is_connected(MAC, true);
    assert_eq!(board.silence(), None);
}

/// Somebody may be heard when bluetoothd is back and before the scan is begun anew: the pause until then is not the device's, nor is that
/// of its own connection. Both would let a scan be silent for four times as long.
#[tokio::test(start_paused = true)]
async fn an_outage_and_a_connection_are_no_pauses_of_a_device() {
    let (board, _ear) = listening(&site(THERMOMETER, ""));
    let hears = |seconds: u64| {
        let board = &board;
        async move {
            for _ in 0..seconds {
                tokio::time::advance(Duration::from_secs(1)).await;
                board.hear(MAC, Advert { rssi: Some(-60), ..Advert::default() });
            }
        }
    };
    let patience = || board.silence().map(|silence| silence.odd.as_secs());
    hears(130).await;
    assert_eq!(patience(), Some(10), "it is known how it speaks");
    board.interrupt();
    tokio::time::advance(Duration::from_secs(6)).await;
    // BlueZ shows what it knows again, and the scan begins.
    hears(1).await;
    board.forget();
    tokio::time::advance(Duration::from_secs(2)).await;
    hears(2).await;
    assert_eq!(patience(), Some(10));
    board.is_connected(MAC, true);
    // Its name and services are told, and are no advertisement.
    board.hear(MAC, Advert { name: Some("lamp".to_owned()), ..Advert::default() });
    tokio::time::advance(Duration::from_secs(6)).await;
    board.is_connected(MAC, false);
    hears(2).await;
    assert_eq!(patience(), Some(10));
}

/// Who can be asked may be there though the radio hears nothing: its own silence goes on.
#[tokio::test(start_paused = true)]
async fn who_can_be_asked_is_missed_by_its_own_silence() {
    let (board, mut ear) = listening(&site(&THERMOMETER.replace("connect: never, ", ""), ""));
    board.state.send_replace(LinkState::Up);
    assert!(matches!(ear.hear().await, Said::LinkUp));
    let began = tokio::time::Instant::now();
    tokio::time::advance(Duration::from_secs(50)).await;
    board.hears_nothing(Some("it hangs"));
    assert_eq!(word(&mut ear).await, Word::Unheard("it hangs".to_owned()));
    assert_eq!(word(&mut ear).await, Word::Silent(Duration::from_secs(120), None));
    assert_eq!(began.elapsed().as_secs(), 120);
}

/// Strangers count while they are listened to, and are kept nowhere.
#[tokio::test(start_paused = true)]
async fn strangers_show_that_the_radio_hears() {
    let (board, _ear) = listening(&site(THERMOMETER, ""));
    let before = board.heard();
    assert!(board.be_curious(true) && !board.be_curious(true));
    assert_eq!(board.wanted(), None);
    tokio::time::advance(Duration::from_secs(5)).await;
    board.hear(Mac([1; 6]), said(&[0x40]));
    let heard = board.heard();
    assert_eq!((heard.device, heard.anybody - before.anybody), (before.device, Duration::from_secs(5)));
    board.stirred.notified().await;
    board.hear(MAC, said(&[0x40]));
    assert_eq!(board.heard().device, heard.anybody);
}

/// Somebody may have recorded it: what counts again from the beginning sets what the device shows, and presses nothing.
#[tokio::test(start_paused = true)]
async fn the_word_by_which_a_restart_is_believed_is_no_event() {
    let key = KeyFile::new("pressed", KEY);
    let (board, mut ear) = listening(&key.site());
    let mut model = BleModel::new(&key.site().devices[0]);
    let mut hear = async |counter: u32| {
        tokio::time::advance(Duration::from_secs(1)).await;
        let pressed = super::seal::sealed(KEY.as_bytes(), MAC, &[2, 0xca, 9, 0x3a, 1], counter);
        board.hear(MAC, said(&pressed));
        let heard = model.hear(Instant::now(), word(&mut ear).await);
        let told: Vec<u16> =
            heard.readings.iter().filter(|it| it.result.is_ok()).map(|it| it.point.0).collect();
        told
    };
    assert_eq!(hear(5000).await, [0, 2]);
    for counter in 0..10 {
        assert_eq!(hear(counter).await, [0; 0]);
    }
    assert_eq!(hear(10).await, [0], "believed from here on");
    assert_eq!(hear(10).await, [0], "it again");
    assert_eq!(hear(11).await, [0, 2], "another press");
}

/// One that was restarted is heard again, though its counter was used before; the log says so, once.
#[tokio::test(start_paused = true)]
async fn a_counter_that_went_back_is_told_and_believed_when_it_goes_on() {
    let key = KeyFile::new("restarted", KEY);
    let (board, mut ear) = listening(&key.site());
    let log = Log::default();
    // While there is but one, what another test logs first is looked up in that test's thread alone, and then logged nowhere.
    let _another = tracing::Dispatch::new(log.clone());
    let _logging = tracing::subscriber::set_default(log.clone());
    let mut hear = async |counter: u32| {
        tokio::time::advance(Duration::from_secs(1)).await;
        board.hear(MAC, said(&super::seal::sealed(KEY.as_bytes(), MAC, &[2, 0xca, 9], counter)));
        word(&mut ear).await
    };
    for counter in 5000..5003 {
        assert!(matches!(hear(counter).await, Word::Advert { .. }));
    }
    for counter in 257..267 {
        let Word::Unusable(_, fault) = hear(counter).await else { panic!("{counter} is believed") };
        assert!(fault.to_string().contains("went back from 5002 to 257"), "{fault}");
    }
    assert!(matches!(hear(267).await, Word::Advert { repeated: true, .. }), "whenever it was first said");
    assert!(matches!(hear(268).await, Word::Advert { repeated: false, .. }));
    let log = log.text();
    assert_eq!(log.matches("WARN").count(), 1, "{log}");
    assert!(log.contains("its counter went back from 5002 to 257") && log.contains("device=d"), "{log}");
    assert!(log.contains("INFO") && !log.contains(KEY), "{log}");
}

/// Each word that was encrypted anew is another one, however soon it comes.
#[tokio::test]
async fn two_presses_are_two_though_they_say_the_same() {
    let key = KeyFile::new("presses", KEY);
    let (board, mut ear) = listening(&key.site());
    let mut hear = async |counter: u32| {
        board.hear(MAC, said(&super::seal::sealed(KEY.as_bytes(), MAC, &[0x3a, 1], counter)));
        match word(&mut ear).await {
            Word::Advert { repeated, .. } => repeated,
            other => panic!("{other:?}"),
        }
    };
    assert!(!hear(7).await);
    assert!(!hear(8).await);
}

/// Whoever wanted it is told that it was not sent, and it is not.
#[tokio::test(start_paused = true)]
async fn a_write_that_finds_no_slot_in_time_is_not_sent() {
    let site = site(LAMP, "");
    let board = Board::new(Arc::default(), 1);
    let device = Arc::new(site.devices[0].clone());
    let listener = board.listen(&device);
    listener.is_there();
    board.slot(&usp_mapping::port::DeviceId("other".into()), Idle::Keep).await;
    let plan = BusPlan { bus: site.buses[0].clone(), names: Vec::new(), devices: vec![Arc::clone(&device)] };
    let (_plan, plans) = watch::channel(Arc::new(plan));
    let (orders, mut taken) = tokio::sync::mpsc::channel(1);
    let chat = Chat::new(&board, device.id.clone(), plans, listener);
    let stop = tokio_util::sync::CancellationToken::new();
    let stopped = stop.clone();
    let running = tokio::spawn(async move { chat.run(&mut taken, stopped).await });
    let model = BleModel::new(&device);
    let mut ask = written(&model, 0, Value::Bool(true));
    let began = tokio::time::Instant::now();
    model.hold(&mut ask, (began + Duration::from_secs(7)).into_std());
    let (done, result) = tokio::sync::oneshot::channel();
    orders.send(Order { what: ask.what, done }).await.unwrap();
    let (outcome, _) = result.await.unwrap();
    assert!(matches!(outcome, Outcome::Taken(Answer::NotAsked(DeviceFault::Expired))), "{outcome:?}");
    assert_eq!(began.elapsed().as_secs(), 7);
    stop.cancel();
    running.await.unwrap();
}

/// Who waits for a slot makes who idles give his up.
#[tokio::test(start_paused = true)]
async fn slots_are_handed_on() {
    let (board, _ear) = listening(&site(THERMOMETER, ""));
    let of = |name: &str| usp_mapping::port::DeviceId(name.into());
    let (one, other) = (of("one"), of("other"));
    board.slot(&one, Idle::Keep).await;
    board.use_slot(&one, false);
    let waits = async { board.slot(&other, Idle::For(Duration::from_secs(1))).await };
    let gives = async {
        board.turn_ends(&one).await;
        board.give_up(&one);
    };
    tokio::join!(waits, gives);
}
