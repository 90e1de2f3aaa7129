//! CONNECT, CONNACK and SUBSCRIBE.

use super::*;

/// TP-469 11.2, 11.7, 11.8; R-MQTT.6 to R-MQTT.14.
#[tokio::test]
async fn connect_says_what_the_settings_say() {
    let mut stage = Stage::new().await;
    let settings = MqttSettings {
        username: "hub".to_owned(),
        password: "secret".to_owned(),
        clean: false,
        session_expiry: 3600,
        keep_alive: 33,
        receive_maximum: Some(7),
        ..stage.settings()
    };
    stage.run(settings.clone());
    let (_, connect) = stage.connected().await;
    let plain = (connect.version, connect.clean, connect.keep_alive, connect.client_id.as_str());
    assert_eq!(plain, (5, false, 33, "hub1"));
    assert_eq!((connect.username.as_deref(), connect.password.as_deref()), (Some("hub"), Some("secret")));
    for property in [
        Property::User("usp-endpoint-id".to_owned(), "proto::broker".to_owned()),
        Property::Byte(Property::REQUEST_RESPONSE, 1),
        Property::Byte(Property::REQUEST_PROBLEM, 1),
        Property::Long(Property::SESSION_EXPIRY, 3600),
        Property::Short(Property::RECEIVE_MAXIMUM, 7),
    ] {
        assert!(connect.properties.contains(&property), "{property:?} in {connect:?}");
    }
    assert!(!format!("{settings:?} {:?}", stage.clients).contains("secret"));
}

/// TP-469 11.4, 11.5: the identifier of the server is told, kept, and used again (R-MQTT.9, R-MQTT.11).
#[tokio::test]
async fn an_assigned_identifier_is_kept() {
    let mut stage = Stage::new().await;
    let settings = MqttSettings { client_id: String::new(), ..stage.settings() };
    stage.run(settings.clone());
    let assigned = Property::Text(Property::ASSIGNED_CLIENT, "auto-1".to_owned());
    let (peer, connect, up) = stage.up(vec![assigned]).await;
    assert_eq!((connect.client_id.as_str(), up.client_id.as_str()), ("", "auto-1"));
    // The core keeps it in the row, which is no reason to connect anew.
    stage.run(MqttSettings { client_id: "auto-1".to_owned(), ..settings });
    drop(peer);
    assert_eq!(stage.down().await.0, MqttFailure::Lost);
    let (_, connect, up) = stage.up(Vec::new()).await;
    assert_eq!((connect.client_id.as_str(), up.client_id.as_str()), ("auto-1", "auto-1"));
}

/// TP-469 11.8: what CONNACK tells is told to the core (R-MQTT.12, R-MQTT.15).
#[tokio::test]
async fn connack_is_passed_on() {
    let mut stage = Stage::new().await;
    stage.run(stage.settings());
    let topic = |topic: &str| Property::User("subscribe-topic".to_owned(), topic.to_owned());
    let (_peer, _, up) = stage
        .up(vec![
            topic("a/#"),
            Property::Text(Property::RESPONSE_INFORMATION, "reply/hub1".to_owned()),
            topic("b"),
            Property::User("other".to_owned(), "c".to_owned()),
            Property::Byte(Property::MAXIMUM_QOS, 1),
            Property::Short(Property::SERVER_KEEP_ALIVE, 20),
        ])
        .await;
    let expected = MqttUp {
        client_id: "hub1".to_owned(),
        session_present: false,
        response_information: Some("reply/hub1".to_owned()),
        subscribe_topics: vec!["a/#".to_owned(), "b".to_owned()],
        maximum_qos: 1,
        server_keep_alive: Some(20),
    };
    assert_eq!(up, expected);
}

/// TP-469 11.9, R-MQTT.34.
#[tokio::test]
async fn topics_are_adjusted_by_difference_and_subscribed_again_after_a_loss() {
    let mut stage = Stage::new().await;
    stage.run(stage.settings());
    let (mut peer, ..) = stage.up(Vec::new()).await;
    stage.topics(&[("a", true), ("b/#", false)]);
    let both = [("a".to_owned(), 1), ("b/#".to_owned(), 1)];
    assert_eq!(answer_subscribe(&mut peer, &[1, 0]).await, both);
    assert!(matches!(stage.event().await, MqttEvent::Subscribed { refused } if refused.is_empty()));
    stage.topics(&[("a", true), ("c", false), ("not/#/good", false)]);
    assert_eq!(answer_subscribe(&mut peer, &[0x87]).await, [("c".to_owned(), 1)]);
    let Some(Packet::Unsubscribe { id, filters }) = packet(&mut peer).await else { panic!("no UNSUBSCRIBE") };
    assert_eq!(filters, ["b/#"]);
    peer.say(&Packet::Unsuback { id, codes: vec![0] }).await.unwrap();
    let MqttEvent::Subscribed { refused } = stage.event().await else { panic!("not subscribed") };
    let refused: Vec<_> = refused.iter().map(|(topic, why)| (topic.as_str(), why.as_str())).collect();
    assert_eq!(refused, [("not/#/good", "not a topic filter"), ("c", "not authorized")]);

    drop(peer);
    stage.down().await;
    let (mut peer, ..) = stage.up(Vec::new()).await;
    assert_eq!(answer_subscribe(&mut peer, &[1, 1]).await.len(), 2);
    assert!(matches!(stage.event().await, MqttEvent::Subscribed { refused } if refused.len() == 1));
}

/// TP-469 11.11, R-MQTT.17: without a vital subscription no Record and no connection.
#[tokio::test]
async fn a_refused_vital_subscription_ends_the_connection() {
    for (version, code) in [(MqttVersion::V5, 0x87), (MqttVersion::V311, 0x80)] {
        let mut stage = Stage::new().await;
        stage.run(MqttSettings { version, ..stage.settings() });
        let (mut peer, ..) = stage.up(Vec::new()).await;
        stage.topics(&[("ours", true), ("other", false)]);
        answer_subscribe(&mut peer, &[code, 0]).await;
        assert_eq!(packet(&mut peer).await, Some(Packet::Disconnect { code: 0 }));
        let (status, reason) = stage.down().await;
        assert_eq!(status, MqttFailure::Misconfigured);
        assert!(reason.contains("refuses our subscription to `ours`"), "{reason}");
    }
}

/// What will not work by trying again is said so; the password is in no text.
#[tokio::test]
async fn refusals_are_sorted() {
    let check = async |version, code, status, text: &str| {
        let mut stage = Stage::new().await;
        stage.run(MqttSettings { version, password: "secret".to_owned(), ..stage.settings() });
        let (mut peer, _) = stage.connected().await;
        peer.say(&Packet::Connack(Connack { code, ..Connack::default() })).await.unwrap();
        let (found, reason) = stage.down().await;
        assert_eq!(found, status, "{reason}");
        assert!(reason.contains(text) && !reason.contains("secret"), "{reason}");
    };
    check(MqttVersion::V5, 0x86, MqttFailure::Misconfigured, "bad user name password").await;
    check(MqttVersion::V5, 0x87, MqttFailure::Misconfigured, "not authorized").await;
    check(MqttVersion::V5, 0x88, MqttFailure::Unreachable, "server unavailable").await;
    check(MqttVersion::V311, 4, MqttFailure::Misconfigured, "bad user name password").await;
    check(MqttVersion::V311, 3, MqttFailure::Unreachable, "service unavailable").await;
}

/// A session that the server kept is taken up, and what was under way is not sent again by the library.
#[tokio::test]
async fn a_kept_session_is_taken_up() {
    for version in [MqttVersion::V5, MqttVersion::V311] {
        let mut stage = Stage::new().await;
        stage.run(MqttSettings { version, clean: false, ..stage.settings() });
        stage.topics(&[("usp/hub1", true)]);
        for _ in 0..2 {
            let (mut peer, connect) = stage.connected().await;
            assert!(!connect.clean);
            let connack = Connack { session_present: true, ..Connack::default() };
            peer.say(&Packet::Connack(connack)).await.unwrap();
            let MqttEvent::Up(up) = stage.event().await else { panic!("not up") };
            assert!(up.session_present);
            answer_subscribe(&mut peer, &[1]).await;
            assert!(matches!(stage.event().await, MqttEvent::Subscribed { .. }));
            stage.publish(hello("proto::ctrl"), 1, None);
            let Some(Packet::Publish(publish)) = packet(&mut peer).await else { panic!("no Record") };
            assert!(!publish.dup);
            drop(peer);
            stage.down().await;
        }
    }
}
