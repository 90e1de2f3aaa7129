//! The plain forms of templates; what computes anything is refused.

use crate::adopt::json::Json;
use crate::adopt::model::{Body, pointed};

/// Where a value is by its template: a JSON Pointer, or `None` for the whole text.
///
/// Errors: the template computes something.
pub(super) fn place(template: Option<&str>) -> Result<Option<String>, String> {
    let Some(template) = template else { return Ok(None) };
    let refused = || {
        format!("only plain templates such as `{{{{ value_json.x.y }}}}` are understood, not `{template}`")
    };
    let inner = inner(template).ok_or_else(refused)?;
    // A message without the value says nothing anyway.
    let inner = inner
        .strip_suffix("is_defined")
        .map_or(inner, |rest| rest.trim_end().trim_end_matches('|').trim_end());
    if inner == "value" {
        return Ok(None);
    }
    let path = inner.strip_prefix("value_json").ok_or_else(refused)?;
    pointer(path).map(Some).ok_or_else(refused)
}

/// What is between the braces.
fn inner(template: &str) -> Option<&str> {
    let inner = template.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    Some(inner.trim_start_matches('-').trim_end_matches('-').trim())
        .filter(|inner| !inner.contains(['{', '}']))
}

/// `.a['b'][0].c` as a pointer.
fn pointer(mut path: &str) -> Option<String> {
    let mut pointer = String::new();
    while !path.is_empty() {
        let (member, rest) = if let Some(rest) = path.strip_prefix('.') {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            rest.split_at_checked(end)?
        } else {
            let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
            let text = ['\'', '"'].iter().find_map(|quote| index.strip_prefix(*quote)?.strip_suffix(*quote));
            (text.or_else(|| Some(index).filter(|index| index.parse::<u16>().is_ok()))?, rest)
        };
        (!member.is_empty() && !member.contains(['\'', '"'])).then_some(())?;
        pointer = pointed(&pointer, member);
        path = rest;
    }
    Some(pointer)
}

/// What a command template makes of a value.
///
/// Errors: the template computes something, or makes what is neither the value nor JSON.
pub(super) fn body(template: Option<&str>) -> Result<Body, String> {
    let Some(template) = template else { return Ok(Body::Value) };
    let refused = || format!("only `{{{{ value }}}}`, alone or in JSON, is understood, not `{template}`");
    if inner(template) == Some("value") {
        return Ok(Body::Value);
    }
    // Outside of quotes the value is a value; inside it is a part of a text.
    let mut text = String::new();
    let mut rest = template.trim();
    let mut quoted = false;
    while let Some(at) = rest.find("{{") {
        let (before, from) = rest.split_at_checked(at).ok_or_else(refused)?;
        let (expression, after) =
            from.strip_prefix("{{").and_then(|from| from.split_once("}}")).ok_or_else(refused)?;
        if expression.trim() != "value" {
            return Err(refused());
        }
        quoted ^= before.matches('"').count() % 2 == 1;
        text.push_str(before);
        text.push_str(if quoted { "$value" } else { "\"$value\"" });
        rest = after;
    }
    text.push_str(rest);
    if text.contains("{%") {
        return Err(refused());
    }
    Json::parse(text.as_bytes())
        .filter(|json| matches!(json, Json::Map(_) | Json::List(_)))
        .map(Body::Tree)
        .ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_templates_are_places() {
        for (template, expected) in [
            ("{{ value_json.temperature }}", Some(Some("/temperature"))),
            ("{{value_json.SENSOR.AM2301.Temperature}}", Some(Some("/SENSOR/AM2301/Temperature"))),
            ("{{ value_json['a b'][\"c/d\"][0] }}", Some(Some("/a b/c~1d/0"))),
            ("{{ value_json.x | is_defined }}", Some(Some("/x"))),
            ("{{ value }}", Some(None)),
            ("{{ value_json }}", Some(Some(""))),
            ("{{ value_json.x | float }}", None),
            ("{{ value_json.x * 2 }}", None),
            ("{% if value_json.x %}1{% endif %}", None),
            ("{{ value_json.a }}{{ value_json.b }}", None),
            ("{{ value_json['a' ~ 'b'] }}", None),
            ("", None),
        ] {
            let place = place(Some(template)).ok();
            assert_eq!(place, expected.map(|place| place.map(str::to_owned)), "{template}");
        }
        assert_eq!(place(None), Ok(None));
    }

    #[test]
    fn command_templates_are_bodies() {
        assert_eq!(body(Some("{{ value }}")), Ok(Body::Value));
        let tree = |text: &str| Ok(Body::Tree(Json::parse(text.as_bytes()).unwrap()));
        assert_eq!(body(Some(r#"{"x": {{ value }}, "y": 1}"#)), tree(r#"{"x": "$value", "y": 1}"#));
        assert_eq!(body(Some(r#"{"x": "a {{value}}"}"#)), tree(r#"{"x": "a $value"}"#));
        assert!(body(Some("{{ value | int }}")).is_err());
        assert!(body(Some("x{{ value }}")).is_err());
        assert!(body(Some("{% if value %}{% endif %}")).is_err());
    }
}
