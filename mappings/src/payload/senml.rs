//! SenML (RFC 8428), in JSON and in CBOR.

use rust_decimal::Decimal;

use super::doc::{Doc, garbled};
use crate::port::DeviceFault;
use crate::transform::Raw;
use crate::value::parse_decimal;

/// A field: its label in JSON and in CBOR (RFC 8428, sections 4.1, 4.2 and 6).
type Label = (&'static str, i128);

const BASE_NAME: Label = ("bn", -2);
const BASE_TIME: Label = ("bt", -3);
const BASE_VALUE: Label = ("bv", -5);
const BASE_VERSION: Label = ("bver", -1);
const NAME: Label = ("n", 0);
const VALUE: Label = ("v", 2);
const TEXT: Label = ("vs", 3);
const BOOLEAN: Label = ("vb", 4);
const TIME: Label = ("t", 6);
const DATA: Label = ("vd", 8);

/// The newest version of SenML that is understood.
const VERSION: i64 = 10;

/// The value of the record of this name, by itself or with its base name; of several the newest.
///
/// Errors: [`DeviceFault::Garbled`] for what is no SenML pack, or one that demands what is not understood here.
pub(super) fn take(pack: &Doc, name: &str) -> Result<Option<Raw>, DeviceFault> {
    let Doc::List(records) = pack else { return Err(garbled("a SenML pack is a list of records")) };
    let mut base = Base::default();
    let mut newest: Option<(Decimal, Raw)> = None;
    for record in records {
        let Doc::Map(_) = record else { return Err(garbled("a record of a SenML pack is a map")) };
        understood(record)?;
        base.take(record)?;
        let own = text(record, NAME)?.unwrap_or_default();
        if own != name && format!("{}{own}", base.name) != name {
            continue;
        }
        let Some(raw) = base.value(record)? else { continue };
        let time = base.time.checked_add(number(record, TIME)?.unwrap_or_default()).unwrap_or_default();
        if newest.as_ref().is_none_or(|(known, _)| *known <= time) {
            newest = Some((time, raw));
        }
    }
    Ok(newest.map(|(_, raw)| raw))
}

/// What holds for a record and those that follow, until one of them says otherwise (RFC 8428, section 4.1).
#[derive(Default)]
struct Base {
    name: String,
    time: Decimal,
    value: Decimal,
}

impl Base {
    fn take(&mut self, record: &Doc) -> Result<(), DeviceFault> {
        self.name = text(record, BASE_NAME)?.unwrap_or(std::mem::take(&mut self.name));
        self.time = number(record, BASE_TIME)?.unwrap_or(self.time);
        self.value = number(record, BASE_VALUE)?.unwrap_or(self.value);
        Ok(())
    }

    /// The value of a record, with the base value if it is a number.
    fn value(&self, record: &Doc) -> Result<Option<Raw>, DeviceFault> {
        if let Some(value) = field(record, VALUE) {
            let raw = value.raw()?;
            return if self.value.is_zero() { Ok(Some(raw)) } else { self.added(&raw).map(Some) };
        }
        let other = [TEXT, BOOLEAN, DATA].into_iter().find_map(|label| Some((label, field(record, label)?)));
        match other {
            None if field(record, BASE_VALUE).is_some() => Ok(Some(Raw::Decimal(self.value))),
            None => Ok(None),
            Some((label, value)) => match value.raw()? {
                // JSON has no bytes: they are in base64url without padding (RFC 8428, section 5).
                Raw::Text(text) if label == DATA => data(&text).map(Some),
                raw => Ok(Some(raw)),
            },
        }
    }

    fn added(&self, raw: &Raw) -> Result<Raw, DeviceFault> {
        let number = exact(raw).and_then(|number| number.checked_add(self.value));
        number.map(Raw::Decimal).ok_or_else(|| garbled("the value of a SenML record is no usable number"))
    }
}

fn data(text: &str) -> Result<Raw, DeviceFault> {
    let standard: String = text
        .chars()
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            c => c,
        })
        .collect();
    let padding = "=".repeat((4 - standard.len() % 4) % 4);
    let bytes = crate::base64::decode(&(standard + &padding));
    bytes.map(Raw::Bytes).map_err(|_| garbled("the data of a SenML record is not in base64url"))
}

/// A field whose name ends in `_` must be understood (RFC 8428, section 4.4), and none is here.
fn understood(record: &Doc) -> Result<(), DeviceFault> {
    let Doc::Map(entries) = record else { return Ok(()) };
    if let Some(field) = entries.iter().find_map(|(key, _)| match key {
        Raw::Text(text) if text.ends_with('_') => Some(text),
        _ => None,
    }) {
        return Err(garbled(&format!("its SenML demands that `{field}` is understood")));
    }
    match number(record, BASE_VERSION)? {
        Some(version) if version > Decimal::from(VERSION) => {
            Err(garbled(&format!("its SenML is of version {version}")))
        }
        _ => Ok(()),
    }
}

fn field(record: &Doc, label: Label) -> Option<&Doc> {
    let Doc::Map(entries) = record else { return None };
    let is = |key: &Raw| match key {
        Raw::Text(text) => text == label.0,
        Raw::Int(number) => *number == label.1,
        _ => false,
    };
    entries.iter().rev().find(|(key, _)| is(key)).map(|(_, doc)| doc)
}

fn text(record: &Doc, label: Label) -> Result<Option<String>, DeviceFault> {
    match field(record, label).map(Doc::raw) {
        None => Ok(None),
        Some(Ok(Raw::Text(text))) => Ok(Some(text)),
        Some(_) => Err(garbled(&format!("`{}` of its SenML is no text", label.0))),
    }
}

fn number(record: &Doc, label: Label) -> Result<Option<Decimal>, DeviceFault> {
    let Some(doc) = field(record, label) else { return Ok(None) };
    let number = doc.raw().ok().as_ref().and_then(exact);
    number.map(Some).ok_or_else(|| garbled(&format!("`{}` of its SenML is no number", label.0)))
}

fn exact(raw: &Raw) -> Option<Decimal> {
    match raw {
        Raw::Decimal(number) => Some(*number),
        Raw::Int(number) => Decimal::try_from_i128_with_scale(*number, 0).ok(),
        Raw::F16(_) | Raw::F32(_) | Raw::F64(_) => parse_decimal(&super::text(raw).ok()?).ok(),
        Raw::Bool(_) | Raw::Text(_) | Raw::Bytes(_) => None,
    }
}

/// A pack of one record.
pub(super) fn pack(name: &str, raw: &Raw, cbor: bool) -> Doc {
    let label = |label: Label| if cbor { Raw::Int(label.1) } else { Raw::Text(label.0.to_owned()) };
    let value = match raw {
        Raw::Bool(_) => BOOLEAN,
        Raw::Text(_) => TEXT,
        Raw::Bytes(_) => DATA,
        _ => VALUE,
    };
    let named = (label(NAME), Doc::Value(Raw::Text(name.to_owned())));
    Doc::List(vec![Doc::Map(vec![named, (label(value), Doc::Value(raw.clone()))])])
}
