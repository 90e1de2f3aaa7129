//! Who may do what: roles, permissions, and the rights of one Controller (R-SEC.1).
//!
//! Within a role the entry with the largest Order that covers an element decides; over several roles a right given by
//! any of them is given. Nothing that no entry covers is allowed. Which rows of a Service a Target means by an expression
//! or a reference is found out by a question (`meaning.rs`); while that is not known, the entry gives nothing, and takes
//! its letters from all that it could mean.

mod cover;
pub(crate) mod meaning;
pub(crate) mod tables;
mod undecided;
mod wider;
mod within;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use usp_proto::path::{Leaf, Name, Path};
use usp_proto::tr106;

use crate::dm::Model;
use crate::dm::rows::ObjRef;
use cover::covers_written;
use meaning::{Meanings, Steps};

/// What one Controller may do.
#[derive(Clone, Debug, PartialEq)]
pub struct Rights {
    roles: Arc<[Role]>,
    /// Full access needs no matching.
    all: bool,
    /// One of the roles is among SecuredRoles.
    secrets: bool,
    /// Targets with expressions or references, each once.
    open: Arc<[Path]>,
    /// What Services said that these mean.
    known: Arc<Meanings>,
    /// What they meant at the answer before, and do not mean now.
    lost: Arc<BTreeMap<Steps, BTreeSet<Steps>>>,
}

/// One role, ready for matching.
#[derive(Clone, Debug, PartialEq)]
struct Role {
    /// Largest Order first.
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    order: u32,
    targets: Vec<Path>,
    param: Bits,
    obj: Bits,
    instantiated_obj: Bits,
    command_event: Bits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bits(u8);

/// Which of the four permission strings is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `Param`.
    Param,
    /// `Obj`.
    Obj,
    /// `InstantiatedObj`.
    InstantiatedObj,
    /// `CommandEvent`.
    CommandEvent,
}

/// Which letter of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// `r`
    Read = 8,
    /// `w`
    Write = 4,
    /// `x`
    Execute = 2,
    /// `n`
    Notify = 1,
}

impl Bits {
    const ALL: Self = Self(0b1111);

    /// `rw-n` and the like.
    fn parse(text: &str) -> Option<Self> {
        let letters: Vec<char> = text.chars().collect();
        let wanted = ['r', 'w', 'x', 'n'];
        if letters.len() != wanted.len() {
            return None;
        }
        let mut bits = 0;
        for (index, (letter, wanted)) in letters.iter().zip(wanted).enumerate() {
            match *letter {
                l if l == wanted => bits |= 8 >> index,
                '-' => {}
                _ => return None,
            }
        }
        Some(Self(bits))
    }
}

/// Whether a text is a permission string: `r`, `w`, `x`, `n` each in its place, or `-`.
pub fn is_permission(text: &str) -> bool {
    Bits::parse(text).is_some()
}

impl Rights {
    /// Everything: the broker's own doings.
    pub fn all() -> Self {
        Self { all: true, secrets: true, ..Self::none() }
    }

    /// Nothing.
    pub fn none() -> Self {
        Self::of(Vec::new(), false)
    }

    /// The rights of the given roles (paths of `Role` rows, as `AssignedRole` lists them) together.
    pub fn of_roles(model: &Model, list: &str) -> Self {
        let secured = secured_roles(model);
        let (mut roles, mut secrets) = (Vec::new(), false);
        for row in tr106::split_list(list).filter_map(|path| model.locate(path)) {
            let Some(role) = Role::read(model, &row) else { continue };
            secrets |= secured.contains(&row);
            roles.push(role);
        }
        Self::of(roles, secrets)
    }

    fn of(roles: Vec<Role>, secrets: bool) -> Self {
        let all = roles.iter().any(Role::is_full);
        let targets = roles.iter().flat_map(|role| &role.entries).flat_map(|entry| &entry.targets);
        let open: BTreeSet<&Path> = targets.filter(|target| meaning::is_open(target)).collect();
        let open = open.into_iter().filter(|_| !all).cloned().collect();
        Self { roles: roles.into(), all, secrets, open, known: Arc::default(), lost: Arc::default() }
    }

    /// What a Parameter of our own reads for this Controller: a secured one is empty without a role of SecuredRoles.
    pub fn shown(&self, model: &Model, at: &ObjRef, name: &str) -> Option<String> {
        let secret = self.secrets.then(|| model.secret(at, name)).flatten();
        secret.or_else(|| model.text(at, name))
    }

    /// Whether a Parameter of our own may be read.
    pub fn may_read(&self, model: &Model, at: &ObjRef, name: &Name) -> bool {
        self.all || self.allow(model, Kind::Param, Act::Read, at, &Leaf::Parameter(name.clone()))
    }

    /// Whether an act on an element of our own is allowed. `leaf` names the Parameter, Command or Event; it is
    /// `Leaf::Object` for the object itself.
    pub fn allow(&self, model: &Model, kind: Kind, act: Act, at: &ObjRef, leaf: &Leaf) -> bool {
        self.decide(kind, act, |target| {
            let told = model.permission_covers(target, at, leaf);
            told.or_else(|| self.covers_known(target, &model.path_of(at, leaf)?))
        })
    }

    /// Whether an act on an element of a Service is allowed, by its concrete or written path.
    ///
    /// Which rows a wildcard or a search means is known to the Service alone, so it is allowed only if every row is: an
    /// entry that could cover some of them and does not give the right denies it.
    pub fn allow_path(&self, kind: Kind, act: Act, path: &Path) -> bool {
        self.decide(kind, act, |target| self.covers(target, path))
    }

    /// The same for a path as text; what is no path is not allowed.
    pub fn allow_text(&self, kind: Kind, act: Act, path: &str) -> bool {
        self.all || Path::parse(path).is_ok_and(|path| self.allow_path(kind, act, &path))
    }

    /// Whether an act is allowed on anything at all that a written path could mean: what of the supported data model is
    /// shown (R-GSP.0).
    pub fn allow_somewhere(&self, kind: Kind, act: Act, path: &Path) -> bool {
        self.all || self.roles.iter().any(|role| role.allows_somewhere(kind, act, path, &self.known))
    }

    /// Whether every Parameter that a path's search expressions look at may be read (R-GIN.0, R-GET.1): a search at a
    /// Service must not tell what a Get would not, and which rows it looks at is known there alone.
    pub fn may_search(&self, model: &Model, path: &Path) -> bool {
        let may_read = |param: &Path| self.allow_path(Kind::Param, Act::Read, param);
        self.all || model.searched_parameters(path).is_some_and(|params| params.iter().all(may_read))
    }

    /// Whether what some target covers is not seen in its text: it has an expression or a reference.
    pub(crate) fn has_open_targets(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether nothing at all is allowed.
    pub fn is_none(&self) -> bool {
        !self.all && self.roles.iter().all(|r| r.entries.is_empty())
    }

    /// Whether nothing is forbidden.
    pub fn is_all(&self) -> bool {
        self.all
    }

    /// The entry that decides is the first that covers something; what cannot be told forbids, and allows nothing.
    fn decide(&self, kind: Kind, act: Act, covers: impl Fn(&Path) -> Option<bool>) -> bool {
        self.decide_by(kind, act, |target, given| covers(target).unwrap_or(!given))
    }

    /// The same, where it is told of each Target whether it counts as covering, by whether its entry gives the right.
    fn decide_by(&self, kind: Kind, act: Act, covers: impl Fn(&Path, bool) -> bool) -> bool {
        if self.all {
            return true;
        }
        self.roles.iter().any(|role| {
            let deciding = role.entries.iter().find_map(|entry| {
                let given = entry.bits(kind).0 & act as u8 != 0;
                entry.targets.iter().any(|target| covers(target, given)).then_some(given)
            });
            deciding.unwrap_or(false)
        })
    }
}

impl Role {
    fn read(model: &Model, row: &ObjRef) -> Option<Self> {
        if model.text(row, "Enable")? != "true" {
            return None;
        }
        let table = model.schema.find("Device.LocalAgent.ControllerTrust.Role.{i}.Permission.{i}.")?;
        let rows = model.rows.of_table(table, &row.numbers);
        // What makes the built-in role Full Access is not overridden, whatever an older store holds beside it.
        let rows = rows.filter(|(at, _)| at.numbers.first() != Some(&1) || at.number() == 1);
        let mut entries: Vec<Entry> = rows.filter_map(|(at, _)| Entry::read(model, at)).collect();
        entries.sort_by_key(|e| std::cmp::Reverse(e.order));
        Some(Self { entries })
    }

    /// Highest Order first: an entry that gives some of it is enough, unless a higher one takes just that away; the first
    /// that covers all of it ends the search.
    fn allows_somewhere(&self, kind: Kind, act: Act, path: &Path, known: &Meanings) -> bool {
        let mut denied: Vec<&Path> = Vec::new();
        for entry in &self.entries {
            let mut touching =
                entry.targets.iter().filter(|target| meaning::touches(known, target, path)).peekable();
            if entry.bits(kind).0 & act as u8 == 0 {
                denied.extend(touching);
            } else if touching.peek().is_some()
                && touching.any(|target| !denied.iter().any(|d| covers_written(d, target)))
            {
                return true;
            }
            if entry.targets.iter().any(|target| covers_written(target, path)) {
                return false;
            }
        }
        false
    }

    /// One entry that gives everything below `Device.`, and none that overrides it.
    fn is_full(&self) -> bool {
        let Some(first) = self.entries.first() else { return false };
        let everything = first.targets.iter().any(|t| t.to_string() == "Device.");
        let bits = [first.param, first.obj, first.instantiated_obj, first.command_event];
        everything && bits.iter().all(|b| *b == Bits::ALL)
    }
}

impl Entry {
    fn read(model: &Model, at: &ObjRef) -> Option<Self> {
        if model.text(at, "Enable")? != "true" {
            return None;
        }
        let bits = |name: &str| model.text(at, name).and_then(|t| Bits::parse(&t));
        let targets = model.text(at, "Targets")?;
        Some(Self {
            order: model.text(at, "Order")?.parse().ok()?,
            targets: tr106::split_list(&targets).flat_map(parse_target).collect(),
            param: bits("Param")?,
            obj: bits("Obj")?,
            instantiated_obj: bits("InstantiatedObj")?,
            command_event: bits("CommandEvent")?,
        })
    }

    fn bits(&self, kind: Kind) -> Bits {
        match kind {
            Kind::Param => self.param,
            Kind::Obj => self.obj,
            Kind::InstantiatedObj => self.instantiated_obj,
            Kind::CommandEvent => self.command_event,
        }
    }
}

/// `SecuredRoles`: who is shown secured Parameters.
fn secured_roles(model: &Model) -> Vec<ObjRef> {
    let trust = model.locate("Device.LocalAgent.ControllerTrust.");
    let list = trust.and_then(|at| model.text(&at, "SecuredRoles")).unwrap_or_default();
    tr106::split_list(&list).filter_map(|path| model.locate(path)).collect()
}

/// A target may be written without its final dot; it is then the object or the Parameter of that name.
fn parse_target(text: &str) -> Vec<Path> {
    let mut paths: Vec<Path> = Path::parse(text).into_iter().collect();
    if !text.ends_with(['.', ')', '!']) {
        paths.extend(Path::parse(&format!("{text}.")));
    }
    paths
}

#[cfg(test)]
mod tests;
