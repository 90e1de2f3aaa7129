//! `run`, `config check`, `mapping check`, `backup` and `restore`.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt;
use std::time::Duration;

use crate::support::{Place, exists, program, stderr, stdout};

#[test]
fn says_ready_and_ends_cleanly_on_both_signals() {
    for signal in ["TERM", "INT"] {
        let place = Place::new("[agent]\nendpoint_id = \"self::hub\"\n");
        let daemon = place.start();
        assert_eq!(daemon.ready, "ready endpoint_id=self::hub\n");
        assert!(exists(&place.path("agent")) && exists(&place.path("controller")));
        daemon.signal(signal);
        let (code, out, log) = daemon.end();
        assert_eq!((code, out.as_str()), (Some(0), ""), "{log}");
        assert!(!exists(&place.path("agent")) && !exists(&place.path("controller")));
    }
}

#[test]
fn starts_again_after_kill_9() {
    let place = Place::new("");
    let first = place.start();
    let ready = first.ready.clone();
    first.signal("KILL");
    assert_eq!(first.end().0, None);
    assert!(exists(&place.path("agent")), "a killed process cannot tidy up");
    let second = place.start();
    assert_eq!(second.ready, ready, "the derived Endpoint ID stays");
}

#[test]
fn tells_systemd() {
    let place = Place::new("");
    let socket = UnixDatagram::bind(place.path("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut child = program()
        .args(["run", "--config"])
        .arg(place.config())
        .env("NOTIFY_SOCKET", place.path("notify"))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut buffer = [0; 100];
    let count = socket.recv(&mut buffer).unwrap();
    assert_eq!(std::str::from_utf8(&buffer[..count]).unwrap().trim(), "READY=1");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn keeps_its_state_where_systemd_says() {
    let place = Place::new("");
    let daemon = place.start_with(|command| {
        command.env("STATE_DIRECTORY", place.path("lib/usp-broker"));
    });
    assert!(daemon.ready.starts_with("ready "), "{}", daemon.ready);
    assert!(exists(&place.path("lib/usp-broker/broker.db")) && !exists(&place.path("state")));
}

#[test]
fn a_broken_configuration_is_exit_code_2() {
    let place = Place::new("[agnet]\n");
    for arguments in [["run", "--config", "broker.toml"], ["config", "check", "broker.toml"]] {
        let output = place.output(&arguments);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(
            stderr(&output),
            "broker.toml:4:2: error: unknown section `agnet`; help: did you mean `agent`?\n"
        );
    }
    let output = place.output(&["run", "--config", "none.toml"]);
    assert_eq!(
        (output.status.code(), stderr(&output)),
        (Some(2), "error: none.toml: No such file or directory\n".into())
    );
    assert_eq!(place.output(&["run"]).status.code(), Some(2));
    let output = place.output(&["run", "--config", "broker.toml", "--log", "loud"]);
    assert!(
        output.status.code() == Some(2) && stderr(&output).contains("`loud` is none of"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn what_is_in_the_way_is_exit_code_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let place = Place::new(&format!("[websocket]\nlisten = \"{address}\"\n"));
    let output = place.output(&["run", "--config", "broker.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(&format!("\"{address}\": the port is in use")), "{}", stderr(&output));
    assert_eq!(stdout(&output), "", "it was never ready");
}

#[test]
fn config_check_reads_the_site_too() {
    let place = Place::new("[agent]\nsite = \"site.yaml\"\n");
    let output = place.output(&["config", "check", "broker.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("site.yaml: No such file"), "{}", stderr(&output));
    fs::write(place.path("site.yaml"), "site: 1\nbuses: {}\ndevices: {}\n").unwrap();
    let output = place.output(&["config", "check", "broker.toml"]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), "broker.toml: ok, 0 devices\n"));
    assert!(!exists(&place.path("state")), "nothing was started");
}

#[test]
fn mapping_check_shows_every_file_and_has_a_form_for_programs() {
    let place = Place::new("");
    fs::write(place.path("good.yaml"), "site: 1\nbuses: {}\ndevices: {}\n").unwrap();
    fs::write(place.path("bad.yaml"), "site: 1\ndevices:\n  m: {use: no.such, bus: b, unit: 1}\n").unwrap();
    let output = place.output(&["mapping", "check", "bad.yaml", "good.yaml"]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), "good.yaml: ok\n"));
    assert!(stderr(&output).contains("bad.yaml:3:"), "{}", stderr(&output));

    let output = place.output(&["mapping", "check", "--json", "bad.yaml", "good.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    let lines: Vec<serde_json::Value> =
        stdout(&output).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!((lines[0]["ok"].as_bool(), lines[1]["ok"].as_bool()), (Some(false), Some(true)));
    assert_eq!(lines[0]["diagnostics"][0]["line"], 3);
    assert_eq!(place.output(&["mapping", "check", "none.yaml"]).status.code(), Some(2));

    // What cannot be opened is a problem like others, and ends nothing.
    fs::write(place.path("latin.yaml"), b"site: 1\nbuses: {} # 20 \xb0C\n").unwrap();
    let output = place.output(&["mapping", "check", "--json", "none.yaml", "latin.yaml", "good.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    let lines: Vec<serde_json::Value> =
        stdout(&output).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let told = |line: usize| lines[line]["diagnostics"][0].clone();
    assert_eq!((lines.len(), &told(0)["code"], &told(1)["code"]), (3, &"M096".into(), &"M001".into()));
    assert_eq!((&told(1)["line"], &told(1)["column"]), (&2.into(), &16.into()));
    assert_eq!(lines[2]["ok"], true);
}

#[test]
fn files_that_are_named_together_may_extend_each_other() {
    let place = Place::new("");
    let base = "uspmap: 1\nprofile: acme.base\nversion: 1.0.0\ndevice: {type: Meter}\ncapabilities:\n  e: {class: LevelSensor, type: Energy, unit: kWh, read: {input: 0}}\n";
    fs::write(place.path("base.yaml"), base).unwrap();
    fs::write(
        place.path("own.yaml"),
        "uspmap: 1\nprofile: acme.own\nversion: 1.0.0\nextends: acme.base@^1\n",
    )
    .unwrap();
    assert_eq!(place.output(&["mapping", "check", "base.yaml", "own.yaml"]).status.code(), Some(0));
    let alone = place.output(&["mapping", "check", "own.yaml"]);
    assert_eq!(alone.status.code(), Some(2));
    assert!(stderr(&alone).contains("--mappings FOLDER"), "{}", stderr(&alone));
}

#[test]
fn a_value_that_cannot_be_sent_is_no_success() {
    let place = Place::new("");
    let refused = place.output(&["mapping", "explain", "usp.demo-meter", "--set", "setpoint=999"]);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("--set setpoint=999"), "{}", stderr(&refused));
    let told = stdout(&refused);
    assert!(told.contains("9600 baud, 8E1 (assumed: "), "{told}");
}

#[test]
fn mapping_check_takes_folders_and_mends() {
    let place = Place::new("");
    fs::create_dir_all(place.path("all/meters")).unwrap();
    let mapping = "uspmap: 1\nprofile: acme.x\nversion: 1.0.0\ndevice: {type: Meter}\ncapabilities:\n  e: {class: LevelSensor, type: Energy, unit: KWh, read: {input: 0, sacle: 0.1}}\n";
    fs::write(place.path("all/meters/x.yaml"), mapping).unwrap();
    fs::write(place.path("all/compose.yml"), "services: {}\n").unwrap();
    fs::write(place.path("all/site.yaml"), "site: 1\nbuses: {}\ndevices: {}\n").unwrap();
    let output = place.output(&["mapping", "check", "all"]);
    assert_eq!(output.status.code(), Some(2));
    let left_out = "all/compose.yml: neither a mapping nor a site, left out\n";
    assert_eq!(stdout(&output), format!("{left_out}all/site.yaml: ok\n"));
    let told = "1 of 2 files cannot be used: 2 errors, 0 warnings; --fix can mend 2 of them";
    assert!(stderr(&output).contains(told), "{}", stderr(&output));

    let output = place.output(&["mapping", "check", "--json", "all/meters/x.yaml"]);
    let line: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let fix = serde_json::json!({"line": 6, "column": 47, "end_line": 6, "end_column": 50, "text": "kWh"});
    assert_eq!(line["diagnostics"][0]["fix"], fix, "{line}");

    let output = place.output(&["mapping", "check", "--fix", "all/meters/x.yaml"]);
    assert_eq!(stdout(&output), "all/meters/x.yaml: 2 mistakes mended\nall/meters/x.yaml: ok\n");
    let mended = mapping.replace("KWh", "kWh").replace("sacle", "scale");
    assert_eq!(fs::read_to_string(place.path("all/meters/x.yaml")).unwrap(), mended);
    assert_eq!(place.output(&["mapping", "check", "all"]).status.code(), Some(0));
}

#[test]
fn mapping_schema_prints_json() {
    let place = Place::new("");
    for (arguments, key) in
        [(&["mapping", "schema"][..], "uspmap"), (&["mapping", "schema", "--site"], "site")]
    {
        let schema: serde_json::Value = serde_json::from_str(&stdout(&place.output(arguments))).unwrap();
        assert!(schema["properties"][key].is_object(), "{key}");
    }
}

#[test]
fn a_broken_site_after_sighup_changes_nothing() {
    let place = Place::new("[agent]\nsite = \"site.yaml\"\n");
    fs::write(place.path("site.yaml"), "site: 1\nbuses: {}\ndevices: {}\n").unwrap();
    let mut daemon = place.start();
    daemon.signal("HUP");
    daemon.log_until("loaded anew");
    fs::write(place.path("site.yaml"), "site: 1\ndevices: [\n").unwrap();
    daemon.signal("HUP");
    daemon.log_until("changed site is not used");
    fs::write(place.config(), "[nonsense]\n").unwrap();
    daemon.signal("HUP");
    daemon.log_until("changed configuration is not used");
    daemon.signal("TERM");
    assert_eq!(daemon.end().0, Some(0));
}

#[test]
fn backup_works_beside_a_running_broker_and_restore_does_not() {
    let place = Place::new("");
    let daemon = place.start();
    let output = place.output(&["backup", "hub.backup", "--config", "broker.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let output = place.output(&["restore", "hub.backup", "--config", "broker.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("in use by another usp-broker"), "{}", stderr(&output));

    let moved = Place::new("");
    fs::copy(place.path("hub.backup"), moved.path("hub.backup")).unwrap();
    assert_eq!(moved.output(&["restore", "hub.backup", "--state-dir", "state"]).status.code(), Some(0));
    let again = moved.output(&["restore", "hub.backup", "--state-dir", "state"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("broker.db is there already; --force replaces it"), "{}", stderr(&again));
    assert!(moved.output(&["restore", "hub.backup", "--state-dir", "state", "--force"]).status.success());
    assert_eq!(moved.start().ready, daemon.ready, "the Endpoint ID moved with the hub");
    assert_eq!(moved.output(&["backup", "x"]).status.code(), Some(2), "which broker?");
}

#[test]
fn a_seed_that_does_not_fit_is_told_with_its_file_and_section() {
    let place =
        Place::new("[[mqtt]]\nname = \"main\"\nbroker = \"127.0.0.1\"\nparams = { KeepAliveTim = 60 }\n");
    for arguments in [["config", "check", "broker.toml"], ["run", "--config", "broker.toml"]] {
        let output = place.output(&arguments);
        assert_eq!(output.status.code(), Some(2));
        let text = stderr(&output);
        assert!(
            text.contains("error: broker.toml: [[mqtt]] \"main\": Device.MQTT.Client.: KeepAliveTim"),
            "{text}"
        );
    }
    fs::write(place.config(), "[uds]\nmod = \"0600\"\n").unwrap();
    let text = stderr(&place.output(&["config", "check", "broker.toml"]));
    assert!(text.starts_with("broker.toml:2:1: error: ") && text.matches("error:").count() == 1, "{text}");
}

#[test]
fn a_store_that_may_not_be_read_is_not_told_to_be_missing() {
    let place = Place::new("");
    drop(place.start());
    let state = place.path("state");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o000)).unwrap();
    let mut command = program();
    command.arg("backup").arg(place.path("x")).arg("--state-dir").arg(&state);
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        // Root may read everything: somebody else asks, unless the program itself is out of his reach.
        command.uid(65_534);
    }
    if let Ok(output) = command.output() {
        assert!(stderr(&output).contains("no permission to use"), "{}", stderr(&output));
    }
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let place = Place::new("");
    let daemon = place.start_with(|command| {
        command.args(["--log", "trace"]);
    });
    // Each connection is some lines, and a pipe holds 64 KiB.
    for _ in 0..2000 {
        let mut peer = UnixStream::connect(place.path("agent")).unwrap();
        peer.write_all(b"no frame").unwrap();
        peer.read_to_end(&mut Vec::new()).unwrap();
    }
    daemon.signal("TERM");
    let (code, _, log) = daemon.end();
    assert_eq!(code, Some(0));
    assert!(log.len() > 65536 && log.contains("lines of this log are lost"), "{}", log.len());
}
