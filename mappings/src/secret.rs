//! Where a secret is kept. The secret itself never comes into this crate.

use std::fmt;

/// Where a password or key is kept. Whoever needs it reads it when it connects, and shows it nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// `file:PATH`: the content of a file, without one line end at its end. In a compiled site, the path begins where
    /// that of the site file does.
    File(String),
    /// `env:NAME`: an environment variable.
    Env(String),
}

impl SecretRef {
    /// The reference that a text spells.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "file" if !rest.trim().is_empty() => Some(Self::File(rest.to_owned())),
            "env" if is_variable(rest) => Some(Self::Env(rest.to_owned())),
            _ => None,
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{path}"),
            Self::Env(name) => write!(f, "env:{name}"),
        }
    }
}

fn is_variable(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(is_part) && !name.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_told_from_secrets() {
        for text in ["file:secret.txt", "file:/run/secrets/mqtt", "env:MQTT_PASSWORD"] {
            assert_eq!(SecretRef::parse(text).map(|known| known.to_string()).as_deref(), Some(text));
        }
        for text in ["", "hunter2", "file:", "env:", "env:1A", "env:a b", "http://x"] {
            assert_eq!(SecretRef::parse(text), None, "{text}");
        }
    }
}
