use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use usp_core::input::{MtpKind, Side};
use usp_core::output::CloseReason;
use usp_proto::uds_frame::{self, Frame, FrameDecoder, Tlv};

use super::*;
use crate::config::EdgeLimits;
use crate::mtp::testing::{Bench, PATIENCE, hello, id, long};

struct Peer {
    stream: UnixStream,
    decoder: FrameDecoder,
}

impl Peer {
    async fn connect(path: &Path) -> Self {
        Self { stream: UnixStream::connect(path).await.unwrap(), decoder: FrameDecoder::new(1 << 24) }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next frame's one part; `None`: the broker has closed.
    async fn next(&mut self) -> Option<Tlv> {
        tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(Frame { tlvs }) = self.decoder.next().unwrap() {
                    return tlvs.into_iter().next();
                }
                let mut chunk = [0; 4096];
                match self.stream.read(&mut chunk).await.unwrap_or(0) {
                    0 => return None,
                    count => self.decoder.push(&chunk[..count]),
                }
            }
        })
        .await
        .expect("something from the broker")
    }

    async fn shaken(path: &Path, name: &str) -> Self {
        let mut peer = Self::connect(path).await;
        peer.send(&uds_frame::handshake(&id(name))).await;
        assert_eq!(peer.next().await, Some(Tlv::Handshake("proto::broker".to_owned())));
        peer
    }

    async fn refused(&mut self, expected: &str) {
        match self.next().await {
            Some(Tlv::Error(text)) => assert!(text.contains(expected), "{text}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(self.next().await, None);
    }
}

fn listening(limits: EdgeLimits) -> (Bench, PathBuf, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent");
    let bench = Bench::new(limits);
    let socket = Socket::bind(&path, 0o660, Side::Agent).unwrap();
    tokio::spawn(socket.serve(bench.gateway.clone()));
    (bench, path, dir)
}

#[tokio::test]
async fn shakes_hands_and_carries_records_both_ways() {
    let (mut bench, path, _dir) = listening(EdgeLimits::default());
    let mut peer = Peer::shaken(&path, "proto::c1").await;
    let (conn, link, outbox) = bench.up().await;
    assert_eq!(
        (link.mtp, link.side, link.peer, link.trusted),
        (MtpKind::Uds, Side::Agent, id("proto::c1"), true)
    );

    // Two Records in one frame with an unknown part and a second Handshake between them (R-UDS.15, R-UDS.19).
    let record = hello("proto::c1");
    let tlvs = vec![
        Tlv::Record(record.encode()),
        Tlv::Unknown { kind: 77 },
        Tlv::Handshake("proto::other".to_owned()),
        Tlv::Record(record.encode()),
    ];
    peer.send(&Frame { tlvs }.encode()).await;
    assert_eq!((bench.record().await, bench.record().await), (record.clone(), record));

    let answer = long(300_000);
    outbox.push(answer.clone(), None, 0).unwrap();
    outbox.push(hello("proto::x"), None, 0).unwrap();
    assert_eq!(peer.next().await, Some(Tlv::Record(answer.encode())));
    assert_eq!(peer.next().await, Some(Tlv::Record(hello("proto::x").encode())));

    drop(peer);
    assert_eq!(bench.down(conn).await, "closed by the peer");
}

#[tokio::test]
async fn records_before_the_handshake_are_ignored() {
    let (mut bench, path, _dir) = listening(EdgeLimits::default());
    let mut peer = Peer::connect(&path).await;
    peer.send(&uds_frame::record(&hello("proto::c1").encode())).await;
    // In pieces: any split of the stream will do.
    for byte in uds_frame::handshake(&id("proto::c1")) {
        peer.send(&[byte]).await;
    }
    assert!(matches!(peer.next().await, Some(Tlv::Handshake(_))));
    bench.up().await;
    assert!(bench.events.is_empty());
}

#[tokio::test]
async fn bad_handshakes_are_answered_with_an_error() {
    let (bench, path, _dir) = listening(EdgeLimits::default());
    let mut peer = Peer::connect(&path).await;
    peer.send(&Frame::of(Tlv::Handshake("nobody".to_owned())).encode()).await;
    peer.refused("handshake failed").await;
    let mut peer = Peer::connect(&path).await;
    peer.send(b"GET / HTTP/1.1\r\n\r\n").await;
    peer.refused("_USP").await;
    assert!(bench.events.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_says_nothing_is_sent_away() {
    let (_bench, path, _dir) =
        listening(EdgeLimits { handshake_timeout: Duration::from_secs(3), ..Default::default() });
    Peer::connect(&path).await.refused("no handshake within 3 s").await;
}

#[tokio::test]
async fn garbage_ends_the_connection_with_an_error() {
    let limits = EdgeLimits { max_record_bytes: 1000, ..EdgeLimits::default() };
    let cases: [(Vec<u8>, &str); 4] = [
        (b"nonsense".to_vec(), "unreadable frame"),
        (uds_frame::record(&[0xff; 40]), "not a USP Record"),
        (uds_frame::record(&[0; 1001]), "longer than max_record_bytes (1000)"),
        (b"_USP\xff\xff\xff\xff".to_vec(), "longer than max_record_bytes (1000)"),
    ];
    let (mut bench, path, _dir) = listening(limits);
    for (bytes, expected) in cases {
        let mut peer = Peer::shaken(&path, "proto::c1").await;
        let (conn, ..) = bench.up().await;
        peer.send(&bytes).await;
        peer.refused(expected).await;
        let reason = bench.down(conn).await;
        assert!(reason.contains(expected), "{reason}");
    }
}

#[tokio::test]
async fn an_error_frame_from_the_peer_ends_the_connection() {
    let (mut bench, path, _dir) = listening(EdgeLimits::default());
    let mut peer = Peer::shaken(&path, "proto::c1").await;
    let (conn, ..) = bench.up().await;
    peer.send(&uds_frame::error(&format!("I give up\n{}", "!".repeat(100_000)))).await;
    assert_eq!(peer.next().await, None);
    let reason = bench.down(conn).await;
    assert!(reason.starts_with("closed by the peer: I give up\\n!!!") && reason.len() < 300, "{reason}");
}

#[tokio::test]
async fn a_second_connection_of_an_endpoint_is_told() {
    let (mut bench, path, _dir) = listening(EdgeLimits::default());
    let mut peer = Peer::shaken(&path, "proto::c1").await;
    let (conn, _, outbox) = bench.up().await;
    outbox.push(hello("proto::last"), None, 0).unwrap();
    outbox.close(CloseReason::EndpointInUse);
    assert!(matches!(peer.next().await, Some(Tlv::Record(_))), "what waits is still sent");
    peer.refused("in use").await;
    bench.down(conn).await;
}

#[tokio::test]
async fn a_peer_that_does_not_read_loses_its_connection_alone() {
    let limits = EdgeLimits { max_outbox_records: 4, ..EdgeLimits::default() };
    let (mut bench, path, _dir) = listening(limits);
    let _stuck = Peer::shaken(&path, "proto::stuck").await;
    let (conn, _, outbox) = bench.up().await;
    let mut other = Peer::shaken(&path, "proto::other").await;
    let (_, _, healthy) = bench.up().await;
    while outbox.push(long(1_000_000), None, 0).is_ok() {
        tokio::task::yield_now().await;
    }
    let reason = bench.down(conn).await;
    assert!(reason.contains("does not read"), "{reason}");
    healthy.push(hello("proto::x"), None, 0).unwrap();
    assert!(matches!(other.next().await, Some(Tlv::Record(_))));
}

#[tokio::test]
async fn there_are_places_for_so_many() {
    let (mut bench, path, _dir) = listening(EdgeLimits { max_connections: 1, ..EdgeLimits::default() });
    let first = Peer::shaken(&path, "proto::c1").await;
    let (conn, ..) = bench.up().await;
    let mut second = Peer::connect(&path).await;
    second.send(&uds_frame::handshake(&id("proto::c2"))).await;
    second.refused("too many connections").await;
    drop(first);
    bench.down(conn).await;
}

#[tokio::test]
async fn who_says_nothing_keeps_nobody_out() {
    let limits = EdgeLimits { max_handshakes: 2, max_connections: 1, ..EdgeLimits::default() };
    let (mut bench, path, _dir) = listening(limits);
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push(Peer::connect(&path).await);
    }
    let _peer = Peer::shaken(&path, "proto::c1").await;
    bench.up().await;
    assert_eq!(silent[0].next().await, None, "the oldest had to go");
}

#[tokio::test]
async fn the_file_of_a_dead_process_is_replaced_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let socket = Socket::bind(&path, 0o600, Side::Agent).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let error = Socket::bind(&path, 0o600, Side::Agent).unwrap_err();
    assert!(matches!(error, BindError::InUse(_)), "{error}");
    assert!(error.to_string().contains(path.to_str().unwrap()));
    drop(socket);
    assert!(!path.exists(), "removed with the socket");

    fs::write(&path, "precious").unwrap();
    assert!(matches!(Socket::bind(&path, 0o600, Side::Agent).unwrap_err(), BindError::NotASocket(_)));
    let folder = dir.path().join("run/agent");
    Socket::bind(&folder, 0o600, Side::Agent).unwrap();
    let nowhere = dir.path().join("none/none/agent");
    let error = Socket::bind(&nowhere, 0o600, Side::Agent).unwrap_err().to_string();
    assert!(error.contains("none/agent: No such file"), "{error}");
}
