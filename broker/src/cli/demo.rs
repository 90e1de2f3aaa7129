//! `usp-broker demo`: a broker with simulated devices and a sample USP Service, all in one process.

mod air;
mod files;
mod guide;
mod logs;
mod orders;
mod place;
mod things;

use std::path::PathBuf;

use files::{any_port, websocket_port, write_files};
use guide::Guide;
use orders::Orders;
use place::Place;
use things::Things;

use super::interrupt::Interrupt;
use super::reload::{End, Reload};
use super::{Failure, print_line};
use crate::Exit;
use crate::app::{App, StartFailure};
use crate::config::Config;
use crate::panics;

/// Ports that are tried before the demo gives up.
const TRIES: u32 = 5;

/// `demo`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Keep sockets, state, logs and the generated files here; without it they vanish at the end
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs until Ctrl-C or SIGTERM.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let bus = air::bus();
    let place = Place::prepare(args.dir)?;
    logs::start(&place)?;
    panics::to_log();
    let runtime =
        tokio::runtime::Runtime::new().map_err(|error| Failure::failed(format!("cannot start: {error}")))?;
    runtime.block_on(demonstrate(&place, bus))
}

async fn demonstrate(place: &Place, bus: Option<PathBuf>) -> Result<(), Failure> {
    let mut interrupt = Interrupt::new().map_err(Failure::failed)?;
    let mut things = Things::start(place, bus).await?;
    let (mut port, mut orders) = (websocket_port()?, Orders::new());
    let mut restarted = None;
    loop {
        let mut app = start(place, &things, &mut port).await?;
        things.start_service(place).await;
        greet(place, &app, &things, restarted).await?;
        let config = Config::load(&place.config()).map_err(Failure::invalid)?;
        let mut reload = Reload::new(&place.config(), &config)?;
        let end = tokio::select! {
            end = reload.attend(&mut app, &mut interrupt) => end,
            quit = orders.obey(&things) => quit.map(|()| End::Interrupted)?,
        };
        let exit = match end {
            End::Ended(exit) => exit,
            End::Interrupted => Exit::Stopped,
        };
        restarted = match exit {
            Exit::Reboot => Some("Device.Reboot()"),
            Exit::FactoryReset => Some("Device.FactoryReset()"),
            Exit::Stopped => {
                app.shutdown().await;
                things.stop().await;
                return Ok(());
            }
        };
    }
}

/// Starts the broker, on another port when somebody has taken the one that was free a moment ago.
async fn start(place: &Place, things: &Things, port: &mut u16) -> Result<App, Failure> {
    let mut tries = TRIES;
    loop {
        write_files(place, *port, &things.places())?;
        let config = Config::load(&place.config()).map_err(Failure::invalid)?;
        match App::start(config).await {
            Err(StartFailure::WebSocket(_)) if tries > 0 => *port = any_port()?,
            outcome => return outcome.map_err(Failure::failed),
        }
        tries -= 1;
    }
}

/// At the first start says what there is; then, as after each restart, that it is ready.
async fn greet(place: &Place, app: &App, things: &Things, restarted: Option<&str>) -> Result<(), Failure> {
    let guide = Guide::look_around(place, app, things).await;
    match restarted {
        Some(command) => guide::say(&format!("Restarted by {command}.\n")),
        None => guide::say(&guide.text()),
    }
    print_line(format!("ready endpoint_id={}", app.endpoint_id()))
}
