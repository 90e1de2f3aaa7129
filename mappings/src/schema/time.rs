//! Durations: a number and a unit, whole milliseconds, at most 366 days.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::json;

use super::values::or_placeholder;

/// Each unit, how many of it the longest duration has, and how many digits behind the point are surely whole milliseconds.
const UNITS: [(&str, u64, u8); 5] =
    [("ms", 31_622_400_000, 0), ("s", 31_622_400, 3), ("(m|min)", 527_040, 4), ("h", 8784, 5), ("d", 366, 5)];

/// How long something takes.
pub(super) struct Duration;

/// A duration that is not zero.
pub(super) struct Period;

/// The shortest and the longest pause.
pub(super) struct Pauses;

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        or_placeholder(json!({ "type": "string", "pattern": pattern("") }))
    }
}

impl JsonSchema for Period {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        or_placeholder(json!({ "type": "string", "pattern": pattern(NOT_ZERO) }))
    }
}

impl JsonSchema for Pauses {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Pauses".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "array", "minItems": 2, "maxItems": 2,
            "items": or_placeholder(json!({ "type": "string", "pattern": pattern(NOT_ZERO) })),
        })
    }
}

const NOT_ZERO: &str = "(?=[0-9.]*[1-9])";

fn pattern(more: &str) -> String {
    let units = UNITS.map(|(unit, most, digits)| {
        let whole = format!(r"0*({})(\.0+)?", at_most(most));
        match digits {
            0 => format!("{whole}{unit}"),
            _ => format!(r"({whole}|0*({})\.[0-9]{{1,{digits}}}0*){unit}", at_most(most - 1)),
        }
    });
    format!("^{more}({})$", units.join("|"))
}

/// The whole numbers from 0 to this, without zeros before them.
fn at_most(most: u64) -> String {
    let digits = most.to_string();
    let mut choices = vec![digits.clone()];
    if digits.len() > 1 {
        choices.push(format!("[0-9]{{1,{}}}", digits.len() - 1));
    }
    for (at, digit) in digits.bytes().enumerate() {
        let least = if at == 0 && digits.len() > 1 { b'1' } else { b'0' };
        if digit > least {
            let (kept, rest) = (digits.get(..at).unwrap_or_default(), digits.len() - at - 1);
            let rest = if rest > 0 { format!("[0-9]{{{rest}}}") } else { String::new() };
            choices.push(format!("{kept}[{}-{}]{rest}", least as char, (digit - 1) as char));
        }
    }
    choices.join("|")
}
