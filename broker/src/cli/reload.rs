//! The files behind the devices, read again: on a signal, on a change, or because a Controller wants it.

use std::io;
use std::path::{Path, PathBuf};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Failure;
use super::interrupt::Interrupt;
use crate::app::{App, Wish};
use crate::config::Config;
use crate::driver::Exit;
use crate::watch::Watch;

/// What may ask for it.
pub(crate) struct Reload {
    file: PathBuf,
    hangup: Signal,
    watch: Watch,
}

/// Why [`Reload::attend`] has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The broker has ended by itself.
    Ended(Exit),
    /// A signal wants it to end.
    Interrupted,
}

impl Reload {
    /// Changes count from here on.
    pub(crate) fn new(file: &Path, config: &Config) -> Result<Self, Failure> {
        let wrong = |error: io::Error| Failure::failed(format!("signals: {error}"));
        let hangup = signal(SignalKind::hangup()).map_err(wrong)?;
        Ok(Self { file: file.to_owned(), hangup, watch: Watch::new(file, config) })
    }

    /// Reloads whenever that is wanted, until the end.
    pub(crate) async fn attend(&mut self, app: &mut App, interrupt: &mut Interrupt) -> End {
        loop {
            tokio::select! {
                wish = app.wish() => match wish {
                    Wish::End(exit) => return End::Ended(exit),
                    Wish::Reload => {}
                },
                () = interrupt.wait() => return End::Interrupted,
                _ = self.hangup.recv() => {}
                () = self.watch.changed() => {}
            }
            self.reload(app).await;
        }
    }

    /// What cannot be used is told, and the former state stays.
    async fn reload(&mut self, app: &mut App) {
        let config = match Config::load(&self.file) {
            Ok(config) => config,
            Err(error) => {
                tracing::error!("the changed configuration is not used:\n{error}");
                return app.refuse_config(error.to_string()).await;
            }
        };
        self.watch = Watch::new(&self.file, &config);
        match app.reload(config).await {
            Ok(()) => tracing::info!("site and mappings are loaded anew"),
            Err(error) => tracing::error!("the changed site is not used:\n{error}"),
        }
    }
}
