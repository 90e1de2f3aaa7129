use clap::Parser;
use usp_mapping::draft::site::Version;

use super::*;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    diff: Diff,
}

const OLD: &str = r#"uspmap: 1
profile: acme.meter
version: 1.2.0
device: {type: Meter}
poll: {fast: 1s, slow: 60s}
capabilities:
  voltage: {class: LevelSensor, type: Meter, unit: V, read: {input: 0, as: u32, scale: 0.1}, poll: fast}
  power: {class: LevelSensor, type: Power, unit: W, read: {input: 2, as: u32}, poll: fast}
  energy: {class: LevelSensor, type: Energy, unit: kWh, read: {input: 8, as: u32}, poll: slow}
  mode: {class: EnumControl, type: OperatingMode, read: {holding: 0, map: {0: Low, 1: High}}, write: {}, poll: slow}
"#;

/// The report about the old file and one in which these are replaced.
fn compared(changes: &[(&str, &str)]) -> Report {
    let place = tempfile::tempdir().unwrap();
    let new = changes.iter().fold(OLD.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    let path = |name: &str| place.path().join(name).display().to_string();
    std::fs::write(path("old.yaml"), OLD).unwrap();
    std::fs::write(path("new.yaml"), new).unwrap();
    let cli = Cli::try_parse_from(["diff", &path("old.yaml"), &path("new.yaml")]).unwrap();
    compare(&cli.diff).unwrap()
}

#[test]
fn a_change_is_told_whole() {
    let report = compared(&[
        ("version: 1.2.0", "version: 1.3.0"),
        ("  power:", "  power-total:"),
        (
            "unit: V, read: {input: 0, as: u32, scale: 0.1}",
            "unit: A, read: {input: 0, as: u32, scale: 0.001}",
        ),
        ("1: High}", "1: High, 2: Boost}"),
        ("slow: 60s", "slow: 30s"),
        ("input: 8", "input: 4"),
    ]);
    let expected = "\
acme.meter 1.2.0 → acme.meter 1.3.0
! capability power is now power-total: the row goes and another comes, with another Instance Number; to keep it, keep the key and change `name`
~ capability voltage
    unit: V → A
    read: input 0..1 u32 × 0.1 → input 0..1 u32 × 0.001
~ capability energy
    poll: slow (60000 ms) → slow (30000 ms)
    max age: 120s → 60s
    read: input 8..9 u32 → input 4..5 u32
~ capability mode
    values: Low, High → Low, High, Boost
    poll: slow (60000 ms) → slow (30000 ms)
    max age: 120s → 60s
    read: holding 0 u16 {0: Low, 1: High} → holding 0 u16 {0: Low, 1: High, 2: Boost}
    write: holding 0 u16 {0: Low, 1: High} by SingleRegister, verified within 1000 ms, dropped after 5000 ms → \
holding 0 u16 {0: Low, 1: High, 2: Boost} by SingleRegister, verified within 1000 ms, dropped after 5000 ms
Polls
  slow: every 60s, 2 requests, 72.7 ms → every 30s, 2 requests, 72.7 ms
    - 01 04 00 08 00 02 f0 09 (read input 8..9)
    + 01 04 00 04 00 02 30 0a (read input 4..5)
the change is major: the version must be at least 2.0.0
";
    assert_eq!(text::text(&report, Screen::plain()), expected);
}

#[test]
fn each_change_needs_its_version() {
    let energy =
        "  energy: {class: LevelSensor, type: Energy, unit: kWh, read: {input: 8, as: u32}, poll: slow}\n";
    for (from, to, needs) in [
        ("device: {type: Meter}", "device: {type: Meter, description: \"A meter\"}", Bump::Patch),
        ("input: 8", "input: 10", Bump::Patch),
        (energy, "", Bump::Major),
        ("type: Energy", "type: Counter", Bump::Major),
        ("{0: Low, 1: High}", "{0: Low, 1: High, 2: Boost}", Bump::Minor),
        ("{0: Low, 1: High}", "{0: Low, 1: Boost}", Bump::Major),
        ("class: EnumControl, type: OperatingMode", "class: EnumSensor, type: OperatingState", Bump::Major),
    ] {
        let to = to.to_owned();
        let mut changes = vec![(from, to.as_str())];
        if to.contains("EnumSensor") {
            changes.push((" write: {},", ""));
        }
        assert_eq!(compared(&changes).version.needs, needs, "{from} → {to}");
    }
    let more =
        format!("{energy}  current: {{class: LevelSensor, type: Meter, unit: A, read: {{input: 12}}}}\n");
    let report = compared(&[(energy, &more)]);
    assert_eq!((report.version.needs, report.version.least.as_str()), (Bump::Minor, "1.3.0"));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        (&json["changes"][0]["change"], &json["changes"][0]["instance"]),
        (&"added".into(), &"new".into())
    );
    let same = compared(&[]);
    assert!(same.version.fits && same.changes.is_empty());
}

#[test]
fn version_numbers_say_what_a_change_does() {
    for (needs, old, new, fits) in [
        (Bump::None, (1, 0, 0), (1, 0, 0), true),
        (Bump::Patch, (1, 0, 0), (1, 0, 0), false),
        (Bump::Patch, (1, 0, 0), (1, 0, 1), true),
        (Bump::Minor, (1, 0, 0), (1, 0, 1), false),
        (Bump::Minor, (1, 0, 0), (1, 1, 0), true),
        (Bump::Major, (1, 0, 0), (1, 1, 0), false),
        (Bump::Major, (1, 0, 0), (2, 0, 0), true),
        (Bump::Major, (0, 3, 0), (0, 4, 0), true),
        (Bump::Minor, (0, 3, 0), (0, 3, 1), true),
        (Bump::Major, (0, 3, 0), (0, 3, 1), false),
        (Bump::None, (1, 1, 0), (1, 0, 0), false),
    ] {
        let version = |(major, minor, patch)| Version(major, minor, patch);
        assert_eq!(verdict(needs, version(old), version(new)).fits, fits, "{needs:?} {old:?} {new:?}");
    }
}
