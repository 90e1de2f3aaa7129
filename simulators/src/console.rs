//! What the two programs have in common: log, standard output, and the lines that are typed while they run.

use std::io::{self, Write};

use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};
use tracing_subscriber::filter::LevelFilter;

/// Logs to standard error.
pub fn log_to_stderr(verbose: bool) {
    let level = if verbose { LevelFilter::DEBUG } else { LevelFilter::WARN };
    tracing_subscriber::fmt().with_writer(io::stderr).with_max_level(level).init();
}

/// Prints one line and shows it at once.
///
/// Errors: standard output is closed.
pub fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// The lines typed on standard input; once it is closed, none ever comes.
pub struct Typed(Option<Lines<BufReader<Stdin>>>);

impl Default for Typed {
    fn default() -> Self {
        Self(Some(BufReader::new(tokio::io::stdin()).lines()))
    }
}

impl Typed {
    /// The next line.
    pub async fn next(&mut self) -> String {
        if let Some(lines) = &mut self.0 {
            if let Ok(Some(line)) = lines.next_line().await {
                return line;
            }
            self.0 = None;
        }
        std::future::pending().await
    }
}

/// Waits for SIGINT or SIGTERM.
///
/// Errors: the signals cannot be listened for.
pub async fn stop_signal() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
