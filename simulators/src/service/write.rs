//! Set, Add, Delete. Everything is tried on a copy of the model; what failed leaves no trace.

use usp_proto::usp::add_resp::CreatedObjectResult;
use usp_proto::usp::add_resp::created_object_result as created;
use usp_proto::usp::delete_resp::DeletedObjectResult;
use usp_proto::usp::delete_resp::deleted_object_result as deleted;
use usp_proto::usp::error::ParamError;
use usp_proto::usp::set_resp::updated_object_result as updated;
use usp_proto::usp::set_resp::{UpdatedInstanceFailure, UpdatedInstanceResult, UpdatedObjectResult};
use usp_proto::usp::{Add, AddResp, Delete, DeleteResp, Error, Set, SetResp, add, add_resp, set, set_resp};

use super::fault::Fault;
use super::model::Model;
use super::path::{Path, Step};
use super::schema::Access;

/// A setting that failed, and its path.
#[derive(Clone, Debug)]
struct Failed {
    param: String,
    fault: Fault,
}

/// Why one object of a request failed as a whole.
#[derive(Debug)]
struct Refused {
    fault: Fault,
    path: String,
    params: Vec<Failed>,
}

impl Refused {
    fn at(path: &str, fault: Fault) -> Self {
        Self { fault, path: path.to_owned(), params: Vec::new() }
    }

    /// As the Error of a request that allows no partial success.
    fn into_error(self) -> Error {
        let error = |path: String, fault: Fault| ParamError {
            param_path: path,
            err_code: fault.code,
            err_msg: fault.message,
        };
        let mut param_errs: Vec<ParamError> = self
            .params
            .into_iter()
            .map(|failed| error(format!("{}{}", self.path, failed.param), failed.fault))
            .collect();
        if param_errs.is_empty() {
            param_errs.push(error(self.path, self.fault.clone()));
        }
        Error { err_code: self.fault.code, err_msg: self.fault.message, param_errs }
    }
}

/// One parameter and what it is to be.
struct Setting<'a> {
    param: &'a str,
    value: &'a str,
    required: bool,
}

/// Applies settings to one object; those that failed and were not required are given back.
fn apply(
    model: &mut Model,
    object: &str,
    settings: &[Setting<'_>],
    new: bool,
) -> Result<Vec<Failed>, Refused> {
    let mut failed = Vec::new();
    let mut fatal = None;
    for setting in settings {
        if let Err(fault) = assign(model, object, setting, new) {
            let key = new && model.keys(object).contains_key(setting.param);
            if setting.required || key {
                fatal.get_or_insert_with(|| fault.clone());
            }
            failed.push(Failed { param: setting.param.to_owned(), fault });
        }
    }
    if let Some(keys) = model.clash(object) {
        let fault = Fault::new(7025, format!("another row has the same {}", keys.join(" and ")));
        fatal.get_or_insert_with(|| fault.clone());
        failed.push(Failed { param: keys.last().copied().unwrap_or_default().to_owned(), fault });
    }
    match fatal {
        Some(fault) => Err(Refused { fault, path: object.to_owned(), params: failed }),
        None => Ok(failed),
    }
}

fn assign(model: &mut Model, object: &str, setting: &Setting<'_>, new: bool) -> Result<(), Fault> {
    let path = format!("{object}{}", setting.param);
    let param = model.param_at(&path).ok_or_else(|| Fault::new(7010, format!("{path} is not supported")))?;
    let writable = match param.access {
        Access::Write | Access::Secret => true,
        Access::Once => new || model.get(&path) == Some(setting.value),
        Access::Read | Access::Quiet => false,
    };
    if !writable {
        return Err(Fault::new(7013, format!("{path} cannot be written")));
    }
    let value = param.kind.accept(setting.value)?;
    model.put(&path, &value);
    Ok(())
}

pub(crate) fn set(model: &mut Model, request: &Set) -> Result<SetResp, Error> {
    let before = model.clone();
    let mut updated_obj_results = Vec::new();
    for update in &request.update_objs {
        let mut trial = model.clone();
        let status = match update_object(&mut trial, update) {
            Ok(updated_inst_results) => {
                *model = trial;
                updated::operation_status::OperStatus::OperSuccess(
                    updated::operation_status::OperationSuccess { updated_inst_results },
                )
            }
            Err(refused) if !request.allow_partial => {
                *model = before;
                return Err(refused.into_error());
            }
            Err(refused) => set_failure(refused),
        };
        updated_obj_results.push(UpdatedObjectResult {
            requested_path: update.obj_path.clone(),
            oper_status: Some(updated::OperationStatus { oper_status: Some(status) }),
        });
    }
    Ok(SetResp { updated_obj_results })
}

fn set_failure(refused: Refused) -> updated::operation_status::OperStatus {
    let param_errs = refused.params.into_iter().map(set_error).collect();
    updated::operation_status::OperStatus::OperFailure(updated::operation_status::OperationFailure {
        err_code: refused.fault.code,
        err_msg: refused.fault.message,
        updated_inst_failures: vec![UpdatedInstanceFailure { affected_path: refused.path, param_errs }],
    })
}

fn set_error(failed: Failed) -> set_resp::ParameterError {
    set_resp::ParameterError {
        param: failed.param,
        err_code: failed.fault.code,
        err_msg: failed.fault.message,
    }
}

fn update_object(
    model: &mut Model,
    update: &set::UpdateObject,
) -> Result<Vec<UpdatedInstanceResult>, Refused> {
    let objects = addressed(model, &update.obj_path).map_err(|fault| Refused::at(&update.obj_path, fault))?;
    let settings: Vec<Setting<'_>> = update
        .param_settings
        .iter()
        .map(|setting| Setting { param: &setting.param, value: &setting.value, required: setting.required })
        .collect();
    let mut results = Vec::new();
    for object in objects {
        let failed = apply(model, &object, &settings, false)?;
        let good = settings.iter().filter(|setting| !failed.iter().any(|f| f.param == setting.param));
        let shown = |setting: &Setting<'_>| {
            let param = model.param_at(&format!("{object}{}", setting.param))?;
            Some((setting.param.to_owned(), model.shown(&object, param)))
        };
        results.push(UpdatedInstanceResult {
            updated_params: good.filter_map(shown).collect(),
            affected_path: object,
            param_errs: failed.into_iter().map(set_error).collect(),
        });
    }
    Ok(results)
}

/// The objects that a Set names.
fn addressed(model: &Model, text: &str) -> Result<Vec<String>, Fault> {
    let path = Path::parse(text)?;
    let found = model.resolve(&path)?;
    if path.leaf.is_some() || !model.objects.iter().any(|object| object.path == path.template()) {
        return Err(Fault::new(7008, format!("{text} does not name an object")));
    }
    if found.is_empty() && !path.is_search() {
        return Err(Fault::new(7016, format!("{text} is not there")));
    }
    Ok(found)
}

pub(crate) fn add(model: &mut Model, request: &Add) -> Result<AddResp, Error> {
    let before = model.clone();
    let mut created_obj_results = Vec::new();
    for create in &request.create_objs {
        let tables = match tables(model, &create.obj_path) {
            Ok(tables) => tables.into_iter().map(Ok).collect(),
            Err(fault) => vec![Err(Refused::at(&create.obj_path, fault))],
        };
        for table in tables {
            let mut trial = model.clone();
            let status = match table.and_then(|table| create_row(&mut trial, &table, create)) {
                Ok(success) => {
                    *model = trial;
                    created::operation_status::OperStatus::OperSuccess(success)
                }
                Err(refused) if !request.allow_partial => {
                    *model = before;
                    return Err(refused.into_error());
                }
                Err(refused) => created::operation_status::OperStatus::OperFailure(
                    created::operation_status::OperationFailure {
                        err_code: refused.fault.code,
                        err_msg: refused.fault.message,
                    },
                ),
            };
            created_obj_results.push(CreatedObjectResult {
                requested_path: create.obj_path.clone(),
                oper_status: Some(created::OperationStatus { oper_status: Some(status) }),
            });
        }
    }
    Ok(AddResp { created_obj_results })
}

/// The tables that an Add names.
fn tables(model: &Model, text: &str) -> Result<Vec<String>, Fault> {
    let path = Path::parse(text)?;
    let found = model.resolve(&path)?;
    let template = format!("{}{{i}}.", path.template());
    let row = model.objects.iter().find(|object| object.path == template);
    match row {
        Some(row) if row.editable => {}
        Some(_) => return Err(Fault::new(7019, format!("rows cannot be added to {text}"))),
        None => return Err(Fault::new(7018, format!("{text} is no table"))),
    }
    if found.is_empty() && !path.is_search() {
        return Err(Fault::new(7016, format!("{text} is not there")));
    }
    Ok(found)
}

fn create_row(
    model: &mut Model,
    table: &str,
    create: &add::CreateObject,
) -> Result<created::operation_status::OperationSuccess, Refused> {
    let row = model.add(table).map_err(|fault| Refused::at(table, fault))?;
    let settings: Vec<Setting<'_>> = create
        .param_settings
        .iter()
        .map(|setting| Setting { param: &setting.param, value: &setting.value, required: setting.required })
        .collect();
    let failed = apply(model, &row, &settings, true)?;
    // R-ADD.5: a key that was left open is filled in.
    let open: Vec<String> =
        model.keys(&row).into_iter().filter(|(_, value)| value.is_empty()).map(|(name, _)| name).collect();
    for name in open {
        let alias = model.get(&format!("{row}Alias")).unwrap_or_default().to_owned();
        model.put(&format!("{row}{name}"), &alias);
    }
    let param_errs = failed.into_iter().map(|failed| add_resp::ParameterError {
        param: failed.param,
        err_code: failed.fault.code,
        err_msg: failed.fault.message,
    });
    Ok(created::operation_status::OperationSuccess {
        param_errs: param_errs.collect(),
        unique_keys: model.keys(&row),
        instantiated_path: row,
    })
}

pub(crate) fn delete(model: &mut Model, request: &Delete) -> Result<DeleteResp, Error> {
    let before = model.clone();
    let mut deleted_obj_results = Vec::new();
    for text in &request.obj_paths {
        let status = match doomed(model, text) {
            Ok(affected_paths) => {
                affected_paths.iter().for_each(|row| model.remove(row));
                deleted::operation_status::OperStatus::OperSuccess(
                    deleted::operation_status::OperationSuccess {
                        affected_paths,
                        unaffected_path_errs: Vec::new(),
                    },
                )
            }
            Err(fault) if !request.allow_partial => {
                *model = before;
                return Err(Refused::at(text, fault).into_error());
            }
            Err(fault) => deleted::operation_status::OperStatus::OperFailure(
                deleted::operation_status::OperationFailure { err_code: fault.code, err_msg: fault.message },
            ),
        };
        deleted_obj_results.push(DeletedObjectResult {
            requested_path: text.clone(),
            oper_status: Some(deleted::OperationStatus { oper_status: Some(status) }),
        });
    }
    Ok(DeleteResp { deleted_obj_results })
}

/// The rows that a Delete names. A row that is not there is no error (R-DEL.2a).
fn doomed(model: &Model, text: &str) -> Result<Vec<String>, Fault> {
    let path = Path::parse(text)?;
    let found = model.resolve(&path)?;
    let template = path.template();
    let object = model.objects.iter().find(|object| object.path == template);
    if path.leaf.is_some() || matches!(path.steps.last(), Some(Step::Name(_)) | None) {
        return Err(Fault::new(7008, format!("{text} does not name rows")));
    }
    if !object.is_some_and(|object| object.editable) {
        return Err(Fault::new(7024, format!("rows like {text} cannot be deleted")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use usp_proto::usp::add::CreateParamSetting;
    use usp_proto::usp::set::UpdateParamSetting;

    use super::*;

    const ZONE1: &str = "Device.X_T.Zone.1.";

    fn model() -> Model {
        Model::new("Device.X_T.", "self::svc")
    }

    fn update(path: &str, settings: &[(&str, &str, bool)]) -> set::UpdateObject {
        let setting = |(param, value, required): &(&str, &str, bool)| UpdateParamSetting {
            param: (*param).to_owned(),
            value: (*value).to_owned(),
            required: *required,
        };
        set::UpdateObject {
            obj_path: path.to_owned(),
            param_settings: settings.iter().map(setting).collect(),
        }
    }

    fn create(path: &str, settings: &[(&str, &str, bool)]) -> add::CreateObject {
        let setting = |(param, value, required): &(&str, &str, bool)| CreateParamSetting {
            param: (*param).to_owned(),
            value: (*value).to_owned(),
            required: *required,
        };
        add::CreateObject {
            obj_path: path.to_owned(),
            param_settings: settings.iter().map(setting).collect(),
        }
    }

    #[test]
    fn a_set_changes_and_says_so() {
        let mut model = model();
        let update_objs = vec![update(ZONE1, &[("Setpoint", "22.5", true), ("Enable", "0", true)])];
        let response = set(&mut model, &Set { allow_partial: false, update_objs }).unwrap();
        assert_eq!(model.get("Device.X_T.Zone.1.Setpoint"), Some("22.5"));
        let text = format!("{response:?}");
        assert!(text.contains("\"Enable\": \"false\""), "{text}");
    }

    #[test]
    fn a_failed_set_leaves_no_trace() {
        for (path, param, value, code) in [
            (ZONE1, "Setpoint", "99", 7012),
            (ZONE1, "Setpoint", "warm", 7011),
            (ZONE1, "Temperature", "20", 7013),
            (ZONE1, "Alias", "mine", 7013),
            (ZONE1, "Humidity", "20", 7010),
            (ZONE1, "Name", "Bedroom", 7025),
            ("Device.X_T.Zone.9.", "Enable", "true", 7016),
            ("Device.X_T.Room.1.", "Enable", "true", 7026),
            ("Device.X_T.Zone.", "Enable", "true", 7008),
        ] {
            let mut model = model();
            let before = model.values().clone();
            let update_objs =
                vec![update("Device.X_T.", &[("Mode", "Heat", true)]), update(path, &[(param, value, true)])];
            let error = set(&mut model, &Set { allow_partial: false, update_objs }).unwrap_err();
            assert_eq!(error.err_code, code, "{path}{param}={value}: {error:?}");
            assert_eq!(error.param_errs.len(), 1);
            assert_eq!(*model.values(), before);
        }
    }

    #[test]
    fn partial_success_is_told_apart() {
        let mut model = model();
        let update_objs = vec![
            update("Device.X_T.", &[("Mode", "Heat", true), ("Setpoint", "99", false)]),
            update("Device.X_T.Zone.*.", &[("Name", "Same", true)]),
        ];
        let response = set(&mut model, &Set { allow_partial: true, update_objs }).unwrap();
        assert_eq!(model.get("Device.X_T.Mode"), Some("Heat"));
        assert_eq!(model.get("Device.X_T.Zone.1.Name"), Some("Living room"), "rolled back");
        let text = format!("{response:?}");
        assert!(text.contains("err_code: 7012") && text.contains("err_code: 7025"), "{text}");
    }

    #[test]
    fn an_add_makes_a_row_with_its_keys() {
        let mut model = model();
        let create_objs =
            vec![create("Device.X_T.Zone.", &[("Name", "Bath", true), ("Alias", "bath", true)])];
        let response = add(&mut model, &Add { allow_partial: false, create_objs }).unwrap();
        let text = format!("{response:?}");
        assert!(text.contains("Device.X_T.Zone.3.") && text.contains("\"Alias\": \"bath\""), "{text}");
        let create_objs = vec![create("Device.X_T.Zone.*.Schedule.", &[])];
        let response = add(&mut model, &Add { allow_partial: false, create_objs }).unwrap();
        assert_eq!(response.created_obj_results.len(), 3);
        let create_objs = vec![create("Device.X_T.Zone.", &[])];
        add(&mut model, &Add { allow_partial: false, create_objs }).unwrap();
        assert_eq!(model.get("Device.X_T.Zone.4.Name"), Some("cpe-4"));
    }

    #[test]
    fn a_failed_add_leaves_no_trace() {
        for (path, settings, code) in [
            ("Device.X_T.Zone.", &[("Name", "Bedroom", false)][..], 7025),
            ("Device.X_T.Zone.", &[("Setpoint", "99", true)], 7012),
            ("Device.X_T.Stats.", &[], 7018),
            ("Device.LocalAgent.Request.", &[], 7019),
            ("Device.X_T.Zone.9.Schedule.", &[], 7016),
            ("Device.X_T.Room.", &[], 7026),
        ] {
            let mut model = model();
            let before = model.rows().clone();
            let request = Add { allow_partial: false, create_objs: vec![create(path, settings)] };
            assert_eq!(add(&mut model, &request).unwrap_err().err_code, code, "{path}");
            assert_eq!(*model.rows(), before);
            let request = Add { allow_partial: true, ..request };
            assert!(
                format!("{:?}", add(&mut model, &request).unwrap()).contains(&format!("err_code: {code}"))
            );
        }
    }

    #[test]
    fn deletes_of_every_kind() {
        for (path, expected) in [
            ("Device.X_T.Zone.1.", Ok(1)),
            ("Device.X_T.Zone.*.", Ok(2)),
            ("Device.X_T.Zone.9.", Ok(0)),
            ("Device.X_T.Zone.", Err(7008)),
            ("Device.X_T.Room.1.", Err(7026)),
            ("Device.LocalAgent.Controller.1.", Err(7024)),
        ] {
            let mut model = model();
            let rows = model.rows().len();
            let request = Delete { allow_partial: false, obj_paths: vec![path.to_owned()] };
            let seen = delete(&mut model, &request).map(|_| rows - model.rows().len());
            assert_eq!(seen.map_err(|error| error.err_code), expected, "{path}");
        }
    }
}
