//! Reading what is Modbus's own: places, options, and what a device of a test holds.

use super::notation::{is_doubtful, notation, table as table_of};
use super::{
    ByteHalf, ByteOrder, ModbusDraft, ModbusTable, PlaceDraft, RegisterEncoding, RunDraft, TablesDraft,
};
use crate::code::Code;
use crate::diagnostic::Span;
use crate::draft::At;
use crate::read::Report;
use crate::read::fields::Fields;
use crate::read::spelled;
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
pub(crate) const PLACE_KEYS: [&str; 9] =
    ["input", "holding", "coil", "discrete", "as", "order", "byte", "registers", "bits"];

pub(crate) const MODBUS_KEYS: [&str; 10] = [
    "order",
    "max_registers",
    "max_bits",
    "max_gap",
    "mask_write",
    "max_connections",
    "guard",
    "turnaround",
    "write_rate",
    "timeout",
];

const REGISTERS: [&str; 2] = ["holding", "input"];

const BITS: [&str; 2] = ["coil", "discrete"];

/// Whether a place is given, be it a wrong one.
pub(crate) fn has_place(fields: &Fields<'_>) -> bool {
    TABLES.iter().any(|(key, _)| fields.key(key).is_some())
}

/// The first of the registers of `12-13`, `12..13` or `12/13`.
fn first_of(node: &Node) -> Option<&str> {
    let Kind::Scalar { text, plain: true } = &node.kind else { return None };
    let (first, last) = text
        .split_once("..")
        .or_else(|| text.split_once(['-', '\u{2013}', '/']))
        .filter(|(first, _)| !first.is_empty())?;
    let [Ok(one), Ok(other)] = [first.trim().parse::<u16>(), last.trim().parse::<u16>()] else { return None };
    (one < other).then_some(first.trim())
}

/// The bits of a mask such as `0x30`, if they are in a row: `4..5`.
fn mask(text: &str) -> Option<String> {
    let mask = u64::from_str_radix(text.strip_prefix("0x")?, 16).ok().filter(|mask| *mask > 0)?;
    let (first, count) = (mask.trailing_zeros(), mask.count_ones());
    let in_a_row = (mask >> first).trailing_ones() == count;
    let last = first + count - 1;
    in_a_row.then(|| if count == 1 { first.to_string() } else { format!("{first}..{last}") })
}

impl Report<'_> {
    /// The keys of a place.
    pub(crate) fn place_of(&mut self, fields: &Fields<'_>, what: &str) -> PlaceDraft {
        let place = self.place(fields, what);
        let encoding = fields.node("as").and_then(|node| self.choice(node, "register type", &ENCODINGS));
        PlaceDraft {
            place,
            encoding,
            unknown: encoding.is_none() && fields.node("as").is_some(),
            order: fields.node("order").and_then(|node| self.choice(node, "order", &ORDERS)),
            half: fields.node("byte").and_then(|node| self.choice(node, "byte of a register", &HALVES)),
            registers: fields.node("registers").and_then(|node| self.int(node, "`registers`", 1, 125)),
            exponent: fields.node("exponent").and_then(|node| self.exponent(node)),
            bits: fields.node("bits").and_then(|node| self.bits(node)),
        }
    }

    /// `exponent: {holding: 12}`.
    fn exponent(&mut self, node: &Node) -> Option<At<(ModbusTable, u16)>> {
        if let Kind::Scalar { text, plain: true } = &node.kind
            && let Ok(power) = text.parse::<i8>()
            && let Some(scale) = spelled(&format!("1e{power}"), false)
        {
            let message = "`exponent` is the register that holds a power of ten";
            let error = self.error(Code::WrongKind, node.span, message);
            error.help(format!(
                "write `scale: {scale}` for one that is always the same, or `exponent: {{holding: 41}}`"
            ));
            return None;
        }
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
        if let Some(first) = first_of(node) {
            let message = "an address is one number".to_owned();
            let error = self.error(Code::WrongKind, node.span, message);
            error
                .fix(first)
                .help(format!("write the first one, {first}: `as` says how many registers follow"));
            return None;
        }
        let number = self.integer(node)?;
        if let Some((digit, address)) = notation(number.value, table).filter(|_| spelled_decimal) {
            let message = format!("{} is in {digit}xxxx notation, which counts from 1", number.value);
            let own = table_of(digit);
            let hex = match u16::try_from(number.value) {
                Ok(number) => {
                    format!(" (or `{}: {number:#06x}` if that is the protocol's address)", table.name())
                }
                Err(_) => String::new(),
            };
            // Both are written in files that count from 0, so that a person has to choose, and for all of a file alike.
            let error = self.error(Code::Notation, node.span, message);
            error.help(format!("write the protocol's address: `{own}: {address}`{hex}"));
            // The rest of the point is checked as if that stood there: a bit has other keys than a register.
            let same = table.is_bits() == (own == "discrete");
            return u16::try_from(address).ok().filter(|_| same).map(|address| At::new(address, node.span));
        }
        if is_doubtful(number.value, table) && spelled_decimal {
            let message = format!("{} looks like a discrete input in 1xxxx notation", number.value);
            let help = format!(
                "write `discrete: {}`, or `coil: {:#06x}` if that is the protocol's address of the coil",
                number.value - 10_001,
                number.value
            );
            self.warn(Code::Notation, node.span, message).help(help);
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

    pub(crate) fn bits(&mut self, node: &Node) -> Option<At<(u8, u8)>> {
        let spelled = self.spelling(node)?;
        if let Some(mask) = mask(&spelled.value) {
            let message = format!("`{}` is a mask, and `bits` counts them from 0", spelled.value);
            self.error(Code::WrongKind, node.span, message).fix(&mask).help(format!("write `bits: {mask}`"));
            return None;
        }
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

    pub(crate) fn function(&mut self, node: &Node) -> Option<At<u8>> {
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

    /// `modbus`.
    pub(crate) fn modbus(&mut self, node: &Node) -> Option<ModbusDraft> {
        let fields = self.fields(node, "`modbus`", &MODBUS_KEYS)?;
        let mut max_read = TablesDraft::default();
        if let Some(node) = fields.node("max_registers") {
            self.per_table(node, "`max_registers`", (1, 125), &REGISTERS, &mut max_read);
        }
        if let Some(node) = fields.node("max_bits") {
            self.per_table(node, "`max_bits`", (1, 2000), &BITS, &mut max_read);
        }
        let mut max_gap = TablesDraft::default();
        if let Some(node) = fields.node("max_gap") {
            let every: Vec<&str> = REGISTERS.into_iter().chain(BITS).collect();
            self.per_table(node, "`max_gap`", (0, 124), &every, &mut max_gap);
        }
        let mut draft = ModbusDraft {
            order: fields.node("order").and_then(|node| self.choice(node, "order", &ORDERS)),
            max_read,
            max_gap,
            mask_write: fields.node("mask_write").and_then(|node| self.boolean(node)),
            max_connections: fields
                .node("max_connections")
                .and_then(|node| self.int(node, "`max_connections`", 1, 1000)),
            guard: fields.node("guard").and_then(|node| self.duration(node)),
            turnaround: fields.node("turnaround").and_then(|node| self.duration(node)),
            write_rate: fields.node("write_rate").and_then(|node| self.duration(node)),
            timeout: fields.node("timeout").and_then(|node| self.duration(node)),
        };
        draft.timeout = draft.timeout.filter(|timeout| self.at_least_a_millisecond(*timeout, "`timeout`"));
        Some(draft)
    }

    /// One number for several tables, or one for each.
    fn per_table(
        &mut self,
        node: &Node,
        what: &str,
        (least, most): (i128, i128),
        tables: &[&str],
        into: &mut TablesDraft,
    ) {
        let fields = match &node.kind {
            Kind::Map(_) => self.fields(node, what, tables),
            _ => None,
        };
        let whole = match &node.kind {
            Kind::Map(_) => None,
            _ => self.int::<u16>(node, what, least, most),
        };
        for table in tables {
            let own = fields.as_ref().and_then(|fields| fields.node(table));
            let number = own.and_then(|node| self.int(node, what, least, most)).or(whole);
            let place = match *table {
                "coil" => &mut into.coil,
                "discrete" => &mut into.discrete,
                "holding" => &mut into.holding,
                _ => &mut into.input,
            };
            *place = number.or(*place);
        }
    }

    /// `input: {0: [0x4366, 0x3333], 12: 5}`.
    pub(crate) fn runs(&mut self, fields: &Fields<'_>) -> Vec<RunDraft> {
        let mut runs = Vec::new();
        for (key, table) in TABLES {
            let Some(node) = fields.node(key) else { continue };
            let most = if table.is_bits() { 1 } else { 0xffff };
            for (address, span, values) in self.entries(node, &format!("`{key}`")).unwrap_or_default() {
                let address = Node { kind: Kind::Scalar { text: address.to_owned(), plain: true }, span };
                let items =
                    if let Kind::List(items) = &values.kind { items } else { std::slice::from_ref(values) };
                let values =
                    items.iter().filter_map(|item| self.int(item, "a register or bit", 0, most)).collect();
                runs.extend(self.address(&address, table).map(|address| RunDraft { table, address, values }));
            }
        }
        runs
    }
}
