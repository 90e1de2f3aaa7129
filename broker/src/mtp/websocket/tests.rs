use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use usp_core::input::{MtpKind, Side};
use usp_core::output::CloseReason;

use super::*;
use crate::config::{EdgeLimits, WebSocketConfig};
use crate::mtp::testing::{Bench, PATIENCE, hello, id, long};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

fn config() -> WebSocketConfig {
    WebSocketConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        path: "/usp".to_owned(),
        insecure: false,
        keep_alive: Duration::from_secs(60),
        local_role: None,
    }
}

fn listening(config: &WebSocketConfig, limits: EdgeLimits) -> (Bench, SocketAddr) {
    let bench = Bench::new(limits);
    let server = Server::bind(config).unwrap();
    let address = server.address();
    tokio::spawn(server.serve(bench.gateway.clone()));
    (bench, address)
}

fn request(address: SocketAddr, resource: &str) -> Request<()> {
    let mut request = format!("ws://{address}{resource}").into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("v1.usp"));
    request
}

async fn connect(request: Request<()>) -> Result<(Socket, Response<Option<Vec<u8>>>), Error> {
    tokio::time::timeout(PATIENCE, tokio_tungstenite::connect_async(request)).await.expect("an answer")
}

async fn connected(address: SocketAddr, name: &str) -> Socket {
    connect(request(address, &format!("/usp?eid={name}"))).await.unwrap().0
}

async fn next(socket: &mut Socket) -> Message {
    tokio::time::timeout(PATIENCE, socket.next()).await.expect("something").expect("a message").unwrap()
}

async fn refused(request: Request<()>) -> (u16, String) {
    match connect(request).await {
        Err(Error::Http(response)) => {
            let text = String::from_utf8(response.body().clone().unwrap_or_default()).unwrap();
            (response.status().as_u16(), text)
        }
        other => panic!("{other:?}"),
    }
}

async fn closed(socket: &mut Socket, expected: CloseCode, text: &str) {
    match next(socket).await {
        Message::Close(Some(CloseFrame { code, reason })) => {
            assert_eq!(code, expected, "{reason}");
            assert!(reason.as_str().contains(text), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn carries_records_both_ways() {
    let (mut bench, address) = listening(&config(), EdgeLimits::default());
    let (mut socket, response) = connect(request(address, "/usp?x=1&eid=proto::c%2525")).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "v1.usp");
    assert!(response.headers().get("sec-websocket-extensions").is_none());
    let (conn, link, outbox) = bench.up().await;
    // R-WS.10c: one level of percent escapes belongs to the query.
    assert_eq!(
        (link.mtp, link.side, link.peer, link.trusted),
        (MtpKind::WebSocket, Side::Agent, id("proto::c%25"), true)
    );

    let record = hello("proto::c1");
    socket.send(Message::Binary(record.encode().into())).await.unwrap();
    assert_eq!(bench.record().await, record);
    let answer = long(300_000);
    outbox.push(answer.clone(), None, 0).unwrap();
    outbox.push(record.clone(), None, 0).unwrap();
    assert_eq!(next(&mut socket).await, Message::Binary(answer.encode().into()));
    assert_eq!(next(&mut socket).await, Message::Binary(record.encode().into()));

    socket.close(None).await.unwrap();
    assert_eq!(bench.down(conn).await, "closed by the peer");
}

/// The client library refuses an extension that it does not know: this is done by hand.
#[tokio::test]
async fn the_endpoint_id_may_come_by_the_older_extension() {
    let (mut bench, address) = listening(&config(), EdgeLimits::default());
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /usp HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: other, v1.usp\r\n\
         Sec-WebSocket-Extensions: permessage-deflate, bbf-usp-protocol; eid=\"proto::old\"\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(bench.up().await.1.peer, id("proto::old"));
    let mut response = vec![0; 1000];
    let count = stream.read(&mut response).await.unwrap();
    let response = String::from_utf8_lossy(&response[..count]).to_lowercase();
    assert!(response.starts_with("http/1.1 101"), "{response}");
    assert!(
        response.contains("\r\nsec-websocket-extensions: bbf-usp-protocol; eid=\"proto::broker\"\r\n"),
        "{response}"
    );
}

#[tokio::test]
async fn wrong_requests_are_refused_in_words() {
    let (bench, address) = listening(&config(), EdgeLimits::default());
    let (status, text) = refused(request(address, "/other?eid=proto::c1")).await;
    assert_eq!((status, text.as_str()), (404, "there is nothing at this path; USP is at /usp\n"));
    let (status, text) = refused(request(address, "/usp")).await;
    assert!(status == 400 && text.contains("?eid="), "{text}");
    let (status, text) = refused(request(address, "/usp?eid=nobody")).await;
    assert!(status == 400 && text.contains("eid"), "{text}");

    let mut without = request(address, "/usp?eid=proto::c1");
    without.headers_mut().remove("Sec-WebSocket-Protocol");
    let (status, text) = refused(without).await;
    assert!(status == 400 && text.contains("v1.usp"), "{text}");
    let mut page = request(address, "/usp?eid=proto::c1");
    page.headers_mut().insert("Origin", HeaderValue::from_static("https://evil.example"));
    assert_eq!(refused(page).await.0, 403);
    assert!(bench.events.is_empty());
}

fn page(address: SocketAddr, host: &str, origin: Option<&str>) -> Request<()> {
    let mut page = request(address, "/usp?eid=proto::c1");
    page.headers_mut().insert("Host", HeaderValue::from_str(host).unwrap());
    if let Some(origin) = origin {
        page.headers_mut().insert("Origin", HeaderValue::from_str(origin).unwrap());
    }
    page
}

async fn welcome(bench: &mut Bench, page: Request<()>) {
    let (socket, _) = connect(page).await.unwrap();
    let (conn, ..) = bench.up().await;
    drop(socket);
    bench.down(conn).await;
}

#[tokio::test]
async fn a_page_of_this_machine_is_welcome_and_no_other() {
    let (mut bench, address) = listening(&config(), EdgeLimits::default());
    let here = address.to_string();
    for origin in
        ["http://localhost:3000", "http://127.0.0.1", "https://[::1]:8443", &format!("http://{here}")]
    {
        welcome(&mut bench, page(address, &here, Some(origin))).await;
        welcome(&mut bench, page(address, "LOCALHOST", Some(origin))).await;
    }
    let foreign =
        ["null", "", "file://", "http://evil.example", "http://127.0.0.1.evil.example", "http://192.0.2.7"];
    for origin in foreign.into_iter().chain(["http://localhost.evil.example:80", "evil.example"]) {
        assert_eq!(refused(page(address, &here, Some(origin))).await.0, 403, "{origin}");
    }
    assert!(bench.events.is_empty());
}

#[tokio::test]
async fn a_name_that_was_made_to_lead_to_loopback_is_refused() {
    let (mut bench, address) = listening(&config(), EdgeLimits::default());
    let host = format!("evil.example:{}", address.port());
    for origin in [Some(format!("http://{host}")), Some("http://localhost".to_owned()), None] {
        let (status, text) = refused(page(address, &host, origin.as_deref())).await;
        assert!(status == 421 && text.contains("localhost"), "{origin:?}: {status} {text}");
    }
    for host in ["localhost", "127.0.0.2:80", "[::1]:5683"] {
        welcome(&mut bench, page(address, host, None)).await;
    }
    assert!(bench.events.is_empty());
}

#[tokio::test]
async fn off_loopback_a_page_comes_from_the_address_that_it_speaks_to() {
    let open = WebSocketConfig { listen: SocketAddr::from(([0, 0, 0, 0], 0)), ..config() };
    let (mut bench, address) = listening(&open, EdgeLimits::default());
    let address = SocketAddr::from(([127, 0, 0, 1], address.port()));
    // A client that is no browser sends no Origin, and may call us by any name.
    welcome(&mut bench, page(address, "hub.example", None)).await;
    welcome(&mut bench, page(address, "192.0.2.1:5683", Some("http://192.0.2.1"))).await;
    let same_name = refused(page(address, "evil.example", Some("http://evil.example"))).await;
    let other_address = refused(page(address, "192.0.2.1", Some("http://192.0.2.2"))).await;
    assert_eq!((same_name.0, other_address.0), (403, 403));
}

#[tokio::test]
async fn what_is_no_record_closes_with_1003() {
    let (mut bench, address) = listening(&config(), EdgeLimits::default());
    for message in [Message::Text("{}".into()), Message::Binary(Bytes::from_static(&[0xff; 10]))] {
        let mut socket = connected(address, "proto::c1").await;
        let (conn, ..) = bench.up().await;
        socket.send(message).await.unwrap();
        closed(&mut socket, CloseCode::Unsupported, "not a USP Record").await;
        drop(socket);
        bench.down(conn).await;
    }
}

#[tokio::test]
async fn too_long_a_record_closes_with_1009() {
    let (mut bench, address) =
        listening(&config(), EdgeLimits { max_record_bytes: 1000, ..Default::default() });
    let mut socket = connected(address, "proto::c1").await;
    let (conn, ..) = bench.up().await;
    socket.send(Message::Binary(vec![0; 1001].into())).await.unwrap();
    closed(&mut socket, CloseCode::Size, "max_record_bytes (1000)").await;
    drop(socket);
    bench.down(conn).await;
}

#[tokio::test]
async fn each_close_has_its_code() {
    let (mut bench, address) = listening(&config(), EdgeLimits::default());
    let cases = [
        (CloseReason::Replaced, CloseCode::Policy, "newer connection"),
        (CloseReason::Limit("max_controllers".to_owned()), CloseCode::Policy, "max_controllers"),
        (CloseReason::Forbidden("was disabled".to_owned()), CloseCode::Policy, "was disabled"),
        (CloseReason::Protocol("é".repeat(200)), CloseCode::Protocol, "éé"),
        (CloseReason::Shutdown, CloseCode::Away, "shutting down"),
    ];
    for (why, code, text) in cases {
        let mut socket = connected(address, "proto::c1").await;
        let (conn, _, outbox) = bench.up().await;
        outbox.push(hello("proto::last"), None, 0).unwrap();
        outbox.close(why);
        assert!(matches!(next(&mut socket).await, Message::Binary(_)), "what waits is still sent");
        closed(&mut socket, code, text).await;
        drop(socket);
        bench.down(conn).await;
    }
}

#[tokio::test]
async fn answers_pings_and_sends_its_own() {
    let quick = WebSocketConfig { keep_alive: Duration::from_millis(500), ..config() };
    let (mut bench, address) = listening(&quick, EdgeLimits::default());
    let mut socket = connected(address, "proto::c1").await;
    bench.up().await;
    socket.send(Message::Ping(Bytes::from_static(b"are you there"))).await.unwrap();
    let (mut pongs, mut pings) = (0, 0);
    // Reading answers its pings, so it stays much longer than one keep-alive.
    while pings < 4 || pongs < 1 {
        match next(&mut socket).await {
            Message::Ping(_) => pings += 1,
            Message::Pong(content) => {
                assert_eq!(content, Bytes::from_static(b"are you there"));
                pongs += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(bench.events.is_empty());
}

#[tokio::test]
async fn a_silent_peer_is_dropped() {
    let quick = WebSocketConfig { keep_alive: Duration::from_millis(20), ..config() };
    let (mut bench, address) = listening(&quick, EdgeLimits::default());
    let _socket = connected(address, "proto::c1").await;
    let (conn, ..) = bench.up().await;
    // It does not read, so it answers no ping.
    let reason = bench.down(conn).await;
    assert!(reason.starts_with("no sign of life"), "{reason}");
}

#[tokio::test]
async fn there_are_places_for_so_many() {
    let (mut bench, address) =
        listening(&config(), EdgeLimits { max_connections: 1, ..EdgeLimits::default() });
    let _first = connected(address, "proto::c1").await;
    bench.up().await;
    assert_eq!(refused(request(address, "/usp?eid=proto::c2")).await.0, 503);
}

#[tokio::test]
async fn who_says_nothing_keeps_nobody_out() {
    let limits = EdgeLimits { max_handshakes: 2, max_connections: 1, ..EdgeLimits::default() };
    let (mut bench, address) = listening(&config(), limits);
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let _socket = connected(address, "proto::c1").await;
    bench.up().await;
    let end = tokio::time::timeout(PATIENCE, silent[0].read(&mut [0])).await.expect("the oldest had to go");
    assert_eq!(end.unwrap(), 0);
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let first = Server::bind(&config()).unwrap();
    let error = Server::bind(&WebSocketConfig { listen: first.address(), ..config() }).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("[websocket] listen = \"{}\": the port is in use", first.address())
    );
}

#[test]
fn off_loopback_nobody_is_trusted() {
    let open = WebSocketConfig { listen: SocketAddr::from(([0, 0, 0, 0], 0)), ..config() };
    assert!(!open.trusted() && config().trusted());
    assert!(WebSocketConfig { insecure: true, ..open }.trusted());
}
