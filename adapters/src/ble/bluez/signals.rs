//! What BlueZ says by itself: advertisements, connections, and how the radio is.
//!
//! D-Bus picks out what concerns the devices that are wanted; what is new in BlueZ comes of everybody, and is looked at no
//! further than its path.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use dbus::arg::{PropMap, RefArg, Variant, cast, prop_cast};
use dbus::channel::MatchingReceiver;
use dbus::message::MatchRule;
use dbus::nonblock::SyncConnection;
use dbus::{Message, Path};
use tokio::sync::mpsc;
use usp_mapping::mapping::{BleSource, BleUuid, Mac};

use super::{ADAPTER, BLUEZ, DEVICE, locked};
use crate::ble::vigil::Event;

/// An advertisement, as far as BlueZ tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::ble) struct Advert {
    pub(in crate::ble) rssi: Option<i16>,
    pub(in crate::ble) data: Vec<(BleSource, Vec<u8>)>,
    pub(in crate::ble) name: Option<String>,
    pub(in crate::ble) services: Vec<BleUuid>,
}

impl Advert {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Who is told what is heard. It is told in the thread of D-Bus, and must not wait for anything.
pub(in crate::ble) trait Hears: Debug + Send + Sync {
    /// Whose advertisements are wanted; `None`: all.
    fn wanted(&self) -> Option<BTreeSet<Mac>>;
    /// Something of a device was heard.
    fn hear(&self, mac: Mac, advert: Advert);
    /// What BlueZ remembers of a device: its name and services. It was not heard.
    fn remember(&self, _: Mac, _: Advert) {}
    /// BlueZ says that a device is connected, or not any more.
    fn is_connected(&self, mac: Mac, connected: bool);
    /// These are connected, and nobody else: where bluetoothd or the radio is gone, nobody is told so of each.
    fn are_connected(&self, all: &BTreeSet<Mac>);
}

/// bluetoothd comes and goes.
pub(super) const SERVICE_RULE: &str =
    "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='org.bluez'";

/// BlueZ knows something new.
pub(super) const ADDED_RULE: &str = "type='signal',sender='org.bluez',interface='org.freedesktop.DBus.ObjectManager',member='InterfacesAdded'";

/// The radio is not there any more.
pub(super) fn removed_rule(radio: &Path<'_>) -> String {
    format!(
        "type='signal',sender='org.bluez',interface='{OBJECTS}',member='InterfacesRemoved',arg0path='{radio}'"
    )
}

const CHANGED: &str =
    "type='signal',sender='org.bluez',interface='org.freedesktop.DBus.Properties',member='PropertiesChanged'";

const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const OBJECTS: &str = "org.freedesktop.DBus.ObjectManager";

/// How the radio is.
pub(super) fn radio_rule(radio: &Path<'_>) -> String {
    format!("{CHANGED},path='{radio}'")
}

/// What is advertised of one device.
pub(super) fn device_rule(radio: &Path<'_>, mac: Mac) -> String {
    format!("{CHANGED},arg0='{DEVICE}',path='{}'", path_of(radio, mac))
}

/// What is advertised of all devices.
pub(super) fn all_rule(radio: &Path<'_>) -> String {
    format!("{CHANGED},arg0='{DEVICE}',path_namespace='{radio}'")
}

/// Whether a rule is about devices.
pub(super) fn is_of_devices(rule: &str) -> bool {
    rule.contains(DEVICE)
}

/// Where BlueZ has a device.
pub(super) fn path_of(radio: &Path<'_>, mac: Mac) -> String {
    format!("{radio}/dev_{}", mac.to_string().replace(':', "_"))
}

/// The device that a path is of.
pub(super) fn device_of(radio: &Path<'_>, path: &Path<'_>) -> Option<Mac> {
    let device = path.strip_prefix(&**radio)?.strip_prefix("/dev_")?;
    Mac::parse(&device.replace('_', ":"))
}

/// Hands on what is said.
#[derive(Debug)]
pub(super) struct Signals {
    hears: Arc<dyn Hears>,
    events: mpsc::Sender<Event>,
    radio: Mutex<Option<Path<'static>>>,
}

impl Signals {
    pub(super) fn new(hears: Arc<dyn Hears>, events: mpsc::Sender<Event>) -> Self {
        Self { hears, events, radio: Mutex::new(None) }
    }

    pub(super) fn set_radio(&self, path: &Path<'static>) {
        *locked(&self.radio) = Some(path.clone());
    }

    /// Takes in whatever D-Bus was asked to tell.
    pub(super) fn listen(self: &Arc<Self>, bus: &SyncConnection) {
        for (interface, member) in [
            ("org.freedesktop.DBus", "NameOwnerChanged"),
            (PROPERTIES, "PropertiesChanged"),
            (OBJECTS, "InterfacesAdded"),
            (OBJECTS, "InterfacesRemoved"),
        ] {
            let this = Arc::clone(self);
            let rule = MatchRule::new_signal(interface, member);
            let take_in = move |message: Message, _: &SyncConnection| {
                this.take_in(member, &message);
                true
            };
            bus.start_receive(rule, Box::new(take_in));
        }
    }

    fn take_in(&self, member: &str, message: &Message) {
        match member {
            "NameOwnerChanged" => self.owner(message),
            "PropertiesChanged" => self.changed(message),
            "InterfacesRemoved" => self.removed(message),
            _ => self.added(message),
        }
    }

    pub(super) fn tell(&self, event: Event) {
        // Whoever keeps the scan looks after it anyhow.
        drop(self.events.try_send(event));
    }

    fn owner(&self, message: &Message) {
        let (Some(name), _, Some(new)) = message.get3::<&str, &str, &str>() else { return };
        if name == BLUEZ {
            if new.is_empty() {
                self.hears.are_connected(&BTreeSet::new());
            }
            self.tell(Event::Service(!new.is_empty()));
        }
    }

    fn changed(&self, message: &Message) {
        let Some((path, radio)) = message.path().zip(locked(&self.radio).clone()) else { return };
        let Ok((interface, changed)) = message.read2::<&str, PropMap>() else { return };
        if path == radio && interface == ADAPTER {
            if let Some(powered) = prop_cast::<bool>(&changed, "Powered") {
                self.tell(Event::Powered(*powered));
            }
            if let Some(discovering) = prop_cast::<bool>(&changed, "Discovering") {
                self.tell(Event::Discovering(*discovering));
            }
        }
        if let Some(mac) = device_of(&radio, &path).filter(|_| interface == DEVICE) {
            self.device(mac, &changed);
        }
    }

    fn device(&self, mac: Mac, properties: &PropMap) {
        if let Some(connected) = prop_cast::<bool>(properties, "Connected") {
            self.hears.is_connected(mac, *connected);
        }
        let advert = advert(properties);
        if !advert.is_empty() {
            self.hears.hear(mac, advert);
        }
    }

    /// Something that BlueZ did not know.
    fn added(&self, message: &Message) {
        let Some(path) = message.get1::<Path<'_>>() else { return };
        let radio = locked(&self.radio).clone();
        match radio.and_then(|radio| device_of(&radio, &path)) {
            Some(mac) => self.added_device(mac, message),
            None if is_radio(&path) => self.tell(Event::Radio(true)),
            None => {}
        }
    }

    /// Without any strength a device was not heard: BlueZ remembers it.
    fn added_device(&self, mac: Mac, message: &Message) {
        if self.hears.wanted().is_some_and(|wanted| !wanted.contains(&mac)) {
            return;
        }
        let Ok((_, interfaces)) = message.read2::<Path<'_>, HashMap<String, PropMap>>() else { return };
        let Some(properties) = interfaces.get(DEVICE) else { return };
        if prop_cast::<i16>(properties, "RSSI").is_some() {
            self.device(mac, properties);
        }
    }

    /// A radio that was pulled out.
    fn removed(&self, message: &Message) {
        let Ok((path, interfaces)) = message.read2::<Path<'_>, Vec<String>>() else { return };
        let is_ours = locked(&self.radio).as_ref().is_some_and(|radio| *radio == path);
        if is_ours && interfaces.iter().any(|interface| interface == ADAPTER) {
            self.hears.are_connected(&BTreeSet::new());
            self.tell(Event::Radio(false));
        }
    }
}

/// Whether BlueZ has a radio there, or something that belongs to radios.
fn is_radio(path: &Path<'_>) -> bool {
    path.strip_prefix("/org/bluez/").is_some_and(|name| !name.contains('/'))
}

/// What of the properties of a device is of any age.
pub(super) fn remembered(properties: &PropMap) -> Advert {
    Advert { rssi: None, data: Vec::new(), ..advert(properties) }
}

/// What properties of a device say of an advertisement.
fn advert(properties: &PropMap) -> Advert {
    let mut data = Vec::new();
    let bytes = |value: &Variant<Box<dyn RefArg>>| cast::<Vec<u8>>(&value.0).cloned();
    type Dict<K> = HashMap<K, Variant<Box<dyn RefArg>>>;
    if let Some(services) = prop_cast::<Dict<String>>(properties, "ServiceData") {
        for (uuid, value) in services {
            let source = BleUuid::parse(uuid).map(BleSource::ServiceData);
            data.extend(source.zip(bytes(value)));
        }
    }
    if let Some(companies) = prop_cast::<Dict<u16>>(properties, "ManufacturerData") {
        for (company, value) in companies {
            data.extend(bytes(value).map(|bytes| (BleSource::Manufacturer(*company), bytes)));
        }
    }
    let services = prop_cast::<Vec<String>>(properties, "UUIDs");
    Advert {
        rssi: prop_cast::<i16>(properties, "RSSI").copied(),
        data,
        name: prop_cast::<String>(properties, "Name").cloned(),
        services: services.into_iter().flatten().filter_map(|uuid| BleUuid::parse(uuid)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_paths() {
        let radio = Path::new("/org/bluez/hci0").unwrap();
        let mac = Mac::parse("A4:C1:38:11:22:33").unwrap();
        let path = Path::new(path_of(&radio, mac)).unwrap();
        assert_eq!(&*path, "/org/bluez/hci0/dev_A4_C1_38_11_22_33");
        assert_eq!(device_of(&radio, &path), Some(mac));
        for other in ["/org/bluez/hci0", "/org/bluez/hci01/dev_A4_C1_38_11_22_33", "/org/bluez/hci0/dev_A4"] {
            assert_eq!(device_of(&radio, &Path::new(other).unwrap()), None, "{other}");
        }
        let service = Path::new("/org/bluez/hci0/dev_A4_C1_38_11_22_33/service0010").unwrap();
        assert_eq!(device_of(&radio, &service), None);
        assert!(is_radio(&radio) && !is_radio(&service) && !is_radio(&Path::new("/org/bluez").unwrap()));
    }
}
