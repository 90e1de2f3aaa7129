//! How capabilities are read and written.

use std::time::Duration;

use rust_decimal::Decimal;

use super::{Class, ReadPoint, WritePoint};
use crate::port::{DeviceFault, PointId};
use crate::transform::{Raw, Transform};
use crate::value::Value;

/// How a capability is read.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadBinding {
    /// Its numbers: two or more of a MultiLevelSensor, in the order of `ValueNames`; otherwise one.
    pub parts: Vec<ReadPart>,
    /// When it is read without being asked for.
    pub poll: Poll,
}

/// One value that is read.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadPart {
    /// Where the raw value is.
    pub point: ReadPoint,
    /// From the raw value to the capability's.
    pub transform: Transform,
    /// Where a power of ten is that the raw value is multiplied by.
    pub exponent: Option<ReadPoint>,
}

/// When a capability is read without being asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    /// Never: only when somebody asks.
    OnDemand,
    /// At the start and after each time that the device was offline.
    Once,
    /// From the start of one read to the start of the next.
    Every(Duration),
}

impl Poll {
    /// The period; `None` when there is none.
    pub fn every(self) -> Option<Duration> {
        match self {
            Self::Every(period) => Some(period),
            Self::OnDemand | Self::Once => None,
        }
    }
}

impl ReadBinding {
    /// A binding of a single value.
    pub fn single(point: ReadPoint, transform: Transform, poll: Poll) -> Self {
        Self { parts: vec![ReadPart { point, transform, exponent: None }], poll }
    }

    /// Every place that must be read, exponents included.
    pub fn places(&self) -> impl Iterator<Item = &ReadPoint> {
        self.parts.iter().flat_map(|part| [Some(&part.point), part.exponent.as_ref()]).flatten()
    }

    /// The value of a capability of this class, from the raw value that each of [`Self::places`] has.
    ///
    /// Errors: those of `raw`, and of [`Transform::decode`]; of several parts the first.
    pub fn decode(
        &self,
        class: Class,
        mut raw: impl FnMut(&ReadPoint) -> Result<Raw, DeviceFault>,
    ) -> Result<Value, DeviceFault> {
        if class == Class::MultiLevelSensor {
            let numbers = self.parts.iter().map(|part| match part.decode(Class::LevelSensor, &mut raw)? {
                Value::Number(number) => Ok(number),
                _ => Err(DeviceFault::Garbled("not a number".to_owned())),
            });
            return numbers.collect::<Result<Vec<Decimal>, _>>().map(Value::Numbers);
        }
        self.parts.first().ok_or(DeviceFault::Unknown)?.decode(class, &mut raw)
    }
}

impl ReadPart {
    fn decode(
        &self,
        class: Class,
        raw: &mut impl FnMut(&ReadPoint) -> Result<Raw, DeviceFault>,
    ) -> Result<Value, DeviceFault> {
        let exponent = match &self.exponent {
            None => None,
            Some(place) => Some(exponent(&raw(place)?)?),
        };
        self.transform.decode_scaled(raw(&self.point)?, exponent, class)
    }
}

/// A power of ten as devices give it: SunSpec's `sunssf` is -10 to 10, with 0x8000 for none.
fn exponent(raw: &Raw) -> Result<i8, DeviceFault> {
    let Raw::Int(number) = raw else {
        return Err(DeviceFault::Garbled("the power of ten is no integer".to_owned()));
    };
    let small = i8::try_from(*number).ok().filter(|exponent| (-20..=20).contains(exponent));
    small.ok_or_else(|| DeviceFault::Invalid(format!("the device shows {number} as power of ten")))
}

/// How a capability is written.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteBinding {
    /// Where the raw value goes.
    pub point: WritePoint,
    /// From the capability's value to the raw one.
    pub transform: Transform,
    /// How it is made sure that the device did it; `None`: the protocol's acknowledgement is enough.
    pub verify: Option<Verify>,
    /// A write that could not be sent within this time is dropped.
    pub ttl: Duration,
    /// How long it may take once it has begun, until it is confirmed: its exchanges with the time-out of each, and the time
    /// that the device has to show it.
    pub takes: Duration,
    /// Least time from one write to the next of the same capability.
    pub rate: Duration,
    /// Whether waiting writes may be merged into the newest.
    pub coalesce: bool,
    /// Whether the core may write the former value back when another part of an all-or-nothing request fails.
    pub undo: bool,
}

impl WriteBinding {
    /// Whether a value can be written.
    ///
    /// Errors: those of [`Transform::encode`].
    pub fn can_take(&self, value: &Value) -> Result<(), DeviceFault> {
        self.transform.encode(value, self.point.raw_kind()).map(|_| ())
    }

    /// The least by which two numbers differ that can be written: one step of the raw integer. `None`: there is none, as
    /// with floats, texts and curves.
    pub fn least_step(&self) -> Option<Decimal> {
        self.point.raw_kind().int_range()?;
        self.transform.raw_step()
    }
}

/// How a write is verified: something is read until it shows what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verify {
    /// The capability that must show it, of the same kind of value; `None`: the one that was written.
    pub by: Option<PointId>,
    /// For at most this long.
    pub within: Duration,
}
