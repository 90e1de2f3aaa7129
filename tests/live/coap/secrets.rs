//! A planted key must appear nowhere.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use usp_simulators::coap::oma::light;
use usp_simulators::coap::{CoapServer, SimPsk};
use usp_tests::place::Place;

use super::{online, path, site};
use crate::ACTOR;

const KEY: &str = "planted-key-7c1e";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_in_no_log_error_answer_or_explanation() {
    let psk = SimPsk { identity: "hub".to_owned(), key: KEY.into() };
    let good = CoapServer::bind_still(([127, 0, 0, 1], 0).into(), light(1, "Lamp"), Some(psk)).await.unwrap();
    let other = SimPsk { identity: "hub".to_owned(), key: b"another".to_vec() };
    let bad =
        CoapServer::bind_still(([127, 0, 0, 1], 0).into(), light(1, "Lamp"), Some(other)).await.unwrap();
    let mut place = Place::new(ACTOR, "");
    // All that can be told is told, by the libraries too.
    place.env("USP_BROKER_LOG", "trace,dimpl=trace");
    place.write("lamp.key", &format!("{KEY}\n"));
    std::fs::set_permissions(place.path("lamp.key"), Permissions::from_mode(0o600)).unwrap();
    let psk = ", psk: {identity: hub, key: \"file:lamp.key\"}";
    site(
        &place,
        &[
            ("good", "use: ipso.light", good.local_addr(), psk),
            ("bad", "use: ipso.light", bad.local_addr(), psk),
        ],
    );
    let _broker = place.start();
    let cli = place.cli();
    online(&cli, "good", true);
    online(&cli, "bad", false);
    let mut seen = cli.fails(1, &["set", &format!("{}=true", path("bad", "switch", "BinaryControl"))]);
    for command in [
        &["get", "Device."][..],
        &["supported", "Device."],
        &["config", "check", "broker.toml"],
        &["mapping", "check", "site.yaml"],
        &["mapping", "explain", "site.yaml"],
        &["mapping", "explain", "site.yaml", "--json"],
        &["mapping", "diff", "ipso.light", "ipso.climate"],
    ] {
        let ended = cli.run(command);
        seen += &(ended.out + &ended.told);
    }
    assert!(seen.contains("hub") || seen.contains("lamp"), "{seen}");
    let log = place.log();
    assert!(log.contains("TRACE"), "{log}");
    seen += &log;
    let spelled: String = KEY.bytes().map(|byte| format!("{byte:02x}")).collect();
    for secret in [KEY, &spelled] {
        assert!(!seen.to_ascii_lowercase().contains(secret), "the key is shown");
    }
    let open = place.open_files_with(&[KEY, &spelled]);
    assert!(open.is_empty(), "others may read it in {open:?}");
}
