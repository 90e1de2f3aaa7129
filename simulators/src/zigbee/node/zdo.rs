//! Zigbee Device Objects (05-3474, 2.4): what a device says about itself, bindings, and leaving.

use super::super::bytes::{Out, Reader};
use super::super::ieee::Ieee;
use super::{Binding, Endpoint, Heard, Logical, Node, Outcome, Said, To};

const SUCCESS: u8 = 0x00;
const INVALID_ENDPOINT: u8 = 0x82;
const NOT_ACTIVE: u8 = 0x83;
const NOT_SUPPORTED: u8 = 0x84;
const NO_ENTRY: u8 = 0x88;
const WRONG_ADDRESS: u8 = 0x80;

/// What has to be known of a device to describe it.
pub(in super::super) struct Identity<'a> {
    pub(in super::super) ieee: Ieee,
    pub(in super::super) address: u16,
    pub(in super::super) logical: Logical,
    pub(in super::super) manufacturer: u16,
    pub(in super::super) endpoints: &'a [Endpoint],
}

impl Identity<'_> {
    /// What a device can, as a MAC knows it.
    pub(in super::super) fn capability(&self) -> u8 {
        match self.logical {
            Logical::Coordinator => 0x8f,
            Logical::Router => 0x8e,
            Logical::Sleepy(_) => 0x80,
        }
    }

    fn node_descriptor(&self) -> Vec<u8> {
        let kind = match self.logical {
            Logical::Coordinator => 0,
            Logical::Router => 1,
            Logical::Sleepy(_) => 2,
        };
        // Revision 22, and of the coordinator that it is the primary trust centre.
        let servers = 22 << 9 | u16::from(self.logical == Logical::Coordinator);
        let out = Out::new().u8(kind).u8(0x40).u8(self.capability()).u16(self.manufacturer);
        out.u8(82).u16(82).u16(servers).u16(82).u8(0).done()
    }

    fn simple_descriptor(&self, id: u8) -> Option<Vec<u8>> {
        let one = self.endpoints.iter().find(|one| one.id == id)?;
        let out = Out::new().u8(id).u16(one.profile).u16(one.device).u8(1);
        Some(out.list(&one.inputs).list(&one.outputs).done())
    }
}

/// Answers what is only asked: without the sequence number that stands before. `None`: nothing is said.
pub(in super::super) fn describe(me: &Identity, cluster: u16, payload: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(payload);
    let address = |reader: &mut Reader| reader.u16();
    match cluster {
        // Who else than the one that is meant would answer would be wrong.
        0x0000 => (reader.u64()? == me.ieee.0).then(|| both(me)),
        0x0001 => (address(&mut reader)? == me.address).then(|| both(me)),
        0x0002 => {
            let of = address(&mut reader)? == me.address;
            Some(if of { found(me).bytes(&me.node_descriptor()).done() } else { unknown(me) })
        }
        0x0003 => {
            let of = address(&mut reader)? == me.address;
            let power = if matches!(me.logical, Logical::Sleepy(_)) { 0xc440 } else { 0xc110 };
            Some(if of { found(me).u16(power).done() } else { unknown(me) })
        }
        0x0004 => {
            let of = address(&mut reader)? == me.address;
            let endpoint = reader.u8()?;
            let failed = |code| Out::new().u8(code).u16(me.address).u8(0).done();
            Some(match me.simple_descriptor(endpoint) {
                _ if !of => unknown(me),
                Some(descriptor) => found(me).counted(&descriptor).done(),
                None if endpoint == 0 || endpoint > 254 => failed(INVALID_ENDPOINT),
                None => failed(NOT_ACTIVE),
            })
        }
        0x0005 => {
            let of = address(&mut reader)? == me.address;
            let ids: Vec<u8> = me.endpoints.iter().map(|one| one.id).collect();
            Some(if of { found(me).counted(&ids).done() } else { unknown(me) })
        }
        0x0006 => {
            address(&mut reader)?;
            let profile = reader.u16()?;
            let mut list = || (0..reader.u8()?).map(|_| reader.u16()).collect::<Option<Vec<_>>>();
            let (inputs, outputs) = (list()?, list()?);
            let has = |one: &&Endpoint| {
                one.profile == profile
                    && (inputs.iter().any(|id| one.inputs.contains(id))
                        || outputs.iter().any(|id| one.outputs.contains(id)))
            };
            let ids: Vec<u8> = me.endpoints.iter().filter(has).map(|one| one.id).collect();
            (!ids.is_empty()).then(|| found(me).counted(&ids).done())
        }
        _ => None,
    }
}

fn both(me: &Identity) -> Vec<u8> {
    Out::new().u8(SUCCESS).u64(me.ieee.0).u16(me.address).done()
}

fn found(me: &Identity) -> Out {
    Out::new().u8(SUCCESS).u16(me.address)
}

fn unknown(me: &Identity) -> Vec<u8> {
    Out::new().u8(WRONG_ADDRESS).u16(me.address).done()
}

impl Node {
    /// Its identity at this address.
    pub(in super::super) fn identity(&self, address: u16) -> Identity<'_> {
        let (ieee, logical, manufacturer) = (self.ieee, self.logical, self.manufacturer);
        Identity { ieee, address, logical, manufacturer, endpoints: &self.endpoints }
    }

    pub(super) fn management(&mut self, heard: &Heard) -> Outcome {
        let mut outcome = Outcome::default();
        let Some((sequence, payload)) = heard.payload.split_first() else { return outcome };
        let answer = match heard.cluster {
            0x0021 | 0x0022 => self.bind(heard.cluster == 0x0021, payload).map(|code| vec![code]),
            0x0033 => Some(self.bound(payload)),
            0x0034 => {
                let mut reader = Reader::new(payload);
                let ieee = reader.u64();
                let rejoin = reader.u8().unwrap_or(0) & 0x80 != 0;
                let meant = ieee.is_some_and(|ieee| ieee == 0 || ieee == self.ieee.0);
                outcome.leaves = meant.then_some(rejoin);
                Some(vec![if meant { SUCCESS } else { NOT_SUPPORTED }])
            }
            0x0036 if heard.broadcast => None,
            0x0036 => Some(vec![if self.logical == Logical::Router { SUCCESS } else { NOT_SUPPORTED }]),
            0x0000..=0x0006 => describe(&self.identity(self.address), heard.cluster, payload),
            request if request < 0x8000 && !heard.broadcast => Some(vec![NOT_SUPPORTED]),
            _ => None,
        };
        outcome.said.extend(answer.map(|answer| Said {
            broadcast: false,
            profile: 0,
            cluster: heard.cluster | 0x8000,
            endpoint: 0,
            to_endpoint: 0,
            group: None,
            payload: Out::new().u8(*sequence).bytes(&answer).done(),
        }));
        outcome
    }

    fn bind(&mut self, makes: bool, payload: &[u8]) -> Option<u8> {
        let mut reader = Reader::new(payload);
        let (source, endpoint, cluster) = (reader.u64()?, reader.u8()?, reader.u16()?);
        let to = match reader.u8()? {
            1 => To::Group(reader.u16()?),
            _ => To::Device(Ieee(reader.u64()?), reader.u8()?),
        };
        let here = self.endpoints.iter().any(|one| one.id == endpoint);
        if source != self.ieee.0 || !here {
            return Some(INVALID_ENDPOINT);
        }
        let binding = Binding { endpoint, cluster, to };
        let before = self.bindings.len();
        self.bindings.retain(|other| *other != binding);
        if makes {
            self.bindings.push(binding);
        } else if self.bindings.len() == before {
            return Some(NO_ENTRY);
        }
        Some(SUCCESS)
    }

    /// Mgmt_Bind_rsp: three at a time.
    fn bound(&self, payload: &[u8]) -> Vec<u8> {
        let first = payload.first().copied().unwrap_or(0);
        let told: Vec<&Binding> = self.bindings.iter().skip(first.into()).take(3).collect();
        let out = Out::new().u8(SUCCESS).u8(self.bindings.len() as u8).u8(first).u8(told.len() as u8);
        let written = told.iter().fold(out, |out, binding| {
            let out = out.u64(self.ieee.0).u8(binding.endpoint).u16(binding.cluster);
            match binding.to {
                To::Group(group) => out.u8(1).u16(group),
                To::Device(ieee, endpoint) => out.u8(3).u64(ieee.0).u8(endpoint),
            }
        });
        written.done()
    }

    /// Device_annce: to all.
    pub(in super::super) fn announcement(&mut self) -> Said {
        let me = self.identity(self.address);
        let (ieee, address, capability) = (me.ieee.0, me.address, me.capability());
        let sequence = self.next_sequence();
        let payload = Out::new().u8(sequence).u16(address).u64(ieee).u8(capability).done();
        Said {
            broadcast: true,
            profile: 0,
            cluster: 0x0013,
            endpoint: 0,
            to_endpoint: 0,
            group: None,
            payload,
        }
    }
}
