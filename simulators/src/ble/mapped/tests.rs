//! Every Bluetooth device of the library, made from its mapping.

use usp_mapping::diagnostic::SourceFile;
use usp_mapping::draft::MappingDraft;
use usp_mapping::library::builtin;

use super::*;

fn is_same(found: &str, expected: &str) -> bool {
    match (found.parse::<f64>(), expected.parse::<f64>()) {
        (Ok(found), Ok(expected)) => (found - expected).abs() < 1e-9,
        _ => found == expected,
    }
}

/// It holds what the tests of its mapping say, and whatever they expect can be set: in bytes that the mapping's own reader, which
/// shares no code with this, finds the same in.
#[test]
fn devices_of_the_library_hold_what_their_tests_say() {
    let mut seen = 0;
    for (name, text) in builtin().iter().filter(|(name, _)| name.starts_with("ble/")) {
        let draft = MappingDraft::parse(&SourceFile::new(name, text)).0.unwrap();
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        let mut device = MappedBle::from_draft(&draft, mac, 1).unwrap().still();
        for test in draft.tests.iter().rev() {
            for (id, value) in &test.expect {
                let (id, value) = (id.value.as_str(), value.value.as_str());
                if !device.names().iter().any(|known| known == id) {
                    assert_eq!(id, "strength", "{name}: nothing else is without bytes");
                    continue;
                }
                device.set(id, value).unwrap_or_else(|why| panic!("{name} {id}: {why}"));
                let found = device.get(id).unwrap_or_default();
                assert!(is_same(&found, value), "{name} {id}: {found} instead of {value}");
                seen += 1;
            }
        }
        assert!(device.set("nothing", "1").is_err());
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn what_is_written_is_what_is_read() {
    let (name, text) = builtin().iter().find(|(name, _)| *name == "ble/switchbot-plug-mini.yaml").unwrap();
    let draft = MappingDraft::parse(&SourceFile::new(name, text)).0.unwrap();
    let mut device = MappedBle::from_draft(&draft, Mac([2, 0, 0, 0, 0, 1]), 1).unwrap().still();
    let at = device
        .chars
        .iter()
        .find(|at| at.characteristic.to_string().starts_with("cba20002"))
        .copied()
        .unwrap();
    device.write(at, &[0x57, 0x0f, 0x50, 0x01, 0x01, 0x00], true).unwrap();
    assert_eq!(device.get("switch").as_deref(), Some("false"));
    device.write(at, &[0x57, 0x0f, 0x50, 0x01, 0x01, 0x80], false).unwrap();
    assert_eq!(device.get("switch").as_deref(), Some("false"), "it does not obey");
    device.write(at, &[0x57, 0x0f, 0x50, 0x01, 0x01, 0x80], true).unwrap();
    assert_eq!(device.get("switch").as_deref(), Some("true"));
    // Who asks is told.
    device.told();
    device.write(at, &[0x57, 0x0f, 0x51, 0x01], true).unwrap();
    let told: Vec<Vec<u8>> = device.told().into_iter().map(|(_, value)| value).collect();
    assert_eq!(told, [[0x01, 0x80]]);
}

#[test]
fn a_press_is_over_soon() {
    let (name, text) = builtin().iter().find(|(name, _)| *name == "ble/shelly-blu-button.yaml").unwrap();
    let draft = MappingDraft::parse(&SourceFile::new(name, text)).0.unwrap();
    let mut device = MappedBle::from_draft(&draft, Mac([2, 0, 0, 0, 0, 1]), 1).unwrap().still();
    device.set("X_USPBROKER_Pressed", "double_press").unwrap();
    let mut last = || device.advert(false).service_data[&bthome::SERVICE].last().copied();
    assert_eq!([last(), last(), last(), last()], [Some(2), Some(2), Some(2), Some(0)]);
}
