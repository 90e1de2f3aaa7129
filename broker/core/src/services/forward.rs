//! Subscriptions on Services: rows that the broker keeps there so that changes come to it, reconciled and not replayed.
//!
//! Wanted rows follow from the broker's own Subscription table and from what is registered. A row's ID is made from its
//! content, so that after a reconnect rows that are still right are found again, stale ones deleted and missing ones
//! added. A Service that cannot hold Subscriptions is used for everything else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use usp_proto::err_code::ErrCode;
use usp_proto::usp::{self, request::ReqType, response::RespType};

use crate::Broker;
use crate::access::meaning::Steps;
use crate::dm::schema::ServiceId;
use crate::gather::{Job, JobId, LegReply};
use crate::request::add::created_paths;
use crate::services::Service;
use crate::services::wanted::{Wanted, WantedRows};
use crate::subscriptions::NotifKind;
use crate::timers::Timer;

/// Marks our rows in a Service's table.
pub(crate) const ID_PREFIX: &str = "uspb-";

/// Pause before a Service that did not answer is asked again.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// Each further pause after a row was refused is twice as long, up to this many times the first.
const MOST_PATIENCE: u32 = 128;

/// The broker's rows at one Service.
#[derive(Default)]
pub(crate) struct Shadows {
    rows: BTreeMap<Wanted, Shadow>,
    /// Rows for the broker itself: what they tell changes what these Targets of Permissions mean.
    pub(super) watched: BTreeMap<Wanted, BTreeSet<Steps>>,
    /// The same by the rows' IDs: each notification looks here.
    by_id: BTreeMap<String, Wanted>,
    /// The Service's table was read since it connected.
    read: bool,
    /// A synchronisation is under way.
    busy: bool,
    /// Something changed meanwhile.
    again: bool,
    /// The Service has no usable Subscription table.
    refused: bool,
    /// It takes only full Command and Event Paths, as the most common implementation does.
    pub spelt_out: bool,
    /// How often in a row it has refused some of the rows.
    refusals: u32,
}

/// One of them.
#[derive(Default)]
struct Shadow {
    /// The row's path at the Service, once it is known.
    row: Option<String>,
    /// Our own Subscriptions that it serves.
    serves: BTreeSet<u32>,
}

impl Shadows {
    /// The row with this ID and our Subscriptions that it serves.
    pub(crate) fn by_id(&self, id: &str) -> Option<(&Wanted, &BTreeSet<u32>)> {
        let wanted = self.by_id.get(id)?;
        Some((wanted, &self.rows.get(wanted)?.serves))
    }

    /// Some rows that it should have it has not.
    fn owes(&self) -> bool {
        self.rows.values().any(|shadow| shadow.row.is_none())
    }

    /// Whether it tells the broker when commands are complete.
    pub(crate) fn tells_completions(&self) -> bool {
        let of_commands = |wanted: &Wanted| wanted.kind == NotifKind::OperationComplete;
        let mut rows = self.rows.iter().filter(|(wanted, _)| of_commands(wanted));
        !self.refused && rows.all(|(_, shadow)| shadow.row.is_some())
    }

    fn serve_any(&self, subscriptions: &BTreeSet<u32>) -> bool {
        self.rows.values().any(|shadow| subscriptions.iter().any(|number| shadow.serves.contains(number)))
    }

    fn insert(&mut self, wanted: Wanted, shadow: Shadow) {
        self.by_id.insert(wanted.id(), wanted.clone());
        self.rows.insert(wanted, shadow);
    }

    fn retain(&mut self, keep: impl Fn(&Wanted, &Shadow) -> bool) {
        self.rows.retain(|wanted, shadow| keep(wanted, shadow));
        let rows = &self.rows;
        self.by_id.retain(|_, wanted| rows.contains_key(wanted));
    }
}

/// Reads the table, deletes what is stale, adds what is missing.
struct SyncJob {
    service: ServiceId,
    phase: Phase,
    stale: Vec<String>,
    adding: Vec<Wanted>,
    /// It was asked to delete what is stale and said nothing.
    undeleted: bool,
    /// It said that it cannot, which is more than saying nothing.
    refused: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Start,
    Reading,
    Changing,
}

impl Broker {
    /// Brings rows in line after a change of our own table, at the Services that it concerns.
    pub(crate) fn sync_services(&mut self, changed: &BTreeSet<u32>) {
        let concerned = |service: &Service| {
            service.shadows.serve_any(changed)
                || changed.iter().filter_map(|n| self.subs.get(*n)).any(|s| service.is_meant_by(s))
        };
        let ids = self.services.iter().filter(|(_, service)| concerned(service)).map(|(id, _)| id);
        for id in ids.collect::<Vec<ServiceId>>() {
            self.sync_service(id);
        }
    }

    /// Brings one Service's rows in line. While that is under way, further changes only ask for another round.
    pub(crate) fn sync_service(&mut self, id: ServiceId) {
        let Some(service) = self.services.get_mut(id) else { return };
        if service.shadows.refused {
            return;
        }
        if service.shadows.busy {
            service.shadows.again = true;
            return;
        }
        self.watch_targets(id);
        let wanted = self.wanted_of(id);
        let Some(service) = self.services.get_mut(id) else { return };
        let shadows = &mut service.shadows;
        for (what, serves) in &wanted {
            if let Some(shadow) = shadows.rows.get_mut(what) {
                shadow.serves.clone_from(serves);
            }
        }
        let same = wanted.keys().eq(shadows.rows.keys());
        if same && (shadows.read || wanted.is_empty()) && !shadows.owes() {
            return;
        }
        shadows.busy = true;
        let job = SyncJob {
            service: id,
            phase: Phase::Start,
            stale: Vec::new(),
            adding: Vec::new(),
            undeleted: false,
            refused: false,
        };
        self.begin(Box::new(job));
    }

    /// Brings in line what has to be heard of Targets; of new ones it is asked at once.
    fn watch_targets(&mut self, id: ServiceId) {
        let watched = self.watched_of(id);
        let Some(service) = self.services.get_mut(id) else { return };
        let before = std::mem::replace(&mut service.shadows.watched, watched.clone());
        let known: BTreeSet<&Steps> = before.values().flatten().collect();
        let new = watched.into_values().flatten().filter(|target| !known.contains(target)).collect();
        self.learn_targets(id, new);
    }

    /// Something was told for one of our rows: what Targets mean may be something else now.
    pub(crate) fn doubt_targets(&mut self, id: ServiceId, told: &Wanted) {
        let targets = self.services.get(id).and_then(|service| service.shadows.watched.get(told)).cloned();
        self.learn_targets(id, targets.unwrap_or_default());
    }

    /// What one of our rows at a Service is about, and our Subscriptions that it serves. Right after the Service has come
    /// back, before its table is read, rows from before count as well.
    pub(crate) fn shadow_of(&self, service: ServiceId, id: &str) -> Option<(Wanted, BTreeSet<u32>)> {
        let shadows = &self.services.get(service)?.shadows;
        if let Some((wanted, serves)) = shadows.by_id(id) {
            return Some((wanted.clone(), serves.clone()));
        }
        if shadows.read || shadows.refused {
            return None;
        }
        let broad = self.wanted_of(service);
        let spelt = self.spell_out(service, &broad);
        broad.into_iter().chain(spelt).find(|(wanted, _)| wanted.id() == id)
    }

    fn finish_sync(&mut self, id: ServiceId, problem: Option<String>, refused: bool) {
        let name = self.services.name(id);
        let Some(service) = self.services.get_mut(id) else { return };
        service.shadows.busy = false;
        let again = std::mem::take(&mut service.shadows.again);
        match problem {
            Some(problem) if refused => {
                service.shadows.refused = true;
                tracing::warn!(
                    service = name,
                    problem,
                    "a Service holds no Subscriptions: its changes are not forwarded"
                );
                self.review_soon(id);
            }
            Some(problem) => {
                // It may have done what it did not answer: its table is read again.
                service.shadows.retain(|_, shadow| shadow.row.is_some());
                service.shadows.read = false;
                tracing::warn!(service = name, problem, "Subscriptions at a Service are tried again later");
                self.sync_later(id, RETRY_AFTER);
            }
            None if again => self.sync_service(id),
            None if service.shadows.owes() => {
                let wait = RETRY_AFTER * 2_u32.saturating_pow(service.shadows.refusals).min(MOST_PATIENCE);
                service.shadows.refusals = service.shadows.refusals.saturating_add(1);
                self.sync_later(id, wait);
                self.review_soon(id);
            }
            None => service.shadows.refusals = 0,
        }
    }

    /// A Service's Subscriptions are tried again after a while, with its discovery if that is due as well.
    fn sync_later(&mut self, id: ServiceId, wait: Duration) {
        let at = self.model.now.monotonic + wait;
        let Some(service) = self.services.get_mut(id).filter(|service| service.retry.is_none()) else {
            return;
        };
        service.retry = Some(at);
        self.timers.set(at, Timer::Discovery(id));
    }
}

impl SyncJob {
    /// The Service's own table: rows of ours that are right are kept, the others are stale.
    fn take_table(&mut self, broker: &mut Broker, response: &usp::GetResp) {
        self.recall_spelling(broker, response);
        let wanted = by_id(broker.wanted_of(self.service));
        let Some(service) = broker.services.get_mut(self.service) else { return };
        // What was known before an attempt that failed counts only if it is in the table.
        service.shadows.retain(|_, _| false);
        for row in response.req_path_results.iter().flat_map(|r| &r.resolved_path_results) {
            let text = |name: &str| row.result_params.get(name).unwrap_or_default();
            if !text("ID").starts_with(ID_PREFIX) {
                continue;
            }
            let right = wanted.get(text("ID")).filter(|(what, _)| {
                text("Enable") == "true"
                    && text("NotifType") == what.kind.name()
                    && text("ReferenceList") == what.path
            });
            match right {
                Some((what, serves)) if !service.shadows.rows.contains_key(what) => {
                    let shadow = Shadow { row: Some(row.resolved_path.clone()), serves: serves.clone() };
                    service.shadows.insert(what.clone(), shadow);
                }
                _ => self.stale.push(row.resolved_path.clone()),
            }
        }
        service.shadows.read = true;
    }

    /// Rows of ours from before tell that the Service takes full paths only.
    fn recall_spelling(&self, broker: &mut Broker, response: &usp::GetResp) {
        let broad = broker.wanted_of(self.service);
        let mut spelt = broker.spell_out(self.service, &broad);
        spelt.retain(|what, _| !broad.contains_key(what));
        let spelt = by_id(spelt);
        let mut rows = response.req_path_results.iter().flat_map(|r| &r.resolved_path_results);
        if rows.any(|row| row.result_params.get("ID").is_some_and(|id| spelt.contains_key(id)))
            && let Some(service) = broker.services.get_mut(self.service)
        {
            service.shadows.spelt_out = true;
        }
    }

    /// Works out what is to be deleted and added now.
    fn plan(&mut self, broker: &mut Broker) {
        let wanted = broker.wanted_of(self.service);
        let Some(service) = broker.services.get_mut(self.service) else { return };
        let shadows = &mut service.shadows;
        let gone = shadows.rows.iter().filter(|(what, _)| !wanted.contains_key(what));
        self.stale.extend(gone.filter_map(|(_, shadow)| shadow.row.clone()));
        // What it refused before is asked for once more.
        shadows.retain(|what, shadow| wanted.contains_key(what) && shadow.row.is_some());
        for (what, serves) in wanted {
            if !shadows.rows.contains_key(&what) {
                shadows.insert(what.clone(), Shadow { row: None, serves });
                self.adding.push(what);
            }
        }
    }

    fn ask_changes(&mut self, broker: &mut Broker, id: JobId) {
        if !self.stale.is_empty() {
            let delete = usp::Delete { allow_partial: true, obj_paths: std::mem::take(&mut self.stale) };
            self.undeleted = true;
            broker.ask_service(id, 1, self.service, ReqType::Delete(delete));
        }
        if !self.adding.is_empty() {
            let create_objs = self.adding.iter().map(Wanted::to_create).collect();
            let add = usp::Add { allow_partial: true, create_objs };
            broker.ask_service(id, 2, self.service, ReqType::Add(add));
        }
    }

    /// Rows that were made: by their IDs where they are told, else in the order in which they were asked for. What is left
    /// out of the answer stays to be added.
    fn take_added(&mut self, broker: &mut Broker, response: &usp::AddResp) {
        let Some(service) = broker.services.get_mut(self.service) else { return };
        let results = &response.created_obj_results;
        let by_id: BTreeMap<&str, usize> =
            results.iter().enumerate().filter_map(|(index, r)| Some((created_id(r)?, index))).collect();
        let mut left_out = Vec::new();
        for (index, what) in std::mem::take(&mut self.adding).into_iter().enumerate() {
            let Some(result) = results.get(by_id.get(&*what.id()).copied().unwrap_or(index)) else {
                left_out.push(what);
                continue;
            };
            let one = usp::AddResp { created_obj_results: vec![result.clone()] };
            let row = created_paths(&one).next();
            if row.is_none() && what.is_broad() {
                service.shadows.spelt_out = true;
                service.shadows.again = true;
            } else if row.is_none() {
                tracing::warn!(kind = what.kind.name(), path = what.path, "a Service refused a Subscription");
            }
            if let Some(shadow) = service.shadows.rows.get_mut(&what) {
                shadow.row = row;
            }
        }
        self.adding = left_out;
    }
}

/// Wanted rows by their IDs: tables may be long on both sides.
fn by_id(wanted: WantedRows) -> BTreeMap<String, (Wanted, BTreeSet<u32>)> {
    wanted.into_iter().map(|(what, serves)| (what.id(), (what, serves))).collect()
}

/// The ID of a row that was made, if its unique keys tell it.
fn created_id(result: &usp::add_resp::CreatedObjectResult) -> Option<&str> {
    use usp::add_resp::created_object_result::operation_status::OperStatus;
    match result.oper_status.as_ref()?.oper_status.as_ref()? {
        OperStatus::OperSuccess(success) => success.unique_keys.get("ID").map(String::as_str),
        OperStatus::OperFailure(_) => None,
    }
}

impl Job for SyncJob {
    fn reply(&mut self, broker: &mut Broker, tag: usize, reply: LegReply) {
        let LegReply::Service(outcome) = reply else { return };
        // Our own words for silence have this code; a Service that means it is asked in vain a few times more.
        self.refused |= match &outcome {
            _ if tag == 1 => false,
            Ok(RespType::GetResp(got)) => got.req_path_results.iter().any(|r| r.err_code != 0),
            Ok(_) => false,
            Err(error) => error.fault.code != ErrCode::INTERNAL_ERROR,
        };
        match (tag, outcome) {
            (0, Ok(RespType::GetResp(response)))
                if response.req_path_results.iter().all(|r| r.err_code == 0) =>
            {
                self.take_table(broker, &response);
            }
            (1, Ok(_)) => self.undeleted = false,
            (1, Err(error)) => self.undeleted = error.doubtful,
            (2, Ok(RespType::AddResp(response))) => self.take_added(broker, &response),
            _ => {}
        }
    }

    fn advance(mut self: Box<Self>, broker: &mut Broker, id: JobId) -> Option<Box<dyn Job>> {
        let read = broker.services.get(self.service).is_some_and(|s| s.shadows.read);
        match self.phase {
            Phase::Start if !read => {
                self.phase = Phase::Reading;
                let param_paths = vec!["Device.LocalAgent.Subscription.".to_owned()];
                broker.ask_service(id, 0, self.service, ReqType::Get(usp::Get { param_paths, max_depth: 0 }));
                Some(self)
            }
            Phase::Reading if !read => {
                let problem = "its Subscription table cannot be read".to_owned();
                broker.finish_sync(self.service, Some(problem), self.refused);
                None
            }
            Phase::Start | Phase::Reading => {
                self.phase = Phase::Changing;
                self.plan(broker);
                self.ask_changes(broker, id);
                Some(self)
            }
            Phase::Changing => {
                // What stays there by mistake would be told for ever, and stand in the way of the same row later.
                let failed = match (self.adding.is_empty(), self.undeleted) {
                    (false, _) => Some("it does not answer an Add of Subscriptions"),
                    (true, true) => Some("it does not answer a Delete of Subscriptions"),
                    (true, false) => None,
                };
                let failed = failed.map(str::to_owned);
                broker.finish_sync(self.service, failed, self.refused);
                None
            }
        }
    }
}
