//! What `usp-proto` puts on the wire and takes from it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not recognised as tests")]

mod arbitrary;
mod corpus;
mod frames;
mod generated;
mod messages;
mod paths;

// The fuzz targets are a package of their own, which only a nightly compiler with a fuzzer can run. What they check is
// plain code, compiled here too.
#[path = "../../../tests/fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "public in its own package")]
mod fuzz;
