//! Whether a place exists and can do what is asked of it.

use std::time::Duration;

use super::{ModbusPoint, ModbusTable, ModbusWriteFunction, PlaceDraft, RegisterEncoding};
use crate::code::Code;
use crate::compile::Compiler;
use crate::compile::capability::is_level;
use crate::diagnostic::Span;
use crate::draft::{At, WriteDraft};
use crate::mapping::Class;

impl Compiler<'_> {
    pub(crate) fn check_point(&mut self, class: Class, draft: &PlaceDraft, point: ModbusPoint, span: Span) {
        if point.table.is_bits() {
            self.check_bit_table(class, draft, point, span);
            return;
        }
        let place = draft.place.map_or(span, |place| place.span);
        if u32::from(point.address) + u32::from(point.count) > 0x1_0000 {
            let message =
                format!("{} registers from {} on reach beyond the last, 65535", point.count, point.address);
            let last = 0x1_0000 - u32::from(point.count);
            let error = self.report.error(Code::AddressRange, place, message);
            error.help(format!("{last} is the last address where it fits: correct the address or `as`"));
        }
        let most = self.draft.max_read().of(point.table);
        if point.count > most {
            let message = format!("{} registers cannot be read with `max_registers: {most}`", point.count);
            let error = self.report.error(Code::AddressRange, place, message);
            error.help(format!("write `max_registers: {}` or more, or correct `as`", point.count));
        }
        if !draft.unknown {
            self.check_length(draft, point);
            self.check_bits(draft, point);
        }
    }

    /// Whether there is time to send a write, and what comes right after another can wait for its turn; `span` is where its
    /// `ttl` would be.
    pub(crate) fn check_ttl(&mut self, ttl: Option<At<Duration>>, span: Span) {
        if let Some(ttl) = ttl.filter(|ttl| ttl.value.is_zero()) {
            let message = "with a `ttl` of 0 every write is given up before it is sent";
            let error = self.report.error(Code::NumberRange, ttl.span, message);
            error.help("write how long it may wait, such as `ttl: 5s`, or remove `ttl`");
            return;
        }
        let time = ttl.map_or(Duration::from_secs(5), |ttl| ttl.value);
        let Some(rate) = self.draft.modbus.write_rate.filter(|rate| rate.value >= time) else { return };
        let (time, rate) = (time.as_millis(), rate.value.as_millis());
        let message =
            format!("a write right after another is given up ({time} ms) before its turn ({rate} ms)");
        let warning = self.report.warn(Code::NumberRange, ttl.map_or(span, |ttl| ttl.span), message);
        warning.help("give it a `ttl` that is longer than the `write_rate`, such as `ttl: 20s`");
    }

    /// `registers` and `byte`, and whether the encoding has them.
    fn check_length(&mut self, draft: &PlaceDraft, point: ModbusPoint) {
        let own = draft.encoding.map(|at| at.span);
        match (draft.registers, point.encoding.longest()) {
            (Some(given), None) => {
                let message = format!("this value always takes {}", registers(point.encoding));
                let error = self.report.error(Code::RegisterKeys, given.span, message);
                error.help("remove `registers`: it belongs to `as: bcd`, `string` and `raw`");
            }
            (Some(given), Some(most)) if given.value > most => {
                let message = format!("{} registers are too many for this value", given.value);
                self.report.error(Code::RegisterKeys, given.span, message).help(format!("at most {most}"));
            }
            (None, Some(_)) if point.encoding != RegisterEncoding::Bcd => {
                if let Some(span) = own {
                    let error =
                        self.report.absent(Code::MissingKey, span, "a text or bytes need `registers`");
                    error.help("say how long it is, two bytes a register, such as `registers: 8`");
                }
            }
            _ => {}
        }
        if let Some(half) = draft.half.filter(|_| !point.encoding.is_part()) {
            let error = self.report.error(Code::RegisterKeys, half.span, "only `u8` and `s8` are one byte");
            error.help("remove `byte`, or write `as: u8`");
        }
    }

    fn check_bit_table(&mut self, class: Class, draft: &PlaceDraft, point: ModbusPoint, span: Span) {
        let table = point.table.name();
        for (key, place) in [
            ("as", draft.encoding.map(|at| at.span)),
            ("order", draft.order.map(|at| at.span)),
            ("bits", draft.bits.map(|at| at.span)),
            ("byte", draft.half.map(|at| at.span)),
            ("registers", draft.registers.map(|at| at.span)),
            ("exponent", draft.exponent.map(|at| at.span)),
        ] {
            if let Some(place) = place {
                let message = format!("`{table}` is a single bit and has no `{key}`");
                self.report.error(Code::RegisterKeys, place, message).help(format!("remove `{key}`"));
            }
        }
        if is_level(class) {
            let span = draft.place.map_or(span, |place| place.span);
            let message = format!("`{table}` is a single bit, and {} is a number", class.a_name());
            let binary = if class.is_control() { "BinaryControl" } else { "BinarySensor" };
            let error = self.report.error(Code::Table, span, message);
            error.help(format!("use `holding` or `input`, or make it a {binary}"));
        }
    }

    fn check_bits(&mut self, draft: &PlaceDraft, point: ModbusPoint) {
        let Some(bits) = draft.bits else { return };
        let (first, last) = bits.value;
        let width = point.count * 16;
        let problem = if !point.encoding.has_bits() {
            Some(("only an unsigned number has bits".to_owned(), "use u16, u32 or u64".to_owned(), None))
        } else if first > last {
            let fix = format!("{last}..{first}");
            Some(("the bit range ends before it begins".to_owned(), format!("write `{fix}`"), Some(fix)))
        } else if u16::from(last) >= width {
            let message = format!("bit {last} is beyond the {width} bits of the value");
            let wider = if width == 16 { "; `as: u32` has 32" } else { "" };
            let help = format!("bits count from 0, the least significant, to {}{wider}", width - 1);
            Some((message, help, None))
        } else {
            None
        };
        if let Some((message, help, fix)) = problem {
            let error = self.report.error(Code::Bits, bits.span, message);
            let error = if let Some(fix) = fix { error.fix(fix) } else { error };
            error.help(help);
        }
    }

    /// Which function writes; `None` when none can.
    pub(crate) fn write_function(
        &mut self,
        write: &WriteDraft,
        point: ModbusPoint,
    ) -> Option<ModbusWriteFunction> {
        let span = write.point.at.place.map_or(write.span, |place| place.span);
        if !point.table.is_writable() {
            let message = format!("the table `{}` can only be read", point.table.name());
            let help = match write.point.at.place {
                Some(_) => "write to `holding` or `coil`",
                None => "give `write` the `holding` or `coil` that is written, with its address",
            };
            self.report.error(Code::ReadOnlyTable, span, message).help(help);
            return None;
        }
        let mask =
            self.draft.modbus.mask_write.is_some_and(|at| at.value) && write.read_modify_write.is_none();
        let (default, others): (_, &[u8]) = match (point.table, point.count) {
            (ModbusTable::Coil, _) => (5, &[5, 15]),
            (_, 1) if point.is_part() && mask => (22, &[6, 16, 22, 23]),
            (_, 1) if point.is_part() => (6, &[6, 16, 22, 23]),
            (_, 1) => (6, &[6, 16, 23]),
            _ => (16, &[16, 23]),
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
                .fix(default.to_string())
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

    /// Whether the other bits have to be read before they are written. Function 22 leaves them to the device.
    pub(crate) fn read_modify_write(
        &mut self,
        write: &WriteDraft,
        point: ModbusPoint,
        function: ModbusWriteFunction,
    ) -> bool {
        if function == ModbusWriteFunction::MaskWrite {
            return false;
        }
        match (write.read_modify_write, point.is_part()) {
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
                warning.fix("true").help("write `rmw: true`, or leave it away, to keep them");
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
