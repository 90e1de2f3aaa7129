//! Which parameters the channels of a template depend on.

use std::collections::{BTreeMap, BTreeSet};

use super::condition::Settings;
use crate::import::model::{slug, unique};
use crate::import::tree::Map;

/// What channels may depend on, and what its parameters are called here.
pub(super) struct Depends {
    settings: Settings,
    names: BTreeMap<String, String>,
}

impl Depends {
    pub(super) fn new(device: &Map<'_>) -> Self {
        let (mut settings, mut ids) = (Settings::default(), Vec::new());
        for node in device.peek_items("parameters") {
            if let Some(map) = Map::of(node)
                && let Some(id) = map.text("id")
            {
                settings.add(id, &map);
                ids.push(id);
            }
        }
        if let Some(named) = device.peek("parameters") {
            for (id, node) in named.all() {
                if let Some(map) = Map::of(node) {
                    settings.add(id, &map);
                    ids.push(id);
                }
            }
        }
        ids.sort_unstable();
        ids.dedup();
        let mut taken = BTreeSet::new();
        let names = ids.into_iter().map(|id| (id.to_owned(), unique(&mut taken, &slug(id), "-")));
        Self { settings, names: names.collect() }
    }

    /// What the parameters have to be, by the names that they have here.
    pub(super) fn when(&self, condition: &str) -> Option<Vec<(String, Vec<i128>)>> {
        let when = self.settings.when(condition)?;
        let named = when.into_iter().map(|(id, values)| {
            let name = self.names.get(&id)?.clone();
            (!values.is_empty()).then(|| (name, values.into_iter().collect()))
        });
        named.collect()
    }

    pub(super) fn params(&self) -> Vec<(String, Vec<i128>, i128)> {
        let known = self.names.iter().filter_map(|(id, name)| {
            let (values, default) = self.settings.get(id)?;
            Some((name.clone(), values.iter().copied().collect(), default))
        });
        known.collect()
    }
}
