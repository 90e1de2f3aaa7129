//! The memory of a coordinator: items by number, and with Z-Stack 3.x.0 tables.

use super::super::NcpFault;
use super::super::bytes::{Read, Write};
use super::super::link::Failure;
use super::status::Status;
use super::{Asker, Command, expect, short};

const ITEM_INIT: Command = (0x2107, "make an item of its memory");
const ITEM_DELETE: Command = (0x2112, "delete an item of its memory");
const ITEM_LENGTH: Command = (0x2113, "measure an item of its memory");
const ITEM_READ: Command = (0x211c, "read its memory");
const ITEM_WRITE: Command = (0x211d, "write to its memory");
const ENTRY_LENGTH: Command = (0x2132, "measure a table of its memory");
const ENTRY_READ: Command = (0x2133, "read a table of its memory");
const ENTRY_WRITE: Command = (0x2134, "write to a table of its memory");

/// Items.
pub(super) const EXTADDR: u16 = 0x0001;
pub(super) const STARTUP_OPTION: u16 = 0x0003;
pub(super) const NIB: u16 = 0x0021;
pub(super) const EXTENDED_PAN_ID: u16 = 0x002d;
pub(super) const ACTIVE_KEY: u16 = 0x003a;
pub(super) const ALTERNATE_KEY: u16 = 0x003b;
pub(super) const APS_EXTENDED_PAN_ID: u16 = 0x0047;
pub(super) const ON_A_NETWORK: u16 = 0x0055;
pub(super) const PRECONFIGURED_KEY: u16 = 0x0062;
pub(super) const PRECONFIGURED_KEYS: u16 = 0x0063;
pub(super) const PAN_ID: u16 = 0x0083;
pub(super) const CHANNELS: u16 = 0x0084;
pub(super) const TC_LINK_KEY_SEED: u16 = 0x0101;

/// A table of the system's part of the memory, or items that follow each other with Z-Stack 3.0.x.
#[derive(Clone, Copy)]
pub(super) struct Table {
    pub(super) table: u16,
    pub(super) items: (u16, u16),
}

/// The frame counters of networks.
pub(super) const SECURITY_MATERIAL: Table = Table { table: 0x0007, items: (0x0075, 0x0080) };
/// Link keys that follow from the seed.
pub(super) const TC_LINK_KEYS: Table = Table { table: 0x0004, items: (0x0111, 0x01ff) };

/// The system whose tables these are: Z-Stack.
const ZSTACK: u8 = 1;
/// Most bytes that go into one request.
const PIECE: usize = 244;
/// Longest item; longer ones are none.
const LONGEST: usize = 4096;
/// Most entries of a table that are looked at.
const ENTRIES: u16 = 512;

impl Asker<'_> {
    /// Whether the memory has tables.
    pub(super) async fn has_tables(self) -> Result<bool, NcpFault> {
        match self.try_ask(ENTRY_LENGTH, entry(TC_LINK_KEYS.table, 0)).await {
            Ok(_) => Ok(true),
            Err(Failure::Unknown) => Ok(false),
            Err(failure) => Err(failure.of(ENTRY_LENGTH.1)),
        }
    }

    /// An item; `None` if it is not there.
    pub(super) async fn item(self, item: u16) -> Result<Option<Vec<u8>>, NcpFault> {
        let length = self.length(item).await?;
        let mut value = Vec::new();
        while value.len() < length {
            let offset = u16::try_from(value.len()).unwrap_or(u16::MAX);
            let answer = self.ask(ITEM_READ, Write::new().u16(item).u16(offset)).await?;
            value.extend(piece(ITEM_READ, &answer)?);
        }
        Ok(Some(value).filter(|value| !value.is_empty()))
    }

    async fn length(self, item: u16) -> Result<usize, NcpFault> {
        let answer = self.ask(ITEM_LENGTH, Write::new().u16(item)).await?;
        let length = Read(&answer).u16().ok_or_else(|| short(ITEM_LENGTH))?;
        if usize::from(length) <= LONGEST { Ok(length.into()) } else { Err(too_long(ITEM_LENGTH)) }
    }

    /// Writes an item, and makes it if it is not there or has another length.
    pub(super) async fn set_item(self, item: u16, value: &[u8]) -> Result<(), NcpFault> {
        let there = self.length(item).await?;
        let length = u16::try_from(value.len()).map_err(|_| too_long(ITEM_WRITE))?;
        if there != value.len() {
            self.delete_item(item).await?;
            let first = value.get(..PIECE).unwrap_or(value);
            let status = self.status(ITEM_INIT, Write::new().u16(item).u16(length).counted(first)).await?;
            if status != Status::WAS_NOT_THERE {
                expect(ITEM_INIT, status)?;
            }
        }
        for (index, piece) in value.chunks(PIECE).enumerate() {
            let offset = u16::try_from(index * PIECE).map_err(|_| too_long(ITEM_WRITE))?;
            let length = u16::try_from(piece.len()).map_err(|_| too_long(ITEM_WRITE))?;
            self.done(ITEM_WRITE, Write::new().u16(item).u16(offset).u16(length).bytes(piece)).await?;
        }
        Ok(())
    }

    /// Deletes an item, if it is there.
    pub(super) async fn delete_item(self, item: u16) -> Result<(), NcpFault> {
        let length = self.length(item).await?;
        if length == 0 {
            return Ok(());
        }
        let length = u16::try_from(length).map_err(|_| too_long(ITEM_DELETE))?;
        // It is gone already where it was asked twice, because an answer got lost.
        match self.status(ITEM_DELETE, Write::new().u16(item).u16(length)).await? {
            Status::WAS_NOT_THERE => Ok(()),
            status => expect(ITEM_DELETE, status),
        }
    }

    /// All entries of a table.
    pub(super) async fn entries(self, table: Table, has_tables: bool) -> Result<Vec<Vec<u8>>, NcpFault> {
        let mut entries = Vec::new();
        for index in 0..ENTRIES {
            let entry = if has_tables {
                self.entry(table.table, index).await?
            } else {
                self.old(table, index).await?
            };
            match entry {
                Some(entry) => entries.push(entry),
                None => break,
            }
        }
        Ok(entries)
    }

    async fn old(self, table: Table, index: u16) -> Result<Option<Vec<u8>>, NcpFault> {
        match table.items.0.checked_add(index).filter(|item| *item <= table.items.1) {
            Some(item) => self.item(item).await,
            None => Ok(None),
        }
    }

    async fn entry(self, table: u16, index: u16) -> Result<Option<Vec<u8>>, NcpFault> {
        let answer = self.ask(ENTRY_LENGTH, entry(table, index)).await?;
        let length = Read(&answer).u32().ok_or_else(|| short(ENTRY_LENGTH))?;
        let length = u8::try_from(length).map_err(|_| too_long(ENTRY_LENGTH))?;
        if length == 0 {
            return Ok(None);
        }
        let answer = self.ask(ENTRY_READ, entry(table, index).u16(0).u8(length)).await?;
        piece(ENTRY_READ, &answer).map(Some)
    }

    /// Writes an entry of a table that is there already.
    pub(super) async fn set_entry(
        self,
        table: Table,
        has_tables: bool,
        index: u16,
        value: &[u8],
    ) -> Result<(), NcpFault> {
        if has_tables {
            return self.done(ENTRY_WRITE, entry(table.table, index).u16(0).counted(value)).await;
        }
        match table.items.0.checked_add(index).filter(|item| *item <= table.items.1) {
            Some(item) => self.set_item(item, value).await,
            None => Err(too_long(ITEM_WRITE)),
        }
    }
}

fn entry(table: u16, index: u16) -> Write {
    Write::new().u8(ZSTACK).u16(table).u16(index)
}

/// What was read. Errors: it was not, or nothing at all, so that asking on would have no end.
fn piece(command: Command, answer: &[u8]) -> Result<Vec<u8>, NcpFault> {
    let mut read = Read(answer);
    let status = read.u8().map(Status).ok_or_else(|| short(command))?;
    expect(command, status)?;
    let value = read.counted().filter(|value| !value.is_empty()).ok_or_else(|| short(command))?;
    Ok(value.to_vec())
}

fn too_long((_, what): Command) -> NcpFault {
    NcpFault::Refused(what, "it is longer than anything that is known there".to_owned())
}
