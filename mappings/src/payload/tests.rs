//! What comes out of bodies, and that nothing that comes in does harm.

use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;
use crate::port::DeviceFault;
use crate::transform::Raw;

fn pointer(text: &str) -> Pointer {
    Pointer::parse(text).expect("a pointer")
}

fn json(body: &str, at: &str) -> Result<Option<Raw>, DeviceFault> {
    take(body.as_bytes(), None, &Pick::Json(pointer(at)))
}

fn decimal(text: &str) -> Raw {
    Raw::Decimal(text.parse().expect("a decimal"))
}

fn text(words: &str) -> Raw {
    Raw::Text(words.to_owned())
}

/// Bytes as they are written down in standards.
fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u32> = digits.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).expect("a byte")).collect()
}

#[test]
fn pointers_are_those_of_rfc_6901() {
    let body = r#"{"foo": ["bar", "baz"], "": 0, "a/b": 1, "m~n": 8, "deep": {"x": [1, {"y": true}]}}"#;
    for (at, expected) in [
        ("/foo/0", text("bar")),
        ("/", decimal("0")),
        ("/a~1b", decimal("1")),
        ("/m~0n", decimal("8")),
        ("/deep/x/1/y", Raw::Bool(true)),
    ] {
        assert_eq!(json(body, at), Ok(Some(expected)), "{at}");
    }
    for at in ["/nothing", "/foo/2", "/foo/01", "/foo/-", "/foo/0/x", "/deep/y"] {
        assert_eq!(json(body, at), Ok(None), "{at}");
    }
    for at in ["", "/foo", "/deep"] {
        assert!(matches!(json(body, at), Err(DeviceFault::Garbled(_))), "{at}");
    }
    for text in ["foo", "foo/0", "/a~2", "/a~"] {
        assert_eq!(Pointer::parse(text), None, "{text}");
    }
    assert_eq!(pointer("/a~1b/m~0n").to_string(), "/a~1b/m~0n");
}

#[test]
fn numbers_keep_their_digits() {
    for (body, expected) in [
        ("230.2", "230.2"),
        ("0.1", "0.1"),
        ("-0", "0"),
        ("1.50", "1.5"),
        ("1e3", "1000"),
        ("12.5E-1", "1.25"),
        ("123456789012345678901234567", "123456789012345678901234567"),
        ("1e-30", "0"),
        ("0e99999", "0"),
    ] {
        let Ok(Some(Raw::Decimal(number))) = json(body, "") else { panic!("{body}") };
        assert_eq!(number.normalize(), expected.parse::<Decimal>().expect("a decimal"), "{body}");
    }
    for body in ["1e99", "9".repeat(40).as_str()] {
        assert!(matches!(json(body, ""), Err(DeviceFault::Invalid(_))), "{body}");
    }
}

#[test]
fn a_null_is_no_reading_and_a_missing_member_no_fault() {
    assert!(matches!(json(r#"{"a": null}"#, "/a"), Err(DeviceFault::Invalid(_))));
    assert_eq!(json(r#"{"b": 1}"#, "/a"), Ok(None));
}

#[test]
fn what_is_no_json_is_garbled() {
    for body in [
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\" 1}",
        "{a: 1}",
        "01",
        "+1",
        ".5",
        "1.",
        "1e",
        "--1",
        "nul",
        "\"a",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\u{1}\"",
        "1 2",
        "{\"a\":1,}",
        "tru",
        "\u{feff}1",
    ] {
        assert!(matches!(json(body, ""), Err(DeviceFault::Garbled(_))), "{body:?}");
    }
    let deep = "[".repeat(100_000);
    assert!(matches!(json(&deep, ""), Err(DeviceFault::Garbled(_))));
    assert!(matches!(take(b"\xff", None, &Pick::Text), Err(DeviceFault::Garbled(_))));
}

#[test]
fn escapes_are_undone() {
    assert_eq!(json(r#""\u00e9\ud83d\ude00\n\/\ud83d""#, ""), Ok(Some(text("é😀\n/\u{fffd}"))));
}

/// RFC 8949, appendix A.
#[test]
fn cbor_is_that_of_the_standard() {
    for (body, expected) in [
        ("1b ffffffffffffffff", Raw::Int(18_446_744_073_709_551_615)),
        ("3b ffffffffffffffff", Raw::Int(-18_446_744_073_709_551_616)),
        ("c2 49 010000000000000000", Raw::Int(18_446_744_073_709_551_616)),
        ("c4 82 21 19 6ab3", decimal("273.15")),
        ("f9 3e00", Raw::F16(0x3e00)),
        ("fa 47c35000", Raw::F32(100_000.0)),
        ("fb 3ff199999999999a", Raw::F64(1.1)),
        ("f5", Raw::Bool(true)),
        ("64 49455446", text("IETF")),
        ("7f 65 7374726561 64 6d696e67 ff", text("streaming")),
        ("44 01020304", Raw::Bytes(vec![1, 2, 3, 4])),
        ("c0 61 31", text("1")),
    ] {
        let found = take(&hex(body), None, &Pick::Cbor(Pointer::default()));
        assert_eq!(found, Ok(Some(expected)), "{body}");
    }
    let nested = hex("a2 61 61 01 61 62 9f 02 03 ff");
    assert_eq!(take(&nested, None, &Pick::Cbor(pointer("/b/1"))), Ok(Some(Raw::Int(3))));
    let by_number = hex("a1 18 64 f4");
    assert_eq!(take(&by_number, None, &Pick::Cbor(pointer("/100"))), Ok(Some(Raw::Bool(false))));
    for body in
        ["", "1b ff", "5b ffffffffffffffff", "9f", "a1 01", "1c", "0000", "7f 01 ff", "a1 80 01", "ff"]
    {
        let found = take(&hex(body), None, &Pick::Cbor(Pointer::default()));
        assert!(matches!(found, Err(DeviceFault::Garbled(_))), "{body} {found:?}");
    }
    let deep = vec![0x81; 100_000];
    assert!(take(&deep, None, &Pick::Cbor(Pointer::default())).is_err());
    let long = hex("9b ffffffffffffffff 01");
    assert!(take(&long, None, &Pick::Cbor(Pointer::default())).is_err(), "nothing is reserved for it");
}

#[test]
fn senml_is_resolved() {
    let pick = |name: &str| Pick::Senml(name.to_owned());
    // RFC 8428, 5.1.2 and 5.1.3, shortened.
    let json = br#"[{"bn":"urn:dev:ow:10e2073a01080063:","bt":1.276020076001e+09,"bu":"A","bver":5,"n":"voltage","u":"V",
        "v":120.1},{"n":"current","t":-5,"v":1.2},{"n":"current","t":-4,"v":1.30},{"n":"current","t":-6,"v":9}]"#;
    assert_eq!(take(json, None, &pick("voltage")), Ok(Some(decimal("120.1"))));
    assert_eq!(take(json, None, &pick("current")), Ok(Some(decimal("1.3"))), "the newest");
    assert_eq!(take(json, None, &pick("urn:dev:ow:10e2073a01080063:voltage")), Ok(Some(decimal("120.1"))));
    assert_eq!(take(json, None, &pick("power")), Ok(None));
    let lwm2m = br#"[{"bn":"/3303/0/","n":"5700","v":21.5},{"n":"5701","vs":"Cel"},{"n":"1","vb":true},{"n":"2","vd":"AQI"}]"#;
    assert_eq!(take(lwm2m, None, &pick("/3303/0/5700")), Ok(Some(decimal("21.5"))));
    assert_eq!(take(lwm2m, None, &pick("5701")), Ok(Some(text("Cel"))));
    assert_eq!(take(lwm2m, None, &pick("1")), Ok(Some(Raw::Bool(true))));
    assert_eq!(take(lwm2m, None, &pick("2")), Ok(Some(Raw::Bytes(vec![1, 2]))));
    let based = br#"[{"bn":"a","bv":20,"v":1.5},{"n":"b"},{"n":"c","bv":0,"v":3}]"#;
    assert_eq!(take(based, None, &pick("a")), Ok(Some(decimal("21.5"))));
    assert_eq!(take(based, None, &pick("ac")), Ok(Some(decimal("3"))));
    // [{-2: "dev:", 0: "t", 2: 21.5 as f16}]
    let cbor = hex("81 a3 21 64 6465763a 00 61 74 02 f9 4d60");
    assert_eq!(take(&cbor, None, &pick("dev:t")), Ok(Some(Raw::F16(0x4d60))));
    for body in [
        r#"{"n":"a","v":1}"#,
        r#"[1]"#,
        r#"[{"n":"a","v":1,"x_":1}]"#,
        r#"[{"bver":11,"n":"a","v":1}]"#,
        r#"[{"n":1,"v":1}]"#,
        r#"[{"n":"a","t":"x","v":1}]"#,
    ] {
        assert!(matches!(take(body.as_bytes(), None, &pick("a")), Err(DeviceFault::Garbled(_))), "{body}");
    }
}

/// OMA TS LightweightM2M 1.0.2, 6.4.3.1 (the Object Device) and 6.4.3.2.
#[test]
fn tlv_is_that_of_the_standard() {
    let device = hex(
        "c8 00 14 4f70656e204d6f62696c6520416c6c69616e6365 c8 01 16 4c69676874776569676874204d324d20436c69656e74
         c8 02 09 333435303030313233 c3 03 312e30 86 06 41 00 01 41 01 05 88 07 08 42 00 0ed8 42 01 1388
         87 08 41 00 7d 42 01 0384 c1 09 64 c1 0a 0f 83 0b 41 00 00 c4 0d 5182428f c6 0e 2b30323a3030 c1 10 55",
    );
    let pick = |path: &[u16], kind| Pick::Tlv(TlvPick { path: path.to_vec(), kind });
    assert_eq!(take(&device, None, &pick(&[0], TlvKind::Text)), Ok(Some(text("Open Mobile Alliance"))));
    assert_eq!(take(&device, None, &pick(&[9], TlvKind::Integer)), Ok(Some(Raw::Int(100))));
    assert_eq!(take(&device, None, &pick(&[13], TlvKind::Integer)), Ok(Some(Raw::Int(1_367_491_215))));
    assert_eq!(take(&device, None, &pick(&[7, 1], TlvKind::Integer)), Ok(Some(Raw::Int(5000))));
    assert_eq!(take(&device, None, &pick(&[99], TlvKind::Integer)), Ok(None));
    assert!(take(&device, None, &pick(&[7], TlvKind::Integer)).is_err(), "it has two values");
    assert!(take(&device, None, &pick(&[9], TlvKind::Boolean)).is_err());
    let instance = hex("08 00 0a e4 16 44 41ac0000 c1 09 ff");
    assert_eq!(
        take(&instance, None, &pick(&[5700], TlvKind::Float)),
        Ok(Some(Raw::F32(21.5))),
        "in an instance"
    );
    assert_eq!(take(&instance, None, &pick(&[0, 9], TlvKind::Integer)), Ok(Some(Raw::Int(-1))));
    for body in ["c1", "c4 0d 51", "c8 00 ff 00", "e1 16"] {
        assert!(take(&hex(body), None, &pick(&[0], TlvKind::Integer)).is_err(), "{body}");
    }
}

#[test]
fn bytes_are_where_they_are_said_to_be() {
    let pick = |offset, length, encoding, little_endian, bits| {
        Pick::Bytes(BytesPick { offset, length, encoding, little_endian, bits })
    };
    let body = [0x01, 0xff, 0x34, 0x12, b'o', b'k', 0, 9];
    for (pick, expected) in [
        (pick(0, Some(1), ByteEncoding::Unsigned, false, None), Raw::Int(1)),
        (pick(1, Some(1), ByteEncoding::Signed, false, None), Raw::Int(-1)),
        (pick(2, Some(2), ByteEncoding::Unsigned, true, None), Raw::Int(0x1234)),
        (pick(2, Some(2), ByteEncoding::Unsigned, false, Some((4, 7))), Raw::Int(1)),
        (pick(4, None, ByteEncoding::Text, false, None), text("ok")),
        (pick(6, None, ByteEncoding::Bytes, false, None), Raw::Bytes(vec![0, 9])),
    ] {
        assert_eq!(take(&body, None, &pick), Ok(Some(expected)), "{pick}");
    }
    assert_eq!(take(&body, None, &pick(7, Some(2), ByteEncoding::Unsigned, false, None)), Ok(None));
    assert!(take(&body, None, &pick(0, Some(3), ByteEncoding::Float, false, None)).is_err());
}

#[test]
fn what_the_sender_says_is_heeded() {
    let at = Pick::Json(Pointer::default());
    assert_eq!(take(b"1", Some(BodyFormat::Json), &at), Ok(Some(decimal("1"))));
    assert_eq!(take(b"1", Some(BodyFormat::Cbor), &at), Err(DeviceFault::Garbled("it is CBOR".to_owned())));
    for format in [
        BodyFormat::Text,
        BodyFormat::Json,
        BodyFormat::Cbor,
        BodyFormat::SenmlJson,
        BodyFormat::SenmlCbor,
        BodyFormat::Tlv,
        BodyFormat::Bytes,
    ] {
        assert_eq!(BodyFormat::of_content_format(format.content_format()), Some(format));
    }
}

#[test]
fn bodies_of_writes() {
    let body = |form: PutForm, raw: Raw| {
        Put::new(form).body(&raw).map(|body| String::from_utf8(body).expect("text"))
    };
    let tree = Tree::Map(vec![
        ("method".to_owned(), Tree::Text("Switch.Set".to_owned())),
        (
            "params".to_owned(),
            Tree::Map(vec![
                ("id".to_owned(), Tree::Number(0.into())),
                ("on".to_owned(), Tree::Value),
                ("why".to_owned(), Tree::Text("set to $value".to_owned())),
            ]),
        ),
    ]);
    for (form, raw, expected) in [
        (PutForm::Text, text("ON"), "ON"),
        (PutForm::Text, decimal("21.50"), "21.5"),
        (PutForm::Words("HSB $value,100".to_owned()), Raw::Int(120), "HSB 120,100"),
        (PutForm::Json(pointer("/state")), text("O\"N"), r#"{"state":"O\"N"}"#),
        (PutForm::Json(pointer("/a/b")), decimal("0.1"), r#"{"a":{"b":0.1}}"#),
        (PutForm::Json(pointer("")), Raw::Bool(true), "true"),
        (
            PutForm::JsonTree(tree),
            Raw::Bool(true),
            r#"{"method":"Switch.Set","params":{"id":0,"on":true,"why":"set to true"}}"#,
        ),
        (
            PutForm::Senml { name: "/3311/0/5850".to_owned(), cbor: false },
            Raw::Bool(true),
            r#"[{"n":"/3311/0/5850","vb":true}]"#,
        ),
        (PutForm::Empty, text("x"), ""),
    ] {
        assert_eq!(body(form, raw).as_deref(), Ok(expected));
    }
    let bytes = |form: PutForm, raw: Raw| Put::new(form).body(&raw);
    let tlv = |path: &[u16], kind| PutForm::Tlv(TlvPick { path: path.to_vec(), kind });
    assert_eq!(bytes(tlv(&[5850], TlvKind::Boolean), Raw::Bool(true)), Ok(hex("e1 16da 01")));
    assert_eq!(bytes(tlv(&[0, 9], TlvKind::Integer), Raw::Int(-200)), Ok(hex("04 00 c2 09 ff38")));
    assert_eq!(bytes(tlv(&[1], TlvKind::Float), Raw::F64(21.5)), Ok(hex("c4 01 41ac0000")));
    assert!(bytes(tlv(&[1], TlvKind::Boolean), Raw::Int(2)).is_err());
    assert_eq!(bytes(PutForm::Cbor(pointer("/a")), decimal("5")), Ok(hex("a1 61 61 05")));
    assert_eq!(bytes(PutForm::Cbor(pointer("")), decimal("1.5")), Ok(hex("fa 3fc00000")));
    let at = BytesPick {
        offset: 1,
        length: Some(2),
        encoding: ByteEncoding::Unsigned,
        little_endian: true,
        bits: None,
    };
    assert_eq!(bytes(PutForm::Bytes(at), Raw::Int(0x1234)), Ok(vec![0, 0x34, 0x12]));
}

/// Documents of every kind of value.
fn raws() -> impl Strategy<Value = Raw> {
    prop_oneof![
        any::<bool>().prop_map(Raw::Bool),
        (any::<i64>(), 0u32..12).prop_map(|(mantissa, scale)| Raw::Decimal(Decimal::new(mantissa, scale))),
        any::<String>().prop_map(Raw::Text),
    ]
}

proptest! {
    #[test]
    fn what_is_put_into_json_is_taken_out_again(raw in raws(), tokens in proptest::collection::vec(any::<String>(), 0..4)) {
        let at = Pointer(tokens);
        prop_assert_eq!(Pointer::parse(&at.to_string()), Some(at.clone()));
        let body = Put::new(PutForm::Json(at.clone())).body(&raw).expect("a body");
        prop_assert_eq!(take(&body, None, &Pick::Json(at)), Ok(Some(raw)));
    }

    #[test]
    fn what_is_put_into_cbor_is_taken_out_again(number in any::<i64>(), name in "[a-z]{1,300}") {
        let at = Pointer(vec![name]);
        let body = Put::new(PutForm::Cbor(at.clone())).body(&Raw::Int(number.into())).expect("a body");
        prop_assert_eq!(take(&body, None, &Pick::Cbor(at)), Ok(Some(Raw::Int(number.into()))));
    }

    #[test]
    fn what_is_put_into_tlv_is_taken_out_again(number in any::<i64>(), id in any::<u16>(), long in ".{0,400}") {
        let pick = |kind| TlvPick { path: vec![id], kind };
        for (kind, raw) in [(TlvKind::Integer, Raw::Int(number.into())), (TlvKind::Text, Raw::Text(long.clone()))] {
            let body = Put::new(PutForm::Tlv(pick(kind))).body(&raw).expect("a body");
            prop_assert_eq!(take(&body, None, &Pick::Tlv(pick(kind))), Ok(Some(raw)));
        }
    }

    #[test]
    fn what_is_put_into_bytes_is_taken_out_again(number in any::<u16>(), offset in 0u16..9, little_endian: bool) {
        let pick = BytesPick { offset, length: Some(2), encoding: ByteEncoding::Unsigned, little_endian, bits: None };
        let raw = Raw::Int(number.into());
        let body = Put::new(PutForm::Bytes(pick)).body(&raw).expect("a body");
        prop_assert_eq!(take(&body, None, &Pick::Bytes(pick)), Ok(Some(raw)));
    }

    #[test]
    fn no_body_does_harm(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        super::fuzzed(&body);
    }

    #[test]
    fn no_nearly_good_body_does_harm(body in r#"[\[\]{}",:0-9truefalsn\\u.eE+\- ]{0,60}"#) {
        super::fuzzed(body.as_bytes());
    }
}
