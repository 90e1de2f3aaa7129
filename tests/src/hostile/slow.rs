//! Peers that ask for much and hardly read what comes back.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep, timeout};
use usp_proto::message;
use usp_proto::record::Record;
use usp_proto::uds_frame;
use usp_proto::usp::Get;
use usp_proto::usp::request::ReqType;

use super::Target;
use super::connections::{binary, upgrade};
use super::dice::Dice;

/// So many at a time on each transport.
const READERS: usize = 4;

/// Bytes that one of them reads at a time, and the time from one read to the next.
const SIP: usize = 64;
const PAUSE: Duration = Duration::from_millis(20);

/// So many reads to each request: what an answer to it costs is not the point.
const SIPS: u64 = 25;

/// One crowd of them after the other; how many.
pub(super) async fn readers(target: Target, mut dice: Dice, until: Instant) -> u64 {
    let mut rounds = 0;
    while Instant::now() < until {
        // The broker ends them when what waits for them is too much; the others stay this long.
        let end = until.min(Instant::now() + Duration::from_secs(1 + dice.below(10) as u64));
        let sockets = (0..READERS).map(|number| on_socket(&target, number, end));
        let webs = (0..READERS).map(|number| on_web(&target, number, end));
        tokio::join!(join_all(sockets), join_all(webs));
        rounds += 2 * READERS as u64;
    }
    rounds
}

/// A Get of all there is.
fn request(peer: &str, number: u64) -> Vec<u8> {
    let get = ReqType::Get(Get { param_paths: vec!["Device.".to_owned()], max_depth: 0 });
    let msg = message::request(&format!("slow-{number}"), get);
    Record::message(peer.parse().unwrap(), "self::hub".parse().unwrap(), msg).encode()
}

async fn on_socket(target: &Target, number: usize, end: Instant) {
    let peer = format!("self::slow-{number}");
    let Ok(mut stream) = UnixStream::connect(&target.agent).await else { return };
    if stream.write_all(&uds_frame::handshake(&peer.parse().unwrap())).await.is_ok() {
        sip(&mut stream, end, |number| uds_frame::record(&request(&peer, number))).await;
    }
}

async fn on_web(target: &Target, number: usize, end: Instant) {
    let peer = format!("self::slow-web-{number}");
    let Ok(mut stream) = TcpStream::connect(target.web).await else { return };
    if stream.write_all(upgrade(&peer).as_bytes()).await.is_ok() {
        sip(&mut stream, end, |number| binary(&request(&peer, number))).await;
    }
}

/// Asks on, and reads a little now and then.
async fn sip(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    end: Instant,
    frame: impl Fn(u64) -> Vec<u8>,
) {
    let mut chunk = [0; SIP];
    for number in 0.. {
        if Instant::now() >= end {
            return;
        }
        // Being thrown out is what they come for.
        if number % SIPS == 0
            && let Ok(Err(_)) = timeout(PAUSE, stream.write_all(&frame(number))).await
        {
            return;
        }
        if let Ok(Ok(0) | Err(_)) = timeout(PAUSE, stream.read(&mut chunk)).await {
            return;
        }
        sleep(PAUSE).await;
    }
}
