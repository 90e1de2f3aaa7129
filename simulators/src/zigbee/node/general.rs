//! The commands that all clusters have: reading, writing, reporting (07-5123, 2.5).

use std::time::Duration;

use crate::mischief::ZigbeeFault;

use super::super::bytes::{Out, Reader};
use super::super::zcl::{Frame, Raw, Value, general, is_analog, status};
use super::cluster::Done;
use super::report::Reporting;
use super::{Heard, Key, Node, Said};

/// Most bytes of a response: what fits into a frame that is not taken apart.
const MOST: usize = 72;

impl Node {
    /// A frame of the cluster library, and how long the device stays awake for it.
    pub(super) fn library(&mut self, endpoint: u8, heard: &Heard) -> (Option<Said>, Option<Duration>) {
        let Some(frame) = Frame::read(&heard.payload) else { return (None, None) };
        let (done, awake) = self.do_frame(endpoint, heard.cluster, &frame);
        // Nobody answers to what went to all, but for errors nobody either (2.5.12.2).
        let answer = if heard.broadcast { None } else { respond(&frame, done) };
        let said = answer.map(|answer| Said {
            broadcast: false,
            profile: heard.profile,
            cluster: heard.cluster,
            endpoint,
            to_endpoint: heard.from_endpoint,
            group: None,
            payload: answer.write(),
        });
        (said, awake)
    }

    fn do_frame(&mut self, endpoint: u8, cluster: u16, frame: &Frame) -> (Done, Option<Duration>) {
        let known = self.endpoints.iter().find(|one| one.id == endpoint).is_some_and(|one| {
            let list = if frame.from_server { &one.outputs } else { &one.inputs };
            list.contains(&cluster)
        });
        let is_default = !frame.of_cluster && frame.command == general::DEFAULT_RESPONSE;
        if is_default {
            return (Done::Nothing, None);
        }
        if !known {
            return (Done::Status(status::UNSUPPORTED_CLUSTER), None);
        }
        if frame.of_cluster {
            return self.command(endpoint, cluster, frame);
        }
        let place = Place { endpoint, cluster, manufacturer: frame.manufacturer.unwrap_or(0) };
        (self.general(place, frame), None)
    }

    fn general(&mut self, place: Place, frame: &Frame) -> Done {
        let payload = &frame.payload;
        match frame.command {
            general::READ => reply(general::READ_RESPONSE, self.read(place, payload)),
            general::WRITE => reply(general::WRITE_RESPONSE, self.write(place, payload, false)),
            general::WRITE_UNDIVIDED => reply(general::WRITE_RESPONSE, self.write(place, payload, true)),
            general::WRITE_NO_RESPONSE => {
                self.write(place, payload, false);
                Done::Nothing
            }
            general::CONFIGURE_REPORTING => {
                reply(general::CONFIGURE_REPORTING_RESPONSE, self.configure(place, payload))
            }
            general::READ_REPORTING => {
                reply(general::READ_REPORTING_RESPONSE, self.read_reporting(place, payload))
            }
            general::DISCOVER => reply(general::DISCOVER_RESPONSE, self.discover(place, payload)),
            general::REPORT => Done::Nothing,
            _ => Done::Status(status::UNSUPPORTED_GENERAL),
        }
    }

    fn read(&self, place: Place, payload: &[u8]) -> Option<Vec<u8>> {
        let mut reader = Reader::new(payload);
        let mut out = Out::new();
        while !reader.is_empty() {
            let id = reader.u16()?;
            let value = self.value(place.key(id));
            let record = match value {
                Some(value) => value.write(Out::new().u16(id).u8(status::SUCCESS).u8(value.kind)),
                None => Out::new().u16(id).u8(status::UNSUPPORTED_ATTRIBUTE),
            };
            let record = record.done();
            let fits = out.clone().done().len() + record.len() <= MOST;
            out = if fits { out.bytes(&record) } else { out.u16(id).u8(status::NO_SPACE) };
        }
        Some(out.done())
    }

    fn write(&mut self, place: Place, payload: &[u8], undivided: bool) -> Option<Vec<u8>> {
        let mut reader = Reader::new(payload);
        let mut wanted = Vec::new();
        let mut wrong = Out::new();
        while !reader.is_empty() {
            let id = reader.u16()?;
            let kind = reader.u8()?;
            let value = Value::read(kind, &mut reader)?;
            match self.can_write(place.key(id), &value) {
                status::SUCCESS => wanted.push((id, value)),
                code => wrong = wrong.u8(code).u16(id),
            }
        }
        let wrong = wrong.done();
        if wrong.is_empty() || !undivided {
            wanted.into_iter().for_each(|(id, value)| self.take(place.key(id), value));
        }
        Some(if wrong.is_empty() { vec![status::SUCCESS] } else { wrong })
    }

    fn can_write(&self, key: Key, value: &Value) -> u8 {
        match self.attributes.get(&key) {
            None => status::UNSUPPORTED_ATTRIBUTE,
            Some(attribute) if !attribute.writable => status::READ_ONLY,
            Some(attribute) if attribute.value.kind != value.kind => status::INVALID_TYPE,
            Some(_) if self.has(&ZigbeeFault::Refuse) => status::FAILURE,
            Some(_) => status::SUCCESS,
        }
    }

    /// Takes what was written.
    fn take(&mut self, key: Key, value: Value) {
        let shown = match &value.raw {
            Raw::Whole(number) => number.to_string(),
            Raw::Float(number) => number.to_string(),
            Raw::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        };
        self.note(format!("write {:#06x}/{:#06x} {shown}", key.cluster, key.attribute));
        if self.has(&ZigbeeFault::Frozen) {
            return;
        }
        if let Some(attribute) = self.attributes.get_mut(&key) {
            attribute.value = value;
        }
        self.drive(key);
        self.written(key);
    }

    fn configure(&mut self, place: Place, payload: &[u8]) -> Option<Vec<u8>> {
        let mut reader = Reader::new(payload);
        let mut wrong = Out::new();
        while !reader.is_empty() {
            let direction = reader.u8()?;
            let id = reader.u16()?;
            if direction != 0 {
                // What it would be told by others.
                reader.u16()?;
                wrong = wrong.u8(status::UNSUPPORTED_ATTRIBUTE).u8(direction).u16(id);
                continue;
            }
            let kind = reader.u8()?;
            let (min, max) = (reader.u16()?, reader.u16()?);
            let change = match is_analog(kind) {
                true => Value::read(kind, &mut reader)?.number().unwrap_or(0.0),
                false => 0.0,
            };
            match self.report_so(place.key(id), kind, min, max, change) {
                status::SUCCESS => {}
                code => wrong = wrong.u8(code).u8(direction).u16(id),
            }
        }
        let wrong = wrong.done();
        Some(if wrong.is_empty() { vec![status::SUCCESS] } else { wrong })
    }

    fn report_so(&mut self, key: Key, kind: u8, min: u16, max: u16, change: f64) -> u8 {
        let refuse = self.has(&ZigbeeFault::Refuse);
        let at = self.at;
        let Some(attribute) = self.attributes.get_mut(&key) else { return status::UNSUPPORTED_ATTRIBUTE };
        if attribute.value.kind != kind {
            return status::INVALID_TYPE;
        }
        if !attribute.reportable {
            return status::UNREPORTABLE;
        }
        if refuse {
            return status::FAILURE;
        }
        if max != 0 && max < min {
            return status::INVALID_VALUE;
        }
        let so = Reporting::new(min, max, change, at, attribute.value.clone());
        attribute.reporting = (max != 0xffff).then_some(so);
        status::SUCCESS
    }

    fn read_reporting(&self, place: Place, payload: &[u8]) -> Option<Vec<u8>> {
        let mut reader = Reader::new(payload);
        let mut out = Out::new();
        while !reader.is_empty() {
            let direction = reader.u8()?;
            let id = reader.u16()?;
            let attribute = self.attributes.get(&place.key(id));
            out = match attribute.map(|attribute| (attribute, &attribute.reporting)) {
                None => out.u8(status::UNSUPPORTED_ATTRIBUTE).u8(direction).u16(id),
                Some((attribute, _)) if !attribute.reportable => {
                    out.u8(status::UNREPORTABLE).u8(direction).u16(id)
                }
                Some((_, None)) => out.u8(status::NOT_FOUND).u8(direction).u16(id),
                Some((attribute, Some(reporting))) => {
                    let out = out.u8(status::SUCCESS).u8(direction).u16(id);
                    reporting.write(attribute.value.kind, out)
                }
            };
        }
        Some(out.done())
    }

    fn discover(&self, place: Place, payload: &[u8]) -> Option<Vec<u8>> {
        let mut reader = Reader::new(payload);
        let (first, most) = (reader.u16()?, usize::from(reader.u8()?));
        let here = |key: &&Key| {
            key.endpoint == place.endpoint
                && key.cluster == place.cluster
                && key.manufacturer == place.manufacturer
                && key.attribute >= first
        };
        let mut found = self.attributes.iter().filter(|(key, _)| here(key));
        let fits = most.min((MOST - 1) / 3);
        let told: Vec<_> = found.by_ref().take(fits).collect();
        let out = Out::new().u8(u8::from(found.next().is_none()));
        let out = told.iter().fold(out, |out, (key, one)| out.u16(key.attribute).u8(one.value.kind));
        Some(out.done())
    }
}

/// Where the attributes of a frame are.
#[derive(Clone, Copy)]
struct Place {
    endpoint: u8,
    cluster: u16,
    manufacturer: u16,
}

impl Place {
    fn key(self, attribute: u16) -> Key {
        let Self { endpoint, cluster, manufacturer } = self;
        Key { endpoint, cluster, manufacturer, attribute }
    }
}

fn reply(command: u8, payload: Option<Vec<u8>>) -> Done {
    payload.map_or(Done::Status(status::MALFORMED), |payload| Done::General(command, payload))
}

/// What is said to a frame.
fn respond(frame: &Frame, done: Done) -> Option<Frame> {
    match done {
        Done::Nothing => None,
        Done::General(command, payload) => Some(frame.response(false, command, payload)),
        Done::Cluster(command, payload) => Some(frame.response(true, command, payload)),
        // Who wants no default response gets one for an error all the same (2.5.12).
        Done::Status(status::SUCCESS) if frame.quiet => None,
        Done::Status(code) => {
            Some(frame.response(false, general::DEFAULT_RESPONSE, vec![frame.command, code]))
        }
    }
}
