//! `usp-broker get PATH…`

use serde::Serialize;
use usp_proto::usp::get_resp::RequestedPathResult;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{Get, GetResp};

use super::session::Session;
use super::show::{Fault, Report, Values, show};
use crate::cli::Failure;

/// Shown after the options in the help.
pub(super) const HELP: &str = r#"Quote a PATH that has `*` or `[`:
  usp-broker get Device.DeviceInfo. 'Device.ProxiedDevice.*.Name'
  usp-broker get 'Device.ProxiedDevice.[Type=="Meter"].Online'

With --json, one object:
  {"results":[{"requested_path":"…","values":{"Device.A.B":"…"},"error":ERROR}]}
where `error` is there if something failed, and ERROR is, as in all commands,
  {"code":7026,"name":"Invalid path","message":"…","path":"…"}
When the Agent refuses a request as a whole, every command prints
  {"error":ERROR,"errors":[ERROR]}"#;

/// `get PATH…`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Parameters, or objects (ending in a dot) with all that is in them; wildcards and search expressions may stand for rows
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// Levels below each path: 1 is the object's own Parameters, 0 everything
    #[arg(long, value_name = "N", default_value_t = 0)]
    max_depth: u32,
}

pub(super) async fn run(args: Args, session: &mut Session) -> Result<(), Failure> {
    let request = Get { param_paths: args.paths, max_depth: args.max_depth };
    match session.ask(ReqType::Get(request)).await? {
        RespType::GetResp(response) => show(&Answer::from(response), session.json),
        other => Err(session.unexpected(&other)),
    }
}

/// `{"results":[{"requested_path":"…","values":{"Device.A.B":"…"},"error":…}]}`: one result for each requested path, and
/// one more with an error for each owner of a part of it that failed. `error` is left out where there is none.
#[derive(Debug, Serialize)]
struct Answer {
    results: Vec<PathAnswer>,
}

#[derive(Debug, Serialize)]
struct PathAnswer {
    requested_path: String,
    values: Values,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Fault>,
}

impl From<GetResp> for Answer {
    fn from(response: GetResp) -> Self {
        Self { results: response.req_path_results.into_iter().map(PathAnswer::from).collect() }
    }
}

impl From<RequestedPathResult> for PathAnswer {
    fn from(result: RequestedPathResult) -> Self {
        let error = Fault::unless_ok(&result.requested_path, result.err_code, &result.err_msg);
        let pairs = result.resolved_path_results.into_iter().flat_map(|object| {
            let path = object.resolved_path;
            object.result_params.into_iter().map(move |(name, value)| (format!("{path}{name}"), value))
        });
        Self { values: Values::sorted("", pairs), requested_path: result.requested_path, error }
    }
}

impl Report for Answer {
    fn text(&self) -> String {
        let all = self.results.iter().flat_map(|result| result.values.0.iter().cloned());
        Values(all.collect()).lines("")
    }

    fn faults(&self) -> Vec<&Fault> {
        self.results.iter().filter_map(|result| result.error.as_ref()).collect()
    }

    fn notes(&self) -> Vec<String> {
        let empty = self.results.iter().filter(|result| result.values.0.is_empty() && result.error.is_none());
        empty.map(|result| format!("nothing matches {}", result.requested_path)).collect()
    }
}

#[cfg(test)]
mod tests {
    use usp_proto::usp::get_resp::ResolvedPathResult;

    use super::super::show::to_json;
    use super::*;

    fn answer() -> Answer {
        let object = |path: &str, name: &str, value: &str| ResolvedPathResult {
            resolved_path: path.into(),
            result_params: [(name.to_owned(), value.to_owned())].into_iter().collect(),
        };
        let good = RequestedPathResult {
            requested_path: "Device.A.".into(),
            resolved_path_results: vec![
                object("Device.A.10.", "Name", "ten"),
                object("Device.A.2.", "N", "two"),
            ],
            ..Default::default()
        };
        let bad = RequestedPathResult {
            requested_path: "Device.B.".into(),
            err_code: 7026,
            err_msg: "not supported".into(),
            ..Default::default()
        };
        let empty = RequestedPathResult { requested_path: "Device.C.*.".into(), ..Default::default() };
        GetResp { req_path_results: vec![good, bad, empty] }.into()
    }

    #[test]
    fn shows_values_faults_and_what_matched_nothing() {
        let answer = answer();
        assert_eq!(answer.text(), "Device.A.2.N     = two\nDevice.A.10.Name = ten\n");
        assert_eq!(answer.faults()[0].to_string(), "error 7026 Invalid path: not supported (Device.B.)");
        assert_eq!(answer.notes(), ["nothing matches Device.C.*."]);
    }

    #[test]
    fn has_a_stable_shape_in_json() {
        let expected = concat!(
            r#"{"results":[{"requested_path":"Device.A.","values":{"Device.A.2.N":"two","Device.A.10.Name":"ten"}},"#,
            r#"{"requested_path":"Device.B.","values":{},"error":{"code":7026,"name":"Invalid path","#,
            r#""message":"not supported","path":"Device.B."}},{"requested_path":"Device.C.*.","values":{}}]}"#
        );
        assert_eq!(to_json(&answer()).unwrap(), expected);
    }
}
