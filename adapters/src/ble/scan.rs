//! Listens for a while to whatever advertises, without a site.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, interval};
use usp_mapping::mapping::{BleAdapter, BleHeard, BleSource, Mac};

use super::bluez::{Advert, Door, Hears};

/// From one step to the next.
pub const STEP: Duration = Duration::from_millis(250);

/// Most devices that are told of.
const DEVICES: usize = 10_000;

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
            if !heard.services.contains(&service) {
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
    match all.iter_mut().find(|(known, _)| *known == key) {
        Some((_, known)) => *known = bytes,
        None => all.push((key, bytes)),
    }
}

/// Everything that was heard.
#[derive(Debug, Default)]
struct Collector(Mutex<BTreeMap<Mac, Found>>);

impl Collector {
    fn all(&self) -> Vec<Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl Hears for Collector {
    fn wanted(&self) -> Option<BTreeSet<Mac>> {
        None
    }

    fn hear(&self, mac: Mac, advert: Advert) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < DEVICES || all.contains_key(&mac) {
            all.entry(mac).or_insert_with(|| Found::new(mac)).take_in(advert);
        }
    }

    fn is_connected(&self, _: Mac, _: bool) {}

    fn none_is_connected(&self) {}
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
