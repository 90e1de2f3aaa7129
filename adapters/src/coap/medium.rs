//! The way to one CoAP device: makes its [`Link`] when it is needed, and hands questions to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use usp_mapping::mapping::{BusKind, CoapAddress, CoapOptions, Device, DeviceAddress, Protocol};
use usp_mapping::port::DeviceFault;

use crate::bus::ear::{Ear, Mark, Said};
use crate::bus::mailbox::Mailbox;
use crate::bus::statistics::{BusCounters, count};
use crate::bus::{BusPlan, Ends, Medium, Outcome};
use crate::coap::dtls::Key;
use crate::coap::endpoint::request::Failure;
use crate::coap::link::{Credentials, Link, Order, Told};
use crate::coap::model::{Answer, Ask, observed};
use crate::secret;

/// Longest time until a link is there: name, and DTLS handshake.
const CONNECT: Duration = Duration::from_secs(15);

/// Orders that wait for a link: a question, and what is observed.
const ORDERS: usize = 4;

/// One device's socket, made again after its end.
#[derive(Debug)]
pub(crate) struct CoapMedium {
    plan: watch::Receiver<Arc<BusPlan>>,
    counters: Arc<BusCounters>,
    told: Arc<Mailbox<Told>>,
    link: Option<Held>,
    answered: Mark,
    /// The device may be gone, though nobody has asked it anything.
    doubt: Arc<Notify>,
    /// How often it did not answer: the next address of its name is tried then.
    turn: usize,
}

/// A link, and what it was made for.
#[derive(Debug)]
struct Held {
    orders: mpsc::Sender<Order>,
    device: Arc<Device>,
    local: Option<SocketAddr>,
    /// A new one is made when the device does not answer: it has other addresses, or may not know the session any more.
    is_doubtful: bool,
}

impl CoapMedium {
    /// Not connected yet.
    pub(crate) fn new(ends: &Ends) -> Self {
        let counters = Arc::clone(&ends.counters);
        let told = Arc::new(Mailbox::new(Arc::clone(&counters.lost)));
        Self {
            plan: ends.plan.clone(),
            counters,
            told,
            link: None,
            answered: Mark::default(),
            doubt: Arc::default(),
            turn: 0,
        }
    }

    fn device(&self) -> Option<Arc<Device>> {
        self.plan.borrow().devices.first().map(Arc::clone)
    }

    /// Where it is asked from.
    fn local(&self) -> Option<SocketAddr> {
        match &self.plan.borrow().bus.kind {
            BusKind::Coap(endpoint) => endpoint.local,
            _ => None,
        }
    }

    async fn open(&self) -> Result<Held, String> {
        let device = self.device().ok_or("its bus has no device")?;
        let DeviceAddress::Coap(address) = &device.address else {
            return Err("it is no CoAP device".to_owned());
        };
        let words = |words: String| format!("cannot connect to {}: {words}", address.host);
        let credentials = credentials(address).await.map_err(words)?;
        let local = self.local();
        let ways = (Arc::clone(&self.told), Arc::clone(&self.doubt));
        let opening = Link::open(local, (&address.host, self.turn), credentials, ways);
        let opened = tokio::time::timeout(CONNECT, opening);
        let link = opened.await.map_err(|_| words(format!("no answer within {} s", CONNECT.as_secs())))?;
        let link = link.map_err(words)?.with_silence(silence(&device));
        let is_doubtful = link.has_others() || address.psk.is_some();
        let (orders, taken) = mpsc::channel(ORDERS);
        let id = device.id.clone();
        tokio::spawn(async move {
            let cause = link.run(taken).await;
            tracing::debug!(device = %id, %cause, "the link to a CoAP device has ended");
        });
        Ok(Held { orders, device, local, is_doubtful })
    }

    /// Whether the device is where the link goes.
    fn is_same(&self, held: &Held) -> bool {
        held.local == self.local()
            && self.device().is_some_and(|device| device.address == held.device.address)
    }

    /// After a change of the mapping, other resources are observed.
    async fn keep(&mut self) {
        let Some(device) = self.device() else { return };
        if let Some(held) =
            self.link.as_mut().filter(|held| !Arc::ptr_eq(&held.device.mapping, &device.mapping))
        {
            // A link that has ended observes nothing.
            let order = Order::Keep(observed(&device.mapping), silence(&device));
            held.orders.send(order).await.ok();
            held.device = device;
        }
    }

    async fn ask(&mut self, ask: Ask) -> Outcome<Answer> {
        self.keep().await;
        let gone = || DeviceFault::Unreachable("its link has ended".to_owned());
        let Some(held) = self.link.as_ref() else { return Outcome::Unsent(gone()) };
        let is_doubtful = held.is_doubtful;
        let (caller, answer) = oneshot::channel();
        if held.orders.send(Order::Ask(ask.request, caller)).await.is_err() {
            return Outcome::Unsent(gone());
        }
        let Ok((answer, answered)) = answer.await else { return Outcome::Silent(gone()) };
        self.answered = answered;
        if matches!(answer, Err(Failure::Timeout(_) | Failure::Unreachable(_) | Failure::Unsent(_))) {
            self.doubt_link(is_doubtful);
        }
        match answer {
            Ok(response) => Outcome::Answered(Answer::Response(response)),
            Err(Failure::Reset) => Outcome::Answered(Answer::Rejected),
            Err(Failure::Timeout(within)) => Outcome::Silent(DeviceFault::Timeout(within)),
            Err(Failure::Garbled(what)) => Outcome::Silent(DeviceFault::Garbled(what)),
            Err(Failure::Unreachable(why)) => Outcome::Silent(DeviceFault::Unreachable(why)),
            Err(Failure::Unsent(why)) => Outcome::Unsent(DeviceFault::Unreachable(why)),
        }
    }

    /// The device has not answered.
    fn doubt_link(&mut self, is_doubtful: bool) {
        if is_doubtful {
            self.link = None;
            self.turn = self.turn.wrapping_add(1);
        }
    }
}

/// How long the device may say nothing while it is observed.
fn silence(device: &Device) -> Duration {
    match &device.mapping.protocol {
        Protocol::Coap(options) => options.silence,
        // A site puts no other device on a CoAP bus.
        _ => CoapOptions::default().silence,
    }
}

/// The key of a device, read where it is kept.
async fn credentials(address: &CoapAddress) -> Result<Option<Credentials>, String> {
    let Some(psk) = &address.psk else { return Ok(None) };
    let secret = secret::read(&psk.key).await?;
    let key = Key::parse(&secret.0).map_err(|why| format!("the key in {} is none: {why}", psk.key))?;
    Ok(Some(Credentials { identity: psk.identity.clone(), key }))
}

impl Medium for CoapMedium {
    type Ask = Ask;
    type Answer = Answer;
    type Ear = CoapEar;

    const SPREAD: Duration = Duration::from_secs(2);

    fn ear(&mut self) -> CoapEar {
        CoapEar { told: Arc::clone(&self.told), doubt: Arc::clone(&self.doubt) }
    }

    async fn connect(&mut self) -> Result<(), String> {
        // The former one takes leave, and what it said may be of another device.
        self.link = None;
        self.told.clear();
        match self.open().await {
            Ok(held) => {
                self.link = Some(held);
                count(&self.counters.connects);
                self.counters.up();
                Ok(())
            }
            Err(cause) => {
                count(&self.counters.failed_connects);
                self.counters.not_made(&cause);
                self.turn = self.turn.wrapping_add(1);
                Err(cause)
            }
        }
    }

    async fn exchange(&mut self, ask: Ask) -> Outcome<Answer> {
        self.ask(ask).await
    }

    fn answered(&self) -> Mark {
        self.answered
    }

    fn is_up(&mut self) -> bool {
        self.link.as_ref().is_some_and(|held| !held.orders.is_closed() && self.is_same(held))
    }
}

/// Hears what one device tells.
#[derive(Debug)]
pub(crate) struct CoapEar {
    told: Arc<Mailbox<Told>>,
    doubt: Arc<Notify>,
}

impl Ear for CoapEar {
    type Word = Told;

    async fn hear(&mut self) -> Said<Told> {
        tokio::select! {
            biased;
            told = self.told.take() => Said::Word(told),
            () = self.doubt.notified() => Said::Doubt,
        }
    }

    fn hear_before(&mut self, mark: Mark) -> Option<Said<Told>> {
        self.told.take_before(mark).map(Said::Word)
    }
}
