//! Register and Deregister: who owns which path (R-REG.*, R-DEREG.*, TR-369 appendix on modularisation).

use usp_proto::err_code::ErrCode;
use usp_proto::path::SupportedPath;
use usp_proto::usp::deregister_resp::{self, DeregisteredPathResult, deregistered_path_result as dereg};
use usp_proto::usp::register_resp::{self, RegisteredPathResult, registered_path_result as reg};
use usp_proto::usp::{self, response::RespType};

use crate::Broker;
use crate::dm::schema::{Owner, ServiceId};
use crate::fault::Fault;
use crate::request::{Origin, param_error};
use crate::services::{above, keeps};

/// Objects of the broker itself, in which nobody else may register anything.
pub(crate) const PROTECTED: [&str; 6] = [
    "Device.LocalAgent.",
    "Device.USPServices.",
    "Device.UnixDomainSockets.",
    "Device.ProxiedDevice.",
    "Device.X_USPBROKER_Bus.",
    "Device.X_USPBROKER_Site.",
];

impl Broker {
    /// Register. The answer does not wait for discovery: a Service may answer nothing before it has it.
    pub(crate) fn handle_register(&mut self, service: ServiceId, origin: &Origin, request: &usp::Register) {
        if request.reg_paths.is_empty() && !request.allow_partial {
            return self.refuse(origin, &Fault::new(ErrCode::REGISTER_FAILURE, "no path is given"));
        }
        let most = self.config.limits.max_paths_per_request;
        let before = self.services.get(service).map(|s| (s.registered.clone(), s.renewed.clone()));
        let mut results: Vec<(String, Result<(), Fault>)> = Vec::with_capacity(request.reg_paths.len());
        for path in &request.reg_paths {
            let result = match results.len() < most {
                true => self.register_path(service, &path.path),
                false => Err(too_many(most)),
            };
            results.push((path.path.clone(), result));
        }
        let failed: Vec<_> = results.iter().filter_map(|(p, r)| Some((p, r.as_ref().err()?))).collect();
        if let (false, Some((_, first))) = (request.allow_partial, failed.first()) {
            if let (Some(service), Some(before)) = (self.services.get_mut(service), before) {
                (service.registered, service.renewed) = before;
            }
            let params = failed.iter().map(|(path, fault)| param_error((*path).clone(), fault)).collect();
            let first = (*first).clone();
            return self.refuse_with(origin, &first, params);
        }
        let registered_path_results =
            results.into_iter().map(|(path, result)| registered(path, result)).collect();
        self.respond(origin, RespType::RegisterResp(usp::RegisterResp { registered_path_results }));
        self.update_service_row(service);
        self.discover(service);
    }

    /// Reserves one path (R-REG.0: each by itself; R-REG.2: what can be registered).
    fn register_path(&mut self, id: ServiceId, text: &str) -> Result<(), Fault> {
        let failure = |why: String| Fault::new(ErrCode::REGISTER_FAILURE, why);
        let path = SupportedPath::parse(text).map_err(|e| failure(e.to_string()))?;
        if !path.is_registrable() || text == "Device." || !text.starts_with("Device.") {
            return Err(failure(format!(
                "{text} cannot be registered: it is the root or not below Device., or holds a number or {{i}}"
            )));
        }
        if let Some(protected) = PROTECTED.iter().find(|p| text.starts_with(**p)) {
            return Err(failure(format!("{protected} belongs to the broker")));
        }
        self.check_trust(id, text)?;
        match self.services.overlapping(text) {
            Some((owner, own)) if owner == id && own == text => return self.renew_path(id, text),
            Some((owner, other)) => {
                let name = self.services.name(owner);
                let why = format!("{text} overlaps with {other}, which {name} has registered");
                return Err(Fault::new(ErrCode::ALREADY_IN_USE, why));
            }
            None => {}
        }
        if self.is_own_element(&path, text) {
            return Err(Fault::new(
                ErrCode::ALREADY_IN_USE,
                format!("{text} is served by the broker itself"),
            ));
        }
        let most = self.config.limits.max_paths_per_service;
        let Some(service) = self.services.get_mut(id) else { return Ok(()) };
        if service.registered.len() >= most {
            let text = format!("a Service may register {most} paths (limits.max_paths_per_service)");
            return Err(Fault::new(ErrCode::RESOURCES_EXCEEDED, text));
        }
        service.registered.insert(text.to_owned(), false);
        Ok(())
    }

    /// A Service registers once more what is its own: its model may have changed, so it is asked for it again.
    fn renew_path(&mut self, id: ServiceId, text: &str) -> Result<(), Fault> {
        if let Some(service) = self.services.get_mut(id)
            && service.registered.get(text) == Some(&true)
        {
            service.renewed.insert(text.to_owned());
        }
        Ok(())
    }

    /// Whether the broker itself serves exactly this, or a table above it: nothing below a row can be registered apart.
    fn is_own_element(&self, path: &SupportedPath, text: &str) -> bool {
        use usp_proto::path::Leaf;
        let schema = &self.model.schema;
        let mut above = text.match_indices('.').filter_map(|(at, _)| text.get(..=at));
        if above.any(|object| object != text && schema.find(&format!("{object}{{i}}.")).is_some()) {
            return true;
        }
        let object_text = SupportedPath { leaf: Leaf::Object, ..path.clone() }.to_string();
        let object = schema.find(&object_text).or_else(|| schema.find(&format!("{text}{{i}}.")));
        let Some(object) = object.and_then(|id| schema.get(id)) else { return false };
        match &path.leaf {
            Leaf::Object => object.owner == Owner::Local,
            Leaf::Parameter(name) => object.params.get(name).is_some_and(|p| p.owner == Owner::Local),
            Leaf::Command(name) => object.commands.get(name).is_some_and(|c| c.owner == Owner::Local),
            Leaf::Event(name) => object.events.get(name).is_some_and(|e| e.owner == Owner::Local),
        }
    }

    /// Deregister, of any number of paths (R-DEREG.3): always a response (R-DEREG.4).
    pub(crate) fn handle_deregister(
        &mut self,
        service: ServiceId,
        origin: &Origin,
        request: &usp::Deregister,
    ) {
        let (mut results, mut gone) = (Vec::new(), Vec::new());
        let most = self.config.limits.max_paths_per_request;
        for (index, path) in request.paths.iter().enumerate() {
            let result = match index < most {
                true => self.deregister_path(service, path),
                false => Err(too_many(most)),
            };
            gone.extend(result.iter().flatten().cloned());
            results.push(deregistered(path.clone(), result));
        }
        self.take_away(service, &gone, "its path was deregistered");
        let response = usp::DeregisterResp { deregistered_path_results: results };
        self.respond(origin, RespType::DeregisterResp(response));
        self.update_service_row(service);
        self.sync_service(service);
    }

    /// Paths are a Service's no more: their model and the commands below them end. Others of the same Service stay.
    pub(super) fn take_away(&mut self, id: ServiceId, paths: &[String], why: &str) {
        if paths.is_empty() {
            return;
        }
        self.end_commands_below(id, paths, why);
        let Some(service) = self.services.get_mut(id) else { return };
        let kept = &service.registered;
        service.renewed.retain(|path| kept.contains_key(path));
        service.divergent.retain(|table, _| above(kept, table).is_some());
        self.model.schema.remove_service(id, |element| keeps(kept, element));
        self.follow_all();
    }

    /// One of the Service's own paths (R-DEREG.1), or all of them for an empty one (R-DEREG.2).
    fn deregister_path(&mut self, id: ServiceId, path: &str) -> Result<Vec<String>, Fault> {
        if let Some(service) = self.services.get_mut(id) {
            if path.is_empty() {
                return Ok(std::mem::take(&mut service.registered).into_keys().collect());
            }
            if service.registered.remove(path).is_some() {
                return Ok(vec![path.to_owned()]);
            }
        }
        let other = self.services.iter().any(|(_, s)| s.registered.contains_key(path));
        let (code, why) = match other {
            true => (ErrCode::PATH_ALREADY_REGISTERED, "is registered by another Service"),
            false => (ErrCode::DEREGISTER_FAILURE, "is not registered"),
        };
        Err(Fault::new(code, format!("{path} {why}")))
    }
}

/// Whether an element of the supported model is a registered path or lies below it.
pub(crate) fn is_within(element: &str, registered: &str) -> bool {
    element == registered || (registered.ends_with('.') && element.starts_with(registered))
}

fn too_many(most: usize) -> Fault {
    let text = format!("one request may name {most} paths (limits.max_paths_per_request)");
    Fault::new(ErrCode::RESOURCES_EXCEEDED, text)
}

fn registered(requested_path: String, result: Result<(), Fault>) -> RegisteredPathResult {
    let status = match result {
        Ok(()) => reg::operation_status::OperStatus::OperSuccess(reg::operation_status::OperationSuccess {
            registered_path: requested_path.clone(),
        }),
        Err(fault) => {
            reg::operation_status::OperStatus::OperFailure(reg::operation_status::OperationFailure {
                err_code: fault.code.0,
                err_msg: fault.text,
            })
        }
    };
    let oper_status =
        Some(register_resp::registered_path_result::OperationStatus { oper_status: Some(status) });
    RegisteredPathResult { requested_path, oper_status }
}

fn deregistered(requested_path: String, result: Result<Vec<String>, Fault>) -> DeregisteredPathResult {
    let status = match result {
        Ok(deregistered_path) => {
            dereg::operation_status::OperStatus::OperSuccess(dereg::operation_status::OperationSuccess {
                deregistered_path,
            })
        }
        Err(fault) => {
            dereg::operation_status::OperStatus::OperFailure(dereg::operation_status::OperationFailure {
                err_code: fault.code.0,
                err_msg: fault.text,
            })
        }
    };
    let oper_status =
        Some(deregister_resp::deregistered_path_result::OperationStatus { oper_status: Some(status) });
    DeregisteredPathResult { requested_path, oper_status }
}
