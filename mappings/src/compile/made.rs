//! Steps of commands whose bodies have several arguments in them.

use super::Compiler;
use crate::code::Code;
use crate::diagnostic::Span;
use crate::draft::{At, MessagePlace, PointDraft, StepDraft, WriteDraft};
use crate::mapping::{CommandArg, CommandStep, Made, StepValue, WritePoint};
use crate::payload::draft::FormatDraft;
use crate::payload::{PutForm, Tree};
use crate::transform::Transform;

impl Compiler<'_> {
    /// The step, if its body has arguments in it by name. `Err`: it has, and something is wrong with it, which was told.
    pub(super) fn made_step(
        &mut self,
        step: &StepDraft,
        args: &[CommandArg],
    ) -> Option<Result<CommandStep, ()>> {
        let message = step.point.message.as_deref()?;
        if let MessagePlace::Zigbee(place) = &message.place
            && !place.args().is_empty()
        {
            return Some(self.zigbee_made(step, place, args).ok_or(()));
        }
        let body = &message.body;
        let send = body.send.as_ref().filter(|send| !send.value.args().is_empty())?;
        let is_cbor = body.format.is_some_and(|format| format.value == FormatDraft::Cbor);
        let plain = body.format.is_none() && matches!(send.value, Tree::Text(_));
        Some(self.made(step, send, (plain, is_cbor), args).ok_or(()))
    }

    fn made(
        &mut self,
        step: &StepDraft,
        send: &At<Tree>,
        (plain, is_cbor): (bool, bool),
        args: &[CommandArg],
    ) -> Option<CommandStep> {
        if let Some(value) = &step.value {
            let message = "the body has arguments in it, and a `value` too";
            let error = self.report.error(Code::Command, value.span, message);
            error.help("remove `value`, and write `\"${arg.Name}\"` in `send` wherever an argument goes");
            return None;
        }
        if send.value.has_value() || is_cbor || step.point.has_meaning() {
            let error = self.report.error(Code::Command, send.span, "arguments cannot stand in such a body");
            error.help("they stand in a text or in JSON, as they are: without `$value`, `format: cbor`, `map`, `scale` and `offset`");
            return None;
        }
        let args = self.named_args(&send.value, send.span, args)?;
        let point = self.whole_body(step, plain)?;
        let value = StepValue::Made(Made { tree: send.value.clone(), plain, args });
        Some(CommandStep { point, transform: Transform::default(), value })
    }

    fn named_args(&mut self, tree: &Tree, span: Span, args: &[CommandArg]) -> Option<Vec<(String, usize)>> {
        let mut found: Vec<(String, usize)> = Vec::new();
        for name in tree.args() {
            let Some(place) = args.iter().position(|arg| arg.name == name) else {
                let names: Vec<&str> = args.iter().map(|arg| arg.name.as_str()).collect();
                let error = self.report.error(Code::Command, span, format!("there is no argument `{name}`"));
                error.help(format!("those of this command are: {}", names.join(", ")));
                return None;
            };
            if !found.iter().any(|(known, _)| known == name) {
                found.push((name.to_owned(), place));
            }
        }
        Some(found)
    }

    /// Where the whole body goes, as it is.
    fn whole_body(&mut self, step: &StepDraft, plain: bool) -> Option<WritePoint> {
        let mut point: PointDraft = step.point.clone();
        if let Some(message) = point.message.as_mut() {
            message.body.send = Some(At::new(Tree::Value, step.span));
            message.body.format = None;
        }
        let mut place = self.step_place(&WriteDraft::at(step.span, point, step.function))?;
        let put = match &mut place {
            WritePoint::Mqtt(write) => &mut write.put,
            WritePoint::Coap(write) => &mut write.put,
            WritePoint::Modbus { .. } | WritePoint::Line(_) | WritePoint::Ble(_) | WritePoint::Zigbee(_) => {
                return None;
            }
        };
        if !plain {
            put.form = PutForm::Document;
        }
        Some(place)
    }
}
