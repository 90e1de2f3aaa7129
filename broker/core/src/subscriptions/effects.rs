//! What follows from a change of our own rows once it holds: derived state is brought in line, then subscribers are told.

use std::collections::BTreeSet;
use std::sync::Arc;

use usp_proto::path::{Name, Path, Segment};
use usp_proto::usp::notify::{self, Notification};

use super::{Happening, NotifKind, Subscription};
use crate::Broker;
use crate::dm::Model;
use crate::dm::compute::stored_default;
use crate::dm::rows::{Change, ObjRef, Row};

impl Broker {
    /// Everything that follows from the changes of one request.
    pub(crate) fn apply_effects(&mut self, changes: &[Change]) {
        self.model.searched.reset();
        let last_words = self.last_words(changes);
        let controllers = self.bring_in_line(changes);
        let mourners = self.mourners(changes);
        for change in changes {
            if self.is_untold(change) {
                continue;
            }
            match (&change.before, &change.after) {
                (None, Some(_)) if self.is_row(&change.at) => self.tell_created(&change.at),
                (None, Some(after)) => self.tell_changed(&change.at, &self.defaults(&change.at), after),
                (Some(_), None) => {
                    self.forget_numbers_below(&change.at);
                    self.tell_deleted(&change.at, &mourners);
                }
                (Some(before), Some(after)) => self.tell_changed(&change.at, before, after),
                (None, None) => {}
            }
        }
        for (conn, msg) in last_words {
            self.send_message(conn, msg, None);
        }
        // N-SUB.2: whoever loses its connection through the change has heard of it.
        for number in controllers {
            self.check_controller(number);
        }
        self.drop_idle_recipients(changes);
    }

    /// Controllers that were remembered for their Subscriptions alone, when the last of these is gone.
    fn drop_idle_recipients(&mut self, changes: &[Change]) {
        let table = self.model.table("Device.LocalAgent.Subscription.");
        let gone = changes.iter().filter(|c| Some(c.at.object) == table && c.after.is_none());
        let recipients: BTreeSet<u32> = gone
            .filter_map(|change| change.before.as_ref()?.params.get("Recipient"))
            .filter_map(|path| self.model.locate(path).map(|row| row.number()))
            .collect();
        for number in recipients {
            self.drop_idle_controller(Some(number));
        }
    }

    /// What an object's Parameters read before the first of them was stored.
    fn defaults(&self, at: &ObjRef) -> Row {
        let object =
            self.model.schema.get(at.object).filter(|o| !o.path.starts_with("Device.ProxiedDevice."));
        let params = object.into_iter().flat_map(|o| &o.params);
        Row { params: params.map(|(n, p)| (n.clone(), stored_default(p))).collect(), volatile: false }
    }

    /// Gives back the Controllers whose rows have changed.
    fn bring_in_line(&mut self, changes: &[Change]) -> BTreeSet<u32> {
        let mut subscriptions = BTreeSet::new();
        let (mut rights, mut trust, mut mqtt) = (false, false, false);
        let mut controllers = BTreeSet::new();
        for change in changes {
            match self.model.schema.get(change.at.object).map(|o| &*o.path) {
                Some("Device.LocalAgent.Subscription.{i}.") => {
                    subscriptions.insert(change.at.number());
                }
                Some("Device.LocalAgent.Controller.{i}.") => {
                    controllers.insert(change.at.number());
                    (rights, mqtt) = (true, true);
                }
                Some("Device.LocalAgent.Controller.{i}.MTP.{i}.") => {
                    controllers.extend(change.at.numbers.first());
                    mqtt = true;
                }
                Some(path) if is_about_mqtt(path) => mqtt = true,
                Some(path) if path.starts_with("Device.LocalAgent.ControllerTrust.") => rights = true,
                Some("Device.USPServices.Trust.{i}.") => trust = true,
                _ => {}
            }
        }
        for number in &subscriptions {
            self.refresh_subscription(*number);
        }
        if rights {
            self.refresh_rights();
        }
        if mqtt {
            self.sync_mqtt();
        }
        if trust {
            self.review_trust();
        }
        let mut synced = subscriptions.clone();
        synced.extend(self.led_elsewhere(changes, rights));
        if !synced.is_empty() {
            self.follow_subscriptions(&synced);
            self.sync_services(&synced);
        }
        self.agent_in_line(&controllers, &subscriptions);
        controllers
    }

    /// Subscriptions that mean something else at Services now: a reference that they follow has changed, or what their
    /// recipients may read of what they look at.
    fn led_elsewhere(&self, changes: &[Change], rights: bool) -> Vec<u32> {
        let value =
            |row: &Option<Arc<Row>>, name: &Name| row.as_ref().and_then(|row| row.params.get(name).cloned());
        let has_moved = |c: &Change, name: &Name| value(&c.before, name) != value(&c.after, name);
        let moved = |name: &Name| changes.iter().any(|change| has_moved(change, name));
        let looks = |reference: &Path| {
            let mut followed = holders(reference);
            followed.any(moved) || (rights && Model::is_search(reference))
        };
        // What its recipient's Targets mean has to be known before a row goes.
        let mourns = |s: &Subscription| rights && s.kind == NotifKind::ObjectDeletion;
        let concerned = self.subs.enabled().filter(|(_, s)| mourns(s) || s.references.iter().any(looks));
        concerned.map(|(number, _)| number).collect()
    }

    /// A row is gone for good. A device that comes back has its old numbers, and so have the rows below it.
    fn forget_numbers_below(&mut self, at: &ObjRef) {
        let object = self.model.schema.get(at.object).map_or("", |o| &*o.path);
        if at.numbers.is_empty()
            || self.model.rows.contains(at)
            || !self.is_row(at)
            || object.starts_with("Device.ProxiedDevice.")
        {
            return;
        }
        let below = self.model.descendants(at.object);
        self.model.rows.forget_numbers(below.get(1..).unwrap_or_default(), &at.numbers);
    }

    pub(super) fn is_row(&self, at: &ObjRef) -> bool {
        self.model.schema.get(at.object).is_some_and(|o| o.table)
    }

    pub(crate) fn tell_created(&mut self, at: &ObjRef) {
        if !self.is_row(at) || !self.model.rows.contains(at) {
            return;
        }
        let obj_path = self.model.path(at);
        let Ok(path) = Path::parse(&obj_path) else { return };
        let unique_keys = self.model.unique_keys(at).into_iter().map(|(n, v)| (n.to_string(), v)).collect();
        let notification = Notification::ObjCreation(notify::ObjectCreation { obj_path, unique_keys });
        self.emit(&Happening { kind: NotifKind::ObjectCreation, path: &path, at: Some(at), notification });
        self.tell_count(at);
    }

    /// The table's `…NumberOfEntries` has changed with its rows.
    pub(super) fn tell_count(&mut self, row: &ObjRef) {
        let (Some(above), Some(table)) = (self.model.above(row), self.model.schema.get(row.object)) else {
            return;
        };
        let count = format!("{}NumberOfEntries", table.name);
        self.emit_change(&above, &count);
    }

    /// Tells what was stored: meanwhile there may be newer values that nobody has been promised.
    fn tell_changed(&mut self, at: &ObjRef, before: &Row, after: &Row) {
        let changed: Vec<(Name, String)> = after
            .params
            .iter()
            .filter(|(n, v)| before.params.get(n) != Some(*v))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect();
        for (name, value) in changed {
            if self.model.exists(at) {
                self.emit_value(at, &name, value);
            }
            self.tell_threshold(at, &name, before);
            if matches!(name.as_str(), "Sensitivity" | "HoldTime" | "RestTime") {
                self.handle_windows(at);
            }
        }
    }

    /// A new threshold can change what LowLevel and HighLevel say.
    fn tell_threshold(&mut self, at: &ObjRef, name: &Name, before: &Row) {
        let Some(level) = name.as_str().strip_suffix("Threshold") else { return };
        let old = before.params.get(name).cloned().or_else(|| self.model.mapped(at, name.as_str()));
        let was = old.and_then(|threshold| self.model.level_at(at, level, &threshold));
        let threshold = self.model.text(at, name.as_str());
        if was != threshold.and_then(|threshold| self.model.level_at(at, level, &threshold)) {
            self.emit_change(at, level);
        }
    }
}

/// The reference Parameters that a path follows.
fn holders(path: &Path) -> impl Iterator<Item = &Name> {
    path.segments.windows(2).filter_map(|pair| match pair {
        [Segment::Name(name), Segment::Follow(_)] => Some(name),
        _ => None,
    })
}

/// Objects whose change MQTT clients and their peers follow.
fn is_about_mqtt(object: &str) -> bool {
    ["Device.MQTT.Client.", "Device.LocalAgent.MTP.", "Device.LocalAgent.Controller.{i}.MTP."]
        .iter()
        .any(|p| object.starts_with(p))
}
