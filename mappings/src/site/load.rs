//! What polling asks of a serial line, and whether it can give that.
//!
//! A read of n registers takes 8 characters out and 5 + 2n back, with 3.5 characters of silence before each (Modbus
//! over Serial Line V1.02, 2.5.1.1), and the pauses that the mapping asks for. What devices take to think is not
//! known here and counts nothing: a line that is too slow by this is too slow by far.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::mapping::{Device, Mapping, ModbusOptions, ModbusPoint, ModbusTable, Poll, ReadPoint, SerialLine};

/// Seconds that an exchange over a network takes at least.
const QUICKEST: f64 = 0.001;

/// What polling one device takes of each second of its line.
pub(super) struct Load {
    /// Exchanges a second.
    pub(super) exchanges: f64,
    /// Share of the line's time; 1 is all of it.
    pub(super) share: f64,
    /// Seconds that the longest exchange takes at least.
    pub(super) longest: f64,
}

/// The load of a device on a line, or behind a network.
pub(super) fn load(device: &Device, line: Option<&SerialLine>) -> Load {
    let mut load = Load { exchanges: 0.0, share: 0.0, longest: 0.0 };
    let Some(options) = device.mapping.protocol.modbus() else { return load };
    for (period, points) in polled(&device.mapping) {
        let rate = 1.0 / period.as_secs_f64();
        for characters in reads(&points, options) {
            load.exchanges += rate;
            load.share += rate * line.map_or(QUICKEST, |line| exchange(characters, options, line));
            load.longest = load.longest.max(line.map_or(0.0, |line| transfer(characters, line)));
        }
    }
    load
}

/// Points by the period of their poll.
fn polled(mapping: &Mapping) -> BTreeMap<Duration, Vec<ModbusPoint>> {
    let mut polled: BTreeMap<Duration, Vec<ModbusPoint>> = BTreeMap::new();
    for read in mapping.points().filter_map(|point| point.read) {
        if let Poll::Every(period) = read.poll {
            let points = polled.entry(period).or_default();
            points.extend(read.places().filter_map(ReadPoint::modbus).copied());
        }
    }
    polled
}

/// Characters of each exchange that these points need at least.
fn reads(points: &[ModbusPoint], options: &ModbusOptions) -> Vec<u32> {
    let mut places: Vec<(ModbusTable, u32, u32)> = points
        .iter()
        .map(|point| {
            (point.table, u32::from(point.address), u32::from(point.address) + u32::from(point.count))
        })
        .collect();
    places.sort_unstable();
    let mut blocks: Vec<(ModbusTable, u32, u32)> = Vec::new();
    for (table, start, end) in places {
        let (most, gap) = (u32::from(options.max_read.of(table)), u32::from(options.max_gap.of(table)));
        match blocks.last_mut() {
            Some(last) if last.0 == table && start <= last.2 + gap && end.max(last.2) - last.1 <= most => {
                last.2 = last.2.max(end);
            }
            _ => blocks.push((table, start, end)),
        }
    }
    let bytes = |table: ModbusTable, count: u32| if table.is_bits() { count.div_ceil(8) } else { 2 * count };
    blocks.iter().map(|(table, start, end)| 13 + bytes(*table, end - start)).collect()
}

/// Seconds that so many characters and the silence between request and reply take, whatever the device needs to think.
fn transfer(characters: u32, line: &SerialLine) -> f64 {
    let character = f64::from(line.bits_per_character()) / f64::from(line.baud);
    let silence = if line.baud > 19_200 { 0.001_75 } else { 3.5 * character };
    f64::from(characters) * character + silence
}

/// Seconds that an exchange of so many characters takes, silences included.
fn exchange(characters: u32, options: &ModbusOptions, line: &SerialLine) -> f64 {
    let character = f64::from(line.bits_per_character()) / f64::from(line.baud);
    // Above 19200 baud the silence is fixed.
    let silence = if line.baud > 19_200 { 0.001_75 } else { 3.5 * character };
    let pause = silence.max(options.turnaround.as_secs_f64());
    transfer(characters, line) + pause
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::{ByteOrder, Parity, RegisterEncoding};

    fn point(address: u16, count: u16) -> ModbusPoint {
        ModbusPoint {
            table: ModbusTable::Input,
            address,
            count,
            encoding: RegisterEncoding::U16,
            order: ByteOrder::Abcd,
            bits: None,
        }
    }

    #[test]
    fn neighbours_are_read_together() {
        let options = ModbusOptions::default();
        assert_eq!(reads(&[point(0, 2), point(2, 2), point(9, 1)], &options), [21, 15]);
        assert_eq!(reads(&[point(0, 100), point(100, 100)], &options), [213, 213]);
        assert_eq!(reads(&[point(0, 4), point(1, 1)], &options), [21]);
    }

    #[test]
    fn an_exchange_costs_characters_and_silences() {
        let line = SerialLine {
            port: "/dev/ttyS0".into(),
            baud: 9600,
            parity: Parity::Even,
            data_bits: 8,
            stop_bits: 1,
        };
        let seconds = exchange(13 + 2 * 10, &ModbusOptions::default(), &line);
        assert!((seconds - (33.0 + 7.0) * 11.0 / 9600.0).abs() < 1e-9, "{seconds}");
    }
}
