//! Nothing that was answered is lost, whenever the process or the machine dies.
//!
//! A child process writes batches to a store and says of each that it is durable. It is killed, or its disk forgets what
//! was not synced ([`powercut.c`](powercut.c) is preloaded into it); then everything that it said must be there, and each
//! batch whole or not at all.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use usp_broker::store::Store;
use usp_core::output::{Snapshot, StoreOp};

use crate::powercut::{self, Shim};

/// Set for the child: its state directory.
const STATE: &str = "CRASH_TEST_STATE";

/// Set for the child: how often it opens the store, and how many batches it writes each time.
const ROUNDS: &str = "CRASH_TEST_ROUNDS";
const BATCHES: &str = "CRASH_TEST_BATCHES";

/// Rows that each batch changes; a few pages together.
const ROWS: usize = 12;

fn batch(number: usize) -> Vec<StoreOp> {
    let row = |index| StoreOp::PutRow {
        path: format!("Device.Test.{index}."),
        params: vec![("Batch".to_owned(), number.to_string()), ("Filler".to_owned(), "x".repeat(400))],
    };
    let highest =
        StoreOp::PutHighest { table: "Device.Test.".to_owned(), number: u32::try_from(number).unwrap() };
    (0..ROWS).map(row).chain([highest]).collect()
}

/// The number of the last batch that is there; panics unless it is there as a whole.
fn last_batch(snapshot: &Snapshot) -> usize {
    let Some((_, highest)) = snapshot.highest.first() else {
        assert!(snapshot.rows.is_empty(), "half a first batch");
        return 0;
    };
    assert_eq!(snapshot.rows.len(), ROWS);
    for (path, params) in &snapshot.rows {
        assert_eq!(params[0].1, highest.to_string(), "{path} is of another batch");
    }
    *highest as usize
}

/// Not a test: the child. Without its environment it does nothing.
#[tokio::test]
async fn child() {
    let Some(state) = std::env::var_os(STATE).map(PathBuf::from) else { return };
    let number = |name| std::env::var(name).unwrap().parse::<usize>().unwrap();
    for _ in 0..number(ROUNDS) {
        let (store, snapshot) = Store::open(&state).unwrap();
        let first = last_batch(&snapshot) + 1;
        for next in first..first + number(BATCHES) {
            store.write(batch(next)).await.unwrap();
            let mut out = std::io::stdout().lock();
            writeln!(out, "durable {next}").unwrap();
            out.flush().unwrap();
        }
        store.close().await;
    }
}

fn command(state: &Path, rounds: usize, batches: usize) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "crash::child", "--nocapture", "--test-threads=1"])
        .env(STATE, state)
        .env(ROUNDS, rounds.to_string())
        .env(BATCHES, batches.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

fn durable(line: &str) -> Option<usize> {
    // The test harness may have begun the line.
    line.split_once("durable ").and_then(|(_, number)| number.trim().parse().ok())
}

#[tokio::test]
async fn kill_9_loses_nothing_that_was_answered() {
    let dir = tempfile::tempdir().unwrap();
    let mut before = 0;
    for round in 0..20 {
        let mut child = command(dir.path(), 1, usize::MAX >> 1).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let enough = before + 1 + round % 7;
        let mut said = lines.filter_map(|line| durable(&line));
        let mut last = said.find(|number| *number >= enough).unwrap();
        child.kill().unwrap();
        // It went on while the signal was on its way.
        last = said.last().unwrap_or(last);
        child.wait().unwrap();
        let (store, snapshot) = Store::open(dir.path()).unwrap();
        let found = last_batch(&snapshot);
        assert!(found == last || found == last + 1, "said {last}, found {found}");
        before = found;
        store.close().await;
    }
}

/// Dies at each change of a file in turn, from the first start on, over two closes of the store.
#[tokio::test]
async fn a_power_cut_at_any_change_of_a_file_loses_nothing_that_was_answered() {
    let shim = Shim::compile();
    let whole = Cut::run(&shim, 0);
    assert_eq!((whole.code, whole.said), (Some(0), 8), "without a cut it goes through");
    let mut cuts = 0;
    for at in 1.. {
        let cut = Cut::run(&shim, at);
        if cut.code == Some(0) {
            break;
        }
        assert_eq!(cut.code, Some(99));
        cuts += 1;
        cut.check(None).await;
        for seed in [1, 2] {
            cut.check(Some(seed * 1000 + at)).await;
        }
    }
    // Creation, eight batches of several writes, two checkpoints: fewer changes would mean that the shim sees nothing.
    assert!(cuts > 60, "{cuts}");
}

/// What is left after a power cut.
struct Cut {
    dir: TempDir,
    code: Option<i32>,
    /// The last batch that was said to be durable.
    said: usize,
    at: u64,
}

impl Cut {
    fn run(shim: &Shim, at: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (state, shadow) = (dir.path().join("state"), dir.path().join("shadow"));
        fs::create_dir(&state).unwrap();
        fs::create_dir(&shadow).unwrap();
        let mut command = command(&state, 2, 4);
        shim.arm(&mut command, &state, &shadow, at);
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let said = text.lines().filter_map(durable).max().unwrap_or(0);
        Self { dir, code: output.status.code(), said, at }
    }

    /// Starts again from what is durable. With a seed, any sectors of what was not synced have reached the disk too.
    async fn check(&self, seed: Option<u64>) {
        let disk = self.dir.path().join("disk");
        powercut::leave(&self.dir.path().join("state"), &self.dir.path().join("shadow"), &disk, seed);
        let context = format!("cut at change {}, sectors {seed:?}", self.at);
        let (store, snapshot) = Store::open(&disk).unwrap_or_else(|error| panic!("{context}: {error}"));
        let found = last_batch(&snapshot);
        // A batch that was durable may not have been said to be.
        assert!(found == self.said || found == self.said + 1, "{context}: said {}, found {found}", self.said);
        store.close().await;
        fs::remove_dir_all(&disk).unwrap();
    }
}
