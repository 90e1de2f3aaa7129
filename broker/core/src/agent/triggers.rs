//! `Subscription.{i}.TriggerAction`: what is subscribed to may also change settings, with the rights of the Subscription's
//! Controller.

use std::sync::Arc;

use std::time::Duration;

use usp_proto::endpoint_id::EndpointId;
use usp_proto::err_code::ErrCode;
use usp_proto::path::{Leaf, Path};
use usp_proto::tr106;
use usp_proto::usp;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::set::{UpdateObject, UpdateParamSetting};
use usp_proto::usp::set_resp::updated_object_result::operation_status::OperStatus;

use crate::Broker;
use crate::dm::Model;
use crate::dm::rows::ObjRef;
use crate::dm::schema::ParamAccess;
use crate::fault::Fault;
use crate::input::ConnId;
use crate::request::Origin;
use crate::services::register::PROTECTED;
use crate::timers::Timer;

/// The settings of one Subscription are made at most this often, so that two that undo each other stay harmless. What
/// comes sooner is made up for at the end of the pause.
const PAUSE: Duration = Duration::from_secs(1);

const SUBSCRIPTIONS: &str = "Device.LocalAgent.Subscription.";

const SETTINGS: &str = "TriggerConfigSettings";

/// No connection has this number: the answer goes nowhere.
const NOBODY: ConnId = ConnId(u64::MAX);

/// `TriggerAction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TriggerAction {
    /// Its recipient is notified.
    pub notifies: bool,
    /// Its TriggerConfigSettings are made.
    pub configures: bool,
}

impl TriggerAction {
    /// As the data model spells it.
    pub(crate) fn parse(text: &str) -> Self {
        Self { notifies: text != "Config", configures: text != "Notify" && !text.is_empty() }
    }
}

impl Broker {
    /// Something that a Subscription with settings is about has happened.
    pub(crate) fn trigger(&mut self, number: u32) {
        self.agent.triggered.insert(number);
    }

    /// Makes the settings of Subscriptions that were triggered, after everything else that the same input caused.
    pub(crate) fn run_triggered(&mut self) {
        for number in std::mem::take(&mut self.agent.triggered) {
            let now = self.model.now.monotonic;
            let next = self.agent.configured.get(&number).map(|last| *last + PAUSE);
            match next.filter(|next| *next > now) {
                Some(next) => self.arm(Timer::Trigger(number), next),
                None => self.make_settings(number),
            }
        }
    }

    /// The pause of a Subscription is over.
    pub(crate) fn handle_trigger(&mut self, number: u32) {
        if self.take_due(Timer::Trigger(number)) {
            self.trigger(number);
        }
    }

    /// A Subscription is gone.
    pub(super) fn forget_trigger(&mut self, number: u32) {
        self.agent.triggered.remove(&number);
        self.agent.configured.remove(&number);
        self.disarm(Timer::Trigger(number));
    }

    /// What a Subscription sets is set with the rights of its recipient, so that others must not say what that is, unless
    /// they may do everything anyway.
    ///
    /// Errors: 7006.
    pub(crate) fn may_trigger(&self, origin: &Origin, at: &ObjRef, param: &str) -> Result<(), Fault> {
        let is_it =
            param == SETTINGS && Some(at.object) == self.model.table("Device.LocalAgent.Subscription.");
        if !is_it || origin.rights.is_all() {
            return Ok(());
        }
        let recipient = self.model.text(at, "Recipient").and_then(|path| self.model.locate(&path));
        match recipient.is_some_and(|row| Some(row.number()) == origin.controller) {
            true => Ok(()),
            false => Err(Fault::denied(format!("{}{param} of another Controller", self.model.path(at)))),
        }
    }

    fn make_settings(&mut self, number: u32) {
        let Some((origin, set)) = self.settings_of(number) else { return };
        self.agent.configured.insert(number, self.model.now.monotonic);
        tracing::debug!(number, peer = %origin.peer, "a Subscription makes its TriggerConfigSettings");
        let request = ReqType::Set(set);
        self.handle_allowed_request(origin, &request);
    }

    fn settings_of(&self, number: u32) -> Option<(Origin, usp::Set)> {
        let subscription = self.subs.get(number).filter(|s| s.enabled && s.action.configures)?;
        let controller = subscription.controller;
        let row = self.controller_row(controller).filter(|_| self.controller_says(controller, "Enable"))?;
        let origin = Origin {
            conn: NOBODY,
            peer: EndpointId::parse(&self.model.text(&row, "EndpointID")?).ok()?,
            // What a log calls it: no peer ever sees this.
            msg_id: self.model.path(&ObjRef::new(self.model.table(SUBSCRIPTIONS)?, &[number])),
            rights: self.rights_of_controller(controller),
            controller: Some(controller),
            terms: None,
            followed: Arc::default(),
        };
        let table = self.model.table("Device.LocalAgent.Subscription.")?;
        let text = self.model.text(&ObjRef::new(table, &[number]), SETTINGS)?;
        let update_objs: Vec<UpdateObject> =
            tr106::split_list(&text).filter_map(|item| setting(item).ok()).collect();
        (!update_objs.is_empty()).then_some((origin, usp::Set { allow_partial: true, update_objs }))
    }
}

impl Model {
    /// Refuses settings that can never be made: malformed, or of what the broker alone could serve and does not, or what
    /// nobody can write. Elsewhere a Service may come to serve what is unknown now.
    pub(crate) fn check_settings(&self, list: &str) -> Result<(), Fault> {
        tr106::split_list(list).try_for_each(|item| {
            let object = setting(item)?;
            let names = object.param_settings.iter().map(|s| format!("{}{}", object.obj_path, s.param));
            names.into_iter().try_for_each(|name| self.check_settable(&name))
        })
    }

    fn check_settable(&self, name: &str) -> Result<(), Fault> {
        let invalid = |why: &str| Fault::new(ErrCode::INVALID_VALUE, format!("{name} {why}"));
        if !name.starts_with("Device.") {
            return Err(invalid("does not begin with Device."));
        }
        let path = Path::parse(name).map_err(|e| Fault::new(ErrCode::INVALID_VALUE, e.to_string()))?;
        let object = Path { segments: path.segments.clone(), leaf: Leaf::Object };
        let supported = object.to_supported().and_then(|object| self.schema.find(&object.to_string()));
        let param = match (supported.and_then(|id| self.schema.get(id)), &path.leaf) {
            (Some(object), Leaf::Parameter(name)) => object.params.get(name),
            _ => None,
        };
        // Whoever may read these settings would read it here.
        if param.is_some_and(|param| param.secured) {
            return Err(invalid("is a secret, and settings of triggers can be read"));
        }
        if !PROTECTED.iter().any(|own| name.starts_with(own)) {
            return Ok(());
        }
        if !self.supports(&path) {
            return Err(invalid("is not in the supported data model"));
        }
        match param.is_some_and(|param| param.access == ParamAccess::Read) {
            true => Err(invalid("is read-only")),
            false => Ok(()),
        }
    }
}

/// Nobody waits for this answer: what failed is logged, but for values, which error texts can hold.
pub(crate) fn log_failures(origin: &Origin, response: &RespType) {
    let RespType::SetResp(response) = response else { return };
    if origin.conn != NOBODY {
        return;
    }
    for result in &response.updated_obj_results {
        let status = result.oper_status.as_ref().and_then(|s| s.oper_status.as_ref());
        let Some(OperStatus::OperFailure(failure)) = status else { continue };
        let (subscription, path) = (&origin.msg_id, &result.requested_path);
        let params = failure.updated_inst_failures.iter().flat_map(|i| &i.param_errs);
        let param = params.map(|p| p.param.as_str()).next().unwrap_or_default();
        let error = ErrCode(failure.err_code);
        tracing::warn!(%subscription, path = format!("{path}{param}"), %error, "a trigger could not make its setting");
        tracing::debug!(%subscription, why = %failure.err_msg, "why a trigger failed");
    }
}

/// One item: `<Parameter Name>=<Parameter Value>`, strings in quotes or not, with the escapes of a list's item.
pub(crate) fn setting(item: &str) -> Result<UpdateObject, Fault> {
    let invalid = |why: String| Fault::new(ErrCode::INVALID_VALUE, why);
    let (name, value) =
        split_setting(item).ok_or_else(|| invalid(format!("'{item}' is not <Parameter Path>=<value>")))?;
    let path = Path::parse(name).map_err(|e| invalid(e.to_string()))?;
    let Leaf::Parameter(param) = &path.leaf else {
        return Err(invalid(format!("'{name}' does not name a Parameter")));
    };
    let quoted = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    let value = tr106::unescape_item(quoted.unwrap_or(value));
    let setting = UpdateParamSetting { param: param.to_string(), value, required: true };
    let object = Path { segments: path.segments.clone(), leaf: Leaf::Object };
    Ok(UpdateObject { obj_path: object.to_string(), param_settings: vec![setting] })
}

/// At the first `=` that is not within a search expression.
fn split_setting(item: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    for (at, c) in item.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            '=' if depth == 0 => return Some((item.get(..at)?.trim(), item.get(at + 1..)?.trim())),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_a_path_and_a_value() {
        let parts = |item: &str| {
            let object = setting(item).unwrap();
            (object.obj_path, object.param_settings[0].param.clone(), object.param_settings[0].value.clone())
        };
        let own = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(parts("Device.A.B=false"), own("Device.A.", "B", "false"));
        assert_eq!(parts("Device.A.*.B = \"x=y%2Cz\""), own("Device.A.*.", "B", "x=y,z"));
        assert_eq!(parts("Device.A.[C==\"d\"].B=1"), own("Device.A.[C==\"d\"].", "B", "1"));
        for wrong in ["", "Device.A.B", "Device.A.=1", "Device.A.B()=1", "=1"] {
            assert!(setting(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn three_actions() {
        let action = |text| (TriggerAction::parse(text).notifies, TriggerAction::parse(text).configures);
        assert_eq!(
            ["Notify", "Config", "NotifyAndConfig"].map(action),
            [(true, false), (false, true), (true, true)]
        );
    }
}
