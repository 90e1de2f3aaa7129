//! Which Subscriptions something is about (R-NOT.0).
//!
//! Of Parameters, Commands and Events a reference covers what it names and, if it names an object, all below that. Rows
//! that come and go are told to who named their table or, of rows that go, the row; a reference to an object that is
//! neither stands for all tables below it.

use std::collections::BTreeSet;

use usp_proto::path::{Expression, Leaf, Name, Path, Segment};

use super::{Happening, NotifKind, Subscription};
use crate::Broker;
use crate::access::Rights;
use crate::dm::Model;
use crate::dm::covers::{Element, Step};
use crate::dm::resolve::{Found, follows};
use crate::dm::rows::ObjRef;

impl NotifKind {
    /// Whether a reference can lead to anything of this kind.
    pub(crate) fn fits(self, reference: &Path) -> bool {
        match self {
            Self::ValueChange => matches!(reference.leaf, Leaf::Object | Leaf::Parameter(_)),
            Self::ObjectCreation | Self::ObjectDeletion => reference.leaf == Leaf::Object,
            Self::OperationComplete => matches!(reference.leaf, Leaf::Object | Leaf::Command(_)),
            Self::Event => matches!(reference.leaf, Leaf::Object | Leaf::Event(_)),
        }
    }

    /// It tells of rows.
    pub(crate) fn is_about_rows(self) -> bool {
        matches!(self, Self::ObjectCreation | Self::ObjectDeletion)
    }
}

impl Broker {
    /// The enabled Subscriptions that are about something.
    pub(super) fn interested(&self, happening: &Happening<'_>) -> Vec<u32> {
        let element = match happening.at {
            Some(at) => Some(Element::of(&self.model, at, happening.path.leaf.clone())),
            None => Element::parsed(happening.path),
        };
        element.map_or_else(Vec::new, |element| self.interested_in(happening.kind, element, happening.at))
    }

    pub(super) fn interested_in(
        &self,
        kind: NotifKind,
        element: Element<'_>,
        at: Option<&ObjRef>,
    ) -> Vec<u32> {
        let rights = |controller| self.rights_to_hear(controller);
        let subject = Subject { model: &self.model, element, at, rights: &rights };
        let concerned = self.subs.enabled().filter(|(_, s)| subject.concerns(kind, s));
        concerned.map(|(number, _)| number).collect()
    }
}

/// What has happened to what.
pub(super) struct Subject<'a> {
    pub(super) model: &'a Model,
    pub(super) element: Element<'a>,
    /// If it is one of ours.
    pub(super) at: Option<&'a ObjRef>,
    /// Rights of recipients: what their expressions and references look at is read for them (R-SEC.1).
    pub(super) rights: &'a dyn Fn(u32) -> Rights,
}

impl Subject<'_> {
    pub(super) fn concerns(&self, kind: NotifKind, subscription: &Subscription) -> bool {
        let recipient = subscription.controller;
        let is_named = |reference| match kind.is_about_rows() {
            true => self.is_row_of(reference, kind, recipient),
            false => self.is_covered_by(reference, recipient),
        };
        subscription.kind == kind && subscription.everything().any(is_named)
    }

    fn is_covered_by(&self, reference: &Path, recipient: u32) -> bool {
        let Some(at) = self.at.filter(|_| follows(reference)) else { return self.fits(reference, recipient) };
        let Some(Found::Local(found)) = self.led(reference, recipient).filter(|_| self.may_be(reference))
        else {
            return false;
        };
        !found.table
            && found.at.iter().any(|object| match &reference.leaf {
                Leaf::Object => self.model.is_within(at, object),
                wanted => object == at && *wanted == self.element.leaf,
            })
    }

    /// Most of what happens is told apart by its name alone.
    fn may_be(&self, reference: &Path) -> bool {
        matches!(reference.leaf, Leaf::Object) || reference.leaf == self.element.leaf
    }

    /// Where a reference leads its recipient now.
    fn led(&self, reference: &Path, recipient: u32) -> Option<Found> {
        let rights = (self.rights)(recipient);
        let may_read = |at: &ObjRef, name: &Name| rights.may_read(self.model, at, name);
        self.model.resolve_for(&reference.segments, &may_read).ok()
    }

    fn fits(&self, reference: &Path, recipient: u32) -> bool {
        let meets = |steps: usize, expression: &Expression| {
            let rights = (self.rights)(recipient);
            let may_read = |at: &ObjRef, name: &Name| rights.may_read(self.model, at, name);
            let row = self.at.and_then(|at| self.model.row_at(at, steps));
            row.is_some_and(|row| self.model.meets_for(&row, expression, &may_read).unwrap_or(false))
        };
        self.element.is_covered_by(reference, &meets)
    }

    fn is_row_of(&self, reference: &Path, kind: NotifKind, recipient: u32) -> bool {
        if reference.leaf != Leaf::Object {
            return false;
        }
        if follows(reference) {
            return self.is_row_behind(reference, kind, recipient);
        }
        let own = self.element.steps.len();
        let by_number = matches!(reference.segments.last(), Some(Segment::Instance(_)));
        let chooses_row = matches!(reference.segments.last(), Some(s) if !matches!(s, Segment::Name(_)));
        let named = match reference.segments.len() {
            // The row itself. One that does not exist yet cannot be known by its number.
            named if named == own => kind == NotifKind::ObjectDeletion || !by_number,
            named if named + 1 == own => true,
            // Something above: a table or a row means just that, anything else all tables below.
            named if chooses_row => named < own && kind == NotifKind::ObjectCreation,
            named => !matches!(self.element.steps.get(named), Some(Step::Number(_))),
        };
        named && self.fits(reference, recipient)
    }

    /// The same for a reference that itself follows references: what it leads to now.
    fn is_row_behind(&self, reference: &Path, kind: NotifKind, recipient: u32) -> bool {
        let (Some(at), Some(Found::Local(found))) = (self.at, self.led(reference, recipient)) else {
            return false;
        };
        if found.table {
            let above = self.model.above(at);
            return found.object == Some(at.object) && found.at.iter().any(|o| Some(o) == above.as_ref());
        }
        found.at.iter().any(|object| match kind {
            NotifKind::ObjectDeletion => object == at,
            _ => object != at && self.model.is_within(at, object),
        })
    }
}

/// The objects that each of some references, which follow no others, names before its first row.
pub(super) fn stems<'a>(references: impl Iterator<Item = &'a Path>) -> BTreeSet<String> {
    references.map(stem).collect()
}

fn stem(reference: &Path) -> String {
    let names = reference.segments.iter().map_while(|segment| match segment {
        Segment::Name(name) => Some(format!("{name}.")),
        _ => None,
    });
    names.collect()
}
