//! The way from a worker to its device: its share of a radio.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use usp_mapping::port::{DeviceFault, DeviceId};

use crate::bus::ear::{LinkState, Mark, linked};
use crate::bus::statistics::count;
use crate::bus::{BusPlan, Ends, Medium, Outcome};

use super::board::{Board, Listener};
use super::chat::{Chat, Order};
use super::guard::guarded;
use super::hearing::BleEar;
use super::model::{Answer, Ask};

/// A device's share of a radio. It listens for as long as it lives.
pub(crate) struct BleDevice {
    board: Arc<Board>,
    link: watch::Receiver<LinkState>,
    plan: watch::Receiver<Arc<BusPlan>>,
    listener: Option<Arc<Listener>>,
    orders: mpsc::Sender<Order>,
    answered: Mark,
    /// Ends the task of its connection.
    _stop: DropGuard,
}

impl BleDevice {
    /// Listens for the device of a worker.
    pub(super) fn new(board: &Arc<Board>, ends: &Ends) -> Self {
        let plan = ends.plan.clone();
        let device = plan.borrow().devices.first().map(Arc::clone);
        let listener = device.as_ref().map(|device| board.listen(device));
        let (orders, taken) = mpsc::channel(1);
        let stop = CancellationToken::new();
        if let (Some(device), Some(listener)) = (&device, &listener) {
            let (board, id, plan) = (Arc::clone(board), device.id.clone(), plan.clone());
            tokio::spawn(keep(board, id, plan, Arc::clone(listener), taken, stop.clone()));
        }
        Self {
            board: Arc::clone(board),
            link: board.state.subscribe(),
            plan,
            listener,
            orders,
            answered: Mark::default(),
            _stop: stop.drop_guard(),
        }
    }

    async fn ask(&mut self, ask: Ask) -> Outcome<Answer> {
        let stopped = || DeviceFault::Unreachable("its bus has stopped".to_owned());
        let (done, result) = oneshot::channel();
        if self.orders.send(Order { what: ask.what, done }).await.is_err() {
            return Outcome::Unsent(stopped());
        }
        let Ok((outcome, answered)) = result.await else { return Outcome::Silent(stopped()) };
        self.answered = answered;
        outcome
    }
}

/// Keeps the connection of a device until it is stopped.
async fn keep(
    board: Arc<Board>,
    id: DeviceId,
    plan: watch::Receiver<Arc<BusPlan>>,
    listener: Arc<Listener>,
    orders: mpsc::Receiver<Order>,
    stop: CancellationToken,
) {
    let orders = Mutex::new(orders);
    let chat = || async {
        let chat = Chat::new(&board, id.clone(), plan.clone(), Arc::clone(&listener));
        chat.run(&mut *orders.lock().await, stop.clone()).await;
    };
    let broken = || {
        tracing::error!(device = %id, "an internal error ended its connection, which is begun anew");
        count(&board.counters.restarts);
        board.give_up(&id);
    };
    guarded(&stop, chat, broken).await;
}

impl Drop for BleDevice {
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            self.board.leave(listener);
        }
    }
}

impl Medium for BleDevice {
    type Ask = Ask;
    type Answer = Answer;
    type Ear = BleEar;

    const SPREAD: Duration = Duration::from_secs(5);

    fn ear(&mut self) -> BleEar {
        BleEar::new(self.link.clone(), self.listener.clone(), self.plan.clone())
    }

    async fn connect(&mut self) -> Result<(), String> {
        linked(&mut self.link).await
    }

    async fn exchange(&mut self, ask: Ask) -> Outcome<Answer> {
        self.ask(ask).await
    }

    fn answered(&self) -> Mark {
        self.answered
    }

    fn is_up(&mut self) -> bool {
        *self.link.borrow() == LinkState::Up
    }
}
