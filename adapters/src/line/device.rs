//! The way to one device: its share of the line.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use usp_mapping::mapping::{BusKind, Device, LinePort, Protocol};
use usp_mapping::port::DeviceId;

use crate::bus::ear::{Ear, LinkState, Said, SharedEar, linked};
use crate::bus::mailbox::Mailbox;
use crate::bus::{BusPlan, Ends, Medium, Outcome};

use super::board::{Board, Hearing, Spoken};
use super::conversation::{Answer, Ask};
use super::useless::Useless;

/// What a device says unasked.
#[derive(Debug)]
pub(crate) enum Word {
    /// This frame.
    Frame(Arc<[u8]>),
    /// Nothing, for so long.
    Nothing(Duration),
    /// This is all that was said on its line since it was understood last, and is of no use.
    Useless(Useless),
}

/// A device's share of the line. It listens for as long as it lives.
pub(crate) struct LineDevice {
    board: Arc<Board>,
    id: DeviceId,
    link: watch::Receiver<LinkState>,
    plan: watch::Receiver<Arc<BusPlan>>,
    hearing: Hearing,
}

impl LineDevice {
    /// Listens for the device of a worker.
    pub(crate) fn new(board: &Arc<Board>, ends: &Ends) -> Self {
        let plan = ends.plan.clone();
        let device = plan.borrow().devices.first().map(Arc::clone);
        let nothing = || Hearing {
            letters: Arc::new(Mailbox::new(Arc::default())),
            useless: watch::channel(Useless::default()).1,
        };
        let hearing = device.as_ref().map_or_else(nothing, |device| board.listen(device));
        let id = device.map_or_else(|| DeviceId("".into()), |device| device.id.clone());
        Self { board: Arc::clone(board), id, link: board.state.subscribe(), plan, hearing }
    }
}

impl Drop for LineDevice {
    fn drop(&mut self) {
        self.board.leave(&self.id, &self.hearing.letters);
    }
}

impl Medium for LineDevice {
    type Ask = Ask;
    type Answer = Answer;
    type Ear = LineEar;

    const SPREAD: Duration = Duration::from_millis(500);

    fn ear(&mut self) -> LineEar {
        let shared = SharedEar::new(self.link.clone(), Arc::clone(&self.hearing.letters));
        let useless = self.hearing.useless.clone();
        LineEar { shared, useless, plan: self.plan.clone(), silent_at: None, is_unexplained: false }
    }

    /// Each refusal of a connection is told by the ear, and counts: only that it is made is waited for.
    async fn connect(&mut self) -> Result<(), String> {
        if !is_connection(&self.plan) {
            return linked(&mut self.link).await;
        }
        let made = self.link.wait_for(|state| *state == LinkState::Up).await;
        made.map(drop).map_err(|_| "its bus has stopped".to_owned())
    }

    async fn exchange(&mut self, ask: Ask) -> Outcome<Answer> {
        self.board.ask(ask).await
    }

    fn is_up(&mut self) -> bool {
        *self.link.borrow() == LinkState::Up
    }
}

/// Hears what a device says, and that it says nothing.
#[derive(Debug)]
pub(crate) struct LineEar {
    shared: SharedEar<Spoken>,
    useless: watch::Receiver<Useless>,
    plan: watch::Receiver<Arc<BusPlan>>,
    /// When it will have been silent for too long.
    silent_at: Option<Instant>,
    /// It was told to be silent, and nothing of no use was heard either.
    is_unexplained: bool,
}

/// How long a device may be silent; `None`: for as long as it likes.
pub(super) fn patience(device: &Device) -> Option<Duration> {
    match &device.mapping.protocol {
        Protocol::Line(options) => options.patience(),
        _ => None,
    }
}

impl LineEar {
    fn patience(&self) -> Option<Duration> {
        self.plan.borrow().devices.first().and_then(|device| patience(device))
    }

    fn begin(&mut self) {
        self.is_unexplained = false;
        self.silent_at = self.patience().map(|patience| Instant::now() + patience);
    }
}

/// Whether the line is behind a device server: its connection is refused or ends now and then, and a port that is gone was pulled
/// out.
fn is_connection(plan: &watch::Receiver<Arc<BusPlan>>) -> bool {
    matches!(&plan.borrow().bus.kind, BusKind::Line(line) if matches!(line.port, LinePort::Tcp(_)))
}

async fn next(useless: &mut watch::Receiver<Useless>) -> Useless {
    if useless.changed().await.is_err() {
        // The line hands out nothing any more, and so will whoever listens.
        std::future::pending::<()>().await;
    }
    useless.borrow_and_update().clone()
}

impl Ear for LineEar {
    type Word = Word;

    async fn hear(&mut self) -> Said<Word> {
        let silent_at = self.silent_at;
        let silence = async {
            match silent_at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let said = tokio::select! {
            biased;
            said = self.shared.hear() => said,
            useless = next(&mut self.useless) => {
                // It was said to be silent: now there is more to be said.
                if self.is_unexplained && !useless.is_empty() {
                    self.begin();
                }
                return Said::Word(Word::Useless(useless));
            }
            () = silence => {
                // It is told once, until the device is heard again.
                self.silent_at = None;
                self.is_unexplained = self.useless.borrow().is_empty();
                return Said::Word(Word::Nothing(self.patience().unwrap_or_default()));
            }
        };
        match said {
            Said::Word(spoken) => {
                self.begin();
                Said::Word(Word::Frame(spoken.frame))
            }
            Said::LinkUp => {
                self.begin();
                Said::LinkUp
            }
            Said::LinkDown(cause) | Said::LinkRefused(cause) => {
                self.silent_at = None;
                if is_connection(&self.plan) { Said::LinkRefused(cause) } else { Said::LinkDown(cause) }
            }
            Said::Doubt => Said::Doubt,
        }
    }
}
