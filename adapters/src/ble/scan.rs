//! Listens for a while to whatever advertises, without a site.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, interval};
use usp_mapping::mapping::{BleAdapter, BleHeard, BleSource, Mac};

use super::bluez::{Advert, Door, Hears};

/// From one step to the next.
pub const STEP: Duration = Duration::from_millis(250);

/// Most devices that are told of.
const DEVICES: usize = 10_000;

/// Most services, and data of each kind, that are known of one.
const KINDS: usize = 64;

/// A device that was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its address.
    pub mac: Mac,
    /// How strongly it was heard the last time, in dBm.
    pub rssi: Option<i16>,
    /// How often it was heard.
    pub times: u64,
    /// What it says of itself.
    pub heard: BleHeard,
}

impl Found {
    fn new(mac: Mac) -> Self {
        Self { mac, rssi: None, times: 0, heard: BleHeard::default() }
    }

    /// The newest of each kind stays.
    fn take_in(&mut self, advert: Advert) {
        self.times += u64::from(advert.rssi.is_some() || !advert.data.is_empty());
        self.rssi = advert.rssi.or(self.rssi);
        let heard = &mut self.heard;
        heard.name = advert.name.or(heard.name.take());
        for service in advert.services {
            if heard.services.len() < KINDS && !heard.services.contains(&service) {
                heard.services.push(service);
            }
        }
        for (source, bytes) in advert.data {
            match source {
                BleSource::ServiceData(uuid) => put(&mut heard.service_data, uuid, bytes),
                BleSource::Manufacturer(company) => put(&mut heard.manufacturer, company, bytes),
                BleSource::Char(_) | BleSource::Rssi => {}
            }
        }
    }
}

fn put<K: PartialEq>(all: &mut Vec<(K, Vec<u8>)>, key: K, bytes: Vec<u8>) {
    let has_room = all.len() < KINDS;
    match all.iter_mut().find(|(known, _)| *known == key) {
        Some((_, known)) => *known = bytes,
        None if has_room => all.push((key, bytes)),
        None => {}
    }
}

/// Everything that was heard.
#[derive(Debug, Default)]
struct Collector {
    heard: Mutex<BTreeMap<Mac, Found>>,
    /// What BlueZ remembers.
    known: Mutex<BTreeMap<Mac, Advert>>,
}

impl Collector {
    fn all(&self) -> Vec<Found> {
        locked(&self.heard).values().cloned().collect()
    }
}

impl Hears for Collector {
    fn wanted(&self) -> Option<BTreeSet<Mac>> {
        None
    }

    fn hear(&self, mac: Mac, advert: Advert) {
        let mut all = locked(&self.heard);
        if all.len() < DEVICES || all.contains_key(&mac) {
            let found = all.entry(mac).or_insert_with(|| Found::new(mac));
            found.take_in(advert);
            if let Some(known) = locked(&self.known).remove(&mac) {
                found.take_in(known);
            }
        }
    }

    fn remember(&self, mac: Mac, known: Advert) {
        locked(&self.known).insert(mac, known);
    }

    fn is_connected(&self, _: Mac, _: bool) {}

    fn are_connected(&self, _: &BTreeSet<Mac>) {}
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in there is whole after each operation: a panic elsewhere says nothing about it.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Scans for so long. At each [`STEP`] `step` is told what was heard so far.
///
/// Errors: why nothing can be heard, in the user's words: no D-Bus, no bluetoothd, no such radio, or one that is switched off.
pub async fn listen(
    adapter: &BleAdapter,
    within: Duration,
    mut step: impl FnMut(&[Found]),
) -> Result<Vec<Found>, String> {
    let collector = Arc::new(Collector::default());
    let (events, mut happened) = mpsc::channel(16);
    let hears: Arc<dyn Hears> = Arc::clone(&collector) as Arc<dyn Hears>;
    let session = Door::default().open(hears, events).await?;
    session.start(adapter, false).await?;
    let end = Instant::now() + within;
    let mut tick = interval(STEP);
    while Instant::now() < end {
        tokio::select! {
            _ = tick.tick() => step(&collector.all()),
            Some(event) = happened.recv() => if let Some(why) = event.is_end() {
                return Err(why);
            },
        }
    }
    session.stop().await;
    Ok(collector.all())
}

#[cfg(test)]
mod tests {
    use usp_mapping::mapping::BleUuid;

    use super::*;

    /// Whoever says something else each time fills nobody's memory.
    #[test]
    fn what_is_known_of_a_device_is_bounded() {
        let mut found = Found::new(Mac([1; 6]));
        for number in 0..1000u16 {
            let uuid = BleUuid::short(number.into());
            found.take_in(Advert {
                rssi: Some(-60),
                data: vec![
                    (BleSource::ServiceData(uuid), vec![1]),
                    (BleSource::Manufacturer(number), vec![2]),
                ],
                services: vec![uuid],
                ..Advert::default()
            });
        }
        let heard = &found.heard;
        let kinds = [heard.services.len(), heard.service_data.len(), heard.manufacturer.len()];
        assert_eq!((found.times, kinds), (1000, [KINDS; 3]));
        found.take_in(Advert { data: vec![(BleSource::Manufacturer(7), vec![9])], ..Advert::default() });
        assert!(found.heard.manufacturer.contains(&(7, vec![9])), "the newest of what is known");
    }
}
