//! Targets that give nothing: which of a Service's rows an expression or a reference means is known to the Service alone.
//!
//! Shown as `X_USPBROKER_UndecidedTargets` of the Permission, so that whoever wrote it need not guess why it has no effect.

use usp_proto::path::{Leaf, Path, Segment};
use usp_proto::tr106;

use super::parse_target;
use crate::dm::Model;
use crate::dm::rows::ObjRef;
use crate::dm::schema::Owner;

impl Model {
    /// The Targets of a Permission that lie in a Service and cannot be decided here, as they are written.
    pub(crate) fn undecided_targets(&self, permission: &ObjRef) -> Option<String> {
        let targets = self.text(permission, "Targets")?;
        let is_undecided = |text: &&str| parse_target(text).iter().any(|target| self.is_undecided(target));
        Some(tr106::split_list(&targets).filter(is_undecided).collect::<Vec<_>>().join(","))
    }

    fn is_undecided(&self, target: &Path) -> bool {
        let is_open = |segment: &Segment| matches!(segment, Segment::Search(_) | Segment::Follow(_));
        if !target.segments.iter().any(is_open) {
            return false;
        }
        // As far as it can be told without following anything.
        let plain = target.segments.iter().take_while(|segment| !matches!(segment, Segment::Follow(_)));
        let object = Path { segments: plain.cloned().collect(), leaf: Leaf::Object };
        let known = object.to_supported().and_then(|path| self.schema.find(&path.to_string()));
        let Some(object) = known.and_then(|id| self.schema.get(id)) else { return false };
        let of_leaf = match &target.leaf {
            Leaf::Parameter(name) => object.params.get(name).map(|param| param.owner),
            Leaf::Command(name) => object.commands.get(name).map(|command| command.owner),
            Leaf::Event(name) => object.events.get(name).map(|event| event.owner),
            Leaf::Object => None,
        };
        of_leaf.unwrap_or(object.owner) != Owner::Local
    }
}
