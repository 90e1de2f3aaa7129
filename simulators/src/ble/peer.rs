//! A device in the air, and what is wrong with it.

use std::collections::VecDeque;
use std::time::Instant;

use super::device::{Advert, At, BleDevice};
use crate::mischief::{BleFault, Mischief};
use crate::rng::Rng;

/// How many advertisements whoever says them again remembers.
const REMEMBERED: usize = 3;

/// Writes that are remembered.
const LOG: usize = 256;

/// Signal strength about which that of a device wanders, in dBm.
const RSSI: i16 = -62;

/// A device that lives.
pub(super) struct Peer {
    pub(super) key: String,
    pub(super) device: Box<dyn BleDevice>,
    pub(super) faults: Mischief<BleFault>,
    /// It has a link to us, and does not advertise.
    pub(super) linked: bool,
    /// Keys were exchanged, and are on disk.
    pub(super) bonded: bool,
    /// How many links it has had.
    pub(super) links: u32,
    next: Instant,
    rng: Rng,
    said: VecDeque<Advert>,
    /// The newest writes.
    written: VecDeque<(At, Vec<u8>)>,
}

impl Peer {
    pub(super) fn new(key: String, device: Box<dyn BleDevice>, now: Instant) -> Self {
        let mut rng = Rng::named(1, &key);
        // Not all of them at once.
        let next = now + device.every().mul_f64(rng.unit());
        Self {
            key,
            device,
            faults: Mischief::default(),
            linked: false,
            bonded: false,
            links: 0,
            next,
            rng,
            said: VecDeque::new(),
            written: VecDeque::new(),
        }
    }

    pub(super) fn has(&self, fault: &BleFault) -> bool {
        self.faults.has(|on| on == fault)
    }

    /// Whether this goes wrong, which counts.
    pub(super) fn happens(&mut self, fault: &BleFault) -> bool {
        self.faults.happen(|on| on == fault).is_some()
    }

    pub(super) fn rssi(&mut self) -> i16 {
        RSSI + self.rng.below(7) as i16 - 3
    }

    /// It says something at once.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.next = now;
    }

    /// What is to be heard of it now.
    pub(super) fn advert(&mut self, now: Instant) -> Option<Advert> {
        if now < self.next {
            return None;
        }
        self.next = now + self.device.every();
        if self.linked || self.has(&BleFault::Silent) {
            return None;
        }
        if self.happens(&BleFault::Replay)
            && let Some(old) = self.said.front()
        {
            return Some(old.clone());
        }
        let wrong_key = self.happens(&BleFault::WrongKey);
        let mut advert = self.device.advert(wrong_key);
        if !wrong_key {
            self.said.push_back(advert.clone());
            if self.said.len() > REMEMBERED {
                self.said.pop_front();
            }
        }
        if self.happens(&BleFault::Garbled) {
            let data = advert.service_data.values_mut().chain(advert.manufacturer.values_mut());
            data.for_each(|bytes| garble(bytes, &mut self.rng));
        }
        Some(advert)
    }

    pub(super) fn wrote(&mut self, at: At, value: &[u8]) {
        if self.written.len() == LOG {
            self.written.pop_front();
        }
        self.written.push_back((at, value.to_vec()));
    }

    pub(super) fn written(&self) -> Vec<(At, Vec<u8>)> {
        self.written.iter().cloned().collect()
    }

    /// Makes bytes that mean nothing of them.
    pub(super) fn garbled(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        garble(&mut bytes, &mut self.rng);
        bytes
    }
}

/// Half of it is lost, or a byte at its front is another: whoever reads it has to see that.
fn garble(bytes: &mut Vec<u8>, rng: &mut Rng) {
    match rng.below(2) {
        0 => bytes.truncate(bytes.len() / 2),
        _ => bytes.truncate(1),
    }
}
