//! Rows of Controllers: on-boarding, transports, roles, what they hear at the start.

use std::collections::BTreeSet;

use usp_core::input::{ConnId, MtpKind, Side};
use usp_proto::err_code::ErrCode;
use usp_proto::message;
use usp_proto::usp;
use usp_proto::usp::notify::Notification;
use usp_proto::usp::response::RespType;

use crate::bench::World;
use crate::bench::mqtt::seeds;

const OWN: &str = "Device.LocalAgent.Controller.1.";
const ON_BOARD: &str = ": OnBoardRequest";

fn world() -> (World, ConnId) {
    let mut w = World::new();
    let c = w.controller("self::c");
    (w, c)
}

/// TP-469 1.60, 1.101: R-NOT.5, R-NOT.6, R-NOT.7.
#[test]
fn an_on_board_request_is_sent_until_it_is_confirmed() {
    let (mut w, c) = world();
    assert_eq!(w.get(c, &format!("{OWN}OnBoardingComplete")), format!("{OWN}OnBoardingComplete=true"));
    let command = format!("{OWN}SendOnBoardRequest()");
    assert_eq!(w.operate(c, &command, "test60", &[]), format!("{command} -> ok"));
    let (first, request) = w.take_notifies(c).remove(0);
    assert!(request.send_resp && request.subscription_id.is_empty());
    let Some(Notification::OnBoardReq(told)) = request.notification else { panic!() };
    assert_eq!(
        (&*told.oui, &*told.product_class, &*told.serial_number, &*told.agent_supported_protocol_versions),
        ("012345", "hub", "0001", "1.0,1.1,1.2,1.3,1.4")
    );
    assert_eq!(w.get(c, &format!("{OWN}OnBoardingComplete")), format!("{OWN}OnBoardingComplete=false"));
    w.wait(10);
    let (second, _) = w.take_notifies(c).remove(0);
    assert_eq!(first, second, "the same Message again");
    w.confirm(c, &second);
    // TP-469 1.103: OnBoardingRestartTime 0.
    w.wait(10_000);
    assert!(w.notes(c).is_empty());
    w.set(c, OWN, &["OnBoardingComplete=true"]);
    w.set(c, OWN, &["OnBoardingComplete=false"]);
    assert_eq!(w.notes(c), [ON_BOARD], "setting it is enough");
}

/// R-NOT.6a: a NotifyResp alone is one, and nothing else puts off what is to be sent again.
#[test]
fn nothing_but_a_notify_response_confirms() {
    let (mut w, c) = world();
    w.operate(c, &format!("{OWN}SendOnBoardRequest()"), "", &[]);
    w.subscribe_with(c, "s", "ValueChange", "Device.DeviceInfo.FriendlyName", &["NotifRetry=true"]);
    w.set(c, "Device.DeviceInfo.", &["FriendlyName=new"]);
    let sent = w.take_notifies(c);
    let ids: Vec<String> = sent.into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), 2);
    let other = RespType::GetResp(usp::GetResp::default());
    for wait in [10, 20] {
        for id in &ids {
            w.send(c, message::error(id, ErrCode::INTERNAL_ERROR, "busy", Vec::new()));
            w.send(c, message::response(id, other.clone()));
        }
        w.wait(wait);
        let again: BTreeSet<String> = w.take_notifies(c).into_iter().map(|(id, _)| id).collect();
        assert_eq!(again, ids.iter().cloned().collect(), "the same Messages again");
    }
    ids.iter().for_each(|id| w.confirm(c, id));
    w.wait(10_000);
    assert!(w.notes(c).is_empty());
}

/// TP-469 1.102.
#[test]
fn on_boarding_starts_again_until_it_is_complete() {
    let (mut w, c) = world();
    w.set(c, OWN, &["OnBoardingRestartTime=60"]);
    w.operate(c, &format!("{OWN}SendOnBoardRequest()"), "", &[]);
    for _ in 0..2 {
        let (id, _) = w.take_notifies(c).remove(0);
        w.confirm(c, &id);
        w.wait(59);
        assert!(w.notes(c).is_empty());
        w.wait(1);
    }
    let (id, _) = w.take_notifies(c).remove(0);
    w.confirm(c, &id);
    w.set(c, OWN, &["OnBoardingComplete=true"]);
    w.wait(200);
    assert!(w.notes(c).is_empty());
    w.set(c, OWN, &["OnBoardingComplete=false"]);
    w.set(c, OWN, &["OnBoardingComplete=true"]);
    w.notes(c);
    w.wait(200);
    assert!(w.notes(c).is_empty(), "complete: what was on its way is taken back");
}

/// TP-469 9.9.
#[test]
fn a_new_controller_is_on_boarded_when_it_comes() {
    let (mut w, c) = world();
    let table = "Device.LocalAgent.Controller.";
    w.add(c, table, &["EndpointID=self::new", "Enable=true"]);
    w.wait(100_000);
    let n = w.controller("self::new");
    let (id, _) = w.take_notifies(n).remove(0);
    w.disconnect(n);
    // It never confirmed, so it is asked again after a restart.
    let mut w = w.restart_after(1, true);
    let n = w.controller("self::new");
    let (again, _) = w.take_notifies(n).remove(0);
    assert_ne!(id, again);
    w.confirm(n, &again);
    w.wait(1000);
    assert!(w.notes(n).is_empty());
    let c = w.controller("self::c");
    w.add(c, table, &["EndpointID=self::off"]);
    let off = format!("{table}[EndpointID==\"self::off\"].SendOnBoardRequest()");
    assert!(w.operate(c, &off, "", &[]).ends_with("-> 7022"), "it is not enabled");
}

#[test]
fn the_agent_says_what_it_supports() {
    let (mut w, c) = world();
    let count = "Device.LocalAgent.SupportedNumberOfSubscriptions";
    assert_eq!(w.get(c, count), format!("{count}=4096"));
    let trust = "Device.LocalAgent.ControllerTrust.";
    let two = format!("UntrustedRole={trust}Role.1,{trust}Role.2");
    assert_eq!(w.set(c, trust, &[&two]), format!("Error 7012\n{trust}UntrustedRole: 7012"));
}

/// TP-469 1.70.
#[test]
fn a_transport_that_a_controller_came_over_has_a_row() {
    let (mut w, c) = world();
    let mtp = "Device.LocalAgent.Controller.1.MTP.";
    assert_eq!(
        w.instances(c, "Device.LocalAgent.Controller.*.MTP.", true),
        format!("{mtp}1. Alias=cpe-1 Protocol=UDS")
    );
    let expected = ["Alias=cpe-1", "Enable=true", "Protocol=UDS"].map(|p| format!("{mtp}1.{p}")).join("\n");
    let socket = "UnixDomainSocketRef=Device.UnixDomainSockets.UnixDomainSocket.1";
    assert_eq!(w.get(c, mtp), format!("{expected}\n{mtp}1.UDS.USPServiceRef=\n{mtp}1.UDS.{socket}"));
    let far = w.connect(MtpKind::WebSocket, Side::Agent, "self::c", true);
    assert_eq!(w.get(far, &format!("{mtp}2.Protocol")), format!("{mtp}2.Protocol=WebSocket"));
    w.set(c, OWN, &["ProvisioningCode=kept"]);
    let mut w = w.restart_after(1, true);
    let c = w.controller("self::c");
    assert_eq!(
        w.get(c, &format!("{mtp}*.Protocol")),
        format!("{mtp}1.Protocol=UDS\n{mtp}2.Protocol=WebSocket")
    );
}

#[test]
fn a_transport_is_forbidden_for_one_controller() {
    let (mut w, c) = world();
    let far = w.connect(MtpKind::WebSocket, Side::Agent, "self::c", true);
    let mtp = "Device.LocalAgent.Controller.1.MTP.";
    w.set(c, &format!("{mtp}2."), &["Enable=false"]);
    assert!(matches!(w.closed[..], [(conn, _)] if conn == far));
    let again = w.connect(MtpKind::WebSocket, Side::Agent, "self::c", true);
    assert!(w.closed.iter().any(|(conn, _)| *conn == again));
    assert_eq!(w.add(c, mtp, &["Protocol=WebSocket"]), format!("Error 7025\n{mtp}Protocol: 7025"));
    assert_eq!(w.add(c, mtp, &["Protocol=STOMP"]), format!("Error 7012\n{mtp}Protocol: 7012"));
    assert_eq!(w.delete(c, &[&format!("{mtp}2.")]), format!("{mtp}2."));
    w.connect(MtpKind::WebSocket, Side::Agent, "self::c", true);
    assert_eq!(w.closed.len(), 2);
}

/// TP-469 2.9: R-SEC.6.
#[test]
fn a_new_controller_has_the_untrusted_role() {
    let (mut w, c) = world();
    let row = w.add(c, "Device.LocalAgent.Controller.", &["EndpointID=self::new"]);
    let role = format!("{}AssignedRole", row.split(' ').next().unwrap());
    assert_eq!(w.get(c, &role), format!("{role}=Device.LocalAgent.ControllerTrust.Role.2"));
}

/// TP-469 9.10.
#[test]
fn boot_carries_what_its_controller_wants_and_may_read() {
    let (mut w, c) = world();
    w.subscribe_with(c, "boot", "Event", "Device.Boot!", &["Persistent=true"]);
    for name in ["Device.DeviceInfo.SerialNumber", "Device.LocalAgent.MTP.*.Protocol", "Device.Nothing.X"] {
        let params = [&*format!("ParameterName={name}"), "Enable=true"];
        w.add(c, "Device.LocalAgent.Controller.1.BootParameter.", &params);
    }
    let mut w = w.restart_after(1, true);
    let c = w.controller("self::c");
    let expected = "{\"Device.DeviceInfo.SerialNumber\":\"0001\",\"Device.LocalAgent.MTP.1.Protocol\":\"UDS\",\"Device.LocalAgent.MTP.2.Protocol\":\"WebSocket\"}";
    let notes = w.notes(c);
    assert!(notes[0].contains(&format!("ParameterMap={expected}")), "{notes:?}");
    let role = "Device.LocalAgent.ControllerTrust.Role.";
    w.add(c, role, &["Name=N", "Enable=true"]);
    let rest = ["Enable=true", "Targets=Device.,Device.Boot!", "Param=----", "CommandEvent=r--n", "Order=1"];
    w.add(c, &format!("{role}3.Permission."), &rest);
    let some = ["Enable=true", "Targets=Device.LocalAgent.MTP.1.", "Param=r---", "Order=2"];
    w.add(c, &format!("{role}3.Permission."), &some);
    w.set(c, OWN, &["AssignedRole=Device.LocalAgent.ControllerTrust.Role.3"]);
    let mut w = w.restart_after(1, true);
    let c = w.controller("self::c");
    let notes = w.notes(c);
    assert!(notes[0].contains("ParameterMap={\"Device.LocalAgent.MTP.1.Protocol\":\"UDS\"}"), "{notes:?}");
}

/// TP-469 1.55.
#[test]
fn a_subscription_made_without_a_clock_ends_in_time() {
    let mut w = World::new().restart_after(0, false);
    let c = w.controller("self::c");
    let more = ["TimeToLive=100", "Persistent=true"];
    let row = w.subscribe_with(c, "s", "ValueChange", "Device.DeviceInfo.", &more);
    let date = format!("{row}CreationDate");
    assert_eq!(w.get(c, &date), format!("{date}=0001-01-01T00:00:00Z"));
    w.wait(30);
    w.wall_is_true = true;
    assert_eq!(w.get(c, &date), format!("{date}=2026-01-01T00:00:00Z"), "30 s ago");
    let mut w = w.restart_after(40, true);
    let c = w.controller("self::c");
    w.wait(29);
    assert_eq!(w.get(c, &date), format!("{date}=2026-01-01T00:00:00Z"));
    w.wait(1);
    assert_eq!(w.get(c, &date), format!("{date}: 7026"));
}

#[test]
fn built_in_roles_stay_what_they_are() {
    let (mut w, c) = world();
    let role = "Device.LocalAgent.ControllerTrust.Role.";
    for (row, setting) in [
        ("1.", "Name=Nobody"),
        ("2.", "Name=Everybody"),
        ("1.", "Enable=false"),
        ("1.Permission.1.", "Param=----"),
        ("1.Permission.1.", "Enable=false"),
    ] {
        let name = setting.split('=').next().unwrap();
        let row = format!("{role}{row}");
        assert_eq!(w.set(c, &row, &[setting]), format!("Error 7013\n{row}{name}: 7013"));
    }
    for row in ["1.", "2.", "1.Permission.1."] {
        let row = format!("{role}{row}");
        assert_eq!(w.delete(c, &[&row]), format!("Error 7024\n{row}: 7024"));
    }
    let more = ["Enable=true", "Targets=Device.DeviceInfo.", "Param=r---", "Order=1"];
    assert!(w.add(c, &format!("{role}2.Permission."), &more).starts_with(&format!("{role}2.Permission.1.")));
}

#[test]
fn numbers_below_a_row_that_is_gone_leave_the_disk() {
    let (mut w, c) = world();
    let table = "Device.LocalAgent.Controller.";
    w.add(c, table, &["EndpointID=self::x"]);
    w.add(c, &format!("{table}2.BootParameter."), &["ParameterName=Device.DeviceInfo.UpTime"]);
    let below = |w: &World| {
        w.disk
            .snapshot
            .highest
            .iter()
            .filter(|(t, _)| t.starts_with("Device.LocalAgent.Controller.2."))
            .count()
    };
    assert_eq!(below(&w), 1);
    w.delete(c, &[&format!("{table}2.")]);
    assert_eq!(below(&w), 0);
    assert!(w.disk.snapshot.highest.iter().any(|(t, _)| t == table));
}

#[test]
fn a_controller_that_is_deleted_is_left_alone() {
    let (mut w, c) = world();
    let n = w.controller("self::n");
    let row = "Device.LocalAgent.Controller.2.";
    w.subscribe(n, "p", "Event", "Device.LocalAgent.Periodic!");
    w.set(c, row, &["PeriodicNotifInterval=5", "OnBoardingRestartTime=5", "OnBoardingComplete=false"]);
    assert_eq!(w.notes(n), [ON_BOARD]);
    w.delete(c, &[row]);
    w.wait(1000);
    assert!(w.notes(n).is_empty());
    let n = w.controller("self::n");
    assert!(w.notes(n).is_empty(), "it has another row now");
}

/// TP-469 9.9, over MQTT: we reach the new Controller, it does not come to us.
#[test]
fn a_new_controller_is_reached_over_mqtt() {
    let mut w = World::with(seeds());
    w.mqtt_ready(1);
    w.mqtt_orders();
    let c = w.controller("self::c");
    let more = ["EndpointID=self::new", "Enable=true", "Alias=usp-111-Controller"];
    let row = w.add(c, "Device.LocalAgent.Controller.", &more);
    let row = row.split(' ').next().unwrap();
    let reference = "MQTT.AgentMTPReference=Device.LocalAgent.MTP.[Protocol==\"MQTT\"].";
    let made =
        w.add(c, &format!("{row}MTP."), &["Enable=true", "Protocol=MQTT", "MQTT.Topic=usp/new", reference]);
    assert_eq!(made, format!("{row}MTP.1. Alias=cpe-1 Protocol=MQTT"));
    let mut records = w.mqtt_records();
    records.retain(|record| record.starts_with("1 usp/new "));
    assert_eq!(records.len(), 2, "{records:?}");
    assert!(records[0].contains("Connect V5") && records[1].ends_with("Notify"), "{records:?}");
}

#[test]
fn controllers_of_an_older_version_are_not_boarded_again() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.set(c, OWN, &["ProvisioningCode=kept", "OnBoardingComplete=false"]);
    for (_, params) in &mut w.disk.snapshot.rows {
        params.retain(|(name, _)| name != "OnBoardingComplete");
    }
    let mut w = w.restart();
    let c = w.controller("self::c");
    assert!(w.notes(c).is_empty());
    assert_eq!(w.get(c, &format!("{OWN}OnBoardingComplete")), format!("{OWN}OnBoardingComplete=true"));
}
