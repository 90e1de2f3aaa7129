//! The commands that act as a USP Controller: one module a command.
//!
//! Results go to standard output, everything else to standard error. Exit codes as everywhere: 0 done, 1 some of it failed,
//! 2 wrong usage.

mod add;
mod delete;
mod get;
mod instances;
mod known;
mod operate;
#[cfg(feature = "zigbee")]
pub(crate) mod running;
mod session;
mod set;
mod setting;
mod show;
mod subscription;
mod supported;
mod watch;

use std::time::Duration;

use serde_json::json;
use usp_proto::endpoint_id::EndpointId;

use super::{Failure, print_line};
use crate::client::{Via, ViaError};
use session::{Session, random_text};

/// The well-known socket of a Broker.
pub(crate) const DEFAULT_VIA: &str = "uds:/var/run/usp/broker_agent_path";

/// The Controller commands.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Read Parameters
    #[command(after_help = get::HELP)]
    Get(With<get::Args>),
    /// Write Parameters
    #[command(after_help = set::HELP)]
    Set(With<set::Args>),
    /// Add a row to a table
    #[command(after_help = add::HELP)]
    Add(With<add::Args>),
    /// Delete rows of tables
    #[command(after_help = delete::HELP)]
    Delete(With<delete::Args>),
    /// Run a Command
    #[command(after_help = operate::HELP)]
    Operate(With<operate::Args>),
    /// List the rows of tables
    #[command(after_help = instances::HELP)]
    Instances(With<instances::Args>),
    /// Show what the Agent supports: objects, Parameters, Commands, Events
    #[command(after_help = supported::HELP)]
    Supported(With<supported::Args>),
    /// Print notifications as they come, until Ctrl-C
    #[command(after_help = watch::HELP)]
    Watch(With<watch::Args>),
}

/// A command's own arguments, and those that all have.
#[derive(Debug, clap::Args)]
pub(crate) struct With<A: clap::Args> {
    #[command(flatten)]
    own: A,
    #[command(flatten)]
    connection: Connection,
}

/// Which Agent, as whom, and how the answer is shown.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Connection and output")]
pub(crate) struct Connection {
    /// Where the Agent listens: uds:PATH, ws://host:port/path or
    /// mqtt://[user@]host[:port]/AGENT_TOPIC?agent=ENDPOINT_ID
    ///
    /// With mqtt:// more may follow, each with `&`: version=3.1.1 (default 5.0), password=env:NAME or password=file:PATH,
    /// reply=TOPIC (where we want the answers; default usp/controller/ and our Endpoint ID), qos=0 (default 1). Where the
    /// topic's last level is the Agent's Endpoint ID, agent= can be left out.
    #[arg(
        long,
        value_name = "WHERE",
        env = "USP_BROKER_VIA",
        default_value = DEFAULT_VIA,
        value_parser = via
    )]
    via: Via,
    /// Our Endpoint ID; made up if it is not given
    #[arg(long = "as", value_name = "ENDPOINT_ID")]
    endpoint_id: Option<EndpointId>,
    /// Print JSON: also of a failed connection, as {"error":{"message":"…"}}
    #[arg(long)]
    json: bool,
    /// How long connecting, and each answer, may take [default: 10, and 30 for the answer to what changes something]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
}

/// Runs a Controller command.
pub(crate) fn run(command: Command) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed(format!("cannot start: {error}")))?;
    runtime.block_on(async {
        match command {
            Command::Get(with) => with.run(get::run).await,
            Command::Set(with) => with.run(set::run).await,
            Command::Add(with) => with.run(add::run).await,
            Command::Delete(with) => with.run(delete::run).await,
            Command::Operate(with) => with.run(operate::run).await,
            Command::Instances(with) => with.run(instances::run).await,
            Command::Supported(with) => with.run(supported::run).await,
            Command::Watch(with) => with.run(watch::run).await,
        }
    })
}

impl<A: clap::Args> With<A> {
    async fn run(
        self,
        command: impl AsyncFnOnce(A, &mut Session) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let json = self.connection.json;
        let outcome = match Session::open(self.connection).await {
            Ok(mut session) => {
                let outcome = command(self.own, &mut session).await;
                session.client.close().await;
                outcome
            }
            Err(failure) => Err(failure),
        };
        match outcome {
            Err(Failure::Failed(message)) if json => {
                print_line(json!({ "error": { "message": message } }))?;
                Err(Failure::Shown)
            }
            outcome => outcome,
        }
    }
}

/// An empty `USP_BROKER_VIA` counts as none.
pub(crate) fn via(text: &str) -> Result<Via, ViaError> {
    if text.is_empty() { DEFAULT_VIA.parse() } else { text.parse() }
}

/// A time in seconds, with or without a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().map_err(|_| "expected a number of seconds".to_owned())?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    // A day longer than any command takes; more would not fit into a TimeToLive.
    let limit = Duration::from_secs(86_400 * 365);
    if duration.is_zero() || duration > limit {
        Err("expected 0.001 to a year".to_owned())
    } else {
        Ok(duration)
    }
}

/// Two commands at a time must not collide, one after the other need not be told apart.
fn default_endpoint_id() -> Result<EndpointId, Failure> {
    let text = format!("self::cli-{}-{}", std::process::id(), random_text());
    EndpointId::parse(&text).map_err(Failure::failed)
}

/// An object's path ends in a dot; who left it out meant it.
fn with_final_dot(path: String) -> String {
    if path.ends_with('.') || path.is_empty() { path } else { path + "." }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(subcommand)]
        command: Command,
    }

    fn parse(line: &str) -> Result<Command, String> {
        let words = std::iter::once("usp-broker").chain(line.split_whitespace());
        Cli::try_parse_from(words).map(|cli| cli.command).map_err(|error| error.to_string())
    }

    #[test]
    fn the_contracts_command_lines_are_understood() {
        for line in [
            "get Device.A. Device.B.C --max-depth 2 --via ws://127.0.0.1:5683/usp --as self::x --json",
            "set Device.A.B=1 Device.A.C=a=b --allow-partial",
            "add Device.A. B=1 C=2",
            "delete Device.A.1. Device.A.2.",
            "operate Device.A.Do() In=1 --command-key k --no-wait",
            "instances Device.A. --first-level",
            "supported Device. --first-level --no-params --no-commands --no-events --no-keys",
            "watch Device.A. --type ValueChange --count 3 --timeout 0.5",
            "watch Device.A. --type ObjectCreation,ObjectDeletion --type Event",
        ] {
            assert!(parse(line).is_ok(), "{line}: {:?}", parse(line));
        }
    }

    #[test]
    fn wrong_usage_is_told() {
        for (line, told) in [
            ("get", "<PATH>..."),
            ("set Device.A.B", "no `=`"),
            ("get Device. --via stomp://x", "is not spoken"),
            ("get Device. --via mqtt://x", "topic is missing"),
            ("get Device. --as nonsense", "Endpoint ID"),
            ("watch Device. --type Change", "ValueChange"),
            ("watch Device. --count 0", "0 is not in"),
            ("get Device. --timeout 0", "expected 0.001"),
            ("get Device. --max-depth all", "expected a number of levels"),
            ("operate Device.A.Do() --no-wait --wait 3", "cannot be used with"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(told), "{line}: {error}");
        }
    }

    #[test]
    fn an_empty_place_is_the_well_known_one() {
        assert_eq!(via(""), via(DEFAULT_VIA));
        assert!(via("nowhere").is_err());
    }

    #[test]
    fn every_command_has_an_endpoint_id_of_its_own() {
        let (a, b) = (default_endpoint_id().unwrap(), default_endpoint_id().unwrap());
        assert_ne!(a, b);
        assert!(a.as_str().starts_with("self::cli-"));
    }

    #[test]
    fn objects_get_their_dot() {
        assert_eq!(with_final_dot("Device.A".into()), "Device.A.");
        assert_eq!(with_final_dot("Device.A.".into()), "Device.A.");
    }
}
