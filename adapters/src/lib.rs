//! Device protocols of usp-broker behind one interface.
//!
//! [`Adapters`] serves the buses of a site: it takes [`AdapterCall`]s and sends [`FromAdapter`] messages. There is one
//! task for each bus that takes one exchange at a time, one for each device where the medium takes many, and one bounded
//! queue for each device, so that one device or bus never slows another more than the medium they share makes unavoidable.
//!
//! # Contract
//!
//! - Every call gets exactly one [`AdapterReply`], whatever happens: at its deadline ([`AdapterCall::within`]) at the
//!   latest, and at once when the device is unknown or known to be down, or its queue is full.
//! - A write that was not begun within the smaller of `within` and its binding's `ttl` is never sent. One that was begun
//!   is sent once: a write whose acknowledgement is lost is not repeated. `within` should leave room for `verify` and one
//!   exchange more, or the caller is gone before the device has had its time.
//! - The answer of a write without `verify` says that the device took it, and nothing of what it has now: what can be read is
//!   read soon, and once more a second later. With `verify`, the value that was read back is also reported as a reading,
//!   before the reply.
//! - A [`Refresh`](usp_mapping::port::Action::Refresh) of a device that sleeps waits until that is heard, for as long as its caller
//!   does.
//! - The readings of a [`Read`](usp_mapping::port::Action::Read) or [`Refresh`](usp_mapping::port::Action::Refresh) are in the
//!   reply alone, those of polls in [`AdapterReport::Readings`], one report for each exchange on the wire. A poll
//!   without an answer reports nothing; it is repeated until the device answers or counts as offline.
//! - What a device says unasked is in [`AdapterReport::Readings`] too. It is reported in its order; while the core takes
//!   nothing, the newest reading of each point stays.
//! - Whoever is only believed to be there, because its link is back and nobody can ask it, is
//!   [`Believed`](usp_mapping::port::AdapterReport::Believed): that is no contact. Where something may be lost, what was said
//!   before of points that cannot be asked for at once is [`Doubtful`](usp_mapping::port::AdapterReport::Doubtful).
//! - A device counts as online with its first answer, be it a refusal, and as offline after `online.fails` exchanges
//!   without a usable answer in a row, or when the connection cannot be made. Each change is reported once.
//! - A point that is read together with others and refused is read again by itself, so that a hole in a device's
//!   register map costs no other point.

#[cfg(feature = "ble")]
mod ble;
mod bus;
#[cfg(feature = "coap")]
mod coap;
pub mod coap_timing;
mod keeper;
#[cfg(feature = "line")]
mod line;
#[cfg(feature = "modbus")]
mod modbus;
#[cfg(feature = "mqtt-devices")]
mod mqtt;
#[cfg(any(feature = "ble", feature = "coap", feature = "mqtt-devices", feature = "zigbee"))]
mod secret;
#[cfg(feature = "serial")]
mod serial;
mod site;
#[cfg(feature = "zigbee")]
mod zigbee;

#[cfg(all(test, any(feature = "ble", feature = "zigbee")))]
mod test_log;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;
use usp_mapping::mapping::{Bus, Device, Site};
use usp_mapping::port::{
    AdapterCall, AdapterReply, AdapterReport, BusCall, BusReport, DeviceFault, DeviceId,
};

#[cfg(feature = "modbus")]
pub use crate::modbus::explain;

#[cfg(feature = "modbus")]
pub use crate::modbus::scan;

#[cfg(feature = "coap")]
pub use crate::coap::scan as coap_scan;

#[cfg(feature = "ble")]
pub use crate::ble::scan as ble_scan;

#[cfg(feature = "mqtt-devices")]
pub use crate::mqtt::scan as mqtt_scan;

#[cfg(feature = "zigbee")]
pub use crate::zigbee::ncp::fuzzed as zigbee_fuzzed;

#[cfg(feature = "zigbee")]
pub use crate::zigbee::scan as zigbee_scan;

pub use crate::bus::statistics::{
    BusStatistics, CycleStatistics, DeviceStatistics, Exchanges, NetworkStatistics, Signal,
};
pub use crate::keeper::{Keeper, Kept, Memory};

use crate::bus::outlet::Outlet;
use crate::site::{BusHandle, plans};

/// What adapters say to the core.
#[derive(Clone, Debug, PartialEq)]
pub enum FromAdapter {
    /// The one answer to a call.
    Reply(AdapterReply),
    /// Something unasked.
    Report(AdapterReport),
    /// What a bus has of its own.
    Adopted(Box<Adopted>),
    /// What a bus says of itself, or what became of a [`BusCall`].
    Bus(BusReport),
}

/// The devices that are on a bus now without being in the site file: all of them, each time that this has changed. Whoever
/// serves the site puts them into it and calls [`Adapters::apply`]; the adapter has not begun to serve them before.
#[derive(Clone, Debug, PartialEq)]
pub struct Adopted {
    /// As the site had it when they were found.
    pub bus: Bus,
    /// Their keys begin with the name of the bus and are the same for ever: `home/0x00158d0001a2b3c4`.
    pub devices: Vec<Device>,
}

/// All buses of a site.
///
/// Dropping it without [`Adapters::stop`] stops the buses too, at some later moment.
#[derive(Debug)]
pub struct Adapters {
    buses: Vec<BusHandle>,
    /// Where each device is: an index into `buses`.
    routes: HashMap<DeviceId, usize>,
    /// For calls that reach no bus.
    outlet: Outlet,
    runtime: Handle,
    keeper: Arc<dyn Keeper>,
}

impl Adapters {
    /// As [`start_keeping`](Self::start_keeping), with a [`Memory`]: what buses keep does not outlive this.
    pub fn start(site: Arc<Site>, to_core: mpsc::Sender<FromAdapter>) -> Self {
        Self::start_keeping(site, to_core, Arc::new(Memory::default()))
    }

    /// Starts a task for each bus. Must be called within a tokio runtime; everything is polled at once. What a bus has to
    /// know after a restart is in `keeper`.
    ///
    /// A slow receiver of `to_core` slows polling down and loses nothing.
    pub fn start_keeping(
        site: Arc<Site>,
        to_core: mpsc::Sender<FromAdapter>,
        keeper: Arc<dyn Keeper>,
    ) -> Self {
        let runtime = Handle::current();
        let outlet = Outlet::new(to_core, runtime.clone());
        let mut adapters = Self { buses: Vec::new(), routes: HashMap::new(), outlet, runtime, keeper };
        for plan in plans(&site) {
            let bus = adapters.start_bus(plan);
            adapters.buses.push(bus);
        }
        adapters.route();
        adapters
    }

    /// Hands a call to its device. Never blocks.
    pub fn call(&self, call: AdapterCall) {
        let bus = self.routes.get(&call.device).and_then(|index| self.buses.get(*index));
        match bus {
            Some(bus) => bus.call(call, Instant::now().into_std(), &self.outlet),
            None => {
                self.outlet.opened(call.id);
                self.outlet.refuse(call.id, DeviceFault::Unknown);
            }
        }
    }

    /// Hands a call to a bus. Never blocks. What becomes of it comes as [`BusReport::Done`].
    pub fn bus_call(&self, call: BusCall) {
        match self.buses.iter().find(|bus| bus.has_name(&call.bus)) {
            Some(bus) => bus.bus_call(call, &self.outlet),
            None => {
                let why = format!("the bus {} is not in the site any more", call.bus);
                self.outlet.post(FromAdapter::Bus(BusReport::Done { id: call.id, outcome: Err(why) }));
            }
        }
    }

    /// Goes over to another site, by difference: buses and devices that are the same go on undisturbed; what waits for
    /// one that is gone or changed is answered.
    pub async fn apply(&mut self, site: Arc<Site>) {
        let mut old = std::mem::take(&mut self.buses);
        let mut stopped: Vec<site::End> = Vec::new();
        for plan in plans(&site) {
            let same = old.iter().position(|bus| bus.serves(&plan.bus));
            let bus = match same.map(|index| old.swap_remove(index)) {
                Some(mut bus) => {
                    stopped.extend(bus.configure(plan, &self.outlet, &self.runtime));
                    bus
                }
                None => self.start_bus(plan),
            };
            self.buses.push(bus);
        }
        for bus in old {
            stopped.push(Box::pin(bus.stop()));
        }
        self.route();
        for end in stopped {
            end.await;
        }
    }

    /// Stops all buses and answers what waits with [`DeviceFault::Stopping`]. Does not wait for the core: replies that
    /// found no room in its channel follow as soon as it makes some.
    ///
    /// A write that is on the wire at that moment may or may not have been done.
    pub async fn stop(self) {
        let ends: Vec<_> = self.buses.into_iter().map(BusHandle::stop).collect();
        for end in ends {
            end.await;
        }
    }

    /// The counters of all buses. Buses of a site with the same address share a connection and what is counted of it.
    pub fn statistics(&self) -> Vec<BusStatistics> {
        let now = Instant::now().into_std();
        self.buses.iter().flat_map(|bus| bus.statistics(now)).collect()
    }

    fn start_bus(&self, plan: bus::BusPlan) -> BusHandle {
        BusHandle::start(plan, &self.outlet, &self.runtime, &self.keeper)
    }

    fn route(&mut self) {
        let routes = self
            .buses
            .iter()
            .enumerate()
            .flat_map(|(index, bus)| bus.devices().into_iter().map(move |device| (device, index)));
        self.routes = routes.collect();
    }
}
