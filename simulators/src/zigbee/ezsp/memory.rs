//! What an EZSP coordinator remembers: for ever, and while it runs.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::ieee::Ieee;
use super::super::network::Network;
use super::super::node::Endpoint;

/// Tokens: they survive a reset and lost power.
pub(super) struct Tokens {
    ieee: Ieee,
    /// An address that was burned in, once.
    pub(super) burned: Option<Ieee>,
    /// An address that was restored, from version 9 on.
    pub(super) restored: Option<Ieee>,
    pub(super) network: Option<Network>,
    /// Frames that were sent in the network.
    pub(super) counter: u32,
    pub(super) link_key: [u8; 16],
    /// Of EmberCurrentSecurityBitmask.
    pub(super) security: u16,
    pub(super) power: u8,
    pub(super) update: u8,
    pub(super) channels: u32,
    /// Link keys of devices, by their places.
    pub(super) keys: BTreeMap<u8, (u64, [u8; 16])>,
}

impl Tokens {
    pub(super) fn new(ieee: Ieee) -> Self {
        Self {
            ieee,
            burned: None,
            restored: None,
            network: None,
            counter: 0,
            link_key: [0; 16],
            security: 0,
            power: 8,
            update: 0,
            channels: 0x07ff_f800,
            keys: BTreeMap::new(),
        }
    }

    pub(super) fn address(&self) -> Ieee {
        self.restored.or(self.burned).unwrap_or(self.ieee)
    }
}

/// A key that a device may join with, for a while.
pub(super) struct Transient {
    pub(super) ieee: u64,
    pub(super) key: [u8; 16],
    pub(super) until: Duration,
}

/// setInitialSecurityState.
#[derive(Clone)]
pub(super) struct Security {
    pub(super) bitmask: u16,
    pub(super) link_key: [u8; 16],
    pub(super) network_key: [u8; 16],
    pub(super) sequence: u8,
}

/// What a reset empties.
#[derive(Default)]
pub(super) struct Working {
    pub(super) up: bool,
    pub(super) config: BTreeMap<u8, u16>,
    pub(super) policies: BTreeMap<u8, u8>,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) groups: BTreeMap<u8, (u16, u8)>,
    /// Addresses that the host keeps here: the device, its short address, and whether it is given more time.
    pub(super) addresses: BTreeMap<u8, (u64, u16, bool)>,
    pub(super) transient: Vec<Transient>,
    pub(super) security: Option<Security>,
    /// The counter that the next network begins with.
    pub(super) counter: Option<u32>,
    pub(super) manufacturer: u16,
    pub(super) patient: Vec<u64>,
    pub(super) aps: u8,
}

/// What the values of the configuration are unless they are set (UG100, EzspConfigId); others are not known.
const CONFIG: [(u8, u16); 27] = [
    (0x01, 24),
    (0x02, 16),
    (0x03, 10),
    (0x04, 0),
    (0x05, 8),
    (0x06, 8),
    (0x07, 16),
    (0x08, 8),
    (0x0c, 0),
    (0x0d, 5),
    (0x10, 30),
    (0x11, 6),
    (0x12, 3000),
    (0x13, 5),
    (0x17, 0),
    (0x18, 0),
    (0x19, 0),
    (0x1a, 0),
    (0x1c, 0),
    (0x1d, 0),
    (0x1e, 0),
    (0x1f, 1600),
    (0x22, 1),
    (0x24, 0),
    (0x2a, 0),
    (0x2d, 1),
    (0x38, 90),
];

/// How long what is for a sleepy device is kept.
const HOLD: u8 = 0x12;

/// Whether callbacks about what was sent bring what was sent.
const CONTENTS: u8 = 0x04;

impl Working {
    pub(super) fn config(&self, id: u8) -> Option<u16> {
        let usual = CONFIG.iter().find(|(known, _)| *known == id).map(|(_, value)| *value)?;
        Some(self.config.get(&id).copied().unwrap_or(usual))
    }

    pub(super) fn hold(&self) -> Duration {
        Duration::from_millis(self.config(HOLD).unwrap_or(3000).into())
    }

    pub(super) fn policy(&self, id: u8) -> u8 {
        self.policies.get(&id).copied().unwrap_or(0)
    }

    pub(super) fn wants_contents(&self) -> bool {
        self.policy(CONTENTS) == 0x41
    }
}
