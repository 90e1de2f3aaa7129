//! Whether a Target covers a path, by how both are written.

use usp_proto::path::{Leaf, Path, Segment};

/// Whether a target covers a path as it is written, without looking at rows: names equal, numbers equal or under `*`.
pub(super) fn covers_written(target: &Path, path: &Path) -> bool {
    if target.segments.len() > path.segments.len() {
        return false;
    }
    let fits =
        |(t, p): (&Segment, &Segment)| t == p || (*t == Segment::Wildcard && !matches!(p, Segment::Name(_)));
    if !target.segments.iter().zip(&path.segments).all(fits) {
        return false;
    }
    match &target.leaf {
        Leaf::Object => true,
        leaf => target.segments.len() == path.segments.len() && *leaf == path.leaf,
    }
}

/// Whether a target could cover some of what a written path means.
pub(super) fn may_cover(target: &Path, path: &Path) -> bool {
    if target.segments.len() > path.segments.len() {
        return path.segments.iter().any(|s| matches!(s, Segment::Follow(_)));
    }
    for (t, p) in target.segments.iter().zip(&path.segments) {
        match (t, p) {
            // Where a reference leads is not known: it could be there.
            (_, Segment::Follow(_)) | (Segment::Follow(_), _) => return true,
            (Segment::Name(t), Segment::Name(p)) if t == p => {}
            (Segment::Instance(t), Segment::Instance(p)) if t != p => return false,
            (Segment::Name(_), _) | (_, Segment::Name(_)) => return false,
            _ => {}
        }
    }
    match &target.leaf {
        Leaf::Object => true,
        leaf => target.segments.len() == path.segments.len() && *leaf == path.leaf,
    }
}
