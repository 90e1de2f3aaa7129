//! The Controller commands through a server.

use serde_json::Value;
use usp_simulators::service::{Service, ServiceConfig};
use usp_tests::cli::Cli;
use usp_tests::mosquitto::Mosquitto;
use usp_tests::place::Place;
use usp_tests::wait::eventually;

use super::{HUB_TOPIC, hub, main_client, operator, status};
use crate::ACTOR;
use crate::things::THERMOSTAT;

/// Get, Set, Add, Delete, Operate, GetInstances, GetSupportedDM and notifications, with a Service behind the broker.
async fn all_commands(settings: &str, query: &str) {
    let server = Mosquitto::start();
    let place = hub(&server, settings);
    let _broker = place.start();
    let mut config = ServiceConfig::new("proto::svc", &place.path("controller"));
    config.moves = false;
    let service = Service::spawn(config);
    service.until_registered().await;
    status(&place, "Connected");
    let cli = operator(&server, &place, query);
    let path = |rest: &str| format!("{THERMOSTAT}{rest}");
    eventually("the Service's model", || {
        cli.run(&["supported", THERMOSTAT]).out.contains("Setpoint").then_some(())
    });

    assert_eq!(cli.value("Device.DeviceInfo.Manufacturer"), "usp-broker");
    let watch = cli.watch(&[&path("Setpoint"), &path("Zone."), "--type", "ValueChange,ObjectCreation"]);
    cli.ok(&["set", &format!("{}=19.5", path("Setpoint"))]);
    let row = cli.ok(&["add", &path("Zone."), "Name=Hall"]);
    let mut told: Vec<_> = (0..2)
        .map(|_| serde_json::from_str::<Value>(&watch.line()).unwrap()["type"].as_str().unwrap().to_owned())
        .collect();
    told.sort();
    assert_eq!(told, ["ObjectCreation", "ValueChange"]);
    assert!(cli.ok(&["instances", &path("Zone.")]).contains(row.trim()));
    cli.ok(&["delete", row.trim()]);
    let done = cli.ok(&["operate", &path("Calibrate()"), "Reference=20.5"]);
    assert!(done.contains("Offset"), "{done}");
    assert!(cli.ok(&["supported", THERMOSTAT]).contains("Setpoint"));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_commands_work_in_5_0() {
    all_commands("", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_commands_work_in_3_1_1() {
    all_commands("version = \"3.1.1\"", "version=3.1.1").await;
}

/// Quality of Service 0 both ways, and one client for each of two servers at the same time.
#[test]
fn two_clients_serve_two_servers_at_once() {
    let (one, two) = (Mosquitto::start(), Mosquitto::start());
    let second = format!(
        "[[mqtt]]\nname = \"second\"\nbroker = \"{}\"\nversion = \"3.1.1\"\nresponse_topic = \"other/hub\"\n\
         [[controller]]\nendpoint_id = \"self::second\"\nrole = \"Full Access\"\n\
         mqtt = {{ client = \"second\", topic = \"other/me\" }}\n",
        two.address()
    );
    let place = Place::new(ACTOR, &(main_client(&one, "") + &second));
    let _broker = place.start();
    let cli = place.cli();
    for client in 1..=2 {
        let path = format!("Device.MQTT.Client.{client}.Status");
        eventually("both clients", || (cli.value(&path) == "Connected").then_some(()));
    }
    let via = format!("mqtt://{}/other/hub?agent=self::hub&version=3.1.1&qos=0", two.address());
    let there = Cli::new(ACTOR, &via, place.dir()).acting_as("self::second");
    let here = operator(&one, &place, "qos=0");
    for _ in 0..3 {
        assert_eq!(here.value("Device.MQTT.Client.2.Name"), "second");
        assert_eq!(there.value("Device.MQTT.Client.1.Name"), "main");
    }
}

#[test]
fn what_cannot_work_is_told_at_once() {
    let server = Mosquitto::start();
    let place = Place::new(ACTOR, "");
    let via = |topic: &str| format!("mqtt://{}/{topic}?agent=self::hub", server.address());
    let fails = |via: &str| Cli::new(ACTOR, via, place.dir()).fails(1, &["get", "Device."]);
    let told = fails(&via("nobody/there"));
    assert!(told.contains("reached nobody: no matching subscribers"), "{told}");
    let told = fails(&format!("mqtt://127.0.0.1:1/{HUB_TOPIC}"));
    assert!(told.contains("no way to the Agent") && told.contains("no MQTT server listens there"), "{told}");
}
