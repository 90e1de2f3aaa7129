//! Reading search expressions.

use super::error::{PathError, PathErrorKind};
use super::scan::Scan;
use super::{Component, Expression, Literal, MAX_DEPTH, Operator, parse};

/// Longer ones first: `<=` begins with `<`.
const OPERATORS: [(&str, Operator); 7] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("~=", Operator::Contains),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

impl Operator {
    /// The operator as it is written.
    pub fn as_str(self) -> &'static str {
        OPERATORS.iter().find(|(_, operator)| *operator == self).map_or("", |(text, _)| text)
    }
}

/// Reads from behind `[` to behind `]`. Spaces around names, operators and constants are tolerated (R-ARC.9a).
pub(super) fn expression(scan: &mut Scan<'_>) -> Result<Expression, PathError> {
    let mut components = Vec::new();
    loop {
        scan.skip_spaces();
        components.push(component(scan)?);
        scan.skip_spaces();
        if scan.take("]") {
            return Ok(Expression(components));
        }
        scan.need("&&", "`&&` or `]`")?;
    }
}

fn component(scan: &mut Scan<'_>) -> Result<Component, PathError> {
    let mut objects = Vec::new();
    let mut parameter = scan.name()?;
    loop {
        let item = parse::follow(scan)?;
        if item.is_none() && !scan.rest().starts_with('.') {
            break;
        }
        scan.need(".", "`.`")?;
        objects.push((parameter, item));
        if objects.len() > MAX_DEPTH {
            return Err(scan.error(PathErrorKind::TooDeep));
        }
        parameter = scan.name()?;
    }
    scan.skip_spaces();
    let operator = operator(scan)?;
    scan.skip_spaces();
    Ok(Component { objects, parameter, operator, value: literal(scan)? })
}

fn operator(scan: &mut Scan<'_>) -> Result<Operator, PathError> {
    let found = OPERATORS.iter().find(|(text, _)| scan.take(text));
    found.map(|(_, operator)| *operator).ok_or_else(|| scan.expected("one of == != ~= < > <= >="))
}

fn literal(scan: &mut Scan<'_>) -> Result<Literal, PathError> {
    if scan.take("\"") {
        let raw = scan.take_while(|c| c != '"');
        scan.need("\"", "`\"`")?;
        return Ok(Literal { text: unescape(raw), quoted: true });
    }
    let start = scan.error(PathErrorKind::Constant);
    let text = scan.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | ':'));
    if is_bare_constant(text) { Ok(Literal { text: text.to_owned(), quoted: false }) } else { Err(start) }
}

fn unescape(raw: &str) -> String {
    // `%22` first: undoing `%25` could make a new one.
    raw.replace("%22", "\"").replace("%25", "%")
}

/// Forms that may go without quotes: boolean, numbers, hexBinary, dateTime (TR-106).
fn is_bare_constant(text: &str) -> bool {
    matches!(text, "true" | "false") || is_number(text) || is_hex(text) || is_date_time(text)
}

fn is_number(text: &str) -> bool {
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    match unsigned.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(unsigned),
    }
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.len().is_multiple_of(2) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_date_time(text: &str) -> bool {
    crate::tr106::parse_datetime(text).is_some()
}
