//! Keys are in no log, at any level, however they may be spelled.

use super::ezsp_fake::{EzspFake, Wrong};
use super::znp_fake::ZnpFake;
use super::*;
use crate::test_log::{Log, spelled};

/// The link key of one device: no two of its bytes are alike, nor those of the others.
const LINK: [u8; 16] =
    [0xd1, 0x5e, 0xa5, 0x0f, 0x7a, 0xc3, 0x28, 0x91, 0xee, 0x46, 0xb7, 0x1d, 0x84, 0x6b, 0xf2, 0x39];

/// The same of the network.
const NETWORK: [u8; 16] =
    [0x3c, 0xfb, 0x08, 0x92, 0x67, 0xda, 0x1f, 0xe4, 0x55, 0xb0, 0x2a, 0x9e, 0x73, 0xc6, 0x41, 0xad];

fn wanted() -> NewNetwork {
    NewNetwork { key: Key(NETWORK), ..new_network() }
}

/// Logs what this does, on virtual time, and shows that none of these keys is in it.
fn log_of<T>(keys: &[[u8; 16]], does: impl Future<Output = T>) -> String {
    let text = logged(does);
    for key in keys {
        assert_eq!(spelled(&text, key), None, "{text}");
    }
    text
}

fn logged<T>(does: impl Future<Output = T>) -> String {
    let log = Log::default();
    // While there is but one, what another test logs first is looked up in that test's thread alone, and then logged nowhere.
    let _another = tracing::Dispatch::new(log.clone());
    tracing::subscriber::with_default(log.clone(), || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(does);
    });
    log.text()
}

/// If frames were logged where they come from the line, the search would find the key in them: by whichever task, at the lowest level.
#[test]
fn a_leak_would_be_found() {
    for leaks in [false, true] {
        let fake = Arc::new(Mutex::new(ZnpFake::new(true)));
        fake.lock().unwrap().leaks = leaks;
        let text = logged(async {
            let (ncp, _events) = open_fake(Arc::clone(&fake), None).await;
            ncp.unwrap().form(&wanted()).await.unwrap();
        });
        assert_eq!(spelled(&text, &NETWORK).is_some(), leaks, "{text}");
    }
}

fn moved(backup: Backup) -> Backup {
    let key = LinkKey { ieee: Ieee(0x11), key: Key(LINK), frame_counter: 9, peer_frame_counter: 7 };
    Backup { frame_counter: 200_000, link_keys: vec![key], ..backup }
}

/// A network is formed, opened, taken along, brought back to another coordinator and refused by a third; answers get lost meanwhile, and
/// the coordinator is gone in the end.
#[test]
fn keys_of_silicon_labs_are_in_no_log() {
    for version in [8, 13, 14, 18] {
        let old = Arc::new(Mutex::new(EzspFake::new(version)));
        old.lock().unwrap().seed = Key(LINK.map(|byte| byte.rotate_left(3)));
        let keys = [NETWORK, LINK, old.lock().unwrap().seed.0];
        let text = log_of(&keys, async {
            let (ncp, _events) = open_fake(Arc::clone(&old), None).await;
            let ncp = ncp.unwrap();
            ncp.form(&wanted()).await.unwrap();
            ncp.permit_join(Duration::from_secs(60)).await.unwrap();
            let backup = moved(ncp.backup().await.unwrap());
            let new = Arc::new(Mutex::new(EzspFake::new(version)));
            new.lock().unwrap().tokens.insert(0xe12a, vec![0xff; 8]);
            let (other, _events) = open_fake(Arc::clone(&new), None).await;
            let other = other.unwrap();
            ncp.restore(&backup).await.ok();
            other.restore(&backup).await.ok();
            // Neither the state with both keys is taken, nor is the other key told.
            for command in [0x68, 0x6a, 0x1e] {
                new.lock().unwrap().refused = Some(command);
                tracing::debug!(why = ?other.restore(&backup).await, "it is refused");
                tracing::debug!(why = ?other.backup().await, "it is not told");
            }
            new.lock().unwrap().wrong = Wrong::Reset;
            tracing::debug!(why = ?other.form(&wanted()).await, "it is gone");
        });
        assert!(text.contains("it is gone"), "{text}");
    }
}

#[test]
fn keys_of_texas_instruments_are_in_no_log() {
    for has_tables in [true, false] {
        let seed = LINK.map(|byte| byte.rotate_left(3));
        let old = Arc::new(Mutex::new(ZnpFake::new(has_tables)));
        old.lock().unwrap().items.insert(0x101, seed.to_vec());
        let text = log_of(&[NETWORK, LINK, seed], async {
            let (ncp, _events) = open_fake(Arc::clone(&old), None).await;
            let ncp = ncp.unwrap();
            ncp.form(&wanted()).await.unwrap();
            ncp.permit_join(Duration::from_secs(60)).await.unwrap();
            let backup = moved(ncp.backup().await.unwrap());
            let new = Arc::new(Mutex::new(ZnpFake::new(!has_tables)));
            let (other, _events) = open_fake(Arc::clone(&new), None).await;
            let other = other.unwrap();
            new.lock().unwrap().lose = 2;
            tracing::debug!(came = ?other.restore(&backup).await, "it is taken over");
            new.lock().unwrap().loses_of = 7;
            tracing::debug!(came = ?other.restore(&backup).await, "it is taken over again");
            new.lock().unwrap().items.remove(&0x3a);
            tracing::debug!(why = ?other.backup().await, "its key is gone");
            new.lock().unwrap().wrong = Wrong::Reset;
            tracing::debug!(why = ?other.form(&wanted()).await, "it is gone");
        });
        assert!(text.contains("it is gone"), "{text}");
    }
}
