//! Devices as they are in the field: old functions, holes, limits, gateways, gauges in several registers.

use std::time::Duration;

use usp_mapping::mapping::{Command, CommandStep, ReadPart, StepValue};
use usp_mapping::port::CommandId;

use super::*;

fn holding(address: u16) -> ReadPoint {
    ReadPoint::Modbus(at(ModbusTable::Holding, address))
}

/// Bits 4 to 6 of register 30, by function 22.
fn masked() -> Capability {
    let mut capability = control(
        ModbusPoint { address: 30, bits: Some((4, 6)), ..PLACE },
        ModbusWriteFunction::MaskWrite,
        Some(500),
    );
    if let Some(WritePoint::Modbus { read_modify_write, .. }) =
        capability.write.as_mut().map(|write| &mut write.point)
    {
        *read_modify_write = false;
    }
    capability
}

fn functions(bench: &mut Bench) -> Vec<u8> {
    bench.server.requests().iter().map(|seen| seen.function).collect()
}

#[tokio::test]
async fn a_mask_write_keeps_the_other_bits_in_one_request() {
    let mut bench = Bench::start(&[("a", 1, &fake::mapping(&[masked()]))]);
    bench.server.world().registers.insert((1, 30), 0xffff);
    assert_eq!(bench.result(call(1, "a", write(0, 2))).await, Ok(number(2)));
    assert_eq!(bench.server.world().registers[&(1, 30)], 0xffaf);
    assert!(functions(&mut bench).ends_with(&[22, 3]));
}

#[tokio::test]
async fn a_device_without_function_22_is_written_the_old_way_until_it_reconnects() {
    let mut bench = Bench::start(&[("a", 1, &fake::mapping(&[masked()]))]);
    bench.server.world().registers.insert((1, 30), 0xffff);
    bench.server.world().lacks.insert(22);
    assert_eq!(bench.result(call(1, "a", write(0, 2))).await, Ok(number(2)));
    assert_eq!(bench.server.world().registers[&(1, 30)], 0xffaf);
    assert!(functions(&mut bench).ends_with(&[22, 3, 6, 3]));
    assert_eq!(bench.result(call(2, "a", write(0, 1))).await, Ok(number(1)));
    assert_eq!(functions(&mut bench), [3, 6, 3], "it is remembered");
    bench.server.world().lacks.clear();
    bench.server.world().faults.push_back(Fault::HangUp);
    bench.result(call(3, "a", read(&[0]))).await.ok();
    assert_eq!(bench.result(call(4, "a", write(0, 3))).await, Ok(number(3)));
    assert!(functions(&mut bench).ends_with(&[22, 3]), "and tried again");
}

#[tokio::test]
async fn function_23_falls_back_too() {
    let both = control(at(ModbusTable::Holding, 7), ModbusWriteFunction::ReadWriteRegisters, None);
    let mut bench = Bench::start(&[("a", 1, &fake::mapping(&[both]))]);
    assert_eq!(bench.result(call(1, "a", write(0, 5))).await, Ok(number(5)));
    assert!(functions(&mut bench).ends_with(&[23]));
    bench.server.world().faults.push_back(Fault::Forgotten);
    let forgotten = bench.result(call(3, "a", write(0, 9))).await;
    assert!(matches!(forgotten, Err(DeviceFault::NotConfirmed { .. })), "{forgotten:?}");
    assert_eq!(functions(&mut bench), [23], "its answer shows the register as it is");
    bench.server.world().lacks.insert(23);
    assert_eq!(bench.result(call(2, "a", write(0, 6))).await, Ok(number(6)));
    assert_eq!(functions(&mut bench), [23, 16]);
    assert_eq!(bench.server.world().registers[&(1, 7)], 6);
}

#[tokio::test]
async fn a_command_is_its_steps_and_ends_at_the_first_that_fails() {
    let step = |address, value| CommandStep {
        point: WritePoint::Modbus {
            point: at(ModbusTable::Holding, address),
            function: ModbusWriteFunction::SingleRegister,
            read_modify_write: false,
        },
        transform: Transform::default(),
        value,
    };
    let command = Command {
        name: "X_ACME_Reset".to_owned(),
        node: None,
        description: String::new(),
        args: Vec::new(),
        steps: vec![step(50, StepValue::Fixed(number(1))), step(51, StepValue::Arg(0))],
        ttl: Duration::from_secs(5),
        takes: Duration::from_secs(1),
    };
    let mapping = Mapping { commands: vec![command], ..fake::mapping(&[register(0)]) };
    let mut bench = Bench::start(&[("a", 1, &mapping)]);
    let reset = |minutes| Action::Command(CommandId(0), vec![number(minutes)]);
    assert_eq!(bench.results(call(1, "a", reset(90))).await, Ok(Vec::new()));
    {
        let world = bench.server.world();
        assert_eq!((world.registers[&(1, 50)], world.registers[&(1, 51)]), (1, 90));
    }
    bench.server.requests();
    bench.server.world().faults.push_back(Fault::Exception(4));
    let refused = bench.results(call(2, "a", reset(10))).await;
    assert!(matches!(refused, Err(DeviceFault::Refused(_))), "{refused:?}");
    assert_eq!(functions(&mut bench), [6], "the second step is not sent");
    let unfit = bench.results(call(3, "a", reset(70_000))).await;
    assert!(matches!(unfit, Err(DeviceFault::Unwritable(_))), "{unfit:?}");
    bench.server.world().holes.insert(51);
    let half = bench.results(call(5, "a", reset(10))).await.unwrap_err();
    let DeviceFault::HalfDone { step: 2, of: 2, fault } = &half else { panic!("{half:?}") };
    assert!(matches!(**fault, DeviceFault::Refused(_)), "{fault:?}");
    let text = half.to_string();
    assert!(
        text.starts_with("step 2 of 2: the device refused: ") && text.ends_with("; step 1 was done"),
        "{text}"
    );
    assert_eq!(
        bench.results(call(4, "a", Action::Command(CommandId(9), Vec::new()))).await,
        Err(DeviceFault::Unknown)
    );
}

/// Two numbers far apart, each with a power of ten of its own register.
#[tokio::test]
async fn a_reading_of_several_places_is_told_when_all_are_there() {
    let mut several = register(0);
    several.class = Class::MultiLevelSensor;
    let part = |address, exponent| ReadPart {
        point: holding(address),
        transform: Transform::default(),
        exponent: Some(ReadPoint::Modbus(ModbusPoint {
            encoding: RegisterEncoding::S16,
            ..at(ModbusTable::Holding, exponent)
        })),
    };
    if let Some(read) = &mut several.read {
        read.parts = vec![part(10, 11), part(200, 11)];
    }
    let mut bench = Bench::start(&[("a", 1, &fake::mapping(&[several, register(10)]))]);
    {
        let mut world = bench.server.world();
        world.registers.extend([((1, 10), 4711), ((1, 11), 0xfffe), ((1, 200), 5)]);
    }
    let both = vec![Decimal::new(4711, 2), Decimal::new(5, 2)];
    let results = bench.results(call(1, "a", read(&[0, 1]))).await.unwrap();
    assert_eq!(results, [Ok(Value::Numbers(both)), Ok(number(4711))]);
    bench.server.world().holes.insert(200);
    let results = bench.results(call(2, "a", read(&[0, 1]))).await.unwrap();
    assert!(matches!(&results[0], Err(DeviceFault::Refused(_))), "{results:?}");
    assert_eq!(results[1], Ok(number(4711)), "the neighbour is not held up");
}

/// Nothing is configured: 80 registers at once are wanted, 32 are answered.
#[tokio::test]
async fn short_reads_are_learnt_from_exceptions_and_from_silence() {
    for silent in [false, true] {
        let capabilities: Vec<_> = (0..80).map(polled).collect();
        let mut bench = Bench::start(&[("a", 1, &fake::mapping(&capabilities))]);
        bench.server.world().longest = Some((32, silent));
        let mut seen = vec![0u32; 80];
        while seen.iter().any(|count| *count < 3) {
            if let AdapterReport::Readings { readings, .. } = bench.report().await {
                for Reading { point, result, .. } in readings {
                    let expected = number(1000 + i64::from(point.0));
                    assert_eq!(result, Ok(expected), "silent: {silent}");
                    seen[usize::from(point.0)] += 1;
                }
            }
        }
        bench.server.requests();
        let lengths: Vec<_> =
            [bench.server.next().await, bench.server.next().await, bench.server.next().await]
                .map(|seen| seen.second)
                .to_vec();
        assert!(lengths.iter().all(|length| (16..=32).contains(length)), "silent: {silent}, {lengths:?}");
    }
}

/// Busy (6), a passing failure (4), later (5): the next poll reads it, together with the others.
#[tokio::test]
async fn a_transient_exception_heals_and_marks_no_hole() {
    let mut bench = Bench::start(&[("a", 1, &fake::mapping(&(0..8).map(polled).collect::<Vec<_>>()))]);
    for code in [4, 5, 6] {
        bench.server.world().faults.push_back(Fault::Exception(code));
        let healthy = |report: &AdapterReport| {
            matches!(report, AdapterReport::Readings { readings, .. }
                if readings.len() == 8 && readings.iter().all(|reading| reading.result.is_ok()))
        };
        while !bench.server.world().faults.is_empty() {
            bench.report().await;
        }
        while !healthy(&bench.report().await) {}
    }
    bench.server.requests();
    assert_eq!(bench.server.next().await.second, 8, "in one read");
}

/// Exceptions 10 and 11 are the gateway's word about one unit.
#[tokio::test]
async fn a_unit_that_its_gateway_cannot_reach_costs_the_others_nothing() {
    let mapping = fake::mapping(&[polled(0)]);
    let mut bench = Bench::start(&[("a", 1, &mapping), ("b", 2, &mapping)]);
    bench.server.world().unreachable.insert(1, 11);
    let Err(DeviceFault::Unreachable(cause)) = bench.online("a").await else { panic!("not unreachable") };
    assert!(cause.contains("exception 11"), "{cause}");
    assert_eq!(bench.result(call(1, "b", read(&[0]))).await, Ok(number(2000)));
    bench.server.requests();
    let units: Vec<_> = {
        let mut units = Vec::new();
        for _ in 0..20 {
            units.push(bench.server.next().await);
        }
        units
    };
    assert!(units.iter().filter(|seen| seen.unit == 1).count() <= 4, "{units:?}");
    assert!(units.iter().all(|seen| seen.connection == units[0].connection), "the connection stays");
    bench.server.world().unreachable.clear();
    while bench.online("a").await != Ok(()) {}
}

#[tokio::test]
async fn a_sentinel_is_never_a_value() {
    let mut capability = polled(0);
    if let Some(read) = &mut capability.read {
        read.parts[0].transform.invalid = vec![0x7fff];
    }
    let mut bench = Bench::start(&[("a", 1, &fake::mapping(&[capability]))]);
    bench.server.world().registers.insert((1, 0), 0x7fff);
    let read_now = bench.result(call(1, "a", read(&[0]))).await;
    assert!(matches!(read_now, Err(DeviceFault::Invalid(_))), "{read_now:?}");
    bench.server.world().registers.insert((1, 0), 7);
    assert_eq!(bench.result(call(2, "a", read(&[0]))).await, Ok(number(7)));
}

/// Two names for one gateway that takes a single connection.
#[tokio::test]
async fn buses_with_one_address_share_a_connection() {
    let server = Server::start();
    let mapping = fake::mapping(&[polled(0)]);
    let mut other = fake::bus(server.address);
    other.name = "other".to_owned();
    let mut b = fake::device("b", 2, mapping.clone());
    b.bus = other.name.clone();
    let buses = vec![fake::bus(server.address), other];
    let site = Site { buses, devices: vec![fake::device("a", 1, mapping), b] };
    let (to_core, core) = mpsc::channel(64);
    let adapters = Adapters::start(Arc::new(site), to_core);
    let mut bench = Bench { server, adapters, core, reports: Vec::new() };
    assert_eq!(bench.result(call(1, "a", read(&[0]))).await, Ok(number(1000)));
    assert_eq!(bench.result(call(2, "b", read(&[0]))).await, Ok(number(2000)));
    assert!(bench.server.requests().iter().all(|seen| seen.connection == 0));
    let statistics = bench.adapters.statistics();
    let names: Vec<_> = statistics.iter().map(|bus| (&*bus.bus, bus.devices.len())).collect();
    assert_eq!(names, [("bus", 1), ("other", 1)]);
    assert_eq!(statistics[0].devices[0].cycles[0].every, 20 * MS);
}
