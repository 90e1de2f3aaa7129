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
    Rights { roles: [Role { entries }].into(), all: false, secrets: false }
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
