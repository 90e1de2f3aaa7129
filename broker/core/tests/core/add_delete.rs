//! Add and Delete.

use crate::bench::World;
use crate::bench::peer::add;
use crate::bench::service::Manner;
use crate::bench::text;

const SUBSCRIPTION: &str = "Device.LocalAgent.Subscription.";
const CONTROLLER: &str = "Device.LocalAgent.Controller.";

fn world() -> (World, usp_core::input::ConnId) {
    let mut w = World::new();
    let c = w.controller("self::c");
    (w, c)
}

#[test]
fn a_row_gets_its_keys_and_defaults() {
    let (mut w, c) = world();
    let made = w.add(c, SUBSCRIPTION, &["NotifType=Event", "ReferenceList=Device.Boot!"]);
    let keys = "Alias=cpe-1 ID=cpe-1 Recipient=Device.LocalAgent.Controller.1";
    assert_eq!(made, format!("{SUBSCRIPTION}1. {keys}"));
    let expected = "\
Device.LocalAgent.Subscription.1.Alias=cpe-1
Device.LocalAgent.Subscription.1.CreationDate=2026-01-01T00:00:00Z
Device.LocalAgent.Subscription.1.Enable=false
Device.LocalAgent.Subscription.1.ID=cpe-1
Device.LocalAgent.Subscription.1.NotifExpiration=0
Device.LocalAgent.Subscription.1.NotifRetry=false
Device.LocalAgent.Subscription.1.NotifType=Event
Device.LocalAgent.Subscription.1.Persistent=false
Device.LocalAgent.Subscription.1.Recipient=Device.LocalAgent.Controller.1
Device.LocalAgent.Subscription.1.ReferenceList=Device.Boot!
Device.LocalAgent.Subscription.1.TimeToLive=0
Device.LocalAgent.Subscription.1.TriggerAction=Notify
Device.LocalAgent.Subscription.1.TriggerConfigSettings=";
    assert_eq!(w.get(c, "Device.LocalAgent.Subscription.1."), expected);
}

#[test]
fn each_mistake_has_its_code() {
    let (mut w, c) = world();
    w.site("a: plain");
    w.subscribe(c, "taken", "Event", "Device.Boot!");
    for (table, setting, code) in [
        (SUBSCRIPTION, "TimeToLive=x", 7011),
        // TP-469 1.88
        (SUBSCRIPTION, "Alias?=88InvalidAlias", 7012),
        (SUBSCRIPTION, "Alias?=", 7012),
        (SUBSCRIPTION, "NotifType=x", 7012),
        (SUBSCRIPTION, "Recipient=Device.LocalAgent.Controller.1", 7013),
        (SUBSCRIPTION, "Nothing=x", 7010),
    ] {
        let name = setting.split('=').next().unwrap().trim_end_matches('?');
        assert_eq!(w.add(c, table, &[setting]), format!("Error {code}\n{table}{name}: {code}"), "{setting}");
        let answer = text::answer(&w.ask(c, add(true, &[(table, &[setting])])));
        assert_eq!(answer, format!("{table}: {code}"));
    }
    for (table, settings, code) in [
        (SUBSCRIPTION, &["ID=taken"][..], 7025),
        ("Device.DeviceInfo.", &[], 7018),
        ("Device.LocalAgent.Subscription.1.", &[], 7018),
        ("Device.ProxiedDevice.", &[], 7019),
        ("Device.LocalAgent.Request.", &[], 7019),
        ("Device.Nothing.", &[], 7026),
        ("Device.LocalAgent.Controller.99.BootParameter.", &[], 7016),
        ("Device.LocalAgent.Subscription", &[], 7008),
    ] {
        let answer = w.add(c, table, settings);
        assert!(answer.starts_with(&format!("Error {code}\n{table}")), "{table} {answer}");
        assert_eq!(text::answer(&w.ask(c, add(true, &[(table, settings)]))), format!("{table}: {code}"));
    }
    assert_eq!(
        w.get(c, "Device.LocalAgent.SubscriptionNumberOfEntries"),
        "Device.LocalAgent.SubscriptionNumberOfEntries=1"
    );
}

#[test]
fn a_wrong_optional_setting_does_not_prevent_the_row_but_a_wrong_key_does() {
    let (mut w, c) = world();
    let made = w.add(c, SUBSCRIPTION, &["ID=a", "TimeToLive?=x", "Nothing?=y"]);
    assert!(made.ends_with("!TimeToLive:7011 !Nothing:7010"), "{made}");
    let long = format!("ID?={}", "x".repeat(65));
    assert_eq!(w.add(c, SUBSCRIPTION, &[&long]), format!("Error 7012\n{SUBSCRIPTION}ID: 7012"));
}

#[test]
fn all_or_nothing() {
    let (mut w, c) = world();
    let entries: &[(&str, &[&str])] =
        &[(SUBSCRIPTION, &["ID=a"]), (SUBSCRIPTION, &["ID=a"]), (SUBSCRIPTION, &["ID=b"])];
    assert!(text::answer(&w.ask(c, add(false, entries))).starts_with("Error 7025"));
    assert_eq!(w.get(c, SUBSCRIPTION), "");
    let answer = text::answer(&w.ask(c, add(true, entries)));
    let lines: Vec<&str> = answer.lines().collect();
    assert!(
        lines[0].contains("ID=a") && lines[1] == format!("{SUBSCRIPTION}: 7025") && lines[2].contains("ID=b"),
        "{answer}"
    );
}

#[test]
fn parents_can_be_searched_for() {
    let (mut w, c) = world();
    w.controller("self::d");
    let answer = w.add(
        c,
        "Device.LocalAgent.Controller.*.BootParameter.",
        &["ParameterName=Device.DeviceInfo.ModelName"],
    );
    let rows: Vec<&str> = answer.lines().map(|l| l.split(' ').next().unwrap()).collect();
    assert_eq!(
        rows,
        [
            "Device.LocalAgent.Controller.1.BootParameter.1.",
            "Device.LocalAgent.Controller.2.BootParameter.1."
        ]
    );
    let none = "Device.LocalAgent.Controller.[EndpointID==\"self::x\"].BootParameter.";
    assert_eq!(w.add(c, none, &[]), "");
    let twice = text::answer(&w.ask(
        c,
        add(
            true,
            &[(
                "Device.LocalAgent.Controller.*.BootParameter.",
                &["ParameterName=Device.DeviceInfo.ModelName"],
            )],
        ),
    ));
    assert_eq!(
        twice,
        "Device.LocalAgent.Controller.*.BootParameter.: 7025\nDevice.LocalAgent.Controller.*.BootParameter.: 7025"
    );
}

#[test]
fn a_new_controller_can_connect_and_has_its_role() {
    let (mut w, c) = world();
    let made = w.add(
        c,
        CONTROLLER,
        &["EndpointID=self::new", "Enable=true", "AssignedRole=Device.LocalAgent.ControllerTrust.Role.1"],
    );
    assert_eq!(made, "Device.LocalAgent.Controller.2. Alias=cpe-2 EndpointID=self::new");
    let new = w.connect(usp_core::input::MtpKind::WebSocket, usp_core::input::Side::Agent, "self::new", true);
    assert_eq!(w.get(new, "Device.DeviceInfo.ModelName"), "Device.DeviceInfo.ModelName=Hub");
    let taken = format!("Error 7025\n{CONTROLLER}EndpointID: 7025");
    assert_eq!(w.add(c, CONTROLLER, &["EndpointID=self::new"]), taken);
    assert_eq!(
        w.add(c, CONTROLLER, &["EndpointID=nonsense"]),
        format!("Error 7012\n{CONTROLLER}EndpointID: 7012")
    );
}

#[test]
fn tables_have_limits() {
    let mut config = crate::bench::config();
    config.limits.max_subscriptions = 2;
    config.limits.max_rows_per_table = 2;
    let mut w = World::with(config);
    let c = w.controller("self::c");
    for n in 0..2 {
        w.subscribe(c, &n.to_string(), "Event", "Device.Boot!");
    }
    assert_eq!(w.add(c, SUBSCRIPTION, &["ID=x"]), format!("Error 7005\n{SUBSCRIPTION}: 7005"));
    let table = "Device.LocalAgent.Controller.1.BootParameter.";
    for n in 0..2 {
        assert!(w.add(c, table, &[&format!("ParameterName=Device.P{n}")]).starts_with(table));
    }
    assert_eq!(w.add(c, table, &["ParameterName=Device.P9"]), format!("Error 7005\n{table}: 7005"));
}

#[test]
fn rows_are_deleted_by_number_key_and_search() {
    let (mut w, c) = world();
    for id in ["a", "b", "c", "d"] {
        w.subscribe(c, id, "Event", "Device.Boot!");
    }
    assert_eq!(w.delete(c, &["Device.LocalAgent.Subscription.1."]), "Device.LocalAgent.Subscription.1.");
    assert_eq!(
        w.delete(c, &["Device.LocalAgent.Subscription.[ID==\"b\"]."]),
        "Device.LocalAgent.Subscription.2."
    );
    assert_eq!(
        w.delete(c, &["Device.LocalAgent.Subscription.*."]),
        "Device.LocalAgent.Subscription.3. Device.LocalAgent.Subscription.4."
    );
    assert_eq!(w.get(c, SUBSCRIPTION), "");
    for absent in [
        "Device.LocalAgent.Subscription.1.",
        "Device.LocalAgent.Subscription.*.",
        "Device.LocalAgent.Subscription.[ID==\"x\"].",
    ] {
        assert_eq!(w.delete(c, &[absent]), "", "{absent}");
    }
    for (path, code) in [
        ("Device.LocalAgent.Subscription.", 7008),
        ("Device.LocalAgent.", 7008),
        ("Device.Nothing.", 7026),
        ("Device.Nothing.1.", 7026),
    ] {
        assert_eq!(w.delete(c, &[path]), format!("Error {code}\n{path}: {code}"));
        assert_eq!(w.delete_partial(c, true, &[path]), format!("{path}: {code}"));
    }
}

#[test]
fn what_may_not_be_deleted_is_7024() {
    let (mut w, c) = world();
    w.site("a: plain");
    for path in
        ["Device.ProxiedDevice.1.", "Device.LocalAgent.MTP.1.", "Device.LocalAgent.ControllerTrust.Role.1."]
    {
        assert_eq!(w.delete(c, &[path]), format!("Error 7024\n{path}: 7024"));
        assert_eq!(w.delete_partial(c, true, &[path]), format!("{path}: 7024"));
    }
    let kept = w.delete_partial(c, true, &["Device.LocalAgent.ControllerTrust.Role.*."]);
    assert_eq!(
        kept,
        "!Device.LocalAgent.ControllerTrust.Role.1.:7024 !Device.LocalAgent.ControllerTrust.Role.2.:7024"
    );
}

#[test]
fn a_deleted_controller_takes_its_rows_and_subscriptions_along() {
    let (mut w, c) = world();
    let d = w.controller("self::d");
    w.add(c, "Device.LocalAgent.Controller.2.BootParameter.", &["ParameterName=Device.X"]);
    w.subscribe(d, "mine", "Event", "Device.Boot!");
    w.subscribe(c, "other", "Event", "Device.Boot!");
    assert_eq!(w.delete(c, &["Device.LocalAgent.Controller.2."]), "Device.LocalAgent.Controller.2.");
    assert_eq!(w.get(c, "Device.LocalAgent.Subscription.*.ID"), "Device.LocalAgent.Subscription.2.ID=other");
    assert_eq!(w.get(c, "Device.LocalAgent.Controller.*.BootParameter.*.ParameterName"), "");
    assert!(w.closed.iter().any(|(conn, _)| *conn == d));
}

#[test]
fn strong_references_to_a_deleted_row_are_emptied() {
    let (mut w, c) = world();
    let role = "Device.LocalAgent.ControllerTrust.Role.";
    assert!(w.add(c, role, &["Name=Guest", "Enable=true"]).starts_with(&format!("{role}3.")));
    let both =
        "AssignedRole=Device.LocalAgent.ControllerTrust.Role.1,Device.LocalAgent.ControllerTrust.Role.3";
    w.set(c, "Device.LocalAgent.Controller.1.", &[both]);
    w.delete(c, &["Device.LocalAgent.ControllerTrust.Role.3."]);
    assert_eq!(
        w.get(c, "Device.LocalAgent.Controller.1.AssignedRole"),
        "Device.LocalAgent.Controller.1.AssignedRole=Device.LocalAgent.ControllerTrust.Role.1"
    );
}

#[test]
fn rows_of_a_service_are_made_and_deleted_there() {
    let (mut w, c) = world();
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    assert_eq!(w.add(c, "Device.X_Lamp.Zone.", &["Name=east"]), "Device.X_Lamp.Zone.3.");
    assert_eq!(w.get(c, "Device.X_Lamp.Zone.3.Name"), "Device.X_Lamp.Zone.3.Name=east");
    assert_eq!(w.delete(c, &["Device.X_Lamp.Zone.1."]), "Device.X_Lamp.Zone.1.");
    let entries: &[(&str, &[&str])] =
        &[("Device.X_Lamp.Zone.", &["Name=west"]), (SUBSCRIPTION, &["ID=a"]), (SUBSCRIPTION, &["ID=a"])];
    assert!(text::answer(&w.ask(c, add(false, entries))).starts_with("Error 7025"));
    assert_eq!(
        w.get(c, "Device.X_Lamp.Zone.*.Name"),
        "Device.X_Lamp.Zone.2.Name=south\nDevice.X_Lamp.Zone.3.Name=east"
    );
    w.manner(s, Manner::Refuses(7002));
    assert!(w.add(c, "Device.X_Lamp.Zone.", &[]).starts_with("Error 7002"));
    assert_eq!(
        text::answer(&w.ask(c, add(true, &[("Device.X_Lamp.Zone.", &[])]))),
        "Device.X_Lamp.Zone.: 7002"
    );
}

#[test]
fn a_delete_over_several_services_is_all_or_nothing_never() {
    let (mut w, c) = world();
    w.lamp("self::a", "Device.X_A.");
    w.lamp("self::b", "Device.X_B.");
    let paths = ["Device.X_A.Zone.1.", "Device.X_B.Zone.1."];
    assert!(w.delete(c, &paths).starts_with("Error 7005"));
    assert_eq!(w.delete_partial(c, true, &paths), "Device.X_A.Zone.1.\nDevice.X_B.Zone.1.");
}

#[test]
fn each_result_of_a_service_goes_to_its_entry() {
    let (mut w, c) = world();
    w.lamp("self::lamp", "Device.X_Lamp.");
    let entries: &[(&str, &[&str])] = &[
        ("Device.X_Lamp.Zone.", &["Name=a"]),
        (SUBSCRIPTION, &["ID=s"]),
        ("Device.X_Lamp.Zone.", &["Name=b"]),
    ];
    let answer = text::answer(&w.ask(c, add(false, entries)));
    let rows: Vec<&str> = answer.lines().map(|l| l.split(' ').next().unwrap()).collect();
    assert_eq!(rows, ["Device.X_Lamp.Zone.3.", "Device.LocalAgent.Subscription.1.", "Device.X_Lamp.Zone.4."]);
}

/// R-ADD.5: of a key with few values, the default or the first that is free.
#[test]
fn a_key_of_few_values_takes_one_that_is_free() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.add(c, "Device.LocalAgent.Controller.", &["EndpointID=self::z"]);
    let table = "Device.LocalAgent.Controller.[EndpointID==\"self::z\"].MTP.";
    let made: Vec<String> = (0..3).map(|_| w.add(c, table, &["Enable=true"])).collect();
    let protocols = made.iter().map(|row| row.rsplit("Protocol=").next().unwrap());
    assert_eq!(protocols.collect::<std::collections::BTreeSet<_>>().len(), 3, "{made:?}");
}

#[test]
fn a_row_that_several_paths_mean_is_deleted_and_told_once() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let table = "Device.LocalAgent.Controller.1.BootParameter.";
    for name in ["A", "B"] {
        w.add(c, table, &[&format!("ParameterName=Device.{name}")]);
    }
    let [one, two, all] = ["1.", "2.", "*."].map(|row| format!("{table}{row}"));
    assert_eq!(w.delete(c, &[&one, &one, &all]), format!("{one}\n\n{two}"));
    w.add(c, table, &["ParameterName=Device.C"]);
    assert_eq!(w.delete_partial(c, true, &[&all, &all]), format!("{table}3.\n"));
}
