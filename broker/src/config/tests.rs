use std::fs;

use super::*;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, "broker.toml", Path::new("/etc/usp"))
}

fn good(text: &str) -> Config {
    parse(text).unwrap_or_else(|error| panic!("{error}"))
}

/// The problems of a text, without the file's name.
fn problems(text: &str) -> Vec<String> {
    match parse(text) {
        Err(ConfigError::Invalid(problems)) => {
            problems.iter().map(|p| p.to_string().trim_start_matches("broker.toml:").to_owned()).collect()
        }
        other => panic!("{text}: {other:?}"),
    }
}

fn check(text: &str, expected: &str) {
    let found = problems(text);
    assert!(found.len() == 1 && found[0].starts_with(expected), "{text}\n{found:#?}\n{expected}");
}

#[test]
fn an_empty_file_runs_on_sockets_alone() {
    let config = good("");
    let uds = config.uds.unwrap();
    assert_eq!(uds.agent_path, Path::new("/var/run/usp/broker_agent_path"));
    assert_eq!((uds.mode, uds.trust, uds.local_role.as_str()), (0o660, UdsTrust::Socket, "Full Access"));
    assert!(config.websocket.is_none() && config.site.is_none() && config.endpoint_id.is_none());
    assert_eq!(config.state_dir, Path::new("/etc/usp/state"));
}

#[test]
fn every_section_is_read() {
    let config = good(
        r#"
[agent]
endpoint_id = "os::012345-hub1"
state_dir = "/var/lib/usp"
site = "site.yaml"
mappings = ["a", "/b"]
reboot_command = ["systemctl", "reboot"]
[device]
manufacturer = "ACME"
manufacturer_oui = "0A1B2C"
[uds]
agent_path = "a.sock"
controller_path = "c.sock"
mode = "0600"
trust = "table"
local_role = "Reader"
[websocket]
listen = "[::1]:0"
path = "/x"
keep_alive_s = 5
local_role = "Reader"
[[role]]
name = "Reader"
[[role.permission]]
targets = ["Device."]
param = "r--n"
[[role.permission]]
targets = ["Device.DeviceInfo."]
[[controller]]
endpoint_id = "self::ctrl1"
role = "Reader"
params = { PeriodicNotifInterval = 86_400, Enable = false, ProvisioningCode = "a b", X = 1.50 }
[[object]]
path = "Device.LocalAgent.Subscription."
params = { ID = "boot" }
[limits]
max_record_bytes = 1_000_000
service_timeout_ms = 250
mqtt_service_silence_s = 0
multi_device_atomic = "refuse"
"#,
    );
    assert_eq!(config.endpoint_id.clone().unwrap().as_str(), "os::012345-hub1");
    assert_eq!(config.site.as_deref(), Some(Path::new("/etc/usp/site.yaml")));
    assert_eq!(config.mappings, [Path::new("/etc/usp/a"), Path::new("/b")]);
    let core = config.core(config.endpoint_id.clone().unwrap(), Some(4321), 1);
    assert_eq!((core.identity.manufacturer.as_str(), core.identity.serial.as_str()), ("ACME", "012345-hub1"));
    assert_eq!(core.websocket.unwrap().port, 4321);
    assert_eq!(core.uds.unwrap().agent_path, "/etc/usp/a.sock");
    assert_eq!(core.limits.service_timeout, Duration::from_millis(250));
    assert!(core.limits.mqtt_service_silence.is_zero());
    assert!(core.limits.refuse_multi_device_atomic);
    let permissions = &core.seed.roles[0].permissions;
    assert_eq!((permissions[0].order, permissions[1].order), (1, 2));
    assert_eq!((permissions[0].param.as_str(), permissions[0].obj.as_str()), ("r--n", "----"));
    let params: Vec<_> = core.seed.controllers[0].params.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(params, ["PeriodicNotifInterval=86400", "Enable=false", "ProvisioningCode=a b", "X=1.50"]);
    assert_eq!(config.limits.edge.max_record_bytes, 1_000_000);
}

#[test]
fn all_problems_come_at_once_in_order() {
    let found =
        problems("[agent]\nsit = \"x\"\n[uds]\nmode = 660\n[limits]\nmax_services = -1\n[nonsense]\n");
    assert_eq!(
        found,
        [
            "2:1: error: unknown key `sit` in [agent]; help: did you mean `site`?",
            "4:8: error: `mode` must be a text, found an integer",
            "6:16: error: `max_services` must be a whole number from 1 to 1000000, found -1",
            "7:2: error: unknown section `nonsense`; help: known here: role, mqtt, controller, object, uds, websocket, device, metrics, \
             limits, agent",
        ]
    );
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    check("[console]\nlisten = \"127.0.0.1:8080\"", "1:2: error: `console` is not built yet in this version");
    check("[websocket]\ntls = { cert = \"x\" }", "2:1: error: `websocket.tls` is not built yet");
    check(
        "[[controller]]\nendpoint_id = \"self::c\"\nwebsocket = { host = \"main\" }",
        "3:1: error: `controller.websocket` is not built yet",
    );
    check(
        "[[mqtt]]\nname = \"main\"\nbroker = \"h\"\ntls = true",
        "1:1: error: `mqtt.tls` is not built yet in this version",
    );
}

#[test]
fn each_wrong_value_is_told_in_its_own_words() {
    check("[agent]\nendpoint_id = \"hub\"", "2:15: error: `hub` is not an Endpoint ID");
    check("[agent]\nsite = 5", "2:8: error: `site` must be a text, found an integer");
    check("[agent]\nmappings = \"x\"", "2:12: error: `mappings` must be a list of texts");
    check("[uds]\nmode = \"999\"", "2:8: error: `mode` must be permission bits in octal");
    check("[uds]\ntrust = \"all\"", "2:9: error: `trust` must be \"socket\" or \"table\"");
    check(
        "[uds]\nlocal_role = \"King\"",
        "2:14: error: there is no role `King`; help: roles are \"Full Access\", \"Untrusted\"",
    );
    check(
        "[uds]\nagent_path = \"x\"\ncontroller_path = \"x\"",
        "1:1: error: `agent_path` and `controller_path` are",
    );
    check("[websocket]\nlisten = \"localhost\"", "2:10: error: `localhost` is not an address and a port");
    check("[websocket]\npath = \"usp\"", "2:8: error: `path` must begin with `/`");
    check("[[controller]]\nrole = \"Untrusted\"", "1:1: error: [[controller]] needs `endpoint_id`");
    check("[[role]]\nname = \"Untrusted\"", "2:8: error: there is already a role of this name");
    check("[[object]]\npath = \"Device.X\"", "2:8: error: `Device.X` is not the path of a table or of a row");
    check(
        "[[object]]\npath = \"Device.X.\"\nparams = { A = [1] }",
        "3:16: error: the Parameter `A` must be a plain value",
    );
    check(
        "[[role]]\nname = \"R\"\n[[role.permission]]\nparam = \"rw\"",
        "4:9: error: `param` must be four characters",
    );
    check("[device]\nmanufacturer_oui = \"xyz\"", "2:20: error: `manufacturer_oui` must be six");
    check(
        "[uds]\nenable = false",
        "1:1: error: with [uds] off and neither [websocket] nor [[mqtt]] nobody could reach",
    );
    check("agent = 1", "1:9: error: `agent` must be a table: [agent]");
    check(
        "[[controller]]\nendpoint_id = \"self::c\"\n[[controller]]\nendpoint_id = \"self::c\"",
        "4:15: error: there is already a controller `self::c`",
    );
}

#[test]
fn mqtt_clients_and_routes_through_them_are_read() {
    let config = good(
        r#"
[uds]
enable = false
[[mqtt]]
name = "main"
broker = "127.0.0.1:1884"
version = "3.1.1"
response_topic = "usp/agent/hub1"
username = "hub"
password = "pass:word"
client_id = "hub-1"
insecure = true
tls = false
params = { KeepAliveTime = 30, ConnectRetryTime = 1 }
[[mqtt]]
name = "cloud"
broker = "[2001:db8::1]"
[[controller]]
endpoint_id = "self::ctrl1"
mqtt = { client = "cloud", topic = "usp/controller/ctrl1" }
"#,
    );
    let [main, cloud] = &config.seed.mqtt[..] else { panic!("{:?}", config.seed.mqtt) };
    assert_eq!((main.host.as_str(), main.port, main.version.name()), ("127.0.0.1", 1884, "3.1.1"));
    assert_eq!((main.username.as_str(), main.password.as_str()), ("hub", "pass:word"));
    assert_eq!((main.response_topic.as_str(), main.client_id.as_str()), ("usp/agent/hub1", "hub-1"));
    let params: Vec<_> = main.params.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(params, ["KeepAliveTime=30", "ConnectRetryTime=1", "X_USPBROKER_Insecure=true"]);
    assert_eq!((cloud.host.as_str(), cloud.port, cloud.version.name()), ("2001:db8::1", 1883, "5.0"));
    assert!(cloud.params.is_empty() && cloud.password.is_empty());
    let route = config.seed.controllers[0].mqtt.as_ref().unwrap();
    assert_eq!((route.client.as_str(), route.topic.as_str()), ("cloud", "usp/controller/ctrl1"));
    assert!(!format!("{config:?}").contains("pass:word"));
}

#[test]
fn wrong_mqtt_sections_are_told() {
    let mqtt = |rest: &str| format!("[[mqtt]]\nname = \"m\"\nbroker = \"h\"\n{rest}");
    check("[[mqtt]]\nbroker = \"h\"", "1:1: error: [[mqtt]] needs `name`");
    check("[[mqtt]]\nname = \"m\"", "1:1: error: [[mqtt]] needs `broker`");
    for server in ["", "h:0", "h:x", "h:99999", "::1", "[::1", "[::1]1", "mqtt://h", "a b", "u@h"] {
        let found = problems(&format!("[[mqtt]]\nname = \"m\"\nbroker = \"{server}\""));
        assert!(found[0].contains("is not a host and a port"), "{server}: {found:?}");
    }
    check(&mqtt("version = \"4\""), "4:11: error: `version` must be \"5.0\" or \"3.1.1\"");
    check(&mqtt("response_topic = \"a/#\""), "4:18: error: `a/#` is not a topic");
    check(&mqtt("params = { Password = \"secret\" }"), "1:1: error: `Password` is written as `password`");
    check(
        &mqtt("pasword = \"x\""),
        "4:1: error: unknown key `pasword` in [mqtt]; help: did you mean `password`?",
    );
    check(&mqtt(&mqtt("")), "5:8: error: there is already an [[mqtt]] of this name");
    check(
        "[[controller]]\nendpoint_id = \"self::c\"\nmqtt = { client = \"m\", topic = \"t\" }",
        "3:19: error: there is no [[mqtt]] named `m`; help: an [[mqtt]] section makes one",
    );
    check(
        &mqtt("[[controller]]\nendpoint_id = \"self::c\"\nmqtt = { client = \"m\" }"),
        "6:8: error: [[controller.mqtt]] needs `topic`",
    );
}

#[test]
fn passwords_come_from_where_the_file_says() {
    let dir = tempfile::tempdir().unwrap();
    let text =
        |password: &str| format!("[[mqtt]]\nname = \"m\"\nbroker = \"h\"\npassword = \"{password}\"\n");
    let parse = |password: &str| Config::parse(&text(password), "broker.toml", dir.path());
    fs::write(dir.path().join("pw"), "hidden\nmore\n").unwrap();
    fs::write(dir.path().join("empty"), "\n").unwrap();
    let config = parse("file:pw").unwrap();
    assert_eq!(config.seed.mqtt[0].password, "hidden");
    assert!(config.warnings.is_empty());
    // Nobody can set one for a test, but this one is there.
    assert_eq!(
        parse("env:CARGO_PKG_NAME").unwrap().seed.mqtt[0].password,
        std::env::var("CARGO_PKG_NAME").unwrap()
    );
    for (password, told) in [
        ("file:nowhere", "4:12: error: the password cannot be read from"),
        ("file:empty", "has no password in its first line"),
        ("env:USP_BROKER_NOT_SET", "`USP_BROKER_NOT_SET`, which should have the password, is not set"),
        (&"s".repeat(257), "the password is longer than 256 bytes"),
    ] {
        let error = parse(password).unwrap_err().to_string();
        assert!(error.contains(told) && !error.contains("sss"), "{error}");
    }

    let file = dir.path().join("broker.toml");
    fs::write(&file, text("literal")).unwrap();
    let warnings = |mode| {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        Config::load(&file).unwrap().warnings
    };
    assert!(warnings(0o640).is_empty());
    let open = warnings(0o644);
    assert!(open.len() == 1 && open[0].contains("broker.toml:4: a password stands"), "{open:?}");
    assert!(!open[0].contains("literal"));
}

#[test]
fn syntax_errors_have_a_place() {
    let found = problems("[agent]\nsite = \n");
    assert!(found[0].starts_with("2:8: error: "), "{found:?}");
    let found = problems("[agent]\nsite = \"a\"\nsite = \"b\"\n");
    assert!(found[0].starts_with("3:1: error: duplicate key"), "{found:?}");
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::load(Path::new("/nowhere/broker.toml")).unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/broker.toml: No such file"), "{error}");
}

#[test]
fn the_state_is_where_the_supervisor_says() {
    let dir = |value: &str| supervised_state_dir(Some(OsString::from(value)));
    assert_eq!(dir("/var/lib/usp-broker").as_deref(), Some(Path::new("/var/lib/usp-broker")));
    assert_eq!(dir("/var/lib/a:/var/lib/b").as_deref(), Some(Path::new("/var/lib/a")));
    assert!(dir("").is_none() && dir("state").is_none() && supervised_state_dir(None).is_none());

    let compile =
        |text| Config::compile(text, "broker.toml", Path::new("/etc/usp"), dir("/var/lib/a")).unwrap();
    assert_eq!(compile("").state_dir, Path::new("/var/lib/a"));
    assert_eq!(
        compile("[agent]\nstate_dir = \"mine\"").state_dir,
        Path::new("/etc/usp/mine"),
        "the file decides"
    );
}

/// The core would take it, seeds and all; the files that a hub has besides are left out.
fn usable(config: Config, name: &Path) {
    let alone = Config { site: None, mappings: Vec::new(), ..config };
    crate::app::check(&alone).unwrap_or_else(|error| panic!("{}: {error}", name.display()));
}

#[test]
fn shipped_files_are_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    let mut files = vec![root.join("broker.toml")];
    files.extend(fs::read_dir(root.join("examples")).unwrap().map(|entry| entry.unwrap().path()));
    files.retain(|file| file.extension().is_some_and(|e| e == "toml"));
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        usable(Config::load(&file).unwrap_or_else(|error| panic!("{error}")), &file);
    }
}

/// Examples of the shipped file are comments, which nobody has checked yet: each line like `# key = value` or `# [[list]]`.
#[test]
fn the_commented_examples_are_real() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/broker.toml");
    let text = fs::read_to_string(&file).unwrap();
    let is_example = |line: &&str| {
        let key = line.split_once(" = ").map_or("", |(key, _)| key);
        line.starts_with("[[") || !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    };
    let mut count = 0;
    let uncommented: String = text
        .lines()
        .map(|line| line.strip_prefix("# ").filter(is_example).inspect(|_| count += 1).unwrap_or(line))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(count > 15, "{count}");
    usable(good(&uncommented), &file);
}

/// The shipped file shows each option with its default: uncommenting one must change nothing and be understood.
#[test]
fn the_commented_options_are_real_and_show_their_defaults() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/broker.toml");
    let text = fs::read_to_string(&file).unwrap();
    let uncommented: String =
        text.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line)).map(|l| format!("{l}\n")).collect();
    let (shown, default) = (good(&uncommented), good(""));
    assert_eq!(format!("{:?}", shown.limits), format!("{:?}", default.limits));
    assert_eq!(format!("{:?}", shown.uds), format!("{:?}", default.uds));
    assert_eq!(format!("{:?}", shown.identity), format!("{:?}", default.identity));
    assert_eq!(shown.state_dir, default.state_dir);
    let websocket = format!("{:?}", shown.websocket.unwrap());
    assert_eq!(websocket, format!("{:?}", good("[websocket]").websocket.unwrap()));
}

#[test]
fn metrics_are_off_unless_there_is_a_section() {
    let metrics = |text: &str| Config::parse(text, "broker.toml", Path::new("")).map(|config| config.metrics);
    assert_eq!(metrics("").unwrap(), None);
    assert_eq!(metrics("[metrics]\n").unwrap(), Some(([127, 0, 0, 1], 9464).into()));
    assert_eq!(metrics("[metrics]\nlisten = \"0.0.0.0:1\"\n").unwrap(), Some(([0, 0, 0, 0], 1).into()));
    assert!(metrics("[metrics]\nlisten = \"here\"\n").is_err());
}
