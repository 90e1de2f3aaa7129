//! Plays a role; see [`usp_tests::role`].

use std::process::ExitCode;

fn main() -> ExitCode {
    usp_tests::role::play().unwrap_or(ExitCode::from(2))
}
