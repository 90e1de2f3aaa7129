//! Request rows that are not told of yet: a row is made before its command is asked for, so that nothing runs that nobody
//! could find, but what follows from a request follows its answer, and of a command that never ran there is nothing to tell.

use std::collections::BTreeMap;

use usp_proto::usp::operate_resp::OperationResult;
use usp_proto::usp::operate_resp::operation_result::OperationResp;

use crate::Broker;
use crate::dm::rows::{Change, ObjRef};

/// By number; `true`: it is on disk, and would have been told.
#[derive(Default)]
pub(crate) struct Untold(BTreeMap<u32, bool>);

impl Untold {
    /// A row of a request that is not answered.
    pub(crate) fn add(&mut self, row: u32) {
        self.0.insert(row, false);
    }

    /// It was never made.
    pub(crate) fn forget(&mut self, row: u32) {
        self.0.remove(&row);
    }
}

impl Broker {
    /// Whether nothing is told of a change, because its row is not told of.
    pub(crate) fn is_untold(&mut self, change: &Change) -> bool {
        if self.untold.0.is_empty()
            || Some(change.at.object) != self.model.table("Device.LocalAgent.Request.")
        {
            return false;
        }
        let row = change.at.number();
        match (&change.before, &change.after) {
            (Some(_), None) => self.untold.0.remove(&row).is_some(),
            (None, Some(_)) => self.untold.0.get_mut(&row).map(|made| *made = true).is_some(),
            _ => self.untold.0.contains_key(&row),
        }
    }

    /// The request is answered: of rows that are left may be told.
    pub(crate) fn tell_rows(&mut self, rows: impl IntoIterator<Item = u32>) {
        let Some(table) = self.model.table("Device.LocalAgent.Request.") else { return };
        for row in rows {
            let at = ObjRef::new(table, &[row]);
            // One whose end is on its way to disk stays untold.
            if !self.model.rows.contains(&at) {
                continue;
            }
            if self.untold.0.remove(&row) == Some(true) {
                self.tell_created(&at);
            }
        }
    }
}

/// Numbers of the rows that results name.
pub(super) fn rows_of(results: &[OperationResult]) -> Vec<u32> {
    let number = |result: &OperationResult| match &result.operation_resp {
        Some(OperationResp::ReqObjPath(path)) => {
            path.strip_prefix("Device.LocalAgent.Request.")?.trim_end_matches('.').parse().ok()
        }
        _ => None,
    };
    results.iter().filter_map(number).collect()
}
