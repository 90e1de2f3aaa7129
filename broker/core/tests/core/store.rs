//! What is promised is on disk before it is said, and what could not be kept is taken back.

use usp_core::input::{ConnId, Input};

use crate::bench::World;
use crate::bench::disk::Mood;
use crate::bench::peer::{add, get, operate, set};
use crate::bench::text;

const INFO: &str = "Device.DeviceInfo.";
const NAME: &str = "Device.DeviceInfo.FriendlyName";

fn world() -> (World, ConnId) {
    let mut w = World::new();
    let c = w.controller("self::c");
    (w, c)
}

/// The slow disk says this of its batch.
fn stored(w: &mut World, result: Result<(), String>) {
    let (batch, ops) = w.disk.open.remove(0);
    if result.is_ok() {
        w.disk.apply(ops);
    }
    w.input(Input::Stored { batch, result });
}

#[test]
fn an_answer_waits_for_the_disk() {
    let (mut w, c) = world();
    w.disk.mood = Mood::Slow;
    let id = w.begin(c, set(false, &[(INFO, &["FriendlyName=x"])]));
    assert!(w.answer(c, &id).is_none());
    assert_eq!(
        w.get(c, "Device.DeviceInfo.ModelName"),
        "Device.DeviceInfo.ModelName=Hub",
        "reading does not wait"
    );
    stored(&mut w, Ok(()));
    assert_eq!(text::answer(&w.answer(c, &id).unwrap()), "Device.DeviceInfo. FriendlyName=x");
    assert_eq!(w.disk.stored("Device.DeviceInfo.", "FriendlyName"), Some("x".to_owned()));
}

#[test]
fn changes_made_meanwhile_go_together() {
    let (mut w, c) = world();
    w.disk.mood = Mood::Slow;
    let ids: Vec<String> =
        (0..10).map(|n| w.begin(c, set(false, &[(INFO, &[&format!("FriendlyName=n{n}")])]))).collect();
    let before = w.disk.batches;
    stored(&mut w, Ok(()));
    assert!(w.answer(c, &ids[0]).is_some() && w.answer(c, &ids[1]).is_none());
    stored(&mut w, Ok(()));
    assert!(ids.iter().skip(1).all(|id| w.answer(c, id).is_some()));
    assert_eq!(w.disk.batches - before, 2);
    assert_eq!(w.get(c, NAME), format!("{NAME}=n9"));
}

#[test]
fn a_change_is_answered_and_told_as_it_was_kept() {
    let (mut w, c) = world();
    w.subscribe(c, "v", "ValueChange", NAME);
    w.disk.mood = Mood::Slow;
    let ids =
        ["one", "two"].map(|name| w.begin(c, set(false, &[(INFO, &[&format!("FriendlyName={name}")])])));
    stored(&mut w, Ok(()));
    let answer = text::answer(&w.answer(c, &ids[0]).unwrap());
    assert_eq!(answer, "Device.DeviceInfo. FriendlyName=one");
    assert_eq!(w.notes(c), [format!("v: ValueChange {NAME}=one")], "the second is not on disk yet");
    stored(&mut w, Err("torn cable".to_owned()));
    assert!(w.notes(c).is_empty(), "and never was");
    assert_eq!(w.get(c, NAME), format!("{NAME}=one"));
}

#[test]
fn a_full_disk_keeps_the_old_state() {
    let (mut w, c) = world();
    w.set(c, INFO, &["FriendlyName=old"]);
    w.subscribe(c, "v", "ValueChange", INFO);
    let role = "Device.LocalAgent.ControllerTrust.Role.";
    w.add(c, role, &["Name=kept"]);
    w.disk.mood = Mood::Full("no space left".to_owned());
    let answer = text::loud(&w.ask(c, set(false, &[(INFO, &["FriendlyName=new"])])));
    assert!(answer.starts_with("Error 7005 the change could not be stored: no space left"), "{answer}");
    assert_eq!(w.get(c, NAME), format!("{NAME}=old"));
    assert!(w.add(c, role, &["Name=x"]).starts_with("Error 7005"));
    assert!(w.delete(c, &["Device.LocalAgent.ControllerTrust.Role.3."]).starts_with("Error 7005"));
    assert_eq!(w.operate(c, "Device.Reboot()", "", &[]), "Device.Reboot() -> 7005");
    assert!(w.notes(c).is_empty() && w.restarts.is_empty());
    w.disk.mood = Mood::Good;
    assert_eq!(w.set(c, INFO, &["FriendlyName=new"]), "Device.DeviceInfo. FriendlyName=new");
    assert!(w.add(c, role, &["Name=x"]).starts_with(role));
    let mut w = w.restart();
    w.site("");
    let c = w.controller("self::c");
    assert_eq!(w.get(c, NAME), format!("{NAME}=new"));
    assert!(w.get(c, "Device.LocalAgent.ControllerTrust.Role.*.Name").ends_with("=x"));
}

#[test]
fn what_was_built_on_a_lost_change_is_lost_with_it_in_the_right_order() {
    let (mut w, c) = world();
    w.set(c, INFO, &["FriendlyName=old", "ProvisioningCode=p"]);
    w.disk.mood = Mood::Slow;
    let first = w.begin(c, set(false, &[(INFO, &["FriendlyName=one"])]));
    let second = w.begin(c, set(false, &[(INFO, &["FriendlyName=two", "ProvisioningCode=q"])]));
    let third = w.begin(c, add(false, &[("Device.LocalAgent.ControllerTrust.Role.", &["Name=r"])]));
    stored(&mut w, Err("torn cable".to_owned()));
    for id in [first, second, third] {
        let answer = text::answer(&w.answer(c, &id).unwrap());
        assert!(answer.starts_with("Error 7005"), "{answer}");
    }
    assert_eq!(w.get(c, NAME), format!("{NAME}=old"));
    assert_eq!(w.get(c, "Device.DeviceInfo.ProvisioningCode"), "Device.DeviceInfo.ProvisioningCode=p");
    assert_eq!(
        w.get(c, "Device.LocalAgent.ControllerTrust.RoleNumberOfEntries"),
        "Device.LocalAgent.ControllerTrust.RoleNumberOfEntries=2"
    );
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn a_full_disk_takes_no_device_and_no_peer_away() {
    let (mut w, c) = world();
    w.disk.mood = Mood::Full("no space".to_owned());
    w.site("a: plain, b: box");
    let d = w.controller("self::d");
    assert_eq!(
        w.get(c, "Device.ProxiedDevice.*.Name"),
        "Device.ProxiedDevice.1.Name=The a\nDevice.ProxiedDevice.2.Name=The b"
    );
    w.lamp("self::lamp", "Device.X_Lamp.");
    assert!(w.get(d, "Device.USPServices.USPService.*.EndpointID").ends_with("=self::lamp"));
    w.disk.mood = Mood::Good;
    w.wait(120);
    w.set(c, INFO, &["FriendlyName=x"]);
    let mut w = w.restart();
    w.site("b: box, a: plain");
    let c = w.controller("self::c");
    assert_eq!(
        w.get(c, "Device.ProxiedDevice.*.Name"),
        "Device.ProxiedDevice.1.Name=The a\nDevice.ProxiedDevice.2.Name=The b"
    );
}

#[test]
fn a_controller_that_connects_while_a_batch_is_lost_stays() {
    let (mut w, c) = world();
    w.disk.mood = Mood::Slow;
    let id = w.begin(c, set(false, &[(INFO, &["FriendlyName=one"])]));
    let d = w.controller("self::d");
    stored(&mut w, Err("torn cable".to_owned()));
    w.disk.mood = Mood::Good;
    assert!(w.answer(c, &id).is_some());
    assert!(w.get(c, "Device.LocalAgent.Controller.*.EndpointID").ends_with("=self::d"));
    w.subscribe(d, "v", "ValueChange", INFO);
    w.set(c, INFO, &["FriendlyName=x"]);
    assert_eq!(w.notes(d).len(), 1);
}

#[test]
fn a_completed_command_is_gone_even_if_the_disk_is_full() {
    let (mut w, c) = world();
    w.site("a: box");
    w.devices.values.insert(("a".to_owned(), 1), usp_mapping::value::Value::Bool(true));
    w.device("a", crate::bench::device::Behaviour::Slow(std::time::Duration::from_secs(1)));
    w.operate(c, "Device.ProxiedDevice.1.IoTCapability.2.BinaryControl.Toggle()", "k", &[]);
    w.disk.mood = Mood::Full("no space".to_owned());
    w.wait(5);
    assert_eq!(w.get(c, "Device.LocalAgent.Request."), "");
    w.disk.mood = Mood::Good;
    w.wait(120);
    assert!(w.disk.rows("Device.LocalAgent.Request.").is_empty());
}

#[test]
fn numbers_are_never_given_twice() {
    let (mut w, c) = world();
    let table = "Device.LocalAgent.Subscription.";
    let persistent =
        |w: &mut World, c, id: &str| w.subscribe_with(c, id, "Event", "Device.Boot!", &["Persistent=true"]);
    assert_eq!(persistent(&mut w, c, "a"), format!("{table}1."));
    assert_eq!(persistent(&mut w, c, "b"), format!("{table}2."));
    w.delete(c, &["Device.LocalAgent.Subscription.2."]);
    let mut w = w.restart();
    w.site("");
    let c = w.controller("self::c");
    assert_eq!(persistent(&mut w, c, "c"), format!("{table}3."));
    let volatile = w.subscribe(c, "d", "Event", "Device.Boot!");
    assert_eq!(volatile, format!("{table}4."));
    let mut w = w.restart();
    w.site("");
    let c = w.controller("self::c");
    let next = persistent(&mut w, c, "e");
    assert!(!["1.", "2.", "3.", "4."].iter().any(|n| next == format!("{table}{n}")), "{next}");
    let nested = "Device.LocalAgent.Controller.1.BootParameter.";
    assert_eq!(
        w.add(c, nested, &["ParameterName=Device.A"]).split(' ').next(),
        Some("Device.LocalAgent.Controller.1.BootParameter.1.")
    );
    w.delete(c, &["Device.LocalAgent.Controller.1.BootParameter.1."]);
    let mut w = w.restart();
    w.site("");
    let c = w.controller("self::c");
    assert_eq!(
        w.add(c, nested, &["ParameterName=Device.A"]).split(' ').next(),
        Some("Device.LocalAgent.Controller.1.BootParameter.2.")
    );
}

#[test]
fn what_is_not_answered_may_be_lost_and_nothing_else() {
    let (mut w, c) = world();
    w.set(c, INFO, &["FriendlyName=answered"]);
    w.disk.mood = Mood::Slow;
    w.begin(c, set(false, &[(INFO, &["FriendlyName=unanswered"])]));
    let mut w = w.restart();
    w.site("");
    let c = w.controller("self::c");
    assert_eq!(w.get(c, NAME), format!("{NAME}=answered"));
}

#[test]
fn volatile_things_cost_no_writes() {
    let (mut w, c) = world();
    w.subscribe(c, "first", "ValueChange", "Device.");
    let before = w.disk.batches;
    for n in 0..20 {
        let d = w.controller(&format!("self::d{n}"));
        let row = w.subscribe(d, "v", "ValueChange", "Device.");
        w.delete(d, &[&row]);
        w.disconnect(d);
    }
    assert!(w.disk.batches - before <= 2, "{} batches", w.disk.batches - before);
}

#[test]
fn seeds_are_used_once() {
    let mut config = crate::bench::config();
    config.seed.controllers.push(usp_core::config::ControllerSeed {
        endpoint_id: usp_proto::endpoint_id::EndpointId::parse("self::seed").unwrap(),
        role: "Full Access".to_owned(),
        params: vec![("ProvisioningCode".to_owned(), "p".to_owned())],
        mqtt: None,
    });
    let mut w = World::with(config);
    let c = w.controller("self::c");
    assert_eq!(
        w.get(c, "Device.LocalAgent.Controller.1.ProvisioningCode"),
        "Device.LocalAgent.Controller.1.ProvisioningCode=p"
    );
    w.delete(c, &["Device.LocalAgent.Controller.1."]);
    let mut w = w.restart();
    w.site("");
    let c = w.controller("self::c");
    assert!(!w.get(c, "Device.LocalAgent.Controller.*.EndpointID").contains("self::seed"));
    assert_eq!(w.get(c, "Device.LocalAgent.ControllerTrust.Role.*.Name").lines().count(), 2);
}

#[test]
fn a_command_is_on_disk_before_it_is_answered() {
    let (mut w, c) = world();
    w.site("a: box");
    w.disk.mood = Mood::Slow;
    let id = w.begin(c, operate("Device.ProxiedDevice.1.X_USPBROKER_Refresh()", "k", &[]));
    assert!(w.answer(c, &id).is_none() && w.calls.is_empty());
    stored(&mut w, Ok(()));
    assert!(w.answer(c, &id).is_some());
    assert_eq!(w.calls.len(), 1);
    let get = text::answer(&w.ask(c, get(&["Device.LocalAgent.Request."], 0)));
    assert_eq!(get, "", "it is complete");
}
