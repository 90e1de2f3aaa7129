//! ZDO: requests to devices, what they answer, and joining.

use std::time::Duration;

use super::super::air::{Air, Message};
use super::super::bytes::{Out, Reader};
use super::super::ieee::Ieee;
use super::super::node::{Heard, Said};
use super::super::stick::own_answer;
use super::data::Target;
use super::items::item;
use super::{UNKNOWN_COMMAND, Znp, of, status};

/// All clusters, for callbacks.
const ALL: u16 = 0xffff;

impl Znp {
    pub(super) fn objects(
        &mut self,
        now: Duration,
        id: u8,
        reader: &mut Reader,
        air: &mut Air,
    ) -> Result<Option<Vec<u8>>, u8> {
        let answer = match id {
            0x00..=0x06 | 0x21 | 0x22 | 0x31..=0x34 => self
                .asking(id, reader, air)
                .map(|(target, cluster, payload)| vec![self.ask(now, &target, cluster, &payload, air)]),
            0x36 => self.permit(now, reader, air).map(|code| vec![code]),
            0x3e => reader.u16().map(|cluster| {
                self.callbacks.push(cluster);
                vec![status::SUCCESS]
            }),
            0x3f => reader.u16().map(|cluster| {
                self.callbacks.retain(|other| *other != cluster);
                vec![status::SUCCESS]
            }),
            0x40 | 0x54 => Some(vec![self.start_up(now)]),
            0x45 | 0x46 | 0x37 | 0x44 | 0x4b | 0x53 => Some(vec![status::SUCCESS]),
            0x50 => {
                let network = self.items.network().filter(|_| self.is_up());
                let (pan, extended, channel) =
                    network.map_or((0xffff, 0, 0), |one| (one.pan, one.extended, one.channel));
                let address = if self.is_up() { 0 } else { 0xfffe };
                let out = Out::new().u16(address).u16(pan).u16(0xffff).u64(extended).u64(0).u8(channel);
                Some(out.done())
            }
            _ => return Err(UNKNOWN_COMMAND),
        };
        Ok(answer)
    }

    /// Whom a request goes to, its cluster, and its fields.
    fn asking(&self, id: u8, reader: &mut Reader, air: &Air) -> Option<(Target, u16, Vec<u8>)> {
        let cluster = u16::from(id);
        let device =
            |address: u16| if address >= 0xfff8 { Target::All(address) } else { Target::Device(address) };
        let rest = |reader: &mut Reader| reader.rest().to_vec();
        Some(match id {
            // Who has this address: a child of the coordinator is known here.
            0x00 => {
                let payload = rest(reader);
                let ieee = Ieee(Reader::new(&payload).u64()?);
                let child = air.members().iter().any(|(other, _, sleeps)| *other == ieee && *sleeps);
                (if child { Target::Device(0) } else { Target::All(0xfffd) }, cluster, payload)
            }
            0x01 => {
                let payload = rest(reader);
                (Target::Device(Reader::new(&payload).u16()?), cluster, payload)
            }
            0x21 | 0x22 => {
                let to = reader.u16()?;
                let (source, endpoint, bound) = (reader.u64()?, reader.u8()?, reader.u16()?);
                let (mode, address) = (reader.u8()?, reader.u64()?);
                let out = Out::new().u64(source).u8(endpoint).u16(bound).u8(mode);
                let out = match mode {
                    1 => out.u16(address as u16),
                    _ => out.u64(address).u8(reader.u8()?),
                };
                (device(to), cluster, out.done())
            }
            0x34 => {
                let (to, ieee, options) = (reader.u16()?, reader.u64()?, reader.u8()?);
                // Bits 0 and 1 here are bits 7 and 6 on the air: come back, and take the children along.
                let on_air = (options & 1) << 7 | (options & 2) << 5;
                (device(to), cluster, Out::new().u64(ieee).u8(on_air).done())
            }
            _ => (device(reader.u16()?), cluster, rest(reader)),
        })
    }

    fn ask(&mut self, now: Duration, target: &Target, cluster: u16, payload: &[u8], air: &mut Air) -> u8 {
        if !self.is_up() {
            return status::NOT_PERMITTED;
        }
        self.sequence = self.sequence.wrapping_add(1);
        let payload = Out::new().u8(self.sequence).bytes(payload).done();
        let broadcast = matches!(target, Target::All(_));
        let heard = Heard { profile: 0, cluster, from_endpoint: 0, endpoint: 0, broadcast, payload };
        self.dispatch(now, target, heard, Self::unconfirmed(self.sequence), air)
    }

    /// To itself: it answers what is asked of it, and for its sleepy children where they are.
    pub(super) fn loop_back(&mut self, heard: &Heard, air: &Air) {
        if heard.endpoint != 0 {
            return;
        }
        let answer = self.child_answer(heard, air);
        let answer = answer.or_else(|| own_answer(air, 0, &self.endpoints, heard));
        if let Some(payload) = answer {
            let said = Said {
                broadcast: false,
                profile: 0,
                cluster: heard.cluster | 0x8000,
                endpoint: 0,
                to_endpoint: 0,
                group: None,
                payload,
            };
            let message = Message { from: 0, ieee: air.coordinator(), counter: 0, lqi: 255, rssi: -1, said };
            self.tell_objects(&message, air);
        }
    }

    fn child_answer(&self, heard: &Heard, air: &Air) -> Option<Vec<u8>> {
        let (sequence, fields) = heard.payload.split_first()?;
        let ieee = Ieee(Reader::new(fields).u64().filter(|_| heard.cluster == 0x0000)?);
        let address = air.address(ieee)?;
        Some(Out::new().u8(*sequence).u8(0).u64(ieee.0).u16(address).done())
    }

    /// ZDO_MGMT_PERMIT_JOIN_REQ: to itself, to a router, or to all of them.
    fn permit(&mut self, now: Duration, reader: &mut Reader, air: &mut Air) -> Option<u8> {
        let (mode, to, seconds, significance) = (reader.u8()?, reader.u16()?, reader.u8()?, reader.u8()?);
        if !self.is_up() {
            return Some(status::NOT_PERMITTED);
        }
        let to_all = mode == 0x0f || to >= 0xfff8;
        if to == 0 || to_all {
            air.open(
                now,
                Duration::from_secs(if seconds == 255 { u64::from(u32::MAX) } else { seconds.into() }),
            );
            self.notify(of::ZDO, 0xcb, vec![seconds]);
            self.notify(of::ZDO, 0xb6, Out::new().u16(0).u8(0).done());
        }
        if to != 0 {
            let target = if to_all { Target::All(0xfffc) } else { Target::Device(to) };
            return Some(self.ask(now, &target, 0x0036, &[seconds, significance], air));
        }
        Some(status::SUCCESS)
    }

    /// A message of ZDO: as the host asked to see it, and as the callback of its kind.
    pub(super) fn tell_objects(&mut self, message: &Message, _air: &Air) {
        let said = &message.said;
        let Some((sequence, fields)) = said.payload.split_first() else { return };
        if self.callbacks.iter().any(|cluster| *cluster == ALL || *cluster == said.cluster) {
            let out = Out::new().u16(message.from).u8(u8::from(said.broadcast)).u16(said.cluster).u8(0);
            let to = if said.broadcast { 0xfffd } else { 0 };
            let out = out.u8(*sequence).u16(to).bytes(fields);
            self.notify(of::ZDO, 0xff, out.done());
        }
        if said.cluster == 0x0013 {
            let out = Out::new().u16(message.from).bytes(fields);
            return self.notify(of::ZDO, 0xc1, out.done());
        }
        if self.items.byte(item::DIRECT) == 0 {
            return;
        }
        let Some(id) = callback_of(said.cluster) else { return };
        let data = match said.cluster {
            // Who answers is in the answer itself; nobody is associated with it.
            0x8000 | 0x8001 => Out::new().bytes(fields).u8(0).u8(0).done(),
            _ => Out::new().u16(message.from).bytes(fields).done(),
        };
        self.notify(of::ZDO, id, data);
    }
}

fn callback_of(cluster: u16) -> Option<u8> {
    match cluster {
        0x8000..=0x8006 => Some(0x80 | cluster as u8),
        0x8021 | 0x8022 | 0x8031..=0x8034 | 0x8036 => Some(0x80 | cluster as u8),
        _ => None,
    }
}
