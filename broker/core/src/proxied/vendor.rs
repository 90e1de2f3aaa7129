//! Commands and events that mappings declare: `X_ACME_Reset()` and `X_ACME_Overload!` of a device's row, or of a node's.
//!
//! The supported data model has those of all mappings that are in use; what a row has, its own mapping says.

use std::collections::BTreeMap;
use std::time::Duration;

use usp_mapping::mapping::{self, NodeId};
use usp_mapping::port::CommandId;
use usp_mapping::value::Value;
use usp_proto::err_code::ErrCode;
use usp_proto::path::Name;

use super::look::is_of_mapping;
use crate::Broker;
use crate::dm::rows::ObjRef;
use crate::dm::schema::{Command, Event, Owner};
use crate::fault::Fault;
use crate::request::operated::missing_argument;

/// How long the answer may be on its way.
const ANSWER: Duration = Duration::from_secs(1);

impl Broker {
    /// Brings the supported data model in line with the mappings of the site.
    pub(super) fn declare_vendor_elements(&mut self) {
        let (mut commands, mut events) = (BTreeMap::new(), BTreeMap::new());
        let mut seen = std::collections::BTreeSet::new();
        let objects = &self.model.devices.objects;
        let object = |node: Option<NodeId>| if node.is_some() { objects.node } else { objects.device };
        for device in self.model.devices.iter() {
            if !seen.insert(std::sync::Arc::as_ptr(&device.mapping)) {
                continue;
            }
            for command in device.mapping.commands.iter().filter(|command| is_of_mapping(&command.name)) {
                if let Ok(name) = Name::new(&command.name) {
                    commands
                        .entry((object(command.node), name))
                        .or_insert_with(|| supported_command(command));
                }
            }
            for event in &device.mapping.events {
                if let Ok(name) = Name::new(&event.name) {
                    events.entry((object(event.node), name)).or_insert_with(|| supported_event(event));
                }
            }
        }
        for id in [objects.device, objects.node] {
            if let Some(object) = self.model.schema.get_mut(id) {
                object.commands.retain(|name, _| !is_of_mapping(name));
                object.events.retain(|name, _| !is_of_mapping(name));
            }
        }
        for ((id, name), command) in commands {
            self.model.schema.get_mut(id).map(|object| object.commands.insert(name, command));
        }
        for ((id, name), event) in events {
            self.model.schema.get_mut(id).map(|object| object.events.insert(name, event));
        }
    }

    /// Whether the arguments are what the mapping of this row asks for; other commands pass.
    pub(crate) fn check_vendor_args(
        &self,
        at: &ObjRef,
        name: &Name,
        args: &BTreeMap<String, String>,
    ) -> Result<(), Fault> {
        match self.model.vendor_command(at, name) {
            Some((_, command)) => values(command, args).map(|_| ()),
            None => Ok(()),
        }
    }

    /// What the device is told, and how long that may take.
    ///
    /// Errors: 7022 when its mapping does not have the command any more, 7027 for the arguments.
    pub(super) fn vendor_call(
        &self,
        at: &ObjRef,
        name: &Name,
        args: &BTreeMap<String, String>,
    ) -> Result<(CommandId, Vec<Value>, Duration), Fault> {
        let gone = || Fault::new(ErrCode::COMMAND_FAILURE, "its mapping does not have this command any more");
        let (id, command) = self.model.vendor_command(at, name).ok_or_else(gone)?;
        let device = self.model.devices.of(at).ok_or_else(gone)?;
        let within = command.ttl + device.mapping.command_takes(command) + ANSWER;
        Ok((id, values(command, args)?, within))
    }
}

/// The arguments in the order of the mapping: R-OPR.5, a mandatory one must be there; R-OPR.6, others are ignored; R-OPR.7,
/// one that is missing has its default.
///
/// Errors: 7027, with the argument's name.
fn values(command: &mapping::Command, args: &BTreeMap<String, String>) -> Result<Vec<Value>, Fault> {
    let invalid = |why: String| Fault::new(ErrCode::INVALID_COMMAND_ARGUMENTS, why);
    let value = |arg: &mapping::CommandArg| match (args.get(&arg.name), &arg.default) {
        (Some(text), _) => arg.kind.parse(text).map_err(|why| invalid(format!("{}: {why}", arg.name))),
        (None, Some(default)) => Ok(default.clone()),
        (None, None) => Err(missing_argument(&arg.name, args)),
    };
    command.args.iter().map(value).collect()
}

/// As GetSupportedDM tells it. Whether an argument must be there is for each row's own mapping to say.
pub(crate) fn supported_command(command: &mapping::Command) -> Command {
    Command {
        is_async: true,
        inputs: command.args.iter().map(|arg| (arg.name.clone(), false)).collect(),
        outputs: Vec::new(),
        owner: Owner::Local,
    }
}

/// The same for an event.
pub(crate) fn supported_event(event: &mapping::Event) -> Event {
    Event { args: event.args.iter().map(|(name, _)| name.clone()).collect(), owner: Owner::Local }
}
