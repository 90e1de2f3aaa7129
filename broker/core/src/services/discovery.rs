//! Discovery: what a Service supports below the paths that it registered, by GetSupportedDM, retried with back-off.
//! Until it succeeds the paths are reserved but not part of the outer model.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use usp_proto::usp::get_supported_dm_resp::SupportedObjectResult;
use usp_proto::usp::{self, request::ReqType, response::RespType};

use crate::Broker;
use crate::dm::schema::ServiceId;
use crate::gather::{Job, JobId, LegReply};
use crate::services::above;
use crate::timers::Timer;

/// Rows that differ in what they support are asked for so many at most, and to this depth of tables in tables.
const MAX_ROWS: usize = 256;
const MAX_ROUNDS: u32 = 3;

/// A model may be large and its Service slow: each attempt waits twice as long as the one before, up to this many times
/// the usual.
const MOST_PATIENCE: u32 = 16;

/// Legs of a [`DiscoveryJob`].
const MAIN: usize = 0;
const ROWS: usize = 1;
const PARENTS: usize = 2;

struct DiscoveryJob {
    service: ServiceId,
    paths: Vec<String>,
    within: Duration,
    rounds: u32,
    /// Divergent rows that were asked for.
    rows: BTreeSet<String>,
    objects: Vec<SupportedObjectResult>,
    problem: Option<String>,
    /// It said nothing at all.
    silent: bool,
}

impl Broker {
    /// Asks for the model of all paths that are not known yet, or that may have changed.
    pub(crate) fn discover(&mut self, id: ServiceId) {
        let usual = self.config.limits.service_timeout;
        let Some(service) = self.services.get_mut(id) else { return };
        if service.discovering {
            return;
        }
        let unknown = service.registered.iter().filter(|(_, known)| !**known).map(|(path, _)| path);
        let paths: Vec<String> = unknown.chain(&service.renewed).cloned().collect();
        if let Some(at) = service.retry.take() {
            self.timers.clear(at, Timer::Discovery(id));
        }
        if paths.is_empty() {
            return self.sync_service(id);
        }
        service.discovering = true;
        let within = usual * 2_u32.saturating_pow(service.attempts).min(MOST_PATIENCE);
        let job = DiscoveryJob {
            service: id,
            paths,
            within,
            rounds: 0,
            rows: BTreeSet::new(),
            objects: Vec::new(),
            problem: None,
            silent: false,
        };
        self.begin(Box::new(job));
    }

    fn discovered(
        &mut self,
        id: ServiceId,
        paths: &[String],
        answer: Result<Vec<SupportedObjectResult>, String>,
    ) {
        let Some(service) = self.services.get_mut(id) else { return };
        service.discovering = false;
        let name = service.endpoint.to_string();
        // What was given back meanwhile is none of ours any more.
        let paths: Vec<String> =
            paths.iter().filter(|p| service.registered.contains_key(*p)).cloned().collect();
        let known = match answer {
            Ok(objects) => self.take_model(id, &paths, &objects),
            Err(problem) => {
                tracing::warn!(service = name, problem, "a Service did not tell its model");
                BTreeSet::new()
            }
        };
        let Some(service) = self.services.get_mut(id) else { return };
        for path in &known {
            service.renewed.remove(path);
            if let Some(is_known) = service.registered.get_mut(path) {
                *is_known = true;
            }
        }
        self.discover_rest(id, &name, &paths);
        if !known.is_empty() {
            self.follow_all();
        }
        self.sync_service(id);
    }

    /// What is still not known is asked for again: at once if it was registered meanwhile, else after a pause.
    fn discover_rest(&mut self, id: ServiceId, name: &str, asked: &[String]) {
        let now = self.model.now.monotonic;
        let Some(service) = self.services.get_mut(id) else { return };
        let unknown = service.registered.iter().filter(|(_, known)| !**known).map(|(path, _)| path);
        let missing: Vec<&String> = unknown.chain(&service.renewed).collect();
        if missing.is_empty() {
            service.attempts = 0;
        } else if missing.iter().any(|path| !asked.contains(path)) {
            self.discover(id);
        } else {
            if service.attempts == 0 {
                let what = "registered paths that the Service does not support yet";
                tracing::warn!(service = name, ?missing, "{what}");
            }
            service.attempts = service.attempts.saturating_add(1);
            let at = now + Duration::from_secs(1 << service.attempts.min(6));
            service.retry = Some(at);
            self.timers.set(at, Timer::Discovery(id));
        }
    }
}

impl DiscoveryJob {
    fn ask(&self, broker: &mut Broker, id: JobId, tag: usize, obj_paths: Vec<String>) {
        if obj_paths.is_empty() {
            return;
        }
        let request = usp::GetSupportedDm {
            obj_paths,
            first_level_only: tag == PARENTS,
            return_commands: true,
            return_events: true,
            return_params: true,
            return_unique_key_sets: true,
        };
        broker.ask_service_within(id, tag, self.service, ReqType::GetSupportedDm(request), self.within);
    }

    /// Rows that differ from others of their table and were not asked for, as far as they were registered.
    fn new_rows(&mut self) -> Vec<String> {
        let own: BTreeMap<String, bool> = self.paths.iter().map(|path| (path.clone(), true)).collect();
        let told = self.objects.iter().flat_map(|object| &object.divergent_paths);
        let fresh: BTreeSet<String> =
            told.filter(|row| above(&own, row).is_some() && !self.rows.contains(*row)).cloned().collect();
        let room = MAX_ROWS.saturating_sub(self.rows.len());
        let fresh: Vec<String> = fresh.into_iter().take(room).collect();
        self.rows.extend(fresh.iter().cloned());
        fresh
    }

    /// Objects of single elements that were not told: Services older than 1.4 tell of whole objects only.
    fn parents(&self) -> Vec<String> {
        let elements = self.paths.iter().filter(|path| !path.ends_with('.') && !self.tells(path));
        let parents: BTreeSet<&str> = elements.filter_map(|p| p.rsplit_once('.').map(|(o, _)| o)).collect();
        parents.into_iter().map(|object| format!("{object}.")).collect()
    }

    fn tells(&self, element: &str) -> bool {
        let Some((object, name)) = element.rsplit_once('.') else { return false };
        self.objects.iter().any(|o| {
            o.supported_obj_path.strip_suffix('.') == Some(object)
                && (o.supported_params.iter().any(|p| p.param_name == name)
                    || o.supported_commands.iter().any(|c| c.command_name == name)
                    || o.supported_events.iter().any(|e| e.event_name == name))
        })
    }
}

impl Job for DiscoveryJob {
    fn reply(&mut self, _: &mut Broker, _: usize, reply: LegReply) {
        let LegReply::Service(outcome) = reply else { return };
        match outcome {
            Ok(RespType::GetSupportedDmResp(response)) => {
                self.objects.extend(response.req_obj_results.into_iter().flat_map(|r| r.supported_objs));
            }
            Ok(_) => self.problem = Some("it answered GetSupportedDM with something else".to_owned()),
            Err(error) => {
                self.silent |= error.doubtful;
                self.problem = Some(error.fault.text);
            }
        }
    }

    fn advance(mut self: Box<Self>, broker: &mut Broker, id: JobId) -> Option<Box<dyn Job>> {
        self.rounds += 1;
        let (rows, parents) = match self.rounds {
            1 => {
                self.ask(broker, id, MAIN, self.paths.clone());
                return Some(self);
            }
            2 if !self.silent => (self.new_rows(), self.parents()),
            round if round <= 1 + MAX_ROUNDS => (self.new_rows(), Vec::new()),
            _ => (Vec::new(), Vec::new()),
        };
        if self.rounds == 2 && self.problem.is_some() && self.objects.is_empty() && !parents.is_empty() {
            // Single elements may have been what it could not understand.
            let objects = self.paths.iter().filter(|path| path.ends_with('.')).cloned().collect();
            self.ask(broker, id, MAIN, objects);
        }
        if rows.is_empty() && parents.is_empty() {
            let (objects, problem) = (std::mem::take(&mut self.objects), self.problem.take());
            let answer = match problem {
                Some(problem) if objects.is_empty() => Err(problem),
                _ => Ok(objects),
            };
            broker.discovered(self.service, &self.paths, answer);
            return None;
        }
        self.ask(broker, id, ROWS, rows);
        self.ask(broker, id, PARENTS, parents);
        Some(self)
    }
}
