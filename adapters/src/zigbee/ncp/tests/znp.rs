//! What coordinators that speak ZNP are told, and what is made of their answers.

use super::znp_fake::ZnpFake;
use super::*;

async fn opened(fake: &Arc<Mutex<ZnpFake>>) -> (Arc<dyn Coordinator>, mpsc::Receiver<NcpEvent>) {
    let (ncp, events) = open_fake(Arc::clone(fake), None).await;
    (ncp.unwrap(), events)
}

fn fake(has_tables: bool) -> Arc<Mutex<ZnpFake>> {
    Arc::new(Mutex::new(ZnpFake::new(has_tables)))
}

#[tokio::test(start_paused = true)]
async fn a_network_is_formed_and_found_again_on_both_platforms() {
    for has_tables in [true, false] {
        let fake = fake(has_tables);
        let (ncp, mut events) = opened(&fake).await;
        assert_eq!((ncp.info().kind, ncp.info().ieee), (NcpKind::Znp, Ieee(0x0012_4b00_5566_7788)));
        assert_eq!(ncp.resume().await, Ok(None));
        assert_eq!(ncp.form(&new_network()).await, Ok(network()));
        assert!(
            taken(&mut events).contains(&NcpEvent::Network { up: true, why: "the network is up".to_owned() })
        );
        {
            let fake = fake.lock().unwrap();
            assert_eq!(fake.key(), network_key());
            // Coordinator, route discovery, ZDO messages shown; primary channel 15, no secondary one.
            assert_eq!(
                (&fake.items[&0x87], &fake.items[&0x32], &fake.items[&0x8f]),
                (&vec![0], &vec![1], &vec![1])
            );
            assert_eq!(fake.asked(0x2f08), [[1, 0, 0x80, 0, 0], [0, 0, 0, 0, 0]]);
            assert_eq!(fake.asked(0x253e), [[0xff, 0xff]]);
        }
        drop(ncp);
        let (ncp, _events) = opened(&fake).await;
        assert_eq!(ncp.resume().await, Ok(Some(network())));
    }
}

#[tokio::test(start_paused = true)]
async fn a_pan_id_that_is_taken_is_told() {
    let fake = fake(true);
    fake.lock().unwrap().taken = Some(0x1a62);
    let (ncp, _events) = opened(&fake).await;
    let refusal = ncp.form(&new_network()).await.unwrap_err().to_string();
    assert!(refusal.contains("another one with the PAN ID 0x1a62 on channel 15"), "{refusal}");
}

/// It answers everything else, and so could be told for ever.
#[tokio::test(start_paused = true)]
async fn a_start_that_is_never_heard_is_given_up_in_its_time() {
    let fake = fake(true);
    fake.lock().unwrap().is_deaf = true;
    let (ncp, _events) = opened(&fake).await;
    let began = tokio::time::Instant::now();
    let refusal = ncp.form(&new_network()).await.unwrap_err().to_string();
    assert!(refusal.contains("does not begin"), "{refusal}");
    assert!(began.elapsed() < Duration::from_secs(90), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_network_moves_to_another_coordinator() {
    for has_tables in [true, false] {
        let old = fake(has_tables);
        let (ncp, _events) = opened(&old).await;
        ncp.form(&new_network()).await.unwrap();
        let backup = ncp.backup().await.unwrap();
        assert_eq!((&backup.key, &backup.network), (&network_key(), &network()));
        // What the memory says, and what may have been sent since it was written.
        assert_eq!(backup.frame_counter, 100 + 1250);
        let new = fake(!has_tables);
        let (ncp, _events) = opened(&new).await;
        let backup = Backup { frame_counter: 9999, key_sequence: 1, ieee: Ieee(5), ..backup };
        assert_eq!(ncp.restore(&backup).await, Ok(network()));
        let fake = new.lock().unwrap();
        assert_eq!(
            (fake.key(), fake.items[&0x3a][0], &fake.items[&1]),
            (network_key(), 1, &vec![5, 0, 0, 0, 0, 0, 0, 0])
        );
        let material = [&9999_u32.to_le_bytes()[..], &network().ext_pan_id.0.to_le_bytes()].concat();
        assert_eq!((fake.security_material(), &fake.items[&0x101]), (material, &vec![3; 16]));
    }
}

#[tokio::test(start_paused = true)]
async fn link_keys_go_along() {
    let old = fake(true);
    let (ncp, _events) = opened(&old).await;
    ncp.form(&new_network()).await.unwrap();
    // Counters, address, attributes, kind, shift.
    let entry = [&[9, 0, 0, 0, 7, 0, 0, 0][..], &0x11_u64.to_le_bytes(), &[2, 0, 4, 0]].concat();
    old.lock().unwrap().tables.insert((4, 1), entry.clone());
    let backup = ncp.backup().await.unwrap();
    let mut key = [3; 16];
    (key[0], key[8]) = (3 ^ 0x11, 3 ^ 0x11);
    assert_eq!(
        backup.link_keys,
        [LinkKey { ieee: Ieee(0x11), key: Key(key), frame_counter: 9, peer_frame_counter: 7 }]
    );
    let new = fake(true);
    let (ncp, _events) = opened(&new).await;
    ncp.restore(&backup).await.unwrap();
    // The seed is the same at each shift here, so that the first is found.
    assert_eq!(new.lock().unwrap().tables[&(4, 0)][4..18], entry[4..18]);
}

#[tokio::test(start_paused = true)]
async fn devices_may_join_here_and_at_routers() {
    let fake = fake(true);
    let (ncp, _events) = opened(&fake).await;
    ncp.permit_join(Duration::from_secs(600)).await.unwrap();
    assert_eq!(fake.lock().unwrap().asked(0x2536), [[2, 0, 0, 254, 1], [0x0f, 0xfc, 0xff, 254, 1]]);
}

#[tokio::test(start_paused = true)]
async fn the_fate_of_messages_is_told_as_it_is() {
    let fake = fake(true);
    let (ncp, _events) = opened(&fake).await;
    assert_eq!(ncp.send(on(0x1234)).await, Ok(()));
    let sent = fake.lock().unwrap().asked(0x2402).remove(0);
    // MT, AF_DATA_REQUEST_EXT: mode, address, endpoints, PAN, cluster, number, options, radius, length.
    let expected = [2, 0x34, 0x12, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 6, 0, 1, 0x30, 30, 3, 0, 1, 7, 1];
    assert_eq!(sent, expected);
    for (fate, undelivered) in [
        (0xb7, Undelivered::NotAcknowledged),
        (0xe9, Undelivered::NotAcknowledged),
        (0xf0, Undelivered::Expired),
        (0x99, Undelivered::Refused("status 0x99".to_owned())),
    ] {
        fake.lock().unwrap().fate = fate;
        assert_eq!(ncp.send(on(0x1234)).await, Err(undelivered));
    }
    // Without a route, one is looked for, and the message sent once more.
    fake.lock().unwrap().fate = 0xcd;
    fake.lock().unwrap().asked.clear();
    assert_eq!(ncp.send(on(0x1234)).await, Err(Undelivered::NoRoute));
    let asked = |command| fake.lock().unwrap().asked(command).len();
    assert_eq!((asked(0x2402), asked(0x2545)), (2, 1));
    fake.lock().unwrap().fate = 0;
    fake.lock().unwrap().sends = [0x11, 0x10].into();
    assert_eq!(ncp.send(on(0x1234)).await, Ok(()));
    fake.lock().unwrap().sends = [0x11; 4].into();
    assert_eq!(ncp.send(on(0x1234)).await, Err(Undelivered::Busy));
    // ZDO.
    let request = Aps { profile: ZDO, cluster: 2, src_endpoint: 0, dst_endpoint: 0, ..on(0x1234) };
    assert_eq!(ncp.send(request).await, Ok(()));
    assert_eq!(fake.lock().unwrap().asked(0x2546), [[0x34, 0x12, 1, 3]]);
    assert_eq!(ncp.send(Aps { to: To::Broadcast(0xfffd), ..on(0) }).await, Ok(()));
    assert_eq!(ncp.forget(Ieee(9)).await, Ok(()));
    assert_eq!(ncp.is_sleepy(Ieee(9), 1).await, Ok(()));
}
