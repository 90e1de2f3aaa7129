//! Seeds for the first start: `[[role]]`, `[[mqtt]]`, `[[controller]]`, `[[object]]`.

use std::path::Path;

use usp_core::config::{ControllerSeed, MqttSeed, ObjectSeed, PermissionSeed, RoleSeed, Seed};

use super::draft::{At, Table};
use super::mqtt;
use super::problem::Problems;
use super::sections::{BUILT_IN_ROLES, endpoint_id, role};

pub(super) fn compile(root: &mut Table<'_>, base: &Path, problems: &mut Problems<'_>) -> Seed {
    let mut roles = Vec::new();
    for table in root.tables("role", problems) {
        roles.extend(role_seed(table, &roles, problems));
    }
    let names: Vec<String> = BUILT_IN_ROLES
        .iter()
        .map(|name| (*name).to_owned())
        .chain(roles.iter().map(|r| r.name.clone()))
        .collect();
    let clients = mqtt::clients(root, base, problems);
    let mut controllers = Vec::new();
    for table in root.tables("controller", problems) {
        controllers.extend(controller(table, &controllers, &names, &clients, problems));
    }
    let objects =
        root.tables("object", problems).into_iter().filter_map(|table| object(table, problems)).collect();
    Seed { roles, mqtt: clients, controllers, objects }
}

fn role_seed(mut table: Table<'_>, former: &[RoleSeed], problems: &mut Problems<'_>) -> Option<RoleSeed> {
    let name = table.required("name", problems);
    if let Some(At { value, span }) = &name {
        let taken = BUILT_IN_ROLES.contains(&value.as_str()) || former.iter().any(|role| role.name == *value);
        if taken || value.is_empty() {
            let why =
                if taken { "there is already a role of this name" } else { "a role's name cannot be empty" };
            problems.add(span.clone(), why);
        }
    }
    let mut permissions: Vec<PermissionSeed> = Vec::new();
    for table in table.tables("permission", problems) {
        permissions.push(permission(table, &permissions, problems));
    }
    table.finish(problems);
    Some(RoleSeed { name: name?.value, permissions })
}

fn permission(
    mut table: Table<'_>,
    former: &[PermissionSeed],
    problems: &mut Problems<'_>,
) -> PermissionSeed {
    let order = table.number("order", 1..=u64::from(u32::MAX), problems).and_then(|n| u32::try_from(n).ok());
    // A row's Order is unique in its role; in a file it is the place unless it says otherwise.
    let order = order.unwrap_or_else(|| former.iter().map(|p| p.order).max().unwrap_or(0).saturating_add(1));
    if former.iter().any(|permission| permission.order == order) {
        problems.add(table.span.clone(), format!("two permissions of a role have `order` {order}"));
    }
    let targets = table.strings("targets", problems).unwrap_or_default();
    for target in targets.iter().filter(|target| !target.value.starts_with("Device.")) {
        problems
            .add(target.span.clone(), format!("the target `{}` does not begin with `Device.`", target.value));
    }
    let seed = PermissionSeed {
        order,
        targets: targets.into_iter().map(|target| target.value).collect(),
        param: flags(&mut table, "param", problems),
        obj: flags(&mut table, "obj", problems),
        instantiated_obj: flags(&mut table, "instantiated_obj", problems),
        command_event: flags(&mut table, "command_event", problems),
    };
    table.finish(problems);
    seed
}

/// Four characters: `r` or `-`, `w` or `-`, `x` or `-`, `n` or `-`.
fn flags(table: &mut Table<'_>, key: &'static str, problems: &mut Problems<'_>) -> String {
    let Some(At { value, span }) = table.string(key, problems) else { return "----".to_owned() };
    let fits = value.len() == 4 && value.chars().zip("rwxn".chars()).all(|(c, flag)| c == flag || c == '-');
    if !fits {
        problems.add_with_help(
            span,
            format!("`{key}` must be four characters of `rwxn`, each in its place or `-`"),
            "for example \"r--n\"",
        );
    }
    value
}

fn controller(
    mut table: Table<'_>,
    former: &[ControllerSeed],
    roles: &[String],
    clients: &[MqttSeed],
    problems: &mut Problems<'_>,
) -> Option<ControllerSeed> {
    let text = table.required("endpoint_id", problems);
    let id = text.as_ref().and_then(|text| endpoint_id(text, problems));
    if let (Some(id), Some(text)) = (&id, &text)
        && former.iter().any(|controller| controller.endpoint_id == *id)
    {
        problems.add(text.span.clone(), format!("there is already a controller `{id}`"));
    }
    let role = table.string("role", problems).and_then(|text| role(text, roles, problems));
    let params = table.params("params", problems);
    let mqtt = mqtt::route(&mut table, clients, problems);
    table.finish(problems);
    Some(ControllerSeed {
        endpoint_id: id?,
        role: role.unwrap_or_else(|| "Untrusted".to_owned()),
        params,
        mqtt,
    })
}

fn object(mut table: Table<'_>, problems: &mut Problems<'_>) -> Option<ObjectSeed> {
    let path = table.required("path", problems);
    if let Some(At { value, span }) = &path
        && !(value.starts_with("Device.") && value.ends_with('.'))
    {
        problems.add_with_help(
            span.clone(),
            format!("`{value}` is not the path of a table or of a row"),
            "it begins with `Device.` and ends with a dot: \"Device.LocalAgent.Subscription.\"",
        );
    }
    let params = table.params("params", problems);
    table.finish(problems);
    Some(ObjectSeed { path: path?.value, params })
}
