//! `usp-broker delete PATH…`

use serde::Serialize;
use usp_proto::usp::delete_resp::DeletedObjectResult;
use usp_proto::usp::delete_resp::deleted_object_result::operation_status::OperStatus;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{Delete, DeleteResp};

use super::session::Session;
use super::show::{Fault, Report, show};
use super::with_final_dot;
use crate::cli::Failure;

/// Shown after the options in the help.
pub(super) const HELP: &str = r#"  usp-broker delete 'Device.LocalAgent.Subscription.[ID=="boot"].'

With --json, one object:
  {"results":[{"requested_path":"…","deleted":["Device.A.3."],"errors":[ERROR]}]}"#;

/// `delete PATH…`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Rows of tables; wildcards and search expressions may stand for them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// Delete what can be deleted when some of it cannot; without it all of it goes, or nothing
    #[arg(long)]
    allow_partial: bool,
}

pub(super) async fn run(args: Args, session: &mut Session) -> Result<(), Failure> {
    let obj_paths = args.paths.into_iter().map(with_final_dot).collect();
    let request = Delete { allow_partial: args.allow_partial, obj_paths };
    match session.ask(ReqType::Delete(request)).await? {
        RespType::DeleteResp(response) => show(&Answer::from(response), session.json),
        other => Err(session.unexpected(&other)),
    }
}

/// `{"results":[{"requested_path":"…","deleted":["Device.A.3."],"errors":[…]}]}`: one result for each requested path.
#[derive(Debug, Serialize)]
struct Answer {
    results: Vec<PathAnswer>,
}

#[derive(Debug, Serialize)]
struct PathAnswer {
    requested_path: String,
    deleted: Vec<String>,
    errors: Vec<Fault>,
}

impl From<DeleteResp> for Answer {
    fn from(response: DeleteResp) -> Self {
        Self { results: response.deleted_obj_results.into_iter().map(PathAnswer::from).collect() }
    }
}

impl From<DeletedObjectResult> for PathAnswer {
    fn from(result: DeletedObjectResult) -> Self {
        let requested_path = result.requested_path;
        let (deleted, errors) = match result.oper_status.and_then(|status| status.oper_status) {
            Some(OperStatus::OperSuccess(success)) => {
                let left = success.unaffected_path_errs.iter();
                let errors = left.map(|e| Fault::at(&e.unaffected_path, e.err_code, &e.err_msg)).collect();
                (success.affected_paths, errors)
            }
            Some(OperStatus::OperFailure(failure)) => {
                (Vec::new(), vec![Fault::at(&requested_path, failure.err_code, &failure.err_msg)])
            }
            None => {
                (Vec::new(), vec![Fault::at(&requested_path, 7003, "the Agent does not say how it went")])
            }
        };
        Self { requested_path, deleted, errors }
    }
}

impl Report for Answer {
    fn text(&self) -> String {
        self.results
            .iter()
            .flat_map(|result| &result.deleted)
            .map(|path| format!("deleted {path}\n"))
            .collect()
    }

    fn faults(&self) -> Vec<&Fault> {
        self.results.iter().flat_map(|result| &result.errors).collect()
    }

    fn notes(&self) -> Vec<String> {
        let empty =
            self.results.iter().filter(|result| result.deleted.is_empty() && result.errors.is_empty());
        empty.map(|result| format!("nothing matches {}", result.requested_path)).collect()
    }
}

#[cfg(test)]
mod tests {
    use usp_proto::usp::delete_resp::UnaffectedPathError;
    use usp_proto::usp::delete_resp::deleted_object_result::OperationStatus;
    use usp_proto::usp::delete_resp::deleted_object_result::operation_status::OperationSuccess;

    use super::*;

    #[test]
    fn shows_what_went_what_stayed_and_what_was_not_there() {
        let result = |path: &str, success| DeletedObjectResult {
            requested_path: path.into(),
            oper_status: Some(OperationStatus { oper_status: Some(OperStatus::OperSuccess(success)) }),
        };
        let stayed = UnaffectedPathError {
            unaffected_path: "Device.A.2.".into(),
            err_code: 7024,
            err_msg: "in use".into(),
        };
        let some = OperationSuccess {
            affected_paths: vec!["Device.A.1.".into()],
            unaffected_path_errs: vec![stayed],
        };
        let answer = Answer::from(DeleteResp {
            deleted_obj_results: vec![
                result("Device.A.*.", some),
                result("Device.B.9.", OperationSuccess::default()),
            ],
        });
        assert_eq!(answer.text(), "deleted Device.A.1.\n");
        assert_eq!(answer.faults()[0].to_string(), "error 7024 Delete failure: in use (Device.A.2.)");
        assert_eq!(answer.notes(), ["nothing matches Device.B.9."]);
    }
}
