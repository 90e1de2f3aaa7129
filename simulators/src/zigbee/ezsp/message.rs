//! Messages: what the host sends, and what is told of it.

use std::time::Duration;

use super::super::air::{Air, Message, Sending};
use super::super::bytes::{Out, Reader};
use super::super::node::{Heard, Said};
use super::super::stick::own_answer;
use super::{Ezsp, callback, status};

/// Most bytes of a message.
const LONGEST: usize = 100;

/// Messages under way at once.
const MOST: usize = 24;

/// APS option: the sender wants an acknowledgement.
const RETRY: u16 = 0x0040;

/// How a message goes (EmberOutgoingMessageType).
const DIRECT: u8 = 0;
const MULTICAST: u8 = 3;
const BROADCAST: u8 = 4;

/// What was sent and is not settled.
pub(super) struct Underway {
    pub(super) kind: u8,
    pub(super) to: u16,
    /// The APS frame as it is told again.
    pub(super) frame: Vec<u8>,
    pub(super) tag: u8,
    pub(super) contents: Vec<u8>,
}

/// EmberApsFrame.
struct Aps {
    profile: u16,
    cluster: u16,
    source: u8,
    destination: u8,
    options: u16,
    group: u16,
}

impl Aps {
    fn read(reader: &mut Reader) -> Option<Self> {
        let (profile, cluster) = (reader.u16()?, reader.u16()?);
        let (source, destination) = (reader.u8()?, reader.u8()?);
        let (options, group, _sequence) = (reader.u16()?, reader.u16()?, reader.u8()?);
        Some(Self { profile, cluster, source, destination, options, group })
    }

    fn write(&self, sequence: u8) -> Vec<u8> {
        let out = Out::new().u16(self.profile).u16(self.cluster).u8(self.source).u8(self.destination);
        out.u16(self.options).u16(self.group).u8(sequence).done()
    }
}

impl Ezsp {
    /// sendUnicast.
    pub(super) fn unicast(&mut self, now: Duration, reader: &mut Reader, air: &mut Air) -> Option<Vec<u8>> {
        let (kind, mut to) = (reader.u8()?, reader.u16()?);
        let aps = Aps::read(reader)?;
        let (tag, contents) = (reader.u8()?, reader.counted()?);
        if kind == 1 {
            // By the place of its address here.
            let known = self.working.addresses.get(&(to as u8)).map(|(_, address, _)| *address);
            to = known.unwrap_or(0xffff);
        }
        if kind > 1 || to >= 0xfff8 {
            return Some(vec![status::BAD_ARGUMENT, 0]);
        }
        Some(self.launch(now, DIRECT, to, None, &aps, tag, contents, air))
    }

    /// sendBroadcast.
    pub(super) fn broadcast(&mut self, now: Duration, reader: &mut Reader, air: &mut Air) -> Option<Vec<u8>> {
        let to = reader.u16()?;
        let aps = Aps::read(reader)?;
        let (_radius, tag, contents) = (reader.u8()?, reader.u8()?, reader.counted()?);
        if to < 0xfff8 {
            return Some(vec![status::BAD_ARGUMENT, 0]);
        }
        Some(self.launch(now, BROADCAST, to, None, &aps, tag, contents, air))
    }

    /// sendMulticast.
    pub(super) fn multicast(&mut self, now: Duration, reader: &mut Reader, air: &mut Air) -> Option<Vec<u8>> {
        let aps = Aps::read(reader)?;
        let (_hops, _nonmembers, tag) = (reader.u8()?, reader.u8()?, reader.u8()?);
        let contents = reader.counted()?;
        let group = aps.group;
        Some(self.launch(now, MULTICAST, group, Some(group), &aps, tag, contents, air))
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of three commands")]
    fn launch(
        &mut self,
        now: Duration,
        kind: u8,
        to: u16,
        group: Option<u16>,
        aps: &Aps,
        tag: u8,
        contents: &[u8],
        air: &mut Air,
    ) -> Vec<u8> {
        let refused = |code| vec![code, 0];
        if !self.working.up {
            return refused(status::NOT_JOINED);
        }
        if contents.len() > LONGEST {
            return refused(status::TOO_LONG);
        }
        if self.busy || self.under_way.len() >= MOST {
            return refused(status::MESSAGE_LIMIT);
        }
        self.working.aps = self.working.aps.wrapping_add(1);
        let sequence = self.working.aps;
        self.next_tag += 1;
        let sent = Underway { kind, to, frame: aps.write(sequence), tag, contents: contents.to_vec() };
        self.under_way.insert(self.next_tag, sent);
        let heard = Heard {
            profile: aps.profile,
            cluster: aps.cluster,
            from_endpoint: aps.source,
            endpoint: aps.destination,
            broadcast: kind != DIRECT,
            payload: contents.to_vec(),
        };
        if to == 0 && kind == DIRECT {
            self.loop_back(now, &heard, air);
        } else {
            let _acknowledged = aps.options & RETRY != 0;
            air.send(now, Sending { tag: self.next_tag, to, group, heard });
        }
        vec![status::SUCCESS, sequence]
    }

    /// To itself: it is delivered, and what it answers comes as a message.
    fn loop_back(&mut self, now: Duration, heard: &Heard, air: &Air) {
        self.tell_sent(self.next_tag, super::Delivery::Done);
        if heard.profile != 0 || heard.endpoint != 0 {
            return;
        }
        let answer = own_answer(air, self.working.manufacturer, &self.working.endpoints, heard);
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
            let ieee = air.coordinator();
            let message = Message { from: 0, ieee, counter: self.working.aps, lqi: 255, rssi: -1, said };
            self.tell_message(now, &message);
        }
    }

    /// incomingMessageHandler.
    pub(super) fn tell_message(&mut self, _now: Duration, message: &Message) {
        let said = &message.said;
        let group = said.group.unwrap_or(0);
        // Nobody here hears a group that the coordinator is not in.
        if said.group.is_some()
            && !self.working.groups.values().any(|(id, endpoint)| *id == group && *endpoint != 0)
        {
            return;
        }
        let ours = said.to_endpoint == 0
            || said.to_endpoint == 0xff
            || self.working.endpoints.iter().any(|one| one.id == said.to_endpoint);
        if !ours {
            return;
        }
        let kind = if said.broadcast { 4 } else { u8::from(said.group.is_some()) * 2 };
        let aps = Aps {
            profile: said.profile,
            cluster: said.cluster,
            source: said.endpoint,
            destination: said.to_endpoint,
            options: if said.broadcast { 0x0100 } else { 0x0140 },
            group,
        };
        let out = Out::new().u8(kind).bytes(&aps.write(message.counter)).u8(message.lqi);
        let out = out.u8(message.rssi as u8).u16(message.from).u8(0xff).u8(0xff);
        self.call_back(callback::INCOMING_MESSAGE, out.counted(&said.payload).done());
    }
}
