//! CoAP (RFC 7252): a socket for each device, over which it is asked and says what is observed.
//!
//! [`message`], [`endpoint`] and [`dtls`] are pure; [`link`] is the socket with its task, [`medium`] the bus' way to it, [`codec`]
//! and [`model`] tie both to the mapping.

mod assembly;
pub(crate) mod codec;
pub(crate) mod dtls;
pub(crate) mod endpoint;
pub(crate) mod link;
pub(crate) mod medium;
pub(crate) mod message;
pub(crate) mod model;
pub mod scan;

#[cfg(test)]
mod tests;

use crate::bus::supervise::supervise;
use crate::bus::{BusPlan, Ends};
use crate::site::{End, SharedLink};

/// All CoAP devices of a site: each has a socket of its own, so that there is nothing to share but the name.
#[derive(Debug)]
pub(crate) struct CoapBus;

impl SharedLink for CoapBus {
    fn serve(&self, ends: Ends) -> End {
        Box::pin(supervise::<model::CoapModel, medium::CoapMedium>(ends, medium::CoapMedium::new))
    }

    fn configure(&self, _: &BusPlan) {}

    fn stop(self: Box<Self>) -> End {
        Box::pin(async {})
    }
}
