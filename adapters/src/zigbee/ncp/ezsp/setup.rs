//! Readies a coordinator after a reset: the version of the protocol, who it is, what it keeps room for, our endpoint.

use super::super::bytes::{Read, Write};
use super::super::{HOME_AUTOMATION, HOST_ENDPOINT, IN_CLUSTERS, NcpFault, NcpInfo, NcpKind, OUT_CLUSTERS};
use super::{Asker, Command, VERSIONS, expect, short};

const VERSION: Command = (0x0000, "agree on a version of EZSP");
const ADD_ENDPOINT: Command = (0x0002, "take our endpoint");
const GET_EUI64: Command = (0x0026, "say its address");
const MAXIMUM_PAYLOAD: Command = (0x0033, "say how long a message may be");
const GET_CONFIGURATION: Command = (0x0052, "say how it is set");
const SET_CONFIGURATION: Command = (0x0053, "be set");
const GET_VALUE: Command = (0x00aa, "say its version");
const SET_VALUE: Command = (0x00ab, "be set");

/// EZSP_VALUE_VERSION_INFO.
const VERSION_INFO: u8 = 0x11;
/// EZSP_VALUE_FORCE_TX_AFTER_FAILED_CCA_ATTEMPTS: a channel that is never free is used nevertheless.
const FORCE_TX: u8 = 0x3a;
/// EZSP_CONFIG_ADDRESS_TABLE_SIZE.
const ADDRESS_TABLE: u8 = 0x05;

/// Whether a value that is there counts if it is greater.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Set {
    Exactly,
    AtLeast,
}

/// What a coordinator is told to keep room for, and its ways (EzspConfigId). Firmware that cannot do something keeps to its own.
const CONFIGURATION: [(u8, u16, Set); 14] = [
    // Source routes.
    (0x1a, 200, Set::AtLeast),
    // A child that has not asked for so long, 2^8 minutes, is forgotten.
    (0x13, 8, Set::Exactly),
    // Seconds within which a device may come back with the well-known key.
    (0x38, 90, Set::Exactly),
    // Milliseconds for which a message waits for a sleepy device (UG100).
    (0x12, 7680, Set::Exactly),
    // Zigbee PRO.
    (0x0c, 2, Set::Exactly),
    // Security of Zigbee 3.0.
    (0x0d, 5, Set::Exactly),
    // Networks.
    (0x2d, 1, Set::AtLeast),
    // Groups that we are in.
    (0x06, 16, Set::AtLeast),
    // Addresses that the trust centre remembers.
    (0x19, 2, Set::AtLeast),
    (ADDRESS_TABLE, 16, Set::AtLeast),
    // Link keys.
    (0x1e, 4, Set::AtLeast),
    // Children.
    (0x11, 32, Set::AtLeast),
    // ZDO requests are answered by the coordinator and shown to us.
    (0x2a, 1, Set::Exactly),
    // All memory that is left is for packets; so this is the last.
    (0x01, 0xff, Set::Exactly),
];

/// A coordinator that is ready.
pub(super) struct Ready {
    pub(super) info: NcpInfo,
    pub(super) longest: usize,
    pub(super) addresses: u8,
}

/// Readies a coordinator that has just been reset.
pub(super) async fn ready(asker: &Asker<'_>) -> Result<Ready, NcpFault> {
    agree(asker).await?;
    let firmware = firmware(asker).await?;
    let answer = asker.ask(GET_EUI64, Write::new()).await?;
    let ieee = Read(&answer).ieee().ok_or_else(|| short(GET_EUI64))?;
    configure(asker).await?;
    add_endpoint(asker).await?;
    let addresses = configuration(asker, ADDRESS_TABLE).await?.unwrap_or_default();
    let answer = asker.ask(MAXIMUM_PAYLOAD, Write::new()).await?;
    let longest = Read(&answer).u8().ok_or_else(|| short(MAXIMUM_PAYLOAD))?;
    Ok(Ready {
        info: NcpInfo { kind: NcpKind::Ezsp, ieee, firmware },
        longest: usize::from(longest),
        addresses: u8::try_from(addresses).unwrap_or(u8::MAX),
    })
}

/// The coordinator says its version, and is then asked with that one.
async fn agree(asker: &Asker<'_>) -> Result<(), NcpFault> {
    let version = version(asker, VERSIONS.1).await?;
    if version < VERSIONS.0 {
        return Err(NcpFault::Unsupported(format!(
            "the coordinator's firmware is too old: it speaks version {version} of EZSP, and the oldest that is spoken \
             here is {}; update its firmware (EmberZNet 6.7 or later)",
            VERSIONS.0
        )));
    }
    if version > VERSIONS.1 {
        tracing::warn!(version, "a coordinator speaks a later version of EZSP than is known here");
    }
    asker.version.set(version);
    // In the new format, as it is to be.
    let agreed = self::version(asker, version).await?;
    if agreed == version {
        return Ok(());
    }
    Err(NcpFault::Unsupported(format!(
        "the coordinator does not keep to a version of EZSP: first {version}, then {agreed}"
    )))
}

async fn version(asker: &Asker<'_>, wanted: u8) -> Result<u8, NcpFault> {
    let answer = asker.ask(VERSION, Write::new().u8(wanted)).await?;
    Read(&answer).u8().ok_or_else(|| short(VERSION))
}

async fn firmware(asker: &Asker<'_>) -> Result<String, NcpFault> {
    let answer = asker.ask(GET_VALUE, Write::new().u8(VERSION_INFO)).await?;
    let mut read = Read(&answer);
    let mut words = || {
        asker.read_status(&mut read).filter(|status| *status == super::Status::OK)?;
        let mut info = Read(read.counted()?);
        let _build = info.u16()?;
        let (major, minor, patch, special) = (info.u8()?, info.u8()?, info.u8()?, info.u8()?);
        Some(format!("EmberZNet {major}.{minor}.{patch}.{special} "))
    };
    Ok(format!("{}(EZSP {})", words().unwrap_or_default(), asker.version()))
}

async fn configure(asker: &Asker<'_>) -> Result<(), NcpFault> {
    // Older firmware does not know it.
    let force = asker.status(SET_VALUE, Write::new().u8(FORCE_TX).counted(&[1])).await?;
    tracing::trace!(?force, "value set");
    for (id, wanted, set) in CONFIGURATION {
        if set == Set::AtLeast && configuration(asker, id).await?.is_some_and(|there| there >= wanted) {
            continue;
        }
        let status = asker.status(SET_CONFIGURATION, Write::new().u8(id).u16(wanted)).await?;
        if expect(SET_CONFIGURATION, status).is_err() {
            tracing::debug!(id, wanted, status = status.words(), "a coordinator keeps to its own setting");
        }
    }
    Ok(())
}

/// How a coordinator is set. `None`: it does not have that.
pub(super) async fn configuration(asker: &Asker<'_>, id: u8) -> Result<Option<u16>, NcpFault> {
    let answer = asker.ask(GET_CONFIGURATION, Write::new().u8(id)).await?;
    let mut read = Read(&answer);
    let status = asker.read_status(&mut read).ok_or_else(|| short(GET_CONFIGURATION))?;
    Ok(if status == super::Status::OK { read.u16() } else { None })
}

async fn add_endpoint(asker: &Asker<'_>) -> Result<(), NcpFault> {
    /// Home gateway.
    const DEVICE: u16 = 0x0050;
    let count = |clusters: &[u16]| u8::try_from(clusters.len()).unwrap_or_default();
    let body = Write::new()
        .u8(HOST_ENDPOINT)
        .u16(HOME_AUTOMATION)
        .u16(DEVICE)
        .u8(0)
        .u8(count(&IN_CLUSTERS))
        .u8(count(&OUT_CLUSTERS))
        .u16s(&IN_CLUSTERS)
        .u16s(&OUT_CLUSTERS);
    asker.done(ADD_ENDPOINT, body).await
}
