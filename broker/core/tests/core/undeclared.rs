//! What Services never declared: it is neither passed on nor set. Where rows may differ, the Service says what there is.

use std::collections::BTreeMap;

use usp_core::input::ConnId;
use usp_proto::usp::notify::{Event, Notification, ObjectCreation, ValueChange};
use usp_proto::usp::set_resp::UpdatedInstanceResult;

use crate::bench::World;

const LAMP: &str = "Device.X_Lamp.";

/// A lamp that holds what it never told of.
fn world() -> (World, ConnId, ConnId) {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", LAMP);
    let service = w.services.get_mut(&s).unwrap();
    for path in ["Secret", "Zone.1.Secret"] {
        service.values.insert(format!("{LAMP}{path}"), "x".to_owned());
    }
    (w, c, s)
}

#[test]
fn a_get_shows_what_was_declared() {
    let (mut w, c, s) = world();
    for path in [LAMP, "Device.X_Lamp.Zone.*.", "Device."] {
        let answer = w.get(c, path);
        assert!(answer.contains("X_Lamp.Zone.1.Name=north") && !answer.contains("Secret"), "{answer}");
    }
    let asked = w.services[&s].count("Get");
    for path in ["Device.X_Lamp.Secret", "Device.X_Lamp.Zone.*.Secret", "Device.X_Lamp.Zone.1.Secret"] {
        assert_eq!(w.get(c, path), format!("{path}: 7026"));
    }
    assert_eq!(w.services[&s].count("Get"), asked);
}

#[test]
fn a_set_or_add_of_it_is_7010_before_anybody_is_asked() {
    let (mut w, c, s) = world();
    for object in [LAMP, "Device.X_Lamp.Zone.1."] {
        assert_eq!(w.set(c, object, &["Secret=y"]), format!("Error 7010\n{object}Secret: 7010"));
    }
    let row = "Device.X_Lamp.Zone.1.";
    assert_eq!(w.services[&s].count("Set"), 0);
    assert_eq!(w.set(c, row, &["Name=attic", "Secret?=y"]), format!("{row} Name=attic\n{row}Secret: 7010"));
    let table = "Device.X_Lamp.Zone.";
    assert_eq!(w.add(c, table, &["Secret=y"]), format!("Error 7010\n{table}Secret: 7010"));
    let updated_params = [("Name", "attic"), ("Secret", "x")].map(|(n, v)| (n.to_owned(), v.to_owned()));
    w.services.get_mut(&s).unwrap().set_lies.push(UpdatedInstanceResult {
        affected_path: row.to_owned(),
        param_errs: Vec::new(),
        updated_params: BTreeMap::from(updated_params),
    });
    let answer = w.set(c, row, &["Level=1"]);
    assert_eq!(answer, format!("{row} Level=1 Name=attic"));
}

#[test]
fn it_is_not_told() {
    let (mut w, c, s) = world();
    w.subscribe(c, "v", "ValueChange", LAMP);
    w.subscribe(c, "e", "Event", LAMP);
    let mut change = |name: &str| {
        let param_path = format!("{LAMP}{name}");
        let change = ValueChange { param_path, param_value: "x".to_owned() };
        w.service_notify(s, "ValueChange", LAMP, Notification::ValueChange(change));
        let event =
            Event { obj_path: LAMP.to_owned(), event_name: format!("{name}!"), params: BTreeMap::new() };
        w.service_notify(s, "Event", LAMP, Notification::Event(event));
        w.notes(c)
    };
    assert!(change("Secret").is_empty());
    assert_eq!(change("Colour"), ["v: ValueChange Device.X_Lamp.Colour=x"]);
    assert_eq!(change("Burnt"), ["e: Event Device.X_Lamp.Burnt!"]);
}

/// Nor is an argument of an Event, or a key of a row, wherever it is told.
#[test]
fn arguments_and_keys_are_passed_on_as_they_were_declared() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let mut service = crate::bench::service::lamp(LAMP);
    service.supported[0].supported_events[0].arg_names =
        ["Reason", "Part.{i}.Name"].map(str::to_owned).into();
    service.values.insert(format!("{LAMP}Zone.1.Serial"), "7".to_owned());
    service.keys = vec!["Name", "Serial"];
    let s = w.service_link("self::lamp", service);
    w.register(s, false, &[LAMP]);
    w.subscribe(c, "e", "Event", LAMP);
    w.subscribe(c, "n", "ObjectCreation", LAMP);
    let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    };
    let params = map(&[("Reason", "old"), ("Part.2.Name", "coil"), ("Part.2.Price", "1"), ("Secret", "x")]);
    let event = Event { obj_path: LAMP.to_owned(), event_name: "Burnt!".to_owned(), params };
    w.service_notify(s, "Event", LAMP, Notification::Event(event));
    assert_eq!(w.notes(c), ["e: Event Device.X_Lamp.Burnt! Part.2.Name=coil Reason=old"]);
    let made = ObjectCreation {
        obj_path: format!("{LAMP}Zone.3."),
        unique_keys: map(&[("Name", "attic"), ("Serial", "9")]),
    };
    let kind = "ObjectCreation";
    let zones = format!("{LAMP}Zone.");
    let row = if w.services[&s].subscriptions().contains_key(&(kind.to_owned(), zones.clone())) {
        &zones
    } else {
        LAMP
    };
    w.service_notify(s, kind, row, Notification::ObjCreation(made));
    assert_eq!(w.notes(c), ["n: ObjectCreation Device.X_Lamp.Zone.3. Name=attic"]);
    let rows = w.instances(c, &zones, true);
    assert!(rows.contains("Name=north") && !rows.contains("Serial"), "{rows}");
    let made = w.add(c, &zones, &["Name=cellar"]);
    assert!(made.contains("cellar") && !made.contains("Serial"), "{made}");
}

#[test]
fn where_rows_differ_the_service_decides() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let mut service = crate::bench::service::lamp(LAMP);
    service.supported[1].divergent_paths = vec!["Device.X_Lamp.Zone.1.".to_owned()];
    service.values.insert(format!("{LAMP}Zone.1.Special"), "x".to_owned());
    let s = w.service_link("self::lamp", service);
    w.register(s, false, &[LAMP]);
    assert_eq!(w.get(c, "Device.X_Lamp.Zone.1.Special"), "Device.X_Lamp.Zone.1.Special=x");
    let row = "Device.X_Lamp.Zone.1.";
    assert_eq!(w.set(c, row, &["Special=y"]), format!("{row} Special=y"));
}
