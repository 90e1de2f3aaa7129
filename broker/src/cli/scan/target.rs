//! The files that a scan writes: nothing that is there is lost, and what cannot be written is told before anybody is asked.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::cli::Failure;

/// Whether a file can be written here; it is left as it is.
///
/// # Errors
/// It is there and may not be written over, its folder is missing, or neither may be written.
pub(super) fn check(path: &Path, force: bool) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(Failure::invalid(format!(
            "{}: the folder {} is not there",
            path.display(),
            folder.display()
        )));
    }
    if fs::symlink_metadata(path).is_ok() {
        if !force {
            return Err(is_there(path));
        }
        return OpenOptions::new().write(true).open(path).map(drop).map_err(|error| failed(path, &error));
    }
    // Whether a file may be made is known for certain only when it is.
    let made = OpenOptions::new().write(true).create_new(true).open(path);
    made.and_then(|_| fs::remove_file(path)).map_err(|error| failed(path, &error))
}

/// The same for files in a folder that is made where it is missing.
pub(super) fn check_folder(folder: &Path, force: bool) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    check(&folder.join("site.yaml"), force)
}

/// Whether a file beside the site file, or in its folder, can be written under this name: nothing of that name is there, or it
/// may be written over.
pub(super) fn is_free(beside: Option<&Path>, name: &str, force: bool) -> bool {
    force || beside.is_none_or(|path| fs::symlink_metadata(path.with_file_name(name)).is_err())
}

/// Writes all, or none where one of them is there already.
pub(super) fn write(files: &[(PathBuf, &str)], force: bool) -> Result<(), Failure> {
    if let Some((path, _)) = files.iter().find(|(path, _)| !force && fs::symlink_metadata(path).is_ok()) {
        return Err(is_there(path));
    }
    files.iter().try_for_each(|(path, text)| put(path, text, force))
}

fn put(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let mut how = OpenOptions::new();
    how.write(true);
    if force {
        how.create(true).truncate(true)
    } else {
        how.create_new(true)
    };
    let written = how.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::AlreadyExists {
        return is_there(path);
    }
    Failure::failed(format!("{}: {error}", path.display()))
}

fn is_there(path: &Path) -> Failure {
    Failure::invalid(format!("{} is there already; --force writes over it", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_is_kept_unless_it_is_forced() {
        let place = tempfile::tempdir().unwrap();
        let (site, draft) = (place.path().join("site.yaml"), place.path().join("draft.yaml"));
        check(&site, false).unwrap();
        assert!(!site.exists(), "a check leaves nothing behind");
        fs::write(&draft, "mine").unwrap();
        let files = [(site.clone(), "site"), (draft.clone(), "draft")];
        let refused = write(&files, false).unwrap_err().to_string();
        assert!(refused.contains("draft.yaml is there already; --force"), "{refused}");
        assert!(!site.exists() && fs::read_to_string(&draft).unwrap() == "mine");
        assert!(check(&draft, false).is_err());
        check(&draft, true).unwrap();
        assert_eq!(fs::read_to_string(&draft).unwrap(), "mine", "a check writes nothing");
        write(&files, true).unwrap();
        assert_eq!(fs::read_to_string(&draft).unwrap(), "draft");
    }

    #[test]
    fn a_name_that_is_taken_is_not_free() {
        let place = tempfile::tempdir().unwrap();
        let site = place.path().join("site.yaml");
        fs::write(place.path().join("p1.yaml"), "mine").unwrap();
        assert!(!is_free(Some(&site), "p1.yaml", false) && is_free(Some(&site), "p1-2.yaml", false));
        assert!(is_free(Some(&site), "p1.yaml", true) && is_free(None, "p1.yaml", false));
    }

    #[test]
    fn a_folder_that_is_missing_is_named_or_made() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("none");
        let refused = check(&folder.join("site.yaml"), false).unwrap_err().to_string();
        assert!(refused.ends_with("none is not there"), "{refused}");
        check_folder(&folder, false).unwrap();
        fs::write(folder.join("site.yaml"), "mine").unwrap();
        assert!(check_folder(&folder, false).is_err());
        assert!(check(&folder, true).is_err(), "a folder is no file");
    }
}
