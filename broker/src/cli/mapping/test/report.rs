//! What came of a file's tests, for people.

use super::run::{Cells, Held, Ran, Tested, Texts};
use crate::cli::table::{Cell, Screen, Table, Tone};

/// The report: failures with all that was given, passes on demand, what has no test. Several files end with a table.
pub(super) fn text(ran: &[Ran], verbose: bool, screen: Screen) -> String {
    let [one] = ran else {
        let shown = ran.iter().filter(|one| verbose || one.failed() > 0);
        let each: String = shown.map(|one| file(one, verbose, screen) + "\n").collect();
        return each + &table(ran).render(screen);
    };
    file(one, verbose, screen)
}

fn table(ran: &[Ran]) -> Table {
    let mut table =
        Table::new(&["file", "tests", "failed", "readings tested", "writes tested"]).numbers(&[1, 2]);
    for one in ran {
        let failed = match one.failed() {
            0 => Cell::toned(Tone::Good, "0"),
            failed => Cell::toned(Tone::Bad, failed.to_string()),
        };
        let share = |all: usize, missing: &[String]| match (all, missing.len()) {
            (0, _) => Cell::from(""),
            (all, 0) => format!("all {all}").into(),
            (all, missing) => Cell::toned(Tone::Warning, format!("{} of {all}", all - missing)),
        };
        let (reads, writes) =
            (share(one.readable, &one.untested.read), share(one.writable, &one.untested.write));
        table.row([one.file.clone().into(), one.tests.len().to_string().into(), failed, reads, writes]);
    }
    table
}

/// The report of one file.
fn file(ran: &Ran, verbose: bool, screen: Screen) -> String {
    let title = format!("{}: {} {}", ran.file, ran.profile, ran.version);
    let mut out = format!("{}\n", screen.paint(Tone::Strong, &title));
    for test in ran.tests.iter().filter(|test| verbose || !test.ok) {
        one(test, screen, &mut out);
    }
    out += &format!("  {}; {}\n", counted(ran.passed(), ran.failed()), coverage(ran));
    hint("reads", &ran.untested.read, screen, &mut out);
    hint("writes", &ran.untested.write, screen, &mut out);
    hint("runs", &ran.untested.commands, screen, &mut out);
    hint("sees", &ran.untested.events, screen, &mut out);
    out
}

/// The sum of tests.
fn counted(passed: usize, failed: usize) -> String {
    match (passed + failed, failed) {
        (0, _) => "no tests".to_owned(),
        (1, 0) => "1 test passes".to_owned(),
        (all, 0) => format!("{all} tests pass"),
        (all, failed) => format!("{failed} of {all} tests {}", if failed == 1 { "fails" } else { "fail" }),
    }
}

fn coverage(ran: &Ran) -> String {
    let read = ran.readable - ran.untested.read.len();
    let reads = format!("{read} of {} readings tested", ran.readable);
    if ran.writable == 0 {
        return reads;
    }
    format!("{reads}, {} of {} writes", ran.writable - ran.untested.write.len(), ran.writable)
}

fn one(test: &Tested, screen: Screen, out: &mut String) {
    let verdict = if test.ok { screen.paint(Tone::Good, "ok  ") } else { screen.paint(Tone::Bad, "FAIL") };
    let given = given(test);
    let mut parts = Vec::new();
    let mut told = |text: String| parts.extend((!text.is_empty()).then_some(text));
    told(pairs(&test.expect, " = "));
    told(test.invalid.iter().map(|id| format!("{id} has no reading")).collect::<Vec<_>>().join(", "));
    if let Some(fires) = &test.fires {
        told(if fires.is_empty() { "no event".to_owned() } else { fires.join(", ") });
    }
    for (name, args) in &test.command {
        told(format!("{name}({}) sends {}", pairs(args, "="), held(&test.sends)));
    }
    if !test.write.is_empty() {
        let sends = if test.sends.is_empty() { "nothing".to_owned() } else { held(&test.sends) };
        told(format!("set {} sends {sends}", pairs(&test.write, " = ")));
    }
    if !test.refuses.is_empty() {
        told(format!("refuses {}", pairs(&test.refuses, " = ")));
    }
    let arrow = if given.is_empty() { "" } else { " → " };
    *out += &format!("  {verdict} line {}: {given}{arrow}{}\n", test.line, parts.join("; "));
    for missed in &test.failures {
        let place = format!("({}:{})", missed.line, missed.column);
        *out += &format!(
            "       {} {}\n",
            screen.paint(Tone::Bad, &missed.message),
            screen.paint(Tone::Faint, &place)
        );
    }
}

/// Parameters, and what the device holds and held before.
fn given(test: &Tested) -> String {
    let mut parts = Vec::new();
    if !test.params.is_empty() {
        parts.push(format!("with {}", pairs(&test.params, "=")));
    }
    if !test.before.is_empty() {
        parts.push(format!("{}, then", held(&test.before)));
    }
    parts.push(held(&test.holds));
    parts.join(" ").trim().to_owned()
}

/// Registers and messages.
fn held(held: &Held) -> String {
    let messages = held.messages.iter().map(|message| {
        let body = if message.body.is_empty() { "nothing" } else { &message.body };
        format!("{}: {body}", message.to)
    });
    let cells = cells(&held.cells);
    let cells = (!cells.is_empty()).then_some(cells);
    cells.into_iter().chain(messages).collect::<Vec<_>>().join(", ")
}

/// Registers in hexadecimal as on the wire, by table and runs of addresses: `input 0: 4366 3333`.
fn cells(cells: &Cells) -> String {
    let mut runs: Vec<String> = Vec::new();
    for (table, held) in cells {
        let bits = matches!(*table, "coil" | "discrete");
        let mut next = None;
        for (address, value) in held {
            let shown = if bits { value.to_string() } else { format!("{value:04x}") };
            match runs.last_mut().filter(|_| next == Some(*address)) {
                Some(run) => *run += &format!(" {shown}"),
                None => runs.push(format!("{table} {address}: {shown}")),
            }
            next = address.checked_add(1);
        }
    }
    runs.join(", ")
}

fn pairs(texts: &Texts, between: &str) -> String {
    texts.iter().map(|(id, text)| format!("{id}{between}{text}")).collect::<Vec<_>>().join(", ")
}

fn hint(what: &str, missing: &[String], screen: Screen, out: &mut String) {
    if !missing.is_empty() {
        let text = format!("hint: no test {what} {}", missing.join(", "));
        *out += &format!("  {}\n", screen.paint(Tone::Warning, &text));
    }
}

#[cfg(test)]
mod tests {
    use usp_mapping::diagnostic::SourceFile;
    use usp_mapping::draft::site::Use;
    use usp_mapping::site::NotFound;

    use super::super::run::{Outcome, run_file};
    use super::*;

    const FILE: &str = "uspmap: 1
profile: acme.valve
version: 1.0.0
device: {type: Motor}
capabilities:
  position: {class: LevelControl, type: Position, unit: \"%\", min: 0, max: 100, read: {holding: 0, scale: 0.5}, write: {}}
  closed: {class: BinarySensor, type: X_ACME_Closed, read: {input: 9, bits: 7}}
  flow: {class: LevelSensor, type: Flow, unit: l, read: {input: 10, as: f32}}
tests:
  - {holding: {0: 84}, input: {9: 0x0080}, expect: {position: 42, closed: true}}
  - {holding: {0: 84}, expect: {position: 43}}
  - {refuses: {position: 101}}
";

    fn nothing(_: &Use) -> Result<SourceFile, NotFound> {
        Err(NotFound::Profile { known: Vec::new() })
    }

    fn ran(text: &str) -> Ran {
        match run_file(&SourceFile::new("valve.yaml", text), &nothing) {
            Outcome::Ran(ran) => *ran,
            Outcome::Unusable(found) => panic!("{found:?}"),
        }
    }

    #[test]
    fn a_failure_shows_all_that_was_given() {
        let expected = "\
valve.yaml: acme.valve 1.0.0
  FAIL line 11: holding 0: 0054 → position = 43
       `position` reads 42, not 43 (11:43)
  1 of 3 tests fails; 2 of 3 readings tested, 0 of 1 writes
  hint: no test reads flow
  hint: no test writes position
";
        assert_eq!(text(&[ran(FILE)], false, Screen::plain()), expected);
    }

    /// Bytes that happen to be letters are bytes all the same.
    #[test]
    fn what_comes_over_the_air_is_shown_as_bytes() {
        let thing = "uspmap: 1
profile: acme.thing
version: 1.0.0
device: {type: Sensor}
ble: {}
capabilities:
  strength: {class: LevelSensor, type: X_ACME_Strength, unit: dBm, read: {rssi: true}}
  level: {class: LevelSensor, type: Battery, unit: \"%\", read: {char: \"2a19\", bytes: 0, as: u8}}
tests:
  - {chars: {\"2a19\": \"41\"}, adverts: {rssi: -63}, expect: {level: 65, strength: -63}}
";
        let report = text(&[ran(thing)], true, Screen::plain());
        assert!(report.contains("2a19: hex 41") && report.contains("rssi: -63"), "{report}");
    }

    #[test]
    fn several_values_are_a_reading_too() {
        let place = "  place: {class: MultiLevelSensor, type: Location, unit: deg, values: {A: {input: 20}, B: {input: 21}}}\ntests:";
        let report = text(&[ran(&FILE.replace("tests:", place))], false, Screen::plain());
        assert!(report.contains("2 of 4 readings tested"), "{report}");
        assert!(report.contains("hint: no test reads flow, place"), "{report}");
    }

    #[test]
    fn passes_are_shown_on_demand() {
        let text = text(&[ran(FILE)], true, Screen::plain());
        let first = "  ok   line 10: holding 0: 0054, input 9: 0080 → closed = true, position = 42\n";
        assert!(text.contains(first), "{text}");
        assert!(text.contains("  ok   line 12: refuses position = 101\n"), "{text}");
    }

    #[test]
    fn several_files_make_a_table() {
        let good = FILE.replace("position: 43", "position: 42");
        let text = text(&[ran(&good), ran(&good)], false, Screen::plain());
        let expected = "\
file        tests  failed  readings tested  writes tested
valve.yaml      3       0  2 of 3           0 of 1
valve.yaml      3       0  2 of 3           0 of 1
";
        assert_eq!(text, expected);
    }

    #[test]
    fn programs_get_the_same() {
        let json = serde_json::to_value(ran(FILE)).unwrap();
        assert_eq!((&json["ok"], &json["passed"], &json["failed"]), (&false.into(), &2.into(), &1.into()));
        assert_eq!(json["tests"][0]["holds"]["input"]["9"], 128);
        assert_eq!(json["tests"][1]["failures"][0]["message"], "`position` reads 42, not 43");
        assert_eq!(json["untested"]["read"][0], "flow");
    }

    #[test]
    fn what_is_wrong_otherwise_is_no_failed_test() {
        let broken = FILE.replace("unit: l", "unit: litres");
        assert!(
            matches!(run_file(&SourceFile::new("x.yaml", &broken), &nothing), Outcome::Unusable(found) if found.len() == 1)
        );
    }
}
