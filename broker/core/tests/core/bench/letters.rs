//! What permissions say, worked out naively on texts: the reference for the algebra of the core.

/// One row of a Permission table: Order, Targets, and the letters of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) order: u32,
    pub(crate) targets: Vec<String>,
    pub(crate) letters: String,
}

/// Whether a target covers a concrete path. Objects end in a dot; a target without one may mean an object too.
fn covers(target: &str, path: &str) -> bool {
    let same = |(t, p): (&str, &str)| t == p || (t == "*" && p.parse::<u32>().is_ok());
    let is_object = |text: &str| text.ends_with('.');
    let steps =
        |text: &str| -> Vec<String> { text.trim_end_matches('.').split('.').map(str::to_owned).collect() };
    let (wanted, given) = (steps(target), steps(path));
    let begins =
        wanted.len() <= given.len() && wanted.iter().zip(&given).all(|(t, p)| same((t.as_str(), p.as_str())));
    let whole = wanted.len() == given.len();
    // A Parameter is no object, even where all its steps are named.
    begins && !(is_object(target) && !is_object(path) && whole)
}

/// The letters that a Controller with these roles has for a concrete path.
pub(crate) fn letters(roles: &[Vec<Line>], path: &str) -> String {
    let of_role = |role: &Vec<Line>| {
        let mut lines: Vec<&Line> =
            role.iter().filter(|l| l.targets.iter().any(|t| covers(t, path))).collect();
        lines.sort_by_key(|line| line.order);
        lines.last().map(|line| line.letters.clone()).unwrap_or_default()
    };
    let all: String = roles.iter().map(of_role).collect();
    "rwxn".chars().filter(|letter| all.contains(*letter)).collect()
}
