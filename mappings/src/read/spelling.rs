//! How numbers and durations are spelled elsewhere, and how they are spelled here.

use rust_decimal::Decimal;

use crate::value::{decimal_text, parse_decimal};

/// What to do about a text that was meant to be a number.
pub(super) struct Meant {
    /// The number, spelled so that every YAML reader understands it alike; only where there is no doubt.
    pub(super) number: Option<String>,
    /// What to write.
    pub(super) help: String,
}

/// The number that a text was meant to be, where there is no doubt.
pub(crate) fn spelled(text: &str, whole: bool) -> Option<String> {
    number(text, whole).and_then(|meant| meant.number)
}

/// What a text was meant to be; `whole` where only a whole number will do.
pub(super) fn number(text: &str, whole: bool) -> Option<Meant> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let signed = |number: String| format!("{sign}{number}");
    let certain = |number: String| Meant { help: format!("write {number}"), number: Some(number) };
    let doubtful = |help: String| Meant { number: None, help };
    if let Some(number) = radix(digits).or_else(|| plain(digits).filter(|_| !is_grouped(digits))) {
        let number = signed(number);
        return (number != text && !(whole && number.contains('.'))).then(|| certain(number));
    }
    let (power, hex) = (scientific(digits), hexadecimal(digits));
    match (power.filter(|power| !whole || !power.contains('.')), hex) {
        (Some(power), Some(hex)) if whole => {
            Some(doubtful(format!("write {}, or {} if it is hexadecimal", signed(power), signed(hex))))
        }
        (Some(power), _) => Some(certain(signed(power))),
        (None, Some(hex)) if digits.starts_with("0X") || digits.starts_with("0x") => {
            Some(certain(signed(hex)))
        }
        (None, Some(hex)) => Some(doubtful(format!(
            "write {} if it is hexadecimal; a number has no unit behind it",
            signed(hex)
        ))),
        (None, None) if fraction(digits).is_some() => {
            let number = signed(fraction(digits)?);
            if whole && number.contains('.') { None } else { Some(certain(number)) }
        }
        (None, None) if measured(text).is_some() => {
            let number = measured(text)?;
            Some(doubtful(format!("write {number}: a number has no unit behind it")))
        }
        (None, None) if is_grouped(digits) => {
            Some(doubtful(format!("write {} or {}", text.replace(',', ""), text.replace(',', "."))))
        }
        (None, None) => None,
    }
}

/// `0b1010` and `0o17`.
fn radix(digits: &str) -> Option<String> {
    let lower = digits.to_ascii_lowercase().replace('_', "");
    let read =
        |digits: &str, radix| u64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+'));
    let binary = lower.strip_prefix("0b").and_then(|digits| read(digits, 2));
    binary.or_else(|| read(lower.strip_prefix("0o")?, 8)).map(|number| number.to_string())
}

/// `1,000`: a thousand to some people and one to others.
fn is_grouped(digits: &str) -> bool {
    digits.split_once(',').is_some_and(|(whole, part)| {
        let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        all_digits(whole) && all_digits(part) && part.len() == 3 && !whole.starts_with('0')
    })
}

/// Underscores between digits, a decimal comma, a point without a digit beside it.
fn plain(digits: &str) -> Option<String> {
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let joined = digits.replace('_', "");
    let pointed = match joined.split_once(',') {
        Some((whole, part)) => format!("{whole}.{part}"),
        None => joined,
    };
    let octal = pointed.len() > 1 && pointed.starts_with('0') && !pointed.starts_with("0.");
    parse_decimal(&pointed).ok().filter(|_| !octal).map(decimal_text)
}

/// `1/10` and `/10`, `10^-1` and `10**-1`: what a raw value is multiplied by, as manuals print it.
fn fraction(digits: &str) -> Option<String> {
    if let Some((above, below)) = digits.split_once('/') {
        let above = if above.trim().is_empty() { Decimal::ONE } else { parse_decimal(above.trim()).ok()? };
        let below = parse_decimal(below.trim()).ok().filter(|below| !below.is_zero())?;
        let number = above.checked_div(below)?;
        return (number.checked_mul(below)? == above).then(|| decimal_text(number));
    }
    let (base, exponent) = digits.split_once('^').or_else(|| digits.split_once("**"))?;
    let exponent = exponent.trim().trim_matches(['(', ')']);
    (base.trim() == "10").then(|| scientific(&format!("1e{exponent}")))?
}

/// The number of `1%`, `5 W` or `21.5 kWh`.
fn measured(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !".-".contains(c))?;
    let (number, unit) = text.split_at(end);
    let is_unit = unit.trim_start().chars().all(|c| c.is_alphabetic() || "%°/³²".contains(c));
    (is_unit && parse_decimal(number).is_ok()).then_some(number)
}

fn scientific(digits: &str) -> Option<String> {
    let lower = digits.to_ascii_lowercase();
    let (_, exponent) = lower.split_once('e')?;
    let small = exponent.parse::<i8>().is_ok_and(|exponent| (-20..=20).contains(&exponent));
    Decimal::from_scientific(&lower).ok().filter(|_| small).map(decimal_text)
}

/// `1Ah`, `0X1A`, `1A` and `12e3`, as hexadecimal.
fn hexadecimal(digits: &str) -> Option<String> {
    let lower = digits.to_ascii_lowercase().replace('_', "");
    let bare = lower.strip_prefix("0x").or_else(|| lower.strip_suffix('h')).unwrap_or(&lower);
    let begins = bare.starts_with(|c: char| c.is_ascii_digit());
    let marked = bare.len() < lower.len() || begins && bare.contains(|c: char| c.is_ascii_alphabetic());
    let is_hex =
        marked && (1..=16).contains(&bare.len()) && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| format!("0x{bare}"))
}

/// `5 seconds`, `5 s`, `2 Min`: a number and a unit of time in words.
pub(super) fn duration(text: &str) -> Option<String> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let unit = match unit.to_ascii_lowercase().as_str() {
        "ms" | "msec" | "millis" | "millisecond" | "milliseconds" => "ms",
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "h" | "hr" | "hrs" | "hour" | "hours" => "h",
        "d" | "day" | "days" => "d",
        _ => return None,
    };
    let number = parse_decimal(number.trim()).ok()?;
    let meant = format!("{}{unit}", decimal_text(number));
    (meant != text).then_some(meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certain(text: &str, whole: bool) -> Option<String> {
        number(text, whole).and_then(|meant| meant.number)
    }

    #[test]
    fn numbers_are_understood() {
        for (text, meant) in [
            ("1_000", Some("1000")),
            ("0,1", Some("0.1")),
            ("-0,5", Some("-0.5")),
            ("0,125", Some("0.125")),
            ("1e3", Some("1000")),
            ("1/10", Some("0.1")),
            ("/100", Some("0.01")),
            ("1/3", None),
            ("1/0", None),
            ("10^-2", Some("0.01")),
            ("10**3", Some("1000")),
            ("10^99", None),
            ("1.0E-3", Some("0.001")),
            ("+5", Some("5")),
            (".5", Some("0.5")),
            ("0X1A", Some("0x1a")),
            ("0x1_a", Some("0x1a")),
            ("0b1000", Some("8")),
            ("-0b11", Some("-3")),
            ("0o17", Some("15")),
            ("012", None),
            ("abc", None),
            ("1,2,3", None),
            ("1e99", None),
            ("5", None),
            ("", None),
        ] {
            assert_eq!(certain(text, false).as_deref(), meant, "{text}");
        }
    }

    #[test]
    fn what_may_be_two_things_is_only_advised() {
        for (text, whole, help) in [
            ("16A", false, "write 0x16a if it is hexadecimal; a number has no unit behind it"),
            ("10h", true, "write 0x10 if it is hexadecimal; a number has no unit behind it"),
            ("1e3", true, "write 1000, or 0x1e3 if it is hexadecimal"),
            ("1,000", true, "write 1000 or 1.000"),
            ("21.5 kWh", false, "write 21.5: a number has no unit behind it"),
            ("1%", false, "write 1: a number has no unit behind it"),
        ] {
            let meant = number(text, whole).expect("a number");
            assert_eq!((meant.number.as_deref(), meant.help.as_str()), (None, help), "{text}");
        }
        assert!(number("0.5_0", true).is_none());
    }

    #[test]
    fn durations_are_understood() {
        for (text, meant) in [
            ("5 seconds", Some("5s")),
            ("1 s", Some("1s")),
            ("2Min", Some("2m")),
            ("12:30", None),
            ("5", None),
            ("5 moons", None),
        ] {
            assert_eq!(duration(text).as_deref(), meant, "{text}");
        }
    }
}
