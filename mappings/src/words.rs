//! The nearest word, for "did you mean".

/// Most words of a similar length that are compared.
const MAX_COMPARED: usize = 256;
/// Longest list that is shown whole.
const MAX_LISTED: usize = 64;

/// What other descriptions of devices call it, and what it is called here.
const ELSEWHERE: [(&str, &str); 14] = [
    ("°C", "degC"),
    ("°F", "degF"),
    ("°", "deg"),
    ("int16", "s16"),
    ("uint16", "u16"),
    ("int32", "s32"),
    ("uint32", "u32"),
    ("int64", "s64"),
    ("uint64", "u64"),
    ("float", "f32"),
    ("float32", "f32"),
    ("real", "f32"),
    ("float64", "f64"),
    ("double", "f64"),
];

/// The word that was most probably meant, if any is near enough.
pub(crate) fn nearest<'w>(given: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let meant = ELSEWHERE.iter().find(|(other, _)| given.eq_ignore_ascii_case(other)).map(|(_, own)| *own);
    let words: Vec<&str> = words.into_iter().collect();
    if let Some(word) = words.iter().find(|word| Some(**word) == meant) {
        return Some(word);
    }
    let limit = (given.chars().count() / 3).max(1);
    let length = given.chars().count();
    let similar =
        words.into_iter().filter(|word| word.chars().count().abs_diff(length) <= limit).take(MAX_COMPARED);
    let given = given.to_lowercase();
    let ranked = similar.map(|word| (distance(&given, &word.to_lowercase()), word));
    // A word of which nothing is left was not meant; and hardly anybody errs twice, and in the first letter too.
    let begins_alike = |word: &str| word.to_lowercase().chars().next() == given.chars().next();
    let is_near = |far: usize, word: &str| {
        far <= limit && far < given.len().min(word.len()) && (far < 2 || begins_alike(word))
    };
    ranked.filter(|(far, word)| is_near(*far, word)).min_by_key(|(far, _)| *far).map(|(_, word)| word)
}

/// `did you mean …?`, or else all the words.
pub(crate) fn suggestion(given: &str, words: &[&str]) -> String {
    match nearest(given, words.iter().copied()) {
        Some(word) => format!("did you mean `{word}`?"),
        None if words.is_empty() => "there is none to choose from".to_owned(),
        None => match words.get(..MAX_LISTED) {
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
            ("Heater", None),
            ("Thermometer", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, words), expected, "{given}");
        }
    }
}
