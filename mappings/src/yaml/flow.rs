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
    let tail = file.text().get(inside..).filter(|_| inside > span.start).unwrap_or_default();
    let between = tail.find(|c: char| !matches!(c, ' ' | '\t' | ',')).unwrap_or(tail.len());
    match tail.get(between..).is_some_and(|rest| rest.starts_with(close)) {
        true => Span { end: inside + between + 1, ..span },
        false => span,
    }
}

fn later<'n>(key: &'n Node, value: &'n Node) -> &'n Node {
    if value.span.end > key.span.end { value } else { key }
}
