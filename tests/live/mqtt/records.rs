//! Records as others publish and see them.

use super::*;

/// TP-469 11.12, 11.14 and 11.15 in 5.0, and 11.13 with both qualities.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_go_where_they_are_wanted_and_name_where_we_listen() {
    let server = Mosquitto::start();
    let mut listener = listener(&server, 5).await;
    let place = hub(&server, "");
    let _broker = place.start();
    record(&mut listener).await;
    let kind = |text: &str| Property::Text(Property::CONTENT_TYPE, text.to_owned());
    for (id, kinds) in [
        ("short", vec![kind("usp.msg")]),
        ("long", vec![kind("application/vnd.bbf.usp.msg")]),
        ("none", Vec::new()),
    ] {
        listener.say(&request(id, kinds)).await.unwrap();
        let publish = answer(&mut listener, id).await;
        assert_eq!(publish.text(Property::CONTENT_TYPE), Some("usp.msg"));
        assert_eq!(publish.text(Property::RESPONSE_TOPIC), Some(HUB_TOPIC));
    }
    listener.say(&request("ignored", vec![kind("text/plain")])).await.unwrap();
    nothing_comes(&mut listener).await;

    for (qos, cli) in [(0, place.cli()), (1, place.cli())] {
        cli.ok(&["set", &format!("Device.LocalAgent.MTP.[Protocol==\"MQTT\"].MQTT.PublishQoS={qos}")]);
        let id = format!("qos{qos}");
        let Packet::Publish(publish) = request(&id, Vec::new()) else { unreachable!() };
        listener.say(&Packet::Publish(Publish { qos, id: 9, ..publish })).await.unwrap();
        assert_eq!(answer(&mut listener, &id).await.qos, qos);
    }
}

/// TP-469 11.12 and 11.14 in 3.1.1: R-MQTT.24, R-MQTT.25.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_older_version_topics_say_where_answers_go() {
    let server = Mosquitto::start();
    let place = hub(&server, "version = \"3.1.1\"");
    let _broker = place.start();
    status(&place, "Connected");
    let mut peer = Peer::connect(server.address(), &Connect::client(4, "peer")).await.unwrap();
    peer.subscribe(&[("deep/down/#", 1)]).await.unwrap();
    let topic = format!("{HUB_TOPIC}/reply-to=deep%2Fdown");
    peer.say(&Packet::Publish(Publish { topic, payload: get("here"), ..Publish::default() })).await.unwrap();
    let publish = answer(&mut peer, "here").await;
    assert_eq!(publish.topic, "deep/down/reply-to=usp%2Fagent%2Fself::hub");
}

/// Whatever anybody publishes to the broker's topic, it goes on answering.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_publications_harm_nobody() {
    let server = Mosquitto::start();
    let mut listener = listener(&server, 5).await;
    let place = Place::new(ACTOR, &(main_client(&server, "") + "[limits]\nmax_record_bytes = 100_000\n"));
    let broker = place.start();
    record(&mut listener).await;
    let good = get("cut");
    let before = broker.resident_kib();
    for round in 0..200_usize {
        let payload = match round % 5 {
            0 => Vec::new(),
            1 => vec![0xff; round],
            2 => good[..round % good.len()].to_vec(),
            3 => vec![0; 90_000],
            _ => vec![0; 150_000],
        };
        let reply = Property::Text(Property::RESPONSE_TOPIC, "not/#/a/topic/+".to_owned());
        let properties = if round % 2 == 0 { vec![reply] } else { Vec::new() };
        let Packet::Publish(publish) = request("x", Vec::new()) else { unreachable!() };
        let publish = Publish { payload, properties, ..publish };
        // The server refuses wildcards in a Response Topic, and the whole client with it.
        if listener.say(&Packet::Publish(publish)).await.is_err() {
            listener = super::listener(&server, 5).await;
        }
    }
    let mut listener = super::listener(&server, 5).await;
    listener.say(&request("still there", Vec::new())).await.unwrap();
    answer(&mut listener, "still there").await;
    let grown = broker.resident_kib().saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB");
}
