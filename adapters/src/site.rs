//! The buses of a site, and the handle by which one is reached.

use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use usp_mapping::mapping::{Bus, BusKind, Site};
use usp_mapping::port::{AdapterCall, DeviceFault, DeviceId};

use crate::bus::outlet::Outlet;
use crate::bus::statistics::{BusCounters, BusStatistics};
use crate::bus::{BusPlan, Ends, INBOX, Received};

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
    bus: Bus,
    inbox: mpsc::Sender<Received>,
    plan: watch::Sender<Arc<BusPlan>>,
    outlet: Outlet,
    counters: Arc<BusCounters>,
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl BusHandle {
    /// Starts to serve a bus.
    pub(crate) fn start(plan: BusPlan, outlet: Outlet, runtime: &Handle) -> Self {
        let bus = plan.bus.clone();
        let (inbox, calls) = mpsc::channel(INBOX);
        let (plan, plans) = watch::channel(Arc::new(plan));
        let (counters, stop) = (Arc::<BusCounters>::default(), CancellationToken::new());
        let ends = Ends {
            inbox: calls,
            plan: plans,
            outlet: outlet.clone(),
            counters: Arc::clone(&counters),
            stop: stop.clone(),
        };
        let task = serve(bus.kind.clone(), ends, runtime);
        Self { bus, inbox, plan, outlet, counters, stop: stop.drop_guard(), task }
    }

    /// Whether it is the same medium.
    pub(crate) fn serves(&self, bus: &Bus) -> bool {
        self.bus.kind == bus.kind
    }

    /// Gives it other devices.
    pub(crate) fn configure(&self, plan: BusPlan) {
        self.plan.send_replace(Arc::new(plan));
    }

    /// The devices on it.
    pub(crate) fn devices(&self) -> Vec<DeviceId> {
        self.plan.borrow().devices.iter().map(|device| device.id.clone()).collect()
    }

    /// Hands a call over, or refuses it.
    pub(crate) fn call(&self, call: AdapterCall, received: Instant) {
        let id = call.id;
        self.outlet.opened(id);
        match self.inbox.try_send((received, call)) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => self.outlet.refuse(id, DeviceFault::QueueFull),
            Err(mpsc::error::TrySendError::Closed(_)) => self.outlet.refuse(id, DeviceFault::Stopping),
        }
    }

    /// Tells it to stop at once; the future waits for its end.
    pub(crate) fn stop(self) -> impl Future<Output = ()> {
        drop(self.stop);
        let (bus, task) = (self.bus.name, self.task);
        async move {
            if let Err(error) = task.await {
                tracing::error!(%bus, %error, "the task of a bus ended badly");
            }
        }
    }

    /// Its counters, once for each bus of the site that it is.
    pub(crate) fn statistics(&self, now: Instant) -> Vec<BusStatistics> {
        let plan = Arc::clone(&self.plan.borrow());
        let (protocol, address) = self.bus.kind.described();
        let of = |name: &String| {
            let mine =
                |id: &DeviceId| plan.devices.iter().any(|device| device.id == *id && device.bus == *name);
            let counted = self.counters.read(now, self.outlet.waiting(), mine);
            BusStatistics { bus: name.clone(), protocol, address: address.clone(), ..counted }
        };
        plan.names.iter().map(of).collect()
    }
}

/// The task for a kind of bus.
fn serve(kind: BusKind, ends: Ends, runtime: &Handle) -> JoinHandle<()> {
    match kind {
        #[cfg(feature = "modbus")]
        BusKind::ModbusTcp { address } => runtime.spawn(crate::modbus::run_tcp(ends, address)),
        #[cfg(feature = "modbus")]
        BusKind::ModbusRtuTcp { address } => runtime.spawn(crate::modbus::run_rtu_tcp(ends, address)),
        #[cfg(feature = "modbus")]
        BusKind::ModbusRtu(line) => runtime.spawn(crate::modbus::run_rtu(ends, line)),
        #[cfg(not(feature = "modbus"))]
        BusKind::ModbusTcp { .. } | BusKind::ModbusRtuTcp { .. } | BusKind::ModbusRtu(_) => {
            runtime.spawn(refuse(ends, "this build has no Modbus"))
        }
        BusKind::Mqtt(_) => runtime.spawn(refuse(ends, "this build has no MQTT devices")),
        BusKind::Coap(_) => runtime.spawn(refuse(ends, "this build has no CoAP")),
    }
}

/// Serves a bus whose protocol is not part of this build.
async fn refuse(mut ends: Ends, cause: &'static str) {
    crate::bus::supervise::refuse_until(&mut ends, cause, None).await;
    crate::bus::supervise::farewell(&mut ends);
}
