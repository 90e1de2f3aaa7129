//! How much bridges and devices may say of themselves.

use super::*;
use crate::adopt::{home_assistant, shelly, tasmota};

/// A document in which something says nothing, so that it has this many bytes.
fn of_length(json: &str, length: usize) -> String {
    let bare = json.replace("PAD", "");
    json.replace("PAD", &"x".repeat(length.saturating_sub(bare.len())))
}

#[test]
fn a_tasmota_device_says_so_much_of_itself() {
    let config =
        r#"{"t": "plug", "mac": "A4CF12345678", "rl": [1], "tp": ["cmnd", "stat", "tele"], "pad": "PAD"}"#;
    for (length, is_taken) in [(tasmota::MAX_TOLD, true), (tasmota::MAX_TOLD + 1, false)] {
        let mut adopter = adopter(&[AdoptedFrom::Tasmota]);
        adopter.hear("tasmota/discovery/A4CF12345678/config", of_length(config, length).as_bytes());
        assert_eq!(adopter.devices().len(), usize::from(is_taken), "{length}");
    }
}

#[test]
fn home_assistants_entities_have_so_many_bytes_together() {
    let mut adopter = adopter(&[AdoptedFrom::HomeAssistant]);
    let fits = home_assistant::MAX_TOLD / home_assistant::MAX_ENTITY;
    let topic = |number| format!("homeassistant/sensor/s{number:02}/config");
    let say = |adopter: &mut Adopter, number: usize| {
        let json = format!(r#"{{"uniq_id": "s{number:02}", "stat_t": "x/s{number:02}", "pad": "PAD"}}"#);
        adopter.hear(&topic(number), of_length(&json, home_assistant::MAX_ENTITY).as_bytes());
        adopter.devices().len()
    };
    for number in 0..fits {
        assert_eq!(say(&mut adopter, number), number + 1);
    }
    assert_eq!(say(&mut adopter, fits), fits, "one too many");
    adopter.hear(&topic(0), b"");
    assert_eq!(say(&mut adopter, fits), fits, "there is room again");
    let longer =
        of_length(r#"{"uniq_id": "x", "stat_t": "x/x", "pad": "PAD"}"#, home_assistant::MAX_ENTITY + 1);
    let mut other = super::adopter(&[AdoptedFrom::HomeAssistant]);
    other.hear("homeassistant/sensor/x/config", longer.as_bytes());
    assert!(other.devices().is_empty(), "one entity");
}

/// Has a device asked and answers for it; how many devices there are then.
fn shelly_says(adopter: &mut Adopter, number: usize, length: usize) -> usize {
    let topic = format!("shelly{number:04}");
    adopter.hear(&format!("{topic}/online"), b"true");
    for (question, result) in [
        (0, format!(r#"{{"id": "{topic}", "app": "Plus1"}}"#)),
        (2, r#"{"switch:0": {"output": true}}"#.to_owned()),
    ] {
        let answer = format!(r#"{{"id": "{question} {topic}", "result": {result}, "pad": "PAD"}}"#);
        adopter.hear("usp-broker-1/rpc", of_length(&answer, length).as_bytes());
    }
    adopter.devices().len()
}

#[test]
fn shelly_devices_answer_with_so_many_bytes_each_and_together() {
    let mut adopter = adopter(&[AdoptedFrom::Shelly]);
    assert_eq!(shelly_says(&mut adopter, 0, shelly::MAX_ANSWER + 1), 0);
    let fits = shelly::MAX_TOLD / (2 * shelly::MAX_ANSWER);
    for number in 1..fits {
        shelly_says(&mut adopter, number, shelly::MAX_ANSWER);
    }
    assert_eq!(shelly_says(&mut adopter, fits, shelly::MAX_ANSWER), fits);
    assert_eq!(shelly_says(&mut adopter, fits + 1, shelly::MAX_ANSWER), fits, "one too many");
    // Those that are known are still heard, and room is used again.
    assert_eq!(shelly_says(&mut adopter, 1, shelly::MAX_ANSWER), fits);
    adopter.hear("shelly0001/online", b"");
    assert_eq!(shelly_says(&mut adopter, fits + 1, shelly::MAX_ANSWER), fits);
}
