//! Services: they come and go, tell what changes in them, and complete commands.

use std::collections::{BTreeMap, BTreeSet};

use usp_proto::usp::notify::{Notification, ObjectCreation, ObjectDeletion, OperationComplete, ValueChange};
use usp_proto::usp::operate_resp::operation_result::OperationResp;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::{self, Notify, Register, register::RegistrationPath};

use super::history::End;
use super::subs::covers;
use super::town::{SERVICES, TOPS, Town, What};
use crate::bench::service::FakeService;

impl Town {
    pub(crate) fn service_returns(&mut self, index: usize) {
        let Some(service) = self.services[index].away.take() else { return };
        let conn = self.w.service_link(SERVICES[index], service);
        self.services[index].conn = Some(conn);
        let reg_paths = vec![RegistrationPath { path: TOPS[index].to_owned() }];
        self.ask(conn, ReqType::Register(Register { allow_partial: false, reg_paths }), What::Register);
    }

    pub(crate) fn service_leaves(&mut self, index: usize) {
        let house = &mut self.services[index];
        let Some(conn) = house.conn.take() else { return };
        house.away = self.w.services.remove(&conn);
        house.running.clear();
        self.w.disconnect(conn);
        self.forget_connection(conn);
    }

    pub(crate) fn service(&mut self, index: usize) -> Option<&mut FakeService> {
        let house = &mut self.services[index];
        match house.conn {
            Some(conn) => self.w.services.get_mut(&conn),
            None => house.away.as_mut(),
        }
    }

    /// Services tell what has changed in them, and commands that they were asked for begin.
    pub(crate) fn services_speak(&mut self) {
        for index in 0..SERVICES.len() {
            let Some(conn) = self.services[index].conn else { continue };
            let Some(service) = self.w.services.get_mut(&conn) else { continue };
            let operate = |r: ReqType| match r {
                ReqType::Operate(operate) => Some(operate.command_key),
                _ => None,
            };
            // Only a Service that answers has begun them.
            let begun: Vec<String> = service.asked.drain(..).filter_map(operate).collect();
            let used = 8_usize.saturating_sub(service.outcomes.len());
            service.outcomes.resize(8, OperationResp::ReqObjPath("Device.LocalAgent.Request.1.".to_owned()));
            let now = service.values.clone();
            self.services[index].running.extend(begun.into_iter().take(used));
            let before = std::mem::replace(&mut self.services[index].told, now.clone());
            for what in changes(&before, &now) {
                self.service_tells(index, &what);
            }
        }
    }

    /// One notification for each of the broker's rows that it fits. `false`: there is none.
    fn service_tells(&mut self, index: usize, what: &Notification) -> bool {
        let Some(conn) = self.services[index].conn else { return false };
        let (kind, path) = about(what);
        let value = match what {
            Notification::ValueChange(change) => format!("={}", change.param_value),
            _ => String::new(),
        };
        self.happens(kind, &path, &value);
        let rows = self.w.services[&conn].subscriptions();
        let fit = rows.into_iter().filter(|((k, reference), _)| k == kind && covers(reference, &path));
        let ids: Vec<String> = fit.map(|(_, id)| id).collect();
        for id in &ids {
            self.w.begin(conn, ReqType::Notify(notify(id, what)));
        }
        !ids.is_empty()
    }

    /// The oldest command of a Service is done, if its completion can be told. `false`: it cannot, or there is none.
    pub(crate) fn complete(&mut self, index: usize) -> bool {
        let Some(key) = self.services[index].running.first().cloned() else { return false };
        let done = OperationComplete {
            obj_path: TOPS[index].to_owned(),
            command_name: "Fade()".to_owned(),
            command_key: key,
            operation_resp: Some(usp::notify::operation_complete::OperationResp::ReqOutputArgs(
                usp::notify::operation_complete::OutputArgs::default(),
            )),
        };
        let told = self.service_tells(index, &Notification::OperComplete(done));
        if told {
            self.services[index].running.remove(0);
        }
        told
    }

    /// A Service changes its own Colour.
    pub(crate) fn change(&mut self, index: usize) {
        if self.services[index].conn.is_none() {
            return;
        }
        let value = format!("v{}", self.serial());
        let (path, now) = (format!("{}Colour", TOPS[index]), self.tick);
        self.service(index).unwrap().values.insert(path.clone(), value.clone());
        let history = &mut self.cells.get_mut(&path).unwrap().history;
        history.begin(&value, now, false);
        history.end(&value, now, now, End::Done);
    }
}

fn notify(id: &str, what: &Notification) -> Notify {
    Notify { subscription_id: id.to_owned(), send_resp: false, notification: Some(what.clone()) }
}

/// NotifType and path of a notification.
pub(crate) fn about(what: &Notification) -> (&'static str, String) {
    match what {
        Notification::ValueChange(c) => ("ValueChange", c.param_path.clone()),
        Notification::ObjCreation(c) => ("ObjectCreation", c.obj_path.clone()),
        Notification::ObjDeletion(d) => ("ObjectDeletion", d.obj_path.clone()),
        Notification::OperComplete(o) => ("OperationComplete", format!("{}{}", o.obj_path, o.command_name)),
        Notification::Event(e) => ("Event", format!("{}{}", e.obj_path, e.event_name)),
        Notification::OnBoardReq(_) => ("OnBoardRequest", String::new()),
    }
}

/// What a Service has to tell.
pub(crate) fn changes(
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> Vec<Notification> {
    let rows = |values: &BTreeMap<String, String>| -> BTreeSet<String> {
        let own = values.keys().filter(|k| k.starts_with("Device.X_") && k.contains(".Zone."));
        own.map(|k| k.split_at(k.rfind('.').unwrap() + 1).0.to_owned()).collect()
    };
    let (old, new) = (rows(before), rows(after));
    let created = new.difference(&old).map(|row| {
        Notification::ObjCreation(ObjectCreation { obj_path: row.clone(), unique_keys: BTreeMap::new() })
    });
    let deleted =
        old.difference(&new).map(|row| Notification::ObjDeletion(ObjectDeletion { obj_path: row.clone() }));
    let changed = after.iter().filter(|(path, value)| {
        path.starts_with("Device.X_") && before.get(*path).is_some_and(|old| old != *value)
    });
    let changed = changed.map(|(path, value)| {
        Notification::ValueChange(ValueChange { param_path: path.clone(), param_value: value.clone() })
    });
    created.chain(deleted).chain(changed).collect()
}
