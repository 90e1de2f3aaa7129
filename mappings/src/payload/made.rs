//! Bodies with several arguments of a command in them: `{"brightness": "${arg.Level}", "transition": "${arg.Seconds}"}`.
//!
//! What an argument says is put in once and never looked at again: a text with `${arg.X}` or `$value` in it stays a text.

use crate::transform::Raw;
use crate::value::Value;

use super::body::text;
use super::doc::Doc;
use super::put::Tree;

/// What an argument's name stands between.
const BEGIN: &str = "${arg.";
const END: char = '}';

/// A text up to the first argument in it, that one's name, and what follows.
fn first(words: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = words.split_once(BEGIN)?;
    let (name, behind) = rest.split_once(END)?;
    Some((before, name, behind))
}

impl Tree {
    /// The names of all arguments in it.
    pub(crate) fn args(&self) -> Vec<&str> {
        match self {
            Self::Text(words) => {
                let mut rest = words.as_str();
                let next = || {
                    let (_, name, behind) = first(rest)?;
                    rest = behind;
                    Some(name)
                };
                std::iter::from_fn(next).collect()
            }
            Self::List(items) => items.iter().flat_map(Self::args).collect(),
            Self::Map(entries) => entries.iter().flat_map(|(_, item)| item.args()).collect(),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Value => Vec::new(),
        }
    }

    /// The body with these arguments: a text if `plain`, a JSON document otherwise.
    pub(crate) fn made<'v>(&self, plain: bool, arg: &dyn Fn(&str) -> Option<&'v Value>) -> Option<String> {
        match self {
            Self::Text(words) if plain => filled(words, arg),
            tree => String::from_utf8(tree.with(arg)?.to_json().ok()?).ok(),
        }
    }

    fn with<'v>(&self, arg: &dyn Fn(&str) -> Option<&'v Value>) -> Option<Doc> {
        Some(match self {
            Self::Null | Self::Value => Doc::Null,
            Self::Bool(value) => Doc::Value(Raw::Bool(*value)),
            Self::Number(number) => Doc::Value(Raw::Decimal(*number)),
            Self::Text(words) => Doc::Value(match first(words) {
                Some(("", name, "")) => raw(arg(name)?)?,
                _ => Raw::Text(filled(words, arg)?),
            }),
            Self::List(items) => Doc::List(items.iter().map(|item| item.with(arg)).collect::<Option<_>>()?),
            Self::Map(entries) => {
                let with = entries.iter().map(|(key, item)| Some((Raw::Text(key.clone()), item.with(arg)?)));
                Doc::Map(with.collect::<Option<_>>()?)
            }
        })
    }
}

fn filled<'v>(words: &str, arg: &dyn Fn(&str) -> Option<&'v Value>) -> Option<String> {
    let (mut out, mut rest) = (String::new(), words);
    while let Some((before, name, behind)) = first(rest) {
        out.push_str(before);
        out.push_str(&text(&raw(arg(name)?)?).ok()?);
        rest = behind;
    }
    out.push_str(rest);
    Some(out)
}

/// An argument as it is.
fn raw(value: &Value) -> Option<Raw> {
    match value {
        Value::Bool(value) => Some(Raw::Bool(*value)),
        Value::Number(number) => Some(Raw::Decimal(*number)),
        Value::Text(text) => Some(Raw::Text(text.clone())),
        Value::Numbers(_) | Value::Bytes(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_stand_where_their_names_are_and_are_not_read_again() {
        let text = |words: &str| Tree::Text(words.to_owned());
        let tree = Tree::Map(vec![
            ("level".to_owned(), text("${arg.Level}")),
            ("on".to_owned(), Tree::Bool(true)),
            (
                "say".to_owned(),
                Tree::List(vec![text("to ${arg.Level} in ${arg.Words}"), text("${arg.Words}")]),
            ),
        ]);
        assert_eq!(tree.args(), ["Level", "Level", "Words", "Words"]);
        let (level, words) = (Value::Number(5.into()), Value::Text("${arg.Level} \"$value\"".to_owned()));
        let arg = |name: &str| match name {
            "Level" => Some(&level),
            "Words" => Some(&words),
            _ => None,
        };
        assert_eq!(
            tree.made(false, &arg).as_deref(),
            Some(
                r#"{"level":5,"on":true,"say":["to 5 in ${arg.Level} \"$value\"","${arg.Level} \"$value\""]}"#
            )
        );
        assert_eq!(text("HSB ${arg.Level},100").made(true, &arg).as_deref(), Some("HSB 5,100"));
        assert_eq!(text("${arg.Other}").made(true, &arg), None);
        assert!(text("${arg.Level").args().is_empty() && text("$value").args().is_empty());
    }
}
