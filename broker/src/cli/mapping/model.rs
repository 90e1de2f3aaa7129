//! The mapping that a command is about: a file, or a profile of the library.

use std::path::{Path, PathBuf};

use clap::Args;
use usp_mapping::diagnostic::SourceFile;
use usp_mapping::draft::site::{Requirement, Use};
use usp_mapping::library;
use usp_mapping::site::NotFound;

use crate::cli::Failure;
use crate::site::{self, Finder};

/// Where profiles are looked for.
#[derive(Clone, Debug, Default, Args)]
pub(in crate::cli) struct Folders {
    /// Folders with mapping files, searched before the library inside the program
    #[arg(long = "mappings", value_name = "DIR")]
    pub(super) folders: Vec<PathBuf>,
}

impl Folders {
    /// What finds mapping files for somebody who names them relative to `base`.
    pub(super) fn finder(&self, base: &Path) -> Result<Finder, Failure> {
        Finder::new(&self.folders, base).map_err(Failure::invalid)
    }

    /// As [`Self::finder`], for somebody who has named these files together.
    pub(super) fn finder_with(&self, base: &Path, named: &[SourceFile]) -> Result<Finder, Failure> {
        Finder::with(&self.folders, base, named).map_err(Failure::invalid)
    }

    /// The file of this path, or else of this profile (`acme.meter`, `acme.meter@^1`).
    pub(super) fn open(&self, wanted: &str) -> Result<SourceFile, Failure> {
        let path = Path::new(wanted);
        if path.is_dir() {
            return Err(Failure::invalid(format!("`{wanted}` is a folder: name a file in it")));
        }
        if path.is_file() || looks_like_a_path(wanted) {
            return site::read(path).map_err(|error| Failure::invalid(format!("{wanted}: {error}")));
        }
        let (name, requirement) = match wanted.split_once('@') {
            None => (wanted, Some(Requirement::Any)),
            Some((name, requirement)) => (name, Requirement::parse(requirement)),
        };
        let Some(requirement) = requirement else {
            let message = format!("`{wanted}`: behind the @ goes a version: `{name}@^1`, `{name}@=1.2.3`");
            return Err(Failure::invalid(message));
        };
        let profile = Use::Profile { name: name.to_owned(), requirement };
        self.finder(Path::new(""))?.find(&profile).map_err(|why| Failure::invalid(not_found(wanted, &why)))
    }
}

fn looks_like_a_path(wanted: &str) -> bool {
    wanted.contains('/') || [".yaml", ".yml"].iter().any(|end| wanted.ends_with(end))
}

fn not_found(wanted: &str, why: &NotFound) -> String {
    match why {
        NotFound::Profile { known } => {
            format!("there is neither a file nor a profile `{wanted}`: {}", library::advice(wanted, known))
        }
        NotFound::Version { found } => {
            format!("no version of the profile meets `{wanted}`; there is {}", found.join(", "))
        }
        NotFound::Unreadable(why) => format!("{wanted}: {why}"),
    }
}
