//! Rows that are gone: who is to be told is found out as if they were still there, so that expressions, references and
//! permissions mean what they meant.

use std::collections::BTreeMap;

use usp_proto::path::{Leaf, Path};
use usp_proto::usp;
use usp_proto::usp::notify::{self, Notification};

use super::matching::Subject;
use super::{NotifKind, Subscription};
use crate::Broker;
use crate::access::{Act, Kind, Rights};
use crate::dm::covers::Element;
use crate::dm::rows::{Change, ObjRef};
use crate::input::ConnId;

/// Subscriptions to be told of each row that is gone.
pub(super) type Mourners = BTreeMap<ObjRef, Vec<u32>>;

impl Broker {
    /// Who is to be told of the rows that a change took away.
    pub(super) fn mourners(&mut self, changes: &[Change]) -> Mourners {
        if changes.iter().all(|c| c.after.is_some()) {
            return Mourners::new();
        }
        let listening = self.subs.enabled().filter(|(_, s)| s.kind == NotifKind::ObjectDeletion);
        // By the rights of now, also where it is a role that is gone.
        let listening: Vec<(u32, Rights)> =
            listening.map(|(number, s)| (number, self.rights_to_hear(s.controller))).collect();
        if listening.is_empty() {
            return Mourners::new();
        }
        self.as_before(changes, |broker, gone| {
            let of_row = |at: &ObjRef| {
                let told = listening.iter().filter(|(number, rights)| {
                    broker.subs.get(*number).is_some_and(|s| broker.hears_of(s, rights, at))
                });
                (at.clone(), told.map(|(number, _)| *number).collect())
            };
            gone.iter().map(of_row).collect()
        })
    }

    /// N-SUB.1: a Controller that is deleted hears of it last, if it wanted to.
    pub(super) fn last_words(&mut self, changes: &[Change]) -> Vec<(ConnId, usp::Msg)> {
        let Some(table) = self.model.table("Device.LocalAgent.Controller.") else { return Vec::new() };
        if !changes.iter().any(|c| c.at.object == table && c.after.is_none()) {
            return Vec::new();
        }
        let found = self.as_before(changes, |broker, gone| {
            let of_controller = |at: &ObjRef| {
                let rights = broker.rights_by_row(at.number());
                let own = broker.subs.enabled().filter(|(_, s)| s.controller == at.number());
                let told = own.filter(|(_, s)| s.action.notifies && broker.hears_of(s, &rights, at));
                let conn = broker.controller_conn(at.number())?;
                let ids: Vec<String> = told.map(|(_, s)| s.id.clone()).collect();
                Some((conn, broker.model.path(at), ids))
            };
            gone.iter().filter(|at| at.object == table).filter_map(of_controller).collect::<Vec<_>>()
        });
        let mut words = Vec::new();
        for (conn, obj_path, ids) in found {
            for id in ids {
                let told = Notification::ObjDeletion(notify::ObjectDeletion { obj_path: obj_path.clone() });
                let msg_id = self.next_msg_id();
                words.push((conn, super::notices::notify_message(&msg_id, &id, false, told)));
            }
        }
        words
    }

    fn hears_of(&self, subscription: &Subscription, rights: &Rights, at: &ObjRef) -> bool {
        let element = Element::of(&self.model, at, Leaf::Object);
        let of = |_| rights.clone();
        let subject = Subject { model: &self.model, element, at: Some(at), rights: &of };
        subject.concerns(NotifKind::ObjectDeletion, subscription)
            && rights.allow(&self.model, Kind::InstantiatedObj, Act::Notify, at, &Leaf::Object)
    }

    /// Looks at the rows that a change took away while they are there once more.
    fn as_before<T>(&mut self, changes: &[Change], look: impl FnOnce(&Self, &[ObjRef]) -> T) -> T {
        let savepoint = self.model.rows.savepoint();
        let mut gone = Vec::new();
        for change in changes.iter().filter(|c| c.after.is_none()) {
            if let Some(row) = change.before.as_ref().filter(|_| !self.model.rows.contains(&change.at)) {
                self.model.rows.put(change.at.clone(), row.clone());
                gone.push(change.at.clone());
            }
        }
        let seen = look(self, &gone);
        self.model.rows.rollback(savepoint);
        seen
    }

    /// A row is gone.
    pub(super) fn tell_deleted(&mut self, at: &ObjRef, mourners: &Mourners) {
        if !self.is_row(at) || self.model.rows.contains(at) {
            return;
        }
        let obj_path = self.model.path(at);
        let Ok(path) = Path::parse(&obj_path) else { return };
        let notification = Notification::ObjDeletion(notify::ObjectDeletion { obj_path });
        for number in mourners.get(at).into_iter().flatten() {
            self.tell(*number, &path, None, notification.clone());
        }
        self.tell_count(at);
    }
}
