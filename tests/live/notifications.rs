//! Every kind of notification, from a Service, a device and the broker itself.

use serde_json::Value;
use usp_proto::usp::Add;
use usp_proto::usp::add::{CreateObject, CreateParamSetting};
use usp_proto::usp::notify::{Event, Notification};
use usp_proto::usp::request::ReqType;
use usp_simulators::service::{Service, ServiceConfig};
use usp_tests::place::Place;
use usp_tests::process::Process;
use usp_tests::wait::eventually;

use crate::ACTOR;
use crate::things::THERMOSTAT;

/// The next line of a watch, which has to be of this type and path.
fn told(watch: &Process, kind: &str, path: &str) -> Value {
    let line: Value = serde_json::from_str(&watch.line()).unwrap();
    assert_eq!((line["type"].as_str(), line["path"].as_str()), (Some(kind), Some(path)), "{line}");
    line
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_comes_from_a_service() {
    let place = Place::new(ACTOR, "");
    let _broker = place.start();
    let mut config = ServiceConfig::new("proto::svc", &place.path("controller"));
    config.moves = false;
    let service = Service::spawn(config);
    service.until_registered().await;
    let cli = place.cli();
    let path = |rest: &str| format!("{THERMOSTAT}{rest}");
    eventually("its model", || cli.values(&path("Setpoint")).into_keys().next());

    let changes = cli.watch(&[&path("Setpoint")]);
    let rows = cli.watch(&[&path("Zone."), "--type", "ObjectCreation,ObjectDeletion"]);
    let alarms = cli.watch(&[&path("Alarm!")]);
    let done = cli.watch(&[&path("Calibrate()")]);
    eventually("the Subscriptions at the Service", || (service.subscriptions().len() >= 5).then_some(()));

    service.set(&path("Setpoint"), "17.5").unwrap();
    assert_eq!(told(&changes, "ValueChange", &path("Setpoint"))["value"], "17.5");
    let row = cli.ok(&["add", &path("Zone."), "Name=Hall"]);
    let row = row.trim();
    assert_eq!(told(&rows, "ObjectCreation", row)["unique_keys"]["Name"], "Hall");
    cli.ok(&["delete", row]);
    told(&rows, "ObjectDeletion", row);
    service.emit(&path("Alarm!"), &[("Code", "3"), ("Text", "hot")]).unwrap();
    assert_eq!(told(&alarms, "Event", &path("Alarm!"))["params"]["Text"], "hot");
    cli.ok(&["operate", &path("Calibrate()"), "Reference=20.5"]);
    let complete = told(&done, "OperationComplete", &path("Calibrate()"));
    assert!(complete.get("error").is_none() && complete["output_args"]["Offset"].is_string(), "{complete}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_boot_is_told_to_a_controller_that_comes_later() {
    let place = Place::new(ACTOR, "");
    let broker = place.start();
    let (client, _notifications) = place.client("self::later").await;
    let setting = |param: &str, value: &str| CreateParamSetting {
        param: param.into(),
        value: value.into(),
        required: true,
    };
    let settings = [
        ("ID", "boot"),
        ("NotifType", "Event"),
        ("ReferenceList", "Device.Boot!"),
        ("Persistent", "true"),
        ("NotifRetry", "true"),
        ("Enable", "true"),
    ];
    let param_settings = settings.into_iter().map(|(param, value)| setting(param, value)).collect();
    let object = CreateObject { obj_path: "Device.LocalAgent.Subscription.".into(), param_settings };
    client.request(ReqType::Add(Add { allow_partial: false, create_objs: vec![object] })).await.unwrap();
    broker.signal("TERM");
    assert!(broker.ended().success());

    let _broker = place.start();
    let (_client, mut notifications) = place.client("self::later").await;
    let notify = notifications.next().await.unwrap();
    assert_eq!(notify.subscription_id, "boot");
    let Some(Notification::Event(Event { obj_path, event_name, params })) = notify.notification else {
        panic!()
    };
    assert_eq!((obj_path.as_str(), event_name.as_str()), ("Device.", "Boot!"));
    assert_eq!(params.get("Cause").map(String::as_str), Some("LocalReboot"), "{params:?}");
}

#[test]
fn a_watch_goes_on_when_the_broker_is_back() {
    let place = Place::new(ACTOR, "");
    let mut broker = place.start();
    let cli = place.cli();
    let table = "Device.LocalAgent.ControllerTrust.Role.";
    let (watch, words) = cli.watch_telling(&[table, "--type", "ObjectCreation", "--count", "3"]);
    let made = |name: &str| {
        let row = cli.ok(&["add", table, &format!("Name={name}")]);
        assert_eq!(told(&watch, "ObjectCreation", row.trim())["unique_keys"]["Name"], name);
    };
    made("Before");
    broker.kill();
    words.wait_for("trying again");
    broker = place.start();
    words.wait_for("watching again");
    made("Between");
    // A clean end is one too, and what is counted goes on.
    broker.signal("TERM");
    assert!(broker.ended().success());
    let _broker = place.start();
    eventually("both returns", || (words.text().matches("watching again").count() == 2).then_some(()));
    made("After");
    assert!(watch.ended().success(), "three are enough");
    assert!(words.text().matches("was not told").count() == 2, "{}", words.text());
}
