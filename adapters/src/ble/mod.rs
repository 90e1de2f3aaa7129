//! Bluetooth Low Energy over BlueZ: one task for each radio, a worker and a task for each device on it.
//!
//! [`model`] is pure: it turns points into characteristics that are read, and what is heard into readings. [`vigil`] is pure: it
//! keeps the scan going. [`slots`] is pure: it shares the connections of a radio. [`seal`] opens encrypted advertisements. [`link`]
//! drives the vigil over a [`bluez`] session; [`board`] is what a radio and its devices share. [`device`] is a worker's way to its
//! device, [`chat`] its connection, and [`hearing`] what is heard of it.
//!
//! Connections (GATT) go through `btleplug`. What is advertised does not: its stream asks BlueZ for everything that it knows of a
//! device, one call for each advertisement, and keeps what nobody has fetched without bound. So the signals of BlueZ are read as
//! they come, over a connection to D-Bus of our own, on which D-Bus itself picks out those of the devices that the site has: who
//! else advertises costs nothing. Pairing, for which `btleplug` has nothing, and the agent that gives passkeys are there too.
//!
//! Always:
//!
//! - A device counts as heard when BlueZ tells of an advertisement: of its data, though they are the same, or of its strength. What
//!   BlueZ knew of a device before the scan began is not heard: it may be of any age.
//! - The same data again make a reading fresh, and are not another occurrence of an event: as long as their packet identifier or
//!   counter stays the same, or, without any, as long as they come without a pause of [`hearing::PAUSE`].
//! - A write is done when the device has acknowledged it (Write Response), or where it does not, when it shows the value; where its
//!   mapping has an answer, when that was notified. What breaks off on the way is a fault, be the write done or not, and is not sent again.
//! - A write that found no connection within its time to live is not sent.
//! - Nothing that BlueZ is asked is waited for without end; after a time-out the connection to the device is given up, and after
//!   two looks without an answer the one to D-Bus.
//! - Keys and passkeys are read where they are kept when they are needed, and are shown nowhere.

mod bluez;
mod board;
mod chat;
mod device;
mod guard;
mod hearing;
mod link;
mod model;
mod rhythm;
pub mod scan;
mod seal;
mod slots;
#[cfg(test)]
mod tests;
mod vigil;

pub(crate) use self::link::BleLink;
