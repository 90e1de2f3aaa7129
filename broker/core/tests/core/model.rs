//! GetSupportedDM.

use usp_proto::usp;
use usp_proto::usp::request::ReqType;

use crate::bench::World;
use crate::bench::peer::supported;
use crate::bench::text;

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[test]
fn an_object_with_all_below_it() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let answer = w.supported(c, "Device.UnixDomainSockets.");
    assert_eq!(
        lines(&answer),
        [
            "Device.UnixDomainSockets. UnixDomainSocketNumberOfEntries",
            "Device.UnixDomainSockets.UnixDomainSocket.{i}. Alias Mode Path"
        ]
    );
    let table = w.supported(c, "Device.UnixDomainSockets.UnixDomainSocket.");
    assert_eq!(table, w.supported(c, "Device.UnixDomainSockets.UnixDomainSocket.{i}."));
    let root = w.supported(c, "Device.");
    assert!(root.contains("Device.LocalAgent.ControllerTrust.Role.{i}.Permission.{i}. "), "{root}");
    assert!(
        root.lines().next().unwrap().ends_with("FactoryReset() Reboot() ScheduleTimer() Boot!"),
        "{root}"
    );
}

#[test]
fn the_first_level_has_details_of_the_object_alone() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let answer = text::answer(&w.ask(c, supported(&["Device.LocalAgent.ControllerTrust."], true)));
    assert_eq!(
        lines(&answer),
        [
            "Device.LocalAgent.ControllerTrust. RoleNumberOfEntries SecuredRoles UntrustedRole",
            "Device.LocalAgent.ControllerTrust.Role.{i}."
        ]
    );
}

#[test]
fn flags_choose_the_details() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let request = usp::GetSupportedDm {
        obj_paths: vec!["Device.".to_owned()],
        first_level_only: true,
        return_commands: true,
        ..Default::default()
    };
    let answer = text::answer(&w.ask(c, ReqType::GetSupportedDm(request)));
    assert_eq!(lines(&answer)[0], "Device. FactoryReset() Reboot() ScheduleTimer()");
}

#[test]
fn single_elements_come_alone_whatever_the_flags() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let request = usp::GetSupportedDm {
        obj_paths: vec![
            "Device.Reboot()".to_owned(),
            "Device.Boot!".to_owned(),
            "Device.DeviceInfo.UpTime".to_owned(),
            "Device.Nothing()".to_owned(),
        ],
        ..Default::default()
    };
    let answer = text::answer(&w.ask(c, ReqType::GetSupportedDm(request)));
    assert_eq!(
        lines(&answer),
        ["Device. Reboot()", "Device. Boot!", "Device.DeviceInfo. UpTime", "Device.Nothing(): 7026"]
    );
}

#[test]
fn proxied_devices_diverge() {
    let mut w = World::new();
    w.site("a: box, b: plain");
    let c = w.controller("self::c");
    assert_eq!(
        w.supported(c, "Device.ProxiedDevice."),
        "Device.ProxiedDevice.{i}. ~Device.ProxiedDevice.1. ~Device.ProxiedDevice.2."
    );
    let root = w.supported(c, "Device.");
    assert!(root.contains("Device.ProxiedDevice.{i}. ~") && !root.contains("IoTCapability"), "{root}");
    let plain = w.supported(c, "Device.ProxiedDevice.2.");
    assert_eq!(
        lines(&plain),
        [
            "Device.ProxiedDevice.2. Alias Description InterfaceReference IoTCapabilityNumberOfEntries LastTimeContacted Name NodeNumberOfEntries Online ProxyProtocol Type X_USPBROKER_Address X_USPBROKER_LinkQuality X_USPBROKER_Mapping X_USPBROKER_SignalStrength X_USPBROKER_Refresh()",
            "Device.ProxiedDevice.2.IoTCapability.{i}. Alias Class Name X_USPBROKER_LastError X_USPBROKER_Quality",
            "Device.ProxiedDevice.2.IoTCapability.{i}.BinarySensor. Description LastChange LastContactTime Type Value",
            "Device.ProxiedDevice.2.X_USPBROKER_Stats. CycleTime Failures Garbled LongestCycleTime Refusals Requests Timeouts Waiting",
        ]
    );
    let full = w.supported(c, "Device.ProxiedDevice.1.");
    for class in ["LevelSensor", "BinaryControl", "EnumControl", "LevelControl"] {
        assert!(full.contains(&format!("IoTCapability.{{i}}.{class}.")), "{full}");
    }
    assert!(
        !full.contains("BlobSensor")
            && !full.contains("LowLevelThreshold")
            && full.contains("HighLevelThreshold"),
        "{full}"
    );
    assert_eq!(w.supported(c, "Device.ProxiedDevice.9."), "Device.ProxiedDevice.9.: 7026");
}

#[test]
fn a_services_model_is_part_of_ours_while_it_is_there() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let expected =
        ["Device.X_Lamp. Colour Blink() Fade() Burnt!", "Device.X_Lamp.Zone.{i}. Level Name Dim()"];
    assert_eq!(lines(&w.supported(c, "Device.X_Lamp.")), expected);
    assert!(w.supported(c, "Device.").contains("Device.X_Lamp.Zone.{i}."));
    assert_eq!(w.supported(c, "Device.X_Lamp.Zone.{i}.Dim()"), "Device.X_Lamp.Zone.{i}. Dim()");
    w.disconnect(s);
    assert_eq!(w.supported(c, "Device.X_Lamp."), "Device.X_Lamp.: 7026");
    assert!(!w.supported(c, "Device.").contains("X_Lamp"));
}

#[test]
fn proxied_devices_that_support_the_same_do_not_diverge() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let whole = w.supported(c, "Device.ProxiedDevice.");
    assert!(
        !whole.contains('~') && whole.contains("BlobSensor.") && whole.contains("LevelControl."),
        "{whole}"
    );
    w.site("a: plain, b: plain");
    let own = w.supported(c, "Device.ProxiedDevice.");
    assert_eq!(
        own,
        w.supported(c, "Device.ProxiedDevice.1.").replace("ProxiedDevice.1.", "ProxiedDevice.{i}.")
    );
    assert!(own.contains("BinarySensor.") && !own.contains("LevelControl."), "{own}");
    w.site("a: plain, b: plain, c: box");
    assert_eq!(w.supported(c, "Device.ProxiedDevice.").matches('~').count(), 3);
    let first = text::answer(&w.ask(c, supported(&["Device."], true)));
    assert!(first.contains("Device.ProxiedDevice.{i}. ~Device.ProxiedDevice.1."), "{first}");
}

#[test]
fn a_device_is_asked_for_what_it_has_alone() {
    let mut w = World::new();
    w.site("a: box, b: plain");
    let c = w.controller("self::c");
    let level = |row| format!("Device.ProxiedDevice.{row}.IoTCapability.{{i}}.LevelControl.");
    assert!(w.supported(c, &level("1")).starts_with(&format!("{} ", level("1"))));
    for absent in [level("2"), format!("{}Value", level("2")), format!("{}StepUp()", level("2"))] {
        assert_eq!(w.supported(c, &absent), format!("{absent}: 7026"));
    }
    let one = "Device.ProxiedDevice.1.IoTCapability.2.";
    let answer = w.supported(c, one);
    assert!(answer.contains("BinaryControl.") && !answer.contains("LevelControl."), "{answer}");
}

#[test]
fn supported_paths_are_written_in_many_ways() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.subscribe(c, "a", "Event", "Device.Boot!");
    let table = "Device.LocalAgent.Subscription.";
    let element = |w: &mut World, path: &str| w.supported(c, path);
    assert_eq!(element(&mut w, &format!("{table}{{i}}.ID")), format!("{table}{{i}}. ID"));
    assert_eq!(element(&mut w, &format!("{table}1.ID")), format!("{table}1. ID"));
    for (path, code) in [
        ("Device.LocalAgent.Subscription.9.", 7026),
        ("Device.LocalAgent.Subscription.{i}.Nothing", 7026),
        ("Device.LocalAgent.Subscription.*.", 7008),
        ("Device.LocalAgent.Subscription.[ID==\"a\"].", 7008),
        ("Device.LocalAgent.Controller.{i}.BootParameter.1.", 7008),
        ("Device.Boot", 7026),
        ("Device.Nothing!", 7026),
        ("Device.InvalidObject.", 7026),
        ("", 7008),
    ] {
        assert_eq!(element(&mut w, path), format!("{path}: {code}"));
    }
}

/// The one object of an answer, in full.
fn object(
    w: &mut World,
    c: usp_core::input::ConnId,
    path: &str,
) -> usp::get_supported_dm_resp::SupportedObjectResult {
    let answer = w.ask(c, supported(&[path], false));
    let Some(usp::body::MsgBody::Response(response)) = usp_proto::message::body(&answer) else { panic!() };
    let Some(usp::response::RespType::GetSupportedDmResp(response)) = &response.resp_type else { panic!() };
    response.req_obj_results[0].supported_objs[0].clone()
}

#[test]
fn key_sets_access_and_types_are_told() {
    // TP-469 1.99, N-WOR.1
    let mut w = World::new();
    let c = w.controller("self::c");
    let subscription = object(&mut w, c, "Device.LocalAgent.Subscription.");
    let sets: Vec<Vec<String>> = subscription.unique_key_sets.iter().map(|s| s.key_names.clone()).collect();
    assert_eq!(sets, [vec!["Alias".to_owned()], vec!["Recipient".to_owned(), "ID".to_owned()]]);
    assert_eq!((subscription.access, subscription.is_multi_instance), (1, true));
    let param = |name: &str| {
        let found = subscription.supported_params.iter().find(|p| p.param_name == name).unwrap();
        (found.access, found.value_type)
    };
    assert_eq!([param("ID"), param("CreationDate"), param("TimeToLive")], [(1, 8), (0, 3), (1, 9)]);
    assert!(subscription.supported_params.iter().all(|p| p.value_type != 0 && p.value_change != 0));
    let toggle = object(&mut w, c, "Device.ProxiedDevice.{i}.IoTCapability.{i}.BinaryControl.Toggle()");
    assert_eq!(toggle.supported_commands[0].command_type, 2);
    let reboot = object(&mut w, c, "Device.Reboot()");
    assert_eq!(reboot.supported_commands[0].command_type, 1);
    assert_eq!(reboot.supported_commands[0].input_arg_names, ["Cause", "Reason"]);
    assert!(
        object(&mut w, c, "Device.Boot!").supported_events[0].arg_names.contains(&"ParameterMap".to_owned())
    );
}
