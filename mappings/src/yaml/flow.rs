//! Where a map or list in brackets ends; the reader of YAML only says where it begins.

use super::{Kind, Node};
use crate::diagnostic::{SourceFile, Span};

/// The place of a map or list in brackets on one line, to its end; any other place as it is.
pub(super) fn whole(file: &SourceFile, span: Span, kind: &Kind) -> Span {
    let rest = file.text().get(span.start..).unwrap_or_default();
    let close = match rest.chars().next() {
        Some('{') => '}',
        Some('[') => ']',
        _ => return span,
    };
    let last = match kind {
        Kind::Scalar { .. } => return span,
        Kind::List(items) => items.last(),
        Kind::Map(entries) => entries.last().map(|(key, value)| later(key, value)),
    };
    // A value that is written elsewhere (`*name`) says nothing about the end.
    let inside = last.map_or(span.start + 1, |node| node.span.end);
    let line_end = span.start + rest.find('\n').unwrap_or(rest.len());
    let tail = file.text().get(inside..line_end).filter(|_| inside > span.start).unwrap_or_default();
    match tail.find(close).filter(|at| !tail.get(..*at).unwrap_or_default().contains('#')) {
        Some(at) => Span { end: inside + at + 1, ..span },
        None => span,
    }
}

fn later<'n>(key: &'n Node, value: &'n Node) -> &'n Node {
    if value.span.end > key.span.end { value } else { key }
}
