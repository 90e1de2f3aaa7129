//! What the task of a coordinator and the calls to it have in common.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::{Damage, NcpEvent, NcpFault};

/// Most events that wait for the host.
const BACKLOG: usize = 256;

/// The tag of messages whose fate nobody waits for.
pub(super) const UNTOLD: u8 = 0;

/// What is under way in a coordinator.
#[derive(Debug)]
pub(super) struct Hub {
    deliveries: Mutex<Deliveries>,
    /// What the coordinator said last of its network, with how often it said something.
    state: watch::Sender<(u64, u32)>,
    /// Why it is gone.
    gone: OnceLock<String>,
    /// Whether it was ready at any time: before, nobody is told anything.
    opened: AtomicBool,
}

#[derive(Debug, Default)]
struct Deliveries {
    /// Who waits for the fate of a message, by its tag.
    waiting: BTreeMap<u8, oneshot::Sender<u32>>,
    last: u8,
}

impl Hub {
    pub(super) fn new() -> Arc<Self> {
        let (state, _) = watch::channel((0, 0));
        Arc::new(Self {
            deliveries: Mutex::default(),
            state,
            gone: OnceLock::new(),
            opened: AtomicBool::new(false),
        })
    }

    fn deliveries(&self) -> MutexGuard<'_, Deliveries> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A tag for a message whose fate is to be known. `None`: as many as there may be are under way.
    pub(super) fn expect(self: &Arc<Self>) -> Option<Delivery> {
        let mut deliveries = self.deliveries();
        let first = deliveries.last;
        let tag = (1..=u8::MAX)
            .map(|step| first.wrapping_add(step))
            .find(|tag| *tag != UNTOLD && !deliveries.waiting.contains_key(tag))?;
        let (sender, fate) = oneshot::channel();
        deliveries.last = tag;
        deliveries.waiting.insert(tag, sender);
        drop(deliveries);
        Some(Delivery { hub: Arc::clone(self), tag, fate })
    }

    /// The coordinator has told what became of a message.
    pub(super) fn delivered(&self, tag: u8, status: u32) {
        if let Some(waiting) = self.deliveries().waiting.remove(&tag) {
            let waited = waiting.send(status).is_ok();
            tracing::trace!(tag, waited, "what became of a message");
        }
    }

    /// The coordinator has told something of its network.
    pub(super) fn state(&self, state: u32) {
        self.state.send_modify(|(count, last)| {
            *count += 1;
            *last = state;
        });
    }

    /// What the coordinator tells of its network from now on.
    pub(super) fn listen(&self) -> Listener {
        let mut state = self.state.subscribe();
        state.mark_unchanged();
        Listener(state)
    }

    /// The coordinator is ready: the host is told what happens from now on.
    pub(super) fn open(&self) {
        self.opened.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_open(&self) -> bool {
        self.opened.load(Ordering::Relaxed)
    }

    /// The coordinator is gone.
    pub(super) fn end(&self, why: &str) {
        drop(self.gone.set(why.to_owned()));
        self.deliveries().waiting.clear();
    }

    /// Why it is gone; that it was closed, if it is not.
    pub(super) fn gone(&self) -> NcpFault {
        NcpFault::Gone(self.gone.get().map_or("the coordinator was closed", String::as_str).to_owned())
    }
}

/// A message whose fate is to be known.
#[derive(Debug)]
pub(super) struct Delivery {
    hub: Arc<Hub>,
    pub(super) tag: u8,
    fate: oneshot::Receiver<u32>,
}

impl Delivery {
    /// What became of it. `None`: that was not told in time, or before the coordinator was gone.
    pub(super) async fn fate(mut self, within: Duration) -> Option<u32> {
        timeout(within, &mut self.fate).await.ok()?.ok()
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        // A closed receiver is this one: nobody else has its tag before.
        self.fate.close();
        let mut deliveries = self.hub.deliveries();
        if deliveries.waiting.get(&self.tag).is_some_and(oneshot::Sender::is_closed) {
            deliveries.waiting.remove(&self.tag);
        }
    }
}

/// Hears what a coordinator tells of its network.
#[derive(Debug)]
pub(super) struct Listener(watch::Receiver<(u64, u32)>);

impl Listener {
    /// Waits until it tells something of a kind. `None`: not in time.
    pub(super) async fn until(&mut self, within: Duration, wanted: impl Fn(u32) -> bool) -> Option<u32> {
        let heard = async {
            loop {
                self.0.changed().await.ok()?;
                let (_, state) = *self.0.borrow_and_update();
                if wanted(state) {
                    return Some(state);
                }
            }
        };
        timeout(within, heard).await.ok()?
    }
}

/// Events that the host has not taken yet.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    events: VecDeque<NcpEvent>,
    /// Messages that were dropped, because there were too many, and those of them that were not told yet.
    dropped: u64,
    untold: u64,
}

impl Backlog {
    /// Adds one. Of too many, the oldest message is dropped: who joined and left matters longer.
    pub(super) fn push(&mut self, event: NcpEvent) {
        if self.events.len() >= BACKLOG {
            let message = self.events.iter().position(|event| matches!(event, NcpEvent::Message(_)));
            drop(self.events.remove(message.unwrap_or(0)));
            if self.dropped.is_multiple_of(1000) {
                tracing::warn!("a Zigbee network says more than can be taken in; what is oldest is lost");
            }
            self.dropped += 1;
            self.untold += 1;
        }
        self.events.push_back(event);
    }

    /// How many messages were dropped since the last time.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.untold)
    }

    /// Something got lost. What is still to be told of it is told together.
    pub(super) fn damaged(&mut self, damage: Damage) {
        let known = self.events.iter_mut().find_map(|event| match event {
            NcpEvent::Damaged(known) => Some(known),
            _ => None,
        });
        match known {
            Some(known) => *known += damage,
            None => self.events.push_back(NcpEvent::Damaged(damage)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn pop(&mut self) -> Option<NcpEvent> {
        self.events.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Ieee, Message};
    use super::*;

    fn message() -> NcpEvent {
        NcpEvent::Message(Box::new(Message {
            from: 1,
            ieee: None,
            profile: 0x0104,
            cluster: 6,
            src_endpoint: 1,
            dst_endpoint: 1,
            group: None,
            broadcast: false,
            payload: vec![],
            lqi: 0,
            rssi: None,
        }))
    }

    #[test]
    fn too_many_events_cost_messages_and_no_joins() {
        let mut backlog = Backlog::default();
        let joined = NcpEvent::Joined { ieee: Ieee(1), nwk: 2, parent: None };
        backlog.push(joined.clone());
        for _ in 0..BACKLOG * 3 {
            backlog.push(message());
        }
        assert_eq!(backlog.events.len(), BACKLOG);
        assert_eq!((backlog.take_dropped(), backlog.take_dropped()), (2 * BACKLOG as u64 + 1, 0));
        assert_eq!(backlog.pop(), Some(joined));
    }

    #[tokio::test(start_paused = true)]
    async fn each_fate_is_told_to_its_sender() {
        let hub = Hub::new();
        let (first, second) = (hub.expect().unwrap(), hub.expect().unwrap());
        assert_ne!(first.tag, second.tag);
        hub.delivered(second.tag, 7);
        assert_eq!(second.fate(Duration::from_secs(1)).await, Some(7));
        assert_eq!(first.fate(Duration::from_secs(1)).await, None);
        assert!(hub.deliveries().waiting.is_empty());
        let last = hub.expect().unwrap();
        hub.end("pulled");
        assert_eq!(last.fate(Duration::from_secs(1)).await, None);
        assert_eq!(hub.gone(), NcpFault::Gone("pulled".to_owned()));
    }

    #[test]
    fn tags_are_bounded() {
        let hub = Hub::new();
        let taken: Vec<_> = std::iter::from_fn(|| hub.expect()).collect();
        assert_eq!(taken.len(), 255);
        drop(taken);
        assert!(hub.expect().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_is_told_from_now_on_counts() {
        let hub = Hub::new();
        hub.state(1);
        let mut listener = hub.listen();
        let wait = Duration::from_secs(1);
        assert_eq!(listener.until(wait, |state| state == 1).await, None);
        hub.state(1);
        assert_eq!(listener.until(wait, |state| state == 1).await, Some(1));
    }
}
