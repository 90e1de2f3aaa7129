//! Names of clusters, attributes and commands, and of types, as mappings have them.

/// The table.
const TABLE: &str = include_str!("names.txt");

/// An attribute of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) id: u16,
    pub(super) kind: u8,
    pub(super) writable: bool,
}

fn hexadecimal(text: &str) -> Option<u16> {
    u16::from_str_radix(text, 16).ok()
}

/// The lines of a cluster, with its ID.
fn cluster_lines(is: impl Fn(&str, u16) -> bool) -> Option<(u16, impl Iterator<Item = &'static str>)> {
    let mut lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    let id = lines.by_ref().find_map(|line| {
        let (name, id) = line.split_once(' ').filter(|(name, _)| !name.is_empty())?;
        let id = hexadecimal(id)?;
        is(name, id).then_some(id)
    })?;
    Some((id, lines.map_while(|line| line.strip_prefix(' '))))
}

/// The ID of a cluster.
pub(super) fn cluster(name: &str) -> Option<u16> {
    cluster_lines(|other, _| other == name).map(|(id, _)| id)
}

/// An attribute of a cluster, by its name or its ID.
pub(super) fn attribute(cluster: u16, is: impl Fn(&str, u16) -> bool) -> Option<Named> {
    let (_, mut lines) = cluster_lines(|_, id| id == cluster)?;
    lines.find_map(|line| {
        let mut words = line.split(' ');
        let (name, id, kind) = (words.next()?, hexadecimal(words.next()?)?, words.next()?);
        let named = Named { id, kind: kind_of(kind)?, writable: words.next() == Some("w") };
        is(name, id).then_some(named)
    })
}

/// A command of a cluster.
pub(super) fn command(cluster: u16, name: &str) -> Option<u8> {
    let (_, mut lines) = cluster_lines(|_, id| id == cluster)?;
    lines.find_map(|line| {
        let (found, id) = line.strip_prefix("> ")?.split_once(' ')?;
        (found == name).then(|| hexadecimal(id)).flatten().map(|id| id as u8)
    })
}

/// The number of a type (2.6.2).
fn kind_of(name: &str) -> Option<u8> {
    let of = |prefix: &str, first: u8, unit: usize| {
        let bits: usize = name.strip_prefix(prefix)?.parse().ok()?;
        Some(first + (bits / unit) as u8 - 1)
    };
    match name {
        "bool" => Some(0x10),
        "enum8" => Some(0x30),
        "enum16" => Some(0x31),
        "semi" => Some(0x38),
        "single" => Some(0x39),
        "double" => Some(0x3a),
        "octstr" => Some(0x41),
        "string" => Some(0x42),
        "utc" => Some(0xe2),
        "eui64" => Some(0xf0),
        _ => of("data", 0x08, 8)
            .or_else(|| of("map", 0x18, 8))
            .or_else(|| of("uint", 0x20, 8))
            .or_else(|| of("int", 0x28, 8)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_numbers() {
        assert_eq!(cluster("electrical_measurement"), Some(0x0b04));
        assert_eq!(cluster("nonsense"), None);
        let named = |cluster, name: &str| attribute(cluster, |other, _| other == name);
        assert_eq!(named(0x0006, "on_off"), Some(Named { id: 0, kind: 0x10, writable: false }));
        assert_eq!(named(0x0702, "divisor").map(|one| one.kind), Some(0x22));
        assert_eq!(named(0x0b04, "on_off"), None);
        assert!(attribute(0x0201, |_, id| id == 0x0012).unwrap().writable);
        assert_eq!((command(0x0006, "toggle"), command(0x0008, "stop")), (Some(2), Some(3)));
        assert_eq!(command(0x0006, "on_off"), None);
    }

    #[test]
    fn every_line_of_the_table_is_understood() {
        for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let understood = match words.as_slice() {
                [">", _, id] => hexadecimal(id).is_some(),
                [_, id, kind] | [_, id, kind, "w"] => hexadecimal(id).is_some() && kind_of(kind).is_some(),
                [_, id] => hexadecimal(id).is_some(),
                _ => false,
            };
            assert!(understood, "{line:?}");
        }
    }
}
