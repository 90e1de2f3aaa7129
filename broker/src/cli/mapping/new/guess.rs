//! What registers that were read may be, for somebody who has the vendor's table beside it.

/// Words of a value in the order in which they come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Words {
    #[default]
    Abcd,
    Cdab,
}

impl Words {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Abcd => "ABCD",
            Self::Cdab => "CDAB",
        }
    }

    fn join(self, one: u16, other: u16) -> u32 {
        let (high, low) = match self {
            Self::Abcd => (one, other),
            Self::Cdab => (other, one),
        };
        u32::from(high) << 16 | u32::from(low)
    }
}

/// Registers that belong together, and what they seem to be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    /// Address of the first.
    pub(super) first: u16,
    pub(super) registers: Vec<u16>,
    pub(super) kind: Kind,
    /// What else it may be.
    pub(super) hint: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A text, without what is behind its end.
    Text(String),
    /// A float of two registers.
    Float(f32),
    /// One register.
    Number,
    /// Nothing but 0.
    Zeros,
}

/// Shortest text, in registers: two letters may be any number.
const SHORTEST: usize = 3;

/// The order in which more of the registers look like floats.
pub(super) fn words<'r>(spans: impl Iterator<Item = &'r [u16]> + Clone) -> Words {
    let floats =
        |words| spans.clone().map(|span| items(0, span, words)).map(|items| count(&items)).sum::<usize>();
    if floats(Words::Cdab) > floats(Words::Abcd) { Words::Cdab } else { Words::Abcd }
}

fn count(items: &[Item]) -> usize {
    items.iter().filter(|item| matches!(item.kind, Kind::Float(_))).count()
}

/// Registers from an address on, cut into what they seem to be.
pub(super) fn items(first: u16, registers: &[u16], words: Words) -> Vec<Item> {
    let mut items = Vec::new();
    let (mut at, mut rest) = (first, registers);
    while !rest.is_empty() {
        let (kind, count) = kind(rest, words);
        let (own, after) = rest.split_at(count);
        let hint = hint(&kind, rest, words);
        items.push(Item { first: at, registers: own.to_vec(), kind, hint });
        at = at.wrapping_add(u16::try_from(count).unwrap_or(u16::MAX));
        rest = after;
    }
    items
}

/// What begins here, and how many registers it takes: at least one.
fn kind(rest: &[u16], words: Words) -> (Kind, usize) {
    let zeros = rest.iter().take_while(|register| **register == 0).count();
    // A small float can begin with a word of 0 only in the other order.
    let float = match rest {
        [one, other, ..] => {
            Some(f32::from_bits(words.join(*one, *other))).filter(|float| is_plausible(*float))
        }
        _ => None,
    };
    match (text(rest), float) {
        (Some((text, count)), _) => (Kind::Text(text), count),
        (None, Some(float)) => (Kind::Float(float), 2),
        (None, None) if zeros > 0 => (Kind::Zeros, zeros),
        (None, None) => (Kind::Number, 1),
    }
}

/// Whether a quantity may have this size.
fn is_plausible(float: f32) -> bool {
    (1e-3..1e7).contains(&float.abs())
}

/// A text that begins here, and its registers.
fn text(rest: &[u16]) -> Option<(String, usize)> {
    let is_printable = |byte: u8| (0x20..0x7f).contains(&byte);
    let whole =
        rest.iter().take(125).take_while(|register| register.to_be_bytes().into_iter().all(is_printable));
    let whole = whole.count();
    let half =
        rest.get(whole).is_some_and(|last| matches!(last.to_be_bytes(), [letter, 0] if is_printable(letter)));
    let count = (whole + usize::from(half)).min(125);
    let bytes = rest.iter().take(count).flat_map(|register| register.to_be_bytes());
    let text: String = bytes.take_while(|byte| *byte != 0).map(char::from).collect();
    let text = text.trim_end();
    let letters = text.chars().filter(char::is_ascii_alphanumeric).count();
    (count >= SHORTEST && letters >= 4 && 2 * letters >= text.len()).then(|| (text.to_owned(), count))
}

fn hint(kind: &Kind, rest: &[u16], words: Words) -> String {
    match (kind, rest) {
        (Kind::Text(text), _) => format!("`{text}`"),
        (Kind::Float(float), [one, other, ..]) => {
            format!("{float}; or u16 {one} and {other}, or u32 {}", words.join(*one, *other))
        }
        (Kind::Number, [one, rest @ ..]) => number_hint(*one, rest.first().copied(), words),
        _ => String::new(),
    }
}

fn number_hint(one: u16, next: Option<u16>, words: Words) -> String {
    let mut hint = format!("{one:#06x}");
    if one >= 0x8000 {
        hint += &format!(", as s16 {}", one.cast_signed());
    }
    if matches!(one, 0x7fff | 0x8000 | 0xffff) {
        hint += ", often \"no reading\" (`invalid`)";
    }
    if let Some(next) = next {
        hint += &format!(", with the next as u32 {}", words.join(one, next));
    }
    hint
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(registers: &[u16], words: Words) -> Vec<(u16, Kind)> {
        items(10, registers, words).into_iter().map(|item| (item.first, item.kind)).collect()
    }

    #[test]
    fn texts_floats_and_numbers_are_told_apart() {
        let registers = [0x4143, 0x4d45, 0x2d33, 0x0000, 0x0000, 0x4366, 0x3333, 2305, 0];
        assert_eq!(
            kinds(&registers, Words::Abcd),
            [
                (10, Kind::Text("ACME-3".to_owned())),
                (13, Kind::Zeros),
                (15, Kind::Float(230.2)),
                (17, Kind::Number),
                (18, Kind::Zeros)
            ]
        );
        assert_eq!(
            kinds(&[0x4142, 0x4344], Words::Abcd),
            [(10, Kind::Float(12.141_422))],
            "too short a text"
        );
    }

    #[test]
    fn the_order_is_that_of_more_floats() {
        let swapped = [0x3333, 0x4366, 0x999a, 0x3fb9];
        assert_eq!(words([&swapped[..]].into_iter()), Words::Cdab);
        assert_eq!(words([&[0x4366, 0x3333][..], &[1, 2, 3][..]].into_iter()), Words::Abcd);
        assert_eq!(kinds(&swapped, Words::Cdab), [(10, Kind::Float(230.2)), (12, Kind::Float(1.45))]);
    }

    #[test]
    fn hints_name_what_else_it_may_be() {
        let hints: Vec<String> =
            items(0, &[0xffff, 0xfc18], Words::Abcd).into_iter().map(|item| item.hint).collect();
        assert_eq!(
            hints,
            [
                "0xffff, as s16 -1, often \"no reading\" (`invalid`), with the next as u32 4294966296",
                "0xfc18, as s16 -1000"
            ]
        );
    }
}
