//! Frames of the Zigbee Cluster Library and the values in them: pure, exact, bounded by the frame itself.
//!
//! Source: ZCL revision 6, 2.4 (frames), 2.5 (general commands), 2.6.2 (data types and their non-values).

mod frame;
mod kind;
mod value;

pub use self::frame::{Access, Direction, Frame, General, Record, Status, numbered};
pub use self::frame::{command, configure_reporting, default_response, read_attributes, write_attribute};
pub use self::kind::ZclType;
pub use self::value::{ZclValue, encode, take};
