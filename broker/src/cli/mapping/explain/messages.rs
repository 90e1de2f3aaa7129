//! What devices say and are sent whose protocol carries messages: MQTT, CoAP, the texts of a serial line, Bluetooth.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use usp_adapters::coap_timing::{ACK_TIMEOUT, MAX_RETRANSMIT, TRANSFER};
use usp_mapping::line::readable;
use usp_mapping::mapping::{
    CoapOptions, CoapRead, Device, DeviceAddress, LineOptions, LineRead, Mapping, MqttOptions, MqttSend,
    Poll, Protocol, ReadPoint, WritePoint,
};
use usp_mapping::payload::{BodyFormat, shown};
use usp_mapping::port::DeviceFault;
use usp_mapping::transform::Transform;
use usp_mapping::value::Value;

use super::text::period;
use super::zigbee;

/// Where something is heard or asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(in crate::cli::mapping) struct HeardTold {
    /// Topic, with `~` for that of the device, or path, or what a serial line is asked.
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

/// How messages go, and how many.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(in crate::cli::mapping) struct MannerTold {
    /// For the answer to one question.
    pub(super) timeout_ms: u128,
    /// When a question is sent again that nobody acknowledges, in milliseconds after the first time, at the earliest.
    pub(super) again_ms: Vec<u128>,
    /// Most questions an hour, by polls.
    pub(super) asks_per_hour: f64,
    /// All of it in words.
    pub(super) words: Vec<String>,
}

/// How a device of messages is asked; `None`: its protocol has other frames.
pub(super) fn manner(mapping: &Mapping) -> Option<MannerTold> {
    let asks_per_hour = asks_per_hour(mapping);
    let writes = mapping.capabilities.iter().any(|capability| capability.write.is_some());
    match &mapping.protocol {
        Protocol::Mqtt(options) => Some(mqtt_manner(options, asks_per_hour, writes)),
        Protocol::Coap(options) => {
            let observed = mapping.points().filter_map(|point| point.read).any(|read| {
                read.places().any(|place| matches!(place, ReadPoint::Coap(read) if read.observe))
            });
            Some(coap_manner(options, asks_per_hour, observed))
        }
        Protocol::Line(options) => Some(line_manner(options, asks_per_hour)),
        Protocol::Ble(options) => Some(super::bluetooth::manner(mapping, options, asks_per_hour)),
        Protocol::Zigbee(options) => Some(zigbee::manner(mapping, options, asks_per_hour)),
        Protocol::Modbus(_) => None,
    }
}

fn line_manner(options: &LineOptions, asks_per_hour: f64) -> MannerTold {
    let timeout = period(options.timeout.as_millis());
    let mut words = vec![format!(
        "One request at a time, with {timeout} for its answer; nothing is sent again. When there was none, the line rests as long \
         once more."
    )];
    words.push(match asks_per_hour {
        0.0 => "No poll asks it: it speaks when it likes.".to_owned(),
        most => format!("Polls ask it at most {most:.0} times an hour."),
    });
    if let Some(every) = options.every {
        words.push(format!(
            "It speaks by itself every {}, and is offline when nothing was heard for three times as long.",
            period(every.as_millis())
        ));
    }
    MannerTold { timeout_ms: options.timeout.as_millis(), again_ms: Vec::new(), asks_per_hour, words }
}

fn mqtt_manner(options: &MqttOptions, asks_per_hour: f64, writes: bool) -> MannerTold {
    let timeout = period(options.timeout.as_millis());
    let mut words = vec![format!(
        "Subscriptions have QoS {}. The server has {timeout} to acknowledge what is published, and the device as long to answer \
         a question; neither is sent again.",
        options.qos
    )];
    words.push(match asks_per_hour {
        0.0 => "It is never asked by a poll: it speaks when it likes.".to_owned(),
        most => format!("While it is silent, polls ask it at most {most:.0} times an hour."),
    });
    if writes {
        words.push(
            "The server's acknowledgement is no word of the device, nor is what the server has kept: a Set is done when the \
             device says the new value."
                .to_owned(),
        );
    }
    MannerTold { timeout_ms: options.timeout.as_millis(), again_ms: Vec::new(), asks_per_hour, words }
}

fn coap_manner(options: &CoapOptions, asks_per_hour: f64, observed: bool) -> MannerTold {
    let timeout = period(options.timeout.as_millis());
    let again_ms: Vec<u128> = if options.confirmable { again(options.timeout) } else { Vec::new() };
    let first = ACK_TIMEOUT.as_millis();
    let mut words = Vec::new();
    words.push(if options.confirmable {
        let times: Vec<String> = again_ms.iter().map(|after| period(*after)).collect();
        let here = match times.as_slice() {
            [] => "not at all".to_owned(),
            times => format!("{} times, at the earliest after {}", times.len(), times.join(", ")),
        };
        format!(
            "Each request is a confirmable message with {timeout} for its answer. Without an acknowledgement it is sent again \
             after {} to {} (ACK_TIMEOUT, by chance), then after twice as long each time, at most {MAX_RETRANSMIT} times \
             (MAX_RETRANSMIT); within {timeout} that is {here}.",
            period(first),
            period(first * 3 / 2),
        )
    } else {
        format!("Requests are non-confirmable messages: each is sent once, with {timeout} for its answer.")
    });
    words.push(format!(
        "Bodies of more than {} bytes go in blocks; all blocks together have {}.",
        options.block,
        period(TRANSFER.as_millis())
    ));
    words.push(match (asks_per_hour, observed) {
        (0.0, _) => "No poll asks it.".to_owned(),
        (most, false) => format!("Polls ask it {most:.0} times an hour, a request and its answer each."),
        (most, true) => format!(
            "Polls ask it at most {most:.0} times an hour, a request and its answer each: what is observed only when nothing was \
             told for so long. Each change that is told is one message and its acknowledgement."
        ),
    });
    if observed {
        words.push(format!(
            "When it has said nothing for {} (`silence`) it is asked whether it is still there, and is offline if it does not answer.",
            period(options.silence.as_millis())
        ));
    }
    MannerTold { timeout_ms: options.timeout.as_millis(), again_ms, asks_per_hour, words }
}

/// When a message is sent again within a time.
fn again(within: Duration) -> Vec<u128> {
    let after = (1..=u32::from(MAX_RETRANSMIT)).map(|count| ACK_TIMEOUT * (2_u32.pow(count) - 1));
    after.take_while(|after| *after < within).map(|after| after.as_millis()).collect()
}

/// What is asked in the same words is asked once for all points, as often as the first of them wants it.
fn asks_per_hour(mapping: &Mapping) -> f64 {
    let mut asks: BTreeMap<String, Duration> = BTreeMap::new();
    for read in mapping.points().filter_map(|point| point.read) {
        let Poll::Every(every) = read.poll else { continue };
        for place in read.places() {
            let ask = match place {
                ReadPoint::Mqtt(read) => read.get.as_ref().map(ask),
                ReadPoint::Coap(read) => Some(format!("{} {:?}", read.path, read.accept)),
                ReadPoint::Line(read) => read.ask.as_ref().map(|ask| over_a_line(&ask.wire)),
                ReadPoint::Ble(read) => read.char().map(ToString::to_string),
                ReadPoint::Zigbee(read) => zigbee::asked(read),
                ReadPoint::Modbus(_) => None,
            };
            if let Some(ask) = ask {
                let known = asks.entry(ask).or_insert(every);
                *known = (*known).min(every);
            }
        }
    }
    asks.values().map(|every| 3600.0 / every.as_secs_f64()).sum()
}

/// Where a device is on its bus, if that is no unit.
pub(super) fn address(device: &Device) -> Option<String> {
    match &device.address {
        DeviceAddress::ModbusUnit(_) | DeviceAddress::Line => None,
        DeviceAddress::MqttTopic(topic) => Some(topic.clone()),
        DeviceAddress::Coap(address) => Some(address.host.to_string()),
        DeviceAddress::Ble(address) => Some(address.mac.to_string()),
        DeviceAddress::Zigbee(ieee) => Some(ieee.to_string()),
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
        ReadPoint::Line(read) => return Some(line_told(read, &often(""), &often(" of silence"))),
        ReadPoint::Ble(read) => return Some(super::bluetooth::told(read, &often(""))),
        ReadPoint::Zigbee(read) => return Some(zigbee::heard(read, poll, &often(""))),
    };
    Some(HeardTold { from: from.clone(), what: pick.to_string(), how, points: Vec::new() })
}

/// What goes over a serial line: as it can be read, and its bytes.
fn line_told(read: &LineRead, often: &str, quiet: &str) -> HeardTold {
    let (from, how) = match (&read.ask, read.unasked) {
        (None, _) => ("(unasked)".to_owned(), "said unasked".to_owned()),
        (Some(ask), true) => (over_a_line(&ask.wire), format!("said unasked; asked {quiet}")),
        (Some(ask), false) => (over_a_line(&ask.wire), format!("asked {often}")),
    };
    HeardTold { from, what: read.described(), how, points: Vec::new() }
}

/// `"PWR?\r" = 50 57 52 3f 0d`
fn over_a_line(bytes: &[u8]) -> String {
    format!("\"{}\" = {}", readable(bytes), super::bluetooth::hex(bytes))
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
        WritePoint::Line(write) => {
            let (request, _) = write.request(&raw)?;
            let how = write
                .ack
                .as_ref()
                .map_or("nothing is said to it".to_owned(), |ack| format!("acknowledged by {ack}"));
            let to = "the line".to_owned();
            return Ok(vec![SentTold { to, how, body: over_a_line(&request.wire) }]);
        }
        WritePoint::Ble(write) => {
            return Ok(vec![super::bluetooth::sent(write, &write.body(&raw)?)]);
        }
        WritePoint::Zigbee(write) => {
            let to = format!("endpoint {}", write.endpoint);
            let body = zigbee::hex(&write.frame(&raw)?.bytes);
            return Ok(vec![SentTold { to, how: write.described(), body }]);
        }
    };
    Ok(vec![SentTold { to: to.clone(), how, body: shown(&put.body(&raw)?) }])
}
