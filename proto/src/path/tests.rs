use super::*;

fn path(text: &str) -> Path {
    Path::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

#[test]
fn canonical_text_is_given_back() {
    for text in [
        "Device.",
        "Device.Boot!",
        "Device.Reboot()",
        "Device.DeviceInfo.SoftwareVersion",
        "Device.IP.Interface.",
        "Device.IP.Interface.3.",
        "Device.IP.Interface.3.Reset()",
        "Device.IP.Interface.*.IPv4Address.1.",
        "Device.WiFi.SSID.4294967295.Enable",
        "Device.LocalAgent.Subscription.*.NotifExpiration",
        "Device.IP.Interface.[Alias==\"lan\"].",
        "Device.NAT.PortMapping.[RemoteHost==\"\"&&ExternalPort==0&&Protocol==\"TCP\"].",
        "Device.IP.Interface.[Type==\"Normal\"&&Stats.ErrorsSent>0].IPv4Address.[AddressingType==\"Static\"].IPAddress",
        "Device.WiFi.AccessPoint.[SSIDReference+.SSID==\"x\"].AssociatedDevice.",
        "Device.WiFi.AccessPoint.1.SSIDReference+.SSID",
        "Device.IP.Interface.1.LowerLayers#2+.Enable",
        "Device.IP.Interface.1.LowerLayers#*+.",
        "Device.A.[Enable==true].",
        "Device.A.[ValidLifetime<2021-06-06T08:00:00Z].",
        "Device.A.[DeviceClass==08].",
        "Device.A.[X!=-1.5&&Y<=+3&&Z>=0123&&L~=\"a]b.c\"&&C==FF].",
        "Device.A.[B.C#*+.D~=1].",
        "Device.A.[N==\"say %22hi%22 100%25\"].",
        "Device.X_USPBROKER_Thing.1.X_ACME-COM_Value",
        "Device.MQTT.Client.[Alias==\"\"].Connect!",
    ] {
        assert_eq!(path(text).to_string(), text);
    }
}

#[test]
fn spaces_around_operators_are_tolerated() {
    let spaced = path("Device.A.[ B == \"x\" && C <\t3 ].");
    assert_eq!(spaced.to_string(), "Device.A.[B==\"x\"&&C<3].");
}

#[test]
fn the_parts_are_what_they_look_like() {
    let read = path("Device.WiFi.SSID.2.LowerLayers#3+.Stats.Reset()");
    assert_eq!(read.leaf, Leaf::Command(name("Reset")));
    assert_eq!(
        read.object(),
        [
            Segment::Name(name("Device")),
            Segment::Name(name("WiFi")),
            Segment::Name(name("SSID")),
            Segment::Instance(2),
            Segment::Name(name("LowerLayers")),
            Segment::Follow(ListItem::Nth(3)),
            Segment::Name(name("Stats")),
        ]
    );
    let read = path("Device.A.[B+.C~=\"%2522\"].");
    let Some(Segment::Search(Expression(components))) = read.segments.last() else { panic!("{read:?}") };
    let expected = Component {
        objects: vec![(name("B"), Some(ListItem::First))],
        parameter: name("C"),
        operator: Operator::Contains,
        value: Literal { text: "%22".into(), quoted: true },
    };
    assert_eq!(components, &[expected]);
}

#[test]
fn errors_tell_where_and_what() {
    for (text, message) in [
        ("", "the path is empty (at byte 0)"),
        ("Device", "the path ends too early, expected `.` (at byte 6)"),
        (".", "expected a name (a letter or `_`, then letters, digits, `_`) (at byte 0)"),
        ("Device..", "expected a name (a letter or `_`, then letters, digits, `_`) (at byte 7)"),
        ("Device.1.", "a number, `*` or `[…]` must stand behind the name of a table (at byte 7)"),
        ("Device.A.1.2.", "a number, `*` or `[…]` must stand behind the name of a table (at byte 11)"),
        ("Device.A.0.", "a number must be from 1 to 4294967295, without leading zeros (at byte 9)"),
        ("Device.A.01.", "a number must be from 1 to 4294967295, without leading zeros (at byte 9)"),
        ("Device.A.4294967296.", "a number must be from 1 to 4294967295, without leading zeros (at byte 9)"),
        ("Device.A.1", "the path ends too early, expected `.` (at byte 10)"),
        ("Device.A.*", "the path ends too early, expected `.` (at byte 10)"),
        ("Device.A.1x.", "expected `.` (at byte 10)"),
        ("Device.A.{i}.", "expected a name (a letter or `_`, then letters, digits, `_`) (at byte 9)"),
        ("Device.A-B.", "`-` is allowed in vendor names (`X_…`) alone (at byte 8)"),
        ("Device.Ä.", "expected a name (a letter or `_`, then letters, digits, `_`) (at byte 7)"),
        ("Device.A.[].", "expected a name (a letter or `_`, then letters, digits, `_`) (at byte 10)"),
        ("Device.A.[B].", "expected one of == != ~= < > <= >= (at byte 11)"),
        (
            "Device.A.[B==].",
            "the constant is no number, boolean, dateTime or hexBinary; text must stand in double quotes (at byte 13)",
        ),
        (
            "Device.A.[B==lan].",
            "the constant is no number, boolean, dateTime or hexBinary; text must stand in double quotes (at byte 13)",
        ),
        ("Device.A.[B==\"lan].", "the path ends too early, expected `\"` (at byte 19)"),
        ("Device.A.[B==1||C==2].", "expected `&&` or `]` (at byte 14)"),
        ("Device.A.[B==1", "the path ends too early, expected `&&` or `]` (at byte 14)"),
        ("Device.A.[B.1.C==1].", "expected a name (a letter or `_`, then letters, digits, `_`) (at byte 12)"),
        ("Device.A.1+.B", "a reference is followed (`+`) behind the name of a Parameter alone (at byte 10)"),
        ("Device+.B", "expected `.` (at byte 6)"),
        ("Device.A#0+.B", "a number must be from 1 to 4294967295, without leading zeros (at byte 9)"),
        ("Device.A#1.B", "expected `+` (at byte 10)"),
        ("Device.A+.1.", "a number, `*` or `[…]` must stand behind the name of a table (at byte 10)"),
        ("Device.A().B", "nothing may follow a Command (at byte 10)"),
        ("Device.A(", "the path ends too early, expected `)` (at byte 9)"),
        ("Device.A!B", "nothing may follow an Event (at byte 9)"),
        ("Device.A B", "expected `.` (at byte 8)"),
        (" Device.", "expected a name (a letter or `_`, then letters, digits, `_`) (at byte 0)"),
    ] {
        assert_eq!(Path::parse(text).expect_err(text).to_string(), message, "{text}");
    }
}

#[test]
fn length_and_depth_are_bounded() {
    let deep = format!("Device.{}", "A.".repeat(MAX_DEPTH));
    assert_eq!(Path::parse(&deep).unwrap_err().kind, PathErrorKind::TooDeep);
    assert_eq!(SupportedPath::parse(&deep).unwrap_err().kind, PathErrorKind::TooDeep);
    assert!(Path::parse(&format!("Device.{}", "A.".repeat(MAX_DEPTH - 1))).is_ok());
    let long = format!("Device.{}", "A".repeat(MAX_LENGTH));
    assert_eq!(Path::parse(&long).unwrap_err().kind, PathErrorKind::TooLong);
    let relative = "A.".repeat(MAX_DEPTH + 1);
    assert_eq!(RelativeParam::parse(&relative).unwrap_err().kind, PathErrorKind::TooDeep);
}

#[test]
fn search_paths_are_told_from_addresses() {
    assert!(path("Device.A.*.").is_search());
    assert!(path("Device.A.[B==1].C").is_search());
    assert!(path("Device.A.1.B+.C").is_search());
    assert!(!path("Device.A.1.B").is_search());
}

#[test]
fn paths_relate_to_the_supported_data_model() {
    let supported = |text| path(text).to_supported().map(|p| p.to_string());
    assert_eq!(supported("Device.A.1.B.*.C.[D==1].E").as_deref(), Some("Device.A.{i}.B.{i}.C.{i}.E"));
    assert_eq!(supported("Device.A.B()").as_deref(), Some("Device.A.B()"));
    assert_eq!(supported("Device.A.1.B+.C"), None);
}

#[test]
fn references_may_lack_the_last_dot() {
    let row = path("Device.IP.Interface.1.");
    assert_eq!(Path::parse_reference("Device.IP.Interface.1"), Ok(row.clone()));
    assert_eq!(Path::parse_reference("Device.IP.Interface.1."), Ok(row.clone()));
    assert_eq!(Path::parse_reference("Device.IP.Interface.[Alias==\"a.b\"]").unwrap().leaf, Leaf::Object);
    assert_eq!(row.to_reference(), "Device.IP.Interface.1");
    assert_eq!(path("Device.IP.Interface.1.Enable").to_reference(), "Device.IP.Interface.1");
    assert!(Path::parse_reference("").is_err());
    assert!(Path::parse_reference("Device.A()").is_err());
}

#[test]
fn supported_paths_are_given_back() {
    for text in [
        "Device.",
        "Device.IP.Interface.{i}.",
        "Device.IP.Interface.{i}.IPv4Address.{i}.IPAddress",
        "Device.ProxiedDevice.3.Node.{i}.",
        "Device.SoftwareModules.InstallDU()",
        "Device.LocalAgent.Subscription.{i}.Triggered!",
    ] {
        assert_eq!(SupportedPath::parse(text).unwrap().to_string(), text);
    }
    for text in [
        "Device",
        "Device.{i}.",
        "Device.A.{i}.{i}.",
        "Device.A.{j}.",
        "Device.A.*.",
        "Device.A.[B==1].",
        "Device.A.{i}",
    ] {
        assert!(SupportedPath::parse(text).is_err(), "{text}");
    }
}

#[test]
fn services_register_paths_without_rows() {
    let registrable = |text| SupportedPath::parse(text).unwrap().is_registrable();
    assert!(
        registrable("Device.WiFi.")
            && registrable("Device.WiFi.Reset()")
            && registrable("Device.Time.Enable")
    );
    assert!(!registrable("Device.WiFi.SSID.{i}.") && !registrable("Device.WiFi.SSID.1."));
}

#[test]
fn settings_name_parameters_by_relative_paths() {
    let nested = RelativeParam::parse("Stats.Sub.Value").unwrap();
    assert_eq!((nested.objects.len(), nested.parameter.as_str()), (2, "Value"));
    assert_eq!(nested.to_string(), "Stats.Sub.Value");
    assert!(RelativeParam::parse("Enable").unwrap().objects.is_empty());
    for bad in ["", "Stats.", ".Enable", "A.1.B", "A()", "A!", "A.*.B", "A+.B"] {
        assert!(RelativeParam::parse(bad).is_err(), "{bad}");
    }
}
