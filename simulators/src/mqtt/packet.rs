//! Packets of MQTT 3.1.1 and 5.0, there and back.

use super::Property;
use super::writer::Writer;

/// A packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// CONNECT.
    Connect(Connect),
    /// CONNACK.
    Connack(Connack),
    /// PUBLISH.
    Publish(Publish),
    /// PUBACK.
    Puback {
        /// Packet Identifier.
        id: u16,
        /// Reason (5.0).
        code: u8,
    },
    /// SUBSCRIBE.
    Subscribe {
        /// Packet Identifier.
        id: u16,
        /// Topic filters and the QoS wanted.
        filters: Vec<(String, u8)>,
    },
    /// SUBACK.
    Suback {
        /// Packet Identifier.
        id: u16,
        /// One for each filter.
        codes: Vec<u8>,
    },
    /// UNSUBSCRIBE.
    Unsubscribe {
        /// Packet Identifier.
        id: u16,
        /// Topic filters.
        filters: Vec<String>,
    },
    /// UNSUBACK with as many codes as there were filters (5.0).
    Unsuback {
        /// Packet Identifier.
        id: u16,
        /// One for each filter.
        codes: Vec<u8>,
    },
    /// PINGREQ.
    Pingreq,
    /// PINGRESP.
    Pingresp,
    /// DISCONNECT.
    Disconnect {
        /// Reason (5.0).
        code: u8,
    },
}

/// CONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// 4 for 3.1.1, 5 for 5.0.
    pub version: u8,
    /// Clean Session, Clean Start.
    pub clean: bool,
    /// Seconds.
    pub keep_alive: u16,
    /// Client Identifier.
    pub client_id: String,
    /// User Name.
    pub username: Option<String>,
    /// Password.
    pub password: Option<String>,
    /// 5.0.
    pub properties: Vec<Property>,
    /// What the server says when the connection ends without a DISCONNECT: only topic, payload, QoS and Retain count.
    pub will: Option<Publish>,
}

/// CONNACK.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connack {
    /// Session Present.
    pub session_present: bool,
    /// 0: accepted.
    pub code: u8,
    /// 5.0.
    pub properties: Vec<Property>,
}

/// PUBLISH.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publish {
    /// Sent once more.
    pub dup: bool,
    /// Quality of Service.
    pub qos: u8,
    /// Kept by the server.
    pub retain: bool,
    /// Topic Name.
    pub topic: String,
    /// Packet Identifier, with QoS 1 or 2.
    pub id: u16,
    /// 5.0.
    pub properties: Vec<Property>,
    /// Application Message.
    pub payload: Vec<u8>,
}

impl Publish {
    /// The text of a property.
    pub fn text(&self, number: u8) -> Option<&str> {
        self.properties.iter().find_map(|property| match property {
            Property::Text(n, text) if *n == number => Some(text.as_str()),
            _ => None,
        })
    }
}

impl Connect {
    /// A client with a name of its own.
    pub fn client(version: u8, client_id: &str) -> Self {
        Self {
            version,
            clean: true,
            keep_alive: 60,
            client_id: client_id.to_owned(),
            username: None,
            password: None,
            properties: Vec::new(),
            will: None,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        Packet::Connect(self.clone()).encode(self.version)
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        (reader.text()? == "MQTT").then_some(())?;
        let version = reader.byte()?;
        let flags = reader.byte()?;
        let keep_alive = reader.short()?;
        reader.version = version;
        let properties = reader.properties()?;
        let client_id = reader.text()?;
        let will = if flags & 4 != 0 { Some(Self::read_will(reader, flags)?) } else { None };
        let username = if flags & 0x80 != 0 { Some(reader.text()?) } else { None };
        let password = if flags & 0x40 != 0 { Some(reader.text()?) } else { None };
        let clean = flags & 2 != 0;
        Some(Self { version, clean, keep_alive, client_id, username, password, properties, will })
    }

    fn read_will(reader: &mut Reader<'_>, flags: u8) -> Option<Publish> {
        let properties = reader.properties()?;
        let (topic, payload) = (reader.text()?, reader.binary()?);
        Some(Publish {
            qos: flags >> 3 & 3,
            retain: flags & 0x20 != 0,
            topic,
            properties,
            payload,
            ..Publish::default()
        })
    }

    /// Flags and fields of the Will Message.
    fn will_flags(&self) -> u8 {
        self.will.as_ref().map_or(0, |will| 4 | will.qos << 3 | u8::from(will.retain) << 5)
    }

    fn write(&self, writer: &mut Writer) {
        let flag = |is: bool, bit: u8| if is { bit } else { 0 };
        writer.text("MQTT");
        writer.byte(self.version);
        let credentials = flag(self.username.is_some(), 0x80) | flag(self.password.is_some(), 0x40);
        writer.byte(flag(self.clean, 2) | credentials | self.will_flags());
        writer.short(self.keep_alive);
        writer.properties(&self.properties);
        writer.text(&self.client_id);
        if let Some(will) = &self.will {
            writer.properties(&will.properties);
            writer.text(&will.topic);
            writer.short(u16::try_from(will.payload.len()).unwrap_or(u16::MAX));
            writer.bytes(&will.payload);
        }
        for text in [&self.username, &self.password].into_iter().flatten() {
            writer.text(text);
        }
    }
}

impl Packet {
    /// Its bytes in one version.
    pub fn encode(&self, version: u8) -> Vec<u8> {
        let mut writer = Writer { bytes: Vec::new(), version };
        let first = self.write(&mut writer);
        let mut whole = Writer { bytes: vec![first], version };
        whole.variable(writer.bytes.len());
        whole.bytes(&writer.bytes);
        whole.bytes
    }

    /// Writes what follows the fixed header, and gives its first byte.
    fn write(&self, writer: &mut Writer) -> u8 {
        match self {
            Self::Connect(connect) => {
                connect.write(writer);
                0x10
            }
            Self::Connack(connack) => {
                writer.byte(connack.session_present.into());
                writer.byte(connack.code);
                writer.properties(&connack.properties);
                0x20
            }
            Self::Publish(publish) => {
                writer.text(&publish.topic);
                if publish.qos > 0 {
                    writer.short(publish.id);
                }
                writer.properties(&publish.properties);
                writer.bytes(&publish.payload);
                0x30 | u8::from(publish.dup) << 3 | publish.qos << 1 | u8::from(publish.retain)
            }
            Self::Puback { id, code } => {
                writer.short(*id);
                if writer.version == 5 && *code != 0 {
                    writer.byte(*code);
                }
                0x40
            }
            Self::Subscribe { id, filters } => {
                writer.short(*id);
                writer.properties(&[]);
                for (topic, qos) in filters {
                    writer.text(topic);
                    writer.byte(*qos);
                }
                0x82
            }
            Self::Suback { id, codes } => {
                writer.short(*id);
                writer.properties(&[]);
                writer.bytes(codes);
                0x90
            }
            Self::Unsubscribe { id, filters } => {
                writer.short(*id);
                writer.properties(&[]);
                filters.iter().for_each(|topic| writer.text(topic));
                0xa2
            }
            Self::Unsuback { id, codes } => {
                writer.short(*id);
                if writer.version == 5 {
                    writer.properties(&[]);
                    writer.bytes(codes);
                }
                0xb0
            }
            Self::Pingreq => 0xc0,
            Self::Pingresp => 0xd0,
            Self::Disconnect { code } => {
                if writer.version == 5 && *code != 0 {
                    writer.byte(*code);
                }
                0xe0
            }
        }
    }
}

/// Takes packets apart.
pub(super) struct Reader<'b> {
    rest: &'b [u8],
    version: u8,
}

impl<'b> Reader<'b> {
    /// The first packet of a stream and how long it is; `Ok(None)`: there is not enough yet.
    pub(super) fn packet(bytes: &'b [u8], version: u8) -> Result<Option<(Packet, usize)>, String> {
        let mut reader = Reader { rest: bytes, version };
        let Some(first) = reader.byte() else { return Ok(None) };
        let Some(length) = reader.variable() else { return Ok(None) };
        let Some(body) = reader.rest.get(..length) else { return Ok(None) };
        let whole = bytes.len() - reader.rest.len() + length;
        let mut body = Reader { rest: body, version };
        match body.body(first) {
            Some(packet) if body.rest.is_empty() => Ok(Some((packet, whole))),
            _ => Err(format!("malformed packet of type {}", first >> 4)),
        }
    }

    fn body(&mut self, first: u8) -> Option<Packet> {
        Some(match first >> 4 {
            1 => Packet::Connect(Connect::read(self)?),
            2 => Packet::Connack(Connack {
                session_present: self.byte()? & 1 != 0,
                code: self.byte()?,
                properties: self.properties()?,
            }),
            3 => Packet::Publish(self.publish(first)?),
            4 => Packet::Puback { id: self.short()?, code: self.reason()? },
            8 => Packet::Subscribe { id: self.short()?, filters: self.filters()? },
            9 => Packet::Suback { id: self.short()?, codes: self.codes()? },
            10 => {
                let (id, _) = (self.short()?, self.properties()?);
                let mut filters = Vec::new();
                while !self.rest.is_empty() {
                    filters.push(self.text()?);
                }
                Packet::Unsubscribe { id, filters }
            }
            11 => Packet::Unsuback { id: self.short()?, codes: self.codes()? },
            12 => Packet::Pingreq,
            13 => Packet::Pingresp,
            14 => Packet::Disconnect { code: self.reason()? },
            _ => return None,
        })
    }

    fn publish(&mut self, first: u8) -> Option<Publish> {
        let qos = first >> 1 & 3;
        let topic = self.text()?;
        let id = if qos > 0 { self.short()? } else { 0 };
        let properties = self.properties()?;
        let payload = std::mem::take(&mut self.rest).to_vec();
        Some(Publish { dup: first & 8 != 0, qos, retain: first & 1 != 0, topic, id, properties, payload })
    }

    fn filters(&mut self) -> Option<Vec<(String, u8)>> {
        self.properties()?;
        let mut filters = Vec::new();
        while !self.rest.is_empty() {
            filters.push((self.text()?, self.byte()?));
        }
        Some(filters)
    }

    fn codes(&mut self) -> Option<Vec<u8>> {
        if !self.rest.is_empty() {
            self.properties()?;
        }
        Some(std::mem::take(&mut self.rest).to_vec())
    }

    /// A Reason Code, which may be left out, with its properties, which may be too.
    fn reason(&mut self) -> Option<u8> {
        let code = self.byte().unwrap_or(0);
        if !self.rest.is_empty() {
            self.properties()?;
        }
        Some(code)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    pub(super) fn short(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    pub(super) fn long(&mut self) -> Option<u32> {
        Some(u32::from(self.short()?) << 16 | u32::from(self.short()?))
    }

    pub(super) fn text(&mut self) -> Option<String> {
        let length = usize::from(self.short()?);
        let text = self.rest.get(..length)?;
        self.rest = self.rest.get(length..)?;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    fn binary(&mut self) -> Option<Vec<u8>> {
        let length = usize::from(self.short()?);
        let bytes = self.rest.get(..length)?;
        self.rest = self.rest.get(length..)?;
        Some(bytes.to_vec())
    }

    pub(super) fn variable(&mut self) -> Option<usize> {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            value |= usize::from(byte & 127) << shift;
            if byte & 128 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn properties(&mut self) -> Option<Vec<Property>> {
        if self.version < 5 {
            return Some(Vec::new());
        }
        let length = self.variable()?;
        let mut inner = Reader { rest: self.rest.get(..length)?, version: self.version };
        self.rest = self.rest.get(length..)?;
        let mut properties = Vec::new();
        while !inner.rest.is_empty() {
            properties.push(Property::read(&mut inner)?);
        }
        Some(properties)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_back_as_they_were() {
        let mut connect = Connect::client(5, "me");
        connect.username = Some("user".to_owned());
        let (topic, payload) = ("gone".to_owned(), b"offline".to_vec());
        connect.will = Some(Publish { qos: 1, retain: true, topic, payload, ..Publish::default() });
        connect.properties = vec![Property::User("a".into(), "b".into()), Property::Long(39, 70_000)];
        let publish = Publish {
            qos: 1,
            id: 7,
            topic: "a/b".to_owned(),
            properties: vec![Property::Text(8, "c".into())],
            payload: vec![0; 300],
            ..Publish::default()
        };
        for packet in [
            Packet::Connect(connect),
            Packet::Publish(publish),
            Packet::Subscribe { id: 1, filters: vec![("a/#".to_owned(), 1)] },
            Packet::Suback { id: 1, codes: vec![0x87] },
            Packet::Disconnect { code: 0x8b },
        ] {
            let bytes = packet.encode(5);
            assert_eq!(Reader::packet(&bytes, 5), Ok(Some((packet, bytes.len()))));
            assert_eq!(Reader::packet(&bytes[..bytes.len() - 1], 5), Ok(None));
        }
    }

    /// The example of MQTT 3.1.1, section 3.1.2.
    #[test]
    fn writes_a_connect_of_the_standard() {
        let bytes = Connect { keep_alive: 10, ..Connect::client(4, "") }.encode();
        assert_eq!(bytes, [0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 10, 0, 0]);
    }
}
