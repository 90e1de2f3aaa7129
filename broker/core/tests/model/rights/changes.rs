//! What changes, rights included, and who is to be told.

use std::collections::{BTreeMap, BTreeSet};

use usp_proto::usp::Notify;
use usp_proto::usp::request::ReqType;

use super::super::services::{about, changes};
use super::super::subs::covers;
use super::ops::Op;
use super::reference::{Permission, State, split};
use super::{Court, KINDS, NAMES, SERVICES, pool, text_of};
use crate::bench::peer::add;

impl Court {
    pub(super) fn change_rights(&mut self, op: &Op) {
        let role = |n: usize| format!("Device.LocalAgent.ControllerTrust.Role.{}.", n % 2 + 4);
        let nth = |n: usize, court: &Self| n % court.permissions.len().max(1);
        match op {
            Op::Permit { role: n, order, targets, letters } => {
                let pool = pool();
                let targets: Vec<String> = targets.iter().map(|n| pool[n % pool.len()].clone()).collect();
                let letters = letters.map(text_of);
                let settings = [
                    "Enable=true".to_owned(),
                    format!("Order={order}"),
                    format!("Targets={}", targets.join(",")),
                    format!("Param={}", letters[0]),
                    format!("Obj={}", letters[1]),
                    format!("InstantiatedObj={}", letters[2]),
                ];
                let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
                let table = format!("{}Permission.", role(*n));
                let made = self.ask(self.admin, add(false, &[(&table, &settings)]));
                // Order is a unique key.
                if let Some(path) = made.split(' ').next().filter(|path| path.starts_with(&table)) {
                    let path = path.to_owned();
                    let permission =
                        Permission { role: n % 2, path, order: *order, targets, letters, enabled: true };
                    self.permissions.push(permission);
                }
            }
            Op::Revoke(n) if !self.permissions.is_empty() => {
                let gone = self.permissions.remove(nth(*n, self));
                self.w.delete(self.admin, &[&gone.path]);
            }
            Op::Enable(n, on) if !self.permissions.is_empty() => {
                let index = nth(*n, self);
                self.permissions[index].enabled = *on;
                let path = self.permissions[index].path.clone();
                self.w.set(self.admin, &path, &[&format!("Enable={on}")]);
            }
            Op::Order(n, order) if !self.permissions.is_empty() => {
                let index = nth(*n, self);
                let path = self.permissions[index].path.clone();
                if !self.w.set(self.admin, &path, &[&format!("Order={order}")]).starts_with("Error") {
                    self.permissions[index].order = *order;
                }
            }
            Op::Assign { who, roles } => {
                let who = who % 3;
                self.assigned[who] = (0..2).filter(|n| roles & (1 << n) != 0).collect();
                let base = "Device.LocalAgent.ControllerTrust.Role.3".to_owned();
                let more = self.assigned[who].iter().map(|n| role(*n).trim_end_matches('.').to_owned());
                let list = std::iter::once(base).chain(more).collect::<Vec<_>>().join(",");
                let row = format!("Device.LocalAgent.Controller.{}.", who + 1);
                self.w.set(self.admin, &row, &[&format!("AssignedRole={list}")]);
            }
            _ => {}
        }
    }

    /// A value changes: one of ours by the administrator, one of a Service by itself.
    pub(super) fn put(&mut self, path: &str, value: &str) {
        match SERVICES.iter().position(|(_, top)| path.starts_with(top)) {
            Some(index) => {
                let service = self.w.services.get_mut(&self.services[index]).unwrap();
                service.values.insert(path.to_owned(), value.to_owned());
            }
            None => {
                let (row, param) = split(path);
                self.w.set(self.admin, row, &[&format!("{param}={value}")]);
            }
        }
    }

    /// One notification for each of the broker's rows that it fits.
    pub(super) fn services_tell(&mut self, before: &[BTreeMap<String, String>; 2]) {
        for (conn, before) in self.services.into_iter().zip(before) {
            let service = &self.w.services[&conn];
            let (now, rows) = (service.values.clone(), service.subscriptions());
            for what in changes(before, &now) {
                let (kind, path) = about(&what);
                for ((_, _), id) in rows.iter().filter(|((k, r), _)| k == kind && covers(r, &path)) {
                    let notification = Some(what.clone());
                    let notify = Notify { subscription_id: id.clone(), send_resp: false, notification };
                    self.w.begin(conn, ReqType::Notify(notify));
                }
            }
        }
    }

    /// What has changed was told to whom it may be told, and nothing else.
    pub(super) fn compare_notes(&mut self, before: &State, after: &State) {
        let rows = |state: &State| -> BTreeSet<String> {
            state.keys().map(|path| split(path).0.to_owned()).collect()
        };
        let (old, new) = (rows(before), rows(after));
        let changed = after.iter().filter(|(path, value)| before.get(*path).is_some_and(|v| v != *value));
        let changed = changed.map(|(path, value)| (0, path.clone(), format!("{path}={value}")));
        let created = new.difference(&old).map(|row| (1, row.clone(), row.clone()));
        let deleted = old.difference(&new).map(|row| (2, row.clone(), row.clone()));
        let happened: Vec<(usize, String, String)> = changed.chain(created).chain(deleted).collect();
        for (who, recipient) in NAMES.iter().enumerate() {
            let notes = self.w.notes(self.controllers[who]);
            let mut told: Vec<String> = notes
                .iter()
                .map(|note| note.split(' ').skip(1).take(2).collect::<Vec<_>>().join(" "))
                .collect();
            for (kind, path, text) in &happened {
                let (name, right) = KINDS[*kind];
                let was = self.may(who, right, 'n', path, before);
                let is = self.may(who, right, 'n', path, after);
                let text = format!("{name} {text}");
                let count = told.iter().filter(|note| **note == text).count();
                told.retain(|note| *note != text);
                let fits = match kind {
                    2 => count == usize::from(was),
                    _ if was || !is => count == usize::from(is),
                    // What a Target meant just before, and does not mean now, may be kept back.
                    _ => count < 2,
                };
                self.check(fits, || format!("{recipient} was told {count} times of {text}: {was}, {is}"));
            }
            self.check(told.is_empty(), || format!("{recipient} was told {told:?}"));
        }
    }
}
