//! Bad peers on UNIX domain sockets and WebSocket.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep, timeout};
use usp_proto::uds_frame;

use super::dice::Dice;
use super::{Target, letters};

/// Connections of the crowd.
const CROWD: usize = 500;

/// How long they stay.
const STAY: Duration = Duration::from_secs(1);

/// How long a peer waits for an answer that it does not need.
const GLANCE: Duration = Duration::from_millis(20);

/// One bad peer after the other; how many.
pub(super) async fn attack(target: Target, mut dice: Dice, until: Instant) -> u64 {
    let mut rounds = 0;
    while Instant::now() < until {
        // Being thrown out is what they come for.
        match dice.below(3) {
            0 => web(&target, &mut dice).await.ok(),
            _ => socket(&target, &mut dice).await.ok(),
        };
        rounds += 1;
        tokio::task::yield_now().await;
    }
    rounds
}

/// Very many at once that do nothing, or have only begun to say who they are.
pub(super) async fn crowd(target: Target, mut dice: Dice, until: Instant) -> u64 {
    let mut rounds = 0;
    while Instant::now() < until {
        let mut sockets = Vec::new();
        let mut webs = Vec::new();
        for number in 0..CROWD {
            match dice.below(3) {
                0 => webs.extend(half_open(&target, &mut dice).await.ok()),
                _ => sockets.extend(silent(&target, &mut dice, number).await.ok()),
            }
        }
        rounds += CROWD as u64;
        sleep(STAY.min(until.saturating_duration_since(Instant::now()))).await;
    }
    rounds
}

async fn silent(target: &Target, dice: &mut Dice, number: usize) -> std::io::Result<UnixStream> {
    let mut stream = UnixStream::connect(&target.agent).await?;
    let hello = uds_frame::handshake(&format!("self::crowd-{number}").parse().unwrap());
    let part = dice.below(hello.len() + 1);
    stream.write_all(&hello[..part]).await?;
    Ok(stream)
}

async fn half_open(target: &Target, dice: &mut Dice) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(target.web).await?;
    let upgrade = upgrade("self::half");
    let part = dice.below(upgrade.len());
    stream.write_all(&upgrade.as_bytes()[..part]).await?;
    Ok(stream)
}

pub(super) fn upgrade(endpoint: &str) -> String {
    format!(
        "GET /usp?eid={endpoint} HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: v1.usp\r\n\r\n"
    )
}

async fn socket(target: &Target, dice: &mut Dice) -> std::io::Result<()> {
    let services = dice.below(3) == 0;
    let mut stream = UnixStream::connect(if services { &target.controller } else { &target.agent }).await?;
    let peer = format!("self::bad-{}", dice.below(8));
    match dice.below(8) {
        0 => stream.write_all(&dice.bytes(64 * 1024)).await?,
        1 => stream.write_all(b"_USP\x7f\xff\xff\xff\x03\x7f\xff\xff\xfa").await?,
        2 => {
            let hello = uds_frame::handshake(&peer.parse().unwrap());
            stream.write_all(&dice.damage(hello)).await?;
        }
        _ => {
            stream.write_all(&uds_frame::handshake(&peer.parse().unwrap())).await?;
            records(dice, &mut stream, &peer).await?;
        }
    }
    glance(&mut stream).await;
    Ok(())
}

/// Framed Records: at once, byte by byte, or very many without reading what comes back.
async fn records(dice: &mut Dice, stream: &mut UnixStream, peer: &str) -> std::io::Result<()> {
    match dice.below(4) {
        0 => {
            let bytes = uds_frame::record(&letters::record(dice, peer));
            for byte in bytes.iter().take(200) {
                stream.write_all(&[*byte]).await?;
                tokio::task::yield_now().await;
            }
        }
        1 => {
            for _ in 0..50 {
                let bytes = uds_frame::record(&letters::record(dice, peer));
                // Whoever does not read is not read from for ever.
                match timeout(GLANCE, stream.write_all(&bytes)).await {
                    Ok(written) => written?,
                    Err(_) => break,
                }
            }
        }
        2 => {
            let bytes = uds_frame::record(&letters::record(dice, peer));
            stream.write_all(&dice.damage(bytes)).await?;
        }
        _ => {
            let bytes = uds_frame::record(&letters::record(dice, peer));
            stream.write_all(&bytes).await?;
        }
    }
    Ok(())
}

async fn web(target: &Target, dice: &mut Dice) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(target.web).await?;
    let peer = format!("self::bad-web-{}", dice.below(8));
    match dice.below(5) {
        0 => stream.write_all(&dice.bytes(64 * 1024)).await?,
        1 => {
            let bytes = dice.damage(upgrade(&peer).into_bytes());
            stream.write_all(&bytes).await?;
        }
        2 => {
            let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(dice.below(100_000)));
            stream.write_all(long.as_bytes()).await?;
        }
        _ => {
            stream.write_all(upgrade(&peer).as_bytes()).await?;
            for _ in 0..=dice.below(20) {
                let record = letters::record(dice, &peer);
                let frame = frame(dice, &record);
                match timeout(GLANCE, stream.write_all(&frame)).await {
                    Ok(written) => written?,
                    Err(_) => break,
                }
            }
        }
    }
    glance(&mut stream).await;
    Ok(())
}

/// A WebSocket frame, mostly a good one.
fn frame(dice: &mut Dice, content: &[u8]) -> Vec<u8> {
    let opcode = match dice.below(12) {
        0 => 0x81,
        1 => 0x02,
        2 => 0x80,
        3 => 0xf3,
        4 => 0x89,
        _ => 0x82,
    };
    let announced = match dice.below(12) {
        0 => u64::MAX >> 1,
        1 => content.len() as u64 * 2,
        _ => content.len() as u64,
    };
    let masked = if dice.below(12) == 0 { 0 } else { 0x80 };
    let mut bytes = vec![opcode, masked | 127];
    bytes.extend(announced.to_be_bytes());
    if masked != 0 {
        bytes.extend([0; 4]);
    }
    bytes.extend(content);
    bytes
}

/// A good frame.
pub(super) fn binary(content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x82, 0x80 | 127];
    bytes.extend((content.len() as u64).to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(content);
    bytes
}

async fn glance(stream: &mut (impl AsyncReadExt + Unpin)) {
    let mut chunk = [0; 512];
    // Whatever comes is as good as nothing.
    timeout(GLANCE, stream.read(&mut chunk)).await.ok();
}
