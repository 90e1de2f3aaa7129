//! What the tests of a mapping file say about commands and events.

use super::fixture::Fixture;
use super::vectors::{Runner, decoded};
use crate::draft::{At, TestDraft};
use crate::mapping::{Command, Event};
use crate::value::Value;

impl<'m> Runner<'m> {
    /// Runs the commands of a test; whether all could be.
    pub(super) fn commands(&mut self, test: &TestDraft, holds: &mut Fixture, sent: &mut Fixture) -> bool {
        test.command.iter().all(|(id, args)| self.command(id, args, holds, sent).is_some())
    }

    fn command(
        &mut self,
        id: &At<String>,
        args: &[(At<String>, At<String>)],
        holds: &mut Fixture,
        sent: &mut Fixture,
    ) -> Option<()> {
        let mapping = self.mapping;
        let Some(command) = mapping.commands.iter().find(|command| full_name(mapping, command) == id.value)
        else {
            self.shape(id.span, format!("there is no command `{}`", id.value), "name one of `commands`");
            return None;
        };
        let values = self.arguments(id, command, args)?;
        for step in &command.steps {
            let value = step.value(&values)?;
            match self.written(id, &step.point, &step.transform, &value, holds)? {
                Ok(written) => {
                    holds.extend(&written);
                    sent.extend(&written);
                }
                Err(fault) => {
                    self.failed(id.span, format!("`{}`: {fault}", id.value));
                    return None;
                }
            }
        }
        Some(())
    }

    fn arguments(
        &mut self,
        id: &At<String>,
        command: &Command,
        args: &[(At<String>, At<String>)],
    ) -> Option<Vec<Value>> {
        if let Some((name, _)) =
            args.iter().find(|(name, _)| !command.args.iter().any(|arg| arg.name == name.value))
        {
            self.shape(name.span, format!("there is no argument `{}`", name.value), "name one of `args`");
            return None;
        }
        let mut values = Vec::new();
        for arg in &command.args {
            let given = args.iter().find(|(name, _)| name.value == arg.name);
            let parsed = given.map(|(_, text)| (text.span, arg.kind.parse(&text.value)));
            match (parsed, &arg.default) {
                (Some((_, Ok(value))), _) => values.push(value),
                (Some((span, Err(why))), _) => {
                    self.failed(span, why);
                    return None;
                }
                (None, Some(default)) => values.push(default.clone()),
                (None, None) => {
                    let message = format!("`{}` needs the argument `{}`", id.value, arg.name);
                    self.shape(id.span, message, "give it a value");
                    return None;
                }
            }
        }
        Some(values)
    }

    /// Whether exactly the events of the test happen, of those that it says enough about.
    pub(super) fn fires(&mut self, test: &TestDraft, now: &Fixture) {
        let Some(wanted) = &test.fires else { return };
        let mapping = self.mapping;
        for id in wanted {
            if !mapping.events.iter().any(|event| event.id == id.value) {
                self.shape(id.span, format!("there is no event `{}`", id.value), "name one of `events`");
            }
        }
        let before = Fixture::new(&test.before);
        for event in &mapping.events {
            let expected = wanted.iter().find(|id| id.value == event.id);
            if let Some(id) = expected {
                for point in event.read.places() {
                    if self.knows(id, point, &before).is_none() || self.knows(id, point, now).is_none() {
                        return;
                    }
                }
            }
            match (expected, happens(event, &before, now)) {
                (Some(id), Some(false)) => self.failed(id.span, format!("`{}` does not happen", event.id)),
                (None, Some(true)) => self.failed(test.span, format!("`{}` happens too", event.id)),
                _ => {}
            }
        }
    }
}

/// Whether an event happens between two states of the device; `None` when too little is known of them.
fn happens(event: &Event, before: &Fixture, now: &Fixture) -> Option<bool> {
    let known = |holds: &Fixture| event.read.places().all(|point| holds.lacks(point).is_none());
    (known(before) && known(now)).then_some(())?;
    let before = decoded(&event.read, event.class, before).ok();
    let now = decoded(&event.read, event.class, now).ok();
    Some(now.is_some_and(|now| event.trigger.fires(before.as_ref(), &now)))
}

/// `left.X_ACME_Reset`.
fn full_name(mapping: &crate::mapping::Mapping, command: &Command) -> String {
    let node = command.node.and_then(|node| mapping.nodes.get(usize::from(node.0)));
    node.map_or_else(|| command.name.clone(), |node| format!("{}.{}", node.id, command.name))
}
