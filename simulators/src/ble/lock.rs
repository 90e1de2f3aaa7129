//! A lock: paired with, locked and unlocked by writes, and it tells what it does.

use std::time::Duration;

use super::device::{Advert, At, BleDevice, Characteristic, Mac, Pairing, Service, att};
use super::quantities::Quantities;
use super::uuid::Uuid;

/// Its service.
pub const SERVICE: Uuid = Uuid::new(0x7553_5042_0001_4c4f_434b_0000_0000_0001);
/// What the bolt does: 0 unlocked, 1 locked, 2 on its way, 3 jammed.
pub const STATE: Uuid = Uuid::new(0x7553_5042_0001_4c4f_434b_0000_0000_0002);
/// What it is to do: 0 unlock, 1 lock.
pub const COMMAND: Uuid = Uuid::new(0x7553_5042_0001_4c4f_434b_0000_0000_0003);
/// Whether the door is open: 0 or 1.
pub const DOOR: Uuid = Uuid::new(0x7553_5042_0001_4c4f_434b_0000_0000_0004);

/// Where the bolt came to rest the last time: 0 unlocked, 1 locked; 2: it is jammed, and may be anywhere.
pub const RESTS: Uuid = Uuid::new(0x7553_5042_0001_4c4f_434b_0000_0000_0005);

const BATTERY: Uuid = Uuid::short(0x180f);
const BATTERY_LEVEL: Uuid = Uuid::short(0x2a19);

/// How long the bolt is on its way.
const TRAVEL: Duration = Duration::from_millis(300);

const ON_ITS_WAY: u8 = 2;
const JAMMED: u8 = 3;
const NOWHERE: u8 = 2;

/// A lock on a door.
#[derive(Clone, Debug)]
pub struct Lock {
    mac: Mac,
    every: Duration,
    pairing: Pairing,
    /// What is left of the way, and where it leads.
    moving: Option<(Duration, bool)>,
    values: Quantities,
    told: Vec<(At, Vec<u8>)>,
}

impl Lock {
    /// A lock with this passkey on it, which is locked.
    pub fn new(mac: Mac, passkey: u32, every: Duration, seed: u64) -> Self {
        let values = Quantities::new(seed)
            .switch("locked", true)
            .switch("jammed", false)
            .switch("open", false)
            .wandering("battery", 0, 76.0, 0.0);
        Self { mac, every, pairing: Pairing::Passkey(passkey), moving: None, values, told: Vec::new() }
    }

    fn state(&self) -> u8 {
        match (self.moving, self.values.is_on("jammed")) {
            (_, true) => JAMMED,
            (Some(_), false) => ON_ITS_WAY,
            (None, false) => u8::from(self.values.is_on("locked")),
        }
    }

    fn rests(&self) -> u8 {
        if self.values.is_on("jammed") { NOWHERE } else { u8::from(self.values.is_on("locked")) }
    }

    fn tell(&mut self, characteristic: Uuid, value: u8) {
        self.told.push((At { service: SERVICE, characteristic }, vec![value]));
    }

    fn tell_all(&mut self) {
        self.tell(STATE, self.state());
        self.tell(RESTS, self.rests());
        self.tell(DOOR, u8::from(self.values.is_on("open")));
    }
}

impl BleDevice for Lock {
    fn mac(&self) -> Mac {
        self.mac
    }

    fn every(&self) -> Duration {
        self.every
    }

    fn advert(&mut self, _wrong_key: bool) -> Advert {
        Advert {
            name: Some("Door lock".to_owned()),
            uuids: vec![SERVICE],
            connectable: true,
            ..Advert::default()
        }
    }

    fn services(&self) -> Vec<Service> {
        let battery = Characteristic::new(BATTERY_LEVEL, &["read", "notify"]);
        vec![
            Service {
                uuid: SERVICE,
                characteristics: vec![
                    Characteristic::protected(STATE, &["read", "notify"]),
                    Characteristic::protected(COMMAND, &["write"]),
                    Characteristic::protected(DOOR, &["read", "notify"]),
                    Characteristic::protected(RESTS, &["read", "notify"]),
                ],
            },
            Service { uuid: BATTERY, characteristics: vec![battery] },
        ]
    }

    fn pairing(&self) -> Pairing {
        self.pairing
    }

    fn read(&mut self, at: At) -> Result<Vec<u8>, u8> {
        match at.characteristic {
            STATE => Ok(vec![self.state()]),
            RESTS => Ok(vec![self.rests()]),
            DOOR => Ok(vec![u8::from(self.values.is_on("open"))]),
            BATTERY_LEVEL => Ok(vec![self.values.raw("battery", 1.0) as u8]),
            _ => Err(att::READ_NOT_PERMITTED),
        }
    }

    fn write(&mut self, at: At, value: &[u8], obeys: bool) -> Result<(), u8> {
        if at.characteristic != COMMAND {
            return Err(att::WRITE_NOT_PERMITTED);
        }
        let locks = match value {
            [0] => false,
            [1] => true,
            [_] => return Err(att::APPLICATION),
            _ => return Err(att::LENGTH),
        };
        // One on its way is turned back.
        let heads = self.moving.map_or(self.values.is_on("locked"), |(_, locks)| locks);
        if obeys && heads != locks && !self.values.is_on("jammed") {
            self.moving = Some((TRAVEL, locks));
            self.tell(STATE, ON_ITS_WAY);
        }
        Ok(())
    }

    fn told(&mut self) -> Vec<(At, Vec<u8>)> {
        std::mem::take(&mut self.told)
    }

    fn step(&mut self, time: Duration) {
        self.values.step(time);
        self.moving = match self.moving {
            Some((left, locks)) if left <= time => {
                self.values.actuate("locked", f64::from(u8::from(locks)));
                self.moving = None;
                self.tell(STATE, self.state());
                self.tell(RESTS, self.rests());
                None
            }
            Some((left, locks)) => Some((left.saturating_sub(time), locks)),
            None => None,
        };
    }

    fn reboot(&mut self) {
        // A bolt stays where it is.
        self.moving = None;
    }

    fn get(&self, name: &str) -> Option<String> {
        self.values.get(name)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        self.values.set(name, value)?;
        if name == "locked" {
            self.moving = None;
        }
        self.tell_all();
        Ok(())
    }

    fn release(&mut self, name: &str) -> Result<(), String> {
        self.values.release(name)
    }

    fn names(&self) -> Vec<String> {
        self.values.names()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lock: &mut Lock, characteristic: Uuid) -> Vec<u8> {
        let told = lock.told().into_iter().filter(|(at, _)| at.characteristic == characteristic);
        told.filter_map(|(_, value)| value.first().copied()).collect()
    }

    /// Where it rests is not where it is on its way.
    #[test]
    fn a_bolt_on_its_way_rests_where_it_was() {
        let mut lock = Lock::new(Mac([1; 6]), 1, Duration::from_secs(1), 1);
        let [state, rests, command] =
            [STATE, RESTS, COMMAND].map(|characteristic| At { service: SERVICE, characteristic });
        let read = |lock: &mut Lock| [lock.read(state), lock.read(rests)].map(|value| value.unwrap()[0]);
        lock.write(command, &[0], true).unwrap();
        assert_eq!(read(&mut lock), [ON_ITS_WAY, 1]);
        assert!(told(&mut lock, RESTS).is_empty());
        lock.step(TRAVEL);
        assert_eq!(read(&mut lock), [0, 0]);
        assert_eq!(told(&mut lock, RESTS), [0]);
        lock.write(command, &[1], true).unwrap();
        lock.step(TRAVEL / 2);
        lock.write(command, &[0], true).unwrap();
        lock.step(TRAVEL);
        assert_eq!(read(&mut lock), [0, 0], "it was turned back");
        lock.set("jammed", "true").unwrap();
        assert_eq!(read(&mut lock), [JAMMED, NOWHERE]);
    }
}
