//! AF: endpoints, and messages of applications.

use std::time::Duration;

use super::super::air::{Air, Delivery, Message, Sending};
use super::super::bytes::{Out, Reader};
use super::super::node::{Endpoint, HOME, Heard};
use super::{UNKNOWN_COMMAND, Znp, of, status};

/// Most bytes of a message.
const LONGEST: usize = 128;

/// Messages under way at once.
const MOST: usize = 32;

/// What was sent and is not settled.
pub(super) struct Underway {
    endpoint: u8,
    transaction: u8,
    /// The host is told.
    confirmed: bool,
}

/// Where a message goes: a mode and an address.
pub(super) enum Target {
    Device(u16),
    Group(u16),
    All(u16),
}

impl Target {
    /// Eight bytes of address follow the mode, of which a short address takes two.
    fn read(reader: &mut Reader, air: &Air) -> Option<Self> {
        let mode = reader.u8()?;
        let long = reader.u64()?;
        let short = long as u16;
        Some(match mode {
            1 => Self::Group(short),
            3 => Self::Device(air.address(super::Ieee(long)).unwrap_or(0xfffe)),
            0x0f => Self::All(short),
            _ if short >= 0xfff8 => Self::All(short),
            _ => Self::Device(short),
        })
    }
}

impl Znp {
    pub(super) fn application(
        &mut self,
        now: Duration,
        id: u8,
        reader: &mut Reader,
        air: &mut Air,
    ) -> Result<Option<Vec<u8>>, u8> {
        let code = match id {
            0x00 => self.register(reader),
            0x01 => self.request(now, reader, air),
            0x02 => self.request_extended(now, reader, air),
            0x03 => self.request_routed(now, reader, air),
            0x04 => reader.u8().map(|id| {
                self.endpoints.retain(|one| one.id != id);
                status::SUCCESS
            }),
            _ => return Err(UNKNOWN_COMMAND),
        };
        Ok(code.map(|code| vec![code]))
    }

    fn register(&mut self, reader: &mut Reader) -> Option<u8> {
        let (id, profile, device) = (reader.u8()?, reader.u16()?, reader.u16()?);
        let (_version, _latency) = (reader.u8()?, reader.u8()?);
        let mut list = || (0..reader.u8()?).map(|_| reader.u16()).collect::<Option<Vec<_>>>();
        let (inputs, outputs) = (list()?, list()?);
        if self.endpoints.iter().any(|one| one.id == id) {
            // It is there already (afStatus of Z-Stack).
            return Some(0xb8);
        }
        self.endpoints.push(Endpoint { id, profile, device, inputs, outputs });
        Some(status::SUCCESS)
    }

    fn request(&mut self, now: Duration, reader: &mut Reader, air: &mut Air) -> Option<u8> {
        let to = reader.u16()?;
        let target = if to >= 0xfff8 { Target::All(to) } else { Target::Device(to) };
        let endpoint = reader.u8()?;
        let (source, cluster, transaction) = (reader.u8()?, reader.u16()?, reader.u8()?);
        let (_options, _radius) = (reader.u8()?, reader.u8()?);
        let payload = reader.counted()?;
        Some(self.launch(now, &target, endpoint, source, cluster, transaction, payload, air))
    }

    fn request_extended(&mut self, now: Duration, reader: &mut Reader, air: &mut Air) -> Option<u8> {
        let target = Target::read(reader, air)?;
        let (endpoint, _pan, source) = (reader.u8()?, reader.u16()?, reader.u8()?);
        let (cluster, transaction) = (reader.u16()?, reader.u8()?);
        let (_options, _radius) = (reader.u8()?, reader.u8()?);
        let length = reader.u16()?;
        let payload = reader.take(length.into())?;
        Some(self.launch(now, &target, endpoint, source, cluster, transaction, payload, air))
    }

    fn request_routed(&mut self, now: Duration, reader: &mut Reader, air: &mut Air) -> Option<u8> {
        let (to, endpoint, source) = (reader.u16()?, reader.u8()?, reader.u8()?);
        let (cluster, transaction) = (reader.u16()?, reader.u8()?);
        let (_options, _radius, relays) = (reader.u8()?, reader.u8()?, reader.u8()?);
        reader.take(2 * usize::from(relays))?;
        let payload = reader.counted()?;
        Some(self.launch(now, &Target::Device(to), endpoint, source, cluster, transaction, payload, air))
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of three commands")]
    fn launch(
        &mut self,
        now: Duration,
        target: &Target,
        endpoint: u8,
        source: u8,
        cluster: u16,
        transaction: u8,
        payload: &[u8],
        air: &mut Air,
    ) -> u8 {
        let profile = match self.endpoints.iter().find(|one| one.id == source) {
            Some(one) => one.profile,
            None if source == 0 => 0,
            None => return status::INVALID_PARAMETER,
        };
        if !self.is_up() {
            return status::NOT_PERMITTED;
        }
        if payload.len() > LONGEST {
            return status::INVALID_PARAMETER;
        }
        let profile = if endpoint == 0 { 0 } else { profile };
        let broadcast = !matches!(target, Target::Device(_));
        let payload = payload.to_vec();
        let heard = Heard { profile, cluster, from_endpoint: source, endpoint, broadcast, payload };
        // Of ZDO nothing is confirmed.
        let sent = Underway { endpoint: source, transaction, confirmed: endpoint != 0 };
        self.dispatch(now, target, heard, sent, air)
    }

    pub(super) fn dispatch(
        &mut self,
        now: Duration,
        target: &Target,
        heard: Heard,
        sent: Underway,
        air: &mut Air,
    ) -> u8 {
        if self.busy || self.under_way.len() >= MOST {
            return status::NO_MEMORY;
        }
        self.next_tag += 1;
        let tag = self.next_tag;
        self.under_way.insert(tag, sent);
        let (to, group) = match target {
            Target::Device(0) => {
                self.loop_back(&heard, air);
                self.tell_sent(tag, Delivery::Done);
                return status::SUCCESS;
            }
            Target::Device(to) | Target::All(to) => (*to, None),
            Target::Group(group) => (0xffff, Some(*group)),
        };
        air.send(now, Sending { tag, to, group, heard });
        status::SUCCESS
    }

    /// A message of ZDO of which nothing is confirmed.
    pub(super) fn unconfirmed(transaction: u8) -> Underway {
        Underway { endpoint: 0, transaction, confirmed: false }
    }

    /// AF_DATA_CONFIRM.
    pub(super) fn tell_sent(&mut self, tag: u64, delivery: Delivery) {
        let Some(sent) = self.under_way.remove(&tag).filter(|sent| sent.confirmed) else { return };
        let code = match delivery {
            Delivery::Done => status::SUCCESS,
            Delivery::Unacknowledged => status::NO_ACK,
            Delivery::Expired => status::EXPIRED,
            Delivery::NoRoute => status::NO_ROUTE,
        };
        self.notify(of::AF, 0x80, vec![code, sent.endpoint, sent.transaction]);
    }

    /// AF_INCOMING_MSG, or what ZDO makes of it.
    pub(super) fn tell_message(&mut self, message: &Message, air: &Air) {
        let said = &message.said;
        if said.profile == 0 && said.to_endpoint == 0 {
            return self.tell_objects(message, air);
        }
        let ours = |id: u8| self.endpoints.iter().any(|one| one.id == id && one.profile == said.profile);
        let endpoints: Vec<u8> = match said.to_endpoint {
            0xff => self.endpoints.iter().map(|one| one.id).take(1).collect(),
            id if ours(id) => vec![id],
            _ => Vec::new(),
        };
        let sequence = if said.profile == HOME { said.payload.get(1).copied().unwrap_or(0) } else { 0 };
        for endpoint in endpoints {
            let out = Out::new().u16(said.group.unwrap_or(0)).u16(said.cluster).u16(message.from);
            let out = out.u8(said.endpoint).u8(endpoint).u8(u8::from(said.broadcast)).u8(message.lqi).u8(0);
            let out = out.u32(0).u8(sequence).counted(&said.payload).u16(message.from).u8(30);
            self.notify(of::AF, 0x81, out.done());
        }
    }
}
