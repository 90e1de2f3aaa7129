//! Places for messages that are under way, and which devices take long. Whoever does not answer, or sleeps, has half of the places
//! at most, however many there are of them: the others wait for none of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant as TokioInstant, timeout_at};

use super::{Ieee, To, Undelivered};

/// How long a message may wait for its place.
const TURN: Duration = Duration::from_secs(30);

/// Most devices of which something is remembered.
const MOST: usize = 1024;

/// How long it may take until a coordinator says what became of a message, and of one to a sleepy device.
const FATE: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(30));

/// Places for messages.
#[derive(Debug)]
pub(super) struct Room {
    places: Semaphore,
    /// Those of them that may be taken for devices that take long.
    for_slow: Semaphore,
    slow: Mutex<Slow>,
}

#[derive(Debug, Default)]
struct Slow {
    /// Who sleeps, and where it is now.
    asleep: BTreeMap<Ieee, u16>,
    /// Whose last message did not arrive.
    silent: BTreeSet<u16>,
}

/// A place that was taken.
#[derive(Debug)]
pub(super) struct Place<'a> {
    _place: SemaphorePermit<'a>,
    _for_slow: Option<SemaphorePermit<'a>>,
}

impl Room {
    pub(super) fn new(places: usize) -> Self {
        Self {
            places: Semaphore::new(places),
            for_slow: Semaphore::new((places / 2).max(1)),
            slow: Mutex::default(),
        }
    }

    fn slow(&self) -> MutexGuard<'_, Slow> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a message.
    ///
    /// Errors: there was none in time. Nothing was sent.
    pub(super) async fn place(&self, to: To, until: Option<Instant>) -> Result<Place<'_>, Undelivered> {
        let turn = TokioInstant::now() + TURN;
        let until = until.map_or(turn, |until| turn.min(TokioInstant::from_std(until)));
        let is_slow = matches!(to, To::Device(nwk) if self.is_slow(nwk));
        let place = async {
            let for_slow = if is_slow { Some(self.for_slow.acquire().await.ok()?) } else { None };
            Some(Place { _place: self.places.acquire().await.ok()?, _for_slow: for_slow })
        };
        match timeout_at(until, place).await {
            Ok(Some(place)) if TokioInstant::now() < until => Ok(place),
            Ok(_) | Err(_) => Err(Undelivered::Busy),
        }
    }

    fn is_slow(&self, nwk: u16) -> bool {
        let slow = self.slow();
        slow.silent.contains(&nwk) || slow.asleep.values().any(|asleep| *asleep == nwk)
    }

    /// How long it may take until it is known what became of a message.
    pub(super) fn patience(&self, nwk: u16) -> Duration {
        if self.slow().asleep.values().any(|asleep| *asleep == nwk) { FATE.1 } else { FATE.0 }
    }

    /// A device sleeps, and is there now.
    pub(super) fn sleeps(&self, ieee: Ieee, nwk: u16) {
        let mut slow = self.slow();
        if slow.asleep.len() < MOST || slow.asleep.contains_key(&ieee) {
            slow.asleep.insert(ieee, nwk);
        }
    }

    /// A device is gone.
    pub(super) fn forget(&self, ieee: Ieee) {
        self.slow().asleep.remove(&ieee);
    }

    /// What became of a message to a device.
    pub(super) fn heard(&self, nwk: u16, fate: &Result<(), Undelivered>) {
        let mut slow = self.slow();
        match fate {
            Ok(()) => drop(slow.silent.remove(&nwk)),
            Err(
                Undelivered::NotAcknowledged
                | Undelivered::NoRoute
                | Undelivered::Expired
                | Undelivered::Unknown
                | Undelivered::Refused(_),
            ) => {
                if slow.silent.len() < MOST {
                    slow.silent.insert(nwk);
                }
            }
            // Not the device's.
            Err(Undelivered::Busy | Undelivered::TooLong | Undelivered::Coordinator(_)) => {}
        }
    }
}

/// Whether the time for something is over.
pub(super) fn is_over(until: Option<Instant>) -> bool {
    until.is_some_and(|until| until <= TokioInstant::now().into_std())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_is_silent_or_sleeps_leaves_half_of_the_places() {
        let room = Room::new(8);
        for nwk in 0..5 {
            room.heard(nwk, &Err(Undelivered::NotAcknowledged));
            room.sleeps(Ieee(nwk.into()), 100 + nwk);
        }
        let mut taken = Vec::new();
        for nwk in [0, 100, 1, 101] {
            taken.push(room.place(To::Device(nwk), None).await.unwrap());
        }
        let soon = || Some(TokioInstant::now().into_std() + Duration::from_secs(5));
        assert_eq!(room.place(To::Device(2), soon()).await.unwrap_err(), Undelivered::Busy);
        for nwk in 10..14 {
            taken.push(room.place(To::Device(nwk), soon()).await.unwrap());
        }
        assert_eq!(room.place(To::Group(1), soon()).await.unwrap_err(), Undelivered::Busy);
        drop(taken);
        room.heard(2, &Ok(()));
        assert!(!room.is_slow(2) && room.is_slow(1));
        // A device that has come back with another address sleeps there alone.
        room.sleeps(Ieee(0), 77);
        assert!(room.is_slow(77) && !room.is_slow(100));
        room.forget(Ieee(0));
        assert!(!room.is_slow(77));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_over_gets_no_place() {
        let room = Room::new(1);
        let over = Some(TokioInstant::now().into_std());
        assert_eq!(room.place(To::Device(1), over).await.unwrap_err(), Undelivered::Busy);
    }
}
