//! The mapping language of usp-broker.

pub mod mapping;
pub mod port;
pub mod transform;
pub mod value;
