//! All or nothing over owners where a Service does not show what it holds: secrets read empty, some Parameters not at all.

use usp_core::input::ConnId;
use usp_proto::usp::set_resp::{ParameterError, UpdatedInstanceResult};

use crate::bench::World;
use crate::bench::disk::Mood;
use crate::bench::peer::set;
use crate::bench::text;

const PIN: &str = "Device.X_Lamp.Zone.1.Name";
const OTHER: &str = "Device.X_Other.Colour";

/// Two Services; what this one holds in [`PIN`] cannot be read.
fn world() -> (World, ConnId, ConnId, ConnId) {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let other = w.lamp("self::other", "Device.X_Other.");
    (w, c, s, other)
}

fn veil(w: &mut World, s: ConnId, shown: bool) {
    let service = w.services.get_mut(&s).unwrap();
    match shown {
        true => service.veiled.push(PIN),
        false => service.unread.push(PIN),
    }
}

fn held(w: &World, s: ConnId, path: &str) -> String {
    w.services[&s].values[path].clone()
}

/// The Service whose values cannot be put back is asked last: then nothing of it has to be.
#[test]
fn a_secret_is_set_once_all_others_have_agreed() {
    for shown in [true, false] {
        let (mut w, c, s, other) = world();
        veil(&mut w, s, shown);
        w.services.get_mut(&other).unwrap().stubborn.insert(OTHER.to_owned(), 7012);
        let objects: [(&str, &[&str]); 2] =
            [("Device.X_Lamp.Zone.1.", &["Name=9999"]), ("Device.X_Other.", &["Colour=x"])];
        let answer = text::loud(&w.ask(c, set(false, &objects)));
        assert!(answer.starts_with("Error 7012") && !answer.contains("stayed"), "{shown}: {answer}");
        assert_eq!(held(&w, s, PIN), "north", "{shown}");
        assert_eq!(w.services[&s].count("Set"), 0, "{shown}: it was not even asked");
        w.services.get_mut(&other).unwrap().stubborn.clear();
        let answer = text::answer(&w.ask(c, set(false, &objects)));
        assert_eq!(answer, "Device.X_Lamp.Zone.1. Name=9999\nDevice.X_Other. Colour=x", "{shown}");
        assert_eq!((held(&w, s, PIN).as_str(), held(&w, other, OTHER).as_str()), ("9999", "x"));
    }
}

/// What refuses after it leaves it changed: named, and never emptied.
#[test]
fn a_secret_that_cannot_be_put_back_is_named_and_not_emptied() {
    for shown in [true, false] {
        let (mut w, c, s, _) = world();
        veil(&mut w, s, shown);
        w.disk.mood = Mood::Full("no space".to_owned());
        let objects: [(&str, &[&str]); 3] = [
            ("Device.X_Lamp.Zone.1.", &["Name=9999", "Level=77"]),
            ("Device.X_Other.", &["Colour=x"]),
            ("Device.DeviceInfo.", &["FriendlyName=new"]),
        ];
        let answer = text::loud(&w.ask(c, set(false, &objects)));
        let first = answer.lines().next().unwrap();
        assert!(first.starts_with("Error 7005 the change could not be stored"), "{shown}: {answer}");
        assert!(first.ends_with(&format!("; stayed changed: {PIN}")), "{shown}: {answer}");
        assert_eq!(held(&w, s, PIN), "9999", "{shown}: not emptied");
        assert_eq!(held(&w, s, "Device.X_Lamp.Zone.1.Level"), "10", "{shown}: what could be read is back");
        assert_eq!(w.broker.pending(), 0);
    }
}

/// Of two such Services each is asked by itself, so that at most the first stays changed.
#[test]
fn of_several_that_cannot_be_put_back_one_is_asked_after_another() {
    let (mut w, c, s, other) = world();
    veil(&mut w, s, true);
    let service = w.services.get_mut(&other).unwrap();
    service.veiled.push(OTHER);
    service.stubborn.insert(OTHER.to_owned(), 7012);
    let objects: [(&str, &[&str]); 2] =
        [("Device.X_Lamp.Zone.*.", &["Name=9999"]), ("Device.X_Other.", &["Colour=x"])];
    let answer = text::loud(&w.ask(c, set(false, &objects)));
    let first = answer.lines().next().unwrap();
    assert!(first.ends_with(&format!("; stayed changed: {PIN}")), "{answer}");
    assert_eq!(held(&w, s, PIN), "9999");
    assert_eq!(held(&w, s, "Device.X_Lamp.Zone.2.Name"), "south", "what could be read is back");
    // The first one refuses: the second is not asked.
    w.services.get_mut(&s).unwrap().stubborn.insert(PIN.to_owned(), 7012);
    let before = w.services[&other].count("Set");
    let answer = text::loud(&w.ask(c, set(false, &objects)));
    assert!(answer.starts_with("Error 7012") && !answer.contains("stayed"), "{answer}");
    assert_eq!(w.services[&other].count("Set"), before);
}

/// Without an answer nobody knows whether it was set.
#[test]
fn a_secret_of_a_service_that_says_nothing_is_named() {
    for shown in [true, false] {
        let (mut w, c, s, _) = world();
        veil(&mut w, s, shown);
        w.services.get_mut(&s).unwrap().deaf_to = vec!["Set"];
        let objects: [(&str, &[&str]); 2] =
            [("Device.X_Lamp.Zone.1.", &["Name=9999"]), ("Device.X_Other.", &["Colour=x"])];
        let id = w.begin(c, set(false, &objects));
        w.wait(20);
        let answer = text::loud(&w.answer(c, &id).unwrap());
        assert!(answer.starts_with("Error 7003"), "{answer}");
        assert!(
            answer.lines().next().unwrap().ends_with(&format!("; may have stayed changed: {PIN}")),
            "{answer}"
        );
        assert_eq!(w.services[&s].count("Set"), 1, "nothing is written back");
    }
}

/// What was not set was not changed either.
#[test]
fn an_optional_secret_that_was_refused_did_not_stay_changed() {
    let (mut w, c, s, _) = world();
    let refused = ParameterError { param: "Nonsense".to_owned(), err_code: 7026, err_msg: String::new() };
    w.services.get_mut(&s).unwrap().set_lies.push(UpdatedInstanceResult {
        affected_path: "Device.X_Lamp.Zone.1.".to_owned(),
        param_errs: vec![refused],
        ..UpdatedInstanceResult::default()
    });
    w.disk.mood = Mood::Full("no space".to_owned());
    let objects: [(&str, &[&str]); 2] = [
        ("Device.X_Lamp.Zone.1.", &["Nonsense?=1", "Level=77"]),
        ("Device.DeviceInfo.", &["FriendlyName=new"]),
    ];
    let answer = text::loud(&w.ask(c, set(false, &objects)));
    assert!(answer.starts_with("Error 7005") && !answer.contains("stayed"), "{answer}");
    assert_eq!(held(&w, s, "Device.X_Lamp.Zone.1.Level"), "10");
}
