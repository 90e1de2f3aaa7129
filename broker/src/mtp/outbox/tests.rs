use usp_proto::endpoint_id::EndpointId;
use usp_proto::usp::{Header, Msg};
use usp_proto::usp_record::{self, record::RecordType};

use super::line::GAPS;
use super::*;

fn record(id: &str) -> Record {
    let peer = EndpointId::parse("proto::peer").unwrap();
    let header = Header { msg_id: id.to_owned(), ..Header::default() };
    Record::message(peer.clone(), peer, Msg { header: Some(header), body: None })
}

fn ids(turn: Turn) -> Vec<String> {
    let Turn::Send(letters) = turn else { panic!("closed") };
    letters.into_iter().map(msg_id).collect()
}

fn msg_id(letter: Letter) -> String {
    let record = usp_record::Record::decode(letter.into_bytes().as_slice()).unwrap();
    let Some(RecordType::NoSessionContext(inside)) = record.record_type else { panic!("{record:?}") };
    Msg::decode(inside.payload.as_slice()).unwrap().header.unwrap().msg_id
}

#[tokio::test]
async fn sends_in_order_and_what_is_merged_comes_last() {
    let outbox = Outbox::new(10, 1000);
    for (id, merge) in [("a", None), ("old", Some(7)), ("b", None), ("new", Some(7)), ("c", Some(8))] {
        outbox.push(record(id), merge, 0).unwrap();
    }
    assert_eq!(ids(outbox.next().await), ["a", "b", "new", "c"]);
    outbox.push(record("later"), Some(7), 0).unwrap();
    assert_eq!(ids(outbox.next().await), ["later"]);
}

/// Whoever changes a value twice hears of each answer before the change that it caused.
#[tokio::test]
async fn a_change_never_overtakes_the_answer_that_it_follows() {
    let outbox = Outbox::new(10, 1000);
    for (id, merge) in [("answer 1", None), ("one", Some(7)), ("answer 2", None), ("two", Some(7))] {
        outbox.push(record(id), merge, 0).unwrap();
    }
    assert_eq!(ids(outbox.next().await), ["answer 1", "answer 2", "two"]);
}

/// A value that changes each time before its turn comes, on a connection that always has something to send.
#[tokio::test]
async fn what_changes_all_the_time_is_told_all_the_same() {
    let outbox = Outbox::new(1000, 100_000);
    let others = || (0..=TURN / 3).for_each(|_| outbox.push(record("other"), None, 0).unwrap());
    (0..8).for_each(|_| others());
    let mut told = Vec::new();
    for turn in 0..12 {
        for change in 0..3 {
            outbox.push(record(&format!("value {turn}.{change}")), Some(7), 0).unwrap();
            others();
        }
        let sent = ids(outbox.next().await);
        told.extend(sent.into_iter().filter(|id| id.starts_with("value")));
        let queue = outbox.lock();
        let waiting = queue.waiting.values().filter(|waiting| waiting.merge.is_some()).count();
        assert!(waiting <= 2, "{waiting}");
    }
    assert!(told.len() >= 2, "{told:?}");
    let number = |id: &String| id.trim_start_matches("value ").parse::<f64>().unwrap();
    assert!(told.is_sorted_by_key(number), "{told:?}");
}

#[tokio::test]
async fn overflows_by_count() {
    let outbox = Outbox::new(2, 1000);
    outbox.push(record("a"), None, 0).unwrap();
    outbox.push(record("b"), Some(1), 0).unwrap();
    outbox.push(record("c"), Some(1), 0).unwrap();
    assert_eq!(outbox.push(record("d"), None, 0), Err(Overflow));
    outbox.overflowed().await;
}

/// A change of a thousand devices is one input. A reader that kept up is not to blame for it, nor for what comes
/// while it reads that; one that does not read is.
#[tokio::test]
async fn what_one_input_brings_is_held_and_what_follows_has_the_usual_room() {
    let outbox = Outbox::new(2, 1000);
    let push = |input| outbox.push(record("a"), None, input);
    (0..100).for_each(|_| push(1).unwrap());
    assert_eq!([2, 3, 4].map(|input| push(input).is_ok()), [true, true, false]);

    let outbox = Outbox::new(20, 1000);
    let push = |input, merge| outbox.push(record("a"), merge, input);
    let count = 6 * u64::try_from(TURN).unwrap() + 4;
    (0..count).for_each(|key| push(1, Some(key)).unwrap());
    (0..count).for_each(|key| push(2 + key, Some(key)).unwrap());
    for _ in 0..6 {
        assert_eq!(ids(outbox.next().await).len(), TURN);
    }
    assert_eq!(outbox.lock().waiting.len(), 4);
    push(1000, Some(count - 1)).unwrap();
    assert_eq!(outbox.lock().waiting.len(), 4);
    (0..50).for_each(|_| push(1001, None).unwrap());
    assert_eq!(outbox.lock().waiting.len(), 54);
    (0..16).for_each(|input| push(1100 + input, None).unwrap());
    assert_eq!(push(1200, None), Err(Overflow));
}

#[tokio::test]
async fn overflows_by_bytes_but_takes_one_of_any_length() {
    let long = "x".repeat(500);
    let outbox = Outbox::new(100, 300);
    outbox.push(record(&long), None, 0).unwrap();
    assert_eq!(outbox.push(record(&long), None, 0), Err(Overflow));

    let outbox = Outbox::new(100, 300);
    for _ in 0..1000 {
        outbox.push(record("merged"), Some(1), 0).unwrap();
    }
    assert_eq!(ids(outbox.next().await).len(), 1);
    assert_eq!(outbox.lock().bytes, 0);
}

/// A Message takes several times the memory of its bytes, and bytes are what is counted.
#[tokio::test]
async fn what_waits_behind_much_waits_in_bytes() {
    let outbox = Outbox::new(1000, 1_000_000);
    let names = ["first", "second", "third"].map(|name| format!("{name}{}", "x".repeat(LOOSE)));
    for (name, merge) in names.iter().zip([None, Some(7), Some(7)]) {
        outbox.push(record(name), merge, 0).unwrap();
    }
    (0..4).for_each(|_| outbox.push(record("short"), None, 0).unwrap());
    let loose = |queue: &Queue<Record>| {
        queue.waiting.values().filter(|waiting| matches!(waiting.letter, Letter::Record(_))).count()
    };
    assert_eq!(loose(&outbox.lock()), 1, "the first alone, which its task has as good as taken");
    assert!(outbox.most() > LOOSE && outbox.most() < 2 * LOOSE, "{}", outbox.most());
    let [first, _, third] = names;
    assert_eq!(ids(outbox.next().await), [first, third]);
    assert_eq!(ids(outbox.next().await), ["short"; 4]);
    outbox.push(record("short"), None, 0).unwrap();
    outbox.push(record("short"), None, 0).unwrap();
    assert_eq!(loose(&outbox.lock()), 2, "whoever keeps up costs the driver nothing");
}

#[tokio::test]
async fn close_comes_after_what_waits() {
    let outbox = Outbox::new(10, 1000);
    outbox.push(record("a"), None, 0).unwrap();
    outbox.close(CloseReason::Shutdown);
    outbox.close(CloseReason::Replaced);
    outbox.push(record("too late"), None, 0).unwrap();
    assert_eq!(ids(outbox.next().await), ["a"]);
    assert!(matches!(outbox.next().await, Turn::Close(CloseReason::Shutdown)));
}

/// Values that change all the time, and one Record before them that nobody reads.
#[tokio::test]
async fn what_is_replaced_leaves_no_memory_behind() {
    let outbox = Outbox::new(100, 100_000);
    outbox.push(record("not read"), None, 0).unwrap();
    for change in 0..10_000u32 {
        outbox.push(record(&format!("{change}")), Some(u64::from(change % 7)), 0).unwrap();
        let queue = outbox.lock();
        assert!(queue.waiting.len() <= 8 && queue.waiting.places.len() <= 16 + GAPS);
    }
    let told = ["not read", "9993", "9994", "9995", "9996", "9997", "9998", "9999"];
    assert_eq!(ids(outbox.next().await), told);
    assert!(outbox.lock().waiting.places.is_empty() && outbox.lock().merging.is_empty());
}

#[tokio::test]
async fn a_turn_has_a_length_too() {
    let long = "x".repeat(TURN_BYTES / 2);
    let outbox = Outbox::new(100, 100 * TURN_BYTES);
    (0..5).for_each(|_| outbox.push(record(&long), None, 0).unwrap());
    // The first was not measured: nothing waited before it.
    assert_eq!([ids(outbox.next().await).len(), ids(outbox.next().await).len()], [3, 2]);
}
