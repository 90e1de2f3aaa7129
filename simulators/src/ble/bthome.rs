//! How BTHome v2 is written (<https://bthome.io/format>, <https://bthome.io/encryption>).

use aes::Aes128;
use ccm::aead::{AeadInOut, KeyInit};
use ccm::consts::{U4, U13};
use ccm::{Ccm, aead};

use super::device::Mac;
use super::uuid::Uuid;

/// The service that the data belongs to.
pub const SERVICE: Uuid = Uuid::short(0xfcd2);

/// Version 2 in the three highest bits of the first byte.
const VERSION: u8 = 0x40;
const ENCRYPTED: u8 = 0x01;
/// It speaks when something happens, and otherwise not.
const TRIGGERED: u8 = 0x04;

/// A key, and how often it was used.
#[derive(Clone)]
pub struct Bind {
    key: [u8; 16],
    counter: u32,
}

impl Bind {
    /// From 32 hexadecimal digits; `None`: these are none.
    pub fn parse(text: &str) -> Option<Self> {
        let bits = u128::from_str_radix(text.trim(), 16).ok().filter(|_| text.trim().len() == 32)?;
        Some(Self { key: bits.to_be_bytes(), counter: 0x0100 })
    }

    /// Counts from the beginning, as who has forgotten how far it was.
    pub fn restart(&mut self) {
        self.counter = 0;
    }
}

impl std::fmt::Debug for Bind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bind(..)")
    }
}

/// Writes objects in the order of their numbers, which is what the format wants.
#[derive(Clone, Debug, Default)]
pub struct Objects(Vec<(u8, Vec<u8>)>);

impl Objects {
    /// One more: its number, and the value with the bytes that it takes, the least significant first.
    pub fn with(mut self, id: u8, value: i64, bytes: usize) -> Self {
        self.0.push((id, value.to_le_bytes().into_iter().take(bytes).collect()));
        self
    }

    /// The bytes of all.
    pub fn bytes(mut self) -> Vec<u8> {
        self.0.sort_by_key(|(id, _)| *id);
        self.0.into_iter().flat_map(|(id, value)| [vec![id], value].concat()).collect()
    }
}

/// Service data for everybody.
pub fn plain(objects: Objects, triggered: bool) -> Vec<u8> {
    let info = VERSION | if triggered { TRIGGERED } else { 0 };
    [vec![info], objects.bytes()].concat()
}

/// Service data for who has the key. The counter counts.
pub fn encrypted(mac: Mac, bind: &mut Bind, objects: Objects, triggered: bool, wrong_key: bool) -> Vec<u8> {
    let info = VERSION | ENCRYPTED | if triggered { TRIGGERED } else { 0 };
    bind.counter = bind.counter.wrapping_add(1);
    let mut key = bind.key;
    if wrong_key {
        key.iter_mut().for_each(|byte| *byte ^= 0x5a);
    }
    sealed(mac, &key, info, bind.counter, objects.bytes())
}

fn sealed(mac: Mac, key: &[u8; 16], info: u8, counter: u32, mut said: Vec<u8>) -> Vec<u8> {
    let counter = counter.to_le_bytes();
    let mut nonce = [0; 13];
    let parts = mac.0.into_iter().chain([0xd2, 0xfc, info]).chain(counter);
    nonce.iter_mut().zip(parts).for_each(|(byte, part)| *byte = part);
    let cipher = Ccm::<Aes128, U4, U13>::new(&aead::Key::<Ccm<Aes128, U4, U13>>::from(*key));
    // It fails for texts beyond 64 KiB alone.
    let mic = cipher.encrypt_inout_detached(&nonce.into(), &[], said.as_mut_slice().into());
    let mic = mic.map(|mic| mic.to_vec()).unwrap_or_default();
    [vec![info], said, counter.to_vec(), mic].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example at <https://bthome.io/encryption>.
    #[test]
    fn the_published_example_is_encrypted_as_published() {
        let mac = Mac::parse("54:48:E6:8F:80:A5").unwrap();
        let key = 0x231d_39c1_d7cc_1ab1_aee2_24cd_096d_b932_u128.to_be_bytes();
        let objects = Objects::default().with(0x02, 2506, 2).with(0x03, 5055, 2);
        assert_eq!(objects.clone().bytes(), [0x02, 0xca, 0x09, 0x03, 0xbf, 0x13]);
        let said = sealed(mac, &key, 0x41, 0x3322_1100, objects.bytes());
        let hex: String = said.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "41a47266c95f730011223378237214");
    }
}
