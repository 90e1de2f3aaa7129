//! The `usp-broker` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    usp_broker::cli::main()
}
