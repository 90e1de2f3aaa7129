//! `usp-broker mapping list`: every profile that can be had.

use std::path::Path;

use clap::Args;
use serde_json::json;

use super::model::Folders;
use crate::cli::table::{Screen, Table};
use crate::cli::{Failure, print_line};

/// List the profiles of the library, and those of the folders that are named
#[derive(Debug, Args)]
#[command(
    after_help = "  usp-broker mapping list sdm\n\nmappings/library/README.md says which device each is for."
)]
pub(in crate::cli) struct List {
    /// Only those with this in their name
    #[arg(value_name = "WORD")]
    word: Option<String>,
    #[command(flatten)]
    folders: Folders,
    /// One JSON object a profile: {"profile", "version"}
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &List) -> Result<(), Failure> {
    let finder = args.folders.finder(Path::new(""))?;
    let word = args.word.as_deref().unwrap_or_default().to_ascii_lowercase();
    let mut found: Vec<_> =
        finder.catalog().profiles().filter(|(profile, _)| profile.contains(&word)).collect();
    found.sort_unstable_by_key(|(profile, _)| *profile);
    if args.json {
        return found.iter().try_for_each(|(profile, version)| {
            print_line(json!({"profile": profile, "version": version.to_string()}))
        });
    }
    if found.is_empty() {
        return Err(Failure::failed(format!("no profile has `{word}` in its name")));
    }
    let mut table = Table::new(&["profile", "version"]);
    for (profile, version) in found {
        table.row([profile.to_owned().into(), version.to_string().into()]);
    }
    print_line(table.render(Screen::stdout()).trim_end())
}
