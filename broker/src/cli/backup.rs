//! `usp-broker backup` and `restore`: moving a hub.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, print_line};
use crate::config::Config;
use crate::store;

/// Copy what the broker remembers into one file, also while it runs
///
/// Rows, instance numbers, Subscriptions and notifications not yet delivered; not the configuration.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace FILE if it is there already
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    place: Place,
}

/// Put a backup back in place of what the broker remembers
///
/// The broker must not run. A former state is replaced with --force alone, and only when the backup was checked and is in
/// place.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace what the broker remembers now
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    place: Place,
}

/// Which broker.
#[derive(Debug, Args)]
struct Place {
    /// The broker's configuration file, which names its state directory
    #[arg(long, value_name = "FILE", env = "USP_BROKER_CONFIG")]
    config: Option<PathBuf>,
    /// The state directory itself
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    state_dir: Option<PathBuf>,
}

impl Place {
    fn state_dir(&self) -> Result<PathBuf, Failure> {
        match (&self.state_dir, &self.config) {
            (Some(dir), _) => Ok(dir.clone()),
            (None, Some(file)) => Ok(Config::load(file).map_err(Failure::invalid)?.state_dir),
            (None, None) => Err(Failure::invalid("which broker? --config FILE or --state-dir DIR says it")),
        }
    }
}

pub(crate) fn backup(args: &Backup) -> Result<(), Failure> {
    let state_dir = args.place.state_dir()?;
    if !args.force && args.file.symlink_metadata().is_ok() {
        let file = args.file.display();
        return Err(Failure::failed(format!("{file} is there already; --force replaces it")));
    }
    store::backup(&state_dir, &args.file).map_err(Failure::failed)?;
    print_line(format_args!("{} holds a copy of {}", args.file.display(), state_dir.display()))
}

pub(crate) fn restore(args: &Restore) -> Result<(), Failure> {
    let state_dir = args.place.state_dir()?;
    store::restore(&state_dir, &args.file, args.force).map_err(Failure::failed)?;
    print_line(format_args!("{} is restored from {}", state_dir.display(), args.file.display()))
}
