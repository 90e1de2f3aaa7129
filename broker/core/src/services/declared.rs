//! What a Service says of elements that it never declared: nobody was told that they exist, so nothing of them is passed on,
//! and they are not set.
//!
//! Only what is known decides: of an object that it did not tell of, and where rows of a table differ, the Service says
//! itself what there is.

use usp_proto::path::{Leaf, Path, Segment};
use usp_proto::usp::get_resp::ResolvedPathResult;

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

    /// An object of an answer, if all that it can have is known.
    pub(crate) fn object_of(&self, path: &str) -> Option<&Object> {
        let segments = path.trim_end_matches('.').split('.');
        self.told_object(
            segments.map(|s| if s.starts_with(|c: char| c.is_ascii_digit()) { "{i}" } else { s }),
        )
    }

    fn told_object<'a>(&self, segments: impl Iterator<Item = &'a str>) -> Option<&Object> {
        let mut path = String::new();
        segments.for_each(|segment| path.extend([segment, "."]));
        let object = self.schema.get(self.schema.find(&path)?)?;
        let above = std::iter::successors(Some(object), |o| self.schema.get(o.parent?));
        above.into_iter().all(|object| !object.divergent).then_some(object)
    }
}
