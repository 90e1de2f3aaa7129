//! Devices on an MQTT server, found by `scan mqtt`.

use serde_json::Value;
use usp_simulators::mqtt::Relay;
use usp_tests::household::{Household, SHELLY, zigbee_address};
use usp_tests::mosquitto::Mosquitto;
use usp_tests::place::Place;
use usp_tests::port::Port;
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

/// Over TLS, with a password: what is proposed says where they are, and not what they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_tls_and_passwords_is_scanned() {
    const PASSWORD: &str = "pl4nted-s3cret";
    let mut server = Mosquitto::start();
    let passwords = server.passwords("hub", PASSWORD);
    crate::mqtt_devices::certificates(&server.path(""));
    let path = |name: &str| server.path(name).display().to_string();
    let plain = Port::keep();
    server.configure(&format!(
        "allow_anonymous true\npassword_file {}\ncafile {}\ncertfile {}\nkeyfile {}\nlistener {} 127.0.0.1\n",
        passwords.display(),
        path("ca.pem"),
        path("server.pem"),
        path("server.key"),
        plain.address().port(),
    ));
    std::fs::write(server.path("secret"), format!("{PASSWORD}\n")).unwrap();
    std::fs::write(server.path("wrong"), "no").unwrap();
    let (ca, secret, wrong) =
        (path("ca.pem"), format!("file:{}", path("secret")), format!("file:{}", path("wrong")));
    let other = path("server.pem");
    server.kill();
    server.again();
    let things = Household::start(plain.address());
    eventually("the things", || things.is_there().then_some(()));

    let place = Place::new(ACTOR, "");
    let cli = place.cli();
    let address = server.address().to_string();
    let scan = |more: &[&str]| cli.run(&[&["scan", "mqtt", &address, "--for", "4s"], more].concat());
    for version in ["5.0", "3.1.1"] {
        let found = scan(&["--ca", &ca, "--user", "hub", "--password", &secret, "--version", version]);
        assert_eq!(found.code, 0, "{found:#?}");
        assert!(found.out.contains("Boiler (A4CF12345678)"), "{found:#?}");
        assert!(
            found.out.contains(&format!("tls: {{ca: \"{ca}\"}}")) && found.out.contains(&secret),
            "{found:#?}"
        );
        assert!(!found.out.contains(PASSWORD) && !found.told.contains(PASSWORD), "{found:#?}");
    }
    for (more, why) in [
        (vec!["--ca", &other], "certificate"),
        (vec!["--ca", &ca, "--user", "hub", "--password", &wrong], "refuses us"),
        (vec!["--ca", "nowhere.pem"], "nowhere.pem cannot be read"),
        (vec![], ""),
    ] {
        let told = scan(&more);
        assert_eq!(told.code, 1, "{told:#?}");
        assert!(told.told.contains(why), "{why}: {told:#?}");
    }
    assert_eq!(scan(&["--user", "hub", "--password", PASSWORD]).code, 2);
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
