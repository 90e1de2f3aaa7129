//! Records that are no Messages, and the end.

use usp_core::input::{ConnId, Input, MtpKind, Side};
use usp_core::output::CloseReason;
use usp_proto::endpoint_id::EndpointId;
use usp_proto::err_code::ErrCode;
use usp_proto::message;
use usp_proto::record::{BadRecord, Connect, Record, RecordBody};

use crate::bench::peer::get;
use crate::bench::{BROKER, World, text};

fn endpoint(text: &str) -> EndpointId {
    EndpointId::parse(text).unwrap()
}

#[test]
fn a_controller_is_greeted_in_the_way_of_its_transport() {
    let mut w = World::new();
    let uds = w.controller("self::c");
    assert_eq!(w.records(uds), [RecordBody::Connect(Connect::Uds)]);
    let ws = w.connect(MtpKind::WebSocket, Side::Agent, "self::d", true);
    assert_eq!(w.records(ws), [RecordBody::Connect(Connect::WebSocket)]);
}

#[test]
fn a_session_context_is_refused() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.records(c);
    let record = Record {
        body: RecordBody::Session { session_id: 1 },
        ..Record::disconnect(endpoint("self::c"), endpoint(BROKER), ErrCode(0), "")
    };
    w.input(Input::Record { conn: c, record: Box::new(record) });
    assert!(matches!(&w.records(c)[..], [RecordBody::Disconnect { code: 7106, .. }]));
}

/// What came, in order: the names of Records, and of Messages.
fn heard(w: &mut World, conn: ConnId) -> Vec<&'static str> {
    let name = |record: Record| match record.body {
        RecordBody::Message(msg) => message::name(&msg),
        RecordBody::Connect(Connect::Uds) => "UDSConnect",
        RecordBody::Connect(Connect::WebSocket) => "WebSocketConnect",
        RecordBody::Connect(_) => "another Connect",
        RecordBody::Disconnect { .. } => "Disconnect",
        RecordBody::Session { .. } => "Session",
    };
    w.inbox.remove(&conn).unwrap_or_default().into_iter().map(name).collect()
}

#[test]
fn a_connect_record_goes_first_after_each_disconnect_record() {
    // R-MTP.8: whoever sent it, on a channel that stays open.
    // Over WebSocket nobody knows it.
    let websocket = (MtpKind::WebSocket, "WebSocketConnect", "Error");
    for (mtp, connect, answer) in [(MtpKind::Uds, "UDSConnect", "GetResp"), websocket] {
        let mut w = World::new();
        let c = w.connect(mtp, Side::Agent, "self::c", true);
        assert_eq!(heard(&mut w, c), [connect]);
        let leaves = Record::disconnect(endpoint("self::c"), endpoint(BROKER), ErrCode(0), "");
        let session = Record { body: RecordBody::Session { session_id: 1 }, ..leaves.clone() };
        for (record, answered) in [(session, &["Disconnect"][..]), (leaves, &[])] {
            w.input(Input::Record { conn: c, record: Box::new(record) });
            assert_eq!(heard(&mut w, c), answered);
            w.begin(c, get(&["Device.DeviceInfo."], 0));
            assert_eq!(heard(&mut w, c), [connect, answer]);
            w.begin(c, get(&["Device.DeviceInfo."], 0));
            assert_eq!(heard(&mut w, c), [answer]);
        }
    }
}

#[test]
fn a_record_that_cannot_be_used_is_answered() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let bad = |from: &str, to: &str| BadRecord {
        from: endpoint(from),
        to: endpoint(to),
        msg_id: "m".to_owned(),
        code: ErrCode::INVALID_ARGUMENTS,
        text: "no body".to_owned(),
    };
    w.input(Input::BadRecord { conn: c, bad: bad("self::c", BROKER) });
    assert_eq!(text::loud(&w.answer(c, "m").unwrap()), "Error 7004 no body");
    for other in [bad("self::x", BROKER), bad("self::c", "os::000000-x")] {
        w.input(Input::BadRecord { conn: c, bad: other });
        assert!(w.answer(c, "m").is_none());
    }
}

#[test]
fn everybody_is_told_of_the_end() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.records(c);
    w.records(s);
    w.input(Input::Shutdown);
    for conn in [c, s] {
        assert!(matches!(&w.records(conn)[..], [RecordBody::Disconnect { code: 7105, .. }]));
        assert!(w.closed.contains(&(conn, CloseReason::Shutdown)));
    }
    assert_eq!(w.broker.pending(), 0);
}

/// R-MTP.7, R-MTP.9
#[test]
fn whoever_is_turned_out_is_told_why_by_a_record() {
    let goodbyes = |w: &mut World, conn| -> Vec<(u32, String)> {
        let records = w.records(conn).into_iter();
        let code_and_text = records.filter_map(|record| match record {
            RecordBody::Disconnect { code, reason } => Some((code, reason)),
            _ => None,
        });
        code_and_text.collect()
    };
    let mut w = World::new();
    let admin = w.controller("self::admin");
    let (c, s) = (w.controller("self::c"), w.lamp("self::lamp", "Device.X_Lamp."));
    w.set(admin, "Device.LocalAgent.Controller.2.", &["Enable=false"]);
    assert_eq!(goodbyes(&mut w, c), [(7105, "this Controller was disabled or deleted".to_owned())]);
    assert!(w.closed.iter().any(|(conn, _)| *conn == c));
    let first = w.connect(MtpKind::WebSocket, Side::Agent, "self::w", true);
    let second = w.connect(MtpKind::WebSocket, Side::Agent, "self::w", true);
    assert!(goodbyes(&mut w, first)[0].1.contains("newer connection"));
    assert!(goodbyes(&mut w, second).is_empty());
    w.connect(MtpKind::WebSocket, Side::Controller, "self::lamp", true);
    assert!(goodbyes(&mut w, s)[0].1.contains("another connection"));
    let other =
        Record::message(endpoint("self::x"), endpoint(BROKER), message::request("m", get(&["Device."], 0)));
    w.input(Input::Record { conn: second, record: Box::new(other) });
    assert_eq!(goodbyes(&mut w, second)[0].0, 7104, "a Record in another's name");
    // Who was never let in hears it from the transport.
    let twin = w.connect(MtpKind::Uds, Side::Agent, "self::admin", true);
    assert!(w.closed.iter().any(|(conn, _)| *conn == twin) && goodbyes(&mut w, twin).is_empty());
}

#[test]
fn what_comes_for_a_connection_that_is_gone_or_unknown_is_ignored() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let id = w.begin(c, get(&["Device."], 0));
    w.disconnect(c);
    assert!(w.answer(c, &id).is_some());
    let record = Box::new(Record::disconnect(endpoint("self::c"), endpoint(BROKER), ErrCode(0), ""));
    w.input(Input::Record { conn: c, record: record.clone() });
    w.input(Input::Record { conn: ConnId(999), record });
    w.input(Input::Disconnected { conn: ConnId(999), reason: String::new() });
    w.input(Input::Stored { batch: usp_core::output::BatchId(999), result: Ok(()) });
}

#[test]
fn more_peers_than_allowed_are_turned_away() {
    let mut config = crate::bench::config();
    config.limits.max_services = 1;
    config.limits.max_controllers = 2;
    let mut w = World::with(config);
    w.lamp("self::lamp", "Device.X_Lamp.");
    let s = w.connect(MtpKind::Uds, Side::Controller, "self::more", true);
    assert!(
        matches!(w.closed.last(), Some((conn, CloseReason::Limit(why))) if *conn == s && why.contains("max_services"))
    );
    let first = w.controller("self::a");
    w.controller("self::b");
    let third = w.controller("self::c");
    assert!(
        matches!(w.closed.last(), Some((conn, CloseReason::Limit(why))) if *conn == third && why.contains("max_controllers"))
    );
    w.disconnect(first);
    let c = w.controller("self::c");
    assert_eq!(w.get(c, "Device.DeviceInfo.ModelName"), "Device.DeviceInfo.ModelName=Hub");
}
