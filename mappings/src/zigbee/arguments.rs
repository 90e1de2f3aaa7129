//! Steps of commands that have several arguments in the fields of one command of a cluster.

use rust_decimal::Decimal;

use super::zcl::{ZclType, encode};
use super::{ZigbeeBy, ZigbeeField, ZigbeeFieldValue, ZigbeePlaceDraft, ZigbeeWrite};
use crate::code::Code;
use crate::compile::Compiler;
use crate::draft::{At, StepDraft, ZigbeeConstDraft};
use crate::mapping::{ArgKind, CommandArg, CommandStep, Made, StepValue, WritePoint};
use crate::payload::Tree;
use crate::transform::{Raw, Transform};

impl Compiler<'_> {
    /// A step whose fields have arguments in them by name.
    pub(crate) fn zigbee_made(
        &mut self,
        step: &StepDraft,
        place: &ZigbeePlaceDraft,
        args: &[CommandArg],
    ) -> Option<CommandStep> {
        if let Some(span) = step.value.as_ref().map(|value| value.span).filter(|_| !place.has_value()) {
            let message = "the fields have arguments in them, and there is a `value` too";
            let error = self.report.error(Code::Command, span, message);
            error.help("remove `value`, and write `\"${arg.Name}\"` in `fields` wherever an argument goes");
            return None;
        }
        if place.has_value() {
            let message = "the fields have arguments by name, and `$value` too";
            let error = self.report.error(Code::Command, step.span, message);
            error.help("write `\"${arg.Name}\"` in every field that an argument goes into");
            return None;
        }
        let mut write = self.zigbee_write(place, None, &[], (step.span, "a step"))?;
        let ZigbeeBy::Command(call) = &mut write.by else { return None };
        let mut sent: Vec<(String, usize)> = Vec::new();
        for (at, field) in call.fields.iter_mut().enumerate() {
            if !matches!(field.value, ZigbeeFieldValue::Item(_)) {
                continue;
            }
            let name = argument_of(place, at, &field.name)?;
            let found = self.argument(&name, args)?;
            self.fits_field(&name, args.get(found)?, field)?;
            field.value = ZigbeeFieldValue::Item(sent.len());
            sent.push((name.value.clone(), found));
        }
        Some(made(write, sent))
    }

    fn argument(&mut self, name: &At<String>, args: &[CommandArg]) -> Option<usize> {
        let found = args.iter().position(|arg| arg.name == name.value);
        if found.is_none() {
            let names: Vec<&str> = args.iter().map(|arg| arg.name.as_str()).collect();
            let message = format!("there is no argument `{}`", name.value);
            let error = self.report.error(Code::Command, name.span, message);
            error.suggest_as(&name.value, &names, |near| format!("\"${{arg.{near}}}\""));
        }
        found
    }

    /// Whether whatever an argument may be can stand in a field.
    fn fits_field(&mut self, name: &At<String>, arg: &CommandArg, field: &ZigbeeField) -> Option<()> {
        let number = |number: &Decimal| encode(field.kind, &Raw::Decimal(*number)).is_ok();
        let is_text = matches!(field.kind, ZclType::Text | ZclType::Octets);
        let fits = match &arg.kind {
            ArgKind::Int(least, most) => number(least) && number(most),
            ArgKind::Number(least, most) => {
                let is_float = matches!(field.kind, ZclType::Single | ZclType::Double | ZclType::Semi);
                is_float && number(least) && number(most)
            }
            ArgKind::Bool => encode(field.kind, &Raw::Bool(true)).is_ok(),
            ArgKind::Text(most) => is_text && *most <= 63,
            ArgKind::Enum(_) => false,
        };
        if !fits {
            let message =
                format!("not all that `{}` may be fits `{}` ({})", name.value, field.name, field.kind);
            let error = self.report.error(Code::Command, name.span, message);
            error.help(
                "let it be an `int` with a range that fits, a `bool`, or a `string` of at most 63 for a text",
            );
            return None;
        }
        Some(())
    }
}

/// The argument that stands in a field: by its name, or in a list by its place.
fn argument_of(place: &ZigbeePlaceDraft, at: usize, field: &str) -> Option<At<String>> {
    let named = place.fields.iter().find(|it| it.name.as_ref().is_some_and(|name| name.value == field));
    let draft = named.or_else(|| place.fields.get(at).filter(|it| it.name.is_none()))?;
    match &draft.value.value {
        ZigbeeConstDraft::Arg(name) => Some(At::new(name.clone(), draft.value.span)),
        _ => None,
    }
}

/// The arguments go as a list, in the order of the fields.
fn made(write: ZigbeeWrite, sent: Vec<(String, usize)>) -> CommandStep {
    let items = sent.iter().map(|(name, _)| Tree::Text(format!("${{arg.{name}}}"))).collect();
    let value = StepValue::Made(Made { tree: Tree::List(items), plain: false, args: sent });
    CommandStep { point: WritePoint::Zigbee(write), transform: Transform::default(), value }
}
