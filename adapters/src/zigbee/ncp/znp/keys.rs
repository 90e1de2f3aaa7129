//! Keys and counters in a coordinator's memory.

use super::super::bytes::{Read, Write};
use super::super::{Ieee, Key, LinkKey, NcpFault};
use super::Znp;
use super::nib::EVERY;
use super::nv::{ACTIVE_KEY, SECURITY_MATERIAL, TC_LINK_KEYS};

/// The memory is written now and then only: the counter is ahead of it by no more than this.
const AHEAD: u32 = 1250;

/// Keys that are looked at for a seed.
const CANDIDATES: usize = 64;

/// A link key was agreed on, and is not what the seed says for anybody (Z-Stack's ZG_VERIFIED_KEY).
const VERIFIED: u8 = 2;

impl Znp {
    /// The network key and its number.
    pub(super) async fn network_key(&self) -> Result<(Key, u8), NcpFault> {
        let item = self.asker().item(ACTIVE_KEY).await?.unwrap_or_default();
        let mut read = Read(&item);
        let mut parts = || {
            let sequence = read.u8()?;
            Some((read.key()?, sequence))
        };
        parts().ok_or_else(|| NcpFault::NoNetwork("the coordinator has no network key".to_owned()))
    }

    /// The counter of frames sent in a network, no lower than it is.
    pub(super) async fn frame_counter_of(&self, network: Ieee) -> Result<u32, NcpFault> {
        let entries = self.asker().entries(SECURITY_MATERIAL, self.has_tables).await?;
        let counters = entries.iter().filter_map(|entry| {
            let mut read = Read(entry);
            Some((read.u32()?, read.ieee()?))
        });
        let mut everywhere = None;
        for (counter, of) in counters {
            if of == network {
                return Ok(counter.saturating_add(AHEAD));
            }
            if of == EVERY {
                everywhere = Some(counter.saturating_add(AHEAD));
            }
        }
        everywhere.ok_or_else(|| {
            NcpFault::Refused("tell its frame counter", "it has none for its network".to_owned())
        })
    }

    /// Sets the counter of frames sent in a network, the only one that the coordinator is to know.
    pub(super) async fn set_frame_counter(&self, network: Ieee, counter: u32) -> Result<(), NcpFault> {
        let count = self.asker().entries(SECURITY_MATERIAL, self.has_tables).await?.len();
        for index in 0..u16::try_from(count.max(1)).unwrap_or(u16::MAX) {
            let entry = if index == 0 {
                Write::new().u32(counter).ieee(network)
            } else {
                Write::new().u32(0).ieee(Ieee(0))
            };
            self.asker().set_entry(SECURITY_MATERIAL, self.has_tables, index, &entry.done()).await?;
        }
        Ok(())
    }

    /// The link keys that devices have agreed with the trust centre.
    pub(super) async fn link_keys(&self, seed: &Key) -> Result<Vec<LinkKey>, NcpFault> {
        let entries = self.asker().entries(TC_LINK_KEYS, self.has_tables).await?;
        Ok(entries.iter().filter_map(|entry| link_key(entry, seed)).collect())
    }

    /// Gives link keys back, as far as they follow from the seed and there is room. A device whose key is lost joins anew.
    pub(super) async fn set_link_keys(&self, keys: &[LinkKey], seed: &Key) -> Result<(), NcpFault> {
        let there = self.asker().entries(TC_LINK_KEYS, self.has_tables).await?;
        let mut places = there.iter().enumerate();
        let mut lost = 0;
        for key in keys {
            match (shift(key, seed), places.next()) {
                (Some(shift), Some((index, there))) => {
                    let index = u16::try_from(index).unwrap_or(u16::MAX);
                    let entry = entry(key, shift, there.len());
                    self.asker().set_entry(TC_LINK_KEYS, self.has_tables, index, &entry).await?;
                }
                _ => lost += 1,
            }
        }
        if lost > 0 {
            tracing::warn!(
                lost,
                "a coordinator cannot take all link keys; some Zigbee devices may have to join anew"
            );
        }
        Ok(())
    }
}

/// A link key is the seed, turned by some bytes, with the address twice (exclusive or).
fn derived(ieee: Ieee, seed: &Key, shift: u8) -> Key {
    let mut key = seed.0;
    key.rotate_left(usize::from(shift % 16));
    let address = ieee.0.to_le_bytes();
    for (byte, part) in key.iter_mut().zip(address.iter().cycle()) {
        *byte ^= part;
    }
    Key(key)
}

/// The seed from which most link keys follow: that which is given, or one of another coordinator, found by its keys.
pub(super) fn best_seed(keys: &[LinkKey], given: Key) -> Key {
    let follow = |seed: &Key| keys.iter().filter(|key| shift(key, seed).is_some()).count();
    // Turned by nothing, a key and its address give the seed; the same seed turned is as good.
    let candidates = keys.iter().take(CANDIDATES).map(|key| derived(key.ieee, &key.key, 0));
    let best = candidates.max_by_key(|seed| follow(seed));
    match best {
        Some(seed) if follow(&seed) > follow(&given) => seed,
        _ => given,
    }
}

/// By how much the seed was turned for a key.
fn shift(key: &LinkKey, seed: &Key) -> Option<u8> {
    (0..16).find(|shift| derived(key.ieee, seed, *shift) == key.key)
}

/// Reads an entry: counters, address, what kind of key it is, by how much the seed is turned.
fn link_key(entry: &[u8], seed: &Key) -> Option<LinkKey> {
    let mut read = Read(entry);
    let (frame_counter, peer_frame_counter, ieee) = (read.u32()?, read.u32()?, read.ieee()?);
    let (_attributes, _kind, shift) = (read.u8()?, read.u8()?, read.u8()?);
    if ieee.0 == 0 || ieee == EVERY {
        return None;
    }
    Some(LinkKey { ieee, key: derived(ieee, seed, shift), frame_counter, peer_frame_counter })
}

/// An entry as long as they are in this memory.
fn entry(key: &LinkKey, shift: u8, length: usize) -> Vec<u8> {
    let mut entry = Write::new()
        .u32(key.frame_counter.saturating_add(AHEAD))
        .u32(key.peer_frame_counter)
        .ieee(key.ieee)
        .u8(VERIFIED)
        .u8(0)
        .u8(shift)
        .done();
    entry.resize(length.max(entry.len()), 0);
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_keys_follow_from_the_seed() {
        let seed = Key(*b"0123456789abcdef");
        let ieee = Ieee(0x0015_8d00_01a2_b3c4);
        let key = LinkKey { ieee, key: derived(ieee, &seed, 3), frame_counter: 9, peer_frame_counter: 7 };
        // 0x33 of the seed and 0xc4 of the address.
        assert_eq!(key.key.0[..2], [b'3' ^ 0xc4, b'4' ^ 0xb3]);
        assert_eq!(shift(&key, &seed), Some(3));
        for length in [19, 20] {
            let entry = entry(&key, 3, length);
            assert_eq!(entry.len(), length);
            assert_eq!(link_key(&entry, &seed), Some(LinkKey { frame_counter: 9 + AHEAD, ..key.clone() }));
        }
        assert_eq!(link_key(&[0; 20], &seed), None);
        assert_eq!(shift(&key, &Key([1; 16])), None);
    }

    #[test]
    fn a_seed_is_found_by_its_keys() {
        let seed = Key(*b"0123456789abcdef");
        let key = |ieee: u64, turned| {
            let ieee = Ieee(ieee);
            LinkKey { ieee, key: derived(ieee, &seed, turned), frame_counter: 0, peer_frame_counter: 0 }
        };
        let odd = LinkKey { key: Key([7; 16]), ..key(9, 0) };
        let keys = [odd.clone(), key(1, 3), key(2, 5)];
        let found = best_seed(&keys, Key([1; 16]));
        assert!(keys[1..].iter().all(|key| shift(key, &found).is_some()));
        assert_eq!(best_seed(&keys, seed.clone()), seed);
        assert_eq!(best_seed(&[], seed.clone()), seed);
    }
}
