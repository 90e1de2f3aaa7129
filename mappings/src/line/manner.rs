//! From the `line` section of a draft to how devices speak.

use std::sync::Arc;
use std::time::Duration;

use super::draft::{FramingDraft, LengthDraft};
use super::{Checksum, Framing, Limit, LineManner, LineOptions, LineText};
use crate::code::Code;
use crate::compile::Compiler;
use crate::draft::At;

/// How long an answer may take, unless the file says otherwise.
pub(super) const TIMEOUT: Duration = Duration::from_secs(1);

/// Most bytes of a frame, unless the file says otherwise.
const MAX: usize = 4096;

impl Compiler<'_> {
    /// How devices of this model behave.
    pub(crate) fn line_options(&mut self) -> LineOptions {
        let draft = &self.draft.line;
        self.check_framing();
        for text in draft.refusals.iter().chain(&draft.opening) {
            self.valueless(text);
        }
        if let Some(every) = draft.every.filter(|every| every.value.is_zero()) {
            let error = self.report.error(Code::NumberRange, every.span, "`every` must be at least 1ms");
            error.help("how often the device says something by itself, such as 10s");
        }
        LineOptions {
            timeout: draft.timeout.map_or(TIMEOUT, |timeout| timeout.value),
            pause: draft.pause.map_or(Duration::ZERO, |pause| pause.value),
            every: draft.every.map(|every| every.value),
            manner: self.manner(),
        }
    }

    fn valueless(&mut self, text: &At<LineText>) {
        if text.value.has_value() {
            let error = self.report.error(Code::LineText, text.span, "there is no value here");
            error.help("write `$any` for what may be anything");
        }
    }

    /// How they speak.
    pub(super) fn manner(&self) -> Arc<LineManner> {
        let draft = &self.draft.line;
        let frames = framing(&draft.frames);
        let request = match &draft.request {
            Some(request) => framing(request),
            None => Framing { ..frames.clone() },
        };
        Arc::new(LineManner {
            frames,
            request,
            refusals: draft.refusals.iter().map(|text| text.value.clone().trimmed()).collect(),
            echo: draft.echo.is_some_and(|echo| echo.value),
            opening: draft.opening.iter().map(|text| text.value.filled(&[])).collect(),
            usual: draft.usual,
        })
    }

    fn check_framing(&mut self) {
        let draft = &self.draft.line;
        let frames = &draft.frames;
        let span = draft.span.unwrap_or(self.draft.span);
        let given = [
            frames.ends.first().map(|end| end.span),
            frames.length.map(|length| length.span),
            frames.gap.map(|gap| gap.span),
        ];
        let given: Vec<_> = given.into_iter().flatten().collect();
        match given.as_slice() {
            [] => {
                let error = self.report.error(Code::LineFrame, span, "nothing says where a frame ends");
                error.help("add `end: \"\\r\\n\"` or what the device ends with, `length` in bytes, or `gap` for how much silence");
            }
            [_] => {}
            [_, second, ..] => {
                let error = self.report.error(Code::LineFrame, *second, "a frame ends in one way");
                error.help("keep one of `end`, `length` and `gap`");
            }
        }
        let Some(checksum) = frames.checksum else { return };
        if checksum.value.after_end && frames.ends.is_empty() {
            let error = self.report.error(
                Code::LineFrame,
                checksum.span,
                "there is no `end` that it could be behind",
            );
            error.help("remove `at`: it is the last of the frame");
        }
        if let Some(LengthDraft::Fixed(length)) = frames.length.map(|length| length.value) {
            let covered = checksum.value.skip + checksum.value.cut;
            if usize::from(length) <= usize::from(covered) + checksum.value.kind.width() {
                let error = self.report.error(Code::LineFrame, checksum.span, "it would cover nothing");
                error.help("`skip` and `cut` count bytes, and so does `length`");
            }
        }
    }
}

fn framing(draft: &FramingDraft) -> Framing {
    let limit = match (draft.length.map(|length| length.value), draft.gap) {
        (Some(LengthDraft::Fixed(length)), _) => Limit::Length(length),
        (Some(LengthDraft::Said { at, wide, little_endian, plus }), _) => {
            Limit::Said { at, wide, little_endian, plus }
        }
        (None, Some(gap)) => Limit::Gap(gap.value),
        (None, None) => Limit::Ends(draft.ends.iter().map(|end| end.value.clone()).collect()),
    };
    let checksum = draft.checksum.map(|at| at.value).map(|draft| Checksum {
        kind: draft.kind,
        hex: draft.hex,
        little_endian: draft.little_endian,
        after_end: draft.after_end,
        skip: draft.skip,
        cut: draft.cut,
    });
    let start = draft.start.as_ref().map(|start| start.value.clone()).unwrap_or_default();
    Framing { start, limit, checksum, max: draft.max.map_or(MAX, |max| usize::from(max.value)) }
}
