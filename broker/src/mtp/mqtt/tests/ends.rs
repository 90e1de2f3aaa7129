//! How connections end, and hostile servers.

use super::*;

/// TP-469 11.16, R-MQTT.33: the first retry comes between the retry time and its multiple.
#[tokio::test]
async fn a_lost_connection_is_made_anew_after_the_retry_time() {
    let mut stage = Stage::new().await;
    stage.run(MqttSettings { retry_time: 1, retry_multiplier: 1500, ..stage.settings() });
    let (mut peer, ..) = stage.up(Vec::new()).await;
    stage.subscribed(&mut peer).await;
    let start = Instant::now();
    // DISCONNECT: Server shutting down.
    peer.send(&[0xe0, 2, 0x8b, 0]).await.unwrap();
    let (status, reason) = stage.down().await;
    assert_eq!(status, MqttFailure::Lost);
    assert!(reason.contains("server shutting down"), "{reason}");
    stage.connected().await;
    let passed = start.elapsed().as_secs_f64();
    assert!((1.0..2.5).contains(&passed), "{passed}");
}

/// R-MQTT.35: what waits gets out, then DISCONNECT; nothing is told afterwards.
#[tokio::test]
async fn stopping_sends_what_waits_and_says_goodbye() {
    let mut stage = Stage::new().await;
    stage.run(stage.settings());
    let (mut peer, ..) = stage.up(Vec::new()).await;
    stage.subscribed(&mut peer).await;
    stage.publish(hello("proto::ctrl"), 1, None);
    stage.publish(hello("proto::ctrl"), 0, None);
    let goodbye = async {
        let mut seen = Vec::new();
        for _ in 0..2 {
            seen.push(peer.publication().await.unwrap().qos);
        }
        (seen, packet(&mut peer).await, packet(&mut peer).await)
    };
    let (seen, ()) = tokio::join!(goodbye, stage.clients.close());
    assert_eq!(seen, (vec![1, 0], Some(Packet::Disconnect { code: 0 }), None));
    drop(stage.clients);
    drop(stage.bench.gateway);
    assert!(stage.bench.events.recv().await.is_none());
}

#[tokio::test]
async fn stopping_takes_no_longer_than_the_time_for_goodbyes() {
    let mut stage = Stage::new().await;
    stage.run(stage.settings());
    let (mut peer, ..) = stage.up(Vec::new()).await;
    stage.subscribed(&mut peer).await;
    // Never acknowledged.
    stage.publish(hello("proto::ctrl"), 1, None);
    timeout(Duration::from_secs(6), stage.clients.close()).await.expect("an end");
}

/// ForceReconnect(), and other settings.
#[tokio::test]
async fn reconnecting_says_goodbye_and_comes_back_at_once() {
    let mut stage = Stage::new().await;
    stage.run(MqttSettings { retry_time: 3600, ..stage.settings() });
    let (mut peer, ..) = stage.up(Vec::new()).await;
    stage.clients.order(MqttOrder::Reconnect { client: 1 }, 0);
    assert_eq!(packet(&mut peer).await, Some(Packet::Disconnect { code: 0 }));
    assert_eq!(stage.down().await.0, MqttFailure::Lost);
    let (mut peer, ..) = stage.up(Vec::new()).await;
    stage.run(MqttSettings { retry_time: 3600, keep_alive: 5, ..stage.settings() });
    assert_eq!(packet(&mut peer).await, Some(Packet::Disconnect { code: 0 }));
    assert_eq!(stage.down().await.0, MqttFailure::Lost);
    let (_, connect, _) = stage.up(Vec::new()).await;
    assert_eq!(connect.keep_alive, 5);
    assert_eq!(connect.client_id, "hub1");
}

/// TP-469 11.7, and a server that is silent.
#[tokio::test]
async fn pings_come_in_time_and_a_silent_server_is_left() {
    let mut stage = Stage::new().await;
    stage.run(MqttSettings { keep_alive: 1, ..stage.settings() });
    let (mut peer, ..) = stage.up(Vec::new()).await;
    let start = Instant::now();
    assert_eq!(peer.packet().await.unwrap(), Some(Packet::Pingreq));
    assert!(start.elapsed() < Duration::from_millis(1500));
    let (status, reason) = stage.down().await;
    assert_eq!((status, reason.as_str()), (MqttFailure::Lost, "the server answers no ping"));
}

/// Only the newest of what may be merged waits, and a server that acknowledges nothing costs a bounded amount of memory.
#[tokio::test]
async fn a_server_that_takes_nothing_is_left_when_the_outbox_is_full() {
    let limits = EdgeLimits { max_outbox_records: 10, max_outbox_bytes: 10 << 20, ..EdgeLimits::default() };
    let mut stage = Stage::with(limits).await;
    stage.run(stage.settings());
    let (mut peer, ..) = stage.up(Vec::new()).await;
    stage.subscribed(&mut peer).await;
    stage.publish(long(2 << 20), 1, None);
    let read = peer.packet().await.unwrap();
    assert!(matches!(read, Some(Packet::Publish(_))));
    for _ in 0..100 {
        stage.publish(hello("proto::ctrl"), 1, Some(1));
    }
    for _ in 0..10 {
        stage.publish(hello("proto::ctrl"), 1, None);
    }
    let (status, reason) = stage.down().await;
    assert_eq!(status, MqttFailure::Lost);
    assert!(reason.contains("max_outbox_records"), "{reason}");
}

/// A packet longer than any Record may be ends the connection, or is not even read.
#[tokio::test]
async fn a_server_cannot_send_more_than_the_bound() {
    for version in [MqttVersion::V5, MqttVersion::V311] {
        let limits = EdgeLimits { max_record_bytes: 4096, ..EdgeLimits::default() };
        let mut stage = Stage::with(limits).await;
        stage.run(MqttSettings { version, ..stage.settings() });
        let (mut peer, ..) = stage.up(Vec::new()).await;
        stage.subscribed(&mut peer).await;
        // A good packet with a Record over the limit is dropped alone.
        let publish = Publish { payload: long(5000).encode(), ..from_controller(Vec::new()) };
        peer.say(&Packet::Publish(publish)).await.unwrap();
        // 250 MB are announced, and not waited for.
        peer.send(&[0x30, 0xff, 0xff, 0xff, 0x77, 0, 1, b'a']).await.unwrap();
        assert_eq!(stage.down().await.0, MqttFailure::Lost);
    }
}

/// Whatever a server says, the client goes on.
#[tokio::test]
async fn noise_ends_one_connection_only() {
    let mut stage = Stage::new().await;
    stage.run(stage.settings());
    for noise in
        [&b"\x20\x00"[..], b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x30\x02\x00\x00", b"\xff\xff\xff\xff\xff"]
    {
        let (mut peer, _) = stage.connected().await;
        peer.send(noise).await.unwrap();
        drop(peer);
        stage.down().await;
    }
    for noise in [
        &b"\x20\x03\x00\x00\x00"[..],
        b"\x40\x02\x12\x34",
        b"\x90\x04\x00\x63\x00\x00",
        b"\x62\x02\x00\x09",
        b"\x00\x00",
    ] {
        let (mut peer, ..) = stage.up(Vec::new()).await;
        peer.send(noise).await.unwrap();
        drop(peer);
        stage.down().await;
    }
    let (mut peer, ..) = stage.up(Vec::new()).await;
    stage.subscribed(&mut peer).await;
}
