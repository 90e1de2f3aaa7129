//! Whether the broker that runs here has the coordinator that is to be looked at.
//!
//! A serial port is locked and cannot be opened twice; a coordinator behind a network often takes the newest connection for
//! the only one, and the network would be without its broker.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use tokio::net::lookup_host;
use usp_mapping::mapping::{ZigbeeBus, ZigbeePort};

use crate::cli::Failure;
use crate::cli::controller::running::{RunningBus, buses};
use crate::client::Via;

/// # Errors
/// It has; what can be done instead.
pub(super) async fn check(zigbee: &ZigbeeBus, via: &Via) -> Result<(), Failure> {
    for bus in buses(via).await {
        if bus.protocol == "zigbee" && is_same(&zigbee.port, &bus).await {
            return Err(Failure::failed(refusal(&bus)));
        }
    }
    Ok(())
}

fn refusal(bus: &RunningBus) -> String {
    let RunningBus { name, address, .. } = bus;
    format!(
        "the broker that runs here uses {address} as its bus `{name}`; stop it first (systemctl stop usp-broker), or let \
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

    #[tokio::test]
    async fn where_no_broker_runs_nobody_has_it() {
        let bus = ZigbeeBus {
            port: serial("/dev/ttyUSB0"),
            ncp: None,
            channel: None,
            pan_id: None,
            network_key: None,
            adopt: false,
        };
        let place = tempfile::tempdir().unwrap();
        let via = format!("uds:{}", place.path().join("agent").display()).parse().unwrap();
        assert!(check(&bus, &via).await.is_ok());
        assert!(
            refusal(&self::bus("stick:6638")).contains("uses stick:6638 as its bus `mesh`; stop it first")
        );
    }
}
