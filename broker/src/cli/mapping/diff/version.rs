//! Whether a version number says what a change does.

use std::fmt;

use serde::Serialize;
use usp_mapping::draft::site::Version;

/// Which part of a version number counts up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Bump {
    /// None.
    None,
    /// Controllers see nothing of it.
    Patch,
    /// Controllers are given something.
    Minor,
    /// Something is taken away from Controllers, or means something else.
    Major,
}

impl fmt::Display for Bump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Patch => "a patch",
            Self::Minor => "minor",
            Self::Major => "major",
        })
    }
}

/// What was found about a version number.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Verdict {
    pub(super) needs: Bump,
    pub(super) has: Bump,
    pub(super) fits: bool,
    /// The least that will do.
    pub(super) least: String,
}

/// Compares what a change needs with what it has.
pub(super) fn verdict(needs: Bump, old: Version, new: Version) -> Verdict {
    let has = bump(old, new);
    Verdict { needs, has, fits: new >= old && has >= needs, least: least(needs, old).to_string() }
}

/// Below 1.0.0 a minor version may take things away, as requirements like `^0.3` see it.
fn bump(old: Version, new: Version) -> Bump {
    match (old, new) {
        (old, new) if old == new => Bump::None,
        (Version(a, ..), Version(b, ..)) if a != b => Bump::Major,
        (Version(0, a, _), Version(0, b, _)) if a != b => Bump::Major,
        (Version(0, ..), _) => Bump::Minor,
        (Version(_, a, _), Version(_, b, _)) if a != b => Bump::Minor,
        _ => Bump::Patch,
    }
}

fn least(needs: Bump, Version(major, minor, patch): Version) -> Version {
    match (needs, major) {
        (Bump::None, _) => Version(major, minor, patch),
        (Bump::Major, 0) => Version(0, minor.saturating_add(1), 0),
        (Bump::Major, _) => Version(major.saturating_add(1), 0, 0),
        (Bump::Minor, 1..) => Version(major, minor.saturating_add(1), 0),
        (Bump::Minor | Bump::Patch, _) => Version(major, minor, patch.saturating_add(1)),
    }
}
