//! Encrypted advertisements of BTHome: AES-CCM with a counter that never goes back.
//!
//! Source: <https://bthome.io/encryption>. The nonce is made of the device's address, the service, the device information
//! byte and the counter, so that nothing of another device, and nothing that was heard before, can be taken for a new word.
//!
//! What is remembered of the counter lives as long as the site's entry of the device does in this process: nothing of it is
//! written to a disk. So the first word after a start is believed whatever its counter is, and one that was recorded before may
//! be taken for it. A device with a new battery counts from the beginning, and would never be heard again: so a low counter is
//! believed after ten seconds in which nothing was. What was recorded of the first minutes after a change of battery can be
//! said again by somebody who keeps the device itself from being heard.

use std::fmt;
use std::time::{Duration, Instant};

use aes::Aes128;
use ccm::aead::{AeadInOut, KeyInit};
use ccm::consts::{U4, U13};
use usp_mapping::ble::bthome::{SERVICE, Sealed};
use usp_mapping::mapping::Mac;

type Cipher = ccm::Ccm<Aes128, U4, U13>;

/// A key. It is shown nowhere.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct BindKey([u8; 16]);

impl BindKey {
    /// The key that 32 hexadecimal digits spell.
    ///
    /// Errors: they are not that; the text shows nothing of them.
    pub(super) fn parse(text: &[u8]) -> Result<Self, &'static str> {
        let digits = text.iter().filter(|byte| !byte.is_ascii_whitespace());
        let digits: Option<Vec<u8>> = digits.map(|byte| nibble(*byte)).collect();
        let digits =
            digits.filter(|digits| digits.len() == 32).ok_or("it has to have 32 hexadecimal digits")?;
        let mut key = [0; 16];
        for (byte, pair) in key.iter_mut().zip(digits.chunks(2)) {
            *byte = pair.iter().fold(0, |all, digit| all << 4 | digit);
        }
        Ok(Self(key))
    }
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

impl fmt::Debug for BindKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BindKey(…)")
    }
}

/// A device with a new battery counts from the beginning: after it was silent for so long such a counter is believed again.
const RESTART: (Duration, u32) = (Duration::from_secs(10), 256);

/// Whether a counter that goes back is one of a device that was restarted.
fn is_restart(now: Instant, heard: Instant, counter: u32) -> bool {
    now.saturating_duration_since(heard) >= RESTART.0 && counter < RESTART.1
}

/// Why a word is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Distrust {
    /// It was not made with this key.
    WrongKey,
    /// Its counter is not greater than that of an older word, and it is another one.
    Replayed,
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongKey => "it cannot be decrypted with the key of this device",
            Self::Replayed => {
                "its counter has been used before: somebody repeats what the device said, or it was restarted just now"
            }
        })
    }
}

/// What opens the words of one device.
#[derive(Debug)]
pub(super) struct Opener {
    key: BindKey,
    mac: Mac,
    /// The greatest counter so far, the bytes that came with it, and when.
    last: Option<(u32, Vec<u8>, Instant)>,
}

impl Opener {
    /// Nothing was heard yet.
    pub(super) fn new(key: BindKey, mac: Mac) -> Self {
        Self { key, mac, last: None }
    }

    /// Whether this is the key that it has.
    pub(super) fn has(&self, key: &BindKey) -> bool {
        self.key == *key
    }

    /// The objects of a word, and whether it is a new one. The same word again is what it was.
    ///
    /// Errors: it is not believed. A word that was not made with the key does not move the counter.
    pub(super) fn open(&mut self, now: Instant, sealed: &Sealed<'_>) -> Result<(Vec<u8>, bool), Distrust> {
        let counter = u32::from_le_bytes(sealed.counter);
        let objects = self.decrypt(sealed).ok_or(Distrust::WrongKey)?;
        let mut is_new = true;
        match &mut self.last {
            Some((last, known, at)) if counter == *last && known == sealed.ciphertext => {
                (*at, is_new) = (now, false);
            }
            Some((last, _, at)) if counter <= *last && !is_restart(now, *at, counter) => {
                return Err(Distrust::Replayed);
            }
            _ => self.last = Some((counter, sealed.ciphertext.to_vec(), now)),
        }
        Ok((objects, is_new))
    }

    fn decrypt(&self, sealed: &Sealed<'_>) -> Option<Vec<u8>> {
        let service = u16::try_from(SERVICE.0 >> 96).ok()?.to_le_bytes();
        let mut nonce = [0; 13];
        let parts = self.mac.0.iter().chain(&service).chain([&sealed.info]).chain(&sealed.counter);
        nonce.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
        let mut objects = sealed.ciphertext.to_vec();
        let cipher = Cipher::new_from_slice(&self.key.0).ok()?;
        let opened = cipher.decrypt_inout_detached(
            &nonce.into(),
            &[],
            objects.as_mut_slice().into(),
            &sealed.mic.into(),
        );
        opened.ok().map(|()| objects)
    }
}

/// A word as a device makes it.
#[cfg(test)]
pub(super) fn sealed(key: &[u8], mac: Mac, objects: &[u8], counter: u32) -> Vec<u8> {
    let key = BindKey::parse(key).expect("a key");
    let mut nonce = [0; 13];
    nonce[..6].copy_from_slice(&mac.0);
    nonce[6..9].copy_from_slice(&[0xd2, 0xfc, 0x41]);
    nonce[9..].copy_from_slice(&counter.to_le_bytes());
    let mut objects = objects.to_vec();
    let cipher = Cipher::new_from_slice(&key.0).expect("a key");
    let tag = cipher
        .encrypt_inout_detached(&nonce.into(), &[], objects.as_mut_slice().into())
        .expect("it is short");
    [&[0x41][..], &objects, &counter.to_le_bytes(), &tag].concat()
}

#[cfg(test)]
mod tests {
    use usp_mapping::ble::bthome::Payload;

    use super::*;

    /// The example of the page: address 5448E68F80A5, temperature 25.06, humidity 50.55, counter 00112233.
    const KEY: &[u8] = b"231d39c1d7cc1ab1aee224cd096db932";
    const WORD: [u8; 15] =
        [0x41, 0xa4, 0x72, 0x66, 0xc9, 0x5f, 0x73, 0, 0x11, 0x22, 0x33, 0x78, 0x23, 0x72, 0x14];
    const OBJECTS: [u8; 6] = [2, 0xca, 9, 3, 0xbf, 0x13];
    const MAC: Mac = Mac([0x54, 0x48, 0xe6, 0x8f, 0x80, 0xa5]);

    fn opener(key: &[u8]) -> Opener {
        Opener::new(BindKey::parse(key).expect("a key"), MAC)
    }

    fn open(opener: &mut Opener, word: &[u8]) -> Result<Vec<u8>, Distrust> {
        open_at(opener, Instant::now(), word).map(|(objects, _)| objects)
    }

    fn open_at(opener: &mut Opener, now: Instant, word: &[u8]) -> Result<(Vec<u8>, bool), Distrust> {
        let Ok(Payload::Sealed(sealed)) = Payload::parse(word) else { panic!("it is encrypted") };
        opener.open(now, &sealed)
    }

    /// A word with a counter of its own.
    fn word(counter: u32) -> Vec<u8> {
        sealed(KEY, MAC, &OBJECTS, counter)
    }

    #[test]
    fn the_example_of_the_format_is_opened() {
        assert_eq!(open(&mut opener(KEY), &WORD), Ok(OBJECTS.to_vec()));
    }

    #[test]
    fn nothing_is_believed_that_was_not_made_with_the_key() {
        let wrong = open(&mut opener(b"231d39c1d7cc1ab1aee224cd096db933"), &WORD);
        assert_eq!(wrong, Err(Distrust::WrongKey));
        for at in 1..WORD.len() {
            let mut word = WORD;
            word[at] ^= 1;
            assert_eq!(open(&mut opener(KEY), &word), Err(Distrust::WrongKey), "byte {at}");
        }
        let mut another = opener(KEY);
        another.mac = Mac([0; 6]);
        assert_eq!(open(&mut another, &WORD), Err(Distrust::WrongKey), "of another device");
    }

    #[test]
    fn what_was_said_before_is_not_said_again() {
        let mut opener = opener(KEY);
        assert!(open(&mut opener, &word(7)).is_ok());
        assert!(open(&mut opener, &word(7)).is_ok(), "sent several times");
        assert!(open(&mut opener, &word(300)).is_ok(), "some were not heard");
        assert_eq!(open(&mut opener, &word(7)), Err(Distrust::Replayed));
        assert_eq!(open(&mut opener, &word(299)), Err(Distrust::Replayed));
        let mut forged = word(u32::MAX);
        forged[3] ^= 1;
        assert_eq!(open(&mut opener, &forged), Err(Distrust::WrongKey));
        assert!(open(&mut opener, &word(301)).is_ok(), "what is forged moves no counter");
    }

    #[test]
    fn a_new_battery_is_believed_after_a_silence() {
        let (mut opener, now) = (opener(KEY), Instant::now());
        let mut heard = |after: u64, counter| {
            open_at(&mut opener, now + Duration::from_secs(after), &word(counter)).map(|(_, is_new)| is_new)
        };
        assert_eq!(heard(0, 5000), Ok(true));
        assert_eq!(heard(5, 5000), Ok(false), "the same again");
        assert_eq!(heard(14, 3), Err(Distrust::Replayed), "it was heard nine seconds ago");
        assert_eq!(heard(15, 4000), Err(Distrust::Replayed), "that is no beginning");
        assert_eq!(heard(15, 4), Ok(true));
        assert_eq!(heard(16, 5), Ok(true));
        assert_eq!(heard(16, 4), Err(Distrust::Replayed));
    }

    #[test]
    fn a_key_is_shown_nowhere() {
        let opener = opener(KEY);
        let shown = format!("{opener:?}").to_lowercase();
        assert!(!shown.contains("231d39") && !shown.contains("35, 29"), "{shown}");
        for wrong in
            [&b"231d"[..], b"", b"231d39c1d7cc1ab1aee224cd096db93g", b"231d39c1d7cc1ab1aee224cd096db93200"]
        {
            let why = BindKey::parse(wrong).unwrap_err();
            assert!(!why.contains("231d"));
        }
    }
}
