//! Devices on an MQTT server, found by `scan mqtt`.

use serde_json::Value;
use usp_simulators::mqtt::Relay;
use usp_tests::household::{Household, SHELLY, zigbee_address};
use usp_tests::place::Place;
use usp_tests::wait::eventually;

use crate::ACTOR;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_on_a_server_is_found_and_proposed() {
    let relay = Relay::start().await.unwrap();
    let home = Household::start(relay.address());
    eventually("the things", || home.is_there().then_some(()));
    let place = Place::new(ACTOR, "");
    let cli = place.cli();
    let address = relay.address().to_string();
    for version in ["5.0", "3.1.1"] {
        let found = cli.json(&["scan", "mqtt", &address, "--for", "4s", "--version", version]);
        let ids: Vec<&str> = found["devices"]
            .as_array()
            .unwrap()
            .iter()
            .map(|device| device["id"].as_str().unwrap())
            .collect();
        let zigbee = [1, 2, 3].map(zigbee_address);
        let mut expected = vec!["0x00124b00deadbeef", "A4CF12345678", "breeze1", SHELLY];
        expected.extend(zigbee.iter().map(String::as_str));
        expected.sort_unstable();
        assert_eq!(ids, expected, "{found:#}");
        let left: Vec<&Value> = found["left_out"].as_array().unwrap().iter().collect();
        assert!(left.iter().any(|left| left["what"] == "sensor Dew point"), "{left:#?}");
    }

    // What it proposes is a site that can be used.
    let told = cli.run(&["scan", "mqtt", &address, "--for", "4s", "-o", "found"]);
    assert_eq!(told.code, 0, "{told:#?}");
    assert!(told.out.contains("devices found: 7"), "{told:#?}");
    cli.ok(&["mapping", "check", "found"]);
}

#[test]
fn without_a_server_it_says_so() {
    let place = Place::new(ACTOR, "");
    let told = place.cli().run(&["scan", "mqtt", "127.0.0.1:1", "--for", "1s"]);
    assert_eq!(told.code, 1, "{told:#?}");
    assert!(told.told.contains("no MQTT server listens there"), "{told:#?}");
    let told = place.cli().run(&["scan", "mqtt", "a b"]);
    assert_eq!(told.code, 2, "{told:#?}");
}
