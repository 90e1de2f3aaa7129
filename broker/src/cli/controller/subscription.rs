//! Subscription rows that live as long as a command: they have a TimeToLive, so that they vanish by themselves if the
//! command is killed, and are deleted when it ends.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use usp_proto::err_code::ErrCode;
use usp_proto::usp::add::{CreateObject, CreateParamSetting};
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::set::{UpdateObject, UpdateParamSetting};
use usp_proto::usp::{Add, Delete, Set};

use super::add::Answer;
use super::session::{Session, random_text};
use super::show::{Refusal, Report, say, show};
use super::watch::Lapse;
use crate::cli::Failure;
use crate::client::{Client, RequestError};

const TABLE: &str = "Device.LocalAgent.Subscription.";

/// One row to be made.
pub(super) struct Wanted {
    /// `NotifType`.
    pub(super) kind: &'static str,
    /// The one entry of `ReferenceList`.
    pub(super) path: String,
}

/// What the Agent says to rows that it does not make.
pub(super) struct Refused {
    /// Its words, in one line.
    pub(super) text: String,
    /// There is no room for them now; later there may be.
    pub(super) may_pass: bool,
}

/// The rows of one command.
#[derive(Clone)]
pub(super) struct Temporary {
    /// `ID` of each row.
    ids: Vec<String>,
    /// Path of each row.
    rows: Vec<String>,
    /// Before the rows were made: `TimeToLive` counts from there (N-SUB.4).
    created_at: Instant,
}

impl Temporary {
    /// Makes all rows, or none; a refusal is shown.
    pub(super) async fn create(
        session: &mut Session,
        wanted: &[Wanted],
        life: Duration,
    ) -> Result<Self, Failure> {
        let (request, ids, created_at) = request(wanted, life);
        let response = session.ask(request).await.inspect_err(|_| say("cannot subscribe"))?;
        let RespType::AddResp(response) = response else { return Err(session.unexpected(&response)) };
        let answer = Answer::from(response);
        let rows = rows_of(&answer);
        if !answer.faults().is_empty() || rows.len() != wanted.len() {
            say("cannot subscribe");
            show(&answer, session.json)?;
            return Err(Failure::failed("the Agent did not make every Subscription row"));
        }
        Ok(Self { ids, rows, created_at })
    }

    /// As [`create`](Self::create), for one who can do without: the inner error is the Agent's refusal, not shown yet.
    pub(super) async fn try_create(
        session: &mut Session,
        wanted: &[Wanted],
        life: Duration,
    ) -> Result<Result<Self, Refused>, Failure> {
        let (request, ids, created_at) = request(wanted, life);
        let response = match session.client.request(request).await {
            Ok(response) => response,
            Err(RequestError::Refused(error)) => return Ok(Err(refused(&Refusal::from(error)))),
            Err(other) => return Err(Failure::failed(other)),
        };
        let RespType::AddResp(response) = response else { return Err(session.unexpected(&response)) };
        let answer = Answer::from(response);
        let temporary = Self { ids, rows: rows_of(&answer), created_at };
        if !answer.faults().is_empty() || temporary.rows.len() != wanted.len() {
            temporary.delete(session).await;
            return Ok(Err(refused(&answer)));
        }
        Ok(Ok(temporary))
    }

    /// Whether a notification is for one of these rows.
    pub(super) fn has(&self, subscription_id: &str) -> bool {
        self.ids.iter().any(|id| id == subscription_id)
    }

    /// Renews the rows for ever, each time for one more `life`, and at once when the Agent may have lost them; returns only
    /// when that fails.
    pub(super) async fn keep_alive(&self, client: &Client, life: Duration) -> Lapse {
        loop {
            let since = Timestamp::now();
            tokio::select! {
                () = tokio::time::sleep(life / 2) => {}
                () = client.agent_returns() => {}
            }
            let renewal = self.renewal(self.created_at.elapsed() + life);
            match client.request(ReqType::Set(renewal)).await {
                Ok(_) => {}
                Err(RequestError::Closed(why)) => return Lapse::now(RequestError::Closed(why)),
                Err(error) => return Lapse { since, why: format!("the Subscription is lost: {error}") },
            }
        }
    }

    fn renewal(&self, since_creation: Duration) -> Set {
        let seconds = since_creation.as_secs();
        let update = |row: &String| UpdateObject {
            obj_path: row.clone(),
            param_settings: vec![UpdateParamSetting {
                param: "TimeToLive".to_owned(),
                value: seconds.to_string(),
                required: true,
            }],
        };
        Set { allow_partial: false, update_objs: self.rows.iter().map(update).collect() }
    }

    /// Deletes the rows over another connection, where their numbers may be those of others by now.
    pub(super) async fn forget(&self, session: &Session) {
        let path = |id: &String| format!("{TABLE}[ID==\"{id}\"].");
        let delete = Delete { allow_partial: true, obj_paths: self.ids.iter().map(path).collect() };
        session.client.request(ReqType::Delete(delete)).await.ok();
    }

    /// Deletes the rows. A failure is of no interest: they vanish by themselves.
    pub(super) async fn delete(self, session: &Session) {
        let delete = Delete { allow_partial: true, obj_paths: self.rows };
        session.client.request(ReqType::Delete(delete)).await.ok();
    }
}

/// The request for all rows, their IDs, and when it was made.
fn request(wanted: &[Wanted], life: Duration) -> (ReqType, Vec<String>, Instant) {
    let stem = format!("cli-{}", random_text());
    let ids: Vec<_> = (1..=wanted.len()).map(|n| format!("{stem}-{n}")).collect();
    let create_objs = wanted.iter().zip(&ids).map(|(wanted, id)| row(wanted, id, life)).collect();
    (ReqType::Add(Add { allow_partial: false, create_objs }), ids, Instant::now())
}

fn rows_of(answer: &Answer) -> Vec<String> {
    answer.results.iter().filter_map(|row| row.path.clone()).collect()
}

/// The faults of an answer in one line.
fn refused(answer: &impl Report) -> Refused {
    let faults = answer.faults();
    let may_pass = faults.iter().all(|fault| fault.code == ErrCode::RESOURCES_EXCEEDED.0);
    let told: Vec<_> = faults.iter().map(ToString::to_string).collect();
    let text = if told.is_empty() { "no row was made".to_owned() } else { told.join("; ") };
    Refused { text, may_pass }
}

fn row(wanted: &Wanted, id: &str, life: Duration) -> CreateObject {
    let setting =
        |param: &str, value: String| CreateParamSetting { param: param.to_owned(), value, required: true };
    CreateObject {
        obj_path: TABLE.to_owned(),
        param_settings: vec![
            setting("ID", id.to_owned()),
            setting("NotifType", wanted.kind.to_owned()),
            setting("ReferenceList", wanted.path.clone()),
            setting("TimeToLive", life.as_secs().max(1).to_string()),
            setting("Persistent", "false".to_owned()),
            setting("NotifRetry", "false".to_owned()),
            setting("Enable", "true".to_owned()),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewal_names_every_row() {
        let rows = vec!["Device.S.1.".into(), "Device.S.4.".into()];
        let temporary = Temporary { ids: vec!["a".into()], rows, created_at: Instant::now() };
        let set = temporary.renewal(Duration::from_millis(180_900));
        assert_eq!(set.update_objs[1].obj_path, "Device.S.4.");
        assert_eq!(set.update_objs[1].param_settings[0].value, "180");
        assert!(temporary.has("a") && !temporary.has("b"));
    }
}
