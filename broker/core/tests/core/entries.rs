//! Which entry of a request fails, what exactly is blamed for it, and what may be seen of the result.

use usp_core::config::{ControllerSeed, PermissionSeed, RoleSeed};
use usp_core::input::ConnId;
use usp_proto::endpoint_id::EndpointId;

use crate::bench::World;
use crate::bench::peer::{add, set};
use crate::bench::text;

const SUBSCRIPTION: &str = "Device.LocalAgent.Subscription.";
const CONTROLLER: &str = "Device.LocalAgent.Controller.";
const BOOT: &str = "Device.LocalAgent.Controller.1.BootParameter.";

fn world() -> (World, ConnId) {
    let mut w = World::new();
    let c = w.controller("self::c");
    (w, c)
}

#[test]
fn an_optional_setting_of_a_key_prevents_the_row_all_the_same() {
    // TP-469 1.88, R-ADD.3: a key counts as required.
    let (mut w, c) = world();
    w.subscribe(c, "taken", "Event", "Device.Boot!");
    for (setting, code) in [("ID?=taken", 7025), ("Alias?=cpe-1", 7025), ("ID?=", 7012)] {
        let name = setting.split('?').next().unwrap();
        assert_eq!(
            w.add(c, SUBSCRIPTION, &[setting]),
            format!("Error {code}\n{SUBSCRIPTION}{name}: {code}"),
            "{setting}"
        );
        assert_eq!(
            text::answer(&w.ask(c, add(true, &[(SUBSCRIPTION, &[setting])]))),
            format!("{SUBSCRIPTION}: {code}")
        );
    }
    assert_eq!(w.instances(c, SUBSCRIPTION, true).lines().count(), 1);
}

#[test]
fn only_the_entry_that_failed_is_blamed() {
    // R-ADD.1, TP-469 1.6 and 1.7: one ParamError for one failure.
    let (mut w, c) = world();
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let entries: &[(&str, &[&str])] = &[
        ("Device.X_Lamp.Zone.", &["Name=x"]),
        (SUBSCRIPTION, &["ID=a"]),
        (SUBSCRIPTION, &["ID=b"]),
        (SUBSCRIPTION, &["ID=a"]),
    ];
    let answer = text::answer(&w.ask(c, add(false, entries)));
    assert_eq!(answer, format!("Error 7025\n{SUBSCRIPTION}ID: 7025"));
    assert_eq!(w.services[&s].count("Add"), 1, "only the broker's own Subscription rows");
    assert_eq!(w.get(c, SUBSCRIPTION), "");
    let entries: &[(&str, &[&str])] =
        &[(SUBSCRIPTION, &["ID=a"]), (SUBSCRIPTION, &["Enable=x", "NotifType=y", "TimeToLive?=z"])];
    let answer = text::answer(&w.ask(c, add(false, entries)));
    assert_eq!(answer, format!("Error 7011\n{SUBSCRIPTION}Enable: 7011\n{SUBSCRIPTION}NotifType: 7012"));
}

#[test]
fn rows_of_one_message_may_depend_on_their_final_state_only() {
    let (mut w, c) = world();
    let entries: &[(&str, &[&str])] =
        &[(BOOT, &["ParameterName=Device.A"]), (BOOT, &["ParameterName=Device.B"]), (BOOT, &[])];
    let answer = text::answer(&w.ask(c, add(false, entries)));
    let rows: Vec<&str> = answer.lines().map(|l| l.split(' ').next().unwrap()).collect();
    assert_eq!(rows, [format!("{BOOT}1."), format!("{BOOT}2."), format!("{BOOT}3.")]);
    // R-ADD.2a: one parent of several has the row already, so none gets it.
    w.controller("self::d");
    let search = format!("{CONTROLLER}*.BootParameter.");
    let answer = w.add(c, &search, &["ParameterName=Device.A"]);
    assert_eq!(answer, format!("Error 7025\n{CONTROLLER}1.BootParameter.ParameterName: 7025"));
    let answer = text::answer(&w.ask(c, add(true, &[(&search, &["ParameterName=Device.A"])])));
    assert!(answer.starts_with(&format!("{search}: 7025\n{CONTROLLER}2.BootParameter.1. ")), "{answer}");
}

#[test]
fn keys_that_were_left_out_are_made_up_whatever_their_default() {
    // R-ADD.5
    let (mut w, c) = world();
    for n in [2, 3] {
        let row = format!("{CONTROLLER}{n}. Alias=cpe-{n} EndpointID=self::cpe-{n}");
        assert_eq!(w.add(c, CONTROLLER, &[]), row);
    }
    for n in [1, 2] {
        assert_eq!(w.add(c, BOOT, &[]), format!("{BOOT}{n}. Alias=cpe-{n} ParameterName=cpe-{n}"));
    }
    let trust = "Device.USPServices.Trust.";
    assert_eq!(w.add(c, trust, &[]), format!("{trust}1. EndpointID=self::cpe-1"));
}

#[test]
fn a_parameter_that_is_set_to_two_values_at_once_is_7014() {
    let (mut w, c) = world();
    let answer = w.set(c, "Device.DeviceInfo.", &["FriendlyName=a", "FriendlyName=b"]);
    assert_eq!(answer, "Error 7014\nDevice.DeviceInfo.FriendlyName: 7014");
    let answer = w.set(c, "Device.DeviceInfo.", &["FriendlyName=a", "FriendlyName=a"]);
    assert_eq!(answer, "Device.DeviceInfo. FriendlyName=a");
    let answer = w.add(c, SUBSCRIPTION, &["ID=a", "ID=b"]);
    assert_eq!(answer, format!("Error 7014\n{SUBSCRIPTION}ID: 7014"));
}

#[test]
fn frozen_keys_and_parameters_that_are_written_once_stay() {
    // R-KEY.1, N-WOR.1, TP-469 1.96 and 1.104
    let (mut w, c) = world();
    let row = w.subscribe(c, "a", "Event", "Device.Boot!");
    for setting in ["ID=b", "ID=a", "Alias=b", "Alias=cpe-1", "ReferenceList=Device.X!"] {
        let name = setting.split('=').next().unwrap();
        assert_eq!(w.set(c, &row, &[setting]), format!("Error 7013\n{row}{name}: 7013"), "{setting}");
        let optional = setting.replace('=', "?=");
        assert_eq!(w.set(c, &row, &[&optional]), format!("{row}\n{row}{name}: 7013"), "{setting}");
    }
    // R-KEY.2: a functional key may change, but not to another row's.
    w.controller("self::d");
    let own = "Device.LocalAgent.Controller.1.BootParameter.1.";
    w.add(c, BOOT, &["ParameterName=Device.A"]);
    w.add(c, BOOT, &["ParameterName=Device.B"]);
    assert_eq!(w.set(c, own, &["ParameterName=Device.C"]), format!("{own} ParameterName=Device.C"));
    let taken = format!("Error 7025\n{own}ParameterName: 7025");
    assert_eq!(w.set(c, own, &["ParameterName=Device.B"]), taken);
}

#[test]
fn what_a_subscription_is_about_has_to_fit_its_type_later_too() {
    let (mut w, c) = world();
    let row = w.subscribe(c, "a", "Event", "Device.Boot!");
    let refused = format!("Error 7012\n{row}NotifType: 7012");
    assert_eq!(w.set(c, &row, &["NotifType=ValueChange"]), refused);
    assert_eq!(w.set(c, &row, &["NotifType?=ValueChange"]), format!("{row}\n{row}NotifType: 7012"));
    w.add(c, SUBSCRIPTION, &["ID=b", "NotifType=Event"]);
    let row = format!("{SUBSCRIPTION}2.");
    // The order of settings means nothing: what counts is what comes out.
    let command = "ReferenceList=Device.Reboot()";
    let refused = |name: &str| format!("Error 7012\n{row}{name}: 7012");
    assert_eq!(w.set(c, &row, &[command]), refused("ReferenceList"));
    let answer = w.set(c, &row, &[command, "NotifType=OperationComplete"]);
    assert!(answer.contains("NotifType=OperationComplete") && !answer.contains("Error"), "{answer}");
    assert_eq!(w.set(c, &row, &["NotifType=Event"]), refused("NotifType"));
}

/// The standard wants a deleted Role out of each AssignedRole; whoever watches that hears of it (R-ARC.12).
#[test]
fn a_role_that_is_deleted_while_in_use_is_seen_to_be_gone() {
    let (mut w, c) = world();
    let roles = "Device.LocalAgent.ControllerTrust.Role.";
    w.add(c, roles, &["Name=guest"]);
    w.controller("self::d");
    let assigned = "Device.LocalAgent.Controller.2.AssignedRole";
    w.set(c, "Device.LocalAgent.Controller.2.", &[&format!("AssignedRole={roles}3")]);
    w.subscribe(c, "v", "ValueChange", assigned);
    w.delete(c, &[&format!("{roles}3.")]);
    assert_eq!(w.notes(c), [format!("v: ValueChange {assigned}=")]);
    assert_eq!(w.get(c, assigned), format!("{assigned}="));
}

#[test]
fn entries_that_stand_alone_fail_alone_when_their_keys_meet() {
    // R-SET.0: each entry is judged when its turn comes; the one that clashes names the Parameter.
    let (mut w, c) = world();
    for name in ["A", "B"] {
        w.add(c, BOOT, &[&format!("ParameterName=Device.{name}")]);
    }
    let (one, two) = (format!("{BOOT}1."), format!("{BOOT}2."));
    let entries: &[(&str, &[&str])] =
        &[(&one, &["ParameterName=Device.C"]), (&two, &["ParameterName=Device.C"]), (&two, &["Enable=true"])];
    let answer = text::answer(&w.ask(c, set(true, entries)));
    let expected =
        format!("{one} ParameterName=Device.C\n{two}: 7025\n{two}ParameterName: 7025\n{two} Enable=true");
    assert_eq!(answer, expected);
}

#[test]
fn a_delete_that_fails_names_the_row() {
    // R-DEL.1, R-DEL.3
    let (mut w, c) = world();
    let role = "Device.LocalAgent.ControllerTrust.Role.";
    w.add(c, role, &["Name=Guest"]);
    let all = format!("{role}*.");
    assert_eq!(w.delete(c, &[&all]), format!("Error 7024\n{role}1.: 7024"));
    assert_eq!(w.delete_partial(c, true, &[&all]), format!("{role}3. !{role}1.:7024 !{role}2.:7024"));
}

#[test]
fn a_weak_reference_is_never_refused_and_a_strong_one_must_lead_somewhere() {
    // R-ARC.12, R-ARC.11
    let (mut w, c) = world();
    let row = "Device.LocalAgent.Controller.1.";
    for wrong in [
        "nonsense",
        "Device.LocalAgent.ControllerTrust.Role.[Name==5]",
        "Device.LocalAgent.Controller.1",
        "[",
    ] {
        let answer = w.set(c, row, &[&format!("AssignedRole={wrong}")]);
        assert_eq!(answer, format!("Error 7012\n{row}AssignedRole: 7012"), "{wrong}");
    }
    let key = "AssignedRole=Device.LocalAgent.ControllerTrust.Role.[Name==\"Full Access\"].";
    let role = "Device.LocalAgent.ControllerTrust.Role.1";
    assert_eq!(w.set(c, row, &[key]), format!("{row} AssignedRole={role}"));
}

/// A Controller that may do everything with its Subscriptions, and with a Service's zones, but see their keys.
fn blind() -> (World, ConnId) {
    let mut config = crate::bench::config();
    let permission = |order, target: &str, bits: [&str; 4]| PermissionSeed {
        order,
        targets: vec![target.to_owned()],
        param: bits[0].to_owned(),
        obj: bits[1].to_owned(),
        instantiated_obj: bits[2].to_owned(),
        command_event: bits[3].to_owned(),
    };
    let all = ["rwxn"; 4];
    config.seed.roles.push(RoleSeed {
        name: "Blind".to_owned(),
        permissions: vec![
            permission(1, "Device.LocalAgent.Subscription.", all),
            permission(2, "Device.X_Lamp.", all),
            permission(3, "Device.LocalAgent.Subscription.*.ID", ["-w--", "----", "----", "----"]),
            permission(4, "Device.X_Lamp.Zone.*.Name", ["-w--", "----", "----", "----"]),
            permission(5, "Device.LocalAgent.Subscription.2.", ["rw--", "-w--", "-w--", "----"]),
            permission(6, "Device.X_Lamp.Zone.2.", ["rw--", "-w--", "-w--", "----"]),
            permission(7, "Device.DeviceInfo.FriendlyName", ["-w--", "----", "----", "----"]),
        ],
    });
    config.seed.controllers.push(ControllerSeed {
        endpoint_id: EndpointId::parse("self::blind").unwrap(),
        role: "Blind".to_owned(),
        params: Vec::new(),
        mqtt: None,
    });
    let mut w = World::with(config);
    let c = w.controller("self::blind");
    w.lamp("self::lamp", "Device.X_Lamp.");
    (w, c)
}

#[test]
fn what_may_not_be_read_is_in_no_answer() {
    // R-ADD.6, R-SET.3, R-DEL.2, R-GIN.1
    let (mut w, c) = blind();
    let made = w.add(c, SUBSCRIPTION, &["ID=a"]);
    assert_eq!(made, format!("{SUBSCRIPTION}1. Alias=cpe-1 Recipient=Device.LocalAgent.Controller.1"));
    let listed = w.instances(c, SUBSCRIPTION, true);
    assert!(!listed.contains("ID="), "{listed}");
    assert_eq!(w.set(c, "Device.DeviceInfo.", &["FriendlyName=x"]), "Device.DeviceInfo.");
    let admin = w.controller("self::admin");
    assert_eq!(w.get(admin, "Device.DeviceInfo.FriendlyName"), "Device.DeviceInfo.FriendlyName=x");
    w.add(c, SUBSCRIPTION, &["ID=b"]);
    assert_eq!(w.delete(c, &[&format!("{SUBSCRIPTION}*.")]), format!("{SUBSCRIPTION}1."));
    assert_eq!(w.get(admin, SUBSCRIPTION), "");
}

#[test]
fn nor_is_it_in_what_a_service_answers() {
    let (mut w, c) = blind();
    let zones = "Device.X_Lamp.Zone.";
    let row = format!("{zones}1.");
    assert_eq!(w.set(c, &row, &["Name=x", "Level=5"]), format!("{row} Level=5"));
    let s = *w.services.keys().next().unwrap();
    w.services.get_mut(&s).unwrap().keys = vec!["Name", "Level"];
    assert_eq!(w.add(c, zones, &["Name=new", "Level=3"]), format!("{zones}3. Level=3"));
    assert_eq!(w.instances(c, zones, true), format!("{zones}1. Level=5\n{zones}3. Level=3"));
    assert_eq!(w.delete(c, &[&format!("{zones}*.")]), format!("{zones}1. {zones}3."));
}
