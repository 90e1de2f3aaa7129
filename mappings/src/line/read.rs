//! Reading what is a serial line's own.

use super::draft::{ChecksumDraft, FramingDraft, LengthDraft, LineDraft, LinePlaceDraft};
use super::{ChecksumKind, LineSettings, LineText};
use crate::code::Code;
use crate::draft::{At, SaidDraft};
use crate::mapping::Parity;
use crate::read::Report;
use crate::read::fields::Fields;
use crate::yaml::{Kind, Node};

pub(crate) const LINE_KEYS: [&str; 17] = [
    "start",
    "end",
    "length",
    "gap",
    "checksum",
    "max",
    "request",
    "ack",
    "refusal",
    "echo",
    "open",
    "every",
    "timeout",
    "pause",
    "baud",
    "parity",
    "data_bits",
];

/// The last of the keys of `line`, and those of its `request` and `checksum`.
const MORE_KEYS: [&str; 1] = ["stop_bits"];
const REQUEST_KEYS: [&str; 3] = ["start", "end", "checksum"];
const CHECKSUM_KEYS: [&str; 6] = ["kind", "as", "order", "at", "skip", "cut"];

pub(crate) const PARITIES: [(&str, Parity); 3] =
    [("none", Parity::None), ("even", Parity::Even), ("odd", Parity::Odd)];

/// Longest text.
const MAX_TEXT: usize = 1024;

impl Report<'_> {
    /// `line`.
    pub(crate) fn line(&mut self, node: &Node) -> Option<LineDraft> {
        let keys: Vec<&str> = LINE_KEYS.into_iter().chain(MORE_KEYS).collect();
        let fields = self.fields(node, "`line`", &keys)?;
        let request = fields.node("request").and_then(|node| {
            let fields = self.fields(node, "`request`", &REQUEST_KEYS)?;
            Some(self.framing(&fields))
        });
        let timeout = fields.node("timeout").and_then(|node| self.duration(node));
        Some(LineDraft {
            span: Some(node.span),
            frames: self.framing(&fields),
            request,
            ack: fields.node("ack").and_then(|node| self.line_text(node)),
            refusals: fields.node("refusal").map(|node| self.line_texts(node)).unwrap_or_default(),
            echo: fields.node("echo").and_then(|node| self.boolean(node)),
            opening: fields.node("open").map(|node| self.line_texts(node)).unwrap_or_default(),
            every: fields.node("every").and_then(|node| self.duration(node)),
            timeout: timeout.filter(|timeout| self.at_least_a_millisecond(*timeout, "`timeout`")),
            pause: fields.node("pause").and_then(|node| self.duration(node)),
            usual: self.line_settings(&fields),
        })
    }

    /// How a port is set.
    pub(crate) fn line_settings(&mut self, fields: &Fields<'_>) -> LineSettings {
        let baud = fields.node("baud").and_then(|node| self.int(node, "`baud`", 50, 4_000_000));
        let parity = fields.node("parity").and_then(|node| self.choice(node, "parity", &PARITIES));
        let data_bits = fields.node("data_bits").and_then(|node| self.int(node, "`data_bits`", 7, 8));
        let stop_bits = fields.node("stop_bits").and_then(|node| self.int(node, "`stop_bits`", 1, 2));
        LineSettings {
            baud: baud.map(|at| at.value),
            parity: parity.map(|at| at.value),
            data_bits: data_bits.map(|at| at.value),
            stop_bits: stop_bits.map(|at| at.value),
        }
    }

    fn framing(&mut self, fields: &Fields<'_>) -> FramingDraft {
        FramingDraft {
            start: fields.node("start").and_then(|node| self.line_bytes(node)),
            ends: fields.node("end").map(|node| self.ends(node)).unwrap_or_default(),
            length: fields.node("length").and_then(|node| self.frame_length(node)),
            gap: fields.node("gap").and_then(|node| self.duration(node)),
            checksum: fields.node("checksum").and_then(|node| self.checksum(node)),
            max: fields.node("max").and_then(|node| self.int(node, "`max`", 1, 65_535)),
        }
    }

    fn ends(&mut self, node: &Node) -> Vec<At<Vec<u8>>> {
        let items = if let Kind::List(items) = &node.kind { items } else { std::slice::from_ref(node) };
        items.iter().filter_map(|item| self.line_bytes(item)).collect()
    }

    fn frame_length(&mut self, node: &Node) -> Option<At<LengthDraft>> {
        if !matches!(&node.kind, Kind::Map(_)) {
            return self.int(node, "`length`", 1, 65_535).map(|at| at.map(LengthDraft::Fixed));
        }
        let fields = self.fields(node, "`length`", &["at", "as", "order", "plus"])?;
        let Some(at) = fields.node("at") else {
            self.missing(node.span, "`length`", "at", "the place of the length in a frame, from 0");
            return None;
        };
        let said = LengthDraft::Said {
            at: self.int(at, "`at`", 0, 1023)?.value,
            wide: self.choice_of(&fields, "as", "width of a length", &[("u8", false), ("u16", true)]),
            little_endian: self.choice_of(&fields, "order", "order of bytes", &ORDERS),
            plus: self.count_of(&fields, "plus"),
        };
        Some(At::new(said, node.span))
    }

    /// `checksum: xor8`, or with where and how it stands.
    fn checksum(&mut self, node: &Node) -> Option<At<ChecksumDraft>> {
        let plain = |kind| ChecksumDraft {
            kind,
            hex: false,
            little_endian: false,
            after_end: false,
            skip: 0,
            cut: 0,
        };
        if !matches!(&node.kind, Kind::Map(_)) {
            return self.choice(node, "checksum", &ChecksumKind::ALL).map(|kind| kind.map(plain));
        }
        let fields = self.fields(node, "`checksum`", &CHECKSUM_KEYS)?;
        let Some(kind) = fields.node("kind") else {
            let known: Vec<&str> = ChecksumKind::ALL.iter().map(|(name, _)| *name).collect();
            self.missing(node.span, "`checksum`", "kind", format!("one of {}", known.join(", ")));
            return None;
        };
        let draft = ChecksumDraft {
            kind: self.choice(kind, "checksum", &ChecksumKind::ALL)?.value,
            hex: self.choice_of(&fields, "as", "form of a checksum", &[("bytes", false), ("hex", true)]),
            little_endian: self.choice_of(&fields, "order", "order of bytes", &ORDERS),
            after_end: self.choice_of(
                &fields,
                "at",
                "place of a checksum",
                &[("before_end", false), ("after_end", true)],
            ),
            skip: self.count_of(&fields, "skip"),
            cut: self.count_of(&fields, "cut"),
        };
        Some(At::new(draft, node.span))
    }

    fn choice_of(&mut self, fields: &Fields<'_>, key: &str, what: &str, words: &[(&str, bool)]) -> bool {
        let chosen = fields.node(key).and_then(|node| self.choice(node, what, words));
        chosen.is_some_and(|chosen| chosen.value)
    }

    fn count_of(&mut self, fields: &Fields<'_>, key: &str) -> u16 {
        let count = fields.node(key).and_then(|node| self.int(node, &format!("`{key}`"), 0, 1023));
        count.map_or(0, |count| count.value)
    }

    /// The keys of a place that a serial line has alone.
    pub(crate) fn line_place(&mut self, fields: &Fields<'_>) -> LinePlaceDraft {
        LinePlaceDraft {
            send: fields.node("send").and_then(|node| self.line_text(node)),
            says: fields.node("says").and_then(|node| self.line_text(node)),
            find: fields.node("find").and_then(|node| self.line_text(node)),
            unasked: fields.node("unasked").and_then(|node| self.boolean(node)),
            base: fields.node("base").and_then(|node| self.base(node)),
            digits: fields.node("digits").and_then(|node| self.int(node, "`digits`", 1, 16)),
            ack: fields.node("ack").and_then(|node| self.ack(node)),
        }
    }

    fn base(&mut self, node: &Node) -> Option<At<u8>> {
        let base = self.int::<u8>(node, "`base`", 2, 36)?;
        if base.value != 16 && base.value != 10 {
            let error = self.error(
                Code::NumberRange,
                node.span,
                format!("digits to base {} are not read", base.value),
            );
            error.help("write `base: 16` for hexadecimal digits, or remove it for decimal ones");
            return None;
        }
        Some(base)
    }

    fn ack(&mut self, node: &Node) -> Option<At<Option<LineText>>> {
        if matches!(&node.kind, Kind::Scalar { text, plain: true } if text == "false") {
            return Some(At::new(None, node.span));
        }
        self.line_text(node).map(|text| text.map(Some))
    }

    fn line_texts(&mut self, node: &Node) -> Vec<At<LineText>> {
        let items = if let Kind::List(items) = &node.kind { items } else { std::slice::from_ref(node) };
        items.iter().filter_map(|item| self.line_text(item)).collect()
    }

    /// A text that stands for bytes, or `{hex: "02 ff"}`.
    fn line_text(&mut self, node: &Node) -> Option<At<LineText>> {
        let parsed = if let Some(hex) = hex_of(node) {
            let text = self.spelling(hex)?;
            LineText::parse_hex(&text.value).map_err(|what| {
                let error = self.error(Code::LineText, hex.span, format!("`{what}` is no bytes"));
                error.help("write two hexadecimal digits for each byte, such as \"02 ff $value\"");
            })
        } else {
            let text = self.text(node)?;
            LineText::parse(&text.value).map_err(|what| {
                let error = self.error(Code::LineText, node.span, format!("`{what}` is no byte"));
                error.help("write its bytes as the device has them: `\"\\xe9\"`, or `{hex: \"c3 a9\"}`");
            })
        };
        let parsed = parsed.ok()?;
        if parsed.filled(&[]).len() > MAX_TEXT {
            let error =
                self.error(Code::LineText, node.span, format!("a text has more than {MAX_TEXT} bytes"));
            error.help("shorten it");
            return None;
        }
        Some(At::new(parsed, node.span))
    }

    /// A text without places.
    fn line_bytes(&mut self, node: &Node) -> Option<At<Vec<u8>>> {
        let text = self.line_text(node)?;
        let bytes = text.value.filled(&[]);
        if text.value.has_value() || text.value.has_any() || bytes.is_empty() || bytes.len() > 32 {
            let error =
                self.error(Code::LineText, node.span, "this must be 1 to 32 bytes that are always the same");
            error.help("such as `\"\\r\\n\"` or `{hex: \"ff\"}`");
            return None;
        }
        Some(At::new(bytes, node.span))
    }

    /// What a device says in a test, byte for byte: a text, `{hex: …}`, or `{lines: […]}` with CR and LF behind each.
    fn line_said(&mut self, node: &Node) -> Option<At<Vec<u8>>> {
        if let Kind::Map(entries) = &node.kind
            && let [(key, value)] = entries.as_slice()
            && matches!(&key.kind, Kind::Scalar { text, .. } if text == "lines")
        {
            let lines: Vec<At<LineText>> =
                self.list(value, "`lines`").iter().filter_map(|item| self.verbatim(item)).collect();
            let bytes = lines.iter().flat_map(|line| [line.value.filled(&[]).as_slice(), b"\r\n"].concat());
            return Some(At::new(bytes.collect(), node.span));
        }
        let text = if hex_of(node).is_some() { self.line_text(node)? } else { self.verbatim(node)? };
        Some(text.map(|text| text.filled(&[])))
    }

    /// A text in which nothing has a meaning.
    fn verbatim(&mut self, node: &Node) -> Option<At<LineText>> {
        let text = self.text(node)?;
        let bytes: Result<Vec<u8>, _> = text.value.chars().map(|it| u8::try_from(u32::from(it))).collect();
        match bytes {
            Ok(bytes) => Some(At::new(LineText::bytes_of(&bytes), node.span)),
            Err(_) => {
                let error = self.error(Code::LineText, node.span, "it has characters that are no bytes");
                error.help("write its bytes as the device has them: `\"\\xe9\"`, or `{hex: \"c3 a9\"}`");
                None
            }
        }
    }

    /// `heard` and `replies` of a test.
    pub(crate) fn line_held(&mut self, fields: &Fields<'_>) -> Vec<SaidDraft> {
        let mut said = Vec::new();
        if let Some(node) = fields.node("heard") {
            let place = At::new(String::new(), fields.key("heard").unwrap_or(node.span));
            let items = if let Kind::List(items) = &node.kind { items } else { std::slice::from_ref(node) };
            for item in items {
                said.extend(self.line_said(item).map(|body| SaidDraft { place: place.clone(), body }));
            }
        }
        if let Some(node) = fields.node("replies") {
            for (place, node) in self.named(node, "`replies`") {
                said.extend(self.line_said(node).map(|body| SaidDraft { place, body }));
            }
        }
        said
    }

    /// `sends` of a test: one request or several.
    pub(crate) fn line_sends(&mut self, node: &Node) -> Vec<SaidDraft> {
        let place = At::new(super::fixture::SENT.to_owned(), node.span);
        let items = if let Kind::List(items) = &node.kind { items } else { std::slice::from_ref(node) };
        let said = items.iter().filter_map(|item| self.line_said(item));
        said.map(|body| SaidDraft { place: place.clone(), body }).collect()
    }
}

const ORDERS: [(&str, bool); 2] = [("big", false), ("little", true)];

fn hex_of(node: &Node) -> Option<&Node> {
    let Kind::Map(entries) = &node.kind else { return None };
    let [(key, value)] = entries.as_slice() else { return None };
    matches!(&key.kind, Kind::Scalar { text, .. } if text == "hex").then_some(value)
}
