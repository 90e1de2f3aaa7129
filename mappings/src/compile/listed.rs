//! Words of TR-181's lists.

use super::Compiler;
use crate::code::Code;
use crate::draft::At;
use crate::tr181::{self, advice, quantity};
use crate::words::{nearest, only_nearest, quoted, suggestion};

impl Compiler<'_> {
    /// A word of a TR-181 list, or one of a vendor's own.
    pub(super) fn listed(&mut self, word: &At<String>, code: Code, what: &str, list: &[&str]) {
        let given = word.value.as_str();
        if list.contains(&given) || tr181::is_vendor_word(given) {
            return;
        }
        let error = self.report.error(code, word.span, format!("`{given}` is no {what}"));
        let own = advice::own_word(given);
        let owned = given.to_ascii_uppercase().starts_with("X_");
        let near = nearest(given, list.iter().copied());
        match (only_nearest(given, list.iter().copied()), advice::unit(given)) {
            (Some(near), _) => error.fix(quoted(near)).help(suggestion(given, list)),
            (None, Some(advice)) if code == Code::Unit => error.help(advice),
            _ if owned => error.fix(own.as_str()).help(format!("write it as TR-106 wants: `{own}`")),
            _ if near.is_some() => error.help(suggestion(given, list)),
            _ => {
                error.help(format!("write one of your own, such as `{own}`, or {}", suggestion(given, list)))
            }
        }
    }

    /// A Unit, which has to fit the Type.
    pub(super) fn unit(&mut self, unit: &At<String>, kind: Option<&At<String>>) {
        self.listed(unit, Code::Unit, "Unit", tr181::UNITS);
        let kind = kind.map_or("", |kind| kind.value.as_str());
        if let Some((what, meant)) = advice::suspicious(&unit.value, kind) {
            let message = format!("{what}, and the Type is {kind}");
            self.report
                .warn(Code::Unit, unit.span, message)
                .fix(meant)
                .help(format!("write `unit: {meant}`"));
        } else if unit.value == "degF" {
            let warning = self.report.warn(
                Code::NotMetric,
                unit.span,
                "degF is not metric, as TR-181 wants units to be",
            );
            warning.help("set the device to Celsius if it can be, and write `unit: degC`; otherwise keep it");
        }
        if let Some(help) = quantity::contradiction(kind, &unit.value) {
            let message = format!("the Type is {kind}, and `{}` is no unit of that", unit.value);
            self.report.warn(Code::UnitOfType, unit.span, message).help(help);
        }
    }
}
