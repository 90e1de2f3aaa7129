//! Words that people look for in TR-181 and do not find there, and what to write instead.

/// Multiples and relatives of TR-181's units: what to write, and by how much `scale` is to be multiplied.
const MULTIPLES: &[(&str, &str, &str)] = &[
    ("mW", "W", "0.001"),
    ("kW", "W", "1000"),
    ("MW", "W", "1000000"),
    ("MWh", "kWh", "1000"),
    ("GWh", "kWh", "1000000"),
    ("mA", "A", "0.001"),
    ("kA", "A", "1000"),
    ("mV", "V", "0.001"),
    ("kV", "V", "1000"),
    ("kHz", "Hz", "1000"),
    ("MHz", "Hz", "1000000"),
    ("mHz", "Hz", "0.001"),
    ("hPa", "Pa", "100"),
    ("mbar", "Pa", "100"),
    ("kPa", "Pa", "1000"),
    ("bar", "Pa", "100000"),
    ("kohm", "ohm", "1000"),
    ("kΩ", "ohm", "1000"),
    ("mohm", "ohm", "0.001"),
    ("kJ", "J", "1000"),
    ("MJ", "J", "1000000"),
    ("ppb", "ppm", "0.001"),
    ("µm", "mm", "0.001"),
    ("um", "mm", "0.001"),
    ("dm", "cm", "10"),
    ("hl", "l", "100"),
    ("dl", "l", "0.1"),
    ("t", "kg", "1000"),
    ("day", "h", "24"),
    ("days", "h", "24"),
    ("d", "h", "24"),
    ("us", "ms", "0.001"),
    ("µs", "ms", "0.001"),
    ("klx", "lx", "1000"),
    ("kN", "N", "1000"),
    ("µS", "S", "0.000001"),
    ("uS", "S", "0.000001"),
    ("mS", "S", "0.001"),
    ("Ah", "C", "3600"),
    ("mAh", "C", "3.6"),
    ("psi", "Pa", "6894.757293168"),
    ("gal", "l", "3.785411784"),
    ("ft", "m", "0.3048"),
    ("in", "mm", "25.4"),
    ("lb", "kg", "0.45359237"),
    ("BTU", "Wh", "0.29307107"),
];

/// Units that TR-181 has nothing for, and why no other will do.
const WITHOUT: &[(&str, &str)] = &[
    ("VA", "apparent power"),
    ("kVA", "apparent power"),
    ("var", "reactive power"),
    ("kvar", "reactive power"),
    ("VAh", "apparent energy"),
    ("kVAh", "apparent energy"),
    ("varh", "reactive energy"),
    ("kvarh", "reactive energy"),
    ("m3/h", "a flow by the hour"),
    ("m³/h", "a flow by the hour"),
    ("l/h", "a flow by the hour"),
    ("l/min", "a flow by the minute"),
    ("km/h", "a speed by the hour"),
    ("µg/m3", "a mass in a volume"),
    ("µg/m³", "a mass in a volume"),
    ("ug/m3", "a mass in a volume"),
    ("mg/m3", "a mass in a volume"),
    ("mg/l", "a mass in a volume"),
    ("g/m3", "a mass in a volume"),
    ("W/m2", "irradiance"),
    ("W/m²", "irradiance"),
    ("pH", "acidity"),
    ("µS/cm", "the conductivity of a substance"),
    ("uS/cm", "the conductivity of a substance"),
    ("mS/cm", "the conductivity of a substance"),
    ("S/m", "the conductivity of a substance"),
];

/// Prefixes of SI, and the factor of each.
const PREFIXES: &[(&str, &str)] = &[
    ("n", "0.000000001"),
    ("µ", "0.000001"),
    ("μ", "0.000001"),
    ("u", "0.000001"),
    ("m", "0.001"),
    ("k", "1000"),
    ("M", "1000000"),
    ("G", "1000000000"),
];

/// Units of TR-181 that are used with such prefixes.
const PREFIXED: &[&str] = &[
    "Wh", "W", "A", "Hz", "V", "N", "Pa", "C", "F", "ohm", "S", "Wb", "T", "H", "lm", "lx", "cd", "mol",
    "Sv", "J", "g", "m", "l", "s", "K", "eV",
];

/// Quantities that TR-181 has no Type for, and the Type of what measures them.
const TYPES: &[(&str, &str)] = &[
    ("Voltage", "Meter"),
    ("Current", "Meter"),
    ("Frequency", "Meter"),
    ("PowerFactor", "Meter"),
    ("Power factor", "Meter"),
    ("ApparentPower", "Meter"),
    ("ReactivePower", "Meter"),
    ("ReactiveEnergy", "Meter"),
    ("Charge", "Battery"),
    ("StateOfCharge", "Battery"),
    ("SoC", "Battery"),
    ("CO2", "Concentration"),
    ("VOC", "Concentration"),
    ("Illuminance", "Luminance"),
    ("Irradiance", "Radiation"),
    ("Angle", "Position"),
    ("Gas", "Volume"),
    ("Mass", "Weight"),
    ("Time", "Duration"),
    ("Count", "Counter"),
    ("Rotation", "Speed"),
];

/// The Type for a quantity that TR-181 has none for, if it belongs to the class.
pub(crate) fn kind(given: &str, types: &[&str]) -> Option<&'static str> {
    let found = TYPES.iter().find(|(other, _)| other.eq_ignore_ascii_case(given));
    found.map(|(_, kind)| *kind).filter(|kind| types.contains(kind))
}

/// The unit of TR-181 that this one is a multiple of, and the factor. Its capitals may be others where that can mean
/// nothing else: `KW` can, `mw` and `US` cannot.
pub(crate) fn multiple(given: &str) -> Option<(&'static str, &'static str)> {
    let exact = MULTIPLES.iter().find(|(other, ..)| *other == given);
    exact.or_else(|| in_other_letters(given)).map(|(_, own, factor)| (*own, *factor))
}

fn in_other_letters(given: &str) -> Option<&'static (&'static str, &'static str, &'static str)> {
    // A thousandth and a million are told apart by the capital alone.
    if given.starts_with(['m', 'M']) || given.chars().count() < 2 || super::UNITS.contains(&given) {
        return None;
    }
    let mut alike = MULTIPLES.iter().filter(|(other, ..)| other.eq_ignore_ascii_case(given));
    alike.next().filter(|_| alike.next().is_none())
}

/// What to do about a unit that TR-181 does not have, and is not misspelt.
pub(crate) fn unit(given: &str) -> Option<String> {
    if let Some((own, factor)) = multiple(given).or_else(|| prefixed(given)) {
        let kept = match given {
            "Ah" | "mAh" => format!(", or keep it as a word of your own: `X_VENDOR_{given}`"),
            _ => String::new(),
        };
        return Some(format!(
            "write `unit: {own}` and multiply `scale` by {factor} (where there is none, `scale: {factor}`), \
             and `min`, `max`, `step` and the like too{kept}"
        ));
    }
    let (_, what) = WITHOUT.iter().find(|(other, _)| other.eq_ignore_ascii_case(given))?;
    Some(format!("TR-181 has no unit for {what}; write one of your own, such as `{}`", own_word(given)))
}

/// A prefix of SI before a unit of TR-181.
fn prefixed(given: &str) -> Option<(&'static str, &'static str)> {
    PREFIXES.iter().find_map(|(prefix, factor)| {
        let rest = given.strip_prefix(prefix)?;
        PREFIXED.iter().find(|unit| **unit == rest).map(|unit| (*unit, *factor))
    })
}

/// Whether a word can only be another spelling of this unit. A unit of a similar spelling may be another quantity, or
/// larger by a factor: `Mg` is no `mg`, and a single letter may stand for much.
pub(crate) fn is_spelling(given: &str, unit: &str) -> bool {
    let alone = given.chars().count() == 1;
    let ambiguous = match given
        .strip_prefix(['m', 'M'])
        .filter(|_| !unit.starts_with(given.get(..1).unwrap_or_default()))
    {
        Some(rest) => super::UNITS.iter().any(|known| known.eq_ignore_ascii_case(rest)),
        None => false,
    };
    given.eq_ignore_ascii_case(unit) && !ambiguous && (!alone || ["V", "W", "A", "J", "l"].contains(&unit))
}

/// What to do about a unit that TR-181 has, but hardly for this `Type`.
pub(crate) fn suspicious(unit: &str, kind: &str) -> Option<(&'static str, &'static str)> {
    match unit {
        "C" if kind == "Temperature" => Some(("`C` is coulomb", "degC")),
        "F" if kind == "Temperature" => Some(("`F` is farad", "degF")),
        "S" if kind == "Duration" => Some(("`S` is siemens", "s")),
        "H" if kind == "Duration" => Some(("`H` is henry", "h")),
        _ => None,
    }
}

/// The word as a vendor's own one: `X_VENDOR_…`. One that was meant as such only gets the capitals that it lacks.
pub(crate) fn own_word(given: &str) -> String {
    let parts = given.strip_prefix("X_").or_else(|| given.strip_prefix("x_"));
    if let Some((vendor, name)) = parts.and_then(|rest| rest.split_once('_')) {
        return format!("X_{}_{}", clean(vendor).to_uppercase(), clean(name));
    }
    let name = clean(given.trim_start_matches("X_"));
    let name = if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name } else { "Name".to_owned() };
    format!("X_VENDOR_{name}")
}

fn clean(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect()
}

#[cfg(test)]
mod tests {
    use super::super::{UNITS, is_vendor_word};
    use super::*;
    use crate::value::parse_decimal;

    #[test]
    fn what_is_advised_is_admitted() {
        for (other, own, factor) in MULTIPLES {
            assert!(UNITS.contains(own) && !UNITS.contains(other), "{other}");
            assert!(parse_decimal(factor).is_ok(), "{other}");
        }
        for (other, _) in WITHOUT {
            assert!(!UNITS.contains(other) && is_vendor_word(&own_word(other)), "{other}");
        }
    }

    #[test]
    fn only_another_spelling_is_certain() {
        for (given, unit) in
            [("KWh", "kWh"), ("PA", "Pa"), ("v", "V"), ("L", "l"), ("MIN", "min"), ("mL", "ml")]
        {
            assert!(is_spelling(given, unit), "{given}");
        }
        for (given, unit) in
            [("t", "T"), ("ML", "ml"), ("MM", "mm"), ("c", "C"), ("MWh", "kWh"), ("kWhh", "kWh")]
        {
            assert!(!is_spelling(given, unit), "{given}");
        }
    }

    #[test]
    fn multiples_are_known_in_other_capitals_where_nothing_else_has_them() {
        for (given, own) in
            [("kW", "W"), ("KW", "W"), ("kw", "W"), ("KHZ", "Hz"), ("HPA", "Pa"), ("btu", "Wh")]
        {
            assert_eq!(multiple(given).map(|(own, _)| own), Some(own), "{given}");
        }
        for given in ["mw", "Mw", "US", "T", "W", "kWh", "KWH", "D"] {
            assert_eq!(multiple(given), None, "{given}");
        }
        assert!(
            unit("KW")
                .is_some_and(|advice| advice.starts_with("write `unit: W` and multiply `scale` by 1000"))
        );
    }

    #[test]
    fn prefixes_of_si_are_factors() {
        for (given, factor) in [("mWh", "0.001"), ("µA", "0.000001"), ("MPa", "1000000"), ("Mm", "1000000")]
        {
            assert_eq!(prefixed(given).map(|(_, factor)| factor), Some(factor), "{given}");
        }
        assert_eq!((prefixed("min"), prefixed("VA"), prefixed("")), (None, None, None));
    }

    #[test]
    fn a_word_of_ones_own_is_one() {
        for (given, expected) in [
            ("Voltage", "X_VENDOR_Voltage"),
            ("X_acme_Voltage", "X_ACME_Voltage"),
            ("x_acme_Voltage", "X_ACME_Voltage"),
            ("X_Voltage", "X_VENDOR_Voltage"),
            ("m3/h", "X_VENDOR_m3h"),
            ("%", "X_VENDOR_Name"),
        ] {
            assert_eq!(own_word(given), expected);
            assert!(is_vendor_word(&own_word(given)), "{given}");
        }
    }
}
