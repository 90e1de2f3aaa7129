//! Reading what is Bluetooth's own.

use super::draft::{BleAnswerDraft, BleAskDraft, BleDraft, BlePlaceDraft};
use super::{BleConnect, BleMatch, BlePair, BleShape, BleUuid, BthomePick};
use crate::code::Code;
use crate::draft::{At, SaidDraft};
use crate::line::LineText;
use crate::read::Report;
use crate::read::fields::Fields;
use crate::yaml::{Kind, Node};

pub(crate) const BLE_KEYS: [&str; 6] = ["timeout", "connect", "idle", "every", "pair", "match"];

/// The keys of `match`, of an advertisement of a test, of `ask` and of `answer`.
const MATCH_KEYS: [&str; 6] = ["service_data", "service", "manufacturer", "name", "starts", "size"];
const ADVERT_KEYS: [&str; 3] = ["service_data", "manufacturer", "rssi"];
const ASK_KEYS: [&str; 4] = ["char", "service", "response", "send"];
const ANSWER_KEYS: [&str; 4] = ["char", "service", "starts", "refusal"];

/// What a place has that is read, and one that is written.
pub(crate) const READ_KEYS: [&str; 13] = [
    "bthome",
    "nth",
    "service_data",
    "manufacturer",
    "char",
    "service",
    "starts",
    "size",
    "bytes",
    "as",
    "length",
    "order",
    "bits",
];
pub(crate) const WRITE_KEYS: [&str; 9] =
    ["char", "service", "response", "answer", "bytes", "as", "length", "order", "bits"];

const CONNECTS: [(&str, BleConnect); 3] =
    [("on_demand", BleConnect::OnDemand), ("keep", BleConnect::Keep), ("never", BleConnect::Never)];

const PAIRS: [(&str, BlePair); 3] =
    [("none", BlePair::Nothing), ("just_works", BlePair::JustWorks), ("passkey", BlePair::Passkey)];

/// Longest value of a characteristic (Core Specification, Vol 3, Part F, 3.2.9).
const MAX_VALUE: usize = 512;

impl Report<'_> {
    /// `ble`.
    pub(crate) fn ble(&mut self, node: &Node) -> Option<BleDraft> {
        let fields = self.fields(node, "`ble`", &BLE_KEYS)?;
        let mut time = |key: &str| {
            let time = fields.node(key).and_then(|node| self.duration(node));
            time.filter(|time| self.at_least_a_millisecond(*time, &format!("`{key}`")))
        };
        let (timeout, idle, every) = (time("timeout"), time("idle"), time("every"));
        Some(BleDraft {
            timeout,
            connect: fields.node("connect").and_then(|node| self.choice(node, "way to connect", &CONNECTS)),
            idle,
            every,
            pair: fields.node("pair").and_then(|node| self.choice(node, "way to pair", &PAIRS)),
            known_by: fields.node("match").and_then(|node| self.ble_match(node)),
        })
    }

    fn ble_match(&mut self, node: &Node) -> Option<At<BleMatch>> {
        let fields = self.fields(node, "`match`", &MATCH_KEYS)?;
        let known_by = BleMatch {
            service_data: fields.node("service_data").and_then(|node| self.ble_uuid(node)).map(|at| at.value),
            service: fields.node("service").and_then(|node| self.ble_uuid(node)).map(|at| at.value),
            manufacturer: fields.node("manufacturer").and_then(|node| self.company(node)).map(|at| at.value),
            shape: BleShape {
                starts: fields
                    .node("starts")
                    .and_then(|node| self.starts(node))
                    .map_or(Vec::new(), |at| at.value),
                size: fields.node("size").and_then(|node| self.size(node)).map(|at| at.value),
            },
            name: fields.node("name").and_then(|node| self.text(node)).map(|at| at.value),
        };
        if !known_by.shape.is_open() && known_by.service_data.is_none() && known_by.manufacturer.is_none() {
            let error = self.error(Code::Ble, node.span, "it does not say of what the bytes are");
            error.help("add `service_data` or `manufacturer`: `starts` and `size` are about their bytes");
        }
        Some(At::new(known_by, node.span))
    }

    /// The keys of a place that Bluetooth has alone.
    pub(crate) fn ble_place(&mut self, fields: &Fields<'_>) -> BlePlaceDraft {
        BlePlaceDraft {
            bthome: fields.node("bthome").and_then(|node| self.bthome(node)),
            nth: fields.node("nth").and_then(|node| self.int(node, "`nth`", 1, 100)),
            service_data: fields.node("service_data").and_then(|node| self.ble_uuid(node)),
            manufacturer: fields.node("manufacturer").and_then(|node| self.company(node)),
            char: fields.node("char").and_then(|node| self.ble_uuid(node)),
            service: fields.node("service").and_then(|node| self.ble_uuid(node)),
            rssi: fields.node("rssi").and_then(|node| self.boolean(node)),
            notify: fields.node("notify").and_then(|node| self.boolean(node)),
            ask: fields.node("ask").and_then(|node| self.ask(node)),
            starts: fields.node("starts").and_then(|node| self.starts(node)),
            size: fields.node("size").and_then(|node| self.size(node)),
            response: fields.node("response").and_then(|node| self.boolean(node)),
            send: fields.node("send").and_then(|node| self.template(node)),
            answer: fields.node("answer").and_then(|node| self.answer(node)),
        }
    }

    fn answer(&mut self, node: &Node) -> Option<At<BleAnswerDraft>> {
        let fields = self.fields(node, "`answer`", &ANSWER_KEYS)?;
        if fields.key("starts").is_none() {
            let help = "how what the device says begins when it has done it, such as `starts: \"01\"`";
            self.missing(node.span, "`answer`", "starts", help);
        }
        let char = fields.node("char").and_then(|node| self.ble_uuid(node)).map(|at| at.value);
        let service = fields.node("service").and_then(|node| self.ble_uuid(node)).map(|at| at.value);
        let named = fields.node("refusal").map(|node| self.named(node, "`refusal`")).unwrap_or_default();
        let refusals = named.into_iter().filter_map(|(begins, node)| {
            let begins = self.pattern(&begins)?;
            Some((begins.value, self.text(node)?.value))
        });
        let refusals = refusals.collect();
        let starts = fields.node("starts").and_then(|node| self.starts(node))?.value;
        Some(At::new(BleAnswerDraft { char, service, starts, refusals }, node.span))
    }

    fn ask(&mut self, node: &Node) -> Option<At<BleAskDraft>> {
        let fields = self.fields(node, "`ask`", &ASK_KEYS)?;
        for (key, help) in [
            ("char", "the characteristic that the question is written to"),
            ("send", "the bytes of the question, such as `send: \"57 02\"`"),
        ] {
            if fields.key(key).is_none() {
                self.missing(node.span, "`ask`", key, help);
            }
        }
        let response = fields.node("response").and_then(|node| self.boolean(node));
        let service = fields.node("service").and_then(|node| self.ble_uuid(node));
        let char = fields.node("char").and_then(|node| self.ble_uuid(node))?.value;
        let send = fields.node("send").and_then(|node| self.ble_bytes(node))?;
        let response = response.is_none_or(|response| response.value);
        let service = service.map(|service| service.value);
        Some(At::new(BleAskDraft { char, service, response, send }, node.span))
    }

    /// The name of an object, or its identifier.
    fn bthome(&mut self, node: &Node) -> Option<At<BthomePick>> {
        let text = self.spelling(node)?;
        let word = text.value.as_str();
        let is_number = word.starts_with(|digit: char| digit.is_ascii_digit());
        let pick = if is_number {
            let id = self.int::<u8>(node, "an object of BTHome", 0, 255)?;
            BthomePick::numbered(id.value)
        } else {
            BthomePick::named(word)
        };
        if pick.is_none() {
            let error = self.error(Code::Ble, node.span, format!("BTHome has no object `{word}`"));
            if is_number {
                error.help("the objects with their numbers are listed at https://bthome.io/format");
            } else {
                error.suggest(word, &BthomePick::names());
            }
        }
        pick.map(|pick| At::new(pick, node.span))
    }

    /// The UUID of a service or characteristic.
    pub(crate) fn ble_uuid(&mut self, node: &Node) -> Option<At<BleUuid>> {
        let text = self.spelling(node)?;
        let uuid = BleUuid::parse(&text.value);
        if uuid.is_none() {
            let error = self.error(Code::Ble, node.span, format!("`{}` is no UUID", text.value));
            error.help("write its 4 hexadecimal digits, such as \"2a19\", or all 32 with hyphens");
        }
        uuid.map(|uuid| At::new(uuid, node.span))
    }

    /// A company identifier of the Bluetooth SIG.
    fn company(&mut self, node: &Node) -> Option<At<u16>> {
        self.int(node, "a company identifier", 0, 0xffff)
    }

    fn size(&mut self, node: &Node) -> Option<At<u16>> {
        self.int(node, "`size`", 1, 512)
    }

    /// Bytes in hexadecimal, with `..` for any.
    fn starts(&mut self, node: &Node) -> Option<At<Vec<Option<u8>>>> {
        let text = self.spelling(node)?;
        self.pattern(&text)
    }

    fn pattern(&mut self, text: &At<String>) -> Option<At<Vec<Option<u8>>>> {
        let digits: Vec<char> = text.value.chars().filter(|c| !c.is_whitespace()).collect();
        let byte = |pair: &[char]| match pair {
            ['.', '.'] => Some(None),
            [high, low] => {
                let digit = |c: &char| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                Some(Some(digit(high)? << 4 | digit(low)?))
            }
            _ => None,
        };
        let bytes = digits.chunks(2).map(byte).collect::<Option<Vec<_>>>();
        if bytes.as_ref().is_none_or(Vec::is_empty) {
            let error = self.error(Code::LineText, text.span, format!("`{}` is no bytes", text.value));
            error.help("write two hexadecimal digits for each byte, or `..` for any, such as \"05 .. 20\"");
            return None;
        }
        bytes.map(|bytes| At::new(bytes, text.span))
    }

    /// Bytes in hexadecimal, or `{text: …}`, with `$value` for the value.
    fn template(&mut self, node: &Node) -> Option<At<LineText>> {
        let parsed = match only_entry(node) {
            Some(("text", node)) => {
                let text = self.text(node)?;
                LineText::parse(&text.value).map_err(|what| format!("`{what}` is no byte"))
            }
            Some(("hex", node)) => LineText::parse_hex(&self.spelling(node)?.value).map_err(no_bytes),
            _ => LineText::parse_hex(&self.spelling(node)?.value).map_err(no_bytes),
        };
        match parsed {
            Ok(text) if text.filled(&[]).len() <= MAX_VALUE => Some(At::new(text, node.span)),
            Ok(_) => {
                let message = format!("a characteristic has at most {MAX_VALUE} bytes");
                self.error(Code::LineText, node.span, message).help("shorten it");
                None
            }
            Err(message) => {
                let error = self.error(Code::LineText, node.span, message);
                error.help("write two hexadecimal digits for each byte, such as \"57 01 $value\"; a text as `{text: \"ON\"}`");
                None
            }
        }
    }

    /// A template without any place in it.
    fn ble_bytes(&mut self, node: &Node) -> Option<Vec<u8>> {
        let text = self.template(node)?;
        if text.value.has_value() || text.value.has_any() {
            let error = self.error(Code::LineText, node.span, "these bytes are always the same");
            error.help("write them without `$value` and `$any`");
            return None;
        }
        Some(text.value.filled(&[]))
    }

    /// `adverts` and `chars` of a test.
    pub(crate) fn ble_held(&mut self, fields: &Fields<'_>) -> Vec<SaidDraft> {
        let mut said = Vec::new();
        if let Some(node) = fields.node("adverts") {
            let items = if let Kind::List(items) = &node.kind { items } else { std::slice::from_ref(node) };
            for item in items {
                self.advert(item, &mut said);
            }
        }
        if let Some(node) = fields.node("chars") {
            self.chars(node, "`chars`", &mut said);
        }
        said
    }

    fn advert(&mut self, node: &Node, said: &mut Vec<SaidDraft>) {
        let Some(fields) = self.fields(node, "an advertisement", &ADVERT_KEYS) else { return };
        for key in ["service_data", "manufacturer"] {
            let named =
                fields.node(key).map(|node| self.named(node, &format!("`{key}`"))).unwrap_or_default();
            for (place, node) in named {
                let name = match key {
                    "service_data" => BleUuid::parse(&place.value).map(|uuid| format!("{key} {uuid}")),
                    _ => company_of(&place.value).map(|company| format!("{key} 0x{company:04x}")),
                };
                self.said_at(&place, name, node, said);
            }
        }
        if let Some(rssi) = fields.node("rssi").and_then(|node| self.int::<i16>(node, "`rssi`", -128, 127)) {
            let body = At::new(rssi.value.to_le_bytes().to_vec(), rssi.span);
            said.push(SaidDraft { place: At::new("rssi".to_owned(), rssi.span), body });
        }
    }

    fn said_at(&mut self, place: &At<String>, name: Option<String>, node: &Node, said: &mut Vec<SaidDraft>) {
        let Some(name) = name else {
            let error = self.error(Code::Ble, place.span, format!("`{}` is no such place", place.value));
            error.help("write a UUID, such as \"fcd2\", or a company identifier, such as \"0x0499\"");
            return;
        };
        let body = self.ble_bytes(node).map(|body| At::new(body, node.span));
        said.extend(body.map(|body| SaidDraft { place: At::new(name, place.span), body }));
    }

    fn chars(&mut self, node: &Node, what: &str, said: &mut Vec<SaidDraft>) {
        let maps = if let Kind::List(items) = &node.kind { items } else { std::slice::from_ref(node) };
        for map in maps {
            for (place, node) in self.named(map, what) {
                let uuid = place.value.rsplit('/').next().and_then(BleUuid::parse);
                let service = place.value.split_once('/').map(|(service, _)| BleUuid::parse(service));
                let name = match (service, uuid) {
                    (None, Some(uuid)) => Some(format!("char {uuid}")),
                    (Some(Some(service)), Some(uuid)) => Some(format!("char {service}/{uuid}")),
                    _ => None,
                };
                self.said_at(&place, name, node, said);
            }
        }
    }

    /// `sends` of a test: characteristics and what is written to them.
    pub(crate) fn ble_sends(&mut self, node: &Node) -> Vec<SaidDraft> {
        let mut said = Vec::new();
        self.chars(node, "`sends`", &mut said);
        said
    }
}

fn no_bytes(what: String) -> String {
    format!("`{what}` is no bytes")
}

fn company_of(text: &str) -> Option<u16> {
    match text.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The entry of a map that has one.
fn only_entry(node: &Node) -> Option<(&str, &Node)> {
    let Kind::Map(entries) = &node.kind else { return None };
    let [(key, value)] = entries.as_slice() else { return None };
    if let Kind::Scalar { text, .. } = &key.kind { Some((text, value)) } else { None }
}
