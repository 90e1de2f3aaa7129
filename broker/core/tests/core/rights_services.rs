//! Rights on what Services own: checked before they are asked, as the Controller that asked, and on what they answer.

use std::collections::BTreeMap;

use usp_core::config::{ControllerSeed, PermissionSeed, RoleSeed};
use usp_core::input::ConnId;
use usp_proto::endpoint_id::EndpointId;
use usp_proto::usp;
use usp_proto::usp::add_resp::CreatedObjectResult;
use usp_proto::usp::add_resp::created_object_result::OperationStatus;
use usp_proto::usp::add_resp::created_object_result::operation_status::{
    OperStatus, OperationFailure, OperationSuccess,
};
use usp_proto::usp::get_supported_dm_resp::{SupportedObjectResult, SupportedUniqueKeySet};

use crate::bench::World;
use crate::bench::service::object;

/// A Controller with the given entries (target, Param, Obj, InstantiatedObj, CommandEvent), later ones above earlier
/// ones, an administrator, and a lamp.
pub(crate) fn world(entries: &[(&str, [&str; 4])]) -> (World, ConnId, ConnId, ConnId) {
    let mut config = crate::bench::config();
    let permissions = entries.iter().enumerate().map(|(index, (target, bits))| PermissionSeed {
        order: u32::try_from(index).unwrap() + 1,
        targets: target.split(',').map(str::to_owned).collect(),
        param: bits[0].to_owned(),
        obj: bits[1].to_owned(),
        instantiated_obj: bits[2].to_owned(),
        command_event: bits[3].to_owned(),
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
    let lamp = w.lamp("self::lamp", "Device.X_Lamp.");
    (w, some, admin, lamp)
}

#[test]
fn an_object_that_may_not_be_read_is_not_even_asked_for() {
    let (mut w, c, _, lamp) = world(&[("Device.X_Lamp.", ["rwxn", "----", "rwxn", "rwxn"])]);
    let asked = w.services[&lamp].count("Get");
    assert_eq!(w.get(c, "Device.X_Lamp."), "Device.X_Lamp.: 7026");
    assert_eq!(w.services[&lamp].count("Get"), asked);
    assert_eq!(w.get(c, "Device.X_Lamp.Zone.*."), "", "a search finds nothing");
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour=red", "Param r is another right");
}

#[test]
fn objects_within_a_service_are_hidden_one_by_one() {
    let all = ["rwxn"; 4];
    let (mut w, c, admin, _) =
        world(&[("Device.", all), ("Device.X_Lamp.Zone.2.", ["r---", "----", "r---", "----"])]);
    let seen = w.get(c, "Device.X_Lamp.");
    assert!(seen.contains("Zone.1.Name") && !seen.contains("Zone.2."), "{seen}");
    assert!(w.get(admin, "Device.X_Lamp.").contains("Zone.2."));
    let all = w.get(c, "Device.");
    assert!(all.contains("\nDevice.X_Lamp.Zone.1.Name") && !all.contains("\nDevice.X_Lamp.Zone.2."), "{all}");
}

/// R-GET.4: as with tables of ours, what an entry of its own shows is shown, though the object above it is hidden.
#[test]
fn a_row_within_a_hidden_object_is_shown() {
    let (mut w, c, _, lamp) = world(&[("Device.X_Lamp.Zone.1.", ["r---", "r---", "r---", "----"])]);
    let row = "Device.X_Lamp.Zone.1.Level=10\nDevice.X_Lamp.Zone.1.Name=north";
    for path in
        ["Device.", "Device.X_Lamp.", "Device.X_Lamp.Zone.", "Device.X_Lamp.Zone.*.", "Device.X_Lamp.Zone.1."]
    {
        assert_eq!(w.get(c, path), row, "{path}");
    }
    let hidden = |path: &str| format!("{path}: 7026");
    assert_eq!(w.get(c, "Device.X_Lamp.Zone.2."), hidden("Device.X_Lamp.Zone.2."));
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), hidden("Device.X_Lamp.Colour"));
    // Nothing of what the Service says of it is told, while there is nothing to show.
    w.services.get_mut(&lamp).unwrap().values.retain(|path, _| !path.contains(".Zone.1."));
    for path in ["Device.X_Lamp.", "Device.X_Lamp.Zone."] {
        assert_eq!(w.get(c, path), hidden(path));
    }
}

/// R-GIN.0, R-GIN.1
#[test]
fn instances_and_their_keys_are_filtered() {
    let (mut w, c, admin, lamp) = world(&[
        ("Device.X_Lamp.", ["r---", "r---", "r---", "----"]),
        ("Device.X_Lamp.Zone.*.Name", ["----"; 4]),
        ("Device.X_Lamp.Zone.2.", ["----"; 4]),
    ]);
    w.services.get_mut(&lamp).unwrap().keys = vec!["Name", "Level"];
    assert_eq!(
        w.instances(admin, "Device.X_Lamp.Zone.", true),
        "Device.X_Lamp.Zone.1. Level=10 Name=north\nDevice.X_Lamp.Zone.2. Level=20 Name=south"
    );
    assert_eq!(w.instances(c, "Device.X_Lamp.Zone.", true), "Device.X_Lamp.Zone.1. Level=10");
    assert_eq!(w.instances(c, "Device.X_Lamp.", false), "Device.X_Lamp.Zone.1. Level=10");
}

/// R-ADD.6, R-SET.3, R-DEL.2
#[test]
fn answers_to_changes_are_filtered() {
    let (mut w, c, _, lamp) = world(&[
        ("Device.X_Lamp.", ["rw--", "rw--", "rw--", "----"]),
        ("Device.X_Lamp.Zone.*.Name", ["-w--", "----", "----", "----"]),
        ("Device.X_Lamp.Zone.2.", ["rw--", "----", "-w--", "----"]),
    ]);
    w.services.get_mut(&lamp).unwrap().keys = vec!["Name", "Level"];
    let made = w.add(c, "Device.X_Lamp.Zone.", &["Name=west", "Level=1"]);
    assert_eq!(made, "Device.X_Lamp.Zone.3. Level=1");
    assert_eq!(w.set(c, "Device.X_Lamp.Zone.3.", &["Name=west", "Level=2"]), "Device.X_Lamp.Zone.3. Level=2");
    assert_eq!(w.delete(c, &["Device.X_Lamp.Zone.2."]), "", "gone, and not told");
    assert_eq!(w.delete(c, &["Device.X_Lamp.Zone.3."]), "Device.X_Lamp.Zone.3.");
}

#[test]
fn forbidden_optional_settings_are_withheld_and_told() {
    let (mut w, c, admin, lamp) = world(&[
        ("Device.X_Lamp.", ["rw--", "rw--", "rw--", "----"]),
        ("Device.X_Lamp.Zone.*.Level", ["r---", "----", "----", "----"]),
    ]);
    let row = "Device.X_Lamp.Zone.1.";
    assert_eq!(w.set(c, row, &["Name=attic", "Level?=99"]), format!("{row} Name=attic\n{row}Level: 7006"));
    assert_eq!(w.set(c, row, &["Name=roof", "Level=99"]), format!("Error 7006\n{row}Level: 7006"));
    assert_eq!(w.get(admin, &format!("{row}Level")), format!("{row}Level=10"));
    assert_eq!(w.get(admin, &format!("{row}Name")), format!("{row}Name=attic"), "and nothing else was done");
    let adds = w.services[&lamp].count("Add");
    assert_eq!(w.add(c, "Device.X_Lamp.Zone.", &["Name=w", "Level?=1"]), "Device.X_Lamp.Zone.3. !Level:7006");
    assert_eq!(
        w.add(c, "Device.X_Lamp.Zone.", &["Name=v", "Level=1"]),
        "Error 7006\nDevice.X_Lamp.Zone.Level: 7006"
    );
    assert_eq!(w.services[&lamp].count("Add"), adds + 1);
}

/// Nothing that may be set is left: the Service is not troubled, and each setting has its reason.
#[test]
fn only_forbidden_settings() {
    let (mut w, c, _, lamp) = world(&[("Device.X_Lamp.", ["r---", "rw--", "rw--", "----"])]);
    let sets = w.services[&lamp].count("Set");
    assert_eq!(w.set(c, "Device.X_Lamp.", &["Colour?=blue"]), "Device.X_Lamp.\nDevice.X_Lamp.Colour: 7006");
    assert_eq!(w.services[&lamp].count("Set"), sets);
}

/// Mixed results of one search path of an Add stay apart, each with what was withheld.
#[test]
fn mixed_results_of_an_add_at_a_service() {
    let (mut w, c, _, lamp) = world(&[
        ("Device.X_Lamp.", ["rw--", "rw--", "rw--", "----"]),
        ("Device.X_Lamp.Zone.*.Spot.*.Level,Device.X_Lamp.Zone.*.Spot.*.Secret", ["----"; 4]),
    ]);
    let path = "Device.X_Lamp.Zone.*.Spot.";
    let result = |status| CreatedObjectResult {
        requested_path: path.to_owned(),
        oper_status: Some(OperationStatus { oper_status: Some(status) }),
    };
    let made = OperationSuccess {
        instantiated_path: "Device.X_Lamp.Zone.1.Spot.1.".to_owned(),
        param_errs: Vec::new(),
        unique_keys: BTreeMap::from([
            ("Name".to_owned(), "x".to_owned()),
            ("Secret".to_owned(), "y".to_owned()),
        ]),
    };
    let failed = OperationFailure { err_code: 7003, err_msg: "no".to_owned() };
    let created_obj_results =
        vec![result(OperStatus::OperSuccess(made)), result(OperStatus::OperFailure(failed))];
    w.services.get_mut(&lamp).unwrap().add_answers.push_back(usp::AddResp { created_obj_results });
    let answer = w.ask(c, crate::bench::peer::add(true, &[(path, &["Name=x", "Level?=1"])]));
    let made = "Device.X_Lamp.Zone.1.Spot.1. Name=x !Level:7006";
    assert_eq!(crate::bench::text::answer(&answer), format!("{made}\n{path}: 7003"));
}

#[test]
fn commands_and_events_of_a_service() {
    let (mut w, c, _, lamp) = world(&[
        ("Device.X_Lamp.", ["r--n", "r--n", "r--n", "rwxn"]),
        ("Device.X_Lamp.Blink()", ["----", "----", "----", "r---"]),
    ]);
    let operates = w.services[&lamp].count("Operate");
    assert_eq!(w.operate(c, "Device.X_Lamp.Blink()", "", &[]), "Device.X_Lamp.Blink() -> 7006");
    assert_eq!(w.services[&lamp].count("Operate"), operates);
    let supported = w.supported(c, "Device.X_Lamp.");
    assert!(supported.contains("Blink()"), "{supported}");
}

/// What a Service tells of one of its rows, in whichever notation, is judged as that row.
#[test]
fn what_a_row_of_a_service_supports() {
    let table = "Device.X_Lamp.Zone.";
    let elements = ["Name", "Level", "Dim()&"];
    for numbered in [false, true] {
        let given = ("Device.X_Lamp.", ["r---", "r---", "r---", "r---"]);
        let ask = |denied: &str, row: u32| {
            let (mut w, c, _, lamp) = world(&[given, (denied, ["----"; 4])]);
            let own = format!("{table}{}.", if numbered { row.to_string() } else { "{i}".to_owned() });
            let mut spots = object(&format!("{own}Spot.{{i}}."), &[]);
            spots.divergent_paths = [1, 2].map(|spot| format!("{table}{row}.Spot.{spot}.")).to_vec();
            let key = SupportedUniqueKeySet { key_names: vec!["Name".to_owned()] };
            let zone = SupportedObjectResult { unique_key_sets: vec![key], ..object(&own, &elements) };
            let told = vec![zone, spots];
            w.services.get_mut(&lamp).unwrap().rows.insert(format!("{table}{row}."), told);
            w.supported_objects(c, &format!("{table}{row}."))
        };
        let keys = |objects: &[SupportedObjectResult]| objects[0].unique_key_sets.len();
        let params = |objects: &[SupportedObjectResult]| -> Vec<String> {
            objects[0].supported_params.iter().map(|p| p.param_name.clone()).collect()
        };
        let other = ask("Device.X_Lamp.Zone.1.", 2);
        assert_eq!(
            (params(&other), keys(&other)),
            (vec!["Name".to_owned(), "Level".to_owned()], 1),
            "{numbered}"
        );
        assert_eq!(ask("Device.X_Lamp.Zone.1.", 1).len(), 0, "{numbered}: hidden");
        let nameless = ask("Device.X_Lamp.Zone.*.Name", 2);
        assert_eq!((params(&nameless), keys(&nameless)), (vec!["Level".to_owned()], 0), "{numbered}");
        assert_eq!(params(&ask("Device.X_Lamp.Zone.2.Level", 2)), ["Name"], "{numbered}");
        assert_eq!(params(&ask("Device.X_Lamp.Zone.2.Level", 1)), ["Name", "Level"], "{numbered}");
        let spots = ask("Device.X_Lamp.Zone.2.Spot.1.", 2);
        assert_eq!(spots[1].divergent_paths, ["Device.X_Lamp.Zone.2.Spot.2."], "{numbered}");
    }
}

/// R-GSP.0: by what a Target means of the row at this moment, as its Service says.
#[test]
fn what_a_row_of_a_service_supports_hangs_on_the_row() {
    let row = |number: u32| format!("Device.X_Lamp.Zone.{number}.");
    let north = "Device.X_Lamp.Zone.[Name==\"north\"].";
    for (others, these, known) in [("----", "r---", 1), ("r---", "----", 2)] {
        let (mut w, c, _, lamp) = world(&[("Device.X_Lamp.", [others; 4]), (north, [these; 4])]);
        for number in [1, 2] {
            let told = vec![object(&row(number), &["Name", "Level"])];
            w.services.get_mut(&lamp).unwrap().rows.insert(row(number), told);
        }
        let hidden = 3 - known;
        assert_eq!(w.supported(c, &row(hidden)), format!("{}: 7026", row(hidden)), "{others}");
        assert!(w.supported(c, &row(known)).contains("Level"), "{others}");
        w.services.get_mut(&lamp).unwrap().values.insert(format!("{}Name", row(1)), "east".to_owned());
        assert_eq!(w.supported(c, &row(1)).ends_with(": 7026"), known == 1, "{others}: it is another now");
        w.services.get_mut(&lamp).unwrap().deaf_to = vec!["Get"];
        let id = w.begin(c, crate::bench::peer::supported(&[&row(1)], false));
        w.wait(60);
        let answer = crate::bench::text::answer(&w.answer(c, &id).unwrap());
        assert!(!answer.contains("Level") && !answer.ends_with(": 7026"), "why it is not known: {answer}");
    }
}

/// A Service's Error to a Set that changes what may not be known of names nothing of it.
#[test]
fn an_error_of_a_service_does_not_name_hidden_rows() {
    let all = ["rwxn"; 4];
    let (mut w, c, admin, lamp) =
        world(&[("Device.", all), ("Device.X_Lamp.Zone.2.", ["-w--", "----", "----", "----"])]);
    let service = w.services.get_mut(&lamp).unwrap();
    service.stubborn.insert("Device.X_Lamp.Zone.2.Level".to_owned(), 7012);
    let (zones, row) = ("Device.X_Lamp.Zone.*.", "Device.X_Lamp.Zone.2.");
    assert_eq!(w.set(admin, zones, &["Level=1"]), format!("Error 7012\n{row}Level: 7012"));
    assert_eq!(w.set(c, zones, &["Level=1"]), format!("Error 7012\n{zones}: 7012"));
    assert_eq!(w.set(c, row, &["Level=1"]), format!("Error 7012\n{row}Level: 7012"), "it was named");
}
