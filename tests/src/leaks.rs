//! Whether a secret is in what somebody has written, in whatever form.

use std::collections::HashMap;

/// So many bytes of a secret in a row give it away.
const PART: usize = 6;

/// What nobody may write.
#[derive(Clone, Debug)]
pub struct Secret {
    /// Parts of it that give it away, as bytes in memory.
    parts: Vec<Vec<u8>>,
    /// The same, where it is text.
    texts: Vec<String>,
    /// Digits in a row that give it away.
    digits: Vec<String>,
    /// Words by themselves that give it away.
    words: Vec<String>,
}

impl Secret {
    /// A key of so many hexadecimal digits.
    pub fn key(hex: &str) -> Self {
        let digits: Vec<u8> = hex.chars().map(|digit| digit.to_digit(16).unwrap() as u8).collect();
        let key: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        let mut parts = parts_of(&key, PART);
        for text in [hex.to_lowercase(), hex.to_uppercase()] {
            parts.extend(parts_of(text.as_bytes(), 2 * PART));
        }
        let texts = parts_of(&key, PART).into_iter().flat_map(|part| {
            let lossy = format!("{:?}", String::from_utf8_lossy(&part));
            [part.escape_ascii().to_string(), lossy.trim_matches('"').to_owned()]
        });
        let digits = parts_of(hex.to_lowercase().as_bytes(), 2 * PART);
        let digits = digits.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect();
        Self { texts: texts.collect(), digits, parts, words: Vec::new() }
    }

    /// A number of six digits.
    pub fn passkey(number: u32) -> Self {
        let text = format!("{number:06}");
        let list = |bytes: [u8; 4]| bytes.map(|byte| byte.to_string()).join(",");
        let words = [
            text.clone(),
            text.chars().rev().collect(),
            format!("0x{number:x}"),
            format!("0x{number:X}"),
            format!("{number:08x}"),
            format!("{number:08X}"),
            list(number.to_le_bytes()),
            list(number.to_be_bytes()),
        ];
        let parts = parts_of(text.as_bytes(), text.len());
        Self { parts, texts: Vec::new(), digits: Vec::new(), words: words.to_vec() }
    }

    /// The form in which it is in a log, if it is.
    pub fn found_in(&self, log: &str) -> Option<String> {
        let views = Views::of(log);
        let each = |part: &[u8], write: &dyn Fn(&u8) -> String, between: &str| {
            part.iter().map(write).collect::<Vec<_>>().join(between)
        };
        let hex = |part: &Vec<u8>| {
            [each(part, &|byte| format!("{byte:02x}"), ""), each(part, &|byte| format!("{byte:x}"), "")]
        };
        let lists = self.parts.iter().map(|part| each(part, &u8::to_string, ",")).collect();
        let digits = self.parts.iter().flat_map(hex).chain(self.digits.clone());
        first_in(&views.digits, digits.collect())
            .or_else(|| first_in(&views.dense, lists))
            .or_else(|| first_in(&views.plain, self.texts.clone()))
            .or_else(|| self.words.iter().find(|word| views.has_word(word)).cloned())
    }
}

/// Everything of this length that is in a row, forwards and backwards.
fn parts_of(bytes: &[u8], length: usize) -> Vec<Vec<u8>> {
    let back: Vec<u8> = bytes.iter().rev().copied().collect();
    bytes.windows(length).chain(back.windows(length)).map(<[u8]>::to_vec).collect()
}

/// The first of many that a text has, in one pass: logs are long.
fn first_in(text: &str, wanted: Vec<String>) -> Option<String> {
    let mut by_start: HashMap<u16, Vec<String>> = HashMap::new();
    let start = |pair: &[u8]| u16::from_be_bytes([pair[0], pair[1]]);
    let mut starts = vec![false; 1 << 16];
    for form in wanted {
        starts[usize::from(start(form.as_bytes()))] = true;
        by_start.entry(start(form.as_bytes())).or_default().push(form);
    }
    let bytes = text.as_bytes();
    let pairs = bytes.windows(2).enumerate().filter(|(_, pair)| starts[usize::from(start(pair))]);
    let mut found = pairs.filter_map(|(at, pair)| {
        by_start[&start(pair)].iter().find(|form| bytes[at..].starts_with(form.as_bytes()))
    });
    found.next().cloned()
}

/// A log as it is searched.
struct Views {
    /// Without when each line was written, which has digits enough.
    plain: String,
    /// Without any space.
    dense: String,
    /// In lower case, and without whatever may stand between digits.
    digits: String,
}

impl Views {
    fn of(log: &str) -> Self {
        let is_time = |word: &str| word.ends_with('Z') && word.contains('T') && word.contains(':');
        let line = |line: &str| match line.split_once(' ') {
            Some((time, rest)) if is_time(time) => rest.to_owned(),
            _ => line.to_owned(),
        };
        let plain = log.lines().map(line).collect::<Vec<_>>().join("\n");
        let dense: String = plain.chars().filter(|c| !c.is_whitespace()).collect();
        let is_between = |c: &char| ",:;-_.\"'\\[](){}".contains(*c);
        let digits = dense.to_lowercase().replace("0x", "").chars().filter(|c| !is_between(c)).collect();
        Self { plain, dense, digits }
    }

    fn has_word(&self, word: &str) -> bool {
        let text = if word.contains(',') { &self.dense } else { &self.plain };
        let is_apart = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
        text.match_indices(word).any(|(at, _)| {
            let (before, after) = (text.get(..at).unwrap(), text.get(at + word.len()..).unwrap());
            is_apart(before.chars().next_back()) && is_apart(after.chars().next())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "231d39c1d7cc1ab1aee224cd096db932";
    const BYTES: [u8; 16] =
        [0x23, 0x1d, 0x39, 0xc1, 0xd7, 0xcc, 0x1a, 0xb1, 0xae, 0xe2, 0x24, 0xcd, 0x09, 0x6d, 0xb9, 0x32];

    #[test]
    fn a_key_is_found_in_every_form() {
        let secret = Secret::key(KEY);
        let mut back = BYTES;
        back.reverse();
        let joined = |between: &str| BYTES.map(|byte| format!("{byte:02X}")).join(between);
        for form in [
            KEY.to_owned(),
            KEY.to_uppercase(),
            joined(":"),
            joined("-"),
            joined(" "),
            format!("{BYTES:?}"),
            format!("{BYTES:#?}"),
            format!("{BYTES:x?}"),
            format!("{BYTES:#04X?}"),
            format!("{back:?} {}", back.len()),
            format!("{:?}", KEY.as_bytes()),
            format!("{:?}", KEY.to_uppercase().into_bytes()),
            format!("b\"{}\"", BYTES.escape_ascii()),
            format!("{:?}", String::from_utf8_lossy(&BYTES)),
            format!("{:?}", &BYTES[5..11]),
            KEY.chars().rev().collect(),
            back.map(|byte| format!("{byte:02x}")).concat(),
        ] {
            let log = format!("2026-01-02T03:04:05.417293Z TRACE x: a key={form} device=attic\n");
            assert!(secret.found_in(&log).is_some(), "{log}");
        }
        for other in ["231d39c1d7", "[35, 29, 57, 193, 215]", "key=file:attic.key"] {
            assert_eq!(secret.found_in(other), None, "{other}");
        }
    }

    #[test]
    fn a_passkey_is_found_in_every_form() {
        let secret = Secret::passkey(417_293);
        for form in [
            "417293",
            "Some(417293)",
            "0x65e0d",
            "00065E0D",
            "[13, 94, 6, 0]",
            "[0, 6, 94, 13]",
            "[52, 49, 55, 50, 57, 51]",
            "34:31:37:32:39:33",
            "392714",
            "\"417293\\n\"",
        ] {
            let found = secret.found_in(&format!("TRACE passkey={form} given\n"));
            assert!(found.is_some(), "{form}");
        }
        for other in ["2026-01-02T03:04:05.417293Z TRACE x: y", "1417293", "id=a417293b", "[113, 94, 6, 0]"] {
            assert_eq!(secret.found_in(other), None, "{other}");
        }
    }
}
