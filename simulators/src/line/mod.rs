//! Devices on a serial line, each on one of its own: on a pseudo-terminal, or over TCP as behind a serial device server.
//!
//! [`Meter`] pushes telegrams as the P1 port of a Dutch meter does, [`Projector`] answers ESC/VP21, [`Station`] is a polled
//! weather station that also speaks by itself; [`MappedLine`] is whatever a mapping draft describes, with the values of its
//! tests. [`LineServer`] runs one, with faults by name.
//!
//! Checksums and frames are made here by code of its own: see [`checksum`].

pub mod checksum;
mod frames;
mod mapped;
mod meter;
mod projector;
mod server;
mod station;
#[cfg(test)]
mod tests;

pub use mapped::{MappedLine, MappedLineError};
pub use meter::Meter;
pub use projector::Projector;
pub use server::{LinePlace, LineServer};
pub use station::Station;

use std::time::Duration;

/// A device on a line.
pub trait LineDevice: Send + 'static {
    /// The next whole request at the beginning of what has come, which is taken out; `None`: more has to come.
    fn request(&mut self, heard: &mut Vec<u8>) -> Option<Vec<u8>>;
    /// What it says to a request; `frozen`: it does not do it.
    fn answer(&mut self, request: &[u8], frozen: bool) -> Option<Vec<u8>>;
    /// What it says when it refuses everything.
    fn refusal(&self) -> Option<Vec<u8>>;
    /// How often it says something by itself.
    fn every(&self) -> Option<Duration>;
    /// What it says by itself, so long after the last time.
    fn telegrams(&mut self, since: Duration) -> Vec<Vec<u8>>;
    /// The same frame with a checksum that is wrong.
    fn spoiled(&self, frame: Vec<u8>) -> Vec<u8>;
    /// What was set falls back.
    fn reboot(&mut self);
    /// A value by its name, as text.
    fn get(&self, name: &str) -> Option<String>;
    /// Holds a value. Errors: there is none of this name, or it cannot be that.
    fn set(&mut self, name: &str, value: &str) -> Result<(), String>;
    /// The names of all values.
    fn names(&self) -> Vec<String>;
}

/// One bit of the last byte that is no blank is another one.
fn flipped(mut frame: Vec<u8>) -> Vec<u8> {
    if let Some(byte) = frame.iter_mut().rev().find(|byte| !byte.is_ascii_whitespace()) {
        *byte ^= 1;
    }
    frame
}
