//! SYS and UTIL: the system itself, its memory, and what it knows of others.

use super::super::air::Air;
use super::super::bytes::{Out, Reader};
use super::super::ieee::Ieee;
use super::items::Place;
use super::{BUILT, CAPABILITIES, UNKNOWN_COMMAND, VERSION, Znp, status};

/// Most bytes of an item in one answer.
const PART: usize = 244;

/// Bytes of a row of associated devices, with gaps.
const ASSOCIATED: usize = 36;

impl Znp {
    pub(super) fn system(&mut self, id: u8, reader: &mut Reader, air: &Air) -> Result<Option<Vec<u8>>, u8> {
        Ok(match id {
            0x01 => Some(CAPABILITIES.to_le_bytes().to_vec()),
            0x02 => Some(Out::new().bytes(&VERSION).u32(BUILT).done()),
            0x04 => Some(air.coordinator().0.to_le_bytes().to_vec()),
            0x07 => self.init_item(reader),
            0x08 => self.read_item(reader, false),
            0x09 => self.write_item(reader, false),
            0x0c => Some(vec![0x5a, 0xa5]),
            0x12 => self.delete_item(reader),
            0x13 => reader.u16().map(|id| {
                let length = self.items.get((0, id)).map_or(0, Vec::len) as u16;
                length.to_le_bytes().to_vec()
            }),
            0x14 => reader.u8().map(|_| vec![status::SUCCESS]),
            0x1c => self.read_item(reader, true),
            0x1d => self.write_item(reader, true),
            0x30..=0x35 => self.extended_item(id, reader),
            _ => return Err(UNKNOWN_COMMAND),
        })
    }

    fn init_item(&mut self, reader: &mut Reader) -> Option<Vec<u8>> {
        let (id, length) = (reader.u16()?, usize::from(reader.u16()?));
        let initial = reader.counted()?;
        if let Some(there) = self.items.get((0, id)) {
            return Some(vec![if there.len() == length { status::SUCCESS } else { status::BAD_LENGTH }]);
        }
        // No ID beyond can be written from outside.
        if id > 0x03ff || length > 1024 {
            return Some(vec![status::ITEM_FAILED]);
        }
        let mut bytes = initial.to_vec();
        bytes.resize(length, 0xff);
        self.items.set((0, id), bytes);
        Some(vec![status::NO_ITEM])
    }

    fn offset(reader: &mut Reader, wide: bool) -> Option<usize> {
        if wide { reader.u16().map(usize::from) } else { reader.u8().map(usize::from) }
    }

    fn read_item(&mut self, reader: &mut Reader, wide: bool) -> Option<Vec<u8>> {
        let id = reader.u16()?;
        let offset = Self::offset(reader, wide)?;
        Some(self.part((0, id), offset, PART))
    }

    fn part(&self, place: Place, offset: usize, most: usize) -> Vec<u8> {
        match self.items.get(place).and_then(|bytes| bytes.get(offset..)) {
            Some(rest) => {
                let part = rest.get(..rest.len().min(most).min(PART)).unwrap_or_default();
                Out::new().u8(status::SUCCESS).counted(part).done()
            }
            None => vec![status::INVALID_PARAMETER, 0],
        }
    }

    fn write_item(&mut self, reader: &mut Reader, wide: bool) -> Option<Vec<u8>> {
        let id = reader.u16()?;
        let offset = Self::offset(reader, wide)?;
        let bytes = if wide {
            let length = reader.u16()?;
            reader.take(length.into())?
        } else {
            reader.counted()?
        };
        let code = match self.items.get((0, id)).is_some() {
            false => status::INVALID_PARAMETER,
            true if self.items.patch((0, id), offset, bytes) => status::SUCCESS,
            true => status::BAD_LENGTH,
        };
        Some(vec![code])
    }

    fn delete_item(&mut self, reader: &mut Reader) -> Option<Vec<u8>> {
        let (id, length) = (reader.u16()?, usize::from(reader.u16()?));
        let code = match self.items.get((0, id)).map(Vec::len) {
            None => status::NO_ITEM,
            Some(there) if there != length => status::BAD_LENGTH,
            Some(_) => {
                self.items.delete((0, id));
                status::SUCCESS
            }
        };
        Some(vec![code])
    }

    /// Items with parts, of 3.30 and later. Other systems than Z-Stack (1) have none.
    fn extended_item(&mut self, id: u8, reader: &mut Reader) -> Option<Vec<u8>> {
        let (system, place) = (reader.u8()?, (reader.u16()?, reader.u16()?));
        let there = self.items.get(place).filter(|_| system == 1).map(Vec::len);
        Some(match id {
            0x30 => {
                let length = reader.u32()? as usize;
                if there.is_none() && system == 1 && length <= 1024 {
                    self.items.set(place, vec![0xff; length]);
                    vec![status::NO_ITEM]
                } else {
                    vec![if there.is_some() { status::SUCCESS } else { status::INVALID_PARAMETER }]
                }
            }
            0x31 => {
                let was = there.is_some() && self.items.delete(place);
                vec![if was { status::SUCCESS } else { status::NO_ITEM }]
            }
            0x32 => (there.unwrap_or(0) as u32).to_le_bytes().to_vec(),
            0x33 => {
                let (offset, length) = (reader.u16()?, reader.u8()?);
                match there {
                    Some(_) => self.part(place, offset.into(), length.into()),
                    None => vec![status::INVALID_PARAMETER, 0],
                }
            }
            0x34 | 0x35 => {
                let offset = if id == 0x34 { reader.u16()? } else { 0 };
                let bytes = reader.counted()?;
                let written = there.is_some() && self.items.patch(place, offset.into(), bytes);
                vec![if written { status::SUCCESS } else { status::INVALID_PARAMETER }]
            }
            _ => return None,
        })
    }

    pub(super) fn utility(&mut self, id: u8, reader: &mut Reader, air: &Air) -> Result<Option<Vec<u8>>, u8> {
        Ok(match id {
            0x00 => Some(self.device_info(air)),
            0x0a => reader.u16().map(|_| vec![status::SUCCESS]),
            0x40 => reader.u64().map(|ieee| {
                let known = air.address(Ieee(ieee)).unwrap_or(0xfffe);
                known.to_le_bytes().to_vec()
            }),
            0x41 => reader.u16().map(|address| {
                let known = air.who(address).map_or(0, |ieee| ieee.0);
                known.to_le_bytes().to_vec()
            }),
            0x48 => Some((self.children(air).len() as u16).to_le_bytes().to_vec()),
            0x49 => reader.u8().map(|index| {
                let child = self.children(air).get(usize::from(index)).copied();
                associated(child)
            }),
            0x4a => reader.u64().and_then(|ieee| {
                let address = reader.u16()?;
                let meant = |(other, at): &&(Ieee, u16)| other.0 == ieee || ieee == 0 && *at == address;
                let children = self.children(air);
                Some(associated(children.iter().find(meant).copied()))
            }),
            0x63 | 0x64 => Some(vec![status::SUCCESS]),
            _ => return Err(UNKNOWN_COMMAND),
        })
    }

    fn children(&self, air: &Air) -> Vec<(Ieee, u16)> {
        let members = air.members().into_iter().filter(|(_, _, sleeps)| *sleeps && self.is_up());
        members.map(|(ieee, address, _)| (ieee, address)).collect()
    }

    /// UTIL_GET_DEVICE_INFO: coordinator, and how far it is.
    fn device_info(&self, air: &Air) -> Vec<u8> {
        let (address, state) = if self.is_up() { (0, 9) } else { (0xfffe, 0) };
        let children: Vec<u16> = self.children(air).iter().map(|(_, address)| *address).collect();
        let out = Out::new().u8(status::SUCCESS).u64(air.coordinator().0).u16(address).u8(7).u8(state);
        out.list(&children).done()
    }
}

/// A row of the devices that are children; an empty one says that there is none.
fn associated(child: Option<(Ieee, u16)>) -> Vec<u8> {
    let (address, relation) = child.map_or((0xffff, 0xff), |(_, address)| (address, 1));
    let mut row = Out::new().u16(address).u16(0).u8(relation).done();
    row.resize(ASSOCIATED, 0);
    row
}
