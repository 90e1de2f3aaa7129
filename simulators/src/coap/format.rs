//! Representations: what a resource says in text, JSON, CBOR, SenML and LwM2M TLV, and what such bodies say to it.
//!
//! Written from RFC 8949 (CBOR), RFC 8428 (SenML) and OMA LwM2M Core 1.2, 7.4.3 (TLV); JSON is serde_json's.

use std::collections::BTreeMap;

use serde_json::Value as Json;

/// A content format (RFC 7252, 12.3 and the registry).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// 0
    Text,
    /// 40
    Links,
    /// 42
    Bytes,
    /// 50
    Json,
    /// 60
    Cbor,
    /// 110
    SenmlJson,
    /// 112
    SenmlCbor,
    /// 11542
    Tlv,
}

impl Form {
    const ALL: [(Self, u16); 8] = [
        (Self::Text, 0),
        (Self::Links, 40),
        (Self::Bytes, 42),
        (Self::Json, 50),
        (Self::Cbor, 60),
        (Self::SenmlJson, 110),
        (Self::SenmlCbor, 112),
        (Self::Tlv, 11542),
    ];

    /// Its number.
    pub fn number(self) -> u16 {
        Self::ALL.iter().find(|(form, _)| *form == self).map_or(0, |(_, number)| *number)
    }

    /// The format of a number.
    pub fn of(wanted: u32) -> Option<Self> {
        Self::ALL.iter().find(|(_, number)| u32::from(*number) == wanted).map(|(form, _)| *form)
    }
}

/// A single value.
#[derive(Clone, Debug, PartialEq)]
pub enum Leaf {
    /// On or off.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any number.
    Float(f64),
    /// Text.
    Text(String),
}

impl Leaf {
    /// As text/plain.
    pub fn text(&self) -> String {
        match self {
            // LwM2M Core, 7.4.1: a Boolean is 0 or 1.
            Self::Bool(on) => u8::from(*on).to_string(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }

    fn json(&self) -> Json {
        match self {
            Self::Bool(on) => Json::from(*on),
            Self::Int(number) => Json::from(*number),
            Self::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => Json::from(*number as i64),
            Self::Float(number) => Json::from(*number),
            Self::Text(text) => Json::from(text.clone()),
        }
    }

    fn of(json: &Json) -> Option<Self> {
        match json {
            Json::Bool(on) => Some(Self::Bool(*on)),
            Json::Number(number) => Some(number.as_i64().map_or(Self::Float(number.as_f64()?), Self::Int)),
            Json::String(text) => Some(Self::Text(text.clone())),
            Json::Null | Json::Array(_) | Json::Object(_) => None,
        }
    }

    /// The number it is or spells.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Bool(on) => Some(f64::from(u8::from(*on))),
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Text(text) => match text.trim() {
                "true" => Some(1.0),
                "false" => Some(0.0),
                other => other.parse().ok(),
            },
        }
    }
}

/// Where a value stands in each kind of body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The way through a JSON or CBOR document; empty: it is the document.
    pub at: Vec<String>,
    /// Its name in a SenML pack.
    pub senml: String,
    /// Its way through a TLV body: the resource, with what is around it.
    pub tlv: Vec<u16>,
}

/// Writes a body.
pub fn write(form: Form, values: &[(&Place, Leaf)]) -> Vec<u8> {
    match form {
        Form::Text | Form::Links | Form::Bytes => {
            values.first().map(|(_, leaf)| leaf.text().into_bytes()).unwrap_or_default()
        }
        Form::Json => document(values).to_string().into_bytes(),
        Form::Cbor => cbor(&document(values)),
        Form::SenmlJson => pack(values, false).to_string().into_bytes(),
        Form::SenmlCbor => cbor(&pack(values, true)),
        Form::Tlv => values.iter().flat_map(|(place, leaf)| tlv(place, leaf)).collect(),
    }
}

/// The value at a place of a body that was received; `None`: it says nothing of it.
pub fn read(form: Form, body: &[u8], place: &Place) -> Option<Leaf> {
    match form {
        Form::Text | Form::Links | Form::Bytes => {
            Some(Leaf::Text(String::from_utf8(body.to_vec()).ok()?.trim().to_owned()))
        }
        Form::Json => Leaf::of(at(&serde_json::from_slice(body).ok()?, &place.at)?),
        Form::Cbor => Leaf::of(at(&uncbor(&mut &body[..], 0)?, &place.at)?),
        Form::SenmlJson => unpack(&serde_json::from_slice(body).ok()?, place),
        Form::SenmlCbor => unpack(&uncbor(&mut &body[..], 0)?, place),
        Form::Tlv => untlv(body, &place.tlv),
    }
}

fn document(values: &[(&Place, Leaf)]) -> Json {
    let mut whole = Json::Null;
    for (place, leaf) in values {
        let mut here = &mut whole;
        for part in &place.at {
            let index: Option<usize> = part.parse().ok();
            here = match (index, &mut *here) {
                (Some(index), Json::Array(items)) => {
                    items.resize(items.len().max(index + 1), Json::Null);
                    &mut items[index]
                }
                (Some(index), slot @ Json::Null) if index < 16 => {
                    *slot = Json::Array(vec![Json::Null; index + 1]);
                    &mut slot[index]
                }
                (_, slot) => {
                    if !slot.is_object() {
                        *slot = Json::Object(serde_json::Map::new());
                    }
                    &mut slot[part.as_str()]
                }
            };
        }
        *here = leaf.json();
    }
    whole
}

fn at<'a>(document: &'a Json, way: &[String]) -> Option<&'a Json> {
    way.iter().try_fold(document, |here, part| match here {
        Json::Array(items) => items.get(part.parse::<usize>().ok()?),
        here => here.get(part),
    })
}

/// Names of SenML's fields, in text and in CBOR (RFC 8428, table 6).
const FIELDS: [(&str, i64); 6] = [("bn", -2), ("n", 0), ("u", 1), ("v", 2), ("vs", 3), ("vb", 4)];

/// In CBOR the labels are numbers: they stand as texts here and are written as numbers.
fn pack(values: &[(&Place, Leaf)], labels: bool) -> Json {
    let label = |name: &str| match FIELDS.iter().find(|(known, _)| *known == name) {
        Some((_, number)) if labels => format!("#{number}"),
        _ => name.to_owned(),
    };
    let record = |(place, leaf): &(&Place, Leaf)| {
        let value = match leaf {
            Leaf::Bool(_) => "vb",
            Leaf::Int(_) | Leaf::Float(_) => "v",
            Leaf::Text(_) => "vs",
        };
        let mut map = serde_json::Map::new();
        map.insert(label("n"), Json::from(place.senml.clone()));
        map.insert(label(value), leaf.json());
        Json::Object(map)
    };
    Json::Array(values.iter().map(record).collect())
}

fn unpack(pack: &Json, place: &Place) -> Option<Leaf> {
    let field = |record: &Json, name: &str| {
        let number = FIELDS.iter().find(|(known, _)| *known == name).map(|(_, number)| format!("#{number}"));
        record.get(name).or_else(|| record.get(number.as_deref().unwrap_or_default())).cloned()
    };
    let text = |record: &Json, name: &str| field(record, name).and_then(|it| it.as_str().map(str::to_owned));
    let mut base = String::new();
    for record in pack.as_array()? {
        base = text(record, "bn").unwrap_or(base);
        if base.clone() + &text(record, "n").unwrap_or_default() == place.senml {
            return ["v", "vb", "vs"].iter().find_map(|name| Leaf::of(&field(record, name)?));
        }
    }
    None
}

fn cbor(value: &Json) -> Vec<u8> {
    let head = |major: u8, value: u64| -> Vec<u8> {
        let major = major << 5;
        match value {
            0..=23 => vec![major | value as u8],
            24..=0xff => vec![major | 24, value as u8],
            0x100..=0xffff => [&[major | 25][..], &(value as u16).to_be_bytes()].concat(),
            0x1_0000..=0xffff_ffff => [&[major | 26][..], &(value as u32).to_be_bytes()].concat(),
            _ => [&[major | 27][..], &value.to_be_bytes()].concat(),
        }
    };
    let int = |number: i64| match u64::try_from(number) {
        Ok(number) => head(0, number),
        Err(_) => head(1, number.unsigned_abs() - 1),
    };
    match value {
        Json::Null => vec![0xf6],
        Json::Bool(on) => vec![0xf4 | u8::from(*on)],
        Json::Number(number) => match number.as_i64() {
            Some(number) => int(number),
            None => [&[0xfb][..], &number.as_f64().unwrap_or(f64::NAN).to_be_bytes()].concat(),
        },
        Json::String(text) => [head(3, text.len() as u64), text.clone().into_bytes()].concat(),
        Json::Array(items) => [head(4, items.len() as u64), items.iter().flat_map(cbor).collect()].concat(),
        Json::Object(map) => {
            let key = |key: &String| match key.strip_prefix('#').and_then(|label| label.parse().ok()) {
                Some(label) => int(label),
                None => cbor(&Json::from(key.clone())),
            };
            let entries = map.iter().flat_map(|(name, value)| [key(name), cbor(value)].concat());
            [head(5, map.len() as u64), entries.collect()].concat()
        }
    }
}

/// Definite lengths only, at most eight deep; floats of 32 and 64 bits.
fn uncbor(rest: &mut &[u8], depth: u8) -> Option<Json> {
    let mut take = |count: usize| -> Option<Vec<u8>> {
        let (taken, after) = rest.split_at_checked(count)?;
        *rest = after;
        Some(taken.to_vec())
    };
    let first = *take(1)?.first()?;
    let (major, small) = (first >> 5, first & 31);
    let value = match small {
        0..=23 => u64::from(small),
        24..=27 => take(1 << (small - 24))?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)),
        _ => return None,
    };
    let length = usize::try_from(value).ok().filter(|length| *length <= 65_536);
    match major {
        0 => i64::try_from(value).ok().map(Json::from),
        1 => i64::try_from(value).ok().map(|value| Json::from(-1 - value)),
        3 => String::from_utf8(take(length?)?).ok().map(Json::from),
        4 if depth < 8 => {
            (0..length?).map(|_| uncbor(rest, depth + 1)).collect::<Option<Vec<_>>>().map(Json::from)
        }
        5 if depth < 8 => {
            let mut map = serde_json::Map::new();
            for _ in 0..length? {
                let key = match uncbor(rest, depth + 1)? {
                    Json::String(text) => text,
                    number => format!("#{number}"),
                };
                map.insert(key, uncbor(rest, depth + 1)?);
            }
            Some(Json::Object(map))
        }
        7 => match small {
            20 | 21 => Some(Json::from(small == 21)),
            26 => Some(Json::from(f64::from(f32::from_bits(u32::try_from(value).ok()?)))),
            27 => Some(Json::from(f64::from_bits(value))),
            _ => Some(Json::Null),
        },
        _ => None,
    }
}

/// One entry, within those that are around it.
fn tlv(place: &Place, leaf: &Leaf) -> Vec<u8> {
    let value = match leaf {
        Leaf::Bool(on) => vec![u8::from(*on)],
        Leaf::Int(number) => match *number {
            small @ -128..=127 => (small as i8).to_be_bytes().to_vec(),
            short @ -32_768..=32_767 => (short as i16).to_be_bytes().to_vec(),
            long => (long as i32).to_be_bytes().to_vec(),
        },
        Leaf::Float(number) => number.to_be_bytes().to_vec(),
        Leaf::Text(text) => text.clone().into_bytes(),
    };
    // The last is a resource with a value; what is around it are object instances.
    let depth = place.tlv.len();
    let levels = place.tlv.iter().enumerate().rev();
    levels.fold(value, |value, (level, id)| entry(if level + 1 == depth { 0b11 } else { 0b00 }, *id, &value))
}

fn entry(kind: u8, id: u16, value: &[u8]) -> Vec<u8> {
    let wide = u8::from(id > 255);
    let (size, length): (u8, Vec<u8>) = match value.len() {
        short @ 0..=7 => (short as u8, Vec::new()),
        8..=255 => (1 << 3, vec![value.len() as u8]),
        _ => (2 << 3, (value.len() as u16).to_be_bytes().to_vec()),
    };
    let id = if wide == 1 { id.to_be_bytes().to_vec() } else { vec![id as u8] };
    [vec![kind << 6 | wide << 5 | size], id, length, value.to_vec()].concat()
}

fn untlv(body: &[u8], way: &[u16]) -> Option<Leaf> {
    let mut found = BTreeMap::new();
    let mut rest = body;
    while let [head, after @ ..] = rest {
        let (id, after) = match (head >> 5 & 1, after) {
            (1, [high, low, after @ ..]) => (u16::from_be_bytes([*high, *low]), after),
            (0, [id, after @ ..]) => (u16::from(*id), after),
            _ => return None,
        };
        let (length, after) = match (head >> 3 & 3, after) {
            (0, after) => (usize::from(head & 7), after),
            (1, [one, after @ ..]) => (usize::from(*one), after),
            (2, [high, low, after @ ..]) => (usize::from(u16::from_be_bytes([*high, *low])), after),
            _ => return None,
        };
        let (value, after) = after.split_at_checked(length)?;
        found.insert(id, value);
        rest = after;
    }
    let (id, inner) = way.split_first()?;
    let value = found.get(id)?;
    if !inner.is_empty() {
        return untlv(value, inner);
    }
    match value {
        [one] => Some(Leaf::Int(i64::from(i8::from_be_bytes([*one])))),
        [a, b] => Some(Leaf::Int(i64::from(i16::from_be_bytes([*a, *b])))),
        [a, b, c, d] => Some(Leaf::Int(i64::from(i32::from_be_bytes([*a, *b, *c, *d])))),
        [a, b, c, d, e, f, g, h] => Some(Leaf::Float(f64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]))),
        text => String::from_utf8(text.to_vec()).ok().map(Leaf::Text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(at: &[&str], senml: &str, tlv: &[u16]) -> Place {
        let at = at.iter().map(|part| (*part).to_owned()).collect();
        Place { at, senml: senml.to_owned(), tlv: tlv.to_vec() }
    }

    #[test]
    fn what_is_written_is_read_again_in_every_form() {
        let places = [place(&["3311", "0", "5850"], "/3311/0/5850", &[0, 5850]), place(&["b"], "/b", &[9])];
        for leaf in [Leaf::Int(-5), Leaf::Float(21.5), Leaf::Text("a longer text".into())] {
            for form in [Form::Json, Form::Cbor, Form::SenmlJson, Form::SenmlCbor, Form::Tlv] {
                let body = write(form, &[(&places[0], leaf.clone()), (&places[1], Leaf::Int(1))]);
                assert_eq!(read(form, &body, &places[0]), Some(leaf.clone()), "{form:?}");
                assert_eq!(read(form, &body, &place(&["x"], "/x", &[77])), None, "{form:?}");
            }
        }
    }

    #[test]
    fn bytes_are_those_of_the_standards() {
        // RFC 8949, appendix A.
        assert_eq!(
            cbor(&serde_json::json!({"a": 1, "b": [2, -500]})),
            [0xa2, 0x61, 0x61, 1, 0x61, 0x62, 0x82, 2, 0x39, 0x01, 0xf3]
        );
        // LwM2M Core 1.2, 7.4.3.1: resource 0 of an object 3, "Open Mobile Alliance".
        let text = Leaf::Text("Open Mobile Alliance".to_owned());
        let body = write(Form::Tlv, &[(&place(&[], "", &[0]), text)]);
        assert_eq!(body[..3], [0xc8, 0x00, 0x14]);
        let on = write(Form::SenmlCbor, &[(&place(&[], "/3311/0/5850", &[]), Leaf::Bool(true))]);
        assert_eq!(on[..3], [0x81, 0xa2, 0x00], "the name has label 0");
    }

    #[test]
    fn broken_bodies_say_nothing() {
        let place = place(&["a"], "a", &[1]);
        for form in [Form::Json, Form::Cbor, Form::SenmlJson, Form::SenmlCbor, Form::Tlv] {
            for body in [&b""[..], b"{", b"\xff\xff\xff", &[0x9b; 9], &[0xc8, 1]] {
                assert_eq!(read(form, body, &place), None, "{form:?} {body:?}");
            }
        }
    }
}
