//! Panics go to the log as whatever else happens, and not to the terminal: whoever serves a bus or a connection begins it anew after
//! one, so it is an error to be told of, and no end.

use std::any::Any;
use std::backtrace::Backtrace;
use std::panic::PanicHookInfo;
use std::thread;

use tracing::Level;

use crate::telemetry;

/// From now on, for all of this process.
pub(crate) fn to_log() {
    std::panic::set_hook(Box::new(tell));
}

/// One line that says which thread and task it was, where, and why; what led there at `debug`.
fn tell(panic: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let name = thread.name().unwrap_or("without a name");
    let task = tokio::task::try_id().map(tracing::field::display);
    let place = panic.location().map(tracing::field::display);
    let why = words(panic.payload());
    tracing::error!(thread = name, task, place, why, "an internal error ended what was under way");
    if tracing::enabled!(Level::DEBUG) {
        tracing::debug!("what led to the internal error:\n{}", Backtrace::force_capture());
    }
    // It ends the process, and nobody else would wait for its last line.
    if name == "main" {
        telemetry::flush();
    }
}

fn words(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::panic::catch_unwind;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::layer;
    use tracing_subscriber::prelude::*;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(text)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_is_a_line_of_the_log() {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber =
            tracing_subscriber::registry().with(layer().with_ansi(false).with_writer(move || writer.clone()));
        // Other tests may fail meanwhile, and are to say so as ever.
        let (before, own) = (std::panic::take_hook(), thread::current().id());
        std::panic::set_hook(Box::new(move |panic| match thread::current().id() {
            id if id == own => tell(panic),
            _ => before(panic),
        }));
        tracing::subscriber::with_default(subscriber, || {
            catch_unwind(|| panic!("as the {} wants", "test")).unwrap_err();
        });
        drop(std::panic::take_hook());
        let log = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        let (line, trace) = log.split_once('\n').unwrap();
        assert!(line.contains("ERROR") && line.contains("an internal error ended"), "{log}");
        assert!(line.contains("why=\"as the test wants\"") && line.contains("panics.rs"), "{log}");
        assert!(trace.contains("DEBUG") && trace.contains("what led to"), "{log}");
    }
}
