//! What probably went wrong where a file stops being YAML.

use crate::diagnostic::{Fix, SourceFile, Span};

/// What cannot begin an unquoted value.
const SIGNS: [char; 4] = ['%', '-', '@', '`'];

/// What to do about it, and the change that does it.
pub(super) fn hint(file: &SourceFile, span: Span, message: &str) -> (String, Option<Fix>) {
    let before = file.text().get(..span.start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = file.text().get(line_start..).unwrap_or_default().lines().next().unwrap_or_default();
    if let Some((start, value)) = SIGNS.into_iter().find_map(|sign| bare(line, sign)) {
        return quote(line_start + start, line, start, value, span.line);
    }
    if let Some((start, value)) = placeholder(line) {
        let (_, fix) = quote(line_start + start, line, start, value, span.line);
        return ("quote a text with `${…}`".to_owned(), fix);
    }
    let help = if line.trim_start_matches(' ').starts_with('\t') {
        return tabs(line_start, line, span.line);
    } else if let Some((start, value)) = second_colon(line) {
        let (_, fix) = quote(line_start + start, line, start, value, span.line);
        return ("quote a text with `: ` in it".to_owned(), fix);
    } else if line.contains('\t') {
        "indent with spaces, never with tabs".to_owned()
    } else if message.contains("bracket") || message.contains("flow") {
        "close each `[` with `]` and each `{` with `}`, with a comma between entries".to_owned()
    } else if message.contains("quote") {
        "close the quotes on the same line".to_owned()
    } else {
        "compare the indentation, quotes and brackets of this line with the line before".to_owned()
    };
    (help, None)
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

/// Two spaces for each tab that a line begins with.
fn tabs(start: usize, line: &str, number: usize) -> (String, Option<Fix>) {
    let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
    let text = line.get(..indent).unwrap_or_default().replace('\t', "  ");
    let span = Span { start, end: start + indent, line: number, column: 1, file: 0 };
    ("indent with spaces, never with tabs".to_owned(), Some(Fix { span, text }))
}
