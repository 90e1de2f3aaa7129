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
            "Device.LocalAgent.ControllerTrust. RoleNumberOfEntries UntrustedRole",
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
            "Device.ProxiedDevice.2. Alias Description InterfaceReference IoTCapabilityNumberOfEntries LastTimeContacted Name NodeNumberOfEntries Online ProxyProtocol Type X_USPBROKER_Address X_USPBROKER_Mapping X_USPBROKER_Refresh()",
            "Device.ProxiedDevice.2.IoTCapability.{i}. Alias Class Name X_USPBROKER_LastError X_USPBROKER_Quality",
            "Device.ProxiedDevice.2.IoTCapability.{i}.BinarySensor. Description LastChange LastContactTime Type Value",
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
