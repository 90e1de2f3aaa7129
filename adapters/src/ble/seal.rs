//! Encrypted advertisements of BTHome: AES-CCM with a counter that never goes back.
//!
//! Source: <https://bthome.io/encryption>. The nonce is made of the device's address, the service, the device information
//! byte and the counter, so that nothing of another device can be taken for a word of this one.
//!
//! A device with a new battery, or one that was restarted, may count from the beginning, and would never be heard again. Anybody may
//! also send once more what it said long ago, and nothing in a word tells the one from the other. So a counter that went back is
//! believed when it has gone on growing from there for [`RESTART`], in words of which none is among the last [`HEARD`] ones that
//! were believed, and when nothing of the former count was heard meanwhile. Until then it is a fault, which says so. After a
//! restart words of the former count are greater than those of the device: a counter that jumps by more than [`LOST`] while
//! there may be such words is taken as one that went back. The last word may be said again, for [`REPEATS`].
//!
//! What that does not keep out: somebody who has recorded words that are older than those, keeps the device from being heard or
//! finds it silent for so long, as contacts and buttons are, and plays them in their order. What is remembered lives as long as
//! the site's entry of the device does in this process and is never written to a disk: so the first word after a start is
//! believed whatever its counter is, and one that was recorded before may be taken for it.

use std::collections::VecDeque;
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

/// A counter that went back is believed when it has gone on from there for so long.
pub(super) const RESTART: Duration = Duration::from_secs(10);

/// So many words are known again.
const HEARD: usize = 64;

/// So many words in a row may be lost after a restart without a doubt. If more are, it costs [`RESTART`].
const LOST: u32 = 8;

/// A word is that of a device which is there for so long after it was first heard: devices say each several times, and some
/// the last one until there is another.
pub(super) const REPEATS: Duration = Duration::from_secs(15 * 60);

/// Why a word is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Distrust {
    /// It was not made with this key.
    WrongKey,
    /// It is another one than the last, and was heard before.
    Replayed,
    /// It is the last one, which was first heard [`REPEATS`] ago.
    Repeated,
    /// Its counter is not greater than that of an older word, or so much greater that it may be of a former count.
    WentBack {
        /// That of the older word.
        from: u32,
        /// Where it began anew: the reason stays the same while it goes on.
        to: u32,
    },
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongKey => f.write_str("it cannot be decrypted with the key of this device"),
            Self::Replayed => f.write_str("it was heard before: somebody repeats what the device said"),
            Self::Repeated => write!(
                f,
                "it says the same word for more than {} min: somebody may repeat what the device said",
                REPEATS.as_secs() / 60
            ),
            Self::WentBack { from, to } if to > from => write!(
                f,
                "its counter jumped from {from} to {to} after a restart: it is believed when it has gone on so for {} s; or somebody \
                 repeats what it said",
                RESTART.as_secs()
            ),
            Self::WentBack { from, to } => write!(
                f,
                "its counter went back from {from} to {to}: it was restarted, as by a new battery, and is believed when it has gone on \
                 so for {} s; or somebody repeats what it said",
                RESTART.as_secs()
            ),
        }
    }
}

/// What is new in a word that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It is another word than the last one.
    New,
    /// It is the last one again.
    Same,
    /// The counter that went back is believed from this word on.
    Restarted,
}

/// What is known again of a word: its counter, and what authenticates it.
type Trace = (u32, [u8; 4]);

/// The last word that was believed.
#[derive(Clone, Copy, Debug)]
struct Last {
    word: Trace,
    /// When it was first heard.
    since: Instant,
}

/// A counter that went back, as long as nothing of the former one is heard.
#[derive(Clone, Copy, Debug)]
struct Restart {
    since: Instant,
    first: u32,
    last: Trace,
}

/// What opens the words of one device.
#[derive(Debug)]
pub(super) struct Opener {
    key: BindKey,
    mac: Mac,
    /// Of this count none has a greater counter.
    last: Option<Last>,
    /// The greatest counter before a restart, as long as it was not passed.
    former: Option<u32>,
    /// The last words that were believed. What is not must not push them out.
    heard: VecDeque<Trace>,
    restart: Option<Restart>,
}

impl Opener {
    /// Nothing was heard yet.
    pub(super) fn new(key: BindKey, mac: Mac) -> Self {
        Self { key, mac, last: None, former: None, heard: VecDeque::new(), restart: None }
    }

    /// Whether this is the key that it has.
    pub(super) fn has(&self, key: &BindKey) -> bool {
        self.key == *key
    }

    /// The objects of a word, and what is new in it. The same word again is what it was.
    ///
    /// Errors: it is not believed. A word that was not made with the key does not move the counter.
    pub(super) fn open(&mut self, now: Instant, sealed: &Sealed<'_>) -> Result<(Vec<u8>, News), Distrust> {
        let objects = self.decrypt(sealed).ok_or(Distrust::WrongKey)?;
        let word = (u32::from_le_bytes(sealed.counter), sealed.mic);
        Ok((objects, self.judge(now, word)?))
    }

    fn judge(&mut self, now: Instant, word: Trace) -> Result<News, Distrust> {
        let news = match self.last {
            Some(last) if word == last.word => return self.says_again(now, last),
            Some(last) if word.0 <= last.word.0 || self.jumps(last.word.0, word.0) => {
                self.goes_back(now, word, last.word.0)?;
                self.former = self.former.max(Some(last.word.0));
                News::Restarted
            }
            _ if self.heard.contains(&word) => return Err(Distrust::Replayed),
            _ => News::New,
        };
        self.former = self.former.filter(|former| *former > word.0);
        (self.last, self.restart) = (Some(Last { word, since: now }), None);
        self.remember(word);
        Ok(news)
    }

    /// The last word again, which shows that the device is there and goes on.
    ///
    /// Errors: it does so for too long.
    fn says_again(&mut self, now: Instant, last: Last) -> Result<News, Distrust> {
        if now.saturating_duration_since(last.since) > REPEATS {
            return Err(Distrust::Repeated);
        }
        self.restart = None;
        Ok(News::Same)
    }

    /// Whether a greater counter may be one of before a restart.
    fn jumps(&self, from: u32, to: u32) -> bool {
        self.former.is_some_and(|former| to <= former) && to.saturating_sub(from) > LOST
    }

    /// The counter is not greater than one before, or may be of before a restart.
    ///
    /// Errors: it is not believed yet.
    fn goes_back(&mut self, now: Instant, word: Trace, from: u32) -> Result<(), Distrust> {
        let is_known = self.heard.contains(&word);
        let to = match &mut self.restart {
            Some(restart) if restart.last == word => restart.first,
            _ if is_known => return Err(Distrust::Replayed),
            Some(restart) if word.0 > restart.last.0 => {
                restart.last = word;
                if now.saturating_duration_since(restart.since) >= RESTART {
                    return Ok(());
                }
                restart.first
            }
            restart => {
                *restart = Some(Restart { since: now, first: word.0, last: word });
                word.0
            }
        };
        Err(Distrust::WentBack { from, to })
    }

    fn remember(&mut self, word: Trace) {
        if self.heard.len() == HEARD {
            self.heard.pop_front();
        }
        self.heard.push_back(word);
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

    fn open_at(opener: &mut Opener, now: Instant, word: &[u8]) -> Result<(Vec<u8>, News), Distrust> {
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
        assert_eq!(open(&mut opener, &word(299)), Err(Distrust::WentBack { from: 300, to: 299 }));
        let mut forged = word(u32::MAX);
        forged[3] ^= 1;
        assert_eq!(open(&mut opener, &forged), Err(Distrust::WrongKey));
        assert!(open(&mut opener, &word(301)).is_ok(), "what is forged moves no counter");
    }

    /// An opener, and when it was made.
    struct Hearing(Opener, Instant);

    impl Hearing {
        fn new() -> Self {
            Self(opener(KEY), Instant::now())
        }

        /// So many seconds after it began.
        fn hears(&mut self, after: u64, counter: u32) -> Result<News, Distrust> {
            let now = self.1 + Duration::from_secs(after);
            open_at(&mut self.0, now, &word(counter)).map(|(_, news)| news)
        }
    }

    fn back(from: u32, to: u32) -> Result<News, Distrust> {
        Err(Distrust::WentBack { from, to })
    }

    /// Wherever it begins: what counts from the beginning may have been heard late, or go on from what it once wrote down.
    #[test]
    fn a_device_that_was_restarted_is_believed_when_it_has_gone_on_for_ten_seconds() {
        for began in [0, 257, 4000] {
            let mut hearing = Hearing::new();
            assert_eq!(hearing.hears(0, 5000), Ok(News::New));
            assert_eq!(hearing.hears(1, 5000), Ok(News::Same));
            for after in 0..10 {
                let counter = began + u32::try_from(after).unwrap();
                assert_eq!(hearing.hears(2 + after, counter), back(5000, began));
            }
            assert_eq!(hearing.hears(12, began + 9), back(5000, began), "that is no other word");
            assert_eq!(hearing.hears(12, began + 10), Ok(News::Restarted));
            assert_eq!(hearing.hears(13, began + 11), Ok(News::New));
            assert_eq!(hearing.hears(14, began + 11), Ok(News::Same));
        }
    }

    /// One that speaks seldom is believed by its second word.
    #[test]
    fn two_words_are_enough_when_they_are_apart() {
        let mut hearing = Hearing::new();
        assert_eq!(hearing.hears(0, 5000), Ok(News::New));
        assert_eq!(hearing.hears(600, 1), back(5000, 1));
        assert_eq!(hearing.hears(660, 2), Ok(News::Restarted));
    }

    #[test]
    fn what_was_heard_before_restarts_nothing() {
        let mut hearing = Hearing::new();
        for counter in 4000..4010 {
            assert_eq!(hearing.hears(0, counter), Ok(News::New));
        }
        for after in 0..30 {
            let said = hearing.hears(after, 4000 + u32::try_from(after % 9).unwrap());
            assert_eq!(said, Err(Distrust::Replayed));
        }
        // Nor does it keep one from being believed that was.
        assert_eq!(hearing.hears(40, 7), back(4009, 7));
        assert_eq!(hearing.hears(45, 4003), Err(Distrust::Replayed));
        assert_eq!(hearing.hears(50, 8), Ok(News::Restarted));
        assert!(hearing.0.heard.len() <= HEARD);
    }

    /// Whoever plays old words while the device is there is not believed: it goes on counting, or says the last word again.
    #[test]
    fn nothing_restarts_while_the_device_goes_on() {
        let mut hearing = Hearing::new();
        assert_eq!(hearing.hears(0, 5000), Ok(News::New));
        for round in 0..20 {
            let counter = 10 + u32::try_from(round).unwrap();
            assert_eq!(hearing.hears(6 * round, counter), back(5000, counter));
            assert_eq!(hearing.hears(6 * round + 1, 5000), Ok(News::Same));
        }
        assert_eq!(hearing.hears(130, 50), back(5000, 50));
        assert_eq!(hearing.hears(135, 5001), Ok(News::New));
        assert_eq!(hearing.hears(141, 51), back(5001, 51));
    }

    /// What was said before a restart has greater counters than what is said after it.
    #[test]
    fn after_a_restart_nothing_of_before_is_believed() {
        let mut hearing = Hearing::new();
        for counter in 4000..=5000 {
            assert_eq!(hearing.hears(0, counter), Ok(News::New));
        }
        assert_eq!(hearing.hears(1, 0), back(5000, 0));
        assert_eq!(hearing.hears(11, 1), Ok(News::Restarted));
        assert_eq!(hearing.hears(12, 5000), Err(Distrust::Replayed));
        for after in 0..60 {
            let old = 4000 + u32::try_from(after).unwrap();
            let own = 2 + u32::try_from(after).unwrap();
            assert!(matches!(hearing.hears(13 + after, old), Err(Distrust::WentBack { .. })), "{old}");
            assert_eq!(hearing.hears(13 + after, own), Ok(News::New));
        }
        // Few are lost without a doubt, for more it has to go on; what is greater than all before is new.
        assert_eq!(hearing.hears(80, 61 + LOST), Ok(News::New));
        assert_eq!(hearing.hears(90, 200), back(61 + LOST, 200));
        assert_eq!(hearing.hears(100, 201), Ok(News::Restarted));
        assert_eq!(hearing.hears(101, 6000), Ok(News::New));
        assert_eq!(hearing.hears(102, 7000), Ok(News::New));
    }

    /// What is not believed makes room for no word that was.
    #[test]
    fn old_words_do_not_make_others_forgotten() {
        let mut hearing = Hearing::new();
        for counter in 4000..4010 {
            assert_eq!(hearing.hears(0, counter), Ok(News::New));
        }
        for counter in (0..200).rev() {
            assert_eq!(hearing.hears(1, counter), back(4009, counter));
        }
        assert_eq!(hearing.hears(20, 4008), Err(Distrust::Replayed));
    }

    #[test]
    fn the_last_word_is_said_again_for_a_time() {
        let mut hearing = Hearing::new();
        assert_eq!(hearing.hears(0, 5000), Ok(News::New));
        assert_eq!(hearing.hears(REPEATS.as_secs(), 5000), Ok(News::Same));
        assert_eq!(hearing.hears(REPEATS.as_secs() + 1, 5000), Err(Distrust::Repeated));
        // Nor does it keep the device from being believed then.
        assert_eq!(hearing.hears(1000, 0), back(5000, 0));
        assert_eq!(hearing.hears(1005, 5000), Err(Distrust::Repeated));
        assert_eq!(hearing.hears(1010, 1), Ok(News::Restarted));
    }

    /// Another restart, or somebody else's words: it has to grow.
    #[test]
    fn a_counter_that_goes_back_again_begins_anew() {
        let mut hearing = Hearing::new();
        assert_eq!(hearing.hears(0, 5000), Ok(News::New));
        assert_eq!(hearing.hears(1, 300), back(5000, 300));
        assert_eq!(hearing.hears(9, 20), back(5000, 20));
        assert_eq!(hearing.hears(12, 21), back(5000, 20));
        assert_eq!(hearing.hears(19, 22), Ok(News::Restarted));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut hearing = Hearing::new();
        for counter in 0..10_000 {
            assert_eq!(hearing.hears(0, counter), Ok(News::New));
        }
        assert_eq!(hearing.0.heard.len(), HEARD);
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
