//! Commands of the vendor.

use super::Compiler;
use super::extras::own_name;
use crate::code::Code;
use crate::draft::{ArgDraft, At, CapabilityDraft, CommandDraft, ParamKind, StepDraft, WriteDraft};
use crate::mapping::{ArgKind, Command, CommandArg, CommandStep, StepValue};
use crate::transform::{RawKind, Transform};
use crate::value::{Value, parse_decimal};

impl Compiler<'_> {
    pub(super) fn commands(&mut self) -> Vec<Command> {
        let draft = self.draft;
        let commands = draft.commands.iter();
        commands.map(|draft| self.member(&draft.id.value, |this| this.command(draft))).collect()
    }

    fn command(&mut self, draft: &CommandDraft) -> Command {
        self.vendor_name(&draft.id, draft.node);
        if draft.send.is_empty() {
            let message = format!("the command `{}` sends nothing", draft.id.value);
            let error = self.report.error(Code::Command, draft.id.span, message);
            error.help("add a step to `send`, such as `{holding: 0x2000, value: 1}`");
        }
        let args: Vec<CommandArg> = draft.args.iter().map(|arg| self.arg(arg)).collect();
        let steps: Vec<CommandStep> = draft.send.iter().filter_map(|step| self.step(step, &args)).collect();
        for (arg, place) in draft.args.iter().zip(0..) {
            let is_sent = |step: &CommandStep| match &step.value {
                StepValue::Arg(sent) => *sent == place,
                StepValue::Made(made) => made.args.iter().any(|(_, sent)| *sent == place),
                StepValue::Fixed(_) => false,
            };
            // What is wrong with a step was told.
            if steps.len() == draft.send.len() && !steps.iter().any(is_sent) {
                let name = &arg.name.value;
                let warning = self.report.unfit(
                    Code::Command,
                    arg.name.span,
                    format!("the argument `{name}` is not sent"),
                );
                warning.help(format!("write `value: \"${{arg.{name}}}\"` in a step, or remove it"));
            }
        }
        self.check_ttl(draft.ttl, draft.id.span);
        Command {
            name: own_name(&draft.id.value, draft.node).to_owned(),
            node: draft.node,
            description: self.text(draft.description.as_ref(), 256).unwrap_or_default(),
            args,
            takes: steps.iter().map(|step| self.write_takes(&step.point, None)).sum(),
            steps,
            ttl: draft.ttl.map_or(self.usual_ttl(), |ttl| ttl.value),
        }
    }

    fn arg(&mut self, draft: &ArgDraft) -> CommandArg {
        self.argument_name(&draft.name);
        let kind = match &draft.kind {
            ParamKind::Int(min, max) => ArgKind::Int((*min).into(), (*max).into()),
            ParamKind::Number(min, max) => ArgKind::Number(*min, *max),
            ParamKind::Bool => ArgKind::Bool,
            ParamKind::Enum(words) => ArgKind::Enum(words.clone()),
            ParamKind::Text(most) => ArgKind::Text(*most),
        };
        let default = draft.default.as_ref().and_then(|default| match kind.parse(&default.value) {
            Ok(value) => Some(value),
            Err(why) => {
                self.report.error(Code::ParamDefault, default.span, why).help("correct the `default`");
                None
            }
        });
        CommandArg { name: draft.name.value.clone(), kind, default }
    }

    fn step(&mut self, step: &StepDraft, args: &[CommandArg]) -> Option<CommandStep> {
        if let Some(made) = self.made_step(step, args) {
            return made.ok();
        }
        let write = WriteDraft {
            read_modify_write: step.read_modify_write,
            ..WriteDraft::at(step.span, step.point.clone(), step.function)
        };
        let point = self.step_place(&write)?;
        let kind = point.raw_kind();
        let like = CapabilityDraft::empty(At::new(String::new(), step.span));
        let transform = self.steps(&like, &step.point, kind);
        let value = self.step_value(step, kind, &transform, args)?;
        self.check_step(step, kind, &transform, &value, args);
        Some(CommandStep { point, transform, value })
    }

    fn step_value(
        &mut self,
        step: &StepDraft,
        kind: RawKind,
        transform: &Transform,
        args: &[CommandArg],
    ) -> Option<StepValue> {
        let Some(value) = step.value.as_ref() else {
            // A message that says itself all that it sends.
            return step.point.message.is_some().then_some(StepValue::Fixed(Value::Bool(true)));
        };
        if let Some(name) = value.value.strip_prefix("${arg.").and_then(|rest| rest.strip_suffix('}')) {
            let place = args.iter().position(|arg| arg.name == name);
            if place.is_none() {
                let names: Vec<&str> = args.iter().map(|arg| arg.name.as_str()).collect();
                let error =
                    self.report.error(Code::Command, value.span, format!("there is no argument `{name}`"));
                error.suggest_as(name, &names, |near| format!("\"${{arg.{near}}}\""));
            }
            return place.map(StepValue::Arg);
        }
        let is_state = transform.map.is_some();
        let fixed = match (value.value.as_str(), kind) {
            (text @ ("true" | "false"), _) => Some(Value::Bool(text == "true")),
            (text @ ("0" | "1"), RawKind::Bool) => Some(Value::Bool(text == "1")),
            (text, RawKind::Text(_)) => Some(Value::Text(text.to_owned())),
            (text, RawKind::Any) if !is_state => Some(any_value(text)),
            (text, _) if is_state => Some(Value::Text(text.to_owned())),
            (_, kind) => self.raw_number(value, kind).map(Value::Number),
        };
        if fixed.is_none() {
            let message = format!("`{}` cannot be written there", value.value);
            let error = self.report.error(Code::Command, value.span, message);
            error.help("write a number, true, false, a state of the `map`, or `\"${arg.Name}\"`");
        }
        fixed.map(StepValue::Fixed)
    }

    /// Whether all that a step may have to write can be written.
    fn check_step(
        &mut self,
        step: &StepDraft,
        kind: RawKind,
        transform: &Transform,
        value: &StepValue,
        args: &[CommandArg],
    ) {
        let span = step.value.as_ref().map_or(step.span, |value| value.span);
        let values = match value {
            StepValue::Fixed(value) => vec![value.clone()],
            StepValue::Arg(place) => args.get(*place).map(|arg| extremes(&arg.kind)).unwrap_or_default(),
            // They stand there as they are.
            StepValue::Made(_) => Vec::new(),
        };
        let fault = values.iter().find_map(|value| Some((value, transform.encode(value, kind).err()?)));
        if let Some((value, fault)) = fault {
            let message = format!("{}: {fault}", value.to_usp());
            let error = self.report.error(Code::Command, span, message);
            error.help("check `as`, `scale`, `map`, `bits`, and what the argument may be");
        }
    }
}

/// A value where any will do: a number if it is one, a text otherwise.
fn any_value(text: &str) -> Value {
    parse_decimal(text).map_or_else(|_| Value::Text(text.to_owned()), Value::Number)
}

/// Values of an argument that show whether all can be written.
fn extremes(kind: &ArgKind) -> Vec<Value> {
    match kind {
        ArgKind::Int(min, max) => vec![Value::Number(*min), Value::Number(*max)],
        // A number between two raw ones is refused when the command is called.
        ArgKind::Number(min, max) => vec![Value::Number(*min), Value::Number(*max)],
        ArgKind::Bool => vec![Value::Bool(false), Value::Bool(true)],
        ArgKind::Enum(words) => words.iter().cloned().map(Value::Text).collect(),
        ArgKind::Text(most) => vec![Value::Text("x".repeat(*most))],
    }
}
