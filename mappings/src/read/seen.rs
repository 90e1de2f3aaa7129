//! Which keys the reader takes in which map, for tests.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

thread_local! {
    static SEEN: RefCell<BTreeMap<String, BTreeSet<String>>> = const { RefCell::new(BTreeMap::new()) };
}

pub(super) fn note(what: &str, keys: &[&str]) {
    let keys = keys.iter().map(|key| (*key).to_owned());
    SEEN.with_borrow_mut(|seen| seen.entry(what.to_owned()).or_default().extend(keys));
}

pub(crate) fn clear() {
    SEEN.with_borrow_mut(BTreeMap::clear);
}

pub(crate) fn all() -> BTreeMap<String, BTreeSet<String>> {
    SEEN.with_borrow(Clone::clone)
}
