//! What was probably meant by a name that there is not.

/// Longest name that is compared.
const MAX_LENGTH: usize = 64;

/// `; did you mean "slow"?` where one of the known names, which are separated by commas, is near; else nothing.
pub fn hint(given: &str, known: &str) -> String {
    let given = given.split(['=', '*', ' ']).next().unwrap_or_default().to_lowercase();
    let names = known.split(", ").map(|name| name.split(['=', ' ', '[']).next().unwrap_or_default());
    let limit = (given.chars().count() / 3).max(1);
    let distances = names.map(|name| (distance(&given, &name.to_lowercase()), name));
    match distances.min().filter(|(far, name)| *far <= limit && *far < name.chars().count()) {
        Some((_, name)) => format!("; did you mean {name:?}?"),
        None => String::new(),
    }
}

/// How many characters have to be changed, left out or put in to make one of the other; swapping two neighbours is one
/// change.
fn distance(one: &str, other: &str) -> usize {
    let one: Vec<char> = one.chars().take(MAX_LENGTH).collect();
    let other: Vec<char> = other.chars().take(MAX_LENGTH).collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=other.len()).collect()];
    for (i, from) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in other.iter().enumerate() {
            let above = &rows[i];
            let mut least = (above[j] + usize::from(from != to)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *from == other[j - 1] && one[i - 1] == *to {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_understood_and_a_guess_is_not_made() {
        let known = "silent, slow=MS, exception=CODE, max_registers=N, voltage-l1";
        for (given, meant) in [
            ("silnet", Some("silent")),
            ("slo=200", Some("slow")),
            ("exeption=4*2", Some("exception")),
            ("Voltage_L1", Some("voltage-l1")),
            ("max-registers=32", Some("max_registers")),
            ("lazy", None),
            ("volts", None),
            ("", None),
        ] {
            let expected = meant.map_or(String::new(), |meant| format!("; did you mean {meant:?}?"));
            assert_eq!(hint(given, known), expected, "{given}");
        }
    }
}
