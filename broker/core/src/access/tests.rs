//! The algebra of permissions, against small examples and against a naive reference.

use super::*;

fn rights(entries: &[(u32, &str, u8)]) -> Rights {
    let entry = |(order, target, bits): &(u32, &str, u8)| Entry {
        order: *order,
        targets: vec![Path::parse(target).unwrap()],
        param: Bits(*bits),
        obj: Bits(*bits),
        instantiated_obj: Bits(*bits),
        command_event: Bits(*bits),
    };
    let mut entries: Vec<Entry> = entries.iter().map(entry).collect();
    entries.sort_by_key(|e| std::cmp::Reverse(e.order));
    Rights::of(vec![Role { entries }], false)
}

#[test]
fn a_wildcard_is_allowed_only_where_every_row_is() {
    let exact = rights(&[(1, "Device.X_Lamp.", 15), (2, "Device.X_Lamp.Zone.1.", 8)]);
    let may = |act, path: &str| exact.allow_path(Kind::Param, act, &Path::parse(path).unwrap());
    assert!(may(Act::Write, "Device.X_Lamp.Zone.2.Level"));
    for path in
        ["Device.X_Lamp.Zone.1.Level", "Device.X_Lamp.Zone.*.Level", "Device.X_Lamp.Zone.[A==1].Level"]
    {
        assert!(!may(Act::Write, path), "{path}");
        assert!(may(Act::Read, path), "{path}");
    }
    assert!(may(Act::Write, "Device.X_Lamp.Mode"));
    let more = rights(&[(1, "Device.X_Lamp.", 8), (2, "Device.X_Lamp.Zone.1.", 15)]);
    let path = Path::parse("Device.X_Lamp.Zone.*.Level").unwrap();
    assert!(!more.allow_path(Kind::Param, Act::Write, &path));
}

#[test]
fn permission_strings_have_each_letter_in_its_place() {
    assert_eq!(Bits::parse("rwxn"), Some(Bits::ALL));
    assert_eq!(Bits::parse("r--n"), Some(Bits(0b1001)));
    for wrong in ["", "r", "wr--", "rwxnn", "x---"] {
        assert_eq!(Bits::parse(wrong), None, "{wrong}");
    }
}

#[path = "../../tests/core/bench/letters.rs"]
mod letters;

use letters::{Line, letters};
use proptest::prelude::*;

const KINDS: [Kind; 4] = [Kind::Param, Kind::Obj, Kind::InstantiatedObj, Kind::CommandEvent];
const ACTS: [(Act, char); 4] = [(Act::Read, 'r'), (Act::Write, 'w'), (Act::Execute, 'x'), (Act::Notify, 'n')];

/// A path of a small model, cut at some step: `Device.T.2.S.*.P`.
fn path_text(rows: &'static [&'static str]) -> impl Strategy<Value = String> {
    let row = || prop::sample::select(rows);
    let leaf = prop::sample::select(vec!["P", "Q"]);
    (row(), row(), leaf, 0..7_usize).prop_map(|(first, second, leaf, cut)| match cut {
        0 => "Device.".to_owned(),
        1 => "Device.T.".to_owned(),
        2 => format!("Device.T.{first}."),
        3 => format!("Device.T.{first}.{leaf}"),
        4 => format!("Device.T.{first}.S."),
        5 => format!("Device.T.{first}.S.{second}."),
        _ => format!("Device.T.{first}.S.{second}.{leaf}"),
    })
}

fn line(rows: &'static [&'static str]) -> impl Strategy<Value = Line> {
    let target = (path_text(rows), any::<bool>());
    let target = target.prop_map(|(text, bare)| match bare && text != "Device." {
        true => text.trim_end_matches('.').to_owned(),
        false => text,
    });
    (0..20_u32, prop::collection::vec(target, 1..3), "[r-][w-][x-][n-]")
        .prop_map(|(order, targets, letters)| Line { order, targets, letters })
}

fn role() -> impl Strategy<Value = Vec<Line>> {
    role_of(&["1", "2", "3", "*"])
}

/// The same with expressions.
fn open_role() -> impl Strategy<Value = Vec<Line>> {
    role_of(&["1", "2", "*", "[P==1]"])
}

/// Order is a unique key.
fn role_of(rows: &'static [&'static str]) -> impl Strategy<Value = Vec<Line>> {
    prop::collection::vec(line(rows), 0..6).prop_map(|mut lines| {
        for (index, line) in lines.iter_mut().enumerate() {
            line.order = line.order * 10 + u32::try_from(index).unwrap();
        }
        lines
    })
}

fn compiled(roles: &[Vec<Line>]) -> Rights {
    let entry = |line: &Line| {
        let bits = Bits::parse(&line.letters).unwrap();
        Entry {
            order: line.order,
            targets: line.targets.iter().flat_map(|t| parse_target(t)).collect(),
            param: bits,
            obj: bits,
            instantiated_obj: bits,
            command_event: bits,
        }
    };
    let role = |lines: &Vec<Line>| {
        let mut entries: Vec<Entry> = lines.iter().map(entry).collect();
        entries.sort_by_key(|e| std::cmp::Reverse(e.order));
        Role { entries }
    };
    let roles: Vec<Role> = roles.iter().map(role).collect();
    Rights::of(roles, false)
}

/// What a written path means, with rows 1 to 4: more than any target names.
fn meant(written: &str) -> Vec<String> {
    match written.split_once('*') {
        None => vec![written.to_owned()],
        Some((before, after)) => (1..5).flat_map(|n| meant(&format!("{before}{n}{after}"))).collect(),
    }
}

/// Each row that an open Target could mean, or not, as chance has it.
fn some_meaning(rights: &Rights, mut chance: u64) -> Meanings {
    let mut meanings = Meanings::new();
    for target in rights.open.iter() {
        let object = Path { leaf: Leaf::Object, ..target.clone() }.to_string();
        let objects = meant(&object.replace("[P==1]", "*")).into_iter().filter(|_| {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            chance >> 63 == 1
        });
        let objects = objects.map(|object| Path::parse(&object).unwrap().segments).collect();
        meanings.insert(target.segments.clone(), meaning::Meaning::new(objects, BTreeSet::new()));
    }
    meanings
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_concrete_path_has_the_letters_that_its_rows_say(
        roles in prop::collection::vec(role(), 1..4), path in path_text(&["1", "2", "3"])
    ) {
        let (rights, expected) = (compiled(&roles), letters(&roles, &path));
        let parsed = Path::parse(&path).unwrap();
        for kind in KINDS {
            for (act, letter) in ACTS {
                prop_assert_eq!(rights.allow_path(kind, act, &parsed), expected.contains(letter), "{} {}", path, letter);
            }
        }
    }

    #[test]
    fn a_wildcard_never_gives_more_than_every_row_and_somewhere_never_less_than_some(
        roles in prop::collection::vec(role(), 1..4), path in path_text(&["1", "2", "*"])
    ) {
        let (rights, parsed) = (compiled(&roles), Path::parse(&path).unwrap());
        for (act, letter) in ACTS {
            let rows: Vec<bool> = meant(&path).iter().map(|p| letters(&roles, p).contains(letter)).collect();
            if rights.allow_path(Kind::Param, act, &parsed) {
                prop_assert!(rows.iter().all(|allowed| *allowed), "{path} {letter}");
            }
            if rows.iter().any(|allowed| *allowed) {
                prop_assert!(rights.allow_somewhere(Kind::Param, act, &parsed), "{path} {letter}");
            }
            if !path.contains('*') {
                prop_assert_eq!(rights.allow_somewhere(Kind::Param, act, &parsed), rows[0], "{} {}", path, letter);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_is_undecided_allows_nothing_that_some_meaning_forbids(
        roles in prop::collection::vec(open_role(), 1..3),
        path in path_text(&["1", "2", "3", "*"]),
        chance in any::<u64>(),
    ) {
        let rights = compiled(&roles);
        let known = Rights { known: Arc::new(some_meaning(&rights, chance)), ..rights.clone() };
        let parsed = Path::parse(&path).unwrap();
        for (act, letter) in ACTS {
            let undecided = rights.allow_path(Kind::Param, act, &parsed);
            let decided = known.allow_path(Kind::Param, act, &parsed);
            prop_assert!(decided || !undecided, "{} {}", path, letter);
            for row in meant(&path) {
                let of_row = known.allow_path(Kind::Param, act, &Path::parse(&row).unwrap());
                prop_assert!(of_row || !decided, "{} of {} {}", row, path, letter);
            }
        }
    }
}
