//! Reading paths of the instantiated data model.

use std::str::FromStr;

use super::error::{PathError, PathErrorKind};
use super::scan::Scan;
use super::{Leaf, ListItem, MAX_DEPTH, Name, Path, RelativeParam, Segment, expr};

impl Path {
    /// Reads a path as a Controller writes it. The path of an Object ends in a dot.
    ///
    /// Errors: what is wrong, and at which byte.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let mut scan = Scan::new(text)?;
        let mut segments = vec![Segment::Name(scan.name()?)];
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

    /// Reads the path of an Object where the final dot may be missing: a reference Parameter's value, a permission's
    /// target (R-ARC.11).
    ///
    /// Errors: as [`parse`](Self::parse), and for what is no Object.
    pub fn parse_reference(text: &str) -> Result<Self, PathError> {
        let path = if text.ends_with('.') { Self::parse(text)? } else { Self::parse(&format!("{text}."))? };
        Ok(path)
    }
}

/// Reads one step and the dot behind it, or the leaf.
fn step(scan: &mut Scan<'_>, segments: &mut Vec<Segment>) -> Result<Option<Leaf>, PathError> {
    match scan.peek() {
        Some('*' | '[' | '0'..='9') => instance(scan, segments)?,
        _ => {
            let name = scan.name()?;
            if let Some(leaf) = leaf(scan, &name)? {
                return Ok(Some(leaf));
            }
            segments.push(Segment::Name(name));
            if let Some(item) = follow(scan)? {
                segments.push(Segment::Follow(item));
            }
        }
    }
    scan.need(".", "`.`")?;
    Ok(None)
}

fn instance(scan: &mut Scan<'_>, segments: &mut Vec<Segment>) -> Result<(), PathError> {
    // The root is an Object and no table.
    if segments.len() < 2 || !matches!(segments.last(), Some(Segment::Name(_))) {
        return Err(scan.error(PathErrorKind::MisplacedInstance));
    }
    let segment = if scan.take("*") {
        Segment::Wildcard
    } else if scan.take("[") {
        Segment::Search(expr::expression(scan)?)
    } else {
        Segment::Instance(scan.number()?)
    };
    segments.push(segment);
    match scan.peek() {
        Some('+' | '#') => Err(scan.error(PathErrorKind::MisplacedFollow)),
        _ => Ok(()),
    }
}

/// The leaf that `name` is, unless a further step follows.
pub(super) fn leaf(scan: &mut Scan<'_>, name: &Name) -> Result<Option<Leaf>, PathError> {
    if scan.is_end() {
        return Ok(Some(Leaf::Parameter(name.clone())));
    }
    if scan.take("(") {
        scan.need(")", "`)`")?;
        scan.end("a Command")?;
        return Ok(Some(Leaf::Command(name.clone())));
    }
    if scan.take("!") {
        scan.end("an Event")?;
        return Ok(Some(Leaf::Event(name.clone())));
    }
    Ok(None)
}

/// `+`, `#n+` or `#*+`, if one comes next.
pub(super) fn follow(scan: &mut Scan<'_>) -> Result<Option<ListItem>, PathError> {
    if scan.take("+") {
        return Ok(Some(ListItem::First));
    }
    if !scan.take("#") {
        return Ok(None);
    }
    let item = if scan.take("*") { ListItem::All } else { ListItem::Nth(scan.number()?) };
    scan.need("+", "`+`")?;
    Ok(Some(item))
}

impl RelativeParam {
    /// Reads the `param` of a setting: `Name`, or `Child.Name`.
    ///
    /// Errors: what is wrong, and at which byte.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let mut scan = Scan::new(text)?;
        let mut objects = Vec::new();
        loop {
            let name = scan.name()?;
            if scan.is_end() {
                return Ok(Self { objects, parameter: name });
            }
            scan.need(".", "`.`")?;
            objects.push(name);
            if objects.len() > MAX_DEPTH {
                return Err(scan.error(PathErrorKind::TooDeep));
            }
        }
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

impl FromStr for RelativeParam {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}
