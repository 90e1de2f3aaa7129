//! Coordinators and devices in a site file.

use super::{Ieee, ZigbeeBus, ZigbeeFlow, ZigbeeNcp, ZigbeePort};
use crate::code::Code;
use crate::draft::At;
use crate::read::Report;
use crate::read::fields::Fields;
use crate::yaml::{Kind, Node};

/// The keys of a bus that is a Zigbee coordinator, beside those that serial lines and servers have too.
pub(crate) const NETWORK_KEYS: [&str; 5] = ["ncp", "flow", "channel", "pan_id", "network_key"];

const NCPS: [(&str, ZigbeeNcp); 2] = [("ezsp", ZigbeeNcp::Ezsp), ("znp", ZigbeeNcp::Znp)];

const FLOWS: [(&str, ZigbeeFlow); 3] =
    [("none", ZigbeeFlow::None), ("hardware", ZigbeeFlow::Hardware), ("software", ZigbeeFlow::Software)];

/// Usual port of coordinators behind a network.
const PORT: u16 = 6638;

/// Usual speed of coordinators of both kinds.
const BAUD: u32 = 115_200;

impl Report<'_> {
    /// A bus that is a coordinator at a serial port.
    pub(crate) fn zigbee_on_port(&mut self, node: &Node, fields: &Fields<'_>) -> Option<At<ZigbeeBus>> {
        let port = self.serial_port(node);
        let baud = fields.node("baud").and_then(|node| self.int(node, "`baud`", 9600, 4_000_000));
        let flow = fields.node("flow").and_then(|node| self.choice(node, "flow control", &FLOWS));
        let baud = baud.map_or(BAUD, |baud| baud.value);
        let flow = flow.map(|flow| flow.value).unwrap_or_default();
        let port = port.map(|port| ZigbeePort::Serial { port: port.value, baud, flow });
        self.coordinator(node, port, fields)
    }

    /// A bus that is a coordinator behind a network.
    pub(crate) fn zigbee_over_tcp(&mut self, node: &Node, fields: &Fields<'_>) -> Option<At<ZigbeeBus>> {
        for key in ["baud", "flow"] {
            if let Some(span) = fields.key(key) {
                let error = self.error(Code::UnknownKey, span, format!("`{key}` belongs to a serial port"));
                error.help("remove it: whoever owns the port sets the line");
            }
        }
        let port = self.bus_address(node, PORT).map(|address| ZigbeePort::Tcp(address.value));
        self.coordinator(node, port, fields)
    }

    fn coordinator(
        &mut self,
        node: &Node,
        port: Option<ZigbeePort>,
        fields: &Fields<'_>,
    ) -> Option<At<ZigbeeBus>> {
        let ncp = fields.node("ncp").and_then(|node| self.choice(node, "kind of coordinator", &NCPS));
        let channel = fields.node("channel").and_then(|node| self.int(node, "`channel`", 11, 26));
        let pan_id = fields.node("pan_id").and_then(|node| self.int(node, "`pan_id`", 1, 0xfffe));
        let key = fields.node("network_key").and_then(|node| self.secret(node, "`network_key`"));
        let adopt = fields.node("adopt").and_then(|node| self.zigbee_adopt(node));
        // A kind that there is not must not become one that is found out.
        if fields.key("ncp").is_some() && ncp.is_none() {
            return None;
        }
        let bus = ZigbeeBus {
            port: port?,
            ncp: ncp.map(|ncp| ncp.value),
            channel: channel.map(|channel| channel.value),
            pan_id: pan_id.map(|pan_id| pan_id.value),
            network_key: key,
            adopt: adopt.is_some_and(|adopt| adopt.value),
        };
        Some(At::new(bus, node.span))
    }

    /// All devices or none; on a server of MQTT it is a list.
    fn zigbee_adopt(&mut self, node: &Node) -> Option<At<bool>> {
        if matches!(&node.kind, Kind::List(_) | Kind::Map(_)) {
            let error =
                self.error(Code::WrongKind, node.span, "devices of a coordinator are adopted, or not");
            error.help("write `adopt: true`");
            return None;
        }
        self.boolean(node)
    }

    /// `0x00158d0001a2b3c4`, or with a `:` between the bytes.
    pub(crate) fn ieee(&mut self, node: &Node) -> Option<At<Ieee>> {
        let text = self.spelling(node)?;
        let found = Ieee::parse(&text.value).filter(|ieee| ieee.0 != 0 && ieee.0 != u64::MAX);
        if found.is_none() {
            let message = format!("`{}` is no IEEE address", text.value);
            let error = self.error(Code::IeeeAddress, node.span, message);
            let bare = text.value.replace([':', '-'], "");
            match Ieee::parse(&format!("0x{bare}")) {
                Some(ieee) => error.fix(format!("\"{ieee}\"")).help(format!("write \"{ieee}\"")),
                None => {
                    error.help(
                        "write its sixteen digits, as `scan zigbee` shows them: \"0x00158d0001a2b3c4\"",
                    );
                }
            }
        }
        found.map(|ieee| At::new(ieee, node.span))
    }
}

impl ZigbeeBus {
    /// Where it is, for people.
    pub fn described(&self) -> String {
        match &self.port {
            ZigbeePort::Serial { port, .. } => port.clone(),
            ZigbeePort::Tcp(address) => address.to_string(),
        }
    }
}
