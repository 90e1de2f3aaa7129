//! How the results of a Service find the entries that they are for: by their paths, in whatever order they come.

use std::time::Duration;

use usp_core::input::ConnId;

use crate::bench::World;
use crate::bench::peer::set;
use crate::bench::service::{Manner, lamp, object};
use crate::bench::text;

const LAMP: &str = "Device.X_Lamp.";
const ONE: &str = "Device.X_Lamp.Zone.1.";
const TWO: &str = "Device.X_Lamp.Zone.2.";

fn world() -> (World, ConnId, ConnId) {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", LAMP);
    w.services.get_mut(&s).unwrap().backwards = true;
    (w, c, s)
}

#[test]
fn the_results_of_a_set_belong_to_their_paths() {
    // R-SET.0
    let (mut w, c, s) = world();
    w.services.get_mut(&s).unwrap().stubborn.insert(format!("{LAMP}Colour"), 7012);
    let entries: &[(&str, &[&str])] =
        &[(LAMP, &["Colour=blue"]), (ONE, &["Name=attic"]), (TWO, &["Level=3"])];
    let answer = text::answer(&w.ask(c, set(true, entries)));
    assert_eq!(answer, format!("{LAMP}: 7012\n{ONE} Name=attic\n{TWO} Level=3"));
}

#[test]
fn results_for_one_path_are_taken_in_their_order() {
    let (mut w, c, s) = world();
    let service = w.services.get_mut(&s).unwrap();
    service.backwards = false;
    service.stubborn.insert(format!("{ONE}Level"), 7012);
    let entries: &[(&str, &[&str])] = &[(ONE, &["Level=5"]), (TWO, &["Level=6"]), (ONE, &["Name=attic"])];
    let answer = text::answer(&w.ask(c, set(true, entries)));
    assert_eq!(answer, format!("{ONE}: 7012\n{TWO} Level=6\n{ONE} Name=attic"));
}

#[test]
fn the_results_of_a_delete_belong_to_their_paths() {
    // R-DEL.0
    let (mut w, c, s) = world();
    w.services.get_mut(&s).unwrap().lasting.insert(ONE.to_owned(), 7024);
    assert_eq!(w.delete_partial(c, true, &[ONE, TWO]), format!("{ONE}: 7024\n{TWO}"));
}

#[test]
fn a_path_that_is_written_differently_is_known_by_its_place() {
    let (mut w, c, s) = world();
    let service = w.services.get_mut(&s).unwrap();
    service.renamed.insert(ONE.to_owned(), format!("{LAMP}Zone.[Name==\"north\"]."));
    service.stubborn.insert(format!("{LAMP}Colour"), 7012);
    let entries: &[(&str, &[&str])] = &[(LAMP, &["Colour=blue"]), (ONE, &["Level=3"])];
    let answer = text::answer(&w.ask(c, set(true, entries)));
    assert_eq!(answer, format!("{LAMP}: 7012\n{ONE} Level=3"));
    // What is plainly about another entry is not believed to be about this one.
    w.services.get_mut(&s).unwrap().renamed.insert(ONE.to_owned(), LAMP.to_owned());
    let answer = text::answer(&w.ask(c, set(true, entries)));
    assert_eq!(answer, format!("{ONE} Level=3\n{ONE}: 7003"));
}

#[test]
fn what_was_not_taken_back_is_known_by_its_path() {
    let (mut w, c, s) = world();
    let t = w.lamp("self::other", "Device.X_Other.");
    w.services.get_mut(&t).unwrap().stubborn.insert("Device.X_Other.Colour".to_owned(), 7012);
    w.services.get_mut(&s).unwrap().set_once.insert(format!("{ONE}Level"), 7003);
    let entries: &[(&str, &[&str])] =
        &[(ONE, &["Level=3"]), (TWO, &["Level=4"]), ("Device.X_Other.", &["Colour=blue"])];
    let answer = text::loud(&w.ask(c, set(false, entries)));
    assert!(answer.contains(&format!("{ONE}Level")) && !answer.contains(&format!("{TWO}Level")), "{answer}");
}

/// R-SET.2a: a Service may answer with an Error. What it names is in the entry's failure, and other entries go on.
#[test]
fn an_error_for_a_search_path_fails_that_entry_alone() {
    let (mut w, c, s) = world();
    let service = w.services.get_mut(&s).unwrap();
    service.strict = true;
    service.stubborn.insert(format!("{TWO}Level"), 7012);
    let all = format!("{LAMP}Zone.*.");
    let failed = format!("{all}: 7012\n{TWO}Level: 7012");
    let answer = text::answer(&w.ask(c, set(true, &[(&all, &["Level=7"])])));
    assert_eq!(answer, failed);
    let entries: &[(&str, &[&str])] =
        &[(LAMP, &["Colour=blue"]), (&all, &["Level=7"]), (ONE, &["Name=attic"])];
    let answer = text::answer(&w.ask(c, set(true, entries)));
    assert_eq!(answer, format!("{LAMP} Colour=blue\n{failed}\n{ONE} Name=attic"));
    assert_eq!(w.get(c, &format!("{LAMP}Zone.*.Level")), format!("{ONE}Level=10\n{TWO}Level=20"));
    // R-SET.1: with allow_partial=false it is what the whole Message fails with.
    let answer = text::answer(&w.ask(c, set(false, entries)));
    assert_eq!(answer, format!("Error 7012\n{TWO}Level: 7012"));
}

#[test]
fn an_error_that_names_nothing_is_put_down_to_search_paths() {
    let (mut w, c, s) = world();
    let service = w.services.get_mut(&s).unwrap();
    (service.strict, service.tight_lipped) = (true, true);
    service.stubborn.insert(format!("{TWO}Level"), 7012);
    let all = format!("{LAMP}Zone.*.");
    let entries: &[(&str, &[&str])] = &[(&all, &["Level=7", "Name=x"]), (ONE, &["Name=attic"])];
    let answer = text::answer(&w.ask(c, set(true, entries)));
    assert_eq!(answer, format!("{all}: 7012\n{ONE} Name=attic"));
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn a_service_that_refuses_everything_is_not_asked_for_ever() {
    let (mut w, c, s) = world();
    w.manner(s, Manner::Refuses(7021));
    let sets = w.services[&s].count("Set");
    let all = format!("{LAMP}Zone.*.");
    let entries: &[(&str, &[&str])] =
        &[(&all, &["Level=7"]), (ONE, &["Name=attic"]), (TWO, &["Name=cellar"])];
    let answer = text::answer(&w.ask(c, set(true, entries)));
    assert_eq!(answer.matches(": 7021").count(), 5, "{answer}");
    assert_eq!(w.services[&s].count("Set"), sets + 2);
}

/// Tables with a row each that refuses, and one object that does not.
fn refusing(tables: usize) -> (World, ConnId, ConnId, Vec<String>) {
    let mut w = World::new();
    let c = w.controller("self::c");
    let mut service = lamp(LAMP);
    service.strict = true;
    let tables: Vec<String> = (0..tables).map(|n| format!("{LAMP}Part{n}.")).collect();
    for table in &tables {
        service.supported.push(object(&format!("{table}{{i}}."), &["Level"]));
        service.values.insert(format!("{table}1.Level"), "0".to_owned());
        service.stubborn.insert(format!("{table}1.Level"), 7012);
    }
    let s = w.service_link("self::lamp", service);
    assert_eq!(w.register(s, false, &[LAMP]), LAMP);
    let entries = tables.iter().map(|table| format!("{table}*.")).chain([LAMP.to_owned()]).collect();
    (w, c, s, entries)
}

fn set_all(entries: &[String]) -> usp_proto::usp::request::ReqType {
    let level: &[&str] = &["Level=7"];
    let entries =
        entries.iter().map(|path| (path.as_str(), if path == LAMP { &["Colour=blue"] } else { level }));
    set(true, &entries.collect::<Vec<_>>())
}

/// It names one at a time.
#[test]
fn a_service_is_asked_again_so_often_and_no_more() {
    for (tables, asked) in [(8, 9), (12, 9)] {
        let (mut w, c, s, entries) = refusing(tables);
        let answer = text::answer(&w.ask(c, set_all(&entries)));
        assert_eq!(w.services[&s].count("Set"), asked, "{answer}");
        assert_eq!(answer.contains("Colour=blue"), tables == 8, "{answer}");
        assert_eq!(answer.lines().filter(|line| line.contains("*.: 7012")).count(), tables, "{answer}");
    }
}

#[test]
fn a_service_that_is_asked_again_has_no_more_time() {
    let (mut w, c, s, entries) = refusing(8);
    w.manner(s, Manner::Slow(Duration::from_millis(1500)));
    let asked = w.begin(c, set_all(&entries));
    w.advance(Duration::from_millis(4990));
    assert!(w.answer(c, &asked).is_none());
    w.advance(Duration::from_millis(10));
    let answer = text::loud(&w.answer(c, &asked).unwrap());
    assert_eq!(answer.matches("*.: 7012").count(), 3, "{answer}");
    let unknown = "7003 Service self::lamp did not answer within 500 ms; whether it was done is not known";
    assert!(answer.contains(&format!("{LAMP}: {unknown}")), "{answer}");
    w.wait(5);
    assert_eq!(w.broker.pending(), 0);
}
