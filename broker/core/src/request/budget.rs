//! What one request may cost: how much it names, how much is checked for it, and how large its answer may become.

use std::cell::Cell;

use usp_proto::err_code::ErrCode;
use usp_proto::usp::request::ReqType;

use crate::fault::Fault;

/// Room that a result takes beside its texts: tags and lengths on the wire, pointers in memory.
pub(super) const OVERHEAD: usize = 16;

/// Settings, rows and commands that are checked one by one for one request, or more where an answer may be longer than
/// usual: one for each of so many bytes. All peers wait meanwhile.
const LEAST_CHECKS: usize = 1 << 16;
const BYTES_A_CHECK: usize = 64;

/// Room for an answer, and for what is to be checked before it. Once something did not fit, nothing does: the request as
/// a whole is refused.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    most: usize,
    left: Cell<Option<usize>>,
    checks: Cell<Option<usize>>,
}

impl Budget {
    /// Room for so many bytes.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, left: Cell::new(Some(most)), checks: Cell::new(Some(most_checks(most))) }
    }

    /// Takes room for some texts. `false`: the answer is too large.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let left = self.left.get().and_then(|left| left.checked_sub(bytes.saturating_add(OVERHEAD)));
        self.left.set(left);
        left.is_some()
    }

    /// So much is to be checked. `false`: it is too much.
    pub(crate) fn check_more(&self, checks: usize) -> bool {
        let left = self.checks.get().and_then(|left| left.checked_sub(checks));
        self.checks.set(left);
        left.is_some()
    }

    /// Whether there is still room.
    pub(crate) fn is_open(&self) -> bool {
        self.left.get().is_some() && self.checks.get().is_some()
    }

    /// The fault of a request whose answer is too large, or for which too much is to be checked.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        if self.is_open() {
            return Ok(());
        }
        let text = match self.checks.get() {
            Some(_) => format!(
                "the answer would be larger than {} bytes (limits.max_answer_bytes): ask for fewer paths at a time, \
                 or with a smaller depth",
                self.most
            ),
            None => format!(
                "more than {} settings and rows would be checked one by one, while everybody else waits: \
                 ask for fewer at a time",
                most_checks(self.most)
            ),
        };
        Err(Fault::new(ErrCode::RESOURCES_EXCEEDED, text))
    }
}

fn most_checks(bytes: usize) -> usize {
    (bytes / BYTES_A_CHECK).max(LEAST_CHECKS)
}

/// Refuses a request that names more than it may.
pub(crate) fn check_entries(request: &ReqType, most: usize) -> Result<(), Fault> {
    let entries = entries(request);
    if entries <= most {
        return Ok(());
    }
    let text = format!("the request names {entries} paths, {most} may be (limits.max_paths_per_request)");
    Err(Fault::new(ErrCode::RESOURCES_EXCEEDED, text))
}

/// How many paths or objects a request names; or how many Parameters of one object, if that is more.
fn entries(request: &ReqType) -> usize {
    match request {
        ReqType::Get(get) => get.param_paths.len(),
        ReqType::GetSupportedDm(request) => request.obj_paths.len(),
        ReqType::GetInstances(request) => request.obj_paths.len(),
        ReqType::Set(set) => {
            let params = set.update_objs.iter().map(|o| o.param_settings.len());
            params.max().unwrap_or(0).max(set.update_objs.len())
        }
        ReqType::Add(add) => {
            let params = add.create_objs.iter().map(|o| o.param_settings.len());
            params.max().unwrap_or(0).max(add.create_objs.len())
        }
        ReqType::Delete(delete) => delete.obj_paths.len(),
        ReqType::Register(register) => register.reg_paths.len(),
        ReqType::Deregister(deregister) => deregister.paths.len(),
        ReqType::Operate(operate) => operate.input_args.len(),
        ReqType::Notify(_) | ReqType::GetSupportedProtocol(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_stays_closed() {
        let budget = Budget::new(100);
        assert!(budget.take(50) && budget.check().is_ok());
        assert!(!budget.take(50));
        assert!(!budget.take(0) && budget.check().is_err());
    }

    #[test]
    fn checks_count_by_themselves() {
        let budget = Budget::new(100);
        assert!(budget.check_more(LEAST_CHECKS) && budget.check().is_ok());
        assert!(!budget.check_more(1) && !budget.check_more(0));
        assert!(budget.check().unwrap_err().text.contains("checked"));
    }
}
