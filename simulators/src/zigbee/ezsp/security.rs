//! Networks, keys, and who is let in.

use std::time::Duration;

use super::super::air::Air;
use super::super::bytes::{Out, Reader};
use super::super::ieee::Ieee;
use super::super::network::Network;
use super::memory::{Security, Transient};
use super::{Ezsp, status};

/// The key that devices come with.
const WELL_KNOWN: &[u8; 16] = b"ZigBeeAlliance09";

/// How long a key for joining counts.
const TRANSIENT: Duration = Duration::from_secs(300);

/// EmberInitialSecurityBitmask: the network key is given; frames are counted on; link keys are made of one secret.
const HAVE_NETWORK_KEY: u16 = 0x0200;
const NO_COUNTER_RESET: u16 = 0x1000;
const HASHED: u16 = 0x0084;

/// Types of keys (EmberKeyType) of version 8.
const LINK_KEY: u8 = 1;
const NETWORK_KEY: u8 = 3;

impl Ezsp {
    /// networkInit: what the tokens hold is started.
    pub(super) fn init(&mut self, now: Duration, air: &mut Air) -> u8 {
        if self.working.up {
            return status::INVALID_CALL;
        }
        let Some(network) = self.tokens.network.clone() else { return status::NOT_JOINED };
        self.bring_up(now, network, air);
        status::SUCCESS
    }

    fn bring_up(&mut self, now: Duration, network: Network, air: &mut Air) {
        air.hold = self.working.hold();
        air.up(now, network, self.tokens.counter);
        self.working.up = true;
        self.tell_status(status::NETWORK_UP);
    }

    /// formNetwork, with EmberNetworkParameters.
    pub(super) fn form(&mut self, now: Duration, reader: &mut Reader, air: &mut Air) -> Option<u8> {
        let (extended, pan, power, channel) = (reader.u64()?, reader.u16()?, reader.u8()?, reader.u8()?);
        let (_method, _manager, update, channels) =
            (reader.u8()?, reader.u16()?, reader.u8()?, reader.u32()?);
        if self.working.up {
            return Some(status::INVALID_CALL);
        }
        let Some(security) = self.working.security.clone().filter(|one| one.bitmask & HAVE_NETWORK_KEY != 0)
        else {
            return Some(status::NO_SECURITY);
        };
        if !(11..=26).contains(&channel) {
            return Some(status::BAD_ARGUMENT);
        }
        let network =
            Network { pan, extended, channel, key: security.network_key, key_sequence: security.sequence };
        let kept = self.working.counter.unwrap_or(self.tokens.counter);
        self.tokens.counter = if security.bitmask & NO_COUNTER_RESET == 0 { 0 } else { kept };
        self.tokens.link_key = security.link_key;
        self.tokens.security = security.bitmask & 0x0086 | 0x0010;
        (self.tokens.power, self.tokens.update, self.tokens.channels) = (power, update, channels);
        self.tokens.network = Some(network.clone());
        self.bring_up(now, network, air);
        Some(status::SUCCESS)
    }

    pub(super) fn leave(&mut self, air: &mut Air) -> u8 {
        if !self.working.up {
            return status::NOT_JOINED;
        }
        self.tokens.counter = air.counter;
        self.tokens.network = None;
        self.tokens.keys.clear();
        self.working.up = false;
        self.under_way.clear();
        air.down();
        self.tell_status(status::NETWORK_DOWN);
        status::SUCCESS
    }

    /// EmberNetworkParameters.
    pub(super) fn parameters(&self) -> Vec<u8> {
        let (pan, extended, channel) = match self.tokens.network.as_ref().filter(|_| self.working.up) {
            Some(network) => (network.pan, network.extended, network.channel),
            None => (0xffff, 0, 0),
        };
        let out = Out::new().u64(extended).u16(pan).u8(self.tokens.power).u8(channel).u8(0).u16(0);
        out.u8(self.tokens.update).u32(self.tokens.channels).done()
    }

    /// setInitialSecurityState.
    pub(super) fn secure(&mut self, reader: &mut Reader) -> Option<u8> {
        let bitmask = reader.u16()?;
        let (link_key, network_key) = (reader.key()?, reader.key()?);
        let sequence = reader.u8()?;
        if self.working.up {
            return Some(status::INVALID_CALL);
        }
        self.working.security = Some(Security { bitmask, link_key, network_key, sequence });
        Some(status::SUCCESS)
    }

    /// getKey, up to version 12.
    pub(super) fn key(&self, kind: u8, air: &Air) -> Vec<u8> {
        let counter = self.counter(air);
        let nothing = || Out::new().u8(status::ERASED).bytes(&[0; 36]).done();
        match (kind, &self.tokens.network) {
            (NETWORK_KEY, Some(network)) => {
                let out = Out::new().u8(status::SUCCESS).u16(0x0003).u8(kind).bytes(&network.key);
                out.u32(counter).u32(0).u8(network.key_sequence).u64(0).done()
            }
            (LINK_KEY, Some(_)) => {
                let out = Out::new().u8(status::SUCCESS).u16(0x000a).u8(kind).bytes(&self.tokens.link_key);
                out.u32(0).u32(0).u8(0).u64(self.tokens.address().0).done()
            }
            _ => nothing(),
        }
    }

    /// exportKey, from version 13 on: the kind of key leads its context.
    pub(super) fn export(&self, reader: &mut Reader) -> Option<Vec<u8>> {
        let found = match (reader.u8()?, &self.tokens.network) {
            (1, Some(network)) => Some(network.key),
            (2, Some(_)) => Some(self.tokens.link_key),
            _ => None,
        };
        // Its status is one of all products of Silicon Labs: 0x1d says that there is none.
        let code = if found.is_some() { 0 } else { 0x1d };
        Some(Out::new().bytes(&found.unwrap_or_default()).u32(code).done())
    }

    /// getNetworkKeyInfo.
    pub(super) fn key_info(&self, air: &Air) -> Vec<u8> {
        let network = self.tokens.network.as_ref();
        let sequence = network.map_or(0, |network| network.key_sequence);
        let out = Out::new().u32(0).u8(u8::from(network.is_some())).u8(0).u8(sequence).u8(0);
        out.u32(self.counter(air)).done()
    }

    pub(super) fn counter(&self, air: &Air) -> u32 {
        if self.working.up { air.counter } else { self.tokens.counter }
    }

    /// A key that a device may join with.
    pub(super) fn let_join_with(&mut self, now: Duration, ieee: u64, key: [u8; 16]) {
        self.working.transient.retain(|one| one.ieee != ieee);
        self.working.transient.push(Transient { ieee, key, until: now + TRANSIENT });
    }

    /// Whether somebody who comes gets the network key: the policy lets joins happen, and there is a key to join with.
    pub(super) fn trust(&mut self, now: Duration, air: &mut Air) {
        self.working.transient.retain(|one| one.until > now);
        let any = |one: &Transient| one.ieee == u64::MAX && one.key == *WELL_KNOWN;
        let global = self.tokens.security & HASHED != HASHED && self.tokens.link_key == *WELL_KNOWN;
        air.lets_in = self.working.policy(0) & 1 == 1 && (global || self.working.transient.iter().any(any));
    }

    /// A token by its key: the address that was restored (NVM3).
    pub(super) fn token(&self, key: u32) -> Option<Vec<u8>> {
        matches!(key, 0xe12a | 0x1_e12a)
            .then(|| self.tokens.restored.map_or([0xff; 8], |ieee| ieee.0.to_le_bytes()).to_vec())
    }

    pub(super) fn set_token(&mut self, key: u32, bytes: &[u8]) -> bool {
        let number = Reader::new(bytes).u64();
        let (Some(number), true) = (number, self.token(key).is_some()) else { return false };
        self.tokens.restored = Some(number).filter(|number| *number != u64::MAX).map(Ieee);
        true
    }
}
