//! The numbers that manuals print: the table in the first digit, counted from 1.

use super::ModbusTable;

/// Digit of the table and the protocol's address, if a number is probably one of a manual's.
///
/// A holding register may well be called 30001 by the protocol itself, so that is taken as it is; an input register 40001, or a bit of a table of registers, is hardly ever meant.
pub(super) fn notation(number: i128, table: ModbusTable) -> Option<(i128, i128)> {
    let digits: &[i128] = match table {
        ModbusTable::Coil => &[3, 4],
        ModbusTable::Discrete => &[1, 3, 4],
        ModbusTable::Input => &[3, 4],
        ModbusTable::Holding => &[4],
    };
    digits.iter().find_map(|digit| {
        let long = number - digit * 100_000;
        let short = number - digit * 10_000;
        let mut found = [(long, 65_536), (short, 9_999)].into_iter();
        found.find(|(at, most)| (1..=*most).contains(at)).map(|(at, _)| (*digit, at - 1))
    })
}

/// Whether a coil's number is probably that of a discrete input: the protocol may well have a coil there.
pub(super) fn is_doubtful(number: i128, table: ModbusTable) -> bool {
    table == ModbusTable::Coil && (10_001..20_000).contains(&number)
}

/// Which table a first digit stands for.
pub(super) fn table(digit: i128) -> &'static str {
    match digit {
        1 => "discrete",
        3 => "input",
        _ => "holding",
    }
}
