//! Simulated devices, found by `scan coap`; and that nothing was written.

use usp_simulators::coap::CoapServer;
use usp_simulators::coap::oma::{light, temperature};
use usp_simulators::coap::packet::GET;
use usp_tests::place::Place;

use super::{becomes, online};
use crate::ACTOR;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_are_found_and_what_is_proposed_works() {
    let place = Place::new(ACTOR, "");
    let cli = place.cli();
    for (device, switch) in [(light(1, "Lamp"), true), (temperature(2), false)] {
        let server = CoapServer::bind_still(([127, 0, 0, 1], 0).into(), device, None).await.unwrap();
        let address = server.local_addr().to_string();
        let told =
            cli.run(&["scan", "coap", "--host", &address, "-o", "site.yaml", "--force", "--timeout", "20s"]);
        assert_eq!(told.code, 0, "{told:#?}");
        assert!(told.out.contains("CoAP devices found: 1"), "{told:#?}");
        assert!(server.handle().log().iter().all(|seen| seen.method == GET), "a scan cannot write");
        cli.ok(&["mapping", "check", "site.yaml"]);
        let site = std::fs::read_to_string(place.path("site.yaml")).unwrap();
        assert!(!site.contains("demo"), "nobody has such a device: {site}");
        let _broker = place.start();
        online(&cli, "device-1", true);
        if switch {
            becomes(&cli, "device-1", "switch", "BinaryControl", "false");
        } else {
            becomes(&cli, "device-1", "temperature", "LevelSensor", "21.5");
        }
    }
}

#[test]
fn a_scan_that_cannot_be_is_told_and_one_without_anybody_is_empty() {
    let place = Place::new(ACTOR, "");
    let cli = place.cli();
    assert!(cli.fails(2, &["scan", "coap", "--host", "10.0.0.0/8"]).contains("at most 1024"));
    assert!(cli.fails(2, &["scan", "coap"]).contains("required"));
    let nobody = cli.ok(&["scan", "coap", "--host", "127.0.0.1:1", "--timeout", "1s"]);
    assert!(nobody.contains("CoAP devices found: 0"), "{nobody}");
}
