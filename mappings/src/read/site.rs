//! A site file.

use super::Report;
use super::fields::Fields;
use crate::ble::site::RADIO_KEYS;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, SourceFile, Span};
use crate::draft::At;
use crate::draft::site::{BusDraft, DeviceDraft, Requirement, SiteDraft, Use};
use crate::line::read::PARITIES;
use crate::mapping::BusAddress;
use crate::mapping::{BusKind, ProtocolKind, SerialLine};
use crate::mqtt::site::SERVER_KEYS;
use crate::secret::SecretRef;
use crate::yaml::{self, Node};
use crate::zigbee::site::NETWORK_KEYS;

/// What a bus can be.
const BUS_KINDS: [&str; 10] = [
    "modbus_tcp",
    "modbus_rtu",
    "modbus_rtu_tcp",
    "mqtt",
    "coap",
    "serial_line",
    "serial_line_tcp",
    "ble",
    "zigbee",
    "zigbee_tcp",
];

/// How a serial line is set.
const LINE_KEYS: [&str; 4] = ["baud", "parity", "data_bits", "stop_bits"];

/// Usual port of Modbus TCP.
const PORT: u16 = 502;

/// How each protocol calls the address of a device.
const ADDRESSES: [(ProtocolKind, &str, &str); 5] = [
    (ProtocolKind::Modbus, "unit", "its Modbus unit identifier, often 1"),
    (ProtocolKind::Mqtt, "topic", "what its topics have in common, such as `topic: zigbee2mqtt/plug`"),
    (ProtocolKind::Coap, "host", "where it is, such as `host: \"192.168.1.7\"`"),
    (ProtocolKind::Ble, "mac", "its address, such as `mac: \"A4:C1:38:11:22:33\"`"),
    (ProtocolKind::Zigbee, "ieee", "its IEEE address, such as `ieee: \"0x00158d0001a2b3c4\"`"),
];

/// What devices of one protocol alone may have beside their address.
const SECRETS: [(ProtocolKind, &str); 3] =
    [(ProtocolKind::Coap, "psk"), (ProtocolKind::Ble, "key"), (ProtocolKind::Ble, "passkey")];

/// Reads a whole file.
pub(crate) fn read(file: &SourceFile) -> (Option<SiteDraft>, Vec<Diagnostic>) {
    let root = match yaml::read(file) {
        Ok(root) => root,
        Err(found) => return (None, found),
    };
    let mut report = Report::new(file);
    let draft = report.site(file, &root);
    (draft, report.found)
}

impl Report<'_> {
    fn site(&mut self, file: &SourceFile, root: &Node) -> Option<SiteDraft> {
        let fields = self.fields(root, "a site", &["site", "buses", "devices"])?;
        let top = Span { end: root.span.start, ..root.span };
        self.language(fields.node("site"), top, "site", "a site");
        let buses = fields.node("buses").map(|node| self.named(node, "`buses`")).unwrap_or_default();
        let known: Vec<BusDraft> =
            buses.into_iter().filter_map(|(name, node)| self.bus(name, node)).collect();
        let devices = fields.node("devices").map(|node| self.named(node, "`devices`")).unwrap_or_default();
        Some(SiteDraft {
            file: file.clone(),
            devices: {
                let device = |(id, node)| self.site_device(id, node, &known);
                devices.into_iter().filter_map(device).collect()
            },
            buses: known,
        })
    }

    fn bus(&mut self, name: At<String>, node: &Node) -> Option<BusDraft> {
        self.name(&name, "a bus");
        let keys =
            BUS_KINDS.into_iter().chain(LINE_KEYS).chain(SERVER_KEYS).chain(RADIO_KEYS).chain(NETWORK_KEYS);
        let keys: Vec<&str> = keys.collect();
        let fields = self.fields(node, "a bus", &keys)?;
        let what = format!("the bus `{}`", name.value);
        let kinds: Vec<&str> = BUS_KINDS.into_iter().filter(|kind| fields.key(kind).is_some()).collect();
        let kind = match kinds.as_slice() {
            [] => {
                let help = "its \"host:port\"; or `modbus_rtu` with a serial port, `modbus_rtu_tcp`, `mqtt`, `coap`, `serial_line`, `serial_line_tcp`, `ble`, `zigbee` or `zigbee_tcp`";
                self.missing(name.span, &what, "modbus_tcp", help);
                None
            }
            [kind] => self.bus_kind(name.span, &what, kind, &fields),
            [_, second, ..] => {
                let span = fields.key(second).unwrap_or(name.span);
                let message = format!("{what} is given as {} things", kinds.len());
                self.error(Code::UnknownKey, span, message)
                    .help(format!("keep one of `{}`", kinds.join("`, `")));
                None
            }
        };
        Some(BusDraft { name, kind })
    }

    fn bus_kind(&mut self, name: Span, what: &str, kind: &str, fields: &Fields<'_>) -> Option<At<BusKind>> {
        let node = fields.node(kind)?;
        for (keys, owners, owner, help) in [
            (
                &LINE_KEYS[..],
                &["modbus_rtu", "serial_line"][..],
                "a serial port",
                "remove it: whoever owns the port sets the line",
            ),
            (&SERVER_KEYS[..], &["mqtt"][..], "a server of MQTT", "remove it: nobody logs in there"),
            (
                &RADIO_KEYS[..],
                &["ble"][..],
                "a radio for Bluetooth",
                "remove it: there are no connections to share",
            ),
            (
                &NETWORK_KEYS[..],
                &["zigbee", "zigbee_tcp"][..],
                "a Zigbee coordinator",
                "remove it: there is no network of Zigbee",
            ),
        ] {
            for key in keys.iter().filter(|_| !owners.contains(&kind)) {
                if is_of_a_coordinator(kind, key) {
                    continue;
                }
                if let Some(span) = fields.key(key) {
                    let message = format!("`{key}` belongs to {owner}");
                    self.error(Code::UnknownKey, span, message).help(help);
                }
            }
        }
        match kind {
            "modbus_rtu" => self.serial_line(name, what, node, fields),
            "mqtt" => self.mqtt_server(node, fields).map(|at| at.map(BusKind::Mqtt)),
            "coap" => self.coap_endpoint(node).map(|at| at.map(BusKind::Coap)),
            "ble" => self.ble_radio(node, fields).map(|at| at.map(BusKind::Ble)),
            "serial_line" => self.line_on_port(node, fields),
            "serial_line_tcp" => self.line_over_tcp(node),
            "zigbee" => self.zigbee_on_port(node, fields).map(|at| at.map(BusKind::Zigbee)),
            "zigbee_tcp" => self.zigbee_over_tcp(node, fields).map(|at| at.map(BusKind::Zigbee)),
            "modbus_rtu_tcp" => {
                self.bus_address(node, PORT).map(|at| at.map(|address| BusKind::ModbusRtuTcp { address }))
            }
            _ => self.bus_address(node, PORT).map(|at| at.map(|address| BusKind::ModbusTcp { address })),
        }
    }

    fn serial_line(
        &mut self,
        name: Span,
        what: &str,
        node: &Node,
        fields: &Fields<'_>,
    ) -> Option<At<BusKind>> {
        let port = self.serial_port(node)?;
        if let Some(span) = fields.key("data_bits") {
            let error = self.error(Code::UnknownKey, span, "Modbus RTU has eight data bits");
            error.help("remove `data_bits`");
        }
        for (key, help) in [
            ("baud", "the speed that the devices are set to, often 9600 or 19200"),
            ("parity", "the devices' setting: `none`, `even` or `odd`"),
        ] {
            if fields.key(key).is_none() {
                self.missing(name, what, key, help);
            }
        }
        let baud = fields.node("baud").and_then(|node| self.int(node, "`baud`", 300, 4_000_000));
        let parity = fields.node("parity").and_then(|node| self.choice(node, "parity", &PARITIES));
        let stop_bits = match fields.node("stop_bits") {
            Some(node) => self.int(node, "`stop_bits`", 1, 2)?.value,
            None => 1,
        };
        let (baud, parity) = (baud?.value, parity?.value);
        Some(port.map(|port| BusKind::ModbusRtu(SerialLine { port, baud, parity, data_bits: 8, stop_bits })))
    }

    pub(crate) fn bus_address(&mut self, node: &Node, port: u16) -> Option<At<BusAddress>> {
        let text = self.text(node)?;
        let address = parse_address(&text.value);
        if address.is_none() {
            self.no_address(node.span, &text.value, port);
        }
        address.map(|address| At::new(address, node.span))
    }

    fn no_address(&mut self, span: Span, given: &str, port: u16) {
        if given.contains('@') {
            let help = if port == PORT {
                "write \"host:port\" alone: nobody logs in over Modbus"
            } else {
                "write \"host:port\" alone, with `user` and `password` beside it"
            };
            self.error(Code::Secret, span, "an address holds no user name and no password").help(help);
            return;
        }
        let error = self.error(Code::BusAddress, span, format!("`{given}` is no network address"));
        let bare = given.split_once("://").map_or(given, |(_, rest)| rest).trim_end_matches('/');
        match [bare.to_owned(), format!("{bare}:{port}")]
            .into_iter()
            .find(|meant| parse_address(meant).is_some())
        {
            Some(meant) => error.fix(format!("\"{meant}\"")).help(format!("write \"{meant}\"")),
            None => error.help(format!(
                "write \"host:port\", such as \"192.168.1.20:{port}\", \"[fd00::20]:{port}\" or \"plc.lan:{port}\"",
            )),
        }
    }

    fn site_device(&mut self, id: At<String>, node: &Node, buses: &[BusDraft]) -> Option<DeviceDraft> {
        self.name(&id, "a device");
        let keys = [
            "use", "file", "bus", "unit", "topic", "host", "psk", "mac", "key", "passkey", "ieee", "name",
            "params",
        ];
        let fields = self.fields(node, "a device", &keys)?;
        let what = format!("the device `{}`", id.value);
        let model = match (fields.node("use"), fields.node("file")) {
            (Some(node), None) => self.use_profile(node),
            (None, Some(node)) => self.text(node).map(|path| path.map(Use::File)),
            (Some(_), Some(_)) => {
                let span = fields.key("file").unwrap_or(id.span);
                self.error(Code::UnknownKey, span, format!("{what} has both `use` and `file`"))
                    .help("keep one of the two");
                None
            }
            (None, None) => {
                self.missing(
                    id.span,
                    &what,
                    "use",
                    "the profile of its mapping, or `file` with its mapping file",
                );
                None
            }
        };
        if fields.key("bus").is_none() {
            self.missing(id.span, &what, "bus", "the name of one of `buses`");
        }
        let bus = fields.node("bus").and_then(|node| self.text(node));
        self.address_keys(&id, &what, &fields, bus.as_ref(), buses);
        let params = fields.node("params").map(|node| self.named(node, "`params`")).unwrap_or_default();
        Some(DeviceDraft {
            model,
            bus,
            unit: fields.node("unit").and_then(|node| self.int(node, "`unit`", 0, 255)),
            topic: fields.node("topic").and_then(|node| self.device_topic(node)),
            host: fields.node("host").and_then(|node| self.coap_host(node, fields.key("psk").is_some())),
            psk: fields.node("psk").and_then(|node| self.psk(node)),
            mac: fields.node("mac").and_then(|node| self.ble_mac(node)),
            key: self.own_secret(&fields, "key"),
            passkey: self.own_secret(&fields, "passkey"),
            ieee: fields.node("ieee").and_then(|node| self.ieee(node)),
            name: fields.node("name").and_then(|node| self.device_name(node, &id.value)),
            params: params
                .into_iter()
                .filter_map(|(name, node)| Some((name, self.spelling(node)?)))
                .collect(),
            id,
        })
    }

    /// A secret of a device, at its key.
    fn own_secret(&mut self, fields: &Fields<'_>, key: &str) -> Option<At<SecretRef>> {
        let secret = self.secret(fields.node(key)?, &format!("the {key}"))?;
        Some(At::new(secret, fields.key(key)?))
    }

    /// Whether a device has the address that devices on its bus have, and no other.
    fn address_keys(
        &mut self,
        id: &At<String>,
        what: &str,
        fields: &Fields<'_>,
        bus: Option<&At<String>>,
        buses: &[BusDraft],
    ) {
        let known = bus.and_then(|bus| buses.iter().find(|known| known.name.value == bus.value));
        let Some(kind) = known.and_then(|bus| bus.kind.as_ref()).map(|kind| kind.value.protocol()) else {
            // Without a bus nobody knows what kind of address it needs.
            if fields.key("bus").is_none() && ADDRESSES.iter().all(|(_, key, _)| fields.key(key).is_none()) {
                self.missing(id.span, what, "unit", ADDRESSES[0].2);
            }
            return;
        };
        let mut strange = false;
        let others = ADDRESSES.iter().filter(|(other, ..)| *other != kind);
        let others = others.map(|(other, key, _)| (*other, *key));
        for (other, key) in others.chain(SECRETS.into_iter().filter(|(owner, _)| *owner != kind)) {
            if let Some(span) = fields.key(key) {
                let own = ADDRESSES.iter().find(|(known, ..)| *known == kind);
                let (own, help) = own.map_or(("", ""), |(_, key, help)| (*key, *help));
                let message = format!("`{key}` belongs to {}, and the bus is {}", other.name(), kind.name());
                let error = self.error(Code::Protocol, span, message);
                error.help(match fields.key(own) {
                    // On a serial line a device has no address.
                    None if !own.is_empty() => format!("write `{own}` instead: {help}"),
                    _ => format!("remove `{key}`"),
                });
                strange = true;
            }
        }
        for (_, key, help) in ADDRESSES.iter().filter(|(known, ..)| *known == kind) {
            if fields.key(key).is_none() && !strange {
                self.missing(id.span, what, key, *help);
            }
        }
    }

    fn device_name(&mut self, node: &Node, key: &str) -> Option<At<String>> {
        let name = self.given_name(node, key)?;
        if name.value.chars().count() > 64 {
            self.error(Code::TextLength, node.span, "a Name has at most 64 characters").help("shorten it");
        }
        Some(name)
    }

    pub(crate) fn use_profile(&mut self, node: &Node) -> Option<At<Use>> {
        let text = self.text(node)?;
        let (name, requirement) = match text.value.split_once('@') {
            None => (text.value.as_str(), Some(Requirement::Any)),
            Some((name, requirement)) => (name, Requirement::parse(requirement)),
        };
        let Some(requirement) = requirement else {
            let message = format!("`{}` is no version requirement", text.value);
            self.error(Code::ProfileVersion, node.span, message)
                .fix(name)
                .help(format!("write `{name}@^1` for any 1.x.y, or `{name}@=1.2.3` for one"));
            return None;
        };
        Some(At::new(Use::Profile { name: name.to_owned(), requirement }, node.span))
    }
}

/// Keys of serial ports and of servers that coordinators have too.
fn is_of_a_coordinator(kind: &str, key: &str) -> bool {
    match key {
        "baud" => kind == "zigbee" || kind == "zigbee_tcp",
        "adopt" => kind == "zigbee" || kind == "zigbee_tcp",
        _ => false,
    }
}

pub(crate) fn parse_address(text: &str) -> Option<BusAddress> {
    if let Ok(socket) = text.parse::<std::net::SocketAddr>() {
        return (socket.port() != 0).then_some(BusAddress::Socket(socket));
    }
    let (host, port) = text.rsplit_once(':')?;
    let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
    let is_name = !host.is_empty()
        && host.len() <= 253
        && host.split('.').all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'))
        && host.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == '_')
        && host.chars().any(|c| c.is_ascii_alphabetic());
    is_name.then(|| BusAddress::Host(host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for text in ["192.168.1.20:502", "[fd00::20]:502", "plc.lan:502", "localhost:1502"] {
            assert!(parse_address(text).is_some(), "{text}");
        }
        for text in [
            "",
            ":502",
            "plc",
            "plc:",
            "plc:0",
            "plc:70000",
            "192.168.1.999:502",
            "fd00::20:502",
            "-a:1",
            "a b:1",
        ] {
            assert!(parse_address(text).is_none(), "{text}");
        }
    }
}
