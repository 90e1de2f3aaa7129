//! Logs on standard error. Parameter values are never above `DEBUG`, credentials nowhere.
//!
//! Fields carry what peers say. They are escaped and cut, so that no peer can write a line of its own, move the cursor of
//! whoever reads, or fill the disk.
//!
//! Lines go through a bounded queue to a thread of their own: a terminal or a log daemon that hangs costs lines, and
//! says afterwards how many, but never stops the broker.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing::field::Field;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{Layer, Registry};

/// Environment variable with the levels.
pub const ENV: &str = "USP_BROKER_LOG";

/// Lines that may wait for standard error.
const QUEUE: usize = 1024;

/// The longest field, in characters.
const FIELD: usize = 200;

/// The longest line, in bytes.
const LINE: usize = 4096;

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
    let layer = layer(|| Queue, io::stderr().is_terminal());
    tracing_subscriber::registry().with(layer.with_filter(targets)).try_init().ok();
    Ok(())
}

/// How lines look.
fn layer<W>(writer: W, colours: bool) -> impl Layer<Registry>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let fields = tracing_subscriber::fmt::format::debug_fn(write_field).delimited(" ");
    tracing_subscriber::fmt::layer().fmt_fields(fields).with_writer(writer).with_ansi(colours)
}

/// A message is ours, and may have several lines; any other field may be a peer's.
fn write_field(
    out: &mut tracing_subscriber::fmt::format::Writer<'_>,
    field: &Field,
    value: &dyn fmt::Debug,
) -> fmt::Result {
    if field.name() == "message" {
        return write!(out, "{value:?}");
    }
    write!(out, "{}=", field.name())?;
    let mut plain = Plain { out, left: FIELD };
    match write!(plain, "{value:?}") {
        // What was too long has been cut.
        Err(_) if plain.left == 0 => out.write_char('…'),
        done => done,
    }
}

/// Text of a peer as it may be shown: control characters escaped, and no longer than a log line wants it.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut plain = Plain { out: &mut out, left: FIELD };
    if plain.write_str(text).is_err() {
        out.push('…');
    }
    out
}

/// Passes on so many characters, escaped, and then fails.
struct Plain<'a, W> {
    out: &'a mut W,
    left: usize,
}

impl<W: fmt::Write> fmt::Write for Plain<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
            match c {
                c if c.is_control() || is_unseen(c) => write!(self.out, "{}", c.escape_default())?,
                c => self.out.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Line and paragraph separators, and what turns the direction of writing.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
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

/// What is logged by these levels.
pub(crate) fn targets(levels: &str) -> Result<Targets, LevelError> {
    let wrong = |problem: String| LevelError { text: levels.to_owned(), problem };
    // A bare word that is no level would be taken for a module.
    let mut bare = levels.split(',').map(str::trim).filter(|item| !item.contains('='));
    if let Some(word) = bare.find(|item| item.parse::<LevelFilter>().is_err()) {
        return Err(wrong(format!("`{word}` is none of error, warn, info, debug, trace, off")));
    }
    let targets: Targets = levels.parse().map_err(|error| wrong(format!("{error}")))?;
    // A library with little to say that helps; whoever wants it asks for it by name.
    let quiet = Targets::new()
        .with_target("tungstenite", LevelFilter::WARN)
        .with_target("rumqttc", LevelFilter::WARN)
        .with_target("bluez_async", LevelFilter::WARN)
        .with_target("btleplug", LevelFilter::WARN)
        // A log in a folder that is watched would be about itself, without end.
        .with_target("notify", LevelFilter::WARN);
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
        let text = Line::Text(cut(line));
        let sent = LINES.get().is_some_and(|lines| lines.try_send(text).is_ok());
        if !sent {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A line that may wait with a thousand others.
fn cut(line: &[u8]) -> Vec<u8> {
    match line.get(..LINE) {
        None => line.to_vec(),
        Some(start) => [String::from_utf8_lossy(start).as_bytes(), "… (cut)\n".as_bytes()].concat(),
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
    fn what_peers_say_is_escaped_and_cut() {
        assert_eq!(plain("grüße, Endpoint"), "grüße, Endpoint");
        assert_eq!(plain("a\nb\x1b[2J\u{9b}\u{202e}"), "a\\nb\\u{1b}[2J\\u{9b}\\u{202e}");
        assert_eq!(plain(&"é".repeat(FIELD)), "é".repeat(FIELD));
        assert_eq!(plain(&"é".repeat(FIELD + 1)), "é".repeat(FIELD) + "…");
        assert_eq!(cut(b"short\n"), b"short\n");
        assert!(cut(&[b'x'; 1 << 20]).len() < LINE + 20);
    }

    #[test]
    fn a_field_cannot_begin_a_line() {
        #[derive(Clone, Default)]
        struct Sink(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
        impl Write for Sink {
            fn write(&mut self, text: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(text)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = tracing_subscriber::registry().with(layer(move || writer.clone(), false));
        tracing::subscriber::with_default(subscriber, || {
            let evil = format!("bye\n2026-01-01 ERROR all is lost\x1b[31m{}", "x".repeat(9999));
            tracing::info!(reason = %evil, name = "a\nb", "one\ntwo");
        });
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("one\ntwo reason=bye\\n2026-01-01 ERROR all is lost\\u{1b}[31mxxx"), "{text}");
        assert!(text.len() < 500 && text.ends_with("… name=\"a\\nb\"\n"), "{text}");
    }

    #[test]
    fn libraries_are_heard_when_they_are_asked_by_name() {
        let is_on = |levels: &str, target: &str| {
            targets(levels).unwrap().would_enable(target, &tracing::Level::TRACE)
        };
        for target in ["notify::inotify", "btleplug::bluez", "bluez_async::events", "rumqttc"] {
            assert!(!is_on("trace", target), "{target}");
        }
        assert!(is_on("trace,notify=trace", "notify::inotify") && is_on("trace", "usp_core::session"));
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
