//! Commands of the clusters (07-5123): what they do to the attributes, and what is answered.

use std::time::Duration;

use crate::mischief::ZigbeeFault;

use super::super::bytes::{Out, Reader};
use super::super::zcl::{Frame, Value, kind, status};
use super::group::refused;
use super::{Key, Node};

/// How long a bolt takes.
const BOLT: Duration = Duration::from_millis(600);

/// How long a covering takes for a hundredth of its way.
const COVER: Duration = Duration::from_millis(50);

/// What follows from a frame.
#[derive(Debug, PartialEq)]
pub(super) enum Done {
    /// Nothing is said.
    Nothing,
    /// A response that all clusters have.
    General(u8, Vec<u8>),
    /// A response of the cluster's own.
    Cluster(u8, Vec<u8>),
    /// A default response.
    Status(u8),
}

const OK: Done = Done::Status(status::SUCCESS);

impl Node {
    /// One of a cluster's own commands, and how long the device stays awake for it.
    pub(super) fn command(&mut self, endpoint: u8, cluster: u16, frame: &Frame) -> (Done, Option<Duration>) {
        if self.has(&ZigbeeFault::Refuse) {
            return (refused(cluster, frame.command, &frame.payload), None);
        }
        let mut reader = Reader::new(&frame.payload);
        if cluster == 0x0020 {
            return self.poll_control(frame.command, &mut reader);
        }
        // What is only acknowledged is done to a copy of all that it changes, which nobody sees.
        let frozen = self
            .has(&ZigbeeFault::Frozen)
            .then(|| (self.attributes.clone(), self.motions.clone(), self.world.clone()));
        let done = self.obey(endpoint, cluster, frame.command, &mut reader);
        if let Some((attributes, motions, world)) = frozen {
            (self.attributes, self.motions, self.world) = (attributes, motions, world);
        }
        let done = match done.unwrap_or(Done::Status(status::MALFORMED)) {
            Done::Status(status::UNSUPPORTED_COMMAND)
                if self.takes.contains(&(endpoint, cluster, frame.command)) =>
            {
                OK
            }
            done => done,
        };
        if done != Done::Status(status::UNSUPPORTED_COMMAND) {
            let bytes: String = frame.payload.iter().map(|byte| format!("{byte:02x}")).collect();
            self.note(format!("command {cluster:#06x}/{:#04x} {bytes}", frame.command));
        }
        (done, None)
    }

    /// `None`: fields are missing.
    fn obey(&mut self, endpoint: u8, cluster: u16, command: u8, reader: &mut Reader) -> Option<Done> {
        match cluster {
            0x0003 => self.identify(endpoint, command, reader),
            0x0004 => self.group(endpoint, command, reader),
            0x0005 => self.scene(endpoint, command, reader),
            0x0006 => self.on_off(endpoint, command, reader),
            0x0008 => self.level(endpoint, command, reader),
            0x0101 => Some(self.lock(endpoint, command)),
            0x0102 => self.cover(endpoint, command, reader),
            0x0201 => self.thermostat(endpoint, command, reader),
            0x0300 => self.colour(endpoint, command, reader),
            0x0500 => self.zone(endpoint, command, reader),
            0x0502 => self.warn(endpoint, command, reader),
            _ => Some(Done::Status(status::UNSUPPORTED_COMMAND)),
        }
    }

    fn identify(&mut self, endpoint: u8, command: u8, reader: &mut Reader) -> Option<Done> {
        let time = Key::new(endpoint, 0x0003, 0x0000);
        match command {
            0x00 => self.put(time, f64::from(reader.u16()?)),
            0x01 => {
                let left = self.whole(time).unwrap_or(0) as u16;
                let answer = Done::Cluster(0x00, Out::new().u16(left).done());
                // It says how long only while it does (3.5.2.3.2); whoever asked hears that it was understood.
                return Some(if left == 0 { OK } else { answer });
            }
            0x40 => {}
            _ => return Some(Done::Status(status::UNSUPPORTED_COMMAND)),
        }
        Some(OK)
    }

    fn on_off(&mut self, endpoint: u8, command: u8, reader: &mut Reader) -> Option<Done> {
        let key = Key::new(endpoint, 0x0006, 0x0000);
        let on = self.whole(key) == Some(1);
        let to = match command {
            0x00 => false,
            0x01 | 0x41 => true,
            0x02 => !on,
            0x40 => {
                reader.u16()?;
                false
            }
            0x42 => {
                reader.u8()?;
                let time = Duration::from_millis(100) * u32::from(reader.u16()?);
                let off = Value::whole(kind::BOOL, 0);
                self.move_to(Key::new(endpoint, 0x0006, 0x4001), 0.0, time, Some((key, off)));
                true
            }
            _ => return Some(Done::Status(status::UNSUPPORTED_COMMAND)),
        };
        self.put(key, f64::from(u8::from(to)));
        Some(OK)
    }

    fn level(&mut self, endpoint: u8, command: u8, reader: &mut Reader) -> Option<Done> {
        let key = Key::new(endpoint, 0x0008, 0x0000);
        let switch = Key::new(endpoint, 0x0006, 0x0000);
        let with_switch = command >= 0x04;
        let now = self.value(key).and_then(Value::number).unwrap_or(0.0);
        let (to, time) = match command {
            0x00 | 0x04 => (f64::from(reader.u8()?), tenths(reader.u16()?)),
            0x01 | 0x05 => {
                let (mode, rate) = (reader.u8()?, f64::from(reader.u8()?.max(1)));
                let to = if mode == 0 { 254.0 } else { 1.0 };
                (to, Duration::from_secs_f64((to - now).abs() / rate))
            }
            0x02 | 0x06 => {
                let (mode, size) = (reader.u8()?, f64::from(reader.u8()?));
                (if mode == 0 { now + size } else { now - size }, tenths(reader.u16()?))
            }
            0x03 | 0x07 => {
                self.stop(key);
                return Some(OK);
            }
            _ => return Some(Done::Status(status::UNSUPPORTED_COMMAND)),
        };
        // Without "with On/Off" a light that is off stays as it is (3.10.2.1.1).
        if !with_switch && self.whole(switch) == Some(0) {
            return Some(OK);
        }
        let off = with_switch && to < 1.0;
        let to = to.clamp(1.0, 254.0);
        if with_switch && !off {
            self.put(switch, 1.0);
        }
        self.move_to(key, to, time, off.then(|| (switch, Value::whole(kind::BOOL, 0))));
        Some(OK)
    }

    fn colour(&mut self, endpoint: u8, command: u8, reader: &mut Reader) -> Option<Done> {
        let of = |attribute| Key::new(endpoint, 0x0300, attribute);
        let (mode, moves, time) = match command {
            0x06 => {
                let (hue, saturation) = (reader.u8()?, reader.u8()?);
                (0.0, vec![(0x0000, f64::from(hue)), (0x0001, f64::from(saturation))], reader.u16()?)
            }
            0x07 => {
                let (x, y) = (reader.u16()?, reader.u16()?);
                (1.0, vec![(0x0003, f64::from(x)), (0x0004, f64::from(y))], reader.u16()?)
            }
            0x0a => {
                let mireds = f64::from(reader.u16()?);
                let limit = |attribute| self.value(of(attribute)).and_then(Value::number);
                let low = limit(0x400b).unwrap_or(0.0);
                let high = limit(0x400c).unwrap_or(65279.0);
                (2.0, vec![(0x0007, mireds.clamp(low, high))], reader.u16()?)
            }
            0x47 => {
                for attribute in [0x0000, 0x0001, 0x0003, 0x0004, 0x0007] {
                    self.stop(of(attribute));
                }
                return Some(OK);
            }
            _ => return Some(Done::Status(status::UNSUPPORTED_COMMAND)),
        };
        if moves.iter().any(|(attribute, _)| self.value(of(*attribute)).is_none()) {
            return Some(Done::Status(status::UNSUPPORTED_COMMAND));
        }
        // Bit 0 of Options: also while it is off.
        let anyway = self.whole(of(0x000f)).unwrap_or(0) & 1 == 1;
        if !anyway && self.whole(Key::new(endpoint, 0x0006, 0x0000)) == Some(0) {
            return Some(OK);
        }
        self.put(of(0x0008), mode);
        for (attribute, to) in moves {
            self.move_to(of(attribute), to, tenths(time), None);
        }
        Some(OK)
    }

    fn lock(&mut self, endpoint: u8, command: u8) -> Done {
        let key = Key::new(endpoint, 0x0101, 0x0000);
        let locked = self.whole(key) == Some(1);
        let to = match command {
            0x00 => 1.0,
            0x01 => 2.0,
            0x02 => 1.0 + f64::from(u8::from(locked)),
            _ => return Done::Status(status::UNSUPPORTED_COMMAND),
        };
        // On its way it is neither.
        self.put(key, 0.0);
        let arrived = Value::of_number(kind::ENUM8, to);
        self.move_to(key, 0.0, BOLT, Some((key, arrived)));
        Done::Cluster(command, vec![status::SUCCESS])
    }

    fn cover(&mut self, endpoint: u8, command: u8, reader: &mut Reader) -> Option<Done> {
        let lift = Key::new(endpoint, 0x0102, 0x0008);
        let tilt = Key::new(endpoint, 0x0102, 0x0009);
        let (key, to) = match command {
            0x00 => (lift, 0),
            0x01 => (lift, 100),
            0x02 => {
                self.stop(lift);
                self.stop(tilt);
                return Some(OK);
            }
            0x05 => (lift, reader.u8()?),
            0x08 => (tilt, reader.u8()?),
            _ => return Some(Done::Status(status::UNSUPPORTED_COMMAND)),
        };
        let Some(now) = self.value(key).and_then(Value::number) else {
            return Some(Done::Status(status::UNSUPPORTED_COMMAND));
        };
        if to > 100 {
            return Some(Done::Status(status::INVALID_VALUE));
        }
        let way = (f64::from(to) - now).abs();
        self.move_to(key, f64::from(to), COVER.mul_f64(way), None);
        Some(OK)
    }

    fn thermostat(&mut self, endpoint: u8, command: u8, reader: &mut Reader) -> Option<Done> {
        if command != 0x00 {
            return Some(Done::Status(status::UNSUPPORTED_COMMAND));
        }
        let (mode, tenths) = (reader.u8()?, f64::from(reader.u8()? as i8));
        for (bit, attribute) in [(0, 0x0012), (1, 0x0011)] {
            let key = Key::new(endpoint, 0x0201, attribute);
            if let Some(now) = self.value(key).and_then(Value::number).filter(|_| mode == bit || mode == 2) {
                self.put(key, now + tenths * 10.0);
            }
        }
        Some(OK)
    }

    /// Zone Enroll Response.
    fn zone(&mut self, endpoint: u8, command: u8, reader: &mut Reader) -> Option<Done> {
        if command != 0x00 {
            return Some(Done::Status(status::UNSUPPORTED_COMMAND));
        }
        let (code, zone) = (reader.u8()?, reader.u8()?);
        if code == 0 {
            self.put(Key::new(endpoint, 0x0500, 0x0000), 1.0);
            self.put(Key::new(endpoint, 0x0500, 0x0011), f64::from(zone));
        }
        Some(OK)
    }

    /// Start Warning: the mode, its time, and how loud.
    fn warn(&mut self, endpoint: u8, command: u8, reader: &mut Reader) -> Option<Done> {
        let sounds = Key::new(endpoint, 0x0502, 0xfff0);
        match command {
            0x00 => {
                let (info, seconds) = (reader.u8()?, reader.u16()?);
                let mode = f64::from(info >> 4);
                self.put(sounds, mode);
                if mode != 0.0 {
                    let silent = Value::whole(kind::U8, 0);
                    self.move_to(sounds, mode, Duration::from_secs(seconds.into()), Some((sounds, silent)));
                } else {
                    self.stop(sounds);
                }
            }
            0x01 => {
                reader.u8()?;
            }
            _ => return Some(Done::Status(status::UNSUPPORTED_COMMAND)),
        }
        Some(OK)
    }

    /// The client's side of Poll Control: Check-in Response and Fast Poll Stop.
    fn poll_control(&mut self, command: u8, reader: &mut Reader) -> (Done, Option<Duration>) {
        match command {
            0x00 => {
                let (Some(start), Some(quarters)) = (reader.u8(), reader.u16()) else {
                    return (Done::Status(status::MALFORMED), None);
                };
                let quarters = if quarters == 0 { 40 } else { quarters };
                let awake = Duration::from_millis(250) * u32::from(quarters);
                (OK, (start != 0).then_some(awake))
            }
            0x01 => (OK, Some(Duration::ZERO)),
            _ => (Done::Status(status::UNSUPPORTED_COMMAND), None),
        }
    }

    /// What follows from an attribute that was written.
    pub(super) fn written(&mut self, key: Key) {
        if key.cluster == 0x0500 && key.attribute == 0x0010 {
            // It asks to be enrolled, at its next word.
            self.enrol = true;
        }
    }
}

fn tenths(time: u16) -> Duration {
    // 0xffff: as fast as it can.
    Duration::from_millis(100) * u32::from(if time == 0xffff { 0 } else { time })
}
