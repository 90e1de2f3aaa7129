//! Get: plan the answer's shape, fill it from memory, from Services and from devices, merge.
//!
//! Only an explicit Parameter Path may cause a read on a wire; everything else answers from memory (ARCHITECTURE.md).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use usp_mapping::mapping::Window;
use usp_mapping::port::PointId;
use usp_proto::err_code::ErrCode;
use usp_proto::path::{Leaf, Name, Path};
use usp_proto::usp::get_resp::ResolvedPathResult;
use usp_proto::usp::{self, request::ReqType, response::RespType};

use super::budget::Budget;
use super::count::{Count, count_request, count_results};
use super::follow::leads_nowhere;
use super::merge::{Outcome, Part, join, result, service_parts, size};
use super::{Origin, resolve, shown, wrong_form};
use crate::Broker;
use crate::access::tables::Tables;
use crate::access::{Act, Kind, Rights};
use crate::dm::compute::{Have, Unread};
use crate::dm::resolve::{Found, Local, follows};
use crate::dm::rows::ObjRef;
use crate::dm::schema::{Owner, Schema, ServiceId};
use crate::fault::Fault;
use crate::gather::{Job, JobId, LegReply};
use crate::input::ConnId;
use crate::time::Mono;

/// The answer to one requested path, as far as it is known.
#[derive(Debug, Default)]
struct Entry {
    requested: String,
    /// From our own model.
    own: Vec<ResolvedPathResult>,
    /// From others, with the ask that brought it, so that the order of replies changes nothing.
    others: Vec<(usize, Vec<ResolvedPathResult>)>,
    /// The path as a whole failed.
    fault: Option<Fault>,
    /// Owners of parts of it that failed, by ask.
    failed: BTreeMap<usize, Fault>,
}

/// One question to somebody else.
#[derive(Debug)]
enum Ask {
    Service {
        service: ServiceId,
        depth: u32,
        parts: Vec<Part>,
    },
    /// Rows of tables of a Service, where nobody else can say their number.
    Count {
        service: ServiceId,
        counts: Vec<Count>,
    },
    Read {
        entry: usize,
        unread: Unread,
        within: Duration,
        at: ObjRef,
        name: Name,
    },
}

/// A path that is looked at.
struct Wish<'a> {
    /// The entry that it belongs to.
    entry: usize,
    /// As it is written.
    text: &'a str,
    path: &'a Path,
    depth: u32,
}

struct GetJob {
    origin: Origin,
    budget: Budget,
    entries: Vec<Entry>,
    asks: Vec<Ask>,
    asked: bool,
    /// The path at hand is one of several that a reference led to.
    followed: bool,
    /// What may be read of rows that are alike.
    tables: Tables,
}

impl Broker {
    /// Get.
    pub(crate) fn handle_get(&mut self, origin: Origin, get: &usp::Get) {
        let mut job = GetJob {
            origin,
            budget: Budget::new(self.config.limits.max_answer_bytes),
            entries: Vec::with_capacity(get.param_paths.len()),
            asks: Vec::new(),
            asked: false,
            followed: false,
            tables: Tables::default(),
        };
        for requested in &get.param_paths {
            let index = job.entries.len();
            job.entries.push(Entry { requested: requested.clone(), ..Entry::default() });
            if let Err(fault) = self.plan_meant(&mut job, index, requested, get.max_depth)
                && let Some(entry) = job.entries.get_mut(index)
            {
                job.budget.take(fault.text.len());
                entry.fault = Some(fault);
            }
            job.budget.take(requested.len());
            if let Err(fault) = job.budget.check() {
                return self.refuse(&job.origin, &fault);
            }
        }
        if job.asks.is_empty() {
            let response = job.merge(self.config.limits.merge_get_errors);
            self.respond(&job.origin, response);
        } else {
            self.begin(Box::new(job));
        }
    }

    /// A path, or those that its references lead to.
    fn plan_meant(&self, job: &mut GetJob, entry: usize, requested: &str, depth: u32) -> Result<(), Fault> {
        let Some(paths) = job.origin.meant(requested)? else {
            return self.plan_get(job, entry, requested, depth);
        };
        job.followed = true;
        let (mut unsupported, mut found) = (None, false);
        for path in &paths {
            match self.plan_get(job, entry, path, depth) {
                Err(fault) if leads_nowhere(&self.model, path, &fault) => found = true,
                // Of several objects those count that have such a thing.
                Err(fault) if fault.code == ErrCode::INVALID_PATH => {
                    unsupported = unsupported.or(Some(fault))
                }
                Err(fault) => unsupported = Some(fault),
                Ok(()) => found = true,
            }
        }
        job.followed = false;
        unsupported.filter(|fault| !found || fault.code != ErrCode::INVALID_PATH).map_or(Ok(()), Err)
    }

    fn plan_get(&self, job: &mut GetJob, entry: usize, requested: &str, depth: u32) -> Result<(), Fault> {
        let path = Path::parse(requested)?;
        match &path.leaf {
            Leaf::Object | Leaf::Parameter(_) => {}
            Leaf::Command(_) | Leaf::Event(_) => {
                return Err(wrong_form(requested, "an Object or Parameter Path"));
            }
        }
        let wish = Wish { entry, text: requested, path: &path, depth };
        match resolve(&self.model, &path, &job.origin.rights)? {
            Found::Service(service) => self.plan_service_whole(job, service, &wish),
            Found::Local(local) => match &path.leaf {
                Leaf::Parameter(name) => self.plan_parameter(job, &wish, &local, name),
                _ => self.plan_objects(job, &wish, &local),
            },
        }
    }

    fn plan_service_whole(&self, job: &mut GetJob, service: ServiceId, wish: &Wish<'_>) -> Result<(), Fault> {
        let Wish { entry, text, path, depth } = *wish;
        if follows(path) {
            return Err(Fault::unsupported(path));
        }
        // R-GET.1: what may not be read is not there. What is below a hidden object may be shown by an entry of its own.
        let rights = &job.origin.rights;
        let shows = match &path.leaf {
            Leaf::Object => is_seen(rights, path) || rights.may_see_within(path),
            _ => rights.allow_path(Kind::Param, Act::Read, path),
        };
        if (!path.is_search() && !shows) || !self.model.is_declared(path) {
            return Err(Fault::unsupported(path));
        }
        // Where a reference leads may be gone; what is not even supported is a mistake.
        let whole = !(job.followed && self.model.supports(path));
        let part = Part { entry, path: text.to_owned(), whole };
        job.ask_service(service, depth, part);
        Ok(())
    }

    fn plan_parameter(
        &self,
        job: &mut GetJob,
        wish: &Wish<'_>,
        local: &Local,
        name: &Name,
    ) -> Result<(), Fault> {
        let Wish { entry, path, .. } = *wish;
        let missing = || Fault::unsupported(path);
        if let Some(object) = local.object.and_then(|id| self.model.schema.get(id)) {
            if local.table {
                return Err(missing());
            }
            let param = object.params.get(name).ok_or_else(missing)?;
            if let Owner::Service(service) = param.owner {
                if let Some(count) = self.count_of(service, &object.path, name, entry, true) {
                    job.count(service, count);
                    return Ok(());
                }
                return self.plan_service_whole(job, service, wish);
            }
        }
        let leaf = Leaf::Parameter(name.clone());
        let rights = &job.origin.rights;
        let readable = |at: &ObjRef| self.may_read(job, Kind::Param, at, &leaf);
        if local.search {
            let found = local.at.iter().take_while(|_| job.budget.is_open()).filter(|at| readable(at));
            let own =
                found.filter_map(|at| self.resolved(at, [(name, rights.shown(&self.model, at, name)?)]));
            let own = own.take_while(|result| job.budget.take(size(result))).collect();
            job.own(entry, own);
            return Ok(());
        }
        if local.at.is_empty() && rights.is_all() {
            // Whoever may not read everything is not told whether a row is missing or hidden (R-GET.1).
            return Err(Fault::new(ErrCode::INVALID_PATH, format!("{path} does not exist")));
        }
        let at = local.at.first().filter(|at| readable(at)).ok_or_else(missing)?;
        match self.model.look(at, name) {
            Have::Value(value) => {
                let value = rights.shown(&self.model, at, name).unwrap_or(value);
                job.own(entry, self.resolved(at, [(name, value)]).into_iter().collect());
            }
            Have::Absent => return Err(missing()),
            Have::Unread(unread) => self.plan_read(job, entry, at, name, unread)?,
        }
        Ok(())
    }

    /// An explicit Parameter whose reading is not fresh: ask the device, if that can help.
    fn plan_read(
        &self,
        job: &mut GetJob,
        entry: usize,
        at: &ObjRef,
        name: &Name,
        unread: Unread,
    ) -> Result<(), Fault> {
        if !unread.readable {
            return Err(Fault::new(ErrCode::INTERNAL_ERROR, unread.why));
        }
        let device = self.model.devices.get(unread.device);
        let model = device.and_then(|d| d.mapping.model(unread.point));
        let within = model.map_or(Duration::from_secs(5), |m| m.read_within);
        job.asks.push(Ask::Read { entry, unread, within, at: at.clone(), name: name.clone() });
        Ok(())
    }

    fn plan_objects(&self, job: &mut GetJob, wish: &Wish<'_>, local: &Local) -> Result<(), Fault> {
        let Wish { entry, path, depth, .. } = *wish;
        if local.at.is_empty() && !local.search {
            return Err(match job.origin.rights.is_all() {
                true => Fault::new(ErrCode::INVALID_PATH, format!("{path} does not exist")),
                false => Fault::unsupported(path),
            });
        }
        let mut own = Vec::new();
        for at in self.chosen(local) {
            if (local.search || local.table) && !self.may_show(job, &at) {
                continue;
            }
            self.collect(job, &at, depth, &mut own);
            let asks = self.plan_services_below(job, entry, &at, depth);
            // Of the root, with which Controllers begin, there may be nothing to show; else what is hidden is not there.
            let named = !local.search && !local.table && at.object != Schema::ROOT;
            if named && own.is_empty() && !asks && !self.may_see(job, &at) {
                return Err(Fault::unsupported(path));
            }
            if !job.budget.is_open() {
                break;
            }
        }
        // Nor is a table there within a row that is not.
        let hidden = |row: &ObjRef| !row.numbers.is_empty() && self.shows_nothing(row, &job.origin.rights);
        if local.table && !local.search && own.is_empty() && local.at.first().is_some_and(hidden) {
            return Err(Fault::unsupported(path));
        }
        job.own(entry, own);
        Ok(())
    }

    /// The objects that a path means: those found, or all rows of a table.
    pub(crate) fn chosen(&self, local: &Local) -> Vec<ObjRef> {
        match local.object {
            Some(table) if local.table => {
                let rows = local.at.iter().flat_map(|above| self.model.rows.of_table(table, &above.numbers));
                rows.map(|(row, _)| row.clone()).collect()
            }
            _ => local.at.clone(),
        }
    }

    fn may_see(&self, job: &GetJob, at: &ObjRef) -> bool {
        self.may_read(job, Kind::Obj, at, &Leaf::Object)
    }

    /// Whether an element of our own may be read. A row that is looked at for nothing counts.
    fn may_read(&self, job: &GetJob, kind: Kind, at: &ObjRef, leaf: &Leaf) -> bool {
        let allowed = job.tables.may_read(&job.origin.rights, &self.model, kind, at, leaf);
        job.budget.check_more(job.tables.take_denied());
        allowed
    }

    /// Whether anything may be read of a row, or below it.
    fn may_show(&self, job: &GetJob, row: &ObjRef) -> bool {
        let shows = job.tables.may_show(&job.origin.rights, &self.model, row);
        job.budget.check_more(job.tables.take_denied());
        shows
    }

    /// An object and, as far as the depth goes, all below it. A depth of 0 has no limit.
    fn collect(&self, job: &GetJob, at: &ObjRef, depth: u32, into: &mut Vec<ResolvedPathResult>) {
        // What is below a hidden object may be shown by an entry of its own.
        if self.may_see(job, at) {
            into.extend(self.parameters(job, at).filter(|result| job.budget.take(size(result))));
        }
        if depth == 1 {
            return;
        }
        for child in self.model.below(at) {
            if !job.budget.is_open() {
                return;
            }
            let object = self.model.schema.get(child.object).filter(|o| o.owner == Owner::Local);
            if object.is_some_and(|object| !object.table || self.may_show(job, &child)) {
                self.collect(job, &child, depth.saturating_sub(1), into);
            }
        }
    }

    /// All Parameters of one object that may be read and have something to show.
    fn parameters(&self, job: &GetJob, at: &ObjRef) -> Option<ResolvedPathResult> {
        let object = self.model.schema.get(at.object)?;
        let rights = &job.origin.rights;
        let own = object.params.iter().filter(|(_, p)| p.owner == Owner::Local).map(|(name, _)| name);
        let readable = own.filter(|name| {
            rights.is_all() || self.may_read(job, Kind::Param, at, &Leaf::Parameter((*name).clone()))
        });
        let values = readable.filter_map(|name| Some((name, rights.shown(&self.model, at, name)?)));
        let result = self.resolved(at, values).filter(|_| !object.params.is_empty());
        // An object of which nothing may be read is not there (TP-469 2.21).
        result.filter(|result| rights.is_all() || !result.result_params.is_empty())
    }

    fn resolved<'a>(
        &self,
        at: &ObjRef,
        values: impl IntoIterator<Item = (&'a Name, String)>,
    ) -> Option<ResolvedPathResult> {
        let result_params = values.into_iter().map(|(name, value)| (name.as_str(), value)).collect();
        Some(ResolvedPathResult { resolved_path: self.model.path(at), result_params })
    }

    /// What Services have registered below an object of ours is asked from them. `true`: there is something to ask.
    fn plan_services_below(&self, job: &mut GetJob, entry: usize, at: &ObjRef, depth: u32) -> bool {
        let Some(object) = self.model.schema.get(at.object).filter(|_| at.numbers.is_empty()) else {
            return false;
        };
        let mut asks = false;
        let above = object.path.matches('.').count();
        for (service, registered) in self.services.below(&object.path) {
            if registered.ends_with([')', '!']) {
                continue;
            }
            let counted = self.count_below(service, registered, entry, depth, above);
            counted.into_iter().for_each(|count| job.count(service, count));
            // An object's own final dot counts as a level; a Parameter belongs to the level of its object.
            let levels = u32::try_from(registered.matches('.').count() - above).unwrap_or(u32::MAX);
            let left = match depth {
                0 => 0,
                depth if depth > levels => depth - levels,
                _ => continue,
            };
            if !job.budget.take(registered.len()) {
                return asks;
            }
            asks = true;
            let part = Part { entry, path: registered.to_owned(), whole: false };
            let left = if registered.ends_with('.') { left } else { 0 };
            job.ask_service(service, left, part);
        }
        asks
    }
}

impl GetJob {
    fn own(&mut self, entry: usize, own: Vec<ResolvedPathResult>) {
        if let Some(entry) = self.entries.get_mut(entry) {
            entry.own.extend(own);
        }
    }

    /// Adds to a question that goes to this Service anyway, or makes one.
    fn ask_service(&mut self, service: ServiceId, depth: u32, part: Part) {
        for ask in &mut self.asks {
            match ask {
                Ask::Service { service: s, depth: d, parts } if *s == service && *d == depth => {
                    return parts.push(part);
                }
                Ask::Service { .. } | Ask::Count { .. } | Ask::Read { .. } => {}
            }
        }
        self.asks.push(Ask::Service { service, depth, parts: vec![part] });
    }

    /// The same for a number of rows.
    fn count(&mut self, service: ServiceId, count: Count) {
        let same = self.asks.iter_mut().find_map(|ask| match ask {
            Ask::Count { service: s, counts } if *s == service => Some(counts),
            _ => None,
        });
        match same {
            Some(counts) => counts.push(count),
            None => self.asks.push(Ask::Count { service, counts: vec![count] }),
        }
    }

    /// The response. Failed owners of parts get entries of their own behind the entry that they belong to.
    fn merge(&mut self, into_one: bool) -> RespType {
        let mut results = Vec::with_capacity(self.entries.len());
        for entry in &mut self.entries {
            let own = std::mem::take(&mut entry.own);
            let mut others = std::mem::take(&mut entry.others);
            others.sort_by_key(|(tag, _)| *tag);
            let mut others = others.into_iter().map(|(_, found)| found);
            let resolved = match (own.is_empty(), others.len()) {
                // One owner's answer to one path, which may be long, is passed on as it is.
                (true, 1) => others.next().unwrap_or_default(),
                (false, 0) => own,
                _ => join(own, others.flatten()),
            };
            let mut failed: Vec<Fault> = Vec::new();
            for fault in std::mem::take(&mut entry.failed).into_values() {
                // A Service that is asked twice fails once.
                if !failed.contains(&fault) {
                    failed.push(fault);
                }
            }
            let mut fault = entry.fault.take();
            if into_one && fault.is_none() && !failed.is_empty() {
                fault = Some(failed.remove(0));
                failed.clear();
            }
            results.push(result(&entry.requested, fault.as_ref(), resolved));
            results.extend(failed.iter().map(|fault| result(&entry.requested, Some(fault), Vec::new())));
        }
        RespType::GetResp(usp::GetResp { req_path_results: results })
    }
}

/// A path that was requested twice is asked once: answers are told apart by their paths.
fn once(parts: &[Part]) -> Vec<String> {
    if let [part] = parts {
        return vec![part.path.clone()];
    }
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    parts.iter().filter(|part| seen.insert(&part.path)).map(|part| part.path.clone()).collect()
}

impl Job for GetJob {
    fn reply(&mut self, broker: &mut Broker, tag: usize, reply: LegReply) {
        match (self.asks.get_mut(tag), reply) {
            (Some(Ask::Service { service, parts, .. }), LegReply::Service(outcome)) => {
                let (service, parts) = (*service, std::mem::take(parts));
                let name = || broker.services.name(service);
                let filled = service_parts(&parts, &name, outcome.map_err(|f| f.fault), &self.budget);
                for (part, mut outcome) in parts.iter().zip(filled) {
                    if let Ok(found) = &mut outcome {
                        broker.services.keep_owned(service, &part.path, found);
                        broker.model.keep_declared(found);
                        part.keep_asked(found);
                    }
                    let outcome = self.as_if_absent(part, outcome);
                    self.fill(tag, part.entry, part.whole, part.path.ends_with('.'), outcome);
                }
            }
            (Some(Ask::Count { service, counts }), LegReply::Service(outcome)) => {
                let name = broker.services.name(*service);
                for (entry, whole, outcome) in count_results(counts, &name, outcome.map_err(|f| f.fault)) {
                    self.fill(tag, entry, whole, false, outcome);
                }
            }
            (Some(Ask::Read { entry, unread, at, name, .. }), LegReply::Device(outcome)) => {
                let (entry, name) = (*entry, &*name);
                let read = broker.take_reading(unread.device, unread.point, &outcome);
                // LowLevel and HighLevel follow from what was read.
                let outcome = read.and_then(|value| match name.as_str() {
                    "Value" | "Values" => Ok(value.to_usp()),
                    name if Window::of_name(name).is_some() => Ok(Window::text(&value)),
                    _ => broker.model.text(at, name).ok_or_else(|| Fault::unsupported(name)),
                });
                let outcome = outcome.map(|value| {
                    let result_params = [(name.as_str(), value)].into();
                    vec![ResolvedPathResult { resolved_path: broker.model.path(at), result_params }]
                });
                let (device, point) = (unread.device, unread.point);
                self.fill(tag, entry, true, false, outcome);
                self.look_again(broker, device, point);
            }
            _ => {}
        }
    }

    fn advance(mut self: Box<Self>, broker: &mut Broker, id: JobId) -> Option<Box<dyn Job>> {
        if let Err(fault) = self.budget.check() {
            broker.refuse(&self.origin, &fault);
            return None;
        }
        if self.asked {
            let response = self.merge(broker.config.limits.merge_get_errors);
            broker.respond(&self.origin, response);
            return None;
        }
        self.asked = true;
        for (tag, ask) in self.asks.iter().enumerate() {
            match ask {
                Ask::Service { service, depth, parts } => {
                    let get = usp::Get { param_paths: once(parts), max_depth: *depth };
                    broker.ask_service(id, tag, *service, ReqType::Get(get));
                }
                Ask::Count { service, counts } => {
                    broker.ask_service(id, tag, *service, count_request(counts));
                }
                Ask::Read { unread, within, .. } => {
                    broker.ask_read(id, tag, unread.device, unread.point, *within);
                }
            }
        }
        Some(self)
    }

    fn asker(&self) -> Option<ConnId> {
        Some(self.origin.conn)
    }

    fn until(&self) -> Option<Mono> {
        self.origin.terms.map(|terms| terms.answer)
    }
}

/// Whether an object of a Service is seen itself, whatever is below it.
fn is_seen(rights: &Rights, path: &Path) -> bool {
    rights.allow_path(Kind::Obj, Act::Read, path)
}

impl GetJob {
    /// A capability was read: what else this Get says of it, and of its device's row, is answered as it is now, so that one
    /// answer does not show parts of two readings.
    fn look_again(&mut self, broker: &Broker, device: u32, point: PointId) {
        let devices = &broker.model.devices;
        let Some(place) = devices.get(device).and_then(|device| device.place(point)) else { return };
        let row = broker.model.path(&devices.objects.device_row(device));
        let capability = broker.model.path(&devices.objects.capability_row(device, place));
        let mut entries = std::mem::take(&mut self.entries);
        for Entry { requested, own, .. } in &mut entries {
            let is_object = requested.ends_with('.');
            let concerned = |r: &&mut ResolvedPathResult| {
                r.resolved_path == row || r.resolved_path.starts_with(&capability)
            };
            for result in own.iter_mut().filter(concerned) {
                self.renew(broker, result, is_object);
            }
        }
        self.entries = entries;
    }

    /// All of an object, or those of its Parameters that were asked for.
    fn renew(&self, broker: &Broker, result: &mut ResolvedPathResult, is_object: bool) {
        let Some(at) = broker.model.locate(&result.resolved_path) else { return };
        if is_object {
            if let Some(now) = broker.parameters(self, &at) {
                *result = now;
            }
            return;
        }
        let shown = |name: &str| self.origin.rights.shown(&broker.model, &at, name);
        let renewed = result.result_params.iter();
        let renewed = renewed.map(|(name, value)| (name, shown(name).unwrap_or_else(|| value.to_owned())));
        result.result_params = renewed.collect();
    }

    /// A hidden object of a Service with nothing to show below it is not there, whatever the Service says of it.
    fn as_if_absent(&self, part: &Part, outcome: Outcome) -> Outcome {
        let rights = &self.origin.rights;
        let path = Path::parse(&part.path).ok().filter(|path| part.whole && path.leaf == Leaf::Object);
        let Some(path) = path.filter(|path| !path.is_search() && !is_seen(rights, path)) else {
            return outcome;
        };
        match outcome {
            Ok(mut found) => {
                shown::of_get(rights, &mut found, true);
                found.retain(|object| !object.result_params.is_empty());
                if found.is_empty() { Err(Fault::unsupported(path)) } else { Ok(found) }
            }
            Err(fault) if matches!(fault.code, ErrCode::INVALID_PATH | ErrCode::OBJECT_DOES_NOT_EXIST) => {
                Err(Fault::unsupported(path))
            }
            failed => failed,
        }
    }

    fn fill(&mut self, tag: usize, entry: usize, whole: bool, object: bool, outcome: Outcome) {
        let Some(entry) = self.entries.get_mut(entry) else { return };
        match outcome {
            Ok(mut found) => {
                shown::of_get(&self.origin.rights, &mut found, object);
                entry.others.push((tag, found));
            }
            Err(fault) => {
                self.budget.take(fault.text.len());
                match whole {
                    true => entry.fault = Some(fault),
                    false => drop(entry.failed.insert(tag, fault)),
                }
            }
        }
    }
}
