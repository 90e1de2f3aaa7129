//! Which units a `Type` can be in. TR-181 lists both and does not say which belong together; what is wider than a
//! quantity (`Meter`, `Counter`, `Intensity`, `Motion`) or has no unit of TR-181 (`Acceleration`) takes any.

/// Types that name a quantity, and the units that it is measured in, the usual one first.
const UNITS_OF: &[(&str, &[&str])] = &[
    ("Area", &["sq-m", "sq-km", "sq-cm"]),
    ("Battery", &["%", "V", "A", "W", "Wh", "kWh", "C", "J", "-"]),
    ("Brightness", &["%", "lx", "lm", "cd", "-"]),
    ("Concentration", &["ppm", "%", "mol", "mg", "g", "kg", "-"]),
    ("Conductivity", &["S", "-"]),
    ("Depth", &["m", "km", "cm", "mm"]),
    ("Distance", &["m", "km", "cm", "mm"]),
    ("Duration", &["s", "ms", "min", "h"]),
    ("Energy", &["kWh", "Wh", "J", "eV"]),
    ("Flow", &["liter/s", "cu-m/s", "mps"]),
    ("Humidity", &["%", "-"]),
    ("Location", &["deg", "km", "m"]),
    ("Luminance", &["lx", "cd", "lm", "%", "-"]),
    ("Position", &["%", "deg", "mm", "cm", "m", "km", "-"]),
    ("Power", &["W", "dBm", "%"]),
    ("Pressure", &["Pa", "dB"]),
    ("RGB", &["RGB", "-"]),
    ("Radiation", &["UV", "Sv", "eV", "pps"]),
    ("Speed", &["mps", "rpm", "Hz", "pps", "%"]),
    ("Temperature", &["degC", "degF", "K"]),
    ("Volume", &["cu-m", "l", "cl", "ml", "dB", "%"]),
    ("Weight", &["kg", "g", "mg", "N"]),
];

/// What to do about a Type and a unit of TR-181 that cannot both be right; `None` when they can.
pub(crate) fn contradiction(kind: &str, unit: &str) -> Option<String> {
    let (_, fitting) = UNITS_OF.iter().find(|(known, _)| *known == kind)?;
    if fitting.contains(&unit)
        || !super::UNITS.contains(&unit)
        || super::advice::suspicious(unit, kind).is_some()
    {
        return None;
    }
    let units = fitting.join(", ");
    let owners: Vec<&str> = owners(unit).collect();
    Some(match owners.as_slice() {
        [] => format!(
            "{kind} is measured in {units}; for another quantity write `type: Meter`, or a word of your own"
        ),
        owners => format!("{kind} is measured in {units}; `{unit}` belongs to {}", owners.join(", ")),
    })
}

/// The Types that are measured in a unit; Battery, of which there are many measures, is not what anybody looks for.
fn owners(unit: &str) -> impl Iterator<Item = &'static str> {
    let takes = move |kind: &str, units: &[&str]| kind != "Battery" && unit != "-" && units.contains(&unit);
    UNITS_OF.iter().filter(move |(kind, units)| takes(kind, units)).map(|(kind, _)| *kind)
}

#[cfg(test)]
mod tests {
    use super::super::{UNITS, types};
    use super::*;
    use crate::mapping::Class;

    #[test]
    fn the_table_has_words_of_tr181_alone() {
        for (kind, units) in UNITS_OF {
            let classes = [Class::LevelSensor, Class::MultiLevelSensor];
            assert!(classes.into_iter().any(|class| types(class).contains(kind)), "{kind}");
            assert!(units.iter().all(|unit| UNITS.contains(unit)), "{kind}");
        }
    }

    #[test]
    fn only_what_cannot_be_is_a_contradiction() {
        for (kind, unit) in [("Energy", "degC"), ("Temperature", "kWh"), ("Power", "-"), ("Humidity", "ppm")]
        {
            assert!(contradiction(kind, unit).is_some(), "{kind} {unit}");
        }
        for (kind, unit) in [
            ("Energy", "kWh"),
            ("Energy", "X_ACME_Joules"),
            ("Meter", "A"),
            ("Counter", "-"),
            ("X_ACME_Dose", "Sv"),
            ("Temperature", "C"),
        ] {
            assert_eq!(contradiction(kind, unit), None, "{kind} {unit}");
        }
    }
}
