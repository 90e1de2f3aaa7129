//! From clusters, attributes and commands of a draft to those of a mapping.

use std::time::Duration;

use super::clusters::{self, Attribute, Cluster, Command, Set};
use super::draft::{ZigbeeFieldDraft, ZigbeeName, ZigbeePlaceDraft, ZigbeeReportDraft, ZigbeeSetupDraft};
use super::zcl::{Access, ZclType, encode};
use super::{
    ZigbeeAttribute, ZigbeeBy, ZigbeeCall, ZigbeeField, ZigbeeFieldValue, ZigbeeFrame, ZigbeeFrom,
    ZigbeeHeard, ZigbeeOptions, ZigbeePart, ZigbeePick, ZigbeeRead, ZigbeeReport, ZigbeeWord, ZigbeeWrite,
};
use crate::code::Code;
use crate::compile::Compiler;
use crate::diagnostic::Span;
use crate::draft::{At, ZigbeeConstDraft};
use crate::payload::draft::BodyDraft;
use crate::payload::{BytesPick, Pick};
use crate::transform::Raw;

/// Longest time to live of writes to a device that sleeps, unless the file says otherwise: most check in once an hour.
const SLEEPY_TTL: Duration = Duration::from_secs(3600);

/// What is known of an attribute: its number and its entry in the table.
type Known = (u16, Option<&'static Attribute>);

impl Compiler<'_> {
    /// How devices of this model behave.
    pub(crate) fn zigbee_options(&mut self) -> ZigbeeOptions {
        let draft = &self.draft.zigbee;
        let words = |all: &[At<String>]| all.iter().map(|at| ZigbeeWord::parse(&at.value)).collect();
        let usual = ZigbeeOptions::default();
        let options = ZigbeeOptions {
            manufacturers: words(&draft.manufacturers),
            models: words(&draft.models),
            sleepy: draft.sleepy.is_some_and(|sleepy| sleepy.value),
            checkin: draft.checkin.map(|checkin| checkin.value),
            timeout: draft.timeout.map_or(usual.timeout, |timeout| timeout.value),
            enroll: draft.enroll.is_none_or(|enroll| enroll.value),
            setup: Vec::new(),
        };
        if let Some(first) = draft.manufacturers.first().filter(|_| draft.models.is_empty()) {
            let error = self.report.error(Code::MissingKey, first.span, "`zigbee` needs the key `model`");
            error.help("its ModelIdentifier: a manufacturer alone makes many models");
        }
        let open = draft.manufacturers.iter().chain(&draft.models).find(|word| word.value == "*");
        if let Some(word) = open {
            let error = self.report.error(Code::Name, word.span, "`*` alone is every device");
            error.help("write how its name begins, such as `TRADFRI bulb*`, or remove it");
        }
        let setup = draft.setup.iter().filter_map(|entry| self.setup_frame(entry)).collect();
        ZigbeeOptions { setup, ..options }
    }

    /// How long a write may wait, unless it says otherwise.
    pub(crate) fn zigbee_ttl(&self) -> Duration {
        let draft = &self.draft.zigbee;
        let sleepy = draft.sleepy.is_some_and(|sleepy| sleepy.value);
        match draft.ttl {
            Some(ttl) => ttl.value,
            None if sleepy => draft.checkin.map_or(SLEEPY_TTL, |checkin| checkin.value.max(SLEEPY_TTL)),
            None => Duration::from_secs(5),
        }
    }

    /// Whether the device says a value by itself, and whether it can be asked for it.
    pub(crate) fn said_by_zigbee(&self, place: &ZigbeePlaceDraft) -> (bool, bool) {
        let asked = place.attribute.is_some() && place.answers.is_none_or(|ask| ask.value);
        (!asked || self.is_reported(place), asked)
    }

    fn is_reported(&self, place: &ZigbeePlaceDraft) -> bool {
        match &place.report {
            Some(report) => report.value.is_some(),
            None => self.usual_of(place).is_some_and(|known| known.usual.is_some() || known.told.is_some()),
        }
    }

    /// What the table knows of the whole attribute of a place.
    fn usual_of(&self, place: &ZigbeePlaceDraft) -> Option<&'static Attribute> {
        let is_part = place.tag.is_some() || place.element.is_some() || place.manufacturer.is_some();
        let cluster = place.cluster.as_ref()?.value.cluster().filter(|_| !is_part)?;
        clusters::of(cluster)?.attribute(place.attribute.as_ref()?.value.attribute(cluster)?)
    }

    /// What is reported at known intervals is stale when it was left out a few times.
    pub(crate) fn zigbee_age(&self, place: &ZigbeePlaceDraft) -> Option<Duration> {
        if let Some(checkin) = self.draft.zigbee.checkin {
            return Some(checkin.value * 3);
        }
        let (_, asked) = self.said_by_zigbee(place);
        let usual = self.usual_of(place).and_then(|known| known.usual).map(|usual| usual.max);
        let given = match &place.report {
            Some(report) => {
                report.value.and_then(|report| report.max.map(|max| max.value).or(usual).or(Some(600)))
            }
            None => usual,
        };
        given.filter(|_| asked).map(|max| Duration::from_secs(u64::from(max) * 3))
    }

    fn setup_frame(&mut self, entry: &ZigbeeSetupDraft) -> Option<ZigbeeFrame> {
        let write = self.zigbee_write(&entry.place, None, &[], (entry.span, "an entry of `setup`"))?;
        let raw = match (&write.by, &entry.value) {
            (ZigbeeBy::Attribute { kind, .. }, Some(value)) => {
                let bytes = self.constant(value, *kind)?;
                return Some(ZigbeeFrame {
                    endpoint: write.endpoint,
                    cluster: write.cluster,
                    bytes: attribute_frame(&write, &bytes),
                });
            }
            (ZigbeeBy::Attribute { .. }, None) => {
                self.report.missing(
                    entry.span,
                    "an entry of `setup`",
                    "value",
                    "what the attribute is set to",
                );
                return None;
            }
            (_, Some(value)) => {
                let error = self.report.error(Code::ZigbeeCommand, value.span, "a command has no `value`");
                error.help("write what stands in its fields with `fields`");
                return None;
            }
            (_, None) => Raw::Bool(true),
        };
        if entry.place.has_value() {
            let error = self.report.error(Code::ZigbeeCommand, entry.span, "nothing is written here");
            error.help("what is sent after a device has joined is always the same: no `$value`");
            return None;
        }
        write.frame(&raw).ok()
    }

    /// Where a value is read.
    pub(crate) fn zigbee_read(
        &mut self,
        place: &ZigbeePlaceDraft,
        body: &BodyDraft,
        span: Span,
    ) -> Option<ZigbeeRead> {
        let cluster = self.cluster_of(place.cluster.as_ref()?)?;
        let endpoint = self.endpoint_of(place, None);
        let manufacturer = place.manufacturer.map(|code| code.value);
        let from = match (&place.attribute, place.commands.as_slice(), place.by_name) {
            (_, _, Some(span)) => {
                let error = self.report.error(Code::ZigbeeCommand, span, "`$value` belongs into `write`");
                error.help("write the commands that the device sends, such as `command: toggle`");
                return None;
            }
            (Some(attribute), [], _) => {
                let known = self.attribute_of(attribute, cluster, manufacturer)?;
                ZigbeeFrom::Attribute(self.attribute_read(known, cluster, place, body, attribute.span)?)
            }
            (Some(_), [command, ..], _) => {
                let message = "a value is in an attribute or in a command";
                let error = self.report.error(Code::ZigbeeCommand, command.span, message);
                error.help("keep `attribute`, or `command`");
                return None;
            }
            (None, [], _) => {
                let help = "`attribute` where the device keeps it, or `command` if it sends one";
                self.report.missing(span, "`read`", "attribute", help);
                return None;
            }
            (None, commands, _) => ZigbeeFrom::Command(self.heard(commands, cluster, place, body)?),
        };
        let read = ZigbeeRead {
            endpoint,
            cluster,
            manufacturer,
            from,
            bits: place.bits.map(|bits| bits.value),
            clears: place.clears.map(|clears| clears.value),
        };
        self.check_zcl_bits(place, &read);
        Some(read)
    }

    fn attribute_read(
        &mut self,
        (id, known): Known,
        cluster: u16,
        place: &ZigbeePlaceDraft,
        body: &BodyDraft,
        span: Span,
    ) -> Option<ZigbeeAttribute> {
        if let Some(field) = &place.field {
            let error = self.report.error(Code::ZigbeeCommand, field.span, "an attribute has no fields");
            error.help("remove `field`; parts of an attribute are `bits`, `bytes`, `tag` and `element`");
        }
        let part = self.part_of_attribute(place, body)?;
        let kind = match (place.kind, known, part) {
            (Some(kind), ..) => kind.value,
            (None, _, ZigbeePart::Bytes(_)) => ZclType::Octets,
            (None, Some(known), ZigbeePart::Whole) => known.kind,
            (None, ..) => {
                self.typeless(id, cluster, span);
                return None;
            }
        };
        if kind.is_list() || kind == ZclType::NoData {
            let error = self.report.error(Code::ZclType, span, format!("`{kind}` is no single value"));
            error.help("say with `element` which one of it, and with `as` of what type that is");
            return None;
        }
        let asked = place.answers.is_none_or(|ask| ask.value);
        let usual = known.filter(|_| part == ZigbeePart::Whole && asked);
        let report = self.reported(place, usual, kind)?;
        let told = known.and_then(|known| known.told).map(|(command, field)| told(cluster, command, field));
        Some(ZigbeeAttribute { id, kind, part, report, asked, told: told.flatten() })
    }

    fn part_of_attribute(&mut self, place: &ZigbeePlaceDraft, body: &BodyDraft) -> Option<ZigbeePart> {
        let ways = [
            place.tag.map(|tag| tag.span),
            place.element.map(|element| element.span),
            body.form.as_ref().map(|form| form.span),
        ];
        if let [_, second, ..] = ways.into_iter().flatten().collect::<Vec<_>>().as_slice() {
            let error = self.report.error(Code::ZclType, *second, "the value is said in two ways");
            error.help("keep one of `tag`, `element` and `bytes`");
            return None;
        }
        Some(match (place.tag, place.element) {
            (Some(tag), _) => ZigbeePart::Tag(tag.value),
            (_, Some(element)) => ZigbeePart::Element(element.value),
            _ if body.form.is_some() => ZigbeePart::Bytes(self.little(body)?),
            _ => ZigbeePart::Whole,
        })
    }

    /// Bytes, the least significant first unless the file says otherwise.
    fn little(&mut self, body: &BodyDraft) -> Option<BytesPick> {
        let span = body.form.as_ref()?.span;
        let order = body.little_endian.or(Some(At::new(true, span)));
        match self.pick(&BodyDraft { little_endian: order, ..body.clone() })? {
            Pick::Bytes(pick) => Some(pick),
            _ => None,
        }
    }

    fn typeless(&mut self, id: u16, cluster: u16, span: Span) {
        let cluster = clusters::shown(cluster);
        let message = format!("nothing is known of the type of attribute 0x{id:04x} of `{cluster}`");
        let error = self.report.error(Code::MissingKey, span, message);
        error.help("say it with `as`, such as `as: uint16`, `int16`, `bool`, `enum8`, `map8` or `string`");
    }

    /// How it is reported; `None`: something is wrong.
    fn reported(
        &mut self,
        place: &ZigbeePlaceDraft,
        usual: Option<&Attribute>,
        kind: ZclType,
    ) -> Option<Option<ZigbeeReport>> {
        let usual = usual.and_then(|known| known.usual);
        let draft = match place.report {
            None => match usual {
                Some(_) => ZigbeeReportDraft::default(),
                None => return Some(None),
            },
            Some(At { value: None, .. }) => return Some(None),
            Some(At { value: Some(draft), .. }) => draft,
        };
        let span = place.report.map_or(self.draft.span, |report| report.span);
        let min = draft.min.map_or(usual.map_or(1, |usual| usual.min), |min| min.value);
        let max = draft.max.map_or(usual.map_or(600, |usual| usual.max), |max| max.value);
        if min > max {
            let message =
                format!("a report comes after {min} s at the earliest and after {max} s at the latest");
            self.report.error(Code::Reversed, span, message).help("write `min` below `max`");
            return None;
        }
        if let Some(change) =
            draft.change.filter(|change| !kind.is_analog() || change.value.is_sign_negative())
        {
            let error = self.report.error(Code::ZclType, change.span, format!("`{kind}` has no such change"));
            error.help("`change` is how far a number has to move, in raw units; everything else is reported whenever it changes");
            return None;
        }
        let usual_change = usual.map_or(1, |usual| usual.change);
        let change = draft.change.map_or_else(|| usual_change.into(), |change| change.value);
        Some(Some(ZigbeeReport { min, max, change: kind.is_analog().then_some(change) }))
    }

    fn heard(
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
    fn heard_command(
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

    fn command_number(&mut self, number: u16, span: Span) -> Option<u8> {
        let id = u8::try_from(number).ok();
        if id.is_none() {
            let error = self.report.error(Code::NumberRange, span, format!("there is no command {number}"));
            error.help("commands are 0x00 to 0xff");
        }
        id
    }

    fn no_command(&mut self, name: &str, span: Span, cluster: u16, known: Option<&Cluster>, both: bool) {
        let generated = known.filter(|_| both).map_or(&[][..], |known| known.generated);
        let all = known.map_or(&[][..], |known| known.received).iter().chain(generated);
        let names: Vec<&str> = all.map(|command| command.name).collect();
        let message = format!("`{}` has no command `{name}`", clusters::shown(cluster));
        let error = self.report.error(Code::ZigbeeCommand, span, message);
        if names.is_empty() {
            error.help("write its number, such as 0x02");
        } else {
            error.suggest(name, &names);
        }
    }

    fn heard_field(
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
                    error.suggest(&field.value, &names);
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

    fn check_zcl_bits(&mut self, place: &ZigbeePlaceDraft, read: &ZigbeeRead) {
        let Some(at) = place.bits else { return };
        let (first, last) = at.value;
        let whole = ZigbeeRead { bits: None, ..read.clone() }.raw_kind();
        let kind = match &read.from {
            ZigbeeFrom::Attribute(attribute) => Some(attribute.kind),
            ZigbeeFrom::Command(ZigbeeHeard { pick: ZigbeePick::Field(_, kind), .. }) => Some(*kind),
            ZigbeeFrom::Command(_) => None,
        };
        let width = match whole {
            crate::transform::RawKind::Int { bits, .. } => bits,
            _ => 0,
        };
        if first > last || last >= width || !kind.is_some_and(ZclType::has_bits) {
            let error = self.report.error(Code::Bits, at.span, "there are no such bits");
            error.help("`bits` are those of a bitmap or an unsigned number, from 0, the least significant: `4..6` of a `map8`");
        }
    }

    fn endpoint_of(&self, place: &ZigbeePlaceDraft, read: Option<&ZigbeePlaceDraft>) -> u8 {
        let given = place.endpoint.or(read.and_then(|read| read.endpoint)).or(self.draft.zigbee.endpoint);
        given.map_or(1, |endpoint| endpoint.value)
    }

    fn cluster_of(&mut self, cluster: &At<ZigbeeName>) -> Option<u16> {
        cluster.value.cluster()
    }

    /// The attribute that a text or number means. One of a manufacturer is none of the table.
    fn attribute_of(
        &mut self,
        attribute: &At<ZigbeeName>,
        cluster: u16,
        manufacturer: Option<u16>,
    ) -> Option<Known> {
        let known = clusters::of(cluster);
        if let Some(id) = attribute.value.attribute(cluster) {
            let named = matches!(attribute.value, ZigbeeName::Name(_));
            let entry = known.and_then(|known| known.attribute(id));
            return Some((id, entry.filter(|_| named || manufacturer.is_none())));
        }
        let ZigbeeName::Name(name) = &attribute.value else { return None };
        let names: Vec<&str> = known.map_or(&[][..], |it| it.attributes).iter().map(|it| it.name).collect();
        let message = format!("`{}` has no attribute `{name}`", clusters::shown(cluster));
        let error = self.report.error(Code::Cluster, attribute.span, message);
        if names.is_empty() {
            error.help("write its number and, with `as`, its type");
        } else {
            error.suggest(name, &names);
        }
        None
    }

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

    fn by_attribute(
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
    fn by_set(&mut self, known: &Attribute, cluster: u16, place: &ZigbeePlaceDraft) -> Option<ZigbeeBy> {
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

    fn by_command(
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

    fn call(&mut self, name: &At<ZigbeeName>, place: &ZigbeePlaceDraft, cluster: u16) -> Option<ZigbeeCall> {
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
    fn call_of(
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
                    names => error.suggest(name, names),
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
                        let error = self.report.error(Code::MissingKey, span, message);
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
    fn listed_call(&mut self, id: u8, place: &ZigbeePlaceDraft) -> Option<ZigbeeCall> {
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

    fn field_value(&mut self, draft: &ZigbeeFieldDraft, kind: ZclType) -> Option<ZigbeeFieldValue> {
        match &draft.value.value {
            ZigbeeConstDraft::Value => Some(ZigbeeFieldValue::Value),
            // Which place that is, is known once the arguments are.
            ZigbeeConstDraft::Arg(_) => Some(ZigbeeFieldValue::Item(0)),
            _ => self.constant(&draft.value, kind).map(ZigbeeFieldValue::Fixed),
        }
    }

    fn constant(&mut self, value: &At<ZigbeeConstDraft>, kind: ZclType) -> Option<Vec<u8>> {
        let raw = match &value.value {
            ZigbeeConstDraft::Number(number) => Raw::Decimal(*number),
            ZigbeeConstDraft::Text(text) if matches!(kind, ZclType::Octets | ZclType::LongOctets) => {
                Raw::Bytes(text.clone().into_bytes())
            }
            ZigbeeConstDraft::Text(text) => Raw::Text(text.clone()),
            ZigbeeConstDraft::Bytes(bytes) => Raw::Bytes(bytes.clone()),
            ZigbeeConstDraft::Value | ZigbeeConstDraft::Arg(_) => Raw::Text(String::new()),
        };
        let bytes = raw_bytes(kind, &raw);
        if bytes.is_none() {
            let error = self.report.error(Code::ZclType, value.span, format!("it does not fit `{kind}`"));
            error.help(match kind.raw_kind().int_range() {
                Some((least, most)) => format!("write a whole number from {least} to {most}"),
                None => format!("write a value of the type `{kind}`"),
            });
        }
        bytes
    }
}

/// What is always the same may be the non-value too: in commands it means "as usual".
fn raw_bytes(kind: ZclType, raw: &Raw) -> Option<Vec<u8>> {
    let non_value = || match (kind.raw_kind().int_range(), raw) {
        (Some((least, most)), Raw::Decimal(number)) => {
            let number = i128::try_from(*number).ok().filter(|number| (least..=most).contains(number))?;
            number.to_le_bytes().get(..kind.length()?).map(<[u8]>::to_vec)
        }
        (Some(_), Raw::Int(number)) => number.to_le_bytes().get(..kind.length()?).map(<[u8]>::to_vec),
        _ => None,
    };
    encode(kind, raw).ok().or_else(non_value)
}

fn attribute_frame(write: &ZigbeeWrite, bytes: &[u8]) -> Vec<u8> {
    match &write.by {
        ZigbeeBy::Attribute { id, kind } => {
            super::zcl::write_attribute(write.manufacturer, *id, *kind, bytes).bytes()
        }
        _ => Vec::new(),
    }
}

/// What a command of a server tells of an attribute.
fn told(cluster: u16, id: u8, field: usize) -> Option<ZigbeeHeard> {
    let command = clusters::of(cluster)?.generated_by(id)?;
    let before = command.fields.iter().take(field).map(|field| field.kind).collect();
    let pick = ZigbeePick::Field(before, command.fields.get(field)?.kind);
    Some(ZigbeeHeard { commands: vec![(id, command.name.to_owned())], from_server: Some(true), pick })
}

fn place_span(place: &ZigbeePlaceDraft, otherwise: Span) -> Span {
    place.cluster.as_ref().map_or(otherwise, |cluster| cluster.span)
}
