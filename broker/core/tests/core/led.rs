//! Subscriptions whose references Services hold: to rows of other Services, of the broker and of devices.

use std::time::Duration;

use usp_core::input::ConnId;
use usp_proto::usp::notify::{self, Notification, ValueChange};

use crate::bench::device::number;
use crate::bench::peer::get;
use crate::bench::service::{FakeService, Manner};
use crate::bench::{World, text};
use crate::borders::{link, referring};
use crate::follow::{OWN, world};
use crate::rights_services::world as with_rights;

const CONTROLLER: &str = "Device.LocalAgent.Controller.1.";

fn changed(path: &str, value: &str) -> Notification {
    Notification::ValueChange(ValueChange { param_path: path.to_owned(), param_value: value.to_owned() })
}

/// What the broker has subscribed to at a Service, without OperationComplete, which it always wants, and without the ends of
/// rows that hold references.
fn rows(w: &World, s: ConnId) -> Vec<String> {
    let all = w.services[&s].subscriptions().into_keys().map(|(kind, path)| format!("{kind} {path}"));
    let ends = ["OperationComplete", "ObjectDeletion Device.X_A.Zone."];
    all.filter(|row| !ends.iter().any(|end| row.starts_with(end))).collect()
}

/// The Service changes a reference, and tells if it was asked to.
fn turn(w: &mut World, s: ConnId, reference: &str, to: &str, told_for: &str) {
    w.services.get_mut(&s).unwrap().values.insert(reference.to_owned(), to.to_owned());
    w.service_notify(s, "ValueChange", told_for, changed(reference, to));
}

#[test]
fn a_change_is_told_wherever_a_services_reference_leads() {
    let (mut w, c, a, b) = world();
    w.subscribe(c, "b", "ValueChange", "Device.X_A.Zone.1.Buddy+.Level");
    w.subscribe(c, "own", "ValueChange", "Device.X_A.Zone.1.Buddy#2+.ProvisioningCode");
    w.subscribe(c, "a", "ValueChange", "Device.X_A.Zone.2.Buddy#*+.Name");
    w.subscribe(c, "far", "ValueChange", "Device.X_A.Zone.2.Buddy+.Buddy+.Colour");
    w.subscribe(c, "chain", "ValueChange", "Device.X_A.Zone.2.Buddy+.Buddy+.Name");
    assert_eq!(
        rows(&w, a),
        [
            "ValueChange Device.X_A.Zone.1.Buddy",
            "ValueChange Device.X_A.Zone.1.Name",
            "ValueChange Device.X_A.Zone.2.Buddy"
        ]
    );
    assert_eq!(rows(&w, b), ["ValueChange Device.X_B.Zone.2.Level", "ValueChange Device.X_B.Zone.2.Name"]);
    let told = [("Level", b, "X_B.Zone.2"), ("Name", a, "X_A.Zone.1"), ("Name", b, "X_B.Zone.2")];
    for (name, service, row) in told {
        let path = format!("Device.{row}.{name}");
        w.service_notify(service, "ValueChange", &path, changed(&path, "7"));
    }
    w.set(c, CONTROLLER, &["ProvisioningCode=x"]);
    assert_eq!(
        w.notes(c),
        [
            "b: ValueChange Device.X_B.Zone.2.Level=7",
            "a: ValueChange Device.X_A.Zone.1.Name=7",
            "chain: ValueChange Device.X_B.Zone.2.Name=7",
            "own: ValueChange Device.LocalAgent.Controller.1.ProvisioningCode=x",
        ]
    );
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn it_goes_where_the_reference_goes() {
    let (mut w, c, a, b) = world();
    let reference = "Device.X_A.Zone.1.Buddy";
    let row = w.subscribe(c, "s", "ValueChange", &format!("{reference}+.Name"));
    let code = w.subscribe(c, "code", "ValueChange", &format!("{reference}+.ProvisioningCode"));
    let name = |row: &str| format!("ValueChange {row}Name");
    assert_eq!(rows(&w, b), [name("Device.X_B.Zone.2.")]);
    turn(&mut w, a, reference, "Device.X_B.Zone.1.", reference);
    assert_eq!(rows(&w, b), [name("Device.X_B.Zone.1.")]);
    turn(&mut w, a, reference, CONTROLLER.trim_end_matches('.'), reference);
    assert!(rows(&w, b).is_empty());
    w.set(c, CONTROLLER, &["ProvisioningCode=x"]);
    assert_eq!(w.notes(c), [format!("code: ValueChange {CONTROLLER}ProvisioningCode=x")]);
    turn(&mut w, a, reference, "", reference);
    w.set(c, CONTROLLER, &["ProvisioningCode=y"]);
    assert!(w.notes(c).is_empty());
    turn(&mut w, a, reference, "Device.X_A.Zone.2", reference);
    assert_eq!(rows(&w, a), [format!("ValueChange {reference}"), name("Device.X_A.Zone.2.")]);
    // Nothing is watched for a Subscription that is gone.
    w.delete(c, &[&row]);
    assert_eq!(rows(&w, a), [format!("ValueChange {reference}")]);
    w.set(c, &code, &["Enable=false"]);
    assert!(rows(&w, a).is_empty());
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn rows_that_hold_references_come_go_and_change() {
    let (mut w, c, a, b) = world();
    let any = "Device.X_A.Zone.*.Buddy";
    w.subscribe(c, "any", "ValueChange", &format!("{any}+.Level"));
    let north = "Device.X_A.Zone.[Name==\"north\"].Buddy";
    w.subscribe(c, "north", "ValueChange", &format!("{north}+.Colour"));
    let level = |row: &str| format!("ValueChange Device.X_{row}Level");
    assert!(rows(&w, a).contains(&level("A.Zone.1.")), "{:?}", rows(&w, a));
    assert_eq!(rows(&w, b), [level("B.Zone.2.")]);
    let obj_path = "Device.X_A.Zone.3.".to_owned();
    w.services.get_mut(&a).unwrap().values.extend([
        (format!("{obj_path}Buddy"), "Device.X_B.Zone.1".to_owned()),
        (format!("{obj_path}Name"), "east".to_owned()),
    ]);
    let made = notify::ObjectCreation { obj_path: obj_path.clone(), unique_keys: Default::default() };
    w.service_notify(a, "ObjectCreation", "Device.X_A.Zone.", Notification::ObjCreation(made));
    assert_eq!(rows(&w, b), [level("B.Zone.1."), level("B.Zone.2.")]);
    w.services.get_mut(&a).unwrap().values.retain(|path, _| !path.starts_with(&obj_path));
    let gone = notify::ObjectDeletion { obj_path };
    w.service_notify(a, "ObjectDeletion", "Device.X_A.Zone.*.", Notification::ObjDeletion(gone));
    assert_eq!(rows(&w, b), [level("B.Zone.2.")]);
    // Which row the expression means has changed.
    let name = "Device.X_A.Zone.2.Name";
    w.services
        .get_mut(&a)
        .unwrap()
        .values
        .insert("Device.X_A.Zone.2.Buddy".to_owned(), "Device.X_B".to_owned());
    w.services.get_mut(&a).unwrap().values.insert(name.to_owned(), "north".to_owned());
    w.service_notify(a, "ValueChange", "Device.X_A.Zone.*.Name", changed(name, "north"));
    assert!(rows(&w, b).contains(&"ValueChange Device.X_B.Colour".to_owned()), "{:?}", rows(&w, b));
    assert_eq!(w.broker.pending(), 0);
}

/// Rows, commands and events behind references that Services hold.
#[test]
fn every_kind_of_notification_follows() {
    let (mut w, c, a, b) = world();
    let boot = "Device.X_A.Zone.1.Buddy#2+.BootParameter.";
    w.subscribe(c, "new", "ObjectCreation", boot);
    w.subscribe(c, "gone", "ObjectDeletion", &format!("{boot}*."));
    w.subscribe(c, "row", "ObjectDeletion", "Device.X_A.Zone.1.Buddy+.");
    w.subscribe(c, "done", "OperationComplete", "Device.X_A.Zone.1.Buddy+.Dim()");
    w.subscribe(c, "event", "Event", "Device.X_A.Zone.2.Buddy+.Buddy+.");
    w.notes(c);
    let row = w.add(c, OWN, &["ParameterName=Device.X_B.Colour"]);
    let row = row.split(' ').next().unwrap().to_owned();
    let notes = w.notes(c);
    assert!(notes.len() == 1 && notes[0].starts_with(&format!("new: ObjectCreation {row}")), "{notes:?}");
    w.delete(c, &[&row]);
    assert_eq!(w.notes(c), [format!("gone: ObjectDeletion {row}")]);
    let zone = "Device.X_B.Zone.2.";
    let expected = [format!("Event {zone}"), format!("ObjectDeletion {zone}")];
    assert_eq!(rows(&w, b), expected);
    let gone = notify::ObjectDeletion { obj_path: zone.to_owned() };
    w.service_notify(b, "ObjectDeletion", zone, Notification::ObjDeletion(gone));
    assert_eq!(w.notes(c), [format!("row: ObjectDeletion {zone}")]);
    let event = notify::Event {
        obj_path: zone.to_owned(),
        event_name: "Lit!".to_owned(),
        params: Default::default(),
    };
    w.service_notify(b, "Event", zone, Notification::Event(event));
    assert_eq!(w.notes(c), [format!("event: Event {zone}Lit!")]);
    w.operate(c, "Device.X_A.Zone.1.Buddy+.Dim()", "k", &[]);
    assert!(!w.services[&a].subscriptions().is_empty());
    assert_eq!(w.notes(c).len(), 0, "it was done at once");
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn a_devices_reading_behind_a_services_reference_is_told() {
    let mut w = World::new();
    w.site("a: box");
    let c = w.controller("self::c");
    let a = link(&mut w, "self::a", "Device.X_A.", &[("1", "Device.ProxiedDevice.1.IoTCapability.1")]);
    w.subscribe(c, "s", "ValueChange", "Device.X_A.Zone.1.Buddy+.LevelSensor.Value");
    w.report("a", &[(0, number("20"))]);
    w.report("a", &[(0, number("21"))]);
    assert_eq!(w.notes(c), ["s: ValueChange Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.Value=21"]);
    assert_eq!(rows(&w, a), ["ValueChange Device.X_A.Zone.1.Buddy"]);
}

#[test]
fn services_may_come_in_any_order_and_come_back() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.subscribe(c, "s", "ValueChange", "Device.X_A.Zone.1.Buddy+.Level");
    let level = "Device.X_B.Zone.2.Level";
    let a = link(&mut w, "self::a", "Device.X_A.", &[("1", "Device.X_B.Zone.2")]);
    for _ in 0..2 {
        let b = link(&mut w, "self::b", "Device.X_B.", &[]);
        assert_eq!(rows(&w, b), [format!("ValueChange {level}")]);
        w.disconnect(b);
    }
    w.disconnect(a);
    let b = link(&mut w, "self::b", "Device.X_B.", &[]);
    assert!(rows(&w, b).is_empty(), "where the reference leads is not known any more");
    link(&mut w, "self::a", "Device.X_A.", &[("1", "Device.X_B.Zone.2")]);
    assert_eq!(rows(&w, b), [format!("ValueChange {level}")]);
    w.service_notify(b, "ValueChange", level, changed(level, "1"));
    assert_eq!(w.notes(c), [format!("s: ValueChange {level}=1")]);
    assert_eq!(w.broker.pending(), 0);
}

/// A failure is no answer: it is asked again, and what was known stays meanwhile.
#[test]
fn a_service_that_does_not_say_where_its_reference_leads_is_asked_again() {
    let (mut w, c, a, b) = world();
    let level = "Device.X_B.Zone.2.Level";
    w.manner(a, Manner::Silent);
    w.subscribe(c, "s", "ValueChange", "Device.X_A.Zone.1.Buddy+.Level");
    w.wait(20);
    assert!(rows(&w, b).is_empty());
    w.manner(a, Manner::Good);
    w.wait(60);
    assert_eq!(rows(&w, b), [format!("ValueChange {level}")]);
    w.services.get_mut(&a).unwrap().deaf_to = vec!["Get"];
    let reference = "Device.X_A.Zone.1.Buddy";
    turn(&mut w, a, reference, "Device.X_B.Zone.1", reference);
    w.wait(6);
    assert_eq!(rows(&w, b), [format!("ValueChange {level}")]);
    w.services.get_mut(&a).unwrap().deaf_to.clear();
    w.wait(60);
    assert_eq!(rows(&w, b), ["ValueChange Device.X_B.Zone.1.Level"]);
    let asked = w.services[&a].asked.len();
    w.wait(600);
    assert_eq!((w.services[&a].asked.len(), w.broker.pending()), (asked, 0), "nothing polls");
}

/// R-SEC.1: a reference that its recipient may not read leads nowhere, and a target that it may not hear of says nothing.
#[test]
fn by_the_rights_of_the_recipient() {
    let own = ("Device.LocalAgent.", ["rw-n"; 4]);
    let hidden = ("Device.X_A.Zone.1.Buddy", ["----"; 4]);
    let (mut w, c, admin, _) = with_rights(&[own, ("Device.X_A.", ["r--n"; 4]), hidden]);
    let both = [("1", "Device.LocalAgent.Controller.1"), ("2", "Device.X_B.Zone.2")];
    let a = link(&mut w, "self::a", "Device.X_A.", &both);
    let b = link(&mut w, "self::b", "Device.X_B.", &[]);
    w.subscribe(c, "s", "ValueChange", "Device.X_A.Zone.1.Buddy+.ProvisioningCode");
    w.subscribe(c, "b", "ValueChange", "Device.X_A.Zone.*.Buddy+.Level");
    w.subscribe(admin, "admin", "ValueChange", "Device.X_A.Zone.1.Buddy+.ProvisioningCode");
    let level = "Device.X_B.Zone.2.Level";
    let code = |w: &mut World, value: &str| w.set(admin, CONTROLLER, &[&format!("ProvisioningCode={value}")]);
    code(&mut w, "x");
    w.service_notify(b, "ValueChange", level, changed(level, "1"));
    assert!(w.notes(c).is_empty());
    assert_eq!(w.notes(admin).len(), 1);
    let permission = "Device.LocalAgent.ControllerTrust.Role.3.Permission.[Order==3].";
    w.set(admin, permission, &["Param=r---"]);
    code(&mut w, "y");
    assert_eq!(w.notes(c), [format!("s: ValueChange {CONTROLLER}ProvisioningCode=y")]);
    w.set(admin, permission, &["Param=----"]);
    code(&mut w, "z");
    assert!(w.notes(c).is_empty());
    assert!(!rows(&w, a).is_empty());
}

/// Where each of very many references leads is asked in a few Messages, and a circle ends.
#[test]
fn many_references_are_asked_together_and_circles_end() {
    let mut w = World::new();
    let c = w.controller("self::c");
    for n in 1..=50 {
        w.subscribe(c, &n.to_string(), "ValueChange", &format!("Device.X_A.Zone.{n}.Buddy+.Level"));
    }
    w.subscribe(c, "round", "ValueChange", &format!("Device.X_A.Zone.51.{}Level", "Buddy+.".repeat(20)));
    let names: Vec<String> = (1..=51).map(|n: u32| n.to_string()).collect();
    let refs: Vec<(&str, &str)> = names.iter().map(|n| (&**n, "Device.X_A.Zone.51")).collect();
    let service = FakeService { ..referring("Device.X_A.", &refs) };
    let a = w.service_link("self::a", service);
    w.register(a, false, &["Device.X_A."]);
    let gets = w.services[&a].paths_asked("Get");
    let about = gets.iter().filter(|paths| paths.iter().any(|path| path.ends_with("Buddy")));
    assert!(about.clone().count() < 24, "{gets:?}");
    let level = "ValueChange Device.X_A.Zone.51.Level".to_owned();
    assert!(rows(&w, a).contains(&level));
    assert_eq!(w.broker.pending(), 0);
}

/// R-GET.1: of rows that hold references those count that may be read.
#[test]
fn a_request_follows_the_references_that_may_be_read() {
    let hidden = ("Device.X_A.Zone.1.Buddy", ["----"; 4]);
    let (mut w, c, _, _) = with_rights(&[("Device.", ["rw--"; 4]), hidden]);
    link(&mut w, "self::a", "Device.X_A.", &[("1", "Device.X_B.Zone.1"), ("2", "Device.X_B.Zone.2")]);
    let b = link(&mut w, "self::b", "Device.X_B.", &[]);
    assert_eq!(w.get(c, "Device.X_A.Zone.*.Buddy+.Name"), "Device.X_B.Zone.2.Name=south");
    assert_eq!(w.get(c, "Device.X_A.Zone.1.Buddy+.Name"), "Device.X_A.Zone.1.Buddy+.Name: 7026");
    assert_eq!(w.set(c, "Device.X_A.Zone.*.Buddy+.", &["Level=7"]), "Device.X_B.Zone.2. Level=7");
    let levels = [1, 2].map(|zone| w.services[&b].values[&format!("Device.X_B.Zone.{zone}.Level")].clone());
    assert_eq!(levels, ["10", "7"]);
    let (mut w, c, _, _) = with_rights(&[("Device.", ["rw--"; 4]), ("Device.X_A.Zone.*.Buddy", ["-w--"; 4])]);
    link(&mut w, "self::a", "Device.X_A.", &[("1", "Device.LocalAgent")]);
    assert_eq!(w.get(c, "Device.X_A.Zone.*.Buddy+.EndpointID"), "", "as if there were no row");
}

/// Eight references that are followed one after another are not eight times as slow.
#[test]
fn following_does_not_prolong_a_request() {
    let (mut w, c, a, b) = world();
    for s in [a, b] {
        w.manner(s, Manner::Slow(Duration::from_millis(1500)));
    }
    let path = "Device.X_A.Zone.2.Buddy+.Buddy+.Name";
    let id = w.begin(c, get(&[path], 0));
    w.advance(Duration::from_millis(2500));
    assert_eq!(text::answer(&w.answer(c, &id).unwrap()), format!("{path}: 7003"));
    let path = "Device.X_A.Zone.2.Buddy+.Name";
    let id = w.begin(c, get(&[path], 0));
    w.advance(Duration::from_millis(3000));
    assert_eq!(text::answer(&w.answer(c, &id).unwrap()), "Device.X_A.Zone.1.Name=north");
    assert_eq!(w.broker.pending(), 0);
}

/// As with rows of a table: those count that have such a Parameter, and what none has is a mistake.
#[test]
fn of_several_objects_those_count_that_have_what_is_asked_for() {
    let (mut w, c, ..) = world();
    let both = "Device.X_A.Zone.1.Buddy#*+.";
    assert_eq!(w.get(c, &format!("{both}Name")), "Device.X_B.Zone.2.Name=south");
    assert_eq!(w.get(c, &format!("{both}Nothing")), format!("{both}Nothing: 7026"));
}

/// The right to the reference hangs on an expression that its Service knows.
#[test]
fn by_a_right_that_a_service_decides() {
    let north = ("Device.X_A.Zone.[Name==\"north\"].", ["r--n"; 4]);
    let (mut w, c, _, _) = with_rights(&[("Device.LocalAgent.,Device.X_B.", ["rw-n"; 4]), north]);
    let both = [("1", "Device.X_B.Zone.1"), ("2", "Device.X_B.Zone.2")];
    let a = link(&mut w, "self::a", "Device.X_A.", &both);
    let b = link(&mut w, "self::b", "Device.X_B.", &[]);
    w.subscribe(c, "s", "ValueChange", "Device.X_A.Zone.*.Buddy+.Level");
    assert_eq!(rows(&w, b), ["ValueChange Device.X_B.Zone.1.Level"]);
    assert!(!rows(&w, a).is_empty());
    assert_eq!(w.broker.pending(), 0);
}
