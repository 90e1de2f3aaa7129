//! What the Agent does with its own data model beyond storing it: Periodic!, ScheduleTimer(), on-boarding, the actions of
//! Subscriptions, and its commands.
//!
//! Whatever is to happen later is a due time on the clock that never jumps. Where the standard counts in wall time
//! (PeriodicNotifTime, a timer that outlives a restart) the wall is only asked while it can be believed, and due times
//! are reckoned anew once it can be.

pub(crate) mod commands;
mod events;
mod mtps;
mod onboarding;
mod periodic;
mod schedule;
pub mod site;
pub mod triggers;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::Broker;
use crate::dm::compute::{UNKNOWN_TIME, datetime};
use crate::dm::rows::ObjRef;
use crate::time::{Mono, Now, Wall};
use crate::timers::Timer;
use onboarding::OnBoarding;
use site::Reloads;

/// What it remembers.
#[derive(Debug, Default)]
pub(crate) struct Agent {
    /// Whether the wall clock could be believed at the last input.
    wall_known: bool,
    /// What is due when.
    dues: BTreeMap<Timer, Mono>,
    /// Controllers whose on-boarding is not complete.
    onboarding: BTreeMap<u32, OnBoarding>,
    /// Subscriptions whose settings are to be made.
    triggered: BTreeSet<u32>,
    /// When the settings of a Subscription were made last.
    configured: BTreeMap<u32, Mono>,
    /// Requests to read the site again.
    reloads: Reloads,
}

impl Broker {
    /// Sets when something is due, in the place of any former time.
    fn arm(&mut self, timer: Timer, at: Mono) {
        self.disarm(timer);
        self.timers.set(at, timer);
        self.agent.dues.insert(timer, at);
    }

    fn disarm(&mut self, timer: Timer) {
        if let Some(at) = self.agent.dues.remove(&timer) {
            self.timers.clear(at, timer);
        }
    }

    /// Whether a timer that went off is still meant; it is used up then.
    fn take_due(&mut self, timer: Timer) -> bool {
        let is_due = self.agent.dues.get(&timer).is_some_and(|at| *at <= self.model.now.monotonic);
        if is_due {
            self.agent.dues.remove(&timer);
        }
        is_due
    }

    /// The two clocks at an input. What counts in wall time is reckoned anew when the wall can be believed at last.
    pub(crate) fn take_time(&mut self, now: Now) {
        self.model.now = now;
        self.notices.next_input();
        if now.wall_is_true && !std::mem::replace(&mut self.agent.wall_known, now.wall_is_true) {
            self.reckon_periodic();
            self.reckon_timers();
            self.date_subscriptions();
            self.refresh_subscriptions();
        }
        self.agent.wall_known = now.wall_is_true;
    }

    /// Subscriptions that were made while the time was not known have a CreationDate from now on (N-SUB.4).
    fn date_subscriptions(&mut self) {
        let (Some(table), Some(wall)) =
            (self.model.table("Device.LocalAgent.Subscription."), self.model.now.known_wall())
        else {
            return;
        };
        let rows = self.model.rows.of_table(table, &[]);
        let undated =
            rows.filter(|(_, row)| row.params.get("CreationDate").is_some_and(|d| d == UNKNOWN_TIME));
        let undated: Vec<ObjRef> = undated.map(|(at, _)| at.clone()).collect();
        for at in &undated {
            let age = i64::try_from(self.lived(at).as_millis()).unwrap_or(0);
            let created = datetime(Some(Wall(wall.0.saturating_sub(age))));
            self.put_param(at, "CreationDate", created);
        }
        if !undated.is_empty() {
            self.commit(None);
        }
    }

    /// How much of its TimeToLive a Subscription has used up.
    fn lived(&self, at: &ObjRef) -> Duration {
        let seconds = self.model.text(at, "TimeToLive").and_then(|text| text.parse().ok()).unwrap_or(0);
        let ends = self.subs.get(at.number()).and_then(|s| s.ends);
        let left = ends.map(|ends| ends.since(self.model.now.monotonic));
        left.map_or(Duration::ZERO, |left| Duration::from_secs(seconds).saturating_sub(left))
    }

    /// Controllers or Subscriptions have changed.
    pub(crate) fn agent_in_line(&mut self, controllers: &BTreeSet<u32>, subscriptions: &BTreeSet<u32>) {
        for controller in controllers {
            self.refresh_periodic(*controller);
            self.refresh_on_boarding(*controller);
        }
        for number in subscriptions {
            match self.subs.get(*number).map(|s| s.controller) {
                Some(controller) => self.refresh_periodic(controller),
                None => self.forget_trigger(*number),
            }
        }
    }

    /// The start: what was on disk is taken up again.
    pub(crate) fn start_agent(&mut self) {
        self.agent.wall_known = self.model.now.wall_is_true;
        self.resume_timers();
        let controllers = self.controllers();
        self.agent_in_line(&controllers, &BTreeSet::new());
    }

    /// Numbers of all Controllers.
    fn controllers(&self) -> BTreeSet<u32> {
        let table = self.model.table("Device.LocalAgent.Controller.");
        let rows = table.map(|table| self.model.rows.of_table(table, &[]).map(|(at, _)| at.number()));
        rows.map(Iterator::collect).unwrap_or_default()
    }

    /// Whether a Parameter of a Controller's row reads `true`.
    fn controller_says(&self, controller: u32, name: &str) -> bool {
        let row = self.controller_row(controller).filter(|row| self.model.rows.contains(row));
        row.is_some_and(|row| self.model.text(&row, name).as_deref() == Some("true"))
    }

    /// A number in a Controller's row.
    fn controller_number(&self, controller: u32, name: &str) -> Option<u64> {
        let row = self.controller_row(controller).filter(|row| self.model.rows.contains(row))?;
        self.model.text(&row, name)?.parse().ok()
    }
}
