//! From the draft of a body to what is taken out of it, or how it is made.

use super::draft::{AsDraft, BodyDraft, FormDraft, FormatDraft};
use super::{ByteEncoding, BytesPick, Pick, Put, PutForm, TlvKind, TlvPick, Tree};
use crate::code::Code;
use crate::compile::Compiler;
use crate::diagnostic::Span;
use crate::transform::RawKind;

impl Compiler<'_> {
    /// What is taken out of a body; without a form the whole as text.
    pub(crate) fn pick(&mut self, draft: &BodyDraft) -> Option<Pick> {
        self.check_keys_of_form(draft);
        Some(match draft.form.as_ref().map(|form| &form.value) {
            None => Pick::Text,
            Some(FormDraft::Json(pointer)) => Pick::Json(pointer.clone()),
            Some(FormDraft::Cbor(pointer)) => Pick::Cbor(pointer.clone()),
            Some(FormDraft::Senml(name)) => Pick::Senml(name.clone()),
            Some(FormDraft::Tlv(path)) => Pick::Tlv(self.tlv(path, draft)?),
            Some(FormDraft::Bytes(offset)) => Pick::Bytes(self.bytes(*offset, draft)),
        })
    }

    /// How a body is made; without a form the value as text.
    pub(crate) fn put(&mut self, draft: &BodyDraft) -> Option<Put> {
        self.check_keys_of_form(draft);
        if let Some(send) = draft.send.as_ref().filter(|send| !send.value.args().is_empty()) {
            let error = self.report.error(Code::Body, send.span, "there are no arguments here");
            error.help("only a step of a command has some; the value that is written is `$value`");
        }
        if let (Some(send), Some(form)) = (&draft.send, &draft.form) {
            let error = self.report.error(Code::Body, form.span, "`send` makes the whole body already");
            error.help("write `$value` where the value goes in `send`, or keep the other key alone");
            return Some(self.of_tree(&send.value, draft));
        }
        let form = match (draft.form.as_ref().map(|form| &form.value), &draft.send) {
            (None, Some(send)) => return Some(self.of_tree(&send.value, draft)),
            (None, None) => PutForm::Text,
            (Some(FormDraft::Json(pointer)), _) => PutForm::Json(pointer.clone()),
            (Some(FormDraft::Cbor(pointer)), _) => PutForm::Cbor(pointer.clone()),
            (Some(FormDraft::Senml(name)), _) => {
                let cbor = draft.format.is_some_and(|format| format.value == FormatDraft::Cbor);
                PutForm::Senml { name: name.clone(), cbor }
            }
            (Some(FormDraft::Tlv(path)), _) => PutForm::Tlv(self.tlv(path, draft)?),
            (Some(FormDraft::Bytes(offset)), _) => PutForm::Bytes(self.bytes(*offset, draft)),
        };
        Some(whole(Put::new(form), draft))
    }

    fn of_tree(&self, tree: &Tree, draft: &BodyDraft) -> Put {
        let cbor = draft.format.is_some_and(|format| format.value == FormatDraft::Cbor);
        let json = draft.format.is_some() && !cbor;
        let form = match tree {
            Tree::Null if draft.format.is_none() => PutForm::Empty,
            Tree::Value if draft.format.is_none() => PutForm::Text,
            Tree::Text(text) if draft.format.is_none() && text.is_empty() => PutForm::Empty,
            Tree::Text(text) if draft.format.is_none() => PutForm::Words(text.clone()),
            tree if cbor => PutForm::CborTree(tree.clone()),
            Tree::Bool(_) | Tree::Number(_) if !json => PutForm::Words(tree.to_string()),
            tree => PutForm::JsonTree(tree.clone()),
        };
        whole(Put::new(form), draft)
    }

    fn tlv(&mut self, path: &[u16], draft: &BodyDraft) -> Option<TlvPick> {
        let span = draft.form.as_ref().map(|form| form.span)?;
        let kind = match draft.kind.map(|kind| kind.value) {
            Some(AsDraft::Int) => TlvKind::Integer,
            Some(AsDraft::Uint) => TlvKind::Unsigned,
            Some(AsDraft::Float) => TlvKind::Float,
            Some(AsDraft::Bool) => TlvKind::Boolean,
            Some(AsDraft::Text) => TlvKind::Text,
            Some(AsDraft::Raw) => TlvKind::Opaque,
            // Told already.
            Some(_) => return None,
            None => {
                let error = self.report.absent(Code::MissingKey, span, "a value of a TLV body needs `as`");
                error.help("TLV does not say of what type a value is: write `as: float`, `int`, `uint`, `bool`, `string` or `raw`, as the registry of OMA has it");
                return None;
            }
        };
        Some(TlvPick { path: path.to_vec(), kind })
    }

    fn bytes(&mut self, offset: u16, draft: &BodyDraft) -> BytesPick {
        let (encoding, length) = match draft.kind.map_or(AsDraft::Unsigned(1), |kind| kind.value) {
            AsDraft::Unsigned(bytes) => (ByteEncoding::Unsigned, Some(bytes)),
            AsDraft::Signed(bytes) => (ByteEncoding::Signed, Some(bytes)),
            AsDraft::Ieee(bytes) => (ByteEncoding::Float, Some(bytes)),
            AsDraft::Text => (ByteEncoding::Text, draft.length.map(|length| length.value)),
            _ => (ByteEncoding::Bytes, draft.length.map(|length| length.value)),
        };
        let bits = draft.bits.map(|bits| bits.value);
        if let (Some(at), Some((first, last))) = (draft.bits, bits) {
            let width = length.unwrap_or_default().saturating_mul(8);
            let unfit = encoding != ByteEncoding::Unsigned || first > last || u16::from(last) >= width;
            if unfit {
                let error = self.report.error(Code::Bits, at.span, "there are no such bits");
                error.help(
                    "`bits` are those of an unsigned number, from 0, the least significant: `4..6` of a `u8`",
                );
            }
        }
        let little_endian = draft.little_endian.is_some_and(|order| order.value);
        BytesPick { offset, length, encoding, little_endian, bits }
    }

    /// Whether what a value is said to be belongs to the form of the body.
    fn check_keys_of_form(&mut self, draft: &BodyDraft) {
        let form = draft.form.as_ref().map(|form| &form.value);
        let is_bytes = matches!(form, Some(FormDraft::Bytes(_)));
        if let Some(kind) = draft.kind {
            let fits = match (form, kind.value) {
                (Some(FormDraft::Tlv(_)), kind) => is_tlv(kind),
                (Some(FormDraft::Bytes(_)), kind) => is_of_bytes(kind),
                (_, kind) => kind == AsDraft::Int,
            };
            if !fits {
                self.unfit_kind(form, kind.span);
            }
        }
        for (key, span) in
            [("order", draft.little_endian.map(|at| at.span)), ("bits", draft.bits.map(|at| at.span))]
        {
            if let Some(span) = span.filter(|_| !is_bytes) {
                let message = format!("`{key}` belongs to `bytes`");
                self.report.error(Code::Body, span, message).help(format!("remove `{key}`"));
            }
        }
        let sized =
            is_bytes && draft.kind.is_none_or(|kind| matches!(kind.value, AsDraft::Text | AsDraft::Raw));
        if let Some(length) = draft.length.filter(|_| !sized) {
            let error = self.report.error(
                Code::Body,
                length.span,
                "`length` belongs to `bytes` with `as: string` or `raw`",
            );
            error.help("remove `length`");
        }
    }

    fn unfit_kind(&mut self, form: Option<&FormDraft>, span: Span) {
        let (message, help) = match form {
            Some(FormDraft::Tlv(_)) => (
                "there is no such type in TLV",
                "write `int`, `uint`, `float`, `bool`, `string` or `raw`: how many bytes a value has is said by the TLV itself",
            ),
            Some(FormDraft::Bytes(_)) => {
                ("bytes are no such type", "write `u8`, `s16`, `f32` and the like, `string` or `raw`")
            }
            _ => (
                "the value says itself what it is",
                "remove `as`; `as: int` alone is of use, where only whole numbers may be written",
            ),
        };
        self.report.error(Code::Body, span, message).help(help);
    }
}

fn is_tlv(kind: AsDraft) -> bool {
    !matches!(kind, AsDraft::Unsigned(_) | AsDraft::Signed(_) | AsDraft::Ieee(_))
}

fn is_of_bytes(kind: AsDraft) -> bool {
    !is_tlv(kind) || matches!(kind, AsDraft::Text | AsDraft::Raw)
}

/// Only whole numbers are written where the file says so.
fn whole(put: Put, draft: &BodyDraft) -> Put {
    let is_whole = draft.kind.is_some_and(|kind| kind.value == AsDraft::Int);
    match put.kind {
        RawKind::Any | RawKind::Text(_) if is_whole => {
            Put { kind: RawKind::Int { bits: 64, signed: true }, ..put }
        }
        _ => put,
    }
}
