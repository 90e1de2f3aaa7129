//! A Service that is stopped and a device that is silent cost only themselves.

use std::time::Duration;

use usp_broker::client::Client;
use usp_proto::usp::get_resp::RequestedPathResult;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{Get, Set, set};
use usp_simulators::mischief::Fault;
use usp_tests::place::Place;
use usp_tests::things::meters;
use usp_tests::wait::eventually;

use crate::ACTOR;
use crate::things::{BOILER, THERMOSTAT};

/// Requests on other paths while the stalled ones are under way.
const OTHERS: usize = 50;

async fn get(client: &Client, path: &str) -> Vec<RequestedPathResult> {
    let get = Get { param_paths: vec![path.to_owned()], max_depth: 0 };
    match client.request(ReqType::Get(get)).await {
        Ok(RespType::GetResp(answer)) => answer.req_path_results,
        other => panic!("get {path}: {other:?}"),
    }
}

async fn value(client: &Client, path: &str) -> String {
    let results = get(client, path).await;
    let found =
        results.iter().flat_map(|r| &r.resolved_path_results).flat_map(|r| r.result_params.values()).next();
    found.unwrap_or_else(|| panic!("{path}: {results:?}")).to_owned()
}

/// Reads and writes of whatever does not stall.
async fn others(client: &Client, device: &str) {
    for round in 0..OTHERS {
        assert_eq!(value(client, "Device.DeviceInfo.Manufacturer").await, "usp-broker");
        assert_eq!(value(client, device).await, "true");
        let label = round.to_string();
        let setting = set::UpdateParamSetting { param: "Label".into(), value: label.clone(), required: true };
        let object = set::UpdateObject { obj_path: BOILER.into(), param_settings: vec![setting] };
        client.request(ReqType::Set(Set { allow_partial: false, update_objs: vec![object] })).await.unwrap();
        assert_eq!(value(client, &format!("{BOILER}Label")).await, label);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_service_and_a_silent_device_cost_only_themselves() {
    let (silent, lively) = (meters(&[1]).await, meters(&[1]).await);
    let place = Place::new(ACTOR, "[limits]\nservice_timeout_ms = 4000");
    place.meters(&[("silent", silent.local_addr(), 1), ("lively", lively.local_addr(), 1)]);
    let broker = place.start();
    let service = place.service("proto::stalled", THERMOSTAT);
    let other = place.service("proto::lively", BOILER);
    let cli = place.cli();
    let online = "Device.ProxiedDevice.*.Online";
    eventually("both devices", || cli.values(online).values().all(|online| online == "true").then_some(()));
    let of = |device: &str| {
        let row = cli.values(&format!("Device.ProxiedDevice.[Name==\"{device}\"].Online")).into_keys().next();
        row.unwrap().replace("Online", "")
    };
    let (silent_row, lively_row) = (of("silent"), of("lively"));
    lively.unit(1).unwrap().set("relay", usp_simulators::value::SimValue::Bool(true)).unwrap();
    let contact =
        cli.values(&format!("{lively_row}IoTCapability.*.BinaryControl.Value")).into_keys().next().unwrap();
    let level =
        cli.values(&format!("{silent_row}IoTCapability.*.LevelSensor.Value")).into_keys().next().unwrap();
    eventually("the relay", || (cli.value(&contact) == "true").then_some(()));

    service.signal("STOP");
    silent.fault(Fault::Silent);
    let (client, _notifications) = place.client("self::test").await;
    let explicit = format!("{THERMOSTAT}Setpoint");
    let stalled = async {
        let asked = [get(&client, &explicit), get(&client, "Device.")];
        let [explicit, all] = asked;
        tokio::join!(explicit, all)
    };
    let mut stalled = std::pin::pin!(stalled);
    tokio::select! {
        biased;
        () = others(&client, &contact) => {}
        _ = &mut stalled => panic!("{OTHERS} requests on other paths took longer than a deadline"),
    }
    let (explicit, all) = stalled.await;

    let [entry] = explicit.as_slice() else { panic!("{explicit:?}") };
    assert!(entry.err_code != 0 && entry.resolved_path_results.is_empty(), "{entry:?}");
    assert!(entry.err_msg.contains("proto::stalled"), "{entry:?}");
    let [found, failed] = all.as_slice() else { panic!("{} entries", all.len()) };
    assert!(found.err_code == 0 && failed.err_code != 0, "{failed:?}");
    assert_eq!((found.requested_path.as_str(), failed.requested_path.as_str()), ("Device.", "Device."));
    assert!(failed.err_msg.contains("proto::stalled"), "{failed:?}");
    let objects: Vec<&str> = found.resolved_path_results.iter().map(|r| r.resolved_path.as_str()).collect();
    for path in ["Device.DeviceInfo.", BOILER, silent_row.as_str(), lively_row.as_str()] {
        assert!(objects.contains(&path), "{path}: {objects:?}");
    }

    // The reading grows old, and nobody answers for a new one.
    let fault = eventually("an old reading", || {
        let answer = cli.json(&["get", &level]);
        answer["results"][0].get("error").cloned()
    });
    assert_eq!(fault["code"], 7003, "{fault}");
    assert!(fault["message"].as_str().unwrap().contains("silent"), "it names the device: {fault}");
    eventually("the device counts as gone", || {
        (cli.value(&format!("{silent_row}Online")) == "false").then_some(())
    });

    // What would change something says so too, and does nothing.
    let relay = format!("{silent_row}IoTCapability.[Name==\"Relay\"].BinaryControl.");
    let told = cli.fails(1, &["set", &format!("{relay}Value=true")]);
    assert!(told.contains("silent"), "{told}");
    let told = cli.fails(1, &["operate", &format!("{THERMOSTAT}Reset()")]);
    assert!(told.contains("proto::stalled"), "{told}");

    service.signal("CONT");
    silent.clear_faults();
    eventually("the Service again", || cli.values(&format!("{THERMOSTAT}Setpoint")).into_keys().next());
    eventually("the device again", || (cli.value(&format!("{silent_row}Online")) == "true").then_some(()));
    eventually("its readings", || cli.values(&level).into_keys().next());
    drop((broker, service, other));
    tokio::time::timeout(Duration::from_secs(5), silent.stop()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_device_leaves_its_bus_to_the_others() {
    let bus = meters(&[1, 2]).await;
    let place = Place::new(ACTOR, "");
    let address = bus.local_addr();
    place.write(
        "site.yaml",
        &format!(
            "site: 1\nbuses:\n  b: {{modbus_tcp: \"{address}\"}}\ndevices:\n  \
             silent: {{use: usp.demo-meter, bus: b, unit: 1}}\n  lively: {{use: usp.demo-meter, bus: b, unit: 2}}\n"
        ),
    );
    let _broker = place.start();
    let cli = place.cli();
    let online = |row: u32| cli.value(&format!("Device.ProxiedDevice.{row}.Online")) == "true";
    eventually("both devices", || (online(1) && online(2)).then_some(()));
    bus.unit(1).unwrap().fault(Fault::Silent);
    let relay = "Device.ProxiedDevice.2.IoTCapability.[Name==\"Relay\"].BinaryControl.";
    let mut on = false;
    eventually("the silent device counts as gone", || {
        on = !on;
        cli.ok(&["set", &format!("{relay}Value={on}")]);
        assert_eq!(usp_tests::modbus::relay(address, 2), (on, on), "the other is switched meanwhile");
        (!online(1)).then_some(())
    });
    assert!(online(2));
}
