//! Single values, spelled the one way that every YAML reader understands alike.

use std::time::Duration;

use rust_decimal::Decimal;

use super::Report;
use super::spelling::{self, Meant};
use crate::code::Code;
use crate::diagnostic::Span;
use crate::draft::At;
use crate::value::parse_decimal;
use crate::words::nearest;
use crate::yaml::{Kind, Node};

/// Longest duration.
const MAX_DURATION: Duration = Duration::from_secs(366 * 24 * 3600);

impl Report<'_> {
    /// A text. What an older or newer YAML reader would take for something else must be quoted.
    pub(crate) fn text(&mut self, node: &Node) -> Option<At<String>> {
        let (text, plain) = self.scalar(node, "a text")?;
        if plain && let Some(taken_for) = misread(text) {
            let message = format!("`{text}` is {taken_for} to some YAML readers, and a text was expected");
            self.error(Code::YamlTrap, node.span, message)
                .fix(format!("\"{text}\""))
                .help(format!("write \"{text}\""));
        }
        Some(At::new(text.to_owned(), node.span))
    }

    /// A single value of any kind, as it is spelled.
    pub(crate) fn spelling(&mut self, node: &Node) -> Option<At<String>> {
        let (text, _) = self.scalar(node, "a value")?;
        Some(At::new(text.to_owned(), node.span))
    }

    pub(crate) fn boolean(&mut self, node: &Node) -> Option<At<bool>> {
        let (text, plain) = self.scalar(node, "true or false")?;
        match (text, plain) {
            ("true", true) => return Some(At::new(true, node.span)),
            ("false", true) => return Some(At::new(false, node.span)),
            (_, true) if as_boolean(text).is_some() => {
                let meant = as_boolean(text).unwrap_or_default();
                let message = format!("`{text}` is a Boolean to some YAML readers and a text to others");
                self.error(Code::YamlTrap, node.span, message)
                    .fix(meant.to_string())
                    .help(format!("write {meant}"));
            }
            _ => {
                let message = format!("expected true or false, not `{text}`");
                let error = self.error(Code::WrongKind, node.span, message);
                let meant = text.to_ascii_lowercase();
                let certain = meant == "true" || meant == "false";
                let error = if certain { error.fix(meant) } else { error };
                error.help("write true or false without quotes");
            }
        }
        None
    }

    /// A whole number, in decimal or with `0x` in hexadecimal.
    pub(crate) fn integer(&mut self, node: &Node) -> Option<At<i128>> {
        let text = self.unquoted(node, "a whole number")?;
        let digits = text.strip_prefix('-').unwrap_or(text);
        let parsed = match digits.strip_prefix("0x") {
            Some(hex) if !hex.starts_with('+') => i128::from_str_radix(hex, 16).ok(),
            None if digits.len() <= 30
                && !digits.is_empty()
                && digits.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                self.leading_zero(text, digits, node.span)?;
                digits.parse().ok()
            }
            _ => None,
        };
        let Some(number) = parsed else {
            self.no_number(node.span, text, "a whole number");
            return None;
        };
        Some(At::new(if text.starts_with('-') { -number } else { number }, node.span))
    }

    /// A whole number within bounds, both included.
    pub(crate) fn int<T: TryFrom<i128>>(
        &mut self,
        node: &Node,
        what: &str,
        min: i128,
        max: i128,
    ) -> Option<At<T>> {
        let number = self.integer(node)?;
        if let Some(value) =
            Some(number.value).filter(|n| (min..=max).contains(n)).and_then(|n| T::try_from(n).ok())
        {
            return Some(At::new(value, number.span));
        }
        let message = format!("{what} must be {min} to {max}, not {}", number.value);
        self.error(Code::NumberRange, node.span, message).help(format!("write a number from {min} to {max}"));
        None
    }

    /// A decimal without exponent.
    pub(crate) fn decimal(&mut self, node: &Node) -> Option<At<Decimal>> {
        let text = self.unquoted(node, "a number")?;
        let digits = text.strip_prefix('-').unwrap_or(text);
        self.leading_zero(text, digits, node.span)?;
        match parse_decimal(text) {
            Ok(number) => Some(At::new(number, node.span)),
            Err(_) => {
                self.no_number(node.span, text, "a number");
                None
            }
        }
    }

    fn no_number(&mut self, span: Span, text: &str, what: &str) {
        let message = format!("expected {what}, not `{text}`");
        let usual = "write it in digits, such as 12 or -5, or with 0x in hexadecimal";
        match spelling::number(text, what != "a number") {
            // No reader computes anything.
            Some(Meant { number: Some(number), help })
                if text.contains(['/', '^']) || text.contains("**") =>
            {
                self.error(Code::WrongKind, span, message).fix(number).help(help);
            }
            Some(Meant { number: Some(number), help }) => {
                let message = format!("`{text}` is a number to some YAML readers and a text to others");
                self.error(Code::YamlTrap, span, message).fix(number).help(help);
            }
            Some(Meant { number: None, help }) => self.error(Code::WrongKind, span, message).help(help),
            None => self.error(Code::WrongKind, span, message).help(usual),
        }
    }

    /// `5ms`, `1.5s`, `2m`, `1h`, `1d`.
    pub(crate) fn duration(&mut self, node: &Node) -> Option<At<Duration>> {
        let (text, _) = self.scalar(node, "a duration")?;
        match parse_duration(text) {
            Ok(duration) => Some(At::new(duration, node.span)),
            Err(help) => {
                let error = self.error(Code::Duration, node.span, format!("`{text}` is not a duration"));
                match spelling::duration(text) {
                    Some(meant) => error.fix(meant.as_str()).help(format!("write {meant}")),
                    None => error.help(help),
                }
                None
            }
        }
    }

    /// One of these words.
    pub(crate) fn choice<T: Copy>(&mut self, node: &Node, what: &str, words: &[(&str, T)]) -> Option<At<T>> {
        let (text, _) = self.scalar(node, what)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(At::new(*value, node.span));
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let error = self.error(Code::UnknownWord, node.span, format!("`{text}` is no {what}"));
        match meaning(what) {
            Some(meaning) if nearest(text, names.iter().copied()).is_none() => error.help(meaning),
            _ => error.suggest(text, &names),
        }
        None
    }

    fn unquoted<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        let (text, plain) = self.scalar(node, what)?;
        if !plain {
            let message = format!("expected {what}, not the text \"{text}\"");
            self.error(Code::WrongKind, node.span, message).fix(text).help("leave the quotes away");
            return None;
        }
        Some(text)
    }

    fn leading_zero(&mut self, text: &str, digits: &str, span: Span) -> Option<()> {
        let mut bytes = digits.bytes();
        if bytes.next() != Some(b'0') || !bytes.next().is_some_and(|byte| byte.is_ascii_digit()) {
            return Some(());
        }
        let message = format!("`{text}` is octal to some YAML readers and decimal to others");
        let bare = digits.trim_start_matches('0');
        let decimal =
            if bare.starts_with(|c: char| c.is_ascii_digit()) { bare.to_owned() } else { format!("0{bare}") };
        self.error(Code::YamlTrap, span, message).help(format!("write {decimal}, or 0x… for hexadecimal"));
        None
    }

    fn scalar<'n>(&mut self, node: &'n Node, what: &str) -> Option<(&'n str, bool)> {
        match &node.kind {
            Kind::Scalar { text, plain } if !node.is_null() => Some((text, *plain)),
            Kind::Scalar { .. } | Kind::List(_) | Kind::Map(_) => {
                self.wrong_kind(node, &format!("expected {what}"));
                None
            }
        }
    }
}

/// What the words mean, for somebody who is not near to any.
fn meaning(what: &str) -> Option<&'static str> {
    match what {
        "order" => Some(
            "ABCD is as Modbus has it (big-endian), CDAB has its words swapped, BADC the bytes in each word, DCBA both",
        ),
        "class" => Some(
            "a number is a LevelSensor, one of two states a BinarySensor, one of several an EnumSensor; \
             what can be set is a LevelControl, BinaryControl or EnumControl",
        ),
        _ => None,
    }
}

/// What an unquoted word means to a reader of YAML 1.1.
pub(crate) fn as_boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "y" | "yes" | "on" | "true" => Some(true),
        "n" | "no" | "off" | "false" => Some(false),
        _ => None,
    }
}

/// Whether an unquoted word is a Boolean to some readers.
pub(crate) fn is_boolean_word(text: &str) -> bool {
    as_boolean(text).is_some()
}

/// A text as it has to be written where some readers would take it for something else.
pub(super) fn as_text(text: &str) -> String {
    if misread(text).is_some() { format!("\"{text}\"") } else { text.to_owned() }
}

/// What an unquoted text would be taken for.
fn misread(text: &str) -> Option<&'static str> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let numeric = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && (digits.replace('_', "").parse::<f64>().is_ok()
            || digits.starts_with("0x")
            || digits.starts_with("0o"));
    match text {
        _ if as_boolean(text).is_some() => Some("a Boolean"),
        _ if numeric => Some("a number"),
        _ if is_sexagesimal(text) => Some("a number to the base 60"),
        _ if matches!(digits.to_ascii_lowercase().as_str(), ".inf" | ".nan") => Some("a number"),
        _ if is_date(text) => Some("a date"),
        _ => None,
    }
}

/// `2024-01-31`, alone or before a time.
fn is_date(text: &str) -> bool {
    let date = text.split(['T', 't', ' ']).next().unwrap_or_default();
    let parts: Vec<&str> = date.split('-').collect();
    let digits = |part: &str, lengths: &[usize]| {
        lengths.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    matches!(parts.as_slice(), [year, month, day] if digits(year, &[4]) && digits(month, &[1, 2]) && digits(day, &[1, 2]))
}

/// `6:30` is 390 to a reader of YAML 1.1.
fn is_sexagesimal(text: &str) -> bool {
    let mut parts = text.strip_prefix(['-', '+']).unwrap_or(text).split(':');
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let first = parts.next().is_some_and(|first| number(first) && !first.starts_with('0'));
    let rest: Vec<&str> = parts.collect();
    first && !rest.is_empty() && rest.iter().all(|part| number(part) && part.len() <= 2 && *part < "60")
}

/// Errors: what to write instead.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let number = parse_decimal(number)
        .map_err(|_| "write a number and a unit, such as 500ms, 5s, 2m or 1h".to_owned())?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" => return Err(format!("add a unit: {text}ms, {text}s, {text}m or {text}h")),
        _ => return Err(format!("`{unit}` is no unit of time: ms, s, m, h and d are")),
    };
    let total = number.checked_mul(Decimal::from(milliseconds)).map(|total| total.normalize());
    let whole = total.filter(|total| total.scale() == 0).and_then(|total| u64::try_from(total).ok());
    let duration =
        whole.map(Duration::from_millis).ok_or("it must be a whole number of milliseconds from 0 on")?;
    if duration > MAX_DURATION { Err("it must be at most 366d".to_owned()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, milliseconds) in [
            ("5ms", 5),
            ("1s", 1000),
            ("1.5s", 1500),
            ("2m", 120_000),
            ("2min", 120_000),
            ("1h", 3_600_000),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in
            ["5", "s", "", "-1s", "0.5ms", "1w", "1 s", "9999d", "1e3s", "99999999999999999999999999999s"]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn words_that_readers_take_for_something_else() {
        for text in [
            "y",
            "No",
            "ON",
            "true",
            "1",
            "-1.5",
            "0x1f",
            "1_000",
            "1e3",
            ".5",
            "6:30",
            "190:20:30",
            ".inf",
            "-.Inf",
            ".NaN",
            "2024-01-31",
            "2024-1-1 10:00:00",
        ] {
            assert!(misread(text).is_some(), "{text}");
        }
        for text in [
            "yes!",
            "L1",
            "1.0.0",
            "4..6",
            "kWh",
            "inf",
            "nan",
            "5s",
            "e",
            "-",
            "6:75",
            "a:30",
            "10.0.0.1:502",
            "2024-01",
            "2024-01-31-2",
            "X-01-31",
        ] {
            assert!(misread(text).is_none(), "{text}");
        }
    }
}
