//! What one request costs everybody else: how much is checked for it, and how long its answer may become. Whatever is
//! beyond is refused before anything is done.

use usp_core::config::{ControllerSeed, PermissionSeed, RoleSeed};
use usp_core::input::{ConnId, MtpKind, Side};
use usp_proto::endpoint_id::EndpointId;
use usp_proto::usp;
use usp_proto::usp::request::ReqType;

use crate::bench::peer::{add, get, operate, set};
use crate::bench::{World, config, text};

const TABLE: &str = "Device.LocalAgent.Subscription.";
const ROWS: &str = "Device.LocalAgent.Subscription.*.";

fn permission(target: &str, bits: [&str; 4]) -> PermissionSeed {
    PermissionSeed {
        order: 1,
        targets: vec![target.to_owned()],
        param: bits[0].to_owned(),
        obj: bits[1].to_owned(),
        instantiated_obj: bits[2].to_owned(),
        command_event: bits[3].to_owned(),
    }
}

/// So many Subscriptions, one who may do everything, and one who may do just this.
fn world(rows: usize, permissions: Vec<PermissionSeed>) -> (World, ConnId, ConnId) {
    let mut config = config();
    config.seed.roles.push(RoleSeed { name: "Poor".to_owned(), permissions });
    config.seed.controllers.push(ControllerSeed {
        endpoint_id: EndpointId::parse("self::poor").unwrap(),
        role: "Poor".to_owned(),
        params: Vec::new(),
        mqtt: None,
    });
    let mut w = World::with(config);
    let c = w.controller("self::c");
    let poor = w.connect(MtpKind::WebSocket, Side::Agent, "self::poor", true);
    let mut left = rows;
    while left > 0 {
        let some = left.min(1000);
        w.ask(c, add(true, &vec![(TABLE, &[] as &[&str]); some]));
        left -= some;
    }
    (w, c, poor)
}

/// Settings that no Subscription has; none is required.
fn unknown() -> Vec<String> {
    (0..1024).map(|n| format!("N{n}?=x")).collect()
}

fn enabled(w: &mut World, c: ConnId) -> usize {
    w.get(c, &format!("{ROWS}Enable")).matches("=true").count()
}

/// Eleven kilobytes of a request would bring an answer of megabytes.
#[test]
fn a_set_whose_answer_would_be_too_long_is_refused_as_a_whole() {
    let (mut w, c, _) = world(200, Vec::new());
    let names = unknown();
    let mut settings: Vec<&str> = names[..1023].iter().map(String::as_str).collect();
    settings.push("Enable=true");
    for allow_partial in [true, false] {
        let answer = text::loud(&w.ask(c, set(allow_partial, &[(ROWS, &settings)])));
        assert!(answer.starts_with("Error 7005") && answer.contains("max_answer_bytes"), "{answer:.200}");
        assert_eq!(answer.lines().count(), 1, "nothing of it is told");
    }
    assert_eq!(enabled(&mut w, c), 0, "nothing is done");
    let few: Vec<&str> = names[..4].iter().map(String::as_str).chain(["Enable=true"]).collect();
    let answer = text::answer(&w.ask(c, set(true, &[(ROWS, &few)])));
    assert!(!answer.starts_with("Error"), "{answer:.200}");
    assert_eq!(enabled(&mut w, c), 200);
    assert_eq!(w.broker.pending(), 0);
}

/// Values count as well: each is told in the answer, and kept until it is set.
#[test]
fn long_values_for_many_rows_are_refused_too() {
    let mut small = config();
    small.limits.max_answer_bytes = 100_000;
    let mut w = World::with(small);
    let c = w.controller("self::c");
    for _ in 0..4 {
        w.ask(c, add(true, &vec![(TABLE, &[] as &[&str]); 100]));
    }
    let many = format!("ReferenceList={}", ["Device.DeviceInfo.FriendlyName"; 8].join(","));
    let answer = text::loud(&w.ask(c, set(false, &[(ROWS, &[&*many])])));
    assert!(answer.starts_with("Error 7005") && answer.contains("max_answer_bytes"), "{answer:.200}");
    assert_eq!(w.get(c, &format!("{TABLE}1.ReferenceList")), format!("{TABLE}1.ReferenceList="));
    assert!(w.set(c, ROWS, &["Enable=true"]).starts_with(TABLE), "short ones are good");
}

/// Whoever may know of no row is told of none, as if there were none, and costs nothing for each.
#[test]
fn what_may_not_be_known_costs_nothing_however_many_rows_there_are() {
    let read = ["r---", "r---", "----", "----"];
    let (mut w, _, poor) = world(300, vec![permission("Device.DeviceInfo.", read)]);
    let names = unknown();
    let mut settings: Vec<&str> = names[..1022].iter().map(String::as_str).collect();
    settings.extend(["Enable?=true", "No Name?=x"]);
    let request = set(true, &[(ROWS, settings.as_slice()); 4]);
    let answer = w.ask(poor, request);
    let nothing = text::answer(&w.ask(
        poor,
        set(true, &[("Device.LocalAgent.Controller.[Alias==\"\"].", &["Enable?=true"] as &[&str]); 4]),
    ));
    assert_eq!(text::answer(&answer), nothing);
    assert!(!nothing.contains("Error"), "{nothing}");
    assert_eq!(w.broker.pending(), 0);
}

/// May write without being shown anything: the answer is short, and what is checked is bounded all the same.
#[test]
fn a_set_that_tells_nothing_is_checked_so_often_only() {
    let write = ["-w--", "----", "----", "----"];
    let (mut w, c, poor) = world(300, vec![permission(ROWS, write)]);
    let settings = vec!["NotifType?=Nonsense"; 1000];
    let answer = text::loud(&w.ask(poor, set(true, &[(ROWS, &settings)])));
    assert!(answer.starts_with("Error 7005") && answer.contains("checked"), "{answer:.200}");
    let answer = text::answer(&w.ask(poor, set(true, &[(ROWS, &["Enable=true"])])));
    assert!(!answer.contains("Error"), "{answer:.200}");
    assert_eq!(enabled(&mut w, c), 300);
}

#[test]
fn an_add_to_many_tables_is_bounded() {
    let (mut w, c, _) = world(0, Vec::new());
    let ids: Vec<String> = (0..200).map(|n| format!("EndpointID=self::x{n}")).collect();
    let ids: Vec<[&str; 1]> = ids.iter().map(|id| [id.as_str()]).collect();
    let rows: Vec<(&str, &[&str])> =
        ids.iter().map(|id| ("Device.LocalAgent.Controller.", id.as_slice())).collect();
    w.ask(c, add(true, &rows));
    let names = unknown();
    let settings: Vec<&str> = names.iter().map(String::as_str).collect();
    let table = "Device.LocalAgent.Controller.*.BootParameter.";
    let made =
        |w: &mut World| w.get(c, &format!("{table}*.Enable")).lines().filter(|l| !l.is_empty()).count();
    let before = made(&mut w);
    for allow_partial in [true, false] {
        let answer = text::answer(&w.ask(c, add(allow_partial, &[(table, &settings)])));
        assert!(answer == "Error 7005", "{allow_partial}: {answer:.200}");
    }
    assert_eq!(made(&mut w), before, "nothing is made");
    w.ask(c, add(true, &[(table, &settings[..2])]));
    assert!(made(&mut w) >= before + 200);
}

#[test]
fn a_delete_of_the_same_rows_again_and_again_is_bounded() {
    let (mut w, c, _) = world(300, Vec::new());
    for allow_partial in [true, false] {
        let obj_paths = vec![ROWS.to_owned(); 250];
        let request = ReqType::Delete(usp::Delete { allow_partial, obj_paths });
        let answer = text::answer(&w.ask(c, request));
        assert!(answer == "Error 7005", "{allow_partial}: {answer:.200}");
    }
    let left = |w: &mut World| w.get(c, &format!("{ROWS}ID")).lines().count();
    assert_eq!(left(&mut w), 300, "nothing is deleted");
    w.delete(c, &[ROWS]);
    assert_eq!(w.get(c, &format!("{ROWS}ID")), "");
}

#[test]
fn an_operate_whose_answer_would_be_too_long_does_nothing() {
    let mut small = config();
    small.limits.max_answer_bytes = 10_000;
    let mut w = World::with(small);
    let c = w.controller("self::c");
    for n in 0..150 {
        w.add(c, "Device.LocalAgent.Controller.", &[&format!("EndpointID=self::x{n}"), "Enable=true"]);
    }
    w.set(c, "Device.LocalAgent.Controller.1.", &["OnBoardingComplete=true"]);
    w.notes(c);
    let command = "Device.LocalAgent.Controller.*.SendOnBoardRequest()";
    let answer = text::answer(&w.ask(c, operate(command, "", &[])));
    assert_eq!(answer, format!("{command} -> 7005"));
    assert!(w.notes(c).is_empty(), "nobody is sent anything");
}

/// A wildcard looks at rows as a search does.
#[test]
fn the_rows_that_wildcards_mean_are_bounded_for_a_request() {
    let (mut w, c, _) = world(2000, Vec::new());
    let path = format!("{ROWS}Nonsense");
    let answer = text::answer(&w.ask(c, get(&vec![path.as_str(); 300], 0)));
    let codes = ["7026", "7005"].map(|code| answer.lines().filter(|line| line.ends_with(code)).count());
    assert_eq!(codes, [250, 50]);
    assert_eq!(w.get(c, &path), format!("{path}: 7026"), "the next request starts anew");
}

/// Who may read none of very many rows, or some, is answered as who may read all: rows that are alike are judged once, and what is
/// below a row of which nothing is shown is not looked at.
#[test]
fn rows_that_may_not_be_read_cost_little() {
    let read = ["r---"; 4];
    let row = PermissionSeed { order: 2, ..permission(&format!("{TABLE}7."), read) };
    let other = [permission("Device.DeviceInfo.", read), row];
    let (mut w, c, poor) = world(500, other.to_vec());
    let rows = [ROWS; 100];
    let answer = text::answer(&w.ask(poor, get(&rows, 0)));
    assert_eq!(answer.matches(".ID=").count(), 100, "{answer:.300}");
    assert!(!answer.contains("7005"), "{answer:.300}");
    let all = w.get(poor, "Device.");
    assert!(all.contains(&format!("{TABLE}7.ID=")) && !all.contains(&format!("{TABLE}8.")), "{all:.300}");
    let own = w.get(c, &format!("{TABLE}7."));
    assert_eq!(w.get(poor, TABLE), own);
    assert_eq!(w.instances(poor, TABLE, false).lines().count(), 1);
}

/// Where each row has to be looked at, that is bounded.
#[test]
fn rows_that_are_judged_one_by_one_are_bounded() {
    let target = format!("{TABLE}[Enable==true].");
    let (mut w, _, poor) = world(500, vec![permission(&target, ["r---"; 4])]);
    let answer = text::answer(&w.ask(poor, get(&[ROWS; 20], 0)));
    assert!(!answer.starts_with("Error"), "{answer:.300}");
    let answer = text::answer(&w.ask(poor, get(&[ROWS; 250], 0)));
    assert_eq!(answer, "Error 7005");
}
