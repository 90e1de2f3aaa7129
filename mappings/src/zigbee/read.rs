//! Reading what is Zigbee's own.

use rust_decimal::Decimal;

use super::draft::{
    ZigbeeConstDraft, ZigbeeDraft, ZigbeeFieldDraft, ZigbeeName, ZigbeePlaceDraft, ZigbeeReportDraft,
    ZigbeeSetupDraft,
};
use super::{ZclType, clusters};
use crate::code::Code;
use crate::draft::At;
use crate::read::Report;
use crate::read::fields::Fields;
use crate::words::{only_nearest, suggestion};
use crate::yaml::{Kind, Node};

/// The keys of `zigbee`.
pub(crate) const ZIGBEE_KEYS: [&str; 9] =
    ["manufacturer", "model", "endpoint", "sleepy", "checkin", "ttl", "timeout", "enroll", "setup"];

/// The keys of an entry of `setup`.
const SETUP_KEYS: [&str; 8] =
    ["endpoint", "cluster", "attribute", "command", "fields", "manufacturer_code", "as", "value"];

/// Most entries of `setup`, fields of a command, and models.
const MAX_PARTS: usize = 64;

impl Report<'_> {
    /// `zigbee`.
    pub(crate) fn zigbee(&mut self, node: &Node) -> Option<ZigbeeDraft> {
        let fields = self.fields(node, "`zigbee`", &ZIGBEE_KEYS)?;
        let timeout = fields.node("timeout").and_then(|node| self.duration(node));
        let checkin = fields.node("checkin").and_then(|node| self.duration(node));
        Some(ZigbeeDraft {
            manufacturers: fields.node("manufacturer").map(|node| self.words(node)).unwrap_or_default(),
            models: fields.node("model").map(|node| self.words(node)).unwrap_or_default(),
            endpoint: fields.node("endpoint").and_then(|node| self.zigbee_endpoint(node)),
            sleepy: fields.node("sleepy").and_then(|node| self.boolean(node)),
            checkin: checkin.filter(|checkin| self.at_least_a_millisecond(*checkin, "`checkin`")),
            ttl: fields.node("ttl").and_then(|node| self.duration(node)),
            timeout: timeout.filter(|timeout| self.at_least_a_millisecond(*timeout, "`timeout`")),
            enroll: fields.node("enroll").and_then(|node| self.boolean(node)),
            setup: fields.node("setup").map(|node| self.zigbee_setup(node)).unwrap_or_default(),
        })
    }

    /// One text or several.
    fn words(&mut self, node: &Node) -> Vec<At<String>> {
        let items = if let Kind::List(items) = &node.kind { items } else { std::slice::from_ref(node) };
        items.iter().take(MAX_PARTS).filter_map(|item| self.text(item)).collect()
    }

    fn zigbee_endpoint(&mut self, node: &Node) -> Option<At<u8>> {
        self.int(node, "an endpoint", 1, 240)
    }

    fn zigbee_setup(&mut self, node: &Node) -> Vec<ZigbeeSetupDraft> {
        let items = self.list(node, "`setup`");
        let mut all = Vec::new();
        for item in items.iter().take(MAX_PARTS) {
            let Some(fields) = self.fields(item, "an entry of `setup`", &SETUP_KEYS) else { continue };
            let value = fields.node("value").and_then(|node| self.zigbee_const(node));
            all.push(ZigbeeSetupDraft { span: item.span, place: self.zigbee_place(&fields), value });
        }
        all
    }

    /// The keys of a place that Zigbee has alone.
    pub(crate) fn zigbee_place(&mut self, fields: &Fields<'_>) -> ZigbeePlaceDraft {
        let by_name = fields.node("command").filter(|node| is_value(node)).map(|node| node.span);
        let is_bytes = fields.key("bytes").is_some();
        ZigbeePlaceDraft {
            endpoint: fields.node("endpoint").and_then(|node| self.zigbee_endpoint(node)),
            cluster: fields.node("cluster").and_then(|node| self.cluster(node)),
            attribute: fields.node("attribute").and_then(|node| self.zigbee_name(node, "an attribute")),
            commands: match fields.node("command").filter(|_| by_name.is_none()) {
                Some(node) => self.zigbee_commands(node),
                None => Vec::new(),
            },
            by_name,
            manufacturer: fields
                .node("manufacturer_code")
                .and_then(|node| self.int(node, "a manufacturer code", 0, 0xffff)),
            kind: fields.node("as").filter(|_| !is_bytes).and_then(|node| self.zcl_type(node)),
            tag: fields.node("tag").and_then(|node| self.int(node, "`tag`", 0, 255)),
            element: fields.node("element").and_then(|node| self.int(node, "`element`", 0, 255)),
            bits: fields.node("bits").filter(|_| !is_bytes).and_then(|node| self.bits(node)),
            field: fields.node("field").and_then(|node| self.text(node)),
            fields: fields.node("fields").map(|node| self.zigbee_fields(node)).unwrap_or_default(),
            report: fields.node("report").and_then(|node| self.zigbee_report(node)),
            answers: fields.node("answers").and_then(|node| self.boolean(node)),
            clears: fields.node("clears").and_then(|node| self.duration(node)),
        }
    }

    fn cluster(&mut self, node: &Node) -> Option<At<ZigbeeName>> {
        let cluster = self.zigbee_name(node, "a cluster")?;
        if let ZigbeeName::Name(name) = &cluster.value
            && clusters::named(name).is_none()
        {
            let names: Vec<&str> = clusters::names().collect();
            let error = self.error(Code::Cluster, node.span, format!("there is no cluster `{name}`"));
            match clusters::elsewhere::cluster(name).or(only_nearest(name, names.iter().copied())) {
                Some(own) => error.fix(own).help(format!("did you mean `{own}`?")),
                None => {
                    error.help(format!("{}; or its number, such as 0x0006", suggestion(name, &names)));
                }
            }
            return None;
        }
        Some(cluster)
    }

    fn zigbee_commands(&mut self, node: &Node) -> Vec<At<ZigbeeName>> {
        let items = if let Kind::List(items) = &node.kind { items } else { std::slice::from_ref(node) };
        items.iter().take(MAX_PARTS).filter_map(|item| self.zigbee_name(item, "a command")).collect()
    }

    /// A number, or a name.
    fn zigbee_name(&mut self, node: &Node, what: &str) -> Option<At<ZigbeeName>> {
        let is_number = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
        match &node.kind {
            Kind::Scalar { text, plain: true } if is_number(text) => {
                Some(self.int(node, what, 0, 0xffff)?.map(ZigbeeName::Number))
            }
            _ => Some(self.text(node)?.map(ZigbeeName::Name)),
        }
    }

    fn zcl_type(&mut self, node: &Node) -> Option<At<ZclType>> {
        let text = self.text(node)?;
        let found = ZclType::named(&text.value);
        if found.is_none() {
            let names: Vec<String> = ZclType::all().map(ZclType::name).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let message = format!("`{}` is no data type of Zigbee", text.value);
            let error = self.error(Code::UnknownWord, node.span, message);
            match meant(&text.value) {
                Some(word) => error.fix(word.as_str()).help(format!("write {word}")),
                None => error.suggest(&text.value, &names),
            }
        }
        found.map(|kind| At::new(kind, node.span))
    }

    /// By name in a map, or in their order in a list.
    fn zigbee_fields(&mut self, node: &Node) -> Vec<ZigbeeFieldDraft> {
        let mut all = Vec::new();
        if let Kind::List(items) = &node.kind {
            for item in items.iter().take(MAX_PARTS) {
                let Some(fields) = self.fields(item, "a field", &["as", "value"]) else { continue };
                for (key, help) in [("as", "its type, such as `as: uint8`"), ("value", "what stands there")] {
                    if fields.key(key).is_none() {
                        self.missing(item.span, "a field", key, help);
                    }
                }
                let kind = fields.node("as").and_then(|node| self.zcl_type(node));
                let value = fields.node("value").and_then(|node| self.zigbee_const(node));
                all.extend(value.map(|value| ZigbeeFieldDraft { name: None, kind, value }));
            }
            return all;
        }
        for (name, node) in self.named(node, "`fields`").into_iter().take(MAX_PARTS) {
            let value = self.zigbee_const(node);
            all.extend(value.map(|value| ZigbeeFieldDraft { name: Some(name), kind: None, value }));
        }
        all
    }

    fn zigbee_const(&mut self, node: &Node) -> Option<At<ZigbeeConstDraft>> {
        let draft = match &node.kind {
            Kind::Map(_) if hex_of(node).is_some() => ZigbeeConstDraft::Bytes(self.hex(hex_of(node)?)?),
            Kind::Scalar { .. } if is_value(node) => ZigbeeConstDraft::Value,
            Kind::Scalar { text, plain: true } if text == "true" || text == "false" => {
                ZigbeeConstDraft::Number(Decimal::from(u8::from(text == "true")))
            }
            Kind::Scalar { text, plain: true } if text.starts_with("0x") => ZigbeeConstDraft::Number(
                Decimal::try_from_i128_with_scale(self.integer(node)?.value, 0).ok()?,
            ),
            Kind::Scalar { text, plain: true } if crate::value::parse_decimal(text).is_ok() => {
                ZigbeeConstDraft::Number(self.decimal(node)?.value)
            }
            Kind::Scalar { text, .. } => {
                match text.strip_prefix("${arg.").and_then(|rest| rest.strip_suffix('}')) {
                    Some(name) => ZigbeeConstDraft::Arg(name.to_owned()),
                    None => ZigbeeConstDraft::Text(self.text(node)?.value),
                }
            }
            Kind::List(_) | Kind::Map(_) => {
                self.wrong_kind(node, "a value must be a number, a text or `{hex: …}`");
                return None;
            }
        };
        Some(At::new(draft, node.span))
    }

    /// `report: {min: 1s, max: 5m, change: 10}`, or `false`.
    fn zigbee_report(&mut self, node: &Node) -> Option<At<Option<ZigbeeReportDraft>>> {
        if matches!(&node.kind, Kind::Scalar { .. }) {
            let on = self.boolean(node)?;
            return Some(on.map(|on| on.then(ZigbeeReportDraft::default)));
        }
        let fields = self.fields(node, "`report`", &["min", "max", "change"])?;
        let draft = ZigbeeReportDraft {
            min: fields.node("min").and_then(|node| self.seconds(node, "`min`", 0)),
            max: fields.node("max").and_then(|node| self.seconds(node, "`max`", 1)),
            change: fields.node("change").and_then(|node| self.decimal(node)),
        };
        Some(At::new(Some(draft), node.span))
    }

    /// Whole seconds as a report takes them.
    fn seconds(&mut self, node: &Node, what: &str, least: u64) -> Option<At<u16>> {
        let duration = self.duration(node)?;
        let whole = duration.value.subsec_nanos() == 0;
        let seconds = u16::try_from(duration.value.as_secs()).ok().filter(|seconds| *seconds < u16::MAX);
        match seconds.filter(|seconds| whole && u64::from(*seconds) >= least) {
            Some(seconds) => Some(At::new(seconds, node.span)),
            None => {
                let message = format!("{what} of a report must be {least} to 65534 whole seconds");
                let error = self.error(Code::NumberRange, node.span, message);
                error.help("write whole seconds, minutes or hours, such as 10s, 5m or 1h");
                None
            }
        }
    }
}

/// What stands in `{hex: …}`.
pub(super) fn hex_of(node: &Node) -> Option<&Node> {
    let Kind::Map(entries) = &node.kind else { return None };
    let [(key, value)] = entries.as_slice() else { return None };
    matches!(&key.kind, Kind::Scalar { text, .. } if text == "hex").then_some(value)
}

fn is_value(node: &Node) -> bool {
    matches!(&node.kind, Kind::Scalar { text, .. } if text == "$value")
}

/// `u16` of other protocols is `uint16` here.
fn meant(word: &str) -> Option<String> {
    let (sign, bits) = word.split_at_checked(1)?;
    let name = match sign {
        "u" => format!("uint{bits}"),
        "s" => format!("int{bits}"),
        "f" if bits == "32" => "single".to_owned(),
        "f" if bits == "64" => "double".to_owned(),
        _ => return None,
    };
    ZclType::named(&name).map(|_| name)
}
