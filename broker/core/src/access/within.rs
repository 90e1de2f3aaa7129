//! Rights as they are for one row: what its supported model shows hangs on the row, and not on what some row may have.

use std::sync::Arc;

use usp_proto::err_code::ErrCode;
use usp_proto::path::{Leaf, Path};

use super::meaning::{is_open, may_meet};
use super::{Entry, Rights, Role};
use crate::dm::Model;
use crate::dm::rows::ObjRef;
use crate::fault::Fault;

/// A row with its path; `None`: a Service's.
#[derive(Clone, Copy)]
struct Row<'a> {
    path: &'a Path,
    at: Option<&'a ObjRef>,
}

impl Rights {
    /// The same rights, with what Targets that have expressions or references mean of a row, and of what is below it. `at`:
    /// the row, if it is ours.
    ///
    /// Errors: 7005, it cannot be told.
    pub(crate) fn within(&self, model: &Model, path: &Path, at: Option<&ObjRef>) -> Result<Self, Fault> {
        if self.open.is_empty() {
            return Ok(self.clone());
        }
        let row = Row { path, at };
        let roles: Option<Arc<[Role]>> =
            self.roles.iter().map(|role| self.role_within(role, model, row)).collect();
        let untold = || {
            let text = format!("what may be known of {path} cannot be told");
            Fault::new(ErrCode::RESOURCES_EXCEEDED, text)
        };
        Ok(Self { roles: roles.ok_or_else(untold)?, ..self.clone() })
    }

    fn role_within(&self, role: &Role, model: &Model, row: Row<'_>) -> Option<Role> {
        let entry = |entry: &Entry| {
            let targets: Option<Vec<Vec<Path>>> =
                entry.targets.iter().map(|target| self.target_within(target, model, row)).collect();
            Some(Entry { targets: targets?.concat(), ..entry.clone() })
        };
        Some(Role { entries: role.entries.iter().map(entry).collect::<Option<_>>()? })
    }

    /// What a Target means there; `None`: it is not known.
    fn target_within(&self, target: &Path, model: &Model, row: Row<'_>) -> Option<Vec<Path>> {
        if !is_open(target) || !may_meet(target, row.path) {
            return Some(vec![target.clone()]);
        }
        if model.is_open(target) {
            let led = |segments| Path { segments, leaf: target.leaf.clone() };
            return Some(self.known.get(&target.segments)?.objects().cloned().map(led).collect());
        }
        let Some(at) = row.at else { return Some(vec![target.clone()]) };
        let shared = target.segments.len().min(row.path.segments.len());
        let (head, tail) = target.segments.split_at_checked(shared)?;
        let head = Path { segments: head.to_vec(), leaf: Leaf::Object };
        let covers = model.permission_covers(&head, at, &Leaf::Object)?;
        let segments = row.path.segments.iter().take(shared).chain(tail).cloned().collect();
        Some(if covers { vec![Path { segments, leaf: target.leaf.clone() }] } else { Vec::new() })
    }
}
