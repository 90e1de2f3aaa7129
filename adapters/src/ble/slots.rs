//! Who has the connections of a radio. Pure.
//!
//! A device has nothing to do with them, waits for one, or holds one; whoever holds one uses it or idles. Always:
//!
//! - There are never more holders than slots, and nobody waits while one is free.
//! - Slots are given in the order in which they were asked for.
//! - Whoever uses his is left alone. Whoever idles gives it up: while others wait after [`LINGER`], which is about as long as
//!   it takes to ask the next thing, or as soon as it idles when it has held it for [`LEASE`]; otherwise after its own time.
//! - One that wants to keep its connection gives it up too while others wait, once it has had it for [`KEPT`], and then waits as
//!   everybody else: so many devices as there are may be connected all the time only if there are slots for all of them.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// While others wait, whoever idles for so long has done what it wanted to.
pub(super) const LINGER: Duration = Duration::from_millis(300);

/// While others wait, whoever has had its slot for so long gives it up as soon as it idles.
pub(super) const LEASE: Duration = Duration::from_secs(10);

/// As [`LEASE`], of a device that wants to be connected all the time.
pub(super) const KEPT: Duration = Duration::from_secs(30);

/// How long a connection may idle while nobody waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Idle {
    /// For so long.
    For(Duration),
    /// For ever.
    Keep,
}

#[derive(Debug)]
struct Hold {
    since: Instant,
    /// `None`: it is in use.
    idle_since: Option<Instant>,
    idle: Idle,
}

/// The slots of a radio.
#[derive(Debug)]
pub(super) struct Slots<K> {
    capacity: usize,
    holders: BTreeMap<K, Hold>,
    queue: VecDeque<(K, Idle)>,
}

impl<K: Clone + Ord> Slots<K> {
    /// All of them free.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), holders: BTreeMap::new(), queue: VecDeque::new() }
    }

    /// Asks for one. Who holds one, or waits for it, goes on so. It is in use from when it is given.
    pub(super) fn want(&mut self, now: Instant, key: &K, idle: Idle) {
        if !self.holds(key) && !self.queue.iter().any(|(known, _)| known == key) {
            self.queue.push_back((key.clone(), idle));
        }
        self.grant(now);
    }

    /// Gives one up, or waits no longer.
    pub(super) fn leave(&mut self, now: Instant, key: &K) {
        self.holders.remove(key);
        self.queue.retain(|(known, _)| known != key);
        self.grant(now);
    }

    fn grant(&mut self, now: Instant) {
        while self.holders.len() < self.capacity {
            let Some((key, idle)) = self.queue.pop_front() else { return };
            self.holders.insert(key, Hold { since: now, idle_since: None, idle });
        }
    }

    /// Whether it has one.
    pub(super) fn holds(&self, key: &K) -> bool {
        self.holders.contains_key(key)
    }

    /// It uses it, or does not any more.
    pub(super) fn use_it(&mut self, now: Instant, key: &K, in_use: bool) {
        if let Some(hold) = self.holders.get_mut(key) {
            hold.idle_since = if in_use { None } else { Some(now) };
        }
    }

    /// When it has to give it up if nothing else happens; `None`: it need not.
    pub(super) fn ends_at(&self, key: &K) -> Option<Instant> {
        let hold = self.holders.get(key)?;
        let idle_since = hold.idle_since?;
        match (self.queue.is_empty(), hold.idle) {
            (true, Idle::Keep) => None,
            (true, Idle::For(idle)) => Some(idle_since + idle),
            (false, Idle::Keep) => Some(idle_since.max(hold.since + KEPT)),
            (false, Idle::For(idle)) => {
                let lease = idle_since.max(hold.since + LEASE);
                Some((idle_since + LINGER.min(idle)).min(lease))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    struct Air {
        slots: Slots<u8>,
        now: Instant,
    }

    impl Air {
        fn new(capacity: usize) -> Self {
            Self { slots: Slots::new(capacity), now: Instant::now() }
        }

        fn want(&mut self, key: u8) -> bool {
            self.slots.want(self.now, &key, Idle::For(5 * SECOND));
            self.slots.holds(&key)
        }

        fn after(&self, key: u8) -> Option<Duration> {
            self.slots.ends_at(&key).map(|at| at.saturating_duration_since(self.now))
        }
    }

    #[test]
    fn slots_are_given_in_the_order_of_asking() {
        let mut air = Air::new(2);
        assert!(air.want(1) && air.want(2));
        assert!(!air.want(3) && !air.want(4) && !air.want(3), "nobody waits twice");
        air.slots.leave(air.now, &2);
        assert!(air.slots.holds(&3) && !air.slots.holds(&4));
        air.slots.leave(air.now, &1);
        assert!(air.slots.holds(&4));
        air.slots.leave(air.now, &9);
        assert!(air.want(3), "it has it still");
    }

    #[test]
    fn who_waits_no_longer_is_passed_over() {
        let mut air = Air::new(1);
        assert!(air.want(1) && !air.want(2) && !air.want(3));
        air.slots.leave(air.now, &2);
        air.slots.leave(air.now, &1);
        assert!(air.slots.holds(&3));
    }

    #[test]
    fn who_idles_goes_after_its_time_and_sooner_while_others_wait() {
        let mut air = Air::new(1);
        assert!(air.want(1));
        assert_eq!(air.after(1), None, "it is in use");
        air.slots.use_it(air.now, &1, false);
        assert_eq!(air.after(1), Some(5 * SECOND));
        air.want(2);
        assert_eq!(air.after(1), Some(LINGER));
        air.slots.use_it(air.now, &1, true);
        assert_eq!(air.after(1), None, "nobody is interrupted");
        air.now += LEASE;
        air.slots.use_it(air.now, &1, false);
        assert_eq!(air.after(1), Some(Duration::ZERO), "it has had its share");
    }

    #[test]
    fn who_keeps_its_connection_shares_it_too() {
        let mut air = Air::new(1);
        air.slots.want(air.now, &1, Idle::Keep);
        air.slots.use_it(air.now, &1, false);
        assert_eq!(air.after(1), None);
        air.want(2);
        assert_eq!(air.after(1), Some(KEPT));
        air.now += 2 * KEPT;
        assert_eq!(air.after(1), Some(Duration::ZERO));
    }

    /// Whatever is done, in whatever order.
    #[test]
    fn there_are_never_more_holders_than_slots_and_nobody_waits_beside_a_free_one() {
        let mut air = Air::new(3);
        let mut seed = 7u32;
        for _ in 0..10_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let key = (seed >> 24) as u8 % 8;
            match seed >> 16 & 3 {
                0 | 1 => drop(air.want(key)),
                2 => air.slots.leave(air.now, &key),
                _ => air.slots.use_it(air.now, &key, seed >> 20 & 1 == 0),
            }
            air.now += Duration::from_millis((seed & 0xff).into());
            let holders = air.slots.holders.len();
            assert!(holders <= 3 && (holders == 3 || air.slots.queue.is_empty()));
        }
    }
}
