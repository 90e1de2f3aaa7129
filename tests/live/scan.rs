//! Units that are simulated, found by `scan modbus`; and that nothing was written.

use std::time::Duration;

use serde_json::Value;
use usp_simulators::modbus::{LineSettings, ModbusLine, ModbusServer, Seen};
use usp_tests::place::Place;
use usp_tests::things::meter;
use usp_tests::wait::eventually;

use crate::ACTOR;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn units_behind_a_gateway_are_found_and_used() {
    let units = [(1, meter(1)), (7, meter(7).without_function(43))];
    let gateway = ModbusServer::bind_still(([127, 0, 0, 1], 0).into(), units).await.unwrap();
    let place = Place::new(ACTOR, "");
    let cli = place.cli();
    let address = gateway.local_addr().to_string();
    let scan =
        ["scan", "modbus", "--tcp", &address, "--units", "1-20", "--registers", "input:0-19,holding:0-30"];
    // What is there already is somebody's work, and nobody is asked anything before that is told.
    assert!(cli.fails(2, &[&scan[..], &["-o", "site.yaml"]].concat()).contains("site.yaml is there already"));
    assert!(gateway.log().is_empty());
    let told = cli.run(&[&scan[..], &["-o", "site.yaml", "--force", "--save", "scan.json"]].concat());
    assert_eq!(told.code, 0, "{told:#?}");
    assert!(told.out.contains("units found: 2, on buses: 1"), "{told:#?}");
    assert!(!gateway.log().iter().any(Seen::is_write));
    let saved: Value =
        serde_json::from_str(&std::fs::read_to_string(place.path("scan.json")).unwrap()).unwrap();
    let units = saved["places"][0]["units"].as_array().unwrap();
    assert_eq!((&units[0]["unit"], &units[1]["unit"]), (&Value::from(1), &Value::from(7)));
    assert_eq!(units[0]["profiles"][0], "usp.demo-meter");
    assert_eq!(units[1]["vendor"], Value::Null);
    // The meter has input registers 0 to 19 and, of these, holding registers 12 and 20 alone.
    let span =
        |span: &Value| format!("{} {} {}", span["table"].as_str().unwrap(), span["first"], span["count"]);
    let spans: Vec<String> = units[1]["spans"].as_array().unwrap().iter().map(span).collect();
    assert!(spans.iter().any(|span| span == "input 0 20"), "{spans:?}");
    assert!(spans.iter().any(|span| span.starts_with("holding 12 ")), "{spans:?}");

    // Of what it read, a mapping can begin.
    let saved = ["mapping", "new", "acme.found", "--from-scan", "scan.json", "-o", "found.yaml"];
    assert!(cli.fails(2, &saved).contains("--unit and --at choose among unit 1 at"));
    cli.ok(&[&saved[..], &["--unit", "7", "--at", &address]].concat());
    cli.ok(&["mapping", "check", "found.yaml"]);
    let tested = cli.ok(&["mapping", "test", "found.yaml"]);
    assert!(tested.contains("readings tested"), "{tested}");

    // What it proposes is a site that a broker takes.
    cli.ok(&["mapping", "check", "site.yaml"]);
    let _broker = place.start();
    eventually("the meter", || {
        let online = cli.values("Device.ProxiedDevice.*.Online");
        (online.len() == 1 && online.values().all(|is| is == "true")).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn units_on_a_serial_line_are_found() {
    let settings =
        LineSettings { baud: 115_200, bits_per_character: 11, delay: Duration::from_millis(1), strict: true };
    let line = ModbusLine::open(settings, [(3, meter(3)), (12, meter(12))], true).unwrap();
    let port = line.path().display().to_string();
    let place = Place::new(ACTOR, "");
    let cli = place.cli();
    let serial = ["scan", "modbus", "--serial", &port, "--baud", "115200", "--parity", "even"];
    let found = cli.json(&[&serial[..], &["--units", "1-14", "--timeout", "100ms"]].concat());
    let units: Vec<i64> = found["places"][0]["units"]
        .as_array()
        .unwrap()
        .iter()
        .map(|unit| unit["unit"].as_i64().unwrap())
        .collect();
    assert_eq!(units, [3, 12], "{found}");
    let site = found["site"].as_str().unwrap();
    assert!(site.contains("baud: 115200, parity: even, stop_bits: 1"), "{site}");
    assert!(site.contains("{use: usp.demo-meter, bus: bus-1, unit: 12}"), "{site}");
    assert_eq!(line.broken_silences(), 0);
    assert!(!line.log().iter().any(Seen::is_write));
}

#[test]
fn a_scan_that_cannot_be_is_told() {
    let place = Place::new(ACTOR, "");
    let cli = place.cli();
    let refused = |arguments: &[&str], part: &str| {
        let told = cli.fails(2, &[&["scan", "modbus"], arguments].concat());
        assert!(told.contains(part), "{told}");
    };
    refused(&["--tcp", "10.0.0.0/8"], "at most 1024");
    refused(&["--tcp", "a b"], "no host");
    refused(&["--tcp", "127.0.0.1", "--units", "9-1"], "no unit");
    refused(&[], "required");
    let nobody = cli.ok(&["scan", "modbus", "--tcp", "127.0.0.1:1", "--units", "1"]);
    assert!(nobody.contains("units found: 0"), "{nobody}");
}
