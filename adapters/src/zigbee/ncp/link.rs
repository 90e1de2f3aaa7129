//! The task that owns the way to a coordinator: one request at a time, what is said unasked, resets, silence.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant as TokioInstant, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::serial::wire::Wire;

use super::framing::{Event, Framing};
use super::hub::{Backlog, Hub};
use super::port::Lost;
use super::room::is_over;
use super::{Damage, Loss, NcpEvent, NcpFault};

/// Most bytes that are taken in at once.
const BUFFER: usize = 1024;

/// Requests that may wait for their turn.
const QUEUE: usize = 32;

/// How long a request may wait for its turn and its answer together.
const TURN: Duration = Duration::from_secs(40);

/// How long the answer to a probe may take, and how often one is tried.
const PROBE: (Duration, u32) = (Duration::from_secs(3), 3);

/// A coordinator that has said nothing for so long is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(30);

/// A request. It shows nothing, because there may be a key in it.
pub(super) struct Request {
    /// Which one: a frame ID of EZSP, a command of MT.
    pub(super) id: u16,
    pub(super) body: Vec<u8>,
    /// How long its answer may take.
    pub(super) within: Duration,
    /// It is not sent any more after that.
    pub(super) by: Option<Instant>,
}

/// Why a request was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The coordinator does not know it.
    Unknown,
    /// There was no answer in time.
    TooLate,
    /// It was not asked: there was no time left, or the coordinator was being reset.
    NotAsked,
    /// The coordinator is gone; it was not asked.
    Gone(NcpFault),
    /// The coordinator went before it answered.
    Lost(NcpFault),
}

impl Failure {
    /// As a fault of somebody who wanted something.
    pub(super) fn of(self, what: &'static str) -> NcpFault {
        match self {
            Self::Unknown => NcpFault::Refused(what, "its firmware does not know how".to_owned()),
            Self::TooLate | Self::NotAsked => NcpFault::TooLate(what),
            Self::Gone(fault) | Self::Lost(fault) => fault,
        }
    }
}

/// What a frame is.
pub(super) enum Heard {
    /// The answer to the request that is under way.
    Answer(Vec<u8>),
    /// The coordinator does not know the request that is under way.
    Unknown,
    /// Something that was said unasked.
    Word(u16, Vec<u8>),
    /// Nothing that anybody waits for.
    Stray,
}

/// What requests and answers are like.
pub(super) trait Dialect: Send + 'static {
    /// The coordinator is being reset.
    fn reset(&mut self) {}

    /// Whether a request is understood now.
    fn may(&self, _: &Request) -> bool {
        true
    }

    /// A request as a frame. Its answer is awaited from now on, and no other one.
    fn request(&mut self, request: &Request) -> Vec<u8>;

    /// What a frame is.
    fn read(&mut self, frame: Vec<u8>) -> Heard;

    /// A request that changes nothing and that every coordinator answers.
    fn probe(&self) -> Request;

    /// How many messages the coordinator says to have dropped, since the last time.
    fn dropped(&mut self) -> u64 {
        0
    }

    /// What was said unasked becomes events.
    fn word(&mut self, id: u16, body: &[u8], events: &mut Backlog);
}

type Done = oneshot::Sender<Result<Vec<u8>, Failure>>;

enum Order {
    Ask(Request, Done),
    Reset(oneshot::Sender<()>),
}

/// The way to a coordinator. It is closed when this is dropped.
#[derive(Debug)]
pub(super) struct Link {
    orders: mpsc::Sender<Order>,
    hub: Arc<Hub>,
    _stop: DropGuard,
}

impl Link {
    /// Takes over a way whose coordinator is ready.
    pub(super) fn start<F: Framing, D: Dialect>(
        wire: Wire,
        framing: F,
        dialect: D,
        hub: &Arc<Hub>,
        events: mpsc::Sender<NcpEvent>,
        lost: Lost,
    ) -> Self {
        let (orders, taken) = mpsc::channel(QUEUE);
        let stop = CancellationToken::new();
        let talk = Talk {
            wire,
            framing,
            dialect,
            backlog: Backlog::default(),
            busy: Busy::Free,
            heard: now(),
            lost,
        };
        tokio::spawn(talk.keep(taken, events, Arc::clone(hub), stop.clone()));
        Self { orders, hub: Arc::clone(hub), _stop: stop.drop_guard() }
    }

    /// Asks something. It is asked once, whatever happens.
    pub(super) async fn ask(&self, request: Request) -> Result<Vec<u8>, Failure> {
        let (done, answer) = oneshot::channel();
        self.order(Order::Ask(request, done), answer).await?
    }

    /// Resets the coordinator.
    pub(super) async fn reset(&self) -> Result<(), Failure> {
        let (done, ready) = oneshot::channel();
        self.order(Order::Reset(done), ready).await
    }

    async fn order<T>(&self, order: Order, answer: oneshot::Receiver<T>) -> Result<T, Failure> {
        let answered = async {
            self.orders.send(order).await.ok()?;
            answer.await.ok()
        };
        match timeout(TURN, answered).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(Failure::Gone(self.hub.gone())),
            Err(_) => Err(Failure::TooLate),
        }
    }
}

/// What the coordinator is asked at the moment.
enum Busy {
    Free,
    /// Who waits for an answer, and until when.
    Asked(Done, Instant),
    /// It is asked whether it answers at all; how often that was, and until when an answer is awaited. Answers come in order,
    /// so that nothing of before is left once there is one.
    Probed(u32, Instant),
    /// It is being reset.
    Resetting(oneshot::Sender<()>),
}

struct Talk<F, D> {
    wire: Wire,
    framing: F,
    dialect: D,
    backlog: Backlog,
    busy: Busy,
    /// When it was heard last.
    heard: Instant,
    lost: Lost,
}

impl<F: Framing, D: Dialect> Talk<F, D> {
    async fn keep(
        mut self,
        mut orders: mpsc::Receiver<Order>,
        events: mpsc::Sender<NcpEvent>,
        hub: Arc<Hub>,
        stop: CancellationToken,
    ) {
        let ended = tokio::select! {
            () = stop.cancelled() => None,
            cause = self.run(&mut orders, &events, &hub) => cause,
        };
        let Some(cause) = ended else { return hub.end("the coordinator was closed") };
        hub.end(&cause);
        // With the way and whoever waits for an answer.
        let mut backlog = std::mem::take(&mut self.backlog);
        if let Busy::Asked(done, _) = std::mem::replace(&mut self.busy, Busy::Free) {
            drop(done.send(Err(Failure::Lost(hub.gone()))));
        }
        drop(self);
        drop(orders);
        if !hub.is_open() {
            return;
        }
        backlog.push(NcpEvent::Down(cause));
        let told = async {
            while let Some(event) = backlog.pop() {
                if events.send(event).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = told => {}
        }
    }

    /// Goes on until the coordinator is gone. Why it is; `None`: nobody listens any more.
    async fn run(
        &mut self,
        orders: &mut mpsc::Receiver<Order>,
        events: &mpsc::Sender<NcpEvent>,
        hub: &Hub,
    ) -> Option<String> {
        let mut buffer = [0; BUFFER];
        loop {
            if let Err(cause) = self.settle().await {
                return Some(cause);
            }
            self.note_damage(hub);
            let wake = self.wake();
            tokio::select! {
                read = self.wire.read(&mut buffer) => match read {
                    Ok(count) => {
                        self.heard = now();
                        self.framing.hear(now(), buffer.get(..count).unwrap_or_default());
                        // One that never falls silent holds up no timer.
                        self.tick();
                    }
                    Err(error) => return Some(self.lost.words(&error)),
                },
                room = events.reserve(), if hub.is_open() && !self.backlog.is_empty() => match (room, self.backlog.pop()) {
                    (Ok(room), Some(event)) => room.send(event),
                    (Ok(_), None) => {}
                    (Err(_), _) => return None,
                },
                order = orders.recv(), if matches!(self.busy, Busy::Free) => self.begin(order?),
                () = sleep_until(TokioInstant::from_std(wake)) => self.tick(),
            }
        }
    }

    /// Writes what is to be written, and takes in what has happened.
    async fn settle(&mut self) -> Result<(), String> {
        loop {
            let out = self.framing.output();
            if !out.is_empty() {
                self.wire.write(&out).await.map_err(|error| self.lost.words(&error))?;
            }
            match self.framing.event() {
                Some(Event::Frame(frame)) => self.frame(frame),
                Some(Event::Ready) => self.ready(),
                Some(Event::Gone(why)) => return Err(why),
                None if self.is_mute() => return Err("the coordinator does not answer any more".to_owned()),
                None => return Ok(()),
            }
        }
    }

    /// What cannot be understood before it is ready is of no concern.
    fn note_damage(&mut self, hub: &Hub) {
        let dropped = self.dialect.dropped() + self.backlog.take_dropped();
        let garbled = self.framing.garbled();
        let lost = match (garbled > 0 && !F::REPEATS, dropped > 0) {
            (true, true) => Some(Loss::Either),
            (true, false) => Some(Loss::Damaged),
            (false, true) => Some(Loss::Dropped),
            (false, false) => None,
        };
        if hub.is_open() && dropped + garbled > 0 {
            self.backlog.damaged(Damage { garbled, dropped, lost });
        }
    }

    fn is_mute(&self) -> bool {
        matches!(self.busy, Busy::Probed(times, until) if times >= PROBE.1 && until <= now())
    }

    fn frame(&mut self, frame: Vec<u8>) {
        let outcome = match self.dialect.read(frame) {
            Heard::Answer(body) => Ok(body),
            Heard::Unknown => Err(Failure::Unknown),
            Heard::Word(id, body) => return self.dialect.word(id, &body, &mut self.backlog),
            Heard::Stray => return,
        };
        match std::mem::replace(&mut self.busy, Busy::Free) {
            // Whoever asked may wait no longer.
            Busy::Asked(done, _) => drop(done.send(outcome)),
            Busy::Probed(..) | Busy::Free => {}
            resetting @ Busy::Resetting(_) => self.busy = resetting,
        }
    }

    fn ready(&mut self) {
        if let Busy::Resetting(done) = std::mem::replace(&mut self.busy, Busy::Free) {
            let waited = done.send(()).is_ok();
            tracing::trace!(waited, "a coordinator was reset");
        }
    }

    fn begin(&mut self, order: Order) {
        match order {
            // Nobody waits any more: it is not asked.
            Order::Ask(_, done) if done.is_closed() => {}
            Order::Ask(request, done) if is_over(request.by) || !self.dialect.may(&request) => {
                drop(done.send(Err(Failure::NotAsked)));
            }
            Order::Ask(request, done) => {
                let frame = self.dialect.request(&request);
                self.framing.say(now(), frame);
                self.busy = Busy::Asked(done, now() + request.within);
            }
            Order::Reset(done) => {
                self.dialect.reset();
                self.framing.reset(now());
                self.busy = Busy::Resetting(done);
            }
        }
    }

    fn probe(&mut self, times: u32) {
        let frame = self.dialect.request(&self.dialect.probe());
        self.framing.say(now(), frame);
        self.busy = Busy::Probed(times, now() + PROBE.0);
    }

    fn wake(&self) -> Instant {
        let own = match &self.busy {
            Busy::Free => self.heard + SILENCE,
            Busy::Asked(_, until) | Busy::Probed(_, until) => *until,
            // The framing ends it.
            Busy::Resetting(_) => now() + SILENCE,
        };
        self.framing.wake().map_or(own, |wake| wake.min(own))
    }

    fn tick(&mut self) {
        self.framing.tick(now());
        match &self.busy {
            Busy::Free if self.heard + SILENCE <= now() => self.probe(1),
            Busy::Asked(_, until) if *until <= now() => {
                if let Busy::Asked(done, _) = std::mem::replace(&mut self.busy, Busy::Free) {
                    drop(done.send(Err(Failure::TooLate)));
                }
                self.framing.resynchronize();
                self.probe(1);
            }
            Busy::Probed(times, until) if *until <= now() && *times < PROBE.1 => {
                let times = *times;
                self.framing.resynchronize();
                self.probe(times + 1);
            }
            _ => {}
        }
    }
}

/// The time of the runtime, so that it can be a virtual one.
pub(super) fn now() -> Instant {
    TokioInstant::now().into_std()
}
