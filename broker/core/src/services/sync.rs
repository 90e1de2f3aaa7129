//! Bringing the broker's rows at a Service in line: the Service's table is read, what is stale deleted, what is missing added.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use usp_proto::err_code::ErrCode;
use usp_proto::usp::{self, request::ReqType, response::RespType};

use crate::Broker;
use crate::dm::schema::ServiceId;
use crate::gather::{Job, JobId, LegReply, ServiceFault, failed};
use crate::request::add::created_paths;
use crate::services::forward::{ID_PREFIX, Shadow};
use crate::services::wanted::{MOST_ROWS, Wanted, WantedRows};

/// What a Service says that cannot do it at all.
const NEVER: [ErrCode; 3] =
    [ErrCode::MESSAGE_NOT_SUPPORTED, ErrCode::INVALID_ARGUMENTS, ErrCode::INVALID_PATH];

/// So many rows are made or deleted by one Message: each is to be answered in time.
const MOST_AT_ONCE: usize = 256;

/// Legs of a [`SyncJob`].
const READ: usize = 0;
const DELETE: usize = 1;
const ADD: usize = 2;

/// Reads the table, deletes what is stale, adds what is missing.
pub(super) struct SyncJob {
    service: ServiceId,
    phase: Phase,
    stale: Vec<String>,
    adding: Vec<Wanted>,
    /// What is to be added after that.
    later: VecDeque<Wanted>,
    /// Subscriptions whose references may have come to lead elsewhere before that could be told.
    followed: BTreeSet<u32>,
    /// It was asked to delete what is stale, and that may be there still.
    undeleted: bool,
    /// What the reading or the Add came to, if it failed.
    failure: Option<Failure>,
}

/// Why a Service's rows are not as they should be.
pub(super) struct Failure {
    pub(super) why: String,
    /// The Service said so.
    pub(super) told: bool,
    /// It will not be otherwise soon.
    pub(super) lasting: bool,
}

impl Failure {
    /// A code that the Service has given.
    fn told(code: ErrCode, text: &str) -> Self {
        Self { why: format!("{code} {text}"), told: true, lasting: NEVER.contains(&code) }
    }

    /// There is no usable answer.
    fn silence(why: String) -> Self {
        Self { why, told: false, lasting: false }
    }

    fn of(error: ServiceFault) -> Self {
        match error.told {
            true => Self::told(error.fault.code, &error.fault.text),
            false => Self::silence(error.fault.text),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Start,
    Reading,
    Changing,
}

impl SyncJob {
    pub(super) fn new(service: ServiceId) -> Self {
        Self {
            service,
            phase: Phase::Start,
            stale: Vec::new(),
            adding: Vec::new(),
            later: VecDeque::new(),
            followed: BTreeSet::new(),
            undeleted: false,
            failure: None,
        }
    }

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
        let name = broker.services.name(self.service);
        let Some(service) = broker.services.get_mut(self.service) else { return };
        let shadows = &mut service.shadows;
        if wanted.len() >= MOST_ROWS && shadows.rows.len() < MOST_ROWS {
            let what = "a Service would have to hold very many Subscriptions: what is beyond is not told";
            tracing::warn!(service = name, most = MOST_ROWS, "{what}");
        }
        let gone = shadows.rows.iter().filter(|(what, _)| !wanted.contains_key(what));
        self.stale.extend(gone.filter_map(|(_, shadow)| shadow.row.clone()));
        // What it refused before is asked for once more.
        shadows.retain(|what, shadow| wanted.contains_key(what) && shadow.row.is_some());
        for (what, serves) in wanted {
            if !shadows.rows.contains_key(&what) {
                shadows.insert(what.clone(), Shadow { row: None, serves });
                self.later.push_back(what);
            }
        }
    }

    /// What failed and why.
    fn failed(&mut self, what: &str) -> Failure {
        let failure = self.failure.take().unwrap_or_else(|| Failure::silence("no usable answer".to_owned()));
        Failure { why: format!("{what}: {}", failure.why), ..failure }
    }

    fn ask_changes(&mut self, broker: &mut Broker, id: JobId) {
        if !self.stale.is_empty() {
            let obj_paths = self.stale.drain(..self.stale.len().min(MOST_AT_ONCE)).collect();
            let delete = usp::Delete { allow_partial: true, obj_paths };
            self.undeleted = true;
            broker.ask_service(id, DELETE, self.service, ReqType::Delete(delete));
        }
        self.adding = self.later.drain(..self.later.len().min(MOST_AT_ONCE)).collect();
        if !self.adding.is_empty() {
            let create_objs = self.adding.iter().map(Wanted::to_create).collect();
            let add = usp::Add { allow_partial: true, create_objs };
            broker.ask_service(id, ADD, self.service, ReqType::Add(add));
        }
    }

    /// All is well so far, and there is more to do.
    fn goes_on(&self) -> bool {
        let is_well = self.failure.is_none() && self.adding.is_empty() && !self.undeleted;
        is_well && !(self.stale.is_empty() && self.later.is_empty())
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
            if row.is_some() {
                self.followed.extend(service.shadows.followed.get(&what).into_iter().flatten());
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
        match (tag, outcome) {
            (READ, Ok(RespType::GetResp(response))) => {
                match response.req_path_results.iter().find(|r| r.err_code != 0) {
                    Some(r) => self.failure = Some(Failure::told(failed(r.err_code), &r.err_msg)),
                    None => self.take_table(broker, &response),
                }
            }
            (DELETE, Ok(_)) => self.undeleted = false,
            (DELETE, Err(error)) => {
                // What it cannot delete it is not asked to delete for ever.
                let failure = Some(Failure::of(error)).filter(|failure| !failure.lasting);
                self.undeleted = failure.is_some();
                self.failure = self.failure.take().or(failure);
            }
            (ADD, Ok(RespType::AddResp(response))) => self.take_added(broker, &response),
            (_, Err(error)) => self.failure = Some(Failure::of(error)),
            (_, Ok(_)) => {}
        }
    }

    fn advance(mut self: Box<Self>, broker: &mut Broker, id: JobId) -> Option<Box<dyn Job>> {
        let read = broker.services.get(self.service).is_some_and(|s| s.shadows.read);
        match self.phase {
            Phase::Start if !read => {
                self.phase = Phase::Reading;
                let param_paths = vec!["Device.LocalAgent.Subscription.".to_owned()];
                broker.ask_service(
                    id,
                    READ,
                    self.service,
                    ReqType::Get(usp::Get { param_paths, max_depth: 0 }),
                );
                Some(self)
            }
            Phase::Reading if !read => {
                broker.finish_sync(self.service, Some(self.failed("its Subscription table cannot be read")));
                None
            }
            Phase::Start | Phase::Reading => {
                self.phase = Phase::Changing;
                self.plan(broker);
                self.ask_changes(broker, id);
                Some(self)
            }
            Phase::Changing if self.goes_on() => {
                self.ask_changes(broker, id);
                Some(self)
            }
            Phase::Changing => {
                // What stays there by mistake would be told for ever, and stand in the way of the same row later.
                let failure = match (self.adding.is_empty(), self.undeleted) {
                    (false, _) => Some(self.failed("it does not answer an Add of Subscriptions")),
                    (true, true) => Some(self.failed("it does not answer a Delete of Subscriptions")),
                    (true, false) => None,
                };
                broker.finish_sync(self.service, failure);
                broker.follow_subscriptions(&self.followed);
                None
            }
        }
    }
}
