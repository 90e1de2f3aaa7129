//! The buses of a site, and the handle by which one is reached.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use usp_mapping::mapping::{Bus, BusKind, Site};
use usp_mapping::port::{AdapterCall, BusCall, BusReport, DeviceFault, DeviceId};

use crate::FromAdapter;
use crate::bus::outlet::Outlet;
use crate::bus::statistics::{BusCounters, BusStatistics, Described};
use crate::bus::{BusPlan, Ends, INBOX, Received};
use crate::keeper::Keeper;

/// Devices of a bus that are looked through rather than put in order.
const FEW: usize = 8;

/// Each medium with its devices, in the order of the file. Buses with the same address are one medium: there is one
/// connection to it, because many devices and gateways take no second one.
pub(crate) fn plans(site: &Site) -> Vec<BusPlan> {
    let mut plans: Vec<BusPlan> = Vec::new();
    for bus in &site.buses {
        let devices = site.devices.iter().filter(|device| device.bus == bus.name).cloned().map(Arc::new);
        match plans.iter_mut().find(|plan| plan.bus.kind == bus.kind) {
            Some(plan) => {
                plan.names.push(bus.name.clone());
                plan.devices.extend(devices);
            }
            None => {
                let (names, devices) = (vec![bus.name.clone()], devices.collect());
                plans.push(BusPlan { bus: bus.clone(), names, devices });
            }
        }
    }
    plans
}

/// A bus that is being served.
#[derive(Debug)]
pub(crate) struct BusHandle {
    plan: Arc<BusPlan>,
    /// For each of its names.
    described: Vec<Described>,
    counters: Arc<BusCounters>,
    lanes: Lanes,
}

fn described(plan: &BusPlan) -> Vec<Described> {
    let (protocol, address) = plan.bus.kind.described();
    let address: Arc<str> = address.into();
    let of =
        |name: &String| Described { name: name.as_str().into(), protocol, address: Arc::clone(&address) };
    plan.names.iter().map(of).collect()
}

/// Who serves the devices of a bus.
#[derive(Debug)]
enum Lanes {
    /// One worker: the medium takes one exchange at a time.
    One(Lane),
    /// A worker for each device on a link that takes many.
    Each(Box<dyn SharedLink>, BTreeMap<DeviceId, Lane>),
}

/// A link that takes many exchanges at once, kept by a task of its own.
pub(crate) trait SharedLink: Debug + Send + Sync {
    /// Serves one device until it is stopped.
    fn serve(&self, ends: Ends) -> Pin<Box<dyn Future<Output = ()> + Send>>;
    /// Other devices, or other names of the bus.
    fn configure(&self, plan: &BusPlan);
    /// Takes a call to the bus itself, and answers it over `way`. Never blocks.
    fn bus_call(&self, call: BusCall, way: &Outlet) {
        refuse_bus_call(&call, way);
    }
    /// Ends the link; the future waits for it.
    fn stop(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Answers what cannot be asked of a bus of this kind.
fn refuse_bus_call(call: &BusCall, way: &Outlet) {
    let why = format!("the bus {} is no network that devices join and leave", call.bus);
    way.post(FromAdapter::Bus(BusReport::Done { id: call.id, outcome: Err(why) }));
}

/// Waits for the end of a task.
pub(crate) type End = Pin<Box<dyn Future<Output = ()> + Send>>;

impl BusHandle {
    /// Starts to serve a bus. `way` goes to the core, for what concerns no call; each worker has one of its own.
    pub(crate) fn start(plan: BusPlan, way: &Outlet, runtime: &Handle, keeper: &Arc<dyn Keeper>) -> Self {
        let counters = Arc::<BusCounters>::default();
        match shared_link(&plan, &counters, way, (runtime, keeper)) {
            Some(link) => Self::on_link(plan, counters, link, way, runtime),
            None => {
                let lane = Lane::start(plan.clone(), &counters, way, runtime, false, |ends| {
                    serve(plan.bus.kind.clone(), ends)
                });
                Self { described: described(&plan), plan: Arc::new(plan), counters, lanes: Lanes::One(lane) }
            }
        }
    }

    /// Starts to serve the devices of a link.
    pub(crate) fn on_link(
        plan: BusPlan,
        counters: Arc<BusCounters>,
        link: Box<dyn SharedLink>,
        way: &Outlet,
        runtime: &Handle,
    ) -> Self {
        let none = BusPlan { devices: Vec::new(), ..plan.clone() };
        let lanes = Lanes::Each(link, BTreeMap::new());
        let mut handle = Self { described: Vec::new(), plan: Arc::new(none), counters, lanes };
        // There are none to end.
        drop(handle.configure(plan, way, runtime));
        handle
    }

    /// Whether it is the same medium.
    pub(crate) fn serves(&self, bus: &Bus) -> bool {
        self.plan.bus.kind == bus.kind
    }

    /// Gives it other devices. What has to end ends at once; the futures wait for it.
    pub(crate) fn configure(&mut self, plan: BusPlan, way: &Outlet, runtime: &Handle) -> Vec<End> {
        let mut ends = Vec::new();
        match &mut self.lanes {
            Lanes::One(lane) => drop(lane.plan.send_replace(Arc::new(plan.clone()))),
            Lanes::Each(link, lanes) => {
                let ids: BTreeSet<&DeviceId> = plan.devices.iter().map(|device| &device.id).collect();
                let gone: Vec<DeviceId> = lanes.keys().filter(|id| !ids.contains(id)).cloned().collect();
                for id in gone {
                    self.counters.forget(&id);
                    ends.extend(lanes.remove(&id).map(Lane::stop));
                }
                for device in &plan.devices {
                    let own = BusPlan { devices: vec![Arc::clone(device)], ..plan.clone() };
                    match lanes.get(&device.id) {
                        // Its worker sees whether anything has changed.
                        Some(lane) => drop(lane.plan.send_replace(Arc::new(own))),
                        None => {
                            let serve = |ends| link.serve(ends);
                            let lane = Lane::start(own, &self.counters, way, runtime, true, serve);
                            lanes.insert(device.id.clone(), lane);
                        }
                    }
                }
                // What it tells anew is for whoever serves a device now.
                link.configure(&plan);
            }
        }
        self.described = described(&plan);
        self.plan = Arc::new(plan);
        ends
    }

    /// The devices on it.
    pub(crate) fn devices(&self) -> Vec<DeviceId> {
        self.plan.devices.iter().map(|device| device.id.clone()).collect()
    }

    /// Whether it goes by this name.
    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.plan.names.iter().any(|known| known == name)
    }

    /// Hands a call to the bus itself over, or refuses it.
    pub(crate) fn bus_call(&self, call: BusCall, way: &Outlet) {
        match &self.lanes {
            Lanes::One(_) => refuse_bus_call(&call, way),
            Lanes::Each(link, _) => link.bus_call(call, way),
        }
    }

    /// Hands a call over, or refuses it.
    pub(crate) fn call(&self, call: AdapterCall, received: Instant, way: &Outlet) {
        let lane = match &self.lanes {
            Lanes::One(lane) => Some(lane),
            Lanes::Each(_, lanes) => lanes.get(&call.device),
        };
        match lane {
            Some(lane) => lane.call(call, received),
            None => {
                way.opened(call.id);
                way.refuse(call.id, DeviceFault::Unknown);
            }
        }
    }

    /// Tells it to stop at once; the future waits for its end.
    pub(crate) fn stop(self) -> impl Future<Output = ()> {
        let ends: Vec<End> = match self.lanes {
            Lanes::One(lane) => vec![lane.stop()],
            Lanes::Each(link, lanes) => {
                let lanes: Vec<End> = lanes.into_values().map(Lane::stop).collect();
                lanes.into_iter().chain([link.stop()]).collect()
            }
        };
        async move {
            for end in ends {
                end.await;
            }
        }
    }

    /// Its counters, once for each bus of the site that it is.
    pub(crate) fn statistics(&self, now: Instant) -> Vec<BusStatistics> {
        let waiting = match &self.lanes {
            Lanes::One(lane) => lane.outlet.waiting(),
            Lanes::Each(_, lanes) => lanes.values().map(|lane| lane.outlet.waiting()).sum(),
        };
        let devices = &self.plan.devices;
        // Most buses have few devices: looking through them is quicker than putting them in order.
        let ordered = devices.iter().filter(|_| devices.len() > FEW);
        let ordered: BTreeMap<_, _> = ordered.map(|device| (&device.id, device)).collect();
        let device = |id: &DeviceId| match devices.len() {
            ..=FEW => devices.iter().find(|device| device.id == *id),
            _ => ordered.get(id).copied(),
        };
        let of = |bus: &Described| {
            self.counters
                .read(now, waiting, bus, |id| device(id).is_some_and(|device| *device.bus == *bus.name))
        };
        self.described.iter().map(of).collect()
    }
}

/// A worker and the way to it.
#[derive(Debug)]
struct Lane {
    name: String,
    inbox: mpsc::Sender<Received>,
    plan: watch::Sender<Arc<BusPlan>>,
    outlet: Outlet,
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl Lane {
    fn start<F>(
        plan: BusPlan,
        counters: &Arc<BusCounters>,
        way: &Outlet,
        runtime: &Handle,
        shared: bool,
        serve: impl FnOnce(Ends) -> F,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let name = plan.bus.name.clone();
        let (inbox, calls) = mpsc::channel(INBOX);
        let (plan, plans) = watch::channel(Arc::new(plan));
        let (outlet, stop) = (way.anew(), CancellationToken::new());
        let ends = Ends {
            inbox: calls,
            plan: plans,
            outlet: outlet.clone(),
            counters: Arc::clone(counters),
            stop: stop.clone(),
            shared,
        };
        let task = runtime.spawn(serve(ends));
        Self { name, inbox, plan, outlet, stop: stop.drop_guard(), task }
    }

    fn call(&self, call: AdapterCall, received: Instant) {
        let id = call.id;
        self.outlet.opened(id);
        match self.inbox.try_send((received, call)) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => self.outlet.refuse(id, DeviceFault::QueueFull),
            Err(mpsc::error::TrySendError::Closed(_)) => self.outlet.refuse(id, DeviceFault::Stopping),
        }
    }

    fn stop(self) -> End {
        drop(self.stop);
        let (bus, task) = (self.name, self.task);
        Box::pin(async move {
            if let Err(error) = task.await {
                tracing::error!(%bus, %error, "the task of a bus ended badly");
            }
        })
    }
}

/// The link of a kind of bus that takes many exchanges at once; `None`: it takes one.
fn shared_link(
    plan: &BusPlan,
    _counters: &Arc<BusCounters>,
    _way: &Outlet,
    (_runtime, _keeper): (&Handle, &Arc<dyn Keeper>),
) -> Option<Box<dyn SharedLink>> {
    match &plan.bus.kind {
        #[cfg(feature = "coap")]
        BusKind::Coap(_) => Some(Box::new(crate::coap::CoapBus)),
        #[cfg(feature = "mqtt-devices")]
        BusKind::Mqtt(server) => {
            let link = crate::mqtt::MqttLink::start(server.clone(), &plan.bus, (_counters, _way), _runtime);
            Some(Box::new(link))
        }
        #[cfg(feature = "line")]
        BusKind::Line(line) => {
            Some(Box::new(crate::line::LineLink::start(line.clone(), &plan.bus, _counters, _runtime)))
        }
        #[cfg(feature = "zigbee")]
        BusKind::Zigbee(zigbee) => {
            let ends = ((_counters, _way), (_runtime, _keeper));
            Some(Box::new(crate::zigbee::ZigbeeLink::start(zigbee.clone(), &plan.bus, ends.0, ends.1)))
        }
        #[cfg(feature = "ble")]
        BusKind::Ble(radio) => {
            Some(Box::new(crate::ble::BleLink::start(radio.clone(), &plan.bus, _counters, _runtime)))
        }
        _ => None,
    }
}

/// Serves a bus that takes one exchange at a time.
async fn serve(kind: BusKind, ends: Ends) {
    match kind {
        #[cfg(feature = "modbus")]
        BusKind::ModbusTcp { address } => crate::modbus::run_tcp(ends, address).await,
        #[cfg(feature = "modbus")]
        BusKind::ModbusRtuTcp { address } => crate::modbus::run_rtu_tcp(ends, address).await,
        #[cfg(feature = "modbus")]
        BusKind::ModbusRtu(line) => crate::modbus::run_rtu(ends, line).await,
        #[cfg(not(feature = "modbus"))]
        BusKind::ModbusTcp { .. } | BusKind::ModbusRtuTcp { .. } | BusKind::ModbusRtu(_) => {
            refuse(ends, "this build has no Modbus").await;
        }
        BusKind::Mqtt(_) => refuse(ends, "this build has no MQTT devices").await,
        BusKind::Coap(_) => refuse(ends, "this build has no CoAP").await,
        BusKind::Line(_) => refuse(ends, "this build has no serial lines").await,
        BusKind::Ble(_) => refuse(ends, "this build has no Bluetooth").await,
        BusKind::Zigbee(_) => refuse(ends, "this build has no Zigbee").await,
    }
}

/// Serves a bus whose protocol is not part of this build.
async fn refuse(mut ends: Ends, cause: &'static str) {
    crate::bus::supervise::refuse_until(&mut ends, cause, None).await;
    crate::bus::supervise::farewell(&mut ends);
}
