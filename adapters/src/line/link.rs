//! The task that keeps one line open.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle as Runtime;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::task::JoinHandle;
use tokio::time::{Instant as TokioInstant, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use usp_mapping::mapping::{Bus, LineBus, LineManner, LinePort};
use usp_mapping::port::DeviceFault;

use crate::bus::backoff::{Backoff, Jitter};
use crate::bus::ear::LinkState;
use crate::bus::statistics::{BusCounters, count};
use crate::bus::{BusPlan, Ends, Outcome, supervise};
use crate::site::{End, SharedLink};

use super::board::{Board, Order};
use super::conversation::{Answer, Conversation, Happened};
use super::debts::Debts;
use super::device::LineDevice;
use super::model::LineModel;
use super::wire::{self, Wire, lost};

/// Pauses between attempts to open a line: whoever plugs an adapter in again waits for it.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// A line that was open for so long was a good one: the next pause is the shortest again.
const GOOD: Duration = Duration::from_secs(10);

/// Most bytes that are taken in at once.
const BUFFER: usize = 1024;

/// A line with what is shared by its devices.
#[derive(Debug)]
pub(crate) struct LineLink {
    board: Arc<Board>,
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl LineLink {
    /// Opens a line, and keeps it open.
    pub(crate) fn start(line: LineBus, bus: &Bus, counters: &Arc<BusCounters>, runtime: &Runtime) -> Self {
        let (board, orders) = Board::new(Arc::clone(counters));
        let stop = CancellationToken::new();
        let keeper = Keeper {
            board: Arc::clone(&board),
            name: bus.name.clone(),
            line,
            orders,
            told: None,
            debts: Debts::default(),
            jitter: Jitter::random(),
        };
        let task = runtime.spawn(keeper.keep(stop.clone()));
        Self { board, stop: stop.drop_guard(), task }
    }
}

impl SharedLink for LineLink {
    fn serve(&self, ends: Ends) -> End {
        let board = Arc::clone(&self.board);
        Box::pin(supervise::supervise::<LineModel, LineDevice>(ends, move |ends| {
            LineDevice::new(&board, ends)
        }))
    }

    fn configure(&self, plan: &BusPlan) {
        self.board.configure(&plan.devices);
    }

    fn stop(self: Box<Self>) -> End {
        drop(self.stop);
        let task = self.task;
        Box::pin(async move {
            if let Err(error) = task.await {
                tracing::error!(%error, "the task of a serial line ended badly");
            }
        })
    }
}

/// Keeps the line.
struct Keeper {
    board: Arc<Board>,
    name: String,
    line: LineBus,
    orders: mpsc::Receiver<Order>,
    /// Why it was not open the last time.
    told: Option<String>,
    /// What was asked when it was open the last time, and may still be answered.
    debts: Debts,
    jitter: Jitter,
}

impl Keeper {
    async fn keep(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        // Without a device nobody says how one speaks here.
        let Some(manner) = self.line.manner.clone() else { return stop.cancelled().await };
        loop {
            let began = TokioInstant::now();
            let Some(cause) = self.session(&manner, &stop).await else { break };
            if began.elapsed() >= GOOD {
                backoff.reset();
            }
            self.down(&cause);
            let pause = backoff.next(&mut self.jitter);
            if timeout(pause, self.refuse(&stop, &cause)).await.is_ok() {
                break;
            }
        }
        self.board.counters.ended();
    }

    fn down(&mut self, cause: &str) {
        let bus = &self.name;
        if self.told.as_deref() == Some(cause) {
            tracing::debug!(%bus, cause, "the serial line is not there");
        } else {
            tracing::warn!(%bus, cause, "the serial line is not there");
            self.told = Some(cause.to_owned());
        }
        self.board.counters.down(cause);
        self.board.state.send_replace(LinkState::Down(cause.to_owned()));
    }

    /// Answers what is ordered while the line is not there, until the end.
    async fn refuse(&mut self, stop: &CancellationToken, cause: &str) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                order = self.orders.recv() => match order {
                    Some(order) => answer(order.done, Outcome::Unsent(gone(cause))),
                    None => return stop.cancelled().await,
                },
            }
        }
    }

    /// The line from when it is opened until it is gone. Why it is; `None`: it is to stop.
    async fn session(&mut self, manner: &Arc<LineManner>, stop: &CancellationToken) -> Option<String> {
        let opened = tokio::select! {
            () = stop.cancelled() => return None,
            opened = wire::open(&self.line) => opened,
        };
        let mut wire = match opened {
            Ok(wire) => wire,
            Err(cause) => {
                count(&self.board.counters.failed_connects);
                return Some(cause);
            }
        };
        self.told = None;
        count(&self.board.counters.connects);
        self.board.counters.up();
        self.board.forget();
        self.board.state.send_replace(LinkState::Up);
        let debts = std::mem::take(&mut self.debts);
        let mut talk = Talk::new(&self.board, Conversation::new(Arc::clone(manner), self.character(), debts));
        let ended = tokio::select! {
            () = stop.cancelled() => return None,
            cause = talk.run(&mut wire, &mut self.orders, &manner.opening) => cause,
        };
        let cause = lost(&self.line, &ended);
        self.debts = talk.end(&cause);
        Some(cause)
    }

    /// How long a character takes; nothing where somebody else owns the port.
    fn character(&self) -> Duration {
        match &self.line.port {
            LinePort::Serial(path) => {
                let line = self.line.settings.line(path);
                Duration::from_secs(u64::from(line.bits_per_character())) / line.baud.max(1)
            }
            LinePort::Tcp(_) => Duration::ZERO,
        }
    }
}

fn gone(cause: &str) -> DeviceFault {
    DeviceFault::Unreachable(cause.to_owned())
}

type Done = tokio::sync::oneshot::Sender<Outcome<Answer>>;

fn answer(done: Done, outcome: Outcome<Answer>) {
    // Whoever asked may wait no longer.
    drop(done.send(outcome));
}

/// A conversation over an open line, and who waits for its answer.
struct Talk<'b> {
    board: &'b Board,
    conversation: Conversation,
    asked: Option<(Done, Instant)>,
    /// Whether anything of what was asked last was handed over.
    sent: bool,
}

impl<'b> Talk<'b> {
    fn new(board: &'b Board, conversation: Conversation) -> Self {
        Self { board, conversation, asked: None, sent: false }
    }

    /// Goes on until the line is gone.
    async fn run(
        &mut self,
        wire: &mut Wire,
        orders: &mut mpsc::Receiver<Order>,
        opening: &[Vec<u8>],
    ) -> std::io::Error {
        for text in opening {
            if let Err(error) = wire.write(text).await {
                return error;
            }
        }
        let mut buffer = [0; BUFFER];
        loop {
            let wake = self.conversation.wake(now());
            let sleep = sleep_until(wake.map_or_else(TokioInstant::now, TokioInstant::from_std));
            tokio::select! {
                biased;
                read = wire.read(&mut buffer) => match read {
                    Ok(count) => {
                        let happened = self.conversation.hear(now(), buffer.get(..count).unwrap_or_default());
                        self.take_in(happened);
                        // A line that never falls silent keeps neither a time-out nor a request waiting.
                        let overdue = self.conversation.tick(now());
                        self.take_in(overdue);
                        if self.conversation.is_free(now()) {
                            match orders.try_recv() {
                                Ok(order) => {
                                    if let Err(error) = self.ask(wire, order).await {
                                        return error;
                                    }
                                }
                                Err(TryRecvError::Empty) => {}
                                Err(TryRecvError::Disconnected) => return std::io::ErrorKind::Interrupted.into(),
                            }
                        }
                    }
                    Err(error) => return error,
                },
                () = sleep, if wake.is_some() => {
                    let happened = self.conversation.tick(now());
                    self.take_in(happened);
                }
                order = orders.recv(), if self.conversation.is_free(now()) => {
                    let Some(order) = order else { return std::io::ErrorKind::Interrupted.into() };
                    if let Err(error) = self.ask(wire, order).await {
                        return error;
                    }
                }
            }
        }
    }

    async fn ask(&mut self, wire: &mut Wire, Order { ask, done }: Order) -> std::io::Result<()> {
        // Nobody waits any more: it is not sent.
        if done.is_closed() {
            return Ok(());
        }
        self.asked = Some((done, now()));
        let request = self.conversation.ask(now(), ask);
        self.sent = false;
        wire.hand_over(&request, &mut self.sent).await?;
        let sent = self.conversation.sent(now());
        self.take_in(sent);
        Ok(())
    }

    fn take_in(&mut self, happened: impl IntoIterator<Item = Happened>) {
        for happened in happened {
            match happened {
                Happened::Heard(frame) => {
                    if !self.board.hand_out(&frame) {
                        self.conversation.was_strange(&frame);
                    }
                }
                Happened::Broken(why) => {
                    self.board.broken(why);
                    tracing::debug!(%why, "something on a serial line cannot be used");
                }
                Happened::Done(outcome) => {
                    if let Some((done, since)) = self.asked.take() {
                        self.board.counters.busy(since, now());
                        answer(done, outcome);
                    }
                }
            }
        }
    }

    /// The line is gone; what is owed on it.
    fn end(mut self, cause: &str) -> Debts {
        if let Some((done, _)) = self.asked.take() {
            let lost = if self.sent { Outcome::Silent } else { Outcome::Unsent };
            answer(done, lost(gone(cause)));
        }
        self.conversation.close(now())
    }
}

/// The time of the runtime, so that it can be a virtual one.
fn now() -> Instant {
    TokioInstant::now().into_std()
}
