//! From what is heard, read and written in a draft to that of a mapping.

use std::time::Duration;

use super::draft::{BleAnswerDraft, BlePlaceDraft};
use super::{
    BleAnswer, BleAsk, BleChar, BleConnect, BleOptions, BlePick, BlePut, BleRead, BleShape, BleSource,
    BleUuid, BleWrite,
};
use crate::code::Code;
use crate::compile::Compiler;
use crate::diagnostic::Span;
use crate::draft::{At, WriteDraft};
use crate::line::{LineText, ValueForm};
use crate::mapping::{Poll, Verify, WritePoint};
use crate::payload::draft::{AsDraft, BodyDraft, FormDraft};
use crate::payload::{BytesPick, Pick};
use crate::transform::RawKind;

/// Longest text of a value that is written.
const MAX_TEXT: u16 = 512;

impl Compiler<'_> {
    /// Where a value is heard or read.
    pub(crate) fn ble_read(
        &mut self,
        place: &BlePlaceDraft,
        body: &BodyDraft,
        span: Span,
    ) -> Option<BleRead> {
        let from = self.source(place, span)?;
        self.fitting_keys(place, body, &from);
        if matches!(from, BleSource::Char(_)) {
            self.connectable(place.char.map_or(span, |char| char.span));
        }
        let pick = match (&place.bthome, &from) {
            (Some(pick), _) => BlePick::Bthome(pick.value.nth(place.nth.map_or(1, |nth| nth.value))),
            (None, BleSource::Rssi) => BlePick::Rssi,
            (None, _) => BlePick::Bytes(self.ble_pick(body)?),
        };
        let shape = BleShape {
            starts: place.starts.as_ref().map(|starts| starts.value.clone()).unwrap_or_default(),
            size: place.size.map(|size| size.value),
        };
        let ask = place.ask.as_ref().map(|ask| BleAsk {
            char: BleChar { service: ask.value.service, uuid: ask.value.char },
            response: ask.value.response,
            body: ask.value.send.clone(),
        });
        let notify = ask.is_some() || place.notify.is_some_and(|notify| notify.value);
        Some(BleRead { from, shape, pick, notify, ask })
    }

    fn source(&mut self, place: &BlePlaceDraft, span: Span) -> Option<BleSource> {
        let char = |uuid: At<BleUuid>| {
            BleSource::Char(BleChar { service: place.service.map(|service| service.value), uuid: uuid.value })
        };
        let given: Vec<(Span, BleSource)> = [
            place.bthome.as_ref().map(|at| (at.span, BleSource::ServiceData(super::bthome::SERVICE))),
            place.service_data.map(|at| (at.span, BleSource::ServiceData(at.value))),
            place.manufacturer.map(|at| (at.span, BleSource::Manufacturer(at.value))),
            place.char.map(|at| (at.span, char(at))),
            place.rssi.filter(|at| at.value).map(|at| (at.span, BleSource::Rssi)),
        ]
        .into_iter()
        .flatten()
        .collect();
        if let [_, (second, _), ..] = given.as_slice() {
            let error = self.report.error(Code::Ble, *second, "the value is in two places");
            error.help("keep one of `bthome`, `service_data`, `manufacturer`, `char` and `rssi`");
            return None;
        }
        if let (Some(rssi), []) = (place.rssi, given.as_slice()) {
            let error = self.report.error(Code::Ble, rssi.span, "that says not where the value is");
            error.help("write `rssi: true`, or remove it");
        } else if given.is_empty() && place.nth.is_some() {
            let error = self.report.error(Code::Ble, span, "`nth` says not of what");
            error.help("add the object, such as `bthome: temperature`");
        }
        given.into_iter().next().map(|(_, source)| source)
    }

    /// Whether every key belongs to what is heard or read.
    fn fitting_keys(&mut self, place: &BlePlaceDraft, body: &BodyDraft, from: &BleSource) {
        let is_char = matches!(from, BleSource::Char(_));
        let has_bytes = place.bthome.is_none() && *from != BleSource::Rssi;
        let keys = [
            ("nth", place.nth.map(|at| at.span), place.bthome.is_some(), "`bthome`"),
            ("service", place.service.map(|at| at.span), is_char, "`char`"),
            ("notify", place.notify.map(|at| at.span), is_char, "`char`"),
            ("ask", place.ask.as_ref().map(|at| at.span), is_char, "`char`"),
            ("starts", place.starts.as_ref().map(|at| at.span), has_bytes, "bytes"),
            ("size", place.size.map(|at| at.span), has_bytes, "bytes"),
            ("bytes", body.form.as_ref().map(|at| at.span), has_bytes, "bytes"),
            ("as", body.kind.map(|at| at.span), has_bytes, "bytes"),
            ("length", body.length.map(|at| at.span), has_bytes, "bytes"),
            ("order", body.little_endian.map(|at| at.span), has_bytes, "bytes"),
            ("bits", body.bits.map(|at| at.span), has_bytes, "bytes"),
        ];
        for (key, span, belongs, to) in keys {
            if let Some(span) = span.filter(|_| !belongs) {
                let of = if place.bthome.is_some() { "an object of BTHome" } else { "what is read here" };
                let error = self.report.error(Code::Ble, span, format!("{of} has no `{key}`"));
                error.help(format!("`{key}` belongs to {to}: remove it"));
            }
        }
        if let Some(notify) = place.notify.filter(|notify| !notify.value && place.ask.is_some()) {
            let error =
                self.report.error(Code::Ble, notify.span, "the answer to `ask` comes as a notification");
            error.help("remove `notify`");
        }
    }

    /// Whether devices of this model are connected at all.
    fn connectable(&mut self, span: Span) {
        if self.draft.ble.connect.is_some_and(|connect| connect.value == BleConnect::Never) {
            let error = self.report.error(Code::Ble, span, "devices of this model are never connected");
            error.help("a characteristic is read and written over a connection: write `connect: on_demand`, or read what they advertise");
        }
    }

    /// Some of the bytes, those from the first on unless the file says otherwise, the least significant first.
    fn ble_pick(&mut self, body: &BodyDraft) -> Option<BytesPick> {
        let form = body.form.clone().unwrap_or(At::new(FormDraft::Bytes(0), self.draft.span));
        let order = body.little_endian.unwrap_or(At::new(true, form.span));
        let draft = BodyDraft { form: Some(form), little_endian: Some(order), ..body.clone() };
        if let Pick::Bytes(pick) = self.pick(&draft)? { Some(pick) } else { None }
    }

    /// Where and how a value is written. A write without a characteristic goes to where the value is read, in the same form.
    pub(crate) fn ble_write(
        &mut self,
        place: &BlePlaceDraft,
        body: &BodyDraft,
        read: Option<(&BlePlaceDraft, &BodyDraft)>,
        (span, what): (Span, &str),
    ) -> Option<BleWrite> {
        let read = read.filter(|(read, _)| place.char.is_none() && read.char.is_some());
        let from = if place.char.is_some() { Some(place) } else { read.map(|(read, _)| read) };
        let Some((from, uuid)) = from.and_then(|from| Some((from, from.char?))) else {
            let error = self.report.absent(Code::MissingKey, span, format!("{what} needs the key `char`"));
            error.help("the characteristic that is written, such as `char: \"2a06\"`");
            return None;
        };
        self.connectable(uuid.span);
        let service = place.service.or(from.service).map(|service| service.value);
        let response = place.response.is_none_or(|response| response.value);
        let put = match &place.send {
            Some(send) => self.ble_template(send, body)?,
            None => {
                let known = read.map(|(_, body)| body).filter(|_| body.form.is_none() && body.kind.is_none());
                BlePut::Bytes(self.ble_pick(&inherited(body, known))?)
            }
        };
        let char = BleChar { service, uuid: uuid.value };
        let answer = place.answer.as_ref().map(|answer| ble_answer(&answer.value, &char));
        Some(BleWrite { char, response, put, answer })
    }

    fn ble_template(&mut self, send: &At<LineText>, body: &BodyDraft) -> Option<BlePut> {
        if send.value.has_any() || send.value.values() > 1 {
            let error = self.report.error(Code::LineText, send.span, "it is not known what to send");
            error.help("`$value` stands for the value, once; `$any` has no meaning here");
            return None;
        }
        if let Some(form) = &body.form {
            let error = self.report.error(Code::Body, form.span, "`send` makes all of the bytes");
            error.help("write `$value` where the value goes, and remove `bytes`");
            return None;
        }
        let form = if send.value.hex {
            let pick = self.ble_pick(body)?;
            ValueForm { kind: pick.raw_kind(), digits: 0, hex: false, bytes: Some(pick) }
        } else {
            let whole = body.kind.is_some_and(|kind| kind.value == AsDraft::Int);
            let kind = if whole { RawKind::Int { bits: 64, signed: true } } else { RawKind::Text(MAX_TEXT) };
            ValueForm { kind, digits: 0, hex: false, bytes: None }
        };
        Some(BlePut::Template(send.value.clone(), form))
    }

    /// What the device does not acknowledge has to show, or nobody knows whether it was done.
    pub(crate) fn check_response(&mut self, write: &WriteDraft, point: &WritePoint, verify: Option<Verify>) {
        let WritePoint::Ble(BleWrite { response: false, answer: None, .. }) = point else { return };
        if verify.is_none() {
            let error = self.report.error(Code::Verify, write.span, "nothing shows that the device did it");
            error.help("without a response a write has to be verified: add `read`, `answer`, or `verify: {by: …}`; or remove `response: false`");
        }
    }

    /// How devices of this model behave.
    pub(crate) fn ble_options(&mut self) -> BleOptions {
        let draft = &self.draft.ble;
        let second = Duration::from_secs(1);
        let connect = draft.connect.map(|connect| connect.value).unwrap_or_default();
        if let Some(pair) = draft.pair.filter(|_| connect == BleConnect::Never) {
            let error = self.report.error(Code::Ble, pair.span, "who is never connected is never paired");
            error.help("remove `pair`, or `connect: never`");
        }
        if let Some(idle) = draft.idle.filter(|_| connect != BleConnect::OnDemand) {
            let error = self.report.error(Code::Ble, idle.span, "`idle` belongs to `connect: on_demand`");
            error.help("remove `idle`: there is no connection that would be given up");
        }
        BleOptions {
            timeout: draft.timeout.map_or(5 * second, |timeout| timeout.value),
            connect,
            idle: draft.idle.map_or(10 * second, |idle| idle.value),
            every: draft.every.map(|every| every.value),
            pair: draft.pair.map(|pair| pair.value).unwrap_or_default(),
            known_by: draft.known_by.as_ref().map(|at| at.value.clone()).unwrap_or_default(),
        }
    }

    /// How long a value that is advertised may be old.
    pub(crate) fn ble_patience(&self) -> Option<Duration> {
        self.draft.ble.every.map(|every| BleOptions::silence(every.value))
    }

    /// When a value is asked for that comes by itself; `None`: as anything else.
    pub(crate) fn ble_poll(&mut self, place: &BlePlaceDraft, poll: Option<Span>) -> Option<Poll> {
        if place.char.is_none() {
            if let Some(span) = poll {
                let message = "what a device advertises cannot be asked for";
                let error = self.report.error(Code::Unaskable, span, message);
                error.help("remove `poll`: what it advertises is always heard");
            }
            return Some(Poll::Once);
        }
        let keeps = self.draft.ble.connect.is_some_and(|connect| connect.value == BleConnect::Keep);
        let told = place.notify.is_some_and(|notify| notify.value) && place.ask.is_none();
        (keeps && told && poll.is_none()).then_some(Poll::Once)
    }
}

/// What a device says to what is written, where that is written unless the file says otherwise.
fn ble_answer(draft: &BleAnswerDraft, written: &BleChar) -> BleAnswer {
    let shape = |starts: &Vec<Option<u8>>| BleShape { starts: starts.clone(), size: None };
    let at = |uuid| BleChar { service: draft.service, uuid };
    BleAnswer {
        char: draft.char.map_or_else(|| written.clone(), at),
        done: shape(&draft.starts),
        refusals: draft.refusals.iter().map(|(starts, words)| (shape(starts), words.clone())).collect(),
    }
}

/// A body with what it leaves out from another.
fn inherited(body: &BodyDraft, from: Option<&BodyDraft>) -> BodyDraft {
    let Some(from) = from else { return body.clone() };
    BodyDraft {
        form: from.form.clone(),
        kind: from.kind,
        length: body.length.or(from.length),
        little_endian: body.little_endian.or(from.little_endian),
        bits: body.bits.or(from.bits),
        ..body.clone()
    }
}
