//! Devices that speak MQTT: one connection for each server, a worker for each device.
//!
//! [`model`] is pure: topics and bodies become readings, writes become publications. [`link`] keeps the connection and is
//! the only place that knows the library ([`wire`]); [`board`] is what the two sides share; [`topics`] says what is
//! subscribed to. Facts: MQTT 3.1.1 and 5.0, OASIS standards.
//!
//! A connection is opening, up or down. From CONNACK on it is up and what comes in is heard; orders of devices are carried
//! out once the server has accepted the subscriptions, so that no answer is missed. When it breaks it is down for the
//! reason that is told of all its devices, and made again after pauses that grow from 1 s to a minute, with jitter.
//!
//! What bridges tell of their devices is heard over the same connection and taken over by [`adopt`].
//!
//! Always:
//!
//! - Sessions are clean and nothing of a former connection is sent again: what was under way when it broke was perhaps
//!   done, and its write says so.
//! - What is subscribed to is the union of what devices need, without what a wider filter covers: a server may deliver once
//!   for each filter, and an event would happen twice. Devices that come and go change it by the difference.
//! - The acknowledgement of a publication is the server's. It is no contact with the device and confirms nothing.
//! - What the server has kept (retained) is what was last said, of unknown age: a reading, never an event, a contact or a
//!   confirmation. On availability topics it counts: there it stands for the present by design.
//! - Passwords and keys are read when a connection is made, and are in nothing that can be shown.

mod adopt;
mod board;
mod device;
mod link;
mod model;
pub mod scan;
#[cfg(test)]
mod tests;
mod topics;
mod wire;

pub(crate) use link::MqttLink;
