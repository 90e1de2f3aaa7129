//! `Device.LocalAgent.Periodic!`: each Controller hears it at its own PeriodicNotifTime plus or minus whole
//! PeriodicNotifIntervals.

use std::collections::BTreeMap;
use std::time::Duration;

use usp_proto::tr106;

use crate::Broker;
use crate::dm::compute::UNKNOWN_TIME;
use crate::time::Mono;
use crate::timers::Timer;

const OBJECT: &str = "Device.LocalAgent.";
const EVENT: &str = "Periodic";

impl Broker {
    /// Brings a Controller's next Periodic! in line with its row and its Subscriptions. Nobody is woken for nothing: it is
    /// due only while the Controller is subscribed to it.
    pub(super) fn refresh_periodic(&mut self, controller: u32) {
        self.set_periodic(controller, false);
    }

    fn set_periodic(&mut self, controller: u32, just_told: bool) {
        let timer = Timer::Periodic(controller);
        let wanted = self.controller_says(controller, "Enable")
            && self.event_subscriptions(OBJECT, EVENT).iter().any(|(_, c)| *c == controller);
        match self.next_periodic(controller, just_told).filter(|_| wanted) {
            Some(at) => self.arm(timer, at),
            None => self.disarm(timer),
        }
    }

    /// The wall clock can be believed from now on.
    pub(super) fn reckon_periodic(&mut self) {
        for controller in self.controllers() {
            self.refresh_periodic(controller);
        }
    }

    /// A Controller's Periodic! is due.
    pub(crate) fn handle_periodic(&mut self, controller: u32) {
        if !self.take_due(Timer::Periodic(controller)) {
            return;
        }
        self.tell_event(OBJECT, EVENT, |_, whom| (whom == controller).then(BTreeMap::new));
        self.set_periodic(controller, true);
    }

    fn next_periodic(&self, controller: u32, just_told: bool) -> Option<Mono> {
        let interval = Duration::from_secs(self.controller_number(controller, "PeriodicNotifInterval")?);
        let since = self.since_reference(controller, interval);
        let phase = since.as_millis().checked_rem(interval.as_millis())?;
        let phase = Duration::from_millis(u64::try_from(phase).ok()?);
        let mut rest = interval.saturating_sub(phase);
        if just_told && rest < interval / 2 {
            // The wall clock was set back a little: the moment that was just told comes again.
            rest += interval;
        }
        Some(self.model.now.monotonic + rest)
    }

    /// How long ago PeriodicNotifTime was, plus or minus whole intervals. Without a known time, on either side, the
    /// reference is the start of the process.
    fn since_reference(&self, controller: u32, interval: Duration) -> Duration {
        let row = self.controller_row(controller);
        let text =
            row.and_then(|row| self.model.text(&row, "PeriodicNotifTime")).filter(|t| t != UNKNOWN_TIME);
        let reference = text.and_then(|text| tr106::parse_datetime(&text));
        let (Some(reference), Some(wall)) = (reference, self.model.now.known_wall()) else {
            return self.model.now.monotonic.since(self.model.facts.started);
        };
        let interval = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
        let phase = wall.0.saturating_sub(reference).rem_euclid(interval);
        Duration::from_millis(phase.unsigned_abs())
    }
}
