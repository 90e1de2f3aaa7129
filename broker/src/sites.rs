//! The devices of the site file and those that adapters have adopted, put together.
//!
//! Always: what the site is follows from the newest file and the newest report of each bus, in whatever order they came.
//! Devices of the file win over adopted ones, by key and by address. A report counts for the bus that it was made for:
//! when a bus has another address or is gone, what was adopted there is forgotten; while it merely does not answer, nothing
//! is.
//!
//! Adopted devices are not kept on disk. After a start they are absent until their bridge tells of them, which one that
//! keeps its messages (retained) does at once; their Instance Numbers and what Controllers changed wait in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use usp_adapters::Adopted;
use usp_mapping::mapping::{Bus, BusKind, Device, DeviceAddress, Site};
use usp_mapping::port::DeviceId;

/// What there is, from both sides.
#[derive(Debug, Default)]
pub(crate) struct Sites {
    filed: Arc<Site>,
    /// By the name of the bus.
    adopted: BTreeMap<String, Adopted>,
    has_changed: bool,
    /// Adopted devices whose place was taken the last time, which is told once.
    displaced: BTreeSet<DeviceId>,
}

impl Sites {
    /// The files say this now.
    pub(crate) fn file(&mut self, site: Arc<Site>) {
        self.adopted.retain(|_, adopted| {
            let bus = site.buses.iter().find(|bus| is_same(bus, &adopted.bus));
            bus.map(|bus| bus.clone_into(&mut adopted.bus)).is_some()
        });
        self.filed = site;
    }

    /// A bus has these now.
    pub(crate) fn adopt(&mut self, adopted: Adopted) {
        let Adopted { bus, devices } = adopted;
        let Some(bus) = self.filed.buses.iter().find(|filed| is_same(filed, &bus)).cloned() else {
            return tracing::debug!(bus = bus.name, "devices of a bus that was replaced meanwhile");
        };
        let count = devices.iter().filter(|device| !self.is_filed(device)).count();
        if count > 0 || devices.is_empty() {
            tracing::info!(bus = bus.name, devices = count, "devices were adopted");
        }
        self.has_changed |= self.adopted.get(&bus.name).is_none_or(|known| known.devices != devices);
        self.adopted.insert(bus.name.clone(), Adopted { bus, devices });
    }

    /// Whether a device that was found is one of the file. Adapters of radios tell of all that they find, and that is no adoption;
    /// a topic may be that of another device.
    fn is_filed(&self, found: &Device) -> bool {
        let is_radio = matches!(found.address, DeviceAddress::Zigbee(_));
        let is_it = |filed: &Device| filed.bus == found.bus && filed.address == found.address;
        is_radio && self.filed.devices.iter().any(is_it)
    }

    /// Whether the whole is another one because of what was adopted.
    pub(crate) fn has_changed(&self) -> bool {
        self.has_changed
    }

    /// Everything together, in the order of the file and then by bus.
    pub(crate) fn whole(&mut self) -> Arc<Site> {
        self.has_changed = false;
        if self.adopted.values().all(|adopted| adopted.devices.is_empty()) {
            return Arc::clone(&self.filed);
        }
        let mut whole = Site::clone(&self.filed);
        let mut places = Places::of(&whole);
        let mut displaced = BTreeSet::new();
        for adopted in self.adopted.values() {
            for device in &adopted.devices {
                let Err(other) = places.take(&adopted.bus, device) else {
                    whole.devices.push(device.clone());
                    continue;
                };
                if !self.is_filed(device) && !self.displaced.contains(&device.id) {
                    let (id, name) = (&device.id, &device.name);
                    tracing::info!(%id, name, %other, "a device is not adopted: another has its key or its topic");
                }
                displaced.insert(device.id.clone());
            }
        }
        self.displaced = displaced;
        Arc::new(whole)
    }
}

/// Whether the same devices are there. How one logs in changes none of them: with a wrong password they are merely not heard.
fn is_same(one: &Bus, other: &Bus) -> bool {
    let same = match (&one.kind, &other.kind) {
        (BusKind::Mqtt(one), BusKind::Mqtt(other)) => {
            one.address == other.address && one.adopt == other.adopt
        }
        (BusKind::Zigbee(one), BusKind::Zigbee(other)) => one.port == other.port && one.adopt == other.adopt,
        (one, other) => one == other,
    };
    one.name == other.name && same
}

/// Keys and addresses that are taken.
struct Places {
    keys: BTreeSet<DeviceId>,
    /// Who has a topic.
    addresses: Vec<(BusKind, BTreeMap<String, DeviceId>)>,
}

impl Places {
    fn of(site: &Site) -> Self {
        let mut places = Self { keys: BTreeSet::new(), addresses: Vec::new() };
        for device in &site.devices {
            if let Some(bus) = site.buses.iter().find(|bus| bus.name == device.bus) {
                // Devices of the file may share what they like.
                places.take(bus, device).ok();
            }
        }
        places
    }

    /// Takes a place, unless another device has it. Several devices of a file may share an address, so only topics and the
    /// addresses of radio devices count.
    fn take(&mut self, bus: &Bus, device: &Device) -> Result<(), DeviceId> {
        let topics = match self.addresses.iter().position(|(kind, _)| *kind == bus.kind) {
            Some(place) => self.addresses.get_mut(place).map(|(_, topics)| topics),
            None => {
                self.addresses.push((bus.kind.clone(), BTreeMap::new()));
                self.addresses.last_mut().map(|(_, topics)| topics)
            }
        };
        let has_key = self.keys.insert(device.id.clone());
        let address = match &device.address {
            DeviceAddress::MqttTopic(topic) => Some(topic.clone()),
            DeviceAddress::Zigbee(ieee) => Some(ieee.to_string()),
            _ => None,
        };
        if let (Some(address), Some(topics)) = (address, topics) {
            let owner = topics.entry(address).or_insert_with(|| device.id.clone());
            if *owner != device.id {
                return Err(owner.clone());
            }
        }
        if has_key { Ok(()) } else { Err(device.id.clone()) }
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use usp_mapping::diagnostic::SourceFile;
    use usp_mapping::library::Catalog;
    use usp_mapping::mapping::{BusAddress, Mapping, MqttServer, MqttVersion};
    use usp_mapping::site::compile_site;

    use super::*;

    /// Any.
    fn mapping() -> Arc<Mapping> {
        let model = SourceFile::new(
            "m.yaml",
            "uspmap: 1\nprofile: a.b\nversion: 1.0.0\ndevice: {type: Meter}\nmodbus: {}\n\
             capabilities:\n  level: {class: LevelSensor, type: Energy, unit: kWh, read: {holding: 0}}\n",
        );
        let site = "site: 1\nbuses:\n  b: {modbus_tcp: \"127.0.0.1:1\"}\ndevices:\n  d: {use: a.b, bus: b, unit: 1}\n";
        let catalog = Catalog::new(vec![model]);
        let (site, found) = compile_site(&SourceFile::new("s.yaml", site), &|wanted| catalog.find(wanted));
        site.unwrap_or_else(|| panic!("{found:?}")).devices[0].mapping.clone()
    }

    fn bus(name: &str, port: u16) -> Bus {
        let server = MqttServer {
            address: BusAddress::Host("server".to_owned(), port),
            user: None,
            password: None,
            tls: None,
            client_id: None,
            version: MqttVersion::V311,
            adopt: Vec::new(),
        };
        Bus { name: name.to_owned(), kind: BusKind::Mqtt(server) }
    }

    fn device(bus: &str, id: &str, topic: &str) -> Device {
        Device {
            id: DeviceId(id.into()),
            name: id.to_owned(),
            mapping: mapping(),
            bus: bus.to_owned(),
            address: DeviceAddress::MqttTopic(topic.to_owned()),
        }
    }

    fn site(buses: &[Bus], devices: &[Device]) -> Arc<Site> {
        Arc::new(Site { buses: buses.to_vec(), devices: devices.to_vec() })
    }

    fn adopted(bus: &Bus, devices: &[Device]) -> Adopted {
        Adopted { bus: bus.clone(), devices: devices.to_vec() }
    }

    fn keys(sites: &mut Sites) -> Vec<String> {
        sites.whole().devices.iter().map(|device| device.id.to_string()).collect()
    }

    #[test]
    fn devices_of_the_file_win_by_key_and_by_address() {
        let home = bus("home", 1883);
        let mut sites = Sites::default();
        sites.file(site(
            slice::from_ref(&home),
            &[device("home", "lamp", "z/1"), device("home", "home/0x3", "z/9")],
        ));
        let found = [1, 2, 3].map(|n| device("home", &format!("home/0x{n}"), &format!("z/{n}")));
        sites.adopt(adopted(&home, &found));
        assert!(sites.has_changed());
        assert_eq!(keys(&mut sites), ["lamp", "home/0x3", "home/0x2"]);
        assert!(!sites.has_changed());
        sites.adopt(adopted(&home, &found));
        assert!(!sites.has_changed(), "the same again");
        sites.adopt(adopted(&home, &found[2..]));
        assert_eq!(keys(&mut sites), ["lamp", "home/0x3"]);
    }

    #[test]
    fn a_radio_device_of_the_file_is_no_adoption() {
        let home = bus("home", 1883);
        let radio = |id: &str, ieee| {
            let address = DeviceAddress::Zigbee(usp_mapping::mapping::Ieee(ieee));
            Device { address, ..device("home", id, "") }
        };
        let mut sites = Sites::default();
        sites.file(site(slice::from_ref(&home), &[radio("plug", 1), device("home", "lamp", "z/1")]));
        assert!(sites.is_filed(&radio("home/0x1", 1)));
        assert!(!sites.is_filed(&radio("home/0x2", 2)));
        assert!(!sites.is_filed(&device("home", "home/0x3", "z/1")), "another device may have its topic");
        sites.adopt(adopted(&home, &[radio("home/0x1", 1), radio("home/0x2", 2)]));
        assert_eq!(keys(&mut sites), ["plug", "lamp", "home/0x2"]);
        assert!(sites.displaced.contains(&DeviceId("home/0x1".into())), "it is left out all the same");
    }

    #[test]
    fn the_order_of_files_and_reports_does_not_matter() {
        let (home, shed) = (bus("home", 1883), bus("shed", 1884));
        let file = site(&[home.clone(), shed.clone()], &[device("home", "lamp", "z/1")]);
        let reports = [
            adopted(&home, &[device("home", "home/0x1", "z/1"), device("home", "home/0x2", "z/2")]),
            adopted(&shed, &[device("shed", "shed/0x1", "z/1")]),
        ];
        let mut results = Vec::new();
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [2, 1, 0]] {
            let mut sites = Sites::default();
            sites.file(site(&[home.clone(), shed.clone()], &[]));
            for step in order {
                match step {
                    2 => sites.file(Arc::clone(&file)),
                    report => sites.adopt(reports[report].clone()),
                }
                sites.whole();
            }
            results.push(keys(&mut sites));
        }
        assert!(results.iter().all(|keys| *keys == ["lamp", "home/0x2", "shed/0x1"]), "{results:?}");
    }

    #[test]
    fn what_was_adopted_elsewhere_is_forgotten() {
        let (old, new) = (bus("home", 1883), bus("home", 1884));
        let mut sites = Sites::default();
        sites.file(site(slice::from_ref(&old), &[]));
        sites.adopt(adopted(&old, &[device("home", "home/0x1", "z/1")]));
        sites.file(site(&[old.clone(), bus("more", 1)], &[]));
        assert_eq!(keys(&mut sites), ["home/0x1"], "its bus is the same");
        let mut other = old.clone();
        let BusKind::Mqtt(server) = &mut other.kind else { panic!("{other:?}") };
        server.user = Some("somebody".to_owned());
        sites.file(site(slice::from_ref(&other), &[device("home", "lamp", "z/1")]));
        assert_eq!(keys(&mut sites), ["lamp"], "the file's device has its place");
        sites.file(site(&[other], &[]));
        assert_eq!(keys(&mut sites), ["home/0x1"], "another user finds the same devices");
        sites.file(site(&[new], &[]));
        assert_eq!(keys(&mut sites), [""; 0]);
        sites.adopt(adopted(&old, &[device("home", "home/0x1", "z/1")]));
        assert_eq!(keys(&mut sites), [""; 0], "a late report");
    }
}
