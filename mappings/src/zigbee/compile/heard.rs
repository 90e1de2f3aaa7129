//! Commands that devices send.

use super::suggest;
use crate::code::Code;
use crate::compile::Compiler;
use crate::draft::At;
use crate::payload::draft::BodyDraft;
use crate::zigbee::clusters::{self, Command};
use crate::zigbee::draft::{ZigbeeName, ZigbeePlaceDraft};
use crate::zigbee::{ZigbeeHeard, ZigbeePick};

impl Compiler<'_> {
    pub(super) fn heard(
        &mut self,
        names: &[At<ZigbeeName>],
        cluster: u16,
        place: &ZigbeePlaceDraft,
        body: &BodyDraft,
    ) -> Option<ZigbeeHeard> {
        for (key, span) in [
            ("report", place.report.as_ref().map(|at| at.span)),
            ("answers", place.answers.map(|at| at.span)),
            ("tag", place.tag.map(|at| at.span)),
            ("element", place.element.map(|at| at.span)),
            ("as", place.kind.map(|at| at.span)),
        ] {
            if let Some(span) = span {
                let error =
                    self.report.error(Code::ZigbeeCommand, span, format!("`{key}` belongs to an attribute"));
                error.help(format!("remove `{key}`: the device sends the command when it likes"));
                return None;
            }
        }
        let mut commands = Vec::new();
        let mut sides: Vec<Option<(&'static Command, bool)>> = Vec::new();
        for name in names {
            let (id, known) = self.heard_command(name, cluster, place.manufacturer.is_some())?;
            let word = known.map_or_else(|| format!("0x{id:02x}"), |(command, _)| command.name.to_owned());
            commands.push((id, word));
            sides.push(known);
        }
        let side = sides.first().copied().flatten().map(|(_, from_server)| from_server);
        let same = sides.iter().all(|known| known.map(|(_, from_server)| from_server) == side);
        let pick = match (&place.field, &body.form) {
            (Some(field), None) => self.heard_field(field, &sides)?,
            (None, Some(_)) => ZigbeePick::Bytes(self.little(body)?),
            (None, None) => ZigbeePick::Name,
            (Some(field), Some(_)) => {
                let error =
                    self.report.error(Code::ZigbeeCommand, field.span, "the value is said in two ways");
                error.help("keep `field`, or `bytes`");
                return None;
            }
        };
        Some(ZigbeeHeard { commands, from_server: side.filter(|_| same), pick })
    }

    /// A command that a device sends: of its client, or of its server.
    pub(super) fn heard_command(
        &mut self,
        name: &At<ZigbeeName>,
        cluster: u16,
        of_manufacturer: bool,
    ) -> Option<(u8, Option<(&'static Command, bool)>)> {
        let known = clusters::of(cluster);
        let both = |found: &dyn Fn(&&Command) -> bool| {
            let client = known.and_then(|it| it.received.iter().find(|command| found(command)));
            let server = known.and_then(|it| it.generated.iter().find(|command| found(command)));
            client.map(|command| (command, false)).or(server.map(|command| (command, true)))
        };
        match &name.value {
            ZigbeeName::Number(number) => {
                let id = self.command_number(*number, name.span)?;
                let only = both(&|command| command.id == id).filter(|_| !of_manufacturer);
                // A number that both sides have may be either.
                let twice =
                    known.is_some_and(|it| it.received_by(id).is_some() && it.generated_by(id).is_some());
                Some((id, only.filter(|_| !twice)))
            }
            ZigbeeName::Name(text) => match both(&|command| command.name == text) {
                Some((command, side)) => Some((command.id, Some((command, side)))),
                None => {
                    self.no_command(text, name.span, cluster, known, true);
                    None
                }
            },
        }
    }

    pub(super) fn heard_field(
        &mut self,
        field: &At<String>,
        sides: &[Option<(&'static Command, bool)>],
    ) -> Option<ZigbeePick> {
        let mut found: Option<ZigbeePick> = None;
        for known in sides {
            let fields = known.map_or(&[][..], |(command, _)| command.fields);
            let Some(at) = fields.iter().position(|known| known.name == field.value) else {
                let names: Vec<&str> = fields.iter().map(|known| known.name).collect();
                let message = format!("the command has no field `{}`", field.value);
                let error = self.report.error(Code::ZigbeeCommand, field.span, message);
                if names.is_empty() {
                    error.help("say with `bytes` and `as` where the value is in what follows the header");
                } else {
                    suggest(error, &field.value, &names);
                }
                return None;
            };
            let before = fields.iter().take(at).map(|known| known.kind).collect();
            let pick = ZigbeePick::Field(before, fields.get(at)?.kind);
            if found.as_ref().is_some_and(|known| *known != pick) {
                let message = "the field stands elsewhere in another of these commands";
                let error = self.report.error(Code::ZigbeeCommand, field.span, message);
                error.help("make a capability or event of its own for each command");
                return None;
            }
            found = Some(pick);
        }
        found
    }
}
