//! What live tests and benchmarks share: a broker and a Service in processes of their own, a folder for them, simulated
//! meters, and waiting for conditions.
//!
//! Everything here fails as tests do: it panics with what it saw.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

pub mod cli;
pub mod hostile;
pub mod household;
pub mod leaks;
pub mod libcoap;
pub mod modbus;
pub mod mosquitto;
pub mod place;
pub mod port;
pub mod process;
pub mod role;
pub mod things;
pub mod uds;
pub mod wait;
