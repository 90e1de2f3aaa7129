//! Numbers that only grow, such as an energy meter's.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rust_decimal::Decimal;
use usp_mapping::mapping::{Capability, Mapping};
use usp_mapping::port::{DeviceFault, PointId};
use usp_mapping::value::Value;

/// So many smaller numbers, each a while after the one before, are a meter that was exchanged.
const WITNESSES: u8 = 3;

/// The least and the longest time from one witness to the next.
const APART: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The same of what is not polled.
const UNPOLLED: Duration = Duration::from_secs(10);

/// The counters of one device.
#[derive(Debug, Default)]
pub(crate) struct Counters(BTreeMap<PointId, Counter>);

impl Counters {
    /// A value as it was read or heard now. Of a point that only grows one that is less than before is a fault, unless it can
    /// be believed.
    pub(crate) fn grown(
        &mut self,
        mapping: &Mapping,
        now: Instant,
        id: PointId,
        value: Result<Value, DeviceFault>,
    ) -> Result<Value, DeviceFault> {
        let (Some(grows), Ok(Value::Number(number))) = (mapping.model(id).filter(|it| it.monotonic), &value)
        else {
            return value;
        };
        if self.0.entry(id).or_default().believes(*number, now, apart(grows)) {
            return value;
        }
        Err(DeviceFault::Invalid(format!("{} is less than it was before", Value::Number(*number).to_usp())))
    }
}

/// How long after another a reading says something of its own: half of the poll period, since polls come a little early or
/// late. However often somebody asks meanwhile, that is the same moment of the same meter once more.
fn apart(capability: &Capability) -> Duration {
    let every = capability.read.as_ref().and_then(|read| read.poll.every());
    every.map_or(UNPOLLED, |every| (every / 2).clamp(APART.0, APART.1))
}

/// Follows one number that only grows.
///
/// A number smaller than the one before is no reading: a garbled or torn one. It is a reset if it is near zero (at most
/// a hundredth of the one before), or once [`WITNESSES`] in a row are smaller and do not fall.
#[derive(Clone, Copy, Debug, Default)]
struct Counter {
    last: Option<Decimal>,
    doubted: Option<Doubt>,
}

/// Smaller numbers in a row.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    newest: Decimal,
    witnesses: u8,
    /// When the last of them was read that counts.
    at: Instant,
}

impl Counter {
    /// Whether a number can be believed; if so it is the one to compare with from now on.
    fn believes(&mut self, number: Decimal, now: Instant, apart: Duration) -> bool {
        let is_reset = |last: Decimal| number.checked_mul(Decimal::ONE_HUNDRED).is_some_and(|n| n <= last);
        let is_believed = match self.last {
            Some(last) if number >= last || is_reset(last) && !number.is_sign_negative() => true,
            Some(_) => self.witnesses(number, now, apart) >= WITNESSES,
            None => true,
        };
        if is_believed {
            *self = Self { last: Some(number), doubted: None };
        }
        is_believed
    }

    /// How many there are for smaller numbers, this one among them.
    fn witnesses(&mut self, number: Decimal, now: Instant, apart: Duration) -> u8 {
        let first = Doubt { newest: number, witnesses: 1, at: now };
        let doubt = self.doubted.filter(|doubt| number >= doubt.newest).map_or(first, |doubt| {
            match now.saturating_duration_since(doubt.at) < apart {
                true => Doubt { newest: number, ..doubt },
                false => Doubt { newest: number, witnesses: doubt.witnesses + 1, at: now },
            }
        });
        self.doubted = Some(doubt);
        doubt.witnesses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is believed of numbers that are read at these seconds.
    fn believed(apart: u64, read: &[(u64, i64)]) -> Vec<bool> {
        let (mut counter, start) = (Counter::default(), Instant::now());
        let believes = |(at, number): &(u64, i64)| {
            let now = start + Duration::from_secs(*at);
            counter.believes(Decimal::from(*number), now, Duration::from_secs(apart))
        };
        read.iter().map(believes).collect()
    }

    /// The same, each a second after the one before.
    fn in_turn(numbers: &[i64]) -> Vec<bool> {
        believed(1, &(0..).zip(numbers.iter().copied()).collect::<Vec<_>>())
    }

    #[test]
    fn a_counter_steps_back_only_for_a_reset() {
        assert_eq!(in_turn(&[10, 10, 12]), [true, true, true]);
        assert_eq!(in_turn(&[1000, 999, 1001]), [true, false, true], "one glitch");
        assert_eq!(in_turn(&[1000, 0, 1]), [true, true, true], "reset to zero");
        assert_eq!(in_turn(&[1000, 500, 501, 502, 503]), [true, false, false, true, true], "a new meter");
        assert_eq!(in_turn(&[1000, 500, 400, 300, 200]), [true, false, false, false, false], "falls");
        assert_eq!(in_turn(&[1000, 500, 1000, 500]), [true, false, true, false]);
    }

    #[test]
    fn what_is_read_again_at_once_is_no_further_witness() {
        let hurry = believed(5, &[(0, 1000), (5, 500), (5, 500), (6, 500), (7, 501), (10, 501), (11, 501)]);
        assert_eq!(hurry, [true, false, false, false, false, false, false]);
        let polls = believed(5, &[(0, 1000), (5, 500), (6, 500), (10, 501), (11, 502), (15, 502)]);
        assert_eq!(polls, [true, false, false, false, false, true], "reads between polls do no harm");
        let fallen = believed(5, &[(0, 1000), (5, 500), (10, 501), (11, 400), (15, 501)]);
        assert_eq!(fallen, [true, false, false, false, false], "a fall begins anew");
    }
}
