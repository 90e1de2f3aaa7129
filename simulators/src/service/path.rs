//! As much of the path grammar as a Service needs: names, numbers, wildcards and search expressions. Reference
//! following is the Broker's business and is refused.

use super::fault::Fault;

/// A path, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Path {
    pub(crate) steps: Vec<Step>,
    /// What stands behind the last dot: a Parameter, `Command()` or `Event!`; `None`: the object itself.
    pub(crate) leaf: Option<String>,
}

/// One step down.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Name(String),
    Row(u32),
    AnyRow,
    Rows(Vec<Condition>),
}

/// One comparison of a search expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    /// Relative to the row: `Name`, `Stats.Errors`.
    pub(crate) parameter: String,
    pub(crate) operator: Operator,
    pub(crate) constant: String,
}

/// How to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Contains,
    LessOrEqual,
    GreaterOrEqual,
    Less,
    Greater,
}

/// Longer signs first, so that `<=` is not read as `<`.
const OPERATORS: [(&str, Operator); 7] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("~=", Operator::Contains),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

impl Path {
    /// Reads a path.
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        let bad = || Fault::new(7008, format!("{text:?} is no path that this Service understands"));
        let mut pieces = outside_brackets(text, '.').ok_or_else(bad)?;
        let leaf = pieces.pop().filter(|last| !last.is_empty());
        let steps: Vec<Step> =
            pieces.iter().map(|piece| step(piece)).collect::<Option<_>>().ok_or_else(bad)?;
        let named =
            leaf.as_deref().is_none_or(|leaf| is_name(leaf.trim_end_matches("()").trim_end_matches('!')));
        if !named || !matches!(steps.first(), Some(Step::Name(_))) {
            return Err(bad());
        }
        Ok(Self { steps, leaf })
    }

    /// Whether it may name several rows, or none, without that being an error.
    pub(crate) fn is_search(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::AnyRow | Step::Rows(_)))
    }

    /// The object's path in the supported model, rows as `{i}`.
    pub(crate) fn template(&self) -> String {
        let piece = |step: &Step| match step {
            Step::Name(name) => format!("{name}."),
            Step::Row(_) | Step::AnyRow | Step::Rows(_) => "{i}.".to_owned(),
        };
        self.steps.iter().map(piece).collect()
    }
}

/// Cuts a list of paths at its commas.
pub(crate) fn list(text: &str) -> Vec<String> {
    let pieces = outside_brackets(text, ',').unwrap_or_default();
    pieces.iter().map(|piece| piece.trim().to_owned()).filter(|piece| !piece.is_empty()).collect()
}

/// Cuts at a sign that is neither in brackets nor in quotes; `None`: they do not close.
fn outside_brackets(text: &str, sign: char) -> Option<Vec<String>> {
    let (mut pieces, mut piece) = (Vec::new(), String::new());
    let (mut inside, mut quoted) = (false, false);
    for c in text.chars() {
        match c {
            '"' if inside => quoted = !quoted,
            '[' if !quoted => inside = true,
            ']' if !quoted => inside = false,
            _ => {}
        }
        if c == sign && !inside {
            pieces.push(std::mem::take(&mut piece));
        } else {
            piece.push(c);
        }
    }
    pieces.push(piece);
    (!inside).then_some(pieces)
}

fn step(text: &str) -> Option<Step> {
    if text == "*" {
        return Some(Step::AnyRow);
    }
    if let Some(expression) = text.strip_prefix('[') {
        let conditions = expression.strip_suffix(']')?.split("&&").map(condition).collect::<Option<_>>()?;
        return Some(Step::Rows(conditions));
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return text.parse().ok().filter(|row| *row > 0).map(Step::Row);
    }
    is_name(text).then(|| Step::Name(text.to_owned()))
}

fn is_name(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(good)
}

fn condition(text: &str) -> Option<Condition> {
    let place = |(sign, operator)| Some((text.find(sign)?, sign, operator));
    let (_, sign, operator) =
        OPERATORS.into_iter().filter_map(place).min_by_key(|(at, sign, _)| (*at, 2 - sign.len()))?;
    let (parameter, constant) = text.split_once(sign)?;
    let (parameter, constant) = (parameter.trim(), constant.trim());
    let bare = constant.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let constant = bare.map_or(constant.to_owned(), |bare| bare.replace("%22", "\"").replace("%25", "%"));
    let named = !parameter.is_empty() && parameter.split('.').all(is_name);
    named.then(|| Condition { parameter: parameter.to_owned(), operator, constant })
}

impl Condition {
    /// Whether a value meets it: as numbers where both are, else as text.
    pub(crate) fn holds(&self, value: &str) -> bool {
        let numbers = value.parse::<f64>().ok().zip(self.constant.parse::<f64>().ok());
        let order = match numbers {
            Some((value, constant)) => value.partial_cmp(&constant),
            None => Some(value.cmp(self.constant.as_str())),
        };
        match self.operator {
            Operator::Equal => order.is_some_and(|order| order.is_eq()),
            Operator::NotEqual => order.is_some_and(|order| order.is_ne()),
            Operator::Less => order.is_some_and(|order| order.is_lt()),
            Operator::Greater => order.is_some_and(|order| order.is_gt()),
            Operator::LessOrEqual => order.is_some_and(|order| order.is_le()),
            Operator::GreaterOrEqual => order.is_some_and(|order| order.is_ge()),
            Operator::Contains => value.split(',').any(|item| item.trim() == self.constant),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart() {
        let path = Path::parse("Device.X_A-B_T.Zone.[Name==\"a.b\"&&Level>=2].Alarm!").unwrap();
        assert_eq!(path.leaf.as_deref(), Some("Alarm!"));
        assert_eq!(path.template(), "Device.X_A-B_T.Zone.{i}.");
        assert!(path.is_search());
        let Step::Rows(conditions) = &path.steps[3] else { panic!("{path:?}") };
        assert_eq!(conditions[0].constant, "a.b");
        assert_eq!(
            (conditions[1].operator, conditions[1].constant.as_str()),
            (Operator::GreaterOrEqual, "2")
        );
        assert!(!Path::parse("Device.Zone.12.").unwrap().is_search());
        assert!(Path::parse("Device.Zone.*.Reset()").unwrap().is_search());
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in
            ["", "Device", ".", "Device.Zone.0.", "Device.Zone.[Name].", "Device.Zone.[A==1", "Device.A+.B"]
        {
            assert_eq!(Path::parse(text).unwrap_err().code, 7008, "{text}");
        }
    }

    #[test]
    fn conditions_compare_by_kind() {
        let check = |text: &str, value: &str, expected: bool| {
            assert_eq!(condition(text).unwrap().holds(value), expected, "{value} {text}");
        };
        check("A==10", "10", true);
        check("A<9", "10", false);
        check("A!=\"x\"", "y", true);
        check("A~=b", "a,b", true);
        check("A>=2.5", "2.50", true);
        check("A==true", "true", true);
    }

    #[test]
    fn lists_are_cut_outside_brackets() {
        assert_eq!(list("Device.A., Device.B.[N==\"x,y\"].P"), ["Device.A.", "Device.B.[N==\"x,y\"].P"]);
        assert!(list("").is_empty());
    }
}
