//! TriggerAction and TriggerConfigSettings of Subscriptions.

use usp_core::input::ConnId;

use crate::bench::World;
use crate::bench::device::number;
use crate::bench::text;

const OWN: &str = "Device.LocalAgent.Controller.1.";
const CODE: &str = "Device.LocalAgent.Controller.1.ProvisioningCode";

fn world() -> (World, ConnId) {
    let mut w = World::new();
    let c = w.controller("self::c");
    (w, c)
}

/// TP-469 1.93 and 1.94.
#[test]
fn a_subscription_changes_settings() {
    let (mut w, c) = world();
    for (action, told) in [("Config", 0), ("NotifyAndConfig", 1)] {
        let more = [&*format!("TriggerAction={action}"), "NotifRetry=true"];
        let row = w.subscribe_with(c, action, "ValueChange", CODE, &more);
        let settings = format!("TriggerConfigSettings={row}Enable=false");
        assert_eq!(w.set(c, &row, &[&settings]), format!("{row} {settings}"));
        w.set(c, OWN, &[&format!("ProvisioningCode={action}")]);
        assert_eq!(w.get(c, &format!("{row}Enable")), format!("{row}Enable=false"));
        let notes = w.notes(c);
        assert_eq!(notes.len(), told, "{notes:?}");
        assert_eq!(w.broker.pending(), 0);
    }
}

#[test]
fn settings_reach_devices_and_services() {
    let (mut w, c) = world();
    w.site("a: box");
    w.report("a", &[(0, number("20"))]);
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let relay = "Device.ProxiedDevice.1.IoTCapability.[Name==\"Relay\"].BinaryControl.Value";
    let settings = format!("TriggerConfigSettings={relay}=true,Device.X_Lamp.Colour=\"light%2C blue\"");
    let level = "Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.Value";
    w.subscribe_with(c, "t", "ValueChange", level, &["TriggerAction=Config", &settings]);
    w.report("a", &[(0, number("90"))]);
    assert_eq!(w.calls.len(), 1);
    assert_eq!(w.services[&s].values["Device.X_Lamp.Colour"], "light, blue");
    assert!(w.notes(c).is_empty());
}

#[test]
fn settings_are_made_with_the_rights_of_the_subscriber() {
    let (mut w, c) = world();
    let more = ["TriggerAction=Config", "TriggerConfigSettings=Device.DeviceInfo.FriendlyName=x"];
    w.subscribe_with(c, "t", "ValueChange", CODE, &more);
    let boss = w.controller("self::boss");
    let role = "Device.LocalAgent.ControllerTrust.Role.";
    w.add(boss, role, &["Name=N", "Enable=true"]);
    w.add(
        boss,
        &format!("{role}3.Permission."),
        &["Enable=true", "Targets=Device.", "Param=r--n", "Order=1"],
    );
    w.set(boss, OWN, &["AssignedRole=Device.LocalAgent.ControllerTrust.Role.3"]);
    w.set(boss, OWN, &["ProvisioningCode=y"]);
    assert_eq!(w.get(boss, "Device.DeviceInfo.FriendlyName"), "Device.DeviceInfo.FriendlyName=");
}

#[test]
fn two_subscriptions_that_undo_each_other_stay_harmless() {
    let (mut w, c) = world();
    let name = "Device.DeviceInfo.FriendlyName";
    for (id, value) in [("a", "left"), ("b", "right")] {
        let settings = format!("TriggerConfigSettings={name}={value}");
        w.subscribe_with(c, id, "ValueChange", name, &["TriggerAction=NotifyAndConfig", &settings]);
    }
    w.set(c, "Device.DeviceInfo.", &["FriendlyName=x"]);
    w.wait(10);
    assert!(w.notes(c).len() < 100);
    assert!(w.get(c, name).starts_with(name), "it still answers");
}

#[test]
fn settings_are_checked_when_they_are_written() {
    let (mut w, c) = world();
    let row = w.subscribe(c, "t", "ValueChange", CODE);
    for wrong in [
        "Device.A.B",
        "Device.A.=1",
        "Device.A.B()=1",
        "?",
        "DeviceInfo.FriendlyName=x",
        "Device.LocalAgent.Controller.1.Nonsense=x",
        "Device.LocalAgent.Nonsense.*.Enable=true",
        "Device.LocalAgent.EndpointID=x",
    ] {
        let answer = w.set(c, &row, &[&format!("TriggerConfigSettings={wrong}")]);
        assert_eq!(answer, format!("Error 7012\n{row}TriggerConfigSettings: 7012"), "{wrong}");
    }
    let many = vec!["Device.DeviceInfo.FriendlyName=x"; 17].join(",");
    let answer = text::answer(
        &w.ask(c, crate::bench::peer::set(true, &[(&*row, &[&*format!("TriggerConfigSettings={many}")])])),
    );
    assert!(answer.contains("7012"), "{answer}");
    assert_eq!(w.set(c, &row, &["TriggerAction=Explode"]), format!("Error 7012\n{row}TriggerAction: 7012"));
}

/// Readings are not stored: the first one after a start says nothing of a change.
#[test]
fn the_first_reading_is_no_change() {
    let (mut w, c) = world();
    let value = "Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.Value";
    let name = "Device.DeviceInfo.FriendlyName";
    let settings = format!("TriggerConfigSettings={name}=changed");
    w.site("a: box");
    w.subscribe_with(c, "t", "ValueChange", value, &["TriggerAction=NotifyAndConfig", &settings]);
    w.report("a", &[(0, number("20"))]);
    assert_eq!(w.get(c, name), format!("{name}="), "the first after the start");
    assert!(w.notes(c).is_empty());
    let since = w.get(c, "Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.LastChange");
    w.wait(60);
    w.site("edited a: box");
    w.report("a", &[(0, number("20"))]);
    assert_eq!(w.get(c, name), format!("{name}="), "the first after a new description");
    assert_eq!(w.get(c, "Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.LastChange"), since);
    w.site("a: box");
    w.report("a", &[(0, number("30"))]);
    assert_eq!(w.get(c, name), format!("{name}=changed"), "it changed while the mapping was replaced");
}

/// What a Controller writes is a change, also before anything was read.
#[test]
fn a_first_write_is_a_change() {
    let (mut w, c) = world();
    w.site("a: box");
    w.report_online("a", Ok(()));
    let relay = "Device.ProxiedDevice.1.IoTCapability.2.BinaryControl.";
    w.subscribe(c, "t", "ValueChange", &format!("{relay}Value"));
    w.set(c, relay, &["Value=true"]);
    assert_eq!(w.notes(c).len(), 1);
}

/// Whoever may read the settings would read them.
#[test]
fn a_secret_is_no_setting_of_a_trigger() {
    let (mut w, c) = world();
    let row = w.subscribe(c, "t", "ValueChange", CODE);
    let settings = "TriggerConfigSettings=Device.MQTT.Client.*.Password=secret";
    assert_eq!(w.set(c, &row, &[settings]), format!("Error 7012\n{row}TriggerConfigSettings: 7012"));
}
