//! Sections of the file: `[agent]`, `[device]`, `[uds]`, `[websocket]`, `[metrics]`, `[limits]`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use usp_core::config::{Identity, UdsTrust};
use usp_proto::endpoint_id::EndpointId;

use super::draft::{At, Table};
use super::problem::Problems;
use super::{Config, EdgeLimits, Limits, UdsConfig, WebSocketConfig, seeds};

/// Role 1 and role 2 of every broker.
pub(super) const BUILT_IN_ROLES: [&str; 2] = ["Full Access", "Untrusted"];

/// Compiles the whole file. What cannot be understood has been noted and gets its default.
pub(super) fn compile(
    mut root: Table<'_>,
    base: &Path,
    state_dir: PathBuf,
    problems: &mut Problems<'_>,
) -> Config {
    let seed = seeds::compile(&mut root, base, problems);
    let roles: Vec<String> = BUILT_IN_ROLES
        .iter()
        .map(|name| (*name).to_owned())
        .chain(seed.roles.iter().map(|r| r.name.clone()))
        .collect();
    let (sockets, server) = (root.table("uds", problems), root.table("websocket", problems));
    let (at, has_server) = (sockets.as_ref().map(|table| table.span.clone()), server.is_some());
    let mut config = Config {
        endpoint_id: None,
        state_dir,
        site: None,
        mappings: Vec::new(),
        reboot_command: Vec::new(),
        identity: identity(root.table("device", problems), problems),
        uds: uds(sockets, base, &roles, problems),
        websocket: server.and_then(|table| websocket(table, &roles, problems)),
        metrics: root.table("metrics", problems).and_then(|table| metrics(table, problems)),
        limits: root.table("limits", problems).map(|table| limits(table, problems)).unwrap_or_default(),
        seed,
        warnings: Vec::new(),
    };
    if let Some(table) = root.table("agent", problems) {
        agent(table, base, &mut config, problems);
    }
    if config.uds.is_none() && !has_server && config.seed.mqtt.is_empty() {
        let message = "with [uds] off and neither [websocket] nor [[mqtt]] nobody could reach the broker";
        problems.add(at.unwrap_or_default(), message);
    }
    root.finish(problems);
    config
}

fn agent(mut table: Table<'_>, base: &Path, config: &mut Config, problems: &mut Problems<'_>) {
    config.endpoint_id = table.string("endpoint_id", problems).and_then(|text| endpoint_id(&text, problems));
    if let Some(dir) = table.string("state_dir", problems) {
        config.state_dir = base.join(dir.value);
    }
    config.site = table.string("site", problems).map(|site| base.join(site.value));
    let mappings = table.strings("mappings", problems).unwrap_or_default();
    config.mappings = mappings.into_iter().map(|dir| base.join(dir.value)).collect();
    let command = table.strings("reboot_command", problems).unwrap_or_default();
    config.reboot_command = command.into_iter().map(|word| word.value).collect();
    table.finish(problems);
}

/// Reads an Endpoint ID.
pub(super) fn endpoint_id(text: &At<String>, problems: &mut Problems<'_>) -> Option<EndpointId> {
    let read = EndpointId::parse(&text.value);
    if let Err(error) = &read {
        problems.add_with_help(
            text.span.clone(),
            format!("`{}` is not an Endpoint ID: {error}", text.value),
            "for example \"os::012345-hub1\" or \"self::hub1\"",
        );
    }
    read.ok()
}

fn identity(table: Option<Table<'_>>, problems: &mut Problems<'_>) -> Identity {
    let mut identity = Identity {
        manufacturer: "usp-broker".to_owned(),
        oui: "000000".to_owned(),
        model: "usp-broker".to_owned(),
        product_class: "usp-broker".to_owned(),
        serial: String::new(),
        software_version: env!("CARGO_PKG_VERSION").to_owned(),
        hardware_version: "1".to_owned(),
    };
    let Some(mut table) = table else { return identity };
    let fields: [(&'static str, &mut String); 6] = [
        ("manufacturer", &mut identity.manufacturer),
        ("model_name", &mut identity.model),
        ("product_class", &mut identity.product_class),
        ("serial_number", &mut identity.serial),
        ("software_version", &mut identity.software_version),
        ("hardware_version", &mut identity.hardware_version),
    ];
    for (key, field) in fields {
        if let Some(text) = table.string(key, problems) {
            *field = text.value;
        }
    }
    if let Some(oui) = table.string("manufacturer_oui", problems) {
        if oui.value.len() == 6 && oui.value.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b))
        {
            identity.oui = oui.value;
        } else {
            problems.add(oui.span, "`manufacturer_oui` must be six hexadecimal digits with capital letters");
        }
    }
    table.finish(problems);
    identity
}

fn uds(
    table: Option<Table<'_>>,
    base: &Path,
    roles: &[String],
    problems: &mut Problems<'_>,
) -> Option<UdsConfig> {
    let mut config = UdsConfig {
        // N-BRK.4
        agent_path: PathBuf::from("/var/run/usp/broker_agent_path"),
        controller_path: PathBuf::from("/var/run/usp/broker_controller_path"),
        mode: 0o660,
        trust: UdsTrust::Socket,
        local_role: "Full Access".to_owned(),
    };
    let Some(mut table) = table else { return Some(config) };
    let enable = table.boolean("enable", problems).unwrap_or(true);
    for (key, field) in
        [("agent_path", &mut config.agent_path), ("controller_path", &mut config.controller_path)]
    {
        if let Some(path) = table.string(key, problems) {
            *field = base.join(path.value);
        }
    }
    if config.agent_path == config.controller_path {
        problems.add(table.span.clone(), "`agent_path` and `controller_path` are the same socket");
    }
    if let Some(mode) = table.string("mode", problems).and_then(|text| mode(&text, problems)) {
        config.mode = mode;
    }
    match table.string("trust", problems) {
        Some(At { value, span }) => match value.as_str() {
            "socket" => config.trust = UdsTrust::Socket,
            "table" => config.trust = UdsTrust::Table,
            _ => problems.add(span, "`trust` must be \"socket\" or \"table\""),
        },
        None => config.trust = UdsTrust::Socket,
    }
    if let Some(role) = table.string("local_role", problems).and_then(|text| role(text, roles, problems)) {
        config.local_role = role;
    }
    table.finish(problems);
    enable.then_some(config)
}

fn mode(text: &At<String>, problems: &mut Problems<'_>) -> Option<u32> {
    let mode = u32::from_str_radix(&text.value, 8).ok().filter(|mode| *mode <= 0o777);
    if mode.is_none() {
        problems.add(text.span.clone(), "`mode` must be permission bits in octal, for example \"0660\"");
    }
    mode
}

fn websocket(mut table: Table<'_>, roles: &[String], problems: &mut Problems<'_>) -> Option<WebSocketConfig> {
    let listen = match table.string("listen", problems) {
        Some(text) => listen_address(&text, problems),
        None => Some(SocketAddr::from(([127, 0, 0, 1], 5683))),
    };
    let path = table.string("path", problems).and_then(|text| resource(text, problems));
    let insecure = table.boolean("insecure", problems).unwrap_or(false);
    let keep_alive = table.number("keep_alive_s", 1..=86_400, problems).unwrap_or(60);
    let local_role = table.string("local_role", problems).and_then(|text| role(text, roles, problems));
    table.finish(problems);
    Some(WebSocketConfig {
        listen: listen?,
        path: path.unwrap_or_else(|| "/usp".to_owned()),
        insecure,
        keep_alive: Duration::from_secs(keep_alive),
        local_role,
    })
}

/// The page of counters: on loopback unless the file says otherwise.
fn metrics(mut table: Table<'_>, problems: &mut Problems<'_>) -> Option<SocketAddr> {
    let listen = match table.string("listen", problems) {
        Some(text) => listen_address(&text, problems),
        None => Some(SocketAddr::from(([127, 0, 0, 1], 9464))),
    };
    table.finish(problems);
    listen
}

fn listen_address(text: &At<String>, problems: &mut Problems<'_>) -> Option<SocketAddr> {
    let address = text.value.parse().ok();
    if address.is_none() {
        problems.add_with_help(
            text.span.clone(),
            format!("`{}` is not an address and a port", text.value),
            "for example \"127.0.0.1:5683\", \"0.0.0.0:5683\" or \"[::]:5683\"",
        );
    }
    address
}

fn resource(text: At<String>, problems: &mut Problems<'_>) -> Option<String> {
    let fits = text.value.starts_with('/')
        && text.value.bytes().all(|b| b.is_ascii_graphic() && b != b'?' && b != b'#');
    if !fits {
        problems.add(text.span, "`path` must begin with `/` and have neither spaces nor `?` nor `#`");
    }
    fits.then_some(text.value)
}

/// A role that exists.
pub(super) fn role(text: At<String>, roles: &[String], problems: &mut Problems<'_>) -> Option<String> {
    if roles.contains(&text.value) {
        return Some(text.value);
    }
    let known = roles.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    problems.add_with_help(
        text.span,
        format!("there is no role `{}`", text.value),
        format!("roles are {known}; [[role]] adds more"),
    );
    None
}

/// Longest Record that may be allowed: the length field of a UDS frame could say more, memory could not.
const MAX_RECORD_BYTES: u64 = 256 << 20;

fn limits(mut table: Table<'_>, problems: &mut Problems<'_>) -> Limits {
    let mut limits = Limits::default();
    edge_limits(&mut table, &mut limits.edge, problems);
    let core = &mut limits.core;
    if let Some(ms) = table.number("service_timeout_ms", 1..=600_000, problems) {
        core.service_timeout = Duration::from_millis(ms);
    }
    if let Some(seconds) = table.number("mqtt_service_silence_s", 0..=86_400, problems) {
        core.mqtt_service_silence = Duration::from_secs(seconds);
    }
    let counts: [(&'static str, &mut usize); 10] = [
        ("max_services", &mut core.max_services),
        ("max_controllers", &mut core.max_controllers),
        ("max_pending_per_controller", &mut core.max_pending_per_controller),
        ("max_pending_per_service", &mut core.max_pending_per_service),
        ("max_paths_per_request", &mut core.max_paths_per_request),
        ("max_paths_per_service", &mut core.max_paths_per_service),
        ("max_subscriptions", &mut core.max_subscriptions),
        ("max_notifications_per_controller", &mut core.max_notifications_per_controller),
        ("max_notifications_at_once", &mut core.max_notifications_at_once),
        ("max_rows_per_table", &mut core.max_rows_per_table),
    ];
    for (key, field) in counts {
        count(&mut table, key, 1..=1_000_000, field, problems);
    }
    count(&mut table, "max_answer_bytes", 1024..=MAX_RECORD_BYTES, &mut core.max_answer_bytes, problems);
    if let Some(At { value, span }) = table.string("multi_device_atomic", problems) {
        match value.as_str() {
            "allow" => core.refuse_multi_device_atomic = false,
            "refuse" => core.refuse_multi_device_atomic = true,
            _ => problems.add(span, "`multi_device_atomic` must be \"allow\" or \"refuse\""),
        }
    }
    if let Some(merge) = table.boolean("merge_get_errors", problems) {
        core.merge_get_errors = merge;
    }
    table.finish(problems);
    limits
}

fn edge_limits(table: &mut Table<'_>, edge: &mut EdgeLimits, problems: &mut Problems<'_>) {
    if let Some(ms) = table.number("handshake_timeout_ms", 100..=600_000, problems) {
        edge.handshake_timeout = Duration::from_millis(ms);
    }
    count(table, "max_record_bytes", 1024..=MAX_RECORD_BYTES, &mut edge.max_record_bytes, problems);
    count(table, "max_connections", 1..=1_000_000, &mut edge.max_connections, problems);
    count(table, "max_handshakes", 1..=1_000_000, &mut edge.max_handshakes, problems);
    count(table, "max_outbox_records", 1..=1_000_000, &mut edge.max_outbox_records, problems);
    count(table, "max_outbox_bytes", 1024..=MAX_RECORD_BYTES, &mut edge.max_outbox_bytes, problems);
}

fn count(
    table: &mut Table<'_>,
    key: &'static str,
    range: std::ops::RangeInclusive<u64>,
    field: &mut usize,
    problems: &mut Problems<'_>,
) {
    if let Some(number) = table.number(key, range, problems).and_then(|number| usize::try_from(number).ok()) {
        *field = number;
    }
}
