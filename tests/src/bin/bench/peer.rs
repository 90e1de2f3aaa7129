//! Another Agent to measure beside the broker.

use std::path::PathBuf;

/// Its two UNIX domain sockets.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Where Controllers connect.
    pub(crate) agent: PathBuf,
    /// Where Services connect.
    pub(crate) services: PathBuf,
}

impl Peer {
    /// `uds:AGENT_PATH,CONTROLLER_PATH`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let paths = text.strip_prefix("uds:").and_then(|paths| paths.split_once(','));
        let (agent, services) = paths.ok_or("it is written uds:AGENT_PATH,CONTROLLER_PATH")?;
        Ok(Self { agent: agent.into(), services: services.into() })
    }
}
