//! Commands and events that mappings declare.

use std::time::Duration;

use usp_core::input::ConnId;
use usp_mapping::mapping::{CommandStep, ModbusOptions, Protocol, StepValue};
use usp_mapping::port::{Action, CommandId, DeviceFault};
use usp_mapping::transform::Transform;
use usp_mapping::value::Value;

use crate::bench::World;
use crate::bench::device::{Behaviour, number};
use crate::bench::site::{edited, vendor};

const RESET: &str = "Device.ProxiedDevice.1.X_ACME_Reset()";

fn world() -> (World, ConnId) {
    let mut w = World::new();
    w.load(edited("a: box", vendor));
    let c = w.controller("self::c");
    (w, c)
}

#[test]
fn a_command_of_a_mapping_has_a_request_row_and_ends_with_what_the_device_did() {
    let (mut w, c) = world();
    w.subscribe(c, "o", "OperationComplete", "Device.ProxiedDevice.");
    let answer = w.operate(c, RESET, "k", &["Minutes=15", "Other=ignored"]);
    assert_eq!(answer, format!("{RESET} -> Device.LocalAgent.Request.1."));
    let args = vec![Value::Number(15.into()), Value::Text("Soft".to_owned())];
    assert_eq!(w.calls.last().unwrap().action, Action::Command(CommandId(0), args));
    assert_eq!(w.notes(c), [format!("o: OperationComplete {RESET} 'k' ok")]);
    w.device("a", Behaviour::Fails(DeviceFault::Refused("locked".to_owned())));
    w.operate(c, RESET, "k", &["Minutes=15", "Mode=Hard"]);
    assert_eq!(w.notes(c), [format!("o: OperationComplete {RESET} 'k' 7022")]);
    w.operate(c, "Device.ProxiedDevice.1.Node.1.X_ACME_Test()", "t", &[]);
    assert_eq!(w.calls.last().unwrap().action, Action::Command(CommandId(1), Vec::new()));
    assert_eq!(
        w.get(c, "Device.LocalAgent.RequestNumberOfEntries"),
        "Device.LocalAgent.RequestNumberOfEntries=0"
    );
}

/// A command of many steps, or of pauses between them, does not fail while each of its steps is in time.
#[test]
fn a_command_is_given_as_long_as_its_steps_may_take() {
    let given = |takes: u64, write_rate: u64| {
        let mut w = World::new();
        w.load(edited("a: box", |mapping| {
            vendor(mapping);
            let step = CommandStep {
                point: mapping.capabilities[1].write.clone().unwrap().point,
                transform: Transform::default(),
                value: StepValue::Fixed(Value::Bool(true)),
            };
            let reset = &mut mapping.commands[0];
            (reset.steps, reset.takes) = (vec![step; 6], Duration::from_secs(takes));
            let options =
                ModbusOptions { write_rate: Duration::from_secs(write_rate), ..ModbusOptions::default() };
            mapping.protocol = Protocol::Modbus(options);
        }));
        let c = w.controller("self::c");
        w.operate(c, RESET, "", &["Minutes=1"]);
        w.calls.last().unwrap().within.as_secs()
    };
    assert_eq!(given(6, 0), 5 + 6 + 1);
    assert_eq!(given(12, 5), 5 + 12 + 6 * 5 + 1, "it must pause between its writes");
    assert_eq!(given(1, 0), 5 + 5);
    assert_eq!(given(4000, 0), 5 + 300 + 1, "nobody waits for ever");
}

/// R-OPR.5, R-OPR.7.
#[test]
fn arguments_are_checked_before_anything_is_done() {
    let (mut w, c) = world();
    for args in [&[][..], &["Minutes=241"], &["Minutes=1.5"], &["Minutes=x"], &["Minutes=1", "Mode=Medium"]] {
        assert_eq!(w.operate(c, RESET, "", args), format!("{RESET} -> 7027"), "{args:?}");
    }
    assert!(w.calls.is_empty());
    let other = "Device.ProxiedDevice.1.Node.2.X_ACME_Test()";
    assert_eq!(
        w.operate(c, other, "", &[]),
        format!("{other} -> 7026"),
        "the right node has no such command"
    );
}

#[test]
fn an_offline_device_is_not_told_to_do_anything() {
    let (mut w, c) = world();
    w.subscribe(c, "o", "OperationComplete", "Device.ProxiedDevice.");
    w.report_online("a", Err(DeviceFault::Unreachable("cable cut".to_owned())));
    w.operate(c, RESET, "k", &["Minutes=1"]);
    assert_eq!(w.notes(c), [format!("o: OperationComplete {RESET} 'k' 7022")]);
    assert!(w.calls.is_empty());
}

#[test]
fn they_are_supported_where_the_mapping_has_them() {
    let (mut w, c) = world();
    let device = w.supported(c, "Device.ProxiedDevice.");
    assert!(device.lines().next().unwrap().contains("X_ACME_Reset()"), "{device}");
    assert!(device.lines().next().unwrap().contains("X_ACME_Overload!"), "{device}");
    let left = w.supported(c, "Device.ProxiedDevice.1.Node.1.");
    assert!(left.lines().next().unwrap().ends_with("X_ACME_Test() X_ACME_Pressed!"), "{left}");
    assert!(!w.supported(c, "Device.ProxiedDevice.1.Node.2.").contains("X_ACME"));
    assert!(w.supported(c, RESET).contains("X_ACME_Reset()"));
    let mut site = w.site.as_ref().clone();
    site.devices.push(crate::bench::site::site("b: plain").devices[0].clone());
    w.load(site.into());
    let (first, second) =
        (w.supported(c, "Device.ProxiedDevice.1."), w.supported(c, "Device.ProxiedDevice.2."));
    assert!(first.contains("X_ACME_Reset()") && !second.contains("X_ACME"), "{first}\n{second}");
    let other = "Device.ProxiedDevice.2.X_ACME_Reset()";
    assert_eq!(w.operate(c, other, "", &["Minutes=1"]), format!("{other} -> 7026"));
    w.site("b: plain");
    assert_eq!(w.supported(c, RESET), format!("{RESET}: 7026"));
}

/// Mappings of the library give their commands names that begin as the broker's own do.
#[test]
fn names_that_begin_as_ours_belong_to_their_mapping_too() {
    let mut w = World::new();
    let ours = |mapping: &mut usp_mapping::mapping::Mapping| {
        vendor(mapping);
        mapping.commands[0].name = "X_USPBROKER_Siren".to_owned();
        mapping.events[0].name = "X_USPBROKER_Alarm".to_owned();
    };
    let mut site = edited("a: box", ours).as_ref().clone();
    site.devices.push(crate::bench::site::site("b: plain").devices[0].clone());
    w.load(site.into());
    let c = w.controller("self::c");
    let rows = w.supported(c, "Device.ProxiedDevice.");
    assert!(rows.contains("Device.ProxiedDevice.1.") && rows.contains("Device.ProxiedDevice.2."), "{rows}");
    let (first, second) =
        (w.supported(c, "Device.ProxiedDevice.1."), w.supported(c, "Device.ProxiedDevice.2."));
    for name in ["X_USPBROKER_Siren()", "X_USPBROKER_Alarm!"] {
        assert!(first.contains(name) && !second.contains(name), "{name}: {first}\n{second}");
    }
    for own in ["X_USPBROKER_Refresh()", "X_USPBROKER_Mapping"] {
        assert!(first.contains(own) && second.contains(own), "{own}: {first}\n{second}");
    }
    let other = "Device.ProxiedDevice.2.X_USPBROKER_Siren()";
    let operate = crate::bench::peer::operate(other, "", &[]);
    let answer = crate::bench::text::loud(&w.ask(c, operate));
    assert_eq!(answer, format!("{other} -> 7026 {other}: device b has no such Command"));
    w.site("b: plain");
    let gone = "Device.ProxiedDevice.2.X_USPBROKER_Siren()";
    assert_eq!(w.supported(c, gone), format!("{gone}: 7026"));
    assert!(w.calls.is_empty());
}

#[test]
fn an_event_happens_when_its_reading_becomes_what_it_waits_for() {
    let (mut w, c) = world();
    w.subscribe(c, "e", "Event", "Device.ProxiedDevice.*.X_ACME_Overload!");
    w.report("a", &[(7, Value::Bool(true))]);
    assert!(w.notes(c).is_empty(), "nobody knows what it was before");
    w.report("a", &[(7, Value::Bool(false))]);
    w.report("a", &[(0, number("21")), (7, Value::Bool(true))]);
    let told = "e: Event Device.ProxiedDevice.1.X_ACME_Overload!";
    assert_eq!(w.notes(c), [format!("{told} Level=21 Seen=true")], "the relay was not read");
    w.report("a", &[(7, Value::Bool(true))]);
    assert!(w.notes(c).is_empty(), "it is so already");
    w.report("a", &[(7, Value::Bool(false))]);
    w.report_fault("a", 0, DeviceFault::Invalid("sensor broken".to_owned()));
    w.report_fault("a", 7, DeviceFault::Timeout(std::time::Duration::from_secs(1)));
    w.report("a", &[(7, Value::Bool(true))]);
    assert_eq!(w.notes(c), [format!("{told} Seen=true")], "what is not good is not carried");
}

#[test]
fn an_event_of_a_node_is_its_own() {
    let (mut w, c) = world();
    w.subscribe(c, "e", "Event", "Device.ProxiedDevice.*.Node.*.X_ACME_Pressed!");
    w.subscribe(c, "all", "Event", "Device.ProxiedDevice.1.");
    w.report("a", &[(8, Value::Bool(false))]);
    w.report("a", &[(8, Value::Bool(true))]);
    let told = "Event Device.ProxiedDevice.1.Node.1.X_ACME_Pressed!";
    assert_eq!(w.notes(c), [format!("e: {told}"), format!("all: {told}")]);
    let same = w.site.clone();
    w.load(same);
    w.report("a", &[(8, Value::Bool(false))]);
    assert_eq!(w.notes(c).len(), 2, "a reload forgets nothing");
}

#[test]
fn commands_and_events_need_their_permission() {
    let (mut w, c) = world();
    w.add(c, "Device.LocalAgent.ControllerTrust.Role.", &["Name=Guest", "Enable=true"]);
    let role = "Device.LocalAgent.ControllerTrust.Role.3";
    w.add(
        c,
        &format!("{role}.Permission."),
        &[
            "Enable=true",
            "Order=1",
            "Targets=Device.ProxiedDevice.",
            "Param=r---",
            "Obj=r---",
            "CommandEvent=r---",
        ],
    );
    let guest = w.controller("self::guest");
    let row = w.get(c, "Device.LocalAgent.Controller.[EndpointID==\"self::guest\"].EndpointID");
    let row = row.split("EndpointID=").next().unwrap().to_owned();
    w.set(c, &row, &[&format!("AssignedRole={role}")]);
    assert_eq!(w.operate(guest, RESET, "", &["Minutes=1"]), format!("{RESET} -> 7006"));
    assert!(w.calls.is_empty());
}
