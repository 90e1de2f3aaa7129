//! References inside search expressions that a Service evaluates. It knows only what it serves itself, so where one leads out
//! of it nothing would be found and nobody told why: the broker asks for the references first, and refuses such a search, as
//! it does one of its own rows that would have to look into a Service.

use usp_proto::err_code::ErrCode;
use usp_proto::path::{Component, Leaf, ListItem, Name, Path, Segment};
use usp_proto::tr106;
use usp_proto::usp::GetResp;

use crate::Broker;
use crate::dm::Model;
use crate::dm::schema::{Owner, ServiceId};
use crate::fault::Fault;

/// The first reference of one component of an expression, of any row of the table.
struct Inside<'a> {
    /// The objects that hold it.
    holder: Vec<Segment>,
    name: &'a Name,
    item: ListItem,
    /// Another reference is followed from where it leads.
    goes_on: bool,
}

impl<'a> Inside<'a> {
    /// Those of a path that are evaluated before any reference of the path itself is followed.
    fn all_of(path: &'a Path) -> impl Iterator<Item = Self> {
        let before = path.segments.iter().take_while(|segment| !matches!(segment, Segment::Follow(_)));
        let searches = before.enumerate().filter_map(|(index, segment)| match segment {
            Segment::Search(expression) => Some((index, expression)),
            _ => None,
        });
        searches.flat_map(move |(index, expression)| {
            expression.0.iter().filter_map(move |component| Self::of(path, index, component))
        })
    }

    fn of(path: &Path, index: usize, component: &'a Component) -> Option<Self> {
        let at = component.objects.iter().position(|(_, follow)| follow.is_some())?;
        let (before, from) = component.objects.split_at_checked(at)?;
        let ((name, item), rest) = from.split_first()?;
        let any_row = |segment: &Segment| match segment {
            Segment::Search(_) => Segment::Wildcard,
            other => other.clone(),
        };
        let above = path.segments.get(..=index)?.iter().map(any_row);
        let below = before.iter().map(|(name, _)| Segment::Name(name.clone()));
        let goes_on = rest.iter().any(|(_, follow)| follow.is_some());
        Some(Self { holder: above.chain(below).collect(), name, item: (*item)?, goes_on })
    }

    fn parameter(&self) -> Path {
        Path { segments: self.holder.clone(), leaf: Leaf::Parameter(self.name.clone()) }
    }

    /// What of a value is followed.
    fn chosen<'v>(&self, value: &'v str) -> Vec<&'v str> {
        let items: Vec<&str> = tr106::split_list(value).collect();
        let nth = |n: u32| items.get(usize::try_from(n).ok()?.checked_sub(1)?).copied();
        match self.item {
            ListItem::All => items,
            ListItem::First => nth(1).into_iter().collect(),
            ListItem::Nth(n) => nth(n).into_iter().collect(),
        }
    }
}

impl Model {
    /// The Service that evaluates an expression of a path which follows references.
    pub(super) fn searches_by_reference(&self, path: &Path) -> Option<ServiceId> {
        let mut owners = Inside::all_of(path).filter_map(|inside| self.owner_of(&inside.parameter()));
        owners.find_map(|owner| if let Owner::Service(service) = owner { Some(service) } else { None })
    }

    /// What a Service is asked before it searches by references.
    pub(super) fn references_inside(&self, path: &Path, service: ServiceId) -> Vec<String> {
        let params = Inside::all_of(path).map(|inside| inside.parameter());
        let own = params.filter(|param| self.owner_of(param) == Some(Owner::Service(service)));
        own.map(|param| param.to_string()).collect()
    }
}

impl Broker {
    /// Whether the references of a path's expressions stay within the Service, as it told. Where one goes on by another, that
    /// was not asked for, so it is taken to lead out.
    ///
    /// Errors: 7002, with the first that does not: with a row and a value, so it is for who may read everything.
    pub(super) fn check_inside(&self, service: ServiceId, path: &Path, told: &GetResp) -> Result<(), Fault> {
        for inside in Inside::all_of(path) {
            let question = inside.parameter().to_string();
            let results = told.req_path_results.iter().filter(|result| result.requested_path == question);
            for object in results.flat_map(|result| &result.resolved_path_results) {
                let value = object.result_params.get(inside.name.as_str()).unwrap_or_default();
                let why =
                    inside.chosen(value).into_iter().find_map(|item| self.why_not(service, &inside, item));
                if let Some(why) = why {
                    let (row, name) = (&object.resolved_path, inside.name);
                    let text = format!("{row}{name} leads to {why}; follow it in the path");
                    return Err(Fault::new(ErrCode::REQUEST_DENIED, text));
                }
            }
        }
        Ok(())
    }

    /// Why a Service cannot be left to follow an item. What nobody serves at the moment may be served at the next.
    fn why_not(&self, service: ServiceId, inside: &Inside<'_>, item: &str) -> Option<String> {
        let object = plain(item)?;
        let name = self.services.name(service);
        if !self.services.owns(service, &object) {
            return Some(format!(
                "{item}, which is not of Service {name}: a search expression cannot look there"
            ));
        }
        let text = || {
            format!(
                "{item} and on by another reference: a search expression of Service {name} cannot do that"
            )
        };
        inside.goes_on.then(text)
    }
}

/// The object that an item of a reference means; of what is no plain path below the root, none.
fn plain(item: &str) -> Option<String> {
    let path = Path::parse_reference(item).ok().filter(|path| !path.is_search())?;
    let is_root = |first: &Segment| matches!(first, Segment::Name(name) if name.as_str() == "Device");
    path.segments.first().is_some_and(is_root).then(|| path.to_string())
}
