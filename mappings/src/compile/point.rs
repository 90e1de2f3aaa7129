//! Whether a place exists and can do what is asked of it.

use super::Compiler;
use super::capability::is_level;
use crate::code::Code;
use crate::diagnostic::Span;
use crate::draft::{PointDraft, WriteDraft};
use crate::mapping::{Class, ModbusPoint, ModbusTable, ModbusWriteFunction, RegisterEncoding};

impl Compiler<'_> {
    pub(super) fn check_point(&mut self, class: Class, draft: &PointDraft, point: ModbusPoint, span: Span) {
        if point.table.is_bits() {
            self.check_bit_table(class, draft, point, span);
            return;
        }
        let place = draft.place.map_or(span, |place| place.span);
        if u32::from(point.address) + u32::from(point.count) > 0x1_0000 {
            let message =
                format!("{} registers from {} on reach beyond the last, 65535", point.count, point.address);
            self.report.error(Code::AddressRange, place, message);
        }
        if point.count > self.draft.max_registers() {
            let message = format!(
                "{} registers cannot be read with `max_registers: {}`",
                point.count,
                self.draft.max_registers()
            );
            self.report.error(Code::AddressRange, place, message);
        }
        self.check_bits(draft, point);
    }

    fn check_bit_table(&mut self, class: Class, draft: &PointDraft, point: ModbusPoint, span: Span) {
        let table = point.table.name();
        for (key, place) in [
            ("as", draft.encoding.map(|at| at.span)),
            ("order", draft.order.map(|at| at.span)),
            ("bits", draft.bits.map(|at| at.span)),
        ] {
            if let Some(place) = place {
                let message = format!("`{table}` is a single bit and has no `{key}`");
                self.report.error(Code::RegisterKeys, place, message).help(format!("remove `{key}`"));
            }
        }
        if is_level(class) {
            let span = draft.place.map_or(span, |place| place.span);
            let message = format!("`{table}` is a single bit, and {} is a number", class.a_name());
            self.report.error(Code::Table, span, message).help("use `holding` or `input`, or a Binary class");
        }
    }

    fn check_bits(&mut self, draft: &PointDraft, point: ModbusPoint) {
        let Some(bits) = draft.bits else { return };
        let (first, last) = bits.value;
        let width = point.count * 16;
        let problem = if !point.encoding.has_bits() {
            Some(("only an unsigned number has bits".to_owned(), "use u16, u32 or u64".to_owned()))
        } else if first > last {
            Some(("the bit range ends before it begins".to_owned(), format!("write `{last}..{first}`")))
        } else if u16::from(last) >= width {
            let message = format!("bit {last} is beyond the {width} bits of the value");
            Some((message, format!("bits count from 0, the least significant, to {}", width - 1)))
        } else {
            None
        };
        if let Some((message, help)) = problem {
            self.report.error(Code::Bits, bits.span, message).help(help);
        }
    }

    /// Which function writes; `None` when none can.
    pub(super) fn write_function(
        &mut self,
        write: &WriteDraft,
        point: ModbusPoint,
    ) -> Option<ModbusWriteFunction> {
        let span = write.point.place.map_or(write.span, |place| place.span);
        if !point.table.is_writable() {
            let message = format!("the table `{}` can only be read", point.table.name());
            self.report.error(Code::ReadOnlyTable, span, message).help("write to `holding` or `coil`");
            return None;
        }
        let (default, others): (_, &[u8]) = match (point.table, point.count) {
            (ModbusTable::Coil, _) => (5, &[5, 15]),
            (_, 1) => (6, &[6, 16]),
            _ => (16, &[16]),
        };
        let given = write.function.map_or(default, |function| function.value);
        if let Some(function) = write.function.filter(|_| !others.contains(&given)) {
            let what = if point.table == ModbusTable::Coil {
                "a coil".to_owned()
            } else {
                registers(point.encoding)
            };
            let message = format!("function {given} does not write {what}");
            self.report
                .error(Code::Function, function.span, message)
                .help(format!("use `fc: {default}`, or leave it away"));
        }
        Some(match given {
            22 => ModbusWriteFunction::MaskWrite,
            23 => ModbusWriteFunction::ReadWriteRegisters,
            5 => ModbusWriteFunction::SingleCoil,
            15 => ModbusWriteFunction::MultipleCoils,
            6 => ModbusWriteFunction::SingleRegister,
            _ => ModbusWriteFunction::MultipleRegisters,
        })
    }

    pub(super) fn read_modify_write(&mut self, write: &WriteDraft, point: ModbusPoint) -> bool {
        match (write.read_modify_write, point.bits.is_some()) {
            (None, has_bits) => has_bits,
            (Some(asked), false) if asked.value => {
                let message = "there are no other bits to keep";
                let error = self.report.error(Code::ReadModifyWrite, asked.span, message);
                error.help("say which `bits` are written, or remove `rmw`");
                true
            }
            (Some(asked), true) if !asked.value => {
                let message = "the other bits of the register are written as 0";
                let warning = self.report.warn(Code::ReadModifyWrite, asked.span, message);
                warning.help("remove `rmw: false` to keep them");
                false
            }
            (Some(asked), _) => asked.value,
        }
    }
}

fn registers(encoding: RegisterEncoding) -> String {
    match encoding.registers() {
        1 => "a register".to_owned(),
        count => format!("{count} registers"),
    }
}
