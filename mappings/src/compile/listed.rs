//! Words of TR-181's lists.

use super::Compiler;
use crate::code::Code;
use crate::draft::At;
use crate::tr181::{self, advice, quantity};
use crate::words::{nearest, only_nearest, quoted, suggestion, translated};

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
        match only_nearest(given, list.iter().copied()) {
            Some(near) => error.fix(quoted(near)).help(suggestion(given, list)),
            _ if code == Code::Type && advice::kind(given, list).is_some() => {
                let kind = advice::kind(given, list).unwrap_or_default();
                error
                    .help(format!("TR-181 has `{kind}` for that; or write one of your own, such as `{own}`"));
            }
            _ if owned => error.fix(own.as_str()).help(format!("write it as TR-106 wants: `{own}`")),
            _ if near.is_some() => error.help(suggestion(given, list)),
            _ => {
                error.help(format!("write one of your own, such as `{own}`, or {}", suggestion(given, list)))
            }
        }
    }

    /// A word that is no unit of TR-181. One that may be larger or smaller by a factor is never changed without a question.
    fn no_unit(&mut self, unit: &At<String>, kind: &str) {
        let given = unit.value.as_str();
        let near =
            translated(given, tr181::UNITS).or_else(|| only_nearest(given, tr181::UNITS.iter().copied()));
        let certain = near.filter(|near| {
            let same = translated(given, tr181::UNITS).is_some() || advice::is_spelling(given, near);
            same && quantity::contradiction(kind, near).is_none()
        });
        match (advice::unit(given), certain) {
            (None, Some(_)) => self.listed(unit, Code::Unit, "Unit", tr181::UNITS),
            (None, None) if near.is_none() => self.listed(unit, Code::Unit, "Unit", tr181::UNITS),
            (advice, _) => {
                let advice = advice.unwrap_or_else(|| match near {
                    Some("deg") if kind == "Temperature" => {
                        "write `degC` for Celsius; `deg` is an angle".to_owned()
                    }
                    _ => suggestion(given, tr181::UNITS),
                });
                self.report.error(Code::Unit, unit.span, format!("`{given}` is no Unit")).help(advice);
            }
        }
    }

    /// A Unit, which has to fit the Type.
    pub(super) fn unit(&mut self, unit: &At<String>, kind: Option<&At<String>>) {
        let kind = kind.map_or("", |kind| kind.value.as_str());
        if !tr181::UNITS.contains(&unit.value.as_str()) && !tr181::is_vendor_word(&unit.value) {
            self.no_unit(unit, kind);
        }
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
