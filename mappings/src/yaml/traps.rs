//! What other readers of YAML understand and this one does not: tags, and spaces that only look like some.

use super::{Kind, Node, error};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Fix, SourceFile, Span};

/// Characters that look like a space and are a part of a word to YAML.
pub(super) const SPACES: [char; 6] = ['\u{a0}', '\u{2007}', '\u{202f}', '\u{2003}', '\u{3000}', '\u{200b}'];

/// Everything in a tree that is read otherwise than it looks.
pub(super) fn traps(file: &SourceFile, root: &Node) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    walk(file, root, &mut found);
    found.dedup_by_key(|found| found.span.start);
    found
}

fn walk(file: &SourceFile, node: &Node, found: &mut Vec<Diagnostic>) {
    found.extend(tag(file, node));
    match &node.kind {
        Kind::Scalar { text, plain: true } if text.contains(SPACES) => found.push(space(file, node.span)),
        Kind::Scalar { .. } => {}
        Kind::List(items) => items.iter().for_each(|item| walk(file, item, found)),
        Kind::Map(entries) => entries.iter().for_each(|(key, value)| {
            walk(file, key, found);
            walk(file, value, found);
        }),
    }
}

/// The tag before a value, and where it begins: `!secret`.
pub(crate) fn tag_before<'f>(file: &'f SourceFile, node: &Node) -> Option<(usize, &'f str)> {
    let before = file.text().get(..node.span.start)?;
    let bare = before.trim_end();
    let start = bare.rfind([' ', '\t', '\n', ',', '[', '{']).map_or(0, |at| at + 1);
    let tag = bare.get(start..)?;
    let lead = bare.get(..start)?;
    let begins = lead.ends_with('\n')
        || lead.trim_end().is_empty()
        || lead.trim_end().ends_with([':', '-', '[', '{', ',', '?']);
    (tag.starts_with('!') && begins).then_some((start, tag))
}

/// A tag before a value, which would be read and ignored.
fn tag(file: &SourceFile, node: &Node) -> Option<Diagnostic> {
    let (start, tag) = tag_before(file, node)?;
    let before = file.text().get(..node.span.start)?;
    let same_line = !before.get(start..)?.contains('\n');
    let span = at(file, start, if same_line { node.span.start } else { start + tag.len() });
    let message = format!("`{tag}` is a tag, which has no meaning here");
    let help = "remove it; a text that begins with `!` needs quotes".to_owned();
    let fix = Some(Fix { span, text: String::new() });
    let told = Span { end: start + tag.len(), ..span };
    Some(Diagnostic { help: Some(help), fix, ..error(file, Code::YamlTrap, told, message) })
}

/// A space that is a part of a word.
fn space(file: &SourceFile, within: Span) -> Diagnostic {
    let text = file.text().get(within.start..within.end).unwrap_or_default();
    let first = within.start + text.find(SPACES).unwrap_or_default();
    let (help, fix) = mend(text, within);
    let end = first + file.text().get(first..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    let message = "a non-breaking space, which YAML takes for a part of the word";
    let span = at(file, first, end);
    Diagnostic { help: Some(help), fix: Some(fix), ..error(file, Code::YamlTrap, span, message.to_owned()) }
}

/// Usual spaces for those that are none.
pub(super) fn mend(text: &str, span: Span) -> (String, Fix) {
    ("write a usual space, or put a text in quotes".to_owned(), Fix { span, text: text.replace(SPACES, " ") })
}

/// The place of these bytes.
fn at(file: &SourceFile, start: usize, end: usize) -> Span {
    let before = file.text().get(..start).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    Span { start, end, line: before.matches('\n').count() + 1, column: line.chars().count() + 1, file: 0 }
}

#[cfg(test)]
mod tests {
    use super::super::{parse, read};
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let file = SourceFile::new("x", text);
        read(&file).err().unwrap_or_default().iter().map(|found| found.message.clone()).collect()
    }

    #[test]
    fn tags_are_told_and_what_looks_like_one_is_not() {
        for text in ["a: !foo b", "a: [!!int 5]", "!!map\na: 1", "a: !x\n  b: 1", "- !x {a: 1}"] {
            assert_eq!(told(text).len(), 1, "{text}");
        }
        for text in ["a: wow !important\nb: 1", "# !x\na: 1", "a: \"!x\"\nb: 1", "a!: 1", "a: x!\nb: 2"] {
            assert_eq!(told(text), [""; 0], "{text}");
            assert!(parse(&SourceFile::new("x", text)).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_space_that_is_none_is_told_where_it_is_bare() {
        assert_eq!(told("a:\u{a0}b: 1").len(), 1);
        assert_eq!(told("a: \"b\u{a0}c\"").len(), 0);
    }
}
