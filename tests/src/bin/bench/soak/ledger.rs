//! What each device has said, and what the Controller was told of it.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use super::plant::Kind;

/// Every word of every device.
pub(super) struct Ledger {
    devices: Vec<Device>,
    /// From the path of a device's row to its index.
    places: HashMap<String, usize>,
}

/// One device: what it has said and nobody was told so far, oldest first.
#[derive(Default)]
struct Device {
    open: VecDeque<(f64, Instant)>,
    /// Words since the start; the next value follows from it.
    number: u32,
    said: usize,
    merged: usize,
    times: Vec<f64>,
}

/// Devices of one kind together.
#[derive(Default)]
pub(super) struct Account {
    pub(super) said: usize,
    pub(super) told: usize,
    /// Not told, because something newer of the same device was.
    pub(super) merged: usize,
    /// Neither they nor anything newer was told.
    pub(super) lost: usize,
    /// Milliseconds from saying to hearing.
    pub(super) times: Vec<f64>,
}

impl Ledger {
    pub(super) fn new(devices: usize) -> Self {
        Self { devices: (0..devices).map(|_| Device::default()).collect(), places: HashMap::new() }
    }

    /// Where a device is: `Device.ProxiedDevice.7.`
    pub(super) fn place(&mut self, row: &str, index: usize) {
        self.places.insert(row.to_owned(), index);
    }

    /// What counts begins now.
    pub(super) fn forget(&mut self) {
        for device in &mut self.devices {
            *device = Device { number: device.number, ..Device::default() };
        }
    }

    /// What a device is to say next; it is on the books from now on.
    pub(super) fn next(&mut self, index: usize, kind: Kind) -> String {
        let device = &mut self.devices[index];
        device.number += 1;
        device.said += 1;
        let value = kind.value(device.number);
        device.open.push_back((value.parse().unwrap(), Instant::now()));
        value
    }

    /// Something was told.
    pub(super) fn heard(&mut self, path: &str, value: &str) {
        let row: String = path.split_inclusive('.').take(3).collect();
        let (Some(index), Ok(value)) = (self.places.get(&row), value.parse::<f64>()) else { return };
        let device = &mut self.devices[*index];
        let Some(at) = device.open.iter().position(|(said, _)| (said - value).abs() < 0.01) else { return };
        device.merged += at;
        let mut until_then = device.open.drain(..=at);
        if let Some((_, said)) = until_then.next_back() {
            device.times.push(said.elapsed().as_secs_f64() * 1e3);
        }
    }

    /// These devices together.
    pub(super) fn account(&self, indices: &[usize]) -> Account {
        let mut all = Account::default();
        for device in indices.iter().map(|index| &self.devices[*index]) {
            all.said += device.said;
            all.told += device.times.len();
            all.merged += device.merged;
            all.lost += device.open.len();
            all.times.extend(&device.times);
        }
        all
    }
}
