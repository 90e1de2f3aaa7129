//! From the paths of a draft to those of a mapping.

use super::draft::CoapPlaceDraft;
use super::{CoapOptions, CoapRead, CoapWrite};
use crate::code::Code;
use crate::compile::Compiler;
use crate::diagnostic::Span;
use crate::payload::draft::BodyDraft;

impl Compiler<'_> {
    /// Where a value is read.
    pub(crate) fn coap_read(&mut self, place: &CoapPlaceDraft, body: &BodyDraft) -> Option<CoapRead> {
        let path = place.path.as_ref()?.value.clone();
        let observe = place.observe.is_some_and(|observe| observe.value);
        let accept = place.accept.map(|accept| accept.value);
        Some(CoapRead { path, pick: self.pick(body)?, observe, accept })
    }

    /// Where and how a value is written. A write without a path goes to where the value is read, in the same form.
    pub(crate) fn coap_write(
        &mut self,
        place: &CoapPlaceDraft,
        body: &BodyDraft,
        read: Option<(&CoapPlaceDraft, &BodyDraft)>,
        (span, what): (Span, &str),
    ) -> Option<CoapWrite> {
        let inherited = read.filter(|_| place.path.is_none());
        let path = place.path.as_ref().or(inherited.and_then(|(place, _)| place.path.as_ref()));
        let Some(path) = path else {
            if read.is_none() {
                let error =
                    self.report.absent(Code::MissingKey, span, format!("{what} needs the key `path`"));
                error.help("the resource that is written, such as `path: /3311/0/5850`");
            }
            return None;
        };
        let own = body.form.is_some() || body.send.is_some();
        let form = inherited.filter(|_| !own).map(|(_, form)| form.form.clone());
        let body = match form {
            Some(form) => BodyDraft {
                form,
                kind: body.kind.or(inherited.and_then(|(_, form)| form.kind)),
                length: body.length.or(inherited.and_then(|(_, form)| form.length)),
                little_endian: body.little_endian.or(inherited.and_then(|(_, form)| form.little_endian)),
                ..body.clone()
            },
            None => body.clone(),
        };
        let method = place.method.map(|method| method.value).unwrap_or_default();
        Some(CoapWrite { path: path.value.clone(), method, put: self.put(&body)? })
    }

    /// How devices of this model behave.
    pub(crate) fn coap_options(&self) -> CoapOptions {
        let (draft, usual) = (&self.draft.coap, CoapOptions::default());
        CoapOptions {
            timeout: draft.timeout.map_or(usual.timeout, |timeout| timeout.value),
            confirmable: draft.confirmable.map_or(usual.confirmable, |confirmable| confirmable.value),
            block: draft.block.map_or(usual.block, |block| block.value),
            silence: draft.silence.map_or(usual.silence, |silence| silence.value),
        }
    }
}
