//! What should be subscribed at each Service.
//!
//! An Object Path in a ReferenceList stands for all Commands or Events below it. Services that take only full paths
//! there have it spelt out for them, from the model that they told.

use std::collections::{BTreeMap, BTreeSet};

use usp_proto::path::{Leaf, Path, Segment};
use usp_proto::usp::add::{CreateObject, CreateParamSetting};

use crate::Broker;
use crate::access::meaning::Steps;
use crate::dm::covers::Element;
use crate::dm::resolve::Found;
use crate::dm::schema::{Object, Owner, ServiceId};
use crate::services::forward::ID_PREFIX;
use crate::services::references::{rows_meant, widest};
use crate::services::{Service, overlapping};
use crate::subscriptions::{NotifKind, Subscription};

/// So many rows one Service is asked to hold: it may have tens of thousands of tables, and each is subscribed by itself.
pub(super) const MOST_ROWS: usize = 4096;

/// What a row at a Service is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wanted {
    /// NotifType.
    pub kind: NotifKind,
    /// The one entry of its ReferenceList.
    pub path: String,
}

/// Rows wanted at a Service, each with our Subscriptions that it serves.
pub(crate) type WantedRows = BTreeMap<Wanted, BTreeSet<u32>>;

/// References of one kind, as they are written, with their paths and the Subscriptions that have just these.
type Wishes = BTreeMap<(NotifKind, Vec<String>), (Vec<Path>, BTreeSet<u32>)>;

impl Wanted {
    /// Whether something that a Service tells for this row is what the row is for.
    pub(crate) fn is_about(&self, path: &Path) -> bool {
        let Ok(written) = Path::parse(&self.path.replace("{i}", "*")) else { return false };
        // Which rows an expression means is known there.
        Element::parsed(path).is_some_and(|element| element.is_covered_by(&written, &|_, _| true))
    }

    /// Whether one row stands for several Commands or Events.
    pub(crate) fn is_broad(&self) -> bool {
        matches!(self.kind, NotifKind::OperationComplete | NotifKind::Event) && self.path.ends_with('.')
    }

    /// The row's ID: the same for the same content (FNV-1a, 64 bit).
    pub(crate) fn id(&self) -> String {
        let text = format!("{} {}", self.kind.name(), self.path);
        let hash = text
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
        format!("{ID_PREFIX}{hash:016x}")
    }

    pub(crate) fn to_create(&self) -> CreateObject {
        let set = |param: &str, value: &str, required| CreateParamSetting {
            param: param.to_owned(),
            value: value.to_owned(),
            required,
        };
        CreateObject {
            obj_path: "Device.LocalAgent.Subscription.".to_owned(),
            param_settings: vec![
                set("ID", &self.id(), true),
                set("NotifType", self.kind.name(), true),
                set("ReferenceList", &self.path, true),
                set("Enable", "true", true),
                set("Persistent", "false", false),
                set("NotifRetry", "false", false),
            ],
        }
    }
}

impl Service {
    /// Whether a Subscription can be about anything that the Service has registered. There may be thousands of
    /// Subscriptions and hundreds of Services, so most are told apart by their names alone.
    pub(super) fn is_meant_by(&self, subscription: &Subscription) -> bool {
        let mut stems = subscription.stems.iter();
        stems.any(|stem| stem.is_empty() || overlapping(&self.registered, stem).is_some())
    }
}

impl Broker {
    /// What should be subscribed at a Service, as it can take it, and for which of our Subscriptions.
    pub(crate) fn wanted_of(&self, id: ServiceId) -> WantedRows {
        let wanted = self.wanted_broadly(id);
        let spelt_out = self.services.get(id).is_some_and(|s| s.shadows.spelt_out);
        bounded(if spelt_out { self.spell_out(id, &wanted) } else { wanted })
    }

    fn wanted_broadly(&self, id: ServiceId) -> WantedRows {
        let mut wanted = WantedRows::new();
        let Some(service) = self.services.get(id) else { return wanted };
        let known: Vec<&String> = service.registered.iter().filter(|(_, k)| **k).map(|(p, _)| p).collect();
        for path in &known {
            if path.ends_with('.') || path.ends_with("()") {
                wanted.insert(
                    Wanted { kind: NotifKind::OperationComplete, path: (*path).clone() },
                    BTreeSet::new(),
                );
            }
        }
        let watched = service.shadows.watched.keys().chain(service.shadows.followed.keys());
        wanted.extend(watched.map(|what| (what.clone(), BTreeSet::new())));
        for ((kind, _), (references, numbers)) in self.wishes(service) {
            for path in self.meant_at(id, kind, &references, &known) {
                wanted.entry(Wanted { kind, path }).or_default().extend(&numbers);
            }
        }
        wanted
    }

    /// What may mean something at a Service. Of many Subscriptions many are alike.
    fn wishes(&self, service: &Service) -> Wishes {
        let mut wishes = Wishes::new();
        for (number, sub) in self.subs.enabled() {
            if sub.kind == NotifKind::OperationComplete || !service.is_meant_by(sub) {
                continue;
            }
            let rights = self.rights_of_controller(sub.controller);
            // What its recipient may not read is not looked at for it (R-SEC.1).
            let allowed = sub.plain().filter(|reference| {
                self.model.supports(reference) && rights.may_search(&self.model, reference)
            });
            let allowed: Vec<Path> = allowed.cloned().collect();
            let key = (sub.kind, allowed.iter().map(Path::to_string).collect());
            wishes.entry(key).or_insert_with(|| (allowed, BTreeSet::new())).1.insert(number);
        }
        wishes
    }

    /// What a Service is to be subscribed for because of all references of a Subscription.
    fn meant_at(
        &self,
        id: ServiceId,
        kind: NotifKind,
        references: &[Path],
        known: &[&String],
    ) -> Vec<String> {
        let parts = references.iter().map(|reference| self.parts_at(id, kind, reference, known));
        let mut parts: Vec<Vec<String>> = parts.filter(|part| !part.is_empty()).collect();
        match parts.len() {
            // Parts of one reference have nothing in common.
            0 | 1 => parts.pop().unwrap_or_default(),
            _ => widest(kind, &parts.into_iter().flatten().collect()),
        }
    }

    /// What the broker itself has to hear of, so that it knows what open Targets meant when a row is deleted, which nobody
    /// can be asked then; with those Targets.
    pub(crate) fn watched_of(&self, id: ServiceId) -> BTreeMap<Wanted, BTreeSet<Steps>> {
        let mut watched: BTreeMap<Wanted, BTreeSet<Steps>> = BTreeMap::new();
        let Some(service) = self.services.get(id) else { return watched };
        let deletions = self.subs.enabled().filter(|(_, sub)| sub.kind == NotifKind::ObjectDeletion);
        for (_, sub) in deletions.filter(|(_, sub)| service.is_meant_by(sub)) {
            let rights = self.rights_of_controller(sub.controller);
            let targets = sub.everything().flat_map(|reference| rights.open_for(&self.model, reference));
            for target in targets {
                for what in self.compared_at(id, target) {
                    watched.entry(what).or_default().insert(target.segments.clone());
                }
            }
        }
        watched
    }

    /// What of a Service decides which rows the expressions of a Target mean.
    pub(crate) fn compared_at(&self, id: ServiceId, target: &Path) -> Vec<Wanted> {
        let params = self.model.searched_parameters(target).unwrap_or_default();
        let params = params.into_iter().map(|path| (NotifKind::ValueChange, path));
        let searches = target.segments.iter().enumerate().filter(|(_, s)| matches!(s, Segment::Search(_)));
        let tables = searches.filter_map(|(index, _)| {
            let segments = target.segments.get(..index)?.to_vec();
            Some((NotifKind::ObjectCreation, Path { segments, leaf: Leaf::Object }))
        });
        let own = params.chain(tables).filter(|(_, path)| {
            matches!(self.model.resolve(&path.segments), Ok(Found::Service(owner)) if owner == id)
        });
        own.map(|(kind, path)| Wanted { kind, path: path.to_string() }).collect()
    }

    /// The part of a reference that a Service serves.
    fn parts_at(&self, id: ServiceId, kind: NotifKind, reference: &Path, known: &[&String]) -> Vec<String> {
        let meant = |reference: &Path| match kind.is_about_rows() {
            true => rows_meant(&self.model, kind, reference),
            false => vec![reference.to_string()],
        };
        match self.model.resolve(&reference.segments) {
            Ok(Found::Service(owner)) => return if owner == id { meant(reference) } else { Vec::new() },
            Ok(Found::Local(_)) => {}
            Err(_) => return Vec::new(),
        }
        let text = reference.to_string();
        let within = |path: &str| match &reference.leaf {
            Leaf::Object => path.starts_with(&text) && kind.takes(path),
            _ => path == text,
        };
        let paths = known.iter().filter(|path| within(path)).filter_map(|path| Path::parse(path).ok());
        paths.flat_map(|path| meant(&path)).collect()
    }

    /// Puts one row for each Command or Event in the place of every broad one.
    pub(crate) fn spell_out(&self, id: ServiceId, rows: &WantedRows) -> WantedRows {
        let mut spelt = WantedRows::new();
        for (what, serves) in rows {
            let paths = if what.is_broad() { self.elements_below(id, what) } else { vec![what.path.clone()] };
            for path in paths {
                spelt.entry(Wanted { kind: what.kind, path }).or_default().extend(serves);
            }
        }
        spelt
    }

    /// Paths of what a Service has of one kind below an Object Path; any row of the tables below it.
    fn elements_below(&self, id: ServiceId, what: &Wanted) -> Vec<String> {
        let top = what.path.replace("{i}", "*");
        let Ok(parsed) = Path::parse(&top) else { return Vec::new() };
        let supported = (Path { segments: parsed.segments, leaf: Leaf::Object }).to_supported();
        let Some(supported) = supported.map(|s| s.to_string()) else { return Vec::new() };
        let schema = &self.model.schema;
        // A table's own path leads to its rows.
        let table = schema.find(&supported).is_none().then(|| format!("{supported}{{i}}."));
        let (top, supported) = table.map_or((top.clone(), supported), |table| (format!("{top}*."), table));
        let Some(object) = schema.find(&supported) else { return Vec::new() };
        let mut paths = Vec::new();
        for object in self.model.descendants(object).into_iter().filter_map(|o| schema.get(o)) {
            let below = object.path.strip_prefix(&supported).unwrap_or_default();
            let at = format!("{top}{}", below.replace("{i}", "*"));
            paths.extend(elements(object, Owner::Service(id), what.kind).map(|name| format!("{at}{name}")));
        }
        paths
    }
}

/// Not more than a Service is to hold; how its commands end comes first, because their Request rows depend on it.
fn bounded(wanted: WantedRows) -> WantedRows {
    if wanted.len() <= MOST_ROWS {
        return wanted;
    }
    let ends = |what: &Wanted| what.kind == NotifKind::OperationComplete;
    let (first, rest): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|(what, _)| ends(what));
    first.into_iter().chain(rest).take(MOST_ROWS).collect()
}

/// Names of an object's async Commands or of its Events that one owner has.
fn elements(object: &Object, owner: Owner, kind: NotifKind) -> impl Iterator<Item = String> {
    let commands = object
        .commands
        .iter()
        .filter(move |(_, c)| kind == NotifKind::OperationComplete && c.is_async && c.owner == owner);
    let events = object.events.iter().filter(move |(_, e)| kind == NotifKind::Event && e.owner == owner);
    commands.map(|(name, _)| format!("{name}()")).chain(events.map(|(name, _)| format!("{name}!")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_holds_so_many_rows_and_ends_of_commands_first() {
        let of = |kind, n: usize| (Wanted { kind, path: format!("Device.T{n}.") }, BTreeSet::new());
        let rows = (0..MOST_ROWS).map(|n| of(NotifKind::ObjectCreation, n));
        let wanted: WantedRows = rows.clone().collect();
        assert_eq!(bounded(wanted.clone()), wanted);
        let kept = bounded(rows.chain([of(NotifKind::OperationComplete, 0)]).collect());
        assert_eq!(kept.len(), MOST_ROWS);
        assert!(kept.contains_key(&of(NotifKind::OperationComplete, 0).0));
    }
}
