//! Follows the references of Subscriptions ([`crate::subscriptions::leads`]), with the rights of their recipients.
//!
//! One question goes to each Service, for all Subscriptions that want to know something of it; what its answer leads on to
//! is asked elsewhere at once, so that no Service is waited for by what does not need it.

use std::collections::{BTreeMap, BTreeSet};

use usp_proto::err_code::ErrCode;
use usp_proto::path::Path;
use usp_proto::usp::get_resp::RequestedPathResult;
use usp_proto::usp::{self, request::ReqType, response::RespType};

use super::reference::{MOST_ROUNDS, Next, Reference};
use crate::Broker;
use crate::access::{Act, Kind, Rights};
use crate::dm::covers::is_untold;
use crate::dm::resolve::follows;
use crate::dm::schema::ServiceId;
use crate::fault::Fault;
use crate::gather::{Job, JobId, LegReply, failed};
use crate::subscriptions::leads::MOST_OF_ALL;

/// A path on its way, for one finding.
struct Way {
    subscription: u32,
    serial: u64,
    /// Which of the Subscription's references it has come from.
    place: usize,
    path: Path,
    depth: usize,
    /// A Service held one of the references before.
    abroad: bool,
}

/// What Services are to be asked, by the Parameter that holds the reference.
type Questions = BTreeMap<ServiceId, BTreeMap<Path, Vec<Way>>>;

/// A Service's answer, by what it was asked.
type Results<'a> = BTreeMap<&'a str, &'a RequestedPathResult>;

struct LeadJob {
    service: ServiceId,
    questions: BTreeMap<Path, Vec<Way>>,
    answer: Option<Result<Vec<RequestedPathResult>, Fault>>,
}

impl Broker {
    /// Sets out for some Subscriptions.
    pub(crate) fn begin_leads(&mut self, numbers: &BTreeSet<u32>) {
        let mut questions = Questions::new();
        for number in numbers {
            let (Some(subscription), Some(finding)) = (self.subs.get(*number), self.leads.open.get(number))
            else {
                continue;
            };
            let serial = finding.serial;
            let places = subscription.references.iter().enumerate();
            let places: Vec<(usize, Path)> =
                places.filter(|(_, path)| follows(path)).map(|(place, path)| (place, path.clone())).collect();
            for (place, path) in places {
                let way = Way { subscription: *number, serial, place, path, depth: 0, abroad: false };
                self.walk_lead(way, &mut questions);
            }
        }
        self.ask_leads(questions);
        self.end_leads(numbers);
    }

    fn recipient_rights(&self, subscription: u32) -> Rights {
        let controller = self.subs.get(subscription).map(|s| s.controller);
        let rights = controller.map_or_else(Rights::none, |number| self.rights_of_controller(number));
        rights.knowing(&self.model.targets)
    }

    /// Goes on until the path is plain, or a Service has to be asked.
    fn walk_lead(&mut self, way: Way, questions: &mut Questions) {
        let most = self.config.limits.max_paths_per_request;
        let Some(finding) = self.leads.open.get_mut(&way.subscription).filter(|f| f.serial == way.serial)
        else {
            return;
        };
        // Lists that lead to lists would multiply, and circles never end.
        if finding.met.contains(&way.path) {
            return;
        }
        if finding.met.len() >= most || self.leads.met >= MOST_OF_ALL {
            let text =
                format!("references lead to more than {most} others, or those of all to {MOST_OF_ALL}");
            finding.faults.entry(way.place).or_insert(Fault::new(ErrCode::RESOURCES_EXCEEDED, text));
            return;
        }
        finding.met.insert(way.path.clone());
        self.leads.met += 1;
        let rights = self.recipient_rights(way.subscription);
        match self.model.searched.apart(|| self.model.unfold(&way.path, &rights)) {
            Err(fault) if is_untold(&fault) => self.fail_lead(&way, fault),
            // Nothing of the kind is there, or may be read.
            Err(_) => {}
            Ok(Next::Done) => self.arrive_lead(way),
            Ok(_) if way.depth >= MOST_ROUNDS => {}
            Ok(Next::Ask(service)) => self.ask_lead_later(service, way, questions),
            Ok(Next::Paths(paths)) => {
                for path in paths {
                    self.walk_lead(Way { path, depth: way.depth + 1, ..way }, questions);
                }
            }
        }
    }

    fn fail_lead(&mut self, way: &Way, fault: Fault) {
        if let Some(finding) = self.leads.open.get_mut(&way.subscription) {
            finding.faults.entry(way.place).or_insert(fault);
        }
    }

    /// The end of the references. What is found in our own rows alone is found again when something happens there.
    fn arrive_lead(&mut self, way: Way) {
        if !way.abroad && !self.model.is_at_service(&way.path) {
            return;
        }
        if let Some(finding) = self.leads.open.get_mut(&way.subscription) {
            finding.lead.ends.entry(way.place).or_default().insert(way.path);
        }
    }

    fn ask_lead_later(&mut self, service: ServiceId, way: Way, questions: &mut Questions) {
        let Some(holder) = Reference::first_of(&way.path).map(|reference| reference.parameter()) else {
            return;
        };
        if let Some(finding) = self.leads.open.get_mut(&way.subscription) {
            finding.open += 1;
            finding.lead.holders.entry((service, holder.clone())).or_insert(false);
            questions.entry(service).or_default().entry(holder).or_default().push(way);
        }
    }

    fn ask_leads(&mut self, questions: Questions) {
        let most = self.config.limits.max_paths_per_request;
        for (service, asked) in questions {
            let mut asked = asked.into_iter().peekable();
            while asked.peek().is_some() {
                let questions = asked.by_ref().take(most).collect();
                self.begin(Box::new(LeadJob { service, questions, answer: None }));
            }
        }
    }

    /// A Service's answer.
    fn take_leads(
        &mut self,
        service: ServiceId,
        asked: BTreeMap<Path, Vec<Way>>,
        answer: &Result<Vec<RequestedPathResult>, Fault>,
    ) {
        let mut onward = Questions::new();
        let mut concerned = BTreeSet::new();
        let results = answer.as_ref().map_err(Clone::clone);
        let results: Result<Results, Fault> =
            results.map(|results| results.iter().map(|r| (&*r.requested_path, r)).collect());
        for (holder, ways) in asked {
            let result = results.as_ref().map_err(Clone::clone);
            let result = result.and_then(|results| self.result_of(service, &holder, results));
            for way in ways {
                let finding = self.leads.open.get_mut(&way.subscription);
                let Some(finding) = finding.filter(|finding| finding.serial == way.serial) else { continue };
                finding.open -= 1;
                concerned.insert(way.subscription);
                match &result {
                    Ok(result) => self.follow_answer(service, &way, result, &mut onward),
                    Err(fault) => self.fail_lead(&way, fault.clone()),
                }
            }
        }
        self.ask_leads(onward);
        self.end_leads(&concerned);
    }

    /// The part of an answer that is about one reference.
    fn result_of<'a>(
        &self,
        service: ServiceId,
        holder: &Path,
        results: &Results<'a>,
    ) -> Result<&'a RequestedPathResult, Fault> {
        let name = self.services.name(service);
        let holder = holder.to_string();
        let result = results.get(&*holder).copied().ok_or_else(|| {
            let text = format!("Service {name} left {holder} out of its answer");
            Fault::new(ErrCode::INTERNAL_ERROR, text)
        })?;
        let is_absent =
            [ErrCode::INVALID_PATH.0, ErrCode::OBJECT_DOES_NOT_EXIST.0].contains(&result.err_code);
        if result.err_code == 0 || is_absent {
            return Ok(result);
        }
        Err(Fault::new(failed(result.err_code), format!("Service {name}: {}", result.err_msg)))
    }

    fn follow_answer(
        &mut self,
        service: ServiceId,
        way: &Way,
        result: &RequestedPathResult,
        onward: &mut Questions,
    ) {
        let Some(reference) = Reference::first_of(&way.path) else { return };
        let rights = self.recipient_rights(way.subscription);
        let own = result.resolved_path_results.iter().filter_map(|object| {
            let path = format!("{}{}", object.resolved_path, reference.name);
            object
                .result_params
                .get(reference.name.as_str())
                .filter(|_| self.services.owns(service, &path))
                .map(|value| (path, value))
        });
        let own: Vec<(String, &str)> = own.collect();
        let readable = own.iter().filter(|(path, _)| rights.allow_text(Kind::Param, Act::Read, path));
        let model = &self.model;
        let targets = model.searched.apart(|| reference.targets_of(model, readable.map(|(_, value)| *value)));
        if let Some(finding) = self.leads.open.get_mut(&way.subscription) {
            finding.lead.holders.insert((service, reference.parameter()), !own.is_empty());
        }
        match targets {
            Err(fault) => self.fail_lead(way, fault),
            Ok(paths) => {
                for path in paths {
                    let depth = way.depth + 1;
                    self.walk_lead(Way { path, depth, abroad: true, ..*way }, onward);
                }
            }
        }
    }
}

impl Job for LeadJob {
    fn reply(&mut self, broker: &mut Broker, _: usize, reply: LegReply) {
        let LegReply::Service(outcome) = reply else { return };
        self.answer = Some(match outcome {
            Ok(RespType::GetResp(response)) => Ok(response.req_path_results),
            Ok(_) => {
                let text = format!(
                    "Service {} answered a Get with something else",
                    broker.services.name(self.service)
                );
                Err(Fault::new(ErrCode::INTERNAL_ERROR, text))
            }
            Err(error) => Err(error.fault),
        });
    }

    fn advance(mut self: Box<Self>, broker: &mut Broker, id: JobId) -> Option<Box<dyn Job>> {
        match self.answer.take() {
            Some(answer) => {
                broker.take_leads(self.service, self.questions, &answer);
                None
            }
            None => {
                let param_paths = self.questions.keys().map(Path::to_string).collect();
                broker.ask_service(id, 0, self.service, ReqType::Get(usp::Get { param_paths, max_depth: 1 }));
                Some(self)
            }
        }
    }
}
