//! Which messages of the peer came already: a copy gets the same reply and is otherwise ignored (RFC 7252, 4.2 and 4.5).

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// EXCHANGE_LIFETIME of RFC 7252, 4.8.2.
const LIFETIME: Duration = Duration::from_secs(247);

/// So many are remembered.
const MOST: usize = 64;

/// What a message was answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Nothing,
    Acknowledge,
    Reset,
}

/// The newest messages of a peer.
///
/// A copy has the same bytes. The ID alone would take a device that has restarted and counts from the beginning for
/// one that repeats itself.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    newest: VecDeque<(u64, Instant, Reply)>,
    hasher: RandomState,
}

impl Seen {
    /// What a copy of this was answered with; `None`: it is new.
    pub(crate) fn reply(&mut self, now: Instant, bytes: &[u8]) -> Option<Reply> {
        self.newest.retain(|(_, at, _)| now.saturating_duration_since(*at) < LIFETIME);
        let hash = self.hasher.hash_one(bytes);
        self.newest.iter().find(|(known, ..)| *known == hash).map(|(.., reply)| *reply)
    }

    /// Remembers what a message was answered with.
    pub(crate) fn note(&mut self, now: Instant, bytes: &[u8], reply: Reply) {
        if self.newest.len() >= MOST {
            self.newest.pop_front();
        }
        self.newest.push_back((self.hasher.hash_one(bytes), now, reply));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_known_for_a_while_and_memory_is_bounded() {
        let (mut seen, start) = (Seen::default(), Instant::now());
        assert_eq!(seen.reply(start, b"a"), None);
        seen.note(start, b"a", Reply::Acknowledge);
        assert_eq!(seen.reply(start, b"a"), Some(Reply::Acknowledge));
        assert_eq!(seen.reply(start, b"b"), None);
        assert_eq!(seen.reply(start + LIFETIME, b"a"), None, "the ID may be used again");
        for number in 0..1000u32 {
            seen.note(start, &number.to_be_bytes(), Reply::Nothing);
        }
        assert_eq!(seen.newest.len(), MOST);
        assert_eq!(seen.reply(start, &999u32.to_be_bytes()), Some(Reply::Nothing));
    }
}
