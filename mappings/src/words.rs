//! The nearest word, for "did you mean".

mod elsewhere;

use std::time::Duration;

/// Most words of a similar length that are compared.
const MAX_COMPARED: usize = 256;
/// Most names that are shown when one was not found.
const MAX_ALIKE: usize = 4;
/// Longest list that is shown whole.
const MAX_LISTED: usize = 64;

/// The word that was most probably meant, if any is near enough.
pub(crate) fn nearest<'w>(given: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    ranked(given, words).into_iter().next().map(|(_, word)| word)
}

/// The word that was meant, if no other is as near.
pub(crate) fn only_nearest<'w>(given: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    match ranked(given, words).as_slice() {
        [(_, word)] => Some(word),
        [(near, word), (far, _), ..] if near < far => Some(word),
        _ => None,
    }
}

/// The words that may have been meant and how far off they are, the nearest first.
fn ranked<'w>(given: &str, words: impl IntoIterator<Item = &'w str>) -> Vec<(usize, &'w str)> {
    let words: Vec<&str> = words.into_iter().collect();
    if let Some(meant) = elsewhere::here(given).find_map(|own| words.iter().find(|word| **word == own)) {
        return vec![(0, meant)];
    }
    let length = given.chars().count();
    let given = given.to_lowercase();
    let similar = words.into_iter().filter(|word| word.chars().count().abs_diff(length) <= length / 3 + 1);
    let distances = similar.take(MAX_COMPARED).map(|word| (distance(&given, &word.to_lowercase()), word));
    let mut near: Vec<_> = distances.filter(|(far, word)| is_near(*far, &given, word)).collect();
    near.sort_by_key(|(far, _)| *far);
    near
}

/// A word of one or two letters has too many neighbours; of a word of which nothing is left nothing was meant; and
/// hardly anybody errs twice, and in the first letter too, or in the first of three.
fn is_near(far: usize, given: &str, word: &str) -> bool {
    let (given_length, length) = (given.chars().count(), word.chars().count());
    let limit = if given_length.min(length) <= 2 { 0 } else { (given_length / 3).max(1) };
    let begins_alike = word.to_lowercase().chars().next() == given.chars().next();
    far <= limit && (far < 2 && given_length > 3 || begins_alike)
}

/// What another program calls one of these words.
pub(crate) fn translated<'w>(given: &str, words: &[&'w str]) -> Option<&'w str> {
    elsewhere::here(given).find_map(|own| words.iter().find(|word| **word == own).copied())
}

/// Names of several parts that have something in common with one: first those that begin with it, as a longer name of
/// the same model does, then the most alike; `None` without any.
pub(crate) fn alike<'w>(given: &str, names: impl Iterator<Item = &'w str> + Clone) -> Option<Vec<&'w str>> {
    let begin = names.clone().filter(|name| !given.is_empty() && name.starts_with(&given.to_lowercase()));
    let near = begin.chain(ranked(given, names.clone()).into_iter().map(|(_, name)| name));
    let parts = |name: &str| -> Vec<String> {
        let parts = name.split(['.', '-', '_', ' ']).filter(|part| part.len() > 2);
        parts.map(str::to_lowercase).collect()
    };
    let wanted = parts(given);
    let common = |name: &str| {
        let own = parts(name);
        wanted
            .iter()
            .filter(|part| own.iter().any(|own| own.contains(*part) || part.contains(own.as_str())))
            .count()
    };
    let mut shared: Vec<(usize, &str)> =
        names.map(|name| (common(name), name)).filter(|(common, _)| *common > 0).collect();
    shared.sort_by_key(|(common, _)| std::cmp::Reverse(*common));
    let mut found: Vec<&str> = Vec::new();
    for name in near.chain(shared.into_iter().map(|(_, name)| name)) {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found.truncate(MAX_ALIKE);
    (!found.is_empty()).then_some(found)
}

/// `did you mean …?`, or else all the words.
pub(crate) fn suggestion(given: &str, words: &[&str]) -> String {
    let near = ranked(given, words.iter().copied());
    let least = near.first().map_or(0, |(far, _)| *far);
    let near: Vec<&str> =
        near.iter().filter(|(far, _)| *far == least).map(|(_, word)| *word).take(3).collect();
    match near.as_slice() {
        [_, ..] => format!("did you mean `{}`?", near.join("` or `")),
        [] if words.is_empty() => "there is none to choose from".to_owned(),
        [] => match words.get(..MAX_LISTED) {
            Some(some) => format!("one of {}, …", some.join(", ")),
            None => format!("one of {}", words.join(", ")),
        },
    }
}

/// The word as YAML needs it: some begin with what means something to YAML.
pub(crate) fn quoted(word: &str) -> String {
    let plain = word.starts_with(|c: char| c.is_ascii_alphanumeric()) && !word.contains([':', '#', ',']);
    if plain { word.to_owned() } else { format!("\"{word}\"") }
}

/// A duration as mapping files write it.
pub(crate) fn duration_text(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    if milliseconds.is_multiple_of(1000) {
        format!("{}s", milliseconds / 1000)
    } else {
        format!("{milliseconds}ms")
    }
}

/// Edits between two words: inserted, left out, changed and swapped characters (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let mut cost = (last[j] + usize::from(from != to)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *from == b[j - 1] && a[i - 1] == *to {
                cost = cost.min(before_last[j - 1] + 1);
            }
            row.push(cost);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_finger_are_near() {
        let words = ["LevelSensor", "LevelControl", "EnumSensor", "kWh", "V", "degC", "s16", "f32", "Meter"];
        for (given, expected) in [
            ("LevelSensr", Some("LevelSensor")),
            ("levelsensor", Some("LevelSensor")),
            ("LveelControl", Some("LevelControl")),
            ("KWh", Some("kWh")),
            ("°C", Some("degC")),
            ("int16", Some("s16")),
            ("Float", Some("f32")),
            ("VA", None),
            ("Heater", None),
            ("Thermometer", None),
            ("factor", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, words), expected, "{given}");
        }
    }

    #[test]
    fn what_others_call_it_is_known() {
        assert_eq!(nearest("Uint32", ["u16", "u32", "s32"]), Some("u32"));
        assert_eq!(nearest("factor", ["scale", "offset"]), Some("scale"));
        assert_eq!(nearest("percent", ["-", "%"]), Some("%"));
    }

    #[test]
    fn of_names_that_begin_alike_the_longer_ones_come_first() {
        let names = ["eastron.sdm120", "eastron.sdm630", "eastron.sdm72d-m-v2", "acme.other"];
        let found = alike("eastron.sdm72", names.into_iter());
        assert_eq!(found.unwrap_or_default(), ["eastron.sdm72d-m-v2", "eastron.sdm120", "eastron.sdm630"]);
        assert_eq!(alike("nobody.else-is", names.into_iter()), None);
    }

    #[test]
    fn a_short_word_with_another_first_letter_is_another_word() {
        assert_eq!(nearest("tcp", ["ncp", "baud"]), None);
        assert_eq!(nearest("ncb", ["ncp", "baud"]), Some("ncp"));
    }

    #[test]
    fn only_one_word_is_certain() {
        assert_eq!(only_nearest("fasr", ["fast", "slow"]), Some("fast"));
        assert_eq!(only_nearest("fasr", ["fast", "fase"]), None);
        assert_eq!(nearest("fasr", ["fast", "fase"]), Some("fast"));
    }
}
