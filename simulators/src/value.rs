//! What a simulated capability reads, in the terms of whoever looks at it.

use std::fmt;

/// The value of one capability.
#[derive(Clone, Debug, PartialEq)]
pub enum SimValue {
    /// On or off.
    Bool(bool),
    /// In the capability's unit.
    Number(f64),
    /// One of the capability's named states.
    Text(String),
}

impl SimValue {
    /// The number, if it is one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Bool(_) | Self::Text(_) => None,
        }
    }

    /// The state, if it has two.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(on) => Some(*on),
            Self::Number(_) | Self::Text(_) => None,
        }
    }

    /// The state's name, if it has one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Bool(_) | Self::Number(_) => None,
        }
    }

    /// What a person typed: `true`, `false`, a number, or the name of a state.
    pub fn typed(text: &str) -> Self {
        match text {
            "true" => Self::Bool(true),
            "false" => Self::Bool(false),
            other => other.parse().map_or_else(|_| Self::Text(other.to_owned()), Self::Number),
        }
    }
}

impl fmt::Display for SimValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(on) => write!(f, "{on}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl From<bool> for SimValue {
    fn from(on: bool) -> Self {
        Self::Bool(on)
    }
}

impl From<f64> for SimValue {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for SimValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_values_keep_their_kind() {
        for (text, value) in [
            ("true", SimValue::Bool(true)),
            ("230.5", SimValue::Number(230.5)),
            ("-3", SimValue::Number(-3.0)),
            ("OffPeak", SimValue::from("OffPeak")),
        ] {
            assert_eq!(SimValue::typed(text), value);
            assert_eq!(value.to_string(), text);
        }
    }
}
