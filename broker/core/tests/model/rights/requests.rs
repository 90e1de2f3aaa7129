//! What Controllers ask, and what the answer has to be.

use std::collections::BTreeSet;

use usp_proto::usp::request::ReqType;
use usp_proto::usp::{self, Delete};

use super::reference::{Kind, State, split};
use super::{Court, NEW, name};
use crate::bench::peer::{add, get, set};

impl Court {
    pub(super) fn get(&mut self, by: usize, path: &str, state: &State) {
        let answer = self.ask(self.controllers[by], get(&[path], 0));
        let expected = match self.may(by, Kind::Param, 'r', path, state) {
            true => format!("{path}={}", state[path]),
            false => format!("{path}: 7026"),
        };
        self.check(answer == expected, || format!("{answer} is not {expected}"));
    }

    pub(super) fn look(
        &mut self,
        by: usize,
        (table, key, value): (&str, &str, &str),
        of_key: bool,
        state: &State,
    ) {
        let param = if of_key { key } else { value };
        let answer = self.ask(self.controllers[by], get(&[&format!("{table}*.{param}")], 0));
        let own = state.iter().filter(|(path, _)| path.starts_with(table) && split(path).1 == param);
        let own: Vec<(&String, &String)> = own.collect();
        let seen = own.iter().filter(|(path, _)| self.may(by, Kind::Param, 'r', path, state));
        let seen = seen.map(|(path, value)| format!("{path}={value}")).collect::<Vec<_>>().join("\n");
        self.check(answer == seen, || format!("{answer} is not {seen}"));
        let request = usp::GetInstances { obj_paths: vec![table.to_owned()], first_level_only: true };
        let answer = self.ask(self.controllers[by], ReqType::GetInstances(request));
        // A table is not there within a row that is not.
        let absent = format!("{table}: 7016");
        let lines = answer.lines().filter(|line| *line != absent);
        let listed: Vec<&str> = lines.map(|line| line.split(' ').next().unwrap()).collect();
        let rows = own.iter().map(|(path, _)| split(path).0);
        let rows: Vec<&str> = rows.filter(|r| self.may(by, Kind::InstantiatedObj, 'r', r, state)).collect();
        self.check(listed == rows, || format!("{answer} is not {rows:?}"));
    }

    pub(super) fn new_value(&mut self, path: &str, state: &State) -> String {
        self.serial += 1;
        match path {
            _ if path.ends_with("Enable") => (state[path] != "true").to_string(),
            _ if path.ends_with("Level") => self.serial.to_string(),
            _ => name(self.serial as usize % 3),
        }
    }

    pub(super) fn set(&mut self, by: usize, path: &str, state: &State) {
        // A key of ours may be in use.
        if path.ends_with("ParameterName") {
            return;
        }
        let (row, param) = split(path);
        let value = self.new_value(path, state);
        let answer = self.ask(self.controllers[by], set(false, &[(row, &[&format!("{param}={value}")])]));
        let allowed = self.may(by, Kind::Param, 'w', path, state);
        let now = self.state()[path].clone();
        let expected = if allowed { &value } else { &state[path] };
        self.check(now == *expected, || format!("{path} is {now}: {answer}"));
        self.check(answer.starts_with(row) == allowed, || format!("{path}: {answer}"));
    }

    /// All rows that may be known of or changed, or none (R-SET.2a).
    pub(super) fn set_all(&mut self, by: usize, (table, _, param): (&str, &str, &str), state: &State) {
        let own = state.keys().filter(|path| path.starts_with(table) && split(path).1 == param);
        let own: Vec<&String> = own.collect();
        let Some(first) = own.first() else { return };
        let value = self.new_value(first, state);
        let (may, no) = own.iter().partition::<Vec<_>, _>(|p| self.may(by, Kind::Param, 'w', p, state));
        let known = |path: &&&String| {
            let row = split(path).0;
            let of_row = [Kind::Obj, Kind::InstantiatedObj].map(|kind| self.may(by, kind, 'r', row, state));
            of_row.contains(&true) || self.may(by, Kind::Param, 'r', path, state)
        };
        let fails = no.iter().any(|path| known(&path));
        let done: BTreeSet<String> = may.iter().filter(|_| !fails).map(|path| (**path).clone()).collect();
        let request = set(false, &[(&format!("{table}*."), &[&format!("{param}={value}")])]);
        let answer = self.ask(self.controllers[by], request);
        let after = self.state();
        for path in own.iter().map(|path| (*path).clone()).collect::<Vec<_>>() {
            let expected = if done.contains(&path) { &value } else { &state[&path] };
            self.check(after[&path] == *expected, || format!("{path} is {}: {answer}", after[&path]));
        }
    }

    pub(super) fn add(&mut self, by: usize, (table, key, _): (&str, &str, &str), n: usize, state: &State) {
        let own = table.contains("LocalAgent");
        let value = if own { format!("Device.X{}", self.serial) } else { name(n) };
        self.serial += 1;
        let answer = self.ask(self.controllers[by], add(false, &[(table, &[&format!("{key}={value}")])]));
        let new = format!("{table}{NEW}");
        let allowed = self.may(by, Kind::Obj, 'w', &new, state)
            && self.may(by, Kind::Param, 'w', &format!("{new}{key}"), state);
        self.check(answer.starts_with(table) == allowed, || format!("{allowed}: {answer}"));
    }

    pub(super) fn delete(&mut self, by: usize, row: &str, state: &State) {
        let request = Delete { allow_partial: false, obj_paths: vec![row.to_owned()] };
        let answer = self.ask(self.controllers[by], ReqType::Delete(request));
        let allowed = self.may(by, Kind::InstantiatedObj, 'w', row, state);
        let gone = !self.state().keys().any(|path| split(path).0 == row);
        self.check(gone == allowed, || format!("{row}: {answer}"));
    }
}
