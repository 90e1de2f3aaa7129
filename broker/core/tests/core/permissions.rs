//! Roles and permissions as TP-469 section 2 asks for them, one test a case, and what the cases leave open.

use usp_core::config::{ControllerSeed, PermissionSeed, RoleSeed};
use usp_core::input::{ConnId, Input};
use usp_proto::endpoint_id::EndpointId;
use usp_proto::message;
use usp_proto::record::Record;

use crate::bench::World;
use crate::bench::peer::{add, get};
use crate::bench::text;

const TRUST: &str = "Device.LocalAgent.ControllerTrust.";
/// The tester's role and its Permission table.
const ROLE: &str = "Device.LocalAgent.ControllerTrust.Role.3.";
const PERMISSIONS: &str = "Device.LocalAgent.ControllerTrust.Role.3.Permission.";
const SUBSCRIPTIONS: &str = "Device.LocalAgent.Subscription.";

/// A Controller whose role allows everything, in an entry of Order 1 that others override, and an administrator.
fn world() -> (World, ConnId, ConnId) {
    let mut config = crate::bench::config();
    let all = || "rwxn".to_owned();
    config.seed.roles.push(RoleSeed {
        name: "Tester".to_owned(),
        permissions: vec![PermissionSeed {
            order: 1,
            targets: vec!["Device.".to_owned()],
            param: all(),
            obj: all(),
            instantiated_obj: all(),
            command_event: all(),
        }],
    });
    config.seed.controllers.push(ControllerSeed {
        endpoint_id: EndpointId::parse("self::tester").unwrap(),
        role: "Tester".to_owned(),
        params: Vec::new(),
        mqtt: None,
    });
    let mut w = World::with(config);
    w.site("a: box");
    let tester = w.controller("self::tester");
    let admin = w.controller("self::admin");
    (w, tester, admin)
}

/// Adds an entry above all others, with the four strings in the order Param, Obj, InstantiatedObj, CommandEvent.
fn permit(w: &mut World, by: ConnId, order: u32, targets: &str, bits: [&str; 4]) -> String {
    let texts = [
        "Enable=true".to_owned(),
        format!("Order={order}"),
        format!("Targets={targets}"),
        format!("Param={}", bits[0]),
        format!("Obj={}", bits[1]),
        format!("InstantiatedObj={}", bits[2]),
        format!("CommandEvent={}", bits[3]),
    ];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let made = w.add(by, PERMISSIONS, &texts);
    assert!(made.starts_with(PERMISSIONS), "{made}");
    made.split(' ').next().unwrap().to_owned()
}

#[test]
fn case_2_1_its_own_endpoint_id_as_sender_is_not_answered() {
    let (mut w, tester, _) = world();
    let own = EndpointId::parse(crate::bench::BROKER).unwrap();
    let record = Box::new(Record::message(own.clone(), own, message::request("m", get(&["Device."], 0))));
    w.input(Input::Record { conn: tester, record });
    assert!(w.answer(tester, "m").is_none());
}

#[test]
fn case_2_9_a_new_controller_has_the_untrusted_role() {
    let (mut w, tester, _) = world();
    let made = w.add(tester, "Device.LocalAgent.Controller.", &["EndpointID=self::new", "Enable=true"]);
    let row = made.split(' ').next().unwrap().to_owned();
    let untrusted = w.get(tester, &format!("{TRUST}UntrustedRole"));
    let role = untrusted.rsplit('=').next().unwrap().to_owned();
    assert_eq!(role, "Device.LocalAgent.ControllerTrust.Role.2");
    assert_eq!(w.get(tester, &format!("{row}AssignedRole")), format!("{row}AssignedRole={role}"));
    w.set(tester, TRUST, &["UntrustedRole=Device.LocalAgent.ControllerTrust.Role.3"]);
    let made = w.add(tester, "Device.LocalAgent.Controller.", &["EndpointID=self::newer"]);
    let row = made.split(' ').next().unwrap();
    assert_eq!(
        w.get(tester, &format!("{row}AssignedRole")),
        format!("{row}AssignedRole={}", ROLE.trim_end_matches('.'))
    );
    let told = ["EndpointID=self::given", "AssignedRole=Device.LocalAgent.ControllerTrust.Role.1"];
    let made = w.add(tester, "Device.LocalAgent.Controller.", &told);
    let row = made.split(' ').next().unwrap();
    assert!(w.get(tester, &format!("{row}AssignedRole")).ends_with("Role.1"));
}

#[test]
fn case_2_10_a_role_is_added() {
    let (mut w, tester, _) = world();
    let made = w.add(tester, &format!("{TRUST}Role."), &["Name=Guests", "Enable=true"]);
    assert_eq!(made, "Device.LocalAgent.ControllerTrust.Role.4. Alias=cpe-4 Name=Guests");
}

#[test]
fn case_2_11_and_2_12_creation_allowed_and_denied() {
    let (mut w, tester, _) = world();
    permit(&mut w, tester, 2, SUBSCRIPTIONS, ["----"; 4]);
    let denied = format!("Error 7006\n{SUBSCRIPTIONS}: 7006");
    assert_eq!(w.add(tester, SUBSCRIPTIONS, &["Enable=true"]), denied);
    permit(&mut w, tester, 3, SUBSCRIPTIONS, ["rw--", "-w--", "----", "----"]);
    assert!(w.add(tester, SUBSCRIPTIONS, &["Enable=true"]).starts_with(SUBSCRIPTIONS));
    permit(&mut w, tester, 4, SUBSCRIPTIONS, ["rwxn", "r-xn", "rwxn", "rwxn"]);
    assert_eq!(w.add(tester, SUBSCRIPTIONS, &["Enable=true"]), denied);
}

#[test]
fn case_2_13_and_2_14_deletion_allowed_and_denied() {
    let (mut w, tester, _) = world();
    let row = w.subscribe(tester, "s", "ValueChange", "Device.DeviceInfo.");
    permit(&mut w, tester, 2, SUBSCRIPTIONS, ["rwxn", "rwxn", "r-xn", "rwxn"]);
    assert_eq!(w.delete(tester, &[&row]), format!("Error 7006\n{row}: 7006"));
    assert_eq!(w.delete_partial(tester, true, &[&row]), format!("{row}: 7006"));
    let all = format!("{SUBSCRIPTIONS}*.");
    assert_eq!(w.delete_partial(tester, true, &[&all]), format!("!{row}:7006"));
    permit(&mut w, tester, 3, SUBSCRIPTIONS, ["----", "----", "rw--", "----"]);
    assert_eq!(w.delete(tester, &[&row]), row);
}

/// R-DEL.2, R-DEL.4: rows that may not be known of are not told.
#[test]
fn a_deletion_does_not_tell_of_hidden_rows() {
    let (mut w, tester, admin) = world();
    let first = w.subscribe(tester, "s", "ValueChange", "Device.DeviceInfo.");
    let second = w.subscribe(tester, "t", "ValueChange", "Device.DeviceInfo.");
    permit(&mut w, tester, 2, &second, ["----"; 4]);
    permit(&mut w, tester, 3, &first, ["----", "----", "-w--", "----"]);
    assert_eq!(w.delete_partial(tester, true, &[&format!("{SUBSCRIPTIONS}*.")]), "");
    assert_eq!(w.instances(admin, SUBSCRIPTIONS, true).lines().count(), 1);
}

#[test]
fn case_2_15_and_2_16_update_allowed_and_denied() {
    let (mut w, tester, _) = world();
    permit(&mut w, tester, 2, "Device.DeviceInfo.", ["r-xn", "rwxn", "rwxn", "rwxn"]);
    let denied = "Error 7006\nDevice.DeviceInfo.FriendlyName: 7006";
    assert_eq!(w.set(tester, "Device.DeviceInfo.", &["FriendlyName=x"]), denied);
    permit(&mut w, tester, 3, "Device.DeviceInfo.FriendlyName", ["-w--", "----", "----", "----"]);
    // R-SET.3: what may be written and not read is not shown in the answer.
    assert_eq!(w.set(tester, "Device.DeviceInfo.", &["FriendlyName=x"]), "Device.DeviceInfo.");
    permit(&mut w, tester, 4, "Device.DeviceInfo.ProvisioningCode", ["rw--", "----", "----", "----"]);
    let done = w.set(tester, "Device.DeviceInfo.", &["ProvisioningCode=x"]);
    assert_eq!(done, "Device.DeviceInfo. ProvisioningCode=x");
}

#[test]
fn case_2_17_and_2_18_a_command_allowed_and_denied() {
    let (mut w, tester, _) = world();
    permit(&mut w, tester, 2, "Device.Reboot()", ["rwxn", "rwxn", "rwxn", "rw-n"]);
    assert_eq!(w.operate(tester, "Device.Reboot()", "", &[]), "Device.Reboot() -> 7006");
    assert!(w.restarts.is_empty());
    permit(&mut w, tester, 3, "Device.Reboot()", ["----", "----", "----", "r-x-"]);
    assert_eq!(w.operate(tester, "Device.Reboot()", "", &[]), "Device.Reboot() -> ok");
}

#[test]
fn case_2_19_and_2_20_value_changes_allowed_and_denied() {
    let (mut w, tester, _) = world();
    permit(&mut w, tester, 2, "Device.DeviceInfo.FriendlyName", ["rw--", "----", "----", "----"]);
    w.subscribe(tester, "s", "ValueChange", "Device.DeviceInfo.FriendlyName");
    w.set(tester, "Device.DeviceInfo.", &["FriendlyName=x"]);
    assert!(w.notes(tester).is_empty(), "accepted but silent");
    permit(&mut w, tester, 3, "Device.DeviceInfo.FriendlyName", ["rw-n", "----", "----", "----"]);
    w.set(tester, "Device.DeviceInfo.", &["FriendlyName=y"]);
    assert_eq!(w.notes(tester), ["s: ValueChange Device.DeviceInfo.FriendlyName=y"], "from now on");
}

#[test]
fn case_2_21_of_overlapping_entries_the_highest_order_decides() {
    let (mut w, tester, _) = world();
    let row = "Device.LocalAgent.Controller.1.";
    let shown = w.get(tester, &format!("{row}EndpointID"));
    assert_eq!(shown, format!("{row}EndpointID=self::tester"));
    let entry = permit(&mut w, tester, 10, row, ["----"; 4]);
    assert_eq!(w.get(tester, row), format!("{row}: 7026"));
    assert!(!w.get(tester, "Device.LocalAgent.Controller.").contains("self::tester"));
    assert!(!w.instances(tester, "Device.LocalAgent.Controller.", true).contains("Controller.1."));
    permit(&mut w, tester, 5, row, ["rwxn"; 4]);
    assert_eq!(w.get(tester, row), format!("{row}: 7026"), "a lower one changes nothing");
    w.set(tester, &entry, &["Order=4"]);
    assert!(w.get(tester, row).contains("self::tester"), "until the order is another");
    w.set(tester, &entry, &["Order=20"]);
    assert_eq!(w.get(tester, row), format!("{row}: 7026"));
    w.set(tester, &entry, &["Enable=false"]);
    assert!(w.get(tester, row).contains("self::tester"), "an entry that is off counts for nothing");
}

#[test]
fn case_2_22_what_may_not_be_read_is_left_out() {
    let (mut w, tester, _) = world();
    let table = "Device.LocalAgent.Controller.1.BootParameter.";
    w.add(tester, table, &["ParameterName=Device.DeviceInfo.ModelName", "Enable=true"]);
    permit(&mut w, tester, 2, &format!("{table}1.ParameterName"), ["-wxn", "rwxn", "rwxn", "rwxn"]);
    let row = format!("{table}1.");
    assert_eq!(w.get(tester, &row), format!("{row}Alias=cpe-1\n{row}Enable=true"));
    assert_eq!(w.get(tester, &format!("{row}ParameterName")), format!("{row}ParameterName: 7026"));
    // R-GIN.1, R-ADD.6
    assert_eq!(w.instances(tester, table, true), format!("{row} Alias=cpe-1"));
    permit(&mut w, tester, 3, &format!("{table}*.Alias"), ["-w--", "----", "----", "----"]);
    assert_eq!(
        w.add(tester, table, &["ParameterName=Device.DeviceInfo.SerialNumber"]),
        format!("{table}2. ParameterName=Device.DeviceInfo.SerialNumber")
    );
}

#[test]
fn case_2_23_and_2_24_an_add_by_search_where_one_parent_is_denied() {
    let (mut w, tester, _) = world();
    let denied = "Device.LocalAgent.Controller.2.BootParameter.";
    permit(&mut w, tester, 2, denied, ["rwxn", "r-xn", "rwxn", "rwxn"]);
    let path = "Device.LocalAgent.Controller.*.BootParameter.";
    let settings: &[&str] = &["Enable=true", "ParameterName=Device.DeviceInfo.ModelName"];
    assert_eq!(
        text::answer(&w.ask(tester, add(false, &[(path, settings)]))),
        format!("Error 7006\n{denied}: 7006")
    );
    assert_eq!(w.get(tester, path), "");
    let answer = text::answer(&w.ask(tester, add(true, &[(path, settings)])));
    let made = "Device.LocalAgent.Controller.1.BootParameter.1. Alias=cpe-1 ParameterName=Device.DeviceInfo.ModelName";
    assert_eq!(answer, format!("{made}\n{path}: 7006"));
}

#[test]
fn case_2_25_and_2_26_a_parameter_of_a_new_row_that_may_not_be_written() {
    let (mut w, tester, _) = world();
    permit(&mut w, tester, 2, &format!("{SUBSCRIPTIONS}*.Persistent"), ["r-xn", "rwxn", "rwxn", "rwxn"]);
    let row = w.subscribe(tester, "s", "ValueChange", "Device.DeviceInfo.");
    assert_eq!(w.get(tester, &format!("{row}Persistent")), format!("{row}Persistent=false"));
    let required: &[&str] = &["ID=t", "Persistent=true"];
    let answer = text::answer(&w.ask(tester, add(true, &[(SUBSCRIPTIONS, required)])));
    assert_eq!(answer, format!("{SUBSCRIPTIONS}: 7006"));
    let optional = w.add(tester, SUBSCRIPTIONS, &["ID=u", "Persistent?=true"]);
    assert!(optional.ends_with("!Persistent:7006"), "{optional}");
    assert_eq!(w.instances(tester, SUBSCRIPTIONS, true).lines().count(), 2);
}

#[test]
fn case_2_27_secured_parameters_are_shown_to_secured_roles() {
    let (mut w, tester, admin) = world();
    let made = w.add(tester, "Device.MQTT.Client.", &["Name=c", "Username=u", "Password=secret"]);
    let row = made.split(' ').next().unwrap().to_owned();
    let password = format!("{row}Password");
    for conn in [tester, admin] {
        assert_eq!(w.get(conn, &password), format!("{password}="));
        assert!(!w.get(conn, "Device.").contains("secret"));
    }
    assert_eq!(w.set(tester, &row, &["Password=other"]), format!("{row} Password="));
    w.subscribe(tester, "s", "ValueChange", &password);
    w.subscribe(admin, "a", "ValueChange", &password);
    w.set(admin, TRUST, &["SecuredRoles=Device.LocalAgent.ControllerTrust.Role.3"]);
    assert_eq!(w.get(tester, &password), format!("{password}=other"));
    assert!(w.get(tester, &row).contains("Password=other"));
    assert_eq!(w.get(tester, &format!("{row}*.Password")).lines().count(), 1);
    assert_eq!(w.get(admin, &password), format!("{password}="), "its role is not among them");
    assert_eq!(w.set(tester, &row, &["Password=third"]), format!("{row} Password=third"));
    assert_eq!(w.notes(tester), [format!("s: ValueChange {password}=third")]);
    assert_eq!(w.notes(admin), [format!("a: ValueChange {password}=")]);
    for conn in [tester, admin] {
        assert_eq!(
            w.get(conn, "Device.MQTT.Client.[Password==\"third\"].Name"),
            "",
            "a search tells no secret"
        );
    }
    w.set(admin, ROLE, &["Enable=false"]);
    w.set(
        admin,
        "Device.LocalAgent.Controller.1.",
        &["AssignedRole=Device.LocalAgent.ControllerTrust.Role.1"],
    );
    assert_eq!(w.get(tester, &password), format!("{password}="));
}

/// R-SEC.1a: a right that any role gives is given; within a role the highest entry decides.
#[test]
fn several_roles_are_merged() {
    let (mut w, tester, admin) = world();
    w.set(
        admin,
        "Device.LocalAgent.ControllerTrust.Role.3.Permission.1.",
        &["Param=r---", "Targets=Device.DeviceInfo."],
    );
    let role = w.add(admin, &format!("{TRUST}Role."), &["Name=Writers", "Enable=true"]);
    let role = role.split(' ').next().unwrap().to_owned();
    let write = ["Enable=true", "Order=1", "Targets=Device.DeviceInfo.FriendlyName", "Param=-w--"];
    w.add(admin, &format!("{role}Permission."), &write);
    assert_eq!(
        w.set(tester, "Device.DeviceInfo.", &["FriendlyName=x"]),
        "Error 7006\nDevice.DeviceInfo.FriendlyName: 7006"
    );
    let both = format!("AssignedRole={},{}", ROLE.trim_end_matches('.'), role.trim_end_matches('.'));
    w.set(admin, "Device.LocalAgent.Controller.1.", &[&both]);
    assert_eq!(w.set(tester, "Device.DeviceInfo.", &["FriendlyName=x"]), "Device.DeviceInfo. FriendlyName=x");
    w.delete(admin, &[&role]);
    assert!(w.set(tester, "Device.DeviceInfo.", &["FriendlyName=y"]).starts_with("Error 7006"));
    assert_eq!(w.get(tester, "Device.DeviceInfo.FriendlyName"), "Device.DeviceInfo.FriendlyName=x");
}

/// Targets: objects with and without a final dot, rows, wildcards, expressions, Parameters, Commands, lists of them.
#[test]
fn targets_of_every_form() {
    let (mut w, tester, admin) = world();
    let row = w.subscribe(tester, "mine", "ValueChange", "Device.DeviceInfo.");
    let id = format!("{row}ID");
    let hidden = format!("{id}: 7026");
    for target in [
        "Device.LocalAgent.Subscription".to_owned(),
        SUBSCRIPTIONS.to_owned(),
        format!("{SUBSCRIPTIONS}*"),
        format!("{SUBSCRIPTIONS}*.ID"),
        row.clone(),
        id.clone(),
        format!("{SUBSCRIPTIONS}[ID==\"mine\"]."),
        format!("{SUBSCRIPTIONS}[Recipient==\"Device.LocalAgent.Controller.1\"].ID"),
        format!("Device.DeviceInfo.,{id}"),
    ] {
        let entry = permit(&mut w, admin, 9, &target, ["----"; 4]);
        assert_eq!(w.get(tester, &id), hidden, "{target}");
        w.delete(admin, &[&entry]);
        assert_eq!(w.get(tester, &id), format!("{id}=mine"), "{target}");
    }
    for target in [
        "Device.LocalAgent.Sub",
        "Device.LocalAgent.Subscription.*.Alias",
        "Device.LocalAgent.Subscription.[ID==\"other\"].",
    ] {
        let entry = permit(&mut w, admin, 9, target, ["----"; 4]);
        assert_eq!(w.get(tester, &id), format!("{id}=mine"), "{target}");
        w.delete(admin, &[&entry]);
    }
}

/// R-GIN.0: a search finds only rows of which everything that it looks at may be read.
#[test]
fn a_search_finds_rows_that_may_be_read() {
    let (mut w, tester, admin) = world();
    w.subscribe(tester, "one", "ValueChange", "Device.DeviceInfo.");
    w.subscribe(admin, "two", "ValueChange", "Device.DeviceInfo.");
    permit(&mut w, admin, 2, &format!("{SUBSCRIPTIONS}[ID==\"two\"]."), ["----"; 4]);
    let path = format!("{SUBSCRIPTIONS}[Enable==true].");
    assert_eq!(w.get(tester, &format!("{path}ID")), format!("{SUBSCRIPTIONS}1.ID=one"));
    assert!(w.instances(tester, SUBSCRIPTIONS, true).lines().count() == 1);
    assert_eq!(w.delete_partial(tester, true, &[&format!("{SUBSCRIPTIONS}[ID==\"two\"].")]), "");
    assert_eq!(w.set(tester, &path, &["NotifRetry=true"]), format!("{SUBSCRIPTIONS}1. NotifRetry=true"));
    assert!(w.get(admin, &format!("{SUBSCRIPTIONS}2.NotifRetry")).ends_with("false"));
    assert_eq!(w.get(admin, &format!("{path}ID")).lines().count(), 2);
    let entry = permit(&mut w, admin, 3, &format!("{SUBSCRIPTIONS}*.Recipient"), ["----"; 4]);
    assert_eq!(w.get(tester, &format!("{SUBSCRIPTIONS}1.Recipient+.EndpointID")), "", "a reference is read");
    assert_eq!(w.get(tester, &format!("{SUBSCRIPTIONS}[Recipient+.Enable==true].ID")), "");
    w.delete(admin, &[&entry]);
    assert_eq!(
        w.get(tester, &format!("{SUBSCRIPTIONS}[Recipient+.Enable==true].ID")),
        format!("{SUBSCRIPTIONS}1.ID=one")
    );
}

/// R-GSP.0: what may be read of some row is supported; what of none is not.
#[test]
fn the_supported_model_shows_what_may_be_read_somewhere() {
    let (mut w, tester, _) = world();
    permit(&mut w, tester, 2, "Device.LocalAgent.Controller.1.", ["----"; 4]);
    let shown = w.supported(tester, "Device.LocalAgent.Controller.");
    assert!(shown.contains("Device.LocalAgent.Controller.{i}. Alias"), "of other rows: {shown}");
    permit(&mut w, tester, 3, "Device.LocalAgent.Controller.", ["----"; 4]);
    permit(
        &mut w,
        tester,
        4,
        "Device.LocalAgent.Controller.*.BootParameter.",
        ["r---", "r---", "r---", "----"],
    );
    let shown = w.supported(tester, "Device.LocalAgent.");
    assert!(!shown.contains("Device.LocalAgent.Controller.{i}. "), "{shown}");
    assert!(shown.contains("Device.LocalAgent.Controller.{i}.BootParameter.{i}. Alias"), "{shown}");
    permit(&mut w, tester, 5, "Device.Reboot(),Device.Boot!,Device.RootDataModelVersion", ["----"; 4]);
    let root = w.supported(tester, "Device.");
    let root = root.lines().next().unwrap();
    assert!(!["Reboot()", "Boot!", "RootDataModelVersion"].iter().any(|name| root.contains(name)), "{root}");
    assert!(root.contains("FactoryReset()"), "{root}");
}

/// An entry of its own shows what lies below a hidden object.
#[test]
fn a_right_below_a_hidden_object() {
    let (mut w, tester, admin) = world();
    w.subscribe(tester, "s", "ValueChange", "Device.DeviceInfo.");
    permit(&mut w, admin, 2, "Device.LocalAgent.", ["----"; 4]);
    permit(&mut w, admin, 3, SUBSCRIPTIONS, ["r---", "r---", "r---", "----"]);
    let below = w.get(tester, "Device.LocalAgent.");
    assert!(below.starts_with("Device.LocalAgent.Subscription.1.Alias="), "{below}");
    assert!(w.supported(tester, "Device.LocalAgent.").starts_with("Device.LocalAgent.Subscription.{i}."));
    let all = w.get(tester, "Device.");
    assert!(all.contains("Subscription.1.ID=s") && !all.contains("Device.LocalAgent.EndpointID"), "{all}");
    assert!(w.instances(tester, "Device.", false).contains("Subscription.1."));
}

/// What Boot! tells is what its Controller may read.
#[test]
fn boot_tells_only_what_may_be_read() {
    let (mut w, tester, admin) = world();
    w.subscribe_with(tester, "boot", "Event", "Device.Boot!", &["Persistent=true"]);
    let table = "Device.LocalAgent.Controller.1.BootParameter.";
    for name in ["Device.DeviceInfo.ModelName", "Device.DeviceInfo.SerialNumber"] {
        w.add(tester, table, &["Enable=true", &format!("ParameterName={name}")]);
    }
    permit(&mut w, admin, 2, "Device.DeviceInfo.SerialNumber", ["----"; 4]);
    let mut w = w.restart();
    w.site("a: box");
    let tester = w.controller("self::tester");
    let notes = w.notes(tester);
    assert!(notes[0].contains(r#"ParameterMap={"Device.DeviceInfo.ModelName":"Hub"}"#), "{notes:?}");
}

/// The letters decide one by one: `Obj` and `InstantiatedObj` are not the same.
#[test]
fn each_letter_is_its_own() {
    let (mut w, tester, admin) = world();
    let table = "Device.LocalAgent.Controller.1.BootParameter.";
    let path = |order: &str| format!("ParameterName=Device.DeviceInfo.{order}");
    w.add(admin, table, &[&path("ModelName")]);
    let row = format!("{table}1.");
    w.subscribe(tester, "new", "ObjectCreation", table);
    w.subscribe(tester, "gone", "ObjectDeletion", &format!("{table}*."));
    w.notes(tester);
    permit(&mut w, admin, 2, table, ["rwxn", "---n", "r---", "rwxn"]);
    assert_eq!(w.get(tester, &row), format!("{row}: 7026"), "Obj r");
    assert_eq!(w.instances(tester, table, true).lines().count(), 1, "InstantiatedObj r");
    assert_eq!(w.add(tester, table, &[&path("A")]), format!("Error 7006\n{table}: 7006"), "Obj w");
    assert_eq!(w.delete(tester, &[&row]), format!("Error 7006\n{row}: 7006"), "InstantiatedObj w");
    w.add(admin, table, &[&path("B")]);
    w.delete(admin, &[&row]);
    let notes = w.notes(tester);
    assert!(notes.len() == 1 && notes[0].starts_with("new: "), "{notes:?}");
    permit(&mut w, admin, 3, table, ["rwxn", "rw--", "-w-n", "rwxn"]);
    assert_eq!(w.instances(tester, table, true), "");
    assert!(w.add(tester, table, &[&path("C")]).starts_with(table));
    assert_eq!(w.delete(tester, &[&format!("{table}2.")]), format!("{table}2."));
    let notes = w.notes(tester);
    assert_eq!(notes, [format!("gone: ObjectDeletion {table}2.")]);
}

/// Generic Controllers begin with the root, whatever they may do below it.
#[test]
fn the_root_shows_what_may_be_read_below_it() {
    let (mut w, tester, admin) = world();
    permit(&mut w, admin, 2, "Device.", ["----"; 4]);
    assert_eq!(w.get(tester, "Device."), "");
    assert_eq!(w.supported(tester, "Device."), "");
    assert_eq!(w.get(tester, "Device.LocalAgent."), "Device.LocalAgent.: 7026");
    permit(&mut w, admin, 3, "Device.DeviceInfo.", ["r---", "r---", "r---", "----"]);
    assert!(w.get(tester, "Device.").starts_with("Device.DeviceInfo."));
    assert!(w.supported(tester, "Device.").starts_with("Device.DeviceInfo."));
}

/// R-GIN.0: rows that may not be known of match no search, of whatever request.
#[test]
fn a_set_through_a_search_does_not_name_hidden_rows() {
    let (mut w, tester, admin) = world();
    permit(&mut w, admin, 2, "Device.LocalAgent.Controller.", ["----"; 4]);
    let all = "Device.LocalAgent.Controller.*.";
    assert_eq!(w.set(tester, all, &["Enable=false"]), "");
    assert_eq!(w.set(tester, all, &[]), "");
    let answer = w.set(tester, "Device.LocalAgent.Controller.1.", &["Enable=false"]);
    assert!(answer.starts_with("Error 70"), "{answer}");
    permit(&mut w, admin, 3, "Device.LocalAgent.Controller.*.Alias", ["-w--", "----", "----", "----"]);
    let answer = w.set(tester, all, &["Alias=7"]);
    assert_eq!(answer, format!("Error 7013\n{all}: 7013"), "what may be written is told of, and no row");
    permit(&mut w, admin, 4, "Device.LocalAgent.Controller.2.", ["rw--", "r---", "r---", "----"]);
    let answer = w.set(tester, all, &["Alias=7"]);
    assert_eq!(answer, "Error 7013\nDevice.LocalAgent.Controller.2.Alias: 7013");
}

/// R-GSP.0: what a row supports is judged by what Targets mean of that row.
#[test]
fn the_supported_model_of_a_row_hangs_on_the_row() {
    let row = |number: u32| format!("Device.LocalAgent.Controller.{number}.");
    let hidden = |w: &mut World, tester, number| {
        let answer = w.supported(tester, &row(number));
        assert!(answer == format!("{}: 7026", row(number)) || answer.contains("EndpointID"), "{answer}");
        answer.ends_with(": 7026")
    };
    let tester_alone = "Device.LocalAgent.Controller.[EndpointID==\"self::tester\"].";
    let by_reference = "Device.LocalAgent.Subscription.1.Recipient+.";
    for (target, given) in
        [(tester_alone, true), (by_reference, true), (tester_alone, false), (by_reference, false)]
    {
        let (mut w, tester, admin) = world();
        w.subscribe(tester, "s", "ValueChange", "Device.DeviceInfo.");
        let (others, these) = if given { ("----", "r---") } else { ("r---", "----") };
        permit(&mut w, admin, 2, "Device.LocalAgent.Controller.", [others; 4]);
        permit(&mut w, admin, 3, target, [these; 4]);
        assert_eq!(hidden(&mut w, tester, 1), !given, "{target}: its own row");
        assert_eq!(hidden(&mut w, tester, 2), given, "{target}: the other's");
        let below = format!("{}BootParameter.", row(if given { 2 } else { 1 }));
        assert_eq!(w.supported(tester, &below), format!("{below}: 7026"));
        let shown = w.supported(tester, &format!("{}BootParameter.", row(if given { 1 } else { 2 })));
        assert!(shown.contains("BootParameter.{i}."), "{shown}");
        assert!(w.supported(tester, "Device.LocalAgent.").contains("Controller.{i}. "), "of some row");
    }
}

#[test]
fn a_target_begins_with_device() {
    let (mut w, _, admin) = world();
    let row = permit(&mut w, admin, 2, "Device.DeviceInfo.", ["----"; 4]);
    for wrong in ["DeviceInfo.", "Nonsense", "Device.DeviceInfo.,LocalAgent.", "Devices."] {
        let answer = w.set(admin, &row, &[&format!("Targets={wrong}")]);
        assert_eq!(answer, format!("Error 7012\n{row}Targets: 7012"), "{wrong}");
    }
    for right in ["Device", "Device.", "Device.LocalAgent"] {
        assert!(!w.set(admin, &row, &[&format!("Targets={right}")]).contains("Error"), "{right}");
    }
}

/// An entry that forbids by what can never be evaluated would forbid nothing (R-SEC.1).
#[test]
fn a_target_whose_expression_can_never_be_evaluated_is_refused() {
    let (mut w, _, admin) = world();
    let row = permit(&mut w, admin, 2, "Device.LocalAgent.Controller.[Enable==true].", ["----"; 4]);
    let row = row.split(' ').next().unwrap();
    let targets = format!("{row}Targets");
    let kept = w.get(admin, &targets);
    for expression in ["Enable==\"true\"", "EndpointID==1", "Nope==\"1\"", "Enable<true", "MTP.Enable==true"]
    {
        let wrong = format!("Targets=Device.DeviceInfo.,Device.LocalAgent.Controller.[{expression}].");
        assert_eq!(w.set(admin, row, &[&wrong]), format!("Error 7012\n{targets}: 7012"), "{expression}");
        let made = w.add(admin, PERMISSIONS, &[&wrong, "Order=3", "Enable=true"]);
        assert_eq!(made, format!("Error 7012\n{PERMISSIONS}Targets: 7012"), "{expression}");
    }
    assert_eq!(w.get(admin, &targets), kept);
    // What a Service may have one day is not known.
    let later =
        "Targets=Device.X_Later.T.[Nope==1].,Device.LocalAgent.Controller.[AssignedRole#1+.Enable==true].";
    assert!(w.set(admin, row, &[later]).starts_with(row));
}

/// Older versions took any expression.
#[test]
fn an_entry_of_an_older_store_that_cannot_be_evaluated_forbids() {
    let (mut w, tester, admin) = world();
    let name = "Device.LocalAgent.Controller.2.EndpointID";
    permit(&mut w, admin, 2, "Device.LocalAgent.Controller.[Enable==true].", ["----"; 4]);
    assert_eq!(w.get(tester, name), format!("{name}: 7026"));
    let mut changed = 0;
    for (_, params) in &mut w.disk.snapshot.rows {
        for (param, value) in params.iter_mut().filter(|(param, _)| param == "Targets") {
            if value.contains("[Enable==true]") {
                *value = value.replace("==true", "==\"true\"");
                changed += usize::from(param == "Targets");
            }
        }
    }
    assert_eq!(changed, 1);
    let mut w = w.restart();
    w.site("a: box");
    w.controller("self::admin");
    let tester = w.controller("self::tester");
    let own = "Device.LocalAgent.Controller.1.EndpointID";
    assert_eq!(w.get(tester, own), format!("{own}: 7026"));
}
