//! What both kinds of coordinator have in common.

use std::time::Duration;

use super::air::{Air, Told};
use super::bytes::Out;
use super::network::Network;
use super::node::{Endpoint, Heard, Identity, Logical, describe};

/// Why a coordinator starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// It was plugged in.
    Power,
    /// It found itself in trouble.
    Watchdog,
    /// The host wanted it.
    Host,
}

/// A coordinator, as what speaks over its port.
pub(super) trait Stick: Send {
    /// It starts: all but its permanent memory is empty.
    fn start(&mut self, now: Duration, why: Start, air: &mut Air);
    /// Bytes of the host.
    fn hear(&mut self, now: Duration, bytes: &[u8], air: &mut Air);
    /// Time passes, and the air told this.
    fn run(&mut self, now: Duration, told: Vec<Told>, air: &mut Air);
    /// Frames for the host since this was called last.
    fn says(&mut self) -> Vec<Vec<u8>>;
    /// It has no room for anything to send.
    fn be_busy(&mut self, busy: bool);
    /// The network that its permanent memory holds.
    fn remembers(&self) -> Option<Network>;
    /// Puts another network key into its permanent memory.
    fn replace_key(&mut self, key: [u8; 16]);
    /// The commands of the host, the newest last.
    fn asked(&self) -> &[String];
}

/// The commands that are remembered.
pub(super) const ASKED: usize = 256;

/// Remembers one more.
pub(super) fn remember(asked: &mut Vec<String>, what: String) {
    let old = (asked.len() + 1).saturating_sub(ASKED);
    asked.drain(..old);
    asked.push(what);
}

/// What the coordinator itself answers to a ZDO request of its host; with the sequence number before.
pub(super) fn own_answer(
    air: &Air,
    manufacturer: u16,
    endpoints: &[Endpoint],
    heard: &Heard,
) -> Option<Vec<u8>> {
    let me = Identity {
        ieee: air.coordinator(),
        address: 0,
        logical: Logical::Coordinator,
        manufacturer,
        endpoints,
    };
    let (sequence, payload) = heard.payload.split_first()?;
    let answer = match heard.cluster {
        // The neighbours: children, of which none is told here.
        0x0031 => neighbours(air, payload),
        0x0032 | 0x0033 => vec![0x00, 0, payload.first().copied().unwrap_or(0), 0],
        0x0021 | 0x0022 | 0x0036 => vec![0x00],
        request if request >= 0x8000 => return None,
        cluster => describe(&me, cluster, payload).unwrap_or_else(|| vec![0x84]),
    };
    Some(Out::new().u8(*sequence).bytes(&answer).done())
}

/// Mgmt_Lqi_rsp: three at a time (05-3474, table 2.132).
fn neighbours(air: &Air, payload: &[u8]) -> Vec<u8> {
    let first = payload.first().copied().unwrap_or(0);
    let all = air.members();
    let told: Vec<_> = all.iter().skip(first.into()).take(3).collect();
    let extended = air.network().map_or(0, |network| network.extended);
    let out = Out::new().u8(0).u8(all.len() as u8).u8(first).u8(told.len() as u8);
    let written = told.iter().fold(out, |out, (ieee, address, sleeps)| {
        // Of an end device the receiver is off; it is a child. A router is one, too.
        let kind = if *sleeps { 0x12 } else { 0x15 };
        out.u64(extended).u64(ieee.0).u16(*address).u8(kind).u8(0).u8(1).u8(200)
    });
    written.done()
}
