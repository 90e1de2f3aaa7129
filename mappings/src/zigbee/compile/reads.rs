//! Where values are read: attributes and their parts, and how they are reported.

use super::Known;
use crate::code::Code;
use crate::compile::Compiler;
use crate::diagnostic::Span;
use crate::draft::At;
use crate::payload::draft::BodyDraft;
use crate::payload::{BytesPick, Pick};
use crate::zigbee::clusters::{self, Attribute};
use crate::zigbee::draft::{ZigbeePlaceDraft, ZigbeeReportDraft};
use crate::zigbee::zcl::ZclType;
use crate::zigbee::{
    ZigbeeAttribute, ZigbeeFrom, ZigbeeHeard, ZigbeePart, ZigbeePick, ZigbeeRead, ZigbeeReport,
};

impl Compiler<'_> {
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

    pub(super) fn attribute_read(
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

    pub(super) fn part_of_attribute(
        &mut self,
        place: &ZigbeePlaceDraft,
        body: &BodyDraft,
    ) -> Option<ZigbeePart> {
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
    pub(super) fn little(&mut self, body: &BodyDraft) -> Option<BytesPick> {
        let span = body.form.as_ref()?.span;
        let order = body.little_endian.or(Some(At::new(true, span)));
        match self.pick(&BodyDraft { little_endian: order, ..body.clone() })? {
            Pick::Bytes(pick) => Some(pick),
            _ => None,
        }
    }

    /// How it is reported; `None`: something is wrong.
    pub(super) fn reported(
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

    pub(super) fn check_zcl_bits(&mut self, place: &ZigbeePlaceDraft, read: &ZigbeeRead) {
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
}

/// What a command of a server tells of an attribute.
fn told(cluster: u16, id: u8, field: usize) -> Option<ZigbeeHeard> {
    let command = clusters::of(cluster)?.generated_by(id)?;
    let before = command.fields.iter().take(field).map(|field| field.kind).collect();
    let pick = ZigbeePick::Field(before, command.fields.get(field)?.kind);
    Some(ZigbeeHeard { commands: vec![(id, command.name.to_owned())], from_server: Some(true), pick })
}
