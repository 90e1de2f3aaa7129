//! `read`, `write` and what they have in common.

use std::collections::BTreeSet;

use super::Report;
use super::fields::Fields;
use super::notation::{notation, table as table_of};
use crate::code::Code;
use crate::diagnostic::Span;
use crate::draft::{At, MapDraft, PointDraft, ReadDraft, VerifyDraft, WriteDraft};
use crate::mapping::{ByteHalf, ByteOrder, ModbusTable, RegisterEncoding};
use crate::transform::MapTarget;
use crate::yaml::{Kind, Node};

pub(crate) const TABLES: [(&str, ModbusTable); 4] = [
    ("input", ModbusTable::Input),
    ("holding", ModbusTable::Holding),
    ("coil", ModbusTable::Coil),
    ("discrete", ModbusTable::Discrete),
];

pub(crate) const ENCODINGS: [(&str, RegisterEncoding); 18] = [
    ("u8", RegisterEncoding::U8(ByteHalf::Low)),
    ("s8", RegisterEncoding::S8(ByteHalf::Low)),
    ("u24", RegisterEncoding::U24),
    ("s24", RegisterEncoding::S24),
    ("u48", RegisterEncoding::U48),
    ("s48", RegisterEncoding::S48),
    ("f16", RegisterEncoding::F16),
    ("bcd", RegisterEncoding::Bcd),
    ("string", RegisterEncoding::Text),
    ("raw", RegisterEncoding::Bytes),
    ("u16", RegisterEncoding::U16),
    ("s16", RegisterEncoding::S16),
    ("u32", RegisterEncoding::U32),
    ("s32", RegisterEncoding::S32),
    ("u64", RegisterEncoding::U64),
    ("s64", RegisterEncoding::S64),
    ("f32", RegisterEncoding::F32),
    ("f64", RegisterEncoding::F64),
];

pub(super) const ORDERS: [(&str, ByteOrder); 4] = [
    ("ABCD", ByteOrder::Abcd),
    ("CDAB", ByteOrder::Cdab),
    ("BADC", ByteOrder::Badc),
    ("DCBA", ByteOrder::Dcba),
];

const HALVES: [(&str, ByteHalf); 2] = [("low", ByteHalf::Low), ("high", ByteHalf::High)];

/// The keys of a place.
pub(super) const PLACE_KEYS: [&str; 9] =
    ["input", "holding", "coil", "discrete", "as", "order", "byte", "registers", "bits"];

pub(super) const READ_KEYS: [&str; 16] = [
    "input",
    "holding",
    "coil",
    "discrete",
    "as",
    "order",
    "byte",
    "registers",
    "bits",
    "map",
    "scale",
    "exponent",
    "offset",
    "invert",
    "invalid",
    "within",
];

pub(super) const WRITE_KEYS: [&str; 21] = [
    "holding",
    "coil",
    "input",
    "discrete",
    "as",
    "order",
    "byte",
    "registers",
    "bits",
    "map",
    "scale",
    "offset",
    "invert",
    "invalid",
    "fc",
    "rmw",
    "verify",
    "ttl",
    "rate",
    "coalesce",
    "undo",
];

impl Report<'_> {
    pub(super) fn read_binding(&mut self, node: &Node) -> Option<ReadDraft> {
        let fields = self.fields(node, "`read`", &READ_KEYS)?;
        let point = self.point(&fields, "`read`");
        if point.place.is_none() && TABLES.iter().all(|(key, _)| fields.key(key).is_none()) {
            self.missing(
                node.span,
                "`read`",
                "input",
                "or `holding`, `coil` or `discrete`: the table, with the address from 0",
            );
        }
        let within = fields.node("within").and_then(|node| self.duration(node));
        Some(ReadDraft { span: node.span, point, within })
    }

    pub(super) fn write_binding(&mut self, node: &Node) -> Option<WriteDraft> {
        let fields = self.fields(node, "`write`", &WRITE_KEYS)?;
        Some(WriteDraft {
            span: node.span,
            point: self.point(&fields, "`write`"),
            function: fields.node("fc").and_then(|node| self.function(node)),
            read_modify_write: fields.node("rmw").and_then(|node| self.boolean(node)),
            verify: fields.node("verify").and_then(|node| self.verify(node)),
            ttl: fields.node("ttl").and_then(|node| self.duration(node)),
            rate: fields.node("rate").and_then(|node| self.duration(node)),
            coalesce: fields.node("coalesce").and_then(|node| self.boolean(node)),
            undo: fields.node("undo").and_then(|node| self.boolean(node)),
        })
    }

    pub(super) fn point(&mut self, fields: &Fields<'_>, what: &str) -> PointDraft {
        PointDraft {
            place: self.place(fields, what),
            encoding: fields.node("as").and_then(|node| self.choice(node, "register type", &ENCODINGS)),
            order: fields.node("order").and_then(|node| self.choice(node, "order", &ORDERS)),
            half: fields.node("byte").and_then(|node| self.choice(node, "byte of a register", &HALVES)),
            registers: fields.node("registers").and_then(|node| self.int(node, "`registers`", 1, 125)),
            exponent: fields.node("exponent").and_then(|node| self.exponent(node)),
            bits: fields.node("bits").and_then(|node| self.bits(node)),
            map: fields.node("map").and_then(|node| self.value_map(node)),
            scale: fields.node("scale").and_then(|node| self.decimal(node)),
            offset: fields.node("offset").and_then(|node| self.decimal(node)),
            invert: fields.node("invert").and_then(|node| self.boolean(node)),
            invalid: fields.node("invalid").map(|node| self.sentinels(node)).unwrap_or_default(),
        }
    }

    /// `exponent: {holding: 12}`.
    fn exponent(&mut self, node: &Node) -> Option<At<(ModbusTable, u16)>> {
        let fields = self.fields(node, "`exponent`", &["holding", "input"])?;
        if fields.key("holding").is_none() && fields.key("input").is_none() {
            self.missing(
                node.span,
                "`exponent`",
                "holding",
                "or `input`, with the register of the power of ten",
            );
        }
        self.place(&fields, "`exponent`")
    }

    fn place(&mut self, fields: &Fields<'_>, what: &str) -> Option<At<(ModbusTable, u16)>> {
        let mut places = TABLES.iter().filter_map(|(key, table)| Some((*key, *table, fields.node(key)?)));
        let (key, table, node) = places.next()?;
        let others: Vec<&str> = places.map(|(other, ..)| other).collect();
        if !others.is_empty() {
            let span = others.first().and_then(|other| fields.key(other)).unwrap_or(fields.span);
            let message = format!("{what} has both `{key}` and `{}`", others.join("` and `"));
            self.error(Code::Table, span, message).help("a point is in one table: keep one of them");
        }
        self.address(node, table).map(|address| address.map(|address| (table, address)))
    }

    /// An address of the protocol, from 0. The 1-based numbers with the table in the first digit that manuals print are
    /// refused; one that the protocol's address happens to look like can be written in hexadecimal.
    ///
    /// A list is added up: `holding: ["${base}", 12]`.
    pub(super) fn address(&mut self, node: &Node, table: ModbusTable) -> Option<At<u16>> {
        if let Kind::List(items) = &node.kind {
            return self.sum(items, node.span);
        }
        let spelled_decimal = matches!(&node.kind, Kind::Scalar { text, .. } if !text.contains('x'));
        let number = self.integer(node)?;
        if let Some((digit, address)) = notation(number.value, table).filter(|_| spelled_decimal) {
            let message = format!("{} is in {digit}xxxx notation, which counts from 1", number.value);
            let own = table_of(digit);
            let hex = format!("{}: {:#06x}", table.name(), number.value);
            let error = self.error(Code::Notation, node.span, message);
            let error = if own == table.name() { error.fix(address.to_string()) } else { error };
            error.help(format!(
                "write the protocol's address: `{own}: {address}` (or `{hex}` if that is the protocol's address)"
            ));
            return None;
        }
        self.int(node, "an address", 0, 0xffff)
    }

    fn sum(&mut self, items: &[Node], span: Span) -> Option<At<u16>> {
        let parts: Vec<Option<At<u16>>> =
            items.iter().map(|item| self.int(item, "a part of an address", 0, 0xffff)).collect();
        let sum =
            parts.into_iter().try_fold(0u32, |sum, part| Some(sum.saturating_add(part?.value.into())))?;
        match u16::try_from(sum) {
            Ok(sum) if !items.is_empty() => Some(At::new(sum, span)),
            _ => {
                let error = self.error(Code::AddressRange, span, format!("the parts add up to {sum}"));
                error.help("addresses are 0 to 65535");
                None
            }
        }
    }

    fn bits(&mut self, node: &Node) -> Option<At<(u8, u8)>> {
        let spelled = self.spelling(node)?;
        let mut ends = spelled.value.split("..");
        let parse = |end: Option<&str>| end.and_then(|end| end.trim().parse::<u8>().ok());
        let first = parse(ends.next());
        let last = ends.next().map_or(first, |last| parse(Some(last)));
        match (first, last, ends.next()) {
            (Some(first), Some(last), None) => Some(At::new((first, last), node.span)),
            _ => {
                let message = format!("`{}` is no bit range", spelled.value);
                let error = self.error(Code::WrongKind, node.span, message);
                let ends: Vec<&str> = spelled.value.split(['-', ':', ',']).map(str::trim).collect();
                let error = match ends.as_slice() {
                    [first, last] if first.parse::<u8>().is_ok() && last.parse::<u8>().is_ok() => {
                        error.fix(format!("{first}..{last}"))
                    }
                    _ => error,
                };
                error.help("write `4..6` for bits 4, 5 and 6, or `3` for one");
                None
            }
        }
    }

    fn value_map(&mut self, node: &Node) -> Option<MapDraft> {
        let (entries, texts) = (Vec::new(), Vec::new());
        let mut draft = MapDraft { span: node.span, entries, texts, default: None };
        let mut seen = BTreeSet::new();
        for (key, span, value) in self.entries(node, "`map`")? {
            let target = self.target(value);
            if key == "default" {
                draft.default = target;
                continue;
            }
            let is_number = key.strip_prefix('-').unwrap_or(key).starts_with(|c: char| c.is_ascii_digit());
            if !is_number || self.is_quoted(span) {
                let key = At::new(key.to_owned(), span);
                draft.texts.extend(target.map(|target| (key, target)));
                continue;
            }
            let key = Node { kind: Kind::Scalar { text: key.to_owned(), plain: true }, span };
            let Some((raw, target)) = self.integer(&key).zip(target) else { continue };
            if seen.insert(raw.value) {
                draft.entries.push((raw, target));
            } else {
                let message = format!("the raw value {} is mapped twice", raw.value);
                self.error(Code::MapRaw, span, message).help("keep one of the two");
            }
        }
        Some(draft)
    }

    fn target(&mut self, node: &Node) -> Option<At<MapTarget>> {
        match &node.kind {
            Kind::Scalar { text, plain: true } if text == "true" || text == "false" => {
                Some(At::new(MapTarget::Bool(text == "true"), node.span))
            }
            Kind::Scalar { .. } | Kind::List(_) | Kind::Map(_) => Some(self.text(node)?.map(MapTarget::Text)),
        }
    }

    fn sentinels(&mut self, node: &Node) -> Vec<At<i128>> {
        match &node.kind {
            Kind::List(items) => items.iter().filter_map(|item| self.integer(item)).collect(),
            Kind::Scalar { .. } | Kind::Map(_) => self.integer(node).into_iter().collect(),
        }
    }

    pub(super) fn function(&mut self, node: &Node) -> Option<At<u8>> {
        let function = self.int::<u8>(node, "a function code", 0, 127)?;
        if [5, 6, 15, 16, 22, 23].contains(&function.value) {
            return Some(function);
        }
        let message = format!("function {} does not write here", function.value);
        self.error(Code::Function, node.span, message).help(
            "5 writes one coil, 15 several, 6 one register, 16 several, 22 some bits, 23 writes and reads",
        );
        None
    }

    fn verify(&mut self, node: &Node) -> Option<At<VerifyDraft>> {
        match &node.kind {
            Kind::Scalar { text, plain: true } if text == "false" => {
                Some(At::new(VerifyDraft::Off, node.span))
            }
            Kind::Scalar { text, plain: true } if text == "true" => {
                let message = "`verify` needs to know how long";
                self.error(Code::Duration, node.span, message)
                    .fix("1s")
                    .help("write `verify: 1s`, or leave it away");
                None
            }
            Kind::Map(_) => {
                let fields = self.fields(node, "`verify`", &["by", "within"])?;
                let within = fields.node("within").and_then(|node| self.duration(node)).map(|at| at.value);
                let Some(by) = fields.node("by") else {
                    self.missing(
                        node.span,
                        "`verify`",
                        "by",
                        "the capability that must show what was written",
                    );
                    return None;
                };
                let by = self.text(by)?;
                Some(At::new(VerifyDraft::By { by, within }, node.span))
            }
            Kind::Scalar { .. } | Kind::List(_) => Some(self.duration(node)?.map(VerifyDraft::Within)),
        }
    }
}
