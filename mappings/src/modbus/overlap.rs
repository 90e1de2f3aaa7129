//! Registers that several capabilities, commands or events use, in ways that cannot all be right.

use std::collections::BTreeSet;

use rust_decimal::Decimal;

use super::read::{ENCODINGS, ORDERS};
use super::{ModbusPoint, ModbusTable, PlaceDraft, RegisterEncoding};
use crate::code::Code;
use crate::compile::Compiler;
use crate::compile::capability::is_level;
use crate::diagnostic::Span;
use crate::draft::{CapabilityDraft, MappingDraft, ReadDraft};
use crate::value::decimal_text;

/// A use of a place.
pub(super) struct Use<'d> {
    /// Key of the capability, command or event.
    pub(super) name: &'d str,
    pub(super) point: ModbusPoint,
    /// The address.
    pub(super) span: Span,
    /// Scale and offset of a number.
    pub(super) linear: Option<(Decimal, Decimal)>,
}

/// A write of whole registers.
struct Write<'d> {
    place: Use<'d>,
    /// `write`, or the step of a command.
    whole: Span,
    /// Where the same capability is read.
    own: Option<ModbusPoint>,
}

impl Compiler<'_> {
    /// Warns of writes that change what others have in the same registers, and of registers that are taken differently.
    pub(crate) fn check_overlaps(&mut self) {
        let draft = self.draft;
        self.check_writers();
        let reads: Vec<Use<'_>> = reads(draft).filter(|read| !read.point.table.is_bits()).collect();
        let writes = writes(draft);
        self.check_clobbers(&reads, &writes);
        let written = draft.bound().filter_map(|cap| written(draft, cap));
        self.check_reads(reads.into_iter().chain(written.map(|write| write.place)).collect());
    }

    fn check_clobbers(&mut self, reads: &[Use<'_>], writes: &[Write<'_>]) {
        let mut parts: Vec<&Use<'_>> = reads.iter().filter(|read| read.point.is_part()).collect();
        parts.sort_by_key(|part| part.point.address);
        for write in writes.iter().filter(|write| !write.place.point.is_part()) {
            let place = &write.place;
            let first = parts
                .partition_point(|part| u32::from(part.point.address) + 4 < u32::from(place.point.address));
            let near = parts.iter().skip(first);
            let near = near.take_while(|part| u32::from(part.point.address) <= last(&place.point));
            let mut hit = near.filter(|part| overlap(&part.point, &place.point));
            // What reads the whole register knows all that it writes.
            let knows = write.own.is_some_and(|own| own == place.point);
            if let Some(part) = hit.find(|part| !knows || part.name == place.name) {
                self.clobbers(write, part);
            }
        }
    }

    fn clobbers(&mut self, write: &Write<'_>, part: &Use<'_>) {
        let Use { name, point, .. } = part;
        let (first, last) = point.bits.unwrap_or(if point.mask() == 0xff00 { (8, 15) } else { (0, 7) });
        let range = if first == last { format!("bit {first}") } else { format!("bits {first} to {last}") };
        let message = format!("this writes the whole register, of which `{name}` reads {range} alone");
        let keep = "if the whole register is meant to be written, add `rmw: false`";
        if part.name != write.place.name || point.bits.is_none() {
            let warning = self.report.unfit(Code::Clobber, write.place.span, message);
            warning.help(format!("write only the bits that are its own, such as `bits: 0..3`; {keep}"));
            return;
        }
        let bits =
            format!("bits: {}", if first == last { first.to_string() } else { format!("{first}..{last}") });
        let text = self.report.source(write.whole);
        let cut = write.place.span.end.saturating_sub(write.whole.start);
        let mended = text.starts_with('{').then(|| text.split_at_checked(cut)).flatten();
        let mended = mended.map(|(before, after)| format!("{before}, {bits}{after}"));
        let at = if mended.is_some() { write.whole } else { write.place.span };
        let warning = self.report.unfit(Code::Clobber, at, message);
        let warning = if let Some(mended) = mended { warning.fix(mended) } else { warning };
        warning.help(format!("add `{bits}` to keep the others; {keep}"));
    }

    fn check_reads(&mut self, mut uses: Vec<Use<'_>>) {
        uses.retain(|place| !place.point.is_part() && place.point.encoding != RegisterEncoding::Bytes);
        uses.sort_by_key(|place| (place.point.table, place.point.address, place.span.start));
        let mut reach: Option<&Use<'_>> = None;
        let mut told = BTreeSet::new();
        for place in &uses {
            let other = reach.filter(|other| overlap(&other.point, &place.point));
            if let Some(other) = other.filter(|other| other.name != place.name && !is_same(other, place)) {
                let in_order = other.span.start < place.span.start;
                let (first, later) = if in_order { (other, place) } else { (place, other) };
                if told.insert(later.span.start) {
                    self.overlaps(first, later);
                }
            }
            if other.is_none_or(|other| last(&other.point) < last(&place.point)) {
                reach = Some(place);
            }
        }
    }

    fn overlaps(&mut self, first: &Use<'_>, later: &Use<'_>) {
        let message = format!(
            "{} belongs to `{}` on line {} too",
            run(&shared(first, later)),
            first.name,
            first.span.line
        );
        let warning = self.report.unfit(Code::Overlap, later.span, message);
        let (one, other) = (span_of(&first.point), span_of(&later.point));
        let takes = |place: &Use<'_>, as_what: &str| format!("`{}` takes {as_what}", place.name);
        let linear = |place: &Use<'_>| {
            let (scale, offset) = place.linear.unwrap_or((Decimal::ONE, Decimal::ZERO));
            format!("`scale: {}` and `offset: {}`", decimal_text(scale), decimal_text(offset))
        };
        warning.help(if one != other {
            format!(
                "{}, `{}` {}: correct an address or `as`; a part of a longer number is read with its `as` and `bits`",
                takes(first, &run(&one)),
                later.name,
                run(&other),
            )
        } else if first.point.encoding != later.point.encoding || first.point.order != later.point.order {
            let [first, later] = [first, later].map(|place| (place.name, spelled(&place.point)));
            format!("`{}` takes it {}, `{}` {}: correct an address, or read it alike", first.0, first.1, later.0, later.1)
        } else {
            format!(
                "{}, `{}` {}: correct an address, or read it alike",
                takes(first, &format!("it with {}", linear(first))),
                later.name,
                format_args!("with {}", linear(later))
            )
        });
    }
}

/// Table, first and last address.
pub(super) type Run = (ModbusTable, u32, u32);

pub(super) fn span_of(point: &ModbusPoint) -> Run {
    (point.table, point.address.into(), last(point))
}

fn shared(one: &Use<'_>, other: &Use<'_>) -> Run {
    let first = one.point.address.max(other.point.address);
    (one.point.table, first.into(), last(&one.point).min(last(&other.point)))
}

pub(super) fn run((table, first, last): &Run) -> String {
    let table = table.name();
    if first == last { format!("{table} {first}") } else { format!("{table} {first} to {last}") }
}

/// Its last register.
pub(super) fn last(point: &ModbusPoint) -> u32 {
    u32::from(point.address) + u32::from(point.count.max(1)) - 1
}

pub(super) fn overlap(one: &ModbusPoint, other: &ModbusPoint) -> bool {
    one.table == other.table && u32::from(one.address) <= last(other) && u32::from(other.address) <= last(one)
}

fn is_same(one: &Use<'_>, other: &Use<'_>) -> bool {
    let place = |point: &ModbusPoint| (point.address, point.count, point.encoding);
    let alike = one.linear.zip(other.linear).is_none_or(|(one, other)| one == other);
    let ordered = one.point.count == 1 || one.point.order == other.point.order;
    place(&one.point) == place(&other.point) && ordered && alike
}

/// As the file writes it.
fn spelled(point: &ModbusPoint) -> String {
    let encoding =
        ENCODINGS.iter().find(|(_, known)| *known == point.encoding).map_or("u16", |(word, _)| word);
    let order = ORDERS.iter().find(|(_, known)| *known == point.order).map_or("ABCD", |(word, _)| word);
    match point.count {
        1 => format!("`as: {encoding}`"),
        _ => format!("`as: {encoding}, order: {order}`"),
    }
}

/// Everything that is read, but for fingerprints and powers of ten.
fn reads(draft: &MappingDraft) -> impl Iterator<Item = Use<'_>> {
    let capabilities = draft.bound().flat_map(|cap| {
        let values = cap.values.iter().map(|(_, read)| read);
        values.chain(&cap.read).map(|read| (cap.id.value.as_str(), read, linear(cap, read)))
    });
    let events =
        draft.events.iter().filter_map(|event| Some((event.id.value.as_str(), event.read.as_ref()?, None)));
    capabilities.chain(events).filter_map(|(name, read, linear)| {
        let place = used(draft, name, &read.point.at, None, read.span)?;
        Some(Use { linear, ..place })
    })
}

/// Scale and offset of what is a number, and has no power of ten that only the device knows.
fn linear(cap: &CapabilityDraft, read: &ReadDraft) -> Option<(Decimal, Decimal)> {
    let point = &read.point;
    let number = cap.class.is_some_and(|class| is_level(class.value)) && point.at.exponent.is_none();
    let scale = point.scale.map_or(Decimal::ONE, |at| at.value);
    number.then_some((scale.normalize(), point.offset.map_or(Decimal::ZERO, |at| at.value.normalize())))
}

/// Every write to registers that does not say that the whole is meant.
fn writes(draft: &MappingDraft) -> Vec<Write<'_>> {
    let capabilities = draft.bound().filter_map(|cap| {
        let keeps = cap.write.as_ref()?.read_modify_write.is_some_and(|keep| !keep.value);
        written(draft, cap).filter(|_| !keeps)
    });
    let steps = draft.commands.iter().flat_map(|command| {
        let steps = command.send.iter().filter(|step| step.read_modify_write.is_none_or(|keep| keep.value));
        steps.filter_map(|step| {
            let place = used(draft, &command.id.value, &step.point.at, None, step.span)?;
            Some(Write { place, whole: step.span, own: None })
        })
    });
    capabilities.chain(steps).filter(|write| !write.place.point.table.is_bits()).collect()
}

/// Where a capability is written, if that is not just where it is read.
fn written<'d>(draft: &'d MappingDraft, cap: &'d CapabilityDraft) -> Option<Write<'d>> {
    let write = cap.write.as_ref()?;
    let own = cap.read_point(draft);
    let place = used(draft, &cap.id.value, &write.point.at, own, write.span)?;
    (!place.point.table.is_bits()).then_some(Write { place, whole: write.span, own })
}

pub(super) fn used<'d>(
    draft: &MappingDraft,
    name: &'d str,
    at: &PlaceDraft,
    inherited: Option<ModbusPoint>,
    span: Span,
) -> Option<Use<'d>> {
    let point = at.resolve(inherited, draft.order())?;
    Some(Use { name, point, span: at.place.map_or(span, |place| place.span), linear: None })
}
