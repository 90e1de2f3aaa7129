//! What the two programs have in common: log, standard output, and the lines that are typed while they run.

use std::io::{self, IsTerminal, Write};

use tokio::sync::mpsc;
use tracing_subscriber::filter::LevelFilter;

/// Logs to standard error.
pub fn log_to_stderr(verbose: bool) {
    let level = if verbose { LevelFilter::DEBUG } else { LevelFilter::WARN };
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
    tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(colours).with_max_level(level).init();
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
///
/// A thread of its own reads them: a runtime that ends would wait for its own readers, and standard input may stay open
/// without another line for ever.
pub struct Typed(mpsc::Receiver<String>);

impl Default for Typed {
    fn default() -> Self {
        let (lines, typed) = mpsc::channel(1);
        std::thread::spawn(move || {
            let read = io::stdin().lines().map_while(Result::ok);
            // It fails when nobody wants them any more.
            read.map(|line| lines.blocking_send(line)).take_while(Result::is_ok).for_each(drop);
        });
        Self(typed)
    }
}

impl Typed {
    /// The next line.
    pub async fn next(&mut self) -> String {
        match self.0.recv().await {
            Some(line) => line,
            None => std::future::pending().await,
        }
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
