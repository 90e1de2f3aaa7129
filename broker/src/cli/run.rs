//! `usp-broker run`: the daemon.

use std::path::PathBuf;
use std::process::Command;

use clap::Args;
use sd_notify::NotifyState;

use super::config::unfit;
use super::interrupt::Interrupt;
use super::reload::{End, Reload};
use super::{Failure, print_line};
use crate::app::{App, StartFailure};
use crate::config::Config;
use crate::driver::Exit;
use crate::{panics, telemetry};

/// Threads of the runtime: the core's task and one for everybody else.
const THREADS: usize = 2;

/// Run the broker
///
/// Prints `ready endpoint_id=<id>` on standard output once every listener is bound and the devices are loaded. Logs go to
/// standard error. SIGTERM and SIGINT end it, SIGHUP or a changed file load the site and its mappings anew.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The configuration file (broker.toml)
    #[arg(long, value_name = "FILE", env = "USP_BROKER_CONFIG")]
    config: PathBuf,
    /// Log levels: error, warn, info, debug or trace, also by module: `info,usp_core=debug`
    #[arg(long, value_name = "LEVELS", env = telemetry::ENV, default_value = "info")]
    log: String,
}

pub(crate) fn run(args: &Run) -> Result<(), Failure> {
    usp_heap::share_one();
    telemetry::init(&args.log).map_err(Failure::invalid)?;
    panics::to_log();
    let config = Config::load(&args.config).map_err(Failure::invalid)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let reboot = config.reboot_command.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .map_err(Failure::failed)?;
    match runtime.block_on(serve(args, config))? {
        Exit::Stopped | Exit::FactoryReset => Ok(()),
        Exit::Reboot => reboot_with(&reboot),
    }
}

async fn serve(args: &Run, config: Config) -> Result<Exit, Failure> {
    let mut interrupt = Interrupt::new().map_err(|error| Failure::failed(format!("signals: {error}")))?;
    let mut reload = Reload::new(&args.config, &config)?;
    let mut app = tokio::select! {
        app = App::start(config) => app.map_err(|failure| start_failure(args, failure))?,
        () = interrupt.wait() => return Ok(Exit::Stopped),
    };
    notify(&[NotifyState::Ready]);
    print_line(format_args!("ready endpoint_id={}", app.endpoint_id()))?;
    let end = reload.attend(&mut app, &mut interrupt).await;
    notify(&[NotifyState::Stopping]);
    match end {
        End::Ended(exit) => Ok(exit),
        End::Interrupted => {
            tracing::info!("asked to end");
            Ok(app.shutdown().await)
        }
    }
}

fn start_failure(args: &Run, failure: StartFailure) -> Failure {
    match failure {
        StartFailure::Site(_) | StartFailure::Core(_) => unfit(&args.config, failure),
        other => Failure::failed(other),
    }
}

fn reboot_with(command: &[String]) -> Result<(), Failure> {
    // Without a command the supervisor starts us again.
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    let wrong = |why: String| Failure::failed(format!("reboot_command {program}: {why}"));
    let status = Command::new(program).args(arguments).status().map_err(|error| wrong(error.to_string()))?;
    if status.success() { Ok(()) } else { Err(wrong(status.to_string())) }
}

/// Tells systemd, if it wants to know.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be told");
    }
}
