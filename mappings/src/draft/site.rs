//! A site file as it was written.

use std::fmt;

use super::At;
use crate::diagnostic::{Diagnostic, SourceFile, Span};
use crate::mapping::{BusAddress, BusKind, CoapPsk, Ieee, Mac};
use crate::read;
use crate::secret::SecretRef;

/// A site file. What was missing or could not be read is `None` or left out; the diagnostics say why.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteDraft {
    /// The file.
    pub file: SourceFile,
    /// `buses`, in the order of the file.
    pub buses: Vec<BusDraft>,
    /// `devices`, in the order of the file.
    pub devices: Vec<DeviceDraft>,
}

/// One entry of `buses`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusDraft {
    /// Its key.
    pub name: At<String>,
    /// What it is; `None` when that is missing or wrong.
    pub kind: Option<At<BusKind>>,
}

/// One entry of `devices`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceDraft {
    /// Its key.
    pub id: At<String>,
    /// `use` or `file`.
    pub model: Option<At<Use>>,
    /// `bus`.
    pub bus: Option<At<String>>,
    /// `unit`.
    pub unit: Option<At<u8>>,
    /// `topic`.
    pub topic: Option<At<String>>,
    /// `host`.
    pub host: Option<At<BusAddress>>,
    /// `psk`.
    pub psk: Option<At<CoapPsk>>,
    /// `mac`.
    pub mac: Option<At<Mac>>,
    /// `key`.
    pub key: Option<At<SecretRef>>,
    /// `passkey`.
    pub passkey: Option<At<SecretRef>>,
    /// `ieee`.
    pub ieee: Option<At<Ieee>>,
    /// `name`.
    pub name: Option<At<String>>,
    /// `params`, as texts.
    pub params: Vec<(At<String>, At<String>)>,
}

/// Which mapping a device uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Use {
    /// `use: acme.meter@^1`.
    Profile {
        /// `acme.meter`.
        name: String,
        /// `^1`; empty: any version.
        requirement: Requirement,
    },
    /// `file: x.yaml`, relative to the site file.
    File(String),
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Profile { name, requirement: Requirement::Any } => f.write_str(name),
            Self::Profile { name, requirement } => write!(f, "{name}@{requirement}"),
            Self::File(path) => f.write_str(path),
        }
    }
}

/// Which versions of a profile will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Any.
    Any,
    /// `^1.2.3`: this or a later one of the same major version (of the same minor one below 1.0.0).
    Compatible(Version),
    /// `=1.2.3`: this one.
    Exact(Version),
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Compatible(version) => write!(f, "^{version}"),
            Self::Exact(version) => write!(f, "={version}"),
        }
    }
}

/// `major.minor.patch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Version {
    /// The version that a text spells in full.
    pub fn parse(text: &str) -> Option<Self> {
        let (version, parts) = numbers(text)?;
        (parts == 3).then_some(version)
    }
}

impl Requirement {
    /// What stands behind the `@`: `^1`, `^1.2`, `=1.2.3`; without a sign as with `^`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix('=') {
            Some(exact) => Version::parse(exact).map(Self::Exact),
            None => {
                numbers(text.strip_prefix('^').unwrap_or(text)).map(|(version, _)| Self::Compatible(version))
            }
        }
    }

    /// Whether this version will do.
    pub fn admits(self, version: Version) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(wanted) => version == wanted,
            Self::Compatible(wanted) => {
                let same_minor = wanted.0 > 0 || version.1 == wanted.1;
                version >= wanted && version.0 == wanted.0 && same_minor
            }
        }
    }
}

/// One to three numbers, those left out being 0.
fn numbers(text: &str) -> Option<(Version, usize)> {
    let parts = text.split('.').map(number).collect::<Option<Vec<_>>>()?;
    let at = |place: usize| parts.get(place).copied().unwrap_or_default();
    (parts.len() <= 3).then(|| (Version(at(0), at(1), at(2)), parts.len()))
}

fn number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

impl SiteDraft {
    /// Reads a site file. The draft is there whenever the file is a map at all, however many problems it has.
    pub fn parse(file: &SourceFile) -> (Option<Self>, Vec<Diagnostic>) {
        read::site::read(file)
    }
}

impl BusDraft {
    /// Place of the entry.
    pub fn span(&self) -> Span {
        self.name.span
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_follow_semantic_versions() {
        for (requirement, version, expected) in [
            ("^1", "1.0.0", true),
            ("^1", "1.9.3", true),
            ("^1", "2.0.0", false),
            ("1.2", "1.1.9", false),
            ("^1.2.3", "1.2.3", true),
            ("^0.2", "0.3.0", false),
            ("=1.2.3", "1.2.4", false),
        ] {
            let requirement = Requirement::parse(requirement).expect("a requirement");
            let version = Version::parse(version).expect("a version");
            assert_eq!(requirement.admits(version), expected, "{requirement} {version}");
        }
    }

    #[test]
    fn malformed_versions_are_none() {
        for text in ["", "1", "1.0", "1.0.0.0", "01.0.0", "1.x.0", "+1.0.0", "-1.0.0"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
        for text in ["", "^", "=1", "~1", "^^1", "1.2.3.4"] {
            assert_eq!(Requirement::parse(text), None, "{text}");
        }
    }
}
