//! `usp-broker mapping schema`: what editors complete from.

use clap::Args;
use usp_mapping::schema;

use crate::cli::{Failure, print_line};

/// Print the JSON Schema of mapping or site files, for editors that complete and check while one types
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub(in crate::cli) struct Schema {
    /// The schema of site files instead
    #[arg(long)]
    site: bool,
}

/// Shown after the options in the long help.
const HELP: &str = "With an editor that uses the YAML language server (VS Code, Neovim, Helix, Emacs …):
  usp-broker mapping schema > mapping.schema.json
and as the first line of each mapping file:
  # yaml-language-server: $schema=mapping.schema.json

`usp-broker mapping check` knows more than a schema can say.";

pub(super) fn run(args: &Schema) -> Result<(), Failure> {
    let text = if args.site { schema::SITE } else { schema::MAPPING };
    print_line(text.trim_end())
}
