//! What Controllers changed about a device, a node or a capability that is not there any more: names, steps, thresholds and
//! windows are parked until it returns, as its numbers are.

use usp_proto::path::{Name, Path};
use usp_proto::tr106;

use super::site::CAME_AS;
use crate::Broker;
use crate::dm::params::Params;
use crate::dm::rows::{ObjRef, Row};

/// Begins the names of single values that hold a parked row, before its path.
const PARKED: &str = "parked ";

impl Broker {
    /// Remembers a row that leaves, with all below it.
    pub(super) fn park(&mut self, row: &ObjRef) {
        let objects = self.model.descendants(row.object);
        for at in self.model.rows.subtree(&objects, &row.numbers) {
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
        let devices = &self.model.devices;
        match devices.capability(at) {
            Some((device, _, capability)) => Some(&device.model(capability)?.name),
            // An adopted device may be away at the start, so that nothing but what is on disk tells.
            None if at.object == devices.objects.device => {
                self.meta.get(&format!("{CAME_AS}{}", self.model.path(at))).map(String::as_str)
            }
            None => None,
        }
    }

    /// Gives a row that returns, and all below it, what it had.
    pub(super) fn unpark(&mut self, at: &ObjRef) {
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

fn decode(params: &str) -> Params {
    let param = |item: &str| {
        let item = tr106::unescape_item(item);
        let (name, value) = item.split_once('=')?;
        Some((Name::new(name).ok()?, value.to_owned()))
    };
    tr106::split_list(params).filter_map(param).collect()
}
