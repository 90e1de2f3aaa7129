//! Adapters in memory: each point of each device has a value and behaves as told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use usp_mapping::mapping::Mapping;
use usp_mapping::port::{
    Action, AdapterCall, AdapterReport, DeviceFault, DeviceId, Freshness, PointId, Reading, Readings,
};
use usp_mapping::value::Value;

use super::World;
use super::site::site;
use usp_core::input::Input;

/// How a device takes calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Behaviour {
    /// Answers at once.
    #[default]
    Good,
    /// Answers after a while.
    Slow(Duration),
    /// Confirms one write after the other, each after a while, and says so when the last is done.
    OneByOne(Duration),
    /// Never answers, nor does its adapter.
    Silent,
    /// Every call fails as a whole.
    Fails(DeviceFault),
    /// Confirms so many writes of each call and fails the next with this; the rest is not tried.
    FailsAfter(usize, DeviceFault),
    /// Confirms every write, but shows this afterwards: it has rounded.
    Shows(Value),
    /// Answers with results of points that nobody asked for.
    Garbage,
    /// Cannot be asked: it answers with what it said before, so long ago if anybody knows.
    Tells(Option<Duration>),
}

/// All devices.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    pub(crate) behaviour: BTreeMap<String, Behaviour>,
    pub(crate) values: BTreeMap<(String, u16), Value>,
}

type Outcome = Result<Readings, DeviceFault>;

impl Devices {
    /// The answers to a call, each with its delay.
    pub(crate) fn answers(&mut self, call: &AdapterCall) -> Vec<(Duration, Outcome)> {
        let device = call.device.to_string();
        match self.behaviour.get(&device).cloned().unwrap_or_default() {
            Behaviour::Good => vec![(Duration::ZERO, Ok(self.act(&device, &call.action, usize::MAX, None)))],
            Behaviour::Slow(after) => vec![(after, Ok(self.act(&device, &call.action, usize::MAX, None)))],
            Behaviour::OneByOne(each) => {
                let mut readings = self.act(&device, &call.action, usize::MAX, None);
                let count = readings.len() as u32;
                for (reading, later) in readings.iter_mut().zip((0..count).rev()) {
                    reading.freshness.age = Some(each * later);
                }
                vec![(each * count, Ok(readings))]
            }
            Behaviour::Silent => Vec::new(),
            Behaviour::Fails(fault) => vec![(Duration::ZERO, Err(fault))],
            Behaviour::FailsAfter(good, fault) => {
                vec![(Duration::ZERO, Ok(self.act(&device, &call.action, good, Some(fault))))]
            }
            Behaviour::Shows(value) => {
                let Action::Write(writes) = &call.action else {
                    return vec![(Duration::ZERO, Ok(self.act(&device, &call.action, usize::MAX, None)))];
                };
                vec![(
                    Duration::ZERO,
                    Ok(writes.iter().map(|(point, _)| Reading::now(*point, Ok(value.clone()))).collect()),
                )]
            }
            Behaviour::Tells(age) => {
                let freshness = Freshness { contact: false, age };
                let mut readings = self.act(&device, &call.action, usize::MAX, None);
                readings.iter_mut().for_each(|reading| reading.freshness = freshness);
                vec![(Duration::ZERO, Ok(readings))]
            }
            Behaviour::Garbage => {
                vec![(Duration::ZERO, Ok(vec![Reading::now(PointId(999), Ok(Value::Bool(true)))]))]
            }
        }
    }

    fn act(&mut self, device: &str, action: &Action, good: usize, fault: Option<DeviceFault>) -> Readings {
        let read = |point: &PointId| {
            let value = self.values.get(&(device.to_owned(), point.0)).cloned();
            Reading::now(*point, value.ok_or(DeviceFault::Unknown))
        };
        match action {
            Action::Read(points) => points.iter().map(read).collect(),
            Action::Refresh => {
                let of_device = self.values.iter().filter(|((d, _), _)| d == device);
                of_device.map(|((_, p), v)| Reading::now(PointId(*p), Ok(v.clone()))).collect()
            }
            Action::Command(..) => {
                // Done, without results.
                Vec::new()
            }
            Action::Write(writes) => {
                let mut results = Vec::new();
                for (index, (point, value)) in writes.iter().enumerate() {
                    let result = match (&fault, index.cmp(&good)) {
                        (Some(fault), std::cmp::Ordering::Equal) => Err(fault.clone()),
                        (Some(_), std::cmp::Ordering::Greater) => Err(DeviceFault::NotTried),
                        _ => Ok(value.clone()),
                    };
                    if result.is_ok() {
                        self.values.insert((device.to_owned(), point.0), value.clone());
                    }
                    results.push(Reading::now(*point, result));
                }
                results
            }
        }
    }
}

impl World {
    /// A device behaves like this from now on.
    pub(crate) fn device(&mut self, device: &str, behaviour: Behaviour) {
        self.devices.behaviour.insert(device.to_owned(), behaviour);
    }

    /// A device's poll brings these readings.
    pub(crate) fn report(&mut self, device: &str, readings: &[(u16, Value)]) {
        for (point, value) in readings {
            self.devices.values.insert((device.to_owned(), *point), value.clone());
        }
        let readings = readings.iter().map(|(p, v)| Reading::now(PointId(*p), Ok(v.clone()))).collect();
        self.report_under(self.mapping(device), device, readings);
    }

    /// The mapping of a device of the site.
    pub(crate) fn mapping(&self, device: &str) -> Arc<Mapping> {
        let found = self.site.devices.iter().find(|known| &*known.id.0 == device);
        found.map_or_else(|| site("x: plain").devices[0].mapping.clone(), |known| known.mapping.clone())
    }

    /// Readings that were taken under this mapping.
    pub(crate) fn report_under(&mut self, mapping: Arc<Mapping>, device: &str, readings: Readings) {
        let device = DeviceId(device.into());
        self.input(Input::Report(AdapterReport::Readings { device, mapping, readings }));
    }

    /// What a server has kept of a device.
    pub(crate) fn report_kept(&mut self, device: &str, readings: &[(u16, Value)]) {
        for (point, value) in readings {
            self.devices.values.insert((device.to_owned(), *point), value.clone());
        }
        let readings = readings.iter().map(|(p, v)| Reading::kept(PointId(*p), Ok(v.clone()))).collect();
        self.report_under(self.mapping(device), device, readings);
    }

    /// A poll of one point fails.
    pub(crate) fn report_fault(&mut self, device: &str, point: u16, fault: DeviceFault) {
        self.report_under(self.mapping(device), device, vec![Reading::now(PointId(point), Err(fault))]);
    }

    /// A device comes or goes.
    pub(crate) fn report_online(&mut self, device: &str, online: Result<(), DeviceFault>) {
        let device = DeviceId(device.into());
        self.input(Input::Report(AdapterReport::Online { device, online }));
    }
}

/// A number.
pub(crate) fn number(text: &str) -> Value {
    Value::parse(usp_mapping::mapping::Class::LevelSensor, text).unwrap()
}

/// A state.
pub(crate) fn state(text: &str) -> Value {
    Value::Text(text.to_owned())
}
