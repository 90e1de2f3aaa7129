//! Devices of a Zigbee network, from what they say of themselves.

mod interview;
mod wanted;

pub use self::interview::{Endpoint, Interview};
pub use self::wanted::wanted;
