//! The daemon as its users meet it: processes, signals, exit codes, and what is left after a crash.

mod crash;
mod process;
mod support;
