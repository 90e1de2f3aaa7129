//! What is heard of one device: its words opened, repetitions known, and its silence.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{Instant as TokioInstant, sleep_until};
use usp_mapping::ble::bthome::{Payload, SERVICE, packet_id};
use usp_mapping::mapping::{BleAddress, BleConnect, BleSource, Device, DeviceAddress, SecretRef};
use usp_mapping::port::DeviceFault;

use crate::bus::BusPlan;
use crate::bus::ear::{Ear, LinkState, Mark, Said, SharedEar};
use crate::bus::mailbox::Mailbox;
use crate::secret;

use super::board::{Listener, Spoken, now};
use super::model::{Word, options, reason};
use super::seal::{BindKey, Distrust, News, Opener};

/// The same data without a packet identifier are another occurrence when they come after such a pause.
pub(super) const PAUSE: Duration = Duration::from_secs(5);

/// A key that cannot be read, or that is not the device's, is looked for again after this time.
const KEY_AGAIN: Duration = Duration::from_secs(10);

/// A counter that goes back is warned of, and not again before this time.
const WARN_AGAIN: Duration = Duration::from_secs(3600);

/// Hears what a device says, and that it says nothing.
pub(crate) struct BleEar {
    shared: SharedEar<Spoken>,
    listener: Option<Arc<Listener>>,
    plan: watch::Receiver<Arc<BusPlan>>,
    /// What was taken out of the mailbox and is not understood yet.
    pending: Option<Word>,
    sense: Sense,
    /// Why what was heard last of it is not believed.
    distrust: Option<String>,
    /// When it will have been silent for too long.
    silent_at: Option<Instant>,
}

impl BleEar {
    pub(super) fn new(
        link: watch::Receiver<LinkState>,
        listener: Option<Arc<Listener>>,
        plan: watch::Receiver<Arc<BusPlan>>,
    ) -> Self {
        let none = || Arc::new(Mailbox::new(Arc::default()));
        let letters = listener.as_ref().map_or_else(none, |listener| Arc::clone(&listener.letters));
        let shared = SharedEar::new(link, letters);
        Self {
            shared,
            listener,
            plan,
            pending: None,
            sense: Sense::default(),
            distrust: None,
            silent_at: None,
        }
    }

    fn device(&self) -> Option<Arc<Device>> {
        self.plan.borrow().devices.first().map(Arc::clone)
    }

    /// How long it may be silent; one that is to be connected all the time is watched by that.
    fn patience(&self) -> Option<Duration> {
        let device = self.device()?;
        let options = options(&device.mapping)?;
        options.patience().filter(|_| options.connect != BleConnect::Keep)
    }

    fn begin(&mut self) {
        self.silent_at = self.patience().map(|patience| now() + patience);
    }

    /// Its time is over: whether it was silent for all of it. Who is connected does not advertise.
    fn is_silent(&mut self) -> bool {
        let Some(patience) = self.patience() else { return false };
        let Some(listener) = &self.listener else { return false };
        let contact = if listener.is_connected() { Some(now()) } else { listener.contact() };
        let until = contact.map(|at| at + patience).filter(|at| *at > now());
        // It is told once, until the device is heard again.
        self.silent_at = until;
        until.is_none()
    }

    /// What a word says; `None`: the key of the device has to be read first.
    fn understood(&mut self, word: Word) -> Option<Word> {
        match self.device() {
            Some(device) => self.sense.understand(now(), &device, word),
            None => Some(word),
        }
    }

    /// What shows that it is there begins its silence anew. What is not made with the key of a device that has one does not:
    /// anybody can say it.
    fn believe(&mut self, word: &Word) {
        let device = self.device();
        let options = device.as_ref().and_then(|device| options(&device.mapping));
        let is_only_heard = options.is_some_and(|options| options.connect == BleConnect::Never);
        let is_sealed = device
            .as_ref()
            .is_some_and(|device| matches!(&device.address, DeviceAddress::Ble(it) if it.key.is_some()));
        match word {
            Word::Unusable(_, fault) => {
                self.distrust = Some(reason(fault));
                return;
            }
            // Who is only heard says nothing then, and that is known; who can be asked may be there all the same.
            Word::Unheard(_) if is_only_heard => {
                self.silent_at = None;
                return;
            }
            Word::Audible if is_only_heard => return self.begin(),
            Word::Unheard(_) | Word::Audible => return,
            Word::Rssi(_) if is_sealed => return,
            Word::Advert { source, .. } if is_sealed && *source != BleSource::ServiceData(SERVICE) => return,
            _ => {}
        }
        if let (Word::Advert { .. }, Some(listener)) = (word, &self.listener) {
            listener.is_there();
        }
        self.distrust = None;
        self.begin();
    }

    fn take_in(&mut self, word: Word) -> Option<Said<Word>> {
        match self.understood(word.clone()) {
            Some(word) => {
                self.believe(&word);
                Some(Said::Word(word))
            }
            None => {
                self.pending = Some(word);
                None
            }
        }
    }
}

impl Ear for BleEar {
    type Word = Word;

    fn hear_before(&mut self, mark: Mark) -> Option<Said<Word>> {
        if self.pending.is_some() {
            return None;
        }
        match self.shared.hear_before(mark)? {
            Said::Word(spoken) => self.take_in(spoken.word),
            Said::LinkUp => Some(Said::LinkUp),
            Said::LinkDown(cause) | Said::LinkRefused(cause) => Some(Said::LinkDown(cause)),
            Said::Doubt => Some(Said::Doubt),
        }
    }

    async fn hear(&mut self) -> Said<Word> {
        loop {
            if let (Some(_), Some(device)) = (&self.pending, self.device()) {
                // Whoever stops waiting here finds the word again.
                self.sense.read_key(&device).await;
                if let Some(word) = self.pending.take().and_then(|word| self.understood(word)) {
                    self.believe(&word);
                    return Said::Word(word);
                }
            }
            let silent_at = self.silent_at;
            let silence = async {
                match silent_at {
                    Some(at) => sleep_until(TokioInstant::from_std(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                said = self.shared.hear() => match said {
                    Said::Word(spoken) => {
                        if let Some(said) = self.take_in(spoken.word) {
                            return said;
                        }
                    }
                    Said::LinkUp => {
                        self.begin();
                        return Said::LinkUp;
                    }
                    Said::LinkDown(cause) | Said::LinkRefused(cause) => {
                        self.silent_at = None;
                        return Said::LinkDown(cause);
                    }
                    Said::Doubt => return Said::Doubt,
                },
                () = silence => {
                    if self.is_silent() {
                        let patience = self.patience().unwrap_or_default();
                        return Said::Word(Word::Silent(patience, self.distrust.take()));
                    }
                }
            }
        }
    }
}

/// Data without encryption, and what is new in them.
type Opened = Result<(Vec<u8>, News), Mistrust>;

/// Why data of a device that has a key are not used.
enum Mistrust {
    /// There is no key, or they are not encrypted.
    Fault(DeviceFault),
    /// They are not believed.
    Word(Distrust),
}

/// What makes words of a device out of what it advertises.
#[derive(Debug, Default)]
struct Sense {
    /// Whose key was read, what became of that, and when.
    key: Option<(BleAddress, Result<Opener, DeviceFault>, Instant)>,
    /// The last data of each kind, and when they were heard last.
    last: BTreeMap<BleSource, (Instant, Vec<u8>)>,
    /// When a counter that went back was warned of.
    warned: Option<Instant>,
}

impl Sense {
    /// What a word says; `None`: the key of the device has to be read first.
    fn understand(&mut self, now: Instant, device: &Device, word: Word) -> Option<Word> {
        let Word::Advert { source, data, .. } = word else { return Some(word) };
        let DeviceAddress::Ble(address) = &device.address else { return None };
        let opened = match &address.key {
            Some(key) if source == BleSource::ServiceData(SERVICE) => {
                let opened = self.opened(now, address, key, &data)?;
                self.tell_of_counter(now, device, &opened);
                opened.map(|(data, news)| (data, Some(news))).map_err(|why| match why {
                    Mistrust::Fault(fault) => fault,
                    Mistrust::Word(why) => DeviceFault::Garbled(why.to_string()),
                })
            }
            _ => Ok((data, None)),
        };
        Some(match opened {
            Ok((data, news)) => {
                let repeated = self.is_repeated(now, &source, &data, news);
                Word::Advert { source, data, repeated }
            }
            Err(fault) => Word::Unusable(source, fault),
        })
    }

    /// The log says once that a counter went back, and when it is believed.
    fn tell_of_counter(&mut self, now: Instant, device: &Device, opened: &Opened) {
        let device = &device.id;
        match opened {
            Ok((_, News::Restarted)) => {
                self.warned = None;
                tracing::info!(%device, "its counter goes on from where it went back to, and is believed");
            }
            Err(Mistrust::Word(why @ Distrust::WentBack { .. }))
                if self.warned.is_none_or(|at| now.saturating_duration_since(at) >= WARN_AGAIN) =>
            {
                self.warned = Some(now);
                tracing::warn!(%device, %why, "what it says is not believed");
            }
            _ => {}
        }
    }

    /// Whether data are about the same occurrence as the last ones; `news`: what an encrypted word says of that. A word by which
    /// a counter is believed that went back is about none: who has recorded it may play it at any time.
    fn is_repeated(&mut self, now: Instant, source: &BleSource, data: &[u8], news: Option<News>) -> bool {
        let before = self.last.insert(source.clone(), (now, data.to_vec()));
        let counted = match Payload::parse(data) {
            Ok(Payload::Plain(objects)) if *source == BleSource::ServiceData(SERVICE) => packet_id(objects),
            _ => None,
        };
        let is_same = before.as_ref().is_some_and(|(_, known)| known == data);
        let is_soon = before.is_some_and(|(at, _)| now - at < PAUSE);
        if news == Some(News::Restarted) {
            return true;
        }
        is_same && (counted.is_some() || news.map_or(is_soon, |news| news == News::Same))
    }

    /// Data of BTHome without the encryption that they have to have.
    fn opened(&mut self, now: Instant, address: &BleAddress, key: &SecretRef, data: &[u8]) -> Option<Opened> {
        let (known, opener, at) = self.key.as_mut()?;
        if known != address || opener.is_err() && now - *at >= KEY_AGAIN {
            return None;
        }
        let opener = match opener {
            Ok(opener) => opener,
            Err(fault) => return Some(Err(Mistrust::Fault(fault.clone()))),
        };
        let garbled = |why: String| Some(Err(Mistrust::Fault(DeviceFault::Garbled(why))));
        match Payload::parse(data) {
            Ok(Payload::Sealed(sealed)) => match opener.open(now, &sealed) {
                // It may have been mended where it is kept.
                Err(Distrust::WrongKey) if now - *at >= KEY_AGAIN => None,
                Ok((objects, news)) => Some(Ok(([&[sealed.info & !1][..], &objects].concat(), news))),
                Err(why) => Some(Err(Mistrust::Word(why))),
            },
            Ok(Payload::Plain(_)) => garbled(format!(
                "it is not encrypted, though the device has a key ({key}): anybody could have said it"
            )),
            Err(why) => garbled(why.to_owned()),
        }
    }

    /// Reads the key of a device. One that is still the same, or cannot be read any more, goes on with what was said before, so
    /// that nobody can make that be forgotten.
    async fn read_key(&mut self, device: &Device) {
        let DeviceAddress::Ble(address) = &device.address else { return };
        let Some(place) = &address.key else { return };
        let read = match secret::read(place).await {
            Ok(secret) => {
                BindKey::parse(&secret.0).map_err(|why| format!("the key in {place} is none: {why}"))
            }
            Err(why) => Err(why),
        };
        match (&mut self.key, &read) {
            (Some((known, Ok(opener), at)), read)
                if known == address && read.as_ref().map_or(true, |key| opener.has(key)) =>
            {
                *at = now();
            }
            _ => {
                let opener = read.map(|key| Opener::new(key, address.mac)).map_err(DeviceFault::Garbled);
                self.key = Some((address.clone(), opener, now()));
            }
        }
    }
}
