//! GetInstances and GetSupportedProtocol.

use usp_proto::usp::GetSupportedProtocol;
use usp_proto::usp::request::ReqType;

use crate::bench::World;
use crate::bench::service::Manner;
use crate::bench::text;

#[test]
fn rows_of_a_table_with_their_keys() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.add(c, "Device.LocalAgent.Controller.1.BootParameter.", &["ParameterName=Device.X"]);
    let own = "Device.LocalAgent.Controller.1. Alias=cpe-1 EndpointID=self::c";
    assert_eq!(w.instances(c, "Device.LocalAgent.Controller.", true), own);
    let below = "Device.LocalAgent.Controller.1.BootParameter.1. Alias=cpe-1 ParameterName=Device.X";
    let mtp = "Device.LocalAgent.Controller.1.MTP.1. Alias=cpe-1 Protocol=UDS";
    assert_eq!(w.instances(c, "Device.LocalAgent.Controller.", false), format!("{own}\n{below}\n{mtp}"));
    assert_eq!(w.instances(c, "Device.LocalAgent.Controller.*.BootParameter.", true), below);
    assert_eq!(
        w.instances(c, "Device.LocalAgent.Controller.[EndpointID==\"self::c\"].BootParameter.", true),
        below
    );
    assert_eq!(w.instances(c, "Device.LocalAgent.Controller.1.BootParameter.", true), below);
    for none in [
        "Device.LocalAgent.Controller.[EndpointID==\"self::x\"].BootParameter.",
        "Device.LocalAgent.Request.",
    ] {
        assert_eq!(w.instances(c, none, false), "", "{none}");
    }
}

#[test]
fn each_mistake_has_its_code() {
    let mut w = World::new();
    let c = w.controller("self::c");
    for (path, code) in [
        ("Device.Nothing.", 7026),
        ("Device.DeviceInfo.", 7018),
        ("Device.DeviceInfo", 7008),
        ("Device.DeviceInfo.ModelName", 7008),
    ] {
        let answer = w.instances(c, path, true);
        assert!(answer == format!("{path}: {code}") || answer == format!("{path}: 7026"), "{answer}");
    }
}

#[test]
fn devices_and_services_have_instances_too() {
    let mut w = World::new();
    w.site("a: plain");
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    assert_eq!(
        w.instances(c, "Device.ProxiedDevice.", false),
        "Device.ProxiedDevice.1. Alias=cpe-1\nDevice.ProxiedDevice.1.IoTCapability.1. Alias=cpe-1 Name=Door"
    );
    assert_eq!(w.instances(c, "Device.X_Lamp.Zone.", true), "Device.X_Lamp.Zone.1.\nDevice.X_Lamp.Zone.2.");
    let all = w.instances(c, "Device.", false);
    assert!(
        all.contains("Device.X_Lamp.Zone.2.") && all.contains("Device.ProxiedDevice.1.IoTCapability.1."),
        "{all}"
    );
    w.manner(s, Manner::Refuses(7003));
    assert_eq!(w.instances(c, "Device.X_Lamp.Zone.", true), "Device.X_Lamp.Zone.: 7003");
    let all = w.instances(c, "Device.", false);
    assert!(all.contains("Device.ProxiedDevice.1.") && all.ends_with("Device.: 7003"), "{all}");
}

#[test]
fn the_supported_protocol() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let request = GetSupportedProtocol { controller_supported_protocol_versions: "1.0,1.1".to_owned() };
    assert_eq!(text::answer(&w.ask(c, ReqType::GetSupportedProtocol(request))), "1.0,1.1,1.2,1.3,1.4");
}
