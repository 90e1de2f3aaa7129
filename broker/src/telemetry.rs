//! Logs on standard error. Parameter values are never above `DEBUG`, credentials nowhere.
//!
//! Lines go through a bounded queue to a thread of their own: a terminal or a log daemon that hangs costs lines, and
//! says afterwards how many, but never stops the broker.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

/// Environment variable with the levels.
pub const ENV: &str = "USP_BROKER_LOG";

/// Lines that may wait for standard error.
const QUEUE: usize = 1024;

/// How long [`flush`] waits for standard error.
const PATIENCE: Duration = Duration::from_secs(1);

static LINES: OnceLock<SyncSender<Line>> = OnceLock::new();
static LOST: AtomicU64 = AtomicU64::new(0);

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
    let targets = targets(levels)?;
    LINES.get_or_init(start);
    let layer = tracing_subscriber::fmt::layer().with_writer(|| Queue).with_ansi(io::stderr().is_terminal());
    tracing_subscriber::registry().with(layer.with_filter(targets)).try_init().ok();
    Ok(())
}

/// Waits until everything that was logged is written, but not for long: for the end of the process.
pub fn flush() {
    let Some(lines) = LINES.get() else { return };
    let (done, is_done) = sync_channel(1);
    // A full queue means that standard error hangs: there is nothing to wait for.
    if lines.try_send(Line::Flush(done)).is_ok() {
        is_done.recv_timeout(PATIENCE).ok();
    }
}

fn targets(levels: &str) -> Result<Targets, LevelError> {
    let wrong = |problem: String| LevelError { text: levels.to_owned(), problem };
    // A bare word that is no level would be taken for a module.
    let mut bare = levels.split(',').map(str::trim).filter(|item| !item.contains('='));
    if let Some(word) = bare.find(|item| item.parse::<LevelFilter>().is_err()) {
        return Err(wrong(format!("`{word}` is none of error, warn, info, debug, trace, off")));
    }
    let targets: Targets = levels.parse().map_err(|error| wrong(format!("{error}")))?;
    // A library with little to say that helps; whoever wants it asks for it by name.
    let quiet = Targets::new().with_target("tungstenite", LevelFilter::WARN);
    let default = targets.default_level().unwrap_or(LevelFilter::OFF);
    Ok(quiet.with_targets(targets).with_default(default))
}

enum Line {
    Text(Vec<u8>),
    Flush(SyncSender<()>),
}

fn start() -> SyncSender<Line> {
    let (lines, queue) = sync_channel(QUEUE);
    // Without the thread there is no log, and still a broker.
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || write_all(&queue, &mut io::stderr()))
        .ok();
    lines
}

/// Writes lines until nobody can log any more.
fn write_all(queue: &Receiver<Line>, out: &mut impl Write) {
    for line in queue {
        // Nobody is left to tell when standard error itself fails.
        match line {
            Line::Text(text) => out.write_all(&text).ok(),
            Line::Flush(done) => done.send(()).ok(),
        };
        let lost = LOST.swap(0, Ordering::Relaxed);
        if lost > 0 {
            writeln!(out, "{lost} lines of this log are lost: standard error was not read").ok();
        }
    }
}

/// The way into the queue; one call of `write` is one line.
struct Queue;

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let sent = LINES.get().is_some_and(|lines| lines.try_send(Line::Text(line.to_vec())).is_ok());
        if !sent {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn levels_are_by_target() {
        let targets = targets("info,usp_core=debug").unwrap();
        assert!(targets.would_enable("usp_broker::app", &Level::INFO));
        assert!(!targets.would_enable("usp_broker::app", &Level::DEBUG));
        assert!(targets.would_enable("usp_core::session", &Level::DEBUG));
        assert!(!targets.would_enable("tungstenite::protocol", &Level::INFO));
    }

    #[test]
    fn unknown_levels_are_refused_with_an_example() {
        for levels in ["loud", "info,loud", "usp_core=loud"] {
            let error = targets(levels).unwrap_err().to_string();
            assert!(
                error.contains(&format!("{levels:?}")) && error.contains("info,usp_core=debug"),
                "{error}"
            );
        }
    }
}
