//! What a coordinator keeps of its network, and whoever is in it.

use std::fmt;

/// A network.
#[derive(Clone, PartialEq, Eq)]
pub struct Network {
    /// Its PAN ID.
    pub pan: u16,
    /// Its extended PAN ID, as it is printed.
    pub extended: u64,
    /// Its channel, 11 to 26.
    pub channel: u8,
    /// Its network key.
    pub key: [u8; 16],
    /// Which key it is: the newer, the greater.
    pub key_sequence: u8,
}

impl Network {
    /// Whether who is in one hears the other.
    pub(super) fn hears(&self, other: &Self) -> bool {
        self.extended == other.extended
            && self.pan == other.pan
            && self.channel == other.channel
            && self.key == other.key
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pan, extended, channel, .. } = self;
        write!(f, "network {pan:#06x} ({extended:#018x}) on channel {channel}")
    }
}
