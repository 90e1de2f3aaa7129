use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;

use tempfile::TempDir;
use usp_core::output::Snapshot;

use super::*;
use crate::driver::KEPT;
use crate::store::Store;

fn config(dir: &TempDir, text: &str) -> Config {
    let uds = "[uds]\nagent_path = \"agent\"\ncontroller_path = \"controller\"\n";
    Config::parse(&format!("{uds}{text}"), "broker.toml", dir.path())
        .unwrap_or_else(|error| panic!("{error}"))
}

fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

async fn failure(config: Config) -> String {
    App::start(config).await.map(|app| app.endpoint_id().clone()).unwrap_err().to_string()
}

#[test]
fn derived_endpoint_ids_are_valid() {
    for (high, low) in [(0, 0), (u64::MAX, u64::MAX), (0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210)] {
        let text = format!("uuid::{}", uuid(high, low));
        EndpointId::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    assert_eq!(uuid(0, 0), "00000000-0000-4000-8000-000000000000");
}

#[tokio::test]
async fn starts_listens_and_ends_without_a_trace() {
    let dir = dir();
    let app = App::start(config(&dir, "[websocket]\nlisten = \"127.0.0.1:0\"\n")).await.unwrap();
    assert_ne!(app.websocket_address().unwrap().port(), 0);
    std::net::TcpStream::connect(app.websocket_address().unwrap()).unwrap();
    std::os::unix::net::UnixStream::connect(app.agent_path().unwrap()).unwrap();
    std::os::unix::net::UnixStream::connect(app.controller_path().unwrap()).unwrap();
    assert_eq!(app.shutdown().await, Exit::Stopped);
    assert!(!dir.path().join("agent").exists() && !dir.path().join("controller").exists());
}

#[tokio::test]
async fn a_derived_endpoint_id_stays() {
    let dir = dir();
    let start = async || {
        let app = App::start(config(&dir, "")).await.unwrap();
        let id = app.endpoint_id().clone();
        app.shutdown().await;
        id
    };
    let first = start().await;
    assert_eq!(first.scheme(), "uuid");
    assert_eq!(start().await, first);
    let other = dir.path().join("other");
    let app = App::start(Config { state_dir: other, ..config(&dir, "") }).await.unwrap();
    assert_ne!(*app.endpoint_id(), first);
}

#[tokio::test]
async fn whatever_is_in_the_way_is_named() {
    let dir = dir();
    let app = App::start(config(&dir, "[websocket]\nlisten = \"127.0.0.1:0\"\n")).await.unwrap();
    let error = failure(config(&dir, "")).await;
    assert!(error.contains("in use by another usp-broker"), "{error}");
    let state = "[agent]\nstate_dir = \"other\"\n";
    let error = failure(config(&dir, state)).await;
    assert!(error.contains("agent is in use by another process"), "{error}");
    let port = app.websocket_address().unwrap();
    let text = format!("enable = false\n{state}[websocket]\nlisten = \"{port}\"\n");
    let error = failure(config(&dir, &text)).await;
    assert_eq!(error, format!("[websocket] listen = \"{port}\": the port is in use"));
    app.shutdown().await;

    // What had been started before the failure is gone: the same place works.
    App::start(config(&dir, state)).await.unwrap().shutdown().await;
}

#[tokio::test]
async fn a_missing_site_or_mapping_folder_is_named() {
    let dir = dir();
    let error = failure(config(&dir, "[agent]\nsite = \"home.yaml\"\n")).await;
    assert!(error.contains("the site file") && error.contains("home.yaml: No such file"), "{error}");
    fs::write(dir.path().join("home.yaml"), "site: 1\n").unwrap();
    let error = failure(config(&dir, "[agent]\nsite = \"home.yaml\"\nmappings = [\"maps\"]\n")).await;
    assert!(error.contains("the mapping folder") && error.contains("maps: No such file"), "{error}");
}

#[tokio::test]
async fn a_broken_site_is_shown_with_its_place() {
    let dir = dir();
    fs::write(dir.path().join("home.yaml"), "site: 1\ndevices:\n  m1: {use: no.such, bus: b, unit: 1}\n")
        .unwrap();
    let error = failure(config(&dir, "[agent]\nsite = \"home.yaml\"\n")).await;
    assert!(error.contains("home.yaml:3:") && error.contains("no.such"), "{error}");
}

#[tokio::test]
async fn a_changed_site_is_used_if_it_is_right() {
    let dir = dir();
    let site = dir.path().join("home.yaml");
    fs::write(&site, "site: 1\nbuses: {}\ndevices: {}\n").unwrap();
    let mut app = App::start(config(&dir, "[agent]\nsite = \"home.yaml\"\n")).await.unwrap();
    app.reload_site().await.unwrap();
    fs::write(&site, "site: 1\ndevices: [\n").unwrap();
    assert!(matches!(app.reload_site().await, Err(SiteError::Invalid(_))));
    app.reload(config(&dir, "")).await.unwrap();
    app.reload_site().await.unwrap();
    app.shutdown().await;
}

#[tokio::test]
async fn a_seed_that_does_not_fit_keeps_it_from_starting_and_from_passing_the_check() {
    let dir = dir();
    let text = "[[object]]\npath = \"Device.NoSuch.\"\nparams = { A = \"b\" }\n";
    assert!(check(&config(&dir, text)).unwrap_err().to_string().contains("Device.NoSuch."));
    assert!(failure(config(&dir, text)).await.contains("Device.NoSuch."));
    assert_eq!(check(&config(&dir, "")).unwrap().devices, 0);
}

#[tokio::test]
async fn a_stale_socket_is_replaced() {
    let dir = dir();
    drop(UnixListener::bind(dir.path().join("agent")).unwrap());
    App::start(config(&dir, "")).await.unwrap().shutdown().await;
}

#[tokio::test]
async fn the_endpoint_id_outlives_a_factory_reset() {
    let dir = dir();
    let (store, _) = Store::open(dir.path()).unwrap();
    let id = own_id(&config(&dir, ""), &store, &Snapshot::default()).await.unwrap();
    store.clear(&KEPT).await.unwrap();
    store.close().await;
    let (store, snapshot) = Store::open(Path::new(dir.path())).unwrap();
    assert_eq!(own_id(&config(&dir, ""), &store, &snapshot).await.unwrap(), id);
}

#[tokio::test]
async fn a_promised_factory_reset_is_done_at_the_next_start() {
    let dir = dir();
    let state = dir.path().join("state");
    let (store, _) = Store::open(&state).unwrap();
    let meta = |key: &str, value: &str| StoreOp::PutMeta { key: key.to_owned(), value: value.to_owned() };
    let path = "Device.LocalAgent.Controller.7.".to_owned();
    let row = StoreOp::PutRow { path, params: vec![("EndpointID".to_owned(), "self::old".to_owned())] };
    let id = meta(ENDPOINT_ID, "self::kept");
    store.write(vec![row, id, meta("seeded", "1"), meta(RESET_PENDING, "1")]).await.unwrap();
    store.close().await;

    let app = App::start(config(&dir, "")).await.unwrap();
    assert_eq!(app.endpoint_id().as_str(), "self::kept");
    app.shutdown().await;
    let (_store, snapshot) = Store::open(&state).unwrap();
    assert!(!snapshot.rows.iter().any(|(path, _)| path.contains("Controller.7")), "{:?}", snapshot.rows);
    assert!(!snapshot.meta.iter().any(|(key, _)| key == RESET_PENDING), "once is enough");
}

mod live {
    //! A Controller at the sockets of a whole broker.

    use usp_proto::usp::request::ReqType;
    use usp_proto::usp::response::RespType;
    use usp_proto::usp::{Get, Operate, Set, set};

    use super::*;
    use crate::client::{Client, Notifications, Options, RequestError};

    const CONTROLLER: &str = "[websocket]\nlisten = \"127.0.0.1:0\"\n[[controller]]\nendpoint_id = \"self::c\"\nrole = \"Full Access\"\n";
    const VALUE: &str = "Device.LocalAgent.Controller.1.ProvisioningCode";

    async fn over_uds(app: &App, name: &str) -> (Client, Notifications) {
        let via = format!("uds:{}", app.agent_path().unwrap().display()).parse().unwrap();
        Client::connect(&Options::new(via, name.parse().unwrap())).await.unwrap()
    }

    async fn over_websocket(app: &App, name: &str) -> (Client, Notifications) {
        let via = format!("ws://{}/usp", app.websocket_address().unwrap()).parse().unwrap();
        Client::connect(&Options::new(via, name.parse().unwrap())).await.unwrap()
    }

    async fn get(client: &Client, path: &str) -> Result<Option<String>, RequestError> {
        let get = Get { param_paths: vec![path.to_owned()], max_depth: 0 };
        let RespType::GetResp(answer) = client.request(ReqType::Get(get)).await? else {
            panic!("not a GetResp")
        };
        let found = answer.req_path_results.into_iter().next().unwrap().resolved_path_results;
        Ok(found
            .into_iter()
            .next()
            .and_then(|object| object.result_params.values().next().map(str::to_owned)))
    }

    async fn set(client: &Client, value: &str) -> Result<RespType, RequestError> {
        let (obj_path, param) = VALUE.split_at(VALUE.rfind('.').unwrap() + 1);
        let param_settings = vec![set::UpdateParamSetting {
            param: param.to_owned(),
            value: value.to_owned(),
            required: true,
        }];
        let update_objs = vec![set::UpdateObject { obj_path: obj_path.to_owned(), param_settings }];
        client.request(ReqType::Set(Set { allow_partial: false, update_objs })).await
    }

    async fn operate(client: &Client, command: &str) -> Result<RespType, RequestError> {
        let operate = Operate { command: command.to_owned(), send_resp: true, ..Operate::default() };
        client.request(ReqType::Operate(operate)).await
    }

    #[tokio::test]
    async fn both_transports_reach_the_same_agent() {
        let dir = dir();
        let app = App::start(config(&dir, CONTROLLER)).await.unwrap();
        let (uds, _told) = over_uds(&app, "self::c").await;
        let (websocket, _told) = over_websocket(&app, "self::c").await;
        set(&uds, "by socket").await.unwrap();
        assert_eq!(get(&websocket, VALUE).await.unwrap().as_deref(), Some("by socket"));
        app.shutdown().await;
    }

    #[tokio::test]
    async fn one_endpoint_has_one_connection_of_a_kind() {
        let dir = dir();
        let app = App::start(config(&dir, CONTROLLER)).await.unwrap();
        // On a socket the newcomer is refused, over WebSocket it takes over.
        let (first, _told) = over_uds(&app, "self::c").await;
        let (second, mut told) = over_uds(&app, "self::c").await;
        let end = told.next().await.unwrap_err().to_string();
        assert!(end.contains("in use"), "{end}");
        drop(second);
        get(&first, VALUE).await.unwrap();

        let (_first, mut told) = over_websocket(&app, "self::c").await;
        let (second, _told) = over_websocket(&app, "self::c").await;
        let end = told.next().await.unwrap_err().to_string();
        assert!(end.contains("took over"), "{end}");
        get(&second, VALUE).await.unwrap();
        app.shutdown().await;
    }

    #[tokio::test]
    async fn goodbye_is_said_and_nobody_waits_for_long() {
        let dir = dir();
        let app = App::start(config(&dir, CONTROLLER)).await.unwrap();
        let (_uds, mut of_uds) = over_uds(&app, "self::c").await;
        let (_websocket, mut of_websocket) = over_websocket(&app, "self::c").await;
        let began = std::time::Instant::now();
        assert_eq!(app.shutdown().await, Exit::Stopped);
        assert!(began.elapsed() < std::time::Duration::from_secs(2), "{:?}", began.elapsed());
        of_uds.next().await.unwrap_err();
        of_websocket.next().await.unwrap_err();
    }

    #[tokio::test]
    async fn reboot_ends_the_app_and_keeps_what_was_set() {
        let dir = dir();
        let mut app = App::start(config(&dir, CONTROLLER)).await.unwrap();
        let (client, _told) = over_uds(&app, "self::c").await;
        set(&client, "kept").await.unwrap();
        operate(&client, "Device.Reboot()").await.unwrap();
        assert_eq!(app.ended().await, Exit::Reboot);
        let app = App::start(config(&dir, CONTROLLER)).await.unwrap();
        let (client, _told) = over_uds(&app, "self::c").await;
        assert_eq!(get(&client, VALUE).await.unwrap().as_deref(), Some("kept"));
        app.shutdown().await;
    }

    #[tokio::test]
    async fn factory_reset_forgets_all_but_who_we_are() {
        let dir = dir();
        let mut app = App::start(config(&dir, CONTROLLER)).await.unwrap();
        let id = app.endpoint_id().clone();
        let (client, _told) = over_uds(&app, "self::c").await;
        set(&client, "forgotten").await.unwrap();
        operate(&client, "Device.FactoryReset()").await.unwrap();
        assert_eq!(app.ended().await, Exit::FactoryReset);

        let (store, snapshot) = Store::open(&dir.path().join("state")).unwrap();
        assert!(snapshot.rows.is_empty() && snapshot.highest.is_empty());
        let kept = |key: &str| KEPT.iter().any(|prefix| key.starts_with(prefix));
        assert!(snapshot.meta.iter().all(|(key, _)| kept(key)), "{:?}", snapshot.meta);
        store.close().await;

        let app = App::start(config(&dir, CONTROLLER)).await.unwrap();
        assert_eq!(*app.endpoint_id(), id);
        let (client, _told) = over_uds(&app, "self::c").await;
        assert_eq!(get(&client, VALUE).await.unwrap().as_deref(), Some(""));
        app.shutdown().await;
    }

    #[tokio::test]
    async fn a_full_disk_refuses_changes_and_nothing_else() {
        let dir = dir();
        let app = App::start(config(&dir, CONTROLLER)).await.unwrap();
        let (client, _told) = over_uds(&app, "self::c").await;
        set(&client, "kept").await.unwrap();
        let blocker =
            rusqlite::Connection::open(dir.path().join("state").join(crate::store::FILE_NAME)).unwrap();
        // Another writer holds the file for longer than SQLite waits: as good as a full disk, without one.
        blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
        match set(&client, "lost").await {
            Err(RequestError::Refused(error)) => assert_eq!(error.err_code, 7005, "{error:?}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(get(&client, VALUE).await.unwrap().as_deref(), Some("kept"));
        blocker.execute_batch("ROLLBACK").unwrap();
        set(&client, "better").await.unwrap();
        app.shutdown().await;
    }
}

const SEEDS: &str = r#"
[[role]]
name = "Reader"
[[role.permission]]
targets = ["Device.DeviceInfo.", "Device.Time."]
param = "r--n"
[[mqtt]]
name = "main"
broker = "127.0.0.1:1"
response_topic = "usp/agent/hub1"
username = "hub"
password = "old-secret"
params = { KeepAliveTime = 60 }
[[controller]]
endpoint_id = "self::me"
role = "Reader"
params = { PeriodicNotifInterval = 600 }
mqtt = { client = "main", topic = "usp/controller/me" }
[[object]]
path = "Device.LocalAgent.Subscription."
params = { ID = "boot", NotifType = "Event", ReferenceList = "Device.Boot!" }
"#;

/// What is told at a start with `text` after a first start with `first`.
async fn unused_after(first: &str, text: &str) -> Vec<String> {
    let dir = dir();
    App::start(config(&dir, first)).await.unwrap().shutdown().await;
    let config = config(&dir, text);
    let (store, snapshot) = Store::open(&config.state_dir).unwrap();
    store.close().await;
    unused::unused(&config.seed, &snapshot).iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn seeds_of_the_first_start_are_used() {
    let config = config(&dir(), SEEDS);
    assert!(unused::unused(&config.seed, &Snapshot::default()).is_empty());
    assert_eq!(unused_after(SEEDS, SEEDS).await, [""; 0]);
}

#[tokio::test]
async fn seeds_that_come_later_are_told_to_have_no_effect() {
    let told = unused_after("", SEEDS).await;
    let sections = ["[[role]] \"Reader\"", "[[mqtt]] \"main\"", "[[controller]] \"self::me\"", "[[object]] "];
    assert_eq!(told.len(), sections.len(), "{told:#?}");
    for (told, section) in told.iter().zip(sections) {
        assert!(told.starts_with(section) && told.contains("no such row"), "{told}");
        assert!(told.contains("`usp-broker add`") && told.contains("FactoryReset()"), "{told}");
    }
}

#[tokio::test]
async fn changed_seeds_are_told_by_their_keys_and_never_by_a_password() {
    let changed = SEEDS
        .replace("role = \"Reader\"", "role = \"Full Access\"")
        .replace("127.0.0.1:1", "127.0.0.1:2")
        .replace("old-secret", "new-secret")
        .replace("= 600", "= 900")
        .replace("usp/controller/me", "usp/controller/you")
        .replace("r--n", "rw-n")
        .replace("Device.Boot!", "Device.LocalAgent.Periodic!");
    let told = unused_after(SEEDS, &changed).await;
    let expected = [
        "[[role]] \"Reader\" has no effect: the permission of order 1 differs",
        "[[mqtt]] \"main\" has no effect: broker, password differ from Device.MQTT.Client.1., ",
        "[[controller]] \"self::me\" has no effect: role, mqtt, PeriodicNotifInterval differ",
        "[[object]] \"Device.LocalAgent.Subscription.\" has no effect: ReferenceList differs",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected) && told.contains("`usp-broker set`"), "{told}");
        assert!(!told.contains("secret"), "{told}");
    }
}
