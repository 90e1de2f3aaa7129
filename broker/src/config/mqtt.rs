//! `[[mqtt]]`: clients of MQTT servers, and `controller.mqtt`: how a Controller is reached through one.

use std::path::Path;

use usp_core::config::{ControllerMqttSeed, MqttSeed};
use usp_core::mqtt::port::MqttVersion;

use super::draft::{At, Table};
use super::problem::Problems;
use super::secret;

/// The port of MQTT without TLS.
const PORT: u16 = 1883;

/// Parameters of the row that have a key of their own, and which.
const OWN_KEYS: [(&str, &str); 8] = [
    ("Name", "name"),
    ("BrokerAddress", "broker"),
    ("BrokerPort", "broker"),
    ("ProtocolVersion", "version"),
    ("ClientID", "client_id"),
    ("Username", "username"),
    ("Password", "password"),
    ("X_USPBROKER_Insecure", "insecure"),
];

/// Compiles all `[[mqtt]]` sections.
pub(super) fn clients(root: &mut Table<'_>, base: &Path, problems: &mut Problems<'_>) -> Vec<MqttSeed> {
    let mut clients: Vec<MqttSeed> = Vec::new();
    for table in root.tables("mqtt", problems) {
        clients.extend(client(table, base, &clients, problems));
    }
    clients
}

fn client(
    mut table: Table<'_>,
    base: &Path,
    former: &[MqttSeed],
    problems: &mut Problems<'_>,
) -> Option<MqttSeed> {
    let name = table.required("name", problems).and_then(|text| name(text, former, problems));
    let server = table.required("broker", problems).and_then(|text| server(&text, problems));
    let version =
        table.string("version", problems).map_or(Some(MqttVersion::V5), |text| version(&text, problems));
    let response_topic = table.string("response_topic", problems).and_then(|text| topic(text, problems));
    let mut text = |key| table.string(key, problems).map(|text| text.value).unwrap_or_default();
    let (client_id, username) = (text("client_id"), text("username"));
    let password = table.string("password", problems).map(|text| secret::read(&text, base, problems));
    if table.boolean("tls", problems) == Some(true) {
        let at = table.span.clone();
        problems.add_with_help(
            at,
            "`mqtt.tls` is not built yet in this version",
            "remove it: the link is plain",
        );
    }
    let insecure = table.boolean("insecure", problems).unwrap_or(false);
    let mut params = table.params("params", problems);
    refuse_own_keys(&table, &params, problems);
    if insecure {
        params.push(("X_USPBROKER_Insecure".to_owned(), "true".to_owned()));
    }
    table.finish(problems);
    let (host, port) = server?;
    Some(MqttSeed {
        name: name?,
        host,
        port,
        version: version?,
        response_topic: response_topic.unwrap_or_default(),
        client_id,
        username,
        password: password.unwrap_or(Some(String::new()))?,
        params,
    })
}

/// How a Controller is reached: `mqtt = { client = "…", topic = "…" }`.
pub(super) fn route(
    table: &mut Table<'_>,
    clients: &[MqttSeed],
    problems: &mut Problems<'_>,
) -> Option<ControllerMqttSeed> {
    let mut route = table.table("mqtt", problems)?;
    let client = route.required("client", problems).and_then(|text| known(text, clients, problems));
    let topic = route.required("topic", problems).and_then(|text| topic(text, problems));
    route.finish(problems);
    Some(ControllerMqttSeed { client: client?, topic: topic? })
}

fn name(text: At<String>, former: &[MqttSeed], problems: &mut Problems<'_>) -> Option<String> {
    let why = if text.value.is_empty() || text.value.len() > 64 {
        "`name` must have from 1 to 64 characters"
    } else if former.iter().any(|client| client.name == text.value) {
        "there is already an [[mqtt]] of this name"
    } else {
        return Some(text.value);
    };
    problems.add(text.span, why);
    None
}

fn known(text: At<String>, clients: &[MqttSeed], problems: &mut Problems<'_>) -> Option<String> {
    if clients.iter().any(|client| client.name == text.value) {
        return Some(text.value);
    }
    let names: Vec<_> = clients.iter().map(|client| format!("\"{}\"", client.name)).collect();
    let help = match names.as_slice() {
        [] => "an [[mqtt]] section makes one".to_owned(),
        names => format!("there are {}", names.join(", ")),
    };
    problems.add_with_help(text.span, format!("there is no [[mqtt]] named `{}`", text.value), help);
    None
}

/// `host`, `host:port`, `[address]:port`.
fn server(text: &At<String>, problems: &mut Problems<'_>) -> Option<(String, u16)> {
    let server = split(&text.value);
    if server.is_none() {
        problems.add_with_help(
            text.span.clone(),
            format!("`{}` is not a host and a port", text.value),
            "for example \"127.0.0.1:1883\", \"mqtt.example.net\" or \"[::1]:1883\"",
        );
    }
    server
}

fn split(text: &str) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            if port.is_empty() { (host, None) } else { (host, Some(port.strip_prefix(':')?)) }
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let plain = |b: u8| b.is_ascii_graphic() && !b"/@?#".contains(&b);
    let port = port.map_or(Some(PORT), |port| port.parse().ok().filter(|port| *port > 0))?;
    (!host.is_empty() && host.len() <= 256 && host.bytes().all(plain)).then(|| (host.to_owned(), port))
}

fn version(text: &At<String>, problems: &mut Problems<'_>) -> Option<MqttVersion> {
    let version = [MqttVersion::V5, MqttVersion::V311].into_iter().find(|known| known.name() == text.value);
    if version.is_none() {
        problems.add(text.span.clone(), "`version` must be \"5.0\" or \"3.1.1\"");
    }
    version
}

/// A topic that can be published to.
fn topic(text: At<String>, problems: &mut Problems<'_>) -> Option<String> {
    if crate::mqtt::is_topic(&text.value) {
        return Some(text.value);
    }
    problems.add_with_help(
        text.span,
        format!("`{}` is not a topic that something can be published to", text.value),
        "it is not empty and has neither `+` nor `#`",
    );
    None
}

fn refuse_own_keys(table: &Table<'_>, params: &[(String, String)], problems: &mut Problems<'_>) {
    for (name, key) in OWN_KEYS {
        if params.iter().any(|(param, _)| param == name) {
            problems.add(table.span.clone(), format!("`{name}` is written as `{key}`, not in `params`"));
        }
    }
}
