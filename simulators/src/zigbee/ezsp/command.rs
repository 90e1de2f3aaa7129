//! The commands, by their IDs (UG100, chapter 4).

use std::time::Duration;

use super::super::air::Air;
use super::super::bytes::{Out, Reader};
use super::super::ieee::Ieee;
use super::super::node::Endpoint;
use super::{Ezsp, ezsp_status, status};

/// Those that version 13 has no more, and those that it brought.
const GONE: [u16; 5] = [0x0066, 0x006a, 0x0071, 0x00af, 0x00ce];
const NEW: [u16; 8] = [0x0102, 0x0103, 0x010e, 0x010f, 0x0111, 0x0114, 0x0116, 0x0106];

/// Counters that are told.
const COUNTERS: usize = 40;

impl Ezsp {
    /// Whether this version knows a command.
    pub(super) fn has(&self, id: u16) -> bool {
        let newer = self.version >= 13;
        if newer { !GONE.contains(&id) } else { !NEW.contains(&id) }
    }

    /// Does a command. `None`: it is unknown, or too short.
    pub(super) fn command(
        &mut self,
        now: Duration,
        id: u16,
        reader: &mut Reader,
        air: &mut Air,
    ) -> Option<Vec<u8>> {
        let said = match id {
            0x0002 => vec![self.add_endpoint(reader)?],
            0x0005 => Vec::new(),
            0x000b => self.manufacturing(reader.u8()?),
            0x000c => vec![self.set_manufacturing(reader)?],
            0x0010 | 0x0064 | 0x0099 | 0x00a8 | 0x00a9 | 0x00ae | 0x0073 => self.minor(id, reader)?,
            0x0015 => {
                self.working.manufacturer = reader.u16()?;
                Vec::new()
            }
            0x0017 => vec![self.init(now, air)],
            0x0018 => vec![if self.working.up { 2 } else { 0 }],
            0x001a => self.scan(reader)?,
            0x001e => vec![self.form(now, reader, air)?],
            0x0020 => vec![self.leave(air)],
            0x0022 => vec![self.permit(now, reader.u8()?, air)],
            0x0026 => Out::new().u64(air.coordinator().0).done(),
            0x0027 => Out::new().u16(if self.working.up { 0 } else { 0xfffe }).done(),
            0x0028 => {
                let code = if self.working.up { status::SUCCESS } else { status::NOT_JOINED };
                Out::new().u8(code).u8(u8::from(self.working.up)).bytes(&self.parameters()).done()
            }
            0x0033 => vec![82],
            0x0034 => self.unicast(now, reader, air)?,
            0x0036 => self.broadcast(now, reader, air)?,
            0x0038 => self.multicast(now, reader, air)?,
            0x0039 => vec![status::SUCCESS],
            0x0047 => Out::new().u8(status::NO_LIBRARY).u8(0).done(),
            0x004a => self.child(reader.u8()?, air),
            0x0049 => Out::new().u8(status::SUCCESS).u16(0x2b5a ^ now.as_millis() as u16).done(),
            0x0052..=0x0056 => self.setting(id, reader)?,
            0x005a => Out::new().u32(0).done(),
            0x005c..=0x0063 | 0x007e | 0x007f | 0x0082 => self.address(id, reader, air)?,
            0x0065 | 0x00f1 => vec![0; 2 * COUNTERS],
            0x0066 | 0x0071 | 0x0075 | 0x0076 | 0x00b1 | 0x010e | 0x010f => self.link_key(id, reader)?,
            0x0068 => vec![self.secure(reader)?],
            0x0069 => {
                let out = Out::new().u8(if self.working.up { status::SUCCESS } else { status::NOT_JOINED });
                out.u16(self.tokens.security).u64(air.coordinator().0).done()
            }
            0x006a => self.key(reader.u8()?, air),
            0x006b => {
                self.working.transient.clear();
                Vec::new()
            }
            0x0077 => {
                self.tokens.network = None;
                self.tokens.keys.clear();
                Vec::new()
            }
            0x0081 => Out::new().counted(reader.counted()?).done(),
            0x00aa => self.value_of(reader.u8()?, air),
            0x00ab => vec![self.set_value(reader)?],
            0x00af | 0x0111 => {
                let (ieee, key) = (reader.u64()?, reader.key()?);
                self.let_join_with(now, ieee, key);
                vec![0; if id == 0x00af { 1 } else { 4 }]
            }
            0x00e2 => Vec::new(),
            0x0102 => {
                let (key, index) = (reader.u32()?, reader.u32()?);
                match self.token(key).filter(|_| index == 0) {
                    Some(bytes) => {
                        Out::new().u8(status::SUCCESS).u32(bytes.len() as u32).bytes(&bytes).done()
                    }
                    None => vec![status::OUT_OF_RANGE],
                }
            }
            0x0103 => {
                let (key, _index, length) = (reader.u32()?, reader.u32()?, reader.u32()?);
                let known = self.set_token(key, reader.take(length as usize)?);
                vec![if known { status::SUCCESS } else { status::OUT_OF_RANGE }]
            }
            0x0114 => self.export(reader)?,
            0x0116 => self.key_info(air),
            _ => return None,
        };
        Some(said)
    }

    /// What is acknowledged, and changes nothing here.
    fn minor(&mut self, id: u16, reader: &mut Reader) -> Option<Vec<u8>> {
        if id == 0x0064 {
            let (index, group, endpoint) = (reader.u8()?, reader.u16()?, reader.u8()?);
            self.working.groups.insert(index, (group, endpoint));
        }
        Some(vec![status::SUCCESS])
    }

    fn add_endpoint(&mut self, reader: &mut Reader) -> Option<u8> {
        let (id, profile, device, _version) = (reader.u8()?, reader.u16()?, reader.u16()?, reader.u8()?);
        let (inputs, outputs) = (reader.u8()?, reader.u8()?);
        let mut list = |count| (0..count).map(|_| reader.u16()).collect::<Option<Vec<_>>>();
        let (inputs, outputs) = (list(inputs)?, list(outputs)?);
        if self.working.up || self.working.endpoints.iter().any(|one| one.id == id) {
            return Some(ezsp_status::INVALID_CALL);
        }
        self.working.endpoints.push(Endpoint { id, profile, device, inputs, outputs });
        Some(status::SUCCESS)
    }

    /// Manufacturing tokens: filled up with ones.
    fn manufacturing(&self, id: u8) -> Vec<u8> {
        let filled = |text: &[u8], length: usize| {
            let mut bytes = text.to_vec();
            bytes.resize(length, 0xff);
            Out::new().counted(&bytes).done()
        };
        match id {
            0x00 => {
                let burned = self.tokens.burned.map_or([0xff; 8], |ieee| ieee.0.to_le_bytes());
                Out::new().counted(&burned).done()
            }
            0x01 => filled(b"USP Simulators", 16),
            0x02 => filled(b"EZSP", 16),
            _ => vec![0],
        }
    }

    fn set_manufacturing(&mut self, reader: &mut Reader) -> Option<u8> {
        let (id, bytes) = (reader.u8()?, reader.counted()?);
        let ieee = Reader::new(bytes).u64()?;
        // It can be burned in once.
        if id != 0 || self.tokens.burned.is_some() {
            return Some(status::INVALID_CALL);
        }
        self.tokens.burned = Some(Ieee(ieee));
        Some(status::SUCCESS)
    }

    /// An energy scan: quiet everywhere, a little louder where others are.
    fn scan(&mut self, reader: &mut Reader) -> Option<Vec<u8>> {
        let (kind, mask, _duration) = (reader.u8()?, reader.u32()?, reader.u8()?);
        for channel in (11..=26_u8).filter(|channel| kind == 0 && mask >> channel & 1 == 1) {
            let level = -85 + (channel % 5) as i8 * 4;
            self.call_back(0x0048, vec![channel, level as u8]);
        }
        self.call_back(0x001c, vec![0, status::SUCCESS]);
        Some(vec![status::SUCCESS])
    }

    fn permit(&mut self, now: Duration, seconds: u8, air: &mut Air) -> u8 {
        if !self.working.up {
            return status::NOT_JOINED;
        }
        let was = air.is_open();
        // 255: for ever.
        let time = if seconds == 255 { u64::from(u32::MAX) } else { seconds.into() };
        air.open(now, Duration::from_secs(time));
        match (was, air.is_open()) {
            (_, true) => self.tell_status(status::OPENED),
            (true, false) => self.tell_status(status::CLOSED),
            (false, false) => {}
        }
        status::SUCCESS
    }

    /// getChildData: the sleepy ones.
    fn child(&self, index: u8, air: &Air) -> Vec<u8> {
        let members = air.members();
        let mut children = members.iter().filter(|(_, _, sleeps)| *sleeps);
        let rest = if self.version >= 10 { 4 } else { 0 };
        match children.nth(index.into()) {
            Some((ieee, address, _)) => {
                let out = Out::new().u8(status::SUCCESS).u64(ieee.0).u8(4).u16(*address);
                out.u8(0).u8(0).u8(0).bytes(&vec![0; rest]).done()
            }
            None => Out::new().u8(status::NOT_JOINED).bytes(&vec![0; 14 + rest]).done(),
        }
    }

    /// Configuration and policies.
    fn setting(&mut self, id: u16, reader: &mut Reader) -> Option<Vec<u8>> {
        let key = reader.u8()?;
        let said = match id {
            0x0052 => match self.working.config(key) {
                Some(value) => Out::new().u8(0).u16(value).done(),
                None => Out::new().u8(ezsp_status::INVALID_ID).u16(0).done(),
            },
            0x0053 => {
                let value = reader.u16()?;
                let code = match self.working.config(key) {
                    None => ezsp_status::INVALID_ID,
                    Some(_) if self.working.up => ezsp_status::INVALID_CALL,
                    Some(_) => {
                        self.working.config.insert(key, value);
                        0
                    }
                };
                vec![code]
            }
            0x0055 if key <= 0x0d => {
                self.working.policies.insert(key, reader.u8()?);
                vec![0]
            }
            0x0056 if key <= 0x0d => vec![0, self.working.policy(key)],
            0x0055 => vec![ezsp_status::INVALID_ID],
            _ => vec![ezsp_status::INVALID_ID, 0],
        };
        Some(said)
    }

    /// What is known of addresses, and which devices are given more time.
    fn address(&mut self, id: u16, reader: &mut Reader, air: &Air) -> Option<Vec<u8>> {
        let table = usize::from(self.working.config(0x05).unwrap_or(0));
        let here = |index: u8| usize::from(index) < table;
        let said = match id {
            0x005c => {
                let (index, ieee) = (reader.u8()?, reader.u64()?);
                if here(index) {
                    self.working.addresses.insert(index, (ieee, 0xffff, false));
                }
                vec![if here(index) { status::SUCCESS } else { status::OUT_OF_RANGE }]
            }
            0x005d => {
                let (index, address) = (reader.u8()?, reader.u16()?);
                self.working.addresses.entry(index).and_modify(|entry| entry.1 = address);
                Vec::new()
            }
            0x005e => {
                let entry = self.working.addresses.get(&reader.u8()?);
                Out::new().u64(entry.map_or(0, |entry| entry.0)).done()
            }
            0x005f => {
                let entry = self.working.addresses.get(&reader.u8()?);
                Out::new().u16(entry.map_or(0xffff, |entry| entry.1)).done()
            }
            0x0060 => {
                let ieee = reader.u64()?;
                let known = air.address(Ieee(ieee));
                let listed = self.working.addresses.values().find(|entry| entry.0 == ieee);
                Out::new().u16(known.or(listed.map(|entry| entry.1)).unwrap_or(0xffff)).done()
            }
            0x0061 => {
                let address = reader.u16()?;
                let found = if address == 0 { Some(air.coordinator()) } else { air.who(address) };
                let code = if found.is_some() { status::SUCCESS } else { 0x01 };
                Out::new().u8(code).u64(found.map_or(u64::MAX, |ieee| ieee.0)).done()
            }
            0x0063 => {
                let index = reader.u8()?;
                let known = u16::from(index) < self.working.config(0x06).unwrap_or(0);
                let (group, endpoint) = self.working.groups.get(&index).copied().unwrap_or_default();
                let code = if known { status::SUCCESS } else { status::OUT_OF_RANGE };
                Out::new().u8(code).u16(group).u8(endpoint).u8(0).done()
            }
            0x007e => {
                let (ieee, more) = (reader.u64()?, reader.u8()? != 0);
                self.working.patient.retain(|other| *other != ieee);
                self.working.patient.extend(more.then_some(ieee));
                Vec::new()
            }
            0x007f => {
                let ieee = reader.u64()?;
                let listed = self.working.addresses.values().any(|entry| entry.0 == ieee && entry.2);
                vec![u8::from(listed || self.working.patient.contains(&ieee))]
            }
            0x0082 => {
                let (index, ieee) = (reader.u8()?, reader.u64()?);
                let (address, more) = (reader.u16()?, reader.u8()? != 0);
                let code = if here(index) { status::SUCCESS } else { status::OUT_OF_RANGE };
                let before = here(index)
                    .then(|| self.working.addresses.insert(index, (ieee, address, more)))
                    .flatten()
                    .unwrap_or((0, 0xffff, false));
                Out::new().u8(code).u64(before.0).u16(before.1).u8(u8::from(before.2)).done()
            }
            _ => return None,
        };
        Some(said)
    }

    /// The link keys of devices.
    fn link_key(&mut self, id: u16, reader: &mut Reader) -> Option<Vec<u8>> {
        let size = self.working.config(0x1e).unwrap_or(0) as u8;
        let place = |keys: &std::collections::BTreeMap<u8, (u64, [u8; 16])>, ieee: u64| {
            keys.iter().find(|(_, (other, _))| *other == ieee).map(|(index, _)| *index)
        };
        let said = match id {
            0x0066 => {
                let (ieee, _link, key) = (reader.u64()?, reader.u8()?, reader.key()?);
                let free = (0..size).find(|index| !self.tokens.keys.contains_key(index));
                match place(&self.tokens.keys, ieee).or(free) {
                    Some(index) => {
                        self.tokens.keys.insert(index, (ieee, key));
                        vec![status::SUCCESS]
                    }
                    None => vec![0xb4],
                }
            }
            0x0071 => {
                let index = reader.u8()?;
                let code = if index < size { status::ERASED } else { status::OUT_OF_RANGE };
                match self.tokens.keys.get(&index) {
                    Some((ieee, key)) => {
                        let out = Out::new().u8(0).u16(0x0008).u8(5).bytes(key).u32(0).u32(0).u8(0);
                        out.u64(*ieee).done()
                    }
                    None => Out::new().u8(code).bytes(&[0; 36]).done(),
                }
            }
            0x0075 => vec![place(&self.tokens.keys, reader.u64()?).unwrap_or(0xff)],
            0x0076 => {
                let known = self.tokens.keys.remove(&reader.u8()?).is_some();
                vec![if known { status::SUCCESS } else { status::NOT_FOUND }]
            }
            0x00b1 => {
                self.tokens.keys.clear();
                vec![status::SUCCESS]
            }
            0x010e => {
                let (index, ieee, key) = (reader.u8()?, reader.u64()?, reader.key()?);
                self.tokens.keys.insert(index, (ieee, key));
                Out::new().u32(0).done()
            }
            _ => match self.tokens.keys.get(&reader.u8()?) {
                Some((ieee, key)) => Out::new().u64(*ieee).bytes(key).bytes(&[0; 12]).u32(0).done(),
                None => Out::new().bytes(&[0; 36]).u32(0x1d).done(),
            },
        };
        Some(said)
    }

    fn value_of(&self, id: u8, air: &Air) -> Vec<u8> {
        let value = match id {
            0x03 => vec![250],
            0x0b => vec![0, 0],
            // Build, version 7.4.4.0 or 6.7.10.0, and the type of a release.
            0x11 if self.version < 9 => vec![0, 0, 6, 7, 10, 0, 0xaa],
            0x11 => vec![0, 0, 7, 4, 4, 0, 0xaa],
            0x23 => self.counter(air).to_le_bytes().to_vec(),
            0x24 => vec![0; 4],
            _ => return Out::new().u8(ezsp_status::INVALID_ID).u8(0).done(),
        };
        Out::new().u8(0).counted(&value).done()
    }

    fn set_value(&mut self, reader: &mut Reader) -> Option<u8> {
        let (id, value) = (reader.u8()?, reader.counted()?);
        Some(match id {
            0x23 if self.working.up => ezsp_status::INVALID_CALL,
            0x23 => match Reader::new(value).u32() {
                Some(counter) => {
                    self.working.counter = Some(counter);
                    0
                }
                None => ezsp_status::INVALID_VALUE,
            },
            0x24 | 0x0a | 0x05 | 0x06 | 0x07 | 0x0c | 0x30 | 0x35 | 0x36 | 0x3c | 0x44 | 0x46 => 0,
            _ => ezsp_status::INVALID_ID,
        })
    }
}
