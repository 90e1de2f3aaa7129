//! Logs on standard error. Parameter values are never above `DEBUG`, credentials nowhere.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

/// Environment variable with the levels.
pub const ENV: &str = "USP_BROKER_LOG";

/// A list of levels that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("log levels {text:?}: {problem}; for example \"info\" or \"info,usp_core=debug\"")]
pub struct LevelError {
    text: String,
    problem: String,
}

/// Starts logging for this process with levels like `info,usp_core=debug`; a second call changes nothing.
///
/// Errors: `levels` cannot be read.
pub fn init(levels: &str) -> Result<(), LevelError> {
    let targets: Targets = levels
        .parse()
        .map_err(|error| LevelError { text: levels.to_owned(), problem: format!("{error}") })?;
    // SQL and HTTP libraries have little to say that helps; whoever wants it asks for it by name.
    let targets = Targets::new()
        .with_target("tungstenite", LevelFilter::WARN)
        .with_targets(targets.iter())
        .with_default(targets.default_level().unwrap_or(LevelFilter::OFF));
    let layer =
        tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    tracing_subscriber::registry().with(layer.with_filter(targets)).try_init().ok();
    Ok(())
}
