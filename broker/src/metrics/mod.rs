//! `[metrics]`: counters for a monitoring system, as an OpenMetrics page over HTTP/1.1. One request a connection, and
//! nothing but `GET /metrics` is answered with more than a line.

mod page;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::driver::Order;
use crate::mtp::websocket::is_loopback_host;

pub(crate) use page::Numbers;

/// Connections at a time.
const CONNECTIONS: usize = 8;

/// The longest head of a request, in bytes.
const HEAD: usize = 4096;

/// How long a request and its answer may take together.
const PATIENCE: Duration = Duration::from_secs(10);

/// The media type that OpenMetrics demands.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Why a port cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("[metrics] listen = \"{address}\": {}", in_words(.source))]
pub struct BindError {
    /// Where.
    address: SocketAddr,
    /// What the system says.
    source: io::Error,
}

fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "the port is in use".to_owned(),
        _ => error.to_string(),
    }
}

/// A bound port.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Binds the configured address.
    ///
    /// Errors: the port is in use, or the address is not one of this machine.
    pub(crate) fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let wrong = |source| BindError { address, source };
        let listener = std::net::TcpListener::bind(address).map_err(wrong)?;
        listener.set_nonblocking(true).map_err(wrong)?;
        let listener = TcpListener::from_std(listener).map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        Ok(Self { listener, address })
    }

    /// What it is bound to: with the real port if any was asked for.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` fires.
    pub(crate) async fn serve(self, driver: mpsc::Sender<Order>, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let local = self.address.ip().is_loopback();
        while let Some(Ok(place)) = stop.run_until_cancelled(Arc::clone(&places).acquire_owned()).await {
            let Some(accepted) = stop.run_until_cancelled(self.listener.accept()).await else { return };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let driver = driver.clone();
            tokio::spawn(async move {
                // A peer that is slow or gone is no concern of anybody.
                timeout(PATIENCE, answer(stream, &driver, local)).await.ok();
                drop(place);
            });
        }
    }
}

async fn answer(mut stream: TcpStream, driver: &mpsc::Sender<Order>, local: bool) -> io::Result<()> {
    let head = head(&mut stream).await?;
    let response = match request(&head, local) {
        Ok(with_body) => match numbers(driver).await {
            Some(numbers) => response("200 OK", OPEN_METRICS, &page::page(&numbers), with_body),
            None => refusal("503 Service Unavailable", "the broker is ending"),
        },
        Err((status, why)) => refusal(status, why),
    };
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await
}

/// Everything up to the empty line, or as much as is read at most.
async fn head(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut buffer = [0; 512];
    while head.len() < HEAD && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => head.extend(buffer.iter().take(count)),
        }
    }
    Ok(head)
}

/// Whether a request is a good one, and whether it wants the body (RFC 9110, 9.3.2: HEAD does not).
fn request(head: &[u8], local: bool) -> Result<bool, (&'static str, &'static str)> {
    let text = std::str::from_utf8(head).map_err(|_| ("400 Bad Request", "not text"))?;
    let (first, headers) = text.split_once("\r\n").ok_or(("400 Bad Request", "no request line"))?;
    let mut words = first.split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(("400 Bad Request", "no request of HTTP/1.1"));
    };
    if !text.contains("\r\n\r\n") {
        return Err(("431 Request Header Fields Too Large", "the head is too long"));
    }
    // A web page may lead a DNS name of its own here (DNS rebinding): on loopback only its own names are answered.
    let mut hosts = headers.lines().filter_map(|line| line.split_once(':'));
    if local && !hosts.all(|(name, host)| !name.eq_ignore_ascii_case("host") || is_loopback_host(host.trim()))
    {
        return Err(("421 Misdirected Request", "the Host must be localhost or a loopback address"));
    }
    match (method, target.split_once('?').map_or(target, |(path, _)| path)) {
        ("GET", "/metrics") => Ok(true),
        ("HEAD", "/metrics") => Ok(false),
        (_, "/metrics") => Err(("405 Method Not Allowed", "only GET and HEAD are answered")),
        _ => Err(("404 Not Found", "the metrics are at /metrics")),
    }
}

async fn numbers(driver: &mpsc::Sender<Order>) -> Option<Numbers> {
    let (answer, numbers) = oneshot::channel();
    driver.send(Order::Numbers(answer)).await.ok()?;
    numbers.await.ok()
}

fn refusal(status: &str, why: &str) -> String {
    response(status, "text/plain; charset=utf-8", &format!("{why}\n"), true)
}

fn response(status: &str, kind: &str, body: &str, with_body: bool) -> String {
    let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{allow}Connection: close\r\n\r\n",
        body.len()
    );
    if with_body { head + body } else { head }
}
