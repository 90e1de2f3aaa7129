//! Random Permission tables against the naive reference, through real requests to rows of the broker's own.

use proptest::prelude::*;
use usp_core::config::{ControllerSeed, PermissionSeed, RoleSeed};
use usp_core::input::ConnId;
use usp_proto::endpoint_id::EndpointId;

use crate::bench::World;
use crate::bench::letters::{Line, letters};

const TABLES: [&str; 2] =
    ["Device.LocalAgent.Controller.1.BootParameter.", "Device.LocalAgent.Controller.2.BootParameter."];

fn target() -> impl Strategy<Value = String> {
    let row = || prop::sample::select(vec!["1", "2", "*"]);
    let top = "Device.LocalAgent.Controller.";
    prop_oneof![
        Just("Device.".to_owned()),
        Just(top.to_owned()),
        row().prop_map(move |n| format!("{top}{n}.")),
        row().prop_map(move |n| format!("{top}{n}.BootParameter")),
        (row(), row()).prop_map(move |(n, m)| format!("{top}{n}.BootParameter.{m}.")),
        (row(), row()).prop_map(move |(n, m)| format!("{top}{n}.BootParameter.{m}.Enable")),
        // The same rows by an expression: each has its number as its Alias.
        (row(), 1..3_u32).prop_map(move |(n, m)| format!("{top}{n}.BootParameter.[Alias==\"a{m}\"].")),
    ]
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let line = (prop::collection::vec(target(), 1..3), "[r-][w-]--");
    let line = line.prop_map(|(targets, letters)| Line { order: 0, targets, letters });
    prop::collection::vec(line, 1..6).prop_map(|mut lines| {
        lines.iter_mut().zip(1..).for_each(|(line, order)| line.order = order);
        lines
    })
}

fn world(lines: &[Line]) -> (World, ConnId, ConnId) {
    let mut config = crate::bench::config();
    let permissions = lines.iter().map(|line| PermissionSeed {
        order: line.order,
        targets: line.targets.clone(),
        param: line.letters.clone(),
        obj: line.letters.clone(),
        instantiated_obj: line.letters.clone(),
        command_event: line.letters.clone(),
    });
    config.seed.roles.push(RoleSeed { name: "Some".to_owned(), permissions: permissions.collect() });
    config.seed.controllers.push(ControllerSeed {
        endpoint_id: EndpointId::parse("self::some").unwrap(),
        role: "Some".to_owned(),
        params: Vec::new(),
        mqtt: None,
    });
    let mut w = World::with(config);
    let some = w.controller("self::some");
    let admin = w.controller("self::admin");
    for table in TABLES {
        for n in 1..3 {
            w.add(admin, table, &[&format!("Alias=a{n}"), &format!("ParameterName=Device.X{n}")]);
        }
    }
    (w, some, admin)
}

/// For the reference an expression is the number of the row that it finds.
fn by_number(lines: &[Line]) -> Vec<Vec<Line>> {
    let plain = |text: &String| text.replace("[Alias==\"a", "").replace("\"]", "");
    let line = |line: &Line| Line { targets: line.targets.iter().map(plain).collect(), ..line.clone() };
    vec![lines.iter().map(line).collect()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn requests_do_what_the_letters_say(lines in lines()) {
        let (mut w, some, admin) = world(&lines);
        let roles = by_number(&lines);
        let may = |path: &str, letter: char| letters(&roles, path).contains(letter);
        let rows: Vec<String> = TABLES.iter().flat_map(|t| (1..3).map(move |n| format!("{t}{n}."))).collect();
        let mut readable = Vec::new();
        for row in &rows {
            let enable = format!("{row}Enable");
            let expected = match may(&enable, 'r') {
                true => format!("{enable}=false"),
                false => format!("{enable}: 7026"),
            };
            prop_assert_eq!(w.get(some, &enable), expected.clone());
            readable.extend(may(&enable, 'r').then_some(expected));
            let listed = w.instances(some, "Device.LocalAgent.Controller.*.BootParameter.", true);
            prop_assert_eq!(listed.contains(row.as_str()), may(row, 'r'), "{} in {}", row, listed);
        }
        let all = w.get(some, "Device.LocalAgent.Controller.*.BootParameter.*.Enable");
        prop_assert_eq!(all, readable.join("\n"));
        for row in &rows {
            let enable = format!("{row}Enable");
            let answer = w.set(some, row, &["Enable=true"]);
            let done = may(&enable, 'w');
            prop_assert_eq!(answer.starts_with(row.as_str()), done, "{}", answer);
            prop_assert_eq!(w.get(admin, &enable), format!("{enable}={done}"));
            let gone = w.delete(some, &[row]);
            prop_assert_eq!(gone.starts_with("Error 7006"), !may(row, 'w'), "{}", gone);
        }
    }
}
