//! A disk that forgets: `powercut.c` preloaded into a process, and what is left of its files afterwards.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// The compiled library.
pub(crate) struct Shim {
    dir: TempDir,
}

impl Shim {
    pub(crate) fn compile() -> Self {
        let shim = Self { dir: tempfile::tempdir().unwrap() };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/daemon/powercut.c");
        let status = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&shim.library(), &source])
            .arg("-ldl")
            .status();
        assert!(status.expect("a C compiler, which the store's SQLite needs too").success());
        shim
    }

    fn library(&self) -> PathBuf {
        self.dir.path().join("powercut.so")
    }

    /// Lets `command` die at the `at`-th change of a file below `state`; `shadow` gets what is durable.
    pub(crate) fn arm(&self, command: &mut Command, state: &Path, shadow: &Path, at: u64) {
        command
            .env("LD_PRELOAD", self.library())
            .env("POWERCUT_DIR", state)
            .env("POWERCUT_SHADOW", shadow)
            .env("POWERCUT_AT", at.to_string());
    }
}

/// Makes the folder `disk` what a power cut leaves of `state`. With a seed, any sectors of what was not synced have
/// reached the disk too.
pub(crate) fn leave(state: &Path, shadow: &Path, disk: &Path, seed: Option<u64>) {
    fs::create_dir(disk).unwrap();
    let listing = fs::read_to_string(shadow.join("listing")).unwrap_or_default();
    for (inode, name) in listing.lines().filter_map(|line| line.split_once(' ')) {
        // The index of the log is made anew, and the lock says nothing.
        if name.ends_with("-shm") || name.ends_with(".lock") {
            continue;
        }
        let old = fs::read(shadow.join(format!("ino.{inode}"))).unwrap_or_default();
        let new = fs::read(state.join(name)).unwrap_or_default();
        fs::write(disk.join(name), seed.map_or_else(|| old.clone(), |seed| mixed(&old, &new, seed))).unwrap();
    }
}

/// Each sector old or new, and the length one of both.
fn mixed(old: &[u8], new: &[u8], seed: u64) -> Vec<u8> {
    const SECTOR: usize = 512;
    let mut coin = Coin::new(seed);
    let length = if coin.toss() { old.len() } else { new.len() };
    let mut bytes = old.to_vec();
    bytes.resize(length, 0);
    for (index, sector) in bytes.chunks_mut(SECTOR).enumerate() {
        let from = new.get(index * SECTOR..).unwrap_or_default();
        if coin.toss() && from.len() >= sector.len() {
            sector.copy_from_slice(&from[..sector.len()]);
        }
    }
    bytes
}

/// Numbers that look random and are the same for the same seed (xorshift).
pub(crate) struct Coin(u64);

impl Coin {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % bound
    }

    fn toss(&mut self) -> bool {
        self.below(2) == 1
    }
}
