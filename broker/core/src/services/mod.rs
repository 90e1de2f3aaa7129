//! USP Services: who is connected, what each has registered, and what is known of it (N-BRK.3).

pub(crate) mod commands;
pub(crate) mod creations;
mod declared;
pub(crate) mod discovery;
pub(crate) mod forward;
pub(crate) mod overdue;
mod references;
pub(crate) mod register;
mod repeats;
mod rows;
mod sync;
mod taking;
mod trust;
pub(crate) mod wanted;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;

use usp_proto::endpoint_id::EndpointId;
use usp_proto::usp::get_resp::ResolvedPathResult;

use crate::dm::schema::ServiceId;
use crate::input::{ConnId, MtpKind};
use crate::mqtt::silence::Life;
use crate::time::Mono;
use forward::Shadows;
use repeats::Repeats;

/// So many Services that are gone are still known by name.
const REMEMBERED: usize = 64;

/// All connected Services.
#[derive(Default)]
pub(crate) struct Services {
    by_id: BTreeMap<ServiceId, Service>,
    by_endpoint: BTreeMap<EndpointId, ServiceId>,
    /// The last that went: what they were asked is answered in their names.
    gone: VecDeque<(ServiceId, EndpointId)>,
    next: u32,
}

/// One connected Service Agent.
pub(crate) struct Service {
    /// Its Endpoint ID.
    pub endpoint: EndpointId,
    /// The connection of its Agent.
    pub conn: ConnId,
    /// How it is connected.
    pub mtp: MtpKind,
    /// Number of its `USPServices.USPService` row; it has one while it has registered something.
    pub row: Option<u32>,
    /// What it registered, by path. `true`: its model is known, so it is part of ours.
    pub registered: BTreeMap<String, bool>,
    /// Known paths that it registered once more: its model may have changed.
    pub renewed: BTreeSet<String>,
    /// Tables whose rows differ in what they support, by supported path, with the rows' paths as they were told.
    pub divergent: BTreeMap<String, Vec<String>>,
    /// Attempts at discovery since the last success.
    pub attempts: u32,
    /// When the next one is due.
    pub retry: Option<Mono>,
    /// A discovery is under way.
    pub discovering: bool,
    /// Our Subscriptions there.
    pub shadows: Shadows,
    /// What it has told for them of late.
    pub repeats: Repeats,
    /// When it was heard, over MQTT.
    pub life: Life,
}

impl Services {
    /// A Service Agent has connected.
    pub(crate) fn insert(
        &mut self,
        endpoint: EndpointId,
        conn: ConnId,
        mtp: MtpKind,
        now: Mono,
    ) -> ServiceId {
        self.next += 1;
        let id = ServiceId(self.next);
        self.by_endpoint.insert(endpoint.clone(), id);
        let service = Service {
            endpoint,
            conn,
            mtp,
            row: None,
            registered: BTreeMap::new(),
            renewed: BTreeSet::new(),
            divergent: BTreeMap::new(),
            attempts: 0,
            retry: None,
            discovering: false,
            shadows: Shadows::default(),
            repeats: Repeats::default(),
            life: Life::new(now),
        };
        self.by_id.insert(id, service);
        id
    }

    /// It is gone.
    pub(crate) fn remove(&mut self, id: ServiceId) -> Option<Service> {
        let service = self.by_id.remove(&id)?;
        // A newer connection of the same Service may have taken its place.
        if self.by_endpoint.get(&service.endpoint) == Some(&id) {
            self.by_endpoint.remove(&service.endpoint);
        }
        self.gone.truncate(REMEMBERED - 1);
        self.gone.push_front((id, service.endpoint.clone()));
        Some(service)
    }

    /// The Service with this number.
    pub(crate) fn get(&self, id: ServiceId) -> Option<&Service> {
        self.by_id.get(&id)
    }

    /// For changes.
    pub(crate) fn get_mut(&mut self, id: ServiceId) -> Option<&mut Service> {
        self.by_id.get_mut(&id)
    }

    /// The Service with this Endpoint ID.
    pub(crate) fn find(&self, endpoint: &EndpointId) -> Option<ServiceId> {
        self.by_endpoint.get(endpoint).copied()
    }

    /// The connection to ask it over.
    pub(crate) fn connection(&self, id: ServiceId) -> Option<ConnId> {
        self.by_id.get(&id).map(|s| s.conn)
    }

    /// Its Endpoint ID, for messages.
    pub(crate) fn name(&self, id: ServiceId) -> String {
        let gone = || self.gone.iter().find(|(gone, _)| *gone == id).map(|(_, endpoint)| endpoint);
        let endpoint = self.by_id.get(&id).map(|s| &s.endpoint).or_else(gone);
        endpoint.map_or_else(|| format!("no. {}", id.0), EndpointId::to_string)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ServiceId, &Service)> {
        self.by_id.iter().map(|(id, s)| (*id, s))
    }

    /// How many are connected.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Registered paths of known model below an object's path, with their owners, in the order of the paths.
    pub(crate) fn below(&self, object: &str) -> Vec<(ServiceId, &str)> {
        let mut found: Vec<(ServiceId, &str)> = Vec::new();
        for (id, service) in &self.by_id {
            let paths = service
                .registered
                .range::<str, _>((Bound::Included(object), Bound::Unbounded))
                .take_while(|(p, _)| p.starts_with(object));
            found.extend(paths.filter(|(_, known)| **known).map(|(path, _)| (*id, path.as_str())));
        }
        found.sort_by(|a, b| a.1.cmp(b.1));
        found
    }

    /// Paths of a table's rows that differ, as the Service told them last.
    pub(crate) fn divergent_rows(&self, id: ServiceId, table: &str) -> &[String] {
        self.by_id.get(&id).and_then(|s| s.divergent.get(table)).map_or(&[], Vec::as_slice)
    }

    /// Whether a concrete path is what a Service has registered, or below it. No Service speaks for others.
    pub(crate) fn owns(&self, id: ServiceId, path: &str) -> bool {
        self.by_id.get(&id).is_some_and(|s| above(&s.registered, path).is_some())
    }

    /// Leaves out of a Service's answer about `asked` what is not the Service's.
    pub(crate) fn keep_owned(&self, id: ServiceId, asked: &str, found: &mut Vec<ResolvedPathResult>) {
        // Answers may be long, and nearly all of them is below one registered object.
        let registered = self.by_id.get(&id).and_then(|s| above(&s.registered, asked));
        let below = registered.filter(|path| path.ends_with('.'));
        found.retain_mut(|result| {
            let object = &result.resolved_path;
            if below.is_some_and(|below| object.starts_with(below)) || self.owns(id, object) {
                return true;
            }
            result.result_params.retain(|name, _| self.owns(id, &format!("{object}{name}")));
            !result.result_params.is_empty()
        });
    }

    /// Who has registered a path that overlaps with this one, and what.
    pub(crate) fn overlapping(&self, path: &str) -> Option<(ServiceId, &str)> {
        self.by_id.iter().find_map(|(id, service)| Some((*id, overlapping(&service.registered, path)?)))
    }
}

/// Whether an element of the supported model is a Service's by what it has registered: within a path, or the
/// `NumberOfEntries` that goes with a table.
pub(crate) fn keeps(registered: &BTreeMap<String, bool>, element: &str) -> bool {
    above(registered, element).is_some() || counted(element).is_some_and(|t| registered.contains_key(&t))
}

/// The table that a `…NumberOfEntries` counts.
pub(crate) fn counted(parameter: &str) -> Option<String> {
    Some(format!("{}.", parameter.strip_suffix("NumberOfEntries")?))
}

/// The registered path that is this path or an object above it.
pub(crate) fn above<'a>(registered: &'a BTreeMap<String, bool>, path: &str) -> Option<&'a str> {
    let dots = path.match_indices('.').filter_map(|(at, _)| path.get(..=at));
    dots.chain([path]).find_map(|own| registered.get_key_value(own)).map(|(own, _)| own.as_str())
}

/// A registered path that is this path, an object above it or something below it.
fn overlapping<'a>(registered: &'a BTreeMap<String, bool>, path: &str) -> Option<&'a str> {
    let below = || {
        registered
            .range::<str, _>((Bound::Included(path), Bound::Unbounded))
            .next()
            .map(|(own, _)| own.as_str())
    };
    let is_below = |own: &&str| path.ends_with('.') && own.starts_with(path);
    above(registered, path).or_else(|| below().filter(is_below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps_are_found_at_dots_only() {
        let overlap = |own: &str, path: &str| {
            overlapping(&BTreeMap::from([("Device.A".to_owned(), true), (own.to_owned(), true)]), path)
                .is_some()
        };
        assert!(overlap("Device.A.", "Device.A.B."));
        assert!(overlap("Device.A.B", "Device.A."));
        assert!(overlap("Device.A.X()", "Device.A.X()"));
        assert!(!overlap("Device.A.", "Device.AB."));
        assert!(!overlap("Device.A.B", "Device.A.BC"));
        assert!(!overlap("Device.A.B", "Device.A.B."));
    }
}
