//! From clusters, attributes and commands of a draft to those of a mapping.

mod heard;
mod reads;
mod writes;

use std::time::Duration;

use super::clusters::{self, Attribute, Cluster};
use super::draft::{ZigbeeName, ZigbeePlaceDraft, ZigbeeSetupDraft};
use super::zcl::{ZclType, encode};
use super::{
    AWAKE_TIMEOUT, SLEEPY_TTL, TIMEOUT, ZigbeeBy, ZigbeeFrame, ZigbeeOptions, ZigbeeWord, ZigbeeWrite,
};
use crate::code::Code;
use crate::compile::Compiler;
use crate::diagnostic::Span;
use crate::draft::{At, ZigbeeConstDraft};
use crate::read::Help;
use crate::transform::Raw;

/// The same of one that is awake, and how long it may take to show what was written: with a second for the way they are over before
/// whoever waits for a Set loses patience (10 s on the command line).
const AWAKE_TTL: Duration = Duration::from_secs(3);
const AWAKE_VERIFY: Duration = Duration::from_secs(4);

/// What is known of an attribute: its number and its entry in the table.
type Known = (u16, Option<&'static Attribute>);

impl Compiler<'_> {
    /// How devices of this model behave.
    pub(crate) fn zigbee_options(&mut self) -> ZigbeeOptions {
        let draft = &self.draft.zigbee;
        let words = |all: &[At<String>]| all.iter().map(|at| ZigbeeWord::parse(&at.value)).collect();
        let options = ZigbeeOptions {
            manufacturers: words(&draft.manufacturers),
            models: words(&draft.models),
            sleepy: self.zigbee_sleeps(),
            checkin: draft.checkin.map(|checkin| checkin.value),
            ttl: self.zigbee_ttl(),
            timeout: self.zigbee_timeout(),
            held: draft.timeout.map_or(AWAKE_TIMEOUT, |timeout| timeout.value),
            enroll: draft.enroll.is_none_or(|enroll| enroll.value),
            setup: Vec::new(),
        };
        if let Some(first) = draft.manufacturers.first().filter(|_| draft.models.is_empty()) {
            let error = self.report.absent(Code::MissingKey, first.span, "`zigbee` needs the key `model`");
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
        match draft.ttl {
            Some(ttl) => ttl.value,
            None if self.zigbee_sleeps() => {
                draft.checkin.map_or(SLEEPY_TTL, |checkin| checkin.value.max(SLEEPY_TTL))
            }
            None => AWAKE_TTL,
        }
    }

    fn zigbee_sleeps(&self) -> bool {
        self.draft.zigbee.sleepy.is_some_and(|sleepy| sleepy.value)
    }

    /// How long an answer may take.
    pub(crate) fn zigbee_timeout(&self) -> Duration {
        let usual = if self.zigbee_sleeps() { TIMEOUT } else { AWAKE_TIMEOUT };
        self.draft.zigbee.timeout.map_or(usual, |timeout| timeout.value)
    }

    /// How long a device may take to show what was written, unless it says otherwise.
    pub(crate) fn zigbee_verify(&self) -> Duration {
        if self.zigbee_sleeps() { Duration::from_secs(5) } else { AWAKE_VERIFY }
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
            suggest(error, name, &names);
        }
        None
    }

    fn typeless(&mut self, id: u16, cluster: u16, span: Span) {
        let cluster = clusters::shown(cluster);
        let message = format!("nothing is known of the type of attribute 0x{id:04x} of `{cluster}`");
        let error = self.report.absent(Code::MissingKey, span, message);
        error.help("say it with `as`, such as `as: uint16`, `int16`, `bool`, `enum8`, `map8` or `string`");
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
            suggest(error, name, &names);
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

/// What was meant by a name that is none of these.
fn suggest(error: Help<'_>, given: &str, names: &[&str]) {
    match clusters::elsewhere::name(given, names) {
        Some(own) => {
            let is_boolean = matches!(own, "on" | "off");
            let written = if is_boolean { format!("\"{own}\"") } else { own.to_owned() };
            error.fix(written).help(format!("did you mean `{own}`?"));
        }
        None => error.suggest(given, names),
    }
}
