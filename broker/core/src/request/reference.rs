//! References one by one: where they lead, as far as that is known here, and which Service holds the next.

use std::collections::BTreeSet;

use usp_proto::path::{Leaf, ListItem, Name, Path, Segment};
use usp_proto::tr106;

use crate::access::{Act, Kind, Rights};
use crate::dm::Model;
use crate::dm::resolve::{Found, follows};
use crate::dm::schema::{Owner, ServiceId};
use crate::fault::Fault;

/// How often one path may be asked on.
pub(super) const MOST_ROUNDS: usize = 8;

/// The next thing to do with a path.
pub(super) enum Next {
    /// It has no reference any more.
    Done,
    /// These stand for it.
    Paths(Vec<Path>),
    /// A Service has the reference, or knows the rows.
    Ask(ServiceId),
}

impl Model {
    /// What a path stands for, as far as its references can be followed from memory: plain paths, and those whose next
    /// reference a Service holds.
    fn led(&self, path: &Path, rights: &Rights) -> Vec<Path> {
        let mut found = Vec::new();
        self.lead(path, rights, MOST_ROUNDS, &mut found);
        found
    }

    fn lead(&self, path: &Path, rights: &Rights, rounds: usize, into: &mut Vec<Path>) {
        match self.unfold(path, rights) {
            Ok(Next::Done | Next::Ask(_)) => into.push(path.clone()),
            Ok(Next::Paths(paths)) if rounds > 0 => {
                paths.iter().for_each(|path| self.lead(path, rights, rounds - 1, into));
            }
            Ok(Next::Paths(_)) | Err(_) => {}
        }
    }

    /// Whether one of a path's references is held by a Service, so that what it leads to is not known here.
    pub(crate) fn is_led_by_services(&self, path: &Path) -> bool {
        self.led(path, &Rights::all()).iter().any(follows)
    }

    /// Follows the first reference of a path, as far as that can be done from memory.
    pub(super) fn unfold(&self, path: &Path, rights: &Rights) -> Result<Next, Fault> {
        let Some(reference) = Reference::first_of(path) else { return Ok(Next::Done) };
        let holder = reference.parameter();
        let leaf = &holder.leaf;
        let local = match super::resolve(self, &holder, rights)? {
            Found::Service(service) => return ask(rights, service, &holder),
            Found::Local(local) => local,
        };
        let object = local.object.and_then(|id| self.schema.get(id));
        if let Some(Owner::Service(service)) =
            object.and_then(|o| o.params.get(reference.name)).map(|p| p.owner)
        {
            return ask(rights, service, &holder);
        }
        let readable = local.at.iter().filter(|at| rights.allow(self, Kind::Param, Act::Read, at, leaf));
        let values = readable.filter_map(|at| self.text(at, reference.name));
        reference.targets_of(self, values).map(Next::Paths)
    }
}

/// Of what is told, each value counts only if it may be read. What may not be read of any row leads nowhere.
fn ask(rights: &Rights, service: ServiceId, holder: &Path) -> Result<Next, Fault> {
    match rights.allow_somewhere(Kind::Param, Act::Read, holder) {
        true => Ok(Next::Ask(service)),
        false if holder.is_search() => Ok(Next::Paths(Vec::new())),
        false => Err(Fault::unsupported(holder)),
    }
}

/// The first reference of a path.
pub(super) struct Reference<'a> {
    /// The object that holds it.
    pub(super) holder: &'a [Segment],
    pub(super) name: &'a Name,
    item: ListItem,
    rest: &'a [Segment],
    leaf: &'a Leaf,
}

impl<'a> Reference<'a> {
    /// The Parameter that holds it.
    pub(super) fn parameter(&self) -> Path {
        Path { segments: self.holder.to_vec(), leaf: Leaf::Parameter(self.name.clone()) }
    }

    pub(super) fn first_of(path: &'a Path) -> Option<Self> {
        let at = path.segments.iter().position(|s| matches!(s, Segment::Follow(_)))?;
        let (before, rest) = path.segments.split_at(at);
        let (Some((Segment::Name(name), holder)), Some((Segment::Follow(item), rest))) =
            (before.split_last(), rest.split_first())
        else {
            return None;
        };
        Some(Self { holder, name, item: *item, rest, leaf: &path.leaf })
    }

    /// The paths that values of the reference lead to, each once: else lists that lead to lists would multiply.
    ///
    /// Errors: 7005 when one input makes the broker look at too many.
    pub(super) fn targets_of(
        &self,
        model: &Model,
        values: impl Iterator<Item = impl AsRef<str>>,
    ) -> Result<Vec<Path>, Fault> {
        let (mut met, mut found) = (BTreeSet::new(), Vec::new());
        for value in values {
            for path in self.targets(model, value.as_ref())? {
                if met.insert(path.to_string()) {
                    found.push(path);
                }
            }
        }
        Ok(found)
    }

    /// The paths that a value of the reference leads to. What is no plain path leads nowhere.
    fn targets(&self, model: &Model, value: &str) -> Result<Vec<Path>, Fault> {
        let items: Vec<&str> = tr106::split_list(value).collect();
        model.searched.count(items.len())?;
        let chosen = match self.item {
            ListItem::All => items.as_slice(),
            ListItem::First => items.get(..1).unwrap_or_default(),
            ListItem::Nth(n) => {
                let index = usize::try_from(n).unwrap_or(usize::MAX).wrapping_sub(1);
                items.get(index..).and_then(|tail| tail.get(..1)).unwrap_or_default()
            }
        };
        Ok(chosen.iter().filter_map(|item| self.target(model, item)).collect())
    }

    fn target(&self, model: &Model, item: &str) -> Option<Path> {
        let mut path = Path::parse(&format!("{}.", item.strip_suffix('.').unwrap_or(item))).ok()?;
        let plain = path.segments.iter().all(|s| matches!(s, Segment::Name(_) | Segment::Instance(_)));
        let plain = plain && model.supports(&path);
        path.segments.extend(self.rest.iter().cloned());
        path.leaf = self.leaf.clone();
        plain.then_some(path)
    }
}
