//! The client against Agents made of a few lines here.
#![expect(clippy::result_large_err, reason = "the upgrade callback's signature is the library's")]

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::Message;
use usp_proto::err_code::ErrCode;
use usp_proto::message;
use usp_proto::record::{Connect, Record};
use usp_proto::uds_frame::{self, Tlv};
use usp_proto::usp::notify::{Notification, ObjectDeletion};
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{Get, Notify, Set};

use super::fake::{Peer, agent, controller, echo, message_in, socket};
use super::{Client, ConnectError, Options, RequestError, Via};

fn options(via: Via) -> Options {
    let (timeout, patience) = (Duration::from_secs(5), Duration::from_secs(5));
    Options { timeout, patience, ..Options::new(via, controller()) }
}

fn get(path: &str) -> ReqType {
    ReqType::Get(Get { param_paths: vec![path.to_owned()], max_depth: 0 })
}

/// The one path that a Get asked for, or a GetResp is about.
fn path_of(response: RespType) -> String {
    match response {
        RespType::GetResp(response) => response.req_path_results[0].requested_path.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn answers_find_their_requests_in_any_order() {
    let (_dir, via) = socket(async |mut peer: Peer| {
        peer.greet().await;
        let (one, two) = (peer.message().await, peer.message().await);
        peer.send(echo(&two)).await;
        peer.send(echo(&one)).await;
        peer.part().await;
    });
    let (client, _notifications) = Client::connect(&options(via)).await.unwrap();
    assert_eq!(*client.agent(), agent());
    let (one, two) = tokio::join!(client.request(get("Device.One.")), client.request(get("Device.Two.")));
    assert_eq!(path_of(one.unwrap()), "Device.One.");
    assert_eq!(path_of(two.unwrap()), "Device.Two.");
    client.close().await;
}

#[tokio::test]
async fn a_notification_is_answered_and_passed_on() {
    let (_dir, via) = socket(async |mut peer: Peer| {
        peer.greet().await;
        let gone = ObjectDeletion { obj_path: "Device.A.1.".into() };
        let notify = Notify {
            subscription_id: "s".into(),
            send_resp: true,
            notification: Some(Notification::ObjDeletion(gone)),
        };
        peer.send(message::request("n1", ReqType::Notify(notify))).await;
        let response = peer.message().await;
        assert_eq!((message::msg_id(&response), message::name(&response)), ("n1", "NotifyResp"));
        peer.send(message::request("g1", get("Device."))).await;
        let error = peer.message().await;
        assert_eq!((message::msg_id(&error), message::name(&error)), ("g1", "Error"));
        let goodbye = Record::disconnect(agent(), controller(), ErrCode(0), "off to bed");
        peer.write(&uds_frame::record(&goodbye.encode())).await;
        peer.part().await;
    });
    let (client, mut notifications) = Client::connect(&options(via)).await.unwrap();
    let notify = notifications.next().await.unwrap();
    assert_eq!(notify.subscription_id, "s");
    let end = notifications.next().await.unwrap_err().to_string();
    assert_eq!(end, "the connection ended: the Agent said goodbye: off to bed");
    assert_eq!(client.request(get("Device.")).await.unwrap_err().to_string(), end);
}

#[tokio::test]
async fn an_error_message_is_the_answer() {
    let (_dir, via) = socket(async |mut peer: Peer| {
        peer.greet().await;
        let msg = peer.message().await;
        let refusal =
            message::error(message::msg_id(&msg), ErrCode::PERMISSION_DENIED, "not for you", Vec::new());
        peer.send(refusal).await;
        peer.part().await;
    });
    let (client, _notifications) = Client::connect(&options(via)).await.unwrap();
    match client.request(get("Device.")).await {
        Err(RequestError::Refused(error)) => {
            assert_eq!((error.err_code, error.err_msg.as_str()), (7006, "not for you"))
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn silence_ends_at_the_deadline_and_hurts_nobody_else() {
    let (_dir, via) = socket(async |mut peer: Peer| {
        peer.greet().await;
        let _unanswered = peer.message().await;
        let msg = peer.message().await;
        peer.send(echo(&msg)).await;
        peer.part().await;
    });
    let options = Options { timeout: Duration::from_millis(300), ..options(via) };
    let (client, _notifications) = Client::connect(&options).await.unwrap();
    assert!(matches!(client.request(get("Device.A.")).await, Err(RequestError::TimedOut(..))));
    assert_eq!(path_of(client.request(get("Device.B.")).await.unwrap()), "Device.B.");
}

/// A write may wait for a device that sleeps, longer than we do.
#[tokio::test]
async fn who_gives_a_change_up_is_told_that_it_may_yet_be_done() {
    let (_dir, via) = socket(async |mut peer: Peer| {
        peer.greet().await;
        let _unanswered = (peer.message().await, peer.message().await);
        peer.part().await;
    });
    let (timeout, patience) = (Duration::from_millis(200), Duration::from_millis(300));
    let options = Options { timeout, patience, ..options(via) };
    let (client, _notifications) = Client::connect(&options).await.unwrap();
    let asked = client.request(get("Device.A.")).await.unwrap_err().to_string();
    assert_eq!(asked, "the Agent did not answer within 0.2 s");
    let set = ReqType::Set(Set { allow_partial: false, update_objs: Vec::new() });
    let told = client.request(set).await.unwrap_err().to_string();
    for word in ["did not answer within 0.3 s", "may yet be", "`get`", "`watch`", "--timeout"] {
        assert!(told.contains(word), "{word}: {told}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_usp_end_the_connection_with_a_word() {
    let (_dir, via) = socket(async |mut peer: Peer| {
        peer.greet().await;
        peer.write(b"HTTP/1.1 200 OK\r\n").await;
        let Some(Tlv::Error(text)) = peer.part().await else { panic!("no Error frame") };
        assert!(text.contains("_USP"));
    });
    let (client, _notifications) = Client::connect(&options(via)).await.unwrap();
    let error = client.request(get("Device.")).await.unwrap_err().to_string();
    assert!(error.contains("what came is not USP"), "{error}");
}

#[tokio::test]
async fn an_error_frame_instead_of_the_handshake_is_shown() {
    let (_dir, via) = socket(async |mut peer: Peer| {
        peer.part().await;
        peer.write(&uds_frame::error("self::ctrl%21 is connected already")).await;
    });
    let error = Client::connect(&options(via)).await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::Refused { reason, .. } if reason.contains("connected already")),
        "{error}"
    );
}

#[tokio::test]
async fn the_reason_of_a_closed_connection_is_found_after_writing_to_it_failed() {
    let (closed, is_closed) = tokio::sync::oneshot::channel();
    let (_dir, via) = socket(async |mut peer: Peer| {
        peer.greet().await;
        peer.write(&uds_frame::error("no room")).await;
        drop(peer);
        closed.send(()).unwrap();
    });
    let (client, _notifications) = Client::connect(&options(via)).await.unwrap();
    is_closed.await.unwrap();
    let error = client.request(get("Device.")).await.unwrap_err().to_string();
    assert_eq!(error, "the connection ended: the Agent refuses it: no room");
}

#[tokio::test]
async fn a_place_where_nobody_listens_is_named_with_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let via = Via::Uds(dir.path().join("agent"));
    let error = Client::connect(&options(via.clone())).await.unwrap_err().to_string();
    assert!(
        error.contains(&format!("nothing listens at {via}")) && error.contains("usp-broker demo"),
        "{error}"
    );
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let via: Via = format!("ws://{unused}/usp").parse().unwrap();
    assert!(matches!(Client::connect(&options(via)).await, Err(ConnectError::NobodyListens(_))));
}

#[tokio::test]
async fn an_agent_that_never_introduces_itself_is_given_up() {
    let (_dir, via) = socket(async |mut peer: Peer| {
        peer.part().await;
        peer.part().await;
    });
    let options = Options { timeout: Duration::from_millis(50), ..options(via) };
    let error = Client::connect(&options).await.unwrap_err().to_string();
    assert!(error.contains("the Agent's Handshake did not come within 0.05 s"), "{error}");
}

/// What a WebSocket Agent says in its answer to the upgrade.
#[derive(Clone, Copy, PartialEq)]
enum Upgrade {
    ConnectRecord,
    Extension,
    NoSubprotocol,
    NotFound,
}

fn upgrade(kind: Upgrade, request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    assert_eq!(request.uri().to_string(), "/usp?eid=self::ctrl%2521");
    if kind == Upgrade::NotFound {
        return Err(tokio_tungstenite::tungstenite::http::Response::builder()
            .status(404)
            .body(None)
            .unwrap());
    }
    let headers = response.headers_mut();
    if kind != Upgrade::NoSubprotocol {
        headers.insert("Sec-WebSocket-Protocol", HeaderValue::from_static("v1.usp"));
    }
    if kind == Upgrade::Extension {
        let value = usp_proto::websocket::extension_header(&agent());
        headers.insert("Sec-WebSocket-Extensions", value.parse().unwrap());
    }
    Ok(response)
}

async fn websocket_agent(kind: Upgrade) -> Via {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let via = format!("ws://{}/usp", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let callback = move |request: &Request, response| upgrade(kind, request, response);
        let Ok(mut stream) = accept_hdr_async(stream, callback).await else { return };
        if kind == Upgrade::ConnectRecord {
            let connect = Record::connect(agent(), controller(), Connect::WebSocket);
            stream.send(Message::Binary(connect.encode().into())).await.unwrap();
        }
        stream.send(Message::Ping("are you there".into())).await.unwrap();
        while let Some(Ok(message)) = stream.next().await {
            if let Message::Binary(bytes) = message {
                let answer = Record::message(agent(), controller(), echo(&message_in(&bytes)));
                stream.send(Message::Binary(answer.encode().into())).await.unwrap();
            }
        }
    });
    via
}

#[tokio::test]
async fn websocket_learns_the_agent_from_either_source() {
    for kind in [Upgrade::ConnectRecord, Upgrade::Extension] {
        let via = websocket_agent(kind).await;
        let (client, _notifications) = Client::connect(&options(via)).await.unwrap();
        assert_eq!(*client.agent(), agent());
        assert_eq!(path_of(client.request(get("Device.A.")).await.unwrap()), "Device.A.");
        client.close().await;
    }
}

#[tokio::test]
async fn websocket_refusals_are_told_apart() {
    let via = websocket_agent(Upgrade::NoSubprotocol).await;
    assert!(matches!(Client::connect(&options(via)).await, Err(ConnectError::Subprotocol(_))));
    let via = websocket_agent(Upgrade::NotFound).await;
    let error = Client::connect(&options(via)).await.unwrap_err().to_string();
    assert!(error.contains("HTTP 404") && error.contains("/usp"), "{error}");
}
