//! What waits to be sent on one connection: bounded, so that a peer that does not read costs only itself.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use prost::Message;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use usp_core::mqtt::port::MqttPublish;
use usp_core::output::CloseReason;
use usp_proto::record::Record;

/// Records that are taken out in one turn: what is taken out can no longer be merged.
const TURN: usize = 16;

/// What an outbox holds.
pub(crate) trait Parcel {
    /// About its length in bytes.
    fn len(&self) -> usize;
}

impl Parcel for Record {
    fn len(&self) -> usize {
        self.msg().map_or(0, Message::encoded_len)
    }
}

impl Parcel for MqttPublish {
    fn len(&self) -> usize {
        Parcel::len(&self.record) + self.topic.len()
    }
}

/// The queue between the driver and one connection's task.
#[derive(Debug)]
pub(crate) struct Outbox<T = Record> {
    queue: Mutex<Queue<T>>,
    wake: Notify,
    overflowed: CancellationToken,
    max_records: usize,
    max_bytes: usize,
}

#[derive(Debug)]
struct Queue<T> {
    waiting: VecDeque<Waiting<T>>,
    /// Where those stand that a newer one may replace, counted from the first Record that ever came.
    merging: HashMap<u64, u64>,
    /// Records that have been taken out.
    taken: u64,
    bytes: usize,
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
struct Waiting<T> {
    record: T,
    merge: Option<u64>,
    bytes: usize,
}

/// What the connection's task is to do next.
#[derive(Debug)]
pub(crate) enum Turn<T = Record> {
    /// Send these.
    Send(Vec<T>),
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

    /// Puts a Record in that an input of this number has caused. One with the same `merge` that still waits is replaced, in
    /// its place.
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
        let entry = Waiting { bytes: size(&queue, &record), record, merge };
        queue.put(entry);
        if !self.holds(&queue, queue.burst.records, queue.burst.bytes) {
            queue.waiting.clear();
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

impl<T> Queue<T> {
    fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            merging: HashMap::new(),
            taken: 0,
            bytes: 0,
            burst: Burst::default(),
            close: None,
        }
    }

    fn put(&mut self, entry: Waiting<T>) {
        let before = (self.waiting.len(), self.bytes);
        self.bytes += entry.bytes;
        let place = entry.merge.and_then(|key| self.place(key));
        match place.and_then(|place| self.waiting.get_mut(place)) {
            Some(old) => self.bytes -= std::mem::replace(old, entry).bytes,
            None => self.append(entry),
        }
        if self.burst.excused {
            self.burst.records += self.waiting.len() - before.0;
            self.burst.bytes += self.bytes.saturating_sub(before.1);
        }
    }

    /// Where one with this key waits.
    fn place(&self, key: u64) -> Option<usize> {
        let place = self.merging.get(&key)?.checked_sub(self.taken)?;
        usize::try_from(place).ok()
    }

    fn append(&mut self, entry: Waiting<T>) {
        if let Some(key) = entry.merge {
            let waiting = u64::try_from(self.waiting.len()).unwrap_or(u64::MAX);
            self.merging.insert(key, self.taken.saturating_add(waiting));
        }
        self.waiting.push_back(entry);
    }

    fn take(&mut self) -> Option<Turn<T>> {
        if self.waiting.is_empty() {
            return self.close.clone().map(Turn::Close);
        }
        let count = self.waiting.len().min(TURN);
        let taken: Vec<_> = self.waiting.drain(..count).collect();
        for gone in &taken {
            self.taken += 1;
            self.bytes -= gone.bytes;
            gone.merge.map(|key| self.merging.remove(&key));
        }
        self.burst.records = self.burst.records.min(self.waiting.len());
        self.burst.bytes = self.burst.bytes.min(self.bytes);
        Some(Turn::Send(taken.into_iter().map(|waiting| waiting.record).collect()))
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

    use super::*;

    fn record(id: &str) -> Record {
        let peer = EndpointId::parse("proto::peer").unwrap();
        let header = Header { msg_id: id.to_owned(), ..Header::default() };
        Record::message(peer.clone(), peer, Msg { header: Some(header), body: None })
    }

    fn ids(turn: Turn) -> Vec<String> {
        let Turn::Send(records) = turn else { panic!("closed") };
        records.iter().map(|r| r.msg().unwrap().header.as_ref().unwrap().msg_id.clone()).collect()
    }

    #[tokio::test]
    async fn sends_in_order_and_merges_in_place() {
        let outbox = Outbox::new(10, 1000);
        for (id, merge) in [("a", None), ("old", Some(7)), ("b", None), ("new", Some(7)), ("c", Some(8))] {
            outbox.push(record(id), merge, 0).unwrap();
        }
        assert_eq!(ids(outbox.next().await), ["a", "new", "b", "c"]);
        outbox.push(record("later"), Some(7), 0).unwrap();
        assert_eq!(ids(outbox.next().await), ["later"]);
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
