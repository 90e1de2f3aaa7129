//! The stored Parameters of a row: few, kept by the hundred thousand, seldom changed.

use usp_proto::path::Name;

/// Text values by name, in the order of the names. As much memory as there is in it, and no more.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Params(Vec<(Name, String)>);

impl Params {
    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_str().cmp(name))
    }

    /// A value.
    pub fn get(&self, name: &str) -> Option<&String> {
        let index = self.find(name).ok()?;
        self.0.get(index).map(|(_, value)| value)
    }

    /// Whether there is a value.
    pub fn contains_key(&self, name: &str) -> bool {
        self.find(name).is_ok()
    }

    /// Sets a value; the former one.
    pub fn insert(&mut self, name: Name, value: String) -> Option<String> {
        match self.find(&name) {
            Ok(index) => self.0.get_mut(index).map(|(_, known)| std::mem::replace(known, value)),
            Err(index) => {
                self.0.reserve_exact(1);
                self.0.insert(index, (name, value));
                None
            }
        }
    }

    /// Takes a value away.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        self.find(name).ok().map(|index| self.0.remove(index).1)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &String)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// All names.
    pub fn keys(&self) -> impl Iterator<Item = &Name> {
        self.0.iter().map(|(name, _)| name)
    }

    /// Keeps those that are wanted.
    pub fn retain(&mut self, mut wanted: impl FnMut(&Name, &String) -> bool) {
        self.0.retain(|(name, value)| wanted(name, value));
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Extend<(Name, String)> for Params {
    fn extend<I: IntoIterator<Item = (Name, String)>>(&mut self, more: I) {
        for (name, value) in more {
            self.insert(name, value);
        }
    }
}

impl FromIterator<(Name, String)> for Params {
    fn from_iter<I: IntoIterator<Item = (Name, String)>>(all: I) -> Self {
        let mut params = Self::default();
        params.extend(all);
        params
    }
}

impl IntoIterator for Params {
    type Item = (Name, String);
    type IntoIter = std::vec::IntoIter<(Name, String)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_does_what_a_map_does(steps in prop::collection::vec((0u8..6, any::<u8>(), any::<bool>()), 0..60)) {
            let (mut params, mut map) = (Params::default(), BTreeMap::new());
            for (name, value, sets) in steps {
                let name = Name::new(&format!("N{name}")).unwrap();
                if sets {
                    let value = value.to_string();
                    prop_assert_eq!(params.insert(name.clone(), value.clone()), map.insert(name, value));
                } else {
                    prop_assert_eq!(params.remove(&name), map.remove(&name));
                }
                prop_assert!(params.iter().eq(map.iter()));
            }
            for name in ["N0", "N3", "N9"] {
                prop_assert_eq!(params.get(name), map.get(name));
            }
        }
    }
}
