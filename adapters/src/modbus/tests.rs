//! The whole adapter against a server on the loopback, well-behaved and not.

mod counters;
mod field;
mod once;
mod passing;

use std::sync::Arc;

use rust_decimal::Decimal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use usp_mapping::mapping::{
    ByteOrder, Capability, Class, Mapping, ModbusPoint, ModbusTable, ModbusWriteFunction, Poll, ReadBinding,
    ReadPoint, RegisterEncoding, Site, Verify, WritePoint,
};
use usp_mapping::port::{
    Action, AdapterCall, AdapterReport, CallId, DeviceFault, PointId, Reading, Readings,
};
use usp_mapping::transform::Transform;
use usp_mapping::value::Value;

use super::server::{Fault, Seen, Server};
use crate::bus::fake::{self, MS, PLACE, call, call_within, number, read, write};
use crate::{Adapters, FromAdapter};

struct Bench {
    server: Server,
    adapters: Adapters,
    core: mpsc::Receiver<FromAdapter>,
    /// Reports that came while a reply was waited for.
    reports: Vec<AdapterReport>,
}

fn site(server: &Server, devices: &[(&str, u8, &Mapping)]) -> Arc<Site> {
    let device =
        |(id, unit, mapping): &(&str, u8, &Mapping)| fake::device(id, *unit, Mapping::clone(mapping));
    Arc::new(Site { buses: vec![fake::bus(server.address)], devices: devices.iter().map(device).collect() })
}

impl Bench {
    fn start(devices: &[(&str, u8, &Mapping)]) -> Self {
        let server = Server::start();
        Self::on(server, devices)
    }

    fn on(server: Server, devices: &[(&str, u8, &Mapping)]) -> Self {
        let (to_core, core) = mpsc::channel(64);
        let adapters = Adapters::start(site(&server, devices), to_core);
        Self { server, adapters, core, reports: Vec::new() }
    }

    async fn reply(&mut self) -> (u64, Result<Vec<Result<Value, DeviceFault>>, DeviceFault>) {
        loop {
            match self.core.recv().await.unwrap() {
                FromAdapter::Report(report) => self.reports.push(report),
                other @ (FromAdapter::Adopted(_) | FromAdapter::Bus(_)) => panic!("{other:?}"),
                FromAdapter::Reply(reply) => {
                    let values = |all: Readings| all.into_iter().map(|reading| reading.result).collect();
                    return (reply.id.0, reply.outcome.map(values));
                }
            }
        }
    }

    /// Calls and gives the results of the points.
    async fn results(&mut self, call: AdapterCall) -> Result<Vec<Result<Value, DeviceFault>>, DeviceFault> {
        let CallId(id) = call.id;
        self.adapters.call(call);
        let (answered, outcome) = self.reply().await;
        assert_eq!(answered, id);
        outcome
    }

    /// Calls and gives the result of the one point.
    async fn result(&mut self, call: AdapterCall) -> Result<Value, DeviceFault> {
        self.results(call).await.and_then(|mut results| results.remove(0))
    }

    async fn report(&mut self) -> AdapterReport {
        if !self.reports.is_empty() {
            return self.reports.remove(0);
        }
        match self.core.recv().await.unwrap() {
            FromAdapter::Report(report) => report,
            other => panic!("{other:?}"),
        }
    }

    async fn online(&mut self, id: &str) -> Result<(), DeviceFault> {
        loop {
            match self.report().await {
                AdapterReport::Online { device, online } if &*device.0 == id => return online,
                _ => {}
            }
        }
    }
}

fn at(table: ModbusTable, address: u16) -> ModbusPoint {
    ModbusPoint { table, address, ..PLACE }
}

fn placed(point: ModbusPoint) -> Capability {
    let mut capability = fake::on_demand();
    if let Some(read) = &mut capability.read {
        *read = ReadBinding::single(ReadPoint::Modbus(point), Transform::default(), Poll::OnDemand);
    }
    capability
}

fn polled(address: u16) -> Capability {
    let mut capability = placed(at(ModbusTable::Holding, address));
    if let Some(read) = &mut capability.read {
        read.poll = Poll::Every(20 * MS);
    }
    capability
}

fn register(address: u16) -> Capability {
    placed(at(ModbusTable::Holding, address))
}

/// Reads and writes one place.
fn control(point: ModbusPoint, function: ModbusWriteFunction, verify_ms: Option<u32>) -> Capability {
    let mut capability = placed(point);
    let mut binding = fake::writable().write.unwrap();
    let read_modify_write = point.bits.is_some();
    binding.point = WritePoint::Modbus { point, function, read_modify_write };
    binding.verify = verify_ms.map(|ms| Verify { by: None, within: ms * MS });
    if point.table == ModbusTable::Coil {
        capability.class = Class::BinaryControl;
    }
    Capability { write: Some(binding), ..capability }
}

fn setting(address: u16, verify_ms: Option<u32>) -> Capability {
    control(at(ModbusTable::Holding, address), ModbusWriteFunction::SingleRegister, verify_ms)
}

#[tokio::test]
async fn every_table_and_function_is_spoken() {
    let wide = ModbusPoint {
        address: 20,
        count: 2,
        encoding: RegisterEncoding::F32,
        order: ByteOrder::Cdab,
        ..PLACE
    };
    let bits = ModbusPoint { address: 30, bits: Some((4, 6)), ..PLACE };
    let mut discrete = placed(at(ModbusTable::Discrete, 3));
    discrete.class = Class::BinarySensor;
    let mapping = fake::mapping(&[
        placed(at(ModbusTable::Input, 7)),
        discrete,
        control(at(ModbusTable::Coil, 4), ModbusWriteFunction::SingleCoil, Some(500)),
        control(at(ModbusTable::Coil, 9), ModbusWriteFunction::MultipleCoils, Some(500)),
        setting(10, Some(500)),
        control(wide, ModbusWriteFunction::MultipleRegisters, Some(500)),
        control(bits, ModbusWriteFunction::SingleRegister, Some(500)),
    ]);
    let mut bench = Bench::start(&[("a", 2, &mapping)]);
    bench.server.world().registers.insert((2, 30), 0xffff);
    let f32 = Value::Number(Decimal::new(2302, 1));
    let items = [Value::Bool(true), Value::Bool(true), number(77), f32, number(2)];
    let items = items.into_iter().zip(2..).map(|(value, point)| (PointId(point), value)).collect::<Vec<_>>();
    let written = bench.results(call(1, "a", Action::Write(items.clone()))).await.unwrap();
    let expected: Vec<_> = items.into_iter().map(|(_, value)| Ok(value)).collect();
    assert_eq!(written, expected);
    {
        let world = bench.server.world();
        assert_eq!((world.coils[&(2, 4)], world.coils[&(2, 9)]), (true, true));
        assert_eq!((world.registers[&(2, 20)], world.registers[&(2, 21)]), (0x3333, 0x4366));
        assert_eq!(world.registers[&(2, 30)], 0xffaf, "the other bits are kept");
    }
    let functions: Vec<_> = bench.server.requests().iter().map(|seen| seen.function).collect();
    assert_eq!(functions, [5, 1, 15, 1, 6, 3, 16, 3, 3, 6, 3]);
    bench.server.world().coils.insert((2, 3), true);
    let all = bench.results(call(2, "a", Action::Refresh)).await.unwrap();
    assert_eq!(all[..2], [Ok(number(2007)), Ok(Value::Bool(true))]);
    assert_eq!(all[2..], expected);
    let readings =
        bench.reports.iter().filter(|report| matches!(report, AdapterReport::Readings { .. })).count();
    assert_eq!(readings, 5, "what was read to verify is reported, what was read on demand is not");
}

#[tokio::test]
async fn polls_are_coalesced_and_reported() {
    let mapping = fake::mapping(&[polled(0), polled(1), polled(5), polled(40)]);
    let mut bench = Bench::start(&[("a", 1, &mapping)]);
    assert_eq!(bench.online("a").await, Ok(()));
    let AdapterReport::Readings { readings, .. } = bench.report().await else { panic!("no readings") };
    let expected = [(0, 1000), (1, 1001), (2, 1005)]
        .map(|(point, value)| Reading::now(PointId(point), Ok(number(value))));
    assert_eq!(readings, expected);
    let first = bench.server.next().await;
    assert_eq!(first, Seen { connection: 0, unit: 1, function: 3, address: 0, second: 6 });
    assert_eq!(bench.server.next().await.address, 40);
    assert_eq!(bench.server.next().await.address, 0, "and so on");
}

#[tokio::test]
async fn a_hole_in_the_register_map_costs_no_neighbour() {
    // However busy the machine is: nothing is late, and what was found out is not tried again meanwhile.
    let _still = fake::time_stands_still();
    let mapping = fake::mapping(&[register(0), register(1), register(2), register(3)]);
    let mut bench = Bench::start(&[("a", 1, &mapping)]);
    bench.server.world().holes.insert(2);
    for id in 1..=2 {
        let results = bench.results(call(id, "a", Action::Refresh)).await.unwrap();
        let refused = DeviceFault::Refused("it has nothing at this address (exception 2)".to_owned());
        assert_eq!(results, [Ok(number(1000)), Ok(number(1001)), Err(refused), Ok(number(1003))]);
        let requests = bench.server.requests().len();
        assert_eq!(requests, if id == 1 { 5 } else { 3 }, "the second time it is known");
    }
    let statistics = bench.adapters.statistics().remove(0);
    assert_eq!(
        (statistics.connects, statistics.devices[0].exchanges.refusals),
        (1, 4),
        "a refusal keeps the connection"
    );
}

/// Each is followed by the right answer on a new connection; none of them makes the next request be answered by it.
#[tokio::test]
async fn after_anything_but_a_clean_answer_the_connection_is_made_again() {
    for fault in [Fault::Silent, Fault::HangUp, Fault::WrongId, Fault::Garbage, Fault::Short] {
        let mapping = fake::mapping(&[register(5), register(90)]);
        let mut bench = Bench::start(&[("a", 1, &mapping)]);
        assert_eq!(bench.result(call(1, "a", read(&[0]))).await, Ok(number(1005)));
        bench.server.world().faults.push_back(fault);
        assert_eq!(bench.result(call(2, "a", read(&[1]))).await, Ok(number(1090)), "{fault:?}");
        assert_eq!(bench.result(call(3, "a", read(&[0]))).await, Ok(number(1005)), "{fault:?}");
        let connections: Vec<_> = bench.server.requests().iter().map(|seen| seen.connection).collect();
        assert_eq!(connections, [0, 0, 1, 1], "{fault:?}");
    }
}

#[tokio::test]
async fn a_second_answer_to_one_request_never_answers_the_next() {
    let mapping = fake::mapping(&[register(5), register(90)]);
    let mut bench = Bench::start(&[("a", 1, &mapping)]);
    for id in 0..20 {
        bench.server.world().faults.push_back(Fault::Twice);
        let (point, value) = if id % 2 == 0 { (0, 1005) } else { (1, 1090) };
        assert_eq!(bench.result(call(id, "a", read(&[point]))).await, Ok(number(value)));
    }
}

#[tokio::test]
async fn an_idle_connection_that_the_device_closed_costs_no_write() {
    let mapping = fake::mapping(&[register(5), setting(6, None)]);
    let mut bench = Bench::start(&[("a", 1, &mapping)]);
    assert_eq!(bench.result(call(1, "a", read(&[0]))).await, Ok(number(1005)));
    let address = bench.server.address;
    let mut witness = TcpStream::connect(address).await.unwrap();
    witness.write_all(&[0, 0, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1]).await.unwrap();
    witness.read_exact(&mut [0; 11]).await.unwrap();
    // All connections of a server are closed with it; the witness sees when.
    drop(std::mem::replace(&mut bench.server, Server::start()));
    assert_eq!(witness.read(&mut [0; 1]).await.unwrap(), 0);
    bench.server = Server::start_at(address);
    assert_eq!(bench.result(call(3, "a", write(1, 9))).await, Ok(number(9)));
    assert_eq!(bench.server.requests().len(), 1);
}

#[tokio::test]
async fn a_silent_unit_costs_its_neighbour_only_its_time_outs() {
    let (dead, alive) = (fake::mapping(&[polled(0)]), fake::mapping(&[polled(0), register(5)]));
    let server = Server::start();
    server.world().silent.insert(1);
    let mut bench = Bench::on(server, &[("dead", 1, &dead), ("alive", 2, &alive)]);
    assert_eq!(
        bench.online("dead").await,
        Err(DeviceFault::Unreachable("no answer within 50 ms".to_owned()))
    );
    for id in 0..50 {
        assert_eq!(bench.result(call(id, "alive", read(&[1]))).await, Ok(number(2005)));
    }
    let fault = bench.result(call(99, "dead", read(&[0]))).await.unwrap_err();
    assert_eq!(fault, DeviceFault::Unreachable("no answer within 50 ms".to_owned()));
    let order: Vec<_> = bench.server.requests().iter().map(|seen| seen.unit).collect();
    assert!(!order.windows(2).any(|pair| pair == [1, 1]), "its neighbour's turn comes between: {order:?}");
    bench.server.world().silent.clear();
    assert_eq!(bench.online("dead").await, Ok(()));
    assert_eq!(bench.result(call(100, "dead", read(&[0]))).await, Ok(number(1000)));
}

#[tokio::test]
async fn a_gateway_that_cannot_reach_a_unit_keeps_its_connection() {
    let mapping = fake::mapping(&[register(0)]);
    let mut bench = Bench::start(&[("a", 1, &mapping)]);
    bench.server.world().faults.extend([Fault::Exception(11); 3]);
    let fault = bench.result(call(1, "a", read(&[0]))).await.unwrap_err();
    let words = "the gateway gets no answer from it (exception 11)";
    assert_eq!(fault, DeviceFault::Unreachable(words.to_owned()));
    assert_eq!(bench.online("a").await, Err(DeviceFault::Unreachable(words.to_owned())));
    assert_eq!(bench.online("a").await, Ok(()), "the probe");
    assert!(bench.server.requests().iter().all(|seen| seen.connection == 0));
}

/// Of a request that was handed over nobody knows what became of it, unless a gateway says that it did not try.
#[tokio::test]
async fn what_was_handed_over_and_not_answered_may_be_done() {
    let mapping = fake::mapping(&[setting(1, None)]);
    let mut bench = Bench::start(&[("a", 1, &mapping)]);
    let unsent = "the gateway has no path to it (exception 10); this was not sent";
    let perhaps = |why: &str| Err(DeviceFault::Unsettled(format!("unreachable: {why}")));
    for (id, fault, told) in [
        (1, Fault::HangUp, perhaps("the connection was closed")),
        (2, Fault::Exception(11), perhaps("the gateway gets no answer from it (exception 11)")),
        (3, Fault::Exception(10), Err(DeviceFault::Unreachable(unsent.to_owned()))),
    ] {
        bench.server.world().faults.push_back(fault);
        assert_eq!(bench.result(call(id, "a", write(0, 7))).await, told);
        assert_eq!(bench.result(call(10 + id, "a", write(0, 7))).await, Ok(number(7)));
    }
}

#[tokio::test]
async fn writes_go_first_and_an_expired_one_never_leaves() {
    let mapping = fake::mapping(&[register(0), setting(1, None), setting(2, None)]);
    let other = fake::mapping(&[register(0)]);
    let mut bench = Bench::start(&[("a", 1, &mapping), ("slow", 2, &other)]);
    bench.server.world().silent.insert(2);
    bench.adapters.call(call_within(1, "slow", read(&[0]), 45));
    assert_eq!(bench.server.next().await.unit, 2, "the wire is busy for 50 ms");
    bench.adapters.call(call(2, "a", read(&[0])));
    bench.adapters.call(call(3, "a", write(1, 7)));
    bench.adapters.call(call_within(4, "a", write(2, 8), 20));
    let mut replies = Vec::new();
    for _ in 0..4 {
        replies.push(bench.reply().await);
    }
    assert_eq!(replies[0], (4, Err(DeviceFault::Expired)));
    assert_eq!(replies[1], (1, Err(DeviceFault::Timeout(45 * MS))));
    assert_eq!(replies[2], (3, Ok(vec![Ok(number(7))])));
    assert_eq!(replies[3], (2, Ok(vec![Ok(number(1000))])));
    let seen: Vec<_> =
        bench.server.requests().iter().map(|seen| (seen.unit, seen.function, seen.address)).collect();
    assert_eq!(seen, [(1, 6, 1), (1, 3, 0)]);
}

#[tokio::test]
async fn verify_tells_done_from_forgotten() {
    let mapping = fake::mapping(&[setting(1, Some(60))]);
    let mut bench = Bench::start(&[("a", 1, &mapping)]);
    assert_eq!(bench.result(call(1, "a", write(0, 7))).await, Ok(number(7)));
    bench.server.world().faults.push_back(Fault::Forgotten);
    let fault = bench.result(call(2, "a", write(0, 8))).await.unwrap_err();
    assert_eq!(fault, DeviceFault::NotConfirmed { wanted: "8".to_owned(), shown: "7".to_owned() });
    bench.server.world().faults.push_back(Fault::Unacknowledged);
    assert_eq!(bench.result(call(3, "a", write(0, 9))).await, Ok(number(9)), "done all the same");
    let shown = bench.reports.iter().filter_map(|report| match report {
        AdapterReport::Readings { readings, .. } => readings[0].result.clone().ok(),
        AdapterReport::Online { .. } | AdapterReport::Believed { .. } | AdapterReport::Doubtful { .. } => {
            None
        }
    });
    assert_eq!(shown.collect::<Vec<_>>(), [number(7), number(7), number(9)]);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_and_found_when_it_comes() {
    let mapping = fake::mapping(&[polled(3)]);
    let server = Server::start();
    let address = server.address;
    let mut bench = Bench::on(server, &[("a", 1, &mapping)]);
    assert_eq!(bench.online("a").await, Ok(()));
    bench.server = Server::start();
    let fault = bench.online("a").await.unwrap_err();
    let words = format!("cannot connect to {address}: connection refused");
    assert_eq!(fault, DeviceFault::Unreachable(words.clone()));
    assert_eq!(*bench.adapters.statistics()[0].last_error, *words);
    assert_eq!(bench.result(call(1, "a", read(&[0]))).await, Err(DeviceFault::Unreachable(words)));
    bench.server = Server::start_at(address);
    assert_eq!(bench.online("a").await, Ok(()));
    let statistics = bench.adapters.statistics().remove(0);
    assert_eq!(&*statistics.last_error, "");
    assert!(
        statistics.connected && statistics.connects >= 2 && statistics.failed_connects >= 1,
        "{statistics:?}"
    );
}

#[tokio::test]
async fn a_full_queue_is_refused_at_once_and_every_call_answered_once() {
    let (slow, other) = (fake::mapping(&[register(0)]), fake::mapping(&[register(0)]));
    let mut bench = Bench::start(&[("a", 1, &slow), ("b", 2, &other)]);
    bench.server.world().silent.insert(1);
    for id in 0..300 {
        bench.adapters.call(call(id, "a", read(&[0])));
    }
    let (mut full, mut unreachable) = (0, 0);
    for _ in 0..300 {
        match bench.reply().await.1 {
            Err(DeviceFault::QueueFull) => full += 1,
            Err(DeviceFault::Unreachable(_)) => unreachable += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(full >= 100 && unreachable >= 64, "{full} {unreachable}");
    assert_eq!(bench.result(call(1000, "b", read(&[0]))).await, Ok(number(2000)));
    assert_eq!(bench.adapters.statistics()[0].waiting, 0);
}

#[tokio::test]
async fn a_reload_keeps_what_is_the_same_and_stops_what_is_gone() {
    let (mapping, wider) = (fake::mapping(&[register(0)]), fake::mapping(&[register(0), register(1)]));
    let mut bench = Bench::start(&[("a", 1, &mapping), ("b", 2, &mapping), ("c", 3, &mapping)]);
    assert_eq!(bench.result(call(1, "a", read(&[0]))).await, Ok(number(1000)));
    let second = site(&bench.server, &[("b", 2, &wider), ("a", 1, &mapping), ("d", 4, &mapping)]);
    bench.adapters.apply(second).await;
    assert_eq!(bench.result(call(2, "b", read(&[1]))).await, Ok(number(2001)));
    assert_eq!(bench.result(call(3, "c", read(&[0]))).await, Err(DeviceFault::Unknown));
    assert_eq!(bench.result(call(4, "d", read(&[0]))).await, Ok(number(4000)));
    assert!(bench.server.requests().iter().all(|seen| seen.connection == 0), "the connection is kept");
    bench.adapters.apply(Arc::default()).await;
    assert_eq!(bench.result(call(5, "a", read(&[0]))).await, Err(DeviceFault::Unknown));
    assert_eq!(bench.adapters.statistics(), []);
}

#[tokio::test]
async fn stopping_answers_what_waits_without_waiting_for_the_core() {
    let mapping = fake::mapping(&[register(0)]);
    let mut bench = Bench::start(&[("a", 1, &mapping)]);
    bench.server.world().silent.insert(1);
    for id in 0..100 {
        bench.adapters.call(call(id, "a", read(&[0])));
    }
    bench.server.next().await;
    bench.adapters.stop().await;
    let mut ids = std::collections::BTreeSet::new();
    while let Some(message) = bench.core.recv().await {
        if let FromAdapter::Reply(reply) = message {
            assert!(ids.insert(reply.id), "answered twice");
        }
    }
    assert_eq!(ids.len(), 100);
}

/// Random faults on a bus of three units: each call is answered once, and never with another register's value.
#[tokio::test]
async fn under_any_mischief_no_answer_is_another_requests() {
    let faults = [
        Fault::Silent,
        Fault::HangUp,
        Fault::WrongId,
        Fault::Twice,
        Fault::Garbage,
        Fault::Short,
        Fault::Exception(4),
        Fault::Exception(11),
    ];
    let mapping = fake::mapping(&[register(0), register(40), polled(80)]);
    let mut bench = Bench::start(&[("a", 1, &mapping), ("b", 2, &mapping), ("c", 3, &mapping)]);
    let mut good = 0;
    for id in 0..400u64 {
        let chance = id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        if chance % 5 == 0 {
            bench.server.world().faults.push_back(faults[(chance / 5 % 8) as usize]);
        }
        let (device, unit) = [("a", 1), ("b", 2), ("c", 3)][(chance % 3) as usize];
        let point = (chance / 3 % 2) as u16;
        if let Ok(value) = bench.result(call(id, device, read(&[point]))).await {
            assert_eq!(value, number(1000 * unit + 40 * i64::from(point)), "call {id}");
            good += 1;
        }
        for report in bench.reports.drain(..) {
            let AdapterReport::Readings { device, readings, .. } = report else { continue };
            let unit = i64::from(device.0.as_bytes()[0] - b'a') + 1;
            assert!(
                readings.iter().all(|reading| reading
                    .result
                    .as_ref()
                    .ok()
                    .is_none_or(|v| *v == number(1000 * unit + 80)))
            );
        }
    }
    assert!(good >= 200, "{good}");
}
