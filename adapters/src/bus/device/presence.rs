//! Whether a device is there, and what follows when it comes and goes.

use std::sync::atomic::Ordering;
use std::time::Instant;

use usp_mapping::port::{AdapterReport, DeviceFault};

use super::{DeviceState, Outbox, Purpose, refuse_all};
use crate::FromAdapter;
use crate::bus::Model;
use crate::bus::plan::ReadPlan;
use crate::bus::queue::unsent;
use crate::bus::read_job::ReadJob;

impl<M: Model> DeviceState<M> {
    /// What was refused may be there now. A read before whose answer it went away twice is not begun a third time.
    pub(super) fn come_back(&mut self, now: Instant, polls_at: Instant) {
        self.model.is_back(now);
        if let Some((ask, fault, times)) = self.suspect.take_if(|(_, _, times)| *times > 1) {
            tracing::debug!(device = %self.device.id, times, "a read is left unanswered");
            self.model.unanswered(now, &ask, &fault);
        }
        self.poll_all(polls_at);
    }

    /// The device is lost: perhaps because of what it was asked last.
    pub(super) fn suspect(&mut self, ask: Option<M::Ask>, fault: &DeviceFault) {
        let Some(ask) = ask.filter(|ask| self.model.sign_of_life(ask).is_some()) else { return };
        let points = self.model.points(&ask);
        let same = self.suspect.take().filter(|(other, ..)| self.model.points(other) == points);
        let times = same.map_or(0, |(_, _, times)| times) + 1;
        self.suspect = Some((ask, fault.clone(), times));
    }

    /// An answer, whatever it says, shows that the device is there.
    pub(super) fn handle_answer(&mut self, now: Instant, refused: bool, out: &mut Outbox) {
        if refused {
            self.counters.count(|tally| &tally.refusals);
        }
        if self.health.answered() {
            self.come_back(now, now);
        }
        self.report_online(Ok(()), out);
    }

    pub(super) fn handle_silence(&mut self, fault: &DeviceFault) {
        self.counters.count(|tally| match fault {
            DeviceFault::Timeout(_) => &tally.timeouts,
            DeviceFault::Garbled(_) => &tally.garbled,
            _ => &tally.failures,
        });
        self.health.silent();
    }

    /// The connection could not be made: no exchange of this device can be answered. It is offline once that was one too many in a
    /// row, or if nobody knows it to be there; whoever waits is told at once.
    pub(crate) fn not_connected(&mut self, cause: &str, out: &mut Outbox) {
        self.counters.count(|tally| &tally.failures);
        self.health.silent();
        let has_chances = self.health.has_chances();
        let fault = self.health.cut(cause);
        match has_chances {
            true => self.abandon(&fault, out),
            false => self.go_offline(fault, out),
        }
    }

    /// The link that it shares with others is gone: it is not there before that is back.
    pub(crate) fn cut(&mut self, cause: &str, out: &mut Outbox) {
        let cause = self.health.cut(cause);
        self.go_offline(cause, out);
    }

    /// The connection is back: whether the device is there is seen at its first exchange, or heard.
    pub(crate) fn reconnect(&mut self, polls_at: Instant, out: &mut Outbox) {
        self.model.reconnected();
        if self.health.reconnected() {
            self.poll_all(polls_at);
            self.believe(out);
            self.await_word(out);
        }
    }

    /// Why the link was down is no longer the reason: whoever is watched has to be heard.
    fn await_word(&mut self, out: &mut Outbox) {
        if self.model.is_watched() && !self.health.is_known_online() {
            let why = "its bus is back, and nothing was heard of it since";
            self.report_online(Err(DeviceFault::Unreachable(why.to_owned())), out);
        }
    }

    /// Answers everything that waits with the same fault; writes that were not sent say so.
    pub(crate) fn abandon(&mut self, fault: &DeviceFault, out: &mut Outbox) {
        self.abandon_writes(fault, out);
        let read = self.read.take();
        if read.is_some() {
            self.orphan(Purpose::Read);
        }
        let refreshes = std::mem::take(&mut self.refreshes).into_iter().map(|caller| caller.id);
        let reads = read.into_iter().flat_map(ReadJob::abandon).chain(self.queue.drain_reads());
        refuse_all(out, reads.chain(refreshes), fault);
        refuse_all(out, self.queue.drain_writes(), &unsent(fault));
        self.polls = ReadPlan::default();
        self.reread = None;
        self.count_waiting();
    }

    pub(super) fn go_offline(&mut self, cause: DeviceFault, out: &mut Outbox) {
        self.abandon(&cause, out);
        self.report_online(Err(cause), out);
    }

    /// Nobody knows whether it is still there: what is polled shows it.
    pub(crate) fn look_for(&mut self, now: Instant) {
        if self.polls.is_empty() {
            self.poll_all(now);
        }
    }

    /// Makes everything due that is polled; of one that sleeps once it is heard.
    pub(super) fn poll_all(&mut self, at: Instant) {
        self.polls = ReadPlan::default();
        if !self.await_word_of_all(at) {
            self.clock.restart(at);
        }
    }

    /// It passes for being there, and was not heard.
    pub(super) fn report_believed(&mut self, out: &mut Outbox) {
        self.counters.online.store(true, Ordering::Relaxed);
        if self.health.tell(&Ok(())) {
            out.push(FromAdapter::Report(AdapterReport::Believed { device: self.device.id.clone() }));
        }
    }

    pub(super) fn report_online(&mut self, online: Result<(), DeviceFault>, out: &mut Outbox) {
        self.counters.online.store(online.is_ok(), Ordering::Relaxed);
        if self.health.tell(&online) {
            let device = self.device.id.clone();
            out.push(FromAdapter::Report(AdapterReport::Online { device, online }));
        }
    }
}
