//! What an Error of a Service says of settings. Each of its details may be put down to each entry of a request, so there is
//! room for a request's share of them alone.

use std::collections::BTreeMap;

use usp_proto::path::Path;
use usp_proto::usp::error::ParamError;
use usp_proto::usp::set::UpdateObject;
use usp_proto::usp::set_resp::{ParameterError, UpdatedInstanceFailure};

use super::parameter_error;
use crate::fault::Fault;
use crate::gather::failed;
use crate::request::budget::Budget;
use crate::request::judged::named;

/// A detail that is about a setting: its object, the Parameter's name as it was set, and what is wrong.
pub(crate) struct Named<'a> {
    object: &'a str,
    param: &'a str,
    detail: &'a ParamError,
}

impl<'a> Named<'a> {
    /// Those that are about an object's settings, while there is room to look at more.
    pub(crate) fn of(
        object: &'a UpdateObject,
        params: &'a [ParamError],
        room: &'a Budget,
    ) -> impl Iterator<Item = Self> {
        let written = Path::parse(&object.obj_path).ok();
        let of_detail = move |detail: &'a ParamError| {
            let written = written.as_ref()?;
            let (instance, param) = split_at(&detail.param_path, written.segments.len())?;
            let is_set = object.param_settings.iter().any(|setting| setting.param == param);
            let is_meant = is_set && (instance == object.obj_path || is_one(instance, written, room));
            is_meant.then_some(Self { object: instance, param, detail })
        };
        params.iter().filter_map(of_detail)
    }

    fn bytes(&self) -> usize {
        self.object.len() + self.param.len() + self.detail.err_msg.len()
    }
}

/// Whether an object is one of those that a search path means.
fn is_one(instance: &str, written: &Path, room: &Budget) -> bool {
    written.is_search() && room.check_more(1) && named(instance, written).is_some()
}

/// One entry an object, each with its Parameters, as far as there is room.
pub(super) fn by_object<'a>(
    details: impl Iterator<Item = Named<'a>>,
    room: &Budget,
) -> Vec<UpdatedInstanceFailure> {
    let mut found: BTreeMap<&str, Vec<ParameterError>> = BTreeMap::new();
    for named in details.take_while(|named| room.take(named.bytes())) {
        let fault = Fault::new(failed(named.detail.err_code), named.detail.err_msg.clone());
        found.entry(named.object).or_default().push(parameter_error(named.param, &fault));
    }
    let instances = found.into_iter();
    instances
        .map(|(object, param_errs)| UpdatedInstanceFailure { affected_path: object.to_owned(), param_errs })
        .collect()
}

/// An object of so many steps, with its final dot, and what is behind it.
fn split_at(path: &str, steps: usize) -> Option<(&str, &str)> {
    let (dot, _) = path.match_indices('.').nth(steps.checked_sub(1)?)?;
    path.split_at_checked(dot + 1)
}
