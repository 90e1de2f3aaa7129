//! The socket of one device, and the task that keeps it: it drives the [`Endpoint`], with DTLS in between where there is a
//! key, and takes what the device says unasked to its [`Mailbox`].

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{UdpSocket, lookup_host};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant as TokioInstant, sleep_until, timeout};
use usp_mapping::mapping::BusAddress;

use crate::bus::ear::Mark;
use crate::bus::mailbox::{Letter, Mailbox};
use crate::coap::dtls::{Key, Secure};
use crate::coap::endpoint::request::{Failure, Request, Resource, Response};
use crate::coap::endpoint::{Endpoint, Event};
use crate::coap::message::MAX_DATAGRAM;

/// How long a name may take to be resolved.
const RESOLVE: Duration = Duration::from_secs(3);

/// A link that has lasted so long is no new one.
const SETTLED: Duration = Duration::from_secs(10);

/// What a device tells unasked.
#[derive(Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) resource: Resource,
    /// Its path and format, for the mailbox.
    subject: String,
    pub(crate) response: Response,
}

impl Told {
    pub(crate) fn new(resource: Resource, response: Response) -> Self {
        let subject = match resource.accept {
            Some(format) => format!("{resource} as {format}"),
            None => resource.to_string(),
        };
        Self { resource, subject, response }
    }
}

impl Letter for Told {
    fn subject(&self) -> &str {
        &self.subject
    }

    fn len(&self) -> usize {
        self.response.body.len()
    }
}

/// What came of a question, and when among what the device tells.
pub(crate) type Outcome = (Result<Response, Failure>, Mark);

/// What the task is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// Ask this, and tell what comes of it.
    Ask(Request, oneshot::Sender<Outcome>),
    /// Observe nothing but these, and look for the device after so long a silence.
    Keep(Vec<Resource>, Duration),
}

/// Whom a device lets in.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) identity: String,
    pub(crate) key: Key,
}

/// A conversation that is ready.
#[derive(Debug)]
pub(crate) struct Link {
    socket: UdpSocket,
    secure: Option<Secure>,
    endpoint: Endpoint,
    told: Arc<Mailbox<Told>>,
    /// Whoever asks is told here that the device may be gone.
    doubt: Arc<Notify>,
    /// How many other addresses its name has.
    others: usize,
    opened: Instant,
    waiting: Option<oneshot::Sender<Outcome>>,
    buffer: Vec<u8>,
}

/// Why a link ends.
type Over = String;

impl Link {
    /// Makes a socket, from this address if one is given, to a device and, with credentials, a DTLS session. Errors: why it
    /// cannot be, without the device's address.
    pub(crate) async fn open(
        local: Option<SocketAddr>,
        (address, turn): (&BusAddress, usize),
        credentials: Option<Credentials>,
        (told, doubt): (Arc<Mailbox<Told>>, Arc<Notify>),
    ) -> Result<Self, String> {
        let (socket, others) = connected(local, address, turn).await?;
        let secure = match credentials {
            None => None,
            Some(Credentials { identity, key }) => Some(Secure::connect(now(), &identity, key)?),
        };
        let mut link = Self {
            socket,
            secure,
            endpoint: Endpoint::new(),
            told,
            doubt,
            others,
            opened: now(),
            waiting: None,
            buffer: vec![0; MAX_DATAGRAM],
        };
        link.shake_hands().await.map(|()| link)
    }

    /// Looks for the device after so long a silence.
    pub(crate) fn with_silence(mut self, silence: Duration) -> Self {
        self.endpoint.set_silence(silence);
        self
    }

    /// Whether there are other addresses to be tried if nobody answers at this one.
    pub(crate) fn has_others(&self) -> bool {
        self.others > 0
    }

    /// Until the DTLS session is there, or cannot be: the handshake has a deadline of its own.
    async fn shake_hands(&mut self) -> Result<(), Over> {
        while self.secure.as_ref().is_some_and(|secure| !secure.is_connected()) {
            self.flush().await?;
            self.next(None).await?;
        }
        Ok(())
    }

    /// Serves until the orders end, or the session does. What is asked is always answered.
    pub(crate) async fn run(mut self, mut orders: mpsc::Receiver<Order>) -> Over {
        loop {
            if let Err(over) = self.flush().await {
                return self.end(over);
            }
            if let Err(over) = self.deliver() {
                return self.end(over);
            }
            match self.next(Some(&mut orders)).await {
                Ok(true) => {}
                Ok(false) => {
                    self.take_leave();
                    return self.refuse("its bus has stopped".to_owned());
                }
                Err(over) => return self.end(over),
            }
        }
    }

    /// Has the device looked for, if it is to tell of anything: nobody else would find out before the next poll. Not where
    /// it has just been asked, so that one which ends every session is not asked for ever.
    fn raise_doubt(&self) {
        let is_old = now().saturating_duration_since(self.opened) >= SETTLED;
        if is_old && self.endpoint.observes() {
            self.doubt.notify_one();
        }
    }

    /// It is over, for whoever waits, and for whoever only hears what is observed.
    fn end(&mut self, over: Over) -> Over {
        self.raise_doubt();
        self.refuse(over)
    }

    fn refuse(&mut self, over: Over) -> Over {
        if let Some(caller) = self.waiting.take() {
            // Nobody waits any more if it fails.
            caller.send((Err(Failure::Unreachable(over.clone())), self.told.mark())).ok();
        }
        over
    }

    /// Sends what is to be sent. Errors: the session is over.
    async fn flush(&mut self) -> Result<(), Over> {
        while let Some((datagram, is_message)) = self.outgoing() {
            if let Err(error) = self.socket.send(&datagram).await {
                self.failed(&error, is_message)?;
            }
        }
        match self.secure.as_ref().and_then(Secure::over) {
            Some(over) => Err(over.to_owned()),
            None => Ok(()),
        }
    }

    /// The next datagram, and whether it is what the endpoint has just handed out.
    fn outgoing(&mut self) -> Option<(Vec<u8>, bool)> {
        let Some(secure) = &mut self.secure else {
            return self.endpoint.poll_transmit(now()).map(|datagram| (datagram, true));
        };
        if let Some(datagram) = secure.poll_transmit() {
            return Some((datagram, false));
        }
        let plain = self.endpoint.poll_transmit(now()).filter(|_| secure.is_connected())?;
        secure.send(now(), &plain);
        secure.poll_transmit().map(|datagram| (datagram, true))
    }

    /// Hands out what has happened. Errors: the session is over, because the device does not answer in it. It may have
    /// restarted: then it does not know the session any more, and is silent to whatever comes with it.
    fn deliver(&mut self) -> Result<(), Over> {
        let mut silent = false;
        while let Some(event) = self.endpoint.poll_event() {
            let result = match event {
                Event::Answered(response) => Ok(response),
                Event::Failed(failure) => Err(failure),
                Event::Notified(resource, response) => {
                    self.told.put(Told::new(resource, response));
                    continue;
                }
                Event::Lost(resource, cause) => {
                    tracing::debug!(path = %resource, %cause, "an observation is lost and is made again");
                    continue;
                }
                Event::Silent => {
                    silent = true;
                    continue;
                }
            };
            if let Some(caller) = self.waiting.take() {
                // Nobody waits any more if it fails.
                caller.send((result, self.told.mark())).ok();
            }
        }
        if silent {
            self.raise_doubt();
        }
        match self.secure.as_ref().filter(|_| silent) {
            Some(_) => Err("it does not answer in the DTLS session".to_owned()),
            None => Ok(()),
        }
    }

    /// Waits for the next thing and sees to it; `false`: the orders have ended.
    async fn next(&mut self, orders: Option<&mut mpsc::Receiver<Order>>) -> Result<bool, Over> {
        let wake = self.wake();
        let idle = self.waiting.is_none();
        let order = async {
            match orders {
                Some(orders) if idle => orders.recv().await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            order = order => match order {
                Some(Order::Ask(request, caller)) => {
                    self.waiting = Some(caller);
                    self.endpoint.request(now(), request);
                }
                Some(Order::Keep(resources, silence)) => {
                    self.endpoint.keep_watching(&resources);
                    self.endpoint.set_silence(silence);
                }
                None => return Ok(false),
            },
            received = self.socket.recv(&mut self.buffer) => match received {
                // What fills the buffer was longer.
                Ok(length) if length < MAX_DATAGRAM => self.hear(length),
                Ok(_) => {}
                Err(error) => self.failed(&error, false)?,
            },
            () = sleep_until(wake) => self.tick(),
        }
        Ok(true)
    }

    fn wake(&self) -> TokioInstant {
        let secure = self.secure.as_ref().and_then(Secure::poll_timeout);
        let at = [self.endpoint.poll_timeout(), secure].into_iter().flatten().min();
        at.map_or_else(|| TokioInstant::now() + Duration::from_secs(3600), TokioInstant::from_std)
    }

    fn tick(&mut self) {
        if let Some(secure) = &mut self.secure
            && secure.poll_timeout().is_some_and(|at| at <= now())
        {
            secure.handle_timeout(now());
        }
        self.endpoint.handle_timeout(now());
    }

    /// Takes in what is in the buffer.
    fn hear(&mut self, length: usize) {
        let datagram = self.buffer.get(..length).unwrap_or_default();
        let Some(secure) = &mut self.secure else {
            self.endpoint.handle_datagram(now(), datagram);
            return;
        };
        secure.handle_datagram(now(), datagram);
        while let Some(message) = secure.poll_plain() {
            self.endpoint.handle_datagram(now(), &message);
        }
    }

    /// The system says that a datagram did not arrive: an earlier one, or the one that was to be sent, if that is the endpoint's message.
    /// Errors: the session cannot be made.
    fn failed(&mut self, error: &io::Error, is_message: bool) -> Result<(), Over> {
        let words = words(error);
        if self.secure.as_ref().is_some_and(|secure| !secure.is_connected()) {
            return Err(words);
        }
        match is_message {
            true => self.endpoint.handle_unsent(now(), &words),
            false => self.endpoint.handle_unreachable(now(), &words),
        }
        Ok(())
    }

    /// Says so once, without waiting.
    fn take_leave(&mut self) {
        self.endpoint.close();
        while let Some((datagram, _)) = self.outgoing() {
            self.socket.try_send(&datagram).ok();
        }
        if let Some(secure) = &mut self.secure {
            secure.close();
            while let Some(datagram) = secure.poll_transmit() {
                self.socket.try_send(&datagram).ok();
            }
        }
    }
}

/// A socket that hears one peer alone, and how many others there are to be tried. Of several addresses of a name the
/// `turn`-th is tried first, and those that cannot be reached from here are passed over.
async fn connected(
    local: Option<SocketAddr>,
    address: &BusAddress,
    turn: usize,
) -> Result<(UdpSocket, usize), String> {
    let found = match address {
        BusAddress::Socket(peer) => vec![*peer],
        BusAddress::Host(host, port) => {
            let found = timeout(RESOLVE, lookup_host((host.as_str(), *port))).await;
            let found = found.map_err(|_| "its name is not resolved in time".to_owned())?;
            found.map_err(|_| "its name is not known".to_owned())?.collect()
        }
    };
    let peers = in_turn(found, local, turn)?;
    Ok((first_of(local, &peers).await?, peers.len().saturating_sub(1)))
}

/// A socket to the first of these that can be reached from here.
async fn first_of(local: Option<SocketAddr>, peers: &[SocketAddr]) -> Result<UdpSocket, String> {
    let mut failed = "its name has no address".to_owned();
    for peer in peers {
        match connected_to(local, *peer).await {
            Ok(socket) => return Ok(socket),
            Err(why) => failed = why,
        }
    }
    Err(failed)
}

/// The addresses that can be reached from the bus' own, in the order in which they are to be tried.
fn in_turn(
    mut found: Vec<SocketAddr>,
    local: Option<SocketAddr>,
    turn: usize,
) -> Result<Vec<SocketAddr>, String> {
    if let Some(own) = local.filter(|_| !found.is_empty()) {
        found.retain(|peer| peer.is_ipv4() == own.is_ipv4());
        if found.is_empty() {
            return Err(format!("the bus has the address {}, which is of another family", own.ip()));
        }
    }
    let first = turn.checked_rem(found.len()).unwrap_or(0);
    found.rotate_left(first);
    Ok(found)
}

async fn connected_to(local: Option<SocketAddr>, peer: SocketAddr) -> Result<UdpSocket, String> {
    let any = if peer.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let own = local.unwrap_or(SocketAddr::new(any, 0));
    let from = |error: io::Error| format!("the bus' address {} is not usable: {}", own.ip(), words(&error));
    let socket = UdpSocket::bind(own).await.map_err(from)?;
    socket.connect(peer).await.map_err(|error| words(&error))?;
    Ok(socket)
}

/// Without the number of the operating system's error.
fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "nothing listens on this port".to_owned(),
        io::ErrorKind::HostUnreachable => "no route to the host".to_owned(),
        io::ErrorKind::NetworkUnreachable => "no route to the network".to_owned(),
        _ => error.to_string(),
    }
}

/// The time of the runtime, so that it can be a virtual one.
fn now() -> Instant {
    TokioInstant::now().into_std()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_device_is_asked_from_the_address_of_its_bus() {
        let device = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let peer = BusAddress::Socket(device.local_addr().unwrap());
        let from = |own: &str| {
            let (own, peer) = (SocketAddr::new(own.parse().unwrap(), 0), peer.clone());
            async move { connected(Some(own), &peer, 0).await.map(|(socket, _)| socket) }
        };
        let socket = from("127.0.0.5").await.unwrap();
        socket.send(b"?").await.unwrap();
        let mut buffer = [0; 8];
        assert_eq!(device.recv_from(&mut buffer).await.unwrap(), (1, socket.local_addr().unwrap()));
        assert_eq!(socket.local_addr().unwrap().ip(), IpAddr::from([127, 0, 0, 5]));
        assert!(from("192.0.2.1").await.unwrap_err().contains("192.0.2.1 is not usable"));
        assert!(from("::1").await.unwrap_err().contains("another family"));
    }

    #[test]
    fn the_addresses_of_a_name_are_tried_in_turn_and_fit_the_bus() {
        let all: Vec<SocketAddr> = ["[2001:db8::1]:5683", "192.0.2.1:5683", "192.0.2.2:5683"]
            .map(|text| text.parse().unwrap())
            .into();
        let tried = |local: Option<&str>, turn| {
            let local = local.map(|text| SocketAddr::new(text.parse().unwrap(), 0));
            in_turn(all.clone(), local, turn)
        };
        assert_eq!(tried(None, 0), Ok(all.clone()));
        assert_eq!(tried(None, 4), Ok(vec![all[1], all[2], all[0]]));
        assert_eq!(tried(Some("127.0.0.1"), 1), Ok(vec![all[2], all[1]]));
        assert_eq!(tried(Some("::1"), 7), Ok(vec![all[0]]));
        let own = Some(SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 0));
        assert!(in_turn(vec![all[0]], own, 0).unwrap_err().contains("another family"));
    }

    #[tokio::test]
    async fn an_address_that_cannot_be_reached_is_passed_over() {
        let device = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        // Nobody may send to everybody without asking for it.
        assert!(connected_to(None, "255.255.255.255:5683".parse().unwrap()).await.is_err());
        let both = vec!["255.255.255.255:5683".parse().unwrap(), device.local_addr().unwrap()];
        let socket = first_of(None, &both).await.unwrap();
        assert_eq!(socket.peer_addr().unwrap(), device.local_addr().unwrap());
    }
}
