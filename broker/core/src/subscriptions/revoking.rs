//! What may not be told any more, though it was due: its Subscription is off or gone, or a right was taken away.
//!
//! It leaves memory when the change takes effect, and the disk in the very batch that holds the change, so that after a power
//! cut nothing is on disk that its Controller could not be told by the rights that are there beside it. What was let in and of
//! which nothing is taken stays, though it may not be known at the moment what a Target means.

use std::collections::{BTreeMap, BTreeSet};

use usp_proto::path::{Leaf, Path};
use usp_proto::usp::notify::Notification;

use super::notices::subject_of;
use crate::Broker;
use crate::access::{Act, Rights};
use crate::dm::Model;
use crate::dm::rows::{Change, ObjRef};
use crate::output::StoreOp;

/// What a change may take from whom.
#[derive(Default)]
struct Cause {
    /// These may be off or gone.
    subscriptions: BTreeSet<u32>,
    /// Someone may have other rights.
    rights: bool,
}

impl Cause {
    fn of<'a>(model: &Model, changes: impl Iterator<Item = &'a Change>) -> Self {
        let mut cause = Self::default();
        for change in changes {
            match model.schema.get(change.at.object).map(|object| &*object.path) {
                Some("Device.LocalAgent.Subscription.{i}.") => {
                    cause.subscriptions.insert(change.at.number());
                }
                Some("Device.LocalAgent.Controller.{i}.") => cause.rights = true,
                Some(path) if path.starts_with("Device.LocalAgent.ControllerTrust.") => cause.rights = true,
                _ => {}
            }
        }
        cause
    }
}

impl Broker {
    /// What goes off the disk together with changes that go there.
    pub(crate) fn revoked_by<'a>(&self, changes: impl Iterator<Item = &'a Change>) -> Vec<StoreOp> {
        let cause = Cause::of(&self.model, changes);
        let off: BTreeSet<u32> =
            cause.subscriptions.into_iter().filter(|number| !self.is_on(*number)).collect();
        let of_these = |number: &u32| off.contains(number);
        let silent =
            self.notices.iter().filter(|(_, notice)| notice.subscription.as_ref().is_some_and(of_these));
        let mut gone: BTreeSet<u64> = silent.map(|(id, _)| id).collect();
        if cause.rights {
            // What follows from the change comes after it: what is remembered is what was so before.
            let before = self.rights_cache.borrow();
            for controller in self.notices.controllers() {
                let rights = self.rights_by_row(controller);
                gone.extend(self.lost_by(controller, before.get(&controller), rights));
            }
        }
        gone.retain(|id| self.notices.get(*id).is_some_and(|notice| notice.kept));
        gone.into_iter().map(|id| StoreOp::DeleteNotification { id }).collect()
    }

    /// Whether a Subscription is there and enabled, by its row.
    fn is_on(&self, number: u32) -> bool {
        let row =
            self.model.table("Device.LocalAgent.Subscription.").map(|table| ObjRef::new(table, &[number]));
        row.and_then(|row| self.read_subscription(&row)).is_some_and(|subscription| subscription.enabled)
    }

    /// A Subscription is gone: what it still had to say is not said any more.
    pub(crate) fn drop_notices_of(&mut self, subscription: u32) {
        let gone = self.notices.iter().filter(|(_, n)| n.subscription == Some(subscription));
        let gone: Vec<u64> = gone.map(|(id, _)| id).collect();
        for id in gone {
            self.revoke_notice(id);
        }
    }

    /// Rights have changed: what a recipient may not have any more is not sent. `before`: the rights by which it was
    /// let in, where they are known.
    pub(crate) fn review_notices(&mut self, before: &BTreeMap<u32, Rights>) {
        for controller in self.notices.controllers() {
            let rights = self.rights_of_controller(controller);
            for id in self.lost_by(controller, before.get(&controller), rights) {
                self.revoke_notice(id);
            }
        }
    }

    /// What a Controller may not have any more. What Targets mean may have changed, or be unknown, since it was let in: what
    /// nothing was taken from stays.
    fn lost_by(&self, controller: u32, before: Option<&Rights>, rights: Rights) -> Vec<u64> {
        if before == Some(&rights) {
            return Vec::new();
        }
        let rights = rights.knowing(&self.model.targets);
        let still = |note: &Notification| before.is_some_and(|before| still_may_have(&rights, before, note));
        let stays = |note: &Notification| still(note) || self.may_have(&rights, note);
        let lost = self.notices.of(controller).filter(|(_, notice)| !stays(&notice.notification));
        lost.map(|(id, _)| id).collect()
    }

    /// One may not be told any more, whatever happens.
    fn revoke_notice(&mut self, id: u64) {
        if let Some(notice) = self.take_notice(id) {
            self.unsave_at_once(id, &notice);
        }
    }

    pub(super) fn may_have(&self, rights: &Rights, notification: &Notification) -> bool {
        let Some((kind, text)) = subject_of(notification) else { return true };
        let Ok(path) = Path::parse(&text) else { return false };
        let object = Path { segments: path.segments.clone(), leaf: Leaf::Object };
        match self.model.locate(&object.to_string()) {
            Some(at) => rights.allow(&self.model, kind, Act::Notify, &at, &path.leaf),
            None => rights.allow_path(kind, Act::Notify, &path),
        }
    }
}

/// Whether a right that was there before is there, whatever Targets mean.
fn still_may_have(rights: &Rights, before: &Rights, notification: &Notification) -> bool {
    let path = subject_of(notification).and_then(|(kind, text)| Some((kind, Path::parse(&text).ok()?)));
    path.is_some_and(|(kind, path)| rights.still_allow(before, kind, Act::Notify, &path))
}
