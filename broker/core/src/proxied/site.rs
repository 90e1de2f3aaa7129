//! Devices of the site become rows. Their Instance Numbers belong to the device's key and the capability's key, are kept
//! on disk, and are never given to another while the key is known: a reordered or reloaded site file changes none.

use std::collections::BTreeMap;
use std::sync::Arc;

use usp_mapping::mapping::{self, BusKind, DeviceAddress, Site};
use usp_mapping::port::PointId;

use super::{Capability, Device};
use crate::Broker;
use crate::dm::rows::{ObjRef, Row};
use crate::dm::schema::ObjId;
use crate::output::StoreOp;

const DEVICES: &str = "Device.ProxiedDevice.";

impl Broker {
    /// The site's devices, at the start and after each change.
    pub(crate) fn handle_site(&mut self, site: &Arc<Site>) {
        let Some(table) = self.model.table(DEVICES) else { return };
        let mut kept = Vec::new();
        for device in &site.devices {
            let number = self.identity(DEVICES, &device.id.0, table, &[]);
            kept.push(number);
            self.put_device(table, number, device, site);
        }
        // Rows of devices that are gone leave the data model; their numbers stay known on disk.
        let all: Vec<u32> = self.model.rows.of_table(table, &[]).map(|(at, _)| at.number()).collect();
        for number in all.into_iter().filter(|n| !kept.contains(n)) {
            self.drop_device(table, number);
        }
        self.commit(None);
        self.note_site();
        if !std::mem::replace(&mut self.site_loaded, true) {
            self.commit(None);
            self.announce_boot();
        }
    }

    /// The number that belongs to an identity in a table; a new one if it has none.
    fn identity(&mut self, table_path: &str, id: &str, table: ObjId, above: &[u32]) -> u32 {
        let key = (table_path.to_owned(), id.to_owned());
        if let Some(number) = self.identities.get(&key) {
            self.model.rows.note_number(table, above, *number);
            return *number;
        }
        let number = self.model.rows.next_number(table, above, false);
        self.extra_ops.push(StoreOp::PutIdentity { table: key.0.clone(), id: key.1.clone(), number });
        self.identities.insert(key, number);
        number
    }

    fn put_device(&mut self, table: ObjId, number: u32, device: &mapping::Device, site: &Site) {
        let at = ObjRef::new(table, &[number]);
        if !self.model.rows.contains(&at) {
            self.unpark_device(&at);
        }
        self.put_named_row(&at, &device.name);
        let old = self.model.devices.get(number).cloned();
        if old.as_ref().is_some_and(|o| o.mapping != device.mapping) {
            // Points mean something else now: what was asked by the old ones is not believed.
            self.fail_device_legs(number);
        }
        let capabilities = self.put_capabilities(number, device, old.as_ref());
        let same = old.as_ref().filter(|o| o.mapping == device.mapping);
        let state = Device {
            id: device.id.clone(),
            number,
            name: device.name.clone(),
            mapping: device.mapping.clone(),
            address: address(device, site),
            online: same.and_then(|o| o.online.clone()),
            last_contact: same.and_then(|o| o.last_contact),
            capabilities,
        };
        self.model.devices.insert(state);
    }

    /// A row whose Name a Controller may have changed: the site's name is an initial value.
    fn put_named_row(&mut self, at: &ObjRef, name: &str) {
        if !self.model.rows.contains(at) {
            self.model.rows.put(at.clone(), Row::default());
            self.put_param(at, "Alias", format!("cpe-{}", at.number()));
        }
        if self.model.rows.param(at, "Name").is_none() {
            self.put_param(at, "Name", name.to_owned());
        }
    }

    fn put_capabilities(
        &mut self,
        number: u32,
        device: &mapping::Device,
        old: Option<&Device>,
    ) -> BTreeMap<u32, Capability> {
        let path = format!("{DEVICES}{number}.IoTCapability.");
        let Some(table) = self.model.schema.find("Device.ProxiedDevice.{i}.IoTCapability.{i}.") else {
            return BTreeMap::new();
        };
        let mut capabilities = BTreeMap::new();
        for (index, model) in device.mapping.capabilities.iter().enumerate() {
            let own = self.identity(&path, &model.id, table, &[number]);
            self.put_named_row(&ObjRef::new(table, &[number, own]), &model.name);
            let point = PointId(u16::try_from(index).unwrap_or(u16::MAX));
            let known = old.and_then(|o| o.capabilities.get(&own));
            let same = known.filter(|_| old.is_some_and(|o| o.mapping == device.mapping));
            let capability = same.cloned().unwrap_or_else(|| Capability {
                point,
                reading: None,
                earlier: known.and_then(|c| c.reading.clone().or_else(|| c.earlier.clone())),
                contact: None,
                last_error: None,
                old_at: None,
            });
            capabilities.insert(own, capability);
        }
        let rows: Vec<ObjRef> =
            self.model.rows.of_table(table, &[number]).map(|(at, _)| at.clone()).collect();
        for row in rows.into_iter().filter(|r| !capabilities.contains_key(&r.number())) {
            self.remove_row(&row);
        }
        capabilities
    }

    fn drop_device(&mut self, table: ObjId, number: u32) {
        self.park_device(table, number);
        self.model.devices.remove(number);
        self.fail_device_legs(number);
        self.remove_row(&ObjRef::new(table, &[number]));
    }
}

/// `X_USPBROKER_Address`: the bus' address and the device's on it.
fn address(device: &mapping::Device, site: &Site) -> String {
    let DeviceAddress::ModbusUnit(unit) = device.address;
    let bus = site.buses.iter().find(|b| b.name == device.bus).map(|b| match &b.kind {
        BusKind::ModbusTcp { address } => format!("modbus-tcp://{address}"),
        BusKind::ModbusRtuTcp { address } => format!("modbus-rtu-tcp://{address}"),
        BusKind::ModbusRtu(line) => format!("modbus-rtu:{}", line.port),
    });
    format!("{}/{unit}", bus.unwrap_or_else(|| device.bus.clone()))
}
