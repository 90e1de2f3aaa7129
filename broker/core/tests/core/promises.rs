//! What was told or written holds: completions, Controllers that only happened to connect, numbers over an orderly end.

use std::time::Duration;

use usp_core::input::Input;

use crate::bench::World;
use crate::bench::device::Behaviour;
use crate::bench::disk::Mood;

const TOGGLE: &str = "Device.ProxiedDevice.1.IoTCapability.2.BinaryControl.Toggle()";
const CONTROLLERS: &str = "Device.LocalAgent.Controller.";

#[test]
fn a_completion_is_told_when_it_is_on_disk() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.site("a: box");
    w.devices.values.insert(("a".to_owned(), 1), usp_mapping::value::Value::Bool(true));
    w.device("a", Behaviour::Slow(Duration::from_secs(1)));
    w.subscribe(c, "done", "OperationComplete", "Device.ProxiedDevice.");
    w.operate(c, TOGGLE, "k", &[]);
    w.disk.mood = Mood::Slow;
    w.wait(5);
    assert!(w.notes(c).is_empty(), "its Request row is still on disk");
    let (batch, ops) = w.disk.open.remove(0);
    w.disk.apply(ops);
    w.input(Input::Stored { batch, result: Ok(()) });
    assert_eq!(w.notes(c).len(), 1);
    assert!(w.disk.rows("Device.LocalAgent.Request.").is_empty());
}

#[test]
fn a_passing_controller_that_is_restricted_stays_so() {
    let mut w = World::new();
    let admin = w.controller("self::admin");
    let guest = w.controller("self::guest");
    let row = format!("{CONTROLLERS}[EndpointID==\"self::guest\"].");
    let untrusted = "AssignedRole=Device.LocalAgent.ControllerTrust.Role.2";
    assert!(!w.set(admin, &row, &[untrusted]).starts_with("Error"));
    w.disconnect(guest);
    let guest = w.controller("self::guest");
    assert!(w.get(guest, "Device.DeviceInfo.ModelName").ends_with(": 7026"), "coming back changes nothing");
    let mut w = w.restart();
    w.site("");
    let guest = w.controller("self::guest");
    assert!(w.get(guest, "Device.DeviceInfo.ModelName").ends_with(": 7026"), "nor does a restart");
}

#[test]
fn a_passing_controller_can_be_entered_for_good() {
    let mut w = World::new();
    let admin = w.controller("self::admin");
    w.controller("self::guest");
    let before = w.get(admin, &format!("{CONTROLLERS}*.EndpointID"));
    let made = w.add(admin, CONTROLLERS, &["EndpointID=self::guest", "Enable=true"]);
    assert!(made.starts_with(CONTROLLERS), "{made}");
    assert_eq!(w.get(admin, &format!("{CONTROLLERS}*.EndpointID")), before, "it is the same row");
    let mut w = w.restart();
    w.site("");
    let admin = w.controller("self::admin");
    assert!(w.get(admin, &format!("{CONTROLLERS}*.EndpointID")).contains("self::guest"));
}

#[test]
fn an_orderly_end_gives_unused_numbers_back() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let table = "Device.LocalAgent.Subscription.";
    assert_eq!(w.subscribe(c, "a", "Event", "Device.Boot!"), format!("{table}1."));
    w.input(Input::Shutdown);
    let mut w = w.restart();
    w.site("");
    let c = w.controller("self::c");
    assert_eq!(w.subscribe(c, "a", "Event", "Device.Boot!"), format!("{table}2."));
}
