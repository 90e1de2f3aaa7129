//! The mapping language of usp-broker.

mod base64;
mod code;
pub mod diagnostic;
pub mod draft;
pub mod mapping;
mod modbus;
pub mod port;
mod read;
pub mod transform;
pub mod value;
mod words;
mod yaml;
