//! What the device says unasked.

use std::sync::Arc;
use std::time::Instant;

use usp_mapping::port::AdapterReport;

use super::{DeviceState, Outbox, Purpose, rereading};
use crate::FromAdapter;
use crate::bus::write_job::WriteJob;
use crate::bus::{Heard, Model};

impl<M: Model> DeviceState<M> {
    /// Takes a word in. If it brings the device back, what is polled is due at `polls_at`, unless it says when.
    pub(crate) fn handle_word(&mut self, now: Instant, polls_at: Instant, word: M::Word, out: &mut Outbox) {
        // It was on its way when the link went.
        if self.health.is_cut() {
            return;
        }
        let Heard { readings, live, presence, doubt, lost, polls_in } = self.model.hear(now, word);
        self.wake(now, out);
        let polls_at = polls_in.map_or(polls_at, |after| now + after);
        self.clock.poll_too(self.model.unsaid(), now);
        match presence {
            Some(Err(cause)) => {
                let fault = self.health.away(&cause);
                self.go_offline(fault, out);
            }
            Some(Ok(())) => self.handle_contact(now, polls_at, out),
            None if live => self.handle_contact(now, polls_at, out),
            None => {}
        }
        if let Some(why) = doubt.filter(|_| !self.health.is_known_online()) {
            let fault = self.health.explain(&why);
            self.report_online(Err(fault), out);
        }
        if let Some((why, points)) = lost.filter(|(_, points)| !points.is_empty())
            && self.health.is_known_online()
        {
            let (device, mapping, why) =
                (self.device.id.clone(), Arc::clone(&self.device.mapping), why.into());
            out.push(FromAdapter::Report(AdapterReport::Doubtful { device, mapping, points, why }));
        }
        if polls_in.is_some() && !self.await_word_of_all(now) {
            self.clock.restart(polls_at);
        }
        rereading::was_said(&mut self.reread, &readings);
        self.begin_reread(now);
        for reading in readings.iter().filter(|reading| reading.result.is_ok()) {
            // What was kept may be of last year: it must not put off the question that would show so.
            if let Some(age) = reading.freshness.age {
                self.clock.hear(reading.point, now, age);
            }
        }
        if let Some(job) = &mut self.read {
            job.hear(&readings);
        }
        if live {
            for job in self.write.iter_mut().chain(&mut self.parked) {
                job.hear(&self.model, &self.device.mapping, now, &readings);
            }
            self.report(readings, out);
            if self.write.as_ref().is_some_and(WriteJob::is_done) {
                // A look at what it shows may be under way.
                self.orphan(Purpose::Write);
            }
            self.settle_writes(now, out);
        } else {
            self.report(readings, out);
        }
        self.count_waiting();
    }

    /// It is there.
    fn handle_contact(&mut self, now: Instant, polls_at: Instant, out: &mut Outbox) {
        if self.health.answered() {
            self.come_back(now, polls_at);
        }
        self.report_online(Ok(()), out);
    }

    /// The link is back, of a device that was believed to be there when it went and of which nothing else can be known.
    pub(super) fn believe(&mut self, out: &mut Outbox) {
        if self.model.is_taciturn() && self.health.was_online() {
            self.report_believed(out);
        }
    }
}
