//! Rules of the house that no compiler checks: who may depend on whom, that the files that are shipped are valid,
//! and that every requirement is named where it is satisfied.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod dependencies;
mod files;
mod requirements;

use std::path::{Path, PathBuf};

/// The top of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
