//! JSON (RFC 8259) as bridges publish it: a tree with numbers as they were written, bounded in size and depth.

use rust_decimal::Decimal;

/// Longest document.
pub(crate) const MAX_BYTES: usize = 8 << 20;
/// Most values in one document.
const MAX_VALUES: usize = 400_000;
/// Deepest nesting.
const MAX_DEPTH: usize = 24;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// As it was written.
    Number(String),
    Text(String),
    List(Vec<Self>),
    /// Members in their order; of two with one name both are there, and the first is found.
    Map(Vec<(String, Self)>),
}

impl Json {
    /// Reads one document; `None`: it is none, or beyond the bounds.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok().filter(|text| text.len() <= MAX_BYTES)?;
        let mut reader = Reader { rest: text, values: 0 };
        let value = reader.value(0)?;
        reader.space();
        reader.rest.is_empty().then_some(value)
    }

    /// A member of a map.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Members of members.
    pub(crate) fn at(&self, names: &[&str]) -> Option<&Self> {
        names.iter().try_fold(self, |value, name| value.get(name))
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_text()
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Self::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    pub(crate) fn number(&self, name: &str) -> Option<Decimal> {
        self.get(name)?.as_number()
    }

    pub(crate) fn items(&self, name: &str) -> &[Self] {
        self.get(name).map_or(&[], Self::as_items)
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Exactly; `None` where 28 digits do not do.
    pub(crate) fn as_number(&self) -> Option<Decimal> {
        match self {
            Self::Number(text) if text.contains(['e', 'E']) => Decimal::from_scientific(text).ok(),
            Self::Number(text) => Decimal::from_str_exact(text).ok(),
            _ => None,
        }
    }

    pub(crate) fn as_items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn as_members(&self) -> &[(String, Self)] {
        match self {
            Self::Map(members) => members,
            _ => &[],
        }
    }

    /// What a scalar says, without quotes.
    pub(crate) fn plain(&self) -> Option<String> {
        match self {
            Self::Bool(flag) => Some(flag.to_string()),
            Self::Number(text) | Self::Text(text) => Some(text.clone()),
            Self::Null | Self::List(_) | Self::Map(_) => None,
        }
    }
}

struct Reader<'t> {
    rest: &'t str,
    values: usize,
}

impl<'t> Reader<'t> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, word: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        self.values += 1;
        if depth > MAX_DEPTH || self.values > MAX_VALUES {
            return None;
        }
        self.space();
        match self.rest.chars().next()? {
            '{' => self.map(depth),
            '[' => self.list(depth),
            '"' => self.string().map(Json::Text),
            't' => self.take("true").map(|()| Json::Bool(true)),
            'f' => self.take("false").map(|()| Json::Bool(false)),
            'n' => self.take("null").map(|()| Json::Null),
            _ => self.number(),
        }
    }

    fn map(&mut self, depth: usize) -> Option<Json> {
        self.take("{")?;
        let mut members = Vec::new();
        self.space();
        if self.take("}").is_some() {
            return Some(Json::Map(members));
        }
        loop {
            self.space();
            let name = self.string()?;
            self.space();
            self.take(":")?;
            members.push((name, self.value(depth + 1)?));
            self.space();
            if self.take(",").is_none() {
                return self.take("}").map(|()| Json::Map(members));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Option<Json> {
        self.take("[")?;
        let mut items = Vec::new();
        self.space();
        if self.take("]").is_some() {
            return Some(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space();
            if self.take(",").is_none() {
                return self.take("]").map(|()| Json::List(items));
            }
        }
    }

    fn number(&mut self) -> Option<Json> {
        let end = self.rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'));
        let (text, rest) = self.rest.split_at_checked(end.unwrap_or(self.rest.len()))?;
        is_number(text).then_some(())?;
        self.rest = rest;
        Some(Json::Number(text.to_owned()))
    }

    fn string(&mut self) -> Option<String> {
        self.take("\"")?;
        let mut text = String::new();
        loop {
            let end = self.rest.find(|c: char| c == '"' || c == '\\' || c < ' ')?;
            let (plain, rest) = self.rest.split_at_checked(end)?;
            text.push_str(plain);
            self.rest = rest;
            if self.take("\"").is_some() {
                return Some(text);
            }
            self.take("\\")?;
            text.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Option<char> {
        let sign = self.rest.chars().next()?;
        self.rest = self.rest.get(sign.len_utf8()..)?;
        Some(match sign {
            '"' | '\\' | '/' => sign,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => return self.unicode(),
            _ => return None,
        })
    }

    /// One that stands alone of a pair becomes the replacement character.
    fn unicode(&mut self) -> Option<char> {
        let high = self.hex()?;
        if !(0xd800..0xdc00).contains(&high) {
            return Some(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        if self.take("\\u").is_none() {
            return Some(char::REPLACEMENT_CHARACTER);
        }
        let low = self.hex()?;
        let pair =
            (0xdc00..0xe000).contains(&low).then(|| 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
        Some(pair.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Option<u32> {
        let (digits, rest) = self.rest.split_at_checked(4)?;
        digits.chars().all(|c| c.is_ascii_hexdigit()).then_some(())?;
        self.rest = rest;
        u32::from_str_radix(digits, 16).ok()
    }
}

/// Whether it is a number by the grammar of JSON.
fn is_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
    let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|text| digits(text.strip_prefix(['+', '-']).unwrap_or(text)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_document_is_read_as_it_is_written() {
        let json = Json::parse(
            br#" {"a": [1, -0.50, 1e3], "b": {"c": "x\u00b0\ud83d\ude00\n"}, "d": null, "e": true} "#,
        )
        .unwrap();
        let numbers: Vec<String> =
            json.items("a").iter().map(|item| item.as_number().unwrap().to_string()).collect();
        assert_eq!(numbers, ["1", "-0.50", "1000"]);
        assert_eq!(json.at(&["b", "c"]).and_then(Json::as_text), Some("x°😀\n"));
        assert_eq!((json.get("d"), json.flag("e")), (Some(&Json::Null), Some(true)));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            "{",
            "{\"a\"}",
            "[1,]",
            "{\"a\":1,}",
            "01",
            "1.",
            "-",
            "+1",
            ".5",
            "1e",
            "nul",
            "\"a",
            "\"\\x\"",
            "\"\\ud8\"",
            "[1] 2",
            "\"\t\"",
            "NaN",
            "'a'",
        ] {
            assert_eq!(Json::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Json::parse(&[0xff, 0xfe]), None);
        let deep = "[".repeat(MAX_DEPTH + 2) + &"]".repeat(MAX_DEPTH + 2);
        assert_eq!(Json::parse(deep.as_bytes()), None);
        assert!(Json::parse("\"\\ud83dx\"".as_bytes()).is_some());
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            Json::parse(&bytes);
        }

        #[test]
        fn it_agrees_with_another_reader(text in r#"[\[\]{}:,"a0-9.eE\\u -]{0,24}"#) {
            let other = serde_json::from_str::<serde_json::Value>(&text);
            // The other reader refuses what does not fit its numbers.
            if other.is_ok() {
                prop_assert!(Json::parse(text.as_bytes()).is_some(), "{text}");
            } else if !text.contains(['e', 'E']) && !text.contains("\\u") {
                prop_assert!(Json::parse(text.as_bytes()).is_none(), "{text}");
            }
        }
    }
}
