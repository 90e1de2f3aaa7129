//! What is subscribed at a Service for the references of a Subscription, and that each thing is told once.

use usp_core::input::ConnId;
use usp_proto::usp::notify::{Event, Notification, ObjectCreation, ObjectDeletion, ValueChange};
use usp_proto::usp::request::ReqType;

use crate::bench::World;
use crate::bench::service::{FakeService, object};

const TOP: &str = "Device.X_Lamp.";

/// A Service with tables in tables.
fn world() -> (World, ConnId, ConnId) {
    let mut w = World::new();
    let c = w.controller("self::c");
    let supported = vec![
        object(TOP, &["Colour"]),
        object("Device.X_Lamp.Zone.{i}.", &["Name", "Level", "Opened!", "Closed!"]),
        object("Device.X_Lamp.Zone.{i}.Spot.{i}.", &["Name"]),
        object("Device.X_Lamp.Zone.{i}.Timer.", &["Enable"]),
        object("Device.X_Lamp.Zone.{i}.Timer.Slot.{i}.", &["Start"]),
    ];
    let s = w.service_link("self::lamp", FakeService { supported, ..FakeService::default() });
    w.register(s, false, &[TOP]);
    (w, c, s)
}

fn full(references: &[&str]) -> Vec<String> {
    let full = |r: &&str| if r.starts_with("Device.") { (*r).to_owned() } else { format!("{TOP}{r}") };
    references.iter().map(full).collect()
}

/// References of the rows of one type at the Service.
fn rows(w: &World, s: ConnId, kind: &str) -> Vec<String> {
    w.services[&s].subscriptions().into_keys().filter(|(k, _)| k == kind).map(|(_, path)| path).collect()
}

fn each_is_subscribed_as(kind: &str, expected: &[(&[&str], &[&str])]) {
    for (references, wanted) in expected {
        let (mut w, c, s) = world();
        w.subscribe(c, "x", kind, &full(references).join(","));
        assert_eq!(rows(&w, s, kind), full(wanted), "{kind} {references:?}");
    }
}

/// A table means its own rows; what is neither table nor row means all tables below it.
#[test]
fn new_rows_are_told_of_every_table_that_is_meant() {
    let all: &[&str] = &["Zone.", "Zone.*.Spot.", "Zone.*.Timer.Slot."];
    each_is_subscribed_as(
        "ObjectCreation",
        &[
            (&["Zone.", "Zone.*.Spot."], &["Zone.", "Zone.*.Spot."]),
            (&["Device."], all),
            (&[""], all),
            (&["Device.", "Zone."], all),
            (&["Zone.*."], all),
            (&["Zone.1."], &["Zone.1.Spot.", "Zone.1.Timer.Slot."]),
            (&["Zone.1.Timer."], &["Zone.1.Timer.Slot."]),
            (&["Zone.1.Spot.2."], &[]),
            (
                &["Zone.[Name==\"north\"]."],
                &[
                    "Zone.[Name==\"north\"].",
                    "Zone.[Name==\"north\"].Spot.",
                    "Zone.[Name==\"north\"].Timer.Slot.",
                ],
            ),
            (&["Zone.1.Spot.", "Zone.*.Spot."], &["Zone.*.Spot."]),
        ],
    );
}

#[test]
fn rows_that_go_are_told_of_every_table_that_is_meant() {
    let all: &[&str] = &["Zone.*.", "Zone.*.Spot.*.", "Zone.*.Timer.Slot.*."];
    each_is_subscribed_as(
        "ObjectDeletion",
        &[
            (&["Zone.1.", "Zone.1.Spot.*."], &["Zone.1.", "Zone.1.Spot.*."]),
            (&["Zone.2."], &["Zone.2."]),
            (&["Zone."], &["Zone.*."]),
            (&["Zone.*.Spot."], &["Zone.*.Spot.*."]),
            (&["Device."], all),
            (&[""], all),
            (&["Zone.1.Timer."], &["Zone.1.Timer.Slot.*."]),
            (&["Zone.2.", "Zone.*."], &["Zone.*."]),
            (&["Zone.1.Spot.*.", "Zone.*.Spot.2."], &["Zone.*.Spot.2.", "Zone.1.Spot.*."]),
        ],
    );
}

/// What another reference of the same Subscription covers is not asked for again.
#[test]
fn only_the_widest_references_are_subscribed() {
    each_is_subscribed_as(
        "ValueChange",
        &[
            (&["Zone.*.Level", "Zone.1.Level"], &["Zone.*.Level"]),
            (&["Zone.*.Level", "Zone.1.Name"], &["Zone.*.Level", "Zone.1.Name"]),
            (&["Zone.*.", "Zone.1.", "Zone.1.Level", "Zone.[Name==\"a\"].Level"], &["Zone.*."]),
            (&["Zone.1.Level", "Zone.*."], &["Zone.*."]),
            (&["", "Zone.*.Level"], &[""]),
            (&["Zone.1.Timer.", "Zone.*.Timer.Slot."], &["Zone.*.Timer.Slot.", "Zone.1.Timer."]),
        ],
    );
    each_is_subscribed_as("Event", &[(&["Zone.*.Opened!", "Zone.1.Opened!"], &["Zone.*.Opened!"])]);
}

#[test]
fn rows_of_a_service_reach_whoever_named_an_object_far_above() {
    let (mut w, c, s) = world();
    w.subscribe(c, "new", "ObjectCreation", "Device.");
    w.subscribe(c, "gone", "ObjectDeletion", TOP);
    w.notes(c);
    let row = || "Device.X_Lamp.Zone.1.Spot.3.".to_owned();
    let made = ObjectCreation { obj_path: row(), unique_keys: Default::default() };
    w.service_notify(s, "ObjectCreation", "Device.X_Lamp.Zone.*.Spot.", Notification::ObjCreation(made));
    let gone = ObjectDeletion { obj_path: row() };
    w.service_notify(s, "ObjectDeletion", "Device.X_Lamp.Zone.*.Spot.*.", Notification::ObjDeletion(gone));
    let expected = ["new: ObjectCreation", "gone: ObjectDeletion"].map(|what| format!("{what} {}", row()));
    assert_eq!(w.notes(c), expected);
}

const NORTH: &str = "Device.X_Lamp.Zone.[Name==\"north\"].";

fn opened(w: &mut World, s: ConnId, reference: &str) {
    let event = Event {
        obj_path: "Device.X_Lamp.Zone.1.".to_owned(),
        event_name: "Opened!".to_owned(),
        params: Default::default(),
    };
    w.service_notify(s, "Event", reference, Notification::Event(event));
}

/// Which rows an expression means is known to the Service alone, so it tells for both references.
#[test]
fn what_two_references_of_a_subscription_bring_is_told_once() {
    let (mut w, c, s) = world();
    let d = w.controller("self::d");
    let (one, north) = ("Device.X_Lamp.Zone.1.Opened!", format!("{NORTH}Opened!"));
    w.subscribe(c, "both", "Event", &format!("{one},{north}"));
    w.subscribe(d, "one", "Event", one);
    assert_eq!(rows(&w, s, "Event").len(), 2);
    let note = |id: &str, times: usize| vec![format!("{id}: Event {one}"); times];
    // Two happenings, told in any order.
    for order in [[one, &north, one, &north], [&north, &north, one, one], [one, one, &north, &north]] {
        order.iter().for_each(|reference| opened(&mut w, s, reference));
        assert_eq!(w.notes(c), note("both", 2));
        assert_eq!(w.notes(d), note("one", 2));
    }
    // What one of them alone brings is not lost, as often as it happens.
    for _ in 0..3 {
        opened(&mut w, s, &north);
    }
    assert_eq!(w.notes(c), note("both", 3));
    w.wait(60);
    opened(&mut w, s, one);
    assert_eq!(w.notes(c), note("both", 1), "this is no late copy");
}

#[test]
fn a_value_that_comes_and_goes_is_told_each_time() {
    let (mut w, c, s) = world();
    let references = [format!("{NORTH}Level"), "Device.X_Lamp.Zone.1.Level".to_owned()];
    w.subscribe(c, "v", "ValueChange", &references.join(","));
    for value in ["1", "2", "1"] {
        for reference in &references {
            let param_path = "Device.X_Lamp.Zone.1.Level".to_owned();
            let change = ValueChange { param_path, param_value: value.to_owned() };
            w.service_notify(s, "ValueChange", reference, Notification::ValueChange(change));
        }
    }
    let told = |value: &str| format!("v: ValueChange Device.X_Lamp.Zone.1.Level={value}");
    assert_eq!(w.notes(c), [told("1"), told("2"), told("1")]);
}

/// What a row tells is in order: nothing that comes after something else is a copy of what came before that.
#[test]
fn what_came_before_something_else_is_not_copied() {
    let (mut w, c, s) = world();
    let south = "Device.X_Lamp.Zone.[Name==\"south\"].";
    let references = [NORTH, south].map(|row| format!("{row}Opened!"));
    w.subscribe(c, "e", "Event", &[NORTH, south].join(","));
    let named = |w: &mut World, row: &str, name: &str| {
        let event = Event {
            obj_path: "Device.X_Lamp.Zone.1.".to_owned(),
            event_name: name.to_owned(),
            params: Default::default(),
        };
        w.service_notify(s, "Event", row, Notification::Event(event));
    };
    named(&mut w, NORTH, "Opened!");
    // It is renamed, and the other row alone tells of it.
    named(&mut w, south, "Closed!");
    named(&mut w, south, "Opened!");
    assert_eq!(w.notes(c).len(), 3, "{references:?}");
    w.wait(2);
    named(&mut w, NORTH, "Closed!");
    w.wait(2);
    named(&mut w, south, "Closed!");
    assert_eq!(w.notes(c).len(), 2, "this is another one");
}

/// A Service with many tables is asked for their rows in portions.
#[test]
fn many_rows_are_asked_for_in_portions() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let mut supported = vec![object("Device.X_Many.", &["Name"])];
    supported.extend((0..300).map(|n| object(&format!("Device.X_Many.T{n}.{{i}}."), &["Name"])));
    let s = w.service_link("self::many", FakeService { supported, ..FakeService::default() });
    w.register(s, false, &["Device.X_Many."]);
    let row = w.subscribe(c, "new", "ObjectCreation", "Device.");
    let adds = w.services[&s].asked.iter().filter_map(|request| match request {
        ReqType::Add(add) => Some(add.create_objs.len()),
        _ => None,
    });
    assert_eq!(adds.collect::<Vec<_>>(), [1, 256, 44]);
    assert_eq!(w.services[&s].subscriptions().len(), 301);
    w.delete(c, &[&row]);
    let deletes = w.services[&s].paths_asked("Delete");
    assert_eq!(deletes.iter().map(Vec::len).collect::<Vec<_>>(), [256, 44]);
    assert_eq!(w.services[&s].subscriptions().len(), 1);
    assert_eq!(w.broker.pending(), 0);
}
