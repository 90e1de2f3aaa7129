//! ReferenceLists of every form for every NotifType, and what ends a Subscription.

use usp_core::input::ConnId;
use usp_core::output::CloseReason;
use usp_proto::usp;
use usp_proto::usp::notify::{Notification, ValueChange};

use crate::bench::World;
use crate::bench::device::number;

const ROLES: &str = "Device.LocalAgent.ControllerTrust.Role.";
const SUBSCRIPTIONS: &str = "Device.LocalAgent.Subscription.";

fn world() -> (World, ConnId) {
    let mut w = World::new();
    w.site("a: box");
    let c = w.controller("self::c");
    (w, c)
}

/// Whether a Subscription with this reference hears of what happens.
fn hears(kind: &str, reference: &str, happens: impl FnOnce(&mut World, ConnId)) -> bool {
    let (mut w, c) = world();
    w.subscribe(c, "s", kind, reference);
    w.notes(c);
    happens(&mut w, c);
    w.notes(c).iter().any(|note| note.starts_with(&format!("s: {kind}")))
}

#[test]
fn references_to_parameters() {
    let change = |w: &mut World, c| {
        w.set(c, "Device.DeviceInfo.", &["FriendlyName=x"]);
    };
    for (reference, heard) in [
        ("Device.DeviceInfo.FriendlyName", true),
        ("Device.DeviceInfo.", true),
        ("Device.DeviceInfo", true),
        ("Device.", true),
        ("Device.DeviceInfo.ProvisioningCode", false),
        ("Device.LocalAgent.", false),
        ("Device.LocalAgent.EndpointID,Device.DeviceInfo.FriendlyName", true),
        ("Device.X_Nobody.Yet,Device.DeviceInfo.", true),
    ] {
        assert_eq!(hears("ValueChange", reference, change), heard, "{reference}");
    }
}

/// TP-469 1.84 and what an expression, a wildcard and a reference mean.
#[test]
fn references_to_parameters_of_rows() {
    let change = |w: &mut World, c| {
        w.add(c, ROLES, &["Name=a"]);
        w.notes(c);
        w.set(c, &format!("{ROLES}3."), &["Enable=true"]);
    };
    for (reference, heard) in [
        (format!("{ROLES}*.Enable"), true),
        (format!("{ROLES}*."), true),
        (ROLES.to_owned(), true),
        (format!("{ROLES}3.Enable"), true),
        (format!("{ROLES}4.Enable"), false),
        (format!("{ROLES}[Name==\"a\"].Enable"), true),
        (format!("{ROLES}[Name==\"b\"].Enable"), false),
        (format!("{ROLES}[Name==\"a\"&&Enable==true].Enable"), true),
        (format!("{ROLES}[Enable==false].Enable"), false),
        ("Device.LocalAgent.Controller.1.AssignedRole+.Enable".to_owned(), false),
    ] {
        assert_eq!(hears("ValueChange", &reference, change), heard, "{reference}");
    }
    let assigned = |w: &mut World, c| {
        w.add(c, ROLES, &["Name=a"]);
        let both = format!("AssignedRole={ROLES}1,{ROLES}3");
        w.set(c, "Device.LocalAgent.Controller.1.", &[&both]);
        w.notes(c);
        w.set(c, &format!("{ROLES}3."), &["Enable=true"]);
    };
    for (reference, heard) in [("#2+", true), ("#*+", true), ("+", false), ("#3+", false)] {
        let path = format!("Device.LocalAgent.Controller.*.AssignedRole{reference}.Enable");
        assert_eq!(hears("ValueChange", &path, assigned), heard, "{path}");
    }
}

/// TP-469 1.57: new rows are told to who named their table, or an object above it that is no table itself.
#[test]
fn references_to_new_rows() {
    let add = |w: &mut World, c| {
        w.add(
            c,
            "Device.LocalAgent.Controller.1.BootParameter.",
            &["ParameterName=Device.DeviceInfo.ModelName"],
        );
    };
    for (reference, heard) in [
        ("Device.LocalAgent.Controller.1.BootParameter.", true),
        ("Device.LocalAgent.Controller.*.BootParameter.", true),
        ("Device.LocalAgent.Controller.[EndpointID==\"self::c\"].BootParameter.", true),
        ("Device.LocalAgent.Controller.[EndpointID==\"self::d\"].BootParameter.", false),
        ("Device.LocalAgent.Controller.1.BootParameter.*.", true),
        ("Device.LocalAgent.Controller.1.BootParameter.[Enable==false].", true),
        ("Device.LocalAgent.Controller.1.BootParameter.[Enable==true].", false),
        ("Device.LocalAgent.Controller.1.BootParameter.1.", false),
        ("Device.LocalAgent.Controller.2.BootParameter.", false),
        ("Device.LocalAgent.Controller.1.", true),
        ("Device.LocalAgent.Controller.", false),
        ("Device.LocalAgent.Subscription.*.Recipient+.BootParameter.", true),
        ("Device.LocalAgent.Subscription.*.Recipient+.MTP.", false),
        ("Device.LocalAgent.", true),
        ("Device.", true),
        ("Device.DeviceInfo.", false),
    ] {
        assert_eq!(hears("ObjectCreation", reference, add), heard, "{reference}");
    }
}

/// TP-469 1.58: rows that go are told to who named the row or its table; expressions and references mean what the row was.
#[test]
fn references_to_rows_that_go() {
    let delete = |w: &mut World, c| {
        w.add(c, ROLES, &["Name=a", "Enable=true"]);
        w.add(c, &format!("{ROLES}3.Permission."), &["Order=7"]);
        let both = format!("AssignedRole={ROLES}1,{ROLES}3");
        w.set(c, "Device.LocalAgent.Controller.1.", &[&both]);
        w.notes(c);
        w.delete(c, &[&format!("{ROLES}3.")]);
    };
    for (reference, heard) in [
        (format!("{ROLES}3."), true),
        (format!("{ROLES}*."), true),
        (ROLES.to_owned(), true),
        (format!("{ROLES}4."), false),
        (format!("{ROLES}[Name==\"a\"]."), true),
        (format!("{ROLES}[Name==\"a\"&&Enable==true]."), true),
        (format!("{ROLES}[Name==\"b\"]."), false),
        (format!("{ROLES}3.Permission."), true),
        (format!("{ROLES}*.Permission.[Order==7]."), true),
        (format!("{ROLES}[Name==\"a\"].Permission.*."), true),
        (format!("{ROLES}*.Permission.[Order==8]."), false),
        ("Device.LocalAgent.Controller.1.AssignedRole#2+.".to_owned(), false),
        ("Device.".to_owned(), true),
    ] {
        assert_eq!(hears("ObjectDeletion", &reference, delete), heard, "{reference}");
    }
    let (mut w, c) = world();
    w.subscribe(c, "s", "ObjectDeletion", &format!("{ROLES}*."));
    w.add(c, ROLES, &["Name=a"]);
    w.add(c, &format!("{ROLES}3.Permission."), &["Order=7"]);
    w.delete(c, &[&format!("{ROLES}3.")]);
    assert_eq!(w.notes(c), [format!("s: ObjectDeletion {ROLES}3.")], "and not of what was below it");
}

/// A reference of a row that goes is followed as it was.
#[test]
fn a_deletion_behind_a_reference() {
    let (mut w, c) = world();
    let boot = "Device.LocalAgent.Controller.1.BootParameter.";
    w.add(c, boot, &["ParameterName=Device.DeviceInfo.ModelName"]);
    w.subscribe(c, "s", "ObjectDeletion", "Device.LocalAgent.Subscription.1.Recipient+.BootParameter.*.");
    w.delete(c, &[&format!("{boot}1.")]);
    assert_eq!(w.notes(c), [format!("s: ObjectDeletion {boot}1.")]);
}

#[test]
fn references_to_commands() {
    let toggle = "Device.ProxiedDevice.1.IoTCapability.2.BinaryControl.Toggle()";
    let run = |w: &mut World, c| {
        w.operate(c, toggle, "k", &[]);
        w.wait(1);
    };
    for (reference, heard) in [
        (toggle, true),
        ("Device.ProxiedDevice.1.IoTCapability.2.BinaryControl.", true),
        ("Device.ProxiedDevice.", true),
        ("Device.ProxiedDevice.*.IoTCapability.*.BinaryControl.Toggle()", true),
        ("Device.ProxiedDevice.[Name==\"Nobody\"].", false),
        ("Device.ProxiedDevice.*.IoTCapability.[Class==\"BinaryControl\"].BinaryControl.Toggle()", true),
        ("Device.", true),
        ("Device.Reboot()", false),
        ("Device.ProxiedDevice.2.", false),
    ] {
        assert_eq!(hears("OperationComplete", reference, run), heard, "{reference}");
    }
}

#[test]
fn a_reference_that_cannot_fit_its_type_is_refused() {
    let (mut w, c) = world();
    for (kind, reference) in [
        ("Event", "Device.DeviceInfo.ModelName.,Device.Reboot()"),
        ("ValueChange", "Device.Boot!"),
        ("ObjectCreation", "Device.Reboot()"),
        ("ObjectDeletion", "Device.Boot!"),
        ("OperationComplete", "Device.DeviceInfo.,Device.Boot!"),
        ("ValueChange", "Device..Nonsense"),
        ("ValueChange", "Device.DeviceInfo.[ModelName==]."),
        ("ValueChange", "garbage"),
        ("ValueChange", "Other.Path."),
        ("Event", "Device.DeviceInfo.FriendlyName"),
        ("ObjectCreation", "Device.LocalAgent.Subscription.*.Enable"),
        ("ValueChange", "Device.LocalAgent.Controller.[Enable==\"x\"].Alias"),
        ("ObjectDeletion", "Device.ProxiedDevice.[Nope==1]."),
        ("ValueChange", "Device.LocalAgent.ControllerTrust.Role.[Nonsense==1].Enable"),
        ("Nonsense", "Device."),
    ] {
        let settings = ["ID=x".to_owned(), format!("NotifType={kind}"), format!("ReferenceList={reference}")];
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let answer = w.add(c, SUBSCRIPTIONS, &settings);
        let blamed = if kind == "Nonsense" { "NotifType" } else { "ReferenceList" };
        assert_eq!(answer, format!("Error 7012\n{SUBSCRIPTIONS}{blamed}: 7012"), "{kind} {reference}");
    }
    assert_eq!(w.instances(c, SUBSCRIPTIONS, true), "");
}

/// N-SUB.3
#[test]
fn a_reference_list_is_written_once() {
    let (mut w, c) = world();
    let made = w.add(c, SUBSCRIPTIONS, &["ID=x", "Enable=true"]);
    let row = made.split(' ').next().unwrap().to_owned();
    assert!(w.set(c, &row, &["ReferenceList=Device.DeviceInfo."]).starts_with(&row));
    w.set(c, "Device.DeviceInfo.", &["FriendlyName=x"]);
    assert_eq!(w.notes(c), ["x: ValueChange Device.DeviceInfo.FriendlyName=x"]);
    assert!(w.set(c, &row, &["ReferenceList=Device."]).starts_with("Error 7013"));
}

/// N-SUB.1: its Subscriptions go with a Controller, and the last that it hears is that it is gone.
#[test]
fn a_controller_that_is_deleted_hears_of_it_last() {
    let (mut w, c) = world();
    let d = w.controller("self::d");
    w.subscribe_with(d, "me", "ObjectDeletion", "Device.LocalAgent.Controller.*.", &["NotifRetry=true"]);
    w.subscribe(d, "all", "ValueChange", "Device.");
    w.subscribe(c, "other", "ObjectDeletion", "Device.LocalAgent.Controller.");
    w.notes(c);
    w.notes(d);
    let row = "Device.LocalAgent.Controller.2.";
    assert_eq!(w.delete(c, &[row]), row);
    let heard = w.notes(d);
    assert_eq!(heard.last(), Some(&format!("me: ObjectDeletion {row}")), "{heard:?}");
    assert_eq!(w.notes(c), [format!("other: ObjectDeletion {row}")]);
    assert!(matches!(w.closed.last(), Some((conn, CloseReason::Forbidden(_))) if *conn == d));
    assert_eq!(w.instances(c, SUBSCRIPTIONS, true).lines().count(), 1, "TP-469 1.78");
    w.wait(1000);
    assert!(w.notes(d).is_empty());
}

#[test]
fn a_controller_without_the_right_hears_nothing_of_its_end() {
    let (mut w, c) = world();
    let d = w.controller("self::d");
    w.subscribe(d, "me", "ObjectDeletion", "Device.LocalAgent.Controller.*.");
    let role = w.add(c, ROLES, &["Name=Mute", "Enable=true"]);
    let role = role.split(' ').next().unwrap().to_owned();
    w.add(
        c,
        &format!("{role}Permission."),
        &["Order=1", "Enable=true", "Targets=Device.", "InstantiatedObj=rw--"],
    );
    let assigned = format!("AssignedRole={}", role.trim_end_matches('.'));
    w.set(c, "Device.LocalAgent.Controller.2.", &[&assigned]);
    w.notes(d);
    w.delete(c, &["Device.LocalAgent.Controller.2."]);
    assert!(w.notes(d).is_empty());
}

/// What waits for a Controller is not sent once its role forbids it.
#[test]
fn what_waits_is_reviewed_when_rights_change() {
    let (mut w, c) = world();
    let d = w.controller("self::d");
    w.subscribe_with(d, "v", "ValueChange", "Device.", &["NotifRetry=true", "Persistent=true"]);
    w.notes(d);
    w.disconnect(d);
    w.set(c, "Device.DeviceInfo.", &["FriendlyName=secret", "ProvisioningCode=open"]);
    let role = w.add(c, ROLES, &["Name=Less", "Enable=true"]);
    let role = role.split(' ').next().unwrap().to_owned();
    let permissions = format!("{role}Permission.");
    let open = ["Order=1", "Enable=true", "Targets=Device.DeviceInfo.ProvisioningCode", "Param=r--n"];
    w.add(c, &permissions, &open);
    let assigned = format!("AssignedRole={}", role.trim_end_matches('.'));
    w.set(c, "Device.LocalAgent.Controller.2.", &[&assigned]);
    let d = w.controller("self::d");
    assert_eq!(w.notes(d), ["v: ValueChange Device.DeviceInfo.ProvisioningCode=open"]);
}

#[test]
fn a_subscription_that_is_off_has_nothing_left_to_say() {
    let (mut w, c) = world();
    let row = w.subscribe_with(c, "v", "ValueChange", "Device.DeviceInfo.", &["NotifRetry=true"]);
    w.set(c, "Device.DeviceInfo.", &["FriendlyName=x"]);
    assert_eq!(w.notes(c).len(), 1);
    w.set(c, &row, &["Enable=false"]);
    w.wait(1000);
    assert!(w.notes(c).is_empty());
}

/// The keys of a new row are told as far as they may be read.
#[test]
fn keys_of_new_rows_are_filtered() {
    let (mut w, c) = world();
    let d = w.controller("self::d");
    w.subscribe(d, "new", "ObjectCreation", "Device.LocalAgent.Controller.");
    let role = w.add(c, ROLES, &["Name=Less", "Enable=true"]);
    let role = role.split(' ').next().unwrap().to_owned();
    let permissions = format!("{role}Permission.");
    w.add(c, &permissions, &["Order=1", "Enable=true", "Targets=Device.", "Param=rwxn", "Obj=rwxn"]);
    w.add(c, &permissions, &["Order=2", "Enable=true", "Targets=Device.LocalAgent.Controller.*.EndpointID"]);
    w.set(c, "Device.LocalAgent.Controller.2.", &[&format!("AssignedRole={}", role.trim_end_matches('.'))]);
    w.notes(d);
    w.add(c, "Device.LocalAgent.Controller.", &["EndpointID=self::x"]);
    assert_eq!(w.notes(d), ["new: ObjectCreation Device.LocalAgent.Controller.3. Alias=cpe-3"]);
}

#[test]
fn a_subscription_starts_with_what_comes_next() {
    let (mut w, c) = world();
    w.report("a", &[(0, number("20"))]);
    w.subscribe(c, "v", "ValueChange", "Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.Value");
    assert!(w.notes(c).is_empty(), "not with the value that it finds");
    w.report("a", &[(0, number("20"))]);
    assert!(w.notes(c).is_empty());
}

/// TP-469 1.54, R-NOT.1: the first retry after 5 to 10 s, the second 10 to 20 s after that, by default.
#[test]
fn the_first_retries_by_default() {
    for entropy in 0..40 {
        let mut config = crate::bench::config();
        config.entropy = entropy;
        let mut w = World::with(config);
        let c = w.controller("self::c");
        w.subscribe_with(c, "v", "ValueChange", "Device.DeviceInfo.", &["NotifRetry=true"]);
        w.set(c, "Device.DeviceInfo.", &["FriendlyName=x"]);
        let mut sent = Vec::new();
        for tenth in 0..320 {
            sent.extend(w.take_notifies(c).iter().map(|_| tenth));
            w.advance(std::time::Duration::from_millis(100));
        }
        let (first, second) = (sent[1] - sent[0], sent[2] - sent[1]);
        assert!((50..=101).contains(&first) && (99..=201).contains(&second), "{sent:?}");
    }
}

/// R-NOT.8: a response that was not asked for changes nothing.
#[test]
fn a_response_that_nobody_asked_for_is_ignored() {
    let (mut w, c) = world();
    w.subscribe(c, "once", "ValueChange", "Device.DeviceInfo.FriendlyName");
    w.subscribe_with(c, "kept", "ValueChange", "Device.DeviceInfo.FriendlyName", &["NotifRetry=true"]);
    w.set(c, "Device.DeviceInfo.", &["FriendlyName=x"]);
    let told = w.take_notifies(c);
    let once = told.iter().find(|(_, n)| n.subscription_id == "once").unwrap();
    assert!(!once.1.send_resp);
    let msg_id = once.0.clone();
    w.confirm(c, &msg_id);
    w.wait(11);
    assert_eq!(w.notes(c), ["kept: ValueChange Device.DeviceInfo.FriendlyName=x"]);
}

/// R-NOT.10: what a Service tells is confirmed with its own subscription_id.
#[test]
fn a_services_notification_is_confirmed() {
    let (mut w, _) = world();
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let change = ValueChange { param_path: "Device.X_Lamp.Colour".to_owned(), param_value: "x".to_owned() };
    let notify = usp::Notify {
        subscription_id: "theirs".to_owned(),
        send_resp: true,
        notification: Some(Notification::ValueChange(change)),
    };
    let answer = w.ask(s, usp::request::ReqType::Notify(notify));
    assert_eq!(crate::bench::text::answer(&answer), "theirs");
}

/// R-NOT.9, R-NOT.3: a response counts by its msg_id, of the Controller that it is due from, once.
#[test]
fn a_response_is_matched_by_its_msg_id() {
    let (mut w, c) = world();
    let d = w.controller("self::d");
    for (conn, id) in [(c, "c"), (d, "d")] {
        w.subscribe_with(conn, id, "ValueChange", "Device.DeviceInfo.FriendlyName", &["NotifRetry=true"]);
    }
    w.set(c, "Device.DeviceInfo.", &["FriendlyName=x"]);
    let of_c = w.take_notifies(c);
    let of_d = w.take_notifies(d);
    assert!(of_c[0].1.send_resp && of_d[0].1.send_resp);
    w.confirm(d, &of_c[0].0);
    w.confirm(c, "nonsense");
    w.wait(11);
    assert_eq!((w.take_notifies(c).len(), w.take_notifies(d).len()), (1, 1), "somebody else's word is none");
    w.confirm(c, &of_c[0].0);
    w.confirm(d, &of_d[0].0);
    w.wait(1000);
    assert!(w.notes(c).is_empty() && w.notes(d).is_empty());
}
