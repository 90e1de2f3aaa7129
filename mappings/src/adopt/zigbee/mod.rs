//! Devices of a Zigbee network, from what they say of themselves.
//!
//! After a device has joined it is interviewed: its simple descriptors, then the attributes that [`wanted`] names. From that
//! [`adopt`] makes a mapping, that of the library where one is for such a model, or one that is written from its clusters and
//! compiled as any other. What a person would write is what is written; what cannot be taken over is told.

mod actuators;
mod controllers;
mod draft;
mod interview;
mod lights;
mod measuring;
mod security;
#[cfg(test)]
mod tests;
mod wanted;
mod writer;

use std::sync::Arc;

pub use self::draft::draft;
use self::interview::Said;
pub use self::interview::{Endpoint, Interview};
pub use self::wanted::wanted;

use self::writer::{Model, Part};
use super::{LeftOut, Notes, WHOLE_DEVICE, short};
use crate::compile::compile_file_with;
use crate::library::Catalog;
use crate::mapping::Mapping;

/// A device with its mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Adopted {
    /// What people call it until they say otherwise: its model and the end of its address; at most 64 characters.
    pub name: String,
    /// `vendor.model` of its mapping.
    pub profile: String,
    /// The mapping file; of one of the library its text too.
    pub text: String,
    /// The same, compiled.
    pub mapping: Arc<Mapping>,
    /// Whether the mapping is one of the library, or of the hub's own folders.
    pub is_known: bool,
    /// What was not taken over, and why.
    pub left_out: Vec<LeftOut>,
}

/// The mapping for a device.
///
/// Errors: nothing that it says of itself can be mapped; what was left out, and why.
pub fn adopt(interview: &Interview, catalog: &Catalog) -> Result<Adopted, Vec<LeftOut>> {
    let name = name(interview);
    let mut notes = Notes::default();
    if let Some(file) = catalog.zigbee(&interview.manufacturer, &interview.model) {
        let (mapping, found) = compile_file_with(&file, &|wanted| catalog.find(wanted));
        match mapping {
            Some(mapping) => {
                return Ok(Adopted {
                    name,
                    profile: mapping.profile.clone(),
                    text: file.text().to_owned(),
                    mapping: Arc::new(mapping),
                    is_known: true,
                    left_out: Vec::new(),
                });
            }
            None => {
                let why = found.first().map_or("it has errors", |first| first.message.as_str());
                notes.add(&name, &format!("the mapping {}", file.name()), why);
            }
        }
    }
    let mut model = model(interview, &mut notes, &name);
    match model.written(&name, &mut notes) {
        Some((text, mapping)) => {
            let left_out = notes.sorted();
            Ok(Adopted {
                name,
                profile: mapping.profile.clone(),
                text: text + &comments(&left_out),
                mapping: Arc::new(mapping),
                is_known: false,
                left_out,
            })
        }
        None => {
            notes.add(&name, WHOLE_DEVICE, "nothing that it says of itself can be mapped");
            Err(notes.sorted())
        }
    }
}

/// What was left out, for whoever reads the mapping: at its end, so that the rest stays on its lines.
fn comments(left_out: &[LeftOut]) -> String {
    let plain = |text: &str| text.replace(|c: char| c.is_control(), " ");
    left_out.iter().map(|left| format!("# Left out: {}: {}\n", plain(&left.what), plain(&left.why))).collect()
}

fn name(interview: &Interview) -> String {
    let model = short(&interview.model.replace("${", "$ {"), 55);
    let model = if model.is_empty() { "Zigbee device".to_owned() } else { model };
    format!("{model} {:04x}", interview.ieee.0 & 0xffff)
}

/// What a device has, by its clusters.
fn model(interview: &Interview, notes: &mut Notes, device: &str) -> Model {
    let mut model = Model::of(interview);
    let several = interview.endpoints.iter().filter(|endpoint| is_actuator(endpoint)).count() > 1;
    for endpoint in &interview.endpoints {
        let mut part = Part::of(endpoint, several && is_actuator(endpoint));
        let source = Source { interview, endpoint };
        let mut unsaid = Vec::new();
        lights::add(&source, &mut part);
        actuators::add(&source, &mut part);
        security::add(&source, &mut part, &mut unsaid);
        measuring::add(&source, &mut part, &mut unsaid);
        controllers::add(&source, &mut part);
        for (what, why) in unsaid {
            notes.add(device, &format!("{what}, endpoint {}", endpoint.id), &why);
        }
        for cluster in &endpoint.inputs {
            if !is_understood(*cluster) {
                let shown = crate::zigbee::clusters::shown(*cluster);
                notes.add(
                    device,
                    &format!("cluster {shown}, endpoint {}", endpoint.id),
                    "nothing is known of it",
                );
            }
        }
        model.put(part);
    }
    model
}

/// Something at an endpoint can be controlled, of which a device may have several.
fn is_actuator(endpoint: &Endpoint) -> bool {
    [0x0006, 0x0101, 0x0102, 0x0201].iter().any(|cluster| endpoint.inputs.contains(cluster))
}

/// Clusters that are taken over, and those that a network needs itself.
fn is_understood(cluster: u16) -> bool {
    let own =
        [0x0000, 0x0001, 0x0003, 0x0004, 0x0005, 0x0009, 0x000a, 0x0019, 0x0020, 0x0021, 0x0b05, 0x1000];
    let taken = [
        0x0006, 0x0007, 0x0008, 0x000c, 0x000f, 0x0101, 0x0102, 0x0201, 0x0202, 0x0204, 0x0300, 0x0400,
        0x0402, 0x0403, 0x0405, 0x0406, 0x0408, 0x040c, 0x040d, 0x042a, 0x0500, 0x0502, 0x0702, 0x0b04,
        0x0002,
    ];
    own.contains(&cluster) || taken.contains(&cluster)
}

/// What is left out because the device has not said what it means: what, and why.
type Unsaid = Vec<(&'static str, String)>;

/// An endpoint of a device.
struct Source<'i> {
    interview: &'i Interview,
    endpoint: &'i Endpoint,
}

impl Source<'_> {
    fn has(&self, cluster: u16) -> bool {
        self.endpoint.inputs.contains(&cluster)
    }

    /// Whether it is a client of a cluster, as buttons are.
    fn controls(&self, cluster: u16) -> bool {
        self.endpoint.outputs.contains(&cluster)
    }

    /// The whole number that it holds there.
    fn number(&self, cluster: u16, attribute: u16) -> Option<i128> {
        self.interview.number(self.endpoint.id, cluster, attribute)
    }

    /// What it has said of an attribute.
    fn said(&self, cluster: u16, attribute: u16) -> Said {
        self.interview.said(self.endpoint.id, cluster, attribute)
    }

    /// Whether it holds a value there.
    fn holds(&self, cluster: u16, attribute: u16) -> bool {
        matches!(self.said(cluster, attribute), Said::Holds(_))
    }

    /// Whether it has an attribute, or did not say so: of those that are usual and mean the same everywhere.
    fn may_have(&self, cluster: u16, attribute: u16) -> bool {
        self.has(cluster) && self.said(cluster, attribute) != Said::Lacks
    }

    fn is_light(&self) -> bool {
        matches!(
            (self.endpoint.profile, self.endpoint.device),
            (0xc05e, 0x0000 | 0x0100 | 0x0200 | 0x0210 | 0x0220)
                | (_, 0x0100 | 0x0101 | 0x0102 | 0x010c | 0x010d)
        )
    }
}
