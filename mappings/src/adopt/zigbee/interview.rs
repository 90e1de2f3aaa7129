//! What a device says of itself when it is asked after it has joined.
//!
//! Source: Zigbee Specification, revision 21, 2.3.2 (descriptors); ZCL revision 6, 3.2 (Basic cluster).

use std::collections::{BTreeMap, BTreeSet};

use crate::transform::Raw;
use crate::zigbee::Ieee;

/// What a device says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interview {
    /// Its IEEE address.
    pub ieee: Ieee,
    /// Node descriptor: it passes on messages for others, so that it has mains power and never sleeps.
    pub is_router: bool,
    /// Node descriptor: its receiver is on when it has nothing to do; otherwise it sleeps.
    pub rx_on_when_idle: bool,
    /// Node descriptor: its manufacturer's code.
    pub manufacturer_code: Option<u16>,
    /// Its endpoints, each with its simple descriptor.
    pub endpoints: Vec<Endpoint>,
    /// Basic cluster, 0x0004.
    pub manufacturer: String,
    /// Basic cluster, 0x0005.
    pub model: String,
    /// Basic cluster, 0x0007, as it is.
    pub power_source: Option<u8>,
    /// Attributes that [`wanted`](super::wanted) asks for and that the device has, by endpoint, cluster and attribute.
    pub held: BTreeMap<(u8, u16, u16), Raw>,
    /// Those of them that it has said not to have. What is in neither was not answered, and nothing is known of it.
    pub lacks: BTreeSet<(u8, u16, u16)>,
}

/// A simple descriptor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// Its number, 1 to 240.
    pub id: u8,
    /// Application profile: 0x0104 is Home Automation, 0xC05E Light Link.
    pub profile: u16,
    /// Kind of device in that profile.
    pub device: u16,
    /// Clusters that it is a server of.
    pub inputs: Vec<u16>,
    /// Clusters that it is a client of.
    pub outputs: Vec<u16>,
}

/// What a device has said of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// This.
    Holds(i128),
    /// That it does not have it.
    Lacks,
    /// Nothing: it was not asked, or did not answer.
    Nothing,
}

impl Interview {
    /// Whether it sleeps.
    pub fn is_sleepy(&self) -> bool {
        !self.is_router && !self.rx_on_when_idle
    }

    /// What it has said of an attribute.
    pub(super) fn said(&self, endpoint: u8, cluster: u16, attribute: u16) -> Said {
        match self.number(endpoint, cluster, attribute) {
            Some(number) => Said::Holds(number),
            None if self.lacks.contains(&(endpoint, cluster, attribute)) => Said::Lacks,
            None => Said::Nothing,
        }
    }

    /// The whole number that it holds there.
    pub(super) fn number(&self, endpoint: u8, cluster: u16, attribute: u16) -> Option<i128> {
        match self.held.get(&(endpoint, cluster, attribute))? {
            Raw::Int(number) => Some(*number),
            Raw::Bool(state) => Some(i128::from(*state)),
            _ => None,
        }
    }
}
