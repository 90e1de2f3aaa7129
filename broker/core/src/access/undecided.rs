//! Targets that could not be decided when they were last asked for: they give nothing, and take what they could mean. What
//! is not asked for any more, because no Service has it, is not among them.
//!
//! Shown as `X_USPBROKER_UndecidedTargets` of the Permission, so that whoever wrote it need not guess why it has no effect.

use usp_proto::path::Path;
use usp_proto::tr106;

use super::parse_target;
use crate::dm::Model;
use crate::dm::rows::ObjRef;

impl Model {
    /// The Targets of a Permission whose last question to a Service failed, as they are written.
    pub(crate) fn undecided_targets(&self, permission: &ObjRef) -> Option<String> {
        let targets = self.text(permission, "Targets")?;
        let has_failed = |target: &Path| self.is_open(target) && self.targets.has_failed(target);
        let is_undecided = |text: &&str| parse_target(text).iter().any(has_failed);
        Some(tr106::split_list(&targets).filter(is_undecided).collect::<Vec<_>>().join(","))
    }
}
