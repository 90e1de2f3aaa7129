//! `usp-broker get PATH…`

use serde::Serialize;
use usp_proto::usp::get_resp::RequestedPathResult;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{Get, GetResp};

use super::known::{INVALID_PATH, has_withheld_readings, is_supported, meant};
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
  {"error":ERROR,"errors":[ERROR]}
and when there is no answer at all (no connection, too late)
  {"error":{"message":"…"}}
The exit code is 1 then, as without --json."#;

/// `get PATH…`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Parameters, or objects (ending in a dot) with all that is in them; wildcards and search expressions may stand for rows
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// Levels below each path: 1 is the object's own Parameters, 0 everything
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = levels)]
    max_depth: u32,
}

fn levels(text: &str) -> Result<u32, &'static str> {
    text.parse().map_err(|_| "expected a number of levels: 0, 1, 2, …")
}

pub(super) async fn run(args: Args, session: &mut Session) -> Result<(), Failure> {
    let request = Get { param_paths: args.paths, max_depth: args.max_depth };
    match session.ask(ReqType::Get(request)).await? {
        RespType::GetResp(response) => {
            let mut answer = Answer::from(response);
            if !session.json {
                answer.explain(session).await;
            }
            show(&answer, session.json)
        }
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
    /// For people: why there is nothing, or what was meant.
    #[serde(skip)]
    note: Option<String>,
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
            let pairs = object.result_params.iter();
            pairs.map(|(name, value)| (format!("{path}{name}"), value.to_owned())).collect::<Vec<_>>()
        });
        let values = Values::sorted("", pairs);
        let note = (values.0.is_empty() && error.is_none()).then(|| nothing_in(&result.requested_path));
        Self { values, requested_path: result.requested_path, error, note }
    }
}

/// Success without a value: an object without wildcards is a table then.
fn nothing_in(path: &str) -> String {
    let one_object = path.ends_with('.') && !path.contains(['*', '[']);
    if one_object { format!("{path} has no rows") } else { format!("nothing matches {path}") }
}

impl Answer {
    /// Asks the Agent further where that may help.
    async fn explain(&mut self, session: &Session) {
        for result in &mut self.results {
            result.explain(session).await;
        }
    }
}

impl PathAnswer {
    async fn explain(&mut self, session: &Session) {
        let path = &self.requested_path;
        if self.note.is_some() && has_withheld_readings(session, path).await {
            self.note = Some(format!(
                "nothing to show for {path}: rows whose reading is not Good are left out (see \
                 X_USPBROKER_Quality); get the exact path for the reason"
            ));
        }
        let unsupported = self.error.as_ref().is_some_and(|error| error.code == INVALID_PATH);
        if unsupported && !path.ends_with(['.', '!', ')']) {
            let object = format!("{path}.");
            if is_supported(session, &object).await == Some(true) {
                self.note = Some(format!("did you mean {object}?"));
                return;
            }
        }
        if unsupported && let Some(other) = meant(session, path).await {
            self.note = Some(format!("did you mean {other}?"));
        }
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
        self.results.iter().filter_map(|result| result.note.clone()).collect()
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
        let table = RequestedPathResult { requested_path: "Device.D.".into(), ..Default::default() };
        GetResp { req_path_results: vec![good, bad, empty, table] }.into()
    }

    #[test]
    fn shows_values_faults_and_what_matched_nothing() {
        let answer = answer();
        assert_eq!(answer.text(), "Device.A.2.N     = two\nDevice.A.10.Name = ten\n");
        assert_eq!(answer.faults()[0].to_string(), "error 7026 Invalid path: not supported (Device.B.)");
        assert_eq!(answer.notes(), ["nothing matches Device.C.*.", "Device.D. has no rows"]);
    }

    #[test]
    fn has_a_stable_shape_in_json() {
        let expected = concat!(
            r#"{"results":[{"requested_path":"Device.A.","values":{"Device.A.2.N":"two","Device.A.10.Name":"ten"}},"#,
            r#"{"requested_path":"Device.B.","values":{},"error":{"code":7026,"name":"Invalid path","#,
            r#""message":"not supported","path":"Device.B."}},{"requested_path":"Device.C.*.","values":{}},"#,
            r#"{"requested_path":"Device.D.","values":{}}]}"#
        );
        assert_eq!(to_json(&answer()).unwrap(), expected);
    }
}
