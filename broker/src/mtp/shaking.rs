//! Who has connected and not yet said who it is: so many at a time, and the newest are believed the most.
//!
//! A peer of good will needs milliseconds. Whoever opens connections and says nothing must not keep others out until its
//! time is up, so it is the oldest that has to go when there is no place for another.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// The places of one listener.
#[derive(Clone, Debug)]
pub(crate) struct Handshakes {
    state: Arc<Mutex<State>>,
    most: usize,
}

#[derive(Debug, Default)]
struct State {
    /// The oldest first.
    under_way: VecDeque<(u64, CancellationToken)>,
    next: u64,
}

impl Handshakes {
    pub(crate) fn new(most: usize) -> Self {
        Self { state: Arc::default(), most: most.max(1) }
    }

    /// Takes a place; the oldest loses its own if there are too many.
    pub(crate) fn enter(&self) -> Shaking {
        let token = CancellationToken::new();
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.under_way.push_back((number, token.clone()));
        if state.under_way.len() > self.most
            && let Some((_, oldest)) = state.under_way.pop_front()
        {
            oldest.cancel();
        }
        drop(state);
        Shaking { number, token, handshakes: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place; free again when it goes out of scope.
#[derive(Debug)]
pub(crate) struct Shaking {
    number: u64,
    token: CancellationToken,
    handshakes: Handshakes,
}

impl Shaking {
    /// Fires when the place is lost.
    pub(crate) async fn lost(&self) {
        self.token.cancelled().await;
    }
}

impl Drop for Shaking {
    fn drop(&mut self) {
        self.handshakes.lock().under_way.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room() {
        let places = Handshakes::new(2);
        let first = places.enter();
        let second = places.enter();
        let third = places.enter();
        assert!(first.token.is_cancelled() && !second.token.is_cancelled() && !third.token.is_cancelled());
        drop(first);
        drop(third);
        let fourth = places.enter();
        assert!(!second.token.is_cancelled());
        let _fifth = places.enter();
        assert!(second.token.is_cancelled() && !fourth.token.is_cancelled());
    }
}
