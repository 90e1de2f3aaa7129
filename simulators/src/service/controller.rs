//! A minimal Controller on a UNIX domain socket: asks, and collects what it is notified of. For tests, and the
//! Controller side of a simulated Service.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{Msg, Notify, NotifyResp};
use usp_proto::usp_record::record::RecordType;

use super::link::pause;
use super::message;
use super::wire::{self, Wire, WireError};
use crate::rng::Rng;

/// As many Notify Messages are kept for [`Controller::next_notify`]; older ones go.
const MAX_NOTIFIES: usize = 4096;

/// As many requests may wait to be sent.
const OUTBOX: usize = 256;

/// Shortest and longest pause before a connection that failed is tried again (R-UDS.5).
const RECONNECT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// The connection ended before the answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection ended before the answer came")]
pub struct Lost;

struct Shared {
    own: String,
    path: PathBuf,
    state: Mutex<State>,
    connected: watch::Sender<bool>,
    notified: watch::Sender<u64>,
    stop: CancellationToken,
}

#[derive(Default)]
struct State {
    pending: BTreeMap<String, oneshot::Sender<Msg>>,
    notifies: VecDeque<Notify>,
    asked: u64,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while it was held is a bug elsewhere; the state itself is only data.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running Controller. Dropping it stops it too, without waiting.
pub struct Controller {
    shared: Arc<Shared>,
    outbox: mpsc::Sender<Msg>,
    task: JoinHandle<()>,
}

impl Controller {
    /// Starts one that connects to a socket, again and again until it is stopped.
    pub fn spawn(endpoint_id: &str, path: &Path) -> Self {
        let shared = Arc::new(Shared {
            own: endpoint_id.to_owned(),
            path: path.to_owned(),
            state: Mutex::default(),
            connected: watch::Sender::new(false),
            notified: watch::Sender::new(0),
            stop: CancellationToken::new(),
        });
        let (outbox, waiting) = mpsc::channel(OUTBOX);
        let task = tokio::spawn(run(shared.clone(), waiting));
        Self { shared, outbox, task }
    }

    /// Waits until it is connected and the Agent has said so, too.
    pub async fn until_connected(&self) {
        // The sender lives as long as this value, so waiting cannot fail.
        drop(self.shared.connected.subscribe().wait_for(|connected| *connected).await);
    }

    /// Sends a request and waits for its answer: a response or an Error.
    ///
    /// Errors: the connection ended first.
    pub async fn request(&self, content: ReqType) -> Result<Msg, Lost> {
        self.until_connected().await;
        let (answer, receiver) = oneshot::channel();
        let id = {
            let mut state = self.shared.state();
            state.asked += 1;
            let id = format!("{}-{}", self.shared.own, state.asked);
            state.pending.insert(id.clone(), answer);
            id
        };
        self.outbox.send(message::request(&id, content)).await.map_err(|_| Lost)?;
        receiver.await.map_err(|_| Lost)
    }

    /// The oldest Notify that was not taken yet; waits for one.
    pub async fn next_notify(&self) -> Notify {
        let mut news = self.shared.notified.subscribe();
        loop {
            if let Some(notify) = self.shared.state().notifies.pop_front() {
                return notify;
            }
            if news.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Closes everything and returns when it is closed.
    pub async fn stop(mut self) {
        self.shared.stop.cancel();
        if let Err(error) = (&mut self.task).await {
            tracing::warn!(%error, "the simulated Controller ended badly");
        }
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

async fn run(shared: Arc<Shared>, mut outbox: mpsc::Receiver<Msg>) {
    let mut rng = Rng::named(0, &shared.own);
    let for_ever = async {
        loop {
            if let Err(error) = connected_once(&shared, &mut outbox).await {
                let error: &dyn std::error::Error = &error;
                tracing::debug!(controller = shared.own, error, "the Controller's connection ended");
            }
            shared.connected.send_replace(false);
            shared.state().pending.clear();
            tokio::time::sleep(pause(RECONNECT, &mut rng)).await;
        }
    };
    shared.stop.run_until_cancelled(for_ever).await;
    shared.state().pending.clear();
}

async fn connected_once(shared: &Shared, outbox: &mut mpsc::Receiver<Msg>) -> Result<(), WireError> {
    let mut wire = Wire::new(UnixStream::connect(&shared.path).await?);
    let peer = wire.shake_hands(&shared.own).await?;
    shared.connected.send_replace(true);
    loop {
        let send = tokio::select! {
            record = wire.next_record() => {
                let record = record?;
                if matches!(record.record_type, Some(RecordType::Disconnect(_))) {
                    return Err(WireError::Closed);
                }
                wire::carried(&record).and_then(|message| received(shared, message))
            }
            Some(message) = outbox.recv() => Some(message),
        };
        if let Some(message) = send {
            wire.send_record(&wire::carrying(&peer, &shared.own, &message)).await?;
        }
    }
}

/// Takes a Message in; gives what is to be answered.
fn received(shared: &Shared, message: Msg) -> Option<Msg> {
    let id = message::msg_id(&message).to_owned();
    let Some(ReqType::Notify(notify)) = message::content(&message) else {
        let waiting = shared.state().pending.remove(&id)?;
        // Whoever asked may have lost interest.
        drop(waiting.send(message));
        return None;
    };
    let subscription_id = notify.subscription_id.clone();
    let wants_answer = notify.send_resp;
    let mut state = shared.state();
    if state.notifies.len() == MAX_NOTIFIES {
        state.notifies.pop_front();
    }
    state.notifies.push_back(notify.clone());
    drop(state);
    shared.notified.send_modify(|count| *count += 1);
    wants_answer.then(|| message::response(&id, RespType::NotifyResp(NotifyResp { subscription_id })))
}
