//! Expected parts of the simulated things, by path.

/// Root of the Service that is stopped in tests.
pub(crate) const THERMOSTAT: &str = "Device.X_USPBROKER-DEMO_Thermostat.";

/// Root of another Service of the same kind.
pub(crate) const BOILER: &str = "Device.X_USPBROKER-DEMO_Boiler.";
