//! `usp-broker add PATH KEY=VALUE…`

use serde::Serialize;
use usp_proto::usp::add::{CreateObject, CreateParamSetting};
use usp_proto::usp::add_resp::CreatedObjectResult;
use usp_proto::usp::add_resp::created_object_result::operation_status::OperStatus;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{Add, AddResp};

use super::session::Session;
use super::setting::{KeyValue, pairs};
use super::show::{Fault, Report, Values, show};
use super::with_final_dot;
use crate::cli::Failure;

/// Shown after the options in the help.
pub(super) const HELP: &str = r#"  usp-broker add Device.LocalAgent.ControllerTrust.Role. Name=Reader Enable=true
  usp-broker add Device.LocalAgent.Subscription. --as self::panel \
      ID=boot NotifType=Event ReferenceList=Device.Boot! Enable=true
The new row's path is printed. A Subscription's notifications go to the Controller that adds it: without --as that is
this command, which has ended by then. `usp-broker watch` subscribes for as long as it runs.

With --json, one object:
  {"results":[{"requested_path":"…","path":"Device.A.3.","unique_keys":{"Alias":"…"},"errors":[ERROR]}]}"#;

/// `add PATH KEY=VALUE…`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The table that is to have one more row
    #[arg(value_name = "PATH")]
    table: String,
    /// Parameters of the new row
    #[arg(value_name = "KEY=VALUE")]
    parameters: Vec<KeyValue>,
    /// Make the row even if some of its Parameters cannot have the given values
    #[arg(long)]
    allow_partial: bool,
}

pub(super) async fn run(args: Args, session: &mut Session) -> Result<(), Failure> {
    let parameters = pairs(args.parameters)
        .map_err(|key| Failure::invalid(format!("{key} is given twice for one row")))?;
    let required = !args.allow_partial;
    let setting = |(param, value)| CreateParamSetting { param, value, required };
    let param_settings = parameters.into_iter().map(setting).collect();
    let object = CreateObject { obj_path: with_final_dot(args.table), param_settings };
    let request = Add { allow_partial: args.allow_partial, create_objs: vec![object] };
    match session.ask(ReqType::Add(request)).await? {
        RespType::AddResp(response) => show(&Answer::from(response), session.json),
        other => Err(session.unexpected(&other)),
    }
}

/// `{"results":[{"requested_path":"…","path":"Device.A.3.","unique_keys":{…},"errors":[…]}]}`: one result for each row;
/// `path` is left out where none was made.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    pub(super) results: Vec<RowAnswer>,
}

#[derive(Debug, Serialize)]
pub(super) struct RowAnswer {
    requested_path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<String>,
    unique_keys: Values,
    pub(super) errors: Vec<Fault>,
}

impl From<AddResp> for Answer {
    fn from(response: AddResp) -> Self {
        Self { results: response.created_obj_results.into_iter().map(RowAnswer::from).collect() }
    }
}

impl From<CreatedObjectResult> for RowAnswer {
    fn from(result: CreatedObjectResult) -> Self {
        let requested_path = result.requested_path;
        let none = |fault| (None, Values::default(), vec![fault]);
        let (path, unique_keys, errors) = match result.oper_status.and_then(|status| status.oper_status) {
            Some(OperStatus::OperSuccess(made)) => {
                let path = made.instantiated_path;
                let errors = made.param_errs.iter();
                let errors = errors
                    .map(|e| Fault::at(&format!("{path}{}", e.param), e.err_code, &e.err_msg))
                    .collect();
                // A search path for the parent that matched nothing: success without a row.
                ((!path.is_empty()).then_some(path), Values::sorted("", made.unique_keys), errors)
            }
            Some(OperStatus::OperFailure(failure)) => {
                none(Fault::at(&requested_path, failure.err_code, &failure.err_msg))
            }
            None => none(Fault::at(&requested_path, 7003, "the Agent does not say how it went")),
        };
        Self { requested_path, path, unique_keys, errors }
    }
}

impl Report for Answer {
    /// The new row's path alone on its line, so that a script can take it.
    fn text(&self) -> String {
        let paths = self.results.iter().filter_map(|row| row.path.as_ref());
        paths.map(|path| format!("{path}\n")).collect()
    }

    fn faults(&self) -> Vec<&Fault> {
        self.results.iter().flat_map(|row| &row.errors).collect()
    }

    fn notes(&self) -> Vec<String> {
        let empty = self.results.iter().filter(|row| row.path.is_none() && row.errors.is_empty());
        empty.map(|row| format!("nothing matches {}", row.requested_path)).collect()
    }
}

#[cfg(test)]
mod tests {
    use usp_proto::usp::add_resp::ParameterError;
    use usp_proto::usp::add_resp::created_object_result::OperationStatus;
    use usp_proto::usp::add_resp::created_object_result::operation_status::{
        OperationFailure, OperationSuccess,
    };

    use super::super::show::to_json;
    use super::*;

    #[test]
    fn shows_the_new_path_and_what_failed() {
        let result = |status| CreatedObjectResult {
            requested_path: "Device.A.".into(),
            oper_status: Some(OperationStatus { oper_status: Some(status) }),
        };
        let made = OperationSuccess {
            instantiated_path: "Device.A.3.".into(),
            unique_keys: [("Alias".to_owned(), "cpe-3".to_owned())].into_iter().collect(),
            param_errs: vec![ParameterError {
                param: "B".into(),
                err_code: 7011,
                err_msg: "no number".into(),
            }],
        };
        let refused = OperationFailure { err_code: 7005, err_msg: "table full".into() };
        let answer = Answer::from(AddResp {
            created_obj_results: vec![
                result(OperStatus::OperSuccess(made)),
                result(OperStatus::OperFailure(refused)),
            ],
        });
        assert_eq!(answer.text(), "Device.A.3.\n");
        assert_eq!(answer.faults()[0].to_string(), "error 7011 Invalid type: no number (Device.A.3.B)");
        assert_eq!(answer.faults()[1].to_string(), "error 7005 Resources exceeded: table full (Device.A.)");
        assert!(to_json(&answer).unwrap().contains(
            r#"{"requested_path":"Device.A.","path":"Device.A.3.","unique_keys":{"Alias":"cpe-3"},"errors":[{"code":7011"#
        ));
    }
}
