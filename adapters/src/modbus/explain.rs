//! What will go over a wire and how long it will take, foretold: with the planner and the frames of the adapter itself, so
//! that neither can say otherwise.
//!
//! On a serial line an exchange takes the characters of request and reply, t3.5 until the device knows that the request
//! has ended, the time the device needs, and t3.5 before the next request, or `turnaround` if that is longer (Modbus over
//! Serial Line V1.02, 2.5.1.1); the same device may be asked again after its `guard`. Over TCP the device's time and these
//! pauses are all that is known.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use usp_mapping::mapping::{BusKind, Command, Device, ModbusTable};
use usp_mapping::port::{CommandId, DeviceFault, PointId};
use usp_mapping::value::Value;

use super::codec::{Answer, Ask, Query};
use super::model::ModbusModel;
use super::rtu::{Timing, frame};
use crate::bus::clock::PollClock;
use crate::bus::queue::Target;
use crate::bus::schedule::PROBE_SHARE;
use crate::bus::{Model, WriteStart};

/// How often at most a device that is offline is asked while others of its bus are there, whatever its `backoff`; it costs them a
/// `timeout` each time.
pub fn lost_every(timeout: Duration) -> Duration {
    timeout * (PROBE_SHARE + 1)
}

/// Rounds that are looked at to find out how often each comes.
const ROUNDS: usize = 2000;

/// A bus, and how quick the devices on it are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The bus.
    pub bus: BusKind,
    /// From the end of a request, as the device sees it, to the beginning of its reply.
    pub delay: Duration,
}

/// One request with its reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// `read input 0..13`, `write coil 3`.
    pub what: String,
    /// The request as it goes over the wire; over TCP with transaction 1.
    pub request: Vec<u8>,
    /// Bytes of a good reply.
    pub reply: usize,
    /// For how long it keeps the bus from others.
    pub busy: Duration,
    /// From its beginning to the end of a good reply: what `timeout` has to allow.
    pub answered: Duration,
    /// From its beginning to when the same device may be asked again.
    pub time: Duration,
    /// Whom a read is for, by address.
    pub points: Vec<PointId>,
    /// How many registers or bits a read brings.
    pub cells: usize,
    /// How many of them nobody wants.
    pub unwanted: usize,
}

/// What is read together when polls are due.
#[derive(Clone, Debug, PartialEq)]
pub struct Round {
    /// In the order of the mapping.
    pub points: Vec<PointId>,
    /// In the order of the wire.
    pub exchanges: Vec<Exchange>,
    /// How many such rounds there are in a second.
    pub rate: f64,
}

impl Round {
    /// How long one of them takes when nobody else is asked.
    pub fn time(&self) -> Duration {
        time(&self.exchanges)
    }

    /// Share of the bus' time.
    pub fn load(&self) -> f64 {
        let busy: Duration = self.exchanges.iter().map(|exchange| exchange.busy).sum();
        busy.as_secs_f64() * self.rate
    }
}

/// How long these take, one after the other, when nobody else is asked.
pub fn time(exchanges: &[Exchange]) -> Duration {
    exchanges.iter().map(|exchange| exchange.time).sum()
}

/// The exchanges that read these points of a device of which nothing was learnt yet.
pub fn reads(device: &Device, way: &Way, points: &[PointId]) -> Vec<Exchange> {
    let mut model = ModbusModel::new(device);
    let asks = model.plan(Instant::now(), points);
    asks.iter().map(|ask| exchange(&model, way, ask)).collect()
}

/// The exchanges that write a value, without those that verify it. Where bits of a register are kept, all others are
/// taken to be 0.
///
/// Errors: the value cannot be written there.
pub fn write(
    device: &Device,
    way: &Way,
    point: PointId,
    value: &Value,
) -> Result<Vec<Exchange>, DeviceFault> {
    let model = ModbusModel::new(device);
    let asks = writes(&model, Target::Point(point), value)?;
    Ok(asks.iter().map(|ask| exchange(&model, way, ask)).collect())
}

/// The write itself, behind the read of the bits that it keeps.
fn writes(model: &ModbusModel, target: Target, value: &Value) -> Result<Vec<Ask>, DeviceFault> {
    Ok(match model.write(target, value)? {
        WriteStart::Send(ask) => vec![ask],
        WriteStart::Fetch(ask) => {
            let change = model.modify(target, value, nothing(&ask))?;
            vec![ask, change]
        }
    })
}

/// The exchanges of a command of the vendor, one of the device's own, with these arguments in the order of
/// [`Command::args`]. Where bits of a register are kept, all others are taken to be 0.
///
/// Errors: an argument cannot be written where it goes.
pub fn command(
    device: &Device,
    way: &Way,
    command: &Command,
    args: &[Value],
) -> Result<Vec<Exchange>, DeviceFault> {
    let model = ModbusModel::new(device);
    let place = device.mapping.commands.iter().position(|other| other == command);
    let id = place.and_then(|place| u16::try_from(place).ok()).map(CommandId).ok_or(DeviceFault::Unknown)?;
    let steps = command.steps.iter().enumerate();
    let steps = steps.filter_map(|(place, step)| Some((Target::Step(id, place), step.value(args)?)));
    let mut exchanges = Vec::new();
    for (target, value) in steps {
        let asks = writes(&model, target, &value)?;
        exchanges.extend(asks.iter().map(|ask| exchange(&model, way, ask)));
    }
    Ok(exchanges)
}

/// An answer of which every register is 0.
fn nothing(ask: &Ask) -> Answer {
    match &ask.query {
        Query::Read(block) => Answer::Registers(vec![0; block.count.into()]),
        _ => Answer::Written,
    }
}

/// The different rounds in which a device is polled, the most frequent first.
pub fn rounds(device: &Device, way: &Way) -> Vec<Round> {
    let start = Instant::now();
    let mut clock = PollClock::new(&device.mapping, start);
    let mut seen: Vec<(Vec<PointId>, usize)> = Vec::new();
    let over = start + horizon(device);
    // What is read once belongs to the start alone; everything else comes again at the end of the horizon.
    clock.take_due(start);
    let mut at = start;
    for _ in 0..ROUNDS {
        let Some(next) = clock.next_due() else { return Vec::new() };
        at = next;
        let mut points = clock.take_due(at);
        points.sort_unstable();
        match seen.iter_mut().find(|(known, _)| *known == points) {
            Some((_, times)) => *times += 1,
            None => seen.push((points, 1)),
        }
        if at >= over {
            break;
        }
    }
    let seconds = (at - start).as_secs_f64();
    let round = |(points, times): (Vec<PointId>, usize)| Round {
        exchanges: reads(device, way, &points),
        points,
        rate: times as f64 / seconds,
    };
    let mut rounds: Vec<Round> = seen.into_iter().map(round).collect();
    rounds.sort_by(|a, b| b.rate.total_cmp(&a.rate));
    rounds
}

/// After how long everything begins anew: the least common multiple of the periods.
fn horizon(device: &Device) -> Duration {
    let periods = device.mapping.poll_groups.iter().map(|group| group.every.as_millis().max(1));
    let common = periods.fold(1, |all, period| all / gcd(all, period) * period);
    Duration::from_millis(u64::try_from(common).unwrap_or(u64::MAX).min(86_400_000))
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn exchange(model: &ModbusModel, way: &Way, ask: &Ask) -> Exchange {
    let rtu = frame::request(ask);
    let answer = frame::answer_length(&ask.query);
    let (request, reply) = match way.bus {
        BusKind::ModbusTcp { .. } => (tcp(&rtu), answer + TCP_HEAD - RTU_REST),
        _ => (rtu.clone(), answer),
    };
    let (points, cells, unwanted) = match &ask.query {
        Query::Read(block) => {
            let (cells, wanted) = (usize::from(block.count), block.wanted());
            // A point of several places in the read is there once for each.
            let mut seen = BTreeSet::new();
            let points = block.points.iter().map(|(point, _)| *point);
            let points: Vec<_> = points.filter(|point| seen.insert(*point)).collect();
            // A read before a write is for no point, and wanted as it is.
            let unwanted = if points.is_empty() { 0 } else { cells.saturating_sub(wanted) };
            (points, cells, unwanted)
        }
        _ => (Vec::new(), 0, 0),
    };
    let what = what(&rtu);
    let (bytes, turnaround) = (request.len() + reply, model.turnaround());
    let answered = answered(way, bytes);
    let busy = duration(way, bytes, turnaround);
    let time = duration(way, bytes, model.guard().max(turnaround));
    Exchange { what, request, reply, answered, busy, time, points, cells, unwanted }
}

/// Bytes before the PDU of a TCP frame, unit included.
const TCP_HEAD: usize = 7;

/// Bytes around the PDU of an RTU frame: unit and checksum.
const RTU_REST: usize = 3;

/// The same with TCP's header: transaction, protocol, length, unit (Modbus Messaging on TCP/IP V1.0b, 3.1.3).
fn tcp(rtu: &[u8]) -> Vec<u8> {
    let body = rtu.split_last_chunk::<2>().map_or(rtu, |(body, _)| body);
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    [[0, 1, 0, 0].as_slice(), &length.to_be_bytes(), body].concat()
}

/// The words for a request, from its bytes.
fn what(frame: &[u8]) -> String {
    let [_, function, high, low, rest @ ..] = frame else { return String::new() };
    let first = u32::from(u16::from_be_bytes([*high, *low]));
    let count = match (function, rest) {
        (1..=4 | 15 | 16 | 23, [high, low, ..]) => u32::from(u16::from_be_bytes([*high, *low])).max(1),
        _ => 1,
    };
    let (verb, table) = match function {
        1 => ("read", ModbusTable::Coil),
        2 => ("read", ModbusTable::Discrete),
        3 => ("read", ModbusTable::Holding),
        4 => ("read", ModbusTable::Input),
        5 | 15 => ("write", ModbusTable::Coil),
        22 => ("change bits of", ModbusTable::Holding),
        23 => ("write and read", ModbusTable::Holding),
        _ => ("write", ModbusTable::Holding),
    };
    let (table, last) = (table.name(), first + count - 1);
    if count == 1 { format!("{verb} {table} {first}") } else { format!("{verb} {table} {first}..{last}") }
}

fn duration(way: &Way, characters: usize, pause: Duration) -> Duration {
    let pause = match &way.bus {
        BusKind::ModbusRtu(line) => Timing::of(line).silence().max(pause),
        _ => pause,
    };
    answered(way, characters) + pause
}

fn answered(way: &Way, characters: usize) -> Duration {
    match &way.bus {
        BusKind::ModbusRtu(line) => {
            let timing = Timing::of(line);
            timing.characters(characters) + timing.silence() + way.delay
        }
        _ => way.delay,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use usp_mapping::compile::compile_file;
    use usp_mapping::diagnostic::SourceFile;
    use usp_mapping::mapping::{BusAddress, DeviceAddress, Parity, SerialLine};
    use usp_mapping::port::DeviceId;

    use super::*;

    const METER: &str = "uspmap: 1
profile: acme.meter
version: 1.0.0
device: {type: Meter}
modbus: {max_gap: 2, guard: 5ms}
poll: {fast: 1s, slow: 10s}
capabilities:
  a: {class: LevelSensor, type: Power, unit: W, read: {input: 0, as: f32}, poll: fast}
  b: {class: LevelSensor, type: Power, unit: W, read: {input: 4, as: f32}, poll: fast}
  c: {class: LevelSensor, type: Energy, unit: kWh, read: {input: 2, as: u32}, poll: slow}
  d: {class: EnumControl, type: OperatingMode, read: {holding: 12, bits: 4..6, map: {0: Low, 2: High}}, write: {}, poll: slow}
  e: {class: BinaryControl, type: Switch, read: {discrete: 515}, write: {coil: 3}, poll: slow}
";

    const MORE: &str =
        "  f: {class: LevelSensor, type: Power, unit: W, read: {input: 20, exponent: {input: 22}}}
  g: {class: LevelSensor, type: Power, unit: W, read: {input: 21, exponent: {input: 22}}}
commands:
  X_ACME_Go: {send: [{holding: 12, bits: 4..6, value: 2}]}
";

    fn device() -> Device {
        compiled(METER)
    }

    fn compiled(text: &str) -> Device {
        let (mapping, found) = compile_file(&SourceFile::new("meter.yaml", text));
        let mapping = Arc::new(mapping.unwrap_or_else(|| panic!("{found:?}")));
        let (id, address) = (DeviceId("d".into()), DeviceAddress::ModbusUnit(17));
        Device { id, name: "d".to_owned(), mapping, bus: "line".to_owned(), address }
    }

    fn line(baud: u32) -> Way {
        let bus = BusKind::ModbusRtu(SerialLine {
            port: "/dev/ttyS0".to_owned(),
            baud,
            parity: Parity::Even,
            data_bits: 8,
            stop_bits: 1,
        });
        Way { bus, delay: Duration::from_millis(10) }
    }

    #[test]
    fn a_round_is_what_goes_over_the_wire() {
        let [read] = reads(&device(), &line(9600), &[PointId(0), PointId(1)]).try_into().unwrap();
        assert_eq!((read.what.as_str(), read.reply), ("read input 0..5", 17));
        assert_eq!(read.request.get(..6), Some([17, 4, 0, 0, 0, 6].as_slice()));
        assert_eq!((read.points.len(), read.cells, read.unwanted), (2, 6, 2));
        // 25 characters of 11 bits, t3.5 of 38.5 bits, 10 ms, and the guard of 5 ms, which is longer than t3.5.
        let bits = |bits: f64| bits / 9600.0;
        let expected = bits(25.0 * 11.0) + bits(38.5) + 0.010 + 0.005;
        assert!((read.time.as_secs_f64() - expected).abs() < 1e-5, "{:?} {expected}", read.time);
    }

    #[test]
    fn groups_that_are_due_together_are_read_together() {
        let [fast, all] = rounds(&device(), &line(9600)).try_into().unwrap();
        assert_eq!((fast.points.len(), fast.exchanges.len()), (2, 1));
        assert_eq!((all.points.len(), all.exchanges.len()), (5, 3), "c fills the gap of a and b");
        assert_eq!(all.exchanges.iter().map(|exchange| exchange.unwanted).sum::<usize>(), 0);
        assert!((fast.rate - 0.9).abs() < 1e-9 && (all.rate - 0.1).abs() < 1e-9);
        // What `guard` adds to t3.5 keeps nobody else from the bus.
        let busy = fast.time().as_secs_f64() - 0.005 + 38.5 / 9600.0;
        assert!((fast.load() - busy * 0.9).abs() < 1e-6);
    }

    #[test]
    fn a_write_that_keeps_bits_reads_them_first() {
        let value = Value::Text("High".to_owned());
        let [fetch, change] = write(&device(), &line(9600), PointId(3), &value).unwrap().try_into().unwrap();
        assert_eq!((fetch.what.as_str(), change.what.as_str()), ("read holding 12", "write holding 12"));
        assert_eq!(change.request.get(..6), Some([17, 6, 0, 12, 0, 0x20].as_slice()));
        let [coil] =
            write(&device(), &line(9600), PointId(4), &Value::Bool(true)).unwrap().try_into().unwrap();
        assert_eq!((coil.what.as_str(), coil.reply), ("write coil 3", 8));
        assert!(write(&device(), &line(9600), PointId(3), &Value::Text("No".to_owned())).is_err());
    }

    #[test]
    fn a_command_that_keeps_bits_reads_them_first() {
        let device = compiled(&[METER, MORE].concat());
        let exchanges = command(&device, &line(9600), &device.mapping.commands[0], &[]).unwrap();
        let what: Vec<_> = exchanges.iter().map(|exchange| exchange.what.as_str()).collect();
        assert_eq!(what, ["read holding 12", "write holding 12"]);
        assert_eq!(exchanges[1].request.get(..6), Some([17, 6, 0, 12, 0, 0x20].as_slice()));
    }

    #[test]
    fn a_point_of_several_places_is_named_once() {
        let [read] = reads(&compiled(&[METER, MORE].concat()), &line(9600), &[PointId(5), PointId(6)])
            .try_into()
            .unwrap();
        assert_eq!((read.what.as_str(), read.points), ("read input 20..22", vec![PointId(5), PointId(6)]));
    }

    #[test]
    fn tcp_has_its_own_frame_and_no_silences() {
        let address = BusAddress::Host("plant".to_owned(), 502);
        let way = Way { bus: BusKind::ModbusTcp { address }, delay: Duration::from_millis(10) };
        let [read] = reads(&device(), &way, &[PointId(0)]).try_into().unwrap();
        assert_eq!(read.request, [0, 1, 0, 0, 0, 6, 17, 4, 0, 0, 0, 2]);
        assert_eq!((read.reply, read.time), (13, Duration::from_millis(15)));
    }
}
