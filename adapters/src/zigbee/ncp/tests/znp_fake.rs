//! A coordinator that speaks ZNP, as far as is needed to see what it is told.

use std::collections::{BTreeMap, VecDeque};

use super::ezsp_fake::Wrong;
use super::{Fake, Key};

pub(super) struct ZnpFake {
    held: Vec<u8>,
    pub(super) wrong: Wrong,
    /// Whether it is of Z-Stack 3.x.0, with tables and aligned structures.
    has_tables: bool,
    pub(super) items: BTreeMap<u16, Vec<u8>>,
    pub(super) tables: BTreeMap<(u16, u16), Vec<u8>>,
    /// Requests, as they came.
    pub(super) asked: Vec<(u16, Vec<u8>)>,
    /// How sending goes: statuses; after these everything is done.
    pub(super) sends: VecDeque<u8>,
    /// What becomes of messages.
    pub(super) fate: u8,
    /// So many answers get lost.
    pub(super) lose: u32,
    /// What became of messages gets lost.
    pub(super) lose_fates: bool,
    /// Of so many requests one is not heard, and what is said to the next gets lost; 0: none.
    pub(super) loses_of: usize,
    /// It logs what it hears.
    pub(super) leaks: bool,
    /// A bit of what it says next is wrong.
    pub(super) spoils: bool,
    /// It does not hear that it is to start.
    pub(super) is_deaf: bool,
    /// It has started its network.
    is_up: bool,
    /// A PAN ID that is taken already.
    pub(super) taken: Option<u16>,
}

const NIB_OF: [(usize, usize, usize, usize, usize); 2] = [(110, 22, 33, 53, 61), (116, 24, 36, 57, 65)];

impl ZnpFake {
    pub(super) fn new(has_tables: bool) -> Self {
        let items = [(0x01, 0x0012_4b00_5566_7788_u64.to_le_bytes().to_vec()), (0x101, vec![3; 16])];
        let mut fake = Self {
            held: vec![],
            wrong: Wrong::default(),
            has_tables,
            items: items.into(),
            tables: BTreeMap::new(),
            asked: vec![],
            sends: VecDeque::new(),
            fate: 0,
            lose: 0,
            lose_fates: false,
            loses_of: 0,
            spoils: false,
            leaks: false,
            is_deaf: false,
            is_up: false,
            taken: None,
        };
        fake.clear();
        fake
    }

    pub(super) fn asked(&self, command: u16) -> Vec<Vec<u8>> {
        self.asked.iter().filter(|(asked, _)| *asked == command).map(|(_, body)| body.clone()).collect()
    }

    fn put(&mut self, table: u16, item: u16, count: u16, value: &[u8]) {
        for index in 0..count {
            if self.has_tables {
                self.tables.insert((table, index), value.to_vec());
            } else {
                self.items.insert(item + index, value.to_vec());
            }
        }
    }

    fn clear(&mut self) {
        for item in [0x21, 0x55, 0x3a, 0x3b] {
            self.items.remove(&item);
        }
        self.put(0x07, 0x75, 4, &[0; 12]);
        self.put(0x04, 0x111, 3, &vec![0; if self.has_tables { 20 } else { 19 }]);
    }

    /// What the memory says of frame counters.
    pub(super) fn security_material(&self) -> Vec<u8> {
        if self.has_tables { self.tables[&(7, 0)].clone() } else { self.items[&0x75].clone() }
    }

    pub(super) fn set_security_material(&mut self, value: Vec<u8>) {
        if self.has_tables {
            self.tables.insert((7, 0), value);
        } else {
            self.items.insert(0x75, value);
        }
    }

    pub(super) fn key(&self) -> Key {
        Key(self.items[&0x3a][1..].try_into().unwrap())
    }

    fn form(&mut self) {
        let (length, channel, pan_id, ext_pan_id, has_key) = NIB_OF[usize::from(self.has_tables)];
        let mut nib = vec![0; length];
        let channels = u32::from_le_bytes(self.items[&0x84][..].try_into().unwrap());
        nib[channel] = u8::try_from(channels.trailing_zeros()).unwrap();
        nib[pan_id..pan_id + 2].copy_from_slice(&self.items[&0x83]);
        if self.taken.is_some_and(|taken| taken.to_le_bytes() == self.items[&0x83][..]) {
            nib[pan_id] ^= 1;
        }
        nib[ext_pan_id..ext_pan_id + 8].copy_from_slice(&self.items[&0x2d]);
        nib[has_key] = 1;
        self.items.insert(0x21, nib);
        self.items.insert(0x3a, [&[0], &self.items[&0x62][..]].concat());
        self.items.insert(0x55, vec![1]);
        self.set_security_material([&100_u32.to_le_bytes()[..], &self.items[&0x2d]].concat());
    }

    /// The answer, and what is said after it. `None`: it does not know the command.
    fn answer(&mut self, command: u16, body: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        let word = |at: usize| u16::from_le_bytes([body[at], body[at + 1]]);
        let mut after = vec![];
        let answer = match command {
            0x2101 => vec![0x79, 0x05],
            0x2102 if self.has_tables => vec![2, 1, 2, 7, 1, 0xc7, 0xb9, 0x34, 0x01],
            0x2102 => vec![2, 1, 2, 7, 1, 0xc7, 0xb9, 0x34, 0x01],
            0x2107 => {
                self.items.insert(word(0), vec![0; word(2).into()]);
                vec![0x09]
            }
            0x2112 => vec![if self.items.remove(&word(0)).is_some() { 0 } else { 0x09 }],
            0x2113 => {
                u16::try_from(self.items.get(&word(0)).map_or(0, Vec::len)).unwrap().to_le_bytes().to_vec()
            }
            0x211c => {
                let item = &self.items[&word(0)][usize::from(word(2))..];
                // In pieces.
                let piece = &item[..item.len().min(100)];
                [&[0, u8::try_from(piece.len()).unwrap()], piece].concat()
            }
            0x211d => {
                let (offset, length) = (usize::from(word(2)), usize::from(word(4)));
                self.items.get_mut(&word(0)).unwrap()[offset..offset + length].copy_from_slice(&body[6..]);
                vec![0]
            }
            0x2132 if self.has_tables => {
                let length = self.tables.get(&(word(1), word(3))).map_or(0, Vec::len);
                u32::try_from(length).unwrap().to_le_bytes().to_vec()
            }
            0x2133 if self.has_tables => {
                let entry = &self.tables[&(word(1), word(3))];
                [&[0, u8::try_from(entry.len()).unwrap()], &entry[..]].concat()
            }
            0x2134 if self.has_tables => {
                self.tables.insert((word(1), word(3)), body[8..].to_vec());
                vec![0]
            }
            0x2402 => {
                let status = self.sends.pop_front().unwrap_or(0);
                // To a device, and not of ZDO.
                if status == 0 && body[0] == 2 && body[9] != 0 {
                    after = frame(0x4480, &[self.fate, body[12], body[15]]);
                }
                vec![status]
            }
            0x2f05 => {
                if self.items.get(&0x55) != Some(&vec![1]) {
                    self.form();
                }
                self.is_up = true;
                after = [frame(0x45c0, &[8]), frame(0x45c0, &[9])].concat();
                vec![0]
            }
            0x2700 => [[0; 12].as_slice(), &[if self.is_up { 9 } else { 0 }, 0]].concat(),
            0x2400 | 0x2536 | 0x253e | 0x2545 | 0x2546 | 0x2f08 => vec![0],
            _ => return None,
        };
        Some((answer, after))
    }

    fn request(&mut self, command: u16, body: &[u8]) -> Vec<u8> {
        if self.leaks {
            tracing::trace!(?body, "a leak");
        }
        self.asked.push((command, body.to_vec()));
        match self.asked.len().checked_rem(self.loses_of) {
            Some(0) => vec![],
            Some(1) => {
                self.said(command, body);
                vec![]
            }
            _ => self.said(command, body),
        }
    }

    fn said(&mut self, command: u16, body: &[u8]) -> Vec<u8> {
        if command == 0x2f05 && self.is_deaf {
            return vec![];
        }
        if command == 0x4100 {
            self.is_up = false;
            if self.items.remove(&3) == Some(vec![3]) {
                self.clear();
            }
            return frame(0x4180, &[1, 2, 1, 2, 7, 1]);
        }
        match self.answer(command, body) {
            Some((_, after)) if self.lose > 0 => {
                self.lose -= 1;
                if self.lose_fates { vec![] } else { after }
            }
            Some((answer, after)) => [frame(command | 0x4000, &answer), after].concat(),
            None => frame(0x6000, &[2, command.to_be_bytes()[0], command.to_be_bytes()[1]]),
        }
    }
}

fn frame(command: u16, body: &[u8]) -> Vec<u8> {
    let inner = [&[u8::try_from(body.len()).unwrap()], &command.to_be_bytes()[..], body].concat();
    let sum = inner.iter().fold(0, |sum, byte| sum ^ byte);
    [vec![0xfe], inner, vec![sum]].concat()
}

impl Fake for ZnpFake {
    fn hear(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        match self.wrong {
            Wrong::Pulled => return None,
            Wrong::Reset => return Some(frame(0x4180, &[2, 2, 1, 2, 7, 1])),
            Wrong::Dead | Wrong::NoAnswer | Wrong::Error => return Some(vec![]),
            Wrong::Nothing => {}
        }
        self.held.extend_from_slice(bytes);
        let mut said = vec![];
        while let Some(start) = self.held.iter().position(|byte| *byte == 0xfe) {
            self.held.drain(..start);
            let Some(length) = self.held.get(1).map(|length| usize::from(*length)) else { break };
            if self.held.len() < length + 5 {
                break;
            }
            let request: Vec<u8> = self.held.drain(..length + 5).collect();
            said.extend(self.request(u16::from_be_bytes([request[2], request[3]]), &request[4..length + 4]));
        }
        if let Some(last) = said.last_mut().filter(|_| std::mem::take(&mut self.spoils)) {
            *last ^= 0x20;
        }
        Some(said)
    }
}
