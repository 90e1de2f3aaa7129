//! Non-volatile items: the memory of Z-Stack. Structures are laid out as on a CC26x2, with gaps.

use std::collections::BTreeMap;

use super::super::bytes::{Out, Reader};
use super::super::ieee::Ieee;
use super::super::network::Network;

/// Items of the system Z-Stack: the item, and its part.
pub(super) type Place = (u16, u16);

/// Items of old, by their IDs.
pub(super) mod item {
    pub(in super::super) const ADDRESS: u16 = 0x0001;
    pub(in super::super) const STARTUP: u16 = 0x0003;
    pub(in super::super) const NIB: u16 = 0x0021;
    pub(in super::super) const EXTENDED_PAN: u16 = 0x002d;
    pub(in super::super) const ACTIVE_KEY: u16 = 0x003a;
    pub(in super::super) const ALTERNATE_KEY: u16 = 0x003b;
    pub(in super::super) const USE_EXTENDED_PAN: u16 = 0x0047;
    pub(in super::super) const ON_A_NETWORK: u16 = 0x0055;
    pub(in super::super) const KEY: u16 = 0x0062;
    pub(in super::super) const PAN: u16 = 0x0083;
    pub(in super::super) const CHANNELS: u16 = 0x0084;
    pub(in super::super) const DIRECT: u16 = 0x008f;
}

/// Tables of 3.30 and later: addresses, link keys, keys, and how far a network has counted.
const ADDRESSES: u16 = 1;
const LINK_KEYS: u16 = 4;
const KEYS: u16 = 6;
const COUNTERS: u16 = 7;

/// The rows of a table.
const ROWS: u16 = 40;

/// Startup options: the configuration, and the network, are as they were at first.
const CLEAR_CONFIG: u8 = 0x01;
const CLEAR_STATE: u8 = 0x02;

/// A NIB: its size, and where what matters here is in it.
const NIB_SIZE: usize = 116;
const CHANNEL_AT: usize = 24;
const PAN_AT: usize = 36;
const MASK_AT: usize = 40;
const EXTENDED_AT: usize = 57;
const LOADED_AT: usize = 65;

/// What is not written at once is counted further at each start, so that no counter is used twice.
const JUMP: u32 = 1250;

/// The memory.
pub(super) struct Items {
    own: Ieee,
    /// By item and part; item 0 has the items of old as its parts.
    all: BTreeMap<Place, Vec<u8>>,
}

impl Items {
    pub(super) fn new(ieee: Ieee) -> Self {
        let mut items = Self { own: ieee, all: BTreeMap::new() };
        items.boot();
        items
    }

    /// What a start makes of it: what was to be forgotten is, and what has to be there is made.
    pub(super) fn boot(&mut self) {
        let options = self.byte(item::STARTUP);
        if options & CLEAR_STATE != 0 {
            let of_network = [item::NIB, item::ON_A_NETWORK, item::ACTIVE_KEY, item::ALTERNATE_KEY];
            of_network.iter().for_each(|id| drop(self.all.remove(&(0, *id))));
            self.all.retain(|(table, _), _| *table == 0);
        }
        if options & CLEAR_CONFIG != 0 {
            let of_config =
                [item::EXTENDED_PAN, item::USE_EXTENDED_PAN, item::PAN, item::CHANNELS, item::KEY];
            of_config.iter().for_each(|id| drop(self.all.remove(&(0, *id))));
        }
        self.put(item::STARTUP, vec![0]);
        self.fill();
    }

    fn fill(&mut self) {
        let own = self.own.0.to_le_bytes().to_vec();
        let mut nib = vec![0; NIB_SIZE];
        nib.splice(PAN_AT..PAN_AT + 2, [0xfe, 0xff]);
        let usual: [(u16, Vec<u8>); 18] = [
            (item::ADDRESS, own),
            (item::NIB, nib),
            (item::EXTENDED_PAN, vec![0; 8]),
            (0x0030, vec![30]),
            (0x0032, vec![0]),
            (0x0033, vec![0]),
            (0x0036, vec![1]),
            (0x0038, vec![255]),
            (item::ACTIVE_KEY, vec![0; 17]),
            (item::ALTERNATE_KEY, vec![0; 17]),
            (0x003e, vec![0]),
            (item::USE_EXTENDED_PAN, vec![0; 8]),
            (0x004c, vec![0; 2 + 6 * 20]),
            (item::ON_A_NETWORK, vec![0]),
            (item::PAN, vec![0xff, 0xff]),
            (item::CHANNELS, 0x0800_u32.to_le_bytes().to_vec()),
            (item::DIRECT, vec![0]),
            (0x0087, vec![0]),
        ];
        for (id, bytes) in usual {
            self.all.entry((0, id)).or_insert(bytes);
        }
        self.all.entry((0, item::KEY)).or_insert_with(|| vec![0; 16]);
        self.all.entry((0, 0x0063)).or_insert_with(|| vec![0]);
        self.all.entry((0, 0x0101)).or_insert_with(|| (0x5a..0x6a).collect());
        let free = Out::new().u8(0xff).u8(0xff).u16(0xffff).u64(u64::MAX).done();
        for row in 0..ROWS {
            self.all.entry((ADDRESSES, row)).or_insert_with(|| free.clone());
            self.all.entry((LINK_KEYS, row)).or_insert_with(|| vec![0; 20]);
            self.all.entry((KEYS, row)).or_insert_with(|| vec![0; 24]);
        }
        for row in 0..4 {
            self.all.entry((COUNTERS, row)).or_insert_with(|| vec![0; 12]);
        }
    }

    pub(super) fn get(&self, place: Place) -> Option<&Vec<u8>> {
        self.all.get(&place)
    }

    pub(super) fn set(&mut self, place: Place, bytes: Vec<u8>) {
        self.all.insert(place, bytes);
    }

    pub(super) fn delete(&mut self, place: Place) -> bool {
        self.all.remove(&place).is_some()
    }

    /// Writes a part of an item. `false`: it is not there, or not that long.
    pub(super) fn patch(&mut self, place: Place, offset: usize, bytes: &[u8]) -> bool {
        let there = self.all.get_mut(&place).and_then(|all| all.get_mut(offset..offset + bytes.len()));
        there.map(|there| there.copy_from_slice(bytes)).is_some()
    }

    fn put(&mut self, id: u16, bytes: Vec<u8>) {
        self.set((0, id), bytes);
    }

    fn reader(&self, id: u16, offset: usize) -> Reader<'_> {
        Reader::new(self.get((0, id)).and_then(|bytes| bytes.get(offset..)).unwrap_or_default())
    }

    pub(super) fn byte(&self, id: u16) -> u8 {
        self.reader(id, 0).u8().unwrap_or(0)
    }

    /// The address that the coordinator has.
    pub(super) fn address(&self) -> Ieee {
        self.reader(item::ADDRESS, 0).u64().map_or(self.own, Ieee)
    }

    /// The network that it is in.
    pub(super) fn network(&self) -> Option<Network> {
        let nib = |at| self.reader(item::NIB, at);
        let channel = nib(CHANNEL_AT).u8().filter(|channel| (11..=26).contains(channel))?;
        if nib(LOADED_AT).u8()? == 0 || self.byte(item::ON_A_NETWORK) != 1 {
            return None;
        }
        let mut active = self.reader(item::ACTIVE_KEY, 0);
        let (key_sequence, key) = (active.u8()?, active.key()?);
        Some(Network {
            pan: nib(PAN_AT).u16()?,
            extended: nib(EXTENDED_AT).u64()?,
            channel,
            key,
            key_sequence,
        })
    }

    /// Remembers a network.
    pub(super) fn keep_network(&mut self, network: &Network, counter: u32) {
        let place = (0, item::NIB);
        self.patch(place, CHANNEL_AT, &[network.channel]);
        self.patch(place, PAN_AT, &network.pan.to_le_bytes());
        self.patch(place, MASK_AT, &(1_u32 << network.channel).to_le_bytes());
        self.patch(place, EXTENDED_AT, &network.extended.to_le_bytes());
        self.patch(place, LOADED_AT, &[1]);
        // Which level of security, and that all frames are secured.
        self.patch(place, 11, &[1, 5]);
        self.put(item::EXTENDED_PAN, network.extended.to_le_bytes().to_vec());
        self.put(item::ON_A_NETWORK, vec![1]);
        self.replace_active(network.key_sequence, network.key);
        let row = Out::new().u32(counter).u64(network.extended).done();
        self.set((COUNTERS, 0), row);
    }

    fn replace_active(&mut self, sequence: u8, key: [u8; 16]) {
        let bytes = Out::new().u8(sequence).bytes(&key).done();
        self.put(item::ACTIVE_KEY, bytes.clone());
        self.put(item::ALTERNATE_KEY, bytes);
    }

    pub(super) fn replace_key(&mut self, key: [u8; 16]) {
        let sequence = self.byte(item::ACTIVE_KEY);
        self.replace_active(sequence, key);
    }

    fn counter_row(&self) -> Option<(Place, u32)> {
        let extended = self.reader(item::NIB, EXTENDED_AT).u64()?;
        (0..4).find_map(|row| {
            let mut reader = Reader::new(self.get((COUNTERS, row))?);
            let (counter, of) = (reader.u32()?, reader.u64()?);
            (of == extended).then_some(((COUNTERS, row), counter))
        })
    }

    /// How far the network has counted, with what may have been lost.
    pub(super) fn counter(&self) -> u32 {
        self.counter_row().map_or(0, |(_, counter)| counter.saturating_add(JUMP))
    }

    /// Remembers how far the network has counted.
    pub(super) fn count(&mut self, counter: u32) {
        if let Some((place, _)) = self.counter_row() {
            self.patch(place, 0, &counter.to_le_bytes());
        }
    }

    /// What a network is to be made of: PAN ID, extended PAN ID and key.
    pub(super) fn wanted(&self) -> (u16, u64, [u8; 16], u32) {
        let pan = self.reader(item::PAN, 0).u16().unwrap_or(0xffff);
        let extended = self.reader(item::USE_EXTENDED_PAN, 0).u64().filter(|id| *id != 0 && *id != u64::MAX);
        let key = self.reader(item::KEY, 0).key().unwrap_or_default();
        let channels = self.reader(item::CHANNELS, 0).u32().unwrap_or(0x0800);
        (pan, extended.unwrap_or(self.address().0), key, channels)
    }
}
