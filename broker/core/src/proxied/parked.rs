//! What Controllers changed about a device that is not in the site any more: its names, steps and thresholds are parked
//! until it returns, as its numbers are.

use std::collections::BTreeMap;

use usp_proto::path::{Name, Path};
use usp_proto::tr106;

use crate::Broker;
use crate::dm::rows::{ObjRef, Row};
use crate::dm::schema::ObjId;

/// Begins the names of single values that hold a parked row, before its path.
const PARKED: &str = "parked ";

impl Broker {
    /// Remembers the rows of a device that leaves.
    pub(super) fn park_device(&mut self, table: ObjId, number: u32) {
        let objects = self.model.descendants(table);
        for at in self.model.rows.subtree(&objects, &[number]) {
            let Some(row) = self.model.rows.get(&at).filter(|row| !row.volatile) else { continue };
            let given = self.given_name(&at);
            let changed =
                row.params.iter().filter(|(n, v)| n.as_str() != "Name" || given != Some(v.as_str()));
            let params = changed.map(|(n, v)| tr106::escape_item(&format!("{n}={v}")));
            let params = tr106::join_list(params);
            self.put_meta(&format!("{PARKED}{}", self.model.path(&at)), &params);
        }
    }

    /// The name that the site or the mapping gives a row: it may have another when the device returns.
    fn given_name(&self, at: &ObjRef) -> Option<&str> {
        let device = self.model.devices.get(*at.numbers.first()?)?;
        match at.numbers.get(1) {
            None => Some(&device.name),
            Some(number) => Some(&device.model(device.capabilities.get(number)?)?.name),
        }
    }

    /// Gives a device that returns what it had.
    pub(super) fn unpark_device(&mut self, at: &ObjRef) {
        let prefix = format!("{PARKED}{}", self.model.path(at));
        let found = self.meta.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
        let found: Vec<(String, String)> = found
            .filter(|(_, params)| !params.is_empty())
            .map(|(key, params)| (key.clone(), params.clone()))
            .collect();
        for (key, params) in found {
            let path = key.strip_prefix(PARKED).and_then(|path| Path::parse(path).ok());
            if let Some(at) = path.and_then(|path| self.model.locate_supported(&path)) {
                self.model.rows.put(at, Row { params: decode(&params), volatile: false });
            }
            self.put_meta(&key, "");
        }
    }
}

fn decode(params: &str) -> BTreeMap<Name, String> {
    let param = |item: &str| {
        let item = tr106::unescape_item(item);
        let (name, value) = item.split_once('=')?;
        Some((Name::new(name).ok()?, value.to_owned()))
    };
    tr106::split_list(params).filter_map(param).collect()
}
