//! What the references of one Subscription mean at a Service: rows of tables are told for each table by itself, and no
//! reference is subscribed for what another one covers.

use std::collections::{BTreeMap, BTreeSet};

use usp_proto::path::{Leaf, Path, Segment};

use crate::dm::Model;
use crate::subscriptions::NotifKind;

/// The references that bring what one about rows means: of rows that come their table, of rows that go the rows (what
/// Services take). A table means its own rows; what is neither table nor row all tables below it.
pub(super) fn rows_meant(model: &Model, kind: NotifKind, reference: &Path) -> Vec<String> {
    if reference.leaf != Leaf::Object {
        return Vec::new();
    }
    let text = reference.to_string();
    let Some(supported) = reference.to_supported().map(|s| s.to_string()) else { return Vec::new() };
    let goes = kind == NotifKind::ObjectDeletion;
    if model.schema.find(&format!("{supported}{{i}}.")).is_some() {
        return vec![if goes { format!("{text}*.") } else { text }];
    }
    let own = match reference.segments.last() {
        Some(Segment::Name(_)) | None => None,
        Some(_) if goes => return vec![text],
        // A row that is made is known by its table, not by its number.
        Some(Segment::Instance(_)) => None,
        Some(Segment::Wildcard) => text.strip_suffix("*.").map(str::to_owned),
        Some(_) => Some(text.clone()),
    };
    let below = tables_below(model, &supported).into_iter().map(|table| format!("{text}{table}"));
    let below =
        below.filter_map(|rows| if goes { Some(rows) } else { Some(rows.strip_suffix("*.")?.to_owned()) });
    own.into_iter().chain(below).collect()
}

/// All rows of each table below a supported object, relative to it: `Zone.*.`, `Zone.*.Spot.*.`.
fn tables_below(model: &Model, supported: &str) -> Vec<String> {
    let Some(top) = model.schema.find(supported) else { return Vec::new() };
    let below = model.descendants(top).into_iter().filter(|object| *object != top);
    let tables = below.filter_map(|object| model.schema.get(object)).filter(|object| object.table);
    tables.filter_map(|table| Some(table.path.strip_prefix(supported)?.replace("{i}", "*"))).collect()
}

/// Without what another reference of the same Subscription covers: it would be told twice.
pub(super) fn widest(kind: NotifKind, references: &BTreeSet<String>) -> Vec<String> {
    let parsed = references.iter().filter_map(|text| Path::parse(text).ok());
    let parsed: Vec<Path> = parsed.collect();
    // There may be as many as there are tables: only what is written alike is compared.
    let mut alike: BTreeMap<String, Vec<&Path>> = BTreeMap::new();
    for path in &parsed {
        alike.entry(shape(&path.segments, &path.leaf)).or_default().push(path);
    }
    let others = |path: &Path| {
        let above = if kind.is_about_rows() { path.segments.len() } else { 1 };
        let objects = (above..=path.segments.len()).filter_map(|end| path.segments.get(..end));
        let shapes =
            objects.map(|object| shape(object, &Leaf::Object)).chain([shape(&path.segments, &path.leaf)]);
        shapes.filter_map(|shape| alike.get(&shape)).flatten().any(|wide| covers(wide, path))
    };
    parsed.iter().filter(|path| !others(path)).map(Path::to_string).collect()
}

/// A path with one sign for whatever chooses rows.
fn shape(segments: &[Segment], leaf: &Leaf) -> String {
    let mut shape = String::new();
    for segment in segments {
        match segment {
            Segment::Name(name) => shape.push_str(name.as_str()),
            _ => shape.push('*'),
        }
        shape.push('.');
    }
    let (name, sign) = match leaf {
        Leaf::Object => return shape,
        Leaf::Parameter(name) => (name, ""),
        Leaf::Command(name) => (name, "()"),
        Leaf::Event(name) => (name, "!"),
    };
    shape + name.as_str() + sign
}

/// Whether a reference covers all that another one means.
fn covers(wide: &Path, path: &Path) -> bool {
    let fits = |(wide, segment): (&Segment, &Segment)| {
        wide == segment
            || (*wide == Segment::Wildcard && matches!(segment, Segment::Instance(_) | Segment::Search(_)))
    };
    wide != path
        && wide.segments.len() <= path.segments.len()
        && wide.segments.iter().zip(&path.segments).all(fits)
}
