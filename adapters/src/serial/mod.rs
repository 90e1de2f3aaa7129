//! Serial ports, for every protocol that has lines: opened for this process alone, by names that stay the same.

pub(crate) mod port;
#[cfg(any(feature = "line", feature = "zigbee"))]
pub(crate) mod wire;

use std::io::{Error, ErrorKind};

pub(crate) const CLOSED: &str = "the connection was closed";

/// Without the number of the operating system's error, which says nothing to the reader.
pub(crate) fn io_words(error: &Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof => CLOSED.to_owned(),
        ErrorKind::HostUnreachable => "no route to the host".to_owned(),
        ErrorKind::NetworkUnreachable => "no route to the network".to_owned(),
        ErrorKind::TimedOut => "no answer".to_owned(),
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "no permission".to_owned(),
        _ => without_number(&error.to_string()).to_owned(),
    }
}

/// What the system says, without its ` (os error 2)`.
pub(crate) fn without_number(text: &str) -> &str {
    text.split_once(" (os error ").map_or(text, |(words, _)| words)
}
