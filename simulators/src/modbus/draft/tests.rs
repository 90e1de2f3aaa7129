//! What the language can say besides plain numbers, as registers.

use usp_mapping::diagnostic::SourceFile;

use super::super::pdu::parse;
use super::*;
use crate::value::SimValue;

const MAPPING: &str = "\
uspmap: 1
profile: acme.all
version: 1.0.0
device: {type: Sensor}
poll: {fast: 1s}
fingerprint:
  - {holding: 900, equals: 0x1234}
nodes:
  left:
    type: Light
    capabilities:
      switch: {class: BinaryControl, type: Switch, read: {coil: 0}, write: {}}
capabilities:
  place:
    class: MultiLevelSensor
    type: Location
    unit: deg
    values:
      Latitude: {input: 0, as: s24, scale: 0.0001}
      Longitude: {input: 2, as: s24, scale: 0.0001}
  power: {class: LevelSensor, type: Power, unit: W, read: {input: 10, as: s16, exponent: {input: 11}}}
  serial: {class: BlobSensor, type: text, read: {holding: 20, as: string, registers: 4}}
  low: {class: LevelSensor, type: Meter, unit: A, read: {holding: 30, as: u8, byte: low}}
  high: {class: LevelControl, type: Meter, unit: A, min: 0, max: 32, read: {holding: 30, as: u8, byte: high}, write: {}}
commands:
  X_ACME_Reset:
    send:
      - {holding: 40, value: 1}
      - {holding: 41, value: 7}
events:
  X_ACME_Overload: {read: {input: 50, bits: 2}, on: true}
";

fn device() -> ModbusDevice {
    let (draft, found) = MappingDraft::parse(&SourceFile::new("all.yaml", MAPPING));
    assert!(found.iter().all(|problem| !problem.is_error()), "{found:?}");
    ModbusDevice::from_draft(&draft.unwrap(), 1).unwrap()
}

#[test]
fn every_part_of_the_language_is_there() {
    let mut device = device();
    let mut set = |name: &str, value: SimValue| device.set(name, &value).unwrap();
    set("left.switch", true.into());
    set("place.Latitude", (-12.3456).into());
    set("power", 150.5.into());
    set("serial", "AB-1".into());
    set("low", 7.0.into());
    set("high", 16.0.into());
    set("X_ACME_Overload", true.into());
    assert_eq!(device.coil(0), Some(true));
    let mut cells = |table, start, count| device.cells(table, start, count).unwrap();
    assert_eq!(cells(Table::Input, 0, 2), [0x00fe, 0x1dc0], "-123456 in 24 bits");
    assert_eq!(cells(Table::Input, 10, 2), [1505, 0xffff], "150.5 with an exponent of -1");
    assert_eq!(cells(Table::Holding, 20, 4), [0x4142, 0x2d31, 0, 0]);
    assert_eq!(cells(Table::Holding, 30, 1), [0x1007]);
    assert_eq!(cells(Table::Holding, 900, 1), [0x1234]);
    assert_eq!(cells(Table::Input, 50, 1)[0] & 4, 4);
}

#[test]
fn commands_may_write_what_no_capability_has() {
    let mut device = device();
    let mut write = |address: u8, value: u8| device.answer(&parse(&[6, 0, address, 0, value]).unwrap());
    assert_eq!(write(40, 1).unwrap(), [6, 0, 40, 0, 1]);
    assert_eq!(write(41, 7).unwrap(), [6, 0, 41, 0, 7]);
    assert!(write(42, 1).is_err());
    assert_eq!(device.cells(Table::Holding, 41, 1), Some(vec![7]));
    let high = parse(&[6, 0, 30, 20, 7]).unwrap();
    device.answer(&high).unwrap();
    assert_eq!(device.get("high"), Some(SimValue::Number(20.0)));
}
