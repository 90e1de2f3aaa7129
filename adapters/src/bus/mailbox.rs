//! What a device has said and its worker has not heard yet. Bounded: whoever puts something in never waits, so that a
//! device that says too much loses its own words and nobody else's.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::bus::ear::Mark;

/// Most letters that wait.
pub(crate) const LETTERS: usize = 256;

/// Most bytes of all letters that wait; one letter always has room.
pub(crate) const BYTES: usize = 1024 * 1024;

/// Something that is said.
pub(crate) trait Letter: Send + 'static {
    /// What it is about: a newer one about the same makes it the first to go.
    fn subject(&self) -> &str;
    /// Its length in bytes.
    fn len(&self) -> usize;
}

/// Letters in the order in which they came. When there are too many, the oldest goes that a newer one is about the same
/// as, else the oldest.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    waiting: Mutex<Waiting<T>>,
    news: Notify,
    lost: Arc<AtomicU64>,
    /// Most letters, and most bytes.
    room: (usize, usize),
}

#[derive(Debug)]
struct Waiting<T> {
    /// Each with how many were put in before it.
    letters: VecDeque<(Mark, T)>,
    bytes: usize,
    put: u64,
}

impl<T: Letter> Mailbox<T> {
    /// An empty one for a device, which counts what it loses.
    pub(crate) fn new(lost: Arc<AtomicU64>) -> Self {
        Self::with_room(lost, (LETTERS, BYTES))
    }

    /// An empty one with room for so many letters and bytes.
    pub(crate) fn with_room(lost: Arc<AtomicU64>, room: (usize, usize)) -> Self {
        let waiting = Mutex::new(Waiting { letters: VecDeque::new(), bytes: 0, put: 0 });
        Self { waiting, news: Notify::new(), lost, room }
    }

    /// Puts a letter last.
    pub(crate) fn put(&self, letter: T) {
        let mut waiting = self.waiting();
        waiting.bytes += letter.len();
        let place = Mark(waiting.put);
        waiting.put += 1;
        waiting.letters.push_back((place, letter));
        let (letters, bytes) = self.room;
        while waiting.letters.len() > letters || (waiting.bytes > bytes && waiting.letters.len() > 1) {
            waiting.drop_one();
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        drop(waiting);
        self.news.notify_one();
    }

    /// The oldest letter, as soon as there is one. One reader at a time.
    pub(crate) async fn take(&self) -> T {
        loop {
            if let Some(letter) = self.waiting().pop() {
                return letter;
            }
            self.news.notified().await;
        }
    }

    /// This moment, to be told later from what comes after.
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.waiting().put)
    }

    /// The oldest letter that came before a moment, if one still waits.
    pub(crate) fn take_before(&self, mark: Mark) -> Option<T> {
        let mut waiting = self.waiting();
        waiting.letters.front().filter(|(place, _)| *place < mark)?;
        waiting.pop()
    }

    /// Throws everything away.
    #[cfg(any(feature = "line", feature = "mqtt-devices", test))]
    pub(crate) fn clear(&self) {
        let mut waiting = self.waiting();
        waiting.letters.clear();
        waiting.bytes = 0;
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<T>> {
        // The letters are whole after each operation: a panic elsewhere says nothing about them.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Letter> Waiting<T> {
    fn pop(&mut self) -> Option<T> {
        let (_, letter) = self.letters.pop_front()?;
        self.bytes -= letter.len();
        Some(letter)
    }

    fn drop_one(&mut self) {
        let newest = self.letters.back().map(|(_, letter)| letter.subject().to_owned());
        let same = |(_, letter): &(Mark, T)| newest.as_deref() == Some(letter.subject());
        let before = self.letters.len().saturating_sub(1);
        let place = self.letters.iter().take(before).position(same).unwrap_or(0);
        if let Some((_, letter)) = self.letters.remove(place) {
            self.bytes -= letter.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Note(&'static str, usize);

    impl Letter for Note {
        fn subject(&self) -> &str {
            self.0
        }

        fn len(&self) -> usize {
            self.1
        }
    }

    #[tokio::test]
    async fn letters_come_in_their_order() {
        let mailbox = Mailbox::new(Arc::default());
        mailbox.put(Note("a", 1));
        mailbox.put(Note("b", 2));
        assert_eq!(mailbox.take().await, Note("a", 1));
        assert_eq!(mailbox.take().await, Note("b", 2));
        let (taken, ()) = tokio::join!(mailbox.take(), async { mailbox.put(Note("c", 3)) });
        assert_eq!(taken, Note("c", 3));
    }

    #[tokio::test]
    async fn a_flood_loses_its_own_letters_and_is_counted() {
        let lost = Arc::new(AtomicU64::new(0));
        let mailbox = Mailbox::new(Arc::clone(&lost));
        mailbox.put(Note("calm", 1));
        for n in 0..10_000 {
            mailbox.put(Note("flood", n));
        }
        assert!(mailbox.waiting().letters.len() <= LETTERS && mailbox.waiting().bytes <= BYTES);
        assert_eq!(mailbox.take().await, Note("calm", 1));
        let mut last = 0;
        while let Some(Note(_, n)) = mailbox.waiting().pop() {
            assert!(n > last);
            last = n;
        }
        assert_eq!(last, 9_999, "the newest is there");
        assert!(lost.load(Ordering::Relaxed) >= 10_000 - LETTERS as u64);
    }

    #[tokio::test]
    async fn letters_are_bounded_by_bytes_too() {
        let mailbox = Mailbox::new(Arc::default());
        mailbox.put(Note("a", BYTES * 2));
        assert_eq!(mailbox.take().await, Note("a", BYTES * 2), "one has room");
        for _ in 0..8 {
            mailbox.put(Note("a", BYTES / 3));
        }
        assert_eq!(mailbox.waiting().letters.len(), 3);
        mailbox.clear();
        assert_eq!(mailbox.waiting().bytes, 0);
    }
}
