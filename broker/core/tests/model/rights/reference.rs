//! What a Controller may do, worked out naively: expressions become the numbers of the rows that they find, and the rest is
//! what [`letters`] says.

use std::collections::BTreeMap;

use crate::bench::letters::{Line, letters};

/// Every Parameter of the tables, by full path.
pub(super) type State = BTreeMap<String, String>;

/// The four strings of a Permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Param,
    Obj,
    InstantiatedObj,
}

/// One Permission.
#[derive(Clone, Debug)]
pub(super) struct Permission {
    pub(super) role: usize,
    pub(super) path: String,
    pub(super) order: u32,
    pub(super) targets: Vec<String>,
    /// Param, Obj, InstantiatedObj.
    pub(super) letters: [String; 3],
    pub(super) enabled: bool,
}

/// The object of a path and the name behind it.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.split_at(path.rfind('.').unwrap() + 1)
}

/// A Target with the numbers of the rows in place of its expression.
fn by_number(target: &str, state: &State) -> Vec<String> {
    let Some((table, rest)) = target.split_once('[') else { return vec![target.to_owned()] };
    let (expression, rest) = rest.split_once(']').unwrap();
    let (name, wanted) = expression.split_once("==").unwrap();
    let found = state.iter().filter(|(path, value)| {
        let (row, param) = split(path);
        row.starts_with(table) && param == name && **value == *wanted.trim_matches('"')
    });
    found.map(|(path, _)| format!("{}{rest}", split(path).0.trim_end_matches('.'))).collect()
}

/// Whether roles give a letter for a concrete path.
pub(super) fn may(
    permissions: &[Permission],
    roles: &[usize],
    kind: Kind,
    letter: char,
    path: &str,
    state: &State,
) -> bool {
    let of_role = |role: &usize| -> Vec<Line> {
        let own = permissions.iter().filter(|p| p.role == *role && p.enabled);
        let line = |p: &Permission| Line {
            order: p.order,
            targets: p.targets.iter().flat_map(|target| by_number(target, state)).collect(),
            letters: p.letters[kind as usize].clone(),
        };
        own.map(line).collect()
    };
    let roles: Vec<Vec<Line>> = roles.iter().map(of_role).collect();
    letters(&roles, path).contains(letter)
}
