//! From a Path to the objects that it means: one function for every request, for Subscriptions and for Permissions.
//!
//! Resolving never leaves the process: a Path that leads into a Service is handed to that Service as it stands.

use std::collections::BTreeSet;

use usp_proto::path::{ListItem, Name, Path, Segment};
use usp_proto::tr106;

use super::Model;
use super::rows::ObjRef;
use super::schema::{ObjId, Owner, ServiceId};
use super::search::MayRead;
use crate::fault::Fault;

/// What the object part of a Path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Objects of our own.
    Local(Local),
    /// An object that a Service serves, or one below it.
    Service(ServiceId),
}

/// Objects of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// The supported object; `None` behind a reference that leads nowhere.
    pub object: Option<ObjId>,
    /// Those that exist, in the order of their numbers. Of a path that ends in a table's name: the objects above it.
    pub at: Vec<ObjRef>,
    /// The path ends in a table's name: `object` is the table, and no row was chosen.
    pub table: bool,
    /// It holds a wildcard, an expression or a reference, so that finding nothing is no error.
    pub search: bool,
}

impl Found {
    /// The objects found; none for a Service's.
    pub fn objects(&self) -> &[ObjRef] {
        match self {
            Self::Local(local) if !local.table => &local.at,
            Self::Local(_) | Self::Service(_) => &[],
        }
    }
}

/// Whether a Path follows a reference.
pub fn follows(path: &Path) -> bool {
    path.segments.iter().any(|segment| matches!(segment, Segment::Follow(_)))
}

/// Where a walk down a Path stands.
struct Walk<'a> {
    model: &'a Model,
    object: Option<ObjId>,
    at: Vec<ObjRef>,
    /// `object` is a table of which no row was chosen; `at` are the objects above it.
    at_table: bool,
    search: bool,
    may_read: MayRead<'a>,
}

impl Model {
    /// Resolves the object part of a Path (R-ARC.7).
    ///
    /// Errors: 7026 when it is not in the supported data model, 7008 for an expression that does not fit.
    pub fn resolve(&self, segments: &[Segment]) -> Result<Found, Fault> {
        self.resolve_for(segments, &|_, _| true)
    }

    /// The same for somebody who may not read everything: expressions and references tell no more than a Get would.
    pub fn resolve_for(&self, segments: &[Segment], may_read: MayRead<'_>) -> Result<Found, Fault> {
        let mut walk =
            Walk { model: self, object: None, at: Vec::new(), at_table: false, search: false, may_read };
        let mut rest = segments.iter().enumerate().peekable();
        while let Some((index, segment)) = rest.next() {
            let describe = || describe(segments, index);
            match segment {
                Segment::Name(name) => {
                    if let Some((_, Segment::Follow(item))) = rest.peek() {
                        walk.follow(name, *item)?;
                        rest.next();
                    } else if let Some(service) =
                        walk.name(name).map_err(|()| Fault::unsupported(describe()))?
                    {
                        return Ok(Found::Service(service));
                    }
                }
                Segment::Follow(_) => return Err(Fault::unsupported(describe())),
                Segment::Instance(_) | Segment::Wildcard | Segment::Search(_) => {
                    if !walk.at_table && walk.object.is_some() {
                        return Err(Fault::unsupported(describe()));
                    }
                    walk.rows(segment)?;
                }
            }
        }
        Ok(Found::Local(Local {
            object: walk.object,
            at: walk.at,
            table: walk.at_table,
            search: walk.search,
        }))
    }

    /// The objects that a reference Parameter of some objects names and that exist, each once: where lists of references
    /// lead to lists of references, they would multiply with each step.
    ///
    /// Errors: 7005 when one input makes the broker look at too many.
    pub fn follow<'a>(
        &self,
        from: impl Iterator<Item = &'a ObjRef>,
        name: &Name,
        item: ListItem,
    ) -> Result<Vec<ObjRef>, Fault> {
        let (mut met, mut found) = (BTreeSet::new(), Vec::new());
        for at in from {
            for target in self.targets(at, name, item)? {
                if met.insert(target.clone()) {
                    found.push(target);
                }
            }
        }
        Ok(found)
    }

    fn targets(&self, at: &ObjRef, name: &Name, item: ListItem) -> Result<Vec<ObjRef>, Fault> {
        let value = self.text(at, name).unwrap_or_default();
        let items: Vec<&str> = tr106::split_list(&value).collect();
        self.searched.count(items.len())?;
        let chosen: &[&str] = match item {
            ListItem::All => &items,
            ListItem::First => items.get(..1).unwrap_or_default(),
            ListItem::Nth(n) => {
                let index = usize::try_from(n).unwrap_or(usize::MAX).wrapping_sub(1);
                items.get(index..).and_then(|tail| tail.get(..1)).unwrap_or_default()
            }
        };
        Ok(chosen.iter().filter_map(|path| self.locate(path)).collect())
    }
}

impl Walk<'_> {
    /// One step to a named object. `Ok(Some)`: it is a Service's. `Err`: it is not supported.
    fn name(&mut self, name: &Name) -> Result<Option<ServiceId>, ()> {
        let schema = &self.model.schema;
        if self.at_table {
            return Err(());
        }
        if self.object.is_none() && self.search {
            // Behind a reference that leads nowhere there is nothing to know about names.
            return Ok(None);
        }
        let Some(parent) = self.object else {
            let root = schema.get(super::schema::Schema::ROOT).filter(|root| root.name == *name);
            root.ok_or(())?;
            self.object = Some(super::schema::Schema::ROOT);
            self.at = vec![ObjRef::new(super::schema::Schema::ROOT, &[])];
            return Ok(None);
        };
        let id = *schema.get(parent).and_then(|p| p.children.get(name)).ok_or(())?;
        let child = schema.get(id).ok_or(())?;
        if let Owner::Service(service) = child.owner {
            return Ok(Some(service));
        }
        self.object = Some(id);
        self.at_table = child.table;
        if !child.table {
            let model = self.model;
            self.at.retain_mut(|at| {
                let is_same = at.object == parent;
                at.object = id;
                is_same && model.exists(at)
            });
        }
        Ok(None)
    }

    fn rows(&mut self, segment: &Segment) -> Result<(), Fault> {
        let (model, Some(table)) = (self.model, self.object) else { return Ok(()) };
        let mut found = Vec::new();
        for above in &self.at {
            match segment {
                Segment::Instance(number) => {
                    let mut numbers = above.numbers.to_vec();
                    numbers.push(*number);
                    let row = ObjRef::new(table, &numbers);
                    found.extend(model.rows.contains(&row).then_some(row));
                }
                _ => found.extend(model.rows.of_table(table, &above.numbers).map(|(row, _)| row.clone())),
            }
        }
        if let Segment::Search(expression) = segment {
            model.check_expression(table, expression)?;
            model.searched.count(found.len().saturating_mul(expression.0.len()))?;
            let mut kept = Vec::with_capacity(found.len());
            for row in found {
                if model.meets_for(&row, expression, self.may_read)? {
                    kept.push(row);
                }
            }
            found = kept;
        }
        self.search |= !matches!(segment, Segment::Instance(_));
        self.at = found;
        self.at_table = false;
        Ok(())
    }

    /// Goes on where a reference leads. Where none leads anywhere, what the model says of it still tells what is
    /// supported there (R-GET.0).
    fn follow(&mut self, name: &Name, item: ListItem) -> Result<(), Fault> {
        let model = self.model;
        let declared = match self.object {
            Some(object) if !self.at_table => model.reference_target(object, name)?,
            Some(_) => return Err(Fault::unsupported(format!("{name}+ behind a table"))),
            None => None,
        };
        let known = self.at.iter().filter(|at| (self.may_read)(at, name));
        self.at = model.follow(known, name, item)?;
        self.object = self.at.first().map(|at| at.object).or(declared);
        self.at_table = false;
        self.search = true;
        Ok(())
    }
}

/// The path up to and including one segment, for messages.
fn describe(segments: &[Segment], last: usize) -> String {
    let shown = segments.get(..=last).unwrap_or_default();
    Path { segments: shown.to_vec(), leaf: usp_proto::path::Leaf::Object }.to_string()
}
