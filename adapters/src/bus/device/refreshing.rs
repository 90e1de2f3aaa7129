//! Reading all of a device that sleeps: it is waited for.

use std::time::{Duration, Instant};

use usp_mapping::port::{AdapterReply, DeviceFault, Freshness, Reading, Readings};

use super::{DeviceState, Outbox, push_reply, readable};
use crate::bus::queue::Caller;
use crate::bus::{Model, QUEUE_PER_DEVICE};

impl<M: Model> DeviceState<M> {
    /// All that can be read. Of one that sleeps that is done once it is heard, for as long as the caller waits.
    pub(super) fn take_refresh(
        &mut self,
        caller: Caller,
        received: Instant,
    ) -> Result<Option<Readings>, DeviceFault> {
        if !self.model.sleeps(received) {
            return self.take_read(caller, readable(&self.device));
        }
        if self.refreshes.len() >= QUEUE_PER_DEVICE {
            return Err(DeviceFault::QueueFull);
        }
        self.refreshes.push(caller);
        Ok(None)
    }

    /// It is awake.
    pub(super) fn begin_refreshes(&mut self, out: &mut Outbox) {
        for caller in std::mem::take(&mut self.refreshes) {
            let id = caller.id;
            match self.take_read(caller, readable(&self.device)) {
                Ok(None) => {}
                Ok(Some(results)) => push_reply(out, AdapterReply { id, outcome: Ok(results) }),
                Err(fault) => push_reply(out, AdapterReply { id, outcome: Err(fault) }),
            }
        }
    }

    /// It was not heard in time, which says nothing against what it said before.
    pub(super) fn expire_refreshes(&mut self, now: Instant, out: &mut Outbox) {
        let late: Vec<_> = self.refreshes.extract_if(.., |caller| caller.deadline <= now).collect();
        for Caller { id, within, .. } in late {
            push_reply(out, AdapterReply { id, outcome: Ok(self.asleep(within)) });
        }
    }

    fn asleep(&self, within: Duration) -> Readings {
        let fault =
            DeviceFault::Unreachable(format!("it sleeps, and was not heard within {} s", within.as_secs()));
        let freshness = Freshness { contact: false, age: Some(Duration::ZERO) };
        let of = |point| Reading { point, result: Err(fault.clone()), freshness };
        readable(&self.device).into_iter().map(of).collect()
    }
}
