//! Data types (ZCL, table 2-10).

use std::fmt;

use crate::transform::RawKind;

/// A data type. Numbers in it are widths in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ZclType {
    /// No data.
    NoData,
    /// General data, 1 to 8 bytes.
    Data(u8),
    /// Boolean.
    Bool,
    /// Bitmap, 1 to 8 bytes.
    Bitmap(u8),
    /// Unsigned integer, 1 to 8 bytes.
    Uint(u8),
    /// Signed integer, 1 to 8 bytes.
    Int(u8),
    /// Enumeration, 1 or 2 bytes.
    Enum(u8),
    /// Semi-precision float.
    Semi,
    /// Single-precision float.
    Single,
    /// Double-precision float.
    Double,
    /// Octet string, at most 254 bytes.
    Octets,
    /// Character string, at most 254 bytes.
    Text,
    /// Long octet string.
    LongOctets,
    /// Long character string.
    LongText,
    /// Array.
    Array,
    /// Structure.
    Struct,
    /// Set.
    Set,
    /// Bag.
    Bag,
    /// Time of day: hours, minutes, seconds, hundredths.
    TimeOfDay,
    /// Date: year since 1900, month, day, day of the week.
    Date,
    /// Seconds since 2000-01-01 00:00 UTC.
    Utc,
    /// Cluster identifier.
    ClusterId,
    /// Attribute identifier.
    AttributeId,
    /// BACnet object identifier.
    BacnetOid,
    /// IEEE address.
    Eui64,
    /// A key of 128 bits.
    Key128,
}

/// Types without a width: identifier and name.
const PLAIN: [(ZclType, u8, &str); 21] = [
    (ZclType::NoData, 0x00, "nodata"),
    (ZclType::Bool, 0x10, "bool"),
    (ZclType::Semi, 0x38, "semi"),
    (ZclType::Single, 0x39, "single"),
    (ZclType::Double, 0x3a, "double"),
    (ZclType::Octets, 0x41, "octstr"),
    (ZclType::Text, 0x42, "string"),
    (ZclType::LongOctets, 0x43, "octstr16"),
    (ZclType::LongText, 0x44, "string16"),
    (ZclType::Array, 0x48, "array"),
    (ZclType::Struct, 0x4c, "struct"),
    (ZclType::Set, 0x50, "set"),
    (ZclType::Bag, 0x51, "bag"),
    (ZclType::TimeOfDay, 0xe0, "tod"),
    (ZclType::Date, 0xe1, "date"),
    (ZclType::Utc, 0xe2, "utc"),
    (ZclType::ClusterId, 0xe8, "cluster_id"),
    (ZclType::AttributeId, 0xe9, "attribute_id"),
    (ZclType::BacnetOid, 0xea, "bacnet_oid"),
    (ZclType::Eui64, 0xf0, "eui64"),
    (ZclType::Key128, 0xf1, "key128"),
];

/// Families of types that differ by their width: how one is made, identifier of the first, greatest width, and name before
/// the number of bits.
type Family = (fn(u8) -> ZclType, u8, u8, &'static str);

const FAMILIES: [Family; 5] = [
    (ZclType::Data, 0x08, 8, "data"),
    (ZclType::Bitmap, 0x18, 8, "map"),
    (ZclType::Uint, 0x20, 8, "uint"),
    (ZclType::Int, 0x28, 8, "int"),
    (ZclType::Enum, 0x30, 2, "enum"),
];

impl ZclType {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let sized = FAMILIES.into_iter().flat_map(|(of, _, most, _)| (1..=most).map(of));
        PLAIN.into_iter().map(|(kind, ..)| kind).chain(sized)
    }

    /// The one with this identifier.
    pub fn of(id: u8) -> Option<Self> {
        Self::all().find(|kind| kind.id() == id)
    }

    /// Its identifier.
    pub fn id(self) -> u8 {
        if let Some((_, id, _)) = PLAIN.into_iter().find(|(kind, ..)| *kind == self) {
            return id;
        }
        let (first, width) = match self {
            Self::Data(width) => (0x08, width),
            Self::Bitmap(width) => (0x18, width),
            Self::Uint(width) => (0x20, width),
            Self::Int(width) => (0x28, width),
            Self::Enum(width) => (0x30, width),
            _ => (0xff, 1),
        };
        first + width.saturating_sub(1)
    }

    /// Its name, as the standard abbreviates it: `uint16`, `map8`.
    pub fn name(self) -> String {
        if let Some((.., name)) = PLAIN.into_iter().find(|(kind, ..)| *kind == self) {
            return name.to_owned();
        }
        let family = FAMILIES.into_iter().find(|(of, _, most, _)| (1..=*most).any(|width| of(width) == self));
        let bits = self.length().unwrap_or_default() * 8;
        format!("{}{bits}", family.map_or("", |(.., name)| name))
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|kind| kind.name() == name)
    }

    /// How many bytes a value has; `None`: it says so itself.
    pub fn length(self) -> Option<usize> {
        match self {
            Self::NoData => Some(0),
            Self::Data(width) | Self::Bitmap(width) | Self::Uint(width) => Some(width.into()),
            Self::Int(width) | Self::Enum(width) => Some(width.into()),
            Self::Bool => Some(1),
            Self::Semi | Self::ClusterId | Self::AttributeId => Some(2),
            Self::Single | Self::TimeOfDay | Self::Date | Self::Utc | Self::BacnetOid => Some(4),
            Self::Double | Self::Eui64 => Some(8),
            Self::Key128 => Some(16),
            Self::Octets | Self::Text | Self::LongOctets | Self::LongText => None,
            Self::Array | Self::Struct | Self::Set | Self::Bag => None,
        }
    }

    /// Whether it is a list of values.
    pub fn is_list(self) -> bool {
        matches!(self, Self::Array | Self::Struct | Self::Set | Self::Bag)
    }

    /// Whether a report of it can wait for a change of some size ("analog").
    pub fn is_analog(self) -> bool {
        matches!(
            self,
            Self::Uint(_)
                | Self::Int(_)
                | Self::Semi
                | Self::Single
                | Self::Double
                | Self::TimeOfDay
                | Self::Date
                | Self::Utc
        )
    }

    /// Whether its whole value is a number without sign, of which some bits can be taken.
    pub fn has_bits(self) -> bool {
        matches!(self, Self::Data(_) | Self::Bitmap(_) | Self::Uint(_) | Self::Enum(_))
    }

    /// What fits into it. Dates, times of day, keys and lists are bytes.
    pub fn raw_kind(self) -> RawKind {
        let whole = |bytes: u8, signed| RawKind::Int { bits: bytes.saturating_mul(8), signed };
        match self {
            Self::Bool => RawKind::Bool,
            Self::Data(width) | Self::Bitmap(width) | Self::Uint(width) | Self::Enum(width) => {
                whole(width, false)
            }
            Self::Int(width) => whole(width, true),
            Self::ClusterId | Self::AttributeId => whole(2, false),
            Self::Utc | Self::BacnetOid => whole(4, false),
            Self::Eui64 => whole(8, false),
            Self::Semi => RawKind::F16,
            Self::Single => RawKind::F32,
            Self::Double => RawKind::F64,
            Self::Text => RawKind::Text(254),
            Self::LongText => RawKind::Text(u16::MAX - 1),
            Self::Octets => RawKind::Bytes(254),
            Self::LongOctets => RawKind::Bytes(u16::MAX - 1),
            Self::NoData => RawKind::Bytes(0),
            Self::TimeOfDay | Self::Date => RawKind::Bytes(4),
            Self::Key128 => RawKind::Bytes(16),
            Self::Array | Self::Struct | Self::Set | Self::Bag => RawKind::Bytes(u16::MAX),
        }
    }
}

impl fmt::Display for ZclType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ZCL revision 6, table 2-10.
    #[test]
    fn types_have_the_identifiers_of_the_standard() {
        for (name, id) in [
            ("nodata", 0x00),
            ("data8", 0x08),
            ("data64", 0x0f),
            ("bool", 0x10),
            ("map8", 0x18),
            ("map16", 0x19),
            ("uint8", 0x20),
            ("uint16", 0x21),
            ("uint48", 0x25),
            ("uint64", 0x27),
            ("int8", 0x28),
            ("int16", 0x29),
            ("int24", 0x2a),
            ("enum8", 0x30),
            ("enum16", 0x31),
            ("semi", 0x38),
            ("single", 0x39),
            ("octstr", 0x41),
            ("string", 0x42),
            ("struct", 0x4c),
            ("utc", 0xe2),
            ("eui64", 0xf0),
        ] {
            let kind = ZclType::named(name).expect(name);
            assert_eq!(kind.id(), id, "{name}");
            assert_eq!(ZclType::of(id), Some(kind), "{name}");
        }
        assert_eq!(ZclType::of(0x07), None);
        assert_eq!(ZclType::of(0xff), None);
    }
}
