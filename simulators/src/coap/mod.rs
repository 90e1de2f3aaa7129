//! A CoAP server over a [`World`](crate::world::World): its resources show it, writes to them change it, and who observes
//! them is told.
//!
//! Written from RFC 7252, 7641, 7959, 6690 and the registry of OMA LwM2M objects. With a key it speaks DTLS 1.2 with a
//! pre-shared key, whose cryptography is dimpl's, as the broker's is: that one is tried against another one elsewhere.

pub mod device;
mod draft;
pub mod format;
pub mod oma;
pub mod packet;
mod secure;
mod serve;
pub mod server;

pub use device::CoapDevice;
pub use secure::SimPsk;
pub use server::{CoapHandle, CoapServer};

#[cfg(test)]
mod tests;
