//! How far a scan is: a bar on a terminal, nothing elsewhere. What is found is told line by line.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

const WIDTH: usize = 30;

/// Shared by all who look.
pub(super) struct Progress {
    total: usize,
    done: AtomicUsize,
    found: AtomicUsize,
    shows: bool,
    tells: bool,
}

impl Progress {
    pub(super) fn new(total: usize, json: bool) -> Self {
        let shows = !json && io::stderr().is_terminal();
        Self { total, done: AtomicUsize::new(0), found: AtomicUsize::new(0), shows, tells: !json }
    }

    /// So many questions are done.
    pub(super) fn step(&self, count: usize, at: &str) {
        let done = self.done.fetch_add(count, Ordering::Relaxed) + count;
        if self.shows {
            let full = (done * WIDTH).checked_div(self.total).unwrap_or(WIDTH).min(WIDTH);
            let bar: String = (0..WIDTH).map(|place| if place < full { '#' } else { '.' }).collect();
            let found = self.found.load(Ordering::Relaxed);
            say(&format!("\r\x1b[K[{bar}] {done}/{} {at}, found: {found}", self.total));
        }
    }

    /// Something was found.
    pub(super) fn found(&self, line: &str) {
        self.found.fetch_add(1, Ordering::Relaxed);
        if self.tells {
            let clear = if self.shows { "\r\x1b[K" } else { "" };
            say(&format!("{clear}{line}\n"));
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        if self.shows {
            say("\r\x1b[K");
        }
    }
}

fn say(text: &str) {
    let mut out = io::stderr().lock();
    // Nobody is left to tell when standard error itself is closed.
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
}
