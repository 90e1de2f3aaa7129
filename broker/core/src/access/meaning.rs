//! What Targets mean whose rows or references Services know.
//!
//! A Target that stands in a Service by an expression, or follows a reference, is *open*. Its *meaning* is the objects that
//! it leads to, as the Services answered last ([`crate::request::decide`]). States of an open Target, for one decision:
//!
//! - never asked, or the last question failed: *undecided*. Its entry gives nothing, and takes its letters from everything
//!   that the Target could mean by its names (anything at all, where it follows a reference);
//! - asked: it means those objects and nothing else. What it meant before and does not mean any more counts as undecided in
//!   notifications, for they tell of what was so before the answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use usp_proto::path::{Leaf, Path, Segment};

use super::Rights;
use super::cover::{covers_written, may_cover};
use crate::dm::Model;
use crate::dm::resolve::follows;
use crate::dm::rows::ObjRef;
use crate::dm::schema::{Owner, ServiceId};
use crate::fault::Fault;

/// The object part of a path.
pub(crate) type Steps = Vec<Segment>;

/// By the object part of the Target.
pub(crate) type Meanings = BTreeMap<Steps, Meaning>;

/// So many Targets are remembered at most.
const MOST: usize = 1024;

/// What one Target leads to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Meaning {
    /// Concrete objects.
    objects: BTreeSet<Steps>,
    /// Who was asked.
    services: BTreeSet<ServiceId>,
}

/// What is remembered of all open Targets.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    known: Arc<Meanings>,
    /// Objects of the answer before that are not in the last one.
    lost: Arc<BTreeMap<Steps, BTreeSet<Steps>>>,
    /// Those of which the last question failed, and who was asked.
    failed: BTreeMap<Steps, BTreeSet<ServiceId>>,
}

impl Meaning {
    pub(crate) fn new(objects: BTreeSet<Steps>, services: BTreeSet<ServiceId>) -> Self {
        Self { objects, services }
    }

    pub(super) fn objects(&self) -> impl Iterator<Item = &Steps> {
        self.objects.iter()
    }

    /// Whether one of the objects is what a path names, or above it. `None`: it is not known, or not of every row that
    /// the path stands for.
    fn covers(&self, path: &Path, leaf: &Leaf) -> Option<bool> {
        let concrete = |s: &Segment| matches!(s, Segment::Name(_) | Segment::Instance(_));
        match holds(&self.objects, path, leaf) {
            true => Some(true),
            false => path.segments.iter().all(concrete).then_some(false),
        }
    }
}

/// Whether one of the objects is what a path names or, for a Target that is an object, above it.
fn holds(objects: &BTreeSet<Steps>, path: &Path, leaf: &Leaf) -> bool {
    match leaf {
        Leaf::Object => {
            let mut tops = (1..=path.segments.len()).filter_map(|length| path.segments.get(..length));
            tops.any(|top| objects.contains(top))
        }
        leaf => *leaf == path.leaf && objects.contains(&path.segments),
    }
}

impl Targets {
    /// An answer, or who was asked if there was no good one.
    pub(crate) fn learn(&mut self, target: Steps, meaning: Result<Meaning, BTreeSet<ServiceId>>) {
        let known = Arc::make_mut(&mut self.known);
        if known.len() >= MOST && !known.contains_key(&target) {
            known.clear();
            self.lost = Arc::default();
            self.failed.clear();
        }
        let lost = Arc::make_mut(&mut self.lost);
        lost.remove(&target);
        let meaning = match meaning {
            Ok(meaning) => meaning,
            Err(asked) => {
                known.remove(&target);
                self.failed.insert(target, asked);
                return;
            }
        };
        self.failed.remove(&target);
        if let Some(before) = known.get(&target) {
            lost.insert(target.clone(), before.objects.difference(&meaning.objects).cloned().collect());
        }
        known.insert(target, meaning);
    }

    /// A Service is gone: what it said is not known any more, nor is what it was asked in vain asked of it again.
    pub(crate) fn forget_service(&mut self, gone: ServiceId) {
        self.failed.retain(|_, asked| !asked.contains(&gone));
        if self.known.values().any(|meaning| meaning.services.contains(&gone)) {
            Arc::make_mut(&mut self.known).retain(|_, meaning| !meaning.services.contains(&gone));
        }
    }

    /// Whether the last question about a Target failed.
    pub(crate) fn has_failed(&self, target: &Path) -> bool {
        self.failed.contains_key(&target.segments)
    }
}

impl Rights {
    /// The same rights, with what Services said last.
    pub(crate) fn knowing(self, targets: &Targets) -> Self {
        Self { known: Arc::clone(&targets.known), ..self }
    }

    /// The same for what a Service told before it said that.
    pub(crate) fn hearing(self, targets: &Targets) -> Self {
        Self { lost: Arc::clone(&targets.lost), ..self.knowing(targets) }
    }

    /// Targets of these rights that lie in Services or follow references, and may be about a path, or about something
    /// below it.
    pub(crate) fn open_for<'a>(
        &'a self,
        model: &'a Model,
        path: &'a Path,
    ) -> impl Iterator<Item = &'a Path> + 'a {
        self.open.iter().filter(|target| model.is_open(target) && may_meet(target, path))
    }

    /// Why a path cannot be decided, whatever the letter: one of the given Targets, which could not be found out, may cover
    /// it, and no entry above it does.
    pub(crate) fn undecided_by<'a>(
        &self,
        faults: &'a BTreeMap<Steps, Fault>,
        path: &Path,
    ) -> Option<&'a Fault> {
        let fault = |target: &Path| {
            let fault = faults.get(&target.segments)?;
            self.covers(target, path).is_none().then_some(fault)
        };
        self.roles.iter().find_map(|role| {
            let decided = |targets: &[Path]| targets.iter().any(|target| covers_written(target, path));
            let above = role.entries.iter().take_while(|entry| !decided(&entry.targets));
            above.flat_map(|entry| &entry.targets).find_map(fault)
        })
    }

    /// Whether a Target covers a path. `None`: not all that the path could mean, or it is not known.
    pub(super) fn covers(&self, target: &Path, path: &Path) -> Option<bool> {
        if covers_written(target, path) {
            return Some(true);
        }
        // Where a reference leads is not known: it could be there.
        if !may_cover(target, path) && !follows(target) {
            return Some(false);
        }
        self.covers_known(target, path)
    }

    pub(super) fn covers_known(&self, target: &Path, path: &Path) -> Option<bool> {
        let told = self.known.get(&target.segments)?.covers(path, &target.leaf);
        let lost = self.lost.get(&target.segments);
        told.filter(|covers| *covers || !lost.is_some_and(|lost| holds(lost, path, &target.leaf)))
    }
}

impl Model {
    /// Whether a Target's meaning is not known here: it follows a reference, or stands in a Service by an expression.
    pub(crate) fn is_open(&self, target: &Path) -> bool {
        if follows(target) {
            return true;
        }
        let object = Path { segments: target.segments.clone(), leaf: Leaf::Object };
        let known = object.to_supported().and_then(|path| self.schema.find(&path.to_string()));
        let Some(object) = known.and_then(|id| self.schema.get(id)).filter(|_| is_open(target)) else {
            return false;
        };
        let of_leaf = match &target.leaf {
            Leaf::Parameter(name) => object.params.get(name).map(|param| param.owner),
            Leaf::Command(name) => object.commands.get(name).map(|command| command.owner),
            Leaf::Event(name) => object.events.get(name).map(|event| event.owner),
            Leaf::Object => None,
        };
        of_leaf.unwrap_or(object.owner) != Owner::Local
    }

    /// The path of an element of our own.
    pub(super) fn path_of(&self, at: &ObjRef, leaf: &Leaf) -> Option<Path> {
        let object = Path::parse(&self.path(at)).ok()?;
        Some(Path { leaf: leaf.clone(), ..object })
    }
}

/// Whether a Target holds an expression or a reference.
pub(super) fn is_open(target: &Path) -> bool {
    target.segments.iter().any(|segment| matches!(segment, Segment::Search(_) | Segment::Follow(_)))
}

/// Whether a Target may give something of what a path means, by what is known.
pub(super) fn touches(known: &Meanings, target: &Path, path: &Path) -> bool {
    let led = known.get(&target.segments).filter(|_| follows(target));
    let leads_there =
        |steps: &Steps| may_cover(&Path { segments: steps.clone(), leaf: target.leaf.clone() }, path);
    led.map_or_else(|| may_cover(target, path), |meaning| meaning.objects.iter().any(leads_there))
}

/// Whether a Target may be about a path or something below it.
pub(super) fn may_meet(target: &Path, path: &Path) -> bool {
    if follows(target) || follows(path) {
        return true;
    }
    let below = path.leaf == Leaf::Object || target.segments.len() <= path.segments.len();
    below
        && target.segments.iter().zip(&path.segments).all(|(t, p)| match (t, p) {
            (Segment::Name(t), Segment::Name(p)) => t == p,
            (Segment::Instance(t), Segment::Instance(p)) => t == p,
            (Segment::Name(_), _) | (_, Segment::Name(_)) => false,
            _ => true,
        })
}
