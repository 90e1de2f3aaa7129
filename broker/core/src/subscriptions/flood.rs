//! A ceiling for what one input may tell: rows times Subscriptions know no bound, and all peers wait meanwhile.
//!
//! A request that would tell its own Controller too much is refused before it takes effect. Where another Controller has
//! asked for that much, its connection ends instead, so that nobody's Subscriptions keep others from what they may do.

use std::collections::{BTreeMap, BTreeSet};

use usp_proto::err_code::ErrCode;
use usp_proto::path::Leaf;
use usp_proto::usp::notify::Notification;

use super::NotifKind;
use super::matching::Subject;
use crate::Broker;
use crate::dm::covers::Element;
use crate::dm::rows::{Change, ObjRef};
use crate::fault::Fault;
use crate::output::CloseReason;
use crate::request::Origin;

/// Bytes of notifications that one input may cause for one Controller, and for all of them.
const MOST_BYTES: usize = 32 << 20;
const MOST_BYTES_OF_ALL: usize = 64 << 20;

/// What a notification takes beside its texts.
const OVERHEAD: usize = 256;

/// What the present input has told so far.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Notifications and bytes, by Controller.
    by_controller: BTreeMap<u32, (usize, usize)>,
    bytes: usize,
    /// Controllers that are told nothing more.
    over: BTreeSet<u32>,
}

impl Told {
    /// The next input begins.
    pub(crate) fn reset(&mut self) {
        if !self.by_controller.is_empty() {
            *self = Self::default();
        }
    }

    /// Whether a Controller is told nothing more of this input.
    pub(super) fn is_over(&self, controller: u32) -> bool {
        self.over.contains(&controller)
    }

    /// One more. `false`: it is too much.
    fn count(&mut self, controller: u32, bytes: usize, most: usize) -> bool {
        let (count, own) = self.by_controller.entry(controller).or_default();
        (*count, *own) = (*count + 1, *own + bytes);
        self.bytes += bytes;
        *count <= most && *own <= MOST_BYTES && self.bytes <= MOST_BYTES_OF_ALL
    }
}

impl Broker {
    /// Whether a Controller can still be told something of the present input. Beyond the ceiling its connection ends.
    pub(super) fn may_still_tell(&mut self, controller: u32, notification: &Notification) -> bool {
        if self.told.is_over(controller) {
            return false;
        }
        let Some(conn) = self.controller_conn(controller) else { return true };
        let most = self.config.limits.max_notifications_at_once;
        if self.told.count(controller, weight(notification), most) {
            return true;
        }
        self.told.over.insert(controller);
        let why = format!(
            "one change would bring more than {most} notifications (limits.max_notifications_at_once) or \
             {} MiB: subscribe to less, or fewer times",
            MOST_BYTES >> 20
        );
        tracing::warn!(controller, why, "a Controller's Subscriptions ask for too much at once");
        self.close(conn, CloseReason::Limit(why));
        false
    }

    /// Refuses what a request has just changed, and nobody was told yet, if it would tell its own Controller too much.
    ///
    /// Errors: 7005.
    pub(crate) fn check_flood(&self, origin: &Origin, savepoint: usize) -> Result<(), Fault> {
        let Some(controller) = origin.controller else { return Ok(()) };
        let own = self.subs.enabled().filter(|(_, s)| s.controller == controller && s.action.notifies);
        let own: Vec<_> = own.map(|(_, s)| s).collect();
        let changes = self.model.rows.since(savepoint);
        let most = self.config.limits.max_notifications_at_once;
        // Hardly ever could it be too much at all.
        if changes.len().saturating_mul(own.len()) <= most {
            return Ok(());
        }
        let rights = |controller| self.rights_of_controller(controller);
        let mut told = 0;
        for (kind, at, leaf) in changes.iter().flat_map(happenings) {
            let element = Element::of(&self.model, at, leaf);
            let subject = Subject { model: &self.model, element, at: Some(at), rights: &rights };
            told += own.iter().filter(|s| subject.concerns(kind, s)).count();
            if told > most {
                let text = format!(
                    "your own Subscriptions would bring you more than {most} notifications of this at once \
                     (limits.max_notifications_at_once): change less at a time, or subscribe fewer times"
                );
                return Err(Fault::new(ErrCode::RESOURCES_EXCEEDED, text));
            }
        }
        Ok(())
    }
}

/// What subscribers are told of a change.
fn happenings(change: &Change) -> Vec<(NotifKind, &ObjRef, Leaf)> {
    let at = &change.at;
    match (&change.before, &change.after) {
        (None, Some(_)) => vec![(NotifKind::ObjectCreation, at, Leaf::Object)],
        (Some(_), None) => vec![(NotifKind::ObjectDeletion, at, Leaf::Object)],
        (Some(before), Some(after)) => {
            let changed = after.params.iter().filter(|(name, value)| before.params.get(name) != Some(*value));
            changed.map(|(name, _)| (NotifKind::ValueChange, at, Leaf::Parameter(name.clone()))).collect()
        }
        (None, None) => Vec::new(),
    }
}

/// About what it takes in memory.
fn weight(notification: &Notification) -> usize {
    let texts = match notification {
        Notification::ValueChange(change) => change.param_path.len() + change.param_value.len(),
        Notification::ObjCreation(made) => {
            let keys = made.unique_keys.iter().map(|(name, value)| name.len() + value.len() + OVERHEAD / 2);
            made.obj_path.len() + keys.sum::<usize>()
        }
        Notification::ObjDeletion(gone) => gone.obj_path.len(),
        Notification::Event(event) => {
            let params = event.params.iter().map(|(name, value)| name.len() + value.len() + OVERHEAD / 2);
            event.obj_path.len() + params.sum::<usize>()
        }
        Notification::OperComplete(_) | Notification::OnBoardReq(_) => OVERHEAD,
    };
    texts + OVERHEAD
}
