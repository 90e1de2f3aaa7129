//! A table of the file as it was written: typed access that notes every problem and misses no unknown key.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::later;
use super::problem::{Problems, nearest};

/// A value with the place where it stands.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// A table of which each key is taken once; what is left at the end is unknown.
pub(super) struct Table<'d> {
    /// As a user would write its header; empty at the top.
    name: String,
    pub(super) span: Range<usize>,
    left: BTreeMap<&'d str, (Range<usize>, &'d Spanned<DeValue<'d>>)>,
    known: Vec<&'static str>,
}

impl<'d> Table<'d> {
    pub(super) fn root(table: &'d DeTable<'d>) -> Self {
        Self::new(String::new(), 0..0, table)
    }

    fn new(name: String, span: Range<usize>, table: &'d DeTable<'d>) -> Self {
        let left = table.iter().map(|(key, value)| (key.get_ref().as_ref(), (key.span(), value))).collect();
        Self { name, span, left, known: Vec::new() }
    }

    fn take(&mut self, key: &'static str) -> Option<(Range<usize>, &'d Spanned<DeValue<'d>>)> {
        self.known.push(key);
        self.left.remove(key)
    }

    /// Takes a value and converts it; `wanted` says in the user's words what it should have been.
    fn typed<T>(
        &mut self,
        key: &'static str,
        problems: &mut Problems<'_>,
        wanted: &str,
        convert: impl FnOnce(&'d DeValue<'d>) -> Option<T>,
    ) -> Option<At<T>> {
        let (_, value) = self.take(key)?;
        let converted = convert(value.get_ref());
        if converted.is_none() {
            let found = value.get_ref().type_str();
            problems.add(value.span(), format!("`{key}` must be {wanted}, found {}", article(found)));
        }
        Some(At { value: converted?, span: value.span() })
    }

    pub(super) fn string(&mut self, key: &'static str, problems: &mut Problems<'_>) -> Option<At<String>> {
        self.typed(key, problems, "a text", |value| value.as_str().map(str::to_owned))
    }

    pub(super) fn boolean(&mut self, key: &'static str, problems: &mut Problems<'_>) -> Option<bool> {
        self.typed(key, problems, "true or false", DeValue::as_bool).map(|at| at.value)
    }

    /// A whole number within `range`.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<u64>,
        problems: &mut Problems<'_>,
    ) -> Option<u64> {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        let (_, value) = self.take(key)?;
        let number =
            value.get_ref().as_integer().and_then(|n| i128::from_str_radix(n.as_str(), n.radix()).ok());
        let fits = number.and_then(|n| u64::try_from(n).ok()).filter(|n| range.contains(n));
        if fits.is_none() {
            let found = match number {
                Some(number) => number.to_string(),
                None => article(value.get_ref().type_str()),
            };
            problems.add(value.span(), format!("`{key}` must be {wanted}, found {found}"));
        }
        fits
    }

    /// A list of texts.
    pub(super) fn strings(
        &mut self,
        key: &'static str,
        problems: &mut Problems<'_>,
    ) -> Option<Vec<At<String>>> {
        let list = |value: &'d DeValue<'d>| {
            let item = |item: &Spanned<DeValue<'_>>| {
                item.get_ref().as_str().map(|text| At { value: text.to_owned(), span: item.span() })
            };
            value.as_array()?.iter().map(item).collect::<Option<Vec<_>>>()
        };
        self.typed(key, problems, "a list of texts", list).map(|at| at.value)
    }

    /// A table below this one.
    pub(super) fn table(&mut self, key: &'static str, problems: &mut Problems<'_>) -> Option<Self> {
        let name = self.child(key);
        let at = self.typed(key, problems, &format!("a table: [{name}]"), DeValue::as_table)?;
        Some(Table::new(name, at.span, at.value))
    }

    /// The tables of a `[[list]]` below this one, in the order of the file.
    pub(super) fn tables(&mut self, key: &'static str, problems: &mut Problems<'_>) -> Vec<Self> {
        let name = self.child(key);
        let list = |value: &'d DeValue<'d>| {
            let item = |item: &'d Spanned<DeValue<'d>>| {
                item.get_ref().as_table().map(|table| Table::new(name.clone(), item.span(), table))
            };
            value.as_array()?.iter().map(item).collect::<Option<Vec<_>>>()
        };
        self.typed(key, problems, &format!("a list of tables: [[{name}]]"), list)
            .map(|at| at.value)
            .unwrap_or_default()
    }

    /// `params = { Name = value, … }`: any keys, plain values, as USP texts (TR-106), in the order of the file.
    pub(super) fn params(&mut self, key: &'static str, problems: &mut Problems<'_>) -> Vec<(String, String)> {
        let Some(mut table) = self.table(key, problems) else { return Vec::new() };
        let mut entries: Vec<_> = std::mem::take(&mut table.left).into_iter().collect();
        entries.sort_by_key(|(_, (at, _))| at.start);
        entries.into_iter().filter_map(|(name, (_, value))| parameter(name, value, problems)).collect()
    }

    fn child(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    /// Notes every key that nobody took.
    pub(super) fn finish(self, problems: &mut Problems<'_>) {
        for (key, (span, value)) in &self.left {
            let path = self.child(key);
            if later::is_planned(&path) {
                problems.add_with_help(
                    span.clone(),
                    format!("`{path}` is not built yet in this version"),
                    "remove it: it would have no effect",
                );
                continue;
            }
            let kind = if value.get_ref().is_table() && self.name.is_empty() { "section" } else { "key" };
            let place = if self.name.is_empty() { String::new() } else { format!(" in [{}]", self.name) };
            let help = match nearest(key, self.known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            problems.add_with_help(span.clone(), format!("unknown {kind} `{key}`{place}"), help);
        }
    }

    /// Takes a text that has to be there.
    pub(super) fn required(&mut self, key: &'static str, problems: &mut Problems<'_>) -> Option<At<String>> {
        if !self.left.contains_key(key) {
            problems.add(self.span.clone(), format!("[[{}]] needs `{key}`", self.name));
        }
        self.string(key, problems)
    }
}

fn parameter(
    name: &str,
    value: &Spanned<DeValue<'_>>,
    problems: &mut Problems<'_>,
) -> Option<(String, String)> {
    let text = match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            i128::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n.to_string())
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(value) => Some(value.to_string()),
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
    };
    if text.is_none() {
        problems.add_with_help(
            value.span(),
            format!(
                "the Parameter `{name}` must be a plain value, found {}",
                article(value.get_ref().type_str())
            ),
            "write a list as one text with commas: \"a,b\"",
        );
    }
    Some((name.to_owned(), text?))
}

fn article(type_name: &str) -> String {
    match type_name.chars().next() {
        Some('a' | 'e' | 'i' | 'o' | 'u') => format!("an {type_name}"),
        _ => format!("a {type_name}"),
    }
}
