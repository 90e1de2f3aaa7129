//! One connection to a simulated device: requests in, answers and faults out.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::frame::{self, Frame, FrameError};
use super::respond::{Framing, Step};
use super::rtu;
use super::server::Shared;

/// As many answers of one connection may be late at once; more are lost.
const MAX_LATE: usize = 64;

/// Serves one connection until either side closes it.
pub(super) async fn talk(mut socket: TcpStream, shared: &Shared, framing: Framing) {
    let mut buffer = Vec::new();
    let mut late: JoinSet<Vec<u8>> = JoinSet::new();
    let mut chunk = [0; 1024];
    loop {
        let done = tokio::select! {
            Some(bytes) = late.join_next() => match bytes {
                Ok(bytes) => socket.write_all(&bytes).await.is_err(),
                Err(_) => false,
            },
            read = socket.read(&mut chunk) => match read {
                Ok(count @ 1..) => {
                    buffer.extend(chunk.iter().take(count));
                    answer(&mut socket, shared, framing, &mut buffer, &mut late).await.is_none()
                }
                Ok(0) | Err(_) => true,
            },
        };
        if done {
            return;
        }
    }
}

/// Answers all whole requests in the buffer; `None`: the connection is to be closed.
async fn answer(
    socket: &mut TcpStream,
    shared: &Shared,
    framing: Framing,
    buffer: &mut Vec<u8>,
    late: &mut JoinSet<Vec<u8>>,
) -> Option<()> {
    loop {
        let asked = match take(buffer, framing) {
            Ok(Some(asked)) => asked,
            Ok(None) => return Some(()),
            Err(error) => {
                tracing::debug!(%error, "not Modbus TCP: the simulated device closes the connection");
                return None;
            }
        };
        for step in shared.respond(&asked, framing) {
            match step {
                Step::Send(bytes) => socket.write_all(&bytes).await.ok()?,
                Step::Wait(time) => tokio::time::sleep(time).await,
                Step::Later(time, bytes) if late.len() < MAX_LATE => {
                    late.spawn(async move {
                        tokio::time::sleep(time).await;
                        bytes
                    });
                }
                Step::Later(..) => {}
                Step::Close => return None,
            }
        }
    }
}

/// The first whole request in the buffer.
fn take(buffer: &mut Vec<u8>, framing: Framing) -> Result<Option<Frame>, FrameError> {
    if framing == Framing::Tcp {
        return frame::take(buffer);
    }
    if buffer.len() < 2 {
        return Ok(None);
    }
    // The end of a frame of another function is not to be told without the silence of a line.
    let length =
        rtu::request_length(buffer).unwrap_or(if is_open(buffer) { usize::MAX } else { buffer.len() });
    let Some(bytes) = buffer.get(..length).map(<[u8]>::to_vec) else { return Ok(None) };
    buffer.drain(..length);
    Ok(rtu::request(&bytes))
}

/// Whether the length of a request stands further on.
fn is_open(buffer: &[u8]) -> bool {
    matches!(buffer.get(1), Some(15 | 16 | 23)) && buffer.len() < rtu::LONGEST_HEAD
}
