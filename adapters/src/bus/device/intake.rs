//! Takes calls in: what can be known at once is answered at once.

use std::time::{Duration, Instant};

use usp_mapping::mapping::Capability;
use usp_mapping::port::{
    Action, AdapterCall, AdapterReply, CommandId, DeviceFault, PointId, Reading, Readings,
};
use usp_mapping::value::Value;

use super::{DeviceState, Outbox, push_reply};
use crate::bus::Model;
use crate::bus::queue::{Caller, ReadCall, Target, WriteCall, unsent};

impl<M: Model> DeviceState<M> {
    /// Takes a call in, or answers it at once.
    pub(crate) fn handle_call(&mut self, call: AdapterCall, received: Instant, out: &mut Outbox) {
        let id = call.id;
        let caller = Caller { id, within: call.within, deadline: received + call.within };
        let from = received + call.behind;
        let outcome = match (self.health.refusal(), call.action) {
            (Some(fault), Action::Write(_) | Action::Command(..)) => Err(unsent(&fault)),
            (Some(fault), Action::Read(_) | Action::Refresh) => Err(fault),
            (None, Action::Write(items)) => self.take_write(caller, items, from),
            (None, Action::Read(points)) => self.take_read(caller, points),
            (None, Action::Command(command, args)) => self.take_command(caller, command, &args, from),
            (None, Action::Refresh) => self.take_refresh(caller, received),
        };
        match outcome {
            Ok(None) => {}
            Ok(Some(results)) => push_reply(out, AdapterReply { id, outcome: Ok(results) }),
            Err(fault) => push_reply(out, AdapterReply { id, outcome: Err(fault) }),
        }
        self.count_waiting();
    }

    /// Checks all that can be known before anything is sent. `Some`: the answer is known already. The values of one call are
    /// a write unit: once the first has been sent, the others follow for as long as somebody waits for them.
    fn take_write(
        &mut self,
        caller: Caller,
        items: Vec<(PointId, Value)>,
        from: Instant,
    ) -> Result<Option<Readings>, DeviceFault> {
        let check = |(point, value): &(PointId, Value)| self.model.write(Target::Point(*point), value).err();
        let faults: Vec<_> = items.iter().map(check).collect();
        if items.is_empty() || faults.iter().any(Option::is_some) {
            let results = faults.into_iter().map(|fault| Err(fault.unwrap_or(DeviceFault::NotTried)));
            let results = items.into_iter().zip(results);
            return Ok(Some(results.map(|((point, _), result)| Reading::now(point, result)).collect()));
        }
        let bindings =
            items.iter().map(|(point, _)| self.capability(*point).and_then(|it| it.write.as_ref()));
        let coalesce = bindings.clone().all(|write| write.is_some_and(|write| write.coalesce));
        let ttl = bindings.flatten().map(|write| write.ttl).min().unwrap_or(caller.within);
        let items: Vec<_> = items.into_iter().map(|(point, value)| (Target::Point(point), value)).collect();
        let begin_by = begin_by(&caller, from, ttl, items.len());
        self.queue.push_write(WriteCall { callers: vec![caller], items, begin_by, coalesce })?;
        Ok(None)
    }

    /// The steps of a command are a write unit. Once the first has been sent, the rest may follow for as long as somebody
    /// waits for it.
    fn take_command(
        &mut self,
        caller: Caller,
        id: CommandId,
        args: &[Value],
        from: Instant,
    ) -> Result<Option<Readings>, DeviceFault> {
        let command = self.device.mapping.commands.get(usize::from(id.0)).ok_or(DeviceFault::Unknown)?;
        let unfit = || DeviceFault::Unwritable("an argument is missing".to_owned());
        let mut items = Vec::new();
        for (place, step) in command.steps.iter().enumerate() {
            let (target, value) = (Target::Step(id, place), step.value(args).ok_or_else(unfit)?);
            self.model.write(target, &value)?;
            items.push((target, value.into_owned()));
        }
        let begin_by = begin_by(&caller, from, command.ttl, items.len());
        self.queue.push_write(WriteCall { callers: vec![caller], items, begin_by, coalesce: false })?;
        Ok(None)
    }

    /// Points that are unknown or cannot be read are so in the answer, the others are read.
    pub(super) fn take_read(
        &mut self,
        caller: Caller,
        points: Vec<PointId>,
    ) -> Result<Option<Readings>, DeviceFault> {
        let mapping = &self.device.mapping;
        let readable = |point: &PointId| mapping.point(*point).is_some_and(|it| it.read.is_some());
        if !points.iter().any(readable) {
            let unknown = |point| Reading::now(point, Err(DeviceFault::Unknown));
            return Ok(Some(points.into_iter().map(unknown).collect()));
        }
        self.queue.push_read(ReadCall { caller, points })?;
        Ok(None)
    }

    pub(super) fn capability(&self, point: PointId) -> Option<&Capability> {
        self.device.mapping.model(point)
    }
}

/// Until when each item of a unit must have been begun: the time to live is that of the first, and counts from this instant.
fn begin_by(caller: &Caller, from: Instant, ttl: Duration, items: usize) -> Vec<Instant> {
    let mut begin_by = vec![caller.deadline; items];
    if let Some(first) = begin_by.first_mut() {
        *first = caller.deadline.min(from + ttl);
    }
    begin_by
}
