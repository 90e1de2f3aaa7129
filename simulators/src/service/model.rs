//! The instantiated data model: rows and values under their full paths. Nothing of USP's Messages here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::fault::Fault;
use super::path::{Path, Step};
use super::schema::{self, Access, Object, Param};

/// Rows in one table; more are refused.
const MAX_ROWS: usize = 1000;

/// What is there.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) objects: Arc<Vec<Object>>,
    values: BTreeMap<String, String>,
    rows: BTreeSet<String>,
    /// The last Instance Number given out in each table: none is used twice.
    numbers: BTreeMap<String, u32>,
}

impl Model {
    /// The model under a root that ends in a dot, with two zones in its table.
    pub(crate) fn new(root: &str, endpoint_id: &str) -> Self {
        let objects = Arc::new(schema::objects(root));
        let mut model =
            Self { objects, values: BTreeMap::new(), rows: BTreeSet::new(), numbers: BTreeMap::new() };
        let single: Vec<String> = model.objects.iter().map(|object| object.path.clone()).collect();
        single.iter().filter(|path| !path.contains("{i}")).for_each(|path| model.fill(path));
        model.put("Device.LocalAgent.EndpointID", endpoint_id);
        for name in ["Living room", "Bedroom"] {
            if let Ok(row) = model.add(&format!("{root}Zone.")) {
                model.put(&format!("{row}Name"), name);
            }
        }
        // A table that is full at once would be a bug here, not in what came from outside.
        if let Ok(controller) = model.add("Device.LocalAgent.Controller.") {
            model.put(&format!("{controller}EndpointID"), "");
        }
        model
    }

    /// The value of a Parameter.
    pub(crate) fn get(&self, path: &str) -> Option<&str> {
        self.values.get(path).map(String::as_str)
    }

    /// Changes a value without asking whether a Controller may; `false`: there is no such Parameter.
    pub(crate) fn put(&mut self, path: &str, value: &str) -> bool {
        match self.values.get_mut(path) {
            Some(place) => value.clone_into(place),
            None => return false,
        }
        true
    }

    /// Every Parameter and its value.
    pub(crate) fn values(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    /// Every row.
    pub(crate) fn rows(&self) -> &BTreeSet<String> {
        &self.rows
    }

    /// The kind of object at an instantiated path.
    pub(crate) fn object_at(&self, path: &str) -> Option<&Object> {
        let template = template_of(path);
        self.objects.iter().find(|object| object.path == template)
    }

    /// The Parameter at an instantiated path.
    pub(crate) fn param_at(&self, path: &str) -> Option<&'static Param> {
        let (object, name) = path.rsplit_once('.')?;
        let object = self.object_at(&format!("{object}."))?;
        object.params.iter().find(|param| param.name == name)
    }

    /// Whether the supported model has this object, be it only as the way to others.
    pub(crate) fn supports(&self, template: &str) -> bool {
        self.objects.iter().any(|object| object.path.starts_with(template))
    }

    /// The rows directly in a table.
    pub(crate) fn rows_of(&self, table: &str) -> Vec<String> {
        let below = self.rows.range(table.to_owned()..).take_while(|row| row.starts_with(table));
        below.filter(|row| is_row_of(row, table)).cloned().collect()
    }

    /// The instantiated objects (and tables) that a path names, its leaf aside. Rows that are not there are left out.
    ///
    /// Errors: 7026 if the supported model has no such object.
    pub(crate) fn resolve(&self, path: &Path) -> Result<Vec<String>, Fault> {
        if !self.supports(&path.template()) {
            return Err(Fault::new(7026, format!("{} is not supported", path.template())));
        }
        let mut found = vec![String::new()];
        for step in &path.steps {
            found = found.iter().flat_map(|prefix| self.down(prefix, step)).collect();
        }
        Ok(found)
    }

    fn down(&self, prefix: &str, step: &Step) -> Vec<String> {
        match step {
            Step::Name(name) => vec![format!("{prefix}{name}.")],
            Step::Row(number) => {
                let row = format!("{prefix}{number}.");
                self.rows.contains(&row).then_some(row).into_iter().collect()
            }
            Step::AnyRow => self.rows_of(prefix),
            Step::Rows(conditions) => {
                let meets = |row: &String| {
                    conditions.iter().all(|condition| {
                        let value = self.get(&format!("{row}{}", condition.parameter));
                        value.is_some_and(|value| condition.holds(value))
                    })
                };
                self.rows_of(prefix).into_iter().filter(meets).collect()
            }
        }
    }

    /// Every instantiated object at or below a path, with its kind.
    pub(crate) fn below(&self, path: &str) -> Vec<(String, &Object)> {
        let mut found = Vec::new();
        for object in self.objects.iter() {
            let instances = self.instances(&object.path);
            found.extend(instances.into_iter().filter(|it| it.starts_with(path)).map(|it| (it, object)));
        }
        found
    }

    fn instances(&self, template: &str) -> Vec<String> {
        let mut pieces = template.split("{i}.");
        let mut found = vec![pieces.next().unwrap_or_default().to_owned()];
        for piece in pieces {
            let rows = found.iter().flat_map(|table| self.rows_of(table));
            found = rows.map(|row| format!("{row}{piece}")).collect();
        }
        found
    }

    /// Makes a row with its defaults and an Alias.
    ///
    /// Errors: 7005 if the table is full.
    pub(crate) fn add(&mut self, table: &str) -> Result<String, Fault> {
        if self.rows_of(table).len() >= MAX_ROWS {
            return Err(Fault::new(7005, format!("{table} has {MAX_ROWS} rows already")));
        }
        let number = self.numbers.entry(table.to_owned()).or_insert(0);
        *number = number.saturating_add(1);
        let alias = format!("cpe-{number}");
        let row = format!("{table}{number}.");
        self.rows.insert(row.clone());
        self.fill(&row);
        self.put(&format!("{row}Alias"), &alias);
        self.count(table);
        Ok(row)
    }

    /// Removes a row and all below it.
    pub(crate) fn remove(&mut self, row: &str) {
        self.rows.retain(|other| !other.starts_with(row));
        self.values.retain(|path, _| !path.starts_with(row));
        if let Some(table) = table_of(row) {
            self.count(&table);
        }
    }

    /// The unique keys of a row and their values.
    pub(crate) fn keys(&self, row: &str) -> BTreeMap<String, String> {
        let sets = self.object_at(row).map(|object| object.keys).unwrap_or_default();
        let value = |name: &str| Some((name.to_owned(), self.get(&format!("{row}{name}"))?.to_owned()));
        sets.iter().flat_map(|set| set.iter()).filter_map(|name| value(name)).collect()
    }

    /// The key set that another row has too; empty keys do not count.
    pub(crate) fn clash(&self, row: &str) -> Option<&'static [&'static str]> {
        let object = self.object_at(row)?;
        let others = self.rows_of(&table_of(row)?);
        let same = |other: &str, name: &str| {
            self.get(&format!("{row}{name}")) == self.get(&format!("{other}{name}"))
        };
        let empty = |name: &str| self.get(&format!("{row}{name}")).is_none_or(str::is_empty);
        object.keys.iter().copied().find(|set| {
            let given = !set.iter().any(|name| empty(name));
            given && others.iter().any(|other| other != row && set.iter().all(|name| same(other, name)))
        })
    }

    /// What a Controller reads.
    pub(crate) fn shown(&self, object: &str, param: &Param) -> String {
        if param.access == Access::Secret {
            return String::new();
        }
        self.get(&format!("{object}{}", param.name)).unwrap_or_default().to_owned()
    }

    fn fill(&mut self, object: &str) {
        let params = self.object_at(object).map(|object| object.params).unwrap_or_default();
        let path = |param: &Param| (format!("{object}{}", param.name), param.default.to_owned());
        self.values.extend(params.iter().map(path));
    }

    /// Brings a table's NumberOfEntries up to date.
    fn count(&mut self, table: &str) {
        let rows = self.rows_of(table).len();
        self.put(&format!("{}NumberOfEntries", table.trim_end_matches('.')), &rows.to_string());
    }
}

/// The path in the supported model: numbers become `{i}`.
pub(crate) fn template_of(path: &str) -> String {
    let numeric = |piece: &str| !piece.is_empty() && piece.bytes().all(|byte| byte.is_ascii_digit());
    let pieces: Vec<&str> = path.split('.').map(|piece| if numeric(piece) { "{i}" } else { piece }).collect();
    pieces.join(".")
}

/// The table of a row.
pub(crate) fn table_of(row: &str) -> Option<String> {
    row.strip_suffix('.').and_then(|row| row.rsplit_once('.')).map(|(table, _)| format!("{table}."))
}

fn is_row_of(row: &str, table: &str) -> bool {
    row.strip_prefix(table).and_then(|rest| rest.strip_suffix('.')).is_some_and(|rest| !rest.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "Device.X_T.";

    fn model() -> Model {
        Model::new(ROOT, "self::svc")
    }

    fn resolved(model: &Model, text: &str) -> Vec<String> {
        model.resolve(&Path::parse(text).unwrap()).unwrap()
    }

    #[test]
    fn rows_are_found_by_number_wildcard_and_expression() {
        let model = model();
        assert_eq!(resolved(&model, "Device.X_T.Zone.2."), ["Device.X_T.Zone.2."]);
        assert_eq!(resolved(&model, "Device.X_T.Zone.9."), [""; 0]);
        assert_eq!(resolved(&model, "Device.X_T.Zone.*.").len(), 2);
        assert_eq!(resolved(&model, "Device.X_T.Zone.[Name==\"Bedroom\"]."), ["Device.X_T.Zone.2."]);
        let unknown = model.resolve(&Path::parse("Device.X_T.Room.").unwrap());
        assert_eq!(unknown.unwrap_err().code, 7026);
    }

    #[test]
    fn numbers_are_never_used_twice_and_counters_follow() {
        let mut model = model();
        let third = model.add("Device.X_T.Zone.").unwrap();
        assert_eq!(third, "Device.X_T.Zone.3.");
        assert_eq!(model.get("Device.X_T.ZoneNumberOfEntries"), Some("3"));
        assert_eq!(model.get("Device.X_T.Zone.3.Alias"), Some("cpe-3"));
        let schedule = model.add("Device.X_T.Zone.3.Schedule.").unwrap();
        assert_eq!(model.get("Device.X_T.Zone.3.ScheduleNumberOfEntries"), Some("1"));
        model.remove(&third);
        assert!(!model.rows().contains(&schedule));
        assert_eq!(model.get("Device.X_T.ZoneNumberOfEntries"), Some("2"));
        assert_eq!(model.add("Device.X_T.Zone.").unwrap(), "Device.X_T.Zone.4.");
    }

    #[test]
    fn clashing_keys_are_found() {
        let mut model = model();
        assert_eq!(model.clash("Device.X_T.Zone.2."), None);
        model.put("Device.X_T.Zone.2.Name", "Living room");
        assert_eq!(model.clash("Device.X_T.Zone.2."), Some(&["Name"][..]));
    }

    #[test]
    fn objects_below_a_path_are_instantiated_ones() {
        let mut model = model();
        model.add("Device.X_T.Zone.1.Schedule.").unwrap();
        let below: Vec<String> = model.below(ROOT).into_iter().map(|(path, _)| path).collect();
        let expected = ["", "Stats.", "Zone.1.", "Zone.2.", "Zone.1.Schedule.1."];
        assert_eq!(below, expected.map(|path| format!("{ROOT}{path}")));
    }
}
