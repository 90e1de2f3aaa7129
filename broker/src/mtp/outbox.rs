//! What waits to be sent on one connection: bounded, so that a peer that does not read costs only itself.

mod line;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};

use line::Line;
use prost::Message;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use usp_core::mqtt::port::MqttPublish;
use usp_core::output::CloseReason;
use usp_proto::record::Record;

use super::letter::Letter;

/// Records that are taken out in one turn, and about how many bytes: each turn wakes the peer, which costs more than a
/// Record; and what is taken out can no longer be merged, nor does it count as waiting.
const TURN: usize = 64;
const TURN_BYTES: usize = 64 * 1024;

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
    /// In the order in which they came, so by number.
    waiting: Line<Waiting<T>>,
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
            waiting: Line::default(),
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
        self.waiting.push(number, Waiting { letter, merge, bytes, since });
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
        let since = self.waiting.get(number)?.since;
        let is_last = self.waiting.last() == Some(number);
        let is_due = self.waiting.first().is_some_and(|first| first > since);
        if is_due && !is_last {
            return None;
        }
        let old = self.waiting.remove(number)?;
        self.bytes -= old.bytes;
        Some(since)
    }

    fn take(&mut self) -> Option<Turn<T>> {
        if self.waiting.is_empty() {
            return self.close.clone().map(Turn::Close);
        }
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while taken.len() < TURN && bytes < TURN_BYTES {
            let Some((letter, length)) = self.take_first() else { break };
            taken.push(letter);
            bytes += length;
        }
        self.burst.records = self.burst.records.min(self.waiting.len());
        self.burst.bytes = self.burst.bytes.min(self.bytes);
        Some(Turn::Send(taken))
    }

    /// The first, and its length.
    fn take_first(&mut self) -> Option<(T::Letter, usize)> {
        let (number, gone) = self.waiting.pop_first()?;
        self.bytes -= gone.bytes;
        if let Some(key) = gone.merge.filter(|key| self.merging.get(key) == Some(&number)) {
            self.merging.remove(&key);
        }
        Some((gone.letter, gone.bytes))
    }
}

/// Measuring costs a walk through the Message, and a peer that keeps up never has a second one waiting: the first is not
/// measured (one may always wait, however long).
fn size<T: Parcel>(queue: &Queue<T>, record: &T) -> usize {
    if queue.waiting.is_empty() { 0 } else { record.len() }
}
