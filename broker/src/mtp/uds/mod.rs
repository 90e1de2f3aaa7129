//! UNIX domain sockets (R-UDS.1 to R-UDS.25): the broker listens on two, one for Controllers and one for Services.

mod connection;
mod listener;
mod stream;

#[cfg(test)]
mod tests;

pub(crate) use listener::{BindError, Socket};
