//! Seeds that have no effect: `[[role]]`, `[[mqtt]]`, `[[controller]]` and `[[object]]` count at the first start only, and
//! whoever writes them into the file later has to be told.

use std::collections::BTreeMap;
use std::fmt;

use usp_core::config::{ControllerMqttSeed, ControllerSeed, MqttSeed, ObjectSeed, RoleSeed, Seed};
use usp_core::output::Snapshot;

const ROLES: &str = "Device.LocalAgent.ControllerTrust.Role.";
const CONTROLLERS: &str = "Device.LocalAgent.Controller.";
const CLIENTS: &str = "Device.MQTT.Client.";
const MTPS: &str = "Device.LocalAgent.MTP.";

/// One section of the file that is not what the broker works with. Displays as a sentence without any value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unused {
    /// As `[[mqtt]] "main"`.
    section: String,
    /// The stored row; `None`: there is none.
    row: Option<String>,
    /// Keys whose values differ.
    keys: Vec<String>,
}

impl fmt::Display for Unused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { section, row, keys } = self;
        let how = match row {
            Some(row) => {
                let differ = if keys.len() == 1 { "differs" } else { "differ" };
                let keys = keys.join(", ");
                write!(f, "{section} has no effect: {keys} {differ} from {row}, which counts; ")?;
                "change the row with `usp-broker set`"
            }
            None => {
                write!(f, "{section} has no effect: there is no such row in the store; ")?;
                "make the row with `usp-broker add`"
            }
        };
        write!(
            f,
            "such sections are used at the first start only: {how}, or start anew with an empty state_dir or \
             Device.FactoryReset()"
        )
    }
}

/// Compares the file's seeds with what is stored. At the first start nothing is stored, and all of them are used.
pub(super) fn unused(seed: &Seed, stored: &Snapshot) -> Vec<Unused> {
    if stored.rows.is_empty() {
        return Vec::new();
    }
    let rows = Rows::new(stored);
    let roles = seed.roles.iter().filter_map(|role| rows.role(role));
    let clients = seed.mqtt.iter().filter_map(|client| rows.client(client));
    let controllers = seed.controllers.iter().filter_map(|controller| rows.controller(controller));
    let objects = seed.objects.iter().filter_map(|object| rows.object(object));
    roles.chain(clients).chain(controllers).chain(objects).collect()
}

/// Stored rows by path.
struct Rows<'s>(BTreeMap<&'s str, BTreeMap<&'s str, &'s str>>);

impl<'s> Rows<'s> {
    fn new(stored: &'s Snapshot) -> Self {
        let params = |params: &'s [(String, String)]| {
            params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
        };
        Self(stored.rows.iter().map(|(path, values)| (path.as_str(), params(values))).collect())
    }

    /// Rows of one table, not what is below them.
    fn of<'a>(&'a self, table: &'a str) -> impl Iterator<Item = &'s str> + 'a {
        let number = move |path: &str| {
            let number = path.strip_prefix(table).and_then(|rest| rest.strip_suffix('.'));
            number.is_some_and(|number| number.parse::<u32>().is_ok())
        };
        self.0.keys().copied().filter(move |path| number(path))
    }

    /// A value of a row or, as `MQTT.Topic`, of an object below it; none is the empty one.
    fn value(&self, row: &str, name: &str) -> &'s str {
        let found = match name.rsplit_once('.') {
            Some((below, name)) => {
                self.0.get(format!("{row}{below}.").as_str()).and_then(|row| row.get(name))
            }
            None => self.0.get(row).and_then(|row| row.get(name)),
        };
        found.copied().unwrap_or_default()
    }

    fn find(&self, table: &str, name: &str, value: &str) -> Option<&'s str> {
        self.of(table).find(|row| self.value(row, name) == value)
    }

    /// Keys of which the row has another value, each pair a Parameter and its value in the file.
    fn differing(&self, row: &str, params: &[(String, String)]) -> Vec<String> {
        let differs = |(name, value): &&(String, String)| !same(self.value(row, name), value);
        params.iter().filter(differs).map(|(name, _)| name.clone()).collect()
    }

    fn role(&self, seed: &RoleSeed) -> Option<Unused> {
        let section = format!("[[role]] \"{}\"", seed.name);
        let Some(row) = self.find(ROLES, "Name", &seed.name) else { return Unused::missing(section) };
        let table = format!("{row}Permission.");
        let mut keys = Vec::new();
        for permission in &seed.permissions {
            let order = permission.order.to_string();
            let values = [
                ("Targets", permission.targets.join(",")),
                ("Param", permission.param.clone()),
                ("Obj", permission.obj.clone()),
                ("InstantiatedObj", permission.instantiated_obj.clone()),
                ("CommandEvent", permission.command_event.clone()),
            ];
            let kept = self.find(&table, "Order", &order);
            if !kept.is_some_and(|row| values.iter().all(|(name, value)| same(self.value(row, name), value)))
            {
                keys.push(format!("the permission of order {order}"));
            }
        }
        Unused::differing(section, row, keys)
    }

    fn client(&self, seed: &MqttSeed) -> Option<Unused> {
        let section = format!("[[mqtt]] \"{}\"", seed.name);
        let Some(row) = self.find(CLIENTS, "Name", &seed.name) else { return Unused::missing(section) };
        let mut keys = Vec::new();
        let mut compare = |key: &str, equal: bool| {
            if !equal {
                keys.push(key.to_owned());
            }
        };
        let is = |name: &str, value: &str| same(self.value(row, name), value);
        let broker = is("BrokerAddress", &seed.host) && is("BrokerPort", &seed.port.to_string());
        compare("broker", broker);
        compare("version", is("ProtocolVersion", seed.version.name()));
        // Without one in the file the server's is kept.
        compare("client_id", seed.client_id.is_empty() || is("ClientID", &seed.client_id));
        compare("username", self.value(row, "Username") == seed.username);
        compare("password", self.value(row, "Password") == seed.password);
        let answers = self
            .mtps(row)
            .any(|mtp| same(self.value(mtp, "MQTT.ResponseTopicConfigured"), &seed.response_topic));
        compare("response_topic", seed.response_topic.is_empty() || answers);
        keys.extend(self.differing(row, &seed.params));
        Unused::differing(section, row, keys)
    }

    /// The rows of `LocalAgent.MTP.` that use an MQTT client.
    fn mtps<'a>(&'a self, client: &'a str) -> impl Iterator<Item = &'s str> + 'a {
        self.of(MTPS).filter(move |mtp| same(self.value(mtp, "MQTT.Reference"), client))
    }

    fn controller(&self, seed: &ControllerSeed) -> Option<Unused> {
        let section = format!("[[controller]] \"{}\"", seed.endpoint_id);
        let Some(row) = self.find(CONTROLLERS, "EndpointID", seed.endpoint_id.as_str()) else {
            return Unused::missing(section);
        };
        let mut keys = Vec::new();
        // A role that is not stored is told of by itself; here it differs from whatever the row has.
        let role = self.find(ROLES, "Name", &seed.role);
        if !role.is_some_and(|role| same(self.value(row, "AssignedRole"), role)) {
            keys.push("role".to_owned());
        }
        if seed.mqtt.as_ref().is_some_and(|route| !self.has_route(row, route)) {
            keys.push("mqtt".to_owned());
        }
        keys.extend(self.differing(row, &seed.params));
        Unused::differing(section, row, keys)
    }

    fn has_route(&self, controller: &str, route: &ControllerMqttSeed) -> bool {
        let Some(client) = self.find(CLIENTS, "Name", &route.client) else { return false };
        let table = format!("{controller}MTP.");
        let uses = |mtp: &str, by: &str| same(self.value(mtp, "MQTT.AgentMTPReference"), by);
        self.of(&table).any(|mtp| {
            self.value(mtp, "MQTT.Topic") == route.topic && self.mtps(client).any(|by| uses(mtp, by))
        })
    }

    fn object(&self, seed: &ObjectSeed) -> Option<Unused> {
        let section = format!("[[object]] \"{}\"", seed.path);
        if self.0.contains_key(seed.path.as_str()) {
            return Unused::differing(section, &seed.path, self.differing(&seed.path, &seed.params));
        }
        let differing = |row| (row, self.differing(row, &seed.params));
        if self.of(&seed.path).any(|row| differing(row).1.is_empty()) {
            return None;
        }
        // What names a row in most tables tells which one was meant.
        let named = ["ID", "Alias", "Name", "EndpointID"].into_iter().find_map(|key| {
            let (_, value) = seed.params.iter().find(|(name, _)| name == key)?;
            self.find(&seed.path, key, value)
        });
        match named.map(differing) {
            Some((row, keys)) => Unused::differing(section, row, keys),
            None => Unused::missing(section),
        }
    }
}

impl Unused {
    fn missing(section: String) -> Option<Self> {
        Some(Self { section, row: None, keys: Vec::new() })
    }

    fn differing(section: String, row: &str, keys: Vec<String>) -> Option<Self> {
        (!keys.is_empty()).then(|| Self { section, row: Some(row.to_owned()), keys })
    }
}

/// Whether two texts are one value, as the data model may have rewritten it: a number, a truth, a list, a reference.
fn same(stored: &str, written: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    let truth = |text: &str| match text {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    };
    let items = |text: &str| -> Vec<String> {
        text.split(',').map(|item| item.trim().trim_end_matches('.').to_owned()).collect()
    };
    stored == written
        || truth(stored).is_some_and(|stored| truth(written) == Some(stored))
        || number(stored).is_some_and(|stored| number(written) == Some(stored))
        || items(stored) == items(written)
}
