//! `Device.ScheduleTimer()`: its OperationComplete comes DelaySeconds later, and a restart does not lose it.
//!
//! Its Request row carries two values that no Controller sees: how long it was to wait, and, once the wall clock is
//! known, when it ends. A restart that does not know the time lets it wait anew from the start rather than end early.

use std::time::Duration;

use usp_proto::path::Name;
use usp_proto::usp::notify::operation_complete::{OperationResp as Completed, OutputArgs};

use crate::Broker;
use crate::dm::rows::ObjRef;
use crate::timers::Timer;

/// Seconds, as they were asked for.
const DELAY: &str = "X_USPBROKER_Delay";
/// Wall time of its end in milliseconds.
const END: &str = "X_USPBROKER_End";

impl Broker {
    /// Remembers in a new Request row that it is a timer.
    pub(super) fn prepare_timer(&mut self, row: &ObjRef, seconds: u32) {
        self.put_param(row, DELAY, seconds.to_string());
        let wait = Duration::from_secs(u64::from(seconds));
        self.note_end(row, wait);
    }

    fn note_end(&mut self, row: &ObjRef, wait: Duration) {
        let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        if let Some(wall) = self.model.now.known_wall() {
            self.put_param(row, END, wall.0.saturating_add(wait).to_string());
        }
    }

    /// Whether a Request row stands for a timer.
    pub(crate) fn is_timer(&self, row: &ObjRef) -> bool {
        self.model.rows.param(row, DELAY).is_some()
    }

    /// A timer runs from now on.
    pub(super) fn start_timer(&mut self, row: &ObjRef) {
        let delay = self.model.rows.param(row, DELAY).and_then(|text| text.parse().ok()).unwrap_or(0);
        let at = self.model.now.monotonic + Duration::from_secs(delay);
        self.arm(Timer::Scheduled(row.number()), at);
        self.note_status(row.number(), "Active");
    }

    /// Timers that a restart interrupted.
    pub(super) fn resume_timers(&mut self) {
        for row in self.timer_rows() {
            self.start_timer(&row);
        }
        self.reckon_timers();
    }

    /// The wall clock can be believed: timers that know when they end keep to it, the others learn it.
    pub(super) fn reckon_timers(&mut self) {
        let Some(wall) = self.model.now.known_wall() else { return };
        let now = self.model.now.monotonic;
        let rows = self.timer_rows();
        for row in &rows {
            let timer = Timer::Scheduled(row.number());
            let Some(due) = self.agent.dues.get(&timer).copied() else { continue };
            match self.model.rows.param(row, END).and_then(|text| text.parse::<i64>().ok()) {
                Some(end) => {
                    let rest = Duration::from_millis(u64::try_from(end.saturating_sub(wall.0)).unwrap_or(0));
                    // Whatever the clock was when it began: it never waits longer than it was asked to.
                    self.arm(timer, now + rest.min(due.since(now)));
                }
                None => self.note_end(row, due.since(now)),
            }
        }
        if !rows.is_empty() {
            self.commit(None);
        }
    }

    fn timer_rows(&self) -> Vec<ObjRef> {
        let Ok(delay) = Name::new(DELAY) else { return Vec::new() };
        let Some(table) = self.model.table("Device.LocalAgent.Request.") else { return Vec::new() };
        let rows = self.model.rows.of_table(table, &[]);
        rows.filter(|(_, row)| row.params.contains_key(&delay)).map(|(at, _)| at.clone()).collect()
    }

    /// A timer has run down.
    pub(crate) fn handle_scheduled(&mut self, number: u32) {
        if self.take_due(Timer::Scheduled(number)) {
            self.complete_request(number, Completed::ReqOutputArgs(OutputArgs::default()));
        }
    }

    /// A timer will not run down.
    pub(super) fn stop_timer(&mut self, number: u32) {
        self.disarm(Timer::Scheduled(number));
    }
}
