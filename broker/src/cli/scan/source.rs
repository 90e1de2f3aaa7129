//! What a site file of a scan says of where a mapping is: it has to be found wherever the site file is used.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use crate::cli::Failure;
use crate::site::Finder;

/// The mappings that there are, as seen from a site file.
pub(super) struct Sources {
    finder: Finder,
    folder: PathBuf,
}

impl Sources {
    /// Those of these folders and inside the program; `site`: where the site file is written, if it is.
    ///
    /// # Errors
    /// A folder, or a mapping file in it, cannot be read.
    pub(super) fn new(folders: &[PathBuf], site: Option<&Path>) -> Result<Self, Failure> {
        let finder = Finder::new(folders, Path::new("")).map_err(Failure::invalid)?;
        let folder = site.and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
        Ok(Self { finder, folder: folder.unwrap_or(Path::new(".")).to_owned() })
    }

    /// `use: vendor.model`, which every program finds; of a file in one of the folders `file: "its path"`.
    pub(super) fn of(&self, profile: &str) -> String {
        match self.finder.catalog().own(profile) {
            Some(file) => {
                let path = relative(Path::new(file.name()), &self.folder);
                format!("file: {}", Value::from(path.to_string_lossy()))
            }
            None => format!("use: {profile}"),
        }
    }
}

/// A path as it is seen from a folder.
fn relative(path: &Path, folder: &Path) -> PathBuf {
    let whole = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path));
    let (Ok(path), Ok(folder)) = (whole(path), whole(folder)) else { return path.to_owned() };
    let shared = path.components().zip(folder.components()).take_while(|(one, other)| one == other).count();
    let up = folder.components().skip(shared).map(|_| Component::ParentDir);
    up.chain(path.components().skip(shared)).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use usp_mapping::check::check_file;
    use usp_mapping::diagnostic::SourceFile;

    use super::*;

    const MAPPING: &str = "uspmap: 1\nprofile: acme.thing\nversion: 1.0.0\ndevice: {type: Sensor}\nble: {}\n\
                           capabilities: {t: {class: LevelSensor, type: Temperature, unit: degC, read: {bthome: temperature}}}\n";

    /// Whoever checks the site file needs no more than it.
    #[test]
    fn a_mapping_of_ones_own_is_found_from_the_site_file() {
        let place = tempfile::tempdir().unwrap();
        let (own, sites) = (place.path().join("own/ble"), place.path().join("sites"));
        fs::create_dir_all(&own).unwrap();
        fs::create_dir_all(&sites).unwrap();
        fs::write(own.join("thing.yaml"), MAPPING).unwrap();
        for (site, expected) in [
            (sites.join("site.yaml"), "file: \"../own/ble/thing.yaml\""),
            (place.path().join("site.yaml"), "file: \"own/ble/thing.yaml\""),
        ] {
            let sources = Sources::new(&[place.path().join("own")], Some(&site)).unwrap();
            assert_eq!(sources.of("acme.thing"), expected);
            assert_eq!(sources.of("ruuvi.ruuvitag"), "use: ruuvi.ruuvitag");
            let text = format!(
                "site: 1\nbuses: {{air: {{ble: hci0}}}}\ndevices: {{a: {{{}, bus: air, mac: \"A4:C1:38:11:22:33\"}}}}\n",
                sources.of("acme.thing")
            );
            let finder = Finder::new(&[], &site).unwrap();
            let file = SourceFile::new(&site.display().to_string(), &text);
            let found = check_file(&file, &|wanted| finder.find(wanted));
            assert!(found.is_empty(), "{}", usp_mapping::diagnostic::render(&found, false));
        }
    }
}
