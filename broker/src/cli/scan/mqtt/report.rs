//! What was found: a summary, the mappings, the site file, JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use usp_mapping::adopt::{Adopted, Adopter, LeftOut};
use usp_mapping::mapping::{MqttServer, MqttVersion};

use super::Mqtt;
use crate::cli::scan::target;
use crate::cli::{Failure, print_line};

/// Most of what is left out that is shown without --json.
const SHOWN: usize = 40;

/// One device in a line.
pub(super) fn line(device: &Adopted) -> String {
    let nodes = device.mapping.nodes.len();
    let count = device.mapping.capabilities.len();
    let nodes = if nodes == 0 { String::new() } else { format!(", {nodes} nodes") };
    let about = if device.mapping.description.is_empty() { "" } else { ", " };
    format!(
        "{} ({}){about}{}: {count} capabilities{nodes}",
        device.name, device.id, device.mapping.description
    )
}

/// Everything that is to be written.
struct Files {
    site: String,
    /// Name and text of each mapping.
    mappings: BTreeMap<String, String>,
}

/// Tells everything and writes what was wanted.
pub(super) fn report(
    args: &Mqtt,
    server: &MqttServer,
    adopter: &mut Adopter,
    whole: bool,
) -> Result<(), Failure> {
    let devices = adopter.devices();
    let site = args.output.as_ref().map(|folder| folder.join("site.yaml"));
    let files = files(server, &devices, |name| target::is_free(site.as_deref(), name, args.force));
    if let Some(dir) = &args.output {
        write(dir, &files, args.force)?;
    }
    if args.json {
        return print_line(to_json(&devices, adopter.left_out(), &files, whole));
    }
    summary(args, &devices, adopter.left_out(), &files, whole)
}

fn summary(
    args: &Mqtt,
    devices: &[Arc<Adopted>],
    left_out: &[LeftOut],
    files: &Files,
    whole: bool,
) -> Result<(), Failure> {
    let ended = if whole { "" } else { " (interrupted)" };
    print_line(format!("devices found: {}{ended}", devices.len()))?;
    for device in devices {
        print_line(format!("  {}", line(device)))?;
    }
    if !left_out.is_empty() {
        print_line(format!("not taken over: {}", left_out.len()))?;
    }
    for left in left_out.iter().take(SHOWN) {
        print_line(format!("  {}: {}: {}", left.device, left.what, left.why))?;
    }
    if left_out.len() > SHOWN {
        print_line(format!("  and {} more; --json shows all", left_out.len() - SHOWN))?;
    }
    if devices.is_empty() {
        return print_line(
            "Is it the right server? Devices that sleep are heard when they wake: try --for 60s.",
        );
    }
    match &args.output {
        Some(dir) => {
            print_line(format!("site file and {} mappings: {}", files.mappings.len(), dir.display()))
        }
        None => {
            print_line(format!("\n# site.yaml\n{}", files.site.trim_end()))?;
            for (name, text) in &files.mappings {
                print_line(format!("\n# {name}\n{}", text.trim_end()))?;
            }
            Ok(())
        }
    }
}

/// Devices with equal mappings share a file; another mapping with the same name gets a number.
fn files(server: &MqttServer, devices: &[Arc<Adopted>], is_free: impl Fn(&str) -> bool) -> Files {
    let mut mappings: BTreeMap<String, String> = BTreeMap::new();
    let mut keys = BTreeSet::new();
    let mut site = format!("# Found by `usp-broker scan mqtt`.\nsite: 1\nbuses:\n  mqtt: {}\n", bus(server));
    let whose: Vec<&str> = server.adopt.iter().map(|adoption| adoption.from.name()).collect();
    writeln!(
        site,
        "# Instead of the devices below, `adopt: [{}]` in the bus takes over all devices as they come and go.",
        whose.join(", ")
    )
    .ok();
    site.push_str(if devices.is_empty() { "devices: {}\n" } else { "devices:\n" });
    for device in devices {
        let file = (1..)
            .map(|number| {
                if number == 1 {
                    format!("{}.yaml", device.profile)
                } else {
                    format!("{}-{number}.yaml", device.profile)
                }
            })
            .find(|name| match mappings.get(name) {
                Some(text) => *text == device.text,
                // What is there already, of an earlier scan, is kept.
                None => is_free(name),
            })
            .unwrap_or_default();
        let key =
            (1..)
                .map(|number| {
                    if number == 1 { slug(&device.name) } else { format!("{}-{number}", slug(&device.name)) }
                })
                .find(|key| keys.insert(key.clone()))
                .unwrap_or_default();
        let (topic, name) = (Value::from(device.topic.as_str()), Value::from(device.name.as_str()));
        // Writing to a String cannot fail.
        writeln!(site, "  {key}: {{file: {file}, bus: mqtt, topic: {topic}, name: {name}}}  # {}", device.id)
            .ok();
        mappings.insert(file, device.text.clone());
    }
    Files { site, mappings }
}

/// As the site file has it; paths as seen from where the scan was made.
fn bus(server: &MqttServer) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    let mut keys = vec![format!("mqtt: {}", quoted(&server.address.to_string()))];
    keys.extend(server.user.as_ref().map(|user| format!("user: {}", quoted(user))));
    keys.extend(server.password.as_ref().map(|place| format!("password: {}", quoted(&place.to_string()))));
    if let Some(tls) = &server.tls {
        let mut inside: Vec<String> = tls.ca.iter().map(|ca| format!("ca: {}", quoted(ca))).collect();
        if let Some((cert, key)) = &tls.identity {
            inside.push(format!("cert: {}, key: {}", quoted(cert), quoted(&key.to_string())));
        }
        let all = if inside.is_empty() { "true".to_owned() } else { format!("{{{}}}", inside.join(", ")) };
        keys.push(format!("tls: {all}"));
    }
    if server.version == MqttVersion::V311 {
        keys.push("version: \"3.1.1\"".to_owned());
    }
    format!("{{{}}}", keys.join(", "))
}

/// A key of the site file.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars() {
        match c {
            c if c.is_ascii_alphanumeric() => slug.push(c.to_ascii_lowercase()),
            _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    let slug: String = slug.trim_end_matches('-').chars().take(48).collect();
    match slug.chars().next() {
        Some(first) if first.is_ascii_alphabetic() => slug,
        _ => format!("device-{slug}").trim_end_matches('-').to_owned(),
    }
}

fn write(dir: &Path, files: &Files, force: bool) -> Result<(), Failure> {
    let all = files.mappings.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    let all: Vec<_> =
        all.chain([("site.yaml", files.site.as_str())]).map(|(name, text)| (dir.join(name), text)).collect();
    target::write(&all, force)
}

fn to_json(devices: &[Arc<Adopted>], left_out: &[LeftOut], files: &Files, whole: bool) -> Value {
    let device = |device: &Arc<Adopted>| {
        json!({
            "id": device.id, "name": device.name, "topic": device.topic, "profile": device.profile,
            "type": device.mapping.device_type, "description": device.mapping.description, "mapping": device.text,
        })
    };
    let left = |left: &LeftOut| json!({"device": left.device, "what": left.what, "why": left.why});
    json!({
        "scan": 1, "complete": whole,
        "devices": devices.iter().map(device).collect::<Vec<_>>(),
        "left_out": left_out.iter().map(left).collect::<Vec<_>>(),
        "site": files.site,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_names_of_the_site_file() {
        assert_eq!(slug("Küche/Plug 1"), "k-che-plug-1");
        assert_eq!(slug("0x00158d"), "device-0x00158d");
        assert_eq!(slug("…"), "device");
    }
}
