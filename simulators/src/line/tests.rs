//! What simulated devices on a line say.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use usp_mapping::diagnostic::SourceFile;
use usp_mapping::draft::MappingDraft;
use usp_mapping::library::builtin;

use super::*;
use crate::mischief::LineFault;

#[test]
fn checksums_are_those_of_the_catalogue() {
    for (name, expected) in [
        ("xor8", "31"),
        ("sum8", "DD"),
        ("sum8-zero", "23"),
        ("sum16", "01DD"),
        ("crc16-arc", "BB3D"),
        ("crc16-modbus", "4B37"),
        ("crc16-xmodem", "31C3"),
        ("crc16-x25", "906E"),
        ("crc16-ccitt-false", "29B1"),
    ] {
        assert_eq!(checksum::digits(&checksum::of(name, b"123456789").unwrap()), expected, "{name}");
    }
    assert_eq!(checksum::of("crc32", b""), None);
}

#[test]
fn a_meter_says_its_telegram() {
    let mut meter = Meter::new(Duration::from_secs(1), 1).still();
    meter.set("import-1", "123.456").unwrap();
    let telegram = String::from_utf8(meter.telegram()).unwrap();
    assert!(telegram.starts_with("/USP5\\253-DEMO-METER\r\n\r\n"), "{telegram}");
    assert!(telegram.contains("\r\n1-0:1.8.1(000123.456*kWh)\r\n"), "{telegram}");
    let (covered, sum) = telegram.trim_end().split_at(telegram.len() - 6);
    assert!(covered.ends_with('!'));
    assert_eq!(sum, checksum::digits(&checksum::of("crc16-arc", covered.as_bytes()).unwrap()));
}

#[test]
fn a_projector_answers_with_a_colon() {
    let mut projector = Projector::default();
    let mut heard = b"PWR?\rPWR ON\rPWR?\rFOO\rVOL 300\r\r".to_vec();
    let mut said = Vec::new();
    while let Some(request) = projector.request(&mut heard) {
        said.push(String::from_utf8(projector.answer(&request, false).unwrap()).unwrap());
    }
    assert_eq!(said, ["PWR=00\r:", ":", "PWR=01\r:", "ERR\r:", "ERR\r:", ":"]);
}

#[test]
fn a_station_answers_to_its_own_address() {
    let mut station = Station::new('2', 1).still();
    station.set("Ta", "-3.5").unwrap();
    let answer = String::from_utf8(station.answer(b"2R0\r\n", false).unwrap()).unwrap();
    assert!(answer.starts_with("2R0,Dm=") && answer.contains(",Ta=-3.5C,"), "{answer}");
    assert_eq!(station.answer(b"0R0\r\n", false), None);
}

fn mapped(name: &str) -> MappedLine {
    let (_, text) = builtin().iter().find(|(known, _)| *known == name).unwrap();
    MappedLine::from_draft(&MappingDraft::parse(&SourceFile::new(name, text)).0.unwrap()).unwrap()
}

#[test]
fn a_device_of_a_mapping_does_what_it_is_told() {
    let mut projector = mapped("line/epson-escvp21.yaml");
    assert_eq!(projector.get("power").as_deref(), Some("true"));
    assert_eq!(projector.answer(b"PWR OFF", false), Some(b":".to_vec()));
    assert_eq!(projector.answer(b"PWR?", false), Some(b"PWR=00\r:".to_vec()));
    assert_eq!(projector.answer(b"VOL 60", true), Some(b":".to_vec()), "acknowledged and not done");
    assert_eq!(projector.get("volume").as_deref(), Some("121"));
    let mut sensor = mapped("line/winsen-mh-z19b.yaml");
    sensor.set("co2", "1200").unwrap();
    let mut heard = vec![0xff, 1, 0x86, 0, 0, 0, 0, 0, 0x79];
    let request = sensor.request(&mut heard).unwrap();
    let answer = sensor.answer(&request, false).unwrap();
    assert_eq!((answer[2], answer[3]), (4, 176));
    assert_eq!(answer.iter().skip(1).fold(0u8, |sum, byte| sum.wrapping_add(*byte)), 0);
    let mut meter = mapped("line/dsmr-p1-v5.yaml");
    assert_eq!(meter.get("gas").as_deref(), Some("12785.123"));
    meter.set("power-import", "2500").unwrap();
    let telegram = String::from_utf8(meter.telegrams(Duration::ZERO).remove(0)).unwrap();
    assert!(telegram.contains("1-0:1.7.0(2.5*kW)"), "{telegram}");
}

#[test]
fn a_line_over_tcp_has_faults_by_name() {
    let server =
        LineServer::start(Projector::default(), &LinePlace::Tcp(([127, 0, 0, 1], 0).into())).unwrap();
    let mut stream = TcpStream::connect(server.address().unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut ask = |request: &[u8], length: usize| {
        stream.write_all(request).unwrap();
        let mut said = vec![0; length];
        stream.read_exact(&mut said).unwrap();
        String::from_utf8_lossy(&said).into_owned()
    };
    assert_eq!(ask(b"PWR?\r", 8), "PWR=00\r:");
    server.fault(LineFault::Echo);
    assert_eq!(ask(b"PWR?\r", 13), "PWR?\rPWR=00\r:");
    server.clear();
    server.fault(LineFault::Refuse);
    assert_eq!(ask(b"PWR ON\r", 5), "ERR\r:");
    server.clear();
    server.fault(LineFault::Half);
    assert_eq!(ask(b"PWR?\r", 4), "PWR=");
    server.clear();
    server.fault(crate::mischief::Order::times(LineFault::Frozen, 1));
    assert_eq!(ask(b"PWR ON\r", 1), ":");
    assert_eq!(server.get("PWR").as_deref(), Some("00"));
    assert_eq!(server.seen().len(), 5);
}
