//! Paths of the supported data model, and how the two kinds relate.

use std::str::FromStr;

use super::error::{PathError, PathErrorKind};
use super::scan::Scan;
use super::{Leaf, MAX_DEPTH, Path, Segment, SupportedPath, SupportedSegment, parse};

impl Path {
    /// The Object: the path without its leaf.
    pub fn object(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether it is a Search Path: it may address any number of rows, and none of them is no error.
    pub fn is_search(&self) -> bool {
        self.segments.iter().any(|s| matches!(s, Segment::Wildcard | Segment::Search(_) | Segment::Follow(_)))
    }

    /// Where it lies in the supported data model: `{i}` for each row. `None` when it follows a reference, whose target
    /// only the instantiated data model tells.
    pub fn to_supported(&self) -> Option<SupportedPath> {
        let segments: Option<Vec<_>> = self.segments.iter().map(Segment::to_supported).collect();
        Some(SupportedPath { segments: segments?, leaf: self.leaf.clone() })
    }

    /// The Object as a reference Parameter's value has it: without the final dot. The leaf is left out.
    pub fn to_reference(&self) -> String {
        let object = Self { segments: self.segments.clone(), leaf: Leaf::Object };
        let mut text = object.to_string();
        text.pop();
        text
    }
}

impl Segment {
    fn to_supported(&self) -> Option<SupportedSegment> {
        match self {
            Self::Name(name) => Some(SupportedSegment::Name(name.clone())),
            Self::Instance(_) | Self::Wildcard | Self::Search(_) => Some(SupportedSegment::AnyInstance),
            Self::Follow(_) => None,
        }
    }
}

impl SupportedPath {
    /// Reads a path of the supported data model, for example `Device.IP.Interface.{i}.Enable`.
    ///
    /// Errors: what is wrong, and at which byte.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let mut scan = Scan::new(text)?;
        let mut segments = vec![SupportedSegment::Name(scan.name()?)];
        scan.need(".", "`.`")?;
        while !scan.is_end() {
            if let Some(leaf) = step(&mut scan, &mut segments)? {
                return Ok(Self { segments, leaf });
            }
            if segments.len() > MAX_DEPTH {
                return Err(scan.error(PathErrorKind::TooDeep));
            }
        }
        Ok(Self { segments, leaf: Leaf::Object })
    }

    /// Whether a USP Service may register it: neither numbers nor `{i}` (R-REG.2).
    pub fn is_registrable(&self) -> bool {
        self.segments.iter().all(|s| matches!(s, SupportedSegment::Name(_)))
    }
}

fn step(scan: &mut Scan<'_>, segments: &mut Vec<SupportedSegment>) -> Result<Option<Leaf>, PathError> {
    match scan.peek() {
        Some('{' | '0'..='9') => instance(scan, segments)?,
        Some('*' | '[') => {
            return Err(scan.expected("a name, a number or `{i}` in a path of the supported data model"));
        }
        _ => {
            let name = scan.name()?;
            if let Some(leaf) = parse::leaf(scan, &name)? {
                return Ok(Some(leaf));
            }
            segments.push(SupportedSegment::Name(name));
        }
    }
    scan.need(".", "`.`")?;
    Ok(None)
}

fn instance(scan: &mut Scan<'_>, segments: &mut Vec<SupportedSegment>) -> Result<(), PathError> {
    if segments.len() < 2 || !matches!(segments.last(), Some(SupportedSegment::Name(_))) {
        return Err(scan.error(PathErrorKind::MisplacedInstance));
    }
    let segment = if scan.take("{") {
        scan.need("i}", "`{i}`")?;
        SupportedSegment::AnyInstance
    } else {
        SupportedSegment::Instance(scan.number()?)
    };
    segments.push(segment);
    Ok(())
}

impl FromStr for SupportedPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}
