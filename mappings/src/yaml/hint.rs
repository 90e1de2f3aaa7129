//! What probably went wrong where a file stops being YAML.

use super::traps::{SPACES, mend};
use crate::diagnostic::{Fix, SourceFile, Span};
use crate::read::fields::glued as glued_words;

/// What cannot begin an unquoted value.
const SIGNS: [char; 4] = ['%', '-', '@', '`'];

/// What to do about it, and the change that does it.
pub(super) fn hint(file: &SourceFile, span: Span, message: &str) -> (String, Option<Fix>) {
    let before = file.text().get(..span.start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = file.text().get(line_start..).unwrap_or_default().lines().next().unwrap_or_default();
    if line.contains(SPACES) {
        let whole =
            Span { start: line_start, end: line_start + line.len(), line: span.line, column: 1, file: 0 };
        let (help, fix) = mend(line, whole);
        return (format!("there is a non-breaking space: {help}"), Some(fix));
    }
    if let Some((start, value)) = SIGNS.into_iter().find_map(|sign| bare(line, sign)) {
        return quote(line_start + start, line, start, value, span.line);
    }
    if let Some((start, value)) = placeholder(line) {
        let (_, fix) = quote(line_start + start, line, start, value, span.line);
        return ("quote a text with `${…}`".to_owned(), fix);
    }
    let help = if line.trim_start_matches(' ').starts_with('\t') {
        return tabs(line_start, line, span.line);
    } else if let Some(at) = glued(line) {
        return space(line_start + at, line, at, span.line);
    } else if let Some(found) = joined_lines(before, line, span.line) {
        return found;
    } else if let Some((start, value)) = second_colon(line) {
        let (_, fix) = quote(line_start + start, line, start, value, span.line);
        return ("quote a text with `: ` in it".to_owned(), fix);
    } else if line.contains('\t') {
        "indent with spaces, never with tabs".to_owned()
    } else if let Some(help) = brackets(file.text(), span, message) {
        help
    } else if let Some((start, value)) = colon_within(line, span.column) {
        let (_, fix) = quote(line_start + start, line, start, value, span.line);
        return (format!("quote a text with `: ` in it: `\"{value}\"`"), fix);
    } else if message.contains("flow") && line.get(..span.start - line_start).is_some_and(is_second_key) {
        let before = line.get(..span.start - line_start).unwrap_or_default();
        let key = before.rsplit(' ').next().unwrap_or_default();
        format!("put a comma before `{key}`, or quotes around a text with `: ` in it")
    } else if message.contains("bracket") || message.contains("flow") {
        "close each `[` with `]` and each `{` with `}`, with a comma between entries".to_owned()
    } else if message.contains("unexpected character: `\\u") {
        "remove the character, which no text has: is this a text file?".to_owned()
    } else if message.contains("quote") {
        "close the quotes on the same line".to_owned()
    } else {
        "compare the indentation, quotes and brackets of this line with the line before".to_owned()
    };
    (help, None)
}

/// A bracket of a line before, or a comment that hides the end of one.
fn brackets(text: &str, at: Span, message: &str) -> Option<String> {
    if message.contains("misplaced") {
        return Some("there is one bracket too many here: remove it, or open it before".to_owned());
    }
    let unclosed = message.contains("unclosed bracket");
    let end = if unclosed { text.len() } else { at.start };
    let Open { bracket, line, comment } = open(text.get(..end)?)?;
    match comment {
        Some(line) if unclosed || line < at.line => Some(format!(
            "on line {line} a ` #` begins a comment, within brackets too: put the text with it in quotes"
        )),
        _ if unclosed || line < at.line => {
            let close = if bracket == '{' { '}' } else { ']' };
            Some(format!("the `{bracket}` on line {line} is not closed: write `{close}` where it ends"))
        }
        _ => None,
    }
}

/// A bracket that is open somewhere.
struct Open {
    bracket: char,
    line: usize,
    /// Line of the first comment behind it.
    comment: Option<usize>,
}

/// The outermost bracket that is not closed at the end of a text.
fn open(text: &str) -> Option<Open> {
    let mut stack: Vec<Open> = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let (mut quote, mut before) = (None, ' ');
        for c in line.chars() {
            match (quote, c) {
                (Some(sign), _) if sign == c && before != '\\' => quote = None,
                (Some(_), _) => {}
                (None, '"' | '\'') if " [{,:".contains(before) => quote = Some(c),
                (None, '#') if before == ' ' => {
                    for open in &mut stack {
                        open.comment.get_or_insert(number);
                    }
                    break;
                }
                (None, '{' | '[') if !stack.is_empty() || " [{,:".contains(before) => {
                    stack.push(Open { bracket: c, line: number, comment: None });
                }
                (None, '}' | ']') => drop(stack.pop()),
                (None, _) => {}
            }
            before = c;
        }
    }
    stack.into_iter().next()
}

/// `{…, description: Note: all, …}`: the text, when the first word before the second colon is all of it.
fn colon_within(line: &str, column: usize) -> Option<(usize, &str)> {
    let at = line.char_indices().nth(column.saturating_sub(1)).map(|(at, _)| at)?;
    let before = line.get(..at)?;
    let start = before.rfind(": ")? + 2;
    let word = before.get(start..)?;
    let rest = line.get(start..)?;
    let end = rest.find([',', '}', ']', '#']).unwrap_or(rest.len());
    let text = rest.get(..end)?.trim_end();
    let bare =
        !word.is_empty() && !word.contains([' ', '{', '[', ',', '"', '\'']) && !text.contains(['"', '\\']);
    (line.get(at..)?.starts_with(": ") && bare).then_some((start, text))
}

/// Whether what stands before a colon is a value and another key.
fn is_second_key(before: &str) -> bool {
    let entry = before.rsplit([',', '{', '[']).next().unwrap_or_default();
    entry.split_once(": ").is_some_and(|(_, value)| value.trim().contains(' '))
}

/// Where an unquoted value begins with this sign, and the value.
fn bare(line: &str, sign: char) -> Option<(usize, &str)> {
    line.match_indices(sign).find_map(|(at, _)| {
        let begins = line.get(..at)?.trim_end().ends_with([':', '[', ',']) && line.get(..at)?.ends_with(' ');
        let value = line.get(at..)?;
        let end = value.find([',', '}', ']', '#']).unwrap_or(value.len());
        let value = value.get(..end)?.trim_end();
        (begins && (sign != '-' || value == "-")).then_some((at, value))
    })
}

/// `key: a text: with a colon`, on a line of its own.
fn second_colon(line: &str) -> Option<(usize, &str)> {
    let value = line.find(": ")? + 2;
    let rest = line.get(value..)?;
    let text = rest.trim();
    let start = value + rest.find(text)?;
    (text.contains(": ") && !text.starts_with(['{', '[', '"', '\''])).then_some((start, text))
}

/// An unquoted text with `${…}` in it.
fn placeholder(line: &str) -> Option<(usize, &str)> {
    let first = line.find("${")?;
    let before = line.get(..first)?;
    let marks = [": ", "[", ", ", "{"];
    let start = marks.iter().filter_map(|mark| Some(before.rfind(mark)? + mark.len())).max()?;
    let last = line.rfind("${")?;
    let closed = last + line.get(last..)?.find('}')? + 1;
    let rest = line.get(closed..)?;
    let end = closed + rest.find([',', '}', ']']).unwrap_or(rest.len());
    let value = line.get(start..end)?.trim_end();
    let all_inside = line.matches("${").count() == value.matches("${").count();
    (all_inside && !value.contains(['"', '\''])).then_some((start, value))
}

/// Puts a value in quotes.
fn quote(start: usize, line: &str, at: usize, value: &str, number: usize) -> (String, Option<Fix>) {
    let column = line.get(..at).unwrap_or_default().chars().count() + 1;
    let span = Span { start, end: start + value.len(), line: number, column, file: 0 };
    let text = format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
    let sign: String = value.chars().take(1).collect();
    (format!("`{sign}` cannot begin an unquoted value: write {text}"), Some(Fix { span, text }))
}

/// Where a colon has its bracket right behind it: `read:{input: 1}`.
fn glued(line: &str) -> Option<usize> {
    let (mut quote, mut before) = (None, ' ');
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (Some(sign), _) if sign == c && before != '\\' => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') if " [{,:".contains(before) => quote = Some(c),
            (None, '#') if before == ' ' => return None,
            (None, '{' | '[') if before == ':' => return Some(at),
            (None, _) => {}
        }
        before = c;
    }
    None
}

/// `type:Power` on this line, or on the one before, which then has no key.
fn joined_lines(before: &str, line: &str, number: usize) -> Option<(String, Option<Fix>)> {
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let above = before.get(..start.saturating_sub(1)).filter(|_| start > 0);
    let above = above.map(|text| {
        let start = text.rfind('\n').map_or(0, |at| at + 1);
        (start, text.get(start..).unwrap_or_default(), number.saturating_sub(1))
    });
    std::iter::once((start, line, number)).chain(above).find_map(|(start, line, number)| {
        let entry = line.trim_start_matches([' ', '-']);
        let (word, rest) = glued_words(entry).filter(|_| !entry.contains(": "))?;
        let at = line.len() - entry.len() + word.len() + 1;
        let column = line.get(..at)?.chars().count() + 1;
        let span = Span { start: start + at, end: start + at, line: number, column, file: 0 };
        let help = format!("the colon behind `{word}` has no space behind it: write `{word}: {rest}`");
        Some((help, Some(Fix { span, text: " ".to_owned() })))
    })
}

/// Puts a space before what stands there.
fn space(start: usize, line: &str, at: usize, number: usize) -> (String, Option<Fix>) {
    let before = line.get(..at).unwrap_or_default();
    let bracket: String = line.get(at..).unwrap_or_default().chars().take(1).collect();
    let key = before.trim_end_matches(':').rsplit([' ', '{', '[', ',']).next().unwrap_or_default();
    let span = Span { start, end: start, line: number, column: before.chars().count() + 1, file: 0 };
    let help = format!("the colon behind `{key}` has no space behind it: write `{key}: {bracket}`");
    (help, Some(Fix { span, text: " ".to_owned() }))
}

/// Two spaces for each tab that a line begins with.
fn tabs(start: usize, line: &str, number: usize) -> (String, Option<Fix>) {
    let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
    let text = line.get(..indent).unwrap_or_default().replace('\t', "  ");
    let span = Span { start, end: start + indent, line: number, column: 1, file: 0 };
    ("indent with spaces, never with tabs".to_owned(), Some(Fix { span, text }))
}
