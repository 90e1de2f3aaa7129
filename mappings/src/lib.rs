//! The mapping language of usp-broker.

mod base64;
mod code;
pub mod diagnostic;
pub mod mapping;
mod modbus;
pub mod port;
pub mod transform;
pub mod value;
mod yaml;
