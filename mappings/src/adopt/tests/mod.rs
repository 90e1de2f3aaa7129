//! What bridges say as their documents have it, and what becomes of it.

mod bounds;
mod families;
mod hostile;

use super::*;
use crate::mapping::{Capability, Class, Protocol};

/// Adopts from one family with what was published.
fn adopt(from: AdoptedFrom, said: &[(&str, &str)]) -> (Vec<Arc<Adopted>>, Vec<LeftOut>) {
    let mut adopter = adopter(&[from]);
    for (topic, body) in said {
        adopter.hear(topic, body.as_bytes());
        assert!(!adopter.hear(topic, body.as_bytes()).changed, "{topic} is nothing new");
    }
    let devices = adopter.devices();
    (devices, adopter.left_out().to_vec())
}

fn adopter(from: &[AdoptedFrom]) -> Adopter {
    let one = |from: &AdoptedFrom| Adoption { from: *from, topic: from.usual_topic().to_owned() };
    Adopter::new(&from.iter().map(one).collect::<Vec<_>>(), "usp-broker-1")
}

/// The only device with this id.
fn device<'d>(devices: &'d [Arc<Adopted>], id: &str) -> &'d Adopted {
    devices.iter().find(|device| device.id == id).unwrap_or_else(|| panic!("{id} among {devices:#?}"))
}

/// Class, `Type` and unit of each capability, by name.
fn shape(device: &Adopted) -> Vec<String> {
    let one = |capability: &Capability| {
        let unit = capability.unit.as_deref().map(|unit| format!(" {unit}")).unwrap_or_default();
        let node = capability.node.and_then(|node| device.mapping.nodes.get(usize::from(node.0)));
        let node = node.map(|node| format!("{}.", node.id)).unwrap_or_default();
        format!("{node}{}: {} {}{unit}", capability.name, capability.class.name(), capability.kind)
    };
    device.mapping.capabilities.iter().map(one).collect()
}

fn has_left(left: &[LeftOut], what: &str, why: &str) -> bool {
    left.iter().any(|left| left.what.contains(what) && left.why.contains(why))
}
