//! Properties of MQTT 5.0 (section 2.2.2), by their numbers.

use super::packet::Reader;
use super::writer::Writer;

/// One property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Property {
    /// A byte.
    Byte(u8, u8),
    /// Two bytes.
    Short(u8, u16),
    /// Four bytes.
    Long(u8, u32),
    /// A variable byte integer.
    Variable(u8, u32),
    /// A text, or binary data.
    Text(u8, String),
    /// User Property.
    User(String, String),
}

impl Property {
    /// Session Expiry Interval.
    pub const SESSION_EXPIRY: u8 = 17;
    /// Assigned Client Identifier.
    pub const ASSIGNED_CLIENT: u8 = 18;
    /// Server Keep Alive.
    pub const SERVER_KEEP_ALIVE: u8 = 19;
    /// Request Problem Information.
    pub const REQUEST_PROBLEM: u8 = 23;
    /// Request Response Information.
    pub const REQUEST_RESPONSE: u8 = 25;
    /// Response Information.
    pub const RESPONSE_INFORMATION: u8 = 26;
    /// Receive Maximum.
    pub const RECEIVE_MAXIMUM: u8 = 33;
    /// Maximum QoS.
    pub const MAXIMUM_QOS: u8 = 36;
    /// Maximum Packet Size.
    pub const MAXIMUM_PACKET: u8 = 39;
    /// Content Type.
    pub const CONTENT_TYPE: u8 = 3;
    /// Response Topic.
    pub const RESPONSE_TOPIC: u8 = 8;
    const USER: u8 = 38;

    /// Its number.
    pub fn number(&self) -> u8 {
        match self {
            Self::Byte(number, _)
            | Self::Short(number, _)
            | Self::Long(number, _)
            | Self::Variable(number, _)
            | Self::Text(number, _) => *number,
            Self::User(..) => Self::USER,
        }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.byte(self.number());
        match self {
            Self::Byte(_, value) => writer.byte(*value),
            Self::Short(_, value) => writer.short(*value),
            Self::Long(_, value) => writer.bytes(&value.to_be_bytes()),
            Self::Variable(_, value) => writer.variable(usize::try_from(*value).unwrap_or_default()),
            Self::Text(_, value) => writer.text(value),
            Self::User(name, value) => {
                writer.text(name);
                writer.text(value);
            }
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let number = reader.byte()?;
        Some(match number {
            1 | 23 | 25 | 36 | 37 | 40 | 41 | 42 => Self::Byte(number, reader.byte()?),
            19 | 33 | 34 | 35 => Self::Short(number, reader.short()?),
            2 | 17 | 24 | 39 => Self::Long(number, reader.long()?),
            11 => Self::Variable(number, u32::try_from(reader.variable()?).ok()?),
            3 | 8 | 9 | 18 | 21 | 22 | 26 | 28 | 31 => Self::Text(number, reader.text()?),
            Self::USER => Self::User(reader.text()?, reader.text()?),
            _ => return None,
        })
    }
}
