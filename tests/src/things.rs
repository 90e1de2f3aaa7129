//! Simulated meters in this process.

use usp_mapping::diagnostic::SourceFile;
use usp_mapping::draft::MappingDraft;
use usp_mapping::library;
use usp_simulators::modbus::{ModbusDevice, ModbusServer};

/// Demo meters on a free port of loopback, one a unit, in which time stands still.
pub async fn meters(units: &[u8]) -> ModbusServer {
    let device = |unit: &u8| (*unit, meter(*unit));
    ModbusServer::bind_still(([127, 0, 0, 1], 0).into(), units.iter().map(device)).await.unwrap()
}

/// One demo meter.
pub fn meter(seed: u8) -> ModbusDevice {
    let name = "modbus/usp-demo-meter.yaml";
    let (_, text) = library::builtin().iter().find(|(known, _)| *known == name).unwrap();
    let (draft, problems) = MappingDraft::parse(&SourceFile::new(name, text));
    let draft = draft.unwrap_or_else(|| panic!("{problems:?}"));
    ModbusDevice::from_draft(&draft, u64::from(seed)).unwrap()
}
