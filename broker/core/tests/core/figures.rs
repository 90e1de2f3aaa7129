//! Statistics of buses and devices in the data model.

use usp_core::input::Input;
use usp_core::proxied::figures::{BusFigures, DeviceFigures, Traffic};
use usp_mapping::port::DeviceId;

use crate::bench::World;

const BUS: &str = "Device.X_USPBROKER_Bus.1.";
const STATS: &str = "Device.ProxiedDevice.1.X_USPBROKER_Stats.";

fn figures(online: bool, requests: u64) -> Input {
    let traffic = Traffic { requests, timeouts: 2, ..Traffic::default() };
    let device = DeviceFigures {
        device: DeviceId("a".into()),
        traffic,
        waiting: 1,
        cycle: Some(std::time::Duration::from_millis(35)),
        longest_cycle: None,
        link_quality: None,
        signal_strength: None,
    };
    let bus = BusFigures {
        name: "plant".into(),
        online,
        utilisation: 40,
        connects: 1,
        traffic,
        devices: vec![device],
        ..BusFigures::default()
    };
    Input::Figures(vec![bus])
}

#[test]
fn buses_are_rows_with_counters() {
    let mut w = World::new();
    w.site("a: box");
    let c = w.controller("self::c");
    let count = "Device.X_USPBROKER_BusNumberOfEntries";
    assert_eq!(w.get(c, count), format!("{count}=1"));
    let row = w.get(c, BUS);
    for line in ["Name=plant", "Protocol=modbus-tcp", "Address=127.0.0.1:502", "Online=false", "Requests=0"] {
        assert!(row.lines().any(|l| l == format!("{BUS}{line}")), "{line}: {row}");
    }
    for network in ["Firmware", "Channel", "PANID", "ExtendedPANID", "JoinedDevices", "OpenToJoin"] {
        assert!(!row.contains(&format!("{BUS}{network}=")), "{network}: {row}");
        assert_eq!(w.get(c, &format!("{BUS}{network}")), format!("{BUS}{network}: 7026"));
    }
    w.input(figures(true, 7));
    for (path, value) in [("Requests", "7"), ("Timeouts", "2"), ("Utilisation", "40"), ("Online", "true")] {
        assert_eq!(w.get(c, &format!("{BUS}{path}")), format!("{BUS}{path}={value}"));
    }
    for (path, value) in [("Requests", "7"), ("Waiting", "1"), ("CycleTime", "35"), ("LongestCycleTime", "0")]
    {
        assert_eq!(w.get(c, &format!("{STATS}{path}")), format!("{STATS}{path}={value}"));
    }
    let bus = w.get(c, "Device.X_USPBROKER_Bus.[Name==\"plant\"].Online");
    assert_eq!(bus, format!("{BUS}Online=true"));
}

#[test]
fn that_a_bus_goes_is_told_and_counters_are_quiet() {
    let mut w = World::new();
    w.site("a: box");
    let c = w.controller("self::c");
    w.subscribe(c, "all", "ValueChange", "Device.X_USPBROKER_Bus.");
    w.input(figures(true, 1));
    w.input(figures(true, 2));
    assert!(w.notes(c).is_empty());
    let down = |why: &str| {
        let Input::Figures(mut all) = figures(false, 3) else { panic!() };
        all[0].last_error = why.into();
        Input::Figures(all)
    };
    w.input(down("connection refused"));
    let why = format!("all: ValueChange {BUS}LastError=connection refused");
    assert_eq!(w.notes(c), [format!("all: ValueChange {BUS}Online=false"), why]);
    w.input(down("no route to the host"));
    assert_eq!(w.notes(c), [format!("all: ValueChange {BUS}LastError=no route to the host")]);
    w.input(figures(true, 4));
    let gone = format!("all: ValueChange {BUS}LastError=");
    assert_eq!(w.notes(c), [format!("all: ValueChange {BUS}Online=true"), gone]);
}

#[test]
fn a_bus_keeps_its_number() {
    let mut w = World::new();
    w.site("a: box");
    let c = w.controller("self::c");
    w.subscribe(c, "d", "ObjectDeletion", "Device.X_USPBROKER_Bus.");
    w.site("");
    assert_eq!(w.notes(c), [format!("d: ObjectDeletion {BUS}")]);
    w.input(figures(true, 1));
    let mut w = w.restart();
    let mut site = crate::bench::site::site("a: box").as_ref().clone();
    let mut first = site.buses[0].clone();
    first.name = "attic".to_owned();
    site.buses.insert(0, first);
    w.load(site.into());
    let c = w.controller("self::c");
    let names = w.get(c, "Device.X_USPBROKER_Bus.*.Name");
    assert_eq!(names, format!("{BUS}Name=plant\nDevice.X_USPBROKER_Bus.2.Name=attic"));
}

/// Only where a device is heard over the air; how well is quiet, like all that changes all the time.
#[test]
fn how_well_a_device_is_heard_is_told_where_it_is_heard() {
    let mut w = World::new();
    w.site("a: box");
    let c = w.controller("self::c");
    let quality = "Device.ProxiedDevice.1.X_USPBROKER_LinkQuality";
    assert_eq!(w.get(c, quality), format!("{quality}: 7026"));
    w.subscribe(c, "v", "ValueChange", "Device.ProxiedDevice.1.");
    let Input::Figures(mut all) = figures(true, 1) else { panic!() };
    all[0].devices[0].link_quality = Some(173);
    all[0].devices[0].signal_strength = Some(-61);
    w.input(Input::Figures(all));
    assert_eq!(w.get(c, quality), format!("{quality}=173"));
    let strength = "Device.ProxiedDevice.1.X_USPBROKER_SignalStrength";
    assert_eq!(w.get(c, strength), format!("{strength}=-61"));
    assert!(w.notes(c).is_empty());
}

#[test]
fn nothing_joins_a_bus_that_is_no_network() {
    let mut w = World::new();
    w.site("a: box");
    let c = w.controller("self::c");
    let join = format!("{BUS}PermitJoin()");
    assert_eq!(w.operate(c, &join, "", &[]), format!("{join} -> 7022"));
    assert_eq!(w.operate(c, &join, "", &["Duration=255"]), format!("{join} -> 7027"));
    let remove = format!("{BUS}RemoveDevice()");
    assert_eq!(w.operate(c, &remove, "", &["IEEEAddress=0x00158d0001a2b3c4"]), format!("{remove} -> 7022"));
    assert_eq!(w.operate(c, &remove, "", &["IEEEAddress=1234"]), format!("{remove} -> 7027"));
    assert_eq!(w.operate(c, &remove, "", &[]), format!("{remove} -> 7027"));
    assert!(w.bus_calls.is_empty());
    let count = "Device.LocalAgent.RequestNumberOfEntries";
    assert_eq!(w.get(c, count), format!("{count}=0"));
}
