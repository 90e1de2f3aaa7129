//! The start: rows from disk, seeds of the first start, rows that follow from the configuration, Boot!.

use std::collections::BTreeMap;

use usp_proto::err_code::ErrCode;
use usp_proto::path::{Leaf, Path};

use crate::access::Rights;
use crate::config::{CoreConfig, PermissionSeed};
use crate::dm::compute::datetime;
use crate::dm::rows::{ObjRef, Row};
use crate::fault::Fault;
use crate::output::{Output, RESET_PENDING, RestartCause, Snapshot, StoreOp};
use crate::services::commands::command_failed;
use crate::{Broker, Phase, StartError};

/// Says that the seeds were used.
const SEEDED: &str = "seeded";
/// Why the process was restarted, for Boot!.
const BOOT_CAUSE: &str = "boot_cause";
const BOOT_REASON: &str = "boot_reason";
const BOOT_KEY: &str = "boot_command_key";
/// For FirmwareUpdated.
const SOFTWARE_VERSION: &str = "software_version";
/// Rows of `LocalAgent.MTP.` that are the configuration's: UDS, WebSocket.
const CONFIGURED_MTPS: u32 = 2;

/// Names and values of one seed.
pub(crate) type SeedParams = Vec<(String, String)>;

impl Broker {
    /// Rows, numbers and identities as they were.
    pub(crate) fn restore(&mut self, snapshot: Snapshot) -> Result<(), StartError> {
        for (table, number) in snapshot.highest {
            if let Some(above) = self.model.table_at(&table) {
                self.model.rows.note_number(above.0, &above.1, number);
            }
        }
        for (table, id, number) in snapshot.identities {
            self.identities.insert(&table, &id, number);
        }
        self.meta = snapshot.meta.into_iter().collect();
        for (path, params) in snapshot.rows {
            // A row of an object that this version does not know is left on disk, for the version that does.
            let parsed = Path::parse(&path).map_err(|e| StartError::Snapshot(format!("{path}: {e}")))?;
            let Some(at) = self.model.locate_supported(&parsed) else { continue };
            let known = self.model.schema.get(at.object).map(|o| &o.params);
            let name = |text: &str| known.and_then(|p| p.get_key_value(text)).map(|(name, _)| name.clone());
            let params = params
                .into_iter()
                .filter_map(|(n, v)| Some((name(&n).or_else(|| usp_proto::path::Name::new(&n).ok())?, v)));
            let mut row = Row { params: params.collect(), volatile: false };
            self.complete_on_boarding(&at, &mut row);
            self.note_row_number(&at);
            self.model.rows.put_alike(at, row);
        }
        self.model.rows.take_journal();
        self.compact();
        Ok(())
    }

    /// Takes no more memory than is needed, after very many rows were made.
    pub(crate) fn compact(&mut self) {
        if self.model.rows.compact() {
            self.identities.compact();
        }
    }

    /// Versions before on-boarding kept Controllers without this Parameter: they are not new, so they need none.
    fn complete_on_boarding(&self, at: &ObjRef, row: &mut Row) {
        if self.model.table("Device.LocalAgent.Controller.") == Some(at.object)
            && !row.params.contains_key("OnBoardingComplete")
            && let Ok(name) = usp_proto::path::Name::new("OnBoardingComplete")
        {
            row.params.insert(name, "true".to_owned());
        }
    }

    fn note_row_number(&mut self, at: &ObjRef) {
        if self.model.schema.get(at.object).is_some_and(|o| o.table)
            && let Some((number, above)) = at.numbers.split_last()
        {
            self.model.rows.note_number(at.object, above, *number);
        }
    }

    /// First start: built-in roles, then the configuration's rows.
    pub(crate) fn seed(&mut self) -> Result<(), StartError> {
        if self.meta.contains_key(SEEDED) {
            return Ok(());
        }
        let seed = self.config.seed.clone();
        let everything = |order, bits: &str, target: &str| PermissionSeed {
            order,
            targets: vec![target.to_owned()],
            param: bits.to_owned(),
            obj: bits.to_owned(),
            instantiated_obj: bits.to_owned(),
            command_event: bits.to_owned(),
        };
        self.seed_role(1, "Full Access", &[everything(1, "rwxn", "Device.")])?;
        self.seed_role(2, "Untrusted", &[])?;
        for (index, role) in seed.roles.iter().enumerate() {
            let number = u32::try_from(index).unwrap_or(u32::MAX).saturating_add(3);
            let within = |error: StartError| error.within(&format!("[[role]] \"{}\"", role.name));
            self.seed_role(number, &role.name, &role.permissions).map_err(within)?;
        }
        for client in &seed.mqtt {
            let within = |error: StartError| error.within(&format!("[[mqtt]] \"{}\"", client.name));
            self.seed_mqtt(client).map_err(within)?;
        }
        for controller in &seed.controllers {
            let role = self.role_path(&controller.role).ok_or_else(|| StartError::Seed {
                path: format!("controller {}", controller.endpoint_id),
                problem: format!("there is no role '{}'", controller.role),
            })?;
            let mut params = vec![
                ("EndpointID".to_owned(), controller.endpoint_id.to_string()),
                ("Enable".to_owned(), "true".to_owned()),
                ("AssignedRole".to_owned(), role),
                ("OnBoardingComplete".to_owned(), "true".to_owned()),
            ];
            params.extend(controller.params.iter().cloned());
            let within =
                |error: StartError| error.within(&format!("[[controller]] \"{}\"", controller.endpoint_id));
            let row = self.seed_object("Device.LocalAgent.Controller.", &params).map_err(within)?;
            if let Some(mqtt) = &controller.mqtt {
                self.seed_route(&row, mqtt).map_err(within)?;
            }
        }
        for object in &seed.objects {
            self.seed_object(&object.path, &object.params).map_err(|error| error.within("[[object]]"))?;
        }
        self.put_meta(SEEDED, "1");
        Ok(())
    }

    fn seed_role(
        &mut self,
        number: u32,
        name: &str,
        permissions: &[PermissionSeed],
    ) -> Result<(), StartError> {
        let role = format!("Device.LocalAgent.ControllerTrust.Role.{number}.");
        let own = |s: &str| s.to_owned();
        self.seed_object(&role, &[(own("Name"), own(name)), (own("Enable"), own("true"))])?;
        for permission in permissions {
            let params = [
                (own("Order"), permission.order.to_string()),
                (own("Enable"), own("true")),
                (own("Targets"), permission.targets.join(",")),
                (own("Param"), permission.param.clone()),
                (own("Obj"), permission.obj.clone()),
                (own("InstantiatedObj"), permission.instantiated_obj.clone()),
                (own("CommandEvent"), permission.command_event.clone()),
            ];
            self.seed_object(&format!("{role}Permission."), &params)?;
        }
        Ok(())
    }

    /// Makes or amends one row, checked like an Add or a Set of somebody who may do everything.
    pub(crate) fn seed_object(
        &mut self,
        path: &str,
        params: &[(String, String)],
    ) -> Result<ObjRef, StartError> {
        let problem = |problem: String| StartError::Seed { path: path.to_owned(), problem };
        let at = self.seed_place(path).ok_or_else(|| problem("no such table or object".to_owned()))?;
        let is_row = self.model.schema.get(at.object).is_some_and(|o| o.table);
        let new = is_row && !self.model.rows.contains(&at);
        if new {
            self.model.rows.put(at.clone(), Row::default());
        }
        for (param, value) in params {
            if param == "Recipient" {
                // Read-only for Controllers, but the configuration may say whom a Subscription is for.
                self.seed_recipient(&at, value).map_err(|fault| problem(fault.text))?;
                continue;
            }
            let effect = self.model.check_setting(&at, param, value, true, &Rights::all());
            match effect.map_err(|fault| problem(format!("{param}: {}", fault.text)))? {
                crate::request::check::Effect::Store { at, name, value } => {
                    self.model.rows.set(&at, &name, value)
                }
                crate::request::check::Effect::Write { .. } => {
                    return Err(problem(format!("{param}: devices are not written at the start")));
                }
            }
        }
        if new {
            self.prepare_seeded(&at, params).map_err(|fault| problem(fault.text))?;
        }
        self.model.check_keys(&at).map_err(|clash| problem(clash.fault.text))?;
        self.settle_row(&at);
        Ok(at)
    }

    fn seed_recipient(&mut self, at: &ObjRef, value: &str) -> Result<(), Fault> {
        let name = usp_proto::path::Name::new("Recipient")?;
        let param = self.model.schema.get(at.object).and_then(|o| o.params.get(&name)).cloned();
        let param = param.ok_or_else(|| Fault::unsupported(format!("{}Recipient", self.model.path(at))))?;
        let value = self.model.accept(at, &name, &param, value)?;
        self.model.rows.set(at, &name, value);
        Ok(())
    }

    fn prepare_seeded(&mut self, at: &ObjRef, params: &[(String, String)]) -> Result<(), Fault> {
        let path = self.model.schema.get(at.object).map_or("", |o| &*o.path);
        if path == "Device.LocalAgent.Subscription.{i}." {
            // The configuration names no recipient: the first Controller of the configuration is meant.
            let first = "Device.LocalAgent.Controller.1";
            if !params.iter().any(|(n, _)| n == "Recipient") {
                if self.model.locate(first).is_none() {
                    let text = "a Subscription needs a [[controller]] that receives its notifications";
                    return Err(Fault::new(ErrCode::INVALID_ARGUMENTS, text));
                }
                self.put_param(at, "Recipient", first.to_owned());
            }
            self.put_param(at, "CreationDate", datetime(self.model.now.known_wall()));
            self.put_param(at, "Persistent", "true".to_owned());
        }
        if self.model.schema.get(at.object).is_some_and(|o| o.params.contains_key("Enable"))
            && !params.iter().any(|(n, _)| n == "Enable")
        {
            self.put_param(at, "Enable", "true".to_owned());
        }
        self.complete_row(at)
    }

    /// The object that a seed's path means: a new row for a table's.
    fn seed_place(&mut self, path: &str) -> Option<ObjRef> {
        let parsed = Path::parse(path).ok().filter(|p| p.leaf == Leaf::Object)?;
        if let Some(at) = self.model.locate_supported(&parsed) {
            if self.model.schema.get(at.object).is_some_and(|o| o.table) {
                let (number, above) = at.numbers.split_last()?;
                self.model.rows.claim_number(at.object, above, *number);
            }
            return Some(at);
        }
        let (table, above) = self.model.table_at(path)?;
        let number = self.model.rows.next_number(table, &above, false);
        let mut numbers = above;
        numbers.push(number);
        Some(ObjRef::new(table, &numbers))
    }

    /// Rows that follow from the configuration at every start, and are never on disk.
    pub(crate) fn configure(&mut self) {
        let config = self.config.clone();
        if let Some(uds) = &config.uds {
            for (number, path) in [(1, &uds.agent_path), (2, &uds.controller_path)] {
                let socket = format!("Device.UnixDomainSockets.UnixDomainSocket.{number}.");
                let params = [
                    ("Alias", format!("cpe-{number}")),
                    ("Mode", "Listen".to_owned()),
                    ("Path", path.clone()),
                ];
                self.volatile_row(&socket, &params);
            }
        }
        self.configure_mtps(&config);
    }

    fn configure_mtps(&mut self, config: &CoreConfig) {
        // Rows that Controllers add stay clear of these, whether they are on today or not.
        if let Some(table) = self.model.table("Device.LocalAgent.MTP.") {
            self.model.rows.note_number(table, &[], CONFIGURED_MTPS);
        }
        let general = |protocol: &str, number: u32| {
            [
                ("Alias", format!("cpe-{number}")),
                ("Enable", "true".to_owned()),
                ("Status", "Up".to_owned()),
                ("Protocol", protocol.to_owned()),
            ]
        };
        if config.uds.is_some() {
            self.volatile_row("Device.LocalAgent.MTP.1.", &general("UDS", 1));
            let reference = "Device.UnixDomainSockets.UnixDomainSocket.1".to_owned();
            self.volatile_row("Device.LocalAgent.MTP.1.UDS.", &[("UnixDomainSocketRef", reference)]);
        }
        if let Some(websocket) = &config.websocket {
            self.volatile_row("Device.LocalAgent.MTP.2.", &general("WebSocket", 2));
            let params = [
                ("Port", websocket.port.to_string()),
                ("Path", websocket.path.clone()),
                ("KeepAliveInterval", websocket.keep_alive.to_string()),
                ("EnableEncryption", "false".to_owned()),
            ];
            self.volatile_row("Device.LocalAgent.MTP.2.WebSocket.", &params);
        }
    }

    fn volatile_row(&mut self, path: &str, params: &[(&str, String)]) {
        let Some(at) = Path::parse(path).ok().and_then(|p| self.model.locate_supported(&p)) else { return };
        self.note_row_number(&at);
        self.model.rows.put(at.clone(), Row { volatile: true, ..Row::default() });
        for (name, value) in params {
            self.put_param(&at, name, value.clone());
        }
    }

    /// Compiles every Subscription that was on disk or is a seed.
    pub(crate) fn refresh_subscriptions(&mut self) {
        let table = self.model.table("Device.LocalAgent.Subscription.");
        let rows = table.map(|table| self.model.rows.of_table(table, &[]).map(|(at, _)| at.number()));
        let numbers: Vec<u32> = rows.map(Iterator::collect).unwrap_or_default();
        for number in numbers {
            self.refresh_subscription(number);
        }
    }

    /// Everything is in place: unfinished commands have failed, and Boot! is told.
    pub(crate) fn announce_boot(&mut self) {
        self.fail_unfinished_commands();
        self.emit_boot();
        self.phase = Phase::Running;
        for key in [BOOT_CAUSE, BOOT_REASON, BOOT_KEY] {
            if self.meta.get(key).is_some_and(|v| !v.is_empty()) {
                self.put_meta(key, "");
            }
        }
        let version = self.config.identity.software_version.clone();
        if self.meta.get(SOFTWARE_VERSION) != Some(&version) {
            self.put_meta(SOFTWARE_VERSION, &version);
        }
        self.commit(None);
    }

    fn fail_unfinished_commands(&mut self) {
        let Some(table) = self.model.table("Device.LocalAgent.Request.") else { return };
        let rows: Vec<ObjRef> = self.model.rows.of_table(table, &[]).map(|(at, _)| at.clone()).collect();
        for at in rows {
            if self.is_timer(&at) {
                // ScheduleTimer() outlives restarts.
                continue;
            }
            // Who was asked to do it may not have heard of the restart.
            let fault = Fault::new(ErrCode::COMMAND_FAILURE, "interrupted by a restart of the broker");
            self.complete_request(at.number(), command_failed(&fault.unsettled()));
        }
    }

    /// Boot! has a ParameterMap of its own for each Controller.
    fn emit_boot(&mut self) {
        self.tell_event("Device.", "Boot", |broker, controller| Some(broker.boot_arguments(controller)));
    }

    fn boot_arguments(&self, controller: u32) -> BTreeMap<String, String> {
        let meta = |key: &str| self.meta.get(key).cloned().unwrap_or_default();
        let cause =
            Some(meta(BOOT_CAUSE)).filter(|c| !c.is_empty()).unwrap_or_else(|| "LocalReboot".to_owned());
        let version = self.meta.get(SOFTWARE_VERSION);
        let updated = version.is_some_and(|v| *v != self.config.identity.software_version);
        BTreeMap::from([
            ("CommandKey".to_owned(), meta(BOOT_KEY)),
            ("Cause".to_owned(), cause),
            ("Reason".to_owned(), meta(BOOT_REASON)),
            ("FirmwareUpdated".to_owned(), updated.to_string()),
            ("ParameterMap".to_owned(), self.boot_parameters(controller)),
        ])
    }

    /// The values of a Controller's BootParameter rows, as a JSON object.
    fn boot_parameters(&self, controller: u32) -> String {
        let Some(table) = self.model.schema.find("Device.LocalAgent.Controller.{i}.BootParameter.{i}.")
        else {
            return "{}".to_owned();
        };
        let rights = self.rights_of_controller(controller);
        let mut values = Vec::new();
        for (row, _) in self.model.rows.of_table(table, &[controller]) {
            if self.model.text(row, "Enable").as_deref() != Some("true") {
                continue;
            }
            let name = self.model.text(row, "ParameterName").unwrap_or_default();
            values.extend(
                self.own_values(&name, &rights)
                    .into_iter()
                    .map(|(n, v)| format!("{}:{}", json(&n), json(&v))),
            );
        }
        format!("{{{}}}", values.join(","))
    }

    /// The values that a Parameter Path of ours has and that may be read, without asking anybody.
    fn own_values(&self, text: &str, rights: &Rights) -> Vec<(String, String)> {
        let Ok(path) = Path::parse(text) else { return Vec::new() };
        let (Leaf::Parameter(name), Ok(found)) =
            (&path.leaf, crate::request::resolve(&self.model, &path, rights))
        else {
            return Vec::new();
        };
        let values = found.objects().iter().filter(|at| rights.may_read(&self.model, at, name));
        values
            .filter_map(|at| {
                Some((format!("{}{name}", self.model.path(at)), rights.shown(&self.model, at, name)?))
            })
            .collect()
    }

    /// Remembers why the process is going to be restarted. A Cause that is not given is the remote one (R-OPR.7).
    pub(crate) fn note_restart(&mut self, cause: &RestartCause, args: &BTreeMap<String, String>, key: &str) {
        let text = match (cause, args.get("Cause").map(String::as_str)) {
            (RestartCause::Reboot, Some(cause @ ("LocalReboot" | "RemoteReboot"))) => cause,
            (RestartCause::Reboot, _) => "RemoteReboot",
            (RestartCause::FactoryReset, Some(cause @ ("LocalFactoryReset" | "RemoteFactoryReset"))) => cause,
            (RestartCause::FactoryReset, _) => "RemoteFactoryReset",
        };
        self.put_meta(BOOT_CAUSE, text);
        self.put_meta(BOOT_KEY, key);
        self.put_meta(BOOT_REASON, args.get("Reason").map_or("", String::as_str));
        if *cause == RestartCause::FactoryReset {
            // The answer is given before the store is emptied: whatever ends us in between, the next start does it.
            self.put_meta(RESET_PENDING, "1");
        }
    }

    /// Ends the process once the cause is on disk and everybody was told.
    pub(crate) fn restart(&mut self, cause: RestartCause) {
        self.shut_down();
        self.outputs.push_back(Output::Restart(cause));
    }

    pub(crate) fn put_meta(&mut self, key: &str, value: &str) {
        self.meta.insert(key.to_owned(), value.to_owned());
        self.extra_ops.push(StoreOp::PutMeta { key: key.to_owned(), value: value.to_owned() });
    }
}

/// A JSON string.
fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
