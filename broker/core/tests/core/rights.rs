//! Who may do what: roles, unknown and untrusted peers.

use usp_core::config::{ControllerSeed, PermissionSeed, RoleSeed};
use usp_core::input::{ConnId, Input, MtpKind, Side};
use usp_core::output::CloseReason;
use usp_proto::endpoint_id::EndpointId;
use usp_proto::message;
use usp_proto::record::Record;
use usp_proto::usp;
use usp_proto::usp::request::ReqType;

use crate::bench::World;
use crate::bench::device::number;
use crate::bench::peer::{add, get, operate, set, supported};
use crate::bench::text;

fn permission(order: u32, target: &str, bits: [&str; 4]) -> PermissionSeed {
    PermissionSeed {
        order,
        targets: vec![target.to_owned()],
        param: bits[0].to_owned(),
        obj: bits[1].to_owned(),
        instantiated_obj: bits[2].to_owned(),
        command_event: bits[3].to_owned(),
    }
}

/// A world with a Reader who sees everything but `Device.LocalAgent.ControllerTrust.` and gets no notifications of
/// `Device.DeviceInfo.`, and an administrator.
fn world() -> (World, ConnId, ConnId) {
    let mut config = crate::bench::config();
    let read = ["r--n", "r--n", "r--n", "r--n"];
    config.seed.roles.push(RoleSeed {
        name: "Reader".to_owned(),
        permissions: vec![
            permission(1, "Device.", read),
            permission(2, "Device.LocalAgent.ControllerTrust.", ["----"; 4]),
            permission(3, "Device.DeviceInfo.", ["r---", "r---", "r---", "r---"]),
            permission(4, "Device.LocalAgent.Subscription.", ["rw-n", "rw-n", "rw-n", "r--n"]),
            permission(5, "Device.DeviceInfo.SerialNumber", ["----"; 4]),
        ],
    });
    config.seed.controllers.push(ControllerSeed {
        endpoint_id: EndpointId::parse("self::reader").unwrap(),
        role: "Reader".to_owned(),
        params: Vec::new(),
        mqtt: None,
    });
    let mut w = World::with(config);
    w.site("a: box");
    let admin = w.controller("self::admin");
    let reader = w.connect(MtpKind::WebSocket, Side::Agent, "self::reader", true);
    (w, admin, reader)
}

#[test]
fn a_reader_reads_what_it_may() {
    let (mut w, _, r) = world();
    w.lamp("self::lamp", "Device.X_Lamp.");
    assert_eq!(w.get(r, "Device.DeviceInfo.ModelName"), "Device.DeviceInfo.ModelName=Hub");
    assert_eq!(w.get(r, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour=red");
    for hidden in [
        "Device.LocalAgent.ControllerTrust.",
        "Device.LocalAgent.ControllerTrust.Role.1.Name",
        "Device.DeviceInfo.SerialNumber",
    ] {
        assert_eq!(w.get(r, hidden), format!("{hidden}: 7026"));
    }
    assert_eq!(w.get(r, "Device.LocalAgent.ControllerTrust.Role.*.Name"), "");
    let all = w.get(r, "Device.");
    assert!(
        all.contains("Device.DeviceInfo.ModelName=")
            && !all.contains("\nDevice.LocalAgent.ControllerTrust.")
            && !all.contains("SerialNumber"),
        "{all}"
    );
    assert!(!w.supported(r, "Device.").contains("ControllerTrust"));
    assert!(!w.instances(r, "Device.", false).contains("ControllerTrust"));
}

#[test]
fn a_reader_changes_nothing() {
    let (mut w, _, r) = world();
    w.lamp("self::lamp", "Device.X_Lamp.");
    assert_eq!(
        w.set(r, "Device.DeviceInfo.", &["FriendlyName=x"]),
        "Error 7006\nDevice.DeviceInfo.FriendlyName: 7006"
    );
    assert_eq!(w.set(r, "Device.X_Lamp.", &["Colour=x"]), "Error 7006\nDevice.X_Lamp.Colour: 7006");
    let relay = "Device.ProxiedDevice.1.IoTCapability.2.BinaryControl.";
    assert_eq!(w.set(r, relay, &["Value=true"]), format!("Error 7006\n{relay}Value: 7006"));
    assert_eq!(
        w.add(r, "Device.LocalAgent.Controller.", &[]),
        "Error 7006\nDevice.LocalAgent.Controller.: 7006"
    );
    assert_eq!(w.add(r, "Device.X_Lamp.Zone.", &[]), "Error 7006\nDevice.X_Lamp.Zone.: 7006");
    let row = "Device.LocalAgent.Controller.1.";
    assert_eq!(w.delete(r, &[row]), format!("Error 7006\n{row}: 7006"));
    assert_eq!(w.delete(r, &["Device.X_Lamp.Zone.1."]), "Error 7006\nDevice.X_Lamp.Zone.1.: 7006");
    assert_eq!(w.operate(r, "Device.Reboot()", "", &[]), "Device.Reboot() -> 7006");
    assert_eq!(w.operate(r, "Device.X_Lamp.Blink()", "", &[]), "Device.X_Lamp.Blink() -> 7006");
    let toggle = "Device.ProxiedDevice.*.IoTCapability.*.BinaryControl.Toggle()";
    let answer = w.operate(r, toggle, "", &[]);
    assert!(answer.lines().count() == 2 && answer.lines().all(|l| l.ends_with("7006")), "{answer}");
    assert!(w.calls.is_empty() && w.restarts.is_empty());
}

#[test]
fn notifications_follow_the_right_to_them() {
    let (mut w, admin, r) = world();
    w.subscribe(r, "all", "ValueChange", "Device.");
    w.notes(r);
    w.set(admin, "Device.DeviceInfo.", &["FriendlyName=x"]);
    assert!(w.notes(r).is_empty());
    for level in ["4", "5"] {
        w.report("a", &[(0, number(level))]);
    }
    assert!(w.notes(r).iter().any(|n| n.ends_with("LevelSensor.Value=5")));
}

/// R-SEC.7
#[test]
fn a_role_that_changes_counts_at_once() {
    let (mut w, admin, r) = world();
    let role = "Device.LocalAgent.ControllerTrust.Role.3.";
    let rows = w.get(admin, &format!("{role}Permission.[Order==3]."));
    let row = rows.split("Alias").next().unwrap().to_owned();
    w.set(admin, &row, &["Param=rw--"]);
    assert_eq!(w.set(r, "Device.DeviceInfo.", &["FriendlyName=x"]), "Device.DeviceInfo. FriendlyName=x");
    w.set(admin, role, &["Enable=false"]);
    assert!(w.get(r, "Device.DeviceInfo.ModelName").ends_with(": 7026"));
    w.set(
        admin,
        "Device.LocalAgent.Controller.1.",
        &["AssignedRole=Device.LocalAgent.ControllerTrust.Role.1"],
    );
    assert_eq!(w.get(r, "Device.DeviceInfo.ModelName"), "Device.DeviceInfo.ModelName=Hub");
}

#[test]
fn an_unknown_controller_is_told_so() {
    let (mut w, ..) = world();
    let stranger = w.connect(MtpKind::WebSocket, Side::Agent, "self::stranger", false);
    let answer = text::loud(&w.ask(stranger, get(&["Device.DeviceInfo."], 0)));
    assert!(answer.starts_with("Error 7006 self::stranger is not known here"), "{answer}");
    let local = w.connect(MtpKind::WebSocket, Side::Agent, "self::local", true);
    assert!(w.get(local, "Device.").starts_with("Error 7006"));
}

#[test]
fn who_has_a_row_is_answered_path_by_path_though_it_may_do_nothing() {
    // R-OPR.1, R-GET.1, R-GSP.0, R-SET.0, R-DEL.0
    let (mut w, admin, _) = world();
    let role = "Device.LocalAgent.ControllerTrust.Role.";
    w.add(admin, role, &["Name=Nothing", "Enable=true"]);
    let role = format!("AssignedRole={role}[Name==\"Nothing\"].");
    let role = ["EndpointID=self::n", "Enable=true", "OnBoardingComplete=true", &role];
    let made = w.add(admin, "Device.LocalAgent.Controller.", &role);
    assert!(made.starts_with("Device.LocalAgent.Controller."), "{made}");
    let n = w.controller("self::n");
    let reboot = "Device.Reboot()";
    assert_eq!(w.operate(n, reboot, "k", &[]), format!("{reboot} -> 7006"));
    assert!(w.restarts.is_empty());
    let up = "Device.DeviceInfo.UpTime";
    assert_eq!(w.get(n, up), format!("{up}: 7026"));
    let row = "Device.LocalAgent.Controller.1.";
    assert!(w.delete_partial(n, true, &[row]).starts_with(&format!("{row}: ")));
    let info = "Device.DeviceInfo.";
    let answer = w.ask(n, set(true, &[(info, &["FriendlyName=q"])]));
    assert!(text::answer(&answer).starts_with(&format!("{info}: ")));
    assert_eq!(w.supported(n, info), format!("{info}: 7026"));
    let versions = usp::GetSupportedProtocol { controller_supported_protocol_versions: "1.3".to_owned() };
    let answer = w.ask(n, ReqType::GetSupportedProtocol(versions));
    assert_eq!(text::answer(&answer), "1.0,1.1,1.2,1.3,1.4");
    assert!(w.set(n, info, &["FriendlyName=q"]).starts_with("Error 7"));
}

#[test]
fn a_name_alone_opens_no_door() {
    let (mut w, admin, _) = world();
    w.add(
        admin,
        "Device.LocalAgent.Controller.",
        &["EndpointID=self::boss", "Enable=true", "AssignedRole=Device.LocalAgent.ControllerTrust.Role.1"],
    );
    let boss = w.connect(MtpKind::WebSocket, Side::Agent, "self::boss", true);
    w.subscribe_with(boss, "all", "ValueChange", "Device.", &["NotifRetry=true", "Persistent=true"]);
    w.disconnect(boss);
    w.report("a", &[(0, number("5"))]);
    let impostor = w.connect(MtpKind::WebSocket, Side::Agent, "self::boss", false);
    let refusal = text::loud(&w.ask(impostor, get(&["Device.DeviceInfo."], 0)));
    assert!(refusal.starts_with("Error 7006 self::boss may do nothing here"), "{refusal}");
    w.report("a", &[(0, number("50"))]);
    w.set(admin, "Device.LocalAgent.Controller.[EndpointID==\"self::boss\"].", &["ProvisioningCode=x"]);
    w.report("a", &[(0, number("500"))]);
    assert!(w.notes(impostor).is_empty());
    assert!(w.get(impostor, "Device.DeviceInfo.ModelName").starts_with("Error 7006"));
    w.disconnect(impostor);
    let boss = w.connect(MtpKind::WebSocket, Side::Agent, "self::boss", true);
    assert!(!w.notes(boss).is_empty());
}

#[test]
fn a_disabled_controller_is_not_served() {
    let (mut w, admin, r) = world();
    w.subscribe(r, "me", "ValueChange", "Device.LocalAgent.Controller.1.Enable");
    w.set(admin, "Device.LocalAgent.Controller.1.", &["Enable=false"]);
    assert_eq!(w.notes(r), ["me: ValueChange Device.LocalAgent.Controller.1.Enable=false"]);
    assert!(matches!(w.closed.last(), Some((conn, CloseReason::Forbidden(_))) if *conn == r));
    let again = w.connect(MtpKind::WebSocket, Side::Agent, "self::reader", true);
    assert!(matches!(w.closed.last(), Some((conn, CloseReason::Forbidden(_))) if *conn == again));
}

#[test]
fn a_record_in_a_foreign_name_ends_the_connection() {
    let (mut w, admin, _) = world();
    let (from, to) =
        (EndpointId::parse("self::other").unwrap(), EndpointId::parse(crate::bench::BROKER).unwrap());
    let record = Box::new(Record::message(from, to, message::request("m", get(&["Device."], 0))));
    w.input(Input::Record { conn: admin, record });
    assert!(matches!(w.closed.last(), Some((conn, CloseReason::Protocol(_))) if *conn == admin));
}

#[test]
fn a_record_for_somebody_else_is_ignored() {
    let (mut w, admin, _) = world();
    let (from, to) = (EndpointId::parse("self::admin").unwrap(), EndpointId::parse("os::000000-x").unwrap());
    let record = Box::new(Record::message(from, to, message::request("m", get(&["Device."], 0))));
    w.input(Input::Record { conn: admin, record });
    assert!(w.answer(admin, "m").is_none() && w.closed.is_empty());
}

#[test]
fn a_repeated_request_is_answered_once_and_too_many_are_refused() {
    let mut config = crate::bench::config();
    config.limits.max_pending_per_controller = 3;
    let mut w = World::with(config);
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.manner(s, crate::bench::service::Manner::Silent);
    let request = message::request("twice", get(&["Device.X_Lamp.Colour"], 0));
    w.send(c, request.clone());
    w.send(c, request.clone());
    let others: Vec<String> = (0..2).map(|_| w.begin(c, get(&["Device.X_Lamp.Colour"], 0))).collect();
    assert_eq!(w.get(c, "Device.DeviceInfo.ModelName"), "Error 7005");
    w.wait(5);
    assert_eq!(w.answers(c, "twice").len(), 1);
    assert!(others.iter().all(|id| w.answer(c, id).is_some()));
    w.send(c, request);
    assert!(w.answers(c, "twice").is_empty());
    assert_eq!(w.get(c, "Device.DeviceInfo.ModelName"), "Device.DeviceInfo.ModelName=Hub");
}

#[test]
fn a_search_tells_nothing_that_a_get_would_not() {
    let (mut w, _, r) = world();
    for secret in [
        "Device.LocalAgent.ControllerTrust.Role.[Name==\"Reader\"].Name",
        "Device.LocalAgent.Controller.[AssignedRole#1+.Name==\"Reader\"].Alias",
    ] {
        let answer = w.get(r, secret);
        assert!(answer.is_empty() || answer == format!("{secret}: 7026"), "{answer}");
    }
    let path = "Device.LocalAgent.Controller.[EndpointID==\"self::reader\"].EndpointID";
    assert_eq!(w.get(r, path), "Device.LocalAgent.Controller.1.EndpointID=self::reader");
}

#[test]
fn what_a_service_shows_is_filtered_too() {
    let mut config = crate::bench::config();
    let none = ["----"; 4];
    config.seed.roles.push(RoleSeed {
        name: "Half".to_owned(),
        permissions: vec![
            permission(1, "Device.X_Lamp.", ["r---", "r---", "r---", "----"]),
            permission(2, "Device.X_Lamp.Zone.*.Level", none),
            permission(3, "Device.X_Lamp.Zone.2.", none),
        ],
    });
    config.seed.controllers.push(ControllerSeed {
        endpoint_id: EndpointId::parse("self::half").unwrap(),
        role: "Half".to_owned(),
        params: Vec::new(),
        mqtt: None,
    });
    let mut w = World::with(config);
    let h = w.controller("self::half");
    w.lamp("self::lamp", "Device.X_Lamp.");
    let shown = "Device.X_Lamp.Colour=red\nDevice.X_Lamp.Zone.1.Name=north";
    assert_eq!(w.get(h, "Device.X_Lamp."), shown);
    assert_eq!(w.get(h, "Device.X_Lamp.Zone.*.Level"), "");
    let hidden = "Device.X_Lamp.Zone.[Level==10].Name";
    assert_eq!(w.get(h, hidden), format!("{hidden}: 7026"));
    assert_eq!(w.instances(h, "Device.X_Lamp.Zone.", true), "Device.X_Lamp.Zone.1.");
}

#[test]
fn a_row_that_gets_another_name_is_its_former_peers_no_more() {
    let (mut w, admin, r) = world();
    w.subscribe_with(r, "v", "ValueChange", "Device.ProxiedDevice.", &["NotifRetry=true"]);
    w.set(admin, "Device.LocalAgent.Controller.1.", &["EndpointID=self::heir"]);
    w.report("a", &[(0, number("4"))]);
    w.notes(r);
    w.report("a", &[(0, number("5"))]);
    assert!(w.notes(r).is_empty());
    assert!(w.get(r, "Device.DeviceInfo.ModelName").starts_with("Error 7006"));
    let heir = w.connect(MtpKind::WebSocket, Side::Agent, "self::heir", true);
    assert!(!w.notes(heir).is_empty());
}

/// R-GIN.0: whether a row is there is not told to whoever may see and do nothing with it, by no code and by no text.
#[test]
fn a_hidden_row_is_not_told_from_one_that_is_not_there() {
    let nothing = permission(1, "Device.DeviceInfo.UpTime", ["r---", "----", "----", "----"]);
    let mut config = crate::bench::config();
    config.seed.roles.push(RoleSeed { name: "Blind".to_owned(), permissions: vec![nothing] });
    for (id, role) in [("self::admin", "Full Access"), ("self::blind", "Blind")] {
        config.seed.controllers.push(ControllerSeed {
            endpoint_id: EndpointId::parse(id).unwrap(),
            role: role.to_owned(),
            params: Vec::new(),
            mqtt: None,
        });
    }
    let mut w = World::with(config);
    let c = w.controller("self::blind");
    let mut told = |number: u32| {
        let row = format!("Device.LocalAgent.Controller.{number}.");
        let below = |rest: &str| format!("{row}{rest}");
        let mut all = Vec::new();
        for path in [&*row, &below("MTP."), &below("MTP.1."), &below("BootParameter."), &below("Alias")] {
            all.push(w.ask(c, get(&[path], 0)));
        }
        for path in [&*row, &below("MTP."), &below("MTP.1."), &below("E2ESession.")] {
            let request = usp::GetInstances { obj_paths: vec![path.to_owned()], first_level_only: false };
            all.push(w.ask(c, ReqType::GetInstances(request)));
            all.push(w.ask(c, supported(&[path], false)));
        }
        for partial in [false, true] {
            let obj_paths = vec![row.clone(), below("BootParameter.1.")];
            all.push(w.ask(c, ReqType::Delete(usp::Delete { allow_partial: partial, obj_paths })));
            for settings in [&["Alias=x"][..], &["Alias?=x"], &["Nope=x"], &["Alias?=x", "Nope?=y"]] {
                all.push(w.ask(c, set(partial, &[(&row, settings)])));
            }
            all.push(w.ask(c, set(partial, &[(&below("MTP.1."), &["Enable=x"])])));
            let add = add(partial, &[(&below("BootParameter."), &["ParameterName=Device."])]);
            all.push(w.ask(c, add));
        }
        all.push(w.ask(c, operate(&below("SendOnBoardRequest()"), "", &[])));
        let texts =
            all.iter().map(|msg| text::loud(msg).replace(&format!("Controller.{number}."), "Controller.N."));
        texts.collect::<Vec<String>>()
    };
    let (hidden, absent) = (told(1), told(99));
    for (hidden, absent) in hidden.iter().zip(&absent) {
        assert_eq!(hidden, absent);
    }
    let hidden = "Device.MQTT.Capabilities.";
    assert_eq!(w.instances(c, hidden, true), format!("{hidden}: 7026"), "as a Get says");
}
