//! A first mapping of a device out of the OMA objects that it says to have.
//!
//! Source: the OMA LwM2M object and resource registry (objects 3300 to 3350, first published as IPSO Smart Objects).

pub mod links;
mod objects;

use std::fmt::Write;

use self::links::Link;
use self::objects::{OBJECTS, Part, Shape};

/// A mapping that was made of links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The mapping file.
    pub text: String,
    /// How many capabilities are in it.
    pub capabilities: usize,
    /// Paths of OMA objects that nothing is known of.
    pub left_out: Vec<String>,
}

/// An Object Instance, and how its resources can be had.
struct Instance<'l> {
    object: u16,
    instance: u16,
    links: Vec<(Option<u16>, &'l Link)>,
}

/// The mapping of a device with these links; `None`: none of them is an OMA object that is known.
pub fn propose(profile: &str, from: &str, links: &[Link]) -> Option<Proposal> {
    let mut proposal = Proposal { text: String::new(), capabilities: 0, left_out: Vec::new() };
    let (mut lines, mut kinds) = (String::new(), Vec::new());
    for instance in instances(links) {
        let known = OBJECTS.iter().filter(|(object, ..)| *object == instance.object);
        let before = proposal.capabilities;
        for (_, kind, parts) in known {
            for part in parts.iter().filter(|part| instance.has(part)) {
                // Writing to a String cannot fail.
                writeln!(lines, "  {}: {}", instance.key(part), instance.capability(part)).ok();
                proposal.capabilities += 1;
                kinds.push(*kind);
            }
        }
        if proposal.capabilities == before && instance.object >= 3000 {
            proposal.left_out.push(format!("/{}/{}", instance.object, instance.instance));
        }
    }
    let kind = kinds.iter().find(|kind| **kind != "Sensor").or(kinds.first())?;
    proposal.text = format!(
        "# Made by `usp-broker scan coap` of what {from} says to have; units are those of the OMA registry unless the\n\
         # device says otherwise (resource 5701): compare them.\n\
         uspmap: 1\nprofile: {profile}\nversion: 0.1.0\ndevice: {{type: {kind}}}\ncoap: {{timeout: 5s}}\npoll: {{all: 60s}}\n\
         capabilities:\n{lines}"
    );
    Some(proposal)
}

/// Every Object Instance that a link leads to, in the order of the numbers.
fn instances(links: &[Link]) -> Vec<Instance<'_>> {
    let mut instances: Vec<Instance<'_>> = Vec::new();
    for link in links {
        let numbers: Option<Vec<u16>> =
            link.path.trim_start_matches('/').split('/').map(|part| part.parse().ok()).collect();
        let (object, instance, resource) = match numbers.as_deref() {
            Some([object, instance]) => (*object, *instance, None),
            Some([object, instance, resource]) => (*object, *instance, Some(*resource)),
            _ => continue,
        };
        let same = |known: &&mut Instance<'_>| (known.object, known.instance) == (object, instance);
        match instances.iter_mut().find(same) {
            Some(known) => known.links.push((resource, link)),
            None => instances.push(Instance { object, instance, links: vec![(resource, link)] }),
        }
    }
    instances.sort_by_key(|known| (known.object, known.instance));
    instances
}

impl Instance<'_> {
    /// The link that a resource is had by: its own, or that of its instance where no resource has one.
    fn link(&self, resource: u16) -> Option<&Link> {
        let own = self.links.iter().find(|(known, _)| *known == Some(resource));
        let bare = self.links.iter().all(|(known, _)| known.is_none());
        let whole = self.links.iter().find(|(known, _)| known.is_none() && bare);
        own.or(whole).map(|(_, link)| *link)
    }

    fn has(&self, part: &Part) -> bool {
        self.link(part.resource).is_some()
            && (!part.optional || self.links.iter().any(|(it, _)| *it == Some(part.resource)))
    }

    fn key(&self, part: &Part) -> String {
        if self.instance == 0 { part.key.to_owned() } else { format!("{}-{}", part.key, self.instance) }
    }

    fn capability(&self, part: &Part) -> String {
        let path = format!("/{}/{}/{}", self.object, self.instance, part.resource);
        let link = self.link(part.resource);
        let observe = if link.is_some_and(|link| link.observable) { ", observe: true" } else { "" };
        let formats = link.map_or(&[][..], |link| &link.formats);
        let form = form(formats, &path, part);
        let head = format!("class: {}, type: {}", part.shape.class(), part.kind);
        let unit = part.unit.map_or(String::new(), |unit| format!(", unit: \"{unit}\""));
        let range = part
            .range
            .map_or(String::new(), |(min, max, step)| format!(", min: {min}, max: {max}, step: {step}"));
        let write = if part.writable { ", write: {}" } else { "" };
        format!("{{{head}{unit}{range}, read: {{path: {path}{form}{observe}}}{write}, poll: all}}")
    }
}

/// The keys of a place for the first format that both sides know; a device that names none has text.
fn form(formats: &[u16], path: &str, part: &Part) -> String {
    let scale = part.scale.map_or(String::new(), |scale| format!(", scale: {scale}"));
    let plain = formats.is_empty() || formats.contains(&0);
    match part.shape {
        Shape::Switch | Shape::Detector if plain => ", map: {\"0\": false, \"1\": true}".to_owned(),
        _ if plain => scale,
        _ if formats.iter().any(|format| matches!(format, 110 | 112)) => format!(", senml: {path}{scale}"),
        shape if formats.contains(&11_542) => {
            let fraction = part.range.is_some_and(|(.., step)| step.contains('.'));
            let kind = if fraction { "float" } else { shape.tlv() };
            format!(", tlv: {}, as: {kind}{scale}", part.resource)
        }
        _ if formats.contains(&50) => format!(", json: \"\"{scale}"),
        _ if formats.contains(&60) => format!(", cbor: \"\"{scale}"),
        _ => scale,
    }
}

#[cfg(test)]
mod tests {
    use super::links::parse;
    use super::*;
    use crate::compile::compile_file;
    use crate::diagnostic::{SourceFile, render};

    fn proposed(links: &str) -> Proposal {
        let proposal = propose("found.thing", "192.0.2.7", &parse(links)).unwrap();
        let (mapping, problems) = compile_file(&SourceFile::new("proposed.yaml", &proposal.text));
        assert!(problems.is_empty(), "{}\n{}", proposal.text, render(&problems, false));
        assert_eq!(mapping.unwrap().capabilities.len(), proposal.capabilities);
        proposal
    }

    #[test]
    fn every_object_that_is_known_makes_a_mapping_that_compiles() {
        for format in ["0", "110", "11542", "50", "60", "0 112"] {
            let link = |object: u16, instance: u16, part: &Part| {
                format!("</{object}/{instance}/{}>;ct=\"{format}\";obs", part.resource)
            };
            let all = OBJECTS.iter().flat_map(|(object, _, parts)| {
                parts.iter().flat_map(move |part| [0, 1].map(|instance| link(*object, instance, part)))
            });
            let all: Vec<String> = all.collect();
            assert_eq!(proposed(&all.join(",")).capabilities, all.len(), "{format}");
        }
    }

    #[test]
    fn a_light_is_a_light() {
        let light = proposed("</3311/0/5850>;obs,</3311/0/5851>,</3303/0>,</9999/0/1>,</x>");
        assert!(light.text.contains("device: {type: Light}"), "{}", light.text);
        assert_eq!((light.capabilities, light.left_out.as_slice()), (3, &["/9999/0".to_owned()][..]));
    }

    #[test]
    fn what_is_no_object_is_nothing() {
        assert_eq!(propose("a.b", "x", &parse("</sensors/temp>;rt=\"temperature\",</1/0/1>")), None);
    }
}
