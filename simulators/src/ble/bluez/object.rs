//! Objects, their interfaces and properties.

use std::collections::BTreeMap;

use zbus::{ObjectPath, OwnedVariant, Str, Variant};

use super::known::Known;
use super::said::{Interfaces, Props};
use super::{ADAPTER, Bluez};

pub(super) const ADAPTER1: &str = "org.bluez.Adapter1";
pub(super) const AGENT_MANAGER1: &str = "org.bluez.AgentManager1";
pub(super) const BATTERY1: &str = "org.bluez.Battery1";
pub(super) const DEVICE1: &str = "org.bluez.Device1";
pub(super) const SERVICE1: &str = "org.bluez.GattService1";
pub(super) const CHARACTERISTIC1: &str = "org.bluez.GattCharacteristic1";
pub(super) const DESCRIPTOR1: &str = "org.bluez.GattDescriptor1";

/// The most bytes that one exchange takes.
pub(super) const MTU: u16 = 247;

pub(super) fn text(text: &str) -> OwnedVariant {
    Str::from(text.to_owned()).into()
}

pub(super) fn path(path: &str) -> OwnedVariant {
    // Every path here is made of words and slashes.
    OwnedVariant::from(ObjectPath::from_str_unchecked(path))
}

/// A dictionary, a list, or bytes. Nothing of ours has file descriptors, which alone cannot be owned.
pub(super) fn owned<'a>(value: impl Into<Variant<'a>>) -> OwnedVariant {
    OwnedVariant::try_from(value.into()).unwrap_or_else(|_| false.into())
}

pub(super) fn texts<T: ToString>(all: impl IntoIterator<Item = T>) -> OwnedVariant {
    owned(all.into_iter().map(|one| one.to_string()).collect::<Vec<_>>())
}

pub(super) fn bytes(bytes: &[u8]) -> OwnedVariant {
    owned(bytes.to_vec())
}

pub(super) fn props<const N: usize>(all: [(&str, OwnedVariant); N]) -> Props {
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

impl Bluez {
    /// Everything that the object manager knows of.
    pub(super) fn objects(&self) -> BTreeMap<String, Interfaces> {
        let mut all = BTreeMap::from([(
            "/org/bluez".to_owned(),
            BTreeMap::from([(AGENT_MANAGER1.to_owned(), Props::new())]),
        )]);
        if !self.adapter.there {
            return all;
        }
        all.insert(ADAPTER.to_owned(), BTreeMap::from([(ADAPTER1.to_owned(), self.adapter.props())]));
        for (path, known) in &self.known {
            all.insert(path.clone(), known.interfaces());
            all.extend(known.attributes(path));
        }
        all
    }

    /// The interfaces of an object; `None`: there is no such object.
    pub(super) fn object(&self, path: &str) -> Option<Interfaces> {
        let one = |interface: &str, props: Props| BTreeMap::from([(interface.to_owned(), props)]);
        match path {
            "/" | "/org" => return Some(Interfaces::new()),
            "/org/bluez" => return Some(one(AGENT_MANAGER1, Props::new())),
            _ if !self.adapter.there => return None,
            ADAPTER => return Some(one(ADAPTER1, self.adapter.props())),
            _ => {}
        }
        if let Some(known) = self.known.get(path) {
            return Some(known.interfaces());
        }
        let (device, known) = self.device_above(path)?;
        known.attributes(device).remove(path)
    }

    /// The device that a path leads to or through.
    pub(super) fn device_above<'s>(&'s self, path: &str) -> Option<(&'s str, &'s Known)> {
        let device: Vec<&str> = path.split('/').take(5).collect();
        let (path, known) = self.known.get_key_value(&device.join("/"))?;
        Some((path, known))
    }
}
