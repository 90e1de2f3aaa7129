//! What coordinators that speak EZSP are told, and what is made of their answers.

use super::ezsp_fake::EzspFake;
use super::*;

/// Those in which something has changed.
const VERSIONS: [u8; 5] = [8, 12, 13, 14, 18];

async fn opened(fake: &Arc<Mutex<EzspFake>>) -> (Arc<dyn Coordinator>, mpsc::Receiver<NcpEvent>) {
    let (ncp, events) = open_fake(Arc::clone(fake), None).await;
    (ncp.unwrap(), events)
}

fn fake(version: u8) -> Arc<Mutex<EzspFake>> {
    Arc::new(Mutex::new(EzspFake::new(version)))
}

#[tokio::test(start_paused = true)]
async fn a_network_is_formed_and_found_again_with_every_version() {
    for version in VERSIONS {
        let fake = fake(version);
        let (ncp, mut events) = opened(&fake).await;
        let info = ncp.info();
        assert_eq!(info.firmware, format!("EmberZNet 7.4.3.0 (EZSP {version})"));
        assert_eq!((info.kind, info.ieee), (NcpKind::Ezsp, Ieee(0x0012_4b00_1122_3344)));
        assert_eq!(ncp.resume().await, Ok(None));
        assert_eq!(ncp.form(&new_network()).await, Ok(network()), "{version}");
        assert!(
            taken(&mut events).contains(&NcpEvent::Network { up: true, why: "the network is up".to_owned() })
        );
        let state = fake.lock().unwrap().asked(0x68).remove(0);
        // Both keys, no reset of counters, hashed link keys; the network key behind the seed.
        assert_eq!((&state[..2], &state[18..34], state[34]), (&[0x84, 0x1b][..], &network_key().0[..], 0));
        assert_ne!(state[2..18], [0; 16]);
        // UG100, EmberNetworkParameters.
        let formed = fake.lock().unwrap().asked(0x1e).remove(0);
        let expected =
            [0xef, 0xbe, 0xad, 0xde, 0xd0, 0x60, 0xd0, 0x00, 0x62, 0x1a, 8, 15, 0, 0, 0, 0, 0, 0x80, 0, 0];
        assert_eq!(formed, expected);
        drop(ncp);
        let (ncp, _events) = opened(&fake).await;
        assert_eq!(ncp.resume().await, Ok(Some(network())), "{version}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_network_moves_to_another_coordinator_with_every_version() {
    for version in VERSIONS {
        let old = fake(version);
        let (ncp, _events) = opened(&old).await;
        ncp.form(&new_network()).await.unwrap();
        old.lock().unwrap().frame_counter = 123_456;
        let backup = ncp.backup().await.unwrap();
        let seed = Some(TcSeed { kind: NcpKind::Ezsp, seed: old.lock().unwrap().seed.clone() });
        assert_eq!((&backup.key, &backup.tc_seed), (&network_key(), &seed), "{version}");
        assert_eq!((backup.key_sequence, backup.frame_counter, &backup.network), (5, 123_456, &network()));
        let new = fake(version);
        new.lock().unwrap().ieee = 7;
        let (ncp, _events) = opened(&new).await;
        // It has nowhere to keep another address.
        let refusal = ncp.restore(&backup).await.unwrap_err().to_string();
        assert!(refusal.contains("0x00124b0011223344, whose address this one cannot take over"), "{refusal}");
        if version == 8 {
            continue;
        }
        new.lock().unwrap().tokens.insert(0xe12a, vec![0xff; 8]);
        let backup = Backup { frame_counter: 200_000, ..backup };
        assert_eq!(ncp.restore(&backup).await, Ok(network()), "{version}");
        let fake = new.lock().unwrap();
        assert_eq!(
            (&fake.key, fake.frame_counter, fake.ieee),
            (&network_key(), 200_000, 0x0012_4b00_1122_3344)
        );
        assert_eq!(Some(&fake.seed), seed.as_ref().map(|seed| &seed.seed));
    }
}

#[tokio::test(start_paused = true)]
async fn devices_may_join_for_as_long_as_was_said() {
    for version in VERSIONS {
        let fake = fake(version);
        let (ncp, _events) = opened(&fake).await;
        ncp.form(&new_network()).await.unwrap();
        fake.lock().unwrap().asked.clear();
        ncp.permit_join(Duration::from_secs(60)).await.unwrap();
        let policies = |fake: &Arc<Mutex<EzspFake>>| fake.lock().unwrap().asked(0x55);
        assert_eq!((policies(&fake), fake.lock().unwrap().asked(0x22)), (vec![vec![0, 3]], vec![vec![60]]));
        let key = fake.lock().unwrap().asked(if version < 13 { 0xaf } else { 0x111 }).remove(0);
        assert_eq!(key[..24], [&[0xff; 8][..], b"ZigBeeAlliance09"].concat());
        // Mgmt_Permit_Joining_req to all routers.
        let broadcast = fake.lock().unwrap().asked(0x36).remove(0);
        assert!(broadcast.ends_with(&[3, 0, 60, 1]), "{broadcast:?}");
        let to = if version < 14 { 0 } else { 2 };
        assert_eq!(broadcast[to..to + 2], [0xfc, 0xff]);
        tokio::time::sleep(Duration::from_secs(65)).await;
        assert_eq!(policies(&fake), [[0, 3], [0, 2]]);
        ncp.permit_join(Duration::ZERO).await.unwrap();
        assert_eq!(fake.lock().unwrap().asked(0x22), [[60], [0]]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_network_that_was_not_opened_whole_is_closed_again() {
    let fake = fake(13);
    let (ncp, _events) = opened(&fake).await;
    ncp.form(&new_network()).await.unwrap();
    fake.lock().unwrap().asked.clear();
    fake.lock().unwrap().refused = Some(0x36);
    assert!(ncp.permit_join(Duration::from_secs(60)).await.is_err());
    assert_eq!(fake.lock().unwrap().asked(0x22), [[60], [0]]);
    assert_eq!(fake.lock().unwrap().asked(0x55), [[0, 3], [0, 2]]);
    // Closing goes on behind what fails.
    fake.lock().unwrap().refused = Some(0x22);
    fake.lock().unwrap().asked.clear();
    assert!(ncp.permit_join(Duration::ZERO).await.is_err());
    assert_eq!(fake.lock().unwrap().asked(0x55), [[0, 2]]);
    assert_eq!(fake.lock().unwrap().asked(0x36).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn keys_of_before_are_forgotten_when_a_device_joins_anew() {
    let fake = fake(13);
    let (ncp, mut events) = opened(&fake).await;
    // newNodeId, newNodeEui64, an unsecured join, with the key that all have, through whom.
    fake.lock().unwrap().words.push((0x24, vec![0x34, 0x12, 9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]));
    fake.lock().unwrap().link_key = 3;
    assert_eq!(ncp.resume().await, Ok(None));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(taken(&mut events), [NcpEvent::Joined { ieee: Ieee(9), nwk: 0x1234, parent: Some(0) }]);
    assert_eq!(fake.lock().unwrap().asked(0x75), [[9, 0, 0, 0, 0, 0, 0, 0, 1]]);
    assert_eq!(fake.lock().unwrap().asked(0x76), [[3]]);
}

#[tokio::test(start_paused = true)]
async fn the_fate_of_messages_is_told_as_it_is() {
    for version in VERSIONS {
        let fake = fake(version);
        let (ncp, _events) = opened(&fake).await;
        assert_eq!(ncp.send(on(0x1234)).await, Ok(()));
        let sent = fake.lock().unwrap().asked(0x34).remove(0);
        // UG100, sendUnicast: directly, to whom, EmberApsFrame (acknowledged, routes and addresses are looked for), tag.
        let head = [0, 0x34, 0x12, 0x04, 0x01, 6, 0, 1, 1, 0x40, 0x11, 0, 0, 7];
        assert_eq!((&sent[..14], &sent[sent.len() - 4..]), (&head[..], &[3, 1, 7, 1][..]));
        fake.lock().unwrap().fate = Some(0x66);
        assert_eq!(ncp.send(on(0x1234)).await, Err(Undelivered::NotAcknowledged));
        fake.lock().unwrap().fate = None;
        assert_eq!(ncp.send(on(0x1234)).await, Err(Undelivered::Unknown));
        fake.lock().unwrap().fate = Some(0);
        fake.lock().unwrap().sends = [0x72, 0x72].into();
        assert_eq!(ncp.send(on(0x1234)).await, Ok(()));
        fake.lock().unwrap().sends = [0x72; 4].into();
        assert_eq!(ncp.send(on(0x1234)).await, Err(Undelivered::Busy));
        let long = Aps { payload: vec![0; 83], ..on(0x1234) };
        assert_eq!(ncp.send(long).await, Err(Undelivered::TooLong));
        assert_eq!(ncp.send(Aps { to: To::Group(3), ..on(0) }).await, Ok(()));
        assert_eq!(ncp.is_sleepy(Ieee(9), 0x1234).await, Ok(()));
        assert_eq!(ncp.forget(Ieee(9)).await, Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn firmware_that_is_too_old_is_named() {
    let (refused, _events) = open_fake(EzspFake::new(7), Some(NcpKind::Ezsp)).await;
    let refusal = refused.unwrap_err().to_string();
    assert!(
        refusal.contains("speaks version 7 of EZSP, and the oldest that is spoken here is 8"),
        "{refusal}"
    );
}
