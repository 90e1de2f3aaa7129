//! Conversations on a virtual clock, and a device behind TCP and on a pseudo-terminal.

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serial2::SerialPort;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use usp_mapping::diagnostic::SourceFile;
use usp_mapping::draft::site::Use;
use usp_mapping::mapping::{Device, LineOptions, Mapping, Protocol, Site};
use usp_mapping::port::{
    Action, AdapterCall, AdapterReply, AdapterReport, CallId, DeviceFault, DeviceId, Freshness, PointId,
    Reading,
};
use usp_mapping::site::{NotFound, compile_site};
use usp_mapping::value::Value;

use super::conversation::{Answer, Ask, Conversation, Happened};
use super::debts::Debts;
use super::device::Word;
use super::model::LineModel;
use crate::bus::queue::Target;
use crate::bus::{Model, Outcome, WriteStart};
use crate::{Adapters, FromAdapter};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Long enough for a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(30);

const PROJECTOR: &str = r#"
uspmap: 1
profile: acme.projector
version: 1.0.0
device: {type: X_ACME_Projector}
line: {baud: 9600, end: "\r", ack: OK, refusal: "ERR$any", timeout: 500ms, pause: 20ms}
poll: {slow: 1h}
capabilities:
  power:
    class: BinaryControl
    type: Switch
    read: {send: "PWR?", says: "PWR=$value", unasked: true, map: {"ON": true, "OFF": false}}
    write: {send: "PWR $value"}
  volume:
    class: LevelControl
    type: Volume
    unit: "%"
    min: 0
    max: 100
    read: {send: "VOL?", says: "VOL=$value"}
    write: {send: "VOL $value", ack: "VOL=$value", verify: false}
"#;

const METER: &str = r#"
uspmap: 1
profile: acme.meter
version: 1.0.0
device: {type: Meter}
line: {baud: 115200, start: "/", end: "!", checksum: {kind: crc16-arc, as: hex, at: after_end}, every: 10s}
capabilities:
  power: {class: LevelSensor, type: Power, unit: W, read: {find: "\n1-0:1.7.0($value*kW)", scale: 1000}}
"#;

fn site(mapping: &str, bus: &str) -> Site {
    let text = format!("site: 1\nbuses: {{line: {{{bus}}}}}\ndevices: {{d: {{file: x.yaml, bus: line}}}}\n");
    let (site, found) = compile_site(&SourceFile::new("site.yaml", &text), &|wanted| match wanted {
        Use::File(_) => Ok(SourceFile::new("x.yaml", mapping)),
        Use::Profile { .. } => Err(NotFound::Profile { known: Vec::new() }),
    });
    site.unwrap_or_else(|| panic!("{found:?}"))
}

fn device(mapping: &str) -> Device {
    site(mapping, "serial_line_tcp: \"127.0.0.1:1\"").devices.remove(0)
}

fn options(mapping: &Mapping) -> LineOptions {
    match &mapping.protocol {
        Protocol::Line(options) => options.clone(),
        other => panic!("{other:?}"),
    }
}

/// A projector's model and its line, at some moment.
fn talk() -> (LineModel, Conversation, Instant) {
    let device = device(PROJECTOR);
    let manner = options(&device.mapping).manner;
    (LineModel::new(&device), Conversation::new(manner, Duration::ZERO, Debts::default()), Instant::now())
}

fn read(model: &mut LineModel, now: Instant, point: u16) -> Ask {
    model.plan(now, &[PointId(point)]).remove(0)
}

fn write(model: &LineModel, point: u16, value: Value) -> Ask {
    match model.write(Target::Point(PointId(point)), &value).unwrap() {
        WriteStart::Send(ask) => ask,
        WriteStart::Fetch(_) => panic!("nothing is fetched"),
    }
}

/// What came of the request.
fn done(happened: Vec<Happened>) -> Option<Outcome<Answer>> {
    happened.into_iter().find_map(|it| match it {
        Happened::Done(outcome) => Some(outcome),
        Happened::Heard(_) | Happened::Broken(_) => None,
    })
}

fn number(value: i64) -> Value {
    Value::Number(value.into())
}

#[test]
fn an_answer_is_what_the_mapping_says() {
    let (mut model, mut line, now) = talk();
    let ask = read(&mut model, now, 0);
    assert_eq!(line.ask(now, ask.clone()), b"PWR?\r");
    assert!(!line.is_free(now));
    assert!(done(line.hear(now, b"VOL=3\rPW")).is_none(), "something else, and a half");
    let outcome = done(line.hear(now, b"R=ON\r"));
    let Some(Outcome::Answered(answer)) = outcome else { panic!("{outcome:?}") };
    let understood = model.understand(now, &ask, answer);
    assert_eq!(understood.readings, [Reading::now(PointId(0), Ok(Value::Bool(true)))]);
    assert!(!line.is_free(now), "the pause");
    assert!(line.is_free(now + 20 * MS));
}

#[test]
fn a_refusal_is_told_in_the_words_of_the_device() {
    let (mut model, mut line, now) = talk();
    let ask = read(&mut model, now, 1);
    line.ask(now, ask.clone());
    let Some(Outcome::Answered(answer)) = done(line.hear(now, b"ERR 3\r")) else { panic!("no answer") };
    assert!(model.refuses(&answer));
    let readings = model.understand(now, &ask, answer).readings;
    assert_eq!(readings, [Reading::now(PointId(1), Err(DeviceFault::Refused("ERR 3".to_owned())))]);
}

#[test]
fn a_late_answer_answers_nothing_else() {
    let (mut model, mut line, now) = talk();
    let ask = read(&mut model, now, 1);
    line.ask(now, ask);
    let later = now + 500 * MS;
    assert!(matches!(done(line.tick(later)), Some(Outcome::Silent(DeviceFault::Timeout(_)))));
    assert!(!line.is_free(later + 499 * MS), "its answer may still come");
    assert!(done(line.hear(later + 100 * MS, b"VOL=7\r")).is_none());
    let again = later + 130 * MS;
    assert!(line.is_free(again), "it came");
    let ask = read(&mut model, again, 1);
    line.ask(again, ask);
    let said = done(line.hear(again, b"VOL=8\r"));
    assert!(matches!(said, Some(Outcome::Answered(Answer::Said(frame))) if frame == b"VOL=8"));
}

/// What came of a request that was understood or refused.
fn answer(happened: Vec<Happened>) -> Answer {
    match done(happened) {
        Some(Outcome::Answered(answer)) => answer,
        other => panic!("{other:?}"),
    }
}

/// Asks, and gets no answer in time; when that is known.
fn in_vain(line: &mut Conversation, now: Instant, ask: Ask) -> Instant {
    line.ask(now, ask);
    let later = now + 500 * MS;
    assert!(matches!(done(line.tick(later)), Some(Outcome::Silent(DeviceFault::Timeout(_)))));
    later
}

#[test]
fn a_very_late_answer_confirms_no_other_command() {
    let (model, mut line, now) = talk();
    let (on, off) = (write(&model, 0, Value::Bool(true)), write(&model, 0, Value::Bool(false)));
    let later = in_vain(&mut line, now, on) + SECOND;
    assert!(line.is_free(later), "one that is dead must not keep the others waiting");
    line.ask(later, off);
    assert!(done(line.hear(later + 10 * MS, b"OK\r")).is_none(), "that was the first one's");
    assert_eq!(answer(line.hear(later + 20 * MS, b"ERR\r")), Answer::Refused("ERR".to_owned()));
}

#[test]
fn a_very_late_refusal_refuses_no_other_command() {
    let (model, mut line, now) = talk();
    let (on, off) = (write(&model, 0, Value::Bool(true)), write(&model, 0, Value::Bool(false)));
    let later = in_vain(&mut line, now, on) + SECOND;
    line.ask(later, off);
    assert!(done(line.hear(later + 10 * MS, b"ERR\r")).is_none(), "that was the first one's");
    assert_eq!(answer(line.hear(later + 20 * MS, b"OK\r")), Answer::Said(b"OK".to_vec()));
}

/// Whose the only answer was cannot be known: nothing is made of it, and the line is left alone for long.
#[test]
fn one_answer_for_two_commands_confirms_neither() {
    let (model, mut line, now) = talk();
    let (on, off) = (write(&model, 0, Value::Bool(true)), write(&model, 0, Value::Bool(false)));
    let later = in_vain(&mut line, now, on) + SECOND;
    line.ask(later, off.clone());
    assert!(done(line.hear(later + 10 * MS, b"OK\r")).is_none());
    let failed = later + 500 * MS;
    let outcome = done(line.tick(failed));
    let Some(Outcome::Silent(DeviceFault::Garbled(why))) = outcome else { panic!("{outcome:?}") };
    assert_eq!(why, "\"OK\" may be the late answer to an earlier request, and nothing else came");
    assert!(!line.is_free(failed + 4999 * MS), "its own answer may still come");
    let silent = failed + 5 * SECOND;
    assert_eq!(line.wake(failed + 20 * MS), Some(silent));
    assert!(line.is_free(silent));
    line.ask(silent, off);
    assert_eq!(answer(line.hear(silent, b"OK\r")), Answer::Said(b"OK".to_vec()));
}

#[test]
fn an_answer_that_only_the_last_request_can_have_ends_the_waiting_for_others() {
    let (mut model, mut line, now) = talk();
    let later = in_vain(&mut line, now, write(&model, 0, Value::Bool(true))) + SECOND;
    line.ask(later, read(&mut model, later, 1));
    assert_eq!(answer(line.hear(later, b"VOL=3\r")), Answer::Said(b"VOL=3".to_vec()));
    let again = later + 20 * MS;
    line.ask(again, write(&model, 0, Value::Bool(false)));
    assert_eq!(answer(line.hear(again, b"OK\r")), Answer::Said(b"OK".to_vec()), "it was lost");
}

/// What a device says by itself is no sign of where it is in what it was asked.
#[test]
fn a_word_that_may_be_unasked_does_not_end_the_waiting() {
    let (mut model, mut line, now) = talk();
    let later = in_vain(&mut line, now, write(&model, 0, Value::Bool(true))) + SECOND;
    line.ask(later, read(&mut model, later, 0));
    assert_eq!(answer(line.hear(later, b"PWR=OFF\r")), Answer::Said(b"PWR=OFF".to_vec()));
    let again = later + 20 * MS;
    line.ask(again, write(&model, 0, Value::Bool(false)));
    assert!(done(line.hear(again, b"OK\r")).is_none());
}

#[test]
fn a_late_answer_to_the_same_question_is_an_answer() {
    let (mut model, mut line, now) = talk();
    let question = read(&mut model, now, 1);
    let later = in_vain(&mut line, now, question.clone()) + SECOND;
    line.ask(later, question.clone());
    assert_eq!(answer(line.hear(later, b"VOL=3\r")), Answer::Said(b"VOL=3".to_vec()));
    // The second of the two may be on its way yet: it does not confirm a command.
    let again = later + 20 * MS;
    line.ask(again, write(&model, 1, number(3)));
    assert!(done(line.hear(again, b"VOL=3\r")).is_none());
    assert_eq!(answer(line.hear(again, b"VOL=3\r")), Answer::Said(b"VOL=3".to_vec()));
}

/// It may tell how it was before.
#[test]
fn a_late_answer_to_the_same_question_before_a_command_is_none() {
    let device = device(&PROJECTOR.replace("ack: OK, ", ""));
    let (mut model, now) = (LineModel::new(&device), Instant::now());
    let mut line = Conversation::new(options(&device.mapping).manner, Duration::ZERO, Debts::default());
    let question = read(&mut model, now, 1);
    let later = in_vain(&mut line, now, question.clone()) + SECOND;
    line.ask(later, write(&model, 0, Value::Bool(true)));
    assert!(matches!(line.sent(later), Some(Happened::Done(Outcome::Taken(_)))));
    let again = later + 20 * MS;
    line.ask(again, question);
    assert!(done(line.hear(again, b"VOL=3\r")).is_none());
    assert_eq!(answer(line.hear(again, b"VOL=4\r")), Answer::Said(b"VOL=4".to_vec()));
}

#[test]
fn an_acknowledgement_of_another_value_is_none() {
    let (model, mut line, now) = talk();
    let ask = write(&model, 1, number(30));
    assert_eq!(line.ask(now, ask.clone()), b"VOL 30\r");
    assert!(done(line.hear(now, b"VOL=29\r")).is_none(), "perhaps on the way there");
    let Some(Outcome::Answered(answer)) = done(line.tick(now + 500 * MS)) else { panic!("no answer") };
    let (wanted, shown) = ("30".to_owned(), "29".to_owned());
    assert_eq!(model.acknowledge(&ask, answer), Err(DeviceFault::NotConfirmed { wanted, shown }));
    let (model, mut line, now) = talk();
    let ask = write(&model, 1, number(30));
    line.ask(now, ask.clone());
    let Some(Outcome::Answered(answer)) = done(line.hear(now, b"VOL=30\r")) else { panic!("no answer") };
    assert_eq!(model.acknowledge(&ask, answer), Ok(()));
}

#[test]
fn an_echo_is_no_acknowledgement() {
    let (model, mut line, now) = talk();
    line.ask(now, write(&model, 0, Value::Bool(true)));
    assert!(done(line.hear(now, b"PWR ON\r")).is_none());
    line.was_strange(b"PWR ON");
    let outcome = done(line.tick(now + 500 * MS));
    let Some(Outcome::Silent(DeviceFault::Garbled(why))) = outcome else { panic!("{outcome:?}") };
    assert_eq!(why, "\"PWR ON\" is not what the mapping expects");
}

#[test]
fn what_a_line_brings_back_is_nobodys_word() {
    let device = device(&PROJECTOR.replace("baud: 9600,", "baud: 9600, echo: true,"));
    let (model, now) = (LineModel::new(&device), Instant::now());
    let mut line = Conversation::new(options(&device.mapping).manner, Duration::ZERO, Debts::default());
    line.ask(now, write(&model, 0, Value::Bool(true)));
    assert!(line.hear(now, b"PWR ON\r").is_empty());
    assert!(matches!(done(line.hear(now, b"OK\r")), Some(Outcome::Answered(_))));
    let again = now + 20 * MS;
    line.ask(again, write(&model, 0, Value::Bool(true)));
    line.hear(again, b"PWR ON\r");
    let outcome = done(line.tick(again + 500 * MS));
    assert!(matches!(outcome, Some(Outcome::Silent(DeviceFault::Timeout(_)))), "{outcome:?}");
}

#[test]
fn half_an_answer_is_garbled_and_given_up() {
    let (mut model, mut line, now) = talk();
    let ask = read(&mut model, now, 0);
    line.ask(now, ask);
    line.hear(now, b"PWR=O");
    let outcome = done(line.tick(now + 500 * MS));
    assert!(matches!(outcome, Some(Outcome::Silent(DeviceFault::Garbled(_)))), "{outcome:?}");
    let broken = line.tick(now + Duration::from_secs(1));
    assert!(broken.iter().any(|it| matches!(it, Happened::Broken(_))), "{broken:?}");
    assert!(matches!(line.hear(now, b"PWR=ON\r").as_slice(), [Happened::Heard(frame)] if frame == b"PWR=ON"));
}

#[test]
fn what_is_said_unasked_is_a_live_word() {
    let (mut model, _, now) = talk();
    let heard = model.hear(now, Word::Frame(Arc::from(b"PWR=OFF".as_slice())));
    assert!(heard.live);
    assert_eq!(heard.readings, [Reading::now(PointId(0), Ok(Value::Bool(false)))]);
    let heard = model.hear(now, Word::Frame(Arc::from(b"VOL=3".as_slice())));
    assert!(!heard.live && heard.readings.is_empty(), "that is said only when it is asked for");
    let heard = model.hear(now, Word::Nothing(PATIENCE));
    assert_eq!(heard.presence, Some(Err("nothing was heard of it for 30 s".to_owned())));
}

#[test]
fn what_was_said_long_ago_is_as_old_as_that() {
    let mut model = LineModel::new(&device(METER));
    let now = Instant::now();
    let unsaid = model.known(now, PointId(0)).unwrap().result.unwrap_err().to_string();
    assert!(unsaid.contains("has not said this yet"), "{unsaid}");
    model.hear(now, Word::Frame(Arc::from(b"/X\r\n1-0:1.7.0(01.193*kW)\r\n".as_slice())));
    let age = Duration::from_secs(31);
    let known = model.known(now + age, PointId(0)).unwrap();
    assert_eq!(known.result, Ok(number(1193)));
    assert_eq!(known.freshness, Freshness { contact: false, age: Some(age) });
}

/// Adapters with a line, and what they say.
fn start(mapping: &str, bus: &str) -> (Adapters, mpsc::Receiver<FromAdapter>) {
    let (to_core, from) = mpsc::channel(64);
    (Adapters::start(Arc::new(site(mapping, bus)), to_core), from)
}

/// The next of what is said that this is about.
async fn until<T>(from: &mut mpsc::Receiver<FromAdapter>, wanted: impl Fn(FromAdapter) -> Option<T>) -> T {
    let found = async {
        loop {
            let said = from.recv().await.expect("the adapters go on");
            if let Some(found) = wanted(said) {
                return found;
            }
        }
    };
    timeout(PATIENCE, found).await.expect("it is said in time")
}

fn online(said: FromAdapter) -> Option<Result<(), DeviceFault>> {
    match said {
        FromAdapter::Report(AdapterReport::Online { online, .. }) => Some(online),
        _ => None,
    }
}

fn reading(said: FromAdapter) -> Option<Result<Value, DeviceFault>> {
    match said {
        FromAdapter::Report(AdapterReport::Readings { mut readings, .. }) => Some(readings.remove(0).result),
        _ => None,
    }
}

fn reply(said: FromAdapter) -> Option<AdapterReply> {
    match said {
        FromAdapter::Reply(reply) => Some(reply),
        _ => None,
    }
}

#[tokio::test]
async fn a_projector_behind_tcp_is_set_and_confirmed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bus = format!("serial_line_tcp: \"{}\"", listener.local_addr().unwrap());
    let projector = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut power, mut heard, mut buffer) = ("OFF", String::new(), [0; 64]);
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            heard += std::str::from_utf8(&buffer[..count]).unwrap();
            while let Some((request, rest)) = heard.clone().split_once('\r') {
                let answer = match request {
                    "PWR?" => format!("PWR={power}\r"),
                    "PWR ON" => {
                        power = "ON";
                        "OK\r".to_owned()
                    }
                    "VOL?" => "VOL=12\r".to_owned(),
                    _ => "ERR\r".to_owned(),
                };
                stream.write_all(answer.as_bytes()).await.unwrap();
                rest.clone_into(&mut heard);
            }
        }
    });
    let (adapters, mut from) = start(PROJECTOR, &bus);
    assert_eq!(until(&mut from, online).await, Ok(()));
    let action = Action::Write(vec![(PointId(0), Value::Bool(true))]);
    let (device, behind) = (DeviceId("d".into()), Duration::ZERO);
    adapters.call(AdapterCall { id: CallId(1), device, within: PATIENCE, behind, action });
    let answer = until(&mut from, reply).await;
    assert_eq!(answer.outcome, Ok(vec![Reading::now(PointId(0), Ok(Value::Bool(true)))]));
    adapters.stop().await;
    timeout(PATIENCE, projector).await.expect("its connection is closed").unwrap();
}

/// Its cable is pulled after a command: nobody knows whether it has done it. What comes while it is out was not sent.
#[tokio::test]
async fn what_was_sent_before_a_line_was_lost_may_be_done() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bus = format!("serial_line_tcp: \"{}\"", listener.local_addr().unwrap());
    let projector = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut heard, mut buffer) = (String::new(), [0; 64]);
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            heard += std::str::from_utf8(&buffer[..count]).unwrap();
            if heard.ends_with("VOL 30\r") {
                break;
            }
            if heard.ends_with('?') || heard.ends_with("?\r") {
                stream.write_all(b"PWR=ON\r").await.unwrap();
            }
        }
    });
    let (adapters, mut from) = start(PROJECTOR, &bus);
    assert_eq!(until(&mut from, online).await, Ok(()));
    let set = |id| {
        let action = Action::Write(vec![(PointId(1), number(30))]);
        let (device, behind) = (DeviceId("d".into()), Duration::ZERO);
        AdapterCall { id: CallId(id), device, within: PATIENCE, behind, action }
    };
    adapters.call(set(1));
    let lost = until(&mut from, reply).await.outcome.unwrap().remove(0).result.unwrap_err();
    assert!(matches!(lost, DeviceFault::Unsettled(_)), "{lost:?}");
    timeout(PATIENCE, projector).await.expect("it has hung up").unwrap();
    adapters.call(set(2));
    let unsent = until(&mut from, reply).await.outcome.unwrap_err();
    assert!(matches!(unsent, DeviceFault::Unreachable(_)), "{unsent:?}");
    adapters.stop().await;
}

/// Bytes that never end keep nobody waiting for longer than a time-out.
#[tokio::test]
async fn a_flood_of_bytes_does_not_hold_up_what_is_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bus = format!("serial_line_tcp: \"{}\"", listener.local_addr().unwrap());
    let flood = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    });
    let (adapters, mut from) = start(PROJECTOR, &bus);
    let action = Action::Read(vec![PointId(0)]);
    let (device, behind) = (DeviceId("d".into()), Duration::ZERO);
    adapters.call(AdapterCall { id: CallId(1), device, within: PATIENCE, behind, action });
    let outcome = until(&mut from, reply).await.outcome;
    let is_fault = |all: &Vec<Reading>| all.iter().all(|reading| reading.result.is_err());
    assert!(outcome.as_ref().is_err() || outcome.as_ref().is_ok_and(is_fault), "{outcome:?}");
    adapters.stop().await;
    timeout(PATIENCE, flood).await.expect("its connection is closed").unwrap();
}

/// A meter on a disturbed line, heard by whoever connects to the port.
#[tokio::test(start_paused = true)]
async fn what_is_never_right_is_the_reason_for_the_silence() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (adapters, mut from) = start(METER, &format!("serial_line_tcp: \"127.0.0.1:{port}\""));
    let (mut line, _) = listener.accept().await.unwrap();
    let wrong = b"/X\r\n1-0:1.7.0(01.193*kW)\r\n!FFFF\r\n";
    let why = loop {
        line.write_all(wrong).await.unwrap();
        if let Ok(said) = timeout(10 * SECOND, until(&mut from, online)).await {
            break said.unwrap_err().to_string();
        }
    };
    assert!(why.contains("nothing of use was heard of it for 30 s: frames came, "), "{why}");
    assert!(why.contains(" with a wrong checksum, the last one "), "{why}");
    adapters.stop().await;
}

/// A port that vanishes and comes back by the same name.
#[tokio::test]
async fn a_meter_is_unplugged_and_back() {
    let folder = std::env::temp_dir().join(format!("usp-line-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let name = folder.join("usb-P1-if00-port0");
    let plug = || {
        let (ours, theirs) = SerialPort::pair().unwrap();
        let path = std::fs::read_link(format!("/proc/self/fd/{}", theirs.as_raw_fd())).unwrap();
        std::fs::remove_file(&name).ok();
        std::os::unix::fs::symlink(path, &name).unwrap();
        (ours, theirs)
    };
    let says = |ours: &SerialPort, power: &str| {
        let body = format!("/X\r\n1-0:1.7.0({power}*kW)\r\n!");
        let sum = usp_mapping::line::ChecksumKind::Crc16Arc.of(body.as_bytes());
        ours.write_all(format!("{body}{sum:04X}\r\n").as_bytes()).unwrap();
    };
    let pair = plug();
    let (adapters, mut from) = start(METER, &format!("serial_line: {}", name.display()));
    // It may be opened, and emptied, only now.
    let connected = || adapters.statistics().first().is_some_and(|bus| bus.connected);
    timeout(PATIENCE, async {
        while !connected() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the port is opened");
    says(&pair.0, "01.193");
    assert_eq!(until(&mut from, online).await, Ok(()));
    assert_eq!(until(&mut from, reading).await, Ok(number(1193)));
    drop(pair);
    std::fs::remove_file(&name).unwrap();
    let gone = until(&mut from, online).await.unwrap_err().to_string();
    assert!(gone.contains("usb-P1-if00-port0 is gone; is the adapter plugged in?"), "{gone}");
    let bus = adapters.statistics().remove(0);
    assert!(!bus.connected && gone.contains(&*bus.last_error), "{bus:?}");
    let pair = plug();
    let back = async {
        loop {
            // What is said before it is open again is lost.
            says(&pair.0, "02.500");
            let said = timeout(200 * MS, from.recv()).await.ok().flatten();
            if let Some(reading) = said.and_then(reading) {
                return reading;
            }
        }
    };
    assert_eq!(timeout(PATIENCE, back).await.expect("it is back"), Ok(number(2500)));
    adapters.stop().await;
    std::fs::remove_dir_all(&folder).unwrap();
}
