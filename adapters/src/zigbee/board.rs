//! What the coordinator's task, the workers of devices and whoever looks after devices share.
//!
//! A question goes to a device with [`Board::ask`], over whichever coordinator there is, and is answered by what
//! [`Board::hear`](super::hearing) makes of what comes in. Nothing is sent twice: a message of which it is not known whether it
//! arrived is a fault, and whoever asked decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore, SemaphorePermit, oneshot, watch};
use tokio::time::{timeout, timeout_at};
use usp_mapping::mapping::{Device, DeviceAddress, Mapping};
use usp_mapping::port::{DeviceFault, DeviceId};
use usp_mapping::zigbee::zcl::{self, Frame};

use super::members::{Known, Member, Members};
use super::model::{patience, reports_any};
use super::ncp::{Aps, Coordinator, HOME_AUTOMATION, HOST_ENDPOINT, Ieee, To, Undelivered, ZDO};
use super::talks::{Expect, Talks};
use super::vigil::Vigil;
use super::word::Word;
use crate::bus::ear::{LinkState, Mark};
use crate::bus::mailbox::Mailbox;
use crate::bus::statistics::BusCounters;

/// Messages on their way to devices that listen, to such as sleep, and to such as were not reached the last time: these hold
/// their places for seconds, and nobody else's.
const UNDER_WAY: (usize, usize, usize) = (8, 4, 3);

/// So many of those that sleep are knocked at for what nobody waits for: of a hundred after an outage each has its turn, and the other places
/// are for whoever waits.
const PATIENT: usize = 2;

/// Most answers that are kept for who listens to a device in a moment, and for how long.
const FIRST_WORDS: usize = 32;
const FIRST_KEPT: Duration = Duration::from_secs(10);

/// How long a message may wait for its turn and for the coordinator, beyond what its answer may take.
const SENDING: Duration = Duration::from_secs(40);

/// How often at most everybody is asked where a device is.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// One question to a device.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Question {
    pub(super) expect: Expect,
    /// The message, with a transaction of number 0.
    pub(super) bytes: Vec<u8>,
}

impl Question {
    /// To the device object.
    pub(super) fn zdo(cluster: u16, bytes: Vec<u8>) -> Self {
        Self { expect: Expect::Zdo { cluster }, bytes }
    }

    /// To a cluster.
    pub(super) fn zcl(endpoint: u8, cluster: u16, frame: &Frame) -> Self {
        Self { expect: Expect::zcl(endpoint, cluster, frame), bytes: frame.bytes() }
    }

    fn message(&self, nwk: u16, number: u8) -> Aps {
        let (to, ack, sequence) = (To::Device(nwk), true, number);
        match self.expect {
            Expect::Zdo { cluster } => {
                let mut payload = self.bytes.clone();
                if let Some(first) = payload.first_mut() {
                    *first = number;
                }
                Aps { to, profile: ZDO, cluster, src_endpoint: 0, dst_endpoint: 0, sequence, payload, ack }
            }
            Expect::Zcl { endpoint, cluster, .. } => Aps {
                to,
                profile: HOME_AUTOMATION,
                cluster,
                src_endpoint: HOST_ENDPOINT,
                dst_endpoint: endpoint,
                sequence,
                payload: zcl::numbered(&self.bytes, number),
                ack,
            },
        }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    Zdo(Vec<u8>),
    Zcl(Frame),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Unanswered {
    /// The question was not sent: that says nothing of the device.
    Unsent(DeviceFault),
    /// It waited for a device that sleeps, and was thrown away: it was not received.
    Missed,
    /// Nobody has acknowledged it, or said what became of it: it may have been received.
    Unsure(DeviceFault),
    /// It was received, as far as is known, and not answered.
    Silent(DeviceFault),
    /// It may have been received, by a device that has left the network meanwhile: whoever serves it is told that.
    Left,
}

impl Unanswered {
    /// The fault that it is for whoever asked.
    pub(super) fn fault(self) -> DeviceFault {
        match self {
            Self::Unsent(fault) | Self::Unsure(fault) | Self::Silent(fault) => fault,
            Self::Missed => DeviceFault::Unreachable(Undelivered::Expired.to_string()),
            Self::Left => unreachable("it has left the network meanwhile"),
        }
    }
}

/// Whoever waits for an answer, and what the answer is to be put in order with.
#[derive(Debug)]
pub(super) struct Waits {
    done: oneshot::Sender<(Said, Mark)>,
    letters: Option<Arc<Mailbox<Word>>>,
}

impl Waits {
    /// Hands over the answer: what was said before is older.
    pub(super) fn answer(self, said: Said) {
        let mark = self.letters.map_or_else(Mark::default, |letters| letters.mark());
        // Whoever asked may wait no longer.
        self.done.send((said, mark)).ok();
    }
}

/// Shared by all who have to do with a network.
#[derive(Debug)]
pub(super) struct Board {
    /// The name of the bus.
    pub(super) bus: Arc<str>,
    pub(super) state: watch::Sender<LinkState>,
    pub(super) counters: Arc<BusCounters>,
    /// Whoever looks after devices has something to do.
    pub(super) chores: Notify,
    /// Something else is to be kept, or told, of the members.
    pub(super) changes: Notify,
    room: (Semaphore, Semaphore, Semaphore),
    /// Devices that sleep and are knocked at for what nobody waits for.
    pub(super) patience: Semaphore,
    /// The network is only looked at: the host says nothing that a device would remember.
    pub(super) only_looks: bool,
    shared: Mutex<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    coordinator: Option<Arc<dyn Coordinator>>,
    /// The coordinator's address: after a restore it may be that of another one.
    own: Ieee,
    pub(super) members: Members,
    pub(super) talks: Talks<Waits>,
    pub(super) listeners: BTreeMap<DeviceId, Listener>,
    /// Devices that were not reached, or did not answer, the last time.
    pub(super) failing: BTreeSet<Ieee>,
    /// What devices said when they were set up and nobody listened yet, and when.
    first: BTreeMap<Ieee, Vec<(Instant, Word)>>,
    /// Devices that are to be looked after.
    wishes: BTreeSet<Ieee>,
    /// Devices that others have told of, and where these are.
    pub(super) found: Vec<(Ieee, u16)>,
    /// When everybody was last asked where a device, or who somebody, is.
    pub(super) looked: BTreeMap<Looked, Instant>,
}

/// What everybody was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Looked {
    Where(Ieee),
    Who(u16),
    Everybody,
}

/// A worker that listens to a device.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) ieee: Ieee,
    pub(super) mapping: Arc<Mapping>,
    pub(super) letters: Arc<Mailbox<Word>>,
    /// When the device was heard last.
    pub(super) heard: watch::Sender<Option<Instant>>,
    /// Whether it still reports.
    vigil: Vigil,
}

/// Whether a device still reports, from now on.
fn vigil(device: &Device) -> Vigil {
    let reports = !device.mapping.zigbee_setup().reports.is_empty();
    Vigil::new(now(), patience(device).filter(|_| reports).map(|(patience, _)| patience))
}

impl Shared {
    /// Those that listen to a device.
    fn listeners_of(&mut self, ieee: Ieee) -> impl Iterator<Item = &mut Listener> {
        self.listeners.values_mut().filter(move |listener| listener.ieee == ieee)
    }

    /// A device was heard, with a report or something else. Whether its reports stay away, so that it may have forgotten that it was
    /// to make them.
    pub(super) fn misses_reports(&mut self, ieee: Ieee, is_report: bool) -> bool {
        let Some(Member { set_up: Some(_), unreported, .. }) = self.members.get(ieee) else { return false };
        let (unreported, now) = (unreported.clone(), now());
        let mut misses = false;
        for Listener { vigil, mapping, .. } in self.listeners_of(ieee) {
            match is_report {
                true => vigil.reported(now),
                false if !vigil.is_overdue(now) => {}
                // It refused all of them.
                false if !reports_any(mapping, &unreported) => vigil.begin(now),
                false => {
                    vigil.again(now);
                    misses = true;
                }
            }
        }
        misses
    }
}

/// The address of a device of a site.
pub(super) fn ieee_of(device: &Device) -> Ieee {
    match &device.address {
        DeviceAddress::Zigbee(ieee) => Ieee(ieee.0),
        // A site puts no other device on a coordinator.
        _ => Ieee(0),
    }
}

fn not_joined() -> String {
    "it has not joined the network yet: open the network with PermitJoin() and make the device join"
        .to_owned()
}

fn unreachable(why: &str) -> DeviceFault {
    DeviceFault::Unreachable(why.to_owned())
}

impl Board {
    /// A board for these members, without a coordinator.
    pub(super) fn new(
        bus: &str,
        counters: Arc<BusCounters>,
        members: Members,
        only_looks: bool,
    ) -> Arc<Self> {
        let shared = Shared {
            coordinator: None,
            own: Ieee(0),
            members,
            talks: Talks::default(),
            listeners: BTreeMap::new(),
            failing: BTreeSet::new(),
            first: BTreeMap::new(),
            wishes: BTreeSet::new(),
            found: Vec::new(),
            looked: BTreeMap::new(),
        };
        Arc::new(Self {
            bus: bus.into(),
            state: watch::channel(LinkState::Opening).0,
            counters,
            chores: Notify::new(),
            changes: Notify::new(),
            room: (Semaphore::new(UNDER_WAY.0), Semaphore::new(UNDER_WAY.1), Semaphore::new(UNDER_WAY.2)),
            patience: Semaphore::new(PATIENT),
            only_looks,
            shared: Mutex::new(shared),
        })
    }

    pub(super) fn shared(&self) -> MutexGuard<'_, Shared> {
        // It is whole after each operation: a panic elsewhere says nothing about it.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The coordinator that there is.
    pub(super) fn coordinator(&self) -> Option<Arc<dyn Coordinator>> {
        self.shared().coordinator.clone()
    }

    /// There is a coordinator, with the network, in which it has this address.
    pub(super) fn up(&self, coordinator: Arc<dyn Coordinator>, own: Ieee) {
        let mut shared = self.shared();
        (shared.coordinator, shared.own) = (Some(coordinator), own);
        let unreported = shared.members.iter().filter(|(_, member)| !member.unreported.is_empty());
        let unreported: Vec<_> = unreported.map(|(ieee, member)| (ieee, member.unreported.clone())).collect();
        for listener in shared.listeners.values_mut() {
            listener.vigil.begin(now());
        }
        drop(shared);
        self.state.send_replace(LinkState::Up);
        // Words of before the link was up are not taken in.
        for (ieee, of) in unreported {
            self.tell(ieee, &Word::Unreported(of));
        }
        self.chores.notify_one();
    }

    /// The coordinator's address.
    pub(super) fn own(&self) -> Ieee {
        self.shared().own
    }

    /// There is none, and why. Whoever waits for an answer waits no longer.
    pub(super) fn down(&self, why: &str) {
        let mut shared = self.shared();
        shared.coordinator = None;
        shared.talks.give_up_all(now());
        drop(shared);
        self.state.send_replace(LinkState::Down(why.to_owned()));
    }

    /// A device's worker listens from now on; what it hears comes into the mailbox.
    pub(super) fn listen(&self, device: &Device) -> (Arc<Mailbox<Word>>, watch::Receiver<Option<Instant>>) {
        let ieee = ieee_of(device);
        let letters = Arc::new(Mailbox::new(Arc::clone(&self.counters.lost)));
        let mut shared = self.shared();
        match shared.members.get(ieee) {
            Some(member) => {
                if !member.unreported.is_empty() {
                    letters.put(Word::Unreported(member.unreported.clone()));
                }
                shared.wishes.insert(ieee);
            }
            None => letters.put(Word::Left(not_joined())),
        }
        let first = shared.first.remove(&ieee).unwrap_or_default();
        for (_, word) in first.into_iter().filter(|(at, _)| now().saturating_duration_since(*at) < FIRST_KEPT)
        {
            letters.put(word.aged());
        }
        let heard_at = shared.members.get(ieee).and_then(|member| member.heard_at);
        let (heard, hears) = watch::channel(heard_at);
        let mapping = Arc::clone(&device.mapping);
        let listener = Listener { ieee, mapping, letters: Arc::clone(&letters), heard, vigil: vigil(device) };
        shared.listeners.insert(device.id.clone(), listener);
        drop(shared);
        self.chores.notify_one();
        (letters, hears)
    }

    /// A worker does not listen any more with this mailbox.
    pub(super) fn leave(&self, who: &DeviceId, letters: &Arc<Mailbox<Word>>) {
        let mut shared = self.shared();
        if shared.listeners.get(who).is_some_and(|known| Arc::ptr_eq(&known.letters, letters)) {
            shared.listeners.remove(who);
        }
    }

    /// The mappings of devices are others now.
    pub(super) fn configure(&self, devices: &[Arc<Device>]) {
        let mut shared = self.shared();
        for device in devices {
            let Some(listener) = shared.listeners.get_mut(&device.id) else { continue };
            if listener.mapping != device.mapping {
                (listener.mapping, listener.vigil) = (Arc::clone(&device.mapping), vigil(device));
                let (ieee, letters) = (listener.ieee, Arc::clone(&listener.letters));
                shared.wishes.insert(ieee);
                // Whoever serves it now begins anew.
                let of = shared.members.get(ieee).map(|member| member.unreported.clone()).unwrap_or_default();
                letters.put(Word::Unreported(of));
            }
        }
        drop(shared);
        self.chores.notify_one();
    }

    /// A device could not report before now: it has just been set up, or come back.
    pub(super) fn expect_reports(&self, ieee: Ieee) {
        self.shared().listeners_of(ieee).for_each(|listener| listener.vigil.begin(now()));
    }

    /// A device is to be looked after.
    pub(super) fn wish(&self, ieee: Ieee) {
        self.shared().wishes.insert(ieee);
        self.chores.notify_one();
    }

    /// Who is to be looked after, since the last time.
    pub(super) fn take_wishes(&self) -> BTreeSet<Ieee> {
        std::mem::take(&mut self.shared().wishes)
    }

    /// The mapping of whoever listens to a device.
    pub(super) fn mapping(&self, ieee: Ieee) -> Option<Arc<Mapping>> {
        let shared = self.shared();
        let mut listeners = shared.listeners.values().filter(|listener| listener.ieee == ieee);
        listeners.next().map(|listener| Arc::clone(&listener.mapping))
    }

    /// A member as it is now.
    pub(super) fn member(&self, ieee: Ieee) -> Option<Member> {
        self.shared().members.get(ieee).cloned()
    }

    /// What a device has said of itself.
    pub(super) fn known(&self, ieee: Ieee) -> Option<Known> {
        self.shared().members.get(ieee)?.known.clone()
    }

    /// Puts a word into the mailboxes of whoever listens to a device.
    pub(super) fn tell(&self, ieee: Ieee, word: &Word) {
        for listener in self.shared().listeners.values().filter(|listener| listener.ieee == ieee) {
            listener.letters.put(word.clone());
        }
    }

    /// Puts a word into all mailboxes.
    pub(super) fn tell_all(&self, word: &Word) {
        for listener in self.shared().listeners.values() {
            listener.letters.put(word.clone());
        }
    }

    /// Says what a device said when it was set up: to whoever listens, or to whoever is the first to do so in a moment, because
    /// a device that is adopted is served only then.
    pub(super) fn tell_first(&self, ieee: Ieee, word: Word) {
        let mut shared = self.shared();
        if shared.listeners.values().any(|listener| listener.ieee == ieee) {
            drop(shared);
            return self.tell(ieee, &word);
        }
        // Whoever is in no site, and not adopted, is never listened to.
        let is_fresh = |(at, _): &(Instant, Word)| now().saturating_duration_since(*at) < FIRST_KEPT;
        shared.first.retain(|_, words| {
            words.retain(is_fresh);
            !words.is_empty()
        });
        let first = shared.first.entry(ieee).or_default();
        if first.len() < FIRST_WORDS {
            first.push((now(), word));
        }
    }

    /// A device is gone.
    pub(super) fn forget(&self, ieee: Ieee, why: &str) -> bool {
        let mut shared = self.shared();
        // What it still says on its way out does not bring it back: for a while nobody there is asked who it is.
        if let Some(nwk) = shared.members.get(ieee).and_then(|member| member.nwk) {
            shared.looked.insert(Looked::Who(nwk), now());
        }
        let was_there = shared.members.left(ieee);
        shared.talks.forget(now(), ieee);
        shared.failing.remove(&ieee);
        shared.first.remove(&ieee);
        shared.wishes.remove(&ieee);
        drop(shared);
        if was_there {
            self.tell(ieee, &Word::Left(why.to_owned()));
            self.changes.notify_one();
        }
        was_there
    }

    /// Asks a device something, once. An answer may take so long after the device has been reached.
    ///
    /// Errors: the device is not in the network, could not be reached, or did not answer in time. Of what was sent it is not
    /// known then whether it arrived.
    pub(super) async fn ask(
        &self,
        to: Ieee,
        question: &Question,
        within: Duration,
    ) -> Result<Said, DeviceFault> {
        self.ask_by(to, question, within, (None, None)).await.map(|(said, _)| said).map_err(Unanswered::fault)
    }

    /// The same with when the answer came among other words, of a question that is not sent after `until`.
    pub(super) async fn ask_by(
        &self,
        to: Ieee,
        question: &Question,
        within: Duration,
        (letters, until): (Option<&Arc<Mailbox<Word>>>, Option<Instant>),
    ) -> Result<(Said, Mark), Unanswered> {
        let (done, mut answer) = oneshot::channel();
        let waits = Waits { done, letters: letters.map(Arc::clone) };
        let open = self.open(to, question, waits).map_err(Unanswered::Unsent)?;
        let place = self.place(&open, until).await?;
        let gone = |_| match self.coordinator() {
            Some(_) => Unanswered::Left,
            None => Unanswered::Silent(unreachable("the coordinator is gone")),
        };
        let sending = open.coordinator.clone();
        let sending = async {
            let message = question.message(open.nwk, open.number);
            let sent = match until {
                Some(until) => sending.send_by(message, until).await,
                None => sending.send(message).await,
            };
            drop(place);
            sent.map_err(|why| match self.undelivered(to, why) {
                Unanswered::Unsent(_) if until.is_some_and(|until| now() >= until) => {
                    Unanswered::Unsent(DeviceFault::Expired)
                }
                why => why,
            })
        };
        let answered = async {
            tokio::select! {
                biased;
                // It may come before the coordinator says that the question was delivered.
                said = &mut answer => return said.map_err(gone),
                sent = sending => sent?,
            }
            match timeout(within, &mut answer).await {
                Ok(said) => said.map_err(gone),
                Err(_) => Err(Unanswered::Silent(DeviceFault::Timeout(within))),
            }
        };
        let late = Err(Unanswered::Unsure(DeviceFault::Timeout(within)));
        let answered = timeout(SENDING + within, answered).await.unwrap_or(late);
        let is_silent = matches!(answered, Err(Unanswered::Silent(_) | Unanswered::Unsure(_)));
        let is_failing = is_silent && !within.is_zero();
        let failing = &mut self.shared().failing;
        if is_failing {
            failing.insert(to);
        } else if answered.is_ok() {
            failing.remove(&to);
        }
        answered
    }

    /// Waits for a place among the messages that are under way.
    async fn place(
        &self,
        open: &Open<'_>,
        until: Option<Instant>,
    ) -> Result<SemaphorePermit<'_>, Unanswered> {
        let room = match (open.sleeps, open.is_failing) {
            (true, _) => &self.room.1,
            (false, true) => &self.room.2,
            (false, false) => &self.room.0,
        };
        let busy = "too many messages are under way, and it was not sent";
        let end = now() + SENDING;
        let end = until.map_or(end, |until| until.min(end));
        let is_over = || until.is_some_and(|until| now() >= until);
        let fault = || if is_over() { DeviceFault::Expired } else { unreachable(busy) };
        match timeout_at(end.into(), room.acquire()).await {
            Ok(Ok(place)) if !is_over() => Ok(place),
            _ => Err(Unanswered::Unsent(fault())),
        }
    }

    fn open(&self, to: Ieee, question: &Question, waits: Waits) -> Result<Open<'_>, DeviceFault> {
        let mut shared = self.shared();
        let coordinator = shared.coordinator.clone().ok_or_else(|| unreachable("the coordinator is gone"))?;
        let member = shared.members.get(to).ok_or_else(|| DeviceFault::Unreachable(not_joined()))?;
        let sleeps = member.known.as_ref().is_some_and(|known| !known.node.listens);
        let is_failing = shared.failing.contains(&to);
        let Some(nwk) = member.nwk else {
            drop(shared);
            self.look_for(to);
            return Err(unreachable("where it is in the network is not known; everybody was asked for it"));
        };
        let number = shared.talks.open(now(), to, question.expect, waits);
        let number = number.ok_or_else(|| unreachable("too much that it was asked is still unanswered"))?;
        drop(shared);
        Ok(Open { board: self, coordinator, to, nwk, number, sleeps, is_failing })
    }

    /// What it means for a device that a message was not delivered.
    fn undelivered(&self, to: Ieee, why: Undelivered) -> Unanswered {
        let fault = DeviceFault::Unreachable(why.to_string());
        match why {
            Undelivered::Expired => Unanswered::Missed,
            Undelivered::TooLong => Unanswered::Unsent(DeviceFault::Unwritable(why.to_string())),
            Undelivered::Busy | Undelivered::Coordinator(_) => Unanswered::Unsent(fault),
            Undelivered::NotAcknowledged | Undelivered::NoRoute => {
                // It may have another address by now.
                self.look_for(to);
                Unanswered::Unsure(fault)
            }
            Undelivered::Refused(_) | Undelivered::Unknown => Unanswered::Unsure(fault),
        }
    }

    /// Asks everybody where a device is, unless that was done just now. The answer comes as any other word.
    fn look_for(&self, ieee: Ieee) {
        let request = super::zdo::nwk_address(0, ieee);
        self.look(Looked::Where(ieee), To::Broadcast(0xfffd), super::zdo::NWK_ADDRESS, request);
    }

    /// Asks whoever is at an address who it is, unless that was done just now.
    pub(super) fn who_is(&self, nwk: u16) {
        let request = super::zdo::ieee_address(0, nwk);
        self.look(Looked::Who(nwk), To::Device(nwk), super::zdo::IEEE_ADDRESS, request);
    }

    /// Asks everybody who is awake to say something.
    pub(super) fn call_everybody(&self) {
        let request = super::zdo::anybody(0);
        self.look(Looked::Everybody, To::Broadcast(0xfffd), super::zdo::MATCH_DESCRIPTOR, request);
    }

    fn look(&self, what: Looked, to: To, cluster: u16, payload: Vec<u8>) {
        let mut shared = self.shared();
        let now = now();
        shared.looked.retain(|_, at| now.saturating_duration_since(*at) < LOOK_EVERY);
        let Some(coordinator) = shared.coordinator.clone() else { return };
        if shared.looked.len() >= super::members::MOST || shared.looked.contains_key(&what) {
            return;
        }
        shared.looked.insert(what, now);
        drop(shared);
        let message = Aps {
            to,
            profile: ZDO,
            cluster,
            src_endpoint: 0,
            dst_endpoint: 0,
            sequence: 0,
            payload,
            ack: false,
        };
        spawn_send(coordinator, message);
    }
}

/// Sends something whose fate nobody waits for.
pub(super) fn spawn_send(coordinator: Arc<dyn Coordinator>, message: Aps) {
    tokio::spawn(async move {
        if let Err(why) = coordinator.send(message).await {
            tracing::debug!(%why, "a message of the host was not delivered");
        }
    });
}

/// A question that is open; given up when it is dropped without an answer.
struct Open<'b> {
    board: &'b Board,
    coordinator: Arc<dyn Coordinator>,
    to: Ieee,
    nwk: u16,
    number: u8,
    sleeps: bool,
    is_failing: bool,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.board.shared().talks.give_up(now(), self.to, self.number);
    }
}

/// The time of the runtime, so that it can be a virtual one.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
