//! `usp-broker instances PATH…`

use comfy_table::{Table, presets};
use serde::Serialize;
use usp_proto::usp::get_instances_resp::RequestedPathResult;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{GetInstances, GetInstancesResp};

use super::session::Session;
use super::show::{Fault, Report, Values, natural, show};
use super::with_final_dot;
use crate::cli::Failure;

/// Shown after the options in the help.
pub(super) const HELP: &str = r#"  usp-broker instances Device.ProxiedDevice.

With --json, one object:
  {"results":[{"requested_path":"…","instances":[{"path":"Device.A.1.","unique_keys":{"Alias":"…"}}],"error":ERROR}]}"#;

/// `instances PATH…`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Tables, or objects with tables in them; wildcards and search expressions may stand for rows
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// The rows of the tables themselves, not of tables in them
    #[arg(long)]
    first_level: bool,
}

pub(super) async fn run(args: Args, session: &mut Session) -> Result<(), Failure> {
    let obj_paths = args.paths.into_iter().map(with_final_dot).collect();
    let request = GetInstances { obj_paths, first_level_only: args.first_level };
    match session.ask(ReqType::GetInstances(request)).await? {
        RespType::GetInstancesResp(response) => show(&Answer::from(response), session.json),
        other => Err(session.unexpected(&other)),
    }
}

/// `{"results":[{"requested_path":"…","instances":[{"path":"Device.A.1.","unique_keys":{…}}],"error":…}]}`.
#[derive(Debug, Serialize)]
struct Answer {
    results: Vec<PathAnswer>,
}

#[derive(Debug, Serialize)]
struct PathAnswer {
    requested_path: String,
    instances: Vec<Instance>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Fault>,
}

#[derive(Debug, Serialize)]
struct Instance {
    path: String,
    unique_keys: Values,
}

impl From<GetInstancesResp> for Answer {
    fn from(response: GetInstancesResp) -> Self {
        Self { results: response.req_path_results.into_iter().map(PathAnswer::from).collect() }
    }
}

impl From<RequestedPathResult> for PathAnswer {
    fn from(result: RequestedPathResult) -> Self {
        let error = Fault::unless_ok(&result.requested_path, result.err_code, &result.err_msg);
        let mut instances: Vec<_> = result
            .curr_insts
            .into_iter()
            .map(|row| Instance {
                path: row.instantiated_obj_path,
                unique_keys: Values::sorted("", row.unique_keys),
            })
            .collect();
        instances.sort_by(|a, b| natural(&a.path, &b.path));
        Self { requested_path: result.requested_path, instances, error }
    }
}

impl Report for Answer {
    fn text(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        for row in self.results.iter().flat_map(|result| &result.instances) {
            table.add_row([row.path.clone(), row.unique_keys.inline()]);
        }
        if table.is_empty() { String::new() } else { trimmed(&table) }
    }

    fn faults(&self) -> Vec<&Fault> {
        self.results.iter().filter_map(|result| result.error.as_ref()).collect()
    }

    fn notes(&self) -> Vec<String> {
        let empty =
            self.results.iter().filter(|result| result.instances.is_empty() && result.error.is_none());
        empty.map(|result| format!("no rows in {}", result.requested_path)).collect()
    }
}

/// A table without the blanks that fill its edges.
pub(super) fn trimmed(table: &Table) -> String {
    table
        .to_string()
        .lines()
        .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line).trim_end()))
        .collect()
}

#[cfg(test)]
mod tests {
    use usp_proto::usp::get_instances_resp::CurrInstance;

    use super::*;

    #[test]
    fn lists_rows_in_order_with_their_keys() {
        let row = |path: &str, alias: &str| CurrInstance {
            instantiated_obj_path: path.into(),
            unique_keys: [("Alias".to_owned(), alias.to_owned())].into_iter().collect(),
        };
        let good = RequestedPathResult {
            requested_path: "Device.A.".into(),
            curr_insts: vec![row("Device.A.10.", "ten"), row("Device.A.2.", "number two")],
            ..Default::default()
        };
        let none = RequestedPathResult { requested_path: "Device.B.".into(), ..Default::default() };
        let answer = Answer::from(GetInstancesResp { req_path_results: vec![good, none] });
        assert_eq!(answer.text(), "Device.A.2.   Alias=\"number two\"\nDevice.A.10.  Alias=ten\n");
        assert_eq!(answer.notes(), ["no rows in Device.B."]);
    }
}
