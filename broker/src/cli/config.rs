//! `usp-broker config`: what a configuration file says.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use usp_core::StartError;

use super::mapping::show_diagnostics;
use super::{Failure, print_line};
use crate::app::{self, StartFailure};
use crate::config::Config;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a configuration file with its site and mappings; starts nothing
    Check {
        /// The configuration file (broker.toml)
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

pub(crate) fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Check { file } => {
            let config = Config::load(file).map_err(Failure::invalid)?;
            let checked = app::check(&config).map_err(|failure| unfit(file, failure))?;
            for warning in &config.warnings {
                // As for diagnostics: nobody is left to tell when standard error itself is closed.
                writeln!(io::stderr(), "warning: {warning}").ok();
            }
            show_diagnostics(&checked.warnings);
            print_line(format_args!("{}: ok, {}", file.display(), counted(checked.devices, "device")))
        }
    }
}

/// A configuration that cannot be started with; a seed is in the file, a site names its own.
pub(super) fn unfit(file: &Path, failure: StartFailure) -> Failure {
    match failure {
        StartFailure::Core(StartError::Seed { .. }) => {
            Failure::invalid(format!("{}: {failure}", file.display()))
        }
        other => Failure::invalid(other),
    }
}

fn counted(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}
