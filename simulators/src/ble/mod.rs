//! Bluetooth Low Energy devices in the air around a fake BlueZ, which has a D-Bus of its own.
//!
//! [`Radio`] starts a `dbus-daemon` on a socket that nobody else knows, and owns `org.bluez` on it: whoever has the socket in
//! `DBUS_SYSTEM_BUS_ADDRESS` finds an adapter, discovers devices, connects, pairs, reads, writes and is notified as with
//! BlueZ 5.66 and later. Devices are [`BleDevice`]s; what they say is encoded here from the documents of their makers.

mod beacon;
mod bluez;
pub mod bthome;
mod bus;
pub mod device;
mod health;
pub mod household;
pub mod lamp;
pub mod lock;
pub mod mapped;
mod objects;
mod peer;
mod quantities;
mod radio;
mod thermometer;
mod uuid;

pub use beacon::Beacon;
pub use bus::{BusError, PrivateBus, address_in};
pub use device::{BleDevice, Mac};
pub use health::HealthThermometer;
pub use household::household;
pub use lamp::Lamp;
pub use lock::Lock;
pub use mapped::{MappedBle, MappedBleError};
pub use quantities::{Kind, Quantities};
pub use radio::{Radio, RadioError, RadioHandle};
pub use thermometer::{Format, Thermometer};
pub use uuid::Uuid;

#[cfg(test)]
mod tests;
