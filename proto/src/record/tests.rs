use super::*;
use crate::message;
use crate::usp::request::ReqType;
use crate::usp::response::RespType;

fn id(text: &str) -> EndpointId {
    EndpointId::parse(text).unwrap()
}

fn get(path: &str) -> usp::Msg {
    message::request("7", ReqType::Get(usp::Get { param_paths: vec![path.into()], max_depth: 0 }))
}

fn record(msg: usp::Msg) -> Record {
    Record::message(id("self::c"), id("os::012345-a"), msg)
}

/// A Record around `payload`, with everything else in order.
fn raw(payload: Vec<u8>) -> usp_record::Record {
    usp_record::Record {
        version: "1.4".into(),
        to_id: "os::012345-a".into(),
        from_id: "self::c".into(),
        record_type: Some(RecordType::NoSessionContext(usp_record::NoSessionContextRecord { payload })),
        ..Default::default()
    }
}

fn fault(raw: &usp_record::Record) -> DecodeFault {
    Record::decode(&raw.encode_to_vec()).unwrap_err()
}

/// What the sender of `raw` is told.
#[track_caller]
fn check_answer(raw: &usp_record::Record, code: ErrCode, text: &str) {
    let DecodeFault::Answer(bad) = fault(raw) else { panic!("no answer to {raw:?}") };
    assert_eq!((bad.msg_id.as_str(), bad.code), ("7", code), "{}", bad.text);
    assert!(bad.text.contains(text), "{}", bad.text);
    let answer = bad.answer();
    assert_eq!((answer.to.as_str(), answer.from.as_str()), ("self::c", "os::012345-a"));
    assert_eq!(message::name(answer.msg().unwrap()), "Error");
}

#[track_caller]
fn check_unusable(raw: &usp_record::Record, text: &str) {
    let DecodeFault::Unusable(why) = fault(raw) else { panic!("{raw:?}") };
    assert!(why.contains(text), "{why}");
}

#[test]
fn every_kind_goes_both_ways() {
    let (a, c) = (id("os::012345-a"), id("self::c"));
    let mqtt = Connect::Mqtt { version: MqttVersion::V5, subscribed_topic: "usp/a".into() };
    let stomp = Connect::Stomp {
        version: usp_record::stomp_connect_record::StompVersion::V12,
        subscribed_destination: "/queue/a".into(),
    };
    let mut records = vec![record(get("Device."))];
    records.extend(
        [Connect::Uds, Connect::WebSocket, mqtt, stomp].map(|k| Record::connect(a.clone(), c.clone(), k)),
    );
    records.push(Record::disconnect(a.clone(), c.clone(), ErrCode::SESSION_CONTEXT_NOT_ALLOWED, "no"));
    records.push(Record::new(a, c, RecordBody::Session { session_id: u64::MAX }));
    for record in records {
        assert_eq!(Record::decode(&record.encode()), Ok(record));
    }
}

#[test]
fn a_get_has_these_bytes() {
    let bytes = Record::message(id("self::c"), id("self::a"), get("Device.")).encode();
    let expected = b"\x0a\x031.4\x12\x07self::a\x1a\x07self::c:\x18\x12\x16\x0a\x05\x0a\x017\x10\x01\x12\x0d\x0a\x0b\x0a\x09\x0a\x07Device.";
    assert_eq!(bytes, expected);
}

#[test]
fn what_is_no_protobuf_is_undecodable() {
    assert!(matches!(Record::decode(b"\xff\xff"), Err(DecodeFault::Undecodable(_))));
    let bytes = record(get("Device.")).encode();
    assert!(matches!(Record::decode(&bytes[..bytes.len() - 1]), Err(DecodeFault::Undecodable(_))));
    assert!(matches!(Record::decode(b""), Err(DecodeFault::Unusable(_))));
}

#[test]
fn without_endpoint_ids_nobody_is_told() {
    let payload = get("Device.").encode_to_vec();
    check_unusable(&usp_record::Record { from_id: String::new(), ..raw(payload.clone()) }, "from_id");
    check_unusable(&usp_record::Record { to_id: "nobody".into(), ..raw(payload.clone()) }, "to_id");
    check_unusable(&usp_record::Record { record_type: None, ..raw(payload) }, "record type");
    check_unusable(&raw(Vec::new()), "empty");
}

#[test]
fn a_bad_envelope_around_a_request_is_told() {
    let payload = get("Device.").encode_to_vec();
    let with = |version: &str, security| usp_record::Record {
        version: version.into(),
        payload_security: security,
        ..raw(payload.clone())
    };
    for version in ["", "1", "1.", "one.four", "1.4.1"] {
        check_answer(&with(version, 0), ErrCode::INVALID_RECORD_VALUE, "version");
    }
    check_answer(&with("1.4", 1), ErrCode::SECURE_SESSION_NOT_SUPPORTED, "TLS12");
    check_answer(&with("1.4", 7), ErrCode::INVALID_RECORD_VALUE, "payload_security 7");
    assert!(Record::decode(&with("2.17", 0).encode_to_vec()).is_ok());
}

#[test]
fn a_bad_request_is_told() {
    let with = |change: fn(&mut usp::Msg)| {
        let mut msg = get("Device.");
        change(&mut msg);
        raw(msg.encode_to_vec())
    };
    let no_request = |msg: &mut usp::Msg| {
        let empty = usp::body::MsgBody::Request(usp::Request { req_type: None });
        msg.body = Some(usp::Body { msg_body: Some(empty) });
    };
    check_answer(&with(no_request), ErrCode::INVALID_ARGUMENTS, "empty");
    check_answer(&with(|msg| msg.body = None), ErrCode::INVALID_ARGUMENTS, "no body");
    check_answer(
        &with(|msg| msg.header.as_mut().unwrap().msg_type = 99),
        ErrCode::INVALID_ARGUMENTS,
        "msg_type 99",
    );
    check_unusable(&with(|msg| msg.header = None), "msg_id");
    let notify = message::request("7", ReqType::Notify(usp::Notify::default()));
    check_answer(&raw(notify.encode_to_vec()), ErrCode::INVALID_ARGUMENTS, "Notify without");
}

/// R-MSG.1
#[test]
fn a_message_of_a_later_version_is_not_supported() {
    // A request with field 15 of three bytes inside.
    let payload = b"\x0a\x05\x0a\x017\x10\x63\x12\x07\x0a\x05\x7a\x03abc".to_vec();
    check_answer(&raw(payload), ErrCode::MESSAGE_NOT_SUPPORTED, "unknown kind");
}

#[test]
fn a_request_that_cannot_be_decoded_is_told_if_its_header_can_be() {
    let mut payload = get("Device.").encode_to_vec();
    // The path is no UTF-8 any more.
    let last = payload.len() - 1;
    payload[last] = 0xff;
    check_answer(&raw(payload.clone()), ErrCode::INVALID_ARGUMENTS, "cannot be decoded");
    // The body is cut off.
    check_answer(&raw(payload[..12].to_vec()), ErrCode::INVALID_ARGUMENTS, "cannot be decoded");
    // So is the header.
    check_unusable(&raw(payload[..4].to_vec()), "cannot be decoded");
    check_unusable(&raw(b"\xff\xff".to_vec()), "cannot be decoded");
}

#[test]
fn what_is_no_request_is_never_answered() {
    let mut resp = message::response("7", RespType::GetResp(usp::GetResp::default())).encode_to_vec();
    resp.extend(b"\xff");
    check_unusable(&raw(resp), "cannot be decoded");
    let mut error = message::error("7", ErrCode::MESSAGE_FAILED, "no", Vec::new());
    error.header.as_mut().unwrap().msg_id.clear();
    check_unusable(&raw(error.encode_to_vec()), "msg_id");
}

#[test]
fn an_incomplete_response_is_left_to_who_asked() {
    let results = vec![usp::operate_resp::OperationResult {
        executed_command: "Device.X()".into(),
        operation_resp: None,
    }];
    let msg = message::response("7", RespType::OperateResp(usp::OperateResp { operation_results: results }));
    assert_eq!(Record::decode(&record(msg.clone()).encode()), Ok(record(msg)));
}

#[test]
fn unknown_connect_versions_are_unusable() {
    let mqtt = usp_record::MqttConnectRecord { version: 9, subscribed_topic: "t".into() };
    check_unusable(
        &usp_record::Record { record_type: Some(RecordType::MqttConnect(mqtt)), ..raw(Vec::new()) },
        "MQTT version",
    );
}

/// R-E2E.30: nothing is taken for good whose signature was not looked at.
#[test]
fn what_is_signed_is_refused() {
    let signed = |record| usp_record::Record { mac_signature: b"abc".to_vec(), ..record };
    check_answer(
        &signed(raw(get("Device.").encode_to_vec())),
        ErrCode::INVALID_RECORD_VALUE,
        "mac_signature",
    );
    let leaves = usp_record::DisconnectRecord { reason: String::new(), reason_code: 0 };
    let leaves = usp_record::Record { record_type: Some(RecordType::Disconnect(leaves)), ..raw(Vec::new()) };
    check_unusable(&signed(leaves), "mac_signature");
}

#[test]
fn session_records_are_recognised() {
    let session =
        usp_record::SessionContextRecord { session_id: 5, payload: vec![vec![1; 100]], ..Default::default() };
    let bytes = usp_record::Record {
        payload_security: 1,
        record_type: Some(RecordType::SessionContext(session)),
        ..raw(Vec::new())
    }
    .encode_to_vec();
    assert_eq!(Record::decode(&bytes).unwrap().body, RecordBody::Session { session_id: 5 });
}

#[test]
fn both_ways_into_and_out_of_bytes_agree() {
    let long = get(&"Device.Long.".repeat(3000));
    for record in [record(get("Device.")), record(long)] {
        let bytes = record.encode();
        assert_eq!(bytes, record.encode_any());
        assert!(super::plain::Plain::read(&bytes).is_some());
        assert_eq!(super::decode::decode_any(&bytes).as_ref(), Ok(&record));
        let known = [&record.from, &id("self::other")];
        assert_eq!(Record::decode_among(&bytes, &known).as_ref(), Ok(&record));
        for end in 0..bytes.len().min(200) {
            let cut = &bytes[..end];
            assert_eq!(Record::decode(cut), super::decode::decode_any(cut), "{end}");
        }
        let mut framed = vec![1];
        record.encode_to(&mut framed, |out, length| out.push(u8::try_from(length % 256).unwrap()));
        assert_eq!(framed[1..], [&[u8::try_from(bytes.len() % 256).unwrap()], &bytes[..]].concat());
    }
}
