//! Notices when one of the files behind the devices changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use crate::config::Config;
use crate::site;

/// How often is looked where the system tells of no change: file systems of other machines, containers.
const PERIOD: Duration = Duration::from_secs(2);

/// How long nothing may change before a change counts: whoever saves may not be done.
const QUIET: Duration = Duration::from_millis(200);

/// When each file was changed, and its length.
type Marks = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// Looks at the configuration and at every file and folder that its devices were read from.
#[derive(Debug)]
pub(crate) struct Watch {
    paths: Vec<PathBuf>,
    seen: Marks,
    /// Something has happened in one of the folders.
    stirred: Arc<Notify>,
    /// Its end ends the system's reports.
    _reports: Option<RecommendedWatcher>,
}

impl Watch {
    /// From here on, changes count.
    pub(crate) fn new(file: &Path, config: &Config) -> Self {
        let paths: Vec<_> = std::iter::once(file.to_owned()).chain(site::sources(config)).collect();
        let stirred = Arc::new(Notify::new());
        let reports = reports(&paths, Arc::clone(&stirred));
        Self { seen: marks(&paths), paths, stirred, _reports: reports }
    }

    /// Returns when something has changed and was then left alone for a moment.
    pub(crate) async fn changed(&mut self) {
        loop {
            tokio::select! {
                () = self.stirred.notified() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
            let mut now = marks(&self.paths);
            if now == self.seen {
                continue;
            }
            while now != self.seen {
                self.seen = now;
                tokio::time::sleep(QUIET).await;
                now = marks(&self.paths);
            }
            return;
        }
    }
}

/// Has the system tell of what happens in these folders and beside these files, as far as it can: the period is there for
/// the rest.
fn reports(paths: &[PathBuf], stirred: Arc<Notify>) -> Option<RecommendedWatcher> {
    let tell = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !is_look(&event)) {
            stirred.notify_one();
        }
    };
    let mut watcher = notify::recommended_watcher(tell).ok()?;
    for folder in folders(paths) {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        watcher.watch(folder, RecursiveMode::NonRecursive).ok();
    }
    Some(watcher)
}

fn folders(paths: &[PathBuf]) -> BTreeSet<&Path> {
    paths.iter().filter_map(|path| folder(path)).collect()
}

/// Where changes of a path show. Not above a folder that is there: that may be one in which everybody writes, as `/tmp` is.
fn folder(path: &Path) -> Option<&Path> {
    if path.is_dir() { Some(path) } else { path.parent() }
}

/// Whether somebody has only opened or read something.
fn is_look(event: &notify::Event) -> bool {
    use notify::event::{AccessKind, AccessMode, EventKind};
    matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write))
}

fn marks(paths: &[PathBuf]) -> Marks {
    let mark = |path: &PathBuf| {
        // A file that is not there is a state like any other. A folder changes with the names in it.
        let mark = fs::metadata(path).map_or((None, 0), |file| (file.modified().ok(), file.len()));
        (path.clone(), mark)
    };
    paths.iter().map(mark).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn is_noticed(watch: &mut Watch) -> bool {
        tokio::time::timeout(PERIOD * 10, watch.changed()).await.is_ok()
    }

    #[test]
    fn what_is_above_a_folder_is_watched_only_while_the_folder_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("maps")).unwrap();
        fs::write(path("maps/a.yaml"), "uspmap: 1").unwrap();
        let there = [path("maps"), path("maps/a.yaml"), path("maps/later.yaml")];
        assert_eq!(folders(&there), BTreeSet::from([path("maps").as_path()]));
        assert_eq!(folders(&[path("later")]), BTreeSet::from([dir.path()]));
    }

    #[test]
    fn whoever_only_looks_stirs_nothing() {
        use notify::event::{AccessKind, AccessMode, CreateKind, EventKind};
        let is_look = |kind| is_look(&notify::Event::new(kind));
        assert!(is_look(EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(!is_look(EventKind::Access(AccessKind::Close(AccessMode::Write))));
        assert!(!is_look(EventKind::Create(CreateKind::File)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_of_any_file_behind_the_devices_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let text = "[agent]\nsite = \"site.yaml\"\nmappings = [\"maps\"]\n";
        fs::write(path("broker.toml"), text).unwrap();
        let config = Config::parse(text, "broker.toml", dir.path()).unwrap();
        let watch = || Watch::new(&path("broker.toml"), &config);
        assert!(!is_noticed(&mut watch()).await, "nothing has changed");

        // What is not there yet is waited for.
        let mut before = watch();
        let site = "site: 1\nbuses:\n  b: {modbus_tcp: \"127.0.0.1:1\"}\ndevices:\n  d: {file: own/d.yaml, bus: b, unit: 1}\n";
        fs::write(path("site.yaml"), site).unwrap();
        assert!(is_noticed(&mut before).await);
        fs::create_dir_all(path("maps/acme/meters")).unwrap();
        assert!(is_noticed(&mut before).await);

        fs::write(path("maps/acme/meters/a.yaml"), "uspmap: 1").unwrap();
        fs::create_dir(path("own")).unwrap();
        for name in
            ["broker.toml", "site.yaml", "own/d.yaml", "maps/acme/meters/a.yaml", "maps/acme/meters/new.yaml"]
        {
            let mut watch = watch();
            let old = fs::read_to_string(path(name)).unwrap_or_default();
            fs::write(path(name), old + "\n# more\n").unwrap();
            assert!(is_noticed(&mut watch).await, "{name}");
        }
        let mut watch = watch();
        fs::write(path("unrelated.yaml"), "x").unwrap();
        assert!(!is_noticed(&mut watch).await, "nobody reads it");
    }
}
