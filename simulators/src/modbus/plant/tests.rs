//! Several devices at once, told by lines and by scripts.

use std::time::Duration;

use super::super::tests::device;
use super::super::{Command, Script};
use super::*;

async fn plant() -> Plant {
    let bus = |name: &str, device_name: &str| BusPlan {
        name: name.to_owned(),
        medium: Medium::Tcp("127.0.0.1:0".parse().unwrap()),
        devices: vec![(device_name.to_owned(), 1, device())],
    };
    Plant::start(vec![bus("plant", "one"), bus("cellar", "two")], true).await.unwrap()
}

#[tokio::test]
async fn devices_are_told_apart_by_name() {
    let plant = plant().await;
    let told = |line: &str| plant.obey(&line.parse().unwrap()).map_err(|error| error.to_string());
    assert_eq!(told("set two.power 12").unwrap(), "ok");
    assert_eq!(told("set power=3").unwrap(), "ok");
    let value = |index: usize| plant.devices()[index].unit.get("power");
    assert_eq!((value(0), value(1)), (Some(3.0.into()), Some(12.0.into())));
    assert_eq!(told("fault two exception 4 * 2").unwrap(), "ok");
    assert_eq!(plant.devices()[0].unit.faults(), Vec::<String>::new());
    assert_eq!(plant.devices()[1].unit.faults(), ["exception=4*2"]);
    let text = told("show two").unwrap();
    assert!(
        text.starts_with("two (acme.meter, cellar unit 1): 0 requests, faults: exception=4*2\n"),
        "{text}"
    );
    assert!(text.contains("12 W") && text.contains("input 30  held"), "{text}");
    assert!(text.contains("discrete 515, write coil 3"), "{text}");
    assert!(told("set three.power 1").unwrap_err().contains("one.voltage"));
    assert!(told("clear three").unwrap_err().contains("there are: one, two"));
    assert!(told("set relay 3").unwrap_err().contains("3 is not true or false"));
    assert!("set power".parse::<Command>().unwrap_err().to_string().contains("VALUE"));
}

#[tokio::test(start_paused = true)]
async fn a_script_runs_by_the_clock() {
    let plant = plant().await;
    let script =
        Script::parse("1s set one.power 5\n+2s set one.power 6\n3s fault silent\n4s repeat").unwrap();
    script.check(&plant).unwrap();
    assert!(
        Script::parse("1s set three.x 5").unwrap().check(&plant).unwrap_err().why.contains("no capability")
    );
    let start = tokio::time::Instant::now();
    let mut told = Vec::new();
    let run = script.run(&plant, |step| told.push((start.elapsed().as_secs(), step.line)));
    assert!(tokio::time::timeout(Duration::from_millis(5500), run).await.is_err());
    assert_eq!(told, [(1, 1), (3, 2), (3, 3), (5, 1)]);
    assert_eq!(plant.devices()[0].unit.get("power"), Some(5.0.into()));
    let quit = Script::parse("1s quit\n2s show").unwrap();
    assert!(quit.run(&plant, |_| panic!("nothing is answered")).await);
}
