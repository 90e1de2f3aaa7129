//! The way to one device: its share of the connection.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use usp_mapping::mapping::filter_matches;
use usp_mapping::payload::take;
use usp_mapping::port::{DeviceFault, DeviceId};

use crate::bus::ear::{LinkState, Mark, SharedEar, linked};
use crate::bus::mailbox::Mailbox;
use crate::bus::{Ends, Medium, Outcome};

use super::board::{Board, Published, Reply, Said};
use super::model::{Answer, Ask, Get, filters};

/// A device's share of the connection. It listens for as long as it lives.
pub(crate) struct MqttDevice {
    board: Arc<Board>,
    id: DeviceId,
    link: watch::Receiver<LinkState>,
    letters: Arc<Mailbox<Said>>,
    answered: Mark,
}

impl MqttDevice {
    /// Listens for the device of a worker.
    pub(crate) fn new(board: &Arc<Board>, ends: &Ends) -> Self {
        let letters = Arc::new(Mailbox::new(Arc::clone(&board.counters.lost)));
        let plan = ends.plan.borrow();
        let device = plan.devices.first();
        let id = device.map_or_else(|| DeviceId("".into()), |device| device.id.clone());
        if let Some(device) = device {
            board.listen(&id, filters(device), &letters);
        }
        Self {
            board: Arc::clone(board),
            id,
            link: board.state.subscribe(),
            letters,
            answered: Mark::default(),
        }
    }

    async fn publish(&self, ask: &Ask, until: Instant) -> Outcome<Answer> {
        let Ask { publication, timeout, .. } = ask;
        match timeout_at(until, self.board.publish(publication.clone())).await {
            Ok(Published::Taken) => Outcome::Taken(Answer::Taken),
            Ok(Published::Refused(why)) => Outcome::Taken(Answer::Refused(why)),
            Ok(Published::Lost(why)) => Outcome::Silent(DeviceFault::Unreachable(why)),
            Ok(Published::Unsent(why)) => Outcome::Unsent(DeviceFault::Unreachable(why)),
            Err(_) => Outcome::Silent(DeviceFault::Timeout(*timeout)),
        }
    }

    /// Publishes a question, and waits for something that answers it.
    async fn get(&mut self, ask: &Ask, get: &Get, until: Instant) -> Outcome<Answer> {
        let answers = Arc::new(Mailbox::new(Arc::default()));
        let listens = get.picks.iter().map(|(filter, _)| (filter.clone(), 0)).collect();
        self.board.ask(listens, &answers, &self.letters);
        let _own = Asking { board: Arc::clone(&self.board), replies: Arc::clone(&answers) };
        match self.publish(ask, until).await {
            Outcome::Taken(Answer::Taken) => {}
            other => return other,
        }
        loop {
            let Ok(Reply { said, at }) = timeout_at(until, answers.take()).await else {
                return Outcome::Silent(DeviceFault::Timeout(ask.timeout));
            };
            if is_answer(get, &said) {
                self.answered = at;
                return Outcome::Answered(Answer::Said(said));
            }
        }
    }
}

/// Stops waiting at its end.
struct Asking {
    board: Arc<Board>,
    replies: Arc<Mailbox<Reply>>,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.board.has_asked(&self.replies);
    }
}

/// Whether it has one of the values that were asked for, or should.
fn is_answer(get: &Get, said: &Said) -> bool {
    !said.kept
        && get.picks.iter().any(|(filter, pick)| {
            filter_matches(filter, &said.topic) && !matches!(take(&said.body, None, pick), Ok(None))
        })
}

impl Drop for MqttDevice {
    fn drop(&mut self) {
        self.board.leave(&self.id, &self.letters);
    }
}

impl Medium for MqttDevice {
    type Ask = Ask;
    type Answer = Answer;
    type Ear = SharedEar<Said>;

    const SPREAD: Duration = Duration::from_secs(3);
    const YIELDS: bool = true;

    fn ear(&mut self) -> Self::Ear {
        SharedEar::new(self.link.clone(), Arc::clone(&self.letters))
    }

    async fn connect(&mut self) -> Result<(), String> {
        linked(&mut self.link).await
    }

    async fn exchange(&mut self, ask: Ask) -> Outcome<Answer> {
        let until = Instant::now() + ask.timeout;
        match &ask.get {
            Some(get) => self.get(&ask, get, until).await,
            None => self.publish(&ask, until).await,
        }
    }

    fn answered(&self) -> Mark {
        self.answered
    }

    fn is_up(&mut self) -> bool {
        *self.link.borrow() == LinkState::Up
    }
}
