//! The Service's Agent on its UNIX domain socket: Handshake, UDSConnectRecord, Register, then whatever comes.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::MissedTickBehavior;
use usp_proto::usp::register::RegistrationPath;
use usp_proto::usp::register_resp::registered_path_result::operation_status::OperStatus;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{Msg, Register, RegisterResp};
use usp_proto::usp_record::record::RecordType;
use usp_proto::usp_record::{DisconnectRecord, UdsConnectRecord};

use super::frame::Part;
use super::handle::{Link, Shared};
use super::message;
use super::state::Action;
use super::wire::{self, Wire, WireError};
use crate::rng::Rng;

/// The msg_id of the Register.
const REGISTER: &str = "register";

/// Keeps the Service connected until it is stopped.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut rng = Rng::named(shared.config.seed, &shared.config.endpoint_id);
    shared.stop.clone().run_until_cancelled(connected_for_ever(&shared, &mut rng)).await;
    shared.state().disconnected();
    shared.link.send_replace(Link::Down);
}

async fn connected_for_ever(shared: &Shared, rng: &mut Rng) {
    loop {
        if let Err(error) = connected_once(shared).await {
            let error: &dyn std::error::Error = &error;
            tracing::debug!(service = shared.config.endpoint_id, error, "the Service's connection ended");
        }
        shared.state().disconnected();
        shared.link.send_replace(Link::Down);
        tokio::time::sleep(pause(shared.config.reconnect, rng)).await;
    }
}

/// R-UDS.5: a random time.
pub(crate) fn pause((shortest, longest): (Duration, Duration), rng: &mut Rng) -> Duration {
    shortest + longest.saturating_sub(shortest).mul_f64(rng.unit())
}

async fn connected_once(shared: &Shared) -> Result<(), WireError> {
    let mut wire = Wire::new(UnixStream::connect(&shared.config.controller_socket).await?);
    let own = shared.config.endpoint_id.clone();
    let peer = wire.shake_hands(&own).await?;
    shared.state().core.model.put("Device.LocalAgent.Controller.1.EndpointID", &peer);
    wire.send_record(&wire::record(&peer, &own, RecordType::UdsConnect(UdsConnectRecord {}))).await?;
    shared.state().connected = true;
    shared.link.send_replace(Link::Connected);
    wire.send_record(&wire::carrying(&peer, &own, &register(shared))).await?;
    let mut session = Session { shared, wire, own, peer };
    session.run().await
}

fn register(shared: &Shared) -> Msg {
    let reg_paths = shared.config.paths().into_iter().map(|path| RegistrationPath { path }).collect();
    let register = Register { allow_partial: shared.config.allow_partial, reg_paths };
    message::request(REGISTER, ReqType::Register(register))
}

struct Session<'a> {
    shared: &'a Shared,
    wire: Wire,
    own: String,
    peer: String,
}

impl Session<'_> {
    async fn run(&mut self) -> Result<(), WireError> {
        let mut tick = tokio::time::interval(self.shared.config.tick.max(Duration::from_millis(1)));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = tick.tick().await;
        loop {
            let actions = tokio::select! {
                record = self.wire.next_record() => self.received(&record?)?,
                () = self.shared.wake.notified() => Vec::new(),
                now = tick.tick() => {
                    self.shared.state().tick(now.duration_since(last));
                    last = now;
                    Vec::new()
                }
            };
            self.act(actions).await?;
            let due = self.shared.state().due();
            self.act(due).await?;
            if self.shared.state().close {
                let bye = DisconnectRecord { reason: "simulated disconnect".to_owned(), reason_code: 0 };
                self.wire
                    .send_record(&wire::record(&self.peer, &self.own, RecordType::Disconnect(bye)))
                    .await?;
                return Err(WireError::OnPurpose);
            }
        }
    }

    fn received(&self, record: &usp_proto::usp_record::Record) -> Result<Vec<Action>, WireError> {
        if matches!(record.record_type, Some(RecordType::Disconnect(_))) {
            return Err(WireError::Closed);
        }
        let Some(message) = wire::carried(record).filter(|_| record.to_id == self.own) else {
            tracing::debug!(service = self.own, "a Record without a Message for this Service");
            return Ok(Vec::new());
        };
        if message::msg_id(&message) == REGISTER {
            self.registered(&message);
        }
        Ok(self.shared.state().receive(message))
    }

    fn registered(&self, message: &Msg) {
        let link = match message::answer(message) {
            Some(RespType::RegisterResp(response)) => accepted(response),
            _ => Link::Refused(format!("{:?}", message.body)),
        };
        tracing::debug!(service = self.own, ?link, "the Register was answered");
        self.shared.link.send_replace(link);
    }

    async fn act(&mut self, actions: Vec<Action>) -> Result<(), WireError> {
        for action in actions {
            match action {
                Action::Send(message) => {
                    self.wire.send_record(&wire::carrying(&self.peer, &self.own, &message)).await?;
                }
                Action::SendGarbage => self.wire.send(&Part::Record(vec![0xff; 16])).await?,
                Action::Wait(time) => tokio::time::sleep(time).await,
                Action::Close => return Err(WireError::OnPurpose),
            }
        }
        Ok(())
    }
}

/// What of a Register was accepted.
fn accepted(response: &RegisterResp) -> Link {
    let (mut paths, mut refusals) = (Vec::new(), Vec::new());
    for result in &response.registered_path_results {
        match result.oper_status.as_ref().and_then(|status| status.oper_status.as_ref()) {
            Some(OperStatus::OperSuccess(success)) => paths.push(success.registered_path.clone()),
            Some(OperStatus::OperFailure(failure)) => {
                refusals
                    .push(format!("{}: {} ({})", result.requested_path, failure.err_msg, failure.err_code));
            }
            None => {}
        }
    }
    if paths.is_empty() { Link::Refused(refusals.join("; ")) } else { Link::Registered(paths) }
}
