//! Mappings out of what other programs know of Modbus devices.
//!
//! One file a format. Each turns its file into `Model`s and notes whatever it cannot carry over;
//! `writer` writes the mappings, which are checked: a capability that the checker refuses is left out too, with the
//! checker's reason. Written after the public documentation of the formats.

mod edgex;
mod esphome;
mod home_assistant;
mod json;
mod meaning;
mod model;
mod tree;
mod wiren_board;
mod writer;

#[cfg(test)]
mod tests;

use std::fmt;

use self::model::{Model, Notes};
use self::tree::Map;
use crate::diagnostic::{Diagnostic, SourceFile};
use crate::yaml::{self, Kind, Node};

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Home Assistant's `modbus:` YAML.
    HomeAssistant,
    /// ESPHome's `modbus_controller`.
    EspHome,
    /// An EdgeX device profile.
    EdgeX,
    /// A template of Wiren Board's wb-mqtt-serial.
    WirenBoard,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::HomeAssistant, Self::EspHome, Self::EdgeX, Self::WirenBoard];

    /// As it is named on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::HomeAssistant => "home-assistant",
            Self::EspHome => "esphome",
            Self::EdgeX => "edgex",
            Self::WirenBoard => "wiren-board",
        }
    }

    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HomeAssistant => "Home Assistant's modbus YAML",
            Self::EspHome => "ESPHome's modbus_controller",
            Self::EdgeX => "EdgeX device profile",
            Self::WirenBoard => "Wiren Board template",
        })
    }
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Whose it was.
    pub format: Format,
    /// One a device; each passes `mapping check` without errors.
    pub mappings: Vec<ImportedMapping>,
    /// Where the devices are, as far as the file says it: a site file that names each mapping as `PROFILE.yaml`.
    pub site: Option<String>,
    /// What could not be carried over, in the order of the file.
    pub left_out: Vec<LeftOut>,
}

/// One mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedMapping {
    /// `vendor.model`.
    pub profile: String,
    /// The mapping file.
    pub text: String,
    /// How many capabilities it has.
    pub capabilities: usize,
}

/// Something that the mapping does not say and the file did.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// Line of the file, from 1.
    pub line: usize,
    /// What, in the words of the file.
    pub what: String,
    /// Why, and what to do about it.
    pub why: String,
}

/// Why nothing could be imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It is not YAML or JSON.
    #[error("{0}")]
    Syntax(Box<Diagnostic>),
    /// It is none of the known formats.
    #[error("this is none of the known formats: home-assistant, esphome, edgex, wiren-board")]
    Unknown,
    /// It has nothing that could be imported.
    #[error("line {line}: {why}")]
    Nothing {
        /// Line of the file, from 1.
        line: usize,
        /// What it lacks.
        why: String,
    },
}

/// Reads a file of another program. Without a format, it is told from what the file has.
///
/// Errors: the file cannot be read at all, or has no device.
pub fn import(format: Option<Format>, file: &SourceFile) -> Result<Imported, ImportError> {
    let mut notes = Notes::default();
    let cleaned = json::cleaned(file, &mut notes);
    if let Some(line) = notes.jinja() {
        // What is left without it may look like a template and be wrong.
        let why = "this is a Jinja template, which makes JSON only when it is rendered; import what it makes: \
                   `python3 -c 'import jinja2,sys; print(jinja2.Template(sys.stdin.read()).render())' < FILE > FILE.json`";
        return Err(ImportError::Nothing { line, why: why.to_owned() });
    }
    let mut root = yaml::parse(&cleaned).map_err(ImportError::Syntax)?;
    tree::drop_secrets(&cleaned, &mut root, &mut notes);
    own(&root)?;
    let guessed = guess(&root);
    let strange = guessed.filter(|guessed| format.is_some_and(|format| format != *guessed));
    let format = format.or(guessed).ok_or(ImportError::Unknown)?;
    let read = match format {
        Format::HomeAssistant => home_assistant::read(&root, &mut notes),
        Format::EspHome => esphome::read(&cleaned, &root, &mut notes),
        Format::EdgeX => edgex::read(&root, &mut notes),
        Format::WirenBoard => wiren_board::read(&root, &mut notes),
    };
    let mut models = read.map_err(|error| match (error, strange) {
        (ImportError::Nothing { line, why }, Some(other)) => {
            let why =
                format!("{why}; it looks like {other}: write `--from {}`, or leave it away", other.name());
            ImportError::Nothing { line, why }
        }
        (error, _) => error,
    })?;
    models.retain(|model| !model.capabilities.is_empty());
    model::tell_apart(&mut models);
    let mut mappings = Vec::new();
    for model in &mut models {
        mappings.extend(writer::mapping(format, file.name(), model, &mut notes));
    }
    if mappings.is_empty() {
        let why =
            notes.first().unwrap_or_else(|| "it has no Modbus register that could be mapped".to_owned());
        return Err(ImportError::Nothing { line: root.span.line, why });
    }
    Ok(Imported { format, site: writer::site(&models), mappings, left_out: notes.sorted() })
}

/// Refuses what needs no import.
fn own(root: &Node) -> Result<(), ImportError> {
    let map = Map::of(root);
    let has = |key| map.as_ref().is_some_and(|map| map.has(key));
    if has("uspmap") {
        return Err(nothing(
            root,
            "this is a mapping of usp-broker already: `mapping check` says whether it is right",
        ));
    }
    if has("site") && has("devices") {
        return Err(nothing(
            root,
            "this is a site file of usp-broker already: `mapping check` says whether it is right",
        ));
    }
    Ok(())
}

/// What the file is.
fn guess(root: &Node) -> Option<Format> {
    if let Kind::List(items) = &root.kind {
        let is_hub =
            |item| Map::of(item).is_some_and(|hub| hub.has("type") && (hub.has("host") || hub.has("port")));
        return items.iter().any(is_hub).then_some(Format::HomeAssistant);
    }
    let map = Map::of(root)?;
    if map.has("deviceResources") {
        Some(Format::EdgeX)
    } else if map.has("modbus_controller") {
        Some(Format::EspHome)
    } else if map.has("device") && map.has("device_type") {
        Some(Format::WirenBoard)
    } else if map.has("modbus") {
        Some(Format::HomeAssistant)
    } else {
        None
    }
}

/// The error of a file that lacks something.
fn nothing(node: &Node, why: &str) -> ImportError {
    ImportError::Nothing { line: node.span.line, why: why.to_owned() }
}

/// Nothing to import but this.
type Models = Result<Vec<Model>, ImportError>;
