//! Tables and colours of what is printed for people.
//!
//! Colour goes to a terminal only, and not with `NO_COLOR` (no-color.org) or `TERM=dumb`. A table is never cut: what is
//! wider than the screen is wrapped in its last column; into a file or a pipe it goes as wide as it is.

use std::borrow::Cow;
use std::env;
use std::io::{self, IsTerminal};

/// Width of a terminal that does not say it in `COLUMNS`.
const USUAL: usize = 100;

/// However narrow the screen is, the last column keeps so many characters.
const NARROWEST: usize = 24;

/// Between two columns.
const GAP: usize = 2;

/// Whether whoever looks at a terminal wants colours.
pub(crate) fn colour_is_welcome() -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    !is_set("NO_COLOR") && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Where something is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Screen {
    colour: bool,
    /// `None`: as wide as needed.
    width: Option<usize>,
}

impl Screen {
    /// Standard output as it is.
    pub(crate) fn stdout() -> Self {
        if !io::stdout().is_terminal() {
            return Self::plain();
        }
        let columns = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        Self { colour: colour_is_welcome(), width: Some(columns.unwrap_or(USUAL)) }
    }

    /// Without colour, as wide as needed: a file, a pipe, a test.
    pub(crate) fn plain() -> Self {
        Self { colour: false, width: None }
    }

    /// The text in a tone.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        match tone.code().filter(|_| self.colour && !text.is_empty()) {
            Some(code) => format!("\x1b[{code}m{text}\x1b[0m"),
            None => text.to_owned(),
        }
    }
}

/// What a text is to its reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Ordinary.
    #[default]
    Plain,
    /// A heading.
    Strong,
    /// Of less interest.
    Faint,
    /// All is well.
    Good,
    /// Works, but look at it.
    Warning,
    /// Wrong.
    Bad,
}

impl Tone {
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Strong => Some("1"),
            Self::Faint => Some("2"),
            Self::Good => Some("32"),
            Self::Warning => Some("33"),
            Self::Bad => Some("31"),
        }
    }
}

/// One place of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    text: Cow<'static, str>,
    tone: Tone,
}

impl Cell {
    /// A text in a tone.
    pub(crate) fn toned(tone: Tone, text: impl Into<Cow<'static, str>>) -> Self {
        Self { text: text.into(), tone }
    }
}

impl From<&'static str> for Cell {
    fn from(text: &'static str) -> Self {
        Self::toned(Tone::Plain, text)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::toned(Tone::Plain, text)
    }
}

/// Rows with aligned columns under a heading.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    head: Vec<&'static str>,
    right: Vec<usize>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty one.
    pub(crate) fn new(head: &[&'static str]) -> Self {
        Self { head: head.to_vec(), ..Self::default() }
    }

    /// Numbers stand at the right of these columns.
    pub(crate) fn numbers(self, columns: &[usize]) -> Self {
        Self { right: columns.to_vec(), ..self }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The lines, each with its line break; a column without any text is left out.
    pub(crate) fn render(&self, screen: Screen) -> String {
        let columns = self.columns(screen);
        let mut out = String::new();
        let head: Vec<Cell> = self.head.iter().map(|text| Cell::toned(Tone::Strong, *text)).collect();
        for row in std::iter::once(&head).chain(&self.rows) {
            self.line(row, &columns, screen, &mut out);
        }
        out
    }

    /// Index and width of each column that has a text.
    fn columns(&self, screen: Screen) -> Vec<(usize, usize)> {
        let width =
            |at: usize| self.rows.iter().filter_map(|row| row.get(at)).map(|cell| wide(&cell.text)).max();
        let used = self.head.iter().enumerate().filter_map(|(at, head)| {
            let width = width(at).filter(|width| *width > 0)?;
            Some((at, width.max(wide(head))))
        });
        let mut columns: Vec<(usize, usize)> = used.collect();
        let others: usize = columns.iter().rev().skip(1).map(|(_, width)| width + GAP).sum();
        if let (Some(total), Some((_, last))) = (screen.width, columns.last_mut()) {
            *last = (*last).min(total.saturating_sub(others).max(NARROWEST));
        }
        columns
    }

    fn line(&self, row: &[Cell], columns: &[(usize, usize)], screen: Screen, out: &mut String) {
        let empty = Cell::default();
        let Some(((last, width), others)) = columns.split_last() else { return };
        let mut line = String::new();
        for (at, width) in others {
            let cell = row.get(*at).unwrap_or(&empty);
            let room = " ".repeat(width.saturating_sub(wide(&cell.text)));
            let text = screen.paint(cell.tone, &cell.text);
            let text = if self.right.contains(at) { room + &text } else { text + &room };
            line += &text;
            line += &" ".repeat(GAP);
        }
        let cell = row.get(*last).unwrap_or(&empty);
        let begin = others.iter().map(|(_, width)| width + GAP).sum::<usize>();
        let right = self.right.contains(last);
        for (number, text) in wrap(&cell.text, *width).into_iter().enumerate() {
            if number > 0 {
                out.push_str(line.trim_end());
                out.push('\n');
                line = " ".repeat(begin);
            }
            let room = if right { " ".repeat(width.saturating_sub(wide(text))) } else { String::new() };
            line += &(room + &screen.paint(cell.tone, text));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

fn wide(text: &str) -> usize {
    text.chars().count()
}

/// The text in lines of at most this width, broken at blanks; a longer word stays whole.
fn wrap(text: &str, width: usize) -> Vec<&str> {
    let (mut lines, mut rest) = (Vec::new(), text);
    while wide(rest) > width {
        let fits = rest.char_indices().nth(width).map_or(rest.len(), |(at, _)| at);
        let (before, after) = rest.split_at(fits);
        let cut = if after.starts_with(' ') { Some(before.len()) } else { before.rfind(' ') };
        let Some(cut) = cut.or_else(|| rest.find(' ')).filter(|cut| *cut > 0) else { break };
        let (line, next) = rest.split_at(cut);
        lines.push(line);
        rest = next.trim_start();
    }
    lines.push(rest);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["name", "n", "empty", "what"]).numbers(&[1]);
        table.row(["one".into(), "7".into(), "".into(), "the first of them all".into()]);
        table.row(["another".into(), "1250".into(), "".into(), Cell::toned(Tone::Bad, "wrong")]);
        table
    }

    #[test]
    fn columns_are_aligned_and_empty_ones_left_out() {
        let text = "name        n  what\none         7  the first of them all\nanother  1250  wrong\n";
        assert_eq!(table().render(Screen::plain()), text);
    }

    #[test]
    fn what_is_too_wide_is_wrapped_in_the_last_column() {
        let mut table = Table::new(&["a", "b"]);
        table.row(["x".into(), "words that are wrapped where a blank is".into()]);
        let screen = Screen { colour: false, width: Some(30) };
        assert_eq!(table.render(screen), "a  b\nx  words that are wrapped\n   where a blank is\n");
        assert_eq!(wrap("unbreakable", 3), ["unbreakable"]);
        assert_eq!(wrap("ab cd", 2), ["ab", "cd"]);
    }

    #[test]
    fn colour_takes_no_room() {
        let screen = Screen { colour: true, width: None };
        let text = table().render(screen);
        assert!(text.contains("\x1b[1mname\x1b[0m   "), "{text:?}");
        assert!(text.contains("\x1b[31mwrong\x1b[0m\n"), "{text:?}");
        assert_eq!(screen.paint(Tone::Good, ""), "");
    }
}
