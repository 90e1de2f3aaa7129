//! One notification as one line, for people and as JSON.

use serde::Serialize;
use usp_proto::usp::notify::operation_complete::OperationResp;
use usp_proto::usp::notify::{Notification, OperationComplete};

use crate::cli::controller::show::{Fault, Values, one_line};

/// One line: `{"time":"2026-01-01T00:00:00.000Z","type":"ValueChange","path":"…","value":"…"}`.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    /// When it came in, in UTC.
    pub(super) time: String,
    #[serde(flatten)]
    pub(super) told: Told,
}

/// What a notification tells, by type.
#[derive(Debug, Serialize)]
#[serde(tag = "type")]
pub(super) enum Told {
    ValueChange {
        path: String,
        value: String,
    },
    Event {
        path: String,
        params: Values,
    },
    ObjectCreation {
        path: String,
        unique_keys: Values,
    },
    ObjectDeletion {
        path: String,
    },
    OperationComplete {
        path: String,
        command_key: String,
        output_args: Values,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<Fault>,
    },
}

impl Told {
    /// `None` for OnBoardRequest, which nobody subscribes to.
    pub(super) fn new(notification: Notification) -> Option<Self> {
        Some(match notification {
            Notification::ValueChange(change) => {
                Self::ValueChange { path: change.param_path, value: change.param_value }
            }
            Notification::Event(event) => Self::Event {
                path: format!("{}{}", event.obj_path, event.event_name),
                params: Values::sorted("", event.params),
            },
            Notification::ObjCreation(made) => Self::ObjectCreation {
                path: made.obj_path,
                unique_keys: Values::sorted("", made.unique_keys),
            },
            Notification::ObjDeletion(gone) => Self::ObjectDeletion { path: gone.obj_path },
            Notification::OperComplete(done) => Self::completion(done),
            Notification::OnBoardReq(_) => return None,
        })
    }

    fn completion(done: OperationComplete) -> Self {
        let path = format!("{}{}", done.obj_path, done.command_name);
        let (output_args, error) = match done.operation_resp {
            Some(OperationResp::ReqOutputArgs(out)) => (Values::sorted("", out.output_args), None),
            Some(OperationResp::CmdFailure(failure)) => {
                (Values::default(), Some(Fault::at(&path, failure.err_code, &failure.err_msg)))
            }
            None => (Values::default(), None),
        };
        Self::OperationComplete { path, command_key: done.command_key, output_args, error }
    }
}

impl Line {
    pub(super) fn text(&self) -> String {
        let time = &self.time;
        let text = match &self.told {
            Told::ValueChange { path, value } => format!("{time} ValueChange {path} = {}", one_line(value)),
            Told::Event { path, params } => format!("{time} Event {path} {}", params.inline()),
            Told::ObjectCreation { path, unique_keys } => {
                format!("{time} ObjectCreation {path} {}", unique_keys.inline())
            }
            Told::ObjectDeletion { path } => format!("{time} ObjectDeletion {path}"),
            Told::OperationComplete { path, error: Some(error), .. } => {
                format!("{time} OperationComplete {path} {error}")
            }
            Told::OperationComplete { path, output_args, .. } => {
                format!("{time} OperationComplete {path} {}", output_args.inline())
            }
        };
        text.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use usp_proto::usp::notify::operation_complete::CommandFailure;
    use usp_proto::usp::notify::{Event, ValueChange};

    use super::*;
    use crate::cli::controller::show::to_json;

    fn line(notification: Notification) -> Line {
        Line { time: "2026-01-01T00:00:00Z".into(), told: Told::new(notification).unwrap() }
    }

    #[test]
    fn each_notification_is_one_line() {
        let change = ValueChange { param_path: "Device.A.B".into(), param_value: "1\n2".into() };
        let change = line(Notification::ValueChange(change));
        assert_eq!(change.text(), "2026-01-01T00:00:00Z ValueChange Device.A.B = 1\\n2");
        let expected =
            r#"{"time":"2026-01-01T00:00:00Z","type":"ValueChange","path":"Device.A.B","value":"1\n2"}"#;
        assert_eq!(to_json(&change).unwrap(), expected);

        let params = [("Cause".to_owned(), "LocalReboot".to_owned())].into_iter().collect();
        let event = Event { obj_path: "Device.".into(), event_name: "Boot!".into(), params };
        let event = line(Notification::Event(event));
        assert_eq!(event.text(), "2026-01-01T00:00:00Z Event Device.Boot! Cause=LocalReboot");

        let failure = CommandFailure { err_code: 7023, err_msg: String::new() };
        let done = OperationComplete {
            obj_path: "Device.A.".into(),
            command_name: "Do()".into(),
            command_key: "k".into(),
            operation_resp: Some(OperationResp::CmdFailure(failure)),
        };
        let done = line(Notification::OperComplete(done));
        assert!(
            done.text()
                .ends_with("OperationComplete Device.A.Do() error 7023 Command canceled (Device.A.Do())")
        );
    }
}
