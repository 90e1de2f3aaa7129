//! Whether a broker has the coordinator that is to be looked at.
//!
//! A serial port is locked and cannot be opened twice. A coordinator behind a network often takes the newest connection for
//! the only one, and the network would be without its broker: so the broker of this machine is asked, and the one that is named. Of
//! others nothing can be known before they have lost it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use tokio::net::lookup_host;
use usp_mapping::mapping::{ZigbeeBus, ZigbeePort};

use crate::cli::Failure;
use crate::cli::controller::DEFAULT_VIA;
use crate::cli::controller::running::{Running, RunningBus, buses};
use crate::client::Via;

/// # Errors
/// One has it, or does not say whether; what can be done instead.
pub(super) async fn check(zigbee: &ZigbeeBus, via: &Via) -> Result<(), Failure> {
    for via in whom(via) {
        match buses(&via).await {
            Running::Nobody => {}
            Running::Buses(all) => {
                for bus in all.iter().filter(|bus| bus.protocol == "zigbee") {
                    if is_same(&zigbee.port, bus).await {
                        return Err(Failure::failed(refusal(&via, bus)));
                    }
                }
            }
            Running::Silent(why) if matches!(zigbee.port, ZigbeePort::Tcp(_)) => {
                return Err(Failure::failed(format!(
                    "whoever listens at {via} does not say whether it uses that coordinator ({why}), and would lose it: stop it first"
                )));
            }
            // Its port is locked if it has it.
            Running::Silent(_) => {}
        }
    }
    Ok(())
}

/// Who is asked: the broker that is named, and that of this machine.
fn whom(via: &Via) -> Vec<Via> {
    let here = DEFAULT_VIA.parse().ok().filter(|here| here != via);
    [via.clone()].into_iter().chain(here).collect()
}

fn refusal(via: &Via, bus: &RunningBus) -> String {
    let RunningBus { name, address, .. } = bus;
    format!(
        "the broker that listens at {via} uses {address} as its bus `{name}`; stop it first (systemctl stop usp-broker), or let \
         devices join through it: usp-broker operate 'Device.X_USPBROKER_Bus.[Name==\"{name}\"].PermitJoin()' Duration=120"
    )
}

async fn is_same(port: &ZigbeePort, bus: &RunningBus) -> bool {
    match port {
        ZigbeePort::Serial { port, .. } => {
            let whole = |path: &str| Path::new(path).canonicalize().unwrap_or_else(|_| path.into());
            whole(port) == whole(&bus.address)
        }
        ZigbeePort::Tcp(address) => {
            let own = address.to_string();
            own == bus.address || !resolved(&own).await.is_disjoint(&resolved(&bus.address).await)
        }
    }
}

/// The addresses that a name stands for; none of a name that nobody knows.
async fn resolved(address: &str) -> BTreeSet<SocketAddr> {
    lookup_host(address).await.map(Iterator::collect).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use usp_mapping::mapping::BusAddress;

    use super::*;

    fn bus(address: &str) -> RunningBus {
        RunningBus { name: "mesh".to_owned(), protocol: "zigbee".to_owned(), address: address.to_owned() }
    }

    fn serial(port: &str) -> ZigbeePort {
        let flow = usp_mapping::mapping::ZigbeeFlow::None;
        ZigbeePort::Serial { port: port.to_owned(), baud: 115_200, flow }
    }

    #[tokio::test]
    async fn a_coordinator_is_known_by_whatever_name() {
        let place = tempfile::tempdir().unwrap();
        let (port, link) = (place.path().join("ttyUSB0"), place.path().join("by-id"));
        std::fs::write(&port, "").unwrap();
        std::os::unix::fs::symlink(&port, &link).unwrap();
        assert!(is_same(&serial(link.to_str().unwrap()), &bus(port.to_str().unwrap())).await);
        assert!(!is_same(&serial("/dev/ttyUSB1"), &bus("/dev/ttyUSB2")).await);
        let tcp = |host: &str| ZigbeePort::Tcp(BusAddress::Host(host.to_owned(), 6638));
        assert!(is_same(&tcp("localhost"), &bus("127.0.0.1:6638")).await);
        assert!(is_same(&tcp("stick.invalid"), &bus("stick.invalid:6638")).await);
        assert!(!is_same(&tcp("localhost"), &bus("127.0.0.1:6639")).await);
    }

    fn coordinator(port: ZigbeePort) -> ZigbeeBus {
        ZigbeeBus { port, ncp: None, channel: None, pan_id: None, network_key: None, adopt: false }
    }

    /// Who listens may use it, though he says nothing; a serial port is locked then.
    #[tokio::test(start_paused = true)]
    async fn who_listens_and_says_nothing_is_not_robbed() {
        let place = tempfile::tempdir().unwrap();
        let socket = place.path().join("agent");
        let _silent = tokio::net::UnixListener::bind(&socket).unwrap();
        let via = format!("uds:{}", socket.display()).parse().unwrap();
        let tcp = coordinator(ZigbeePort::Tcp(BusAddress::Host("stick.invalid".to_owned(), 6638)));
        let told = check(&tcp, &via).await.unwrap_err().to_string();
        assert!(told.contains("does not say whether it uses that coordinator"), "{told}");
        assert!(check(&coordinator(serial("/dev/ttyUSB0")), &via).await.is_ok());
    }

    #[tokio::test]
    async fn where_no_broker_runs_nobody_has_it() {
        let bus = coordinator(serial("/dev/ttyUSB0"));
        let place = tempfile::tempdir().unwrap();
        let via = format!("uds:{}", place.path().join("agent").display()).parse().unwrap();
        assert!(check(&bus, &via).await.is_ok());
        let told = refusal(&via, &self::bus("stick:6638"));
        assert!(told.contains("uses stick:6638 as its bus `mesh`; stop it first"), "{told}");
    }

    /// Who asks another broker by name is not to throw out the one beside it.
    #[test]
    fn the_broker_of_this_machine_is_always_asked() {
        let here: Via = DEFAULT_VIA.parse().unwrap();
        let other: Via = "ws://127.0.0.1:8080/usp".parse().unwrap();
        assert_eq!(whom(&other), [other.clone(), here.clone()]);
        assert_eq!(whom(&here), std::slice::from_ref(&here));
    }
}
