//! Which network a coordinator is to have: pure.
//!
//! | kept here | held by the coordinator | then |
//! |---|---|---|
//! | nothing | nothing | a new network is formed and kept |
//! | nothing | a network | it is taken over as it is, and kept |
//! | a network | nothing | it is restored: the coordinator was replaced, or emptied |
//! | a network | the same, with the same key | it is resumed |
//! | a network | another, or another key | refused: nothing is changed on either side |
//!
//! A key or a PAN ID of the site file that is not the network's is refused too, so that a typing error forms nothing anew.
//!
//! Devices believe no frame whose counter is not higher than the last. What is kept is therefore a counter that is still to
//! come ([`AHEAD`]), and written anew when half of that is used up: flash is written once in very many frames.

use super::ncp::{Backup, Ieee, Key, Network, NewNetwork};

/// So many frames the counter that is kept is ahead of the one that is used.
pub(super) const AHEAD: u32 = 200_000;

/// Channel of a network when the site file has none: one that the usual channels of Wi-Fi leave free.
const CHANNEL: u8 = 15;

/// What the site file says of the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) channel: Option<u8>,
    pub(super) pan_id: Option<u16>,
    pub(super) key: Option<Key>,
}

/// What is to be done with the coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    Form,
    Restore(Box<Backup>),
    /// It has the network: go on with it.
    Resume(Box<Backup>),
    /// Nothing: why, and what whoever runs this can do.
    Refuse(String),
}

/// Decides. `held` is what the coordinator has, if it has a network.
pub(super) fn plan(kept: Option<&Backup>, held: Option<&Backup>, wanted: &Wanted) -> Plan {
    if let Some(why) = kept.or(held).and_then(|network| contradiction(network, wanted)) {
        return Plan::Refuse(why);
    }
    match (kept, held) {
        (None, None) => Plan::Form,
        (None, Some(held)) => Plan::Resume(Box::new(held.clone())),
        (Some(kept), None) => Plan::Restore(Box::new(kept.clone())),
        (Some(kept), Some(held)) => match difference(&kept.network, &held.network, kept.key == held.key) {
            Some(why) => Plan::Refuse(why),
            None => Plan::Resume(Box::new(held.clone())),
        },
    }
}

/// What the site file says that is not so.
fn contradiction(network: &Backup, wanted: &Wanted) -> Option<String> {
    if wanted.key.as_ref().is_some_and(|key| *key != network.key) {
        return Some(
            "network_key is not the key of the network that there is; remove it, or the bus".to_owned(),
        );
    }
    let (has, wanted) = (network.network.pan_id, wanted.pan_id?);
    (has != wanted)
        .then(|| format!("the network has the PAN ID 0x{has:04x}, and the site file says 0x{wanted:04x}"))
}

/// Why the coordinator's network is not the one that is kept.
fn difference(kept: &Network, held: &Network, same_key: bool) -> Option<String> {
    let what = "plug in the coordinator of this hub, or erase this one, which restores the network on it";
    if kept.ext_pan_id != held.ext_pan_id {
        let (ours, its) = (described(kept), described(held));
        return Some(format!(
            "the coordinator holds another network ({its}) than this hub's ({ours}); {what}"
        ));
    }
    (!same_key).then(|| {
        let its = described(held);
        format!("the coordinator holds the network {its} with another network key than this hub's; {what}")
    })
}

fn described(network: &Network) -> String {
    format!("PAN ID 0x{:04x}, extended PAN ID {}", network.pan_id, network.ext_pan_id)
}

/// A new network, with what the site file leaves open taken from these random bytes.
pub(super) fn new_network(wanted: &Wanted, random: [u8; 26]) -> NewNetwork {
    let (key, rest) = random.split_at(16);
    let mut own = [0; 16];
    own.copy_from_slice(key);
    let number = |bytes: &[u8]| bytes.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    let (pan_id, ext_pan_id) = rest.split_at(2);
    // 0 and 0xffff mean none and all.
    let pan_id = u16::try_from(number(pan_id) % 0xfffe).unwrap_or_default() + 1;
    NewNetwork {
        channel: wanted.channel.unwrap_or(CHANNEL),
        pan_id: wanted.pan_id.unwrap_or(pan_id),
        ext_pan_id: Ieee(number(ext_pan_id).clamp(1, u64::MAX - 1)),
        key: wanted.key.clone().unwrap_or(Key(own)),
    }
}

/// The counter that is to be kept instead of this one; `None`: it is far enough ahead of what is used.
pub(super) fn reserve(kept: u32, used: u32) -> Option<u32> {
    (kept < used.saturating_add(AHEAD / 2)).then(|| used.saturating_add(AHEAD))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup(ext_pan_id: u64, key: u8) -> Backup {
        Backup {
            ieee: Ieee(1),
            network: Network { pan_id: 0x1a62, ext_pan_id: Ieee(ext_pan_id), channel: 15, update_id: 0 },
            key: Key([key; 16]),
            key_sequence: 0,
            frame_counter: 5,
            tc_link_key: Key([0; 16]),
            tc_seed: None,
            link_keys: Vec::new(),
        }
    }

    #[test]
    fn the_table_above_holds() {
        let (ours, other, key) = (backup(1, 7), backup(2, 7), backup(1, 8));
        let open = Wanted::default();
        assert_eq!(plan(None, None, &open), Plan::Form);
        assert_eq!(plan(None, Some(&other), &open), Plan::Resume(Box::new(other.clone())));
        assert_eq!(plan(Some(&ours), None, &open), Plan::Restore(Box::new(ours.clone())));
        assert_eq!(plan(Some(&ours), Some(&ours), &open), Plan::Resume(Box::new(ours.clone())));
        for (held, word) in [(&other, "another network"), (&key, "another network key")] {
            let Plan::Refuse(why) = plan(Some(&ours), Some(held), &open) else { panic!() };
            assert!(why.contains(word) && why.contains("0x1a62"), "{why}");
            assert!(!why.contains("0707") && !why.contains("0808"), "{why}");
        }
    }

    #[test]
    fn the_site_file_may_not_contradict_the_network() {
        let ours = backup(1, 7);
        for wanted in [
            Wanted { key: Some(Key([9; 16])), ..Wanted::default() },
            Wanted { pan_id: Some(0x1a63), ..Wanted::default() },
        ] {
            for (kept, held) in [(Some(&ours), None), (None, Some(&ours)), (Some(&ours), Some(&ours))] {
                assert!(matches!(plan(kept, held, &wanted), Plan::Refuse(_)), "{wanted:?}");
            }
            assert_eq!(plan(None, None, &wanted), Plan::Form);
        }
        let same = Wanted { key: Some(Key([7; 16])), pan_id: Some(0x1a62), channel: Some(20) };
        assert!(
            matches!(plan(Some(&ours), Some(&ours), &same), Plan::Resume(_)),
            "the channel may have moved"
        );
    }

    #[test]
    fn what_is_left_open_is_random_and_valid() {
        let network = new_network(&Wanted::default(), [0xff; 26]);
        assert_eq!((network.channel, network.pan_id, network.ext_pan_id), (15, 2, Ieee(u64::MAX - 1)));
        assert_eq!(network.key, Key([0xff; 16]));
        assert_eq!(new_network(&Wanted::default(), [0; 26]).pan_id, 1);
        let wanted = Wanted { channel: Some(25), pan_id: Some(9), key: Some(Key([1; 16])) };
        let network = new_network(&wanted, [2; 26]);
        assert_eq!((network.channel, network.pan_id, network.key), (25, 9, Key([1; 16])));
    }

    #[test]
    fn the_counter_that_is_kept_stays_ahead() {
        assert_eq!(reserve(0, 10), Some(10 + AHEAD));
        assert_eq!(reserve(10 + AHEAD, 10 + AHEAD / 2), None);
        assert_eq!(reserve(10 + AHEAD, 11 + AHEAD / 2), Some(11 + AHEAD / 2 + AHEAD));
        assert_eq!(reserve(u32::MAX, u32::MAX - 1), None);
    }
}
