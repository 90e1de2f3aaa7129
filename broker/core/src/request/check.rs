//! What can be known about a setting before anything is done: existence, access, type, range, references, keys.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use usp_mapping::port::PointId;
use usp_mapping::value::{Value, decimal_text};
use usp_proto::endpoint_id::EndpointId;
use usp_proto::err_code::ErrCode;
use usp_proto::path::{Leaf, Name, Path, RelativeParam, Segment};
use usp_proto::tr106;

use super::absent::unsupported_param;
use crate::access::{Act, Kind, Rights, is_permission};
use crate::dm::Model;
use crate::dm::compute::Have;
use crate::dm::resolve::Found;
use crate::dm::rows::ObjRef;
use crate::dm::schema::{Owner, Param, ParamAccess, Reference, ServiceId};
use crate::fault::Fault;
use crate::mqtt::topics::{is_filter, is_topic};

/// Bytes of a stored value, whatever its type allows.
const MAX_VALUE: usize = 64 << 10;

/// What a good setting will do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A stored Parameter gets a value.
    Store {
        /// Of which object.
        at: ObjRef,
        /// Which.
        name: Name,
        /// Canonical text.
        value: String,
    },
    /// A device gets a command.
    Write {
        /// Number of its row.
        device: u32,
        /// Which capability.
        point: PointId,
        /// What to write.
        value: Value,
        /// The class object.
        at: ObjRef,
        /// `Value`, or the window that the device holds.
        name: Name,
    },
}

impl Effect {
    /// The object whose Parameter it is.
    pub fn at(&self) -> &ObjRef {
        match self {
            Self::Store { at, .. } | Self::Write { at, .. } => at,
        }
    }

    /// The Parameter.
    pub fn name(&self) -> &Name {
        match self {
            Self::Store { name, .. } | Self::Write { name, .. } => name,
        }
    }
}

/// Another row has the same unique key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyClash {
    /// 7025.
    pub fault: Fault,
    /// What the key is made of.
    pub params: Vec<Name>,
}

/// Tells settings of one object apart: a Parameter that is set twice to different values has none of them, since the
/// order of settings means nothing.
#[derive(Default)]
pub(crate) struct Settled<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Settled<'a> {
    /// One more setting.
    ///
    /// Errors: 7014 when it contradicts an earlier one.
    pub(crate) fn note(&mut self, param: &'a str, value: &'a str) -> Result<(), Fault> {
        let earlier = *self.0.entry(param).or_insert(value);
        if earlier == value {
            return Ok(());
        }
        Err(contradiction(param))
    }
}

/// 7014, without the values: they may be secret.
pub(crate) fn contradiction(param: &str) -> Fault {
    Fault::new(ErrCode::VALUE_CONFLICT, format!("{param} is set to two different values at once"))
}

impl Model {
    /// Checks one setting of an object that exists, or is being made.
    pub fn check_setting(
        &self,
        at: &ObjRef,
        relative: &str,
        text: &str,
        creating: bool,
        rights: &Rights,
    ) -> Result<Effect, Fault> {
        let (at, name) = self.locate_setting(at, relative, creating)?;
        let unsupported = || unsupported_param(&self.path(&at), relative);
        let object = self.schema.get(at.object).ok_or_else(unsupported)?;
        let param = object.params.get(&name).ok_or_else(unsupported)?;
        let may = |act| rights.allow(self, Kind::Param, act, &at, &Leaf::Parameter(name.clone()));
        if !may(Act::Write) {
            // What may be written and not read is set without being shown (R-SET.3); the rest of what is hidden stays so.
            let hidden = !creating && !may(Act::Read);
            return Err(if hidden {
                unsupported()
            } else {
                Fault::denied(format!("{}{name}", self.path(&at)))
            });
        }
        if !creating && self.look(&at, &name) == Have::Absent {
            return Err(unsupported());
        }
        self.check_access(&at, &name, param, creating)?;
        if name.as_str() == "Value" && self.devices.capability(&at).is_some() {
            return self.check_value(&at, &name, text);
        }
        let value = self.accept(&at, &name, param, text)?;
        if self.devices.held(&at, &name).is_some() {
            return self.check_value(&at, &name, &value);
        }
        Ok(Effect::Store { at, name, value })
    }

    /// Checks a setting of what a Service serves, as far as the model that it told says: access and type, before anybody
    /// is asked. `full` may have wildcards and expressions.
    ///
    /// Errors: as [`Self::check_setting`].
    pub(crate) fn check_at_service(&self, full: &Path, text: &str, creating: bool) -> Result<(), Fault> {
        // Where rows of one table differ in what they support, the Service says what it has not.
        let Some(param) = self.param_at_service(full) else {
            let unknown = || Fault::new(ErrCode::UNSUPPORTED_PARAMETER, format!("{full} is not supported"));
            return if self.is_declared(full) { Ok(()) } else { Err(unknown()) };
        };
        if param.access == ParamAccess::Read && !creating {
            return Err(Fault::new(ErrCode::NON_WRITEABLE_PARAMETER, format!("{full} is read-only")));
        }
        param.ty.accept(text).map(drop).map_err(|fault| fault.about(full))
    }

    /// Whether a Service said of one of its Parameters that it can be written alone. `full` as for
    /// [`Self::check_at_service`].
    pub(crate) fn is_write_only(&self, full: &Path) -> bool {
        self.param_at_service(full).is_some_and(|param| param.access == ParamAccess::Write)
    }

    fn param_at_service(&self, full: &Path) -> Option<&Param> {
        let object = Path { segments: full.segments.clone(), leaf: Leaf::Object }.to_supported()?;
        let Leaf::Parameter(name) = &full.leaf else { return None };
        self.schema.get(self.schema.find(&object.to_string())?)?.params.get(name)
    }

    /// The Service that serves a Parameter within an object of ours. What is read-only is refused without asking.
    pub(crate) fn service_of_setting(
        &self,
        at: &ObjRef,
        relative: &str,
    ) -> Option<(ServiceId, Leaf, ObjRef)> {
        let (at, name) = self.locate_setting(at, relative, false).ok()?;
        let param = self.schema.get(at.object)?.params.get(&name)?;
        match param.owner {
            Owner::Service(service) if param.access != ParamAccess::Read => {
                Some((service, Leaf::Parameter(name), at))
            }
            Owner::Service(_) | Owner::Local => None,
        }
    }

    fn locate_setting(&self, at: &ObjRef, relative: &str, creating: bool) -> Result<(ObjRef, Name), Fault> {
        let parsed: RelativeParam = RelativeParam::parse(relative)?;
        let unsupported = || unsupported_param(&self.path(at), relative);
        let mut object = at.object;
        for name in &parsed.objects {
            object = *self.schema.get(object).and_then(|o| o.children.get(name)).ok_or_else(unsupported)?;
        }
        let found = ObjRef { object, numbers: at.numbers.clone() };
        if !creating && !self.exists(&found) {
            return Err(unsupported());
        }
        Ok((found, parsed.parameter))
    }

    fn check_access(&self, at: &ObjRef, name: &Name, param: &Param, creating: bool) -> Result<(), Fault> {
        let refuse = |why: &str| {
            let text = format!("{}{name} {why}", self.path(at));
            Err(Fault::new(ErrCode::NON_WRITEABLE_PARAMETER, text))
        };
        let frozen = self.schema.get(at.object).is_some_and(|o| o.is_frozen_key(name));
        let is_set = self.rows.param(at, name).is_some_and(|v| !v.is_empty());
        match param.access {
            ParamAccess::Read => refuse("is read-only"),
            _ if self.is_given(at) => {
                refuse("follows from the configuration and is not changed by Controllers")
            }
            _ if !creating && self.is_built_in(at, name) => refuse("belongs to a built-in role"),
            ParamAccess::Once if !creating && is_set => refuse("can be written once only, and is set"),
            ParamAccess::ReadWrite if frozen && !creating => refuse("is a key that never changes"),
            _ => Ok(()),
        }
    }

    /// The value that a device is to have, and where.
    pub(crate) fn check_value(&self, at: &ObjRef, name: &Name, text: &str) -> Result<Effect, Fault> {
        let path = || format!("{}{name}", self.path(at));
        let absent = || Fault::new(ErrCode::UNSUPPORTED_PARAMETER, format!("{} is not there", path()));
        let (device, _, capability) = self.devices.shown(at, name).ok_or_else(absent)?;
        let model = device.model(capability).ok_or_else(absent)?;
        if model.write.is_none() {
            let text = format!("{} cannot be written on this device", path());
            return Err(Fault::new(ErrCode::NON_WRITEABLE_PARAMETER, text));
        }
        let value = Value::parse(model.class, text)
            .map_err(|why| Fault::new(ErrCode::INVALID_TYPE, format!("{}: {why}", path())))?;
        check_bounds(model, &value).map_err(|fault| fault.about(path()))?;
        if let Some(why) = device.offline() {
            return Err(Fault::offline_write(why));
        }
        Ok(Effect::Write {
            device: device.number,
            point: capability.point,
            value,
            at: at.clone(),
            name: name.clone(),
        })
    }

    /// The canonical text of a value that this Parameter can take.
    pub fn accept(&self, at: &ObjRef, name: &Name, param: &Param, text: &str) -> Result<String, Fault> {
        let path = || format!("{}{name}", self.path(at));
        if text.len() > MAX_VALUE {
            let why = format!("{} bytes are more than the {MAX_VALUE} that any value may have", text.len());
            return Err(Fault::new(ErrCode::INVALID_VALUE, why).about(path()));
        }
        let value = param.ty.accept(text).map_err(|fault| fault.about(path()))?;
        let value = match &param.reference {
            Some(reference) => {
                self.accept_references(reference, &value).map_err(|fault| fault.about(path()))?
            }
            None => value,
        };
        self.check_meaning(at, name, &value).map_err(|fault| fault.about(path()))?;
        Ok(value)
    }

    /// References are kept as instance paths without a final dot (R-ARC.11); a strong one must lead somewhere (R-ARC.12).
    fn accept_references(&self, reference: &Reference, text: &str) -> Result<String, Fault> {
        let mut items = Vec::new();
        for item in tr106::split_list(text) {
            let dotted = if item.ends_with('.') { item.to_owned() } else { format!("{item}.") };
            // A weak one is kept whatever it is.
            let found = match Path::parse(&dotted).map(|path| self.resolve(&path.segments)) {
                Ok(Ok(Found::Local(local))) if !local.table => local.at,
                _ => Vec::new(),
            };
            let is_row = |at: &ObjRef| self.path(at).starts_with(&*reference.table);
            match found.as_slice() {
                [at] if is_row(at) => items.push(self.path(at).trim_end_matches('.').to_owned()),
                _ if reference.strong => {
                    let table = &reference.table;
                    let text =
                        format!("'{item}' does not name a row of {table}: a reference is like {table}1");
                    return Err(Fault::new(ErrCode::INVALID_VALUE, text));
                }
                _ => items.push(item.to_owned()),
            }
        }
        Ok(items.join(","))
    }

    /// Rules that the type does not tell.
    fn check_meaning(&self, at: &ObjRef, name: &Name, value: &str) -> Result<(), Fault> {
        let path = self.schema.get(at.object).map_or("", |o| &*o.path);
        let invalid = |why: String| Err(Fault::new(ErrCode::INVALID_VALUE, why));
        match (path, name.as_str()) {
            // TR-106, data type Alias.
            (_, "Alias") if !value.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                invalid(format!("'{value}' is no Alias: one begins with a letter"))
            }
            ("Device.LocalAgent.Controller.{i}." | "Device.USPServices.Trust.{i}.", "EndpointID") => {
                EndpointId::parse(value).map_or_else(|e| invalid(e.to_string()), |_| Ok(()))
            }
            (
                "Device.LocalAgent.ControllerTrust.Role.{i}.Permission.{i}.",
                "Param" | "Obj" | "InstantiatedObj" | "CommandEvent",
            ) if !is_permission(value) => {
                invalid(format!("'{value}' is not a permission: r, w, x, n each in its place, or -"))
            }
            ("Device.LocalAgent.ControllerTrust.Role.{i}.Permission.{i}.", "Targets")
                if let Some(item) = tr106::split_list(value).find(|item| !is_absolute(item)) =>
            {
                invalid(format!("'{item}' is no target: a target is a path that begins with Device."))
            }
            ("Device.LocalAgent.Subscription.{i}.", "ReferenceList")
                if let Some(item) = tr106::split_list(value).find(|item| !is_absolute(item)) =>
            {
                invalid(format!("'{item}' is no reference: a reference is a path that begins with Device."))
            }
            ("Device.LocalAgent.ControllerTrust.Role.{i}.Permission.{i}.", "Targets")
            | ("Device.LocalAgent.Subscription.{i}.", "ReferenceList") => {
                // Of an object the final dot may be missing.
                let known = |item| Path::parse(item).or_else(|e| Path::parse_reference(item).map_err(|_| e));
                for item in tr106::split_list(value) {
                    let path = known(item).map_err(|e| Fault::new(ErrCode::INVALID_VALUE, e.to_string()))?;
                    // What can never be evaluated would give nothing, and forbid nothing either.
                    self.check_searches(&path).map_err(|fault| {
                        Fault::new(ErrCode::INVALID_VALUE, format!("{item}: {}", fault.text))
                    })?;
                }
                Ok(())
            }
            ("Device.USPServices.Trust.{i}.", "TargetPaths") => {
                for item in tr106::split_list(value) {
                    Path::parse(item).map_err(|e| Fault::new(ErrCode::INVALID_VALUE, e.to_string()))?;
                }
                Ok(())
            }
            ("Device.MQTT.Client.{i}.Subscription.{i}.", "Topic")
            | ("Device.LocalAgent.MTP.{i}.MQTT.", "ResponseTopicConfigured")
                if !value.is_empty() && !is_filter(value) =>
            {
                invalid(format!("'{value}' is not an MQTT topic filter"))
            }
            ("Device.LocalAgent.Controller.{i}.MTP.{i}.MQTT.", "Topic")
                if !value.is_empty() && !is_topic(value) =>
            {
                invalid(format!("'{value}' is not an MQTT topic to publish on"))
            }
            ("Device.LocalAgent.MTP.{i}.", "Protocol") if value != "MQTT" => invalid(format!(
                "Controllers make rows for MQTT alone: {value} is set up in the configuration"
            )),
            ("Device.LocalAgent.Controller.{i}.MTP.{i}.", "Protocol")
                if !self.facts.protocols.split(',').any(|known| known == value) =>
            {
                invalid(format!("{value} is not one of SupportedProtocols: {}", self.facts.protocols))
            }
            ("Device.LocalAgent.Subscription.{i}.", "TriggerConfigSettings") => self.check_settings(value),
            (_, "StepValue") => self.check_step(at, value),
            _ => Ok(()),
        }
    }

    /// A step leads to another value, within the range.
    fn check_step(&self, at: &ObjRef, value: &str) -> Result<(), Fault> {
        let Some((device, _, capability)) = self.devices.capability(at) else { return Ok(()) };
        let (Some(model), Ok(step)) = (device.model(capability), value.parse::<Decimal>()) else {
            return Ok(());
        };
        let least = model.write.as_ref().and_then(|write| write.least_step());
        let range = model.range.and_then(|(low, high)| high.checked_sub(low));
        let why = match (least, range) {
            _ if step <= Decimal::ZERO => "it must be greater than 0".to_owned(),
            (Some(least), _) if step < least => format!("the device can make no smaller step than {least}"),
            (_, Some(range)) if step > range => {
                format!("from MinValue to MaxValue it is only {}", decimal_text(range))
            }
            _ => return Ok(()),
        };
        Err(Fault::new(ErrCode::INVALID_VALUE, format!("{value} is no step: {why}")))
    }

    /// Whether a Parameter keeps the built-in roles what they are: their names, and what makes the first one Full Access.
    /// Without it nobody could set anything right again.
    fn is_built_in(&self, at: &ObjRef, name: &Name) -> bool {
        match self.schema.get(at.object).map(|o| &*o.path) {
            Some("Device.LocalAgent.ControllerTrust.Role.{i}.") => match name.as_str() {
                "Name" => at.number() <= 2,
                "Enable" => at.number() == 1,
                _ => false,
            },
            Some("Device.LocalAgent.ControllerTrust.Role.{i}.Permission.{i}.") => {
                *at.numbers == [1, 1] && name.as_str() != "Alias"
            }
            _ => false,
        }
    }

    /// Whether an object is, or lies in, a row that follows from the configuration: an MTP that it sets up.
    pub(crate) fn is_given(&self, at: &ObjRef) -> bool {
        let path = self.schema.get(at.object).map_or("", |o| &*o.path);
        if !path.starts_with("Device.LocalAgent.MTP.{i}.") {
            return false;
        }
        let table = self.table("Device.LocalAgent.MTP.");
        let row = table.map(|object| ObjRef { object, numbers: at.numbers.clone() });
        row.and_then(|row| self.rows.get(&row)).is_some_and(|row| row.volatile)
    }

    /// Whether a row's unique keys differ from those of all other rows of its table (7025; R-KEY.2).
    pub fn check_keys(&self, at: &ObjRef) -> Result<(), KeyClash> {
        let Some(object) = self.schema.get(at.object).filter(|o| o.table) else { return Ok(()) };
        let above = at.numbers.get(..at.numbers.len().saturating_sub(1)).unwrap_or_default();
        for key in &object.keys {
            let of = |row: &ObjRef| key.params.iter().map(|p| self.text(row, p)).collect::<Vec<_>>();
            let own = of(at);
            let is_twin = |row: &ObjRef| row != at && of(row) == own;
            // Few rows have the last Parameter of a key in common.
            let stored = key.params.last().and_then(|p| Some((p, self.rows.param(at, p)?)));
            let few = stored.and_then(|(p, value)| self.rows.with_value(at.object, above, p, value));
            let twin = match few {
                Some(mut few) => few.find(is_twin),
                None => {
                    self.rows.of_table(at.object, above).map(|(row, _)| row).find(|r| is_twin(r)).cloned()
                }
            };
            if let Some(row) = twin {
                let names: Vec<&str> = key.params.iter().map(Name::as_str).collect();
                let text = format!("{} already has this {}", self.path(&row), names.join(" and "));
                return Err(KeyClash {
                    fault: Fault::new(ErrCode::DUPLICATE_KEY, text),
                    params: key.params.clone(),
                });
            }
        }
        Ok(())
    }

    /// Whether a path has a search expression or wildcard in it.
    pub fn is_search(path: &Path) -> bool {
        path.segments.iter().any(|s| matches!(s, Segment::Wildcard | Segment::Search(_) | Segment::Follow(_)))
    }
}

/// MinValue..MaxValue, and ValidValues.
pub(crate) fn check_bounds(model: &usp_mapping::mapping::Capability, value: &Value) -> Result<(), Fault> {
    let invalid = |why: String| Err(Fault::new(ErrCode::INVALID_VALUE, why));
    match (value, model.range) {
        (Value::Number(n), Some((low, high))) if *n < low || *n > high => {
            invalid(format!("{n} is outside {low}..{high}"))
        }
        (Value::Text(text), _) if !model.valid_values.contains(text) => {
            invalid(format!("'{text}' is not one of {}", model.valid_values.join(", ")))
        }
        _ => Ok(()),
    }
}

/// Whether a target lies in the data model at all; of an object the final dot may be missing.
fn is_absolute(target: &str) -> bool {
    target == "Device" || target.starts_with("Device.")
}
