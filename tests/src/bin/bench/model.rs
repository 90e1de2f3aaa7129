//! The data model of a Service that does little: a Label and a table of rows with ten Parameters each.

use std::collections::BTreeMap;

use usp_proto::message::params::{Params, ResolvedPathResult};
use usp_proto::usp::get_supported_dm_resp::{
    ObjAccessType, ParamAccessType, ParamValueType, RequestedObjectResult, SupportedObjectResult,
    SupportedParamResult, ValueChangeType,
};
use usp_proto::usp::{self, get_instances_resp, get_resp};

/// Parameters of a row.
pub(crate) const COLUMNS: u32 = 10;

pub(crate) struct Model {
    root: String,
    rows: u32,
    /// Everything, by object, as answers have it: making them is not to take long.
    objects: BTreeMap<String, ResolvedPathResult>,
}

impl Model {
    pub(crate) fn new(root: &str, rows: u32) -> Self {
        let label = object(root.to_owned(), [("Label", "a label of usual length")].into());
        let mut objects = BTreeMap::from([(root.to_owned(), label)]);
        for row in 1..=rows {
            let params = (1..=COLUMNS).map(|n| (format!("Parameter{n}"), format!("value {n} of row {row}")));
            let path = format!("{root}Item.{row}.");
            objects.insert(path.clone(), object(path, params.collect()));
        }
        Self { root: root.to_owned(), rows, objects }
    }

    pub(crate) fn get(&self, get: &usp::Get) -> usp::GetResp {
        let req_path_results = get.param_paths.iter().map(|path| self.look(path)).collect();
        usp::GetResp { req_path_results }
    }

    fn look(&self, path: &str) -> get_resp::RequestedPathResult {
        let (above, name) = path.split_at(path.rfind('.').map_or(0, |dot| dot + 1));
        let resolved_path_results = if name.is_empty() {
            let below = self.objects.range(path.to_owned()..).take_while(|(p, _)| p.starts_with(path));
            below.map(|(_, found)| found.clone()).collect()
        } else {
            let found = self.objects.get(above).and_then(|found| found.result_params.get(name));
            let value = found.map(|value| object(above.to_owned(), [(name, value)].into()));
            value.into_iter().collect::<Vec<_>>()
        };
        let own = path.starts_with(&self.root);
        let code = if own && resolved_path_results.is_empty() { 7026 } else { 0 };
        get_resp::RequestedPathResult {
            requested_path: path.to_owned(),
            err_code: code,
            err_msg: if code == 0 { String::new() } else { "unknown".to_owned() },
            resolved_path_results,
        }
    }

    pub(crate) fn supported(&self, asked: &usp::GetSupportedDm) -> usp::GetSupportedDmResp {
        let object = |path: String, table: bool, names: Vec<String>| SupportedObjectResult {
            supported_obj_path: path,
            access: ObjAccessType::ObjReadOnly as i32,
            is_multi_instance: table,
            supported_params: names.into_iter().map(param).collect(),
            ..SupportedObjectResult::default()
        };
        let columns = (1..=COLUMNS).map(|n| format!("Parameter{n}")).collect();
        let supported_objs = vec![
            object(self.root.clone(), false, vec!["Label".to_owned()]),
            object(format!("{}Item.{{i}}.", self.root), true, columns),
        ];
        let one = |path: &String| RequestedObjectResult {
            req_obj_path: path.clone(),
            err_code: 0,
            err_msg: String::new(),
            data_model_inst_uri: "urn:broadband-forum-org:tr-181-2-19-0-usp".to_owned(),
            supported_objs: supported_objs.clone(),
        };
        usp::GetSupportedDmResp { req_obj_results: asked.obj_paths.iter().map(one).collect() }
    }

    pub(crate) fn instances(&self, asked: &usp::GetInstances) -> usp::GetInstancesResp {
        let instance = |row| get_instances_resp::CurrInstance {
            instantiated_obj_path: format!("{}Item.{row}.", self.root),
            unique_keys: BTreeMap::new(),
        };
        let one = |path: &String| get_instances_resp::RequestedPathResult {
            requested_path: path.clone(),
            err_code: 0,
            err_msg: String::new(),
            curr_insts: (1..=self.rows).map(instance).collect(),
        };
        usp::GetInstancesResp { req_path_results: asked.obj_paths.iter().map(one).collect() }
    }
}

fn object(resolved_path: String, result_params: Params) -> ResolvedPathResult {
    ResolvedPathResult { resolved_path, result_params }
}

fn param(param_name: String) -> SupportedParamResult {
    SupportedParamResult {
        param_name,
        access: ParamAccessType::ParamReadOnly as i32,
        value_type: ParamValueType::ParamString as i32,
        value_change: ValueChangeType::ValueChangeAllowed as i32,
    }
}
