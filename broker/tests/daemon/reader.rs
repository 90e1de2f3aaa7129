//! A Controller that may read and be notified: as the example makes it, and as README makes it while the broker runs.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use crate::support::{Place, program, stderr};

const VALUE: &str = "Device.LocalAgent.Controller.1.ProvisioningCode";

fn root(file: &str) -> String {
    fs::read_to_string(format!("{}/../{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Starts `watch` as the reader and returns when its Subscription is there.
fn watch(place: &Place) -> Child {
    let arguments = ["watch", VALUE, "--count", "1", "--as", "self::dashboard", "--via", "uds:agent"];
    let mut watch = program();
    watch.args(arguments).current_dir(place.dir.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut watch = watch.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(watch.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("watching "), "{line}");
    watch
}

fn reads_and_is_notified(place: &Place) {
    let reader =
        |words: &[&str]| place.output(&[words, &["--as", "self::dashboard", "--via", "uds:agent"]].concat());
    assert!(reader(&["get", "Device.LocalAgent.EndpointID"]).status.success());
    let watch = watch(place);
    let set = place.output(&["set", &format!("{VALUE}=x"), "--as", "self::operator", "--via", "uds:agent"]);
    assert!(set.status.success(), "{}", stderr(&set));
    let told = watch.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&told.stdout).contains(&format!("ValueChange {VALUE} = x")), "{told:?}");
    let set = reader(&["set", &format!("{VALUE}=y")]);
    assert!(!set.status.success() && stderr(&set).contains("7006"), "{}", stderr(&set));
}

#[test]
fn the_examples_reader_reads_and_is_notified() {
    let place = Place::new("");
    let text = root("config/examples/reader.toml")
        .replace("[uds]\n", "[uds]\nagent_path = \"agent\"\ncontroller_path = \"controller\"\n")
        .replace("/var/lib/usp-broker", "state")
        .replace("127.0.0.1:5683", "127.0.0.1:0");
    fs::write(place.config(), text).unwrap();
    let _daemon = place.start();
    reads_and_is_notified(&place);
}

#[test]
fn the_recipe_of_readme_makes_a_reader_while_the_broker_runs() {
    let place = Place::new("[[controller]]\nendpoint_id = \"self::operator\"\nrole = \"Full Access\"\n");
    let _daemon = place.start();
    let readme = root("README.md");
    let recipe: Vec<_> = readme.lines().filter_map(|line| line.strip_prefix("usp-broker add ")).collect();
    assert_eq!(recipe.len(), 4);
    for line in recipe {
        let mut words = vec!["add", "--via", "uds:agent", "--as", "self::operator"];
        words.extend(line.split(' '));
        let output = place.output(&words);
        assert!(output.status.success(), "{line}: {}", stderr(&output));
    }
    reads_and_is_notified(&place);
}
