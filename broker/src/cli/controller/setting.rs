//! `PATH=VALUE` and `KEY=VALUE` as written on the command line.

use std::collections::BTreeMap;
use std::str::FromStr;

/// `PATH=VALUE`: one Parameter of one or (with a search expression or wildcard) several objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PathValue {
    /// The object's path with its final dot.
    pub(super) object: String,
    /// The Parameter's name.
    pub(super) parameter: String,
    /// Everything behind the `=`.
    pub(super) value: String,
}

/// `KEY=VALUE`: a Parameter of a new row, or an argument of a Command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyValue {
    /// Everything before the first `=`.
    pub(super) key: String,
    /// Everything behind it.
    pub(super) value: String,
}

/// Why a text is neither.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SettingError {
    #[error("there is no `=`; write PATH=VALUE, with nothing around the `=`")]
    NoValue,
    #[error("a `[` is not closed by `]`")]
    OpenBracket,
    #[error("`{0}` names no Parameter; write Device.Object.Parameter=VALUE")]
    NoParameter(String),
    #[error("there is no `=`; write KEY=VALUE")]
    NoKeyValue,
    #[error("there is no name before the `=`")]
    NoKey,
}

impl FromStr for PathValue {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let marks = Marks::of(text)?;
        let (path, value) =
            marks.equals.and_then(|at| split_around(text, at)).ok_or(SettingError::NoValue)?;
        let no_parameter = || SettingError::NoParameter(path.to_owned());
        let (object, parameter) =
            marks.last_dot.and_then(|at| split_around(path, at)).ok_or_else(no_parameter)?;
        if object.is_empty() || parameter.is_empty() {
            return Err(no_parameter());
        }
        Ok(Self { object: format!("{object}."), parameter: parameter.to_owned(), value: value.to_owned() })
    }
}

impl FromStr for KeyValue {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let (key, value) = text.split_once('=').ok_or(SettingError::NoKeyValue)?;
        if key.is_empty() {
            return Err(SettingError::NoKey);
        }
        Ok(Self { key: key.to_owned(), value: value.to_owned() })
    }
}

/// Where the path of `PATH=VALUE` ends, and where its last name begins. What stands between `[` and `]`, or there in
/// double quotes, is a search expression's own affair.
#[derive(Default)]
struct Marks {
    equals: Option<usize>,
    last_dot: Option<usize>,
}

impl Marks {
    fn of(text: &str) -> Result<Self, SettingError> {
        let (mut marks, mut in_brackets, mut in_quotes) = (Self::default(), false, false);
        for (at, c) in text.char_indices() {
            match c {
                '"' if in_brackets => in_quotes = !in_quotes,
                ']' if !in_quotes => in_brackets = false,
                '[' => in_brackets = true,
                '.' if !in_brackets => marks.last_dot = Some(at),
                '=' if !in_brackets => {
                    marks.equals = Some(at);
                    return Ok(marks);
                }
                _ => {}
            }
        }
        if in_brackets { Err(SettingError::OpenBracket) } else { Ok(marks) }
    }
}

/// Both sides of the one-byte mark at `at`.
fn split_around(text: &str, at: usize) -> Option<(&str, &str)> {
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// One object with all that is set in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ObjectSettings {
    /// The object's path with its final dot.
    pub(super) object: String,
    /// Names and values, as written.
    pub(super) parameters: Vec<(String, String)>,
}

/// Puts what belongs to one object together, objects and Parameters in the order in which they first came.
/// The error is the Parameter that is given twice.
pub(super) fn group(settings: Vec<PathValue>) -> Result<Vec<ObjectSettings>, String> {
    let mut places = BTreeMap::new();
    let mut groups: Vec<ObjectSettings> = Vec::new();
    for PathValue { object, parameter, value } in settings {
        let place = *places.entry(object.clone()).or_insert_with(|| {
            groups.push(ObjectSettings { object: object.clone(), parameters: Vec::new() });
            groups.len() - 1
        });
        let Some(group) = groups.get_mut(place) else { continue };
        if group.parameters.iter().any(|(name, _)| *name == parameter) {
            return Err(format!("{object}{parameter}"));
        }
        group.parameters.push((parameter, value));
    }
    Ok(groups)
}

/// Keys and values as pairs. The error is the key that is given twice.
pub(super) fn pairs(settings: Vec<KeyValue>) -> Result<Vec<(String, String)>, String> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for KeyValue { key, value } in settings {
        if pairs.iter().any(|(name, _)| *name == key) {
            return Err(key);
        }
        pairs.push((key, value));
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> String {
        match text.parse::<PathValue>() {
            Ok(s) => format!("{} | {} | {}", s.object, s.parameter, s.value),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn splits_at_the_first_equals_sign_of_the_path() {
        assert_eq!(split("Device.A.B=c"), "Device.A. | B | c");
        assert_eq!(split("Device.A.B=a=b.c[d]"), "Device.A. | B | a=b.c[d]");
        assert_eq!(split("Device.A.B="), "Device.A. | B | ");
        assert_eq!(split("Device.A.1.B=ü"), "Device.A.1. | B | ü");
    }

    #[test]
    fn leaves_search_expressions_alone() {
        assert_eq!(split(r#"Device.A.[B=="x.y"].C=1"#), r#"Device.A.[B=="x.y"]. | C | 1"#);
        assert_eq!(split(r#"Device.A.[B=="]="&&C<=3].D=="#), r#"Device.A.[B=="]="&&C<=3]. | D | ="#);
        assert_eq!(split("Device.A.*.B=1"), "Device.A.*. | B | 1");
        assert_eq!(split("Device.A.Ref#2+.B=1"), "Device.A.Ref#2+. | B | 1");
    }

    #[test]
    fn refuses_what_is_no_setting() {
        assert!(split("Device.A.B").contains("no `=`"));
        assert!(split("Device.A.=1").contains("`Device.A.` names no Parameter"));
        assert!(split("B=1").contains("`B` names no Parameter"));
        assert!(split("Device.A.[B==1.C=2").contains("not closed"));
        assert!("=1".parse::<KeyValue>().unwrap_err().to_string().contains("no name"));
        assert!("A".parse::<KeyValue>().unwrap_err().to_string().contains("KEY=VALUE"));
    }

    #[test]
    fn groups_by_object_in_order() {
        let settings = ["Device.A.X=1", "Device.B.Y=2", "Device.A.Z=3"].map(|s| s.parse().unwrap()).to_vec();
        let groups = group(settings).unwrap();
        let shape: Vec<_> = groups.iter().map(|g| (g.object.as_str(), g.parameters.len())).collect();
        assert_eq!(shape, [("Device.A.", 2), ("Device.B.", 1)]);
        let twice = ["Device.A.X=1", "Device.A.X=2"].map(|s| s.parse().unwrap()).to_vec();
        assert_eq!(group(twice), Err("Device.A.X".to_owned()));
    }

    #[test]
    fn a_value_may_hold_equals_signs() {
        let pair: KeyValue = "Expr=a==b".parse().unwrap();
        assert_eq!((pair.key.as_str(), pair.value.as_str()), ("Expr", "a==b"));
    }
}
