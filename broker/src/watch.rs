//! Notices when one of the files behind the devices changes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::config::Config;

/// How often is looked.
const PERIOD: Duration = Duration::from_secs(2);

/// When each file was changed, and its length.
type Marks = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// Looks at the configuration, the site and the mapping folders.
#[derive(Debug)]
pub(crate) struct Watch {
    paths: Vec<PathBuf>,
    seen: Marks,
}

impl Watch {
    /// From here on, changes count.
    pub(crate) fn new(file: &Path, config: &Config) -> Self {
        let paths: Vec<_> = std::iter::once(file.to_owned())
            .chain(config.site.clone())
            .chain(config.mappings.clone())
            .collect();
        Self { seen: marks(&paths), paths }
    }

    /// Returns when something has changed and was left alone for one period: whoever saves may not be done.
    pub(crate) async fn changed(&mut self) {
        loop {
            tokio::time::sleep(PERIOD).await;
            let mut now = marks(&self.paths);
            if now == self.seen {
                continue;
            }
            while now != self.seen {
                self.seen = now;
                tokio::time::sleep(PERIOD).await;
                now = marks(&self.paths);
            }
            return;
        }
    }
}

fn marks(paths: &[PathBuf]) -> Marks {
    let mut marks = Marks::new();
    for path in paths {
        mark(path, &mut marks);
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            mark(&entry.path(), &mut marks);
        }
    }
    marks
}

fn mark(path: &Path, marks: &mut Marks) {
    // A file that is not there is a state like any other.
    let mark = fs::metadata(path).map(|file| (file.modified().ok(), file.len())).unwrap_or((None, 0));
    marks.insert(path.to_owned(), mark);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_changed_site_or_mapping_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("broker.toml");
        let text = "[agent]\nsite = \"site.yaml\"\nmappings = [\"maps\"]\n";
        fs::write(&file, text).unwrap();
        let config = Config::parse(text, "broker.toml", dir.path()).unwrap();
        let mut watch = Watch::new(&file, &config);
        let quiet = tokio::time::timeout(PERIOD * 10, watch.changed()).await;
        assert!(quiet.is_err(), "nothing has changed");

        fs::write(dir.path().join("site.yaml"), "site: 1").unwrap();
        watch.changed().await;
        fs::create_dir(dir.path().join("maps")).unwrap();
        fs::write(dir.path().join("maps/a.yaml"), "uspmap: 1").unwrap();
        watch.changed().await;
        fs::write(dir.path().join("maps/a.yaml"), "uspmap: 1 # more").unwrap();
        watch.changed().await;
    }
}
