//! Events of our own that are not the same for everybody: Boot! and Periodic! are told each Controller by itself.

use std::collections::BTreeMap;

use usp_proto::path::{Leaf, Name, Path};
use usp_proto::usp::notify::{Event, Notification};

use crate::Broker;
use crate::subscriptions::NotifKind;

impl Broker {
    /// Subscriptions for an Event of ours, with their Controllers.
    pub(super) fn event_subscriptions(&self, object: &str, event: &str) -> Vec<(u32, u32)> {
        let (Some(at), Ok(name)) = (self.model.locate(object), Name::new(event)) else { return Vec::new() };
        let leaf = Leaf::Event(name);
        let events = self.subs.enabled().filter(|(_, s)| s.kind == NotifKind::Event);
        let about = events.filter(|(_, s)| s.everything().any(|r| self.model.covers(r, &at, &leaf)));
        about.map(|(number, s)| (number, s.controller)).collect()
    }

    /// Tells an Event of ours to the Controllers for which `arguments` has some.
    pub(crate) fn tell_event(
        &mut self,
        object: &str,
        event: &str,
        arguments: impl Fn(&Self, u32) -> Option<BTreeMap<String, String>>,
    ) {
        let Ok(path) = Path::parse(&format!("{object}{event}!")) else { return };
        let at = self.model.locate(object);
        for (number, controller) in self.event_subscriptions(object, event) {
            let Some(params) = arguments(self, controller) else { continue };
            let event = Event { obj_path: object.to_owned(), event_name: format!("{event}!"), params };
            self.notify(number, &path, at.as_ref(), Notification::Event(event));
        }
    }
}
