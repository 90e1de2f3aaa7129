//! Logs of a demo: everything into a file, only what is wrong to the terminal.

use std::fs::File;
use std::io;
use std::sync::Mutex;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::prelude::*;

use super::place::Place;
use crate::cli::Failure;
use crate::telemetry;

/// Starts logging for this process.
pub(super) fn start(place: &Place) -> Result<(), Failure> {
    let path = place.log();
    let file =
        File::create(&path).map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?;
    let levels = std::env::var(telemetry::ENV).unwrap_or_else(|_| "info".to_owned());
    let targets = telemetry::targets(&levels)
        .map_err(|error| Failure::invalid(format!("{}: {error}", telemetry::ENV)))?;
    let to_file = layer().with_writer(Mutex::new(file)).with_ansi(false).with_filter(targets);
    let to_terminal =
        layer().with_writer(io::stderr).without_time().with_target(false).with_filter(LevelFilter::ERROR);
    // Another subscriber is there already when the demo runs inside a test.
    tracing_subscriber::registry().with(to_file).with(to_terminal).try_init().ok();
    Ok(())
}
