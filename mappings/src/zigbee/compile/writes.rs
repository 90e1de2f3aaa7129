//! Attributes that are written and commands that are sent.

use super::{raw_bytes, suggest};
use crate::code::Code;
use crate::compile::Compiler;
use crate::diagnostic::Span;
use crate::draft::{At, ZigbeeConstDraft};
use crate::transform::Raw;
use crate::zigbee::clusters::{self, Attribute, Command, Set};
use crate::zigbee::draft::{ZigbeeFieldDraft, ZigbeeName, ZigbeePlaceDraft};
use crate::zigbee::zcl::{Access, ZclType};
use crate::zigbee::{ZigbeeBy, ZigbeeCall, ZigbeeField, ZigbeeFieldValue, ZigbeeWrite};

impl Compiler<'_> {
    /// Where and how a value is written. What is left out is taken from where it is read.
    pub(crate) fn zigbee_write(
        &mut self,
        place: &ZigbeePlaceDraft,
        read: Option<&ZigbeePlaceDraft>,
        names: &[At<String>],
        (span, what): (Span, &str),
    ) -> Option<ZigbeeWrite> {
        let inherited = read.filter(|_| place.cluster.is_none());
        let Some(name) = place.cluster.as_ref().or(inherited.and_then(|read| read.cluster.as_ref())) else {
            if read.is_none() {
                self.report.missing(span, what, "cluster", "such as `cluster: on_off`");
            }
            return None;
        };
        let cluster = self.cluster_of(name)?;
        let endpoint = self.endpoint_of(place, read);
        let is_command = !place.commands.is_empty() || place.by_name.is_some();
        let inherited = inherited.filter(|_| !is_command);
        let manufacturer = place.manufacturer.or(inherited.and_then(|read| read.manufacturer));
        let manufacturer = manufacturer.map(|code| code.value);
        let attribute = place.attribute.as_ref().or(inherited.and_then(|read| read.attribute.as_ref()));
        let by = match (attribute, is_command) {
            (Some(attribute), false) => {
                let kind = place.kind.or(inherited.and_then(|read| read.kind)).map(|kind| kind.value);
                self.by_attribute((attribute, kind), (cluster, manufacturer), place)?
            }
            (_, true) => self.by_command(place, cluster, names)?,
            (None, false) => {
                let help =
                    "the command that sets it, such as `command: \"on\"`, or the `attribute` that is written";
                self.report.missing(span, what, "command", help);
                return None;
            }
        };
        Some(ZigbeeWrite { endpoint, cluster, manufacturer, by })
    }

    pub(super) fn by_attribute(
        &mut self,
        (attribute, kind): (&At<ZigbeeName>, Option<ZclType>),
        (cluster, manufacturer): (u16, Option<u16>),
        place: &ZigbeePlaceDraft,
    ) -> Option<ZigbeeBy> {
        let (id, known) = self.attribute_of(attribute, cluster, manufacturer)?;
        if let (Some(Set::Value(..) | Set::States(_)), Some(known)) = (known.and_then(|it| it.set), known) {
            return self.by_set(known, cluster, place);
        }
        if let Some(field) = place.fields.first() {
            let error =
                self.report.error(Code::ZigbeeCommand, field.value.span, "an attribute has no fields");
            error.help("remove `fields`, or name the `command` that they belong to");
            return None;
        }
        if known.is_some_and(|known| known.access == Access::Read) {
            let message = format!("the attribute `{}` is only read", known.map_or("", |known| known.name));
            let error = self.report.error(Code::ReadOnlyTable, attribute.span, message);
            error.help("name the `command` that sets it, or remove `write`");
            return None;
        }
        match kind.or(known.map(|known| known.kind)) {
            Some(kind) => Some(ZigbeeBy::Attribute { id, kind }),
            None => {
                self.typeless(id, cluster, attribute.span);
                None
            }
        }
    }

    /// By the commands that the standard has for an attribute.
    pub(super) fn by_set(
        &mut self,
        known: &Attribute,
        cluster: u16,
        place: &ZigbeePlaceDraft,
    ) -> Option<ZigbeeBy> {
        let table = clusters::of(cluster)?;
        match known.set? {
            Set::Value(id, at) => {
                let command = table.received_by(id)?;
                let value = command.fields.get(at)?.name;
                self.call_of(command, place, Some(value), place_span(place, self.draft.span))
                    .map(ZigbeeBy::Command)
            }
            Set::States(states) => {
                let mut calls = Vec::new();
                for (raw, id) in states {
                    let command = table.received_by(*id)?;
                    calls.push((
                        *raw,
                        self.call_of(command, place, None, place_span(place, self.draft.span))?,
                    ));
                }
                Some(ZigbeeBy::OfNumber(calls))
            }
        }
    }

    pub(super) fn by_command(
        &mut self,
        place: &ZigbeePlaceDraft,
        cluster: u16,
        names: &[At<String>],
    ) -> Option<ZigbeeBy> {
        if let Some(span) = place.attribute.as_ref().map(|attribute| attribute.span) {
            let error = self.report.error(
                Code::ZigbeeCommand,
                span,
                "a value is written by an attribute or by a command",
            );
            error.help("keep `attribute`, or `command`");
            return None;
        }
        if let Some(span) = place.by_name {
            if names.is_empty() {
                let error = self.report.error(
                    Code::MapPresence,
                    span,
                    "nothing says which command is for which value",
                );
                error.help("give `write` a `map` of commands: `map: {\"on\": true, \"off\": false}`");
                return None;
            }
            let mut calls = Vec::new();
            for name in names {
                let named = name.clone().map(ZigbeeName::Name);
                calls.push((name.value.clone(), self.call(&named, place, cluster)?));
            }
            return Some(ZigbeeBy::OfName(calls));
        }
        if let Some(second) = place.commands.get(1) {
            let error =
                self.report.error(Code::ZigbeeCommand, second.span, "one command is sent, not several");
            error.help(
                "write `command: $value` with a `map` of commands: `map: {\"on\": true, \"off\": false}`",
            );
            return None;
        }
        self.call(place.commands.first()?, place, cluster).map(ZigbeeBy::Command)
    }

    pub(super) fn call(
        &mut self,
        name: &At<ZigbeeName>,
        place: &ZigbeePlaceDraft,
        cluster: u16,
    ) -> Option<ZigbeeCall> {
        let known = clusters::of(cluster);
        let own = place.manufacturer.is_some();
        match &name.value {
            ZigbeeName::Number(number) => {
                let id = self.command_number(*number, name.span)?;
                match known.and_then(|known| known.received_by(id)).filter(|_| !own) {
                    Some(command) => self.call_of(command, place, None, name.span),
                    None => self.listed_call(id, place),
                }
            }
            ZigbeeName::Name(text) => {
                let found = known.and_then(|it| it.received.iter().find(|command| command.name == text));
                match found {
                    Some(command) => self.call_of(command, place, None, name.span),
                    None => {
                        self.no_command(text, name.span, cluster, known, false);
                        None
                    }
                }
            }
        }
    }

    /// A command of the table. `value`: the field that the value goes into unless the file says otherwise.
    pub(super) fn call_of(
        &mut self,
        command: &Command,
        place: &ZigbeePlaceDraft,
        value: Option<&str>,
        span: Span,
    ) -> Option<ZigbeeCall> {
        for given in &place.fields {
            let name = given.name.as_ref().map_or("", |name| name.value.as_str());
            if !command.fields.iter().any(|known| known.name == name) {
                let names: Vec<&str> = command.fields.iter().map(|known| known.name).collect();
                let at = given.name.as_ref().map_or(given.value.span, |name| name.span);
                let message = format!("the command `{}` has no field `{name}`", command.name);
                let error = self.report.error(Code::ZigbeeCommand, at, message);
                match names.as_slice() {
                    [] => error.help("remove it: the command has no fields"),
                    names => suggest(error, name, names),
                }
                return None;
            }
        }
        let given = |name: &str| {
            let mut all = place.fields.iter();
            all.find(|field| field.name.as_ref().is_some_and(|known| known.value == name))
        };
        let last = command.fields.iter().rposition(|field| given(field.name).is_some());
        let mut fields = Vec::new();
        for (at, field) in command.fields.iter().enumerate() {
            let bytes = match (given(field.name), value == Some(field.name)) {
                (Some(draft), _) => self.field_value(draft, field.kind)?,
                (None, true) => ZigbeeFieldValue::Value,
                (None, false) if field.optional && last.is_none_or(|last| last < at) => break,
                (None, false) => match field.usual.or(field.optional.then_some(0)) {
                    Some(usual) => {
                        let raw = Raw::Int(usual.into());
                        ZigbeeFieldValue::Fixed(raw_bytes(field.kind, &raw)?)
                    }
                    None => {
                        let message =
                            format!("the command `{}` needs the field `{}`", command.name, field.name);
                        let error = self.report.absent(Code::MissingKey, span, message);
                        error.help(format!("such as `fields: {{{}: $value}}`", field.name));
                        return None;
                    }
                },
            };
            fields.push(ZigbeeField { name: field.name.to_owned(), kind: field.kind, value: bytes });
        }
        Some(ZigbeeCall { command: command.id, name: command.name.to_owned(), fields })
    }

    /// A command that the table does not have, with its fields in a list.
    pub(super) fn listed_call(&mut self, id: u8, place: &ZigbeePlaceDraft) -> Option<ZigbeeCall> {
        let mut fields = Vec::new();
        for (draft, at) in place.fields.iter().zip(1..) {
            let Some(kind) = draft.kind else {
                let span = draft.name.as_ref().map_or(draft.value.span, |name| name.span);
                let message = "nothing is known of the fields of this command";
                let error = self.report.error(Code::ZigbeeCommand, span, message);
                error.help("write them in their order: `fields: [{as: uint8, value: 1}, {as: uint16, value: $value}]`");
                return None;
            };
            let value = self.field_value(draft, kind.value)?;
            fields.push(ZigbeeField { name: format!("field{at}"), kind: kind.value, value });
        }
        Some(ZigbeeCall { command: id, name: format!("0x{id:02x}"), fields })
    }

    pub(super) fn field_value(
        &mut self,
        draft: &ZigbeeFieldDraft,
        kind: ZclType,
    ) -> Option<ZigbeeFieldValue> {
        match &draft.value.value {
            ZigbeeConstDraft::Value => Some(ZigbeeFieldValue::Value),
            // Which place that is, is known once the arguments are.
            ZigbeeConstDraft::Arg(_) => Some(ZigbeeFieldValue::Item(0)),
            _ => self.constant(&draft.value, kind).map(ZigbeeFieldValue::Fixed),
        }
    }
}

fn place_span(place: &ZigbeePlaceDraft, otherwise: Span) -> Span {
    place.cluster.as_ref().map_or(otherwise, |cluster| cluster.span)
}
