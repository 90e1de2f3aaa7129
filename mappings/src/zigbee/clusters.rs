//! Clusters that mappings know by name: their attributes with types, and the commands of both sides.
//!
//! Facts of ZCL revision 6 (07-5123-06); names are those of the standard, in small letters and shortened where they say
//! twice what the cluster says. Whatever is not here is written with its number and its type.

pub mod answers;
mod closures;
pub(super) mod elsewhere;
mod general;
mod lighting;
mod measuring;
mod security;

use super::zcl::{Access, ZclType};

/// A cluster.
#[derive(Debug)]
pub struct Cluster {
    /// Its identifier.
    pub id: u16,
    /// Its name in mappings.
    pub name: &'static str,
    /// What its server has.
    pub attributes: &'static [Attribute],
    /// What its server takes.
    pub received: &'static [Command],
    /// What its server sends.
    pub generated: &'static [Command],
}

/// An attribute.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// Its identifier.
    pub id: u16,
    /// Its name in mappings.
    pub name: &'static str,
    /// Its type.
    pub kind: ZclType,
    /// Whether it can be written.
    pub access: Access,
    /// How it is reported unless a mapping says otherwise; `None`: it is not.
    pub usual: Option<Usual>,
    /// The command that sets it, where it cannot be written itself.
    pub set: Option<Set>,
    /// The command of the server that tells it too, and in which of its fields.
    pub told: Option<(u8, usize)>,
}

/// How an attribute is reported unless a mapping says otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Usual {
    /// Least seconds.
    pub min: u16,
    /// Most seconds.
    pub max: u16,
    /// Least change in raw units.
    pub change: u32,
}

/// How an attribute is set by commands.
#[derive(Clone, Copy, Debug)]
pub enum Set {
    /// By this command, with the value in this field.
    Value(u8, usize),
    /// By a command for each raw value.
    States(&'static [(i128, u8)]),
}

/// A command.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// Its identifier.
    pub id: u8,
    /// Its name in mappings.
    pub name: &'static str,
    /// Its fields.
    pub fields: &'static [Field],
}

/// A field of a command.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name in mappings.
    pub name: &'static str,
    /// Its type.
    pub kind: ZclType,
    /// What is sent unless a mapping says otherwise.
    pub usual: Option<u32>,
    /// It and what follows may be left out.
    pub optional: bool,
}

const BOOL: ZclType = ZclType::Bool;
const U8: ZclType = ZclType::Uint(1);
const U16: ZclType = ZclType::Uint(2);
const U24: ZclType = ZclType::Uint(3);
const U32: ZclType = ZclType::Uint(4);
const U48: ZclType = ZclType::Uint(6);
const S8: ZclType = ZclType::Int(1);
const S16: ZclType = ZclType::Int(2);
const S24: ZclType = ZclType::Int(3);
const S32: ZclType = ZclType::Int(4);
const E8: ZclType = ZclType::Enum(1);
const E16: ZclType = ZclType::Enum(2);
const M8: ZclType = ZclType::Bitmap(1);
const M16: ZclType = ZclType::Bitmap(2);
const M32: ZclType = ZclType::Bitmap(4);
const F32: ZclType = ZclType::Single;
const TEXT: ZclType = ZclType::Text;
const OCTETS: ZclType = ZclType::Octets;

/// An attribute that is only read.
const fn attr(id: u16, name: &'static str, kind: ZclType) -> Attribute {
    Attribute { id, name, kind, access: Access::Read, usual: None, set: None, told: None }
}

impl Attribute {
    /// It is written too.
    const fn rw(self) -> Self {
        Self { access: Access::Write, ..self }
    }

    /// How it is reported.
    const fn every(self, min: u16, max: u16, change: u32) -> Self {
        Self { usual: Some(Usual { min, max, change }), ..self }
    }

    const fn set(self, set: Set) -> Self {
        Self { set: Some(set), ..self }
    }

    const fn told(self, command: u8, field: usize) -> Self {
        Self { told: Some((command, field)), ..self }
    }
}

const fn command(id: u8, name: &'static str, fields: &'static [Field]) -> Command {
    Command { id, name, fields }
}

const fn field(name: &'static str, kind: ZclType) -> Field {
    Field { name, kind, usual: None, optional: false }
}

impl Field {
    /// What is sent unless a mapping says otherwise.
    const fn or(self, usual: u32) -> Self {
        Self { usual: Some(usual), ..self }
    }

    /// It and what follows may be left out.
    const fn maybe(self) -> Self {
        Self { optional: true, ..self }
    }
}

/// All clusters, by their areas.
fn all() -> impl Iterator<Item = &'static Cluster> {
    let areas: [&'static [Cluster]; 5] =
        [general::CLUSTERS, closures::CLUSTERS, lighting::CLUSTERS, measuring::CLUSTERS, security::CLUSTERS];
    areas.into_iter().flatten()
}

/// The names of all clusters.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().map(|cluster| cluster.name)
}

/// The cluster with this identifier.
pub fn of(id: u16) -> Option<&'static Cluster> {
    all().find(|cluster| cluster.id == id)
}

/// The cluster of this name.
pub fn named(name: &str) -> Option<&'static Cluster> {
    all().find(|cluster| cluster.name == name)
}

/// A cluster for people: its name, or its number.
pub fn shown(id: u16) -> String {
    of(id).map_or_else(|| format!("0x{id:04x}"), |cluster| cluster.name.to_owned())
}

/// An attribute for people: its name, or its number.
pub fn attribute_shown(cluster: u16, id: u16, manufacturer: Option<u16>) -> String {
    let known = of(cluster).filter(|_| manufacturer.is_none()).and_then(|cluster| cluster.attribute(id));
    known.map_or_else(|| format!("0x{id:04x}"), |attribute| attribute.name.to_owned())
}

impl Cluster {
    /// The attribute with this identifier.
    pub fn attribute(&self, id: u16) -> Option<&'static Attribute> {
        self.attributes.iter().find(|attribute| attribute.id == id)
    }

    /// The attribute of this name.
    pub fn attribute_named(&self, name: &str) -> Option<&'static Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// The command of this name that its server takes, or the one with this identifier.
    pub fn received_by(&self, id: u8) -> Option<&'static Command> {
        self.received.iter().find(|command| command.id == id)
    }

    /// The command with this identifier that its server sends.
    pub fn generated_by(&self, id: u8) -> Option<&'static Command> {
        self.generated.iter().find(|command| command.id == id)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The table of the reference.
    fn table() -> String {
        let mut rows: Vec<&Cluster> = all().collect();
        rows.sort_by_key(|cluster| cluster.id);
        let numbered = |name: &str, id: u16, width: usize| format!("`{name}` ({id:#0width$x})");
        let listed = |commands: &[Command]| {
            let all = commands.iter().map(|command| {
                let fields: Vec<&str> = command.fields.iter().map(|field| field.name).collect();
                let fields =
                    if fields.is_empty() { String::new() } else { format!(": {}", fields.join(", ")) };
                format!("{}{fields}", numbered(command.name, command.id.into(), 4))
            });
            all.collect::<Vec<_>>().join("; ")
        };
        let mut text = String::new();
        for cluster in rows {
            let attributes = cluster.attributes.iter();
            let attributes: Vec<String> =
                attributes.map(|it| format!("{} {}", numbered(it.name, it.id, 6), it.kind)).collect();
            let mut commands = listed(cluster.received);
            if !cluster.generated.is_empty() {
                commands += &format!(" *sends* {}", listed(cluster.generated));
            }
            let name = numbered(cluster.name, cluster.id, 6);
            text += &format!("| {name} | {} | {} |\n", attributes.join(", "), commands.trim());
        }
        text
    }

    #[test]
    fn the_reference_has_them_all() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        let text = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = text.split_once("| cluster | attributes | commands |\n|---|---|---|\n").unwrap();
        let (rows, after) = rest.split_once("\n\n").unwrap();
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            let head = "| cluster | attributes | commands |\n|---|---|---|\n";
            std::fs::write(&path, format!("{before}{head}{}\n{after}", table())).unwrap();
        } else {
            assert!(format!("{rows}\n") == table(), "UPDATE_EXPECT=1 cargo test -p usp-mapping clusters");
        }
    }

    #[test]
    fn names_and_numbers_are_once() {
        let (mut ids, mut words) = (BTreeSet::new(), BTreeSet::new());
        for cluster in all() {
            assert!(ids.insert(cluster.id) && words.insert(cluster.name), "{}", cluster.name);
            let mut known = BTreeSet::new();
            for attribute in cluster.attributes {
                assert!(known.insert(attribute.name), "{}: {}", cluster.name, attribute.name);
                assert_eq!(cluster.attribute(attribute.id).unwrap().name, attribute.name);
                if let Some((command, field)) = attribute.told {
                    let command = cluster.generated_by(command).unwrap();
                    assert_eq!(command.fields[field].name, attribute.name);
                }
                match attribute.set {
                    Some(Set::Value(id, field)) => {
                        let command = cluster.received_by(id).unwrap();
                        assert_eq!(command.fields[field].kind.length(), attribute.kind.length());
                    }
                    Some(Set::States(states)) => {
                        assert!(states.iter().all(|(_, id)| cluster.received_by(*id).is_some()));
                    }
                    None => {}
                }
            }
            for side in [cluster.received, cluster.generated] {
                let names: BTreeSet<&str> = side.iter().map(|command| command.name).collect();
                let ids: BTreeSet<u8> = side.iter().map(|command| command.id).collect();
                assert_eq!((names.len(), ids.len()), (side.len(), side.len()), "{}", cluster.name);
            }
        }
    }
}
