//! Questions besides the one that was asked, so that a command can say why there is nothing to show.

use std::collections::BTreeSet;

use usp_proto::path::{Leaf, Path, Segment};
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{Get, GetSupportedDm, GetSupportedDmResp};

use super::session::Session;
use crate::config::nearest;

/// `Invalid path`: not in the supported data model.
pub(super) const INVALID_PATH: u32 = 7026;

/// Whether the Agent's supported data model has what a path addresses; `None` where that cannot be told.
pub(super) async fn is_supported(session: &Session, path: &str) -> Option<bool> {
    let supported = Path::parse(path).ok()?.to_supported()?.to_string();
    let request =
        GetSupportedDm { obj_paths: vec![supported], first_level_only: true, ..GetSupportedDm::default() };
    match session.client.request(ReqType::GetSupportedDm(request)).await {
        Ok(RespType::GetSupportedDmResp(response)) => match response.req_obj_results.first()?.err_code {
            0 => Some(true),
            INVALID_PATH => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Supported paths of the tables within an object, as they are below it: `{i}.IoTCapability.{i}.`.
pub(super) async fn tables_within(session: &Session, object: &str) -> Vec<String> {
    let Some(supported) = Path::parse(object).ok().and_then(|path| path.to_supported()) else {
        return Vec::new();
    };
    let supported = supported.to_string();
    let request = GetSupportedDm { obj_paths: vec![supported.clone()], ..GetSupportedDm::default() };
    match session.client.request(ReqType::GetSupportedDm(request)).await {
        Ok(RespType::GetSupportedDmResp(response)) => {
            let objects = response.req_obj_results.into_iter().flat_map(|result| result.supported_objs);
            let below =
                objects.filter_map(|it| it.supported_obj_path.strip_prefix(&supported).map(str::to_owned));
            below.filter(|below| below.ends_with("{i}.")).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a path is one of Parameters that are there now.
pub(super) async fn is_parameter(session: &Session, path: &str) -> bool {
    let Some((_, name)) = path.rsplit_once('.').filter(|(_, name)| !name.is_empty()) else { return false };
    let request = Get { param_paths: vec![path.to_owned()], max_depth: 1 };
    match session.client.request(ReqType::Get(request)).await {
        Ok(RespType::GetResp(response)) => {
            let mut rows =
                response.req_path_results.into_iter().flat_map(|result| result.resolved_path_results);
            rows.any(|row| row.result_params.get(name).is_some())
        }
        _ => false,
    }
}

/// Most levels of a path that are looked at.
const LEVELS: usize = 16;

/// What was probably meant by a path that is not in the supported data model: the same with one other element.
pub(super) async fn meant(session: &Session, path: &str) -> Option<String> {
    if !path.starts_with("Device.") {
        return Some(format!("Device.{}", path.trim_start_matches('.')));
    }
    let ends: Vec<usize> = path.match_indices('.').map(|(at, _)| at + 1).take(LEVELS).collect();
    // The deepest object that there is; the element behind it is the wrong one.
    for end in ends.into_iter().rev() {
        let (object, rest) = path.split_at_checked(end)?;
        let Some(names) = children(session, object).await else { continue };
        let wrong = rest.split('.').next()?;
        let right = nearest(wrong, names.iter().map(String::as_str)).filter(|right| *right != wrong)?;
        return Some(format!("{object}{right}{}", rest.get(wrong.len()..)?));
    }
    None
}

/// Names of what an object has, where it is supported.
async fn children(session: &Session, object: &str) -> Option<Vec<String>> {
    let supported = Path::parse(object).ok()?.to_supported()?.to_string();
    let request = GetSupportedDm {
        obj_paths: vec![supported.clone()],
        first_level_only: true,
        return_commands: true,
        return_events: true,
        return_params: true,
        ..GetSupportedDm::default()
    };
    let RespType::GetSupportedDmResp(response) =
        session.client.request(ReqType::GetSupportedDm(request)).await.ok()?
    else {
        return None;
    };
    let objects: Vec<_> =
        response.req_obj_results.into_iter().flat_map(|result| result.supported_objs).collect();
    let mut names = Vec::new();
    for found in &objects {
        let below = found.supported_obj_path.strip_prefix(&supported)?;
        match below.split_once('.') {
            None => {
                names.extend(found.supported_params.iter().map(|it| it.param_name.clone()));
                names.extend(found.supported_commands.iter().map(|it| it.command_name.clone()));
                names.extend(found.supported_events.iter().map(|it| it.event_name.clone()));
            }
            Some((name, _)) if name != "{i}" => names.push(name.to_owned()),
            Some(_) => {}
        }
    }
    (!names.is_empty()).then_some(names)
}

/// Most objects whose Commands are asked for.
const OBJECTS: usize = 16;

/// What a Command of one object does with the arguments that it was given.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ignored {
    /// The Command of that object.
    pub(super) command: String,
    /// Those that it does not have, which an Agent ignores (R-OPR.6).
    pub(super) ignored: Vec<String>,
    /// All that it has.
    pub(super) known: Vec<String>,
}

/// Which of these input arguments Commands have ignored. Rows of one table may differ in what they support, as devices do,
/// so each object is asked about by its own path, and by its table's for an Agent that tells of tables alone. What cannot
/// be told is left out.
pub(super) async fn ignored_arguments<'c>(
    session: &Session,
    commands: &[&'c str],
    given: &[String],
) -> Vec<Ignored> {
    let forms = |command: &&'c str| Some((*command, supported_forms(command)?));
    let asked: Vec<_> = commands.iter().take(OBJECTS).filter_map(forms).collect();
    let obj_paths: BTreeSet<&String> = asked.iter().flat_map(|(_, forms)| forms).collect();
    let request = GetSupportedDm {
        obj_paths: obj_paths.into_iter().cloned().collect(),
        first_level_only: true,
        return_commands: true,
        ..GetSupportedDm::default()
    };
    let Ok(RespType::GetSupportedDmResp(response)) =
        session.client.request(ReqType::GetSupportedDm(request)).await
    else {
        return Vec::new();
    };
    let ignored = |(command, forms): (&str, Vec<String>)| {
        let name = command.rsplit('.').next()?;
        let known = forms.iter().find_map(|form| arguments_of(&response, form, name))?;
        let ignored = given.iter().filter(|given| !known.contains(&instances(given))).cloned().collect();
        Some(Ignored { command: command.to_owned(), ignored, known })
    };
    asked.into_iter().filter_map(ignored).collect()
}

/// The object of a Command as GetSupportedDM takes it: with the numbers of its rows if it names them, and with `{i}` for each.
fn supported_forms(command: &str) -> Option<Vec<String>> {
    let object = |path: &str| Some(format!("{}.", path.rsplit_once('.')?.0));
    let path = Path::parse(command).ok()?;
    let own = if path.is_search() { None } else { object(command) };
    let table = object(&path.to_supported()?.to_string())?;
    Some(own.into_iter().chain([table]).collect())
}

/// The input arguments of a Command, in the answer to what was asked with this path.
fn arguments_of(response: &GetSupportedDmResp, asked: &str, name: &str) -> Option<Vec<String>> {
    let result = response.req_obj_results.iter().find(|result| result.req_obj_path == asked)?;
    let mut commands = result.supported_objs.iter().flat_map(|object| &object.supported_commands);
    commands.find(|known| known.command_name == name).map(|known| known.input_arg_names.clone())
}

/// `TimeWindow.1.Start` as the supported data model has it: `TimeWindow.{i}.Start`.
fn instances(name: &str) -> String {
    let part = |part: &str| match part.bytes().all(|byte| byte.is_ascii_digit()) {
        true => "{i}".to_owned(),
        false => part.to_owned(),
    };
    name.split('.').map(part).collect::<Vec<_>>().join(".")
}

/// Whether a path of readings matches rows, all of which keep their reading to themselves.
pub(super) async fn has_withheld_readings(session: &Session, path: &str) -> bool {
    let Some(object) = object_of_reading(path) else { return false };
    let request = Get { param_paths: vec![object], max_depth: 1 };
    match session.client.request(ReqType::Get(request)).await {
        Ok(RespType::GetResp(response)) => {
            response.req_path_results.iter().any(|result| !result.resolved_path_results.is_empty())
        }
        _ => false,
    }
}

/// The object of a capability's `Value` or `Values`.
fn object_of_reading(path: &str) -> Option<String> {
    let Path { segments, leaf: Leaf::Parameter(name) } = Path::parse(path).ok()? else { return None };
    let below_a_device =
        matches!(segments.get(1), Some(Segment::Name(table)) if table.as_str() == "ProxiedDevice");
    let is_reading = below_a_device && matches!(name.as_str(), "Value" | "Values");
    is_reading.then(|| Path { segments, leaf: Leaf::Object }.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_with_instances_are_those_of_the_model() {
        assert_eq!(instances("TimeWindow.1.Start"), "TimeWindow.{i}.Start");
        assert_eq!(instances("Time"), "Time");
    }

    #[test]
    fn readings_are_told_from_other_parameters() {
        let object = |path: &str| object_of_reading(path).unwrap_or_default();
        let sensor = r#"Device.ProxiedDevice.[Type=="Meter"].IoTCapability.*.LevelSensor."#;
        assert_eq!(object(&format!("{sensor}Value")), sensor);
        for path in
            [&format!("{sensor}Unit"), sensor, "Device.Services.*.Value", "Device.ProxiedDevice.*.Name", "x"]
        {
            assert_eq!(object(path), "", "{path}");
        }
    }
}
