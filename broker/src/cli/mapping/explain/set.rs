//! What a Set sends, and what is done then.

use serde::Serialize;
use usp_adapters::explain::{self, Way};
use usp_mapping::mapping::{ArgKind, Capability, Class, Device, LONGEST_BUSY};
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

/// Several values in one Set message: they are one unit, written one after the other.
#[derive(Debug, Serialize)]
pub(in crate::cli::mapping) struct TogetherTold {
    pub(super) values: usize,
    /// With the pauses between them; `None`: how long messages take is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) needs_ms: Option<f64>,
    pub(super) takes_ms: u128,
}

impl SetTold {
    /// How long its exchanges take, those that look what it became included.
    pub(super) fn needs_ms(&self) -> f64 {
        let looks = self.verify.iter().flat_map(|verify| &verify.exchanges);
        self.exchanges.iter().chain(looks).map(|exchange| exchange.time_ms).sum()
    }
}

/// All values that were asked for, or each that can be set; `None`: there are no two.
pub(super) fn together(
    device: &Device,
    writes: &[SetTold],
    wanted: &[(String, String)],
) -> Option<TogetherTold> {
    let asked = |told: &&SetTold| wanted.len() < 2 || wanted.iter().any(|(id, _)| *id == told.capability);
    let all: Vec<&SetTold> = writes.iter().filter(|told| told.refused.is_none()).filter(asked).collect();
    let pauses = device.mapping.write_pause().as_secs_f64() * 1000.0 * all.len().saturating_sub(1) as f64;
    let needs = all.iter().map(|told| told.needs_ms()).sum::<f64>() + pauses;
    let takes: u128 = all.iter().map(|told| told.takes_ms + told.rate_ms).sum();
    (all.len() > 1).then(|| TogetherTold {
        values: all.len(),
        needs_ms: all.iter().all(|told| told.messages.is_empty()).then_some((needs * 100.0).round() / 100.0),
        takes_ms: takes.min(LONGEST_BUSY.as_millis()),
    })
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
    Some(SetTold {
        capability: capability.id.clone(),
        value: value.to_usp(),
        exchanges: sent.as_ref().map(|(sent, _)| exchanges_told(device, sent)).unwrap_or_default(),
        messages: sent.as_ref().map(|(_, sent)| sent.clone()).unwrap_or_default(),
        refused: sent.as_ref().err().map(ToString::to_string),
        verify,
        ttl_ms: write.ttl.as_millis(),
        takes_ms: write.takes.min(LONGEST_BUSY).as_millis(),
        rate_ms: write.rate.max(device.mapping.write_pause()).as_millis(),
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
