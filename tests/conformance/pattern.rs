//! Lines of an answer against the lines that a case expects.
//!
//! A pattern is compared word by word. In a word `*` stands for any characters, `{n}` for a number, `$name` or `${name}` for
//! what was bound before, or, the first time, for whatever stands there. `..` stands for any number of words.

use std::collections::BTreeMap;

/// What the names in patterns stand for.
pub type Vars = BTreeMap<String, String>;

/// One expected line.
#[derive(Clone, Debug)]
pub struct Expected {
    /// How often it stands there.
    pub times: Times,
    /// The pattern.
    pub text: String,
}

/// How often a line is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// Once, here.
    Once,
    /// This often or more, one after another, here.
    AtLeast(usize),
    /// Nowhere in the whole answer.
    Never,
    /// Any lines, or none.
    Rest,
}

/// Whether the lines are as expected; gives what was bound then.
pub fn matches(expected: &[Expected], lines: &[String], vars: &Vars) -> Option<Vars> {
    let (never, order): (Vec<_>, Vec<_>) = expected.iter().partition(|line| line.times == Times::Never);
    let bound = in_order(&order, lines, vars)?;
    let forbidden = |line: &String| never.iter().any(|pattern| one(&pattern.text, line, &bound).is_some());
    (!lines.iter().any(forbidden)).then_some(bound)
}

fn in_order(expected: &[&Expected], lines: &[String], vars: &Vars) -> Option<Vars> {
    let Some((first, rest)) = expected.split_first() else {
        return lines.is_empty().then(|| vars.clone());
    };
    match first.times {
        Times::Once => {
            let (line, after) = lines.split_first()?;
            in_order(rest, after, &one(&first.text, line, vars)?)
        }
        Times::Rest => (0..=lines.len()).find_map(|count| in_order(rest, &lines[count..], vars)),
        Times::AtLeast(least) => {
            let fitting = lines.iter().take_while(|line| one(&first.text, line, vars).is_some()).count();
            (least..=fitting).rev().find_map(|count| in_order(rest, &lines[count..], vars))
        }
        Times::Never => None,
    }
}

/// Whether one line fits one pattern.
pub fn one(pattern: &str, line: &str, vars: &Vars) -> Option<Vars> {
    let (pattern, line): (Vec<_>, Vec<_>) =
        (pattern.split_whitespace().collect(), line.split_whitespace().collect());
    words(&pattern, &line, vars)
}

fn words(pattern: &[&str], line: &[&str], vars: &Vars) -> Option<Vars> {
    match pattern.split_first() {
        None => line.is_empty().then(|| vars.clone()),
        Some((&"..", rest)) => (0..=line.len()).find_map(|count| words(rest, &line[count..], vars)),
        Some((first, rest)) => {
            let (word, after) = line.split_first()?;
            words(rest, after, &within(first, word, vars)?)
        }
    }
}

fn within(pattern: &str, word: &str, vars: &Vars) -> Option<Vars> {
    let Some(first) = pattern.chars().next() else {
        return word.is_empty().then(|| vars.clone());
    };
    let ends = || word.char_indices().map(|(at, c)| at + c.len_utf8());
    if let Some(rest) = pattern.strip_prefix("{n}") {
        let digits = word.bytes().take_while(u8::is_ascii_digit).count();
        return (1..=digits).rev().find_map(|count| within(rest, word.split_at(count).1, vars));
    }
    if let Some(rest) = pattern.strip_prefix('*') {
        return std::iter::once(0).chain(ends()).find_map(|end| within(rest, word.split_at(end).1, vars));
    }
    if let Some((name, rest)) = name_of(pattern) {
        if let Some(value) = vars.get(name) {
            return within(rest, word.strip_prefix(&shown(value))?, vars);
        }
        let bind = |end: usize| {
            let mut more = vars.clone();
            more.insert(name.to_owned(), word.split_at(end).0.to_owned());
            within(rest, word.split_at(end).1, &more)
        };
        return ends().collect::<Vec<_>>().into_iter().rev().find_map(bind);
    }
    within(pattern.strip_prefix(first)?, word.strip_prefix(first)?, vars)
}

/// The name that the text begins with, and what follows it.
fn name_of(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix('$')?;
    if let Some(braced) = rest.strip_prefix('{') {
        return braced.split_once('}');
    }
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
    (end > 0).then(|| rest.split_at(end))
}

/// A request's text with its names replaced. A name that stands for nothing is a mistake in the case.
pub fn filled(text: &str, vars: &Vars) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let (name, after) = name_of(from).ok_or_else(|| format!("a name is missing in {text:?}"))?;
        out.push_str(vars.get(name).ok_or_else(|| format!("${name} stands for nothing"))?);
        rest = after;
    }
    Ok(out + rest)
}

/// A value as one word: blanks would part it.
pub fn shown(value: &str) -> String {
    value.replace([' ', '\n', '\t'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expect(times: Times, text: &str) -> Expected {
        Expected { times, text: text.to_owned() }
    }

    fn lines(all: &[&str]) -> Vec<String> {
        all.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn names_bind_once_and_then_hold() {
        let expected = [expect(Times::Once, "row $row A=$x .."), expect(Times::Once, "again ${row}B $x")];
        let bound = matches(&expected, &lines(&["row T.7. A=1 B=2", "again T.7.B 1"]), &Vars::new()).unwrap();
        assert_eq!((bound["row"].as_str(), bound["x"].as_str()), ("T.7.", "1"));
        assert!(matches(&expected, &lines(&["row T.7. A=1", "again T.8.B 1"]), &Vars::new()).is_none());
    }

    #[test]
    fn lines_repeat_are_skipped_and_are_forbidden() {
        let expected = [
            expect(Times::AtLeast(2), "T.{n}. on=true"),
            expect(Times::Rest, ""),
            expect(Times::Never, "bad"),
        ];
        let fits = |all: &[&str]| matches(&expected, &lines(all), &Vars::new()).is_some();
        assert!(fits(&["T.1. on=true", "T.22. on=true", "more"]));
        assert!(!fits(&["T.1. on=true", "T.x. on=true"]));
        assert!(!fits(&["T.1. on=true", "T.2. on=true", "bad"]));
    }

    #[test]
    fn requests_name_nothing_unknown() {
        let vars = Vars::from([("row".to_owned(), "T.7.".to_owned())]);
        assert_eq!(filled("get ${row}Enable", &vars).unwrap(), "get T.7.Enable");
        assert!(filled("get $other", &vars).is_err());
    }
}
