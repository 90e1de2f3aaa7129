//! WebSocket (R-WS.1 to R-WS.24): the Agent's own server (R-WS.6).

mod connection;
mod listener;
mod upgrade;

#[cfg(test)]
mod tests;

pub(crate) use listener::{BindError, Server};
pub(crate) use upgrade::is_loopback_host;
