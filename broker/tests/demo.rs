//! The demo from outside: the binary is started as in README, and driven with its own Controller commands.
#![cfg(feature = "demo")]
#![expect(clippy::unwrap_used, reason = "what fails in a test may panic, in its helpers too")]

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_usp-broker");

/// A running demo in a folder of its own; stopped when dropped.
struct Demo {
    dir: TempDir,
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    endpoint_id: String,
}

impl Demo {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut process = Command::new(PROGRAM)
            .args(["demo", "--dir"])
            .arg(dir.path())
            .env_remove("USP_BROKER_VIA")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut demo = Self { dir, process, lines, endpoint_id: String::new() };
        demo.endpoint_id = demo.ready();
        demo
    }

    /// Waits for the next `ready` line.
    fn ready(&mut self) -> String {
        let line = self.lines.next().expect("the demo ended before it was ready").unwrap();
        line.strip_prefix("ready endpoint_id=").expect(&line).to_owned()
    }

    /// Types a line; what is said to it.
    fn says(&mut self, line: &str) -> String {
        writeln!(self.process.stdin.as_ref().unwrap(), "{line}").unwrap();
        self.lines.next().expect("the demo ended").unwrap()
    }

    fn uds(&self) -> String {
        format!("uds:{}/broker_agent_path", self.dir.path().display())
    }

    fn websocket(&self) -> String {
        let config = std::fs::read_to_string(self.dir.path().join("broker.toml")).unwrap();
        let listen = config.lines().find_map(|line| line.strip_prefix("listen = \"")).unwrap();
        format!("ws://{}/usp", listen.trim_end_matches('"'))
    }

    fn command(&self, via: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).args(["--via", via]);
        command
    }

    fn run(&self, via: &str, arguments: &[&str]) -> Output {
        self.command(via, arguments).output().unwrap()
    }

    /// Runs a command that has to succeed; its standard output.
    fn ok(&self, arguments: &[&str]) -> String {
        succeeded(self.run(&self.uds(), arguments), arguments)
    }

    fn json(&self, via: &str, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--json"]].concat();
        serde_json::from_str(&succeeded(self.run(via, &arguments), &arguments)).unwrap()
    }

    /// Runs a command that has to fail; its exit code and standard error.
    fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(&self.uds(), arguments);
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    /// Path of the first switch's Value, and what it is.
    fn switch(&self) -> (String, String) {
        let answer =
            self.json(&self.uds(), &["get", "Device.ProxiedDevice.*.IoTCapability.*.BinaryControl.Value"]);
        let values = answer["results"][0]["values"].as_object().unwrap();
        let (path, value) = values.iter().next().expect("the demo has a switch");
        (path.clone(), value.as_str().unwrap().to_owned())
    }

    fn stop(mut self) -> i32 {
        terminate(&self.process);
        self.process.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if self.process.try_wait().unwrap().is_none() {
            self.process.kill().ok();
            self.process.wait().ok();
        }
    }
}

fn terminate(process: &Child) {
    let status = Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap();
    assert!(status.success());
}

fn succeeded(output: Output, arguments: &[&str]) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {:?}\n{stderr}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

fn opposite(value: &str) -> &'static str {
    if value == "true" { "false" } else { "true" }
}

#[test]
fn devices_service_and_broker_answer_over_both_transports() {
    let demo = Demo::start();
    let sensors = demo.ok(&["get", "Device.ProxiedDevice.*.IoTCapability.*.LevelSensor."]);
    assert!(sensors.lines().any(|line| line.contains(".LevelSensor.Value ")), "{sensors}");
    let service = demo.ok(&["get", "Device.USPServices.USPService.*.DataModelPaths"]);
    let registered = service.trim().rsplit(" = ").next().unwrap().split(',').next().unwrap().to_owned();
    let (switch, _) = demo.switch();
    for via in [demo.uds(), demo.websocket()] {
        let all = demo.json(&via, &["get", "Device.LocalAgent.EndpointID", &registered, &switch]);
        let results = all["results"].as_array().unwrap();
        assert_eq!(results.len(), 3, "{all}");
        assert_eq!(results[0]["values"]["Device.LocalAgent.EndpointID"], *demo.endpoint_id);
        assert!(!results[1]["values"].as_object().unwrap().is_empty(), "{all}");
        assert!(results[2]["values"][&switch].is_string(), "{all}");
    }
    let supported = demo.ok(&["supported", "Device."]);
    assert!(
        supported.contains("Device.ProxiedDevice.{i}.") && supported.contains(&registered),
        "{supported}"
    );
    let rows = demo.ok(&["instances", "Device.ProxiedDevice.", "--first-level"]);
    assert!(rows.starts_with("Device.ProxiedDevice.1."), "{rows}");
    assert_eq!(demo.stop(), 0);
}

#[test]
fn a_switch_is_set_toggled_and_watched() {
    let demo = Demo::start();
    let (switch, before) = demo.switch();
    let arguments = ["watch", &switch, "--count", "1", "--json"];
    let mut watch = demo.command(&demo.uds(), &arguments);
    let mut watch = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let told = BufReader::new(watch.stderr.take().unwrap()).lines().next().unwrap().unwrap();
    assert_eq!(told, format!("watching {switch} (ValueChange)"));

    let setting = format!("{switch}={}", opposite(&before));
    let set = demo.ok(&["set", &setting]);
    assert_eq!(set, format!("{switch} = {}\n", opposite(&before)));
    let change: Value = serde_json::from_slice(&watch.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!((&change["type"], &change["path"]), (&"ValueChange".into(), &Value::from(switch.clone())));
    assert_eq!(change["value"], opposite(&before));

    let toggle = format!("{}Toggle()", switch.strip_suffix("Value").unwrap());
    assert!(demo.ok(&["operate", &toggle]).starts_with(&format!("{toggle} done")));
    assert_eq!(demo.switch().1, before);
    let left = demo.json(&demo.uds(), &["instances", "Device.LocalAgent.Subscription."]);
    assert_eq!(left["results"][0]["instances"], Value::Array(Vec::new()), "{left}");
}

#[test]
fn rows_are_added_changed_and_deleted() {
    let demo = Demo::start();
    let row = demo.ok(&[
        "add",
        "Device.LocalAgent.Subscription.",
        "ID=x",
        "NotifType=Event",
        "ReferenceList=Device.Boot!",
    ]);
    let row = row.trim();
    let set = demo.ok(&["set", &format!("{row}Enable=true"), &format!("{row}NotifRetry=true")]);
    assert_eq!(set, format!("{row}Enable     = true\n{row}NotifRetry = true\n"));
    let found = demo.ok(&["get", r#"Device.LocalAgent.Subscription.[ID=="x"].ReferenceList"#]);
    assert_eq!(found, format!("{row}ReferenceList = Device.Boot!\n"));
    assert_eq!(demo.ok(&["delete", row]), format!("deleted {row}\n"));
}

#[test]
fn failures_are_told_by_exit_code_and_words() {
    let demo = Demo::start();
    let (code, told) = demo.fails(&["get", "Device.NoSuchThing."]);
    assert_eq!(code, 1);
    assert!(told.starts_with("error 7026 Invalid path") && told.contains("Device.NoSuchThing."), "{told}");
    let (code, told) = demo.fails(&["set", "Device.LocalAgent.EndpointID=x"]);
    assert_eq!(code, 1);
    assert!(told.contains("7013"), "{told}");
    assert_eq!(demo.fails(&["set", "Device.LocalAgent.EndpointID"]).0, 2);
    assert_eq!(demo.fails(&["watch"]).0, 2);
    let nowhere = demo.run("uds:/nonexistent/socket", &["get", "Device."]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("nothing listens at uds:/nonexistent/socket"));
}

#[test]
fn a_reboot_restarts_the_demo_with_the_same_identity() {
    let mut demo = Demo::start();
    let row = demo.ok(&[
        "add",
        "Device.LocalAgent.Subscription.",
        "ID=keep",
        "NotifType=Event",
        "ReferenceList=Device.Boot!",
        "Persistent=true",
    ]);
    demo.ok(&["operate", "Device.Reboot()", "--no-wait"]);
    assert_eq!(demo.ready(), demo.endpoint_id);
    assert!(demo.ok(&["get", &format!("{}ID", row.trim())]).ends_with(" = keep\n"));
    assert!(Path::new(&demo.dir.path().join("demo.log")).exists());
    assert_eq!(demo.stop(), 0);
}

#[test]
fn devices_are_changed_and_go_wrong_on_demand() {
    let mut demo = Demo::start();
    let brightness = r#"Device.ProxiedDevice.[Name=="Reading lamp"].IoTCapability.[Name=="Brightness"].LevelControl.Value"#;
    let watch = ["watch", brightness, "--count", "1", "--json"];
    let mut watch = demo.command(&demo.uds(), &watch);
    let mut watch = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    BufReader::new(watch.stderr.take().unwrap()).lines().next().unwrap().unwrap();
    assert_eq!(demo.says("set lamp.level 127"), "lamp.level 127");
    let change: Value = serde_json::from_slice(&watch.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(change["value"], "127", "{change}");

    assert_eq!(demo.says("fault meter1 exception=4"), "fault exception=4");
    let (switch, before) = demo.switch();
    let (code, told) = demo.fails(&["set", &format!("{switch}={}", opposite(&before))]);
    assert!(code == 1 && told.contains("error 7002"), "{told}");
    assert!(demo.says("fault exception=4").contains("write fault DEVICE NAME, of boiler, "));
    assert!(demo.says("fault nobody silent").starts_with("error: "));
    assert_eq!(demo.says("clear"), "no faults");
    demo.ok(&["set", &format!("{switch}={}", opposite(&before))]);

    assert!(demo.says("set zigbee2mqtt.Coffee machine.state=ON").ends_with("Coffee machine.state ON"));
    writeln!(demo.process.stdin.as_ref().unwrap(), "quit").unwrap();
    assert!(demo.process.wait().unwrap().success());
}
