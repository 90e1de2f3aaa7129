//! Commands of the Agent's own objects: what is checked before, what must be on disk before the answer, what follows it.

use std::collections::BTreeMap;

use usp_proto::err_code::ErrCode;
use usp_proto::path::Name;
use usp_proto::usp;
use usp_proto::usp::notify::operation_complete::OperationResp as Completed;

use crate::Broker;
use crate::dm::rows::ObjRef;
use crate::fault::Fault;
use crate::output::RestartCause;
use crate::proxied::buses;
use crate::services::commands::command_failed;

/// What a sync command does once it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// The process ends.
    Restart(RestartCause),
    /// This Controller is sent an OnBoardRequest.
    OnBoard(u32),
    /// The command of this Request row ends.
    Cancel(u32),
    /// This MQTT client disconnects, and connects again.
    Reconnect(u32),
}

const REQUEST: &str = "Device.LocalAgent.Request.{i}.";

/// Values of arguments that the data model bounds (7027).
pub(crate) fn check_values(object: &str, name: &Name, args: &BTreeMap<String, String>) -> Result<(), Fault> {
    let is_one_of = |name: &str, values: &[&str]| match args.get(name) {
        Some(value) if !values.contains(&value.as_str()) => Err(Fault::new(
            ErrCode::INVALID_COMMAND_ARGUMENTS,
            format!("{name}: '{value}' is not one of {}", values.join(", ")),
        )),
        _ => Ok(()),
    };
    match (object, name.as_str()) {
        ("Device.", "Reboot") => is_one_of("Cause", &["LocalReboot", "RemoteReboot"]),
        ("Device.", "FactoryReset") => is_one_of("Cause", &["LocalFactoryReset", "RemoteFactoryReset"]),
        ("Device.", "ScheduleTimer") => delay(args).map(|_| ()),
        ("Device.X_USPBROKER_Bus.{i}.", name) => buses::check_arguments(name, args),
        _ => Ok(()),
    }
}

/// `DelaySeconds`: at least 1.
fn delay(args: &BTreeMap<String, String>) -> Result<u32, Fault> {
    let text = args.get("DelaySeconds").map_or("", String::as_str);
    text.parse().ok().filter(|seconds| *seconds > 0).ok_or_else(|| {
        let text = format!("DelaySeconds: '{text}' is not a number of seconds from 1 on");
        Fault::new(ErrCode::INVALID_COMMAND_ARGUMENTS, text)
    })
}

impl Broker {
    /// Does what must be on disk before a sync command of ours is answered, and says what follows the answer.
    pub(crate) fn prepare_command(
        &mut self,
        at: &ObjRef,
        name: &Name,
        operate: &usp::Operate,
    ) -> Result<Deed, Fault> {
        let object = self.model.schema.get(at.object).map(|o| o.path.clone()).unwrap_or_default();
        match (&*object, name.as_str()) {
            ("Device.", "Reboot") => Ok(self.prepare_restart(RestartCause::Reboot, operate)),
            ("Device.", "FactoryReset") => Ok(self.prepare_restart(RestartCause::FactoryReset, operate)),
            ("Device.LocalAgent.Controller.{i}.", "SendOnBoardRequest") => self.prepare_on_board(at),
            (REQUEST, "Cancel") => self.prepare_cancel(at),
            ("Device.MQTT.Client.{i}.", "ForceReconnect") => self.prepare_reconnect(at),
            _ => Err(Fault::unsupported(format!("{}{name}()", self.model.path(at)))),
        }
    }

    fn prepare_restart(&mut self, cause: RestartCause, operate: &usp::Operate) -> Deed {
        self.note_restart(&cause, &operate.input_args, &operate.command_key);
        Deed::Restart(cause)
    }

    /// R-NOT.5: for enabled Controllers.
    fn prepare_on_board(&mut self, at: &ObjRef) -> Result<Deed, Fault> {
        if self.model.text(at, "Enable").as_deref() != Some("true") {
            let text = format!("{} is not enabled", self.model.path(at));
            return Err(Fault::new(ErrCode::COMMAND_FAILURE, text));
        }
        self.put_param(at, "OnBoardingComplete", "false".to_owned());
        Ok(Deed::OnBoard(at.number()))
    }

    fn prepare_cancel(&mut self, at: &ObjRef) -> Result<Deed, Fault> {
        if self.commands.is_asked(at.number()) {
            let text = format!("{} has not been taken up by its Service yet", self.model.path(at));
            return Err(Fault::new(ErrCode::COMMAND_FAILURE, text));
        }
        self.put_param(at, "Status", "Canceling".to_owned());
        Ok(Deed::Cancel(at.number()))
    }

    /// What follows the answer to a sync command.
    pub(crate) fn carry_out(&mut self, deed: Deed) {
        match deed {
            Deed::Restart(cause) => self.restart(cause),
            Deed::OnBoard(controller) => self.send_on_board_request(controller),
            Deed::Cancel(row) => self.cancel(row),
            Deed::Reconnect(client) => self.reconnect_client(client),
        }
    }

    /// Only this ends a running command (R-OPR.3). A timer ends at once, and so does a device's command that waits or reads. What the device was asked to do
    /// is seen through, and what becomes of it told truly.
    fn cancel(&mut self, number: u32) {
        let Some(row) = self.request_row(number) else { return };
        if self.is_timer(&row) {
            self.stop_timer(number);
            self.complete_request(number, command_failed(&canceled()));
        }
        self.cancel_bus_command(number);
        self.end_waits_of(number);
    }

    /// Whether somebody wants a command to end.
    pub(crate) fn is_canceling(&self, number: u32) -> bool {
        let row = self.request_row(number);
        row.is_some_and(|row| self.model.rows.param(&row, "Status") == Some("Canceling"))
    }

    /// How far the command of a Request row is: a Service has taken it up, or was asked to end it.
    pub(crate) fn note_status(&mut self, number: u32, status: &str) {
        if let Some(row) = self.request_row(number) {
            self.put_param(&row, "Status", status.to_owned());
            self.commit(None);
        }
    }

    /// The Request row, while it is there.
    pub(crate) fn request_row(&self, number: u32) -> Option<ObjRef> {
        let row = ObjRef::new(self.model.table("Device.LocalAgent.Request.")?, &[number]);
        Some(row).filter(|row| self.model.rows.contains(row))
    }

    /// The command of a Request row is complete.
    pub(crate) fn complete_request(&mut self, number: u32, outcome: Completed) {
        let Some(row) = self.request_row(number) else { return };
        let text = |name: &str| self.model.text(&row, name).unwrap_or_default();
        let (command, key) = (text("Command"), text("CommandKey"));
        self.complete_command(number, &command, &key, outcome);
    }

    /// What an async command of the Agent keeps in its Request row, before anybody is told that it runs.
    pub(crate) fn prepare_async(&mut self, name: &Name, number: u32, args: &BTreeMap<String, String>) {
        if let (Some(row), "ScheduleTimer", Ok(seconds)) =
            (self.request_row(number), name.as_str(), delay(args))
        {
            self.prepare_timer(&row, seconds);
        }
    }

    /// Starts an async command of the Agent or of a device, whose Request row is on disk.
    pub(crate) fn run_async(
        &mut self,
        at: &ObjRef,
        name: &Name,
        args: &BTreeMap<String, String>,
        key: &str,
        number: u32,
    ) {
        if self.is_reload(at, name) {
            return self.ask_reload(number);
        }
        if self.is_of_bus(at) {
            return self.run_bus_command(at, name, args, number);
        }
        let is_own = at.numbers.is_empty();
        match self.request_row(number).filter(|row| is_own && self.is_timer(row)) {
            Some(row) => self.start_timer(&row),
            None => {
                self.note_status(number, "Active");
                self.run_device_command(at, name, args, key, number);
            }
        }
    }
}

/// Why a command that was canceled failed.
pub(crate) fn canceled() -> Fault {
    Fault::new(ErrCode::COMMAND_CANCELED, "ended by Cancel()")
}
