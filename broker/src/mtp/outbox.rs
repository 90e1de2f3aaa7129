//! What waits to be sent on one connection: bounded, so that a peer that does not read costs only itself.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};

use prost::Message;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use usp_core::mqtt::port::MqttPublish;
use usp_core::output::CloseReason;
use usp_proto::record::Record;

use super::letter::Letter;

/// Records that are taken out in one turn: what is taken out can no longer be merged.
const TURN: usize = 16;

/// Bytes that wait as they came: to pack what is soon sent would take the driver's time for nothing.
const LOOSE: usize = 64 * 1024;

/// What an outbox takes.
pub(crate) trait Parcel: Sized {
    /// What comes out of it.
    type Letter: From<Self> + Debug;

    /// About its length in bytes.
    fn len(&self) -> usize;

    /// As it can wait in little memory.
    fn pack(self) -> Self::Letter {
        self.into()
    }
}

impl Parcel for Record {
    type Letter = Letter;

    fn len(&self) -> usize {
        self.msg().map_or(0, Message::encoded_len)
    }

    fn pack(self) -> Letter {
        let mut bytes = Vec::new();
        self.encode_to(&mut bytes, Vec::reserve_exact);
        Letter::Bytes(bytes)
    }
}

/// Stays as it is: when it is too long for the server, its Message is needed to tell so.
impl Parcel for MqttPublish {
    type Letter = Self;

    fn len(&self) -> usize {
        Parcel::len(&self.record) + self.topic.len()
    }
}

/// The queue between the driver and one connection's task.
#[derive(Debug)]
pub(crate) struct Outbox<T: Parcel = Record> {
    queue: Mutex<Queue<T>>,
    wake: Notify,
    overflowed: CancellationToken,
    max_records: usize,
    max_bytes: usize,
}

#[derive(Debug)]
struct Queue<T: Parcel> {
    /// By number, in the order in which they came.
    waiting: BTreeMap<u64, Waiting<T>>,
    /// The numbers of those that a newer one may replace.
    merging: HashMap<u64, u64>,
    /// The number of the next one.
    next: u64,
    bytes: usize,
    /// The most that there ever were.
    most: usize,
    burst: Burst,
    close: Option<CloseReason>,
}

/// What one input of the core brings at once is not its reader's fault, however much it is: it does not count, as long as it
/// waits, if the reader was within its limits before.
#[derive(Debug, Default)]
struct Burst {
    input: u64,
    excused: bool,
    records: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting<T: Parcel> {
    letter: T::Letter,
    merge: Option<u64>,
    bytes: usize,
    /// The number of the first of those that it stands for.
    since: u64,
}

/// What the connection's task is to do next.
#[derive(Debug)]
pub(crate) enum Turn<T: Parcel = Record> {
    /// Send these.
    Send(Vec<T::Letter>),
    /// All is sent: say goodbye.
    Close(CloseReason),
}

/// The outbox is full: the connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overflow;

impl<T: Parcel> Outbox<T> {
    pub(crate) fn new(max_records: usize, max_bytes: usize) -> Self {
        Self {
            queue: Mutex::new(Queue::new()),
            wake: Notify::new(),
            overflowed: CancellationToken::new(),
            max_records,
            max_bytes,
        }
    }

    /// Puts a Record in that an input of this number has caused. One with the same `merge` that still waits is dropped for
    /// it: the newer comes last, so that nothing overtakes what was there before it. Only what would be sent by now, had
    /// none come after it, stays: a value that changes all the time is told all the same.
    ///
    /// Errors: it does not fit. Nothing is sent any more then, and [`overflowed`](Self::overflowed) fires.
    pub(crate) fn push(&self, record: T, merge: Option<u64>, input: u64) -> Result<(), Overflow> {
        let mut queue = self.lock();
        if queue.close.is_some() || self.overflowed.is_cancelled() {
            return Ok(());
        }
        if queue.burst.input != input {
            queue.burst = self.burst(&queue, input);
        }
        let bytes = size(&queue, &record);
        let letter = if queue.bytes + bytes > LOOSE { record.pack() } else { record.into() };
        queue.put(letter, merge, bytes);
        if !self.holds(&queue, queue.burst.records, queue.burst.bytes) {
            queue.waiting.clear();
            queue.merging.clear();
            self.overflowed.cancel();
            return Err(Overflow);
        }
        drop(queue);
        self.wake.notify_one();
        Ok(())
    }

    /// What waits is still sent, nothing more is taken in. The first reason stays.
    pub(crate) fn close(&self, why: CloseReason) {
        self.lock().close.get_or_insert(why);
        self.wake.notify_one();
    }

    /// Waits for work. One task alone may ask.
    pub(crate) async fn next(&self) -> Turn<T> {
        loop {
            if let Some(turn) = self.lock().take() {
                return turn;
            }
            self.wake.notified().await;
        }
    }

    /// Bytes that have waited at the worst of times, but for the first.
    pub(crate) fn most(&self) -> usize {
        self.lock().most
    }

    /// Fires when the outbox has overflowed.
    pub(crate) async fn overflowed(&self) {
        self.overflowed.cancelled().await;
    }

    /// What the next input may bring: as much as it wants, if what waits is within the limits.
    fn burst(&self, queue: &Queue<T>, input: u64) -> Burst {
        let excused = self.holds(queue, 0, 0);
        let Burst { records, bytes, .. } = queue.burst;
        if excused {
            Burst { input, excused, records: 0, bytes: 0 }
        } else {
            Burst { input, excused, records, bytes }
        }
    }

    /// Whether what waits is within the limits and so much more.
    fn holds(&self, queue: &Queue<T>, records: usize, bytes: usize) -> bool {
        queue.waiting.len() <= self.max_records.saturating_add(records)
            && (queue.waiting.len() <= 1 || queue.bytes <= self.max_bytes.saturating_add(bytes))
    }

    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Parcel> Queue<T> {
    fn new() -> Self {
        Self {
            waiting: BTreeMap::new(),
            merging: HashMap::new(),
            next: 0,
            bytes: 0,
            most: 0,
            burst: Burst::default(),
            close: None,
        }
    }

    fn put(&mut self, letter: T::Letter, merge: Option<u64>, bytes: usize) {
        let before = (self.waiting.len(), self.bytes);
        let number = self.next;
        self.next = self.next.saturating_add(1);
        let since = merge.and_then(|key| self.take_older(key)).unwrap_or(number);
        self.merging.extend(merge.map(|key| (key, number)));
        self.waiting.insert(number, Waiting { letter, merge, bytes, since });
        self.bytes += bytes;
        self.most = self.most.max(self.bytes);
        if self.burst.excused {
            self.burst.records += self.waiting.len().saturating_sub(before.0);
            self.burst.bytes += self.bytes.saturating_sub(before.1);
        }
    }

    /// Takes out the one with this key that a newer one replaces, unless it is due; gives the number that it stands for.
    fn take_older(&mut self, key: u64) -> Option<u64> {
        let number = *self.merging.get(&key)?;
        let since = self.waiting.get(&number)?.since;
        let is_last = self.waiting.last_key_value().is_some_and(|(last, _)| *last == number);
        let is_due = self.waiting.first_key_value().is_some_and(|(first, _)| *first > since);
        if is_due && !is_last {
            return None;
        }
        let old = self.waiting.remove(&number)?;
        self.bytes -= old.bytes;
        Some(since)
    }

    fn take(&mut self) -> Option<Turn<T>> {
        if self.waiting.is_empty() {
            return self.close.clone().map(Turn::Close);
        }
        let taken: Vec<_> = (0..TURN).map_while(|_| self.take_first()).collect();
        self.burst.records = self.burst.records.min(self.waiting.len());
        self.burst.bytes = self.burst.bytes.min(self.bytes);
        Some(Turn::Send(taken))
    }

    fn take_first(&mut self) -> Option<T::Letter> {
        let (number, gone) = self.waiting.pop_first()?;
        self.bytes -= gone.bytes;
        if let Some(key) = gone.merge.filter(|key| self.merging.get(key) == Some(&number)) {
            self.merging.remove(&key);
        }
        Some(gone.letter)
    }
}

/// Measuring costs a walk through the Message, and a peer that keeps up never has a second one waiting: the first is not
/// measured (one may always wait, however long).
fn size<T: Parcel>(queue: &Queue<T>, record: &T) -> usize {
    if queue.waiting.is_empty() { 0 } else { record.len() }
}

#[cfg(test)]
mod tests {
    use usp_proto::endpoint_id::EndpointId;
    use usp_proto::usp::{Header, Msg};
    use usp_proto::usp_record::{self, record::RecordType};

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
        let outbox = Outbox::new(100, 100_000);
        (0..40).for_each(|_| outbox.push(record("other"), None, 0).unwrap());
        let mut told = Vec::new();
        for turn in 0..12 {
            for change in 0..3 {
                outbox.push(record(&format!("value {turn}.{change}")), Some(7), 0).unwrap();
                (0..5).for_each(|_| outbox.push(record("other"), None, 0).unwrap());
            }
            let sent = ids(outbox.next().await);
            told.extend(sent.into_iter().filter(|id| id.starts_with("value")));
            let waiting = outbox.lock().waiting.values().filter(|waiting| waiting.merge.is_some()).count();
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
        (0..100).for_each(|key| push(1, Some(key)).unwrap());
        (0..100).for_each(|key| push(2 + key, Some(key)).unwrap());
        for _ in 0..6 {
            assert_eq!(ids(outbox.next().await).len(), TURN);
        }
        assert_eq!(outbox.lock().waiting.len(), 4);
        push(200, Some(99)).unwrap();
        assert_eq!(outbox.lock().waiting.len(), 4);
        (0..50).for_each(|_| push(201, None).unwrap());
        assert_eq!(outbox.lock().waiting.len(), 54);
        (0..16).for_each(|input| push(300 + input, None).unwrap());
        assert_eq!(push(400, None), Err(Overflow));
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
        let short = ["short"; 4].map(str::to_owned);
        assert_eq!(ids(outbox.next().await), [&[first, third][..], &short].concat());
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
}
