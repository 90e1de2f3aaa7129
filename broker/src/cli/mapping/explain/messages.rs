//! What devices say and are sent whose protocol carries messages: MQTT and CoAP.

use serde::Serialize;
use usp_mapping::mapping::{
    CoapRead, Device, DeviceAddress, Mapping, MqttSend, Poll, Protocol, ReadPoint, WritePoint,
};
use usp_mapping::payload::{BodyFormat, shown};
use usp_mapping::port::DeviceFault;
use usp_mapping::transform::Transform;
use usp_mapping::value::Value;

use super::text::period;

/// Where something is heard or asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(in crate::cli::mapping) struct HeardTold {
    /// Topic, with `~` for that of the device, or path.
    pub(super) from: String,
    /// What is taken out of the body.
    pub(super) what: String,
    /// How it comes: `published`, `observed`, `asked with …`, and how often all the same.
    pub(super) how: String,
    #[serde(rename = "for")]
    pub(super) points: Vec<String>,
}

/// A message to the device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(in crate::cli::mapping) struct SentTold {
    /// Topic, with `~` for that of the device, or path.
    pub(super) to: String,
    /// Method, or Quality of Service and whether it is kept.
    pub(super) how: String,
    /// The body; after `hex` if it is no text.
    pub(super) body: String,
}

/// Where a device is on its bus, if that is no unit.
pub(super) fn address(device: &Device) -> Option<String> {
    match &device.address {
        DeviceAddress::ModbusUnit(_) => None,
        DeviceAddress::MqttTopic(topic) => Some(topic.clone()),
        DeviceAddress::Coap(address) => Some(address.host.to_string()),
    }
}

/// Everything that is heard or asked for, what belongs together once.
pub(super) fn heard(mapping: &Mapping) -> Vec<HeardTold> {
    let mut all: Vec<HeardTold> = Vec::new();
    if let Protocol::Mqtt(options) = &mapping.protocol {
        all.extend(options.availability.iter().map(|said| HeardTold {
            from: said.topic.clone(),
            what: format!("{}: {} or {}", said.pick, said.online.join(", "), said.offline.join(", ")),
            how: "published".to_owned(),
            points: vec!["Online".to_owned()],
        }));
    }
    for point in mapping.points() {
        let Some(read) = point.read else { continue };
        for place in read.places() {
            let Some(told) = place_told(place, read.poll) else { continue };
            let known = all
                .iter_mut()
                .find(|known| (&known.from, &known.what, &known.how) == (&told.from, &told.what, &told.how));
            match known {
                Some(known) => known.points.push(point.name.to_owned()),
                None => all.push(HeardTold { points: vec![point.name.to_owned()], ..told }),
            }
        }
    }
    all
}

fn place_told(place: &ReadPoint, poll: Poll) -> Option<HeardTold> {
    let often = |quiet: &str| match poll {
        Poll::Every(every) => format!("every {}{quiet}", period(every.as_millis())),
        Poll::Once => "at the start and after each absence".to_owned(),
        Poll::OnDemand => "on demand".to_owned(),
    };
    let (from, pick, how) = match place {
        ReadPoint::Modbus(_) => return None,
        ReadPoint::Mqtt(read) => {
            let asked =
                read.get.as_ref().map(|get| format!("; asked with {} {}", ask(get), often(" of silence")));
            (&read.topic, &read.pick, format!("published{}", asked.unwrap_or_default()))
        }
        ReadPoint::Coap(read) if read.observe => {
            (&read.path, &read.pick, format!("observed; GET {}{}", often(" of silence"), accepted(read)))
        }
        ReadPoint::Coap(read) => (&read.path, &read.pick, format!("GET {}{}", often(""), accepted(read))),
    };
    Some(HeardTold { from: from.clone(), what: pick.to_string(), how, points: Vec::new() })
}

/// The format that is asked for.
fn accepted(read: &CoapRead) -> &'static str {
    match read.accept {
        None => "",
        Some(BodyFormat::Text) => ", as text",
        Some(BodyFormat::Json) => ", as JSON",
        Some(BodyFormat::Cbor) => ", as CBOR",
        Some(BodyFormat::SenmlJson) => ", as SenML in JSON",
        Some(BodyFormat::SenmlCbor) => ", as SenML in CBOR",
        Some(BodyFormat::Tlv) => ", as TLV",
        Some(BodyFormat::Bytes) => ", as bytes",
    }
}

fn ask(get: &MqttSend) -> String {
    let body = get.put.constant().map(|body| shown(&body)).unwrap_or_default();
    format!("{} {body},", get.topic)
}

/// The message that writes a value.
///
/// Errors: it cannot be written there.
pub(super) fn sent(
    point: &WritePoint,
    transform: &Transform,
    value: &Value,
) -> Result<Vec<SentTold>, DeviceFault> {
    let raw = transform.encode(value, point.raw_kind())?;
    let (to, how, put) = match point {
        WritePoint::Modbus { .. } => return Ok(Vec::new()),
        WritePoint::Mqtt(write) => {
            let retain = if write.retain { ", retained" } else { "" };
            (&write.topic, format!("QoS {}{retain}", write.qos), &write.put)
        }
        WritePoint::Coap(write) => (&write.path, format!("{:?}", write.method).to_uppercase(), &write.put),
    };
    Ok(vec![SentTold { to: to.clone(), how, body: shown(&put.body(&raw)?) }])
}
