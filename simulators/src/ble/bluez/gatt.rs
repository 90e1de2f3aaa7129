//! Services and characteristics as clients see them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use zbus::{Message, OwnedVariant};

use super::call::{Call, Done};
use super::known::Known;
use super::object::{
    CHARACTERISTIC1, DESCRIPTOR1, MTU, SERVICE1, bytes, owned, path as object_path, props, text, texts,
};
use super::said::{Body, Interfaces, Props, Refusal, Signal};
use super::{Bluez, Task};
use crate::ble::device::{At, Flags, Pairing, Service, att};
use crate::ble::uuid::Uuid;
use crate::mischief::BleFault;

/// How long an exchange takes.
const EXCHANGE: Duration = Duration::from_millis(25);

/// The descriptor by which notifications are asked for.
const CCCD: Uuid = Uuid::short(0x2902);

/// What a device offers, with where it is below the device.
#[derive(Default)]
pub(super) struct Gatt {
    services: Vec<(String, Uuid)>,
    characteristics: Vec<Characteristic>,
}

struct Characteristic {
    /// `service0001/char0002`
    name: String,
    service: String,
    at: At,
    handle: u16,
    flags: Flags,
    protected: bool,
    /// What was read or told last.
    value: Option<Vec<u8>>,
    notifying: BTreeSet<String>,
    writing: bool,
}

impl Characteristic {
    fn has(&self, flag: &str) -> bool {
        self.flags.contains(&flag)
    }

    fn tells(&self) -> bool {
        self.has("notify") || self.has("indicate")
    }

    fn descriptor(&self) -> Option<String> {
        self.tells().then(|| format!("{}/desc{:04x}", self.name, self.handle + 2))
    }

    fn props(&self, device: &str) -> Props {
        let mut all = props([
            ("UUID", text(&self.at.characteristic.to_string())),
            ("Service", object_path(&format!("{device}/{}", self.service))),
            ("Handle", self.handle.into()),
            ("Flags", texts(self.flags)),
            ("Value", bytes(self.value.as_deref().unwrap_or_default())),
            ("MTU", MTU.into()),
        ]);
        if self.tells() {
            all.insert("Notifying".to_owned(), (!self.notifying.is_empty()).into());
        }
        all
    }
}

impl Gatt {
    pub(super) fn of(services: &[Service]) -> Self {
        let mut gatt = Self::default();
        let mut handle = 1_u16;
        for service in services {
            let name = format!("service{handle:04x}");
            handle += 1;
            for one in &service.characteristics {
                let at = At { service: service.uuid, characteristic: one.uuid };
                gatt.characteristics.push(Characteristic {
                    name: format!("{name}/char{handle:04x}"),
                    service: name.clone(),
                    at,
                    handle,
                    flags: one.flags,
                    protected: one.protected,
                    value: None,
                    notifying: BTreeSet::new(),
                    writing: false,
                });
                handle += 3;
            }
            gatt.services.push((name, service.uuid));
        }
        gatt
    }

    pub(super) fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    pub(super) fn link_broken(&mut self) {
        self.characteristics.iter_mut().for_each(|one| one.writing = false);
    }

    fn named(&mut self, name: &str) -> Option<&mut Characteristic> {
        self.characteristics.iter_mut().find(|one| one.name == name)
    }
}

impl Known {
    /// Everything below a device, by path.
    pub(super) fn attributes(&self, device: &str) -> BTreeMap<String, Interfaces> {
        let one = |interface: &str, props: Props| BTreeMap::from([(interface.to_owned(), props)]);
        let mut all = BTreeMap::new();
        for (name, uuid) in &self.gatt.services {
            let props = props([
                ("UUID", text(&uuid.to_string())),
                ("Primary", true.into()),
                ("Device", object_path(device)),
                ("Includes", owned(Vec::<zbus::ObjectPath<'_>>::new())),
            ]);
            all.insert(format!("{device}/{name}"), one(SERVICE1, props));
        }
        for characteristic in &self.gatt.characteristics {
            let path = format!("{device}/{}", characteristic.name);
            if let Some(name) = characteristic.descriptor() {
                let props = props([
                    ("UUID", text(&CCCD.to_string())),
                    ("Characteristic", object_path(&path)),
                    ("Handle", (characteristic.handle + 2).into()),
                ]);
                all.insert(format!("{device}/{name}"), one(DESCRIPTOR1, props));
            }
            all.insert(path, one(CHARACTERISTIC1, characteristic.props(device)));
        }
        all
    }
}

/// `/org/bluez/hci0/dev_…` and what is below it.
fn parted(path: &str) -> Option<(String, String)> {
    let parts: Vec<&str> = path.split('/').collect();
    let (device, below) = parts.split_at_checked(5)?;
    Some((device.join("/"), below.join("/")))
}

impl Bluez {
    fn characteristic(&mut self, path: &str) -> Option<&mut Characteristic> {
        let (device, name) = parted(path)?;
        self.known.get_mut(&device)?.gatt.named(&name)
    }

    fn is_connected(&self, path: &str) -> bool {
        self.device_above(path).is_some_and(|(_, known)| known.connected)
    }

    pub(super) fn characteristic_call(&mut self, call: &Call) -> Result<Done, Refusal> {
        let connected = self.is_connected(&call.path);
        match call.member.as_str() {
            "ReadValue" | "WriteValue" if !connected => Err(Refusal::failed("Not connected")),
            "ReadValue" => {
                call.arguments::<BTreeMap<String, OwnedVariant>>()?;
                let time = self.exchange(&call.path);
                self.after(time, Task::Read(call.path.clone(), call.message.clone()));
                Ok(Done::Later)
            }
            "WriteValue" => self.write(call),
            "StartNotify" => self.start_notify(call).map(Done::from),
            "StopNotify" => self.stop_notify(call).map(Done::from),
            _ => Err(Refusal::method(CHARACTERISTIC1, &call.member)),
        }
    }

    pub(super) fn descriptor_call(&mut self, call: &Call) -> Result<Body, Refusal> {
        let above = call.path.rsplit_once('/').map(|(above, _)| above.to_owned()).unwrap_or_default();
        let notifying = self.characteristic(&above).is_some_and(|one| !one.notifying.is_empty());
        match call.member.as_str() {
            "ReadValue" | "WriteValue" if !self.is_connected(&call.path) => {
                Err(Refusal::failed("Not connected"))
            }
            "ReadValue" => Ok(Body::Bytes(vec![u8::from(notifying), 0])),
            // BlueZ writes it itself.
            "WriteValue" => Err(Refusal::not_permitted("Write not permitted")),
            _ => Err(Refusal::method(DESCRIPTOR1, &call.member)),
        }
    }

    fn exchange(&mut self, path: &str) -> Duration {
        let device = parted(path).map(|(device, _)| device).unwrap_or_default();
        let peer = self.peer(&device);
        let slow = peer.and_then(|peer| peer.faults.happen(|fault| matches!(fault, BleFault::Slow(_))));
        EXCHANGE + if let Some(BleFault::Slow(time)) = slow { time } else { Duration::ZERO }
    }

    fn write(&mut self, call: &Call) -> Result<Done, Refusal> {
        let (value, options): (Vec<u8>, BTreeMap<String, OwnedVariant>) = call.arguments()?;
        let kind: Option<String> = options
            .get("type")
            .cloned()
            .map(|kind| kind.try_into().map_err(|_| Refusal::arguments()))
            .transpose()?;
        let time = self.exchange(&call.path);
        let one = self.characteristic(&call.path).ok_or_else(|| Refusal::object(&call.path))?;
        if one.writing {
            return Err(Refusal::in_progress());
        }
        let command = match kind.as_deref() {
            Some("command") => true,
            Some("request" | "reliable") => false,
            None if one.has("write") => false,
            None if one.has("write-without-response") => true,
            _ => return Err(Refusal::not_supported()),
        };
        if command && value.len() > usize::from(MTU) - 3 {
            return Err(Refusal::failed("Failed to initiate write"));
        }
        one.writing = !command;
        let message = (!command).then(|| call.message.clone());
        self.after(time, Task::Write(call.path.clone(), value, message));
        Ok(if command { Body::Nothing.into() } else { Done::Later })
    }

    /// Whether the device lets us: pairing that needs nobody is made by the way.
    fn is_trusted(&mut self, device: &str) -> bool {
        if self.known.get(device).is_some_and(|known| known.paired) {
            return true;
        }
        let peer = self.peer(device).filter(|peer| peer.device.pairing() == Pairing::JustWorks);
        let pairs = peer.is_some_and(|peer| !peer.happens(&BleFault::RefusePairing));
        if pairs {
            self.bond(device);
        }
        pairs
    }

    pub(super) fn read_now(&mut self, path: &str, call: Message) {
        let read = self.read_value(path);
        if let Ok(value) = &read {
            self.learn(path, value.clone());
        }
        self.answer(call, read.map(Body::Bytes).map_err(Refusal::att));
    }

    fn read_value(&mut self, path: &str) -> Result<Vec<u8>, u8> {
        let (device, _) = parted(path).ok_or(att::UNLIKELY)?;
        let one = self.characteristic(path).ok_or(att::UNLIKELY)?;
        let (at, protected, reads) = (one.at, one.protected, one.has("read"));
        if !reads {
            return Err(att::READ_NOT_PERMITTED);
        }
        if protected && !self.is_trusted(&device) {
            return Err(att::AUTHENTICATION);
        }
        let peer = self.peer(&device).ok_or(att::UNLIKELY)?;
        if peer.happens(&BleFault::Refuse) {
            return Err(att::APPLICATION);
        }
        let value = peer.device.read(at)?;
        Ok(if peer.happens(&BleFault::Garbled) { peer.garbled(value) } else { value })
    }

    /// What was read or told is what clients see.
    fn learn(&mut self, path: &str, value: Vec<u8>) {
        let props = props([("Value", bytes(&value))]);
        if let Some(one) = self.characteristic(path) {
            one.value = Some(value);
        }
        self.signal(Signal::Changed {
            path: path.to_owned(),
            interface: CHARACTERISTIC1,
            props,
            gone: Vec::new(),
        });
    }

    pub(super) fn write_now(&mut self, path: &str, value: &[u8], call: Option<Message>) {
        let Some((device, _)) = parted(path) else { return };
        if self.peer(&device).is_some_and(|peer| peer.happens(&BleFault::DisconnectMidWrite)) {
            if let Some(call) = call {
                self.answer(call, Err(Refusal::att(att::UNLIKELY)));
            }
            return self.break_link(&device);
        }
        let outcome = self.write_value(&device, path, value, call.is_none());
        if call.is_some() && self.peer(&device).is_some_and(|peer| peer.happens(&BleFault::Unanswered)) {
            return;
        }
        if let Some(one) = self.characteristic(path) {
            one.writing = false;
        }
        if let Some(call) = call {
            self.answer(call, outcome.map(|()| Body::Nothing).map_err(Refusal::att));
        }
    }

    fn write_value(&mut self, device: &str, path: &str, value: &[u8], command: bool) -> Result<(), u8> {
        let one = self.characteristic(path).ok_or(att::UNLIKELY)?;
        let (at, protected) = (one.at, one.protected);
        let writes = one.has(if command { "write-without-response" } else { "write" });
        if !writes {
            return Err(att::WRITE_NOT_PERMITTED);
        }
        if protected && !self.is_trusted(device) {
            return Err(att::AUTHENTICATION);
        }
        let peer = self.peer(device).ok_or(att::UNLIKELY)?;
        if peer.happens(&BleFault::Refuse) {
            return Err(att::APPLICATION);
        }
        let obeys = !peer.happens(&BleFault::Frozen);
        peer.wrote(at, value);
        peer.device.write(at, value, obeys)
    }

    fn start_notify(&mut self, call: &Call) -> Result<Body, Refusal> {
        let (device, _) = parted(&call.path).ok_or_else(|| Refusal::object(&call.path))?;
        let one = self.characteristic(&call.path).ok_or_else(|| Refusal::object(&call.path))?;
        if !one.tells() {
            return Err(Refusal::not_supported());
        }
        let protected = one.protected;
        if protected && self.is_connected(&call.path) && !self.is_trusted(&device) {
            return Err(Refusal::att(att::AUTHENTICATION));
        }
        if let Some(one) = self.characteristic(&call.path) {
            one.notifying.insert(call.client.clone());
        }
        self.notifying_changed(&call.path);
        Ok(Body::Nothing)
    }

    fn stop_notify(&mut self, call: &Call) -> Result<Body, Refusal> {
        let one = self.characteristic(&call.path).ok_or_else(|| Refusal::object(&call.path))?;
        if !one.notifying.remove(&call.client) {
            return Err(Refusal::failed("No notify session started"));
        }
        self.notifying_changed(&call.path);
        Ok(Body::Nothing)
    }

    fn notifying_changed(&mut self, path: &str) {
        let Some(one) = self.characteristic(path) else { return };
        let props = props([("Notifying", (!one.notifying.is_empty()).into())]);
        self.signal(Signal::Changed {
            path: path.to_owned(),
            interface: CHARACTERISTIC1,
            props,
            gone: Vec::new(),
        });
    }

    pub(super) fn notify_left(&mut self, client: &str) {
        let all = self.known.values_mut().flat_map(|known| known.gatt.characteristics.iter_mut());
        for one in all {
            one.notifying.remove(client);
        }
    }

    /// Devices tell who wants to be told.
    pub(super) fn notify(&mut self) {
        let linked: Vec<String> =
            self.known.iter().filter(|(_, known)| known.resolved).map(|(path, _)| path.clone()).collect();
        for device in linked {
            let Some(peer) = self.peer(&device) else { continue };
            let told = peer.device.told();
            for (at, value) in told {
                let Some(known) = self.known.get(&device) else { continue };
                let mut all = known.gatt.characteristics.iter();
                let Some(one) = all.find(|one| one.at == at && !one.notifying.is_empty()) else { continue };
                let path = format!("{device}/{}", one.name);
                let lost = self.peer(&device).is_some_and(|peer| peer.happens(&BleFault::NotifyLost));
                if !lost {
                    self.learn(&path, value);
                }
            }
        }
    }
}
