//! A script: what happens to the devices of a plant, and when; see [`Timetable`].

use std::time::Duration;

use crate::timetable::{ScriptError, Timetable};

use super::command::{Command, CommandError};
use super::plant::Plant;

/// A script.
#[derive(Clone, Debug, PartialEq)]
pub struct Script(Timetable<Command>);

impl Script {
    /// Reads a script.
    ///
    /// Errors: the first line that cannot be understood.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        Timetable::parse(text).map(Self)
    }

    /// Looks whether the devices have what it names.
    ///
    /// Errors: the first step that they do not.
    pub fn check(&self, plant: &Plant) -> Result<(), ScriptError> {
        self.0.check(|command| plant.knows(command))
    }

    /// Does all of it at its time, and says what each step answered. Ends with the last step or at `quit`, which is told
    /// by `true`.
    pub async fn run(&self, plant: &Plant, mut say: impl FnMut(&Told<'_>)) -> bool {
        let one = |step: &crate::timetable::Step<Command>| {
            let goes_on = step.command != Command::Quit;
            if goes_on {
                let answer = plant.obey(&step.command);
                say(&Told { line: step.line, at: step.at, command: &step.command, answer });
            }
            goes_on
        };
        self.0.run(one).await
    }
}

/// A step that was done.
#[derive(Debug)]
pub struct Told<'s> {
    /// Its line.
    pub line: usize,
    /// Its time.
    pub at: Duration,
    /// What it was.
    pub command: &'s Command,
    /// What came of it.
    pub answer: Result<String, CommandError>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_reference_is_a_script() {
        let reference = include_str!("../../../mappings/README.md");
        let (_, rest) = reference.split_once("A script (`--script FILE`)").expect("the section");
        let example = rest.split("```").nth(1).expect("an example").trim_start_matches('\n');
        assert!(Script::parse(example).is_ok(), "{example}");
        assert!(Script::parse(&example.replace("set", "sett")).is_err());
    }
}
