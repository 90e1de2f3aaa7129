//! `usp-broker operate 'PATH()' KEY=VALUE…`

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use usp_proto::usp::notify::{Notification, OperationComplete, operation_complete};
use usp_proto::usp::operate_resp::OperationResult;
use usp_proto::usp::operate_resp::operation_result::OperationResp;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{Operate, OperateResp};

use super::known::{Ignored, ignored_arguments};
use super::session::{Session, random_text};
use super::setting::{KeyValue, pairs};
use super::show::{Fault, Report, Values, say, show};
use super::subscription::{Refused, Temporary, Wanted};
use crate::cli::Failure;

/// Shown after the options in the help.
pub(super) const HELP: &str = r#"  usp-broker operate 'Device.ProxiedDevice.1.IoTCapability.14.BinaryControl.Toggle()'
Of an asynchronous Command the completion is awaited.

With --json, one object, one result for each object that the Command ran on:
  {"results":[{"command":"Device.A.Do()","status":"done","output_args":{"Name":"…"}},
              {"command":"Device.B.Do()","status":"failed","error":ERROR},
              {"command":"Device.C.Do()","status":"running","request":"Device.LocalAgent.Request.7."}]}"#;

/// `operate 'PATH()' KEY=VALUE…`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The Command with its `()` (in quotes for the shell); wildcards and search expressions may stand for rows
    #[arg(value_name = "PATH()")]
    command: String,
    /// Input arguments
    #[arg(value_name = "KEY=VALUE")]
    arguments: Vec<KeyValue>,
    /// The key by which the completion can be told from others; made up if it is not given
    #[arg(long, value_name = "KEY")]
    command_key: Option<String>,
    /// Do not wait for an asynchronous Command to complete
    #[arg(long)]
    no_wait: bool,
    /// How long to wait for an asynchronous Command to complete
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = super::seconds, conflicts_with = "no_wait")]
    wait: Duration,
}

pub(super) async fn run(args: Args, session: &mut Session) -> Result<(), Failure> {
    let input_args = pairs(args.arguments)
        .map_err(|key| Failure::invalid(format!("the argument {key} is given twice")))?;
    let given: Vec<String> = input_args.iter().map(|(name, _)| name.clone()).collect();
    let command = args.command.clone();
    let command_key = args.command_key.unwrap_or_else(|| format!("cli-{}", random_text()));
    let request = Operate {
        command: args.command,
        command_key: command_key.clone(),
        send_resp: true,
        input_args: input_args.into_iter().collect(),
    };
    let mut deaf = None;
    let mut subscription = None;
    if !args.no_wait {
        match subscribe(session, &request, args.wait).await? {
            Ok(made) => subscription = Some(made),
            Err(refused) => deaf = Some(refused.text),
        }
    }
    let mut outcome = operate(session, request, &command_key, subscription.as_ref(), args.wait).await;
    if let Ok(answer) = &mut outcome {
        answer.deaf = deaf;
    }
    if let Some(subscription) = subscription {
        subscription.delete(session).await;
    }
    let answer = outcome?;
    for note in ignored_notes(session, &command, &answer, &given).await {
        say(note);
    }
    show(&answer, session.json)
}

/// What is said of arguments that the Agent has ignored: once, where all objects are alike.
async fn ignored_notes(session: &Session, asked: &str, answer: &Answer, given: &[String]) -> Vec<String> {
    if given.is_empty() {
        return Vec::new();
    }
    let commands: Vec<&str> = answer.results.iter().map(|result| result.command.as_str()).collect();
    let mut told = ignored_arguments(session, &commands, given).await;
    if let [first, rest @ ..] = told.as_mut_slice()
        && rest.iter().all(|it| (&it.ignored, &it.known) == (&first.ignored, &first.known))
    {
        asked.clone_into(&mut first.command);
        told.truncate(1);
    }
    let note = |it: &Ignored, name: &String| unknown_argument(&it.command, name, &it.known);
    told.iter().flat_map(|it| it.ignored.iter().map(move |name| note(it, name))).collect()
}

/// What is said of an argument that the Agent has ignored.
fn unknown_argument(command: &str, name: &str, known: &[String]) -> String {
    let near = known.iter().find(|known| known.eq_ignore_ascii_case(name));
    let has = match (near, known) {
        (Some(near), _) => format!("did you mean {near}?"),
        (None, []) => "it has none".to_owned(),
        (None, known) => format!("it has {}", known.join(", ")),
    };
    format!("{command} has no argument {name}, which was ignored (R-OPR.6); {has}")
}

/// The subscription must be there before the Command starts: a quick one would complete unheard. The inner error says why
/// the Agent refuses it; most Commands do not need it.
async fn subscribe(
    session: &mut Session,
    request: &Operate,
    wait: Duration,
) -> Result<Result<Temporary, Refused>, Failure> {
    let wanted = Wanted { kind: "OperationComplete", path: request.command.clone() };
    let life = wait + session.options.patience + Duration::from_secs(30);
    Temporary::try_create(session, &[wanted], life).await
}

async fn operate(
    session: &mut Session,
    request: Operate,
    command_key: &str,
    subscription: Option<&Temporary>,
    wait: Duration,
) -> Result<Answer, Failure> {
    let command = request.command.clone();
    let mut answer = match session.ask_about(&command, ReqType::Operate(request)).await? {
        RespType::OperateResp(response) => Answer::from(response),
        other => return Err(session.unexpected(&other)),
    };
    if let Some(subscription) = subscription {
        answer.complete(session, command_key, subscription, Instant::now() + wait).await?;
        answer.waited = Some(wait);
    }
    Ok(answer)
}

/// `{"results":[{"command":"Device.A.1.Do()","status":"done","output_args":{…}}]}`: one result for each object that the
/// Command ran on. `status` is `done`, `failed` (with `error`) or `running` (with `request`, the row that stands for it).
#[derive(Debug, Serialize)]
struct Answer {
    results: Vec<CommandAnswer>,
    /// How long completions were waited for, if at all.
    #[serde(skip)]
    waited: Option<Duration>,
    /// Why no completion can be waited for although it was wanted.
    #[serde(skip)]
    deaf: Option<String>,
}

#[derive(Debug, Serialize)]
struct CommandAnswer {
    command: String,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Debug, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Outcome {
    Done { output_args: Values },
    Failed { error: Fault },
    Running { request: String },
}

impl From<OperateResp> for Answer {
    fn from(response: OperateResp) -> Self {
        let results = response.operation_results.into_iter().map(CommandAnswer::from).collect();
        Self { results, waited: None, deaf: None }
    }
}

impl From<OperationResult> for CommandAnswer {
    fn from(result: OperationResult) -> Self {
        let command = result.executed_command;
        let outcome = match result.operation_resp {
            Some(OperationResp::ReqObjPath(request)) => Outcome::Running { request },
            Some(OperationResp::ReqOutputArgs(out)) => {
                Outcome::Done { output_args: Values::sorted("", out.output_args) }
            }
            Some(OperationResp::CmdFailure(failure)) => {
                Outcome::Failed { error: Fault::at(&command, failure.err_code, &failure.err_msg) }
            }
            None => {
                Outcome::Failed { error: Fault::at(&command, 7003, "the Agent does not say how it went") }
            }
        };
        Self { command, outcome }
    }
}

impl Answer {
    /// Waits until nothing runs any more, or the time is over: what still runs then is left as it is, and noted.
    async fn complete(
        &mut self,
        session: &mut Session,
        command_key: &str,
        subscription: &Temporary,
        until: Instant,
    ) -> Result<(), Failure> {
        while self.is_running() {
            let next = tokio::time::timeout_at(until, session.notifications.next());
            let Ok(next) = next.await else { break };
            let notify = next.map_err(Failure::failed)?;
            if !subscription.has(&notify.subscription_id) {
                continue;
            }
            if let Some(Notification::OperComplete(done)) = notify.notification
                && done.command_key == command_key
            {
                self.fill(done);
            }
        }
        Ok(())
    }

    fn is_running(&self) -> bool {
        self.results.iter().any(|result| matches!(result.outcome, Outcome::Running { .. }))
    }

    fn fill(&mut self, done: OperationComplete) {
        let command = format!("{}{}", done.obj_path, done.command_name);
        let mut results = self.results.iter_mut();
        let Some(result) = results.find(|result| result.command == command) else { return };
        result.outcome = outcome_of(&command, done.operation_resp);
    }
}

fn outcome_of(command: &str, response: Option<operation_complete::OperationResp>) -> Outcome {
    use operation_complete::OperationResp;
    match response {
        Some(OperationResp::ReqOutputArgs(out)) => {
            Outcome::Done { output_args: Values::sorted("", out.output_args) }
        }
        Some(OperationResp::CmdFailure(failure)) => {
            Outcome::Failed { error: Fault::at(command, failure.err_code, &failure.err_msg) }
        }
        None => Outcome::Done { output_args: Values::default() },
    }
}

/// What is known of a Command that did not complete in time.
fn late(command: &str, request: &str, waited: Duration) -> String {
    format!(
        "{command} did not complete within {} s and may still be running: `usp-broker get {request}Status` tells; the \
         row vanishes when it is done. --wait waits longer",
        waited.as_secs_f32()
    )
}

/// What is known of a Command whose completion nobody will tell.
fn unheard(command: &str, request: &str, why: &str) -> String {
    format!(
        "{command} runs, but its completion cannot be waited for: the Agent refuses the Subscription ({why}). Its role \
         needs rw-n on Device.LocalAgent.Subscription. and n on the Command; --no-wait does not wait, and `usp-broker get \
         {request}Status` tells how it goes"
    )
}

impl Report for Answer {
    fn text(&self) -> String {
        let lines = self.results.iter().map(|result| match &result.outcome {
            Outcome::Done { output_args } => format!("{} done\n{}", result.command, output_args.lines("  ")),
            Outcome::Running { request } => format!("{} running as {request}\n", result.command),
            Outcome::Failed { .. } => String::new(),
        });
        lines.collect()
    }

    fn faults(&self) -> Vec<&Fault> {
        let faults = self.results.iter().filter_map(|result| match &result.outcome {
            Outcome::Failed { error } => Some(error),
            Outcome::Done { .. } | Outcome::Running { .. } => None,
        });
        faults.collect()
    }

    /// A Command that was waited for in vain is not done.
    fn is_whole(&self) -> bool {
        self.faults().is_empty() && ((self.waited.is_none() && self.deaf.is_none()) || !self.is_running())
    }

    fn notes(&self) -> Vec<String> {
        if self.results.is_empty() {
            return vec!["no object matches, so nothing was run".to_owned()];
        }
        let note = |command: &str, request: &str| match (&self.deaf, self.waited) {
            (Some(why), _) => Some(unheard(command, request, why)),
            (None, Some(waited)) => Some(late(command, request, waited)),
            (None, None) => None,
        };
        let notes = self.results.iter().filter_map(|result| match &result.outcome {
            Outcome::Running { request } => note(&result.command, request),
            Outcome::Done { .. } | Outcome::Failed { .. } => None,
        });
        notes.collect()
    }
}

#[cfg(test)]
mod tests {
    use usp_proto::message;
    use usp_proto::usp::add_resp::CreatedObjectResult;
    use usp_proto::usp::add_resp::created_object_result::OperationStatus;
    use usp_proto::usp::add_resp::created_object_result::operation_status::{OperStatus, OperationSuccess};
    use usp_proto::usp::body::MsgBody;
    use usp_proto::usp::get_supported_dm_resp::{
        RequestedObjectResult, SupportedCommandResult, SupportedObjectResult,
    };
    use usp_proto::usp::operate_resp::operation_result::{CommandFailure, OutputArgs};
    use usp_proto::usp::{AddResp, GetSupportedDmResp, Msg, Notify};

    use super::super::Connection;
    use super::super::show::to_json;
    use super::*;
    use crate::client::fake::{Peer, controller, socket};

    fn result(command: &str, response: OperationResp) -> OperationResult {
        OperationResult { executed_command: command.into(), operation_resp: Some(response) }
    }

    fn answer() -> Answer {
        let output_args = [("Status".to_owned(), "OK".to_owned())].into_iter().collect();
        let failure = CommandFailure { err_code: 7022, err_msg: "jammed".into() };
        Answer::from(OperateResp {
            operation_results: vec![
                result("Device.A.1.Do()", OperationResp::ReqOutputArgs(OutputArgs { output_args })),
                result("Device.A.2.Do()", OperationResp::CmdFailure(failure)),
                result("Device.A.3.Do()", OperationResp::ReqObjPath("Device.LocalAgent.Request.7.".into())),
            ],
        })
    }

    #[test]
    fn an_argument_that_was_ignored_is_told() {
        let told = |name, known: &[&str]| {
            unknown_argument("Device.Do()", name, &known.iter().map(|k| (*k).to_owned()).collect::<Vec<_>>())
        };
        assert!(told("time", &["Time"]).ends_with("did you mean Time?"));
        assert!(told("X", &[]).ends_with("it has none"));
        assert!(told("X", &["A", "B"]).ends_with("it has A, B"));
    }

    #[test]
    fn shows_outputs_failures_and_what_still_runs() {
        let answer = answer();
        let expected =
            "Device.A.1.Do() done\n  Status = OK\nDevice.A.3.Do() running as Device.LocalAgent.Request.7.\n";
        assert_eq!(answer.text(), expected);
        assert_eq!(answer.faults()[0].to_string(), "error 7022 Command failure: jammed (Device.A.2.Do())");
        let json = to_json(&answer).unwrap();
        assert!(
            json.contains(r#"{"command":"Device.A.1.Do()","status":"done","output_args":{"Status":"OK"}}"#)
        );
        assert!(json.contains(r#""status":"running","request":"Device.LocalAgent.Request.7.""#));
        assert!(json.contains(r#""status":"failed","error":{"code":7022"#));
    }

    #[test]
    fn a_completion_fills_the_place_of_its_command() {
        let mut answer = answer();
        assert!(answer.is_running());
        answer.fill(OperationComplete {
            obj_path: "Device.A.3.".into(),
            command_name: "Do()".into(),
            command_key: "k".into(),
            operation_resp: None,
        });
        assert!(!answer.is_running());
        assert!(answer.text().contains("Device.A.3.Do() done"));
    }

    #[test]
    fn a_completion_that_does_not_come_is_noted() {
        let mut answer = answer();
        assert!(answer.notes().is_empty(), "nobody has waited");
        answer.results.retain(|result| matches!(result.outcome, Outcome::Running { .. }));
        assert!(answer.is_whole(), "nobody has waited");
        answer.waited = Some(Duration::from_millis(2500));
        let notes = answer.notes();
        assert!(
            notes[0].starts_with("Device.A.3.Do() did not complete within 2.5 s and may still be running")
        );
        assert!(notes[0].contains("get Device.LocalAgent.Request.7.Status"));
        assert!(!answer.is_whole(), "it is not done");
    }

    /// What the command asks its Agent for, in this order; the completion comes before the response that announces it.
    async fn quick_agent(mut peer: Peer) {
        peer.greet().await;
        let add = peer.message().await;
        let Some(ReqType::Add(rows)) = request_of(&add) else { panic!("{add:?}") };
        let settings = &rows.create_objs[0].param_settings;
        let setting = |name: &str| settings.iter().find(|s| s.param == name).unwrap().value.clone();
        assert_eq!(setting("NotifType"), "OperationComplete");
        assert_eq!(setting("TimeToLive"), "50");
        let made = OperationSuccess { instantiated_path: "Device.S.1.".into(), ..Default::default() };
        let status = OperationStatus { oper_status: Some(OperStatus::OperSuccess(made)) };
        let row = CreatedObjectResult { requested_path: "Device.S.".into(), oper_status: Some(status) };
        let response = AddResp { created_obj_results: vec![row] };
        peer.send(message::response(message::msg_id(&add), RespType::AddResp(response))).await;

        let operate = peer.message().await;
        let Some(ReqType::Operate(command)) = request_of(&operate) else { panic!("{operate:?}") };
        for key in ["another", &command.command_key] {
            let done = OperationComplete {
                obj_path: "Device.A.3.".into(),
                command_name: "Do()".into(),
                command_key: key.into(),
                operation_resp: Some(operation_complete::OperationResp::ReqOutputArgs(Default::default())),
            };
            let notify = Notify {
                subscription_id: setting("ID"),
                send_resp: false,
                notification: Some(Notification::OperComplete(done)),
            };
            peer.send(message::request("n", ReqType::Notify(notify))).await;
        }
        let running = OperationResp::ReqObjPath("Device.LocalAgent.Request.7.".into());
        let response = OperateResp { operation_results: vec![result("Device.A.3.Do()", running)] };
        peer.send(message::response(message::msg_id(&operate), RespType::OperateResp(response))).await;

        let delete = peer.message().await;
        let Some(ReqType::Delete(rows)) = request_of(&delete) else { panic!("{delete:?}") };
        assert_eq!(rows.obj_paths, ["Device.S.1."]);
        peer.send(message::response(message::msg_id(&delete), RespType::DeleteResp(Default::default())))
            .await;
        peer.part().await;
    }

    fn request_of(msg: &Msg) -> Option<&ReqType> {
        match message::body(msg)? {
            MsgBody::Request(request) => request.req_type.as_ref(),
            MsgBody::Response(_) | MsgBody::Error(_) => None,
        }
    }

    /// Rows that differ: what the table has is told of each row alone.
    async fn divergent_agent(mut peer: Peer) {
        peer.greet().await;
        let msg = peer.message().await;
        let Some(ReqType::GetSupportedDm(request)) = request_of(&msg) else { panic!("{msg:?}") };
        let result = |path: &String| {
            let args: &[&str] = match path.as_str() {
                "Device.A.1." => &["Minutes"],
                "Device.A.2." => &["Minutes", "Other"],
                _ => &[],
            };
            let command = SupportedCommandResult {
                command_name: "Do()".into(),
                input_arg_names: args.iter().map(|arg| (*arg).to_owned()).collect(),
                ..Default::default()
            };
            let object = SupportedObjectResult {
                supported_obj_path: path.clone(),
                divergent_paths: if args.is_empty() { vec!["Device.A.1.".into()] } else { Vec::new() },
                supported_commands: if args.is_empty() { Vec::new() } else { vec![command] },
                ..Default::default()
            };
            let (req_obj_path, supported_objs) = (path.clone(), vec![object]);
            RequestedObjectResult { req_obj_path, supported_objs, ..Default::default() }
        };
        let response = GetSupportedDmResp { req_obj_results: request.obj_paths.iter().map(result).collect() };
        let response = RespType::GetSupportedDmResp(response);
        peer.send(message::response(message::msg_id(&msg), response)).await;
        peer.part().await;
    }

    #[tokio::test]
    async fn ignored_arguments_are_told_of_rows_that_differ() {
        let (_dir, via) = socket(divergent_agent);
        let session = Session::open(connection(via)).await.unwrap();
        let answer = Answer::from(OperateResp {
            operation_results: ["Device.A.1.Do()", "Device.A.2.Do()"]
                .map(|command| result(command, OperationResp::ReqOutputArgs(OutputArgs::default())))
                .into(),
        });
        let given = ["Minutes".to_owned(), "Other".to_owned()];
        let notes = ignored_notes(&session, "Device.A.*.Do()", &answer, &given).await;
        let expected = "Device.A.1.Do() has no argument Other, which was ignored (R-OPR.6); it has Minutes";
        assert_eq!(notes, [expected]);
    }

    fn connection(via: crate::client::Via) -> Connection {
        let timeout = Some(Duration::from_secs(10));
        Connection { via, endpoint_id: Some(controller()), json: false, timeout }
    }

    #[tokio::test]
    async fn a_completion_that_overtakes_the_response_is_not_missed() {
        let (_dir, via) = socket(quick_agent);
        let mut session = Session::open(connection(via)).await.unwrap();
        let args = Args {
            command: "Device.A.3.Do()".into(),
            arguments: Vec::new(),
            command_key: None,
            no_wait: false,
            wait: Duration::from_secs(10),
        };
        run(args, &mut session).await.unwrap();
    }
}
