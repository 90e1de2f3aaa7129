//! What a Service says of elements that it never declared: nobody was told that they exist, so nothing of them is passed on,
//! and they are not set.
//!
//! Only what is known decides: of an object that it did not tell of, and where rows of a table differ, the Service says
//! itself what there is.

use std::collections::BTreeMap;

use usp_proto::path::{Leaf, Path, Segment};
use usp_proto::usp::get_resp::ResolvedPathResult;
use usp_proto::usp::notify::Notification;

use crate::dm::Model;
use crate::dm::schema::Object;

impl Model {
    /// Whether a Parameter or Event can be there, as far as its Service told.
    pub(crate) fn is_declared(&self, element: &Path) -> bool {
        let segments = element.segments.iter().map(|segment| match segment {
            Segment::Name(name) => name.as_str(),
            _ => "{i}",
        });
        let Some(object) = self.told_object(segments) else { return true };
        match &element.leaf {
            Leaf::Parameter(name) => object.params.contains_key(name),
            Leaf::Event(name) => object.events.contains_key(name),
            Leaf::Object | Leaf::Command(_) => true,
        }
    }

    /// Leaves out the Parameters that were never declared.
    pub(crate) fn keep_declared(&self, found: &mut [ResolvedPathResult]) {
        for result in found {
            if let Some(object) = self.object_of(&result.resolved_path) {
                result.result_params.retain(|name, _| object.params.contains_key(name));
            }
        }
    }

    /// Leaves out keys of a new row, and arguments of an Event, that were never declared.
    pub(crate) fn keep_declared_details(&self, told: &mut Notification) {
        match told {
            Notification::ObjCreation(made) => self.keep_declared_keys(&made.obj_path, &mut made.unique_keys),
            Notification::Event(event) => {
                let name = event.event_name.trim_end_matches('!');
                if let Some(declared) = self.object_of(&event.obj_path).and_then(|o| o.events.get(name)) {
                    event.params.retain(|arg, _| declared.args.contains(&with_any_row(arg)));
                }
            }
            _ => {}
        }
    }

    /// Leaves out keys of a row that are no Parameters of it.
    pub(crate) fn keep_declared_keys(&self, row: &str, keys: &mut BTreeMap<String, String>) {
        if let Some(object) = self.object_of(row) {
            keys.retain(|name, _| object.params.contains_key(&**name));
        }
    }

    /// An object of an answer, if all that it can have is known.
    pub(crate) fn object_of(&self, path: &str) -> Option<&Object> {
        self.told_object(path.trim_end_matches('.').split('.').map(any_row))
    }

    fn told_object<'a>(&self, segments: impl Iterator<Item = &'a str>) -> Option<&Object> {
        let mut path = String::new();
        segments.for_each(|segment| path.extend([segment, "."]));
        let object = self.schema.get(self.schema.find(&path)?)?;
        let above = std::iter::successors(Some(object), |o| self.schema.get(o.parent?));
        above.into_iter().all(|object| !object.divergent).then_some(object)
    }
}

/// A step of a concrete path as the supported model has it.
fn any_row(step: &str) -> &str {
    if step.starts_with(|c: char| c.is_ascii_digit()) { "{i}" } else { step }
}

/// An argument as it is declared: it may lie in rows of its own.
fn with_any_row(arg: &str) -> String {
    arg.split('.').map(any_row).collect::<Vec<_>>().join(".")
}
