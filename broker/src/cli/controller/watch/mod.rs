//! `usp-broker watch PATH…`

use std::time::Duration;

use clap::ValueEnum;
use jiff::Timestamp;
use serde::Serialize;
use usp_proto::usp::notify::operation_complete::OperationResp;
use usp_proto::usp::notify::{Notification, OperationComplete};

use super::known::is_supported;
use super::session::Session;
use super::show::{Fault, Values, one_line, print_if_read, say, to_json};
use super::subscription::{Temporary, Wanted};
use crate::cli::Failure;
use crate::cli::interrupt::Interrupt;

/// For how long a row lives unless it is renewed.
const LIFE: Duration = Duration::from_secs(120);

/// Shown after the options in the help.
pub(super) const HELP: &str = r#"  usp-broker watch Device.ProxiedDevice. Device.LocalAgent.Periodic!
  usp-broker watch Device.USPServices.USPService. --type ObjectCreation,ObjectDeletion
It ends when the broker restarts, so it never shows that broker's Boot!: a Subscription with Persistent=true does
(`usp-broker add Device.LocalAgent.Subscription.`), to a Controller that connects again. The Subscription rows made for this vanish when the command ends, at the latest two minutes later.

With --json, one object a line, with `time` and `type`, and by type:
  ValueChange `path` `value`; Event `path` `params`; ObjectCreation `path` `unique_keys`; ObjectDeletion `path`;
  OperationComplete `path` `command_key` `output_args` or `error`"#;

/// `watch PATH…`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to watch; an object stands for all that is in it
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// What to be told; without it ValueChange, and for a PATH ending in `!` Event, in `()` OperationComplete
    #[arg(long = "type", value_enum, value_delimiter = ',', value_name = "TYPE")]
    kinds: Vec<Kind>,
    /// End after this many notifications
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

/// `NotifType` of a Subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
enum Kind {
    ValueChange,
    Event,
    ObjectCreation,
    ObjectDeletion,
    OperationComplete,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::ValueChange => "ValueChange",
            Self::Event => "Event",
            Self::ObjectCreation => "ObjectCreation",
            Self::ObjectDeletion => "ObjectDeletion",
            Self::OperationComplete => "OperationComplete",
        }
    }

    /// What is most likely meant by a path alone.
    fn of_path(path: &str) -> Self {
        match path {
            path if path.ends_with('!') => Self::Event,
            path if path.ends_with("()") => Self::OperationComplete,
            _ => Self::ValueChange,
        }
    }
}

pub(super) async fn run(args: Args, session: &mut Session) -> Result<(), Failure> {
    let wanted = wanted(&args.paths, &args.kinds);
    for path in &args.paths {
        // A Service that registers it may still come.
        if is_supported(session, path).await == Some(false) {
            say(format!("{path} is not in the supported data model now; watching all the same"));
        }
    }
    let rows = Temporary::create(session, &wanted, LIFE).await?;
    for Wanted { kind, path } in &wanted {
        say(format!("watching {path} ({kind})"));
    }
    let client = session.client.clone();
    let mut interrupt = Interrupt::new().map_err(Failure::failed)?;
    let outcome = tokio::select! {
        outcome = print_all(session, &rows, args.count) => outcome,
        error = rows.keep_alive(&client, LIFE) => Err(Failure::failed(format!("cannot go on watching: {error}"))),
        () = interrupt.wait() => Ok(()),
    };
    rows.delete(session).await;
    outcome
}

fn wanted(paths: &[String], kinds: &[Kind]) -> Vec<Wanted> {
    let of_path = |path: &String| {
        let kinds = if kinds.is_empty() { vec![Kind::of_path(path)] } else { kinds.to_vec() };
        let path = path.clone();
        kinds.into_iter().map(move |kind| Wanted { kind: kind.name(), path: path.clone() })
    };
    paths.iter().flat_map(of_path).collect()
}

async fn print_all(session: &mut Session, rows: &Temporary, count: Option<u64>) -> Result<(), Failure> {
    let mut left = count;
    while left != Some(0) {
        let notify = session.notifications.next().await.map_err(Failure::failed)?;
        let Some(told) = notify.notification.and_then(Told::new) else { continue };
        if !rows.has(&notify.subscription_id) {
            continue;
        }
        let line = Line { time: now(), told };
        // The reader has seen enough (`… | head`); the rows are still to be deleted.
        if !print_if_read(&if session.json { to_json(&line)? } else { line.text() })? {
            break;
        }
        left = left.map(|left| left - 1);
    }
    Ok(())
}

/// In UTC, to the millisecond.
fn now() -> String {
    format!("{:.3}", Timestamp::now())
}

/// One line: `{"time":"2026-01-01T00:00:00.000Z","type":"ValueChange","path":"…","value":"…"}`.
#[derive(Debug, Serialize)]
struct Line {
    /// When it came in, in UTC.
    time: String,
    #[serde(flatten)]
    told: Told,
}

/// What a notification tells, by type.
#[derive(Debug, Serialize)]
#[serde(tag = "type")]
enum Told {
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
    fn new(notification: Notification) -> Option<Self> {
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
    fn text(&self) -> String {
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

    fn line(notification: Notification) -> Line {
        Line { time: "2026-01-01T00:00:00Z".into(), told: Told::new(notification).unwrap() }
    }

    #[test]
    fn a_path_tells_what_is_meant() {
        let paths = ["Device.A.", "Device.Boot!", "Device.A.Do()"].map(str::to_owned);
        let kinds: Vec<_> = wanted(&paths, &[]).iter().map(|w| w.kind).collect();
        assert_eq!(kinds, ["ValueChange", "Event", "OperationComplete"]);
        let both = [Kind::ObjectCreation, Kind::ObjectDeletion];
        assert_eq!(wanted(&paths, &both).len(), 6);
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
