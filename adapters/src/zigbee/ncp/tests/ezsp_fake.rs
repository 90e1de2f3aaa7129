//! A coordinator that speaks EZSP, as far as is needed to see what it is told.

use std::collections::{BTreeMap, VecDeque};

use super::super::ash::peer::Peer;
use super::{Fake, Key};

/// What it does wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Wrong {
    #[default]
    Nothing,
    /// It acknowledges, and answers nothing.
    NoAnswer,
    /// It does nothing at all.
    Dead,
    /// It is pulled out.
    Pulled,
    /// It resets itself.
    Reset,
    /// It gives up.
    Error,
}

pub(super) struct EzspFake {
    pub(super) peer: Peer,
    pub(super) version: u8,
    pub(super) wrong: Wrong,
    /// Commands, as they came: ID and parameters.
    pub(super) asked: Vec<(u16, Vec<u8>)>,
    /// The network that it remembers: its parameters.
    pub(super) network: Option<Vec<u8>>,
    up: bool,
    pub(super) key: Key,
    pub(super) seed: Key,
    pub(super) frame_counter: u32,
    pub(super) ieee: u64,
    /// Tokens of its memory.
    pub(super) tokens: BTreeMap<u32, Vec<u8>>,
    /// How sending goes: statuses of one byte; after these everything is done.
    pub(super) sends: VecDeque<u8>,
    /// What becomes of messages to devices. `None`: it is never said.
    pub(super) fate: Option<u8>,
    /// What it says unasked with the next answer.
    pub(super) words: Vec<(u16, Vec<u8>)>,
    /// A command that it refuses.
    pub(super) refused: Option<u16>,
    /// Where the link key of everybody is in its table.
    pub(super) link_key: u8,
    legacy: bool,
    resets: u32,
}

impl EzspFake {
    pub(super) fn new(version: u8) -> Self {
        Self {
            peer: Peer::default(),
            version,
            wrong: Wrong::default(),
            asked: vec![],
            network: None,
            up: false,
            key: Key([0; 16]),
            seed: Key([0; 16]),
            frame_counter: 0,
            ieee: 0x0012_4b00_1122_3344,
            tokens: BTreeMap::new(),
            sends: VecDeque::new(),
            fate: Some(0),
            words: vec![],
            refused: None,
            link_key: 0xff,
            legacy: true,
            resets: 0,
        }
    }

    /// The parameters of each command with an ID.
    pub(super) fn asked(&self, id: u16) -> Vec<Vec<u8>> {
        self.asked.iter().filter(|(asked, _)| *asked == id).map(|(_, body)| body.clone()).collect()
    }

    /// A status as this version has it.
    fn status(&self, ember: u8) -> Vec<u8> {
        let code: u32 = match ember {
            0x66 => 0x0c02,
            0x72 => 0x0c03,
            0x90 => 0x15,
            0x91 => 0x16,
            0x93 => 0x17,
            other => other.into(),
        };
        if self.version < 14 { vec![ember] } else { code.to_le_bytes().to_vec() }
    }

    fn with(&self, parts: &[&[u8]]) -> Vec<u8> {
        [&self.status(0)[..], &parts.concat()].concat()
    }

    fn tell(&mut self, up: bool) {
        self.up = up;
        let status = self.status(if up { 0x90 } else { 0x91 });
        self.words.push((0x19, status));
    }

    /// `None`: it does not know the command.
    fn answer(&mut self, id: u16, body: &[u8]) -> Option<Vec<u8>> {
        let old = self.version < 13;
        if self.refused == Some(id) {
            return Some(self.status(0x01));
        }
        Some(match id {
            0x00 => vec![self.version, 2, 0x30, 0x74],
            0x05 => vec![],
            0x17 => match self.network {
                Some(_) => {
                    self.tell(true);
                    self.status(0)
                }
                None => self.status(0x93),
            },
            0x18 => vec![if self.up { 2 } else { 0 }],
            0x1e => {
                self.network = Some(body.to_vec());
                self.tell(true);
                self.status(0)
            }
            0x20 => {
                self.network = None;
                self.tell(false);
                self.status(0)
            }
            0x26 => self.ieee.to_le_bytes().to_vec(),
            0x28 => self.with(&[&[1], self.network.as_deref().unwrap_or(&[0; 20])]),
            0x33 => vec![82],
            0x34 => self.unicast(body),
            0x36 | 0x38 => self.with(&[&[1]]),
            0x52 => self.with(&[&[6, 0]]),
            0x5a => vec![0; 4],
            0x60 if self.version < 14 => vec![0xff, 0xff],
            0x60 => [vec![1, 0, 0, 0], vec![0xff, 0xff]].concat(),
            0x68 => {
                self.seed = Key(body[2..18].try_into().unwrap());
                self.key = Key(body[18..34].try_into().unwrap());
                self.status(0)
            }
            0x69 => self.with(&[&[0x84, 0], &[0; 8]]),
            0x6a if old => {
                let key = if body == [3] { &self.key } else { &self.seed };
                let counter = self.frame_counter.to_le_bytes();
                self.with(&[&[7, 0, body[0]], &key.0, &counter, &[0; 4], &[5], &[0; 8]])
            }
            0x71 if old => self.status(0xb6),
            0x75 => vec![self.link_key],
            0x77 if !old => {
                self.network = None;
                vec![]
            }
            0x7f if self.version < 14 => vec![0],
            0x7f => vec![1, 0, 0, 0],
            0xaa => self.with(&[&[7, 0x80, 0x01, 7, 4, 3, 0, 0]]),
            0xab if body[0] == 0x23 => {
                self.frame_counter = u32::from_le_bytes(body[2..6].try_into().unwrap());
                self.status(0)
            }
            0x102 if self.version >= 9 => {
                match self.tokens.get(&u32::from_le_bytes(body[..4].try_into().unwrap())) {
                    Some(token) => self.with(&[&(token.len() as u32).to_le_bytes(), token]),
                    None => self.status(1),
                }
            }
            0x103 if self.version >= 9 => {
                let token = u32::from_le_bytes(body[..4].try_into().unwrap());
                self.tokens.insert(token, body[12..].to_vec());
                self.status(0)
            }
            0x10f if self.version == 13 => [vec![0; 8 + 16 + 12], vec![0x2d, 0, 0, 0]].concat(),
            0x10f if self.version > 13 => vec![0x2d, 0, 0, 0],
            0x10e | 0x111 if !old => vec![0; 4],
            0x114 if !old => {
                let key = if body[0] == 1 { &self.key } else { &self.seed };
                match self.version {
                    13 => [&key.0[..], &[0; 4]].concat(),
                    _ => [&[0; 4], &key.0[..], body].concat(),
                }
            }
            0x116 if !old => [&[0; 4][..], &[1, 0, 5, 0], &self.frame_counter.to_le_bytes()].concat(),
            0x02 | 0x10 | 0x22 | 0x53 | 0x55 | 0x66 | 0x76 | 0x7e | 0x82 | 0xab | 0xaf | 0xb1 => {
                self.status(0)
            }
            _ => return None,
        })
    }

    fn unicast(&mut self, body: &[u8]) -> Vec<u8> {
        let status = self.sends.pop_front().unwrap_or(0);
        let (to, aps, tag) = (&body[1..3], &body[3..14], body[14]);
        if let Some(fate) = self.fate.filter(|_| status == 0) {
            let fate = self.status(fate);
            let word = if self.version < 14 {
                [&[0], to, aps, &[tag], &fate, &[0]].concat()
            } else {
                [&fate[..], &[0], to, aps, &[tag, 0], &[0]].concat()
            };
            self.words.push((0x3f, word));
        }
        [self.status(status), vec![9]].concat()
    }

    fn command(&mut self, frame: &[u8]) {
        // Protocol 8 and later knows the command `version` in the old format too, right after a reset.
        let (number, id, body) = match frame {
            [number, 0, 0, body @ ..] if self.legacy => (*number, 0, body),
            [number, 0, 1, low, high, body @ ..] => (*number, u16::from_le_bytes([*low, *high]), body),
            _ => panic!("no frame: {frame:?}"),
        };
        let legacy = std::mem::replace(&mut self.legacy, false);
        self.asked.push((id, body.to_vec()));
        if self.wrong == Wrong::NoAnswer {
            return;
        }
        let (id, answer) = self.answer(id, body).map_or((0x58, vec![0x36]), |answer| (id, answer));
        let head = if legacy {
            vec![number, 0x80, 0]
        } else {
            [vec![number, 0x80, 1], id.to_le_bytes().to_vec()].concat()
        };
        self.peer.say([head, answer].concat());
        for (id, word) in std::mem::take(&mut self.words) {
            self.peer.say([vec![number, 0x90, 1], id.to_le_bytes().to_vec(), word].concat());
        }
    }
}

impl Fake for EzspFake {
    fn hear(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        match self.wrong {
            Wrong::Dead => return Some(vec![]),
            Wrong::Pulled => return None,
            Wrong::Reset | Wrong::Error => {
                self.peer.blurt(self.wrong == Wrong::Error, 0x03);
                return Some(std::mem::take(&mut self.peer.out));
            }
            Wrong::Nothing | Wrong::NoAnswer => {}
        }
        self.peer.hear(bytes);
        if self.resets != self.peer.resets {
            self.resets = self.peer.resets;
            (self.legacy, self.up) = (true, false);
            if let Some(ieee) =
                self.tokens.get(&0xe12a).filter(|token| token.iter().any(|byte| *byte != 0xff))
            {
                self.ieee = u64::from_le_bytes(ieee[..].try_into().unwrap());
            }
        }
        for frame in std::mem::take(&mut self.peer.got) {
            self.command(&frame);
        }
        self.peer.advance();
        Some(std::mem::take(&mut self.peer.out))
    }
}
