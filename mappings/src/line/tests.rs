//! Checksums, frames and patterns by themselves.

use std::time::Duration;

use super::*;

#[test]
fn checksums_are_those_of_the_catalogue() {
    for (kind, expected) in [
        (ChecksumKind::Xor8, 0x31),
        (ChecksumKind::Sum8, 0xdd),
        (ChecksumKind::Sum8Zero, 0x23),
        (ChecksumKind::Sum16, 0x01dd),
        (ChecksumKind::Crc16Arc, 0xbb3d),
        (ChecksumKind::Crc16Modbus, 0x4b37),
        (ChecksumKind::Crc16Xmodem, 0x31c3),
        (ChecksumKind::Crc16X25, 0x906e),
        (ChecksumKind::Crc16CcittFalse, 0x29b1),
    ] {
        assert_eq!(kind.of(b"123456789"), expected, "{}", kind.name());
    }
}

fn checksum(kind: ChecksumKind, after_end: bool, skip: u16, cut: u16) -> Option<Checksum> {
    let hex = !matches!(kind, ChecksumKind::Sum8Zero);
    Some(Checksum { kind, hex, little_endian: false, after_end, skip, cut })
}

fn framing(start: &[u8], ends: &[&str], checksum: Option<Checksum>) -> Framing {
    let ends = ends.iter().map(|end| end.as_bytes().to_vec()).collect();
    Framing { start: start.to_vec(), limit: Limit::Ends(ends), checksum, max: 256 }
}

fn frame(text: &str) -> Framed {
    Framed::Frame(text.as_bytes().to_vec())
}

#[test]
fn a_frame_ends_with_the_first_of_its_ends() {
    let lines = framing(b"", &["\r\n", "\r"], None);
    assert_eq!(lines.split(b"A=1\r\nB=2\rC"), [frame("A=1"), frame("B=2"), Framed::Broken(Broken::Half)]);
    assert_eq!(lines.wrap(b"A?"), b"A?\r\n");
    assert_eq!(framing(b"", &[":"], None).split(b":PWR=01\r:"), [frame(""), frame("PWR=01\r")]);
}

/// The example of NMEA 0183 that the GGA sentence is explained with everywhere.
#[test]
fn a_checksum_stands_before_the_end_or_behind_it() {
    let nmea = framing(b"$", &["\r\n"], checksum(ChecksumKind::Xor8, false, 1, 1));
    let sentence = b"noise$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n";
    let body = "$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,";
    assert_eq!(nmea.split(sentence), [frame(body)]);
    let mut wrong = sentence.to_vec();
    wrong[20] ^= 1;
    assert_eq!(nmea.split(&wrong), [Framed::Broken(Broken::Checksum)]);
    let behind = framing(b"/", &["!"], checksum(ChecksumKind::Crc16Arc, true, 0, 0));
    assert_eq!(behind.wrap(b"A"), [b"/A!".as_slice(), &behind.checksum.unwrap().behind(b"/A!")].concat());
    let telegram = [behind.wrap(b"A"), b"\r\n".to_vec(), behind.wrap(b"B")].concat();
    assert_eq!(behind.split(&telegram), [frame("/A"), frame("/B")]);
}

#[test]
fn what_broke_off_costs_the_next_frame_nothing() {
    let p1 = framing(b"/", &["!"], checksum(ChecksumKind::Crc16Arc, true, 0, 0));
    let half = [b"/ISK5\r\n1-0:1.8.1(0000".as_slice(), &p1.wrap(b"whole")].concat();
    assert_eq!(p1.split(&half), [Framed::Broken(Broken::Checksum), frame("/whole")]);
}

#[test]
fn frames_have_a_length() {
    let limit = Limit::Length(9);
    let sum = Checksum {
        kind: ChecksumKind::Sum8Zero,
        hex: false,
        little_endian: false,
        after_end: false,
        skip: 1,
        cut: 0,
    };
    let fixed = Framing { start: vec![0xff], limit, checksum: Some(sum), max: 64 };
    // MH-Z19B datasheet: the request, and the answer that it explains the checksum with.
    assert_eq!(fixed.wrap(&[1, 0x86, 0, 0, 0, 0, 0]), [0xff, 1, 0x86, 0, 0, 0, 0, 0, 0x79]);
    let answer = [0xff, 0x86, 2, 0x60, 0x47, 0, 0, 0, 0xd1];
    assert_eq!(fixed.split(&answer), [Framed::Frame(answer.to_vec())]);
    assert_eq!(
        fixed.split(&[&[0, 1][..], &answer].concat()),
        [Framed::Frame(answer.to_vec())],
        "noise before"
    );
    let said = Limit::Said { at: 1, wide: false, little_endian: false, plus: 2 };
    let said = Framing { start: Vec::new(), limit: said, checksum: None, max: 64 };
    assert_eq!(said.split(&[7, 2, 1, 2, 8, 0]), [Framed::Frame(vec![7, 2, 1, 2]), Framed::Frame(vec![8, 0])]);
    let gap = Framing { limit: Limit::Gap(Duration::from_millis(20)), ..said };
    assert_eq!(gap.split(&[1, 2, 3]), [Framed::Frame(vec![1, 2, 3])]);
}

#[test]
fn frames_are_bounded() {
    let lines = framing(b"", &["\n"], None);
    let found = lines.split(&[b'x'; 700]);
    assert!(found.iter().all(|it| matches!(it, Framed::Broken(_))), "{found:?}");
    let mut deframer = Deframer::new(framing(b"/", &["!"], None));
    for _ in 0..100 {
        deframer.push(&[b'/'; 200]);
        while deframer.next().is_some() {}
    }
    assert!(deframer.buffer_len() <= 256, "{}", deframer.buffer_len());
}

#[test]
fn patterns_take_the_value_out() {
    let value = |text: &str, frame: &str, whole: bool| {
        let text = LineText::parse(text).unwrap();
        let found = if whole { text.matched(frame.as_bytes())? } else { text.found(frame.as_bytes()) };
        found.map(|value| String::from_utf8_lossy(value).into_owned())
    };
    for (text, frame, expected) in [
        ("PWR=$value", "PWR=01\r", Some("01")),
        ("PWR=$value", "xPWR=01", None),
        ("In$value All", "In3 All\r\n", Some("3")),
        ("$WIMWV,$any,R,$value,K", "$WIMWV,214.8,R,0.1,K", Some("0.1")),
        ("~01@ROUTE $any,$value", "~01@ROUTE 1,4", Some("4")),
        ("A $value A", "A A A A", Some("A A")),
    ] {
        assert_eq!(value(text, frame, true).as_deref(), expected, "{text} {frame}");
    }
    let telegram = "/ISK5\r\n\r\n1-0:1.8.1(000123.456*kWh)\r\n0-1:24.2.1(101209112500W)(12785.123*m3)\r\n0-2:24.2.1(no)\r\n";
    for (text, expected) in [
        ("\n1-0:1.8.1($value*kWh)", Some("000123.456")),
        ("0-1:24.2.1($any)($value*m3)", Some("12785.123")),
        ("0-2:24.2.1($any)($value*m3)", None),
        ("1-0:9.9.9($value)", None),
        ("/$value", Some("ISK5")),
    ] {
        assert_eq!(value(text, telegram, false).as_deref(), expected, "{text}");
    }
    let hex = LineText::parse_hex("86 $value 00").unwrap();
    assert_eq!(hex.matched(&[0x86, 13, 10, 0]), Some(Some([13, 10].as_slice())));
    assert!(
        LineText::parse("/I$any").unwrap().matched(telegram.as_bytes()).is_some(),
        "the rest is anything"
    );
}

proptest::proptest! {
    #[test]
    fn no_bytes_are_too_strange(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600)) {
        let p1 = framing(b"/", &["!"], checksum(ChecksumKind::Crc16Arc, true, 0, 0));
        let text = LineText::parse("$any/$value!$any").unwrap();
        for framing in [p1, framing(b"", &["\r", "\n"], checksum(ChecksumKind::Xor8, false, 1, 1))] {
            for found in framing.split(&bytes) {
                if let Framed::Frame(frame) = found {
                    proptest::prop_assert!(frame.len() <= framing.max + 64);
                    text.matched(&frame);
                    text.found(&frame);
                }
            }
        }
    }
}
