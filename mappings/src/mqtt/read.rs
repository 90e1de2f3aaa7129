//! Reading what is MQTT's own.

use super::draft::{AvailabilityDraft, MqttDraft, MqttPlaceDraft, MqttSendDraft};
use crate::code::Code;
use crate::draft::At;
use crate::payload::read::PICK_KEYS;
use crate::read::Report;
use crate::read::fields::Fields;
use crate::yaml::{Kind, Node};

pub(crate) const MQTT_KEYS: [&str; 4] = ["availability", "get", "qos", "timeout"];

/// Most topics that say whether a device is there.
const MAX_AVAILABILITY: usize = 8;

impl Report<'_> {
    /// `mqtt`.
    pub(crate) fn mqtt(&mut self, node: &Node) -> Option<MqttDraft> {
        let fields = self.fields(node, "`mqtt`", &MQTT_KEYS)?;
        let timeout = fields.node("timeout").and_then(|node| self.duration(node));
        Some(MqttDraft {
            availability: fields.node("availability").map(|n| self.availabilities(n)).unwrap_or_default(),
            get: fields.node("get").and_then(|node| self.get(node)),
            qos: fields.node("qos").and_then(|node| self.qos(node)),
            timeout: timeout.filter(|timeout| self.at_least_a_millisecond(*timeout, "`timeout`")),
        })
    }

    /// The keys of a place that MQTT has alone.
    pub(crate) fn mqtt_place(&mut self, fields: &Fields<'_>) -> MqttPlaceDraft {
        MqttPlaceDraft {
            topic: fields.node("topic").and_then(|node| self.topic(node)),
            get: fields.node("get").and_then(|node| self.get(node)),
            qos: fields.node("qos").and_then(|node| self.qos(node)),
            retain: fields.node("retain").and_then(|node| self.boolean(node)),
        }
    }

    fn qos(&mut self, node: &Node) -> Option<At<u8>> {
        self.int(node, "`qos`", 0, 2)
    }

    /// A topic; a bare `~` is nothing to YAML.
    pub(crate) fn topic(&mut self, node: &Node) -> Option<At<String>> {
        if matches!(&node.kind, Kind::Scalar { text, plain: true } if text == "~") {
            let message = "an unquoted `~` is nothing at all to YAML readers";
            self.error(Code::YamlTrap, node.span, message)
                .fix("\"~\"")
                .help("write \"~\" for the topic of the device itself");
            return None;
        }
        self.text(node)
    }

    fn get(&mut self, node: &Node) -> Option<MqttSendDraft> {
        let fields = self.fields(node, "`get`", &["topic", "send", "format"])?;
        if fields.key("topic").is_none() {
            self.missing(node.span, "`get`", "topic", "where the device is asked, such as `topic: ~/get`");
        }
        let body = self.body(&fields, "`get`");
        Some(MqttSendDraft {
            span: node.span,
            topic: fields.node("topic").and_then(|node| self.topic(node)),
            send: body.send,
            format: body.format,
        })
    }

    /// `availability`: one or a list.
    fn availabilities(&mut self, node: &Node) -> Vec<AvailabilityDraft> {
        let items = if let Kind::List(items) = &node.kind { items } else { std::slice::from_ref(node) };
        items.iter().take(MAX_AVAILABILITY).filter_map(|item| self.availability(item)).collect()
    }

    fn availability(&mut self, node: &Node) -> Option<AvailabilityDraft> {
        let keys: Vec<&str> = ["topic", "online", "offline"].into_iter().chain(PICK_KEYS).collect();
        let fields = self.fields(node, "`availability`", &keys)?;
        if fields.key("topic").is_none() {
            let help = "where it is said whether the device is there, such as `topic: ~/availability`";
            self.missing(node.span, "`availability`", "topic", help);
        }
        Some(AvailabilityDraft {
            span: node.span,
            topic: fields.node("topic").and_then(|node| self.topic(node)),
            body: self.body(&fields, "`availability`"),
            online: fields.node("online").map(|node| self.one_or_more(node)).unwrap_or_default(),
            offline: fields.node("offline").map(|node| self.one_or_more(node)).unwrap_or_default(),
        })
    }

    fn one_or_more(&mut self, node: &Node) -> Vec<At<String>> {
        let items = if let Kind::List(items) = &node.kind { items } else { std::slice::from_ref(node) };
        items.iter().filter_map(|item| self.spelling(item)).collect()
    }
}
