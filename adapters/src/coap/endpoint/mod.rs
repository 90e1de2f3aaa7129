//! One end of a conversation over CoAP, as a pure state machine: datagrams and time go in, datagrams and [`Event`]s
//! come out.
//!
//! - One exchange is under way at a time (NSTART is 1, RFC 7252, 4.7). It ends with one event, at its deadline at the
//!   latest. Every message has an ID of its own, and a token of its own by chance, so that nothing late, repeated or out of
//!   order answers another request; only an observation keeps its token, and has numbers instead.
//! - What is observed is registered again when its time is over, when the device ends it, and when the device has been
//!   away: see [`watch`].
//! - Everything is bounded: one request waits at most, bodies are at most 64 KiB, and what is observed is what the
//!   caller asked for.

pub(crate) mod request;
mod seen;
mod transfer;
mod watch;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use usp_mapping::mapping::CoapOptions;

use self::request::{Failure, Request, Resource, Response};
use self::seen::{Reply, Seen};
use self::transfer::{Step, Transfer};
use self::watch::Watch;
use crate::coap::message::{Code, Kind, Message, Token, option};
use crate::coap_timing::{ACK_TIMEOUT, MAX_RETRANSMIT, TRANSFER};

/// Events that may wait for whoever takes them; further notifications are not acknowledged, so that the device
/// repeats them.
const EVENTS: usize = 64;

/// So long after a datagram was sent the system may say that it did not arrive, and does not say which: a host of the own network that is
/// gone is looked for during three seconds.
const STRAY: Duration = Duration::from_secs(10);

/// What has happened.
#[derive(Debug, PartialEq)]
pub(crate) enum Event {
    /// The request was answered, be it with an error.
    Answered(Response),
    /// There is no answer to the request.
    Failed(Failure),
    /// Something observed has this representation now.
    Notified(Resource, Response),
    /// The device no longer tells of it; the reason.
    Lost(Resource, String),
    /// What was asked for the sake of an observation was not answered.
    Silent,
}

/// What an exchange is for.
#[derive(Clone, Debug, PartialEq)]
enum Purpose {
    /// Its answer is waited for.
    Caller,
    /// To be told of changes.
    Register,
    /// The rest of a notification with this number.
    Rest(Option<u32>),
}

/// A message on its way.
#[derive(Debug)]
struct Flight {
    bytes: Vec<u8>,
    id: u16,
    token: Token,
    /// When it is sent again.
    again_at: Option<Instant>,
    /// The answer comes in a message of its own.
    acknowledged: bool,
    pause: Duration,
    left: u8,
    /// So many times it was handed out.
    sent: u8,
}

/// The exchange under way.
#[derive(Debug)]
struct Job {
    purpose: Purpose,
    transfer: Transfer,
    flight: Flight,
    /// The watch whose token it uses, or whose rest it fetches.
    watch: Option<Resource>,
    /// When the message under way, and when all of it, is given up.
    deadline: Instant,
    latest: Instant,
    /// Something came meanwhile that could not be understood.
    garbled: Option<String>,
}

impl Job {
    /// Whether its first message was not sent, or once, and nothing was heard of it.
    fn is_new(&self, sent: u8) -> bool {
        let flight = &self.flight;
        self.transfer.is_first() && flight.sent == sent && !flight.acknowledged && self.garbled.is_none()
    }
}

/// The state of a conversation with one device.
#[derive(Debug)]
pub(crate) struct Endpoint {
    dice: (RandomState, u64),
    next_id: u16,
    job: Option<Job>,
    waiting: Option<Request>,
    watches: Vec<Watch>,
    seen: Seen,
    transmit: VecDeque<Vec<u8>>,
    /// What was handed out last is the message under way.
    handed_out: bool,
    /// When anything was last sent of which nobody has said that it arrived, but for the message under way.
    stray: Option<Instant>,
    events: VecDeque<Event>,
    /// The last exchange was not answered: what is observed may be forgotten.
    silent: bool,
    /// When anything last came.
    heard: Option<Instant>,
    /// A device that is observed and was silent for so long is asked whether it is still there, however long what it said
    /// stays fresh: it may have restarted, and forgotten what it was to tell of, or its DTLS session.
    silence: Duration,
}

impl Endpoint {
    /// A conversation that has not begun.
    pub(crate) fn new() -> Self {
        let mut endpoint = Self {
            dice: (RandomState::new(), 0),
            next_id: 0,
            job: None,
            waiting: None,
            watches: Vec::new(),
            seen: Seen::default(),
            transmit: VecDeque::new(),
            handed_out: false,
            stray: None,
            events: VecDeque::new(),
            silent: false,
            heard: None,
            silence: CoapOptions::default().silence,
        };
        endpoint.next_id = u16::try_from(endpoint.chance() & 0xffff).unwrap_or(0);
        endpoint
    }

    /// Cannot be guessed from outside: the keys come from the system, and what they make of a count shows nothing of them.
    fn chance(&mut self) -> u64 {
        self.dice.1 += 1;
        self.dice.0.hash_one(self.dice.1)
    }

    /// Asks something: [`Event::Answered`] or [`Event::Failed`] follows. One request at a time.
    pub(crate) fn request(&mut self, now: Instant, request: Request) {
        self.waiting = Some(request);
        self.begin(now);
    }

    /// No longer asks to be told of other resources than these.
    pub(crate) fn keep_watching(&mut self, resources: &[Resource]) {
        let gone: Vec<_> = self.watches.extract_if(.., |it| !resources.contains(&it.resource)).collect();
        gone.into_iter().filter(Watch::is_observed).for_each(|watch| self.deregister(&watch));
    }

    /// After how long a silence it is looked for.
    pub(crate) fn set_silence(&mut self, silence: Duration) {
        self.silence = silence;
    }

    /// Whether the device is to tell of anything.
    pub(crate) fn observes(&self) -> bool {
        !self.watches.is_empty()
    }

    /// Takes leave: the device need not tell of anything any more.
    pub(crate) fn close(&mut self) {
        self.keep_watching(&[]);
    }

    /// The next datagram to send.
    pub(crate) fn poll_transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        let bytes = self.transmit.pop_front()?;
        let flight = self.job.as_mut().map(|job| &mut job.flight).filter(|flight| flight.bytes == bytes);
        self.handed_out = flight.is_some();
        match flight {
            Some(flight) => flight.sent = flight.sent.saturating_add(1),
            None => self.stray = Some(now),
        }
        Some(bytes)
    }

    /// The next event.
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether the request is still under way.
    #[cfg(test)]
    pub(crate) fn is_busy(&self) -> bool {
        self.job.is_some() || self.waiting.is_some()
    }

    /// When to call [`Endpoint::handle_timeout`].
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match &self.job {
            Some(job) => [job.flight.again_at, Some(job.deadline)].into_iter().flatten().min(),
            None if self.events.len() >= EVENTS => None,
            None => {
                let registers = self.watches.iter().filter_map(Watch::due_at);
                registers.chain(self.silent_until()).min()
            }
        }
    }

    /// When it has been silent for so long that it is looked for, if it is to tell of anything.
    fn silent_until(&self) -> Option<Instant> {
        let tells = self.watches.iter().any(Watch::is_observed);
        self.heard.filter(|_| tells)?.checked_add(self.silence)
    }

    /// Sends again what was not acknowledged, gives up what was not answered, registers what was lost.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let late = self.job.take_if(|job| job.deadline <= now);
        if let Some(job) = late {
            let within = job.transfer.request().manner.within;
            let failure = job.garbled.clone().map_or(Failure::Timeout(within), Failure::Garbled);
            self.silent = true;
            self.finish(now, job, Err(failure));
        }
        if let Some(Job { flight, .. }) = &mut self.job
            && flight.again_at.is_some_and(|at| at <= now)
        {
            flight.pause *= 2;
            flight.left = flight.left.saturating_sub(1);
            flight.again_at = (flight.left > 0).then_some(now + flight.pause);
            self.transmit.push_back(flight.bytes.clone());
        }
        self.begin(now);
    }

    /// A datagram did not reach the device, as the system says, which does not say what datagram.
    pub(crate) fn handle_unreachable(&mut self, now: Instant, cause: &str) {
        let is_other = self.stray.is_some_and(|at| now.saturating_duration_since(at) < STRAY);
        self.give_up(now, cause, |job| job.is_new(0) || (job.is_new(1) && !is_other));
    }

    /// The datagram that was handed out last could not be sent.
    pub(crate) fn handle_unsent(&mut self, now: Instant, cause: &str) {
        if let Some(job) = self.job.as_mut().filter(|_| std::mem::take(&mut self.handed_out)) {
            job.flight.sent = job.flight.sent.saturating_sub(1);
        }
        self.give_up(now, cause, |job| job.is_new(0));
    }

    /// What is under way is not waited for any longer; whether it surely was not received.
    fn give_up(&mut self, now: Instant, cause: &str, is_unsent: impl FnOnce(&Job) -> bool) {
        if let Some(job) = self.job.take() {
            self.silent = true;
            // Whoever is told that it was not sent is not belied later.
            self.transmit.retain(|bytes| *bytes != job.flight.bytes);
            let failure = if is_unsent(&job) { Failure::Unsent } else { Failure::Unreachable };
            self.finish(now, job, Err(failure(cause.to_owned())));
        }
        self.begin(now);
    }

    /// Takes a datagram in.
    pub(crate) fn handle_datagram(&mut self, now: Instant, bytes: &[u8]) {
        self.heard = Some(now);
        match Message::parse(bytes) {
            Ok(message) => self.handle_message(now, message, bytes),
            Err(malformed) => {
                if let Some(job) = &mut self.job {
                    job.garbled = Some(malformed.to_string());
                }
                if let [first, _, high, low, ..] = bytes
                    && first >> 4 == 4
                {
                    self.reply(Kind::Reset, u16::from_be_bytes([*high, *low]));
                }
            }
        }
        self.begin(now);
    }

    fn handle_message(&mut self, now: Instant, message: Message, bytes: &[u8]) {
        match message.kind {
            Kind::Reset => {
                if let Some(job) = self.job.take_if(|job| job.flight.id == message.id) {
                    self.finish(now, job, Err(Failure::Reset));
                }
            }
            Kind::Acknowledgement => self.handle_acknowledgement(now, message),
            Kind::Confirmable | Kind::NonConfirmable => {
                let known = self.seen.reply(now, bytes);
                let (is_confirmable, id) = (message.kind == Kind::Confirmable, message.id);
                let Some(reply) = known.or_else(|| self.handle_unasked(now, message)) else { return };
                if known.is_none() {
                    self.seen.note(now, bytes, reply);
                }
                match reply {
                    Reply::Acknowledge if is_confirmable => self.reply(Kind::Acknowledgement, id),
                    Reply::Reset => self.reply(Kind::Reset, id),
                    Reply::Acknowledge | Reply::Nothing => {}
                }
            }
        }
    }

    fn handle_acknowledgement(&mut self, now: Instant, message: Message) {
        let Some(job) = self.job.as_mut().filter(|job| job.flight.id == message.id) else { return };
        if message.code == Code::EMPTY {
            job.flight.again_at = None;
            job.flight.acknowledged = true;
        } else if message.token != job.flight.token {
            job.garbled = Some("it belongs to another request".to_owned());
        } else if message.has_unknown_critical() {
            job.garbled = Some("it has an option that must be understood and is not known".to_owned());
        } else {
            self.answer(now, message);
        }
    }

    /// A response in a message of its own, a notification, or something that nobody waits for. `None`: there is no room
    /// for it now.
    fn handle_unasked(&mut self, now: Instant, message: Message) -> Option<Reply> {
        let confirmable = message.kind == Kind::Confirmable;
        let nobody = if confirmable { Reply::Reset } else { Reply::Nothing };
        if !message.code.is_response() || message.has_unknown_critical() {
            return Some(nobody);
        }
        if let Some(place) = self.watches.iter().position(|watch| watch.token == message.token) {
            return self.handle_told(now, place, message);
        }
        if self.job.as_ref().is_some_and(|job| job.flight.token == message.token) {
            self.answer(now, message);
            return Some(Reply::Acknowledge);
        }
        // It goes on telling unless it is told not to.
        let tells = message.option(option::OBSERVE).is_some();
        Some(if tells { Reply::Reset } else { nobody })
    }

    fn handle_told(&mut self, now: Instant, place: usize, message: Message) -> Option<Reply> {
        let watch = self.watches.get_mut(place)?;
        let flight = self.job.as_ref().map(|job| &job.flight).filter(|flight| flight.token == message.token);
        // Once a registration is acknowledged its answer is on its way, whatever its number: the device may have
        // restarted and count from the beginning.
        let promised = flight.is_some_and(|flight| flight.acknowledged);
        if !promised && !watch.is_newer(now, &message) {
            return Some(Reply::Acknowledge);
        }
        if flight.is_some() {
            self.answer(now, message);
            return Some(Reply::Acknowledge);
        }
        if self.events.len() >= EVENTS {
            return None;
        }
        if !watch.hear(now, &message) {
            let cause = if message.code.is_success() {
                "the device has ended it".to_owned()
            } else {
                format!("the device ends it with {}", message.code)
            };
            watch.fail(now);
            let lost = Event::Lost(watch.resource.clone(), cause);
            self.events.push_back(lost);
            return Some(Reply::Acknowledge);
        }
        match message.block(option::BLOCK2) {
            Ok(Some(block)) if block.more && block.number == 0 => watch.first = Some(message),
            Ok(_) => {
                watch.first = None;
                let event = Event::Notified(watch.resource.clone(), Response::of(&message));
                self.events.push_back(event);
            }
            Err(_) => return Some(Reply::Reset),
        }
        Some(Reply::Acknowledge)
    }

    /// The answer to the message under way.
    fn answer(&mut self, now: Instant, message: Message) {
        let Some(mut job) = self.job.take() else { return };
        let registers = job.transfer.is_first() && job.transfer.request().observe;
        if registers && let Some(watch) = find(&mut self.watches, job.watch.as_ref()) {
            let told = watch.hear(now, &message);
            match (told, message.code.is_success()) {
                (true, _) => {}
                (false, true) => watch.is_unable(),
                (false, false) => watch.fail(now),
            }
        }
        match job.transfer.handle(message) {
            Step::Next => {
                if job.flight.sent > 1 {
                    self.stray = Some(now);
                }
                job.deadline = (now + job.transfer.request().manner.within).min(job.latest);
                job.flight = self.send(now, &job.transfer, job.watch.as_ref());
                self.job = Some(job);
            }
            Step::Done(response) => self.finish(now, job, Ok(response)),
            Step::Failed(failure) => self.finish(now, job, Err(failure)),
        }
    }

    fn finish(&mut self, now: Instant, job: Job, result: Result<Response, Failure>) {
        let is_lost =
            matches!(result, Err(Failure::Timeout(_) | Failure::Unreachable(_) | Failure::Garbled(_)));
        if is_lost || job.flight.sent > 1 {
            self.stray = Some(now);
        }
        let is_back = result.is_ok() && std::mem::take(&mut self.silent);
        let watch = find(&mut self.watches, job.watch.as_ref());
        match (&job.purpose, result) {
            (Purpose::Caller, Ok(response)) => self.events.push_back(Event::Answered(response)),
            (Purpose::Caller, Err(failure)) => {
                if let Some(watch) = watch.filter(|_| job.transfer.request().observe) {
                    watch.fail(now);
                }
                self.events.push_back(Event::Failed(failure));
            }
            (Purpose::Register, Ok(response)) if response.code.is_success() => {
                self.events.extend(job.watch.clone().map(|resource| Event::Notified(resource, response)));
            }
            (Purpose::Rest(number), Ok(response)) if response.code.is_success() => {
                // Something newer may have come meanwhile.
                if let Some(watch) = watch.filter(|watch| watch.number() == *number) {
                    self.events.push_back(Event::Notified(watch.resource.clone(), response));
                }
            }
            (Purpose::Register | Purpose::Rest(_), result) => {
                if let Some(watch) = watch {
                    watch.fail(now);
                }
                if matches!(result, Err(Failure::Timeout(_) | Failure::Unreachable(_) | Failure::Unsent(_))) {
                    self.events.push_back(Event::Silent);
                }
            }
        }
        if is_back {
            self.renew(now, job.watch.as_ref());
        }
    }

    /// The device has been away, perhaps restarted: it may have forgotten what it was to tell of.
    fn renew(&mut self, now: Instant, but: Option<&Resource>) {
        let others = self.watches.iter_mut().filter(|watch| Some(&watch.resource) != but);
        others.for_each(|watch| watch.renew(now));
    }

    /// Begins the next exchange, if none is under way: what somebody waits for before what is observed.
    fn begin(&mut self, now: Instant) {
        if self.job.is_some() {
            return;
        }
        if let Some(mut request) = self.waiting.take() {
            let watch = request.observe.then(|| self.watch(now, &request));
            request.observe = watch.as_ref().is_some_and(|(_, renews)| *renews);
            let watch = watch.map(|(resource, _)| resource);
            self.start(now, Purpose::Caller, Transfer::new(request), watch);
            return;
        }
        if self.events.len() >= EVENTS {
            return;
        }
        if let Some(watch) = self.watches.iter_mut().find(|watch| watch.first.is_some()) {
            let (resource, number) = (watch.resource.clone(), watch.number());
            let request = Request::get(resource.clone(), watch.manner);
            if let Some(first) = watch.first.take() {
                let transfer = Transfer::rest(request, first);
                self.start(now, Purpose::Rest(number), transfer, Some(resource));
            }
            return;
        }
        let is_late = self.silent_until().is_some_and(|at| at <= now);
        let is_due = |watch: &&mut Watch| watch.due_at().is_some_and(|at| at <= now);
        let due = self.watches.iter_mut().find(is_due);
        let due = due.map(|watch| (watch.resource.clone(), watch.is_observed(), watch.manner));
        let looks = || self.watches.iter().find(|watch| watch.is_observed());
        let due =
            due.or_else(|| looks().filter(|_| is_late).map(|it| (it.resource.clone(), false, it.manner)));
        if let Some((resource, is_lost, manner)) = due {
            if is_lost {
                let cause = "nothing was heard of it for longer than it is fresh".to_owned();
                self.events.push_back(Event::Lost(resource.clone(), cause));
            }
            let request = Request { observe: true, ..Request::get(resource.clone(), manner) };
            self.start(now, Purpose::Register, Transfer::new(request), Some(resource));
        }
    }

    /// The watch of a resource, and whether it is to be registered or renewed.
    fn watch(&mut self, now: Instant, request: &Request) -> (Resource, bool) {
        let resource = request.resource.clone();
        if let Some(watch) = self.watches.iter().find(|watch| watch.resource == resource) {
            return (resource, watch.needs_renewal(now));
        }
        let token = Token::new(self.chance());
        self.watches.push(Watch::new(resource.clone(), token, now, request.manner));
        (resource, true)
    }

    fn start(&mut self, now: Instant, purpose: Purpose, transfer: Transfer, watch: Option<Resource>) {
        let within = transfer.request().manner.within;
        let flight = self.send(now, &transfer, watch.as_ref());
        let (deadline, latest) = (now + within, now + within.max(TRANSFER));
        self.job = Some(Job { purpose, transfer, flight, watch, deadline, latest, garbled: None });
    }

    fn send(&mut self, now: Instant, transfer: &Transfer, watch: Option<&Resource>) -> Flight {
        let mut message = transfer.message();
        message.id = self.new_id();
        let registers = transfer.request().observe && transfer.is_first();
        let watch = find(&mut self.watches, watch).filter(|_| registers).map(|watch| watch.token);
        message.token = match watch {
            Some(token) => {
                message = message.with_number(option::OBSERVE, 0);
                token
            }
            None => Token::new(self.chance()),
        };
        let bytes = message.to_bytes();
        self.transmit.push_back(bytes.clone());
        let permille = u32::try_from(self.chance() % 500).unwrap_or(0);
        let pause = ACK_TIMEOUT * (1000 + permille) / 1000;
        let again_at = (message.kind == Kind::Confirmable).then_some(now + pause);
        let (id, token) = (message.id, message.token);
        Flight { bytes, id, token, again_at, acknowledged: false, pause, left: MAX_RETRANSMIT, sent: 0 }
    }

    fn deregister(&mut self, watch: &Watch) {
        let request = Request::get(watch.resource.clone(), watch.manner);
        let mut message = Transfer::new(request).message().with_number(option::OBSERVE, 1);
        message.kind = Kind::NonConfirmable;
        message.token = watch.token;
        message.id = self.new_id();
        self.transmit.push_back(message.to_bytes());
    }

    fn reply(&mut self, kind: Kind, id: u16) {
        self.transmit.push_back(Message::empty(kind, id).to_bytes());
    }

    fn new_id(&mut self) -> u16 {
        self.next_id = self.next_id.wrapping_add(1);
        self.next_id
    }
}

fn find<'a>(watches: &'a mut [Watch], resource: Option<&Resource>) -> Option<&'a mut Watch> {
    watches.iter_mut().find(|watch| Some(&watch.resource) == resource)
}
