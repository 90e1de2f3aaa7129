//! What goes wrong with coordinators: each call ends, and the host is told why in words.

use super::ezsp_fake::{EzspFake, Wrong};
use super::znp_fake::ZnpFake;
use super::*;

/// Longer than any call may take.
const PATIENCE: Duration = Duration::from_secs(120);

async fn down(events: &mut mpsc::Receiver<NcpEvent>) -> String {
    loop {
        match tokio::time::timeout(PATIENCE, events.recv()).await.unwrap() {
            Some(NcpEvent::Down(why)) => return why,
            Some(_) => {}
            None => panic!("no last word"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_to_a_coordinator_is_told() {
    for (wrong, words) in [
        (Wrong::NoAnswer, "does not answer any more"),
        (Wrong::Dead, "acknowledges nothing any more"),
        (Wrong::Pulled, "the connection was closed"),
        (Wrong::Reset, "has reset itself (its watchdog found it hanging)"),
        (Wrong::Error, "has given up (its watchdog found it hanging)"),
    ] {
        let fake = Arc::new(Mutex::new(EzspFake::new(13)));
        let (ncp, mut events) = open_fake(Arc::clone(&fake), None).await;
        let ncp = ncp.unwrap();
        ncp.form(&new_network()).await.unwrap();
        fake.lock().unwrap().wrong = wrong;
        let calls = tokio::join!(
            tokio::time::timeout(PATIENCE, ncp.send(on(1))),
            tokio::time::timeout(PATIENCE, ncp.permit_join(Duration::from_secs(9))),
            tokio::time::timeout(PATIENCE, ncp.backup()),
        );
        assert!(
            calls.0.unwrap().is_err() && calls.1.unwrap().is_err() && calls.2.unwrap().is_err(),
            "{wrong:?}"
        );
        let why = down(&mut events).await;
        assert!(why.contains(words), "{wrong:?}: {why}");
        // At once, and with the same reason.
        let refused = tokio::time::timeout(Duration::from_millis(1), ncp.resume()).await.unwrap();
        assert_eq!(refused, Err(NcpFault::Gone(why)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_znp_coordinator_that_goes_is_told_too() {
    for (wrong, words) in [
        (Wrong::Dead, "does not answer any more"),
        (Wrong::Pulled, "the connection was closed"),
        (Wrong::Reset, "has reset itself (its watchdog found it hanging)"),
    ] {
        let fake = Arc::new(Mutex::new(ZnpFake::new(true)));
        let (ncp, mut events) = open_fake(Arc::clone(&fake), None).await;
        let ncp = ncp.unwrap();
        ncp.form(&new_network()).await.unwrap();
        fake.lock().unwrap().wrong = wrong;
        assert!(tokio::time::timeout(PATIENCE, ncp.send(on(1))).await.unwrap().is_err());
        let why = down(&mut events).await;
        assert!(why.contains(words), "{wrong:?}: {why}");
        assert_eq!(ncp.resume().await, Err(NcpFault::Gone(why)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_is_not_taken_from_the_next() {
    let fake = Arc::new(Mutex::new(ZnpFake::new(true)));
    let (ncp, mut events) = open_fake(Arc::clone(&fake), None).await;
    let ncp = ncp.unwrap();
    ncp.form(&new_network()).await.unwrap();
    let sent = || fake.lock().unwrap().asked(0x2402).len();
    // What became of the message is told nevertheless.
    fake.lock().unwrap().lose = 1;
    assert_eq!((ncp.send(on(1)).await, sent()), (Ok(()), 1));
    // It is asked whether it answers at all.
    tokio::time::sleep(Duration::from_secs(1)).await;
    // A message is not sent again.
    fake.lock().unwrap().lose = 1;
    fake.lock().unwrap().lose_fates = true;
    assert_eq!((ncp.send(on(1)).await, sent()), (Err(Undelivered::Unknown), 2));
    fake.lock().unwrap().lose_fates = false;
    assert_eq!((ncp.send(on(1)).await, sent()), (Ok(()), 3));
    // What may be asked again is.
    tokio::time::sleep(Duration::from_secs(1)).await;
    fake.lock().unwrap().lose = 2;
    assert!(ncp.backup().await.is_ok());
    assert!(!taken(&mut events).iter().any(|event| matches!(event, NcpEvent::Down(_))));
}

/// A bad cable, or a radio that is short of time: each frame is lost now and then, whichever it is.
#[tokio::test(start_paused = true)]
async fn a_network_is_formed_though_much_gets_lost() {
    for has_tables in [true, false] {
        for loses_of in 16..48 {
            let fake = Arc::new(Mutex::new(ZnpFake::new(has_tables)));
            let (ncp, mut events) = open_fake(Arc::clone(&fake), None).await;
            let ncp = ncp.unwrap();
            fake.lock().unwrap().loses_of = loses_of;
            assert_eq!(ncp.form(&new_network()).await, Ok(network()), "one of {loses_of}");
            let kept = ncp.backup().await.unwrap();
            assert_eq!(ncp.restore(&kept).await, Ok(network()), "one of {loses_of}");
            let told = taken(&mut events);
            assert!(!told.iter().any(|event| matches!(event, NcpEvent::Down(_))), "one of {loses_of}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_falls_silent_is_noticed_without_a_call() {
    let fake = Arc::new(Mutex::new(EzspFake::new(13)));
    let (ncp, mut events) = open_fake(Arc::clone(&fake), None).await;
    let _ncp = ncp.unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(taken(&mut events), []);
    fake.lock().unwrap().wrong = Wrong::Dead;
    assert!(down(&mut events).await.contains("acknowledges nothing"));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_takes_nothing_holds_up_nothing() {
    let fake = Arc::new(Mutex::new(EzspFake::new(13)));
    let (ncp, mut events) = open_fake(Arc::clone(&fake), None).await;
    let ncp = ncp.unwrap();
    let message = [&[0, 4, 1, 6, 0, 1, 1, 0, 1, 0, 0, 1, 200, 200, 9, 9, 255, 255, 1][..], &[42]].concat();
    for _ in 0..300 {
        fake.lock().unwrap().words = vec![(0x45, message.clone()); 4];
        ncp.is_sleepy(Ieee(1), 1).await.unwrap();
    }
    let mut heard = 0;
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_secs(1), events.recv()).await {
        heard += usize::from(matches!(event, NcpEvent::Message(message) if message.payload == [42]));
    }
    assert!((200..=400).contains(&heard), "{heard}");
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_of_the_other_kind_is_told_by_name() {
    let (refused, _events) = open_fake(ZnpFake::new(true), Some(NcpKind::Ezsp)).await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "the coordinator at coordinator:6638 does not speak EZSP (Silicon Labs), but ZNP (Texas Instruments): write `ncp: \
         znp`, or leave `ncp` out"
    );
    let (refused, _events) = open_fake(EzspFake::new(13), Some(NcpKind::Znp)).await;
    let refusal = refused.unwrap_err().to_string();
    assert!(refusal.contains("write `ncp: ezsp`, or leave `ncp` out"), "{refusal}");
}

/// Something else.
struct Echo;

impl Fake for Echo {
    fn hear(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        Some(bytes.to_vec())
    }
}

struct Nobody;

impl Fake for Nobody {
    fn hear(&mut self, _: &[u8]) -> Option<Vec<u8>> {
        Some(vec![])
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_coordinator_is_told() {
    for kind in [None, Some(NcpKind::Ezsp), Some(NcpKind::Znp)] {
        let (refused, mut events) = open_fake(Echo, kind).await;
        assert!(refused.unwrap_err().to_string().contains("what comes from there is not understood"));
        let (refused, _) = open_fake(Nobody, kind).await;
        assert!(refused.unwrap_err().to_string().contains("nothing comes from there"));
        assert_eq!(events.recv().await, None);
    }
}

/// A stick that was left in its bootloader.
struct Bootloader(EzspFake, bool);

impl Fake for Bootloader {
    fn hear(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        match bytes {
            [b'2', rest @ ..] => {
                self.1 = false;
                self.0.hear(rest)
            }
            _ if self.1 => {
                Some(b"\r\nGecko Bootloader v2.00.01\r\n1. upload gbl\r\n2. run\r\nBL > ".to_vec())
            }
            _ => self.0.hear(bytes),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_bootloader_is_passed_over() {
    let (ncp, _events) = open_fake(Bootloader(EzspFake::new(13), true), None).await;
    assert_eq!(ncp.unwrap().info().kind, NcpKind::Ezsp);
}

#[tokio::test(start_paused = true)]
async fn devices_that_do_not_answer_hold_up_no_others() {
    let fake = Arc::new(Mutex::new(EzspFake::new(13)));
    let (ncp, _events) = open_fake(Arc::clone(&fake), None).await;
    let ncp = ncp.unwrap();
    fake.lock().unwrap().fate = None;
    for nwk in 0..20 {
        assert_eq!(ncp.send(on(nwk)).await, Err(Undelivered::Unknown));
    }
    let silent: Vec<_> = (0..20)
        .map(|nwk| {
            let ncp = Arc::clone(&ncp);
            tokio::spawn(async move { ncp.send(on(nwk)).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    fake.lock().unwrap().fate = Some(0);
    let lively = tokio::time::timeout(Duration::from_secs(1), ncp.send(on(0x1234))).await;
    assert_eq!(lively, Ok(Ok(())));
    for task in silent {
        task.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_over_is_not_sent() {
    let soon = || tokio::time::Instant::now().into_std() + Duration::from_secs(5);
    let fake = Arc::new(Mutex::new(EzspFake::new(13)));
    let (ncp, _events) = open_fake(Arc::clone(&fake), None).await;
    let ncp = ncp.unwrap();
    assert_eq!(ncp.send_by(on(1), soon()).await, Ok(()));
    fake.lock().unwrap().fate = None;
    let all: Vec<_> = (0..8)
        .map(|nwk| {
            let ncp = Arc::clone(&ncp);
            tokio::spawn(async move { ncp.send(on(nwk)).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let sent = || fake.lock().unwrap().asked(0x34).len();
    let before = sent();
    assert_eq!(ncp.send_by(on(9), soon()).await, Err(Undelivered::Busy));
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert_eq!((before, sent()), (9, 9));
    drop(all);
}

#[tokio::test(start_paused = true)]
async fn of_a_message_under_way_nobody_says_that_it_was_not_sent() {
    for wrong in [Wrong::Pulled, Wrong::Reset, Wrong::Dead] {
        let fake = Arc::new(Mutex::new(EzspFake::new(13)));
        let (ncp, mut events) = open_fake(Arc::clone(&fake), None).await;
        let ncp = ncp.unwrap();
        // Its answer was there, or not.
        fake.lock().unwrap().fate = None;
        let waits = tokio::spawn({
            let ncp = Arc::clone(&ncp);
            async move { ncp.send(on(1)).await }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        fake.lock().unwrap().wrong = wrong;
        assert_eq!(ncp.send(on(2)).await, Err(Undelivered::Unknown), "{wrong:?}");
        assert_eq!(waits.await.unwrap(), Err(Undelivered::Unknown), "{wrong:?}");
        let why = down(&mut events).await;
        assert_eq!(ncp.send(on(3)).await, Err(Undelivered::Coordinator(NcpFault::Gone(why))));
    }
}

/// Nobody can know whose word it was.
#[tokio::test(start_paused = true)]
async fn a_frame_that_is_damaged_is_told() {
    let fake = Arc::new(Mutex::new(ZnpFake::new(true)));
    let (ncp, mut events) = open_fake(Arc::clone(&fake), None).await;
    let ncp = ncp.unwrap();
    ncp.form(&new_network()).await.unwrap();
    let damaged = |events: &mut _| -> Vec<Damage> {
        let of = |event| match event {
            NcpEvent::Damaged(damage) => Some(damage),
            _ => None,
        };
        taken(events).into_iter().filter_map(of).collect()
    };
    assert_eq!(damaged(&mut events), [], "what comes before it is ready is of no concern");
    fake.lock().unwrap().spoils = true;
    assert!(ncp.backup().await.is_ok(), "it is asked again");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(damaged(&mut events), [Damage { garbled: 1, dropped: 0, lost: Some(Loss::Damaged) }]);
}
