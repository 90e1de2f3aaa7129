//! Text forms of values (TR-106 "Data Types", R-ENC.6).

mod binary;
mod datetime;

pub use binary::{base64_decode, base64_encode, hex_decode, hex_encode};
pub use datetime::{UNKNOWN_TIME, UNKNOWN_TIME_MS, format_datetime, parse_datetime};

/// Reads a boolean: `true`, `false`, `1`, `0`.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// Writes a boolean: `true` or `false`.
pub fn format_bool(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// The items of a comma-separated list, without the spaces around them, and with their escapes (see [`unescape_item`]).
/// An empty text has no items.
pub fn split_list(text: &str) -> impl Iterator<Item = &str> {
    let is_empty = text.trim().is_empty();
    text.split(',').map(str::trim).filter(move |_| !is_empty)
}

/// A comma-separated list of items, as they are.
pub fn join_list<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let mut list = String::new();
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            list.push(',');
        }
        list.push_str(item.as_ref());
    }
    list
}

/// Escapes what an item of a list of strings may not have: white space, `,` and `%`.
pub fn escape_item(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ',' | '%' | ' ' | '\t' | '\r' | '\n' => out.push_str(&format!("%{:02X}", u32::from(c))),
            other => out.push(other),
        }
    }
    out
}

/// Undoes [`escape_item`]. What is no escape stays as it is.
pub fn unescape_item(text: &str) -> String {
    crate::websocket::decode_eid(text).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans() {
        assert_eq!(
            ["true", "1", "false", "0"].map(parse_bool),
            [Some(true), Some(true), Some(false), Some(false)]
        );
        assert_eq!(["TRUE", "", "yes", " true"].map(parse_bool), [None; 4]);
        assert_eq!(parse_bool(format_bool(true)), Some(true));
    }

    #[test]
    fn lists() {
        let items = |text: &'static str| split_list(text).collect::<Vec<_>>();
        assert_eq!(items("a, b ,c"), ["a", "b", "c"]);
        assert_eq!(items("a,,b"), ["a", "", "b"]);
        assert!(items("").is_empty() && items("  ").is_empty());
        assert_eq!(join_list(["a", "b"]), "a,b");
        assert_eq!(join_list(Vec::<String>::new()), "");
    }

    #[test]
    fn items_with_commas_survive_a_list() {
        let text = "a, 100% of\tb";
        assert_eq!(escape_item(text), "a%2C%20100%25%20of%09b");
        assert_eq!(unescape_item(&escape_item(text)), text);
        assert_eq!(unescape_item("100%"), "100%");
    }
}
