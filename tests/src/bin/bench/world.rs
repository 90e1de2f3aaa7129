//! A broker with one Service and one meter, as most figures want it.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::OnceLock;

use usp_simulators::modbus::ModbusServer;
use usp_tests::place::Place;
use usp_tests::process::Process;
use usp_tests::things::meters;
use usp_tests::wait::eventually;

use crate::service::Plan;

/// Root of the Service.
pub(crate) const SERVICE: &str = "Device.X_USPBROKER-DEMO_Thermostat.";

/// The Service's Endpoint ID.
pub(crate) const SERVICE_ID: &str = "proto::measured";

/// Everything that runs; stopped when dropped.
pub(crate) struct World {
    pub(crate) place: Place,
    pub(crate) broker: Process,
    pub(crate) service: Process,
    pub(crate) meter: ModbusServer,
    /// One Parameter of each owner.
    pub(crate) paths: Vec<(&'static str, String)>,
}

/// The program that runs.
pub(crate) fn program() -> OsString {
    std::env::current_exe().unwrap().into_os_string()
}

/// What is measured instead of the broker inside this program.
static BROKER: OnceLock<OsString> = OnceLock::new();

/// Lets another program be the broker: a program as it is shipped needs less memory than this one, which holds the bench.
pub(crate) fn measure_program(path: &Path) {
    BROKER.set(path.as_os_str().to_owned()).unwrap();
}

/// The program that is measured, in a folder of its own.
pub(crate) fn place(more: &str) -> Place {
    let program = BROKER.get().cloned().unwrap_or_else(program);
    Place::new(program.to_str().unwrap(), more)
}

impl World {
    /// Starts all and waits until each owner answers. `others` are further devices.
    pub(crate) async fn start(others: &[(&str, SocketAddr, u8)]) -> Self {
        Self::start_with(others, "").await
    }

    /// The same, with more sections in `broker.toml`.
    pub(crate) async fn start_with(others: &[(&str, SocketAddr, u8)], more: &str) -> Self {
        let meter = meters(&[1]).await;
        let place = place(&format!("local_role = \"Full Access\"\n{more}"));
        let devices = [&[("meter", meter.local_addr(), 1)], others].concat();
        place.meters(&devices);
        let broker = place.start();
        let service = Plan::new(&place.path("controller"), SERVICE_ID, SERVICE).start();
        let label = format!("{SERVICE}Label");
        eventually("the Service's model", || place.cli().values(&label).into_keys().next());
        let paths = vec![
            ("the broker's own", "Device.DeviceInfo.Manufacturer".to_owned()),
            ("a Service's", label),
            ("a device's, in memory", reading(&place, "meter")),
        ];
        Self { place, broker, service, meter, paths }
    }
}

/// The path of a device's voltage, as soon as it has one.
pub(crate) fn reading(place: &Place, device: &str) -> String {
    let row = format!("Device.ProxiedDevice.[Name==\"{device}\"].");
    let path = format!("{row}IoTCapability.[Name==\"Voltage L1\"].LevelSensor.Value");
    eventually("a reading", || place.cli().values(&path).into_keys().next())
}
