//! What is subscribed to.

use std::collections::{BTreeMap, HashMap};

use usp_mapping::mapping::filter_matches;

/// Topic filters with the Quality of Service that each is wanted with.
pub(crate) type Filters = BTreeMap<String, u8>;

/// The filters that are to be subscribed to for all of `wanted`: those that no other one covers, each with the highest
/// Quality of Service that somebody below it wants.
pub(crate) fn widest(wanted: &Filters) -> Filters {
    let wide: Vec<&String> = wanted.keys().filter(|filter| has_wildcard(filter)).collect();
    let covers_it = |filter: &str| wide.iter().any(|other| other.as_str() != filter && covers(other, filter));
    let mut widest: Filters = BTreeMap::new();
    for (filter, qos) in wanted.iter().filter(|(filter, _)| !covers_it(filter)) {
        let below = wanted.iter().filter(|(other, _)| covers(filter, other)).map(|(_, qos)| *qos);
        widest.insert(filter.clone(), below.fold(*qos, u8::max));
    }
    widest
}

fn has_wildcard(filter: &str) -> bool {
    filter.contains(['+', '#'])
}

/// Whether every topic that `narrow` means is among those that `wide` means.
fn covers(wide: &str, narrow: &str) -> bool {
    let is_special = |filter: &str| filter.starts_with('$');
    if is_special(narrow) != is_special(wide) {
        return false;
    }
    let (mut wide, mut narrow) = (wide.split('/'), narrow.split('/'));
    loop {
        match (wide.next(), narrow.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(level)) if level != "#" => {}
            (Some(wide), Some(narrow)) if wide == narrow => {}
            _ => return false,
        }
    }
}

/// What is to be done so that what is subscribed to is what is wanted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// Filters to subscribe to.
    pub(crate) subscribe: Vec<(String, u8)>,
    /// Filters to subscribe to for a moment, although another one covers them: so that the server gives what it has kept
    /// there to whoever is new.
    pub(crate) glimpse: Vec<(String, u8)>,
    /// Filters that are no longer wanted.
    pub(crate) unsubscribe: Vec<String>,
}

/// What all listeners want together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// What they listen to.
    pub(crate) filters: Filters,
    /// When somebody last began to listen to each, counted: who is new wants what the server has kept.
    pub(crate) since: BTreeMap<String, u64>,
}

/// From what is held, and the newest listener then, to what is wanted.
pub(crate) fn change(held: &Filters, newest: u64, wanted: &Wanted) -> Change {
    let widest = widest(&wanted.filters);
    let is_new = |filter: &str| wanted.since.get(filter).is_some_and(|since| *since > newest);
    let subscribe: Vec<(String, u8)> = widest
        .iter()
        .filter(|(filter, qos)| held.get(*filter) != Some(*qos) || is_new(filter))
        .map(|(filter, qos)| (filter.clone(), *qos))
        .collect();
    let told = |filter: &str| subscribe.iter().any(|(wide, _)| covers(wide, filter));
    let glimpse = wanted
        .filters
        .iter()
        .filter(|(filter, _)| is_new(filter) && !widest.contains_key(*filter) && !told(filter))
        .map(|(filter, qos)| (filter.clone(), *qos))
        .collect();
    let unsubscribe = held.keys().filter(|filter| !widest.contains_key(*filter)).cloned().collect();
    Change { subscribe, glimpse, unsubscribe }
}

/// Who wants what.
#[derive(Debug)]
pub(crate) struct Routes<T> {
    exact: HashMap<String, Vec<T>>,
    wide: Vec<(String, T)>,
}

impl<T> Default for Routes<T> {
    fn default() -> Self {
        Self { exact: HashMap::new(), wide: Vec::new() }
    }
}

impl<T: Clone + PartialEq> Routes<T> {
    /// Somebody wants what is published under a filter.
    pub(crate) fn add(&mut self, filter: &str, who: &T) {
        if has_wildcard(filter) {
            self.wide.push((filter.to_owned(), who.clone()));
            return;
        }
        let known = self.exact.entry(filter.to_owned()).or_default();
        if !known.contains(who) {
            known.push(who.clone());
        }
    }

    /// Everybody who wants it, once.
    pub(crate) fn of(&self, topic: &str) -> Vec<T> {
        let mut all = self.exact.get(topic).cloned().unwrap_or_default();
        for (filter, who) in &self.wide {
            if filter_matches(filter, topic) && !all.contains(who) {
                all.push(who.clone());
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(all: &[(&str, u8)]) -> Filters {
        all.iter().map(|(filter, qos)| ((*filter).to_owned(), *qos)).collect()
    }

    fn names(all: &[(String, u8)]) -> Vec<(&str, u8)> {
        all.iter().map(|(filter, qos)| (filter.as_str(), *qos)).collect()
    }

    #[test]
    fn what_a_wider_filter_covers_is_not_subscribed_to() {
        let wanted =
            filters(&[("z/plug", 1), ("z/+", 0), ("z/plug/set", 0), ("z/a/#", 0), ("z/a/b", 2), ("z/a", 0)]);
        assert_eq!(widest(&wanted), filters(&[("z/+", 1), ("z/plug/set", 0), ("z/a/#", 2)]));
        assert_eq!(widest(&filters(&[("#", 0), ("$SYS/x", 0)])), filters(&[("#", 0), ("$SYS/x", 0)]));
        assert!(covers("a/#", "a") && covers("a/+", "a/+") && covers("+/+", "a/b") && !covers("a/+", "a/#"));
        assert!(!covers("a/b", "a/+") && !covers("a/+/c", "a/b") && covers("#", "a/#"));
    }

    /// With when somebody last began to listen to each.
    fn wanted(all: &[(&str, u8, u64)]) -> Wanted {
        let since = all.iter().map(|(filter, _, since)| ((*filter).to_owned(), *since)).collect();
        let all: Vec<_> = all.iter().map(|(filter, qos, _)| (*filter, *qos)).collect();
        Wanted { filters: filters(&all), since }
    }

    #[test]
    fn devices_that_come_and_go_change_the_difference() {
        let begin = change(&Filters::new(), 0, &wanted(&[("a", 0, 1), ("b", 1, 2)]));
        assert_eq!(names(&begin.subscribe), [("a", 0), ("b", 1)]);
        assert!(begin.glimpse.is_empty() && begin.unsubscribe.is_empty());
        let (held, second) = (filters(&[("a", 0), ("b", 1)]), wanted(&[("b", 1, 2), ("c", 0, 3)]));
        let then = change(&held, 2, &second);
        assert_eq!((names(&then.subscribe), then.unsubscribe), (vec![("c", 0)], vec!["a".to_owned()]));
        let held = filters(&[("b", 1), ("c", 0)]);
        assert_eq!(change(&held, 3, &second), Change::default());
        let louder = change(&held, 3, &wanted(&[("b", 1, 2), ("c", 2, 3)]));
        assert_eq!(names(&louder.subscribe), [("c", 2)]);
    }

    #[test]
    fn whoever_is_new_gets_what_is_kept() {
        let held = filters(&[("z/+", 0), ("y", 0)]);
        let change_to = |all| change(&held, 5, &wanted(all));
        let below = change_to(&[("z/+", 0, 5), ("z/plug", 0, 6), ("y", 0, 1)]);
        assert!(below.subscribe.is_empty() && below.unsubscribe.is_empty());
        assert_eq!(names(&below.glimpse), [("z/plug", 0)]);
        let again = change_to(&[("z/+", 0, 5), ("y", 0, 6)]);
        assert_eq!((names(&again.subscribe), again.glimpse.len()), (vec![("y", 0)], 0));
        let anew = change(&Filters::new(), 0, &wanted(&[("z/+", 0, 1), ("z/plug", 0, 2)]));
        assert_eq!((names(&anew.subscribe), anew.glimpse.len()), (vec![("z/+", 0)], 0));
    }

    #[test]
    fn everybody_gets_what_they_want_once() {
        let mut routes = Routes::default();
        for (filter, who) in [("a/b", 1), ("a/+", 1), ("a/+", 2), ("a/b", 1), ("c", 3)] {
            routes.add(filter, &who);
        }
        assert_eq!(routes.of("a/b"), [1, 2]);
        assert_eq!(routes.of("a/x"), [1, 2]);
        assert_eq!(routes.of("c"), [3]);
        assert_eq!(routes.of("d"), [0; 0]);
    }
}
