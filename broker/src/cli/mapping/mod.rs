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
mod simulate;
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

/// Shows them on standard error with the lines that they are about.
pub(in crate::cli) fn show_diagnostics(found: &[Diagnostic]) {
    let mut out = io::stderr().lock();
    let text = diagnostic::render(found, out.is_terminal() && table::colour_is_welcome());
    // Nobody is left to tell when standard error itself is closed.
    out.write_all(text.as_bytes()).ok();
}
