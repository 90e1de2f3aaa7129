//! References that lead into Services, out of them, and from one to another.

use usp_core::input::ConnId;
use usp_proto::usp::get_supported_dm_resp::SupportedEventResult;

use crate::bench::World;
use crate::bench::peer::{add, get, operate, set};
use crate::bench::service::{Manner, lamp};
use crate::bench::text;

pub(crate) const OWN: &str = "Device.LocalAgent.Controller.1.BootParameter.";

/// Two Services whose zones refer to each other and to us, and a row of ours that refers to a zone.
pub(crate) fn world() -> (World, ConnId, ConnId, ConnId) {
    let mut w = World::new();
    let c = w.controller("self::c");
    let link = |w: &mut World, peer: &str, own: &str, refs: &[(&str, &str)]| {
        let mut service = lamp(&format!("Device.{own}."));
        for object in service.supported.iter_mut().filter(|o| o.is_multi_instance) {
            let mut param = object.supported_params[0].clone();
            param.param_name = "Buddy".to_owned();
            object.supported_params.push(param);
            let event_name = "Lit!".to_owned();
            object.supported_events.push(SupportedEventResult { event_name, arg_names: Vec::new() });
        }
        let values =
            refs.iter().map(|(row, to)| (format!("Device.{own}.Zone.{row}.Buddy"), (*to).to_owned()));
        service.values.extend(values);
        let s = w.service_link(peer, service);
        w.register(s, false, &[&format!("Device.{own}.")]);
        s
    };
    let both = "Device.X_B.Zone.2,Device.LocalAgent.Controller.1.";
    let a = link(&mut w, "self::a", "X_A", &[("1", both), ("2", "Device.X_A.Zone.1")]);
    let b = link(&mut w, "self::b", "X_B", &[("1", "Device.X_B.Zone.9"), ("2", "nonsense")]);
    w.add(c, OWN, &["ParameterName=Device.X_A.Zone.1"]);
    (w, c, a, b)
}

#[test]
fn a_get_follows_wherever_a_reference_leads() {
    let (mut w, c, ..) = world();
    for (path, expected) in [
        ("Device.X_A.Zone.1.Buddy+.Name", "Device.X_B.Zone.2.Name=south"),
        ("Device.X_A.Zone.1.Buddy#2+.EndpointID", "Device.LocalAgent.Controller.1.EndpointID=self::c"),
        ("Device.X_A.Zone.2.Buddy+.Name", "Device.X_A.Zone.1.Name=north"),
        ("Device.X_A.Zone.*.Buddy+.Name", "Device.X_B.Zone.2.Name=south\nDevice.X_A.Zone.1.Name=north"),
        ("Device.X_A.Zone.2.Buddy+.Buddy+.Level", "Device.X_B.Zone.2.Level=20"),
        (&format!("{OWN}1.ParameterName+.Level"), "Device.X_A.Zone.1.Level=10"),
        (&format!("{OWN}*.ParameterName+.Buddy#1+.Name"), "Device.X_B.Zone.2.Name=south"),
        ("Device.X_B.Zone.*.Buddy+.Name", ""),
        ("Device.X_A.Zone.1.Buddy#3+.Name", ""),
        ("Device.X_A.Zone.1.Buddy#1+.Nothing", "Device.X_A.Zone.1.Buddy#1+.Nothing: 7026"),
        ("Device.X_A.Zone.9.Buddy+.Name", "Device.X_A.Zone.9.Buddy+.Name: 7026"),
    ] {
        assert_eq!(w.get(c, path), expected, "{path}");
    }
    let all = text::answer(&w.ask(c, get(&["Device.X_A.Zone.1.Buddy#*+.", "Device.X_A.Colour"], 1)));
    assert!(
        all.contains("Device.X_B.Zone.2.Name=south") && all.contains("Controller.1.EndpointID=self::c"),
        "{all}"
    );
    assert!(all.ends_with("Device.X_A.Colour=red"), "{all}");
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn references_in_a_circle_come_to_an_end() {
    let (mut w, c, a, _) = world();
    w.services
        .get_mut(&a)
        .unwrap()
        .values
        .insert("Device.X_A.Zone.1.Buddy".to_owned(), "Device.X_A.Zone.2".to_owned());
    let path = format!("Device.X_A.Zone.1.{}Name", "Buddy+.".repeat(4));
    assert_eq!(w.get(c, &path), "Device.X_A.Zone.1.Name=north");
    let path = format!("Device.X_A.Zone.1.{}Name", "Buddy+.".repeat(20));
    assert_eq!(w.get(c, &path), format!("{path}: 7005"));
}

#[test]
fn what_a_reference_leads_to_is_set_as_a_whole() {
    // R-SET.2a
    let (mut w, c, a, b) = world();
    let path = "Device.X_A.Zone.*.Buddy#1+.";
    let answer = text::answer(&w.ask(c, set(true, &[(path, &["Level=5"])])));
    assert_eq!(answer, "Device.X_B.Zone.2. Level=5\nDevice.X_A.Zone.1. Level=5");
    w.services.get_mut(&b).unwrap().stubborn.insert("Device.X_B.Zone.2.Level".to_owned(), 7012);
    let answer = text::answer(&w.ask(c, set(true, &[(path, &["Level=6"])])));
    assert!(answer.starts_with(&format!("{path}: 7012")), "{answer}");
    assert_eq!(w.services[&a].values["Device.X_A.Zone.1.Level"], "5", "it was taken back");
    let both = "Device.X_A.Zone.1.Buddy#*+.";
    let answer = w.set(c, both, &["ProvisioningCode?=x", "Name?=y"]);
    assert!(answer.contains("Device.LocalAgent.Controller.1. ProvisioningCode=x"), "{answer}");
}

#[test]
fn rows_are_made_listed_deleted_and_operated_on_behind_references() {
    let (mut w, c, ..) = world();
    let boot = "Device.X_A.Zone.1.Buddy#2+.BootParameter.";
    assert_eq!(w.instances(c, boot, true), format!("{OWN}1. Alias=cpe-1 ParameterName=Device.X_A.Zone.1"));
    let answer = text::answer(&w.ask(c, add(false, &[(boot, &["ParameterName=Device.B"])])));
    assert_eq!(answer, format!("{OWN}2. Alias=cpe-2 ParameterName=Device.B"));
    assert_eq!(w.delete(c, &[&format!("{boot}2.")]), format!("{OWN}2."));
    assert_eq!(
        w.operate(c, &format!("{OWN}1.ParameterName+.Dim()"), "k", &[]),
        "Device.X_A.Zone.1.Dim() -> ok"
    );
    assert_eq!(w.operate(c, "Device.X_B.Zone.1.Buddy+.Dim()", "k", &[]).lines().count(), 1);
    assert_eq!(w.operate(c, "Device.X_B.Zone.2.Buddy+.Dim()", "k", &[]), "");
    assert_eq!(w.delete(c, &["Device.X_A.Zone.2.Buddy+."]), "Device.X_A.Zone.1.");
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn a_service_that_does_not_say_where_its_reference_leads_fails_the_entry() {
    let (mut w, c, a, _) = world();
    w.manner(a, Manner::Refuses(7002));
    let path = "Device.X_A.Zone.1.Buddy+.Name";
    let answer = text::answer(&w.ask(c, get(&[path, "Device.X_B.Colour"], 0)));
    assert_eq!(answer, format!("{path}: 7002\nDevice.X_B.Colour=red"));
    assert_eq!(
        w.set(c, "Device.X_A.Zone.1.Buddy+.", &["Name=x"]),
        "Error 7002\nDevice.X_A.Zone.1.Buddy+.: 7002"
    );
    w.manner(a, Manner::Silent);
    let id = w.begin(c, operate("Device.X_A.Zone.1.Buddy+.Dim()", "k", &[]));
    w.wait(5);
    assert_eq!(text::answer(&w.answer(c, &id).unwrap()), "Device.X_A.Zone.1.Buddy+.Dim() -> 7003");
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn an_expression_that_leads_into_a_service_is_refused_and_not_silently_unmatched() {
    let (mut w, c, ..) = world();
    let path = format!("{OWN}[ParameterName+.Name==\"north\"].Alias");
    let answer = text::loud(&w.ask(c, get(&[&path], 0)));
    assert!(
        answer.starts_with(&format!("{path}: 7002 ")) && answer.contains("Device.X_A.Zone.1."),
        "{answer}"
    );
}

/// A Service searches among what it serves; where a reference inside the expression leads out of it, nothing would be found.
#[test]
fn a_search_of_a_service_by_references_out_of_it_says_so() {
    let (mut w, c, a, b) = world();
    let out = "Device.X_A.Zone.[Buddy+.Name==\"south\"].";
    assert_eq!(w.get(c, &format!("{out}Level")), format!("{out}Level: 7002"));
    let loud = text::loud(&w.ask(c, get(&[&format!("{out}Level")], 0)));
    let why = "Device.X_A.Zone.1.Buddy leads to Device.X_B.Zone.2, which is not of Service self::a";
    assert!(loud.contains(why), "{loud}");
    assert_eq!(w.set(c, out, &["Level=1"]), format!("Error 7002\n{out}: 7002"));
    assert_eq!(w.operate(c, &format!("{out}Dim()"), "", &[]), format!("{out}Dim() -> 7002"));
    assert_eq!((w.services[&a].count("Set"), w.services[&a].count("Operate")), (0, 0));
    for (service, within) in
        [(b, "Device.X_B.Zone.[Buddy+.Name==\"south\"]."), (a, "Device.X_A.Zone.[Buddy#3+.Name==\"south\"].")]
    {
        assert_eq!(w.get(c, within), "", "{within}");
        assert!(w.services[&service].paths_asked("Get").contains(&vec![within.to_owned()]), "{within}");
    }
    w.manner(a, Manner::Refuses(7004));
    assert_eq!(w.get(c, out), format!("{out}: 7004"), "what cannot be known is told");
    assert_eq!(w.broker.pending(), 0);
}
