//! What must not be reached, learnt or blamed across the borders of rights and owners.

use usp_core::input::ConnId;
use usp_proto::usp::get_resp::ResolvedPathResult;
use usp_proto::usp::notify::{Notification, ValueChange};
use usp_proto::usp::set_resp::UpdatedInstanceResult;

use crate::bench::World;
use crate::bench::peer::{add, get, set};
use crate::bench::service::{FakeService, Manner, lamp};
use crate::bench::text;
use crate::rights_services::world;

const SUBSCRIPTIONS: (&str, [&str; 4]) = ("Device.LocalAgent.Subscription.", ["rwxn"; 4]);
const ROWS: &str = "Device.LocalAgent.Controller.";

/// A lamp whose zones refer to others by `Buddy`.
pub(crate) fn referring(top: &str, refs: &[(&str, &str)]) -> FakeService {
    let mut service = lamp(top);
    for object in service.supported.iter_mut().filter(|o| o.is_multi_instance) {
        let mut param = object.supported_params[0].clone();
        param.param_name = "Buddy".to_owned();
        object.supported_params.push(param);
    }
    let values = refs.iter().map(|(row, to)| (format!("{top}Zone.{row}.Buddy"), (*to).to_owned()));
    service.values.extend(values);
    service
}

pub(crate) fn link(w: &mut World, peer: &str, top: &str, refs: &[(&str, &str)]) -> ConnId {
    let s = w.service_link(peer, referring(top, refs));
    w.register(s, false, &[top]);
    s
}

/// R-SEC.1: the reference may not be read, and what lies behind it is nobody's to give.
#[test]
fn a_reference_that_may_not_be_read_is_no_way_around_rights() {
    let (mut w, c, _, _) = world(&[("Device.X_A.Zone.1.", ["-w--", "rw--", "rw--", "--x-"])]);
    let a = link(&mut w, "self::a", "Device.X_A.", &[("1", "Device.X_A.Zone.2")]);
    let path = "Device.X_A.Zone.1.Buddy+.";
    assert_eq!(w.set(c, path, &["Level=99"]), format!("Error 7026\n{path}: 7026"));
    assert_eq!(w.delete(c, &[path]), format!("Error 7026\n{path}: 7026"));
    assert_eq!(w.operate(c, &format!("{path}Dim()"), "", &[]), format!("{path}Dim() -> 7026"));
    for request in ["Set", "Delete", "Operate"] {
        assert_eq!(w.services[&a].count(request), 0, "{request}");
    }
}

/// What is set is named below the object, and no reference leads away from there.
#[test]
fn a_relative_parameter_is_nothing_but_names() {
    let (mut w, c, _, _) = world(&[("Device.X_A.Zone.", ["rw--", "rw--", "rw--", "--x-"])]);
    let a = link(&mut w, "self::a", "Device.X_A.", &[("1", "Device.X_A.Zone.2")]);
    let row = "Device.X_A.Zone.1.";
    assert_eq!(w.set(c, row, &["Buddy+.Level=99"]), format!("Error 7008\n{row}Buddy+.Level: 7008"));
    assert_eq!(
        w.set(c, row, &["Buddy+.Level?=99", "Name=attic"]),
        format!("{row} Name=attic\n{row}Buddy+.Level: 7008")
    );
    let table = "Device.X_A.Zone.";
    assert_eq!(w.add(c, table, &["Buddy+.Level=1"]), format!("Error 7008\n{table}Buddy+.Level: 7008"));
    assert_eq!(w.services[&a].values["Device.X_A.Zone.2.Level"], "20");
    assert_eq!((w.services[&a].count("Set"), w.services[&a].count("Add")), (1, 1), "one Add is the broker's");
}

#[test]
fn triggers_follow_references_and_by_their_subscribers_rights() {
    let rows = ("Device.X_A.Zone.1.", ["-w-n", "r---", "r---", "----"]);
    let (mut w, c, admin, _) = world(&[rows, SUBSCRIPTIONS, (ROWS, ["rw-n"; 4])]);
    let a = link(&mut w, "self::a", "Device.X_A.", &[("1", "Device.X_B.Zone.2")]);
    let b = link(&mut w, "self::b", "Device.X_B.", &[]);
    let code = "Device.LocalAgent.Controller.1.ProvisioningCode";
    let settings = "TriggerConfigSettings=Device.X_A.Zone.1.Buddy+.Level=99";
    let more = ["TriggerAction=Config", settings];
    w.subscribe_with(c, "c", "ValueChange", code, &more);
    w.set(admin, "Device.LocalAgent.Controller.1.", &["ProvisioningCode=x"]);
    assert_eq!(w.services[&a].count("Set") + w.services[&b].count("Set"), 0);
    w.subscribe_with(admin, "admin", "ValueChange", code, &more);
    w.wait(2);
    w.set(admin, "Device.LocalAgent.Controller.1.", &["ProvisioningCode=y"]);
    assert_eq!(w.services[&b].values["Device.X_B.Zone.2.Level"], "99");
    assert_eq!(w.broker.pending(), 0);
}

/// R-SEC.1, R-NOT.0: what a Subscription's expressions and references look at is read for its recipient.
#[test]
fn a_subscription_tells_nothing_of_what_may_not_be_read() {
    let hidden =
        "Device.LocalAgent.Controller.*.ProvisioningCode,Device.LocalAgent.Controller.*.AssignedRole";
    let (mut w, c, admin, _) = world(&[("Device.LocalAgent.", ["rw-n"; 4]), (hidden, ["----"; 4])]);
    let row = "Device.LocalAgent.Controller.[EndpointID==\"self::admin\"].";
    w.set(admin, row, &["ProvisioningCode=secret"]);
    let by_code = "Device.LocalAgent.Controller.[ProvisioningCode==\"secret\"].PeriodicNotifInterval";
    w.subscribe(c, "by-code", "ValueChange", by_code);
    w.subscribe(c, "by-role", "ValueChange", "Device.LocalAgent.Controller.*.AssignedRole+.");
    w.subscribe(c, "gone", "ObjectDeletion", "Device.LocalAgent.Controller.[ProvisioningCode==\"z\"].");
    w.subscribe(c, "by-name", "ValueChange", &format!("{row}PeriodicNotifInterval"));
    w.notes(c);
    w.set(admin, row, &["PeriodicNotifInterval=600"]);
    let notes = w.notes(c);
    assert!(notes.len() == 1 && notes[0].starts_with("by-name: "), "{notes:?}");
    w.set(admin, "Device.LocalAgent.ControllerTrust.Role.3.", &["Name=Other"]);
    w.add(admin, ROWS, &["EndpointID=self::z", "ProvisioningCode=z"]);
    w.delete(admin, &["Device.LocalAgent.Controller.[EndpointID==\"self::z\"]."]);
    assert!(w.notes(c).is_empty());
}

#[test]
fn an_expression_at_a_service_is_subscribed_only_for_who_may_read_what_it_looks_at() {
    let name = ("Device.X_Lamp.Zone.*.Name", ["----"; 4]);
    let (mut w, c, admin, lamp) = world(&[("Device.X_Lamp.", ["r--n"; 4]), name, SUBSCRIPTIONS]);
    let level = "Device.X_Lamp.Zone.[Name==\"north\"].Level";
    w.subscribe(c, "c", "ValueChange", level);
    let key = ("ValueChange".to_owned(), level.to_owned());
    assert!(!w.services[&lamp].subscriptions().contains_key(&key));
    let permission = "Device.LocalAgent.ControllerTrust.Role.3.Permission.[Order==2].";
    w.set(admin, permission, &["Param=r---"]);
    assert!(w.services[&lamp].subscriptions().contains_key(&key), "the right came");
    w.set(admin, permission, &["Param=----"]);
    assert!(!w.services[&lamp].subscriptions().contains_key(&key), "and went");
}

/// Without it nobody could set anything right again.
#[test]
fn full_access_is_not_taken_away() {
    let mut w = World::new();
    let admin = w.controller("self::admin");
    let table = "Device.LocalAgent.ControllerTrust.Role.1.Permission.";
    let none = ["Param=----", "Obj=----", "InstantiatedObj=----", "CommandEvent=----"];
    let mut settings = vec!["Order=9", "Enable=true", "Targets=Device."];
    settings.extend(none);
    let answer = w.add(admin, table, &settings);
    assert_eq!(answer, format!("Error 7002\n{table}: 7002"));
    assert_eq!(w.get(admin, "Device.DeviceInfo.ModelName"), "Device.DeviceInfo.ModelName=Hub");
}

/// A row that a permission names by its number is none of those that an Add makes.
#[test]
fn a_hidden_row_of_a_service_does_not_keep_new_ones_out() {
    let rows = [("Device.X_Lamp.", ["rw--", "rw--", "rw--", "--x-"]), ("Device.X_Lamp.Zone.2.", ["----"; 4])];
    let (mut w, c, ..) = world(&rows);
    assert_eq!(w.add(c, "Device.X_Lamp.Zone.", &["Name=w"]), "Device.X_Lamp.Zone.3.");
}

/// What a wildcard means at a Service is found out there, and each row is judged by itself.
#[test]
fn rows_of_a_service_are_judged_one_by_one() {
    let rows = [("Device.X_Lamp.", ["rw--", "rw--", "rw--", "--x-"]), ("Device.X_Lamp.Zone.2.", ["----"; 4])];
    let (mut w, c, _, lamp) = world(&rows);
    let all = "Device.X_Lamp.Zone.*.";
    assert_eq!(w.set(c, all, &["Level=5"]), "Device.X_Lamp.Zone.1. Level=5");
    assert_eq!(w.services[&lamp].values["Device.X_Lamp.Zone.2.Level"], "20");
    assert_eq!(w.operate(c, &format!("{all}Dim()"), "", &[]), "Device.X_Lamp.Zone.1.Dim() -> ok");
    assert_eq!(w.delete_partial(c, true, &[all]), "Device.X_Lamp.Zone.1.");
    assert!(w.services[&lamp].values.contains_key("Device.X_Lamp.Zone.2.Level"));
    assert_eq!(w.broker.pending(), 0);
}

/// Rows that may be known, and not be changed, fail the entry as rows of ours do.
#[test]
fn a_row_of_a_service_that_may_only_be_seen_fails_a_wildcard() {
    let seen = ["r---", "r---", "r---", "----"];
    let rows = [("Device.X_Lamp.", ["rw--", "rw--", "rw--", "--x-"]), ("Device.X_Lamp.Zone.2.", seen)];
    let (mut w, c, _, lamp) = world(&rows);
    let all = "Device.X_Lamp.Zone.*.";
    assert_eq!(w.set(c, all, &["Level=5"]), "Error 7006\nDevice.X_Lamp.Zone.2.Level: 7006");
    assert_eq!(w.services[&lamp].count("Set"), 0);
    assert_eq!(
        w.operate(c, &format!("{all}Dim()"), "", &[]),
        "Device.X_Lamp.Zone.1.Dim() -> ok\nDevice.X_Lamp.Zone.2.Dim() -> 7006"
    );
    assert_eq!(w.delete(c, &[all]), "Error 7006\nDevice.X_Lamp.Zone.2.: 7006");
    assert_eq!(w.delete_partial(c, true, &[all]), "Device.X_Lamp.Zone.1. !Device.X_Lamp.Zone.2.:7006");
}

/// R-SET.1: the Error names what failed, and nobody else.
#[test]
fn an_error_over_several_owners_names_what_failed() {
    let (mut w, _, c, lamp) = world(&[]);
    let own = ("Device.DeviceInfo.", &["FriendlyName=x"][..]);
    let ask = |w: &mut World, params: &[&str]| {
        text::answer(&w.ask(c, set(false, &[own, ("Device.X_Lamp.", params)])))
    };
    assert_eq!(ask(&mut w, &["Nope=1", "Colour=x"]), "Error 7010\nDevice.X_Lamp.Nope: 7010");
    w.services.get_mut(&lamp).unwrap().stubborn.insert("Device.X_Lamp.Colour".to_owned(), 7012);
    assert_eq!(ask(&mut w, &["Colour=x"]), "Error 7012\nDevice.X_Lamp.Colour: 7012");
    w.manner(lamp, Manner::Refuses(7002));
    assert_eq!(ask(&mut w, &["Colour=x"]), "Error 7002\nDevice.X_Lamp.Colour: 7002");
}

/// R-ADD.1
#[test]
fn an_add_over_several_owners_names_what_failed() {
    let (mut w, _, c, lamp) = world(&[]);
    let both: [(&str, &[&str]); 2] =
        [("Device.LocalAgent.Subscription.", &["ID=q"]), ("Device.X_Lamp.Zone.", &["Name=n"])];
    w.services.get_mut(&lamp).unwrap().full.insert("Device.X_Lamp.Zone.".to_owned(), 7004);
    let answer = text::answer(&w.ask(c, add(false, &both)));
    assert_eq!(answer, "Error 7004\nDevice.X_Lamp.Zone.: 7004");
    w.manner(lamp, Manner::Refuses(7002));
    let answer = text::answer(&w.ask(c, add(false, &both)));
    assert_eq!(answer, "Error 7002\nDevice.X_Lamp.Zone.: 7002");
}

/// No Service speaks for others, and of one Parameter for no other (R-GET.3).
#[test]
fn what_a_service_says_beside_the_question_is_not_passed_on() {
    let (mut w, _, c, lamp) = world(&[]);
    let lie = |object: &str, name: &str| ResolvedPathResult {
        resolved_path: object.to_owned(),
        result_params: [(name, "lie".to_owned())].into(),
    };
    let service = w.services.get_mut(&lamp).unwrap();
    service.lies = vec![
        lie("Device.X_Lamp.", "Mode"),
        lie("Device.X_Lamp.Zone.1.", "Dimness"),
        lie("Device.X_Lamp.Zone.3.", "Level"),
        lie("Device.DeviceInfo.", "ModelName"),
    ];
    let colour = "Device.X_Lamp.Colour";
    assert_eq!(w.get(c, colour), "Device.X_Lamp.Colour=red");
    assert_eq!(w.get(c, "Device.X_Lamp.Zone.2.Name"), "Device.X_Lamp.Zone.2.Name=south");
    assert_eq!(
        w.get(c, "Device.X_Lamp.Zone.2."),
        "Device.X_Lamp.Zone.2.Level=20\nDevice.X_Lamp.Zone.2.Name=south"
    );
    let both = text::answer(&w.ask(c, get(&[colour, "Device.X_Lamp.Zone.[Name==\"none\"].Level"], 0)));
    assert_eq!(both, "Device.X_Lamp.Colour=red\nDevice.X_Lamp.Zone.3.Level=lie");
    w.services.get_mut(&lamp).unwrap().set_lies = vec![UpdatedInstanceResult {
        affected_path: "Device.DeviceInfo.".to_owned(),
        param_errs: Vec::new(),
        updated_params: [("ModelName".to_owned(), "lie".to_owned())].into(),
    }];
    assert_eq!(w.set(c, "Device.X_Lamp.", &["Colour=blue"]), "Device.X_Lamp. Colour=blue");
    w.services.get_mut(&lamp).unwrap().delete_lies = vec!["Device.LocalAgent.Controller.1.".to_owned()];
    assert_eq!(w.delete(c, &["Device.X_Lamp.Zone.2."]), "Device.X_Lamp.Zone.2.");
}

#[test]
fn a_row_at_a_service_brings_what_it_names_and_nothing_else() {
    let (mut w, _, c, lamp) = world(&[]);
    w.subscribe(c, "s", "ValueChange", "Device.X_Lamp.Colour");
    let change = |path: &str| {
        Notification::ValueChange(ValueChange { param_path: path.to_owned(), param_value: "x".to_owned() })
    };
    w.service_notify(lamp, "ValueChange", "Device.X_Lamp.Colour", change("Device.X_Lamp.Zone.1.Level"));
    assert!(w.notes(c).is_empty());
    w.service_notify(lamp, "ValueChange", "Device.X_Lamp.Colour", change("Device.X_Lamp.Colour"));
    assert_eq!(w.notes(c), ["s: ValueChange Device.X_Lamp.Colour=x"]);
}

/// R-GIN.0: a wildcard lists no row that may not be known of.
#[test]
fn a_wildcard_lists_no_hidden_rows_of_ours() {
    let rows = [
        ("Device.LocalAgent.Controller.1.", ["rw--", "rw--", "rw--", "--x-"]),
        ("Device.LocalAgent.Controller.*.ProvisioningCode", ["-w--", "----", "----", "----"]),
    ];
    let (mut w, c, admin, _) = world(&rows);
    let own = "Device.LocalAgent.Controller.1.";
    let answer = w.operate(c, "Device.LocalAgent.Controller.*.SendOnBoardRequest()", "", &[]);
    assert!(answer.lines().all(|line| line.starts_with(own)) && !answer.is_empty(), "{answer}");
    assert_eq!(w.set(c, "Device.LocalAgent.Controller.*.", &["ProvisioningCode=x"]), own);
    let all = w.get(admin, "Device.LocalAgent.Controller.*.ProvisioningCode");
    assert!(all.lines().count() == 2 && all.lines().all(|line| line.ends_with("=x")), "{all}");
    let answer = w.add(c, "Device.LocalAgent.Controller.*.BootParameter.", &["ParameterName=Device.A"]);
    assert!(answer.starts_with(&format!("{own}BootParameter.1.")) && answer.lines().count() == 1, "{answer}");
}

/// The order of settings means nothing, in one entry and in several that hold together.
#[test]
fn two_values_for_one_parameter_in_what_holds_together() {
    let (mut w, _, c, _) = world(&[]);
    for object in ["Device.DeviceInfo.", "Device.X_Lamp."] {
        let name = if object == "Device.X_Lamp." { "Colour" } else { "FriendlyName" };
        let entries = |values: [&str; 2]| values.map(|v| format!("{name}={v}"));
        let ask = |w: &mut World, partial, values| {
            let [first, second] = entries(values);
            let objects: [(&str, &[&str]); 2] = [(object, &[&first]), (object, &[&second])];
            text::answer(&w.ask(c, set(partial, &objects)))
        };
        assert_eq!(ask(&mut w, false, ["a", "b"]), format!("Error 7014\n{object}{name}: 7014"));
        let same = format!("{object} {name}=a");
        assert_eq!(ask(&mut w, false, ["a", "a"]), format!("{same}\n{same}"));
        assert_eq!(ask(&mut w, true, ["a", "b"]), format!("{same}\n{object} {name}=b"));
    }
}

/// What can be known of a setting is known before the first of several owners is asked.
#[test]
fn a_value_of_the_wrong_type_is_sent_to_nobody() {
    use usp_proto::usp::get_supported_dm_resp::{ParamAccessType, ParamValueType};
    let (mut w, _, c, other) = world(&[]);
    let mut service = lamp("Device.X_A.");
    service.supported[1].supported_params[1].value_type = ParamValueType::ParamUnsignedInt as i32;
    service.supported[0].supported_params[0].access = ParamAccessType::ParamReadOnly as i32;
    let a = w.service_link("self::a", service);
    w.register(a, false, &["Device.X_A."]);
    let both = |object, params| set(false, &[("Device.X_Lamp.", &["Colour=x"][..]), (object, params)]);
    let zone = "Device.X_A.Zone.1.";
    let answer = text::answer(&w.ask(c, both(zone, &["Level=high"])));
    assert_eq!(answer, format!("Error 7011\n{zone}Level: 7011"));
    let answer = text::answer(&w.ask(c, both("Device.X_A.", &["Colour=x"])));
    assert_eq!(answer, "Error 7013\nDevice.X_A.Colour: 7013");
    assert_eq!(w.set(c, zone, &["Level?=high", "Name=a"]), format!("{zone} Name=a\n{zone}Level: 7011"));
    let table = "Device.X_A.Zone.";
    assert_eq!(w.add(c, table, &["Name=x", "Level=high"]), format!("Error 7011\n{table}Level: 7011"));
    assert_eq!(w.services[&other].count("Set"), 0);
}

/// A reference of ours that leads into a Service: it is subscribed to where that leads now.
#[test]
fn a_subscription_goes_where_a_reference_of_ours_leads() {
    let (mut w, _, c, _) = world(&[]);
    let a = link(&mut w, "self::a", "Device.X_A.", &[]);
    let table = format!("{ROWS}1.BootParameter.");
    let row = w.add(c, &table, &["ParameterName=Device.X_A.Zone.1"]);
    let row = row.split(' ').next().unwrap().to_owned();
    w.subscribe(c, "s", "ValueChange", &format!("{row}ParameterName+.Level"));
    let subscribed = |w: &World, zone: u32| {
        let key = ("ValueChange".to_owned(), format!("Device.X_A.Zone.{zone}.Level"));
        w.services[&a].subscriptions().contains_key(&key)
    };
    assert_eq!([1, 2].map(|zone| subscribed(&w, zone)), [true, false]);
    w.set(c, &row, &["ParameterName=Device.X_A.Zone.2"]);
    assert_eq!([1, 2].map(|zone| subscribed(&w, zone)), [false, true]);
    let param_path = "Device.X_A.Zone.2.Level".to_owned();
    let change = ValueChange { param_path: param_path.clone(), param_value: "7".to_owned() };
    w.service_notify(a, "ValueChange", &param_path, Notification::ValueChange(change));
    assert_eq!(w.notes(c), ["s: ValueChange Device.X_A.Zone.2.Level=7"]);
    w.delete(c, &[&row]);
    assert!(!subscribed(&w, 2));
}
