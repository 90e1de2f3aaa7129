//! What one peer can ask for without harm to the others.

use usp_proto::usp;
use usp_proto::usp::request::ReqType;

use crate::bench::peer::{add, get, set, supported};
use crate::bench::service::Manner;
use crate::bench::{World, config, text};

fn instances(paths: &[&str]) -> ReqType {
    let obj_paths = paths.iter().map(|&p| p.to_owned()).collect();
    ReqType::GetInstances(usp::GetInstances { obj_paths, first_level_only: false })
}

#[test]
fn a_request_names_so_many_paths() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let many = vec!["Device."; 1025];
    let register = many.iter().map(|p| usp::register::RegistrationPath { path: (*p).to_owned() }).collect();
    let paths: Vec<String> = many.iter().map(|&p| p.to_owned()).collect();
    let of_controller = [
        get(&many, 1),
        supported(&many, true),
        instances(&many),
        set(true, &vec![("Device.DeviceInfo.", &[] as &[&str]); 1025]),
        set(true, &[("Device.DeviceInfo.", &vec!["FriendlyName=x"; 1025])]),
        add(true, &vec![("Device.LocalAgent.Controller.", &[] as &[&str]); 1025]),
        ReqType::Delete(usp::Delete { allow_partial: true, obj_paths: paths.clone() }),
    ];
    for request in of_controller {
        assert_eq!(text::answer(&w.ask(c, request)), "Error 7005");
    }
    let of_service = [
        ReqType::Register(usp::Register { allow_partial: true, reg_paths: register }),
        ReqType::Deregister(usp::Deregister { paths }),
    ];
    for request in of_service {
        assert_eq!(text::answer(&w.ask(s, request)), "Error 7005");
    }
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn an_answer_has_so_many_bytes() {
    let mut small = config();
    small.limits.max_answer_bytes = 100_000;
    let mut w = World::with(small);
    let c = w.controller("self::c");
    let many = vec!["Device."; 200];
    for request in [get(&many, 0), supported(&many, false)] {
        assert_eq!(text::answer(&w.ask(c, request)), "Error 7005");
    }
    let rows = vec!["Device.LocalAgent."; 1000];
    assert_eq!(text::answer(&w.ask(c, instances(&rows))), "Error 7005");
    assert!(!text::answer(&w.ask(c, get(&["Device."], 0))).contains("Error"));
}

#[test]
fn what_services_return_counts_too() {
    let mut small = config();
    small.limits.max_answer_bytes = 100_000;
    let mut w = World::with(small);
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let values = &mut w.services.get_mut(&s).unwrap().values;
    values.insert("Device.X_Lamp.Colour".to_owned(), "x".repeat(60_000));
    assert_eq!(
        text::answer(&w.ask(c, get(&["Device.X_Lamp.Zone.1.Level"], 0))),
        "Device.X_Lamp.Zone.1.Level=10"
    );
    let twice = ["Device.X_Lamp.Colour", "Device.X_Lamp."];
    assert_eq!(text::answer(&w.ask(c, get(&twice, 0))), "Error 7005");
    w.manner(s, Manner::Silent);
    assert_eq!(w.broker.pending(), 0);
}
