//! Devices of the site become rows, by difference: what is as it was goes on undisturbed. Instance Numbers belong to the
//! device's key, the node's key and the capability's key, are kept on disk, and are never given to another while the key is
//! known: a reordered or reloaded site file changes none.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use usp_mapping::mapping::{self, BusKind, DeviceAddress, LinePort, Mapping, NodeId, Site};
use usp_mapping::port::{DeviceFault, PointId};

use super::capabilities::Capabilities;
use super::objects::Place;
use super::replaced::is_read_alike;
use super::{Capability, Device};
use crate::Broker;
use crate::dm::rows::ObjRef;
use crate::dm::schema::ObjId;
use crate::output::StoreOp;

const DEVICES: &str = "Device.ProxiedDevice.";

/// Begins the names of single values that hold what a device was called where it comes from, before its path.
pub(super) const CAME_AS: &str = "came as ";

/// `IoTCapability.{i}.Name` and its kin.
const MOST_NAME: usize = 64;

/// Which mappings have been found equal or not: many devices share few.
#[derive(Default)]
struct Compared(BTreeMap<(*const Mapping, *const Mapping), bool>);

impl Compared {
    fn same(&mut self, a: &Arc<Mapping>, b: &Arc<Mapping>) -> bool {
        Arc::ptr_eq(a, b) || *self.0.entry((Arc::as_ptr(a), Arc::as_ptr(b))).or_insert_with(|| a == b)
    }
}

impl Broker {
    /// The site's devices, at the start and after each change, be it of the files or of what has been adopted.
    pub(crate) fn handle_site(&mut self, site: &Arc<Site>, of_files: bool) {
        let table = self.model.devices.objects.device;
        let (mut kept, mut compared) = (BTreeSet::new(), Compared::default());
        for device in &site.devices {
            let number = self.identity(DEVICES, &device.id.0, table, &[]);
            kept.insert(number);
            self.put_device(number, device, site, &mut compared);
            // A device and its parts stay together.
            self.commit_part();
        }
        // Rows of devices that are gone leave the data model; their numbers stay known on disk.
        let all: Vec<u32> = self.model.rows.of_table(table, &[]).map(|(at, _)| at.number()).collect();
        for number in all.into_iter().filter(|n| !kept.contains(n)) {
            self.drop_device(number);
            self.commit_part();
        }
        self.declare_vendor_elements();
        self.put_buses(site);
        self.compact();
        self.commit(None);
        if of_files {
            self.note_site();
        }
        if !std::mem::replace(&mut self.site_loaded, true) {
            self.commit(None);
            self.announce_boot();
        }
    }

    /// The number that belongs to an identity in a table; a new one if it has none.
    pub(crate) fn identity(&mut self, table_path: &str, id: &str, table: ObjId, above: &[u32]) -> u32 {
        if let Some(number) = self.identities.get(table_path, id) {
            self.model.rows.note_number(table, above, number);
            return number;
        }
        let number = self.model.rows.next_number(table, above, false);
        let (table, id) = self.identities.insert(table_path, id, number);
        self.extra_ops.push(StoreOp::PutIdentity { table, id, number });
        number
    }

    fn put_device(&mut self, number: u32, device: &mapping::Device, site: &Site, compared: &mut Compared) {
        let address = address(device, site);
        let old = self.model.devices.get(number);
        let same_model = old.is_some_and(|old| compared.same(&old.mapping, &device.mapping));
        let same_place = old.is_some_and(|old| old.address == address);
        if same_model && same_place && old.is_some_and(|old| old.name == device.name) {
            return;
        }
        let old = old.cloned();
        if old.is_some() && !(same_model && same_place) {
            // Points mean something else now: what was asked by the old ones is not believed. It may have been done.
            let why = "unreachable: its configuration has just changed".to_owned();
            self.fail_device_legs(number, &DeviceFault::Unsettled(why));
        }
        let at = self.model.devices.objects.device_row(number);
        self.put_named_row(&at, &device.name);
        self.follow_name(&at, &device.name);
        let earlier = old.as_ref().filter(|_| same_place);
        let mut state = Device {
            id: device.id.clone(),
            number,
            name: device.name.clone(),
            mapping: old.as_ref().filter(|_| same_model).map_or(&device.mapping, |o| &o.mapping).clone(),
            address,
            online: earlier.and_then(|o| o.online.clone()),
            spoken: earlier.is_some_and(|o| o.spoken),
            away: earlier.and_then(|o| o.away),
            why_away: earlier.map(|o| o.why_away.clone()).unwrap_or_default(),
            why_doubted: earlier.and_then(|o| o.why_doubted.clone()),
            settled: Cell::new(old.as_ref().is_some_and(|o| o.settled.get())),
            last_contact: earlier.and_then(|o| o.last_contact),
            nodes: BTreeMap::new(),
            capabilities: Capabilities::with_capacity(
                device.mapping.capabilities.len() + device.mapping.settings.len(),
            ),
            old_at: old.as_ref().and_then(|o| o.old_at),
            seen: seen(&device.mapping, earlier),
        };
        self.put_nodes(&mut state);
        self.put_capabilities(&mut state, old.as_ref(), same_place);
        self.model.devices.insert(state);
        self.drop_capabilities(number);
        if let Some(old) = old {
            self.tell_replaced(number, &old);
        }
    }

    /// A row whose Name a Controller may have changed: the name that the site or the mapping gives is an initial value.
    fn put_named_row(&mut self, at: &ObjRef, name: &str) {
        self.put_row(at, Some(name));
    }

    /// What goes by another name where it comes from has that name here too, unless a Controller has given it one. Who gave
    /// the one it has is known by the name that it came with, which is on disk: it may change while nobody is here.
    fn follow_name(&mut self, at: &ObjRef, name: &str) {
        let key = format!("{CAME_AS}{}", self.model.path(at));
        let former = self.meta.get(&key).cloned();
        if former.as_deref() == Some(name) {
            return;
        }
        self.put_meta(&key, name);
        let Some(known) = self.model.rows.get(at) else { return };
        let is_ours = |key: &str, value: &String| key == "Name" && Some(value) == former.as_ref();
        let Some((key, _)) = known.params.iter().find(|(key, value)| is_ours(key.as_str(), value)) else {
            return;
        };
        let mut row = known.clone();
        row.params.insert(key.clone(), name.to_owned());
        self.model.rows.put(at.clone(), row);
    }

    /// A row of which nothing but its Alias is stored.
    pub(super) fn put_bare_row(&mut self, at: &ObjRef) {
        self.put_row(at, None);
    }

    fn put_row(&mut self, at: &ObjRef, name: Option<&str>) {
        if !self.model.rows.contains(at) {
            self.unpark(at);
        }
        // One change of the row, not one for each Parameter: there are very many rows at the start.
        let known = self.model.rows.get(at);
        let mut row = known.cloned().unwrap_or_default();
        let unnamed = name.filter(|_| !row.params.contains_key("Name"));
        let alias = known.is_none().then(|| ("Alias", format!("cpe-{}", at.number())));
        let name = unnamed.map(|name| ("Name", self.free_name(at, name)));
        if known.is_some() && name.is_none() {
            return;
        }
        let params = self.model.schema.get(at.object).map(|o| &o.params);
        for (name, value) in alias.into_iter().chain(name) {
            if let Some((name, _)) = params.and_then(|p| p.get_key_value(name)) {
                row.params.insert(name.clone(), value);
            }
        }
        self.model.rows.put_alike(at.clone(), row);
    }

    /// The name, unless a Controller has given it to another row where it must be unique.
    fn free_name(&self, at: &ObjRef, name: &str) -> String {
        let above = at.numbers.get(..at.numbers.len().saturating_sub(1)).unwrap_or_default();
        let is_key = self.model.devices.objects.part(at.object) == Some(super::objects::Part::Capability);
        if !is_key || self.model.row_with(at.object, above, "Name", name).is_none() {
            return name.to_owned();
        }
        let suffix = format!(" ({})", at.number());
        let room = MOST_NAME.saturating_sub(suffix.chars().count());
        name.chars().take(room).chain(suffix.chars()).collect()
    }

    fn put_nodes(&mut self, device: &mut Device) {
        let (table, number) = (self.model.devices.objects.node, device.number);
        let path = format!("{DEVICES}{number}.Node.");
        for (id, node) in (0u16..).map(NodeId).zip(&device.mapping.nodes) {
            let own = self.identity(&path, &node.id, table, &[number]);
            self.put_bare_row(&ObjRef::new(table, &[number, own]));
            device.nodes.insert(own, id);
        }
    }

    fn put_capabilities(&mut self, device: &mut Device, old: Option<&Device>, same_place: bool) {
        let mapping = device.mapping.clone();
        for (point, model) in (0u16..).map(PointId).zip(&mapping.capabilities) {
            let node = device.nodes.iter().find(|(_, id)| Some(**id) == model.node).map(|(node, _)| *node);
            let place = self.put_capability_row(device.number, node, model);
            device.put_point(place, point, old.filter(|_| same_place), old);
        }
        let windows =
            mapping.settings.iter().filter_map(|setting| Some((setting, device.place(setting.of)?)));
        let windows: Vec<Place> =
            windows.map(|(setting, place)| Place { window: Some(setting.window), ..place }).collect();
        for place in windows {
            let point = PointId(u16::try_from(device.capabilities.len()).unwrap_or(u16::MAX));
            device.put_point(place, point, old.filter(|_| same_place), old);
        }
    }

    fn put_capability_row(&mut self, number: u32, node: Option<u32>, model: &mapping::Capability) -> Place {
        let objects = &self.model.devices.objects;
        let (table, above) = (objects.capabilities(node.is_some()), objects.node_row(number, node));
        let path = format!("{}IoTCapability.", self.model.path(&above));
        let own = self.identity(&path, &model.id, table, &above.numbers);
        let place = Place { node, own, window: None };
        let row = self.model.devices.objects.capability_row(number, place);
        self.put_named_row(&row, &model.name);
        place
    }

    /// Rows of capabilities and nodes that the device does not have any more.
    fn drop_capabilities(&mut self, number: u32) {
        let objects = &self.model.devices.objects;
        let Some(device) = self.model.devices.get(number) else { return };
        let tables = [objects.capabilities(false), objects.capabilities(true)];
        let rows = self.model.rows.subtree(&tables, &[number]);
        let is_gone = |at: &ObjRef| {
            let place = self.model.devices.objects.place(at);
            place.is_none_or(|place| !device.capabilities.contains(place))
        };
        let mut gone: Vec<ObjRef> = rows.into_iter().filter(is_gone).collect();
        let nodes = self.model.rows.subtree(&[objects.node], &[number]).into_iter();
        gone.extend(nodes.filter(|at| !device.nodes.contains_key(&at.number())));
        for row in gone {
            self.park(&row);
            self.remove_row(&row);
        }
    }

    fn drop_device(&mut self, number: u32) {
        let row = self.model.devices.objects.device_row(number);
        self.park(&row);
        self.model.devices.remove(number);
        let why = "it is no longer in the configuration".to_owned();
        self.fail_device_legs(number, &DeviceFault::Unsettled(why));
        self.remove_row(&row);
    }
}

impl Device {
    /// The next point of the mapping is there. What is read as before from the same device, `here`, goes on.
    fn put_point(&mut self, place: Place, point: PointId, here: Option<&Self>, old: Option<&Self>) {
        let model = self.mapping.model(point);
        let same = here.and_then(|here| Some((here, here.capabilities.get(place)?)));
        let same = same
            .filter(|(here, known)| here.model(known).zip(model).is_some_and(|(a, b)| is_read_alike(a, b)));
        let other = || old.and_then(|old| old.capabilities.get(place));
        let capability = match same {
            Some((_, known)) => Capability { point, ..known.clone() },
            None => other().map_or_else(|| Capability::new(point), |known| known.anew(point)),
        };
        self.capabilities.push(place, capability);
    }
}

/// What the events of a mapping were last seen by, where that is still the same.
fn seen(mapping: &Mapping, old: Option<&Device>) -> Vec<Option<usp_mapping::value::Value>> {
    let of = |event: &mapping::Event| {
        let old = old?;
        let index = old.mapping.events.iter().position(|known| known == event)?;
        old.seen.get(index)?.clone()
    };
    mapping.events.iter().map(of).collect()
}

/// `X_USPBROKER_Address`: the bus' address and the device's on it.
fn address(device: &mapping::Device, site: &Site) -> String {
    let bus = site.buses.iter().find(|b| b.name == device.bus).map(|b| match &b.kind {
        BusKind::ModbusTcp { address } => format!("modbus-tcp://{address}"),
        BusKind::ModbusRtuTcp { address } => format!("modbus-rtu-tcp://{address}"),
        BusKind::ModbusRtu(line) => format!("modbus-rtu:{}", line.port),
        BusKind::Mqtt(server) => format!("mqtt{}://{}", secure(server.tls.is_some()), server.address),
        BusKind::Coap(_) => b.name.clone(),
        BusKind::Line(line) => match &line.port {
            LinePort::Serial(port) => format!("line:{port}"),
            LinePort::Tcp(address) => format!("line-tcp://{address}"),
        },
        BusKind::Ble(radio) => format!("ble:{}", radio.adapter),
        BusKind::Zigbee(_) => format!("zigbee:{}", b.name),
    });
    let bus = bus.unwrap_or_else(|| device.bus.clone());
    match &device.address {
        DeviceAddress::ModbusUnit(unit) => format!("{bus}/{unit}"),
        DeviceAddress::MqttTopic(topic) => format!("{bus}/{topic}"),
        DeviceAddress::Line => bus,
        DeviceAddress::Ble(address) => format!("{bus}/{}", address.mac),
        DeviceAddress::Zigbee(ieee) => format!("{bus}/{ieee}"),
        DeviceAddress::Coap(address) => format!("coap{}://{}", secure(address.psk.is_some()), address.host),
    }
}

/// What the schemes of URIs have at their end where TLS or DTLS is spoken.
fn secure(is_secure: bool) -> &'static str {
    if is_secure { "s" } else { "" }
}
