//! Whether a Path that somebody wrote down (a Subscription's reference, a Permission's target) covers a Service Element.

use std::cell::Cell;

use usp_proto::err_code::ErrCode;
use usp_proto::path::{Expression, InstanceNumber, Leaf, Name, Path, Segment};

use super::Model;
use super::resolve::follows;
use super::rows::ObjRef;
use crate::fault::Fault;

/// One Service Element that exists or existed.
#[derive(Clone, Debug)]
pub struct Element<'a> {
    /// From `Device` down to the object.
    pub steps: Vec<Step<'a>>,
    /// What of the object; `Leaf::Object` for itself.
    pub leaf: Leaf,
}

/// One step of an element's concrete path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// An object's name.
    Name(&'a Name),
    /// A row.
    Number(InstanceNumber),
}

impl<'a> Element<'a> {
    /// An element of our own.
    pub fn of(model: &'a Model, at: &ObjRef, leaf: Leaf) -> Self {
        let mut numbers = at.numbers.iter();
        let mut steps = Vec::with_capacity(8);
        for object in model.schema.lineage(at.object) {
            steps.push(Step::Name(&object.name));
            if object.table
                && let Some(number) = numbers.next()
            {
                steps.push(Step::Number(*number));
            }
        }
        Self { steps, leaf }
    }

    /// A concrete path of a Service; `None` if it has anything but names and numbers.
    pub fn parsed(path: &'a Path) -> Option<Self> {
        let steps = path.segments.iter().map(|segment| match segment {
            Segment::Name(name) => Some(Step::Name(name)),
            Segment::Instance(number) => Some(Step::Number(*number)),
            Segment::Wildcard | Segment::Search(_) | Segment::Follow(_) => None,
        });
        Some(Self { steps: steps.collect::<Option<_>>()?, leaf: path.leaf.clone() })
    }

    /// Whether `pattern` names this element, or an object at or above it.
    ///
    /// `matches` decides a search expression for the row that the given number of steps leads to.
    pub fn is_covered_by(&self, pattern: &Path, matches: &dyn Fn(usize, &Expression) -> bool) -> bool {
        if pattern.segments.len() > self.steps.len() {
            return false;
        }
        let fits = |(index, (segment, step)): (usize, (&Segment, &Step<'_>))| match (segment, step) {
            (Segment::Name(wanted), Step::Name(name)) => wanted == *name,
            (Segment::Instance(wanted), Step::Number(number)) => wanted == number,
            (Segment::Wildcard, Step::Number(_)) => true,
            (Segment::Search(expression), Step::Number(_)) => matches(index + 1, expression),
            _ => false,
        };
        if !pattern.segments.iter().zip(&self.steps).enumerate().all(fits) {
            return false;
        }
        match &pattern.leaf {
            Leaf::Object => true,
            leaf => pattern.segments.len() == self.steps.len() && *leaf == self.leaf,
        }
    }
}

/// Whether a fault means that the answer is not known, and not that there is nothing.
pub(crate) fn is_untold(fault: &Fault) -> bool {
    matches!(fault.code, ErrCode::RESOURCES_EXCEEDED | ErrCode::REQUEST_DENIED)
}

impl Model {
    /// Whether `pattern` covers an element of our own, search expressions and references included.
    pub fn covers(&self, pattern: &Path, at: &ObjRef, leaf: &Leaf) -> bool {
        self.tells(pattern, at, leaf).unwrap_or(false)
    }

    /// The same for a permission, whatever its Controller made the broker look at before. `None`: it cannot be told,
    /// because too much would have to be looked at, or what a Service holds.
    pub fn permission_covers(&self, target: &Path, at: &ObjRef, leaf: &Leaf) -> Option<bool> {
        let plain = |s: &Segment| !matches!(s, Segment::Follow(_) | Segment::Search(_));
        if target.segments.iter().all(plain) {
            return self.tells(target, at, leaf);
        }
        self.searched.apart(|| match follows(target) && self.is_led_by_services(target) {
            true => None,
            false => self.tells(target, at, leaf),
        })
    }

    fn tells(&self, pattern: &Path, at: &ObjRef, leaf: &Leaf) -> Option<bool> {
        if pattern.segments.iter().any(|s| matches!(s, Segment::Follow(_))) {
            return self.covers_followed(pattern, at, leaf);
        }
        let element = Element::of(self, at, leaf.clone());
        let untold = Cell::new(false);
        let covered = element.is_covered_by(pattern, &|steps, expression| {
            // A row that is only going to be made meets nothing.
            let row = self.row_at(at, steps).filter(|row| self.rows.contains(row));
            match row.map_or(Ok(false), |row| self.meets(&row, expression)) {
                Ok(meets) => meets,
                Err(_) => {
                    untold.set(true);
                    false
                }
            }
        });
        (!untold.get()).then_some(covered)
    }

    /// A pattern that follows references is resolved first.
    fn covers_followed(&self, pattern: &Path, at: &ObjRef, leaf: &Leaf) -> Option<bool> {
        let found = match self.resolve(&pattern.segments) {
            Ok(found) => found,
            Err(fault) => return (!is_untold(&fault)).then_some(false),
        };
        Some(found.objects().iter().any(|object| match &pattern.leaf {
            Leaf::Object => self.is_within(at, object),
            wanted => object == at && wanted == leaf,
        }))
    }

    /// Whether an object is another one or lies below it.
    pub fn is_within(&self, at: &ObjRef, top: &ObjRef) -> bool {
        std::iter::successors(Some(at.clone()), |o| self.above(o)).any(|o| o == *top)
    }

    /// The row that the first `steps` steps of an object's path lead to.
    pub fn row_at(&self, at: &ObjRef, steps: usize) -> Option<ObjRef> {
        let mut walked = 0;
        let mut numbers = 0;
        for object in self.schema.lineage(at.object) {
            walked += 1 + usize::from(object.table);
            numbers += usize::from(object.table);
            if walked >= steps {
                let id = self.schema.find(&object.path)?;
                return Some(ObjRef::new(id, at.numbers.get(..numbers)?));
            }
        }
        None
    }
}
