//! Zigbee devices behind a coordinator of this hub: a stick on a serial port, or one that is reached over TCP.
//!
//! [`ncp`] speaks to the coordinator.

pub(crate) mod ncp;
