//! Drivers with coordinators that answer by a list, on virtual time.

mod ezsp;
mod ezsp_fake;
mod faults;
mod secrets;
mod znp;
mod znp_fake;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use usp_mapping::mapping::BusAddress;

use crate::serial::wire::Wire;

use super::detect::detect_on;
use super::port::Lost;
use super::*;

/// Something at the other end of a way.
trait Fake: Send + 'static {
    /// What it says to bytes. `None`: it is pulled out.
    fn hear(&mut self, bytes: &[u8]) -> Option<Vec<u8>>;
}

impl<F: Fake> Fake for Arc<Mutex<F>> {
    fn hear(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.lock().unwrap().hear(bytes)
    }
}

async fn serve(mut fake: impl Fake, mut stream: DuplexStream) {
    let mut buffer = [0; 64];
    loop {
        // A moment passes, so that whoever waits for nothing is seen.
        let Ok(count @ 1..) = stream.read(&mut buffer).await else { return };
        tokio::time::sleep(Duration::from_millis(1)).await;
        match fake.hear(&buffer[..count]) {
            Some(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            None => return,
        }
    }
}

fn port(kind: Option<NcpKind>) -> NcpPort {
    NcpPort { way: Way::Tcp(BusAddress::Host("coordinator".to_owned(), 6638)), kind }
}

type Opened = (Result<Arc<dyn Coordinator>, NcpFault>, mpsc::Receiver<NcpEvent>);

/// Opens what a fake is.
async fn open_fake(fake: impl Fake, kind: Option<NcpKind>) -> Opened {
    let (ours, theirs) = tokio::io::duplex(4096);
    tokio::spawn(serve(fake, theirs));
    let (sender, events) = mpsc::channel(16);
    let port = port(kind);
    let opened = match detect_on(Wire::Memory(ours), Lost::new(&port.way), &port).await {
        Ok(found) => start(found, &sender).await,
        Err(fault) => Err(fault),
    };
    (opened, events)
}

fn new_network() -> NewNetwork {
    NewNetwork { channel: 15, pan_id: 0x1a62, ext_pan_id: Ieee(0x00d0_60d0_dead_beef), key: network_key() }
}

fn network() -> Network {
    Network { pan_id: 0x1a62, ext_pan_id: Ieee(0x00d0_60d0_dead_beef), channel: 15, update_id: 0 }
}

fn network_key() -> Key {
    Key(*b"the network key!")
}

fn on(nwk: u16) -> Aps {
    Aps {
        to: To::Device(nwk),
        profile: HOME_AUTOMATION,
        cluster: 6,
        src_endpoint: HOST_ENDPOINT,
        dst_endpoint: 1,
        sequence: 7,
        payload: vec![0x01, 7, 0x01],
        ack: true,
    }
}

/// What waits to be taken.
fn taken(events: &mut mpsc::Receiver<NcpEvent>) -> Vec<NcpEvent> {
    std::iter::from_fn(|| events.try_recv().ok()).collect()
}

#[test]
fn keys_are_shown_nowhere() {
    let key = network_key();
    let backup = Backup {
        ieee: Ieee(1),
        network: network(),
        key: key.clone(),
        key_sequence: 0,
        frame_counter: 0,
        tc_link_key: key.clone(),
        tc_seed: Some(TcSeed { kind: NcpKind::Ezsp, seed: key.clone() }),
        link_keys: vec![LinkKey { ieee: Ieee(2), key: key.clone(), frame_counter: 0, peer_frame_counter: 0 }],
    };
    let shown = format!("{backup:?} {:?}", new_network());
    let bytes = format!("{:?}", key.0);
    assert!(!shown.contains(bytes.trim_matches(['[', ']'])) && !shown.contains("the network key"), "{shown}");
    assert_eq!(format!("{key:?}"), "Key(…)");
}
