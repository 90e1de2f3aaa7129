//! Takes calls in: what can be known at once is answered at once.

use std::time::Instant;

use usp_mapping::mapping::Capability;
use usp_mapping::port::{Action, AdapterCall, AdapterReply, DeviceFault, PointId};
use usp_mapping::value::Value;

use super::{DeviceState, Outbox, push_reply, readable};
use crate::bus::Model;
use crate::bus::plan::Readings;
use crate::bus::queue::{Caller, ReadCall, WriteCall};

impl<M: Model> DeviceState<M> {
    /// Takes a call in, or answers it at once.
    pub(crate) fn handle_call(&mut self, call: AdapterCall, received: Instant, out: &mut Outbox) {
        let id = call.id;
        let caller = Caller { id, within: call.within, deadline: received + call.within };
        let outcome = match (self.health.refusal(), call.action) {
            (Some(fault), _) => Err(fault),
            (None, Action::Write(items)) => self.take_write(caller, items, received),
            (None, Action::Read(points)) => self.take_read(caller, points),
            (None, Action::Command(..)) => Err(DeviceFault::Unwritable("it has no commands".to_owned())),
            (None, Action::Refresh) => self.take_read(caller, readable(&self.device)),
        };
        match outcome {
            Ok(None) => {}
            Ok(Some(results)) => push_reply(out, AdapterReply { id, outcome: Ok(results) }),
            Err(fault) => push_reply(out, AdapterReply { id, outcome: Err(fault) }),
        }
        self.count_waiting();
    }

    /// Checks all that can be known before anything is sent. `Some`: the answer is known already.
    fn take_write(
        &mut self,
        caller: Caller,
        items: Vec<(PointId, Value)>,
        received: Instant,
    ) -> Result<Option<Readings>, DeviceFault> {
        let check = |(point, value): &(PointId, Value)| self.model.write(*point, value).err();
        let faults: Vec<_> = items.iter().map(check).collect();
        if items.is_empty() || faults.iter().any(Option::is_some) {
            let results = faults.into_iter().map(|fault| Err(fault.unwrap_or(DeviceFault::NotTried)));
            return Ok(Some(items.into_iter().map(|(point, _)| point).zip(results).collect()));
        }
        let bindings =
            items.iter().map(|(point, _)| self.capability(*point).and_then(|it| it.write.as_ref()));
        let coalesce = bindings.clone().all(|write| write.is_some_and(|write| write.coalesce));
        let begin_by = bindings
            .map(|write| received + write.map_or(caller.within, |write| write.ttl.min(caller.within)))
            .collect();
        self.queue.push_write(WriteCall { callers: vec![caller], items, begin_by, coalesce })?;
        Ok(None)
    }

    /// Points that are unknown or cannot be read are so in the answer, the others are read.
    fn take_read(&mut self, caller: Caller, points: Vec<PointId>) -> Result<Option<Readings>, DeviceFault> {
        let mapping = &self.device.mapping;
        let readable = |point: &PointId| mapping.point(*point).is_some_and(|it| it.read.is_some());
        if !points.iter().any(readable) {
            return Ok(Some(points.into_iter().map(|point| (point, Err(DeviceFault::Unknown))).collect()));
        }
        self.queue.push_read(ReadCall { caller, points })?;
        Ok(None)
    }

    fn capability(&self, point: PointId) -> Option<&Capability> {
        self.device.mapping.capabilities.get(usize::from(point.0))
    }
}
