//! `usp-broker set PATH=VALUE…`

use serde::Serialize;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::set::{UpdateObject, UpdateParamSetting};
use usp_proto::usp::set_resp::updated_object_result::operation_status::OperStatus;
use usp_proto::usp::set_resp::{ParameterError, UpdatedObjectResult};
use usp_proto::usp::{Set, SetResp};

use super::session::Session;
use super::setting::{ObjectSettings, PathValue, group};
use super::show::{Fault, Report, Values, show};
use crate::cli::Failure;

/// Shown after the options in the help.
pub(super) const HELP: &str = r#"  usp-broker set 'Device.ProxiedDevice.1.IoTCapability.14.BinaryControl.Value=true'
What belongs to one object is written together. The values printed are those that the Agent confirms.

With --json, one object:
  {"results":[{"requested_path":"…","values":{"Device.A.B":"…"},"errors":[ERROR]}]}"#;

/// `set PATH=VALUE…`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A Parameter and what it is to be; wildcards and search expressions may stand for rows
    #[arg(required = true, value_name = "PATH=VALUE")]
    settings: Vec<PathValue>,
    /// Keep what succeeds when some of it fails; without it all of it is done, or nothing
    #[arg(long)]
    allow_partial: bool,
}

pub(super) async fn run(args: Args, session: &mut Session) -> Result<(), Failure> {
    let objects = group(args.settings)
        .map_err(|path| Failure::invalid(format!("{path} is set twice in one request")))?;
    let request = request(args.allow_partial, objects);
    match session.ask(ReqType::Set(request)).await? {
        RespType::SetResp(response) => show(&Answer::from(response), session.json),
        other => Err(session.unexpected(&other)),
    }
}

/// With `allow_partial` no Parameter is required: one that fails would take the others of its object with it.
fn request(allow_partial: bool, objects: Vec<ObjectSettings>) -> Set {
    let setting = |(param, value)| UpdateParamSetting { param, value, required: !allow_partial };
    let update = |settings: ObjectSettings| UpdateObject {
        obj_path: settings.object,
        param_settings: settings.parameters.into_iter().map(setting).collect(),
    };
    Set { allow_partial, update_objs: objects.into_iter().map(update).collect() }
}

/// `{"results":[{"requested_path":"…","values":{"Device.A.B":"…"},"errors":[…]}]}`: one result for each object written to.
#[derive(Debug, Serialize)]
struct Answer {
    results: Vec<ObjectAnswer>,
}

#[derive(Debug, Serialize)]
struct ObjectAnswer {
    requested_path: String,
    /// What the Agent says that the Parameters are now.
    values: Values,
    errors: Vec<Fault>,
}

impl From<SetResp> for Answer {
    fn from(response: SetResp) -> Self {
        Self { results: response.updated_obj_results.into_iter().map(ObjectAnswer::from).collect() }
    }
}

impl From<UpdatedObjectResult> for ObjectAnswer {
    fn from(result: UpdatedObjectResult) -> Self {
        let requested_path = result.requested_path;
        let (mut pairs, mut errors) = (Vec::new(), Vec::new());
        match result.oper_status.and_then(|status| status.oper_status) {
            Some(OperStatus::OperSuccess(success)) => {
                for row in success.updated_inst_results {
                    let path = &row.affected_path;
                    pairs
                        .extend(row.updated_params.into_iter().map(|(name, v)| (format!("{path}{name}"), v)));
                    errors.extend(row.param_errs.iter().map(|error| fault(path, error)));
                }
            }
            Some(OperStatus::OperFailure(failure)) => {
                for row in failure.updated_inst_failures {
                    errors.extend(row.param_errs.iter().map(|error| fault(&row.affected_path, error)));
                }
                let whole = Fault::at(&requested_path, failure.err_code, &failure.err_msg);
                if !errors.iter().any(|part| part.tells_the_same(&whole)) {
                    errors.insert(0, whole);
                }
            }
            None => errors.push(Fault::at(&requested_path, 7003, "the Agent does not say how it went")),
        }
        Self { requested_path, values: Values::sorted("", pairs), errors }
    }
}

fn fault(object: &str, error: &ParameterError) -> Fault {
    Fault::at(&format!("{object}{}", error.param), error.err_code, &error.err_msg)
}

impl Report for Answer {
    fn text(&self) -> String {
        let all = self.results.iter().flat_map(|result| result.values.0.iter().cloned());
        Values(all.collect()).lines("")
    }

    fn faults(&self) -> Vec<&Fault> {
        self.results.iter().flat_map(|result| &result.errors).collect()
    }

    fn notes(&self) -> Vec<String> {
        let empty =
            self.results.iter().filter(|result| result.values.0.is_empty() && result.errors.is_empty());
        empty.map(|result| format!("nothing matches {}", result.requested_path)).collect()
    }
}

#[cfg(test)]
mod tests {
    use usp_proto::usp::set_resp::updated_object_result::OperationStatus;
    use usp_proto::usp::set_resp::updated_object_result::operation_status::{
        OperationFailure, OperationSuccess,
    };
    use usp_proto::usp::set_resp::{UpdatedInstanceFailure, UpdatedInstanceResult};

    use super::*;

    fn result(path: &str, status: OperStatus) -> UpdatedObjectResult {
        UpdatedObjectResult {
            requested_path: path.into(),
            oper_status: Some(OperationStatus { oper_status: Some(status) }),
        }
    }

    #[test]
    fn a_parameter_that_fails_takes_others_with_it_only_without_allow_partial() {
        for allow_partial in [false, true] {
            let settings = ["Device.A.1.B=1", "Device.A.1.C=2", "Device.D.E=3"];
            let objects = group(settings.map(|text| text.parse().unwrap()).into()).unwrap();
            let request = request(allow_partial, objects);
            assert_eq!(request.allow_partial, allow_partial);
            let required = request.update_objs.iter().flat_map(|object| &object.param_settings);
            let required: Vec<_> = required.map(|setting| setting.required).collect();
            assert_eq!(required, [!allow_partial; 3]);
        }
    }

    #[test]
    fn shows_new_values_and_every_failed_parameter() {
        let row = UpdatedInstanceResult {
            affected_path: "Device.A.1.".into(),
            updated_params: [("Value".to_owned(), "true".to_owned())].into_iter().collect(),
            ..Default::default()
        };
        let error = ParameterError { param: "Mode".into(), err_code: 7012, err_msg: "not a mode".into() };
        let refused = UpdatedInstanceFailure { affected_path: "Device.B.2.".into(), param_errs: vec![error] };
        let success = OperationSuccess { updated_inst_results: vec![row] };
        let failure = OperationFailure {
            err_code: 7021,
            err_msg: "a required Parameter failed".into(),
            updated_inst_failures: vec![refused],
        };
        let answer = Answer::from(SetResp {
            updated_obj_results: vec![
                result("Device.A.*.", OperStatus::OperSuccess(success)),
                result("Device.B.*.", OperStatus::OperFailure(failure)),
                result("Device.C.*.", OperStatus::OperSuccess(OperationSuccess::default())),
            ],
        });
        assert_eq!(answer.text(), "Device.A.1.Value = true\n");
        let faults: Vec<_> = answer.faults().iter().map(ToString::to_string).collect();
        assert_eq!(
            faults,
            [
                "error 7021 Required parameter failed: a required Parameter failed (Device.B.*.)",
                "error 7012 Invalid value: not a mode (Device.B.2.Mode)"
            ]
        );
        assert_eq!(answer.notes(), ["nothing matches Device.C.*."]);
    }

    #[test]
    fn a_failure_that_its_parameter_tells_is_told_once() {
        let error = ParameterError { param: "Value".into(), err_code: 7012, err_msg: "too much".into() };
        let row = UpdatedInstanceFailure { affected_path: "Device.A.1.".into(), param_errs: vec![error] };
        let failure =
            OperationFailure { err_code: 7012, err_msg: "too much".into(), updated_inst_failures: vec![row] };
        let results = vec![result("Device.A.1.", OperStatus::OperFailure(failure))];
        let answer = Answer::from(SetResp { updated_obj_results: results });
        let faults: Vec<_> = answer.faults().iter().map(ToString::to_string).collect();
        assert_eq!(faults, ["error 7012 Invalid value: too much (Device.A.1.Value)"]);
    }
}
