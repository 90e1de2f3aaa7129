use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use rusqlite::Connection;
use tempfile::TempDir;
use usp_adapters::Keeper;

use super::*;

fn put(path: &str, value: &str) -> StoreOp {
    StoreOp::PutRow { path: path.to_owned(), params: vec![("Alias".to_owned(), value.to_owned())] }
}

fn meta(key: &str, value: &str) -> StoreOp {
    StoreOp::PutMeta { key: key.to_owned(), value: value.to_owned() }
}

fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

async fn with_rows(dir: &TempDir, ops: Vec<StoreOp>) {
    let (store, _) = Store::open(dir.path()).unwrap();
    store.write(ops).await.unwrap();
    store.close().await;
}

fn raw(dir: &TempDir) -> Connection {
    Connection::open(dir.path().join(FILE_NAME)).unwrap()
}

#[tokio::test]
async fn keeps_every_kind_of_order() {
    let dir = dir();
    let table = "Device.ProxiedDevice.".to_owned();
    with_rows(
        &dir,
        vec![
            put("Device.LocalAgent.Subscription.1.", "a"),
            put("Device.LocalAgent.Subscription.1.", "b"),
            put("Device.LocalAgent.Subscription.2.", "gone"),
            StoreOp::DeleteRow { path: "Device.LocalAgent.Subscription.2.".to_owned() },
            StoreOp::PutHighest { table: table.clone(), number: 7 },
            StoreOp::PutHighest { table: "Device.A.1.B.".to_owned(), number: 1 },
            StoreOp::PutHighest { table: "Device.A.1.B.2.C.".to_owned(), number: 1 },
            StoreOp::PutHighest { table: "Device.A.10.B.".to_owned(), number: 1 },
            StoreOp::ForgetNumbers { below: "Device.A.1.".to_owned() },
            StoreOp::PutIdentity { table: table.as_str().into(), id: "meter1".into(), number: 7 },
            StoreOp::PutNotification { id: u64::MAX, bytes: vec![0, 1, 255] },
            StoreOp::PutNotification { id: 3, bytes: vec![] },
            StoreOp::PutNotification { id: 4, bytes: vec![9] },
            StoreOp::DeleteNotification { id: 4 },
            meta("boot", "1"),
        ],
    )
    .await;

    let (store, snapshot) = Store::open(dir.path()).unwrap();
    let row = ("Device.LocalAgent.Subscription.1.".to_owned(), vec![("Alias".to_owned(), "b".to_owned())]);
    assert_eq!(snapshot.rows, vec![row]);
    assert_eq!(snapshot.highest, vec![("Device.A.10.B.".to_owned(), 1), (table.clone(), 7)]);
    assert_eq!(snapshot.identities, vec![(table, "meter1".to_owned(), 7)]);
    let mut notifications = snapshot.notifications;
    notifications.sort();
    assert_eq!(notifications, vec![(3, vec![]), (u64::MAX, vec![0, 1, 255])]);
    assert_eq!(snapshot.meta, vec![("boot".to_owned(), "1".to_owned())]);
    store.close().await;
}

#[tokio::test]
async fn clear_keeps_only_what_is_named() {
    let dir = dir();
    let (store, _) = Store::open(dir.path()).unwrap();
    let highest = StoreOp::PutHighest { table: "Device.A.".to_owned(), number: 1 };
    store
        .write(vec![put("Device.A.1.", "x"), highest, meta("old", "1"), meta("boot_cause", "reset")])
        .await
        .unwrap();
    store.clear(&["boot_", "none"]).await.unwrap();
    store.close().await;
    let (_store, snapshot) = Store::open(dir.path()).unwrap();
    let expected =
        Snapshot { meta: vec![("boot_cause".to_owned(), "reset".to_owned())], ..Snapshot::default() };
    assert_eq!(snapshot, expected);
}

#[tokio::test]
async fn only_the_owner_can_read_it() {
    let dir = dir();
    let state = dir.path().join("new/state");
    let (store, _) = Store::open(&state).unwrap();
    store.write(vec![put("Device.A.1.", "x")]).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    for name in ["broker.db", "broker.db-wal", "broker.lock"] {
        assert_eq!(mode(&state.join(name)), 0o600, "{name}");
    }
    store.close().await;
}

#[tokio::test]
async fn a_second_broker_is_refused_and_told_who_is_first() {
    let dir = dir();
    let (first, _) = Store::open(dir.path()).unwrap();
    let error = Store::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("in use by another usp-broker"), "{error}");
    assert!(error.contains(&std::process::id().to_string()), "{error}");
    let error = restore(dir.path(), first.path(), true).unwrap_err();
    assert!(matches!(error, StoreError::Busy { .. }), "{error}");
    first.close().await;
    let (second, _) = Store::open(dir.path()).unwrap();
    second.close().await;
}

#[tokio::test]
async fn a_newer_store_is_refused_and_left_alone() {
    let dir = dir();
    with_rows(&dir, vec![put("Device.A.1.", "x")]).await;
    raw(&dir).pragma_update(None, "user_version", VERSION + 1).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found, known, .. } if found == known + 1), "{error}");
    raw(&dir).pragma_update(None, "user_version", VERSION).unwrap();
    let (_store, snapshot) = Store::open(dir.path()).unwrap();
    assert_eq!(snapshot.rows.len(), 1);
}

#[test]
fn an_older_store_is_migrated() {
    let dir = dir();
    // Version 0 is a file in which nothing was ever made.
    let connection = raw(&dir);
    connection.execute_batch("PRAGMA user_version = 0; VACUUM;").unwrap();
    drop(connection);
    Store::open(dir.path()).unwrap();
    let version: u32 = raw(&dir).query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, VERSION);
}

#[test]
fn a_foreign_database_is_refused() {
    let dir = dir();
    raw(&dir).execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
}

#[tokio::test]
async fn a_damaged_file_is_named() {
    let dir = dir();
    let file = dir.path().join(FILE_NAME);
    fs::write(&file, vec![b'x'; 8192]).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");

    fs::remove_file(&file).unwrap();
    with_rows(&dir, (0..200).map(|i| put(&format!("Device.A.{i}."), &"x".repeat(100))).collect()).await;
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4096].fill(0xff);
    fs::write(&file, bytes).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn a_full_disk_keeps_the_old_state() {
    let dir = dir();
    lock::make_dir(dir.path()).unwrap();
    let connection = schema::open(&dir.path().join(FILE_NAME)).unwrap();
    connection.execute_batch("PRAGMA max_page_count = 20").unwrap();
    let (commands, inbox) = mpsc::channel(QUEUE);
    let lock = StateLock::take(dir.path()).unwrap();
    let thread = std::thread::spawn(move || worker::run(connection, lock, inbox));
    let keeper = StoreKeeper::new(std::collections::BTreeMap::new(), &commands);
    let store = Store { commands, thread: Some(thread), path: dir.path().join(FILE_NAME), keeper };

    store.write(vec![put("Device.A.1.", "kept")]).await.unwrap();
    let big = vec![put("Device.A.1.", "lost"), put("Device.A.2.", &"x".repeat(200_000))];
    assert_eq!(store.write(big).await, Err("the disk is full".to_owned()));
    store.write(vec![put("Device.A.3.", "goes on")]).await.unwrap();
    store.close().await;

    let (_store, snapshot) = Store::open(dir.path()).unwrap();
    let values: Vec<_> =
        snapshot.rows.iter().map(|(path, params)| (path.as_str(), params[0].1.as_str())).collect();
    assert_eq!(values, [("Device.A.1.", "kept"), ("Device.A.3.", "goes on")]);
}

#[tokio::test]
async fn backup_of_a_running_store_can_be_restored_elsewhere() {
    let (dir, other) = (dir(), dir());
    let copy = other.path().join("hub.backup");
    let (store, _) = Store::open(dir.path()).unwrap();
    store.write(vec![put("Device.A.1.", "x")]).await.unwrap();
    fs::write(&copy, "an older backup").unwrap();
    backup(dir.path(), &copy).unwrap();
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    store.write(vec![put("Device.A.2.", "later")]).await.unwrap();
    store.close().await;

    let state = other.path().join("state");
    with_rows_in(&state, vec![put("Device.B.1.", "former hub")]).await;
    assert!(matches!(restore(&state, &copy, false).unwrap_err(), StoreError::Occupied { .. }));
    let (store, snapshot) = Store::open(&state).unwrap();
    assert_eq!(snapshot.rows[0].0, "Device.B.1.", "the former store stays unless it may be replaced");
    store.close().await;
    restore(&state, &copy, true).unwrap();
    let (_store, snapshot) = Store::open(&state).unwrap();
    assert_eq!(snapshot.rows.len(), 1);
    assert_eq!(snapshot.rows[0].0, "Device.A.1.");
}

async fn with_rows_in(state: &Path, ops: Vec<StoreOp>) {
    let (store, _) = Store::open(state).unwrap();
    store.write(ops).await.unwrap();
    store.close().await;
}

/// Only root can give a file away; for anybody else there is nothing to give.
#[tokio::test]
async fn what_root_restores_belongs_to_the_broker() {
    let (dir, other) = (dir(), dir());
    with_rows(&dir, vec![put("Device.A.1.", "x")]).await;
    let (copy, state) = (other.path().join("hub.backup"), other.path().join("state"));
    backup(dir.path(), &copy).unwrap();
    fs::create_dir(&state).unwrap();
    let given = std::os::unix::fs::chown(&state, Some(65_534), Some(65_534)).is_ok();
    restore(&state, &copy, false).unwrap();
    let owner = fs::metadata(&state).unwrap().uid();
    assert_eq!(owner == 65_534, given);
    for entry in fs::read_dir(&state).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().uid(), owner);
    }
}

#[tokio::test]
async fn restore_refuses_what_is_no_backup_and_keeps_the_store() {
    let dir = dir();
    with_rows(&dir, vec![put("Device.A.1.", "x")]).await;
    let file = dir.path().join("backup");
    let refused = |file: &Path| restore(dir.path(), file, true).unwrap_err();
    assert!(matches!(refused(&file), StoreError::Missing { .. }));
    fs::write(&file, "").unwrap();
    assert!(matches!(refused(&file), StoreError::NotABackup { .. }));
    fs::write(&file, "hello".repeat(1000)).unwrap();
    assert!(matches!(refused(&file), StoreError::NotABackup { .. }));
    assert!(matches!(backup(&dir.path().join("none"), &file).unwrap_err(), StoreError::Missing { .. }));
    let (_store, snapshot) = Store::open(dir.path()).unwrap();
    assert_eq!(snapshot.rows.len(), 1);
    assert!(!dir.path().join("broker.db.part").exists());
}

#[tokio::test]
async fn what_buses_keep_outlives_the_process_and_a_backup() {
    let (dir, other) = (dir(), dir());
    let (store, _) = Store::open(dir.path()).unwrap();
    let keeper = store.keeper();
    keeper.keep("mesh", "network", Some(vec![0, 1, 255])).await.unwrap();
    keeper.keep("mesh", "gone", Some(vec![2])).await.unwrap();
    keeper.keep("mesh", "gone", None).await.unwrap();
    keeper.keep("shed", "network", Some(vec![3])).await.unwrap();
    assert!(!format!("{keeper:?}").contains("255"));
    store.close().await;
    assert_eq!(keeper.keep("mesh", "network", None).await, Err(GONE.to_owned()), "it holds nothing open");
    let copy = other.path().join("copy");
    backup(dir.path(), &copy).unwrap();
    restore(other.path(), &copy, false).unwrap();
    let (store, _) = Store::open(other.path()).unwrap();
    assert_eq!(store.keeper().all("mesh"), [("network".to_owned(), vec![0, 1, 255])]);
    store.clear(&[]).await.unwrap();
    assert_eq!(store.keeper().all("mesh"), []);
    store.close().await;
    let (store, _) = Store::open(other.path()).unwrap();
    assert_eq!(store.keeper().all("shed"), []);
}

/// A store of version 1, as it was before buses kept anything.
#[tokio::test]
async fn a_store_without_what_buses_keep_gains_it() {
    let dir = dir();
    with_rows(&dir, vec![meta("boot", "1")]).await;
    let connection = raw(&dir);
    connection.execute_batch("DROP TABLE kept").unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    drop(connection);
    let (store, snapshot) = Store::open(dir.path()).unwrap();
    assert_eq!(snapshot.meta, vec![("boot".to_owned(), "1".to_owned())]);
    store.keeper().keep("mesh", "network", Some(vec![1])).await.unwrap();
}
