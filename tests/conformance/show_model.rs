//! The supported data model as lines.

use usp_proto::usp::GetSupportedDmResp;
use usp_proto::usp::get_supported_dm_resp::{
    CmdType, ObjAccessType, ParamAccessType, ParamValueType, SupportedObjectResult, ValueChangeType,
};

use crate::show::head;

/// Lines for each requested path, its objects and their elements.
pub fn of_supported(resp: &GetSupportedDmResp, out: &mut Vec<String>) {
    for entry in &resp.req_obj_results {
        out.push(head(&entry.req_obj_path, entry.err_code));
        entry.supported_objs.iter().for_each(|object| of_object(object, out));
    }
}

fn of_object(object: &SupportedObjectResult, out: &mut Vec<String>) {
    let access = match ObjAccessType::try_from(object.access) {
        Ok(ObjAccessType::ObjReadOnly) => "read-only",
        Ok(ObjAccessType::ObjAddDelete) => "add-delete",
        Ok(ObjAccessType::ObjAddOnly) => "add-only",
        Ok(ObjAccessType::ObjDeleteOnly) => "delete-only",
        Err(_) => "?",
    };
    let table = if object.is_multi_instance { "table" } else { "single" };
    out.push(format!("object {} {access} {table}", object.supported_obj_path));
    out.extend(object.unique_key_sets.iter().map(|keys| format!("keys {}", keys.key_names.join("+"))));
    out.extend(object.divergent_paths.iter().map(|path| format!("divergent {path}")));
    for param in &object.supported_params {
        let access = match ParamAccessType::try_from(param.access) {
            Ok(ParamAccessType::ParamReadOnly) => "read-only",
            Ok(ParamAccessType::ParamReadWrite) => "read-write",
            Ok(ParamAccessType::ParamWriteOnly) => "write-only",
            Err(_) => "?",
        };
        let kind = ParamValueType::try_from(param.value_type).map_or("?", |kind| kind.as_str_name());
        let change = match ValueChangeType::try_from(param.value_change) {
            Ok(ValueChangeType::ValueChangeAllowed) => "told",
            Ok(ValueChangeType::ValueChangeWillIgnore) => "quiet",
            Ok(ValueChangeType::ValueChangeUnknown) | Err(_) => "?",
        };
        out.push(format!("param {} {access} {kind} {change}", param.param_name));
    }
    for command in &object.supported_commands {
        let kind = match CmdType::try_from(command.command_type) {
            Ok(CmdType::CmdSync) => "sync",
            Ok(CmdType::CmdAsync) => "async",
            Ok(CmdType::CmdUnknown) | Err(_) => "?",
        };
        let (input, output) = (command.input_arg_names.join(","), command.output_arg_names.join(","));
        out.push(format!("command {} {kind} in({input}) out({output})", command.command_name));
    }
    let events = object.supported_events.iter();
    out.extend(events.map(|event| format!("event {} ({})", event.event_name, event.arg_names.join(","))));
}
