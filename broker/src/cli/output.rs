//! What subcommands print, and how they fail.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

/// Why a subcommand did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The request failed: exit code 1.
    #[error("{0}")]
    Failed(String),
    /// Wrong usage or an invalid file: exit code 2.
    #[error("{0}")]
    Invalid(String),
    /// The request failed, and that was shown already: exit code 1.
    #[error("some of the request failed")]
    Shown,
}

impl Failure {
    /// The request failed: exit code 1.
    pub(crate) fn failed(why: impl Display) -> Self {
        Self::Failed(why.to_string())
    }

    /// Wrong usage or an invalid file: exit code 2.
    pub(crate) fn invalid(why: impl Display) -> Self {
        Self::Invalid(why.to_string())
    }

    /// Shows the error on standard error and names the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        if !matches!(self, Self::Shown) {
            let text = without_numbers(&self.to_string());
            // What the checkers of mappings and of the configuration say is an error by their own words.
            let told = text.starts_with("error[")
                || text.lines().next().is_some_and(|line| line.contains(": error: "));
            let prefix = if told { "" } else { "error: " };
            // Nobody is left to tell when standard error itself is closed.
            writeln!(io::stderr().lock(), "{prefix}{text}").ok();
        }
        match self {
            Self::Failed(_) | Self::Shown => ExitCode::from(1),
            Self::Invalid(_) => ExitCode::from(2),
        }
    }
}

/// What the system says of an error, without the number that it has for it: `(os error 2)` tells nobody anything.
pub(crate) fn without_numbers(text: &str) -> String {
    let mut parts = text.split(" (os error ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => out.push_str(rest),
            _ => out = format!("{out} (os error {part}"),
        }
    }
    out
}

/// Prints one line to standard output at once, so that a pipe's reader sees it when it happens.
pub(crate) fn print_line(line: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        // The reader has seen enough (`… | head`).
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.map_err(|error| Failure::failed(format!("standard output: {error}"))),
    }
}

/// As [`print_line`], why something failed as one object, for whoever asked for JSON; standard error has it too.
pub(crate) fn in_json<T>(json: bool, outcome: Result<T, Failure>) -> Result<T, Failure> {
    if let Err(failure @ (Failure::Failed(_) | Failure::Invalid(_))) = &outcome
        && json
    {
        print_line(serde_json::json!({"error": failure.to_string()}))?;
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::without_numbers;

    #[test]
    fn numbers_of_the_system_are_left_out() {
        assert_eq!(without_numbers("x: No such file (os error 2); y (os error 13)"), "x: No such file; y");
        assert_eq!(without_numbers("a (os error of mine)"), "a (os error of mine)");
    }
}
