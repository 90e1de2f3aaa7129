//! What may be read of very many rows: most Permissions say the same of all rows of a table, so it is decided once, and rows
//! of which, or below which, nothing may be read are not looked into.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use usp_proto::path::{Leaf, Path, Segment};

use super::meaning::may_meet;
use super::{Act, Kind, Rights};
use crate::dm::Model;
use crate::dm::rows::ObjRef;
use crate::dm::schema::ObjId;

/// What was decided for one request.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    /// By kind and element. `None`: it depends on the row.
    decided: RefCell<BTreeMap<(Kind, ObjId, Leaf), Option<bool>>>,
    /// Whether anything may be read of an object's rows, or below them. `None`: it depends on the row.
    within: RefCell<BTreeMap<ObjId, Option<bool>>>,
    /// How often a row had to be looked at for nothing.
    denied: Cell<usize>,
}

impl Tables {
    /// Whether an element of our own may be read.
    pub(crate) fn may_read(
        &self,
        rights: &Rights,
        model: &Model,
        kind: Kind,
        at: &ObjRef,
        leaf: &Leaf,
    ) -> bool {
        if rights.is_all() {
            return true;
        }
        let key = (kind, at.object, leaf.clone());
        let known = self.decided.borrow().get(&key).copied();
        if let Some(Some(allowed)) = known {
            return allowed;
        }
        let allowed = rights.allow(model, kind, Act::Read, at, leaf);
        if known.is_none() {
            let alike = written(model, at.object).is_some_and(|path| rights.is_same_for_all(&path));
            self.decided.borrow_mut().insert(key, alike.then_some(allowed));
        }
        self.note(allowed);
        allowed
    }

    /// Whether anything may be read of a row, or below it.
    pub(crate) fn may_show(&self, rights: &Rights, model: &Model, row: &ObjRef) -> bool {
        if rights.is_all() {
            return true;
        }
        let known = self.within.borrow().get(&row.object).copied();
        let known = known.unwrap_or_else(|| {
            let all = written(model, row.object);
            let decided = all.and_then(|path| match rights.may_show_within(&path) {
                true => rights.is_same_for_all(&path).then_some(true),
                false => Some(false),
            });
            self.within.borrow_mut().insert(row.object, decided);
            decided
        });
        known.unwrap_or_else(|| {
            let shows = Path::parse(&model.path(row)).is_ok_and(|path| rights.may_show_within(&path));
            self.note(shows);
            shows
        })
    }

    /// How often a row had to be looked at for nothing, since this was asked last.
    pub(crate) fn take_denied(&self) -> usize {
        self.denied.take()
    }

    fn note(&self, shown: bool) {
        self.denied.set(self.denied.get() + usize::from(!shown));
    }
}

impl Rights {
    /// Whether some entry lets anything be read of what a path means, or below it.
    fn may_show_within(&self, path: &Path) -> bool {
        let reads = [Kind::Param, Kind::Obj, Kind::InstantiatedObj];
        self.roles.iter().flat_map(|role| &role.entries).any(|entry| {
            reads.iter().any(|kind| entry.bits(*kind).0 & Act::Read as u8 != 0)
                && entry.targets.iter().any(|target| may_meet(target, path))
        })
    }

    /// Whether some entry lets an object be read that a path means, or one below it.
    pub(crate) fn may_see_within(&self, path: &Path) -> bool {
        let mut entries = self.roles.iter().flat_map(|role| &role.entries);
        self.all
            || entries.any(|entry| {
                entry.bits(Kind::Obj).0 & Act::Read as u8 != 0
                    && entry.targets.iter().any(|target| may_meet(target, path))
            })
    }

    /// Whether all rows that a path means are treated alike, and what is below them: no target tells rows apart.
    fn is_same_for_all(&self, path: &Path) -> bool {
        let plain = |s: &Segment| matches!(s, Segment::Name(_) | Segment::Wildcard);
        let alike = |target: &Path| target.segments.iter().all(plain) || !may_meet(target, path);
        let mut entries = self.roles.iter().flat_map(|role| &role.entries);
        entries.all(|entry| entry.targets.iter().all(alike))
    }
}

/// An object's path with `*` for its rows.
fn written(model: &Model, object: ObjId) -> Option<Path> {
    Path::parse(&model.schema.get(object)?.path.replace("{i}", "*")).ok()
}
