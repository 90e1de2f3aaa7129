//! The data model: what is supported ([`schema`]), what is there ([`rows`], [`crate::proxied`]), how a Path finds it
//! ([`resolve`]) and what each Parameter reads ([`compute`]).

pub mod compute;
pub mod covers;
mod index;
mod numbers;
pub mod params;
pub mod resolve;
pub mod rows;
pub mod schema;
pub mod schema_text;
pub mod search;
pub mod types;

use std::cell::Cell;

use usp_proto::err_code::ErrCode;
use usp_proto::path::{InstanceNumber, Leaf, Name, Path, Segment};

use crate::access::meaning::Targets;
use crate::agent::site::SiteFiles;
use crate::config::{CoreConfig, Identity};
use crate::fault::Fault;
use crate::mqtt::state::Clients;
use crate::proxied::Devices;
use crate::proxied::figures::Figures;
use crate::time::{Mono, Now};
use rows::{Numbers, ObjRef, Rows};
use schema::{ObjId, Object, Schema};

/// Everything a Path can lead to, with the moment at which it is looked at.
#[derive(Debug)]
pub struct Model {
    /// What is supported.
    pub schema: Schema,
    /// Stored rows.
    pub rows: Rows,
    /// Proxied devices and their readings.
    pub devices: Devices,
    /// MQTT clients and how they fare.
    pub mqtt: Clients,
    /// What became of the files behind them.
    pub site: SiteFiles,
    /// What is counted about buses and devices.
    pub figures: Figures,
    /// What does not change while the process lives.
    pub facts: Facts,
    /// When.
    pub now: Now,
    /// How much searching the present input has caused.
    pub searched: Searched,
    /// What Services said that Targets of Permissions mean.
    pub(crate) targets: Targets,
}

/// Counts the rows that search expressions were tried on.
#[derive(Debug, Default)]
pub struct Searched(Cell<usize>);

impl Searched {
    /// Rows that one input may make the broker look at. All peers wait meanwhile.
    const MOST: usize = 500_000;

    /// A new input.
    pub fn reset(&self) {
        self.0.set(0);
    }

    /// Does something that is not to pay for what was looked at before, nor those after it for this.
    pub fn apart<T>(&self, look: impl FnOnce() -> T) -> T {
        let before = self.0.replace(0);
        let seen = look();
        self.0.set(before);
        seen
    }

    /// So many more rows are to be looked at.
    ///
    /// Errors: 7005 when that would be too many.
    pub fn count(&self, rows: usize) -> Result<(), Fault> {
        self.0.set(self.0.get().saturating_add(rows));
        if self.0.get() <= Self::MOST {
            return Ok(());
        }
        let text =
            format!("the paths of one request mean or search more than {} rows: ask for less", Self::MOST);
        Err(Fault::new(ErrCode::RESOURCES_EXCEEDED, text))
    }
}

/// What does not change while the process lives.
#[derive(Clone, Debug)]
pub struct Facts {
    /// `Device.DeviceInfo.`
    pub identity: Identity,
    /// `Device.LocalAgent.EndpointID`
    pub endpoint_id: String,
    /// `Device.LocalAgent.SupportedProtocols`
    pub protocols: String,
    /// `Device.LocalAgent.SupportedNumberOfSubscriptions`
    pub most_subscriptions: usize,
    /// For UpTime.
    pub started: Mono,
}

impl Facts {
    /// What the configuration says.
    pub fn new(config: &CoreConfig, now: Now) -> Self {
        let protocols = [
            config.websocket.is_some().then_some("WebSocket"),
            Some("MQTT"),
            config.uds.is_some().then_some("UDS"),
        ];
        Self {
            identity: config.identity.clone(),
            endpoint_id: config.endpoint_id.to_string(),
            protocols: protocols.into_iter().flatten().collect::<Vec<_>>().join(","),
            most_subscriptions: config.limits.max_subscriptions,
            started: now.monotonic,
        }
    }
}

impl Model {
    /// The instantiated path of an object, with its final dot (R-MSG.3).
    pub fn path(&self, at: &ObjRef) -> String {
        let Some(object) = self.schema.get(at.object) else { return String::new() };
        fill_numbers(&object.path, &at.numbers)
    }

    /// The object above, if there is one.
    pub fn above(&self, at: &ObjRef) -> Option<ObjRef> {
        let object = self.schema.get(at.object)?;
        let kept = at.numbers.len() - usize::from(object.table);
        Some(ObjRef::new(object.parent?, at.numbers.get(..kept)?))
    }

    /// Whether the object is instantiated.
    pub fn exists(&self, at: &ObjRef) -> bool {
        let Some(object) = self.schema.get(at.object) else { return false };
        if object.table {
            return self.rows.contains(at);
        }
        let Some(above) = self.above(at) else { return true };
        self.exists(&above) && self.is_chosen(object, &above)
    }

    /// Whether a discriminator in the row above lets this object exist.
    fn is_chosen(&self, object: &Object, above: &ObjRef) -> bool {
        object.when.as_ref().is_none_or(|param| self.text(above, param).as_deref() == Some(&*object.name))
    }

    /// Instantiated objects directly below, single ones and rows alike, by name and number.
    pub fn below(&self, at: &ObjRef) -> Vec<ObjRef> {
        let Some(object) = self.schema.get(at.object) else { return Vec::new() };
        let mut found = Vec::new();
        for id in object.children.values() {
            let Some(child) = self.schema.get(*id) else { continue };
            if child.table {
                found.extend(self.rows.of_table(*id, &at.numbers).map(|(row, _)| row.clone()));
            } else if self.is_chosen(child, at) {
                found.push(ObjRef { object: *id, numbers: at.numbers.clone() });
            }
        }
        found
    }

    /// All supported objects below, including the object itself.
    pub fn descendants(&self, object: ObjId) -> Vec<ObjId> {
        let mut found = vec![object];
        let mut next = 0;
        while let Some(id) = found.get(next) {
            let children = self.schema.get(*id).map(|o| o.children.values().copied().collect::<Vec<_>>());
            found.extend(children.unwrap_or_default());
            next += 1;
        }
        found
    }

    /// Whether a Path leads to something in the supported data model. Behind a reference that cannot be known.
    pub fn supports(&self, path: &Path) -> bool {
        let Some(supported) = (Path { segments: path.segments.clone(), leaf: Leaf::Object }).to_supported()
        else {
            return true;
        };
        let text = supported.to_string();
        let object = self.schema.find(&text).or_else(|| self.schema.find(&format!("{text}{{i}}.")));
        object.and_then(|id| self.schema.get(id)).is_some_and(|object| match &path.leaf {
            Leaf::Object => true,
            Leaf::Parameter(name) => object.params.contains_key(name),
            Leaf::Command(name) => object.commands.contains_key(name),
            Leaf::Event(name) => object.events.contains_key(name),
        })
    }

    /// The object that a concrete path (numbers only) names, if it is supported and instantiated. The final dot may be
    /// missing, as in the value of a reference.
    pub fn locate(&self, path: &str) -> Option<ObjRef> {
        let dotted = if path.ends_with('.') { path.to_owned() } else { format!("{path}.") };
        let at = self.locate_supported(&Path::parse(&dotted).ok()?)?;
        self.exists(&at).then_some(at)
    }

    /// The object that a concrete path names, whether or not it is instantiated.
    pub fn locate_supported(&self, path: &Path) -> Option<ObjRef> {
        if path.leaf != Leaf::Object {
            return None;
        }
        let mut supported = String::new();
        let mut numbers = Vec::new();
        for segment in &path.segments {
            match segment {
                Segment::Name(name) => {
                    supported.push_str(name.as_str());
                    supported.push('.');
                }
                Segment::Instance(number) => {
                    supported.push_str("{i}.");
                    numbers.push(*number);
                }
                Segment::Wildcard | Segment::Search(_) | Segment::Follow(_) => return None,
            }
        }
        let object = self.schema.find(&supported)?;
        Some(ObjRef { object, numbers: numbers.into() })
    }

    /// The table with this path (with its final dot, without `{i}.`), for tables that no row leads to.
    pub fn table(&self, path: &str) -> Option<ObjId> {
        self.schema.find(&format!("{path}{{i}}."))
    }

    /// The table with this instantiated path, and the numbers that lead to it.
    pub fn table_at(&self, path: &str) -> Option<(ObjId, Vec<InstanceNumber>)> {
        let parsed = Path::parse(path).ok().filter(|p| p.leaf == Leaf::Object)?;
        let mut supported = String::new();
        let mut numbers = Vec::new();
        for segment in &parsed.segments {
            match segment {
                Segment::Name(name) => supported.push_str(&format!("{name}.")),
                Segment::Instance(number) => {
                    supported.push_str("{i}.");
                    numbers.push(*number);
                }
                Segment::Wildcard | Segment::Search(_) | Segment::Follow(_) => return None,
            }
        }
        Some((self.schema.find(&format!("{supported}{{i}}."))?, numbers))
    }

    /// The row of a table whose Parameter has this value.
    pub fn row_with(
        &self,
        table: ObjId,
        above: &[InstanceNumber],
        name: &str,
        value: &str,
    ) -> Option<ObjRef> {
        let mut rows = self.rows.of_table(table, above);
        rows.find(|(_, row)| row.params.get(name).is_some_and(|v| v == value)).map(|(at, _)| at.clone())
    }

    /// Unique keys of a row with their values, as Add and GetInstances report them.
    pub fn unique_keys(&self, at: &ObjRef) -> Vec<(Name, String)> {
        let Some(object) = self.schema.get(at.object) else { return Vec::new() };
        let mut found: Vec<(Name, String)> = Vec::new();
        for name in object.keys.iter().flat_map(|k| &k.params) {
            if !found.iter().any(|(known, _)| known == name)
                && let Some(value) = self.text(at, name)
            {
                found.push((name.clone(), value));
            }
        }
        found
    }

    /// Numbers as a row's path carries them.
    pub fn numbers(&self, at: &ObjRef) -> Numbers {
        at.numbers.clone()
    }
}

/// Rows that are only being tried out have numbers from the top down, which no row ever gets.
pub(crate) const TRIAL: InstanceNumber = InstanceNumber::MAX;
const MOST_TRIALS: InstanceNumber = 1 << 20;

/// Whether a row of this number is only being tried out.
pub(crate) fn is_trial(number: InstanceNumber) -> bool {
    number > TRIAL - MOST_TRIALS
}

/// Puts numbers in the place of `{i}`.
pub fn fill_numbers(supported: &str, numbers: &[InstanceNumber]) -> String {
    let mut text = String::with_capacity(supported.len() + 4);
    let mut numbers = numbers.iter();
    let mut parts = supported.split("{i}");
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        match numbers.next() {
            Some(number) if is_trial(*number) => text.push_str("{i}"),
            Some(number) => text.push_str(&number.to_string()),
            None => text.push_str("{i}"),
        }
        text.push_str(part);
    }
    text
}
