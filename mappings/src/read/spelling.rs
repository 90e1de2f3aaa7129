//! How numbers and durations are spelled elsewhere, and how they are spelled here.

use rust_decimal::Decimal;

use crate::value::{decimal_text, parse_decimal};

/// The number that a text was meant to be, spelled so that every YAML reader understands it alike.
pub(super) fn number(text: &str) -> Option<String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let meant = [plain(digits), scientific(digits), hexadecimal(digits)].into_iter().flatten().next()?;
    let meant = format!("{sign}{meant}");
    (meant != text).then_some(meant)
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

fn scientific(digits: &str) -> Option<String> {
    let lower = digits.to_ascii_lowercase();
    let (_, exponent) = lower.split_once('e')?;
    let small = exponent.parse::<i8>().is_ok_and(|exponent| (-20..=20).contains(&exponent));
    Decimal::from_scientific(&lower).ok().filter(|_| small).map(decimal_text)
}

/// `1Ah`, `0X1A` and `1A`; not what could be decimal too.
fn hexadecimal(digits: &str) -> Option<String> {
    let lower = digits.to_ascii_lowercase();
    let bare = lower.strip_prefix("0x").or_else(|| lower.strip_suffix('h')).unwrap_or(&lower);
    // A digit, an `e` and digits are an exponent.
    let begins = bare.starts_with(|c: char| c.is_ascii_digit()) && bare.parse::<f64>().is_err();
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

    #[test]
    fn numbers_are_understood() {
        for (text, meant) in [
            ("1_000", Some("1000")),
            ("0,1", Some("0.1")),
            ("-0,5", Some("-0.5")),
            ("1e3", Some("1000")),
            ("1.0E-3", Some("0.001")),
            ("+5", Some("5")),
            (".5", Some("0.5")),
            ("1Ah", Some("0x1a")),
            ("0X1A", Some("0x1a")),
            ("1A", Some("0x1a")),
            ("012", None),
            ("abc", None),
            ("1,2,3", None),
            ("1e99", None),
            ("5", None),
            ("", None),
        ] {
            assert_eq!(number(text).as_deref(), meant, "{text}");
        }
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
