//! Passwords in the file: literally, or where to find them: `file:PATH`, `env:NAME`.

use std::path::Path;

use super::draft::At;
use super::problem::Problems;

/// The longest password that a row takes, in bytes.
const LONGEST: usize = 256;

/// Reads a password. No message shows it.
pub(super) fn read(text: &At<String>, base: &Path, problems: &mut Problems<'_>) -> Option<String> {
    let found = match text.value.split_once(':') {
        Some(("file", path)) => from_file(&base.join(path)),
        Some(("env", name)) => from_env(name),
        _ => {
            problems.note_secret(text.span.clone());
            Ok(text.value.clone())
        }
    };
    let problem = match found {
        Ok(secret) if secret.len() <= LONGEST => return Some(secret),
        Ok(_) => format!("the password is longer than {LONGEST} bytes"),
        Err(problem) => problem,
    };
    problems.add(text.span.clone(), problem);
    None
}

/// The first line of a file.
///
/// Errors: it cannot be read, or is empty.
pub(crate) fn from_file(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("the password cannot be read from {}: {error}", path.display()))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(format!("{} has no password in its first line", path.display())),
    }
}

/// An environment variable.
///
/// Errors: it is not set.
pub(crate) fn from_env(name: &str) -> Result<String, String> {
    std::env::var(name)
        .map_err(|_| format!("the environment variable `{name}`, which should have the password, is not set"))
}
