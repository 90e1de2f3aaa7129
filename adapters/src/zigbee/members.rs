//! Who is in the network: pure.
//!
//! A device is known by its IEEE address, for ever; its network address may be another one after each rejoin, and belongs to
//! one device at a time: whoever says last that it has it, has it.
//!
//! States of a member: in the network or not (`nwk`; `None`: where it is has to be found out), interviewed or not (`known`), set up
//! for a mapping or not (`set_up`). Who leaves is forgotten; who is given the network's key is set up anew, because many devices have
//! forgotten their bindings then. Who only announces itself, as all do after a power cut, is what it was.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use usp_mapping::adopt::zigbee::{self, Interview};
use usp_mapping::transform::Raw;

use super::interview::Question;
use super::ncp::Ieee;
use super::zdo::{Endpoint, Node, Role};

/// Most devices of a network.
pub(super) const MOST: usize = 1024;

/// What a device has said of itself.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Known {
    pub(super) node: Node,
    pub(super) endpoints: Vec<Endpoint>,
    /// ManufacturerName of the Basic cluster.
    pub(super) manufacturer: String,
    /// ModelIdentifier of the Basic cluster.
    pub(super) model: String,
    /// PowerSource of the Basic cluster.
    pub(super) power_source: Option<u8>,
    /// Attributes that say what others mean, by endpoint, cluster and attribute.
    pub(super) held: BTreeMap<(u8, u16, u16), Raw>,
    /// Those of them that it has said not to have.
    pub(super) lacks: BTreeSet<(u8, u16, u16)>,
}

impl Known {
    /// The same in the words of adoption.
    pub(super) fn described(&self, ieee: Ieee) -> Interview {
        let endpoint = |endpoint: &Endpoint| zigbee::Endpoint {
            id: endpoint.number,
            profile: endpoint.profile,
            device: endpoint.device,
            inputs: endpoint.inputs.clone(),
            outputs: endpoint.outputs.clone(),
        };
        Interview {
            ieee: usp_mapping::mapping::Ieee(ieee.0),
            is_router: self.node.role == Role::Router,
            rx_on_when_idle: self.node.listens,
            manufacturer_code: Some(self.node.manufacturer),
            endpoints: self.endpoints.iter().map(endpoint).collect(),
            manufacturer: self.manufacturer.clone(),
            model: self.model.clone(),
            power_source: self.power_source,
            held: self.held.clone(),
            lacks: self.lacks.clone(),
        }
    }
}

/// One device.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Member {
    /// Where it is.
    pub(super) nwk: Option<u16>,
    pub(super) known: Option<Known>,
    /// For what it was set up: a digest of the mapping's wishes.
    pub(super) set_up: Option<u64>,
    /// Endpoint, cluster and attribute of what it was to report and does not.
    pub(super) unreported: BTreeSet<(u8, u16, u16)>,
    /// What it said nothing to when it was interviewed.
    pub(super) unanswered: Vec<Question>,
    /// When it was last heard; `None`: not in this life.
    pub(super) heard_at: Option<Instant>,
}

impl Member {
    /// Whether it is interviewed and set up.
    pub(super) fn is_ready(&self) -> bool {
        self.known.is_some() && self.set_up.is_some()
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Members {
    all: BTreeMap<Ieee, Member>,
    by_nwk: BTreeMap<u16, Ieee>,
    /// Those of whom something else is to be kept now.
    changed: BTreeSet<Ieee>,
}

impl Members {
    /// As they were kept.
    pub(super) fn kept(all: impl IntoIterator<Item = (Ieee, Member)>) -> Self {
        let mut members = Self::default();
        for (ieee, member) in all {
            if let Some(nwk) = member.nwk {
                members.by_nwk.insert(nwk, ieee);
            }
            members.all.insert(ieee, member);
        }
        members
    }

    pub(super) fn get(&self, ieee: Ieee) -> Option<&Member> {
        self.all.get(&ieee)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Ieee, &Member)> {
        self.all.iter().map(|(ieee, member)| (*ieee, member))
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Who has a network address.
    pub(super) fn at(&self, nwk: u16) -> Option<Ieee> {
        self.by_nwk.get(&nwk).copied()
    }

    /// A device is there, at this address. Whether it is new; `None`: there is no room for it.
    pub(super) fn found(&mut self, ieee: Ieee, nwk: u16) -> Option<bool> {
        let is_new = !self.all.contains_key(&ieee);
        if is_new && self.all.len() >= MOST {
            return None;
        }
        let former = self.by_nwk.insert(nwk, ieee).filter(|former| *former != ieee);
        if let Some(member) = former.and_then(|former| self.all.get_mut(&former)) {
            member.nwk = None;
        }
        self.changed.extend(former);
        let member = self.all.entry(ieee).or_default();
        if member.nwk != Some(nwk) {
            let old = member.nwk.replace(nwk);
            old.map(|old| self.by_nwk.remove(&old));
            self.changed.insert(ieee);
        }
        if is_new {
            self.changed.insert(ieee);
        }
        Some(is_new)
    }

    /// It was heard.
    pub(super) fn heard(&mut self, ieee: Ieee, now: Instant) {
        if let Some(member) = self.all.get_mut(&ieee) {
            member.heard_at = Some(now);
        }
    }

    /// It has said this of itself, and nothing to these questions.
    pub(super) fn interviewed(&mut self, ieee: Ieee, known: Known, unanswered: Vec<Question>) {
        if let Some(member) = self.all.get_mut(&ieee)
            && (member.known.as_ref() != Some(&known) || member.unanswered != unanswered)
        {
            (member.known, member.unanswered) = (Some(known), unanswered);
            self.changed.insert(ieee);
        }
    }

    /// It was set up for these wishes; `None`: it may have forgotten all of it.
    pub(super) fn set_up(&mut self, ieee: Ieee, digest: Option<u64>) {
        if let Some(member) = self.all.get_mut(&ieee)
            && member.set_up != digest
        {
            member.set_up = digest;
            self.changed.insert(ieee);
        }
    }

    /// What it does not report although it was to; whether that is something else than before.
    pub(super) fn unreported(&mut self, ieee: Ieee, unreported: BTreeSet<(u8, u16, u16)>) -> bool {
        let Some(member) = self.all.get_mut(&ieee) else { return false };
        let is_news = member.unreported != unreported;
        if is_news {
            member.unreported = unreported;
            self.changed.insert(ieee);
        }
        is_news
    }

    /// It is gone; whether it was there.
    pub(super) fn left(&mut self, ieee: Ieee) -> bool {
        let member = self.all.remove(&ieee);
        if let Some(nwk) = member.as_ref().and_then(|member| member.nwk) {
            self.by_nwk.remove(&nwk);
        }
        self.changed.extend(member.is_some().then_some(ieee));
        member.is_some()
    }

    /// Of whom something else is to be kept, since the last time; a member that is gone is not among the members any more.
    pub(super) fn take_changed(&mut self) -> BTreeSet<Ieee> {
        std::mem::take(&mut self.changed)
    }

    /// It could not be kept.
    pub(super) fn not_kept(&mut self, ieee: Ieee) {
        self.changed.insert(ieee);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Ieee = Ieee(0xa);
    const B: Ieee = Ieee(0xb);

    fn changed(members: &mut Members) -> Vec<Ieee> {
        members.take_changed().into_iter().collect()
    }

    #[test]
    fn a_network_address_is_that_of_whoever_said_so_last() {
        let mut members = Members::default();
        assert_eq!(members.found(A, 1), Some(true));
        assert_eq!(members.found(A, 1), Some(false));
        assert_eq!(changed(&mut members), [A]);
        members.found(A, 2);
        assert_eq!((members.at(1), members.at(2)), (None, Some(A)));
        members.found(B, 2);
        assert_eq!((members.at(2), members.get(A).unwrap().nwk), (Some(B), None));
        assert_eq!(changed(&mut members), [A, B]);
        members.found(A, 1);
        assert_eq!((members.at(1), members.at(2)), (Some(A), Some(B)));
        assert!(members.left(B) && !members.left(B));
        assert_eq!(members.at(2), None);
    }

    #[test]
    fn what_is_the_same_is_not_kept_again() {
        let mut members = Members::kept([(A, Member { nwk: Some(1), set_up: Some(5), ..Member::default() })]);
        assert_eq!(members.at(1), Some(A));
        members.found(A, 1);
        members.set_up(A, Some(5));
        members.heard(A, Instant::now());
        assert!(changed(&mut members).is_empty(), "when it was heard wears no flash");
        members.set_up(A, None);
        assert_eq!(changed(&mut members), [A]);
        members.not_kept(A);
        assert_eq!(changed(&mut members), [A]);
    }

    #[test]
    fn there_is_an_end_of_room() {
        let mut members = Members::default();
        for n in 0..MOST as u64 {
            assert_eq!(members.found(Ieee(n), n as u16), Some(true));
        }
        assert_eq!(members.found(Ieee(u64::MAX), 0xfff0), None);
        assert_eq!(members.found(Ieee(3), 0xfff0), Some(false));
    }
}
