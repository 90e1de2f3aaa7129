//! The way to a line: opened, and what to say when it is gone.

use std::io;

use serial2::FlowControl;
use usp_mapping::mapping::{LineBus, LinePort};

use crate::serial::io_words;
use crate::serial::wire::lost_port;

pub(crate) use crate::serial::wire::Wire;

/// Opens the way. Errors: a sentence that names it and says what to do.
pub(crate) async fn open(bus: &LineBus) -> Result<Wire, String> {
    match &bus.port {
        LinePort::Serial(path) => Wire::serial(bus.settings.line(path), FlowControl::None).await,
        LinePort::Tcp(address) => Wire::tcp(address).await,
    }
}

/// Why a way is gone.
pub(crate) fn lost(bus: &LineBus, error: &io::Error) -> String {
    match &bus.port {
        LinePort::Serial(path) => lost_port(path),
        LinePort::Tcp(address) => format!("{address}: {}", io_words(error)),
    }
}
