//! `usp-broker mapping`: what an integrator does with mapping and site files. One file a subcommand.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use clap::Subcommand;
use usp_mapping::diagnostic::{self, Diagnostic};

use super::{Failure, table};

mod check;
#[cfg(feature = "modbus")]
mod diff;
#[cfg(feature = "modbus")]
mod explain;
mod files;
mod import;
mod list;
mod model;
mod new;
mod schema;
#[cfg(feature = "demo")]
pub(in crate::cli) mod simulate;
mod test;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Check(check::Check),
    #[cfg(feature = "modbus")]
    Diff(diff::Diff),
    #[cfg(feature = "modbus")]
    Explain(explain::Explain),
    Import(import::Import),
    List(list::List),
    New(new::New),
    Schema(schema::Schema),
    #[cfg(feature = "demo")]
    Simulate(simulate::Simulate),
    Test(test::Test),
}

pub(crate) fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Check(args) => check::run(args),
        #[cfg(feature = "modbus")]
        Command::Diff(args) => diff::run(args),
        #[cfg(feature = "modbus")]
        Command::Explain(args) => explain::run(args),
        Command::Import(args) => import::run(args),
        Command::List(args) => list::run(args),
        Command::New(args) => new::run(args),
        Command::Schema(args) => schema::run(args),
        #[cfg(feature = "demo")]
        Command::Simulate(args) => simulate::run(args),
        Command::Test(args) => test::run(args),
    }
}

/// Makes the folder that a file is to be written into.
fn folder_of(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let made = folder.map_or(Ok(()), std::fs::create_dir_all);
    made.map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
}

/// Writes a file; one that is there is kept unless it is to be written over.
fn put(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    folder_of(path)?;
    let mut how = std::fs::OpenOptions::new();
    how.write(true);
    if force {
        how.create(true).truncate(true);
    } else {
        how.create_new(true);
    }
    let written = how.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => is_there(path),
        _ => Failure::failed(format!("{}: {error}", path.display())),
    })
}

fn is_there(path: &Path) -> Failure {
    Failure::invalid(format!("{} is there already; --force writes over it", path.display()))
}

/// Shows them on standard error with the lines that they are about.
pub(in crate::cli) fn show_diagnostics(found: &[Diagnostic]) {
    let mut out = io::stderr().lock();
    let text = diagnostic::render(found, out.is_terminal() && table::colour_is_welcome());
    // Nobody is left to tell when standard error itself is closed.
    out.write_all(text.as_bytes()).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_is_kept() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("new/site.yaml");
        put(&path, "mine", false).unwrap();
        let refused = put(&path, "other", false).unwrap_err().to_string();
        assert!(refused.ends_with("site.yaml is there already; --force writes over it"), "{refused}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        put(&path, "other", true).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "other");
    }
}
