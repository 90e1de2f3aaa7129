//! The way to a coordinator, and what is said when it is gone.

use std::io::{self, ErrorKind};

use serial2::FlowControl;
use usp_mapping::mapping::{Parity, SerialLine};

use crate::serial::io_words;
use crate::serial::wire::{Wire, lost_port};

use super::{NcpFault, NcpPort, PortFlow, Way};

/// A coordinator that speaks, and how.
pub(super) struct Opened<F> {
    pub(super) wire: Wire,
    pub(super) framing: F,
    pub(super) lost: Lost,
}

/// What is said when the way is gone.
#[derive(Clone, Debug)]
pub(super) struct Lost(Way);

impl Lost {
    pub(super) fn new(way: &Way) -> Self {
        Self(way.clone())
    }

    pub(super) fn words(&self, error: &io::Error) -> String {
        match &self.0 {
            Way::Serial { path, .. } => lost_port(path),
            Way::Tcp(address) => {
                let closed = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset].contains(&error.kind());
                let perhaps = if closed { ", as happens when another program connects to it" } else { "" };
                format!("{address}: {}{perhaps}", io_words(error))
            }
        }
    }
}

/// Opens the way.
pub(super) async fn open(port: &NcpPort) -> Result<(Wire, Lost), NcpFault> {
    let wire = match &port.way {
        Way::Serial { path, baud, flow } => {
            let line = SerialLine {
                port: path.clone(),
                baud: *baud,
                parity: Parity::None,
                data_bits: 8,
                stop_bits: 1,
            };
            let flow = match flow {
                PortFlow::None => FlowControl::None,
                PortFlow::Hardware => FlowControl::RtsCts,
                PortFlow::Software => FlowControl::XonXoff,
            };
            Wire::serial(line, flow).await
        }
        Way::Tcp(address) => Wire::tcp(address).await,
    };
    wire.map(|wire| (wire, Lost::new(&port.way))).map_err(NcpFault::Gone)
}

#[cfg(test)]
mod tests {
    use usp_mapping::mapping::BusAddress;

    use super::*;

    /// Two programs at one coordinator: nothing else tells of the other.
    #[test]
    fn a_connection_that_was_taken_over_may_be_told_by_its_end() {
        let lost = Lost::new(&Way::Tcp(BusAddress::Host("stick".to_owned(), 6638)));
        let words = |kind: ErrorKind| lost.words(&kind.into());
        assert!(words(ErrorKind::UnexpectedEof).ends_with("as happens when another program connects to it"));
        assert_eq!(words(ErrorKind::ConnectionRefused), "stick:6638: connection refused");
    }
}
