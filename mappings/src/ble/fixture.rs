//! What a device advertises and holds in a test, and what is written to it.

use super::{BlePick, BleRead, BleSource, BleUuid, BleWrite};
use crate::payload::said::Said;
use crate::port::DeviceFault;
use crate::transform::Raw;

/// How places begin that are written.
const CHAR: &str = "char ";

/// What the newest of these that has it says; `None`: none has it.
pub(crate) fn taken(said: &Said, read: &BleRead) -> Option<Result<Raw, DeviceFault>> {
    let mut said = said.0.iter().rev().filter(|(place, _)| is_place(read, place));
    said.find_map(|(_, bytes)| match &read.pick {
        BlePick::Rssi => bytes.first_chunk().map(|bytes| Ok(Raw::Int(i16::from_le_bytes(*bytes).into()))),
        BlePick::Bthome(_) | BlePick::Bytes(_) => read.take(bytes),
    })
}

/// Whether what stands there in a test is for a place.
pub(crate) fn is_place(read: &BleRead, place: &str) -> bool {
    let BleSource::Char(char) = &read.from else { return read.from.to_string() == place };
    let Some((service, uuid)) = char_of(place) else { return false };
    let same_service = service.zip(char.service).is_none_or(|(one, other)| one == other);
    uuid == char.uuid && same_service
}

/// The characteristic that a place names, perhaps with its service.
fn char_of(place: &str) -> Option<(Option<BleUuid>, BleUuid)> {
    let place = place.strip_prefix(CHAR)?;
    match place.split_once('/') {
        None => Some((None, BleUuid::parse(place)?)),
        Some((service, uuid)) => Some((Some(BleUuid::parse(service)?), BleUuid::parse(uuid)?)),
    }
}

/// What a test does not say, and how to say it.
pub(crate) fn lacks(read: &BleRead) -> (String, String) {
    let add = match &read.from {
        BleSource::ServiceData(uuid) => format!("adverts: {{service_data: {{\"{uuid}\": …}}}}"),
        BleSource::Manufacturer(company) => format!("adverts: {{manufacturer: {{\"0x{company:04x}\": …}}}}"),
        BleSource::Rssi => "adverts: {rssi: -60}".to_owned(),
        BleSource::Char(char) => format!("chars: {{\"{}\": …}}", char.uuid),
    };
    (read.described(), add)
}

/// What is written for a raw value.
pub(crate) fn written(write: &BleWrite, raw: &Raw) -> Result<Said, DeviceFault> {
    Ok(Said(vec![(format!("{CHAR}{}", write.char.uuid), write.body(raw)?)]))
}

/// Whether anything of this is of Bluetooth.
pub(crate) fn is_over_the_air(said: &Said) -> bool {
    said.0.iter().any(|(place, _)| place.starts_with(CHAR))
}

/// In which these writes are not what was wanted.
pub(crate) fn differences(sent: &Said, wanted: &Said) -> Vec<String> {
    let of = |said: &Said| -> Vec<String> {
        let writes = said.0.iter().filter_map(|(place, bytes)| {
            let (_, uuid) = char_of(place)?;
            let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Some(format!("\"{}\" to {uuid}", digits.join(" ")))
        });
        writes.collect()
    };
    let (sent, wanted) = (of(sent), of(wanted));
    if sent == wanted {
        return Vec::new();
    }
    let list = |texts: &[String]| if texts.is_empty() { "nothing".to_owned() } else { texts.join(", ") };
    vec![format!("{} is written, not {}", list(&sent), list(&wanted))]
}
