//! Which Subscription of the Service's own table wants to hear of what.

use std::collections::BTreeMap;

use usp_proto::usp::Notify;
use usp_proto::usp::notify::{
    Event, Notification, ObjectCreation, ObjectDeletion, OperationComplete, ValueChange,
};

use super::model::Model;
use super::path::{self, Path, Step};
use super::schema::Access;

/// The Service's own Subscription table.
pub(crate) const TABLE: &str = "Device.LocalAgent.Subscription.";

/// Something that may be worth a Notify.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Event { object: String, name: String, args: BTreeMap<String, String> },
    Complete(OperationComplete),
}

/// One enabled row.
struct Subscription {
    id: String,
    kind: String,
    references: Vec<Path>,
    retry: bool,
}

fn subscriptions(model: &Model) -> Vec<Subscription> {
    let value = |row: &str, name: &str| model.get(&format!("{row}{name}")).unwrap_or_default().to_owned();
    let enabled = model.rows_of(TABLE).into_iter().filter(|row| value(row, "Enable") == "true");
    let subscription = |row: String| Subscription {
        id: value(&row, "ID"),
        kind: value(&row, "NotifType"),
        references: path::list(&value(&row, "ReferenceList"))
            .iter()
            .filter_map(|p| Path::parse(p).ok())
            .collect(),
        retry: value(&row, "NotifRetry") == "true",
    };
    enabled.map(subscription).collect()
}

/// What is to be notified after the model has changed.
pub(crate) fn of_change(before: &Model, after: &Model) -> Vec<Notify> {
    let subscriptions = subscriptions(after);
    let wants =
        |kind: &'static str| subscriptions.iter().filter(move |subscription| subscription.kind == kind);
    let mut notifies = Vec::new();
    for row in after.rows().difference(before.rows()) {
        let hear = wants("ObjectCreation").filter(|s| s.references.iter().any(|r| creates(after, r, row)));
        let keys = after.keys(row);
        let news = ObjectCreation { obj_path: row.clone(), unique_keys: keys };
        notifies.extend(hear.map(|s| s.notify(Notification::ObjCreation(news.clone()))));
    }
    for row in before.rows().difference(after.rows()) {
        let hear = wants("ObjectDeletion").filter(|s| s.references.iter().any(|r| deletes(before, r, row)));
        let news = ObjectDeletion { obj_path: row.clone() };
        notifies.extend(hear.map(|s| s.notify(Notification::ObjDeletion(news.clone()))));
    }
    for (path, value) in after.values() {
        if before.get(path).is_none_or(|old| old == value) || is_quiet(after, path) {
            continue;
        }
        let hear = wants("ValueChange").filter(|s| s.references.iter().any(|r| names(after, r, path)));
        let news = ValueChange { param_path: path.clone(), param_value: value.clone() };
        notifies.extend(hear.map(|s| s.notify(Notification::ValueChange(news.clone()))));
    }
    notifies
}

/// What is to be notified of an Event or a finished Command.
pub(crate) fn of_happening(model: &Model, happening: &Happening) -> Vec<Notify> {
    let (kind, path, news) = match happening {
        Happening::Event { object, name, args } => {
            let event = Event { obj_path: object.clone(), event_name: name.clone(), params: args.clone() };
            ("Event", format!("{object}{name}"), Notification::Event(event))
        }
        Happening::Complete(complete) => {
            let path = format!("{}{}", complete.obj_path, complete.command_name);
            ("OperationComplete", path, Notification::OperComplete(complete.clone()))
        }
    };
    let subscriptions = subscriptions(model);
    let hear = subscriptions
        .iter()
        .filter(|s| s.kind == kind && s.references.iter().any(|r| names(model, r, &path)));
    hear.map(|s| s.notify(news.clone())).collect()
}

impl Subscription {
    fn notify(&self, news: Notification) -> Notify {
        Notify { subscription_id: self.id.clone(), send_resp: self.retry, notification: Some(news) }
    }
}

fn is_quiet(model: &Model, path: &str) -> bool {
    model.param_at(path).is_some_and(|param| matches!(param.access, Access::Quiet | Access::Secret))
}

/// How many pieces of an instantiated path lie below a reference's object; `None`: it is not on the way.
fn below(model: &Model, reference: &Path, pieces: &[&str]) -> Option<usize> {
    let mut prefix = String::new();
    for (index, step) in reference.steps.iter().enumerate() {
        let piece = pieces.get(index)?;
        let row = piece.bytes().all(|byte| byte.is_ascii_digit());
        prefix.push_str(piece);
        prefix.push('.');
        let fits = match step {
            Step::Name(name) => name == piece,
            Step::Row(number) => number.to_string() == *piece,
            Step::AnyRow => row,
            Step::Rows(conditions) => {
                row && conditions.iter().all(|condition| {
                    let value = model.get(&format!("{prefix}{}", condition.parameter));
                    value.is_some_and(|value| condition.holds(value))
                })
            }
        };
        if !fits {
            return None;
        }
    }
    Some(pieces.len() - reference.steps.len())
}

/// Whether a reference names an element: itself, or an object above it.
fn names(model: &Model, reference: &Path, path: &str) -> bool {
    let Some((object, leaf)) = path.rsplit_once('.') else { return false };
    let pieces: Vec<&str> = object.split('.').collect();
    let rest = below(model, reference, &pieces);
    match &reference.leaf {
        None => rest.is_some(),
        Some(own) => rest == Some(0) && own == leaf,
    }
}

/// Whether a reference names the table of a new row.
fn creates(model: &Model, reference: &Path, row: &str) -> bool {
    reference.leaf.is_none() && by_table(reference, below(model, reference, &pieces(row)))
}

/// Whether a reference names a row that is gone.
fn deletes(model: &Model, reference: &Path, row: &str) -> bool {
    let rest = below(model, reference, &pieces(row));
    reference.leaf.is_none() && (rest == Some(0) || by_table(reference, rest))
}

fn by_table(reference: &Path, rest: Option<usize>) -> bool {
    let table = matches!(reference.steps.last(), Some(Step::Name(_)));
    if table { rest == Some(1) } else { rest == Some(0) }
}

fn pieces(row: &str) -> Vec<&str> {
    row.trim_end_matches('.').split('.').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model_with(subscriptions: &[(&str, &str)]) -> Model {
        let mut model = Model::new("Device.X_T.", "self::svc");
        for (kind, references) in subscriptions {
            let row = model.add(TABLE).unwrap();
            for (name, value) in
                [("NotifType", *kind), ("ReferenceList", *references), ("ID", *kind), ("Enable", "true")]
            {
                assert!(model.put(&format!("{row}{name}"), value));
            }
        }
        model
    }

    fn heard(before: &Model, change: impl FnOnce(&mut Model)) -> Vec<Notification> {
        let mut after = before.clone();
        change(&mut after);
        of_change(before, &after).into_iter().filter_map(|notify| notify.notification).collect()
    }

    #[test]
    fn value_changes_are_heard_by_parameter_and_by_object() {
        for (reference, expected) in [
            ("Device.X_T.Zone.1.Setpoint", 1),
            ("Device.X_T.Zone.*.Setpoint", 1),
            ("Device.X_T.Zone.[Name==\"Living room\"].Setpoint", 1),
            ("Device.X_T.", 1),
            ("Device.X_T.Zone.2.,Device.X_T.Zone.1.", 1),
            ("Device.X_T.Zone.2.Setpoint", 0),
            ("Device.X_T.Zone.1.Name", 0),
            ("Device.X_T.Stats.", 0),
        ] {
            let model = model_with(&[("ValueChange", reference)]);
            let seen = heard(&model, |model| assert!(model.put("Device.X_T.Zone.1.Setpoint", "25")));
            assert_eq!(seen.len(), expected, "{reference}");
        }
        let model = model_with(&[("ValueChange", "Device.X_T.")]);
        assert!(heard(&model, |model| assert!(model.put("Device.X_T.Uptime", "9"))).is_empty());
    }

    #[test]
    fn rows_are_heard_by_their_table() {
        let model = model_with(&[
            ("ObjectCreation", "Device.X_T.Zone."),
            ("ObjectDeletion", "Device.X_T.Zone.*."),
            ("ValueChange", "Device.X_T.Stats."),
        ]);
        let created = heard(&model, |model| assert!(model.add("Device.X_T.Zone.").is_ok()));
        let [Notification::ObjCreation(created)] = created.as_slice() else { panic!("{created:?}") };
        assert_eq!(created.obj_path, "Device.X_T.Zone.3.");
        assert_eq!(created.unique_keys["Alias"], "cpe-3");
        let nested = heard(&model, |model| assert!(model.add("Device.X_T.Zone.1.Schedule.").is_ok()));
        assert!(nested.is_empty(), "a row of another table");
        let deleted = heard(&model, |model| model.remove("Device.X_T.Zone.1."));
        assert!(
            matches!(deleted.as_slice(), [Notification::ObjDeletion(row)] if row.obj_path.ends_with("Zone.1."))
        );
    }

    #[test]
    fn events_are_heard_by_name_and_by_object() {
        let event = |object: &str, name: &str| Happening::Event {
            object: object.to_owned(),
            name: name.to_owned(),
            args: BTreeMap::new(),
        };
        for (reference, expected) in [("Device.X_T.Alarm!", 1), ("Device.X_T.", 1), ("Device.X_T.Other!", 0)]
        {
            let model = model_with(&[("Event", reference)]);
            assert_eq!(of_happening(&model, &event("Device.X_T.", "Alarm!")).len(), expected, "{reference}");
        }
    }

    #[test]
    fn a_disabled_row_hears_nothing() {
        let mut model = model_with(&[("ValueChange", "Device.X_T.")]);
        assert!(model.put("Device.LocalAgent.Subscription.1.Enable", "false"));
        assert!(heard(&model, |model| assert!(model.put("Device.X_T.Mode", "Off"))).is_empty());
    }
}
