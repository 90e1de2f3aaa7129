//! What a device tells by itself: attributes as it was configured, alarms, that it is awake.

use std::time::Duration;

use crate::mischief::ZigbeeFault;

use super::super::bytes::Out;
use super::super::zcl::{Frame, Value, general, is_analog};
use super::{HOME, Key, Node, Said, To};

/// When an attribute is told (07-5123, 2.5.7).
#[derive(Clone, Debug)]
pub(in super::super) struct Reporting {
    min: Duration,
    /// Zero: only when it changes.
    max: Duration,
    change: f64,
    told_at: Duration,
    told: Value,
    /// The maker's firmware tells it, to the coordinator, whoever is bound.
    unasked: bool,
}

impl Reporting {
    /// What is told at each change, though nobody has configured it.
    pub(super) fn unasked(value: Value) -> Self {
        Self { unasked: true, ..Self::new(0, 0, 0.0, Duration::ZERO, value) }
    }

    pub(super) fn new(min: u16, max: u16, change: f64, now: Duration, value: Value) -> Self {
        let seconds = |seconds: u16| Duration::from_secs(seconds.into());
        let (min, max) = (seconds(min), seconds(max));
        Self { min, max, change, told_at: now, told: value, unasked: false }
    }

    /// As it is read back.
    pub(super) fn write(&self, kind: u8, out: Out) -> Out {
        let out = out.u8(kind).u16(self.min.as_secs() as u16).u16(self.max.as_secs() as u16);
        if is_analog(kind) { Value::of_number(kind, self.change).write(out) } else { out }
    }

    fn is_due(&self, now: Duration, value: &Value) -> bool {
        let since = now.saturating_sub(self.told_at);
        let changed = match (value.number(), self.told.number()) {
            (Some(new), Some(old)) if is_analog(value.kind) => new != old && (new - old).abs() >= self.change,
            _ => *value != self.told,
        };
        let over = !self.max.is_zero() && since >= self.max;
        over || changed && since >= self.min
    }
}

/// How often a device with Poll Control says that it is there.
const CHECK_IN: Key = Key::new(1, 0x0020, 0x0000);

impl Node {
    /// Lets time pass; what it says meanwhile.
    pub(in super::super) fn run(&mut self, now: Duration) -> Vec<Said> {
        let since = now.saturating_sub(self.at);
        self.at = self.at.max(now);
        self.measure(since);
        let mut said = self.reports();
        said.extend(self.enrolment());
        said.extend(self.alarms());
        said.extend(self.check_in());
        said.extend(self.flood());
        if self.has(&ZigbeeFault::Silent) { Vec::new() } else { said }
    }

    fn reports(&mut self) -> Vec<Said> {
        let now = self.at;
        let due = |(key, attribute): (&Key, &mut super::Attribute)| {
            let reporting = attribute.reporting.as_mut()?;
            if !reporting.is_due(now, &attribute.value) {
                return None;
            }
            reporting.told_at = now;
            reporting.told = attribute.value.clone();
            Some((*key, attribute.value.clone(), reporting.unasked))
        };
        let due: Vec<(Key, Value, bool)> = self.attributes.iter_mut().filter_map(due).collect();
        // What is of one cluster goes together.
        let mut said = Vec::new();
        for group in
            due.chunk_by(|(one, _, asked), (other, _, too)| place(one) == place(other) && asked == too)
        {
            let Some((key, _, unasked)) = group.first() else { continue };
            let records = |out: Out, (key, value, _): &(Key, Value, bool)| {
                value.write(out.u16(key.attribute).u8(value.kind))
            };
            let payload = group.iter().fold(Out::new(), records).done();
            said.extend(if *unasked {
                self.tell_coordinator(*key, payload)
            } else {
                self.tell(*key, general::REPORT, payload, false)
            });
        }
        said
    }

    /// A report to the coordinator's first endpoint.
    fn tell_coordinator(&mut self, key: Key, payload: Vec<u8>) -> Vec<Said> {
        if self.coordinator.is_none() {
            return Vec::new();
        }
        let payload = self.word(key, general::REPORT, payload, false).write();
        let (cluster, endpoint) = (key.cluster, key.endpoint);
        vec![Said {
            broadcast: false,
            profile: HOME,
            cluster,
            endpoint,
            to_endpoint: 1,
            group: None,
            payload,
        }]
    }

    /// A word of the server side, to all who are bound.
    fn tell(&mut self, key: Key, command: u8, payload: Vec<u8>, of_cluster: bool) -> Vec<Said> {
        let frame = self.word(key, command, payload, of_cluster);
        self.to_bound(key.endpoint, key.cluster, &frame)
    }

    fn word(&mut self, key: Key, command: u8, payload: Vec<u8>, of_cluster: bool) -> Frame {
        Frame {
            of_cluster,
            manufacturer: Some(key.manufacturer).filter(|code| *code != 0),
            from_server: true,
            quiet: true,
            sequence: self.next_sequence(),
            command,
            payload,
        }
    }

    pub(super) fn to_bound(&self, endpoint: u8, cluster: u16, frame: &Frame) -> Vec<Said> {
        let bound = |binding: &&super::Binding| binding.endpoint == endpoint && binding.cluster == cluster;
        let said = |to: To| {
            let (to_endpoint, group) = match to {
                To::Device(ieee, endpoint) if Some(ieee) == self.coordinator => (endpoint, None),
                To::Device(..) => return None,
                To::Group(group) => (0xff, Some(group)),
            };
            let payload = frame.write();
            Some(Said { broadcast: false, profile: HOME, cluster, endpoint, to_endpoint, group, payload })
        };
        self.bindings.iter().filter(bound).filter_map(|binding| said(binding.to)).collect()
    }

    /// Zone Status Change Notification of what is enrolled (07-5123, 8.2.2.4.1).
    fn alarms(&mut self) -> Vec<Said> {
        let zones: Vec<u8> =
            self.endpoints.iter().filter(|one| one.inputs.contains(&0x0500)).map(|one| one.id).collect();
        let mut said = Vec::new();
        for endpoint in zones {
            let of = |attribute| Key::new(endpoint, 0x0500, attribute);
            let status = self.whole(of(0x0002)).unwrap_or(0);
            let told = self.alarm_told.insert(endpoint, status);
            let enrolled = self.whole(of(0x0000)) == Some(1);
            if told.is_none_or(|told| told == status) || !enrolled {
                continue;
            }
            let zone = self.whole(of(0x0011)).unwrap_or(0xff) as u8;
            let payload = Out::new().u16(status as u16).u8(0).u8(zone).u16(0).done();
            said.extend(self.say_to_controller(endpoint, 0x00, payload));
        }
        said
    }

    /// Zone Enroll Request, once its controller's address was written.
    fn enrolment(&mut self) -> Option<Said> {
        if !std::mem::take(&mut self.enrol) {
            return None;
        }
        let zone = self.endpoints.iter().find(|one| one.inputs.contains(&0x0500))?.id;
        let kind = self.whole(Key::new(zone, 0x0500, 0x0001)).unwrap_or(0) as u16;
        let payload = Out::new().u16(kind).u16(self.manufacturer).done();
        self.say_to_controller(zone, 0x01, payload)
    }

    /// To whom the zone's address was written: Control and Indicating Equipment.
    pub(super) fn say_to_controller(&mut self, endpoint: u8, command: u8, payload: Vec<u8>) -> Option<Said> {
        let written = self.whole(Key::new(endpoint, 0x0500, 0x0010)).unwrap_or(0) as u64;
        self.coordinator.filter(|ieee| ieee.0 == written && written != 0)?;
        let sequence = self.next_sequence();
        let frame = Frame {
            of_cluster: true,
            manufacturer: None,
            from_server: true,
            quiet: false,
            sequence,
            command,
            payload,
        };
        let payload = frame.write();
        let to_endpoint = 1;
        Some(Said {
            broadcast: false,
            profile: HOME,
            cluster: 0x0500,
            endpoint,
            to_endpoint,
            group: None,
            payload,
        })
    }

    /// A Check-in of Poll Control (07-5123, 3.16): quarters of a second.
    fn check_in(&mut self) -> Vec<Said> {
        let Some(quarters) = self.whole(CHECK_IN).filter(|quarters| *quarters > 0) else { return Vec::new() };
        let every = Duration::from_millis(250) * quarters as u32;
        let due = *self.check_in_at.get_or_insert(self.at + every);
        if self.at < due {
            return Vec::new();
        }
        self.check_in_at = Some(self.at + every);
        self.tell(CHECK_IN, 0x00, Vec::new(), true)
    }

    /// Far too many reports of the first value that can be reported.
    fn flood(&mut self) -> Vec<Said> {
        let rate = self.faults.active().iter().find_map(|order| match order.fault {
            ZigbeeFault::Flood(rate) => Some(rate),
            _ => None,
        });
        let Some(rate) = rate else {
            self.flood_at = self.at;
            return Vec::new();
        };
        let pause = Duration::from_secs(1) / rate.max(1);
        let first = self.attributes.iter().find(|(_, one)| one.reporting.is_some());
        let Some((key, value)) = first.map(|(key, one)| (*key, one.value.clone())) else { return Vec::new() };
        let mut said = Vec::new();
        while self.flood_at + pause <= self.at {
            self.flood_at += pause;
            let payload = value.write(Out::new().u16(key.attribute).u8(value.kind)).done();
            said.extend(self.tell(key, general::REPORT, payload, false));
        }
        said
    }
}

fn place(key: &Key) -> (u8, u16, u16) {
    (key.endpoint, key.cluster, key.manufacturer)
}
