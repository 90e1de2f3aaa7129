//! Wildcards and search expressions inside a Service's table, where a Controller may not change every row.
//!
//! Which rows they mean is known there alone. Where the rights do not cover all that the path could mean, the Service is
//! asked for the rows, and each is judged by itself, as rows of ours are.

use usp_proto::path::{Leaf, Path, RelativeParam, Segment};
use usp_proto::usp::request::ReqType;

use super::shown;
use crate::access::{Act, Kind, Rights};
use crate::dm::Model;
use crate::dm::covers::Element;
use crate::dm::schema::{Owner, ServiceId};
use crate::fault::Fault;

/// What a request wants to do to what one of its paths means.
struct Deed {
    kind: Kind,
    act: Act,
    /// Written as the path is.
    to: Path,
}

/// Set, Delete and Operate; the rows that an Add makes are nobody's yet, and what is only read is filtered.
fn deeds(request: &ReqType, requested: &str, path: &Path) -> Vec<Deed> {
    match request {
        ReqType::Set(set) => {
            let objects = set.update_objs.iter().filter(|object| object.obj_path == requested);
            let settings = objects.flat_map(|object| &object.param_settings);
            let params = settings.filter_map(|setting| below(path, &setting.param).ok());
            params.map(|to| Deed { kind: Kind::Param, act: Act::Write, to }).collect()
        }
        ReqType::Delete(_) => vec![Deed { kind: Kind::InstantiatedObj, act: Act::Write, to: path.clone() }],
        ReqType::Operate(_) => vec![Deed { kind: Kind::CommandEvent, act: Act::Execute, to: path.clone() }],
        _ => Vec::new(),
    }
}

/// The Parameter that a setting means, below an object: there are nothing but names on the way to it.
///
/// Errors: 7008.
pub(super) fn below(object: &Path, relative: &str) -> Result<Path, Fault> {
    let relative: RelativeParam = RelativeParam::parse(relative)?;
    let mut path = object.clone();
    path.segments.extend(relative.objects.into_iter().map(Segment::Name));
    path.leaf = Leaf::Parameter(relative.parameter);
    Ok(path)
}

impl Model {
    /// The Service to ask for the rows that a path means, if they are to be judged one by one.
    pub(super) fn rows_at(
        &self,
        path: &Path,
        rights: &Rights,
        request: &ReqType,
        requested: &str,
    ) -> Option<ServiceId> {
        if rights.is_all() || !path.is_search() || !rights.may_search(self, path) {
            return None;
        }
        let Owner::Service(service) = self.owner_of(path)? else { return None };
        let deeds = deeds(request, requested, path);
        let everywhere = deeds.iter().all(|deed| rights.allow_path(deed.kind, deed.act, &deed.to));
        let somewhere = deeds.iter().any(|deed| rights.allow_somewhere(deed.kind, deed.act, &deed.to));
        (!everywhere && somewhere).then_some(service)
    }

    /// Whose object a path leads to or into, as it is written. `None`: it is not supported, or follows references.
    pub(super) fn owner_of(&self, path: &Path) -> Option<Owner> {
        let object = Path { segments: path.segments.clone(), leaf: Leaf::Object }.to_supported()?;
        let text = object.to_string();
        let id = self.schema.find(&text).or_else(|| self.schema.find(&format!("{text}{{i}}.")))?;
        Some(self.schema.get(id)?.owner)
    }
}

/// The object of a Service's answer, if it can be what a path leads to.
pub(super) fn named(object: &str, path: &Path) -> Option<Path> {
    let found = Path::parse(object).ok().filter(|found| found.leaf == Leaf::Object)?;
    let written = Path { segments: path.segments.clone(), leaf: Leaf::Object };
    let same_length = found.segments.len() == path.segments.len();
    let fits = Element::parsed(&found).is_some_and(|e| e.is_covered_by(&written, &|_, _| true));
    (same_length && fits).then_some(found)
}

/// The object of a Service's answer that a path means, with the path's own leaf; of those that the Controller may not
/// know of only what it may change all the same.
pub(super) fn meant(
    object: &str,
    path: &Path,
    rights: &Rights,
    request: &ReqType,
    requested: &str,
) -> Option<Path> {
    let mut found = named(object, path)?;
    found.leaf = path.leaf.clone();
    // As with our own rows: a Parameter that may be read, and not set, is no secret.
    let reads = |deed: &Deed| deed.kind == Kind::Param && rights.allow_path(deed.kind, Act::Read, &deed.to);
    let may = |deed: &Deed| rights.allow_path(deed.kind, deed.act, &deed.to) || reads(deed);
    (shown::may_know(rights, object) || deeds(request, requested, &found).iter().any(may)).then_some(found)
}
