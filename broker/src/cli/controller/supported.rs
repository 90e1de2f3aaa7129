//! `usp-broker supported PATH…`

use comfy_table::{Table, presets};
use serde::Serialize;
use usp_proto::usp::get_supported_dm_resp::{
    CmdType, ObjAccessType, ParamAccessType, ParamValueType, RequestedObjectResult, SupportedCommandResult,
    SupportedEventResult, SupportedObjectResult, SupportedParamResult, ValueChangeType,
};
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{GetSupportedDm, GetSupportedDmResp};

use super::instances::trimmed;
use super::session::Session;
use super::show::{Fault, Report, show};
use crate::cli::Failure;

/// Shown after the options in the help.
pub(super) const HELP: &str = r#"  usp-broker supported 'Device.ProxiedDevice.{i}.'

With --json, one object:
  {"results":[{"requested_path":"…","data_model":"…","objects":[{"path":"Device.A.{i}.","table":true,"access":"add-delete",
    "unique_keys":[["Alias"]],"divergent_paths":[],
    "params":[{"name":"…","access":"read-only","type":"string","value_change":"told"}],
    "commands":[{"name":"Do()","type":"sync","input_args":["…"],"output_args":["…"]}],
    "events":[{"name":"Done!","args":["…"]}]}],"error":ERROR}]}"#;

/// `supported PATH…`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Objects, Parameters, Commands or Events; `{i}` stands for any row
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// The objects themselves and the names of those just below them
    #[arg(long)]
    first_level: bool,
    /// Leave out Parameters
    #[arg(long)]
    no_params: bool,
    /// Leave out Commands
    #[arg(long)]
    no_commands: bool,
    /// Leave out Events
    #[arg(long)]
    no_events: bool,
    /// Leave out unique keys
    #[arg(long)]
    no_keys: bool,
}

pub(super) async fn run(args: Args, session: &mut Session) -> Result<(), Failure> {
    let request = GetSupportedDm {
        obj_paths: args.paths,
        first_level_only: args.first_level,
        return_commands: !args.no_commands,
        return_events: !args.no_events,
        return_params: !args.no_params,
        return_unique_key_sets: !args.no_keys,
    };
    match session.ask(ReqType::GetSupportedDm(request)).await? {
        RespType::GetSupportedDmResp(response) => show(&Answer::from(response), session.json),
        other => Err(session.unexpected(&other)),
    }
}

/// `{"results":[{"requested_path":"…","data_model":"…","objects":[{"path":"Device.A.{i}.","table":true,"access":"add-delete",
/// "unique_keys":[["Alias"]],"divergent_paths":[],"params":[…],"commands":[…],"events":[…]}],"error":…}]}`.
#[derive(Debug, Serialize)]
struct Answer {
    results: Vec<PathAnswer>,
}

#[derive(Debug, Serialize)]
struct PathAnswer {
    requested_path: String,
    data_model: String,
    objects: Vec<Object>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Fault>,
}

#[derive(Debug, Serialize)]
struct Object {
    path: String,
    table: bool,
    access: &'static str,
    unique_keys: Vec<Vec<String>>,
    /// Where rows differ in what they support: ask for each of these.
    divergent_paths: Vec<String>,
    params: Vec<Parameter>,
    commands: Vec<Command>,
    events: Vec<Event>,
}

#[derive(Debug, Serialize)]
struct Parameter {
    name: String,
    access: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    /// Whether a ValueChange subscription is told of changes.
    value_change: &'static str,
}

#[derive(Debug, Serialize)]
struct Command {
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    input_args: Vec<String>,
    output_args: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Event {
    name: String,
    args: Vec<String>,
}

impl From<GetSupportedDmResp> for Answer {
    fn from(response: GetSupportedDmResp) -> Self {
        Self { results: response.req_obj_results.into_iter().map(PathAnswer::from).collect() }
    }
}

impl From<RequestedObjectResult> for PathAnswer {
    fn from(result: RequestedObjectResult) -> Self {
        Self {
            error: Fault::unless_ok(&result.req_obj_path, result.err_code, &result.err_msg),
            requested_path: result.req_obj_path,
            data_model: result.data_model_inst_uri,
            objects: result.supported_objs.into_iter().map(Object::from).collect(),
        }
    }
}

impl From<SupportedObjectResult> for Object {
    fn from(object: SupportedObjectResult) -> Self {
        Self {
            access: object_access(object.access()),
            path: object.supported_obj_path,
            table: object.is_multi_instance,
            unique_keys: object.unique_key_sets.into_iter().map(|set| set.key_names).collect(),
            divergent_paths: object.divergent_paths,
            params: object.supported_params.into_iter().map(Parameter::from).collect(),
            commands: object.supported_commands.into_iter().map(Command::from).collect(),
            events: object.supported_events.into_iter().map(Event::from).collect(),
        }
    }
}

impl From<SupportedParamResult> for Parameter {
    fn from(parameter: SupportedParamResult) -> Self {
        Self {
            access: parameter_access(parameter.access()),
            kind: value_type(parameter.value_type()),
            value_change: value_change(parameter.value_change()),
            name: parameter.param_name,
        }
    }
}

impl From<SupportedCommandResult> for Command {
    fn from(command: SupportedCommandResult) -> Self {
        Self {
            kind: command_type(command.command_type()),
            name: command.command_name,
            input_args: command.input_arg_names,
            output_args: command.output_arg_names,
        }
    }
}

impl From<SupportedEventResult> for Event {
    fn from(event: SupportedEventResult) -> Self {
        Self { name: event.event_name, args: event.arg_names }
    }
}

fn object_access(access: ObjAccessType) -> &'static str {
    match access {
        ObjAccessType::ObjReadOnly => "read-only",
        ObjAccessType::ObjAddDelete => "add-delete",
        ObjAccessType::ObjAddOnly => "add-only",
        ObjAccessType::ObjDeleteOnly => "delete-only",
    }
}

fn parameter_access(access: ParamAccessType) -> &'static str {
    match access {
        ParamAccessType::ParamReadOnly => "read-only",
        ParamAccessType::ParamReadWrite => "read-write",
        ParamAccessType::ParamWriteOnly => "write-only",
    }
}

/// The names of TR-106.
fn value_type(kind: ParamValueType) -> &'static str {
    match kind {
        ParamValueType::ParamUnknown => "unknown",
        ParamValueType::ParamBase64 => "base64",
        ParamValueType::ParamBoolean => "boolean",
        ParamValueType::ParamDateTime => "dateTime",
        ParamValueType::ParamDecimal => "decimal",
        ParamValueType::ParamHexBinary => "hexBinary",
        ParamValueType::ParamInt => "int",
        ParamValueType::ParamLong => "long",
        ParamValueType::ParamString => "string",
        ParamValueType::ParamUnsignedInt => "unsignedInt",
        ParamValueType::ParamUnsignedLong => "unsignedLong",
    }
}

fn value_change(told: ValueChangeType) -> &'static str {
    match told {
        ValueChangeType::ValueChangeUnknown => "unknown",
        ValueChangeType::ValueChangeAllowed => "told",
        ValueChangeType::ValueChangeWillIgnore => "ignored",
    }
}

fn command_type(kind: CmdType) -> &'static str {
    match kind {
        CmdType::CmdUnknown => "unknown",
        CmdType::CmdSync => "sync",
        CmdType::CmdAsync => "async",
    }
}

impl Object {
    fn text(&self) -> String {
        let mut text = self.heading();
        for path in &self.divergent_paths {
            text += &format!("  rows differ, ask for {path}\n");
        }
        let elements = self.elements();
        if !elements.is_empty() {
            text += &trimmed(&elements).lines().map(|line| format!("  {line}\n")).collect::<String>();
        }
        text
    }

    fn heading(&self) -> String {
        let mut words = vec![self.path.clone()];
        if self.table {
            words.push(format!("(table, {})", self.access));
        }
        if !self.unique_keys.is_empty() {
            let keys: Vec<_> = self.unique_keys.iter().map(|set| set.join("+")).collect();
            words.push(format!("keys: {}", keys.join(", ")));
        }
        words.join(" ") + "\n"
    }

    fn elements(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        for parameter in &self.params {
            let told = if parameter.value_change == "ignored" { "changes not told" } else { "" };
            table.add_row([&parameter.name, parameter.kind, parameter.access, told]);
        }
        for command in &self.commands {
            let input = listed("in: ", &command.input_args);
            let output = listed("out: ", &command.output_args);
            table.add_row([command.name.as_str(), command.kind, &input, &output]);
        }
        for event in &self.events {
            table.add_row([event.name.as_str(), "event", &listed("args: ", &event.args), ""]);
        }
        table
    }
}

fn listed(word: &str, names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("{word}{}", names.join(", ")) }
}

impl Report for Answer {
    fn text(&self) -> String {
        self.results.iter().flat_map(|result| &result.objects).map(Object::text).collect()
    }

    fn faults(&self) -> Vec<&Fault> {
        self.results.iter().filter_map(|result| result.error.as_ref()).collect()
    }
}

#[cfg(test)]
mod tests {
    use usp_proto::usp::get_supported_dm_resp::SupportedUniqueKeySet;

    use super::super::show::to_json;
    use super::*;

    fn answer() -> Answer {
        let parameter = SupportedParamResult {
            param_name: "Name".into(),
            access: ParamAccessType::ParamReadWrite.into(),
            value_type: ParamValueType::ParamString.into(),
            value_change: ValueChangeType::ValueChangeWillIgnore.into(),
        };
        let command = SupportedCommandResult {
            command_name: "Do()".into(),
            input_arg_names: vec!["In".into()],
            output_arg_names: Vec::new(),
            command_type: CmdType::CmdAsync.into(),
        };
        let table = SupportedObjectResult {
            supported_obj_path: "Device.A.{i}.".into(),
            access: ObjAccessType::ObjAddDelete.into(),
            is_multi_instance: true,
            supported_params: vec![parameter],
            supported_commands: vec![command],
            unique_key_sets: vec![SupportedUniqueKeySet { key_names: vec!["Host".into(), "Port".into()] }],
            ..Default::default()
        };
        let divergent = SupportedObjectResult {
            supported_obj_path: "Device.A.{i}.B.".into(),
            divergent_paths: vec!["Device.A.1.B.".into()],
            ..Default::default()
        };
        let good = RequestedObjectResult {
            req_obj_path: "Device.A.".into(),
            supported_objs: vec![table, divergent],
            ..Default::default()
        };
        GetSupportedDmResp { req_obj_results: vec![good] }.into()
    }

    #[test]
    fn shows_objects_with_their_elements() {
        let expected = concat!(
            "Device.A.{i}. (table, add-delete) keys: Host+Port\n",
            "  Name  string  read-write  changes not told\n",
            "  Do()  async   in: In\n",
            "Device.A.{i}.B.\n",
            "  rows differ, ask for Device.A.1.B.\n",
        );
        assert_eq!(answer().text(), expected);
    }

    #[test]
    fn has_a_stable_shape_in_json() {
        let json = to_json(&answer()).unwrap();
        assert!(json.starts_with(r#"{"results":[{"requested_path":"Device.A.","data_model":"","objects":[{"path":"Device.A.{i}.","table":true,"access":"add-delete","unique_keys":[["Host","Port"]],"divergent_paths":[],"params":[{"name":"Name","access":"read-write","type":"string","value_change":"ignored"}]"#));
    }
}
