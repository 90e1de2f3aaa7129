//! The server over real sockets, driven by a client that speaks in bytes.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use usp_mapping::diagnostic::SourceFile;
use usp_mapping::draft::MappingDraft;

use super::draft::{DraftError, blueprint};
use super::*;
use crate::mischief::{Fault, Order};
use crate::value::SimValue;

const METER: &str = "\
uspmap: 1
profile: acme.meter
version: 1.0.0
device: {type: Meter}
modbus: {order: ABCD, max_gap: 2}
poll: {fast: 1s}
capabilities:
  voltage:     {class: LevelSensor, type: Meter, unit: V, read: {input: 0, as: f32}, poll: fast, valid: [0, 300]}
  current:     {class: LevelSensor, type: Meter, unit: A, read: {input: 4, as: s32, order: CDAB, scale: 0.001}, poll: fast}
  power:       {class: LevelSensor, type: Power, unit: W, read: {input: 30, as: u16}, poll: fast}
  energy:      {class: LevelSensor, type: Energy, unit: kWh, read: {input: 40, as: u64, scale: 0.01}, poll: fast}
  temperature: {class: LevelSensor, type: Temperature, unit: degC, read: {input: 60, as: s16, scale: 0.1, invalid: [-32768]}, poll: fast}
  setpoint:    {class: LevelControl, type: Temperature, unit: degC, min: 5, max: 30, read: {holding: 10, as: s16, scale: 0.1}, write: {fc: 6}, poll: fast}
  mode:        {class: EnumControl, type: OperatingMode, read: {holding: 12, bits: 4..6, map: {0: Peak, 1: OffPeak, 4: Away}}, write: {fc: 6, rmw: true}, poll: fast}
  relay:       {class: BinaryControl, type: Switch, read: {discrete: 515}, write: {coil: 3}, poll: fast}
  door:        {class: BinarySensor, type: DoorOpen, read: {discrete: 516, invert: true}, poll: fast}
";

fn draft(text: &str) -> MappingDraft {
    let (draft, diagnostics) = MappingDraft::parse(&SourceFile::new("meter.yaml", text));
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    draft.unwrap()
}

pub(super) fn device() -> ModbusDevice {
    ModbusDevice::from_draft(&draft(METER), 7).unwrap()
}

async fn server() -> (ModbusServer, ModbusHandle, TcpStream) {
    let server = ModbusServer::bind_still("127.0.0.1:0".parse().unwrap(), [(1, device())]).await.unwrap();
    let unit = server.unit(1).unwrap();
    let socket = TcpStream::connect(server.local_addr()).await.unwrap();
    (server, unit, socket)
}

/// Sends a PDU as transaction `id` to unit 1.
async fn send(socket: &mut TcpStream, id: u8, pdu: &[u8]) {
    let header = [0, id, 0, 0, 0, pdu.len() as u8 + 1, 1];
    socket.write_all(&[&header, pdu].concat()).await.unwrap();
}

/// Receives a frame: transaction, unit, PDU.
async fn receive(socket: &mut TcpStream) -> (u16, u8, Vec<u8>) {
    let mut header = [0; 7];
    socket.read_exact(&mut header).await.unwrap();
    let mut pdu = vec![0; usize::from(header[5]) - 1];
    socket.read_exact(&mut pdu).await.unwrap();
    (u16::from_be_bytes([header[0], header[1]]), header[6], pdu)
}

async fn ask(socket: &mut TcpStream, pdu: &[u8]) -> Vec<u8> {
    send(socket, 9, pdu).await;
    let (transaction, unit, pdu) = receive(socket).await;
    assert_eq!((transaction, unit), (9, 1));
    pdu
}

#[tokio::test]
async fn registers_show_what_is_set() {
    let (_server, unit, mut socket) = server().await;
    unit.set("voltage", 230.2).unwrap();
    unit.set("current", -1.5).unwrap();
    unit.set("energy", 1234.56).unwrap();
    unit.set("temperature", -3.5).unwrap();
    unit.set("door", true).unwrap();
    assert_eq!(ask(&mut socket, &[4, 0, 0, 0, 2]).await, [4, 4, 0x43, 0x66, 0x33, 0x33]);
    assert_eq!(ask(&mut socket, &[4, 0, 4, 0, 2]).await, [4, 4, 0xfa, 0x24, 0xff, 0xff]);
    assert_eq!(ask(&mut socket, &[4, 0, 40, 0, 4]).await, [4, 8, 0, 0, 0, 0, 0, 0x01, 0xe2, 0x40]);
    assert_eq!(ask(&mut socket, &[4, 0, 60, 0, 1]).await, [4, 2, 0xff, 0xdd]);
    assert_eq!(ask(&mut socket, &[2, 0x02, 0x03, 0, 2]).await, [2, 1, 0b00], "an open door is 0 here");
}

#[tokio::test]
async fn a_write_to_another_address_really_switches() {
    let (_server, unit, mut socket) = server().await;
    assert_eq!(unit.get("relay"), Some(SimValue::Bool(false)));
    assert_eq!(ask(&mut socket, &[5, 0, 3, 0xff, 0]).await, [5, 0, 3, 0xff, 0]);
    assert_eq!(unit.get("relay"), Some(SimValue::Bool(true)));
    assert_eq!(unit.coil(3), Some(true));
    assert_eq!(ask(&mut socket, &[2, 0x02, 0x03, 0, 1]).await, [2, 1, 1]);
    assert_eq!(ask(&mut socket, &[15, 0, 3, 0, 1, 1, 0]).await, [15, 0, 3, 0, 1]);
    assert_eq!(unit.get("relay"), Some(SimValue::Bool(false)));
    let log = unit.log();
    assert_eq!(log.iter().map(|seen| seen.function).collect::<Vec<_>>(), [5, 2, 15]);
    assert_eq!(log[0].written, Some((Table::Coil, 3, vec![1])));
    assert!(log[2].is_write() && log[2].refused.is_none());
}

#[tokio::test]
async fn mode_bits_are_written_and_the_others_kept() {
    let (_server, unit, mut socket) = server().await;
    let before = unit.registers(Table::Holding, 12, 1).unwrap()[0];
    assert_eq!(unit.get("mode"), Some(SimValue::from("Peak")));
    let masked = [22, 0, 12, 0xff, 0x8f, 0, 0x10];
    assert_eq!(ask(&mut socket, &masked).await, masked);
    assert_eq!(unit.get("mode"), Some(SimValue::from("OffPeak")));
    assert_eq!(unit.registers(Table::Holding, 12, 1).unwrap()[0], before & 0xff8f | 0x10);
    let away = (before & 0xff8f | 0x40).to_be_bytes();
    ask(&mut socket, &[6, 0, 12, away[0], away[1]]).await;
    assert_eq!(unit.get("mode"), Some(SimValue::from("Away")));
    let unmapped = (before & 0xff8f | 0x70).to_be_bytes();
    assert_eq!(ask(&mut socket, &[6, 0, 12, unmapped[0], unmapped[1]]).await, [0x86, 3]);
    assert_eq!(unit.get("mode"), Some(SimValue::from("Away")));
}

#[tokio::test]
async fn a_set_point_is_taken_within_its_limits() {
    let (_server, unit, mut socket) = server().await;
    ask(&mut socket, &[16, 0, 10, 0, 1, 2, 0, 215]).await;
    assert_eq!(unit.get("setpoint"), Some(SimValue::Number(21.5)));
    assert_eq!(ask(&mut socket, &[6, 0, 10, 0x01, 0x2d]).await, [0x86, 3], "30.1 is too much");
    assert_eq!(unit.get("setpoint"), Some(SimValue::Number(21.5)));
    unit.set("temperature", 18.0).unwrap();
    unit.release("temperature").unwrap();
    unit.advance(Duration::from_secs(900));
    let Some(SimValue::Number(temperature)) = unit.get("temperature") else { panic!() };
    assert!((21.0..22.0).contains(&temperature), "{temperature}");
}

#[tokio::test]
async fn function_23_writes_before_it_reads() {
    let (_server, unit, mut socket) = server().await;
    assert_eq!(ask(&mut socket, &[23, 0, 10, 0, 1, 0, 10, 0, 1, 2, 0, 220]).await, [23, 2, 0, 220]);
    assert_eq!(unit.get("setpoint"), Some(SimValue::Number(22.0)));
}

#[tokio::test]
async fn holes_and_strangers_are_refused() {
    let (server, unit, mut socket) = server().await;
    let check = async |socket: &mut TcpStream, pdu: &[u8], expected: &[u8]| {
        assert_eq!(ask(socket, pdu).await.get(..2), expected.get(..2), "{pdu:?}");
    };
    check(&mut socket, &[4, 0, 0, 0, 6], &[4, 12]).await;
    check(&mut socket, &[4, 0, 6, 0, 1], &[0x84, 2]).await;
    check(&mut socket, &[4, 0, 0, 0, 7], &[0x84, 2]).await;
    check(&mut socket, &[3, 0, 0, 0, 1], &[0x83, 2]).await;
    check(&mut socket, &[6, 0, 11, 0, 1], &[0x86, 2]).await;
    check(&mut socket, &[5, 0, 4, 0xff, 0], &[0x85, 2]).await;
    check(&mut socket, &[7], &[0x87, 1]).await;
    unit.fault(Fault::Holes);
    check(&mut socket, &[4, 0, 0, 0, 6], &[0x84, 2]).await;
    socket.write_all(&[0, 5, 0, 0, 0, 6, 77, 4, 0, 0, 0, 2]).await.unwrap();
    assert_eq!(receive(&mut socket).await, (5, 77, vec![0x84, 11]));
    assert_eq!(server.requests(), 9);
}

#[tokio::test]
async fn a_device_may_lack_functions() {
    let units = [(3, device().without_function(22))];
    let server = ModbusServer::bind_still("127.0.0.1:0".parse().unwrap(), units).await.unwrap();
    let mut socket = TcpStream::connect(server.local_addr()).await.unwrap();
    socket.write_all(&[0, 1, 0, 0, 0, 8, 3, 22, 0, 12, 0, 0, 0, 0]).await.unwrap();
    assert_eq!(receive(&mut socket).await, (1, 3, vec![0x96, 1]));
}

#[tokio::test]
async fn faults_of_the_answer() {
    let (_server, unit, mut socket) = server().await;
    let read = [3, 0, 10, 0, 1];
    unit.fault(Order::times(Fault::Exception(4), 1));
    assert_eq!(ask(&mut socket, &read).await, [0x83, 4]);
    unit.fault(Order::times(Fault::Busy, 1));
    assert_eq!(ask(&mut socket, &read).await, [0x83, 6]);
    unit.fault(Order::times(Fault::WrongTransactionId, 1));
    send(&mut socket, 1, &read).await;
    assert_eq!(receive(&mut socket).await.0, 1001);
    unit.fault(Order::times(Fault::WrongUnit, 1));
    send(&mut socket, 2, &read).await;
    assert_eq!(receive(&mut socket).await.1, 2);
    unit.fault(Order::times(Fault::Duplicate, 1));
    send(&mut socket, 3, &read).await;
    assert_eq!(receive(&mut socket).await, receive(&mut socket).await);
    assert_eq!(ask(&mut socket, &read).await, [3, 2, 0, 210]);
    assert!(unit.log()[0].refused.is_some());
}

#[tokio::test]
async fn garbled_answers_differ_from_good_ones() {
    let (_server, unit, mut socket) = server().await;
    let read = [4, 0, 0, 0, 2];
    for id in 0..4 {
        send(&mut socket, id, &read).await;
        let (transaction, number, pdu) = receive(&mut socket).await;
        let good = frame::bytes(&frame::Frame { transaction, unit: number, pdu });
        unit.fault(Order::times(Fault::Garbled, 1));
        send(&mut socket, id, &read).await;
        let mut bad = vec![0; 9];
        let count = socket.read(&mut bad).await.unwrap();
        assert_ne!(bad.get(..count), good.get(..count), "garbled {id}");
        socket = TcpStream::connect(socket.peer_addr().unwrap()).await.unwrap();
    }
}

#[tokio::test]
async fn a_sentinel_and_a_frozen_output() {
    let (_server, unit, mut socket) = server().await;
    unit.fault(Fault::Sentinel("temperature".into()));
    assert_eq!(ask(&mut socket, &[4, 0, 60, 0, 1]).await, [4, 2, 0x80, 0]);
    unit.fault(Fault::Frozen);
    assert_eq!(ask(&mut socket, &[5, 0, 3, 0xff, 0]).await, [5, 0, 3, 0xff, 0]);
    assert_eq!(unit.get("relay"), Some(SimValue::Bool(false)));
    assert_eq!(ask(&mut socket, &[2, 0x02, 0x03, 0, 1]).await, [2, 1, 0]);
    unit.clear_faults();
    assert_ne!(ask(&mut socket, &[4, 0, 60, 0, 1]).await, [4, 2, 0x80, 0]);
    ask(&mut socket, &[5, 0, 3, 0xff, 0]).await;
    assert_eq!(unit.get("relay"), Some(SimValue::Bool(true)));
}

#[tokio::test(start_paused = true)]
async fn silence_slowness_and_lateness() {
    let (_server, unit, mut socket) = server().await;
    let read = [3, 0, 10, 0, 1];
    let second = Duration::from_secs(1);
    unit.fault(Order::times(Fault::Silent, 1));
    send(&mut socket, 1, &read).await;
    unit.fault(Order::times(Fault::Slow(second), 1));
    let start = tokio::time::Instant::now();
    send(&mut socket, 2, &read).await;
    assert_eq!(receive(&mut socket).await.0, 2, "the first one is never answered");
    assert!(start.elapsed() >= second);
    unit.fault(Order::times(Fault::Late(second), 1));
    let both = [3, 4].map(|id| [&[0, id, 0, 0, 0, 6, 1][..], &read].concat()).concat();
    socket.write_all(&both).await.unwrap();
    assert_eq!(receive(&mut socket).await.0, 4, "the later one overtakes");
    assert_eq!(receive(&mut socket).await.0, 3);
}

#[tokio::test]
async fn connections_break_and_come_back() {
    let (server, unit, mut socket) = server().await;
    unit.fault(Order::times(Fault::DisconnectMidFrame, 1));
    send(&mut socket, 1, &[3, 0, 10, 0, 1]).await;
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest.len(), 5, "half of a frame of eleven bytes");

    let mut socket = TcpStream::connect(server.local_addr()).await.unwrap();
    ask(&mut socket, &[5, 0, 3, 0xff, 0]).await;
    server.fault(Fault::Reboot);
    assert!(matches!(socket.read(&mut [0; 1]).await, Ok(0) | Err(_)));
    assert_eq!(unit.get("relay"), Some(SimValue::Bool(false)));

    server.fault(Fault::RefuseConnections);
    while let Ok(mut socket) = TcpStream::connect(server.local_addr()).await {
        // Taken from the backlog before the listener was gone: closed at once.
        assert!(matches!(socket.read(&mut [0; 1]).await, Ok(0) | Err(_)));
    }
    server.clear_faults();
    let mut socket = loop {
        match TcpStream::connect(server.local_addr()).await {
            Ok(socket) => break socket,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(ask(&mut socket, &[3, 0, 10, 0, 1]).await, [3, 2, 0, 210]);
}

#[tokio::test]
async fn garbage_closes_its_connection_alone() {
    let (server, _unit, mut socket) = server().await;
    let mut stranger = TcpStream::connect(server.local_addr()).await.unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    assert!(stranger.read_to_end(&mut rest).await.is_ok_and(|count| count == 0) || rest.is_empty());
    assert_eq!(ask(&mut socket, &[3, 0, 10, 0, 1]).await, [3, 2, 0, 210]);
    let address = server.local_addr();
    server.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[test]
fn what_is_set_must_fit() {
    let mut device = device();
    let check = |result: Result<(), SetError>, expected: &str| {
        assert_eq!(result.unwrap_err().to_string(), expected);
    };
    check(device.set("mode", &"Noon".into()), "mode: Noon is not one of Peak, OffPeak, Away");
    check(device.set("relay", &1.0.into()), "relay: 1 is not true or false");
    check(device.set("voltage", &"high".into()), "voltage: high is not a number");
    check(
        device.set("temperature", &99_999.0.into()),
        "temperature: input 60 holds -3276.8 to 3276.7, and 99999 is not in it",
    );
    assert!(
        device
            .set("volts", &1.0.into())
            .unwrap_err()
            .to_string()
            .starts_with("no capability \"volts\"; there are: voltage, ")
    );
    device.set("mode", &"Away".into()).unwrap();
    assert_eq!(device.get("mode"), Some("Away".into()));
    device.set("temperature", &21.57.into()).unwrap();
    assert_eq!(device.get("temperature"), Some(21.6.into()), "as the register has it");
}

#[test]
fn no_reading_needs_a_capability_and_a_value_for_it() {
    let device = device();
    let can = |name: &str| device.can(&Fault::Sentinel(name.into())).map_err(|error| error.to_string());
    assert_eq!(can("temperature"), Ok(()));
    assert_eq!(can("voltage"), Ok(()), "a float has NaN");
    assert!(can("foo").unwrap_err().starts_with("no capability \"foo\""));
    assert!(can("power").unwrap_err().contains("no `invalid`"));
    assert!(can("door").unwrap_err().contains("no `invalid`"));
    assert_eq!(device.can(&Fault::Silent), Ok(()));
}

#[test]
fn the_same_seed_gives_the_same_device() {
    let (mut one, mut other) = (device(), device());
    let mut third = ModbusDevice::from_draft(&draft(METER), 8).unwrap();
    for device in [&mut one, &mut other, &mut third] {
        device.step(Duration::from_secs(100));
    }
    assert_eq!(one.values(), other.values());
    assert_eq!(one.cells(Table::Input, 0, 6), other.cells(Table::Input, 0, 6));
    assert_ne!(one.values(), third.values());
}

#[test]
fn a_draft_that_cannot_be_simulated_is_refused_in_words() {
    let (draft, _) = MappingDraft::parse(&SourceFile::new("x.yaml", "uspmap: 1\nprofile: a.b\n"));
    assert_eq!(blueprint(&draft.unwrap()), Err(DraftError::Empty));
    let text = "capabilities:\n  v: {class: LevelSensor, type: Meter, unit: V}\n";
    let (draft, _) = MappingDraft::parse(&SourceFile::new("x.yaml", text));
    let message = blueprint(&draft.unwrap()).unwrap_err().to_string();
    assert_eq!(message, "capability v cannot be simulated: it has no usable read or write");
}

#[test]
fn every_mapping_of_the_library_can_be_simulated() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../mappings/library/modbus");
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let (draft, _) = MappingDraft::parse(&SourceFile::new(&path.display().to_string(), &text));
        let mut device = ModbusDevice::from_draft(&draft.unwrap(), 1).unwrap();
        device.step(Duration::from_secs(10));
        assert!(!device.values().is_empty(), "{}", path.display());
        count += 1;
    }
    assert!(count >= 3, "{count} mappings");
}

#[tokio::test]
async fn holes_and_limits_are_refused_and_the_rest_is_not() {
    let (_server, unit, mut socket) = server().await;
    unit.fault("hole=input:31".parse::<Order<Fault>>().unwrap());
    unit.fault("hole=5".parse::<Order<Fault>>().unwrap());
    assert_eq!(ask(&mut socket, &[4, 0, 30, 0, 1]).await[0], 4);
    assert_eq!(ask(&mut socket, &[4, 0, 4, 0, 2]).await, [0x84, 2]);
    unit.clear_faults();
    unit.fault(Fault::MaxRegisters(2));
    assert_eq!(ask(&mut socket, &[4, 0, 40, 0, 4]).await, [0x84, 3]);
    assert_eq!(ask(&mut socket, &[4, 0, 40, 0, 2]).await[0], 4);
}

#[tokio::test]
async fn a_transient_fault_comes_and_goes() {
    let (_server, unit, mut socket) = server().await;
    unit.fault(Fault::Transient(6));
    let mut functions = Vec::new();
    for _ in 0..6 {
        functions.push(ask(&mut socket, &[4, 0, 30, 0, 1]).await[0]);
    }
    assert_eq!(functions, [4, 4, 0x84, 4, 4, 0x84]);
    unit.fault(Fault::Dead);
    assert_eq!(ask(&mut socket, &[4, 0, 30, 0, 1]).await, [0x84, 11]);
    unit.fault(Fault::Disconnect);
    unit.clear_faults();
    unit.fault(Fault::Disconnect);
    send(&mut socket, 1, &[4, 0, 30, 0, 1]).await;
    assert_eq!(socket.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test]
async fn it_says_what_it_is() {
    let (_server, _unit, mut socket) = server().await;
    let expected =
        [&[43, 14, 1, 0x81, 0, 0, 3, 0, 4][..], b"acme", &[1, 5], b"meter", &[2, 5], b"1.0.0"].concat();
    assert_eq!(ask(&mut socket, &[43, 14, 1, 0]).await, expected);
    assert_eq!(ask(&mut socket, &[43, 13, 1, 0]).await, [0xab, 1]);
}

#[tokio::test]
async fn rtu_frames_over_tcp_are_answered_however_they_are_split() {
    let server = ModbusServer::bind_rtu("127.0.0.1:0".parse().unwrap(), [(1, device())], true).await.unwrap();
    server.unit(1).unwrap().set("power", 7.0).unwrap();
    let mut socket = TcpStream::connect(server.local_addr()).await.unwrap();
    let request = rtu::bytes(&frame::Frame { transaction: 0, unit: 1, pdu: vec![4, 0, 30, 0, 1] });
    let other = rtu::bytes(&frame::Frame { transaction: 0, unit: 9, pdu: vec![4, 0, 30, 0, 1] });
    for bytes in [&other[..], &request[..3], &request[3..]] {
        socket.write_all(bytes).await.unwrap();
    }
    let mut answer = [0; 7];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer.to_vec(), rtu::bytes(&frame::Frame { transaction: 0, unit: 1, pdu: vec![4, 2, 0, 7] }));
}
