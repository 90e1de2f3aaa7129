//! Places that several controls write: what one sets, the other changes.

use super::ModbusPoint;
use super::overlap::{Use, last, overlap, run, span_of, used};
use crate::code::Code;
use crate::compile::Compiler;
use crate::draft::{CapabilityDraft, MappingDraft};

impl Compiler<'_> {
    /// Warns of two controls that write one coil, or the same bits of a register.
    pub(super) fn check_writers(&mut self) {
        let draft = self.draft;
        let mut writers: Vec<Use<'_>> = draft.bound().filter_map(|cap| writer(draft, cap)).collect();
        writers.sort_by_key(|place| (place.point.table, place.point.address, place.span.start));
        for (at, place) in writers.iter().enumerate() {
            let before = writers.get(..at).unwrap_or_default().iter().rev();
            // No value takes more than 125 registers.
            let near = before.take_while(|other| {
                other.point.table == place.point.table
                    && other.point.address.abs_diff(place.point.address) < 125
            });
            if let Some(other) = near
                .into_iter()
                .find(|other| overlap(&other.point, &place.point) && shares_bits(other, place))
            {
                let in_order = other.span.start < place.span.start;
                let (first, later) = if in_order { (other, place) } else { (place, other) };
                self.both_write(first, later);
            }
        }
    }

    fn both_write(&mut self, first: &Use<'_>, later: &Use<'_>) {
        let (table, from, _) = span_of(&later.point);
        let place =
            run(&(table, from.max(first.point.address.into()), last(&later.point).min(last(&first.point))));
        let message = format!("{place} is written by `{}` on line {} too", first.name, first.span.line);
        let warning = self.report.unfit(Code::Overlap, later.span, message);
        let help = "what one sets changes the other: correct an address";
        let bits = "; a part of a register is written with `bits`";
        warning.help(if table.is_bits() { help.to_owned() } else { format!("{help}{bits}") });
    }
}

/// Where a control is written; `write: {}` is where it is read.
fn writer<'d>(draft: &MappingDraft, cap: &'d CapabilityDraft) -> Option<Use<'d>> {
    let write = cap.write.as_ref()?;
    let read = cap.read.as_ref().and_then(|read| read.point.at.place).map(|place| place.span);
    let place = used(draft, &cap.id.value, &write.point.at, cap.read_point(draft), write.span)?;
    let own = write.point.at.place.map(|place| place.span);
    Some(Use { span: own.or(read).unwrap_or(place.span), ..place })
}

/// Whether two points that overlap have a bit in common.
fn shares_bits(one: &Use<'_>, other: &Use<'_>) -> bool {
    let single = |point: &ModbusPoint| point.count == 1;
    let long = |point: &ModbusPoint| point.bits.zip(Some((point.address, point.count)));
    if single(&one.point) && single(&other.point) {
        return one.point.mask() & other.point.mask() != 0;
    }
    match (long(&one.point), long(&other.point)) {
        (Some(((a, b), same)), Some(((c, d), place))) if same == place => a <= d && c <= b,
        _ => true,
    }
}
