//! The connection that a Controller command works with.

use usp_proto::message;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;

use super::show::{Refusal, show};
use super::{Connection, default_endpoint_id};
use crate::cli::Failure;
use crate::client::{Client, ConnectError, Notifications, Options, RequestError};

pub(super) use crate::client::random_text;

/// An open connection, and how results are to be shown.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) notifications: Notifications,
    pub(super) json: bool,
    pub(super) options: Options,
}

impl Session {
    pub(super) async fn open(connection: Connection) -> Result<Self, Failure> {
        let Connection { via, endpoint_id, json, timeout } = connection;
        let endpoint_id = match endpoint_id {
            Some(endpoint_id) => endpoint_id,
            None => default_endpoint_id()?,
        };
        let usual = Options::new(via, endpoint_id);
        let options = match timeout {
            Some(timeout) => Options { timeout, patience: timeout, ..usual },
            None => usual,
        };
        let (client, notifications) = Client::connect(&options).await.map_err(Failure::failed)?;
        Ok(Self { client, notifications, json, options })
    }

    /// A new connection in place of one that is of no use any more.
    pub(super) async fn reopen(&mut self) -> Result<(), ConnectError> {
        (self.client, self.notifications) = Client::connect(&self.options).await?;
        Ok(())
    }

    /// Asks the Agent. An Error message is shown like any other answer.
    pub(super) async fn ask(&self, request: ReqType) -> Result<RespType, Failure> {
        match self.client.request(request).await {
            Err(RequestError::Refused(error)) => self.refused(Refusal::from(error)),
            other => other.map_err(Failure::failed),
        }
    }

    /// As [`ask`](Self::ask), about one path: an Error message that names none is shown with it.
    pub(super) async fn ask_about(&self, path: &str, request: ReqType) -> Result<RespType, Failure> {
        match self.client.request(request).await {
            Err(RequestError::Refused(error)) => self.refused(Refusal::from(error).about(path)),
            other => other.map_err(Failure::failed),
        }
    }

    fn refused(&self, refusal: Refusal) -> Result<RespType, Failure> {
        show(&refusal, self.json)?;
        Err(Failure::Shown)
    }

    /// For a Response to another request than ours.
    pub(super) fn unexpected(&self, response: &RespType) -> Failure {
        let name = message::type_name(message::response_type(response));
        Failure::failed(format!(
            "{} answered with {name}, which does not fit the request",
            self.client.agent()
        ))
    }
}
