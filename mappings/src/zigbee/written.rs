//! Frames that write a value.

use super::zcl::{self, Frame, encode};
use super::{
    ZclType, ZigbeeBy, ZigbeeCall, ZigbeeField, ZigbeeFieldValue, ZigbeeFrame, ZigbeeFrom, ZigbeeRead,
    ZigbeeWrite, clusters,
};
use crate::payload::{Body, Pick, Pointer};
use crate::port::DeviceFault;
use crate::transform::{Raw, RawKind};

/// Longest list of arguments.
const MAX_LIST: u16 = u16::MAX;

impl ZigbeeWrite {
    /// What fits into it.
    pub fn raw_kind(&self) -> RawKind {
        match &self.by {
            ZigbeeBy::Attribute { kind, .. } => kind.raw_kind(),
            ZigbeeBy::Command(call) => call.raw_kind(),
            ZigbeeBy::OfNumber(calls) => {
                let most = calls.iter().map(|(raw, _)| *raw).max().unwrap_or_default();
                RawKind::Int { bits: if most > 1 { 8 } else { 1 }, signed: false }
            }
            ZigbeeBy::OfName(_) => RawKind::Text(64),
        }
    }

    /// The frame that writes a raw value.
    ///
    /// Errors: it does not fit, or no command is for it.
    pub fn frame(&self, raw: &Raw) -> Result<ZigbeeFrame, DeviceFault> {
        let frame = match &self.by {
            ZigbeeBy::Attribute { id, kind } => {
                zcl::write_attribute(self.manufacturer, *id, *kind, &encode(*kind, raw)?)
            }
            ZigbeeBy::Command(call) => self.call(call, raw)?,
            ZigbeeBy::OfNumber(calls) => {
                let wanted = match raw {
                    Raw::Int(number) => Some(*number),
                    Raw::Bool(state) => Some(i128::from(*state)),
                    _ => None,
                };
                let found = calls.iter().find(|(number, _)| Some(*number) == wanted);
                self.call(&found.ok_or_else(no_command)?.1, raw)?
            }
            ZigbeeBy::OfName(calls) => {
                let found = calls.iter().find(|(name, _)| matches!(raw, Raw::Text(text) if text == name));
                self.call(&found.ok_or_else(no_command)?.1, raw)?
            }
        };
        Ok(ZigbeeFrame { endpoint: self.endpoint, cluster: self.cluster, bytes: frame.bytes() })
    }

    fn call(&self, call: &ZigbeeCall, raw: &Raw) -> Result<Frame, DeviceFault> {
        let fields = call.fields.iter().map(|field| field.bytes(raw));
        let payload = fields.collect::<Result<Vec<_>, _>>()?.concat();
        Ok(zcl::command(self.manufacturer, call.command, payload))
    }

    /// What it is, for people.
    pub fn described(&self) -> String {
        let cluster = clusters::shown(self.cluster);
        let maker = self.manufacturer.map_or(String::new(), |code| format!(", manufacturer 0x{code:04x}"));
        let what = match &self.by {
            ZigbeeBy::Attribute { id, kind } => {
                let name = clusters::attribute_shown(self.cluster, *id, self.manufacturer);
                format!("attribute {name} (0x{id:04x}, {kind})")
            }
            ZigbeeBy::Command(call) => format!("command {}", call.described()),
            ZigbeeBy::OfNumber(calls) => {
                let all = calls.iter().map(|(raw, call)| format!("{raw}: {}", call.described()));
                format!("commands {}", all.collect::<Vec<_>>().join(", "))
            }
            ZigbeeBy::OfName(calls) => {
                let all = calls.iter().map(|(_, call)| call.described());
                format!("commands {}", all.collect::<Vec<_>>().join(", "))
            }
        };
        format!("{cluster} {what}{maker}")
    }
}

impl ZigbeeRead {
    /// The frame that asks for it; `None`: it cannot be asked for.
    pub fn ask(&self) -> Option<ZigbeeFrame> {
        let ZigbeeFrom::Attribute(attribute) = &self.from else { return None };
        let frame = attribute.asked.then(|| zcl::read_attributes(self.manufacturer, &[attribute.id]))?;
        Some(ZigbeeFrame { endpoint: self.endpoint, cluster: self.cluster, bytes: frame.bytes() })
    }
}

impl ZigbeeCall {
    /// What fits into its value.
    fn raw_kind(&self) -> RawKind {
        let value = self.fields.iter().find(|field| field.value == ZigbeeFieldValue::Value);
        let has_items = self.fields.iter().any(|field| matches!(field.value, ZigbeeFieldValue::Item(_)));
        match value {
            Some(field) => field.kind.raw_kind(),
            None if has_items => RawKind::Text(MAX_LIST),
            None => RawKind::Any,
        }
    }

    /// `move_to_level (0x00) level: $value, transition_time: 00 00`
    fn described(&self) -> String {
        let field = |field: &ZigbeeField| {
            let value = match &field.value {
                ZigbeeFieldValue::Fixed(bytes) => {
                    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
                }
                ZigbeeFieldValue::Value => "$value".to_owned(),
                ZigbeeFieldValue::Item(place) => format!("argument {}", place + 1),
            };
            format!(" {}={value}", field.name)
        };
        let fields: String = self.fields.iter().map(field).collect();
        format!("{} (0x{:02x}){fields}", self.name, self.command)
    }
}

impl ZigbeeField {
    fn bytes(&self, raw: &Raw) -> Result<Vec<u8>, DeviceFault> {
        match &self.value {
            ZigbeeFieldValue::Fixed(bytes) => Ok(bytes.clone()),
            ZigbeeFieldValue::Value => encode(self.kind, raw),
            ZigbeeFieldValue::Item(place) => encode(self.kind, &item(raw, *place, self.kind)?),
        }
    }
}

/// One of a list in JSON.
fn item(list: &Raw, place: usize, kind: ZclType) -> Result<Raw, DeviceFault> {
    let missing = || DeviceFault::Unwritable("an argument is missing".to_owned());
    let Raw::Text(text) = list else { return Err(missing()) };
    let pick = Pick::Json(Pointer(vec![place.to_string()]));
    let raw = Body::new(text.as_bytes(), None).take(&pick)?.ok_or_else(missing)?;
    Ok(match (kind, raw) {
        (ZclType::Octets | ZclType::LongOctets, Raw::Text(text)) => Raw::Bytes(text.into_bytes()),
        (_, raw) => raw,
    })
}

fn no_command() -> DeviceFault {
    DeviceFault::Unwritable("the device has no command for it".to_owned())
}
