//! The daemon as its users meet it: processes, signals, exit codes, and what is left after a crash.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod answers;
mod crash;
mod operator;
mod powercut;
mod process;
mod reader;
mod support;
