//! What the connection and the devices share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use usp_mapping::mapping::filter_matches;
use usp_mapping::port::DeviceId;

use crate::bus::ear::{LinkState, Mark};
use crate::bus::mailbox::{Letter, Mailbox};
use crate::bus::statistics::BusCounters;

use super::topics::{Filters, Routes, Wanted};

/// Publications on their way to the connection.
const ORDERS: usize = 64;

/// Something that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) topic: Arc<str>,
    pub(crate) body: Bytes,
    /// The server has kept it for whoever subscribes: it is as old as may be.
    pub(crate) kept: bool,
}

impl Letter for Said {
    fn subject(&self) -> &str {
        &self.topic
    }

    fn len(&self) -> usize {
        self.topic.len() + self.body.len()
    }
}

/// Something that may answer a question, and when it came among what whoever asks hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) said: Said,
    pub(crate) at: Mark,
}

impl Letter for Reply {
    fn subject(&self) -> &str {
        self.said.subject()
    }

    fn len(&self) -> usize {
        self.said.len()
    }
}

/// Something to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Publication {
    pub(crate) topic: String,
    pub(crate) body: Bytes,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
}

/// What became of a publication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Published {
    /// The server has it; with QoS 0 it was sent.
    Taken,
    /// The server does not want it, and why.
    Refused(String),
    /// The connection broke before the server said anything.
    Lost(String),
    /// There was no connection.
    Unsent(String),
}

/// What the connection is to do, with whoever waits for what becomes of it.
#[derive(Debug)]
pub(crate) enum Order {
    /// Publish something.
    Publish(Publication, oneshot::Sender<Published>),
    /// Have the server answer to something that changes nothing.
    RoundTrip(oneshot::Sender<()>),
}

/// Shared by the connection, the workers of devices and adoption.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) state: watch::Sender<LinkState>,
    pub(crate) counters: Arc<BusCounters>,
    orders: mpsc::Sender<Order>,
    wanted: watch::Sender<Arc<Wanted>>,
    listeners: Mutex<Listeners>,
}

#[derive(Debug, Default)]
struct Listeners {
    all: BTreeMap<DeviceId, Listener>,
    routes: Routes<DeviceId>,
    /// Who waits for an answer now, on topics that are listened to anyway.
    asking: Vec<Asking>,
    /// Counts those who began to listen.
    newest: u64,
}

#[derive(Debug)]
struct Asking {
    filters: Filters,
    replies: Arc<Mailbox<Reply>>,
    /// What whoever asks hears all the same.
    letters: Arc<Mailbox<Said>>,
}

#[derive(Debug)]
struct Listener {
    filters: Filters,
    letters: Arc<Mailbox<Said>>,
    since: u64,
}

impl Board {
    /// With the other end of its orders.
    pub(crate) fn new(counters: Arc<BusCounters>) -> (Arc<Self>, mpsc::Receiver<Order>) {
        let (orders, taken) = mpsc::channel(ORDERS);
        let board = Self {
            state: watch::channel(LinkState::Opening).0,
            counters,
            orders,
            wanted: watch::channel(Arc::default()).0,
            listeners: Mutex::default(),
        };
        (Arc::new(board), taken)
    }

    /// Somebody listens to these filters from now on, and wants what the server has kept there.
    pub(crate) fn listen(&self, who: &DeviceId, filters: Filters, letters: &Arc<Mailbox<Said>>) {
        let mut listeners = self.listeners();
        listeners.newest += 1;
        let listener = Listener { filters, letters: Arc::clone(letters), since: listeners.newest };
        listeners.all.insert(who.clone(), listener);
        self.rearrange(&mut listeners);
    }

    /// Some of those who listen are others now, and listen to this.
    pub(crate) fn listen_anew(&self, others: Vec<(DeviceId, Filters)>) {
        let mut listeners = self.listeners();
        for (who, filters) in others {
            listeners.newest += 1;
            let since = listeners.newest;
            if let Some(known) = listeners.all.get_mut(&who) {
                (known.filters, known.since) = (filters, since);
            }
        }
        self.rearrange(&mut listeners);
    }

    /// Somebody does not listen any more with this mailbox.
    pub(crate) fn leave(&self, who: &DeviceId, letters: &Arc<Mailbox<Said>>) {
        let mut listeners = self.listeners();
        if listeners.all.get(who).is_some_and(|known| Arc::ptr_eq(&known.letters, letters)) {
            listeners.all.remove(who);
            self.rearrange(&mut listeners);
        }
    }

    /// Somebody waits for an answer, until it says [`Board::has_asked`].
    pub(crate) fn ask(&self, filters: Filters, replies: &Arc<Mailbox<Reply>>, letters: &Arc<Mailbox<Said>>) {
        let (replies, letters) = (Arc::clone(replies), Arc::clone(letters));
        self.listeners().asking.push(Asking { filters, replies, letters });
    }

    /// Somebody waits no longer.
    pub(crate) fn has_asked(&self, replies: &Arc<Mailbox<Reply>>) {
        self.listeners().asking.retain(|asking| !Arc::ptr_eq(&asking.replies, replies));
    }

    fn rearrange(&self, listeners: &mut Listeners) {
        let (mut routes, mut wanted) = (Routes::default(), Wanted::default());
        for (who, listener) in &listeners.all {
            for (filter, qos) in &listener.filters {
                routes.add(filter, who);
                let known = wanted.filters.entry(filter.clone()).or_insert(*qos);
                *known = (*known).max(*qos);
                let since = wanted.since.entry(filter.clone()).or_insert(listener.since);
                *since = (*since).max(listener.since);
            }
        }
        listeners.routes = routes;
        self.wanted.send_if_modified(|known| {
            let is_new = **known != wanted;
            if is_new {
                *known = Arc::new(wanted);
            }
            is_new
        });
    }

    /// What is to be subscribed to.
    pub(crate) fn wanted(&self) -> watch::Receiver<Arc<Wanted>> {
        self.wanted.subscribe()
    }

    /// Something was published.
    pub(crate) fn hand_out(&self, said: &Said) {
        let listeners = self.listeners();
        for who in listeners.routes.of(&said.topic) {
            if let Some(listener) = listeners.all.get(&who) {
                listener.letters.put(said.clone());
            }
        }
        let waits =
            |asking: &&Asking| asking.filters.keys().any(|filter| filter_matches(filter, &said.topic));
        for asking in listeners.asking.iter().filter(waits) {
            asking.replies.put(Reply { said: said.clone(), at: asking.letters.mark() });
        }
    }

    /// Nothing that came over the former connection is of use.
    pub(crate) fn forget(&self) {
        self.listeners().all.values().for_each(|listener| listener.letters.clear());
    }

    /// Publishes something. Waits for its turn and for the server; whoever stops waiting does not take it back.
    pub(crate) async fn publish(&self, publication: Publication) -> Published {
        let (done, result) = oneshot::channel();
        let ended = || "the connection to the MQTT server has ended".to_owned();
        if self.orders.send(Order::Publish(publication, done)).await.is_err() {
            return Published::Unsent(ended());
        }
        result.await.unwrap_or_else(|_| Published::Lost(ended()))
    }

    /// Waits until the server has answered to something that it got after all subscriptions; whether it has.
    pub(crate) async fn round_trip(&self) -> bool {
        let (done, answered) = oneshot::channel();
        self.orders.send(Order::RoundTrip(done)).await.is_ok() && answered.await.is_ok()
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        // They are whole after each operation: a panic elsewhere says nothing about them.
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
