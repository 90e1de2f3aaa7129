//! Commands of buses that are radio networks, and who joins them.

use std::sync::Arc;
use std::time::Duration;

use usp_core::input::{ConnId, Input};
use usp_core::proxied::figures::{BusFigures, NetworkFacts};
use usp_mapping::mapping::{Bus, BusAddress, BusKind, Site, ZigbeeBus, ZigbeeNcp, ZigbeePort};
use usp_mapping::port::{BusAction, BusCallId, BusReport, JoinStage, Newcomer, RadioAddress};

use crate::bench::World;

const BUS: &str = "Device.X_USPBROKER_Bus.1.";
const JOIN: &str = "Device.X_USPBROKER_Bus.1.PermitJoin()";
const REMOVE: &str = "Device.X_USPBROKER_Bus.1.RemoveDevice()";
const PLUG: RadioAddress = RadioAddress(0x0015_8d00_01a2_b3c4);

fn world() -> (World, ConnId) {
    let mut w = World::new();
    let zigbee = ZigbeeBus {
        port: ZigbeePort::Tcp(BusAddress::Host("stick".to_owned(), 6638)),
        ncp: Some(ZigbeeNcp::Ezsp),
        channel: None,
        pan_id: None,
        network_key: None,
        adopt: false,
    };
    let bus = Bus { name: "mesh".to_owned(), kind: BusKind::Zigbee(zigbee) };
    w.load(Arc::new(Site { buses: vec![bus], devices: Vec::new() }));
    let c = w.controller("self::c");
    (w, c)
}

fn plug(stage: JoinStage, detail: &str) -> Newcomer {
    let (manufacturer, model) = ("ACME".to_owned(), "P1".to_owned());
    Newcomer { address: PLUG, stage, manufacturer, model, detail: detail.to_owned() }
}

fn newcomer(w: &mut World, newcomer: Newcomer) {
    w.input(Input::Bus(BusReport::Newcomer { bus: "mesh".into(), newcomer }));
}

fn done(w: &mut World, id: BusCallId, outcome: Result<Vec<Newcomer>, String>) {
    w.input(Input::Bus(BusReport::Done { id, outcome }));
}

#[test]
fn joining_tells_who_comes_and_ends_with_who_came() {
    let (mut w, c) = world();
    w.subscribe(c, "o", "OperationComplete", BUS);
    w.subscribe(c, "e", "Event", "Device.X_USPBROKER_Bus.*.DeviceJoining!");
    assert_eq!(w.operate(c, JOIN, "k", &["Duration=60"]), format!("{JOIN} -> Device.LocalAgent.Request.1."));
    let call = w.bus_calls.pop().unwrap();
    assert_eq!((&*call.bus, &call.action), ("mesh", &BusAction::PermitJoin(Duration::from_secs(60))));
    let status = "Device.LocalAgent.Request.1.Status";
    assert_eq!(w.get(c, status), format!("{status}=Active"));
    newcomer(&mut w, plug(JoinStage::Interviewing, "asked for its endpoints"));
    let told = "e: Event Device.X_USPBROKER_Bus.1.DeviceJoining!";
    let what = "IEEEAddress=0x00158d0001a2b3c4 Manufacturer=ACME Model=P1 Stage=Interviewing";
    let notes = w.notes(c);
    assert_eq!(notes.len(), 1);
    assert!(notes[0].starts_with(told) && notes[0].contains("Detail=asked for its endpoints"), "{notes:?}");
    assert!(notes[0].contains(what), "{notes:?}");
    done(&mut w, call.id, Ok(vec![plug(JoinStage::Ready, "")]));
    let notes = w.notes(c);
    assert!(notes[0].starts_with(&format!("o: OperationComplete {JOIN} 'k' ok")), "{notes:?}");
    done(&mut w, call.id, Err("again".to_owned()));
    assert!(w.notes(c).is_empty(), "once");
}

#[test]
fn joining_can_be_canceled_and_fails_with_a_reason() {
    let (mut w, c) = world();
    w.subscribe(c, "o", "OperationComplete", BUS);
    w.operate(c, JOIN, "k", &[]);
    let call = w.bus_calls.pop().unwrap();
    assert_eq!(call.action, BusAction::PermitJoin(Duration::from_secs(180)));
    w.operate(c, "Device.LocalAgent.Request.1.Cancel()", "", &[]);
    assert_eq!(w.bus_calls.pop().unwrap().action, BusAction::Cancel(call.id));
    assert!(w.notes(c).is_empty(), "it ends when the network is closed");
    done(&mut w, call.id, Ok(Vec::new()));
    assert_eq!(w.notes(c), [format!("o: OperationComplete {JOIN} 'k' 7023")]);
    w.operate(c, JOIN, "l", &[]);
    let call = w.bus_calls.pop().unwrap();
    done(&mut w, call.id, Err("there is no coordinator: unplugged".to_owned()));
    assert_eq!(w.notes(c), [format!("o: OperationComplete {JOIN} 'l' 7022")]);
}

#[test]
fn a_device_is_removed_by_its_address() {
    let (mut w, c) = world();
    w.operate(c, REMOVE, "", &["IEEEAddress=0x00158D0001A2B3C4"]);
    assert_eq!(w.bus_calls.pop().unwrap().action, BusAction::Remove(PLUG));
    for wrong in ["Duration=0", "Duration=255", "Duration=x"] {
        assert_eq!(w.operate(c, JOIN, "", &[wrong]), format!("{JOIN} -> 7027"), "{wrong}");
    }
}

#[test]
fn the_network_is_told_and_changes_of_it_are() {
    let (mut w, c) = world();
    w.subscribe(c, "v", "ValueChange", BUS);
    let of = |devices, is_open| {
        let network = NetworkFacts {
            firmware: "EmberZNet 7.4.3.0".to_owned(),
            channel: 15,
            pan_id: "0x1a62".to_owned(),
            ext_pan_id: "0x00124b0012345678".to_owned(),
            devices,
            is_open,
        };
        let bus = BusFigures { name: "mesh".into(), network: Some(network), ..BusFigures::default() };
        Input::Figures(vec![bus])
    };
    let shown = w.get(c, BUS);
    assert!(!shown.contains("Channel=") && shown.contains("OpenToJoin=false"), "no coordinator yet: {shown}");
    w.input(of(0, false));
    for (name, value) in [("Channel", "15"), ("PANID", "0x1a62"), ("Firmware", "EmberZNet 7.4.3.0")] {
        assert_eq!(w.get(c, &format!("{BUS}{name}")), format!("{BUS}{name}={value}"));
    }
    assert!(w.notes(c).is_empty(), "what is heard first is no change");
    w.input(of(1, true));
    let (devices, open) =
        (format!("v: ValueChange {BUS}JoinedDevices=1"), format!("v: ValueChange {BUS}OpenToJoin=true"));
    assert_eq!(w.notes(c), [devices, open]);
    // Its coordinator is gone: it is the same network, and nobody joins.
    w.input(Input::Figures(vec![BusFigures { name: "mesh".into(), ..BusFigures::default() }]));
    assert_eq!(w.notes(c), [format!("v: ValueChange {BUS}OpenToJoin=false")]);
    for (name, value) in [("Channel", "15"), ("PANID", "0x1a62"), ("JoinedDevices", "1")] {
        assert_eq!(w.get(c, &format!("{BUS}{name}")), format!("{BUS}{name}={value}"));
    }
}
