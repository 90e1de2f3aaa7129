//! What a device says to each datagram. No sockets: peers are addresses, and what is to be sent has a time.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::mischief::{CoapFault, Mischief};

use super::device::CoapDevice;
use super::packet::{ACK, CON, GET, NON, POST, PUT, Packet, RST, code, option};

/// As many requests are remembered.
const REMEMBERED: usize = 1024;

/// As many answers are kept for requests that come again.
const ANSWERS: usize = 64;

/// As many peers and resources are told of changes.
const OBSERVERS: usize = 64;

/// Longest body that is put together.
const LONGEST: usize = 64 * 1024;

/// What moves by itself is told of so often at most.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// An answer that takes longer is acknowledged first.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long a notification that is out of order is held back.
const HELD: Duration = Duration::from_millis(300);

/// Until a notification that was not acknowledged is sent again; then twice as long.
const AGAIN: Duration = Duration::from_secs(2);

/// One request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Method.
    pub method: u8,
    /// Path.
    pub path: String,
    /// Body.
    pub body: Vec<u8>,
    /// Whether it asked to be told of changes: 0, or no longer: 1.
    pub observe: Option<u32>,
    /// The code of the answer.
    pub answer: u8,
}

/// Something that is to be sent.
#[derive(Debug)]
pub(super) struct Out {
    pub(super) at: Instant,
    pub(super) peer: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

#[derive(Debug)]
struct Observer {
    peer: SocketAddr,
    token: Vec<u8>,
    path: String,
    accept: Option<u32>,
    shown: Vec<u8>,
    told: Instant,
}

#[derive(Debug)]
struct Unacknowledged {
    peer: SocketAddr,
    id: u16,
    token: Vec<u8>,
    bytes: Vec<u8>,
    at: Instant,
    pause: Duration,
}

/// A device that is served.
pub(super) struct State {
    pub(super) device: CoapDevice,
    pub(super) mischief: Mischief<CoapFault>,
    /// When the world was last brought up to date; `None`: time stands still.
    clock: Option<Instant>,
    /// How long what it says is fresh; `None`: it does not say.
    pub(super) max_age: Option<u32>,
    /// The size of its blocks, as the exponent.
    pub(super) exponent: u32,
    observers: Vec<Observer>,
    unacknowledged: Vec<Unacknowledged>,
    answers: VecDeque<((SocketAddr, u16), Vec<Out>)>,
    uploads: BTreeMap<(SocketAddr, String), Vec<u8>>,
    id: u16,
    number: u32,
    garbles: u32,
    held: Option<Out>,
    log: VecDeque<Seen>,
    pub(super) asked: u64,
}

impl State {
    pub(super) fn new(device: CoapDevice, clock: Option<Instant>) -> Self {
        Self {
            device,
            mischief: Mischief::default(),
            clock,
            max_age: None,
            exponent: 6,
            observers: Vec::new(),
            unacknowledged: Vec::new(),
            answers: VecDeque::new(),
            uploads: BTreeMap::new(),
            id: 1,
            number: 1,
            garbles: 0,
            held: None,
            log: VecDeque::new(),
            asked: 0,
        }
    }

    /// The newest requests.
    pub(super) fn log(&self) -> Vec<Seen> {
        self.log.iter().cloned().collect()
    }

    /// How many are told of changes.
    pub(super) fn observers(&self) -> usize {
        self.observers.len()
    }

    /// Loses and regains power.
    pub(super) fn reboot(&mut self) {
        self.device.reboot();
        self.observers.clear();
        self.unacknowledged.clear();
        self.answers.clear();
        self.uploads.clear();
        (self.id, self.number, self.held) = (1, 1, None);
    }

    /// Brings the world up to date.
    pub(super) fn catch_up(&mut self, now: Instant) {
        if let Some(then) = &mut self.clock {
            self.device.step(now - *then);
            *then = now;
        }
    }

    /// The answer to a datagram.
    pub(super) fn hear(&mut self, now: Instant, peer: SocketAddr, bytes: &[u8]) -> Vec<Out> {
        let Some(packet) = Packet::parse(bytes) else { return Vec::new() };
        self.catch_up(now);
        match (packet.kind, packet.code) {
            (ACK, _) => self.unacknowledged.retain(|it| it.peer != peer || it.id != packet.id),
            (RST, _) => self.rejected(peer, packet.id),
            (CON, 0) => {
                return self.send(now, peer, &[Packet { kind: RST, id: packet.id, ..Packet::default() }]);
            }
            (CON | NON, 1..=31) => return self.requested(now, peer, &packet),
            _ => {}
        }
        Vec::new()
    }

    /// Who rejects a notification is told nothing more.
    fn rejected(&mut self, peer: SocketAddr, id: u16) {
        let gone = self.unacknowledged.extract_if(.., |it| it.peer == peer && it.id == id);
        let tokens: Vec<_> = gone.map(|it| it.token).collect();
        self.observers.retain(|it| it.peer != peer || !tokens.contains(&it.token));
    }

    fn requested(&mut self, now: Instant, peer: SocketAddr, request: &Packet) -> Vec<Out> {
        let known = self.answers.iter().find(|(key, _)| *key == (peer, request.id));
        if let Some((_, outs)) = known {
            // What was silent stays silent: the fault was in the answer.
            return outs.iter().map(|out| Out { at: now, peer, bytes: out.bytes.clone() }).collect();
        }
        let answer = self.answer(now, peer, request);
        self.asked += 1;
        if self.log.len() >= REMEMBERED {
            self.log.pop_front();
        }
        self.log.push_back(Seen {
            method: request.code,
            path: request.joined(option::URI_PATH, "/"),
            body: request.payload.clone(),
            observe: request.number(option::OBSERVE),
            answer: answer.code,
        });
        let outs = self.dispatch(now, peer, request, answer);
        if self.answers.len() >= ANSWERS {
            self.answers.pop_front();
        }
        let kept = outs.iter().map(|out| Out { at: out.at, peer, bytes: out.bytes.clone() }).collect();
        self.answers.push_back(((peer, request.id), kept));
        outs
    }

    /// The answer, as faults let it out.
    fn dispatch(&mut self, now: Instant, peer: SocketAddr, request: &Packet, mut answer: Packet) -> Vec<Out> {
        let writes = matches!(request.code, PUT | POST);
        let mischief = &mut self.mischief;
        if mischief.happen(|fault| *fault == CoapFault::Silent).is_some() {
            return Vec::new();
        }
        let empty = Packet { kind: ACK, id: request.id, ..Packet::default() };
        if writes && mischief.happen(|fault| *fault == CoapFault::Unconfirmed).is_some() {
            return self.send(now, peer, &[empty]);
        }
        if mischief.happen(|fault| *fault == CoapFault::WrongToken).is_some() {
            answer.token.iter_mut().for_each(|byte| *byte ^= 0x55);
        }
        let delay = mischief.happen(|fault| matches!(fault, CoapFault::Slow(_) | CoapFault::Late(_)));
        let (delay, alone) = match delay {
            Some(CoapFault::Slow(time)) => (time, time >= PATIENCE),
            Some(CoapFault::Late(time)) => (time, false),
            _ => (Duration::ZERO, false),
        };
        let mut outs = Vec::new();
        if request.kind == NON || alone {
            answer.kind = if request.kind == NON { NON } else { CON };
            answer.id = self.new_id();
            if request.kind == CON {
                outs.extend(self.send(now, peer, &[empty]));
            }
        }
        outs.extend(self.send(now + delay, peer, &[answer]));
        outs
    }

    fn answer(&mut self, now: Instant, peer: SocketAddr, request: &Packet) -> Packet {
        let mut answer =
            Packet { kind: ACK, id: request.id, token: request.token.clone(), ..Packet::default() };
        let critical = |number: &u16| {
            number % 2 == 1
                && ![option::URI_PATH, option::URI_QUERY, option::ACCEPT, option::BLOCK1, option::BLOCK2]
                    .contains(number)
                && !option::IGNORED.contains(number)
        };
        if request.options.iter().any(|(number, _)| critical(number)) {
            answer.code = code(4, 2);
            return answer;
        }
        if let Some(CoapFault::Refuse(code)) =
            self.mischief.happen(|fault| matches!(fault, CoapFault::Refuse(_)))
        {
            answer.code = code;
            return answer;
        }
        let path = self.path(request);
        match request.code {
            GET => self.get(now, peer, request, &path, answer),
            PUT | POST => self.put(peer, request, &path, answer),
            _ => Packet { code: code(4, 5), ..answer },
        }
    }

    /// What the request is about: with its query where there is a resource of its own for it.
    fn path(&self, request: &Packet) -> String {
        let path = request.joined(option::URI_PATH, "/");
        let whole = format!("{path}?{}", request.joined(option::URI_QUERY, "&"));
        if self.device.resource(&whole).is_some() { whole } else { path }
    }

    fn get(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        request: &Packet,
        path: &str,
        mut answer: Packet,
    ) -> Packet {
        let accept = request.number(option::ACCEPT);
        let (form, body) = match self.device.show(path, accept) {
            Ok(shown) => shown,
            Err(code) => return Packet { code, ..answer },
        };
        answer.code = code(2, 5);
        let asked = request.number(option::BLOCK2);
        self.observe(now, peer, request, path, &body, &mut answer);
        answer.set(option::CONTENT_FORMAT, form.number().into());
        if let Some(seconds) = self.max_age {
            answer.set(option::MAX_AGE, seconds);
        }
        self.in_blocks(&mut answer, &body, asked);
        answer
    }

    /// Takes note of who wants to be told, or no longer.
    fn observe(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        request: &Packet,
        path: &str,
        body: &[u8],
        answer: &mut Packet,
    ) {
        let Some(wish) = request.number(option::OBSERVE) else { return };
        self.observers.retain(|it| it.peer != peer || it.token != request.token);
        let possible = self.device.resource(path).is_some_and(|resource| resource.observable);
        if wish != 0 || !possible || self.mischief.has(|fault| *fault == CoapFault::NoObserve) {
            return;
        }
        if self.observers.len() >= OBSERVERS {
            return;
        }
        self.number += 1;
        answer.set(option::OBSERVE, self.number);
        if self.mischief.has(|fault| *fault == CoapFault::ObserveLost) {
            return;
        }
        self.observers.push(Observer {
            peer,
            token: request.token.clone(),
            path: path.to_owned(),
            accept: request.number(option::ACCEPT),
            shown: body.to_vec(),
            told: now,
        });
    }

    /// The block that is asked for, or the first if all is too long for one.
    fn in_blocks(&mut self, answer: &mut Packet, body: &[u8], asked: Option<u32>) {
        let exponent = asked.map_or(self.exponent, |value| (value & 7).min(self.exponent));
        let size = 16usize << exponent;
        // A smaller size than was asked for begins at the same byte.
        let mut number = asked.map_or(0, |value| (value >> 4) as usize * (16 << (value & 7)) / size);
        if number == 0 && body.len() <= size {
            answer.payload = body.to_vec();
            return;
        }
        if number > 0 && self.mischief.happen(|fault| *fault == CoapFault::BlockMissing).is_some() {
            number += 1;
        }
        let (start, end) = ((number * size).min(body.len()), ((number + 1) * size).min(body.len()));
        answer.payload = body.get(start..end).unwrap_or_default().to_vec();
        let tag = body.iter().fold(0u32, |tag, byte| tag.wrapping_mul(31).wrapping_add((*byte).into()));
        answer.options.push((option::ETAG, tag.to_be_bytes().to_vec()));
        let more = u32::from(end < body.len());
        answer.set(option::BLOCK2, (number as u32) << 4 | more << 3 | exponent);
        if number == 0 {
            answer.set(option::SIZE2, body.len() as u32);
        }
    }

    fn put(&mut self, peer: SocketAddr, request: &Packet, path: &str, mut answer: Packet) -> Packet {
        let mut body = request.payload.clone();
        if let Some(value) = request.number(option::BLOCK1) {
            let (exponent, more, size) =
                ((value & 7).min(self.exponent), value & 8 != 0, 16usize << (value & 7));
            let start = (value >> 4) as usize * size;
            let key = (peer, path.to_owned());
            let missing =
                start > 0 && self.mischief.happen(|fault| *fault == CoapFault::BlockMissing).is_some();
            let mut so_far = self.uploads.remove(&key).unwrap_or_default();
            if missing || start > so_far.len() || so_far.len() > LONGEST {
                return Packet { code: code(4, 8), ..answer };
            }
            if value & 7 > exponent && start == 0 {
                // The first block is larger than this device likes: what it takes of it is one of its own.
                body.truncate(16 << exponent);
            }
            so_far.truncate(start);
            so_far.extend(&body);
            answer.set(option::BLOCK1, (value >> 4) << 4 | u32::from(more) << 3 | exponent);
            if more {
                self.uploads.insert(key, so_far);
                return Packet { code: code(2, 31), ..answer };
            }
            body = so_far;
        } else if body.len() > 16 << self.exponent {
            answer.set(option::BLOCK1, self.exponent);
            return Packet { code: code(4, 13), ..answer };
        }
        let frozen = self.mischief.happen(|fault| *fault == CoapFault::Frozen).is_some();
        let taken = self.device.take(path, request.number(option::CONTENT_FORMAT), &body, frozen);
        answer.code = taken.err().unwrap_or(code(2, 4));
        answer
    }

    /// Tells of what has changed; `all`: of what moves by itself, too, however lately it was told.
    pub(super) fn tell(&mut self, now: Instant, all: bool) -> Vec<Out> {
        self.catch_up(now);
        let mut outs = self.again(now);
        if self.held.as_ref().is_some_and(|out| out.at <= now) {
            outs.extend(self.held.take());
        }
        if self.mischief.has(|fault| matches!(fault, CoapFault::Silent | CoapFault::ObserveLost)) {
            return outs;
        }
        let mut observers = std::mem::take(&mut self.observers);
        observers.retain_mut(|observer| {
            let shown = self.device.show(&observer.path, observer.accept);
            let Ok((form, body)) = shown else { return false };
            if body == observer.shown || (!all && now - observer.told < TOLD_EVERY) {
                return true;
            }
            (observer.shown, observer.told) = (body.clone(), now);
            self.number += 1;
            let id = self.new_id();
            let mut packet = Packet {
                kind: CON,
                code: code(2, 5),
                id,
                token: observer.token.clone(),
                ..Packet::default()
            };
            packet.set(option::OBSERVE, self.number);
            packet.set(option::CONTENT_FORMAT, form.number().into());
            if let Some(seconds) = self.max_age {
                packet.set(option::MAX_AGE, seconds);
            }
            self.in_blocks(&mut packet, &body, None);
            let sent = self.send(now, observer.peer, std::slice::from_ref(&packet));
            self.unacknowledged.push(Unacknowledged {
                peer: observer.peer,
                id,
                token: observer.token.clone(),
                bytes: packet.bytes(),
                at: now + AGAIN,
                pause: AGAIN,
            });
            outs.extend(self.reordered(now, sent));
            true
        });
        self.observers = observers;
        outs
    }

    fn reordered(&mut self, now: Instant, sent: Vec<Out>) -> Vec<Out> {
        if self.held.is_none() && self.mischief.has(|fault| *fault == CoapFault::Reordered) {
            let mut sent = sent.into_iter();
            self.held = sent.next().map(|out| Out { at: now + HELD, ..out });
            return sent.collect();
        }
        sent.into_iter().chain(self.held.take().map(|out| Out { at: now, ..out })).collect()
    }

    /// Sends again what was not acknowledged; who does not for too long is told nothing more.
    fn again(&mut self, now: Instant) -> Vec<Out> {
        let (mut outs, mut gone) = (Vec::new(), Vec::new());
        self.unacknowledged.retain_mut(|it| {
            if it.at > now {
                return true;
            }
            it.pause *= 2;
            it.at = now + it.pause;
            if it.pause > AGAIN * 16 {
                gone.push((it.peer, it.token.clone()));
                return false;
            }
            outs.push(Out { at: now, peer: it.peer, bytes: it.bytes.clone() });
            true
        });
        self.observers.retain(|it| !gone.contains(&(it.peer, it.token.clone())));
        outs
    }

    /// Datagrams, as faults let them out.
    fn send(&mut self, at: Instant, peer: SocketAddr, packets: &[Packet]) -> Vec<Out> {
        let mut outs = Vec::new();
        for packet in packets {
            let garbled = self.mischief.happen(|fault| *fault == CoapFault::Garbled).is_some();
            let bytes = if garbled { self.garble(packet) } else { packet.bytes() };
            let twice = self.mischief.happen(|fault| *fault == CoapFault::Duplicate).is_some();
            let times = if twice { 2 } else { 1 };
            outs.extend((0..times).map(|_| Out { at, peer, bytes: bytes.clone() }));
        }
        outs
    }

    fn garble(&mut self, packet: &Packet) -> Vec<u8> {
        self.garbles += 1;
        let mut bytes = packet.bytes();
        match self.garbles % 4 {
            0 => bytes.truncate(3),
            1 => bytes.iter_mut().for_each(|byte| *byte ^= 0xa5),
            2 => {
                let mut nonsense = packet.clone();
                nonsense.payload = vec![0xff, 0xfe, 0x00, 0x80];
                bytes = nonsense.bytes();
            }
            _ => bytes.extend([0xff; 40]),
        }
        bytes
    }

    fn new_id(&mut self) -> u16 {
        self.id = self.id.wrapping_add(1);
        self.id
    }
}
