//! Several buses with devices on them, each device by a name: what one program simulates.

use std::io;
use std::net::SocketAddr;

use crate::mischief::{Fault, Order};

use super::device::ModbusDevice;
use super::log::Seen;
use super::serial::{LineSettings, ModbusLine};
use super::server::{ModbusHandle, ModbusServer};

/// How the devices of a bus are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// Modbus TCP; port 0 takes any free one.
    Tcp(SocketAddr),
    /// RTU frames over TCP.
    RtuTcp(SocketAddr),
    /// A serial line, which is a pseudo-terminal.
    Line(LineSettings),
}

/// A bus that is to be simulated.
#[derive(Debug)]
pub struct BusPlan {
    /// Its name.
    pub name: String,
    /// How it is reached.
    pub medium: Medium,
    /// Its devices: name, unit identifier, device.
    pub devices: Vec<(String, u8, ModbusDevice)>,
}

/// Why a bus cannot be simulated.
#[derive(Debug, thiserror::Error)]
pub enum PlantError {
    /// The address cannot be had.
    #[error("bus {bus}: cannot listen on {address}: {source}")]
    Listen {
        /// Which bus.
        bus: String,
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// There is no pseudo-terminal.
    #[error("bus {bus}: no pseudo-terminal can be had: {source}")]
    Line {
        /// Which bus.
        bus: String,
        /// What the system says.
        source: io::Error,
    },
}

/// Running buses. Dropping them stops them too, without waiting.
pub struct Plant {
    buses: Vec<PlantBus>,
    devices: Vec<PlantDevice>,
}

/// One running bus.
pub struct PlantBus {
    name: String,
    medium: Medium,
    served: Served,
}

/// One device of a running bus.
pub struct PlantDevice {
    /// Its name.
    pub name: String,
    /// The name of its bus.
    pub bus: String,
    /// To look at it and change it.
    pub unit: ModbusHandle,
}

enum Served {
    Tcp(ModbusServer),
    Line(ModbusLine),
}

impl Plant {
    /// Starts buses; time in their worlds stands still when `still`.
    ///
    /// Errors: an address or a pseudo-terminal cannot be had; what was started already is stopped.
    pub async fn start(plans: Vec<BusPlan>, still: bool) -> Result<Self, PlantError> {
        let mut plant = Self { buses: Vec::new(), devices: Vec::new() };
        for plan in plans {
            let names: Vec<(String, u8)> =
                plan.devices.iter().map(|(name, unit, _)| (name.clone(), *unit)).collect();
            let bus = PlantBus::start(plan, still).await?;
            for (name, unit) in names {
                let bus_name = bus.name.clone();
                plant.devices.extend(bus.unit(unit).map(|unit| PlantDevice { name, bus: bus_name, unit }));
            }
            plant.buses.push(bus);
        }
        Ok(plant)
    }

    /// In the order of the plans.
    pub fn buses(&self) -> &[PlantBus] {
        &self.buses
    }

    /// All devices, in the order of the plans.
    pub fn devices(&self) -> &[PlantDevice] {
        &self.devices
    }

    /// The newest requests to every bus, by the name of the bus.
    pub fn log(&self) -> Vec<(&str, Seen)> {
        let log = |bus: &PlantBus| match &bus.served {
            Served::Tcp(server) => server.log(),
            Served::Line(line) => line.log(),
        };
        self.buses.iter().flat_map(|bus| log(bus).into_iter().map(|seen| (bus.name.as_str(), seen))).collect()
    }

    /// Switches a fault of all devices on.
    pub fn fault(&self, order: &Order<Fault>) {
        self.devices.iter().for_each(|device| device.unit.fault(order.clone()));
    }

    /// Switches all faults off.
    pub fn clear_faults(&self) {
        self.devices.iter().for_each(|device| device.unit.clear_faults());
    }

    /// Closes everything and returns when it is closed.
    pub async fn stop(self) {
        for bus in self.buses {
            match bus.served {
                Served::Tcp(server) => server.stop().await,
                Served::Line(line) => drop(line),
            }
        }
    }
}

impl PlantBus {
    async fn start(plan: BusPlan, still: bool) -> Result<Self, PlantError> {
        let BusPlan { name, medium, devices } = plan;
        let units = devices.into_iter().map(|(_, unit, device)| (unit, device));
        let listen = |address| {
            let bus = name.clone();
            move |source| PlantError::Listen { bus, address, source }
        };
        let served = match medium {
            Medium::Tcp(address) if still => {
                Served::Tcp(ModbusServer::bind_still(address, units).await.map_err(listen(address))?)
            }
            Medium::Tcp(address) => {
                Served::Tcp(ModbusServer::bind(address, units).await.map_err(listen(address))?)
            }
            Medium::RtuTcp(address) => {
                Served::Tcp(ModbusServer::bind_rtu(address, units, still).await.map_err(listen(address))?)
            }
            Medium::Line(settings) => {
                let line = ModbusLine::open(settings, units, still);
                Served::Line(line.map_err(|source| PlantError::Line { bus: name.clone(), source })?)
            }
        };
        Ok(Self { name, medium, served })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is reached, as it was planned.
    pub fn medium(&self) -> Medium {
        self.medium
    }

    /// Where it listens, or its device file.
    pub fn address(&self) -> String {
        match &self.served {
            Served::Tcp(server) => server.local_addr().to_string(),
            Served::Line(line) => line.path().display().to_string(),
        }
    }

    /// Requests that came before a serial line had been silent for t3.5; none on other buses.
    pub fn broken_silences(&self) -> u64 {
        match &self.served {
            Served::Tcp(_) => 0,
            Served::Line(line) => line.broken_silences(),
        }
    }

    fn unit(&self, unit: u8) -> Option<ModbusHandle> {
        match &self.served {
            Served::Tcp(server) => server.unit(unit),
            Served::Line(line) => line.unit(unit),
        }
    }
}

#[cfg(test)]
mod tests;
