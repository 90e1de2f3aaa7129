//! What a Set sends, and what is done then.

use serde::Serialize;
use usp_adapters::explain::{self, Way};
use usp_mapping::mapping::{ArgKind, Capability, Class, Device};
use usp_mapping::port::PointId;
use usp_mapping::value::{Value, parse_decimal};

use super::device::{ExchangeTold, exchanges_told};
use super::messages::{self, SentTold};

/// A write of an example value, or of the one that was asked for.
#[derive(Debug, Serialize)]
pub(in crate::cli::mapping) struct SetTold {
    pub(super) capability: String,
    pub(super) value: String,
    pub(super) exchanges: Vec<ExchangeTold>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) messages: Vec<SentTold>,
    /// Why it cannot be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refused: Option<String>,
    /// `None`: the protocol's acknowledgement is enough.
    pub(super) verify: Option<VerifyTold>,
    pub(super) ttl_ms: u128,
    pub(super) takes_ms: u128,
    pub(super) rate_ms: u128,
    pub(super) coalesce: bool,
    pub(super) undo: bool,
}

/// What is read until it shows the value.
#[derive(Debug, Serialize)]
pub(in crate::cli::mapping) struct VerifyTold {
    pub(super) by: String,
    pub(super) within_ms: u128,
    pub(super) exchanges: Vec<ExchangeTold>,
}

/// Each capability that can be written, with an example.
pub(super) fn sets(device: &Device, way: &Way, wanted: &[(String, String)]) -> Vec<SetTold> {
    let settings = device.mapping.settings.iter().map(|setting| &setting.like);
    let models = (0..).map(PointId).zip(device.mapping.capabilities.iter().chain(settings));
    models.filter_map(|(point, capability)| set(device, way, point, capability, wanted)).collect()
}

fn set(
    device: &Device,
    way: &Way,
    point: PointId,
    capability: &Capability,
    wanted: &[(String, String)],
) -> Option<SetTold> {
    let write = capability.write.as_ref()?;
    let asked = wanted.iter().find(|(id, _)| *id == capability.id);
    let candidates = match asked {
        Some((_, text)) => Value::parse(capability.class, text).into_iter().collect(),
        None => examples(capability),
    };
    let frames = device.mapping.protocol.modbus().is_some();
    let send = |value: &Value| {
        if frames {
            explain::write(device, way, point, value).map(|sent| (sent, Vec::new()))
        } else {
            messages::sent(&write.point, &write.transform, value).map(|sent| (Vec::new(), sent))
        }
    };
    let tried: Vec<_> = candidates.iter().map(|value| (value, send(value))).collect();
    let (value, sent) = tried.iter().find(|(_, sent)| sent.is_ok()).or(tried.first())?;
    let verify = write.verify.map(|verify| {
        let by = verify.by.unwrap_or(point);
        let name = device.mapping.point(by).map(|it| it.name.to_owned()).unwrap_or_default();
        let reads = if frames { explain::reads(device, way, &[by]) } else { Vec::new() };
        let exchanges = exchanges_told(device, &reads);
        VerifyTold { by: name, within_ms: verify.within.as_millis(), exchanges }
    });
    let of_device = device.mapping.protocol.modbus().map(|options| options.write_rate).unwrap_or_default();
    Some(SetTold {
        capability: capability.id.clone(),
        value: value.to_usp(),
        exchanges: sent.as_ref().map(|(sent, _)| exchanges_told(device, sent)).unwrap_or_default(),
        messages: sent.as_ref().map(|(_, sent)| sent.clone()).unwrap_or_default(),
        refused: sent.as_ref().err().map(ToString::to_string),
        verify,
        ttl_ms: write.ttl.as_millis(),
        takes_ms: write.takes.as_millis(),
        rate_ms: write.rate.max(of_device).as_millis(),
        coalesce: write.coalesce,
        undo: write.undo,
    })
}

/// Values that may be written, the best example first.
fn examples(capability: &Capability) -> Vec<Value> {
    match capability.class {
        Class::BinaryControl => vec![Value::Bool(true), Value::Bool(false)],
        Class::LevelControl => levels(capability).unwrap_or_default(),
        // The first state is often the one of raw value 0, whose frame tells least.
        Class::EnumControl => {
            let states = capability.valid_values.iter().skip(1).chain(capability.valid_values.first());
            states.cloned().map(Value::Text).collect()
        }
        _ => Vec::new(),
    }
}

/// The middle of the range on a step, and its ends.
fn levels(capability: &Capability) -> Option<Vec<Value>> {
    let (min, max) = capability.range?;
    let middle = (max - min) / parse_decimal("2").ok()?;
    let middle = match capability.step {
        Some(step) if !step.is_zero() => (middle / step).floor() * step,
        _ => middle.floor(),
    };
    Some([min + middle, min, max].map(|level| Value::Number(level.normalize())).to_vec())
}

/// A value that an argument may have.
pub(super) fn example(kind: &ArgKind) -> Value {
    match kind {
        ArgKind::Int(min, _) | ArgKind::Number(min, _) => Value::Number(*min),
        ArgKind::Bool => Value::Bool(true),
        ArgKind::Enum(words) => Value::Text(words.first().cloned().unwrap_or_default()),
        ArgKind::Text(_) => Value::Text("x".to_owned()),
    }
}
