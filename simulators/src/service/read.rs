//! Get, GetInstances, GetSupportedDM.

use std::collections::BTreeMap;

use usp_proto::usp::get_instances_resp::CurrInstance;
use usp_proto::usp::get_resp::ResolvedPathResult;
use usp_proto::usp::get_supported_dm_resp::{
    CmdType, ObjAccessType, ParamAccessType, RequestedObjectResult, SupportedCommandResult,
    SupportedEventResult, SupportedObjectResult, SupportedParamResult, SupportedUniqueKeySet,
    ValueChangeType,
};
use usp_proto::usp::{
    Get, GetInstances, GetInstancesResp, GetResp, GetSupportedDm, GetSupportedDmResp, get_instances_resp,
    get_resp,
};

use super::fault::Fault;
use super::model::{Model, template_of};
use super::path::{Path, Step};
use super::schema::{Access, Command, Event, Object, Param};

pub(crate) fn get(model: &Model, request: &Get) -> GetResp {
    let result = |text: &String| {
        let found = resolved(model, text, request.max_depth);
        let (fault, resolved_path_results) = split(found);
        get_resp::RequestedPathResult {
            requested_path: text.clone(),
            err_code: fault.as_ref().map_or(0, |fault| fault.code),
            err_msg: fault.map(|fault| fault.message).unwrap_or_default(),
            resolved_path_results,
        }
    };
    GetResp { req_path_results: request.param_paths.iter().map(result).collect() }
}

fn split<T>(found: Result<Vec<T>, Fault>) -> (Option<Fault>, Vec<T>) {
    match found {
        Ok(found) => (None, found),
        Err(fault) => (Some(fault), Vec::new()),
    }
}

fn resolved(model: &Model, text: &str, max_depth: u32) -> Result<Vec<ResolvedPathResult>, Fault> {
    let path = Path::parse(text)?;
    let found = model.resolve(&path)?;
    if found.is_empty() && !path.is_search() {
        return Err(Fault::new(7026, format!("{text} is not there")));
    }
    let entry = |object: String, params: BTreeMap<String, String>| ResolvedPathResult {
        resolved_path: object,
        result_params: params.into(),
    };
    if let Some(leaf) = &path.leaf {
        let template = path.template();
        let object = model.objects.iter().find(|object| object.path == template);
        let param = object.and_then(|object| object.params.iter().find(|param| param.name == leaf));
        let param = param.ok_or_else(|| Fault::new(7026, format!("{text} is not supported")))?;
        let value = |object: &String| BTreeMap::from([(leaf.clone(), model.shown(object, param))]);
        return Ok(found.into_iter().map(|object| entry(object.clone(), value(&object))).collect());
    }
    let mut results = Vec::new();
    for start in found {
        for (object, kind) in model.below(&start) {
            if max_depth == 0 || levels(&start, &object) < max_depth {
                let values =
                    kind.params.iter().map(|param| (param.name.to_owned(), model.shown(&object, param)));
                let values = values.collect();
                results.push(entry(object, values));
            }
        }
    }
    Ok(results)
}

/// How many object levels lie between: a table and its rows count as one.
fn levels(start: &str, object: &str) -> u32 {
    let names =
        |path: &str| template_of(path).split('.').filter(|piece| !matches!(*piece, "" | "{i}")).count();
    (names(object) - names(start)) as u32
}

pub(crate) fn instances(model: &Model, request: &GetInstances) -> GetInstancesResp {
    let result = |text: &String| {
        let (fault, curr_insts) = split(rows(model, text, request.first_level_only));
        get_instances_resp::RequestedPathResult {
            requested_path: text.clone(),
            err_code: fault.as_ref().map_or(0, |fault| fault.code),
            err_msg: fault.map(|fault| fault.message).unwrap_or_default(),
            curr_insts,
        }
    };
    GetInstancesResp { req_path_results: request.obj_paths.iter().map(result).collect() }
}

fn rows(model: &Model, text: &str, first_level_only: bool) -> Result<Vec<CurrInstance>, Fault> {
    let path = Path::parse(text)?;
    let found = model.resolve(&path)?;
    if path.leaf.is_some() {
        return Err(Fault::new(7018, format!("{text} is no table")));
    }
    if found.is_empty() && !path.is_search() {
        return Err(Fault::new(7016, format!("{text} is not there")));
    }
    let is_table = model.objects.iter().any(|object| object.path == format!("{}{{i}}.", path.template()));
    let names_rows = !matches!(path.steps.last(), Some(Step::Name(_)));
    if first_level_only && !is_table && !names_rows {
        return Err(Fault::new(7018, format!("{text} is no table")));
    }
    let wanted = |row: &String| {
        found.iter().any(|start| {
            let inside = row.strip_prefix(start.as_str());
            inside.is_some_and(|rest| !first_level_only || rest.matches('.').count() <= 1)
        })
    };
    let instance =
        |row: &String| CurrInstance { instantiated_obj_path: row.clone(), unique_keys: model.keys(row) };
    Ok(model.rows().iter().filter(|row| wanted(row)).map(instance).collect())
}

pub(crate) fn supported(model: &Model, request: &GetSupportedDm) -> GetSupportedDmResp {
    let result = |text: &String| {
        let (fault, supported_objs) = split(described(model, text, request));
        RequestedObjectResult {
            req_obj_path: text.clone(),
            err_code: fault.as_ref().map_or(0, |fault| fault.code),
            err_msg: fault.map(|fault| fault.message).unwrap_or_default(),
            data_model_inst_uri: "urn:broadband-forum-org:tr-181-2-19-1-usp".to_owned(),
            supported_objs,
        }
    };
    GetSupportedDmResp { req_obj_results: request.obj_paths.iter().map(result).collect() }
}

fn described(model: &Model, text: &str, ask: &GetSupportedDm) -> Result<Vec<SupportedObjectResult>, Fault> {
    let unsupported = || Fault::new(7026, format!("{text} is not supported"));
    // In this Message a row may be written `{i}`, too; `*` names the same.
    let path = Path::parse(&text.replace("{i}", "*"))?;
    let template = path.template();
    if let Some(leaf) = &path.leaf {
        let object = model.objects.iter().find(|object| object.path == template).ok_or_else(unsupported)?;
        return single(object, leaf).map(|object| vec![object]).ok_or_else(unsupported);
    }
    if !model.supports(&template) {
        return Err(unsupported());
    }
    let own = depth(&template);
    let all = model.objects.iter().filter(|object| object.path.starts_with(&template));
    let near = all.filter(|object| !ask.first_level_only || depth(&object.path) <= own + 1);
    // Of the children of a first level nothing but their being there is told.
    let plain = GetSupportedDm::default();
    let detail =
        |object: &Object| if ask.first_level_only && depth(&object.path) > own { &plain } else { ask };
    Ok(near.map(|object| whole(object, detail(object))).collect())
}

/// How many names an object's path has.
fn depth(template: &str) -> usize {
    template.split('.').filter(|piece| !matches!(*piece, "" | "{i}")).count()
}

/// An object with as much detail as is asked for.
fn whole(object: &Object, ask: &GetSupportedDm) -> SupportedObjectResult {
    let mut result = bare(object);
    if ask.return_params {
        result.supported_params = object.params.iter().map(param).collect();
    }
    if ask.return_commands {
        result.supported_commands = object.commands.iter().map(command).collect();
    }
    if ask.return_events {
        result.supported_events = object.events.iter().map(event).collect();
    }
    if ask.return_unique_key_sets {
        let set =
            |set: &&[&str]| SupportedUniqueKeySet { key_names: set.iter().map(|&key| key.into()).collect() };
        result.unique_key_sets = object.keys.iter().map(set).collect();
    }
    result
}

/// An object with one element alone; `None`: it has no such element.
fn single(object: &Object, leaf: &str) -> Option<SupportedObjectResult> {
    let mut result = bare(object);
    result.supported_params.extend(object.params.iter().filter(|it| it.name == leaf).map(param));
    result.supported_commands.extend(object.commands.iter().filter(|it| it.name == leaf).map(command));
    result.supported_events.extend(object.events.iter().filter(|it| it.name == leaf).map(event));
    let found =
        result.supported_params.len() + result.supported_commands.len() + result.supported_events.len();
    (found > 0).then_some(result)
}

fn bare(object: &Object) -> SupportedObjectResult {
    let access = if object.editable { ObjAccessType::ObjAddDelete } else { ObjAccessType::ObjReadOnly };
    SupportedObjectResult {
        supported_obj_path: object.path.clone(),
        access: access.into(),
        is_multi_instance: object.path.ends_with("{i}."),
        ..Default::default()
    }
}

fn param(param: &Param) -> SupportedParamResult {
    let access = match param.access {
        Access::Read | Access::Quiet => ParamAccessType::ParamReadOnly,
        Access::Write | Access::Once => ParamAccessType::ParamReadWrite,
        Access::Secret => ParamAccessType::ParamWriteOnly,
    };
    let value_change = match param.access {
        Access::Quiet => ValueChangeType::ValueChangeWillIgnore,
        Access::Read | Access::Write | Access::Once | Access::Secret => ValueChangeType::ValueChangeAllowed,
    };
    SupportedParamResult {
        param_name: param.name.to_owned(),
        access: access.into(),
        value_type: param.kind.usp().into(),
        value_change: value_change.into(),
    }
}

fn command(command: &Command) -> SupportedCommandResult {
    SupportedCommandResult {
        command_name: command.name.to_owned(),
        input_arg_names: command.inputs.iter().map(|(name, _)| (*name).to_owned()).collect(),
        output_arg_names: command.outputs.iter().map(|&name| name.to_owned()).collect(),
        command_type: if command.is_async { CmdType::CmdAsync } else { CmdType::CmdSync }.into(),
    }
}

fn event(event: &Event) -> SupportedEventResult {
    SupportedEventResult {
        event_name: event.name.to_owned(),
        arg_names: event.args.iter().map(|&name| name.to_owned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        Model::new("Device.X_T.", "self::svc")
    }

    fn get_one(path: &str, max_depth: u32) -> get_resp::RequestedPathResult {
        let mut response = get(&model(), &Get { param_paths: vec![path.to_owned()], max_depth });
        response.req_path_results.remove(0)
    }

    #[test]
    fn one_parameter_comes_alone_under_its_object() {
        let result = get_one("Device.X_T.Mode", 0);
        assert_eq!(result.err_code, 0);
        let [entry] = result.resolved_path_results.as_slice() else { panic!("{result:?}") };
        assert_eq!(entry.resolved_path, "Device.X_T.");
        assert_eq!(entry.result_params, [("Mode", "Auto")].into());
    }

    #[test]
    fn an_object_comes_with_all_below_it() {
        let paths = |depth| {
            let result = get_one("Device.X_T.", depth);
            result.resolved_path_results.into_iter().map(|entry| entry.resolved_path).collect::<Vec<_>>()
        };
        assert_eq!(paths(1), ["Device.X_T."]);
        let all = ["Device.X_T.", "Device.X_T.Stats.", "Device.X_T.Zone.1.", "Device.X_T.Zone.2."];
        assert_eq!(paths(2), all);
        assert_eq!(paths(0), all);
    }

    #[test]
    fn get_errors_follow_the_standard() {
        for (path, code) in [
            ("Device.X_T.Nothing", 7026),
            ("Device.X_T.Zone.7.", 7026),
            ("Device.WiFi.", 7026),
            ("Device.X_T.Zone.[", 7008),
            ("Device.X_T.Zone.[Name==\"nobody\"].", 0),
            ("Device.X_T.Zone.1.Schedule.", 0),
            ("Device.X_T.Zone.*.Schedule.*.Start", 0),
        ] {
            let result = get_one(path, 0);
            assert_eq!(result.err_code, code, "{path}");
            assert!(result.resolved_path_results.is_empty(), "{path}");
        }
    }

    #[test]
    fn secrets_read_as_empty() {
        let mut model = model();
        model.put("Device.X_T.PIN", "1234");
        let response = get(&model, &Get { param_paths: vec!["Device.X_T.PIN".into()], max_depth: 0 });
        let params = &response.req_path_results[0].resolved_path_results[0].result_params;
        assert_eq!(&params["PIN"], "");
    }

    #[test]
    fn instances_have_their_keys() {
        let mut model = model();
        model.add("Device.X_T.Zone.2.Schedule.").unwrap();
        let ask = |path: &str, first_level_only| {
            let request = GetInstances { obj_paths: vec![path.to_owned()], first_level_only };
            let result = instances(&model, &request).req_path_results.remove(0);
            (result.err_code, result.curr_insts)
        };
        let (_, zones) = ask("Device.X_T.Zone.", true);
        assert_eq!(zones.len(), 2);
        assert_eq!(zones[1].unique_keys["Name"], "Bedroom");
        assert_eq!(ask("Device.X_T.Zone.", false).1.len(), 3);
        assert_eq!(ask("Device.X_T.", false).1.len(), 3);
        assert_eq!(ask("Device.X_T.Mode", false).0, 7018);
        assert_eq!(ask("Device.X_T.Nothing.", false).0, 7026);
        assert_eq!(ask("Device.X_T.Zone.9.Schedule.", false).0, 7016);
    }

    #[test]
    fn the_supported_model_has_every_detail() {
        let ask = |path: &str, first_level_only| {
            let request = GetSupportedDm {
                obj_paths: vec![path.to_owned()],
                first_level_only,
                return_commands: true,
                return_events: true,
                return_params: true,
                return_unique_key_sets: true,
            };
            supported(&model(), &request).req_obj_results.remove(0)
        };
        let all = ask("Device.X_T.", false).supported_objs;
        let paths: Vec<&str> = all.iter().map(|object| object.supported_obj_path.as_str()).collect();
        assert_eq!(
            paths,
            ["", "Stats.", "Zone.{i}.", "Zone.{i}.Schedule.{i}."].map(|p| format!("Device.X_T.{p}"))
        );
        assert!(all[2].is_multi_instance && !all[0].is_multi_instance);
        assert_eq!(all[2].unique_key_sets.len(), 2);
        assert_eq!(all[0].supported_commands[1].command_type(), CmdType::CmdAsync);
        assert_eq!(all[0].supported_events[0].arg_names, ["Code", "Text"]);
        let near = ask("Device.X_T.", true).supported_objs;
        assert_eq!(near.len(), 3);
        assert!(near[1].supported_params.is_empty() && !near[0].supported_params.is_empty());
        assert_eq!(ask("Device.X_T.Zone.{i}.Name", false).supported_objs[0].supported_params.len(), 1);
        assert_eq!(ask("Device.X_T.Nothing.", false).err_code, 7026);
    }
}
