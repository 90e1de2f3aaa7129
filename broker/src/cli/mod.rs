//! The command line: one module a subcommand. Names and exit codes are a contract: other tools drive them.
//!
//! Exit codes: 0 done, 1 the request failed (the error is shown), 2 wrong usage or an invalid file.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod backup;
mod config;
mod controller;
#[cfg(feature = "demo")]
mod demo;
mod interrupt;
mod mapping;
mod output;
mod reload;
mod run;
#[cfg(feature = "modbus")]
mod scan;
mod table;

pub(crate) use output::{Failure, in_json, print_line, without_numbers};

use crate::telemetry;

/// USP Broker (TR-369 1.4) and proxy gateway for smart-home hubs.
#[derive(Debug, Parser)]
#[command(name = "usp-broker", version, about, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    /// Check configuration files
    #[command(subcommand)]
    Config(config::Command),
    /// The workshop for mapping and site files
    #[command(subcommand)]
    Mapping(mapping::Command),
    /// Look for devices
    #[cfg(feature = "modbus")]
    #[command(subcommand)]
    Scan(scan::Command),
    Backup(backup::Backup),
    Restore(backup::Restore),
    /// Runs a broker with simulated devices and a sample USP Service: everything to try, nothing to prepare
    ///
    /// While it runs, lines on standard input are obeyed: `set plug.power 1500`, `fault meter1 silent`, `clear`, `show`, `help`, `quit`.
    #[cfg(feature = "demo")]
    Demo(demo::Args),
    #[command(flatten)]
    Controller(controller::Command),
}

/// Runs the command line of this process and says how it ended.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = dispatch(cli.command);
    telemetry::flush();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Config(command) => config::run(&command),
        Command::Mapping(command) => mapping::run(&command),
        #[cfg(feature = "modbus")]
        Command::Scan(command) => scan::run(&command),
        Command::Backup(args) => backup::backup(&args),
        Command::Restore(args) => backup::restore(&args),
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::run(args),
        Command::Controller(command) => controller::run(command),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_commands_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_shipped_unit_starts_what_there_is() {
        let unit = include_str!("../../../config/systemd/usp-broker.service");
        let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
        let cli = Cli::try_parse_from(start.split_whitespace()).unwrap();
        assert!(matches!(cli.command, Command::Run(_)));
        assert!(unit.contains("\nRestart=always\n") && unit.contains("\nType=notify\n"));
    }
}
