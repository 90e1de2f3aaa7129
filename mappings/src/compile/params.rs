//! Parameters: what a site says about a device of a model.

use std::collections::BTreeMap;

use crate::code::Code;
use crate::draft::{MappingDraft, ParamDraft, ParamKind};
use crate::read::Report;
use crate::words::suggestion;

/// The value of each parameter of a mapping, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Params(BTreeMap<String, String>);

impl Params {
    /// The defaults, and where there is none an admissible example: enough to check a mapping by itself.
    pub fn examples(draft: &MappingDraft) -> Self {
        Self::of(&draft.params)
    }

    pub(crate) fn of(params: &[ParamDraft]) -> Self {
        Self(params.iter().map(|param| (param.name.value.clone(), example(param))).collect())
    }

    /// `, with …` in which it differs from others.
    pub(crate) fn difference(&self, others: &Self) -> String {
        let differs = self.0.iter().filter(|(name, value)| others.0.get(*name) != Some(value));
        let named: Vec<String> = differs.map(|(name, value)| format!("`{name}: {value}`")).collect();
        format!(", with {}", named.join(" and "))
    }

    /// The same but for one parameter.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut params = self.clone();
        params.set(name, value);
        params
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }
}

fn example(param: &ParamDraft) -> String {
    match (&param.default, &param.kind) {
        (Some(default), _) => default.value.clone(),
        (None, ParamKind::Enum(words)) => words.first().cloned().unwrap_or_default(),
        (None, ParamKind::Int(min, _)) => min.to_string(),
        (None, ParamKind::Text(_)) => "x".to_owned(),
        (None, ParamKind::Bool) => "false".to_owned(),
        (None, ParamKind::Number(min, _)) => min.to_string(),
    }
}

/// Why a parameter cannot have this value, and what it can have.
pub(crate) fn refuse(param: &ParamDraft, value: &str) -> Option<(String, String)> {
    let name = &param.name.value;
    match &param.kind {
        ParamKind::Enum(words) if !words.iter().any(|word| word == value) => {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            Some((format!("`{value}` is no value of the parameter `{name}`"), suggestion(value, &words)))
        }
        ParamKind::Int(min, max) if !whole(value).is_some_and(|number| (*min..=*max).contains(&number)) => {
            Some((
                format!("`{value}` is no value of the parameter `{name}`"),
                format!("a whole number, {min} to {max}"),
            ))
        }
        ParamKind::Text(most) if value.chars().count() > *most => {
            Some((format!("the parameter `{name}` is too long"), format!("at most {most} characters")))
        }
        ParamKind::Bool if !matches!(value, "true" | "false") => Some((
            format!("`{value}` is no value of the parameter `{name}`"),
            "write true or false".to_owned(),
        )),
        ParamKind::Enum(_)
        | ParamKind::Int(..)
        | ParamKind::Number(..)
        | ParamKind::Bool
        | ParamKind::Text(_) => None,
    }
}

/// A whole number as mapping files write it.
fn whole(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(digits) if digits.starts_with('+') => None,
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

impl Report<'_> {
    pub(super) fn check_params(&mut self, draft: &MappingDraft) {
        for param in &draft.params {
            if let Some((default, (message, help))) =
                param.default.as_ref().and_then(|default| Some((default, refuse(param, &default.value)?)))
            {
                self.error(Code::ParamDefault, default.span, message).help(help);
            }
            let placeholder = format!("${{{}}}", param.name.value);
            if !draft.source.uses(&param.name.value) {
                let message = format!("the parameter `{}` is not used", param.name.value);
                self.unfit(Code::Placeholder, param.name.span, message).help(format!(
                    "write `{placeholder}` in a name, a description or as a whole value, or remove it"
                ));
            }
        }
    }
}
