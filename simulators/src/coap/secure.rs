//! The DTLS sessions of a device, one for each peer.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::{Config, Dtls, Output, PskResolver};

/// A peer with a session more than these takes the place of the one that was silent longest.
const MOST: usize = 64;

/// Whom a device lets in.
#[derive(Clone, PartialEq, Eq)]
pub struct SimPsk {
    /// Public name of the key.
    pub identity: String,
    /// The key.
    pub key: Vec<u8>,
}

impl fmt::Debug for SimPsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimPsk").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl PskResolver for SimPsk {
    fn resolve(&self, identity: &[u8]) -> Option<Vec<u8>> {
        (identity == self.identity.as_bytes()).then(|| self.key.clone())
    }
}

struct Session {
    dtls: Dtls,
    heard: Instant,
}

/// What comes out of the sessions.
#[derive(Debug, Default)]
pub(super) struct Drained {
    pub(super) packets: Vec<(SocketAddr, Vec<u8>)>,
    pub(super) messages: Vec<(SocketAddr, Vec<u8>)>,
}

/// All sessions of a device.
pub(super) struct Sessions {
    psk: SimPsk,
    open: BTreeMap<SocketAddr, Session>,
}

impl Sessions {
    pub(super) fn new(psk: SimPsk) -> Self {
        Self { psk, open: BTreeMap::new() }
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.open.clear();
    }

    /// Takes a datagram in; `wrong`: a handshake that begins is made with another key.
    pub(super) fn hear(&mut self, now: Instant, peer: SocketAddr, bytes: &[u8], wrong: bool) -> Drained {
        // A ClientHello in the first epoch begins anew: a client that has restarted may come from the same port.
        let hello =
            bytes.first() == Some(&22) && bytes.get(3..5) == Some(&[0, 0]) && bytes.get(13) == Some(&1);
        let fresh = hello && self.open.get(&peer).is_none_or(|it| now - it.heard > Duration::from_secs(1));
        if fresh && let Some(dtls) = self.server(now, wrong) {
            if self.open.len() >= MOST {
                let oldest = self.open.iter().min_by_key(|(_, session)| session.heard).map(|(peer, _)| *peer);
                oldest.and_then(|peer| self.open.remove(&peer));
            }
            self.open.insert(peer, Session { dtls, heard: now });
        }
        let Some(session) = self.open.get_mut(&peer) else { return Drained::default() };
        session.heard = now;
        let alive = session.dtls.handle_timeout(now).and_then(|()| session.dtls.handle_packet(bytes)).is_ok();
        let drained = drain(peer, &mut session.dtls);
        if !alive {
            self.open.remove(&peer);
        }
        drained
    }

    /// Sends a message to a peer, if there is a session.
    pub(super) fn say(&mut self, now: Instant, peer: SocketAddr, message: &[u8]) -> Drained {
        let Some(session) = self.open.get_mut(&peer) else { return Drained::default() };
        let said =
            session.dtls.handle_timeout(now).and_then(|()| session.dtls.send_application_data(message));
        if said.is_err() {
            self.open.remove(&peer);
            return Drained::default();
        }
        drain(peer, &mut session.dtls)
    }

    /// Lets time pass.
    pub(super) fn tick(&mut self, now: Instant) -> Drained {
        let mut all = Drained::default();
        self.open.retain(|peer, session| {
            let alive = session.dtls.handle_timeout(now).is_ok();
            if alive {
                all.packets.extend(drain(*peer, &mut session.dtls).packets);
            }
            alive
        });
        all
    }

    fn server(&self, now: Instant, wrong: bool) -> Option<Dtls> {
        let mut psk = self.psk.clone();
        if wrong {
            psk.key.push(b'!');
        }
        let config = Config::builder().mtu(1280).with_psk_server(None, Arc::new(psk)).build().ok()?;
        Some(Dtls::new_12_psk(Arc::new(config), now))
    }
}

fn drain(peer: SocketAddr, dtls: &mut Dtls) -> Drained {
    let (mut drained, mut buffer) = (Drained::default(), vec![0; 2048]);
    loop {
        match dtls.poll_output(&mut buffer) {
            Output::Packet(packet) => drained.packets.push((peer, packet.to_vec())),
            Output::ApplicationData(data) => drained.messages.push((peer, data.to_vec())),
            Output::BufferTooSmall { needed } if needed <= 1 << 16 => buffer.resize(needed, 0),
            Output::Timeout(_) | Output::BufferTooSmall { .. } => return drained,
            _ => {}
        }
    }
}
