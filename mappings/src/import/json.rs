//! JSON with comments, as Wiren Board writes it, made into what a YAML reader takes: line by line the same length.

use super::model::Notes;
use crate::diagnostic::SourceFile;

/// The file without comments and Jinja; another kind of file as it is.
pub(super) fn cleaned(file: &SourceFile, notes: &mut Notes) -> SourceFile {
    let text = file.text();
    let begins = text.trim_start_matches('\u{feff}').trim_start();
    let is_json = ["{", "//", "/*"].iter().any(|start| begins.starts_with(start));
    if !is_json {
        return file.clone();
    }
    let mut cleaner = Cleaner { notes, line: 1, out: String::with_capacity(text.len()) };
    cleaner.clean(text.trim_start_matches('\u{feff}'));
    SourceFile::new(file.name(), &cleaner.out)
}

struct Cleaner<'n> {
    notes: &'n mut Notes,
    line: usize,
    out: String,
}

impl Cleaner<'_> {
    fn clean(&mut self, text: &str) {
        let mut chars = text.chars().peekable();
        let mut in_text = false;
        while let Some(c) = chars.next() {
            match (in_text, c, chars.peek().copied()) {
                (true, '\\', Some(next)) => {
                    chars.next();
                    self.put(c);
                    self.put(next);
                }
                (_, '"', _) => {
                    in_text = !in_text;
                    self.put(c);
                }
                (false, '/', Some('/')) => self.skip(&mut chars, |_, next| next == Some('\n')),
                (false, '/', Some('*')) => self.skip_through(&mut chars, ('*', '/')),
                (_, '{', Some(sign @ ('%' | '{' | '#'))) if sign != '{' || is_expression(&chars) => {
                    if sign != '#' {
                        let (line, what) = (self.line, "Jinja");
                        self.notes.has_jinja(line);
                        self.notes.add(
                            line,
                            what,
                            "only Jinja understands this; import what the template makes",
                        );
                    }
                    let close = if sign == '{' { '}' } else { sign };
                    self.skip_through(&mut chars, (close, '}'));
                }
                // A tab is no space to YAML everywhere.
                (false, '\t' | '\r', _) => self.put(' '),
                _ => self.put(c),
            }
        }
    }

    fn put(&mut self, c: char) {
        self.line += usize::from(c == '\n');
        self.out.push(c);
    }

    /// Blanks until the end is next.
    fn skip<I: Iterator<Item = char>>(
        &mut self,
        chars: &mut std::iter::Peekable<I>,
        is_over: impl Fn(char, Option<char>) -> bool,
    ) {
        while chars.peek() != Some(&'\n') {
            let Some(c) = chars.next() else { return };
            if is_over(c, chars.peek().copied()) {
                return;
            }
        }
    }

    fn skip_through<I: Iterator<Item = char>>(
        &mut self,
        chars: &mut std::iter::Peekable<I>,
        end: (char, char),
    ) {
        let mut last = ' ';
        for c in chars.by_ref() {
            if c == '\n' {
                self.put('\n');
            }
            if (last, c) == end {
                return;
            }
            last = c;
        }
    }
}

/// `{{ name }}` and not a JSON object in an object, which has a quote behind its braces.
fn is_expression(chars: &std::iter::Peekable<std::str::Chars<'_>>) -> bool {
    let mut rest = chars.clone();
    rest.next();
    rest.find(|c| !c.is_whitespace()).is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
}
