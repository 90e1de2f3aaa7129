//! What holds whatever protocols are built in.

use std::sync::Arc;

use tokio::sync::mpsc;
use usp_mapping::mapping::Site;
use usp_mapping::port::{AdapterReply, CallId, DeviceFault};

use crate::bus::fake;
use crate::{Adapters, FromAdapter};

#[tokio::test]
async fn an_unknown_device_is_answered_at_once() {
    let (to_core, mut core) = mpsc::channel(4);
    let adapters = Adapters::start(Arc::default(), to_core);
    adapters.call(fake::call(1, "nobody", fake::read(&[0])));
    let reply = AdapterReply { id: CallId(1), outcome: Err(DeviceFault::Unknown) };
    assert_eq!(core.recv().await, Some(FromAdapter::Reply(reply)));
    adapters.stop().await;
}

#[tokio::test]
async fn a_device_on_no_bus_is_unknown() {
    let (to_core, mut core) = mpsc::channel(4);
    let device = fake::device("a", 1, fake::mapping(&[fake::on_demand()]));
    let adapters = Adapters::start(Arc::new(Site { buses: Vec::new(), devices: vec![device] }), to_core);
    adapters.call(fake::call(1, "a", fake::read(&[0])));
    let reply = AdapterReply { id: CallId(1), outcome: Err(DeviceFault::Unknown) };
    assert_eq!(core.recv().await, Some(FromAdapter::Reply(reply)));
}

#[cfg(not(feature = "modbus"))]
#[tokio::test]
async fn without_modbus_its_devices_are_offline_with_the_reason() {
    use usp_mapping::port::{AdapterReport, DeviceId};

    let (to_core, mut core) = mpsc::channel(4);
    let device = fake::device("a", 1, fake::mapping(&[fake::on_demand()]));
    let buses = vec![fake::bus(([127, 0, 0, 1], 502).into())];
    let adapters = Adapters::start(Arc::new(Site { buses, devices: vec![device] }), to_core);
    let fault = DeviceFault::Unreachable("this build has no Modbus".to_owned());
    let report = AdapterReport::Online { device: DeviceId("a".into()), online: Err(fault.clone()) };
    assert_eq!(core.recv().await, Some(FromAdapter::Report(report)));
    adapters.call(fake::call(1, "a", fake::read(&[0])));
    let reply = AdapterReply { id: CallId(1), outcome: Err(fault) };
    assert_eq!(core.recv().await, Some(FromAdapter::Reply(reply)));
    adapters.stop().await;
}
