//! What happens to simulated devices, and when.
//!
//! One line a step: a time, then a command. A time counts from the start (`10s`), or from the step before (`+500ms`).
//! `repeat` in place of a command begins again. Empty lines and what follows a `#` at the start of a line count for nothing.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Most steps.
const MAX_STEPS: usize = 10_000;

/// Commands and their times.
#[derive(Clone, Debug, PartialEq)]
pub struct Timetable<C> {
    steps: Vec<Step<C>>,
    /// When it begins again, if it does.
    repeat: Option<Duration>,
}

/// A command and its time.
#[derive(Clone, Debug, PartialEq)]
pub struct Step<C> {
    /// Its line.
    pub line: usize,
    /// Its time.
    pub at: Duration,
    /// What is to be done.
    pub command: C,
}

/// Why it cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct ScriptError {
    /// Where.
    pub line: usize,
    /// What is wrong.
    pub why: String,
}

impl<C: FromStr<Err: Display>> Timetable<C> {
    /// Reads one.
    ///
    /// Errors: the first line that cannot be understood.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let mut table = Self { steps: Vec::new(), repeat: None };
        let mut now = Duration::ZERO;
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            let wrong = |why: String| ScriptError { line: line_number, why };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if table.repeat.is_some() {
                return Err(wrong("nothing can follow `repeat`".to_owned()));
            }
            let (time, command) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let at = time_after(now, time).ok_or_else(|| {
                wrong(format!(
                    "{time:?} is no time; it is written 10s, 500ms, 2m, or +1s after the step before"
                ))
            })?;
            if at < now {
                return Err(wrong(format!("{time} is before the step before it")));
            }
            now = at;
            match command.trim() {
                "" => return Err(wrong("a command is missing after the time".to_owned())),
                "repeat" if at.is_zero() => {
                    return Err(wrong("it cannot repeat without time passing".to_owned()));
                }
                "repeat" => table.repeat = Some(at),
                command => {
                    let command = command.parse().map_err(|error: C::Err| wrong(error.to_string()))?;
                    table.steps.push(Step { line: line_number, at, command });
                }
            }
            if table.steps.len() > MAX_STEPS {
                return Err(wrong(format!("a script has at most {MAX_STEPS} steps")));
            }
        }
        Ok(table)
    }
}

impl<C> Timetable<C> {
    /// Looks whether all of it can be done.
    ///
    /// Errors: the first step that cannot.
    pub fn check<E: Display>(&self, knows: impl Fn(&C) -> Result<(), E>) -> Result<(), ScriptError> {
        let wrong = |step: &Step<C>| {
            knows(&step.command).err().map(|error| ScriptError { line: step.line, why: error.to_string() })
        };
        self.steps.iter().find_map(wrong).map_or(Ok(()), Err)
    }

    /// Does all of it at its time, until a step says with `false` that it is the last one; whether one has said so.
    pub async fn run(&self, mut take: impl FnMut(&Step<C>) -> bool) -> bool {
        let mut start = Instant::now();
        loop {
            for step in &self.steps {
                sleep_until(start + step.at).await;
                if !take(step) {
                    return true;
                }
            }
            let Some(period) = self.repeat else { return false };
            start += period;
            sleep_until(start).await;
        }
    }
}

fn time_after(now: Duration, text: &str) -> Option<Duration> {
    match text.strip_prefix('+') {
        Some(later) => now.checked_add(duration(later)?),
        None => duration(text),
    }
}

/// `1.5s`, `500ms`, `2m`, `1h`, at most 366 days.
fn duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at_checked(unit_at)?;
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = number.parse().ok().filter(|_| plain)?;
    Duration::try_from_secs_f64(number * seconds)
        .ok()
        .filter(|time| *time <= Duration::from_secs(366 * 86_400))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modbus::Command;

    #[test]
    fn times_count_from_the_start_or_the_step_before() {
        let table: Timetable<Command> =
            Timetable::parse("# a day\n\n0s set relay true\n+500ms fault slow 200\n1.5s clear\n2m repeat\n")
                .unwrap();
        let times: Vec<u128> = table.steps.iter().map(|step| step.at.as_millis()).collect();
        assert_eq!(times, [0, 500, 1500]);
        assert_eq!(table.repeat, Some(Duration::from_secs(120)));
        assert_eq!(table.steps[1].line, 4);
    }

    #[test]
    fn what_cannot_be_understood_is_told_with_its_line() {
        for (text, line, part) in [
            ("soon show", 1, "is no time"),
            ("1s show\n\n0s show", 3, "before"),
            ("1s", 1, "a command is missing"),
            ("1s dance", 1, "unknown command"),
            ("0s repeat", 1, "without time passing"),
            ("1s repeat\n2s show", 2, "follow"),
            ("1s fault lazy", 1, "unknown fault"),
            ("-1s show", 1, "is no time"),
            ("1e9h show", 1, "is no time"),
        ] {
            let error = Timetable::<Command>::parse(text).unwrap_err();
            assert!(error.line == line && error.why.contains(part), "{error}");
        }
    }
}
