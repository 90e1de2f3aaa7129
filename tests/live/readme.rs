//! README's first mapping and its way over MQTT, followed to the letter.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use usp_mapping::diagnostic::SourceFile;
use usp_mapping::draft::MappingDraft;
use usp_simulators::modbus::{ModbusDevice, ModbusServer};
use usp_tests::cli::Cli;
use usp_tests::mosquitto::Mosquitto;
use usp_tests::place::Place;
use usp_tests::process::Process;
use usp_tests::role;
use usp_tests::wait::eventually;

use crate::ACTOR;

/// Where README says that the device is.
const DEVICE: &str = "127.0.0.1:1502";

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap()
}

/// The YAML block behind a line that ends in `` `NAME`: ``.
fn block<'t>(text: &'t str, name: &str) -> &'t str {
    let (_, rest) =
        text.split_once(&format!("`{name}`:\n\n```yaml\n")).unwrap_or_else(|| panic!("no {name}"));
    rest.split_once("```").unwrap().0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_mapping_works_as_it_is_told() {
    let text = readme();
    let dir = tempfile::tempdir().unwrap();
    let mapping = block(&text, "acme-heater.yaml");
    let (draft, problems) = MappingDraft::parse(&SourceFile::new("acme-heater.yaml", mapping));
    let device = ModbusDevice::from_draft(&draft.unwrap_or_else(|| panic!("{problems:?}")), 1).unwrap();
    let heater = ModbusServer::bind_still(([127, 0, 0, 1], 0).into(), [(1, device)]).await.unwrap();
    let site = block(&text, "site.yaml");
    assert!(site.contains(DEVICE), "{site}");
    fs::write(dir.path().join("acme-heater.yaml"), mapping).unwrap();
    fs::write(dir.path().join("site.yaml"), site.replace(DEVICE, &heater.local_addr().to_string())).unwrap();

    let socket = dir.path().join("agent.sock");
    let cli = Cli::new(ACTOR, &format!("uds:{}", socket.display()), dir.path());
    cli.ok(&["mapping", "check", "acme-heater.yaml", "site.yaml"]);
    let configure =
        text.lines().find(|line| line.starts_with("printf ")).expect("a line that makes broker.toml");
    assert!(Command::new("sh").args(["-c", configure]).current_dir(dir.path()).status().unwrap().success());
    let mut run = role::broker(ACTOR);
    let broker = Process::start(
        run.args(["run", "--config", "broker.toml"])
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stderr(Stdio::null()),
    );
    assert!(broker.line().starts_with("ready "));
    eventually("the heater", || {
        let told = cli.run(&["get", "Device.ProxiedDevice.1."]).out;
        let has =
            |words: [&str; 2]| told.lines().any(|line| line.contains(words[0]) && line.ends_with(words[1]));
        let all = [
            ["Device.ProxiedDevice.1.Name ", "= Water heater"],
            ["Device.ProxiedDevice.1.Online ", "= true"],
        ];
        (all.into_iter().all(has) && told.contains("LevelSensor.Value ")).then_some(())
    });
}

#[test]
fn the_way_over_mqtt_works_as_it_is_told() {
    let text = readme();
    let (_, section) = text.split_once("## Over MQTT").expect("a section about MQTT");
    let toml = section.split_once("```toml\n").unwrap().1.split_once("```").unwrap().0;
    let command = section.lines().find(|line| line.starts_with("usp-broker get ")).unwrap();
    let server = Mosquitto::start();
    let (host, port) = ("127.0.0.1", server.address().port());
    assert!(toml.contains("\"127.0.0.1:1883\"") && command.contains("mqtt://127.0.0.1/"), "{section}");

    let place = Place::new(ACTOR, "");
    let sockets = "[uds]\nagent_path = \"agent\"\ncontroller_path = \"controller\"\n";
    place.write("broker.toml", &(toml.replace("127.0.0.1:1883", &server.address().to_string()) + sockets));
    let broker = place.launch();
    assert_eq!(broker.line(), "ready endpoint_id=self::hub1", "{}", place.log());
    let command = command.replace("mqtt://127.0.0.1/", &format!("mqtt://{host}:{port}/"));
    let words: Vec<_> = command.split_whitespace().skip(1).collect();
    let cli = Cli::new(ACTOR, "", place.dir());
    eventually("the answer", || cli.run(&words).out.contains("Device.DeviceInfo.Manufacturer").then_some(()));
}
