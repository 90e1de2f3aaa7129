//! Operates that a Service did not answer in time, and may still answer.
//!
//! Their Controllers were told that they failed, and their Request rows are gone. R-OPR.0 and R-OPR.3 leave no other choice
//! for an async command that turns out to run: it gets a Request row, so that it can be seen and canceled, and so that its
//! OperationComplete reaches its Originator; it is not canceled, which only an authorised `Cancel()` may do. Where there can
//! be no row nobody could follow it, so it is canceled at the Service. Of a sync command nothing is left but to log it.
//!
//! A Service may also tell that such a command is complete and never answer the Operate. Then it did run: its end is told
//! at once, under the Controller's own command_key, and an answer that comes after that starts nothing.

use std::collections::BTreeSet;

use usp_proto::usp::notify::operation_complete::OperationResp as Completed;
use usp_proto::usp::operate_resp::OperationResult;
use usp_proto::usp::operate_resp::operation_result::OperationResp;
use usp_proto::usp::response::RespType;

use crate::Broker;
use crate::dm::schema::ServiceId;
use crate::gather::ServiceFault;
use crate::input::ConnId;
use crate::request::Origin;
use crate::request::operated::{is_search, may_be_same, own_result};

/// So many are remembered at most; the oldest is forgotten first.
const MOST: usize = 256;

/// So many commands of one of them may end without an answer.
const MOST_ENDED: usize = 256;

/// One of them.
#[derive(Debug)]
pub(crate) struct Overdue {
    pub(crate) origin: Origin,
    pub(crate) service: ServiceId,
    /// The Request row that waited for the answer.
    pub(crate) row: Option<u32>,
    /// The Controller's command_key.
    pub(crate) key: String,
    /// The Command Path that the Service was asked to run.
    pub(crate) path: String,
    /// Commands whose ends were told without an answer.
    pub(crate) ended: BTreeSet<String>,
}

impl Broker {
    /// The time for the answer to request number `msg` is over: its Request row goes, its late answer is recognized.
    pub(crate) fn expect_late(&mut self, msg: u64, overdue: Overdue) {
        if let Some(row) = overdue.row {
            self.remove_request(row);
            self.commit(None);
            let early = self.commands.take_early(row).into_iter();
            self.commands.overtaken.extend(early.map(|(command, outcome)| (row, command, outcome)));
        }
        self.commands.overdue.insert(msg, overdue);
        if self.commands.overdue.len() > MOST
            && let Some((_, oldest)) = self.commands.overdue.pop_first()
        {
            self.commands.forget_asked(oldest.row);
        }
    }

    /// A command of an Operate that was not answered in time is complete.
    pub(super) fn end_overdue(&mut self, row: u32, command: String, outcome: Completed) {
        let found = self.commands.overdue.iter_mut().find(|(_, overdue)| overdue.row == Some(row));
        let Some((msg, overdue)) = found else { return };
        let (msg, service, key) = (*msg, overdue.service, overdue.key.clone());
        let asked = may_be_same(&overdue.path, &command) && self.services.owns(service, &command);
        if !asked || is_search(&command) || overdue.ended.len() >= MOST_ENDED {
            return;
        }
        if !overdue.ended.insert(command.clone()) {
            return;
        }
        if overdue.path == command {
            // There is no other that it could start.
            self.commands.overdue.remove(&msg);
            self.commands.forget_asked(Some(row));
        }
        let (name, late) = (self.services.name(service), &command);
        tracing::warn!(
            service = name,
            command = late,
            "a Service ran a command and did not answer in time: its end is told"
        );
        self.complete_unfollowed(service, row, key, command, outcome);
    }

    /// An answer for which no request waits any more. `false`: it is none to an Operate, or not from whom was asked.
    pub(crate) fn take_late_answer(
        &mut self,
        from: ConnId,
        msg: u64,
        answer: impl FnOnce() -> Result<RespType, ServiceFault>,
    ) -> bool {
        let asked = self.commands.overdue.get(&msg).map(|overdue| overdue.service);
        if asked.is_none_or(|service| self.services.connection(service) != Some(from)) {
            return false;
        }
        let Some(overdue) = self.commands.overdue.remove(&msg) else { return false };
        let results = match answer() {
            Ok(RespType::OperateResp(response)) => response.operation_results,
            // It did not run, as its Controller was told.
            Ok(_) | Err(_) => Vec::new(),
        };
        self.take_late_results(overdue, results);
        true
    }

    fn take_late_results(&mut self, overdue: Overdue, results: Vec<OperationResult>) {
        let Overdue { origin, service, row, key, path, ended } = overdue;
        let results = results.into_iter().map(|result| own_result(self, service, &path, result));
        let results = results.filter(|result| !ended.contains(&result.executed_command)).collect();
        let results = self.adopt_late_results(&origin, service, row, &key, results);
        let (name, controller) = (self.services.name(service), &origin.peer);
        for OperationResult { executed_command: command, operation_resp } in results {
            match operation_resp {
                Some(OperationResp::ReqObjPath(row)) => {
                    tracing::warn!(service = name, %controller, command, row, "a Service took a command up after its time: it runs");
                }
                Some(OperationResp::ReqOutputArgs(_)) => {
                    tracing::warn!(service = name, %controller, command, "a Service ran a command after its time: its answer is lost");
                }
                Some(OperationResp::CmdFailure(failure)) => {
                    let (code, reason) = (failure.err_code, failure.err_msg);
                    tracing::info!(service = name, %controller, command, code, reason, "a command that was late failed");
                }
                None => {}
            }
        }
    }
}
