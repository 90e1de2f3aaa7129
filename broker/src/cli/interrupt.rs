//! Ctrl-C and SIGTERM: both ask for an orderly end.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Takes both signals from the moment it is made; one that comes before [`wait`](Self::wait) is remembered.
pub(crate) struct Interrupt {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupt {
    /// Errors: the system has no room for a signal handler.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next of them.
    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
