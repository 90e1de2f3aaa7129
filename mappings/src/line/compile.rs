//! From what is asked and said in a draft to that of a mapping.

use super::draft::LinePlaceDraft;
use super::{HexKind, LineAsk, LinePick, LineRead, LineText, LineWrite, ValueForm, ValueText};
use crate::code::Code;
use crate::compile::Compiler;
use crate::diagnostic::Span;
use crate::draft::At;
use crate::payload::draft::{AsDraft, BodyDraft, FormDraft};
use crate::transform::RawKind;

/// Longest text that is written.
const MAX_TEXT: u16 = u16::MAX;

impl Compiler<'_> {
    /// Where a value is said.
    pub(crate) fn line_read(
        &mut self,
        place: &LinePlaceDraft,
        body: &BodyDraft,
        span: Span,
    ) -> Option<LineRead> {
        let manner = self.manner();
        let ask = match &place.send {
            None => None,
            Some(send) if send.value.has_value() || send.value.has_any() => {
                let error = self.report.error(Code::LineText, send.span, "a question has no value in it");
                error.help("write what the device wants to be asked with; `$value` belongs into `says`, or into `write`");
                return None;
            }
            Some(send) => {
                let body = send.value.filled(&[]);
                Some(LineAsk { wire: manner.request.wrap(&body), body })
            }
        };
        if let Some(unasked) = place.unasked.filter(|_| ask.is_none()) {
            let error =
                self.report.error(Code::LineText, unasked.span, "what cannot be asked is heard anyway");
            error.help("remove `unasked`, or say with `send` how it is asked");
        }
        let says = place.says.as_ref().map(|says| says.value.clone().trimmed());
        let pick = self.line_pick(place, body, span)?;
        let unasked = place.unasked.is_some_and(|unasked| unasked.value);
        Some(LineRead { ask, says, pick, unasked, manner })
    }

    fn line_pick(&mut self, place: &LinePlaceDraft, body: &BodyDraft, span: Span) -> Option<LinePick> {
        let said = place.says.as_ref().filter(|says| says.value.has_value());
        let mut texts = [&place.says, &place.find].into_iter().flatten();
        if let Some(text) = texts.find(|text| text.value.values() > 1) {
            let error = self.report.error(Code::LineText, text.span, "the value stands in two places");
            error.help("keep one `$value`, and write `$any` for the other");
            return None;
        }
        if let Some(find) = place.find.as_ref().filter(|find| !find.value.has_value()) {
            let error =
                self.report.error(Code::LineText, find.span, "`find` does not say where the value is");
            error.help("write `$value` for it, such as `find: \"Ta=$valueC\"`");
            return None;
        }
        let ways = [
            said.map(|says| says.span),
            place.find.as_ref().map(|find| find.span),
            body.form.as_ref().map(|form| form.span),
        ];
        if let [_, second, ..] = ways.into_iter().flatten().collect::<Vec<_>>().as_slice() {
            let error = self.report.error(Code::LineText, *second, "the value is said in two ways");
            error.help("keep `$value` in `says`, or `find`, or where it is in the body");
            return None;
        }
        if body.form.is_some() {
            self.baseless(place);
            return self.pick(body).map(LinePick::Body);
        }
        let text = ValueText { hex: self.hex_kind(place, body, span)? };
        Some(match (&place.find, said) {
            (Some(find), _) => LinePick::Find(find.value.clone(), text),
            (None, Some(_)) => LinePick::Said(text),
            (None, None) => LinePick::Whole(text),
        })
    }

    fn baseless(&mut self, place: &LinePlaceDraft) {
        if let Some(base) = place.base {
            let error = self.report.error(Code::Body, base.span, "`base` is for digits");
            error.help("remove it: `as` says what the bytes are");
        }
    }

    /// What digits are; `Some(None)`: decimal ones, or any text.
    fn hex_kind(&mut self, place: &LinePlaceDraft, body: &BodyDraft, _: Span) -> Option<Option<HexKind>> {
        let hex = place.base.is_some_and(|base| base.value == 16);
        for (key, span) in [
            ("order", body.little_endian.map(|at| at.span)),
            ("bits", body.bits.map(|at| at.span)),
            ("length", body.length.map(|at| at.span)),
        ] {
            if let Some(span) = span {
                let error = self.report.error(Code::Body, span, format!("`{key}` belongs to `bytes`"));
                error.help(format!("remove `{key}`"));
                return None;
            }
        }
        let kind = match (hex, body.kind.map(|kind| kind.value)) {
            (true, None | Some(AsDraft::Int | AsDraft::Uint)) => HexKind::Int { bits: 64, signed: false },
            (true, Some(AsDraft::Unsigned(bytes))) => HexKind::Int { bits: bits(bytes), signed: false },
            (true, Some(AsDraft::Signed(bytes))) => HexKind::Int { bits: bits(bytes), signed: true },
            (true, Some(AsDraft::Text)) => HexKind::Text,
            (true, Some(AsDraft::Raw)) => HexKind::Bytes,
            (false, None | Some(AsDraft::Int | AsDraft::Text)) => return Some(None),
            (_, Some(_)) => {
                let error = self.report.error(Code::Body, body.kind?.span, "a text says itself what it is");
                error.help("remove `as`; hexadecimal digits (`base: 16`) are `u8`, `s16` and the like, `string` or `raw`");
                return None;
            }
        };
        Some(Some(kind))
    }

    /// Where and how a value is written.
    pub(crate) fn line_write(
        &mut self,
        place: &LinePlaceDraft,
        body: &BodyDraft,
        (span, what): (Span, &str),
    ) -> Option<LineWrite> {
        let Some(send) = &place.send else {
            let error = self.report.absent(Code::MissingKey, span, format!("{what} needs the key `send`"));
            error.help("what the device is told, such as `send: \"PWR $value\"`");
            return None;
        };
        if send.value.has_any() || send.value.values() > 1 {
            let error = self.report.error(Code::LineText, send.span, "it is not known what to send");
            error.help("`$value` stands for the value, once; `$any` belongs into what a device says");
            return None;
        }
        let ack = match &place.ack {
            Some(ack) => ack.value.as_ref().map(|text| At::new(text.clone(), ack.span)),
            None => self.draft.line.ack.clone(),
        };
        if let Some(ack) = ack.as_ref().filter(|ack| ack.value.values() > 1) {
            let error = self.report.error(Code::LineText, ack.span, "the value stands in two places");
            error.help("keep one `$value`, and write `$any` for the other");
        }
        let form = self.value_form(place, body, send.value.hex)?;
        let ack = ack.map(|ack| ack.value.trimmed());
        Some(LineWrite { send: send.value.clone(), form, ack, manner: self.manner() })
    }

    fn value_form(&mut self, place: &LinePlaceDraft, body: &BodyDraft, is_hex: bool) -> Option<ValueForm> {
        if is_hex {
            self.baseless(place);
            let draft =
                BodyDraft { form: Some(At::new(FormDraft::Bytes(0), self.draft.span)), ..body.clone() };
            let crate::payload::Pick::Bytes(pick) = self.pick(&draft)? else { return None };
            return Some(ValueForm { kind: pick.raw_kind(), digits: 0, hex: false, bytes: Some(pick) });
        }
        if let Some(form) = &body.form {
            let error = self.report.error(Code::Body, form.span, "a request is made by `send`");
            error.help("write the request with `$value` where the value goes");
            return None;
        }
        let hex = place.base.is_some_and(|base| base.value == 16);
        let digits = place.digits.map_or(0, |digits| digits.value);
        let whole = RawKind::Int { bits: 64, signed: !hex };
        let kind = match body.kind.map(|kind| kind.value) {
            Some(AsDraft::Unsigned(bytes)) => RawKind::Int { bits: bits(bytes), signed: false },
            Some(AsDraft::Signed(bytes)) if !hex => RawKind::Int { bits: bits(bytes), signed: true },
            Some(AsDraft::Int) => whole,
            None if hex || digits > 0 => whole,
            None | Some(AsDraft::Text) => RawKind::Text(MAX_TEXT),
            Some(_) => {
                let error = self.report.error(Code::Body, body.kind?.span, "digits are no such type");
                error
                    .help("write `as: int` for whole numbers, `u8` and the like for a range, or remove `as`");
                return None;
            }
        };
        Some(ValueForm { kind, digits, hex, bytes: None })
    }
}

fn bits(bytes: u16) -> u8 {
    u8::try_from(bytes.min(8) * 8).unwrap_or(64)
}

impl LineText {
    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
}
