//! A coordinator that is none: it holds a network, and two devices that answer as they are told. Frames are written here by
//! hand, so that what the host makes of them is not checked by itself.

use std::collections::BTreeMap;
use std::fmt;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use crate::zigbee::link::Open;
use crate::zigbee::ncp::{
    Answer, Aps, Backup, Coordinator, Ieee, Key, Message, NcpEvent, NcpFault, NcpInfo, NcpKind, Network,
    NewNetwork, To, Undelivered,
};

/// A plug that is awake.
pub(super) const PLUG: Ieee = Ieee(0x0015_8d00_0000_0001);
/// A sensor that sleeps.
pub(super) const SENSOR: Ieee = Ieee(0x0015_8d00_0000_0002);

const OWN: Ieee = Ieee(0x0012_4b00_1234_5678);

/// What there is, and what became of it.
#[derive(Debug, Default)]
pub(super) struct Stick {
    pub(super) held: Option<Backup>,
    /// It logs the key of the network that it forms.
    pub(super) leaks: bool,
    /// What it was told to do.
    pub(super) done: Vec<&'static str>,
    pub(super) is_open: Duration,
    /// So often each question is lost before it is answered.
    pub(super) loses: u32,
    lost: BTreeMap<(Ieee, u16, u16), u32>,
    pub(super) is_asleep: bool,
    /// To whom messages went that were not asked for in time, and most of them that waited for that at a time.
    pub(super) missed: Vec<Ieee>,
    pub(super) most_waiting: u32,
    waiting: u32,
    /// The plug has no power.
    pub(super) is_cut_off: bool,
    /// Messages that were sent to the plug.
    pub(super) sent: u32,
    pub(super) is_on: bool,
    pub(super) lies: bool,
    pub(super) refuses: Option<u8>,
    /// It says nothing to what is asked of its Basic cluster.
    pub(super) is_nameless: bool,
    /// How often that was asked.
    pub(super) names_asked: u32,
    /// Nothing can be reported.
    pub(super) refuses_reports: bool,
    /// Its table of bindings is full.
    pub(super) refuses_bindings: bool,
    /// What the plug answers to commands of clusters, by cluster and command: frame control, and what follows the number.
    pub(super) answers: BTreeMap<(u16, u8), (u8, Vec<u8>)>,
    /// What is sent gets nowhere, and nobody says so.
    pub(super) is_stuck: bool,
    /// The plug says what it was, just before it answers.
    pub(super) bursts: bool,
    /// How long answers of the plug take.
    pub(super) delay: Duration,
    /// Commands to the plug.
    pub(super) commands: Vec<u8>,
    /// Reads of the plug.
    pub(super) asked: u32,
    /// How much longer answers to reads of those that sleep take.
    pub(super) read_delay: Duration,
    /// Reads of those that sleep.
    pub(super) read_sleepers: u32,
    pub(super) offset: i16,
    /// What becomes of messages to those that sleep; and whether they are received all the same, and not answered.
    pub(super) fate: Option<(Undelivered, bool)>,
    /// A write of those that sleep is answered and not done, and they sleep once they were read.
    pub(super) is_frozen: bool,
    pub(super) offset_writes: u32,
    set_up: BTreeMap<Ieee, Vec<String>>,
    addresses: BTreeMap<u16, Ieee>,
    /// To whom something was sent while it was stuck.
    pub(super) reached: Vec<u64>,
    events: Option<mpsc::Sender<NcpEvent>>,
}

impl Stick {
    pub(super) fn blank() -> Self {
        Self::default()
    }

    pub(super) fn with_network(ext_pan_id: u64) -> Self {
        Self { held: Some(backup(0x2222, Ieee(ext_pan_id), Key([7; 16]))), ..Self::default() }
    }

    /// How a device was set up.
    pub(super) fn set_up(&self, ieee: Ieee) -> Vec<String> {
        self.set_up.get(&ieee).cloned().unwrap_or_default()
    }
}

fn backup(pan_id: u16, ext_pan_id: Ieee, key: Key) -> Backup {
    Backup {
        ieee: OWN,
        network: Network { pan_id, ext_pan_id, channel: 15, update_id: 0 },
        key,
        key_sequence: 0,
        frame_counter: 1000,
        tc_link_key: Key([0x5a; 16]),
        tc_seed: None,
        link_keys: Vec::new(),
    }
}

/// The stick, as often as it is opened.
pub(super) struct StickBox {
    stick: Mutex<Stick>,
    info: NcpInfo,
    news: Notify,
}

impl fmt::Debug for StickBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StickBox(…)")
    }
}

/// Opens it.
pub(super) fn opener(stick: &Arc<StickBox>) -> Open {
    let stick = Arc::clone(stick);
    Arc::new(move |_, events| {
        stick.stick().events = Some(events);
        Box::pin(ready(Ok(Arc::new(Handle(Arc::clone(&stick))) as Arc<dyn Coordinator>)))
    })
}

/// One opening of it.
#[derive(Debug)]
struct Handle(Arc<StickBox>);

impl StickBox {
    pub(super) fn with(stick: Stick) -> Arc<Self> {
        let info = NcpInfo { kind: NcpKind::Znp, ieee: OWN, firmware: "test".to_owned() };
        Arc::new(Self { stick: Mutex::new(stick), info, news: Notify::new() })
    }

    pub(super) fn stick(&self) -> MutexGuard<'_, Stick> {
        self.stick.lock().unwrap()
    }

    /// How often the plug was read, and how many messages were sent to it.
    pub(super) fn counts(&self) -> (u32, u32) {
        let stick = self.stick();
        (stick.asked, stick.sent)
    }

    async fn wait(&self, is: impl Fn(&Stick) -> bool) {
        loop {
            let news = self.news.notified();
            if is(&self.stick()) {
                return;
            }
            tokio::select! {
                () = news => {}
                () = tokio::time::sleep(Duration::from_millis(10)) => {}
            }
        }
    }

    /// Waits until its network was brought up and looked at.
    pub(super) async fn wait_up(&self) {
        self.wait(|stick| stick.held.is_some() && stick.done.last() == Some(&"backup")).await;
        // What was kept of it is written, and the network is used.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    pub(super) async fn wait_open(&self) {
        self.wait(|stick| !stick.is_open.is_zero()).await;
    }

    pub(super) fn says(&self, event: NcpEvent) {
        let events = self.stick().events.clone().unwrap();
        events.try_send(event).unwrap();
    }

    /// A device is at this address, and has been all the time.
    pub(super) fn is_at(&self, ieee: Ieee, nwk: u16) {
        self.stick().addresses.insert(nwk, ieee);
    }

    pub(super) fn joins(&self, ieee: Ieee) {
        let nwk = 0x1000 + u16::try_from(ieee.0 & 0xff).unwrap();
        self.stick().addresses.insert(nwk, ieee);
        self.says(NcpEvent::Joined { ieee, nwk, parent: None });
    }

    /// The device announces itself from another address.
    pub(super) fn rejoins(&self, ieee: Ieee, nwk: u16) {
        let mut stick = self.stick();
        stick.addresses.retain(|_, known| *known != ieee);
        stick.addresses.insert(nwk, ieee);
        drop(stick);
        let mut payload = vec![0x81];
        payload.extend(nwk.to_le_bytes());
        payload.extend(ieee.0.to_le_bytes());
        payload.push(0x8e);
        self.message(nwk, (0, 0x0013, 0), payload);
    }

    /// The sleeping device wakes up and reports something.
    pub(super) fn wakes(&self, ieee: Ieee) {
        let mut stick = self.stick();
        stick.is_asleep = false;
        let (nwk, [low, high]) = (address(&stick, ieee), stick.offset.to_le_bytes());
        drop(stick);
        self.message(nwk, (0x0104, 0x0402, 1), vec![0x18, 0xfe, 0x0a, 0x10, 0x00, 0x29, low, high]);
    }

    /// The plug says what it is.
    pub(super) fn reports(&self, is_on: bool) {
        let nwk = address(&self.stick(), PLUG);
        self.message(nwk, (0x0104, 0x0006, 1), vec![0x18, 0xfc, 0x0a, 0, 0, 0x10, u8::from(is_on)]);
    }

    pub(super) fn message(&self, from: u16, (profile, cluster, endpoint): (u16, u16, u8), payload: Vec<u8>) {
        let message = Message {
            from,
            ieee: None,
            profile,
            cluster,
            src_endpoint: endpoint,
            dst_endpoint: u8::from(endpoint > 0),
            group: None,
            broadcast: false,
            payload,
            lqi: 200,
            rssi: Some(-50),
        };
        let events = self.stick().events.clone().unwrap();
        // Nobody may listen any more.
        events.try_send(NcpEvent::Message(std::boxed::Box::new(message))).ok();
    }

    /// A message waits in vain for a device that sleeps.
    async fn misses(&self, ieee: Ieee) -> Result<(), Undelivered> {
        {
            let mut stick = self.stick();
            stick.missed.push(ieee);
            stick.waiting += 1;
            stick.most_waiting = stick.most_waiting.max(stick.waiting);
        }
        tokio::time::sleep(Duration::from_secs(8)).await;
        self.stick().waiting -= 1;
        Err(Undelivered::Expired)
    }

    /// What a device does with a message; what it answers.
    fn takes(&self, ieee: Ieee, message: &Aps) -> Option<Vec<u8>> {
        let mut stick = self.stick();
        let own = message.payload.get(2).copied().unwrap_or_default();
        let key = (ieee, message.cluster, u16::from(own) << 8 | message.profile & 0xff);
        let loses = stick.loses;
        let lost = stick.lost.entry(key).or_default();
        if *lost < loses {
            *lost += 1;
            return None;
        }
        if message.profile == 0 {
            object(&mut stick, ieee, message)
        } else {
            cluster(&mut stick, ieee, message)
        }
    }
}

fn address(stick: &Stick, ieee: Ieee) -> u16 {
    *stick.addresses.iter().find(|(_, known)| **known == ieee).unwrap().0
}

/// The device object's answers.
fn object(stick: &mut Stick, ieee: Ieee, message: &Aps) -> Option<Vec<u8>> {
    let [low, high] = address(stick, ieee).to_le_bytes();
    let number = message.payload[0];
    let is_plug = ieee == PLUG;
    Some(match message.cluster {
        0x0002 if is_plug => {
            vec![number, 0, low, high, 0x01, 0x40, 0x8e, 0x34, 0x12, 0x52, 0, 0, 0, 0x2c, 0, 0, 0]
        }
        0x0002 => vec![number, 0, low, high, 0x02, 0x40, 0x80, 0x34, 0x12, 0x52, 0, 0, 0, 0x2c, 0, 0, 0],
        0x0005 => vec![number, 0, low, high, 1, 1],
        0x0004 => {
            let own: u16 = if is_plug { 0x0006 } else { 0x0402 };
            let [first, second] = own.to_le_bytes();
            vec![number, 0, low, high, 12, 1, 0x04, 0x01, 0x51, 0, 1, 2, 0, 0, first, second, 0]
        }
        0x0021 => {
            let cluster = u16::from_le_bytes([message.payload[10], message.payload[11]]);
            let what = format!("bind {}/{cluster:04x}", message.payload[9]);
            stick.set_up.entry(ieee).or_default().push(what);
            vec![number, if stick.refuses_bindings { 0x8c } else { 0 }]
        }
        0x0001 => {
            let address = ieee.0.to_le_bytes();
            [[number, 0].as_slice(), address.as_slice(), [low, high].as_slice()].concat()
        }
        0x0034 => vec![number, 0],
        _ => return None,
    })
}

/// The answer to a command that was told to be given; one with a manufacturer's code gets that back.
fn told(stick: &Stick, message: &Aps) -> Option<Vec<u8>> {
    let (control, rest) = message.payload.split_first()?;
    let (code, rest) = rest.split_at_checked(if control & 0x04 == 0 { 0 } else { 2 })?;
    let [number, command, ..] = rest else { return None };
    let (answer, said) = stick.answers.get(&(message.cluster, *command)).filter(|_| control & 0x03 == 1)?;
    Some([&[answer | control & 0x04], code, &[*number], said.as_slice()].concat())
}

/// A cluster's answers.
fn cluster(stick: &mut Stick, ieee: Ieee, message: &Aps) -> Option<Vec<u8>> {
    if let Some(answer) = told(stick, message) {
        return Some(answer);
    }
    let [control, number, command, rest @ ..] = message.payload.as_slice() else { return None };
    let state = u8::from(stick.is_on);
    let [low, high] = stick.offset.to_le_bytes();
    Some(match (control & 0x03, *command, message.cluster) {
        (0, 0x00, 0x0000) => {
            stick.names_asked += 1;
            if stick.is_nameless {
                return None;
            }
            names(*number, ieee, rest)
        }
        (0, 0x00, 0x0006) => {
            stick.asked += 1;
            vec![0x18, *number, 0x01, 0, 0, 0, 0x10, state]
        }
        (0, 0x00, 0x0402) => {
            stick.read_sleepers += 1;
            stick.is_asleep |= stick.is_frozen;
            vec![0x18, *number, 0x01, 0x10, 0, 0, 0x29, low, high]
        }
        (0, 0x02, 0x0402) => {
            stick.offset_writes += 1;
            if !stick.is_frozen {
                stick.offset = i16::from_le_bytes([rest[3], rest[4]]);
            }
            vec![0x18, *number, 0x04, 0]
        }
        (0, 0x06, of) => {
            let what = format!("report {}/{of:04x}", message.dst_endpoint);
            stick.set_up.entry(ieee).or_default().push(what);
            if stick.refuses_reports {
                // UNREPORTABLE_ATTRIBUTE, of the attribute that the first record is of.
                return Some(vec![0x18, *number, 0x07, 0x8c, 0, rest[1], rest[2]]);
            }
            vec![0x18, *number, 0x07, 0]
        }
        (1, command, 0x0006) => {
            stick.commands.push(command);
            if let Some(status) = stick.refuses {
                return Some(vec![0x18, *number, 0x0b, command, status]);
            }
            stick.is_on = if stick.lies { stick.is_on } else { command == 1 };
            vec![0x18, *number, 0x0b, command, 0]
        }
        _ => return None,
    })
}

fn names(number: u8, ieee: Ieee, wanted: &[u8]) -> Vec<u8> {
    let mut answer = vec![0x18, number, 0x01];
    for id in wanted.chunks_exact(2) {
        let text: &[u8] = match (id[0], ieee == PLUG) {
            (4, _) => b"ACME",
            (5, true) => b"P1",
            (5, false) => b"T1",
            (0, _) => {
                answer.extend([0, 0, 0, 0x20, 3]);
                continue;
            }
            _ => {
                answer.extend([id[0], 0, 0x86]);
                continue;
            }
        };
        answer.extend([id[0], 0, 0, 0x42, u8::try_from(text.len()).unwrap()]);
        answer.extend_from_slice(text);
    }
    answer
}

impl Handle {
    fn done(&self, what: &'static str) {
        self.0.stick().done.push(what);
        self.0.news.notify_waiters();
    }
}

impl Coordinator for Handle {
    fn info(&self) -> &NcpInfo {
        &self.0.info
    }

    fn resume(&self) -> Answer<'_, Option<Network>> {
        self.done("resume");
        let network = self.0.stick().held.as_ref().map(|held| held.network.clone());
        Box::pin(ready(Ok(network)))
    }

    fn form<'a>(&'a self, network: &'a NewNetwork) -> Answer<'a, Network> {
        let made = backup(network.pan_id, network.ext_pan_id, network.key.clone());
        let leaks = self.0.stick().leaks;
        if leaks {
            tracing::trace!(key = ?network.key.0, "a leak");
        }
        self.0.stick().held = Some(made.clone());
        self.done("form");
        Box::pin(ready(Ok(made.network)))
    }

    fn restore<'a>(&'a self, backup: &'a Backup) -> Answer<'a, Network> {
        self.0.stick().held = Some(backup.clone());
        self.done("restore");
        Box::pin(ready(Ok(backup.network.clone())))
    }

    fn backup(&self) -> Answer<'_, Backup> {
        self.done("backup");
        let held = self.0.stick().held.clone();
        Box::pin(ready(held.ok_or_else(|| NcpFault::NoNetwork("none".to_owned()))))
    }

    fn leave(&self) -> Answer<'_, ()> {
        self.done("leave");
        Box::pin(ready(Ok(())))
    }

    fn permit_join(&self, within: Duration) -> Answer<'_, ()> {
        self.0.stick().is_open = within;
        self.0.news.notify_waiters();
        Box::pin(ready(Ok(())))
    }

    fn send(&self, message: Aps) -> Answer<'_, (), Undelivered> {
        let To::Device(nwk) = message.to else { return Box::pin(ready(Ok(()))) };
        let Some(ieee) = self.0.stick().addresses.get(&nwk).copied() else {
            return Box::pin(ready(Err(Undelivered::NoRoute)));
        };
        let (stick, delay) = (Arc::clone(&self.0), self.0.stick().delay);
        Box::pin(async move {
            let is_stuck = stick.stick().is_stuck;
            if is_stuck {
                stick.stick().reached.push(ieee.0);
                std::future::pending::<()>().await;
            }
            if ieee != PLUG && stick.stick().is_asleep {
                return stick.misses(ieee).await;
            }
            if ieee == PLUG && stick.stick().is_cut_off {
                tokio::time::sleep(Duration::from_secs(2)).await;
                return Err(Undelivered::NotAcknowledged);
            }
            let fate = stick.stick().fate.clone().filter(|_| ieee != PLUG);
            if let Some((fate, is_received)) = fate {
                tokio::time::sleep(Duration::from_secs(2)).await;
                if is_received {
                    stick.takes(ieee, &message);
                }
                return Err(fate);
            }
            stick.stick().sent += u32::from(ieee == PLUG);
            let Some(answer) = stick.takes(ieee, &message) else { return Ok(()) };
            let is_read = message.cluster == 0x0402 && message.payload.get(2) == Some(&0);
            let delay = if is_read { delay + stick.stick().read_delay } else { delay };
            let (profile, endpoint) = (message.profile, message.dst_endpoint);
            let cluster = if profile == 0 { message.cluster | 0x8000 } else { message.cluster };
            let bursts = stick.stick().bursts && cluster == 6 && ieee == PLUG;
            let was = u8::from(!stick.stick().is_on);
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                if bursts {
                    stick.message(nwk, (0x0104, 6, 1), vec![0x18, 0xfd, 0x0a, 0, 0, 0x10, was]);
                }
                stick.message(nwk, (profile, cluster, endpoint), answer);
            });
            Ok(())
        })
    }

    fn is_sleepy(&self, _: Ieee, _: u16) -> Answer<'_, ()> {
        Box::pin(ready(Ok(())))
    }

    fn forget(&self, _: Ieee) -> Answer<'_, ()> {
        Box::pin(ready(Ok(())))
    }
}
