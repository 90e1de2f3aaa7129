//! Records and Messages: what is encoded can be decoded, by us and by an implementation that shares no code with us.

use proptest::prelude::*;
use prost::Message as _;
use rusp_lib::usp_decoder::{try_decode_msg, try_decode_record};
use usp_proto::endpoint_id::EndpointId;
use usp_proto::err_code::ErrCode;
use usp_proto::record::{Connect, DecodeFault, Record, RecordBody};
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::{message, usp, usp_record};

use crate::arbitrary::encoded;

fn id(text: &str) -> EndpointId {
    EndpointId::parse(text).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn any_message_survives_us_and_the_oracle(bytes in encoded("usp.Msg")) {
        let msg = usp::Msg::decode(&*bytes).unwrap();
        let ours = msg.encode_to_vec();
        prop_assert_eq!(&usp::Msg::decode(&*ours).unwrap(), &msg);
        let theirs = try_decode_msg(&ours).unwrap();
        prop_assert_eq!(&theirs, &try_decode_msg(&bytes).unwrap());
        prop_assert_eq!(usp::Msg::decode(&*theirs.to_vec().unwrap()).unwrap(), msg);
    }

    #[test]
    fn any_raw_record_survives_us_and_the_oracle(bytes in encoded("usp_record.Record")) {
        let record = usp_record::Record::decode(&*bytes).unwrap();
        let ours = record.encode_to_vec();
        let theirs = try_decode_record(&ours).unwrap();
        prop_assert_eq!(&theirs, &try_decode_record(&bytes).unwrap());
        prop_assert_eq!(usp_record::Record::decode(&*theirs.to_vec().unwrap()).unwrap(), record);
    }

    #[test]
    fn any_message_passes_the_check_and_travels_in_a_record(bytes in encoded("usp.Msg")) {
        let msg = usp::Msg::decode(&*bytes).unwrap();
        prop_assert_eq!(message::check(&msg), Ok(()));
        let record = Record::message(id("self::c"), id("os::012345-a"), msg);
        prop_assert_eq!(Record::decode(&record.encode()), Ok(record));
    }

    #[test]
    fn a_damaged_record_is_a_fault_or_a_record(
        bytes in encoded("usp.Msg"),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let msg = usp::Msg::decode(&*bytes).unwrap();
        let asked = message::is_request(&msg);
        let mut bytes = Record::message(id("self::c"), id("os::012345-a"), msg).encode();
        for (index, byte) in damage {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        match Record::decode(&bytes) {
            Ok(record) => prop_assert_eq!(Record::decode(&record.encode()), Ok(record)),
            Err(DecodeFault::Answer(bad)) => prop_assert!(!bad.msg_id.is_empty() && !bad.text.is_empty(), "{} {}", asked, bad),
            Err(DecodeFault::Undecodable(why) | DecodeFault::Unusable(why)) => prop_assert!(!why.is_empty()),
        }
    }
}

/// The oracle's own types tell what it read.
#[test]
fn the_oracle_reads_what_we_mean() {
    use rusp_lib::usp::mod_Body::OneOfmsg_body as Body;
    use rusp_lib::usp::mod_Request::OneOfreq_type as Request;
    use rusp_lib::usp::mod_Response::OneOfresp_type as Response;
    let read = |msg: usp::Msg| {
        let payload = Record::message(id("self::c"), id("self::a"), msg).encode();
        let mut record = rusp_lib::usp_record::Record::from_bytes(&payload).unwrap();
        record.check_validity().unwrap();
        assert_eq!(
            (record.version.as_str(), record.from_id.as_str(), record.to_id.as_str()),
            ("1.4", "self::c", "self::a")
        );
        rusp_lib::usp::Msg::from_bytes(record.payload_flatten().unwrap()).unwrap()
    };

    let get = usp::Get { param_paths: vec!["Device.".into()], max_depth: 0x0102_0304 };
    let msg = read(message::request("1", ReqType::Get(get)));
    assert_eq!((msg.msg_id(), msg.is_error()), ("1", false));
    let Body::request(request) = msg.body.unwrap().msg_body else { panic!() };
    let Request::get(get) = request.req_type else { panic!() };
    assert_eq!((get.param_paths, get.max_depth), (vec!["Device.".to_owned()], 0x0102_0304));

    let param_errs = vec![usp::error::ParamError {
        param_path: "Device.X".into(),
        err_code: ErrCode::INVALID_VALUE.into(),
        err_msg: "no".into(),
    }];
    let msg = read(message::error("2", ErrCode::MESSAGE_FAILED, "failed", param_errs));
    let error = msg.get_error().unwrap();
    assert_eq!(
        (error.err_code, error.err_msg.as_str(), error.param_errs[0].err_code),
        (7000, "failed", 7012)
    );

    let result = usp::get_resp::RequestedPathResult {
        requested_path: "Device.X.".into(),
        err_code: ErrCode::INVALID_PATH.into(),
        err_msg: "unknown".into(),
        resolved_path_results: Vec::new(),
    };
    let msg =
        read(message::response("3", RespType::GetResp(usp::GetResp { req_path_results: vec![result] })));
    let Body::response(response) = msg.body.unwrap().msg_body else { panic!() };
    let Response::get_resp(resp) = response.resp_type else { panic!() };
    assert_eq!(resp.req_path_results[0].err_code, 7026);

    let notify = usp::Notify {
        subscription_id: "s".into(),
        send_resp: true,
        notification: Some(usp::notify::Notification::ValueChange(usp::notify::ValueChange {
            param_path: "Device.X".into(),
            param_value: "1".into(),
        })),
    };
    let msg = read(message::request("4", ReqType::Notify(notify)));
    assert!(format!("{msg:?}").contains("value_change"));
}

#[test]
fn the_oracle_reads_records_without_messages() {
    use rusp_lib::usp_record::mod_Record::OneOfrecord_type as Type;
    let read = |record: Record| try_decode_record(&record.encode()).unwrap().record_type;
    let (a, c) = (id("self::a"), id("self::c"));
    let Type::disconnect(gone) =
        read(Record::disconnect(a.clone(), c.clone(), ErrCode::SESSION_CONTEXT_NOT_ALLOWED, "no sessions"))
    else {
        panic!()
    };
    assert_eq!((gone.reason_code, gone.reason.as_str()), (7106, "no sessions"));
    let connect = |connect| read(Record::connect(a.clone(), c.clone(), connect));
    assert!(matches!(connect(Connect::Uds), Type::uds_connect(_)));
    assert!(matches!(connect(Connect::WebSocket), Type::websocket_connect(_)));
}

/// Bytes that somebody else encoded.
#[test]
fn a_foreign_record_is_read() {
    let msg = message::request(
        "test",
        ReqType::Notify(usp::Notify {
            subscription_id: "s".into(),
            send_resp: false,
            notification: Some(usp::notify::Notification::OnBoardReq(usp::notify::OnBoardRequest {
                oui: "012345".into(),
                agent_supported_protocol_versions: "1.4".into(),
                ..Default::default()
            })),
        }),
    );
    let payload = try_decode_msg(&msg.encode_to_vec()).unwrap().to_vec().unwrap();
    let foreign = rusp_lib::usp_record::Record {
        version: "1.0".into(),
        to_id: "self::c".into(),
        from_id: "proto::agent".into(),
        record_type: rusp_lib::usp_record::mod_Record::OneOfrecord_type::no_session_context(
            rusp_lib::usp_record::NoSessionContextRecord { payload },
        ),
        ..Default::default()
    };
    let record = Record::decode(&foreign.to_vec().unwrap()).unwrap();
    assert_eq!((record.version.as_str(), record.from.as_str()), ("1.0", "proto::agent"));
    assert_eq!(record.body, RecordBody::Message(Box::new(msg)));
}
