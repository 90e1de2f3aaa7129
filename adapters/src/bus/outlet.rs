//! The way back to the core: every call gets exactly one reply, whatever happens to the worker.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use usp_mapping::port::{AdapterReply, CallId, DeviceFault};

use crate::FromAdapter;

/// Where replies and reports go, and which calls still wait for theirs.
#[derive(Clone, Debug)]
pub(crate) struct Outlet {
    to_core: mpsc::Sender<FromAdapter>,
    open: Arc<Mutex<BTreeSet<CallId>>>,
    runtime: Handle,
}

impl Outlet {
    /// An outlet with no open calls.
    pub(crate) fn new(to_core: mpsc::Sender<FromAdapter>, runtime: Handle) -> Self {
        Self { to_core, open: Arc::default(), runtime }
    }

    /// Another one to the same core.
    pub(crate) fn anew(&self) -> Self {
        Self::new(self.to_core.clone(), self.runtime.clone())
    }

    /// Takes note that a call was accepted.
    pub(crate) fn opened(&self, id: CallId) {
        self.open().insert(id);
    }

    /// How many calls wait for their reply.
    pub(crate) fn waiting(&self) -> usize {
        self.open().len()
    }

    /// Waits until there is room for one message; `None`: the core is gone.
    #[cfg(any(feature = "bus", test))]
    pub(crate) async fn room(&self) -> Option<Room<'_>> {
        let permit = self.to_core.reserve().await.ok()?;
        Some(Room { outlet: self, permit })
    }

    /// Room for one message, if there is some at this moment.
    #[cfg(any(feature = "bus", test))]
    pub(crate) fn room_now(&self) -> Option<Room<'_>> {
        let permit = self.to_core.try_reserve().ok()?;
        Some(Room { outlet: self, permit })
    }

    /// Answers a call from where nothing may wait. When there is no room at the moment, a task of its own waits for
    /// it: one at most for each call of the core, which bounds them by the core's own pending requests.
    pub(crate) fn refuse(&self, id: CallId, fault: DeviceFault) {
        self.post(FromAdapter::Reply(AdapterReply { id, outcome: Err(fault) }));
    }

    /// Like [`Outlet::refuse`], for any message.
    pub(crate) fn post(&self, message: FromAdapter) {
        if !self.closes(&message) {
            return;
        }
        if let Err(mpsc::error::TrySendError::Full(message)) = self.to_core.try_send(message) {
            let to_core = self.to_core.clone();
            // An error means that the core is gone: nobody waits any more.
            self.runtime.spawn(async move { to_core.send(message).await.ok() });
        }
    }

    /// Answers all open calls alike.
    pub(crate) fn refuse_all(&self, fault: &DeviceFault) {
        let open = self.open().clone();
        for id in open {
            self.refuse(id, fault.clone());
        }
    }

    /// Whether a message may go out: a reply only to a call that is open, which it closes.
    fn closes(&self, message: &FromAdapter) -> bool {
        match message {
            FromAdapter::Reply(reply) => self.open().remove(&reply.id),
            FromAdapter::Report(_) | FromAdapter::Adopted(_) | FromAdapter::Bus(_) => true,
        }
    }

    fn open(&self) -> MutexGuard<'_, BTreeSet<CallId>> {
        // The set is whole after each operation: a panic elsewhere says nothing about it.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room for one message.
#[cfg(any(feature = "bus", test))]
pub(crate) struct Room<'a> {
    outlet: &'a Outlet,
    permit: mpsc::Permit<'a, FromAdapter>,
}

#[cfg(any(feature = "bus", test))]
impl Room<'_> {
    /// Sends a message, unless it is a second reply to one call.
    pub(crate) fn send(self, message: FromAdapter) {
        if self.outlet.closes(&message) {
            self.permit.send(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(message: FromAdapter) -> CallId {
        match message {
            FromAdapter::Reply(reply) => reply.id,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_call_gets_one_reply_even_when_two_are_sent() {
        let (to_core, mut core) = mpsc::channel(8);
        let outlet = Outlet::new(to_core, Handle::current());
        outlet.opened(CallId(1));
        outlet.refuse(CallId(1), DeviceFault::QueueFull);
        outlet.refuse(CallId(1), DeviceFault::Stopping);
        outlet.refuse(CallId(2), DeviceFault::Stopping);
        drop(outlet);
        assert_eq!(id_of(core.recv().await.unwrap()), CallId(1));
        assert_eq!(core.recv().await, None);
    }

    #[tokio::test]
    async fn a_full_channel_loses_no_reply_and_holds_nobody_up() {
        let (to_core, mut core) = mpsc::channel(1);
        let outlet = Outlet::new(to_core, Handle::current());
        for id in 0..10 {
            outlet.opened(CallId(id));
        }
        outlet.refuse_all(&DeviceFault::Stopping);
        assert_eq!(outlet.waiting(), 0);
        drop(outlet);
        let mut ids = BTreeSet::new();
        while let Some(message) = core.recv().await {
            ids.insert(id_of(message));
        }
        assert_eq!(ids, (0..10).map(CallId).collect());
    }
}
