//! A connected socket that wakes us only for what we wait for.
//!
//! The runtime's own streams also ask to be told when there is room again. A UNIX domain socket tells that each time that
//! its peer takes something out: after each answer that costs the peer a wake-up, and us the wake for nothing.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::UnixStream;
use tokio::task::coop;

/// Takes what the peer sends.
#[derive(Debug)]
pub(super) struct ReadHalf(Arc<AsyncFd<StdUnixStream>>);

/// Sends to the peer.
#[derive(Debug)]
pub(super) struct WriteHalf {
    stream: Arc<AsyncFd<StdUnixStream>>,
    /// While the peer does not keep up: waits for room.
    full: Option<AsyncFd<StdUnixStream>>,
}

/// Both ends of a connection.
///
/// Errors: those of the system.
pub(super) fn split(stream: UnixStream) -> io::Result<(ReadHalf, WriteHalf)> {
    let stream = Arc::new(watched(stream.into_std()?, Interest::READABLE)?);
    Ok((ReadHalf(Arc::clone(&stream)), WriteHalf { stream, full: None }))
}

/// A stream that wakes whoever waits for this alone.
#[expect(
    deprecated,
    reason = "what came instead is unsafe, for types that may close or change their file; a stream does not"
)]
fn watched(stream: StdUnixStream, interest: Interest) -> io::Result<AsyncFd<StdUnixStream>> {
    AsyncFd::with_interest(stream, interest)
}

impl AsyncRead for ReadHalf {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(cx))?;
            let room = buf.initialize_unfilled();
            let (wanted, read) = (room.len(), ready.try_io(|stream| stream.get_ref().read(room)));
            let Ok(read) = read else { continue };
            let count = read?;
            if (1..wanted).contains(&count) {
                // There was no more: asking once more would only tell so.
                ready.clear_ready();
            }
            buf.advance(count);
            return Poll::Ready(Ok(()));
        }
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, full } = &mut *self;
        loop {
            let waiting = match full {
                None => {
                    let turn = ready!(coop::poll_proceed(cx));
                    match stream.get_ref().write(bytes) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                        written => {
                            turn.made_progress();
                            return Poll::Ready(written);
                        }
                    }
                    full.insert(watched(stream.get_ref().try_clone()?, Interest::WRITABLE)?)
                }
                Some(waiting) => waiting,
            };
            let mut ready = ready!(waiting.poll_write_ready(cx))?;
            let Ok(written) = ready.try_io(|stream| stream.get_ref().write(bytes)) else { continue };
            if written.as_ref().is_ok_and(|count| *count == bytes.len()) {
                *full = None;
            }
            return Poll::Ready(written);
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.get_ref().shutdown(std::net::Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// What the runtime waits for at a file, as the system tells it, once for each of its own files: EPOLLIN is 1, EPOLLOUT is 4.
    fn waited_for(file: i32) -> Vec<u32> {
        let mut found = Vec::new();
        for info in std::fs::read_dir("/proc/self/fdinfo").unwrap() {
            // Files of other tests come and go.
            let text = std::fs::read_to_string(info.unwrap().path()).unwrap_or_default();
            for line in text.lines().filter(|line| line.starts_with("tfd:")) {
                let words: Vec<&str> = line.split_whitespace().collect();
                if words[1].parse() == Ok(file) {
                    found.push(u32::from_str_radix(words[3], 16).unwrap() & 5);
                }
            }
        }
        found
    }

    #[tokio::test]
    async fn a_peer_that_reads_wakes_nobody() {
        let (ours, mut peer) = UnixStream::pair().unwrap();
        let (mut read, mut write) = split(ours).unwrap();
        let waited_for = waited_for(read.0.as_raw_fd());
        assert!(!waited_for.is_empty() && waited_for.iter().all(|events| *events == 1), "{waited_for:?}");
        write.write_all(b"question").await.unwrap();
        peer.read_exact(&mut [0; 8]).await.unwrap();
        peer.write_all(b"answer").await.unwrap();
        let mut answer = [0; 6];
        read.read_exact(&mut answer).await.unwrap();
        assert_eq!((&answer, write.full.is_none()), (b"answer", true));
        drop(peer);
        assert_eq!(read.read(&mut answer).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_finds_no_room_waits_for_it() {
        let (ours, mut peer) = UnixStream::pair().unwrap();
        let (_read, mut write) = split(ours).unwrap();
        let sent: Vec<u8> = (0..2_000_000u32).map(|n| n.to_be_bytes()[3]).collect();
        let expected = sent.clone();
        let writer = tokio::spawn(async move {
            write.write_all(&sent).await.unwrap();
            write.shutdown().await.unwrap();
            write
        });
        let mut received = Vec::new();
        peer.read_to_end(&mut received).await.unwrap();
        assert!(received == expected);
        let mut write = writer.await.unwrap();
        assert!(write.full.is_none(), "room again: nobody waits for it any more");
        drop(peer);
        let error = write.write_all(b"late").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
