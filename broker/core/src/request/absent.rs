//! Settings that are unsupported whatever row they are for: nobody needs to look at each row for that.

use usp_proto::err_code::ErrCode;
use usp_proto::path::{Path, RelativeParam};

use super::judged::below;
use crate::access::{Act, Kind, Rights};
use crate::dm::Model;
use crate::dm::rows::ObjRef;
use crate::dm::schema::ObjId;
use crate::fault::Fault;

/// What is known of the settings of one kind of object, by their place in the request.
pub(super) struct Absent {
    object: Option<ObjId>,
    of: Vec<Verdict>,
}

/// What is known of one setting.
enum Verdict {
    /// It depends on the row.
    Open,
    /// No row has such a Parameter, or none that may be read or written.
    Unsupported,
    /// Its name is none.
    Malformed(Fault),
}

impl Absent {
    /// Why a setting of an object fails, if that is known without a look at it. `path`: the object's.
    pub(super) fn fault(&self, at: &ObjRef, path: &str, (place, relative): (usize, &str)) -> Option<Fault> {
        match self.of.get(place).filter(|_| self.object == Some(at.object))? {
            Verdict::Open => None,
            Verdict::Unsupported => Some(unsupported_param(path, relative)),
            Verdict::Malformed(fault) => Some(fault.clone()),
        }
    }

    /// Whether no setting can be made on any row.
    pub(super) fn are_all(&self) -> bool {
        self.of.iter().all(|verdict| !matches!(verdict, Verdict::Open))
    }
}

impl Model {
    /// Which of some Parameters no object of this kind has, or none that these rights show or let write. `path`: what leads
    /// to them.
    pub(super) fn absent_settings<'a>(
        &self,
        path: &Path,
        object: Option<ObjId>,
        params: impl Iterator<Item = &'a str>,
        rights: &Rights,
    ) -> Absent {
        let verdict = |relative: &str| match (object, below(path, relative)) {
            (_, Err(fault)) => Verdict::Malformed(fault),
            (Some(object), Ok(full)) if !self.has_setting(object, relative) || rights.hides(&full) => {
                Verdict::Unsupported
            }
            (_, Ok(_)) => Verdict::Open,
        };
        Absent { object, of: params.map(verdict).collect() }
    }

    fn has_setting(&self, object: ObjId, relative: &str) -> bool {
        let parsed: Option<RelativeParam> = RelativeParam::parse(relative).ok();
        let found = parsed.and_then(|parsed| {
            let child = |at: ObjId, name| self.schema.get(at)?.children.get(name).copied();
            let at = parsed.objects.iter().try_fold(object, child)?;
            self.schema.get(at)?.params.get(&parsed.parameter)
        });
        found.is_some()
    }
}

impl Rights {
    /// Whether a Parameter may be neither read nor written on any row that its path could mean.
    fn hides(&self, param: &Path) -> bool {
        let nowhere = |act| !self.allow_somewhere(Kind::Param, act, param);
        !self.is_all() && !self.has_open_targets() && nowhere(Act::Read) && nowhere(Act::Write)
    }

    /// Whether none of the rows that a path could mean may be known of.
    pub(super) fn hides_rows(&self, path: &Path) -> bool {
        let nowhere = |kind| !self.allow_somewhere(kind, Act::Read, path);
        !self.is_all() && !self.has_open_targets() && nowhere(Kind::Obj) && nowhere(Kind::InstantiatedObj)
    }
}

/// What is said of a setting that an object does not have.
pub(super) fn unsupported_param(object: &str, relative: &str) -> Fault {
    Fault::new(ErrCode::UNSUPPORTED_PARAMETER, format!("{object}{relative} is not supported"))
}
