//! What somebody does at a device: a button is pressed.

use super::super::zcl::Frame;
use super::{Node, Said};

/// Something that can be done at a device, and what it says then to those that it is bound to.
#[derive(Clone, Debug)]
pub(super) struct Action {
    pub(super) name: String,
    pub(super) endpoint: u8,
    pub(super) cluster: u16,
    pub(super) command: u8,
    pub(super) payload: Vec<u8>,
}

impl Node {
    /// Does something at it; what it says then.
    ///
    /// Errors: there is no such thing to do, or the device is bound to nobody for it.
    pub(in super::super) fn act(&mut self, name: &str) -> Result<Vec<Said>, String> {
        let known = || self.actions.iter().map(|action| action.name.as_str()).collect::<Vec<_>>().join(", ");
        let Some(action) = self.actions.iter().find(|action| action.name == name).cloned() else {
            return Err(format!("{} has no action {name:?}; it has: {}", self.name, known()));
        };
        let frame = Frame {
            of_cluster: true,
            manufacturer: None,
            from_server: false,
            quiet: false,
            sequence: self.next_sequence(),
            command: action.command,
            payload: action.payload,
        };
        let said = self.to_bound(action.endpoint, action.cluster, &frame);
        if said.is_empty() {
            return Err(format!("{} is bound to nobody for {name}", self.name));
        }
        Ok(said)
    }

    /// What can be done at it.
    pub fn actions(&self) -> Vec<String> {
        self.actions.iter().map(|action| action.name.clone()).collect()
    }
}
