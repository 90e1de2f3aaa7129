//! Keys and counters in a coordinator: until protocol 12 as key structures, later through its security manager.

use super::super::bytes::{Read, Write};
use super::super::{Ieee, Key, LinkKey, NcpFault};
use super::setup::configuration;
use super::status::Status;
use super::{Asker, Command, expect, short};

const GET_KEY: Command = (0x006a, "give a key");
const GET_KEY_TABLE_ENTRY: Command = (0x0071, "give a link key");
const ADD_OR_UPDATE_KEY: Command = (0x0066, "take a link key");
const FIND_KEY: Command = (0x0075, "find a link key");
const ERASE_KEY: Command = (0x0076, "forget a link key");
const ADD_TRANSIENT_KEY: Command = (0x00af, "take the key for joining");
const EXPORT_LINK_KEY: Command = (0x010f, "give a link key");
const IMPORT_LINK_KEY: Command = (0x010e, "take a link key");
const IMPORT_TRANSIENT_KEY: Command = (0x0111, "take the key for joining");
const EXPORT_KEY: Command = (0x0114, "give a key");
const NETWORK_KEY_INFO: Command = (0x0116, "tell of the network key");

/// From this version on keys are asked of the security manager.
const SECURITY_MANAGER: u8 = 13;

/// Link keys that are looked at, at most.
const LINK_KEYS: u8 = 128;

/// EZSP_CONFIG_KEY_TABLE_SIZE.
const KEY_TABLE: u8 = 0x1e;

/// The context of a key of the security manager, and what it says of one, in bytes.
const CONTEXT: usize = 18;
const METADATA: usize = 12;

/// The key with which devices join that have no other one.
pub(super) const WELL_KNOWN: Key = Key(*b"ZigBeeAlliance09");

/// The address of whoever joins.
const ANYBODY: Ieee = Ieee(u64::MAX);

/// One of the coordinator's keys.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Network,
    TrustCentre,
}

/// The network key with its number and the number of frames sent with it.
pub(super) struct NetworkKey {
    pub(super) key: Key,
    pub(super) sequence: u8,
    pub(super) frame_counter: u32,
}

/// Reads the network key.
pub(super) async fn network_key(asker: Asker<'_>) -> Result<NetworkKey, NcpFault> {
    if asker.version() < SECURITY_MANAGER {
        let read = key_structure(asker, Kind::Network).await?;
        return Ok(NetworkKey { key: read.key, sequence: read.sequence, frame_counter: read.sent });
    }
    let key = export(asker, Kind::Network).await?;
    let answer = asker.ask(NETWORK_KEY_INFO, Write::new()).await?;
    let mut read = Read(&answer);
    // Its status has four bytes in protocol 13 too.
    let status = read.u32().map(Status).ok_or_else(|| short(NETWORK_KEY_INFO))?;
    expect(NETWORK_KEY_INFO, status)?;
    let mut info = || {
        let _is_set_and_next_is_set = read.u16()?;
        let (sequence, _next) = (read.u8()?, read.u8()?);
        Some(NetworkKey { key: key.clone(), sequence, frame_counter: read.u32()? })
    };
    info().ok_or_else(|| short(NETWORK_KEY_INFO))
}

/// Reads the key of the trust centre: that with which devices join, or what link keys are made from.
pub(super) async fn trust_centre_key(asker: Asker<'_>) -> Result<Key, NcpFault> {
    if asker.version() < SECURITY_MANAGER {
        return key_structure(asker, Kind::TrustCentre).await.map(|read| read.key);
    }
    export(asker, Kind::TrustCentre).await
}

/// An `EmberKeyStruct`.
struct Structure {
    key: Key,
    sent: u32,
    received: u32,
    sequence: u8,
    partner: Ieee,
}

fn structure(read: &mut Read<'_>) -> Option<Structure> {
    // Which of its parts are valid, and the kind of key.
    let _ = (read.u16()?, read.u8()?);
    Some(Structure {
        key: read.key()?,
        sent: read.u32()?,
        received: read.u32()?,
        sequence: read.u8()?,
        partner: read.ieee()?,
    })
}

async fn key_structure(asker: Asker<'_>, kind: Kind) -> Result<Structure, NcpFault> {
    let kind = if kind == Kind::Network { 3 } else { 1 };
    let answer = asker.ask(GET_KEY, Write::new().u8(kind)).await?;
    let mut read = Read(&answer);
    let status = asker.read_status(&mut read).ok_or_else(|| short(GET_KEY))?;
    expect(GET_KEY, status)?;
    structure(&mut read).ok_or_else(|| short(GET_KEY))
}

async fn export(asker: Asker<'_>, kind: Kind) -> Result<Key, NcpFault> {
    let context = Write::new().u8(if kind == Kind::Network { 1 } else { 2 }).bytes(&[0; CONTEXT - 1]);
    let answer = asker.ask(EXPORT_KEY, context).await?;
    let mut read = Read(&answer);
    let mut parts = || {
        // What goes before what has changed with protocol 14.
        if asker.version() < 14 {
            let key = read.key()?;
            Some((Status(read.u32()?), key))
        } else {
            Some((Status(read.u32()?), read.key()?))
        }
    };
    let (status, key) = parts().ok_or_else(|| short(EXPORT_KEY))?;
    expect(EXPORT_KEY, status).map(|()| key)
}

/// Reads the link keys that devices have agreed with the trust centre.
pub(super) async fn link_keys(asker: Asker<'_>) -> Result<Vec<LinkKey>, NcpFault> {
    let places = configuration(&asker, KEY_TABLE).await?.unwrap_or_default();
    let mut keys = Vec::new();
    for index in 0..LINK_KEYS.min(u8::try_from(places).unwrap_or(u8::MAX)) {
        let command = if asker.version() < SECURITY_MANAGER { GET_KEY_TABLE_ENTRY } else { EXPORT_LINK_KEY };
        let answer = asker.ask(command, Write::new().u8(index)).await?;
        let read = if asker.version() < SECURITY_MANAGER { entry } else { exported };
        keys.extend(read(asker, Read(&answer)).ok_or_else(|| short(command))?);
    }
    Ok(keys)
}

/// `Some(None)`: there is none at this place.
fn entry(asker: Asker<'_>, mut read: Read<'_>) -> Option<Option<LinkKey>> {
    if asker.read_status(&mut read)? != Status::OK {
        return Some(None);
    }
    let Structure { key, sent, received, partner, .. } = structure(&mut read)?;
    Some(Some(LinkKey { ieee: partner, key, frame_counter: sent, peer_frame_counter: received }))
}

fn exported(asker: Asker<'_>, mut read: Read<'_>) -> Option<Option<LinkKey>> {
    let (status, ieee, key, mut metadata);
    if asker.version() < 14 {
        (ieee, key) = (read.ieee()?, read.key()?);
        metadata = Read(read.take(METADATA)?);
        status = Status(read.u32()?);
    } else {
        status = Status(read.u32()?);
        if status != Status::OK {
            return Some(None);
        }
        let mut context = Read(read.take(CONTEXT)?);
        // Kinds of key and of derivation, and an index.
        context.u32()?;
        (ieee, key) = (context.ieee()?, read.key()?);
        metadata = read;
    }
    // Which of its parts are valid.
    metadata.u16()?;
    let (frame_counter, peer_frame_counter) = (metadata.u32()?, metadata.u32()?);
    Some((status == Status::OK).then_some(LinkKey { ieee, key, frame_counter, peer_frame_counter }))
}

/// Gives link keys back. What does not fit is lost: a device with such a key joins anew.
pub(super) async fn take_link_keys(asker: Asker<'_>, keys: &[LinkKey]) -> Result<(), NcpFault> {
    let mut lost = 0;
    for (index, key) in (0..LINK_KEYS).zip(keys) {
        let status = if asker.version() < SECURITY_MANAGER {
            let body = Write::new().ieee(key.ieee).u8(1).key(&key.key);
            asker.status(ADD_OR_UPDATE_KEY, body).await?
        } else {
            let body = Write::new().u8(index).ieee(key.ieee).key(&key.key);
            wide_status(asker, IMPORT_LINK_KEY, body).await?
        };
        lost += u32::from(status != Status::OK);
    }
    if lost > 0 {
        tracing::warn!(
            lost,
            "a coordinator has no room for all link keys; some Zigbee devices may have to join anew"
        );
    }
    Ok(())
}

/// Of the security manager, statuses have four bytes in protocol 13 too.
async fn wide_status(asker: Asker<'_>, command: Command, body: Write) -> Result<Status, NcpFault> {
    let answer = asker.ask(command, body).await?;
    Read(&answer).u32().map(Status).ok_or_else(|| short(command))
}

/// Lets devices join with the key that all have.
pub(super) async fn allow_joins(asker: Asker<'_>) -> Result<(), NcpFault> {
    let body = Write::new().ieee(ANYBODY).key(&WELL_KNOWN);
    if asker.version() < SECURITY_MANAGER {
        return asker.done(ADD_TRANSIENT_KEY, body).await;
    }
    // Protocol 13 has flags too.
    let body = if asker.version() < 14 { body.u8(0) } else { body };
    let status = wide_status(asker, IMPORT_TRANSIENT_KEY, body).await?;
    expect(IMPORT_TRANSIENT_KEY, status)
}

/// Forgets the link key of a device, if there is one.
pub(super) async fn forget(asker: Asker<'_>, ieee: Ieee) -> Result<(), NcpFault> {
    let answer = asker.ask(FIND_KEY, Write::new().ieee(ieee).u8(1)).await?;
    match Read(&answer).u8().ok_or_else(|| short(FIND_KEY))? {
        0xff => Ok(()),
        index => asker.done(ERASE_KEY, Write::new().u8(index)).await,
    }
}
