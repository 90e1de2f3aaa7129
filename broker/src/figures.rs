//! What the adapters have counted, for the core's data model: looked at once a second, handed on when it has changed.

use std::time::Duration;

use tokio::time::Instant;
use usp_adapters::{BusStatistics, DeviceStatistics, Exchanges, NetworkStatistics};
use usp_core::proxied::figures::{BusFigures, DeviceFigures, NetworkFacts, Traffic};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// What the core was told last, and when to look again.
#[derive(Debug)]
pub(crate) struct Figures {
    /// `None`: there is no bus.
    due: Option<Instant>,
    told: Vec<BusFigures>,
}

impl Figures {
    /// Nothing was told yet.
    pub(crate) fn new() -> Self {
        Self { due: Some(Instant::now()), told: Vec::new() }
    }

    /// When to look; `None`: not before [`Figures::restart`].
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// There may be buses now.
    pub(crate) fn restart(&mut self) {
        self.due = Some(Instant::now());
    }

    /// What is to be told, if that is due and new.
    pub(crate) fn look(
        &mut self,
        statistics: impl FnOnce() -> Vec<BusStatistics>,
    ) -> Option<Vec<BusFigures>> {
        self.due.filter(|due| *due <= Instant::now())?;
        self.look_now(statistics)
    }

    /// The same, due or not.
    pub(crate) fn look_now(
        &mut self,
        statistics: impl FnOnce() -> Vec<BusStatistics>,
    ) -> Option<Vec<BusFigures>> {
        let figures: Vec<BusFigures> = statistics().into_iter().map(of_bus).collect();
        self.due = (!figures.is_empty()).then(|| Instant::now() + PAUSE);
        if figures == self.told {
            return None;
        }
        self.told.clone_from(&figures);
        Some(figures)
    }
}

fn of_bus(bus: BusStatistics) -> BusFigures {
    BusFigures {
        name: bus.bus,
        online: bus.connected,
        last_error: bus.last_error,
        utilisation: percent(bus.utilisation),
        connects: bus.connects,
        failed_connects: bus.failed_connects,
        restarts: bus.restarts,
        waiting: bus.waiting,
        traffic: traffic(bus.exchanges),
        network: bus.network.map(of_network),
        devices: bus.devices.into_iter().map(of_device).collect(),
    }
}

fn of_network(network: NetworkStatistics) -> NetworkFacts {
    NetworkFacts {
        firmware: network.firmware,
        channel: network.channel,
        pan_id: format!("0x{:04x}", network.pan_id),
        ext_pan_id: format!("0x{:016x}", network.ext_pan_id),
        devices: network.devices,
        is_open: network.is_open,
    }
}

fn of_device(device: DeviceStatistics) -> DeviceFigures {
    // The fastest group comes first.
    let fastest = device.cycles.first();
    DeviceFigures {
        device: device.device,
        traffic: traffic(device.exchanges),
        waiting: device.waiting,
        cycle: fastest.and_then(|group| group.last),
        longest_cycle: fastest.and_then(|group| group.max),
        link_quality: device.signal.quality,
        signal_strength: device.signal.strength,
    }
}

fn traffic(exchanges: Exchanges) -> Traffic {
    Traffic {
        requests: exchanges.requests,
        refusals: exchanges.refusals,
        timeouts: exchanges.timeouts,
        garbled: exchanges.garbled,
        failures: exchanges.failures,
    }
}

/// Whole percent, 0 to 100.
fn percent(share: f64) -> u8 {
    (0..=100u8).rev().find(|whole| f64::from(*whole) <= share + 0.5).unwrap_or(0)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A bus that is connected, has no device, and was asked so often.
    pub(crate) fn bus(requests: u64) -> BusStatistics {
        BusStatistics {
            bus: "plant".into(),
            protocol: "modbus-tcp",
            address: "127.0.0.1:502".into(),
            connected: true,
            last_error: "".into(),
            connects: 1,
            failed_connects: 0,
            restarts: 0,
            lost: 0,
            waiting: 0,
            utilisation: 12.6,
            exchanges: Exchanges { requests, ..Exchanges::default() },
            network: None,
            devices: Vec::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn news_are_told_once_a_second_at_most() {
        let mut figures = Figures::new();
        let told = figures.look(|| vec![bus(1)]).unwrap();
        assert_eq!((told[0].traffic.requests, told[0].utilisation), (1, 13));
        assert_eq!(figures.look(|| vec![bus(2)]), None, "too soon");
        assert!(figures.look_now(|| vec![bus(3)]).is_some(), "but not for who has to know");
        assert!(figures.look_now(|| vec![bus(1)]).is_some());
        tokio::time::advance(PAUSE).await;
        assert_eq!(figures.look(|| vec![bus(1)]), None, "nothing new");
        tokio::time::advance(PAUSE).await;
        assert!(figures.look(|| vec![bus(2)]).is_some());
        tokio::time::advance(PAUSE).await;
        assert_eq!(figures.look(Vec::new), Some(Vec::new()));
        assert_eq!(figures.due(), None, "no bus, no look");
        figures.restart();
        assert!(figures.look(|| vec![bus(3)]).is_some());
    }
}
