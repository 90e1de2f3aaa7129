//! Conditions of channels (`Mode==1&&Count>=2`), as far as `when` can say them: which values of which parameters.

use std::collections::{BTreeMap, BTreeSet};

use crate::import::tree::{Map, int};

/// Most values of a parameter that are written out.
const MAX_VALUES: usize = 64;

/// Deepest nesting of brackets.
const MAX_DEPTH: usize = 16;

/// What each parameter has to be: one of these.
pub(super) type When = BTreeMap<String, BTreeSet<i128>>;

/// The parameters of a template that conditions can be about: what each can be, and what it is unless somebody says
/// otherwise.
#[derive(Debug, Default)]
pub(super) struct Settings(BTreeMap<String, (BTreeSet<i128>, i128)>);

impl Settings {
    /// Takes in a parameter. One that several entries tell of can be all that any of them says.
    pub(super) fn add(&mut self, id: &str, map: &Map<'_>) {
        let listed: BTreeSet<i128> = map.peek_items("enum").iter().filter_map(int).collect();
        let range = map.peek_int("min").zip(map.peek_int("max"));
        let values = match range.filter(|_| listed.is_empty()) {
            Some((low, high)) if low <= high => (low..=high).take(MAX_VALUES + 1).collect(),
            _ => listed,
        };
        let Some(first) = values.first().copied() else { return };
        let default = map.peek_int("default").filter(|default| values.contains(default));
        let known = self.0.entry(id.to_owned()).or_insert_with(|| (BTreeSet::new(), first));
        known.0.extend(values);
        known.1 = default.unwrap_or(known.1);
    }

    /// Its values and its default, if they are not too many to be written out.
    pub(super) fn get(&self, id: &str) -> Option<(&BTreeSet<i128>, i128)> {
        let (values, default) = self.0.get(id)?;
        (values.len() <= MAX_VALUES).then_some((values, *default))
    }

    /// What a condition wants; `None`: `when` cannot say it.
    pub(super) fn when(&self, condition: &str) -> Option<When> {
        let mut parser = Parser { tokens: tokens(condition)?, at: 0, settings: self };
        let when = parser.any(0)?;
        (parser.at == parser.tokens.len()).then_some(when)
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Number(i128),
    Sign(&'static str),
}

const SIGNS: [&str; 10] = ["&&", "||", "==", "!=", "<=", ">=", "<", ">", "(", ")"];

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = |fits: fn(char) -> bool| {
            rest.char_indices().skip(1).find(|(_, c)| !fits(*c)).map_or(rest.len(), |(at, _)| at)
        };
        let (token, length) = if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            (Token::Sign(sign), sign.len())
        } else if first.is_ascii_digit() || first == '-' {
            let end = end(|c| c.is_ascii_digit());
            (Token::Number(rest.get(..end)?.parse().ok()?), end)
        } else if first.is_alphabetic() || first == '_' {
            let end = end(|c| c.is_alphanumeric() || c == '_');
            (Token::Word(rest.get(..end)?.to_owned()), end)
        } else {
            return None;
        };
        tokens.push(token);
        rest = rest.get(length..)?.trim_start();
    }
    Some(tokens)
}

struct Parser<'s> {
    tokens: Vec<Token>,
    at: usize,
    settings: &'s Settings,
}

impl Parser<'_> {
    fn takes(&mut self, sign: &str) -> bool {
        let found = self.tokens.get(self.at)
            == SIGNS.iter().find(|known| **known == sign).map(|s| Token::Sign(s)).as_ref();
        self.at += usize::from(found);
        found
    }

    /// One of several, which `when` can say of one parameter alone.
    fn any(&mut self, depth: usize) -> Option<When> {
        let mut when = self.all(depth)?;
        while self.takes("||") {
            let other = self.all(depth)?;
            let (mut mine, mut others) = (when.iter_mut(), other.into_iter());
            match (mine.next(), mine.next(), others.next(), others.next()) {
                (Some((name, values)), None, Some((other, more)), None) if *name == other => {
                    values.extend(more)
                }
                _ => return None,
            }
        }
        Some(when)
    }

    fn all(&mut self, depth: usize) -> Option<When> {
        let mut when = self.one(depth)?;
        while self.takes("&&") {
            for (name, values) in self.one(depth)? {
                let both = when.get(&name).map(|known| known & &values);
                when.insert(name, both.unwrap_or(values));
            }
        }
        Some(when)
    }

    fn one(&mut self, depth: usize) -> Option<When> {
        if self.takes("(") {
            let when = (depth < MAX_DEPTH).then(|| self.any(depth + 1))??;
            return self.takes(")").then_some(when);
        }
        let [Token::Word(name), Token::Sign(sign), Token::Number(number)] =
            self.tokens.get(self.at..self.at + 3)?
        else {
            return None;
        };
        let (values, _) = self.settings.get(name)?;
        let meets: fn(&i128, &i128) -> bool = match *sign {
            "==" => |value, number| value == number,
            "!=" => |value, number| value != number,
            "<" => |value, number| value < number,
            ">" => |value, number| value > number,
            "<=" => |value, number| value <= number,
            ">=" => |value, number| value >= number,
            _ => return None,
        };
        let met = values.iter().copied().filter(|value| meets(value, number)).collect();
        let when = When::from([(name.clone(), met)]);
        self.at += 3;
        Some(when)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let values = |values: &[i128]| values.iter().copied().collect::<BTreeSet<i128>>();
        let known = [("Mode", values(&[0, 1, 2]), 0), ("count", values(&[1, 2, 3, 4]), 2)];
        Settings(
            known.into_iter().map(|(name, values, default)| (name.to_owned(), (values, default))).collect(),
        )
    }

    #[test]
    fn conditions_become_values_of_parameters() {
        for (condition, expected) in [
            ("Mode==1", Some(vec![("Mode", vec![1])])),
            ("Mode!=1 && count >= 3", Some(vec![("Mode", vec![0, 2]), ("count", vec![3, 4])])),
            ("(Mode==1)||(Mode==2)", Some(vec![("Mode", vec![1, 2])])),
            ("count>1&&count<4", Some(vec![("count", vec![2, 3])])),
            ("Mode==1||count==1", None),
            ("isDefined(Mode)", None),
            ("other==1", None),
            ("Mode==1)", None),
            ("", None),
        ] {
            let when = settings().when(condition);
            let when = when.map(|when| {
                let entries = when.into_iter();
                entries
                    .map(|(name, values)| (name, values.into_iter().collect::<Vec<_>>()))
                    .collect::<Vec<_>>()
            });
            let expected: Option<Vec<(String, Vec<i128>)>> = expected
                .map(|entries| entries.into_iter().map(|(name, values)| (name.to_owned(), values)).collect());
            assert_eq!(when, expected, "{condition}");
        }
        let deep = "(".repeat(100) + "Mode==1" + &")".repeat(100);
        assert_eq!(settings().when(&deep), None);
    }
}
