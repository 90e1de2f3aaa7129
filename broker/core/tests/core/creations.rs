//! New rows of Services: told after the answer to the Add that made them, before anything else of the row, and no later.

use std::collections::BTreeMap;
use std::time::Duration;

use usp_core::input::ConnId;
use usp_proto::usp::notify::{Notification, ObjectCreation, ObjectDeletion, ValueChange};

use crate::bench::World;
use crate::bench::peer::add;
use crate::bench::service::Manner;

const ZONES: &str = "Device.X_Lamp.Zone.";
const ZONE: &str = "Device.X_Lamp.Zone.9.";
const CREATED: &str = "new: ObjectCreation Device.X_Lamp.Zone.9.";

/// A Controller that is told of Zones, another one, and a Service that takes two seconds for everything.
fn world() -> (World, ConnId, ConnId, ConnId) {
    let mut w = World::new();
    let (told, other) = (w.controller("self::told"), w.controller("self::other"));
    w.subscribe(told, "new", "ObjectCreation", ZONES);
    w.subscribe(told, "gone", "ObjectDeletion", ZONES);
    w.subscribe(told, "name", "ValueChange", ZONES);
    let lamp = w.lamp("self::lamp", "Device.X_Lamp.");
    w.notes(told);
    w.manner(lamp, Manner::Slow(Duration::from_secs(2)));
    (w, told, other, lamp)
}

fn creates(w: &mut World, lamp: ConnId) {
    let created = ObjectCreation { obj_path: ZONE.to_owned(), unique_keys: BTreeMap::new() };
    w.service_notify(lamp, "ObjectCreation", ZONES, Notification::ObjCreation(created));
}

fn changes(w: &mut World, lamp: ConnId, param: &str) {
    let change = ValueChange { param_path: param.to_owned(), param_value: "attic".to_owned() };
    w.service_notify(lamp, "ValueChange", ZONES, Notification::ValueChange(change));
}

fn deletes(w: &mut World, lamp: ConnId) {
    let deleted = ObjectDeletion { obj_path: ZONE.to_owned() };
    w.service_notify(lamp, "ObjectDeletion", &format!("{ZONES}*."), Notification::ObjDeletion(deleted));
}

fn begin_add(w: &mut World, c: ConnId) -> String {
    w.begin(c, add(true, &[(ZONES, &["Name=attic"])]))
}

#[test]
fn an_add_that_began_later_holds_nothing_back() {
    let (mut w, told, other, lamp) = world();
    let first = begin_add(&mut w, other);
    creates(&mut w, lamp);
    w.wait(1);
    begin_add(&mut w, other);
    assert!(w.notes(told).is_empty(), "the Add is not answered");
    w.wait(1);
    assert!(w.answer(other, &first).is_some());
    assert_eq!(w.notes(told), [CREATED], "the other Add is still under way");
    w.wait(1);
    assert!(w.notes(told).is_empty());
}

#[test]
fn what_is_told_of_a_row_follows_its_creation() {
    let (mut w, told, other, lamp) = world();
    begin_add(&mut w, other);
    creates(&mut w, lamp);
    changes(&mut w, lamp, &format!("{ZONE}Name"));
    changes(&mut w, lamp, "Device.X_Lamp.Zone.1.Name");
    deletes(&mut w, lamp);
    creates(&mut w, lamp);
    let unconcerned = "name: ValueChange Device.X_Lamp.Zone.1.Name=attic";
    assert_eq!(w.notes(told), [unconcerned], "another row does not wait");
    w.wait(2);
    let changed = format!("name: ValueChange {ZONE}Name=attic");
    let deleted = format!("gone: ObjectDeletion {ZONE}");
    assert_eq!(w.notes(told), [CREATED, &changed, &deleted, CREATED]);
}

#[test]
fn nothing_waits_for_longer_than_a_service_has_for_its_answer() {
    let (mut w, told, other, lamp) = world();
    let deaf = w.lamp("self::deaf", "Device.X_Deaf.");
    w.services.get_mut(&deaf).unwrap().deaf_to.push("Add");
    w.manner(lamp, Manner::Good);
    w.services.get_mut(&lamp).unwrap().deaf_to.push("Delete");
    let both = [(ZONES, &["Name=a"][..]), ("Device.X_Deaf.Zone.", &["Name=b"][..])];
    let id = w.begin(other, add(false, &both));
    creates(&mut w, lamp);
    w.wait(4);
    assert!(w.notes(told).is_empty());
    w.wait(1);
    assert_eq!(w.notes(told), [CREATED]);
    assert!(w.answer(other, &id).is_none(), "what was made is still being taken back");
    w.wait(5);
    assert!(w.answer(other, &id).is_some());
    assert!(w.notes(told).is_empty());
}
