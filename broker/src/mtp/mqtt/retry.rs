//! When a client tries again (R-MQTT.10, R-MQTT.33): `ConnectRetryTime`, `ConnectRetryIntervalMultiplier`,
//! `ConnectRetryMaxInterval`.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use usp_core::mqtt::port::MqttSettings;

/// Attempts that have failed since the client last worked.
#[derive(Debug, Default)]
pub(super) struct Retry {
    failed: u32,
    /// The reason that was last told.
    told: Option<String>,
}

impl Retry {
    /// The client works.
    pub(super) fn worked(&mut self) {
        *self = Self::default();
    }

    /// Whether this is the first failure since the client last worked, or has another reason than the one before.
    pub(super) fn is_news(&mut self, reason: &str) -> bool {
        let news = self.told.as_deref() != Some(reason);
        if news {
            self.told = Some(reason.to_owned());
        }
        news
    }

    /// One more attempt has failed: how long to wait before the next.
    pub(super) fn wait(&mut self, settings: &MqttSettings) -> Duration {
        self.failed = self.failed.saturating_add(1);
        interval(settings, self.failed, random())
    }
}

/// Any time from `time × multiplier^(n − 1)` to `time × multiplier^n` after the n-th failure, at most the maximum.
/// `luck` is from 0 to 1.
fn interval(settings: &MqttSettings, failed: u32, luck: f64) -> Duration {
    let multiplier = (f64::from(settings.retry_multiplier) / 1000.0).max(1.0);
    let steps = i32::try_from(failed.saturating_sub(1)).unwrap_or(i32::MAX);
    let shortest = f64::from(settings.retry_time) * multiplier.powi(steps);
    let wait = shortest * (1.0 + luck * (multiplier - 1.0));
    Duration::from_secs_f64(wait.min(f64::from(settings.retry_most)))
}

/// From 0 to 1.
fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 32;
    u32::try_from(bits).map_or(0.5, |bits| f64::from(bits) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::testing::settings;
    use super::*;

    /// TP-469 11.6 and 11.16.
    #[test]
    fn waits_between_the_time_and_its_multiple_and_never_longer_than_the_maximum() {
        let mut settings = settings(1883);
        (settings.retry_time, settings.retry_multiplier, settings.retry_most) = (5, 2000, 60);
        let range = |failed| [0.0, 1.0].map(|luck| interval(&settings, failed, luck).as_secs());
        assert_eq!(range(1), [5, 10]);
        assert_eq!(range(2), [10, 20]);
        assert_eq!(range(3), [20, 40]);
        assert_eq!(range(4), [40, 60]);
        assert_eq!(range(5), [60, 60]);
        assert_eq!(range(u32::MAX), [60, 60]);
        let mut retry = Retry::default();
        let waits: Vec<_> = (0..4).map(|_| retry.wait(&settings).as_secs_f64()).collect();
        assert!((5.0..=10.0).contains(&waits[0]) && (20.0..=40.0).contains(&waits[2]), "{waits:?}");
        retry.worked();
        assert!(retry.wait(&settings).as_secs_f64() <= 10.0);
    }

    #[test]
    fn a_failure_is_news_once_and_again_after_success_or_for_another_reason() {
        let mut retry = Retry::default();
        assert_eq!(
            ["refused", "refused", "no route", "no route"].map(|why| retry.is_news(why)),
            [true, false, true, false]
        );
        retry.worked();
        assert_eq!(["no route", "no route"].map(|why| retry.is_news(why)), [true, false]);
    }

    #[test]
    fn a_multiplier_of_one_waits_the_same_each_time() {
        let mut settings = settings(1883);
        (settings.retry_time, settings.retry_multiplier) = (3, 1000);
        assert_eq!(interval(&settings, 7, 0.9), Duration::from_secs(3));
    }
}
