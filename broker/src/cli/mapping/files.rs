//! The YAML files of a folder.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::Failure;

/// Folders are searched this deep: by protocol and vendor.
const DEPTH: usize = 3;

/// All YAML files of a folder and of those below it, by name; hidden ones are left out.
pub(super) fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    gather(folder, DEPTH, &mut found)?;
    Ok(found)
}

fn gather(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let wrong = |error| Failure::invalid(format!("{}: {error}", folder.display()));
    let entries = fs::read_dir(folder).map_err(wrong)?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')));
    paths.sort();
    for path in paths {
        if path.is_dir() && depth > 0 {
            gather(&path, depth - 1, found)?;
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            found.push(path);
        }
    }
    Ok(())
}
